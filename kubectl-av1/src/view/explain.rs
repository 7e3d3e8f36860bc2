//! What `explain` prints of one file: the verdict, the gates, the plan, and what its job did. Pure.

use av1_crds::job::EncodeJobStatus;
use av1_crds::wire::{FileExplanation, FileState, GateOutcome, GateStep};
use av1_crds::{EncodeJob, Phase, figures};
use av1_media::predict::Source;
use jiff::Timestamp;
use kube::ResourceExt;
use serde::Serialize;

use super::jobs::tone;
use super::text::{age, count, percent, printable, signed};
use super::{Palette, Tone};
use crate::outlook::Outlook;

/// Lines begin with what they are about, in so many columns.
const NAME: usize = 10;

/// All that is known of a file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Answer {
    pub(crate) namespace: String,
    pub(crate) library: String,
    pub(crate) path: String,
    /// What the catalog says.
    pub(crate) file: Option<FileExplanation>,
    /// What is not known, and why.
    pub(crate) missing: Option<String>,
    /// What is expected of its encode, when it is still to come.
    pub(crate) expected: Option<Expected>,
    /// Its newest job, as the cluster has it.
    pub(crate) job: Option<EncodeJob>,
}

/// What is expected of an encode. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Expected {
    size: u64,
    seconds: Option<u64>,
    basis: String,
}

impl Expected {
    /// None when the file is not to be encoded.
    pub(crate) fn new(file: &FileExplanation, outlook: &Outlook) -> Option<Self> {
        let (video, plan) = (file.video.clone()?, file.plan.as_ref()?);
        let prediction = outlook.predict(&Source { size: file.size, video }, plan.crf, plan.preset);
        let wanted = file.state == Some(FileState::Pending);
        wanted.then(|| Self { size: prediction.size, seconds: prediction.seconds, basis: outlook.basis() })
    }
}

pub(crate) fn render(answer: &Answer, now: Timestamp, palette: Palette) -> String {
    let mut out = Lines { text: String::new(), palette };
    let size = answer.file.as_ref().filter(|file| file.size > 0).map(|file| format!(", {}", figures::size(file.size)));
    let size = size.unwrap_or_default();
    out.plain(&format!("{}  (library {}/{}{size})", printable(&answer.path), answer.namespace, answer.library));
    if let Some(missing) = &answer.missing {
        out.plain(&palette.paint(&format!("Not known: {}", printable(missing)), Tone::Bad));
    }
    if let Some(file) = &answer.file {
        verdict(&mut out, file);
        plan(&mut out, file, answer.expected.as_ref());
    }
    match &answer.job {
        Some(job) => self::job(&mut out, job, now),
        None => out.section("There is no job of this file."),
    }
    out.text
}

/// The text so far.
struct Lines {
    text: String,
    palette: Palette,
}

impl Lines {
    fn plain(&mut self, line: &str) {
        self.text += line;
        self.text.push('\n');
    }

    fn section(&mut self, title: &str) {
        self.text.push('\n');
        self.plain(title);
    }

    /// A line of a section; nothing when there is nothing to say.
    fn line(&mut self, name: &str, said: &str) {
        if !said.is_empty() {
            self.plain(&format!("  {name:<NAME$} {}", printable(said)));
        }
    }

    fn list(&mut self, name: &str, items: &[String], none: &str) {
        self.line(name, &if items.is_empty() { none.to_owned() } else { items.join("; ") });
    }
}

