//! What leaves the volume after its time: one purge at a time, with a list that is on record before anything goes.

use super::*;
use av1_crds::library::{KeptFile, PurgeStatus};
use av1_crds::wire::{Leftovers, PurgeTask, TrashItem};

const TRASH: &str = ".av1/trash/j/a.mkv";

fn library(purge: Option<PurgeStatus>) -> Observed {
    let mut o = prepared();
    o.library.status.as_mut().unwrap().purge = purge;
    let scanned =
        CatalogSummary { scan_finished_at: Some("2025-12-31T23:59:00Z".into()), due_in_trash: 1, ..summary() };
    o.summary = SummaryView::Got(Box::new(scanned));
    o.leftovers = Some(Leftovers {
        due: vec![TrashItem {
            trash: TRASH.into(),
            path: "a.mkv".into(),
            size: 5,
            until: "2025-12-31T00:00:00Z".into(),
        }],
        next_due: None,
        work: vec!["dead".into(), "live".into()],
        unfinished: vec!["gone".into(), "live".into(), "dead".into()],
    });
    o.jobs = vec![job_with("live", "Encoding"), job_with("dead", "Rejected")];
    o
}

fn job_with(uid: &str, phase: &str) -> Arc<EncodeJob> {
    let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": uid, "uid": uid},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": uid}}, "status": {"phase": phase}});
    Arc::new(serde_json::from_value(job).unwrap())
}

fn active() -> PurgeStatus {
    PurgeStatus { run: 3, active: true, trash: vec![TRASH.into()], work: vec!["dead".into()], ..PurgeStatus::default() }
}

fn purge_of(o: &Observed) -> PurgeStatus {
    decide(o, &options()).status.purge.unwrap_or_default()
}

fn purge_pod(code: i32, message: serde_json::Value) -> PodFacts {
    PodFacts { role: "purge".into(), name: "lib-purge-3-x".into(), uid: "pod".into(), ..ended(3, code, message) }
}

#[test]
fn what_may_go_is_on_record_before_its_job_is_made() {
    let o = library(None);
    let decision = decide(&o, &options());
    let purge = decision.status.purge.clone().unwrap();
    assert_eq!((purge.run, purge.active, decision.desired.purge.is_some()), (1, true, false));
    assert_eq!((purge.trash.clone(), purge.work.clone()), (vec![TRASH.to_owned()], vec!["dead".to_owned()]));
    let o = next(o, &decision);
    let job = decide(&o, &options()).desired.purge.unwrap();
    let args = job.spec.unwrap().template.spec.unwrap().containers[0].args.clone().unwrap();
    let task: PurgeTask = serde_json::from_str(&args[3]).unwrap();
    assert_eq!((job.metadata.name.as_deref(), args[1].as_str()), (Some("lib-purge-1"), "purge"));
    assert_eq!((task.trash, task.work), (purge.trash, purge.work));
}

#[test]
fn a_work_folder_whose_job_began_again_since_is_not_on_the_pods_list() {
    let mut o = library(Some(active()));
    o.purge_jobs.clear();
    let work = |o: &Observed| {
        let job = decide(o, &options()).desired.purge.unwrap();
        let args = job.spec.unwrap().template.spec.unwrap().containers[0].args.clone().unwrap();
        serde_json::from_str::<PurgeTask>(&args[3]).unwrap().work
    };
    assert_eq!(work(&o), ["dead"]);
    o.jobs = vec![job_with("live", "Encoding"), job_with("dead", "Queued")];
    assert!(work(&o).is_empty());
    o.jobs = vec![job_with("dead", "Rejected")];
    o.unreadable_jobs = true;
    assert!(work(&o).is_empty());
}

#[test]
fn what_a_job_began_is_ended_by_a_purge_once_the_job_does_not_exist_any_more() {
    let mut o = library(None);
    let decision = decide(&o, &options());
    assert_eq!(decision.status.purge.clone().unwrap().unfinished, ["gone"]);
    o = next(o, &decision);
    let task = |o: &Observed| {
        let job = decide(o, &options()).desired.purge.unwrap();
        let args = job.spec.unwrap().template.spec.unwrap().containers[0].args.clone().unwrap();
        serde_json::from_str::<PurgeTask>(&args[3]).unwrap()
    };
    assert_eq!(task(&o).unfinished, ["gone"]);
    o.unreadable_jobs = true;
    assert!(task(&o).unfinished.is_empty(), "it may be the one that cannot be read");
    o.unreadable_jobs = false;
    o.purge_jobs = vec![BatchFacts { name: "lib-purge-1".into(), ..BatchFacts::default() }];
    let told =
        json!({"done": {"purged": 0, "workRemoved": 0, "bytes": 0, "keptCount": 0, "finished": ["a.mkv: done"]}});
    o.purge_pods = vec![PodFacts { name: "lib-purge-1-x".into(), run: 1, ..purge_pod(0, told) }];
    let decision = decide(&o, &options());
    let notes: Vec<&str> =
        decision.events.iter().filter(|e| e.reason == "SwapFinished").map(|e| e.note.as_str()).collect();
    assert_eq!(notes, ["begun by a deleted job: a.mkv: done"]);
    assert!(decision.status.purge.unwrap().unfinished.is_empty());
}

