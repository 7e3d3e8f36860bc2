//! What becomes of the picture between source and output: what is cut off and added, how it is converted, what the container
//! says of it, and what is lost on the way.
//!
//! Pure. Must never let anything of the picture go without a word in [`Picture::dropped`], or a [`Refusal`].

use av1_crds::reasons;
use av1_crds::settings::Settings;
use serde::{Deserialize, Serialize};

use crate::fields::Parity;
use crate::frames::Decoded;
use crate::joined::Header;
use crate::light::Light;
use crate::plan::{PIX_FMT, unknown_colour};
use crate::probe::{SideData, Stream};
use crate::rational::Rational;
use crate::rotation::{MATRIX, Rotation};
use crate::streams::Refusal;
use crate::verify::ExpectedVideo;

/// Largest picture that SVT-AV1 encodes, in pixels.
const MAX_WIDTH: u32 = 16_384;
const MAX_HEIGHT: u32 = 8_704;
/// The smallest side that is worth the trouble.
const MIN_SIDE: u32 = 64;

/// Kinds of side data of a stream that are carried over, or say nothing about how pictures are shown.
const HANDLED: &[&str] =
    &["CPB properties", MATRIX, crate::light::MASTERING, crate::light::CONTENT, "DOVI", "Dolby Vision", "HDR Dynamic"];
/// Kinds that ride in pictures and say how they are shown, besides those that are carried over.
const SHOWN: &[&str] = &["Stereo 3D", "Spherical Mapping", "ICC profile"];
/// Tags of codecs that are Dolby Vision.
const DOLBY_TAGS: &[&str] = &["dvh1", "dvhe", "dvav", "dva1", "dav1"];
/// What a Dolby Vision record says of a base layer that is HDR10 (ETSI GS CCM 001: 1, and 6 for discs).
const HDR10_BASE: &[&str] = &["1", "6"];

/// The part of the source's picture that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// First column, even.
    pub left: u32,
    /// First row, even.
    pub top: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// How pixels are converted to the output's format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Conversion {
    /// More bits for the same values.
    Widen,
    /// Fewer bits, with error diffusion.
    Narrow,
    /// Chroma is scaled.
    Scale,
}

/// The plan of one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// Width and height of the source in pixels.
    pub source: (u32, u32),
    /// What is kept of it.
    pub area: Area,
    /// Width and height of what is encoded: those of the area, made even.
    pub coded: (u32, u32),
    /// Shape of a pixel; none stands for square.
    pub sample_aspect_ratio: Option<Rational>,
    /// How it is turned when shown.
    pub rotation: Rotation,
    /// Mastering display and light levels.
    pub light: Light,
    /// Of an interlaced source, the field that comes first; its frames are made whole.
    pub interlaced: Option<Parity>,
    /// Whether frames of the source have several sizes; all get that of the source first.
    pub changes_size: bool,
    /// What is done to it, each in words.
    pub filters: Vec<String>,
    /// What is lost, each in words.
    pub dropped: Vec<String>,
    conversion: Conversion,
    bits: u32,
}

/// What of a picture would be lost: the reason that may give leave, and the fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// One of [`av1_crds::reasons`].
    pub reason: &'static str,
    /// What it is.
    pub what: String,
    /// Whether leave can be given.
    pub may_be_allowed: bool,
}

impl Loss {
    fn new(reason: &'static str, what: impl Into<String>) -> Self {
        Self { reason, what: what.into(), may_be_allowed: true }
    }

    fn never(reason: &'static str, what: impl Into<String>) -> Self {
        Self { reason, what: what.into(), may_be_allowed: false }
    }

    /// Whether the settings give leave.
    #[must_use]
    pub fn is_allowed(&self, settings: &Settings) -> bool {
        self.may_be_allowed && settings.allows(self.reason)
    }

    /// The words on a file that is left alone because of it.
    #[must_use]
    pub fn message(&self) -> String {
        if self.may_be_allowed {
            format!("{}: with {} in streams.allow it is encoded all the same", self.what, self.reason)
        } else {
            self.what.clone()
        }
    }
}

