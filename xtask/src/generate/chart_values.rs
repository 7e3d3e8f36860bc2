//! The part of the chart's `values.schema.json` that describes `libraryDefaults`: the sections of the CRDs in JSON Schema. The rest of
//! that file is written by hand.
//!
//! Must never: take a value that the CRDs refuse; rules that JSON Schema cannot say are left to the operator.

use anyhow::Context;
use serde_json::{Value, json};

use super::crd::Crd;

const NAME: &str = "libraryDefaults";
const MEANING: &str = "Settings that hold for every library that does not write them itself; the operator checks them when it starts. Default: streams.dropLanguages: [ru].";

/// `text`, the present file, with the sections that an EncodeJob has from `crds`.
pub(crate) fn with_library_defaults(text: &str, crds: &[Crd]) -> anyhow::Result<String> {
    const SETTINGS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/settings";
    let settings = crds.iter().find_map(|crd| crd.value.pointer(SETTINGS)).context("no definition has settings")?;
    put(text, settings)
}

fn put(text: &str, settings: &Value) -> anyhow::Result<String> {
    let start = format!("\n    \"{NAME}\": ");
    let (before, rest) = text.split_once(&start).with_context(|| format!("a schema of values without {NAME}"))?;
    let (_, after) = rest.split_once("\n    },\n").with_context(|| format!("no end of {NAME}"))?;
    let mut settings = settings.clone();
    settings["description"] = json!(MEANING);
    Ok(format!("{before}{start}{},\n{after}", section(&settings, 4)?))
}

/// Fields line by line, values on one line, as the rest of the file has them.
fn section(schema: &Value, indent: usize) -> anyhow::Result<String> {
    let Some(properties) = schema["properties"].as_object() else {
        return value(schema);
    };
    let (own, inner) = (" ".repeat(indent + 2), " ".repeat(indent + 4));
    let fields: Vec<String> = properties
        .iter()
        .map(|(name, field)| Ok(format!("{inner}\"{name}\": {}", section(field, indent + 4)?)))
        .collect::<anyhow::Result<_>>()?;
    let required = schema.get("required").map(|names| format!("\"required\": {names}, ")).unwrap_or_default();
    Ok(format!(
        "{{\n{own}\"type\": \"object\", \"additionalProperties\": false, {required}\"description\": {},\n{own}\"properties\": {{\n{}\n{own}}}\n{}}}",
        description(schema),
        fields.join(",\n"),
        " ".repeat(indent)
    ))
}

/// A field that has none below it.
fn value(schema: &Value) -> anyhow::Result<String> {
    const BOUNDS: [&str; 8] = ["type", "enum", "minimum", "maximum", "minLength", "maxLength", "maxItems", "pattern"];
    let mut said: Vec<String> =
        BOUNDS.iter().filter_map(|key| Some(format!("\"{key}\": {}", spaced(schema.get(key)?)))).collect();
    let mut items = schema.get("items").cloned();
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten() {
        let rule = rule["rule"].as_str().context("a rule without a text")?;
        match (&mut items, matched(rule, "self")) {
            (None, Some(pattern)) => said.push(format!("\"pattern\": {}", json!(pattern))),
            (Some(items), None) => of_items(rule, items),
            _ => {}
        }
    }
    if let Some(items) = items {
        said.push(format!("\"items\": {}", value(&items)?));
    }
    if schema.get("description").is_some() {
        said.push(format!("\"description\": {}", description(schema)));
    }
    Ok(format!("{{{}}}", said.join(", ")))
}

/// The pattern of a rule that is nothing but one.
fn matched<'a>(rule: &'a str, of: &str) -> Option<&'a str> {
    let pattern = rule.strip_prefix(of)?.strip_prefix(".matches('")?.strip_suffix("')")?;
    (!pattern.contains('\'')).then_some(pattern)
}

/// What a rule says of each entry of a list: a pattern, or the values that there are.
fn of_items(rule: &str, items: &mut Value) {
    let each = rule.strip_prefix("self.all(").and_then(|rest| rest.strip_suffix(')')?.split_once(", "));
    let Some((name, rule)) = each else { return };
    if let Some(pattern) = matched(rule, name) {
        items["pattern"] = json!(pattern);
    } else if let Some(list) = rule.strip_prefix(name).and_then(|rest| rest.strip_prefix(" in [")?.strip_suffix(']')) {
        items["enum"] = list.split(", ").map(|word| word.trim_matches('\'')).collect();
    }
}

fn description(schema: &Value) -> Value {
    json!(schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A list with a space after each comma.
fn spaced(value: &Value) -> String {
    match value.as_array() {
        Some(list) => format!("[{}]", list.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        None => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_ranges_and_simple_rules_become_json_schema_and_the_rest_of_the_file_stays() {
        let settings = json!({"type": "object", "properties": {"streams": {"type": "object", "description": "Which\nstreams.", "properties": {
            "allow": {"type": "array", "maxItems": 2, "items": {"type": "string"}, "nullable": true,
                "x-kubernetes-validations": [{"rule": "self.all(r, r in ['A', 'B'])"}]},
            "drop": {"type": "array", "items": {"type": "string", "maxLength": 3},
                "x-kubernetes-validations": [{"rule": "self.all(l, l.matches('^[a-z]+$'))"}]},
            "keep": {"type": "string", "description": "For \"how\" long.", "x-kubernetes-validations": [{"rule": "self.matches('^[0-9]+h$')"}]},
            "url": {"type": "string", "x-kubernetes-validations": [{"rule": "self == '' || self.matches('^h')"}]}
        }}}});
        let file = "{\n    \"a\": 1,\n    \"libraryDefaults\": {\n      \"old\": true\n    },\n    \"z\": 1\n}\n";
        let expected = format!(
            r#"{{
    "a": 1,
    "libraryDefaults": {{
      "type": "object", "additionalProperties": false, "description": "{MEANING}",
      "properties": {{
        "streams": {{
          "type": "object", "additionalProperties": false, "description": "Which streams.",
          "properties": {{
            "allow": {{"type": "array", "maxItems": 2, "items": {{"type": "string", "enum": ["A", "B"]}}}},
            "drop": {{"type": "array", "items": {{"type": "string", "maxLength": 3, "pattern": "^[a-z]+$"}}}},
            "keep": {{"type": "string", "pattern": "^[0-9]+h$", "description": "For \"how\" long."}},
            "url": {{"type": "string"}}
          }}
        }}
      }}
    }},
    "z": 1
}}
"#
        );
        let made = put(file, &settings).unwrap();
        assert_eq!(made, expected);
        assert_eq!(put(&made, &settings).unwrap(), expected, "a second time changes nothing");
        assert!(serde_json::from_str::<Value>(&made).is_ok());
        assert!(put("{}", &settings).is_err());
    }
}
