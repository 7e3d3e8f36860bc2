//! A small cluster with a library and two jobs on one path: what the API server holds, what operators, the Job controller, kubelets
//! and users do to it. Decisions are those of the two reconcilers; nothing but their inputs and effects is made up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use av1_crds::job::Desired;
use av1_crds::wire::EncodeTask;
use av1_crds::{FINALIZER, labels};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::super::*;
use crate::library;
use crate::library::{SummaryView, decide as decide_library};

/// Seconds of silence after which a node's encode pods count no more.
const SILENCE: i64 = 600;
/// Most memory that a pod may ask for on one of the nodes, in MiB.
pub(super) const MOST_MIB: u64 = 16 * 1024 * 80 / 100;

struct Batch {
    facts: BatchFacts,
    owner: String,
    run: i64,
    memory: Option<u64>,
    /// Whether its one pod was made.
    has_pod: bool,
}

#[derive(Clone)]
struct Pod {
    facts: PodFacts,
    owner: String,
    batch: String,
    /// Its Job is gone: it is ending.
    doomed: bool,
    /// Its node was silent for so long that an operator counts it no more.
    given_up: bool,
}

impl Pod {
    fn writes(&self) -> bool {
        role::WRITERS.contains(&self.facts.role.as_str())
    }
}

/// How an operator dies, if it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dies {
    No,
    BeforeReport,
}

pub(super) struct World {
    jobs: Vec<EncodeJob>,
    batch: Vec<Batch>,
    pods: Vec<Pod>,
    /// Ended pods that the running operator remembers.
    remembered: Vec<Pod>,
    /// Reconciles under way: what each job's has read.
    seen: BTreeMap<String, Observed>,
    library: library::Observed,
    library_seen: Option<library::Observed>,
    now: Timestamp,
    version: u64,
    node_silent_since: Option<Timestamp>,
    catalog_is_up: bool,
    settled: BTreeSet<(String, i64)>,
}

