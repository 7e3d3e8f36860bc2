//! The workdir role, an init container of the encode pod: makes the run's work folder, or takes over the one of an earlier run of
//! the job, so that its finished chunks are not encoded again. A run whose pod may still be at work, on a node that is not heard of,
//! keeps its folder and shares the chunks: its encoders go on writing to those that are not whole, so whoever finds such a chunk
//! here takes its name away before writing one (`encode/chunks.rs`).
//!
//! May: make, link and rename below `.av1/work`. Must never: read media, change a file of another run, or touch the folder of another
//! job. It sees `.av1` alone, not the source, so it reports the free space; whether that is enough the operator has decided.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::Path;

use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::wire::{EncodeTask, WorkdirResult};
use rustix::fs::FileType;
use rustix::io::Errno;

use crate::beneath::{Folder, Root};
use crate::encode::files::{AV1AN, CHUNKS, OF_THE_CHUNKS, OF_THE_PLAN};
use crate::role::{PodArgs, RoleFailure};
use crate::volume;

/// The library's user alone works in the folder.
const FOLDER_MODE: u32 = 0o700;
/// Seconds without a change after which nobody works in a folder: a younger one may have a job that is not known yet.
const IDLE: i64 = 600;
/// Folders below a job's in which a change is seen: a run's, Av1an's in it, and that of the chunks.
const DEPTH: u32 = 3;

/// Makes the folder.
pub(crate) fn run(task: &EncodeTask, args: &PodArgs) -> Result<WorkdirResult, RoleFailure> {
    let uid = &task.job.uid;
    if !paths::is_uid(uid) {
        return Err(RoleFailure::bad_input(reasons::INVALID_TASK, format!("{uid:?} is not the UID of a job")));
    }
    let root = Root::open(&args.state_root).map_err(|e| failure("opening the library's .av1", &e))?;
    volume::check_in(root.folder(), &task.volume_id, &task.library)?;
    let work = root.open_folder(Path::new(paths::WORK_DIR)).map_err(|e| failure("opening .av1/work", &e))?;
    let taken_over = make(&work, uid, task.job.run, task.take_over_run, task.link_run)
        .map_err(|e| failure(&format!("making the work folder .av1/work/{uid}/{}", task.job.run), &e))?;
    let space = rustix::fs::fstatvfs(&work).map_err(|e| failure("asking for the free space", &e.into()))?;
    Ok(WorkdirResult { free_bytes: space.f_bavail.saturating_mul(space.f_frsize), taken_over })
}

