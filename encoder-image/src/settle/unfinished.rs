//! What earlier orders of a job began and did not end. A swap is taken to its end as its own order said, whatever is asked for now:
//! its journal alone tells where the files are. Of a job that does not exist any more the rest is tidied up too.
//!
//! May: what settling and restoring may, for the files of one job. Must never: begin what was not begun.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use av1_crds::paths::{AV1_DIR, CLAIMS_DIR, JOURNAL_DIR};
use av1_crds::wire::{SettleResult, SettleTask, SettleVerdict};
use av1_media::journal::Swap;
use jiff::Timestamp;

use super::claim::{self, Who};
use super::copy::clear_part;
use super::error::SettleError;
use super::place::{Place, State};
use super::{Outcome, SettleJournal, clean, finish_swap, is_of, journal, record, remove_empty_trash, restore, result};
use crate::beneath::Root;
use crate::role::RoleFailure;

/// Seconds without a word in a journal or a claim after which it is nobody's, if its job does not exist any more: a pod that nobody
/// knows of, on a node that is silent or in a cluster that is gone, may hash a large file for hours.
const SILENT: i64 = 24 * 3_600;
/// Most characters of what is told of a swap.
const MOST_TOLD: usize = 300;

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

/// Jobs with a journal or a claim, by UID, and when the last of these was written to, in seconds since 1970; purges are one job.
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

/// Whether what was written last at `changed` is nobody's when it is `now`, both in seconds since 1970 and by the file system's clock.
pub(crate) fn is_silent(changed: i64, now: i64) -> bool {
    now - changed >= SILENT
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
    claim.let_go(of.state);
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
/// it. Its claims go. A sentence when that can't be done; nothing is, before a day has passed since its pods wrote last, by the
/// server's clock.
pub(super) fn of_a_deleted_job(of: Of<'_>, server: Timestamp) -> Result<Vec<String>, String> {
    let told = |failed: RoleFailure| failed.failure.message;
    let own = claim::pods_of(of.state, of.job).map_err(|error| error.to_string())?;
    // What an earlier run of the same purge wrote is no sign of life.
    let is_taken_over = own.iter().any(|pod| of.takeover_from.contains(pod));
    let written = unfinished(of.root).map_err(|error| format!("looking at its journal: {error}"))?.remove(of.job);
    if !is_taken_over && written.is_some_and(|changed| !is_silent(changed, server.as_second())) {
        return Err("a pod of it wrote its journal or claim less than a day ago".to_owned());
    }
    let pods = [own, of.takeover_from.to_vec()].concat();
    end_all(Of { takeover_from: &pods, ..of }).map_err(told)
}

fn end_all(of: Of<'_>) -> Result<Vec<String>, RoleFailure> {
    let old: Option<SettleJournal> = journal::read(of.state, of.job)?;
    let mut told = Vec::new();
    if let Some(result) = settling(of)? {
        let path = old.as_ref().map_or("", |old| &old.task.path);
        let kept = result.original.filter(|_| result.verdict == SettleVerdict::SourceChanged);
        let kept = kept.map(|original| format!(" ({original})")).unwrap_or_default();
        told.push(format!("{path}: {}{kept}", result.message));
    }
    if let Some(result) = restore::unfinished(of)? {
        told.push(format!("{}: {}", result.path, result.message));
    }
    if let Some(old) = old.filter(|old| old.swap.is_none()) {
        discard(of, &old.task)?;
    }
    journal::remove(of.state, of.job)?;
    journal::remove(of.state, &journal::restoring(of.job))?;
    claim::forget_job(of.state, of.job)?;
    let short = |what: String| what.chars().filter(|c| !c.is_control()).take(MOST_TOLD).collect();
    Ok(told.into_iter().map(short).collect())
}

/// Removes the copy that was laid beside the file before any name changed.
fn discard(of: Of<'_>, task: &SettleTask) -> Result<(), SettleError> {
    let who = Who { path: &task.path, job: of.job, run: task.job.run, takeover_from: of.takeover_from };
    let claim = claim::take(of.state, who, of.pod)?;
    let cleared = match Place::open(of.root, &task.path, of.job) {
        Ok(place) => place.map_or(Ok(()), |place| clear_part(&place, task)),
        Err(error) => Err(error),
    };
    remove_empty_trash(of.state, of.job);
    claim.let_go(of.state);
    cleared
}
