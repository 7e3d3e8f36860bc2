//! What waits to be removed: originals in the trash, with the time until which each is kept, and work folders of jobs; and which jobs
//! may have begun a swap that nobody ends.
//!
//! May: read `.av1/trash`, `.av1/work` and `.av1/state`. Must never: write, or follow what lies in a work folder.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use av1_crds::paths::{AV1_DIR, TRASH_DIR, WORK_DIR, is_uid};
use av1_crds::wire::{Leftovers, TrashItem};
use av1_media::trash::{SUFFIX, TrashEntry};
use jiff::Timestamp;
use rustix::fs::{FileType, Stat};

use crate::beneath::{Folder, Root};
use crate::settle::unfinished::{is_silent, unfinished};
use crate::workdir;

/// Most bytes of a description that are read.
const MAX_DESCRIPTION: u64 = 64 << 10;

/// What lies in the trash and in the work folders, and what journals and claims tell; kept up to date by [`Trash::refresh`].
#[derive(Debug, Clone, Default)]
pub(super) struct Trash {
    descriptions: HashMap<PathBuf, Description>,
    items: Vec<TrashItem>,
    /// Bytes of all regular files in the trash.
    pub(super) bytes: u64,
    /// Job UIDs with the time of the last change in their folder, in seconds since 1970.
    work: Vec<(String, i64)>,
    /// Job UIDs with the time of the last change of their journal and claims, in seconds since 1970.
    unfinished: Vec<(String, i64)>,
}

#[derive(Debug, Clone)]
struct Description {
    seen: (u64, i64, u64, u64),
    entry: Option<TrashEntry>,
}

