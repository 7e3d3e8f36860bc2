//! Where a file that makes room is kept, under which name, and until when.

use std::ffi::OsStr;

use av1_crds::paths::ORIGINAL_SUFFIX;
use av1_crds::settings::Originals;
use av1_crds::wire::SettleTask;
use av1_media::trash::{MAX_NAME, SUFFIX, name_in_trash, path_in_trash};
use jiff::{SignedDuration, Timestamp};

use super::error::{Doing, SettleError};
use super::place::{Place, State};
use crate::beneath::Folder;

/// Names that are tried.
const MOST_NAMES: u32 = 1_000;

/// Where an original is kept.
pub(super) struct Keep {
    pub(super) folder: Folder,
    /// Whether that is the trash, where a description tells of it and its time ends.
    pub(super) in_trash: bool,
}

impl Keep {
    /// The place that the task's settings ask for.
    pub(super) fn of(state: &State, place: &Place, task: &SettleTask) -> Result<Self, SettleError> {
        match task.settings.originals {
            Originals::Trash | Originals::Delete => Ok(Self { folder: state.trash_of(&task.job.uid)?, in_trash: true }),
            Originals::KeepBeside => {
                let folder = place.folder.again().doing(|| "holding the file's folder open".to_owned())?;
                Ok(Self { folder, in_trash: false })
            }
        }
    }

    /// A free name for the original.
    pub(super) fn free_name(&self, task: &SettleTask, place: &Place) -> Result<String, SettleError> {
        if self.in_trash { free_name(&self.folder, &task.path, &place.name) } else { free_beside(&self.folder, place) }
    }

    /// Path of the original below the library's root.
    pub(super) fn path(&self, task: &SettleTask, name: &str) -> String {
        if self.in_trash {
            return path_in_trash(&task.job.uid, name);
        }
        match task.path.rsplit_once('/') {
            Some((folder, _)) => format!("{folder}/{name}"),
            None => name.to_owned(),
        }
    }

    /// Until when it is kept; none where a person removes it.
    pub(super) fn until(&self, task: &SettleTask, at: Timestamp) -> Option<String> {
        self.in_trash.then(|| until(at, task.settings.retention_seconds()))
    }
}

/// A name in a job's trash folder that is free, with its description's, for the file `name` at `path`.
pub(super) fn free_name(trash: &Folder, path: &str, name: &OsStr) -> Result<String, SettleError> {
    for attempt in 0..MOST_NAMES {
        let candidate = name_in_trash(path, &name.to_string_lossy(), attempt);
        let taken = || {
            Ok(trash.stat(OsStr::new(&candidate))?.is_some()
                || trash.stat(OsStr::new(&format!("{candidate}{SUFFIX}")))?.is_some())
        };
        if !taken().doing(|| "looking for a free name in the trash".to_owned())? {
            return Ok(candidate);
        }
    }
    Err(SettleError::Parked(format!("the job's trash folder holds more than {MOST_NAMES} originals of this file")))
}

fn free_beside(folder: &Folder, place: &Place) -> Result<String, SettleError> {
    let name = place.name.to_string_lossy();
    for attempt in 0..MOST_NAMES {
        let number = if attempt == 0 { String::new() } else { format!(".{attempt}") };
        let candidate = format!("{name}{ORIGINAL_SUFFIX}{number}");
        if candidate.len() > MAX_NAME {
            return Err(SettleError::Invalid(format!(
                "{candidate:?} would have more than {MAX_NAME} bytes: set replacement.originals to Trash for this file"
            )));
        }
        let taken =
            folder.stat(OsStr::new(&candidate)).doing(|| "looking for a free name beside the file".to_owned())?;
        if taken.is_none() {
            return Ok(candidate);
        }
    }
    Err(SettleError::Parked(format!("more than {MOST_NAMES} originals of this file are kept beside it")))
}

/// The end of a retention, RFC 3339.
pub(super) fn until(at: Timestamp, seconds: u64) -> String {
    let retention = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.saturating_add(retention).unwrap_or(Timestamp::MAX).to_string()
}
