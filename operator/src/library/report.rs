//! Tells what was applied: status, Events, metrics; the status only if it differs. Must never: decide.

use std::time::Duration;

use av1_crds::metrics as table;
use av1_crds::{MediaLibrary, MediaLibraryStatus, Phase};
use kube::{Api, Resource, ResourceExt};

use super::apply::Applied;
use super::observe::{Observed, phase_of};
use crate::api::ApiError;
use crate::context::Context;
use crate::writer::write_status;

/// States of files, as labels of metrics.
const FILE_STATES: [&str; 9] =
    ["total", "eligible", "done", "alreadyAv1", "skipped", "rejected", "failed", "pending", "unreadable"];
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
    write_status(&api, library, library.status.as_ref(), &applied.decision.status).await?;
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
    Ok(applied.decision.requeue)
}

fn measure(namespace: &str, observed: &Observed, status: &MediaLibraryStatus, context: &Context) {
    let name = observed.library.name_any();
    let metrics = &context.metrics;
    for phase in Phase::ALL {
        let count = observed.jobs.iter().filter(|j| phase_of(j) == phase).count();
        metrics.set(&table::ENCODE_JOBS, &[namespace, &name, phase.as_str()], count as f64);
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
