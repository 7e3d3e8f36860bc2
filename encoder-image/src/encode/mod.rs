//! The encode role: probe → gates → decode pass → plan → encode → mux → verify → size gate. It leaves the output and
//! `report.json` in the work folder, and enough there at any moment for another pod to go on, unless it was given a scratch
//! folder for that.
//!
//! May: read the library, write in the work and the scratch folder, run the tools. Must never: write in the library.

mod analyse;
mod chunks;
mod engine;
pub(crate) mod files;
mod finish;
mod meter;
mod metrics;
mod mux;
mod outcome;
mod page;
mod planning;
mod quality;
mod rehearse;
pub(crate) mod resources;
mod scenes;
mod search;
mod source;
mod stills;
mod verify;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use av1_crds::encoding::Metric;
use av1_crds::figures;
use av1_crds::reasons::{self, exit};
use av1_crds::wire::{
    Check, EncodeReport, EncodeResult, EncodeTask, EncodeVerdict, FileIdentity, OutputFile, QualityScore,
    SizeGateResult, Stage,
};
use av1_media::av1an::Order;
use av1_media::encoders::check::{InvalidParam, check_for};
use av1_media::encoders::{Encoder, Engine};
use av1_media::light::Light;
use av1_media::plan::Resources;
use av1_media::progress::copied_bytes;
use av1_media::quality::Scores;
use av1_media::verify::bitstream;
use av1_media::versions::VMAF;
use sha2::{Digest, Sha256};

use self::chunks::Joined;
use self::engine::{Gate, Job, Patience};
use self::files::{Files, replace};
use self::outcome::Ended;
use self::page::Board;
use self::planning::Planned;
use self::source::Source;
use crate::role::{PodArgs, RoleFailure};

/// Seconds from the request to end until the pod is killed; the operator sets it to the pod's grace period.
const GRACE_VARIABLE: &str = "AV1_GRACE_SECONDS";
/// Kubernetes' own default of it.
const GRACE_DEFAULT: u64 = 30;
/// Part of the grace period that is kept for saving.
const GRACE_KEPT: u64 = 10;
/// Seconds without a frame and without use of CPU time after which an encode is stopped.
const STALL_VARIABLE: &str = "AV1_STALL_SECONDS";
const STALL_DEFAULT: u64 = 600;
/// Longest message of a result, in characters; the whole must fit a termination message.
const MOST_MESSAGE: usize = 500;

/// Plays the role.
///
/// # Errors
/// [`RoleFailure`] when there is no verdict on the file.
pub(crate) fn run(task: &EncodeTask, args: &PodArgs) -> Result<EncodeResult, RoleFailure> {
    let board = Board::default();
    board.update(|p| (p.job_uid, p.run) = (task.job.uid.clone(), task.job.run));
    page::serve(args.listen, args.socket.as_deref(), board.clone()).map_err(|e| {
        RoleFailure::retry(reasons::IO_ERROR, format!("the page cannot listen on {}: {e}", args.listen))
    })?;
    let mut run = Run::new(task, args, board);
    match run.steps() {
        Ok(()) => run.report(EncodeVerdict::Encoded, reasons::ENCODED, run.success()),
        Err(Ended::Verdict { verdict, reason, message }) => run.report(verdict, &reason, message),
        Err(Ended::Failed(failure)) => Err(failure),
    }
}

/// One run: what is given, and what is known so far for the result and the report.
struct Run<'a> {
    task: &'a EncodeTask,
    args: &'a PodArgs,
    files: Files,
    board: Board,
    versions: BTreeMap<String, String>,
    encoder: Encoder,
    commands: BTreeMap<String, Vec<String>>,
    identity: Option<FileIdentity>,
    checks: Vec<Check>,
    quality: Option<QualityScore>,
    /// Scores of all frames, when quality was measured.
    scores: Option<(Metric, Scores)>,
    size_gate: Option<SizeGateResult>,
    output: Option<OutputFile>,
    encode_seconds: f64,
    /// What was left undone without harm to the output.
    notes: Vec<String>,
}

impl<'a> Run<'a> {
    fn new(task: &'a EncodeTask, args: &'a PodArgs, board: Board) -> Self {
        Self {
            task,
            args,
            files: Files::new(&args.work, args.scratch.as_deref()),
            board,
            versions: BTreeMap::new(),
            encoder: Encoder::SvtAv1,
            commands: BTreeMap::new(),
            identity: None,
            checks: Vec::new(),
            quality: None,
            scores: None,
            size_gate: None,
            output: None,
            encode_seconds: 0.0,
            notes: Vec::new(),
        }
    }

