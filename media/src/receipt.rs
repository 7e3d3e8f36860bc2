//! Receipts: what was decided on a path, kept on the volume itself, so that nothing is done twice even after the cluster is gone.
//! One file a path, `.av1/state/receipts/<file_name(path)>`, the newest entry first.
//!
//! Must never: read a clock or a file; times and bytes are handed in.

use av1_crds::encoding::{EncoderChoice, EngineChoice, QualityRule, TargetQuality};
use av1_crds::settings::{ContainerChange, CropMode, DecodeCheck, Deinterlace, Profile, Settings, Tier};
use av1_crds::wire::{EncodeVerdict, FileIdentity, JobId, LibraryId, Wanted};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Version of the format.
pub const VERSION: u32 = 1;
/// Most entries that are kept for one path.
pub const MAX_ENTRIES: usize = 10;
/// Largest report in bytes that is taken into a receipt.
pub const MAX_REPORT_JSON: usize = 1 << 20;
/// Largest file of receipts in bytes: ten entries with the largest report each, and room for the rest.
pub const MAX_RECEIPTS_JSON: usize = 16 << 20;

/// One decision on a path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// Version of the format.
    pub v: u32,
    /// Path below the library's root.
    pub path: String,
    /// The library whose job decided.
    pub library: LibraryId,
    /// The job and its run.
    pub job: JobId,
    /// When it was settled, RFC 3339.
    pub at: String,
    /// What the encode came to.
    pub verdict: EncodeVerdict,
    /// One of [`av1_crds::reasons`].
    pub reason: String,
    /// What happened, with the figures.
    pub message: String,
    /// Identity of the file that was judged.
    pub source: FileIdentity,
    /// SHA-256 of the whole original, of a file that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_sha256: Option<String>,
    /// Identity of what is at the path now, of a file that was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<FileIdentity>,
    /// Path of that file, when it is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_path: Option<String>,
    /// SHA-256 of the whole replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_sha256: Option<String>,
    /// Path of the original below the library's root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original: Option<String>,
    /// Until when it is kept, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_until: Option<String>,
    /// Effective settings.
    pub settings: Settings,
    /// [`settings_digest`] of them.
    pub settings_digest: String,
    /// The encode's whole report, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<serde_json::Value>,
    /// What a restore did, when this is the receipt of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// What could not be kept or written, in words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_kept: Vec<String>,
}

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Restored {
    /// Which file was brought back.
    pub wanted: Wanted,
    /// Path of that file below the library's root.
    pub path: String,
    /// The file that made room, when there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<Replaced>,
}

/// A file that made room in a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Replaced {
    /// Path in the trash, below the library's root.
    pub trash: String,
    /// Path that it was at.
    pub path: String,
    /// Its identity.
    pub identity: FileIdentity,
    /// Its SHA-256.
    pub sha256: String,
    /// Until when it is kept, RFC 3339.
    pub until: String,
}

impl Receipt {
    /// Path that the result was written to.
    #[must_use]
    pub fn result_path(&self) -> &str {
        self.result_path.as_deref().unwrap_or(&self.path)
    }

    /// Whether both are of the same work, so that one takes the place of the other.
    fn is_same_work(&self, other: &Self) -> bool {
        let wanted = |receipt: &Self| receipt.restored.as_ref().map(|restored| restored.wanted);
        self.job.uid == other.job.uid && self.job.run == other.job.run && wanted(self) == wanted(other)
    }
}

/// All receipts of one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipts {
    /// Version of the format.
    pub v: u32,
    /// Path below the library's root.
    pub path: String,
    /// Newest first, at most [`MAX_ENTRIES`].
    pub entries: Vec<Receipt>,
}

/// A file of receipts cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReceiptError {
    /// Larger than any that is written.
    #[error("the receipts have {0} bytes, more than the {MAX_RECEIPTS_JSON} that are ever written")]
    TooLarge(usize),
    /// Not JSON, or JSON of another shape.
    #[error("the receipts could not be read or written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a newer version.
    #[error("the receipts have format {0}, this version knows formats up to {VERSION}")]
    Newer(u32),
}

impl Receipts {
    /// No receipts yet for `path`.
    #[must_use]
    pub fn none(path: &str) -> Self {
        Self { v: VERSION, path: path.to_owned(), entries: Vec::new() }
    }

