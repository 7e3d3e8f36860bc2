//! Where a library's encode pods can run, and what is known of the nodes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::wire::NodeSurvey;

/// Where encode pods can run, and how large they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PlacementStatus {
    /// Nodes that can take an encode pod of this size when they are empty.
    pub eligible_nodes: u32,
    /// Whole CPUs of one encode pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus_per_job: Option<u32>,
    /// Encoder processes of one encode pod, for a picture of 1920x1080.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers_per_job: Option<u32>,
    /// Cores that share an L3 cache, where all eligible nodes that were surveyed agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores_per_cache_domain: Option<u32>,
    /// Why no node is eligible, or what is not known yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The nodes that the library admits, with what a survey found.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<SurveyedNode>,
}

/// What is known of a node since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SurveyedNode {
    /// Its name.
    pub name: String,
    /// Boot id that this is about: the node is surveyed again when it has another.
    pub boot_id: String,
    /// Surveys so far that came to nothing, or were refused.
    #[serde(skip_serializing_if = "is_zero")]
    pub attempts: i64,
    /// No survey starts before this time, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<String>,
    /// The kubelet refuses pods whose whole CPUs are no multiple of this: full-pcpus-only is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_alignment: Option<u32>,
    /// Why there is no survey yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the survey found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub survey: Option<NodeSurvey>,
}

const fn is_zero(number: &i64) -> bool {
    *number == 0
}
