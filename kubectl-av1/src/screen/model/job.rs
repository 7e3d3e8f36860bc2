//! What the screen keeps of an EncodeJob: the fields that it shows, ready to be drawn and made safe for a terminal. Pure.

use av1_crds::wire::{EncodePlan, MediaSummary};
use av1_crds::{EncodeJob, EncodeJobStatus, Phase, conditions, figures, labels};
use kube::ResourceExt;

use super::{Key, seconds};
use crate::exposition::JobGauges;
use crate::view::Tone;
use crate::view::text::{bit_rate, grouped, printable};

/// One job.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Job {
    pub(crate) key: Key,
    pub(crate) library: String,
    pub(crate) path: String,
    /// Path and name in small letters, for the search.
    pub(crate) folded: String,
    pub(crate) phase: Phase,
    /// What it does, or its phase.
    pub(crate) stage: String,
    pub(crate) suspended: bool,
    pub(crate) figures: Figures,
    pub(crate) frames: i64,
    pub(crate) total_frames: i64,
    /// Size of the source in bytes, once known.
    pub(crate) size: Option<i64>,
    /// Size of the output in bytes.
    pub(crate) output: Option<i64>,
    /// Bytes saved.
    pub(crate) saved: i64,
    /// When it was made, in seconds since 1970.
    pub(crate) created: i64,
    /// When its first encode started.
    pub(crate) started: Option<i64>,
    /// When it ended.
    pub(crate) ended: Option<i64>,
    /// Why it waits, or what it came to.
    pub(crate) message: String,
    /// Label and text of what else is known, in the order of importance.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Whether each check of the output passed, and what it found.
    pub(crate) checks: Vec<(bool, String)>,
}

/// Figures of a job in progress.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Figures {
    /// 0 to 1.
    pub(crate) progress: Option<f64>,
    pub(crate) frames_per_second: Option<f64>,
    /// Bits a second.
    pub(crate) bit_rate: Option<i64>,
    pub(crate) crf: Option<u32>,
    pub(crate) workers: Option<u32>,
    pub(crate) eta_seconds: Option<u64>,
    /// Projected size of the output in bytes.
    pub(crate) projected: Option<i64>,
}

impl Job {
    /// What of the resource is shown.
    pub(crate) fn new(job: &EncodeJob) -> Self {
        let default = EncodeJobStatus::default();
        let status = job.status.as_ref().unwrap_or(&default);
        let key = Key { namespace: job.namespace().unwrap_or_default(), name: job.name_any() };
        let path = printable(&job.spec.source.path);
        let progress = status.progress.as_ref();
        let gate = status.size_gate.as_ref();
        Self {
            library: job.spec.library_ref.name.clone(),
            folded: format!("{path}\n{}", key.name).to_lowercase(),
            phase: status.phase,
            stage: stage(status),
            suspended: job.spec.suspend,
            figures: figures_of(status),
            frames: progress.map_or(0, |progress| progress.frames),
            total_frames: progress.map_or(0, |progress| progress.total_frames),
            size: gate
                .map(|gate| gate.input_bytes)
                .or_else(|| status.source.as_ref().map(|source| source.size))
                .or_else(|| job.annotations().get(labels::SIZE)?.parse().ok())
                .and_then(|size| size.try_into().ok()),
            output: gate.and_then(|gate| gate.output_bytes.try_into().ok()),
            saved: status.result.as_ref().map_or(0, |result| result.bytes_saved),
            created: job.creation_timestamp().map_or(0, |time| time.0.as_second()),
            started: status.start_time.as_deref().and_then(seconds),
            ended: status.completion_time.as_deref().and_then(seconds).filter(|_| status.phase.is_terminal()),
            message: message(status),
            facts: facts(status),
            checks: checks(status),
            key,
            path,
        }
    }

    /// The figures, with the operator's fresher ones over those of the resource.
    pub(crate) fn with(&self, gauges: Option<&JobGauges>) -> Figures {
        let mut figures = self.figures;
        let Some(gauges) = gauges.filter(|_| self.phase == Phase::Encoding) else { return figures };
        figures.progress = gauges.progress.or(figures.progress);
        figures.frames_per_second = gauges.frames_per_second.filter(|rate| *rate > 0.0).or(figures.frames_per_second);
        figures.eta_seconds = gauges.eta_seconds.map(|eta| eta.max(0.0) as u64).or(figures.eta_seconds);
        figures.workers = gauges.workers.map(|workers| workers as u32).or(figures.workers);
        figures.projected = gauges.projected_bytes.map(|bytes| bytes as i64).or(figures.projected);
        figures
    }

