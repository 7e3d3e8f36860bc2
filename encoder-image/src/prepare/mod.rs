//! The prepare role, in two steps: looks whose the files are, as any user; then, as the user that the library will run as, makes
//! `.av1/` and proves what the volume can do.
//!
//! May: write in `.av1` alone. Must never: write anything on a volume that is not the expected one, or that a living library owns.

mod look;
mod make;
mod prove;

use std::io;
use std::path::{Component, Path};

use av1_crds::reasons;
use av1_crds::wire::{PrepareStep, PrepareTask};
use rustix::io::Errno;

use crate::beneath::{Folder, Root};
use crate::role::{PodArgs, RoleFailure};

/// Does the task's step; the result is a `LookResult` or a `MakeResult`.
pub(crate) fn run(task: &PrepareTask, args: &PodArgs) -> Result<serde_json::Value, RoleFailure> {
    let root = open(task, args)?;
    let result = match task.step {
        PrepareStep::Look => serde_json::to_value(look::look(&root)?),
        PrepareStep::Make => serde_json::to_value(make::make(&root, task)?),
    };
    result.map_err(|e| RoleFailure::retry(reasons::IO_ERROR, format!("the result could not be written as JSON: {e}")))
}

/// The library's root below the volume's.
fn open(task: &PrepareTask, args: &PodArgs) -> Result<Folder, RoleFailure> {
    let sub = Path::new(&task.sub_path);
    if sub.components().any(|part| !matches!(part, Component::Normal(_))) {
        return Err(RoleFailure::bad_input(
            reasons::INVALID_TASK,
            format!("spec.volume.subPath {:?} is not a plain path below the volume's root", task.sub_path),
        ));
    }
    let volume = Root::open(&args.volume).map_err(|e| failure("opening the volume's root", &e))?;
    volume.open_folder(sub).map_err(|e| match (e.kind(), Errno::from_io_error(&e)) {
        (io::ErrorKind::NotFound, _) => {
            let found = names_of(volume.folder());
            RoleFailure::retry(reasons::NOT_FOUND, format!("spec.volume.subPath {:?} does not exist on the volume{found}: make the folder, or name one that is there", task.sub_path))
        }
        (io::ErrorKind::NotADirectory, _) | (_, Some(Errno::LOOP)) => {
            RoleFailure::bad_input(reasons::INVALID_TASK, format!("spec.volume.subPath {:?} is not a folder, or a symbolic link is in it: name the folder itself", task.sub_path))
        }
        _ => failure(&format!("opening the library's root {:?}", task.sub_path), &e),
    })
}

/// A few names at the volume's root, as a hint.
fn names_of(folder: &Folder) -> String {
    let mut names: Vec<String> = folder
        .names()
        .unwrap_or_default()
        .iter()
        .map(|name| name.to_string_lossy().chars().take(40).collect())
        .collect();
    names.sort();
    names.truncate(5);
    if names.is_empty() { " (its root is empty)".to_owned() } else { format!(" (its root has {})", names.join(", ")) }
}

/// What a failed operation means to the operator.
fn failure(operation: &str, error: &io::Error) -> RoleFailure {
    let user = rustix::process::geteuid().as_raw();
    match Errno::from_io_error(error) {
        Some(Errno::ACCESS | Errno::PERM) => RoleFailure::retry(
            reasons::IO_ERROR,
            format!(
                "{operation}: {error}: user {user} has no right to; set spec.pods.runAsUser to the folder's owner, or give that user the right"
            ),
        ),
        Some(Errno::ROFS) => {
            RoleFailure::retry(reasons::IO_ERROR, format!("{operation}: the volume is read-only: mount it read-write"))
        }
        Some(Errno::NOSPC | Errno::DQUOT) => {
            RoleFailure::retry(reasons::NO_SPACE, format!("{operation}: {error}: free space on the volume"))
        }
        _ => RoleFailure::retry(reasons::IO_ERROR, format!("{operation}: {error}")),
    }
}
