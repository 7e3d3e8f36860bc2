//! Runs the engine until every chunk is whole: follows it by what it writes, drains it when the pod is to end, and stops it
//! when it stands still. To FFmpeg the whole video is one chunk.
//!
//! May: run the engine, write in the work folder. Must never: take its exit code for success; chunks are counted after it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use av1_crds::reasons;
use av1_crds::wire::{EncodeVerdict, Stage};
use av1_media::av1an::{self, Done, Event, MAX_FILE, event};
use av1_media::command::Command;
use av1_media::encoders::Engine;
use av1_media::ivf::Walker;
use av1_media::plan::Plan;
use av1_media::progress::{Finished, Rate, Watchdog};
use av1_media::single;
use av1_media::stop_early::{Sampled, project};
use rustix::process::Signal;

use super::chunks::{self, State};
use super::files::{Files, read, replace};
use super::outcome::Ended;
use super::page::Board;
use crate::supervise::{Running, describe, kill_left_behind, last_lines, stop_requested};

/// How often the figures are taken.
const TICK: Duration = Duration::from_secs(1);
/// How often it is looked whether Av1an ended or the pod is to end.
const POLL: Duration = Duration::from_millis(50);
/// Programs that an encode consists of.
const PROGRAMS: [&str; 6] = ["av1an", "vspipe", "SvtAv1EncApp", "aomenc", "rav1e", "ffmpeg"];

/// Times that bound an encode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long running chunks may go on when the pod is to end.
    pub(crate) drain: Duration,
    /// How long an encode may stand still.
    pub(crate) stall: Duration,
}

/// What is encoded.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) files: &'a Files,
    pub(crate) plan: &'a Plan,
    /// The call of the engine.
    pub(crate) command: &'a Command,
    /// Frames of the video.
    pub(crate) frames: u64,
    /// Frames a second.
    pub(crate) rate: f64,
    /// Bytes of the streams that will be copied.
    pub(crate) copied: u64,
    /// The gate that the output has to pass, when an encode that cannot is to be stopped.
    pub(crate) gate: Option<Gate>,
}

/// The size gate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    /// Size of the source in bytes.
    pub(crate) input_bytes: u64,
    /// The output must be smaller than this percentage of it.
    pub(crate) max_percent: u32,
}

/// Encodes what `left` does not have yet, and returns the state in which every chunk is whole.
///
/// # Errors
/// [`Ended`] when the engine fails, stands still or is drained; whole chunks are kept in each case.
pub(crate) fn encode(job: &Job<'_>, left: State, patience: Patience, board: &Board) -> Result<State, Ended> {
    let resumed = u32::try_from(left.done.done.len()).unwrap_or(u32::MAX);
    board.update(|p| p.chunks_resumed = resumed);
    if left.is_complete() {
        return Ok(left);
    }
    if job.plan.engine == Engine::Ffmpeg {
        one_chunk(job).map_err(|e| Ended::io("preparing the work folder", &job.files.work, &e))?;
    }
    let ended = run(job, &left, patience, board);
    let state =
        chunks::repair(job.files, job.frames).map_err(|e| Ended::io("checking the chunks", &job.files.work, &e))?;
    match ended {
        Ok(()) if state.is_complete() => Ok(state),
        // What Av1an joins in the end is not needed, and it fails over some chunks that are whole: they are what counts.
        Err(Ended::Failed(failure)) if state.is_complete() => {
            tracing::warn!("every chunk is whole, although: {}", failure.failure.message);
            Ok(state)
        }
        Ok(()) => Err(Ended::retry(
            reasons::ENCODE_FAILED,
            format!("{} ended, but {}", job.plan.engine.as_str(), kept(&state)),
        )),
        Err(Ended::Failed(mut failure)) => {
            failure.failure.message = format!("{}; {}", failure.failure.message, kept(&state));
            Err(Ended::Failed(failure))
        }
        Err(verdict) => Err(verdict),
    }
}

fn kept(state: &State) -> String {
    format!("{} of {} chunks are whole and kept", state.done.done.len(), state.chunks.len())
}

/// Removes what an agent that was killed outside of a container left running in this work folder.
///
/// # Errors
/// When one of its programs does not end.
pub(crate) fn clear(files: &Files) -> Result<(), Ended> {
    let io = |e| Ended::io("ending programs of an earlier run", &files.work, &e);
    fs::create_dir_all(&files.cwd).map_err(io)?;
    let cwd = fs::canonicalize(&files.cwd).map_err(io)?;
    let killed = kill_left_behind(&cwd, &PROGRAMS).map_err(io)?;
    if killed > 0 {
        tracing::warn!(killed, "programs that an earlier run left behind were ended");
    }
    Ok(())
}