    /// Reads a file of receipts.
    ///
    /// # Errors
    /// [`ReceiptError`] when it is too large, not such JSON, or of a newer version.
    pub fn parse(json: &[u8]) -> Result<Self, ReceiptError> {
        if json.len() > MAX_RECEIPTS_JSON {
            return Err(ReceiptError::TooLarge(json.len()));
        }
        let receipts: Self = serde_json::from_slice(json)?;
        if receipts.v > VERSION { Err(ReceiptError::Newer(receipts.v)) } else { Ok(receipts) }
    }

    /// Puts `receipt` first; an entry of the same work gives way, so that writing it again changes nothing.
    pub fn put(&mut self, receipt: Receipt) {
        self.entries.retain(|entry| !entry.is_same_work(&receipt));
        self.entries.insert(0, receipt);
        self.entries.truncate(MAX_ENTRIES);
    }

    /// The bytes to write.
    ///
    /// # Errors
    /// [`ReceiptError::TooLarge`] when they pass [`MAX_RECEIPTS_JSON`].
    pub fn to_json(&self) -> Result<Vec<u8>, ReceiptError> {
        let json = serde_json::to_vec(self)?;
        if json.len() > MAX_RECEIPTS_JSON { Err(ReceiptError::TooLarge(json.len())) } else { Ok(json) }
    }

    /// The newest receipt.
    #[must_use]
    pub fn newest(&self) -> Option<&Receipt> {
        self.entries.first()
    }
}

/// File name of the receipts of `path`: a hash, because a path may be longer than a name can be.
#[must_use]
pub fn file_name(path: &str) -> String {
    format!("{}.json", path_hash(path))
}

/// SHA-256 of a path in hexadecimal; names its receipts and its claim.
#[must_use]
pub fn path_hash(path: &str) -> String {
    hex::encode(Sha256::digest(path.as_bytes()))
}

/// SHA-256 in hexadecimal of the settings that a verdict depends on. What happens to the output, the original, to time stamps and
/// to sidecars is left out: changing those is no reason to encode a rejected file again.
#[must_use]
pub fn settings_digest(settings: &Settings) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Deciding<'a> {
        v: u32,
        profile: Profile,
        tier: Tier,
        crf: Option<u32>,
        preset: Option<u32>,
        drop_languages: &'a [String],
        duration_tolerance_millis: u32,
        max_percent: u32,
        /// Named only where it is off, so that what was decided before there was such a setting still stands.
        #[serde(skip_serializing_if = "Option::is_none")]
        stop_early: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        keep_attached_pictures: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        container_change: Option<ContainerChange>,
        #[serde(skip_serializing_if = "<[String]>::is_empty")]
        allow: &'a [String],
        #[serde(skip_serializing_if = "Option::is_none")]
        crop: Option<CropMode>,
        #[serde(skip_serializing_if = "Option::is_none")]
        deinterlace: Option<Deinterlace>,
        #[serde(skip_serializing_if = "Option::is_none")]
        decode: Option<DecodeCheck>,
        #[serde(skip_serializing_if = "Option::is_none")]
        encoding: Option<Encoding<'a>>,
    }
    #[derive(Serialize, Default, PartialEq)]
    struct Encoding<'a> {
        encoder: EncoderChoice,
        engine: EngineChoice,
        film_grain: Option<u32>,
        keyframe_interval: Option<u32>,
        lookahead: Option<u32>,
        extra_params: &'a [String],
        target: Option<&'a TargetQuality>,
        quality: Option<&'a QualityRule>,
    }
    let Settings {
        profile,
        tier,
        crf,
        preset,
        encoder,
        engine,
        film_grain,
        keyframe_interval,
        lookahead,
        extra_params,
        allow_hardware: _,
        target_quality,
        quality,
        drop_languages,
        decode,
        duration_tolerance_millis,
        max_percent,
        stop_early,
        replacement_mode: _,
        originals: _,
        keep_attached_pictures,
        container_change,
        allow,
        crop,
        deinterlace,
        trash_retention_seconds: _,
        modified_time: _,
        why_sidecars: _,
        notify_url: _,
    } = settings;
    let encoding = Encoding {
        encoder: *encoder,
        engine: *engine,
        film_grain: *film_grain,
        keyframe_interval: *keyframe_interval,
        lookahead: *lookahead,
        extra_params,
        target: target_quality.as_ref(),
        quality: quality.as_ref(),
    };
    let deciding = Deciding {
        v: 1,
        profile: *profile,
        tier: *tier,
        crf: *crf,
        preset: *preset,
        drop_languages,
        duration_tolerance_millis: *duration_tolerance_millis,
        max_percent: *max_percent,
        stop_early: (!stop_early).then_some(false),
        keep_attached_pictures: keep_attached_pictures.then_some(true),
        container_change: Some(*container_change).filter(|change| *change != ContainerChange::default()),
        allow,
        crop: *crop,
        deinterlace: Some(*deinterlace).filter(|way| *way != Deinterlace::default()),
        decode: Some(*decode).filter(|check| *check != DecodeCheck::default()),
        // Left out while it is the default, so that receipts from before there was a choice still count.
        encoding: (encoding != Encoding::default()).then_some(encoding),
    };
    // Serialising plain values into memory cannot fail; an empty text would only make settings look alike.
    hex::encode(Sha256::digest(serde_json::to_vec(&deciding).unwrap_or_default()))
}

