//! The checks of `doctor`: what was seen of a cluster in, findings out. A finding is ok, or says what to do, or says why it cannot be
//! told. Pure.

mod definitions;
mod libraries;
mod nodes;
mod operator;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use av1_crds::MediaLibrary;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use serde::Serialize;
use serde_json::Value;

/// Kinds with the names of their definitions.
pub(crate) const DEFINITIONS: [(&str, &str); 2] =
    [("MediaLibrary", "medialibraries.av1.media"), ("EncodeJob", "encodejobs.av1.media")];
/// Oldest minor version of Kubernetes 1 that the chart takes.
const OLDEST_MINOR: u32 = 33;

/// What a look came to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Seen<T> {
    Got(T),
    /// There is none.
    Absent,
    /// The user may not look; the API server's words.
    Denied(String),
    /// It does not answer; why.
    Away(String),
}

impl<T> Seen<T> {
    pub(crate) fn map<U>(self, to: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Got(found) => Seen::Got(to(found)),
            Self::Absent => Seen::Absent,
            Self::Denied(why) => Seen::Denied(why),
            Self::Away(why) => Seen::Away(why),
        }
    }

    pub(crate) fn got(&self) -> Option<&T> {
        match self {
            Self::Got(found) => Some(found),
            _ => None,
        }
    }
}

/// What was seen of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    /// This program's version.
    pub(crate) plugin: String,
    pub(crate) server: String,
    pub(crate) version: String,
    /// The one namespace whose libraries were read; none means all.
    pub(crate) scope: Option<String>,
    pub(crate) now: Timestamp,
    /// Definitions by kind.
    pub(crate) definitions: Vec<(&'static str, Seen<Value>)>,
    pub(crate) operators: Seen<Vec<OperatorFacts>>,
    pub(crate) nodes: Seen<Vec<Node>>,
    /// Libraries, and what could not be read.
    pub(crate) libraries: Seen<(Vec<MediaLibrary>, Vec<String>)>,
    /// The ready page of each library's catalog, by namespace and name.
    pub(crate) catalogs: BTreeMap<(String, String), Seen<String>>,
}

impl Facts {
    fn libraries(&self) -> &[MediaLibrary] {
        self.libraries.got().map_or(&[], |(libraries, _)| libraries)
    }
}

/// What was seen of one operator.
#[derive(Debug, Clone)]
pub(crate) struct OperatorFacts {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) deployment: Seen<Deployment>,
    pub(crate) lease: Seen<Lease>,
    pub(crate) metrics: Seen<String>,
}

/// Whether something has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum State {
    Ok,
    /// Somebody has to put it right.
    Problem,
    /// It cannot be told, mostly for want of a right.
    Unknown,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Finding {
    pub(crate) check: &'static str,
    pub(crate) state: State,
    pub(crate) found: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) todo: Option<String>,
}

impl Finding {
    fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Ok, found: found.into(), todo: None }
    }

    fn problem(check: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { check, state: State::Problem, found: found.into(), todo: Some(todo.into()) }
    }

    fn unknown(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, state: State::Unknown, found: found.into(), todo: None }
    }

    /// For a look that was refused.
    fn denied(check: &'static str, why: &str) -> Self {
        let todo = "ask whoever runs the cluster for that right".to_owned();
        Self { todo: Some(todo), ..Self::unknown(check, format!("not allowed to look: {why}")) }
    }
}

/// Every check, in the order in which things have to be put right.
pub(crate) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = vec![kubernetes(facts)];
    found.push(definitions::check(facts));
    found.extend(operator::check(facts));
    found.extend(nodes::check(facts));
    found.extend(libraries::check(facts));
    found
}

fn kubernetes(facts: &Facts) -> Finding {
    let plain = facts.version.trim_start_matches('v');
    let minor = plain.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    let found = format!("Kubernetes {plain} at {}", facts.server);
    match minor {
        Some(minor) if plain.starts_with("1.") && minor < OLDEST_MINOR => Finding::problem(
            "cluster",
            found,
            format!(
                "that is older than 1.{OLDEST_MINOR}, the oldest that av1-operator is made for; upgrade the cluster"
            ),
        ),
        _ => Finding::ok("cluster", found),
    }
}

/// The first names and how many more there are.
fn listed(names: &[String]) -> String {
    const MOST: usize = 5;
    let more = names.len().saturating_sub(MOST);
    let tail = if more > 0 { format!(" and {more} more") } else { String::new() };
    names.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ") + &tail
}