/// Writes down that the whole video is one chunk.
fn one_chunk(job: &Job<'_>) -> io::Result<()> {
    let folder = job.files.chunk("");
    fs::create_dir_all(&folder)?;
    replace(&job.files.chunks(), single::chunks(job.frames).as_bytes())
}

/// Runs the engine once.
fn run(job: &Job<'_>, left: &State, patience: Patience, board: &Board) -> Result<(), Ended> {
    let files = job.files;
    let engine = job.plan.engine;
    let log_from = fs::metadata(&files.log).map_or(0, |meta| meta.len());
    let mut running =
        Running::start(job.command, &files.cwd).map_err(|e| Ended::tool("starting the encode", &files.work, &e))?;
    let mut follower = Follower::new(job, left, log_from);
    let mut watchdog = Watchdog::new(millis(patience.stall), 0);
    let mut draining: Option<Instant> = None;
    let mut next_tick = Instant::now();
    let status = loop {
        if let Some(status) = running.poll().map_err(|e| Ended::io("waiting for the encode", &files.work, &e))? {
            break status;
        }
        if Instant::now() >= next_tick {
            next_tick += TICK;
            follower.look(board);
            if let Some(why) = follower.hopeless() {
                running.end();
                return Err(Ended::Verdict {
                    verdict: EncodeVerdict::Rejected,
                    reason: reasons::PROJECTED_TOO_LARGE.to_owned(),
                    message: why,
                });
            }
            if watchdog.is_stalled(millis(follower.begun.elapsed()), follower.frames, millis(running.cpu_time())) {
                running.end();
                let message = format!(
                    "no frame came and no CPU time was used for {} s; the encode was stopped",
                    patience.stall.as_secs()
                );
                return Err(Ended::retry(reasons::STALLED, message));
            }
        }
        match draining {
            None if stop_requested() => {
                draining = Some(Instant::now());
                follower.look(board);
                // Only a drain lets running chunks end. Before the first chunk Av1an does not listen to SIGINT. FFmpeg would
                // end in the middle of its only chunk: it is left alone as long as there is time.
                match engine {
                    Engine::Av1an => running.signal(if follower.encoding { Signal::INT } else { Signal::TERM }),
                    Engine::Ffmpeg => {}
                }
                tracing::info!(seconds = patience.drain.as_secs(), "waiting for running chunks");
            }
            Some(since) if since.elapsed() >= patience.drain => {
                running.end();
                return Err(drained("the grace period ended before the running chunks did"));
            }
            _ => {}
        }
        std::thread::sleep(POLL);
    };
    let said = running.end();
    follower.look(board);
    if draining.is_some() && !(engine == Engine::Ffmpeg && status.success()) {
        return Err(drained("the encode was stopped"));
    }
    if status.success() {
        return Ok(());
    }
    let said: String =
        said.split(['\r', '\n']).filter(|line| !line.starts_with("Creating lwi index")).collect::<Vec<_>>().join("\n");
    let no_space = said.contains("No space left on device");
    let error = io::Error::from(if no_space { io::ErrorKind::StorageFull } else { io::ErrorKind::Other });
    Err(if no_space {
        Ended::io("encoding", &files.work, &error)
    } else {
        let engine = engine.as_str();
        Ended::retry(reasons::ENCODE_FAILED, format!("{engine} failed ({}): {}", describe(status), last_lines(&said)))
    })
}

fn drained(what: &str) -> Ended {
    Ended::retry(reasons::POD_LOST, format!("the pod was told to end: {what}"))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Takes the figures of a running encode from the files that it writes.
struct Follower<'a> {
    job: &'a Job<'a>,
    begun: Instant,
    log_position: u64,
    log_rest: Vec<u8>,
    in_flight: BTreeSet<u32>,
    walkers: BTreeMap<u32, Walker>,
    done: Done,
    chunks: u32,
    frames: u64,
    rate: Rate,
    encoding: bool,
}

