//! `status [LIBRARY]`: what a person wants to know first.

use jiff::Timestamp;

use super::{palette, print, print_json, print_yaml, remark};
use crate::args::DocumentFormat;
use crate::cluster::{Cluster, Listed};
use crate::error::Error;
use crate::view::status::{LibraryReport, render};

pub(crate) async fn run(cluster: &Cluster, library: Option<&str>, output: DocumentFormat) -> Result<(), Error> {
    let mut libraries = match (library, cluster.namespace.as_deref()) {
        (Some(name), Some(namespace)) => {
            Listed { items: vec![cluster.library(namespace, name).await?], unreadable: Vec::new() }
        }
        _ => cluster.libraries().await?,
    };
    if let Some(name) = library {
        libraries.items.retain(|found| found.metadata.name.as_deref() == Some(name));
        if libraries.items.is_empty() {
            return Err(Error::NoLibrary { namespace: "any".to_owned(), name: name.to_owned() });
        }
    }
    let jobs = cluster.jobs().await?;
    for problem in libraries.unreadable.iter().chain(&jobs.unreadable) {
        remark(&format!("This version cannot read {problem}"))?;
    }
    let now = Timestamp::now();
    let reports: Vec<LibraryReport> =
        libraries.items.iter().map(|library| LibraryReport::new(library, &jobs.items, now)).collect();
    match output {
        DocumentFormat::Text => print(&render(&reports, cluster.namespace.as_deref(), palette())),
        DocumentFormat::Json => print_json(&reports),
        DocumentFormat::Yaml => print_yaml(&reports),
    }
}
