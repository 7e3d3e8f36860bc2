//! What the catalog knows, in memory: an entry for each file, counts, and the pages made from them.
//!
//! Must never: touch a file.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::num::{NonZeroU32, NonZeroU64};

use av1_crds::library::{ByteCounts, FileCounts, ScanOrder};
use av1_crds::reasons::{self, Standing};
use av1_crds::wire::{
    Candidate, CandidatePage, CatalogSummary, FilePage, FileState, FileVerdict, Leftovers, PlanItem, PlanPage,
    PodFailure, VideoFigures,
};
use av1_media::gates::{Facts, Verdict, described};
use serde::{Deserialize, Serialize};

use super::leftovers::Trash;
use super::unread::Unread;
use crate::facts::Look;
use crate::role::now;

/// Most items of a page.
pub(super) const MAX_PAGE: usize = 1_000;

/// A path; files are kept in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    /// The path as people see it; bytes that are not UTF-8 are U+FFFD.
    pub(super) path: Box<str>,
    /// Its bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) raw: Option<Box<[u8]>>,
}

impl Key {
    pub(super) fn new(path: &std::path::Path) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let raw = path.to_str().is_none().then(|| Box::from(path.as_os_str().as_bytes()));
        Self { path: path.to_string_lossy().into(), raw }
    }

    /// The file's name.
    pub(super) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
}

/// A reason, by its place in [`reasons::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Cow<'_, str>", into = "&'static str")]
pub(super) struct Reason(u8);

impl Reason {
    /// The reason of this name; of one that this program does not know, that an encode pod decided.
    pub(super) fn new(name: &str) -> Self {
        Self::known(name).or_else(|| Self::known(reasons::SKIPPED_BEFORE)).unwrap_or(Self(0))
    }

    fn known(name: &str) -> Option<Self> {
        let place = reasons::ALL.iter().position(|(known, ..)| *known == name)?;
        u8::try_from(place).ok().map(Self)
    }

    pub(super) fn as_str(self) -> &'static str {
        reasons::ALL.get(usize::from(self.0)).map_or("", |(name, ..)| name)
    }

    /// How long a verdict with it stands.
    pub(super) fn standing(self) -> Standing {
        reasons::ALL.get(usize::from(self.0)).map_or(Standing::Temporary, |(_, standing, _)| *standing)
    }
}

impl TryFrom<Cow<'_, str>> for Reason {
    type Error = String;

    fn try_from(name: Cow<'_, str>) -> Result<Self, String> {
        Self::known(&name).ok_or_else(|| format!("{name:?} is no reason"))
    }
}

impl From<Reason> for &'static str {
    fn from(reason: Reason) -> Self {
        reason.as_str()
    }
}

impl PartialEq<str> for Reason {
    fn eq(&self, name: &str) -> bool {
        self.as_str() == name
    }
}

/// What is known of one file. There is one for each of a hundred thousand files: small types, and no room lost between them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) state: FileState,
    pub(super) reason: Reason,
    pub(super) message: Box<str>,
    pub(super) size: u64,
    pub(super) modified_time_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size_before: Option<NonZeroU64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) picture: Option<Picture>,
    /// Hash of all that could change the verdict from outside.
    pub(super) stamp: u64,
    /// First look at the file as it is now, in nanoseconds since 1970.
    pub(super) first_seen_ns: i64,
    /// The last scan of this process that came by; 0 for an entry of an earlier one.
    #[serde(skip)]
    pub(super) scan: u32,
    /// What the sidecar beside it looked like when it was found to be as it is to be; none when there was none, or it was not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sidecar: Option<NonZeroU64>,
    /// Whether that sidecar is to be written or removed.
    #[serde(skip)]
    pub(super) sidecar_due: bool,
}

/// What placement needs to know of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picture {
    pub(super) width: NonZeroU32,
    pub(super) height: u32,
    pub(super) duration_millis: u32,
}

