//! What became of one file, from a receipt on the volume, from a job, or from both. Pure.

use av1_crds::settings::ReplacementMode;
use av1_crds::wire::{EncodeVerdict, PastOutcome, QualityScore};
use av1_crds::{EncodeJob, Phase, reasons};
use jiff::Timestamp;
use serde::Serialize;

use crate::view::text::signed;

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct FileOutcome {
    pub(super) path: String,
    /// The phase that its job ended in.
    pub(super) outcome: &'static str,
    pub(super) reason: String,
    /// When it ended, RFC 3339.
    pub(super) at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_before: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes_after: Option<i64>,
    /// Whether the AV1 version stands in the place of the file.
    pub(super) replaced: bool,
    /// Seconds that it took: of the encode where the volume tells, else of the job from start to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) frames_per_second: Option<f64>,
    /// Seconds of video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) film_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) quality: Option<QualityScore>,
    /// UID of the job and number of the run whose stills there are.
    #[serde(skip)]
    pub(super) stills: Option<(String, i64)>,
    /// Whether a receipt tells of it.
    #[serde(skip)]
    on_volume: bool,
}

impl FileOutcome {
    pub(super) fn of_past(past: &PastOutcome) -> Self {
        let phase = match past.verdict {
            _ if past.restored => Phase::Restored,
            _ if past.reason == reasons::CANCELLED_BY_USER => Phase::Cancelled,
            EncodeVerdict::Encoded => Phase::Succeeded,
            EncodeVerdict::Rejected => Phase::Rejected,
            EncodeVerdict::Skipped => Phase::Skipped,
            EncodeVerdict::Failed => Phase::Failed,
        };
        let seconds = Some(past.encode_seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0);
        Self {
            path: past.path.clone(),
            outcome: phase.as_str(),
            reason: past.reason.clone(),
            at: past.at.clone(),
            bytes_before: Some(signed(past.bytes_before)),
            bytes_after: past.bytes_after.map(signed),
            replaced: past.replaced,
            seconds,
            frames_per_second: seconds.filter(|_| past.frames > 0).map(|seconds| past.frames as f64 / seconds),
            film_seconds: positive(&past.duration_seconds),
            quality: past.quality.clone(),
            stills: past.stills.then(|| (past.job.clone(), past.run)),
            on_volume: true,
        }
    }

    /// None while the job has not ended.
    pub(super) fn of_job(job: &EncodeJob) -> Option<Self> {
        let status = job.status.as_ref().filter(|status| status.phase.is_terminal())?;
        let time = |text: &Option<String>| text.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
        let took = time(&status.completion_time).zip(time(&status.start_time));
        let succeeded = status.phase == Phase::Succeeded;
        let gate = status.size_gate.as_ref();
        let before = gate.map(|gate| gate.input_bytes).or(status.source.as_ref().map(|source| source.size));
        let mode = status.settings.as_ref().map(|settings| settings.replacement_mode);
        Some(Self {
            path: job.spec.source.path.clone(),
            outcome: status.phase.as_str(),
            reason: status.outcome.as_ref().map(|outcome| outcome.reason.clone()).unwrap_or_default(),
            at: status.completion_time.clone().unwrap_or_default(),
            bytes_before: before.map(signed),
            bytes_after: gate.map(|gate| signed(gate.output_bytes)),
            replaced: succeeded && mode.is_none_or(|mode| mode == ReplacementMode::Replace),
            // A job that was asked for something else later has the start of the one and the end of the other.
            seconds: took
                .filter(|_| succeeded || status.phase == Phase::Rejected)
                .map(|(end, start)| end.duration_since(start).as_secs_f64())
                .filter(|seconds| *seconds > 0.0),
            frames_per_second: None,
            film_seconds: status.media.as_ref().and_then(|media| positive(&media.duration_seconds)),
            quality: status.quality.clone(),
            stills: None,
            on_volume: false,
        })
    }

    /// Adds what a job tells of the same path: what ended later says how it ended, what the volume tells are the figures.
    pub(super) fn take_over(&mut self, job: Self) {
        if !self.on_volume {
            *self = job;
            return;
        }
        if job.ended() >= self.ended() {
            (self.outcome, self.reason, self.at) = (job.outcome, job.reason, job.at);
        }
        self.seconds = self.seconds.or(job.seconds);
        self.film_seconds = self.film_seconds.or(job.film_seconds);
        self.quality = self.quality.take().or(job.quality);
    }

    /// When it ended; none when that cannot be told.
    pub(super) fn ended(&self) -> Option<Timestamp> {
        self.at.parse().ok()
    }

    /// Bytes by which what stands in its place is smaller.
    pub(super) fn saved(&self) -> i64 {
        let sizes = self.bytes_before.zip(self.bytes_after).filter(|_| self.replaced);
        sizes.map_or(0, |(before, after)| before.saturating_sub(after))
    }

    /// Size of the output in parts of the source's; none without an output.
    pub(super) fn ratio(&self) -> Option<f64> {
        let (before, after) = self.bytes_before.zip(self.bytes_after).filter(|(before, _)| *before > 0)?;
        Some(after as f64 / before as f64)
    }

    pub(super) fn mean(&self) -> Option<f64> {
        number(&self.quality.as_ref()?.mean)
    }

    pub(super) fn worst_window(&self) -> Option<f64> {
        number(&self.quality.as_ref()?.worst_window)
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

fn positive(text: &str) -> Option<f64> {
    number(text).filter(|value| *value > 0.0)
}
