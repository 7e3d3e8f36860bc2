//! The settle role: the only one that changes the library. It acts on its arguments alone and never parses media.
//!
//! Replaces a file by its verified output, or records why it stays as it is. Every step can be killed: run again, it finishes
//! what was begun or takes it back, with the same result. On any doubt all files are kept and a person is asked.
//! May: write in the file's folder and in `.av1`. Must never: remove the last whole copy of an original, touch a file that
//! another program put at the name, start a program.

mod attributes;
mod claim;
pub(crate) mod cleanup;
mod copy;
mod error;
mod find;
mod journal;
mod keep;
pub(crate) mod mark;
mod place;
pub(crate) mod purge;
mod record;
mod replace;
pub(crate) mod restore;
mod result;
pub(crate) mod sidecars;
mod stills;
mod swap;

use std::ffi::OsStr;

use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::settings::ReplacementMode;
use av1_crds::wire::{EncodeVerdict, LibraryId, OutputFile, SettleResult, SettleTask};
use av1_media::identity::{Comparison, compare};
use av1_media::journal::Journal;
use av1_media::receipt::Receipt;

use crate::beneath::Root;
use crate::role::now;
use crate::role::{PodArgs, RoleFailure};
use crate::volume;
use claim::Who;
use error::{Doing, SettleError};
use place::{Place, State, identity_at};

type SettleJournal = Journal<SettleTask>;

/// What became of a file.
enum Outcome {
    /// Settled, with this receipt.
    Receipt(Box<Receipt>),
    /// The file is not the planned one. Where the original is when it was out already.
    SourceChanged { original: Option<String> },
    /// The user made this marker during the encode: nothing was touched.
    Marked(String),
}

/// Settles one file.
pub(crate) fn run(task: &SettleTask, args: &PodArgs) -> Result<SettleResult, RoleFailure> {
    #[cfg(feature = "failpoints")]
    let _points = crate::failpoint::setup();
    validate(task, &args.pod_uid)?;
    let (root, state) = open(args, &task.volume_id, &task.library)?;
    let swapping = || read_journal(&state, task).map_or(true, |journal| journal.is_some_and(|j| j.swap.is_some()));
    let who = Who { path: &task.path, job: &task.job.uid, run: task.job.run, takeover_from: &task.takeover_from };
    let claim = claim::take(&state, who, &args.pod_uid).map_err(|error| error.failure(swapping()))?;
    let settled = settle(&root, &state, task);
    // A job whose names may be half changed keeps its claim: only its own next pod may go on.
    let keep = settled.is_err() && swapping();
    if !keep && let Err(error) = claim.release(&state) {
        tracing::warn!("the claim on the path could not be removed ({error}); the operator's next pod takes it over");
    }
    settled.map_err(|error| error.failure(keep))
}

/// The library and our own folders in it, when the volume is the one that was prepared for this library.
fn open(args: &PodArgs, volume_id: &str, library: &LibraryId) -> Result<(Root, State), RoleFailure> {
    let root = Root::open(&args.library).doing(|| format!("opening the library {}", args.library.display()))?;
    volume::check(&root, volume_id, library)?;
    let state = State::open(&root)?;
    Ok((root, state))
}

/// Refuses what would reach outside the library, or into what is ours.
fn validate(task: &SettleTask, pod: &str) -> Result<(), SettleError> {
    let invalid = |why: String| Err(SettleError::Invalid(why));
    validate_uids(&[&task.job.uid], pod, &task.takeover_from)?;
    validate_path(&task.path)?;
    match (&task.output, task.verdict) {
        (None, EncodeVerdict::Encoded) => invalid("the task says Encoded but names no output".to_owned()),
        (Some(output), EncodeVerdict::Encoded) if output.sha256.len() != 64 => {
            invalid("the output's SHA-256 is not one".to_owned())
        }
        (Some(OutputFile { target: Some(target), .. }), _) if !is_in_other_container(&task.path, target) => {
            invalid(format!("{target:?} is not the path of {:?} in another container", task.path))
        }
        _ => Ok(()),
    }
}

