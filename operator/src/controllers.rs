//! Watches and the two controllers over them. May: turn changes of objects into reconciles. Must never: decide.

use av1_crds::{EncodeJob, MediaLibrary, labels};
use futures::{StreamExt, future};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::core::{DeserializeGuard, NamespaceResourceScope};
use kube::runtime::Controller;
use kube::runtime::controller::{Config, Error};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Api, Client, Resource, ResourceExt};

use crate::build::role;
use crate::context::Shared;
use crate::{job, library};

/// Reconciles at once, of each controller.
const CONCURRENCY: u16 = 16;

/// Roles of the Jobs that belong to a library itself.
const OF_LIBRARY: [&str; 3] = [role::PREPARE, role::PURGE, role::SURVEY];

/// Runs both controllers until their watches end.
pub(crate) async fn run(context: Shared, namespace: &str) {
    future::join(libraries(&context, namespace), jobs(&context, namespace)).await;
}

async fn libraries(context: &Shared, namespace: &str) {
    let client = &context.client;
    Controller::new(scoped::<DeserializeGuard<MediaLibrary>>(client, namespace), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .owns(scoped::<Deployment>(client, namespace), ours())
        .owns(scoped::<Job>(client, namespace), of_roles(&OF_LIBRARY))
        .watches(scoped::<Pod>(client, namespace), of_roles(&OF_LIBRARY), |pod| {
            named(&pod, pod.labels().get(labels::LIBRARY))
        })
        .watches(
            scoped::<DeserializeGuard<EncodeJob>>(client, namespace),
            watcher::Config::default(),
            |job: DeserializeGuard<EncodeJob>| {
                let library = job.0.as_ref().ok().map(|j| j.spec.library_ref.name.clone());
                named(&job, library.as_ref())
            },
        )
        .run(library::reconcile, library::on_error, context.clone())
        .for_each(async |result| {
            // The ordinary end of a library: its next reconcile finds nothing in the store.
            if let Err(Error::ObjectNotFound(gone)) = result {
                library::forget(gone.namespace.as_deref().unwrap_or_default(), &gone.name, context);
            }
        })
        .await;
}

async fn jobs(context: &Shared, namespace: &str) {
    let client = &context.client;
    let ended = context.ended.clone();
    Controller::new(scoped::<DeserializeGuard<EncodeJob>>(client, namespace), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY))
        .owns(scoped::<Job>(client, namespace), ours())
        .watches(scoped::<Pod>(client, namespace), ours(), move |pod: Pod| {
            // Seen here first: the object of an evicted pod is gone a moment later.
            ended.see(&pod);
            named(&pod, pod.annotations().get(labels::ENCODE_JOB).or_else(|| pod.labels().get(labels::ENCODE_JOB)))
        })
        .run(job::reconcile, job::on_error, context.clone())
        .for_each(async |result| {
            if let Err(Error::ObjectNotFound(gone)) = result {
                let namespace = gone.namespace.as_deref().unwrap_or_default();
                context.metrics.remove_all(&[("namespace", namespace), ("job", &gone.name)]);
                context.notifier.forget_job(namespace, &gone.name);
                context.succeeded(&format!("job/{namespace}/{}", gone.name));
            }
        })
        .await;
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
