//! CPUs and memory of an encode pod, from the library's wishes, the picture and the nodes there are. Pure.

use std::collections::BTreeMap;

use av1_crds::library::PodsSpec;
use av1_crds::quantity::parse_bytes;
use k8s_openapi::api::core::v1::{Node, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::ResourceExt;

/// CPUs and memory of an encode pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PodSize {
    /// Whole CPUs.
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u64,
}

/// A node that encode pods may run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeSize {
    pub(crate) name: String,
    /// Allocatable whole CPUs.
    pub(crate) cpus: u32,
    /// Those that Auto takes: one fewer where nothing is reserved for the node's own pods, if there are two.
    pub(crate) auto_cpus: u32,
    /// Allocatable memory.
    pub(crate) memory_mib: u64,
}

/// Why no size was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    /// No node can take the pod.
    #[error("no ready node {0}: add one, or change spec.pods.nodeSelector and tolerations")]
    NoNode(String),
    /// All suitable nodes are too small.
    #[error(
        "spec.pods.cpus asks for {asked} CPUs, but the largest suitable node, {node}, can give {most} whole CPUs: lower spec.pods.cpus"
    )]
    TooManyCpus { asked: u32, node: String, most: u32 },
    /// A wish that is not a number.
    #[error("spec.pods.{field} is \"{text}\": write Auto or {form}")]
    Unreadable { field: &'static str, text: String, form: &'static str },
}

/// Picture that is assumed where nobody knows the size yet: 1920x1080.
const UNKNOWN_PICTURE: u64 = 1920 * 1080;
/// Least memory of an encode pod.
const LEAST_MIB: u64 = 2 * 1024;
/// Memory beside the encoders: decoder, Av1an, ffmpeg.
const BASE_MIB: u64 = 1536;
/// Part of a node's memory that one pod asks for at most, in percent: the node's other pods need some.
const MOST_PERCENT: u64 = 80;

/// Size of an encode pod for a picture of `pixels` (none: not known).
///
/// # Errors
/// [`SizeError`] when no node fits or a wish can't be read.
pub(crate) fn pod_size(
    pods: &PodsSpec,
    only_node: Option<&str>,
    pixels: Option<u64>,
    nodes: &[NodeFacts],
) -> Result<PodSize, SizeError> {
    let fitting: Vec<NodeSize> = nodes.iter().filter_map(|node| node.fits(pods, only_node)).collect();
    let cpus = cpus(pods, only_node, &fitting)?;
    let able: Vec<&NodeSize> = fitting.iter().filter(|node| node.cpus >= cpus).collect();
    let cap = able.iter().map(|node| node.memory_mib * MOST_PERCENT / 100).min().unwrap_or(u64::MAX);
    let memory_mib = match pods.memory.as_deref() {
        None | Some("Auto") => {
            let workers = u64::from(match pods.workers {
                None | Some(0) => planned_workers(cpus),
                Some(workers) => workers,
            });
            // 1 GB a megapixel and worker.
            let encoders = workers.saturating_mul(pixels.unwrap_or(UNKNOWN_PICTURE)).saturating_mul(1_000) / (1 << 20);
            encoders.saturating_add(BASE_MIB).max(LEAST_MIB).min(cap.max(64))
        }
        Some(text) => parse_bytes(text)
            .map_err(|_| SizeError::Unreadable { field: "memory", text: text.to_owned(), form: "a size such as 8Gi" })?
            .div_ceil(1 << 20),
    };
    Ok(PodSize { cpus, memory_mib })
}

