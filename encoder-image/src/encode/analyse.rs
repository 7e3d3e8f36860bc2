//! The decode pass over the source, its result kept for later runs, and the check that Av1an's source plugin counts the same
//! number of frames.
//!
//! May: read the source, write in the work folder. Must never: guess a number of frames.

use std::path::Path;
use std::time::Duration;

use av1_crds::reasons;
use av1_crds::wire::FileIdentity;
use av1_media::av1an::{frame_count, parse_frame_count, script};
use av1_media::frames::{DecodePass, Decoded, decode_pass};
use av1_media::identity::{Comparison, compare};
use av1_media::probe::{Probe, Stream};
use av1_media::rational::{FrameTimes, Rational};
use serde::{Deserialize, Serialize};

use super::files::{Files, read_json, replace, replace_json};
use super::outcome::Ended;
use crate::supervise::{Limits, SuperviseError, capture, stream};

/// Bounds a pass that hangs: an hour, and a second for each 100 kB of the source.
const WALL_BASE: u64 = 3_600;
const WALL_BYTES_A_SECOND: u64 = 100_000;
/// Longest line of the pass.
const MOST_LINE: usize = 64 << 10;

/// The result of a decode pass, as it is kept. Another format of the file has another version.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    source: FileIdentity,
    stream: u32,
    time_base: (i64, i64),
    rate: (i64, i64),
    changes_size: bool,
    pts: Vec<i64>,
}

const KEPT_VERSION: u32 = 2;

/// Times and rate of the main video's frames: kept from an earlier run over the same source, else from a decode pass.
///
/// # Errors
/// [`Ended`] with a verdict when the video can't be decoded or is not of a constant rate.
pub(crate) fn decode(
    files: &Files,
    source: &Path,
    identity: &FileIdentity,
    probe: &Probe,
    video: &Stream,
) -> Result<Decoded, Ended> {
    if let Some(decoded) = kept(files, identity, video) {
        tracing::info!(frames = decoded.times.pts.len(), "the source was decoded by an earlier run");
        return Ok(decoded);
    }
    let time_base =
        video.time_base.ok_or_else(|| Ended::skipped(reasons::CANNOT_DECODE, "the video has no time base"))?;
    let wall = wall(identity);
    let mut pass = DecodePass::default();
    let ran =
        stream(&decode_pass(source, video.index), &Limits { wall, stdout: MOST_LINE }, &mut |line| pass.line(line));
    let errors = match ran {
        Ok(errors) | Err(SuperviseError::Failed { stderr_tail: errors, .. }) if !errors.is_empty() => errors,
        Ok(_) => String::new(),
        Err(error) => return Err(Ended::tool("decoding the source", &files.work, &error)),
    };
    let rates: Vec<Rational> = [video.r_frame_rate, video.avg_frame_rate].into_iter().flatten().collect();
    let decoded = pass.finish(time_base, &rates, duration(probe, video), &errors)?;
    let kept = Kept {
        version: KEPT_VERSION,
        source: identity.clone(),
        stream: video.index,
        time_base: (time_base.num, time_base.den),
        rate: (decoded.rate.num, decoded.rate.den),
        changes_size: decoded.changes_size,
        pts: decoded.times.pts.clone(),
    };
    replace_json(&files.frames, &kept).map_err(|e| Ended::io("writing frames.json", &files.work, &e))?;
    Ok(decoded)
}

/// Longest run over the whole source.
fn wall(identity: &FileIdentity) -> Duration {
    Duration::from_secs(WALL_BASE + identity.size / WALL_BYTES_A_SECOND)
}

fn kept(files: &Files, identity: &FileIdentity, video: &Stream) -> Option<Decoded> {
    let kept: Kept = read_json(&files.frames)?;
    let rational = |(num, den)| Rational { num, den };
    let same = kept.version == KEPT_VERSION
        && kept.stream == video.index
        && compare(&kept.source, identity) != Comparison::Different;
    let same = same && Some(rational(kept.time_base)) == video.time_base && !kept.pts.is_empty();
    same.then(|| Decoded {
        times: FrameTimes { time_base: rational(kept.time_base), pts: kept.pts },
        rate: rational(kept.rate),
        changes_size: kept.changes_size,
    })
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

/// Writes the script that feeds Av1an and checks that it gives `frames` frames; the index is built on the way. Returns the
/// script.
///
/// # Errors
/// [`Ended`] with a verdict when the counts differ.
pub(crate) fn script_with(
    files: &Files,
    source: &Path,
    identity: &FileIdentity,
    video: u32,
    rate: Rational,
    frames: u64,
) -> Result<String, Ended> {
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| Ended::skipped(reasons::UNREPRESENTABLE_NAME, "the path is not UTF-8"))
    };
    let script = script(&text(source)?, video, &text(&files.index)?, rate);
    replace(&files.script, script.as_bytes()).map_err(|e| Ended::io("writing source.vpy", &files.work, &e))?;
    let limits = Limits { wall: wall(identity), stdout: MOST_LINE };
    let printed = match capture(&frame_count(&files.script), &limits) {
        Ok(captured) => String::from_utf8_lossy(&captured.stdout).into_owned(),
        Err(error @ SuperviseError::Failed { .. }) => {
            let message =
                format!("the source plugin cannot read the video, which ffmpeg decodes to {frames} frames: {error}");
            return Err(Ended::skipped(reasons::FRAME_COUNT_MISMATCH, message));
        }
        Err(error) => return Err(Ended::tool("indexing the source", &files.work, &error)),
    };
    match parse_frame_count(&printed) {
        Some(count) if count == frames => Ok(script),
        count => {
            let counted = count.map_or_else(|| "an unknown number".to_owned(), |count| count.to_string());
            Err(Ended::skipped(
                reasons::FRAME_COUNT_MISMATCH,
                format!("ffmpeg decodes {frames} frames, the source plugin counts {counted}"),
            ))
        }
    }
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
