//! The decode pass: one full decode of the source's main video, which counts its frames and takes the time of each.
//!
//! The times are those of the output, the count is what the encode is held against. The pass also finds what headers hide:
//! errors, a rate that varies, interlacing, telecine, a picture that changes its size, black bars.

use std::path::Path;

use av1_crds::reasons;
use serde::{Deserialize, Serialize};

use crate::bars::{Bars, cropdetect};
use crate::command::Command;
use crate::fields::{DEINTERLACE_LEAVE, Fields, Parity};
use crate::picture::Area;
use crate::rational::{FrameTimes, Rational};
use crate::streams::Refusal;

/// Most frames whose times are made up, in percent.
const MADE_UP_PERCENT: usize = 10;
/// Rates of a video whose rate varies are told to the encoder within these bounds, in thousandths of a frame a second.
const NOMINAL_THOUSANDTHS: std::ops::RangeInclusive<i128> = 1_000..=240_000;

/// What the decode pass looks for besides frames and their times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Look {
    /// Nothing.
    Plain,
    /// Black bars: what is above this part of the brightest value is no bar.
    Bars(f64),
}

/// Prints the field order of each frame.
const FIELD_ORDER: &str = "idet,metadata=mode=print:key=lavfi.idet.multiple.current_frame:file=-";

/// The call that decodes stream `index` of `path` and prints for each frame its number, its time and its field order.
#[must_use]
pub fn decode_pass(path: &Path, index: u32, look: Look) -> Command {
    let filters = match look {
        Look::Plain => FIELD_ORDER.to_owned(),
        Look::Bars(limit) => format!("idet,{},metadata=mode=print:file=-", cropdetect(limit)),
    };
    pass((path, index), None, &filters, "null")
}

/// The call that decodes stream `index` of `path` and prints the time of each frame, for [`DecodePass::recount`].
#[must_use]
pub fn recount_pass(path: &Path, index: u32) -> Command {
    pass((path, index), None, "scale=16:16", "framecrc")
}

/// The call that decodes `seconds` of stream `index` of `path` from `start` on, and prints the field order of each frame.
#[must_use]
pub fn sample_pass(path: &Path, index: u32, start: f64, seconds: u32) -> Command {
    pass((path, index), Some((start, seconds)), FIELD_ORDER, "null")
}

/// Decodes all of a stream, or so many seconds from one on, through `filters` into `format`, each frame with its own time.
fn pass((path, index): (&Path, u32), part: Option<(f64, u32)>, filters: &str, format: &str) -> Command {
    let mut command = Command::new("ffmpeg").args(["-nostdin", "-hide_banner", "-v", "error"]);
    command = match part {
        // A seek may land where a decoder complains at first.
        Some((start, _)) => command.arg("-ss").arg(format!("{start:.3}")),
        None => command.args(["-xerror", "-copyts"]),
    };
    // Rows and columns are those of the picture as it is coded, however it is turned.
    command = command.args(["-noautorotate", "-protocol_whitelist", "file,pipe", "-i"]).file(path);
    command = command.args(["-map", &format!("0:{index}")]);
    if let Some((_, seconds)) = part {
        command = command.args(["-t", &seconds.to_string()]);
    }
    command.args(["-vf", filters, "-fps_mode", "passthrough", "-enc_time_base", "demux", "-f", format, "-"])
}

/// Takes in the lines of [`decode_pass`].
#[derive(Debug, Clone, Default)]
pub struct DecodePass {
    pts: Vec<Option<i64>>,
    starts: u64,
    fields: Fields,
    bars: Bars,
    unknown: Option<String>,
}

/// What is known of a video before its frames are.
#[derive(Debug, Clone, Copy)]
pub struct Told<'a> {
    /// Seconds that one tick of its times lasts.
    pub time_base: Rational,
    /// The rates that may be the true one, the likeliest first.
    pub rates: &'a [Rational],
    /// What the container says of its duration, in seconds.
    pub duration: Option<f64>,
    /// What the decoder complained of.
    pub errors: &'a str,
    /// Whether the file, and the first pictures, say that it is progressive.
    pub says_progressive: bool,
    /// Whether it may be interlaced: its frames will be made whole.
    pub may_be_interlaced: bool,
    /// Whether times that are missing or go back may be made up from those around them.
    pub may_make_up: bool,
}

/// What the decode pass found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decoded {
    /// Times of the frames.
    pub times: FrameTimes,
    /// The rate that the times confirm, or the average of one that varies.
    pub rate: Rational,
    /// Whether the picture changes its size or format within the video.
    pub changes_size: bool,
    /// Of an interlaced video, the field that comes first.
    pub interlaced: Option<Parity>,
    /// Whether the rate varies.
    pub is_variable: bool,
    /// Frames whose times were made up.
    pub made_up: usize,
    /// What is not black from the first frame to the last, where that was looked for.
    pub seen: Option<Area>,
}