fn cpus(pods: &PodsSpec, only_node: Option<&str>, fitting: &[NodeSize]) -> Result<u32, SizeError> {
    let asked = match &pods.cpus {
        None => None,
        Some(IntOrString::Int(n)) => {
            Some(u32::try_from(*n).ok().filter(|n| *n > 0).ok_or_else(|| unreadable_cpus(n.to_string()))?)
        }
        Some(IntOrString::String(text)) if text == "Auto" => None,
        Some(IntOrString::String(text)) => {
            Some(text.parse().ok().filter(|n| *n > 0).ok_or_else(|| unreadable_cpus(text.clone()))?)
        }
    };
    let none = || {
        let selector = pods
            .node_selector
            .clone()
            .unwrap_or_default()
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect::<Vec<_>>()
            .join(",");
        SizeError::NoNode(match (only_node, selector.as_str()) {
            (Some(node), _) => format!("is named {node} and takes the pod"),
            (None, "") => "takes the pod".to_owned(),
            (None, selector) => format!("has the labels {selector} and takes the pod"),
        })
    };
    let largest = fitting.iter().max_by_key(|node| node.cpus).ok_or_else(none)?;
    match asked {
        Some(asked) if asked > largest.cpus => {
            Err(SizeError::TooManyCpus { asked, node: largest.name.clone(), most: largest.cpus })
        }
        Some(asked) => Ok(asked),
        None => fitting.iter().map(|node| node.auto_cpus).filter(|cpus| *cpus > 0).min().ok_or_else(none),
    }
}

fn unreadable_cpus(text: String) -> SizeError {
    SizeError::Unreadable { field: "cpus", text, form: "a whole number of CPUs" }
}

/// Encoder processes that the plan takes with that many CPUs.
fn planned_workers(cpus: u32) -> u32 {
    match cpus {
        0..32 => cpus.clamp(1, 4),
        32..40 => 8,
        _ => cpus / 4,
    }
}

/// A node, as far as placing pods needs it.
#[derive(Debug, Clone)]
pub(crate) struct NodeFacts {
    size: NodeSize,
    labels: BTreeMap<String, String>,
    ready: bool,
    taints: Vec<Taint>,
}

impl NodeFacts {
    /// What is known of `node`.
    pub(crate) fn of(node: &Node) -> Self {
        let spec = node.spec.clone().unwrap_or_default();
        let status = node.status.clone().unwrap_or_default();
        let allocatable = status.allocatable.unwrap_or_default();
        let cpus = allocatable.get("cpu").and_then(whole_cpus).unwrap_or(0);
        let all = status.capacity.unwrap_or_default().get("cpu").and_then(whole_cpus);
        let auto_cpus = if cpus >= 2 && all == Some(cpus) { cpus - 1 } else { cpus };
        let ready = status.conditions.unwrap_or_default().iter().any(|c| c.type_ == "Ready" && c.status == "True");
        Self {
            size: NodeSize {
                name: node.name_any(),
                cpus,
                auto_cpus,
                memory_mib: allocatable.get("memory").and_then(|q| parse_bytes(&q.0).ok()).unwrap_or(0) >> 20,
            },
            labels: node.metadata.labels.clone().unwrap_or_default(),
            ready: ready && !spec.unschedulable.unwrap_or(false),
            taints: spec.taints.unwrap_or_default(),
        }
    }

    fn fits(&self, pods: &PodsSpec, only_node: Option<&str>) -> Option<NodeSize> {
        let named = only_node.is_none_or(|name| name == self.size.name);
        let labelled = pods.node_selector.iter().flatten().all(|(k, v)| self.labels.get(k) == Some(v));
        let tolerated = self
            .taints
            .iter()
            .filter(|taint| taint.effect != "PreferNoSchedule")
            .all(|taint| pods.tolerations.iter().flatten().any(|toleration| tolerates(toleration, taint)));
        (self.ready && named && labelled && tolerated).then(|| self.size.clone())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, cpu: &str, memory: &str) -> NodeFacts {
        let node: Node = serde_json::from_value(serde_json::json!({
            "metadata": {"name": name, "labels": {"disk": name}},
            "status": {"allocatable": {"cpu": cpu, "memory": memory}, "conditions": [{"type": "Ready", "status": "True"}]},
        }))
        .unwrap();
        NodeFacts::of(&node)
    }

