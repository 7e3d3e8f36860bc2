//! Makes and deletes what was decided. Must never: decide.

use av1_crds::{EncodeJob, FINALIZER};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::decide::Action;
use crate::api::{ApiError, timed};
use crate::context::Context;

/// Carries out `actions` in order.
///
/// # Errors
/// [`ApiError`] of the first call that failed; what exists already, or is gone already, is no error.
pub(crate) async fn apply(
    namespace: &str,
    job: &EncodeJob,
    actions: &[Action],
    context: &Context,
) -> Result<(), ApiError> {
    let batch: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    for action in actions {
        match action {
            Action::Create(new) => {
                let name = new.name_any();
                match timed(format!("create Job {namespace}/{name}"), batch.create(&PostParams::default(), new)).await {
                    Err(error) if !error.is_already_exists() => return Err(error),
                    _ => {
                        tracing::info!(namespace, job = job.name_any(), batch = name, "made a Job")
                    }
                }
            }
            Action::Delete(name) => {
                match timed(format!("delete Job {namespace}/{name}"), batch.delete(name, &DeleteParams::background()))
                    .await
                {
                    Err(error) if !error.is_not_found() => return Err(error),
                    _ => {}
                }
            }
            Action::Release => release(&Api::namespaced(context.client.clone(), namespace), job).await?,
        }
    }
    Ok(())
}

/// Takes the finalizer off; the version that was read must still be the newest, other finalizers stay.
///
/// # Errors
/// [`ApiError`]; a job that is gone already is none.
pub(crate) async fn release(api: &Api<EncodeJob>, job: &impl ResourceExt) -> Result<(), ApiError> {
    let rest: Vec<&String> = job.finalizers().iter().filter(|f| *f != FINALIZER).collect();
    let patch = json!({"metadata": {"finalizers": rest, "resourceVersion": job.resource_version()}});
    let name = job.name_any();
    match timed(format!("patch EncodeJob {name}"), api.patch(&name, &PatchParams::default(), &Patch::Merge(patch)))
        .await
    {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
