//! One read of a file for its proof: a hash and the time of every packet of the copied streams, and of an output also the
//! decode of everything with the time of every video frame, or of every video packet where the pictures are decoded elsewhere. The calls, and their answers read into plain values.
//!
//! Pure. Memory grows by 16 bytes a packet or frame, whatever the packets hold.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::command::Command;
use crate::probe::Probe;
use crate::rational::{FrameTimes, Rational};
use crate::sampling::Sample;
use crate::streams::{Origin, Reading, StreamPlan};

/// Subtitles that are decoded; those that are pictures are proved by their hashes alone.
const TEXT_SUBTITLES: &[&str] = &["ass", "mov_text", "ssa", "subrip", "webvtt"];

/// The call that hashes `streams` of `path` (absolute), of the first `seconds` or of all.
#[must_use]
pub fn hash_call(path: &Path, streams: &[(u32, Reading)], seconds: Option<u32>) -> Command {
    hashes(input(path, AtError::Stop, seconds), streams)
}

/// The call that decodes all of `path` (absolute) and hashes `streams`, in one read. Video, sound and subtitles
/// are decoded apart from each other: within one output, frames of video would wait in memory for the next subtitle.
#[must_use]
pub fn decode_call(path: &Path, probe: &Probe, streams: &[(u32, Reading)], at_error: AtError) -> Command {
    let mut command = input(path, at_error, None);
    if let Some(video) = probe.of("video").next() {
        command = decoded_video(command, video.index);
    }
    let command = decoded_words(command, probe);
    if streams.is_empty() { command } else { hashes(command, streams) }
}

/// [`decode_call`] that does not decode the video: its packets stand behind those of `streams`, for [`Measured::by_packets`].
#[must_use]
pub fn sound_call(path: &Path, probe: &Probe, streams: &[(u32, Reading)], at_error: AtError) -> Command {
    let video = probe.of("video").next().map(|video| (video.index, Reading::Copy));
    let streams: Vec<_> = streams.iter().cloned().chain(video).collect();
    let command = decoded_words(input(path, at_error, None), probe);
    if streams.is_empty() { command } else { hashes(command, &streams) }
}

/// The call that decodes the video of `path` (absolute) from the key frame before `sample` to its end, with a line for each frame
/// of the sample. `start` is the second at which the file starts, from which FFmpeg counts.
#[must_use]
pub fn sample_call(path: &Path, index: u32, start: f64, sample: Sample) -> Command {
    let seconds = |from: f64, to: f64| format!("{:.6}", (to - from).max(0.0));
    let mut command = call(AtError::Stop);
    if let Some(from) = sample.from {
        command = command.arg("-ss").arg(seconds(start, from));
    }
    if let Some(until) = sample.until {
        command = command.arg("-t").arg(seconds(sample.from.unwrap_or(start), until));
    }
    decoded_video(command.arg("-i").file(path), index)
}

/// Decodes the video, with a line for each frame.
fn decoded_video(command: Command, index: u32) -> Command {
    command
        .arg("-map")
        .arg(format!("0:{index}"))
        .args(["-fps_mode:v", "passthrough", "-enc_time_base:v", "demux"])
        .args(["-stats_enc_pre:v:0", "pipe:1", "-stats_enc_pre_fmt:v:0", "frame {ptsi} {tbi}", "-f", "null", "-"])
}

/// Decodes sound and subtitles.
fn decoded_words(mut command: Command, probe: &Probe) -> Command {
    for audio in probe.of("audio") {
        command = command.arg("-map").arg(format!("0:{}", audio.index)).args(["-f", "null", "-"]);
    }
    for subtitle in probe.of("subtitle").filter(|s| TEXT_SUBTITLES.contains(&s.codec_name.as_str())) {
        command = command.arg("-map").arg(format!("0:{}", subtitle.index)).args(["-c:s", "srt", "-f", "null", "-"]);
    }
    command
}

/// What a call does at the first error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtError {
    /// Fail: every doubt of a decoder is an error then.
    Stop,
    /// Go on, to measure what is left of a file that is known to be damaged.
    GoOn,
}

fn call(at_error: AtError) -> Command {
    let command = Command::new("ffmpeg").args(["-nostdin", "-hide_banner", "-v", "error"]);
    let command = match at_error {
        AtError::Stop => command.arg("-xerror"),
        AtError::GoOn => command,
    };
    command.args(["-copyts", "-protocol_whitelist", "file,pipe"])
}