impl World {
    pub(super) fn new() -> Self {
        let library = library::ready_library(json!({"concurrency": {"maxJobs": 3}}));
        let job = |name: &str, made: &str| -> EncodeJob {
            serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
                "metadata": {"name": name, "namespace": "media", "uid": name, "resourceVersion": "0", "creationTimestamp": made},
                "spec": {"libraryRef": {"name": "films"}, "source": {"path": "same.mkv"}}}))
            .unwrap()
        };
        Self {
            jobs: vec![job("a", "2025-12-01T00:00:00Z"), job("b", "2025-12-01T00:00:01Z")],
            now: library.now,
            library,
            batch: Vec::new(),
            pods: Vec::new(),
            remembered: Vec::new(),
            seen: BTreeMap::new(),
            library_seen: None,
            version: 0,
            node_silent_since: None,
            catalog_is_up: true,
            settled: BTreeSet::new(),
        }
    }

    pub(super) fn jobs(&self) -> &[EncodeJob] {
        &self.jobs
    }

    fn job(&self, name: &str) -> Option<&EncodeJob> {
        self.jobs.iter().find(|job| job.name_any() == name)
    }

    /// Writes an object, unless it is another than the writer has read.
    fn write(&mut self, read: &EncodeJob, change: impl FnOnce(&mut EncodeJob)) -> bool {
        let version = self.version + 1;
        let Some(job) = self.jobs.iter_mut().find(|job| job.uid() == read.uid()) else { return false };
        if job.resource_version() != read.resource_version() {
            return false;
        }
        change(job);
        job.metadata.resource_version = Some(version.to_string());
        self.version = version;
        self.jobs.retain(|job| job.metadata.deletion_timestamp.is_none() || !job.finalizers().is_empty());
        true
    }

    /// As it comes back from the API server, in whose place an operator finds it after a restart.
    fn write_status(&mut self, read: &EncodeJob, status: &EncodeJobStatus) -> bool {
        let before = read.status.as_ref().map_or(Phase::Queued, |status| status.phase);
        assert!(before == status.phase || before.may_become(status.phase), "{before:?} -> {:?}", status.phase);
        let was = read.status.clone().unwrap_or_default();
        let starts = before == Phase::Queued
            && !status.phase.is_terminal()
            && ![Phase::Queued, Phase::Paused].contains(&status.phase);
        assert!(
            status.run >= was.run + i64::from(starts) && status.write_run >= was.write_run,
            "{was:?} -> {status:?}"
        );
        let stored = serde_json::from_value(json!(status)).unwrap();
        let written = self.write(read, |job| job.status = Some(stored));
        let settled = was.pending_settle.filter(|pending| pending.verdict != "Cancel" && status.phase.is_terminal());
        if let Some(pending) = settled.filter(|_| written && before == Phase::Settling) {
            let run = (read.name_any(), pending.encode_run);
            assert!(self.settled.insert(run), "one encode settled twice: {pending:?}");
        }
        written
    }

    fn nodes(&self) -> Vec<NodeFacts> {
        let node = |name: &str, silent: Option<Timestamp>| {
            let status = if silent.is_some() { "Unknown" } else { "True" };
            let at = silent.unwrap_or(self.now).to_string();
            serde_json::from_value(
                json!({"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "memory": "16Gi"},
                "conditions": [{"type": "Ready", "status": status, "lastTransitionTime": at}]}}),
            )
            .unwrap()
        };
        [node("n", self.node_silent_since), node("m", None)].iter().map(NodeFacts::of).collect()
    }

    /// A reconcile of the job begins: it reads.
    pub(super) fn observe(&mut self, name: &str) {
        if !self.seen.contains_key(name)
            && let Some(observed) = self.look(name)
        {
            self.seen.insert(name.to_owned(), observed);
            let silent = self.node_silent_since.map_or(0, |since| self.now.as_second() - since.as_second());
            let on_it = |pod: &&mut Pod| pod.facts.node.as_deref() == Some("n") && !pod.writes();
            self.pods.iter_mut().filter(on_it).for_each(|pod| pod.given_up |= silent >= SILENCE);
        }
    }

    fn look(&self, name: &str) -> Option<Observed> {
        let job = self.job(name)?.clone();
        let mine = |pod: &&Pod| pod.owner == name;
        let mut pods: Vec<PodFacts> = self.pods.iter().filter(mine).map(|pod| pod.facts.clone()).collect();
        let gone: Vec<PodFacts> = self.remembered.iter().filter(mine).map(|pod| pod.facts.clone()).collect();
        pods.extend(gone.into_iter().filter(|old| self.pods.iter().all(|pod| pod.facts.uid != old.uid)));
        let down = ReportView::NotYet("the catalog is not ready".into());
        Some(Observed {
            job,
            library: Some(self.library.library.clone()),
            batch_jobs: self.batch.iter().filter(|b| b.owner == name).map(|b| b.facts.clone()).collect(),
            pods,
            report: if self.catalog_is_up { report() } else { down },
            nodes: self.nodes().into(),
            now: self.now,
            ..observed(json!({}))
        })
    }

    /// The reconcile of the job goes on from what it has read: actions, `times` over, then the status.
    pub(super) fn act(&mut self, name: &str, times: usize, dies: Dies) {
        self.observe(name);
        let Some(observed) = self.seen.remove(name) else { return };
        let decision = decide(&observed, &options());
        for action in std::iter::repeat_n(&decision.actions, times).flatten() {
            match action {
                Action::Create(job) => self.create(name, job),
                Action::Delete(batch) => self.delete(&batch.clone()),
                Action::Release => {
                    self.write(&observed.job, |job| job.metadata.finalizers = None);
                }
                Action::Notify(_) => {}
            }
        }
        if dies == Dies::BeforeReport {
            self.restart();
        } else if !decision.released {
            self.write_status(&observed.job, &decision.status);
        }
    }

    pub(super) fn observe_library(&mut self) {
        let summary = if self.catalog_is_up { self.library.summary.clone() } else { SummaryView::NotAsked };
        let jobs = self.jobs.iter().cloned().map(Arc::new).collect();
        self.library_seen.get_or_insert_with(|| library::Observed {
            jobs,
            summary,
            now: self.now,
            ..self.library.clone()
        });
    }

    pub(super) fn act_library(&mut self) {
        self.observe_library();
        let Some(observed) = self.library_seen.take() else { return };
        let decision = decide_library(&observed, &options());
        for job in &decision.desired.unmeasured {
            self.write(job, |job| {
                job.annotations_mut().insert(labels::SIZE.to_owned(), "1".to_owned());
            });
        }
        for change in &decision.desired.changes {
            let before = change.job.status.as_ref().map_or(Phase::Queued, |status| status.phase);
            assert!(before == Phase::Queued, "{before:?} is none of the library's business");
            let mut read = EncodeJob::clone(&change.job);
            if change.starts {
                if !self.write(&read, |job| job.metadata.finalizers = Some(vec![FINALIZER.to_owned()])) {
                    continue;
                }
                read.metadata.resource_version = Some(self.version.to_string());
            }
            self.write_status(&read, &change.status);
        }
        self.library.library.status = Some(decision.status);
    }

    /// Another operator takes over: what the last had read, and remembered, is gone.
    pub(super) fn restart(&mut self) {
        self.seen.clear();
        self.library_seen = None;
        self.remembered.clear();
    }

    fn create(&mut self, owner: &str, job: &Job) {
        let name = job.name_any();
        if self.batch.iter().any(|b| b.facts.name == name) {
            return;
        }
        let label = |key: &str| job.labels()[key].clone();
        let main = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].clone();
        let limit = main.resources.unwrap_or_default().limits.and_then(|limits| limits.get("memory").cloned());
        let memory = limit.map(|memory| av1_crds::quantity::parse_bytes(&memory.0).unwrap());
        if label(labels::ROLE) == role::ENCODE {
            let task: EncodeTask = serde_json::from_str(&main.args.unwrap()[3]).unwrap();
            assert!(memory.unwrap() <= MOST_MIB << 20, "{memory:?} is more than the nodes have");
            let starved = self.job(owner).and_then(|job| job.status.as_ref()?.out_of_memory.clone());
            if let Some(starved) = starved {
                assert!((1..=starved.workers).contains(&task.workers), "{} workers after {starved:?}", task.workers);
                assert!(memory.unwrap() >= starved.memory_bytes as u64, "{memory:?} after {starved:?}");
            }
        }
        let facts = BatchFacts { name, role: label(labels::ROLE), ..BatchFacts::default() };
        let run = label(labels::RUN).parse().unwrap();
        self.batch.push(Batch { facts, owner: owner.to_owned(), run, memory, has_pod: false });
    }

    /// Background deletion: the Job is gone at once, its pod ends some time later.
    fn delete(&mut self, name: &str) {
        self.batch.retain(|batch| batch.facts.name != name);
        self.pods.iter_mut().filter(|pod| pod.batch == name).for_each(|pod| pod.doomed = true);
        self.pods.retain(|pod| pod.batch != name || pod.facts.is_live());
    }

    /// The Job controller makes the one pod of a Job, wherever that is allowed.
    pub(super) fn make_pod(&mut self, which: usize) {
        let waiting: Vec<usize> = (0..self.batch.len()).filter(|i| !self.batch[*i].has_pod).collect();
        let Some(index) = waiting.get(which % waiting.len().max(1)).copied() else { return };
        let batch = &mut self.batch[index];
        batch.has_pod = true;
        let mut facts = pod(&batch.facts.role, batch.run, runs());
        facts.uid = format!("pod-of-{}", batch.facts.name);
        facts.memory = batch.memory;
        facts.node = Some(if self.node_silent_since.is_none() { "n" } else { "m" }.to_owned());
        let new =
            Pod { facts, owner: batch.owner.clone(), batch: batch.facts.name.clone(), doomed: false, given_up: false };
        for other in self.pods.iter().filter(|other| other.facts.is_live()) {
            assert!(other.given_up, "{} and {} work on one file at once", other.batch, new.batch);
        }
        self.pods.push(new);
    }

    /// A pod ends, or what is left of it is removed by force; on a node that is silent neither is seen.
    pub(super) fn end_pod(&mut self, which: usize, end: End) {
        let silent = self.node_silent_since.is_some();
        let reachable = |pod: &Pod| pod.facts.is_live() && !(silent && pod.facts.node.as_deref() == Some("n"));
        let live: Vec<usize> = (0..self.pods.len()).filter(|i| reachable(&self.pods[*i])).collect();
        let Some(index) = live.get(which % live.len().max(1)).copied() else { return };
        let batch = self.pods[index].batch.clone();
        if end == End::Vanishes {
            self.pods.remove(index);
        } else {
            self.pods[index].facts.state = self.state(&self.pods[index].clone(), end);
            let pod = self.pods[index].clone();
            if pod.doomed {
                self.pods.remove(index);
            }
            self.remembered.push(pod);
        }
        self.batch.iter_mut().filter(|b| b.facts.name == batch).for_each(|b| b.facts.ended = true);
    }

    fn state(&mut self, pod: &Pod, end: End) -> PodState {
        let fails = |code, reason: &str, retryable| {
            ended(code, json!({"failed": {"reason": reason, "message": "m", "retryable": retryable}}))
        };
        let killed = |code: Option<i32>, reason: &str, disrupted| {
            PodState::Ended(Ended {
                code,
                reason: reason.into(),
                note: String::new(),
                message: String::new(),
                disrupted,
                initialised: true,
                at: None,
            })
        };
        match end {
            End::Does(other) => self.result(pod, other),
            End::FailsForNow => fails(1, "NoSpace", true),
            End::FailsForGood if pod.writes() => fails(75, "ClaimHeld", true),
            End::FailsForGood => fails(64, "InvalidTask", false),
            End::OutOfMemory => killed(Some(137), "OOMKilled", false),
            End::Evicted => killed(None, "Evicted", true),
            End::Preempted | End::Vanishes => killed(Some(137), "Error", true),
            End::NodeRestarts => killed(Some(255), "Unknown", false),
        }
    }

    /// What a pod says that did its work; `other`: the less usual result.
    fn result(&mut self, pod: &Pod, other: bool) -> PodState {
        let pending = self.job(&pod.owner).and_then(|job| job.status.as_ref()?.pending_settle.clone());
        let recorded =
            json!({"verdict": "Recorded", "message": "m", "receipt": "r", "bytesBefore": 1, "bytesAfter": 1});
        let done = match (pod.facts.role.as_str(), other) {
            (role::ENCODE, false) => return ended(0, encode_result("Encoded", "Encoded")),
            (role::ENCODE, true) => return ended(0, encode_result("Rejected", "NotSmaller")),
            (role::MARK, _) => json!({"verdict": "Marked", "message": "m", "marker": "x"}),
            (role::RESTORE, _) => {
                let verdict = if other { "Refused" } else { "Restored" };
                json!({"verdict": verdict, "reason": "Restored", "message": "m", "path": "p", "receipt": "r"})
            }
            _ => match pending.filter(|pending| pending.verdict != "Cancel") {
                Some(pending) => {
                    // One that is run again finds the receipt of the first, and says the same.
                    let verdict = if pending.verdict == "Encoded" { "Replaced" } else { "Recorded" };
                    json!({"verdict": verdict, "message": "m", "receipt": "r", "bytesBefore": 2, "bytesAfter": 1})
                }
                None => recorded,
            },
        };
        ended(0, json!({"done": done}))
    }

    /// Somebody deletes a Job that has not ended.
    pub(super) fn delete_batch_job(&mut self, which: usize) {
        let names: Vec<String> = self.batch.iter().filter(|b| !b.facts.ended).map(|b| b.facts.name.clone()).collect();
        if let Some(name) = names.get(which % names.len().max(1)) {
            self.delete(name);
        }
    }

    /// The user changes a job's spec.
    pub(super) fn edit(&mut self, name: &str, change: impl FnOnce(&mut EncodeJob)) {
        if let Some(job) = self.job(name).cloned() {
            self.write(&job, change);
        }
    }

    pub(super) fn delete_job(&mut self, name: &str) {
        let now = self.now;
        self.edit(name, |job| {
            job.metadata.deletion_timestamp.get_or_insert(Time(now));
        });
    }

    pub(super) fn suspend_library(&mut self, suspend: bool) {
        self.library.library.spec.suspend = suspend;
    }

    pub(super) fn catalog(&mut self, up: bool) {
        self.catalog_is_up = up;
    }

    /// The node with most pods falls silent, or is back.
    pub(super) fn node(&mut self, silent: bool) {
        self.node_silent_since = silent.then(|| self.node_silent_since.unwrap_or(self.now));
    }

    pub(super) fn clock(&mut self, seconds: i64) {
        self.now = self.now.checked_add(SignedDuration::from_secs(seconds)).unwrap();
    }

    /// Whether nothing is left to do, for anybody.
    pub(super) fn rests(&self) -> bool {
        let ended = |job: &EncodeJob| {
            let phase = job.status.as_ref().map_or(Phase::Queued, |status| status.phase);
            phase.is_terminal() && asked_again(job).is_none() && job.finalizers().is_empty()
        };
        self.jobs.iter().all(ended) && self.batch.is_empty() && self.pods.is_empty()
    }

    pub(super) fn wants(&self, name: &str) -> Option<(Desired, EncodeJobStatus)> {
        let job = self.job(name)?;
        Some((job.spec.desired, job.status.clone().unwrap_or_default()))
    }
}

/// How a pod ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It did its work; whether its result is the less usual one.
    Does(bool),
    FailsForNow,
    FailsForGood,
    OutOfMemory,
    Evicted,
    Preempted,
    NodeRestarts,
    /// Its object is removed by force; it left no result.
    Vanishes,
}
