//! When a ready library starts nothing: outside its schedule, and after too many failures in a row; and what goes with time.

use super::*;
use serde_json::Value;

pub(crate) fn ready_library(spec: Value) -> Observed {
    let mut o = prepared();
    let mut all = serde_json::to_value(&o.library.spec).unwrap();
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    o.library.spec = serde_json::from_value(all).unwrap();
    o.library.metadata.generation = Some(1);
    o.library.status.as_mut().unwrap().observed_generation = Some(1);
    o.summary = SummaryView::Got(Box::new(summary()));
    o
}

fn job(name: &str, status: Value) -> Arc<EncodeJob> {
    let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
        "metadata": {"name": name, "namespace": "media", "uid": name, "creationTimestamp": "2025-12-01T00:00:00Z",
            "annotations": {labels::SIZE: "1"}},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": format!("{name}.mkv")}}, "status": status});
    Arc::new(serde_json::from_value(job).unwrap())
}

fn failed(number: usize) -> Arc<EncodeJob> {
    job(
        &format!("failed-{number}"),
        json!({"phase": "Failed", "completionTime": format!("2025-12-31T{:02}:00:00Z", number % 24),
            "outcome": {"reason": "EncodeFailed", "message": format!("try {number}"), "retryable": false}}),
    )
}

/// Names of the jobs that start.
fn starts(decision: &Decision) -> Vec<String> {
    decision.desired.changes.iter().filter(|change| change.starts).map(|change| change.job.name_any()).collect()
}

#[test]
fn outside_its_schedule_a_library_starts_no_encode_but_what_its_user_orders() {
    // The observed time is Thursday, 2026-01-01, midnight in UTC.
    let mut o = ready_library(json!({"schedule": {"windows": [{"days": ["Sat"], "start": "22:00", "end": "07:00"}]}}));
    let mut undo = job("undo", json!({"phase": "Queued"}));
    Arc::make_mut(&mut undo).spec.desired = av1_crds::job::Desired::Original;
    o.jobs = vec![job("film", json!({"phase": "Queued"})), undo];
    let decision = decide(&o, &options());
    assert_eq!(ready(&decision), ("True".into(), "OutsideSchedule".into()));
    assert_eq!(starts(&decision), ["undo"]);
    let waits = decision.desired.changes.iter().find(|change| change.job.name_any() == "film").unwrap();
    let placed = find(&waits.status.conditions, conditions::PLACED).unwrap();
    assert_eq!(placed.reason, "OutsideSchedule");
    assert!(placed.message.contains("Sat 2026-01-03 22:00 UTC"), "{}", placed.message);
    o.now = "2026-01-03T22:00:00Z".parse().unwrap();
    assert!(starts(&decide(&o, &options())).contains(&"film".to_owned()));
}

#[test]
fn what_only_the_operator_can_check_is_told_within_one_reconcile() {
    let night = json!([{"start": "22:00", "end": "07:00"}]);
    let table = [
        (json!({"schedule": {"timeZone": "Mars/Olympus", "windows": night}}), "\"Mars/Olympus\" is not known"),
        (json!({"scan": {"include": ["Films/[a"]}}), "\"Films/[a\", which is not a glob"),
    ];
    for (spec, sentence) in table {
        let decision = decide(&ready_library(spec), &options());
        assert_eq!(ready(&decision), ("False".into(), "InvalidSettings".into()));
        let message = &find(&decision.status.conditions, conditions::READY).unwrap().message;
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn failures_in_a_row_pause_the_library_until_one_is_retried_or_its_spec_is_changed() {
    let mut o = ready_library(json!({"failurePolicy": {"pauseAfterConsecutiveFailures": 3}}));
    o.jobs = (0..3).map(failed).collect();
    o.jobs.push(job("next", json!({"phase": "Queued"})));
    let decision = decide(&o, &options());
    assert_eq!(ready(&decision), ("False".into(), "ConsecutiveFailures".into()));
    assert!(starts(&decision).is_empty());
    let message = &find(&decision.status.conditions, conditions::READY).unwrap().message;
    assert!(message.contains("EncodeFailed: try 2"), "the latest is told: {message}");
    // What was asked of a file and could not be done is no encode that failed.
    let mut undone = o.clone();
    for job in &mut undone.jobs[..3] {
        Arc::make_mut(job).spec.desired = av1_crds::job::Desired::Original;
    }
    assert_eq!(starts(&decide(&undone, &options())), ["next"]);
    // Many more failed at once: the one that its user retries goes on nevertheless.
    let mut retried = o.clone();
    retried.jobs.extend((3..6).map(failed));
    let first = Arc::make_mut(&mut retried.jobs[0]);
    first.status.as_mut().unwrap().phase = Phase::Queued;
    first.spec.retry = 1;
    assert_eq!(starts(&decide(&retried, &options())), ["failed-0"]);
    // A success ends the row.
    let mut healed = o.clone();
    healed.jobs.push(job("good", json!({"phase": "Succeeded", "completionTime": "2025-12-31T23:30:00Z"})));
    assert_eq!(starts(&decide(&healed, &options())), ["next"]);
    // So does a change of the spec, and it stays so.
    let mut changed = o.clone();
    changed.library.metadata.generation = Some(2);
    let decision = decide(&changed, &options());
    assert_eq!(starts(&decision), ["next"]);
    let later = next(changed, &decision);
    assert_eq!(starts(&decide(&later, &options())), ["next"]);
    // And it can be turned off.
    let mut off = o;
    off.library.spec.failure_policy.as_mut().unwrap().pause_after_consecutive_failures = Some(0);
    assert_eq!(starts(&decide(&off, &options())), ["next"]);
}

#[test]
fn jobs_go_after_their_time_which_begins_when_the_original_has_left_the_trash() {
    let mut o = ready_library(json!({"history": {"jobsTtl": "1h"}}));
    let settings = |more: Value| {
        let mut all = json!(av1_crds::settings::Settings::resolve(&[]).unwrap());
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let ended = |name: &str, phase: &str, at: &str, more: Value| {
        job(name, json!({"phase": phase, "completionTime": at, "settings": settings(more)}))
    };
    let mut held = ended("held", "Failed", "2025-12-01T00:00:00Z", json!({}));
    Arc::make_mut(&mut held).metadata.finalizers = Some(vec![av1_crds::FINALIZER.to_owned()]);
    o.jobs = vec![
        ended("skipped", "Skipped", "2025-12-31T23:00:00Z", json!({})),
        ended("fresh", "Skipped", "2025-12-31T23:00:01Z", json!({})),
        ended("in-trash", "Succeeded", "2025-12-31T22:00:00Z", json!({"trashRetentionSeconds": 7200})),
        ended("purged", "Succeeded", "2025-12-31T21:00:00Z", json!({"trashRetentionSeconds": 7200})),
        ended("beside", "Succeeded", "2025-12-31T22:00:00Z", json!({"originals": "KeepBeside"})),
        job("live", json!({"phase": "Encoding", "run": 1})),
        held,
    ];
    let names: Vec<String> = decide(&o, &options()).desired.expired.iter().map(|job| job.name_any()).collect();
    assert_eq!(names, ["beside", "skipped", "purged"]);
}
