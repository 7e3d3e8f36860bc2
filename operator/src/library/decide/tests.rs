//! The decisions about one library, from made-up observations: no cluster, no clock.

use super::super::observe::{CatalogPod, ClaimFacts};
use super::*;
use crate::batch::BatchFacts;
use crate::conditions::find;
use crate::pods::{Ended, PodFacts, PodState};
use av1_crds::library::StorageStatus;
use av1_crds::wire::Candidate;
use av1_crds::{MediaLibrary, labels};
use serde_json::json;

mod node;
mod orders;
pub(in crate::library) mod pausing;
mod purge;
mod sidecars;
mod wrong_volume;

fn options() -> Options {
    Options { allow_host_paths: vec!["/media".into()], ..Options::sample() }
}

fn observed(spec: serde_json::Value) -> Observed {
    let library: MediaLibrary =
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": "films", "namespace": "media", "uid": "lib"}, "spec": spec})).unwrap();
    Observed {
        living: None,
        library,
        claim: ClaimFacts::Found { phase: "Bound".into(), access_modes: vec!["ReadWriteMany".into()], deleting: false },
        prepare_jobs: Vec::new(),
        prepare_pods: Vec::new(),
        purge_jobs: Vec::new(),
        purge_pods: Vec::new(),
        survey_jobs: Vec::new(),
        survey_pods: Vec::new(),
        nodes: Arc::default(),
        lost_node: None,
        surveyed: Vec::new(),
        leftovers: None,
        sidecar_jobs: Vec::new(),
        sidecar_pods: Vec::new(),
        sidecars: None,
        deployment: None,
        service: None,
        catalog_pod: None,
        summary: SummaryView::NotAsked,
        candidates: Vec::new(),
        too_large: None,
        jobs: Vec::new(),
        unreadable_jobs: false,
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

fn on_claim() -> Observed {
    observed(json!({"volume": {"persistentVolumeClaim": {"claimName": "media"}, "subPath": "films"}}))
}

/// The next reconcile's view: what was decided is on record, and a Job that was to be made exists.
fn next(mut observed: Observed, decision: &Decision) -> Observed {
    observed.library.status = Some(decision.status.clone());
    observed.prepare_jobs.extend(decision.desired.prepare.iter().map(BatchFacts::of));
    observed.prepare_jobs.retain(|job| !decision.desired.surplus.contains(&job.name));
    observed
}

fn ended(run: i64, code: i32, message: serde_json::Value) -> PodFacts {
    let ended = Ended {
        code: Some(code),
        reason: String::new(),
        note: String::new(),
        message: message.to_string(),
        disrupted: false,
        initialised: false,
        at: Some(1_767_225_600),
    };
    PodFacts {
        uid: format!("p{run}"),
        name: format!("lib-prepare-{run}-x"),
        role: "prepare".into(),
        run,
        node: None,
        memory: None,
        setup: None,
        state: PodState::Ended(ended),
    }
}

/// So many seconds later.
fn after(mut observed: Observed, seconds: i64) -> Observed {
    observed.now = observed.now.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
    observed
}

fn ready(decision: &Decision) -> (String, String) {
    let c = find(&decision.status.conditions, conditions::READY).unwrap();
    (c.status.clone(), c.reason.clone())
}

fn prepared() -> Observed {
    let mut o = on_claim();
    let mut decision = decide(&o, &options());
    for message in [json!({"done": {"uid": 1000, "gid": 1001, "files": 3}}), json!({"done": made("v1")})] {
        o = next(o, &decision);
        decision = decide(&o, &options());
        assert!(decision.desired.prepare.is_some());
        o = next(o, &decision);
        o.prepare_pods = vec![ended(decision.status.prepare_runs, 0, message)];
        decision = decide(&o, &options());
    }
    next(o, &decision)
}

fn made(id: &str) -> serde_json::Value {
    json!({"volumeId": id, "swap": "Exchange", "inodeStable": true, "freeBytes": 900, "totalBytes": 1000, "message": "all is well"})
}

fn summary() -> CatalogSummary {
    CatalogSummary { volume_id: "v1".into(), free_bytes: 900, total_bytes: 1000, scans: 1, ..CatalogSummary::default() }
}

#[test]
fn a_prepare_pod_that_no_node_takes_is_made_anew_and_what_is_wrong_stays_told() {
    let first = next(on_claim(), &decide(&on_claim(), &options()));
    let mut o = next(first.clone(), &decide(&first, &options()));
    let since = o.now.checked_sub(jiff::SignedDuration::from_secs(301)).unwrap();
    let state = PodState::Live { ip: None, unschedulable: Some("a taint".into()), waiting: None, started: false };
    o.prepare_pods =
        vec![PodFacts { setup: Some(crate::pods::Setup { since, mounted: false }), state, ..ended(1, 0, json!({})) }];
    let stuck = decide(&o, &options());
    assert_eq!((stuck.status.prepare_runs, ready(&stuck).1), (2, "Unschedulable".into()));
    let again = decide(&next(o, &stuck), &options());
    assert_eq!(again.desired.prepare.as_ref().map(|job| job.name_any()).as_deref(), Some("lib-prepare-2"));
    assert_eq!(
        (again.desired.surplus.clone(), ready(&again).1),
        (vec!["lib-prepare-1".to_owned()], "Unschedulable".into())
    );
}

#[test]
fn prepare_looks_as_nobody_then_makes_as_the_owner_and_each_run_is_on_record_before_its_job_is_made() {
    let o = on_claim();
    let first = decide(&o, &options());
    assert_eq!((first.status.prepare_runs, first.desired.prepare.is_none()), (1, true));
    let o = next(o, &first);
    let look = decide(&o, &options()).desired.prepare.unwrap();
    let user = |job: &Job| {
        job.spec.as_ref().unwrap().template.spec.as_ref().unwrap().security_context.as_ref().unwrap().run_as_user
    };
    assert_eq!((look.name_any(), user(&look)), ("lib-prepare-1".into(), Some(65_532)));
    let mut o = next(o, &decide(&on_claim(), &options()));
    o.prepare_pods = vec![ended(1, 0, json!({"done": {"uid": 1000, "gid": 1001, "files": 3}}))];
    let looked = decide(&o, &options());
    assert_eq!((looked.status.prepare_runs, looked.desired.prepare.is_none()), (2, true));
    let make = decide(&next(o, &looked), &options()).desired.prepare.unwrap();
    assert_eq!((make.name_any(), user(&make)), ("lib-prepare-2".into(), Some(1000)));
}

#[test]
fn a_prepared_volume_brings_up_the_catalog_as_its_user_and_leaves_no_prepare_job() {
    let o = prepared();
    let storage = o.library.status.clone().unwrap().storage.unwrap();
    assert_eq!(
        (storage.volume_id.as_deref(), storage.run_as_user, storage.run_as_group),
        (Some("v1"), Some(1000), Some(1001))
    );
    assert!(o.prepare_jobs.is_empty(), "{:?}", o.prepare_jobs);
    let decision = decide(&o, &options());
    assert!(decision.desired.deployment.is_some() && decision.desired.service.is_some());
    assert_eq!(ready(&decision), ("False".into(), "InProgress".into()));
    let again = decide(&next(o, &decision), &options());
    assert_eq!(again.status, decision.status, "a second look changes nothing");
}

#[test]
fn a_volume_whose_swap_has_a_gap_is_ready_and_says_so() {
    let mut o = prepared();
    let storage = o.library.status.as_mut().unwrap().storage.as_mut().unwrap();
    storage.swap = Some(av1_crds::library::SwapMethod::TwoRenames);
    let decision = decide(&o, &options());
    let condition = crate::conditions::find(&decision.status.conditions, "StorageReady").unwrap();
    assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("True", "SwapHasGap"));
}

#[test]
fn candidates_become_jobs_in_order_and_counts_are_written() {
    let mut o = prepared();
    o.summary = SummaryView::Got(Box::new(summary()));
    let candidate = |path: &str, size| Candidate {
        path: path.into(),
        size,
        modified_time_ns: 5,
        width: 1920,
        height: 800,
        duration_millis: 0,
    };
    o.candidates = vec![candidate("b.mkv", 30), candidate("a.mkv", 20)];
    let decision = decide(&o, &options());
    assert_eq!(ready(&decision), ("True".into(), "AsExpected".into()));
    let paths: Vec<&str> = decision.desired.new_jobs.iter().map(|j| j.spec.source.path.as_str()).collect();
    assert_eq!(paths, ["b.mkv", "a.mkv"]);
    let job = &decision.desired.new_jobs[0];
    assert_eq!(job.annotations().get("av1.media/picture").map(String::as_str), Some("1920x800"));
    assert_eq!(job.metadata.owner_references.as_ref().unwrap()[0].block_owner_deletion, Some(false));
    assert!(
        decision.desired.new_jobs[0].annotations()["av1.media/rank"]
            < decision.desired.new_jobs[1].annotations()["av1.media/rank"]
    );
}

#[test]
fn a_suspended_library_is_ready_but_makes_no_jobs() {
    let mut o = prepared();
    o.library.spec.suspend = true;
    o.summary = SummaryView::Got(Box::new(summary()));
    o.candidates =
        vec![Candidate { path: "a".into(), size: 1, modified_time_ns: 1, width: 2, height: 2, duration_millis: 0 }];
    let decision = decide(&o, &options());
    assert!(decision.desired.new_jobs.is_empty());
    assert_eq!(ready(&decision), ("True".into(), "Suspended".into()));
}

#[test]
fn what_is_wrong_with_a_volume_stands_in_the_condition_with_what_to_do() {
    let found = |phase: &str, mode: &str| ClaimFacts::Found {
        phase: phase.into(),
        access_modes: vec![mode.into()],
        deleting: false,
    };
    let with = |claim| Observed { claim, ..on_claim() };
    let host_path = |path: &str| Observed {
        claim: ClaimFacts::NotAClaim,
        ..observed(json!({"volume": {"hostPath": {"path": path, "node": "n"}}}))
    };
    let shared = |path: &str| Observed {
        claim: ClaimFacts::NotAClaim,
        ..observed(json!({"volume": {"hostPath": {"path": path, "shared": true}}}))
    };
    let as_root =
        observed(json!({"volume": {"persistentVolumeClaim": {"claimName": "media"}}, "pods": {"runAsUser": 0}}));
    let table = [
        (with(ClaimFacts::Missing), "ClaimNotFound"),
        (with(found("Pending", "ReadWriteMany")), "InProgress"),
        (with(found("Lost", "ReadWriteMany")), "ClaimNotFound"),
        (with(found("Bound", "ReadOnlyMany")), "AccessMode"),
        (with(found("Bound", "ReadWriteOncePod")), "AccessMode"),
        (with(found("Bound", "ReadWriteOnce")), "InProgress"),
        (host_path("/media2/films"), "HostPathNotAllowed"),
        (host_path("/media/films"), "InProgress"),
        (shared("/media2/films"), "HostPathNotAllowed"),
        (shared("/media/films"), "InProgress"),
        (observed(json!({"volume": {"hostPath": {"path": "/media/films"}}})), "InvalidSettings"),
        (as_root, "RootNotAllowed"),
    ];
    for (o, expected) in table {
        let decision = decide(&o, &options());
        let c = find(&decision.status.conditions, conditions::STORAGE_READY).unwrap();
        assert_eq!(c.reason, expected, "{}", c.message);
        assert!(decision.desired.prepare.is_none() && decision.desired.deployment.is_none());
    }
}

#[test]
fn files_of_root_are_refused_unless_root_is_allowed() {
    let mut o = on_claim();
    o = next(o.clone(), &decide(&o, &options()));
    o = next(o.clone(), &decide(&o, &options()));
    o.prepare_pods = vec![ended(1, 0, json!({"done": {"uid": 0, "gid": 0, "files": 3}}))];
    assert_eq!(ready(&decide(&o, &options())).1, "RootNotAllowed");
    let allowed = Options { allow_root: true, ..options() };
    assert_eq!(decide(&o, &allowed).status.storage.unwrap().run_as_user, Some(0));
}

#[test]
fn a_failed_prepare_is_told_and_tried_again_after_its_pause() {
    let mut o = on_claim();
    o = next(o.clone(), &decide(&o, &options()));
    o = next(o.clone(), &decide(&o, &options()));
    o.prepare_pods = vec![ended(
        1,
        1,
        json!({"failed": {"reason": "IoError", "message": "read-only file system", "retryable": true}}),
    )];
    let decision = decide(&o, &options());
    let told = |decision: &Decision| {
        let c = find(&decision.status.conditions, conditions::STORAGE_READY).unwrap();
        assert!(c.message.contains("read-only file system; tried again after 10 s"), "{}", c.message);
        (c.reason.clone(), decision.status.prepare_runs, decision.status.prepare_failures)
    };
    assert_eq!(told(&decision), ("PrepareFailed".into(), 2, 1));
    assert_eq!(decision.events.iter().filter(|event| event.action == "Prepare").count(), 1);
    o = after(next(o, &decision), 9);
    let waits = decide(&o, &options());
    assert_eq!((told(&waits), waits.desired.prepare.is_none()), (("PrepareFailed".into(), 2, 1), true));
    assert!(waits.desired.surplus.is_empty(), "the pod that failed can be looked at");
    o = after(next(o, &waits), 1);
    let again = decide(&o, &options());
    assert_eq!(told(&again), ("PrepareFailed".into(), 2, 1), "what is wrong is told until it is not");
    assert_eq!(
        (again.desired.prepare.unwrap().name_any(), again.desired.surplus),
        ("lib-prepare-2".into(), vec!["lib-prepare-1".into()])
    );
}

#[test]
fn a_prepare_that_left_nothing_is_made_again_after_a_pause_and_told_of_when_that_goes_on() {
    let mut o = on_claim();
    o = next(o.clone(), &decide(&o, &options()));
    for (run, pause, reason) in [(1, 10, "InProgress"), (2, 20, "InProgress"), (3, 40, "PrepareFailed")] {
        let decision = decide(&o, &options());
        assert_eq!(decision.desired.prepare.as_ref().unwrap().name_any(), format!("lib-prepare-{run}"));
        o = next(o, &decision);
        if run == 2 {
            o.prepare_pods = vec![ended(run, 255, json!(null))];
        } else {
            // Its pod is gone, and with it what it said.
            o.prepare_pods.clear();
            o.prepare_jobs.iter_mut().for_each(|job| job.ended = true);
        }
        let lost = decide(&o, &options());
        assert_eq!((ready(&lost).1.as_str(), lost.status.prepare_runs), (reason, run + 1));
        o = after(next(o, &lost), pause - 1);
        assert!(decide(&o, &options()).desired.prepare.is_none(), "{run}");
        o = after(o, 1);
    }
}

#[test]
fn another_volume_in_the_spec_is_prepared_from_the_start() {
    let mut o = prepared();
    o.library.spec.volume.sub_path = "series".into();
    let decision = decide(&o, &options());
    let storage = decision.status.storage.clone().unwrap();
    assert_eq!(storage, StorageStatus { spec_digest: storage.spec_digest.clone(), ..StorageStatus::default() });
    assert_eq!(decision.status.prepare_runs, 3);
    // Its catalog is still that of the volume before.
    let mut o = prepared();
    o.summary = SummaryView::Got(Box::new(CatalogSummary { volume_id: "v2".into(), ..summary() }));
    let decision = decide(&o, &options());
    assert_eq!((ready(&decision).1.as_str(), decision.status.prepare_runs), ("InProgress", 2));
}

#[test]
fn a_spec_that_changes_while_the_volume_is_prepared_is_looked_at_from_the_start() {
    let mut o = on_claim();
    o = next(o.clone(), &decide(&o, &options()));
    o = next(o.clone(), &decide(&o, &options()));
    o.prepare_pods = vec![ended(1, 0, json!({"done": {"uid": 1000, "gid": 1001, "files": 3}}))];
    o = next(o.clone(), &decide(&o, &options()));
    assert_eq!(o.library.status.as_ref().unwrap().storage.as_ref().unwrap().run_as_user, Some(1000));
    o.library.spec.volume.sub_path = "series".into();
    let changed = decide(&o, &options());
    assert_eq!((changed.status.storage.as_ref().unwrap().run_as_user, changed.status.prepare_runs), (None, 3));
    let look = decide(&next(o, &changed), &options()).desired.prepare.unwrap();
    assert!(serde_json::to_string(&look).unwrap().contains("series") && look.name_any() == "lib-prepare-3");
}

#[test]
fn a_prepare_job_whose_pod_cannot_be_made_is_named() {
    let mut o = on_claim();
    o = next(o.clone(), &decide(&o, &options()));
    let job = BatchFacts { name: "lib-prepare-1".into(), made: Some(o.now), ..BatchFacts::default() };
    o.prepare_jobs = vec![job];
    assert_eq!(ready(&decide(&o, &options())).1, "InProgress");
    o.now = o.now.checked_add(jiff::SignedDuration::from_secs(31)).unwrap();
    let decision = decide(&o, &options());
    let c = find(&decision.status.conditions, conditions::DEGRADED).unwrap();
    assert!(c.status == "True" && c.message.contains("kubectl describe job lib-prepare-1"), "{c:?}");
}

#[test]
fn a_full_volume_starts_nothing_and_says_so() {
    let mut o = prepared();
    o.summary = SummaryView::Got(Box::new(CatalogSummary { free_bytes: 49, ..summary() }));
    let decision = decide(&o, &options());
    assert_eq!(ready(&decision).1, "LowSpace");
    assert!(crate::conditions::is_true(&decision.status.conditions, conditions::DEGRADED));
}

#[test]
fn a_library_on_nfs_says_what_its_stable_seconds_count_as() {
    for (seconds, expected) in [(None, "the catalog answers"), (Some(65), "so scan.stableSeconds counts as 65")] {
        let mut o = prepared();
        o.summary = SummaryView::Got(Box::new(CatalogSummary { stable_seconds: seconds, ..summary() }));
        let decision = decide(&o, &options());
        let c = find(&decision.status.conditions, conditions::CATALOG_READY).unwrap();
        assert!(c.status == "True" && c.message.ends_with(expected), "{c:?}");
    }
}

#[test]
fn files_that_the_volume_has_no_room_for_are_told_of_until_the_catalog_knows_of_none() {
    let mut o = prepared();
    o.summary = SummaryView::Got(Box::new(summary()));
    // Between two answers the catalog is not asked, because the queue is full.
    for (too_large, told) in [(None, false), (Some(true), true), (None, true), (Some(false), false), (None, false)] {
        o.too_large = too_large;
        let decision = decide(&o, &options());
        let c = find(&decision.status.conditions, conditions::READY).unwrap();
        assert_eq!(
            (c.status.as_str(), c.message.contains("wait until twice their size is free")),
            ("True", told),
            "{}",
            c.message
        );
        o.library.status = Some(decision.status);
    }
}

#[test]
fn a_catalog_that_cannot_start_is_quoted() {
    let mut o = prepared();
    o.catalog_pod = Some(CatalogPod {
        node: None,
        ip: None,
        trouble: Some("ErrImageNeverPull: no such image".into()),
        failure: None,
    });
    let decision = decide(&o, &options());
    let c = find(&decision.status.conditions, conditions::CATALOG_READY).unwrap();
    assert!(c.reason == "CatalogUnavailable" && c.message.contains("ErrImageNeverPull"), "{c:?}");
}

#[test]
fn a_setting_that_cannot_be_read_stops_everything_before_any_pod() {
    let mut o = on_claim();
    o.library.spec.scan = Some(serde_json::from_value(json!({"minSize": "99999999999Ti"})).unwrap());
    let decision = decide(&o, &options());
    assert_eq!(ready(&decision).1, "InvalidSettings");
    assert_eq!(decision.status.storage, None::<StorageStatus>);
}

#[test]
fn a_job_starts_with_leave_for_what_its_user_forces() {
    let mut o = prepared();
    o.summary = SummaryView::Got(Box::new(summary()));
    let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "j", "uid": "j"},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a"}, "force": ["TooSmall", "DataStreams"], "retry": 1}});
    let mut job: EncodeJob = serde_json::from_value(job).unwrap();
    o.jobs = vec![Arc::new(job.clone())];
    let desired = decide(&o, &options()).desired;
    assert_eq!((desired.changes.len(), desired.unmeasured.len()), (0, 1), "its file is measured first");
    job.annotations_mut().insert(labels::SIZE.into(), "1".into());
    o.jobs = vec![Arc::new(job)];
    let changes = decide(&o, &options()).desired.changes;
    let status = &changes[0].status;
    assert_eq!((status.phase, status.again, status.retry), (Phase::Encoding, true, 1));
    assert_eq!(status.settings.as_ref().unwrap().allow, ["DataStreams"]);
}

