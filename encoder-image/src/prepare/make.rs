//! Makes `.av1/` with its folders and its identity, as the user that the library will run as.
//!
//! Folders are 0700: only that user works in them, and originals in the trash may have been private. `.av1` itself and the files
//! that keep media servers out are 0755 and 0644, because those servers must be able to see them.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::wire::{LibraryId, MakeResult, PrepareTask, VolumeFile};
use rustix::fs::Stat;

use super::{failure, prove};
use crate::beneath::Folder;
use crate::role::RoleFailure;
use crate::volume;

const AV1_MODE: u32 = 0o755;
const FOLDER_MODE: u32 = 0o700;
const KEEP_OUT_MODE: u32 = 0o644;
/// Folders of `.av1`, parents first.
const FOLDERS: [&str; 7] = [
    paths::CATALOG_DIR,
    paths::WORK_DIR,
    "state",
    paths::CLAIMS_DIR,
    paths::JOURNAL_DIR,
    paths::RECEIPTS_DIR,
    paths::TRASH_DIR,
];
/// A catalog whose heartbeat is younger than this is alive, as far as can be told from another cluster.
const SIGN_OF_LIFE: Duration = Duration::from_secs(5 * 60);
/// The same where the owner is known to be deleted: two heartbeats, for a library that was made meanwhile.
const SIGN_OF_LIFE_OF_A_DELETED: Duration = Duration::from_secs(60);
/// The catalog's heartbeat, below its folder.
const HEARTBEAT_FILE: &str = "heartbeat";

/// Makes what is missing and proves the rest; an existing identity is kept.
pub(super) fn make(root: &Folder, task: &PrepareTask) -> Result<MakeResult, RoleFailure> {
    let existing = existing(root)?;
    expect(task, existing.as_ref())?;
    let av1 = root.make_folder(OsStr::new(paths::AV1_DIR), AV1_MODE).map_err(|e| failure("making .av1", &e))?;
    // A second library may have come in between, so the answer is taken from what is on the volume.
    let now = volume::server_time(&av1, OsStr::new(".prepare-clock")).map_err(|e| failure("writing in .av1", &e))?;
    let mut notes = Vec::new();
    if let Some(found) = &existing
        && !same(&found.owner, &task.library)
    {
        let patience = if is_deleted(&found.owner, task) { SIGN_OF_LIFE_OF_A_DELETED } else { SIGN_OF_LIFE };
        let stale = heartbeat_is_older(&av1, patience, now)
            .map_err(|e| failure("looking at the heartbeat of the volume's owner", &e))?;
        if !stale {
            return Err(RoleFailure::new(
                reasons::OWNED_BY_ANOTHER,
                volume::owned_by(&found.owner),
                true,
                reasons::exit::FAILURE,
            ));
        }
        let owner = &found.owner;
        notes.push(format!(
            "taken over from the library {}/{} of the cluster {}, which shows no sign of life",
            owner.namespace, owner.name, owner.cluster
        ));
    }
    folders(&av1)?;
    let id = identity(&av1, task, existing)?;
    keep_out(&av1)?;
    let proof = prove::prove(&av1, now).map_err(|e| failure("trying what the volume can do", &e))?;
    notes.extend(proof.notes);
    root.sync().and_then(|()| av1.sync()).map_err(|e| failure("making .av1 durable", &e))?;
    Ok(MakeResult {
        volume_id: id,
        swap: proof.swap,
        inode_stable: proof.inode_stable,
        free_bytes: proof.free_bytes,
        total_bytes: proof.total_bytes,
        message: notes.join("; "),
    })
}

