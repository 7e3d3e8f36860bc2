//! What Matroska files have that ffmpeg neither reads nor writes: languages as BCP-47 tags, tracks that are switched off, and
//! chapters beyond one flat list (editions, nesting, order, names in several languages). MKVToolNix reads them from a source and
//! writes them into an output; the calls, and their answers.
//!
//! Pure.

use std::path::Path;

use serde::Deserialize;

use crate::command::Command;
use crate::probe::Probe;
use crate::streams::StreamPlan;

/// Most bytes of an answer that are read.
pub const MAX_ANSWER: usize = 16 << 20;

/// Bytes of the name of the video that make room among the tracks, for each track: MKVToolNix replaces that name, and what it
/// frees takes the languages, so that the list of tracks stays in front of the file.
const ROOM: usize = 48;

/// The answer is not what MKVToolNix writes, or is about other tracks than ffprobe's.
#[derive(Debug, thiserror::Error)]
pub enum DetailsError {
    /// Not JSON, or JSON of another shape.
    #[error("mkvmerge's answer could not be read: {0}")]
    Json(#[from] serde_json::Error),
    /// The tracks can't be told from each other.
    #[error("mkvmerge sees other tracks than ffprobe: {0}")]
    OtherTracks(String),
}

/// The call that lists the tracks of `path` (absolute).
#[must_use]
pub fn identify(path: &Path) -> Command {
    tool("mkvmerge").arg("-J").arg(path)
}

/// The call that writes the chapters of `path` (absolute) to stdout, nothing when there are none.
#[must_use]
pub fn chapters(path: &Path) -> Command {
    tool("mkvextract").arg(path).args(["chapters", "-"])
}

/// Without a locale, MKVToolNix can't open files whose names are not plain ASCII.
fn tool(program: &'static str) -> Command {
    let mut command = Command::new(program);
    command.env.push(("LC_ALL".into(), "C.UTF-8".into()));
    command
}

/// Adds to `probe` what [`identify`] and [`chapters`] answered on its file. Returns the indices of the tracks that mkvmerge left
/// out, because it does not know what they are.
///
/// # Errors
/// [`DetailsError`] when that can't be read, or is about other tracks.
pub fn complete(probe: &mut Probe, identified: &[u8], chapters: &[u8]) -> Result<Vec<u32>, DetailsError> {
    #[derive(Deserialize)]
    struct Document {
        tracks: Vec<Track>,
    }
    #[derive(Deserialize)]
    struct Track {
        id: usize,
        #[serde(rename = "type")]
        kind: String,
        #[serde(default)]
        properties: Properties,
    }
    #[derive(Default, Deserialize)]
    struct Properties {
        language_ietf: Option<String>,
        enabled_track: Option<bool>,
    }
    let document: Document = serde_json::from_slice(identified)?;
    let is_track = |kind: &str| matches!(kind, "video" | "audio" | "subtitle");
    let mut streams: Vec<_> =
        probe.streams.iter_mut().filter(|s| is_track(&s.codec_type) && !s.is("attached_pic")).collect();
    let mut left_out: Vec<u32> = streams.iter().map(|stream| stream.index).collect();
    for track in document.tracks {
        let kind = track.kind.trim_end_matches('s');
        let Some(stream) = streams.get_mut(track.id).filter(|stream| stream.codec_type == kind) else {
            return Err(DetailsError::OtherTracks(format!("its track {} is {kind}", track.id)));
        };
        stream.language_tag = track.properties.language_ietf.filter(|tag| tag != "und");
        stream.disabled = track.properties.enabled_track == Some(false);
        left_out.retain(|index| *index != stream.index);
    }
    let text = String::from_utf8_lossy(chapters);
    probe.format.chapter_document =
        text.find("<?xml").filter(|_| text.contains("<Chapters>")).map(|at| text[at..].trim().to_owned());
    Ok(left_out)
}

/// The name that the video has until [`edit`] gives it its own; none where there is nothing to edit among the tracks.
#[must_use]
pub fn placeholder(probe: &Probe, plan: &StreamPlan) -> Option<String> {
    let tracks = tracks(probe, plan);
    tracks.iter().any(Edit::is_needed).then(|| ".".repeat(ROOM * tracks.len()))
}

/// The call that gives `output` (absolute) what [`complete`] found; none where there is nothing to give. `document` is the file
/// that holds the chapters.
#[must_use]
pub fn edit(output: &Path, probe: &Probe, plan: &StreamPlan, document: &Path) -> Option<Command> {
    let mut command = tool("mkvpropedit").arg("--quiet").arg(output);
    if probe.format.chapter_document.is_some() {
        command = command.arg("--chapters").arg(document);
    }
    let tracks = tracks(probe, plan);
    if !tracks.iter().any(Edit::is_needed) {
        return probe.format.chapter_document.is_some().then_some(command);
    }
    for (position, track) in tracks.iter().enumerate().filter(|(position, track)| *position == 0 || track.is_needed()) {
        command = command.arg("--edit").arg(format!("track:{}", position + 1));
        if let Some(tag) = track.language {
            command = command.arg("--set").arg(format!("language-ietf={tag}"));
        }
        if track.disabled {
            command = command.args(["--set", "flag-enabled=0"]);
        }
        if position == 0 {
            command = match track.name {
                Some(name) => command.arg("--set").arg(format!("name={name}")),
                None => command.args(["--delete", "name"]),
            };
        }
    }
    Some(command)
}

/// What a track of the output gets.
struct Edit<'a> {
    language: Option<&'a str>,
    disabled: bool,
    name: Option<&'a str>,
}

