//! Does a required node affinity admit a node? As the scheduler judges it. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Affinity, NodeSelectorRequirement, NodeSelectorTerm};

/// Whether `affinity` admits the node with this name and these labels.
pub(super) fn admits(affinity: Option<&Affinity>, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let required = affinity
        .and_then(|a| a.node_affinity.as_ref())
        .and_then(|n| n.required_during_scheduling_ignored_during_execution.as_ref());
    required.is_none_or(|required| required.node_selector_terms.iter().any(|term| matches(term, name, labels)))
}

fn matches(term: &NodeSelectorTerm, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    // An empty term matches nothing.
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|wanted| holds(wanted, labels.get(&wanted.key).map(String::as_str)))
        && fields.iter().all(|wanted| holds(wanted, (wanted.key == "metadata.name").then_some(name)))
}

fn holds(wanted: &NodeSelectorRequirement, found: Option<&str>) -> bool {
    let values = wanted.values.as_deref().unwrap_or_default();
    let among = found.is_some_and(|found| values.iter().any(|value| value == found));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let limit = number(values.first().map(String::as_str));
    match wanted.operator.as_str() {
        "In" => among,
        "NotIn" => !among,
        "Exists" => found.is_some(),
        "DoesNotExist" => found.is_none(),
        "Gt" => number(found).zip(limit).is_some_and(|(found, limit)| found > limit),
        "Lt" => number(found).zip(limit).is_some_and(|(found, limit)| found < limit),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn judge(terms: Value) -> bool {
        let affinity: Affinity = serde_json::from_value(
            json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}),
        )
        .unwrap();
        let labels = [("zone", "a"), ("cores", "64")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        admits(Some(&affinity), "n1", &labels)
    }

    #[test]
    fn a_node_is_judged_as_the_scheduler_judges_it() {
        let one = |key: &str, operator: &str, values: Value| json!([{"matchExpressions": [{"key": key, "operator": operator, "values": values}]}]);
        for (terms, expected) in [
            (one("zone", "In", json!(["a", "b"])), true),
            (one("zone", "NotIn", json!(["a"])), false),
            (one("rack", "NotIn", json!(["a"])), true),
            (one("zone", "Exists", json!([])), true),
            (one("zone", "DoesNotExist", json!([])), false),
            (one("cores", "Gt", json!(["63"])), true),
            (one("cores", "Lt", json!(["64"])), false),
            (one("zone", "Gt", json!(["1"])), false),
            (one("zone", "Like", json!(["a"])), false),
            (json!([{}]), false),
            (json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n1"]}]}]), true),
            (
                json!([{"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n2"]}]}, {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]),
                true,
            ),
        ] {
            assert_eq!(judge(terms.clone()), expected, "{terms}");
        }
        assert!(admits(None, "n1", &BTreeMap::new()));
    }
}
