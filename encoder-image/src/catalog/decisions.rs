//! What was decided before, read from the receipts on the volume.
//!
//! May: read `.av1/state/receipts`. Must never: write.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use av1_crds::paths::{AV1_DIR, RECEIPTS_DIR};
use av1_crds::reasons::RESTORED_BY_USER;
use av1_crds::settings::ReplacementMode;
use av1_crds::wire::EncodeVerdict;
use av1_media::gates::Decision;
use av1_media::receipt::{MAX_RECEIPTS_JSON, Receipts};
use rustix::fs::Stat;

use super::tree::hash;
use super::unread::{Unread, is_receipts};
use crate::beneath::{Folder, Root};

/// All decisions, kept up to date by [`Decisions::refresh`].
#[derive(Debug, Default)]
pub(crate) struct Decisions {
    files: HashMap<OsString, ReceiptFile>,
    by_size: HashMap<u64, Vec<Arc<Decision>>>,
    unread: Unread,
}

#[derive(Debug)]
struct ReceiptFile {
    seen: [u64; 4],
    decisions: Vec<Arc<Decision>>,
}

/// Bytes of replaced files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Replaced {
    /// Before.
    pub(super) before: u64,
    /// After.
    pub(super) after: u64,
}

impl Decisions {
    /// Reads receipts that are new or changed, and forgets those that are gone. Of receipts that cannot be read now what they said
    /// before is kept; they are read again at the next call, and [`Self::unread`] tells of them.
    pub(crate) fn refresh(&mut self, root: &Root) -> io::Result<()> {
        let folder = match root.open_folder(&Path::new(AV1_DIR).join(RECEIPTS_DIR)) {
            Ok(folder) => folder,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                *self = Self::default();
                return Ok(());
            }
            Err(e) => return Err(e),
        };
        let mut present = HashSet::new();
        let mut unread = Unread::default();
        let mut changed = false;
        for name in folder.names()? {
            let receipts = Path::new(&name).extension().is_some_and(|extension| extension == "json");
            let Some(stat) = folder.stat(&name)?.filter(|_| receipts) else {
                continue;
            };
            let seen = seen(&stat);
            if self.files.get(&name).is_none_or(|file| file.seen != seen) {
                match read(&folder, &name) {
                    Ok(decisions) => {
                        self.files.insert(name.clone(), ReceiptFile { seen, decisions });
                        changed = true;
                    }
                    Err(e) if is_gone(&*e) => continue,
                    Err(e) => self.note(&mut unread, &name, &e.to_string()),
                }
            }
            present.insert(name);
        }
        let before = self.files.len();
        self.files.retain(|name, _| present.contains(name));
        if changed || before != self.files.len() {
            self.sort();
        }
        self.unread = unread;
        Ok(())
    }

    fn note(&self, unread: &mut Unread, name: &OsStr, why: &str) {
        let shown = Path::new(name).display();
        let Some(name) = name.to_str().filter(|name| is_receipts(name)) else {
            return tracing::debug!("{shown}, which is among the receipts and none, is passed over: {why}");
        };
        if !self.unread.has(name, why) {
            tracing::warn!(
                "the receipts in {shown} cannot be read, files that they may be about are not offered: {why}"
            );
        }
        let earlier = self.files.get(OsStr::new(name)).map(|file| file.decisions.iter().map(Arc::as_ref));
        unread.note(name, why.to_owned(), earlier);
    }

    /// Receipts that could not be read.
    pub(super) fn unread(&self) -> &Unread {
        &self.unread
    }

    /// Decisions about files of this size, newest first.
    pub(crate) fn about(&self, size: u64) -> Vec<Decision> {
        self.by_size
            .get(&size)
            .map(|list| list.iter().map(|decision| Decision::clone(decision)).collect())
            .unwrap_or_default()
    }

    /// Hash of [`Self::about`]; 0 when there are none.
    pub(super) fn stamp(&self, size: u64, now_ns: i64) -> u64 {
        let Some(list) = self.by_size.get(&size) else {
            return 0;
        };
        let text: Vec<u64> = list
            .iter()
            .flat_map(|d| {
                let over = if d.stands_at(now_ns) { "" } else { "\0over" };
                format!("{}\0{}\0{:?}{over}", d.path, d.at, d.verdict).into_bytes()
            })
            .map(u64::from)
            .collect();
        hash(&text)
    }

    /// Bytes of all files that were replaced, by the newest replacement of each path.
    pub(super) fn replaced(&self) -> Replaced {
        let mut sum = Replaced::default();
        for one in self.files.values().filter_map(|file| standing(file.decisions.iter().map(Arc::as_ref))) {
            sum.before = sum.before.saturating_add(one.before);
            sum.after = sum.after.saturating_add(one.after);
        }
        sum
    }

    fn sort(&mut self) {
        self.by_size.clear();
        for decision in self.files.values().flat_map(|file| &file.decisions) {
            let sizes = HashSet::from([
                decision.source.size,
                decision.result.as_ref().map_or(decision.source.size, |result| result.size),
            ]);
            for size in sizes {
                self.by_size.entry(size).or_default().push(Arc::clone(decision));
            }
        }
        for list in self.by_size.values_mut() {
            list.sort_by(|a, b| (&b.at, &b.path).cmp(&(&a.at, &a.path)));
        }
    }
}

