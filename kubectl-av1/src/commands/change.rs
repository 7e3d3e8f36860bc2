//! `undo`, `skip`, `retry`, `cancel`, `encode`: each changes one thing, says what changed, and waits when asked to.

use std::time::Duration;

use av1_crds::EncodeJob;
use av1_crds::Phase;
use av1_crds::job::{Desired, EncodeJobSpec, LibraryReference, Source};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::hold::holding;
use super::{print, remark};
use crate::args::{ChangeArguments, EncodeArguments, RetryArguments, Target};
use crate::cluster::Cluster;
use crate::error::Error;
use crate::screen::Wish;
use crate::view::change::{created, ended, is_wanted, patched, progress, wanted_phase};
use crate::view::hold::Held;

/// Between two looks at a job that is waited for.
pub(super) const LOOK: Duration = Duration::from_secs(1);

pub(crate) async fn undo(cluster: &Cluster, arguments: &ChangeArguments) -> Result<(), Error> {
    desire(cluster, arguments, Desired::Original).await
}

pub(crate) async fn skip(cluster: &Cluster, arguments: &ChangeArguments) -> Result<(), Error> {
    desire(cluster, arguments, Desired::Skipped).await
}

pub(crate) async fn cancel(cluster: &Cluster, arguments: &ChangeArguments) -> Result<(), Error> {
    let change = Change::of(cluster)?;
    let job = change.existing(&arguments.target).await?;
    change.patch(&job, cancelling(&job)?, arguments.wait).await
}

/// Carries out what the screen asks for of one job; says what was changed.
pub(crate) async fn wish(cluster: &Cluster, namespace: &str, name: &str, wish: Wish) -> Result<String, Error> {
    let job = cluster.job(namespace, name).await?;
    let spec = match wish {
        Wish::Undo => desiring(&job, Desired::Original),
        Wish::Cancel => cancelling(&job)?,
        Wish::Pause => holding(&job, Held::Paused)?,
        Wish::Resume => holding(&job, Held::GoesOn)?,
    };
    let after = cluster.patch_job(namespace, name, &json!({"spec": spec})).await?;
    Ok(patched(&job, &after))
}

/// The change of spec that cancels a job.
fn cancelling(job: &EncodeJob) -> Result<Value, Error> {
    let phase = job.phase();
    if phase.is_terminal() && phase != Phase::Cancelled {
        return Err(Error::Ended { job: job.name_any(), phase: phase.as_str(), action: "cancel" });
    }
    Ok(json!({"desired": Desired::Cancelled}))
}

/// The change of spec by which a job is to come to what is desired.
fn desiring(job: &EncodeJob, desired: Desired) -> Value {
    // Asked for before, and it came to something else: once more.
    let again = job.spec.desired == desired && job.phase().is_terminal() && job.phase() != wanted_phase(desired);
    if again { json!({"retry": job.spec.retry + 1}) } else { json!({"desired": desired}) }
}

pub(crate) async fn retry(cluster: &Cluster, arguments: &RetryArguments) -> Result<(), Error> {
    let change = Change::of(cluster)?;
    let job = change.existing(&arguments.target).await?;
    let phase = job.phase();
    if phase == Phase::Succeeded {
        return Err(Error::Ended { job: job.name_any(), phase: phase.as_str(), action: "retry" });
    }
    if !phase.is_terminal() {
        return Err(Error::Alive { job: job.name_any(), phase: phase.as_str() });
    }
    let mut spec = json!({"retry": job.spec.retry + 1});
    if !arguments.force.is_empty() {
        let mut force = job.spec.force.clone();
        force.extend(arguments.force.iter().filter(|reason| !job.spec.force.contains(reason)).cloned());
        spec["force"] = json!(force);
    }
    if [Desired::Cancelled, Desired::Skipped].contains(&job.spec.desired) {
        spec["desired"] = json!(Desired::Encoded);
    }
    change.patch(&job, spec, arguments.wait).await
}

pub(crate) async fn encode(cluster: &Cluster, arguments: &EncodeArguments) -> Result<(), Error> {
    let change = Change::of(cluster)?;
    change.cluster.library(change.namespace, &arguments.library).await?;
    let newest = change.newest(&arguments.library, &arguments.path).await?;
    match newest {
        Some(job) if job.spec.desired != Desired::Encoded => {
            let mut spec = json!({"desired": Desired::Encoded});
            if let Some(priority) = arguments.priority {
                spec["priority"] = json!(priority);
            }
            if !arguments.force.is_empty() {
                spec["force"] = json!(arguments.force);
            }
            change.patch(&job, spec, arguments.wait).await
        }
        Some(job) if !job.phase().is_terminal() => {
            Err(Error::Alive { job: job.name_any(), phase: job.phase().as_str() })
        }
        _ => {
            let spec = EncodeJobSpec {
                force: arguments.force.clone(),
                priority: arguments.priority.unwrap_or_default(),
                ..spec(&arguments.library, &arguments.path, Desired::Encoded)
            };
            change.create(spec, arguments.wait).await
        }
    }
}

