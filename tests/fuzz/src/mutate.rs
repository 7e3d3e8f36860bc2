//! Makes inputs: random bytes, random text, and real texts that are damaged with an eye for their structure (numbers, quoted
//! strings, bracketed parts).
//!
//! Pure; what is made is at most [`MOST_BYTES`] long.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

/// Longest input that is made.
pub const MOST_BYTES: usize = 1 << 20;

/// What stands in place of a number.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "1",
    "255",
    "65536",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "999999999999999999999999999999999999",
    "1e308",
    "-1e308",
    "1e999",
    "0.1",
    "1.7976931348623157e308",
    "NaN",
    "inf",
    "00",
    "0x10",
    "\"7\"",
    "null",
    "true",
    "[]",
    "{}",
    "",
];

/// What stands in place of a text, or in its midst.
const TEXTS: &[&[u8]] = &[
    b"",
    b"N/A",
    b"0/0",
    b"1/0",
    b"-1/1",
    b"1/-1",
    b"9223372036854775807/1",
    b"1/9223372036854775807",
    b"unknown",
    b"NOPTS",
    b"\\u0000",
    b"\\ud800",
    b"\\",
    b"\"",
    b"\n",
    b"\r\n",
    b"\0",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\xe2\x80\xae",
    b"%03d",
    b"../../etc/passwd",
    b"$(HOSTNAME)",
    b"DKIF",
    b"moov",
    b"trak",
    b"\0\0\0\x01",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    b"{",
    b"[",
    b"}",
    b"]",
    b",",
    b":",
    b"/",
    b"frame:",
    b"frame ",
    b"#tb 0: ",
    b"99999",
    b"1e999",
];

/// One damage.
#[derive(Debug, Clone)]
pub enum Damage {
    /// Cut off.
    Truncate(Index),
    /// Bits of one byte turned.
    Flip(Index, u8),
    /// Bytes taken out.
    Cut(Index, u16),
    /// Bytes that come again and again.
    Repeat(Index, u8, u8),
    /// Something put in between.
    Insert(Index, Index),
    /// A number that becomes another.
    Number(Index, Index),
    /// A quoted text that becomes another.
    Text(Index, Index),
    /// A bracketed part that comes so many times, with commas between; none takes it out.
    Element(Index, u16),
    /// A bracketed part deep within brackets.
    Nest(Index, u16),
    /// A quoted text that becomes very long.
    Lengthen(Index, u16),
}

/// An input.
#[derive(Debug, Clone)]
pub struct Input(Vec<u8>);

impl Input {
    /// Its bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        1 => at().prop_map(Damage::Truncate),
        2 => (at(), 1_u8..).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        1 => (at(), 1_u16..200).prop_map(|(at, length)| Damage::Cut(at, length)),
        1 => (at(), 1_u8..60, 1_u8..20).prop_map(|(at, length, times)| Damage::Repeat(at, length, times)),
        2 => (at(), at()).prop_map(|(at, what)| Damage::Insert(at, what)),
        6 => (at(), at()).prop_map(|(at, what)| Damage::Number(at, what)),
        3 => (at(), at()).prop_map(|(at, what)| Damage::Text(at, what)),
        2 => (at(), 0_u16..400).prop_map(|(at, times)| Damage::Element(at, times)),
        1 => (at(), 1_u16..4_000).prop_map(|(at, depth)| Damage::Nest(at, depth)),
        1 => (at(), 1_u16..20_000).prop_map(|(at, length)| Damage::Lengthen(at, length)),
    ]
}

/// Random bytes, random text, and the samples with a few damages.
pub fn inputs(samples: &[Vec<u8>]) -> BoxedStrategy<Input> {
    let bytes = vec(any::<u8>(), 0..600).prop_map(Input);
    let text = "\\PC{0,200}(\n\\PC{0,80}){0,5}".prop_map(|text| Input(text.into_bytes()));
    if samples.is_empty() {
        return prop_oneof![bytes, text].boxed();
    }
    let samples = samples.to_vec();
    let damaged = (any::<Index>(), vec(damage(), 1..6)).prop_map(move |(which, damages)| {
        let sample = which.get(&samples).clone();
        Input(damages.iter().fold(sample, apply))
    });
    prop_oneof![1 => bytes, 1 => text, 6 => damaged].boxed()
}

