//! `av1-operator`: reconciles MediaLibrary and EncodeJob.
//!
//! May: talk to the API server, to catalogs and to encode pods. Must never: read media, or act without the lease.

mod agent_client;
mod api;
mod args;
mod batch;
mod build;
mod catalog_client;
mod conditions;
mod context;
mod controllers;
mod defaults;
mod http;
mod job;
mod lease;
mod library;
mod metrics;
mod nodes;
mod notifier;
mod pause;
mod pods;
mod queue;
mod refusal;
mod requests;
mod schedule;
mod seen;
mod start;
mod uninstall;
mod working;
mod writer;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info,kube_client=warn"));
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(false)
        .with_env_filter(filter)
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    match start::run(args::Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}
