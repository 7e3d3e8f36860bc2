//! The trash: originals in `.av1/trash/<job uid>/`, each with a `.json` beside it that says what it is and until when it is kept.

use av1_crds::wire::{FileIdentity, JobId, LibraryId};
use serde::{Deserialize, Serialize};

use crate::receipt::path_hash;

/// Version of the format.
pub const VERSION: u32 = 1;
/// Suffix of the description beside an original.
pub const SUFFIX: &str = ".json";
/// Most bytes of a file name on the file systems that are supported.
pub const MAX_NAME: usize = 255;

/// One original.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrashEntry {
    /// Version of the format.
    pub v: u32,
    /// Name of the original in the same folder.
    pub file: String,
    /// Path below the library's root that it was at.
    pub path: String,
    /// The library.
    pub library: LibraryId,
    /// The job that replaced it.
    pub job: JobId,
    /// Identity of the original.
    pub identity: FileIdentity,
    /// SHA-256 of the original.
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

/// Name in the trash for the file `name` at `path`, the `attempt`-th choice from 0: its own, unless that leaves no room for
/// the suffixes or is taken.
#[must_use]
pub fn name_in_trash(path: &str, name: &str, attempt: u32) -> String {
    const ROOM: usize = SUFFIX.len() + ".4294967295.part".len();
    let base = if name.len() + ROOM <= MAX_NAME { name.to_owned() } else { format!("original-{}", path_hash(path)) };
    if attempt == 0 { base } else { format!("{base}.{attempt}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_room_for_its_description() {
        assert_eq!(name_in_trash("a/b.mkv", "b.mkv", 0), "b.mkv");
        assert_eq!(name_in_trash("a/b.mkv", "b.mkv", 2), "b.mkv.2");
        let long = "é".repeat(127);
        assert!(name_in_trash(&long, &long, u32::MAX).len() + SUFFIX.len() <= MAX_NAME);
    }
}
