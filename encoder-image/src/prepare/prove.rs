//! Proves by trial what the file system can do, in a folder of its own below `.av1` that is removed after.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use av1_crds::library::SwapMethod;
use rustix::fs::Stat;

use crate::beneath::Folder;

/// More difference than this between the pod's clock and the file system's is told.
const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// What was found.
pub(super) struct Proof {
    pub(super) swap: SwapMethod,
    pub(super) inode_stable: bool,
    pub(super) free_bytes: u64,
    pub(super) total_bytes: u64,
    /// In plain words.
    pub(super) notes: Vec<String>,
}

/// Modification time of a file.
pub(super) fn modified(stat: &Stat) -> SystemTime {
    let seconds = Duration::from_secs(u64::try_from(stat.st_mtime).unwrap_or(0));
    UNIX_EPOCH + seconds
}

/// Tries everything.
pub(super) fn prove(av1: &Folder, server: SystemTime) -> io::Result<Proof> {
    let name = format!(".prepare-{}", std::process::id());
    let folder = av1.make_folder(OsStr::new(&name), 0o700)?;
    let tried = trials(&folder, server);
    for left in folder.names()? {
        folder.unlink(&left)?;
    }
    av1.remove_folder(OsStr::new(&name))?;
    tried
}

fn trials(folder: &Folder, server: SystemTime) -> io::Result<Proof> {
    let (a, b, c) = (OsStr::new("a"), OsStr::new("b"), OsStr::new("c"));
    fill(folder, a, b"a")?;
    fill(folder, b, b"b")?;
    folder.sync()?;
    exclusive(folder, a)?;
    let inode_stable = inode(folder, a)? == inode(folder, a)?;
    let exchange = folder.exchange(a, folder, b).is_ok() && content(folder, a)? == b"b" && content(folder, b)? == b"a";
    let link = folder.link(b, folder, c).is_ok() && is_one_file(folder, b, c)?;
    rename_over(folder, a, b)?;
    let swap = match (exchange, link) {
        (true, _) => SwapMethod::Exchange,
        (false, true) => SwapMethod::Link,
        (false, false) => SwapMethod::TwoRenames,
    };
    let space = rustix::fs::fstatvfs(folder)?;
    let mut notes = vec![match swap {
        SwapMethod::Exchange => "Files are swapped in at one instant (RENAME_EXCHANGE)",
        SwapMethod::Link => "Files are swapped in by a hard link and a rename over, because the volume cannot exchange two names",
        SwapMethod::TwoRenames => "The volume can neither exchange two names nor make hard links that are seen to be one file (mergerfs does when mounted with use_ino): files are swapped in by two renames with a journal, and for an instant the name is empty",
    }
    .to_owned()];
    if !inode_stable {
        notes.push(
            "inode numbers change from one open to the next, so files are known by size, time and samples alone"
                .to_owned(),
        );
    }
    notes.extend(clock(server));
    Ok(Proof {
        swap,
        inode_stable,
        free_bytes: space.f_bavail.saturating_mul(space.f_frsize),
        total_bytes: space.f_blocks.saturating_mul(space.f_frsize),
        notes,
    })
}

fn fill(folder: &Folder, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let mut file = folder.create_new(name, 0o600)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// O_EXCL must refuse a name that is taken: claims rest on it.
fn exclusive(folder: &Folder, taken: &OsStr) -> io::Result<()> {
    match folder.create_new(taken, 0o600) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
        Ok(_) => Err(io::Error::other(
            "the volume makes a file anew that exists already (O_EXCL is ignored): two pods could replace one file, so it cannot be used",
        )),
    }
}

fn rename_over(folder: &Folder, from: &OsStr, over: &OsStr) -> io::Result<()> {
    let expected = content(folder, from)?;
    folder.rename(from, folder, over)?;
    if content(folder, over)? == expected && folder.stat(from)?.is_none() {
        return Ok(());
    }
    Err(io::Error::other("a rename over an existing file did not take its place: the volume cannot be used"))
}

fn content(folder: &Folder, name: &OsStr) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut bytes = Vec::new();
    folder.open_regular(name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether two names are of one file: a swap by links tells them from copies by nothing else.
fn is_one_file(folder: &Folder, a: &OsStr, b: &OsStr) -> io::Result<bool> {
    let file = |name| Ok::<_, io::Error>(folder.stat(name)?.map(|stat| (stat.st_dev, stat.st_ino)));
    let (a, b) = (file(a)?, file(b)?);
    Ok(a.is_some() && a == b)
}

fn inode(folder: &Folder, name: &OsStr) -> io::Result<u64> {
    Ok(folder.open_regular(name)?.metadata()?.ino())
}

/// A word about clocks that differ.
fn clock(server: SystemTime) -> Option<String> {
    let here = SystemTime::now();
    let (difference, direction) = match here.duration_since(server) {
        Ok(behind) => (behind, "behind"),
        Err(ahead) => (ahead.duration(), "ahead of"),
    };
    (difference > CLOCK_TOLERANCE).then(|| {
        format!(
            "the file system's clock is {} s {direction} the node's: times follow the file system's",
            difference.as_secs()
        )
    })
}
