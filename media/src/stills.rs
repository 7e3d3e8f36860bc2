//! Stills: the same frame of source and output as small pictures, for people to compare. Which frames are taken, and the calls
//! that take them.
//!
//! Pure. What was done to the source's picture before it was encoded is done to its still, so that both show the same; grain that
//! players add is in the output's.

use std::path::{Path, PathBuf};

use av1_crds::wire::MAX_STILL_SIDE;

use crate::command::{Bounds, Command};
use crate::picture::{Picture, hdr};
use crate::probe::Stream;
use crate::quality::WINDOW_SECONDS;
use crate::rational::{FrameTimes, Rational};

/// Qualities of a picture that are made at once, the best first; one is taken.
pub const LEVELS: [u32; 4] = [3, 6, 12, 24];
/// Scenes that are looked at for the best.
const MOST_CANDIDATES: usize = 5;
/// A picture of fewer bits a pixel at the best quality shows next to nothing.
const FLAT_BITS: f64 = 0.15;
/// Seconds that are decoded before a frame: whoever makes whole frames of fields looks at those around.
const BEFORE: f64 = 0.5;
/// Seconds around a frame in which no other is, where its neighbours do not tell.
const ALONE: f64 = 0.02;
/// Pictures above this height are of high definition: colours that nothing is told of are those of BT.709.
const SD_HEIGHT: u32 = 576;
/// Largest file that a call may write, in bytes.
const MAX_FILE: u64 = 16 << 20;

/// The frame that shows how bad it gets: of the two seconds with the least mean, the one with the lowest score.
#[must_use]
pub fn worst(scores: &[f64], rate: f64) -> Option<usize> {
    let (means, window) = means(scores, rate);
    let (start, _) = means.iter().enumerate().min_by(|a, b| a.1.total_cmp(b.1))?;
    (start..start + window).min_by(|a, b| scores[*a].total_cmp(&scores[*b]))
}

/// Frames that show how good it is, the best first: of the two seconds with the highest mean the middle, and the same elsewhere
/// in the film, in case that there is nothing to see.
#[must_use]
pub fn best(scores: &[f64], rate: f64) -> Vec<usize> {
    let (means, window) = means(scores, rate);
    let apart = window.max(scores.len() / (2 * MOST_CANDIDATES));
    let mut order: Vec<usize> = (0..means.len()).collect();
    order.sort_by(|a, b| means[*b].total_cmp(&means[*a]));
    let mut chosen: Vec<usize> = Vec::new();
    for start in order {
        if chosen.iter().all(|other| other.abs_diff(start) >= apart) {
            chosen.push(start);
        }
        if chosen.len() == MOST_CANDIDATES {
            break;
        }
    }
    chosen.into_iter().map(|start| start + window / 2).collect()
}

/// Means of all windows by their first frame, and the frames of a window.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn means(scores: &[f64], rate: f64) -> (Vec<f64>, usize) {
    let window = ((rate * WINDOW_SECONDS).round().max(1.0) as usize).min(scores.len()).max(1);
    let mut sum: f64 = scores.iter().take(window).sum();
    let mut means = Vec::with_capacity(scores.len());
    for start in 0..(scores.len() + 1).saturating_sub(window) {
        if start > 0 {
            sum += scores[start + window - 1] - scores[start - 1];
        }
        means.push(sum / window as f64);
    }
    (means, window)
}

/// Whether a picture at the best quality has so few bytes that there is nothing to see in it.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn is_flat(bytes: usize, (width, height): (u32, u32)) -> bool {
    (bytes * 8) as f64 <= FLAT_BITS * f64::from(width) * f64::from(height)
}

/// A frame by its time in one file, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Just before it.
    pub from: f64,
    /// Just behind it.
    pub to: f64,
    /// Where decoding may begin; none at the start.
    pub seek: Option<f64>,
}

impl Moment {
    /// Of frame `index`, in a file whose times are `shift` seconds less than these.
    #[must_use]
    pub fn of(times: &FrameTimes, index: usize, shift: f64) -> Option<Self> {
        let (first, at) = (times.seconds(0)?, times.seconds(index)?);
        let before = index.checked_sub(1).and_then(|before| times.seconds(before));
        let gaps = [before.map(|before| at - before), times.seconds(index + 1).map(|after| after - at)];
        let gap = gaps.into_iter().flatten().filter(|gap| *gap > 0.0).reduce(f64::min).unwrap_or(ALONE);
        let (at, margin) = (at - shift, gap * 0.45);
        let seek = Some(at - BEFORE).filter(|seek| *seek > first - shift);
        Some(Self { from: at - margin, to: at + margin, seek })
    }
}

/// Which side of a pair is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The main video of the source, of this index.
    Source(u32),
    /// The output's video.
    Output,
}

/// How the pictures of one video are taken, the same for both sides.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What was done to the source's picture.
    pub picture: &'a Picture,
    /// The source's video.
    pub video: &'a Stream,
    /// Whether a high dynamic range is mapped to a standard one, as far as it is one.
    pub tone_map: bool,
}

