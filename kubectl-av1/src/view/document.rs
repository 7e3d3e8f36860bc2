//! What is going on, as one JSON document of the shape that the standalone agent serves too. Pure.

use av1_crds::encoding::Metric;
use av1_crds::wire::{MOST_EVENTS, Snapshot, SnapshotEvent, SnapshotJob, SnapshotSystem};
use av1_crds::{EncodeJob, EncodeJobStatus, MediaLibrary, Phase};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;

use crate::exposition::{NodeGauges, Page};
use crate::screen::{Events, Happening, Job};

/// The document, from the resources, with the gauges' fresher figures over them.
pub(crate) fn document(
    libraries: &[MediaLibrary],
    jobs: &[EncodeJob],
    page: &Page,
    events: &[Event],
    now: Timestamp,
) -> Snapshot {
    let phases = || jobs.iter().map(|job| job.status.as_ref().map(|status| status.phase).unwrap_or_default());
    let running: Vec<SnapshotJob> = jobs.iter().filter_map(|job| figures(job, page)).collect();
    let of_libraries = |of: fn(&MediaLibrary) -> Option<i64>| libraries.iter().filter_map(of).sum::<i64>();
    let pending = of_libraries(|library| Some(library.status.as_ref()?.files.as_ref()?.pending));
    let written = of_libraries(|library| Some(library.status.as_ref()?.bytes.as_ref()?.replaced_after));
    let queued = phases().filter(|phase| matches!(phase, Phase::Queued | Phase::Paused)).count() as u64;
    let running_jobs = running.len() as u64;
    Snapshot {
        timestamp_unix_ms: now.as_millisecond(),
        jobs: running,
        system: system(page.nodes.values()),
        // Only the first of the files that wait have a job.
        queue_len: u64::try_from(pending).unwrap_or_default().saturating_sub(running_jobs).max(queued),
        running_jobs,
        completed_jobs: phases().filter(|phase| phase.is_terminal() && *phase != Phase::Failed).count() as u64,
        failed_jobs: phases().filter(|phase| *phase == Phase::Failed).count() as u64,
        total_bytes_encoded: written.try_into().unwrap_or_default(),
        events: last(events),
    }
}

/// A job in progress.
fn figures(resource: &EncodeJob, page: &Page) -> Option<SnapshotJob> {
    let default = EncodeJobStatus::default();
    let status = resource.status.as_ref().unwrap_or(&default);
    if !matches!(status.phase, Phase::Encoding | Phase::Settling | Phase::Restoring) {
        return None;
    }
    let job = Job::new(resource);
    let figures = job.with(page.jobs.get(&(job.key.namespace.clone(), job.key.name.clone())));
    let natural = |number: i64| u64::try_from(number).unwrap_or_default();
    let score = |metric: Metric| {
        let measured = status.quality.as_ref().filter(|score| score.metric == metric.as_str());
        measured.and_then(|score| score.mean.parse().ok())
    };
    Some(SnapshotJob {
        id: resource.metadata.uid.clone().unwrap_or_default(),
        input_path: resource.spec.source.path.clone(),
        stage: job.stage.clone(),
        progress: figures.progress.unwrap_or_default(),
        fps: figures.frames_per_second.unwrap_or_default(),
        bitrate_kbps: figures.bit_rate.map(|bits| natural(bits) / 1_000),
        crf: figures.crf,
        encoder: status.plan.as_ref().map(|plan| plan.encoder.clone()),
        workers: figures.workers,
        est_remaining_secs: figures.eta_seconds,
        frames_encoded: natural(job.frames),
        total_frames: natural(job.total_frames),
        size_in_bytes_before: job.size.map_or(0, natural),
        size_in_bytes_after: job.output.or(figures.projected).map(natural),
        vmaf: score(Metric::Vmaf),
        psnr: score(Metric::Psnr),
        ssim: score(Metric::Ssim),
    })
}

/// The mean of the nodes that say anything.
fn system<'a>(nodes: impl Iterator<Item = &'a NodeGauges> + Clone) -> SnapshotSystem {
    let mean = |of: &dyn Fn(&NodeGauges) -> Option<f64>| {
        let values: Vec<f64> = nodes.clone().filter_map(of).collect();
        if values.is_empty() { 0.0 } else { values.iter().sum::<f64>() / values.len() as f64 }
    };
    SnapshotSystem {
        cpu_usage_percent: mean(&|node| node.cpu) * 100.0,
        mem_usage_percent: mean(&|node| node.memory) * 100.0,
        load_avg_1: mean(&|node| node.loads[0]),
        load_avg_5: mean(&|node| node.loads[1]),
        load_avg_15: mean(&|node| node.loads[2]),
    }
}

/// The newest, the oldest of them first.
fn last(events: &[Event]) -> Vec<SnapshotEvent> {
    let mut newest = Events::default();
    events.iter().for_each(|event| newest.put(Happening::new(event)));
    let mut last: Vec<SnapshotEvent> = newest
        .iter()
        .take(MOST_EVENTS)
        .map(|event| SnapshotEvent {
            timestamp_unix_ms: event.at * 1_000,
            message: format!("{}: {}: {}", event.about, event.reason, event.message),
        })
        .collect();
    last.reverse();
    last
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(name: &str, status: Value) -> EncodeJob {
        serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
            "metadata": {"name": name, "namespace": "media", "uid": format!("uid-{name}")},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": format!("{name}.mkv")}}, "status": status
        }))
        .unwrap()
    }

    #[test]
    fn the_document_is_made_of_resources_gauges_and_events() {
        let library = serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": "films", "namespace": "media"},
            "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}},
            "status": {"files": {"total": 40, "pending": 20}, "bytes": {"replacedAfter": 700}}
        }))
        .unwrap();
        let jobs = [
            job(
                "a",
                json!({"phase": "Encoding", "plan": {"encoder": "SvtAv1", "crf": 26, "workers": 3},
                "source": {"size": "4000", "modifiedTimeNs": "1", "changedTimeNs": "1", "inode": "1", "fingerprint": ""},
                "progress": {"stage": "Encoding", "percent": "42%", "frames": 42, "totalFrames": 100, "bitRate": 4_250_000}}),
            ),
            job("b", json!({"phase": "Queued"})),
            job("c", json!({"phase": "Succeeded"})),
            job("d", json!({"phase": "Failed"})),
        ];
        let page = Page::read(
            "av1_encode_job_frames_per_second{namespace=\"media\",library=\"films\",job=\"a\"} 12.5\n\
             av1_node_cpu_utilization_ratio{node=\"n1\"} 0.5\nav1_node_cpu_utilization_ratio{node=\"n2\"} 0.25\n\
             av1_node_load{node=\"n1\",window=\"1m\"} 7\n",
        );
        let event = |name: &str, time: &str| {
            serde_json::from_value(
                json!({"metadata": {"name": name, "namespace": "media"}, "involvedObject": {"name": "a"},
                "reason": "Encoding", "message": name, "eventTime": time}),
            )
            .unwrap()
        };
        let events = [event("second", "2026-01-01T00:00:02.000000Z"), event("first", "2026-01-01T00:00:01.000000Z")];
        let now = "2026-01-01T00:00:03Z".parse().unwrap();
        insta::assert_json_snapshot!(document(&[library], &jobs, &page, &events, now));
    }

    #[test]
    fn nothing_is_a_document_too() {
        let empty = document(&[], &[], &Page::default(), &[], Timestamp::UNIX_EPOCH);
        assert_eq!(empty, Snapshot::default());
    }
}
