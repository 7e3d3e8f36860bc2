//! Running encodes as their pods showed them last: the figures of their nodes, passed on as metrics, and the chunks that they
//! resumed. A memory only. Must never: decide.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::metrics as table;
use av1_crds::wire::{EncodeProgress, NodeFigures};

use crate::metrics::Metrics;

/// Figures of a pod that does not answer are passed on no longer than this.
const MOST_AGE: Duration = Duration::from_secs(60);

/// Running encodes, by namespace and name of the job.
#[derive(Default)]
pub(crate) struct Working(Mutex<HashMap<(String, String), Encode>>);

/// A running encode.
#[derive(Default)]
struct Encode {
    run: i64,
    /// Resumed chunks of that run that were counted.
    resumed: u32,
    /// Node, its figures, and when they came.
    seen: Option<(String, NodeFigures, Instant)>,
}

impl Working {
    /// The page of a running encode on `node`; none: its pod gave no answer.
    pub(crate) fn see(
        &self,
        job: (&str, &str),
        node: Option<&str>,
        page: Option<&EncodeProgress>,
        now: Instant,
        metrics: &Metrics,
    ) {
        let mut all = self.lock();
        let mut touched = BTreeSet::new();
        if let Some(page) = page {
            let encode = all.entry((job.0.to_owned(), job.1.to_owned())).or_default();
            encode.count(page.run, page.chunks_resumed, metrics);
            let seen = node.zip(page.node.clone()).map(|(node, figures)| (node.to_owned(), figures, now));
            touched.extend(seen.as_ref().map(|(node, ..)| node.clone()));
            touched.extend(std::mem::replace(&mut encode.seen, seen).map(|(node, ..)| node));
        }
        for encode in all.values_mut() {
            let old = encode.seen.take_if(|(.., at)| now.saturating_duration_since(*at) > MOST_AGE);
            touched.extend(old.map(|(node, ..)| node));
        }
        touched.iter().for_each(|node| pass_on(&all, node, metrics));
    }

    /// The verdict of a run, with the chunks that it resumed.
    pub(crate) fn resumed(&self, job: (&str, &str), run: i64, chunks: u32, metrics: &Metrics) {
        self.lock().entry((job.0.to_owned(), job.1.to_owned())).or_default().count(run, chunks, metrics);
    }

