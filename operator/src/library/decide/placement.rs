//! Which nodes a library's encodes can have: surveys of the nodes that nobody has looked at since they started, and
//! `status.placement`. Pure.
//!
//! What surveys found is kept in the library's status: it survives the operator, needs no right that the operator does not
//! have anyway, and is where a person looks for it; a Job's pod, which holds the message, may be collected at any time, and
//! a ConfigMap would need verbs of its own. A survey that cannot be scheduled, is refused or fails is tried again later;
//! encodes never wait for one.

use av1_crds::conditions;
use av1_crds::library::{PlacementStatus, SurveyedNode};
use av1_crds::wire::{NodeSurvey, SurveyTask};
use av1_crds::{EncodeJob, MediaLibrary, Phase};
use jiff::SignedDuration;
use kube::ResourceExt;

use super::Draft;
use crate::build::{NodeFacts, only_node, place, survey_job, survey_name};
use crate::conditions::is_true;
use crate::pods::{Came, Ended, PodState};

/// Surveys of one library at once.
const AT_ONCE: usize = 1;
/// Most nodes that are kept in the status, by name: an object has room for so many.
const MOST_NODES: usize = 500;
/// Seconds in which a survey's pod has to start.
const PATIENCE: i64 = 60;
/// Seconds between a survey that came to nothing and the next, the first time and at most.
const PAUSE: (i64, i64) = (60, 3_600);

/// What became of a survey.
enum Step {
    Waits,
    Found(NodeSurvey),
    /// Whole CPUs have to be a multiple of this.
    Refused(u32),
    Nothing(String),
}

impl Draft<'_> {
    /// Goes on with the surveys, and says where encodes can run.
    pub(super) fn placement(&mut self) {
        let observed = self.observed;
        // Without a list of nodes what is on record stands.
        if observed.nodes.is_empty() {
            return;
        }
        let pods = observed.library.spec.pods.clone().unwrap_or_default();
        let only = only_node(&observed.library);
        let known =
            observed.library.status.as_ref().and_then(|s| s.placement.as_ref()).map_or(&[][..], |p| p.nodes.as_slice());
        let mut candidates: Vec<&NodeFacts> =
            observed.nodes.iter().filter(|node| node.is_candidate(&pods, only.as_deref())).collect();
        candidates.sort_by_key(|node| node.name());
        candidates.truncate(MOST_NODES);
        let before: Vec<SurveyedNode> = candidates.iter().map(|node| on_record(node, known)).collect();
        let nodes: Vec<SurveyedNode> = before.iter().map(|record| self.by_now(record)).collect();
        self.delete_old_surveys(&before);
        self.start_survey(&nodes);
        let facts: Vec<NodeFacts> = observed.nodes.iter().cloned().map(|node| node.with(&nodes)).collect();
        let told = match place(&pods, only.as_deref(), None, &facts) {
            Ok(place) => PlacementStatus {
                eligible_nodes: u32::try_from(place.eligible).unwrap_or(u32::MAX),
                cpus_per_job: Some(place.size.cpus),
                workers_per_job: Some(place.workers),
                cores_per_cache_domain: place.cores_per_cache_domain,
                message: message(&nodes),
                nodes,
            },
            Err(error) => PlacementStatus { message: Some(error.to_string()), nodes, ..PlacementStatus::default() },
        };
        self.out.status.placement = Some(told);
    }

    /// What is known of a node by now: what is on record, what another library found, what the survey under way came to.
    fn by_now(&self, record: &SurveyedNode) -> SurveyedNode {
        let mut record = record.clone();
        if record.survey.is_some() {
            return record;
        }
        let same = |other: &&SurveyedNode| other.name == record.name && other.boot_id == record.boot_id;
        if let Some(shared) = self.observed.surveyed.iter().filter(|other| other.survey.is_some()).find(same) {
            return shared.clone();
        }
        match self.survey_step(&record) {
            Step::Waits => {}
            Step::Found(survey) => {
                (record.survey, record.message, record.not_before) = (Some(survey), None, None);
            }
            Step::Refused(alignment) if record.cpu_alignment != Some(alignment) => {
                record.attempts += 1;
                record.cpu_alignment = Some(alignment);
                record.message = Some(format!("the node gives out whole cores of {alignment} CPUs only"));
            }
            Step::Refused(_) => self.try_later(&mut record, "the node refused the pod: it has no whole core free"),
            Step::Nothing(why) => self.try_later(&mut record, &why),
        }
        record
    }

    fn try_later(&self, record: &mut SurveyedNode, why: &str) {
        record.attempts += 1;
        let pause = crate::pause::back_off(PAUSE.0, record.attempts, PAUSE.1);
        let at = self.observed.now.checked_add(SignedDuration::from_secs(pause)).unwrap_or(self.observed.now);
        record.not_before = Some(at.to_string());
        record.message = Some(crate::conditions::cut(why.to_owned()));
    }

    /// How far the survey on record is.
    fn survey_step(&self, record: &SurveyedNode) -> Step {
        let name = name_of(&self.observed.library, record);
        let Some(batch) = self.observed.survey_jobs.iter().find(|job| job.name == name) else { return Step::Waits };
        let pod = self.observed.survey_pods.iter().find(|pod| pod.name.starts_with(&format!("{name}-")));
        let late = batch.made.is_some_and(|made| self.observed.now.as_second() - made.as_second() > PATIENCE);
        match pod.map(|pod| &pod.state) {
            Some(PodState::Ended(ended)) => judge(ended),
            Some(PodState::Live { unschedulable: Some(why), .. }) => Step::Nothing(format!("not scheduled: {why}")),
            Some(PodState::Live { waiting: Some(why), .. }) if late => Step::Nothing(format!("did not start: {why}")),
            Some(PodState::Live { .. }) if late => Step::Nothing(format!("not done within {PATIENCE} s")),
            None if batch.ended => Step::Nothing("the pod is gone and left no result".to_owned()),
            None if late => Step::Nothing(batch.without_pod(self.observed.now).unwrap_or_default()),
            _ => Step::Waits,
        }
    }

    /// Jobs go once their outcome is on record.
    fn delete_old_surveys(&mut self, before: &[SurveyedNode]) {
        let library = &self.observed.library;
        let pending: Vec<String> = before.iter().filter(|r| r.survey.is_none()).map(|r| name_of(library, r)).collect();
        let old = self.observed.survey_jobs.iter().filter(|job| !pending.contains(&job.name));
        self.out.desired.old_surveys = old.map(|job| job.name.clone()).collect();
    }

    /// Makes the next survey, unless one is under way or an encode waits for CPUs.
    fn start_survey(&mut self, nodes: &[SurveyedNode]) {
        let observed = self.observed;
        let under_way = observed.survey_jobs.iter().filter(|job| !job.ended).count();
        if observed.library.spec.suspend
            || under_way >= AT_ONCE
            || observed.jobs.iter().any(|job| waits_for_a_node(job))
        {
            return;
        }
        let due = |record: &&SurveyedNode| {
            record.survey.is_none()
                && crate::pause::left(record.not_before.as_deref(), observed.now).is_none()
                && observed.survey_jobs.iter().all(|job| job.name != name_of(&observed.library, record))
        };
        let Some(record) = nodes.iter().filter(due).min_by_key(|record| record.attempts) else { return };
        let task = SurveyTask { node: record.name.clone(), boot_id: record.boot_id.clone() };
        let cpus = record.cpu_alignment.unwrap_or(1);
        match survey_job(&observed.library, &task, cpus, record.attempts, &self.options.pods) {
            Ok(job) => self.out.desired.survey = Some(job),
            Err(error) => tracing::warn!(node = record.name, "a survey cannot be asked for: {error}"),
        }
    }
}

