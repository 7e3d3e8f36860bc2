//! What the catalog knows, in memory: an entry for each file, counts, and the pages made from them.
//!
//! Must never: touch a file.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::BTreeMap;

use av1_crds::library::{ByteCounts, FileCounts, ScanOrder};
use av1_crds::reasons::{self, Standing};
use av1_crds::wire::{Candidate, CandidatePage, CatalogSummary, FilePage, FileState, FileVerdict, Leftovers};
use av1_media::gates::{Facts, Verdict};
use serde::{Deserialize, Serialize};

use super::leftovers::Trash;
use crate::role::now;

/// Most items of a page.
pub(super) const MAX_PAGE: usize = 1_000;

/// A path; files are kept in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    /// The path as people see it; bytes that are not UTF-8 are U+FFFD.
    pub(super) path: String,
    /// Its bytes, when they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) raw: Option<Box<[u8]>>,
}

impl Key {
    pub(super) fn new(path: &std::path::Path) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let raw = path.to_str().is_none().then(|| Box::from(path.as_os_str().as_bytes()));
        Self { path: path.to_string_lossy().into_owned(), raw }
    }
}

/// What is known of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) state: FileState,
    pub(super) reason: Cow<'static, str>,
    pub(super) message: Box<str>,
    pub(super) size: u64,
    pub(super) modified_time_ns: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size_before: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) picture: Option<Picture>,
    /// Hash of all that could change the verdict from outside.
    pub(super) stamp: u64,
    /// First look at the file as it is now, in nanoseconds since 1970.
    pub(super) first_seen_ns: i64,
    /// The last scan of this process that came by; 0 for an entry of an earlier one.
    #[serde(skip)]
    pub(super) scan: u64,
}

/// What placement needs to know of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) duration_millis: u64,
}

impl Entry {
    /// An entry for `verdict`, which came from `facts`.
    pub(super) fn new(verdict: Verdict, facts: &Facts, stamp: u64, first_seen_ns: i64, scan: u64) -> Self {
        let attributes = facts.attributes.as_ref();
        Self {
            state: verdict.state,
            reason: known_reason(&verdict.reason),
            message: verdict.message.into(),
            size: attributes.map_or(0, |a| a.size),
            modified_time_ns: attributes.map_or(0, |a| a.modified_time_ns),
            size_before: verdict.size_before,
            picture: picture(facts),
            stamp,
            first_seen_ns,
            scan,
        }
    }

    /// Whether it is looked at again though nothing changed from outside.
    pub(super) fn is_provisional(&self) -> bool {
        self.state != FileState::Pending && reasons::standing(&self.reason) == Standing::Temporary
    }

    /// Shares the text of the reason, after it was read from the index.
    pub(super) fn share_reason(&mut self) {
        self.reason = known_reason(&self.reason);
    }

    fn verdict(&self, path: &str) -> FileVerdict {
        FileVerdict {
            path: path.to_owned(),
            state: self.state,
            reason: self.reason.clone().into_owned(),
            message: self.message.clone().into_string(),
            size: self.size,
            size_before: self.size_before,
        }
    }
}

/// Everything that pages are made from.
#[derive(Debug, Default)]
pub(super) struct Catalog {
    pub(super) entries: BTreeMap<Key, Entry>,
    /// Whether the volume is the one that it should be.
    pub(super) right_volume: bool,
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
}

impl Catalog {
    fn complete(&self) -> bool {
        self.right_volume && self.scans > 0
    }

    pub(super) fn summary(&self, volume_id: &str) -> CatalogSummary {
        let mut files = FileCounts { complete: self.complete(), ..FileCounts::default() };
        let mut skipped_by_reason = BTreeMap::new();
        let mut scanned = 0;
        for entry in self.shown().map(|(_, entry)| entry) {
            files.total += 1;
            scanned = entry.size.saturating_add(scanned);
            *match entry.state {
                FileState::Pending => &mut files.pending,
                FileState::Done => &mut files.done,
                FileState::AlreadyAv1 => &mut files.already_av1,
                FileState::Rejected => &mut files.rejected,
                FileState::Failed => &mut files.failed,
                FileState::Unreadable => &mut files.unreadable,
                FileState::Skipped => {
                    *skipped_by_reason.entry(entry.reason.clone().into_owned()).or_insert(0) += 1;
                    &mut files.skipped
                }
            } += 1;
        }
        files.eligible = files.pending + files.done;
        CatalogSummary {
            volume_id: volume_id.to_owned(),
            files,
            skipped_by_reason,
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
            problem: self.problem.clone(),
            due_in_trash: self.trash.due(now()).len() as u64,
            work_folders: self.trash.idle(now()).len() as u64,
        }
    }

