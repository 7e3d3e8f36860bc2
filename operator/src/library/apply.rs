//! Makes what shall exist and is not there, or is not as it shall be. Must never: decide.

use std::sync::Arc;

use av1_crds::{EncodeJob, FINALIZER, labels};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Resource, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::decide::{Decision, JobChange};
use super::measure::measure;
use super::observe::Observed;
use crate::api::{ApiError, timed};
use crate::build::digest;
use crate::context::Context;
use crate::writer::{MANAGER, write_status};

/// Files that are looked at in one reconcile at most: it waits for each answer.
const MOST_MEASURED: usize = 2;

/// A decision whose objects exist; only such a one can be reported.
pub(crate) struct Applied {
    pub(crate) decision: Decision,
    /// Changes of jobs that were written.
    pub(crate) changed: Vec<JobChange>,
    /// Jobs whose files have to be measured before their encodes start.
    pub(crate) unmeasured: Vec<Arc<EncodeJob>>,
    /// What the API server refused first; the rest was done all the same.
    pub(crate) refused: Option<ApiError>,
}

/// The first refusal; other errors end what is under way.
#[derive(Default)]
struct Refused(Option<ApiError>);

impl Refused {
    /// Whether the call was not refused.
    fn passes(&mut self, result: Result<(), ApiError>) -> Result<bool, ApiError> {
        match result {
            Err(error) if error.refusal().is_some() => {
                self.0.get_or_insert(error);
                Ok(false)
            }
            other => other.map(|()| true),
        }
    }
}

/// Makes everything that `decision` asks for.
///
/// # Errors
/// [`ApiError`] of the first call that failed; what exists already, or is gone already, is no error, and what the API server
/// refuses keeps nothing else from being done.
pub(crate) async fn apply(
    namespace: &str,
    observed: &Observed,
    mut decision: Decision,
    context: &Context,
) -> Result<Applied, ApiError> {
    let desired = std::mem::take(&mut decision.desired);
    let batch: Api<Job> = Api::namespaced(context.client.clone(), namespace);
    let mut refused = Refused::default();
    for job in desired.prepare.iter().chain(&desired.purge).chain(&desired.sidecars).chain(&desired.survey) {
        refused.passes(create(&batch, job).await)?;
    }
    for name in desired.surplus.iter().chain(&desired.old_surveys) {
        match timed(format!("delete Job {namespace}/{name}"), batch.delete(name, &DeleteParams::background())).await {
            Err(error) if !error.is_not_found() => {
                refused.passes(Err(error))?;
            }
            _ => {}
        }
    }
    if let Some(service) = &desired.service {
        let api = Api::namespaced(context.client.clone(), namespace);
        refused.passes(own(&api, service, observed.service.as_ref()).await)?;
    }
    if let Some(deployment) = &desired.deployment {
        let api = Api::namespaced(context.client.clone(), namespace);
        refused.passes(own(&api, deployment, observed.deployment.as_ref()).await)?;
    }
    let jobs: Api<EncodeJob> = Api::namespaced(context.client.clone(), namespace);
    for job in &desired.new_jobs {
        // A quota or a policy has the same to say to the next.
        if !refused.passes(create(&jobs, job).await)? {
            break;
        }
    }
    for job in &desired.expired {
        let seen = Preconditions { uid: job.uid(), resource_version: job.resource_version() };
        let (name, params) = (job.name_any(), DeleteParams::background().preconditions(seen));
        match timed(format!("delete EncodeJob {namespace}/{name}"), jobs.delete(&name, &params)).await {
            // Written meanwhile: it is asked for again.
            Err(error) if !error.is_not_found() && !error.is_conflict() => {
                refused.passes(Err(error))?;
            }
            _ => {}
        }
    }
    let mut changed = Vec::new();
    for change in desired.changes {
        match change_job(&jobs, &change, context).await {
            Ok(()) => changed.push(change),
            // Somebody else wrote it meanwhile: seen in the next reconcile.
            Err(error) if error.is_conflict() || error.is_not_found() => {}
            Err(error) => {
                refused.passes(Err(error))?;
            }
        }
    }
    Ok(Applied { decision, changed, unmeasured: desired.unmeasured, refused: refused.0 })
}

/// Notes size and picture on jobs that their users made. Last of all, for a catalog that is slow to answer holds up nothing else.
///
/// # Errors
/// [`ApiError`] of the first note that could not be written.
pub(crate) async fn measure_files(
    namespace: &str,
    observed: &Observed,
    unmeasured: &[Arc<EncodeJob>],
    context: &Context,
) -> Result<(), ApiError> {
    let jobs: Api<EncodeJob> = Api::namespaced(context.client.clone(), namespace);
    let address = observed.catalog_address();
    for job in unmeasured.iter().take(MOST_MEASURED) {
        match measure(&jobs, job, address.as_deref(), context).await {
            Err(error) if error.is_not_found() || error.is_conflict() => {}
            measured => measured?,
        }
    }
    Ok(())
}

async fn create<K>(api: &Api<K>, object: &K) -> Result<(), ApiError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let name = object.name_any();
    match timed(format!("create {} {name}", K::kind(&())), api.create(&PostParams::default(), object)).await {
        Err(error) if !error.is_already_exists() => Err(error),
        _ => Ok(()),
    }
}

