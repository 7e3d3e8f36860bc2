//! Undo: which two files a restore swaps, as receipts and trash tell it.
//!
//! A file that was replaced is a pair: the one that is wanted back, kept somewhere, and the one that was put in its place. What
//! is where now is looked at by the agent; here is only what was written down.

use av1_crds::quantity::QuantityError;
use av1_crds::settings::Settings;
use av1_crds::wire::{EncodeVerdict, FileIdentity, RestoreTask, Wanted};
use serde::{Deserialize, Serialize};

use crate::identity::same_content;
use crate::receipt::{self, Receipt, Receipts, Replaced, Restored, settings_digest};
use crate::trash::{TrashEntry, path_in_trash};

/// The two files of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pair {
    /// Path whose receipts tell of them: that of the original when it was encoded.
    pub receipts: String,
    /// Where the wanted file is kept, below the library's root.
    pub home: String,
    /// Name that the wanted file had.
    pub name: String,
    /// Its identity.
    pub wanted: FileIdentity,
    /// Its SHA-256.
    pub wanted_sha256: String,
    /// Path that the file in its place was written to.
    pub place: String,
    /// Identity of that file.
    pub present: FileIdentity,
    /// Its SHA-256.
    pub present_sha256: String,
    /// When the wanted file made room, RFC 3339.
    pub at: String,
}

/// What a restore is to do, as it stands in its journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restoring {
    /// The task.
    pub task: RestoreTask,
    /// The two files.
    pub pair: Pair,
    /// Path where the file that makes room was found; none when it is nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Path that the wanted file gets.
    pub target: String,
}

impl Restoring {
    /// The path that is claimed: the one whose file changes.
    #[must_use]
    pub fn claimed(&self) -> &str {
        self.found.as_deref().unwrap_or(&self.target)
    }
}

/// What receipts or trash say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// The wanted file is kept.
    Kept(Box<Pair>),
    /// The wanted file was at this path when the newest entry was written.
    There {
        /// The path.
        path: String,
        /// Its identity.
        identity: FileIdentity,
        /// Since when, RFC 3339.
        at: String,
    },
    /// Nothing is known of a replacement.
    Unknown,
}

fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// The newest entry that put a file at a name.
#[must_use]
pub fn newest_placement(receipts: &Receipts) -> Option<&Receipt> {
    receipts.entries.iter().find(|r| r.restored.is_some() || r.verdict == EncodeVerdict::Encoded && r.result.is_some())
}

/// What the receipts of a path say.
#[must_use]
pub fn from_receipts(receipts: &Receipts, wanted: Wanted) -> Lookup {
    let Some(newest) = newest_placement(receipts) else {
        return Lookup::Unknown;
    };
    let there = |path: &str, identity: &FileIdentity| Lookup::There {
        path: path.to_owned(),
        identity: identity.clone(),
        at: newest.at.clone(),
    };
    // An encode, or an undo of an undo: the AV1 file is in place.
    if newest.verdict == EncodeVerdict::Encoded {
        let Some(result) = &newest.result else {
            return Lookup::Unknown;
        };
        return match (wanted, &newest.original, &newest.source_sha256, &newest.result_sha256) {
            (Wanted::Encoded, ..) => there(newest.result_path(), result),
            (Wanted::Original, Some(original), Some(source), Some(hash)) => Lookup::Kept(Box::new(Pair {
                receipts: newest.path.clone(),
                home: original.clone(),
                name: name_of(&newest.path),
                wanted: newest.source.clone(),
                wanted_sha256: source.clone(),
                place: newest.result_path().to_owned(),
                present: result.clone(),
                present_sha256: hash.clone(),
                at: newest.at.clone(),
            })),
            // The original stayed where it was.
            (Wanted::Original, ..) => there(&newest.path, &newest.source),
        };
    }
    let Some(restored) = &newest.restored else {
        return Lookup::Unknown;
    };
    match (wanted, &restored.replaced, &newest.source_sha256) {
        (Wanted::Encoded, Some(replaced), Some(source)) => Lookup::Kept(Box::new(Pair {
            receipts: newest.path.clone(),
            home: replaced.trash.clone(),
            name: name_of(&replaced.path),
            wanted: replaced.identity.clone(),
            wanted_sha256: replaced.sha256.clone(),
            place: restored.path.clone(),
            present: newest.source.clone(),
            present_sha256: source.clone(),
            at: newest.at.clone(),
        })),
        (Wanted::Encoded, ..) => Lookup::Unknown,
        (Wanted::Original, ..) => there(&restored.path, &newest.source),
    }
}

