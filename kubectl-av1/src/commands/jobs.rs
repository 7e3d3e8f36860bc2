//! `jobs`: the jobs of a namespace, or of all, with how far they are and what they came to.

use jiff::Timestamp;

use super::{palette, print, print_json, print_yaml, remark};
use crate::args::{Format, JobsArguments};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::view::jobs::{Filter, JobRow, Look, render, sort};

pub(crate) async fn run(cluster: &Cluster, arguments: &JobsArguments) -> Result<(), Error> {
    let jobs = cluster.jobs().await?;
    for problem in &jobs.unreadable {
        remark(&format!("This version cannot read {problem}"))?;
    }
    let now = Timestamp::now();
    let filter = Filter { phases: &arguments.phase, libraries: &arguments.library, reasons: &arguments.reason };
    let mut rows: Vec<JobRow> =
        jobs.items.iter().map(|job| JobRow::new(job, now)).filter(|row| filter.takes(row)).collect();
    sort(&mut rows, arguments.sort);
    match arguments.output {
        Format::Json => print_json(&rows),
        Format::Yaml => print_yaml(&rows),
        Format::Table | Format::Wide => {
            let look = Look { wide: arguments.output == Format::Wide, all_namespaces: cluster.namespace.is_none() };
            print(&render(&rows, jobs.items.len(), look, palette()))
        }
    }
}
