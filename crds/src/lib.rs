//! The `av1.media/v1alpha1` API: resource types, defaults, CEL rules, the constants that users meet (reasons, condition
//! types, labels) and the wire types between operator and agent.
//!
//! May: describe data. Must never: do I/O, read a clock or the environment, or depend on another crate of this workspace.

pub mod conditions;
pub mod encoding;
pub mod figures;
pub mod job;
pub mod labels;
pub mod layers;
pub mod library;
pub mod metrics;
pub mod paths;
pub mod profiles;
pub mod quantity;
pub mod reasons;
pub mod schedule;
pub mod schema;
pub mod settings;
pub mod wire;

/// API group of both kinds.
pub const GROUP: &str = "av1.media";
/// The served version.
pub const VERSION: &str = "v1alpha1";
/// Finalizer on EncodeJobs: held until no pod of the job can still write.
pub const FINALIZER: &str = "av1.media/finish";
/// TCP port of the HTTP page of encode and catalog pods.
pub const AGENT_PORT: u16 = 9090;

pub use job::{EncodeJob, EncodeJobSpec, EncodeJobStatus, Phase};
pub use library::{MediaLibrary, MediaLibrarySpec, MediaLibraryStatus};
