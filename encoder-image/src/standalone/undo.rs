//! `av1-agent undo FILE`: the original comes back to its name, the AV1 file goes to the trash.
//!
//! May: start the restore role. Must never: touch the file itself.

use std::process::ExitCode;
use std::time::Duration;

use av1_crds::wire::{JobId, RestoreResult, RestoreTask, RestoreVerdict, Wanted};
use rustix::fs::FlockOperation;

use super::child::{Child, End};
use super::config;
use super::explain::{FileArgs, locate};
use super::library::Library;

/// Brings the original back.
pub(crate) fn undo(args: &FileArgs, redo: bool) -> ExitCode {
    match restore(args, redo) {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn restore(args: &FileArgs, redo: bool) -> Result<String, String> {
    let config = config::load(args.config.as_deref()).map_err(|e| e.to_string())?;
    let place = locate(args)?;
    let path = place.path.to_str().ok_or("its path is not UTF-8: no receipt can be about it")?.to_owned();
    let library = Library::look(&place.root)?;
    // Of two at a time the second waits; settling files of a running `av1-agent run` are guarded by their claims.
    let lock = std::fs::File::options().write(true).create(true).truncate(false).open(library.run_dir().join("undo"));
    let lock = lock.map_err(|e| format!(".av1/run/undo: {e}"))?;
    rustix::fs::flock(&lock, FlockOperation::LockExclusive).map_err(|e| format!(".av1/run/undo: {e}"))?;
    // The same for every attempt on a path, so that one that was killed is gone on with.
    let uid = format!("undo-{}", &av1_media::receipt::path_hash(&path)[..32]);
    let task = RestoreTask {
        library: library.id.clone(),
        job: JobId { name: "undo".to_owned(), uid: uid.clone(), run: 1 },
        volume_id: library.volume_id.clone(),
        path,
        wanted: if redo { Wanted::Encoded } else { Wanted::Original },
        trash_retention_seconds: config.settings.trash_retention_seconds,
        swap: library.swap,
        takeover_from: Vec::new(),
    };
    let mut child = Child::start(&library, "restore", &task, &[("--pod-uid", uid.as_ref())], &[])?;
    loop {
        match child.ended::<RestoreResult>() {
            None => std::thread::sleep(Duration::from_millis(20)),
            Some(End::Done(result)) if result.verdict == RestoreVerdict::Refused => {
                return Err(format!("{}: {}", result.reason, result.message));
            }
            Some(End::Done(result)) => return Ok(result.message),
            Some(End::Failed(failure)) => return Err(format!("{}: {}", failure.reason, failure.message)),
            Some(End::Lost(why)) => return Err(why),
        }
    }
}
