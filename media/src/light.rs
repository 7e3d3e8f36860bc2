//! Static HDR metadata: the mastering display and the content's light levels, as ffprobe tells them, as the encoder takes them,
//! and as an AV1 stream holds them.
//!
//! Pure. Must never guess a value: what is there in part is refused by whoever asks.

use std::fmt;

use crate::encoders::words::Params;
use crate::obu;
use crate::probe::{SideData, Stream};

/// Start of ffprobe's name for the mastering display.
pub const MASTERING: &str = "Mastering display metadata";
/// Start of ffprobe's name for the content's light levels.
pub const CONTENT: &str = "Content light level metadata";

/// Largest difference of a chromaticity: AV1 keeps them in 1/65536, HEVC in 1/50000.
const CHROMATICITY_STEP: f64 = 0.000_05;
/// Largest difference of the brightest luminance in cd/m², which AV1 keeps in 1/256.
const BRIGHTEST_STEP: f64 = 0.01;
/// Largest difference of the darkest luminance in cd/m², which AV1 keeps in 1/16384.
const DARKEST_STEP: f64 = 0.000_1;

/// A display as it was mastered on: chromaticities in CIE 1931 x and y, luminances in cd/m².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mastering {
    /// Red.
    pub red: [f64; 2],
    /// Green.
    pub green: [f64; 2],
    /// Blue.
    pub blue: [f64; 2],
    /// White.
    pub white: [f64; 2],
    /// The brightest.
    pub brightest: f64,
    /// The darkest.
    pub darkest: f64,
}

impl Mastering {
    /// The chromaticities, x before y: red, green, blue, white, as Matroska and AV1 order them.
    pub(crate) fn points(&self) -> impl Iterator<Item = f64> {
        [self.red, self.green, self.blue, self.white].into_iter().flatten()
    }
}

/// Light levels of the content in cd/m².
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Of the brightest pixel (MaxCLL).
    pub most: u32,
    /// Of the brightest frame on average (MaxFALL).
    pub average: u32,
}

/// What a source says of its light; nothing for most.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Light {
    /// The mastering display.
    pub mastering: Option<Mastering>,
    /// The content's light levels.
    pub content: Option<Content>,
}

/// Metadata of which only a part is there, or that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("its {0} cannot be carried over: a part of it is missing or makes no sense")]
pub struct Partial(pub &'static str);

impl Light {
    /// What the container, else the first pictures, tell of a stream.
    ///
    /// # Errors
    /// [`Partial`] when something is told in part.
    pub fn of(stream: &Stream) -> Result<Self, Partial> {
        Self::told(|kind| stream.side_data(kind))
    }

    /// What the container tells of a stream.
    ///
    /// # Errors
    /// As of [`Light::of`].
    pub fn of_container(stream: &Stream) -> Result<Self, Partial> {
        Self::told(|kind| stream.side_data.iter().find(|data| data.kind.starts_with(kind)))
    }

    fn told<'a>(find: impl Fn(&str) -> Option<&'a SideData>) -> Result<Self, Partial> {
        let mastering = find(MASTERING).map(|data| mastering(data).ok_or(Partial("mastering display"))).transpose()?;
        let content = find(CONTENT).map(|data| content(data).ok_or(Partial("light levels"))).transpose()?;
        // Zeros stand for unknown (CTA-861.3).
        Ok(Self { mastering, content: content.filter(|content| content.most > 0 || content.average > 0) })
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.mastering.is_none() && self.content.is_none()
    }

    /// Parameters of SVT-AV1 that write it into the stream.
    #[must_use]
    pub fn params(&self) -> Params {
        let mastering = self.mastering.map(|m| {
            let point = |[x, y]: [f64; 2]| format!("({x:.5},{y:.5})");
            let [red, green, blue, white] = [m.red, m.green, m.blue, m.white].map(point);
            let display = format!("G{green}B{blue}R{red}WP{white}L({:.4},{:.4})", m.brightest, m.darkest);
            ("mastering-display".to_owned(), display)
        });
        let content = self.content.map(|c| ("content-light".to_owned(), format!("{},{}", c.most, c.average)));
        mastering.into_iter().chain(content).collect()
    }

    /// Whether both say the same, but for what the formats round.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let near = |a: f64, b: f64, step: f64| (a - b).abs() <= step;
        let point = |a: [f64; 2], b: [f64; 2]| a.iter().zip(b).all(|(a, b)| near(*a, b, CHROMATICITY_STEP));
        let mastering = match (&self.mastering, &other.mastering) {
            (None, None) => true,
            (Some(a), Some(b)) => {
                point(a.red, b.red)
                    && point(a.green, b.green)
                    && point(a.blue, b.blue)
                    && point(a.white, b.white)
                    && near(a.brightest, b.brightest, BRIGHTEST_STEP)
                    && near(a.darkest, b.darkest, DARKEST_STEP)
            }
            _ => false,
        };
        mastering && self.content == other.content
    }
}

