//! `files LIBRARY`: every path with its verdict, page by page from the library's catalog.

use av1_crds::wire::{FilePage, FileVerdict};

use super::{palette, print, print_json, print_yaml, remark};
use crate::args::Format;
use crate::catalog::{Catalog, behind, moved, parse};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::view::files::FileTable;

/// Files in one answer of the catalog.
const PAGE: usize = 500;

pub(crate) async fn run(cluster: &Cluster, library: &str, output: Format) -> Result<(), Error> {
    let namespace = cluster.namespace.as_deref().ok_or(Error::NamespaceNeeded)?;
    cluster.library(namespace, library).await?;
    let mut table = FileTable::new(output == Format::Wide, palette());
    let mut all: Vec<FileVerdict> = Vec::new();
    let catalog = Catalog { cluster, namespace, library };
    let mut after: Option<String> = None;
    loop {
        let query = behind(&format!("v1/files?limit={PAGE}"), after.as_deref());
        let text = catalog.page(&query).await.map_err(|error| catalog.blamed(error))?;
        let page: FilePage = parse(&text, &format!("files of {library}"))?;
        match output {
            Format::Table | Format::Wide => print(&table.page(&page.items))?,
            Format::Json | Format::Yaml => all.extend(page.items),
        }
        let next = moved(page.next, after.as_deref());
        if next.is_none() {
            if !page.complete {
                remark("The first walk of the library has not ended: more files will follow.")?;
            }
            break;
        }
        after = next;
    }
    match output {
        Format::Table | Format::Wide => print(&table.end()),
        Format::Json => print_json(&all),
        Format::Yaml => print_yaml(&all),
    }
}
