//! What the watches have seen last: EncodeJobs, and the batch Jobs and pods of each. May: be a moment older than the cluster.
//! Must never: be all that a pod is made or a finalizer taken off for; whoever does that looks again, or carries the version
//! that was seen.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use av1_crds::{EncodeJob, MediaLibrary, labels};
use futures::{Stream, stream};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DeserializeGuard;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Resource, ResourceExt};
use tokio::sync::{Notify, watch};

use crate::batch::BatchFacts;
use crate::pods::PodFacts;

/// Objects of a kind as last seen, by group and name.
struct Mirror<T> {
    kept: Mutex<Kept<T>>,
    listed: watch::Sender<bool>,
}

struct Kept<T> {
    now: HashMap<String, HashMap<String, T>>,
    /// What a list that has begun brought so far.
    coming: HashMap<String, HashMap<String, T>>,
}

impl<T> Default for Mirror<T> {
    fn default() -> Self {
        let kept = Kept { now: HashMap::new(), coming: HashMap::new() };
        Self { kept: Mutex::new(kept), listed: watch::Sender::new(false) }
    }
}

impl<T: Clone> Mirror<T> {
    fn lock(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over an event; `entry` gives group, name and what is kept of an object.
    fn see<K>(&self, event: &Event<K>, entry: impl Fn(&K) -> Option<(String, String, T)>) {
        let mut kept = self.lock();
        match event {
            Event::Apply(object) => {
                if let Some((group, name, value)) = entry(object) {
                    kept.now.entry(group).or_default().insert(name, value);
                }
            }
            Event::Delete(object) => {
                if let Some((group, name, _)) = entry(object)
                    && let Some(of_group) = kept.now.get_mut(&group)
                {
                    of_group.remove(&name);
                    if of_group.is_empty() {
                        kept.now.remove(&group);
                    }
                }
            }
            Event::Init => kept.coming.clear(),
            Event::InitApply(object) => {
                if let Some((group, name, value)) = entry(object) {
                    kept.coming.entry(group).or_default().insert(name, value);
                }
            }
            Event::InitDone => {
                kept.now = std::mem::take(&mut kept.coming);
                drop(kept);
                self.listed.send_replace(true);
            }
        }
    }

    fn get(&self, group: &str, name: &str) -> Option<T> {
        self.lock().now.get(group)?.get(name).cloned()
    }

    fn group(&self, group: &str) -> Vec<T> {
        self.lock().now.get(group).map(|all| all.values().cloned().collect()).unwrap_or_default()
    }

    fn is_listed(&self) -> bool {
        *self.listed.borrow()
    }

    async fn listed(&self) {
        // The sender lives as long as this does.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }
}

/// What the operator itself wrote and no watch has shown yet.
struct Written {
    /// Versions that came before.
    old: Vec<String>,
    job: Arc<EncodeJob>,
}

/// What the watches have seen last.
#[derive(Default)]
pub(crate) struct Seen {
    /// By namespace and name; none that cannot be read.
    jobs: Mirror<Option<Arc<EncodeJob>>>,
    /// By namespace and name.
    libraries: Mirror<Arc<MediaLibrary>>,
    /// By UID of the EncodeJob, and name.
    batch: Mirror<BatchFacts>,
    /// By UID of the EncodeJob, and UID.
    pods: Mirror<PodFacts>,
    /// By UID of the EncodeJob.
    written: Mutex<HashMap<String, Written>>,
    /// Libraries whose jobs changed.
    changed: Mutex<HashSet<ObjectRef<MediaLibrary>>>,
    wake: Notify,
}

impl Seen {
    /// Takes over an event of EncodeJobs, and notes whose they are.
    pub(crate) fn see_job(&self, event: &Event<DeserializeGuard<EncodeJob>>) {
        self.jobs.see(event, |guard| {
            let read = guard.0.as_ref();
            let job = read.inspect_err(|error| tracing::debug!(job = guard.name_any(), %error, "unreadable")).ok();
            let job = job.map(|job| {
                let mut job = job.clone();
                job.metadata.managed_fields = None;
                Arc::new(job)
            });
            Some((guard.namespace().unwrap_or_default(), guard.name_any(), job))
        });
        match event {
            Event::Apply(guard) | Event::Delete(guard) | Event::InitApply(guard) => {
                if matches!(event, Event::Delete(_)) {
                    let uid = guard.meta().uid.clone().unwrap_or_default();
                    self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
                }
                if let Ok(job) = &guard.0 {
                    let library = ObjectRef::new(&job.spec.library_ref.name);
                    let library = library.within(&job.namespace().unwrap_or_default());
                    self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(library);
                }
            }
            Event::Init | Event::InitDone => {}
        }
        self.wake.notify_one();
    }

    /// Takes over an event of libraries.
    pub(crate) fn see_library(&self, event: &Event<DeserializeGuard<MediaLibrary>>) {
        self.libraries.see(event, |guard| {
            // What cannot be read is as it was.
            let mut library = guard.0.as_ref().ok()?.clone();
            library.metadata.managed_fields = None;
            Some((library.namespace().unwrap_or_default(), library.name_any(), Arc::new(library)))
        });
    }

    /// Takes over an event of batch Jobs.
    pub(crate) fn see_batch(&self, event: &Event<Job>) {
        self.batch.see(event, |job| {
            let of = job.labels().get(labels::ENCODE_JOB_UID)?.clone();
            Some((of, job.name_any(), BatchFacts::of(job)))
        });
    }

    /// Takes over an event of pods.
    pub(crate) fn see_pod(&self, event: &Event<Pod>) {
        self.pods.see(event, |pod| {
            let of = pod.labels().get(labels::ENCODE_JOB_UID)?.clone();
            Some((of, pod.uid().unwrap_or_default(), PodFacts::of(pod)))
        });
    }

    /// A job with its batch Jobs and pods; none before all were listed, or when there is no such job that can be read.
    pub(crate) fn job(&self, namespace: &str, name: &str) -> Option<(Arc<EncodeJob>, Vec<BatchFacts>, Vec<PodFacts>)> {
        if !(self.libraries.is_listed() && self.batch.is_listed() && self.pods.is_listed()) {
            return None;
        }
        let job = self.jobs.get(namespace, name)??;
        let uid = job.uid().unwrap_or_default();
        Some((job, self.batch.group(&uid), self.pods.group(&uid)))
    }

    /// Whether there is such a job and it cannot be read.
    pub(crate) fn is_unreadable(&self, namespace: &str, name: &str) -> bool {
        matches!(self.jobs.get(namespace, name), Some(None))
    }

    /// A library, if it can be read.
    pub(crate) fn library(&self, namespace: &str, name: &str) -> Option<Arc<MediaLibrary>> {
        self.libraries.get(namespace, name)
    }

    /// The jobs of a library, with what the operator wrote itself, and whether the namespace has some that cannot be read.
    /// Waits until they were listed.
    pub(crate) async fn of_library(&self, namespace: &str, library: &str) -> (Vec<Arc<EncodeJob>>, bool) {
        self.jobs.listed().await;
        let all = self.jobs.group(namespace);
        let unreadable = all.iter().any(Option::is_none);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = all.into_iter().flatten().filter(|job| job.spec.library_ref.name == library);
        let newest = ours.map(|job| {
            let uid = job.uid().unwrap_or_default();
            match written.get(&uid) {
                Some(ours) if job.resource_version().is_some_and(|version| ours.old.contains(&version)) => {
                    ours.job.clone()
                }
                Some(_) => {
                    written.remove(&uid);
                    job
                }
                None => job,
            }
        });
        (newest.collect(), unreadable)
    }

    /// Notes that `old` versions of the job were replaced by `job`, so that no slot is given twice before a watch shows it.
    pub(crate) fn wrote(&self, old: Vec<String>, mut job: EncodeJob) {
        job.metadata.managed_fields = None;
        let uid = job.uid().unwrap_or_default();
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(uid, Written { old, job: Arc::new(job) });
    }

    /// Libraries whose jobs changed: the first at once, then all that came within `pause` together.
    pub(crate) fn changed(self: Arc<Self>, pause: Duration) -> impl Stream<Item = ObjectRef<MediaLibrary>> {
        struct Due(Vec<ObjectRef<MediaLibrary>>, Duration);
        stream::unfold((self, Due(Vec::new(), Duration::ZERO)), move |(seen, Due(mut due, rest))| async move {
            if due.is_empty() && !rest.is_zero() {
                tokio::time::sleep(rest).await;
            }
            while due.is_empty() {
                seen.wake.notified().await;
                due.extend(seen.changed.lock().unwrap_or_else(PoisonError::into_inner).drain());
            }
            let next = due.pop()?;
            Some((next, (seen, Due(due, pause))))
        })
    }
}

#[cfg(test)]
mod tests;
