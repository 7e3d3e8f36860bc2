//! The search for the rate factor of a scene: from what was tried and scored to what is tried next, or kept.
//!
//! Each try is the scene itself at the plan's own preset, so that the last one is the result: nothing is guessed from a faster
//! encode. Scores are taken to fall with the rate factor; where they do not, the search ends with the best that was seen.

use av1_crds::encoding::{Metric, TargetQuality};
use av1_crds::wire::Check;
use serde::{Deserialize, Serialize};

/// Name of the row.
pub const TARGET_QUALITY: &str = "TargetQuality";
/// Most tries of a scene.
pub const MOST_TRIES: usize = 8;
/// Most steps of the rate factor beyond what was tried.
const MOST_STEPS: f64 = 15.0;

/// What is searched for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Goal {
    /// The metric.
    pub metric: Metric,
    /// Least score.
    pub min: f64,
    /// Highest score that is aimed at.
    pub max: f64,
    /// Least rate factor of the encoder.
    pub from: u32,
    /// Highest.
    pub to: u32,
}

impl Goal {
    /// The goal of settings that were checked, for an encoder that takes rate factors `from` to `to`.
    #[must_use]
    pub fn new(target: &TargetQuality, from: u32, to: u32) -> Option<Self> {
        Some(Self { metric: target.metric, min: target.min.parse().ok()?, max: target.max.parse().ok()?, from, to })
    }

    fn hits(&self, score: f64) -> bool {
        (self.min..=self.max).contains(&score)
    }

    /// By how much a score falls with a step of the rate factor, before anything is known of a scene; of 63 steps.
    fn slope(&self) -> f64 {
        let steps = f64::from(self.to) / 63.0;
        let slope = match self.metric {
            Metric::Xpsnr | Metric::Psnr => 0.3,
            Metric::Vmaf => 0.6,
            Metric::Ssimulacra2 => 1.0,
            Metric::Ssim => 0.001,
        };
        slope / steps.max(1.0)
    }
}

/// A scene at one rate factor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Try {
    /// The rate factor.
    pub crf: u32,
    /// The mean score of its frames.
    pub score: f64,
}

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The scene is encoded again at this rate factor.
    Again(u32),
    /// The try at this rate factor is kept.
    Keep(u32),
}

/// What follows from `tries`, in the order in which they were made; there is at least one.
#[must_use]
pub fn next(goal: &Goal, tries: &[Try]) -> Next {
    if let Some(hit) = tries.iter().find(|one| goal.hits(one.score)) {
        return Next::Keep(hit.crf);
    }
    let too_good = tries.iter().filter(|one| one.score > goal.max).max_by_key(|one| one.crf);
    let too_bad = tries.iter().filter(|one| one.score < goal.min).min_by_key(|one| one.crf);
    let low = too_good.map_or(goal.from, |one| one.crf.saturating_add(1));
    let high = too_bad.map_or(goal.to, |one| one.crf.saturating_sub(1));
    if tries.len() >= MOST_TRIES || low > high || low < goal.from || high > goal.to {
        return Next::Keep(best(goal, tries));
    }
    // Between a try that is too good and one that is too bad the next one takes off a quarter at least: scores bend.
    let quarter = if too_good.is_some() && too_bad.is_some() { (high - low) / 4 } else { 0 };
    Next::Again(estimate(goal, tries, too_good, too_bad).clamp(low + quarter, high - quarter))
}

/// Where the middle of the range is to be expected.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn estimate(goal: &Goal, tries: &[Try], too_good: Option<&Try>, too_bad: Option<&Try>) -> u32 {
    let middle = f64::midpoint(goal.min, goal.max);
    let slope_of = |a: &Try, b: &Try| (a.score - b.score) / (f64::from(b.crf) - f64::from(a.crf));
    let pair = match (too_good, too_bad) {
        (Some(good), Some(bad)) => Some((good, bad)),
        _ => tries.len().checked_sub(2).and_then(|at| Some((tries.get(at)?, tries.get(at + 1)?))),
    };
    let slope = pair.map(|(a, b)| slope_of(a, b)).filter(|slope| slope.is_finite() && *slope > goal.slope() / 20.0);
    let Some(last) = too_good.or(too_bad) else { return goal.from };
    let steps = ((last.score - middle) / slope.unwrap_or_else(|| goal.slope())).clamp(-MOST_STEPS, MOST_STEPS);
    (f64::from(last.crf) + steps).round().clamp(f64::from(goal.from), f64::from(goal.to)) as u32
}

/// The smallest file that is good enough, else the best score.
fn best(goal: &Goal, tries: &[Try]) -> u32 {
    let enough = tries.iter().filter(|one| one.score >= goal.min).max_by_key(|one| one.crf);
    enough.or_else(|| tries.iter().max_by(|a, b| a.score.total_cmp(&b.score))).map_or(goal.from, |one| one.crf)
}

