//! The scan loop, in a thread of its own: walks the library, judges what is new or changed, keeps the index.
//!
//! May: read the library, write the index in the catalog's own folder. Must never: serve HTTP, or write to the library.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use av1_crds::reasons;
use av1_crds::wire::FileState;
use av1_media::gates::{Content, EarlierLook, Rules, Selection, Verdict, judge};
use rustix::fs::statvfs;

use super::Shared;
use super::index::{self, Header, IndexError};
use super::leftovers::Trash;
use super::sidecars::left_behind;
use super::state::{Entry, Key};
use super::tree::{self, Found, Step, hash};
use crate::beneath::Root;
use crate::facts::{self, Look, gather, now_ns};
use crate::role::{RoleFailure, now};
use crate::volume;

/// The pause after a scan is at least this many times as long as the scan took.
const REST_FACTOR: u32 = 10;
/// Pause after a scan that could not be done.
const RETRY: Duration = Duration::from_secs(5);
/// Longest pause while receipts cannot be read.
const UNREAD: Duration = Duration::from_secs(60);
/// How often the volume is looked at between two scans.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often the index is saved during a long scan.
const SAVE_EVERY: Duration = Duration::from_secs(60);

/// Scans until the process is asked to stop.
pub(super) fn run(shared: &Shared) {
    let mut scanner = Scanner::new(shared);
    while !shared.stopped() {
        let started = Instant::now();
        let pause = match scanner.scan() {
            Ok(()) => {
                let interval = Duration::from_secs(u64::from(shared.task.scan.interval_seconds));
                let all_read = shared.catalog().unread.is_empty();
                if all_read { interval } else { interval.min(UNREAD) }.max(started.elapsed() * REST_FACTOR)
            }
            Err(problem) => {
                if shared.catalog().problem.as_ref() != Some(&problem) {
                    tracing::error!("the library cannot be scanned: {problem}");
                }
                shared.catalog_mut().problem = Some(problem);
                RETRY
            }
        };
        scanner.rest(Instant::now() + pause);
    }
    scanner.save();
}

struct Scanner<'a> {
    shared: &'a Shared,
    rules: Rules,
    header: Header,
    trash: Trash,
    /// Number of the running scan.
    scan: u32,
    /// Files that are looked at again before the next scan, by when.
    due: BTreeMap<(Instant, PathBuf), Found>,
    /// When each path in `due` is: a path has one place there, however many scans come by.
    due_at: HashMap<PathBuf, Instant>,
    loaded: bool,
    dirty: bool,
    saved: Instant,
    /// Entries whose verdict was made afresh in this scan.
    judged: u64,
}

impl<'a> Scanner<'a> {
    fn new(shared: &'a Shared) -> Self {
        Self {
            shared,
            rules: Rules::new(shared.task.scan.clone(), shared.task.settings.clone()),
            header: Header::new(&shared.task),
            trash: Trash::default(),
            scan: 0,
            due: BTreeMap::new(),
            due_at: HashMap::new(),
            loaded: false,
            dirty: false,
            saved: Instant::now(),
            judged: 0,
        }
    }

    /// One scan of the whole tree; the error is a sentence for the user.
    fn scan(&mut self) -> Result<(), String> {
        let started = Instant::now();
        let root = self.right_root()?;
        self.look_for_nfs(&root);
        let selection = Selection::new(&self.rules.scan).map_err(|e| e.to_string())?;
        self.load();
        self.read_decisions(&root).map_err(|e| format!("the receipts in .av1 cannot be read: {e}"))?;
        self.record_volume(&root);
        self.scan += 1;
        self.judged = 0;
        let probes = self.shared.catalog().probes;
        let mut problem = None;
        let passed = tree::walk(&root, &selection, &mut |found| {
            if self.shared.stopped() {
                return Step::Stop;
            }
            self.look(&root, &found);
            self.look_at_due(&root);
            if self.saved.elapsed() > SAVE_EVERY {
                if let Err(e) = self.right_root() {
                    problem = Some(e);
                    return Step::Stop;
                }
                self.save();
            }
            Step::On
        });
        let passed = passed.map_err(|e| format!("the library's root cannot be read: {e}"))?;
        if let Some(problem) = problem {
            return Err(problem);
        }
        if self.shared.stopped() {
            return Ok(());
        }
        // The mount may have gone during the walk, and files with it that are still there.
        self.right_root()?;
        self.forget_vanished();
        self.place_unread();
        self.record_volume(&root);
        let orphans = left_behind(&root, passed.alone);
        let mut catalog = self.shared.catalog_mut();
        catalog.orphans = orphans.into_iter().collect();
        catalog.scans += 1;
        catalog.scan_millis = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
        catalog.scan_finished_at = Some(now().to_string());
        catalog.problem = None;
        catalog.unreadable_folders = passed.unreadable;
        let (files, millis, probes) = (catalog.entries.len(), catalog.scan_millis, catalog.probes - probes);
        drop(catalog);
        if self.scan == 1 || self.dirty {
            tracing::info!(
                scan = self.scan,
                files,
                judged = self.judged,
                probes,
                millis,
                unreadable = passed.unreadable,
                "scan finished"
            );
        }
        self.save();
        Ok(())
    }

