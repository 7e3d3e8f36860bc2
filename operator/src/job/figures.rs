//! What the outcomes of jobs add to the histograms. Pure.

use av1_crds::conditions::SETTLED;
use av1_crds::metrics::{self as table, Metric};
use av1_crds::wire::{EncodeReport, EncodeResult, MediaSummary};
use av1_crds::{EncodeJob, EncodeJobStatus, Phase};
use av1_media::profile::height_class;
use jiff::Timestamp;

use super::order::Order;
use crate::conditions::find;

/// A value of a histogram.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) metric: &'static Metric,
    pub(super) labels: Vec<String>,
    pub(super) value: f64,
}

impl Sample {
    fn of(metric: &'static Metric, labels: &[&str], value: f64) -> Self {
        Self { metric, labels: labels.iter().map(|label| (*label).to_owned()).collect(), value }
    }
}

/// The verdict of an encode. What was judged before anything was encoded has no duration, and what was taken over from an
/// earlier run no speed: the time that it took then is not known.
pub(super) fn of_verdict(
    namespace: &str,
    library: &str,
    verdict: &EncodeResult,
    media: Option<&MediaSummary>,
    report: Option<&EncodeReport>,
) -> Vec<Sample> {
    let mut samples = Vec::new();
    if verdict.encode_seconds > 0.0
        && let Some(media) = media
    {
        let class = class(media);
        samples.push(Sample::of(&table::ENCODE_DURATION, &[class], verdict.encode_seconds));
        if verdict.chunks_resumed == 0
            && let Some(seconds) = seconds_of(media, verdict.frames)
        {
            samples.push(Sample::of(&table::ENCODE_SPEED, &[class], seconds / verdict.encode_seconds));
        }
    }
    if let Some(gate) = verdict.size_gate.as_ref().filter(|gate| gate.input_bytes > 0) {
        let ratio = gate.output_bytes as f64 / gate.input_bytes as f64;
        samples.push(Sample::of(&table::SIZE_RATIO, &[namespace, library], ratio));
    }
    if let Some(quality) = report.and_then(|report| report.quality.as_ref())
        && let Ok(mean) = quality.mean.parse::<f64>()
        && mean.is_finite()
    {
        samples.push(Sample::of(&table::QUALITY_SCORE, &[namespace, library, &quality.metric], mean));
    }
    samples
}

/// Seconds from an encode's verdict to the outcome, when `after` is what settling it came to.
pub(super) fn of_settling(job: &EncodeJob, after: &EncodeJobStatus, now: Timestamp) -> Option<Sample> {
    let before = job.status.as_ref()?;
    let order = Order::of(before.pending_settle.as_ref()?);
    if before.phase != Phase::Settling || !after.phase.is_terminal() || !matches!(order, Ok(Order::Settle(_))) {
        return None;
    }
    let since = find(&before.conditions, SETTLED).filter(|condition| condition.status == "False")?;
    let seconds = now.duration_since(since.last_transition_time.0).as_secs_f64();
    Some(Sample::of(&table::SETTLE_DURATION, &[], seconds.max(0.0)))
}

/// Height class as a label. Pictures without their black bars are a little lower than the class that they are of.
fn class(media: &MediaSummary) -> &'static str {
    match height_class(media.width, media.height) {
        0..700 => "sd",
        700..1_060 => "720p",
        1_060..2_100 => "1080p",
        _ => "2160p",
    }
}