/// Whether a path is that of the same file in another container, as the encode may name it.
fn is_in_other_container(path: &str, target: &str) -> bool {
    let extension = target.rsplit_once('.').map(|(_, extension)| extension);
    let plain = |e: &&str| (1..=5).contains(&e.len()) && e.bytes().all(|b| b.is_ascii_alphanumeric());
    extension.filter(plain).and_then(|e| paths::in_other_container(path, e)).is_some_and(|other| other == target)
        && path != target
}

/// Refuses what could not be part of a file's name.
fn validate_uids(jobs: &[&str], pod: &str, takeover_from: &[String]) -> Result<(), SettleError> {
    let pods = std::iter::once(pod).chain(takeover_from.iter().map(String::as_str)).map(|uid| ("pod", uid));
    for (what, uid) in jobs.iter().map(|uid| ("job", *uid)).chain(pods) {
        if uid.is_empty() || uid.len() > 64 || !uid.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            return Err(SettleError::Invalid(format!("{uid:?} is not the UID of a {what}")));
        }
    }
    Ok(())
}

/// Refuses what is not a plain path below the library's root, and what is ours.
fn validate_path(path: &str) -> Result<(), SettleError> {
    if path.contains('\0')
        || path.split('/').any(|part| part.is_empty() || part == "." || part == ".." || part == paths::AV1_DIR)
    {
        return Err(SettleError::Invalid(format!("{path:?} is not the path of a library's file")));
    }
    Ok(())
}

/// What an earlier run of the job wrote, if any.
fn read_journal(state: &State, task: &SettleTask) -> Result<Option<SettleJournal>, SettleError> {
    journal::read(state, &task.job.uid)
}

/// Under the claim: goes on where an earlier run ended, or begins.
fn settle(root: &Root, state: &State, task: &SettleTask) -> Result<SettleResult, SettleError> {
    let (receipts, _) = record::receipts(state, &task.path)?;
    let has_receipt =
        |task: &SettleTask| receipts.entries.iter().find(|r| r.job.uid == task.job.uid && r.job.run == task.job.run);
    let mut earlier = read_journal(state, task)?;
    if let Some(old) = earlier.take_if(|journal| journal.task.job.run != task.job.run) {
        // An earlier run of the job ended in the middle: its names come first.
        if old.swap.is_some() && has_receipt(&old.task).is_none() {
            let old_task = old.task.clone();
            decide(root, state, &old_task, Some(old))?;
        }
        journal::remove(state, &task.job.uid)?;
    }
    let outcome = match has_receipt(task) {
        Some(receipt) => Outcome::Receipt(Box::new(receipt.clone())),
        None => decide(root, state, task, earlier)?,
    };
    let left = clean(root, state, task, matches!(outcome, Outcome::Receipt(_)))?;
    Ok(match outcome {
        Outcome::Receipt(receipt) => result::settled(&receipt, left),
        Outcome::SourceChanged { original } => result::changed(task, original, left),
        Outcome::Marked(marker) => result::marked(task, &marker, left),
    })
}

/// Does what the verdict asks for.
fn decide(
    root: &Root,
    state: &State,
    task: &SettleTask,
    earlier: Option<SettleJournal>,
) -> Result<Outcome, SettleError> {
    let swapping = earlier.as_ref().is_some_and(|journal| journal.swap.is_some());
    let Some(place) = Place::open(root, &task.path, &task.job.uid)? else {
        if swapping {
            return Err(SettleError::Parked(format!(
                "the folder of {:?} is gone in the middle of a swap: original and output are where the folder went, as {:?} or .av1-{}.*",
                task.path, task.path, task.job.uid
            )));
        }
        return Ok(Outcome::SourceChanged { original: None });
    };
    if let (EncodeVerdict::Encoded, Some(output)) = (task.verdict, &task.output) {
        return match task.settings.replacement_mode {
            ReplacementMode::ReportOnly => replace::report(root, state, &place, task, output),
            ReplacementMode::Replace | ReplacementMode::Beside => {
                replace::replace(root, state, &place, task, output, earlier)
            }
        };
    }
    let found = identity_at(&place.folder, &place.name).doing(|| "looking at the file".to_owned())?;
    // A job that was cancelled before it began is about the file that is there.
    let any = task.reason == reasons::CANCELLED_BY_USER && task.source.fingerprint.is_empty();
    let known = found.clone().filter(|_| any).map(|source| SettleTask { source, ..task.clone() });
    let task = known.as_ref().unwrap_or(task);
    if found.is_none_or(|found| compare(&task.source, &found) == Comparison::Different) {
        return Ok(Outcome::SourceChanged { original: None });
    }
    let at = now().to_string();
    let not_written = record::mark(&place, task, &at)?;
    let mut receipt = record::receipt(root, task, &at)?;
    receipt.not_kept.extend(not_written);
    Ok(Outcome::Receipt(Box::new(record::write_receipt(state, receipt)?)))
}

