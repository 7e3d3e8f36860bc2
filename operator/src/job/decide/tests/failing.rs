//! Runs that fail, are lost, or come to nothing: what counts as an attempt, and when a job is given up.

use super::*;

#[test]
fn failures_are_tried_again_with_a_growing_pause_and_given_up_at_the_limit() {
    let mut o = encoding(1);
    o.batch_jobs = vec![batch("encode", 1)];
    let failed = json!({"failed": {"reason": "EncodeFailed", "message": "m", "retryable": true}});
    o.pods = vec![pod("encode", 1, ended(1, failed))];
    let first = decide(&o, &options());
    assert_eq!(
        (first.status.phase, first.status.failures, first.status.not_before.as_deref()),
        (Phase::Queued, 1, Some("2026-01-01T00:00:10Z"))
    );
    o.job.status.as_mut().unwrap().failures = 2;
    let third = decide(&o, &options());
    assert_eq!((third.status.phase, third.status.outcome.unwrap().reason.as_str()), (Phase::Failed, "TooManyFailures"));
    o.job.status.as_mut().unwrap().source = serde_json::from_value(identity()).unwrap();
    let third = decide(&o, &options());
    assert_eq!(
        (third.status.phase, third.status.pending_settle.unwrap().verdict.as_str()),
        (Phase::Settling, "Failed")
    );
    let bad = json!({"failed": {"reason": "ToolsUnusable", "message": "m", "retryable": false}});
    o = Observed { pods: vec![pod("encode", 1, ended(69, bad))], ..encoding(1) };
    assert_eq!(decide(&o, &options()).status.phase, Phase::Failed, "final at once");
}

#[test]
fn a_lost_pod_is_no_failure_until_twenty_in_a_row_finished_nothing() {
    let lost = PodState::Ended(Ended {
        code: None,
        reason: "Evicted".into(),
        note: String::new(),
        message: String::new(),
        disrupted: true,
        initialised: true,
        at: None,
    });
    let mut o = encoding(1);
    o.pods = vec![pod("encode", 1, lost)];
    let decision = decide(&o, &options());
    assert_eq!(
        (decision.status.phase, decision.status.failures, decision.status.lost, decision.status.work_run),
        (Phase::Queued, 0, 1, Some(1))
    );
    o.job.status.as_mut().unwrap().fruitless = 19;
    assert_eq!(decide(&o, &options()).status.outcome.unwrap().reason, "PodLost");
    o.job.status.as_mut().unwrap().fruitless = 12;
    let late = decide(&o, &options()).status.not_before.unwrap();
    assert_eq!(late, "2026-01-01T01:00:00Z", "a node that has no room now may have some in an hour");
    let mut gone = observed(json!({"phase": "Encoding", "run": 1, "podUid": "encode-1"}));
    gone.batch_jobs = vec![BatchFacts { ended: true, ..batch("encode", 1) }];
    assert_eq!(decide(&gone, &options()).status.lost, 1);
}

#[test]
fn the_next_run_prefers_other_nodes_than_those_where_one_failed_or_was_lost() {
    let ends = |status: Value, how: PodState| {
        let o = Observed {
            batch_jobs: vec![batch("encode", 1)],
            pods: vec![PodFacts { node: Some("b".into()), ..pod("encode", 1, how) }],
            ..observed(status)
        };
        decide(&o, &options()).status
    };
    let began = || json!({"phase": "Encoding", "run": 1, "nodeName": "a", "failedNodes": ["b", "a"]});
    let failed = || ended(1, json!({"failed": {"reason": "EncodeFailed", "message": "m", "retryable": true}}));
    let status = ends(began(), failed());
    assert_eq!((status.failures, status.failed_nodes), (1, vec!["a".to_owned(), "b".into()]));
    let lost = ended(255, json!(""));
    assert_eq!(ends(json!({"phase": "Encoding", "run": 1}), lost).failed_nodes, ["b"]);
    let full = ended(1, json!({"failed": {"reason": "NoSpace", "message": "m", "retryable": true}}));
    assert!(ends(json!({"phase": "Encoding", "run": 1}), full).failed_nodes.is_empty(), "it is the volume's fault");

    let next = observed(json!({"phase": "Encoding", "run": 2, "failedNodes": ["b"]}));
    let decision = decide(&next, &options());
    let Some(Action::Create(job)) = decision.actions.first() else { panic!("{:?}", decision.actions) };
    let affinity = json!(job.spec.clone().unwrap().template.spec.unwrap().affinity);
    let avoided = &affinity["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"][0];
    assert_eq!(avoided["preference"]["matchFields"][0]["values"], json!(["b"]), "{affinity}");

    let mut again = observed(json!({"phase": "Queued", "failedNodes": ["b"]}));
    again.job.spec.retry = 1;
    assert!(decide(&again, &options()).status.failed_nodes.is_empty());
}

