//! What exists about a MediaLibrary, read live but for its jobs, which are taken as last seen or written. May: ask the API
//! server and the catalog. Must never: write.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::conditions::{CATALOG_READY, STORAGE_READY};
use av1_crds::library::SurveyedNode;
use av1_crds::wire::{Candidate, CatalogSummary, Leftovers, MAX_SIDECARS, PodFailure, PodResult, SidecarPage};
use av1_crds::{EncodeJob, MediaLibrary, Phase, labels};
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::{Deployment, DeploymentStatus};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, Service};
use kube::api::ListParams;
use kube::{Api, ResourceExt};

use crate::api::{ApiError, timed};
use crate::batch::BatchFacts;
use crate::build::{NodeFacts, catalog_name, only_node, role};
use crate::conditions::is_true;
use crate::context::Context;
use crate::pods::{PodFacts, PodState};

use super::hidden::Hidden;
use super::room;

/// What exists about a library.
#[derive(Debug, Clone)]
pub(crate) struct Observed {
    pub(crate) library: MediaLibrary,
    pub(crate) claim: ClaimFacts,
    /// UIDs of all libraries of the cluster; none unless a volume is to be prepared and all can be seen.
    pub(crate) living: Option<Vec<String>>,
    /// The prepare Jobs that exist and are not being deleted.
    pub(crate) prepare_jobs: Vec<BatchFacts>,
    pub(crate) prepare_pods: Vec<PodFacts>,
    /// The purge Jobs that exist and are not being deleted.
    pub(crate) purge_jobs: Vec<BatchFacts>,
    pub(crate) purge_pods: Vec<PodFacts>,
    /// The sidecars Jobs that exist and are not being deleted.
    pub(crate) sidecar_jobs: Vec<BatchFacts>,
    pub(crate) sidecar_pods: Vec<PodFacts>,
    /// The survey Jobs that exist and are not being deleted; looked for only while a node is not surveyed.
    pub(crate) survey_jobs: Vec<BatchFacts>,
    pub(crate) survey_pods: Vec<PodFacts>,
    /// The cluster's nodes, as of a short while ago.
    pub(crate) nodes: Arc<[NodeFacts]>,
    /// The node that has the volume, when it is lost.
    pub(crate) lost_node: Option<LostNode>,
    /// What other libraries' surveys found.
    pub(crate) surveyed: Vec<SurveyedNode>,
    /// What waits to be removed from the volume, as unfinished only jobs that do not exist and have no pod; asked for only when a
    /// purge may begin.
    pub(crate) leftovers: Option<Leftovers>,
    /// Sidecars that are to be written or removed; asked for only when a run may begin.
    pub(crate) sidecars: Option<SidecarPage>,
    pub(crate) deployment: Option<Deployment>,
    pub(crate) service: Option<Service>,
    pub(crate) catalog_pod: Option<CatalogPod>,
    pub(crate) summary: SummaryView,
    /// Candidates that no job hides and that the volume has room for, in order, as many as the queue takes.
    pub(crate) candidates: Vec<Candidate>,
    /// Whether there are others that the volume has no room for; none when the catalog was not asked.
    pub(crate) too_large: Option<bool>,
    /// The library's jobs.
    pub(crate) jobs: Vec<Arc<EncodeJob>>,
    /// Whether the namespace has EncodeJobs that cannot be read.
    pub(crate) unreadable_jobs: bool,
    pub(crate) now: Timestamp,
}

/// A node that has the library's volume, and is gone, or has been silent for long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostNode {
    pub(crate) name: String,
    /// Whether there is no such node any more.
    pub(crate) is_gone: bool,
    /// Whether a pod of the library may still run there.
    pub(crate) has_pods: bool,
    /// Jobs of the library whose pods wait for a node.
    pub(crate) stuck_jobs: Vec<String>,
}

