//! Containers: which one a file has, by content and by name, and which one its output gets.
//!
//! Pure. Must never choose another container without the user's leave.

use av1_crds::paths::in_other_container;
use av1_crds::reasons;
use av1_crds::settings::{ContainerChange, Settings};

use super::Refusal;
use crate::probe::Probe;

/// The container of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Matroska.
    Matroska,
    /// WebM: Matroska with few codecs.
    WebM,
    /// MP4.
    Mp4,
    /// QuickTime.
    QuickTime,
    /// AVI.
    Avi,
    /// MPEG transport stream, also with the longer packets of Blu-ray.
    MpegTs,
    /// MPEG program stream.
    MpegPs,
    /// ASF, usually called WMV.
    Asf,
}

/// The container of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// Matroska.
    Matroska,
    /// WebM.
    WebM,
    /// MP4.
    Mp4,
}

impl Container {
    /// Whether it is Matroska or its subset WebM.
    #[must_use]
    pub fn is_matroska(self) -> bool {
        matches!(self, Self::Matroska | Self::WebM)
    }
}

/// A container: its name, the extensions that files of it have, and what holds AV1 in its stead under the same name.
///
/// QuickTime is not among those that hold AV1: the binding of AV1 to this family of formats is for the ISO brands alone, and
/// players that take QuickTime files need not know it.
const CONTAINERS: &[(Origin, &str, &[&str], Option<Container>)] = &[
    (Origin::Matroska, "Matroska", &["mkv"], Some(Container::Matroska)),
    (Origin::WebM, "WebM", &["webm"], Some(Container::WebM)),
    (Origin::Mp4, "MP4", &["mp4", "m4v"], Some(Container::Mp4)),
    (Origin::Mp4, "MP4", &["mov"], None),
    (Origin::QuickTime, "QuickTime", &["mov", "mp4", "m4v"], None),
    (Origin::Avi, "AVI", &["avi"], None),
    (Origin::MpegTs, "an MPEG transport stream", &["ts", "m2ts", "mts", "mpg", "mpeg"], None),
    (Origin::MpegPs, "an MPEG program stream", &["mpg", "mpeg", "vob"], None),
    (Origin::Asf, "ASF", &["wmv", "asf"], None),
];

/// ffprobe's names of containers and ours; those of QuickTime's family are told apart by their brand.
const BY_CONTENT: &[(&str, Origin)] =
    &[("avi", Origin::Avi), ("mpegts", Origin::MpegTs), ("mpeg", Origin::MpegPs), ("asf", Origin::Asf)];

/// Extension of files whose container changes.
pub const CHANGED_EXTENSION: &str = "mkv";

/// The containers of the file at `path` and of its output.
///
/// # Errors
/// [`Refusal`] when the container is not known, is not what the name says, or holds no AV1 and may not be changed.
pub(super) fn containers(path: &str, probe: &Probe, settings: &Settings) -> Result<(Origin, Container), Refusal> {
    let refused = |message: String| Refusal::new(reasons::CONTAINER_CHANGE, message);
    let extension = extension(path);
    let origin = by_content(probe, &extension).map_err(|name| {
        refused(format!(
            "the container is {name}; Matroska, WebM and MP4 are kept, QuickTime, AVI, MPEG and ASF can become .mkv"
        ))
    })?;
    let mut rows = CONTAINERS.iter().filter(|(known, ..)| *known == origin);
    let Some((_, name, _, holds)) = rows.find(|(_, _, extensions, _)| extensions.contains(&extension.as_str())) else {
        let content = CONTAINERS.iter().find(|(known, ..)| *known == origin).map_or("unknown", |(_, name, ..)| name);
        return Err(refused(format!(
            "the name ends in .{extension}, but the content is {content}: give it the name of its content"
        )));
    };
    match (holds, settings.container_change) {
        (Some(container), _) => Ok((origin, *container)),
        (None, ContainerChange::Allow) if in_other_container(path, CHANGED_EXTENSION).is_some() => {
            Ok((origin, Container::Matroska))
        }
        (None, _) => Err(refused(format!(
            "files named .{extension} ({name}) cannot hold AV1: set replacement.containerChange to Allow to have them become .mkv"
        ))),
    }
}

/// The extension of `path` in lower case.
fn extension(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.rsplit_once('.').map_or(String::new(), |(_, extension)| extension.to_lowercase())
}

/// By what ffprobe found; WebM is told from Matroska by its name alone, because ffprobe calls both the same. The error is the
/// name of a container that is not handled.
fn by_content<'a>(probe: &'a Probe, extension: &str) -> Result<Origin, &'a str> {
    if probe.is_matroska() {
        return Ok(if extension == "webm" { Origin::WebM } else { Origin::Matroska });
    }
    if probe.is_mp4() {
        return match probe.format.tags.get("major_brand").map_or("", |brand| brand.trim()) {
            "" => Ok(Origin::QuickTime),
            brand if brand.starts_with("qt") => Ok(Origin::QuickTime),
            brand if brand.starts_with("3g") => Err("3GPP"),
            _ => Ok(Origin::Mp4),
        };
    }
    let name = probe.format.format_name.as_str();
    BY_CONTENT.iter().find(|(known, _)| *known == name).map(|(_, origin)| *origin).ok_or(name)
}
