//! Files opened beneath a root: whatever a path says, nothing outside the root is reached, and no symbolic link is followed
//! anywhere in it (openat2 with RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS and RESOLVE_NO_SYMLINKS): one file has one path.
//!
//! May: open, stat, make, rename and remove names in folders that it holds open. Must never: take a path from the process's root.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Access, AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, Stat};
use rustix::io::Errno;

/// A folder below which files are opened.
#[derive(Debug)]
pub(crate) struct Root {
    folder: Folder,
    path: PathBuf,
}

/// A folder that is held open; all names are single components in it.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
}

impl Root {
    /// Holds `path` open; symbolic links in `path` itself are followed, because whoever started us named it.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self { folder: Folder { fd }, path: path.to_owned() })
    }

    /// The path that it was opened with.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The root itself.
    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Opens a file to read. Never blocks, not even on a FIFO; what kind of file it is, is the caller's to check.
    pub(crate) fn open_file(&self, rel: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        open_beneath(self.folder.fd.as_fd(), rel, flags).map(File::from)
    }

    /// Attributes of a name, not following it when it is a symbolic link.
    pub(crate) fn stat(&self, rel: &Path) -> io::Result<Stat> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::fstat(open_beneath(self.folder.fd.as_fd(), rel, flags)?)?)
    }

    /// Opens a folder without following any symbolic link, so that one folder has one path.
    pub(crate) fn open_folder(&self, rel: &Path) -> io::Result<Folder> {
        self.folder.open_folder(rel)
    }

    /// The folder that holds `rel`, and the last component. Refuses paths that are empty, absolute or have `.` or `..` in them.
    pub(crate) fn parent_of(&self, rel: &Path) -> io::Result<(Folder, OsString)> {
        let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "not a plain path below the library's root");
        // `components` hides inner `.` and doubled slashes; such a path would be a second spelling of another one.
        let plain: PathBuf = rel.components().filter(|c| matches!(c, Component::Normal(_))).collect();
        if plain.as_os_str().is_empty() || plain.as_os_str() != rel.as_os_str() {
            return Err(invalid());
        }
        let name = rel.file_name().ok_or_else(invalid)?.to_owned();
        let parent = rel.parent().ok_or_else(invalid)?;
        Ok((self.open_folder(parent)?, name))
    }
}

impl Folder {
    /// Opens a folder below this one without following any symbolic link.
    pub(crate) fn open_folder(&self, rel: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_beneath(self.fd.as_fd(), rel, flags).map(|fd| Self { fd })
    }

    /// Opens a regular file in this folder to read; anything else is an error.
    pub(crate) fn open_regular(&self, name: &OsStr) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = File::from(open_beneath(self.fd.as_fd(), Path::new(single(name)?), flags)?);
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Makes a file that must not exist yet, to write and read.
    pub(crate) fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, single(name)?, flags, Mode::from_raw_mode(mode))?))
    }

    /// Opens a file to append to, making it when it does not exist.
    pub(crate) fn open_append(&self, name: &OsStr, mode: u32) -> io::Result<File> {
        let flags =
            OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.fd, single(name)?, flags, Mode::from_raw_mode(mode))?))
    }

    /// Attributes of a name, not following it; none when there is nothing of that name.
    pub(crate) fn stat(&self, name: &OsStr) -> io::Result<Option<Stat>> {
        match rustix::fs::statat(&self.fd, single(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Attributes of the folder itself.
    pub(crate) fn own_stat(&self) -> io::Result<Stat> {
        Ok(rustix::fs::fstat(&self.fd)?)
    }

    /// Makes a folder; one that exists already is fine.
    pub(crate) fn make_folder(&self, name: &OsStr, mode: u32) -> io::Result<Self> {
        match rustix::fs::mkdirat(&self.fd, single(name)?, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => self.open_folder(Path::new(name)),
            Err(e) => Err(e.into()),
        }
    }

    /// Renames over whatever has the new name.
    pub(crate) fn rename(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.fd, single(name)?, &to.fd, single(new)?)?)
    }

    /// Renames to a name that is free. Where the file system cannot refuse a taken name itself it is looked at just before.
    pub(crate) fn rename_free(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        match self.rename_or_refuse(name, to, new) {
            Err(e) if cannot_refuse(&e) && to.stat(new)?.is_none() => self.rename(name, to, new),
            Err(e) if cannot_refuse(&e) => Err(Errno::EXIST.into()),
            other => other,
        }
    }

    /// Renames, failing at one instant when the new name is taken; [`cannot_refuse`] tells where a file system has no such rename.
    pub(crate) fn rename_or_refuse(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(&self.fd, single(name)?, &to.fd, single(new)?, RenameFlags::NOREPLACE)?)
    }

    /// Swaps two names at one instant.
    pub(crate) fn exchange(&self, name: &OsStr, with: &Self, other: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat_with(&self.fd, single(name)?, &with.fd, single(other)?, RenameFlags::EXCHANGE)?)
    }

    /// Gives a file a second name, failing when it is taken.
    pub(crate) fn link(&self, name: &OsStr, to: &Self, new: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::linkat(&self.fd, single(name)?, &to.fd, single(new)?, AtFlags::empty())?)
    }

    /// Removes the name of a file; none of that name is fine.
    pub(crate) fn unlink(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, single(name)?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Removes an empty folder; none of that name is fine.
    pub(crate) fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.fd, single(name)?, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Names in the folder, without `.` and `..`, in no order.
    pub(crate) fn names(&self) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// Whether this process's user is refused to make and remove names in the folder. The kernel looks at rights before it looks
    /// whether the mount is read-only, so that a role which cannot write itself can tell for one that can.
    pub(crate) fn refuses_names(&self) -> bool {
        let asked = rustix::fs::accessat(&self.fd, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::empty());
        matches!(asked, Err(Errno::ACCESS | Errno::PERM))
    }

    /// The same folder, held open once more.
    pub(crate) fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()? })
    }

    /// Makes the folder's names durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.fd)?)
    }
}

