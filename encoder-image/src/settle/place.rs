//! The places a settling job works in, held open: the state folders of `.av1`, and the folder of the file with the names beside
//! it. Nothing is opened by a path from the process's root.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use av1_crds::paths;
use av1_crds::wire::FileIdentity;
use av1_media::identity::{fingerprint, samples};
use rustix::fs::Stat;
use rustix::io::Errno;

use super::error::{Doing, SettleError};
use crate::beneath::{Folder, Root};
use crate::failpoint::durable;

/// Mode of folders in `.av1`: the library's user alone works in them.
pub(super) const FOLDER_MODE: u32 = 0o700;
/// Mode of files in `.av1/state` and of markers.
pub(super) const FILE_MODE: u32 = 0o644;

/// The state folders of `.av1`.
pub(super) struct State {
    pub(super) claims: Folder,
    pub(super) journals: Folder,
    pub(super) receipts: Folder,
    pub(super) trash: Folder,
}

/// The file's folder and the names in it.
pub(super) struct Place {
    pub(super) folder: Folder,
    pub(super) name: OsString,
    /// The file that is to be at the name, before it is.
    pub(super) part: OsString,
    /// The second name of the file at the name.
    pub(super) side: OsString,
    /// For small files before they get their name.
    pub(super) temporary: OsString,
}

impl State {
    pub(super) fn open(root: &Root) -> Result<Self, SettleError> {
        let open = |below: &str| {
            let path = Path::new(paths::AV1_DIR).join(below);
            root.open_folder(&path).doing(|| format!("opening {}", path.display()))
        };
        Ok(Self {
            claims: open(paths::CLAIMS_DIR)?,
            journals: open(paths::JOURNAL_DIR)?,
            receipts: open(paths::RECEIPTS_DIR)?,
            trash: open(paths::TRASH_DIR)?,
        })
    }

    /// The job's folder in the trash, made when it is missing.
    pub(super) fn trash_of(&self, job_uid: &str) -> Result<Folder, SettleError> {
        let make = || {
            durable("settle::trash_folder", || {
                let folder = self.trash.make_folder(OsStr::new(job_uid), FOLDER_MODE)?;
                self.trash.sync()?;
                Ok(folder)
            })
        };
        make().doing(|| "making the job's folder in the trash".to_owned())
    }
}

impl Place {
    /// Holds the folder of the file at `path` open; none when that folder is gone.
    pub(super) fn open(root: &Root, path: &str, job_uid: &str) -> Result<Option<Self>, SettleError> {
        let path = Path::new(path);
        match root.parent_of(path) {
            Ok((folder, name)) => {
                refuse_foreign_library(root, path)?;
                let beside = |suffix: &str| OsString::from(format!(".av1-{job_uid}.{suffix}"));
                Ok(Some(Self { folder, name, part: beside("part"), side: beside("orig"), temporary: beside("tmp") }))
            }
            // A link or a file may stand where a folder was.
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR)) => Ok(None),
            Err(e) => Err(e).doing(|| format!("opening the folder of {path:?}")),
        }
    }
}

/// Refuses a path through a folder that is the root of another library.
fn refuse_foreign_library(root: &Root, path: &Path) -> Result<(), SettleError> {
    let folders: Vec<&Path> = path.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()).collect();
    for folder in folders {
        let marker: PathBuf = folder.join(paths::AV1_DIR).join(paths::VOLUME_FILE);
        match root.stat(&marker) {
            Ok(_) => {
                return Err(SettleError::Invalid(format!(
                    "the folder {folder:?} is the root of another library: its files are not this library's"
                )));
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(e).doing(|| format!("looking for another library in {folder:?}")),
        }
    }
    Ok(())
}

/// Identity of an open file. Open and fstat see what a network file system has now, which a bare stat may not.
pub(super) fn identity_of(file: &File) -> io::Result<FileIdentity> {
    let meta = file.metadata()?;
    let mut read = Vec::with_capacity(3);
    for (offset, length) in samples(meta.len()) {
        let mut sample = vec![0; length];
        file.read_exact_at(&mut sample, offset)?;
        read.push(sample);
    }
    let [start, middle, end] = [&read[0], &read[1], &read[2]];
    Ok(FileIdentity {
        size: meta.len(),
        modified_time_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
        changed_time_ns: meta.ctime().saturating_mul(1_000_000_000).saturating_add(meta.ctime_nsec()),
        inode: meta.ino(),
        fingerprint: fingerprint(meta.len(), [start, middle, end]),
    })
}

