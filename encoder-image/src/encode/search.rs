//! The search for each scene's rate factor (profile TargetQuality): encode, measure, and encode again what missed its range.
//!
//! What was tried is written down before a chunk is encoded again, and the file of each try is kept until the search ends: a
//! later run goes on where this one stops, and the try that is kept is never encoded twice.
//!
//! May: write in the work folder. Must never: keep a scene whose score was not measured.

use std::collections::BTreeMap;
use std::fs;
use std::io;

use av1_crds::reasons;
use av1_crds::wire::{EncodeVerdict, Stage};
use av1_media::av1an::{self, Chunk, MAX_FILE};
use av1_media::encoders::params::ranges;
use av1_media::quality::mean;
use av1_media::target::{Goal, Next, Try, crf_range, judge, next};

use super::chunks::{self, Joined, State};
use super::engine::{self, Job};
use super::files::{Files, read, read_json, replace, replace_json};
use super::outcome::Ended;
use super::planning::Planned;
use super::source::Source;
use super::{Run, patience};

/// Most ranges of frames that are measured apart; beyond, all frames are.
const MOST_RANGES: usize = 200;

/// What was tried, by number of the chunk.
type Tries = BTreeMap<u32, Vec<Try>>;

impl Run<'_> {
    /// Brings each chunk of `state` into its range, and adds the row on it.
    pub(super) fn search(
        &mut self,
        source: &Source,
        planned: &Planned,
        (job, joined): (&Job<'_>, &Joined<'_>),
        mut state: State,
    ) -> Result<State, Ended> {
        let own = ranges(job.plan.encoder).crf;
        let target = self.task.settings.target_quality.clone();
        let Some(goal) = target.as_ref().and_then(|target| Goal::new(target, own.from, own.to)) else {
            return Ok(state);
        };
        let files = self.files.clone();
        let io = |e| Ended::io("searching the rate factors of the scenes", &files.work, &e);
        let mut tries: Tries = read_json(&files.target).unwrap_or_default();
        loop {
            let now = current(&files, own.key).map_err(io)?;
            let crf_of = |chunk: &Chunk| now.get(&chunk.index).copied().unwrap_or(job.plan.quality.crf);
            let new: Vec<Chunk> =
                state.chunks.iter().filter(|c| !is_tried(&tries, c.index, crf_of(c))).copied().collect();
            if !new.is_empty() {
                self.stage(Stage::Verifying);
                chunks::join(&files, &state.chunks, joined).map_err(io)?;
                let scores = self.scores(source, planned, &goal, &state.chunks, &new)?;
                for (chunk, score) in new.iter().zip(scores) {
                    tries.entry(chunk.index).or_default().push(Try { crf: crf_of(chunk), score });
                }
                replace_json(&files.target, &tries).map_err(io)?;
            }
            let decided = |chunk: &Chunk| next(&goal, tries.get(&chunk.index).map_or(&[][..], Vec::as_slice));
            let again: BTreeMap<u32, u32> = state
                .chunks
                .iter()
                .filter_map(|chunk| match decided(chunk) {
                    Next::Again(crf) => Some((chunk.index, crf)),
                    Next::Keep(_) => None,
                })
                .collect();
            tracing::info!(scenes = state.chunks.len(), again = again.len(), "scores of scenes");
            if again.is_empty() {
                let keep = |chunk: &Chunk| match decided(chunk) {
                    Next::Keep(crf) | Next::Again(crf) => crf,
                };
                return self.keep(&goal, state, &tries, keep, crf_of).map_err(|ended| match ended {
                    Err(ended) => ended,
                    Ok(error) => io(error),
                });
            }
            put_away(&files, &state.chunks, &again, crf_of).map_err(io)?;
            let json = read(&files.chunks(), MAX_FILE).map_err(io)?.unwrap_or_default();
            let json = av1an::with_params(&json, own.key, &again).map_err(|e| io(io::Error::other(e)))?;
            replace(&files.chunks(), &json).map_err(io)?;
            state = chunks::repair(&files, job.frames).map_err(io)?;
            self.stage(Stage::Encoding);
            state = engine::encode(job, state, patience(), &self.board)?;
        }
    }

    /// The mean score of each of the chunks `new`.
    fn scores(
        &mut self,
        source: &Source,
        planned: &Planned,
        goal: &Goal,
        all: &[Chunk],
        new: &[Chunk],
    ) -> Result<Vec<f64>, Ended> {
        let apart = new.len() < all.len() && new.len() <= MOST_RANGES;
        let ranges: Vec<(u64, u64)> =
            if apart { new.iter().map(|chunk| (chunk.start_frame, chunk.end_frame)).collect() } else { Vec::new() };
        let video = self.files.video.clone();
        let scores = self.measure(source, planned, (goal.metric, &ranges), &video)?;
        let (mut from, mut out) = (0, Vec::new());
        for chunk in new {
            let start = if apart { from } else { chunk.start_frame };
            let frames = usize::try_from(start).ok().zip(usize::try_from(start + chunk.frames()).ok());
            let found = frames.and_then(|(start, end)| mean(scores.frames().get(start..end)?));
            out.push(found.ok_or_else(|| Ended::retry(reasons::ENCODE_FAILED, "a scene was not measured"))?);
            from += chunk.frames();
        }
        Ok(out)
    }

    /// Puts the kept try of each chunk in place and judges the whole. An error of a file is in `Ok`.
    fn keep(
        &mut self,
        goal: &Goal,
        state: State,
        tries: &Tries,
        keep: impl Fn(&Chunk) -> u32,
        current: impl Fn(&Chunk) -> u32,
    ) -> Result<State, Result<io::Error, Ended>> {
        let files = &self.files;
        let mut kept = Vec::new();
        let mut values = BTreeMap::new();
        for chunk in &state.chunks {
            let crf = keep(chunk);
            kept.extend(tries.get(&chunk.index).and_then(|list| list.iter().find(|one| one.crf == crf)));
            if crf != current(chunk) {
                values.insert(chunk.index, crf);
            }
        }
        if !values.is_empty() {
            // A crash at any point leaves a chunk missing, which is encoded again at the rate factor that is on record.
            put_away(files, &state.chunks, &values, &current).map_err(Ok)?;
            let key = self.encoder_key();
            let json = read(&files.chunks(), MAX_FILE).map_err(Ok)?.unwrap_or_default();
            let json = av1an::with_params(&json, key, &values).map_err(|e| Ok(io::Error::other(e)))?;
            replace(&files.chunks(), &json).map_err(Ok)?;
            for chunk in state.chunks.iter().filter(|chunk| values.contains_key(&chunk.index)) {
                let from = files.tried(chunk.index, values[&chunk.index]);
                fs::rename(from, files.chunk(&chunk.file_name())).map_err(Ok)?;
            }
        }
        let check = judge(goal, &kept);
        self.checks.push(check.clone());
        self.board.update(|p| {
            if let Some(plan) = p.plan.as_mut() {
                plan.crf_range = crf_range(&kept);
            }
        });
        if check.passed && kept.len() == state.chunks.len() {
            return Ok(state);
        }
        let message = format!("{}, but {} is asked for; the file is left as it is", check.measured, check.expected);
        let reason = reasons::QUALITY_TOO_LOW.to_owned();
        Err(Err(Ended::Verdict { verdict: EncodeVerdict::Rejected, reason, message }))
    }

    fn encoder_key(&self) -> &'static str {
        ranges(self.encoder).crf.key
    }
}

fn is_tried(tries: &Tries, chunk: u32, crf: u32) -> bool {
    tries.get(&chunk).is_some_and(|list| list.iter().any(|one| one.crf == crf))
}

/// The rate factor of each chunk, as Av1an has it.
fn current(files: &Files, key: &str) -> io::Result<BTreeMap<u32, u32>> {
    let json = read(&files.chunks(), MAX_FILE)?.unwrap_or_default();
    av1an::params(&json, key).map_err(io::Error::other)
}

/// Moves the files of chunks that are encoded again out of the way; they may be what is kept in the end.
fn put_away(
    files: &Files,
    all: &[Chunk],
    again: &BTreeMap<u32, u32>,
    current: impl Fn(&Chunk) -> u32,
) -> io::Result<()> {
    chunks::forget(files, all.iter().filter(|chunk| again.contains_key(&chunk.index)))?;
    fs::create_dir_all(&files.tries)?;
    for chunk in all.iter().filter(|chunk| again.contains_key(&chunk.index)) {
        fs::rename(files.chunk(&chunk.file_name()), files.tried(chunk.index, current(chunk)))?;
    }
    fs::File::open(&files.tries)?.sync_all()
}
