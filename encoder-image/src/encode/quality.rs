//! Measures the output against the source, frame by frame, and has the scores judged.
//!
//! May: read both files, write indices in the work folder. Must never: let a measure of fewer frames pass for the whole.

use std::path::Path;

use av1_crds::encoding::{Metric, QualityRule};
use av1_crds::reasons;
use av1_crds::wire::EncodeVerdict;
use av1_media::quality::{Measured, Scores, call, judge};

use super::Run;
use super::files::remove;
use super::outcome::Ended;
use super::planning::Planned;
use super::source::Source;
use crate::supervise::{Limits, stream};

/// Longest line of a measure, in bytes.
const MOST_LINE: usize = 64 << 10;
/// Frames a second that any machine measures at least, beyond an hour.
const SLOWEST: f64 = 0.2;

impl Run<'_> {
    /// Measures what `verify.quality` asks for, adds its row, and ends the run when it is too low.
    pub(super) fn quality(&mut self, source: &Source, planned: &Planned, output: &Path) -> Result<(), Ended> {
        let Some(rule) = self.task.settings.quality.clone() else { return Ok(()) };
        let scores = self.measure(source, planned, (rule.metric, &[]), output)?;
        let summary = scores
            .sum_up(planned.decoded.rate.as_f64())
            .ok_or_else(|| Ended::retry(reasons::ENCODE_FAILED, "no frame was measured"))?;
        let check = judge(&rule, &summary, planned.plan.grain() > 0);
        self.quality = Some(summary.report(rule.metric));
        self.scores = Some((rule.metric, scores));
        self.checks.push(check.clone());
        if !check.passed {
            return Err(too_low(&rule, &check.expected, &check.measured));
        }
        // Measuring may take as long as the encode.
        source.check_unchanged()
    }

    /// The scores of the frames of `encode` in the given ranges; of all when there is none.
    pub(super) fn measure(
        &mut self,
        source: &Source,
        planned: &Planned,
        (metric, ranges): (Metric, &[(u64, u64)]),
        encode: &Path,
    ) -> Result<Scores, Ended> {
        let Planned { decoded, picture, .. } = planned;
        let work = &self.files.work;
        let measured = Measured { source: &source.path, index: source.video.index, picture, encode, work, ranges };
        let command = call(metric, &measured).ok_or_else(|| {
            let message = format!("this image cannot measure {} of this video: take another metric", metric.as_str());
            Ended::Failed(crate::role::RoleFailure::bad_input(reasons::INVALID_ENCODER_PARAMS, message))
        })?;
        self.commands.insert("quality".to_owned(), command.to_strings());
        let index = work.join("encode.lwi");
        remove(&[&index]).map_err(|e| Ended::io("removing an old index", work, &e))?;
        let frames = decoded.times.pts.len();
        #[allow(clippy::cast_precision_loss)]
        let wall = std::time::Duration::from_secs_f64(3_600.0 + frames as f64 / SLOWEST);
        let mut scores = Scores::default();
        stream(&command, &Limits { wall, stdout: MOST_LINE }, &mut |line| scores.line(line))
            .map_err(|e| Ended::tool("measuring the quality", work, &e))?;
        remove(&[&index]).map_err(|e| Ended::io("removing an index", work, &e))?;
        let found = scores.frames().len();
        let wanted: u64 = ranges.iter().map(|(from, to)| to - from).sum();
        let frames = if ranges.is_empty() { frames } else { usize::try_from(wanted).unwrap_or(usize::MAX) };
        if found == frames {
            Ok(scores)
        } else {
            Err(Ended::retry(reasons::ENCODE_FAILED, format!("{found} of {frames} frames were measured")))
        }
    }
}

fn too_low(rule: &QualityRule, expected: &str, measured: &str) -> Ended {
    Ended::Verdict {
        verdict: EncodeVerdict::Rejected,
        reason: reasons::QUALITY_TOO_LOW.to_owned(),
        message: format!(
            "{measured}, but {expected} is asked for ({}); the file is left as it is",
            rule.metric.as_str()
        ),
    }
}
