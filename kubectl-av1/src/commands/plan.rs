//! `plan LIBRARY`: what would be encoded, with which plan, predicted size and time. Reads the catalog and the API; writes nothing.

use av1_crds::wire::{PlanItem, PlanPage};

use super::{palette, print, print_json, print_yaml, remark};
use crate::args::{Format, PlanArguments};
use crate::catalog::{Catalog, parse};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::outlook::Outlook;
use crate::view::plan::{Look, PlanReport, render};

/// Files in one answer of the catalog.
const PAGE: usize = 1_000;

pub(crate) async fn run(cluster: &Cluster, arguments: &PlanArguments) -> Result<(), Error> {
    let namespace = cluster.namespace.as_deref().ok_or(Error::NamespaceNeeded)?;
    let name = &arguments.library;
    let library = cluster.library(namespace, name).await?;
    let jobs = cluster.jobs().await?;
    for problem in &jobs.unreadable {
        remark(&format!("This version cannot read {problem}"))?;
    }
    let PlanPage { items, complete, settings, .. } = files(cluster, namespace, name).await?;
    let unusable = |message: String| Error::Settings { library: name.clone(), message };
    let outlook = Outlook::new(&library, settings, &jobs.items).map_err(unusable)?;
    let report = PlanReport::new(&library, &items, complete, &jobs.items, &outlook).map_err(unusable)?;
    match arguments.output {
        Format::Json => print_json(&report),
        Format::Yaml => print_yaml(&report),
        Format::Table | Format::Wide => {
            print(&render(&report, Look { wide: arguments.output == Format::Wide, limit: arguments.limit }, palette()))
        }
    }
}

/// All files worth encoding, in the library's order, as one page.
async fn files(cluster: &Cluster, namespace: &str, library: &str) -> Result<PlanPage, Error> {
    let catalog = Catalog { cluster, namespace, library };
    let mut all: Vec<PlanItem> = Vec::new();
    loop {
        let query = format!("v1/plan?offset={}&limit={PAGE}", all.len());
        let text = catalog.page(&query).await.map_err(|error| match error {
            Error::Api { message, .. } if message.is_empty() => {
                catalog.away("it is of an older version, which has no plans")
            }
            error => catalog.blamed(error),
        })?;
        let mut page: PlanPage = parse(&text, &format!("plan of {library}"))?;
        let more = !page.items.is_empty();
        all.append(&mut page.items);
        // The list may have changed between two pages: what there is no more of ends it.
        if !more || all.len() as u64 >= page.total {
            return Ok(PlanPage { items: all, ..page });
        }
    }
}
