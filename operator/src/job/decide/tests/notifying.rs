//! Who is told of a file: only once that is on record, until it is known how it went, and whatever the job does meanwhile.

use super::*;
use av1_crds::job::{Desired, Notification};

const URL: &str = "http://hook/av1?key=secret";

fn told(mut o: Observed) -> Observed {
    o.job.status.as_mut().unwrap().settings.as_mut().unwrap().notify_url = Some(URL.into());
    o
}

/// A job whose settle pod, or restore pod, ended with `result`.
fn wrote(role: &str, phase: &str, verdict: &str, result: Value) -> Observed {
    let pending = json!({"verdict": verdict, "encodeRun": 4, "run": 2, "outputSha256": "aa"});
    let mut o = told(observed(json!({"phase": phase, "run": 4, "writeRun": 2, "pendingSettle": pending,
        "sizeGate": {"inputBytes": 100, "outputBytes": 50, "percent": 50, "maxPercent": 90, "passed": true}})));
    o.pods = vec![pod(role, 2, ended(0, json!({"done": result})))];
    o
}

fn replaced() -> Observed {
    let result = json!({"verdict": "Replaced", "message": "m", "receipt": "r", "bytesBefore": 100, "bytesAfter": 50});
    wrote("settle", "Settling", "Encoded", result)
}

fn restored(verdict: &str) -> Observed {
    let result = json!({"verdict": verdict, "reason": "Restored", "message": "m", "path": "b.mkv", "receipt": "r"});
    let mut o = wrote("restore", "Restoring", "Original", result);
    o.job.spec.desired = Desired::Original;
    o
}

#[test]
fn a_swap_is_noted_then_posted_then_struck_off() {
    let mut o = replaced();
    let first = decide(&o, &options());
    let note = Notification {
        run: 2,
        url: URL.into(),
        action: "Replaced".into(),
        path: "a $(b).mkv".into(),
        old_path: Some("a $(b).mkv".into()),
        bytes_before: Some(100),
        bytes_after: Some(50),
    };
    assert_eq!((first.status.phase, &first.status.notifications), (Phase::Succeeded, &vec![note]));
    assert!(!names(&first).contains(&"notify Replaced".to_owned()), "it is not on record yet");
    o.job.status = Some(first.status);
    let second = decide(&o, &options());
    assert_eq!(names(&second), ["release"], "no status would be written then");
    o.job.metadata.finalizers = None;
    let third = decide(&o, &options());
    assert_eq!(names(&third), ["notify Replaced"]);
    assert_eq!(third.requeue, Some(Duration::from_secs(3)));
    assert_eq!(third.status.notifications.len(), 1);
    o.delivered = Some(Ok(()));
    let last = decide(&o, &options());
    assert_eq!((names(&last), last.events.len(), last.delivered), (Vec::new(), 0, Some((2, Ok(())))));
    assert!(last.status.notifications.is_empty());
    assert_eq!(last.status.phase, Phase::Succeeded);
}

#[test]
fn one_that_cannot_be_delivered_is_one_event_without_the_url_and_changes_nothing_else() {
    let mut o = replaced();
    o.job.status = Some(decide(&o, &options()).status);
    o.job.metadata.finalizers = None;
    o.delivered = Some(Err("the answer is 500".into()));
    let decision = decide(&o, &options());
    let event = &decision.events[0];
    assert_eq!((decision.events.len(), event.warning, event.reason.as_str()), (1, true, "NotifyFailed"));
    assert!(event.note.contains("500") && !event.note.contains("secret"), "{}", event.note);
    assert!(decision.status.notifications.is_empty() && decision.status.phase == Phase::Succeeded);
}

#[test]
fn a_restore_is_told_with_the_sizes_turned_round_and_one_that_changed_nothing_is_not() {
    let notes = decide(&restored("Restored"), &options()).status.notifications;
    let [note] = notes.as_slice() else { panic!("{notes:?}") };
    assert_eq!((note.action.as_str(), note.path.as_str(), note.old_path.as_deref()), ("Restored", "b.mkv", None));
    assert_eq!((note.bytes_before, note.bytes_after), (Some(50), Some(100)));
    for verdict in ["AlreadyThere", "Refused"] {
        assert!(decide(&restored(verdict), &options()).status.notifications.is_empty(), "{verdict}");
    }
    let mut o = replaced();
    o.job.status.as_mut().unwrap().settings.as_mut().unwrap().notify_url = None;
    assert!(decide(&o, &options()).status.notifications.is_empty(), "nobody is to be told");
}

#[test]
fn what_waits_outlives_a_retry_and_is_told_in_order() {
    let mut o = replaced();
    let mut status = decide(&o, &options()).status;
    let later = Notification { run: 7, action: "Restored".into(), ..status.notifications[0].clone() };
    status.notifications.push(later);
    status.phase = Phase::Failed;
    o.job.status = Some(status);
    o.job.metadata.finalizers = None;
    o.job.spec.retry = 1;
    o.pods.clear();
    let decision = decide(&o, &options());
    assert_eq!((decision.status.phase, decision.status.notifications.len()), (Phase::Queued, 2));
    assert_eq!(names(&decision), ["notify Replaced"]);
    o.job.status = Some(decision.status);
    o.delivered = Some(Ok(()));
    o.job.status = Some(decide(&o, &options()).status);
    o.delivered = None;
    assert_eq!(names(&decide(&o, &options())), ["notify Restored"]);
}

#[test]
fn a_pod_never_learns_who_is_told() {
    let decision = decide(&told(encoding(1)), &options());
    let Some(Action::Create(job)) = decision.actions.first() else { panic!("{:?}", decision.actions) };
    assert!(!serde_json::to_string(job).unwrap().contains("secret"));
}