impl Edit<'_> {
    fn is_needed(&self) -> bool {
        self.language.is_some() || self.disabled
    }
}

/// The tracks of the output in their order.
fn tracks<'a>(probe: &'a Probe, plan: &StreamPlan) -> Vec<Edit<'a>> {
    let indices = std::iter::once(plan.video).chain(plan.kept.iter().filter(|k| k.kind.is_track()).map(|k| k.index));
    indices
        .filter_map(|index| probe.streams.iter().find(|stream| stream.index == index))
        .map(|stream| Edit {
            language: stream.language_tag.as_deref(),
            disabled: stream.disabled,
            name: stream.title(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::{Carry, Container, Kept, Kind, Origin};

    fn probe() -> Probe {
        Probe::parse(
            br#"{"format": {"format_name": "matroska,webm"}, "streams": [{"index": 0, "codec_type": "video", "tags": {"title": "Film"}},
            {"index": 1, "codec_type": "audio"}, {"index": 2, "codec_type": "subtitle"}, {"index": 3, "codec_type": "attachment"},
            {"index": 4, "codec_type": "video", "disposition": {"attached_pic": 1}}]}"#,
        )
        .unwrap()
    }

    const ANSWER: &[u8] = br#"{"tracks": [{"id": 0, "type": "video", "properties": {"language_ietf": "und"}},
        {"id": 1, "type": "audio", "properties": {"language_ietf": "pt-BR", "enabled_track": true}},
        {"id": 2, "type": "subtitles", "properties": {"language_ietf": "zh-Hant", "enabled_track": false}}]}"#;

    fn plan(kept: &[u32]) -> StreamPlan {
        StreamPlan {
            origin: Origin::Matroska,
            container: Container::Matroska,
            video: 0,
            kept: kept.iter().map(|index| Kept { index: *index, kind: Kind::Audio, carry: Carry::Copy }).collect(),
            dropped: Vec::new(),
            shift: 0.0,
        }
    }

    fn call(probe: &Probe, kept: &[u32]) -> Option<String> {
        let call = edit(Path::new("/work/out.mkv"), probe, &plan(kept), Path::new("/work/chapters.xml"))?;
        Some(call.to_strings()[1..].join(" "))
    }

    #[test]
    fn languages_and_chapters_of_the_source_are_given_to_the_kept_tracks_by_their_place() {
        let mut probe = probe();
        complete(&mut probe, ANSWER, b"<?xml version=\"1.0\"?>\n<Chapters>\n</Chapters>\n").unwrap();
        assert_eq!(
            call(&probe, &[2]).unwrap(),
            "--quiet /work/out.mkv --chapters /work/chapters.xml --edit track:1 --set name=Film --edit track:2 --set language-ietf=zh-Hant --set flag-enabled=0"
        );
        assert_eq!(placeholder(&probe, &plan(&[2])).unwrap().len(), 96);
    }

    #[test]
    fn a_file_that_has_none_of_it_is_not_edited() {
        let mut probe = probe();
        complete(&mut probe, ANSWER, b"").unwrap();
        assert_eq!((call(&probe, &[]), placeholder(&probe, &plan(&[]))), (None, None));
        probe.streams[0].tags.clear();
        assert_eq!(
            call(&probe, &[1]).unwrap(),
            "--quiet /work/out.mkv --edit track:1 --delete name --edit track:2 --set language-ietf=pt-BR"
        );
    }

    #[test]
    fn other_tracks_than_ffprobes_are_an_error_and_those_left_out_are_named() {
        let swapped = br#"{"tracks": [{"id": 0, "type": "audio"}, {"id": 1, "type": "video"}]}"#;
        let more = br#"{"tracks": [{"id": 3, "type": "audio"}]}"#;
        for answer in [swapped.as_slice(), more, b"{}", b"x"] {
            assert!(complete(&mut probe(), answer, b"").is_err());
        }
        let some = br#"{"tracks": [{"id": 0, "type": "video"}, {"id": 2, "type": "subtitles"}]}"#;
        assert_eq!(complete(&mut probe(), some, b"").unwrap(), [1]);
    }
}
