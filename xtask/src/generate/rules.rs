//! Recording rules and alerts: the one source of `dashboards/rules.yaml` and of the chart's copy.
//!
//! Must never: hold the name of a metric; those are in `av1_crds::metrics` and come through `promql`.

use anyhow::Context;
use av1_crds::metrics::{
    ENCODE_JOB_OUTCOMES, ENCODE_JOBS, JOB_PROGRESS, LEADER, LIBRARY_CONDITION, VERIFICATION_FAILURES,
};
use serde_json::{Value, json};

use super::dashboards::{backlog_seconds, disk_free};
use super::promql::{FAILURES, LIBRARY, of, reason_in, risen, sum_by};

/// Below it lies a page for each alert.
const RUNBOOKS: &str = "https://github.com/av1-operator/av1-operator/blob/main/docs/runbooks";

const OUTCOMES: &str = "av1:encode_job_outcomes:increase6h";
const FAILED: &str = "av1:encode_job_failures:increase6h";
const FAILURE_RATIO: &str = "av1:encode_job_failures:ratio6h";
const DISK_FREE: &str = "av1:library_storage_free:ratio";
const BACKLOG: &str = "av1:library_backlog:seconds";

struct Recording {
    name: &'static str,
    expr: String,
}

struct Alert {
    name: &'static str,
    expr: String,
    /// How long it must be so, in minutes.
    minutes: u32,
    severity: &'static str,
    summary: &'static str,
    description: &'static str,
}

fn recordings() -> Vec<Recording> {
    let outcomes = sum_by(LIBRARY, &risen(&of(&ENCODE_JOB_OUTCOMES, ""), "6h"));
    let failed = sum_by(LIBRARY, &risen(&of(&ENCODE_JOB_OUTCOMES, &reason_in(&FAILURES)), "6h"));
    vec![
        // Every library has a number, also while none of its jobs has ended.
        Recording { name: OUTCOMES, expr: format!("{outcomes} or 0 * {}", sum_by(LIBRARY, &of(&ENCODE_JOBS, ""))) },
        Recording { name: FAILED, expr: format!("{failed} or 0 * {}", sum_by(LIBRARY, &of(&ENCODE_JOBS, ""))) },
        Recording { name: FAILURE_RATIO, expr: format!("{FAILED} / clamp_min({OUTCOMES}, 1)") },
        Recording { name: DISK_FREE, expr: disk_free("") },
        Recording { name: BACKLOG, expr: backlog_seconds("") },
    ]
}

