//! Decodes samples of an output's video, where not all of it is to be decoded.
//!
//! May: read the output. Must never: take a sample whose frames did not come for a good one.

use std::path::Path;

use av1_media::packets::{Reader, sample_call};
use av1_media::probe::Probe;
use av1_media::rational::FrameTimes;
use av1_media::sampling::Sample;

use super::{VerifyError, VerifyInput, lines};
use crate::supervise::{Limits, SuperviseError};

/// Seconds at the edges of a sample within which frames are not counted.
const EDGE: f64 = 0.1;

/// The samples that are decoded; none when the video is decoded whole. They lie where the source has its frames.
pub(super) fn samples(input: &VerifyInput<'_>) -> Option<Vec<Sample>> {
    let (times, shift) = (input.frame_times, input.streams.shift);
    let first = times.seconds(0)? - shift;
    let last = times.seconds(times.pts.len().checked_sub(1)?)? - shift;
    input.sampling?.samples(first, last)
}

/// Decodes `samples` of the video whose packets have the times `frames`; what the first bad one is about, else nothing.
///
/// # Errors
/// [`VerifyError`] when a tool could not be run to its end.
pub(super) fn decode(
    path: &Path,
    probe: &Probe,
    samples: &[Sample],
    frames: &FrameTimes,
    limits: &Limits,
) -> Result<String, VerifyError> {
    // That there is a video is another check's affair.
    let Some(video) = probe.of("video").next() else { return Ok(String::new()) };
    let what = "samples of the output";
    let start = probe.format.start_time.unwrap_or_default();
    for sample in samples {
        let mut reader = Reader::default();
        let said = match lines(what, &sample_call(path, video.index, start, *sample), limits, &mut reader)? {
            Ok(complaints) => complaints,
            Err(SuperviseError::Failed { stderr_tail, status, .. }) if stderr_tail.trim().is_empty() => status,
            Err(SuperviseError::Failed { stderr_tail, .. }) => stderr_tail,
            Err(source) => return Err(VerifyError::Tool { what, source }),
        };
        if !said.trim().is_empty() {
            return Ok(format!("{}: {}", sample.place(), said.trim()));
        }
        let (decoded, packets) = (sample.count(&reader.finish().frames, EDGE), sample.count(frames, EDGE));
        if decoded != packets {
            return Ok(format!("{}: {decoded} of {packets} frames were decoded", sample.place()));
        }
    }
    Ok(String::new())
}
