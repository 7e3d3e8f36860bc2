//! A job and a small cluster under random events: pods that end in every way, vanish, are made late; operators that die
//! between recording and acting. The phase table is never left, two pods of a job never run at once, nothing is settled
//! twice, and once faults stop a terminal phase is reached, the one that the user wants where that is a restore. The user
//! changes what is wanted at any time.

use av1_crds::job::Desired;
use proptest::prelude::*;

use super::super::super::order::Order;
use super::*;

/// What happens next in the cluster.
#[derive(Debug, Clone, Copy)]
enum Happens {
    Reconcile,
    /// Status is written, actions are lost with the operator; or actions are done and the status is lost.
    DiesAfterApply,
    PodIsMade,
    PodEnds(usize),
    PodVanishes,
    JobIsDeleted,
    Suspend(bool),
    TimePasses,
    Want(Desired),
    Retry,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => Just(Happens::Reconcile),
        1 => Just(Happens::DiesAfterApply),
        4 => Just(Happens::PodIsMade),
        4 => (0..7_usize).prop_map(Happens::PodEnds),
        1 => Just(Happens::PodVanishes),
        1 => Just(Happens::JobIsDeleted),
        1 => any::<bool>().prop_map(Happens::Suspend),
        2 => Just(Happens::TimePasses),
        2 => prop_oneof![
            Just(Desired::Encoded),
            Just(Desired::Original),
            Just(Desired::Cancelled),
            Just(Desired::Skipped)
        ]
        .prop_map(Happens::Want),
        1 => Just(Happens::Retry),
    ]
}

struct World {
    o: Observed,
    /// Runs of encodes that were settled.
    settled: std::collections::BTreeSet<i64>,
}

impl World {
    fn reconcile(&mut self, recorded: bool) {
        self.admit();
        let before = self.o.phase();
        let decision = decide(&self.o, &options());
        for action in &decision.actions {
            match action {
                Action::Create(job) => {
                    let name = job.name_any();
                    let role = job.metadata.labels.as_ref().unwrap()["av1.media/role"].clone();
                    if self.o.batch_jobs.iter().all(|b| b.name != name) {
                        self.o.batch_jobs.push(BatchFacts { name, role, ..BatchFacts::default() });
                    }
                }
                Action::Delete(name) => self.delete(&name.clone()),
                Action::Release | Action::Notify(_) => {}
            }
        }
        if recorded {
            let after = decision.status.phase;
            assert!(before == after || before.may_become(after), "{before:?} -> {after:?}");
            self.o.job.status = Some(decision.status);
        }
    }

    /// The library reconciler's part.
    fn admit(&mut self) {
        let now = self.o.now;
        let (suspended, ordered) = (self.o.job.spec.suspend, order(&self.o.job));
        let (desired, retry) = (self.o.job.spec.desired, self.o.job.spec.retry);
        let status = self.o.job.status.as_mut().unwrap();
        let due = status.not_before.as_deref().is_none_or(|t| t.parse::<jiff::Timestamp>().unwrap() <= now);
        if status.phase == Phase::Queued && due && (!suspended || ordered.is_some()) {
            status.run += 1;
            (status.desired, status.retry) = (desired, retry);
            status.pod_uid = None;
            status.not_before = None;
            status.settings = serde_json::from_value(settings()).unwrap();
            status.phase = ordered.map_or(Phase::Encoding, Order::phase);
            if let Some(order) = ordered {
                status.write_run += 1;
                status.pending_settle = Some(av1_crds::job::PendingSettle {
                    verdict: order.name(),
                    encode_run: status.run,
                    run: status.write_run,
                    ..Default::default()
                });
            }
        }
    }

    /// Background deletion: the pods get SIGTERM and end without a result.
    fn delete(&mut self, name: &str) {
        self.o.batch_jobs.retain(|b| b.name != name);
        for pod in self.o.pods.iter_mut().filter(|p| format!("job-{}-{}", p.role, p.run) == name && p.is_live()) {
            pod.state = ended(143, json!(""));
        }
    }

    fn make_pod(&mut self) {
        let Some(batch) = self
            .o
            .batch_jobs
            .iter()
            .find(|b| !b.ended && self.o.pods.iter().all(|p| format!("job-{}-{}", p.role, p.run) != b.name))
            .cloned()
        else {
            return;
        };
        let run = batch.name.rsplit('-').next().unwrap().parse().unwrap();
        self.o.pods.push(pod(&batch.role, run, runs()));
        let live = self.o.pods.iter().filter(|p| p.is_live()).count();
        assert!(live <= 1, "two pods of one job live: {:?}", self.o.pods);
    }

