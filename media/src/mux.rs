//! The call that puts the encoded video and the source's kept streams together, with the source's own time stamps.
//!
//! Pure. Must never ask for anything but what the plan of the streams says: copies, and the few conversions that lose nothing.

use std::path::{Path, PathBuf};

use crate::command::Command;
use crate::matroska::placeholder;
use crate::probe::{Probe, Stream};
use crate::rational::Rational;
use crate::streams::{Carry, Container, Kept, Kind, StreamPlan, picture_type};

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
    /// The encoded video, whose header says what AV1 cannot, and whose times are the source's.
    pub video: &'a Path,
    /// Frames a second, told to the container for its default duration of a frame; none where the rate varies.
    pub frame_rate: Option<Rational>,
    /// Seconds of the source that are read; none reads all.
    pub limit: Option<u32>,
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
        .args(["-f", "matroska", "-i"])
        .file(mux.video)
        .args(input);
    if let Some(seconds) = mux.limit {
        command = command.arg("-t").arg(seconds.to_string());
    }
    command = command.arg("-i").file(mux.source).args(["-map", "0:v:0"]);
    let is_file = |kept: &&Kept| kept.kind == Kind::Picture && mux.streams.container.is_matroska();
    for kept in mux.streams.kept.iter().filter(|kept| !is_file(kept)) {
        command = command.arg("-map").arg(format!("1:{}", kept.index));
    }
    command = command.args(["-c", "copy", "-map_metadata", "1", "-map_chapters", "1"]);
    for (position, kept) in mux.streams.kept.iter().enumerate() {
        command = match kept.carry {
            Carry::Copy => command,
            Carry::Filter(filter) => command.arg(format!("-bsf:{}", position + 1)).arg(filter),
            Carry::Samples(encoder) | Carry::Cues(encoder) => command.arg(format!("-c:{}", position + 1)).arg(encoder),
        };
    }
    let mapped = mux.streams.kept.iter().filter(|kept| !is_file(kept)).map(|kept| kept.index);
    for (position, index) in std::iter::once(mux.streams.video).chain(mapped).enumerate() {
        command = command.arg(format!("-map_metadata:s:{position}")).arg(format!("1:s:{index}"));
        if let Some(stream) = mux.probe.streams.iter().find(|stream| stream.index == index) {
            if let Some(name) = stream.title().filter(|_| !stream.tags.contains_key("title")) {
                command = command.arg(format!("-metadata:s:{position}")).arg(format!("title={name}"));
            }
            command = command.arg(format!("-disposition:{position}")).arg(dispositions(stream));
        }
    }
    for (position, stream) in pictures(mux.probe, mux.streams) {
        command = command.arg("-attach").file(&picture_file(mux.output, stream.index));
        for (key, value) in picture_tags(stream) {
            command = command.arg(format!("-metadata:s:{position}")).arg(format!("{key}={value}"));
        }
    }
    command = video_tags(command, mux);
    if let Some(rate) = mux.frame_rate {
        command = command.arg("-r:0").arg(rate.to_string());
    }
    container_options(command, mux).file(mux.output)
}

/// Covers that a Matroska output gets as files, which ffmpeg would make a video track of if they were mapped; each with its place
/// among the streams of the output.
pub fn pictures<'a>(probe: &'a Probe, plan: &StreamPlan) -> impl Iterator<Item = (usize, &'a Stream)> {
    let kept = plan.kept.iter().enumerate().filter(|(_, k)| k.kind == Kind::Picture && plan.container.is_matroska());
    kept.filter_map(|(place, k)| Some((place + 1, probe.streams.iter().find(|stream| stream.index == k.index)?)))
}

/// Where the cover with this index waits to be put into `output`.
#[must_use]
pub fn picture_file(output: &Path, index: u32) -> PathBuf {
    let mut name = output.as_os_str().to_owned();
    name.push(format!(".picture-{index}"));
    PathBuf::from(name)
}

/// The call that writes the bytes of the cover `index` of `source` to `file`.
#[must_use]
pub fn extract_picture(source: &Path, index: u32, file: &Path) -> Command {
    Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-xerror", "-y", "-protocol_whitelist", "file,pipe", "-i"])
        .file(source)
        .arg("-map")
        .arg(format!("0:{index}"))
        .args(["-c", "copy", "-frames:v", "1", "-f", "data"])
        .file(file)
}