impl AsFd for Folder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Whether a call failed because the file system does not have it: of a rename, that it can't refuse a taken name.
pub(crate) fn cannot_refuse(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP))
}

/// Refuses names that are more than one component.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.contains(&b'/') {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file"));
    }
    Ok(name)
}

fn open_beneath(dir: BorrowedFd<'_>, rel: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    let rel = if rel.as_os_str().is_empty() { Path::new(".") } else { rel };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    let mut tries = 0;
    loop {
        match rustix::fs::openat2(dir, rel, flags, Mode::empty(), resolve) {
            // The kernel asks to try again when a rename elsewhere ran at the same time.
            Err(Errno::AGAIN) if tries < 64 => tries += 1,
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_root_is_opened() {
        let dir = tempfile::tempdir().unwrap();
        let root_path = dir.path().join("root");
        std::fs::create_dir_all(root_path.join("in")).unwrap();
        std::fs::write(dir.path().join("secret"), "s").unwrap();
        std::fs::write(root_path.join("in/file"), "f").unwrap();
        symlink("../secret", root_path.join("out")).unwrap();
        symlink("..", root_path.join("up")).unwrap();
        symlink("in/file", root_path.join("link")).unwrap();
        let root = Root::open(&root_path).unwrap();
        for path in ["../secret", "/etc/passwd", "out", "up/secret", "in/../../secret", "link"] {
            assert!(root.open_file(Path::new(path)).is_err(), "{path}");
        }
        assert!(root.open_file(Path::new("in/file")).is_ok());
        symlink("in", root_path.join("also")).unwrap();
        let link = Path::new("also/file");
        assert!(root.open_file(link).is_err() && root.stat(link).is_err(), "a file has one path");
        assert!(root.stat(Path::new("link")).is_ok(), "a link itself is told");
    }

    #[test]
    fn a_path_has_one_spelling_for_writers() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        for path in ["", "/a/x", "a//x", "./a/x", "a/./x", "a/../a/x", "a/..", "b/x", "a/x/"] {
            assert!(root.parent_of(Path::new(path)).is_err(), "{path}");
        }
        assert_eq!(root.parent_of(Path::new("a/-x %03d\n.mkv")).unwrap().1, "-x %03d\n.mkv");
        assert_eq!(root.parent_of(Path::new("x")).unwrap().1, "x");
    }

    #[test]
    fn a_fifo_does_not_block_and_is_not_a_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let root = Root::open(dir.path()).unwrap();
        rustix::fs::mknodat(root.folder(), "fifo", rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        assert!(root.open_file(Path::new("fifo")).is_ok());
        assert!(root.folder().open_regular(OsStr::new("fifo")).is_err());
    }
}
