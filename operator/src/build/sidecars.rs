//! The sidecars Job: writes and removes the sidecars that it is given a list of. Pure.

use std::collections::BTreeMap;

use av1_crds::labels;
use av1_crds::library::MediaLibrary;
use av1_crds::wire::SidecarsTask;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::pod::{PodOptions, RolePod, User, labels_of};
use super::settle::writer_pod;
use super::{role, sidecars_name};

/// Sidecars Job number `run`.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn sidecars_job(
    library: &MediaLibrary,
    task: &SidecarsTask,
    user: User,
    run: i64,
    options: &PodOptions,
) -> Result<Job, serde_json::Error> {
    let mut all = labels_of(&library.name_any(), role::SIDECARS);
    all.insert(labels::RUN.to_owned(), run.to_string());
    let pod = RolePod { role: role::SIDECARS, library, options, user, labels: all, annotations: BTreeMap::new() };
    let template = writer_pod(&pod, task)?;
    Ok(pod.job(sidecars_name(&library.uid().unwrap_or_default(), run), library, template))
}
