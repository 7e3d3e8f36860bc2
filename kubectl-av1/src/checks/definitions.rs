//! Whether the kinds are there, served, and have every field that this program knows. Pure.

use av1_crds::{EncodeJob, MediaLibrary, VERSION};
use kube::CustomResourceExt;
use serde_json::Value;

use super::{Facts, Finding, Seen};

const CHECK: &str = "definitions";
const UPGRADE: &str = "`helm upgrade` the chart with crds.enabled, so that the definitions are those of this version";

pub(super) fn check(facts: &Facts) -> Finding {
    let mut versions = Vec::new();
    for (kind, seen) in &facts.definitions {
        let installed = match seen {
            Seen::Got(installed) => installed,
            Seen::Absent => {
                return Finding::problem(
                    CHECK,
                    format!("there is no kind {kind}"),
                    "install the chart (helm install av1-operator helm/av1-operator)",
                );
            }
            Seen::Denied(why) => return Finding::denied(CHECK, why),
            Seen::Away(why) => return Finding::unknown(CHECK, format!("{kind}: {why}")),
        };
        if let Some(problem) = judge(kind, installed) {
            return problem;
        }
        let label = installed.pointer("/metadata/labels/app.kubernetes.io~1version").and_then(Value::as_str);
        versions.push(label.unwrap_or("a version that it does not tell").to_owned());
    }
    versions.dedup();
    let kinds: Vec<&str> = facts.definitions.iter().map(|(kind, _)| *kind).collect();
    Finding::ok(CHECK, format!("{} {VERSION}, of {}", kinds.join(" and "), versions.join(" and ")))
}

fn judge(kind: &str, installed: &Value) -> Option<Finding> {
    let conditions = installed.pointer("/status/conditions").and_then(Value::as_array);
    let is = |name: &str| conditions.is_some_and(|all| all.iter().any(|c| c["type"] == name && c["status"] == "True"));
    if !is("Established") {
        let todo = format!("`kubectl describe crd` says why {kind} is not; two definitions may claim one name");
        return Some(Finding::problem(CHECK, format!("{kind} is not established"), todo));
    }
    let versions = installed.pointer("/spec/versions").and_then(Value::as_array);
    let served = versions.and_then(|all| all.iter().find(|v| v["name"] == VERSION && v["served"] == true));
    let Some(served) = served else {
        return Some(Finding::problem(CHECK, format!("{kind} is not served as {VERSION}"), UPGRADE));
    };
    let ours = match kind {
        "EncodeJob" => EncodeJob::crd(),
        _ => MediaLibrary::crd(),
    };
    let ours = serde_json::to_value(ours).unwrap_or_default();
    let schema = "/schema/openAPIV3Schema";
    let (Some(ours), Some(theirs)) = (ours.pointer(&format!("/spec/versions/0{schema}")), served.pointer(schema))
    else {
        return Some(Finding::unknown(CHECK, format!("{kind} has no schema to compare")));
    };
    let mut missing = Vec::new();
    lacks(ours, theirs, "", &mut missing);
    (!missing.is_empty()).then(|| {
        let found = format!("{kind} is older than this program and lacks {}", super::listed(&missing));
        Finding::problem(CHECK, found, UPGRADE)
    })
}

/// Fields of `ours` that `theirs` does not have.
fn lacks(ours: &Value, theirs: &Value, path: &str, missing: &mut Vec<String>) {
    for (name, field) in ours["properties"].as_object().into_iter().flatten() {
        let at = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match theirs["properties"].get(name) {
            Some(their) => lacks(field, their, &at, missing),
            None => missing.push(at),
        }
    }
    for inner in ["items", "additionalProperties"] {
        if ours[inner].is_object() && theirs[inner].is_object() {
            lacks(&ours[inner], &theirs[inner], path, missing);
        }
    }
}
