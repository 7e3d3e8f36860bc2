//! The chart's `libraryDefaults`: settings of every library that does not write them itself, checked before anything starts.
//!
//! Must never: take a name or a value that an API server would refuse in a library.

use av1_crds::quantity::QuantityError;
use av1_crds::settings::{Settings, SettingsSections};
use av1_crds::{layers, schema};
use av1_media::encoders::check::{InvalidParam, check};
use serde_json::Value;

/// Why they cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidDefaults {
    #[error("they are no JSON: {0}")]
    Json(serde_json::Error),
    /// Against the schema of a library's sections; the sentence names the field.
    #[error("{0}")]
    Refused(String),
    #[error("{0}")]
    Quantity(#[from] QuantityError),
    #[error("{0}")]
    Encoder(#[from] InvalidParam),
}

/// The sections in `text`; none in an empty one.
///
/// # Errors
/// [`InvalidDefaults`] with the first name or value that a library could not have.
pub(crate) fn library_defaults(text: &str) -> Result<SettingsSections, InvalidDefaults> {
    if text.trim().is_empty() {
        return Ok(SettingsSections::default());
    }
    let value: Value = serde_json::from_str(text).map_err(InvalidDefaults::Json)?;
    if !value.is_object() {
        return Err(InvalidDefaults::Refused(format!("{value} has no sections: write {{}} for none")));
    }
    let refused = |error: serde_json::Error| InvalidDefaults::Refused(error.to_string());
    schema::check(&schema::settings().map_err(refused)?, &value, "").map_err(InvalidDefaults::Refused)?;
    let sections = serde_json::from_value(value).map_err(refused)?;
    if let Some(words) = layers::refused(&sections) {
        return Err(InvalidDefaults::Refused(words.to_owned()));
    }
    check(&Settings::resolve(&[&sections])?)?;
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sections_are_taken_as_a_library_could_write_them() {
        let sections = library_defaults(r#"{"streams": {"dropLanguages": ["ru"]}, "encode": {"tier": "VeryHigh"}}"#);
        let settings = Settings::resolve(&[&sections.unwrap()]).unwrap();
        assert_eq!(settings.drop_languages, ["ru"]);
        for empty in ["", "{}", r#"{"streams": null}"#, r#"{"streams": {"dropLanguages": []}}"#] {
            let sections = library_defaults(empty).unwrap();
            assert!(Settings::resolve(&[&sections]).unwrap().drop_languages.is_empty(), "{empty}");
        }
    }

    #[test]
    fn what_no_library_could_have_is_refused_with_the_field() {
        for (value, words) in [
            (json!([]), "[] has no sections"),
            (json!({"scan": {"minSize": "1Gi"}}), "scan is not a setting; known here: encode, replacement"),
            (json!({"sizeGate": {"maxPercnt": 80}}), "sizeGate.maxPercnt is not a setting; known here: maxPercent"),
            (json!({"sizeGate": {"maxPercent": 101}}), "sizeGate.maxPercent is 101: it takes 1 to 100"),
            (json!({"streams": {"dropLanguages": ["russian"]}}), "streams.dropLanguages takes primary language tags"),
            (json!({"replacement": {"trashRetention": "a week"}}), "replacement.trashRetention is a duration"),
            (json!({"replacement": {"notify": {}}}), "missing field `url`"),
            (json!({"encode": {"overrides": {"crf": 64}}}), "encode.overrides.crf is 64, but SVT-AV1 takes 1 to 63"),
            (json!({"encode": {"overrides": {"extraParams": ["nvenc=1"]}}}), "means encoding in hardware"),
            (json!({"verify": {"quality": {"metric": "Ssim", "minMean": "38"}}}), "verify.quality.minMean is 38"),
        ] {
            let error = library_defaults(&value.to_string()).unwrap_err().to_string();
            assert!(error.contains(words), "{value}: {error}");
        }
        assert!(library_defaults("{").unwrap_err().to_string().starts_with("they are no JSON"));
    }
}