/// Sets `spec.desired` of the job, or of the newest job of the file; of a file without one makes a job.
async fn desire(cluster: &Cluster, arguments: &ChangeArguments, desired: Desired) -> Result<(), Error> {
    let change = Change::of(cluster)?;
    let job = match &arguments.target.path {
        None => Some(change.existing(&arguments.target).await?),
        Some(path) => {
            change.cluster.library(change.namespace, &arguments.target.name).await?;
            change.newest(&arguments.target.name, path).await?
        }
    };
    match (job, &arguments.target.path) {
        (Some(job), _) => change.patch(&job, desiring(&job, desired), arguments.wait).await,
        (None, path) => {
            let path = path.as_deref().unwrap_or_default();
            change.create(spec(&arguments.target.name, path, desired), arguments.wait).await
        }
    }
}

fn spec(library: &str, path: &str, desired: Desired) -> EncodeJobSpec {
    EncodeJobSpec {
        library_ref: LibraryReference { name: library.to_owned() },
        source: Source { path: path.to_owned() },
        settings: None,
        suspend: false,
        desired,
        force: Vec::new(),
        priority: 0,
        retry: 0,
    }
}

/// The newest job of a file: one that lives before those that ended.
pub(super) fn newest_of<'a>(jobs: &'a [EncodeJob], library: &str, path: &str) -> Option<&'a EncodeJob> {
    let of_file = jobs.iter().filter(|j| j.spec.library_ref.name == library && j.spec.source.path == path);
    of_file.max_by_key(|j| (!j.phase().is_terminal(), j.creation_timestamp().map(|t| t.0), j.name_any()))
}

/// One change in one namespace.
pub(super) struct Change<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) namespace: &'a str,
}

impl<'a> Change<'a> {
    pub(super) fn of(cluster: &'a Cluster) -> Result<Self, Error> {
        let namespace = cluster.namespace.as_deref().ok_or(Error::NamespaceNeeded)?;
        Ok(Self { cluster, namespace })
    }

    /// The job that `target` names, or the newest of the file that it names.
    async fn existing(&self, target: &Target) -> Result<EncodeJob, Error> {
        let Some(path) = &target.path else {
            return self.cluster.job(self.namespace, &target.name).await;
        };
        self.cluster.library(self.namespace, &target.name).await?;
        self.newest(&target.name, path)
            .await?
            .ok_or_else(|| Error::NoJobOfFile { library: target.name.clone(), path: path.clone() })
    }

    /// The file's newest job.
    pub(super) async fn newest(&self, library: &str, path: &str) -> Result<Option<EncodeJob>, Error> {
        Ok(newest_of(&self.cluster.jobs().await?.items, library, path).cloned())
    }

    async fn patch(&self, job: &EncodeJob, spec: Value, wait: bool) -> Result<(), Error> {
        let after = self.cluster.patch_job(self.namespace, &job.name_any(), &json!({"spec": spec})).await?;
        print(&patched(job, &after))?;
        self.wait(&after, wait).await
    }

    async fn create(&self, spec: EncodeJobSpec, wait: bool) -> Result<(), Error> {
        let mut job = EncodeJob::new("", spec);
        job.metadata.name = None;
        job.metadata.generate_name = Some(format!("{}-by-hand-", job.spec.library_ref.name));
        let made = self.cluster.create_job(self.namespace, &job).await?;
        print(&created(&made))?;
        self.wait(&made, wait).await
    }

    /// Tells what the job does until it has ended.
    async fn wait(&self, job: &EncodeJob, wait: bool) -> Result<(), Error> {
        if !wait {
            return Ok(());
        }
        let name = job.name_any();
        let mut told = String::new();
        loop {
            let now = self.cluster.job(self.namespace, &name).await?;
            if let Some(outcome) = ended(&now) {
                print(&outcome)?;
                return if is_wanted(&now) { Ok(()) } else { Err(Error::EndedOtherwise { job: name }) };
            }
            let line = progress(&now);
            if line != told {
                remark(&line)?;
                told = line;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
