//! The encode role: probe → gates → decode pass → plan → encode → mux → verify → size gate. It leaves the output and
//! `report.json` in the work folder, and enough there at any moment for another pod to go on.
//!
//! May: read the library, write in the work folder, run the tools. Must never: write in the library.

mod analyse;
mod chunks;
mod engine;
pub(crate) mod files;
mod finish;
mod mux;
mod outcome;
mod page;
mod quality;
mod rehearse;
pub(crate) mod resources;
mod search;
mod source;
mod verify;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use av1_crds::encoding::{EngineChoice, TargetQuality};
use av1_crds::figures;
use av1_crds::reasons::{self, exit};
use av1_crds::wire::{
    Check, EncodePlan, EncodeReport, EncodeResult, EncodeTask, EncodeVerdict, FileIdentity, OutputFile, QualityScore,
    SizeGateResult, Stage,
};
use av1_media::command::Command;
use av1_media::encoders::check::{InvalidParam, check_for};
use av1_media::encoders::words::Params;
use av1_media::encoders::{Encoder, Engine};
use av1_media::frames::{Decoded, decode_pass};
use av1_media::plan::{Plan, Resources, plan};
use av1_media::progress::copied_bytes;
use av1_media::verify::bitstream;
use av1_media::{av1an, single};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use self::chunks::Joined;
use self::engine::{Gate, Job, Patience};
use self::files::{Files, read_json, remove, replace, replace_json};
use self::outcome::Ended;
use self::page::Board;
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
    size_gate: Option<SizeGateResult>,
    output: Option<OutputFile>,
    encode_seconds: f64,
}

/// What chunks were encoded from and with. Chunks of another key are not gone on with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct ChunkKey {
    version: u32,
    source_size: u64,
    source_fingerprint: String,
    frames: usize,
    engine: String,
    encoder: String,
    /// The script that Av1an is fed with, or FFmpeg's filters.
    picture: String,
    params: Params,
    target: Option<TargetQuality>,
    max_scene: u32,
    tools: BTreeMap<String, String>,
}

/// How the engine is run.
struct Call {
    command: Command,
    /// What is done to the picture before it is encoded, as FFmpeg's filters.
    filters: String,
}

impl<'a> Run<'a> {
    fn new(task: &'a EncodeTask, args: &'a PodArgs, board: Board) -> Self {
        Self {
            task,
            args,
            files: Files::new(&args.work),
            board,
            versions: BTreeMap::new(),
            encoder: Encoder::SvtAv1,
            commands: BTreeMap::new(),
            identity: None,
            checks: Vec::new(),
            quality: None,
            size_gate: None,
            output: None,
            encode_seconds: 0.0,
        }
    }

    fn stage(&self, stage: Stage) {
        tracing::info!("{}", stage.as_str());
        self.board.update(|p| p.stage = stage);
    }

    fn steps(&mut self) -> Result<(), Ended> {
        self.check_tools()?;
        engine::clear(&self.files)?;
        let (pinning, resources) = resources::look(self.task.workers);
        tracing::info!(cpus = %pinning.cpus, exclusive = pinning.exclusive, "pinning");
        self.board.update(|p| p.pinning = pinning);
        self.stage(Stage::Probing);
        let (task, args) = (self.task, self.args);
        let source = Source::open(task, args, &mut |identity| self.identity = Some(identity.clone()))?;
        self.board.update(|p| p.media = Some(source.summary(None, 0)));
        self.rehearse(&source)?;
        let (decoded, plan, call) = self.analyse(&source, resources)?;
        self.encode(&source, &decoded, &plan, &call)?;
        self.finish(&source, &decoded, &plan, &call.filters)
    }