/// Server-side apply of what the operator owns, unless `found` is that already.
async fn own<K>(api: &Api<K>, wanted: &K, found: Option<&K>) -> Result<(), ApiError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let (Ok(value), Ok(found)) = (serde_json::to_value(wanted), serde_json::to_value(found)) else {
        return Ok(());
    };
    let Some(mut value) = to_apply(value, &found) else { return Ok(()) };
    if let Some(map) = value.as_object_mut() {
        map.insert("apiVersion".to_owned(), Value::String(K::api_version(&()).into_owned()));
        map.insert("kind".to_owned(), Value::String(K::kind(&()).into_owned()));
    }
    let name = wanted.name_any();
    let params = PatchParams::apply(MANAGER).force();
    timed(format!("apply {} {name}", K::kind(&())), api.patch(&name, &params, &Patch::Apply(value))).await?;
    Ok(())
}

/// `wanted` with its digest, unless `found` is that. The digest tells that more was wanted before: fields that the operator names no
/// more look like defaults.
fn to_apply(mut wanted: Value, found: &Value) -> Option<Value> {
    let digest = digest(wanted.to_string());
    let metadata = wanted.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({})).as_object_mut()?;
    annotations.insert(labels::TEMPLATE_DIGEST.to_owned(), digest.into());
    (!contains(found, &wanted)).then_some(wanted)
}

/// Whether `found` has everything that `wanted` names; what else it has are defaults and others' fields.
fn contains(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        // The API server drops what is empty.
        (Value::Object(found), Value::Object(wanted)) => {
            wanted.iter().all(|(key, value)| found.get(key).map_or_else(|| is_empty(value), |f| contains(f, value)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len() && found.iter().zip(wanted).all(|(f, w)| contains(f, w))
        }
        (found, wanted) => found == wanted,
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(map) => map.values().all(is_empty),
        Value::Array(list) => list.is_empty(),
        Value::String(text) => text.is_empty(),
        value => value.is_null(),
    }
}

/// Writes a job's new status, and before a start the finalizer if its user made it; both carry the version that was seen.
async fn change_job(jobs: &Api<EncodeJob>, change: &JobChange, context: &Context) -> Result<(), ApiError> {
    let mut job = EncodeJob::clone(&change.job);
    let mut old = Vec::from_iter(job.resource_version());
    if change.starts && !job.finalizers().iter().any(|f| f == FINALIZER) {
        let mut finalizers = job.finalizers().to_vec();
        finalizers.push(FINALIZER.to_owned());
        let patch = json!({"metadata": {"finalizers": finalizers, "resourceVersion": job.resource_version()}});
        let name = job.name_any();
        job =
            timed(format!("patch EncodeJob {name}"), jobs.patch(&name, &PatchParams::default(), &Patch::Merge(patch)))
                .await?;
        old.extend(job.resource_version());
    }
    if let Some(job) = write_status(jobs, &job, change.job.status.as_ref(), &change.status).await? {
        context.seen.wrote(old, job);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_with_defaults_added_is_the_one_wanted_and_one_edited_is_not() {
        let wanted = json!({"spec": {"replicas": 1, "list": [{"name": "a"}]}});
        assert!(contains(
            &json!({"spec": {"replicas": 1, "list": [{"name": "a", "policy": "x"}], "more": 1}, "status": {}}),
            &wanted
        ));
        assert!(!contains(&json!({"spec": {"replicas": 2, "list": [{"name": "a"}]}}), &wanted));
        assert!(!contains(&json!({"spec": {"replicas": 1, "list": [{"name": "a"}, {"name": "b"}]}}), &wanted));
        assert!(!contains(&Value::Null, &wanted));
        assert!(
            contains(&json!([{"key": "a"}]), &json!([{"key": "a", "value": "", "list": []}])),
            "the server drops what is empty"
        );
    }

    #[test]
    fn what_is_wanted_no_more_is_applied_once_and_an_empty_list_that_the_server_drops_never() {
        let template = |pod: Value| json!({"metadata": {"name": "films-catalog"}, "spec": {"template": {"spec": pod}}});
        let tolerant = template(json!({"hostNetwork": false, "tolerations": [{"key": "a"}]}));
        let before = to_apply(tolerant.clone(), &Value::Null).unwrap();
        assert_eq!(to_apply(tolerant, &before), None);
        for plain in [json!({"hostNetwork": false}), json!({"hostNetwork": false, "tolerations": [], "affinity": {}})] {
            let plain = template(plain);
            let mut after = to_apply(plain.clone(), &before).unwrap();
            let pod = after["spec"]["template"]["spec"].as_object_mut().unwrap();
            pod.retain(|_, value| !is_empty(value));
            assert_eq!(to_apply(plain, &after), None);
        }
    }

    #[test]
    fn the_first_refusal_is_kept_and_another_error_ends_all() {
        let error = |code: u16, words: &str| -> Result<(), ApiError> {
            let status = json!({"status": "Failure", "code": code, "reason": "", "message": words});
            let source = Box::new(kube::Error::Api(Box::new(serde_json::from_value(status).unwrap())));
            Err(ApiError::Call { operation: "create EncodeJob j".into(), source })
        };
        let mut refused = Refused::default();
        assert_eq!((refused.passes(Ok(())).unwrap(), refused.0.is_none()), (true, true));
        assert!(!refused.passes(error(403, "exceeded quota")).unwrap());
        assert!(!refused.passes(error(422, "another")).unwrap());
        assert!(refused.0.as_ref().unwrap().refusal().unwrap().ends_with("exceeded quota"));
        assert!(refused.passes(error(500, "down")).is_err());
    }
}
