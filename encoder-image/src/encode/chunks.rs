//! The chunks in Av1an's folder: which of them are whole, `done.json` put right accordingly, and the join.
//!
//! A chunk counts as done only when its file ends exactly behind its last planned frame, and when its bytes are those that it
//! had when it was first found so: a decoder does not notice each damage, and frames can be counted without looking into them.
//!
//! May: read and write Av1an's folder and the joined video. Must never: keep a chunk whose frames it did not count.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::Path;

use av1_media::av1an::{Chunk, Done, DoneChunk, MAX_FILE, chunks};
use av1_media::ivf::{FILE_HEADER, FRAME_HEADER, FrameHeader, Walk, is_av1, walk};
use av1_media::joined::{self, FrameHead};
use av1_media::light::{Light, in_av1, put_light};
use av1_media::obu::{Survey, put_colour};
use av1_media::rational::FrameTimes;

use super::files::{Files, read, read_json, remove, replace, replace_json};
use super::finish::hash;

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
/// what they stood for is made afresh: an encoder that wrote over one could write into the file of an earlier run, which has a
/// name there too ([`crate::workdir`]).
///
/// # Errors
/// When a file can't be read or written.
pub(crate) fn repair(files: &Files, frames: u64) -> io::Result<State> {
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
    let known: BTreeMap<String, String> = read_json(&files.hashes()).unwrap_or_default();
    let mut hashes = BTreeMap::new();
    for chunk in &chunks {
        let path = files.chunk(&chunk.file_name());
        let (found, size_bytes) = look(&path)?;
        if found.whole && found.frames == chunk.frames() {
            let hash = hash(&path)?;
            if known.get(&chunk.name()).is_some_and(|before| *before != hash) {
                tracing::warn!(chunk = chunk.index, "a chunk is not what it was and is encoded again");
                remove(&[&path])?;
                continue;
            }
            hashes.insert(chunk.name(), hash);
            done.done.insert(chunk.name(), DoneChunk { frames: found.frames, size_bytes });
        } else {
            if found.frames > 0 {
                tracing::info!(
                    chunk = chunk.index,
                    frames = found.frames,
                    planned = chunk.frames(),
                    "a chunk is not whole and is encoded again"
                );
            }
            remove(&[&path])?;
        }
    }
    // The chunks are safe against a crash of the node by now.
    replace_json(&files.hashes(), &hashes)?;
    replace(&files.done(), &done.to_json()?)?;
    Ok(State { chunks, done })
}

/// Forgets what the files of `chunks` held, because others are to take their places.
pub(crate) fn forget<'a>(files: &Files, chunks: impl Iterator<Item = &'a Chunk>) -> io::Result<()> {
    let mut hashes: BTreeMap<String, String> = read_json(&files.hashes()).unwrap_or_default();
    for chunk in chunks {
        hashes.remove(&chunk.name());
    }
    replace_json(&files.hashes(), &hashes)
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
    /// What its header says.
    pub(crate) header: &'a joined::Header,
    /// Range and place of chroma that are written into it, where the encoder could not be told them, nor the light.
    pub(crate) colour: Option<(bool, u32)>,
}

/// What a joined video says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// What its bitstream holds.
    pub(crate) survey: Survey,
    /// Mastering display and light levels, where the first frames of all chunks tell the same.
    pub(crate) light: Option<Light>,
}

/// Joins the chunks to one Matroska file with the source's times, whose header says what AV1 cannot.
///
/// # Errors
/// When a chunk is not what [`repair`] found it to be, or a file can't be read or written.
pub(crate) fn join(files: &Files, chunks: &[Chunk], joined: &Joined<'_>) -> io::Result<Found> {
    let wrong = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message.to_owned());
    let times = joined::nanoseconds(joined.times).ok_or_else(|| wrong("a frame lies before zero"))?;
    let mut video = BufWriter::with_capacity(1 << 20, File::create(&files.video)?);
    video.write_all(&joined::header(joined.header))?;
    let durations = joined::durations(&times);
    let mut times = times.into_iter().zip(durations);
    let (mut survey, mut lights) = (Survey::default(), Vec::new());
    for chunk in chunks {
        let mut is_first = true;
        let each = &mut |unit: &mut Vec<u8>| {
            if let Some((full_range, chroma)) = joined.colour {
                put_colour(unit, full_range, chroma);
            }
            let is_key = survey.unit(unit);
            if is_key && joined.colour.is_some() {
                put_light(unit, &joined.header.light);
            }
            if std::mem::take(&mut is_first) {
                let light = in_av1(unit);
                if !lights.contains(&light) {
                    lights.push(light);
                }
            }
            is_key
        };
        let written = copy_frames(&files.chunk(&chunk.file_name()), &mut video, &mut times, each)?;
        if written != chunk.frames() {
            return Err(wrong(&format!("chunk {} has {written} frames instead of {}", chunk.index, chunk.frames())));
        }
    }
    if times.next().is_some() {
        return Err(wrong("the chunks have fewer frames than the source"));
    }
    video.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(Found { survey, light: lights.pop().filter(|_| lights.is_empty()) })
}

