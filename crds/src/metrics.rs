//! The table of metrics: name, kind, labels, help. Registration, documentation, dashboards and rules all read it.

/// Kind of a metric, as Prometheus names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Rises and falls.
    Gauge,
}

/// One metric family.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Full name with prefix and unit.
    pub name: &'static str,
    /// Its kind.
    pub kind: Kind,
    /// Label names in order.
    pub labels: &'static [&'static str],
    /// One sentence with the unit.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($ident:ident = $name:literal, $kind:ident, [$($label:literal),*], $help:literal;)+) => {
        $(#[doc = $help] pub const $ident: Metric = Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+
        /// Every metric of the operator.
        pub const ALL: &[Metric] = &[$($ident),+];
    };
}

metrics! {
    ENCODE_JOBS = "av1_encode_jobs", Gauge, ["namespace", "library", "phase"], "EncodeJobs by phase.";
    ENCODE_JOB_OUTCOMES = "av1_encode_job_outcomes_total", Counter, ["namespace", "library", "reason"], "EncodeJobs that reached a terminal phase, by reason, since the operator started.";
    LIBRARY_FILES = "av1_library_files", Gauge, ["namespace", "library", "state"], "Files of the library by state, as the catalog counts them.";
    LIBRARY_BYTES = "av1_library_bytes", Gauge, ["namespace", "library", "state"], "Bytes of the library by state: scanned, replacedBefore, replacedAfter, freed, inTrash.";
    BYTES_READ = "av1_bytes_read_total", Counter, [], "Bytes of source files whose encode ended with a verdict, since the operator started.";
    BYTES_WRITTEN = "av1_bytes_written_total", Counter, [], "Bytes of outputs whose encode ended with a verdict, since the operator started.";
    BYTES_SAVED = "av1_bytes_saved_total", Counter, [], "Bytes by which replaced files became smaller, since the operator started.";
    FRAMES_ENCODED = "av1_frames_encoded_total", Counter, [], "Frames of encodes that ended with a verdict, since the operator started.";
    TRASH_PURGED_BYTES = "av1_trash_purged_bytes_total", Counter, ["namespace", "library"], "Bytes of files that left the trash after their time, since the operator started.";
    TRASH_KEPT_FILES = "av1_trash_kept_files", Gauge, ["namespace", "library"], "Files in the trash that stay past their time, because what replaced them is not as it was written.";
    VERIFICATION_FAILURES = "av1_verification_failures_total", Counter, ["check"], "Failed checks by name, since the operator started.";
    NOTIFICATIONS = "av1_notifications_total", Counter, ["namespace", "library", "result"], "Notifications of replaced and restored files by result (delivered, failed), since the operator started.";
    JOB_PROGRESS = "av1_encode_job_progress_ratio", Gauge, ["namespace", "library", "job"], "Part of the frames of a running encode that are done, 0 to 1.";
    JOB_FRAMES_PER_SECOND = "av1_encode_job_frames_per_second", Gauge, ["namespace", "library", "job"], "Frames a second of a running encode over the last minute.";
    JOB_ETA = "av1_encode_job_eta_seconds", Gauge, ["namespace", "library", "job"], "Seconds until a running encode has encoded its last frame, at the present rate.";
    JOB_PROJECTED_BYTES = "av1_encode_job_projected_bytes", Gauge, ["namespace", "library", "job"], "Projected size of a running encode's output in bytes.";
    JOB_WORKERS = "av1_encode_job_workers", Gauge, ["namespace", "library", "job"], "Encoder processes that a running encode uses at once.";
    LEADER = "av1_operator_leader", Gauge, [], "1 while this process holds the lease.";
    BUILD_INFO = "av1_operator_build_info", Gauge, ["version"], "Always 1; the label holds the operator's version.";
    RECONCILES = "av1_operator_reconciles_total", Counter, ["kind", "result"], "Reconciles by kind and result (ok, or the error's reason).";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_prometheus_conventions() {
        for metric in ALL {
            assert!(metric.name.starts_with("av1_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }

    #[test]
    fn dashboards_ask_for_metrics_that_exist() {
        let is_name = |c: char| c.is_ascii_lowercase() || c == '_';
        let dashboard = include_str!("../../dashboards/fleet.json");
        let asked =
            || dashboard.match_indices("av1_").map(|(at, _)| dashboard[at..].split(|c| c != '1' && !is_name(c)).next());
        assert!(asked().count() > 10);
        for name in asked().flatten() {
            assert!(ALL.iter().any(|metric| metric.name == name), "{name}");
        }
    }
}
