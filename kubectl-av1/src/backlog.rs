//! How long the files that wait will take, from what the resources say alone: how many there are, and how long the library's last
//! encodes took. So it can be told with operator and catalog away, and for no more than two lists. Pure.

use std::cmp::Reverse;

use av1_crds::library::FileCounts;
use av1_crds::{EncodeJob, EncodeJobStatus, MediaLibrary, Phase, conditions};
use jiff::Timestamp;
use serde::Serialize;

use crate::outlook::{seconds_taken, slots, time};

/// Encodes that the pace is taken from: the newest, for the largest files may have come first.
const RECENT: usize = 40;

/// What waits, and how long it takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Backlog {
    /// Files worth encoding that are not done.
    pub(crate) files: i64,
    /// Encodes at once.
    pub(crate) slots: u32,
    /// Seconds of encoding until all are done; none while there is nothing to tell it by.
    pub(crate) eta_seconds: Option<u64>,
    /// Encodes whose pace that is.
    pub(crate) encodes: usize,
    /// Whether those run still, because none has ended.
    pub(crate) running: bool,
    /// Why there is less encoding than there are hours.
    pub(crate) held: Option<Hold>,
}

/// What keeps encodes from running all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Hold {
    /// `spec.suspend` is true.
    Paused,
    /// The library is not ready.
    NotReady,
    /// `spec.schedule` has windows.
    Schedule,
}

impl Backlog {
    /// Of `library` with its jobs; none when nothing waits, or nobody has counted yet.
    pub(crate) fn new(library: &MediaLibrary, jobs: &[&EncodeJob], now: Timestamp) -> Option<Self> {
        let FileCounts { pending, .. } = library.status.as_ref()?.files.clone()?;
        if pending <= 0 {
            return None;
        }
        let statuses = || jobs.iter().filter_map(|job| job.status.as_ref());
        let (paces, running) = match ended(statuses()) {
            ended if ended.is_empty() => (statuses().filter_map(|status| foreseen(status, now)).collect(), true),
            ended => (ended, false),
        };
        let slots = slots(library);
        let left = (pending as f64 - statuses().map(part_done).sum::<f64>()).max(0.0);
        let at_once = f64::from(slots).min(left.ceil()).max(1.0);
        let mean = |paces: &[f64]| paces.iter().sum::<f64>() / paces.len() as f64;
        Some(Self {
            files: pending,
            slots,
            eta_seconds: (!paces.is_empty()).then(|| (mean(&paces) * left / at_once) as u64),
            encodes: paces.len(),
            running: running && !paces.is_empty(),
            held: held(library),
        })
    }
}

/// Seconds of the newest encodes that ended with an output.
fn ended<'a>(statuses: impl Iterator<Item = &'a EncodeJobStatus>) -> Vec<f64> {
    let mut ended: Vec<(Timestamp, f64)> =
        statuses.filter_map(|status| Some((time(&status.completion_time)?, seconds_taken(status)?))).collect();
    ended.sort_by_key(|(at, _)| Reverse(*at));
    ended.into_iter().take(RECENT).map(|(_, seconds)| seconds).collect()
}

/// Seconds that a running encode takes, by its own reckoning.
fn foreseen(status: &EncodeJobStatus, now: Timestamp) -> Option<f64> {
    let to_go = status.progress.as_ref()?.eta_seconds.filter(|_| status.phase == Phase::Encoding && status.run == 1)?;
    Some(now.duration_since(time(&status.start_time)?).as_secs_f64().max(0.0) + to_go as f64)
}

/// How much of a file that counts as pending is done.
fn part_done(status: &EncodeJobStatus) -> f64 {
    let percent = || status.progress.as_ref()?.percent.trim_end_matches('%').parse::<f64>().ok();
    match status.phase {
        Phase::Encoding | Phase::Paused => percent().map_or(0.0, |percent| percent.clamp(0.0, 100.0) / 100.0),
        Phase::Settling => 1.0,
        _ => 0.0,
    }
}

