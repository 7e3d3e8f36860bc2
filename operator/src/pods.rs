//! What a pod of the agent came to, read from its status. Pure but for [`EndedPods`], the memory of pods that ended: an
//! evicted pod's object is gone as soon as the Job controller lets go of it, and with it what it said.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::labels;
use av1_crds::quantity::parse_bytes;
use av1_crds::reasons::{self, exit};
use av1_crds::wire::{PodFailure, PodResult};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Container, ContainerStateTerminated, ContainerStatus, Pod, PodSpec, PodStatus};
use kube::ResourceExt;
use serde::de::DeserializeOwned;

/// A pod of one run of one role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodFacts {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) run: i64,
    pub(crate) node: Option<String>,
    /// Memory limit of the main container, in bytes.
    pub(crate) memory: Option<u64>,
    /// While none of its containers has begun.
    pub(crate) setup: Option<Setup>,
    pub(crate) state: PodState,
}

/// Seconds that a pod has to begin, when the cluster says why it does not.
pub(crate) const STUCK: i64 = 300;

/// How far a pod is none of whose containers has begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Setup {
    /// When the scheduler chose the node; until then, when the pod was made.
    pub(crate) since: Timestamp,
    /// Whether its volumes are mounted and its network is there (`PodReadyToStartContainers`).
    pub(crate) mounted: bool,
}

/// How far a pod is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PodState {
    /// Not ended. `waiting` says why its containers do not run yet, `started` that the main one does.
    Live { ip: Option<String>, unschedulable: Option<String>, waiting: Option<String>, started: bool },
    /// Ended; the container that decided, or why there was none.
    Ended(Ended),
}

/// How a pod ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    /// Exit code of the container that decided.
    pub(crate) code: Option<i32>,
    /// Kubernetes' reason: `OOMKilled`, `Evicted`, `Error`, `UnexpectedAdmissionError`...
    pub(crate) reason: String,
    /// Kubernetes' message for pods that it refused or stopped.
    pub(crate) note: String,
    /// The termination message.
    pub(crate) message: String,
    /// Whether Kubernetes says that the pod was disrupted, or somebody deleted it.
    pub(crate) disrupted: bool,
    /// Whether the init containers were through, so that the work folder exists.
    pub(crate) initialised: bool,
    /// When it ended, seconds since 1970; when known.
    pub(crate) at: Option<i64>,
}

/// What became of the work of a pod that ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Came<T> {
    /// It did its work.
    Done(T),
    /// It failed.
    Failed { failure: PodFailure, code: Option<i32> },
    /// It was lost with its node, or stopped from outside: nobody's fault.
    Lost(String),
}

impl PodFacts {
    /// What is known of `pod`.
    pub(crate) fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let label = |name: &str| pod.labels().get(name).cloned().unwrap_or_default();
        let ended = matches!(status.phase.as_deref(), Some("Succeeded" | "Failed"));
        Self {
            uid: pod.uid().unwrap_or_default(),
            name: pod.name_any(),
            role: label(labels::ROLE),
            run: label(labels::RUN).parse().unwrap_or(0),
            node: pod.spec.as_ref().and_then(|s| s.node_name.clone()),
            memory: pod.spec.as_ref().and_then(memory_of),
            setup: setup_of(pod, &status),
            state: if ended { PodState::Ended(ended_of(pod, &status)) } else { live_of(&status) },
        }
    }

    /// Whether it may still do something.
    pub(crate) fn is_live(&self) -> bool {
        matches!(self.state, PodState::Live { .. })
    }

    /// Why a pod that has a node does not start: the kubelet says so, or has tried for minutes without a word.
    pub(crate) fn cannot_start(&self, now: Timestamp) -> Option<String> {
        /// More than the kubelet waits for a mount, in minutes.
        const TO_MOUNT: i64 = 3;
        /// Images are large.
        const TO_PULL: i64 = 10;
        let PodState::Live { waiting, .. } = &self.state else { return None };
        waiting.clone().or_else(|| {
            let (node, name) = (self.node.as_ref()?, &self.name);
            let setup = self.setup?;
            let (minutes, why) = if setup.mounted {
                (TO_PULL, "its image is still being pulled")
            } else {
                (TO_MOUNT, "a volume cannot be mounted, or it gets no network")
            };
            let late = now.as_second() - setup.since.as_second() > minutes * 60;
            late.then(|| {
                format!("{node} has not begun it for more than {minutes} minutes, most likely because {why}; kubectl describe pod {name} says more")
            })
        })
    }

    /// The same, or why no node takes it.
    pub(crate) fn is_kept_by(&self, now: Timestamp) -> Option<String> {
        match &self.state {
            PodState::Live { unschedulable: Some(why), .. } => Some(why.clone()),
            _ => self.cannot_start(now),
        }
    }

    /// Whether it has not begun for so long, for a reason that the cluster gives, that it is made anew: nodes, settings and images may be
    /// others by now, and a pod stays as it was made. A volume that cannot be mounted is tried again by the kubelet.
    pub(crate) fn is_stuck(&self, now: Timestamp) -> bool {
        self.is_stuck_for(STUCK, now)
    }

    /// The same, for so many seconds.
    pub(crate) fn is_stuck_for(&self, seconds: i64, now: Timestamp) -> bool {
        let PodState::Live { unschedulable, waiting, .. } = &self.state else { return false };
        let late = self.setup.is_some_and(|setup| now.as_second() - setup.since.as_second() > seconds);
        late && (unschedulable.is_some() || waiting.is_some())
    }
}

