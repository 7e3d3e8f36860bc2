//! Files beside the media that are ours: the marker `NAME.EXT.av1skip` that keeps a file from being encoded, and the sidecar
//! `NAME.EXT.why.txt` that says why in plain words.
//!
//! An empty marker, or one that we cannot read, is the user's and absolute. One that we wrote names the file it is about and
//! lapses when that file is another.

use av1_crds::figures;
use std::fmt::Write as _;

use av1_crds::wire::{EncodeVerdict, FileIdentity, ScanVerdict, SizeGateResult};
use serde::{Deserialize, Serialize};

/// Version of the marker's format.
pub const VERSION: u32 = 1;
/// Most bytes of a marker that are read; a longer one is the user's.
pub const MAX_MARKER: usize = 64 << 10;
/// First line of every sidecar that we write: a file without it is somebody else's and never touched.
pub const WHY_HEADER: &str = "av1-operator: why this file was left as it is";

/// A marker that we wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnMarker {
    /// Version of the format.
    pub v: u32,
    /// Always `av1-operator`; tells our markers from others that happen to be JSON.
    pub written_by: String,
    /// Name of the file that it is about.
    pub file: String,
    /// Identity of that file.
    pub identity: FileIdentity,
    /// One of [`av1_crds::reasons`].
    pub reason: String,
    /// What happened, with the figures.
    pub message: String,
    /// When, RFC 3339.
    pub at: String,
}

/// What a marker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Marker {
    /// The user's: the file, or all files in its folder and below, stay as they are.
    Users,
    /// Ours, about one file.
    Ours(OwnMarker),
}

impl Marker {
    /// Reads a marker's bytes (at least the first `MAX_MARKER + 1`). What cannot be read as ours is the user's.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        if bytes.len() > MAX_MARKER {
            return Self::Users;
        }
        match serde_json::from_slice::<OwnMarker>(bytes) {
            Ok(own) if own.written_by == WRITTEN_BY && own.v <= VERSION => Self::Ours(own),
            _ => Self::Users,
        }
    }

    /// Whether the marker keeps the file with this identity as it is.
    #[must_use]
    pub fn covers(&self, identity: &FileIdentity) -> bool {
        match self {
            Self::Users => true,
            Self::Ours(own) => own.identity.size == identity.size && own.identity.fingerprint == identity.fingerprint,
        }
    }
}

const WRITTEN_BY: &str = "av1-operator";

impl OwnMarker {
    /// A marker about `file`, which has `identity`.
    #[must_use]
    pub fn new(file: &str, identity: &FileIdentity, reason: &str, message: &str, at: &str) -> Self {
        Self {
            v: VERSION,
            written_by: WRITTEN_BY.to_owned(),
            file: file.to_owned(),
            identity: identity.clone(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            at: at.to_owned(),
        }
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// When it cannot be made JSON.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        Ok(json)
    }
}

/// What a sidecar tells.
#[derive(Debug, Clone)]
pub struct Why<'a> {
    /// Name of the file.
    pub file: &'a str,
    /// What the encode came to.
    pub verdict: EncodeVerdict,
    /// One of [`av1_crds::reasons`].
    pub reason: &'a str,
    /// What happened, with the figures.
    pub message: &'a str,
    /// Size against the source, when there was an output.
    pub size_gate: Option<&'a SizeGateResult>,
    /// When, RFC 3339.
    pub at: &'a str,
    /// Whether a marker was written beside it.
    pub marked: bool,
}

/// Text of the sidecar of a job.
#[must_use]
pub fn why_text(why: &Why<'_>) -> String {
    let mut text = why_head(why.file);
    text.push_str(match why.verdict {
        EncodeVerdict::Encoded => "replaced by its AV1 version",
        EncodeVerdict::Rejected => "encoded, but the result was not worth keeping",
        EncodeVerdict::Skipped => "not encoded",
        EncodeVerdict::Failed => "the encode or one of its checks failed",
    });
    // Writing to a String cannot fail.
    let _ = write!(text, " ({})\nWhy:     {}\n", why.reason, one_line(why.message));
    if let Some(gate) = why.size_gate {
        let _ = writeln!(
            text,
            "Sizes:   {} before, {} after: {} %; it had to be below {} %",
            figures::size(gate.input_bytes),
            figures::size(gate.output_bytes),
            gate.percent,
            gate.max_percent
        );
    }
    let _ = writeln!(text, "When:    {}", why.at);
    text.push_str(UNCHANGED);
    if why.marked {
        let _ = writeln!(
            text,
            "To have it tried again, delete \"{}.av1skip\" beside it and ask for a retry.",
            one_line(why.file)
        );
    }
    text
}