impl Entry {
    /// An entry for `verdict`, which came from `facts`.
    pub(super) fn new(verdict: Verdict, facts: &Facts, stamp: u64, first_seen_ns: i64, scan: u32) -> Self {
        let attributes = facts.attributes.as_ref();
        Self {
            state: verdict.state,
            reason: Reason::new(&verdict.reason),
            message: verdict.message.into(),
            size: attributes.map_or(0, |a| a.size),
            modified_time_ns: attributes.map_or(0, |a| a.modified_time_ns),
            size_before: verdict.size_before.and_then(NonZeroU64::new),
            picture: picture(facts),
            stamp,
            first_seen_ns,
            scan,
            sidecar: None,
            sidecar_due: false,
        }
    }

    /// Whether it says the same about the file.
    pub(super) fn has_verdict_of(&self, other: &Self) -> bool {
        (self.state, self.reason, &self.message) == (other.state, other.reason, &other.message)
    }

    /// Whether it is looked at again though nothing changed from outside.
    pub(super) fn is_provisional(&self) -> bool {
        self.state != FileState::Pending && self.reason.standing() == Standing::Temporary
    }

    fn verdict(&self, path: &str, unread: &Unread) -> FileVerdict {
        let withheld = unread.withholds(path, self.size).filter(|_| self.state == FileState::Pending);
        let (state, reason, message) = match withheld {
            Some(why) => (FileState::Skipped, reasons::IO_ERROR, why),
            None => (self.state, self.reason.as_str(), self.message.clone().into_string()),
        };
        FileVerdict {
            path: path.to_owned(),
            state,
            reason: reason.to_owned(),
            message,
            size: self.size,
            size_before: self.size_before.map(NonZeroU64::get),
        }
    }
}

/// Everything that pages are made from.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) entries: BTreeMap<Key, Entry>,
    /// Whether the volume is the one that it should be.
    pub(super) right_volume: bool,
    /// Why it was not taken for that one at the last look.
    pub(super) wrong_volume: Option<PodFailure>,
    pub(super) problem: Option<String>,
    pub(super) scans: u64,
    pub(super) scan_finished_at: Option<String>,
    pub(super) scan_millis: u64,
    pub(super) replaced_before: u64,
    pub(super) replaced_after: u64,
    pub(super) trash: Trash,
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
    /// Calls of ffprobe since the process started.
    pub(super) probes: u64,
    /// Folders and names that the last scan could not read.
    pub(super) unreadable_folders: u64,
    /// Seconds that a file must not have changed, where NFS asks for more than the settings do.
    pub(super) stable_seconds: Option<u32>,
    /// Paths of files that are gone, beside which a scan's sidecar is left.
    pub(super) orphans: BTreeSet<String>,
    /// Receipts that cannot be read: files that they may be about are not offered.
    pub(super) unread: Unread,
}

impl Catalog {
    fn complete(&self) -> bool {
        self.right_volume && self.scans > 0
    }

    pub(super) fn summary(&self, volume_id: &str) -> CatalogSummary {
        let mut files = FileCounts { complete: self.complete(), ..FileCounts::default() };
        let mut skipped_by_reason: BTreeMap<&str, i64> = BTreeMap::new();
        let (mut scanned, mut sidecars) = (0, 0);
        for (key, entry) in self.shown() {
            files.total += 1;
            scanned = entry.size.saturating_add(scanned);
            sidecars += u64::from(entry.sidecar_due);
            if self.is_withheld(key, entry) {
                files.skipped += 1;
                *skipped_by_reason.entry(reasons::IO_ERROR).or_default() += 1;
                continue;
            }
            *match entry.state {
                FileState::Pending => &mut files.pending,
                FileState::Done => &mut files.done,
                FileState::AlreadyAv1 => &mut files.already_av1,
                FileState::Rejected => &mut files.rejected,
                FileState::Failed => &mut files.failed,
                FileState::Unreadable => &mut files.unreadable,
                FileState::Skipped => {
                    *skipped_by_reason.entry(entry.reason.as_str()).or_default() += 1;
                    &mut files.skipped
                }
            } += 1;
        }
        files.eligible = files.pending + files.done;
        CatalogSummary {
            volume_id: volume_id.to_owned(),
            wrong_volume: self.wrong_volume.clone(),
            files,
            skipped_by_reason: skipped_by_reason
                .into_iter()
                .map(|(reason, count)| (reason.to_owned(), count))
                .collect(),
            bytes: ByteCounts {
                scanned: signed(scanned),
                replaced_before: signed(self.replaced_before),
                replaced_after: signed(self.replaced_after),
                freed: signed(self.replaced_before) - signed(self.replaced_after),
                in_trash: signed(self.trash.bytes),
            },
            free_bytes: self.free_bytes,
            total_bytes: self.total_bytes,
            scans: self.scans,
            scan_finished_at: self.scan_finished_at.clone(),
            scan_millis: self.scan_millis,
            // Before the first scan ends it is not known which files there are.
            problem: self.problem.clone().or_else(|| self.unread.problem().filter(|_| self.complete())),
            stable_seconds: self.stable_seconds,
            due_in_trash: self.trash.due(now()).len() as u64,
            work_folders: self.trash.idle(now()).len() as u64,
            unfinished: self.trash.unfinished(now()).len() as u64,
            sidecars_due: if self.right_volume { sidecars + self.orphans.len() as u64 } else { 0 },
            ..CatalogSummary::default()
        }
    }