fn setup_of(pod: &Pod, status: &PodStatus) -> Option<Setup> {
    let is_true = |type_: &str| status.conditions.iter().flatten().find(|c| c.type_ == type_ && c.status == "True");
    let begun = |c: &ContainerStatus| c.state.as_ref().is_some_and(|s| s.running.is_some() || s.terminated.is_some());
    let scheduled = is_true("PodScheduled").and_then(|c| c.last_transition_time.as_ref());
    let since = scheduled.or(pod.metadata.creation_timestamp.as_ref())?.0;
    (!containers(status).any(begun)).then(|| Setup { since, mounted: is_true("PodReadyToStartContainers").is_some() })
}

/// Those that run before the main one, and that.
fn containers(status: &PodStatus) -> impl Iterator<Item = &ContainerStatus> {
    status.init_container_statuses.iter().flatten().chain(status.container_statuses.iter().flatten())
}

fn memory_of(spec: &PodSpec) -> Option<u64> {
    let limits = spec.containers.first()?.resources.as_ref()?.limits.as_ref()?;
    parse_bytes(&limits.get("memory")?.0).ok()
}

fn live_of(status: &PodStatus) -> PodState {
    let unschedulable = status
        .conditions
        .iter()
        .flatten()
        .find(|c| c.type_ == "PodScheduled" && c.status == "False" && c.reason.as_deref() == Some("Unschedulable"))
        .map(|c| c.message.clone().unwrap_or_default());
    let waiting = containers(status).filter_map(|c| c.state.as_ref()?.waiting.as_ref()).find_map(|w| {
        let reason = w.reason.clone().unwrap_or_default();
        let told = !matches!(reason.as_str(), "" | "ContainerCreating" | "PodInitializing");
        told.then(|| {
            format!("{reason}: {}", w.message.clone().unwrap_or_default()).trim_end_matches([':', ' ']).to_owned()
        })
    });
    let started =
        status.container_statuses.iter().flatten().any(|c| c.state.as_ref().is_some_and(|s| s.running.is_some()));
    PodState::Live { ip: status.pod_ip.clone().filter(|ip| !ip.is_empty()), unschedulable, waiting, started }
}

fn ended_of(pod: &Pod, status: &PodStatus) -> Ended {
    let terminated =
        |list: &Option<Vec<k8s_openapi::api::core::v1::ContainerStatus>>| -> Vec<ContainerStateTerminated> {
            list.iter().flatten().filter_map(|c| c.state.clone()?.terminated).collect()
        };
    let init = terminated(&status.init_container_statuses);
    let main = terminated(&status.container_statuses);
    let decided = init.iter().find(|t| t.exit_code != 0).or_else(|| main.first()).or_else(|| init.first()).cloned();
    let disruption = status.conditions.iter().flatten().any(|c| c.type_ == "DisruptionTarget" && c.status == "True");
    let initialised = init.iter().all(|t| t.exit_code == 0) && !init.is_empty();
    let pod_reason = status.reason.clone().unwrap_or_default();
    let reason = if pod_reason.is_empty() {
        decided.as_ref().and_then(|t| t.reason.clone()).unwrap_or_default()
    } else {
        pod_reason
    };
    Ended {
        code: decided.as_ref().map(|t| t.exit_code),
        reason,
        note: status.message.clone().unwrap_or_default(),
        message: decided.as_ref().and_then(|t| t.message.clone()).unwrap_or_default(),
        disrupted: disruption || pod.metadata.deletion_timestamp.is_some(),
        initialised,
        at: decided.as_ref().and_then(|t| t.finished_at.as_ref()).map(|t| t.0.as_second()),
    }
}

