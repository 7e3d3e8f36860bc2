//! From the source to what is run: the decode pass, the plan of the picture and of the encode, the engine and its call.
//!
//! May: read the source, write in the work folder. Must never: keep chunks there that were made from or with anything else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use av1_crds::encoding::{EngineChoice, Metric, TargetQuality};
use av1_crds::reasons;
use av1_crds::settings::Deinterlace;
use av1_crds::wire::{EncodePlan, SourceKind, Stage};
use av1_media::av1an::Order;
use av1_media::bars;
use av1_media::classify::{Traits, classify};
use av1_media::command::Command;
use av1_media::encoders::Engine;
use av1_media::encoders::words::Params;
use av1_media::frames::Decoded;
use av1_media::picture::{Picture, plan_picture};
use av1_media::plan::{Plan, Resources, plan};
use av1_media::profile::bits_per_pixel;
use av1_media::rational::Rational;
use av1_media::{av1an, single};
use serde::{Deserialize, Serialize};

use super::analyse::{self, Asked, Video};
use super::files::{Files, read_json, remove, replace_json};
use super::outcome::Ended;
use super::scenes::{self, ScenesKey, Search};
use super::source::Source;
use super::{Run, invalid};

/// Cuts do not depend on the rate.
const NO_RATE: Rational = Rational { num: 25, den: 1 };

/// All that the encode of one source needs to be known.
#[derive(Debug)]
pub(super) struct Planned {
    /// Frames and times of the source.
    pub(super) decoded: Decoded,
    /// What becomes of its picture.
    pub(super) picture: Picture,
    /// How it is encoded.
    pub(super) plan: Plan,
    /// The script that Av1an is fed with, or FFmpeg's filters.
    pub(super) input: String,
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
    input: String,
    params: Params,
    target: Option<TargetQuality>,
    max_scene: u32,
    tools: BTreeMap<String, String>,
}

