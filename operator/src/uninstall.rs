//! The last act before the operator goes: EncodeJobs lose their finalizer, which nobody would take off later. May: patch
//! EncodeJobs. Must never: touch anything else.

use std::time::{Duration, Instant};

use av1_crds::{EncodeJob, FINALIZER};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};

use crate::api::{ApiError, timed};
use crate::job::release;

/// The operator may still run and start jobs: nothing is left once nothing came for this long.
const QUIET: Duration = Duration::from_secs(2);

/// Takes the finalizer off all EncodeJobs of `namespace` (empty: of all namespaces).
///
/// # Errors
/// [`ApiError`] of the first call that failed; there may be no such kind any more.
pub(crate) async fn release_all(client: &Client, namespace: &str) -> Result<(), ApiError> {
    let all: Api<EncodeJob> = match namespace {
        "" => Api::all(client.clone()),
        namespace => Api::namespaced(client.clone(), namespace),
    };
    let mut quiet_since = Instant::now();
    loop {
        let jobs = match timed("list EncodeJobs", all.list_metadata(&ListParams::default())).await {
            Err(error) if error.is_not_found() => return Ok(()),
            jobs => jobs?,
        };
        for job in jobs.iter().filter(|job| job.finalizers().iter().any(|f| f == FINALIZER)) {
            let api = Api::namespaced(client.clone(), &job.namespace().unwrap_or_default());
            match release(&api, job).await {
                Err(error) if !error.is_conflict() => return Err(error),
                _ => quiet_since = Instant::now(),
            }
        }
        if quiet_since.elapsed() >= QUIET {
            tracing::info!(jobs = jobs.items.len(), "no EncodeJob has the finalizer");
            return Ok(());
        }
        tokio::time::sleep(QUIET / 8).await;
    }
}