/// Reasons of pods that a node stopped or could not take just then.
const LOST_REASONS: [&str; 9] = [
    "Evicted",
    "Preempting",
    "NodeLost",
    "NodeShutdown",
    "Terminated",
    "Shutdown",
    "OutOfcpu",
    "OutOfmemory",
    "NodeAffinity",
];

impl Ended {
    /// What became of the pod's work. `stopped`: the operator or somebody else deleted its Job.
    pub(crate) fn came<T: DeserializeOwned>(&self, stopped: bool) -> Came<T> {
        match serde_json::from_str::<PodResult<T>>(&self.message) {
            Ok(PodResult::Done(result)) if self.code == Some(i32::from(exit::VERDICT)) => {
                return Came::Done(result);
            }
            // An encode that was told to end says so itself.
            Ok(PodResult::Failed(failure)) if failure.reason == reasons::POD_LOST => {
                return Came::Lost(failure.message);
            }
            // One process alone was killed (cgroups of version 1 know no other way), and the agent saw no more than that.
            Ok(PodResult::Failed(failure)) if self.reason == "OOMKilled" && failure.retryable => {
                let message =
                    format!("a process of the pod was killed because its memory ran out: {}", failure.message);
                let failure =
                    PodFailure { reason: reasons::OUT_OF_MEMORY.to_owned(), message, retryable: true, released: false };
                return Came::Failed { failure, code: self.code };
            }
            Ok(PodResult::Failed(failure)) => {
                return Came::Failed { failure, code: self.code };
            }
            _ => {}
        }
        let outside = self.disrupted || stopped || LOST_REASONS.contains(&self.reason.as_str());
        let failed = |reason: &str, message: String, retryable: bool| Came::Failed {
            failure: PodFailure { reason: reason.to_owned(), message, retryable, released: false },
            code: self.code,
        };
        match self.code {
            None if self.reason == "SMTAlignmentError" => failed(
                reasons::ENCODE_FAILED,
                format!(
                    "the node refused the pod ({}: {}): set spec.pods.cpus to a multiple of the threads per core",
                    self.reason, self.note
                ),
                false,
            ),
            None if self.reason == "TopologyAffinityError" => failed(
                reasons::ENCODE_FAILED,
                format!(
                    "the node refused the pod ({}: {}): set spec.pods.cpus to no more than one NUMA node of it has",
                    self.reason, self.note
                ),
                false,
            ),
            None if self.reason == "UnexpectedAdmissionError" => failed(
                reasons::ENCODE_FAILED,
                format!("the node refused the pod ({}: {})", self.reason, self.note),
                true,
            ),
            None => Came::Lost(self.told("the pod ended before it started")),
            _ if self.reason == "OOMKilled" => failed(
                reasons::OUT_OF_MEMORY,
                "a container of the pod was killed because its memory ran out".to_owned(),
                true,
            ),
            Some(255) => Came::Lost(self.told("the pod's node restarted")),
            Some(137 | 143) if outside => Came::Lost(self.told("the pod was stopped from outside")),
            _ if self.disrupted => Came::Lost(self.told("the pod was disrupted")),
            Some(code) if code == i32::from(exit::BAD_INPUT) => {
                failed(reasons::INVALID_TASK, self.told("the pod refused its task"), false)
            }
            Some(code) if code == i32::from(exit::TOOLS) => {
                failed(reasons::TOOLS_UNUSABLE, self.told("the image's tools cannot do the work"), false)
            }
            Some(code) => failed(
                reasons::ENCODE_FAILED,
                self.told(&format!("the pod ended with exit code {code} and no result")),
                true,
            ),
        }
    }

    fn told(&self, what: &str) -> String {
        let detail: Vec<&str> = [self.reason.as_str(), self.note.as_str()]
            .into_iter()
            .filter(|s| !s.is_empty() && *s != "Error" && *s != "Completed")
            .collect();
        if detail.is_empty() { what.to_owned() } else { format!("{what} ({})", detail.join(": ")) }
    }
}