#[cfg(test)]
mod tests {

    use super::*;

    fn settings() -> Settings {
        Settings::resolve(&[]).unwrap()
    }

    fn receipt(uid: &str, run: i64) -> Receipt {
        Receipt {
            v: VERSION,
            path: "a/b.mkv".into(),
            library: LibraryId { namespace: "n".into(), name: "films".into(), uid: "l".into(), cluster: "c".into() },
            job: JobId { name: "j".into(), uid: uid.into(), run },
            at: "2026-01-01T00:00:00Z".into(),
            verdict: EncodeVerdict::Rejected,
            reason: "NotSmaller".into(),
            message: "…".into(),
            source: FileIdentity::default(),
            source_sha256: None,
            result: None,
            result_sha256: None,
            original: None,
            original_until: None,
            result_path: None,
            restored: None,
            settings: settings(),
            settings_digest: settings_digest(&settings()),
            report: None,
            not_kept: vec![],
        }
    }

    #[test]
    fn the_newest_comes_first_and_ten_are_kept() {
        let mut receipts = Receipts::none("a/b.mkv");
        (0..12).for_each(|run| receipts.put(receipt("u", run)));
        assert_eq!(receipts.entries.len(), MAX_ENTRIES);
        assert_eq!((receipts.entries[0].job.run, receipts.entries[9].job.run), (11, 2));
        assert_eq!(Receipts::parse(&receipts.to_json().unwrap()).unwrap(), receipts);
    }

    #[test]
    fn writing_the_same_run_again_leaves_one_entry() {
        let mut receipts = Receipts::none("a/b.mkv");
        receipts.put(receipt("u", 1));
        receipts.put(receipt("u", 1));
        assert_eq!(receipts.entries.len(), 1);
    }

    #[test]
    fn receipts_of_a_newer_version_and_oversized_ones_are_refused() {
        assert!(matches!(Receipts::parse(br#"{"v":2,"path":"a","entries":[]}"#), Err(ReceiptError::Newer(2))));
        assert!(matches!(Receipts::parse(&vec![b' '; MAX_RECEIPTS_JSON + 1]), Err(ReceiptError::TooLarge(_))));
        assert!(matches!(Receipts::parse(b"{"), Err(ReceiptError::Json(_))));
    }

    #[test]
    fn the_digest_follows_what_decides_and_nothing_else() {
        let base = settings_digest(&settings());
        assert_ne!(settings_digest(&Settings { crf: Some(30), ..settings() }), base);
        assert_ne!(settings_digest(&Settings { max_percent: 80, ..settings() }), base);
        assert_ne!(settings_digest(&Settings { stop_early: false, ..settings() }), base);
        assert_ne!(settings_digest(&Settings { keep_attached_pictures: true, ..settings() }), base);
        assert_ne!(settings_digest(&Settings { decode: DecodeCheck::Sampled, ..settings() }), base);
        assert_ne!(settings_digest(&Settings { container_change: ContainerChange::Allow, ..settings() }), base);
        assert_ne!(settings_digest(&Settings { lookahead: Some(1), ..settings() }), base);
        assert_eq!(settings_digest(&Settings { trash_retention_seconds: 1, ..settings() }), base);
        assert_eq!(
            base, "bda00f1c98132c1900b556c408141bc1a1098355a6936ec3aff49e18d52e26e0",
            "receipts on volumes hold this"
        );
    }

    #[test]
    fn a_file_name_fits_any_file_system_however_long_the_path() {
        assert_eq!(file_name(&"x/".repeat(2_000)).len(), 69);
        assert_ne!(file_name("a"), file_name("b"));
    }
}