fn verdict(out: &mut Lines, file: &FileExplanation) {
    if let Some(why) = &file.passed_over {
        out.plain(&format!("No scan comes by this file: {}.", printable(why)));
        return;
    }
    let (word, tone) = match file.state {
        Some(FileState::Pending) => ("worth encoding", Tone::Busy),
        Some(FileState::Done) => ("done", Tone::Good),
        Some(FileState::AlreadyAv1) => ("AV1 already", Tone::Neutral),
        Some(FileState::Skipped) => ("skipped", Tone::Neutral),
        Some(FileState::Rejected) => ("rejected", Tone::Neutral),
        Some(FileState::Failed) => ("failed", Tone::Bad),
        Some(FileState::Unreadable) => ("unreadable", Tone::Bad),
        None => ("unknown", Tone::Neutral),
    };
    let said = format!("{}: {}", printable(&file.reason), printable(&file.message));
    out.plain(&format!("{}: {said}", out.palette.paint(word, tone)));
    let passed = file.gates.iter().filter(|gate| gate.outcome == GateOutcome::Passed).count();
    out.section(&format!("Gates: {passed} of {} let it pass", file.gates.len()));
    let width = file.gates.iter().map(|gate| gate.gate.len()).max().unwrap_or(0);
    for gate in &file.gates {
        step(out, gate, width);
    }
}

fn step(out: &mut Lines, gate: &GateStep, width: usize) {
    let tone = match gate.outcome {
        GateOutcome::Stopped => Tone::Bad,
        GateOutcome::WouldStop | GateOutcome::Forced => Tone::Busy,
        GateOutcome::Passed | GateOutcome::Unknown => Tone::Neutral,
    };
    // The name of the gate says it already.
    let reason = gate.reason.as_ref().filter(|reason| **reason != gate.gate);
    let reason = reason.map(|reason| format!("{reason}: ")).unwrap_or_default();
    let word = out.palette.paint(&format!("{:<NAME$}", gate.outcome.as_str()), tone);
    let said = format!("  {word} {:<width$}  {}", printable(&gate.gate), printable(&format!("{reason}{}", gate.found)));
    out.plain(said.trim_end());
}

/// How it would be encoded now.
fn plan(out: &mut Lines, file: &FileExplanation, expected: Option<&Expected>) {
    let Some(plan) = &file.plan else {
        if let Some(why) = &file.no_plan {
            out.section(&format!("There is no plan: {}.", printable(why)));
        }
        return;
    };
    out.section("How it would be encoded now, by the library's settings");
    out.line("profile", &format!("{}, tier {}", plan.profile, plan.tier));
    out.line(
        "encoder",
        &format!(
            "{} through {}, preset {}, CRF {}, {}",
            plan.encoder, plan.engine, plan.preset, plan.crf, plan.pixel_format
        ),
    );
    out.line("parameters", &plan.parameters);
    out.line("scenes", &format!("{} frames at most", plan.longest_scene_frames));
    out.list("keeps", &plan.kept, "nothing");
    out.list("drops", &plan.dropped, "nothing");
    out.list("filters", &plan.filters, "none");
    out.line("new name", plan.target.as_deref().unwrap_or_default());
    if let Some(expected) = expected {
        let [before, after] = [file.size, expected.size].map(signed);
        let time = expected.seconds.map(|seconds| format!(", {} in one pod", figures::duration(seconds)));
        out.line(
            "predicted",
            &format!("about {} ({}){}", figures::size(after), percent(after, before), time.unwrap_or_default()),
        );
        out.line("from", &expected.basis);
    }
}

/// What its newest job did.
fn job(out: &mut Lines, job: &EncodeJob, now: Timestamp) {
    let status = job.status.clone().unwrap_or_default();
    let phase = out.palette.paint(status.phase.as_str(), tone(status.phase));
    let ended = status.completion_time.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let ago = ended.map_or_else(String::new, |at| {
        format!(" {} ago", age(u64::try_from(now.as_second() - at.as_second()).unwrap_or_default()))
    });
    out.section(&format!("Job {}: {phase}{ago}", job.name_any()));
    if let Some(outcome) = &status.outcome {
        let again = if outcome.retryable { "; another try may help" } else { "" };
        out.line("outcome", &format!("{}: {}{again}", outcome.reason, outcome.message));
    }
    out.line("asked for", &asked(job));
    let waits = status.conditions.iter().find(|c| c.type_ == "Placed" && c.status == "False");
    if let Some(waits) = waits.filter(|_| !status.phase.is_terminal()) {
        out.line("waits", &waits.message);
    }
    if let Some(progress) = status.progress.as_ref().filter(|_| status.phase == Phase::Encoding) {
        let eta = progress.eta.as_ref().map(|eta| format!(", {eta} to go")).unwrap_or_default();
        out.line(
            "progress",
            &format!("{} {}, {} frames/s{eta}", progress.stage, progress.percent, progress.frames_per_second),
        );
    }
    out.line("took", &took(&status, ended));
    planned(out, &status);
    came_to(out, &status);
}

