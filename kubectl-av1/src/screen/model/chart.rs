//! The throughput over time: frames a second as they were seen, with what a Prometheus knows before; bytes saved an hour. Pure.

use std::collections::VecDeque;

use super::Jobs;

/// Seconds that are shown of what was seen here alone.
const LIVE_SPAN: i64 = 30 * 60;
/// Seconds that are shown when there is a history.
pub(crate) const HISTORY_SPAN: i64 = 6 * 3600;
/// Least seconds between two values that are kept.
const EVERY: i64 = 2;
const HOUR: i64 = 3600;

/// What a Prometheus says about one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Point {
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) frames_per_second: Option<f64>,
    /// Bytes saved in the hour before.
    pub(crate) saved: Option<f64>,
}

/// Values of both kinds.
#[derive(Debug, Default)]
pub(crate) struct Chart {
    /// Time and frames a second, the oldest first.
    live: VecDeque<(i64, f64)>,
    history: Vec<Point>,
}

/// Both lines, one value for each column.
#[derive(Debug, PartialEq)]
pub(crate) struct Lines {
    /// Seconds from the first column to now.
    pub(crate) span: i64,
    pub(crate) frames_per_second: Vec<Option<f64>>,
    /// Bytes saved in the hour before.
    pub(crate) saved: Vec<Option<f64>>,
}

impl Chart {
    /// Frames a second of all jobs, now.
    pub(crate) fn push(&mut self, now: i64, frames_per_second: f64) {
        if self.live.back().is_some_and(|(last, _)| now - last < EVERY) {
            return;
        }
        self.live.push_back((now, frames_per_second));
        while self.live.front().is_some_and(|(first, _)| now - first > HISTORY_SPAN) {
            self.live.pop_front();
        }
    }

    /// What was before.
    pub(crate) fn set_history(&mut self, points: Vec<Point>) {
        self.history = points;
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The lines in so many columns, the last of which is now.
    pub(crate) fn lines(&self, jobs: &Jobs, now: i64, columns: usize) -> Lines {
        let span = if self.history.is_empty() { LIVE_SPAN } else { HISTORY_SPAN };
        let mut means = vec![(0.0, 0_u32); columns];
        let mut saved = vec![None; columns];
        let column = |at: i64| {
            let since = at - (now - span);
            let inside = columns > 0 && since > 0 && at <= now;
            inside.then(|| ((since - 1) as usize * columns / span as usize).min(columns - 1))
        };
        let first_seen = self.live.front().map_or(i64::MAX, |(at, _)| *at);
        for point in &self.history {
            let Some(at) = column(point.at) else { continue };
            if let Some(rate) = point.frames_per_second.filter(|_| point.at < first_seen) {
                means[at] = (means[at].0 + rate, means[at].1 + 1);
            }
            saved[at] = point.saved.or(saved[at]);
        }
        for (at, rate) in &self.live {
            if let Some(at) = column(*at) {
                means[at] = (means[at].0 + rate, means[at].1 + 1);
            }
        }
        for (column, saved) in saved.iter_mut().enumerate() {
            let until = now - span + span * (column as i64 + 1) / columns.max(1) as i64;
            let by_jobs = jobs.saved_between(until - HOUR, until) as f64;
            *saved = Some(saved.map_or(by_jobs, |known: f64| known.max(by_jobs)));
        }
        let frames_per_second =
            means.into_iter().map(|(sum, count)| (count > 0).then(|| sum / f64::from(count))).collect();
        Lines { span, frames_per_second, saved }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_column_are_averaged_and_the_last_column_is_now() {
        let mut chart = Chart::default();
        let now = 1_000_000;
        for (ago, rate) in [(LIVE_SPAN + 5, 99.0), (4, 10.0), (3, 77.0), (2, 20.0), (0, 30.0)] {
            chart.push(now - ago, rate);
        }
        let lines = chart.lines(&Jobs::default(), now, 3);
        assert_eq!(lines.frames_per_second, [None, None, Some(20.0)], "what came too soon is left out");
        assert_eq!((lines.span, lines.saved), (LIVE_SPAN, vec![Some(0.0); 3]));
        assert!(chart.lines(&Jobs::default(), now, 0).saved.is_empty());
    }

    #[test]
    fn history_fills_what_was_before_and_widens_the_span() {
        let mut chart = Chart::default();
        let now = 1_000_000;
        chart.push(now, 5.0);
        let point = |ago, rate, saved| Point { at: now - ago, frames_per_second: Some(rate), saved: Some(saved) };
        chart.set_history(vec![point(HISTORY_SPAN - 60, 1.0, 7.0), point(0, 100.0, 8.0)]);
        let lines = chart.lines(&Jobs::default(), now, 4);
        assert_eq!(lines.frames_per_second, [Some(1.0), None, None, Some(5.0)]);
        assert_eq!((lines.span, lines.saved), (HISTORY_SPAN, vec![Some(7.0), Some(0.0), Some(0.0), Some(8.0)]));
    }
}
