//! What a library's encodes came to, as the catalog tells it from what is kept beside the receipts: past outcomes, and stills.

use serde::{Deserialize, Serialize};

use super::{EncodeVerdict, QualityScore};

/// Largest picture of a still in bytes.
pub const MAX_STILL: usize = 60 << 10;
/// Longest side of a still in pixels.
pub const MAX_STILL_SIDE: u32 = 960;
/// Largest file of stills in bytes: four pictures as base64, and what is told of them.
pub const MAX_STILLS: usize = 384 << 10;

/// What became of one path last, by its receipts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PastOutcome {
    /// Path below the library's root.
    pub path: String,
    /// When, RFC 3339.
    pub at: String,
    /// What the encode came to.
    pub verdict: EncodeVerdict,
    /// One of [`crate::reasons`].
    pub reason: String,
    /// Whether the original was brought back since.
    #[serde(default)]
    pub restored: bool,
    /// UID of the job whose encode it was.
    pub job: String,
    /// Its run.
    pub run: i64,
    /// Size of the source in bytes.
    pub bytes_before: u64,
    /// Size of the output in bytes, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_after: Option<u64>,
    /// Whether the output stands in the place of the source: `status.bytes` counts it.
    #[serde(default)]
    pub replaced: bool,
    /// Quality of the output against the source, when it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<QualityScore>,
    /// Frames encoded.
    #[serde(default)]
    pub frames: u64,
    /// Seconds spent encoding; 0 where an earlier run did a part of it.
    #[serde(default)]
    pub encode_seconds: f64,
    /// Duration of the source in seconds, a decimal string; empty when it is not known.
    #[serde(default)]
    pub duration_seconds: String,
    /// Whether there are stills of it.
    #[serde(default)]
    pub stills: bool,
}

/// A page of past outcomes, in no order that means anything.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutcomePage {
    /// At most one a path.
    pub items: Vec<PastOutcome>,
    /// What to pass as `after` for the next page; none at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Pictures of source and output, `stills.json` in the work folder, later kept beside the receipts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stills {
    /// At most one a place.
    pub pairs: Vec<StillPair>,
}

/// The same frame of source and output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StillPair {
    /// Why this frame.
    pub place: StillPlace,
    /// Its number, from 0.
    pub frame: u64,
    /// Its time from the first frame on, in seconds, a decimal string.
    pub at_seconds: String,
    /// Its score, a decimal string, when quality was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// Width of both pictures in pixels.
    pub width: u32,
    /// Height of both pictures in pixels.
    pub height: u32,
    /// The source's picture: JPEG as base64.
    pub before: String,
    /// The output's.
    pub after: String,
}

/// Why a frame was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum StillPlace {
    /// The lowest score of the two seconds with the least mean.
    Worst,
    /// In the two seconds with the highest mean; a scene that is all but empty gives way to the next best.
    Best,
    /// The middle of the film: quality was not measured.
    Middle,
}
