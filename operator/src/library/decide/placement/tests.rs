//! Surveys from made-up nodes and pods: no cluster, no clock.

use std::sync::Arc;

use super::super::super::observe::{ClaimFacts, Observed, SummaryView};
use super::super::decide;
use super::*;
use crate::context::Options;
use crate::library::decide::Decision;
use serde_json::{Value, json};

fn options() -> Options {
    Options::sample()
}

fn node(name: &str, boot_id: &str, cpus: &str) -> NodeFacts {
    let node = serde_json::from_value(json!({"metadata": {"name": name}, "status": {
        "allocatable": {"cpu": cpus, "memory": "256Gi"}, "conditions": [{"type": "Ready", "status": "True"}],
        "nodeInfo": {"bootID": boot_id, "architecture": "", "containerRuntimeVersion": "", "kernelVersion": "", "kubeProxyVersion": "",
            "kubeletVersion": "", "machineID": "", "operatingSystem": "", "osImage": "", "systemUUID": ""}}}));
    NodeFacts::of(&node.unwrap())
}

fn observed(nodes: Vec<NodeFacts>) -> Observed {
    let library = json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
        "metadata": {"name": "films", "namespace": "media", "uid": "lib"},
        "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}}});
    Observed {
        library: serde_json::from_value(library).unwrap(),
        claim: ClaimFacts::Found { phase: "Bound".into(), access_modes: vec!["ReadWriteMany".into()], deleting: false },
        living: None,
        prepare_jobs: Vec::new(),
        prepare_pods: Vec::new(),
        sidecar_jobs: Vec::new(),
        sidecar_pods: Vec::new(),
        sidecars: None,
        purge_jobs: Vec::new(),
        purge_pods: Vec::new(),
        survey_jobs: Vec::new(),
        survey_pods: Vec::new(),
        nodes: nodes.into(),
        lost_node: None,
        surveyed: Vec::new(),
        leftovers: None,
        deployment: None,
        service: None,
        catalog_pod: None,
        summary: SummaryView::NotAsked,
        candidates: Vec::new(),
        too_large: None,
        jobs: Vec::new(),
        unreadable_jobs: false,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

/// The next look after a while: what was decided is on record, a Job that was to be made exists, one that was to go is gone.
fn next(mut observed: Observed, decision: &Decision, seconds: i64) -> Observed {
    observed.library.status = Some(decision.status.clone());
    let made = decision
        .desired
        .survey
        .iter()
        .map(|job| crate::batch::BatchFacts { made: Some(observed.now), ..crate::batch::BatchFacts::of(job) });
    observed.survey_jobs.extend(made);
    observed.survey_jobs.retain(|job| !decision.desired.old_surveys.contains(&job.name));
    observed.survey_pods.retain(|pod| observed.survey_jobs.iter().any(|job| pod.name.starts_with(&job.name)));
    observed.now = observed.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    observed
}

fn pod(observed: &mut Observed, state: PodState) {
    let job = observed.survey_jobs.last().unwrap().name.clone();
    let pod = crate::pods::PodFacts {
        uid: "u".into(),
        name: format!("{job}-abcde"),
        role: "survey".into(),
        run: 0,
        node: None,
        memory: None,
        setup: None,
        state,
    };
    observed.survey_pods = vec![pod];
}

fn ended(code: Option<i32>, reason: &str, note: &str, message: &Value) -> PodState {
    PodState::Ended(Ended {
        code,
        reason: reason.into(),
        note: note.into(),
        message: message.to_string(),
        disrupted: false,
        initialised: true,
        at: None,
    })
}

fn done(domains: usize, exclusive: bool) -> PodState {
    let found = json!({"done": {"cpuModel": "AMD EPYC 7742 64-Core Processor", "vendor": "AuthenticAMD", "family": 23, "onlineCpus": 128,
        "threadsPerCore": 2, "cacheDomains": vec![8; domains], "numaDomains": [128], "exclusive": exclusive}});
    ended(Some(0), "Completed", "", &found)
}

fn placement(decision: &Decision) -> PlacementStatus {
    decision.status.placement.clone().unwrap()
}

fn asked_cpus(decision: &Decision) -> String {
    let job = decision.desired.survey.clone().unwrap();
    let container = &job.spec.unwrap().template.spec.unwrap().containers[0];
    container.resources.clone().unwrap().limits.unwrap()["cpu"].0.clone()
}

#[test]
fn nodes_are_surveyed_one_at_a_time_and_what_is_found_is_on_record_before_the_job_goes() {
    let mut o = observed(vec![node("b", "1", "126"), node("a", "1", "126")]);
    let first = decide(&o, &options());
    assert_eq!((placement(&first).cpus_per_job, placement(&first).eligible_nodes), (Some(126), 2));
    assert_eq!(placement(&first).message.unwrap(), "not surveyed yet: a, b");
    o = next(o, &first, 2);
    pod(&mut o, done(16, true));
    let second = decide(&o, &options());
    let found = placement(&second);
    assert_eq!(found.nodes[0].survey.as_ref().unwrap().cache_domains, [8; 16]);
    assert_eq!((found.nodes[0].name.as_str(), found.nodes[1].survey.is_none()), ("a", true));
    assert!(second.desired.old_surveys.is_empty());
    o.survey_jobs[0].ended = true;
    o = next(o, &second, 1);
    let third = decide(&o, &options());
    assert_eq!(third.desired.old_surveys, [o.survey_jobs[0].name.clone()]);
    o = next(o, &third, 1);
    pod(&mut o, done(16, true));
    let last = placement(&decide(&o, &options()));
    // 126 CPUs can be had: fifteen whole domains.
    assert_eq!((last.eligible_nodes, last.cpus_per_job, last.cores_per_cache_domain), (2, Some(120), Some(4)));
    assert_eq!((last.workers_per_job, last.message), (Some(30), None));
}

#[test]
fn a_surveyed_node_is_left_alone_until_it_starts_again() {
    let mut o = observed(vec![node("a", "1", "126")]);
    o = next(o.clone(), &decide(&o, &options()), 2);
    pod(&mut o, done(16, true));
    o = next(o.clone(), &decide(&o, &options()), 2);
    let settled = decide(&o, &options());
    assert!(settled.desired.survey.is_none());
    assert_eq!(settled.status.placement, o.library.status.as_ref().unwrap().placement);
    o = next(o, &settled, 2);
    o.nodes = Arc::new([node("a", "2", "126")]);
    let again = decide(&o, &options());
    assert!(again.desired.survey.is_some());
    assert_eq!((placement(&again).cpus_per_job, placement(&again).cores_per_cache_domain), (Some(126), None));
}

#[test]
fn a_refused_survey_tells_the_cores_and_is_tried_with_a_whole_one() {
    let mut o = observed(vec![node("a", "1", "126")]);
    let first = decide(&o, &options());
    assert_eq!(asked_cpus(&first), "1");
    o = next(o, &first, 2);
    let note = "Pod was rejected: SMT Alignment Error: requested 1 cpus not multiple cpus per core = 2";
    pod(&mut o, ended(None, "SMTAlignmentError", note, &Value::Null));
    o.survey_jobs[0].ended = true;
    let second = decide(&o, &options());
    assert_eq!(placement(&second).nodes[0].cpu_alignment, Some(2));
    assert_eq!(asked_cpus(&second), "2");
    assert_ne!(second.desired.survey.as_ref().unwrap().metadata.name, first.desired.survey.unwrap().metadata.name);
}

#[test]
fn a_survey_that_finds_no_cpu_or_does_not_start_goes_and_is_tried_later() {
    let live = |unschedulable: Option<&str>, waiting: Option<&str>| PodState::Live {
        ip: None,
        unschedulable: unschedulable.map(str::to_owned),
        waiting: waiting.map(str::to_owned),
        started: false,
    };
    for (state, seconds) in [
        (Some(live(Some("0/1 nodes: Insufficient cpu"), None)), 2),
        (Some(live(None, Some("ErrImagePull: no such image"))), 61),
        (Some(live(None, None)), 61),
        (Some(ended(Some(1), "Error", "", &Value::Null)), 2),
        (None, 61),
    ] {
        let mut o = observed(vec![node("a", "1", "4")]);
        o = next(o.clone(), &decide(&o, &options()), seconds);
        if let Some(state) = state.clone() {
            pod(&mut o, state);
        }
        let decision = decide(&o, &options());
        let record = placement(&decision).nodes[0].clone();
        assert_eq!((record.attempts, record.survey), (1, None), "{state:?}");
        // Encodes go on with what is known without.
        assert_eq!(placement(&decision).cpus_per_job, Some(4));
        o = next(o, &decision, 2);
        let decision = decide(&o, &options());
        assert_eq!((decision.desired.old_surveys.len(), decision.desired.survey.is_none()), (1, true), "{state:?}");
        o = next(o, &decision, 60);
        assert!(decide(&o, &options()).desired.survey.is_some(), "{state:?}");
    }
}

#[test]
fn no_survey_takes_the_cpus_from_an_encode_that_waits_for_them_or_runs_while_the_library_is_suspended() {
    let job = |placed: &str, pod: Option<&str>| -> EncodeJob {
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "j", "uid": "j"},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}},
            "status": {"phase": "Encoding", "run": 1, "podName": pod, "conditions": [{"type": "Placed", "status": placed, "reason": "r",
                "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
        .unwrap()
    };
    let mut o = observed(vec![node("a", "1", "4")]);
    for (jobs, surveys) in [
        (vec![job("False", Some("p"))], false),
        (vec![job("True", Some("p"))], true),
        // Its pod can't be made for want of a survey, perhaps.
        (vec![job("False", None)], true),
    ] {
        o.jobs = jobs.into_iter().map(Arc::new).collect();
        assert_eq!(decide(&o, &options()).desired.survey.is_some(), surveys);
    }
    o.jobs.clear();
    o.library.spec.suspend = true;
    assert!(decide(&o, &options()).desired.survey.is_none());
}

#[test]
fn what_another_library_found_is_taken_over() {
    let mut o = observed(vec![node("a", "1", "126")]);
    let survey =
        NodeSurvey { exclusive: false, threads_per_core: 2, cache_domains: vec![8; 16], ..NodeSurvey::default() };
    o.surveyed =
        vec![SurveyedNode { name: "a".into(), boot_id: "1".into(), survey: Some(survey), ..SurveyedNode::default() }];
    let decision = decide(&o, &options());
    assert!(decision.desired.survey.is_none());
    assert_eq!(placement(&decision).cpus_per_job, Some(120));
    assert!(placement(&decision).message.unwrap().contains("not static: a"));
}