/// What the trash says of `path`, which holds a file with `identity` if it holds one: by the newest of the entries that are
/// about that path or that file.
#[must_use]
pub fn from_trash(
    entries: &[(String, TrashEntry)],
    path: &str,
    identity: Option<&FileIdentity>,
    wanted: Wanted,
) -> Lookup {
    let about = |entry: &TrashEntry| {
        entry.path == path
            || entry.replacement_path() == path
            || identity.is_some_and(|identity| same_content(identity, &entry.replacement))
    };
    let newest = entries.iter().filter(|(_, entry)| about(entry)).max_by(|(_, a), (_, b)| a.at.cmp(&b.at));
    let Some((job, entry)) = newest else {
        return Lookup::Unknown;
    };
    if entry.holds != wanted {
        return Lookup::There {
            path: entry.replacement_path().to_owned(),
            identity: entry.replacement.clone(),
            at: entry.at.clone(),
        };
    }
    // The receipts are the original's.
    let receipts = if wanted == Wanted::Original { &entry.path } else { entry.replacement_path() };
    Lookup::Kept(Box::new(Pair {
        receipts: receipts.to_owned(),
        home: path_in_trash(job, &entry.file),
        name: name_of(&entry.path),
        wanted: entry.identity.clone(),
        wanted_sha256: entry.sha256.clone(),
        place: entry.replacement_path().to_owned(),
        present: entry.replacement.clone(),
        present_sha256: entry.replacement_sha256.clone(),
        at: entry.at.clone(),
    }))
}

/// Path that the wanted file gets when the one in its place was found at `found`: that very path, unless the two had different
/// names, as in another container.
#[must_use]
pub fn target(pair: &Pair, found: Option<&str>) -> String {
    let at = found.unwrap_or(&pair.place);
    let (folder, name) = at.rsplit_once('/').map_or(("", at), |(folder, name)| (folder, name));
    let in_folder = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    if found.is_some() && pair.name == name_of(&pair.place) {
        return at.to_owned();
    }
    if at == pair.place {
        return in_folder(&pair.name);
    }
    // The file in its place was renamed: the wanted one follows it, under its own extension.
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    match pair.name.rsplit_once('.') {
        Some((_, extension)) => in_folder(&format!("{stem}.{extension}")),
        None => in_folder(stem),
    }
}

/// The receipt of a restore: of the file that is at its name now, and of the one that made room.
///
/// # Errors
/// When the defaults of the settings are not valid.
pub fn receipt(
    receipts: &Receipts,
    restoring: &Restoring,
    now_there: FileIdentity,
    replaced: Option<Replaced>,
    at: &str,
) -> Result<Receipt, QuantityError> {
    let (task, pair) = (&restoring.task, &restoring.pair);
    let av1 = match task.wanted {
        Wanted::Original => &pair.present,
        Wanted::Encoded => &pair.wanted,
    };
    let is_encode = |r: &&Receipt| r.result.as_ref().is_some_and(|result| same_content(result, av1));
    let encode = receipts.entries.iter().find(is_encode);
    let settings = match encode {
        Some(encode) => encode.settings.clone(),
        // The receipts were lost: only the trash tells of the encode.
        None => Settings::resolve(&[])?,
    };
    let restored = Restored { wanted: task.wanted, path: restoring.target.clone(), replaced: replaced.clone() };
    let base = Receipt {
        v: receipt::VERSION,
        path: pair.receipts.clone(),
        library: task.library.clone(),
        job: task.job.clone(),
        at: at.to_owned(),
        verdict: EncodeVerdict::Skipped,
        reason: av1_crds::reasons::RESTORED_BY_USER.to_owned(),
        message: "the user had the original brought back".to_owned(),
        source: now_there.clone(),
        source_sha256: Some(pair.wanted_sha256.clone()),
        result: None,
        result_sha256: None,
        result_path: None,
        original: None,
        original_until: None,
        settings_digest: settings_digest(&settings),
        settings,
        report: None,
        restored: Some(restored),
        not_kept: Vec::new(),
    };
    if task.wanted == Wanted::Original {
        return Ok(base);
    }
    Ok(Receipt {
        verdict: EncodeVerdict::Encoded,
        reason: av1_crds::reasons::ENCODED.to_owned(),
        message: "the user had the AV1 file brought back".to_owned(),
        source: replaced.as_ref().map_or_else(|| pair.present.clone(), |replaced| replaced.identity.clone()),
        source_sha256: Some(pair.present_sha256.clone()),
        result: Some(now_there),
        result_sha256: Some(pair.wanted_sha256.clone()),
        result_path: (restoring.target != pair.receipts).then(|| restoring.target.clone()),
        original: replaced.as_ref().map(|replaced| replaced.trash.clone()),
        original_until: replaced.map(|replaced| replaced.until),
        report: encode.and_then(|encode| encode.report.clone()),
        ..base
    })
}

#[cfg(test)]
mod tests {
    use av1_crds::library::SwapMethod;
    use av1_crds::wire::{JobId, LibraryId};

    use super::*;

    fn identity(name: &str) -> FileIdentity {
        FileIdentity { size: 5, fingerprint: name.into(), ..FileIdentity::default() }
    }

    fn pair() -> Pair {
        Pair {
            receipts: "a/film.avi".into(),
            home: ".av1/trash/u/film.avi".into(),
            name: "film.avi".into(),
            wanted: identity("original"),
            wanted_sha256: "o".into(),
            place: "a/film.mkv".into(),
            present: identity("av1"),
            present_sha256: "p".into(),
            at: "2026-01-01T00:00:00Z".into(),
        }
    }

