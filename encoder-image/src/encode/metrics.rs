//! An encode pod's metrics as Prometheus text, made from its figures when they are asked for. Job and file are not named: the
//! scraper knows the pod.

use av1_crds::metrics as table;
use av1_crds::wire::EncodeProgress;

use crate::exposition::Exposition;

/// The page.
#[allow(clippy::cast_precision_loss)] // counts far below 2^52
pub(super) fn page(progress: &EncodeProgress) -> prometheus::Result<String> {
    let page = Exposition::new()?;
    let whole = |n: Option<u64>| n.map(|n| n as f64);
    let workers = progress.plan.as_ref().map(|plan| f64::from(plan.workers));
    let node = progress.node.as_ref();
    let values = [
        (&table::AGENT_FRAMES, whole(Some(progress.frames))),
        (&table::AGENT_TOTAL_FRAMES, whole(Some(progress.total_frames))),
        (&table::AGENT_FRAMES_PER_SECOND, Some(progress.frames_per_second)),
        (&table::AGENT_ETA, whole(progress.eta_seconds)),
        (&table::AGENT_BIT_RATE, whole(progress.bit_rate)),
        (&table::AGENT_PROJECTED_BYTES, whole(progress.projected_size)),
        (&table::AGENT_CHUNKS_DONE, Some(f64::from(progress.chunks_done))),
        (&table::AGENT_CHUNKS_RESUMED, Some(f64::from(progress.chunks_resumed))),
        (&table::AGENT_CHUNKS, Some(f64::from(progress.chunks))),
        (&table::AGENT_WORKERS, workers),
        (&table::AGENT_NODE_CPU, node.map(|node| node.cpu_utilization)),
        (&table::AGENT_NODE_MEMORY, node.map(|node| node.memory_utilization)),
    ];
    for (metric, value) in values {
        if let Some(value) = value {
            page.put(metric, value)?;
        }
    }
    if let Some(node) = node {
        let [one, five, fifteen] = node.load;
        page.put_series(&table::AGENT_NODE_LOAD, &[(["1m"], one), (["5m"], five), (["15m"], fifteen)])?;
        let assigned = (["assigned"], f64::from(node.assigned_cpus));
        let busy = node.busy_cpus.map(|busy| (["busy"], busy));
        page.put_series(&table::AGENT_CPUS, &Vec::from_iter([assigned].into_iter().chain(busy)))?;
    }
    page.text(table::ENCODE_POD)
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::{EncodePlan, NodeFigures};

    use super::*;

    #[test]
    fn every_metric_of_the_table_and_the_process_are_on_the_page_once_they_are_known() {
        let text = |progress: &EncodeProgress| page(progress).unwrap();
        let known = text(&EncodeProgress {
            frames: 12,
            eta_seconds: Some(3),
            bit_rate: Some(4),
            projected_size: Some(5),
            plan: Some(EncodePlan { workers: 2, ..EncodePlan::default() }),
            node: Some(NodeFigures { busy_cpus: Some(1.5), assigned_cpus: 2, ..NodeFigures::default() }),
            ..EncodeProgress::default()
        });
        for metric in table::ENCODE_POD {
            assert!(known.contains(&format!("\n{}", metric.name)), "{}", metric.name);
        }
        for line in
            ["av1_agent_encode_frames 12", "av1_agent_encode_cpus{state=\"busy\"} 1.5", "process_cpu_seconds_total"]
        {
            assert!(known.contains(line), "{line}: {known}");
        }
        let unknown = text(&EncodeProgress::default());
        assert!(unknown.contains("# TYPE av1_agent_encode_eta_seconds gauge\n"), "{unknown}");
        assert!(!unknown.contains("\nav1_agent_encode_eta_seconds"), "{unknown}");
    }
}
