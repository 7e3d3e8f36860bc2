//! Sidecars beside files that a scan passed over: one Job at a time, by path, round by round.

use super::*;
use av1_crds::library::SidecarStatus;
use av1_crds::wire::{ScanVerdict, Sidecar, SidecarPage, SidecarsTask};

fn sidecar(path: &str) -> Sidecar {
    Sidecar { path: path.into(), says: Some(ScanVerdict { reason: "TooSmall".into(), message: "m".into() }) }
}

fn library(sidecars: Option<SidecarStatus>, due: &[&str]) -> Observed {
    let mut o = prepared();
    o.library.status.as_mut().unwrap().sidecars = sidecars;
    let scanned = CatalogSummary { scan_finished_at: Some("2025-12-31T23:59:00Z".into()), ..summary() };
    o.summary = SummaryView::Got(Box::new(scanned));
    o.sidecars = Some(SidecarPage { items: due.iter().map(|path| sidecar(path)).collect() });
    o
}

fn sidecars_of(o: &Observed) -> SidecarStatus {
    decide(o, &options()).status.sidecars.unwrap_or_default()
}

fn ended_pod(code: i32, message: serde_json::Value) -> PodFacts {
    PodFacts { role: "sidecars".into(), name: "lib-sidecars-3-x".into(), uid: "pod".into(), ..ended(3, code, message) }
}

fn active() -> SidecarStatus {
    SidecarStatus { run: 3, active: true, through: Some("b.mkv".into()), ..SidecarStatus::default() }
}

#[test]
fn a_run_is_on_record_before_its_job_is_made_and_the_list_is_in_the_job_alone() {
    let o = library(None, &["a.mkv", "b.mkv"]);
    let decision = decide(&o, &options());
    let status = decision.status.sidecars.clone().unwrap();
    assert_eq!((status.run, status.active, decision.desired.sidecars.is_some()), (1, true, false));
    assert_eq!(status.through.as_deref(), Some("b.mkv"));
    let mut o = next(o, &decision);
    o.sidecars.as_mut().unwrap().items.push(sidecar("c.mkv"));
    let job = decide(&o, &options()).desired.sidecars.unwrap();
    let args = job.spec.unwrap().template.spec.unwrap().containers[0].args.clone().unwrap();
    let task: SidecarsTask = serde_json::from_str(&args[3]).unwrap();
    assert_eq!((job.metadata.name.as_deref(), args[1].as_str()), (Some("lib-sidecars-1"), "sidecars"));
    assert_eq!(task.sidecars, [sidecar("a.mkv"), sidecar("b.mkv")]);
}

#[test]
fn nothing_begins_while_nothing_is_due_the_library_is_suspended_or_the_catalog_has_not_looked_again() {
    assert_eq!(decide(&library(None, &[]), &options()).status.sidecars, None);
    let mut o = library(None, &["a.mkv"]);
    o.library.spec.suspend = true;
    assert_eq!(decide(&o, &options()).status.sidecars, None);
    let done = |finished: &str, after: Option<&str>| SidecarStatus {
        run: 1,
        finished_at: Some(finished.into()),
        after: after.map(str::to_owned),
        ..SidecarStatus::default()
    };
    let begins = |known| sidecars_of(&library(Some(known), &["b.mkv"])).active;
    assert!(!begins(done("2025-12-31T23:59:30Z", None)), "the list is older than the last run");
    assert!(begins(done("2025-12-31T23:59:30Z", Some("a.mkv"))), "a round goes on at once");
    assert!(begins(done("2025-12-31T23:00:00Z", None)));
}

#[test]
fn a_round_goes_on_behind_what_was_done_and_ends_where_nothing_more_is_listed() {
    let mut o = library(Some(active()), &[]);
    o.sidecar_jobs = vec![BatchFacts { name: "lib-sidecars-3".into(), ..BatchFacts::default() }];
    o.sidecar_pods = vec![ended_pod(0, json!({"done": {"written": 2, "removed": 1, "left": 1, "message": "m"}}))];
    let decision = decide(&o, &options());
    let status = decision.status.sidecars.clone().unwrap();
    assert_eq!((status.active, status.written, status.removed, status.changed, status.left), (false, 2, 1, 3, 1));
    assert_eq!((status.after.as_deref(), status.message.as_deref()), (Some("b.mkv"), Some("m")));
    let mut o = next(o, &decision);
    o.sidecar_pods.clear();
    let over = decide(&o, &options());
    assert_eq!(over.desired.surplus, ["lib-sidecars-3"]);
    let status = over.status.sidecars.unwrap();
    assert_eq!((status.after, status.not_before), (None, None));
}

#[test]
fn after_a_round_in_which_nothing_could_be_written_the_next_waits_for_an_hour() {
    let vain = SidecarStatus { run: 3, after: Some("b.mkv".into()), left: 2, ..SidecarStatus::default() };
    let status = sidecars_of(&library(Some(vain), &[]));
    assert_eq!((status.after.as_deref(), status.not_before.as_deref()), (None, Some("2026-01-01T01:00:00Z")));
    let mut o = library(Some(status), &["a.mkv"]);
    assert!(!sidecars_of(&o).active);
    o.now = "2026-01-01T01:00:00Z".parse().unwrap();
    assert!(sidecars_of(&o).active);
}

#[test]
fn a_run_that_was_lost_or_failed_is_followed_by_another_from_the_same_place() {
    let mut lost = library(Some(SidecarStatus { after: Some("a.mkv".into()), ..active() }), &["b.mkv"]);
    lost.sidecar_jobs = vec![BatchFacts { name: "lib-sidecars-3".into(), ended: true, ..BatchFacts::default() }];
    let status = sidecars_of(&lost);
    assert_eq!((status.active, status.failures, status.after.as_deref()), (false, 1, Some("a.mkv")));
    assert_eq!(status.not_before.as_deref(), Some("2026-01-01T00:00:10Z"));
    lost.sidecar_pods = vec![ended_pod(1, json!({"failed": {"reason": "IoError", "message": "m", "retryable": true}}))];
    assert!(decide(&lost, &options()).events.iter().any(|event| event.warning && event.reason == "IoError"));
}