    /// The start-up check.
    fn check_tools(&mut self) -> Result<(), Ended> {
        let versions = crate::versions::look();
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
        self.versions = versions.tools;
        self.versions.insert("av1-agent".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
        let engine = if settings.engine == EngineChoice::Ffmpeg { Engine::Ffmpeg } else { Engine::Av1an };
        check_for(settings, self.encoder, engine).map_err(|e| invalid(&e))
    }

    /// Counts the frames, takes their times, plans, and makes sure that what is in the work folder belongs to that plan.
    fn analyse(&mut self, source: &Source, resources: Resources) -> Result<(Decoded, Plan, Call), Ended> {
        self.stage(Stage::Analysing);
        self.commands.insert("decode".to_owned(), decode_pass(&source.path, source.video.index).to_strings());
        let decoded = analyse::decode(&self.files, &source.path, &source.identity, &source.probe, &source.video)?;
        let frames = decoded.times.pts.len() as u64;
        self.board.update(|p| {
            p.total_frames = frames;
            p.media = Some(source.summary(Some(decoded.rate), frames));
        });
        let with = (self.encoder, engine_for(self.task.settings.engine, &decoded)?);
        let plan = plan(&self.task.settings, &source.probe, &source.video, decoded.rate, resources, with)
            .map_err(|e| invalid(&e))?;
        let (call, picture) = self.call(source, &decoded, &plan)?;
        let shown = self.shown(&plan, source);
        self.board.update(|p| p.plan = Some(shown));
        let driver = if plan.engine == Engine::Av1an { "av1an" } else { "ffmpeg" };
        let tools = [plan.encoder.program(), driver]
            .map(|tool| (tool.to_owned(), self.versions.get(tool).cloned().unwrap_or_default()));
        let key = ChunkKey {
            version: 2,
            source_size: source.identity.size,
            source_fingerprint: source.identity.fingerprint.clone(),
            frames: decoded.times.pts.len(),
            engine: plan.engine.as_str().to_owned(),
            encoder: plan.encoder.as_str().to_owned(),
            picture,
            params: plan.params.clone(),
            target: self.task.settings.target_quality.clone(),
            max_scene: plan.max_scene,
            tools: BTreeMap::from(tools),
        };
        if read_json::<ChunkKey>(&self.files.plan).as_ref() != Some(&key) {
            let io = |e| Ended::io("preparing the work folder", &self.files.work, &e);
            let files = &self.files;
            let old = [&files.av1an, &files.scenes, &files.log, &files.video, &files.target, &files.tries];
            remove(&old.map(std::path::PathBuf::as_path)).map_err(io)?;
            replace_json(&self.files.plan, &key).map_err(io)?;
        }
        Ok((decoded, plan, call))
    }

    /// The call of the engine, and what it does to the picture. The source plugin's count of frames is held against FFmpeg's.
    fn call(&self, source: &Source, decoded: &Decoded, plan: &Plan) -> Result<(Call, String), Ended> {
        let files = &self.files;
        let (path, index) = (&source.path, source.video.index);
        match plan.engine {
            Engine::Av1an => {
                let frames = decoded.times.pts.len() as u64;
                let script = analyse::script_with(files, path, &source.identity, index, decoded.rate, frames)?;
                let call =
                    av1an::Files { script: &files.script, temp: &files.av1an, scenes: &files.scenes, log: &files.log };
                Ok((Call { command: av1an::encode(&call, plan), filters: String::new() }, script))
            }
            Engine::Ffmpeg => {
                let size = source.video.width.zip(source.video.height).filter(|_| decoded.changes_size);
                let filters = size.map(|(width, height)| single::one_size(width, height)).unwrap_or_default();
                let output = files.chunk("00000.ivf");
                let input = single::Input { source: path, index, filters: &filters, output: &output };
                Ok((Call { command: single::encode(&input, plan), filters: filters.clone() }, filters))
            }
        }
    }

    fn shown(&self, plan: &Plan, source: &Source) -> EncodePlan {
        EncodePlan {
            engine: plan.engine.as_str().to_owned(),
            encoder: plan.encoder.as_str().to_owned(),
            encoder_version: self.versions.get(plan.encoder.program()).cloned().unwrap_or_default(),
            preset: plan.quality.preset,
            crf: plan.quality.crf,
            crf_range: None,
            parameters: plan.in_words(),
            workers: plan.workers,
            threads_per_worker: plan.threads,
            chunks: 0,
            dropped: source.streams.dropped.clone(),
            target: source.streams.target(&self.task.path),
        }
    }

    /// Encodes what is not whole yet, and joins the chunks.
    fn encode(&mut self, source: &Source, decoded: &Decoded, plan: &Plan, call: &Call) -> Result<(), Ended> {
        let work = self.files.work.clone();
        let frames = decoded.times.pts.len() as u64;
        let left = chunks::repair(&self.files, frames)
            .map_err(|e| Ended::io("checking the chunks of an earlier run", &work, &e))?;
        tracing::info!(chunks = left.done.done.len(), of = left.chunks.len(), "whole chunks of earlier runs");
        self.stage(if plan.engine == Engine::Av1an { Stage::SplittingScenes } else { Stage::Encoding });
        let copied = copied_bytes(&source.probe, &source.streams);
        let gate = Gate { input_bytes: source.identity.size, max_percent: self.task.settings.max_percent };
        // A search makes scenes smaller that its first round makes too large.
        let gate = (self.task.settings.stop_early && self.task.settings.target_quality.is_none()).then_some(gate);
        let files = self.files.clone();
        let command = &call.command;
        let job = Job { files: &files, plan, command, frames, rate: decoded.rate.as_f64(), copied, gate };
        self.commands.insert("encode".to_owned(), command.to_strings());
        let begun = Instant::now();
        let state = engine::encode(&job, left, patience(), &self.board)?;
        let (width, height) = (source.video.width.unwrap_or_default(), source.video.height.unwrap_or_default());
        // SVT-AV1 is told both in its arguments.
        let colour = (plan.encoder != Encoder::SvtAv1).then(|| bitstream::colour(plan));
        let joined = Joined { times: &decoded.times, width, height, colour };
        let state = self.search(source, decoded, (&job, call, &joined), state)?;
        self.encode_seconds = begun.elapsed().as_secs_f64();
        let chunks = u32::try_from(state.chunks.len()).unwrap_or(u32::MAX);
        self.board.update(|p| {
            (p.frames, p.chunks, p.chunks_done, p.eta_seconds) = (frames, chunks, chunks, Some(0));
            if let Some(plan) = p.plan.as_mut() {
                plan.chunks = chunks;
            }
        });
        let survey = chunks::join(&self.files, &state.chunks, &joined)
            .map_err(|e| Ended::io("joining the chunks", &work, &e))?;
        self.checks.extend(bitstream::judge(&survey, plan, width, height));
        Ok(())
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
        let message = if message.chars().count() > MOST_MESSAGE {
            message.chars().take(MOST_MESSAGE - 1).chain(['…']).collect()
        } else {
            message
        };
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
            plan: progress.plan,
            checks: self.checks.clone(),
            quality: self.quality.clone(),
            settings: self.task.settings.clone(),
            versions: self.versions.clone(),
            commands: self.commands.clone(),
        };
        let written = serde_json::to_vec_pretty(&report).map_err(std::io::Error::from).and_then(|json| {
            replace(&self.files.work.join(av1_crds::paths::REPORT_FILE), &json)?;
            Ok(hex::encode(Sha256::digest(&json)))
        });
        match written {
            Ok(hash) => result.report_sha256 = Some(hash),
            Err(e) => match Ended::io("writing the report", &self.files.work, &e) {
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

/// What drives the encoder: Av1an, but FFmpeg for a picture that changes its size, which scenes can't be cut from.
fn engine_for(choice: EngineChoice, decoded: &Decoded) -> Result<Engine, Ended> {
    match (choice, decoded.changes_size) {
        (EngineChoice::Ffmpeg, _) | (EngineChoice::Auto, true) => Ok(Engine::Ffmpeg),
        (EngineChoice::Auto | EngineChoice::Av1an, false) => Ok(Engine::Av1an),
        (EngineChoice::Av1an, true) => Err(Ended::skipped(
            reasons::UNSUPPORTED_STREAM,
            "the size or format of the picture changes within the video, which Av1an can't encode: write encode.engine: Auto",
        )),
    }
}

fn invalid(error: &InvalidParam) -> Ended {
    Ended::Failed(RoleFailure::bad_input(reasons::INVALID_ENCODER_PARAMS, error.to_string()))
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
