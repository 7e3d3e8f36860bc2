//! Reads the gauges of jobs and of nodes out of the operator's metrics page (Prometheus text). Pure.

use std::collections::BTreeMap;

use av1_crds::metrics;

/// Figures of a running encode, fresher than those in its status.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct JobGauges {
    /// 0 to 1.
    pub(crate) progress: Option<f64>,
    pub(crate) frames_per_second: Option<f64>,
    pub(crate) eta_seconds: Option<f64>,
    pub(crate) projected_bytes: Option<f64>,
    pub(crate) workers: Option<f64>,
}

/// Gauges by namespace and name of the EncodeJob.
pub(crate) type Gauges = BTreeMap<(String, String), JobGauges>;

/// Figures of a node while an encode pod runs there.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct NodeGauges {
    /// Part of its CPU time in use, 0 to 1.
    pub(crate) cpu: Option<f64>,
    /// Part of its memory in use, 0 to 1.
    pub(crate) memory: Option<f64>,
    /// Load averages over 1, 5 and 15 minutes.
    pub(crate) loads: [Option<f64>; 3],
    /// CPUs that encode pods have.
    pub(crate) assigned_cpus: Option<f64>,
    /// CPUs that encode pods use.
    pub(crate) busy_cpus: Option<f64>,
}

/// What the page says that is looked for here.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Page {
    pub(crate) jobs: Gauges,
    /// By name of the node.
    pub(crate) nodes: BTreeMap<String, NodeGauges>,
}

impl Page {
    /// The gauges in `text`; lines that are none of them, or no metric at all, are passed over.
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self::default();
        for (name, labels, value) in text.lines().filter_map(sample) {
            if let (Some(namespace), Some(job)) = (labels.get("namespace"), labels.get("job")) {
                let entry = page.jobs.entry((namespace.clone(), job.clone())).or_default();
                if let Some(slot) = entry.slot(name) {
                    *slot = Some(value);
                }
            } else if let Some(node) = labels.get("node") {
                let entry = page.nodes.entry(node.clone()).or_default();
                let which = labels.get("window").or_else(|| labels.get("state"));
                if let Some(slot) = entry.slot(name, which.map_or("", String::as_str)) {
                    *slot = Some(value);
                }
            }
        }
        page.jobs.retain(|_, gauges| *gauges != JobGauges::default());
        page.nodes.retain(|_, gauges| *gauges != NodeGauges::default());
        page
    }

    /// Takes over what another operator's page says.
    pub(crate) fn extend(&mut self, other: Self) {
        self.jobs.extend(other.jobs);
        self.nodes.extend(other.nodes);
    }
}

impl JobGauges {
    fn slot(&mut self, metric: &str) -> Option<&mut Option<f64>> {
        match metric {
            name if name == metrics::JOB_PROGRESS.name => Some(&mut self.progress),
            name if name == metrics::JOB_FRAMES_PER_SECOND.name => Some(&mut self.frames_per_second),
            name if name == metrics::JOB_ETA.name => Some(&mut self.eta_seconds),
            name if name == metrics::JOB_PROJECTED_BYTES.name => Some(&mut self.projected_bytes),
            name if name == metrics::JOB_WORKERS.name => Some(&mut self.workers),
            _ => None,
        }
    }
}

impl NodeGauges {
    fn slot(&mut self, metric: &str, which: &str) -> Option<&mut Option<f64>> {
        match (metric, which) {
            (name, "") if name == metrics::NODE_CPU.name => Some(&mut self.cpu),
            (name, "") if name == metrics::NODE_MEMORY.name => Some(&mut self.memory),
            (name, "1m") if name == metrics::NODE_LOAD.name => Some(&mut self.loads[0]),
            (name, "5m") if name == metrics::NODE_LOAD.name => Some(&mut self.loads[1]),
            (name, "15m") if name == metrics::NODE_LOAD.name => Some(&mut self.loads[2]),
            (name, "assigned") if name == metrics::NODE_ENCODE_CPUS.name => Some(&mut self.assigned_cpus),
            (name, "busy") if name == metrics::NODE_ENCODE_CPUS.name => Some(&mut self.busy_cpus),
            _ => None,
        }
    }
}

