//! The rehearsal: before anything is decoded or encoded, the first seconds of all kept streams are muxed with a stub of the video
//! and read back, so that what can't be carried is known before hours are spent.
//!
//! May: read the source, write in the work folder. Must never: leave its files there.

use std::path::Path;
use std::time::Duration;

use av1_crds::reasons;
use av1_crds::wire::{Check, Stage};
use av1_media::rational::FrameTimes;
use av1_media::rehearse::{SECONDS, stub, stub_call, stub_rate, stub_times};
use av1_media::verify::{Output, Source as Measured, copied_streams, failed_rehearsal, judge_rehearsal, kept_streams};

use super::Run;
use super::files::{read, remove, replace};
use super::finish::extension;
use super::mux::{MuxError, MuxInput, mux};
use super::outcome::Ended;
use super::source::Source;
use super::verify::{VerifyError, packets, probe_output};
use crate::supervise::{Limits, SuperviseError, capture};

/// One picture and a few seconds of a file: more time than this means that the disk or the machine stands still.
const WALL: Duration = Duration::from_secs(1_800);
/// Longest line of a reading, in bytes.
const MOST_LINE: usize = 64 << 10;
/// Most bytes of one black picture.
const MOST_PICTURE: u64 = 16 << 20;
/// Sides of the stub: those that the encoder takes.
const SIDES: std::ops::RangeInclusive<u32> = 64..=8_704;

impl Run<'_> {
    /// Rehearses the mux; its row stands among the checks.
    ///
    /// # Errors
    /// [`Ended`] with `UnsupportedStream` when a stream does not come out as it went in.
    pub(super) fn rehearse(&mut self, source: &Source) -> Result<(), Ended> {
        self.stage(Stage::Rehearsing);
        let at = |name: &str| self.files.work.join(name);
        let output = at(&format!("rehearsal.{}", extension(&self.output_path(source), source.streams.container)));
        let (picture, video) = (at("rehearsal-picture.ivf"), at("rehearsal-video.mkv"));
        let rehearsed = self.rehearsed(source, &picture, &video, &output);
        remove(&[&picture, &video, &output]).map_err(|e| Ended::io("tidying up", &self.files.work, &e))?;
        let check = rehearsed?;
        let (passed, words) = (check.passed, check.measured.clone());
        self.checks.push(check);
        if passed {
            return Ok(());
        }
        Err(Ended::skipped(
            reasons::UNSUPPORTED_STREAM,
            format!("the first {SECONDS} s of the kept streams could not be carried unchanged: {words}"),
        ))
    }

    fn rehearsed(&self, source: &Source, picture: &Path, video: &Path, output: &Path) -> Result<Check, Ended> {
        let work = &self.files.work;
        let even = |side: Option<u32>| side.unwrap_or_default().next_multiple_of(2).clamp(*SIDES.start(), *SIDES.end());
        let limits = Limits { wall: WALL, stdout: MOST_LINE };
        capture(&stub_call(even(source.video.width), even(source.video.height), picture), &limits)
            .map_err(|error| Ended::tool("encoding one black picture", work, &error))?;
        let io = |e| Ended::io("writing a stub of the video", work, &e);
        let times = stub_times(&source.video);
        let stub = stub(&read(picture, MOST_PICTURE).map_err(io)?.unwrap_or_default(), &times)
            .ok_or_else(|| Ended::retry(reasons::ENCODE_FAILED, "the encoder wrote no picture for the rehearsal"))?;
        replace(video, &stub).map_err(io)?;
        let input = MuxInput {
            source: &source.path,
            probe: &source.probe,
            streams: &source.streams,
            video,
            frame_rate: Some(stub_rate(&source.video)),
            limit: Some(SECONDS),
            encoder_settings: "rehearsal",
            output,
        };
        match mux(&input) {
            Ok(_) => {}
            Err(MuxError::Tool(error)) => return gave_up("rehearsing the mux", work, &error),
            Err(MuxError::Source(error) | MuxError::Output(error)) => {
                return Err(Ended::io("rehearsing the mux", work, &error));
            }
        }
        match self.read_back(source, &times, output, &limits) {
            Ok(check) => Ok(check),
            Err(VerifyError::Tool { source: error, .. }) => gave_up("reading the rehearsal", work, &error),
            Err(error) => Ok(failed_rehearsal(&error.to_string())),
        }
    }

    fn read_back(
        &self,
        source: &Source,
        times: &FrameTimes,
        output: &Path,
        limits: &Limits,
    ) -> Result<Check, VerifyError> {
        let probe = match probe_output(output)? {
            Ok(probe) => probe,
            Err(error) => return Ok(failed_rehearsal(&error)),
        };
        let start = probe.main_video().and_then(|video| Some((video.time_base?, video.start_pts?)));
        let Some((time_base, start)) = start else {
            return Ok(failed_rehearsal("the video of the rehearsal has no start"));
        };
        let kept = kept_streams(&source.probe, &source.streams);
        let before = packets("the source", &source.path, &source.streams, &kept, Some(SECONDS), limits)?;
        let after =
            packets("the rehearsal", output, &source.streams, &copied_streams(&probe, &source.streams), None, limits)?;
        Ok(judge_rehearsal(
            &Measured { probe: &source.probe, streams: &source.streams, frames: times, packets: &before.streams },
            &Output {
                probe: &probe,
                stream_light: None,
                frames: &FrameTimes { time_base, pts: vec![start] },
                packets: &after.streams,
                decode_errors: "",
                sampled: None,
            },
            SECONDS,
        ))
    }
}

/// A tool that fails has seen something in the streams that it can't carry; anything else may heal.
fn gave_up(what: &str, work: &Path, error: &SuperviseError) -> Result<Check, Ended> {
    match error {
        SuperviseError::Failed { .. } => Ok(failed_rehearsal(&error.to_string())),
        error => Err(Ended::tool(what, work, error)),
    }
}