/// Text of the sidecar of a file that a scan passed over.
#[must_use]
pub fn scan_why_text(file: &str, says: &ScanVerdict, at: &str) -> String {
    format!("{}When:    {at}\n{UNCHANGED}", scan_why_head(file, says))
}

/// Whether a sidecar is one of a scan about `file` that says this, whenever it was written.
#[must_use]
pub fn why_tells(bytes: &[u8], file: &str, says: &ScanVerdict) -> bool {
    bytes.strip_prefix(scan_why_head(file, says).as_bytes()).is_some_and(|rest| rest.starts_with(b"When:    "))
}

/// Whether a sidecar was written for a scan, and not by a job or somebody else.
#[must_use]
pub fn why_is_a_scans(bytes: &[u8]) -> bool {
    let result = bytes.split(|byte| *byte == b'\n').nth(3);
    why_is_ours(bytes) && result.is_some_and(|line| line.starts_with(format!("Result:  {PASSED_OVER} (").as_bytes()))
}

fn scan_why_head(file: &str, says: &ScanVerdict) -> String {
    format!("{}{PASSED_OVER} ({})\nWhy:     {}\n", why_head(file), says.reason, one_line(&says.message))
}

fn why_head(file: &str) -> String {
    format!("{WHY_HEADER}\n\nFile:    {}\nResult:  ", one_line(file))
}

/// What a scan's sidecar has where a job's tells what the encode came to.
const PASSED_OVER: &str = "passed over by the scan";
const UNCHANGED: &str = "\nThe file itself was not changed.\n";

/// Whether a sidecar's bytes are ours.
#[must_use]
pub fn why_is_ours(bytes: &[u8]) -> bool {
    bytes.strip_prefix(WHY_HEADER.as_bytes()).is_some_and(|rest| rest.first() == Some(&b'\n'))
}

fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(size: u64) -> FileIdentity {
        FileIdentity { size, fingerprint: "f".into(), ..FileIdentity::default() }
    }

    #[test]
    fn an_empty_or_foreign_marker_is_the_users_and_covers_every_file() {
        for bytes in [&b""[..], b"keep", b"{}", br#"{"v":1,"writtenBy":"someone"}"#, &vec![b' '; MAX_MARKER + 1]] {
            assert_eq!(Marker::read(bytes), Marker::Users);
        }
        assert!(Marker::Users.covers(&identity(1)));
    }

    #[test]
    fn our_marker_lapses_when_the_file_is_another() {
        let own = OwnMarker::new("a.mkv", &identity(10), "NotSmaller", "m", "2026-01-01T00:00:00Z");
        let marker = Marker::read(&own.to_json().unwrap());
        assert_eq!(marker, Marker::Ours(own));
        assert!(marker.covers(&FileIdentity { inode: 9, modified_time_ns: 3, ..identity(10) }));
        assert!(!marker.covers(&identity(11)));
        assert!(!marker.covers(&FileIdentity { fingerprint: "g".into(), ..identity(10) }));
    }

    #[test]
    fn the_sidecar_has_the_figures_and_a_hostile_name_stays_on_its_line() {
        let gate = SizeGateResult { input_bytes: 1000, output_bytes: 950, percent: 95, max_percent: 90, passed: false };
        let why = Why {
            file: "a\nWhy: b.mkv",
            verdict: EncodeVerdict::Rejected,
            reason: "NotSmaller",
            message: "950 of 1000 bytes",
            size_gate: Some(&gate),
            at: "2026-01-01T00:00:00Z",
            marked: true,
        };
        let text = why_text(&why);
        assert!(text.contains("File:    a Why: b.mkv\n") && text.contains("95 %; it had to be below 90 %"), "{text}");
        assert!(why_is_ours(text.as_bytes()) && !why_is_ours(b"my notes"));
        assert!(!why_is_a_scans(text.as_bytes()));
    }

    #[test]
    fn a_scans_sidecar_is_known_from_a_jobs_and_by_what_it_says() {
        let says = |message: &str| ScanVerdict { reason: "TooSmall".into(), message: message.into() };
        let file = "a\nResult:  b.mkv";
        let text = scan_why_text(file, &says("one\ntwo"), "2026-01-01T00:00:00Z");
        assert!(
            text.contains("Result:  passed over by the scan (TooSmall)\nWhy:     one two\nWhen:    2026"),
            "{text}"
        );
        assert!(why_is_ours(text.as_bytes()) && why_is_a_scans(text.as_bytes()));
        assert!(why_tells(text.as_bytes(), file, &says("one\ntwo")));
        assert!(
            !why_tells(text.as_bytes(), file, &says("one")) && !why_tells(text.as_bytes(), "b.mkv", &says("one two"))
        );
        assert!(!why_is_a_scans(b"Result:  passed over by the scan (TooSmall)"));
    }
}