    /// The job encodes no more.
    pub(crate) fn end(&self, job: (&str, &str), metrics: &Metrics) {
        let mut all = self.lock();
        let ended = all.remove(&(job.0.to_owned(), job.1.to_owned()));
        if let Some((node, ..)) = ended.and_then(|encode| encode.seen) {
            pass_on(&all, &node, metrics);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(String, String), Encode>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Encode {
    /// Counts resumed chunks, each once.
    fn count(&mut self, run: i64, chunks: u32, metrics: &Metrics) {
        if self.run != run {
            (self.run, self.resumed) = (run, 0);
        }
        metrics.add(&table::CHUNKS_RESUMED, &[], f64::from(chunks.saturating_sub(self.resumed)));
        self.resumed = self.resumed.max(chunks);
    }
}

/// Sets the gauges of a node with encodes, and takes away those of one that has none any more. The map is locked meanwhile, so
/// that no older figures come after newer ones.
fn pass_on(all: &HashMap<(String, String), Encode>, node: &str, metrics: &Metrics) {
    let here = || all.values().filter_map(|encode| encode.seen.as_ref()).filter(|(name, ..)| name == node);
    let Some((_, newest, _)) = here().max_by_key(|(.., at)| *at) else {
        return metrics.remove_all(&[("node", node)]);
    };
    metrics.set(&table::NODE_CPU, &[node], newest.cpu_utilization);
    metrics.set(&table::NODE_MEMORY, &[node], newest.memory_utilization);
    for (window, load) in ["1m", "5m", "15m"].into_iter().zip(newest.load) {
        metrics.set(&table::NODE_LOAD, &[node, window], load);
    }
    let assigned: f64 = here().map(|(_, figures, _)| f64::from(figures.assigned_cpus)).sum();
    let busy: f64 = here().filter_map(|(_, figures, _)| figures.busy_cpus).sum();
    metrics.set(&table::NODE_ENCODE_CPUS, &[node, "assigned"], assigned);
    metrics.set(&table::NODE_ENCODE_CPUS, &[node, "busy"], busy);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(run: i64, resumed: u32, cpu: f64) -> EncodeProgress {
        let figures = NodeFigures {
            cpu_utilization: cpu,
            load: [1.0, 2.0, 3.0],
            assigned_cpus: 2,
            busy_cpus: Some(1.5),
            ..NodeFigures::default()
        };
        EncodeProgress { run, chunks_resumed: resumed, node: Some(figures), ..EncodeProgress::default() }
    }

    fn has(metrics: &Metrics, line: &str) -> bool {
        metrics.text().unwrap().lines().any(|found| found == line)
    }

    #[test]
    fn a_node_has_figures_while_an_encode_runs_there_and_cpus_of_all_of_them() {
        let (working, metrics, now) = (Working::default(), Metrics::new().unwrap(), Instant::now());
        working.see(("media", "a"), Some("n1"), Some(&page(1, 0, 0.5)), now, &metrics);
        working.see(("media", "b"), Some("n1"), Some(&page(1, 0, 0.6)), now + Duration::from_secs(1), &metrics);
        working.see(("media", "c"), Some("n2"), Some(&page(1, 0, 0.1)), now, &metrics);
        for line in [
            "av1_node_cpu_utilization_ratio{node=\"n1\"} 0.6",
            "av1_node_load{node=\"n1\",window=\"15m\"} 3",
            "av1_node_encode_cpus{node=\"n1\",state=\"assigned\"} 4",
            "av1_node_encode_cpus{node=\"n1\",state=\"busy\"} 3",
        ] {
            assert!(has(&metrics, line), "{line}");
        }
        working.end(("media", "a"), &metrics);
        assert!(has(&metrics, "av1_node_encode_cpus{node=\"n1\",state=\"assigned\"} 2"));
        working.end(("media", "b"), &metrics);
        let text = metrics.text().unwrap();
        assert!(!text.contains("\"n1\"") && text.contains("\"n2\""), "{text}");
    }

    #[test]
    fn the_next_run_takes_its_figures_to_its_own_node() {
        let (working, metrics, now) = (Working::default(), Metrics::new().unwrap(), Instant::now());
        working.see(("media", "a"), Some("n1"), Some(&page(1, 0, 0.5)), now, &metrics);
        working.see(("media", "a"), Some("n2"), Some(&page(2, 0, 0.5)), now, &metrics);
        let text = metrics.text().unwrap();
        assert!(!text.contains("\"n1\"") && text.contains("\"n2\""), "{text}");
    }

    #[test]
    fn a_pod_that_gives_no_answer_or_is_older_soon_has_no_figures() {
        let (working, metrics, now) = (Working::default(), Metrics::new().unwrap(), Instant::now());
        working.see(("media", "a"), Some("n1"), Some(&page(1, 0, 0.5)), now, &metrics);
        working.see(("media", "a"), Some("n1"), None, now + Duration::from_secs(5), &metrics);
        assert!(metrics.text().unwrap().contains("\"n1\""));
        working.see(("media", "a"), Some("n1"), None, now + MOST_AGE + Duration::from_secs(1), &metrics);
        assert!(!metrics.text().unwrap().contains("\"n1\""));
        working.see(("media", "a"), Some("n1"), Some(&EncodeProgress::default()), now, &metrics);
        assert!(!metrics.text().unwrap().contains("\"n1\""));
    }

    #[test]
    fn resumed_chunks_count_once_a_run() {
        let (working, metrics, now) = (Working::default(), Metrics::new().unwrap(), Instant::now());
        let counted = |chunks: u32| has(&metrics, &format!("av1_chunks_resumed_total {chunks}"));
        working.see(("media", "a"), Some("n1"), Some(&page(2, 5, 0.5)), now, &metrics);
        working.see(("media", "a"), Some("n1"), Some(&page(2, 5, 0.5)), now, &metrics);
        assert!(counted(5));
        working.see(("media", "a"), Some("n1"), Some(&page(3, 0, 0.5)), now, &metrics);
        working.resumed(("media", "a"), 3, 7, &metrics);
        working.resumed(("media", "a"), 3, 7, &metrics);
        assert!(counted(12));
    }
}
