//! The purge role: removes files from the trash, and work folders of jobs that have ended, from the list that it is given, and ends
//! what jobs began that do not exist any more.
//!
//! A file in the trash is the last proof against a fault that nobody has seen yet. It goes only when its time is past by the
//! file system's own clock and this machine's, and when the file that replaced it was found and read again from the disk, whole, with the hash that
//! it had. The description beside it is the record: it goes after the file, so that a run that was killed is finished by the
//! next. May: remove what is on the list. Must never: look for more to remove, remove the last copy of anything, start a program.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use av1_crds::paths::{AV1_DIR, WORK_DIR};
use av1_crds::wire::{Kept, MAX_PURGE, NO_JOB, PurgeResult, PurgeTask};
use av1_media::identity::{Comparison, compare, same_content};
use av1_media::trash::{MAX_DESCRIPTION, SUFFIX, TrashEntry, split_path};
use jiff::Timestamp;
use rustix::io::Errno;

use super::claim::{self, Who};
use super::copy::{drop_cache, sha256};
use super::error::{Doing, SettleError};
use super::find::find_readable;
use super::place::{Place, State, identity_at, identity_below, identity_of, read_capped};
use super::unfinished::{self, Of};
use super::{cleanup, journal};
use crate::beneath::{Folder, Root};
use crate::failpoint::durable;
use crate::role::{PodArgs, RoleFailure, now};
use crate::{volume, workdir};

/// Most bytes of what is told of files that stay.
const MOST_KEPT: usize = 2_000;
/// Most characters of why one stays.
const MOST_OF_A_WHY: usize = 240;
/// Most bytes of what is told of swaps that were finished.
const MOST_FINISHED: usize = 1_000;

/// What a purge works with.
struct Work<'a> {
    root: &'a Root,
    state: &'a State,
    task: &'a PurgeTask,
    pod: &'a str,
}

/// A file whose time is past.
struct Due {
    /// As in the task.
    path: String,
    folder: Folder,
    name: OsString,
    entry: TrashEntry,
    /// Whether it is there still.
    is_there: bool,
    /// Where the file that replaced it is.
    replacement: Option<String>,
    /// What could not be looked at while it was searched for.
    passed_over: Option<String>,
}

/// What became of one file.
enum End {
    Gone(u64),
    Stays(String),
}

/// Empties what the task lists.
pub(crate) fn run(task: &PurgeTask, args: &PodArgs) -> Result<PurgeResult, RoleFailure> {
    #[cfg(feature = "failpoints")]
    let _points = crate::failpoint::setup();
    let jobs: Vec<&str> = task.work.iter().chain(&task.unfinished).map(String::as_str).collect();
    super::validate_uids(&jobs, &args.pod_uid, &task.takeover_from)?;
    let counts = [task.trash.len(), task.work.len(), task.unfinished.len()];
    if counts.into_iter().any(|count| count > MAX_PURGE) {
        let [files, folders, jobs] = counts;
        let counts = format!("{files} files, {folders} work folders and {jobs} jobs");
        return Err(SettleError::Invalid(format!("a purge takes at most {MAX_PURGE} of each, not {counts}")).into());
    }
    let (root, state) = super::open(args, &task.volume_id, &task.library)?;
    Ok(Work { root: &root, state: &state, task, pod: &args.pod_uid }.all()?)
}

