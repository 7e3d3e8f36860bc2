//! The settle Job: the only one that has the library read-write. Pure.

use std::collections::BTreeMap;

use av1_crds::library::MediaLibrary;
use av1_crds::wire::SettleTask;
use av1_crds::{EncodeJob, labels, paths};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::pod::{PodOptions, RolePod, User, helper, labels_of_run, library_mount, task_argument};
use super::{batch_name, role};

/// Settle Job number `run` of a job.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn settle_job(
    library: &MediaLibrary,
    job: &EncodeJob,
    task: &SettleTask,
    user: User,
    run: i64,
    options: &PodOptions,
) -> Result<Job, serde_json::Error> {
    let pod = RolePod {
        role: role::SETTLE,
        library,
        options,
        user,
        labels: labels_of_run(&library.name_any(), role::SETTLE, job, run),
        annotations: BTreeMap::from([
            (labels::PATH.to_owned(), task.path.clone()),
            (labels::ENCODE_JOB.to_owned(), job.name_any()),
        ]),
    };
    let main = pod.container(
        pod.role,
        task_argument(task)?,
        vec![library_mount(library, paths::LIBRARY, "", false)],
        helper(),
    );
    let template = pod.pod(Vec::new(), main, Vec::new());
    Ok(pod.job(batch_name(&job.uid().unwrap_or_default(), role::SETTLE, run), job, template))
}
