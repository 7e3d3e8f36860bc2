//! What the user asks of one job: another try, a stop, the original back, a marker.

use super::super::super::order::Order;
use super::*;
use av1_crds::job::Desired;

fn wants(mut o: Observed, desired: Desired) -> Observed {
    o.job.spec.desired = desired;
    o
}

fn ordered(order: &str, phase: &str) -> Observed {
    let pending = json!({"verdict": order, "encodeRun": 4, "run": 2});
    let mut o = observed(json!({"phase": phase, "run": 4, "writeRun": 2, "pendingSettle": pending}));
    o.job.spec.desired = match order {
        "Original" => Desired::Original,
        "MarkSkipped" => Desired::Skipped,
        "Cancel" => Desired::Cancelled,
        _ => Desired::Encoded,
    };
    o.job.status.as_mut().unwrap().desired = o.job.spec.desired;
    o
}

fn task(decision: &Decision) -> (String, Value) {
    let Some(Action::Create(job)) = decision.actions.first() else { panic!("{:?}", decision.actions) };
    let args = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].args.clone().unwrap();
    (format!("{} {}", job.name_any(), args[1]), serde_json::from_str(&args[3]).unwrap())
}

#[test]
fn an_ended_job_that_is_retried_begins_afresh_and_its_numbers_only_rise() {
    let mut o = observed(json!({"phase": "Rejected", "run": 3, "writeRun": 1, "failures": 2, "lost": 5, "workRun": 3,
        "source": identity(), "checks": [{"name": "a", "passed": true, "expected": "", "measured": ""}],
        "outcome": {"reason": "NotSmaller", "message": "m", "retryable": false}, "completionTime": "2026-01-01T00:00:00Z"}));
    assert_eq!(decide(&o, &options()).status.phase, Phase::Rejected);
    o.job.spec.retry = 1;
    o.batch_jobs = vec![batch("settle", 1)];
    assert_eq!(names(&decide(&o, &options())), ["delete job-settle-1"], "what is left goes first");
    o.batch_jobs.clear();
    let decision = decide(&o, &options());
    assert!(!decision.released);
    let status = decision.status;
    assert_eq!((status.phase, status.again, status.failures, status.lost), (Phase::Queued, true, 0, 0));
    assert_eq!((status.run, status.write_run, status.work_run, status.source.is_some()), (3, 1, None, false));
    assert_eq!((status.outcome, status.completion_time, status.settings, status.checks.len()), (None, None, None, 0));
    assert_eq!(reason(&decision_of(status.conditions), "Complete"), "False InProgress");
}

fn decision_of(conditions: Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition>) -> Decision {
    let mut decision = decide(&encoding(1), &options());
    decision.status.conditions = conditions;
    decision
}

#[test]
fn a_retry_while_a_job_waits_ends_its_back_off_and_one_while_it_encodes_is_the_try_itself() {
    let mut o = observed(json!({"phase": "Queued", "run": 1, "failures": 2, "notBefore": "2026-01-01T01:00:00Z"}));
    o.job.spec.retry = 1;
    let status = decide(&o, &options()).status;
    assert_eq!((status.failures, status.not_before, status.retry), (0, None, 1));
    let mut o = encoding(1);
    o.job.spec.retry = 2;
    assert_eq!(decide(&o, &options()).status.retry, 2);
}

#[test]
fn forced_gates_and_the_second_asking_reach_the_encode_pod() {
    let mut o = observed(json!({"phase": "Encoding", "run": 1, "again": true}));
    o.job.spec.force = vec!["TooSmall".into()];
    let (_, task) = task(&decide(&o, &options()));
    assert_eq!((&task["force"], &task["again"]), (&json!(["TooSmall"]), &json!(true)));
}

