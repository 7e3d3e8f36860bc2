//! Walks the library: every file with one of the extensions, with a stamp of all that could change its verdict from outside.
//!
//! May: read folders and attributes. Must never: follow a link, open a file, or enter a folder that is not the library's.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::num::NonZeroU64;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use av1_crds::paths::{AV1_DIR, SKIP_SUFFIX, WHY_SUFFIX};
use av1_media::gates::{Selection, UNFINISHED_SUFFIXES};
use rustix::fs::{Dir, FileType, Stat};

use super::sidecars::MOST_ORPHANS;
use crate::beneath::{Folder, Root};
use crate::volume;

/// A file that the walk came by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// Path below the library's root.
    pub(super) path: PathBuf,
    /// Its size in bytes.
    pub(super) size: u64,
    /// Hash of its attributes, its markers and its unfinished siblings.
    pub(super) stamp: u64,
    /// Hash of the attributes of the sidecar beside it, if there is one.
    pub(super) sidecar: Option<NonZeroU64>,
}

/// What the walk could not look into.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Folders, and names in them, that could not be read.
    pub(super) unreadable: u64,
    /// Folders that are among their own parents.
    pub(super) loops: u64,
    /// Folders that hold another library.
    pub(super) foreign: u64,
    /// Paths of files that are not there, or not looked at, beside which a sidecar is; not more than can be dealt with at once.
    pub(super) alone: Vec<String>,
}

/// Whether a walk goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// On.
    On,
    /// No further.
    Stop,
}

/// A folder still to be read, with its parents.
struct Waiting {
    path: PathBuf,
    marked: u64,
    parents: Option<Rc<Parent>>,
}

struct Parent {
    device: u64,
    inode: u64,
    above: Option<Rc<Parent>>,
}

/// What one folder holds.
#[derive(Default)]
struct Listing {
    folders: Vec<OsString>,
    files: Vec<OsString>,
    /// Names of markers and unfinished downloads.
    beside: HashSet<OsString>,
    /// Names of files beside which a sidecar is.
    explained: HashSet<OsString>,
    has_av1: bool,
}

/// Walks all folders beneath `root`, calling `on_file` for each file that is looked at.
///
/// # Errors
/// When the root itself cannot be read.
pub(super) fn walk(root: &Root, selection: &Selection, on_file: &mut dyn FnMut(Found) -> Step) -> io::Result<Passed> {
    let mut passed = Passed::default();
    let mut waiting = vec![Waiting { path: PathBuf::new(), marked: 0, parents: None }];
    while let Some(folder) = waiting.pop() {
        let is_root = folder.path.as_os_str().is_empty();
        match enter(root, selection, &folder, &mut passed, on_file) {
            Ok(Some(below)) => waiting.extend(below),
            Ok(None) => return Ok(passed),
            Err(e) if is_root => return Err(e),
            Err(e) => {
                tracing::warn!("cannot read the folder {}: {e}", folder.path.display());
                passed.unreadable += 1;
            }
        }
    }
    Ok(passed)
}

/// Reads one folder; gives the folders below it, or nothing when the walk is to stop.
fn enter(
    root: &Root,
    selection: &Selection,
    folder: &Waiting,
    passed: &mut Passed,
    on_file: &mut dyn FnMut(Found) -> Step,
) -> io::Result<Option<Vec<Waiting>>> {
    let open = root.open_folder(&folder.path)?;
    let own = open.own_stat()?;
    let mut above = folder.parents.as_ref();
    while let Some(parent) = above {
        if (parent.device, parent.inode) == (own.st_dev, own.st_ino) {
            tracing::warn!("the folder {} is among its own parents, it is passed over", folder.path.display());
            passed.loops += 1;
            return Ok(Some(Vec::new()));
        }
        above = parent.above.as_ref();
    }
    let mut listing = list(&open, selection, &folder.path, passed)?;
    if listing.has_av1 && volume::is_another_library(root, &folder.path) {
        tracing::info!("the folder {} is another library's, it is passed over", folder.path.display());
        passed.foreign += 1;
        return Ok(Some(Vec::new()));
    }
    let marked =
        if listing.beside.contains(OsStr::new(SKIP_SUFFIX)) { hash(&[folder.marked, 1]) } else { folder.marked };
    for name in &listing.files {
        match open.stat(name) {
            Ok(Some(stat)) => {
                let stamp = stamp(&open, name, &stat, &listing.beside, marked);
                let found = Found {
                    path: folder.path.join(name),
                    size: u64::try_from(stat.st_size).unwrap_or_default(),
                    stamp,
                    sidecar: if listing.explained.remove(name) { sidecar(&open, name) } else { None },
                };
                if on_file(found) == Step::Stop {
                    return Ok(None);
                }
            }
            Ok(None) => {}
            Err(e) => {
                tracing::warn!("cannot look at {}: {e}", folder.path.join(name).display());
                passed.unreadable += 1;
            }
        }
    }
    let alone = listing.explained.iter().filter_map(|name| folder.path.join(name).into_os_string().into_string().ok());
    passed.alone.extend(alone.take(MOST_ORPHANS.saturating_sub(passed.alone.len())));
    let parents = Some(Rc::new(Parent { device: own.st_dev, inode: own.st_ino, above: folder.parents.clone() }));
    let below = |name: &OsString| Waiting { path: folder.path.join(name), marked, parents: parents.clone() };
    Ok(Some(listing.folders.iter().map(below).collect()))
}

