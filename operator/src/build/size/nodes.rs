//! A node as far as placing pods needs it: what it can give, what a survey found, and what it lacks for a library. Pure.

use std::collections::BTreeMap;

use av1_crds::library::{Epyc, PodsSpec, SurveyedNode};
use av1_crds::quantity::parse_bytes;
use av1_crds::wire::NodeSurvey;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::ResourceExt;

use super::terms::admits;

/// Label by which affinities name nodes.
pub(crate) const HOST_LABEL: &str = "kubernetes.io/hostname";
/// Labels of Node Feature Discovery: a hint as long as there is no survey.
const VENDOR_LABEL: &str = "feature.node.kubernetes.io/cpu-model.vendor_id";
const FAMILY_LABEL: &str = "feature.node.kubernetes.io/cpu-model.family";
/// CPU families of the Zen generations, which EPYC is of.
const ZEN: [&str; 3] = ["23", "25", "26"];

/// A node, as far as placing pods needs it.
#[derive(Debug, Clone)]
pub(crate) struct NodeFacts {
    name: String,
    boot_id: String,
    /// Allocatable whole CPUs.
    cpus: u32,
    /// Those that Auto takes: one fewer where nothing is reserved for the node's own pods, if there are two.
    auto_cpus: u32,
    /// Allocatable memory.
    memory_mib: u64,
    labels: BTreeMap<String, String>,
    ready: bool,
    silent_since: Option<Timestamp>,
    pub(super) taints: Vec<Taint>,
    /// CPUs of which pods must ask for a multiple.
    alignment: Option<u32>,
    survey: Option<NodeSurvey>,
}

impl NodeFacts {
    /// What is known of `node` by its object.
    pub(crate) fn of(node: &Node) -> Self {
        let spec = node.spec.clone().unwrap_or_default();
        let status = node.status.clone().unwrap_or_default();
        let allocatable = status.allocatable.unwrap_or_default();
        let cpus = allocatable.get("cpu").and_then(whole_cpus).unwrap_or(0);
        let all = status.capacity.unwrap_or_default().get("cpu").and_then(whole_cpus);
        let auto_cpus = if cpus >= 2 && all == Some(cpus) { cpus - 1 } else { cpus };
        let conditions = status.conditions.unwrap_or_default();
        let is_ready = |status: &str| conditions.iter().find(|c| c.type_ == "Ready" && c.status == status);
        let ready = is_ready("True").is_some();
        let silent = is_ready("Unknown").map(|c| c.last_transition_time.as_ref().map_or(Timestamp::MAX, |at| at.0));
        Self {
            name: node.name_any(),
            boot_id: status.node_info.map(|info| info.boot_id).unwrap_or_default(),
            cpus,
            auto_cpus,
            memory_mib: allocatable.get("memory").and_then(|q| parse_bytes(&q.0).ok()).unwrap_or(0) >> 20,
            labels: node.metadata.labels.clone().unwrap_or_default(),
            ready: ready && !spec.unschedulable.unwrap_or(false),
            silent_since: silent,
            taints: spec.taints.unwrap_or_default(),
            alignment: None,
            survey: None,
        }
    }

