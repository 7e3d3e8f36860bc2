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
pub(crate) mod unfinished;

use std::ffi::OsStr;

use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::settings::ReplacementMode;
use av1_crds::wire::{EncodeVerdict, LibraryId, OutputFile, SettleResult, SettleTask};
use av1_media::identity::{Comparison, compare};
use av1_media::journal::{Journal, Swap};
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
    /// Nobody asked for the file to be encoded again after the user wished this, by a receipt: nothing was touched.
    Wished(Box<Receipt>),
}

/// Settles one file.
pub(crate) fn run(task: &SettleTask, args: &PodArgs) -> Result<SettleResult, RoleFailure> {
    #[cfg(feature = "failpoints")]
    let _points = crate::failpoint::setup();
    validate(task, &args.pod_uid)?;
    let (root, state) = open(args, &task.volume_id, &task.library)?;
    let (job, pod, takeover_from) = (&task.job.uid, &args.pod_uid, task.takeover_from.as_slice());
    restore::unfinished(unfinished::Of { root: &root, state: &state, job, pod, takeover_from })?;
    claim::forget_others(&state, Some(&task.path), takeover_from)?;
    let swapping = || read_journal(&state, task).map_or(true, |journal| journal.is_some_and(|j| j.swap.is_some()));
    let who = Who { path: &task.path, job, run: task.job.run, takeover_from };
    let claim = claim::take_or_tell(&state, who, pod, true)?;
    let settled = settle(&root, &state, task);
    // A job whose names may be half changed keeps its claim: only its own next pod may go on.
    let keep = settled.is_err() && swapping();
    let settled = settled.map_err(|error| if keep { error.failure(true) } else { give_up(&root, &state, task, error) });
    if keep {
        return settled;
    }
    let released = claim.let_go(&state);
    settled.map_err(|failed| failed.released(released))
}

/// What the operator is told of an error before any name changed. One that stays is written down where that can be done, so that
/// the file is not encoded again for nothing; a spoiled output is no fault of the file. The journal goes: it tells of no swap.
fn give_up(root: &Root, state: &State, task: &SettleTask, error: SettleError) -> RoleFailure {
    let again = matches!(error, SettleError::BadOutput(_));
    let mut told = error.failure(false);
    if told.failure.retryable {
        return told;
    }
    let recorded = if again { Ok(()) } else { record::failed(root, state, task, &told.failure) };
    if let Err(error) = recorded.and_then(|()| journal::remove(state, &task.job.uid)) {
        tracing::warn!("the failure could not be written down: {error}");
        told.failure.retryable = true;
    }
    remove_empty_trash(state, &task.job.uid);
    told
}

