//! Candidates become EncodeJobs, in order, as many as the queue takes. Pure.

use std::collections::{BTreeMap, HashSet};

use av1_crds::job::{Desired, EncodeJobSpec, LibraryReference, Source};
use av1_crds::wire::Candidate;
use av1_crds::{EncodeJob, FINALIZER, MediaLibrary, labels};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use super::Draft;
use crate::build::free_job_name;

impl Draft<'_> {
    pub(super) fn new_jobs(&mut self) {
        let observed = self.observed;
        if observed.library.spec.suspend {
            return;
        }
        let names = observed.jobs.iter().map(|job| job.name_any()).collect();
        let jobs = observed
            .candidates
            .iter()
            .enumerate()
            .map(|(place, candidate)| new_job(&observed.library, &names, candidate, place, observed.now));
        self.out.desired.new_jobs = jobs.collect();
    }
}

fn new_job(
    library: &MediaLibrary,
    names: &HashSet<String>,
    candidate: &Candidate,
    place: usize,
    now: Timestamp,
) -> EncodeJob {
    let name = library.name_any();
    let spec = EncodeJobSpec {
        library_ref: LibraryReference { name: name.clone() },
        source: Source { path: candidate.path.clone() },
        settings: None,
        suspend: false,
        desired: Desired::Encoded,
        force: Vec::new(),
        priority: 0,
        retry: 0,
    };
    let mut job = EncodeJob::new(&free_job_name(library, candidate, names), spec);
    job.metadata.finalizers = Some(vec![FINALIZER.to_owned()]);
    job.metadata.namespace = library.namespace();
    job.metadata.labels = Some(BTreeMap::from(
        [(labels::LIBRARY, name.as_str()), ("app.kubernetes.io/managed-by", labels::MANAGED_BY)]
            .map(|(k, v)| (k.to_owned(), v.to_owned())),
    ));
    job.metadata.annotations = Some(BTreeMap::from(
        [
            (labels::PATH, candidate.path.clone()),
            (labels::SIZE, candidate.size.to_string()),
            (labels::PICTURE, format!("{}x{}", candidate.width, candidate.height)),
            (labels::RANK, rank(now, place)),
        ]
        .map(|(k, v)| (k.to_owned(), v)),
    ));
    job.metadata.owner_references = library.controller_owner_ref(&()).map(|mut owner| {
        owner.block_owner_deletion = Some(false);
        vec![owner]
    });
    job
}

/// Place in the queue: what came earlier, and of what came together what stood first.
fn rank(now: Timestamp, place: usize) -> String {
    format!("{:013}-{place:05}", now.as_millisecond())
}

/// Place in the queue of any job: that which it was made with, else its age.
pub(super) fn rank_of(job: &EncodeJob) -> (String, String) {
    let made = job.metadata.creation_timestamp.as_ref().map_or(0, |t| t.0.as_millisecond());
    (job.annotations().get(labels::RANK).cloned().unwrap_or_else(|| format!("{made:013}")), job.name_any())
}
