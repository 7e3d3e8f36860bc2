//! Measures source and output, each in one read, and has them judged.
//!
//! May: read both files. Must never: write, or decide what passes (that is `av1_media::verify`).

use std::path::Path;
use std::time::Duration;

use av1_crds::settings::Settings;
use av1_crds::wire::Check;
use av1_media::command::Command;
use av1_media::light::Light;
use av1_media::matroska;
use av1_media::packets::{AtError, Measured, Reader, UnreadableLine, decode_call, hash_call, sound_call};
use av1_media::probe::{self, Probe};
use av1_media::rational::FrameTimes;
use av1_media::sampling::Sampling;
use av1_media::streams::{Reading, StreamPlan};
use av1_media::verify::{ExpectedVideo, Output, Source, copied_streams, judge, kept_streams, unreadable};

use crate::supervise::{Limits, SuperviseError, capture, lost_touch, stream};

/// Longest read of headers.
const PROBE_WALL: Duration = Duration::from_secs(600);
/// Longest decode: ten minutes and twenty times the duration, beyond any that still gets on.
const DECODE_BASE_SECONDS: f64 = 600.0;
const DECODE_TIMES_DURATION: f64 = 20.0;
/// Longest line of a reading, in bytes.
const MOST_LINE: usize = 64 << 10;

/// What is verified against what.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VerifyInput<'a> {
    /// The source file, absolute.
    pub(crate) source: &'a Path,
    /// What ffprobe says of it.
    pub(crate) source_probe: &'a Probe,
    /// What is kept of it.
    pub(crate) streams: &'a StreamPlan,
    /// Times of its decoded frames.
    pub(crate) frame_times: &'a FrameTimes,
    /// The output file, absolute.
    pub(crate) output: &'a Path,
    /// Effective settings.
    pub(crate) settings: &'a Settings,
    /// What the video is to be.
    pub(crate) video: &'a ExpectedVideo,
    /// Mastering display and light levels that all scenes of the encoded stream share.
    pub(crate) stream_light: Option<Light>,
    /// How a long video is sampled; none decodes all of it.
    pub(crate) sampling: Option<Sampling>,
}

