//! The decode pass over the source, its result kept for later runs, and the check that Av1an's source plugin counts the same
//! number of frames.
//!
//! May: read the source, write in the work folder. Must never: guess a number of frames.

use std::path::Path;
use std::time::Duration;

use av1_crds::reasons;
use av1_crds::wire::FileIdentity;
use av1_media::av1an::{frame_count, parse_frame_count, script};
use av1_media::bars;
use av1_media::command::Command;
use av1_media::frames::{DecodePass, Decoded, Look, Told, decode_pass, recount_pass, sample_pass};
use av1_media::identity::{Comparison, compare};
use av1_media::picture::Picture;
use av1_media::probe::{Probe, Stream};
use av1_media::rational::Rational;
use serde::{Deserialize, Serialize};

use super::files::{Files, read_json, replace, replace_json};
use super::outcome::Ended;
use crate::supervise::{Limits, SuperviseError, capture, last_lines, lost_touch, stream};

/// Bounds a pass that hangs: an hour, and a second for each 100 kB of the source.
const WALL_BASE: u64 = 3_600;
const WALL_BYTES_A_SECOND: u64 = 100_000;
/// Longest line of the pass.
const MOST_LINE: usize = 64 << 10;

/// Samples by which interlaced video is found before all of it is decoded: how many, and seconds of each.
const SAMPLES: u32 = 5;
const SAMPLE_SECONDS: u32 = 4;
/// Shorter video is decoded as a whole at once.
const SAMPLED_FROM_SECONDS: f64 = 120.0;
/// Codecs that have no interlaced coding.
const NEVER_INTERLACED: [&str; 4] = ["vp8", "vp9", "vvc", "av1"];

/// What a decode pass is asked for, besides frames and their times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    /// Whether black bars are looked for.
    pub(crate) with_bars: bool,
    /// Whether the video may be interlaced.
    pub(crate) may_be_interlaced: bool,
    /// Whether times that are missing may be made up.
    pub(crate) may_make_up: bool,
}

/// The result of a decode pass, as it is kept. Another format of the file has another version.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    source: FileIdentity,
    stream: u32,
    asked: Asked,
    decoded: Decoded,
}

const KEPT_VERSION: u32 = 3;

/// The source as the decode pass needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Video<'a> {
    /// Its absolute path.
    pub(crate) path: &'a Path,
    /// Its identity.
    pub(crate) identity: &'a FileIdentity,
    /// What ffprobe says of it.
    pub(crate) probe: &'a Probe,
    /// The main video.
    pub(crate) stream: &'a Stream,
    /// What is asked for.
    pub(crate) asked: Asked,
}

impl Video<'_> {
    /// The decode pass over it.
    pub(crate) fn decode_pass(&self) -> Command {
        let look = if self.asked.with_bars { Look::Bars(bars::limit(self.stream)) } else { Look::Plain };
        decode_pass(self.path, self.stream.index, look)
    }

    /// Whether the file and its first pictures say that it is progressive, or its codec knows nothing else.
    fn says_progressive(&self) -> bool {
        let told = self.stream.field_order.as_deref() == Some("progressive") && self.stream.pictures.interlaced == 0;
        told || NEVER_INTERLACED.contains(&self.stream.codec_name.as_str())
    }
}

/// Times and rate of the main video's frames: kept from an earlier run over the same source, else from a decode pass.
///
/// # Errors
/// [`Ended`] with a verdict when the video can't be decoded, is interlaced, or its times can't be kept.
pub(crate) fn decode(files: &Files, video: &Video<'_>) -> Result<Decoded, Ended> {
    if let Some(decoded) = kept(files, video) {
        tracing::info!(frames = decoded.times.pts.len(), "the source was decoded by an earlier run");
        return Ok(decoded);
    }
    let time_base =
        video.stream.time_base.ok_or_else(|| Ended::skipped(reasons::CANNOT_DECODE, "the video has no time base"))?;
    let duration = duration(video.probe, video.stream);
    sample(files, video, duration)?;
    let wall = wall(video.identity);
    let mut pass = DecodePass::default();
    let ran = stream(&video.decode_pass(), &Limits { wall, stdout: MOST_LINE }, &mut |line| pass.line(line));
    let errors = match ran {
        Ok(errors) if lost_touch(&errors) => {
            let message = format!("decoding the source: {}", last_lines(&errors));
            return Err(Ended::retry(reasons::IO_ERROR, message));
        }
        Ok(errors) | Err(SuperviseError::Failed { stderr_tail: errors, .. }) if !errors.is_empty() => errors,
        Ok(_) => String::new(),
        Err(error) => return Err(Ended::tool("decoding the source", &files.work, &error)),
    };
    if pass.changes_size() {
        let mut lines = Vec::new();
        let call = recount_pass(video.path, video.stream.index);
        stream(&call, &Limits { wall, stdout: MOST_LINE }, &mut |line| lines.push(line.to_owned()))
            .map_err(|error| Ended::tool("counting the frames of the source", &files.work, &error))?;
        pass.recount(lines.iter().map(String::as_str));
    }
    let rates: Vec<Rational> = [video.stream.r_frame_rate, video.stream.avg_frame_rate].into_iter().flatten().collect();
    let told = Told {
        time_base,
        rates: &rates,
        duration,
        errors: &errors,
        says_progressive: video.says_progressive(),
        may_be_interlaced: video.asked.may_be_interlaced,
        may_make_up: video.asked.may_make_up,
    };
    let decoded = pass.finish(&told)?;
    let kept = Kept {
        version: KEPT_VERSION,
        source: video.identity.clone(),
        stream: video.stream.index,
        asked: video.asked,
        decoded,
    };
    replace_json(&files.frames, &kept).map_err(|e| Ended::io("writing frames.json", &files.work, &e))?;
    Ok(kept.decoded)
}

