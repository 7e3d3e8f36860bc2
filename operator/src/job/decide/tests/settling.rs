//! Settling: one pod at a time, what it waits for, and what it came to.

use super::*;

pub(super) fn settling(pending: Value) -> Observed {
    let mut all = json!({"verdict": "Encoded", "encodeRun": 2, "run": 1, "outputName": "out.mkv", "outputSize": 50, "outputSha256": "aa"});
    for (key, value) in pending.as_object().unwrap() {
        all[key] = value.clone();
    }
    observed(
        json!({"phase": "Settling", "run": 2, "source": identity(), "pendingSettle": all, "outcome": {"reason": "Encoded", "message": "m", "retryable": false}}),
    )
}

#[test]
fn a_settle_pod_that_was_lost_is_followed_by_one_that_may_take_over() {
    let mut o = settling(json!({"podUid": "settle-1"}));
    let decision = decide(&o, &options());
    let pending = decision.status.pending_settle.clone().unwrap();
    assert_eq!((pending.run, pending.ended_pods.clone(), pending.pod_uid), (2, vec!["settle-1".to_owned()], None));
    assert_eq!(decision.status.not_before.as_deref(), Some("2026-01-01T00:00:02Z"), "not at once");
    o.job.status = Some(decision.status);
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0]);
    o.now = o.now.checked_add(SignedDuration::from_secs(2)).unwrap();
    let next = decide(&o, &options());
    let Some(Action::Create(job)) = next.actions.first() else { panic!("{:?}", next.actions) };
    let text = serde_json::to_string(job).unwrap();
    assert!(job.name_any() == "job-settle-2" && text.contains(r#"takeoverFrom\":[\"settle-1\"]"#), "{text}");
}

#[test]
fn only_a_job_of_a_scan_that_nobody_asked_for_again_gives_way_to_what_the_user_wished_before() {
    let offered = |by: Option<&str>, again: bool| {
        let mut o = settling(json!({}));
        o.job.metadata.labels = by.map(|by| [("app.kubernetes.io/managed-by".to_owned(), by.to_owned())].into());
        o.job.status.as_mut().unwrap().again = again;
        let decision = decide(&o, &options());
        let Some(Action::Create(job)) = decision.actions.first() else { panic!("{:?}", decision.actions) };
        serde_json::to_string(job).unwrap().contains(r#"offered\":true"#)
    };
    assert!(offered(Some("av1-operator"), false));
    for (by, again) in [(Some("av1-operator"), true), (None, false), (Some("argocd"), false)] {
        assert!(!offered(by, again), "{by:?} {again}");
    }
}

#[test]
fn no_pod_is_made_while_the_volume_has_to_be_found_again() {
    for mut o in [encoding(1), settling(json!({}))] {
        assert_eq!(decide(&o, &options()).actions.len(), 1);
        o.library.as_mut().unwrap().status.as_mut().unwrap().storage.as_mut().unwrap().prepared_for = None;
        assert!(decide(&o, &options()).actions.is_empty());
    }
}

#[test]
fn two_settle_pods_never_run_at_once() {
    let mut o = settling(json!({"run": 2}));
    o.pods = vec![pod("settle", 1, runs())];
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0]);
    o.pods = vec![pod("encode", 2, runs())];
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0]);
}

#[test]
fn a_held_claim_or_a_full_disk_is_waited_out_for_ever_and_bad_input_ends_the_job() {
    let failed = |code, reason: &str, retryable| {
        ended(code, json!({"failed": {"reason": reason, "message": "m", "retryable": retryable}}))
    };
    let mut o = settling(json!({"failures": 50}));
    o.pods = vec![pod("settle", 1, failed(75, "ClaimHeld", true))];
    let held = decide(&o, &options());
    let pending = held.status.pending_settle.unwrap();
    assert_eq!(
        (held.status.phase, held.status.not_before.as_deref(), pending.run, pending.ended_pods.len()),
        (Phase::Settling, Some("2026-01-01T00:02:00Z"), 2, 0)
    );
    o.pods = vec![pod("settle", 1, failed(1, "NoSpace", true))];
    let full = decide(&o, &options());
    assert_eq!((full.status.phase, full.status.not_before.as_deref()), (Phase::Settling, Some("2026-01-01T00:10:00Z")));
    assert!(crate::conditions::find(&full.status.conditions, "Settled").unwrap().message.contains("NoSpace"));
    let may_hold = |status: &EncodeJobStatus| status.pending_settle.as_ref().unwrap().ended_pods.len();
    assert_eq!(may_hold(&full.status), 1);
    let mut let_go = o.clone();
    let told = json!({"failed": {"reason": "NoSpace", "message": "m", "retryable": true, "released": true}});
    let_go.pods = vec![pod("settle", 1, ended(1, told))];
    assert_eq!(may_hold(&decide(&let_go, &options()).status), 0, "the list does not grow with each try");
    o.job.status = Some(full.status);
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0], "waits for its pause");
    o.now = o.now.checked_add(SignedDuration::from_secs(600)).unwrap();
    assert_eq!(names(&decide(&o, &options())), ["create job-settle-2"]);
    let mut o = settling(json!({}));
    o.pods = vec![pod("settle", 1, failed(64, "InvalidTask", false))];
    assert_eq!(decide(&o, &options()).status.phase, Phase::Failed);
}

#[test]
fn what_settle_did_becomes_the_phase() {
    let done = |verdict: &str| {
        ended(
            0,
            json!({"done": {"verdict": verdict, "message": "m", "receipt": "r", "original": "o", "originalSha256": "cc", "bytesBefore": 100, "bytesAfter": 40}}),
        )
    };
    let table = [
        ("Encoded", "Replaced", Phase::Succeeded),
        ("Encoded", "SourceChanged", Phase::Skipped),
        ("Rejected", "Recorded", Phase::Rejected),
        ("Skipped", "Recorded", Phase::Skipped),
        ("Failed", "Recorded", Phase::Failed),
    ];
    for (verdict, settled, phase) in table {
        let mut o = settling(json!({"verdict": verdict}));
        o.pods = vec![pod("settle", 1, done(settled))];
        let decision = decide(&o, &options());
        assert_eq!(decision.status.phase, phase, "{verdict} {settled}");
        assert_eq!(decision.status.result.as_ref().map(|r| r.bytes_saved), (phase == Phase::Succeeded).then_some(60));
        let mut after = Observed { batch_jobs: vec![batch("settle", 1)], ..o };
        after.job.status = Some(decision.status);
        assert_eq!(names(&decide(&after, &options())), ["delete job-settle-1"]);
        after.batch_jobs.clear();
        assert_eq!(names(&decide(&after, &options())), ["release"]);
    }
}
