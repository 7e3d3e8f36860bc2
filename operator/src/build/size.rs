//! CPUs, memory and nodes of an encode pod, from the library's wishes, the picture and the nodes there are. Pure.

mod cpus;
mod nodes;
mod terms;

use av1_crds::library::{Epyc, MediaLibrary, PodsSpec};
use av1_crds::quantity::parse_bytes;
use av1_media::plan::{Resources, workers};

pub(crate) use nodes::{HOST_LABEL, NodeFacts};

/// CPUs and memory of an encode pod.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct PodSize {
    /// Whole CPUs.
    pub(crate) cpus: u32,
    pub(crate) memory_mib: u64,
}

/// An encode pod's size, and the nodes for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Placing {
    pub(crate) size: PodSize,
    /// Host names of the only nodes that may take it; none: the scheduler finds out.
    pub(crate) only: Option<Vec<String>>,
    /// Host names of the nodes that are better.
    pub(crate) preferred: Vec<String>,
    /// Names of nodes that it goes to only when no other can take it.
    pub(crate) avoided: Vec<String>,
    /// Nodes that can take it.
    pub(crate) eligible: usize,
    /// Encoder processes.
    pub(crate) workers: u32,
    /// Most memory that every one of those nodes can give to one pod.
    pub(crate) most_memory_mib: u64,
    /// Whether it is known that whole CPUs are shared on those nodes: then nothing is gained by a limit of CPUs.
    pub(crate) shared: bool,
    /// Cores that share an L3 cache.
    pub(crate) cores_per_cache_domain: Option<u32>,
}

/// What an encode pod is to get after one whose memory ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relief {
    /// Least memory, as far as the nodes have it.
    pub(crate) memory_mib: u64,
    /// Most encoder processes.
    pub(crate) workers: u32,
}

impl Placing {
    /// With the memory and the workers of `relief`.
    pub(crate) fn relieved(mut self, relief: Relief) -> Self {
        self.size.memory_mib = self.size.memory_mib.max(relief.memory_mib.min(self.most_memory_mib));
        self.workers = self.workers.min(relief.workers).max(1);
        self
    }
}

/// Why no size was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SizeError {
    /// No node can take the pod.
    #[error("{0}")]
    NoNode(String),
    /// All suitable nodes are too small.
    #[error(
        "spec.pods.cpus asks for {asked} CPUs, but the largest suitable node, {node}, can give {most} whole CPUs: lower spec.pods.cpus"
    )]
    TooManyCpus { asked: u32, node: String, most: u32 },
    /// The kubelet would refuse the pod.
    #[error(
        "spec.pods.cpus is {asked}, but node {node} gives out whole cores of {threads} CPUs only (full-pcpus-only): write {write}"
    )]
    PartOfACore { asked: u32, node: String, threads: u32, write: String },
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

/// Size and nodes of an encode pod for a picture of `pixels` (none: not known).
///
/// # Errors
/// [`SizeError`] when no node fits or a wish can't be read.
pub(crate) fn place(
    pods: &PodsSpec,
    only_node: Option<&str>,
    pixels: Option<u64>,
    nodes: &[NodeFacts],
) -> Result<Placing, SizeError> {
    let epyc = pods.epyc.unwrap_or_default();
    let admitted: Vec<&NodeFacts> = nodes.iter().filter(|node| node.lacks(pods, only_node, epyc).is_empty()).collect();
    let none = || SizeError::NoNode(nearest(pods, only_node, epyc, nodes));
    let cpus = match cpus::asked(pods)? {
        Some(asked) => cpus::check(asked, &admitted, none)?,
        None => cpus::auto(&better(epyc, &admitted)).or_else(|| cpus::auto(&admitted)).ok_or_else(none)?,
    };
    let eligible: Vec<&NodeFacts> = admitted.iter().filter(|node| node.takes(cpus)).copied().collect();
    let pixels = pixels.unwrap_or(UNKNOWN_PICTURE);
    let most_memory_mib = eligible.iter().map(|node| node.memory_mib() * MOST_PERCENT / 100).min().unwrap_or(u64::MAX);
    let memory_mib = memory(pods, cpus, pixels, most_memory_mib)?;
    let shared = shared(&eligible);
    let refused = admitted.iter().any(|node| node.cpus() >= cpus && !node.takes(cpus));
    let hosts = |list: &[&NodeFacts]| list.iter().map(|node| node.host().to_owned()).collect::<Vec<_>>();
    let preferred: Vec<&NodeFacts> = match epyc {
        Epyc::Preferred => eligible.iter().filter(|node| node.is_epyc()).copied().collect(),
        Epyc::Required | Epyc::Any => Vec::new(),
    };
    let resources = Resources {
        cpus,
        memory: Some(memory_mib << 20),
        workers: pods.workers.unwrap_or(0),
        percent: if shared { pods.target_utilization_percent() } else { 100 },
    };
    Ok(Placing {
        size: PodSize { cpus, memory_mib },
        only: (refused || epyc == Epyc::Required).then(|| hosts(&eligible)),
        preferred: if preferred.len() < eligible.len() { hosts(&preferred) } else { Vec::new() },
        avoided: Vec::new(),
        eligible: eligible.len(),
        workers: workers(resources, pixels).0,
        most_memory_mib,
        shared,
        cores_per_cache_domain: cpus::cores_per_cache_domain(&eligible),
    })
}

