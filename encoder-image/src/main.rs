//! `av1-agent`: the one program that touches video files. In pods it plays one role (`av1-agent pod ROLE`) and says what came
//! of it in the termination message; for people there are commands that need no cluster.
//!
//! May: start roles and turn their results into exit codes. Must never: talk to the API server.

mod beneath;
mod catalog;
mod confined;
mod encode;
mod exposition;
mod facts;
mod failpoint;
mod prepare;
mod reread;
mod role;
mod settle;
mod standalone;
mod supervise;
mod survey;
mod versions;
mod volume;
mod workdir;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::role::{PodArgs, finish, task};
use crate::standalone::explain::{self, FileArgs};
use crate::standalone::run::{self, RunArgs};
use crate::standalone::undo;

/// Finds, encodes, verifies and replaces video files for av1-operator.
#[derive(Parser)]
#[command(name = "av1-agent", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Play one role in a pod.
    #[command(subcommand)]
    Pod(Role),
    /// Find, encode, verify and replace the files of a library on this machine, without a cluster.
    Run(RunArgs),
    /// Encode and replace one file.
    Encode {
        #[command(flatten)]
        file: FileArgs,
        /// A gate to pass over, by its reason, such as TooSmall; repeatable. Those that protect the file are never passed over.
        #[arg(long)]
        force: Vec<String>,
    },
    /// Bring the original of a replaced file back; the AV1 file goes to the trash.
    Undo {
        #[command(flatten)]
        file: FileArgs,
        /// Undo the undo: swap them again.
        #[arg(long)]
        redo: bool,
    },
    /// Say what every gate finds in one file, and the verdict.
    Explain {
        #[command(flatten)]
        file: FileArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say how one file would be encoded here; nothing is written.
    Plan {
        #[command(flatten)]
        file: FileArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the versions of the tools, and fail when they cannot do the work.
    Versions,
}

#[derive(Subcommand)]
enum Role {
    /// Make `.av1/` on a volume and find out what the volume can do.
    Prepare(PodArgs),
    /// Say which CPUs the node has and whether whole ones are a pod's own.
    Survey(PodArgs),
    /// Keep the list of files with their verdicts.
    Catalog(PodArgs),
    /// Make the work folder of an encode.
    Workdir(PodArgs),
    /// Encode and verify one file.
    Encode(PodArgs),
    /// Replace or mark one file.
    Settle(PodArgs),
    /// Bring an original back, or undo that.
    Restore(PodArgs),
    /// Write or remove the marker of one file.
    Mark(PodArgs),
    /// Remove files from the trash, and work folders, from a list.
    Purge(PodArgs),
    /// Write and remove sidecars of files that a scan passed over, from a list.
    Sidecars(PodArgs),
}

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter(env_filter()).with_target(false).with_writer(std::io::stderr).init();
    match Cli::parse().command {
        Command::Versions => versions::print(),
        Command::Run(args) => run::run(&args),
        Command::Encode { file, force } => run::encode(&file, &force),
        Command::Undo { file, redo } => undo::undo(&file, redo),
        Command::Explain { file, json } => explain::print(&file, false, json),
        Command::Plan { file, json } => explain::print(&file, true, json),
        Command::Pod(Role::Prepare(args)) => finish(&args, task(&args).and_then(|task| prepare::run(&task, &args))),
        Command::Pod(Role::Survey(args)) => finish(&args, task(&args).and_then(|task| survey::run(&task))),
        Command::Pod(Role::Catalog(args)) => {
            let confined = confined::apply(&args, &[&args.catalog]);
            finish(&args, confined.and_then(|()| task(&args)).and_then(|task| catalog::run(&task, &args)))
        }
        Command::Pod(Role::Workdir(args)) => finish(&args, task(&args).and_then(|task| workdir::run(&task, &args))),
        Command::Pod(Role::Encode(args)) => {
            let folders: Vec<_> = args.scratch.iter().chain([&args.work]).map(std::path::PathBuf::as_path).collect();
            let confined = confined::apply(&args, &folders);
            finish(&args, confined.and_then(|()| task(&args)).and_then(|task| encode::run(&task, &args)))
        }
        Command::Pod(Role::Settle(args)) => finish(&args, task(&args).and_then(|task| settle::run(&task, &args))),
        Command::Pod(Role::Mark(args)) => finish(&args, task(&args).and_then(|task| settle::mark::run(&task, &args))),
        Command::Pod(Role::Purge(args)) => finish(&args, task(&args).and_then(|task| settle::purge::run(&task, &args))),
        Command::Pod(Role::Sidecars(args)) => {
            finish(&args, task(&args).and_then(|task| settle::sidecars::run(&task, &args)))
        }
        Command::Pod(Role::Restore(args)) => {
            finish(&args, task(&args).and_then(|task| settle::restore::run(&task, &args)))
        }
    }
}

fn env_filter() -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"))
}