#[test]
fn what_stays_unfinished_is_left_alone_for_a_day() {
    let kept = |at: &str| KeptFile { file: "gone".into(), message: "parked".into(), at: at.into() };
    for (at, listed) in [("2025-12-31T23:00:00Z", 0), ("2025-12-30T23:00:00Z", 1)] {
        let o = library(Some(PurgeStatus { kept: vec![kept(at)], ..PurgeStatus::default() }));
        assert_eq!(purge_of(&o).unfinished.len(), listed, "{at}");
    }
}

#[test]
fn nothing_is_purged_while_the_library_is_suspended_or_before_the_catalog_looked_again() {
    let mut o = library(None);
    o.library.spec.suspend = true;
    assert_eq!(decide(&o, &options()).status.purge, None);
    let done = |at: &str| Some(PurgeStatus { run: 1, finished_at: Some(at.into()), ..PurgeStatus::default() });
    assert!(!purge_of(&library(done("2025-12-31T23:59:30Z"))).active, "the list is older than the last purge");
    assert!(purge_of(&library(done("2025-12-31T23:00:00Z"))).active);
}

#[test]
fn a_work_folder_is_nobodys_only_when_every_job_can_be_read() {
    let mut o = library(None);
    o.unreadable_jobs = true;
    assert_eq!(purge_of(&o).work, [] as [String; 0]);
}

#[test]
fn what_was_purged_is_counted_and_what_was_kept_is_named_and_left_alone_for_a_day() {
    let mut o = library(Some(active()));
    o.purge_jobs = vec![BatchFacts { name: "lib-purge-3".into(), ..BatchFacts::default() }];
    o.purge_pods = vec![purge_pod(
        0,
        json!({"done": {"purged": 2, "workRemoved": 1, "bytes": 700, "keptCount": 1, "kept": [{"what": TRASH, "why": "changed"}]}}),
    )];
    let decision = decide(&o, &options());
    let purge = decision.status.purge.clone().unwrap();
    assert_eq!((purge.active, purge.purged, purge.freed, purge.work_removed, purge.kept_count), (false, 2, 700, 1, 1));
    assert_eq!((purge.trash.len(), decision.purged), (0, Some(700)));
    let kept: Vec<&str> = decision.events.iter().map(|e| e.reason.as_str()).collect();
    assert!(kept.contains(&"OriginalKept") && kept.contains(&"Purged"), "{kept:?}");
    let mut o = next(o, &decision);
    o.purge_pods.clear();
    assert_eq!(decide(&o, &options()).desired.surplus, ["lib-purge-3"]);
    assert_eq!(purge.passed, 1, "the next list begins behind it");
    let long_ago = KeptFile { file: TRASH.into(), message: "changed".into(), at: "2025-12-30T23:00:00Z".into() };
    let known = |at: &str| PurgeStatus { kept: vec![KeptFile { at: at.into(), ..long_ago.clone() }], ..purge.clone() };
    for (at, listed) in [("2025-12-31T23:00:00Z", 0), ("2025-12-30T23:00:00Z", 1)] {
        let o = library(Some(PurgeStatus { finished_at: None, ..known(at) }));
        assert_eq!(purge_of(&o).trash.len(), listed, "{at}");
    }
}

#[test]
fn a_round_through_the_trash_passes_what_is_kept_and_the_next_begins_after_a_day() {
    let kept = |round: &str, passed| PurgeStatus {
        run: 7,
        kept_count: 170,
        passed,
        round_began_at: Some(round.into()),
        kept: vec![KeptFile { file: TRASH.into(), message: "changed".into(), at: round.into() }],
        ..PurgeStatus::default()
    };
    let all_passed = |round: &str| {
        let mut o = library(Some(kept(round, 160)));
        o.leftovers = Some(Leftovers::default());
        purge_of(&o)
    };
    let early = all_passed("2025-12-31T12:00:00Z");
    assert_eq!((early.active, early.passed, early.kept_count), (false, 160, 170));
    let late = all_passed("2025-12-30T12:00:00Z");
    assert_eq!((late.active, late.passed, late.kept_count, late.round_began_at), (false, 0, 160, None));
    // What became due since is listed behind them.
    let listed = purge_of(&library(Some(PurgeStatus { kept: Vec::new(), ..kept("2025-12-31T12:00:00Z", 160) })));
    assert_eq!((listed.active, listed.passed, listed.trash), (true, 160, vec![TRASH.to_owned()]));
    let nothing_due = |scans| {
        let mut o = library(Some(kept("2025-12-31T12:00:00Z", 160)));
        let SummaryView::Got(summary) = &mut o.summary else { unreachable!() };
        (summary.due_in_trash, summary.scans) = (0, scans);
        o.leftovers = None;
        purge_of(&o)
    };
    let gone = nothing_due(1);
    assert_eq!((gone.kept_count, gone.passed, gone.kept.len()), (0, 0, 0));
    let not_looked_yet = nothing_due(0);
    assert_eq!((not_looked_yet.kept_count, not_looked_yet.passed, not_looked_yet.kept.len()), (170, 160, 1));
    // A round in which nothing was kept leaves no time behind.
    let first = purge_of(&library(Some(PurgeStatus { kept: Vec::new(), ..kept("2025-12-20T12:00:00Z", 0) })));
    assert_eq!(first.round_began_at.as_deref(), Some("2026-01-01T00:00:00Z"));
}