    /// The library's root, when it is on the volume that it should be on.
    fn right_root(&self) -> Result<Root, String> {
        let task = &self.shared.task;
        let unopened = |e| RoleFailure::retry(reasons::IO_ERROR, format!("the library's root cannot be opened: {e}"));
        let root = Root::open(&self.shared.library)
            .map_err(unopened)
            .and_then(|root| volume::check(&root, &task.volume_id, &task.library).map(|()| root));
        let mut catalog = self.shared.catalog_mut();
        let was_wrong = std::mem::replace(&mut catalog.wrong_volume, root.as_ref().err().map(|e| e.failure.clone()));
        catalog.right_volume = root.is_ok();
        if catalog.right_volume && was_wrong.is_some() {
            catalog.problem = None;
        }
        root.map_err(|e| e.failure.message)
    }

    /// Files on NFS are waited for longer than the settings may say; told once.
    fn look_for_nfs(&mut self, root: &Root) {
        self.rules.on_nfs = volume::is_on_nfs(root);
        let raised = self.rules.raised_stable_seconds();
        let told = std::mem::replace(&mut self.shared.catalog_mut().stable_seconds, raised);
        if let Some(seconds) = raised.filter(|_| told != raised) {
            let asked = self.rules.scan.stable_seconds;
            tracing::info!(
                "the library is on NFS, where changes may be seen a minute late: files must not have changed for {seconds} s, not for {asked} as scan.stableSeconds says"
            );
        }
    }

    fn read_decisions(&self, root: &Root) -> io::Result<()> {
        self.shared.decisions_mut().refresh(root)?;
        self.place_unread();
        Ok(())
    }

    /// Has the files withheld that receipts which cannot be read may be about.
    fn place_unread(&self) {
        let mut unread = self.shared.decisions().unread().clone();
        let mut catalog = self.shared.catalog_mut();
        unread.place(catalog.entries.keys().map(|key| &*key.path));
        catalog.unread = unread;
    }

    /// Judges one file, unless nothing changed since it was judged.
    fn look(&mut self, root: &Root, found: &Found) {
        let key = Key::new(&found.path);
        let stamp = hash(&[found.stamp, self.shared.decisions().stamp(found.size, now_ns())]);
        let when = self.rules.settings.why_sidecars;
        let mut look = None;
        let mut unread = None;
        if let Some(entry) = self.shared.catalog_mut().entries.get_mut(&key) {
            entry.scan = self.scan;
            if entry.stamp == stamp && !entry.is_provisional() {
                if entry.knows_sidecar(&key, when, found.sidecar) {
                    return;
                }
                unread = Some(entry.clone());
            } else {
                let (size, modified_time_ns) = (entry.size, entry.modified_time_ns);
                look = Some(Look { at_ns: entry.first_seen_ns, size, modified_time_ns });
            }
        }
        let Some(mut entry) = unread else {
            return self.judge(root, found, key, stamp, look);
        };
        let known = entry.sidecar;
        entry.read_sidecar(root, &key, when, found.sidecar);
        self.dirty |= entry.sidecar != known;
        self.shared.catalog_mut().entries.insert(key, entry);
    }

    fn judge(&mut self, root: &Root, found: &Found, key: Key, stamp: u64, look: Option<Look>) {
        let known = facts::Known { decisions: Some(self.shared.decisions().about(found.size)), looks: Some(look) };
        let (mut entry, probed) = match gather(root, &found.path, &self.rules, known) {
            Ok(facts) => {
                let first_seen = if let EarlierLook::At(at) = facts.earlier_look { at } else { facts.now_ns };
                let probed =
                    matches!(facts.content, Some(Content::Read(_) | Content::Unreadable(_) | Content::NotProbed(_)));
                (Entry::new(judge(&facts, &self.rules), &facts, stamp, first_seen, self.scan), probed)
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                self.dirty |= self.shared.catalog_mut().entries.remove(&key).is_some();
                return;
            }
            Err(e) => (self.unknown(&found.path, found.size, &e), false),
        };
        if self.shared.stopped() {
            // ffprobe was stopped with us; what it did not say is no verdict.
            return;
        }
        if entry.reason == *reasons::NOT_STABLE {
            let after = Duration::from_secs(u64::from(self.rules.stable_seconds())) + Duration::from_millis(50);
            let at = Instant::now() + after;
            if let Some(earlier) = self.due_at.insert(found.path.clone(), at) {
                self.due.remove(&(earlier, found.path.clone()));
            }
            self.due.insert((at, found.path.clone()), found.clone());
        }
        tracing::debug!(path = %key.path, reason = entry.reason.as_str(), "judged");
        self.judged += 1;
        let same = self.shared.catalog().entries.get(&key).filter(|earlier| earlier.has_verdict_of(&entry)).cloned();
        (entry.sidecar, entry.sidecar_due) = same.map(|e| (e.sidecar, e.sidecar_due)).unwrap_or_default();
        let when = self.rules.settings.why_sidecars;
        if !entry.knows_sidecar(&key, when, found.sidecar) {
            entry.read_sidecar(root, &key, when, found.sidecar);
        }
        let mut catalog = self.shared.catalog_mut();
        catalog.probes += u64::from(probed);
        self.dirty |= catalog.entries.insert(key, entry.clone()).as_ref() != Some(&entry);
    }

