//! Findings on a healthy cluster, on an ill one, and for who may not look.

use av1_crds::{EncodeJob, MediaLibrary};
use kube::CustomResourceExt;
use serde_json::json;

use super::*;
use crate::view::Palette;
use crate::view::doctor::render;

fn definition(kind: &str) -> Value {
    let crd = if kind == "EncodeJob" { EncodeJob::crd() } else { MediaLibrary::crd() };
    let mut crd = serde_json::to_value(crd).unwrap();
    crd["metadata"]["labels"] = json!({"app.kubernetes.io/version": "0.1.0"});
    crd["status"] = json!({"conditions": [{"type": "Established", "status": "True"}]});
    crd
}

fn library(name: &str, spec: Value, status: Value) -> MediaLibrary {
    let mut all = json!({"volume": {"persistentVolumeClaim": {"claimName": "media"}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
        "metadata": {"name": name, "namespace": "media"}, "spec": all, "status": status}))
    .unwrap()
}

fn condition(type_: &str, status: &str, message: &str) -> Value {
    json!({"type": type_, "status": status, "reason": "AsExpected", "message": message, "lastTransitionTime": "2026-01-02T03:04:05Z"})
}

fn well(free: i64, survey: Value) -> Value {
    json!({"conditions": [condition("StorageReady", "True", ""), condition("Ready", "True", "work goes on by itself")],
        "storage": {"freeBytes": free, "totalBytes": 1_000_000_000_000_i64},
        "placement": {"eligibleNodes": 2, "cpusPerJob": 8, "nodes": [{"name": "node1", "bootId": "b", "survey": survey}]}})
}

fn operator() -> OperatorFacts {
    OperatorFacts {
        namespace: "av1-system".into(),
        name: "av1-operator".into(),
        deployment: Seen::Got(
            serde_json::from_value(json!({"metadata": {"name": "av1-operator"},
                "spec": {"replicas": 1, "selector": {}, "template": {}}, "status": {"readyReplicas": 1}}))
            .unwrap(),
        ),
        lease: Seen::Got(
            serde_json::from_value(
                json!({"metadata": {"name": "av1-operator"}, "spec": {"holderIdentity": "av1-operator-0",
                "leaseDurationSeconds": 30, "renewTime": "2026-01-02T03:04:00.000000Z"}}),
            )
            .unwrap(),
        ),
        metrics: Seen::Got("# HELP\nav1_operator_build_info{version=\"0.1.0\"} 1\nav1_operator_leader 1\n".into()),
    }
}

fn node(name: &str, ready: &str) -> Node {
    serde_json::from_value(
        json!({"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": ready}]}}),
    )
    .unwrap()
}

fn healthy() -> Facts {
    let survey = json!({"cpuModel": "AMD EPYC 7742 64-Core Processor", "onlineCpus": 128, "threadsPerCore": 2, "exclusive": true});
    let libraries = vec![
        library("films", json!({}), well(500_000_000_000, survey.clone())),
        library("series", json!({"suspend": true}), well(100_000_000_000, survey)),
    ];
    let ready = |name: &str| (("media".to_owned(), name.to_owned()), Seen::Got("ready\n".to_owned()));
    Facts {
        plugin: "0.1.0".into(),
        server: "https://10.0.0.1:6443".into(),
        version: "v1.36.0".into(),
        scope: Some("media".into()),
        now: "2026-01-02T03:04:05Z".parse().unwrap(),
        definitions: DEFINITIONS.iter().map(|(kind, _)| (*kind, Seen::Got(definition(kind)))).collect(),
        operators: Seen::Got(vec![operator()]),
        nodes: Seen::Got(vec![node("node1", "True"), node("node2", "True")]),
        libraries: Seen::Got((libraries, Vec::new())),
        catalogs: [ready("films"), ready("series")].into(),
    }
}