impl Look<'_> {
    /// Width and height of the stills in pixels: with square pixels, turned as the picture is shown.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        let (width, height) = self.upright();
        if self.picture.rotation.quarters % 2 == 1 { (height, width) } else { (width, height) }
    }

    /// Whether there is a dynamic range to be mapped.
    #[must_use]
    pub fn is_hdr(&self) -> bool {
        !hdr(self.video).is_empty()
    }

    /// The size before it is turned.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn upright(&self) -> (u32, u32) {
        let (width, height) = self.picture.coded;
        let aspect = self.picture.sample_aspect_ratio.map_or(1.0, Rational::as_f64);
        let aspect = if aspect.is_finite() && aspect > 0.0 { aspect } else { 1.0 };
        let (width, height) = (f64::from(width) * aspect, f64::from(height));
        let scale = (f64::from(MAX_STILL_SIDE) / width.max(height)).min(1.0);
        let even = |side: f64| ((side * scale / 2.0).round() as u32 * 2).clamp(2, MAX_STILL_SIDE);
        (even(width), even(height))
    }

    /// FFmpeg's filters from the frame to the picture.
    fn filters(&self) -> String {
        let (width, height) = self.upright();
        let told = |text: &Option<String>| text.as_deref().is_some_and(|text| text != "unknown");
        let guess = !told(&self.video.color_space) && self.picture.coded.1 > SD_HEIGHT;
        let transfer = self.video.color_transfer.as_deref().filter(|_| self.tone_map && self.is_hdr());
        let mut filters = match transfer {
            Some(transfer) => vec![
                format!("scale={width}:{height}:flags=lanczos"),
                format!("zscale=tin={transfer}:min=bt2020nc:pin=bt2020:t=linear:npl=203"),
                "format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0".to_owned(),
                "zscale=t=bt709:m=smpte170m:r=full,format=yuv420p".to_owned(),
            ],
            None => {
                let guess = if guess { ":in_color_matrix=bt709" } else { "" };
                vec![
                    format!("scale={width}:{height}:flags=lanczos{guess}:out_color_matrix=bt601:out_range=full"),
                    "format=yuv420p".to_owned(),
                ]
            }
        };
        filters.push("setsar=1".to_owned());
        let rotation = self.picture.rotation;
        if rotation.flipped {
            filters.push("hflip".to_owned());
        }
        filters.extend(
            match rotation.quarters {
                1 => Some("transpose=cclock"),
                2 => Some("hflip,vflip"),
                3 => Some("transpose=clock"),
                _ => None,
            }
            .map(str::to_owned),
        );
        filters.join(",")
    }

    /// The call that writes the frame of `file` (absolute) at that moment into `into`, one file of each of [`LEVELS`].
    #[must_use]
    pub fn call(&self, side: Side, file: &Path, moment: Moment, into: &[PathBuf; LEVELS.len()]) -> Command {
        let select = format!("select=between(t\\,{:.6}\\,{:.6})", moment.from, moment.to);
        let (stream, own) = match side {
            Side::Source(index) => (format!("0:{index}"), self.picture.ffmpeg_filters()),
            Side::Output => ("0:v:0".to_owned(), String::new()),
        };
        // Fields need the frames around; all else is done to the one frame alone.
        let chain = match (own.is_empty(), self.picture.interlaced.is_some()) {
            (true, _) => select,
            (false, true) => format!("{own},{select}"),
            (false, false) => format!("{select},{own}"),
        };
        let outs: Vec<String> = (0..LEVELS.len()).map(|level| format!("[q{level}]")).collect();
        let graph = format!("[{stream}]{chain},{},split={}{}", self.filters(), outs.len(), outs.concat());
        let mut command = Command::new("ffmpeg").args(["-nostdin", "-hide_banner", "-v", "error", "-y"]);
        command = command.args(["-noautorotate", "-apply_cropping", "codec", "-protocol_whitelist", "file,pipe"]);
        command = command.arg("-copyts");
        if let Some(seek) = moment.seek {
            command = command.args(["-seek_timestamp", "1", "-noaccurate_seek", "-ss"]).arg(format!("{seek:.6}"));
        }
        command = command.arg("-i").file(file).args(["-filter_complex", &graph]);
        for ((level, out), into) in LEVELS.iter().zip(&outs).zip(into) {
            command = command.args(["-map", out, "-frames:v", "1", "-fps_mode", "passthrough"]);
            command = command.args(["-c:v", "mjpeg", "-q:v", &level.to_string(), "-f", "mjpeg"]).file(into);
        }
        command.bounded(Bounds { file_size: Some(MAX_FILE), ..Bounds::default() })
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::Settings;
    use proptest::prelude::*;

    use super::*;
    use crate::fields::Parity;
    use crate::picture::{Area, plan_picture};
    use crate::rotation::Rotation;

    fn video(width: u32, height: u32) -> Stream {
        Stream { width: Some(width), height: Some(height), pix_fmt: Some("yuv420p".into()), ..Stream::default() }
    }

    fn picture(video: &Stream, seen: Option<Area>) -> Picture {
        let settings = Settings::resolve(&[]).unwrap();
        plan_picture(video, &settings, seen).unwrap()
    }

    fn times(count: i64) -> FrameTimes {
        FrameTimes { time_base: Rational { num: 1, den: 25 }, pts: (0..count).map(|frame| frame + 5).collect() }
    }

    #[test]
    fn the_worst_frame_is_within_the_worst_window() {
        let mut scores = vec![40.0; 500];
        scores[100..150].fill(30.0);
        scores[120] = 28.0;
        // One bad frame is no bad scene.
        scores[300] = 5.0;
        assert_eq!(worst(&scores, 25.0), Some(120));
        assert_eq!((worst(&[], 25.0), worst(&[1.0], 25.0)), (None, Some(0)));
    }

    #[test]
    fn the_best_frames_are_apart_from_each_other() {
        let mut scores = vec![40.0; 1_000];
        scores[0..200].fill(100.0);
        scores[600..660].fill(90.0);
        let found = best(&scores, 25.0);
        assert_eq!(found.len(), MOST_CANDIDATES);
        assert!(found[0] < 200, "{found:?}");
        assert!(found.iter().any(|frame| (600..660).contains(frame)), "{found:?}");
        for (at, frame) in found.iter().enumerate() {
            assert!(found[at + 1..].iter().all(|other| other.abs_diff(*frame) >= 100), "{found:?}");
        }
        assert!(best(&[], 25.0).is_empty());
    }

    #[test]
    fn a_moment_holds_one_frame_and_decoding_begins_before_it() {
        let moment = Moment::of(&times(250), 100, 0.2).unwrap();
        assert!((moment.from - 3.982).abs() < 1e-9 && (moment.to - 4.018).abs() < 1e-9, "{moment:?}");
        assert!((moment.seek.unwrap() - 3.5).abs() < 1e-9);
        assert_eq!(Moment::of(&times(250), 3, 0.2).unwrap().seek, None, "the start is near");
        assert_eq!(Moment::of(&times(1), 1, 0.0), None);
        assert!(Moment::of(&times(1), 0, 0.0).is_some());
    }

    #[test]
    fn stills_are_shown_as_the_picture_is_and_no_side_is_too_long() {
        let size = |width, height, aspect: Option<(i64, i64)>, quarters| {
            let video = video(width, height);
            let mut picture = picture(&video, None);
            picture.sample_aspect_ratio = aspect.map(|(num, den)| Rational { num, den });
            picture.rotation = Rotation { quarters, flipped: false };
            Look { picture: &picture, video: &video, tone_map: true }.size()
        };
        assert_eq!(size(1_920, 800, None, 0), (960, 400));
        assert_eq!(size(720, 576, Some((64, 45)), 0), (960, 540));
        assert_eq!(size(1_920, 1_080, None, 1), (540, 960));
        assert_eq!(size(320, 180, None, 0), (320, 180));
        assert_eq!(size(16_000, 64, None, 0), (960, 4));
    }

    #[test]
    fn next_to_nothing_is_flat() {
        assert!(is_flat(8_000, (960, 540)) && !is_flat(30_000, (960, 540)));
    }

    #[test]
    fn the_calls_are_these() {
        let plain = video(1_920, 1_080);
        let into = LEVELS.map(|level| PathBuf::from(format!("/work/still-{level}.jpg")));
        let moment = Moment::of(&times(250), 100, 0.2).unwrap();
        let words = |picture: &Picture, video: &Stream, side, tone_map| {
            let look = Look { picture, video, tone_map };
            look.call(side, Path::new("/library/a'\".mkv"), moment, &into).to_strings().join(" ")
        };
        let cut = picture(&plain, Some(Area { left: 0, top: 140, width: 1_920, height: 800 }));
        insta::assert_snapshot!("source", words(&cut, &plain, Side::Source(1), true));
        insta::assert_snapshot!("output", words(&cut, &plain, Side::Output, true));
        let mut bright = plain.clone();
        (bright.color_transfer, bright.color_space) = (Some("smpte2084".into()), Some("bt2020nc".into()));
        insta::assert_snapshot!("hdr", words(&picture(&bright, None), &bright, Side::Output, true));
        assert!(!words(&picture(&bright, None), &bright, Side::Output, false).contains("zscale"));
        let mut fields = picture(&plain, None);
        fields.interlaced = Some(Parity::Top);
        let text = words(&fields, &plain, Side::Source(0), true);
        assert!(text.contains("[0:0]bwdif=mode=send_frame:parity=tff:deint=all,select=between"), "{text}");
    }

    proptest! {
        #[test]
        fn any_scores_give_frames_that_there_are(scores in proptest::collection::vec(-10.0..120.0_f64, 0..200), rate in 0.0..200.0_f64) {
            let found = worst(&scores, rate).into_iter().chain(best(&scores, rate));
            prop_assert!(found.into_iter().all(|frame| frame < scores.len()));
            prop_assert_eq!(worst(&scores, rate).is_some(), !scores.is_empty());
        }
    }
}