fn list(open: &Folder, selection: &Selection, path: &Path, passed: &mut Passed) -> io::Result<Listing> {
    let mut listing = Listing::default();
    for entry in Dir::read_from(open)? {
        let entry = entry?;
        let name = OsString::from_vec(entry.file_name().to_bytes().to_vec());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::Unknown => match open.stat(&name) {
                Ok(Some(stat)) => FileType::from_raw_mode(stat.st_mode),
                Ok(None) => continue,
                Err(_) => {
                    passed.unreadable += 1;
                    continue;
                }
            },
            kind => kind,
        };
        if kind == FileType::Directory {
            listing.has_av1 |= name == AV1_DIR;
            if selection.enters(path, &name) {
                listing.folders.push(name);
            }
        } else if selection.takes(path, &name) {
            listing.files.push(name);
        } else if is_beside(&name) {
            listing.beside.insert(name);
        } else if let Some(file) = name.as_bytes().strip_suffix(WHY_SUFFIX.as_bytes()).filter(|file| !file.is_empty()) {
            listing.explained.insert(OsStr::from_bytes(file).to_owned());
        }
    }
    Ok(listing)
}

fn is_beside(name: &OsStr) -> bool {
    UNFINISHED_SUFFIXES.iter().chain([&SKIP_SUFFIX]).any(|suffix| name.as_bytes().ends_with(suffix.as_bytes()))
}

/// Hash of all that decides without a look into the file.
fn stamp(open: &Folder, name: &OsStr, stat: &Stat, beside: &HashSet<OsString>, marked: u64) -> u64 {
    let mut parts = Vec::with_capacity(20);
    parts.push(marked);
    parts.extend(times(stat));
    parts.extend([u64::from(stat.st_mode), stat.st_nlink, u64::from(stat.st_uid), u64::from(stat.st_gid)]);
    if !beside.is_empty() {
        let marker = with(name, SKIP_SUFFIX);
        if beside.contains(&marker) {
            parts.extend(open.stat(&marker).ok().flatten().map(|stat| times(&stat)).unwrap_or_default());
        }
        let stem = Path::new(name).with_extension("").into_os_string();
        if UNFINISHED_SUFFIXES
            .iter()
            .any(|suffix| beside.contains(&with(name, suffix)) || beside.contains(&with(&stem, suffix)))
        {
            parts.push(1);
        }
    }
    hash(&parts)
}

/// Hash of the attributes of the sidecar beside `name`, if it is there still.
fn sidecar(open: &Folder, name: &OsStr) -> Option<NonZeroU64> {
    let stat = open.stat(&with(name, WHY_SUFFIX)).ok().flatten();
    stat.and_then(|stat| NonZeroU64::new(hash(&times(&stat)).max(1)))
}

#[allow(clippy::cast_sign_loss)] // only hashed
fn times(stat: &Stat) -> [u64; 6] {
    [
        stat.st_size as u64,
        stat.st_mtime as u64,
        stat.st_mtime_nsec,
        stat.st_ctime as u64,
        stat.st_ctime_nsec,
        stat.st_ino,
    ]
}

fn with(name: &OsStr, suffix: &str) -> OsString {
    let mut text = name.to_owned();
    text.push(suffix);
    text
}

