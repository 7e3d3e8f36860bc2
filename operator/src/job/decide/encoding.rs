//! A job that encodes: its Job made, its pod followed, its end judged. Pure.

use av1_crds::conditions::{self, reason};
use av1_crds::job::Desired;
use av1_crds::library::ScanRules;
use av1_crds::settings::Settings;
use av1_crds::wire::{EncodeResult, EncodeTask, JobId, LibraryId};
use av1_crds::{EncodeJob, MediaLibrary, Phase, labels, reasons};
use kube::ResourceExt;

use super::settling::is_of_volume;
use super::{Action, Draft};
use crate::batch::BatchFacts;
use crate::build::{NodeFacts, Placing, Relief, SizeError, User, batch_name, encode_job, only_node, place, role};
use crate::context::{EventDraft, Options};
use crate::pods::{Came, Ended, PodFacts, PodState};

/// Reasons of failed runs that are the volume's or the node's disk, not the file's.
const OF_THE_VOLUME: [&str; 2] = [reasons::NO_SPACE, reasons::IO_ERROR];

impl Draft<'_> {
    pub(super) fn encoding(&mut self) {
        if self.observed.job.spec.desired != Desired::Encoded {
            return self.stop();
        }
        // Asked for while it runs: this is the try.
        self.out.status.retry = self.observed.job.spec.retry;
        let run = self.out.status.run;
        let name = batch_name(&self.uid(), role::ENCODE, run);
        self.delete_jobs(|b| b.name != name);
        if self.live().iter().any(|p| p.role == role::ENCODE && p.run != run) {
            self.set(conditions::PLACED, false, reason::IN_PROGRESS, "waits until the pod of an earlier run has ended");
            return self.look_again(5);
        }
        let batch = self.observed.batch_jobs.iter().find(|b| b.name == name);
        let stopped = batch.is_none_or(|b| b.deleting);
        match self.observed.encode_pod().cloned() {
            Some(pod) => match pod.state.clone() {
                PodState::Ended(ended) => self.pod_ended(&pod, &ended, stopped),
                PodState::Live { .. } => match self.abandoned(&pod) {
                    Some(why) => self.abandon(&why),
                    None => self.pod_lives(&pod, &name, stopped),
                },
            },
            None if self.out.status.pod_uid.is_some() => self.pod_lost("the pod is gone and left no result"),
            None => match batch {
                None => match self.suspension() {
                    Some(suspension) => self.pause(&suspension),
                    None => self.start(run),
                },
                Some(batch) if batch.deleting => self.look_again(5),
                Some(batch) if batch.ended => self.pod_lost("the pod is gone and left no result"),
                Some(_) if self.is_suspended() => {
                    self.out.actions.push(Action::Delete(name));
                    self.look_again(5);
                }
                Some(batch) if batch.suspended => {
                    let message = format!("Job {name} waits until Kueue admits it: kubectl get workloads says why");
                    self.set(conditions::PLACED, false, reason::WAITING_FOR_QUEUE, message);
                    self.look_again(10);
                }
                Some(batch) => {
                    let told = batch.without_pod(self.observed.now);
                    if told.is_some() && self.place_anew(batch) {
                        return;
                    }
                    let message = told.unwrap_or_else(|| "the pod is being made".to_owned());
                    self.set(conditions::PLACED, false, reason::IN_PROGRESS, message);
                    self.look_again(10);
                }
            },
        }
    }

    /// The user wants something else than an encode: the pod ends first, whatever it found.
    fn stop(&mut self) {
        self.delete_jobs(|_| true);
        let wanted = self.observed.job.spec.desired;
        if !self.live().is_empty() || !self.observed.batch_jobs.is_empty() {
            let message = format!("spec.desired is now {wanted:?}: the encode is being stopped");
            self.set(conditions::PLACED, false, reason::IN_PROGRESS, message);
            self.look_again(2);
        } else if self.become_phase(Phase::Queued, &format!("spec.desired is now {wanted:?}: the encode was stopped")) {
            self.forget_pod();
        }
    }

    /// Makes the encode Job of the recorded run.
    fn start(&mut self, run: i64) {
        let Some(library) = self.observed.library.as_ref().filter(|l| l.metadata.deletion_timestamp.is_none()) else {
            self.set(conditions::PLACED, false, reason::WAITING_FOR_LIBRARY, "the MediaLibrary is gone");
            return self.look_again(30);
        };
        match encode_batch_job(library, &self.observed.job, run, self.observed, self.options) {
            Ok(job) => {
                self.out.actions.push(Action::Create(Box::new(job)));
                self.set(conditions::PLACED, false, reason::IN_PROGRESS, "the pod is being made");
                self.look_again(5);
            }
            Err((why, message)) => {
                self.set(conditions::PLACED, false, why, message);
                self.look_again(15);
            }
        }
    }

    fn pod_lives(&mut self, pod: &PodFacts, batch: &str, stopped: bool) {
        let PodState::Live { unschedulable, started, .. } = &pod.state else {
            return;
        };
        let made = self.observed.batch_jobs.iter().find(|b| b.name == batch && !b.deleting);
        if unschedulable.is_some() && made.is_some_and(|made| self.place_anew(made)) {
            return;
        }
        // One that no node takes is made anew above, as soon as that would change anything.
        if unschedulable.is_none() && !stopped && !self.is_suspended() && pod.is_stuck(self.observed.now) {
            let why = pod.cannot_start(self.observed.now).unwrap_or_default();
            return self.make_anew(&format!("the pod cannot start and is made anew: {why}"));
        }
        self.record_pod(pod);
        if let Some(message) = unschedulable {
            let lacks = |what: &str| message.contains(&format!("Insufficient {what}"));
            let way_out = match (lacks("cpu"), lacks("memory")) {
                (true, true) => "; lower spec.pods.cpus and spec.pods.memory of the library",
                (true, false) => "; lower spec.pods.cpus of the library",
                (false, true) => "; lower spec.pods.memory of the library",
                (false, false) => "",
            };
            let message = format!("no node takes the pod: {message}{way_out}");
            self.set(conditions::PLACED, false, reason::UNSCHEDULABLE, message);
        } else if let Some(node) = &pod.node {
            let (why, tail) = match pod.cannot_start(self.observed.now) {
                Some(why) => (reason::NOT_STARTED, format!(", but it cannot start: {why}")),
                None => (reason::AS_EXPECTED, String::new()),
            };
            self.set(conditions::PLACED, true, why, format!("on node {node}{tail}"));
        }
        if *started {
            self.has_folder();
            if self.out.status.start_time.is_none() {
                self.out.status.start_time = Some(self.observed.now.to_string());
            }
            self.take_progress();
        }
        if self.is_suspended() && !stopped {
            self.out.actions.push(Action::Delete(batch.to_owned()));
        }
        self.look_again(if *started { 3 } else { 5 });
    }

    /// Lets go of a Job that would be made with another placement now, and whose pod found no node: what keeps it from one was mended,
    /// or is known better by now. The next run is no retry, for nothing has run.
    fn place_anew(&mut self, batch: &BatchFacts) -> bool {
        let (observed, run) = (self.observed, self.out.status.run);
        let library = observed.library.as_ref().filter(|l| l.metadata.deletion_timestamp.is_none());
        let Some(library) = library.filter(|_| !self.is_suspended()) else { return false };
        // Where none can be made now the old one may still find its node.
        let Ok(now) = encode_batch_job(library, &observed.job, run, observed, self.options) else { return false };
        if BatchFacts::of(&now).placement == batch.placement {
            return false;
        }
        self.make_anew("no node took the pod, and it would be made otherwise by now: it is made anew");
        true
    }

    fn make_anew(&mut self, note: &str) {
        if self.become_phase(Phase::Queued, note) {
            self.forget_pod();
            self.set(conditions::PLACED, false, reason::WAITING_FOR_SLOT, note);
            self.look_again(1);
        }
    }

    fn record_pod(&mut self, pod: &PodFacts) {
        let status = &mut self.out.status;
        status.pod_name = Some(pod.name.clone());
        status.pod_uid = Some(pod.uid.clone());
        status.node_name.clone_from(&pod.node);
    }

    fn pod_ended(&mut self, pod: &PodFacts, ended: &Ended, stopped: bool) {
        self.record_pod(pod);
        if ended.initialised {
            self.has_folder();
        }
        match ended.came::<EncodeResult>(stopped) {
            Came::Done(result) => self.verdict(result),
            Came::Failed { failure, .. } if is_of_volume(&failure.reason) => {
                self.out.events.push(EventDraft::warning(&failure.reason, "Encode", &failure.message));
                self.run_again(60, &failure.message);
            }
            Came::Failed { failure, .. } if failure.reason == reasons::OUT_OF_MEMORY && ended.initialised => {
                self.out_of_memory(pod)
            }
            // Nothing has run: a node that refuses a pod says nothing about the file.
            Came::Failed { failure, code: None } => self.pod_lost(&failure.message),
            Came::Failed { failure, .. } if failure.retryable && OF_THE_VOLUME.contains(&failure.reason.as_str()) => {
                self.fruitless(&failure.reason, &failure.message, 30)
            }
            Came::Failed { failure, .. } => self.run_failed(&failure.reason, &failure.message, failure.retryable),
            Came::Lost(why) => self.pod_lost(&why),
        }
    }

    /// The run's pod was lost: no failure, up to a cap.
    pub(super) fn pod_lost(&mut self, why: &str) {
        self.fruitless(reasons::POD_LOST, why, 2);
    }

    /// The run came to nothing for what is not the file's: no failure, up to a cap of such runs in a row that finished no chunk. The
    /// pauses between them begin with `first` seconds and add up to half a day.
    fn fruitless(&mut self, reason: &str, why: &str, first: i64) {
        const MOST: i64 = 20;
        const LONGEST_PAUSE: i64 = 3_600;
        if let Some(suspension) = self.suspension() {
            return self.pause(&suspension);
        }
        if reason == reasons::POD_LOST {
            self.out.status.lost += 1;
            self.go_elsewhere();
        }
        self.out.status.fruitless += 1;
        let runs = self.out.status.fruitless;
        if runs >= MOST {
            return self.give_up(reason, &format!("{runs} runs in a row finished nothing, the last one: {why}"));
        }
        let pause = crate::pause::back_off(first, runs, LONGEST_PAUSE);
        let has_folder = self.out.status.work_run.or(self.out.status.left_run).is_some();
        let on = if self.keeps_chunks() && has_folder { "goes on from what is finished" } else { "starts again" };
        self.run_again(pause, &format!("{reason}: {why}; {on}"));
        self.out.events.push(EventDraft::warning(reason, "RunAgain", why));
    }

    /// The run failed.
    pub(super) fn run_failed(&mut self, why: &str, message: &str, retryable: bool) {
        self.out.status.failures += 1;
        if why != reasons::OUT_OF_MEMORY {
            self.go_elsewhere();
        }
        let failures = self.out.status.failures;
        let most = self.attempts();
        self.out.status.outcome = Some(av1_crds::job::Outcome {
            reason: why.to_owned(),
            message: crate::conditions::cut(message.to_owned()),
            retryable,
        });
        self.out.events.push(EventDraft::warning(why, "Encode", message));
        if !retryable {
            self.give_up(why, message);
        } else if failures >= most {
            self.give_up(
                reasons::TOO_MANY_FAILURES,
                &format!("{failures} of {most} attempts failed, the last one with {why}: {message}"),
            );
        } else {
            let pause = crate::pause::back_off(10, failures, 600);
            self.run_again(
                pause,
                &format!("attempt {failures} of {most} failed with {why}: {message}; the next one in {pause} s"),
            );
        }
    }

    /// The next runs prefer other nodes than this one's, whose fault it may have been.
    fn go_elsewhere(&mut self) {
        /// More of them are a sign that it was not.
        const MOST: usize = 8;
        let status = &mut self.out.status;
        if let Some(node) = status.node_name.clone().filter(|_| status.pod_uid.is_some()) {
            status.failed_nodes.retain(|known| *known != node);
            status.failed_nodes.push(node);
            let surplus = status.failed_nodes.len().saturating_sub(MOST);
            status.failed_nodes.drain(..surplus);
        }
    }

    /// Runs that may fail before the job is given up.
    pub(super) fn attempts(&self) -> i64 {
        let policy = self.observed.library.as_ref().and_then(|library| library.spec.failure_policy.as_ref());
        policy.and_then(|policy| policy.max_attempts).map_or(3, i64::from)
    }

    fn run_again(&mut self, pause: i64, note: &str) {
        if self.become_phase(Phase::Queued, note) {
            self.forget_pod();
            self.out.status.not_before = Some(self.in_seconds(pause));
            self.set(conditions::PLACED, false, reason::WAITING_FOR_SLOT, note);
        }
    }
}

