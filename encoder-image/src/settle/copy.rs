//! Whole files: the output copied beside the target and proven, and hashes.
//!
//! What an encoder wrote is copied, never renamed; what counts is the hash of what is read back from the disk.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::num::NonZeroU64;
use std::path::Path;

use av1_crds::paths;
use av1_crds::wire::{OutputFile, SettleTask};
use rustix::fs::Advice;
use sha2::{Digest, Sha256};

use super::error::{Doing, SettleError};
use super::place::{Place, identity_at, is_anothers};
use crate::beneath::{Folder, Root};
use crate::failpoint::durable;

/// Bytes that are hashed at a time.
const BUFFER: usize = 1 << 20;
/// Mode of a copy until it gets the original's.
const PART_MODE: u32 = 0o600;

/// The folder of the run whose output is settled; none when it is gone.
pub(super) fn run_folder(root: &Root, task: &SettleTask) -> Result<Option<Folder>, SettleError> {
    let path = Path::new(paths::AV1_DIR).join(paths::WORK_DIR).join(&task.job.uid).join(task.job.run.to_string());
    match root.open_folder(&path) {
        Ok(folder) => Ok(Some(folder)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e).doing(|| format!("opening the work folder {}", path.display())),
    }
}

/// Copies the output to its name beside the target; `finish` sets its attributes before it is made durable. Then it is read back
/// and must have the hash that was verified.
pub(super) fn place_output(
    root: &Root,
    place: &Place,
    task: &SettleTask,
    output: &OutputFile,
    finish: impl FnOnce(&File) -> Result<(), SettleError>,
) -> Result<(), SettleError> {
    clear_part(place, task)?;
    let copied = copy(root, place, task, output).and_then(|copy| {
        finish(&copy)?;
        durable("settle::copy::sync", || copy.sync_all()).doing(|| "making the copy durable".to_owned())?;
        durable("settle::copy::sync_folder", || place.folder.sync())
            .doing(|| "making the copy's name durable".to_owned())?;
        drop_cache(&copy);
        read_back(place, output)
    });
    if copied.is_err() {
        // The error is what is told; a copy that cannot be removed now is removed by the next run.
        let _ = place.folder.unlink(&place.part);
    }
    copied
}

/// Removes the copy that an earlier run left before any name changed. It is looked at: an original never goes this way.
pub(super) fn clear_part(place: &Place, task: &SettleTask) -> Result<(), SettleError> {
    let look = || Ok((identity_at(&place.folder, &place.part)?, is_anothers(&place.folder, &place.part)?));
    let (left, anothers) = look().doing(|| "looking at an earlier run's copy".to_owned())?;
    if left.is_none() && anothers {
        return Err(SettleError::Parked(format!(
            "{:?} beside the file belongs to another user and cannot be read",
            place.part
        )));
    }
    if left.is_some_and(|left| av1_media::identity::same_content(&left, &task.source)) {
        return Err(SettleError::Parked(format!(
            "{:?} beside the file holds the original, though no journal says so",
            place.part
        )));
    }
    durable("settle::copy::clear", || place.folder.unlink(&place.part))
        .doing(|| "removing an earlier run's copy".to_owned())
}

fn copy(root: &Root, place: &Place, task: &SettleTask, output: &OutputFile) -> Result<File, SettleError> {
    let gone = || {
        SettleError::BadOutput(format!(
            "the encoded file {:?} of run {} is no longer in the work folder: encode again",
            output.name, task.job.run
        ))
    };
    let folder = run_folder(root, task)?.ok_or_else(gone)?;
    let mut source = match folder.open_regular(output.name.as_ref()) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(gone()),
        Err(e) => return Err(e).doing(|| "opening the encoded file".to_owned()),
    };
    let size = source.metadata().doing(|| "looking at the encoded file".to_owned())?.len();
    if size != output.size {
        return Err(SettleError::BadOutput(format!(
            "the encoded file has {size} bytes, the verified one had {}: encode again",
            output.size
        )));
    }
    let mut copy = || {
        durable("settle::copy::write", || {
            let mut part = place.folder.create_new(&place.part, PART_MODE)?;
            // In the kernel where the file system can: by reference or on the server.
            io::copy(&mut Read::by_ref(&mut source).take(output.size), &mut part)?;
            Ok(part)
        })
    };
    copy().doing(|| format!("copying the encoded file ({size} bytes) beside the original"))
}

/// Reads the copy from the disk and compares.
fn read_back(place: &Place, output: &OutputFile) -> Result<(), SettleError> {
    let read = || {
        let file = durable("settle::copy::read_back", || place.folder.open_regular(&place.part))?;
        Ok((file.metadata()?.len(), sha256(file)?))
    };
    let (size, hash) = read().doing(|| "reading the copy back".to_owned())?;
    if size == output.size && hash == output.sha256 {
        return Ok(());
    }
    Err(SettleError::BadOutput(format!(
        "the copy beside the original has SHA-256 {hash} ({size} bytes), the verified output had {} ({} bytes): it was not swapped in. Check the disk, and encode again",
        output.sha256, output.size
    )))
}

/// SHA-256 of a file from its start, in hexadecimal.
pub(super) fn sha256(mut file: File) -> io::Result<String> {
    file.rewind()?;
    // Advice only: without it the same bytes are read.
    let _ = rustix::fs::fadvise(&file, 0, None::<NonZeroU64>, Advice::Sequential);
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => hash.update(&buffer[..count]),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    drop_cache(&file);
    Ok(hex::encode(hash.finalize()))
}

/// Has the kernel forget what it holds of a file, so that the next read comes from the disk and other programs keep their cache.
pub(super) fn drop_cache(file: &File) {
    // Advice only; a file system without it serves the read from memory.
    let _ = rustix::fs::fadvise(file, 0, None::<NonZeroU64>, Advice::DontNeed);
}