    /// What the phase says about the state of things.
    pub(crate) fn tone(&self) -> Tone {
        match self.phase {
            Phase::Encoding | Phase::Settling | Phase::Restoring => Tone::Busy,
            Phase::Succeeded => Tone::Good,
            Phase::Failed => Tone::Bad,
            _ => Tone::Neutral,
        }
    }

    /// When something last happened to it, in seconds since 1970.
    pub(crate) fn date(&self) -> i64 {
        self.ended.or(self.started).unwrap_or(self.created)
    }
}

fn stage(status: &EncodeJobStatus) -> String {
    match (status.phase, status.progress.as_ref()) {
        (Phase::Encoding, Some(progress)) if !progress.stage.is_empty() => printable(&progress.stage),
        (Phase::Encoding, _) => "Starting".to_owned(),
        (phase, _) => phase.as_str().to_owned(),
    }
}

fn figures_of(status: &EncodeJobStatus) -> Figures {
    let encoding = status.phase == Phase::Encoding;
    let live = encoding || matches!(status.phase, Phase::Settling | Phase::Paused);
    let progress = status.progress.as_ref().filter(|_| live);
    let now = progress.filter(|_| encoding);
    let part = |percent: &str| percent.trim_end_matches('%').parse::<f64>().ok().map(|percent| percent / 100.0);
    let plan = status.plan.as_ref();
    Figures {
        progress: progress.and_then(|progress| part(&progress.percent)),
        frames_per_second: now
            .and_then(|progress| progress.frames_per_second.parse().ok())
            .filter(|rate: &f64| rate.is_finite() && *rate > 0.0),
        bit_rate: progress.and_then(|progress| progress.bit_rate).filter(|rate| *rate > 0),
        crf: plan.map(|plan| plan.crf),
        workers: plan.map(|plan| plan.workers),
        eta_seconds: now.and_then(|progress| progress.eta_seconds).and_then(|eta| eta.try_into().ok()),
        projected: progress.and_then(|progress| progress.projected_size),
    }
}

/// Why it waits, or what it came to.
fn message(status: &EncodeJobStatus) -> String {
    let waits = status
        .conditions
        .iter()
        .find(|condition| condition.type_ == conditions::PLACED && condition.status == "False")
        .filter(|_| status.phase == Phase::Queued);
    match (waits, &status.outcome) {
        (Some(waits), _) => printable(&waits.message),
        (None, Some(outcome)) if outcome.reason.is_empty() => printable(&outcome.message),
        (None, Some(outcome)) => printable(&format!("{}: {}", outcome.reason, outcome.message)),
        (None, None) => String::new(),
    }
}

fn facts(status: &EncodeJobStatus) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    if let Some(plan) = &status.plan {
        facts.push(("plan", plan_in_words(plan)));
    }
    if let Some(quality) = &status.quality {
        let at = quality.worst_window_at.parse::<f64>().map_or(0, |at| at as u64);
        facts.push((
            "quality",
            format!(
                "{} {}, worst two seconds {} at {}",
                quality.metric,
                quality.mean,
                quality.worst_window,
                figures::duration(at)
            ),
        ));
    }
    if let Some(media) = &status.media {
        facts.push(("source", media_in_words(media)));
    }
    if let Some(node) = &status.node_name {
        let pinned = status.pinning.as_ref().filter(|pinning| !pinning.cpus.is_empty());
        let cpus = pinned.map_or(String::new(), |pinning| {
            let whose = if pinning.exclusive { "its own" } else { "shared" };
            format!(", CPUs {} ({whose})", pinning.cpus)
        });
        facts.push(("node", format!("{node}{cpus}")));
    }
    if let Some(plan) = &status.plan {
        if !plan.filters.is_empty() {
            facts.push(("picture", plan.filters.join(", ")));
        }
        if !plan.dropped.is_empty() {
            facts.push(("dropped", plan.dropped.join(", ")));
        }
        if !plan.parameters.is_empty() {
            facts.push(("encoder", format!("{} {}", plan.encoder_version, plan.parameters)));
        }
    }
    if let Some(result) = &status.result {
        if !result.original.is_empty() {
            facts.push(("original", result.original.clone()));
        }
        if !result.receipt.is_empty() {
            facts.push(("receipt", result.receipt.clone()));
        }
    }
    if status.failures > 0 {
        facts.push(("failures", status.failures.to_string()));
    }
    facts.into_iter().map(|(label, text)| (label, printable(text.trim()))).collect()
}

