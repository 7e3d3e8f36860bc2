//! Pictures of an encode, kept beside the receipts for reports. They are copied as bytes and never looked into.
//!
//! May: write in `.av1/state/stills`, and remove the oldest there. Must never: keep a file from being settled.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use av1_crds::paths;
use av1_crds::wire::{MAX_STILLS, SettleTask};
use rustix::fs::{FileType, Stat};

use super::copy::run_folder;
use super::place::{FOLDER_MODE, read_capped, write_whole};
use crate::beneath::{Folder, Root};
use crate::failpoint::durable;

/// Most files that are kept, and most bytes of them all.
const MOST_FILES: usize = 200;
const MOST_BYTES: u64 = 64 << 20;

/// Copies the stills of the settled run out of its work folder, where there are any; the same again changes nothing.
pub(super) fn keep(root: &Root, task: &SettleTask) -> io::Result<()> {
    let Some(work) = run_folder(root, task).map_err(io::Error::other)? else {
        return Ok(());
    };
    let Some(bytes) = read_capped(&work, OsStr::new(paths::STILLS_FILE), MAX_STILLS)? else {
        return Ok(());
    };
    let path = Path::new(paths::AV1_DIR).join(paths::STILLS_DIR);
    let (parent, name) = root.parent_of(&path)?;
    let folder = durable("settle::stills::folder", || {
        let folder = parent.make_folder(&name, FOLDER_MODE)?;
        parent.sync()?;
        Ok(folder)
    })?;
    let name = OsString::from(paths::stills_name(&task.job.uid, task.job.run));
    let temporary = OsString::from(format!(".{}.tmp", task.job.uid));
    write_whole("settle::stills", &folder, &temporary, &name, &bytes)?;
    trim(&folder, (MOST_FILES, MOST_BYTES))
}

/// Removes the oldest files beyond what is kept.
fn trim(folder: &Folder, (files, bytes): (usize, u64)) -> io::Result<()> {
    let mut found: Vec<(OsString, Stat)> = Vec::new();
    for name in folder.names()? {
        let stat = folder.stat(&name)?;
        found.extend(stat.filter(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile).map(|s| (name, s)));
    }
    found.sort_by_key(|(_, stat)| std::cmp::Reverse((stat.st_mtime, stat.st_mtime_nsec)));
    let mut sum = 0_u64;
    for (at, (name, stat)) in found.iter().enumerate() {
        sum = sum.saturating_add(u64::try_from(stat.st_size).unwrap_or_default());
        if at >= files || sum > bytes {
            durable("settle::stills::trim", || folder.unlink(name))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_newest_are_kept_within_a_number_and_a_size() {
        let dir = tempfile::tempdir().unwrap();
        for age in 0..6_u64 {
            let file = std::fs::File::create(dir.path().join(format!("{age}.json"))).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 - age)).unwrap();
        }
        std::fs::create_dir(dir.path().join("folder")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let left = || {
            let mut names = root.folder().names().unwrap();
            names.sort();
            names.into_iter().map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        trim(root.folder(), (5, 1_000)).unwrap();
        assert_eq!(left(), ["0.json", "1.json", "2.json", "3.json", "4.json", "folder"]);
        trim(root.folder(), (5, 250)).unwrap();
        assert_eq!(left(), ["0.json", "1.json", "folder"]);
    }
}