fn held(library: &MediaLibrary) -> Option<Hold> {
    let conditions = library.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
    let ready = conditions.iter().any(|condition| condition.type_ == conditions::READY && condition.status == "True");
    match (library.spec.suspend, ready, &library.spec.schedule) {
        (true, ..) => Some(Hold::Paused),
        (_, false, _) => Some(Hold::NotReady),
        (.., Some(_)) => Some(Hold::Schedule),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::outlook::tests::{encoded, library};

    fn waiting(pending: i64, spec: Value) -> MediaLibrary {
        let ready = json!([{"type": "Ready", "status": "True", "reason": "AsExpected", "message": "", "lastTransitionTime": "2026-01-02T03:00:00Z"}]);
        library(spec, json!({"files": {"pending": pending, "complete": true}, "conditions": ready}))
    }

    fn backlog(library: &MediaLibrary, jobs: &[EncodeJob]) -> Option<Backlog> {
        Backlog::new(library, &jobs.iter().collect::<Vec<_>>(), "2026-01-02T06:00:00Z".parse().unwrap())
    }

    /// An encode that is at `percent` after an hour and wants one more.
    fn running(percent: &str) -> EncodeJob {
        encoded(json!({"phase": "Encoding", "startTime": "2026-01-02T05:00:00Z", "completionTime": null,
            "progress": {"percent": percent, "etaSeconds": 3_600}}))
    }

    #[test]
    fn what_waits_takes_as_long_as_the_last_encodes_did_shared_by_those_at_once() {
        let films = waiting(9, json!({"concurrency": {"maxJobs": 2}}));
        let long = encoded(json!({"completionTime": "2026-01-02T06:00:00Z"}));
        let found = backlog(&films, &[encoded(json!({})), long, encoded(json!({"failures": 1}))]).unwrap();
        // Nine times two hours, two at once.
        assert_eq!((found.eta_seconds, found.encodes, found.running, found.held), (Some(32_400), 2, false, None));
    }

    #[test]
    fn only_the_newest_encodes_tell_the_pace() {
        let films = waiting(1, json!({}));
        let day = |day: usize, hours: usize| {
            encoded(
                json!({"startTime": format!("2025-12-{day:02}T00:00:00Z"), "completionTime": format!("2025-12-{day:02}T{hours:02}:00:00Z")}),
            )
        };
        let mut jobs: Vec<EncodeJob> = (0..60).map(|_| day(1, 20)).collect();
        jobs.extend((0..RECENT).map(|_| day(2, 1)));
        let found = backlog(&films, &jobs).unwrap();
        assert_eq!((found.eta_seconds, found.encodes), (Some(3_600), RECENT));
    }

    #[test]
    fn what_running_encodes_have_done_is_not_to_be_done_again() {
        let films = waiting(2, json!({"concurrency": {"maxJobs": 4}}));
        let settling = encoded(json!({"phase": "Settling"}));
        let found = backlog(&films, &[encoded(json!({})), running("75%"), settling]).unwrap();
        assert_eq!(found.eta_seconds, Some(900), "a quarter of an hour of one encode, however many slots there are");
    }

    #[test]
    fn while_none_has_ended_those_that_run_tell_it_or_nobody() {
        let films = waiting(3, json!({}));
        let found = backlog(&films, &[running("50%")]).unwrap();
        assert_eq!((found.eta_seconds, found.encodes, found.running), (Some(18_000), 1, true));
        let found = backlog(&films, &[]).unwrap();
        assert_eq!((found.eta_seconds, found.encodes, found.running), (None, 0, false));
        assert_eq!((backlog(&waiting(0, json!({})), &[]), backlog(&library(json!({}), json!({})), &[])), (None, None));
    }

    #[test]
    fn a_pause_goes_before_other_reasons_for_less_encoding() {
        let schedule = json!({"windows": [{"start": "22:00", "end": "07:00"}]});
        let held = |library: &MediaLibrary| backlog(library, &[]).unwrap().held;
        assert_eq!(held(&waiting(1, json!({"schedule": schedule}))), Some(Hold::Schedule));
        assert_eq!(held(&waiting(1, json!({"schedule": schedule, "suspend": true}))), Some(Hold::Paused));
        assert_eq!(held(&library(json!({}), json!({"files": {"pending": 1}}))), Some(Hold::NotReady));
    }
}