/// What is on record about the node since it started.
fn on_record(node: &NodeFacts, known: &[SurveyedNode]) -> SurveyedNode {
    let same = |known: &&SurveyedNode| known.name == node.name() && known.boot_id == node.boot_id();
    known.iter().find(same).cloned().unwrap_or_else(|| SurveyedNode {
        name: node.name().to_owned(),
        boot_id: node.boot_id().to_owned(),
        ..SurveyedNode::default()
    })
}

fn name_of(library: &MediaLibrary, record: &SurveyedNode) -> String {
    survey_name(&library.uid().unwrap_or_default(), &record.name, &record.boot_id, record.attempts)
}

/// Whether an encode's pod has no node yet: free CPUs are for it.
fn waits_for_a_node(job: &EncodeJob) -> bool {
    let Some(status) = &job.status else { return false };
    job.phase() == Phase::Encoding && status.pod_name.is_some() && !is_true(&status.conditions, conditions::PLACED)
}

fn judge(ended: &Ended) -> Step {
    if let Some(alignment) = alignment(ended) {
        return Step::Refused(alignment);
    }
    match ended.came::<NodeSurvey>(false) {
        Came::Done(survey) => Step::Found(survey),
        Came::Failed { failure, .. } => Step::Nothing(failure.message),
        Came::Lost(why) => Step::Nothing(why),
    }
}

/// CPUs of a core on a node that refused a part of one. The kubelet's words are `SMT Alignment Error: requested 1 cpus not
/// multiple cpus per core = 2`.
fn alignment(ended: &Ended) -> Option<u32> {
    /// Of every CPU with several threads that there is but a few.
    const USUAL: u32 = 2;
    let note = ended.note.to_lowercase();
    if ended.reason != "SMTAlignmentError" && !note.contains("smt alignment error") {
        return None;
    }
    let digits = note.split("per core = ").nth(1).unwrap_or_default();
    let number: String = digits.chars().take_while(char::is_ascii_digit).collect();
    Some(number.parse().ok().filter(|n| (2..=64).contains(n)).unwrap_or(USUAL))
}

/// What is not known, and where CPUs are shared.
fn message(nodes: &[SurveyedNode]) -> Option<String> {
    let listed = |names: Vec<&str>| {
        const MOST: usize = 5;
        let more = names.len().saturating_sub(MOST);
        let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
        names.into_iter().take(MOST).collect::<Vec<_>>().join(", ") + &tail
    };
    let of = |which: fn(&SurveyedNode) -> bool| -> Vec<&str> {
        nodes.iter().filter(|node| which(node)).map(|node| node.name.as_str()).collect()
    };
    let unknown = of(|node| node.survey.is_none());
    let shared = of(|node| node.survey.as_ref().is_some_and(|survey| !survey.exclusive));
    let mut parts = Vec::new();
    if !unknown.is_empty() {
        parts.push(format!("not surveyed yet: {}", listed(unknown)));
    }
    if !shared.is_empty() {
        parts.push(format!(
            "CPUs are shared with other pods, for the kubelet's CPU manager policy is not static: {}",
            listed(shared)
        ));
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests;