/// The claim that `spec.volume` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimFacts {
    /// Another kind of volume.
    NotAClaim,
    /// No such claim.
    Missing,
    Found {
        phase: String,
        access_modes: Vec<String>,
        deleting: bool,
    },
}

/// The catalog's pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogPod {
    pub(crate) node: Option<String>,
    /// Where it answers, ready or not.
    pub(crate) ip: Option<String>,
    /// Why it does not run, if it does not.
    pub(crate) trouble: Option<String>,
    /// What it said when it last ended.
    pub(crate) failure: Option<PodFailure>,
}

/// The catalog's summary.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SummaryView {
    /// The catalog is not up.
    NotAsked,
    /// It runs but is not ready: all that counts is what it says of the volume.
    Unready(Box<CatalogSummary>),
    Got(Box<CatalogSummary>),
    Failed(String),
}

/// Reads everything; none when the library is gone or going.
///
/// # Errors
/// [`ApiError`] of the first call that failed.
pub(crate) async fn observe(namespace: &str, name: &str, context: &Context) -> Result<Option<Observed>, ApiError> {
    let libraries: Api<MediaLibrary> = Api::namespaced(context.client.clone(), namespace);
    let library = timed(format!("get MediaLibrary {namespace}/{name}"), libraries.get_opt(name)).await?;
    let Some(library) = library.filter(|l| l.metadata.deletion_timestamp.is_none()) else {
        return Ok(None);
    };
    let prepare = of_role(name, role::PREPARE);
    let batch: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    let pods: Api<Pod> = Api::namespaced(context.client.clone(), namespace);
    let deployments: Api<Deployment> = Api::namespaced(context.client.clone(), namespace);
    let services: Api<Service> = Api::namespaced(context.client.clone(), namespace);
    let catalog = catalog_name(name);
    let prepare_jobs = timed("list prepare Jobs", batch.list(&prepare)).await?;
    let prepare_pods = timed("list prepare pods", pods.list(&prepare)).await?;
    let status = library.status.as_ref();
    let purging = status.is_some_and(|s| s.purge.as_ref().is_some_and(|p| p.run > 0));
    let (purge_jobs, purge_pods) = runs_of(role::PURGE, name, purging, (&batch, &pods)).await?;
    let explaining = status.is_some_and(|s| s.sidecars.as_ref().is_some_and(|s| s.run > 0));
    let (sidecar_jobs, sidecar_pods) = runs_of(role::SIDECARS, name, explaining, (&batch, &pods)).await?;
    let (jobs, unreadable_jobs) = context.seen.of_library(namespace, name).await;
    let catalog_pods = timed("list catalog pods", pods.list(&of_role(name, role::CATALOG))).await?;
    let mut observed = Observed {
        claim: claim(namespace, &library, context).await?,
        living: living(&library, context).await?,
        prepare_jobs: undeleted_jobs(&prepare_jobs.items),
        prepare_pods: undeleted_pods(&prepare_pods.items),
        purge_jobs,
        purge_pods,
        sidecar_jobs,
        sidecar_pods,
        survey_jobs: Vec::new(),
        survey_pods: Vec::new(),
        nodes: context.nodes.list(&context.client).await?,
        lost_node: None,
        surveyed: context.nodes.shared(library.status.as_ref().and_then(|s| s.placement.as_ref())),
        leftovers: None,
        sidecars: None,
        deployment: timed(format!("get Deployment {catalog}"), deployments.get_opt(&catalog)).await?,
        service: timed(format!("get Service {catalog}"), services.get_opt(&catalog)).await?,
        catalog_pod: catalog_pods
            .iter()
            .filter(|p| p.metadata.deletion_timestamp.is_none())
            .min_by_key(|p| !PodFacts::of(p).is_live())
            .map(CatalogPod::of),
        summary: SummaryView::NotAsked,
        candidates: Vec::new(),
        too_large: None,
        jobs,
        unreadable_jobs,
        now: Timestamp::now(),
        library,
    };
    if let Some((node, is_gone)) = observed.lost_node_name() {
        let all = timed("list the library's pods", pods.list(&of_library(name))).await?;
        observed.lost_node = Some(LostNode::of(node, is_gone, &all.items));
    }
    if observed.may_survey() {
        let survey = of_role(name, role::SURVEY);
        observed.survey_jobs = undeleted_jobs(&timed("list survey Jobs", batch.list(&survey)).await?.items);
        observed.survey_pods = undeleted_pods(&timed("list survey pods", pods.list(&survey)).await?.items);
    }
    if let Some(address) = observed.catalog_address() {
        observed.summary = summary(&observed.library, &address, context).await;
        (observed.candidates, observed.too_large) = candidates(&observed, &address, context).await;
        observed.leftovers = leftovers(&observed, &address, context).await;
        if let Some(left) = observed.leftovers.as_mut() {
            left.unfinished.retain(|uid| observed.jobs.iter().all(|job| job.uid().as_ref() != Some(uid)));
            if !left.unfinished.is_empty() {
                let all = ListParams::default().labels(labels::ENCODE_JOB_UID);
                let all = timed("list the pods of all jobs", pods.list(&all)).await?;
                left.unfinished.retain(|job| !has_live_pod(job, &all.items));
            }
        }
        observed.sidecars = sidecars(&observed, &address, context).await;
    } else if let Some(ip) = observed.unready_catalog() {
        let summary = context.catalogs.summary(&ip).await;
        observed.summary = summary.map_or(SummaryView::NotAsked, |summary| SummaryView::Unready(Box::new(summary)));
    }
    Ok(Some(observed))
}