impl DecodePass {
    /// Takes in one line.
    pub fn line(&mut self, line: &str) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("frame:") {
            self.frame(rest);
        } else if let Some(order) = line.strip_prefix("lavfi.idet.multiple.current_frame=") {
            self.fields.take(order);
        } else if let Some(edge) = line.strip_prefix("lavfi.cropdetect.") {
            self.bars.take(edge);
        } else if !line.is_empty() && !line.starts_with("lavfi.") {
            self.unknown.get_or_insert_with(|| line.to_owned());
        }
    }

    fn frame(&mut self, rest: &str) {
        let mut fields = rest.split_ascii_whitespace();
        if fields.next() == Some("0") {
            self.starts += 1;
        }
        self.pts.push(fields.next().and_then(|field| field.strip_prefix("pts:")).and_then(|pts| pts.parse().ok()));
    }

    /// Whether the picture changes its size or format. Filters begin anew then, and `idet` loses the frame that it holds: the
    /// frames have to be counted by [`recount_pass`].
    #[must_use]
    pub fn changes_size(&self) -> bool {
        self.starts > 1
    }

    /// Takes the frames' times from what [`recount_pass`] printed instead.
    pub fn recount<'a>(&mut self, lines: impl Iterator<Item = &'a str>) {
        let time = |line: &str| line.split(',').nth(2)?.trim().parse().ok().filter(|time| *time != i64::MIN);
        self.pts = lines.filter(|line| !line.starts_with('#')).map(time).collect();
    }

    /// Frames so far.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.pts.len() as u64
    }

    /// Why the video is left alone when its frames are interlaced.
    #[must_use]
    pub fn interlaced(&self, says_progressive: bool) -> Option<Refusal> {
        let told = self.fields.interlaced(says_progressive)?;
        Some(Refusal { reason: reasons::INTERLACED, message: format!("{told}: {DEINTERLACE_LEAVE}") })
    }

    /// What was found, or why the video is left alone.
    ///
    /// # Errors
    /// [`Refusal`] with a reason and the figures.
    pub fn finish(self, told: &Told<'_>) -> Result<Decoded, Refusal> {
        let refuse = |reason, message: String| Err(Refusal { reason, message });
        let frames = self.frames();
        if let Some(line) = self.unknown {
            return refuse(
                reasons::CANNOT_DECODE,
                format!("the decoder's list of frames has a line that is not known: {}", shortened(&line)),
            );
        }
        if !told.errors.is_empty() {
            return refuse(
                reasons::CANNOT_DECODE,
                format!("the decoder reports errors, {frames} frames in all: {}", shortened(told.errors)),
            );
        }
        if frames == 0 {
            return refuse(reasons::CANNOT_DECODE, "the video decodes to no frame".to_owned());
        }
        let interlaced = match self.interlaced(told.says_progressive) {
            Some(refusal) if !told.may_be_interlaced => return Err(refusal),
            Some(_) => Some(self.fields.parity()),
            None => None,
        };
        let (pts, made_up) = whole_times(&self.pts, told)
            .map_err(|message| Refusal { reason: reasons::UNSUPPORTED_TIMESTAMPS, message })?;
        let times = FrameTimes { time_base: told.time_base, pts };
        let constant = told.rates.iter().find(|rate| made_up == 0 && is_at(&times, **rate));
        let rate = constant.copied().unwrap_or_else(|| average(&times, told.rates));
        plausible(&times, rate, told.duration)?;
        let changes_size = self.changes_size();
        // Rows and columns of one size say nothing of another.
        let seen = if changes_size { None } else { self.bars.seen() };
        Ok(Decoded { times, rate, changes_size, interlaced, is_variable: constant.is_none(), made_up, seen })
    }
}

/// The times of all frames, each behind the one before and none before zero, and how many of them were made up.
fn whole_times(pts: &[Option<i64>], told: &Told<'_>) -> Result<(Vec<i64>, usize), String> {
    let mut last = None;
    let good: Vec<Option<i64>> = pts
        .iter()
        .map(|time| {
            let time = time.filter(|time| last.is_none_or(|last| *time > last));
            last = time.or(last);
            time
        })
        .collect();
    let bad = good.iter().filter(|time| time.is_none()).count();
    let whole = if bad == 0 {
        good.into_iter().flatten().collect()
    } else if told.may_make_up && bad * 100 <= pts.len() * MADE_UP_PERCENT {
        made_up(&good, told).ok_or("there is no room for the times of frames that have none")?
    } else {
        let at = good.iter().position(Option::is_none).unwrap_or_default();
        let what = if pts.get(at).is_some_and(Option::is_some) {
            format!("frame {at} does not come after the frame before it")
        } else {
            format!("frame {at} has no time")
        };
        return Err(format!("{what}; {bad} of {} frames in all have no time that can be kept", pts.len()));
    };
    match whole.first() {
        Some(first) if *first < 0 => {
            Err(format!("the first frame is shown {:.3} s before zero", -(*first as f64) * told.time_base.as_f64()))
        }
        _ => Ok((whole, bad)),
    }
}