    /// Files worth encoding that this process has seen, in the library's order.
    fn pending(&self, order: ScanOrder) -> Vec<(&Key, &Entry)> {
        let is_offered = |(key, entry): &(&Key, &Entry)| {
            entry.state == FileState::Pending && entry.scan > 0 && !self.is_withheld(key, entry)
        };
        let mut pending: Vec<(&Key, &Entry)> = self.shown().filter(is_offered).collect();
        match order {
            ScanOrder::LargestFirst => pending.sort_by_key(|(_, entry)| Reverse(entry.size)),
            ScanOrder::OldestFirst => pending.sort_by_key(|(_, entry)| entry.modified_time_ns),
            ScanOrder::NewestFirst => pending.sort_by_key(|(_, entry)| Reverse(entry.modified_time_ns)),
            ScanOrder::Path => {}
        }
        pending
    }

    /// Whether a file that is worth encoding is not offered, because what was decided about it cannot be read.
    fn is_withheld(&self, key: &Key, entry: &Entry) -> bool {
        entry.state == FileState::Pending && self.unread.is_withheld(&key.path, entry.size)
    }

    /// A page of those of at most `largest` bytes.
    pub(super) fn candidates(&self, order: ScanOrder, offset: usize, limit: usize, largest: u64) -> CandidatePage {
        let mut pending = self.pending(order);
        let all = pending.len();
        pending.retain(|(_, entry)| entry.size <= largest);
        let candidate = |(key, entry): &(&Key, &Entry)| {
            let picture = entry.picture.as_ref();
            Candidate {
                path: key.path.to_string(),
                size: entry.size,
                modified_time_ns: entry.modified_time_ns,
                width: picture.map_or(0, |picture| picture.width.get()),
                height: picture.map_or(0, |picture| picture.height),
                duration_millis: picture.map_or(0, |picture| picture.duration_millis.into()),
            }
        };
        let items = pending.iter().skip(offset).take(limit.clamp(1, MAX_PAGE)).map(candidate).collect();
        let larger = (all - pending.len()) as u64;
        CandidatePage { items, total: pending.len() as u64, larger, complete: self.complete() }
    }

    /// A page of them with what predictions need.
    pub(super) fn plan(&self, order: ScanOrder, offset: usize, limit: usize) -> PlanPage {
        let pending = self.pending(order);
        let item = |(key, entry): &(&Key, &Entry)| {
            let (picture, described) = (entry.picture.as_ref(), described(&entry.message));
            let rate = described.as_ref().and_then(|video| video.frame_rate);
            PlanItem {
                path: key.path.to_string(),
                size: entry.size,
                video: VideoFigures {
                    width: picture.map_or(0, |picture| picture.width.get()),
                    height: picture.map_or(0, |picture| picture.height),
                    duration_millis: picture.map_or(0, |picture| picture.duration_millis.into()),
                    frame_rate: rate.map(|rate| rate.to_string()).unwrap_or_default(),
                    codec: described.map(|video| video.codec).unwrap_or_default(),
                },
            }
        };
        let items = pending.iter().skip(offset).take(limit.clamp(1, MAX_PAGE)).map(item).collect();
        PlanPage { items, total: pending.len() as u64, complete: self.complete(), settings: None }
    }