/// The one node that the library's pods must run on, if there is one.
pub(crate) fn only_node(library: &MediaLibrary) -> Option<String> {
    match &library.spec.volume.host_path {
        Some(host_path) if host_path.shared => None,
        // Without a name, which the schema refuses, no node is the one.
        Some(host_path) => Some(host_path.node.clone().unwrap_or_default()),
        None => library.status.as_ref()?.storage.as_ref()?.node.clone(),
    }
}

/// Where EPYC is preferred and there is some, the size is made for those nodes.
fn better<'a>(epyc: Epyc, admitted: &[&'a NodeFacts]) -> Vec<&'a NodeFacts> {
    let better: Vec<&NodeFacts> =
        admitted.iter().filter(|node| epyc == Epyc::Preferred && node.is_epyc()).copied().collect();
    if better.is_empty() { admitted.to_vec() } else { better }
}

/// Whether it is known that whole CPUs are shared on these nodes.
fn shared(nodes: &[&NodeFacts]) -> bool {
    let mut surveys = nodes.iter().filter_map(|node| node.survey()).peekable();
    surveys.peek().is_some() && surveys.all(|survey| !survey.exclusive)
}

fn memory(pods: &PodsSpec, cpus: u32, pixels: u64, most_mib: u64) -> Result<u64, SizeError> {
    match pods.memory.as_deref() {
        None | Some("Auto") => {
            let resources = Resources { cpus, memory: None, workers: pods.workers.unwrap_or(0), percent: 100 };
            let workers = u64::from(workers(resources, pixels).0);
            // 1 GB a megapixel and worker.
            let encoders = workers.saturating_mul(pixels).saturating_mul(1_000) / (1 << 20);
            Ok(encoders.saturating_add(BASE_MIB).max(LEAST_MIB).min(most_mib.max(64)))
        }
        Some(text) => Ok(parse_bytes(text)
            .map_err(|_| SizeError::Unreadable { field: "memory", text: text.to_owned(), form: "a size such as 8Gi" })?
            .div_ceil(1 << 20)),
    }
}

/// The node that lacks least, and what that is.
fn nearest(pods: &PodsSpec, only_node: Option<&str>, epyc: Epyc, nodes: &[NodeFacts]) -> String {
    let lacking = |node: &NodeFacts| {
        let mut lacks = node.lacks(pods, only_node, epyc);
        if lacks.is_empty() {
            lacks.push(format!("can give {} whole CPUs, too few for a core", node.cpus()));
        }
        lacks
    };
    let found = nodes
        .iter()
        .map(|node| (node, lacking(node)))
        .min_by_key(|(node, lacks)| (lacks.len(), std::cmp::Reverse(node.cpus()), node.name().to_owned()));
    match found {
        Some((node, lacks)) => format!(
            "no node takes the pod; the nearest, {}, {}: mend that, add a node, or change spec.pods",
            node.name(),
            lacks.join(", and ")
        ),
        None => "no node takes the pod: there is none".to_owned(),
    }
}

#[cfg(test)]
mod tests;
