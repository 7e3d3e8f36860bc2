//! Replaces a file by its verified output: copy, hashes, swap, receipt.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use av1_crds::reasons;
use av1_crds::wire::{FileIdentity, OutputFile, SettleTask};
use av1_media::identity::{Comparison, compare, same_content};
use av1_media::journal::{Journal, Record, Swap};
use av1_media::receipt::Receipt;
use av1_media::trash::{SUFFIX, name_in_trash};
use jiff::{SignedDuration, Timestamp};

use super::copy::{drop_cache, place_output, sha256};
use super::error::{Doing, SettleError};
use super::journal::{self, JournalFile};
use super::place::{Place, State, identity_at, identity_of};
use super::record;
use super::swap::{Ended, Swapping};
use super::{Outcome, attributes};
use crate::beneath::{Folder, Root};
use crate::facts::users_marker;
use crate::role::now;

/// How often the work begins again when another program takes the copy away.
const MOST_STARTS: u32 = 3;
/// Names that are tried in the job's trash folder.
const MOST_NAMES: u32 = 1_000;

/// Does the work, or what is left of it.
pub(super) fn replace(
    root: &Root,
    state: &State,
    place: &Place,
    task: &SettleTask,
    earlier: Option<Journal>,
) -> Result<Outcome, SettleError> {
    let output = task
        .output
        .as_ref()
        .ok_or_else(|| SettleError::Invalid("the task says Encoded but names no output".to_owned()))?;
    let trash = state.trash_of(&task.job.uid)?;
    let mut earlier = earlier.filter(|journal| journal.swap.is_some());
    for _ in 0..MOST_STARTS {
        let (mut journal, swap) = match earlier.take() {
            Some(journal) => (
                JournalFile::resume(state, &task.job.uid, &journal)?,
                journal.swap.ok_or(Outcome::SourceChanged { original: None }),
            ),
            None => prepare(root, state, place, &trash, task, output)?,
        };
        let swap = match swap {
            Ok(swap) => swap,
            Err(outcome) => return Ok(outcome),
        };
        let swapping = Swapping { place, trash: &trash, task, swap: &swap };
        match swapping.run(&mut journal) {
            Ok(Ended::Done) => return finish(root, state, place, task, &swap, &mut journal),
            Ok(Ended::Changed { original_in_trash }) => {
                let original = original_in_trash.then(|| path_in_trash(task, &swap));
                return Ok(Outcome::SourceChanged { original });
            }
            Ok(Ended::StartOver) => {}
            Err(error) => {
                // The first error is the one to tell; what could not be taken back is finished by the next run.
                if swapping.roll_back().unwrap_or(false) {
                    let _ = journal::remove(state, &task.job.uid);
                }
                return Err(error);
            }
        }
    }
    Err(SettleError::Parked(format!("the copy beside the file was taken away {MOST_STARTS} times")))
}

/// Everything before the first name changes. An outcome instead of a swap when the file is not the planned one, or the user
/// marked it meanwhile.
fn prepare(
    root: &Root,
    state: &State,
    place: &Place,
    trash: &Folder,
    task: &SettleTask,
    output: &OutputFile,
) -> Result<(JournalFile, Result<Swap, Outcome>), SettleError> {
    let mut journal = JournalFile::begin(state, task)?;
    let Some(original) = open_planned(place, task)? else {
        return Ok((journal, Err(Outcome::SourceChanged { original: None })));
    };
    let mut not_kept = Vec::new();
    place_output(root, place, task, output, |copy| {
        not_kept = attributes::take_over(&original, copy, task.settings.modified_time)?;
        Ok(())
    })?;
    let planned = plan(place, trash, task, original, output, not_kept).and_then(|swap| {
        let marker = users_marker(root, Path::new(&task.path)).doing(|| "looking for the user's markers".to_owned())?;
        let marker = marker.filter(|_| !task.force.iter().any(|reason| reason == reasons::SKIP_MARKER));
        Ok(match (swap, marker) {
            (Some(swap), None) => Ok(swap),
            (_, Some(marker)) => Err(Outcome::Marked(marker)),
            (None, None) => Err(Outcome::SourceChanged { original: None }),
        })
    });
    match planned {
        Ok(Ok(swap)) => {
            if let Err(error) = journal.append("swapping", &Record::Swapping(Box::new(swap.clone()))) {
                let _ = place.folder.unlink(&place.part);
                return Err(error);
            }
            Ok((journal, Ok(swap)))
        }
        other => {
            let removed = place.folder.unlink(&place.part).doing(|| "removing the copy".to_owned());
            let outcome = other?;
            removed.map(|()| (journal, outcome))
        }
    }
}