fn input(path: &Path, at_error: AtError, seconds: Option<u32>) -> Command {
    let command = call(at_error);
    let command = match seconds {
        Some(seconds) => command.arg("-t").arg(seconds.to_string()),
        None => command,
    };
    command.arg("-i").file(path)
}

/// Whole lines only: two writers share the pipe, so that each packet's line is written at once.
fn hashes(mut command: Command, streams: &[(u32, Reading)]) -> Command {
    for (index, _) in streams {
        command = command.arg("-map").arg(format!("0:{index}"));
    }
    command = command.args(["-c", "copy"]);
    for (position, (_, reading)) in streams.iter().enumerate() {
        command = match reading {
            Reading::Copy => command,
            Reading::Filter(filter) => command.arg(format!("-bsf:{position}")).arg(*filter),
            Reading::Encoder(encoder) => command.arg(format!("-c:{position}")).arg(*encoder),
        };
    }
    command.args(["-flush_packets", "1", "-f", "framehash", "-hash", "sha256", "pipe:1"])
}

/// The packets of one stream.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamPackets {
    /// Seconds that one tick lasts.
    pub time_base: Rational,
    /// SHA-256 of the decoder's configuration, or of an attachment's content.
    pub configuration: Option<String>,
    /// SHA-256 over the packets' own SHA-256, in order; of subtitles with their side data.
    pub digest: String,
    /// Presentation times in ticks, in order; none where a packet has none.
    pub pts: Vec<Option<i64>>,
    /// The latest end of a packet in ticks.
    pub end: Option<i64>,
    /// How long each packet is shown in ticks, of subtitles alone.
    pub durations: Vec<i64>,
    /// SHA-256 of what the first packet has beside its content. A filter that makes the decoder's configuration from the
    /// packets puts it there.
    pub first_side_data: Vec<String>,
}

impl StreamPackets {
    /// The earliest presentation time in seconds.
    #[must_use]
    pub fn start_seconds(&self) -> Option<f64> {
        self.pts.iter().flatten().min().map(|ticks| self.seconds(*ticks))
    }

    /// The latest end in seconds.
    #[must_use]
    pub fn end_seconds(&self) -> Option<f64> {
        self.end.map(|ticks| self.seconds(ticks))
    }

    /// Ticks in seconds.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn seconds(&self, ticks: i64) -> f64 {
        ticks as f64 * self.time_base.as_f64()
    }
}

/// What the call of this module wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Streams in the order in which they were asked for.
    pub streams: Vec<StreamPackets>,
    /// Times of the decoded video frames, in the order of decoding.
    pub frames: FrameTimes,
}

impl Measured {
    /// What [`sound_call`] wrote: the last stream is the video, each packet of which stands for a frame. One without a time is left
    /// out, so that the frames are too few.
    #[must_use]
    pub fn by_packets(mut self, copied: usize) -> Self {
        if self.streams.len() > copied
            && let Some(video) = self.streams.pop()
        {
            self.frames = FrameTimes { time_base: video.time_base, pts: video.pts.into_iter().flatten().collect() };
        }
        self
    }
}

/// A line that is none of those that the calls of this module write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("ffmpeg wrote a line that could not be read: {0:?}")]
pub struct UnreadableLine(pub String);

/// Takes the lines of a call one by one.
#[derive(Debug, Default)]
pub struct Reader {
    ignores_side_data: bool,
    streams: Vec<Open>,
    frames: Vec<i64>,
    frame_time_base: Option<Rational>,
}

#[derive(Debug, Default)]
struct Open {
    time_base: Option<Rational>,
    is_subtitle: bool,
    configuration: Option<String>,
    hash: Sha256,
    pts: Vec<Option<i64>>,
    end: Option<i64>,
    durations: Vec<i64>,
    first_side_data: Vec<String>,
}

impl Reader {
    /// For files of `plan`: what stands beside the packets of an MPEG stream is about its transport.
    #[must_use]
    pub fn new(plan: &StreamPlan) -> Self {
        Self { ignores_side_data: matches!(plan.origin, Origin::MpegTs | Origin::MpegPs), ..Self::default() }
    }

    /// Takes one line.
    ///
    /// # Errors
    /// [`UnreadableLine`] when it is of an unknown shape.
    pub fn line(&mut self, line: &str) -> Result<(), UnreadableLine> {
        let understood = if let Some(header) = line.strip_prefix('#') {
            self.header(header)
        } else if let Some(frame) = line.strip_prefix("frame ") {
            self.frame(frame)
        } else {
            self.packet(line)
        };
        understood.ok_or_else(|| UnreadableLine(line.chars().take(200).collect()))
    }