/// Everything that an encode of `video` would lose of its picture, in the order of the gates.
#[must_use]
pub fn losses(video: &Stream) -> Vec<Loss> {
    let found =
        [dolby_vision(video), dynamic_hdr(video), captions(video), chroma(video), depth_loss(video), alpha(video)];
    found.into_iter().flatten().chain(side_data(video)).collect()
}

fn dolby_vision(video: &Stream) -> Option<Loss> {
    let record = video.side_data("DOVI");
    let rides = record.is_some() || video.side_data("Dolby Vision").is_some();
    if !rides && !DOLBY_TAGS.contains(&video.codec_tag_string.as_str()) {
        return None;
    }
    let value = |key: &str| record.and_then(|record| record.values.get(key)).map(String::as_str);
    let profile = value("dv_profile").unwrap_or("unknown");
    let has_base = value("dv_bl_signal_compatibility_id").is_some_and(|id| HDR10_BASE.contains(&id))
        && video.color_transfer.as_deref() == Some("smpte2084");
    Some(if has_base {
        Loss::new(
            reasons::DOLBY_VISION,
            format!("the video is Dolby Vision (profile {profile}), of which HDR10 would be left"),
        )
    } else {
        let what = format!("the video is Dolby Vision (profile {profile}) without an HDR10 picture: it cannot be kept");
        Loss::never(reasons::DOLBY_VISION, what)
    })
}

fn dynamic_hdr(video: &Stream) -> Option<Loss> {
    let data = video.side_data("HDR Dynamic")?;
    Some(Loss::new(
        reasons::HDR10_PLUS,
        format!("the video has dynamic HDR metadata ({}), which would be lost", data.kind),
    ))
}

fn captions(video: &Stream) -> Option<Loss> {
    (video.closed_captions != 0)
        .then(|| Loss::new(reasons::CLOSED_CAPTIONS, "closed captions ride in the video and would be lost"))
}

fn chroma(video: &Stream) -> Option<Loss> {
    let format = video.pix_fmt.as_deref()?;
    match sampling(format) {
        Sampling::Halved => None,
        Sampling::Other => {
            Some(Loss::new(reasons::CHROMA_REDUCED, format!("the pixel format is {format}, which would become 4:2:0")))
        }
        Sampling::Unknown => Some(Loss::never(
            reasons::CHROMA_REDUCED,
            format!("the pixel format is {format}: only YUV with chroma planes is handled"),
        )),
    }
}

fn depth_loss(video: &Stream) -> Option<Loss> {
    let format = video.pix_fmt.as_deref()?;
    let depth = depth(format);
    (depth > 10).then(|| {
        Loss::new(reasons::DEPTH_REDUCED, format!("the pixel format is {format}, {depth} bit, which would become 10"))
    })
}

fn alpha(video: &Stream) -> Option<Loss> {
    let beside = video.tags.get("alpha_mode").is_some_and(|mode| mode != "0");
    (beside || video.pix_fmt.as_deref()?.starts_with("yuva"))
        .then(|| Loss::new(reasons::ALPHA_LOST, "the video has an alpha channel, which would be lost"))
}

fn side_data(video: &Stream) -> Vec<Loss> {
    let starts = |data: &SideData, kinds: &[&str]| kinds.iter().any(|kind| data.kind.starts_with(kind));
    let is_flat = |data: &SideData| data.values.get("type").is_some_and(|kind| kind.eq_ignore_ascii_case("2d"));
    let told = video.side_data.iter().filter(|data| !starts(data, HANDLED));
    let rides = video.pictures.side_data.iter().filter(|data| starts(data, SHOWN));
    let lost = |what: String| Loss::new(reasons::UNSUPPORTED_SIDE_DATA, what);
    let mut losses: Vec<Loss> = told
        .chain(rides)
        .filter(|data| !is_flat(data))
        .map(|data| lost(format!("the video has side data \"{}\", which would be lost", data.kind)))
        .collect();
    losses.dedup();
    if let Some(mode) = video.tags.get("stereo_mode").filter(|mode| *mode != "mono") {
        losses.push(lost(format!("the video is stereo ({mode}), which would be lost")));
    }
    if let Some(angle) = video.tags.get("rotate").filter(|angle| *angle != "0" && video.side_data(MATRIX).is_none()) {
        losses.push(lost(format!("the video is shown turned by {angle} degrees by a tag, which would be lost")));
    }
    losses
}

