//! Where a file that makes room is kept, under which name, and until when.

use std::ffi::OsStr;

use av1_crds::paths::ORIGINAL_SUFFIX;
use av1_crds::settings::Originals;
use av1_crds::wire::SettleTask;
use av1_media::journal::{Record, Swap};
use av1_media::trash::{MAX_NAME, SUFFIX, longest_name, name_in_trash, path_in_trash};
use jiff::{SignedDuration, Timestamp};

use super::error::{Doing, SettleError};
use super::journal::JournalFile;
use super::place::{Place, State, stat_or_too_long};
use crate::beneath::Folder;
use crate::role::now;

/// Seconds of delay from which on the time is counted anew; one record a try, and journals have a limit.
const LATE: i64 = 3_600;
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

/// A swap that goes on long after it began keeps the file that makes room as long as one that begins now, if that is not in the trash
/// yet: its time must not be over before anybody could ask for it back.
pub(super) fn renewed(
    trash: &Folder,
    swap: &Swap,
    until: Option<String>,
    journal: &mut JournalFile,
) -> Result<Swap, SettleError> {
    let seconds = |until: &Option<String>| until.as_ref()?.parse().ok().map(Timestamp::as_second);
    let is_late = match (seconds(&until), seconds(&swap.until)) {
        (Some(now), Some(then)) => now - then >= LATE,
        _ => false,
    };
    let doing = || "looking into the trash".to_owned();
    if !is_late || trash.stat(OsStr::new(&swap.kept_name)).doing(doing)?.is_some() {
        return Ok(swap.clone());
    }
    let swap = Swap { until, ..swap.clone() };
    journal.append("swapping", &Record::<()>::Swapping(Box::new(swap.clone())))?;
    Ok(swap)
}

/// A name in a job's trash folder that is free, with its description's, for the file `name` at `path`.
pub(super) fn free_name(trash: &Folder, path: &str, name: &OsStr) -> Result<String, SettleError> {
    let name = name.to_string_lossy();
    let doing = || "looking for a free name in the trash".to_owned();
    let longest = longest_name(&name);
    let fits = longest.len() <= MAX_NAME && stat_or_too_long(trash, OsStr::new(&longest)).doing(doing)?.is_some();
    for attempt in 0..MOST_NAMES {
        let candidate = name_in_trash(path, &name, attempt, fits);
        let taken = || {
            Ok(trash.stat(OsStr::new(&candidate))?.is_some()
                || trash.stat(OsStr::new(&format!("{candidate}{SUFFIX}")))?.is_some())
        };
        if !taken().doing(doing)? {
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
        let stat = stat_or_too_long(folder, OsStr::new(&candidate));
        match stat.doing(|| "looking for a free name beside the file".to_owned())? {
            Some(None) => return Ok(candidate),
            Some(Some(_)) => {}
            None => {
                return Err(SettleError::Invalid(format!(
                    "{candidate:?} would be longer than the file system allows: set replacement.originals to Trash for this file, then ask for a retry"
                )));
            }
        }
    }
    Err(SettleError::Parked(format!("more than {MOST_NAMES} originals of this file are kept beside it")))
}

/// The end of a retention that began at `at` by the file system's clock, RFC 3339. One clock may be behind: the later one counts.
pub(super) fn until(at: Timestamp, seconds: u64) -> String {
    let retention = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    at.max(now()).saturating_add(retention).unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::beneath::Root;

    #[test]
    fn a_name_that_the_file_system_has_no_room_for_is_a_shorter_one_in_the_trash() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Root::open(dir.path()).unwrap().open_folder(Path::new("")).unwrap();
        let free = |name: &str| free_name(&folder, name, OsStr::new(name)).unwrap();
        assert_eq!(free("a.mkv"), "a.mkv");
        std::fs::write(dir.path().join("a.mkv"), "").unwrap();
        assert_eq!(free("a.mkv"), "a.mkv.1");
        let long = "n".repeat(255);
        assert!(free(&long).starts_with("original-"));
        assert!(stat_or_too_long(&folder, OsStr::new(&long)).unwrap().unwrap().is_none());
        assert!(stat_or_too_long(&folder, OsStr::new(&format!("{long}n"))).unwrap().is_none());
    }

    #[test]
    fn a_retention_does_not_begin_before_the_present_however_far_behind_the_file_systems_clock_is() {
        let ends = |at: Timestamp| until(at, 3_600).parse::<Timestamp>().unwrap();
        let hour = SignedDuration::from_secs(3_600);
        assert!(ends("2001-01-01T00:00:00Z".parse().unwrap()) > Timestamp::now());
        let ahead = Timestamp::now().checked_add(hour * 48).unwrap();
        assert_eq!(ends(ahead), ahead.checked_add(hour).unwrap());
    }
}