impl Run<'_> {
    /// Counts the frames, takes their times, plans, and makes sure that what is in the work folder belongs to that plan.
    pub(super) fn analyse(&mut self, source: &Source, resources: Resources) -> Result<Planned, Ended> {
        self.stage(Stage::Analysing);
        let settings = &self.task.settings;
        let bits = |rate: Option<Rational>| rate.and_then(|rate| bits_per_pixel(&source.probe, &source.video, rate));
        let size = source.video.width.zip(source.video.height).unwrap_or_default();
        let traits = |bits, variable| Traits { path: &self.task.path, bits, variable, size };
        // Times that are missing or go back count as a rate that varies.
        let guess = classify(&traits(bits(source.video.avg_frame_rate), true));
        let video = Video {
            path: &source.path,
            identity: &source.identity,
            probe: &source.probe,
            stream: &source.video,
            asked: Asked {
                with_bars: bars::wanted(settings, &source.probe, &source.streams),
                may_be_interlaced: settings.deinterlace == Deinterlace::Bwdif,
                may_make_up: guess.kind == SourceKind::WebLike,
            },
        };
        self.commands.insert("decode".to_owned(), video.decode_pass().to_strings());
        let decoded = self.decode(&video, source, resources)?;
        let classification = classify(&traits(bits(Some(decoded.rate)), decoded.is_variable));
        self.board.update(|p| {
            p.total_frames = decoded.times.pts.len() as u64;
            p.media = Some(source.summary(Some(&decoded)));
            p.classification = Some(classification);
        });
        let seen = decoded.seen.and_then(|seen| bars::worth(seen, size));
        let mut picture = plan_picture(&source.video, settings, seen)?.of_frames(&decoded);
        let (engine, input) = self.engine(&video, &decoded, &mut picture)?;
        let with = (self.encoder, engine);
        let plan =
            plan(settings, &source.probe, &source.video, decoded.rate, resources, with).map_err(|e| invalid(&e))?;
        let shown = self.shown(&plan, source, &picture);
        self.board.update(|p| p.plan = Some(shown));
        self.keep_chunks_of(&self.key(source, &decoded, input.clone(), &plan))?;
        Ok(Planned { decoded, picture, plan, input })
    }

    /// The decode pass, with the search for scenes beside it: neither keeps many CPUs busy.
    fn decode(&self, video: &Video<'_>, source: &Source, resources: Resources) -> Result<Decoded, Ended> {
        if self.task.settings.engine == EngineChoice::Ffmpeg {
            return analyse::decode(&self.files, video);
        }
        let (files, stop) = (&self.files, AtomicBool::new(false));
        let search = self.scene_search(source, resources)?;
        let look_ahead = || match analyse::count(files, video, &search.key.script)? {
            Ok(frames) => search.cuts(frames, &stop).map(|_| ()),
            Err(_) => Ok(()),
        };
        std::thread::scope(|scope| {
            let looking = scope.spawn(look_ahead);
            let decoded = analyse::decode(files, video);
            let needs_scenes = decoded.as_ref().is_ok_and(|d| !d.changes_size && d.interlaced.is_none());
            stop.store(!needs_scenes, Ordering::Relaxed);
            if needs_scenes {
                self.stage(Stage::SplittingScenes);
            }
            // What went wrong comes up again where the scenes are needed.
            match looking.join() {
                Ok(Err(Ended::Failed(failure))) => tracing::info!("scenes: {}", failure.failure.message),
                Ok(Err(Ended::Verdict { message, .. })) => tracing::info!("scenes: {message}"),
                Ok(Ok(_)) | Err(_) => {}
            }
            decoded
        })
    }

    /// The search for scenes: in the whole picture of the source, whatever is cut off or added later.
    pub(super) fn scene_search(&self, source: &Source, resources: Resources) -> Result<Search<'_>, Ended> {
        let picture = plan_picture(&source.video, &self.task.settings, None)?;
        let key = ScenesKey {
            source_size: source.identity.size,
            source_fingerprint: source.identity.fingerprint.clone(),
            script: analyse::script_of(&self.files, (&source.path, source.video.index), &picture, NO_RATE)?,
            av1an: self.versions.get("av1an").cloned(),
        };
        Ok(Search { files: &self.files, key, at_once: scenes::at_once(resources, source.pixels()) })
    }

    /// What drives the encoder, with the script or the filters that it is fed with: Av1an, unless another is asked for or the
    /// video is one that it can't encode.
    fn engine(&self, video: &Video<'_>, decoded: &Decoded, picture: &mut Picture) -> Result<(Engine, String), Ended> {
        let settings = &self.task.settings;
        let by_plugin = settings.quality.as_ref().is_some_and(|rule| rule.metric == Metric::Ssimulacra2);
        if by_plugin && (decoded.changes_size || decoded.interlaced.is_some()) {
            let message = "SSIMULACRA2 can't be measured of interlaced video, or of one that changes its size: take another metric";
            return Err(Ended::skipped(reasons::UNSUPPORTED_STREAM, message));
        }
        if settings.engine != EngineChoice::Ffmpeg {
            let (reason, why) = match self.script(video, decoded, picture)? {
                Ok(script) => return Ok((Engine::Av1an, script)),
                Err(why) => why,
            };
            let needed = match settings.engine {
                EngineChoice::Av1an => Some("encode.engine is Av1an: write Auto"),
                _ if settings.target_quality.is_some() => Some("TargetQuality searches scenes: take another profile"),
                _ if by_plugin => Some("SSIMULACRA2 needs it too: take another metric"),
                _ => None,
            };
            if let Some(needed) = needed {
                return Err(Ended::skipped(reason, format!("Av1an can't encode the video, since {why}; but {needed}")));
            }
            tracing::warn!("FFmpeg encodes the video as a whole: {why}");
            picture.filters.push(format!("encoded as a whole by FFmpeg: {why}"));
        }
        let even_times = (decoded.made_up > 0).then(|| single::even_times(decoded.rate));
        let filters = [Some(picture.ffmpeg_filters()), even_times];
        let filters: Vec<String> = filters.into_iter().flatten().filter(|filter| !filter.is_empty()).collect();
        Ok((Engine::Ffmpeg, filters.join(",")))
    }

    /// The script that feeds Av1an; or reason and words why it can't have one: scenes can't be cut from a picture that changes
    /// its size, VapourSynth has no bwdif, and of files whose edit list cuts into a group of pictures the source plugin counts
    /// other frames than FFmpeg does.
    fn script(
        &self,
        video: &Video<'_>,
        decoded: &Decoded,
        picture: &Picture,
    ) -> Result<Result<String, (&'static str, String)>, Ended> {
        if decoded.changes_size {
            return Ok(Err((reasons::UNSUPPORTED_STREAM, "the size or format of the picture changes".to_owned())));
        }
        if decoded.interlaced.is_some() {
            return Ok(Err((reasons::INTERLACED, "it is interlaced".to_owned())));
        }
        let frames = decoded.times.pts.len() as u64;
        match analyse::script_with(&self.files, video, picture, decoded.rate, frames) {
            Ok(script) => Ok(Ok(script)),
            Err(Ended::Verdict { reason, message, .. }) if reason == reasons::FRAME_COUNT_MISMATCH => {
                Ok(Err((reasons::FRAME_COUNT_MISMATCH, message)))
            }
            Err(ended) => Err(ended),
        }
    }

    /// The call of the engine for stream `index` of `source`.
    pub(super) fn call(&self, source: &Path, index: u32, planned: &Planned, order: Order) -> Command {
        let Files { script, av1an, scenes, log, .. } = &self.files;
        let Planned { plan, input: filters, .. } = planned;
        match plan.engine {
            Engine::Av1an => av1an::encode(&av1an::Files { script, temp: av1an, scenes, log }, plan, order),
            Engine::Ffmpeg => {
                let output = self.files.chunk("00000.ivf");
                single::encode(&single::Input { source, index, filters, output: &output }, plan)
            }
        }
    }

    fn key(&self, source: &Source, decoded: &Decoded, input: String, plan: &Plan) -> ChunkKey {
        let driver = if plan.engine == Engine::Av1an { "av1an" } else { "ffmpeg" };
        let tools = [plan.encoder.program(), driver]
            .map(|tool| (tool.to_owned(), self.versions.get(tool).cloned().unwrap_or_default()));
        ChunkKey {
            version: 2,
            source_size: source.identity.size,
            source_fingerprint: source.identity.fingerprint.clone(),
            frames: decoded.times.pts.len(),
            engine: plan.engine.as_str().to_owned(),
            encoder: plan.encoder.as_str().to_owned(),
            input,
            params: plan.params.clone(),
            target: self.task.settings.target_quality.clone(),
            max_scene: plan.max_scene,
            tools: BTreeMap::from(tools),
        }
    }

    /// Removes what earlier runs left, unless it has the same key.
    fn keep_chunks_of(&self, key: &ChunkKey) -> Result<(), Ended> {
        if read_json::<ChunkKey>(&self.files.plan).as_ref() == Some(key) {
            return Ok(());
        }
        let io = |e| Ended::io("preparing the work folder", &self.files.work, &e);
        let files = &self.files;
        let Files { av1an, scenes, log, video, target, tries, .. } = files;
        let old = [av1an, scenes, log, video, target, tries];
        remove(&old.map(PathBuf::as_path)).map_err(io)?;
        replace_json(&files.plan, key).map_err(io)
    }

    fn shown(&self, plan: &Plan, source: &Source, picture: &Picture) -> EncodePlan {
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
            filters: picture.filters.clone(),
            dropped: source.streams.dropped.iter().chain(&picture.dropped).cloned().collect(),
            target: source.streams.target(&self.task.path),
        }
    }
}
