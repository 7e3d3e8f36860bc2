//! Reasons of verdicts on files and of outcomes of jobs: one table, from which documentation and metrics take their values.

/// How long a verdict stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Looked at again at the next scan.
    Temporary,
    /// Stands until the file, or the settings it depends on, change.
    Final,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal, $standing:ident;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+
        /// Every reason, with how long it stands and its meaning.
        pub const ALL: &[(&str, Standing, &str)] = &[$(($text, Standing::$standing, concat!($($doc),+))),+];
    };
}

reasons! {
    /// A marker (`NAME.EXT.av1skip`, or `.av1skip` in a folder above) keeps the file as it is.
    SKIP_MARKER = "SkipMarker", Final;
    /// The file is at or below `scan.minSize`.
    TOO_SMALL = "TooSmall", Final;
    /// The file still changes, or its time stamps are too young to tell.
    NOT_STABLE = "NotStable", Temporary;
    /// A symbolic link, a device or another special file.
    NOT_REGULAR = "NotRegular", Final;
    /// The file has more than one name (hard links).
    HARD_LINKED = "HardLinked", Final;
    /// The name is not UTF-8.
    UNREPRESENTABLE_NAME = "UnrepresentableName", Final;
    /// An earlier encode of this file was rejected under the same settings.
    ALREADY_REJECTED = "AlreadyRejected", Final;
    /// An earlier encode of this file failed for good; one that was given up for `PodLost`, `NoSpace`, `IoError` or
    /// `ToolsUnusable`, which is not the file's, is tried again a day later.
    FAILED_BEFORE = "FailedBefore", Final;
    /// An earlier encode pod decided not to encode this file.
    SKIPPED_BEFORE = "SkippedBefore", Final;
    /// The file is the result of one of our encodes, or was encoded already for a copy beside it or for the figures alone.
    ALREADY_DONE = "AlreadyDone", Final;
    /// The user had the original brought back.
    RESTORED_BY_USER = "RestoredByUser", Final;
    /// The file belongs to another user, so that it could not be put back as it was.
    OTHER_OWNER = "OtherOwner", Final;
    /// The library's user may not write in the file's folder, so that nothing could be put in the file's place.
    FOLDER_NOT_WRITABLE = "FolderNotWritable", Temporary;
    /// ffprobe cannot read the file.
    UNREADABLE = "Unreadable", Final;
    /// No video stream but attached pictures.
    NO_VIDEO = "NoVideo", Final;
    /// The main video stream is AV1 already.
    ALREADY_AV1 = "AlreadyAv1", Final;
    /// The container cannot hold AV1, or is one that is not handled yet.
    CONTAINER_CHANGE = "ContainerChange", Final;
    /// A stream that is not known to be carried unchanged, or a video that the engine or metric asked for can't be used with.
    UNSUPPORTED_STREAM = "UnsupportedStream", Final;
    /// Dolby Vision, whose metadata would be lost; without an HDR10 picture beneath it no leave helps.
    DOLBY_VISION = "DolbyVision", Final;
    /// HDR10+ or other dynamic HDR metadata, which would be lost.
    HDR10_PLUS = "Hdr10Plus", Final;
    /// Interlaced or telecined, by the field order that the file tells or by the frames themselves.
    INTERLACED = "Interlaced", Final;
    /// Times of frames that are missing, go back or lie before zero, so that they could not be kept.
    UNSUPPORTED_TIMESTAMPS = "UnsupportedTimestamps", Final;
    /// Closed captions ride in the video and would be lost.
    CLOSED_CAPTIONS = "ClosedCaptions", Final;
    /// More than one real video stream.
    SEVERAL_VIDEO_STREAMS = "SeveralVideoStreams", Final;
    /// Data streams that would be lost.
    DATA_STREAMS = "DataStreams", Final;
    /// 4:2:2, 4:4:4 or RGB, which would be reduced to 4:2:0.
    CHROMA_REDUCED = "ChromaReduced", Final;
    /// More than 10 bits, which would be reduced.
    DEPTH_REDUCED = "DepthReduced", Final;
    /// An alpha channel, which would be lost.
    ALPHA_LOST = "AlphaLost", Final;
    /// Spherical, stereo or other side data of the video that would be lost.
    UNSUPPORTED_SIDE_DATA = "UnsupportedSideData", Final;
    /// A picture that is larger than what the encoder takes, or too small to be worth it.
    UNSUPPORTED_SIZE = "UnsupportedSize", Final;
    /// Every default or original audio track would go by `streams.dropLanguages`.
    WOULD_DROP_ORIGINAL_LANGUAGE = "WouldDropOriginalLanguage", Final;
    /// Encrypted, or in a codec that the image cannot decode.
    CANNOT_DECODE = "CannotDecode", Final;
    /// The source does not decode to a plausible number of frames with the tools at hand.
    FRAME_COUNT_MISMATCH = "FrameCountMismatch", Final;
    /// The file is worth encoding.
    ELIGIBLE = "Eligible", Temporary;
    /// The file is not there.
    NOT_FOUND = "NotFound", Final;

    /// Encoded, verified, smaller, and swapped in.
    ENCODED = "Encoded", Final;
    /// Encoded, verified, smaller, and put beside the original.
    PUT_BESIDE = "PutBeside", Final;
    /// Encoded, verified and smaller; only the figures are kept, as `replacement.mode` says.
    REPORTED = "Reported", Final;
    /// The output is not small enough to be worth it.
    NOT_SMALLER = "NotSmaller", Final;
    /// The wanted file was brought back to its name.
    RESTORED = "Restored", Final;
    /// The wanted file is not in the trash any more, or never was.
    NOT_IN_TRASH = "NotInTrash", Final;
    /// The file at the name is neither of the two that a restore swaps: it was changed after it was replaced.
    CHANGED_SINCE = "ChangedSince", Final;
    /// The name that a file would get is taken by another one.
    TARGET_EXISTS = "TargetExists", Final;
    /// The user cancelled the encode of this file.
    CANCELLED_BY_USER = "CancelledByUser", Final;
    /// The encode was stopped, because its finished part shows that the output would not be small enough.
    PROJECTED_TOO_LARGE = "ProjectedTooLarge", Final;
    /// The source changed while it was being encoded; looked at again at the next scan.
    SOURCE_CHANGED = "SourceChanged", Temporary;
    /// At least one check of the output failed; the source is untouched.
    VERIFICATION_FAILED = "VerificationFailed", Final;
    /// The output scores below `verify.quality`, or a scene below `encode.targetQuality`; the source is untouched.
    QUALITY_TOO_LOW = "QualityTooLow", Final;
    /// The encoder cannot be asked for what `encode` says; the message has the key and what is allowed.
    INVALID_ENCODER_PARAMS = "InvalidEncoderParams", Final;
    /// The encoder or a tool around it failed.
    ENCODE_FAILED = "EncodeFailed", Temporary;
    /// No frame and no CPU use for too long.
    STALLED = "Stalled", Temporary;
    /// The pod's memory ran out; the next run gets more of it and fewer workers.
    OUT_OF_MEMORY = "OutOfMemory", Temporary;
    /// The pod vanished (eviction, drain, reboot); not a failure.
    POD_LOST = "PodLost", Temporary;
    /// Not enough free space for the work folder or the replacement.
    NO_SPACE = "NoSpace", Temporary;
    /// The encoded file is gone, or not the one that was verified; the source is untouched.
    BAD_OUTPUT = "BadOutput", Temporary;
    /// The output could not take the place of the original, for a cause that stays: a right, a name, a file in its way.
    REPLACEMENT_FAILED = "ReplacementFailed", Final;
    /// Another pod holds the claim on the path.
    CLAIM_HELD = "ClaimHeld", Temporary;
    /// The volume is not the one that was prepared.
    WRONG_VOLUME = "WrongVolume", Final;
    /// The volume belongs to another library that is alive.
    OWNED_BY_ANOTHER = "OwnedByAnother", Final;
    /// The image's tools are missing or too old.
    TOOLS_UNUSABLE = "ToolsUnusable", Final;
    /// The task given to the agent cannot be carried out as written.
    INVALID_TASK = "InvalidTask", Final;
    /// An operation on a file failed; the message names it.
    IO_ERROR = "IoError", Temporary;
    /// Somebody whom `replacement.notify` names could not be told; the file is as the job says. Reason of an Event alone.
    NOTIFY_FAILED = "NotifyFailed", Temporary;
    /// `failurePolicy.maxAttempts` was reached.
    TOO_MANY_FAILURES = "TooManyFailures", Final;
}

