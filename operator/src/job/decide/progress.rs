//! Progress in the status: the first figures at once, then when a percent has passed and 10 s too, at the least every 60 s
//! while frames come. Finer figures are in the metrics. Pure.

use av1_crds::conditions::{self, reason};
use av1_crds::job::Progress;
use av1_crds::wire::EncodeProgress;
use jiff::Timestamp;

use super::Draft;
use av1_crds::figures;

impl Draft<'_> {
    pub(super) fn take_progress(&mut self) {
        let Some(page) = &self.observed.progress else {
            return;
        };
        if !page.pinning.cpus.is_empty() {
            self.out.status.pinning = Some(page.pinning.clone());
            self.pinned();
        }
        if page.source.is_some() && self.out.status.source.is_none() {
            self.out.status.source.clone_from(&page.source);
        }
        if page.media.is_some() && self.out.status.media.is_none() {
            self.out.status.media.clone_from(&page.media);
        }
        if page.classification.is_some() && self.out.status.classification.is_none() {
            self.out.status.classification.clone_from(&page.classification);
        }
        if page.plan.is_some() && self.out.status.plan != page.plan {
            self.out.status.plan.clone_from(&page.plan);
        }
        if due(self.out.status.progress.as_ref(), page, self.observed.now) {
            self.out.status.progress = Some(progress(page, self.observed.now));
        }
    }

    /// The Pinned condition, from what the pod saw.
    pub(super) fn pinned(&mut self) {
        let Some(pinning) = self.out.status.pinning.clone().filter(|p| !p.cpus.is_empty()) else {
            return;
        };
        if pinning.exclusive {
            self.set(
                conditions::PINNED,
                true,
                reason::EXCLUSIVE_CPUS,
                format!("CPUs {} are the pod's own", pinning.cpus),
            );
        } else {
            let message = format!(
                "CPUs {} are shared with other pods: the node's CPU manager policy is not static, or the CPUs are not whole",
                pinning.cpus
            );
            self.set(conditions::PINNED, false, reason::SHARED_CPUS, message);
        }
    }
}

/// Whether `page` is to be written over `old`.
fn due(old: Option<&Progress>, page: &EncodeProgress, now: Timestamp) -> bool {
    let Some(old) = old else { return true };
    let age = old.updated_at.parse::<Timestamp>().map_or(i64::MAX, |at| now.as_second() - at.as_second());
    // Figures from the future were written before the clock was put back.
    let age = if age < 0 { i64::MAX } else { age };
    let frames = i64::try_from(page.frames).unwrap_or(i64::MAX);
    old.stage != page.stage.as_str()
        || (age >= 10 && old.percent != percent(page))
        || (age >= 60 && old.frames != frames)
}

fn percent(page: &EncodeProgress) -> String {
    // Rounded down: 100% is said when the last frame is done, not before.
    let hundredfold = u128::from(page.frames) * 100;
    format!("{}%", hundredfold.checked_div(u128::from(page.total_frames)).unwrap_or(0).min(100))
}

fn progress(page: &EncodeProgress, now: Timestamp) -> Progress {
    let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    Progress {
        stage: page.stage.as_str().to_owned(),
        percent: percent(page),
        frames: whole(page.frames),
        total_frames: whole(page.total_frames),
        frames_per_second: format!("{:.1}", page.frames_per_second),
        eta_seconds: page.eta_seconds.map(whole),
        eta: page.eta_seconds.map(figures::duration),
        bit_rate: page.bit_rate.map(whole),
        projected_size: page.projected_size.map(whole),
        updated_at: now.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use av1_crds::wire::Stage;

    #[test]
    fn progress_is_written_at_once_then_by_percent_and_time() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let at = |seconds: i64| start.checked_add(jiff::SignedDuration::from_secs(seconds)).unwrap();
        let page = |frames| EncodeProgress {
            stage: Stage::Encoding,
            frames,
            total_frames: 10_000,
            ..EncodeProgress::default()
        };
        assert!(due(None, &page(1), start));
        let written = progress(&page(100), start);
        assert_eq!(written.percent, "1%");
        let table = [(150, 59, false), (150, 60, true), (200, 9, false), (200, 10, true), (100, 3_600, false)];
        for (frames, seconds, expected) in table {
            assert_eq!(due(Some(&written), &page(frames), at(seconds)), expected, "{frames} frames after {seconds} s");
        }
        let muxing = EncodeProgress { stage: Stage::Muxing, ..page(100) };
        assert!(due(Some(&written), &muxing, at(1)));
        assert!(due(Some(&written), &page(2), at(-86_400)), "the clock was put back");
    }

    #[test]
    fn fuzz_any_progress_page_is_taken_over() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let most =
            r#"{"frames":18446744073709551615,"totalFrames":18446744073709551615,"etaSeconds":18446744073709551615}"#;
        av1_fuzz::Fuzz::new("progress-page").sample(av1_fuzz::samples::PROGRESS).large(most).run(|bytes| {
            if let Ok(page) = serde_json::from_slice::<EncodeProgress>(bytes) {
                let written = progress(&page, now);
                assert!(!due(Some(&written), &page, now));
            }
        });
    }
}
