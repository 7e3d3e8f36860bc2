//! What can go wrong while a file is settled, and what the operator is told of it.

use std::io;

use av1_crds::reasons::{self, exit};
use rustix::io::Errno;

use crate::role::RoleFailure;

/// Why a file could not be settled.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettleError {
    /// An operation of the file system failed.
    #[error("{operation}: {source}")]
    Io {
        /// What was tried, on what.
        operation: String,
        /// Why it failed.
        source: io::Error,
    },
    /// Another pod settles this path.
    #[error("the path is being settled by pod {holder} of job {job}: wait until it ends")]
    ClaimHeld {
        /// UID of that pod.
        holder: String,
        /// UID of its job.
        job: String,
    },
    /// It cannot be told what happened; all files are kept where they are.
    #[error("{0}; all files are kept as they are: look at them before anything is done")]
    Parked(String),
    /// The task cannot be carried out as written.
    #[error("{0}")]
    Invalid(String),
    /// The file that the encode left is not the one that was verified.
    #[error("{0}")]
    BadOutput(String),
}

/// Whether an error stays until a person changes something: a right, a name, or a volume that is mounted read-only.
pub(super) fn is_lasting(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::ACCESS | Errno::PERM | Errno::ROFS | Errno::NAMETOOLONG))
}

/// What a person does about a lasting error.
fn remedy(error: &io::Error) -> &'static str {
    match Errno::from_io_error(error) {
        Some(Errno::NAMETOOLONG) => "give the file a shorter name",
        _ => "let the library's user write there",
    }
}

impl SettleError {
    /// What the operator is told. While no name was changed (`swapping` is false) an error that stays is final: the file is as
    /// it was, and no other waits for it.
    pub(super) fn failure(self, swapping: bool) -> RoleFailure {
        match &self {
            Self::Io { source, .. } if !swapping && is_lasting(source) => RoleFailure::new(
                reasons::REPLACEMENT_FAILED,
                format!("{self}; the original is untouched: {}, then ask for a retry", remedy(source)),
                false,
                exit::FAILURE,
            ),
            _ => self.into(),
        }
    }

    fn is_full(&self) -> bool {
        let Self::Io { source, .. } = self else {
            return false;
        };
        matches!(Errno::from_io_error(source), Some(Errno::NOSPC | Errno::DQUOT))
    }
}

impl std::convert::From<SettleError> for RoleFailure {
    fn from(error: SettleError) -> Self {
        let text = error.to_string();
        match error {
            SettleError::Io { .. } if error.is_full() => Self::retry(
                reasons::NO_SPACE,
                format!("{text}; the original is untouched or kept: free space on the volume, it is tried again"),
            ),
            SettleError::Io { .. } => {
                Self::retry(reasons::IO_ERROR, format!("{text}; no file is lost, it is tried again"))
            }
            SettleError::ClaimHeld { .. } => Self::new(reasons::CLAIM_HELD, text, true, exit::CLAIM_HELD),
            SettleError::Parked(_) => Self::new(reasons::REPLACEMENT_FAILED, text, false, exit::FAILURE),
            SettleError::Invalid(_) => Self::bad_input(reasons::INVALID_TASK, text),
            SettleError::BadOutput(_) => Self::new(reasons::BAD_OUTPUT, text, false, exit::FAILURE),
        }
    }
}

/// Says what an operation was about when it fails.
pub(super) trait Doing<T> {
    /// Names the operation, with what it was done to.
    fn doing(self, operation: impl FnOnce() -> String) -> Result<T, SettleError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, operation: impl FnOnce() -> String) -> Result<T, SettleError> {
        self.map_err(|source| SettleError::Io { operation: operation(), source })
    }
}
