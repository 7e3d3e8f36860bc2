//! Which streams of a source are kept, and how they are carried into an AV1 file.
//!
//! Pure. Must never let a stream go without either a word in [`StreamPlan::dropped`] or a [`Refusal`].

mod container;
mod table;

use av1_crds::{paths, reasons, settings::Settings};

pub use container::{CHANGED_EXTENSION, Container, Origin};
pub use table::{Carry, Reading};

use crate::language;
use crate::probe::{Probe, Stream};

/// Most streams of a file; each is an argument of several calls, and Matroska's players count tracks in one byte.
const MOST_STREAMS: usize = 1_000;
/// Kinds of subtitles that are pages of data rather than words.
const DATA_SUBTITLES: &[&str] = &["dvb_teletext"];
/// Kinds of subtitle tracks that are closed captions.
const CAPTION_TRACKS: &[&str] = &["eia_608"];

/// What a kept stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Subtitles.
    Subtitle,
    /// A font or another file in a Matroska file.
    Attachment,
    /// A cover.
    Picture,
}

impl Kind {
    /// Whether it is a track, of those that play along with the video.
    #[must_use]
    pub fn is_track(self) -> bool {
        matches!(self, Self::Audio | Self::Subtitle)
    }
}

/// A stream that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its index in the source.
    pub index: u32,
    /// What it is.
    pub kind: Kind,
    /// How it gets into the output.
    pub carry: Carry,
}

/// Which streams an output has: the main video first, then `kept` in this order.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamPlan {
    /// Container of the source.
    pub origin: Origin,
    /// Container of the output.
    pub container: Container,
    /// Index of the main video in the source.
    pub video: u32,
    /// Audio and subtitles in the source's order, then attachments, then pictures, both in the source's order too.
    pub kept: Vec<Kept>,
    /// What is left out, each in words.
    pub dropped: Vec<String>,
    /// Seconds by which every time of the output is earlier than the source's: the clock of an MPEG stream starts anywhere, the
    /// output's at zero.
    pub shift: f64,
}

impl StreamPlan {
    /// How streams of `codec` are read in source and output to be compared.
    #[must_use]
    pub fn reading(&self, codec: &str) -> Reading {
        table::reading(self.kept.iter().map(|kept| &kept.carry), codec)
    }

    /// Path of the output below the library's root, when it is not `path`, the source's.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<String> {
        let stays = matches!(
            (self.origin, self.container),
            (Origin::Matroska, Container::Matroska) | (Origin::WebM, Container::WebM) | (Origin::Mp4, Container::Mp4)
        );
        if stays { None } else { paths::in_other_container(path, CHANGED_EXTENSION) }
    }
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

/// Decides which streams of the file at `path`, of which ffprobe says `probe`, are kept under `settings`.
///
/// # Errors
/// [`Refusal`] when a stream can neither be carried unchanged nor left out by the user's wish.
pub fn plan_streams(path: &str, probe: &Probe, settings: &Settings) -> Result<StreamPlan, Refusal> {
    let (origin, container) = container::containers(path, probe, settings)?;
    let video = probe.main_video().ok_or_else(|| Refusal::new(reasons::NO_VIDEO, "no video stream but pictures"))?;
    if probe.streams.len() > MOST_STREAMS {
        return Err(unsupported(format!("{} streams; at most {MOST_STREAMS} are handled", probe.streams.len())));
    }
    let unwanted: Vec<String> = settings.drop_languages.iter().map(|tag| language::primary(tag)).collect();
    let mut kept = Vec::new();
    let mut dropped = Vec::new();
    let (mut files, mut pictures) = (Vec::new(), Vec::new());
    for stream in probe.streams.iter().filter(|stream| stream.index != video.index) {
        match stream.codec_type.as_str() {
            "video" if is_picture(stream) && !settings.keep_attached_pictures => {
                dropped.push(format!("{}: attached pictures are not kept", describe(stream)));
            }
            "video" if !is_picture(stream) && settings.allows(reasons::SEVERAL_VIDEO_STREAMS) => {
                dropped.push(format!("{}: only the main video is kept", describe(stream)));
            }
            "video" if !is_picture(stream) => return Err(second_video(stream)),
            "video" => pictures.push(picture(container, stream)?),
            "audio" | "subtitle" if is_unwanted(stream, &unwanted) => {
                dropped.push(format!("{}: its language is in dropLanguages", describe(stream)));
            }
            "audio" => kept.push(carried(origin, container, Kind::Audio, stream)?),
            "subtitle" => match carried(origin, container, Kind::Subtitle, stream) {
                Ok(carried) => kept.push(carried),
                Err(refusal) if is_data(stream) && settings.allows(refusal.reason) => {
                    dropped.push(format!("{}: {} is allowed", describe(stream), refusal.reason));
                }
                Err(refusal) => return Err(refusal),
            },
            "attachment" => files.push(attachment(container, stream)?),
            "data" if is_chapter_track(origin, probe, stream) => {}
            "data" if settings.allows(reasons::DATA_STREAMS) => {
                dropped.push(format!("{}: data streams are not kept", describe(stream)));
            }
            "data" => return Err(lost(reasons::DATA_STREAMS, stream)),
            _ => return Err(unsupported(format!("{} is of an unknown kind", describe(stream)))),
        }
    }
    keeps_original_language(probe, &unwanted, settings)?;
    kept.extend(files.into_iter().chain(pictures));
    let shift = match origin {
        Origin::MpegTs | Origin::MpegPs => probe.format.start_time.unwrap_or_default(),
        _ => 0.0,
    };
    Ok(StreamPlan { origin, container, video: video.index, kept, dropped, shift })
}