/// Fills the gaps: evenly between the times around them, at the nominal rate at either end.
fn made_up(good: &[Option<i64>], told: &Told<'_>) -> Option<Vec<i64>> {
    let known: Vec<(usize, i64)> = good.iter().enumerate().filter_map(|(at, time)| Some((at, (*time)?))).collect();
    let ((first_at, first), (last_at, last)) = (*known.first()?, *known.last()?);
    #[allow(clippy::cast_possible_truncation)]
    let frame = told.rates.first().map(|rate| (1.0 / (rate.as_f64() * told.time_base.as_f64())).round() as i64);
    let frame = frame.filter(|frame| *frame > 0)?;
    let steps = |count: usize| i64::try_from(count).ok()?.checked_mul(frame);
    let mut times = Vec::with_capacity(good.len());
    for at in 0..first_at {
        times.push(first.checked_sub(steps(first_at - at)?)?);
    }
    for pair in known.windows(2) {
        let ((from, start), (to, end)) = (pair[0], pair[1]);
        let (count, span) = (i64::try_from(to - from).ok()?, i128::from(end) - i128::from(start));
        if span < i128::from(count) {
            return None;
        }
        for step in 0..count {
            times.push(start + i64::try_from(span * i128::from(step) / i128::from(count)).ok()?);
        }
    }
    for at in last_at..good.len() {
        times.push(last.checked_add(steps(at - last_at)?)?);
    }
    Some(times)
}

/// Whether all frames come at `rate`.
///
/// A frame may be off by one tick of the time base (containers round) or an eighth of a frame, whichever is more.
#[allow(clippy::cast_precision_loss)]
fn is_at(times: &FrameTimes, rate: Rational) -> bool {
    let tick = times.time_base.as_f64();
    let frame = 1.0 / rate.as_f64();
    let allowed = (tick * 1.001).max(frame / 8.0);
    let first = times.pts.first().copied().unwrap_or_default();
    times.pts.iter().enumerate().all(|(index, pts)| {
        let off = (i128::from(*pts) - i128::from(first)) as f64 * tick - index as f64 * frame;
        off.abs() <= allowed
    })
}

/// The average rate in thousandths, within what encoders take; of a single frame the first that was told.
fn average(times: &FrameTimes, rates: &[Rational]) -> Rational {
    let otherwise = rates.first().copied().unwrap_or(Rational { num: 25, den: 1 });
    let (Some(first), Some(last)) = (times.pts.first(), times.pts.last()) else { return otherwise };
    let ticks = (i128::from(*last) - i128::from(*first)) * i128::from(times.time_base.num);
    let frames = i128::try_from(times.pts.len() - 1).unwrap_or_default() * i128::from(times.time_base.den);
    if ticks <= 0 || frames <= 0 {
        return otherwise;
    }
    let thousandths = (frames * 1_000 / ticks).clamp(*NOMINAL_THOUSANDTHS.start(), *NOMINAL_THOUSANDTHS.end());
    i64::try_from(thousandths).map_or(otherwise, |num| Rational { num, den: 1_000 })
}

/// Holds the frames against the duration that the container tells: a second, or a hundredth, may be missing.
#[allow(clippy::cast_precision_loss)]
fn plausible(times: &FrameTimes, rate: Rational, duration: Option<f64>) -> Result<(), Refusal> {
    let (Some(told), Some(first), Some(last)) =
        (duration.filter(|d| d.is_finite() && *d > 0.0), times.pts.first(), times.pts.last())
    else {
        return Ok(());
    };
    let frames = times.pts.len();
    let tick = times.time_base.as_f64();
    let found = (i128::from(*last) - i128::from(*first)) as f64 * tick + 1.0 / rate.as_f64();
    // Some containers count from the first frame, others from zero.
    let from_zero = found + (*first as f64 * tick).max(0.0);
    let allowed = (told / 100.0).max(1.0);
    if (found - told).abs() <= allowed || (from_zero - told).abs() <= allowed {
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
mod tests;
