//! Whether a value is one that the schema of our kinds takes, for what reaches a program without an API server in between.
//!
//! Finds unknown names, values of the wrong kind or out of range. Rules (CEL) are not evaluated here.

use kube::CustomResourceExt;
use serde_json::Value;

use crate::{EncodeJob, MediaLibrary};

/// The schema of a MediaLibrary's `spec`.
///
/// # Errors
/// A definition that is no JSON.
pub fn library_spec() -> serde_json::Result<Value> {
    let crd = serde_json::to_value(MediaLibrary::crd())?;
    Ok(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"].clone())
}

/// The schema of the sections that the chart, a library and a job share.
///
/// # Errors
/// A definition that is no JSON.
pub fn settings() -> serde_json::Result<Value> {
    let crd = serde_json::to_value(EncodeJob::crd())?;
    Ok(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["settings"].clone())
}

/// Checks `value` against `schema`: names, kinds, values of enumerations, ranges and lengths. `path` is where it stands.
///
/// # Errors
/// A sentence that names the field and what it takes.
pub fn check(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
    if value.is_null() {
        return Ok(());
    }
    if let Some(kind) = wanted(schema, value) {
        return Err(format!("{path} is {value}: write {kind}"));
    }
    if let Some(known) = schema["enum"].as_array()
        && !known.contains(value)
    {
        let known: Vec<String> = known.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect();
        return Err(format!("{path} is {value}: write one of {}", known.join(", ")));
    }
    match value {
        Value::Object(fields) => {
            let Some(properties) = schema["properties"].as_object() else { return Ok(()) };
            for (name, value) in fields {
                let path = join(path, name);
                let schema = properties.get(name).ok_or_else(|| {
                    let known: Vec<&str> = properties.keys().map(String::as_str).collect();
                    format!("{path} is not a setting; known here: {}", known.join(", "))
                })?;
                check(schema, value, &path)?;
            }
            Ok(())
        }
        Value::Array(items) => {
            if schema["maxItems"].as_u64().is_some_and(|most| items.len() as u64 > most) {
                return Err(format!("{path} has {} entries: it takes at most {}", items.len(), schema["maxItems"]));
            }
            items.iter().try_for_each(|item| check(&schema["items"], item, path))
        }
        Value::String(text) => {
            if schema["maxLength"].as_u64().is_some_and(|most| text.chars().count() as u64 > most) {
                return Err(format!("{path} is longer than {} characters: shorten it", schema["maxLength"]));
            }
            Ok(())
        }
        Value::Number(number) => {
            let (least, most) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
            let number = number.as_f64().unwrap_or(f64::NAN);
            if least.is_some_and(|least| number < least) || most.is_some_and(|most| number > most) {
                let bound = |bound: Option<f64>| bound.map_or_else(|| "any".to_owned(), |bound| bound.to_string());
                return Err(format!("{path} is {value}: it takes {} to {}", bound(least), bound(most)));
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// What the schema wants in place of a value of another kind.
fn wanted(schema: &Value, value: &Value) -> Option<&'static str> {
    let (fits, kind) = match schema["type"].as_str()? {
        "object" => (value.is_object(), "fields with their values"),
        "array" => (value.is_array(), "a list"),
        "string" => (value.is_string(), "a text"),
        "boolean" => (value.is_boolean(), "true or false"),
        "integer" => (value.is_i64() || value.is_u64(), "a whole number"),
        "number" => (value.is_number(), "a number"),
        _ => return None,
    };
    (!fits).then_some(kind)
}

/// The path of `name` within `path`.
#[must_use]
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_value_of_a_wrong_name_kind_or_range_is_named() {
        let schema = settings().unwrap();
        for (value, words) in [
            (json!({"sizeGates": {}}), "sizeGates is not a setting; known here: encode"),
            (json!({"volume": {}}), "volume is not a setting"),
            (json!({"sizeGate": {"maxPercent": "80"}}), "sizeGate.maxPercent is \"80\": write a whole number"),
            (json!({"sizeGate": {"maxPercent": 80.5}}), "sizeGate.maxPercent is 80.5: write a whole number"),
            (json!({"sizeGate": 80}), "sizeGate is 80: write fields with their values"),
            (json!({"streams": {"dropLanguages": "ru"}}), "streams.dropLanguages is \"ru\": write a list"),
            (json!({"streams": {"dropLanguages": [1]}}), "streams.dropLanguages is 1: write a text"),
            (
                json!({"streams": {"dropLanguages": vec!["ru"; 33]}}),
                "streams.dropLanguages has 33 entries: it takes at most 32",
            ),
            (
                json!({"streams": {"dropLanguages": ["r".repeat(65)]}}),
                "streams.dropLanguages is longer than 64 characters",
            ),
            (json!({"streams": {"keepAttachedPictures": 1}}), "streams.keepAttachedPictures is 1: write true or false"),
            (json!({"encode": {"overrides": {"crf": 256}}}), "encode.overrides.crf is 256: it takes 0 to 255"),
            (json!({"encode": {"profile": "Fast"}}), "encode.profile is \"Fast\": write one of "),
        ] {
            let error = check(&schema, &value, "").unwrap_err();
            assert!(error.starts_with(words), "{error}");
        }
        check(&schema, &json!({"sizeGate": null, "encode": {"overrides": {"crf": 20}}}), "").unwrap();
        check(&library_spec().unwrap(), &json!({"pods": {"cpus": 4}}), "").unwrap();
        check(&library_spec().unwrap(), &json!({"pods": {"cpus": "Auto"}}), "").unwrap();
    }
}
