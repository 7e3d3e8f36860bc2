//! The job reconciler: queue → encode Job → settle Job → outcome; or queue → mark or restore Job, as the user asks.
//!
//! [`observe`] reads what exists, [`decide`] is pure, [`apply`] makes and deletes batch Jobs, [`report`] writes the status.
//! Actions depend on the *recorded* status alone (a run is recorded before its Job is made, an outcome before the Job is
//! deleted), so a crash between any two steps is mended by the next reconcile. Slots are given by the library reconciler.

mod apply;
mod decide;
mod observe;
mod order;
mod report;

pub(crate) use apply::release;
pub(crate) use order::order;

use std::sync::Arc;
use std::time::Duration;

use av1_crds::EncodeJob;
use kube::core::DeserializeGuard;
use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use crate::api::ApiError;
use crate::context::Shared;

/// What went wrong in a reconcile, by stage.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("observing: {0}")]
    Observe(#[source] ApiError),
    #[error("applying: {0}")]
    Apply(#[source] ApiError),
    #[error("reporting: {0}")]
    Report(#[source] ApiError),
}

impl JobError {
    fn api(&self) -> &ApiError {
        match self {
            Self::Observe(e) | Self::Apply(e) | Self::Report(e) => e,
        }
    }
}

/// One reconcile of one EncodeJob.
pub(crate) async fn reconcile(guard: Arc<DeserializeGuard<EncodeJob>>, context: Shared) -> Result<Action, JobError> {
    let (namespace, name) = (guard.meta().namespace.clone().unwrap_or_default(), guard.name_any());
    if let Err(error) = &guard.0 {
        tracing::warn!(namespace, name, %error, "EncodeJob that cannot be read: left alone until it changes");
        return Ok(Action::await_change());
    }
    let Some(observed) = observe::observe(&namespace, &name, &context).await.map_err(JobError::Observe)? else {
        return Ok(Action::await_change());
    };
    let decision = decide::decide(&observed, &context.options);
    apply::apply(&namespace, &observed.job, &decision.actions, &context).await.map_err(JobError::Apply)?;
    let requeue = decision.requeue;
    report::report(&namespace, &observed, decision, &context).await.map_err(JobError::Report)?;
    context.succeeded(&format!("job/{namespace}/{name}"));
    context.metrics.add(&av1_crds::metrics::RECONCILES, &["EncodeJob", "ok"], 1.0);
    Ok(requeue.map_or_else(Action::await_change, Action::requeue))
}

/// When to try again after an error.
pub(crate) fn on_error(guard: Arc<DeserializeGuard<EncodeJob>>, error: &JobError, context: Shared) -> Action {
    context.metrics.add(&av1_crds::metrics::RECONCILES, &["EncodeJob", error.api().reason()], 1.0);
    if error.api().is_conflict() {
        return Action::requeue(Duration::from_millis(500));
    }
    let name = format!("job/{}/{}", guard.meta().namespace.as_deref().unwrap_or_default(), guard.name_any());
    tracing::warn!(job = name, "{error}");
    Action::requeue(context.back_off(name))
}
