//! What each value of an enumeration means, put into the descriptions of the fields that take it. On its way into a definition an
//! enumeration's own description takes the place of an optional field's, and those of its values are dropped.
//!
//! Must never: change anything but descriptions.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value;

/// What stands before a field's default.
const DEFAULT: &str = "Default: ";

/// Gives the fields of `schema`, made of `T`, their own descriptions, with the meaning of each value.
pub(crate) fn describe<T: JsonSchema>(schema: &mut Value) {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    fill(schema, settings.into_generator().into_root_schema_for::<T>().as_value());
}

/// `source` is the schema as the types say it.
fn fill(schema: &mut Value, source: &Value) {
    for (name, property) in schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flatten() {
        let Some(field) = source.get("properties").and_then(|all| all.get(name)) else { continue };
        let inner = present(field);
        let values = meanings(inner);
        if values.is_empty() {
            fill(property, inner);
        } else if let Some(text) = field.get("description").and_then(Value::as_str) {
            property["description"] = with_values(text, &values).into();
        }
    }
    for list in ["items", "additionalProperties"] {
        if let (Some(items), Some(source)) = (schema.get_mut(list), source.get(list)) {
            fill(items, present(source));
        }
    }
}

/// Of what may be null the schema of what is not.
fn present(field: &Value) -> &Value {
    let choices = field.get("anyOf").and_then(Value::as_array);
    choices.and_then(|all| all.iter().find(|choice| choice["type"] != "null")).unwrap_or(field)
}

/// The values of an enumeration with what each means; none of anything else.
fn meanings(schema: &Value) -> Vec<(&str, &str)> {
    let values = schema.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    values.filter_map(|value| Some((value.get("const")?.as_str()?, value.get("description")?.as_str()?))).collect()
}

/// `text` and what each value means, before the default; alone when it tells of each already.
fn with_values(text: &str, values: &[(&str, &str)]) -> String {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if values.iter().all(|(name, _)| text.contains(&format!(" {name}: "))) {
        return text;
    }
    let told: Vec<String> = values.iter().map(|(name, meaning)| format!("{name}: {}", clause(meaning))).collect();
    match text.split_once(DEFAULT) {
        Some((before, default)) => format!("{before}{} {DEFAULT}{default}", told.join(" ")),
        None => format!("{text} {}", told.join(" ")),
    }
}

/// A sentence as it stands behind a colon: with a small letter, unless its first word is a name.
fn clause(sentence: &str) -> String {
    let sentence = sentence.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut letters = sentence.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    let word = sentence.split(' ').next().unwrap_or_default();
    let is_name = word.chars().skip(1).any(|c| c.is_uppercase() || c.is_ascii_digit());
    if is_name { sentence } else { first + letters.as_str() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fields_own_words_and_the_values_meanings_win_over_the_enumerations() {
        let meanings = json!({"description": "How.", "oneOf": [
            {"const": "Fast", "type": "string", "description": "It is quick."},
            {"const": "Av1", "type": "string", "description": "AV1, as ever."}
        ]});
        let source = json!({"properties": {
            "how": {"description": "How it\ngoes. Default: Fast. Or so.", "anyOf": [meanings, {"type": "null"}]},
            "deep": {"items": {"properties": {"must": {"description": "Must.", "oneOf": meanings["oneOf"]}}}}
        }});
        let mut schema = json!({"properties": {
            "how": {"description": "How.", "enum": ["Fast", "Av1"]},
            "deep": {"items": {"properties": {"must": {"description": "Must."}}}}
        }});
        fill(&mut schema, &source);
        assert_eq!(
            schema["properties"]["how"],
            json!({"description": "How it goes. Fast: it is quick. Av1: AV1, as ever. Default: Fast. Or so.", "enum": ["Fast", "Av1"]})
        );
        assert_eq!(
            schema["properties"]["deep"]["items"]["properties"]["must"]["description"],
            "Must. Fast: it is quick. Av1: AV1, as ever."
        );
    }

    #[test]
    fn a_description_that_tells_of_each_value_stays() {
        let told = "What. One: first. Two: second. Default: One.";
        assert_eq!(with_values(told, &[("One", "A."), ("Two", "B.")]), told);
        assert_eq!(with_values("What.", &[("One", "First."), ("Two", "Second.")]), "What. One: first. Two: second.");
    }
}
