//! The job reconciler: queue → encode Job → settle Job → outcome; or queue → mark or restore Job, as the user asks.
//!
//! [`observe`] reads what exists (at a glance first: most changes ask for nothing), [`decide`] is pure, [`apply`] makes and deletes batch Jobs, [`report`] writes the status.
//! Actions depend on the *recorded* status alone (a run is recorded before its Job is made, an outcome before the Job is
//! deleted), so a crash between any two steps is mended by the next reconcile. Slots are given by the library reconciler.

mod apply;
mod decide;
mod figures;
mod observe;
mod order;
mod report;

pub(crate) use apply::release;
pub(crate) use order::order;

use std::sync::Arc;
use std::time::Duration;

use av1_crds::EncodeJob;
use kube::ResourceExt;
use kube::api::PartialObjectMeta;
use kube::runtime::controller::Action;

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
pub(crate) async fn reconcile(about: Arc<PartialObjectMeta<EncodeJob>>, context: Shared) -> Result<Action, JobError> {
    let (namespace, name) = (about.namespace().unwrap_or_default(), about.name_any());
    let stages = stages(&namespace, &name, &context);
    context.queues.jobs.run(&namespace, &name, &context.metrics, stages).await
}

/// Most changes that bring a reconcile about ask for nothing, which is seen at a glance.
async fn stages(namespace: &str, name: &str, context: &Shared) -> Result<Action, JobError> {
    if context.seen.is_unreadable(namespace, name) {
        tracing::warn!(namespace, name, "EncodeJob that cannot be read: left alone until it changes");
        return Ok(Action::await_change());
    }
    let mut progress = None;
    if let Some(observed) = observe::glance(namespace, name, context).await {
        let decision = decide::decide(&observed, &context.options);
        if decision.is_nothing_new(&observed) {
            report::measure(namespace, &observed, &decision, context);
            return Ok(done(namespace, name, decision.requeue, context));
        }
        progress = observed.progress;
    }
    let observed = observe::observe(namespace, name, progress, context).await.map_err(JobError::Observe)?;
    let Some(observed) = observed else {
        return Ok(Action::await_change());
    };
    let decision = decide::decide(&observed, &context.options);
    if let Err(error) = apply::apply(namespace, &observed.job, &decision.actions, context).await {
        report::refused(namespace, &observed, &error, context).await;
        return Err(JobError::Apply(error));
    }
    let requeue = decision.requeue;
    report::report(namespace, &observed, decision, context).await.map_err(JobError::Report)?;
    Ok(done(namespace, name, requeue, context))
}

fn done(namespace: &str, name: &str, requeue: Option<Duration>, context: &Shared) -> Action {
    context.succeeded(&format!("job/{namespace}/{name}"));
    context.metrics.add(&av1_crds::metrics::RECONCILES, &["EncodeJob", "ok"], 1.0);
    requeue.map_or_else(Action::await_change, |pause| again(namespace, name, pause, context))
}

/// Another look after `pause`.
fn again(namespace: &str, name: &str, pause: Duration, context: &Shared) -> Action {
    context.queues.jobs.again(namespace, name, pause);
    Action::requeue(pause)
}

/// When to try again after an error.
pub(crate) fn on_error(about: Arc<PartialObjectMeta<EncodeJob>>, error: &JobError, context: Shared) -> Action {
    context.metrics.add(&av1_crds::metrics::RECONCILES, &["EncodeJob", error.api().reason()], 1.0);
    let (namespace, name) = (about.namespace().unwrap_or_default(), about.name_any());
    let object = format!("job/{namespace}/{name}");
    let pause = if error.api().is_conflict() {
        Duration::from_millis(500)
    } else {
        tracing::warn!(job = object, "{error}");
        context.back_off(object)
    };
    again(&namespace, &name, pause, &context)
}