/// Name and type of a cover: its own, else those that players look for.
fn picture_tags(stream: &Stream) -> [(&'static str, String); 2] {
    let (extension, kind) = picture_type(&stream.codec_name).unwrap_or_default();
    let own = |key: &str| stream.tags.get(key).filter(|value| !value.is_empty()).cloned();
    [
        ("filename", own("filename").unwrap_or_else(|| format!("cover.{extension}"))),
        ("mimetype", own("mimetype").unwrap_or_else(|| kind.to_owned())),
    ]
}

/// The call that takes back from a Matroska output what ffmpeg always claims: that all frames of the video last the same.
#[must_use]
pub fn without_default_duration(output: &Path) -> Command {
    Command::new("mkvpropedit").arg("--quiet").arg(output).args(["--edit", "track:v1", "--delete", "default-duration"])
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
    if let Some(name) = placeholder(mux.probe, mux.streams).filter(|_| mux.streams.container.is_matroska()) {
        command = command.arg("-metadata:s:0").arg(format!("title={name}"));
    }
    match mux.streams.container {
        Container::Matroska | Container::WebM => {
            command.arg("-metadata:s:0").arg(format!("ENCODER_SETTINGS={}", mux.encoder_settings))
        }
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
    let command = if mux.streams.shift == 0.0 {
        command
    } else {
        command.arg("-output_ts_offset").arg(format!("{:.6}", -mux.streams.shift))
    };
    match mux.streams.container {
        Container::Matroska => command.args(["-default_mode", "passthrough", "-f", "matroska"]),
        Container::WebM => command.args(["-default_mode", "passthrough", "-f", "webm"]),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Origin;

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

    const FILM: Option<Rational> = Some(Rational { num: 24_000, den: 1_001 });

    fn call(container: Container, source: &str, frame_rate: Option<Rational>) -> String {
        let kept = [(0, Kind::Audio), (3, Kind::Attachment)]
            .map(|(index, kind)| Kept { index, kind, carry: Carry::Copy })
            .to_vec();
        let mux = Mux {
            source: Path::new(source),
            probe: &probe(),
            streams: &StreamPlan {
                origin: Origin::Matroska,
                container,
                video: 1,
                kept,
                dropped: Vec::new(),
                shift: 0.0,
            },
            video: Path::new("/work/video.mkv"),
            frame_rate,
            limit: None,
            index_first: true,
            encoder_settings: "SVT-AV1 v4.2.0 --preset 4 --crf 23",
            output: Path::new("/work/output"),
        };
        ffmpeg(&mux).to_strings().join("\n")
    }

    #[test]
    fn the_call_for_matroska() {
        insta::assert_snapshot!(call(Container::Matroska, "/library/-a %03d.mkv", FILM));
    }

    #[test]
    fn the_call_for_mp4() {
        insta::assert_snapshot!(call(Container::Mp4, "/library/a.mp4", FILM));
    }

    #[test]
    fn a_rate_that_varies_is_not_told() {
        assert!(!call(Container::Mp4, "/library/a.mp4", None).contains("-r:0"));
        assert_eq!(
            without_default_duration(Path::new("/work/out.mkv")).to_strings().join(" "),
            "mkvpropedit --quiet /work/out.mkv --edit track:v1 --delete default-duration"
        );
    }

    #[test]
    fn conversions_are_asked_for_by_the_place_in_the_output_and_a_foreign_clock_is_set_to_zero() {
        let kept = [(1, Carry::Samples("pcm_s24le")), (2, Carry::Filter("aac_adtstoasc")), (3, Carry::Cues("subrip"))]
            .map(|(index, carry)| Kept { index, kind: Kind::Audio, carry })
            .to_vec();
        let streams = StreamPlan {
            origin: Origin::MpegTs,
            container: Container::Matroska,
            video: 0,
            kept,
            dropped: Vec::new(),
            shift: 1.4,
        };
        let mux = Mux {
            source: Path::new("/library/a.m2ts"),
            probe: &probe(),
            streams: &streams,
            video: Path::new("/work/video.mkv"),
            frame_rate: Some(Rational { num: 25, den: 1 }),
            limit: Some(20),
            index_first: false,
            encoder_settings: "SVT-AV1 v4.2.0 --preset 4 --crf 23",
            output: Path::new("/work/output"),
        };
        insta::assert_snapshot!(ffmpeg(&mux).to_strings().join("\n"));
    }

    #[test]
    fn covers_are_files_in_matroska_and_streams_in_mp4() {
        let probe = Probe::parse(
            br#"{"format": {"format_name": "any"}, "streams": [{"index": 0, "codec_type": "video"},
            {"index": 1, "codec_type": "video", "codec_name": "png", "disposition": {"attached_pic": 1}}]}"#,
        )
        .unwrap();
        let call = |container| {
            let kept = vec![Kept { index: 1, kind: Kind::Picture, carry: Carry::Copy }];
            let mux = Mux {
                source: Path::new("/library/a"),
                probe: &probe,
                streams: &StreamPlan {
                    origin: Origin::Mp4,
                    container,
                    video: 0,
                    kept,
                    dropped: Vec::new(),
                    shift: 0.0,
                },
                video: Path::new("/work/video.mkv"),
                frame_rate: Some(Rational { num: 25, den: 1 }),
                limit: None,
                index_first: false,
                encoder_settings: "",
                output: Path::new("/work/out"),
            };
            ffmpeg(&mux).to_strings().join(" ")
        };
        let matroska = call(Container::Matroska);
        assert!(
            matroska.contains(
                "-attach file:/work/out.picture-1 -metadata:s:1 filename=cover.png -metadata:s:1 mimetype=image/png"
            ),
            "{matroska}"
        );
        assert!(!matroska.contains("-map 1:1"));
        let mp4 = call(Container::Mp4);
        assert!(mp4.contains("-map 1:1") && mp4.contains("-disposition:1 attached_pic") && !mp4.contains("-attach"));
    }

    #[test]
    fn a_webm_file_stays_one() {
        assert!(call(Container::WebM, "/library/a.WebM", FILM).contains("\n-f\nwebm\n"));
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