    fn end_pod(&mut self, how: usize) {
        let Some(pod) = self.o.pods.iter_mut().find(|p| p.is_live()) else {
            return;
        };
        let settle = pod.role == "settle";
        let status = self.o.job.status.as_ref();
        let cancel = status.and_then(|s| s.pending_settle.as_ref()).is_some_and(|p| p.verdict == "Cancel");
        let writes = crate::build::role::WRITERS.contains(&pod.role.as_str());
        let fails = |code, reason: &str, retryable| {
            ended(code, json!({"failed": {"reason": reason, "message": "m", "retryable": retryable}}))
        };
        pod.state = match (how, settle) {
            (0 | 1, _) if pod.role == "mark" => {
                ended(0, json!({"done": {"verdict": "Marked", "message": "m", "marker": "x"}}))
            }
            (0 | 1, _) if pod.role == "restore" => {
                let verdict = if how == 0 { "Restored" } else { "Refused" };
                let result =
                    json!({"verdict": verdict, "reason": "Restored", "message": "m", "path": "p", "receipt": "r"});
                ended(0, json!({"done": result}))
            }
            (0, false) => ended(0, encode_result("Encoded", "Encoded")),
            (1, false) => ended(0, encode_result("Rejected", "NotSmaller")),
            (0 | 1, true) if cancel => ended(
                0,
                json!({"done": {"verdict": "Recorded", "message": "m", "receipt": "r", "bytesBefore": 1, "bytesAfter": 1}}),
            ),
            (0 | 1, true) => {
                assert!(self.settled.insert(self.o.job.status.as_ref().unwrap().run), "one encode settled twice");
                ended(
                    0,
                    json!({"done": {"verdict": "Replaced", "message": "m", "receipt": "r", "bytesBefore": 2, "bytesAfter": 1}}),
                )
            }
            (2, _) => fails(1, "IoError", true),
            (3, _) if writes => fails(75, "ClaimHeld", true),
            (3, _) => fails(64, "InvalidTask", false),
            (4, _) => ended(137, json!("")),
            (5, _) => ended(255, json!("")),
            _ => fails(1, "NoSpace", true),
        };
        self.o.report = report();
        let name = format!("job-{}-{}", pod.role, pod.run);
        for batch in self.o.batch_jobs.iter_mut().filter(|b| b.name == name) {
            batch.ended = true;
        }
    }

    fn happens(&mut self, what: Happens) {
        match what {
            Happens::Reconcile => self.reconcile(true),
            Happens::DiesAfterApply => self.reconcile(false),
            Happens::PodIsMade => self.make_pod(),
            Happens::PodEnds(how) => self.end_pod(how),
            Happens::PodVanishes => {
                let ended: Vec<String> = self.o.pods.iter().map(|p| format!("job-{}-{}", p.role, p.run)).collect();
                self.o.batch_jobs.iter_mut().filter(|b| ended.contains(&b.name)).for_each(|b| b.ended = true);
                // One that settled has said so; its object goes only with its Job.
                self.o.pods.retain(|p| p.role != "encode" && !p.is_live());
            }
            Happens::JobIsDeleted => {
                if let Some(name) = self.o.batch_jobs.first().filter(|b| !b.ended).map(|b| b.name.clone()) {
                    self.delete(&name);
                }
            }
            Happens::Suspend(suspend) => self.o.job.spec.suspend = suspend,
            Happens::Want(desired) => self.o.job.spec.desired = desired,
            Happens::Retry => self.o.job.spec.retry += 1,
            Happens::TimePasses => self.o.now = self.o.now.checked_add(SignedDuration::from_secs(300)).unwrap(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_leaves_the_table_and_peace_ends_every_job(events in proptest::collection::vec(happens(), 0..120)) {
        let mut world = World { o: observed(json!({"phase": "Queued"})), settled: Default::default() };
        for event in events {
            world.happens(event);
        }
        world.o.job.spec.suspend = false;
        for _ in 0..60 {
            for event in [Happens::Reconcile, Happens::PodIsMade, Happens::Reconcile, Happens::PodEnds(0), Happens::TimePasses] {
                world.happens(event);
            }
        }
        let status = world.o.job.status.clone().unwrap();
        prop_assert!(status.phase.is_terminal(), "{:?} after peace", status);
        prop_assert!(asked_again(&world.o.job).is_none(), "{:?} asks for more", status);
        let wanted = world.o.job.spec.desired;
        prop_assert!(status.phase != Phase::Restored || status.desired == Desired::Original);
        let undone = [Phase::Restored, Phase::Failed].contains(&status.phase);
        prop_assert!(wanted != Desired::Original || (undone && status.desired == wanted), "{:?}", status);
    }
}
