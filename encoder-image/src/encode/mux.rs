//! Puts the encoded video and the source's kept streams together into the output.
//!
//! May: read the source, write the output in the work folder. Must never: write anywhere else.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use av1_media::command::Command;
use av1_media::matroska::edit;
use av1_media::mp4::{MAX_HEADER, TRACK_ENABLED, box_head, enabled_flags};
use av1_media::mux::{Mux, extract_picture, ffmpeg, picture_file, pictures, without_default_duration};
use av1_media::probe::Probe;
use av1_media::rational::Rational;
use av1_media::streams::{Container, StreamPlan};

use crate::supervise::{Limits, SuperviseError, capture};

/// Copying is bound by the disk: a minute, and a second for each megabyte of the source, is far beyond any that still works.
const BYTES_PER_SECOND: u64 = 1 << 20;
/// For changes of headers, and for covers: both are small.
const EDIT_WALL: Duration = Duration::from_secs(600);
/// Bytes of stdout that are kept; the tool writes none.
const MOST_STDOUT: usize = 64 << 10;
/// Most boxes on the outermost level that are looked at; a file has a handful, and a fragmented one has its index first.
const MOST_BOXES: usize = 64;
/// Most bytes of an MP4's index that are read; a day of video and sound stays below.
const MOST_INDEX: u64 = 256 << 20;

/// What is put together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MuxInput<'a> {
    /// The source file, absolute.
    pub(crate) source: &'a Path,
    /// What ffprobe says of it.
    pub(crate) probe: &'a Probe,
    /// Which of its streams are kept.
    pub(crate) streams: &'a StreamPlan,
    /// The encoded video, whose header says what AV1 cannot, and whose times are the source's.
    pub(crate) video: &'a Path,
    /// Frames a second; none where the rate varies.
    pub(crate) frame_rate: Option<Rational>,
    /// Seconds of the source that are put in; none puts in all.
    pub(crate) limit: Option<u32>,
    /// The encoder and its parameters, for the tag ENCODER_SETTINGS.
    pub(crate) encoder_settings: &'a str,
    /// The file to write, absolute; one that is there is overwritten.
    pub(crate) output: &'a Path,
}

