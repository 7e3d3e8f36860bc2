//! How a step of an encode ends the run early: with a verdict on the file, or with a failure that may heal.

use std::io;
use std::path::Path;

use av1_crds::reasons;
use av1_crds::wire::EncodeVerdict;
use av1_media::streams::Refusal;

use crate::role::RoleFailure;
use crate::supervise::{SuperviseError, stop_requested};

/// Why a run ends before its last step.
#[derive(Debug)]
pub(crate) enum Ended {
    /// There is a verdict on the file.
    Verdict { verdict: EncodeVerdict, reason: String, message: String },
    /// The work could not be done.
    Failed(RoleFailure),
}

impl Ended {
    /// The file is left alone.
    pub(crate) fn skipped(reason: &str, message: impl Into<String>) -> Self {
        Self::Verdict { verdict: EncodeVerdict::Skipped, reason: reason.to_owned(), message: message.into() }
    }

    /// A failure that may heal.
    pub(crate) fn retry(reason: &str, message: impl Into<String>) -> Self {
        Self::Failed(RoleFailure::retry(reason, message))
    }

    /// A program failed while it did `what` in the folder `work`.
    pub(crate) fn tool(what: &str, work: &Path, error: &SuperviseError) -> Self {
        match error {
            SuperviseError::Stopped { .. } => {
                Self::retry(reasons::POD_LOST, format!("{what} was stopped, because the pod is to end"))
            }
            error if error.is_no_space() => Self::retry(reasons::NO_SPACE, no_space(what, work)),
            error @ SuperviseError::Disturbed { .. } => Self::retry(reasons::IO_ERROR, format!("{what}: {error}")),
            SuperviseError::Start { source, .. } | SuperviseError::Read { source, .. } => Self::io(what, work, source),
            error => Self::retry(reasons::ENCODE_FAILED, format!("{what}: {error}")),
        }
    }

    /// A program found fault with `what`, which cannot be read plainly either.
    pub(crate) fn unread(what: &str, found: &str, error: &io::Error) -> Self {
        if stop_requested() {
            return Self::retry(
                reasons::POD_LOST,
                format!("reading {what} again was stopped, because the pod is to end"),
            );
        }
        Self::retry(reasons::IO_ERROR, format!("{what} cannot be read: {error}. Before that: {found}"))
    }

    /// An operation on a file in the folder `work` failed.
    pub(crate) fn io(what: &str, work: &Path, error: &io::Error) -> Self {
        if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::retry(reasons::NO_SPACE, no_space(what, work))
        } else {
            Self::retry(reasons::IO_ERROR, format!("{what}: {error}"))
        }
    }
}

impl From<Refusal> for Ended {
    fn from(refusal: Refusal) -> Self {
        Self::skipped(refusal.reason, refusal.message)
    }
}

/// The sentence on a full volume, with its figures.
fn no_space(what: &str, work: &Path) -> String {
    let figures = rustix::fs::statvfs(work).map_or_else(
        |_| "the volume is full".to_owned(),
        |fs| {
            format!("{} MB of {} MB are free", megabytes(fs.f_bavail, fs.f_frsize), megabytes(fs.f_blocks, fs.f_frsize))
        },
    );
    format!(
        "{what}: no space is left in {} ({figures}); free space there, what the library's volume has of finished chunks is kept",
        work.display()
    )
}

fn megabytes(blocks: u64, block: u64) -> u64 {
    blocks.saturating_mul(block) / 1_000_000
}