/// What its spec asks for besides an ordinary encode.
fn asked(job: &EncodeJob) -> String {
    let spec = &job.spec;
    let mut words = Vec::new();
    if spec.desired != av1_crds::job::Desired::Encoded {
        words.push(format!("desired {:?}", spec.desired));
    }
    if spec.suspend {
        words.push(format!("suspend (`kubectl av1 resume {}` lets it go on)", job.name_any()));
    }
    if !spec.force.is_empty() {
        words.push(format!("force {}", spec.force.join(", ")));
    }
    if spec.retry > 0 {
        words.push(format!("try {}", spec.retry + 1));
    }
    if spec.settings.is_some() {
        words.push("settings of its own".to_owned());
    }
    words.join("; ")
}

fn took(status: &EncodeJobStatus, ended: Option<Timestamp>) -> String {
    let began = status.start_time.as_deref().and_then(|at| at.parse::<Timestamp>().ok());
    let mut words = Vec::new();
    if let (Some(began), Some(ended)) = (began, ended) {
        words.push(figures::duration(u64::try_from(ended.as_second() - began.as_second()).unwrap_or_default()));
    }
    if status.run > 0 {
        words.push(count(status.run, "run"));
    }
    if status.failures > 0 {
        words.push(count(status.failures, "failure"));
    }
    if status.lost > 0 {
        words.push(format!("{} lost with its pod", count(status.lost, "run")));
    }
    if let Some(out_of_memory) = &status.out_of_memory {
        words.push(format!("out of memory {}", count(out_of_memory.kills, "time")));
    }
    words.extend(status.node_name.as_ref().map(|node| format!("on {node}")));
    if !status.failed_nodes.is_empty() {
        words.push(format!("failed on {}", status.failed_nodes.join(" and ")));
    }
    words.join(", ")
}

/// Which settings are not the product's own, by who wrote them.
fn settings(status: &EncodeJobStatus) -> String {
    let from = status.settings_from.clone().unwrap_or_default();
    let lists = [("the job", from.job), ("the library", from.library), ("the chart", from.chart)];
    let said = lists.into_iter().filter(|(_, fields)| !fields.is_empty());
    said.map(|(who, fields)| format!("from {who}: {}", fields.join(", "))).collect::<Vec<_>>().join("; ")
}

/// What it was made from, and how.
fn planned(out: &mut Lines, status: &EncodeJobStatus) {
    out.line("settings", &settings(status));
    if let Some(media) = &status.media {
        let hdr = if media.hdr.is_empty() { String::new() } else { format!(", {}", media.hdr) };
        let seconds = media.duration_seconds.parse::<f64>().map_or(0.0, |seconds| seconds.max(0.0)) as u64;
        out.line(
            "source",
            &format!(
                "{} {}x{} {}{hdr}, {} frames/s, {}, {} audio and {} subtitle tracks, {}",
                media.codec,
                media.width,
                media.height,
                media.pixel_format,
                media.frame_rate,
                figures::duration(seconds),
                media.audio,
                media.subtitles,
                media.container
            ),
        );
    }
    if let Some(class) = &status.classification {
        let reasons = if class.reasons.is_empty() { String::new() } else { format!(": {}", class.reasons.join("; ")) };
        out.line("class", &format!("{:?} ({}){reasons}", class.kind, class.score));
    }
    if let Some(plan) = &status.plan {
        let crf = plan.crf_range.clone().unwrap_or_else(|| plan.crf.to_string());
        out.line(
            "encoder",
            &format!(
                "{} through {}, preset {}, CRF {crf}, {}",
                plan.encoder, plan.engine, plan.preset, plan.encoder_version
            ),
        );
        out.line("parameters", &plan.parameters);
        out.line("workers", &format!("{} with {} each", plan.workers, count(plan.threads_per_worker.into(), "thread")));
        out.list("filters", &plan.filters, "none");
        out.list("dropped", &plan.dropped, "nothing");
        out.line("new name", plan.target.as_deref().unwrap_or_default());
    }
}