/// Why there is no output.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MuxError {
    #[error("reading the source for its layout: {0}")]
    Source(#[source] io::Error),
    #[error("writing what describes the tracks of the output: {0}")]
    Output(#[source] io::Error),
    #[error("putting video and kept streams together: {0}")]
    Tool(#[from] SuperviseError),
}

/// Writes `input.output`, and returns the call that made it.
///
/// # Errors
/// [`MuxError`] when the source can't be read or ffmpeg fails; a half-written output may be left behind.
pub(crate) fn mux(input: &MuxInput<'_>) -> Result<Command, MuxError> {
    let index_first = match input.streams.container {
        Container::Mp4 => has_index_first(input.source).map_err(MuxError::Source)?,
        Container::Matroska | Container::WebM => false,
    };
    let command = ffmpeg(&Mux {
        source: input.source,
        probe: input.probe,
        streams: input.streams,
        video: input.video,
        frame_rate: input.frame_rate,
        limit: input.limit,
        index_first,
        encoder_settings: input.encoder_settings,
        output: input.output,
    });
    let pictures: Vec<(u32, PathBuf)> = pictures(input.probe, input.streams)
        .map(|(_, stream)| (stream.index, picture_file(input.output, stream.index)))
        .collect();
    for (index, file) in &pictures {
        capture(&extract_picture(input.source, *index, file), &Limits { wall: EDIT_WALL, stdout: MOST_STDOUT })?;
    }
    let wall = Duration::from_secs(60 + input.probe.format.size.unwrap_or_default() / BYTES_PER_SECOND);
    let ran = capture(&command, &Limits { wall, stdout: MOST_STDOUT });
    for (_, file) in &pictures {
        std::fs::remove_file(file).map_err(MuxError::Output)?;
    }
    ran?;
    if input.streams.container.is_matroska() {
        describe(input)?;
        if input.frame_rate.is_none() {
            capture(&without_default_duration(input.output), &Limits { wall: EDIT_WALL, stdout: MOST_STDOUT })?;
        }
    }
    if input.streams.container == Container::Mp4 {
        disable_tracks(input.output, &enabled(input)).map_err(MuxError::Output)?;
    }
    Ok(command)
}

/// Gives the output what ffmpeg can't write: full languages, chapters with all that describes them.
fn describe(input: &MuxInput<'_>) -> Result<(), MuxError> {
    let mut document = input.output.as_os_str().to_owned();
    document.push(".chapters.xml");
    let document = Path::new(&document);
    let Some(command) = edit(input.output, input.probe, input.streams, document) else {
        return Ok(());
    };
    let chapters = input.probe.format.chapter_document.as_deref().unwrap_or_default();
    std::fs::write(document, chapters).map_err(MuxError::Output)?;
    let ran = capture(&command, &Limits { wall: EDIT_WALL, stdout: MOST_STDOUT });
    std::fs::remove_file(document).map_err(MuxError::Output)?;
    ran?;
    Ok(())
}

/// Whether each track of the output is enabled in the source, which ffprobe tells as the default disposition.
fn enabled(input: &MuxInput<'_>) -> Vec<bool> {
    let indices = std::iter::once(input.streams.video).chain(input.streams.kept.iter().map(|kept| kept.index));
    indices
        .map(|index| input.probe.streams.iter().any(|stream| stream.index == index && stream.is("default")))
        .collect()
}

/// Whether the index (`moov`) of an MP4 stands before its media (`mdat`).
fn has_index_first(path: &Path) -> io::Result<bool> {
    let boxes = outer_boxes(&mut File::open(path)?)?;
    let place = |kind: &[u8; 4]| boxes.iter().position(|b| b.kind == *kind);
    Ok(place(b"moov").is_some_and(|moov| place(b"mdat").is_none_or(|mdat| moov < mdat)))
}

/// Takes the mark "enabled" from tracks that do not have it in the source: the muxer gives it to the first of each kind.
fn disable_tracks(path: &Path, enabled: &[bool]) -> io::Result<()> {
    let mut file = File::options().read(true).write(true).open(path)?;
    let no_index = || io::Error::new(io::ErrorKind::InvalidData, "the output has no index");
    let moov = outer_boxes(&mut file)?.into_iter().find(|b| b.kind == *b"moov").ok_or_else(no_index)?;
    let mut index = vec![0; usize::try_from(moov.size.min(MOST_INDEX)).map_err(|_| no_index())?];
    file.seek(SeekFrom::Start(moov.position))?;
    file.read_exact(&mut index)?;
    for (flag, _) in enabled_flags(&index).into_iter().zip(enabled).filter(|(_, enabled)| !**enabled) {
        file.seek(SeekFrom::Start(moov.position + flag as u64))?;
        file.write_all(&[index[flag] & !TRACK_ENABLED])?;
    }
    Ok(())
}

/// A box on the outermost level of an MP4.
struct OuterBox {
    kind: [u8; 4],
    position: u64,
    size: u64,
}

/// The outermost boxes up to the first that makes no sense.
fn outer_boxes(file: &mut File) -> io::Result<Vec<OuterBox>> {
    let end = file.metadata()?.len();
    let mut boxes = Vec::new();
    let mut position = 0;
    while position < end && boxes.len() < MOST_BOXES {
        file.seek(SeekFrom::Start(position))?;
        let mut head = Vec::with_capacity(MAX_HEADER);
        Read::by_ref(file).take(MAX_HEADER as u64).read_to_end(&mut head)?;
        let Some(head) = box_head(&head) else { break };
        let size = head.size.unwrap_or(end - position);
        boxes.push(OuterBox { kind: head.kind, position, size });
        position = position.saturating_add(size);
    }
    Ok(boxes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxes(list: &[(&[u8; 4], usize)]) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        let mut bytes = Vec::new();
        for (name, payload) in list {
            bytes.extend(u32::try_from(payload + 8).unwrap().to_be_bytes());
            bytes.extend(*name);
            bytes.resize(bytes.len() + payload, 0);
        }
        std::fs::write(&path, bytes).unwrap();
        has_index_first(&path).unwrap()
    }

    #[test]
    fn the_index_is_found_before_or_behind_the_media() {
        assert!(boxes(&[(b"ftyp", 16), (b"free", 0), (b"moov", 9), (b"mdat", 20)]));
        assert!(!boxes(&[(b"ftyp", 16), (b"mdat", 20), (b"moov", 9)]));
    }

    #[test]
    fn a_file_without_boxes_or_with_nonsense_has_no_index_first() {
        assert!(!boxes(&[]));
        assert!(!boxes(&[(b"ftyp", 16)]));
    }
}
