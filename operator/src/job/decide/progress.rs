//! Progress in the status: at once when a stage begins, then with every ninetieth of the frames and 10 s too, so that a run of
//! whatever length is at most a hundred writes. Finer figures are in the metrics. Pure.

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
        // What comes and goes may do so for days, as long as the encode gets on; one that keeps no chunks always begins anew.
        if self.keeps_chunks() && page.chunks_done > page.chunks_resumed {
            self.out.status.fruitless = 0;
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
    /// Writes of one stage; with one for each stage a run has at most a hundred.
    const MOST: u128 = 90;
    let Some(old) = old else { return true };
    let age = old.updated_at.parse::<Timestamp>().map_or(i64::MAX, |at| now.as_second() - at.as_second());
    // Figures from the future were written before the clock was put back.
    let age = if age < 0 { i64::MAX } else { age };
    let passed = u128::from(page.frames).saturating_sub(u128::try_from(old.frames).unwrap_or(0));
    let total = u128::from(page.total_frames);
    old.stage != page.stage.as_str() || (age >= 10 && total > 0 && passed * MOST >= total)
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

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + seconds).unwrap()
    }

    fn page(stage: Stage, frames: u64) -> EncodeProgress {
        EncodeProgress { stage, frames, total_frames: 9_000, ..EncodeProgress::default() }
    }

    #[test]
    fn progress_is_written_at_once_then_by_frames_and_time() {
        let start = at(0);
        assert!(due(None, &page(Stage::Encoding, 1), start));
        let written = progress(&page(Stage::Encoding, 100), start);
        assert_eq!(written.percent, "1%");
        let table = [(199, 3_600, false), (200, 9, false), (200, 10, true), (100, 3_600, false), (9_000, 10, true)];
        for (frames, seconds, expected) in table {
            let page = page(Stage::Encoding, frames);
            assert_eq!(due(Some(&written), &page, at(seconds)), expected, "{frames} frames after {seconds} s");
        }
        assert!(due(Some(&written), &page(Stage::Muxing, 100), at(1)));
        assert!(due(Some(&written), &page(Stage::Encoding, 200), at(-86_400)), "the clock was put back");
    }

    #[test]
    fn an_encode_of_whatever_length_is_at_most_a_hundred_writes() {
        use Stage::{Analysing, Encoding, Finished, Muxing, Probing, Rehearsing, SplittingScenes, Verifying};
        for hours in [1, 24, 24 * 14] {
            let (mut old, mut writes) = (None::<Progress>, 0);
            let mut look = |page: &EncodeProgress, second| {
                if due(old.as_ref(), page, at(second)) {
                    (old, writes) = (Some(progress(page, at(second))), writes + 1);
                }
            };
            for (second, stage) in [Probing, Rehearsing, Analysing, SplittingScenes].into_iter().enumerate() {
                look(&page(stage, 0), second as i64);
            }
            let seconds = hours * 3_600_i64;
            for second in (10..=seconds).step_by(3) {
                look(&page(Encoding, (9_000 * second / seconds) as u64), second);
            }
            for (after, stage) in [Muxing, Verifying, Finished].into_iter().enumerate() {
                look(&page(stage, 9_000), seconds + after as i64);
            }
            assert!((90..=100).contains(&writes), "{writes} writes in {hours} h");
        }
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
