//! `explain LIBRARY PATH`: every gate of one file with its figures, the plan, and what its job did. Reads the catalog and the API; what
//! is away is said, and the rest is shown.

use av1_crds::wire::FileExplanation;
use jiff::Timestamp;

use super::change::newest_of;
use super::{palette, print, print_json, print_yaml};
use crate::args::{DocumentFormat, ExplainArguments};
use crate::catalog::{Catalog, parse, quoted};
use crate::cluster::{Cluster, Page};
use crate::error::Error;
use crate::outlook::Outlook;
use crate::view::explain::{Answer, Expected, render};

pub(crate) async fn run(cluster: &Cluster, arguments: &ExplainArguments) -> Result<(), Error> {
    let namespace = cluster.namespace.as_deref().ok_or(Error::NamespaceNeeded)?;
    let (name, path) = (&arguments.library, &arguments.path);
    let library = cluster.library(namespace, name).await?;
    let jobs = cluster.jobs().await?.items;
    let job = newest_of(&jobs, name, path).cloned();
    let (file, missing) = match ask(&Catalog { cluster, namespace, library: name }, path).await {
        Ok(found) => found,
        // Somebody who asks about a job gets at least that.
        Err(error) if job.is_some() => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    if file.is_none() && job.is_none() {
        return Err(Error::NoFile { library: name.clone(), path: path.clone() });
    }
    let expected =
        file.as_ref().filter(|_| job.as_ref().is_none_or(|job| !job.phase().is_terminal())).and_then(|file| {
            let outlook = Outlook::new(&library, None, &jobs).ok()?;
            Expected::new(file, &outlook)
        });
    let answer = Answer {
        namespace: namespace.to_owned(),
        library: name.clone(),
        path: path.clone(),
        file,
        missing,
        expected,
        job,
    };
    match arguments.output {
        DocumentFormat::Text => print(&render(&answer, Timestamp::now(), palette())),
        DocumentFormat::Json => print_json(&answer),
        DocumentFormat::Yaml => print_yaml(&answer),
    }
}

/// What the catalog says of the file; the sentence tells what is missing.
async fn ask(catalog: &Catalog<'_>, path: &str) -> Result<(Option<FileExplanation>, Option<String>), Error> {
    let query = format!("v1/explain?path={}", quoted(path));
    match catalog.find_page(&query).await.map_err(|error| catalog.blamed(error))? {
        Page::Got(text) => Ok((Some(parse(&text, &format!("explain {path}"))?), None)),
        Page::Refused { code: 404, message } if message.is_empty() => {
            Err(catalog.away("it is of an older version, which explains nothing"))
        }
        Page::Refused { code: 404, message } => Ok((None, Some(message))),
        Page::Refused { message, .. } => Err(catalog.away(message)),
    }
}