    /// What was read.
    #[must_use]
    pub fn finish(self) -> Measured {
        let none = Rational { num: 1, den: 1 };
        let close = |open: Open| StreamPackets {
            time_base: open.time_base.unwrap_or(none),
            configuration: open.configuration,
            digest: hex::encode(open.hash.finalize()),
            pts: open.pts,
            end: open.end,
            durations: open.durations,
            first_side_data: open.first_side_data,
        };
        Measured {
            streams: self.streams.into_iter().map(close).collect(),
            frames: FrameTimes { time_base: self.frame_time_base.unwrap_or(none), pts: self.frames },
        }
    }

    /// A line such as `#tb 0: 1/1000` or `#extradata 0, 5, e1d9…`; those about the hash and the program say nothing.
    fn header(&mut self, text: &str) -> Option<()> {
        if let Some(fields) = text.strip_prefix("extradata ") {
            let mut fields = fields.split(',').map(str::trim);
            let stream = fields.next()?;
            let hash = fields.nth(1)?.to_owned();
            self.stream(stream)?.configuration = Some(hash);
        } else if let Some((stream, value)) = text.strip_prefix("tb ").and_then(|rest| rest.split_once(": ")) {
            self.stream(stream)?.time_base = Some(value.trim().parse().ok()?);
        } else if let Some((stream, value)) = text.strip_prefix("media_type ").and_then(|rest| rest.split_once(": ")) {
            self.stream(stream)?.is_subtitle = value.trim() == "subtitle";
        }
        Some(())
    }

    /// Time stamp and time base of a decoded frame.
    fn frame(&mut self, text: &str) -> Option<()> {
        let (pts, time_base) = text.split_once(' ')?;
        self.frame_time_base = Some(time_base.trim().parse().ok()?);
        self.frames.push(pts.parse().ok()?);
        Some(())
    }

    /// `stream, dts, pts, duration, size, hash`, and side data behind it.
    fn packet(&mut self, text: &str) -> Option<()> {
        let mut fields = text.splitn(7, ',').map(str::trim);
        let stream = fields.next()?;
        let pts = number(fields.nth(1)?)?;
        let duration = number(fields.next()?)?.unwrap_or(0);
        let hash = fields.nth(1)?;
        let side_data = fields.next();
        let counts = !self.ignores_side_data;
        let open = self.stream(stream)?;
        open.hash.update(hash);
        if open.is_subtitle {
            open.hash.update(side_data.filter(|_| counts).unwrap_or_default());
            open.durations.push(duration);
        }
        if open.pts.is_empty() {
            open.first_side_data = side_data.map(side_data_hashes).unwrap_or_default();
        }
        open.end = open.end.max(pts.map(|pts| pts.saturating_add(duration)));
        open.pts.push(pts);
        Some(())
    }

    /// The stream with this number; they are few and come in order.
    fn stream(&mut self, number: &str) -> Option<&mut Open> {
        const MOST: usize = 100_000;
        let number: usize = number.parse().ok().filter(|number| *number < MOST)?;
        if self.streams.len() <= number {
            self.streams.resize_with(number + 1, Open::default);
        }
        self.streams.get_mut(number)
    }
}

/// The hashes in `S=number, size, hash, size, hash…`.
fn side_data_hashes(text: &str) -> Vec<String> {
    text.split(',').skip(2).step_by(2).map(|hash| hash.trim().to_owned()).collect()
}