/// The file at the name, if it is the planned one.
fn open_planned(place: &Place, task: &SettleTask) -> Result<Option<File>, SettleError> {
    let open = || match identity_at(&place.folder, &place.name)? {
        Some(found) if compare(&task.source, &found) != Comparison::Different => {
            place.folder.open_regular(&place.name).map(Some)
        }
        _ => Ok(None),
    };
    open().doing(|| "looking at the original".to_owned())
}

/// Hashes the original and, if it still is the planned one after that, lays down what is swapped.
fn plan(
    place: &Place,
    trash: &Folder,
    task: &SettleTask,
    original: File,
    output: &OutputFile,
    not_kept: Vec<String>,
) -> Result<Option<Swap>, SettleError> {
    let look = |file: &File| identity_of(file).doing(|| "looking at the original".to_owned());
    let before = look(&original)?;
    let again = original.try_clone().doing(|| "holding the original open".to_owned())?;
    let original_sha256 = sha256(original).doing(|| "hashing the original".to_owned())?;
    let after = look(&again)?;
    drop_cache(&again);
    let at_name = identity_at(&place.folder, &place.name).doing(|| "looking at the original".to_owned())?;
    if before != after
        || compare(&task.source, &after) == Comparison::Different
        || at_name.as_ref().is_none_or(|now| compare(now, &after) == Comparison::Different)
    {
        return Ok(None);
    }
    let copy = identity_at(&place.folder, &place.part).doing(|| "looking at the copy".to_owned())?;
    let copy =
        copy.ok_or_else(|| SettleError::Parked(format!("the copy {:?} was replaced by something else", place.part)))?;
    let at = now();
    let retention = SignedDuration::from_secs(i64::try_from(task.settings.trash_retention_seconds).unwrap_or(i64::MAX));
    Ok(Some(Swap {
        method: task.swap,
        original: after,
        original_sha256,
        output: copy,
        output_sha256: output.sha256.clone(),
        trash_name: free_name(trash, task, &place.name)?,
        at: at.to_string(),
        until: at.saturating_add(retention).unwrap_or(Timestamp::MAX).to_string(),
        not_kept,
    }))
}

/// A name in the job's trash folder that is free, with its description's.
fn free_name(trash: &Folder, task: &SettleTask, name: &OsStr) -> Result<String, SettleError> {
    for attempt in 0..MOST_NAMES {
        let candidate = name_in_trash(&task.path, &name.to_string_lossy(), attempt);
        let taken = || {
            Ok(trash.stat(OsStr::new(&candidate))?.is_some()
                || trash.stat(OsStr::new(&format!("{candidate}{SUFFIX}")))?.is_some())
        };
        if !taken().doing(|| "looking for a free name in the trash".to_owned())? {
            return Ok(candidate);
        }
    }
    Err(SettleError::Parked(format!("the job's trash folder holds more than {MOST_NAMES} originals of this file")))
}

/// Path of the original below the library's root.
fn path_in_trash(task: &SettleTask, swap: &Swap) -> String {
    format!("{}/{}/{}/{}", av1_crds::paths::AV1_DIR, av1_crds::paths::TRASH_DIR, task.job.uid, swap.trash_name)
}

/// All names are where they belong: the receipt.
fn finish(
    root: &Root,
    state: &State,
    place: &Place,
    task: &SettleTask,
    swap: &Swap,
    journal: &mut JournalFile,
) -> Result<Outcome, SettleError> {
    record::unmark(place)?;
    journal.append("recording", &Record::Recording)?;
    let result = identity_at(&place.folder, &place.name).doing(|| "looking at the replacement".to_owned())?;
    let mut receipt: Receipt = record::receipt(root, task, &swap.at)?;
    receipt.source = FileIdentity {
        inode: swap.original.inode,
        changed_time_ns: swap.original.changed_time_ns,
        ..task.source.clone()
    };
    receipt.source_sha256 = Some(swap.original_sha256.clone());
    // Another program may have changed the file since: what it made is not our result.
    receipt.result = Some(result.filter(|now| same_content(now, &swap.output)).unwrap_or_else(|| swap.output.clone()));
    receipt.result_sha256 = Some(swap.output_sha256.clone());
    receipt.original = Some(path_in_trash(task, swap));
    receipt.original_until = Some(swap.until.clone());
    receipt.not_kept.extend(swap.not_kept.iter().cloned());
    let receipt = record::write_receipt(state, receipt)?;
    journal.append("cleaning", &Record::Cleaning)?;
    Ok(Outcome::Receipt(Box::new(receipt)))
}
