//! Sidecars of scans: which file is to have one, and whether the one beside it is that. Another role writes and removes them.
//!
//! May: read sidecars. Must never: write, or have a sidecar that is not a scan's changed.

use std::io::{self, Read as _};
use std::num::NonZeroU64;
use std::path::Path;

use av1_crds::paths::WHY_SUFFIX;
use av1_crds::reasons::{self, Standing};
use av1_crds::settings::WhySidecars;
use av1_crds::wire::{FileState, ScanVerdict, Sidecar, SidecarPage};
use av1_media::marker::{why_is_a_scans, why_tells};
use av1_media::trash::MAX_NAME;

use super::state::{Catalog, Entry, Key, MAX_PAGE};
use crate::beneath::Root;

/// Most bytes of a sidecar that are read.
const MOST: u64 = 64 << 10;
/// Most characters of what a sidecar says.
const MOST_SAID: usize = 500;
/// Most sidecars without their file that are known at a time.
pub(super) const MOST_ORPHANS: usize = 1_000;

impl Entry {
    /// What the sidecar of a scan is to say about it; none when there is to be none.
    pub(super) fn says(&self, key: &Key, when: WhySidecars) -> Option<ScanVerdict> {
        self.is_explained(key, when).then(|| ScanVerdict {
            reason: self.reason.as_str().to_owned(),
            message: self.message.chars().take(MOST_SAID).collect(),
        })
    }

    /// Whether it stays as it is for good, and can be told about: what we made ourselves needs no words.
    fn is_explained(&self, key: &Key, when: WhySidecars) -> bool {
        let name = key.name().len();
        when == WhySidecars::All
            && !matches!(self.state, FileState::Pending | FileState::Done)
            && self.reason != *reasons::ALREADY_DONE
            && self.reason.standing() == Standing::Final
            && key.raw.is_none()
            && name + WHY_SUFFIX.len() <= MAX_NAME
    }

    /// Takes note of the sidecar beside it, which looks like `seen` (none: there is none); false when it has to be read for that.
    /// Without a verdict (the file could not be looked at) the one that is there stays.
    pub(super) fn knows_sidecar(&mut self, key: &Key, when: WhySidecars, seen: Option<NonZeroU64>) -> bool {
        if seen.is_none() {
            (self.sidecar, self.sidecar_due) = (None, self.is_explained(key, when));
            return true;
        }
        let stays = seen == self.sidecar || self.reason == *reasons::IO_ERROR || key.raw.is_some();
        self.sidecar_due &= !stays;
        stays
    }

    /// The same, by reading it.
    pub(super) fn read_sidecar(&mut self, root: &Root, key: &Key, when: WhySidecars, seen: Option<NonZeroU64>) {
        let is_right = match (read(root, &key.path), self.says(key, when)) {
            (Ok(text), _) if !why_is_a_scans(&text) => true,
            (Ok(text), Some(says)) => why_tells(&text, key.name(), &says),
            (Ok(_), None) => false,
            (Err(error), _) => {
                tracing::debug!("the sidecar beside {}: {error}; looked at again at the next scan", key.path);
                (self.sidecar, self.sidecar_due) = (None, false);
                return;
            }
        };
        (self.sidecar, self.sidecar_due) = (seen.filter(|_| is_right), !is_right);
    }
}

impl Catalog {
    /// Sidecars that are to be written or removed, by path, after `after`.
    pub(super) fn sidecars(&self, when: WhySidecars, after: &str, limit: usize) -> SidecarPage {
        let limit = limit.clamp(1, MAX_PAGE);
        let behind = |path: &str| path > after;
        let due = self.shown_from(after).filter(|(key, entry)| entry.sidecar_due && behind(&key.path));
        let due =
            due.map(|(key, entry)| Sidecar { path: key.path.to_string(), says: entry.says(key, when) }).take(limit);
        let orphans = self.orphans.iter().filter(|path| self.right_volume && behind(path));
        let orphans = orphans.map(|path| Sidecar { path: path.clone(), says: None }).take(limit);
        let mut items: Vec<Sidecar> = due.chain(orphans).collect();
        items.sort_by(|a, b| a.path.cmp(&b.path));
        items.truncate(limit);
        SidecarPage { items }
    }
}

/// Of the paths of files that are not there, those beside which a scan's sidecar is left.
pub(super) fn left_behind(root: &Root, paths: Vec<String>) -> Vec<String> {
    paths.into_iter().filter(|path| read(root, path).is_ok_and(|text| why_is_a_scans(&text))).collect()
}

fn read(root: &Root, path: &str) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    root.open_file(Path::new(&format!("{path}{WHY_SUFFIX}")))?.take(MOST).read_to_end(&mut text)?;
    Ok(text)
}
