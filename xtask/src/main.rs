//! `cargo xtask gen` writes the generated files, `cargo xtask gen --check` fails when they drifted from their sources, and
//! `cargo xtask tidy` checks the rules of the house that no lint covers.
//!
//! May: read and write files of this checkout, run git. Must never: reach a network or a cluster.

mod generate;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Generated files and tidy checks")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes the CRDs, the API reference, dashboards, rules, and the chart's copies of them.
    Gen {
        /// Writes nothing; prints what differs and fails if anything does.
        #[arg(long)]
        check: bool,
    },
    /// Checks file sizes, file heads, purity of the pure code, and that no path of a developer's machine is in a file.
    Tidy,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let root = workspace_root()?;
    match command {
        Command::Gen { check: false } => generate::write(&root),
        Command::Gen { check: true } => generate::check(&root),
        Command::Tidy => tidy::check(&root),
    }
}

fn workspace_root() -> anyhow::Result<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().map(Path::to_owned).context("the manifest of xtask has no parent folder")
}
