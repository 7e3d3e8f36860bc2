//! `pause` and `resume`: `spec.suspend` of a job, of the job of a file, or of a whole library.

use av1_crds::{EncodeJob, MediaLibrary};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::change::{Change, LOOK};
use super::{print, remark};
use crate::args::HoldArguments;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::view::hold::{
    Held, Refusal, Stand, changed_job, changed_library, job_stand, library_stand, refusal, still_held,
};

/// What is paused or resumed.
enum Subject {
    Library(Box<MediaLibrary>),
    Job(Box<EncodeJob>),
}

pub(crate) async fn run(cluster: &Cluster, arguments: &HoldArguments, held: Held) -> Result<(), Error> {
    let change = Change::of(cluster)?;
    let namespace = change.namespace;
    let patch = json!({"spec": {"suspend": held.suspend()}});
    let subject = match subject(&change, arguments, held).await? {
        Subject::Library(library) => {
            let jobs = cluster.jobs().await?.items;
            cluster.patch_library(namespace, &library.name_any(), &patch).await?;
            print(&changed_library(&library, &jobs, held))?;
            Subject::Library(library)
        }
        Subject::Job(job) => {
            let name = job.name_any();
            let spec = holding(&job, held)?;
            cluster.patch_job(namespace, &name, &json!({"spec": spec})).await?;
            print(&changed_job(&job, held))?;
            if held == Held::GoesOn {
                let library = cluster.find_library(namespace, &job.spec.library_ref.name).await?;
                still_held(library.as_ref()).map_or(Ok(()), |told| remark(&told))?;
            }
            Subject::Job(job)
        }
    };
    if arguments.wait { wait(cluster, namespace, &subject, held).await } else { Ok(()) }
}

/// The change of spec that holds a job or lets it go on; refused where it makes no sense.
pub(super) fn holding(job: &EncodeJob, held: Held) -> Result<Value, Error> {
    let name = job.name_any();
    match refusal(job, held) {
        Some(Refusal::Ended(phase)) => Err(Error::Ended { job: name, phase: phase.as_str(), action: held.command() }),
        Some(Refusal::NoEncode(desired)) => Err(Error::NoEncode { job: name, desired: format!("{desired:?}") }),
        None => Ok(json!({"suspend": held.suspend()})),
    }
}

/// The library, the job, or the job of the file that is meant.
async fn subject(change: &Change<'_>, arguments: &HoldArguments, held: Held) -> Result<Subject, Error> {
    let (cluster, namespace) = (change.cluster, change.namespace);
    if let Some(path) = &arguments.path {
        cluster.library(namespace, &arguments.name).await?;
        let (library, path, action) = (arguments.name.clone(), path.clone(), held.command());
        let job = change.newest(&library, &path).await?;
        return match job {
            Some(job) => Ok(Subject::Job(Box::new(job))),
            None => Err(Error::NothingToHold { library, path, action }),
        };
    }
    if let Some(name) = arguments.name.strip_prefix("library/") {
        return Ok(Subject::Library(Box::new(cluster.library(namespace, name).await?)));
    }
    if let Some(name) = arguments.name.strip_prefix("job/") {
        return Ok(Subject::Job(Box::new(cluster.job(namespace, name).await?)));
    }
    let name = arguments.name.clone();
    match (cluster.find_library(namespace, &name).await?, cluster.find_job(namespace, &name).await?) {
        (Some(_), Some(_)) => Err(Error::BothKinds { name }),
        (Some(library), None) => Ok(Subject::Library(Box::new(library))),
        (None, Some(job)) => Ok(Subject::Job(Box::new(job))),
        (None, None) => Err(Error::NeitherKind { namespace: namespace.to_owned(), name }),
    }
}

/// Tells what happens until it is as asked.
async fn wait(cluster: &Cluster, namespace: &str, subject: &Subject, held: Held) -> Result<(), Error> {
    let mut told = String::new();
    loop {
        let stand = match subject {
            Subject::Library(library) => {
                let now = cluster.library(namespace, &library.name_any()).await?;
                library_stand(&now, &cluster.jobs().await?.items, held)
            }
            Subject::Job(job) => job_stand(&cluster.job(namespace, &job.name_any()).await?, held),
        };
        match stand {
            Stand::Reached(line) => return print(&format!("{line}\n")),
            Stand::Otherwise(line) => return Err(Error::HeldOtherwise(line)),
            Stand::Waits(line) => {
                if line != told {
                    remark(&line)?;
                    told = line;
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}
