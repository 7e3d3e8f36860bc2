//! `kubectl av1`: what av1-operator is doing, and why, with the rights of whoever asks.
//!
//! May: read the API and, through the API server's service proxy, the pages of operator and catalogs; change the one EncodeJob or
//! MediaLibrary that a command is about. Must never: write anything else to the cluster, or exit from anywhere but here.

mod args;
mod backlog;
mod catalog;
mod checks;
mod cluster;
mod commands;
#[cfg(test)]
mod docs;
mod error;
mod exposition;
mod operator;
mod outlook;
mod screen;
mod view;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

use crate::args::Arguments;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        complain("another TLS provider is installed already");
        return ExitCode::FAILURE;
    }
    match commands::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output (head, less) has enough.
        Err(error::Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}

fn complain(message: &str) {
    // With stderr gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "error: {message}");
}