fn apply(mut bytes: Vec<u8>, damage: &Damage) -> Vec<u8> {
    if bytes.is_empty() {
        return bytes;
    }
    let length = bytes.len();
    match damage {
        Damage::Truncate(at) => bytes.truncate(at.index(length)),
        Damage::Flip(at, bits) => bytes[at.index(length)] ^= bits,
        Damage::Cut(at, count) => {
            let from = at.index(length);
            drop(bytes.drain(from..(from + usize::from(*count)).min(length)));
        }
        Damage::Repeat(at, count, times) => {
            let from = at.index(length);
            let to = (from + usize::from(*count)).min(length);
            let again = bytes[from..to].repeat(usize::from(*times));
            bytes.splice(to..to, again);
        }
        Damage::Insert(at, what) => {
            let at = at.index(length);
            bytes.splice(at..at, what.get(TEXTS).iter().copied());
        }
        Damage::Number(at, what) => replace(&mut bytes, &numbers, at, what.get(NUMBERS).as_bytes()),
        Damage::Text(at, what) => replace(&mut bytes, &texts, at, what.get::<&[u8]>(TEXTS)),
        Damage::Lengthen(at, count) => replace(&mut bytes, &texts, at, &vec![b'A'; usize::from(*count)]),
        Damage::Element(at, times) => with_part(&mut bytes, at, |part| vec![part; usize::from(*times)].join(&b',')),
        Damage::Nest(at, depth) => {
            let depth = usize::from(*depth);
            with_part(&mut bytes, at, |part| [vec![b'['; depth], part.to_vec(), vec![b']'; depth]].concat());
        }
    }
    bytes.truncate(MOST_BYTES);
    bytes
}

type Ranges = dyn Fn(&[u8]) -> Vec<(usize, usize)>;

fn replace(bytes: &mut Vec<u8>, find: &Ranges, at: &Index, with: &[u8]) {
    let found = find(bytes);
    if !found.is_empty() {
        let (from, to) = *at.get(&found);
        bytes.splice(from..to, with.iter().copied());
    }
}

fn with_part(bytes: &mut Vec<u8>, at: &Index, change: impl Fn(&[u8]) -> Vec<u8>) {
    let found = parts(bytes);
    if !found.is_empty() {
        let (from, to) = *at.get(&found);
        let changed = change(&bytes[from..to]);
        bytes.splice(from..to, changed);
    }
}

/// Runs of digits.
fn numbers(bytes: &[u8]) -> Vec<(usize, usize)> {
    runs(bytes, |byte| byte.is_ascii_digit())
}

fn runs(bytes: &[u8], is_part: impl Fn(u8) -> bool) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, byte) in bytes.iter().chain(&[0]).enumerate() {
        match (start, is_part(*byte) && at < bytes.len()) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                found.push((from, at));
                start = None;
            }
            _ => {}
        }
    }
    found
}

/// What stands between quotes.
fn texts(bytes: &[u8]) -> Vec<(usize, usize)> {
    let quotes: Vec<usize> =
        (0..bytes.len()).filter(|at| bytes[*at] == b'"' && (*at == 0 || bytes[at - 1] != b'\\')).collect();
    quotes.chunks_exact(2).map(|pair| (pair[0] + 1, pair[1])).collect()
}

/// Bracketed parts with their brackets, quoted brackets passed over.
fn parts(bytes: &[u8]) -> Vec<(usize, usize)> {
    let (mut found, mut open, mut quoted) = (Vec::new(), Vec::new(), false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if at == 0 || bytes[at - 1] != b'\\' => quoted = !quoted,
            b'{' | b'[' if !quoted => open.push(at),
            b'}' | b']' if !quoted => found.extend(open.pop().map(|from| (from, at + 1))),
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_texts_and_parts_are_found() {
        let json = br#"{"a": [1, 23], "b{": "x"}"#;
        let slices = |ranges: Vec<(usize, usize)>| {
            ranges.iter().map(|(from, to)| String::from_utf8_lossy(&json[*from..*to]).into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(slices(numbers(json)), ["1", "23"]);
        assert_eq!(slices(texts(json)), ["a", "b{", "x"]);
        assert_eq!(slices(parts(json)), ["[1, 23]", r#"{"a": [1, 23], "b{": "x"}"#]);
    }
}
