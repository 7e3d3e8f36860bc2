//! Expressions of PromQL over the table of metrics: names come from its constants alone, so that they can't drift.
//!
//! Must never: hold the name of a metric of the operator.

use av1_crds::metrics::{self, Kind, Metric};
use av1_crds::reasons;

/// What a dashboard's variables choose.
pub(crate) const CHOSEN: &str = r#"namespace=~"$namespace",library=~"$library""#;
/// One library.
pub(crate) const LIBRARY: &str = "namespace, library";
/// The labels of a panel that tells libraries apart.
pub(crate) const LIBRARY_LEGEND: &str = "{{namespace}}/{{library}}";

/// Every client of Prometheus exports these under the same names; see [`of_operator`].
pub(crate) const PROCESS_START: &str = "process_start_time_seconds";
pub(crate) const PROCESS_MEMORY: &str = "process_resident_memory_bytes";
pub(crate) const PROCESS_CPU: &str = "process_cpu_seconds_total";
pub(crate) const PROCESS_FILES: &str = "process_open_fds";

/// Outcomes that mean trouble: neither a verdict on the file nor the user's own wish.
pub(crate) const FAILURES: [&str; 16] = [
    reasons::VERIFICATION_FAILED,
    reasons::INVALID_ENCODER_PARAMS,
    reasons::ENCODE_FAILED,
    reasons::STALLED,
    reasons::OUT_OF_MEMORY,
    reasons::POD_LOST,
    reasons::NO_SPACE,
    reasons::BAD_OUTPUT,
    reasons::REPLACEMENT_FAILED,
    reasons::WRONG_VOLUME,
    reasons::OWNED_BY_ANOTHER,
    reasons::TOOLS_UNUSABLE,
    reasons::INVALID_TASK,
    reasons::IO_ERROR,
    reasons::TOO_MANY_FAILURES,
    reasons::TARGET_EXISTS,
];

/// Series of a counter or gauge; `matchers` as they stand between braces, or nothing.
pub(crate) fn of(metric: &Metric, matchers: &str) -> String {
    series(metric.name, matchers)
}

/// Buckets of a histogram.
pub(crate) fn buckets(metric: &Metric, matchers: &str) -> String {
    debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{} is no histogram", metric.name);
    series(&format!("{}_bucket", metric.name), matchers)
}

/// How many values a histogram has seen.
pub(crate) fn counted(metric: &Metric, matchers: &str) -> String {
    debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{} is no histogram", metric.name);
    series(&format!("{}_count", metric.name), matchers)
}

/// Sum of the values that a histogram has seen.
pub(crate) fn total(metric: &Metric, matchers: &str) -> String {
    debug_assert!(matches!(metric.kind, Kind::Histogram(_)), "{} is no histogram", metric.name);
    series(&format!("{}_sum", metric.name), matchers)
}

fn series(name: &str, matchers: &str) -> String {
    if matchers.is_empty() { name.to_owned() } else { format!("{name}{{{matchers}}}") }
}

/// By how much counters rose within a window. A series that began within it counts from zero: the first value of a counter
/// with labels is not zero but one, which `increase` alone never sees.
pub(crate) fn risen(series: &str, window: &str) -> String {
    format!("({series} unless {series} offset {window} or increase({series}[{window}]))")
}

pub(crate) fn sum(expr: &str) -> String {
    format!("sum({expr})")
}

pub(crate) fn sum_by(labels: &str, expr: &str) -> String {
    format!("sum by ({labels}) ({expr})")
}

/// A quantile of what a histogram saw within a window.
pub(crate) fn quantile(of: f64, by: &str, metric: &Metric, matchers: &str, window: &str) -> String {
    let labels = if by.is_empty() { "le".to_owned() } else { format!("le, {by}") };
    format!("histogram_quantile({of}, {})", sum_by(&labels, &risen(&buckets(metric, matchers), window)))
}

/// A series that every process exports, of the operator's processes.
pub(crate) fn of_operator(series: &str) -> String {
    format!("{series} and on (job, instance) {}", metrics::BUILD_INFO.name)
}

/// The outcomes of some reasons.
pub(crate) fn reason_in(reasons: &[&str]) -> String {
    format!("reason=~\"{}\"", reasons.join("|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_without_matchers_has_no_braces() {
        assert_eq!(of(&metrics::LEADER, ""), "av1_operator_leader");
        assert_eq!(
            quantile(0.5, "height_class", &metrics::ENCODE_SPEED, "", "1h"),
            "histogram_quantile(0.5, sum by (le, height_class) ((av1_encode_speed_ratio_bucket unless \
             av1_encode_speed_ratio_bucket offset 1h or increase(av1_encode_speed_ratio_bucket[1h]))))"
        );
    }

    #[test]
    fn failures_are_reasons_of_outcomes() {
        for failure in FAILURES {
            assert!(reasons::ALL.iter().any(|(name, ..)| *name == failure), "{failure}");
        }
    }
}
