//! `report LIBRARY`: what its encodes came to, from the jobs, and from what the volume remembers of those that are gone.

use std::path::Path;

use av1_crds::figures;
use av1_crds::wire::{MAX_STILLS, OutcomePage, PastOutcome, Stills};
use jiff::Timestamp;

use super::{palette, print, print_json, print_yaml, remark};
use crate::args::{DocumentFormat, ReportArguments};
use crate::catalog::{Catalog, behind, moved, parse, quoted};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::view::report::scenes::{Pictures, Run};
use crate::view::report::{Report, html, render};

/// Outcomes in one answer of the catalog.
const PAGE: usize = 200;
/// Most answers that are asked for.
const MOST_PAGES: usize = 5_000;

pub(crate) async fn run(cluster: &Cluster, arguments: &ReportArguments) -> Result<(), Error> {
    let namespace = cluster.namespace.as_deref().ok_or(Error::NamespaceNeeded)?;
    let name = arguments.library.as_str();
    let library = cluster.library(namespace, name).await?;
    let jobs = cluster.jobs().await?;
    let mut notes: Vec<String> =
        jobs.unreadable.iter().map(|what| format!("This version cannot read {what}: it is missing here.")).collect();
    let catalog = Catalog { cluster, namespace, library: name };
    let past = outcomes(&catalog).await.unwrap_or_else(|error| {
        let all = library.status.as_ref().and_then(|status| status.bytes.as_ref());
        let all = all.map(|bytes| format!(" In all, {} were saved when it last answered.", figures::size(bytes.freed)));
        notes.push(format!(
            "The catalog of {name} does not answer ({error}): files whose jobs have been cleaned up are missing here, and so are pictures.{}",
            all.unwrap_or_default()
        ));
        Vec::new()
    });
    let report = Report::new(&library, &jobs.items, &past, Timestamp::now(), notes);
    if let Some(file) = &arguments.html {
        let pictures = pictures(&catalog, &report).await?;
        write(file, &html::page(&report, &pictures), pictures.len())?;
    }
    match arguments.output {
        None if arguments.html.is_some() => Ok(()),
        None | Some(DocumentFormat::Text) => print(&render(&report, palette())),
        Some(DocumentFormat::Json) => print_json(&report),
        Some(DocumentFormat::Yaml) => print_yaml(&report),
    }
}

/// What became of every path last.
async fn outcomes(catalog: &Catalog<'_>) -> Result<Vec<PastOutcome>, Error> {
    let mut all = Vec::new();
    let mut after: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let query = behind(&format!("v1/outcomes?limit={PAGE}"), after.as_deref());
        let page: OutcomePage = parse(&catalog.page(&query).await?, &query)?;
        all.extend(page.items);
        match moved(page.next, after.as_deref()) {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    Ok(all)
}

/// The pictures that the report shows; those that cannot be had are left out, with a remark.
async fn pictures(catalog: &Catalog<'_>, report: &Report) -> Result<Pictures, Error> {
    let mut pictures = Pictures::new();
    for run in report.runs_with_scenes() {
        match stills(catalog, &run).await {
            Ok(stills) => drop(pictures.insert(run, stills)),
            Err(error) => remark(&format!("Left out the pictures of run {} of job {}: {error}", run.1, run.0))?,
        }
    }
    Ok(pictures)
}

async fn stills(catalog: &Catalog<'_>, (job, run): &Run) -> Result<Stills, Error> {
    let query = format!("v1/stills/{}/{run}", quoted(job));
    let text = catalog.page(&query).await?;
    if text.len() > MAX_STILLS {
        let cause = format!("{} bytes are more than the {MAX_STILLS} of any stills", text.len());
        return Err(Error::Answer { action: query, cause });
    }
    parse(&text, &query)
}

fn write(file: &Path, page: &str, with_pictures: usize) -> Result<(), Error> {
    std::fs::write(file, page)
        .map_err(|source| Error::File { file: file.display().to_string(), cause: source.to_string() })?;
    let size = figures::size(page.len() as i64);
    remark(&format!("{}: {size}, with pictures of {with_pictures} encodes", file.display()))
}