/// What keeps the picture from being encoded whatever the settings allow.
///
/// # Errors
/// [`Refusal`] with the fact.
pub fn refused(video: &Stream) -> Result<(), Refusal> {
    let refuse = |reason, message: String| Err(Refusal { reason, message });
    let (width, height) = (video.width.unwrap_or_default(), video.height.unwrap_or_default());
    if width > MAX_WIDTH || height > MAX_HEIGHT {
        let message = format!("{width}x{height}: at most {MAX_WIDTH}x{MAX_HEIGHT} can be encoded");
        return refuse(reasons::UNSUPPORTED_SIZE, message);
    }
    if width.min(height) < MIN_SIDE {
        let message = format!("{width}x{height}: pictures below {MIN_SIDE} pixels a side are not handled");
        return refuse(reasons::UNSUPPORTED_SIZE, message);
    }
    if let Some(refusal) = single_fields(video) {
        return Err(refusal);
    }
    if let Some(name) = unknown_colour(video) {
        let message = format!("its colours are told as {name}, which AV1 has no number for");
        return refuse(reasons::UNSUPPORTED_SIDE_DATA, message);
    }
    if let Err(other) = Rotation::of(video) {
        return refuse(reasons::UNSUPPORTED_SIDE_DATA, other.to_string());
    }
    if let Err(part) = Light::of(video) {
        return refuse(reasons::UNSUPPORTED_SIDE_DATA, part.to_string());
    }
    Ok(())
}

/// The field order that the file tells, unless it is progressive or unknown.
#[must_use]
pub fn interlaced_order(video: &Stream) -> Option<&str> {
    video.field_order.as_deref().filter(|order| ["tt", "bb", "tb", "bt"].contains(order))
}

/// Why HEVC that is told to be interlaced is left alone: it codes fields as pictures of their own, half as high, and FFmpeg hands
/// them on as they are.
#[must_use]
pub fn single_fields(video: &Stream) -> Option<Refusal> {
    let order = interlaced_order(video).filter(|_| video.codec_name == "hevc")?;
    let message =
        format!("the video is interlaced (field order {order}), and HEVC's single fields can't be joined to frames");
    Some(Refusal { reason: reasons::INTERLACED, message })
}

/// Plans the picture of `video`; `seen` is what is not black in it from the first to the last frame, where bars are to go.
///
/// # Errors
/// [`Refusal`] when it can't be encoded, or something would be lost that the settings do not allow.
pub fn plan_picture(video: &Stream, settings: &Settings, seen: Option<Area>) -> Result<Picture, Refusal> {
    refused(video)?;
    let losses = losses(video);
    if let Some(loss) = losses.iter().find(|loss| !loss.is_allowed(settings)) {
        return Err(Refusal { reason: loss.reason, message: loss.message() });
    }
    let missing = || Refusal { reason: reasons::CANNOT_DECODE, message: "the picture's size is not known".to_owned() };
    let source = video.width.zip(video.height).ok_or_else(missing)?;
    let area = seen.unwrap_or(Area { left: 0, top: 0, width: source.0, height: source.1 });
    let even = |pixels: u32| pixels + pixels % 2;
    let coded = (even(area.width), even(area.height));
    let format = video.pix_fmt.as_deref().unwrap_or_default();
    let is_odd = coded != (area.width, area.height);
    let bits = depth(format);
    let conversion = match (sampling(format), bits) {
        (Sampling::Halved, ..=10) if !is_odd => Conversion::Widen,
        (Sampling::Halved, _) if !is_odd => Conversion::Narrow,
        _ => Conversion::Scale,
    };
    let refusal = |error: String| Refusal { reason: reasons::UNSUPPORTED_SIDE_DATA, message: error };
    let mut picture = Picture {
        source,
        area,
        coded,
        sample_aspect_ratio: video.sample_aspect_ratio.filter(|aspect| aspect.num != aspect.den),
        rotation: Rotation::of(video).map_err(|e| refusal(e.to_string()))?,
        light: Light::of(video).map_err(|e| refusal(e.to_string()))?,
        interlaced: None,
        changes_size: false,
        filters: Vec::new(),
        dropped: losses.into_iter().map(|loss| loss.what).collect(),
        conversion,
        bits,
    };
    picture.filters = picture.words(format);
    Ok(picture)
}

