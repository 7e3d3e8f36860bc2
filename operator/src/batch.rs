//! What is known of a batch Job that the operator made. Pure.

use av1_crds::labels;
use jiff::Timestamp;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt;

/// A batch Job.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct BatchFacts {
    pub(crate) name: String,
    pub(crate) role: String,
    pub(crate) deleting: bool,
    /// Whether it ended, one way or the other.
    pub(crate) ended: bool,
    /// Whether it waits for Kueue.
    pub(crate) suspended: bool,
    pub(crate) made: Option<Timestamp>,
    /// Digest of the placement that it was made with, of an encode Job.
    pub(crate) placement: Option<String>,
}

impl BatchFacts {
    /// What is known of `job`.
    pub(crate) fn of(job: &Job) -> Self {
        let conditions = job.status.as_ref().and_then(|s| s.conditions.clone()).unwrap_or_default();
        Self {
            name: job.name_any(),
            role: job.labels().get(labels::ROLE).cloned().unwrap_or_default(),
            deleting: job.metadata.deletion_timestamp.is_some(),
            ended: conditions.iter().any(|c| matches!(c.type_.as_str(), "Failed" | "Complete") && c.status == "True"),
            suspended: job.spec.as_ref().is_some_and(|spec| spec.suspend == Some(true)),
            made: job.metadata.creation_timestamp.as_ref().map(|t| t.0),
            placement: job.annotations().get(labels::PLACEMENT_DIGEST).cloned(),
        }
    }

    /// What to tell about the Job when there is no pod of it yet though there should be.
    pub(crate) fn without_pod(&self, now: Timestamp) -> Option<String> {
        /// Seconds that the Job controller may take.
        const PATIENCE: i64 = 30;
        let late = self.made.is_some_and(|made| now.as_second() - made.as_second() > PATIENCE);
        late.then(|| {
            format!(
                "Job {0} has had no pod for more than {PATIENCE} s; kubectl describe job {0} says why (Pod Security, a quota)",
                self.name
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_without_a_pod_is_told_of_after_half_a_minute() {
        let made: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let job = BatchFacts { name: "j".into(), made: Some(made), ..BatchFacts::default() };
        let after = |seconds| job.without_pod(made.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap());
        assert_eq!(after(30), None);
        assert!(after(31).unwrap().contains("kubectl describe job j "));
    }
}
