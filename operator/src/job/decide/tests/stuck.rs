//! Pods that have not begun for minutes, for a reason that the cluster gives: they are made anew, as they would be by now.

use super::*;
use crate::pods::Setup;

const REFUSED: &str = "ImagePullBackOff: not found";

/// A pod whose image cannot be pulled, since so many seconds before now.
fn refused(role: &str, run: i64, seconds: i64) -> PodFacts {
    let state = PodState::Live { ip: None, unschedulable: None, waiting: Some(REFUSED.into()), started: false };
    let now: jiff::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let since = now.checked_sub(SignedDuration::from_secs(seconds)).unwrap();
    PodFacts { setup: Some(Setup { since, mounted: true }), ..pod(role, run, state) }
}

#[test]
fn an_encode_pod_is_made_anew_and_that_is_no_attempt() {
    let after = |seconds| {
        let pods = vec![refused("encode", 1, seconds)];
        decide(&Observed { batch_jobs: vec![batch("encode", 1)], pods, ..encoding(1) }, &options()).status
    };
    let early = after(300);
    let placed = crate::conditions::find(&early.conditions, conditions::PLACED).unwrap().clone();
    assert_eq!((early.phase, placed.status.as_str(), placed.reason.as_str()), (Phase::Encoding, "True", "NotStarted"));
    assert!(placed.message.ends_with(REFUSED), "{}", placed.message);
    let late = after(301);
    assert_eq!((late.phase, late.failures, late.lost, late.pod_uid), (Phase::Queued, 0, 0, None));
}

#[test]
fn a_settle_pod_is_made_anew_once_it_is_gone() {
    let mut o = settling(json!({}));
    o.batch_jobs = vec![batch("settle", 1)];
    o.pods = vec![refused("settle", 1, 300)];
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0]);
    o.pods = vec![refused("settle", 1, 301)];
    let decision = decide(&o, &options());
    assert_eq!(names(&decision), ["delete job-settle-1"]);
    let settled = crate::conditions::find(&decision.status.conditions, conditions::SETTLED).unwrap();
    assert_eq!(settled.message, REFUSED);
    o.job.status = Some(decision.status);
    o.batch_jobs.clear();
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0], "the pod is there still");
    o.pods.clear();
    let next = decide(&o, &options());
    assert_eq!(next.status.pending_settle.unwrap().run, 2);
}

#[test]
fn a_writer_that_has_not_begun_is_not_waited_for_when_the_job_is_deleted() {
    let mut o = settling(json!({}));
    o.job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(o.now));
    o.batch_jobs = vec![batch("settle", 1)];
    o.pods = vec![refused("settle", 1, 0)];
    let decision = decide(&o, &options());
    assert_eq!((names(&decision), decision.released), (vec!["delete job-settle-1".to_owned()], false));
    o.job.status.as_mut().unwrap().pending_settle.as_mut().unwrap().ended_pods = vec!["earlier".into()];
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0], "it may have to end a swap");
    o.pods = vec![refused("settle", 1, 301)];
    assert_eq!(names(&decide(&o, &options())), ["delete job-settle-1"]);
}