    /// Every path after `after` with its verdict. Names that look the same because they are not UTF-8 stay on one page.
    pub(super) fn files(&self, after: &str, limit: usize) -> FilePage {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut page = FilePage { complete: self.complete(), ..FilePage::default() };
        let mut rest =
            self.shown_from(after).skip_while(|(key, _)| !after.is_empty() && *key.path == *after).peekable();
        while let Some((key, entry)) = rest.next() {
            page.items.push(entry.verdict(&key.path, &self.unread));
            let same_again = rest.peek().is_some_and(|(next, _)| next.path == key.path);
            if page.items.len() >= limit && !same_again {
                page.next = rest.peek().map(|_| key.path.to_string());
                break;
            }
        }
        page
    }

    pub(super) fn file(&self, path: &str) -> Option<FileVerdict> {
        let (key, entry) = self.shown_from(path).next().filter(|(key, _)| *key.path == *path)?;
        Some(entry.verdict(&key.path, &self.unread))
    }

    /// The first look at the file as it is.
    pub(super) fn first_look(&self, path: &str) -> Option<Look> {
        let (_, entry) = self.shown_from(path).next().filter(|(key, _)| *key.path == *path)?;
        Some(Look { at_ns: entry.first_seen_ns, size: entry.size, modified_time_ns: entry.modified_time_ns })
    }

    /// What waits to be removed from the volume.
    pub(super) fn leftovers(&self, offset: usize, limit: usize) -> Leftovers {
        if self.right_volume { self.trash.page(now(), offset, limit.clamp(1, MAX_PAGE)) } else { Leftovers::default() }
    }

    /// Gives back what a tree that grew file by file holds in vain: about half of it.
    pub(super) fn compact(&mut self) {
        self.entries = std::mem::take(&mut self.entries).into_iter().collect();
    }

    /// Entries, as long as they are about the right volume.
    fn shown(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter().filter(|_| self.right_volume)
    }