/// The encode Job of `run`, or the reason and message of the condition that says why there is none.
fn encode_batch_job(
    library: &MediaLibrary,
    job: &EncodeJob,
    run: i64,
    observed: &super::Observed,
    options: &Options,
) -> Result<k8s_openapi::api::batch::v1::Job, (&'static str, String)> {
    let (volume_id, user) = prepared(library)
        .ok_or_else(|| (reason::WAITING_FOR_LIBRARY, "the library's volume is not prepared".to_owned()))?;
    let status = job.status.clone().unwrap_or_default();
    let invalid = |e: &dyn std::fmt::Display| (reason::INVALID_SETTINGS, e.to_string());
    let settings = match status.settings {
        Some(settings) => settings,
        None => {
            let (own, asked) = (library.spec.sections(), job.spec.settings.clone().unwrap_or_default());
            Settings::resolve(&[&options.library_defaults, &own, &asked]).map_err(|e| invalid(&e))?
        }
    };
    let pods = library.spec.pods.clone().unwrap_or_default();
    let place = placing(library, job, observed).map_err(|e| (reason::UNSCHEDULABLE, e.to_string()))?;
    let asked = pods.workers.unwrap_or(0);
    let workers = match &status.out_of_memory {
        // The pod takes fewer when even these need more memory than it has.
        Some(before) => before.workers.max(1).min(place.size.cpus).min(if asked > 0 { asked } else { u32::MAX }),
        None => asked,
    };
    let task = EncodeTask {
        library: library_id(library, options),
        job: JobId { name: job.name_any(), uid: job.uid().unwrap_or_default(), run },
        volume_id,
        path: job.spec.source.path.clone(),
        settings: settings.for_pods(),
        scan: ScanRules::resolve(library.spec.scan.as_ref()).map_err(|e| invalid(&e))?,
        workers,
        target_utilization_percent: pods.target_utilization_percent(),
        force: job.spec.force.clone(),
        again: status.again,
        take_over_run: status.work_run.filter(|earlier| *earlier < run),
        link_run: status.left_run.filter(|earlier| *earlier < run),
    };
    encode_job(library, job, &task, user, &place, &options.pods).map_err(|e| invalid(&e))
}

