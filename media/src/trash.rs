//! The trash: originals, and after a restore AV1 files, in `.av1/trash/<job uid>/`, each with a `.json` beside it that says what it
//! is and until when it is kept. A description is written before its file comes and removed after it went.

use av1_crds::paths;
use av1_crds::wire::{FileIdentity, JobId, LibraryId, Wanted};
use serde::{Deserialize, Serialize};

use crate::journal::Swap;
use crate::receipt::path_hash;

/// Version of the format.
pub const VERSION: u32 = 1;
/// Suffix of the description beside a file.
pub const SUFFIX: &str = ".json";
/// Most bytes of a description that are read.
pub const MAX_DESCRIPTION: usize = 64 << 10;
/// Most bytes of a file name on any file system that is supported; some allow fewer.
pub const MAX_NAME: usize = 255;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrashEntry {
    /// Version of the format.
    pub v: u32,
    /// Name of the file in the same folder.
    pub file: String,
    /// Which of the two files it is.
    #[serde(default)]
    pub holds: Wanted,
    /// Path below the library's root that it was at.
    pub path: String,
    /// Path of what replaced it, when that has another name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacement_path: Option<String>,
    /// The library.
    pub library: LibraryId,
    /// The job that put it here.
    pub job: JobId,
    /// Its identity.
    pub identity: FileIdentity,
    /// Its SHA-256.
    pub sha256: String,
    /// Identity of what replaced it.
    pub replacement: FileIdentity,
    /// SHA-256 of what replaced it.
    pub replacement_sha256: String,
    /// When it was replaced, RFC 3339.
    pub at: String,
    /// Until when it is kept, RFC 3339.
    pub until: String,
}

impl TrashEntry {
    /// The description of the old file of `swap`, which was at `path`; `replacement_path` when the new one has another.
    #[must_use]
    pub fn of(
        swap: &Swap,
        holds: Wanted,
        path: String,
        replacement_path: Option<String>,
        library: LibraryId,
        job: JobId,
    ) -> Self {
        Self {
            v: VERSION,
            file: swap.kept_name.clone(),
            holds,
            path,
            replacement_path,
            library,
            job,
            identity: swap.old.clone(),
            sha256: swap.old_sha256.clone(),
            replacement: swap.new.clone(),
            replacement_sha256: swap.new_sha256.clone(),
            at: swap.at.clone(),
            until: swap.until.clone().unwrap_or_default(),
        }
    }

    /// Reads a description.
    ///
    /// # Errors
    /// When it is not one, or of a newer version.
    pub fn parse(json: &[u8]) -> Result<Self, String> {
        let entry: Self = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        if entry.v > VERSION {
            return Err(format!("it has format {}, this version knows formats up to {VERSION}", entry.v));
        }
        Ok(entry)
    }

    /// Path that what replaced it was written to.
    #[must_use]
    pub fn replacement_path(&self) -> &str {
        self.replacement_path.as_deref().unwrap_or(&self.path)
    }
}

/// Path, below the library's root, of the file `name` in the job's trash folder.
#[must_use]
pub fn path_in_trash(job_uid: &str, name: &str) -> String {
    format!("{}/{}/{job_uid}/{name}", paths::AV1_DIR, paths::TRASH_DIR)
}

/// UID of the job and name of the file, of a path that [`path_in_trash`] made; none for any other path.
#[must_use]
pub fn split_path(path: &str) -> Option<(&str, &str)> {
    let below = path.strip_prefix(paths::AV1_DIR)?.strip_prefix('/')?.strip_prefix(paths::TRASH_DIR)?;
    let (job, name) = below.strip_prefix('/')?.split_once('/')?;
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(['/', '\0']);
    (plain(job) && plain(name)).then_some((job, name))
}

/// The longest name that is made from `name` in the trash.
#[must_use]
pub fn longest_name(name: &str) -> String {
    format!("{name}.{}.part{SUFFIX}", u32::MAX)
}

/// Name in the trash for the file `name` at `path`, the `attempt`-th choice from 0: its own, unless that is taken, or leaves no room
/// for the suffixes: [`longest_name`] `fits` the file system or not.
#[must_use]
pub fn name_in_trash(path: &str, name: &str, attempt: u32, fits: bool) -> String {
    let base = if fits { name.to_owned() } else { format!("original-{}", path_hash(path)) };
    if attempt == 0 { base } else { format!("{base}.{attempt}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_in_a_jobs_folder_of_the_trash_is_one() {
        assert_eq!(split_path(&path_in_trash("u-1", "a b.mkv")), Some(("u-1", "a b.mkv")));
        for path in [
            ".av1/trash/u-1",
            ".av1/trash/u-1/",
            ".av1/trash/../x",
            ".av1/trash/u/../x",
            ".av1/trash//x",
            ".av1/trashy/u/x",
            "film.mkv",
            "/.av1/trash/u/x",
        ] {
            assert_eq!(split_path(path), None, "{path}");
        }
    }

    #[test]
    fn a_name_keeps_room_for_its_description() {
        assert_eq!(name_in_trash("a/b.mkv", "b.mkv", 0, true), "b.mkv");
        assert_eq!(name_in_trash("a/b.mkv", "b.mkv", 2, true), "b.mkv.2");
        let long = "é".repeat(127);
        let short = name_in_trash(&long, &long, u32::MAX, false);
        assert!(longest_name(&long).len() > MAX_NAME);
        // As eCryptfs allows.
        assert!(longest_name(&short).len() <= 143, "{short}");
    }
}
