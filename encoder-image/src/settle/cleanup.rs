//! Removes a job's work folder once its outcome is durable. What is in there was written by parsers of media: nothing in it is
//! followed, and its depth is limited.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use av1_crds::paths;
use rustix::io::Errno;

use crate::beneath::{Folder, Root};
use crate::failpoint::durable;

/// Deeper folders than any tool makes are left for a person.
const MAX_DEPTH: u32 = 32;

/// Removes `.av1/work/<job uid>`; none there is fine.
pub(crate) fn remove_work(root: &Root, job_uid: &str) -> io::Result<()> {
    let work = root.open_folder(&Path::new(paths::AV1_DIR).join(paths::WORK_DIR))?;
    durable("settle::remove_work", || {
        remove_tree(&work, OsStr::new(job_uid), 0)?;
        work.sync()
    })
}

fn remove_tree(parent: &Folder, name: &OsStr, depth: u32) -> io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(io::Error::other(format!("more than {MAX_DEPTH} folders deep")));
    }
    let folder = match parent.open_folder(Path::new(name)) {
        Ok(folder) => folder,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(e),
    };
    for child in folder.names()? {
        match folder.unlink(&child) {
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::ISDIR | Errno::PERM)) => {
                remove_tree(&folder, &child, depth + 1)?
            }
            other => other?,
        }
    }
    parent.remove_folder(name)
}
