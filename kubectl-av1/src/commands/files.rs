//! `files LIBRARY`: every path with its verdict, page by page from the library's catalog.

use av1_crds::wire::{FilePage, FileVerdict};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{palette, print, print_json, print_yaml, remark};
use crate::args::Format;
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
    let mut after = None;
    loop {
        let page = fetch_page(cluster, namespace, library, after.as_deref()).await?;
        match output {
            Format::Table | Format::Wide => print(&table.page(&page.items))?,
            Format::Json | Format::Yaml => all.extend(page.items),
        }
        // A cursor that stands still would go on for ever.
        let next = page.next.filter(|next| Some(next) != after.as_ref());
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

async fn fetch_page(cluster: &Cluster, namespace: &str, library: &str, after: Option<&str>) -> Result<FilePage, Error> {
    let mut query = format!("v1/files?limit={PAGE}");
    if let Some(after) = after {
        query.push_str(&format!("&after={}", utf8_percent_encode(after, NON_ALPHANUMERIC)));
    }
    let text =
        cluster.page(namespace, &format!("{library}-catalog:http"), &query).await.map_err(|error| match error {
            Error::Api { message, .. } => {
                Error::Catalog { namespace: namespace.to_owned(), library: library.to_owned(), message }
            }
            other => other,
        })?;
    serde_json::from_str(&text)
        .map_err(|cause| Error::Answer { action: format!("files of {library}"), cause: cause.to_string() })
}
