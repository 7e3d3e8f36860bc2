//! The decode pass: one full decode of the source's main video, which counts its frames and takes the time of each.
//!
//! The times are those of the output, the count is what the encode is held against. The pass also finds what headers hide:
//! errors, a rate that is not constant, interlacing, a picture that changes its size.

use std::path::Path;

use av1_crds::reasons;

use crate::command::Command;
use crate::rational::{FrameTimes, Rational};
use crate::streams::Refusal;

/// Interlaced frames among those that could be told, in percent, from which on a video counts as interlaced.
const INTERLACED_PERCENT: u64 = 5;
/// Fewer interlaced frames than this are noise of the detection.
const INTERLACED_LEAST: u64 = 5;

/// The call that decodes stream `index` of `path` and prints for each frame its number, its time and its field order.
#[must_use]
pub fn decode_pass(path: &Path, index: u32) -> Command {
    Command::new("ffmpeg")
        .args([
            "-nostdin",
            "-hide_banner",
            "-v",
            "error",
            "-xerror",
            "-protocol_whitelist",
            "file,pipe",
            "-copyts",
            "-i",
        ])
        .file(path)
        .args([
            "-map",
            &format!("0:{index}"),
            "-vf",
            "idet,metadata=mode=print:key=lavfi.idet.multiple.current_frame:file=-",
        ])
        .args(["-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", "null", "-"])
}

/// Takes in the lines of [`decode_pass`].
#[derive(Debug, Clone, Default)]
pub struct DecodePass {
    pts: Vec<i64>,
    starts: u64,
    interlaced: u64,
    progressive: u64,
    without_time: u64,
    unknown: Option<String>,
}

/// What the decode pass found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// Times of the frames.
    pub times: FrameTimes,
    /// The rate that the times confirm.
    pub rate: Rational,
    /// Whether the picture changes its size or format within the video.
    pub changes_size: bool,
}

impl DecodePass {
    /// Takes in one line.
    pub fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("frame:") {
            self.frame(rest);
        } else if let Some(order) = line.strip_prefix("lavfi.idet.multiple.current_frame=") {
            match order {
                "tff" | "bff" => self.interlaced += 1,
                "progressive" => self.progressive += 1,
                _ => {}
            }
        } else if !line.is_empty() {
            self.unknown.get_or_insert_with(|| line.to_owned());
        }
    }

    fn frame(&mut self, rest: &str) {
        let mut fields = rest.split_ascii_whitespace();
        if fields.next() == Some("0") {
            self.starts += 1;
        }
        match fields.next().and_then(|field| field.strip_prefix("pts:")).and_then(|pts| pts.parse().ok()) {
            Some(pts) => self.pts.push(pts),
            None => self.without_time += 1,
        }
    }

    /// Frames so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.pts.len() as u64 + self.without_time
    }

    /// What was found, or why the video is left alone. `rates` are the rates that may be the true one, the likeliest first;
    /// `errors` is what the decoder complained of; `duration` is what the container says of the video, in seconds.
    ///
    /// # Errors
    /// [`Refusal`] with a reason and the figures.
    pub fn finish(
        self,
        time_base: Rational,
        rates: &[Rational],
        duration: Option<f64>,
        errors: &str,
    ) -> Result<Decoded, Refusal> {
        let refuse = |reason, message: String| Err(Refusal { reason, message });
        let frames = self.frames();
        if let Some(line) = self.unknown {
            return refuse(
                reasons::CANNOT_DECODE,
                format!("the decoder's list of frames has a line that is not known: {}", shortened(&line)),
            );
        }
        if !errors.is_empty() {
            return refuse(
                reasons::CANNOT_DECODE,
                format!("the decoder reports errors, {frames} frames in all: {}", shortened(errors)),
            );
        }
        if frames == 0 {
            return refuse(reasons::CANNOT_DECODE, "the video decodes to no frame".to_owned());
        }
        if self.without_time > 0 {
            return refuse(
                reasons::VARIABLE_FRAME_RATE,
                format!("{} of {frames} frames have no time", self.without_time),
            );
        }
        if self.interlaced >= INTERLACED_LEAST
            && self.interlaced * 100 >= (self.interlaced + self.progressive) * INTERLACED_PERCENT
        {
            let told = self.interlaced + self.progressive;
            return refuse(
                reasons::INTERLACED,
                format!("{} of {told} frames that could be told are interlaced", self.interlaced),
            );
        }
        let changes_size = self.starts > 1;
        let times = FrameTimes { time_base, pts: self.pts };
        let rate = constant_rate(&times, rates)
            .map_err(|message| Refusal { reason: reasons::VARIABLE_FRAME_RATE, message })?;
        plausible(frames, rate, duration)?;
        Ok(Decoded { times, rate, changes_size })
    }
}

/// The first of `rates` at which all frames come, or a sentence on the first frame that does not.
///
/// A frame may be off by one tick of the time base (containers round) or an eighth of a frame, whichever is more.
fn constant_rate(times: &FrameTimes, rates: &[Rational]) -> Result<Rational, String> {
    if let Some(at) = times.pts.windows(2).position(|pair| pair[1] <= pair[0]) {
        return Err(format!("frame {} does not come after frame {at}", at + 1));
    }
    if let Some(rate) = rates.iter().find(|rate| first_off(times, **rate).is_none()) {
        return Ok(*rate);
    }
    let Some((rate, (frame, off))) = rates.first().and_then(|rate| Some((rate, first_off(times, *rate)?))) else {
        return Err("no frame rate is known".to_owned());
    };
    let side = if off > 0.0 { "later" } else { "earlier" };
    Err(format!("frame {frame} comes {:.1} ms {side} than at {rate} frames a second", off.abs() * 1e3))
}