/// Pods that ended, kept for a while after their objects are gone. Bounded: the oldest go first.
#[derive(Clone, Default)]
pub(crate) struct EndedPods(Arc<Mutex<HashMap<String, (Instant, Pod)>>>);

/// Of a pod's spec what [`PodFacts`] are read from.
fn needed(spec: PodSpec) -> PodSpec {
    let bare = |c: Container| Container { name: c.name, resources: c.resources, ..Container::default() };
    let containers = spec.containers.into_iter().map(bare).collect();
    PodSpec { node_name: spec.node_name, containers, ..PodSpec::default() }
}

const KEPT: usize = 2_000;
const KEPT_FOR: Duration = Duration::from_secs(3_600);

impl EndedPods {
    /// Remembers `pod` if it ended.
    pub(crate) fn see(&self, pod: &Pod) {
        if PodFacts::of(pod).is_live() {
            return;
        }
        let mut pods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut pod = pod.clone();
        pod.metadata.managed_fields = None;
        pod.spec = pod.spec.map(needed);
        // The deletion of a pod that had ended already is no disruption.
        let uid = pod.uid().unwrap_or_default();
        if pods.contains_key(&uid) {
            return;
        }
        pods.retain(|_, (since, _)| since.elapsed() < KEPT_FOR);
        if pods.len() >= KEPT
            && let Some(oldest) = pods.iter().min_by_key(|(_, (since, _))| *since).map(|(uid, _)| uid.clone())
        {
            pods.remove(&oldest);
        }
        pods.insert(uid, (Instant::now(), pod));
    }