#[test]
fn an_encode_is_stopped_before_anything_else_is_done_even_when_it_had_a_verdict() {
    for desired in [Desired::Original, Desired::Cancelled, Desired::Skipped] {
        let mut o = wants(encoding(1), desired);
        o.batch_jobs = vec![batch("encode", 1)];
        o.pods = vec![pod("encode", 1, runs())];
        let decision = decide(&o, &options());
        assert_eq!(
            (names(&decision), decision.status.phase),
            (vec!["delete job-encode-1".to_owned()], Phase::Encoding)
        );
        o.batch_jobs.clear();
        assert_eq!(decide(&o, &options()).status.phase, Phase::Encoding, "its pod still runs");
        o.pods[0].state = ended(0, encode_result("Encoded", "Encoded"));
        o.report = report();
        let decision = decide(&o, &options());
        assert_eq!((decision.status.phase, decision.status.pending_settle), (Phase::Queued, None), "{desired:?}");
    }
}

#[test]
fn a_settling_job_is_settled_whatever_is_wanted_next() {
    let o = wants(settling(json!({})), Desired::Original);
    assert_eq!(names(&decide(&o, &options())), ["create job-settle-1"]);
}

#[test]
fn each_order_has_its_pod_and_its_task() {
    let table = [
        ("Original", "Restoring", "job-restore-2 restore", json!({"wanted": "Original"})),
        ("Replacement", "Restoring", "job-restore-2 restore", json!({"wanted": "Encoded"})),
        ("MarkSkipped", "Settling", "job-mark-2 mark", json!({"action": "Skip"})),
        ("Cancel", "Settling", "job-settle-2 settle", json!({"verdict": "Skipped", "reason": "CancelledByUser"})),
    ];
    for (order, phase, name, expected) in table {
        let (made, task) = task(&decide(&ordered(order, phase), &options()));
        assert_eq!((made.as_str(), &task["job"]["run"], &task["path"]), (name, &json!(4), &json!("a $(b).mkv")));
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&task[key], value, "{order}");
        }
    }
}

#[test]
fn what_a_restore_or_a_mark_did_becomes_the_phase() {
    let restored = |verdict: &str, reason: &str| json!({"done": {"verdict": verdict, "reason": reason, "message": "m", "path": "a.mkv", "sha256": "ff", "replaced": "t", "receipt": "r"}});
    let marked = |verdict: &str| json!({"done": {"verdict": verdict, "message": "m", "marker": "x"}});
    let settled = |verdict: &str| json!({"done": {"verdict": verdict, "message": "m", "receipt": "r", "bytesBefore": 1, "bytesAfter": 1}});
    let table = [
        ("Original", "Restoring", "restore", restored("Restored", "Restored"), Phase::Restored, "Restored"),
        ("Original", "Restoring", "restore", restored("Refused", "NotInTrash"), Phase::Failed, "NotInTrash"),
        ("Replacement", "Restoring", "restore", restored("Restored", "Restored"), Phase::Succeeded, "Encoded"),
        ("Replacement", "Restoring", "restore", restored("Refused", "NotInTrash"), Phase::Queued, ""),
        ("Replacement", "Restoring", "restore", restored("Refused", "TargetExists"), Phase::Failed, "TargetExists"),
        ("MarkSkipped", "Settling", "mark", marked("Marked"), Phase::Skipped, "SkipMarker"),
        ("MarkSkipped", "Settling", "mark", marked("UsersMarker"), Phase::Skipped, "SkipMarker"),
        ("Cancel", "Settling", "settle", settled("Recorded"), Phase::Cancelled, "CancelledByUser"),
        ("Cancel", "Settling", "settle", settled("SourceChanged"), Phase::Skipped, "SourceChanged"),
        ("MarkSkipped", "Settling", "mark", marked("NotFound"), Phase::Failed, "NotFound"),
    ];
    for (order, phase, role, message, expected, reason) in table {
        let mut o = ordered(order, phase);
        o.pods = vec![pod(role, 2, ended(0, message))];
        let status = decide(&o, &options()).status;
        let outcome = status.outcome.map(|o| o.reason).unwrap_or_default();
        assert_eq!((status.phase, outcome.as_str()), (expected, reason), "{order}");
        let result = status.result.unwrap_or_default();
        match expected {
            Phase::Restored => assert_eq!((result.sha256.as_str(), result.replacement.as_deref()), ("ff", Some("t"))),
            Phase::Succeeded => assert_eq!((result.sha256.as_str(), result.original.as_str()), ("ff", "t")),
            _ => {}
        }
    }
}

