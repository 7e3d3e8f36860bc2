//! The survey Job: for a moment a few whole CPUs of one node, Guaranteed as an encode pod is, and nothing mounted. Pure.

use std::collections::BTreeMap;

use av1_crds::labels;
use av1_crds::library::MediaLibrary;
use av1_crds::wire::SurveyTask;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

use super::pod::{PodOptions, RolePod, User, env, guaranteed, labels_of, on_node, task_argument, without_library};
use super::{role, survey_name};

/// Nobody in particular: the pod opens no file of anybody.
const NOBODY: User = User { uid: 65_532, gid: 65_532 };
/// Memory of the pod.
const MEMORY: &str = "64Mi";
/// Seconds after which the Job is given up: it takes one or two.
const DEADLINE: i64 = 180;
/// Seconds that an ended Job stays if nobody deletes it.
const KEPT: i32 = 300;

/// Survey Job number `attempt` of the task's node, with so many whole CPUs.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn survey_job(
    library: &MediaLibrary,
    task: &SurveyTask,
    cpus: u32,
    attempt: i64,
    options: &PodOptions,
) -> Result<Job, serde_json::Error> {
    let mut all = labels_of(&library.name_any(), role::SURVEY);
    all.insert(labels::RUN.to_owned(), attempt.to_string());
    let pod = RolePod {
        role: role::SURVEY,
        library,
        options,
        user: NOBODY,
        labels: all,
        annotations: BTreeMap::from([("av1.media/node".to_owned(), task.node.clone())]),
    };
    let mut main =
        pod.container(pod.role, task_argument(task)?, Vec::new(), guaranteed(cpus.to_string(), MEMORY.to_owned()));
    main.env.get_or_insert_default().push(env("AV1_CPUS", cpus.to_string()));
    let mut template = pod.pod(Vec::new(), main, Vec::new());
    without_library(&mut template);
    if let Some(spec) = template.spec.as_mut() {
        spec.affinity = Some(on_node(task.node.clone()));
        // As encode pods have them: what is surveyed is what they get, and none of them is evicted for it.
        let wanted = library.spec.pods.clone().unwrap_or_default();
        spec.priority_class_name = wanted.priority_class_name;
        spec.runtime_class_name = wanted.runtime_class_name;
    }
    let name = survey_name(&library.uid().unwrap_or_default(), &task.node, &task.boot_id, attempt);
    let mut job = pod.job(name, library, template);
    if let Some(spec) = job.spec.as_mut() {
        spec.active_deadline_seconds = Some(DEADLINE);
        spec.ttl_seconds_after_finished = Some(KEPT);
    }
    Ok(job)
}