#[test]
fn a_healthy_cluster_is_all_ok_within_twenty_lines() {
    let findings = check(&healthy());
    assert!(findings.iter().all(|finding| finding.state == State::Ok), "{findings:?}");
    let text = render(&findings, Palette::Plain);
    assert!(text.lines().count() <= 20, "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn each_thing_that_is_wrong_says_what_to_do() {
    let shared = json!({"cpuModel": "Intel", "onlineCpus": 8, "threadsPerCore": 2, "exclusive": false});
    let no_claim = json!({"conditions": [condition("StorageReady", "False", "there is no PersistentVolumeClaim media: create it"),
        condition("Ready", "False", "the volume is not ready")]});
    let mut full = well(10_000_000_000, shared);
    full["placement"]["eligibleNodes"] = json!(0);
    full["placement"]["message"] = json!("no node has 64 CPUs: node1 has 8");
    let failing = json!({"conditions": [condition("StorageReady", "True", ""), condition("Ready", "False", "the last 10 jobs failed")]});
    let libraries = vec![
        library("broken", json!({}), no_claim),
        library("epyc", json!({"pods": {"epyc": "Required"}}), full),
        library("failing", json!({}), failing),
        library("new", json!({}), json!({})),
    ];
    let mut old = definition("EncodeJob");
    let properties = &mut old["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"];
    properties["spec"]["properties"].as_object_mut().unwrap().remove("suspend");
    let mut operator = operator();
    let Seen::Got(deployment) = &mut operator.deployment else { panic!("no Deployment") };
    deployment.spec.as_mut().unwrap().replicas = Some(0);
    let Seen::Got(lease) = &mut operator.lease else { panic!("no Lease") };
    lease.spec.as_mut().unwrap().holder_identity = Some(String::new());
    operator.metrics = Seen::Away("no endpoints available for service \"av1-operator\"".into());
    let away = (("media".to_owned(), "epyc".to_owned()), Seen::Away("no endpoints available".to_owned()));
    let facts = Facts {
        version: "v1.30.2".into(),
        definitions: vec![("MediaLibrary", Seen::Got(definition("MediaLibrary"))), ("EncodeJob", Seen::Got(old))],
        operators: Seen::Got(vec![operator]),
        nodes: Seen::Got(vec![node("node1", "False")]),
        libraries: Seen::Got((libraries, vec!["odd: missing field `volume`".into()])),
        catalogs: [away].into(),
        ..healthy()
    };
    insta::assert_snapshot!(render(&check(&facts), Palette::Plain));
}

#[test]
fn who_may_not_look_is_told_so_and_nothing_is_called_a_problem() {
    let why = "nodes is forbidden: User \"reader\" cannot list resource \"nodes\"";
    let facts = Facts {
        definitions: vec![("MediaLibrary", Seen::Denied(why.into()))],
        operators: Seen::Denied(why.into()),
        nodes: Seen::Denied(why.into()),
        ..healthy()
    };
    let findings = check(&facts);
    assert!(findings.iter().all(|finding| finding.state != State::Problem), "{findings:?}");
    assert_eq!(findings.iter().filter(|finding| finding.state == State::Unknown).count(), 3);
}

#[test]
fn a_cluster_without_the_chart_says_how_to_install_it() {
    let facts = Facts {
        definitions: DEFINITIONS.iter().map(|(kind, _)| (*kind, Seen::Absent)).collect(),
        operators: Seen::Got(Vec::new()),
        libraries: Seen::Absent,
        catalogs: BTreeMap::new(),
        ..healthy()
    };
    insta::assert_snapshot!(render(&check(&facts), Palette::Plain));
}

#[test]
fn another_version_of_the_operator_and_a_lease_that_ran_out_are_found() {
    let mut operator = operator();
    operator.metrics = Seen::Got("av1_operator_build_info{version=\"0.2.0\"} 1\n".into());
    let facts =
        Facts { operators: Seen::Got(vec![operator]), now: "2026-01-02T03:05:05Z".parse().unwrap(), ..healthy() };
    let found: Vec<Finding> = check(&facts).into_iter().filter(|finding| finding.state == State::Problem).collect();
    assert_eq!(found.iter().map(|finding| finding.check).collect::<Vec<_>>(), ["leader", "versions"]);
    assert!(found[0].found.contains("has not renewed it for 65 s (30 s"), "{found:?}");
    assert!(found[1].found.contains("the operator is 0.2.0, this plugin 0.1.0"), "{found:?}");
}