#[test]
fn an_encode_that_gets_on_between_two_lost_pods_is_never_given_up() {
    let mut o = observed(json!({"phase": "Encoding", "run": 20, "lost": 19, "fruitless": 19, "podUid": "encode-20"}));
    o.batch_jobs = vec![batch("encode", 20)];
    o.pods = vec![pod("encode", 20, runs())];
    let lost = |scratch: &str, chunks_done, chunks_resumed| {
        let mut o = o.clone();
        o.library.as_mut().unwrap().spec.pods = Some(serde_json::from_value(json!({"scratch": scratch})).unwrap());
        o.progress = Some(EncodeProgress { chunks_done, chunks_resumed, ..EncodeProgress::default() });
        let status = decide(&o, &options()).status;
        assert_eq!(status.lost, 19);
        status.fruitless
    };
    assert_eq!([lost("Library", 0, 0), lost("Library", 7, 7), lost("Library", 8, 7)], [19, 19, 0]);
    assert_eq!(lost("EmptyDir", 8, 0), 19, "it begins anew each time");
}

#[test]
fn a_full_or_failing_volume_and_a_node_that_refuses_the_pod_are_no_attempts() {
    for reason in ["NoSpace", "IoError"] {
        let mut o =
            observed(json!({"phase": "Encoding", "run": 1, "failures": 2, "fruitless": 3, "source": identity()}));
        let failed = json!({"failed": {"reason": reason, "message": "m", "retryable": true}});
        o.pods = vec![pod("encode", 1, ended(1, failed.clone()))];
        let status = decide(&o, &options()).status;
        assert_eq!((status.phase, status.failures, status.lost), (Phase::Queued, 2, 0), "{reason}");
        assert_eq!(status.fruitless, 4);
        assert_eq!(status.not_before.as_deref(), Some("2026-01-01T00:04:00Z"));
        o.job.status.as_mut().unwrap().fruitless = 19;
        let status = decide(&o, &options()).status;
        assert_eq!((status.phase, status.outcome.unwrap().reason.as_str()), (Phase::Settling, reason));
        let lasting = json!({"failed": {"reason": reason, "message": "m", "retryable": false}});
        o.pods = vec![pod("encode", 1, ended(1, lasting))];
        assert_eq!(decide(&o, &options()).status.failures, 3, "what stays as it is is final at once");
    }
    for reason in ["TopologyAffinityError", "SMTAlignmentError", "UnexpectedAdmissionError", "OutOfcpu"] {
        let PodState::Ended(how) = ended(0, json!("")) else { unreachable!() };
        let refused = Ended { code: None, reason: reason.into(), message: String::new(), initialised: false, ..how };
        let mut o = encoding(1);
        o.pods = vec![pod("encode", 1, PodState::Ended(refused))];
        let status = decide(&o, &options()).status;
        assert_eq!((status.phase, status.failures, status.lost), (Phase::Queued, 0, 1), "{reason}");
        let placed = crate::conditions::find(&status.conditions, "Placed").unwrap();
        assert!(placed.message.contains(reason), "{}", placed.message);
    }
}

#[test]
fn a_wrong_volume_gives_no_job_up() {
    let mut o = encoding(1);
    o.pods = vec![pod(
        "encode",
        1,
        ended(64, json!({"failed": {"reason": "WrongVolume", "message": "m", "retryable": false}})),
    )];
    let decision = decide(&o, &options());
    assert_eq!((decision.status.phase, decision.status.failures), (Phase::Queued, 0));
}
