//! Sizes and nodes of encode pods, from tables of real nodes.

use k8s_openapi::api::core::v1::{Node, Taint, Toleration};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use av1_crds::library::SurveyedNode;
use av1_crds::wire::NodeSurvey;

use super::*;

fn pod_size(
    pods: &PodsSpec,
    only_node: Option<&str>,
    pixels: Option<u64>,
    nodes: &[NodeFacts],
) -> Result<PodSize, SizeError> {
    place(pods, only_node, pixels, nodes).map(|placing| placing.size)
}

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
    let chosen = PodsSpec { node_selector: Some([("disk".to_owned(), "b".to_owned())].into()), ..PodsSpec::default() };
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
    tainted.taints =
        vec![Taint { key: "encode".into(), value: Some("yes".into()), effect: "NoSchedule".into(), time_added: None }];
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

/// A node with a survey: its allocatable CPUs, CPUs of each cache domain, CPUs of a core, and what whole CPUs must be a multiple of.
fn surveyed(name: &str, model: &str, cpu: &str, domains: &[u32], threads: u32, alignment: Option<u32>) -> NodeFacts {
    let survey = NodeSurvey {
        cpu_model: model.into(),
        online_cpus: domains.iter().sum(),
        threads_per_core: threads,
        cache_domains: domains.to_vec(),
        exclusive: true,
        ..NodeSurvey::default()
    };
    let known =
        SurveyedNode { name: name.into(), cpu_alignment: alignment, survey: Some(survey), ..SurveyedNode::default() };
    node(name, cpu, "512Gi").with(&[known])
}

const ROME: &str = "AMD EPYC 7742 64-Core Processor";
const GENOA: &str = "AMD EPYC 9654 96-Core Processor";
const XEON: &str = "Intel(R) Xeon(R) Gold 6338";

fn asking(cpus: i32) -> PodsSpec {
    PodsSpec { cpus: Some(IntOrString::Int(cpus)), ..PodsSpec::default() }
}

#[test]
fn auto_takes_whole_cache_domains_or_a_divisor_of_one_or_all_of_a_small_node() {
    for (model, cpu, domains, threads, expected, cores) in [
        // Two CPUs reserved of 128: fifteen domains of eight.
        (ROME, "126", vec![8; 16], 2, 120, Some(4)),
        (ROME, "128", vec![8; 16], 2, 128, Some(4)),
        (GENOA, "190", vec![16; 12], 2, 176, Some(8)),
        (GENOA, "190500m", vec![16; 12], 2, 176, Some(8)),
        // Most of the node is reserved: less than one domain of several.
        (GENOA, "12", vec![16; 12], 2, 8, Some(8)),
        (ROME, "7", vec![8; 16], 2, 4, Some(4)),
        // Without SMT.
        (ROME, "63", vec![4; 16], 1, 60, Some(4)),
        // One domain.
        ("AMD EPYC 7232P 8-Core Processor", "14", vec![16], 2, 14, Some(8)),
        ("AMD EPYC 7232P 8-Core Processor", "15", vec![16], 2, 14, Some(8)),
        // A virtual machine that tells nothing of caches, and one that has two CPUs.
        ("AMD EPYC Processor", "4", vec![], 1, 4, None),
        (XEON, "2", vec![2], 1, 2, Some(2)),
        (XEON, "1", vec![2], 2, 1, Some(1)),
        // Domains of different sizes.
        ("AMD EPYC 9124", "30", vec![16, 8, 8], 2, 24, Some(4)),
    ] {
        let node = surveyed("n", model, cpu, &domains, threads, None);
        let found = place(&PodsSpec::default(), None, None, &[node]).unwrap();
        assert_eq!((found.size.cpus, found.cores_per_cache_domain), (expected, cores), "{model} {cpu} {domains:?}");
        assert_eq!((found.eligible, found.only), (1, None));
    }
}

#[test]
fn one_size_is_made_for_all_nodes_that_are_to_take_it() {
    let any = PodsSpec { epyc: Some(Epyc::Any), ..PodsSpec::default() };
    let rome = surveyed("rome", ROME, "126", &[8; 16], 2, None);
    let genoa = surveyed("genoa", GENOA, "190", &[16; 12], 2, None);
    let small = surveyed("small", XEON, "6", &[8], 2, None);
    let at = |pods: &PodsSpec, nodes: &[&NodeFacts]| {
        let nodes: Vec<NodeFacts> = nodes.iter().map(|node| (*node).clone()).collect();
        place(pods, None, None, &nodes).unwrap()
    };
    let both = at(&any, &[&rome, &genoa]);
    assert_eq!((both.size.cpus, both.eligible, both.cores_per_cache_domain), (112, 2, None));
    assert_eq!(at(&any, &[&rome, &genoa, &small]).size.cpus, 4);
    // EPYC is preferred by default: the size is theirs, and the small node is too small for it.
    let preferred = at(&PodsSpec::default(), &[&rome, &genoa, &small]);
    assert_eq!((preferred.size.cpus, preferred.eligible, preferred.preferred.len()), (112, 2, 0));
}

