//! Watches and the two controllers over them. May: turn changes of objects into reconciles. Must never: decide.

use std::time::Duration;

use av1_crds::{EncodeJob, MediaLibrary, labels};
use futures::{StreamExt, TryStreamExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ObjectMeta, PartialObjectMeta, PartialObjectMetaExt};
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::controller::{Config, Error};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::runtime::{Controller, WatchStreamExt, reflector, watcher};
use kube::{Api, Client, Resource, ResourceExt};

use crate::build::role;
use crate::context::Shared;
use crate::queue::Queue;
use crate::{job, library};

/// Reconciles at once, of each controller.
const CONCURRENCY: u16 = 16;

/// Roles of the Jobs that belong to a library itself.
const OF_LIBRARY: [&str; 4] = [role::PREPARE, role::PURGE, role::SIDECARS, role::SURVEY];

/// Least time between two looks at a library because its jobs changed.
const PAUSE: Duration = Duration::from_millis(500);

/// Runs both controllers until their watches end.
pub(crate) async fn run(context: Shared, namespace: &str) {
    future::join(libraries(&context, namespace), jobs(&context, namespace)).await;
}

async fn libraries(context: &Shared, namespace: &str) {
    let client = &context.client;
    let (store, writer) = reflector::store();
    let watched = watcher(scoped::<DeserializeGuard<MediaLibrary>>(client, namespace), watcher::Config::default());
    let (seen, shared) = (context.seen.clone(), context.clone());
    let kept = watched.default_backoff().inspect_ok(move |event| {
        seen.see_library(event);
        touch(&shared.queues.libraries, event);
    });
    let shared = context.clone();
    Controller::for_stream(reflector(writer, kept).touched_objects(), store)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .owns(scoped::<Deployment>(client, namespace), ours())
        .owns(scoped::<Job>(client, namespace), of_roles(&OF_LIBRARY))
        .watches(scoped::<Pod>(client, namespace), of_roles(&OF_LIBRARY), |pod| {
            named(&pod, pod.labels().get(labels::LIBRARY))
        })
        .reconcile_on(
            context
                .seen
                .clone()
                .changed(PAUSE)
                .inspect(move |library| {
                    shared.queues.libraries.touch(library.namespace.as_deref().unwrap_or_default(), &library.name);
                })
                .map(|library| ObjectRef::new(&library.name).within(library.namespace.as_deref().unwrap_or_default())),
        )
        .run(library::reconcile, library::on_error, context.clone())
        .for_each(async |result| {
            match result {
                // The ordinary end of a library: its next reconcile finds nothing in the store.
                Err(Error::ObjectNotFound(gone)) => {
                    library::forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name, context);
                }
                Err(Error::QueueError(error)) => watch_failed("libraries", &error, context),
                _ => {}
            }
        })
        .await;
}

/// The one watch of EncodeJobs serves both controllers: the libraries' sees a job once it is kept.
async fn jobs(context: &Shared, namespace: &str) {
    let client = &context.client;
    let (names, writer) = reflector::store();
    let watched = watcher(scoped::<DeserializeGuard<EncodeJob>>(client, namespace), watcher::Config::default());
    let kept = watched.default_backoff().map_ok({
        let shared = context.clone();
        move |event| {
            shared.seen.see_job(&event);
            touch(&shared.queues.jobs, &event);
            named_only(event)
        }
    });
    let batch = watcher(scoped::<Job>(client, namespace), ours()).default_backoff().inspect_ok({
        let seen = context.seen.clone();
        move |event| seen.see_batch(event)
    });
    let pods = watcher(scoped::<Pod>(client, namespace), ours()).default_backoff().inspect_ok({
        let shared = context.clone();
        move |event| {
            // Seen here first: the object of an evicted pod is gone a moment later.
            if let Event::Apply(pod) | Event::InitApply(pod) | Event::Delete(pod) = event {
                shared.ended.see(pod);
                if let Some(job) = job_of(pod) {
                    shared.queues.jobs.touch(&pod.namespace().unwrap_or_default(), job);
                }
            }
            shared.seen.see_pod(event);
        }
    });
    Controller::for_stream(reflector(writer, kept).touched_objects(), names)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .owns_stream(batch.touched_objects())
        .watches_stream(pods.touched_objects(), |pod: Pod| named(&pod, job_of(&pod)))
        .run(job::reconcile, job::on_error, context.clone())
        .for_each(async |result| match result {
            Err(Error::ObjectNotFound(gone)) => {
                let namespace = gone.namespace.as_deref().unwrap_or_default();
                context.queues.jobs.forget(namespace, &gone.name);
                context.working.end((namespace, &gone.name), &context.metrics);
                context.metrics.remove_all(&[("namespace", namespace), ("job", &gone.name)]);
                context.notifier.forget_job(namespace, &gone.name);
                context.succeeded(&format!("job/{namespace}/{}", gone.name));
            }
            Err(Error::QueueError(error)) => watch_failed("jobs", &error, context),
            _ => {}
        })
        .await;
}