#[test]
fn a_job_starts_with_the_charts_settings_below_its_librarys_and_keeps_where_each_came_from() {
    let mut o = pausing::ready_library(json!({"sizeGate": {"maxPercent": 70}}));
    let job = |status| {
        let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "j", "uid": "j", "annotations": {"av1.media/size": "1"}},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a"}, "settings": {"encode": {"overrides": {"crf": 20}}}},
            "status": status});
        vec![Arc::new(serde_json::from_value::<EncodeJob>(job).unwrap())]
    };
    let with = |defaults| Options { library_defaults: serde_json::from_value(defaults).unwrap(), ..options() };
    let chart = with(json!({"streams": {"dropLanguages": ["ru"]}, "sizeGate": {"maxPercent": 80}}));
    o.jobs = job(json!({"phase": "Queued"}));
    let status = decide(&o, &chart).desired.changes[0].status.clone();
    let settings = status.settings.as_ref().unwrap();
    assert_eq!(
        (settings.drop_languages.as_slice(), settings.max_percent, settings.crf),
        (&["ru".to_owned()][..], 70, Some(20))
    );
    assert_eq!(
        json!(status.settings_from),
        json!({"chart": ["streams.dropLanguages"], "library": ["sizeGate.maxPercent"], "job": ["encode.overrides.crf"]})
    );
    let task = serde_json::to_string(&decide(&o, &chart).desired.deployment).unwrap();
    assert!(task.contains(r#"\"dropLanguages\":[\"ru\"]"#), "the catalog judges by the chart's settings too: {task}");
    // Both are frozen: another chart changes nothing of a run that goes on.
    o.jobs =
        job(json!({"phase": "Queued", "run": 1, "settings": status.settings, "settingsFrom": status.settings_from}));
    let later = decide(&o, &with(json!({"sizeGate": {"stopEarly": false}}))).desired.changes[0].status.clone();
    assert_eq!((later.settings, later.settings_from), (status.settings, status.settings_from));
}

#[test]
fn a_library_of_another_encoder_is_not_broken_by_the_charts_overrides() {
    let o = pausing::ready_library(json!({"encode": {"encoder": "Aom"}}));
    let defaults = json!({"encode": {"overrides": {"extraParams": ["ac-bias=1"]}}});
    let chart = Options { library_defaults: serde_json::from_value(defaults).unwrap(), ..options() };
    assert_eq!(ready(&decide(&o, &chart)), ("True".into(), "AsExpected".into()));
}
