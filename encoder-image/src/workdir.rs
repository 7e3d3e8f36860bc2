//! The workdir role, an init container of the encode pod: makes the run's work folder, or takes over the one of an earlier run of
//! the job, so that its finished chunks are not encoded again.
//!
//! May: make and rename folders below `.av1/work`. Must never: read media, or touch the folder of another job. It sees `.av1` alone,
//! not the source, so it reports the free space; whether that is enough the operator has decided.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::wire::{EncodeTask, WorkdirResult};
use rustix::io::Errno;

use crate::beneath::{Folder, Root};
use crate::role::{PodArgs, RoleFailure};
use crate::volume;

/// The library's user alone works in the folder.
const FOLDER_MODE: u32 = 0o700;

/// Makes the folder.
pub(crate) fn run(task: &EncodeTask, args: &PodArgs) -> Result<WorkdirResult, RoleFailure> {
    let uid = &task.job.uid;
    if uid.is_empty() || uid.len() > 64 || !uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(RoleFailure::bad_input(reasons::INVALID_TASK, format!("{uid:?} is not the UID of a job")));
    }
    let root = Root::open(&args.state_root).map_err(|e| failure("opening the library's .av1", &e))?;
    volume::check_in(root.folder(), &task.volume_id, &task.library)?;
    let work = root.open_folder(Path::new(paths::WORK_DIR)).map_err(|e| failure("opening .av1/work", &e))?;
    let taken_over = make(&work, uid, task.job.run, task.take_over_run)
        .map_err(|e| failure(&format!("making the work folder .av1/work/{uid}/{}", task.job.run), &e))?;
    let space = rustix::fs::fstatvfs(&work).map_err(|e| failure("asking for the free space", &e.into()))?;
    Ok(WorkdirResult { free_bytes: space.f_bavail.saturating_mul(space.f_frsize), taken_over })
}

/// Makes the run's folder, or renames the earlier run's to it, and proves that files can be made in it. Doing it again changes nothing.
fn make(work: &Folder, uid: &str, run: i64, earlier: Option<i64>) -> io::Result<bool> {
    let job = work.make_folder(OsStr::new(uid), FOLDER_MODE)?;
    let name = run.to_string();
    let taken_over = match earlier {
        Some(earlier) if earlier != run => take_over(&job, &earlier.to_string(), &name)?,
        _ => false,
    };
    let folder = job.make_folder(OsStr::new(&name), FOLDER_MODE)?;
    let trial = OsStr::new(".workdir-trial");
    folder.unlink(trial)?;
    let mut file = folder.create_new(trial, 0o600)?;
    file.write_all(b"trial")?;
    file.sync_all()?;
    folder.unlink(trial)?;
    folder.sync()?;
    job.sync()?;
    work.sync()?;
    Ok(taken_over)
}

/// Renames the earlier run's folder, unless the run has one of its own with something in it, or there is no earlier one.
fn take_over(job: &Folder, earlier: &str, name: &str) -> io::Result<bool> {
    let (earlier, name) = (OsStr::new(earlier), OsStr::new(name));
    if job.stat(earlier)?.is_none() {
        return Ok(false);
    }
    // A plain rename takes the place of an empty folder and refuses one that is not.
    match job.rename(earlier, job, name) {
        Ok(()) => Ok(true),
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOTEMPTY | Errno::EXIST)) => Ok(false),
        Err(e) => Err(e),
    }
}

fn failure(operation: &str, error: &io::Error) -> RoleFailure {
    match Errno::from_io_error(error) {
        Some(Errno::NOSPC | Errno::DQUOT) => RoleFailure::retry(
            reasons::NO_SPACE,
            format!("{operation}: {error}: free space on the volume, it is tried again"),
        ),
        Some(Errno::ACCESS | Errno::PERM) => {
            let user = rustix::process::geteuid().as_raw();
            RoleFailure::retry(
                reasons::IO_ERROR,
                format!(
                    "{operation}: {error}: user {user} may not write there; .av1 must belong to the user that the library's pods run as"
                ),
            )
        }
        _ => RoleFailure::retry(reasons::IO_ERROR, format!("{operation}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_runs_folder_is_taken_over_once_and_again_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert!(!make(root.folder(), "job", 1, None).unwrap());
        std::fs::write(dir.path().join("job/1/chunk"), "c").unwrap();
        assert!(make(root.folder(), "job", 2, Some(1)).unwrap());
        assert!(!make(root.folder(), "job", 2, Some(1)).unwrap());
        assert_eq!(std::fs::read(dir.path().join("job/2/chunk")).unwrap(), b"c");
        assert!(!dir.path().join("job/1").exists());
    }

    #[test]
    fn a_run_that_has_work_of_its_own_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        make(root.folder(), "job", 1, None).unwrap();
        make(root.folder(), "job", 2, None).unwrap();
        std::fs::write(dir.path().join("job/2/own"), "o").unwrap();
        assert!(!make(root.folder(), "job", 2, Some(1)).unwrap());
        assert!(dir.path().join("job/2/own").exists());
    }
}