impl fmt::Display for Light {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.mastering {
            None => f.write_str("no mastering display")?,
            Some(m) => write!(
                f,
                "R({:.4},{:.4}) G({:.4},{:.4}) B({:.4},{:.4}) W({:.4},{:.4}) {:.4} to {:.2} cd/m²",
                m.red[0],
                m.red[1],
                m.green[0],
                m.green[1],
                m.blue[0],
                m.blue[1],
                m.white[0],
                m.white[1],
                m.darkest,
                m.brightest
            )?,
        }
        match &self.content {
            None => f.write_str(", no light levels"),
            Some(content) => write!(f, ", MaxCLL {} MaxFALL {}", content.most, content.average),
        }
    }
}

fn mastering(data: &SideData) -> Option<Mastering> {
    let value = |key: &str| number(data.values.get(key)?).filter(|value| value.is_finite() && *value >= 0.0);
    let point = |name: &str| {
        let point = [value(&format!("{name}_x"))?, value(&format!("{name}_y"))?];
        point.iter().all(|value| *value <= 1.0).then_some(point)
    };
    let found = Mastering {
        red: point("red")?,
        green: point("green")?,
        blue: point("blue")?,
        white: point("white_point")?,
        brightest: value("max_luminance")?,
        darkest: value("min_luminance")?,
    };
    (found.brightest > found.darkest && found.brightest <= 1e6).then_some(found)
}

fn content(data: &SideData) -> Option<Content> {
    let value = |key: &str| data.values.get(key)?.parse::<u32>().ok().filter(|value| *value <= u32::from(u16::MAX));
    Some(Content { most: value("max_content")?, average: value("max_average")? })
}

/// `34000/50000`, or a plain number.
#[allow(clippy::cast_precision_loss)]
fn number(text: &str) -> Option<f64> {
    match text.split_once('/') {
        Some((num, den)) => {
            let (num, den) = (num.parse::<i64>().ok()? as f64, den.parse::<i64>().ok()? as f64);
            (den > 0.0).then(|| num / den)
        }
        None => text.parse().ok(),
    }
}

/// Types of metadata in an AV1 stream (AV1 specification, 6.7.1).
const METADATA_OBU: u8 = 5;
const METADATA_CONTENT: u8 = 1;
const METADATA_MASTERING: u8 = 2;
/// Types of what stands before it in a temporal unit.
const SEQUENCE_OBU: u8 = 1;
const DELIMITER_OBU: u8 = 2;

/// What the OBUs of one temporal unit of AV1 (low-overhead format) say of its light. An OBU that is cut ends the search.
#[must_use]
pub fn in_av1(unit: &[u8]) -> Light {
    let mut light = Light::default();
    let mut rest = unit;
    while let Some((kind, payload, behind)) = obu::next(rest) {
        rest = behind;
        // Numbers of types beyond a byte are nobody's.
        let Some((metadata, body)) = payload.split_first().filter(|_| kind == METADATA_OBU) else { continue };
        match *metadata {
            METADATA_CONTENT => light.content = light.content.or_else(|| content_in_av1(body)),
            METADATA_MASTERING => light.mastering = light.mastering.or_else(|| mastering_in_av1(body)),
            _ => {}
        }
    }
    light
}