/// Jobs and pods of a role that writes to the library, unless it never ran. A pod that is being deleted counts until it is gone: it
/// writes on.
async fn runs_of(
    role: &str,
    library: &str,
    ever: bool,
    (batch, pods): (&Api<Job>, &Api<Pod>),
) -> Result<(Vec<BatchFacts>, Vec<PodFacts>), ApiError> {
    if !ever {
        return Ok((Vec::new(), Vec::new()));
    }
    let of_role = of_role(library, role);
    let jobs = timed(format!("list {role} Jobs"), batch.list(&of_role)).await?;
    let pods = timed(format!("list {role} pods"), pods.list(&of_role)).await?;
    Ok((undeleted_jobs(&jobs.items), pods.items.iter().map(PodFacts::of).collect()))
}

/// UIDs of all libraries, while the volume of `library` is not prepared.
async fn living(library: &MediaLibrary, context: &Context) -> Result<Option<Vec<String>>, ApiError> {
    const MOST: usize = 1_000;
    let storage = library.status.as_ref().and_then(|status| status.storage.as_ref());
    if !context.options.sees_all || storage.is_some_and(|storage| storage.prepared_for.is_some()) {
        return Ok(None);
    }
    let all: Api<MediaLibrary> = Api::all(context.client.clone());
    let found = timed("list MediaLibraries", all.list_metadata(&ListParams::default())).await?;
    let uids: Vec<String> = found.iter().filter_map(ResourceExt::uid).collect();
    Ok((uids.len() <= MOST).then_some(uids))
}

impl Observed {
    /// Where the catalog answers; none while its Deployment is not up to date and available.
    pub(super) fn catalog_address(&self) -> Option<String> {
        let status = self.current_deployment()?;
        let up = status.available_replicas.unwrap_or(0) >= 1 && status.updated_replicas.unwrap_or(0) >= 1;
        let ip = self.service.as_ref()?.spec.as_ref()?.cluster_ip.clone()?;
        (up && !ip.is_empty() && ip != "None").then_some(ip)
    }

    /// Where a catalog that runs but is not ready answers.
    fn unready_catalog(&self) -> Option<String> {
        self.current_deployment()?;
        self.catalog_pod.as_ref()?.ip.clone()
    }

