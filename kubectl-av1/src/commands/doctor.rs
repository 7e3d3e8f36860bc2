//! `doctor`: reads what the checks are about, prints what they found, and fails when somebody has to put something right.

use std::collections::BTreeMap;

use av1_crds::labels;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Service;
use kube::ResourceExt;

use super::{palette, print, print_json, print_yaml};
use crate::args::{DoctorArguments, DocumentFormat};
use crate::catalog;
use crate::checks::{DEFINITIONS, Facts, OperatorFacts, Seen, State, check};
use crate::cluster::Cluster;
use crate::cluster::inspect::not_seen;
use crate::error::Error;
use crate::view::doctor::render;

pub(crate) async fn run(cluster: &Cluster, arguments: &DoctorArguments) -> Result<(), Error> {
    let findings = check(&look(cluster).await?);
    match arguments.output {
        DocumentFormat::Text => print(&render(&findings, palette()))?,
        DocumentFormat::Json => print_json(&findings)?,
        DocumentFormat::Yaml => print_yaml(&findings)?,
    }
    match findings.iter().filter(|finding| finding.state == State::Problem).count() {
        0 => Ok(()),
        problems => Err(Error::Unwell { problems, checks: findings.len() }),
    }
}

/// Everything that the checks need. A cluster that does not answer at all is an error; whatever else is missing is a finding.
async fn look(cluster: &Cluster) -> Result<Facts, Error> {
    let version = cluster.version().await?;
    let mut definitions = Vec::new();
    for (kind, name) in DEFINITIONS {
        definitions.push((kind, cluster.definition(name).await));
    }
    let libraries = match cluster.libraries().await {
        Ok(listed) => Seen::Got(listed),
        Err(Error::NotInstalled { .. }) => Seen::Absent,
        Err(error) => not_seen(error),
    };
    let mut catalogs = BTreeMap::new();
    if let Seen::Got(listed) = &libraries {
        for library in &listed.items {
            let key = (library.namespace().unwrap_or_default(), library.name_any());
            let page = cluster.look_at_page(&key.0, &catalog::service(&key.1), "readyz").await;
            catalogs.insert(key, page);
        }
    }
    let operators = match cluster.services(&format!("{}=operator", labels::ROLE)).await {
        Ok(services) => Seen::Got(operators(cluster, &services).await),
        Err(error) => not_seen(error),
    };
    Ok(Facts {
        plugin: env!("CARGO_PKG_VERSION").to_owned(),
        server: cluster.server().to_owned(),
        scope: cluster.namespace.clone(),
        now: Timestamp::now(),
        nodes: cluster.nodes().await,
        version,
        definitions,
        operators,
        libraries: libraries.map(|listed| (listed.items, listed.unreadable)),
        catalogs,
    })
}

async fn operators(cluster: &Cluster, services: &[Service]) -> Vec<OperatorFacts> {
    let mut found = Vec::new();
    for service in services {
        let (namespace, name) = (service.namespace().unwrap_or_default(), service.name_any());
        found.push(OperatorFacts {
            // The chart gives Service, Deployment and Lease one name.
            deployment: cluster.deployment(&namespace, &name).await,
            lease: cluster.lease(&namespace, &name).await,
            metrics: cluster.look_at_page(&namespace, &format!("{name}:metrics"), "metrics").await,
            namespace,
            name,
        });
    }
    found
}
