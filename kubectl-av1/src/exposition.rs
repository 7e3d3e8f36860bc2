//! Reads the gauges of jobs out of the operator's metrics page (Prometheus text). Pure.

use std::collections::BTreeMap;

use av1_crds::metrics;

/// Figures of a running encode, fresher than those in its status.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct JobGauges {
    /// 0 to 1.
    pub(crate) progress: Option<f64>,
    pub(crate) frames_per_second: Option<f64>,
    pub(crate) eta_seconds: Option<f64>,
    pub(crate) workers: Option<f64>,
}

/// Gauges by namespace and name of the EncodeJob.
pub(crate) type Gauges = BTreeMap<(String, String), JobGauges>;

/// The gauges of jobs in `text`; lines that are none of them, or no metric at all, are passed over.
pub(crate) fn job_gauges(text: &str) -> Gauges {
    let mut gauges = Gauges::new();
    for (name, labels, value) in text.lines().filter_map(sample) {
        let (Some(namespace), Some(job)) = (labels.get("namespace"), labels.get("job")) else {
            continue;
        };
        let slot = |entry: &mut JobGauges| match name {
            name if name == metrics::JOB_PROGRESS.name => entry.progress = Some(value),
            name if name == metrics::JOB_FRAMES_PER_SECOND.name => entry.frames_per_second = Some(value),
            name if name == metrics::JOB_ETA.name => entry.eta_seconds = Some(value),
            name if name == metrics::JOB_WORKERS.name => entry.workers = Some(value),
            _ => {}
        };
        slot(gauges.entry((namespace.clone(), job.clone())).or_default());
    }
    gauges
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
        let gauges = job_gauges(text);
        let a = JobGauges { progress: Some(0.5), workers: Some(2.0), ..JobGauges::default() };
        assert_eq!(gauges, Gauges::from([(("media".to_owned(), "a".to_owned()), a)]));
    }

    #[test]
    fn quoted_braces_and_quotes_do_not_end_a_label() {
        let (labels, rest) = read_labels("a=\"x}\\\"y\\\\\",b=\"\"} 1").unwrap();
        assert_eq!((labels["a"].as_str(), labels["b"].as_str(), rest), ("x}\"y\\", "", " 1"));
    }

    #[test]
    fn text_that_is_no_exposition_yields_nothing() {
        for text in ["", "<html>{</html>", "av1_x{a=\"", "av1_x{a=\"b\"} many"] {
            assert!(job_gauges(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn fuzz_any_text_is_read() {
        let fuzz = av1_fuzz::Fuzz::new("exposition").sample(av1_fuzz::samples::METRICS);
        fuzz.large("av1_x{".repeat(1 << 16)).large("a=\"".repeat(1 << 16)).run(|bytes| {
            let _ = job_gauges(&String::from_utf8_lossy(bytes));
        });
    }
}