    /// The entry of a file whose surroundings could not be read.
    fn unknown(&self, path: &Path, size: u64, error: &io::Error) -> Entry {
        tracing::warn!("cannot look at {}: {error}", path.display());
        let verdict = Verdict {
            state: FileState::Skipped,
            reason: reasons::IO_ERROR.to_owned(),
            message: format!("it could not be looked at: {error}; tried again at the next scan"),
            size_before: None,
        };
        Entry { size, ..Entry::new(verdict, &Default::default(), 0, now_ns(), self.scan) }
    }

    /// Looks again at files whose time has come; one that becomes due meanwhile waits for the next call.
    fn look_at_due(&mut self, root: &Root) {
        let now = Instant::now();
        while !self.shared.stopped()
            && let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now)
        {
            let found = first.remove();
            self.due_at.remove(&found.path);
            let key = Key::new(&found.path);
            let known = self.shared.catalog().entries.get(&key).map(|entry| {
                (
                    entry.reason == *reasons::NOT_STABLE,
                    entry.stamp,
                    Look { at_ns: entry.first_seen_ns, size: entry.size, modified_time_ns: entry.modified_time_ns },
                )
            });
            if let Some((true, stamp, look)) = known {
                self.judge(root, &found, key, stamp, Some(look));
            }
        }
    }

    /// Waits for the next scan; the volume, and files that become due, are looked at meanwhile.
    fn rest(&mut self, until: Instant) {
        while !self.shared.stopped() && Instant::now() < until {
            let next = self.due.keys().next().map_or(until, |(at, _)| (*at).min(until));
            self.shared.wait_for_stop(next.min(Instant::now() + LOOK_EVERY));
            // The next scan tells.
            if !self.shared.stopped() && self.look_meanwhile().is_err() {
                return;
            }
        }
    }

    fn look_meanwhile(&mut self) -> Result<(), String> {
        let root = self.right_root()?;
        if self.due.keys().next().is_some_and(|(at, _)| *at <= Instant::now()) {
            self.read_decisions(&root).map_err(|e| e.to_string())?;
            self.look_at_due(&root);
            self.save();
        }
        Ok(())
    }

    fn forget_vanished(&mut self) {
        let mut catalog = self.shared.catalog_mut();
        let before = catalog.entries.len();
        catalog.entries.retain(|_, entry| entry.scan == self.scan);
        self.dirty |= before != catalog.entries.len();
        if self.judged > before as u64 / 2 {
            catalog.compact();
        }
    }

    fn record_volume(&mut self, root: &Root) {
        let replaced = self.shared.decisions().replaced();
        self.trash.refresh(root);
        let space = statvfs(root.path());
        let mut catalog = self.shared.catalog_mut();
        (catalog.replaced_before, catalog.replaced_after) = (replaced.before, replaced.after);
        catalog.trash.clone_from(&self.trash);
        if let Ok(space) = space {
            (catalog.free_bytes, catalog.total_bytes) =
                (space.f_bavail * space.f_frsize, space.f_blocks * space.f_frsize);
        }
    }

    /// Takes over the index of an earlier process, once the volume is known to be the right one.
    fn load(&mut self) {
        if std::mem::replace(&mut self.loaded, true) {
            return;
        }
        match index::load(&self.shared.folder, &self.header) {
            Ok(Some(entries)) => {
                tracing::info!(files = entries.len(), "the index of an earlier run is taken over");
                self.shared.catalog_mut().entries = entries;
            }
            Ok(None) => tracing::info!("there is no index yet"),
            Err(e @ (IndexError::Foreign | IndexError::Damaged { .. })) => {
                tracing::warn!("the index is dropped and made anew: {e}")
            }
            Err(e) => tracing::error!("the index is made anew: {e}"),
        }
    }

    fn save(&mut self) {
        self.saved = Instant::now();
        if !self.dirty || !self.shared.catalog().right_volume {
            return;
        }
        match index::save(&self.shared.folder, &self.header, &self.shared.catalog().entries) {
            Ok(()) => self.dirty = false,
            Err(e) => tracing::error!("the index could not be saved, a restart will probe files again: {e}"),
        }
    }
}

#[cfg(test)]
mod tests;
