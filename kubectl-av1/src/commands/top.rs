//! `top --once`: the queue from the resources, with fresher figures from the operator's metrics where they can be had.

use av1_crds::labels;

use super::{palette, print};
use crate::args::TableFormat;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::exposition::{Gauges, job_gauges};
use crate::view::top::{Frame, render};

pub(crate) async fn run(cluster: &Cluster, output: TableFormat) -> Result<(), Error> {
    let libraries = cluster.libraries().await?;
    let jobs = cluster.jobs().await?;
    let mut notes: Vec<String> = libraries
        .unreadable
        .iter()
        .chain(&jobs.unreadable)
        .map(|what| format!("This version cannot read {what}"))
        .collect();
    let gauges = operator_gauges(cluster).await.unwrap_or_else(|problem| {
        notes.push(format!(
            "The operator's metrics are away ({problem}): figures are from the API, up to a minute old."
        ));
        Gauges::new()
    });
    let frame = Frame::new(&libraries.items, &jobs.items, &gauges, notes);
    print(&render(&frame, output == TableFormat::Wide, palette()))
}

/// The operator's gauges of jobs, or in a few words why they are away.
async fn operator_gauges(cluster: &Cluster) -> Result<Gauges, String> {
    let services = cluster.services(&format!("{}=operator", labels::ROLE)).await.map_err(|error| error.to_string())?;
    if services.is_empty() {
        return Err("no Service of an operator in this cluster".to_owned());
    }
    let mut gauges = Gauges::new();
    for service in services {
        let (Some(namespace), Some(name)) = (service.metadata.namespace, service.metadata.name) else {
            continue;
        };
        let text =
            cluster.page(&namespace, &format!("{name}:metrics"), "metrics").await.map_err(|error| error.to_string())?;
        gauges.extend(job_gauges(&text));
    }
    Ok(gauges)
}