    fn restoring(wanted: Wanted, pair: Pair) -> Restoring {
        let library = LibraryId { namespace: "n".into(), name: "l".into(), uid: "u".into(), cluster: "c".into() };
        let task = RestoreTask {
            library,
            job: JobId { name: "j".into(), uid: "u".into(), run: 7 },
            volume_id: "v".into(),
            path: pair.receipts.clone(),
            wanted,
            trash_retention_seconds: 1,
            swap: SwapMethod::Exchange,
            takeover_from: vec![],
        };
        Restoring { target: target(&pair, Some(&pair.place)), found: Some(pair.place.clone()), pair, task }
    }

    fn replaced(trash: &str, path: &str, name: &str) -> Replaced {
        Replaced {
            trash: trash.into(),
            path: path.into(),
            identity: identity(name),
            sha256: if name == "av1" { "p" } else { "o" }.into(),
            until: "2026-02-01T00:00:00Z".into(),
        }
    }

    #[test]
    fn an_original_follows_the_av1_file_wherever_that_was_renamed_to() {
        let other = pair();
        assert_eq!(target(&other, Some("a/film.mkv")), "a/film.avi");
        assert_eq!(target(&other, Some("b/Film (1995).mkv")), "b/Film (1995).avi");
        assert_eq!(target(&other, None), "a/film.avi");
        let same = Pair { name: "film.mkv".into(), receipts: "a/film.mkv".into(), ..pair() };
        assert_eq!(target(&same, Some("a/film.mkv")), "a/film.mkv");
        assert_eq!(target(&same, Some("Film (1995).mkv")), "Film (1995).mkv");
        assert_eq!(target(&same, None), "a/film.mkv");
    }

    #[test]
    fn a_restore_is_undone_from_its_own_receipt_and_that_again() {
        let mut receipts = Receipts::none("a/film.avi");
        let first = restoring(Wanted::Original, pair());
        let back = replaced(".av1/trash/u/film.mkv", "a/film.mkv", "av1");
        let written = receipt(&receipts, &first, identity("original"), Some(back), "2026-01-02T00:00:00Z").unwrap();
        assert_eq!((written.verdict, written.reason.as_str()), (EncodeVerdict::Skipped, "RestoredByUser"));
        receipts.put(written);
        assert!(
            matches!(from_receipts(&receipts, Wanted::Original), Lookup::There { path, .. } if path == "a/film.avi")
        );
        let Lookup::Kept(again) = from_receipts(&receipts, Wanted::Encoded) else { panic!() };
        assert_eq!(
            (again.home.as_str(), again.name.as_str(), again.place.as_str()),
            (".av1/trash/u/film.mkv", "film.mkv", "a/film.avi")
        );
        assert_eq!((again.wanted_sha256.as_str(), again.present_sha256.as_str()), ("p", "o"));
        let second = restoring(Wanted::Encoded, *again);
        assert_eq!(second.target, "a/film.mkv");
        let out = replaced(".av1/trash/u/film.avi.1", "a/film.avi", "original");
        receipts.put(receipt(&receipts, &second, identity("av1"), Some(out), "2026-01-03T00:00:00Z").unwrap());
        assert_eq!(receipts.entries.len(), 2);
        assert!(
            matches!(from_receipts(&receipts, Wanted::Encoded), Lookup::There { path, .. } if path == "a/film.mkv")
        );
        let Lookup::Kept(third) = from_receipts(&receipts, Wanted::Original) else { panic!() };
        assert_eq!(
            *third,
            Pair { home: ".av1/trash/u/film.avi.1".into(), at: "2026-01-03T00:00:00Z".into(), ..pair() }
        );
    }

    #[test]
    fn without_receipts_the_trash_tells_by_path_and_by_what_the_file_is() {
        let entry = TrashEntry {
            v: 1,
            file: "film.mkv".into(),
            holds: Wanted::Original,
            path: "a/film.mkv".into(),
            replacement_path: None,
            library: restoring(Wanted::Original, pair()).task.library,
            job: JobId { name: "j".into(), uid: "u".into(), run: 1 },
            identity: identity("original"),
            sha256: "o".into(),
            replacement: identity("av1"),
            replacement_sha256: "p".into(),
            at: "2026-01-01T00:00:00Z".into(),
            until: "2026-01-08T00:00:00Z".into(),
        };
        let entries = [("u".to_owned(), entry)];
        for (path, identity) in [("a/film.mkv", None), ("b/renamed.mkv", Some(identity("av1")))] {
            let Lookup::Kept(pair) = from_trash(&entries, path, identity.as_ref(), Wanted::Original) else { panic!() };
            assert_eq!(pair.home, ".av1/trash/u/film.mkv");
            assert!(matches!(from_trash(&entries, path, identity.as_ref(), Wanted::Encoded), Lookup::There { .. }));
        }
        assert_eq!(from_trash(&entries, "c.mkv", Some(&identity("x")), Wanted::Original), Lookup::Unknown);
    }
}
