//! The sidecars role: writes and removes `NAME.EXT.why.txt` beside files that a scan passed over, as the catalog lists them.
//!
//! It has the library read-write at [`crate::paths::LIBRARY`], parses no media, and touches no file but such sidecars of its own.

use serde::{Deserialize, Serialize};

use super::LibraryId;

/// Most sidecars that one pod is told of.
pub const MAX_SIDECARS: usize = 200;
/// Most bytes of them: the argument of a program has at most 128 KiB.
const MOST_LISTED: usize = 64 << 10;

/// What a scan's sidecar is to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanVerdict {
    /// One of [`crate::reasons`].
    pub reason: String,
    /// What was found, with the figures.
    pub message: String,
}

/// A file whose sidecar is not as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Sidecar {
    /// Path of the file, not of the sidecar, below the library's root.
    pub path: String,
    /// What it is to say; none: it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<ScanVerdict>,
}

/// A page of the catalog: sidecars that are not as they are to be, by path.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarPage {
    /// Those after the path that was asked with, as many as fit.
    pub items: Vec<Sidecar>,
}

impl SidecarPage {
    /// The first of them, up to the path `through`, that one pod can be told of; at least one.
    pub fn fitting(&self, through: Option<&str>) -> impl Iterator<Item = &Sidecar> {
        let mut size = 0;
        let fits = move |sidecar: &&Sidecar| {
            let first = size == 0;
            let json = serde_json::to_string(*sidecar).unwrap_or_default();
            // The operator writes a dollar with six bytes.
            size += json.len() + 5 * json.matches('$').count() + 1;
            first || size <= MOST_LISTED
        };
        let through = through.map(str::to_owned);
        let within = move |sidecar: &&Sidecar| through.as_deref().is_none_or(|last| sidecar.path.as_str() <= last);
        self.items.iter().take(MAX_SIDECARS).take_while(within).take_while(fits)
    }
}

/// What a sidecars pod is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SidecarsTask {
    /// The library.
    pub library: LibraryId,
    /// Id that the volume must have.
    pub volume_id: String,
    /// At most [`MAX_SIDECARS`].
    pub sidecars: Vec<Sidecar>,
}

/// Result of a sidecars pod.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct SidecarsResult {
    /// Sidecars that were written.
    pub written: u32,
    /// Sidecars that were removed.
    pub removed: u32,
    /// How many could not be.
    pub left: u32,
    /// Why the first of those could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_is_told_of_as_many_as_its_argument_takes_and_of_one_at_the_least() {
        let page = |name: &str, count: usize| {
            let says = |_| Some(ScanVerdict { reason: "TooSmall".into(), message: "m".into() });
            SidecarPage {
                items: (0..count).map(|n| Sidecar { path: format!("{n:04}{name}"), says: says(n) }).collect(),
            }
        };
        let told = |page: &SidecarPage, through| page.fitting(through).count();
        assert_eq!((told(&page("a", 500), None), told(&page("a", 5), Some("0002a"))), (MAX_SIDECARS, 3));
        assert_eq!((told(&page(&"$".repeat(4_000), 9), None), told(&page(&"$".repeat(20_000), 9), None)), (2, 1));
    }
}
