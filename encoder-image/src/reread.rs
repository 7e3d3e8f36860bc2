//! Reads a file plainly, with nothing but read(). A program that complains of a file's content may have met a disk or a network in
//! trouble, and words of its own for that; the file's content is to blame only when the file can be read.
//!
//! May: read the file. Must never: write, or judge what was read.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::supervise;

/// Bytes at either end in which containers say what is in them.
const EDGE: u64 = 64 << 20;

/// Reads all of the file at `path`.
///
/// # Errors
/// What the first read that failed said, or `Interrupted` when the pod is to end.
pub(crate) fn whole(path: &Path) -> io::Result<()> {
    drain(&mut File::open(path)?, u64::MAX)
}

/// Reads its beginning and its end.
///
/// # Errors
/// As of [`whole`].
pub(crate) fn edges(path: &Path) -> io::Result<()> {
    let mut file = File::open(path)?;
    drain(&mut file, EDGE)?;
    let size = file.metadata()?.len();
    file.seek(SeekFrom::Start(size.saturating_sub(EDGE).max(EDGE)))?;
    drain(&mut file, EDGE)
}

fn drain(file: &mut File, most: u64) -> io::Result<()> {
    let (mut buffer, mut left) = (vec![0; 1 << 20], most);
    while left > 0 {
        if supervise::stop_requested() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the pod is to end"));
        }
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => left = left.saturating_sub(count as u64),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file whose first byte cannot be read: nothing is mapped there.
    const BROKEN: &str = "/proc/self/mem";

    #[test]
    fn a_file_that_cannot_be_read_is_told_from_one_that_can() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        for size in [0, 1, (3 << 20) + 1] {
            std::fs::write(&path, vec![1; size]).unwrap();
            whole(&path).unwrap();
            edges(&path).unwrap();
        }
        for read in [whole, edges] {
            let error = read(Path::new(BROKEN)).unwrap_err();
            assert_eq!(rustix::io::Errno::from_io_error(&error), Some(rustix::io::Errno::IO));
            assert_eq!(read(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        }
    }
}
