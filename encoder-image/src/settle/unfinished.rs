//! What earlier orders of a job began and did not end. A swap is taken to its end as its own order said, whatever is asked for now:
//! its journal alone tells where the files are. Of a job that does not exist any more the rest is tidied up too.
//!
//! May: what settling and restoring may, for the files of one job. Must never: begin what was
//! not begun.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use av1_crds::paths::{AV1_DIR, CLAIMS_DIR, JOURNAL_DIR};
use av1_crds::wire::{SettleResult, SettleTask};
use av1_media::journal::Swap;

use super::claim::{self, Who};
use super::copy::clear_part;
use super::error::SettleError;
use super::place::{Place, State};
use super::{Outcome, SettleJournal, clean, finish_swap, is_of, journal, record, remove_empty_trash, restore, result};
use crate::beneath::Root;
use crate::role::RoleFailure;

/// A job, and the pod that ends what it began.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub(super) root: &'a Root,
    pub(super) state: &'a State,
    /// UID of the job.
    pub(super) job: &'a str,
    /// UID of the pod.
    pub(super) pod: &'a str,
    /// UIDs of the job's pods that were seen to end.
    pub(super) takeover_from: &'a [String],
}

/// Jobs with a journal or a claim, by UID, and when the last of these was written to, in seconds since 1970.
///
/// # Errors
/// When it cannot be looked through.
pub(crate) fn unfinished(root: &Root) -> io::Result<BTreeMap<String, i64>> {
    let mut jobs = BTreeMap::new();
    for (below, is_claims) in [(JOURNAL_DIR, false), (CLAIMS_DIR, true)] {
        let folder = root.open_folder(&Path::new(AV1_DIR).join(below))?;
        for name in folder.names()? {
            let job = if is_claims { claim::job_of(&folder, &name) } else { journal::job_of(&name) };
            let (Some(job), Some(stat)) = (job, folder.stat(&name)?) else { continue };
            let changed: &mut i64 = jobs.entry(job).or_insert(stat.st_mtime);
            *changed = stat.st_mtime.max(*changed);
        }
    }
    Ok(jobs)
}

/// Ends the swap that the job's settling began; none when it had begun none, or nothing of it was left.
pub(super) fn settling(of: Of<'_>) -> Result<Option<SettleResult>, SettleError> {
    let old: Option<SettleJournal> = journal::read(of.state, of.job)?;
    let Some((old, swap)) = old.as_ref().and_then(|old| Some((old, old.swap.as_ref()?))) else { return Ok(None) };
    let task = &old.task;
    let who = Who { path: &task.path, job: of.job, run: task.job.run, takeover_from: of.takeover_from };
    let claim = claim::take(of.state, who, of.pod)?;
    // The claim stays after an error: names may be half changed.
    let ended = end(of, old, swap)?;
    if let Err(error) = claim.release(of.state) {
        tracing::warn!("the claim on {:?} could not be removed: {error}", task.path);
    }
    Ok(ended)
}

/// Under the claim.
fn end(of: Of<'_>, old: &SettleJournal, swap: &Swap) -> Result<Option<SettleResult>, SettleError> {
    let (root, state, task) = (of.root, of.state, &old.task);
    let (receipts, _) = record::receipts(state, &task.path)?;
    let outcome = match receipts.entries.iter().find(|receipt| is_of(receipt, task)) {
        Some(receipt) => Some(Outcome::Receipt(Box::new(receipt.clone()))),
        None => finish_swap(root, state, old, swap)?,
    };
    let Some(outcome) = outcome else {
        remove_empty_trash(state, of.job);
        return journal::remove(state, of.job).map(|()| None);
    };
    let left = clean(root, state, task, matches!(outcome, Outcome::Receipt(_)))?;
    Ok(Some(result::of(task, outcome, left)))
}

/// Ends everything that a job began which does not exist any more and none of whose pods runs; says of each swap what became of
/// it. Its claims go.
pub(super) fn of_a_deleted_job(of: Of<'_>) -> Result<Vec<String>, RoleFailure> {
    let pods = [claim::pods_of(of.state, of.job)?, of.takeover_from.to_vec()].concat();
    let of = Of { takeover_from: &pods, ..of };
    let old: Option<SettleJournal> = journal::read(of.state, of.job)?;
    let mut told = Vec::new();
    if let Some(result) = settling(of)? {
        let path = old.as_ref().map_or("", |old| &old.task.path);
        told.push(format!("{path}: {}", result.message));
    }
    if let Some(result) = restore::unfinished(of)? {
        told.push(format!("{}: {}", result.path, result.message));
    }
    if let Some(old) = old.filter(|old| old.swap.is_none()) {
        discard(of, &old.task)?;
    }
    journal::remove(of.state, of.job)?;
    journal::remove(of.state, &journal::restoring(of.job))?;
    claim::forget_others(of.state, None, of.takeover_from)?;
    Ok(told)
}

/// Removes the copy that was laid beside the file before any name changed.
fn discard(of: Of<'_>, task: &SettleTask) -> Result<(), SettleError> {
    let who = Who { path: &task.path, job: of.job, run: task.job.run, takeover_from: of.takeover_from };
    let claim = claim::take(of.state, who, of.pod)?;
    if let Some(place) = Place::open(of.root, &task.path, of.job)? {
        clear_part(&place, task)?;
    }
    remove_empty_trash(of.state, of.job);
    if let Err(error) = claim.release(of.state) {
        tracing::warn!("the claim on {:?} could not be removed: {error}", task.path);
    }
    Ok(())
}
