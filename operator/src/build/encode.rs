//! The encode Job: whole CPUs, Guaranteed unless it is known that CPUs are shared, the library read-only with an empty volume over `.av1`, one work folder. Pure.

use std::collections::BTreeMap;

use av1_crds::library::{MediaLibrary, Scratch};
use av1_crds::wire::EncodeTask;
use av1_crds::{AGENT_PORT, EncodeJob, labels, paths};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Affinity, ContainerPort, NodeSelectorTerm, PodTemplateSpec, PreferredSchedulingTerm};
use kube::ResourceExt;

use super::pod::{
    NAME_FIELD, PodOptions, RolePod, User, empty, env, guaranteed, labels_of_run, library_mount, mount, requirement,
    sharing, task_argument,
};
use super::{HOST_LABEL, Placing, batch_name, digest, role};

/// Label by which Kueue knows a Job's queue: <https://kueue.sigs.k8s.io/docs/tasks/run/jobs/>.
const QUEUE_LABEL: &str = "kueue.x-k8s.io/queue-name";
/// Name of the volume that hides `.av1`.
const NOTHING: &str = "nothing";
/// Name of the volume that goes with the pod.
const SCRATCH: &str = "scratch";

/// The encode Job of the task's run.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn encode_job(
    library: &MediaLibrary,
    job: &EncodeJob,
    task: &EncodeTask,
    user: User,
    place: &Placing,
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
    // Only a Guaranteed pod, in which every container's requests equal its limits, is given CPUs of its own.
    let resources = if place.shared { sharing } else { guaranteed };
    // Fractional, so that the static CPU manager gives it no CPU of its own.
    let workdir = pod.container(
        role::WORKDIR,
        argument.clone(),
        vec![library_mount(library, paths::STATE_ROOT, paths::AV1_DIR, false)],
        resources("50m".to_owned(), "64Mi".to_owned()),
    );
    let folder = format!("{}/{}/{}/{run}", paths::AV1_DIR, paths::WORK_DIR, task.job.uid);
    let wanted = library.spec.pods.clone().unwrap_or_default();
    let own_disk = wanted.scratch.unwrap_or_default() == Scratch::EmptyDir;
    let mut mounts = vec![
        library_mount(library, paths::LIBRARY, "", true),
        mount(NOTHING, &format!("{}/{}", paths::LIBRARY, paths::AV1_DIR), None, true),
        library_mount(library, paths::WORK, &folder, false),
    ];
    let mut volumes = vec![empty(NOTHING)];
    if own_disk {
        mounts.push(mount(SCRATCH, paths::SCRATCH, None, false));
        volumes.push(empty(SCRATCH));
    }
    let mut main = pod.container(
        role::ENCODE,
        argument,
        mounts,
        resources(place.size.cpus.to_string(), format!("{}Mi", place.size.memory_mib)),
    );
    main.ports = Some(vec![ContainerPort {
        name: Some("http".to_owned()),
        container_port: i32::from(AGENT_PORT),
        ..ContainerPort::default()
    }]);
    if let Some(list) = main.env.as_mut() {
        list.push(env("AV1_CPUS", place.size.cpus.to_string()));
        list.push(env("AV1_GRACE_SECONDS", options.grace_seconds.to_string()));
    }
    if let Some(list) = main.args.as_mut().filter(|_| own_disk) {
        list.extend(["--scratch", paths::SCRATCH].map(str::to_owned));
    }
    let mut template = pod.pod(vec![workdir], main, volumes);
    if let Some(spec) = template.spec.as_mut() {
        spec.termination_grace_period_seconds = Some(options.grace_seconds);
        spec.node_selector = wanted.node_selector;
        spec.priority_class_name = wanted.priority_class_name;
        spec.runtime_class_name = wanted.runtime_class_name;
        spec.affinity = with_hosts(with_node(wanted.affinity, spec.affinity.take()), place);
    }
    let placement = placement_digest(&template)?;
    let mut batch = pod.job(batch_name(&job.uid().unwrap_or_default(), role::ENCODE, run), job, template);
    batch.annotations_mut().insert(labels::PLACEMENT_DIGEST.to_owned(), placement);
    if let Some(queue) = library.spec.queue_name.clone().filter(|name| !name.is_empty()) {
        batch.labels_mut().insert(QUEUE_LABEL.to_owned(), queue);
        // Kueue takes it from here: it lets the Job go on when there is room.
        if let Some(spec) = batch.spec.as_mut() {
            spec.suspend = Some(true);
        }
    }
    Ok(batch)
}

