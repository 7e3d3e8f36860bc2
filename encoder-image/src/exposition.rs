//! Metrics as Prometheus text, made from figures when they are asked for, with those of the process. Must never: keep them.

use std::fmt::Write;

use av1_crds::metrics::{Kind, Metric};
use prometheus::process_collector::ProcessCollector;
use prometheus::{CounterVec, GaugeVec, Opts, Registry, TextEncoder};

/// Media type of the text.
pub(crate) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// One answer in the making.
pub(crate) struct Exposition(Registry);

impl Exposition {
    /// One with the figures of this process.
    ///
    /// # Errors
    /// [`prometheus::Error`] when a name is not one.
    pub(crate) fn new() -> prometheus::Result<Self> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        Ok(Self(registry))
    }

    /// Adds a metric without labels.
    ///
    /// # Errors
    /// [`prometheus::Error`] when it is there already.
    pub(crate) fn put(&self, metric: &Metric, value: f64) -> prometheus::Result<()> {
        self.put_series::<0>(metric, &[([], value)])
    }

    /// Adds a metric: values of its labels, and the value.
    ///
    /// # Errors
    /// [`prometheus::Error`] when it is there already or has other labels.
    pub(crate) fn put_series<const LABELS: usize>(
        &self,
        metric: &Metric,
        series: &[([&str; LABELS], f64)],
    ) -> prometheus::Result<()> {
        let opts = Opts::new(metric.name, metric.help);
        if metric.kind == Kind::Counter {
            let family = CounterVec::new(opts, metric.labels)?;
            for (labels, value) in series {
                family.get_metric_with_label_values(labels.as_slice())?.inc_by(*value);
            }
            self.0.register(Box::new(family))
        } else {
            let family = GaugeVec::new(opts, metric.labels)?;
            for (labels, value) in series {
                family.get_metric_with_label_values(labels.as_slice())?.set(*value);
            }
            self.0.register(Box::new(family))
        }
    }

    /// The text, in which also those of `table` are named that have no value yet.
    ///
    /// # Errors
    /// [`prometheus::Error`] when a series cannot be written.
    pub(crate) fn text(&self, table: &[Metric]) -> prometheus::Result<String> {
        let families = self.0.gather();
        let mut text = TextEncoder::new().encode_to_string(&families)?;
        for metric in table.iter().filter(|metric| families.iter().all(|family| family.name() != metric.name)) {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "# HELP {0} {1}\n# TYPE {0} {2}", metric.name, metric.help, metric.kind.name());
        }
        Ok(text)
    }
}