    #[test]
    fn auto_takes_the_whole_cpus_of_the_smallest_suitable_node() {
        let nodes = [node("a", "7900m", "64Gi"), node("b", "16", "64Gi")];
        assert_eq!(pod_size(&PodsSpec::default(), None, Some(1920 * 1080), &nodes).unwrap().cpus, 7);
        assert_eq!(pod_size(&PodsSpec::default(), Some("b"), None, &nodes).unwrap().cpus, 16);
        let chosen =
            PodsSpec { node_selector: Some([("disk".to_owned(), "b".to_owned())].into()), ..PodsSpec::default() };
        assert_eq!(pod_size(&chosen, None, None, &nodes).unwrap().cpus, 16);
    }

    #[test]
    fn auto_leaves_a_cpu_to_the_nodes_own_pods_where_nothing_is_reserved_for_them() {
        for (capacity, allocatable, expected) in
            [("4", "4", 3), ("4", "3", 3), ("4", "3800m", 3), ("1", "1", 1), ("2", "2", 1)]
        {
            let node: Node = serde_json::from_value(serde_json::json!({"metadata": {"name": "n"}, "status": {
                "capacity": {"cpu": capacity}, "allocatable": {"cpu": allocatable, "memory": "8Gi"},
                "conditions": [{"type": "Ready", "status": "True"}]}}))
            .unwrap();
            let size = |pods: &PodsSpec| pod_size(pods, None, None, &[NodeFacts::of(&node)]).unwrap().cpus;
            assert_eq!(size(&PodsSpec::default()), expected, "{allocatable} of {capacity}");
        }
    }

    #[test]
    fn memory_grows_with_the_picture_and_the_workers_and_stays_within_the_node() {
        let nodes = [node("a", "4", "64Gi")];
        let small = pod_size(&PodsSpec::default(), None, Some(320 * 240), &nodes).unwrap();
        assert_eq!(small.memory_mib, LEAST_MIB);
        let large = pod_size(&PodsSpec::default(), None, Some(3840 * 2160), &nodes).unwrap();
        assert_eq!(large.memory_mib, 1536 + 4 * 3840 * 2160 * 1000 / (1 << 20));
        let capped = pod_size(&PodsSpec::default(), None, Some(3840 * 2160), &[node("a", "4", "8Gi")]).unwrap();
        assert_eq!(capped.memory_mib, 8 * 1024 * 80 / 100);
    }

    #[test]
    fn a_wish_beyond_every_node_names_the_largest() {
        let asked = PodsSpec { cpus: Some(IntOrString::Int(9)), ..PodsSpec::default() };
        let error = pod_size(&asked, None, None, &[node("a", "4", "8Gi"), node("b", "8", "8Gi")]).unwrap_err();
        assert_eq!(error, SizeError::TooManyCpus { asked: 9, node: "b".to_owned(), most: 8 });
        assert!(matches!(pod_size(&asked, None, None, &[]), Err(SizeError::NoNode(_))));
    }

    #[test]
    fn a_tainted_node_is_used_only_when_the_taint_is_tolerated() {
        let mut tainted = node("a", "4", "8Gi");
        tainted.taints = vec![Taint {
            key: "encode".into(),
            value: Some("yes".into()),
            effect: "NoSchedule".into(),
            time_added: None,
        }];
        assert!(pod_size(&PodsSpec::default(), None, None, std::slice::from_ref(&tainted)).is_err());
        let toleration = Toleration {
            key: Some("encode".into()),
            operator: Some("Equal".into()),
            value: Some("yes".into()),
            ..Toleration::default()
        };
        let pods = PodsSpec { tolerations: Some(vec![toleration]), ..PodsSpec::default() };
        assert_eq!(pod_size(&pods, None, None, &[tainted]).unwrap().cpus, 4);
    }
}