fn plan_in_words(plan: &EncodePlan) -> String {
    let crf = plan.crf_range.clone().unwrap_or_else(|| plan.crf.to_string());
    let chunks = if plan.chunks > 0 { format!(", {} scenes", grouped(plan.chunks.into())) } else { String::new() };
    format!(
        "{} preset {}, CRF {crf}, workers {} x {} threads{chunks}",
        plan.encoder, plan.preset, plan.workers, plan.threads_per_worker
    )
}

fn media_in_words(media: &MediaSummary) -> String {
    let mut words = vec![media.codec.clone(), format!("{}x{}", media.width, media.height)];
    words.push(match frame_rate(&media.frame_rate) {
        Some(rate) => format!("{rate:.3} fps"),
        None => format!("{} fps", media.frame_rate),
    });
    words.extend([media.hdr.clone(), media.pixel_format.clone()].into_iter().filter(|word| !word.is_empty()));
    if let Ok(length) = media.duration_seconds.parse::<f64>() {
        words.push(figures::duration(length as u64));
    }
    if let Ok(rate) = i64::try_from(media.bit_rate) {
        words.push(bit_rate(rate));
    }
    words.push(format!("{} audio, {} subtitles", media.audio, media.subtitles));
    words.join(", ")
}

/// A fraction such as `24000/1001` as a number.
fn frame_rate(fraction: &str) -> Option<f64> {
    let (frames, per) = fraction.split_once('/')?;
    let (frames, per) = (frames.parse::<f64>().ok()?, per.parse::<f64>().ok()?);
    (per > 0.0).then_some(frames / per)
}

fn checks(status: &EncodeJobStatus) -> Vec<(bool, String)> {
    let checks = status.checks.iter().map(|check| {
        let figures = match (check.expected.is_empty(), check.measured.is_empty()) {
            (true, true) => String::new(),
            (true, false) => format!(": {}", check.measured),
            (false, true) => format!(": expected {}", check.expected),
            (false, false) if check.passed => format!(": {}", check.measured),
            (false, false) => format!(": expected {}, measured {}", check.expected, check.measured),
        };
        (check.passed, printable(&format!("{}{figures}", check.name)))
    });
    checks.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(status: Value) -> Job {
        let job: EncodeJob = serde_json::from_value(json!({
            "apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "films-a", "namespace": "media"},
            "spec": {"libraryRef": {"name": "films"}, "source": {"path": "A\u{1b}.mkv"}}, "status": status
        }))
        .unwrap();
        Job::new(&job)
    }

    #[test]
    fn names_and_words_of_others_are_made_safe() {
        let job = job(
            json!({"phase": "Failed", "outcome": {"reason": "Bad", "message": "it\u{1b}[2J said", "retryable": false}}),
        );
        assert_eq!(
            (job.path.as_str(), job.message.as_str(), job.tone()),
            ("A\\u{1b}.mkv", "Bad: it\\u{1b}[2J said", Tone::Bad)
        );
        assert!(job.folded.contains("films-a"), "{}", job.folded);
    }

    #[test]
    fn gauges_win_over_the_status_while_it_encodes_only() {
        let gauges = JobGauges { progress: Some(0.5), eta_seconds: Some(9.9), ..JobGauges::default() };
        let status = |phase: &str| json!({"phase": phase, "progress": {"stage": "Encoding", "percent": "42%", "framesPerSecond": "7.5"}});
        let encoding = job(status("Encoding")).with(Some(&gauges));
        assert_eq!(
            (encoding.progress, encoding.eta_seconds, encoding.frames_per_second),
            (Some(0.5), Some(9), Some(7.5))
        );
        let paused = job(status("Paused")).with(Some(&gauges));
        assert_eq!((paused.progress, paused.eta_seconds, paused.frames_per_second), (Some(0.42), None, None));
    }

    #[test]
    fn the_plan_and_the_source_are_told_in_words() {
        let job = job(json!({"phase": "Encoding",
            "plan": {"encoder": "SvtAv1", "preset": 4, "crf": 26, "workers": 3, "threadsPerWorker": 4, "chunks": 1200},
            "media": {"codec": "h264", "width": 1920, "height": 1080, "frameRate": "24000/1001", "durationSeconds": "8040.5",
                "bitRate": 25_000_000, "audio": 2, "subtitles": 1}}));
        assert_eq!(job.facts[0], ("plan", "SvtAv1 preset 4, CRF 26, workers 3 x 4 threads, 1,200 scenes".to_owned()));
        assert_eq!(
            job.facts[1],
            ("source", "h264, 1920x1080, 23.976 fps, 2h 14m, 25.0 Mb/s, 2 audio, 1 subtitles".to_owned())
        );
    }
}