fn unsupported(message: String) -> Refusal {
    Refusal::new(reasons::UNSUPPORTED_STREAM, message)
}

/// Whether a video stream beside the main one is a picture.
fn is_picture(stream: &Stream) -> bool {
    stream.is("attached_pic") || stream.is("still_image")
}

fn second_video(stream: &Stream) -> Refusal {
    let reason = reasons::SEVERAL_VIDEO_STREAMS;
    let what = format!("{} is a second video stream: with {reason} in streams.allow it is left out", describe(stream));
    Refusal::new(reason, what)
}

/// A cover is carried; pictures with a time of their own, such as those of chapters, are not.
fn picture(container: Container, stream: &Stream) -> Result<Kept, Refusal> {
    let known = container != Container::WebM && picture_type(&stream.codec_name).is_some();
    if !known || !stream.is("attached_pic") || stream.is("timed_thumbnails") {
        return Err(unsupported(format!(
            "{} is a picture that is not known to be carried unchanged",
            describe(stream)
        )));
    }
    Ok(Kept { index: stream.index, kind: Kind::Picture, carry: Carry::Copy })
}

/// Extension and type of a cover's file.
#[must_use]
pub fn picture_type(codec: &str) -> Option<(&'static str, &'static str)> {
    match codec {
        "mjpeg" => Some(("jpg", "image/jpeg")),
        "png" => Some(("png", "image/png")),
        _ => None,
    }
}

fn carried(origin: Origin, container: Container, kind: Kind, stream: &Stream) -> Result<Kept, Refusal> {
    if stream.codec_tag_string.starts_with("enc")
        || stream.side_data.iter().any(|data| data.kind.starts_with("Encryption"))
    {
        return Err(Refusal::new(reasons::CANNOT_DECODE, format!("{} is encrypted", describe(stream))));
    }
    let codec = stream.codec_name.as_str();
    match table::carry(origin, container, kind, stream) {
        Some(carry) => Ok(Kept { index: stream.index, kind, carry }),
        None if DATA_SUBTITLES.contains(&codec) => Err(lost(reasons::DATA_STREAMS, stream)),
        None if CAPTION_TRACKS.contains(&codec) => Err(lost(reasons::CLOSED_CAPTIONS, stream)),
        None => Err(unsupported(format!("{} is not known to be carried unchanged", describe(stream)))),
    }
}

/// Whether a track of subtitles is really data that rides in one.
fn is_data(stream: &Stream) -> bool {
    let codec = stream.codec_name.as_str();
    DATA_SUBTITLES.contains(&codec) || CAPTION_TRACKS.contains(&codec)
}

fn lost(reason: &'static str, stream: &Stream) -> Refusal {
    let what = format!("{} would be lost: with {reason} in streams.allow it is left out", describe(stream));
    Refusal::new(reason, what)
}

/// An attachment is written back under its name and type, so it must have both.
fn attachment(container: Container, stream: &Stream) -> Result<Kept, Refusal> {
    let named = ["filename", "mimetype"].iter().all(|key| stream.tags.get(*key).is_some_and(|value| !value.is_empty()));
    if container == Container::Matroska && named {
        Ok(Kept { index: stream.index, kind: Kind::Attachment, carry: Carry::Copy })
    } else {
        Err(unsupported(format!("{} is not known to be carried unchanged", describe(stream))))
    }
}

/// Whether the stream holds nothing but the names of an MP4's chapters, which are written anew from the chapters: ffprobe
/// shows a text track as data only when the file refers to it as its list of chapters.
fn is_chapter_track(origin: Origin, probe: &Probe, stream: &Stream) -> bool {
    matches!(origin, Origin::Mp4 | Origin::QuickTime)
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
    if first_choice.is_empty()
        || settings.allows(reasons::WOULD_DROP_ORIGINAL_LANGUAGE)
        || first_choice.iter().any(|stream| !is_unwanted(stream, unwanted))
    {
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
    let title =
        stream.title().or_else(|| stream.tags.get("filename").map(String::as_str)).map(|title| format!("\"{title}\""));
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