/// The replacement that stands, by the decisions on one path, the newest first. Of a file whose original was brought back nothing
/// is saved.
pub(super) fn standing<'a>(decisions: impl IntoIterator<Item = &'a Decision>) -> Option<Replaced> {
    let placed = |d: &&Decision| d.verdict == EncodeVerdict::Encoded || d.reason == RESTORED_BY_USER;
    let newest = decisions.into_iter().find(placed).filter(|d| d.mode == ReplacementMode::Replace)?;
    Some(Replaced { before: newest.source.size, after: newest.result.as_ref()?.size })
}

fn read(folder: &Folder, name: &OsString) -> Result<Vec<Arc<Decision>>, Box<dyn std::error::Error>> {
    let mut bytes = Vec::new();
    folder.open_regular(name)?.take(MAX_RECEIPTS_JSON as u64 + 1).read_to_end(&mut bytes)?;
    Ok(Receipts::parse(&bytes)?.entries.iter().map(|receipt| Arc::new(Decision::from(receipt))).collect())
}

/// Whether the file went away meanwhile.
fn is_gone(error: &(dyn std::error::Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::NotFound)
}

#[allow(clippy::cast_sign_loss)] // only compared
fn seen(stat: &Stat) -> [u64; 4] {
    [stat.st_ino, stat.st_size as u64, stat.st_mtime as u64, stat.st_mtime_nsec]
}

#[cfg(test)]
mod tests {
    use av1_crds::reasons;
    use av1_crds::wire::FileIdentity;

    use super::*;

    #[test]
    fn a_file_is_judged_afresh_once_a_decision_about_it_is_over() {
        const DAY: i64 = 86_400 * 1_000_000_000;
        let given_up = |reason: &str| {
            let decision = Decision {
                path: "a.mkv".into(),
                at: "1970-01-01T00:00:00Z".into(),
                verdict: EncodeVerdict::Failed,
                reason: reason.into(),
                message: String::new(),
                source: FileIdentity { size: 7, ..FileIdentity::default() },
                result: None,
                settings_digest: String::new(),
                mode: ReplacementMode::Replace,
            };
            Decisions { by_size: HashMap::from([(7, vec![Arc::new(decision)])]), ..Decisions::default() }
        };
        let stamps = |reason| [0, DAY - 1, DAY, 2 * DAY].map(|now_ns| given_up(reason).stamp(7, now_ns));
        let [new, within, over, later] = stamps(reasons::POD_LOST);
        assert!(new == within && within != over && over == later);
        for reason in [reasons::VERIFICATION_FAILED, reasons::REPLACEMENT_FAILED] {
            let lasting = stamps(reason);
            assert!(lasting.iter().all(|stamp| *stamp == lasting[0]), "{reason}");
        }
    }
}