    /// Files worth encoding that this process has seen, in the library's order.
    pub(super) fn candidates(&self, order: ScanOrder, offset: usize, limit: usize) -> CandidatePage {
        let mut pending: Vec<(&Key, &Entry)> =
            self.shown().filter(|(_, entry)| entry.state == FileState::Pending && entry.scan > 0).collect();
        match order {
            ScanOrder::LargestFirst => pending.sort_by_key(|(_, entry)| Reverse(entry.size)),
            ScanOrder::OldestFirst => pending.sort_by_key(|(_, entry)| entry.modified_time_ns),
            ScanOrder::NewestFirst => pending.sort_by_key(|(_, entry)| Reverse(entry.modified_time_ns)),
            ScanOrder::Path => {}
        }
        let candidate = |(key, entry): &(&Key, &Entry)| {
            let picture = entry.picture.unwrap_or(Picture { width: 0, height: 0, duration_millis: 0 });
            Candidate {
                path: key.path.clone(),
                size: entry.size,
                modified_time_ns: entry.modified_time_ns,
                width: picture.width,
                height: picture.height,
                duration_millis: picture.duration_millis,
            }
        };
        let items = pending.iter().skip(offset).take(limit.clamp(1, MAX_PAGE)).map(candidate).collect();
        CandidatePage { items, total: pending.len() as u64, complete: self.complete() }
    }

    /// Every path after `after` with its verdict. Names that look the same because they are not UTF-8 stay on one page.
    pub(super) fn files(&self, after: &str, limit: usize) -> FilePage {
        let limit = limit.clamp(1, MAX_PAGE);
        let mut page = FilePage { complete: self.complete(), ..FilePage::default() };
        let mut rest = self.shown_from(after).skip_while(|(key, _)| !after.is_empty() && key.path == after).peekable();
        while let Some((key, entry)) = rest.next() {
            page.items.push(entry.verdict(&key.path));
            let same_again = rest.peek().is_some_and(|(next, _)| next.path == key.path);
            if page.items.len() >= limit && !same_again {
                page.next = rest.peek().map(|_| key.path.clone());
                break;
            }
        }
        page
    }

    pub(super) fn file(&self, path: &str) -> Option<FileVerdict> {
        self.shown_from(path).next().filter(|(key, _)| key.path == path).map(|(key, entry)| entry.verdict(&key.path))
    }

    /// What waits to be removed from the volume.
    pub(super) fn leftovers(&self, limit: usize) -> Leftovers {
        if self.right_volume { self.trash.page(now(), limit.clamp(1, MAX_PAGE)) } else { Leftovers::default() }
    }

    /// Entries, as long as they are about the right volume.
    fn shown(&self) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.iter().filter(|_| self.right_volume)
    }

    fn shown_from(&self, path: &str) -> impl Iterator<Item = (&Key, &Entry)> {
        self.entries.range(Key { path: path.to_owned(), raw: None }..).filter(|_| self.right_volume)
    }
}

/// The constant for a reason, so that a hundred thousand entries share a few texts.
fn known_reason(reason: &str) -> Cow<'static, str> {
    reasons::ALL
        .iter()
        .find(|(known, ..)| *known == reason)
        .map_or_else(|| Cow::Owned(reason.to_owned()), |(known, ..)| Cow::Borrowed(*known))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a negative or absurd duration saturates
fn picture(facts: &Facts) -> Option<Picture> {
    let video = facts.video()?;
    let duration = facts.probe()?.format.duration.or(video.duration).unwrap_or(0.0);
    Some(Picture { width: video.width?, height: video.height?, duration_millis: (duration * 1_000.0).round() as u64 })
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
            reason: reason.into(),
            message: "".into(),
            size,
            modified_time_ns: i64::try_from(size % 10).unwrap(),
            size_before: None,
            picture: None,
            stamp: 0,
            first_seen_ns: 0,
            scan: 1,
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
            catalog.candidates(order, offset, limit).items.into_iter().map(|c| c.path).collect()
        };
        assert_eq!(paths(ScanOrder::LargestFirst, 0, 100), ["d", "b", "a"]);
        assert_eq!(paths(ScanOrder::OldestFirst, 0, 100), ["d", "b", "a"]);
        assert_eq!(paths(ScanOrder::NewestFirst, 0, 100), ["a", "b", "d"]);
        assert_eq!(paths(ScanOrder::Path, 1, 1), ["b"]);
        assert_eq!(
            catalog.candidates(ScanOrder::Path, 9, 1),
            CandidatePage { items: vec![], total: 3, complete: true }
        );
    }

    #[test]
    fn candidates_of_an_earlier_process_wait_until_a_scan_came_by() {
        let catalog = catalog(&[(b"a", Entry { scan: 0, ..pending(1) })]);
        assert_eq!(catalog.candidates(ScanOrder::Path, 0, 10).total, 0);
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
    fn nothing_is_shown_of_a_volume_that_is_not_the_right_one() {
        let wrong = Catalog { right_volume: false, ..catalog(&[(b"a", pending(1))]) };
        assert_eq!(wrong.summary("id").files, FileCounts::default());
        assert_eq!(wrong.candidates(ScanOrder::Path, 0, 10), CandidatePage::default());
        assert_eq!(wrong.files("", 10), FilePage::default());
        assert_eq!(wrong.file("a"), None);
    }
}