/// The first frame that does not come at `rate`, and by how many seconds it is off.
#[allow(clippy::cast_precision_loss)]
fn first_off(times: &FrameTimes, rate: Rational) -> Option<(usize, f64)> {
    let tick = times.time_base.as_f64();
    let frame = 1.0 / rate.as_f64();
    let allowed = (tick * 1.001).max(frame / 8.0);
    let first = *times.pts.first()?;
    times.pts.iter().enumerate().find_map(|(index, pts)| {
        let off = (pts - first) as f64 * tick - index as f64 * frame;
        (off.abs() > allowed).then_some((index, off))
    })
}

/// Holds the number of frames against the duration that the container tells: a second, or a hundredth, may be missing.
#[allow(clippy::cast_precision_loss)]
fn plausible(frames: u64, rate: Rational, duration: Option<f64>) -> Result<(), Refusal> {
    let Some(told) = duration.filter(|d| d.is_finite() && *d > 0.0) else {
        return Ok(());
    };
    let found = frames as f64 / rate.as_f64();
    if (found - told).abs() <= (told / 100.0).max(1.0) {
        return Ok(());
    }
    let message =
        format!("the video decodes to {frames} frames, which last {found:.1} s, but the container says {told:.1} s");
    Err(Refusal { reason: reasons::FRAME_COUNT_MISMATCH, message })
}

fn shortened(text: &str) -> String {
    let line: String =
        text.split(['\n', '\r']).map(str::trim).filter(|l| !l.is_empty()).take(2).collect::<Vec<_>>().join(" | ");
    if line.chars().count() > 300 { line.chars().take(299).chain(['…']).collect() } else { line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MILLIS: Rational = Rational { num: 1, den: 1_000 };
    const FILM: Rational = Rational { num: 24_000, den: 1_001 };

    fn pass(pts: &[i64], order: &str) -> DecodePass {
        let mut pass = DecodePass::default();
        for (frame, pts) in pts.iter().enumerate() {
            pass.line(&format!("frame:{frame}    pts:{pts}       pts_time:1.5"));
            pass.line(&format!("lavfi.idet.multiple.current_frame={order}"));
        }
        pass
    }

    fn rounded(frames: i64, rate: Rational) -> Vec<i64> {
        (0..frames).map(|n| 83 + (2_000 * n * rate.den + rate.num) / (2 * rate.num)).collect()
    }

    #[test]
    fn times_rounded_to_milliseconds_confirm_the_rate() {
        let times = rounded(100_000, FILM);
        let found = pass(&times, "progressive").finish(MILLIS, &[FILM], Some(4_170.8), "").unwrap();
        assert_eq!((found.rate, found.times.pts.len(), found.times.pts[1]), (FILM, 100_000, 125));
    }

    #[test]
    fn the_second_rate_is_taken_when_the_first_does_not_fit() {
        let field_rate = Rational { num: 48_000, den: 1_001 };
        assert_eq!(
            pass(&rounded(500, FILM), "progressive").finish(MILLIS, &[field_rate, FILM], None, "").unwrap().rate,
            FILM
        );
    }

    #[test]
    fn a_gap_a_step_back_and_a_drift_are_a_variable_rate() {
        let mut gap = rounded(100, FILM);
        gap[50..].iter_mut().for_each(|t| *t += 42);
        let mut back = rounded(100, FILM);
        back.swap(7, 8);
        let drift: Vec<i64> = (0..1_000).map(|n| n * 41).collect();
        for times in [gap, back, drift] {
            let refusal = pass(&times, "progressive").finish(MILLIS, &[FILM], None, "").unwrap_err();
            assert_eq!(refusal.reason, reasons::VARIABLE_FRAME_RATE, "{}", refusal.message);
        }
    }

    #[test]
    fn errors_interlacing_and_missing_frames_are_refused_and_a_changing_picture_is_told() {
        let times = rounded(100, FILM);
        let reason =
            |pass: DecodePass, duration, errors| pass.finish(MILLIS, &[FILM], duration, errors).unwrap_err().reason;
        assert_eq!(reason(pass(&times, "progressive"), None, "File ended prematurely"), reasons::CANNOT_DECODE);
        assert_eq!(reason(pass(&[], ""), None, ""), reasons::CANNOT_DECODE);
        assert_eq!(reason(pass(&times, "tff"), None, ""), reasons::INTERLACED);
        assert_eq!(reason(pass(&times, "progressive"), Some(600.0), ""), reasons::FRAME_COUNT_MISMATCH);
        let finish = |pass: DecodePass| pass.finish(MILLIS, &[FILM], None, "").unwrap();
        let mut changed = pass(&times[..60], "progressive");
        for (frame, pts) in times[60..].iter().enumerate() {
            changed.line(&format!("frame:{frame}    pts:{pts}    pts_time:5"));
        }
        assert_eq!((finish(changed).changes_size, finish(pass(&times, "progressive")).changes_size), (true, false));
        let mut untimed = pass(&times, "progressive");
        untimed.line("frame:100  pts:NOPTS   pts_time:NOPTS");
        assert_eq!(reason(untimed, None, ""), reasons::VARIABLE_FRAME_RATE);
    }

    proptest! {
        #[test]
        fn any_text_is_taken_in_without_a_panic(lines in proptest::collection::vec(".{0,40}", 0..20), pts in any::<[i64; 3]>()) {
            let mut pass = DecodePass::default();
            for line in &lines {
                pass.line(line);
                pass.line(&format!("frame:{line}"));
            }
            for pts in pts {
                pass.line(&format!("frame:1 pts:{} pts_time:0", pts / 4));
            }
            let _ = pass.finish(MILLIS, &[FILM], Some(1.0), "");
        }
    }
}
