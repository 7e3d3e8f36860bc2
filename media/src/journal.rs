//! The journal of one job that settles or restores: JSON lines, one record before each step that cannot be undone, so that a
//! later run knows what was meant and what every file was.
//!
//! The records say what the files are; where they are now is looked at, not remembered: see [`crate::swap`].

use av1_crds::library::SwapMethod;
use av1_crds::wire::FileIdentity;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Version of the format.
pub const VERSION: u32 = 1;
/// Most bytes of a journal that are read: a task and a few records, many times over.
pub const MAX_JOURNAL: usize = 8 << 20;

/// One line; `T` is what the job is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "record")]
pub enum Record<T> {
    /// The claim is held and the work begins. Always the first line.
    Begin {
        /// Version of the format.
        v: u32,
        /// What is to be done.
        task: Box<T>,
    },
    /// Everything is at hand; from here on names change.
    Swapping(Box<Swap>),
    /// The file at the name was looked at and is the whole new one; the old one goes to where it is kept.
    Swapped,
    /// Every name is where it belongs; the receipt is written next.
    Recording,
    /// The receipt is durable; the work folder goes next.
    Cleaning,
}

/// What is swapped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Swap {
    /// How.
    pub method: SwapMethod,
    /// Identity, just before, of the file at the name: the one that makes room.
    #[serde(alias = "original")]
    pub old: FileIdentity,
    /// SHA-256 of the whole old file.
    #[serde(alias = "originalSha256")]
    pub old_sha256: String,
    /// Identity of the file that is to be there.
    #[serde(alias = "output")]
    pub new: FileIdentity,
    /// SHA-256 of the whole new file.
    #[serde(alias = "outputSha256")]
    pub new_sha256: String,
    /// Name of the old file in the folder where it is kept.
    #[serde(alias = "trashName")]
    pub kept_name: String,
    /// Name of the new file, when it is another one in the same folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_name: Option<String>,
    /// When, RFC 3339.
    pub at: String,
    /// Until when the old file is kept, RFC 3339; none: until a person removes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// What could not be kept, in words.
    pub not_kept: Vec<String>,
}

/// A journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Larger than any that is written.
    #[error("the journal has {0} bytes, more than the {MAX_JOURNAL} that are ever written")]
    TooLarge(usize),
    /// A whole line that is not a record.
    #[error("line {line} of the journal could not be read: {source}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// Why.
        source: serde_json::Error,
    },
    /// The first line is not a beginning.
    #[error("the journal does not start with its task")]
    NoBeginning,
    /// Written by a newer version.
    #[error("the journal has format {0}, this version knows formats up to {VERSION}")]
    Newer(u32),
}

/// A journal that was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Journal<T> {
    /// What the run that wrote it was to do.
    pub task: T,
    /// What is swapped, once the names may have changed.
    pub swap: Option<Swap>,
    /// How many bytes of whole lines there are; what follows is a line that a crash cut off.
    pub whole_bytes: usize,
}

impl<T: DeserializeOwned> Journal<T> {
    /// Reads a journal; none when it has no whole line, which is what a crash right after its creation leaves.
    ///
    /// # Errors
    /// [`JournalError`] when a whole line is not a record, the first is no beginning, or the version is newer.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, JournalError> {
        if bytes.len() > MAX_JOURNAL {
            return Err(JournalError::TooLarge(bytes.len()));
        }
        let whole_bytes = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |last| last + 1);
        let mut journal: Option<Self> = None;
        for (index, line) in bytes[..whole_bytes].split_inclusive(|b| *b == b'\n').enumerate() {
            let record =
                serde_json::from_slice(line).map_err(|source| JournalError::Line { line: index + 1, source })?;
            match (&mut journal, record) {
                (None, Record::Begin { v, .. }) if v > VERSION => {
                    return Err(JournalError::Newer(v));
                }
                (None, Record::Begin { task, .. }) => journal = Some(Self { task: *task, swap: None, whole_bytes }),
                (None, _) => return Err(JournalError::NoBeginning),
                (Some(journal), Record::Swapping(swap)) => journal.swap = Some(*swap),
                (Some(_), _) => {}
            }
        }
        Ok(journal)
    }
}

impl<T: Serialize> Record<T> {
    /// The line to append, with its line end.
    ///
    /// # Errors
    /// When it cannot be made JSON.
    pub fn to_line(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::Settings;
    use av1_crds::wire::{EncodeVerdict, JobId, LibraryId, SettleTask};

    use super::*;

    fn begin(v: u32) -> Record<SettleTask> {
        let task = SettleTask {
            library: LibraryId { namespace: "n".into(), name: "films".into(), uid: "l".into(), cluster: "c".into() },
            job: JobId { name: "j".into(), uid: "u".into(), run: 1 },
            volume_id: "v".into(),
            path: "a\nb.mkv".into(),
            source: FileIdentity::default(),
            verdict: EncodeVerdict::Encoded,
            reason: "Encoded".into(),
            message: String::new(),
            output: None,
            report_sha256: None,
            size_gate: None,
            settings: Settings::resolve(&[]).unwrap(),
            force: vec![],
            offered: false,
            swap: SwapMethod::Link,
            takeover_from: vec![],
        };
        Record::Begin { v, task: Box::new(task) }
    }

    fn swapping() -> Record<SettleTask> {
        Record::Swapping(Box::new(Swap {
            method: SwapMethod::Link,
            old: FileIdentity::default(),
            old_sha256: "o".into(),
            new: FileIdentity::default(),
            new_sha256: "p".into(),
            kept_name: "b.mkv".into(),
            new_name: None,
            at: "2026-01-01T00:00:00Z".into(),
            until: Some("2026-01-08T00:00:00Z".into()),
            not_kept: vec![],
        }))
    }

    fn parse(bytes: &[u8]) -> Result<Option<Journal<SettleTask>>, JournalError> {
        Journal::parse(bytes)
    }

    fn bytes(records: &[Record<SettleTask>]) -> Vec<u8> {
        records.iter().flat_map(|r| r.to_line().unwrap()).collect()
    }

    #[test]
    fn a_journal_cut_at_any_byte_reads_as_its_whole_lines() {
        let all = bytes(&[begin(1), swapping(), Record::Swapped]);
        let first = bytes(&[begin(1)]).len();
        let second = bytes(&[begin(1), swapping()]).len();
        for cut in 0..=all.len() {
            let journal = parse(&all[..cut]).unwrap();
            assert_eq!(journal.is_some(), cut >= first, "{cut}");
            assert_eq!(journal.is_some_and(|j| j.swap.is_some()), cut >= second, "{cut}");
        }
    }

    #[test]
    fn nonsense_and_newer_journals_are_refused() {
        assert!(matches!(parse(b"nonsense\n"), Err(JournalError::Line { line: 1, .. })));
        assert!(matches!(parse(&bytes(&[Record::Swapped])), Err(JournalError::NoBeginning)));
        assert!(matches!(parse(&bytes(&[begin(2)])), Err(JournalError::Newer(2))));
    }
}