impl Trash {
    /// Looks again; a description is read once, what cannot be read counts nothing and is never listed.
    pub(super) fn refresh(&mut self, root: &Root) {
        let mut present = HashSet::new();
        let trash = match folders(root, TRASH_DIR) {
            Ok(folders) => folders,
            Err(e) => return tracing::warn!("what is in .av1 is known from before, for the trash cannot be read: {e}"),
        };
        (self.bytes, self.items) = (0, Vec::new());
        for (folder, job) in trash {
            let files: HashMap<OsString, Stat> = folder
                .names()
                .unwrap_or_default()
                .into_iter()
                .filter_map(|name| Some((folder.stat(&name).ok()??, name)))
                .filter(|(stat, _)| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
                .map(|(stat, name)| (name, stat))
                .collect();
            self.bytes += files.values().map(size).sum::<u64>();
            for (name, stat) in &files {
                // A description comes before its file and goes after it.
                let Some(file) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else { continue };
                let (path, seen) = (Path::new(&job).join(name), seen(stat));
                if self.descriptions.get(&path).is_none_or(|known| known.seen != seen) {
                    let entry = read(&folder, name)
                        .inspect_err(|e| tracing::warn!("{} in the trash is passed over: {e}", path.display()))
                        .ok();
                    self.descriptions.insert(path.clone(), Description { seen, entry });
                }
                let entry = self.descriptions.get(&path).and_then(|known| known.entry.as_ref());
                if let (Some(entry), Some(stat)) = (entry.filter(|e| e.file == file), files.get(OsStr::new(file))) {
                    let in_trash = format!("{AV1_DIR}/{TRASH_DIR}/{job}/{file}");
                    let (path, until) = (entry.path.clone(), entry.until.clone());
                    self.items.push(TrashItem { trash: in_trash, path, size: size(stat), until });
                }
                present.insert(path);
            }
        }
        self.descriptions.retain(|path, _| present.contains(path));
        self.work = folders(root, WORK_DIR)
            .unwrap_or_default()
            .into_iter()
            .filter_map(|(_, name)| Some((workdir::last_change(root, &name).ok()??, name)))
            .map(|(changed, name)| (name, changed))
            .collect();
        let unfinished = unfinished(root).inspect_err(|e| tracing::warn!("looking for what jobs left: {e}"));
        self.unfinished = unfinished.unwrap_or_default().into_iter().filter(|(job, _)| is_uid(job)).collect();
    }

    /// Originals past their time at `now`, the oldest first.
    pub(super) fn due(&self, now: Timestamp) -> Vec<&TrashItem> {
        let is_due = |item: &&TrashItem| item.until.parse::<Timestamp>().is_ok_and(|until| until <= now);
        let mut due: Vec<&TrashItem> = self.items.iter().filter(is_due).collect();
        due.sort_by(|a, b| (&a.until, &a.trash).cmp(&(&b.until, &b.trash)));
        due
    }

    /// Work folders in which nothing changed for a while: a younger one may have a job that is not known yet.
    pub(super) fn idle(&self, now: Timestamp) -> Vec<String> {
        since(&self.work, |changed| workdir::is_idle(changed, now.as_second()))
    }

    /// Jobs with a journal or a claim to which nothing was written for a day.
    pub(super) fn unfinished(&self, now: Timestamp) -> Vec<String> {
        since(&self.unfinished, |changed| is_silent(changed, now.as_second()))
    }

    /// The page, without the first `offset` originals that are due.
    pub(super) fn page(&self, now: Timestamp, offset: usize, limit: usize) -> Leftovers {
        let time = |item: &TrashItem| item.until.parse::<Timestamp>().ok();
        let next = self.items.iter().filter(|item| time(item).is_some_and(|at| at > now)).min_by_key(|item| time(item));
        Leftovers {
            due: self.due(now).into_iter().skip(offset).take(limit).cloned().collect(),
            next_due: next.map(|item| item.until.clone()),
            work: self.idle(now),
            unfinished: self.unfinished(now),
        }
    }
}

/// The folders below a folder of `.av1` that are named as jobs are; none when that is not there.
fn folders(root: &Root, below: &str) -> io::Result<Vec<(Folder, String)>> {
    let parent = match root.open_folder(&Path::new(AV1_DIR).join(below)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let names = parent.names()?.into_iter().filter_map(|name| name.into_string().ok()).filter(|name| is_uid(name));
    Ok(names.filter_map(|name| Some((parent.open_folder(Path::new(&name)).ok()?, name))).collect())
}

/// Jobs whose last change is long enough ago, sorted.
fn since(jobs: &[(String, i64)], is_long_ago: impl Fn(i64) -> bool) -> Vec<String> {
    let jobs = jobs.iter().filter(|(_, changed)| is_long_ago(*changed));
    let mut jobs: Vec<String> = jobs.map(|(job, _)| job.clone()).collect();
    jobs.sort();
    jobs
}

fn read(folder: &Folder, description: &OsStr) -> Result<TrashEntry, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    folder.open_regular(description)?.take(MAX_DESCRIPTION).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

fn size(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

#[allow(clippy::cast_sign_loss)] // only compared
fn seen(stat: &Stat) -> (u64, i64, u64, u64) {
    (stat.st_ino, stat.st_mtime, stat.st_mtime_nsec, stat.st_size as u64)
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::{FileIdentity, JobId, LibraryId};
    use av1_media::trash::VERSION;

    use super::*;

    fn put(dir: &Path, job: &str, file: &str, until: &str, bytes: &str) {
        let folder = dir.join(AV1_DIR).join(TRASH_DIR).join(job);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), bytes).unwrap();
        let entry = TrashEntry {
            v: VERSION,
            file: file.into(),
            holds: av1_crds::wire::Wanted::Original,
            path: format!("a/{file}"),
            replacement_path: None,
            library: LibraryId { namespace: "n".into(), name: "films".into(), uid: "l".into(), cluster: "c".into() },
            job: JobId { name: "j".into(), uid: job.into(), run: 1 },
            identity: FileIdentity::default(),
            sha256: "s".into(),
            replacement: FileIdentity::default(),
            replacement_sha256: "r".into(),
            at: "2026-01-01T00:00:00Z".into(),
            until: until.into(),
        };
        std::fs::write(folder.join(format!("{file}{SUFFIX}")), serde_json::to_vec(&entry).unwrap()).unwrap();
    }

    #[test]
    fn originals_past_their_time_are_listed_the_oldest_first_and_what_is_odd_never() {
        let dir = tempfile::tempdir().unwrap();
        put(dir.path(), "job-1", "later.mkv", "2026-01-03T00:00:00Z", "later");
        put(dir.path(), "job-2", "second.mkv", "2026-01-02T00:00:00Z", "two");
        put(dir.path(), "job-3", "first.mkv", "2026-01-01T12:00:00Z", "one");
        put(dir.path(), "job-4", "broken.mkv", "someday", "four");
        let trash = dir.path().join(AV1_DIR).join(TRASH_DIR);
        std::fs::write(trash.join("job-3/alone.mkv"), "no description").unwrap();
        std::fs::write(trash.join("job-3/gone.mkv.json"), std::fs::read(trash.join("job-3/first.mkv.json")).unwrap())
            .unwrap();
        let root = Root::open(dir.path()).unwrap();
        let mut known = Trash::default();
        known.refresh(&root);
        let now: Timestamp = "2026-01-02T00:00:00Z".parse().unwrap();
        let page = known.page(now, 0, 10);
        let files = |page: &Leftovers| page.due.iter().map(|item| item.trash.clone()).collect::<Vec<_>>();
        assert_eq!(files(&page), [".av1/trash/job-3/first.mkv", ".av1/trash/job-2/second.mkv"]);
        assert_eq!((page.due[0].path.as_str(), page.due[0].size), ("a/first.mkv", 3));
        assert_eq!(page.next_due.as_deref(), Some("2026-01-03T00:00:00Z"));
        assert_eq!(known.page(now, 0, 1).due.len(), 1);
        assert_eq!(files(&known.page(now, 1, 10)), [".av1/trash/job-2/second.mkv"]);
        std::fs::rename(trash.join("job-3/first.mkv"), trash.join("job-3/elsewhere")).unwrap();
        known.refresh(&root);
        assert_eq!(files(&known.page(now, 0, 10)), [".av1/trash/job-2/second.mkv"]);
        std::fs::rename(trash.join("job-3/elsewhere"), trash.join("job-3/first.mkv")).unwrap();
        known.refresh(&root);
        assert_eq!(known.page(now, 0, 10).due.len(), 2, "a description that came before its file");
    }

    #[test]
    fn only_work_folders_without_a_young_run_may_be_nobodys() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join(AV1_DIR).join(WORK_DIR).join("job-9/1")).unwrap();
        let mut known = Trash::default();
        known.refresh(&Root::open(dir.path()).unwrap());
        let later = |seconds| Timestamp::now().checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        assert!(known.idle(later(0)).is_empty());
        assert_eq!(known.idle(later(601)), ["job-9"]);
    }
}