/// A number of ticks, or none where there is no time; anything else is not understood.
fn number(text: &str) -> Option<Option<i64>> {
    if text == "NOPTS" {
        Some(None)
    } else {
        text.parse().ok().map(|value| Some(value).filter(|value| *value != i64::MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Measured {
        let mut reader = Reader::default();
        lines.iter().for_each(|line| reader.line(line).unwrap());
        reader.finish()
    }

    #[test]
    fn frames_and_packets_are_told_apart_and_read() {
        let reading = read(&[
            "#format: frame checksums",
            "#extradata 0,                              19, 21701d",
            "#tb 0: 1/1000",
            "#media_type 0: audio",
            "#stream#, dts,        pts, duration,     size, hash",
            "frame 42 1/1000",
            "0,         -7,         -7,       20,      262, 5483, S=1,       10, 7bd1",
            "frame 83 1/1000",
            "0,         13,         13,       20,      262, 5484",
        ]);
        assert_eq!(reading.frames, FrameTimes { time_base: Rational { num: 1, den: 1_000 }, pts: vec![42, 83] });
        let stream = &reading.streams[0];
        assert_eq!((stream.pts.as_slice(), stream.end), ([Some(-7), Some(13)].as_slice(), Some(33)));
        assert_eq!(stream.configuration.as_deref(), Some("21701d"));
        assert_eq!(stream.start_seconds(), Some(-0.007));
    }

    #[test]
    fn a_changed_or_moved_packet_changes_the_digest() {
        let digest = |lines: &[&str]| read(lines).streams[0].digest.clone();
        let whole = digest(&["0, 0, 0, 1, 2, aa", "0, 1, 1, 1, 2, bb"]);
        assert_ne!(whole, digest(&["0, 0, 0, 1, 2, bb", "0, 1, 1, 1, 2, aa"]));
        assert_ne!(whole, digest(&["0, 0, 0, 1, 2, aa"]));
        assert_eq!(whole, digest(&["0, 5, 5, 1, 2, aa", "0, 6, 6, 1, 2, bb"]));
    }

    #[test]
    fn side_data_counts_for_subtitles_only() {
        let digest = |kind: &str, side: &str| {
            let header = format!("#media_type 0: {kind}");
            read(&[&header, &format!("0, 0, 0, 1, 2, aa{side}")]).streams[0].digest.clone()
        };
        assert_ne!(digest("subtitle", ""), digest("subtitle", ", S=1, 10, cc"));
        assert_eq!(digest("audio", ""), digest("audio", ", S=1, 10, cc"));
    }

    #[test]
    fn packets_without_a_time_are_kept_as_such_and_nonsense_is_refused() {
        assert_eq!(read(&["0, NOPTS, NOPTS, 0, 2, aa"]).streams[0].pts, [None]);
        for line in ["", "x", "0, 1", "frame x 1/2", "frame 1", "99999999, 0, 0, 1, 2, aa", "#tb 0: 0/0"] {
            assert!(Reader::default().line(line).is_err(), "{line:?}");
        }
    }

    #[test]
    fn the_packets_of_a_sampled_video_stand_for_its_frames() {
        let read = read(&[
            "#tb 0: 1/1000",
            "0, 0, 0, 20, 2, aa",
            "#tb 1: 1/24",
            "1, 7, 7, 1, 2, bb",
            "1, NOPTS, NOPTS, 1, 2, bb",
        ]);
        let measured = read.clone().by_packets(1);
        assert_eq!(measured.frames, FrameTimes { time_base: Rational { num: 1, den: 24 }, pts: vec![7] });
        assert_eq!(measured.streams, read.streams[..1]);
        assert!(read.by_packets(2).frames.pts.is_empty(), "the video was not read");
    }

    #[test]
    fn a_sample_is_read_from_the_key_frame_before_it_and_the_packets_of_all_else_in_one_go() {
        let words = |from, until| {
            let call = sample_call(Path::new("/work/out.mkv"), 0, 0.5, Sample { from, until }).to_strings().join(" ");
            call.split(" -map").next().unwrap().split("file,pipe ").nth(1).unwrap().to_owned()
        };
        let input = "-i file:/work/out.mkv";
        assert_eq!(words(None, Some(4.5)), format!("-t 4.000000 {input}"));
        assert_eq!(words(Some(60.5), Some(64.5)), format!("-ss 60.000000 -t 4.000000 {input}"));
        assert_eq!(words(Some(90.5), None), format!("-ss 90.000000 {input}"));
        let probe = Probe::parse(
            br#"{"format": {"format_name": "any"}, "streams": [{"index": 0, "codec_type": "video"}, {"index": 1, "codec_type": "audio"}]}"#,
        )
        .unwrap();
        let call = sound_call(Path::new("/o"), &probe, &[(1, Reading::Copy)], AtError::Stop).to_strings().join(" ");
        assert!(call.contains("-map 0:1 -f null - -map 0:1 -map 0:0 -c copy"), "{call}");
    }

    #[test]
    fn the_call_decodes_every_stream_and_hashes_in_the_same_read() {
        let probe = Probe::parse(
            br#"{"format": {"format_name": "any"}, "streams": [{"index": 0, "codec_type": "video"}, {"index": 1, "codec_type": "audio"},
            {"index": 2, "codec_type": "subtitle", "codec_name": "subrip"}, {"index": 3, "codec_type": "subtitle", "codec_name": "hdmv_pgs_subtitle"}]}"#,
        )
        .unwrap();
        insta::assert_snapshot!(
            decode_call(
                Path::new("/work/out.mkv"),
                &probe,
                &[1, 2, 3].map(|index| (index, Reading::Copy)),
                AtError::Stop
            )
            .to_strings()
            .join("\n")
        );
    }
}