impl<'a> Follower<'a> {
    fn new(job: &'a Job<'a>, left: &State, log_position: u64) -> Self {
        Self {
            job,
            begun: Instant::now(),
            log_position,
            log_rest: Vec::new(),
            in_flight: if job.plan.engine == Engine::Ffmpeg { BTreeSet::from([0]) } else { BTreeSet::new() },
            walkers: BTreeMap::new(),
            done: left.done.clone(),
            chunks: u32::try_from(left.chunks.len()).unwrap_or(u32::MAX),
            frames: left.frames(),
            rate: Rate::default(),
            encoding: job.plan.engine == Engine::Ffmpeg,
        }
    }

    /// Reads what is new and puts the figures on the board. A file that is just being rewritten leaves the old figures.
    fn look(&mut self, board: &Board) {
        if let Err(e) = self.read_log() {
            tracing::debug!("reading Av1an's log: {e}");
        }
        if let Some(done) = read(&self.job.files.done(), MAX_FILE).ok().flatten().as_deref().and_then(Done::parse) {
            self.done = done;
        }
        if self.encoding && self.chunks == 0 {
            let json = read(&self.job.files.chunks(), MAX_FILE).ok().flatten().unwrap_or_default();
            self.chunks = av1an::chunks(&json, self.job.frames)
                .map_or(0, |chunks| u32::try_from(chunks.len()).unwrap_or(u32::MAX));
        }
        let finished = Finished {
            frames: self.done.done.values().map(|chunk| chunk.frames).fold(0, u64::saturating_add),
            bytes: self.done.done.values().map(|chunk| chunk.size_bytes).fold(0, u64::saturating_add),
        };
        let done = &self.done.done;
        let in_flight: Vec<u32> =
            self.in_flight.iter().filter(|index| !done.contains_key(&format!("{index:05}"))).copied().collect();
        self.walkers.retain(|index, _| in_flight.contains(index));
        let in_flight: u64 = in_flight.into_iter().map(|index| self.partial(index).unwrap_or_default()).sum();
        self.frames = finished.frames.saturating_add(in_flight).min(self.job.frames);
        if self.encoding {
            self.rate.record(millis(self.begun.elapsed()), self.frames);
        }
        self.show(finished, board);
    }

    /// Why the output cannot pass the size gate, when the finished chunks show it.
    fn hopeless(&self) -> Option<String> {
        let Gate { input_bytes, max_percent } = self.job.gate?;
        let done: Vec<Sampled> =
            self.done.done.values().map(|chunk| Sampled::of_ivf(chunk.frames, chunk.size_bytes)).collect();
        let projection = project(&done, self.chunks as usize, self.job.frames, self.job.copied)?;
        projection.is_hopeless(input_bytes, max_percent).then(|| projection.why(input_bytes, max_percent))
    }

    /// Frames in the file of a chunk that is being encoded.
    fn partial(&mut self, index: u32) -> io::Result<u64> {
        let mut file = File::open(self.job.files.chunk(&format!("{index:05}.ivf")))?;
        let length = file.metadata()?.len();
        Ok(self.walkers.entry(index).or_default().go_on(&mut file, length)?.frames)
    }

    fn show(&self, finished: Finished, board: &Board) {
        let remaining = self.job.frames.saturating_sub(self.frames);
        board.update(|p| {
            // Before the first chunk Av1an only starts.
            if self.encoding {
                p.stage = Stage::Encoding;
            }
            p.frames = self.frames;
            p.frames_per_second = self.rate.per_second();
            p.eta_seconds = self.rate.eta_seconds(remaining);
            p.bit_rate = finished.bit_rate(self.job.rate);
            p.projected_size = finished.projected_size(self.job.frames, self.job.copied);
            p.chunks_done = u32::try_from(self.done.done.len()).unwrap_or(u32::MAX);
            p.chunks = self.chunks;
            if let Some(plan) = p.plan.as_mut() {
                plan.chunks = self.chunks;
            }
        });
    }

    fn read_log(&mut self) -> io::Result<()> {
        let mut file = match File::open(&self.job.files.log) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        file.seek(SeekFrom::Start(self.log_position))?;
        let read = file.take(16 << 20).read_to_end(&mut self.log_rest)?;
        self.log_position += read as u64;
        let end = self.log_rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in self.log_rest.drain(..end).as_slice().split(|byte| *byte == b'\n') {
            match event(&String::from_utf8_lossy(line)) {
                Some(Event::Started(chunk)) => {
                    if !std::mem::replace(&mut self.encoding, true) {
                        tracing::info!("{}", Stage::Encoding.as_str());
                    }
                    self.in_flight.insert(chunk);
                }
                Some(Event::Finished(chunk)) => {
                    self.in_flight.remove(&chunk);
                }
                None => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod fuzz;
