//! Grafana's dashboards Fleet, Library and Operator: the one source of `dashboards/*.json` and of the chart's copies.
//!
//! Must never: hold the name of a metric; those are in `av1_crds::metrics` and come through `promql`.

mod fleet;
mod library;
mod operator;
mod panel;

use anyhow::Context;
use av1_crds::metrics::{ENCODE_JOB_OUTCOMES, ENCODE_JOBS, LEADER, LIBRARY_FILES, LIBRARY_STORAGE};
use serde_json::{Value, json};

use super::promql::{CHOSEN, LIBRARY, PROCESS_START, of, risen, sum_by};
use panel::{Row, SCHEMA_VERSION, datasource, lay_out};

const TAG: &str = "av1-operator";

struct Dashboard {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    /// Whether more than one library can be looked at.
    several: bool,
    rows: Vec<Row>,
}

/// Every dashboard's name and JSON.
pub(crate) fn all() -> anyhow::Result<Vec<(&'static str, String)>> {
    let dashboards = [
        Dashboard {
            name: "fleet",
            title: "AV1 / Fleet",
            description: "Is it well? What was saved, how fast it goes, how long it still takes, what failed, what the nodes do.",
            several: true,
            rows: fleet::rows(),
        },
        Dashboard {
            name: "library",
            title: "AV1 / Library",
            description: "One library: where its files stand, how small they became, how good they are, what is slow.",
            several: false,
            rows: library::rows(),
        },
        Dashboard {
            name: "operator",
            title: "AV1 / Operator",
            description: "The operator itself: who leads, reconciles and their errors, requests to the API server, memory.",
            several: true,
            rows: operator::rows(),
        },
    ];
    dashboards
        .iter()
        .map(|dashboard| {
            let text = serde_json::to_string_pretty(&dashboard.json()).context("write a dashboard")?;
            Ok((dashboard.name, text + "\n"))
        })
        .collect()
}

impl Dashboard {
    fn json(&self) -> Value {
        json!({
            "uid": format!("av1-{}", self.name),
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": true,
            "graphTooltip": 1,
            "refresh": "30s",
            "time": {"from": "now-24h", "to": "now"},
            "timezone": "browser",
            "annotations": {"list": []},
            "links": [{
                "title": "AV1", "type": "dashboards", "tags": [TAG], "asDropdown": false, "includeVars": true,
                "keepTime": true, "targetBlank": false, "icon": "external link", "tooltip": "The other dashboards",
            }],
            "templating": {"list": self.variables()},
            "panels": lay_out(&self.rows),
        })
    }

    fn variables(&self) -> Value {
        let namespaces = format!("label_values({}, namespace)", of(&ENCODE_JOBS, ""));
        let libraries = format!("label_values({}, library)", of(&ENCODE_JOBS, r#"namespace=~"$namespace""#));
        json!([
            {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus", "refresh": 1,
                "hide": 0, "multi": false, "includeAll": false},
            self.variable("namespace", "Namespace", &namespaces, true),
            self.variable("library", "Library", &libraries, self.several),
        ])
    }

    fn variable(&self, name: &str, label: &str, query: &str, all: bool) -> Value {
        let mut variable = json!({
            "name": name, "label": label, "type": "query", "datasource": datasource(), "refresh": 2, "sort": 1, "hide": 0,
            "query": {"query": query, "refId": format!("variable-{name}"), "qryType": 1}, "multi": all && self.several,
            "includeAll": all,
        });
        if all {
            variable["allValue"] = json!(".*");
            variable["current"] = json!({"text": "All", "value": "$__all"});
        }
        variable
    }
}

/// The choice of the variables and further matchers.
fn chosen(more: &str) -> String {
    format!("{CHOSEN},{more}")
}

/// By library: how long the files that wait will take, at the rate of the last day. An operator that was started within it has
/// counted since then, and one that was installed an hour ago is no day's rate.
pub(crate) fn backlog_seconds(matchers: &str) -> String {
    let pending =
        if matchers.is_empty() { r#"state="pending""#.to_owned() } else { format!(r#"{matchers},state="pending""#) };
    let waiting = sum_by(LIBRARY, &of(&LIBRARY_FILES, &pending));
    let ended = of(&ENCODE_JOB_OUTCOMES, matchers);
    let age = format!("max(time() - ({PROCESS_START} and on (job, instance) {} == 1))", of(&LEADER, ""));
    format!(
        "{waiting} * on () group_left () ({age} < 86400) / on ({LIBRARY}) ({} > 0) or 86400 * {waiting} / ({} > 0)",
        sum_by(LIBRARY, &ended),
        sum_by(LIBRARY, &risen(&ended, "1d"))
    )
}

/// By library: part of the volume that is free.
pub(crate) fn disk_free(matchers: &str) -> String {
    let of_state = |state: &str| {
        let matchers =
            if matchers.is_empty() { format!(r#"state="{state}""#) } else { format!(r#"{matchers},state="{state}""#) };
        sum_by(LIBRARY, &of(&LIBRARY_STORAGE, &matchers))
    };
    format!("{} / ({} > 0)", of_state("free"), of_state("total"))
}

#[cfg(test)]
mod tests;