    /// With what `known` has about the node since it started.
    pub(crate) fn with(mut self, known: &[SurveyedNode]) -> Self {
        if let Some(found) = known.iter().find(|known| known.name == self.name && known.boot_id == self.boot_id) {
            self.alignment = found.cpu_alignment;
            self.survey.clone_from(&found.survey);
        }
        self
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn boot_id(&self) -> &str {
        &self.boot_id
    }

    pub(crate) fn survey(&self) -> Option<&NodeSurvey> {
        self.survey.as_ref()
    }

    /// Since when the node's kubelet has not been heard of; none while it is.
    pub(crate) fn silent_since(&self) -> Option<Timestamp> {
        self.silent_since
    }

    pub(super) fn cpus(&self) -> u32 {
        self.cpus
    }

    pub(super) fn auto_cpus(&self) -> u32 {
        self.auto_cpus
    }

    pub(super) fn memory_mib(&self) -> u64 {
        self.memory_mib
    }

    /// The name by which affinities know it.
    pub(super) fn host(&self) -> &str {
        self.labels.get(HOST_LABEL).unwrap_or(&self.name)
    }

    /// CPUs of which the kubelet wants a multiple, as far as is known.
    pub(super) fn alignment(&self) -> u32 {
        self.alignment.unwrap_or(1).max(1)
    }

    /// Whether the node takes a pod with so many CPUs when it is empty.
    pub(super) fn takes(&self, cpus: u32) -> bool {
        cpus <= self.cpus && cpus.is_multiple_of(self.alignment())
    }

    /// Whether the CPU is an EPYC: by the survey, else by labels.
    pub(super) fn is_epyc(&self) -> bool {
        match &self.survey {
            Some(survey) => survey.cpu_model.contains("EPYC"),
            None => {
                let label = |key: &str| self.labels.get(key).map_or("", String::as_str);
                label(VENDOR_LABEL) == "AMD" && ZEN.contains(&label(FAMILY_LABEL))
            }
        }
    }

    /// Whether the library's pods may run here, whatever CPU it has.
    pub(crate) fn is_candidate(&self, pods: &PodsSpec, only_node: Option<&str>) -> bool {
        self.lacks(pods, only_node, Epyc::Any).is_empty()
    }

    /// What the node lacks for encode pods but for CPUs, each in words after the node's name.
    pub(super) fn lacks(&self, pods: &PodsSpec, only_node: Option<&str>, epyc: Epyc) -> Vec<String> {
        let mut lacks = Vec::new();
        if !self.ready {
            lacks.push("is not ready, or cordoned".to_owned());
        }
        if let Some(only) = only_node.filter(|only| *only != self.name) {
            lacks.push(format!("is not {only}, which has the volume"));
        }
        let missing = pods.node_selector.iter().flatten().filter(|(key, value)| self.labels.get(*key) != Some(value));
        lacks.extend(missing.map(|(key, value)| format!("lacks the label {key}={value} of spec.pods.nodeSelector")));
        let refusing = self
            .taints
            .iter()
            .filter(|taint| taint.effect != "PreferNoSchedule")
            .filter(|taint| !pods.tolerations.iter().flatten().any(|toleration| tolerates(toleration, taint)));
        lacks.extend(refusing.map(|taint| {
            let value = taint.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
            format!("has the taint {}{value}:{}, which spec.pods.tolerations lacks", taint.key, taint.effect)
        }));
        if !admits(pods.affinity.as_ref(), &self.name, &self.labels) {
            lacks.push("is not admitted by spec.pods.affinity".to_owned());
        }
        if epyc == Epyc::Required && !self.is_epyc() {
            lacks.push(match &self.survey {
                Some(survey) => format!("has no EPYC CPU ({}), which spec.pods.epyc requires", survey.cpu_model),
                None => "is not known to have an EPYC CPU, which spec.pods.epyc requires: it was not surveyed yet"
                    .to_owned(),
            });
        }
        lacks
    }
}

fn tolerates(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.as_deref().is_none_or(|e| e.is_empty() || e == taint.effect);
    let key = toleration.key.as_deref().unwrap_or_default();
    let matches = match toleration.operator.as_deref() {
        Some("Exists") => key.is_empty() || key == taint.key,
        _ => {
            key == taint.key && toleration.value.clone().unwrap_or_default() == taint.value.clone().unwrap_or_default()
        }
    };
    effect && matches
}

/// Whole CPUs in a quantity such as `8`, `7900m` or `7.5`.
fn whole_cpus(quantity: &Quantity) -> Option<u32> {
    match quantity.0.strip_suffix('m') {
        Some(millis) => millis.parse::<u32>().ok().map(|m| m / 1_000),
        None => quantity.0.split('.').next()?.parse().ok(),
    }
}