/// Appends the frames of one chunk with the next times and durations, each through `each`, which says whether it is a key
/// frame; returns how many there were.
fn copy_frames(
    path: &Path,
    video: &mut impl Write,
    times: &mut impl Iterator<Item = (u64, u64)>,
    each: &mut dyn FnMut(&mut Vec<u8>) -> bool,
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
        let size = FrameHeader::parse(frame).size;
        let (time, duration) = times
            .next()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the chunks have more frames than the source"))?;
        unit.clear();
        let copied = chunk.by_ref().take(u64::from(size)).read_to_end(&mut unit)?;
        if copied as u64 != u64::from(size) {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                format!("{} ends within a frame", path.display()),
            ));
        }
        let is_key = each(&mut unit);
        let size = u32::try_from(unit.len()).map_err(io::Error::other)?;
        video.write_all(&FrameHead { time, duration, size, is_key }.bytes())?;
        video.write_all(&unit)?;
        frames += 1;
    }
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use av1_fuzz::samples::{CHUNKS, IVF};

    use super::*;

    #[test]
    fn a_chunk_that_is_not_whole_loses_its_name_before_an_encoder_writes_over_it() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path(), None);
        fs::create_dir_all(files.av1an.join("encode")).unwrap();
        fs::write(files.chunks(), r#"[{"index":0,"start_frame":0,"end_frame":5}]"#).unwrap();
        let others = dir.path().join("of-an-earlier-run.ivf");
        fs::write(&others, &IVF[..IVF.len() - 1]).unwrap();
        fs::hard_link(&others, files.chunk("00000.ivf")).unwrap();
        assert!(repair(&files, 5).unwrap().done.done.is_empty());
        fs::write(files.chunk("00000.ivf"), IVF).unwrap();
        assert_eq!(fs::read(&others).unwrap(), IVF[..IVF.len() - 1]);
        assert!(repair(&files, 5).unwrap().is_complete());
    }

    #[test]
    fn a_chunk_whose_bytes_changed_is_encoded_again_and_counts_when_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path(), None);
        fs::create_dir_all(files.av1an.join("encode")).unwrap();
        fs::write(
            files.chunks(),
            r#"[{"index":0,"start_frame":0,"end_frame":5},{"index":1,"start_frame":5,"end_frame":10}]"#,
        )
        .unwrap();
        let whole = |files: &Files| repair(files, 10).unwrap().done.done.into_keys().collect::<Vec<_>>();
        fs::write(files.chunk("00000.ivf"), IVF).unwrap();
        fs::write(files.chunk("00001.ivf"), IVF).unwrap();
        assert_eq!(whole(&files), ["00000", "00001"]);
        let mut flipped = IVF.to_vec();
        *flipped.last_mut().unwrap() ^= 1;
        fs::write(files.chunk("00001.ivf"), &flipped).unwrap();
        assert_eq!(whole(&files), ["00000"]);
        assert!(!files.chunk("00001.ivf").exists(), "an encoder would write over it");
        // Encoded again, to whatever bytes.
        fs::write(files.chunk("00001.ivf"), &flipped).unwrap();
        assert_eq!(whole(&files), ["00000", "00001"]);
        fs::write(files.chunks(), CHUNKS).unwrap();
        assert!(repair(&files, 10).unwrap().chunks.is_empty() && !files.hashes().exists());
    }
}
