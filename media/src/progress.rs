//! Progress of an encode, from counted frames and bytes alone: rate over the last minute, time left, projected size.

use std::collections::VecDeque;

use crate::probe::Probe;
use crate::streams::StreamPlan;

/// Milliseconds over which the rate is taken.
pub const RATE_WINDOW_MS: u64 = 60_000;

/// Frames a second over the last minute.
#[derive(Debug, Clone, Default)]
pub struct Rate {
    samples: VecDeque<(u64, u64)>,
}

impl Rate {
    /// Takes in that `frames` were done at `now_ms`, a clock that never goes back.
    pub fn record(&mut self, now_ms: u64, frames: u64) {
        self.samples.push_back((now_ms, frames));
        // One sample from before the window is kept, so that the rate always spans the whole minute.
        while self.samples.get(1).is_some_and(|(at, _)| now_ms.saturating_sub(*at) >= RATE_WINDOW_MS) {
            self.samples.pop_front();
        }
    }

    /// Frames a second; 0 until there are two samples.
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn per_second(&self) -> f64 {
        let (Some((from, before)), Some((to, after))) = (self.samples.front(), self.samples.back()) else {
            return 0.0;
        };
        if to <= from { 0.0 } else { after.saturating_sub(*before) as f64 * 1e3 / (to - from) as f64 }
    }

    /// Seconds until `remaining` frames are done at the present rate; none while nothing moves.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn eta_seconds(&self, remaining: u64) -> Option<u64> {
        let rate = self.per_second();
        (rate > 0.0).then(|| (remaining as f64 / rate).ceil() as u64)
    }
}

/// Finished work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Finished {
    /// Frames of finished chunks.
    pub frames: u64,
    /// Bytes of their video.
    pub bytes: u64,
}

impl Finished {
    /// Bits a second of the finished video at `rate` frames a second.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn bit_rate(self, rate: f64) -> Option<u64> {
        (self.frames > 0).then(|| (self.bytes as f64 * 8.0 * rate / self.frames as f64) as u64)
    }

    /// Projected bytes of the whole output: finished bytes a frame times all frames, and `copied` bytes of other streams.
    #[must_use]
    pub fn projected_size(self, total_frames: u64, copied: u64) -> Option<u64> {
        let video = (u128::from(self.bytes) * u128::from(total_frames)).checked_div(u128::from(self.frames))?;
        u64::try_from(video + u128::from(copied)).ok()
    }
}

/// Bytes of the kept streams that are copied, as far as the container tells them; what it does not tell counts nothing.
#[must_use]
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn copied_bytes(probe: &Probe, streams: &StreamPlan) -> u64 {
    let kept = streams.kept.iter().filter_map(|kept| probe.streams.iter().find(|stream| stream.index == kept.index));
    kept.map(|stream| {
        let tag = |name: &str| {
            stream
                .tags
                .iter()
                .find(|(key, _)| key.split('-').next() == Some(name))
                .and_then(|(_, value)| value.parse::<u64>().ok())
        };
        let seconds = stream.duration.or(probe.format.duration).unwrap_or_default();
        let by_rate = || stream.bit_rate.or_else(|| tag("bps")).map(|bits| (bits as f64 * seconds / 8.0) as u64);
        tag("number_of_bytes").or_else(by_rate).unwrap_or_default()
    })
    .fold(0, u64::saturating_add)
}

/// Finds that an encode stands still: no frame came and hardly any CPU time was used for a while.
#[derive(Debug, Clone)]
pub struct Watchdog {
    limit_ms: u64,
    since_ms: u64,
    frames: u64,
    cpu_ms: u64,
}

impl Watchdog {
    /// Less CPU time than this, in milliseconds, within the limit is none: programs that wait look around now and then.
    pub const CPU_LEAST_MS: u64 = 1_000;

    /// Watches from `now_ms` on; standing still for `limit_ms` is too long.
    #[must_use]
    pub fn new(limit_ms: u64, now_ms: u64) -> Self {
        Self { limit_ms, since_ms: now_ms, frames: 0, cpu_ms: 0 }
    }

    /// Takes in the frames so far and the CPU time used so far; returns whether the encode stands still for too long.
    pub fn is_stalled(&mut self, now_ms: u64, frames: u64, cpu_ms: u64) -> bool {
        if frames != self.frames || cpu_ms.abs_diff(self.cpu_ms) >= Self::CPU_LEAST_MS {
            (self.since_ms, self.frames, self.cpu_ms) = (now_ms, frames, cpu_ms);
        }
        now_ms.saturating_sub(self.since_ms) >= self.limit_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_minute_and_gives_the_time_left() {
        let mut rate = Rate::default();
        assert_eq!((rate.per_second(), rate.eta_seconds(10)), (0.0, None));
        for second in 0..=200 {
            rate.record(second * 1_000, if second <= 100 { second * 50 } else { 5_000 + (second - 100) * 10 });
        }
        assert!((rate.per_second() - 10.0).abs() < 1e-9, "{}", rate.per_second());
        assert_eq!(rate.eta_seconds(101), Some(11));
        assert!(rate.samples.len() <= 62);
    }

    #[test]
    fn size_is_projected_from_finished_chunks_alone() {
        let finished = Finished { frames: 100, bytes: 1_000 };
        assert_eq!(finished.projected_size(1_000, 500), Some(10_500));
        assert_eq!(finished.bit_rate(24.0), Some(1_920));
        assert_eq!((Finished::default().projected_size(10, 1), Finished::default().bit_rate(24.0)), (None, None));
    }

    #[test]
    fn an_encode_stands_still_only_without_frames_and_without_cpu_time() {
        let mut dog = Watchdog::new(600_000, 0);
        assert!(!dog.is_stalled(599_999, 0, 999));
        assert!(dog.is_stalled(600_000, 0, 999));
        assert!(!dog.is_stalled(600_001, 0, 1_000), "CPU time was used");
        assert!(!dog.is_stalled(1_200_000, 1, 1_000), "a frame came");
        assert!(!dog.is_stalled(1_799_999, 1, 1_000));
        assert!(dog.is_stalled(1_800_000, 1, 1_000));
    }

    #[test]
    fn copied_streams_count_by_their_tags_or_rates() {
        let json = r#"{"format":{"format_name":"matroska","duration":"10"},"streams":[{"index":0,"codec_type":"video"},
            {"index":1,"codec_type":"audio","tags":{"NUMBER_OF_BYTES-eng":"700"}},{"index":2,"codec_type":"audio","bit_rate":"800"},
            {"index":3,"codec_type":"audio","bit_rate":"800000"},{"index":4,"codec_type":"subtitle"}]}"#;
        let probe = Probe::parse(json.as_bytes()).unwrap();
        let (kind, carry) = (crate::streams::Kind::Audio, crate::streams::Carry::Copy);
        let kept = |index| crate::streams::Kept { index, kind, carry };
        let streams = StreamPlan {
            origin: crate::streams::Origin::Matroska,
            container: crate::streams::Container::Matroska,
            video: 0,
            kept: vec![kept(1), kept(2), kept(4)],
            dropped: vec![],
            shift: 0.0,
        };
        assert_eq!(copied_bytes(&probe, &streams), 1_700);
    }
}