/// Identity of the regular file of this name; none when there is none, or when it is something else, another user's that may not
/// be read, or vanishes or shrinks while it is looked at.
pub(super) fn identity_at(folder: &Folder, name: &OsStr) -> io::Result<Option<FileIdentity>> {
    match folder.open_regular(name).and_then(|file| identity_of(&file)) {
        Ok(identity) => Ok(Some(identity)),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(None)
        }
        // A symbolic link or a socket at the name.
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::LOOP | Errno::NXIO)) => Ok(None),
        // A file that may not be read is not the one that was, when it is another user's; of an own one it cannot be told.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied && is_anothers(folder, name)? => Ok(None),
        Err(e) => Err(e),
    }
}

/// The same for a path below the library's root.
pub(super) fn identity_below(root: &Root, path: &str) -> Result<Option<FileIdentity>, SettleError> {
    let look = || match root.parent_of(Path::new(path)) {
        Ok((folder, name)) => identity_at(&folder, &name),
        Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR)) => Ok(None),
        Err(e) => Err(e),
    };
    look().doing(|| format!("looking at {path:?}"))
}

/// Whether there is something of this name that belongs to another user.
pub(super) fn is_anothers(folder: &Folder, name: &OsStr) -> io::Result<bool> {
    Ok(folder.stat(name)?.is_some_and(|stat| stat.st_uid != rustix::process::geteuid().as_raw()))
}

/// Attributes of a name as [`Folder::stat`] has them; no answer at all when the name is longer than the file system allows.
pub(super) fn stat_or_too_long(folder: &Folder, name: &OsStr) -> io::Result<Option<Option<Stat>>> {
    match folder.stat(name) {
        Ok(stat) => Ok(Some(stat)),
        Err(e) if Errno::from_io_error(&e) == Some(Errno::NAMETOOLONG) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Writes a small file whole: under a temporary name, made durable, then renamed over `name`.
pub(super) fn write_whole(
    step: &str,
    folder: &Folder,
    temporary: &OsStr,
    name: &OsStr,
    bytes: &[u8],
) -> io::Result<()> {
    let written = fill_temporary(step, folder, temporary, bytes)
        .and_then(|()| durable(&format!("{step}::rename"), || folder.rename(temporary, folder, name)))
        .and_then(|()| durable(&format!("{step}::sync"), || folder.sync()));
    finish_temporary(folder, temporary, written)
}

/// The same for a name that must be free.
pub(super) fn write_new(step: &str, folder: &Folder, temporary: &OsStr, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let written = fill_temporary(step, folder, temporary, bytes)
        .and_then(|()| durable(&format!("{step}::rename"), || folder.rename_free(temporary, folder, name)))
        .and_then(|()| durable(&format!("{step}::sync"), || folder.sync()));
    finish_temporary(folder, temporary, written)
}

fn fill_temporary(step: &str, folder: &Folder, temporary: &OsStr, bytes: &[u8]) -> io::Result<()> {
    folder.unlink(temporary)?;
    durable(&format!("{step}::write"), || {
        let mut file = folder.create_new(temporary, FILE_MODE)?;
        file.write_all(bytes)?;
        file.sync_all()
    })
}

fn finish_temporary(folder: &Folder, temporary: &OsStr, written: io::Result<()>) -> io::Result<()> {
    if written.is_err() {
        // The first error is the one to tell; what is left here is removed by the next run.
        let _ = folder.unlink(temporary);
    }
    written
}

/// Reads a regular file of at most `most` bytes; none when there is none. A longer one is an error.
pub(super) fn read_capped(folder: &Folder, name: &OsStr, most: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match folder.open_regular(name) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {most} bytes")));
    }
    Ok(Some(bytes))
}
