//! The chunks in Av1an's folder: which of them are whole, `done.json` put right accordingly, and the join.
//!
//! A chunk counts as done only when its file ends exactly behind its last planned frame.
//!
//! May: read and write Av1an's folder and the joined video. Must never: keep a chunk whose frames it did not count.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use av1_media::av1an::{Chunk, Done, DoneChunk, MAX_FILE, chunks, scenes};
use av1_media::ivf::{FILE_HEADER, FRAME_HEADER, FrameHeader, Walk, file_header, is_av1, walk};
use av1_media::obu::{Survey, put_colour};
use av1_media::rational::FrameTimes;

use super::files::{Files, read, remove, replace};

/// What an earlier run left.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    /// All chunks in the order of the video; empty until scenes are known.
    pub(crate) chunks: Vec<Chunk>,
    /// Those that are whole.
    pub(crate) done: Done,
}

impl State {
    /// Whether every chunk is whole.
    pub(crate) fn is_complete(&self) -> bool {
        !self.chunks.is_empty() && self.done.done.len() == self.chunks.len()
    }

    /// Frames of whole chunks.
    pub(crate) fn frames(&self) -> u64 {
        self.done.done.values().map(|chunk| chunk.frames).sum()
    }
}

/// Walks every chunk, and makes `done.json` say what is really done. Files of Av1an that can't be used are removed, so that
/// what they stood for is made afresh.
///
/// # Errors
/// When a file can't be read or written.
pub(crate) fn repair(files: &Files, frames: u64) -> io::Result<State> {
    let usable_scenes = match read(&files.scenes, MAX_FILE)? {
        Some(json) => scenes(&json, frames).map_err(|e| tracing::warn!("scenes are looked for again: {e}")).is_ok(),
        None => true,
    };
    if !usable_scenes {
        remove(&[&files.scenes])?;
    }
    let Some(json) = read(&files.chunks(), MAX_FILE)? else {
        remove(&[&files.av1an])?;
        return Ok(State::default());
    };
    let chunks = match chunks(&json, frames) {
        Ok(chunks) => chunks,
        Err(error) => {
            tracing::warn!("starting afresh: {error}");
            remove(&[&files.av1an, &files.scenes])?;
            return Ok(State::default());
        }
    };
    let mut done = Done { frames, ..Done::default() };
    for chunk in &chunks {
        let path = files.chunk(&chunk.file_name());
        let (found, size_bytes) = look(&path)?;
        if found.whole && found.frames == chunk.frames() {
            done.done.insert(chunk.name(), DoneChunk { frames: found.frames, size_bytes });
        } else if found.frames > 0 {
            tracing::info!(
                chunk = chunk.index,
                frames = found.frames,
                planned = chunk.frames(),
                "a chunk is not whole and is encoded again"
            );
        }
    }
    persist(files, &done)?;
    Ok(State { chunks, done })
}

/// Makes the chunks that `done` names safe against a crash of the node, then `done.json` itself.
fn persist(files: &Files, done: &Done) -> io::Result<()> {
    for name in done.done.keys() {
        File::open(files.chunk(&format!("{name}.ivf")))?.sync_all()?;
    }
    replace(&files.done(), &done.to_json()?)
}

/// What the chunk at `path` holds, and its size; a missing file holds nothing.
pub(crate) fn look(path: &Path) -> io::Result<(Walk, u64)> {
    let mut file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Walk::default(), 0)),
        file => file?,
    };
    let size = file.metadata()?.len();
    Ok((walk(&mut file, size)?, size))
}

/// What the joined video is to be like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Joined<'a> {
    /// The times of its frames.
    pub(crate) times: &'a FrameTimes,
    pub(crate) width: u32,
    pub(crate) height: u32,
    /// Range and place of chroma that are written into it, where the encoder could not be told.
    pub(crate) colour: Option<(bool, u32)>,
}

/// Joins the chunks to one IVF file with the source's time base and times; returns what the stream says of itself.
///
/// # Errors
/// When a chunk is not what [`repair`] found it to be, or a file can't be read or written.
pub(crate) fn join(files: &Files, chunks: &[Chunk], joined: &Joined<'_>) -> io::Result<Survey> {
    let Joined { times, width, height, colour } = *joined;
    let wrong = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message.to_owned());
    let size = |pixels: u32| u16::try_from(pixels).map_err(|_| wrong("the picture is too large for IVF"));
    let count = u32::try_from(times.pts.len()).map_err(|_| wrong("there are too many frames for IVF"))?;
    let header = file_header(size(width)?, size(height)?, times.time_base, count)
        .ok_or_else(|| wrong("the time base is too fine for IVF"))?;
    let mut video = BufWriter::with_capacity(1 << 20, File::create(&files.video)?);
    video.write_all(&header)?;
    let mut pts = times.pts.iter();
    let mut survey = Survey::default();
    for chunk in chunks {
        let unit = &mut |unit: &mut [u8]| {
            if let Some((full_range, chroma)) = colour {
                put_colour(unit, full_range, chroma);
            }
            survey.unit(unit);
        };
        let written = copy_frames(&files.chunk(&chunk.file_name()), &mut video, &mut pts, unit)?;
        if written != chunk.frames() {
            return Err(wrong(&format!("chunk {} has {written} frames instead of {}", chunk.index, chunk.frames())));
        }
    }
    if pts.next().is_some() {
        return Err(wrong("the chunks have fewer frames than the source"));
    }
    video.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(survey)
}

/// Appends the frames of one chunk with the next times, each through `each`; returns how many there were.
fn copy_frames<'a>(
    path: &Path,
    video: &mut impl Write,
    pts: &mut impl Iterator<Item = &'a i64>,
    each: &mut dyn FnMut(&mut [u8]),
) -> io::Result<u64> {
    let mut chunk = BufReader::with_capacity(1 << 20, File::open(path)?);
    let length = fs::metadata(path)?.len();
    let mut header = [0; FILE_HEADER];
    chunk.read_exact(&mut header)?;
    if !is_av1(&header) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{} is not an AV1 chunk", path.display())));
    }
    let (mut frames, mut unit) = (0, Vec::new());
    while chunk.stream_position()? < length {
        let mut frame = [0; FRAME_HEADER];
        chunk.read_exact(&mut frame)?;
        let frame = FrameHeader::parse(frame);
        let pts = *pts
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the chunks have more frames than the source"))?;
        video.write_all(&FrameHeader { size: frame.size, pts }.to_bytes())?;
        unit.clear();
        let copied = chunk.by_ref().take(u64::from(frame.size)).read_to_end(&mut unit)?;
        if copied as u64 != u64::from(frame.size) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} ends within a frame", path.display()),
            ));
        }
        each(&mut unit);
        video.write_all(&unit)?;
        frames += 1;
    }
    Ok(frames)
}
