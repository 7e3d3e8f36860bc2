//! The prepare Job. Pure.

use std::collections::BTreeMap;

use av1_crds::library::MediaLibrary;
use av1_crds::wire::{PrepareStep, PrepareTask};
use av1_crds::{labels, paths};
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::pod::{PodOptions, RolePod, User, helper, labels_of, task_argument, volume_mount};
use super::{prepare_name, role};

/// Prepare Job number `run`.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn prepare_job(
    library: &MediaLibrary,
    task: &PrepareTask,
    user: User,
    run: i64,
    options: &PodOptions,
) -> Result<Job, serde_json::Error> {
    let mut all = labels_of(&library.name_any(), role::PREPARE);
    all.insert(labels::RUN.to_owned(), run.to_string());
    let step = match task.step {
        PrepareStep::Look => "look",
        PrepareStep::Make => "make",
    };
    let pod = RolePod {
        role: role::PREPARE,
        library,
        options,
        user,
        labels: all,
        annotations: BTreeMap::from([("av1.media/step".to_owned(), step.to_owned())]),
    };
    let main = pod.container(pod.role, task_argument(task)?, vec![volume_mount(paths::VOLUME)], helper());
    let template = pod.pod(Vec::new(), main, Vec::new());
    Ok(pod.job(prepare_name(&library.uid().unwrap_or_default(), run), library, template))
}
