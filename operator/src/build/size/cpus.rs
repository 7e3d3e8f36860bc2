//! Whole CPUs of an encode pod: what was asked for, held against the nodes, or as many as pack them. Pure.

use av1_crds::library::PodsSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{NodeFacts, SizeError};

/// The number that `spec.pods.cpus` asks for; none for Auto.
pub(super) fn asked(pods: &PodsSpec) -> Result<Option<u32>, SizeError> {
    let unreadable = |text: String| SizeError::Unreadable { field: "cpus", text, form: "a whole number of CPUs" };
    match &pods.cpus {
        None => Ok(None),
        Some(IntOrString::Int(n)) => {
            u32::try_from(*n).ok().filter(|n| *n > 0).map(Some).ok_or_else(|| unreadable(n.to_string()))
        }
        Some(IntOrString::String(text)) if text == "Auto" => Ok(None),
        Some(IntOrString::String(text)) => {
            text.parse().ok().filter(|n| *n > 0).map(Some).ok_or_else(|| unreadable(text.clone()))
        }
    }
}

/// `asked`, when one of the nodes takes it.
pub(super) fn check(asked: u32, nodes: &[&NodeFacts], none: impl FnOnce() -> SizeError) -> Result<u32, SizeError> {
    let largest = nodes.iter().max_by_key(|node| node.cpus()).ok_or_else(none)?;
    if asked > largest.cpus() {
        return Err(SizeError::TooManyCpus { asked, node: largest.name().to_owned(), most: largest.cpus() });
    }
    let able = |node: &&&NodeFacts| node.cpus() >= asked;
    if nodes.iter().filter(able).any(|node| node.takes(asked)) {
        return Ok(asked);
    }
    // All that are large enough would refuse it; the one with the smallest cores says what is nearest.
    let refusing = nodes.iter().filter(able).min_by_key(|node| node.alignment()).unwrap_or(largest);
    let threads = refusing.alignment();
    let lower = asked / threads * threads;
    let choices = [lower, lower + threads].into_iter().filter(|n| *n > 0 && *n <= refusing.cpus());
    let write = choices.map(|n| n.to_string()).collect::<Vec<_>>().join(" or ");
    Err(SizeError::PartOfACore { asked, node: refusing.name().to_owned(), threads, write })
}

/// The most CPUs that every one of the nodes can give and that pack each of them: whole cores, and whole cache domains or a
/// divisor of one.
pub(super) fn auto(nodes: &[&NodeFacts]) -> Option<u32> {
    let able: Vec<&NodeFacts> =
        nodes.iter().filter(|node| node.auto_cpus() > 0 && node.auto_cpus() >= node.alignment()).copied().collect();
    let most = able.iter().map(|node| node.auto_cpus()).min()?;
    let largest =
        |fits: fn(&NodeFacts, u32) -> bool| (1..=most).rev().find(|cpus| able.iter().all(|node| fits(node, *cpus)));
    // Domains of different nodes may have little in common: then whole cores have to do, and where there is only a part of a
    // core that nobody refuses, that.
    largest(packs).filter(|cpus| cpus * 2 >= most).or_else(|| largest(is_whole)).or(Some(most))
}

fn packs(node: &NodeFacts, cpus: u32) -> bool {
    let fits = |domain: u32| cpus.is_multiple_of(domain) || domain.is_multiple_of(cpus);
    is_whole(node, cpus) && domain(node).is_none_or(fits)
}

fn is_whole(node: &NodeFacts, cpus: u32) -> bool {
    cpus.is_multiple_of(threads(node))
}

/// CPUs of a core.
fn threads(node: &NodeFacts) -> u32 {
    node.survey().map_or(1, |survey| survey.threads_per_core).max(node.alignment()).max(1)
}

/// CPUs of a cache domain, where the node has several; of unequal ones, what divides them all.
fn domain(node: &NodeFacts) -> Option<u32> {
    let domains = &node.survey()?.cache_domains;
    let domain = domains.iter().copied().reduce(common_divisor)?;
    (domains.len() > 1 && domain > 0 && domain.is_multiple_of(threads(node))).then_some(domain)
}

fn common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { common_divisor(b, a % b) }
}

/// Cores that share a cache, where all nodes that were surveyed agree.
pub(super) fn cores_per_cache_domain(nodes: &[&NodeFacts]) -> Option<u32> {
    let mut found = nodes.iter().filter_map(|node| node.survey()).map(|survey| {
        let domain = survey.cache_domains.iter().copied().reduce(common_divisor)?;
        Some(domain / survey.threads_per_core.max(1))
    });
    let first = found.next()??;
    (first > 0 && found.all(|other| other == Some(first))).then_some(first)
}
