//! A ReadWriteOnce volume whose node is lost goes to another, but not while a pod of the library may be there.

use super::*;
use crate::build::NodeFacts;
use crate::library::observe::LostNode;

fn node(name: &str) -> NodeFacts {
    NodeFacts::of(&serde_json::from_value(json!({"metadata": {"name": name}})).unwrap())
}

fn on(o: &mut Observed, node: &str) {
    o.catalog_pod = Some(CatalogPod { node: Some(node.into()), ip: None, trouble: None, failure: None });
}

/// A library whose volume is on node `old`.
fn held() -> Observed {
    let mut o = prepared();
    o.claim = ClaimFacts::Found { phase: "Bound".into(), access_modes: vec!["ReadWriteOnce".into()], deleting: false };
    o.nodes = [node("old"), node("new")].into();
    on(&mut o, "old");
    o = next(o.clone(), &decide(&o, &options()));
    assert_eq!(node_of(&o.library.status), Some("old"));
    o
}

fn node_of(status: &Option<av1_crds::MediaLibraryStatus>) -> Option<&str> {
    status.as_ref()?.storage.as_ref()?.node.as_deref()
}

fn lose(o: &mut Observed, is_gone: bool, has_pods: bool) {
    o.lost_node = Some(LostNode { name: "old".into(), is_gone, has_pods, stuck_jobs: vec!["job-encode-1".into()] });
}

#[test]
fn a_volume_leaves_a_node_that_is_gone_when_its_pods_are_and_is_prepared_elsewhere() {
    let mut o = held();
    o.nodes = [node("new")].into();
    lose(&mut o, true, true);
    let waits = decide(&o, &options());
    assert_eq!(ready(&waits), ("False".into(), "InProgress".into()));
    let mut o = next(o, &waits);
    assert_eq!(o.library.status.as_ref().unwrap().storage.as_ref().unwrap().prepared_for, None, "nothing starts");
    let still = decide(&o, &options());
    assert_eq!((node_of(&Some(still.status.clone())), still.status.prepare_runs), (Some("old"), 3));
    assert!(still.desired.prepare.is_none() && still.desired.surplus.is_empty());
    lose(&mut o, true, false);
    let leaves = decide(&o, &options());
    assert_eq!((node_of(&Some(leaves.status.clone())), leaves.status.prepare_runs), (None, 4));
    assert!(leaves.desired.surplus.contains(&"job-encode-1".to_owned()), "its pod asks for the lost node");
    let mut o = next(o, &leaves);
    o.lost_node = None;
    let prepare = decide(&o, &options()).desired.prepare.unwrap();
    assert!(!serde_json::to_string(&prepare).unwrap().contains("nodeAffinity"));
    let look = decide(&o, &options());
    let mut o = next(o, &look);
    o.prepare_pods = vec![ended(4, 0, json!({"done": made("v1")}))];
    let done = decide(&o, &options());
    assert_eq!(node_of(&Some(done.status.clone())), None, "the pod on the lost node is no guide");
    let mut o = next(o, &done);
    on(&mut o, "new");
    assert_eq!(node_of(&Some(decide(&o, &options()).status)), Some("new"));
}

#[test]
fn a_silent_node_keeps_the_volume_as_long_as_a_pod_may_run_there() {
    let mut o = held();
    lose(&mut o, false, true);
    let waits = decide(&o, &options());
    assert_eq!((node_of(&Some(waits.status.clone())), waits.status.prepare_runs), (Some("old"), 2));
    assert!(waits.status.storage.as_ref().unwrap().prepared_for.is_some());
    let mut o = next(o, &waits);
    lose(&mut o, false, false);
    for _ in 0..2 {
        o = next(o.clone(), &decide(&o, &options()));
    }
    assert_eq!(node_of(&o.library.status), None);
}