fn alerts() -> Vec<Alert> {
    let in_phase = |phase: &str| sum_by(LIBRARY, &of(&ENCODE_JOBS, &format!("phase=\"{phase}\"")));
    let ended = |window| sum_by(LIBRARY, &risen(&of(&ENCODE_JOB_OUTCOMES, ""), window));
    vec![
        Alert {
            name: "Av1OperatorAbsent",
            expr: format!("absent({} == 1)", of(&LEADER, "")),
            minutes: 5,
            severity: "critical",
            summary: "No av1-operator holds the lease",
            description: "For 5 minutes no process that Prometheus scrapes has held the operator's lease. Encodes that run go on; nothing new starts, and what has ended is not swapped in.",
        },
        Alert {
            name: "Av1LibraryDegraded",
            expr: format!("{} > 0", sum_by(LIBRARY, &of(&LIBRARY_CONDITION, r#"condition="Degraded""#))),
            minutes: 15,
            severity: "warning",
            summary: "Library {{ $labels.namespace }}/{{ $labels.library }} needs a person",
            description: "Its condition Degraded has been True for 15 minutes, and its message says what to do: kubectl av1 status {{ $labels.library }} -n {{ $labels.namespace }}.",
        },
        Alert {
            name: "Av1NoProgress",
            expr: format!(
                "{} > 0 unless on ({LIBRARY}) {} > 0 unless on ({LIBRARY}) {} > 0",
                in_phase("Encoding"),
                sum_by(LIBRARY, &format!("changes({}[1h])", of(&JOB_PROGRESS, ""))),
                ended("1h")
            ),
            minutes: 120,
            severity: "warning",
            summary: "Encodes of library {{ $labels.namespace }}/{{ $labels.library }} do not move",
            description: "Jobs in phase Encoding: {{ $value }}. For 3 hours none of them has done a frame, and none has ended.",
        },
        Alert {
            name: "Av1FailureRate",
            expr: format!("{FAILURE_RATIO} > 0.2 and {FAILED} > 2.5"),
            minutes: 15,
            severity: "warning",
            summary: "{{ $value | humanizePercentage }} of the jobs of library {{ $labels.namespace }}/{{ $labels.library }} fail",
            description: "Of the jobs that ended within 6 hours, {{ $value | humanizePercentage }} were given up, at least three of them; more than 20 % is too many. Their files are untouched.",
        },
        Alert {
            name: "Av1VerificationFailures",
            expr: format!("{} > 0", sum_by("check", &risen(&of(&VERIFICATION_FAILURES, ""), "1h"))),
            minutes: 0,
            severity: "warning",
            summary: "Outputs that failed the check {{ $labels.check }} within an hour: {{ $value | printf \"%.0f\" }}",
            description: "The check {{ $labels.check }} found an output that is not what its source is. The output was thrown away and the source is untouched. Silent while every check has passed since the operator started.",
        },
        Alert {
            name: "Av1DiskNearlyFull",
            expr: format!("{DISK_FREE} < 0.1"),
            minutes: 15,
            severity: "warning",
            summary: "{{ $value | humanizePercentage }} of the volume of library {{ $labels.namespace }}/{{ $labels.library }} is free",
            description: "Less than 10 % has been free for 15 minutes. Below spec.storage.minFreePercent, 5 % unless it says otherwise, no encode starts.",
        },
        Alert {
            name: "Av1SettleStuck",
            expr: format!(
                "{} > 0 unless on ({LIBRARY}) {} > 0",
                sum_by(LIBRARY, &format!("min_over_time({}[30m])", of(&ENCODE_JOBS, r#"phase="Settling""#))),
                ended("30m")
            ),
            minutes: 15,
            severity: "warning",
            summary: "Jobs of library {{ $labels.namespace }}/{{ $labels.library }} that cannot be settled: {{ $value }}",
            description: "They have been in phase Settling for 45 minutes and no job of the library has ended meanwhile. Each name still holds the whole original or the whole verified output.",
        },
    ]
}

/// Every expression, without those of other rules' names.
#[cfg(test)]
pub(crate) fn expressions() -> Vec<String> {
    recordings().into_iter().map(|rule| rule.expr).chain(alerts().into_iter().map(|alert| alert.expr)).collect()
}

/// The file that Prometheus reads; below `spec` it is what a PrometheusRule holds.
pub(crate) fn yaml() -> anyhow::Result<String> {
    let recordings: Vec<Value> =
        recordings().into_iter().map(|rule| json!({"record": rule.name, "expr": rule.expr})).collect();
    let alerts: Vec<Value> = alerts().into_iter().map(|alert| alert.json()).collect();
    let groups = json!({"groups": [
        {"name": "av1-operator.recordings", "interval": "1m", "rules": recordings},
        {"name": "av1-operator.alerts", "interval": "1m", "rules": alerts},
    ]});
    let yaml = serde_yaml::to_string(&groups).context("write the rules")?;
    Ok(format!("# Generated by `make generate` from xtask/src/generate/rules.rs. Do not edit.\n{yaml}"))
}

impl Alert {
    fn json(self) -> Value {
        let mut rule = json!({
            "alert": self.name,
            "expr": self.expr,
            "labels": {"severity": self.severity},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": format!("{RUNBOOKS}/{}.md", self.name),
            },
        });
        if self.minutes > 0 {
            rule["for"] = json!(format!("{}m", self.minutes));
        }
        rule
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_alert_has_a_page_and_a_unit_test() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let tests = fs::read_to_string(root.join("dashboards/rules.test.yaml")).unwrap();
        for alert in alerts() {
            let page = fs::read_to_string(root.join(format!("docs/runbooks/{}.md", alert.name))).unwrap();
            assert!(page.starts_with(&format!("# {}\n", alert.name)), "{}", alert.name);
            for head in ["## Meaning", "## Impact", "## What to look at", "## What to do"] {
                assert!(page.contains(head), "{}: {head}", alert.name);
            }
            assert!(tests.contains(&format!("alertname: {}", alert.name)), "{}", alert.name);
        }
        let pages = fs::read_dir(root.join("docs/runbooks")).unwrap().count();
        assert_eq!(pages, alerts().len(), "pages of docs/runbooks without an alert");
    }
}