    /// Those of the EncodeJob with that UID.
    pub(crate) fn of_job(&self, job_uid: &str) -> Vec<PodFacts> {
        let pods = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        pods.values()
            .filter(|(_, pod)| pod.labels().get(labels::ENCODE_JOB_UID).is_some_and(|uid| uid == job_uid))
            .map(|(_, pod)| PodFacts::of(pod))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn ended(status: Value) -> Ended {
        let pod: Pod =
            serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u"}, "status": status})).unwrap();
        match PodFacts::of(&pod).state {
            PodState::Ended(ended) => ended,
            live @ PodState::Live { .. } => panic!("{live:?}"),
        }
    }

    fn terminated(code: i32, reason: &str, message: &str) -> Value {
        json!({"phase": "Failed", "containerStatuses": [{"name": "encode", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": code, "reason": reason, "message": message}}}]})
    }

    fn came(status: Value, stopped: bool) -> String {
        match ended(status).came::<i64>(stopped) {
            Came::Done(n) => format!("done {n}"),
            Came::Failed { failure, .. } => {
                format!("{} {}", if failure.retryable { "retry" } else { "final" }, failure.reason)
            }
            Came::Lost(_) => "lost".to_owned(),
        }
    }

    #[test]
    fn each_way_of_ending_is_told_apart() {
        let failed = r#"{"failed":{"reason":"NoSpace","message":"full","retryable":true}}"#;
        let table = [
            (terminated(0, "Completed", r#"{"done":7}"#), false, "done 7"),
            (terminated(1, "Error", r#"{"done":7}"#), false, "retry EncodeFailed"),
            (terminated(0, "Completed", "nonsense"), false, "retry EncodeFailed"),
            (terminated(1, "Error", failed), false, "retry NoSpace"),
            (terminated(1, "Error", &failed.replace("NoSpace", reasons::POD_LOST)), false, "lost"),
            (terminated(137, "OOMKilled", ""), false, "retry OutOfMemory"),
            (terminated(137, "OOMKilled", ""), true, "retry OutOfMemory"),
            (terminated(1, "OOMKilled", failed), false, "retry OutOfMemory"),
            (terminated(1, "OOMKilled", &failed.replace("true", "false")), false, "final NoSpace"),
            (terminated(0, "OOMKilled", r#"{"done":7}"#), false, "done 7"),
            (terminated(137, "Error", ""), false, "retry EncodeFailed"),
            (terminated(137, "Error", ""), true, "lost"),
            (terminated(143, "Error", ""), true, "lost"),
            (terminated(255, "Unknown", ""), false, "lost"),
            (terminated(64, "Error", ""), false, "final InvalidTask"),
            (terminated(69, "Error", ""), false, "final ToolsUnusable"),
            (json!({"phase": "Failed", "reason": "Evicted", "message": "low on memory"}), false, "lost"),
            (json!({"phase": "Failed", "reason": "UnexpectedAdmissionError"}), false, "retry EncodeFailed"),
            (json!({"phase": "Failed", "reason": "SMTAlignmentError"}), false, "final EncodeFailed"),
            (json!({"phase": "Failed", "reason": "TopologyAffinityError"}), false, "final EncodeFailed"),
        ];
        for (status, stopped, expected) in table {
            assert_eq!(came(status.clone(), stopped), expected, "{status}");
        }
    }

    #[test]
    fn a_pod_that_a_node_does_not_start_is_told_of_with_the_likely_cause() {
        let at = |seconds: i64| -> Timestamp { Timestamp::from_second(1_767_225_600 + seconds).unwrap() };
        let condition = |type_: &str, is: bool| json!({"type": type_, "status": if is { "True" } else { "False" }, "lastTransitionTime": at(0).to_string()});
        let container = |state: Value| json!([{"name": "encode", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state}]);
        let told = |mounted: bool, state: Value, seconds: i64| {
            let pod = json!({"metadata": {"name": "p", "uid": "u"}, "spec": {"nodeName": "n", "containers": []}, "status": {"phase": "Pending",
                "conditions": [condition("PodScheduled", true), condition("PodReadyToStartContainers", mounted)], "containerStatuses": container(state)}});
            PodFacts::of(&serde_json::from_value(pod).unwrap()).cannot_start(at(seconds))
        };
        let creating = || json!({"waiting": {"reason": "ContainerCreating"}});
        assert_eq!(told(false, creating(), 180), None);
        let why = told(false, creating(), 181).unwrap();
        assert!(why.contains("a volume cannot be mounted") && why.contains("kubectl describe pod p"), "{why}");
        assert_eq!(told(true, creating(), 600), None, "images are large");
        assert!(told(true, creating(), 601).unwrap().contains("its image is still being pulled"));
        assert_eq!(told(true, json!({"running": {}}), 9_999), None);
        let refused = json!({"waiting": {"reason": "ErrImagePull", "message": "denied"}});
        assert_eq!(told(true, refused, 0).unwrap(), "ErrImagePull: denied");
    }

    #[test]
    fn a_disrupted_pod_that_saved_its_verdict_is_believed_and_one_that_did_not_is_lost() {
        let mut status = terminated(143, "Error", "");
        status["conditions"] =
            json!([{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]);
        assert_eq!(came(status, false), "lost");
        let mut status = terminated(0, "Completed", r#"{"done":7}"#);
        status["conditions"] = json!([{"type": "DisruptionTarget", "status": "True"}]);
        assert_eq!(came(status, false), "done 7");
    }

    #[test]
    fn a_failed_init_container_speaks_for_the_pod() {
        let status = json!({"phase": "Failed", "initContainerStatuses": [{"name": "workdir", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"terminated": {"exitCode": 1, "reason": "Error", "message": r#"{"failed":{"reason":"NoSpace","message":"full","retryable":true}}"#}}}]});
        assert!(!ended(status.clone()).initialised);
        assert_eq!(came(status, false), "retry NoSpace");
    }

    #[test]
    fn an_evicted_pods_message_is_remembered_after_its_object_is_gone() {
        let pods = EndedPods::default();
        let mut pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "uid": "u", "labels": {"av1.media/encode-job-uid": "job", "av1.media/run": "2"}},
            "status": {"phase": "Running"}}))
        .unwrap();
        pods.see(&pod);
        assert!(pods.of_job("job").is_empty());
        pod.status = serde_json::from_value(terminated(0, "Completed", r#"{"done":7}"#)).unwrap();
        pods.see(&pod);
        let seen = pods.of_job("job");
        assert_eq!((seen.len(), seen[0].run), (1, 2));
        assert!(pods.of_job("other").is_empty());
    }

    #[test]
    fn fuzz_any_termination_message_is_judged() {
        let samples = av1_fuzz::samples::TERMINATION;
        av1_fuzz::Fuzz::new("pods").sample(samples).large("{".repeat(1 << 16)).run(|bytes| {
            let message = String::from_utf8_lossy(bytes);
            for (code, reason) in [(0, "Completed"), (1, "Error"), (137, "OOMKilled"), (255, "Unknown")] {
                let _ = ended(terminated(code, reason, &message)).came::<av1_crds::wire::EncodeResult>(false);
                let _ = ended(terminated(code, reason, &message)).came::<av1_crds::wire::SettleResult>(true);
            }
        });
    }
}
