//! The Jobs that have the library read-write: settle, mark, restore, purge, sidecars. Their pods never parse media. Pure.

use std::collections::BTreeMap;

use av1_crds::library::MediaLibrary;
use av1_crds::{EncodeJob, labels, paths};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::PodTemplateSpec;
use kube::ResourceExt;
use serde::Serialize;

use super::batch_name;
use super::pod::{PodOptions, RolePod, User, helper, labels_of_run, library_mount, task_argument};

/// Job number `run` of a job for a role that may write to the library.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn writer_job<T: Serialize>(
    role: &'static str,
    library: &MediaLibrary,
    job: &EncodeJob,
    task: &T,
    user: User,
    run: i64,
    options: &PodOptions,
) -> Result<Job, serde_json::Error> {
    let pod = RolePod {
        role,
        library,
        options,
        user,
        labels: labels_of_run(&library.name_any(), role, job, run),
        annotations: BTreeMap::from([
            (labels::PATH.to_owned(), job.spec.source.path.clone()),
            (labels::ENCODE_JOB.to_owned(), job.name_any()),
        ]),
    };
    let template = writer_pod(&pod, task)?;
    Ok(pod.job(batch_name(&job.uid().unwrap_or_default(), role, run), job, template))
}

/// A pod with one small container that has the library read-write.
///
/// # Errors
/// When the task can't be written as JSON.
pub(super) fn writer_pod<T: Serialize>(pod: &RolePod<'_>, task: &T) -> Result<PodTemplateSpec, serde_json::Error> {
    let mounts = vec![library_mount(pod.library, paths::LIBRARY, "", false)];
    let main = pod.container(pod.role, task_argument(task)?, mounts, helper());
    Ok(pod.pod(Vec::new(), main, Vec::new()))
}