/// Looks at samples of a long video that may be interlaced, so that it is not decoded as a whole in vain. A sample that can't
/// be decoded says nothing.
#[allow(clippy::cast_lossless)]
fn sample(files: &Files, video: &Video<'_>, duration: Option<f64>) -> Result<(), Ended> {
    let Some(seconds) = duration.filter(|seconds| *seconds >= SAMPLED_FROM_SECONDS) else {
        return Ok(());
    };
    if video.says_progressive() || video.asked.may_be_interlaced {
        return Ok(());
    }
    let mut pass = DecodePass::default();
    for sample in 0..SAMPLES {
        let start = seconds * (sample as f64 + 0.5) / SAMPLES as f64;
        let call = sample_pass(video.path, video.stream.index, start, SAMPLE_SECONDS);
        let limits = Limits { wall: Duration::from_secs(WALL_BASE), stdout: MOST_LINE };
        match stream(&call, &limits, &mut |line| pass.line(line)) {
            Ok(_) | Err(SuperviseError::Failed { .. }) => {}
            Err(error) => return Err(Ended::tool("decoding samples of the source", &files.work, &error)),
        }
    }
    pass.interlaced(false).map_or(Ok(()), |refusal| Err(refusal.into()))
}

/// Longest run over the whole source.
fn wall(identity: &FileIdentity) -> Duration {
    Duration::from_secs(WALL_BASE + identity.size / WALL_BYTES_A_SECOND)
}

fn kept(files: &Files, video: &Video<'_>) -> Option<Decoded> {
    let kept: Kept = read_json(&files.frames)?;
    let times = &kept.decoded.times;
    let same = kept.version == KEPT_VERSION
        && (kept.stream, kept.asked) == (video.stream.index, video.asked)
        && compare(&kept.source, video.identity) != Comparison::Different
        && Some(times.time_base) == video.stream.time_base
        && !times.pts.is_empty();
    same.then_some(kept.decoded)
}

/// What the container says of the video's duration in seconds: of the stream, by its tag, or of the whole file when the video
/// is all there is to tell it.
fn duration(probe: &Probe, video: &Stream) -> Option<f64> {
    let tagged = || {
        video
            .tags
            .iter()
            .find(|(key, _)| key.as_str() == "duration" || key.starts_with("duration-"))
            .and_then(|(_, text)| clock(text))
    };
    let whole =
        || (probe.of("audio").count() + probe.of("subtitle").count() == 0).then_some(probe.format.duration).flatten();
    video.duration.or_else(tagged).or_else(whole)
}

/// Seconds of `HH:MM:SS.fraction`.
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.trim().splitn(3, ':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(hours * 3_600.0 + minutes * 60.0 + seconds)
}

/// The script that gives the frames of stream `index` of `path` as `picture` plans them.
///
/// # Errors
/// [`Ended`] when the path can't be told to the plugin.
pub(crate) fn script_of(
    files: &Files,
    (path, index): (&Path, u32),
    picture: &Picture,
    rate: Rational,
) -> Result<String, Ended> {
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| Ended::skipped(reasons::UNREPRESENTABLE_NAME, "the path is not UTF-8"))
    };
    Ok(script(&text(path)?, index, &text(&files.index)?, rate, picture))
}

/// How many frames the source plugin gives by `script`, or why it can't say; the index is built on the way.
///
/// # Errors
/// [`Ended`] when the script can't be written, or the plugin is disturbed.
pub(crate) fn count(files: &Files, video: &Video<'_>, script: &str) -> Result<Result<u64, String>, Ended> {
    replace(&files.script, script.as_bytes()).map_err(|e| Ended::io("writing source.vpy", &files.work, &e))?;
    let limits = Limits { wall: wall(video.identity), stdout: MOST_LINE };
    match capture(&frame_count(&files.script), &limits) {
        Ok(captured) => Ok(parse_frame_count(&String::from_utf8_lossy(&captured.stdout))
            .ok_or_else(|| "it counts an unknown number".to_owned())),
        Err(error @ SuperviseError::Failed { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(Ended::tool("indexing the source", &files.work, &error)),
    }
}

/// The script that feeds Av1an, which gives `frames` frames.
///
/// # Errors
/// [`Ended`] with a verdict when the counts differ.
pub(crate) fn script_with(
    files: &Files,
    video: &Video<'_>,
    picture: &Picture,
    rate: Rational,
    frames: u64,
) -> Result<String, Ended> {
    let script = script_of(files, (video.path, video.stream.index), picture, rate)?;
    let message = match count(files, video, &script)? {
        Ok(count) if count == frames => return Ok(script),
        Ok(count) => format!("ffmpeg decodes {frames} frames, the source plugin counts {count}"),
        Err(why) => format!("the source plugin cannot read the video, which ffmpeg decodes to {frames} frames: {why}"),
    };
    Err(Ended::skipped(reasons::FRAME_COUNT_MISMATCH, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matroskas_duration_tags_are_read() {
        assert_eq!(clock("00:01:05.280000000"), Some(65.28));
        assert_eq!((clock("5.2"), clock("a:b:c"), clock("")), (None, None, None));
    }
}