fn existing(root: &Folder) -> Result<Option<VolumeFile>, RoleFailure> {
    match root.open_folder(Path::new(paths::AV1_DIR)) {
        Ok(av1) => volume::read(&av1).map_err(|e| failure("reading .av1/volume.json", &e)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(failure("opening .av1", &e)),
    }
}

/// Nothing is written on another volume than the expected one.
fn expect(task: &PrepareTask, existing: Option<&VolumeFile>) -> Result<(), RoleFailure> {
    let Some(expected) = &task.expected_volume_id else {
        return Ok(());
    };
    let found = match existing {
        Some(found) if found.id == *expected => return Ok(()),
        Some(found) => format!("it is volume {}", found.id),
        None => "it has no .av1/volume.json, as an empty mount point or a fresh disk has none".to_owned(),
    };
    let message = format!(
        "this is not the volume {expected} that the library was prepared on: {found}; nothing was written. Mount the right volume, or make the library anew"
    );
    Err(RoleFailure::new(reasons::WRONG_VOLUME, message, true, reasons::exit::FAILURE))
}

fn same(owner: &LibraryId, library: &LibraryId) -> bool {
    owner.uid == library.uid && owner.cluster == library.cluster
}

/// Whether the owner was a library of the task's own cluster and is there no more.
fn is_deleted(owner: &LibraryId, task: &PrepareTask) -> bool {
    owner.cluster == task.library.cluster && task.living.as_ref().is_some_and(|living| !living.contains(&owner.uid))
}

fn heartbeat_is_older(av1: &Folder, patience: Duration, now: SystemTime) -> io::Result<bool> {
    let stat: Stat = match av1
        .open_folder(Path::new(paths::CATALOG_DIR))
        .and_then(|catalog| catalog.stat(OsStr::new(HEARTBEAT_FILE)))
    {
        Ok(Some(stat)) => stat,
        Ok(None) => return Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(e) => return Err(e),
    };
    // A beat in the future is a living one: its clock may be ahead.
    Ok(now.duration_since(prove::modified(&stat)).is_ok_and(|age| age > patience))
}

fn folders(av1: &Folder) -> Result<(), RoleFailure> {
    for path in FOLDERS {
        let below = Path::new(path);
        let parent = av1
            .open_folder(below.parent().unwrap_or(Path::new("")))
            .map_err(|e| failure(&format!("opening .av1/{path}"), &e))?;
        let name = below.file_name().unwrap_or(OsStr::new(path));
        let folder = parent.make_folder(name, FOLDER_MODE).map_err(|e| failure(&format!("making .av1/{path}"), &e))?;
        let stat = folder.own_stat().map_err(|e| failure(&format!("looking at .av1/{path}"), &e))?;
        rights(path, &folder, &stat)?;
    }
    Ok(())
}

/// A folder that somebody else made (a kubelet makes missing ones as root) is found here and not in the middle of a job.
fn rights(path: &str, folder: &Folder, stat: &Stat) -> Result<(), RoleFailure> {
    let trial = OsStr::new(".prepare-trial");
    let tried = folder.unlink(trial).and_then(|()| folder.create_new(trial, 0o600)).and_then(|_| folder.unlink(trial));
    tried.map_err(|e| {
        let user = rustix::process::geteuid().as_raw();
        match e.kind() {
            io::ErrorKind::PermissionDenied => RoleFailure::retry(
                reasons::IO_ERROR,
                format!("user {user} may not write in .av1/{path}, which belongs to user {}: give it to user {user} (chown -R {user} .av1), or set spec.pods.runAsUser", stat.st_uid),
            ),
            _ => failure(&format!("writing in .av1/{path}"), &e),
        }
    })
}

/// The volume's id: the one that is there, or a new one. What is there is replaced only when its owner is taken over.
fn identity(av1: &Folder, task: &PrepareTask, existing: Option<VolumeFile>) -> Result<String, RoleFailure> {
    let name = OsStr::new(paths::VOLUME_FILE);
    match existing {
        Some(found) if same(&found.owner, &task.library) => Ok(found.id),
        Some(found) => {
            let taken = VolumeFile { owner: task.library.clone(), ..found };
            write(av1, OsStr::new("volume.json.new"), &taken)
                .and_then(|()| av1.rename(OsStr::new("volume.json.new"), av1, name))
                .map_err(|e| failure("writing .av1/volume.json", &e))?;
            Ok(taken.id)
        }
        None => {
            let made = VolumeFile {
                id: random_id().map_err(|e| failure("making a random id", &e))?,
                owner: task.library.clone(),
                layout: 1,
            };
            match write(av1, name, &made) {
                Ok(()) => Ok(made.id),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Err(RoleFailure::retry(
                    reasons::OWNED_BY_ANOTHER,
                    "another library prepares this volume at the same time: it is looked at again",
                )),
                Err(e) => Err(failure("writing .av1/volume.json", &e)),
            }
        }
    }
}

/// Writes whole or not at all: under another name first, then linked, which fails when the name is taken. Without hard links
/// the name is made by O_EXCL and filled then.
fn write(av1: &Folder, name: &OsStr, content: &VolumeFile) -> io::Result<()> {
    let json = serde_json::to_vec_pretty(content)?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}", std::process::id()));
    av1.unlink(&temporary)?;
    fill(av1, &temporary, &json)?;
    if name != paths::VOLUME_FILE {
        av1.unlink(name)?;
    }
    let made = match av1.link(&temporary, av1, name) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => fill(av1, name, &json),
        other => other,
    };
    av1.unlink(&temporary)?;
    made.and_then(|()| av1.sync())
}

fn fill(folder: &Folder, name: &OsStr, bytes: &[u8]) -> io::Result<()> {
    let mut file = folder.create_new(name, KEEP_OUT_MODE)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn random_id() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}

fn keep_out(av1: &Folder) -> Result<(), RoleFailure> {
    for name in paths::KEEP_OUT_FILES {
        match av1.create_new(OsStr::new(name), KEEP_OUT_MODE) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(failure(&format!("making .av1/{name}"), &e)),
        }
    }
    Ok(())
}
