//! The settings of a library without a cluster: a TOML file with the names of a MediaLibrary's `spec`, checked against the
//! same schema that the API server checks.
//!
//! May: read that file. Must never: let a name or a value pass that would have no effect.

use std::io;
use std::path::{Path, PathBuf};

use av1_crds::library::{MediaLibrarySpec, ScanRules};
use av1_crds::quantity::QuantityError;
use av1_crds::settings::Settings;
use av1_crds::{layers, schema};
use av1_media::encoders::check as encoders;
use av1_media::gates::{Selection, SelectionError};
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
    schema::check(&schema::library_spec().map_err(|e| e.to_string())?, &spec, "")?;
    used(&spec, "")?;
    spec["volume"] = json!({"hostPath": {"path": "/", "node": "local"}});
    let spec: MediaLibrarySpec = serde_json::from_value(spec).map_err(|e| e.to_string())?;
    let quantity = |e: QuantityError| e.to_string();
    let scan = ScanRules::resolve(spec.scan.as_ref()).map_err(quantity)?;
    let sections = spec.sections();
    if let Some(words) = layers::refused(&sections) {
        return Err(words.to_owned());
    }
    let settings = Settings::resolve(&[&sections]).map_err(quantity)?;
    Selection::new(&scan).map_err(|e: SelectionError| e.to_string())?;
    encoders::check(&settings).map_err(|e| e.to_string())?;
    Ok(Config { spec, scan, settings })
}

/// Refuses what is there but means nothing without a cluster.
fn used(value: &Value, path: &str) -> Result<(), String> {
    let Value::Object(fields) = value else { return Ok(()) };
    for (name, value) in fields {
        let path = schema::join(path, name);
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
            ("[streams]\ndropLanguages = [\"russian\"]\n", "streams.dropLanguages takes primary language tags"),
            ("[scan]\ninclude = [\"a[\"]\n", "not a glob"),
            ("[replacement]\ntrashRetention = \"a week\"\n", ""),
            ("x = ", ""),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
