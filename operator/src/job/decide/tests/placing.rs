//! What becomes of an encode pod that no node takes.

use super::*;

/// The Job that is made of what is recorded.
pub(super) fn made(o: &Observed) -> BatchFacts {
    let decision = decide(o, &options());
    let Some(Action::Create(job)) = decision.actions.last() else { panic!("{:?}", decision.actions) };
    BatchFacts::of(job)
}

pub(super) fn unschedulable() -> PodState {
    let why = "0/1 nodes: Insufficient cpu".to_owned();
    PodState::Live { ip: None, unschedulable: Some(why), waiting: None, started: false }
}

/// An encode whose pod no node takes.
fn stuck() -> Observed {
    let mut o = encoding(1);
    o.batch_jobs = vec![made(&o)];
    o.pods = vec![PodFacts { node: None, ..pod("encode", 1, unschedulable()) }];
    o.job.status = Some(decide(&o, &options()).status);
    o
}

fn pods(o: &mut Observed, pods: Value) {
    o.library.as_mut().unwrap().spec.pods = Some(serde_json::from_value(pods).unwrap());
}

#[test]
fn a_pod_that_no_node_takes_is_made_anew_once_its_placement_is_mended_and_nothing_is_counted() {
    let wishes = [
        json!({"cpus": "1"}),
        json!({"memory": "3Gi"}),
        json!({"nodeSelector": {}}),
        json!({"tolerations": [{"operator": "Exists"}]}),
        json!({"affinity": {"podAntiAffinity": {}}}),
        json!({"priorityClassName": "high"}),
    ];
    for wish in wishes {
        let mut o = stuck();
        pods(&mut o, wish.clone());
        let status = decide(&o, &options()).status;
        assert_eq!(
            (status.phase, status.failures, status.lost, status.not_before),
            (Phase::Queued, 0, 0, None),
            "{wish}"
        );
        assert_eq!((status.pod_uid, status.run), (None, 1), "the next turn takes the next run");
        o.job.status.as_mut().unwrap().phase = Phase::Queued;
        assert_eq!(names(&decide(&o, &options())), ["delete job-encode-1"]);
        let mut next = observed(json!({"phase": "Encoding", "run": 2}));
        pods(&mut next, wish.clone());
        let name = made(&next).name;
        o = Observed { batch_jobs: vec![made(&next)], ..next };
        o.pods = vec![PodFacts { node: None, ..pod("encode", 2, unschedulable()) }];
        let again = decide(&o, &options());
        assert_eq!(
            (again.status.phase, names(&again), name.as_str()),
            (Phase::Encoding, vec![], "job-encode-2"),
            "{wish}"
        );
    }
}

#[test]
fn a_pod_goes_after_a_node_that_came_and_is_left_alone_when_nothing_differs_or_it_has_begun_or_none_would_be_made() {
    let o = stuck();
    assert_eq!(decide(&o, &options()).status.phase, Phase::Encoding, "as it was made");
    let mut begun = o.clone();
    begun.pods[0].state = runs();
    pods(&mut begun, json!({"cpus": "1"}));
    assert_eq!(decide(&begun, &options()).status.phase, Phase::Encoding);
    let mut none = o.clone();
    pods(&mut none, json!({"cpus": "64"}));
    let decision = decide(&none, &options());
    assert_eq!((decision.status.phase, reason(&decision, "Placed").as_str()), (Phase::Encoding, "False Unschedulable"));
    let mut other = o;
    let node = json!({"metadata": {"name": "m"}, "status": {"allocatable": {"cpu": "2", "memory": "16Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}});
    other.nodes = std::sync::Arc::new([NodeFacts::of(&serde_json::from_value(node).unwrap())]);
    assert_eq!(decide(&other, &options()).status.phase, Phase::Queued, "a node took the place of another");
}

#[test]
fn a_job_whose_pod_is_refused_is_made_anew_once_it_would_be_smaller() {
    let mut o = encoding(1);
    o.batch_jobs = vec![BatchFacts { made: Some(o.now), ..made(&o) }];
    pods(&mut o, json!({"cpus": "1"}));
    assert_eq!(decide(&o, &options()).status.phase, Phase::Encoding, "its pod may still come");
    o.now = o.now.checked_add(SignedDuration::from_secs(31)).unwrap();
    assert_eq!(decide(&o, &options()).status.phase, Phase::Queued);
}
