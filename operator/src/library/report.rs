//! Tells what was applied: status, Events, metrics; the status only if it differs. Must never: decide.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::{EncodeJob, MediaLibrary, MediaLibraryStatus, Phase, conditions, metrics as table};
use jiff::Timestamp;
use kube::{Api, Resource, ResourceExt};

use super::apply::Applied;
use super::decide::Decision;
use super::observe::{Observed, SummaryView};
use super::pace;
use crate::api::ApiError;
use crate::conditions::{find, is_true};
use crate::context::Context;
use crate::writer::write_status;

/// States of files, as labels of metrics.
const FILE_STATES: [&str; 9] =
    ["total", "eligible", "done", "alreadyAv1", "skipped", "rejected", "failed", "pending", "unreadable"];
/// Conditions of a library, as labels of metrics.
const CONDITIONS: [&str; 5] = [
    conditions::STORAGE_READY,
    conditions::CATALOG_READY,
    conditions::ENCODING,
    conditions::DEGRADED,
    conditions::READY,
];
/// States of bytes, as labels of metrics.
const BYTE_STATES: [&str; 5] = ["scanned", "replacedBefore", "replacedAfter", "freed", "inTrash"];

/// Writes the status, then Events and metrics; gives the pause before the next look.
///
/// # Errors
/// [`ApiError`]; a conflict when the library is another by now.
pub(crate) async fn report(
    namespace: &str,
    observed: &Observed,
    applied: Applied,
    context: &Context,
) -> Result<Duration, ApiError> {
    let library = &observed.library;
    let api: Api<MediaLibrary> = Api::namespaced(context.client.clone(), namespace);
    let left = write(namespace, &api, observed, &applied.decision, context).await?;
    measure(namespace, observed, &applied.decision.status, context);
    if let Some(bytes) = applied.decision.purged {
        context.metrics.add(&table::TRASH_PURGED_BYTES, &[namespace, &library.name_any()], bytes as f64);
    }
    context.publish(&library.object_ref(&()), applied.decision.events).await;
    for change in applied.changed {
        if change.status.phase.is_terminal() {
            let reason = change.status.outcome.as_ref().map_or("", |o| o.reason.as_str());
            context.metrics.count_outcome(namespace, &library.name_any(), reason);
        }
        context.publish(&change.job.object_ref(&()), change.events).await;
    }
    Ok(applied.decision.requeue.min(left.unwrap_or(Duration::MAX)))
}

/// Writes the status, or gives the time that counts have to wait for it.
async fn write(
    namespace: &str,
    api: &Api<MediaLibrary>,
    observed: &Observed,
    decision: &Decision,
    context: &Context,
) -> Result<Option<Duration>, ApiError> {
    let (library, status) = (&observed.library, &decision.status);
    let key = (namespace.to_owned(), library.name_any());
    let ago = context.written.lock().unwrap_or_else(PoisonError::into_inner).get(&key).map(Instant::elapsed);
    let left = pace::wait(library.status.as_ref(), status, ago).filter(|_| decision.events.is_empty());
    if left.is_none() && write_status(api, library, library.status.as_ref(), status).await?.is_some() {
        context.written.lock().unwrap_or_else(PoisonError::into_inner).insert(key, Instant::now());
    }
    Ok(left)
}

fn measure(namespace: &str, observed: &Observed, status: &MediaLibraryStatus, context: &Context) {
    let name = observed.library.name_any();
    let metrics = &context.metrics;
    for phase in Phase::ALL {
        let count = observed.jobs.iter().filter(|j| j.phase() == phase).count();
        metrics.set(&table::ENCODE_JOBS, &[namespace, &name, phase.as_str()], count as f64);
    }
    metrics.set(&table::QUEUE_OLDEST, &[namespace, &name], oldest_queued(&observed.jobs, observed.now));
    for type_ in CONDITIONS {
        let is_true = is_true(&status.conditions, type_);
        metrics.set(&table::LIBRARY_CONDITION, &[namespace, &name, type_], f64::from(u8::from(is_true)));
    }
    if let Some((free, total)) = space(&observed.summary, status) {
        metrics.set(&table::LIBRARY_STORAGE, &[namespace, &name, "free"], free);
        metrics.set(&table::LIBRARY_STORAGE, &[namespace, &name, "total"], total);
    }
    let kept = status.purge.as_ref().map_or(0, |p| p.kept_count);
    metrics.set(&table::TRASH_KEPT_FILES, &[namespace, &name], kept as f64);
    let figures = |values: Option<serde_json::Value>, states: &[&str], metric| {
        for state in states {
            if let Some(value) = values.as_ref().and_then(|v| v.get(state)?.as_f64()) {
                metrics.set(metric, &[namespace, &name, state], value);
            }
        }
    };
    figures(serde_json::to_value(&status.files).ok(), &FILE_STATES, &table::LIBRARY_FILES);
    figures(serde_json::to_value(&status.bytes).ok(), &BYTE_STATES, &table::LIBRARY_BYTES);
}