/// Gates that `spec.force` of an EncodeJob never passes over: five that protect the file, and those without which there would be
/// nothing to encode or which have a setting of their own. The CRD's rule names the same.
pub const NEVER_FORCED: [&str; 10] = [
    NOT_REGULAR,
    NOT_STABLE,
    OTHER_OWNER,
    CANNOT_DECODE,
    UNSUPPORTED_STREAM,
    UNREPRESENTABLE_NAME,
    UNREADABLE,
    NO_VIDEO,
    CONTAINER_CHANGE,
    DOLBY_VISION,
];

/// Reasons of rejected files: the output is, or would be, too large. Each leaves a marker.
pub const REJECTIONS: [&str; 2] = [NOT_SMALLER, PROJECTED_TOO_LARGE];

/// How long a verdict with `reason` stands; unknown reasons are temporary, so that nothing is given up by mistake.
#[must_use]
pub fn standing(reason: &str) -> Standing {
    ALL.iter().find(|(name, ..)| *name == reason).map_or(Standing::Temporary, |(_, standing, _)| *standing)
}

/// Exit codes of `av1-agent`.
pub mod exit {
    macro_rules! codes {
        ($($(#[doc = $doc:literal])+ $name:ident = $code:literal;)+) => {
            $($(#[doc = $doc])+ pub const $name: u8 = $code;)+
            /// Every exit code with its meaning.
            pub const ALL: &[(u8, &str)] = &[$(($code, concat!($($doc),+))),+];
        };
    }

    codes! {
        /// A verdict was reached; rejected and skipped are verdicts too.
        VERDICT = 0;
        /// A failure that may heal: tried again with back-off.
        FAILURE = 1;
        /// Bad input: final.
        BAD_INPUT = 64;
        /// The image's tools are missing or too old: final for this image.
        TOOLS = 69;
        /// The claim on the path is held by another pod: wait.
        CLAIM_HELD = 75;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_pascal_case_and_stands_once() {
        let mut seen = std::collections::BTreeSet::new();
        for (name, _, meaning) in ALL {
            assert!(
                name.chars().all(|c| c.is_ascii_alphanumeric()) && name.starts_with(|c: char| c.is_ascii_uppercase()),
                "{name}"
            );
            assert!(!meaning.is_empty());
            assert!(seen.insert(name), "{name} twice");
        }
    }
}
