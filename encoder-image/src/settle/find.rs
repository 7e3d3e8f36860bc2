//! Finds files by what they are, wherever they were moved to in the library.
//!
//! May: list folders and read samples of files that have a wanted size. Must never: follow a link, or enter `.av1`, hidden
//! folders or another library.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use av1_crds::wire::FileIdentity;
use av1_media::gates::is_never_entered;
use av1_media::identity::same_content;
use rustix::fs::FileType;

use super::error::{Doing, SettleError};
use super::place::identity_at;
use crate::beneath::{Folder, Root};
use crate::volume;

/// What to do about a folder or a file that cannot be looked at: an error ends the search.
type OnError<'a> = &'a mut dyn FnMut(SettleError) -> Result<(), SettleError>;

/// Paths, in their order, of all files that have the content of one of `wanted`; one list for each. A folder that may not be
/// read is passed over: what is in it could not be swapped either.
pub(super) fn find(root: &Root, wanted: &[&FileIdentity]) -> Result<Vec<Vec<String>>, SettleError> {
    search(root, wanted, &mut Err)
}

/// The same where whatever cannot be looked at is passed over: only what is found counts. The first error comes with it.
pub(super) fn find_readable(root: &Root, wanted: &[&FileIdentity]) -> (Vec<Vec<String>>, Option<SettleError>) {
    let mut first = None;
    let found = search(root, wanted, &mut |error| {
        first.get_or_insert(error);
        Ok(())
    });
    // Every error went to the closure.
    (found.unwrap_or_else(|_| vec![Vec::new(); wanted.len()]), first)
}

fn search(root: &Root, wanted: &[&FileIdentity], on_error: OnError<'_>) -> Result<Vec<Vec<String>>, SettleError> {
    let mut found = vec![Vec::new(); wanted.len()];
    let mut folders = VecDeque::from([PathBuf::new()]);
    while let Some(path) = folders.pop_front() {
        let opened = enter(root, &path).and_then(|folder| match folder {
            Some(folder) => Ok(Some((folder.names()?, folder))),
            None => Ok(None),
        });
        match opened.doing(|| format!("looking through {path:?}")) {
            Ok(Some((names, folder))) => look(&folder, &path, names, wanted, &mut found, &mut folders, on_error)?,
            Ok(None) => {}
            Err(error) => on_error(error)?,
        }
    }
    found.iter_mut().for_each(|paths| paths.sort());
    Ok(found)
}

fn enter(root: &Root, path: &Path) -> io::Result<Option<Folder>> {
    let folder = match root.open_folder(path) {
        Ok(folder) => folder,
        // It went away meanwhile, or may not be read.
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(e) => return Err(e),
    };
    Ok((!volume::is_another_library(root, path)).then_some(folder))
}

fn look(
    folder: &Folder,
    path: &Path,
    names: Vec<OsString>,
    wanted: &[&FileIdentity],
    found: &mut [Vec<String>],
    folders: &mut VecDeque<PathBuf>,
    on_error: OnError<'_>,
) -> Result<(), SettleError> {
    for name in names {
        let doing = || format!("looking at {:?}", path.join(&name));
        let stat = match folder.stat(&name).doing(doing) {
            Ok(Some(stat)) => stat,
            Ok(None) => continue,
            Err(error) => {
                on_error(error)?;
                continue;
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory if !is_never_entered(&name) => folders.push_back(path.join(&name)),
            FileType::RegularFile if !name.as_encoded_bytes().starts_with(b".av1-") => {
                let size = u64::try_from(stat.st_size).unwrap_or_default();
                let Some(full) = path.join(&name).to_str().map(str::to_owned) else {
                    continue;
                };
                if !wanted.iter().any(|identity| identity.size == size) {
                    continue;
                }
                let identity = match identity_at(folder, &name).doing(doing) {
                    Ok(Some(identity)) => identity,
                    Ok(None) => continue,
                    Err(error) => {
                        on_error(error)?;
                        continue;
                    }
                };
                for (paths, wanted) in found.iter_mut().zip(wanted) {
                    if same_content(&identity, wanted) {
                        paths.push(full.clone());
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_file_is_found_where_it_was_moved_to_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let write = |path: &str, bytes: &str| {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        };
        write("a/film.mkv", "the film");
        write("b/c/Film.mkv", "the film");
        write("b/other.mkv", "the Film");
        write(".av1/trash/u/film.mkv", "the film");
        write("#recycle/film.mkv", "the film");
        write("#1 films/film.mkv", "the film");
        write("d/.av1/volume.json", "{}");
        write("d/film.mkv", "the film");
        std::os::unix::fs::symlink("a", dir.path().join("e")).unwrap();
        let root = Root::open(dir.path()).unwrap();
        let identity = crate::facts::identity(&root, "a/film.mkv").unwrap();
        let gone = FileIdentity { fingerprint: "x".into(), ..identity.clone() };
        let found = find(&root, &[&identity, &gone]).unwrap();
        assert_eq!(
            found,
            [vec!["#1 films/film.mkv".to_owned(), "a/film.mkv".to_owned(), "b/c/Film.mkv".to_owned()], vec![]]
        );
    }

    #[test]
    fn a_file_that_cannot_be_looked_at_ends_a_search_unless_it_is_for_what_is_readable() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.mkv", "b.mkv"] {
            std::fs::write(dir.path().join(name), "the film").unwrap();
        }
        let root = Root::open(dir.path()).unwrap();
        let identity = crate::facts::identity(&root, "a.mkv").unwrap();
        std::fs::set_permissions(dir.path().join("a.mkv"), std::fs::Permissions::from_mode(0o000)).unwrap();
        let (found, error) = find_readable(&root, &[&identity]);
        assert!(found[0].contains(&"b.mkv".to_owned()));
        // Root may read everything.
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!((error.is_none(), find(&root, &[&identity]).is_ok()), (is_root, is_root));
    }
}
