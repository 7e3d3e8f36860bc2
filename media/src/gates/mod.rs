//! The gates: what is known of a file and the library's rules in, one verdict out.
//!
//! A gate is a small function over [`Facts`] that may still be unknown; [`CHAIN`] is their order, the first hit wins, and a file
//! that passes all is eligible. The same chain serves the catalog, the encode pod and [`explain`]. Pure: the facts are gathered elsewhere.
//!
//! What is unknown passes for now: whoever asks must first gather what it can. What a gate is unsure about it stops.

mod content;
mod decided;
mod explain;
mod file;
mod picture;
mod selection;
#[cfg(test)]
mod tests;

use av1_crds::library::ScanRules;
use av1_crds::reasons::{self, Standing};
use av1_crds::settings::Settings;
use av1_crds::wire::{FileIdentity, FileState};

pub use content::{Described, described};
pub use decided::Decision;
pub use explain::{Outcome, Step, explain};
pub use selection::{Selection, SelectionError, is_never_entered};

use crate::marker::Marker;
use crate::probe::{Probe, Stream};

/// Suffixes that downloaders append to the name of a file that is still on its way.
pub const UNFINISHED_SUFFIXES: [&str; 4] = [".part", ".!qB", ".aria2", ".crdownload"];

/// Least seconds that a file on NFS must not have changed: a client may show attributes as they were up to a minute ago (nfs(5):
/// acregmax and acdirmax are 60 s).
const NFS_STABLE_SECONDS: u32 = 65;

/// What a file is judged by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Which files are looked at.
    pub scan: ScanRules,
    /// Whether the library is on NFS.
    pub on_nfs: bool,
    /// Effective settings.
    pub settings: Settings,
    /// Gates that the user wants passed over, by reason; never those of [`reasons::NEVER_FORCED`].
    pub forced: Vec<String>,
    /// Whether the user asked for the file again: what we decided or marked before does not stop it.
    pub again: bool,
}

impl Rules {
    /// Rules without anything forced, for a library that is not on NFS.
    #[must_use]
    pub fn new(scan: ScanRules, settings: Settings) -> Self {
        Self { scan, on_nfs: false, settings, forced: Vec::new(), again: false }
    }

    /// Seconds that a file must not have changed.
    #[must_use]
    pub fn stable_seconds(&self) -> u32 {
        self.raised_stable_seconds().unwrap_or(self.scan.stable_seconds)
    }

    /// The same, where NFS asks for more of them than the settings do.
    #[must_use]
    pub fn raised_stable_seconds(&self) -> Option<u32> {
        (self.on_nfs && self.scan.stable_seconds < NFS_STABLE_SECONDS).then_some(NFS_STABLE_SECONDS)
    }

    /// The same in words.
    fn stability(&self) -> String {
        let raised = self.raised_stable_seconds().map(|needed| format!(", on NFS {needed}")).unwrap_or_default();
        format!("scan.stableSeconds is {}{raised}", self.scan.stable_seconds)
    }

    /// Whether a gate that stops a file for this reason is passed over.
    fn passes_over(&self, reason: &str) -> bool {
        !reasons::NEVER_FORCED.contains(&reason) && self.forced.iter().any(|forced| forced == reason)
    }
}

/// What is known of one file. A field that is `None` is unknown, and gates that need it pass.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// Path below the library's root; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Whether the path is UTF-8.
    pub utf8: bool,
    /// When the facts were gathered, in nanoseconds since 1970.
    pub now_ns: i64,
    /// Attributes.
    pub attributes: Option<Attributes>,
    /// The identity, with fingerprint.
    pub identity: Option<FileIdentity>,
    /// The marker beside the file.
    pub marker: Option<Marker>,
    /// Path of the nearest `.av1skip` in the file's folder or above.
    pub folder_marker: Option<String>,
    /// Name of a sibling that a downloader has not finished.
    pub unfinished_sibling: Option<String>,
    /// Looks before this one.
    pub earlier_look: EarlierLook,
    /// Decisions about this path, or about a file of this size anywhere, newest first.
    pub decisions: Option<Vec<Decision>>,
    /// Whether one of our jobs holds the claim on the path: it gives the file a second name for a moment.
    pub claimed: bool,
    /// User that the pod runs as.
    pub process_uid: Option<u32>,
    /// Whether that user is refused to write in the file's folder.
    pub folder_is_closed: Option<bool>,
    /// What ffprobe said.
    pub content: Option<Content>,
}

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    Regular,
    /// A symbolic link.
    SymbolicLink,
    /// A device, a socket, a pipe, a folder.
    Special,
}