impl Picture {
    /// Takes over what the decode pass found of the frames.
    #[must_use]
    pub fn of_frames(mut self, decoded: &Decoded) -> Self {
        (self.interlaced, self.changes_size) = (decoded.interlaced, decoded.changes_size);
        if self.interlaced.is_some() {
            self.filters.insert(0, "interlaced frames are made whole (bwdif)".to_owned());
        }
        if self.changes_size {
            let (width, height) = self.source;
            self.filters.insert(0, format!("frames of other sizes are scaled to {width}x{height}"));
        }
        if decoded.made_up > 0 {
            self.filters.push(format!("the times of {} frames were made up from those around them", decoded.made_up));
        }
        self
    }

    fn is_cropped(&self) -> bool {
        (self.area.width, self.area.height) != self.source
    }

    fn padding(&self) -> (u32, u32) {
        (self.coded.0 - self.area.width, self.coded.1 - self.area.height)
    }

    fn words(&self, format: &str) -> Vec<String> {
        let mut words = Vec::new();
        let Area { left, top, width, height } = self.area;
        if self.is_cropped() {
            words.push(format!(
                "black bars are cut off: {width}x{height} from {left},{top} of {}x{}",
                self.source.0, self.source.1
            ));
        }
        if self.padding() != (0, 0) {
            words.push(format!(
                "padded to {}x{}, of which the container hides what was added",
                self.coded.0, self.coded.1
            ));
        }
        match self.conversion {
            Conversion::Widen => {}
            Conversion::Narrow => words.push(format!("{format} becomes {PIX_FMT}, with error diffusion")),
            Conversion::Scale => words.push(format!("{format} becomes {PIX_FMT}, chroma is scaled")),
        }
        words
    }

    /// The format in which the source plugin is to give an odd picture: 4:2:0 can't be odd there.
    #[must_use]
    pub fn plugin_format(&self) -> Option<String> {
        // What is kept of an odd source is odd too, or it was cut off.
        let odd = !self.source.0.is_multiple_of(2) || !self.source.1.is_multiple_of(2);
        let depth = match self.bits {
            ..=8 => 8,
            9..=10 => 10,
            11..=12 => 12,
            _ => 16,
        };
        odd.then(|| format!("YUV444P{depth}"))
    }

    /// Lines of the script that make the frames of the source plugin, `clip`, those that are encoded.
    #[must_use]
    pub fn script(&self) -> String {
        let mut lines = String::new();
        let Area { left, top, width, height } = self.area;
        if self.is_cropped() {
            lines +=
                &format!("clip = core.std.CropAbs(clip, width={width}, height={height}, left={left}, top={top})\n");
        }
        let (right, bottom) = self.padding();
        if (right, bottom) != (0, 0) {
            // Edges are repeated: a black line would cost bits, and shows where a player does not hide it.
            let (width, height) = self.coded;
            lines += &format!(
                "clip = core.resize.Point(clip, width={width}, height={height}, src_width={width}, src_height={height})\n"
            );
        }
        lines += match self.conversion {
            Conversion::Widen => "clip = core.resize.Point(clip, format=vs.YUV420P10)\n",
            Conversion::Narrow => {
                "clip = core.resize.Point(clip, format=vs.YUV420P10, dither_type=\"error_diffusion\")\n"
            }
            Conversion::Scale => {
                "clip = core.resize.Spline36(clip, format=vs.YUV420P10, dither_type=\"error_diffusion\")\n"
            }
        };
        lines
    }