/// The row over what was kept of each scene.
#[must_use]
pub fn judge(goal: &Goal, kept: &[Try]) -> Check {
    let below = kept.iter().filter(|one| one.score < goal.min).count();
    let above = kept.iter().filter(|one| one.score > goal.max).count();
    let scores = kept.iter().map(|one| one.score);
    let (least, most) = (scores.clone().fold(f64::INFINITY, f64::min), scores.fold(f64::NEG_INFINITY, f64::max));
    let metric = goal.metric.as_str();
    let range = crf_range(kept).unwrap_or_default();
    Check {
        name: TARGET_QUALITY.to_owned(),
        passed: below == 0 && !kept.is_empty(),
        expected: format!("each of {} scenes from {} to {} {metric}", kept.len(), goal.min, goal.max),
        measured: format!(
            "{least:.2} to {most:.2} {metric} at CRF {range}; {below} scenes below, {above} above because no CRF gives less or the next one gives too little"
        ),
    }
}

/// The rate factors of what was kept, such as `18 to 31`.
#[must_use]
pub fn crf_range(kept: &[Try]) -> Option<String> {
    let crfs = || kept.iter().map(|one| one.crf);
    let (least, most) = (crfs().min()?, crfs().max()?);
    Some(if least == most { least.to_string() } else { format!("{least} to {most}") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOAL: Goal = Goal { metric: Metric::Xpsnr, min: 40.0, max: 42.0, from: 1, to: 63 };

    /// Searches a scene whose score at a rate factor is `score`; what is kept, and the number of tries.
    fn search(goal: &Goal, begin: u32, score: impl Fn(u32) -> f64) -> (Try, usize) {
        let mut tries = vec![Try { crf: begin, score: score(begin) }];
        loop {
            match next(goal, &tries) {
                Next::Keep(crf) => return (*tries.iter().find(|one| one.crf == crf).unwrap(), tries.len()),
                Next::Again(crf) => tries.push(Try { crf, score: score(crf) }),
            }
        }
    }

    #[test]
    fn a_score_that_falls_is_brought_into_the_range_in_few_tries() {
        for slope in [0.1, 0.25, 0.4, 0.9] {
            for at_24 in [30.0, 36.0, 41.0, 45.0, 50.0] {
                let (kept, tries) = search(&GOAL, 24, |crf| at_24 - slope * (f64::from(crf) - 24.0));
                let reachable = at_24 + slope * 23.0 >= 40.0 && at_24 - slope * 39.0 <= 42.0;
                assert!(!reachable || (GOAL.hits(kept.score) && tries <= 5), "{slope} {at_24}: {kept:?} after {tries}");
            }
        }
    }

    #[test]
    fn what_cannot_be_reached_ends_at_the_nearest_end_of_the_encoders_range() {
        assert_eq!(search(&GOAL, 24, |_| 100.0).0.crf, 63, "black is too good at any rate factor");
        let (kept, tries) = search(&GOAL, 24, |crf| 30.0 - 0.1 * f64::from(crf));
        assert!(kept.crf <= 4 && tries <= MOST_TRIES, "{kept:?}");
        let steep = |crf: u32| if crf <= 30 { 45.0 } else { 35.0 };
        assert_eq!(search(&GOAL, 24, steep).0.crf, 30, "good enough wins over too little");
    }

    #[test]
    fn a_score_that_does_not_fall_keeps_the_best_that_was_seen() {
        let jagged = |crf: u32| [39.0, 44.0, 38.5, 43.0][crf as usize % 4];
        let (kept, tries) = search(&GOAL, 24, jagged);
        assert!(kept.score >= 40.0 && tries <= MOST_TRIES, "{kept:?}");
    }

    #[test]
    fn the_row_counts_scenes_below_as_failures_and_those_above_not() {
        let scene = |crf, score| Try { crf, score };
        let row = judge(&GOAL, &[scene(30, 41.0), scene(63, 55.5)]);
        assert!(
            row.passed && row.measured.starts_with("41.00 to 55.50 Xpsnr at CRF 30 to 63; 0 scenes below, 1 above")
        );
        assert!(!judge(&GOAL, &[scene(30, 41.0), scene(1, 39.9)]).passed);
        assert!(!judge(&GOAL, &[]).passed);
        assert_eq!(crf_range(&[scene(30, 1.0), scene(30, 1.0)]).as_deref(), Some("30"));
    }

    proptest! {
        #[test]
        fn every_search_ends(begin in 1_u32..64, scores in proptest::collection::vec(-10.0_f64..110.0, 64)) {
            let (kept, tries) = search(&GOAL, begin, |crf| scores[crf as usize]);
            prop_assert!(tries <= MOST_TRIES && (1..=63).contains(&kept.crf));
        }
    }
}