/// Seconds of media that `frames` of the source are.
fn seconds_of(media: &MediaSummary, frames: u64) -> Option<f64> {
    let all: f64 = media.duration_seconds.parse().ok()?;
    let part = if media.frames > 0 { frames as f64 / media.frames as f64 } else { 1.0 };
    let seconds = all * part;
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn verdict(change: Value) -> EncodeResult {
        let mut value = json!({"verdict": "Encoded", "reason": "Encoded", "message": "", "source": null, "output": null,
            "reportSha256": null, "pinning": {}, "frames": 240, "encodeSeconds": 20.0, "chunksResumed": 0,
            "sizeGate": {"inputBytes": 100, "outputBytes": 40, "percent": 40, "maxPercent": 90, "passed": true}});
        for (key, new) in change.as_object().unwrap() {
            value[key] = new.clone();
        }
        serde_json::from_value(value).unwrap()
    }

    fn media(width: u32, height: u32) -> MediaSummary {
        MediaSummary { width, height, frames: 240, duration_seconds: "10.000".into(), ..MediaSummary::default() }
    }

    fn told(samples: &[Sample]) -> Vec<String> {
        samples.iter().map(|s| format!("{} {} {}", s.metric.name, s.labels.join(","), s.value)).collect()
    }

    #[test]
    fn an_encode_is_one_value_of_each_histogram() {
        let report: EncodeReport =
            serde_json::from_value(json!({"result": verdict(json!({})), "checks": [], "versions": {}, "commands": {},
            "settings": av1_crds::settings::Settings::resolve(&[]).unwrap(),
            "quality": {"metric": "Xpsnr", "mean": "41.5", "worstWindow": "38", "worstWindowAt": "3"}}))
            .unwrap();
        let samples = of_verdict("media", "films", &verdict(json!({})), Some(&media(1_920, 800)), Some(&report));
        assert_eq!(
            told(&samples),
            [
                "av1_encode_duration_seconds 1080p 20",
                "av1_encode_speed_ratio 1080p 0.5",
                "av1_size_ratio media,films 0.4",
                "av1_quality_score media,films,Xpsnr 41.5"
            ]
        );
    }

    #[test]
    fn what_was_not_measured_is_no_value() {
        let names = |change, media: Option<&MediaSummary>| {
            told(&of_verdict("media", "films", &verdict(change), media, None))
                .iter()
                .map(|line| line.split(' ').next().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let sd = media(720, 576);
        assert_eq!(names(json!({"encodeSeconds": 0.0, "sizeGate": null}), Some(&sd)), [] as [&str; 0]);
        assert_eq!(names(json!({"sizeGate": null}), None), [] as [&str; 0]);
        assert_eq!(names(json!({"sizeGate": null, "chunksResumed": 3}), Some(&sd)), ["av1_encode_duration_seconds"]);
        let half = of_verdict("media", "films", &verdict(json!({"frames": 120, "sizeGate": null})), Some(&sd), None);
        assert_eq!(told(&half)[1], "av1_encode_speed_ratio sd 0.25");
    }

    #[test]
    fn classes_are_of_the_picture_with_its_bars() {
        let sizes = [(720, 576), (1_280, 534), (1_918, 1_040), (2_560, 1_440), (3_840, 1_600)];
        assert_eq!(
            sizes.map(|(width, height)| class(&media(width, height))),
            ["sd", "720p", "1080p", "1080p", "2160p"]
        );
    }

    #[test]
    fn settling_is_timed_from_the_verdict_to_the_outcome_and_of_verdicts_alone() {
        let job = |phase: &str, verdict: &str| -> EncodeJob {
            serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "films-1"},
                "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}},
                "status": {"phase": phase, "pendingSettle": {"verdict": verdict}, "conditions": [{"type": "Settled", "status": "False",
                    "reason": "InProgress", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
            .unwrap()
        };
        let now: Timestamp = "2026-01-01T00:01:30Z".parse().unwrap();
        let after = |phase| EncodeJobStatus { phase, ..EncodeJobStatus::default() };
        let seconds = |job: &EncodeJob, phase| of_settling(job, &after(phase), now).map(|sample| sample.value);
        assert_eq!(seconds(&job("Settling", "Encoded"), Phase::Succeeded), Some(90.0));
        assert_eq!(seconds(&job("Settling", "Rejected"), Phase::Rejected), Some(90.0));
        assert_eq!(seconds(&job("Settling", "Encoded"), Phase::Settling), None);
        assert_eq!(seconds(&job("Settling", "MarkSkipped"), Phase::Skipped), None);
        assert_eq!(seconds(&job("Succeeded", "Encoded"), Phase::Succeeded), None);
    }
}