#[test]
fn a_purge_pod_that_does_not_start_is_told_of_and_goes() {
    let mut o = library(Some(active()));
    o.purge_jobs = vec![BatchFacts { name: "lib-purge-3".into(), ..BatchFacts::default() }];
    let stuck = |seconds| {
        let since = "2026-01-01T00:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let setup = Some(crate::pods::Setup {
            since: since.checked_sub(jiff::SignedDuration::from_secs(seconds)).unwrap(),
            mounted: false,
        });
        let state = PodState::Live { ip: None, unschedulable: Some("no node".into()), waiting: None, started: false };
        vec![PodFacts { state, setup, node: None, ..purge_pod(0, json!({})) }]
    };
    o.purge_pods = stuck(300);
    let early = decide(&o, &options());
    assert!(early.desired.surplus.is_empty() && early.events.iter().all(|e| e.reason != "NotStarted"));
    o.purge_pods = stuck(301);
    let late = decide(&o, &options());
    assert_eq!(late.desired.surplus, ["lib-purge-3"]);
    assert!(late.events.iter().any(|e| e.reason == "NotStarted" && e.note.contains("no node")), "{:?}", late.events);
    assert_eq!(late.status.purge.unwrap().run, 3);
}

#[test]
fn events_about_kept_originals_are_short_enough_for_any_path_and_told_apart() {
    let mut o = library(Some(active()));
    let kept: Vec<_> =
        ["a", "b"].map(|n| json!({"what": format!(".av1/trash/{}/{n}.mkv", "ü".repeat(300)), "why": "changed"})).into();
    o.purge_pods =
        vec![purge_pod(0, json!({"done": {"purged": 0, "workRemoved": 0, "bytes": 0, "keptCount": 2, "kept": kept}}))];
    let events = decide(&o, &options()).events;
    let actions: Vec<&str> = events.iter().filter(|e| e.reason == "OriginalKept").map(|e| e.action.as_str()).collect();
    assert!(actions.len() == 2 && actions[0] != actions[1], "{actions:?}");
    assert!(actions.iter().all(|action| action.len() <= 128 && action.starts_with("Purge-")), "{actions:?}");
}

#[test]
fn what_stays_is_told_by_what_it_is_and_originals_alone_are_counted() {
    let mut o = library(Some(PurgeStatus { unfinished: vec!["gone".into()], ..active() }));
    let kept = [TRASH, ".av1/work/dead", "gone"].map(|what| json!({"what": what, "why": "w"}));
    o.purge_pods =
        vec![purge_pod(0, json!({"done": {"purged": 0, "workRemoved": 0, "bytes": 0, "keptCount": 1, "kept": kept}}))];
    let decision = decide(&o, &options());
    let reasons: Vec<&str> = decision
        .events
        .iter()
        .map(|e| e.reason.as_str())
        .filter(|r| r.ends_with("ept") || r.starts_with("Swap"))
        .collect();
    assert_eq!(reasons, ["OriginalKept", "WorkFolderKept", "SwapUnfinished"]);
    let purge = decision.status.purge.clone().unwrap();
    assert_eq!((purge.kept_count, purge.kept.len(), purge.not_before.is_none()), (1, 3, true));
    let again = library(Some(PurgeStatus { finished_at: None, ..purge }));
    let listed = purge_of(&again);
    assert_eq!((listed.trash.len(), listed.work.len(), listed.unfinished.len()), (0, 0, 0), "not for a day");
}

#[test]
fn a_purge_that_was_lost_is_done_again_with_the_same_list_by_one_that_may_take_over() {
    let mut o = library(Some(PurgeStatus { pod_uid: Some("pod".into()), ..active() }));
    let decision = decide(&o, &options());
    let purge = decision.status.purge.clone().unwrap();
    assert_eq!((purge.run, purge.active, purge.trash.len()), (4, true, 1));
    assert_eq!(
        (purge.ended_pods.clone(), purge.not_before.as_deref()),
        (vec!["pod".to_owned()], Some("2026-01-01T00:00:10Z"))
    );
    o = next(o, &decision);
    assert!(decide(&o, &options()).desired.purge.is_none(), "not at once");
    o.now = "2026-01-01T00:00:10Z".parse().unwrap();
    let job = serde_json::to_string(&decide(&o, &options()).desired.purge.unwrap()).unwrap();
    assert!(job.contains(r#"takeoverFrom\":[\"pod\"]"#), "{job}");
    let mut failed = library(Some(active()));
    failed.purge_pods = vec![purge_pod(1, json!({"failed": {"reason": "IoError", "message": "m", "retryable": true}}))];
    let decision = decide(&failed, &options());
    assert!(decision.events.iter().any(|e| e.warning && e.reason == "IoError"));
    assert_eq!(decision.status.purge.unwrap().run, 4);
}