/// Writes `light` into a temporal unit that does not tell it, behind its sequence header: aomenc and FFmpeg's aom and rav1e can't
/// be told it. Nothing else changes.
pub fn put_light(unit: &mut Vec<u8>, light: &Light) {
    let told = in_av1(unit);
    let mut metadata = Vec::new();
    if let Some(m) = light.mastering.filter(|_| told.mastering.is_none()) {
        metadata.extend(metadata_obu(METADATA_MASTERING, &mastering_bytes(&m)));
    }
    if let Some(Content { most, average }) = light.content.filter(|_| told.content.is_none()) {
        let [_, _, a, b] = most.to_be_bytes();
        let [_, _, c, d] = average.to_be_bytes();
        metadata.extend(metadata_obu(METADATA_CONTENT, &[a, b, c, d]));
    }
    let (mut at, mut behind) = (0, unit.as_slice());
    while let Some((DELIMITER_OBU | SEQUENCE_OBU, _, rest)) = obu::next(behind) {
        at = unit.len() - rest.len();
        behind = rest;
    }
    unit.splice(at..at, metadata);
}

/// One OBU with its size; none of ours needs two bytes for it.
fn metadata_obu(kind: u8, body: &[u8]) -> Vec<u8> {
    // Type and body, and a bit that ends them.
    let size = u8::try_from(body.len() + 2).unwrap_or(u8::MAX);
    [&[(METADATA_OBU << 3) | 2, size, kind][..], body, &[0x80]].concat()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn mastering_bytes(m: &Mastering) -> Vec<u8> {
    let points = m.points().flat_map(|value| ((value * 65_536.0).round() as u16).to_be_bytes());
    let luminances = [m.brightest * 256.0, m.darkest * 16_384.0];
    points.chain(luminances.into_iter().flat_map(|value| (value.round() as u32).to_be_bytes())).collect()
}

fn content_in_av1(body: &[u8]) -> Option<Content> {
    let [a, b, c, d, ..] = *body else { return None };
    let content =
        Content { most: u32::from(u16::from_be_bytes([a, b])), average: u32::from(u16::from_be_bytes([c, d])) };
    Some(content).filter(|content| content.most > 0 || content.average > 0)
}

fn mastering_in_av1(body: &[u8]) -> Option<Mastering> {
    let two = |at: usize| {
        let bytes = body.get(at..at + 2)?;
        Some(f64::from(u16::from_be_bytes([bytes[0], bytes[1]])) / 65_536.0)
    };
    let four = |at: usize, unit: f64| {
        let bytes: [u8; 4] = body.get(at..at + 4)?.try_into().ok()?;
        Some(f64::from(u32::from_be_bytes(bytes)) / unit)
    };
    let point = |at: usize| Some([two(at)?, two(at + 2)?]);
    Some(Mastering {
        red: point(0)?,
        green: point(4)?,
        blue: point(8)?,
        white: point(12)?,
        brightest: four(16, 256.0)?,
        darkest: four(20, 16_384.0)?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn side_data(kind: &str, values: &[(&str, &str)]) -> SideData {
        SideData {
            kind: kind.to_owned(),
            values: values.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    fn display() -> SideData {
        side_data(
            MASTERING,
            &[
                ("red_x", "34000/50000"),
                ("red_y", "16000/50000"),
                ("green_x", "13250/50000"),
                ("green_y", "34500/50000"),
                ("blue_x", "7500/50000"),
                ("blue_y", "3000/50000"),
                ("white_point_x", "15635/50000"),
                ("white_point_y", "16450/50000"),
                ("min_luminance", "50/10000"),
                ("max_luminance", "10000000/10000"),
            ],
        )
    }

    fn levels(most: &str, average: &str) -> SideData {
        side_data(CONTENT, &[("max_content", most), ("max_average", average)])
    }

    fn stream(container: Vec<SideData>, pictures: Vec<SideData>) -> Stream {
        let mut stream = Stream { side_data: container, ..Stream::default() };
        stream.pictures.side_data = pictures;
        stream
    }

    #[test]
    fn the_encoder_is_told_what_the_container_or_the_first_picture_says() {
        let expected = "--mastering-display G(0.26500,0.69000)B(0.15000,0.06000)R(0.68000,0.32000)WP(0.31270,0.32900)L(1000.0000,0.0050) \
                        --content-light 1000,400";
        for stream in [
            stream(vec![display(), levels("1000", "400")], vec![]),
            stream(vec![], vec![display(), levels("1000", "400")]),
        ] {
            let params = Light::of(&stream).unwrap().params();
            let words: Vec<String> = params.iter().map(|(key, value)| format!("--{key} {value}")).collect();
            assert_eq!(words.join(" "), expected);
        }
        assert!(Light::of(&Stream::default()).unwrap().is_empty());
    }

    #[test]
    fn a_part_is_refused_and_zero_levels_say_nothing() {
        let mut part = display();
        part.values.remove("blue_y");
        assert_eq!(Light::of(&stream(vec![part], vec![])), Err(Partial("mastering display")));
        assert_eq!(Light::of(&stream(vec![levels("70000", "1")], vec![])), Err(Partial("light levels")));
        assert!(Light::of(&stream(vec![levels("0", "0")], vec![])).unwrap().is_empty());
    }

    /// A temporal delimiter, both kinds of metadata, and a frame.
    fn unit() -> Vec<u8> {
        let mut unit = vec![0x12, 0x00];
        let words = |values: &[u16]| values.iter().flat_map(|value| value.to_be_bytes()).collect::<Vec<u8>>();
        let mut body = vec![0x02];
        body.extend(words(&[44_564, 20_972, 17_367, 45_220, 9_830, 3_932, 20_493, 21_561]));
        body.extend((1_000_u32 * 256).to_be_bytes());
        body.extend(82_u32.to_be_bytes());
        body.push(0x80);
        unit.extend([0x2a, u8::try_from(body.len()).unwrap()]);
        unit.extend(body);
        unit.extend([0x2a, 6, 0x01]);
        unit.extend(words(&[1_000, 400]));
        unit.push(0x80);
        unit.extend([0x32, 2, 1, 2]);
        unit
    }

    #[test]
    fn metadata_is_found_in_a_stream_and_is_like_the_sources() {
        let source = Light::of(&stream(vec![display(), levels("1000", "400")], vec![])).unwrap();
        assert!(in_av1(&unit()).is_like(&source), "{} {source}", in_av1(&unit()));
        let lost = Light { mastering: None, ..source };
        assert!(!lost.is_like(&source) && in_av1(&[0x12, 0x00, 0x32, 2, 1, 2]).is_empty());
        let other = Light { content: Some(Content { most: 1_001, average: 400 }), ..source };
        assert!(!other.is_like(&source));
    }

    #[test]
    fn light_that_is_not_told_is_written_behind_the_sequence_header() {
        let light = in_av1(&unit());
        let bare = [0x12, 0x00, 0x0a, 1, 0x55, 0x32, 2, 1, 2];
        let mut unit = bare.to_vec();
        put_light(&mut unit, &light);
        assert_eq!(in_av1(&unit), light);
        assert_eq!((&unit[..5], &unit[unit.len() - 4..]), (&bare[..5], &bare[5..]));
        let told = unit.clone();
        put_light(&mut unit, &light);
        assert_eq!(unit, told, "what is told stays");
        put_light(&mut unit, &Light::default());
        assert_eq!(unit, told);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = in_av1(&bytes);
            let mut cut = [&[0x2a, 30][..], &bytes].concat();
            let _ = in_av1(&cut);
            put_light(&mut cut, &in_av1(&unit()));
        }
    }
}