/// Removes what the job no longer needs, but for the stills of a file that has a receipt; returns words about what could not go, or
/// not be kept. The journal goes last.
fn clean(root: &Root, state: &State, task: &SettleTask, keep_stills: bool) -> Result<Vec<String>, SettleError> {
    remove_empty_trash(state, &task.job.uid);
    let mut left = Vec::new();
    if keep_stills && let Err(error) = stills::keep(root, task) {
        tracing::warn!("the stills could not be kept: {error}");
        left.push(format!("the stills: {error}"));
    }
    if let Err(error) = cleanup::remove_work(root, &task.job.uid) {
        tracing::warn!("the job's work folder could not be removed: {error}");
        left.push(format!("the work folder .av1/work/{}: {error}", task.job.uid));
    }
    journal::remove(state, &task.job.uid)?;
    Ok(left)
}

/// A trash folder in which nothing was put does not stay.
fn remove_empty_trash(state: &State, job_uid: &str) {
    // It stays when it holds an original, and an empty one left behind harms nobody.
    let _ = state.trash.remove_folder(OsStr::new(job_uid));
}

#[cfg(test)]
mod tests {
    use av1_crds::library::SwapMethod;
    use av1_crds::settings::Settings;
    use av1_crds::wire::{FileIdentity, JobId, LibraryId, SettleVerdict, VolumeFile};
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PodArgs,
    }

    #[test]
    fn a_job_that_was_cancelled_before_it_began_is_noted_for_the_file_that_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let library = LibraryId { namespace: "n".into(), name: "films".into(), uid: "l".into(), cluster: "c".into() };
        let own = dir.path().join(paths::AV1_DIR);
        for below in [paths::CLAIMS_DIR, paths::JOURNAL_DIR, paths::RECEIPTS_DIR, paths::TRASH_DIR, paths::WORK_DIR] {
            std::fs::create_dir_all(own.join(below)).unwrap();
        }
        let volume = VolumeFile { id: "v".into(), owner: library.clone(), layout: 1 };
        std::fs::write(own.join(paths::VOLUME_FILE), serde_json::to_vec(&volume).unwrap()).unwrap();
        std::fs::write(dir.path().join("a.mkv"), "a film").unwrap();
        let mut task = SettleTask {
            library,
            job: JobId { name: "j".into(), uid: "job".into(), run: 1 },
            volume_id: "v".into(),
            path: "a.mkv".into(),
            source: FileIdentity::default(),
            verdict: EncodeVerdict::Skipped,
            reason: reasons::CANCELLED_BY_USER.into(),
            message: "m".into(),
            output: None,
            report_sha256: None,
            size_gate: None,
            settings: Settings::resolve(&[]).unwrap(),
            force: Vec::new(),
            swap: SwapMethod::Exchange,
            takeover_from: Vec::new(),
        };
        let line = ["x", "--task", "", "--pod-uid", "pod", "--library", dir.path().to_str().unwrap()];
        let args = Line::parse_from(line).args;
        assert_eq!(run(&task, &args).unwrap().verdict, SettleVerdict::Recorded);
        let receipts =
            std::fs::read(own.join(paths::RECEIPTS_DIR).join(av1_media::receipt::file_name("a.mkv"))).unwrap();
        let newest = av1_media::receipt::Receipts::parse(&receipts).unwrap().entries.remove(0);
        assert_eq!((newest.reason.as_str(), newest.source.size), (reasons::CANCELLED_BY_USER, 6));
        assert!(!newest.source.fingerprint.is_empty());
        assert_eq!(std::fs::read(dir.path().join("a.mkv")).unwrap(), b"a film");
        task.job.run = 2;
        task.reason = reasons::SKIPPED_BEFORE.into();
        assert_eq!(run(&task, &args).unwrap().verdict, SettleVerdict::SourceChanged, "of no other verdict");
    }
}