    pub(super) fn shown_from(&self, path: &str) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.range(Key { path: path.into(), raw: None }..).filter(|_| self.right_volume)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a negative or absurd duration saturates
fn picture(facts: &Facts) -> Option<Picture> {
    let video = facts.video()?;
    let duration = facts.probe()?.format.duration.or(video.duration).unwrap_or(0.0);
    let width = NonZeroU32::new(video.width?)?;
    Some(Picture { width, height: video.height?, duration_millis: (duration * 1_000.0).round() as u32 })
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;

    use super::*;

    fn entry(state: FileState, reason: &'static str, size: u64) -> Entry {
        Entry {
            state,
            reason: Reason::new(reason),
            message: "".into(),
            size,
            modified_time_ns: i64::try_from(size % 10).unwrap(),
            size_before: None,
            picture: None,
            stamp: 0,
            first_seen_ns: 0,
            scan: 1,
            sidecar: None,
            sidecar_due: false,
        }
    }

    fn catalog(entries: &[(&[u8], Entry)]) -> Catalog {
        let entries =
            entries.iter().map(|(path, entry)| (Key::new(Path::new(OsStr::from_bytes(path))), entry.clone())).collect();
        Catalog { entries, right_volume: true, scans: 1, ..Catalog::default() }
    }

    fn pending(size: u64) -> Entry {
        entry(FileState::Pending, reasons::ELIGIBLE, size)
    }

    #[test]
    fn candidates_come_in_the_librarys_order_page_by_page() {
        let catalog = catalog(&[
            (b"a", pending(19)),
            (b"b", pending(28)),
            (b"c", entry(FileState::Skipped, reasons::INTERLACED, 99)),
            (b"d", pending(37)),
        ]);
        let paths = |order, offset, limit| -> Vec<String> {
            catalog.candidates(order, offset, limit, u64::MAX).items.into_iter().map(|c| c.path).collect()
        };
        assert_eq!(paths(ScanOrder::LargestFirst, 0, 100), ["d", "b", "a"]);
        assert_eq!(paths(ScanOrder::OldestFirst, 0, 100), ["d", "b", "a"]);
        assert_eq!(paths(ScanOrder::NewestFirst, 0, 100), ["a", "b", "d"]);
        assert_eq!(paths(ScanOrder::Path, 1, 1), ["b"]);
        let small = catalog.candidates(ScanOrder::LargestFirst, 0, 1, 28);
        assert_eq!((small.items[0].path.as_str(), small.total, small.larger), ("b", 2, 1));
        assert_eq!(
            catalog.candidates(ScanOrder::Path, 9, 1, u64::MAX),
            CandidatePage { items: vec![], total: 3, larger: 0, complete: true }
        );
    }

    #[test]
    fn candidates_of_an_earlier_process_wait_until_a_scan_came_by() {
        let catalog = catalog(&[(b"a", Entry { scan: 0, ..pending(1) })]);
        assert_eq!(catalog.candidates(ScanOrder::Path, 0, 10, u64::MAX).total, 0);
        assert_eq!(catalog.files("", 10).items.len(), 1);
    }

    #[test]
    fn all_files_are_paged_once_names_that_look_the_same_included() {
        let catalog = catalog(&[
            (b"a", pending(1)),
            (b"b\xfe", pending(1)),
            (b"b\xff", pending(1)),
            (b"c", pending(1)),
            (b"d", pending(1)),
        ]);
        let mut seen = Vec::new();
        let mut after = Some(String::new());
        while let Some(from) = after {
            let page = catalog.files(&from, 2);
            seen.extend(page.items.into_iter().map(|file| file.path));
            after = page.next;
        }
        assert_eq!(seen, ["a", "b\u{fffd}", "b\u{fffd}", "c", "d"]);
        assert_eq!(catalog.file("c").map(|file| file.path).as_deref(), Some("c"));
        assert_eq!(catalog.file("bb"), None);
    }

    #[test]
    fn the_summary_counts_each_file_once_and_skipped_ones_by_reason() {
        let catalog = catalog(&[
            (b"a", pending(5)),
            (b"b", entry(FileState::Done, reasons::ALREADY_DONE, 7)),
            (b"c", entry(FileState::Skipped, reasons::INTERLACED, 1)),
            (b"d", entry(FileState::Skipped, reasons::INTERLACED, 1)),
            (b"e", entry(FileState::Unreadable, reasons::UNREADABLE, 1)),
        ]);
        let summary = catalog.summary("id");
        let expected = FileCounts {
            total: 5,
            eligible: 2,
            done: 1,
            skipped: 2,
            pending: 1,
            unreadable: 1,
            complete: true,
            ..FileCounts::default()
        };
        assert_eq!(summary.files, expected);
        assert_eq!((summary.bytes.scanned, summary.skipped_by_reason[reasons::INTERLACED]), (15, 2));
    }

    #[test]
    fn an_entry_and_its_key_leave_room_for_path_and_message_in_three_hundred_bytes() {
        let both = size_of::<Entry>() + size_of::<Key>();
        assert!(both <= 120, "{both}");
    }

    #[test]
    fn every_reason_is_kept_and_one_that_is_not_known_is_a_decision_of_an_encode_pod() {
        for (name, ..) in reasons::ALL {
            assert_eq!(Reason::new(name).as_str(), *name);
        }
        assert_eq!(Reason::new("FromTheFuture"), *reasons::SKIPPED_BEFORE);
        assert!(serde_json::from_str::<Reason>("\"FromTheFuture\"").is_err());
    }

    #[test]
    fn nothing_is_shown_of_a_volume_that_is_not_the_right_one() {
        let wrong = Catalog { right_volume: false, ..catalog(&[(b"a", pending(1))]) };
        assert_eq!(wrong.summary("id").files, FileCounts::default());
        assert_eq!(wrong.candidates(ScanOrder::Path, 0, 10, u64::MAX), CandidatePage::default());
        assert_eq!(wrong.files("", 10), FilePage::default());
        assert_eq!(wrong.file("a"), None);
    }
}