/// Whether the names of a job's file may be half changed: what settles it has not ended, or it cannot be told.
pub(crate) fn is_swapping(root: &Root, job_uid: &str) -> bool {
    let open = || journal::is_open(&State::open(root)?, job_uid);
    open().unwrap_or(true)
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
        if !paths::is_uid(uid) {
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

/// Under the claim: goes on where an earlier run ended, or begins. A swap that was begun comes first, whatever is asked for now:
/// its journal alone tells where the original is.
fn settle(root: &Root, state: &State, task: &SettleTask) -> Result<SettleResult, SettleError> {
    let (receipts, _) = record::receipts(state, &task.path)?;
    let receipt_of = |task: &SettleTask| receipts.entries.iter().find(|receipt| is_of(receipt, task)).cloned();
    let mut outcome = receipt_of(task).map(|receipt| Outcome::Receipt(Box::new(receipt)));
    if let Some(old) = read_journal(state, task)? {
        let ended = match &old.swap {
            Some(swap) if receipt_of(&old.task).is_none() => finish_swap(root, state, &old, swap)?,
            _ => None,
        };
        if old.task.job.run == task.job.run {
            outcome = ended.or(outcome);
        }
        if outcome.is_none() {
            journal::remove(state, &task.job.uid)?;
        }
    }
    let outcome = match outcome {
        Some(outcome) => outcome,
        None => match record::wish(&receipts, task) {
            Some(receipt) => Outcome::Wished(Box::new(receipt.clone())),
            None => decide(root, state, task)?,
        },
    };
    let left = clean(root, state, task, matches!(outcome, Outcome::Receipt(_)))?;
    Ok(result::of(task, outcome, left))
}

/// Whether a receipt says what became of the task: it is of the same run, and tells more of an output than that it could not be
/// brought to its place.
fn is_of(receipt: &Receipt, task: &SettleTask) -> bool {
    receipt.job.uid == task.job.uid
        && receipt.job.run == task.job.run
        && (receipt.verdict == task.verdict
            || receipt.verdict != EncodeVerdict::Failed
            || receipt.reason == reasons::TARGET_EXISTS)
}

/// Brings a swap that was begun to its end by the order that began it; none when nothing is left of it.
fn finish_swap(root: &Root, state: &State, old: &SettleJournal, swap: &Swap) -> Result<Option<Outcome>, SettleError> {
    let task = &old.task;
    let Some(place) = Place::open(root, &task.path, &task.job.uid)? else {
        return Err(SettleError::Parked(format!(
            "the folder of {:?} is gone in the middle of a swap: original and output are where the folder went, as {:?} or .av1-{}.*",
            task.path, task.path, task.job.uid
        )));
    };
    let Some(output) = &task.output else {
        return Err(SettleError::Parked("the journal tells of a swap, but of no output".to_owned()));
    };
    replace::resume(root, state, &place, old, swap, output)
}

/// Does what the verdict asks for.
fn decide(root: &Root, state: &State, task: &SettleTask) -> Result<Outcome, SettleError> {
    let Some(place) = Place::open(root, &task.path, &task.job.uid)? else {
        return Ok(Outcome::SourceChanged { original: None });
    };
    if let (EncodeVerdict::Encoded, Some(output)) = (task.verdict, &task.output) {
        return match task.settings.replacement_mode {
            ReplacementMode::ReportOnly => replace::report(root, state, &place, task, output),
            ReplacementMode::Replace | ReplacementMode::Beside => replace::replace(root, state, &place, task, output),
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
    use av1_media::journal::Record;
    use clap::Parser;
    use sha2::{Digest, Sha256};
    use std::path::Path;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: PodArgs,
    }

    /// A prepared library with one film, and a task that leaves it as it is.
    fn library() -> (tempfile::TempDir, SettleTask, PodArgs) {
        let dir = tempfile::tempdir().unwrap();
        let library = LibraryId { namespace: "n".into(), name: "films".into(), uid: "l".into(), cluster: "c".into() };
        let own = dir.path().join(paths::AV1_DIR);
        for below in [paths::CLAIMS_DIR, paths::JOURNAL_DIR, paths::RECEIPTS_DIR, paths::TRASH_DIR, paths::WORK_DIR] {
            std::fs::create_dir_all(own.join(below)).unwrap();
        }
        let volume = VolumeFile { id: "v".into(), owner: library.clone(), layout: 1 };
        std::fs::write(own.join(paths::VOLUME_FILE), serde_json::to_vec(&volume).unwrap()).unwrap();
        std::fs::write(dir.path().join("a.mkv"), "a film").unwrap();
        let task = SettleTask {
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
            offered: false,
            swap: SwapMethod::Exchange,
            takeover_from: Vec::new(),
        };
        let line = ["x", "--task", "", "--pod-uid", "pod", "--library", dir.path().to_str().unwrap()];
        let args = Line::parse_from(line).args;
        (dir, task, args)
    }

    fn newest_receipt(dir: &Path) -> Receipt {
        let file = dir.join(paths::AV1_DIR).join(paths::RECEIPTS_DIR).join(av1_media::receipt::file_name("a.mkv"));
        av1_media::receipt::Receipts::parse(&std::fs::read(file).unwrap()).unwrap().entries.remove(0)
    }

    #[test]
    fn a_job_that_was_cancelled_before_it_began_is_noted_for_the_file_that_is_there() {
        let (dir, mut task, args) = library();
        assert_eq!(run(&task, &args).unwrap().verdict, SettleVerdict::Recorded);
        let newest = newest_receipt(dir.path());
        assert_eq!((newest.reason.as_str(), newest.source.size), (reasons::CANCELLED_BY_USER, 6));
        assert!(!newest.source.fingerprint.is_empty());
        assert_eq!(std::fs::read(dir.path().join("a.mkv")).unwrap(), b"a film");
        task.job.run = 2;
        task.reason = reasons::SKIPPED_BEFORE.into();
        assert_eq!(run(&task, &args).unwrap().verdict, SettleVerdict::SourceChanged, "of no other verdict");
        // What a scan offered all the same, because it could not read the receipt, is not replaced.
        let output = OutputFile { name: "out.mkv".into(), size: 3, sha256: "0".repeat(64), target: None };
        let mut unaware = SettleTask { verdict: EncodeVerdict::Encoded, output: Some(output), offered: true, ..task };
        (unaware.source, unaware.job) = (newest.source, JobId { uid: "other".into(), ..unaware.job });
        let refused = run(&unaware, &args).unwrap();
        assert_eq!(refused.verdict, SettleVerdict::SourceChanged);
        assert!(refused.message.contains("as the user wished"), "{}", refused.message);
        for asked in [
            SettleTask { offered: false, ..unaware.clone() },
            SettleTask { force: vec![reasons::CANCELLED_BY_USER.into()], ..unaware.clone() },
        ] {
            assert!(run(&asked, &args).is_err(), "it goes on, to find that there is no output");
        }
    }

    fn hash(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// The film's encode, verified and in the work folder.
    fn encoded(dir: &Path, task: &SettleTask) -> SettleTask {
        let work = dir.join(paths::AV1_DIR).join(paths::WORK_DIR).join("job/1");
        std::fs::create_dir_all(&work).unwrap();
        std::fs::write(work.join("out.mkv"), "AV1").unwrap();
        let output = OutputFile { name: "out.mkv".into(), size: 3, sha256: hash(b"AV1"), target: None };
        SettleTask {
            source: identity_at(Root::open(dir).unwrap().folder(), OsStr::new("a.mkv")).unwrap().unwrap(),
            verdict: EncodeVerdict::Encoded,
            reason: reasons::ENCODED.into(),
            output: Some(output),
            ..task.clone()
        }
    }

    /// Leaves what a pod leaves that is killed in the middle of a swap: the journal, and the names half changed.
    fn cut_off(dir: &Path, task: &SettleTask, method: SwapMethod, steps: impl Fn(&dyn Fn(&str, &str))) {
        let (part, root) = (dir.join(".av1-job.part"), Root::open(dir).unwrap());
        std::fs::write(&part, "AV1").unwrap();
        let state = State::open(&root).unwrap();
        let mut journal = journal::JournalFile::begin(&state, "job", task).unwrap();
        let swap = Swap {
            method,
            old: task.source.clone(),
            old_sha256: hash(b"a film"),
            new: identity_at(root.folder(), OsStr::new(".av1-job.part")).unwrap().unwrap(),
            new_sha256: hash(b"AV1"),
            kept_name: "a.mkv".into(),
            new_name: None,
            at: now().to_string(),
            until: Some(now().to_string()),
            not_kept: Vec::new(),
        };
        journal.append("swapping", &Record::<()>::Swapping(Box::new(swap))).unwrap();
        steps(&|from, to| std::fs::rename(dir.join(from), dir.join(to)).unwrap());
    }

    #[test]
    fn a_swap_that_was_begun_is_finished_whatever_is_asked_for_next() {
        let of_new_file = |dir: &Path| identity_at(Root::open(dir).unwrap().folder(), OsStr::new("a.mkv")).unwrap();
        for method in [SwapMethod::Exchange, SwapMethod::TwoRenames] {
            for (verdict, reason, run_of_next) in [
                (EncodeVerdict::Failed, reasons::TOO_MANY_FAILURES, 1),
                (EncodeVerdict::Skipped, reasons::ALREADY_AV1, 1),
                (EncodeVerdict::Skipped, reasons::ALREADY_AV1, 2),
            ] {
                let (dir, task, args) = library();
                let order = SettleTask { swap: method, ..encoded(dir.path(), &task) };
                cut_off(dir.path(), &order, method, |rename| match method {
                    SwapMethod::TwoRenames => rename("a.mkv", ".av1-job.orig"),
                    _ => {
                        rename("a.mkv", "x");
                        rename(".av1-job.part", "a.mkv");
                        rename("x", ".av1-job.part");
                    }
                });
                let source = of_new_file(dir.path()).unwrap_or_else(|| order.source.clone());
                let mut next =
                    SettleTask { verdict, reason: reason.into(), output: None, source, swap: method, ..order.clone() };
                next.job.run = run_of_next;
                let told = format!("{method:?} {verdict:?} {run_of_next}");
                let result = run(&next, &args).unwrap();
                assert!(run_of_next == 2 || result.verdict == SettleVerdict::Replaced, "{told}: {result:?}");
                assert_eq!(std::fs::read(dir.path().join("a.mkv")).unwrap(), b"AV1", "{told}");
                let kept = dir.path().join(paths::AV1_DIR).join(paths::TRASH_DIR).join("job");
                assert_eq!(std::fs::read(kept.join("a.mkv")).unwrap(), b"a film", "{told}");
                assert!(kept.join("a.mkv.json").exists(), "{told}");
                assert!(!dir.path().join(".av1-job.part").exists() && !dir.path().join(".av1-job.orig").exists());
                if run_of_next == 1 {
                    let receipt = newest_receipt(dir.path());
                    assert_eq!((receipt.verdict, receipt.original.is_some()), (EncodeVerdict::Encoded, true), "{told}");
                    assert_eq!(run(&next, &args).unwrap(), result, "{told}: once more");
                }
            }
        }
    }

    #[test]
    fn a_swap_of_which_nothing_is_left_leaves_the_file_to_what_is_asked_for_next() {
        let (dir, task, args) = library();
        let order = encoded(dir.path(), &task);
        cut_off(dir.path(), &order, SwapMethod::Exchange, |rename| rename(".av1-job.part", "gone"));
        let next = SettleTask { verdict: EncodeVerdict::Failed, reason: "Stalled".into(), output: None, ..order };
        assert_eq!(run(&next, &args).unwrap().verdict, SettleVerdict::Recorded);
        assert_eq!(newest_receipt(dir.path()).verdict, EncodeVerdict::Failed);
        assert_eq!(std::fs::read(dir.path().join("a.mkv")).unwrap(), b"a film");
    }

    #[test]
    fn a_failure_that_stays_has_a_receipt_and_no_journal_and_the_same_order_may_succeed_later() {
        let (dir, task, args) = library();
        let order = SettleTask { swap: SwapMethod::TwoRenames, ..encoded(dir.path(), &task) };
        let part = dir.path().join(".av1-job.part");
        std::fs::write(&part, "a film").unwrap();
        let failure = run(&order, &args).unwrap_err().failure;
        assert!(!failure.retryable, "{failure:?}");
        let receipt = newest_receipt(dir.path());
        assert_eq!(
            (receipt.verdict, receipt.reason, receipt.message),
            (EncodeVerdict::Failed, failure.reason, failure.message)
        );
        let root = Root::open(dir.path()).unwrap();
        assert!(!is_swapping(&root, "job"));
        let journals = dir.path().join(paths::AV1_DIR).join(paths::JOURNAL_DIR);
        assert_eq!(std::fs::read_dir(&journals).unwrap().count(), 0);
        std::fs::remove_file(part).unwrap();
        assert_eq!(run(&order, &args).unwrap().verdict, SettleVerdict::Replaced);
        assert_eq!(newest_receipt(dir.path()).verdict, EncodeVerdict::Encoded);
    }

    #[test]
    fn a_spoiled_output_is_told_as_such_and_no_receipt_keeps_the_file_from_another_encode() {
        let (dir, task, args) = library();
        let order = encoded(dir.path(), &task);
        std::fs::write(dir.path().join(paths::AV1_DIR).join(paths::WORK_DIR).join("job/1/out.mkv"), "AV2").unwrap();
        let failure = run(&order, &args).unwrap_err().failure;
        assert_eq!((failure.reason.as_str(), failure.retryable), (reasons::BAD_OUTPUT, false));
        let receipts = dir.path().join(paths::AV1_DIR).join(paths::RECEIPTS_DIR);
        assert_eq!(std::fs::read_dir(receipts).unwrap().count(), 0);
        assert!(!is_swapping(&Root::open(dir.path()).unwrap(), "job"));
    }

    #[test]
    fn only_a_journal_that_tells_of_a_swap_is_open() {
        let (dir, task, _) = library();
        let root = Root::open(dir.path()).unwrap();
        assert!(!is_swapping(&root, "job"));
        let order = encoded(dir.path(), &task);
        journal::JournalFile::begin(&State::open(&root).unwrap(), "job", &order).unwrap();
        assert!(!is_swapping(&root, "job"));
        cut_off(dir.path(), &order, SwapMethod::Exchange, |_| {});
        assert!(is_swapping(&root, "job"));
        let journal = dir.path().join(paths::AV1_DIR).join(paths::JOURNAL_DIR).join("job.jsonl");
        std::fs::write(journal, "nonsense\n").unwrap();
        assert!(is_swapping(&root, "job"), "it cannot be told");
    }
}
