//! What every panel of every dashboard has, and that its expressions ask for what exists.

use std::collections::BTreeSet;

use av1_crds::metrics::{self, Kind};
use serde_json::Value;

use super::all;
use crate::generate::rules;

fn dashboards() -> Vec<(&'static str, Value)> {
    all().unwrap().into_iter().map(|(name, text)| (name, serde_json::from_str(&text).unwrap())).collect()
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

fn expressions() -> Vec<String> {
    let mut found = rules::expressions();
    for (_, dashboard) in dashboards() {
        for target in panels(&dashboard).flat_map(|panel| panel["targets"].as_array().unwrap()) {
            found.push(target["expr"].as_str().unwrap().to_owned());
        }
    }
    found
}

/// The operator's series in an expression, each with what stands between its braces.
fn series(expr: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':');
    expr.match_indices("av1_")
        .filter(|(at, _)| !expr[..*at].ends_with(is_name))
        .map(|(at, _)| {
            let rest = &expr[at..];
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let matchers = rest[end..].strip_prefix('{').and_then(|after| after.split('}').next()).unwrap_or_default();
            (&rest[..end], matchers)
        })
        .collect()
}

#[test]
fn every_series_is_in_the_table_with_the_labels_that_are_asked_for() {
    for expr in expressions() {
        for (name, matchers) in series(&expr) {
            let metric = metrics::ALL.iter().find(|metric| match metric.kind {
                Kind::Histogram(_) => {
                    ["_bucket", "_count", "_sum"].iter().any(|end| name.strip_suffix(end) == Some(metric.name))
                }
                Kind::Counter | Kind::Gauge => metric.name == name,
            });
            let metric = metric.unwrap_or_else(|| panic!("{name} in {expr}"));
            for matcher in matchers.split("\",").filter(|matcher| !matcher.is_empty()) {
                let label = matcher.split(['=', '!']).next().unwrap();
                assert!(metric.labels.contains(&label), "{label} of {name} in {expr}");
            }
        }
    }
}

#[test]
fn every_metric_of_the_table_is_on_a_dashboard() {
    let all = expressions().join("\n");
    let asked: BTreeSet<&str> = series(&all).into_iter().map(|(name, _)| name).collect();
    for metric in metrics::ALL {
        assert!(asked.iter().any(|name| name.starts_with(metric.name)), "{}", metric.name);
    }
}

#[test]
fn every_panel_says_what_it_shows_in_which_unit_and_what_nothing_means() {
    for (name, dashboard) in dashboards() {
        for panel in panels(&dashboard) {
            let title = panel["title"].as_str().unwrap();
            let description = panel["description"].as_str().unwrap();
            assert!(description.len() > 20 && description.ends_with('.'), "{name}: {title}: {description}");
            for pointer in ["/fieldConfig/defaults/unit", "/fieldConfig/defaults/noValue"] {
                assert!(!panel.pointer(pointer).unwrap().as_str().unwrap().is_empty(), "{name}: {title}: {pointer}");
            }
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{name}: {title}");
        }
    }
}

#[test]
fn panels_do_not_overlap_and_ids_are_distinct() {
    for (name, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64()), "{name}: {}", panel["title"]);
            let part = |key: &str| panel["gridPos"][key].as_u64().unwrap();
            assert!(part("x") + part("w") <= 24, "{name}: {}", panel["title"]);
            for x in part("x")..part("x") + part("w") {
                for y in part("y")..part("y") + part("h") {
                    assert!(taken.insert((x, y)), "{name}: {} at {x}, {y}", panel["title"]);
                }
            }
        }
    }
}

#[test]
fn every_dashboard_has_the_same_three_variables() {
    for (name, dashboard) in dashboards() {
        let list = dashboard["templating"]["list"].as_array().unwrap();
        let names: Vec<_> = list.iter().filter_map(|variable| variable["name"].as_str()).collect();
        assert_eq!(names, ["datasource", "namespace", "library"], "{name}");
    }
}
