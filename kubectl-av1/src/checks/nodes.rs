//! Nodes: whether some are ready, whether whole CPUs are a pod's own there, as the surveys measured it, and which have an EPYC CPU.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use av1_crds::library::{Epyc, SurveyedNode};
use k8s_openapi::api::core::v1::Node;
use kube::ResourceExt;

use super::{Facts, Finding, Seen, listed};

/// Labels of Node Feature Discovery.
const VENDOR_LABEL: &str = "feature.node.kubernetes.io/cpu-model.vendor_id";
const FAMILY_LABEL: &str = "feature.node.kubernetes.io/cpu-model.family";
/// CPU families of the Zen generations, which EPYC is of.
const ZEN: [&str; 3] = ["23", "25", "26"];

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let surveyed = surveyed(facts);
    vec![ready(facts), cpu_manager(facts, &surveyed), epyc(facts, &surveyed)]
}

/// What any library has on record of each node; a survey goes before the lack of one.
fn surveyed(facts: &Facts) -> BTreeMap<&str, &SurveyedNode> {
    let placements = facts.libraries().iter().filter_map(|l| l.status.as_ref()?.placement.as_ref());
    let mut found: BTreeMap<&str, &SurveyedNode> = BTreeMap::new();
    for node in placements.flat_map(|placement| &placement.nodes) {
        let known = found.entry(&node.name).or_insert(node);
        if known.survey.is_none() {
            *known = node;
        }
    }
    found
}

fn ready(facts: &Facts) -> Finding {
    const CHECK: &str = "nodes";
    let nodes = match &facts.nodes {
        Seen::Got(nodes) => nodes,
        Seen::Denied(why) => return Finding::denied(CHECK, why),
        Seen::Absent => return Finding::unknown(CHECK, "the cluster lists no nodes"),
        Seen::Away(why) => return Finding::unknown(CHECK, why.clone()),
    };
    let out: Vec<String> = nodes.iter().filter(|node| !is_ready(node)).map(ResourceExt::name_any).collect();
    let todo = "`kubectl get nodes` says why; uncordon or repair them";
    match nodes.len() - out.len() {
        0 => Finding::problem(CHECK, format!("none of {} takes pods: {}", nodes.len(), listed(&out)), todo),
        _ if out.is_empty() => Finding::ok(CHECK, format!("{} ready", nodes.len())),
        left => Finding::ok(CHECK, format!("{left} of {} ready; not ready or cordoned: {}", nodes.len(), listed(&out))),
    }
}

fn is_ready(node: &Node) -> bool {
    let conditions = node.status.as_ref().and_then(|status| status.conditions.as_ref());
    let cordoned = node.spec.as_ref().and_then(|spec| spec.unschedulable).unwrap_or(false);
    !cordoned && conditions.into_iter().flatten().any(|c| c.type_ == "Ready" && c.status == "True")
}

fn cpu_manager(facts: &Facts, surveyed: &BTreeMap<&str, &SurveyedNode>) -> Finding {
    const CHECK: &str = "CPU manager";
    if surveyed.is_empty() {
        let why = match facts.libraries().iter().find(|library| !library.spec.suspend) {
            Some(_) => "no node was surveyed yet: that begins once a library is ready",
            None => "no node was surveyed yet: that takes a library that is not suspended",
        };
        return Finding::unknown(CHECK, why);
    }
    let shared: Vec<String> = surveyed
        .values()
        .filter(|node| node.survey.as_ref().is_some_and(|survey| !survey.exclusive))
        .map(|node| node.name.clone())
        .collect();
    if !shared.is_empty() {
        return Finding::problem(
            CHECK,
            format!("encode pods share their CPUs with other pods on {}", listed(&shared)),
            "encodes run all the same. For CPUs of their own drain the node, write cpuManagerPolicy: static and reservedSystemCPUs (such as \"0,1\"; without it the kubelet does not start) into the kubelet's configuration, remove its cpu_manager_state and restart it",
        );
    }
    let without: Vec<String> = surveyed
        .values()
        .filter(|node| node.survey.is_none())
        .map(|node| match &node.message {
            Some(why) => format!("{} ({why})", node.name),
            None => node.name.clone(),
        })
        .collect();
    match (surveyed.len() - without.len(), without.is_empty()) {
        (known, true) => {
            Finding::ok(CHECK, format!("static: encode pods have CPUs of their own on every surveyed node ({known})"))
        }
        (known, false) => Finding::unknown(CHECK, format!("static on {known}; not surveyed yet: {}", listed(&without))),
    }
}

fn epyc(facts: &Facts, surveyed: &BTreeMap<&str, &SurveyedNode>) -> Finding {
    const CHECK: &str = "EPYC";
    let models = surveyed.values().filter_map(|node| Some((&node.name, &node.survey.as_ref()?.cpu_model)));
    let mut found: BTreeSet<String> =
        models.filter(|(_, model)| model.contains("EPYC")).map(|(name, model)| format!("{name} ({model})")).collect();
    // Without a survey the labels are a hint.
    let hinted = |node: &&Node| {
        let label = |key: &str| node.labels().get(key).map_or("", String::as_str);
        let known = surveyed.get(node.name_any().as_str()).is_some_and(|known| known.survey.is_some());
        !known && label(VENDOR_LABEL) == "AMD" && ZEN.contains(&label(FAMILY_LABEL))
    };
    let nodes = facts.nodes.got().map_or(&[][..], Vec::as_slice);
    found.extend(nodes.iter().filter(hinted).map(|node| format!("{} (by its labels)", node.name_any())));
    let wish = |wanted| {
        let of = |library: &&av1_crds::MediaLibrary| {
            let pods = library.spec.pods.as_ref();
            pods.and_then(|pods| pods.epyc).unwrap_or_default() == wanted
        };
        facts.libraries().iter().filter(of).map(ResourceExt::name_any).collect::<Vec<String>>()
    };
    if !found.is_empty() {
        return Finding::ok(CHECK, listed(&found.into_iter().collect::<Vec<_>>()));
    }
    let required = wish(Epyc::Required);
    if !required.is_empty() {
        return Finding::problem(
            CHECK,
            format!("no node is known to be one, and {} takes no other (pods.epyc: Required)", listed(&required)),
            "add such a node, wait for its survey, or write pods.epyc: Preferred",
        );
    }
    Finding::ok(CHECK, "no node is known to be one, and no library needs one")
}
