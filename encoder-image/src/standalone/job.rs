//! One file's way without a cluster: its state in `.av1/run/jobs`, written before each step, and the steps as roles in
//! processes of their own. A job that was cut off anywhere goes on from its state.
//!
//! May: make work folders, start encode and settle. Must never: change the library itself.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use av1_crds::reasons;
use av1_crds::wire::{
    EncodeProgress, EncodeResult, EncodeTask, EncodeVerdict, FileIdentity, JobId, PodFailure, SettleResult, SettleTask,
    SettleVerdict,
};
use av1_crds::{library::ScanRules, settings::Settings};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::board::Board;
use super::child::{Child, End};
use super::library::{Library, random_id};
use super::stop::Stop;
use crate::encode::files::{read_json, replace_json};
use crate::settle::{cleanup::remove_work, is_swapping};
use crate::{beneath::Root, role::now, workdir};

/// How often a role is looked at.
const TICK: Duration = Duration::from_millis(200);
/// How often its figures are taken.
const FIGURES: Duration = Duration::from_secs(1);
/// Seconds that running chunks may take when the process is to end, unless AV1_GRACE_SECONDS says otherwise.
const GRACE: &str = "120";
/// Seconds until the first next attempt; each one more doubles them.
const BACK_OFF: u64 = 30;
const MOST_BACK_OFF: u64 = 3_600;
/// Every attempt has the same folder, because Av1an remembers paths, and only one process works on it.
const RUN: i64 = 1;
/// Attempts of settle in a row, after which the job waits for the next start.
const SETTLE_ATTEMPTS: u32 = 5;

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    /// It waits.
    Queued,
    /// It encodes, or did when the process was cut off.
    Encoding,
    /// Its outcome is being brought to the volume.
    Settling,
}

/// Path, size and modification time of a file.
pub(crate) type FileKey = (String, u64, i64);

/// A job, as it is kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Job {
    /// Version of the format.
    pub(crate) version: u32,
    /// Random; names its folders. Another encode of the same file is another job.
    pub(crate) uid: String,
    /// Path below the library's root.
    pub(crate) path: String,
    /// Size in bytes.
    pub(crate) size: u64,
    /// Modification time in nanoseconds since 1970.
    pub(crate) modified_time_ns: i64,
    /// What it does.
    pub(crate) phase: Phase,
    /// Attempts that failed.
    pub(crate) failures: u32,
    /// Encodes whose output was spoiled or gone when it was to be settled.
    #[serde(default)]
    pub(crate) bad_outputs: u32,
    /// When it may be tried again, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) not_before: Option<String>,
    /// Settings, frozen when the first run began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) settings: Option<Settings>,
    /// Identity of the source, as the encode saw it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<FileIdentity>,
    /// What is to be settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<EncodeResult>,
}

/// Where a job is when its thread lets go of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// It is done; its state is gone from the volume.
    Finished {
        /// What came of it.
        verdict: EncodeVerdict,
        /// One of [`reasons`].
        reason: String,
        /// The sentence.
        message: String,
    },
    /// It goes on later.
    Waits(String),
}

/// What every job of this process has in common.
pub(crate) struct Common {
    pub(crate) library: Library,
    pub(crate) settings: Settings,
    pub(crate) scan: ScanRules,
    /// Encoder processes of one job; 0 leaves it to the plan.
    pub(crate) workers: u32,
    pub(crate) max_attempts: u32,
    /// Gates that are passed over, by reason.
    pub(crate) force: Vec<String>,
    /// Whether what we decided before does not count.
    pub(crate) again: bool,
    pub(crate) board: Board,
    pub(crate) stop: Stop,
}

impl Job {
    /// A job for a file.
    ///
    /// # Errors
    /// When there is no random id for it.
    pub(crate) fn new(path: &str, size: u64, modified_time_ns: i64) -> Result<Self, String> {
        Ok(Self {
            version: 1,
            uid: random_id().map_err(|e| format!("making a random id: {e}"))?,
            path: path.to_owned(),
            size,
            modified_time_ns,
            phase: Phase::Queued,
            failures: 0,
            bad_outputs: 0,
            not_before: None,
            settings: None,
            source: None,
            outcome: None,
        })
    }