/// Why nothing can be said of an output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error("reading {what} to verify it: {source}")]
    Tool { what: &'static str, source: SuperviseError },
    #[error("reading {what} to verify it: {source}")]
    Line { what: &'static str, source: UnreadableLine },
    #[error("reading {what} to verify it: {got} of {wanted} streams were read")]
    Streams { what: &'static str, got: usize, wanted: usize },
}

/// One row for each check; the output is good when all have passed.
///
/// # Errors
/// [`VerifyError`] when a tool could not be run to its end, or the source can't be read: that says nothing of the output.
pub(crate) fn verify(input: &VerifyInput<'_>) -> Result<Vec<Check>, VerifyError> {
    let probe = match probe_output(input.output)? {
        Ok(probe) => probe,
        Err(error) => return Ok(vec![unreadable(&error)]),
    };
    let limits = Limits { wall: longest_decode(input), stdout: MOST_LINE };
    let kept = kept_streams(input.source_probe, input.streams);
    let source = packets("the source", input.source, input.streams, &kept, None, &limits)?;
    let copied = copied_streams(&probe, input.streams);
    let samples = sampled::samples(input);
    let (output, mut errors) = read_output(input, &probe, &copied, samples.is_some(), &limits)?;
    if errors.is_empty() {
        counted("the output", &output, copied.len())?;
        if let Some(samples) = &samples {
            errors = sampled::decode(input.output, &probe, samples, &output.frames, &limits)?;
        }
    }
    Ok(judge(
        &Source {
            probe: input.source_probe,
            streams: input.streams,
            frames: input.frame_times,
            packets: &source.streams,
        },
        &Output {
            probe: &probe,
            frames: &output.frames,
            stream_light: input.stream_light,
            packets: &output.streams,
            decode_errors: &errors,
            sampled: input.sampling.filter(|_| samples.is_some()),
        },
        input.video,
        input.settings.duration_tolerance_millis,
    ))
}

/// What ffprobe and MKVToolNix say of the output; an output that they can't read is a finding, not an error.
pub(super) fn probe_output(path: &Path) -> Result<Result<Probe, String>, VerifyError> {
    let limits = Limits { wall: PROBE_WALL, stdout: probe::MAX_JSON };
    let probe = match capture(&probe::ffprobe(path), &limits) {
        Ok(captured) => Probe::parse(&captured.stdout).map_err(|error| error.to_string()),
        Err(error @ (SuperviseError::Failed { .. } | SuperviseError::OutOfBounds { .. })) => Err(error.to_string()),
        Err(source) => return Err(VerifyError::Tool { what: "the output", source }),
    };
    let mut probe = match probe {
        Ok(probe) => probe,
        Err(error) => return Ok(Err(error)),
    };
    let details = details(path, &mut probe).map_err(|source| VerifyError::Tool { what: "the output", source })?;
    Ok(details.map(|_| probe))
}

/// Adds to `probe` what of a Matroska file only MKVToolNix reads; returns the indices of tracks that it does not know. That it
/// can't read the file is the inner error.
pub(super) fn details(path: &Path, probe: &mut Probe) -> Result<Result<Vec<u32>, String>, SuperviseError> {
    if !probe.is_matroska() {
        return Ok(Ok(Vec::new()));
    }
    let limits = Limits { wall: PROBE_WALL, stdout: matroska::MAX_ANSWER };
    let read = capture(&matroska::identify(path), &limits)
        .and_then(|tracks| Ok((tracks, capture(&matroska::chapters(path), &limits)?)));
    match read {
        Ok((tracks, chapters)) => {
            Ok(matroska::complete(probe, &tracks.stdout, &chapters.stdout).map_err(|error| error.to_string()))
        }
        Err(error @ SuperviseError::Failed { .. }) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Reads the output; what the decoders complain of is a finding, not an error. Where they broke off, it is read once more to
/// its end, so that the other checks tell what is there. Of a video that is `sampled` the packets are read, not the frames.
fn read_output(
    input: &VerifyInput<'_>,
    probe: &Probe,
    copied: &[(u32, Reading)],
    sampled: bool,
    limits: &Limits,
) -> Result<(Measured, String), VerifyError> {
    let what = "the output";
    let call = |at_error| {
        let call = if sampled { sound_call } else { decode_call };
        call(input.output, probe, copied, at_error)
    };
    let measured = |reader: Reader| {
        let measured = reader.finish();
        if sampled { measured.by_packets(copied.len()) } else { measured }
    };
    let mut reader = Reader::new(input.streams);
    match lines(what, &call(AtError::Stop), limits, &mut reader)? {
        Ok(complaints) => Ok((measured(reader), complaints)),
        Err(SuperviseError::Failed { stderr_tail, status, .. }) => {
            let errors = if stderr_tail.trim().is_empty() { status } else { stderr_tail };
            let mut reader = Reader::new(input.streams);
            match lines(what, &call(AtError::GoOn), limits, &mut reader)? {
                Ok(_) | Err(SuperviseError::Failed { .. }) => Ok((measured(reader), errors)),
                Err(source) => Err(VerifyError::Tool { what, source }),
            }
        }
        Err(source) => Err(VerifyError::Tool { what, source }),
    }
}

/// The packets of `streams`, of the first `seconds` or of all.
///
/// # Errors
/// [`VerifyError`] when they can't be read, or not all of them.
pub(super) fn packets(
    what: &'static str,
    path: &Path,
    plan: &StreamPlan,
    streams: &[(u32, Reading)],
    seconds: Option<u32>,
    limits: &Limits,
) -> Result<Measured, VerifyError> {
    let mut reader = Reader::new(plan);
    if streams.is_empty() {
        return Ok(reader.finish());
    }
    lines(what, &hash_call(path, streams, seconds), limits, &mut reader)?
        .map_err(|source| VerifyError::Tool { what, source })?;
    let measured = reader.finish();
    counted(what, &measured, streams.len())?;
    Ok(measured)
}

/// Feeds `reader`; returns the end of stderr.
fn lines(
    what: &'static str,
    command: &Command,
    limits: &Limits,
    reader: &mut Reader,
) -> Result<Result<String, SuperviseError>, VerifyError> {
    let mut first_error = None;
    let ended = stream(command, limits, &mut |line| {
        if let Err(error) = reader.line(line) {
            first_error.get_or_insert(error);
        }
    });
    if let Ok(complaints) = &ended
        && lost_touch(complaints)
    {
        let (program, stderr_tail) = (command.program, complaints.clone());
        let source = SuperviseError::Disturbed { program, status: "it went on".to_owned(), stderr_tail };
        return Err(VerifyError::Tool { what, source });
    }
    match first_error {
        Some(source) if ended.is_ok() => Err(VerifyError::Line { what, source }),
        _ => Ok(ended),
    }
}

/// A stream that was asked for and not read must not pass for one without packets.
fn counted(what: &'static str, measured: &Measured, wanted: usize) -> Result<(), VerifyError> {
    let got = measured.streams.len();
    if got == wanted { Ok(()) } else { Err(VerifyError::Streams { what, got, wanted }) }
}

/// By the container's duration or that of the frames, whichever is longer: a container may tell none.
#[allow(clippy::cast_precision_loss)]
fn longest_decode(input: &VerifyInput<'_>) -> Duration {
    let frames = input.frame_times.pts.len() as f64 / input.video.frame_rate.as_f64();
    let seconds = input.source_probe.format.duration.unwrap_or_default().max(frames).clamp(0.0, 1e6);
    Duration::from_secs_f64(DECODE_BASE_SECONDS + DECODE_TIMES_DURATION * seconds)
}

mod sampled;
#[cfg(test)]
mod spoiled;