/// Attributes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub kind: FileKind,
    /// Size in bytes.
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    pub modified_time_ns: i64,
    /// Number of names.
    pub links: u64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// The first look at a file that has the size and modification time that it has now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EarlierLook {
    /// Not known; somebody else took care of it.
    #[default]
    Unknown,
    /// This is the first.
    None,
    /// At this time, in nanoseconds since 1970.
    At(i64),
}

/// What ffprobe said.
#[derive(Debug, Clone)]
pub enum Content {
    /// It read the file.
    Read(Box<Probe>),
    /// It could not read the file, for this reason.
    Unreadable(String),
    /// The file could not be opened, for this reason.
    Closed(String),
    /// It could not do its work, which says nothing about the file.
    NotProbed(String),
}

impl Facts {
    /// The probe, when there is one.
    #[must_use]
    pub fn probe(&self) -> Option<&Probe> {
        match &self.content {
            Some(Content::Read(probe)) => Some(probe),
            _ => None,
        }
    }

    /// The main video stream, when there is one.
    #[must_use]
    pub fn video(&self) -> Option<&Stream> {
        self.probe()?.main_video()
    }

    /// Whether a gate could use the fingerprint: our marker, or a decision, is about a file of this size.
    #[must_use]
    pub fn wants_fingerprint(&self) -> bool {
        let Some(attributes) = self.attributes.filter(|a| a.kind == FileKind::Regular && self.identity.is_none())
        else {
            return false;
        };
        let marked = matches!(&self.marker, Some(Marker::Ours(own)) if own.identity.size == attributes.size);
        marked || self.decisions.iter().flatten().any(|decision| decision.is_about_size(attributes.size))
    }
}

/// The verdict on a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Its group.
    pub state: FileState,
    /// One of [`av1_crds::reasons`].
    pub reason: String,
    /// What was found, with the figures.
    pub message: String,
    /// Size before the encode, of a file that is our result.
    pub size_before: Option<u64>,
}

impl Verdict {
    fn new(state: FileState, reason: &str, message: impl Into<String>) -> Self {
        Self { state, reason: reason.to_owned(), message: message.into(), size_before: None }
    }

    fn skipped(reason: &str, message: impl Into<String>) -> Self {
        Self::new(FileState::Skipped, reason, message)
    }

    /// How long it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        reasons::standing(&self.reason)
    }

    /// Whether the file is worth encoding.
    #[must_use]
    pub fn is_eligible(&self) -> bool {
        self.state == FileState::Pending
    }
}

/// One gate.
#[derive(Debug, Clone, Copy)]
pub struct Gate {
    /// Its name, that of its function.
    pub name: &'static str,
    /// A verdict when the file stops here.
    pub judge: fn(&Facts, &Rules) -> Option<Verdict>,
}

/// The list of gates, each under the name of its function.
macro_rules! chain {
    ($($module:ident :: $gate:ident),+ $(,)?) => { &[$(Gate { name: stringify!($gate), judge: $module::$gate }),+] };
}

/// The gates in their order. Those before `unreadable` need no look into the file.
///
/// A file that we made comes before its size: it is smaller than the source was, often below `minSize`.
pub const CHAIN: &[Gate] = chain![
    file::users_marker,
    decided::already_done,
    file::our_marker,
    file::too_small,
    file::not_stable,
    file::not_regular,
    file::hard_linked,
    file::unrepresentable_name,
    decided::decided_before,
    file::other_owner,
    file::folder_not_writable,
    content::unreadable,
    content::no_video,
    content::already_av1,
    content::container_change,
    picture::dolby_vision,
    picture::hdr10_plus,
    picture::interlaced,
    picture::closed_captions,
    content::several_video_streams,
    content::data_streams,
    picture::chroma_reduced,
    picture::depth_reduced,
    picture::alpha_lost,
    picture::unsupported_side_data,
    picture::cannot_be_encoded,
    content::streams,
    content::cannot_decode,
];

/// The first gate that stops the file and is not passed over, if any does.
#[must_use]
pub fn stopped(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    CHAIN.iter().find_map(|gate| (gate.judge)(facts, rules).filter(|verdict| !rules.passes_over(&verdict.reason)))
}

/// The verdict: of the first gate that stops the file, or that it is worth encoding.
#[must_use]
pub fn judge(facts: &Facts, rules: &Rules) -> Verdict {
    stopped(facts, rules).unwrap_or_else(|| {
        let message = facts.video().map_or_else(|| "no gate stopped it".to_owned(), content::describe);
        Verdict::new(FileState::Pending, reasons::ELIGIBLE, message)
    })
}