    /// Status of the catalog's Deployment, when it is about the Deployment as it is.
    fn current_deployment(&self) -> Option<DeploymentStatus> {
        let deployment = self.deployment.as_ref()?;
        let status = deployment.status.clone().unwrap_or_default();
        let current = status.observed_generation.unwrap_or(0) >= deployment.metadata.generation.unwrap_or(0);
        current.then_some(status)
    }

    /// Whether a node that may take encodes was not surveyed since it started, as far as is on record.
    fn may_survey(&self) -> bool {
        let pods = self.library.spec.pods.clone().unwrap_or_default();
        let only = only_node(&self.library);
        let known =
            self.library.status.as_ref().and_then(|s| s.placement.as_ref()).map_or(&[][..], |p| p.nodes.as_slice());
        let mut candidates = self.nodes.iter().filter(|node| node.is_candidate(&pods, only.as_deref()));
        candidates.any(|node| node.clone().with(known).survey().is_none())
    }

    /// The node that has the volume, if it is gone (true) or has been silent for long.
    fn lost_node_name(&self) -> Option<(String, bool)> {
        /// Seconds; as long as an encode on such a node is waited for.
        const SILENT: i64 = 600;
        let name = self.library.status.as_ref()?.storage.as_ref()?.node.clone()?;
        // Without a list of nodes nothing is known.
        if self.nodes.is_empty() {
            return None;
        }
        let node = self.nodes.iter().find(|node| node.name() == name);
        let silent =
            |node: &NodeFacts| node.silent_since().is_some_and(|at| self.now.duration_since(at).as_secs() >= SILENT);
        node.is_none_or(silent).then_some((name, node.is_none()))
    }

    /// Jobs in a phase.
    pub(crate) fn in_phase(&self, phase: Phase) -> usize {
        self.jobs.iter().filter(|j| j.phase() == phase).count()
    }
}

impl LostNode {
    fn of(name: String, is_gone: bool, pods: &[Pod]) -> Self {
        let facts: Vec<(&Pod, PodFacts)> = pods.iter().map(|pod| (pod, PodFacts::of(pod))).collect();
        let live = || facts.iter().filter(|(_, facts)| facts.is_live());
        let job_of =
            |pod: &Pod| pod.owner_references().iter().find(|owner| owner.kind == "Job").map(|owner| owner.name.clone());
        Self {
            is_gone,
            has_pods: live().any(|(_, facts)| facts.node.as_ref() == Some(&name)),
            stuck_jobs: live().filter(|(_, facts)| facts.node.is_none()).filter_map(|(pod, _)| job_of(pod)).collect(),
            name,
        }
    }
}

/// Whether a pod of the job with this UID may still do something.
fn has_live_pod(job: &str, pods: &[Pod]) -> bool {
    let is_of = |pod: &&Pod| pod.labels().get(labels::ENCODE_JOB_UID).is_some_and(|uid| uid == job);
    pods.iter().filter(is_of).any(|pod| PodFacts::of(pod).is_live())
}

fn of_library(library: &str) -> ListParams {
    ListParams::default().labels(&format!("{}={library}", labels::LIBRARY))
}

fn of_role(library: &str, role: &str) -> ListParams {
    ListParams::default().labels(&format!("{}={library},{}={role}", labels::LIBRARY, labels::ROLE))
}

async fn claim(namespace: &str, library: &MediaLibrary, context: &Context) -> Result<ClaimFacts, ApiError> {
    let Some(claim) = &library.spec.volume.persistent_volume_claim else {
        return Ok(ClaimFacts::NotAClaim);
    };
    let api: Api<PersistentVolumeClaim> = Api::namespaced(context.client.clone(), namespace);
    let found =
        timed(format!("get PersistentVolumeClaim {}", claim.claim_name), api.get_opt(&claim.claim_name)).await?;
    Ok(found.map_or(ClaimFacts::Missing, |c| {
        let status = c.status.unwrap_or_default();
        ClaimFacts::Found {
            phase: status.phase.unwrap_or_default(),
            access_modes: c.spec.and_then(|s| s.access_modes).unwrap_or_default(),
            deleting: c.metadata.deletion_timestamp.is_some(),
        }
    }))
}