/// Seconds since the oldest job that waits was made, or asked for again; 0 with none.
fn oldest_queued(jobs: &[Arc<EncodeJob>], now: Timestamp) -> f64 {
    let since = |job: &Arc<EncodeJob>| {
        let asked = job.status.as_ref().and_then(|status| find(&status.conditions, conditions::COMPLETE));
        let asked =
            asked.filter(|condition| condition.status == "False").map(|condition| &condition.last_transition_time);
        asked.or(job.metadata.creation_timestamp.as_ref()).map(|time| time.0)
    };
    let oldest = jobs.iter().filter(|job| job.phase() == Phase::Queued).filter_map(since).min();
    oldest.map_or(0.0, |at| now.duration_since(at).as_secs_f64().max(0.0))
}

/// Free and total bytes of the volume, as last seen.
fn space(summary: &SummaryView, status: &MediaLibraryStatus) -> Option<(f64, f64)> {
    if let SummaryView::Got(summary) = summary
        && summary.total_bytes > 0
    {
        return Some((summary.free_bytes as f64, summary.total_bytes as f64));
    }
    let storage = status.storage.as_ref()?;
    Some((storage.free_bytes? as f64, storage.total_bytes? as f64))
}

#[cfg(test)]
mod tests {
    use av1_crds::library::StorageStatus;
    use av1_crds::wire::CatalogSummary;
    use serde_json::json;

    use super::*;

    fn job(phase: &str, created: &str, asked_again: Option<&str>) -> Arc<EncodeJob> {
        let conditions: Vec<_> = asked_again
            .iter()
            .map(|at| json!({"type": "Complete", "status": "False", "reason": "InProgress", "message": "", "lastTransitionTime": at}))
            .collect();
        let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
            "metadata": {"name": "films-1", "creationTimestamp": created},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}},
            "status": {"phase": phase, "conditions": conditions}});
        Arc::new(serde_json::from_value(job).unwrap())
    }

    #[test]
    fn the_oldest_job_that_waits_counts_from_when_it_was_last_asked_for() {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        let running = job("Encoding", "2025-01-01T00:00:00Z", None);
        let waits = job("Queued", "2026-01-01T00:59:00Z", None);
        let again = job("Queued", "2025-01-01T00:00:00Z", Some("2026-01-01T00:58:00Z"));
        assert_eq!(oldest_queued(&[running.clone(), waits.clone(), again], now), 120.0);
        assert_eq!(oldest_queued(&[running.clone(), waits], now), 60.0);
        assert_eq!(oldest_queued(&[running], now), 0.0);
        assert_eq!(oldest_queued(&[job("Queued", "2026-01-01T02:00:00Z", None)], now), 0.0, "another clock");
    }

    #[test]
    fn space_is_the_catalogs_or_what_is_on_record() {
        let storage = StorageStatus { free_bytes: Some(1), total_bytes: Some(2), ..StorageStatus::default() };
        let status = MediaLibraryStatus { storage: Some(storage), ..MediaLibraryStatus::default() };
        let summary = CatalogSummary { free_bytes: 3, total_bytes: 4, ..CatalogSummary::default() };
        assert_eq!(space(&SummaryView::Got(Box::new(summary)), &status), Some((3.0, 4.0)));
        assert_eq!(space(&SummaryView::NotAsked, &status), Some((1.0, 2.0)));
        assert_eq!(space(&SummaryView::NotAsked, &MediaLibraryStatus::default()), None);
    }
}
