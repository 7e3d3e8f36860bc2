//! The call that puts the encoded video and the source's kept streams together, with the source's own time stamps.
//!
//! Pure. Must never ask for anything but copies: no stream is encoded or filtered here.

use std::path::Path;

use crate::command::Command;
use crate::probe::{Probe, Stream};
use crate::rational::Rational;
use crate::streams::{Container, StreamPlan};

/// Packets that may wait for the header of the output; the tool fails where more come, it drops none.
const QUEUED_PACKETS: &str = "65536";

/// Tags of the source's video that say something about its old bit stream, in lower case; also with a language behind a hyphen.
const STALE_TAGS: &[&str] = &[
    "_statistics_tags",
    "_statistics_writing_app",
    "_statistics_writing_date_utc",
    "bps",
    "duration",
    "encoder",
    "encoder_settings",
    "number_of_bytes",
    "number_of_frames",
];

/// What is put together, and how.
#[derive(Debug, Clone, Copy)]
pub struct Mux<'a> {
    /// The source file, absolute.
    pub source: &'a Path,
    /// What ffprobe says of it.
    pub probe: &'a Probe,
    /// Which of its streams are kept.
    pub streams: &'a StreamPlan,
    /// The encoded video, an IVF file whose time base and time stamps are the source's.
    pub video: &'a Path,
    /// Frames a second, told to the container for its default duration of a frame.
    pub frame_rate: Rational,
    /// Whether an MP4's index stands before its media, as in the source.
    pub index_first: bool,
    /// The encoder and its parameters, written as a tag of the video where the container has free tags.
    pub encoder_settings: &'a str,
    /// The file to write, absolute; one that is there is overwritten.
    pub output: &'a Path,
}

/// The call of ffmpeg for `mux`.
#[must_use]
pub fn ffmpeg(mux: &Mux<'_>) -> Command {
    let input = ["-protocol_whitelist", "file,pipe"];
    let mut command = Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-xerror", "-y", "-copyts"])
        .args(input)
        .args(["-f", "ivf", "-i"])
        .file(mux.video)
        .args(input)
        .arg("-i")
        .file(mux.source)
        .args(["-map", "0:v:0"]);
    for kept in &mux.streams.kept {
        command = command.arg("-map").arg(format!("1:{}", kept.index));
    }
    command = command.args(["-c", "copy", "-map_metadata", "1", "-map_chapters", "1"]);
    let indices = std::iter::once(mux.streams.video).chain(mux.streams.kept.iter().map(|kept| kept.index));
    for (position, index) in indices.enumerate() {
        command = command.arg(format!("-map_metadata:s:{position}")).arg(format!("1:s:{index}"));
        if let Some(stream) = mux.probe.streams.iter().find(|stream| stream.index == index) {
            command = command.arg(format!("-disposition:{position}")).arg(dispositions(stream));
        }
    }
    let command = video_tags(command, mux).arg("-r:0").arg(mux.frame_rate.to_string());
    container_options(command, mux).file(mux.output)
}

/// The dispositions of a stream as the option takes them.
fn dispositions(stream: &Stream) -> String {
    if stream.disposition.is_empty() { "0".to_owned() } else { stream.disposition.join("+") }
}

/// Takes away what the video's tags say of its old bit stream, and adds how the new one was made.
fn video_tags(mut command: Command, mux: &Mux<'_>) -> Command {
    let stream = mux.probe.streams.iter().find(|stream| stream.index == mux.streams.video);
    for key in stream.iter().flat_map(|stream| stream.tags.keys()).filter(|key| is_stale(key)) {
        command = command.arg("-metadata:s:0").arg(format!("{key}="));
    }
    match mux.streams.container {
        Container::Matroska => command.arg("-metadata:s:0").arg(format!("ENCODER_SETTINGS={}", mux.encoder_settings)),
        Container::Mp4 => command,
    }
}

/// Whether a tag of the source's video, key in lower case, speaks of its old bit stream.
#[must_use]
pub fn is_stale(key: &str) -> bool {
    STALE_TAGS.iter().any(|stale| key == *stale || key.strip_prefix(stale).is_some_and(|rest| rest.starts_with('-')))
}

fn container_options(command: Command, mux: &Mux<'_>) -> Command {
    let command = command.args(["-avoid_negative_ts", "disabled", "-max_muxing_queue_size", QUEUED_PACKETS]);
    match mux.streams.container {
        Container::Matroska => command.args(["-default_mode", "passthrough", "-f", matroska_muxer(mux.source)]),
        Container::Mp4 => {
            let time_base = mux.probe.streams.iter().find(|s| s.index == mux.streams.video).and_then(|s| s.time_base);
            let command = match time_base {
                Some(Rational { num: 1, den }) => command.arg("-video_track_timescale").arg(den.to_string()),
                _ => command,
            };
            let flags = if mux.index_first { "+faststart" } else { "0" };
            // Bit rate boxes are left out: the muxer would append one to what MP4 subtitles have as their configuration.
            command.args(["-write_tmcd", "0", "-write_btrt", "0", "-movflags", flags, "-f", "mp4"])
        }
    }
}

/// A file that is called WebM stays one.
fn matroska_muxer(source: &Path) -> &'static str {
    let is_webm = source.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("webm"));
    if is_webm { "webm" } else { "matroska" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{Kept, Kind};

    fn probe() -> Probe {
        Probe::parse(
            br#"{"format": {"format_name": "any"}, "streams": [
            {"index": 0, "codec_type": "audio", "disposition": {"default": 1, "original": 1}},
            {"index": 1, "codec_type": "video", "time_base": "1/24000", "disposition": {"default": 1},
             "tags": {"BPS-eng": "123", "DURATION": "00:10", "ENCODER": "x264", "title": "Film", "_STATISTICS_TAGS": "BPS"}},
            {"index": 2, "codec_type": "audio"},
            {"index": 3, "codec_type": "attachment"}]}"#,
        )
        .unwrap()
    }

    fn call(container: Container, source: &str) -> String {
        let kept = [(0, Kind::Audio), (3, Kind::Attachment)].map(|(index, kind)| Kept { index, kind }).to_vec();
        let mux = Mux {
            source: Path::new(source),
            probe: &probe(),
            streams: &StreamPlan { container, video: 1, kept, dropped: Vec::new() },
            video: Path::new("/work/video.ivf"),
            frame_rate: Rational { num: 24_000, den: 1_001 },
            index_first: true,
            encoder_settings: "SVT-AV1 v4.2.0 --preset 4 --crf 23",
            output: Path::new("/work/output"),
        };
        ffmpeg(&mux).to_strings().join("\n")
    }

    #[test]
    fn the_call_for_matroska() {
        insta::assert_snapshot!(call(Container::Matroska, "/library/-a %03d.mkv"));
    }

    #[test]
    fn the_call_for_mp4() {
        insta::assert_snapshot!(call(Container::Mp4, "/library/a.mp4"));
    }

    #[test]
    fn a_webm_file_stays_one() {
        assert!(call(Container::Matroska, "/library/a.WebM").contains("\n-f\nwebm\n"));
    }

    #[test]
    fn tags_of_the_old_bit_stream_are_stale_in_every_language_and_others_are_not() {
        for key in ["bps", "bps-eng", "number_of_frames-eng", "_statistics_tags", "encoder"] {
            assert!(is_stale(key), "{key}");
        }
        for key in ["title", "language", "bpsx", "handler_name", "source_id"] {
            assert!(!is_stale(key), "{key}");
        }
    }
}