/// Digest of where the pod may go and how large it is.
fn placement_digest(template: &PodTemplateSpec) -> Result<String, serde_json::Error> {
    let spec = template.spec.clone().unwrap_or_default();
    let resources: Vec<_> =
        spec.init_containers.iter().flatten().chain(&spec.containers).map(|c| c.resources.clone()).collect();
    let names = (spec.priority_class_name, spec.runtime_class_name);
    let json = serde_json::to_vec(&(spec.node_selector, spec.affinity, spec.tolerations, names, resources))?;
    Ok(digest(json))
}

/// What the user asks for, on no other node than the library's, if it has one.
fn with_node(wanted: Option<Affinity>, node: Option<Affinity>) -> Option<Affinity> {
    let Some(mut wanted) = wanted else { return node };
    let required =
        |affinity: Option<Affinity>| affinity?.node_affinity?.required_during_scheduling_ignored_during_execution;
    let Some(node) = required(node) else { return Some(wanted) };
    let fields = node.node_selector_terms.into_iter().next().and_then(|term| term.match_fields).unwrap_or_default();
    let of_nodes = wanted.node_affinity.get_or_insert_default();
    let terms =
        &mut of_nodes.required_during_scheduling_ignored_during_execution.get_or_insert_default().node_selector_terms;
    if terms.is_empty() {
        terms.push(NodeSelectorTerm::default());
    }
    // One term is enough for a node: each has to name it.
    for term in terms {
        term.match_fields.get_or_insert_default().extend(fields.clone());
    }
    Some(wanted)
}

/// What there is, and the nodes of `place`: no others where it has `only`, first those that it prefers, and last those that it avoids.
fn with_hosts(affinity: Option<Affinity>, place: &Placing) -> Option<Affinity> {
    /// Less than what a user may say with the greatest weight.
    const BETTER: i32 = 50;
    /// Less than that: the one node that is better is not passed over for one that is not.
    const ELSEWHERE: i32 = 40;
    let hosts = |hosts: &[String]| requirement(HOST_LABEL, "In", hosts);
    if place.only.is_none() && place.preferred.is_empty() && place.avoided.is_empty() {
        return affinity;
    }
    let mut affinity = affinity.unwrap_or_default();
    let of_nodes = affinity.node_affinity.get_or_insert_default();
    if let Some(only) = &place.only {
        let required = of_nodes.required_during_scheduling_ignored_during_execution.get_or_insert_default();
        if required.node_selector_terms.is_empty() {
            required.node_selector_terms.push(NodeSelectorTerm::default());
        }
        for term in &mut required.node_selector_terms {
            term.match_expressions.get_or_insert_default().push(hosts(only));
        }
    }
    let mut prefer = |weight, preference| {
        let preferred = of_nodes.preferred_during_scheduling_ignored_during_execution.get_or_insert_default();
        preferred.push(PreferredSchedulingTerm { weight, preference });
    };
    if !place.preferred.is_empty() {
        let match_expressions = Some(vec![hosts(&place.preferred)]);
        prefer(BETTER, NodeSelectorTerm { match_expressions, match_fields: None });
    }
    if !place.avoided.is_empty() {
        // The field takes one name at a time.
        let others = |node| requirement(NAME_FIELD, "NotIn", std::slice::from_ref(node));
        let match_fields = Some(place.avoided.iter().map(others).collect());
        prefer(ELSEWHERE, NodeSelectorTerm { match_expressions: None, match_fields });
    }
    Some(affinity)
}