/// Name, labels and finite value of one line.
fn sample(line: &str) -> Option<(&str, BTreeMap<String, String>, f64)> {
    let (name, rest) = line.split_once('{')?;
    if name.starts_with('#') {
        return None;
    }
    let (labels, rest) = read_labels(rest)?;
    let value: f64 = rest.split_whitespace().next()?.parse().ok()?;
    value.is_finite().then_some((name, labels, value))
}

/// Labels up to the closing brace, and what follows it. Values are quoted, with `\\`, `\"` and `\n`.
fn read_labels(text: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (key, quoted) = rest.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = quoted.char_indices();
        let end = loop {
            match chars.next()? {
                (at, '"') => break at,
                (_, '\\') => match chars.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (_, other) => value.push(other),
            }
        };
        labels.insert(key.to_owned(), value);
        rest = &quoted[end + 1..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gauges_are_gathered_by_job() {
        let text = "# HELP av1_encode_job_progress_ratio Part.\n# TYPE av1_encode_job_progress_ratio gauge\n\
            av1_encode_job_progress_ratio{job=\"a\",library=\"films\",namespace=\"media\"} 0.5\n\
            av1_encode_job_workers{namespace=\"media\",library=\"films\",job=\"a\"} 2 1700000000000\n\
            av1_encode_job_eta_seconds{namespace=\"media\",library=\"films\",job=\"b\"} NaN\n\
            av1_operator_leader 1\n";
        let a = JobGauges { progress: Some(0.5), workers: Some(2.0), ..JobGauges::default() };
        assert_eq!(Page::read(text).jobs, Gauges::from([(("media".to_owned(), "a".to_owned()), a)]));
    }

    #[test]
    fn gauges_of_nodes_are_gathered_by_node() {
        let text = "av1_node_cpu_utilization_ratio{node=\"n1\"} 0.85\nav1_node_memory_utilization_ratio{node=\"n1\"} 0.5\n\
            av1_node_load{node=\"n1\",window=\"1m\"} 7.5\nav1_node_load{node=\"n1\",window=\"15m\"} 6\n\
            av1_node_encode_cpus{node=\"n1\",state=\"assigned\"} 8\nav1_node_encode_cpus{node=\"n1\",state=\"busy\"} 7.5\n\
            av1_node_load{node=\"n2\",window=\"1h\"} 1\n";
        let n1 = NodeGauges {
            cpu: Some(0.85),
            memory: Some(0.5),
            loads: [Some(7.5), None, Some(6.0)],
            assigned_cpus: Some(8.0),
            busy_cpus: Some(7.5),
        };
        assert_eq!(Page::read(text).nodes, BTreeMap::from([("n1".to_owned(), n1)]));
    }

    #[test]
    fn quoted_braces_and_quotes_do_not_end_a_label() {
        let (labels, rest) = read_labels("a=\"x}\\\"y\\\\\",b=\"\"} 1").unwrap();
        assert_eq!((labels["a"].as_str(), labels["b"].as_str(), rest), ("x}\"y\\", "", " 1"));
    }

    #[test]
    fn text_that_is_no_exposition_yields_nothing() {
        for text in ["", "<html>{</html>", "av1_x{a=\"", "av1_x{a=\"b\"} many"] {
            assert_eq!(Page::read(text), Page::default(), "{text}");
        }
    }

    #[test]
    fn fuzz_any_text_is_read() {
        let fuzz = av1_fuzz::Fuzz::new("exposition").sample(av1_fuzz::samples::METRICS);
        fuzz.large("av1_x{".repeat(1 << 16)).large("a=\"".repeat(1 << 16)).run(|bytes| {
            let _ = Page::read(&String::from_utf8_lossy(bytes));
        });
    }
}
