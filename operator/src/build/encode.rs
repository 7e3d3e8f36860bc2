//! The encode Job: Guaranteed, whole CPUs, the library read-only with an empty volume over `.av1`, one work folder. Pure.

use std::collections::BTreeMap;

use av1_crds::library::MediaLibrary;
use av1_crds::wire::EncodeTask;
use av1_crds::{AGENT_PORT, EncodeJob, labels, paths};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::ContainerPort;
use kube::ResourceExt;

use super::pod::{
    PodOptions, RolePod, User, empty, env, guaranteed, labels_of_run, library_mount, mount, task_argument,
};
use super::{PodSize, batch_name, role};

/// Name of the volume that hides `.av1`.
const NOTHING: &str = "nothing";

/// The encode Job of the task's run.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn encode_job(
    library: &MediaLibrary,
    job: &EncodeJob,
    task: &EncodeTask,
    user: User,
    size: PodSize,
    options: &PodOptions,
) -> Result<Job, serde_json::Error> {
    let run = task.job.run;
    let pod = RolePod {
        role: role::ENCODE,
        library,
        options,
        user,
        labels: labels_of_run(&library.name_any(), role::ENCODE, job, run),
        annotations: BTreeMap::from([
            (labels::PATH.to_owned(), task.path.clone()),
            (labels::ENCODE_JOB.to_owned(), job.name_any()),
        ]),
    };
    let argument = task_argument(task)?;
    // Fractional, so that the static CPU manager gives it no CPU of its own; requests equal limits, or the pod is not Guaranteed.
    let workdir = pod.container(
        role::WORKDIR,
        argument.clone(),
        vec![library_mount(library, paths::STATE_ROOT, paths::AV1_DIR, false)],
        guaranteed("50m".to_owned(), "64Mi".to_owned()),
    );
    let folder = format!("{}/{}/{}/{run}", paths::AV1_DIR, paths::WORK_DIR, task.job.uid);
    let mounts = vec![
        library_mount(library, paths::LIBRARY, "", true),
        mount(NOTHING, &format!("{}/{}", paths::LIBRARY, paths::AV1_DIR), None, true),
        library_mount(library, paths::WORK, &folder, false),
    ];
    let mut main = pod.container(
        role::ENCODE,
        argument,
        mounts,
        guaranteed(size.cpus.to_string(), format!("{}Mi", size.memory_mib)),
    );
    main.ports = Some(vec![ContainerPort {
        name: Some("http".to_owned()),
        container_port: i32::from(AGENT_PORT),
        ..ContainerPort::default()
    }]);
    if let Some(list) = main.env.as_mut() {
        list.push(env("AV1_CPUS", size.cpus.to_string()));
        list.push(env("AV1_GRACE_SECONDS", options.grace_seconds.to_string()));
    }
    let mut template = pod.pod(vec![workdir], main, vec![empty(NOTHING)]);
    if let Some(spec) = template.spec.as_mut() {
        spec.termination_grace_period_seconds = Some(options.grace_seconds);
        spec.node_selector = library.spec.pods.as_ref().and_then(|p| p.node_selector.clone());
    }
    Ok(pod.job(batch_name(&job.uid().unwrap_or_default(), role::ENCODE, run), job, template))
}
