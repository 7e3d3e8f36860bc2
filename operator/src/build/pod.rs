//! What the pods of all roles share: user, security, volumes, labels, the task as an argument. Pure.

use std::collections::BTreeMap;

use av1_crds::library::{LibraryVolume, MediaLibrary};
use av1_crds::{EncodeJob, labels};
use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, HostPathVolumeSource,
    LocalObjectReference, NFSVolumeSource, NodeAffinity, NodeSelector, NodeSelectorRequirement, NodeSelectorTerm,
    ObjectFieldSelector, PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, PodTemplateSpec,
    ResourceRequirements, SeccompProfile, SecurityContext, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::api::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde::Serialize;

use super::only_node;

/// What the operator was started with, as far as pods need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PodOptions {
    pub(crate) image: String,
    pub(crate) pull_policy: String,
    pub(crate) pull_secret: Option<String>,
    /// Seconds that an encode pod may take to save its work.
    pub(crate) grace_seconds: i64,
}

/// User that a pod runs as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: i64,
    pub(crate) gid: i64,
}

const VOLUME: &str = "library";
const SCRATCH: &str = "tmp";
/// Memory of a helper pod: a request for the scheduler, no limit.
const HELPER_MEMORY: &str = "64Mi";

/// One role of the agent in one pod of a library.
pub(super) struct RolePod<'a> {
    pub(super) role: &'static str,
    pub(super) library: &'a MediaLibrary,
    pub(super) options: &'a PodOptions,
    pub(super) user: User,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
}

/// The task as JSON in which no `$` stands: Kubernetes expands `$(NAME)` and `$$` in arguments.
pub(super) fn task_argument<T: Serialize>(task: &T) -> Result<String, serde_json::Error> {
    Ok(serde_json::to_string(task)?.replace('$', "\\u0024"))
}

/// Labels of everything that belongs to a library.
pub(super) fn labels_of(library: &str, role: &str) -> BTreeMap<String, String> {
    BTreeMap::from(
        [
            ("app.kubernetes.io/name", "av1-agent"),
            ("app.kubernetes.io/component", role),
            ("app.kubernetes.io/managed-by", labels::MANAGED_BY),
            (labels::LIBRARY, library),
            (labels::ROLE, role),
        ]
        .map(|(k, v)| (k.to_owned(), v.to_owned())),
    )
}

/// Labels of what belongs to one run of a job.
pub(super) fn labels_of_run(library: &str, role: &str, job: &EncodeJob, run: i64) -> BTreeMap<String, String> {
    let mut all = labels_of(library, role);
    all.insert(labels::ENCODE_JOB_UID.to_owned(), job.uid().unwrap_or_default());
    all.insert(labels::RUN.to_owned(), run.to_string());
    if job.name_any().len() <= 63 {
        all.insert(labels::ENCODE_JOB.to_owned(), job.name_any());
    }
    all
}

impl RolePod<'_> {
    /// A container of the role `role` with `task`.
    pub(super) fn container(
        &self,
        role: &str,
        task: String,
        mounts: Vec<VolumeMount>,
        resources: ResourceRequirements,
    ) -> Container {
        let mut mounts = mounts;
        mounts.push(mount(SCRATCH, "/tmp", None, false));
        Container {
            name: role.to_owned(),
            image: Some(self.options.image.clone()),
            image_pull_policy: Some(self.options.pull_policy.clone()),
            command: Some(vec!["av1-agent".to_owned()]),
            args: Some(vec!["pod".to_owned(), role.to_owned(), "--task".to_owned(), task]),
            env: Some(vec![
                env("HOME", "/tmp"),
                EnvVar {
                    name: "POD_UID".to_owned(),
                    value_from: Some(EnvVarSource {
                        field_ref: Some(ObjectFieldSelector {
                            field_path: "metadata.uid".to_owned(),
                            ..ObjectFieldSelector::default()
                        }),
                        ..EnvVarSource::default()
                    }),
                    ..EnvVar::default()
                },
            ]),
            volume_mounts: Some(mounts),
            resources: Some(resources),
            security_context: Some(SecurityContext {
                allow_privilege_escalation: Some(false),
                capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), add: None }),
                read_only_root_filesystem: Some(true),
                ..SecurityContext::default()
            }),
            termination_message_policy: Some("File".to_owned()),
            ..Container::default()
        }
    }

    /// The pod with these containers.
    pub(super) fn pod(&self, init: Vec<Container>, main: Container, extra_volumes: Vec<Volume>) -> PodTemplateSpec {
        let spec = &self.library.spec;
        let pods = spec.pods.clone().unwrap_or_default();
        let mut volumes = vec![volume(&spec.volume), empty(SCRATCH)];
        volumes.extend(extra_volumes);
        PodTemplateSpec {
            metadata: Some(ObjectMeta {
                labels: Some(self.labels.clone()),
                annotations: Some(self.annotations.clone()).filter(|a| !a.is_empty()),
                ..ObjectMeta::default()
            }),
            spec: Some(PodSpec {
                init_containers: Some(init).filter(|list| !list.is_empty()),
                containers: vec![main],
                volumes: Some(volumes),
                automount_service_account_token: Some(false),
                enable_service_links: Some(false),
                image_pull_secrets: self.options.pull_secret.clone().map(|name| vec![LocalObjectReference { name }]),
                security_context: Some(PodSecurityContext {
                    run_as_non_root: Some(self.user.uid != 0),
                    run_as_user: Some(self.user.uid),
                    run_as_group: Some(self.user.gid),
                    supplemental_groups: pods.supplemental_groups,
                    seccomp_profile: Some(SeccompProfile {
                        type_: "RuntimeDefault".to_owned(),
                        localhost_profile: None,
                    }),
                    ..PodSecurityContext::default()
                }),
                affinity: only_node(self.library).map(on_node),
                tolerations: pods.tolerations,
                ..PodSpec::default()
            }),
        }
    }

    /// A batch Job that runs `template` once.
    pub(super) fn job<K: Resource<DynamicType = ()>>(
        &self,
        name: String,
        owner: &K,
        mut template: PodTemplateSpec,
    ) -> Job {
        if let Some(spec) = template.spec.as_mut() {
            spec.restart_policy = Some("Never".to_owned());
        }
        Job {
            metadata: ObjectMeta {
                name: Some(name),
                namespace: owner.meta().namespace.clone(),
                labels: Some(self.labels.clone()),
                annotations: Some(self.annotations.clone()).filter(|a| !a.is_empty()),
                owner_references: owner_of(owner),
                ..ObjectMeta::default()
            },
            spec: Some(JobSpec { backoff_limit: Some(0), template, ..JobSpec::default() }),
            status: None,
        }
    }
}

