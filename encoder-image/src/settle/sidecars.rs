//! The sidecars role: writes and removes the sidecars of scans, from the list that it is given.
//!
//! It takes no claim: a sidecar of a job, or of a user, that is there or comes meanwhile stays, and what a scan finds to be wrong
//! it asks for again. May: write, replace and remove `NAME.EXT.why.txt` of scans. Must never: touch any other file, start a program.

use std::ffi::OsStr;
use std::io;

use av1_crds::wire::{MAX_SIDECARS, Sidecar, SidecarsResult, SidecarsTask};
use av1_media::marker::{scan_why_text, why_is_a_scans, why_tells};

use super::error::{Doing, SettleError};
use super::place::{Place, write_new, write_whole};
use super::record::{MAX_WHY, read_small, why_name};
use crate::beneath::Root;
use crate::failpoint::durable;
use crate::role::{PodArgs, RoleFailure, now};
use crate::volume;

/// Stands for a job in the names of temporary files.
const NO_JOB: &str = "sidecars";
/// Most characters of why one could not be written.
const MOST_OF_A_MESSAGE: usize = 300;

/// What was done beside a file.
#[derive(Debug, PartialEq, Eq)]
enum Done {
    Written,
    Removed,
    Nothing,
}

/// Writes and removes what the task lists. One that cannot be written does not keep the others from it.
pub(crate) fn run(task: &SidecarsTask, args: &PodArgs) -> Result<SidecarsResult, RoleFailure> {
    #[cfg(feature = "failpoints")]
    let _points = crate::failpoint::setup();
    if task.sidecars.len() > MAX_SIDECARS {
        let count = task.sidecars.len();
        return Err(
            SettleError::Invalid(format!("at most {MAX_SIDECARS} sidecars are written at once, not {count}")).into()
        );
    }
    let root = Root::open(&args.library).doing(|| format!("opening the library {}", args.library.display()))?;
    volume::check(&root, &task.volume_id, &task.library)?;
    let at = now().to_string();
    let mut result = SidecarsResult::default();
    for sidecar in &task.sidecars {
        match put(&root, sidecar, &at) {
            Ok(Done::Written) => result.written += 1,
            Ok(Done::Removed) => result.removed += 1,
            Ok(Done::Nothing) => {}
            Err(error) => {
                tracing::warn!("the sidecar beside {:?}: {error}", sidecar.path);
                result.left += 1;
                let message = format!("{:?}: {error}", sidecar.path);
                let plain = |c: &char| !c.is_control();
                result.message.get_or_insert_with(|| message.chars().filter(plain).take(MOST_OF_A_MESSAGE).collect());
            }
        }
    }
    Ok(result)
}

/// Makes the sidecar beside one file what it is to be, unless it is not a scan's.
fn put(root: &Root, sidecar: &Sidecar, at: &str) -> Result<Done, SettleError> {
    super::validate_path(&sidecar.path)?;
    let Some(place) = Place::open(root, &sidecar.path, NO_JOB)? else {
        return Ok(Done::Nothing);
    };
    let Some(name) = why_name(&place, &mut Vec::new()) else {
        return Ok(Done::Nothing);
    };
    let write = || -> io::Result<Done> {
        let there = place.folder.stat(&name)?.is_some();
        let text = if there { read_small(&place, &name, MAX_WHY)? } else { None };
        let ours = text.filter(|bytes| why_is_a_scans(bytes));
        if there && ours.is_none() {
            return Ok(Done::Nothing);
        }
        let Some(says) = &sidecar.says else {
            return ours.map_or(Ok(Done::Nothing), |_| remove(&place, &name));
        };
        let file = place.name.to_string_lossy();
        if place.folder.stat(&place.name)?.is_none() || ours.is_some_and(|now| why_tells(&now, &file, says)) {
            return Ok(Done::Nothing);
        }
        let text = scan_why_text(&file, says, at);
        let put = if there { write_whole } else { write_new };
        match put("sidecars::why", &place.folder, &place.temporary, &name, text.as_bytes()) {
            // Somebody else's came first.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(Done::Nothing),
            written => written.map(|()| Done::Written),
        }
    };
    write().doing(|| "writing it".to_owned())
}

fn remove(place: &Place, name: &OsStr) -> io::Result<Done> {
    durable("sidecars::remove", || place.folder.unlink(name))?;
    durable("sidecars::sync", || place.folder.sync())?;
    Ok(Done::Removed)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use av1_crds::wire::ScanVerdict;

    use super::*;

    fn says(message: &str) -> Option<ScanVerdict> {
        Some(ScanVerdict { reason: "TooSmall".into(), message: message.into() })
    }

    #[test]
    fn a_scans_sidecar_is_written_changed_and_removed_and_any_other_stays() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let put = |path: &str, says| super::put(&root, &Sidecar { path: path.into(), says }, "2026-01-02T03:04:05Z");
        let text = |path: &str| fs::read_to_string(dir.path().join(path)).unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b.mkv"), "film").unwrap();
        assert_eq!(put("a/b.mkv", says("4 bytes")).unwrap(), Done::Written);
        assert!(text("a/b.mkv.why.txt").contains("(TooSmall)\nWhy:     4 bytes\n"));
        assert_eq!(put("a/b.mkv", says("4 bytes")).unwrap(), Done::Nothing, "it says so already");
        assert_eq!(put("a/b.mkv", says("5 bytes")).unwrap(), Done::Written);
        assert_eq!(put("a/b.mkv", None).unwrap(), Done::Removed);
        assert_eq!(put("a/b.mkv", None).unwrap(), Done::Nothing);
        for other in ["my notes", &av1_media::marker::WHY_HEADER.replace('\n', "")] {
            fs::write(dir.path().join("a/b.mkv.why.txt"), other).unwrap();
            assert_eq!(put("a/b.mkv", says("4 bytes")).unwrap(), Done::Nothing);
            assert_eq!(put("a/b.mkv", None).unwrap(), Done::Nothing);
            assert_eq!(text("a/b.mkv.why.txt"), other);
        }
        assert_eq!(put("a/gone.mkv", says("m")).unwrap(), Done::Nothing, "there is no such file");
        assert_eq!(put("gone/b.mkv", says("m")).unwrap(), Done::Nothing);
        assert!(put("../b.mkv", says("m")).is_err() && put(".av1/b.mkv", None).is_err());
        assert_eq!(text("a/b.mkv"), "film");
        let names: Vec<_> = fs::read_dir(dir.path().join("a")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn one_that_cannot_be_written_does_not_keep_the_others_from_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("shut")).unwrap();
        fs::write(dir.path().join("shut/a.mkv"), "film").unwrap();
        let one = Sidecar { path: "shut/a.mkv".into(), says: says("m") };
        fs::set_permissions(dir.path().join("shut"), fs::Permissions::from_mode(0o500)).unwrap();
        let written = super::put(&root, &one, "now");
        fs::set_permissions(dir.path().join("shut"), fs::Permissions::from_mode(0o700)).unwrap();
        // Root may write everywhere.
        assert_eq!(written.is_err(), !rustix::process::geteuid().is_root());
    }
}
