//! Drives a parser of foreign text with whole, damaged and random inputs, and holds it to three promises: it does not panic
//! (an integer that overflows does), its memory stays in proportion to the input, and so does its time.
//!
//! May: read and write `tests/fuzz/saved`, where the smallest input of each failure is kept and tried first ever after.
//! Must never: be linked into a program; it is for tests alone.

mod memory;
mod mutate;
pub mod samples;

use std::cell::RefCell;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use proptest::strategy::Strategy;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};
use sha2::{Digest, Sha256};

pub use memory::peak_of;
pub use mutate::{Input, MOST_BYTES, inputs};

/// Memory that a parser may take whatever the input is, in bytes.
const MEMORY_BASE: usize = 4 << 20;
/// Memory that it may take for each byte of the input.
const MEMORY_A_BYTE: usize = 64;
/// CPU time that it may take whatever the input is.
const TIME_BASE: Duration = Duration::from_secs(2);
/// CPU time for each byte of the input, beyond any that is not quadratic.
const TIME_A_BYTE: Duration = Duration::from_micros(20);

/// A parser and what it is tried with.
pub struct Fuzz<'a> {
    name: &'a str,
    samples: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    memory_base: usize,
}

/// What one input came to.
struct Cost {
    memory: usize,
    time: Duration,
}

/// What all inputs came to.
#[derive(Default)]
struct Tally {
    inputs: u64,
    memory: usize,
    time: Duration,
}

impl Tally {
    fn take(&mut self, cost: &Cost) {
        self.inputs += 1;
        (self.memory, self.time) = (self.memory.max(cost.memory), self.time.max(cost.time));
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (memory, time) = (self.memory >> 10, self.time.as_millis());
        write!(f, "{:>7} inputs, at most {memory:>6} KiB and {time:>4} ms of CPU time", self.inputs)
    }
}

impl<'a> Fuzz<'a> {
    /// The parser `name`; the name is that of its folder of saved cases.
    #[must_use]
    pub fn new(name: &'a str) -> Self {
        Self { name, samples: Vec::new(), large: Vec::new(), memory_base: MEMORY_BASE }
    }

    /// A real text, from which damaged ones are made.
    #[must_use]
    pub fn sample(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.samples.push(bytes.as_ref().to_vec());
        self
    }

    /// An input that is tried as it is, such as one that is very large.
    #[must_use]
    pub fn large(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.large.push(bytes.into());
        self
    }

    /// Memory that the parser may take whatever the input is, where tables of its own need more than usual.
    #[must_use]
    pub fn memory_base(mut self, bytes: usize) -> Self {
        self.memory_base = bytes;
        self
    }

    /// Tries `parser`; the number of random cases is `PROPTEST_CASES`, 256 unless set.
    ///
    /// # Panics
    /// When the parser breaks a promise; the smallest input that does is in the saved cases then.
    pub fn run(self, parser: impl Fn(&[u8])) {
        let tally = RefCell::new(Tally::default());
        let given = self.samples.iter().chain(&self.large).map(|bytes| ("a given input".to_owned(), bytes.clone()));
        for (what, bytes) in given.chain(self.saved()) {
            match self.cost(&parser, &bytes) {
                Ok(cost) => tally.borrow_mut().take(&cost),
                Err(why) => panic!("{} breaks on {what} of {} bytes: {why}", self.name, bytes.len()),
            }
        }
        let config = Config { failure_persistence: None, ..Config::default() };
        let found = TestRunner::new(config).run(&inputs(&self.samples).prop_map(Input::into_bytes), |bytes| {
            let cost = self.cost(&parser, &bytes).map_err(TestCaseError::fail)?;
            tally.borrow_mut().take(&cost);
            Ok(())
        });
        match found {
            Ok(()) => println!("fuzz  {:<16} {}", self.name, tally.borrow()),
            Err(TestError::Fail(why, bytes)) => {
                let file = self.save(&bytes);
                panic!("{} breaks on {} bytes, kept as {}: {why}", self.name, bytes.len(), file.display());
            }
            Err(TestError::Abort(why)) => panic!("{}: no inputs were made: {why}", self.name),
        }
    }

    /// Runs the parser once; an error in words when it takes too much. A panic goes through.
    fn cost(&self, parser: &impl Fn(&[u8]), bytes: &[u8]) -> Result<Cost, String> {
        let begun = cpu_time();
        let ((), memory) = peak_of(|| parser(bytes));
        let time = cpu_time().saturating_sub(begun);
        let most_memory = self.memory_base + bytes.len() * MEMORY_A_BYTE;
        let most_time = TIME_BASE + TIME_A_BYTE * u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if memory > most_memory {
            return Err(format!("{memory} bytes of memory for {} bytes of input, at most {most_memory}", bytes.len()));
        }
        if time > most_time {
            return Err(format!("{time:?} of CPU time for {} bytes of input, at most {most_time:?}", bytes.len()));
        }
        Ok(Cost { memory, time })
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("saved").join(self.name)
    }

    /// Inputs that broke the parser once, by name.
    fn saved(&self) -> Vec<(String, Vec<u8>)> {
        let files = fs::read_dir(self.folder()).into_iter().flatten().flatten();
        let mut saved: Vec<(String, Vec<u8>)> = files
            .filter_map(|file| Some((file.file_name().to_string_lossy().into_owned(), fs::read(file.path()).ok()?)))
            .collect();
        saved.sort();
        saved
    }

    fn save(&self, bytes: &[u8]) -> PathBuf {
        let file = self.folder().join(&hex::encode(Sha256::digest(bytes))[..16]);
        // A checkout that cannot be written to still has the failure in its message.
        let _ = fs::create_dir_all(self.folder()).and_then(|()| fs::write(&file, bytes));
        file
    }
}

/// CPU time of this thread: a busy machine does not make it longer.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_that_takes_too_much_memory_is_found() {
        let fuzz = Fuzz::new("none");
        assert!(fuzz.cost(&|_| drop(vec![0_u8; 1 << 20]), b"").is_ok());
        let error = fuzz.cost(&|_| drop(vec![0_u8; 5 << 20]), b"").err().unwrap_or_default();
        assert!(error.contains("bytes of memory"), "{error}");
    }

    #[test]
    fn memory_that_was_given_back_does_not_count_twice() {
        let ((), peak) = peak_of(|| (0..100).for_each(|_| drop(vec![0_u8; 1 << 16])));
        assert!((1 << 16..1 << 17).contains(&peak), "{peak}");
    }
}