#[test]
fn a_lost_restore_pod_is_followed_by_one_that_may_take_over_what_it_claimed() {
    let mut o = ordered("Original", "Restoring");
    o.job.status.as_mut().unwrap().pending_settle.as_mut().unwrap().pod_uid = Some("gone".into());
    let status = decide(&o, &options()).status;
    let pending = status.pending_settle.clone().unwrap();
    assert_eq!((status.phase, status.write_run, pending.run), (Phase::Restoring, 3, 3));
    assert_eq!(pending.ended_pods, ["gone"]);
}

#[test]
fn undo_and_its_undo_go_through_the_queue() {
    let mut o = wants(observed(json!({"phase": "Succeeded", "run": 1, "writeRun": 1})), Desired::Original);
    let status = decide(&o, &options()).status;
    assert_eq!((status.phase, status.bring_back, status.settings.is_some()), (Phase::Queued, false, true));
    o = observed(json!({"phase": "Restored", "desired": "Original", "run": 2, "writeRun": 2}));
    let status = decide(&o, &options()).status;
    assert_eq!((status.phase, status.bring_back), (Phase::Queued, true));
    o = wants(observed(json!({"phase": "Restored", "desired": "Original", "run": 2})), Desired::Skipped);
    let status = decide(&o, &options()).status;
    assert_eq!((status.phase, status.bring_back), (Phase::Queued, false));
}

#[test]
fn a_restore_that_runs_is_waited_for_when_its_job_is_deleted() {
    let mut o = ordered("Original", "Restoring");
    o.job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(o.now));
    o.pods = vec![pod("restore", 2, runs())];
    o.batch_jobs = vec![batch("restore", 2)];
    let decision = decide(&o, &options());
    assert_eq!((names(&decision).len(), decision.released), (0, false));
    o.pods.clear();
    assert_eq!(names(&decide(&o, &options())), ["delete job-restore-2"]);
}

#[test]
fn what_a_swap_that_was_given_up_left_is_taken_over_by_the_pod_of_the_next_order() {
    let pods = |status: &EncodeJobStatus| {
        status.left_claims.iter().map(|left| format!("{} {}", left.role, left.pod)).collect::<Vec<_>>()
    };
    let mut o = settling(json!({"endedPods": ["older"]}));
    let parked = json!({"failed": {"reason": "IoError", "message": "look at the files", "retryable": false}});
    o.pods = vec![pod("settle", 1, ended(1, parked))];
    let status = decide(&o, &options()).status;
    assert_eq!((status.phase, status.pending_settle.is_none()), (Phase::Failed, true));
    assert_eq!(pods(&status), ["settle older", "settle settle-1"]);
    o.pods.clear();
    o.job.status = Some(status);
    o.job.spec.retry = 1;
    let again = decide(&o, &options()).status;
    assert_eq!((again.phase, pods(&again).len(), again.source.is_some()), (Phase::Queued, 2, false));

    let mut next = Observed { batch_jobs: vec![batch("encode", 2)], ..encoding(2) };
    next.job.status.as_mut().unwrap().left_claims = again.left_claims.clone();
    next.pods = vec![pod("encode", 2, ended(0, encode_result("Encoded", "Encoded")))];
    next.report = report();
    let status = decide(&next, &options()).status;
    assert_eq!(status.pending_settle.as_ref().unwrap().ended_pods, ["older", "settle-1"]);
    next.job.status = Some(status);
    (next.batch_jobs, next.pods) = (Vec::new(), Vec::new());
    let (name, task) = task(&decide(&next, &options()));
    assert_eq!((name.as_str(), &task["takeoverFrom"]), ("job-settle-1 settle", &json!(["older", "settle-1"])));
    let done =
        json!({"done": {"verdict": "Replaced", "message": "m", "receipt": "r", "bytesBefore": 2, "bytesAfter": 1}});
    next.pods = vec![pod("settle", 1, ended(0, done))];
    let status = decide(&next, &options()).status;
    assert_eq!((status.phase, pods(&status).len()), (Phase::Succeeded, 0), "it has let go");

    for order in [Order::Original, Order::Cancel, Order::MarkSkipped] {
        assert_eq!(order.record(&again).ended_pods, ["older", "settle-1"], "{order:?}");
    }
}
