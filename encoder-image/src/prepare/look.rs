//! Whose the files are: the owner of most of the first thousand files that look like media.
//!
//! Must never: write, or read a file's content.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use av1_crds::library::EXTENSIONS;
use av1_crds::paths;
use av1_crds::wire::LookResult;
use av1_media::gates::is_never_entered;
use rustix::fs::FileType;

use super::failure;
use crate::beneath::Folder;
use crate::role::RoleFailure;
use crate::volume;

/// Files that are enough to tell.
const MOST_FILES: u64 = 1_000;
/// Names looked at at most, so that a tree without media ends in bounded time.
const MOST_NAMES: u64 = 200_000;

/// Looks; parts of the tree that this user may not read are passed over.
pub(super) fn look(root: &Folder) -> Result<LookResult, RoleFailure> {
    let own = root.own_stat().map_err(|e| failure("looking at the library's root", &e))?;
    let owners = owners(root);
    let files: u64 = owners.values().sum();
    // Of equally many the lower id wins, so that two looks agree.
    let most =
        owners.iter().max_by_key(|(owner, count)| (**count, std::cmp::Reverse(**owner))).map(|(owner, _)| *owner);
    let (uid, gid) = most.unwrap_or((own.st_uid, own.st_gid));
    let volume_id = match root.open_folder(Path::new(paths::AV1_DIR)) {
        Ok(av1) => volume::read(&av1).ok().flatten().map(|found| found.id),
        Err(_) => None,
    };
    Ok(LookResult { uid, gid, files, volume_id })
}

/// Number of media files by owner and group, breadth first.
fn owners(root: &Folder) -> BTreeMap<(u32, u32), u64> {
    let mut counts = BTreeMap::new();
    let mut folders = VecDeque::from([PathBuf::new()]);
    let (mut files, mut names) = (0, 0);
    while let Some(path) = folders.pop_front() {
        let Ok(folder) = root.open_folder(&path) else {
            continue;
        };
        let Ok(mut entries) = folder.names() else {
            continue;
        };
        entries.sort();
        for name in entries {
            names += 1;
            if files >= MOST_FILES || names >= MOST_NAMES {
                return counts;
            }
            let Ok(Some(stat)) = folder.stat(&name) else {
                continue;
            };
            match FileType::from_raw_mode(stat.st_mode) {
                FileType::Directory if !is_never_entered(&name) => folders.push_back(path.join(&name)),
                FileType::RegularFile if is_media(&name) => {
                    *counts.entry((stat.st_uid, stat.st_gid)).or_insert(0) += 1;
                    files += 1;
                }
                _ => {}
            }
        }
    }
    counts
}

fn is_media(name: &OsStr) -> bool {
    let extension = Path::new(name).extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str()))
}
