//! Gates over the pictures of the main video: only progressive, constant-rate, SDR, 8 or 10 bit 4:2:0 with square pixels and even
//! dimensions is handled. All but the Dolby Vision gate wait for [`super::content::cannot_decode`] when ffprobe could not decode it.

use av1_crds::reasons;

use super::content::is_decodable;
use super::{Facts, Rules, Verdict};
use crate::probe::Stream;

/// Side data that says nothing about how pictures are shown.
const HARMLESS_SIDE_DATA: [&str; 1] = ["CPB properties"];
/// Transfer characteristics of SDR; a stream without one is taken for SDR unless its colours are wide.
const SDR_TRANSFERS: [&str; 13] = [
    "bt709",
    "gamma22",
    "bt470m",
    "gamma28",
    "bt470bg",
    "smpte170m",
    "smpte240m",
    "iec61966-2-1",
    "iec61966-2-4",
    "bt1361e",
    "bt2020-10",
    "bt2020-12",
    "unknown",
];
/// Codecs that have no interlaced coding; for all others ffprobe must say that the video is progressive.
const NEVER_INTERLACED: [&str; 3] = ["vp8", "vp9", "vvc"];
/// Largest difference between the base and the average frame rate, as a part of the base rate, that rounding explains.
const RATE_TOLERANCE: f64 = 0.005;
/// Largest picture that SVT-AV1 encodes, and the smallest that is worth the trouble, in pixels.
const MAX_WIDTH: u32 = 16_384;
const MAX_HEIGHT: u32 = 8_704;
const MIN_SIDE: u32 = 64;

pub(super) fn dolby_vision(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = facts.video()?;
    let tagged = ["dvh1", "dvhe", "dvav", "dva1", "dav1"].contains(&video.codec_tag_string.as_str());
    (tagged || has_side_data(video, "DOVI") || has_side_data(video, "Dolby Vision"))
        .then(|| Verdict::skipped(reasons::DOLBY_VISION, "the video is Dolby Vision, whose metadata would be lost"))
}

pub(super) fn hdr10_plus(facts: &Facts, _: &Rules) -> Option<Verdict> {
    has_side_data(picture(facts)?, "HDR Dynamic Metadata")
        .then(|| Verdict::skipped(reasons::HDR10_PLUS, "the video has HDR10+ metadata, which would be lost"))
}

pub(super) fn hdr(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    let transfer = video.color_transfer.as_deref().unwrap_or("unknown");
    let primaries = video.color_primaries.as_deref().unwrap_or("unknown");
    let matrix = video.color_space.as_deref().unwrap_or("unknown");
    let light =
        video.side_data.iter().find(|kind| kind.starts_with("Mastering display") || kind.starts_with("Content light"));
    let why = if !SDR_TRANSFERS.contains(&transfer) {
        format!("its transfer characteristics are {transfer}")
    } else if transfer == "unknown" && (primaries.starts_with("bt2020") || matrix.starts_with("bt2020")) {
        "it has the wide colours of BT.2020 and unknown transfer characteristics".to_owned()
    } else {
        format!("it has {}", light?.to_lowercase())
    };
    Some(Verdict::skipped(reasons::HDR, format!("{why}: HDR is not handled yet")))
}

pub(super) fn interlaced(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    let why = match video.field_order.as_deref() {
        Some("progressive") => return None,
        None | Some("unknown") if NEVER_INTERLACED.contains(&video.codec_name.as_str()) => {
            return None;
        }
        None | Some("unknown") => format!("ffprobe cannot tell whether this {} video is progressive", video.codec_name),
        Some(order) => format!("the video is interlaced (field order {order})"),
    };
    Some(Verdict::skipped(reasons::INTERLACED, format!("{why}: only progressive video is handled yet")))
}

pub(super) fn variable_frame_rate(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    let why = match (video.r_frame_rate, video.avg_frame_rate) {
        (Some(base), Some(average)) if (base.as_f64() - average.as_f64()).abs() <= RATE_TOLERANCE * base.as_f64() => {
            return None;
        }
        (Some(base), Some(average)) => {
            format!("frames come at {:.3}/s on average on a base of {:.3}/s", average.as_f64(), base.as_f64())
        }
        _ => "ffprobe cannot tell the frame rate".to_owned(),
    };
    Some(Verdict::skipped(reasons::VARIABLE_FRAME_RATE, format!("{why}: only a constant rate is handled yet")))
}

pub(super) fn chroma_reduced(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let format = picture(facts)?.pix_fmt.as_deref()?;
    (!is_420(format)).then(|| {
        Verdict::skipped(
            reasons::CHROMA_REDUCED,
            format!("the pixel format is {format}: only 4:2:0 is handled, the rest would be reduced"),
        )
    })
}

pub(super) fn depth_reduced(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let format = picture(facts)?.pix_fmt.as_deref()?;
    let depth = depth(format);
    (depth != 8 && depth != 10).then(|| {
        Verdict::skipped(
            reasons::DEPTH_REDUCED,
            format!("the pixel format is {format}, {depth} bit: only 8 and 10 bit are handled"),
        )
    })
}

pub(super) fn alpha_lost(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    let beside = video.tags.get("alpha_mode").is_some_and(|mode| mode != "0");
    (beside || video.pix_fmt.as_deref()?.starts_with("yuva"))
        .then(|| Verdict::skipped(reasons::ALPHA_LOST, "the video has an alpha channel, which would be lost"))
}

pub(super) fn unsupported_side_data(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    let stereo = video.tags.get("stereo_mode").filter(|mode| *mode != "mono");
    let why = if let Some(kind) = video.side_data.iter().find(|kind| !HARMLESS_SIDE_DATA.contains(&kind.as_str())) {
        format!("the video has side data \"{kind}\"{}", if kind == "Display Matrix" { " (rotation)" } else { "" })
    } else if let Some(angle) = video.tags.get("rotate").filter(|angle| *angle != "0") {
        format!("the video is shown turned by {angle} degrees")
    } else if let Some(mode) = stereo {
        format!("the video is stereo ({mode})")
    } else {
        let aspect = video.sample_aspect_ratio.filter(|aspect| aspect.num != aspect.den)?;
        format!("its pixels are not square ({}:{})", aspect.num, aspect.den)
    };
    Some(Verdict::skipped(reasons::UNSUPPORTED_SIDE_DATA, format!("{why}: not handled yet")))
}

pub(super) fn odd_dimensions(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    let (width, height) = (video.width?, video.height?);
    let why = if width % 2 != 0 || height % 2 != 0 {
        "odd dimensions are not handled yet".to_owned()
    } else if width > MAX_WIDTH || height > MAX_HEIGHT {
        format!("at most {MAX_WIDTH}x{MAX_HEIGHT} can be encoded")
    } else if width.min(height) < MIN_SIDE {
        format!("pictures below {MIN_SIDE} pixels a side are not handled")
    } else {
        return None;
    };
    Some(Verdict::skipped(reasons::ODD_DIMENSIONS, format!("{width}x{height}: {why}")))
}

/// The main video when ffprobe could decode it.
fn picture(facts: &Facts) -> Option<&Stream> {
    facts.video().filter(|video| is_decodable(video))
}

fn has_side_data(video: &Stream, start: &str) -> bool {
    video.side_data.iter().any(|kind| kind.starts_with(start))
}

fn is_420(format: &str) -> bool {
    ["yuv420p", "yuvj420p", "yuva420p", "nv12", "p010", "p012", "p016"].iter().any(|known| format.starts_with(known))
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
