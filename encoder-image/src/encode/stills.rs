//! Takes stills of source and output for people to compare: the worst and the best scene, or the middle of the film.
//!
//! May: read both files, write in the work folder. Must never: fail the encode; what goes wrong is a note in its report.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use av1_crds::encoding::Metric;
use av1_crds::paths::STILLS_FILE;
use av1_crds::wire::{MAX_STILL, MAX_STILLS, StillPair, StillPlace, Stills};
use av1_media::quality::{Scores, decimal};
use av1_media::stills::{LEVELS, Look, Moment, Side, best, is_flat, worst};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Run;
use super::files::{remove, replace};
use super::planning::Planned;
use super::source::Source;
use crate::supervise::{Limits, SuperviseError, capture};

/// Longest way to one frame: from the key frame before it, of any size.
const WALL: Duration = Duration::from_secs(300);
/// Output of a call that writes files.
const MOST_OUTPUT: usize = 64 << 10;

/// Why a still was not taken.
#[derive(Debug, thiserror::Error)]
enum StillError {
    #[error("{0}")]
    Tool(#[from] SuperviseError),
    #[error("reading or writing a picture: {0}")]
    Io(#[from] io::Error),
    #[error("there is no picture at frame {0}")]
    NoFrame(usize),
    #[error("the pictures have more than {MAX_STILL} bytes at the lowest quality")]
    TooLarge,
}

/// One frame of one side at each of [`LEVELS`].
type Levels = [Vec<u8>; LEVELS.len()];

/// What the frames of both sides are taken from.
struct Pictures<'a> {
    look: Look<'a>,
    source: &'a Source,
    planned: &'a Planned,
    output: &'a Path,
    work: &'a Path,
}

impl Run<'_> {
    /// Removes the stills that an earlier run left: they are of another output.
    pub(super) fn clear_stills(&self) -> io::Result<()> {
        remove(&[&self.files.left.join(STILLS_FILE)])
    }

    /// Leaves stills of the output in the work folder.
    pub(super) fn stills(&mut self, source: &Source, planned: &Planned, output: &Path) {
        let mut stills = Stills::default();
        let frames = planned.decoded.times.pts.len();
        let rate = planned.decoded.rate.as_f64();
        let wanted = match &self.scores {
            Some((_, scores)) => vec![
                (StillPlace::Worst, worst(scores.frames(), rate).into_iter().collect()),
                (StillPlace::Best, best(scores.frames(), rate)),
            ],
            None => vec![(StillPlace::Middle, vec![frames / 2])],
        };
        for (place, candidates) in wanted {
            match self.pair(source, planned, output, place, &candidates) {
                Ok(pair) => stills.pairs.extend(pair),
                Err(error) => self.note(format!("no stills of the {} scene: {error}", name(place))),
            }
        }
        if stills.pairs.is_empty() {
            return;
        }
        let written = serde_json::to_vec(&stills).map_err(io::Error::from).and_then(|json| {
            if json.len() > MAX_STILLS {
                return Err(io::Error::other(format!("they have {} bytes, more than {MAX_STILLS}", json.len())));
            }
            replace(&self.files.left.join(STILLS_FILE), &json)
        });
        match written {
            Ok(()) => tracing::info!(pairs = stills.pairs.len(), "stills"),
            Err(error) => self.note(format!("the stills could not be written: {error}")),
        }
    }

    /// The same frame of both sides: of the first candidate with something to see, or of the last.
    fn pair(
        &mut self,
        source: &Source,
        planned: &Planned,
        output: &Path,
        place: StillPlace,
        candidates: &[usize],
    ) -> Result<Option<StillPair>, StillError> {
        let look = Look { picture: &planned.picture, video: &source.video, tone_map: true };
        let work = self.files.work.clone();
        let mut pictures = Pictures { look, source, planned, output, work: &work };
        let mut shown = None;
        for &frame in candidates {
            let before = match pictures.shot(Side::Source(source.video.index), frame) {
                Err(StillError::Tool(SuperviseError::Failed { .. })) if look.is_hdr() && pictures.look.tone_map => {
                    self.note("stills of a high dynamic range are as they are: it could not be mapped".to_owned());
                    pictures.look.tone_map = false;
                    pictures.shot(Side::Source(source.video.index), frame)?
                }
                other => other?,
            };
            let flat = is_flat(before[0].len(), look.size());
            shown = Some((frame, before));
            if !flat {
                break;
            }
        }
        let Some((frame, before)) = shown else { return Ok(None) };
        let after = pictures.shot(Side::Output, frame)?;
        let fits = |level: &usize| before[*level].len() <= MAX_STILL && after[*level].len() <= MAX_STILL;
        let level = (0..LEVELS.len()).find(fits).ok_or(StillError::TooLarge)?;
        let times = &planned.decoded.times;
        let at = times.seconds(frame).zip(times.seconds(0)).map_or(0.0, |(at, first)| at - first);
        let (width, height) = look.size();
        Ok(Some(StillPair {
            place,
            frame: frame as u64,
            at_seconds: format!("{at:.3}"),
            score: self.scores.as_ref().and_then(|scores| score(scores, frame)),
            width,
            height,
            before: STANDARD.encode(&before[level]),
            after: STANDARD.encode(&after[level]),
        }))
    }

    fn note(&mut self, note: String) {
        tracing::warn!("{note}");
        self.notes.push(note);
    }
}

impl Pictures<'_> {
    /// One frame of one side.
    fn shot(&self, side: Side, frame: usize) -> Result<Levels, StillError> {
        let (file, shift) = match side {
            Side::Source(_) => (self.source.path.as_path(), 0.0),
            Side::Output => (self.output, self.source.streams.shift),
        };
        let moment = Moment::of(&self.planned.decoded.times, frame, shift).ok_or(StillError::NoFrame(frame))?;
        let into: [PathBuf; LEVELS.len()] = LEVELS.map(|level| self.work.join(format!("still-{level}.jpg")));
        let all: Vec<&Path> = into.iter().map(PathBuf::as_path).collect();
        remove(&all)?;
        let taken = capture(&self.look.call(side, file, moment, &into), &Limits { wall: WALL, stdout: MOST_OUTPUT });
        let read = taken.map_err(StillError::from).and_then(|_| {
            let mut levels = Levels::default();
            for (path, bytes) in into.iter().zip(&mut levels) {
                *bytes = std::fs::read(path).or_else(none)?;
            }
            if levels.iter().any(Vec::is_empty) { Err(StillError::NoFrame(frame)) } else { Ok(levels) }
        });
        remove(&all)?;
        read
    }
}

/// A file that was not written is an empty one.
fn none(error: io::Error) -> io::Result<Vec<u8>> {
    if error.kind() == io::ErrorKind::NotFound { Ok(Vec::new()) } else { Err(error) }
}

fn score((metric, scores): &(Metric, Scores), frame: usize) -> Option<String> {
    scores.frames().get(frame).map(|score| decimal(*metric, *score))
}

fn name(place: StillPlace) -> &'static str {
    match place {
        StillPlace::Worst => "worst",
        StillPlace::Best => "best",
        StillPlace::Middle => "middle",
    }
}
