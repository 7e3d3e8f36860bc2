//! The operator's metrics, registered from the table in `av1_crds::metrics`. May: hold counters. Must never: know why they move.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use av1_crds::metrics::{self as table, Kind, Metric};
use av1_crds::reasons;
use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;
use prometheus::{CounterVec, GaugeVec, HistogramOpts, HistogramVec, Opts, Registry, TextEncoder};

/// Every metric of the table, registered.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Families>);

struct Families {
    registry: Registry,
    counters: HashMap<&'static str, CounterVec>,
    gauges: HashMap<&'static str, GaugeVec>,
    histograms: HashMap<&'static str, HistogramVec>,
}

/// Gauges that exist while a job encodes.
const OF_RUNNING_JOBS: [&Metric; 5] = [
    &table::JOB_PROGRESS,
    &table::JOB_FRAMES_PER_SECOND,
    &table::JOB_ETA,
    &table::JOB_PROJECTED_BYTES,
    &table::JOB_WORKERS,
];

impl Metrics {
    /// Registers the whole table, and the figures of this process.
    ///
    /// # Errors
    /// [`prometheus::Error`] when the table names one metric twice or a name is not one.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let (mut counters, mut gauges, mut histograms) = (HashMap::new(), HashMap::new(), HashMap::new());
        for metric in table::ALL {
            let opts = Opts::new(metric.name, metric.help);
            match metric.kind {
                Kind::Counter => {
                    let family = CounterVec::new(opts, metric.labels)?;
                    registry.register(Box::new(family.clone()))?;
                    if metric.labels.is_empty() {
                        family.get_metric_with_label_values::<&str>(&[])?;
                    }
                    counters.insert(metric.name, family);
                }
                Kind::Gauge => {
                    let family = GaugeVec::new(opts, metric.labels)?;
                    registry.register(Box::new(family.clone()))?;
                    gauges.insert(metric.name, family);
                }
                Kind::Histogram(buckets) => {
                    let opts = HistogramOpts { common_opts: opts, buckets: buckets.to_vec() };
                    let family = HistogramVec::new(opts, metric.labels)?;
                    registry.register(Box::new(family.clone()))?;
                    if metric.labels.is_empty() {
                        family.get_metric_with_label_values::<&str>(&[])?;
                    }
                    histograms.insert(metric.name, family);
                }
            }
        }
        Ok(Self(Arc::new(Families { registry, counters, gauges, histograms })))
    }

    /// Raises a counter.
    pub(crate) fn add(&self, metric: &Metric, labels: &[&str], by: f64) {
        match self.0.counters.get(metric.name).map(|family| family.get_metric_with_label_values(labels)) {
            Some(Ok(counter)) if by >= 0.0 => counter.inc_by(by),
            _ => tracing::error!(metric = metric.name, ?labels, by, "not a counter with these labels"),
        }
    }

    /// Sets a gauge.
    pub(crate) fn set(&self, metric: &Metric, labels: &[&str], to: f64) {
        match self.0.gauges.get(metric.name).map(|family| family.get_metric_with_label_values(labels)) {
            Some(Ok(gauge)) => gauge.set(to),
            _ => tracing::error!(metric = metric.name, ?labels, to, "not a gauge with these labels"),
        }
    }

    /// Adds a value to a histogram; one that is no number counts nowhere.
    pub(crate) fn observe(&self, metric: &Metric, labels: &[&str], value: f64) {
        match self.0.histograms.get(metric.name).map(|family| family.get_metric_with_label_values(labels)) {
            Some(Ok(histogram)) if value.is_finite() => histogram.observe(value),
            _ => tracing::error!(metric = metric.name, ?labels, value, "not a histogram with these labels"),
        }
    }

    /// Counts a job that reached a terminal phase; a reason that is not in the table is not made a label.
    pub(crate) fn count_outcome(&self, namespace: &str, library: &str, reason: &str) {
        let known = reasons::ALL.iter().find(|(name, ..)| *name == reason).map_or("Other", |(name, ..)| name);
        self.add(&table::ENCODE_JOB_OUTCOMES, &[namespace, library, known], 1.0);
    }

    /// Takes a gauge away.
    pub(crate) fn remove(&self, metric: &Metric, labels: &[&str]) {
        if let Some(family) = self.0.gauges.get(metric.name) {
            // An error only says that there was no such series.
            let _ = family.remove_label_values(labels);
        }
    }

    /// Takes away every series with these values of labels, of all families that have the labels.
    pub(crate) fn remove_all(&self, of: &[(&str, &str)]) {
        for metric in table::ALL.iter().filter(|metric| of.iter().all(|(name, _)| metric.labels.contains(name))) {
            let counter = self.0.counters.get(metric.name);
            let gauge = self.0.gauges.get(metric.name);
            let histogram = self.0.histograms.get(metric.name);
            let families = counter
                .map(Collector::collect)
                .or_else(|| gauge.map(Collector::collect))
                .or_else(|| histogram.map(Collector::collect))
                .unwrap_or_default();
            for series in families.iter().flat_map(|family| family.get_metric()) {
                let value = |name: &str| series.get_label().iter().find(|l| l.name() == name).map(|l| l.value());
                if of.iter().all(|(name, wanted)| value(name) == Some(*wanted)) {
                    let values: Vec<&str> = metric.labels.iter().filter_map(|name| value(name)).collect();
                    // An error only says that there is no such series.
                    let _ = counter.map(|family| family.remove_label_values(&values));
                    let _ = gauge.map(|family| family.remove_label_values(&values));
                    let _ = histogram.map(|family| family.remove_label_values(&values));
                }
            }
        }
    }

    /// Takes away the gauges of a job that encodes no more.
    pub(crate) fn remove_job(&self, namespace: &str, library: &str, job: &str) {
        for metric in OF_RUNNING_JOBS {
            self.remove(metric, &[namespace, library, job]);
        }
    }

    /// All series in Prometheus' text format.
    ///
    /// # Errors
    /// [`prometheus::Error`] when a series cannot be encoded.
    pub(crate) fn text(&self) -> Result<String, prometheus::Error> {
        let families = self.0.registry.gather();
        let mut text = TextEncoder::new().encode_to_string(&families)?;
        // Also what has no series yet, so that a scrape shows what there is.
        for metric in table::ALL.iter().filter(|metric| families.iter().all(|family| family.name() != metric.name)) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {0} {1}\n# TYPE {0} {2}", metric.name, metric.help, metric.kind.name());
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_one_library_vanish_and_no_others() {
        let metrics = Metrics::new().unwrap();
        for library in ["films", "series"] {
            metrics.set(&table::ENCODE_JOBS, &["media", library, "Queued"], 1.0);
            metrics.set(&table::LIBRARY_FILES, &["media", library, "done"], 1.0);
            metrics.count_outcome("media", library, "NoSuchReason");
        }
        metrics.set(&table::LEADER, &[], 1.0);
        metrics.remove_all(&[("namespace", "media"), ("library", "films")]);
        let text = metrics.text().unwrap();
        assert!(!text.contains("films") && text.matches("\"series\"").count() == 3, "{text}");
        assert!(text.contains("reason=\"Other\"") && text.contains("av1_operator_leader 1"), "{text}");
    }

    #[test]
    fn every_metric_of_the_table_is_registered_and_job_series_vanish() {
        let metrics = Metrics::new().unwrap();
        let text = metrics.text().unwrap();
        for metric in table::ALL {
            let line = format!("# TYPE {} {}\n", metric.name, metric.kind.name());
            assert_eq!(text.matches(&line).count(), 1, "{line}");
        }
        assert!(text.contains("\nprocess_cpu_seconds_total ") && text.contains("\nprocess_open_fds "), "{text}");
        for metric in table::ALL {
            let labels: Vec<&str> = metric.labels.to_vec();
            match metric.kind {
                Kind::Counter => metrics.add(metric, &labels, 1.0),
                Kind::Gauge => metrics.set(metric, &labels, 1.0),
                Kind::Histogram(_) => metrics.observe(metric, &labels, 1.0),
            }
        }
        let text = metrics.text().unwrap();
        for metric in table::ALL {
            assert!(text.contains(&format!("# TYPE {} ", metric.name)), "{}", metric.name);
        }
        metrics.remove_job("namespace", "library", "job");
        let text = metrics.text().unwrap();
        for metric in OF_RUNNING_JOBS {
            assert!(!text.contains(&format!("{}{{", metric.name)), "{}", metric.name);
        }
    }
}
