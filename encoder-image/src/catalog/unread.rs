//! Receipts that cannot be read, and the files that they may be about. What the user wished (a file brought back, an encode
//! cancelled) may stand there alone, so such files are not offered until they can be read.
//!
//! Must never: touch a file.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use av1_crds::paths::{AV1_DIR, RECEIPTS_DIR};
use av1_media::gates::Decision;
use av1_media::receipt::file_name;

/// Length of the name of a file of receipts: a SHA-256 in hexadecimal, and `.json`.
const NAME_LENGTH: usize = 64 + ".json".len();

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unread {
    files: BTreeMap<String, About>,
    /// Sizes of the files that any of them is about.
    sizes: HashSet<u64>,
    /// The first of which it is not known which file it is about: it may have been moved since, so that it may be any.
    stray: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct About {
    why: String,
    /// Sizes of the files that it was about when it could be read; none when it never was.
    sizes: Option<BTreeSet<u64>>,
}

/// Whether a file of receipts has this name; whatever else lies in their folder decides nothing.
pub(super) fn is_receipts(name: &str) -> bool {
    let hexadecimal = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    name.len() == NAME_LENGTH && name.strip_suffix(".json").is_some_and(hexadecimal)
}

impl Unread {
    pub(super) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Takes note of the receipts in `name`, which said `earlier` when they could be read.
    pub(super) fn note<'a>(
        &mut self,
        name: &str,
        why: String,
        earlier: Option<impl IntoIterator<Item = &'a Decision>>,
    ) {
        let sizes = |decision: &'a Decision| {
            [Some(decision.source.size), decision.result.as_ref().map(|result| result.size)].into_iter().flatten()
        };
        let sizes: Option<BTreeSet<u64>> = earlier.map(|decisions| decisions.into_iter().flat_map(sizes).collect());
        self.sizes.extend(sizes.iter().flatten());
        self.files.insert(name.to_owned(), About { why, sizes });
    }

    /// Whether the same was noted of `name`.
    pub(super) fn has(&self, name: &str, why: &str) -> bool {
        self.files.get(name).is_some_and(|about| about.why == why)
    }

    /// Finds out which are about a file of the library, by the paths of all of them.
    pub(super) fn place<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        let mut strays: BTreeSet<String> =
            self.files.iter().filter(|(_, about)| about.sizes.is_none()).map(|(name, _)| name.clone()).collect();
        if !strays.is_empty() {
            paths.for_each(|path| {
                strays.remove(&file_name(path));
            });
        }
        self.stray = strays.pop_first();
    }

    /// Why the file at `path` is not offered, if it is not.
    pub(super) fn withholds(&self, path: &str, size: u64) -> Option<String> {
        self.name_for(path, size).map(|name| self.told(name))
    }

    /// Whether the file at `path` is not offered.
    pub(super) fn is_withheld(&self, path: &str, size: u64) -> bool {
        let is_about = || self.sizes.contains(&size) || self.files.contains_key(&file_name(path));
        !self.files.is_empty() && (self.stray.is_some() || is_about())
    }

    fn name_for(&self, path: &str, size: u64) -> Option<&str> {
        if self.files.is_empty() {
            return None;
        }
        let of_its_size = |(_, about): &(&String, &About)| about.sizes.as_ref().is_some_and(|s| s.contains(&size));
        let by_size = || self.sizes.contains(&size).then(|| self.files.iter().find(of_its_size)).flatten();
        let own = self.files.get_key_value(&file_name(path)).or_else(by_size);
        own.map(|(name, _)| name.as_str()).or(self.stray.as_deref())
    }

    /// What a person is told when no file at all is offered.
    pub(super) fn problem(&self) -> Option<String> {
        self.stray.as_deref().map(|name| format!("no file is offered: {}", self.told(name)))
    }

    fn told(&self, name: &str) -> String {
        let why = self.files.get(name).map_or("", |about| &about.why);
        let more = match self.files.len().saturating_sub(1) {
            0 => String::new(),
            more => format!(" (nor can {more} more)"),
        };
        format!(
            "what was decided before is not known: {AV1_DIR}/{RECEIPTS_DIR}/{name} cannot be read{more}: {why}. It is tried again; if it stays so, mend the file or bring it back from a backup, or rename it to {name}.broken: what it says is forgotten then, also that a file was brought back or cancelled"
        )
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::ReplacementMode;
    use av1_crds::wire::{EncodeVerdict, FileIdentity};

    use super::*;

    fn decision(size: u64) -> Decision {
        Decision {
            path: "a.mkv".into(),
            at: "2026-01-02T03:04:05Z".into(),
            verdict: EncodeVerdict::Encoded,
            reason: "Encoded".into(),
            message: "m".into(),
            source: FileIdentity { size, ..FileIdentity::default() },
            result: Some(FileIdentity { size: size / 2, ..FileIdentity::default() }),
            settings_digest: "d".into(),
            mode: ReplacementMode::Replace,
        }
    }

    #[test]
    fn what_was_read_before_concerns_its_path_and_files_of_its_sizes_alone() {
        let mut unread = Unread::default();
        unread.note(&file_name("a.mkv"), "EIO".into(), Some(&[decision(100)]));
        unread.place(["b.mkv"].into_iter());
        for (path, size, withheld) in
            [("a.mkv", 7, true), ("b.mkv", 7, false), ("b.mkv", 100, true), ("b.mkv", 50, true)]
        {
            assert_eq!(unread.is_withheld(path, size), withheld, "{path} {size}");
        }
        assert_eq!(unread.problem(), None);
    }

    #[test]
    fn what_was_never_read_concerns_the_file_at_its_path_or_when_that_is_gone_any() {
        let mut unread = Unread::default();
        unread.note(&file_name("a.mkv"), "EIO".into(), None::<&[Decision]>);
        unread.place(["a.mkv", "b.mkv"].into_iter());
        assert!(unread.is_withheld("a.mkv", 7) && !unread.is_withheld("b.mkv", 7));
        assert_eq!(unread.problem(), None);
        unread.place(["b.mkv"].into_iter());
        let told = unread.withholds("b.mkv", 7).unwrap();
        assert!(told.contains(&file_name("a.mkv")) && told.contains("EIO"), "{told}");
        assert!(unread.problem().unwrap().contains(&told));
    }

    #[test]
    fn only_the_hash_of_a_path_names_receipts() {
        assert!(is_receipts(&file_name("a.mkv")));
        for name in ["notes.json", &format!("._{}", &file_name("a.mkv")[2..]), &file_name("a.mkv").to_uppercase()] {
            assert!(!is_receipts(name), "{name}");
        }
    }
}
