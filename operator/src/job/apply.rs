//! Makes and deletes what was decided. Must never: decide.

use av1_crds::job::Notification;
use av1_crds::{EncodeJob, FINALIZER};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde::Serialize;
use serde_json::json;

use super::decide::Action;
use super::observe::key_of;
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
            Action::Notify(note) => match serde_json::to_vec(&Body::of(namespace, job, note)) {
                Ok(body) => context.notifier.send(key_of(job, note.run), note.url.clone(), body),
                Err(error) => tracing::error!(namespace, job = job.name_any(), %error, "a notification is no JSON"),
            },
            Action::Release => release(&Api::namespaced(context.client.clone(), namespace), job).await?,
        }
    }
    Ok(())
}

/// What is posted to `replacement.notify`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    library: &'a str,
    namespace: &'a str,
    job: String,
    action: &'a str,
    path: &'a str,
    old_name: Option<&'a str>,
    new_name: &'a str,
    bytes_before: Option<i64>,
    bytes_after: Option<i64>,
}

impl<'a> Body<'a> {
    fn of(namespace: &'a str, job: &'a EncodeJob, note: &'a Notification) -> Self {
        Self {
            library: &job.spec.library_ref.name,
            namespace,
            job: job.name_any(),
            action: &note.action,
            path: &note.path,
            old_name: note.old_path.as_deref().map(file_name),
            new_name: file_name(&note.path),
            bytes_before: note.bytes_before,
            bytes_after: note.bytes_after,
        }
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_has_names_paths_and_sizes_and_null_for_what_is_not_known() {
        let job: EncodeJob = serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
            "metadata": {"name": "films-1"}, "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a/b.avi"}}}))
        .unwrap();
        let mut note = Notification {
            action: "Replaced".into(),
            path: "a/b.mkv".into(),
            old_path: Some("a/b.avi".into()),
            bytes_before: Some(9),
            bytes_after: Some(4),
            ..Notification::default()
        };
        let body = |note: &Notification| serde_json::to_value(Body::of("media", &job, note)).unwrap();
        assert_eq!(
            body(&note),
            json!({"library": "films", "namespace": "media", "job": "films-1", "action": "Replaced", "path": "a/b.mkv",
                "oldName": "b.avi", "newName": "b.mkv", "bytesBefore": 9, "bytesAfter": 4})
        );
        (note.old_path, note.bytes_before) = (None, None);
        assert!(body(&note)["oldName"].is_null() && body(&note)["bytesBefore"].is_null());
    }
}