/// Says that a watch does not work, once a minute at most: it is begun again, and until it works nothing that changes is seen.
fn watch_failed(of: &str, error: &watcher::Error, context: &Shared) {
    if context.refusals.is_due(&format!("watch/{of}")) {
        let error: &dyn std::error::Error = error;
        tracing::warn!(of, error, "a watch of the API server failed: begun again");
    }
}

/// Notes what the controller is about to reconcile.
fn touch<K: Resource>(queue: &Queue, event: &Event<K>) {
    if let Event::Apply(object) | Event::InitApply(object) | Event::Delete(object) = event {
        queue.touch(&object.namespace().unwrap_or_default(), &object.name_any());
    }
}

/// Name of the EncodeJob that a pod is of.
fn job_of(pod: &Pod) -> Option<&String> {
    pod.annotations().get(labels::ENCODE_JOB).or_else(|| pod.labels().get(labels::ENCODE_JOB))
}

/// What the controller needs of an EncodeJob: its name. The rest is kept once, by [`crate::seen::Seen`].
fn named_only(event: Event<DeserializeGuard<EncodeJob>>) -> Event<PartialObjectMeta<EncodeJob>> {
    let slim = |guard: DeserializeGuard<EncodeJob>| {
        let meta = guard.meta();
        let (name, namespace) = (meta.name.clone(), meta.namespace.clone());
        ObjectMeta { name, namespace, ..ObjectMeta::default() }.into_response_partial::<EncodeJob>()
    };
    match event {
        Event::Apply(job) => Event::Apply(slim(job)),
        Event::Delete(job) => Event::Delete(slim(job)),
        Event::InitApply(job) => Event::InitApply(slim(job)),
        Event::Init => Event::Init,
        Event::InitDone => Event::InitDone,
    }
}

/// In one namespace, or in all.
fn scoped<K: Resource<DynamicType = (), Scope = NamespaceResourceScope>>(client: &Client, namespace: &str) -> Api<K> {
    if namespace.is_empty() { Api::all(client.clone()) } else { Api::namespaced(client.clone(), namespace) }
}

fn ours() -> watcher::Config {
    watcher::Config::default().labels(&format!("app.kubernetes.io/managed-by={}", labels::MANAGED_BY))
}

fn of_roles(roles: &[&str]) -> watcher::Config {
    watcher::Config::default().labels(&format!(
        "app.kubernetes.io/managed-by={},{} in ({})",
        labels::MANAGED_BY,
        labels::ROLE,
        roles.join(",")
    ))
}

/// The object of that name in the namespace of `near`.
fn named<K, N>(near: &N, name: Option<&String>) -> Option<ObjectRef<K>>
where
    K: Resource<DynamicType = ()>,
    N: Resource,
{
    Some(ObjectRef::new(name?).within(near.meta().namespace.as_deref()?))
}
