//! A volume that becomes another after it was prepared: told at once, nothing starts, and it heals by itself.

use super::*;
use av1_crds::job::Desired;
use av1_crds::wire::PodFailure;

fn sees(o: &mut Observed, wrong: Option<&str>) {
    let wrong_volume = wrong.map(|why| PodFailure {
        reason: why.into(),
        message: "it is volume v9".into(),
        retryable: true,
        released: false,
    });
    let prepare_run = o.library.status.as_ref().unwrap().prepare_runs;
    o.summary = SummaryView::Unready(Box::new(CatalogSummary { prepare_run, wrong_volume, ..summary() }));
}

/// A library that was ready for an hour, with a job and an order that wait, and something to be purged.
fn working() -> Observed {
    let mut o = after(pausing::ready_library(json!({})), 3_600);
    let job = |name: &str, desired| {
        let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": name, "uid": name},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": name}}, "status": {"phase": "Queued"}});
        let mut job: EncodeJob = serde_json::from_value(job).unwrap();
        job.spec.desired = desired;
        Arc::new(job)
    };
    o.jobs = vec![job("film", Desired::Encoded), job("undo", Desired::Original)];
    o.leftovers = Some(av1_crds::wire::Leftovers { work: vec!["dead".into()], ..Default::default() });
    o
}

fn does_nothing(decision: &Decision) {
    assert!(decision.desired.changes.iter().all(|change| !change.starts), "{:?}", decision.desired.changes);
    assert!(decision.desired.purge.is_none() && decision.status.purge.as_ref().is_none_or(|purge| !purge.active));
}

fn condition(decision: &Decision, type_: &str) -> (String, String) {
    let c = find(&decision.status.conditions, type_).unwrap();
    (c.status.clone(), c.reason.clone())
}

#[test]
fn another_volume_is_told_at_once_and_nothing_starts_until_prepare_has_found_the_known_one_again() {
    for why in ["WrongVolume", "OwnedByAnother"] {
        let mut o = working();
        sees(&mut o, Some(why));
        let found = decide(&o, &options());
        does_nothing(&found);
        for type_ in ["StorageReady", "Ready"] {
            assert_eq!(condition(&found, type_), ("False".into(), why.into()));
        }
        assert_eq!(condition(&found, "Degraded").0, "True");
        let message = &find(&found.status.conditions, "Ready").unwrap().message;
        assert!(message.contains("it is volume v9"), "{message}");
        let o = next(o, &found);
        let look = decide(&o, &options());
        does_nothing(&look);
        let task = serde_json::to_string(look.desired.prepare.as_ref().unwrap()).unwrap();
        assert!(task.contains("expectedVolumeId") && task.contains("v1"), "{task}");
        // Another attempt and another, and all the while it is told.
        let mut o = next(o, &look);
        let failed = json!({"failed": {"reason": why, "message": "it is volume v9", "retryable": true}});
        o.prepare_pods = vec![ended(3, 1, failed)];
        let decision = decide(&o, &options());
        let o = after(next(o, &decision), 300);
        let again = decide(&o, &options());
        for decision in [&decision, &again] {
            does_nothing(decision);
            assert_eq!(
                (condition(decision, "StorageReady").1.as_str(), condition(decision, "Degraded").0.as_str()),
                (why, "True")
            );
        }
        // The right one is back: prepare finds it, and the catalog is made anew.
        let mut o = next(o, &again);
        o.prepare_pods = vec![ended(4, 0, json!({"done": made("v1")}))];
        let healed = decide(&o, &options());
        assert_eq!(condition(&healed, "StorageReady").0, "True");
        assert_eq!(condition(&healed, "Ready"), ("False".into(), "InProgress".into()), "its catalog is of before");
        let task = serde_json::to_string(&healed.desired.deployment).unwrap();
        assert!(task.contains(r#"\"prepareRun\":4"#), "{task}");
        let mut o = next(o, &healed);
        o.summary = SummaryView::Got(Box::new(CatalogSummary { prepare_run: 4, ..summary() }));
        let well = decide(&o, &options());
        assert_eq!(condition(&well, "Ready").0, "True");
        assert!(well.desired.changes.iter().any(|change| change.starts));
    }
}

#[test]
fn a_catalog_that_goes_on_seeing_another_volume_than_prepare_has_it_looked_at_every_five_minutes_and_no_more() {
    let mut o = after(prepared(), 100);
    sees(&mut o, Some("WrongVolume"));
    let found = decide(&o, &options());
    let o = after(next(o, &found), 199);
    let waits = decide(&o, &options());
    assert!(waits.desired.prepare.is_none());
    assert_eq!(condition(&waits, "StorageReady"), ("False".into(), "WrongVolume".into()));
    assert!(decide(&after(next(o, &waits), 1), &options()).desired.prepare.is_some());
}

#[test]
fn a_share_that_is_out_of_reach_is_looked_at_again_when_that_lasts() {
    let mut o = working();
    o.leftovers = None;
    o = next(o.clone(), &decide(&o, &options()));
    sees(&mut o, Some("IoError"));
    let at_once = decide(&o, &options());
    let starts = at_once.desired.changes.iter().filter(|change| change.starts);
    assert!(
        starts.map(|change| change.job.name_any()).all(|name| name == "undo"),
        "its pod looks at the volume itself"
    );
    assert_eq!((condition(&at_once, "Ready").1.as_str(), at_once.status.prepare_runs), ("CatalogUnavailable", 2));
    o = after(next(o, &at_once), 121);
    let later = decide(&o, &options());
    does_nothing(&later);
    assert_eq!((condition(&later, "StorageReady").0.as_str(), later.status.prepare_runs), ("False", 3));
    assert!(decide(&next(o, &later), &options()).desired.prepare.is_some());
}

#[test]
fn a_catalog_that_never_becomes_ready_needs_a_person_after_two_minutes() {
    let mut o = prepared();
    let starts = decide(&o, &options());
    assert_eq!(
        (condition(&starts, "Ready").1.as_str(), condition(&starts, "Degraded").0.as_str()),
        ("InProgress", "False")
    );
    o = after(next(o, &starts), 121);
    for summary in [SummaryView::NotAsked, SummaryView::Unready(Box::new(summary()))] {
        o.summary = summary;
        let late = decide(&o, &options());
        assert_eq!(
            (condition(&late, "Ready").1.as_str(), condition(&late, "Degraded").0.as_str()),
            ("CatalogUnavailable", "True")
        );
    }
}
