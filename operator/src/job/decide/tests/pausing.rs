//! What runs when the library's schedule ends, and Jobs that wait for Kueue.

use super::*;

fn with_schedule(outside: &str) -> Observed {
    let mut o = encoding(1);
    // The observed time is Thursday, 2026-01-01, midnight in UTC.
    o.library.as_mut().unwrap().spec.schedule = Some(
        serde_json::from_value(
            json!({"windows": [{"days": ["Sat"], "start": "22:00", "end": "07:00"}], "outside": outside}),
        )
        .unwrap(),
    );
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, runs())];
    o
}

#[test]
fn at_the_end_of_a_window_an_encode_pauses_and_goes_on_in_the_next() {
    let mut o = with_schedule("Pause");
    assert_eq!(names(&decide(&o, &options())), ["delete job-encode-1"]);
    o.batch_jobs[0].deleting = true;
    o.pods[0].state = ended(143, json!(""));
    let decision = decide(&o, &options());
    assert_eq!((decision.status.phase, decision.status.lost), (Phase::Paused, 0));
    let placed = crate::conditions::find(&decision.status.conditions, conditions::PLACED).unwrap();
    assert_eq!(placed.reason, "OutsideSchedule");
    assert!(placed.message.contains("Sat 2026-01-03 22:00 UTC"), "{}", placed.message);
    let mut paused = Observed { batch_jobs: Vec::new(), pods: Vec::new(), ..o };
    paused.job.status = Some(decision.status);
    assert_eq!(decide(&paused, &options()).requeue, Some(Duration::from_secs(30)));
    paused.now = "2026-01-03T21:59:53Z".parse().unwrap();
    assert_eq!(decide(&paused, &options()).requeue, Some(Duration::from_secs(7)));
    paused.now = "2026-01-03T22:00:00Z".parse().unwrap();
    assert_eq!(decide(&paused, &options()).status.phase, Phase::Queued);
}

#[test]
fn an_encode_that_may_finish_is_left_alone() {
    let decision = decide(&with_schedule("Finish"), &options());
    assert_eq!((names(&decision), decision.status.phase), (Vec::<String>::new(), Phase::Encoding));
}

#[test]
fn a_job_that_kueue_holds_says_so() {
    let mut o = encoding(1);
    o.batch_jobs = vec![BatchFacts { suspended: true, ..batch("encode", 1) }];
    let decision = decide(&o, &options());
    let placed = crate::conditions::find(&decision.status.conditions, conditions::PLACED).unwrap();
    assert_eq!(placed.reason, "WaitingForQueue");
    assert!(names(&decision).is_empty());
}