/// Makes the run's folder, or renames the earlier run's to it, or shares what the one that was `left` has finished; and proves that
/// files can be made in it. Doing it again changes nothing.
fn make(work: &Folder, uid: &str, run: i64, earlier: Option<i64>, left: Option<i64>) -> io::Result<bool> {
    let job = work.make_folder(OsStr::new(uid), FOLDER_MODE)?;
    let name = run.to_string();
    let mut taken_over = match earlier {
        Some(earlier) if earlier != run => take_over(&job, &earlier.to_string(), &name)?,
        _ => false,
    };
    if let Some(left) = left.filter(|left| *left != run && !taken_over)
        && job.stat(OsStr::new(&name))?.is_none()
    {
        // Made under another name, so that a folder with the run's name has all of it.
        let new = format!("{name}.new");
        taken_over = share(&job, &left.to_string(), &new)? && take_over(&job, &new, &name)?;
    }
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

/// Links the chunks of the run that was left into a new folder, and copies what tells what they are. Without links, or without
/// chunks, there is nothing to share.
fn share(job: &Folder, left: &str, new: &str) -> io::Result<bool> {
    let Some(from) = folder(job, left)? else { return Ok(false) };
    let Some(av1an) = folder(&from, AV1AN)? else { return Ok(false) };
    let Some(chunks) = folder(&av1an, CHUNKS)? else { return Ok(false) };
    let to = job.make_folder(OsStr::new(new), FOLDER_MODE)?;
    let to_av1an = to.make_folder(OsStr::new(AV1AN), FOLDER_MODE)?;
    let to_chunks = to_av1an.make_folder(OsStr::new(CHUNKS), FOLDER_MODE)?;
    for name in chunks.names()? {
        match chunks.link(&name, &to_chunks, &name) {
            Ok(()) => {}
            Err(e) if Errno::from_io_error(&e) == Some(Errno::EXIST) => {}
            Err(e) => {
                tracing::warn!("run {left} shares no chunk, they are encoded again: linking {}: {e}", name.display());
                return Ok(false);
            }
        }
    }
    for name in OF_THE_PLAN {
        copy(&from, &to, name)?;
    }
    for name in OF_THE_CHUNKS {
        copy(&av1an, &to_av1an, name)?;
    }
    [to_chunks, to_av1an, to].iter().try_for_each(Folder::sync)?;
    Ok(true)
}

/// Whether nobody works in a folder in which something changed last at `changed`, when it is `now`, both in seconds since 1970 and by
/// the file system's clock.
pub(crate) fn is_idle(changed: i64, now: i64) -> bool {
    now - changed >= IDLE
}

/// When something changed last in the work folder of the job with this UID, its runs, and what lies in these, in seconds since 1970;
/// none when there is no such folder.
///
/// # Errors
/// When it cannot be looked through.
pub(crate) fn last_change(root: &Root, uid: &str) -> io::Result<Option<i64>> {
    match root.open_folder(&Path::new(paths::AV1_DIR).join(paths::WORK_DIR).join(uid)) {
        Ok(job) => newest(&job, DEPTH).map(Some),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn newest(folder: &Folder, depth: u32) -> io::Result<i64> {
    let mut newest_of = folder.own_stat()?.st_mtime;
    for name in folder.names()? {
        let Some(stat) = folder.stat(&name)? else { continue };
        let below = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if depth > 0 => match folder.open_folder(Path::new(&name)) {
                Ok(below) => newest(&below, depth - 1)?,
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return Err(e),
            },
            _ => stat.st_mtime,
        };
        newest_of = newest_of.max(below);
    }
    Ok(newest_of)
}

fn folder(parent: &Folder, name: &str) -> io::Result<Option<Folder>> {
    match parent.open_folder(Path::new(name)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => opened.map(Some),
    }
}

/// Copies a file; none of that name is fine. What is half written is found to be so by its reader, who makes it anew.
fn copy(from: &Folder, to: &Folder, name: &str) -> io::Result<()> {
    let name = OsStr::new(name);
    let mut source = match from.open_regular(name) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    to.unlink(name)?;
    let mut copy = to.create_new(name, 0o600)?;
    io::copy(&mut source, &mut copy)?;
    copy.sync_all()
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
        assert!(!make(root.folder(), "job", 1, None, None).unwrap());
        std::fs::write(dir.path().join("job/1/chunk"), "c").unwrap();
        assert!(make(root.folder(), "job", 2, Some(1), None).unwrap());
        assert!(!make(root.folder(), "job", 2, Some(1), None).unwrap());
        assert_eq!(std::fs::read(dir.path().join("job/2/chunk")).unwrap(), b"c");
        assert!(!dir.path().join("job/1").exists());
    }

    #[test]
    fn a_change_of_a_chunk_is_one_of_the_jobs_folder() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        assert_eq!(last_change(&root, "job").unwrap(), None);
        let below = |path: &str| dir.path().join(".av1/work/job").join(path);
        std::fs::create_dir_all(below("2/av1an/encode")).unwrap();
        std::fs::write(below("2/av1an/encode/00001.ivf"), "c").unwrap();
        let at = |path: &str, seconds: u64| {
            let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            std::fs::File::open(below(path)).unwrap().set_modified(time).unwrap();
        };
        for path in ["2/av1an/encode/00001.ivf", "2/av1an/encode", "2/av1an", "2", ""] {
            at(path, 1_000);
        }
        assert_eq!(last_change(&root, "job").unwrap(), Some(1_000));
        for (path, time) in [("", 2_000), ("2", 3_000), ("2/av1an/encode", 4_000), ("2/av1an/encode/00001.ivf", 5_000)]
        {
            at(path, time);
            assert_eq!(last_change(&root, "job").unwrap(), Some(i64::try_from(time).unwrap()), "{path}");
        }
        assert!(!is_idle(5_000, 5_599) && is_idle(5_000, 5_600) && !is_idle(5_000, 4_000));
    }

    #[test]
    fn a_run_that_has_work_of_its_own_keeps_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        make(root.folder(), "job", 1, None, None).unwrap();
        make(root.folder(), "job", 2, None, None).unwrap();
        std::fs::write(dir.path().join("job/2/own"), "o").unwrap();
        assert!(!make(root.folder(), "job", 2, Some(1), None).unwrap());
        assert!(dir.path().join("job/2/own").exists());
    }

    #[test]
    fn a_run_that_was_left_to_its_pod_keeps_its_folder_and_shares_its_chunks() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        let at = |path: &str| dir.path().join("job").join(path);
        make(root.folder(), "job", 1, None, None).unwrap();
        assert!(!make(root.folder(), "job", 2, None, Some(1)).unwrap(), "it has no chunks yet");
        std::fs::create_dir_all(at("1/av1an/encode")).unwrap();
        let files =
            ["plan.json", "source.lwi", "av1an/chunks.json", "av1an/encode/00000.ivf", "av1an/encode/00001.ivf"];
        files.iter().for_each(|file| std::fs::write(at("1").join(file), file).unwrap());
        // A pod that died on the way had begun to share.
        std::fs::create_dir_all(at("3.new/av1an/encode")).unwrap();
        std::fs::hard_link(at("1/av1an/encode/00000.ivf"), at("3.new/av1an/encode/00000.ivf")).unwrap();
        std::fs::write(at("3.new/plan.json"), "half").unwrap();
        assert!(make(root.folder(), "job", 3, None, Some(1)).unwrap());
        assert!(!make(root.folder(), "job", 3, None, Some(1)).unwrap(), "once is enough");
        for file in files.iter().filter(|file| **file != "source.lwi") {
            assert_eq!(std::fs::read_to_string(at("3").join(file)).unwrap(), *file);
        }
        assert!(!at("3/source.lwi").exists() && !at("3.new").exists());
        std::fs::write(at("1/plan.json"), "other").unwrap();
        assert_eq!(std::fs::read_to_string(at("3/plan.json")).unwrap(), "plan.json", "a copy");
    }
}