/// `owner` as the controlling owner, without a hold on its deletion.
pub(super) fn owner_of<K: Resource<DynamicType = ()>>(
    owner: &K,
) -> Option<Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference>> {
    owner.controller_owner_ref(&()).map(|mut reference| {
        reference.block_owner_deletion = Some(false);
        vec![reference]
    })
}

/// A pod that has nothing to do with the library's files: no volume of it, and none of its groups.
pub(super) fn without_library(template: &mut PodTemplateSpec) {
    if let Some(spec) = template.spec.as_mut() {
        spec.volumes.get_or_insert_default().retain(|volume| volume.name != VOLUME);
        spec.security_context.get_or_insert_default().supplemental_groups = None;
    }
}

/// A variable.
pub(super) fn env(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar { name: name.to_owned(), value: Some(value.into()), value_from: None }
}

/// A mount of the library's volume at `sub_path` below the library's root.
pub(super) fn library_mount(library: &MediaLibrary, at: &str, below: &str, read_only: bool) -> VolumeMount {
    let root = library.spec.volume.sub_path.trim_matches('/');
    let parts: Vec<&str> = [root, below].into_iter().filter(|part| !part.is_empty()).collect();
    mount(VOLUME, at, Some(parts.join("/")).filter(|path| !path.is_empty()), read_only)
}

/// A mount of the whole volume.
pub(super) fn volume_mount(at: &str) -> VolumeMount {
    mount(VOLUME, at, None, false)
}

/// A mount.
pub(super) fn mount(name: &str, at: &str, sub_path: Option<String>, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: at.to_owned(),
        sub_path,
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// An empty volume.
pub(super) fn empty(name: &str) -> Volume {
    Volume { name: name.to_owned(), empty_dir: Some(EmptyDirVolumeSource::default()), ..Volume::default() }
}

/// Requests equal to limits.
pub(super) fn guaranteed(cpu: String, memory: String) -> ResourceRequirements {
    let list = BTreeMap::from([("cpu".to_owned(), Quantity(cpu)), ("memory".to_owned(), Quantity(memory))]);
    ResourceRequirements { requests: Some(list.clone()), limits: Some(list), claims: None }
}

/// A request of CPUs without a limit, for CPUs that are shared: a limit would throttle the pod while others leave CPUs idle.
pub(super) fn sharing(cpu: String, memory: String) -> ResourceRequirements {
    let mut resources = guaranteed(cpu, memory);
    resources.limits.get_or_insert_default().remove("cpu");
    resources
}

/// Neither a request nor a limit of CPUs: any request would keep a whole-CPU pod from a small node.
pub(super) fn helper() -> ResourceRequirements {
    ResourceRequirements {
        requests: Some(BTreeMap::from([("memory".to_owned(), Quantity(HELPER_MEMORY.to_owned()))])),
        limits: None,
        claims: None,
    }
}

fn volume(from: &LibraryVolume) -> Volume {
    let mut volume = Volume { name: VOLUME.to_owned(), ..Volume::default() };
    if let Some(claim) = &from.persistent_volume_claim {
        volume.persistent_volume_claim =
            Some(PersistentVolumeClaimVolumeSource { claim_name: claim.claim_name.clone(), read_only: None });
    } else if let Some(nfs) = &from.nfs {
        volume.nfs = Some(NFSVolumeSource { server: nfs.server.clone(), path: nfs.path.clone(), read_only: None });
    } else if let Some(host_path) = &from.host_path {
        volume.host_path =
            Some(HostPathVolumeSource { path: host_path.path.clone(), type_: Some("Directory".to_owned()) });
    }
    volume
}

/// Field of a node's name.
pub(super) const NAME_FIELD: &str = "metadata.name";

/// What a node's label or field is asked for.
pub(super) fn requirement(key: &str, operator: &str, values: &[String]) -> NodeSelectorRequirement {
    NodeSelectorRequirement { key: key.to_owned(), operator: operator.to_owned(), values: Some(values.to_vec()) }
}

/// On the node of that name.
pub(super) fn on_node(name: String) -> Affinity {
    let field = requirement(NAME_FIELD, "In", &[name]);
    let term = NodeSelectorTerm { match_fields: Some(vec![field]), match_expressions: None };
    Affinity {
        node_affinity: Some(NodeAffinity {
            required_during_scheduling_ignored_during_execution: Some(NodeSelector { node_selector_terms: vec![term] }),
            ..NodeAffinity::default()
        }),
        ..Affinity::default()
    }
}