fn undeleted_jobs(jobs: &[Job]) -> Vec<BatchFacts> {
    jobs.iter().map(BatchFacts::of).filter(|job| !job.deleting).collect()
}

fn undeleted_pods(pods: &[Pod]) -> Vec<PodFacts> {
    pods.iter().filter(|p| p.metadata.deletion_timestamp.is_none()).map(PodFacts::of).collect()
}

impl CatalogPod {
    fn of(pod: &Pod) -> Self {
        let facts = PodFacts::of(pod);
        let containers = pod.status.as_ref().and_then(|s| s.container_statuses.clone()).unwrap_or_default();
        let said = containers
            .iter()
            .filter(|c| !c.ready)
            .find_map(|c| c.last_state.as_ref()?.terminated.as_ref()?.message.clone());
        let failure = said.and_then(|text| match serde_json::from_str::<PodResult<serde_json::Value>>(&text) {
            Ok(PodResult::Failed(failure)) => Some(failure),
            _ => None,
        });
        let trouble = match &facts.state {
            PodState::Live { unschedulable: Some(why), .. } => Some(format!("no node takes its pod: {why}")),
            PodState::Live { waiting: Some(why), .. } => Some(why.clone()),
            PodState::Live { .. } => None,
            PodState::Ended(ended) => {
                Some(format!("its pod ended ({} {})", ended.reason, ended.note).replace(" )", ")"))
            }
        };
        let ip = match facts.state {
            PodState::Live { ip, started: true, .. } => ip,
            _ => None,
        };
        Self { node: facts.node, ip, trouble, failure }
    }
}

/// A summary is asked for again after this time.
const SUMMARY_AGE: Duration = Duration::from_secs(4);

async fn summary(library: &MediaLibrary, address: &str, context: &Context) -> SummaryView {
    let uid = library.uid().unwrap_or_default();
    let kept = context.summaries.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).cloned();
    if let Some((at, summary)) = kept
        && at.elapsed() < SUMMARY_AGE
    {
        return SummaryView::Got(Box::new(summary));
    }
    match context.catalogs.summary(address).await {
        Ok(summary) => {
            let mut kept = context.summaries.lock().unwrap_or_else(PoisonError::into_inner);
            // Those of libraries that are gone go too.
            kept.retain(|_, (at, _)| at.elapsed() < SUMMARY_AGE);
            kept.insert(uid, (Instant::now(), summary.clone()));
            SummaryView::Got(Box::new(summary))
        }
        Err(error) => SummaryView::Failed(error.to_string()),
    }
}

/// Candidates of one page.
const PAGE: usize = 200;
/// Pages that are read at most in one reconcile.
const MOST_PAGES: usize = 25;

async fn candidates(observed: &Observed, address: &str, context: &Context) -> (Vec<Candidate>, Option<bool>) {
    let library = &observed.library;
    let status = library.status.clone().unwrap_or_default();
    let ready = is_true(&status.conditions, STORAGE_READY) && is_true(&status.conditions, CATALOG_READY);
    let SummaryView::Got(summary) = &observed.summary else {
        return (Vec::new(), None);
    };
    let wanted = room::in_queue(library, &observed.jobs, summary);
    if wanted == 0 || library.spec.suspend || !ready {
        return (Vec::new(), None);
    }
    let largest = room::largest(summary);
    let hidden = Hidden::new(library, &observed.jobs, summary, observed.now);
    let name = library.name_any();
    let (mut found, mut too_large) = (Vec::new(), None);
    let mut offset = 0;
    for _ in 0..MOST_PAGES {
        let page = match context.catalogs.candidates(address, offset, PAGE, largest).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(library = name, "{error}");
                break;
            }
        };
        too_large = Some(page.larger > 0);
        offset += page.items.len() as u64;
        let end = page.items.is_empty() || offset >= page.total;
        found.extend(page.items.into_iter().filter(|c| !hidden.hides(c)));
        if end || found.len() >= wanted {
            break;
        }
    }
    found.truncate(wanted);
    (found, too_large)
}

