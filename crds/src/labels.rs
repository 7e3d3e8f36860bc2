//! Labels and annotations on what the operator makes. A file's path is never a label.

/// Name of the MediaLibrary that an object belongs to.
pub const LIBRARY: &str = "av1.media/library";
/// Name of the EncodeJob that an object belongs to.
pub const ENCODE_JOB: &str = "av1.media/encode-job";
/// UID of the EncodeJob that an object belongs to.
pub const ENCODE_JOB_UID: &str = "av1.media/encode-job-uid";
/// Role of the agent in the pod: `prepare`, `catalog`, `encode` or `settle`.
pub const ROLE: &str = "av1.media/role";
/// Run number of an encode or settle Job.
pub const RUN: &str = "av1.media/run";
/// Annotation: digest of what the operator applied, to see that an object has more than is wanted now.
pub const TEMPLATE_DIGEST: &str = "av1.media/template-digest";
/// Annotation: digest of where an encode Job's pod may go and how large it is, to see whether another would be made now.
pub const PLACEMENT_DIGEST: &str = "av1.media/placement-digest";
/// Annotation: path of the file below the library's root.
pub const PATH: &str = "av1.media/path";
/// Annotation: size of the file in bytes when its job was made, or, of one that a user made, when its turn came; a word where nobody
/// could tell.
pub const SIZE: &str = "av1.media/size";
/// Annotation: width and height of the picture in pixels, such as `1920x800`.
pub const PICTURE: &str = "av1.media/picture";
/// Annotation: place in the queue of the library; jobs with smaller text start first.
pub const RANK: &str = "av1.media/rank";
/// Value of `app.kubernetes.io/managed-by` on everything that the operator makes.
pub const MANAGED_BY: &str = "av1-operator";
