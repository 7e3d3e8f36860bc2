//! Replaces a file by its verified output: copy, hashes, swap, receipt.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;

use av1_crds::paths::beside_original;
use av1_crds::reasons;
use av1_crds::settings::ReplacementMode;
use av1_crds::wire::{FileIdentity, OutputFile, SettleTask, Wanted};
use av1_media::identity::{Comparison, compare, same_content};
use av1_media::journal::{Record, Swap};
use av1_media::receipt::Receipt;
use av1_media::swap::apart::Old;
use av1_media::trash::{MAX_NAME, TrashEntry};
use jiff::Timestamp;

use super::copy::{drop_cache, place_output, sha256};
use super::error::{Doing, SettleError};
use super::journal::{self, JournalFile};
use super::keep::{self, Keep};
use super::place::{Place, State, identity_at, identity_of};
use super::swap::{Ended, Swapping};
use super::{Outcome, SettleJournal, attributes, record, result};
use crate::beneath::Root;
use crate::facts::users_marker;
use crate::role::now;

/// How often the work begins again when another program takes the copy away.
pub(super) const MOST_STARTS: u32 = 3;

/// Where the output goes, and what becomes of the original.
struct Goal {
    /// Path of the output below the library's root.
    path: String,
    /// Name of the output, when it is not the original's.
    new_name: Option<String>,
    /// What becomes of an original that has another name than the output.
    apart: Option<Old>,
    keep: Keep,
}

impl Goal {
    fn of(state: &State, place: &Place, task: &SettleTask, output: &OutputFile) -> Result<Self, SettleError> {
        let beside = task.settings.replacement_mode == ReplacementMode::Beside;
        let path = if beside {
            let path = beside_original(&task.path, &output.name);
            path.ok_or_else(|| {
                SettleError::Invalid(format!("{:?} has no extension to put another one before", task.path))
            })?
        } else {
            output.target.clone().unwrap_or_else(|| task.path.clone())
        };
        let new_name = (path != task.path).then(|| path.rsplit('/').next().unwrap_or(&path).to_owned());
        if new_name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
            return Err(SettleError::Invalid(format!(
                "the name of {path:?} has more than {MAX_NAME} bytes: give the file a shorter one"
            )));
        }
        let apart = new_name.as_ref().map(|_| if beside { Old::Stays } else { Old::Goes });
        Ok(Self { path, new_name, apart, keep: Keep::of(state, place, task)? })
    }
}

/// Does the work.
pub(super) fn replace(
    root: &Root,
    state: &State,
    place: &Place,
    task: &SettleTask,
    output: &OutputFile,
) -> Result<Outcome, SettleError> {
    let goal = Goal::of(state, place, task, output)?;
    for _ in 0..MOST_STARTS {
        let (journal, swap) = prepare(root, state, place, &goal, task, output)?;
        let swap = match swap {
            Ok(swap) => swap,
            Err(outcome) => return Ok(outcome),
        };
        if let Some(outcome) = carry_out(root, state, place, task, &goal, &swap, journal)? {
            return Ok(outcome);
        }
    }
    Err(SettleError::Parked(format!("the copy beside the file was taken away {MOST_STARTS} times")))
}

/// Does what is left of a swap that was begun; none when nothing is.
pub(super) fn resume(
    root: &Root,
    state: &State,
    place: &Place,
    old: &SettleJournal,
    swap: &Swap,
    output: &OutputFile,
) -> Result<Option<Outcome>, SettleError> {
    let goal = Goal::of(state, place, &old.task, output)?;
    let mut journal = JournalFile::resume(state, &old.task.job.uid, old)?;
    let swap = keep::renewed(&goal.keep.folder, swap, goal.keep.until(&old.task, now()), &mut journal)?;
    carry_out(root, state, place, &old.task, &goal, &swap, journal)
}

/// Takes the swap to its end; none when another program took the copy away before the file was touched.
fn carry_out(
    root: &Root,
    state: &State,
    place: &Place,
    task: &SettleTask,
    goal: &Goal,
    swap: &Swap,
    mut journal: JournalFile,
) -> Result<Option<Outcome>, SettleError> {
    let entry = goal.keep.in_trash.then(|| entry(task, goal, swap));
    let swapping =
        Swapping { place, keep: &goal.keep.folder, swap, apart: goal.apart, home: None, entry: entry.as_ref() };
    match swapping.run(&mut journal) {
        Ok(Ended::Done) => finish(root, state, place, task, goal, swap, &mut journal).map(Some),
        Ok(Ended::Changed { old_is_kept }) => {
            let original = old_is_kept.then(|| goal.keep.path(task, &swap.kept_name));
            Ok(Some(Outcome::SourceChanged { original }))
        }
        Ok(Ended::Taken) => record::target_exists(root, state, task, &goal.path, &swap.at).map(Some),
        Ok(Ended::StartOver) => Ok(None),
        Err(error) => {
            // The first error is the one to tell; what could not be taken back is finished by the next run.
            if swapping.roll_back().unwrap_or(false) {
                let _ = journal::remove(state, &task.job.uid);
            }
            Err(error)
        }
    }
}

/// In a report-only library: the file is looked at once more, and the figures are written down.
pub(super) fn report(
    root: &Root,
    state: &State,
    place: &Place,
    task: &SettleTask,
    output: &OutputFile,
) -> Result<Outcome, SettleError> {
    if open_planned(place, task)?.is_none() {
        return Ok(Outcome::SourceChanged { original: None });
    }
    let mut receipt = record::receipt(root, task, &now().to_string())?;
    receipt.result_sha256 = Some(output.sha256.clone());
    receipt.message = result::would_be(task.source.size, output.size);
    Ok(Outcome::Receipt(Box::new(record::write_receipt(state, receipt)?)))
}

