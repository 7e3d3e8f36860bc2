//! The rules by which a muxed output is judged against its source. Values measured elsewhere come in, one row a check goes out.
//!
//! Pure. Must never leave a check out because something could not be measured: what is missing on one side does not pass.

pub mod bitstream;
mod rules;
mod tracks;

use av1_crds::wire::Check;

use crate::joined::Header;
use crate::light::Light;
use crate::packets::StreamPackets;
use crate::probe::{Probe, Stream};
use crate::rational::{FrameTimes, Rational};
use crate::sampling::Sampling;
use crate::streams::{Reading, StreamPlan};

macro_rules! checks {
    ($($(#[doc = $doc:literal])+ $name:ident = $text:literal;)+) => {
        $($(#[doc = $doc])+ pub const $name: &str = $text;)+
        /// Every check, in the order of the rows, with what it proves.
        pub const ALL: &[(&str, &str)] = &[$(($text, concat!($($doc),+))),+];
    };
}

checks! {
    /// ffprobe reads the output.
    READABLE = "Readable";
    /// The output has exactly one video stream, and it is AV1.
    VIDEO_STREAM = "VideoStream";
    /// Pixel format as planned.
    PIXEL_FORMAT = "PixelFormat";
    /// Width and height as planned, and how much of them the container hides.
    PICTURE_SIZE = "PictureSize";
    /// Shape of a pixel as planned.
    PIXEL_ASPECT = "PixelAspect";
    /// Range, primaries, transfer, matrix and chroma location as planned.
    COLOUR = "Colour";
    /// Turned and mirrored as in the source.
    ROTATION = "Rotation";
    /// Mastering display and light levels, in the container and in every scene of the stream.
    HDR_METADATA = "HdrMetadata";
    /// Everything decodes from the first to the last packet without an error; with `verify.decode: Sampled` of the video the samples.
    DECODES = "Decodes";
    /// As many frames as the source decodes to; as many packets where the video is sampled.
    FRAME_COUNT = "FrameCount";
    /// Every frame is shown when the source shows it, to max(2 ms, a quarter frame); to 2 ms where the rate varies.
    FRAME_TIMES = "FrameTimes";
    /// Duration of the file, within the tolerance of the settings.
    FILE_DURATION = "FileDuration";
    /// Duration of each stream, within the tolerance of the settings.
    STREAM_DURATIONS = "StreamDurations";
    /// Every kept audio and subtitle track is there, and no other.
    TRACK_COUNT = "TrackCount";
    /// Tracks stand in the source's order.
    TRACK_ORDER = "TrackOrder";
    /// Languages of video, audio and subtitles; of Matroska by their full tags.
    TRACK_LANGUAGES = "TrackLanguages";
    /// Names of video, audio and subtitles.
    TRACK_TITLES = "TrackTitles";
    /// Dispositions of video, audio and subtitles.
    TRACK_DISPOSITIONS = "TrackDispositions";
    /// All other tags of audio and subtitles, and those of the video that are not about its old bit stream.
    TRACK_TAGS = "TrackTags";
    /// Audio and subtitles are the same bytes, by SHA-256 of every packet; of what was converted, the same samples and words.
    TRACK_DATA = "TrackData";
    /// The decoders of audio and subtitles are configured by the same bytes; of what was converted, the same rate and channels.
    TRACK_CONFIGURATION = "TrackConfiguration";
    /// Distances between the packets of each track, and how long subtitles are shown, to 2 ms.
    TRACK_TIMES = "TrackTimes";
    /// Start of each track against the video, to 2 ms.
    TRACK_STARTS = "TrackStarts";
    /// Number, times (to 2 ms) and titles of chapters; of Matroska all that describes them.
    CHAPTERS = "Chapters";
    /// Names, types and bytes of attachments and covers.
    ATTACHMENTS = "Attachments";
    /// The file's own tags are kept.
    GLOBAL_TAGS = "GlobalTags";
}

/// What the video of an output is to be. A text that is none must not be told by the output either, but for the range,
/// which AV1 always tells: none stands for `tv`.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedVideo {
    /// Pixel format, such as `yuv420p10le`.
    pub pix_fmt: String,
    /// Size, shape, rotation and light, as the joined video's header says them.
    pub header: Header,
    /// Colour range.
    pub color_range: Option<String>,
    /// Colour primaries.
    pub color_primaries: Option<String>,
    /// Transfer characteristics.
    pub color_transfer: Option<String>,
    /// Matrix coefficients.
    pub color_space: Option<String>,
    /// Chroma sample location.
    pub chroma_location: Option<String>,
    /// Frames a second; a quarter of a frame is the tolerance of [`FRAME_TIMES`].
    pub frame_rate: Rational,
    /// Whether that is the average of a rate that varies.
    pub is_variable: bool,
}

/// The measured source.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// What ffprobe says.
    pub probe: &'a Probe,
    /// What is kept of it.
    pub streams: &'a StreamPlan,
    /// Times of its decoded frames.
    pub frames: &'a FrameTimes,
    /// Packets of the kept streams, in the plan's order.
    pub packets: &'a [StreamPackets],
}

/// The measured output.
#[derive(Debug, Clone, Copy)]
pub struct Output<'a> {
    /// What ffprobe says.
    pub probe: &'a Probe,
    /// Times of its decoded frames, or of its packets.
    pub frames: &'a FrameTimes,
    /// Mastering display and light levels that all scenes of its stream share, found before it was muxed; none when they differ.
    pub stream_light: Option<Light>,
    /// Packets of [`copied_streams`].
    pub packets: &'a [StreamPackets],
    /// What the decoders complained of; empty when of nothing.
    pub decode_errors: &'a str,
    /// The samples, where not all of the video was decoded; `frames` are the times of its packets then.
    pub sampled: Option<Sampling>,
}

/// The check that the streams can be carried, made before the encode.
pub const REHEARSAL: (&str, &str) =
    ("Rehearsal", "The first seconds of all kept streams were muxed with a stub of the video and read back.");

/// The streams of an output that can be copies (all audio, subtitles, attachments and covers), and how they are read.
#[must_use]
pub fn copied_streams(probe: &Probe, plan: &StreamPlan) -> Vec<(u32, Reading)> {
    let is_copy = |s: &&Stream| match s.codec_type.as_str() {
        "audio" | "subtitle" | "attachment" => true,
        "video" => s.is("attached_pic"),
        _ => false,
    };
    probe.streams.iter().filter(is_copy).map(|s| (s.index, plan.reading(&s.codec_name))).collect()
}

/// The streams of a source that are kept, in the plan's order, and how they are read.
#[must_use]
pub fn kept_streams(probe: &Probe, plan: &StreamPlan) -> Vec<(u32, Reading)> {
    let codec = |index: u32| probe.streams.iter().find(|s| s.index == index).map_or("", |s| s.codec_name.as_str());
    plan.kept.iter().map(|kept| (kept.index, plan.reading(codec(kept.index)))).collect()
}

/// The only row of an output that can't be read.
#[must_use]
pub fn unreadable(error: &str) -> Check {
    row(READABLE, false, "ffprobe reads the output", error)
}

/// Judges `output`; one row for each name in [`ALL`], in that order. All have to pass.
#[must_use]
pub fn judge(
    source: &Source<'_>,
    output: &Output<'_>,
    video: &ExpectedVideo,
    duration_tolerance_millis: u32,
) -> Vec<Check> {
    let tolerance = f64::from(duration_tolerance_millis) / 1_000.0;
    let tracks = tracks::Tracks::pair(source, output);
    let stream = output.probe.of("video").next();
    vec![
        row(
            READABLE,
            true,
            "ffprobe reads the output",
            format!("{}, {} streams", output.probe.format.format_name, output.probe.streams.len()),
        ),
        rules::video_stream(output.probe),
        rules::pixel_format(stream, video),
        rules::picture_size(stream, video),
        rules::pixel_aspect(stream, video),
        rules::colour(stream, video),
        rules::rotation(stream, video),
        rules::hdr_metadata(stream, output.stream_light.as_ref(), video),
        rules::decodes(output),
        rules::frame_count(source.frames, output),
        rules::frame_times(source, output, video),
        rules::file_duration(source, output, tolerance),
        tracks.durations(tolerance),
    ]
    .into_iter()
    .chain(judge_streams(source, output, &tracks))
    .collect()
}

/// The rows about all that is not video.
fn judge_streams(source: &Source<'_>, output: &Output<'_>, tracks: &tracks::Tracks<'_>) -> [Check; 13] {
    [
        tracks.count(),
        tracks.order(),
        tracks.languages(),
        tracks.titles(),
        tracks.dispositions(),
        tracks.tags(source.streams.container),
        tracks.data(),
        tracks.configuration(),
        tracks.times(),
        tracks.starts(),
        rules::chapters(source, output.probe),
        rules::attachments(source, output),
        rules::global_tags(source, output.probe),
    ]
}

/// The row of a rehearsal of the first `seconds`, which passes when everything came out as it went in. The frames of both sides
/// are those of the stub.
#[must_use]
pub fn judge_rehearsal(source: &Source<'_>, output: &Output<'_>, seconds: u32) -> Check {
    let tracks = tracks::Tracks::pair(source, output);
    let failed: Vec<String> = judge_streams(source, output, &tracks)
        .iter()
        .filter(|check| !check.passed)
        .map(|check| format!("{}: {} instead of {}", check.name, check.measured, check.expected))
        .collect();
    let all = format!("{} streams of the first {seconds} s come out as they go in", source.streams.kept.len());
    if failed.is_empty() {
        row(REHEARSAL.0, true, all.clone(), all)
    } else {
        row(REHEARSAL.0, false, all, failed.join("; "))
    }
}

/// The row of a rehearsal in which the tools gave up with these words.
#[must_use]
pub fn failed_rehearsal(words: &str) -> Check {
    row(REHEARSAL.0, false, "the kept streams are muxed and read back", words)
}

/// Most characters of one field of a row.
const MOST_TEXT: usize = 300;

/// A row; long texts are cut.
fn row(name: &str, passed: bool, expected: impl Into<String>, measured: impl Into<String>) -> Check {
    let cut = |text: String| {
        if text.chars().count() > MOST_TEXT { text.chars().take(MOST_TEXT - 1).chain(['…']).collect() } else { text }
    };
    Check { name: name.to_owned(), passed, expected: cut(expected.into()), measured: cut(measured.into()) }
}

/// A row over things compared one by one: each difference is what was expected and what was measured; `all` says what
/// there is when nothing differs.
fn compared(name: &str, differences: &[(String, String)], all: &str) -> Check {
    if differences.is_empty() {
        return row(name, true, all, all);
    }
    let join = |texts: Vec<&str>| texts.join("; ");
    row(
        name,
        false,
        join(differences.iter().map(|(expected, _)| expected.as_str()).collect()),
        join(differences.iter().map(|(_, measured)| measured.as_str()).collect()),
    )
}

/// Whether two times in seconds differ by no more than `tolerance`; a nanosecond is left to rounding.
fn within(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance + 1e-9
}

#[cfg(test)]
mod tests;
