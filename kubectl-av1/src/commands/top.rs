//! `top`: the live screen, or one frame of it, from the resources, with fresher figures from the operator's metrics where they can
//! be had.

use std::io::IsTerminal;

use jiff::Timestamp;

use super::{palette, print, print_json, remark};
use crate::args::{TopArguments, TopFormat};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::exposition::Page;
use crate::operator::Operator;
use crate::screen;
use crate::view::document::document;
use crate::view::top::{Frame, render};

pub(crate) async fn run(cluster: Cluster, arguments: &TopArguments) -> Result<(), Error> {
    match arguments.frame() {
        Some(format) => once(&cluster, format).await,
        None if std::io::stdout().is_terminal() => {
            screen::run(cluster, arguments.prometheus.as_deref(), palette()).await
        }
        None => Err(Error::NoTerminal),
    }
}

async fn once(cluster: &Cluster, format: TopFormat) -> Result<(), Error> {
    let libraries = cluster.libraries().await?;
    let jobs = cluster.jobs().await?;
    let mut notes: Vec<String> = libraries
        .unreadable
        .iter()
        .chain(&jobs.unreadable)
        .map(|what| format!("This version cannot read {what}"))
        .collect();
    let page = Operator::default().page(cluster).await.unwrap_or_else(|problem| {
        notes.push(format!(
            "The operator's metrics are away ({problem}): figures are those that it wrote into the resources last, up to a minute old while it runs, and standing still while it does not."
        ));
        Page::default()
    });
    if format == TopFormat::Json {
        let events = cluster.events().await.unwrap_or_else(|problem| {
            notes.push(format!("Without events: {problem}"));
            Default::default()
        });
        for note in &notes {
            remark(note)?;
        }
        return print_json(&document(&libraries.items, &jobs.items, &page, &events.items, Timestamp::now()));
    }
    let frame = Frame::new(&libraries.items, &jobs.items, &page.jobs, notes);
    print(&render(&frame, format == TopFormat::Wide, palette()))
}
