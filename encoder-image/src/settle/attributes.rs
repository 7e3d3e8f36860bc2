//! Attributes of the original that its replacement gets: owner, group, mode, extended attributes (ACLs are among them), time.
//! What this user may not set is told, not fatal.

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use av1_crds::settings::ModifiedTime;
use rustix::fs::{Gid, Mode, Timespec, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::error::{Doing, SettleError};

/// Most bytes of one extended attribute and of the list of their names (limits of the kernel).
const MAX_XATTR: usize = 64 << 10;
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
    let mut list = vec![0_u8; MAX_XATTR];
    let length = match rustix::fs::flistxattr(original, &mut list[..]) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(()),
        Err(e) => return Err(e.into()),
    };
    for name in list[..length].split_inclusive(|b| *b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else {
            continue;
        };
        if let Err(e) = one(original, copy, name) {
            not_kept.push(format!("extended attribute {}: {e}", name.to_string_lossy()));
        }
    }
    Ok(())
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