/// Everything before the first name changes. An outcome instead of a swap when the file is not the planned one, or the user
/// marked it meanwhile.
fn prepare(
    root: &Root,
    state: &State,
    place: &Place,
    goal: &Goal,
    task: &SettleTask,
    output: &OutputFile,
) -> Result<(JournalFile, Result<Swap, Outcome>), SettleError> {
    let mut journal = JournalFile::begin(state, &task.job.uid, task)?;
    let Some(original) = open_planned(place, task)? else {
        return Ok((journal, Err(Outcome::SourceChanged { original: None })));
    };
    if let Some(name) = &goal.new_name
        && place.folder.stat(OsStr::new(name)).doing(|| "looking at the new name".to_owned())?.is_some()
    {
        let at = journal.time().to_string();
        return record::target_exists(root, state, task, &goal.path, &at).map(|outcome| (journal, Err(outcome)));
    }
    let before = identity_of(&original).doing(|| "looking at the original".to_owned())?;
    let mut not_kept = Vec::new();
    // The original is hashed while the output is copied: two streams of a disk or a server, and two CPUs where there are.
    let (placed, hashed) = std::thread::scope(|scope| {
        let hashing = scope.spawn(|| original.try_clone().and_then(sha256));
        let placed = place_output(root, place, task, output, |copy| {
            not_kept = attributes::take_over(&original, copy, task.settings.modified_time)?;
            Ok(())
        });
        let hashed = hashing.join().unwrap_or_else(|_| Err(std::io::Error::other("the thread that hashes ended")));
        (placed, hashed.doing(|| "hashing the original".to_owned()))
    });
    placed?;
    let hashed = match hashed {
        Ok(sha256) => Hashed { file: original, before, sha256 },
        Err(error) => {
            // The copy was placed by this very run.
            let _ = place.folder.unlink(&place.part);
            return Err(error);
        }
    };
    let at = journal.time();
    let planned = plan(place, goal, task, hashed, output, not_kept, at).and_then(|swap| {
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
            if let Err(error) = journal.append("swapping", &Record::<()>::Swapping(Box::new(swap.clone()))) {
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

/// The original, and what it was while it was hashed.
struct Hashed {
    file: File,
    before: FileIdentity,
    sha256: String,
}

/// If the original still is the planned one after it was hashed, lays down what is swapped.
fn plan(
    place: &Place,
    goal: &Goal,
    task: &SettleTask,
    original: Hashed,
    output: &OutputFile,
    not_kept: Vec<String>,
    at: Timestamp,
) -> Result<Option<Swap>, SettleError> {
    let after = identity_of(&original.file).doing(|| "looking at the original".to_owned())?;
    drop_cache(&original.file);
    let at_name = identity_at(&place.folder, &place.name).doing(|| "looking at the original".to_owned())?;
    if original.before != after
        || compare(&task.source, &after) == Comparison::Different
        || at_name.as_ref().is_none_or(|now| compare(now, &after) == Comparison::Different)
    {
        return Ok(None);
    }
    let copy = identity_at(&place.folder, &place.part).doing(|| "looking at the copy".to_owned())?;
    let copy =
        copy.ok_or_else(|| SettleError::Parked(format!("the copy {:?} was replaced by something else", place.part)))?;
    Ok(Some(Swap {
        method: task.swap,
        old: after,
        old_sha256: original.sha256,
        new: copy,
        new_sha256: output.sha256.clone(),
        kept_name: goal.keep.free_name(task, place)?,
        new_name: goal.new_name.clone(),
        at: at.to_string(),
        until: goal.keep.until(task, at),
        not_kept,
    }))
}

/// Description of the original in the trash.
fn entry(task: &SettleTask, goal: &Goal, swap: &Swap) -> TrashEntry {
    let replacement_path = goal.new_name.is_some().then(|| goal.path.clone());
    TrashEntry::of(swap, Wanted::Original, task.path.clone(), replacement_path, task.library.clone(), task.job.clone())
}

/// All names are where they belong: the receipt.
fn finish(
    root: &Root,
    state: &State,
    place: &Place,
    task: &SettleTask,
    goal: &Goal,
    swap: &Swap,
    journal: &mut JournalFile,
) -> Result<Outcome, SettleError> {
    if goal.apart != Some(Old::Stays) {
        record::unmark(place)?;
    }
    journal.append("recording", &Record::<()>::Recording)?;
    let result = identity_at(&place.folder, goal.new_name.as_ref().map_or(&place.name, |name| OsStr::new(name)))
        .doing(|| "looking at the replacement".to_owned())?;
    let mut receipt: Receipt = record::receipt(root, task, &swap.at)?;
    receipt.source =
        FileIdentity { inode: swap.old.inode, changed_time_ns: swap.old.changed_time_ns, ..task.source.clone() };
    receipt.source_sha256 = Some(swap.old_sha256.clone());
    // Another program may have changed the file since: what it made is not our result.
    receipt.result = Some(result.filter(|now| same_content(now, &swap.new)).unwrap_or_else(|| swap.new.clone()));
    receipt.result_sha256 = Some(swap.new_sha256.clone());
    receipt.result_path = goal.new_name.is_some().then(|| goal.path.clone());
    if goal.apart != Some(Old::Stays) {
        receipt.original = Some(goal.keep.path(task, &swap.kept_name));
        receipt.original_until = swap.until.clone();
    }
    receipt.not_kept.extend(swap.not_kept.iter().cloned());
    let receipt = record::write_receipt(state, receipt)?;
    journal.append("cleaning", &Record::<()>::Cleaning)?;
    Ok(Outcome::Receipt(Box::new(receipt)))
}
