//! Which streams of a source are kept, and whether they can be carried unchanged into an AV1 file of the same container.
//!
//! Pure. Must never let a stream go without either a word in [`StreamPlan::dropped`] or a [`Refusal`].

use av1_crds::{reasons, settings::Settings};

use crate::language;
use crate::probe::{Probe, Stream};

/// The container of source and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Matroska.
    Matroska,
    /// MP4.
    Mp4,
}

/// What a kept stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Subtitles.
    Subtitle,
    /// A font or another file in a Matroska file.
    Attachment,
}

impl Kind {
    /// ffprobe's name for it.
    #[must_use]
    pub fn codec_type(self) -> &'static str {
        match self {
            Self::Audio => "audio",
            Self::Subtitle => "subtitle",
            Self::Attachment => "attachment",
        }
    }
}

/// A stream that is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its index in the source.
    pub index: u32,
    /// What it is.
    pub kind: Kind,
}

/// Which streams an output has: the main video first, then `kept` in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamPlan {
    /// Container of source and output.
    pub container: Container,
    /// Index of the main video in the source.
    pub video: u32,
    /// Audio and subtitles in the source's order, then attachments in the source's order.
    pub kept: Vec<Kept>,
    /// What is left out, each in words.
    pub dropped: Vec<String>,
}

/// Why a file is left alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// One of [`av1_crds::reasons`].
    pub reason: &'static str,
    /// The fact, with the stream that it is about.
    pub message: String,
}

