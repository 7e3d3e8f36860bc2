//! What operator and agent say to each other: tasks (arguments of a pod), results (termination messages), the progress page
//! and the catalog's pages. JSON everywhere, `camelCase`; unknown fields are ignored, so that an older reader lives on.

mod catalog;
mod encode;
mod prepare;
mod report;
mod restore;
mod settle;
mod sidecars;
mod snapshot;
mod survey;

pub use catalog::*;
pub use encode::*;
pub use prepare::*;
pub use report::*;
pub use restore::*;
pub use settle::*;
pub use sidecars::*;
pub use snapshot::*;
pub use survey::*;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest termination message that the agent writes, in bytes; Kubernetes keeps 4,096.
pub const MAX_TERMINATION_MESSAGE: usize = 3_500;

/// Which library a task is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LibraryId {
    /// Namespace of the MediaLibrary.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// UID of the cluster (of its kube-system namespace).
    pub cluster: String,
}

/// Which job a task is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobId {
    /// Name of the EncodeJob.
    pub name: String,
    /// Its UID; names the job's folders on the volume.
    pub uid: String,
    /// Number of the run.
    pub run: i64,
}

/// What a pod says when it ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PodResult<T> {
    /// The role did its work; the verdict is inside.
    Done(T),
    /// The role could not do its work.
    Failed(PodFailure),
}

/// Why a role could not do its work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodFailure {
    /// One of [`crate::reasons`].
    pub reason: String,
    /// What happened, the figures, and what to do.
    pub message: String,
    /// Whether trying again may help.
    pub retryable: bool,
    /// Whether the pod let go of the claim that it had taken; not known of one that does not say so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
}

/// Identity of a file: two equal identities are the same bytes, as far as the file system tells.
///
/// Numbers that may not fit the 53 bits of a JSON number are decimal strings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FileIdentity {
    /// Size in bytes.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub size: u64,
    /// Modification time in nanoseconds since 1970.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub modified_time_ns: i64,
    /// Change time (ctime) in nanoseconds since 1970.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub changed_time_ns: i64,
    /// Inode number; advisory where prepare found it unstable.
    #[serde(with = "decimal")]
    #[schemars(with = "String")]
    pub inode: u64,
    /// SHA-256, in hexadecimal, of the size and three samples of 1 MiB (start, middle, end).
    pub fingerprint: String,
}

mod decimal {
    //! Numbers as decimal strings.
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<T: Display, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_keeps_numbers_beyond_53_bits() {
        let identity = FileIdentity { size: u64::MAX, modified_time_ns: -1, ..FileIdentity::default() };
        let text = serde_json::to_string(&identity).unwrap();
        assert!(text.contains("\"18446744073709551615\""), "{text}");
        assert_eq!(serde_json::from_str::<FileIdentity>(&text).unwrap(), identity);
    }
}
