//! `.av1/volume.json`: which volume this is and whose. Every writer checks it first, so that an empty mount point, a volume
//! that was swapped, or a library that another cluster took over is never written to.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use av1_crds::library::ScanRules;
use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::settings::Settings;
use av1_crds::wire::{LibraryId, VolumeFile};
use av1_media::gates::Rules;
use rustix::fs::{FsWord, NFS_SUPER_MAGIC, statfs};

use crate::beneath::{Folder, Root};
use crate::role::RoleFailure;

/// Most bytes of the file that are read.
const MAX_VOLUME_FILE: u64 = 64 << 10;

/// Reads the volume file in `av1`, a library's `.av1`; none when there is none.
pub(crate) fn read(av1: &Folder) -> io::Result<Option<VolumeFile>> {
    let file = match av1.open_regular(OsStr::new(paths::VOLUME_FILE)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    let mut json = Vec::new();
    file.take(MAX_VOLUME_FILE).read_to_end(&mut json)?;
    serde_json::from_slice(&json).map(Some).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))
}

/// What the files of the library at `root` are judged by.
pub(crate) fn rules(root: &Root, scan: ScanRules, settings: Settings) -> Rules {
    Rules { on_nfs: is_on_nfs(root), ..Rules::new(scan, settings) }
}

/// Whether `root` is on NFS; one that does not tell is taken for a file system of this machine.
pub(crate) fn is_on_nfs(root: &Root) -> bool {
    statfs(root.path()).is_ok_and(|found| is_nfs(found.f_type))
}

/// Whether a file system of this type is NFS, of whichever version.
fn is_nfs(type_: FsWord) -> bool {
    type_ == NFS_SUPER_MAGIC
}

/// Whether the folder at `path` below a library's root is another library's root.
pub(crate) fn is_another_library(root: &Root, path: &Path) -> bool {
    !path.as_os_str().is_empty() && root.stat(&path.join(paths::AV1_DIR).join(paths::VOLUME_FILE)).is_ok()
}

/// Checks that `root` is a library's root on the volume with `id`, owned by `library`.
pub(crate) fn check(root: &Root, id: &str, library: &LibraryId) -> Result<(), RoleFailure> {
    match root.open_folder(Path::new(paths::AV1_DIR)) {
        Ok(av1) => check_in(&av1, id, library),
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Err(wrong(id, "there is no .av1 folder: the path may be an empty mount point"))
        }
        Err(e) => {
            Err(RoleFailure::retry(reasons::IO_ERROR, format!("the library's .av1 folder could not be opened: {e}")))
        }
    }
}

/// The same for a library's `.av1` itself.
pub(crate) fn check_in(av1: &Folder, id: &str, library: &LibraryId) -> Result<(), RoleFailure> {
    let found = read(av1).map_err(|e| {
        RoleFailure::retry(
            reasons::IO_ERROR,
            format!("the volume's identity (.av1/volume.json) could not be read: {e}"),
        )
    })?;
    let Some(found) = found else {
        return Err(wrong(id, "it has no .av1/volume.json"));
    };
    if found.id != id {
        return Err(wrong(id, &format!("it is volume {}", found.id)));
    }
    if found.owner.uid != library.uid || found.owner.cluster != library.cluster {
        return Err(RoleFailure::new(reasons::OWNED_BY_ANOTHER, owned_by(&found.owner), false, reasons::exit::FAILURE));
    }
    Ok(())
}

/// The file system's own time: that of a file made just now under a name of ours in `folder`.
pub(crate) fn server_time(folder: &Folder, name: &OsStr) -> io::Result<SystemTime> {
    folder.unlink(name)?;
    let mut file = folder.create_new(name, 0o600)?;
    file.write_all(b"now")?;
    file.sync_all()?;
    let time = file.metadata()?.modified()?;
    folder.unlink(name)?;
    Ok(time)
}

/// The sentence for a volume of another library.
pub(crate) fn owned_by(owner: &LibraryId) -> String {
    format!(
        "the volume belongs to the library {}/{} (UID {}) of the cluster {}: give this library another folder, or delete the other one and wait five minutes",
        owner.namespace, owner.name, owner.uid, owner.cluster
    )
}

fn wrong(id: &str, found: &str) -> RoleFailure {
    let message = format!(
        "this is not the volume {id} that was prepared: {found}; nothing was written. Mount the right volume, or make the library anew"
    );
    RoleFailure::new(reasons::WRONG_VOLUME, message, false, reasons::exit::FAILURE)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn nfs_is_told_by_its_number() {
        assert!(is_nfs(0x6969));
        // ext4, XFS, CIFS, FUSE.
        assert!([0xef53, 0x5846_5342, 0xff53_4d42, 0x6573_5546].into_iter().all(|other| !is_nfs(other)));
    }

    #[test]
    fn a_folder_of_this_machine_keeps_the_seconds_that_were_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let scan = ScanRules::resolve(None).unwrap();
        let rules = rules(&Root::open(dir.path()).unwrap(), scan, Settings::resolve(&[]).unwrap());
        assert_eq!((rules.on_nfs, rules.stable_seconds()), (false, 10));
    }
}
