//! `explain LIBRARY PATH`: every gate of one file with its figures, the plan, and what its job did. Reads the catalog and the API; what
//! is away is said, and the rest is shown.

use av1_crds::wire::FileExplanation;
use jiff::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::change::{Change, phase_of};
use super::{palette, print, print_json, print_yaml};
use crate::args::{DocumentFormat, ExplainArguments};
use crate::cluster::{Cluster, Page};
use crate::error::Error;
use crate::outlook::Outlook;
use crate::view::explain::{Answer, Expected, render};

pub(crate) async fn run(cluster: &Cluster, arguments: &ExplainArguments) -> Result<(), Error> {
    let change = Change::of(cluster)?;
    let (namespace, name, path) = (change.namespace, &arguments.library, &arguments.path);
    let library = cluster.library(namespace, name).await?;
    let jobs = cluster.jobs().await?.items;
    let job = change.newest(name, path).await?;
    let catalog = ask(cluster, namespace, name, path).await;
    let (file, missing) = match catalog {
        Ok(found) => found,
        // Somebody who asks about a job gets at least that.
        Err(error) if job.is_some() => (None, Some(error.to_string())),
        Err(error) => return Err(error),
    };
    if file.is_none() && job.is_none() {
        return Err(Error::NoFile { library: name.clone(), path: path.clone() });
    }
    let expected =
        file.as_ref().filter(|_| job.as_ref().is_none_or(|job| !phase_of(job).is_terminal())).and_then(|file| {
            let outlook = Outlook::new(&library, &jobs).ok()?;
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
async fn ask(
    cluster: &Cluster,
    namespace: &str,
    library: &str,
    path: &str,
) -> Result<(Option<FileExplanation>, Option<String>), Error> {
    let query = format!("v1/explain?path={}", utf8_percent_encode(path, NON_ALPHANUMERIC));
    let away =
        |message: String| Error::Catalog { namespace: namespace.to_owned(), library: library.to_owned(), message };
    let page = cluster.find_page(namespace, &format!("{library}-catalog:http"), &query).await;
    let page = page.map_err(|error| match error {
        Error::Api { message, .. } => away(message),
        other => other,
    })?;
    match page {
        Page::Got(text) => match serde_json::from_str(&text) {
            Ok(file) => Ok((Some(file), None)),
            Err(cause) => Err(Error::Answer { action: format!("explain {path}"), cause: cause.to_string() }),
        },
        Page::Refused { code: 404, message } if message.is_empty() => {
            Err(away("it is of an older version, which explains nothing".to_owned()))
        }
        Page::Refused { code: 404, message } => Ok((None, Some(message))),
        Page::Refused { message, .. } => Err(away(message)),
    }
}