impl Refusal {
    fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

/// What is copied, packet by packet, into the same container. Anything that is not here is refused.
const COPIED: &[(Container, Kind, &[&str])] = &[
    (
        Container::Matroska,
        Kind::Audio,
        &[
            "aac",
            "ac3",
            "alac",
            "dts",
            "eac3",
            "flac",
            "mlp",
            "mp2",
            "mp3",
            "opus",
            "pcm_f32le",
            "pcm_f64le",
            "pcm_s16be",
            "pcm_s16le",
            "pcm_s24be",
            "pcm_s24le",
            "pcm_s32be",
            "pcm_s32le",
            "pcm_u8",
            "truehd",
            "vorbis",
        ],
    ),
    (Container::Matroska, Kind::Subtitle, &["ass", "dvd_subtitle", "hdmv_pgs_subtitle", "ssa", "subrip", "webvtt"]),
    (Container::Mp4, Kind::Audio, &["aac", "ac3", "alac", "eac3", "flac", "mp3", "opus"]),
    (Container::Mp4, Kind::Subtitle, &["mov_text"]),
];

/// Brands of files that ffprobe calls MP4 but that are of another format, with its name.
const OTHER_BRANDS: &[(&str, &str)] = &[("qt", "QuickTime"), ("3g", "3GPP")];

/// Decides which streams of `probe` are kept under `settings`.
///
/// # Errors
/// [`Refusal`] when a stream can neither be carried unchanged nor left out by the user's wish.
pub fn plan_streams(probe: &Probe, settings: &Settings) -> Result<StreamPlan, Refusal> {
    let container = container(probe)?;
    let video = probe.main_video().ok_or_else(|| Refusal::new(reasons::NO_VIDEO, "no video stream but pictures"))?;
    let unwanted: Vec<String> = settings.drop_languages.iter().map(|tag| language::primary(tag)).collect();
    let mut plan = StreamPlan { container, video: video.index, kept: Vec::new(), dropped: Vec::new() };
    let mut attachments = Vec::new();
    for stream in probe.streams.iter().filter(|stream| stream.index != video.index) {
        match stream.codec_type.as_str() {
            "video" => plan.dropped.push(dropped_picture(stream)?),
            "audio" | "subtitle" if is_unwanted(stream, &unwanted) => {
                plan.dropped.push(format!("{}: its language is in dropLanguages", describe(stream)))
            }
            "audio" => plan.kept.push(copied(container, Kind::Audio, stream)?),
            "subtitle" => plan.kept.push(copied(container, Kind::Subtitle, stream)?),
            "attachment" => attachments.push(attachment(container, stream)?),
            "data" if is_chapter_track(container, probe, stream) => {}
            "data" => {
                return Err(Refusal::new(reasons::DATA_STREAMS, format!("{} would be lost", describe(stream))));
            }
            _ => {
                return Err(Refusal::new(
                    reasons::UNSUPPORTED_STREAM,
                    format!("{} is of an unknown kind", describe(stream)),
                ));
            }
        }
    }
    keeps_original_language(probe, &unwanted, settings)?;
    plan.kept.extend(attachments);
    Ok(plan)
}

fn container(probe: &Probe) -> Result<Container, Refusal> {
    let other = |name: &str| {
        Refusal::new(reasons::CONTAINER_CHANGE, format!("the container is {name}; only Matroska and MP4 are handled"))
    };
    if probe.is_matroska() {
        return Ok(Container::Matroska);
    }
    if !probe.is_mp4() {
        return Err(other(&probe.format.format_name));
    }
    let brand = probe.format.tags.get("major_brand").map_or("", |brand| brand.trim());
    match OTHER_BRANDS.iter().find(|(prefix, _)| brand.starts_with(prefix)) {
        Some((_, name)) => Err(other(name)),
        None if brand.is_empty() => Err(other("QuickTime")),
        None => Ok(Container::Mp4),
    }
}

/// The words for a picture that is left out.
fn dropped_picture(stream: &Stream) -> Result<String, Refusal> {
    if stream.is("attached_pic") || stream.is("still_image") {
        Ok(format!("{}: attached pictures are not kept", describe(stream)))
    } else {
        Err(Refusal::new(reasons::SEVERAL_VIDEO_STREAMS, format!("{} is a second video stream", describe(stream))))
    }
}

fn copied(container: Container, kind: Kind, stream: &Stream) -> Result<Kept, Refusal> {
    if stream.codec_tag_string.starts_with("enc") {
        return Err(Refusal::new(reasons::CANNOT_DECODE, format!("{} is encrypted", describe(stream))));
    }
    let known = COPIED
        .iter()
        .any(|(c, k, codecs)| *c == container && *k == kind && codecs.contains(&stream.codec_name.as_str()));
    if known {
        Ok(Kept { index: stream.index, kind })
    } else {
        Err(Refusal::new(
            reasons::UNSUPPORTED_STREAM,
            format!("{} is not known to be carried unchanged", describe(stream)),
        ))
    }
}

/// An attachment is written back under its name and type, so it must have both.
fn attachment(container: Container, stream: &Stream) -> Result<Kept, Refusal> {
    let named = ["filename", "mimetype"].iter().all(|key| stream.tags.get(*key).is_some_and(|value| !value.is_empty()));
    if container == Container::Matroska && named {
        Ok(Kept { index: stream.index, kind: Kind::Attachment })
    } else {
        Err(Refusal::new(
            reasons::UNSUPPORTED_STREAM,
            format!("{} is not known to be carried unchanged", describe(stream)),
        ))
    }
}

/// Whether the stream holds nothing but the names of an MP4's chapters, which are written anew from the chapters: ffprobe
/// shows a text track as data only when the file refers to it as its list of chapters.
fn is_chapter_track(container: Container, probe: &Probe, stream: &Stream) -> bool {
    container == Container::Mp4
        && !probe.chapters.is_empty()
        && stream.codec_name == "bin_data"
        && matches!(stream.codec_tag_string.as_str(), "text" | "tx3g")
}

fn is_unwanted(stream: &Stream, unwanted: &[String]) -> bool {
    stream.language().is_some_and(|tag| unwanted.contains(&language::primary(tag)))
}

/// At least one of the tracks that a player would start with must stay: those marked default or original, or any where none is marked.
fn keeps_original_language(probe: &Probe, unwanted: &[String], settings: &Settings) -> Result<(), Refusal> {
    let marked: Vec<&Stream> = probe.of("audio").filter(|s| s.is("default") || s.is("original")).collect();
    let first_choice = if marked.is_empty() { probe.of("audio").collect() } else { marked };
    if first_choice.is_empty() || first_choice.iter().any(|stream| !is_unwanted(stream, unwanted)) {
        return Ok(());
    }
    let names: Vec<String> = first_choice.iter().map(|stream| describe(stream)).collect();
    Err(Refusal::new(
        reasons::WOULD_DROP_ORIGINAL_LANGUAGE,
        format!(
            "dropLanguages ({}) would drop every default or original audio track: {}",
            settings.drop_languages.join(", "),
            names.join(", ")
        ),
    ))
}

/// A stream in words, such as `audio 2 (rus, aac, "Dub")`.
#[must_use]
pub fn describe(stream: &Stream) -> String {
    let kind = if stream.codec_type.is_empty() { "stream" } else { &stream.codec_type };
    let codec =
        if stream.codec_name.is_empty() { stream.codec_tag_string.as_str() } else { stream.codec_name.as_str() };
    let title = stream.tags.get("title").or_else(|| stream.tags.get("filename")).map(|title| format!("\"{title}\""));
    let details: Vec<&str> = stream
        .language()
        .into_iter()
        .chain(Some(codec).filter(|codec| !codec.is_empty()))
        .chain(title.as_deref())
        .collect();
    if details.is_empty() {
        format!("{kind} {}", stream.index)
    } else {
        format!("{kind} {} ({})", stream.index, details.join(", "))
    }
}

#[cfg(test)]
mod tests;