    fn stage(&self, stage: Stage) {
        tracing::info!("{}", stage.as_str());
        self.board.update(|p| p.stage = stage);
    }

    fn steps(&mut self) -> Result<(), Ended> {
        self.check_tools()?;
        engine::clear(&self.files)?;
        let (pinning, resources) = resources::look(self.task.workers, self.task.target_utilization_percent);
        tracing::info!(cpus = %pinning.cpus, exclusive = pinning.exclusive, "pinning");
        self.board.update(|p| p.pinning = pinning);
        self.stage(Stage::Probing);
        let (task, args) = (self.task, self.args);
        let source = Source::open(task, args, &mut |identity| {
            self.identity = Some(identity.clone());
            self.board.update(|p| p.source = Some(identity.clone()));
        })?;
        self.board.update(|p| p.media = Some(source.summary(None)));
        self.work_on(&source, resources).map_err(|ended| source.confirm(ended))
    }

    fn work_on(&mut self, source: &Source, resources: Resources) -> Result<(), Ended> {
        self.rehearse(source)?;
        let planned = self.analyse(source, resources)?;
        let light = self.encode(source, &planned, resources)?;
        self.finish(source, &planned, light)
    }

    /// The start-up check.
    fn check_tools(&mut self) -> Result<(), Ended> {
        let versions = crate::versions::look()
            .map_err(|e| Ended::tool("asking the tools for their versions", &self.files.work, &e))?;
        let problems = versions.problems();
        if !problems.is_empty() {
            let message = format!("the image's tools cannot do the work: {}", problems.join("; "));
            return Err(Ended::Failed(RoleFailure::new(reasons::TOOLS_UNUSABLE, message, false, exit::TOOLS)));
        }
        for warning in versions.warnings() {
            tracing::warn!("{warning}");
        }
        let settings = &self.task.settings;
        self.encoder = Encoder::choose(settings.encoder, |encoder| versions.has(encoder)).ok_or_else(|| {
            let asked = Encoder::asked(settings.encoder).map_or("any", Encoder::title);
            let message = format!("the image has no {asked} encoder: change encode.encoder, or take another image");
            Ended::Failed(RoleFailure::new(reasons::TOOLS_UNUSABLE, message, false, exit::TOOLS))
        })?;
        let metrics = [settings.quality.as_ref().map(|q| q.metric), settings.target_quality.as_ref().map(|t| t.metric)];
        if metrics.contains(&Some(Metric::Vmaf)) && !versions.tools.contains_key(VMAF) {
            let message = "the image has no vmaf: take another metric, or another image".to_owned();
            return Err(Ended::Failed(RoleFailure::new(reasons::TOOLS_UNUSABLE, message, false, exit::TOOLS)));
        }
        self.versions = versions.tools;
        self.versions.insert("av1-agent".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        check_for(settings, self.encoder, Engine::asked(settings.engine)).map_err(|e| invalid(&e))
    }

    /// Encodes what is not whole yet, and joins the chunks; returns the light that all of them tell of.
    fn encode(&mut self, source: &Source, planned: &Planned, resources: Resources) -> Result<Option<Light>, Ended> {
        let Planned { decoded, picture, plan, .. } = planned;
        let work = self.files.work.clone();
        let frames = decoded.times.pts.len() as u64;
        let left = chunks::repair(&self.files, frames)
            .map_err(|e| Ended::io("checking the chunks of an earlier run", &work, &e))?;
        tracing::info!(chunks = left.done.done.len(), of = left.chunks.len(), "whole chunks of earlier runs");
        let order = match plan.engine {
            Engine::Av1an => Order::of(self.scene_search(source, resources)?.scenes(frames, plan.max_scene)?),
            Engine::Ffmpeg => {
                self.stage(Stage::Encoding);
                Order::LongestFirst
            }
        };
        let copied = copied_bytes(&source.probe, &source.streams);
        let gate = Gate { input_bytes: source.identity.size, max_percent: self.task.settings.max_percent };
        // A search makes scenes smaller that its first round makes too large, and only chunks in random order are a fair sample.
        let settings = &self.task.settings;
        let may_stop = settings.stop_early && settings.target_quality.is_none() && order == Order::Random;
        let gate = may_stop.then_some(gate);
        let files = self.files.clone();
        let command = &self.call(&source.path, source.video.index, planned, order);
        let job = Job { files: &files, plan, command, frames, rate: decoded.rate.as_f64(), copied, gate };
        self.commands.insert("encode".to_owned(), command.to_strings());
        let begun = Instant::now();
        let encoded = engine::encode(&job, left, patience(), &self.board);
        self.encode_seconds = begun.elapsed().as_secs_f64();
        let state = encoded?;
        let header = picture.header();
        // SVT-AV1 is told them in its arguments.
        let colour = (plan.encoder != Encoder::SvtAv1).then(|| bitstream::colour(plan));
        let joined = Joined { times: &decoded.times, header: &header, colour };
        let state = self.search(source, planned, (&job, &joined), state)?;
        self.encode_seconds = begun.elapsed().as_secs_f64();
        let chunks = u32::try_from(state.chunks.len()).unwrap_or(u32::MAX);
        self.board.update(|p| {
            (p.frames, p.chunks, p.chunks_done, p.eta_seconds) = (frames, chunks, chunks, Some(0));
            if let Some(plan) = p.plan.as_mut() {
                plan.chunks = chunks;
            }
        });
        let found = chunks::join(&self.files, &state.chunks, &joined)
            .map_err(|e| Ended::io("joining the chunks", &work, &e))?;
        self.checks.extend(bitstream::judge(&found.survey, plan, header.width, header.height));
        Ok(found.light)
    }

    fn success(&self) -> String {
        let gate = self.size_gate.clone().unwrap_or_default();
        format!(
            "{} becomes {}, {} % of the source; {} checks passed",
            figures::size(gate.input_bytes),
            figures::size(gate.output_bytes),
            gate.percent,
            self.checks.len()
        )
    }

    /// Writes the report and gives the result with its hash.
    fn report(&self, verdict: EncodeVerdict, reason: &str, message: String) -> Result<EncodeResult, RoleFailure> {
        self.board.update(|p| p.stage = Stage::Finished);
        let progress = self.board.read();
        let message = one_line(&message);
        let mut result = EncodeResult {
            verdict,
            reason: reason.to_owned(),
            message,
            source: self.identity.clone(),
            output: self.output.clone(),
            report_sha256: None,
            size_gate: self.size_gate.clone(),
            pinning: progress.pinning,
            frames: progress.frames,
            encode_seconds: self.encode_seconds,
            chunks_resumed: progress.chunks_resumed,
        };
        let report = EncodeReport {
            result: result.clone(),
            media: progress.media,
            classification: progress.classification,
            plan: progress.plan,
            checks: self.checks.clone(),
            quality: self.quality.clone(),
            settings: self.task.settings.clone(),
            versions: self.versions.clone(),
            commands: self.commands.clone(),
            notes: self.notes.clone(),
        };
        let written = serde_json::to_vec_pretty(&report).map_err(std::io::Error::from).and_then(|json| {
            replace(&self.files.left.join(av1_crds::paths::REPORT_FILE), &json)?;
            Ok(hex::encode(Sha256::digest(&json)))
        });
        match written {
            Ok(hash) => result.report_sha256 = Some(hash),
            Err(e) => match Ended::io("writing the report", &self.files.left, &e) {
                Ended::Failed(failure) => return Err(failure),
                Ended::Verdict { .. } => {
                    return Err(RoleFailure::retry(reasons::IO_ERROR, e.to_string()));
                }
            },
        }
        tracing::info!(verdict = ?result.verdict, reason = %result.reason, "{}", result.message);
        Ok(result)
    }
}

fn invalid(error: &InvalidParam) -> Ended {
    Ended::Failed(RoleFailure::bad_input(reasons::INVALID_ENCODER_PARAMS, error.to_string()))
}

/// The message in at most [`MOST_MESSAGE`] characters. Words out of a file may hold control characters, each of which takes
/// six bytes in a termination message; they become blanks.
fn one_line(message: &str) -> String {
    let mut line: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MOST_MESSAGE).collect();
    if message.chars().count() > MOST_MESSAGE {
        line.pop();
        line.push('…');
    }
    line
}

/// How long the encode waits, by the environment.
fn patience() -> Patience {
    let seconds = |variable: &str, default: u64| {
        std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    Patience {
        drain: Duration::from_secs(seconds(GRACE_VARIABLE, GRACE_DEFAULT).saturating_sub(GRACE_KEPT)),
        stall: Duration::from_secs(seconds(STALL_VARIABLE, STALL_DEFAULT).max(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_out_of_a_file_fits_a_termination_message_however_it_is_escaped() {
        for text in ["\u{1}", "\"", "\u{10ffff}", "é"] {
            let line = one_line(&text.repeat(2_000));
            assert_eq!(line.chars().count(), MOST_MESSAGE);
            assert!(serde_json::to_string(&line).unwrap().len() <= 4 * MOST_MESSAGE + 2, "{text}");
        }
        assert_eq!(one_line("as it is"), "as it is");
    }
}
