//! What is kept of watch events, and how far what the operator wrote stands in for what it has not seen.

use super::*;
use futures::{FutureExt, StreamExt};
use serde_json::json;

fn job(name: &str, version: &str, phase: &str) -> DeserializeGuard<EncodeJob> {
    serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
        "metadata": {"name": name, "namespace": "media", "uid": name, "resourceVersion": version,
            "managedFields": [{"manager": "m", "operation": "Update"}]},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}}, "status": {"phase": phase}}))
    .unwrap()
}

/// Name, version and phase of each job of the library that is known, by name.
fn known(seen: &Seen) -> Vec<String> {
    let (jobs, _) = seen.of_library("media", "films").now_or_never().unwrap();
    let told = |job: &Arc<EncodeJob>| {
        assert!(job.metadata.managed_fields.is_none());
        format!("{} {} {:?}", job.name_any(), job.resource_version().unwrap(), job.status.as_ref().unwrap().phase)
    };
    let mut all: Vec<String> = jobs.iter().map(told).collect();
    all.sort();
    all
}

fn listed(jobs: &[DeserializeGuard<EncodeJob>]) -> Seen {
    let seen = Seen::default();
    seen.see_job(&Event::Init);
    for job in jobs {
        seen.see_job(&Event::InitApply(job.clone()));
    }
    assert!(seen.of_library("media", "films").now_or_never().is_none(), "no view before the list is whole");
    seen.see_job(&Event::InitDone);
    seen
}

#[test]
fn a_list_replaces_what_was_kept_once_it_is_whole() {
    let seen = listed(&[job("a", "1", "Queued"), job("b", "2", "Queued")]);
    seen.see_job(&Event::Apply(job("c", "3", "Queued")));
    seen.see_job(&Event::Delete(job("a", "4", "Queued")));
    assert_eq!(known(&seen), ["b 2 Queued", "c 3 Queued"]);
    seen.see_job(&Event::Init);
    seen.see_job(&Event::InitApply(job("c", "5", "Encoding")));
    assert_eq!(known(&seen), ["b 2 Queued", "c 3 Queued"]);
    seen.see_job(&Event::InitDone);
    assert_eq!(known(&seen), ["c 5 Encoding"]);
}

#[test]
fn a_job_that_was_started_counts_as_such_before_a_watch_shows_it_and_not_longer() {
    let seen = listed(&[job("a", "1", "Queued")]);
    seen.wrote(vec!["1".into(), "2".into()], job("a", "3", "Encoding").0.unwrap());
    assert_eq!(known(&seen), ["a 3 Encoding"]);
    // The finalizer's write comes by, then the start itself, then what others made of it.
    for (version, phase, expected) in
        [("2", "Queued", "a 3 Encoding"), ("3", "Encoding", "a 3 Encoding"), ("4", "Settling", "a 4 Settling")]
    {
        seen.see_job(&Event::Apply(job("a", version, phase)));
        assert_eq!(known(&seen), [expected]);
    }
    seen.see_job(&Event::Delete(job("a", "5", "Settling")));
    assert!(known(&seen).is_empty());
}

#[test]
fn an_unreadable_job_is_told_of_and_is_no_job_of_the_library() {
    let seen = listed(&[]);
    let broken = serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
        "metadata": {"name": "x", "namespace": "media"}, "spec": 5}))
    .unwrap();
    seen.see_job(&Event::Apply(broken));
    assert!(seen.is_unreadable("media", "x") && !seen.is_unreadable("media", "y"));
    let (jobs, unreadable) = seen.of_library("media", "films").now_or_never().unwrap();
    assert!(jobs.is_empty() && unreadable);
}

#[test]
fn a_job_is_known_with_its_pods_once_everything_was_listed() {
    let seen = listed(&[job("a", "1", "Encoding")]);
    let pod: Pod = serde_json::from_value(json!({"metadata": {"name": "p", "uid": "p",
        "labels": {"av1.media/encode-job-uid": "a", "av1.media/role": "encode", "av1.media/run": "1"}}}))
    .unwrap();
    seen.see_pod(&Event::InitApply(pod));
    seen.see_pod(&Event::InitDone);
    assert!(seen.job("media", "a").is_none(), "batch Jobs and libraries were not listed");
    seen.see_batch(&Event::InitDone);
    seen.see_library(&Event::InitDone);
    let (found, batch, pods) = seen.job("media", "a").unwrap();
    assert_eq!((found.name_any().as_str(), batch.len(), pods.len()), ("a", 0, 1));
    assert!(seen.job("media", "b").is_none());
}

#[tokio::test]
async fn a_library_is_told_of_at_once_and_what_follows_together() {
    let seen = Arc::new(listed(&[job("a", "1", "Queued")]));
    let mut told = std::pin::pin!(seen.clone().changed(Duration::from_millis(1)));
    assert_eq!(told.next().now_or_never().flatten().unwrap().name, "films");
    for version in ["2", "3", "4"] {
        seen.see_job(&Event::Apply(job("a", version, "Queued")));
    }
    assert!(told.next().now_or_never().is_none(), "it rests first");
    assert_eq!(told.next().await.unwrap().name, "films");
    assert!(seen.changed.lock().unwrap().is_empty(), "the three were one");
}