/// What it came to.
fn came_to(out: &mut Lines, status: &EncodeJobStatus) {
    if let Some(gate) = &status.size_gate {
        let verdict = if gate.passed { "below" } else { "NOT below" };
        out.line(
            "size",
            &format!(
                "{} -> {}, {}%: {verdict} the {}% of sizeGate.maxPercent",
                figures::size(gate.input_bytes),
                figures::size(gate.output_bytes),
                gate.percent,
                gate.max_percent
            ),
        );
    }
    if let Some(quality) = &status.quality {
        out.line(
            "quality",
            &format!(
                "{} {} in the mean, {} in the worst two seconds (at {} s)",
                quality.metric, quality.mean, quality.worst_window, quality.worst_window_at
            ),
        );
    }
    let failed: Vec<_> = status.checks.iter().filter(|check| !check.passed).collect();
    if !status.checks.is_empty() {
        let passed = status.checks.iter().filter(|check| check.passed).map(|check| check.name.as_str());
        let names: Vec<&str> = passed.collect();
        let failures = if failed.is_empty() { String::new() } else { format!("{} FAILED, ", failed.len()) };
        out.line("checks", &format!("{failures}{} passed: {}", names.len(), names.join(", ")));
    }
    for check in failed {
        out.line("FAILED", &format!("{}: expected {}, measured {}", check.name, check.expected, check.measured));
    }
    if let Some(result) = &status.result {
        out.line("now there", &result.path);
        if status.phase == Phase::Succeeded {
            out.line("saved", &figures::size(result.bytes_saved));
        }
        out.line("original", &result.original);
        out.line("receipt", &result.receipt);
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::{ForeseenPlan, VideoFigures};
    use serde_json::json;

    use super::*;
    use crate::outlook::tests::{encoded, library};

    fn now() -> Timestamp {
        "2026-01-05T04:00:00Z".parse().unwrap()
    }

    fn gate(gate: &str, outcome: GateOutcome, reason: Option<&str>, found: &str) -> GateStep {
        GateStep { gate: gate.into(), outcome, reason: reason.map(str::to_owned), found: found.into() }
    }

    fn pending() -> FileExplanation {
        FileExplanation {
            path: "Heat.mkv".into(),
            size: 20 << 30,
            state: Some(FileState::Pending),
            reason: "Eligible".into(),
            message: "h264 High, 1920x1080, yuv420p, 24000/1001 frames/s".into(),
            gates: vec![
                gate(
                    "UsersMarker",
                    GateOutcome::Passed,
                    None,
                    "no marker of the user's beside it or in a folder above",
                ),
                gate("TooSmall", GateOutcome::Passed, None, "20.0 GiB, scan.minSize is 2.0 GiB"),
            ],
            video: Some(VideoFigures {
                codec: "h264".into(),
                width: 1920,
                height: 1080,
                frame_rate: "24000/1001".into(),
                duration_millis: 7_200_000,
            }),
            plan: Some(ForeseenPlan {
                profile: "QualityFirst".into(),
                tier: "High".into(),
                encoder: "SvtAv1".into(),
                engine: "Av1an".into(),
                crf: 23,
                preset: 4,
                pixel_format: "yuv420p10le".into(),
                longest_scene_frames: 240,
                parameters: "preset=4:crf=23:keyint=0".into(),
                kept: vec!["video h264".into(), "audio dts eng".into()],
                dropped: vec!["audio aac rus".into()],
                ..ForeseenPlan::default()
            }),
            ..FileExplanation::default()
        }
    }

    fn answer(file: Option<FileExplanation>, job: Option<EncodeJob>) -> Answer {
        let (namespace, library) = ("media".to_owned(), "films".to_owned());
        Answer { namespace, library, path: "Heat.mkv".into(), file, missing: None, expected: None, job }
    }

    #[test]
    fn a_file_that_is_to_be_encoded_shows_gates_plan_and_what_is_expected() {
        let outlook = Outlook::new(&library(json!({}), json!({"placement": {"cpusPerJob": 8}})), None, &[]).unwrap();
        let expected = Expected::new(&pending(), &outlook);
        insta::assert_snapshot!(render(&Answer { expected, ..answer(Some(pending()), None) }, now(), Palette::Plain));
    }

    #[test]
    fn a_skipped_file_names_the_gate_that_stops_it_and_those_that_would_too() {
        let gates = vec![
            gate("TooSmall", GateOutcome::Stopped, Some("TooSmall"), "100 MiB is not above scan.minSize, 2.0 GiB"),
            gate("DecidedBefore", GateOutcome::WouldStop, Some("AlreadyRejected"), "rejected on 2026-01-02"),
            gate("OtherOwner", GateOutcome::Unknown, None, "what it needs is not known here"),
        ];
        let file = FileExplanation {
            state: Some(FileState::Skipped),
            reason: "TooSmall".into(),
            message: "100 MiB is not above scan.minSize, 2.0 GiB".into(),
            gates,
            plan: None,
            no_plan: Some("ffprobe did not read the file".into()),
            ..pending()
        };
        insta::assert_snapshot!(render(&answer(Some(file), None), now(), Palette::Plain));
        let passed_over =
            FileExplanation { passed_over: Some("its extension is none".into()), ..FileExplanation::default() };
        let text = render(&answer(Some(passed_over), None), now(), Palette::Plain);
        assert!(text.contains("No scan comes by this file: its extension is none."), "{text}");
    }

    #[test]
    fn a_job_that_has_ended_tells_outcome_sizes_quality_and_checks_also_with_the_catalog_away() {
        let job = encoded(json!({
            "outcome": {"reason": "Encoded", "message": "9.3 GiB became 2.8 GiB", "retryable": false}, "lost": 1, "nodeName": "node1",
            "settingsFrom": {"chart": ["streams.dropLanguages"], "library": ["replacement.trashRetention", "sizeGate.maxPercent"], "job": ["encode.overrides.crf"]},
            "classification": {"kind": "WebLike", "score": 3, "reasons": ["the path says WEB-DL (+2)", "variable frame rate (+1)"]},
            "plan": {"encoder": "SvtAv1", "engine": "Av1an", "encoderVersion": "SVT-AV1 3.0.2", "preset": 4, "crf": 23, "parameters": "preset=4:crf=23",
                "workers": 4, "threadsPerWorker": 2, "dropped": ["audio aac rus"]},
            "quality": {"metric": "Vmaf", "mean": "95.1", "worstWindow": "91.2", "worstWindowAt": "3723.5"},
            "checks": [{"name": "Decodes", "passed": true, "expected": "", "measured": ""}, {"name": "FrameCount", "passed": false, "expected": "1440", "measured": "1439"}],
            "result": {"path": "Heat.mkv", "bytesSaved": 7_000_000_000_i64, "original": ".av1/trash/u/Heat.mkv", "receipt": ".av1/state/receipts/a.json"}
        }));
        let missing = Some("the catalog of films does not answer (no endpoints)".to_owned());
        insta::assert_snapshot!(render(&Answer { missing, ..answer(None, Some(job)) }, now(), Palette::Plain));
    }

    #[test]
    fn a_job_that_waits_says_for_what_and_what_was_asked_of_it() {
        let mut job = encoded(
            json!({"phase": "Paused", "completionTime": null, "sizeGate": null, "media": null, "plan": null,
            "conditions": [{"type": "Placed", "status": "False", "reason": "Suspended", "message": "spec.suspend is true", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}),
        );
        (job.spec.suspend, job.spec.retry, job.spec.force) = (true, 1, vec!["TooSmall".to_owned()]);
        insta::assert_snapshot!(render(&answer(None, Some(job)), now(), Palette::Plain));
    }
}