    /// The same as FFmpeg's filters; empty where nothing but the format changes.
    #[must_use]
    pub fn ffmpeg_filters(&self) -> String {
        let mut filters: Vec<String> = self.interlaced.map(Parity::bwdif).into_iter().collect();
        if self.changes_size {
            filters.push(format!("scale={}:{}:flags=lanczos", self.source.0, self.source.1));
        }
        let Area { left, top, width, height } = self.area;
        if self.is_cropped() {
            filters.push(format!("crop={width}:{height}:{left}:{top}:exact=1"));
        }
        let (right, bottom) = self.padding();
        if (right, bottom) != (0, 0) {
            let (width, height) = self.coded;
            // With chroma of half the size, pad takes no odd column or row, and leaves the last one out.
            let bits = match self.bits {
                ..=10 => 10,
                11..=12 => 12,
                _ => 16,
            };
            filters.push(format!("format=yuv444p{bits}le"));
            filters.push(format!("pad={width}:{height}:0:0,fillborders=right={right}:bottom={bottom}:mode=smear"));
        }
        match self.conversion {
            Conversion::Widen => {}
            Conversion::Narrow | Conversion::Scale => {
                filters.push(format!("scale=flags=spline+accurate_rnd+full_chroma_int:sws_dither=ed,format={PIX_FMT}"));
            }
        }
        filters.join(",")
    }

    /// What the header of the joined video says.
    #[must_use]
    pub fn header(&self) -> Header {
        let (right, bottom) = self.padding();
        Header {
            width: self.coded.0,
            height: self.coded.1,
            hidden_right: right,
            hidden_bottom: bottom,
            sample_aspect_ratio: self.sample_aspect_ratio,
            rotation: self.rotation,
            light: self.light,
        }
    }

    /// What the video of the output is to be. A chroma location that AV1 can't tell is not expected.
    #[must_use]
    pub fn expected(&self, video: &Stream, frame_rate: Rational, is_variable: bool) -> ExpectedVideo {
        let known = |text: &Option<String>| {
            text.clone().filter(|text| !matches!(text.as_str(), "unknown" | "unspecified" | "reserved"))
        };
        ExpectedVideo {
            pix_fmt: PIX_FMT.to_owned(),
            header: self.header(),
            color_range: known(&video.color_range),
            color_primaries: known(&video.color_primaries),
            color_transfer: known(&video.color_transfer),
            color_space: known(&video.color_space),
            chroma_location: chroma_location(video).map(str::to_owned),
            frame_rate,
            is_variable,
        }
    }
}

/// Where AV1 is told that chroma lies; none where it can't be told.
#[must_use]
pub fn chroma_location(video: &Stream) -> Option<&str> {
    video.chroma_location.as_deref().filter(|location| matches!(*location, "left" | "topleft"))
}

/// The name of a high dynamic range, empty for a standard one.
#[must_use]
pub fn hdr(video: &Stream) -> &'static str {
    match video.color_transfer.as_deref() {
        Some("smpte2084") => "Hdr10",
        Some("arib-std-b67") => "Hlg",
        _ => "",
    }
}

/// How chroma is sampled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sampling {
    /// 4:2:0.
    Halved,
    /// YUV, sampled otherwise.
    Other,
    /// No YUV, or none that is known.
    Unknown,
}

fn sampling(format: &str) -> Sampling {
    let starts = |known: &[&str]| known.iter().any(|known| format.starts_with(known));
    if starts(&["yuv420p", "yuvj420p", "yuva420p", "nv12", "p010", "p012", "p016"]) {
        Sampling::Halved
    } else if starts(&["yuv4", "yuvj4", "yuva4"]) {
        Sampling::Other
    } else {
        Sampling::Unknown
    }
}

/// Bits a sample, from names such as `yuv420p10le` and `p010le`.
fn depth(format: &str) -> u32 {
    let name = format.trim_end_matches("le").trim_end_matches("be");
    match name {
        "p010" => 10,
        "p012" => 12,
        "p016" => 16,
        "nv12" => 8,
        _ => name.rsplit_once('p').and_then(|(_, bits)| bits.parse().ok()).unwrap_or(8),
    }
}

#[cfg(test)]
mod tests;