/// Size and nodes of the next encode pod of `job`.
pub(super) fn placing(
    library: &MediaLibrary,
    job: &EncodeJob,
    observed: &super::Observed,
) -> Result<Placing, SizeError> {
    let status = job.status.clone().unwrap_or_default();
    let pods = library.spec.pods.clone().unwrap_or_default();
    let area = |(width, height): (u64, u64)| width.checked_mul(height).filter(|pixels| *pixels > 0);
    let told = job.annotations().get(labels::PICTURE).and_then(|text| {
        let (width, height) = text.split_once('x')?;
        area((width.parse().ok()?, height.parse().ok()?))
    });
    // Of a job that a user made the picture is known once a run has looked.
    let seen = status.media.as_ref().and_then(|media| area((media.width.into(), media.height.into())));
    let known = library.status.as_ref().and_then(|s| s.placement.as_ref()).map_or(&[][..], |p| p.nodes.as_slice());
    let nodes: Vec<NodeFacts> = observed.nodes.iter().cloned().map(|node| node.with(known)).collect();
    let place = place(&pods, only_node(library).as_deref(), told.or(seen), &nodes)?;
    let place = match status.out_of_memory {
        Some(before) => place.relieved(Relief {
            memory_mib: u64::try_from(before.memory_bytes).unwrap_or(0).div_ceil(1 << 20),
            workers: before.workers,
        }),
        None => place,
    };
    Ok(Placing { avoided: status.failed_nodes, ..place })
}

/// Id of the library's volume and the user that its pods run as, once prepared.
pub(super) fn prepared(library: &MediaLibrary) -> Option<(String, User)> {
    let storage = library.status.as_ref()?.storage.as_ref()?;
    storage.prepared_for.as_ref()?;
    Some((storage.volume_id.clone()?, User { uid: storage.run_as_user?, gid: storage.run_as_group? }))
}

/// The library, as tasks name it.
pub(super) fn library_id(library: &MediaLibrary, options: &Options) -> LibraryId {
    LibraryId {
        namespace: library.namespace().unwrap_or_default(),
        name: library.name_any(),
        uid: library.uid().unwrap_or_default(),
        cluster: options.cluster.clone(),
    }
}
