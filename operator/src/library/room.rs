//! Room for encodes: on the volume, twice a file's size; in the queue, as many jobs as its depth says. A job that waits for room on
//! the volume takes none in the queue: smaller files go first, and make the room. Pure.

use std::sync::Arc;

use av1_crds::wire::CatalogSummary;
use av1_crds::{EncodeJob, MediaLibrary, Phase, labels};
use kube::ResourceExt;

/// Bytes of the largest file that the volume has room for.
pub(super) fn largest(summary: &CatalogSummary) -> u64 {
    if summary.total_bytes > 0 { summary.free_bytes / 2 } else { u64::MAX }
}

/// Whether the job waits for room on the volume.
pub(super) fn is_too_large(job: &EncodeJob, summary: &CatalogSummary) -> bool {
    let size = job.annotations().get(labels::SIZE).and_then(|size| size.parse::<u64>().ok());
    job.phase() == Phase::Queued && size.is_some_and(|size| size > largest(summary))
}

/// Jobs that the queue takes.
pub(super) fn in_queue(library: &MediaLibrary, jobs: &[Arc<EncodeJob>], summary: &CatalogSummary) -> usize {
    let depth = library.spec.concurrency.as_ref().and_then(|c| c.queue_depth).unwrap_or(20) as usize;
    let queued = jobs.iter().filter(|job| job.phase() == Phase::Queued && !is_too_large(job, summary)).count();
    depth.saturating_sub(queued)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn jobs_that_wait_for_room_on_the_volume_leave_the_queue_to_smaller_files() {
        let library: MediaLibrary =
            serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
            "metadata": {"name": "films"}, "spec": {"volume": {}, "concurrency": {"queueDepth": 3}}}))
            .unwrap();
        let job = |size: &str, phase: &str| -> Arc<EncodeJob> {
            let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
                "metadata": {"name": size, "annotations": {(labels::SIZE): size}},
                "spec": {"libraryRef": {"name": "films"}, "source": {"path": size}}, "status": {"phase": phase}});
            Arc::new(serde_json::from_value(job).unwrap())
        };
        let jobs = [job("51", "Queued"), job("90", "Queued"), job("50", "Queued"), job("90", "Encoding")];
        let left = |free_bytes, total_bytes| {
            in_queue(&library, &jobs, &CatalogSummary { free_bytes, total_bytes, ..CatalogSummary::default() })
        };
        assert_eq!(left(101, 1_000), 2);
        assert_eq!(left(102, 1_000), 1);
        assert_eq!(left(0, 0), 0, "nothing is known of the volume");
    }
}
