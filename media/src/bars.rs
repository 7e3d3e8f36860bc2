//! Black bars, from what `cropdetect` says of each frame: only what is black in every frame is one.
//!
//! Pure. Must never cut into anything that was seen: a picture of several aspect ratios keeps the largest.

use av1_crds::profiles::table;
use av1_crds::settings::{CropMode, Settings};

use crate::picture::Area;
use crate::probe::{Probe, Stream};
use crate::streams::StreamPlan;

/// Values at or below this are black, in 255ths: of SDR, and of full range and HDR, where pictures lie closer to black.
const LIMIT: f64 = 24.0 / 255.0;
const LIMIT_HDR: f64 = 19.0 / 255.0;
const LIMIT_FULL: f64 = 6.0 / 255.0;
/// Fewer rows or columns than this are not worth a cut.
const LEAST: u32 = 8;
/// A picture that keeps less than this part of a side was too dark to be told.
const DARK: u32 = 3;

/// Codecs of subtitles that are pictures, which are placed by the rows and columns of the whole picture.
const PLACED_SUBTITLES: [&str; 3] = ["dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle"];

/// Whether bars are to be looked for: where the settings or else the profile say so, and no kept subtitle would be shown in
/// the wrong place.
#[must_use]
pub fn wanted(settings: &Settings, probe: &Probe, streams: &StreamPlan) -> bool {
    let is_placed = |stream: &Stream| {
        PLACED_SUBTITLES.contains(&stream.codec_name.as_str())
            && streams.kept.iter().any(|kept| kept.index == stream.index)
    };
    let asked = settings.crop.map_or(table(settings.profile).crop, |mode| mode == CropMode::Auto);
    asked && !probe.streams.iter().any(is_placed)
}

/// What is above this part of the brightest value is no bar.
#[must_use]
pub fn limit(video: &Stream) -> f64 {
    let is_full = video.color_range.as_deref() == Some("pc");
    if is_full {
        LIMIT_FULL
    } else if crate::picture::hdr(video).is_empty() {
        LIMIT
    } else {
        LIMIT_HDR
    }
}

/// The filter; it never forgets what it has seen.
pub(crate) fn cropdetect(limit: f64) -> String {
    format!("cropdetect=limit={limit:.4}:round=2:skip=0:reset=0")
}

/// The edges of everything that was seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bars {
    left: Option<u32>,
    right: Option<u32>,
    top: Option<u32>,
    bottom: Option<u32>,
}

impl Bars {
    /// Takes in one of the filter's values, such as `x1=8`.
    pub fn take(&mut self, text: &str) {
        let Some((name, value)) =
            text.split_once('=').and_then(|(name, value)| Some((name, value.parse::<u32>().ok()?)))
        else {
            return;
        };
        let least = |edge: Option<u32>| Some(edge.map_or(value, |edge| edge.min(value)));
        let most = |edge: Option<u32>| Some(edge.map_or(value, |edge| edge.max(value)));
        match name {
            "x1" => self.left = least(self.left),
            "x2" => self.right = most(self.right),
            "y1" => self.top = least(self.top),
            "y2" => self.bottom = most(self.bottom),
            _ => {}
        }
    }

    /// The area that was seen, its edges made even outwards; none when nothing was.
    #[must_use]
    pub fn seen(&self) -> Option<Area> {
        let (left, right, top, bottom) = (self.left?, self.right?, self.top?, self.bottom?);
        let (left, top) = (left - left % 2, top - top % 2);
        let even = |from: u32, to: u32| to.checked_sub(from)?.checked_add(1).map(|length| length + length % 2);
        Some(Area { left, top, width: even(left, right)?, height: even(top, bottom)? })
    }
}

/// What is to be kept of a picture of `size`, of which `seen` is not black; none where a cut is not worth it, or where it is not
/// sure that it would be right.
#[must_use]
pub fn worth(seen: Area, (width, height): (u32, u32)) -> Option<Area> {
    if seen.width < width.div_ceil(DARK) || seen.height < height.div_ceil(DARK) {
        return None;
    }
    let side = |start: u32, length: u32, whole: u32| {
        let length = length.min(whole.saturating_sub(start));
        if whole - length < LEAST { (0, whole) } else { (start, length) }
    };
    let (left, kept_width) = side(seen.left, seen.width, width);
    let (top, kept_height) = side(seen.top, seen.height, height);
    let area = Area { left, top, width: kept_width, height: kept_height };
    ((kept_width, kept_height) != (width, height)).then_some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(frames: &[[u32; 4]]) -> Option<Area> {
        let mut bars = Bars::default();
        for [x1, x2, y1, y2] in frames {
            for line in
                [format!("x1={x1}"), format!("x2={x2}"), format!("y1={y1}"), format!("y2={y2}"), "w=1".to_owned()]
            {
                bars.take(&line);
            }
        }
        bars.seen()
    }

    #[test]
    fn everything_that_was_ever_seen_is_kept_with_even_edges() {
        let letterboxed = [0, 1919, 139, 940];
        let expected = Area { left: 0, top: 138, width: 1920, height: 804 };
        assert_eq!(seen(&[letterboxed, [700, 900, 300, 400]]), Some(expected));
        assert_eq!(seen(&[letterboxed, [0, 1919, 0, 1079]]).unwrap().height, 1080, "a taller scene is never cut");
        assert_eq!(seen(&[]), None);
        assert_eq!(seen(&[[5, 3, 2, 1]]), None);
    }

    #[test]
    fn a_narrow_bar_and_a_dark_picture_are_left_alone() {
        let size = (1920, 1080);
        let area = |left, top, width, height| Area { left, top, width, height };
        assert_eq!(worth(area(0, 138, 1920, 804), size), Some(area(0, 138, 1920, 804)));
        assert_eq!(worth(area(2, 138, 1916, 804), size), Some(area(0, 138, 1920, 804)));
        assert_eq!(worth(area(0, 2, 1920, 1074), size), None);
        assert_eq!(worth(area(0, 0, 1920, 1080), size), None);
        assert_eq!(worth(area(600, 400, 600, 600), size), None, "too dark to tell");
        assert_eq!(worth(area(0, 140, 854, 344), (853, 480)), Some(area(0, 140, 853, 340)));
    }

    #[test]
    fn hdr_is_told_by_a_lower_limit() {
        let with = |transfer: &str, range: &str| {
            limit(&Stream {
                color_transfer: Some(transfer.to_owned()),
                color_range: Some(range.to_owned()),
                ..Stream::default()
            })
        };
        assert!(with("smpte2084", "tv") < with("bt709", "tv") && with("bt709", "pc") < with("arib-std-b67", "tv"));
    }
}