    /// What tells the file from others, and from what it was before a change.
    pub(crate) fn file_key(&self) -> FileKey {
        (self.path.clone(), self.size, self.modified_time_ns)
    }

    /// Jobs that an earlier process left; what cannot be read is passed over, the file is found again by the scan.
    pub(crate) fn left_behind(library: &Library) -> io::Result<Vec<Self>> {
        let mut jobs = Vec::new();
        for entry in fs::read_dir(library.run_dir().join("jobs"))? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match read_json::<Self>(&path) {
                Some(job) if job.version == 1 && path.file_stem().is_some_and(|stem| *stem == *job.uid) => {
                    jobs.push(job);
                }
                _ => tracing::warn!("{} is passed over: it is not a job's state", path.display()),
            }
        }
        jobs.sort_by_key(|job| job.phase != Phase::Settling);
        Ok(jobs)
    }

    /// Whether its back-off is over.
    pub(crate) fn may_start(&self) -> bool {
        let at = self.not_before.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
        at.is_none_or(|at| at <= Timestamp::now())
    }

    fn file(&self, common: &Common) -> PathBuf {
        common.library.run_dir().join("jobs").join(format!("{}.json", self.uid))
    }

    fn save(&self, common: &Common) -> Result<(), String> {
        replace_json(&self.file(common), self).map_err(|e| format!("the job's state could not be written: {e}"))
    }

    /// Goes on until it is finished or has to wait.
    pub(crate) fn drive(&mut self, common: &Common) -> Left {
        loop {
            let step = match self.phase {
                Phase::Queued | Phase::Encoding => self.encode(common),
                Phase::Settling => self.settle(common),
            };
            match step {
                Ok(None) => {}
                Ok(Some(left)) => {
                    if matches!(left, Left::Finished { .. }) {
                        self.forget(common);
                    }
                    return left;
                }
                // The outcome stands, and what settle began is finished by it alone.
                Err(why) if self.phase == Phase::Settling => return self.waits(common, &why),
                Err(why) => return self.failed(common, reasons::IO_ERROR, &why, true).unwrap_or(Left::Waits(why)),
            }
        }
    }

    /// The state and what is left of the work folder go.
    fn forget(&self, common: &Common) {
        let removed = Root::open(&common.library.root).and_then(|root| remove_work(&root, &self.uid));
        if let Err(e) = removed {
            tracing::warn!("the work folder of {} could not be removed: {e}", self.path);
        }
        if let Err(e) = fs::remove_file(self.file(common)) {
            tracing::warn!("the state of the job for {} could not be removed: {e}", self.path);
        }
    }

    /// One run of the encode role.
    fn encode(&mut self, common: &Common) -> Result<Option<Left>, String> {
        (self.phase, self.not_before) = (Phase::Encoding, None);
        let settings = self.settings.get_or_insert_with(|| common.settings.clone()).clone();
        self.save(common)?;
        let library = &common.library;
        let task = EncodeTask {
            library: library.id.clone(),
            job: self.id(),
            volume_id: library.volume_id.clone(),
            path: self.path.clone(),
            settings,
            scan: common.scan.clone(),
            workers: common.workers,
            target_utilization_percent: 100,
            force: common.force.clone(),
            again: common.again,
            take_over_run: None,
            link_run: None,
        };
        let args = library.args();
        if let Err(failure) = workdir::run(&task, &args) {
            let failure = failure.failure;
            return Ok(self.failed(common, &failure.reason, &failure.message, failure.retryable));
        }
        let work = args.state_root.join(av1_crds::paths::WORK_DIR).join(&self.uid).join(RUN.to_string());
        let grace = std::env::var_os("AV1_GRACE_SECONDS").unwrap_or_else(|| GRACE.into());
        let env: [(&str, OsString); 2] = [("AV1_GRACE_SECONDS", grace), ("TMPDIR", work.clone().into())];
        let mut child = Child::start(library, "encode", &task, &[("--work", &work)], &env)?;
        let mut asked = false;
        let mut next = Instant::now();
        let end = loop {
            if let Some(end) = child.ended::<EncodeResult>() {
                break end;
            }
            if common.stop.is_asked() && !asked {
                child.ask_to_end();
                asked = true;
            }
            if Instant::now() >= next {
                next = Instant::now() + FIGURES;
                if let Ok(progress) = child.get::<EncodeProgress>("/progress") {
                    self.source = progress.source.clone().or(self.source.take());
                    common.board.progress(&self.uid, progress);
                }
            }
            std::thread::sleep(TICK);
        };
        match end {
            End::Done(result) => self.verdict(common, result),
            End::Failed(failure) if asked || failure.reason == reasons::POD_LOST => {
                self.phase = Phase::Queued;
                self.save(common)?;
                Ok(Some(Left::Waits(failure.message)))
            }
            End::Failed(failure) => Ok(self.failed(common, &failure.reason, &failure.message, failure.retryable)),
            End::Lost(why) => Ok(self.failed(common, reasons::ENCODE_FAILED, &why, true)),
        }
    }

    fn verdict(&mut self, common: &Common, result: EncodeResult) -> Result<Option<Left>, String> {
        let settles_nothing = result.reason == reasons::SOURCE_CHANGED || result.source.is_none();
        if settles_nothing && !self.is_swapping(common) {
            return Ok(Some(Left::Finished {
                verdict: result.verdict,
                reason: result.reason,
                message: result.message,
            }));
        }
        self.source.clone_from(&result.source);
        (self.phase, self.outcome, self.failures) = (Phase::Settling, Some(result), 0);
        self.save(common)?;
        Ok(None)
    }

    /// Saves the state where nothing depends on it: what is in memory goes on, and an earlier state leads to the same.
    fn try_save(&self, common: &Common) {
        if let Err(why) = self.save(common) {
            tracing::error!("{why}");
        }
    }

    /// Counts a failure: another attempt later, or none any more, which is recorded on the volume.
    fn failed(&mut self, common: &Common, reason: &str, message: &str, retryable: bool) -> Option<Left> {
        self.failures += 1;
        if retryable && self.failures < common.max_attempts {
            self.phase = Phase::Queued;
            self.not_before = Some(self.back_off());
            self.try_save(common);
            return Some(Left::Waits(format!("{reason}: {message}")));
        }
        // Trouble of the volume is not the file's: a later start tries again.
        let of_volume = [reasons::NO_SPACE, reasons::IO_ERROR].contains(&reason);
        let reason = if retryable && !of_volume { reasons::TOO_MANY_FAILURES } else { reason };
        let message = format!("{} attempts failed; the last: {message}", self.failures);
        let Some(source) = self.source.clone() else {
            let (reason, message) = (reason.to_owned(), message);
            return Some(Left::Finished { verdict: EncodeVerdict::Failed, reason, message });
        };
        self.phase = Phase::Settling;
        self.outcome = Some(without_output(EncodeVerdict::Failed, reason, message, source));
        self.try_save(common);
        None
    }

    fn back_off(&self) -> String {
        let seconds = (BACK_OFF << self.failures.saturating_sub(1).min(10)).min(MOST_BACK_OFF);
        let at = now().as_second().saturating_add(i64::try_from(seconds).unwrap_or_default());
        Timestamp::from_second(at).unwrap_or_else(|_| now()).to_string()
    }

    /// The settle role, until it came to an end. It is never asked to end: it takes no longer than a copy.
    fn settle(&mut self, common: &Common) -> Result<Option<Left>, String> {
        let library = &common.library;
        let outcome = self.outcome.clone().ok_or("the job's state has no outcome")?;
        let settings = self.settings.clone().unwrap_or_else(|| common.settings.clone());
        let task = SettleTask {
            library: library.id.clone(),
            job: self.id(),
            volume_id: library.volume_id.clone(),
            path: self.path.clone(),
            source: outcome.source.clone().unwrap_or_default(),
            verdict: outcome.verdict,
            reason: outcome.reason.clone(),
            message: outcome.message.clone(),
            output: outcome.output.clone(),
            report_sha256: outcome.report_sha256.clone(),
            size_gate: outcome.size_gate.clone(),
            settings,
            force: common.force.clone(),
            offered: !common.again,
            swap: library.swap,
            takeover_from: Vec::new(),
        };
        common.board.settling(&self.uid);
        // Only one process holds the library, so that whatever settled this job before has ended and its claim is this one's.
        let uid = PathBuf::from(&self.uid);
        let mut child = Child::start(library, "settle", &task, &[("--pod-uid", &uid)], &[])?;
        let end = loop {
            if let Some(end) = child.ended::<SettleResult>() {
                break end;
            }
            std::thread::sleep(TICK / 4);
        };
        let why = match end {
            End::Done(result) => return Ok(Some(settled(&outcome, &result))),
            End::Failed(failure) if !failure.retryable => return Ok(self.given_up(common, failure)),
            End::Failed(failure) => failure.message,
            End::Lost(why) => why,
        };
        if self.failures + 1 >= SETTLE_ATTEMPTS || common.stop.is_asked() {
            return Ok(Some(self.waits(common, &why)));
        }
        self.failures += 1;
        tracing::warn!("settling {}: {why}; tried again", self.path);
        common.stop.wait(Duration::from_secs(1 << self.failures));
        Ok(None)
    }

    /// The outcome could not be brought to the volume: it stands, and is tried again later.
    fn waits(&mut self, common: &Common, why: &str) -> Left {
        self.failures += 1;
        self.not_before = Some(self.back_off());
        self.try_save(common);
        Left::Waits(format!("its outcome could not be brought to the volume: {why}"))
    }

    /// What a failure of settle comes to that another attempt would meet again. Settle has written it down.
    fn given_up(&mut self, common: &Common, failure: PodFailure) -> Option<Left> {
        let PodFailure { reason, message, .. } = failure;
        let of_volume = [reasons::WRONG_VOLUME, reasons::OWNED_BY_ANOTHER].contains(&reason.as_str());
        if of_volume || self.is_swapping(common) {
            return Some(self.waits(common, &message));
        }
        if reason != reasons::BAD_OUTPUT {
            return Some(Left::Finished { verdict: EncodeVerdict::Failed, reason, message });
        }
        // The attempts of an encode count anew with each verdict.
        self.failures = self.bad_outputs;
        self.bad_outputs += 1;
        self.outcome = None;
        self.failed(common, &reason, &message, true)
    }

    /// Whether settle began to swap names and has not ended.
    fn is_swapping(&self, common: &Common) -> bool {
        Root::open(&common.library.root).map_or(true, |root| is_swapping(&root, &self.uid))
    }

    fn id(&self) -> JobId {
        JobId { name: format!("local-{}", &self.uid[..8.min(self.uid.len())]), uid: self.uid.clone(), run: RUN }
    }
}

