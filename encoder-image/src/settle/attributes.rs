//! Attributes of the original that its replacement gets: owner, group, mode, extended attributes (ACLs are among them), time.
//! An ACL that a new file has from its folder and the original has not goes. What this user may not set is told, not fatal.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use av1_crds::settings::ModifiedTime;
use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::error::{Doing, SettleError};

/// Most bytes of one extended attribute and of the list of their names (limits of the kernel).
const MAX_XATTR: usize = 64 << 10;
/// The attribute that holds the ACL of a file.
const ACL: &CStr = c"system.posix_acl_access";
/// `UTIME_NOW`: the file system's own clock.
const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };

/// Gives `copy` the attributes of `original`; returns what could not be kept, in words.
pub(super) fn take_over(original: &File, copy: &File, modified: ModifiedTime) -> Result<Vec<String>, SettleError> {
    let mut not_kept = Vec::new();
    let meta = original.metadata().doing(|| "reading the original's attributes".to_owned())?;
    let own = copy.metadata().doing(|| "reading the copy's attributes".to_owned())?;
    owner(&meta, &own, copy, &mut not_kept);
    if let Err(e) = extended(original, copy, &mut not_kept) {
        not_kept.push(format!("extended attributes: {e}"));
    }
    // After the owner (a change of owner clears set-id bits) and after ACLs (whose mask is the group's mode).
    if let Err(e) = rustix::fs::fchmod(copy, Mode::from_raw_mode(meta.mode() & 0o7777)) {
        not_kept.push(format!("mode {:o}: {e}", meta.mode() & 0o7777));
    }
    let times = match modified {
        ModifiedTime::Now => Timestamps { last_access: NOW, last_modification: NOW },
        ModifiedTime::Original => Timestamps {
            last_access: NOW,
            last_modification: Timespec { tv_sec: meta.mtime(), tv_nsec: meta.mtime_nsec() },
        },
    };
    rustix::fs::futimens(copy, &times).map_err(io::Error::from).doing(|| "setting the copy's time".to_owned())?;
    Ok(not_kept)
}

fn owner(meta: &std::fs::Metadata, own: &std::fs::Metadata, copy: &File, not_kept: &mut Vec<String>) {
    if meta.uid() != own.uid()
        && let Err(e) = rustix::fs::fchown(copy, Some(Uid::from_raw(meta.uid())), None)
    {
        not_kept.push(format!("owner {}: {e}", meta.uid()));
    }
    if meta.gid() != own.gid()
        && let Err(e) = rustix::fs::fchown(copy, None, Some(Gid::from_raw(meta.gid())))
    {
        not_kept.push(format!("group {}: {e}", meta.gid()));
    }
}

fn extended(original: &File, copy: &File, not_kept: &mut Vec<String>) -> io::Result<()> {
    let wanted = names(original)?;
    for name in &wanted {
        if let Err(e) = one(original, copy, name) {
            not_kept.push(format!("extended attribute {}: {e}", name.to_string_lossy()));
        }
    }
    // Whoever it names could read or write what the original shut them out from, once its mask is the original's group's mode.
    if !wanted.iter().any(|name| name.as_c_str() == ACL) && names(copy)?.iter().any(|name| name.as_c_str() == ACL) {
        match rustix::fs::fremovexattr(copy, ACL) {
            Ok(()) | Err(Errno::NODATA) => {}
            Err(e) => {
                not_kept.push(format!("the ACL that the folder gives to new files, and the original has not: {e}"))
            }
        }
    }
    Ok(())
}

/// Names of the extended attributes of a file; none where the file system has no such thing.
fn names(file: &File) -> io::Result<Vec<CString>> {
    let mut list = vec![0_u8; MAX_XATTR];
    let length = match rustix::fs::flistxattr(file, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Vec::new()),
        Err(e) => return Err(e.into()),
    };
    let names = list[..length].split_inclusive(|b| *b == 0);
    Ok(names.filter_map(|name| CStr::from_bytes_with_nul(name).ok().map(CStr::to_owned)).collect())
}

fn one(original: &File, copy: &File, name: &CStr) -> io::Result<()> {
    let mut value = vec![0_u8; MAX_XATTR];
    let length = rustix::fs::fgetxattr(original, name, &mut value[..])?;
    value.truncate(length);
    // A label that a new file in this folder gets anyway needs no right to be set.
    let mut there = vec![0_u8; MAX_XATTR];
    if let Ok(length) = rustix::fs::fgetxattr(copy, name, &mut there[..])
        && there[..length] == value
    {
        return Ok(());
    }
    Ok(rustix::fs::fsetxattr(copy, name, &value, XattrFlags::empty())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &CStr = c"system.posix_acl_default";

    /// An ACL that lets the user 1234 read and write.
    fn acl() -> Vec<u8> {
        const NOBODY: u32 = u32::MAX;
        let entries: [(u16, u16, u32); 5] =
            [(0x01, 7, NOBODY), (0x02, 6, 1_234), (0x04, 5, NOBODY), (0x10, 7, NOBODY), (0x20, 0, NOBODY)];
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, rights, who) in entries {
            bytes.extend([&tag.to_le_bytes()[..], &rights.to_le_bytes(), &who.to_le_bytes()].concat());
        }
        bytes
    }

    fn has(file: &File, name: &CStr) -> bool {
        rustix::fs::fgetxattr(file, name, &mut [0_u8; 256][..]).is_ok()
    }

    #[test]
    fn an_acl_that_the_copy_has_from_its_folder_alone_goes_and_one_of_the_original_stays() {
        let dir = tempfile::tempdir().unwrap();
        let make = |name: &str| File::create_new(dir.path().join(name)).unwrap();
        let (bare, listed) = (make("bare"), make("listed"));
        let folder = File::open(dir.path()).unwrap();
        let set = |file: &File, name: &CStr| rustix::fs::fsetxattr(file, name, &acl(), XattrFlags::empty());
        set(&folder, DEFAULT).expect("a file system with ACLs: set TMPDIR to a folder of one");
        set(&listed, ACL).unwrap();
        for (original, kept) in [(&bare, false), (&listed, true)] {
            let copy = make(if kept { "copy-of-listed" } else { "copy-of-bare" });
            assert!(has(&copy, ACL), "it has one from its folder");
            assert_eq!(take_over(original, &copy, ModifiedTime::Original).unwrap(), [] as [String; 0]);
            assert_eq!(has(&copy, ACL), kept);
            let mode = |file: &File| file.metadata().unwrap().mode() & 0o7777;
            assert_eq!(mode(&copy), mode(original));
        }
    }
}
