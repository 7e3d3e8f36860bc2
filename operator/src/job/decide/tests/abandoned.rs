//! Pods on a node that is not heard of any more, and pods of an operator before this one.

use std::sync::Arc;

use super::*;
use crate::build::PodOptions;

/// The node of all pods, silent since so many seconds.
fn silent(o: &mut Observed, seconds: i64) {
    let since = o.now.checked_sub(SignedDuration::from_secs(seconds)).unwrap().to_string();
    let node = |name: &str, ready: &str| {
        let node = json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "memory": "16Gi"},
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": since}]}});
        NodeFacts::of(&serde_json::from_value(node).unwrap())
    };
    o.nodes = Arc::new([node("n", "Unknown"), node("m", "True")]);
}

#[test]
fn an_encode_goes_on_elsewhere_in_a_folder_of_its_own_when_its_node_was_silent_for_ten_minutes() {
    let mut o = observed(json!({"phase": "Encoding", "run": 1, "podUid": "encode-1", "workRun": 1}));
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, runs())];
    silent(&mut o, 599);
    assert_eq!(decide(&o, &options()).status.phase, Phase::Encoding);
    silent(&mut o, 600);
    let decision = decide(&o, &options());
    let status = &decision.status;
    assert_eq!((status.phase, status.failures, status.lost), (Phase::Queued, 0, 1));
    assert_eq!((status.work_run, status.left_run), (None, Some(1)));
    let placed = crate::conditions::find(&status.conditions, conditions::PLACED).unwrap();
    assert!(placed.message.ends_with("goes on from what is finished"), "{}", placed.message);
    let note = &decision.events.last().unwrap().note;
    assert_eq!(note, "node n has not been heard of for 10m 0s");
    o.job.status = Some(decision.status);
    assert_eq!(names(&decide(&o, &options())), ["delete job-encode-1"]);
    o.batch_jobs.clear();
    let status = o.job.status.as_mut().unwrap();
    (status.phase, status.run) = (Phase::Encoding, 2);
    let made = decide(&o, &options());
    assert_eq!(names(&made), ["create job-encode-2"], "the old pod is still there");
    let task = task_of(&made);
    assert_eq!((task.take_over_run, task.link_run), (None, Some(1)));
    silent(&mut o, 0);
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0], "it is back: it ends first");
}

#[test]
fn a_pod_that_may_write_is_waited_for_however_long_its_node_is_silent() {
    let mut o = settling(json!({"podUid": "settle-1"}));
    o.batch_jobs = vec![batch("settle", 1)];
    o.pods = vec![pod("settle", 1, runs())];
    silent(&mut o, 86_400);
    let decision = decide(&o, &options());
    assert_eq!((names(&decision), decision.status.pending_settle.unwrap().run), (vec![], 1));
    o.job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(o.now));
    assert!(!decide(&o, &options()).released);
    // Kubernetes removes it once its node is gone or has the taint out-of-service.
    o.pods.clear();
    o.job.metadata.deletion_timestamp = None;
    assert_eq!(decide(&o, &options()).status.pending_settle.unwrap().ended_pods, ["settle-1"]);
}

#[test]
fn a_job_that_is_deleted_does_not_wait_for_an_encode_on_a_silent_node() {
    let mut o = encoding(1);
    o.job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(o.now));
    o.pods = vec![pod("encode", 1, runs())];
    silent(&mut o, 60);
    assert!(!decide(&o, &options()).released);
    silent(&mut o, 600);
    assert!(decide(&o, &options()).released);
}

#[test]
fn an_upgraded_operator_lets_running_encodes_go_on() {
    let mut o = observed(json!({"phase": "Encoding", "run": 1, "podUid": "encode-1"}));
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, runs())];
    // Another image, another size of pods: what it would build is not what runs.
    let pods = PodOptions { image: "encoder:2".into(), grace_seconds: 30, ..options().pods };
    let newer = Options { pods, ..options() };
    o.library.as_mut().unwrap().spec.pods = serde_json::from_value(json!({"cpus": 2, "memory": "1Gi"})).unwrap();
    let decision = decide(&o, &newer);
    assert_eq!((names(&decision), decision.status.phase, decision.status.run), (vec![], Phase::Encoding, 1));
    o.pods[0].state = ended(0, encode_result("Encoded", "Encoded"));
    o.report = report();
    assert_eq!(decide(&o, &newer).status.phase, Phase::Settling);
}

#[test]
fn what_pods_of_an_earlier_version_say_is_understood() {
    use av1_crds::wire::{EncodeReport, PodResult};
    use av1_fuzz::samples;
    serde_json::from_str::<PodResult<EncodeResult>>(samples::TERMINATION).unwrap();
    serde_json::from_str::<EncodeReport>(samples::REPORT).unwrap();
    serde_json::from_str::<EncodeProgress>(samples::PROGRESS).unwrap();
    serde_json::from_str::<EncodeJob>(samples::JOB).unwrap();
    serde_json::from_str::<MediaLibrary>(samples::LIBRARY).unwrap();
}
