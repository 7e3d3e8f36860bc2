//! The survey role: what CPUs a node has, and whether whole ones come out exclusive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a survey pod is to do. Nothing is mounted; it has as many whole CPUs as the task says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SurveyTask {
    /// Name of the node.
    pub node: String,
    /// Boot id of the node when the pod was made.
    pub boot_id: String,
}

/// CPUs of a node, as a survey pod saw them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NodeSurvey {
    /// Model name of the CPU.
    pub cpu_model: String,
    /// Vendor as the CPU says it, such as AuthenticAMD.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub vendor: String,
    /// Family of the CPU: 23, 25 and 26 are the Zen generations.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family: Option<u32>,
    /// CPUs that are online.
    pub online_cpus: u32,
    /// CPUs of one core.
    pub threads_per_core: u32,
    /// CPUs of each L3 cache domain; none where the kernel does not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cache_domains: Vec<u32>,
    /// CPUs of each NUMA domain; none where the kernel does not say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub numa_domains: Vec<u32>,
    /// Whether the pod's whole CPUs were its own: the kubelet's CPU manager policy is static.
    pub exclusive: bool,
}
