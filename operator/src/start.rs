//! From arguments to running controllers: HTTP page, API server, lease, controllers, and the end of each. Losing the lease
//! ends the process; SIGTERM ends it in order and gives the lease back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use av1_crds::metrics as table;
use av1_crds::settings::SettingsSections;
use k8s_openapi::api::core::v1::Namespace;
use kube::client::ClientBuilder;
use kube::runtime::events::{Recorder, Reporter};
use kube::{Api, Client, Config, ResourceExt};
use tokio::signal::unix::{SignalKind, signal};

use crate::agent_client::AgentClient;
use crate::api::{ApiError, timed};
use crate::args::Args;
use crate::build::PodOptions;
use crate::catalog_client::CatalogClient;
use crate::context::{Context, Options, Shared};
use crate::defaults::{InvalidDefaults, library_defaults};
use crate::http::{Page, serve};
use crate::lease::{LeaseLost, LeaseTerms, acquire};
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::notifier::Notifier;
use crate::pods::EndedPods;
use crate::queue::Queues;
use crate::requests::CountRequests;
use crate::working::Working;

/// Why the operator ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StartError {
    #[error("cannot start: {0}")]
    Io(#[from] std::io::Error),
    #[error("cannot start with these libraryDefaults (--library-defaults): {0}")]
    Defaults(#[from] InvalidDefaults),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: std::net::SocketAddr, source: std::io::Error },
    #[error("no TLS: another provider is installed")]
    Tls,
    #[error("cannot read the configuration for the API server: {0}")]
    Config(#[source] Box<kube::Error>),
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
    #[error("HTTP client: {0}")]
    Http(#[from] reqwest::Error),
    #[error("the HTTP page ended")]
    PageEnded,
    #[error("{0}")]
    LeaseLost(#[from] LeaseLost),
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("the controllers ended")]
    ControllersEnded,
}

/// Runs until a signal, the loss of the lease or an error.
///
/// # Errors
/// [`StartError`]; after a signal there is none.
pub(crate) fn run(args: Args) -> Result<(), StartError> {
    rustls::crypto::ring::default_provider().install_default().map_err(|_| StartError::Tls)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let ended =
        if args.release_jobs { runtime.block_on(release_jobs(args)) } else { runtime.block_on(run_until_end(args)) };
    runtime.shutdown_timeout(Duration::from_secs(2));
    ended
}

async fn release_jobs(args: Args) -> Result<(), StartError> {
    let client = Client::try_default().await.map_err(|e| StartError::Config(Box::new(e)))?;
    Ok(crate::uninstall::release_all(&client, &args.watch_namespace).await?)
}

async fn run_until_end(args: Args) -> Result<(), StartError> {
    let defaults = library_defaults(&args.library_defaults)?;
    let metrics = Metrics::new()?;
    metrics.set(&table::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
    metrics.set(&table::LEADER, &[], 0.0);
    let ready = Arc::new(AtomicBool::new(false));
    let address = args.metrics_listen;
    let listener = crate::http::listen(address).await.map_err(|source| StartError::Listen { address, source })?;
    let queues = Arc::<Queues>::default();
    let page = Page { metrics: metrics.clone(), queues: queues.clone(), ready: ready.clone() };
    let page = tokio::spawn(serve(listener, page));
    tokio::select! {
        result = lead((args, defaults), metrics, queues, ready) => result,
        _ = page => Err(StartError::PageEnded),
    }
}

/// Waits for the lease, then reconciles; a signal ends either.
async fn lead(
    (args, defaults): (Args, SettingsSections),
    metrics: Metrics,
    queues: Arc<Queues>,
    ready: Arc<AtomicBool>,
) -> Result<(), StartError> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut stop = std::pin::pin!(async move {
        tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        tracing::info!("told to end");
    });
    let client = counted_client(&metrics).await.map_err(|e| StartError::Config(Box::new(e)))?;
    let cluster = tokio::select! { () = &mut stop => return Ok(()), id = cluster_id(&client) => id };
    ready.store(true, Ordering::Relaxed);
    let identity = identity(&args);
    let terms = LeaseTerms {
        namespace: args.lease_namespace.clone(),
        name: args.lease_name.clone(),
        identity: identity.clone(),
        duration: Duration::from_secs(u64::from(args.lease_duration_seconds)),
    };
    let mut held = tokio::select! { () = &mut stop => return Ok(()), held = acquire(client.clone(), terms) => held };
    metrics.set(&table::LEADER, &[], 1.0);
    let context = context(client, (&args, defaults), cluster, identity, (metrics.clone(), queues))?;
    let ended = tokio::select! {
        lost = held.keep() => return Err(lost.into()),
        () = crate::controllers::run(context, &args.watch_namespace) => Err(StartError::ControllersEnded),
        () = &mut stop => Ok(()),
    };
    // The controllers are dropped by now: nothing is written any more, so a successor may begin.
    metrics.set(&table::LEADER, &[], 0.0);
    held.release().await;
    ended
}

/// A client whose requests are counted.
async fn counted_client(metrics: &Metrics) -> kube::Result<Client> {
    let config = Config::infer().await.map_err(kube::Error::InferConfig)?;
    Ok(ClientBuilder::try_from(config)?.with_layer(&CountRequests(metrics.clone())).build())
}

fn identity(args: &Args) -> String {
    if !args.lease_identity.is_empty() {
        return args.lease_identity.clone();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}-{}", host.trim(), std::process::id())
}

/// The cluster's id; waits until the API server answers.
async fn cluster_id(client: &Client) -> String {
    let api: Api<Namespace> = Api::all(client.clone());
    loop {
        let found: Result<Namespace, ApiError> = timed("get Namespace kube-system", api.get("kube-system")).await;
        match found {
            Ok(namespace) => return namespace.uid().unwrap_or_default(),
            Err(error) => tracing::warn!("{error}"),
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
    }
}

fn context(
    client: Client,
    (args, library_defaults): (&Args, SettingsSections),
    cluster: String,
    identity: String,
    (metrics, queues): (Metrics, Arc<Queues>),
) -> Result<Shared, StartError> {
    // Pods and Services of the cluster are never behind a proxy, and speak no TLS: no authorities are looked for.
    let http = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .connect_timeout(Duration::from_secs(2))
        .redirect(reqwest::redirect::Policy::none())
        .build()?;
    Ok(Arc::new(Context {
        recorder: Recorder::new(
            client.clone(),
            Reporter { controller: "av1-operator".to_owned(), instance: Some(identity) },
        ),
        client,
        metrics,
        ended: EndedPods::default(),
        seen: Arc::default(),
        catalogs: CatalogClient::new(http.clone()),
        agents: AgentClient::new(http),
        notifier: Notifier::new(args.allow_notify_hosts.clone())?,
        options: Options {
            pods: PodOptions {
                image: args.encoder_image.clone().unwrap_or_default(),
                pull_policy: args.image_pull_policy.clone(),
                pull_secret: args.image_pull_secret.clone().filter(|s| !s.is_empty()),
                grace_seconds: args.grace_seconds,
            },
            allow_host_paths: args.allow_host_paths.clone(),
            allow_root: args.allow_root,
            library_defaults,
            sees_all: args.watch_namespace.is_empty(),
            cluster,
        },
        nodes: Nodes::default(),
        working: Working::default(),
        queues,
        written: Mutex::default(),
        summaries: Mutex::new(HashMap::new()),
        failures: Mutex::new(HashMap::new()),
        refusals: crate::refusal::Seldom::default(),
    }))
}