impl Work<'_> {
    fn all(&self) -> Result<PurgeResult, SettleError> {
        let mut result = PurgeResult::default();
        let server = self.server_time().doing(|| "asking the file system for its time".to_owned())?;
        let behind = server.min(now());
        for uid in &self.task.unfinished {
            match unfinished::of_a_deleted_job(self.of(uid), server) {
                Ok(told) => finished(&mut result, told),
                Err(why) => keep(&mut result, uid, &why),
            }
        }
        // Behind what was unfinished: there its claims tell what an earlier run was at.
        claim::forget_others(self.state, None, &self.task.takeover_from)?;
        // Before the trash, because reading what replaced the originals takes hours, in which a job may begin again.
        for uid in &self.task.work {
            match self.remove_work(uid, server) {
                Ok(()) => result.work_removed += 1,
                Err(why) => keep(&mut result, &format!("{AV1_DIR}/{WORK_DIR}/{uid}"), &why),
            }
        }
        let mut due = Vec::new();
        for path in &self.task.trash {
            match self.due(path, behind) {
                Ok(Ok(found)) => due.push(found),
                Ok(Err(end)) => count(&mut result, path, end),
                Err(error) => count(&mut result, path, End::Stays(error.to_string())),
            }
        }
        for due in &self.find_replacements(due, &mut result) {
            let end = self.purge(due).unwrap_or_else(|error| End::Stays(error.to_string()));
            count(&mut result, &due.path, end);
        }
        Ok(result)
    }

    /// The file system's own time, from a file that is made just now.
    fn server_time(&self) -> io::Result<Timestamp> {
        let time = volume::server_time(&self.state.trash, OsStr::new(&format!(".clock-{}", self.pod)))?;
        Timestamp::try_from(time).map_err(io::Error::other)
    }

    /// A file on the list, when it may go as far as its description tells.
    fn due(&self, path: &str, now: Timestamp) -> Result<Result<Due, End>, SettleError> {
        let stays = |why: String| Ok(Err(End::Stays(why)));
        let Some((job, name)) = split_path(path) else {
            return stays("it is not in the trash".to_owned());
        };
        let folder = match self.state.trash.open_folder(Path::new(job)) {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Err(End::Gone(0))),
            Err(e) => return Err(e).doing(|| "opening its folder".to_owned()),
        };
        let read = || {
            let description = read_capped(&folder, OsStr::new(&format!("{name}{SUFFIX}")), MAX_DESCRIPTION)?;
            Ok((description, folder.stat(OsStr::new(name))?.is_some()))
        };
        let (description, is_there) = read().doing(|| "reading its description".to_owned())?;
        let entry = match description.as_deref().map(TrashEntry::parse) {
            None if is_there => return stays("it has no description: a job did not put it there".to_owned()),
            None => return Ok(Err(End::Gone(0))),
            Some(Err(why)) => return stays(format!("its description cannot be used: {why}")),
            Some(Ok(entry)) if entry.file != name => return stays("its description is another file's".to_owned()),
            Some(Ok(entry)) => entry,
        };
        let Ok(until) = entry.until.parse::<Timestamp>() else {
            return stays(format!("its description says that it is kept until {:?}", entry.until));
        };
        if now < until {
            return stays(format!(
                "it is kept until {until}, and it is {now} by the file system's clock or this machine's, whichever is behind"
            ));
        }
        let (path, name) = (path.to_owned(), OsString::from(name));
        Ok(Ok(Due { path, folder, name, entry, is_there, replacement: None, passed_over: None }))
    }

    /// Finds the files that replaced those that are due: where they were put, or wherever they were moved to. What cannot be looked
    /// at keeps the one file that it is about.
    fn find_replacements(&self, due: Vec<Due>, result: &mut PurgeResult) -> Vec<Due> {
        let mut looked_at = Vec::with_capacity(due.len());
        for mut due in due {
            let path = due.entry.replacement_path().to_owned();
            let at_path = super::validate_path(&path).map_or(Ok(None), |()| identity_below(self.root, &path));
            match at_path {
                Ok(now) => {
                    let is_there = now.is_some_and(|now| same_content(&now, &due.entry.replacement));
                    due.replacement = is_there.then_some(path);
                    looked_at.push(due);
                }
                Err(error) => count(result, &due.path, End::Stays(error.to_string())),
            }
        }
        let is_moved = |due: &&mut Due| due.is_there && due.replacement.is_none();
        let mut moved: Vec<&mut Due> = looked_at.iter_mut().filter(is_moved).collect();
        if !moved.is_empty() {
            let wanted: Vec<_> = moved.iter().map(|due| due.entry.replacement.clone()).collect();
            let (found, error) = find_readable(self.root, &wanted.iter().collect::<Vec<_>>());
            let passed_over = error.map(|error| error.to_string());
            for (due, paths) in moved.iter_mut().zip(found) {
                due.replacement = paths.into_iter().next();
                due.passed_over.clone_from(&passed_over);
            }
        }
        looked_at
    }

    /// Under the claim on the file that replaced it.
    fn purge(&self, due: &Due) -> Result<End, SettleError> {
        let path = match (&due.replacement, due.is_there) {
            (Some(path), _) => path.as_str(),
            (None, false) => due.entry.replacement_path(),
            (None, true) => {
                let passed_over = due.passed_over.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
                return Ok(End::Stays(format!(
                    "the file that replaced it, {:?}, is not in the library any more or was changed{passed_over}: this may be the last whole copy. Bring it back, or remove it by hand",
                    due.entry.replacement_path()
                )));
            }
        };
        let who = Who { path, job: NO_JOB, run: 0, takeover_from: &self.task.takeover_from };
        let claim = claim::take(self.state, who, self.pod)?;
        let end = self.under_claim(due, path);
        claim.release(self.state).doing(|| "letting go of the claim".to_owned())?;
        end
    }

    fn under_claim(&self, due: &Due, path: &str) -> Result<End, SettleError> {
        let Due { folder, name, entry, .. } = due;
        let doing = || "looking at the file in the trash".to_owned();
        let is_there = folder.stat(name).doing(doing)?.is_some();
        if is_there {
            if identity_at(folder, name).doing(doing)?.is_none_or(|now| !same_content(&now, &entry.identity)) {
                return Ok(End::Stays("it is not the file that its description tells of".to_owned()));
            }
            if let Err(why) = self.read_again(due, path)? {
                return Ok(End::Stays(why));
            }
        }
        let remove = || {
            durable("purge::remove", || folder.unlink(name))?;
            durable("purge::sync", || folder.sync())?;
            let mut description = name.clone();
            description.push(SUFFIX);
            durable("purge::remove_entry", || folder.unlink(&description))?;
            folder.sync()
        };
        remove().doing(|| "removing it".to_owned())?;
        if let Some((job, _)) = split_path(&due.path) {
            super::remove_empty_trash(self.state, job);
        }
        Ok(End::Gone(if is_there { entry.identity.size } else { 0 }))
    }

    /// Reads the file that replaced it from the disk; says why not when it is not what it was.
    fn read_again(&self, due: &Due, path: &str) -> Result<Result<(), String>, SettleError> {
        let doing = || format!("reading {path:?} again");
        let gone = || Ok(Err(format!("the file that replaced it, {path:?}, was changed or moved meanwhile")));
        let Some(place) = Place::open(self.root, path, NO_JOB)? else {
            return gone();
        };
        let file = match place.folder.open_regular(&place.name) {
            Ok(file) => file,
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::LOOP)) => return gone(),
            Err(e) => return Err(e).doing(doing),
        };
        let before = identity_of(&file).doing(doing)?;
        drop_cache(&file);
        let hash = durable("purge::read_again", || sha256(file)).doing(doing)?;
        if hash != due.entry.replacement_sha256 {
            return Ok(Err(format!(
                "the file that replaced it, {path:?}, has SHA-256 {hash}, it had {}: check the disk, and bring this one back",
                due.entry.replacement_sha256
            )));
        }
        match identity_at(&place.folder, &place.name).doing(doing)? {
            Some(after) if compare(&before, &after) != Comparison::Different => Ok(Ok(())),
            _ => gone(),
        }
    }

    fn of<'b>(&'b self, job: &'b str) -> Of<'b> {
        Of { root: self.root, state: self.state, job, pod: self.pod, takeover_from: &self.task.takeover_from }
    }

    fn remove_work(&self, uid: &str, server: Timestamp) -> Result<(), String> {
        match journal::is_open(self.state, uid) {
            Ok(false) => {}
            Ok(true) => return Err("its journal tells of a swap: what it began has not ended".to_owned()),
            Err(error) => return Err(error.to_string()),
        }
        let failed = |e: io::Error| format!("its work folder: {e}");
        match workdir::last_change(self.root, uid).map_err(failed)? {
            Some(changed) if !workdir::is_idle(changed, server.as_second()) => {
                Err("something changed in its work folder not long ago: it may have begun again".to_owned())
            }
            _ => cleanup::remove_work(self.root, uid).map_err(failed),
        }
    }
}

fn count(result: &mut PurgeResult, path: &str, end: End) {
    match end {
        End::Gone(bytes) => {
            result.purged += 1;
            result.bytes += bytes;
        }
        End::Stays(why) => {
            result.kept_count += 1;
            keep(result, path, &why);
        }
    }
}

/// Notes swaps that were finished; only as many words as a termination message can take.
fn finished(result: &mut PurgeResult, told: Vec<String>) {
    for what in told {
        tracing::info!("what a deleted job began has ended: {what}");
        result.finished.push(what);
        if serde_json::to_vec(&result.finished).map_or(true, |json| json.len() > MOST_FINISHED) {
            result.finished.pop();
        }
    }
}

/// Notes what stays; only as many words as a termination message can take.
fn keep(result: &mut PurgeResult, what: &str, why: &str) {
    tracing::warn!("{what} stays: {why}");
    let why: String = why.chars().filter(|c| !c.is_control()).take(MOST_OF_A_WHY).collect();
    result.kept.push(Kept { what: what.to_owned(), why });
    if serde_json::to_vec(&result.kept).map_or(true, |json| json.len() > MOST_KEPT) {
        result.kept.pop();
    }
}
