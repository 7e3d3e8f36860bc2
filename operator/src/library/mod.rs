//! The library reconciler: volume ready? catalog up? candidates → EncodeJobs, and slots for those that wait.
//!
//! [`observe`] reads what exists, [`decide`] is pure, [`apply`] makes what is missing, [`report`] writes status. Slots are
//! given here and nowhere else: one reconcile of a library runs at a time, it takes the library's jobs as last seen or written
//! by itself, and each admission carries the version of the job that was seen, so an old view cannot start one encode too many.

mod apply;
mod decide;
mod hidden;
mod measure;
mod observe;
mod pace;
mod refused;
mod report;
mod room;

/// What tests of both reconcilers together need.
#[cfg(test)]
pub(crate) use {
    decide::{decide, tests::pausing::ready_library},
    observe::{Observed, SummaryView},
};

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use av1_crds::MediaLibrary;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use crate::api::ApiError;
use crate::context::Shared;

/// What went wrong in a reconcile, by stage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LibraryError {
    #[error("observing: {0}")]
    Observe(#[source] ApiError),
    #[error("applying: {0}")]
    Apply(#[source] ApiError),
    #[error("reporting: {0}")]
    Report(#[source] ApiError),
}

impl LibraryError {
    fn api(&self) -> &ApiError {
        match self {
            Self::Observe(e) | Self::Apply(e) | Self::Report(e) => e,
        }
    }
}

/// One reconcile of one MediaLibrary.
pub(crate) async fn reconcile(
    guard: Arc<DeserializeGuard<MediaLibrary>>,
    context: Shared,
) -> Result<Action, LibraryError> {
    let (namespace, name) = (guard.meta().namespace.clone().unwrap_or_default(), guard.name_any());
    if let Err(error) = &guard.0 {
        tracing::warn!(namespace, name, %error, "MediaLibrary that cannot be read: left alone until it changes");
        context.queues.libraries.forget(&namespace, &name);
        return Ok(Action::await_change());
    }
    let stages = stages(&namespace, &name, &context);
    context.queues.libraries.run(&namespace, &name, &context.metrics, stages).await
}

async fn stages(namespace: &str, name: &str, context: &Shared) -> Result<Action, LibraryError> {
    let Some(observed) = observe::observe(namespace, name, context).await.map_err(LibraryError::Observe)? else {
        forget(namespace, name, context);
        return Ok(Action::await_change());
    };
    let decision = decide::decide(&observed, &context.options);
    let mut applied = apply::apply(namespace, &observed, decision, context).await.map_err(LibraryError::Apply)?;
    let refused = applied.refused.take();
    let unmeasured = std::mem::take(&mut applied.unmeasured);
    if let Some(why) = refused.as_ref().and_then(ApiError::refusal) {
        let is_due = || context.refusals.is_due(&format!("library/{namespace}/{name}"));
        refused::tell(&mut applied.decision, &observed, &why, is_due);
    }
    let requeue = report::report(namespace, &observed, applied, context).await.map_err(LibraryError::Report)?;
    // The slot is kept for a file that is measured: whatever else is refused, it must be.
    apply::measure_files(namespace, &observed, &unmeasured, context).await.map_err(LibraryError::Apply)?;
    if let Some(error) = refused {
        return Err(LibraryError::Apply(error));
    }
    context.succeeded(&format!("library/{namespace}/{name}"));
    context.metrics.add(&av1_crds::metrics::RECONCILES, &["MediaLibrary", "ok"], 1.0);
    Ok(again(namespace, name, requeue, context))
}

/// Another look after `pause`.
fn again(namespace: &str, name: &str, pause: Duration, context: &Shared) -> Action {
    context.queues.libraries.again(namespace, name, pause);
    Action::requeue(pause)
}

/// Takes away the series of a library that is gone, and of its jobs, and forgets what was kept about it.
pub(crate) fn forget(namespace: &str, name: &str, context: &Shared) {
    context.metrics.remove_all(&[("namespace", namespace), ("library", name)]);
    context.succeeded(&format!("library/{namespace}/{name}"));
    context.queues.libraries.forget(namespace, name);
    let mut written = context.written.lock().unwrap_or_else(PoisonError::into_inner);
    written.remove(&(namespace.to_owned(), name.to_owned()));
}

/// When to try again after an error.
pub(crate) fn on_error(guard: Arc<DeserializeGuard<MediaLibrary>>, error: &LibraryError, context: Shared) -> Action {
    context.metrics.add(&av1_crds::metrics::RECONCILES, &["MediaLibrary", error.api().reason()], 1.0);
    let (namespace, name) = (guard.meta().namespace.clone().unwrap_or_default(), guard.name_any());
    let object = format!("library/{namespace}/{name}");
    let pause = if error.api().is_conflict() {
        Duration::from_millis(500)
    } else {
        tracing::warn!(library = object, "{error}");
        context.back_off(object)
    };
    again(&namespace, &name, pause, &context)
}