/// What waits to be removed, when the summary says that there may be something and no purge is under way.
async fn leftovers(observed: &Observed, address: &str, context: &Context) -> Option<Leftovers> {
    let SummaryView::Got(summary) = &observed.summary else { return None };
    let known = observed.library.status.as_ref().and_then(|s| s.purge.as_ref());
    let live = observed.jobs.iter().filter(|job| !job.phase().is_terminal()).count() as u64;
    let nothing = summary.due_in_trash == 0 && summary.unfinished == 0 && summary.work_folders <= live;
    if known.is_some_and(|p| p.active) || observed.library.spec.suspend || nothing {
        return None;
    }
    let passed = known.and_then(|p| u64::try_from(p.passed).ok()).unwrap_or(0);
    let answer = context.catalogs.leftovers(address, passed, PAGE).await;
    answer.inspect_err(|error| tracing::warn!(library = observed.library.name_any(), "{error}")).ok()
}

/// The next sidecars of the round, when the summary says that there are some and no Job is at it.
async fn sidecars(observed: &Observed, address: &str, context: &Context) -> Option<SidecarPage> {
    let SummaryView::Got(summary) = &observed.summary else { return None };
    let known = observed.library.status.as_ref().and_then(|s| s.sidecars.clone()).unwrap_or_default();
    let waits =
        known.not_before.as_deref().and_then(|at| at.parse::<Timestamp>().ok()).is_some_and(|at| at > observed.now);
    let is_round_over = summary.sidecars_due == 0 && known.after.is_none();
    if is_round_over || observed.library.spec.suspend || waits || !observed.sidecar_jobs.is_empty() {
        return None;
    }
    let answer = context.catalogs.sidecars(address, known.after.as_deref().unwrap_or_default(), MAX_SIDECARS).await;
    answer.inspect_err(|error| tracing::warn!(library = observed.library.name_any(), "{error}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_pod_counts_on_a_lost_node_until_it_ended_and_one_without_a_node_is_stuck() {
        let pod = |phase: &str, node: Option<&str>, owner: &str| -> Pod {
            let owner = json!({"apiVersion": "x", "kind": owner, "name": "j", "uid": "u", "controller": true});
            serde_json::from_value(json!({"metadata": {"name": "p", "ownerReferences": [owner]}, "spec": {"nodeName": node, "containers": []}, "status": {"phase": phase}})).unwrap()
        };
        let of = |pods: &[Pod]| {
            let lost = LostNode::of("n".into(), true, pods);
            (lost.has_pods, lost.stuck_jobs.len())
        };
        let mut going = pod("Running", Some("n"), "Job");
        going.metadata.deletion_timestamp =
            Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::UNIX_EPOCH));
        assert_eq!(of(&[going]), (true, 0));
        assert_eq!(of(&[pod("Failed", Some("n"), "Job"), pod("Running", Some("m"), "Job")]), (false, 0));
        assert_eq!(of(&[pod("Pending", None, "Job"), pod("Pending", None, "ReplicaSet")]), (false, 1));
    }

    #[test]
    fn a_job_is_at_work_as_long_as_one_of_its_pods_has_not_ended() {
        let pod = |job: &str, phase: &str| -> Pod {
            let labels = json!({"av1.media/encode-job-uid": job, "av1.media/role": "settle"});
            serde_json::from_value(json!({"metadata": {"name": "p", "labels": labels}, "spec": {"containers": []}, "status": {"phase": phase}})).unwrap()
        };
        let pods = [pod("a", "Running"), pod("b", "Succeeded"), pod("b", "Failed")];
        assert_eq!(["a", "b", "c"].map(|job| has_live_pod(job, &pods)), [true, false, false]);
    }
}
