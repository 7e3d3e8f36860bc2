//! What exists about an EncodeJob: at a glance, as last seen, and read live before anything is done. May: ask the API server,
//! the catalog and the encode pod. Must never: write.

use std::sync::Arc;
use std::time::Duration;

use av1_crds::conditions::CATALOG_READY;
use av1_crds::wire::{EncodeProgress, EncodeReport, EncodeResult};
use av1_crds::{EncodeJob, MediaLibrary, Phase, labels};
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::api::{ApiError, timed};
use crate::batch::BatchFacts;
use crate::build::{NodeFacts, batch_name, catalog_name, role};
use crate::catalog_client::CatalogError;
use crate::conditions::is_true;
use crate::context::Context;
use crate::notifier::{Delivered, Key};
use crate::pods::{Came, PodFacts, PodState};

/// Most age of the list of nodes that an encode is placed by.
const NODES_AGE: Duration = Duration::from_secs(2);

/// What exists about an EncodeJob.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) job: EncodeJob,
    pub(crate) library: Option<MediaLibrary>,
    pub(crate) namespace_terminating: bool,
    pub(crate) batch_jobs: Vec<BatchFacts>,
    pub(crate) pods: Vec<PodFacts>,
    pub(crate) report: ReportView,
    pub(crate) progress: Option<EncodeProgress>,
    /// How the oldest notification on record went.
    pub(crate) delivered: Option<Delivered>,
    /// Read only when an encode pod may have to be made, or there is one.
    pub(crate) nodes: Arc<[NodeFacts]>,
    pub(crate) now: Timestamp,
}

/// The report of the current run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ReportView {
    /// No pod has announced one.
    NotAnnounced,
    /// It is the one that the pod announced.
    Got(Box<EncodeReport>),
    /// It could not be read for now.
    NotYet(String),
    /// It is not there, or not the one that was announced.
    Wrong(String),
}

/// The job as the watches have seen it last, without a call of the API server; none when they have not listed all yet, or
/// when more has to be known. Enough to see that nothing is to be done.
pub(crate) async fn glance(namespace: &str, name: &str, context: &Context) -> Option<Observed> {
    let (job, batch_jobs, pods) = context.seen.job(namespace, name)?;
    let library = context.seen.library(namespace, &job.spec.library_ref.name);
    if job.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let mut observed = Observed {
        library: library.map(|library| MediaLibrary::clone(&library)),
        namespace_terminating: false,
        batch_jobs,
        pods,
        report: ReportView::NotAnnounced,
        progress: None,
        delivered: None,
        nodes: Arc::default(),
        now: Timestamp::now(),
        job: EncodeJob::clone(&job),
    };
    observed.delivered = delivered(&observed, context);
    if observed.depends_on_nodes() {
        observed.nodes = context.nodes.list(&context.client).await.ok()?;
    }
    if observed.phase() == Phase::Encoding {
        observed.progress = progress(&observed, context).await;
    }
    Some(observed)
}

/// Reads everything live, but for `progress` when that was just asked for; none when the job is gone.
///
/// # Errors
/// [`ApiError`] of the first call that failed.
pub(crate) async fn observe(
    namespace: &str,
    name: &str,
    just_asked: Option<EncodeProgress>,
    context: &Context,
) -> Result<Option<Observed>, ApiError> {
    let jobs: Api<EncodeJob> = Api::namespaced(context.client.clone(), namespace);
    let Some(job) = timed(format!("get EncodeJob {namespace}/{name}"), jobs.get_opt(name)).await? else {
        return Ok(None);
    };
    let uid = job.uid().unwrap_or_default();
    let libraries: Api<MediaLibrary> = Api::namespaced(context.client.clone(), namespace);
    let selector = ListParams::default().labels(&format!("{}={uid}", labels::ENCODE_JOB_UID));
    let (library, batch_jobs, pods) = tokio::try_join!(
        timed(
            format!("get MediaLibrary {namespace}/{}", job.spec.library_ref.name),
            libraries.get_opt(&job.spec.library_ref.name),
        ),
        batch_jobs(namespace, &selector, context),
        pods(namespace, &uid, &selector, context),
    )?;
    let namespace_terminating = match job.metadata.deletion_timestamp {
        Some(_) => is_terminating(namespace, context).await?,
        None => false,
    };
    let mut observed = Observed {
        library,
        namespace_terminating,
        batch_jobs,
        pods,
        report: ReportView::NotAnnounced,
        progress: None,
        delivered: None,
        nodes: Arc::default(),
        now: Timestamp::now(),
        job,
    };
    observed.delivered = delivered(&observed, context);
    let encodes = observed.phase() == Phase::Encoding;
    if encodes && !observed.has_encode_job() {
        observed.nodes = context.nodes.list_within(NODES_AGE, &context.client).await?;
    } else if observed.depends_on_nodes() {
        observed.nodes = context.nodes.list(&context.client).await?;
    }
    if encodes {
        observed.progress = match just_asked {
            Some(page) => Some(page),
            None => progress(&observed, context).await,
        };
        observed.report = report(namespace, &observed, context).await?;
    }
    Ok(Some(observed))
}

/// How the oldest notification on record went.
fn delivered(observed: &Observed, context: &Context) -> Option<Delivered> {
    let first = observed.job.status.as_ref()?.notifications.first()?;
    context.notifier.delivered(&key_of(&observed.job, first.run))
}

/// Names a notification of `job`.
pub(crate) fn key_of(job: &EncodeJob, run: i64) -> Key {
    let (namespace, uid) = (job.namespace().unwrap_or_default(), job.uid().unwrap_or_default());
    Key { namespace, job: job.name_any(), uid, run }
}

