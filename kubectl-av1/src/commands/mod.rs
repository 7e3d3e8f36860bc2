//! The commands: each reads what it needs, or changes the one thing that it is for, and hands it to a view. Must never: lay out
//! text.

pub(crate) mod change;
mod completions;
mod doctor;
mod explain;
mod files;
mod hold;
mod jobs;
mod plan;
mod report;
mod status;
mod top;

use std::io::{IsTerminal, Write};

use serde::Serialize;

use crate::args::{Arguments, Command};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::view::Palette;
use crate::view::hold::Held;

/// Carries out what the command line says.
pub(crate) async fn run(arguments: Arguments) -> Result<(), Error> {
    match &arguments.command {
        Command::Completions(arguments) => return completions::run(arguments),
        Command::Complete(arguments) => return completions::complete(arguments).await,
        _ => {}
    }
    let cluster = Cluster::open(&arguments.cluster).await?;
    match arguments.command {
        Command::Top(arguments) => top::run(cluster, &arguments).await,
        Command::Files { library, output } => files::run(&cluster, &library, output).await,
        Command::Report(arguments) => report::run(&cluster, &arguments).await,
        Command::Undo(arguments) => change::undo(&cluster, &arguments).await,
        Command::Skip(arguments) => change::skip(&cluster, &arguments).await,
        Command::Cancel(arguments) => change::cancel(&cluster, &arguments).await,
        Command::Retry(arguments) => change::retry(&cluster, &arguments).await,
        Command::Encode(arguments) => change::encode(&cluster, &arguments).await,
        Command::Jobs(arguments) => jobs::run(&cluster, &arguments).await,
        Command::Explain(arguments) => explain::run(&cluster, &arguments).await,
        Command::Plan(arguments) => plan::run(&cluster, &arguments).await,
        Command::Pause(arguments) => hold::run(&cluster, &arguments, Held::Paused).await,
        Command::Resume(arguments) => hold::run(&cluster, &arguments, Held::GoesOn).await,
        Command::Doctor(arguments) => doctor::run(&cluster, &arguments).await,
        // Done above, for they go without a cluster.
        Command::Completions(_) | Command::Complete(_) => Ok(()),
        Command::Status { library, output } => status::run(&cluster, library.as_deref(), output).await,
    }
}

/// Colours on a terminal alone, and not against NO_COLOR.
fn palette() -> Palette {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if std::io::stdout().is_terminal() && !refused { Palette::Colours } else { Palette::Plain }
}

fn print(text: &str) -> Result<(), Error> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    Ok(out.flush()?)
}

/// Remarks go where they are in no script's way.
fn remark(text: &str) -> Result<(), Error> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

fn print_json(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
    print(&format!("{text}\n"))
}

fn print_yaml(value: &impl Serialize) -> Result<(), Error> {
    let text = serde_yaml::to_string(value).map_err(std::io::Error::other)?;
    print(&text)
}