/// A hash of the numbers that is stable from one build to the next. Made for each file of each scan, it is a quick one, against
/// chance alone: who can give a file other times can have it looked at or not all the same.
pub(super) fn hash(parts: &[u64]) -> u64 {
    const ODD: [u64; 2] = [0xff51_afd7_ed55_8ccd, 0xc4ce_b9fe_1a85_ec53];
    let mix = |hash: u64, part: &u64| {
        let hash = (hash.rotate_left(23) ^ part).wrapping_mul(ODD[0]);
        (hash ^ hash >> 33).wrapping_mul(ODD[1])
    };
    let hash = parts.iter().fold(parts.len() as u64, mix);
    hash ^ hash >> 33
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::symlink;

    use av1_crds::library::ScanRules;

    use super::*;

    fn walked(dir: &Path) -> (BTreeMap<PathBuf, u64>, Passed) {
        let root = Root::open(dir).unwrap();
        let selection = Selection::new(&ScanRules::resolve(None).unwrap()).unwrap();
        let mut found = BTreeMap::new();
        let passed = walk(&root, &selection, &mut |file| {
            found.insert(file.path, file.stamp);
            Step::On
        });
        (found, passed.unwrap())
    }

    fn write(dir: &Path, path: &str) {
        std::fs::create_dir_all(dir.join(path).parent().unwrap()).unwrap();
        std::fs::write(dir.join(path), path).unwrap();
    }

    #[test]
    fn only_folders_of_the_library_are_entered_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        for path in [
            "a.mkv",
            "x/b.mp4",
            "x/y/c.MKV",
            "x/note.txt",
            ".av1/work/w.mkv",
            "@eaDir/d.mkv",
            "x/.cache/e.mkv",
            "lost+found/f.mkv",
        ] {
            write(dir.path(), path);
        }
        write(dir.path(), "other/.av1/volume.json");
        write(dir.path(), "other/g.mkv");
        symlink(dir.path(), dir.path().join("x/loop")).unwrap();
        symlink("a.mkv", dir.path().join("link.mkv")).unwrap();
        let (found, passed) = walked(dir.path());
        let paths: Vec<_> = found.keys().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(paths, ["a.mkv", "link.mkv", "x/b.mp4", "x/y/c.MKV"]);
        assert_eq!(passed, Passed { foreign: 1, ..Passed::default() });
    }

    #[test]
    fn the_stamp_changes_with_the_file_with_markers_and_with_unfinished_downloads_alone() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "x/a.mkv");
        let stamp = || walked(dir.path()).0[Path::new("x/a.mkv")];
        let mut seen = vec![stamp()];
        write(dir.path(), "x/b.mkv");
        write(dir.path(), "x/b.mkv.av1skip");
        assert_eq!(stamp(), seen[0]);
        for change in ["x/a.mkv.av1skip", "x/a.mkv.part", ".av1skip"] {
            write(dir.path(), change);
            let now = stamp();
            assert!(!seen.contains(&now), "{change}");
            seen.push(now);
        }
        std::fs::write(dir.path().join("x/a.mkv"), "longer than before").unwrap();
        assert!(!seen.contains(&stamp()));
    }

    #[test]
    fn a_sidecar_is_told_apart_from_the_file_that_it_is_about_and_one_without_a_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), "x/a.mkv");
        let root = Root::open(dir.path()).unwrap();
        let selection = Selection::new(&ScanRules::resolve(None).unwrap()).unwrap();
        let look = || {
            let mut seen = None;
            let passed = walk(&root, &selection, &mut |found| {
                seen = Some((found.stamp, found.sidecar));
                Step::On
            });
            (seen.unwrap(), passed.unwrap().alone)
        };
        let ((stamp, none), _) = look();
        write(dir.path(), "x/a.mkv.why.txt");
        write(dir.path(), "x/b.mkv.why.txt");
        let ((same, sidecar), alone) = look();
        assert_eq!((none, same, alone), (None, stamp, vec!["x/b.mkv".to_owned()]));
        std::fs::write(dir.path().join("x/a.mkv.why.txt"), "other").unwrap();
        let ((_, other), _) = look();
        assert!(sidecar.is_some() && other.is_some() && other != sidecar);
    }

    #[test]
    fn a_walk_stops_when_told_to() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["a.mkv", "b.mkv", "c.mkv"] {
            write(dir.path(), path);
        }
        let root = Root::open(dir.path()).unwrap();
        let selection = Selection::new(&ScanRules::resolve(None).unwrap()).unwrap();
        let mut count = 0;
        let stop = &mut |_| {
            count += 1;
            Step::Stop
        };
        walk(&root, &selection, stop).unwrap();
        assert_eq!(count, 1);
    }
}