impl Observed {
    /// The phase on record.
    pub(crate) fn phase(&self) -> Phase {
        self.job.phase()
    }

    /// Whether the encode Job of the current run exists.
    fn has_encode_job(&self) -> bool {
        let run = self.job.status.as_ref().map_or(0, |s| s.run);
        let name = batch_name(&self.job.uid().unwrap_or_default(), role::ENCODE, run);
        self.batch_jobs.iter().any(|b| b.name == name)
    }

    /// Whether there is an encode pod, or is to be one: its node may have fallen silent, or another size may be needed.
    fn depends_on_nodes(&self) -> bool {
        let lives = |pod: &PodFacts| pod.role == role::ENCODE && pod.is_live();
        self.phase() == Phase::Encoding || self.pods.iter().any(lives)
    }

    /// The pod of a run: the recorded one, else the first that is known.
    pub(crate) fn pod(&self, role: &str, run: i64, recorded: Option<&str>) -> Option<&PodFacts> {
        let mut of_run = self.pods.iter().filter(|p| p.role == role && p.run == run);
        match recorded {
            Some(uid) => of_run.find(|p| p.uid == uid),
            None => of_run.min_by_key(|p| !p.is_live()),
        }
    }

    /// The encode pod of the current run.
    pub(crate) fn encode_pod(&self) -> Option<&PodFacts> {
        let status = self.job.status.clone().unwrap_or_default();
        self.pod(role::ENCODE, status.run, status.pod_uid.as_deref())
    }
}

async fn batch_jobs(namespace: &str, selector: &ListParams, context: &Context) -> Result<Vec<BatchFacts>, ApiError> {
    let api: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    let list = timed("list Jobs of an EncodeJob", api.list(selector)).await?;
    Ok(list.iter().map(BatchFacts::of).collect())
}

async fn pods(namespace: &str, uid: &str, selector: &ListParams, context: &Context) -> Result<Vec<PodFacts>, ApiError> {
    let api: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let list = timed("list pods of an EncodeJob", api.list(selector)).await?;
    let mut pods: Vec<PodFacts> = list.iter().map(PodFacts::of).collect();
    let gone: Vec<PodFacts> =
        context.ended.of_job(uid).into_iter().filter(|old| pods.iter().all(|p| p.uid != old.uid)).collect();
    pods.extend(gone);
    Ok(pods)
}

async fn is_terminating(namespace: &str, context: &Context) -> Result<bool, ApiError> {
    let api: Api<Namespace> = Api::all(context.client.clone());
    let found = timed(format!("get Namespace {namespace}"), api.get_opt(namespace)).await?;
    Ok(found.is_none_or(|n| n.metadata.deletion_timestamp.is_some()))
}

async fn progress(observed: &Observed, context: &Context) -> Option<EncodeProgress> {
    let PodState::Live { ip: Some(ip), started: true, .. } = &observed.encode_pod()?.state else {
        return None;
    };
    let run = observed.job.status.as_ref().map_or(0, |s| s.run);
    context.agents.progress(ip, &observed.job.uid().unwrap_or_default(), run).await
}

/// Seconds that a report may stay unseen after the pod's end: attribute caches of NFS hold for a minute.
const REPORT_MAY_HIDE: i64 = 90;

async fn report(namespace: &str, observed: &Observed, context: &Context) -> Result<ReportView, ApiError> {
    let Some((result, at)) = observed.encode_pod().and_then(|pod| match &pod.state {
        PodState::Ended(ended) => match ended.came::<EncodeResult>(false) {
            Came::Done(result) => Some((result, ended.at)),
            _ => None,
        },
        PodState::Live { .. } => None,
    }) else {
        return Ok(ReportView::NotAnnounced);
    };
    let Some(sha256) = result.report_sha256 else {
        return Ok(ReportView::NotAnnounced);
    };
    let ready = observed
        .library
        .as_ref()
        .and_then(|l| l.status.as_ref())
        .is_some_and(|s| is_true(&s.conditions, CATALOG_READY));
    let Some(address) =
        catalog_address(namespace, &observed.job.spec.library_ref.name, context).await?.filter(|_| ready)
    else {
        return Ok(ReportView::NotYet("the catalog is not ready".to_owned()));
    };
    let run = observed.job.status.as_ref().map_or(0, |s| s.run);
    Ok(match context.catalogs.report(&address, &observed.job.uid().unwrap_or_default(), run, &sha256).await {
        Ok(report) => ReportView::Got(Box::new(report)),
        Err(error @ (CatalogError::WrongReport { .. } | CatalogError::Refused { status: 404, .. })) => {
            let fresh = at.is_some_and(|at| observed.now.as_second() - at < REPORT_MAY_HIDE);
            if fresh { ReportView::NotYet(error.to_string()) } else { ReportView::Wrong(error.to_string()) }
        }
        Err(error @ CatalogError::Unreadable { .. }) => ReportView::Wrong(error.to_string()),
        Err(error) => ReportView::NotYet(error.to_string()),
    })
}

/// Cluster IP of the library's catalog, if its Service exists.
pub(crate) async fn catalog_address(
    namespace: &str,
    library: &str,
    context: &Context,
) -> Result<Option<String>, ApiError> {
    let api: Api<Service> = Api::namespaced(context.client.clone(), namespace);
    let name = catalog_name(library);
    let service = timed(format!("get Service {namespace}/{name}"), api.get_opt(&name)).await?;
    Ok(service.and_then(|s| s.spec?.cluster_ip).filter(|ip| !ip.is_empty() && ip != "None"))
}