fn settled(outcome: &EncodeResult, result: &SettleResult) -> Left {
    let changed = result.verdict == SettleVerdict::SourceChanged;
    Left::Finished {
        verdict: if changed { EncodeVerdict::Skipped } else { outcome.verdict },
        reason: if changed { reasons::SOURCE_CHANGED.to_owned() } else { outcome.reason.clone() },
        message: match result.verdict {
            SettleVerdict::Recorded => outcome.message.clone(),
            _ => result.message.clone(),
        },
    }
}

/// What an encode of `source` came to that left nothing but words.
fn without_output(verdict: EncodeVerdict, reason: &str, message: String, source: FileIdentity) -> EncodeResult {
    EncodeResult {
        verdict,
        reason: reason.to_owned(),
        message,
        source: Some(source),
        output: None,
        report_sha256: None,
        size_gate: None,
        pinning: Default::default(),
        frames: 0,
        encode_seconds: 0.0,
        chunks_resumed: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn common(root: &Path) -> Common {
        Common {
            library: Library::open(root).unwrap(),
            settings: Settings::resolve(&[]).unwrap(),
            scan: ScanRules::resolve(None).unwrap(),
            workers: 0,
            max_attempts: 3,
            force: Vec::new(),
            again: false,
            board: Board::default(),
            stop: Stop::default(),
        }
    }

    /// A job whose file was encoded and is to be settled.
    fn settling() -> Job {
        let source = FileIdentity::default();
        let outcome = without_output(EncodeVerdict::Encoded, reasons::ENCODED, String::new(), source);
        let mut job = Job::new("film.mkv", 1, 2).unwrap();
        (job.phase, job.source, job.outcome) = (Phase::Settling, outcome.source.clone(), Some(outcome));
        job
    }

    #[test]
    fn an_outcome_stands_whatever_goes_wrong_around_settle() {
        let dir = tempfile::tempdir().unwrap();
        let common = common(dir.path());
        // No role can be started any more; later the state cannot be written either.
        let folder = common.library.temporary.folder().unwrap();
        fs::remove_dir_all(folder.parent().unwrap()).unwrap();
        let mut job = settling();
        let outcome = job.outcome.clone();
        for failures in [0, 4, 5, 100] {
            job.failures = failures;
            assert!(matches!(job.drive(&common), Left::Waits(_)), "{failures}");
            assert_eq!((job.phase, &job.outcome), (Phase::Settling, &outcome), "{failures}");
            assert!(!job.may_start(), "{failures}");
            let _ = fs::remove_dir_all(common.library.run_dir().join("jobs"));
        }
    }

    #[test]
    fn a_failure_of_settle_that_stays_ends_the_job_unless_the_names_are_half_changed() {
        let dir = tempfile::tempdir().unwrap();
        let common = common(dir.path());
        let given_up = |job: &mut Job, reason: &str| {
            let failure =
                PodFailure { reason: reason.to_owned(), message: "m".to_owned(), retryable: false, released: false };
            job.given_up(&common, failure)
        };
        let ended = given_up(&mut settling(), reasons::IO_ERROR);
        assert!(matches!(ended, Some(Left::Finished { verdict: EncodeVerdict::Failed, .. })), "{ended:?}");
        let mut job = settling();
        assert!(matches!(given_up(&mut job, reasons::WRONG_VOLUME), Some(Left::Waits(_))));
        assert_eq!((job.phase, job.outcome.is_some()), (Phase::Settling, true));
        let journals = common.library.root.join(av1_crds::paths::AV1_DIR).join(av1_crds::paths::JOURNAL_DIR);
        fs::write(journals.join(format!("{}.jsonl", job.uid)), "not a journal\n").unwrap();
        assert!(matches!(given_up(&mut job, reasons::IO_ERROR), Some(Left::Waits(_))));
        assert_eq!((job.phase, job.outcome.is_some()), (Phase::Settling, true));
    }

    #[test]
    fn a_spoiled_output_is_encoded_again_but_not_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let common = common(dir.path());
        let mut job = settling();
        let outcome = job.outcome.clone();
        let failure = PodFailure {
            reason: reasons::BAD_OUTPUT.to_owned(),
            message: "m".to_owned(),
            retryable: false,
            released: false,
        };
        for _ in 0..2 {
            assert!(matches!(job.given_up(&common, failure.clone()), Some(Left::Waits(_))));
            assert_eq!((job.phase, &job.outcome), (Phase::Queued, &None));
            assert!(!job.may_start());
            // Each verdict counts failures anew.
            (job.phase, job.outcome, job.failures) = (Phase::Settling, outcome.clone(), 0);
        }
        assert_eq!(job.given_up(&common, failure), None);
        assert_eq!(job.outcome.unwrap().reason, reasons::TOO_MANY_FAILURES);
    }

    #[test]
    fn two_jobs_for_one_file_have_folders_of_their_own() {
        let job = || Job::new("a/b.mkv", 1, 2).unwrap();
        assert_ne!(job().uid, job().uid);
        assert_eq!(job().file_key(), job().file_key());
    }

    #[test]
    fn attempts_come_at_growing_distances() {
        let mut job = Job::new("p", 1, 1).unwrap();
        let mut seconds = |failures| {
            job.failures = failures;
            let at: Timestamp = job.back_off().parse().unwrap();
            at.as_second() - now().as_second()
        };
        assert!((29..=30).contains(&seconds(1)) && (119..=120).contains(&seconds(3)));
        assert!((3_599..=3_600).contains(&seconds(40)));
        assert!(!job.may_start() || job.not_before.is_none());
    }
}
