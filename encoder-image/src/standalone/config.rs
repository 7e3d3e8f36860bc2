//! The settings of a library without a cluster: a TOML file with the names of a MediaLibrary's `spec`, checked against the
//! same schema that the API server checks.
//!
//! May: read that file. Must never: let a name or a value pass that would have no effect.

use std::io;
use std::path::{Path, PathBuf};

use av1_crds::library::{MediaLibrary, MediaLibrarySpec, ScanRules};
use av1_crds::quantity::QuantityError;
use av1_crds::settings::{Settings, SettingsSections};
use av1_media::encoders::check as encoders;
use av1_media::gates::{Selection, SelectionError};
use kube::CustomResourceExt as _;
use serde_json::{Value, json};

/// What of a MediaLibrary's `spec` has a meaning without a cluster.
const USED: [&str; 16] = [
    "scan",
    "encode",
    "streams",
    "verify",
    "sizeGate",
    "replacement.mode",
    "replacement.originals",
    "replacement.trashRetention",
    "replacement.containerChange",
    "replacement.modifiedTime",
    "replacement.whySidecars",
    "concurrency.maxJobs",
    "storage.minFreePercent",
    "pods.workers",
    "pods.targetUtilizationPercent",
    "failurePolicy.maxAttempts",
];

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("{} cannot be read: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: {why}", path.display())]
    Wrong { path: PathBuf, why: String },
}

/// Settings with every default filled in.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// As they were written.
    pub(crate) spec: MediaLibrarySpec,
    /// Which files are looked at.
    pub(crate) scan: ScanRules,
    /// How they are treated.
    pub(crate) settings: Settings,
}

/// The settings in the file at `path`; the defaults without one.
///
/// # Errors
/// [`ConfigError`] names the file, the field, and what to write instead.
pub(crate) fn load(path: Option<&Path>) -> Result<Config, ConfigError> {
    let text = match path {
        None => String::new(),
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?
        }
    };
    parse(&text).map_err(|why| ConfigError::Wrong { path: path.unwrap_or(Path::new("settings")).to_owned(), why })
}

fn parse(text: &str) -> Result<Config, String> {
    let table: toml::Table = text.parse().map_err(|e: toml::de::Error| e.to_string())?;
    let mut spec = serde_json::to_value(table).map_err(|e| e.to_string())?;
    let crd = serde_json::to_value(MediaLibrary::crd()).map_err(|e| e.to_string())?;
    check(&crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"], &spec, "")?;
    used(&spec, "")?;
    spec["volume"] = json!({"hostPath": {"path": "/", "node": "local"}});
    let spec: MediaLibrarySpec = serde_json::from_value(spec).map_err(|e| e.to_string())?;
    let quantity = |e: QuantityError| e.to_string();
    let scan = ScanRules::resolve(spec.scan.as_ref()).map_err(quantity)?;
    let settings = Settings::resolve(&spec.sections(), &SettingsSections::default()).map_err(quantity)?;
    Selection::new(&scan).map_err(|e: SelectionError| e.to_string())?;
    encoders::check(&settings).map_err(|e| e.to_string())?;
    Ok(Config { spec, scan, settings })
}

/// Refuses what is there but means nothing without a cluster.
fn used(value: &Value, path: &str) -> Result<(), String> {
    let Value::Object(fields) = value else { return Ok(()) };
    for (name, value) in fields {
        let path = join(path, name);
        if USED.contains(&path.as_str()) {
            continue;
        }
        if !USED.iter().any(|used| used.starts_with(&format!("{path}."))) {
            return Err(format!("{path} has no meaning without a cluster: remove it"));
        }
        used(value, &path)?;
    }
    Ok(())
}

/// Checks `value` against the CRD's schema: names, values of enumerations, ranges.
fn check(schema: &Value, value: &Value, path: &str) -> Result<(), String> {
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
        Value::Array(items) => items.iter().try_for_each(|item| check(&schema["items"], item, path)),
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

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crds_names_are_taken_and_the_rest_are_defaults() {
        let config =
            parse("[scan]\nminSize = \"1Mi\"\n[sizeGate]\nmaxPercent = 80\n[encode.overrides]\ncrf = 30\n").unwrap();
        assert_eq!((config.scan.min_size, config.settings.max_percent, config.settings.crf), (1 << 20, 80, Some(30)));
        assert_eq!(parse("").unwrap().scan.min_size, 2 << 30);
        assert_eq!(parse("[concurrency]\nmaxJobs = 3\n").unwrap().spec.concurrency.unwrap().max_jobs, Some(3));
    }

    #[test]
    fn what_would_have_no_effect_is_refused_with_its_name() {
        for (text, words) in [
            ("[sizeGate]\nmaxPercnt = 80\n", "sizeGate.maxPercnt is not a setting; known here: maxPercent"),
            ("[sizeGate]\nmaxPercent = 101\n", "sizeGate.maxPercent is 101: it takes 1 to 100"),
            ("[encode]\nprofile = \"Fast\"\n", "encode.profile is \"Fast\": write one of "),
            ("suspend = true\n", "suspend has no meaning without a cluster"),
            ("[pods.nodeSelector]\na = \"b\"\n", "pods.nodeSelector has no meaning without a cluster"),
            ("[replacement.notify]\nurl = \"http://hook/\"\n", "replacement.notify has no meaning without a cluster"),
            ("[scan]\ninclude = [\"a[\"]\n", "not a glob"),
            ("[replacement]\ntrashRetention = \"a week\"\n", ""),
            ("x = ", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
