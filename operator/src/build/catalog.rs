//! The catalog: a Deployment of one pod, and the Service that it answers at. Pure.

use std::collections::BTreeMap;

use av1_crds::library::MediaLibrary;
use av1_crds::wire::CatalogTask;
use av1_crds::{AGENT_PORT, labels, paths};
use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec, DeploymentStrategy};
use k8s_openapi::api::core::v1::{ContainerPort, HTTPGetAction, Probe, Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;
use kube::api::ObjectMeta;

use super::pod::{PodOptions, RolePod, User, helper, labels_of, library_mount, owner_of, task_argument};
use super::{catalog_name, role};

/// The Deployment of a library's catalog.
///
/// # Errors
/// When the task can't be written as JSON.
pub(crate) fn catalog_deployment(
    library: &MediaLibrary,
    task: &CatalogTask,
    user: User,
    options: &PodOptions,
) -> Result<Deployment, serde_json::Error> {
    let name = library.name_any();
    let pod = RolePod {
        role: role::CATALOG,
        library,
        options,
        user,
        labels: labels_of(&name, role::CATALOG),
        annotations: BTreeMap::new(),
    };
    let mounts = vec![
        library_mount(library, paths::LIBRARY, "", true),
        library_mount(library, paths::CATALOG, &format!("{}/{}", paths::AV1_DIR, paths::CATALOG_DIR), false),
    ];
    let mut main = pod.container(pod.role, task_argument(task)?, mounts, helper());
    main.ports = Some(vec![ContainerPort {
        name: Some("http".to_owned()),
        container_port: i32::from(AGENT_PORT),
        ..ContainerPort::default()
    }]);
    main.readiness_probe = Some(probe("/readyz", 2, 3));
    // Generous: a pod without CPU requests has the least weight on a busy node.
    main.liveness_probe = Some(probe("/healthz", 20, 6));
    Ok(Deployment {
        metadata: metadata(library, role::CATALOG),
        spec: Some(DeploymentSpec {
            replicas: Some(1),
            strategy: Some(DeploymentStrategy { type_: Some("Recreate".to_owned()), rolling_update: None }),
            selector: LabelSelector { match_labels: Some(selector(&name)), match_expressions: None },
            template: pod.pod(Vec::new(), main, Vec::new()),
            ..DeploymentSpec::default()
        }),
        status: None,
    })
}

/// The Service in front of it.
pub(crate) fn catalog_service(library: &MediaLibrary) -> Service {
    Service {
        metadata: metadata(library, role::CATALOG),
        spec: Some(ServiceSpec {
            selector: Some(selector(&library.name_any())),
            ports: Some(vec![ServicePort {
                name: Some("http".to_owned()),
                port: i32::from(AGENT_PORT),
                target_port: Some(IntOrString::String("http".to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

fn metadata(library: &MediaLibrary, role: &str) -> ObjectMeta {
    let name = library.name_any();
    ObjectMeta {
        name: Some(catalog_name(&name)),
        namespace: library.namespace(),
        labels: Some(labels_of(&name, role)),
        owner_references: owner_of(library),
        ..ObjectMeta::default()
    }
}

fn selector(library: &str) -> BTreeMap<String, String> {
    BTreeMap::from(
        [(labels::LIBRARY, library), (labels::ROLE, role::CATALOG)].map(|(k, v)| (k.to_owned(), v.to_owned())),
    )
}

fn probe(path: &str, period: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String("http".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period),
        timeout_seconds: Some(10),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}
