//! What follows a run whose memory ran out.

use std::sync::Arc;

use super::*;
use av1_crds::wire::EncodeTask;

fn killed() -> PodState {
    let PodState::Ended(how) = ended(137, json!("")) else { unreachable!() };
    PodState::Ended(Ended { reason: "OOMKilled".into(), ..how })
}

/// An encode whose pod had so much memory and so many workers, and was killed for it.
fn starved(memory_mib: u64, workers: u32) -> Observed {
    let mut o = observed(json!({"phase": "Encoding", "run": 1, "plan": {"workers": workers}}));
    o.batch_jobs = vec![BatchFacts { ended: true, ..batch("encode", 1) }];
    o.pods = vec![PodFacts { memory: Some(memory_mib << 20), ..pod("encode", 1, killed()) }];
    o
}

fn memory(kills: i64, memory_mib: i64, workers: u32) -> Option<av1_crds::job::OutOfMemory> {
    Some(av1_crds::job::OutOfMemory { kills, memory_bytes: memory_mib << 20, workers })
}

fn told(decision: &Decision) -> String {
    let outcome = decision.status.outcome.clone().unwrap();
    assert_eq!(outcome.reason, "OutOfMemory");
    assert!(decision.events.iter().any(|event| event.warning && event.note == outcome.message), "{outcome:?}");
    outcome.message
}

/// The pod that is made once that is on record: its memory in MiB, and the workers that it is told.
fn next_pod(o: &Observed, decision: &Decision) -> (String, u32, Option<i64>) {
    let mut next = Observed { batch_jobs: Vec::new(), pods: Vec::new(), ..o.clone() };
    let mut status = decision.status.clone();
    (status.phase, status.run) = (Phase::Encoding, status.run + 1);
    // As another operator reads it.
    next.job.status = Some(serde_json::from_value(json!(status)).unwrap());
    let decision = decide(&next, &options());
    let Some(Action::Create(job)) = decision.actions.first() else { panic!("{:?}", decision.actions) };
    let main = job.spec.clone().unwrap().template.spec.unwrap().containers[0].clone();
    let task: EncodeTask = serde_json::from_str(&main.args.unwrap()[3]).unwrap();
    let resources = main.resources.unwrap();
    assert_eq!(resources.requests.as_ref().unwrap()["memory"], resources.limits.as_ref().unwrap()["memory"]);
    (resources.limits.unwrap()["memory"].0.clone(), task.workers, task.take_over_run)
}

#[test]
fn a_run_whose_memory_ran_out_is_followed_by_one_with_more_memory_fewer_workers_and_the_same_chunks() {
    let o = starved(8 << 10, 4);
    let decision = decide(&o, &options());
    assert_eq!((decision.status.phase, decision.status.failures, decision.status.lost), (Phase::Queued, 1, 0));
    assert_eq!(decision.status.out_of_memory, memory(1, 12 << 10, 2));
    assert_eq!(
        told(&decision),
        "the pod's 8.0 GiB of memory ran out with 4 workers; the next run gets 12.0 GiB and 2 workers"
    );
    assert_eq!(next_pod(&o, &decision), ("12288Mi".into(), 2, Some(1)));
}

#[test]
fn no_pod_asks_for_more_memory_than_every_chosen_node_has_for_it() {
    let o = starved(10 << 10, 2);
    let decision = decide(&o, &options());
    // 80 % of 16 GiB.
    assert_eq!(decision.status.out_of_memory, memory(1, 13_107, 1));
    assert!(
        told(&decision).ends_with("gets 12.8 GiB, the most that every chosen node has for it, and 1 worker"),
        "{}",
        told(&decision)
    );
    assert_eq!(next_pod(&o, &decision).0, "13107Mi");
    let mut full = starved(13_107, 1);
    full.job.status.as_mut().unwrap().out_of_memory = memory(1, 13_107, 1);
    let decision = decide(&full, &options());
    assert_eq!(decision.status.out_of_memory, memory(2, 13_107, 1));
    assert!(
        told(&decision).ends_with("gets no more memory, for the chosen nodes have none, and 1 worker"),
        "{}",
        told(&decision)
    );
    // What stands in the status is held against the nodes there are.
    let mut edited = starved(4 << 10, 4);
    let mut wild = decide(&edited, &options());
    wild.status.out_of_memory = memory(1, i64::MAX >> 20, 0);
    assert_eq!(next_pod(&edited, &wild), ("13107Mi".into(), 1, Some(1)));
    edited.nodes = Arc::default();
    assert_eq!(decide(&edited, &options()).status.out_of_memory, memory(1, 4 << 10, 2), "no node to be had");
}

#[test]
fn memory_and_workers_that_the_user_asks_for_are_where_it_begins() {
    let mut o = starved(2 << 10, 6);
    o.library.as_mut().unwrap().spec.pods = serde_json::from_value(json!({"memory": "2Gi", "workers": 6})).unwrap();
    let decision = decide(&o, &options());
    assert_eq!(decision.status.out_of_memory, memory(1, 3 << 10, 3));
    assert_eq!(next_pod(&o, &decision), ("3072Mi".into(), 3, Some(1)));
    o.library.as_mut().unwrap().spec.pods = serde_json::from_value(json!({"memory": "6Gi"})).unwrap();
    assert_eq!(next_pod(&o, &decision).0, "6144Mi", "more by now");
}

#[test]
fn the_last_attempt_says_what_to_do_and_another_try_begins_without() {
    let mut o = starved(4 << 10, 1);
    o.job.status.as_mut().unwrap().failures = 2;
    let decision = decide(&o, &options());
    let outcome = decision.status.outcome.clone().unwrap();
    assert_eq!(
        (decision.status.phase, outcome.reason.as_str(), outcome.message.as_str()),
        (
            Phase::Failed,
            "TooManyFailures",
            "3 of 3 attempts failed, the last one with OutOfMemory: the pod's 4.0 GiB of memory ran out with 1 worker; raise spec.pods.memory, or take nodes that have more"
        )
    );
    let mut again = Observed { batch_jobs: Vec::new(), pods: Vec::new(), ..o };
    again.job.status = Some(decision.status);
    again.job.spec.retry = 1;
    let decision = decide(&again, &options());
    assert_eq!((decision.status.phase, decision.status.out_of_memory), (Phase::Queued, None));
}

#[test]
fn an_evicted_pod_whose_container_was_killed_is_lost_and_an_init_container_needs_no_more_memory() {
    let mut o = starved(4 << 10, 4);
    let PodState::Ended(how) = killed() else { unreachable!() };
    o.pods[0].state = PodState::Ended(Ended { reason: "Evicted".into(), disrupted: true, ..how.clone() });
    let decision = decide(&o, &options());
    assert_eq!((decision.status.failures, decision.status.lost, decision.status.out_of_memory), (0, 1, None));
    o.pods[0].state = PodState::Ended(Ended { initialised: false, ..how });
    let decision = decide(&o, &options());
    assert_eq!((decision.status.failures, decision.status.out_of_memory), (1, None));
}