#[test]
fn epyc_is_preferred_required_or_ignored() {
    let rome = surveyed("rome", ROME, "16", &[16], 2, None);
    let xeon = surveyed("xeon", XEON, "16", &[16], 2, None);
    let nodes = [xeon.clone(), rome];
    let at = |epyc| place(&PodsSpec { epyc: Some(epyc), ..PodsSpec::default() }, None, None, &nodes).unwrap();
    let own = |host: &str| vec![host.to_owned()];
    assert_eq!((at(Epyc::Preferred).preferred, at(Epyc::Preferred).only), (own("rome"), None));
    assert_eq!((at(Epyc::Required).preferred, at(Epyc::Required).only), (vec![], Some(own("rome"))));
    assert_eq!((at(Epyc::Any).preferred, at(Epyc::Any).only), (vec![], None));
    let required = PodsSpec { epyc: Some(Epyc::Required), ..PodsSpec::default() };
    let error = place(&required, None, None, &[xeon, node("new", "4", "8Gi")]).unwrap_err().to_string();
    assert!(error.contains("the nearest, xeon, has no EPYC CPU (Intel(R) Xeon(R) Gold 6338), which"), "{error}");
}

#[test]
fn labels_of_node_feature_discovery_are_a_hint_until_the_survey() {
    let labelled = |family: &str| {
        let node: Node = serde_json::from_value(serde_json::json!({
            "metadata": {"name": "n", "labels": {"kubernetes.io/hostname": "host", "feature.node.kubernetes.io/cpu-model.vendor_id": "AMD",
                "feature.node.kubernetes.io/cpu-model.family": family}},
            "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}}))
        .unwrap();
        NodeFacts::of(&node)
    };
    let required = PodsSpec { epyc: Some(Epyc::Required), ..PodsSpec::default() };
    let found = place(&required, None, None, &[labelled("25")]).unwrap();
    assert_eq!(found.only, Some(vec!["host".to_owned()]));
    assert!(place(&required, None, None, &[labelled("21")]).is_err());
    let survey = NodeSurvey { cpu_model: "AMD Ryzen 9 7950X".into(), ..NodeSurvey::default() };
    let known = SurveyedNode { name: "n".into(), survey: Some(survey), ..SurveyedNode::default() };
    assert!(place(&required, None, None, &[labelled("25").with(&[known])]).is_err());
}

#[test]
fn a_number_that_a_kubelet_would_refuse_is_found_before_a_pod_is_made() {
    let aligned = surveyed("n", ROME, "126", &[8; 16], 2, Some(2));
    let error = pod_size(&asking(3), None, None, std::slice::from_ref(&aligned)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "spec.pods.cpus is 3, but node n gives out whole cores of 2 CPUs only (full-pcpus-only): write 2 or 4"
    );
    let one = pod_size(&asking(1), None, None, std::slice::from_ref(&aligned)).unwrap_err().to_string();
    assert!(one.ends_with("write 2"), "{one}");
    assert_eq!(pod_size(&asking(4), None, None, std::slice::from_ref(&aligned)).unwrap().cpus, 4);
    // Nobody is known to refuse it.
    assert_eq!(pod_size(&asking(3), None, None, &[surveyed("n", ROME, "126", &[8; 16], 2, None)]).unwrap().cpus, 3);
    // One that refuses among others is left out.
    let both = place(&asking(3), None, None, &[aligned, node("other", "8", "16Gi")]).unwrap();
    assert_eq!((both.only, both.eligible), (Some(vec!["other".to_owned()]), 1));
}

#[test]
fn the_nearest_node_is_named_with_what_it_lacks() {
    let text = |pods: &PodsSpec, only: Option<&str>, nodes: &[NodeFacts]| {
        place(pods, only, None, nodes).unwrap_err().to_string()
    };
    let chosen = PodsSpec { node_selector: Some([("disk".to_owned(), "b".to_owned())].into()), ..PodsSpec::default() };
    let mut tainted = node("t", "4", "8Gi");
    tainted.taints =
        vec![Taint { key: "gpu".into(), value: Some("yes".into()), effect: "NoExecute".into(), time_added: None }];
    let told = text(&chosen, None, &[tainted, node("a", "2", "8Gi")]);
    assert!(told.contains("the nearest, a, lacks the label disk=b of spec.pods.nodeSelector: "), "{told}");
    let told = text(&PodsSpec::default(), Some("z"), &[node("a", "2", "8Gi")]);
    assert!(told.contains("a, is not z, which has the volume"), "{told}");
    assert!(text(&PodsSpec::default(), None, &[]).contains("there is none"));
}

#[test]
fn workers_keep_a_share_of_cpus_free_where_they_are_known_to_be_shared() {
    let mut shared = surveyed("n", XEON, "8", &[8], 1, None);
    let own = place(&PodsSpec::default(), None, None, std::slice::from_ref(&shared)).unwrap();
    let survey = NodeSurvey { threads_per_core: 1, ..NodeSurvey::default() };
    shared = shared.with(&[SurveyedNode { name: "n".into(), survey: Some(survey), ..SurveyedNode::default() }]);
    let less = place(&PodsSpec::default(), None, None, &[shared]).unwrap();
    assert_eq!((own.workers, less.workers), (4, 3));
    assert_eq!((own.shared, less.shared), (false, true));
    let unknown = place(&PodsSpec::default(), None, None, &[node("new", "8", "16Gi")]).unwrap();
    assert!(!unknown.shared, "a pod that is not Guaranteed would never be pinned");
}
