//! Where a video is cut into scenes: the parts of it in which cuts are looked for side by side, and the scenes that come of them.
//!
//! Av1an looks for cuts on little more than one CPU; of a whole film that leaves a large machine idle for a long time. Parts
//! depend on the number of frames alone, so that any pod finds the same scenes, and a later run goes on with those that are done.

use crate::av1an::{Av1anError, SceneList};

/// Shortest scene in frames.
pub const MIN_SCENE: u64 = 24;
/// Frames before a part that are looked at with it, so that it finds what the whole would: a cut depends on the frames round it
/// and on the one before.
const LEAD: u64 = 2 * MIN_SCENE;
/// Parts of a short video, and frames of one at the least and at the most.
const PARTS: u64 = 32;
const LEAST_PART: u64 = 192;
const MOST_PART: u64 = 2_000;

/// Frames in which cuts are looked for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// First frame that is looked at.
    pub from: u64,
    /// First frame whose cut counts.
    pub start: u64,
    /// Frame behind the last.
    pub end: u64,
}

/// The parts of a video of so many frames.
#[must_use]
pub fn parts(frames: u64) -> Vec<Part> {
    let size = frames.div_ceil(PARTS).clamp(LEAST_PART, MOST_PART);
    let starts = (0..frames.div_ceil(size)).map(|part| part * size);
    starts.map(|start| Part { from: start.saturating_sub(LEAD), start, end: (start + size).min(frames) }).collect()
}

impl Part {
    /// The cuts that Av1an's answer on this part has, as frames of the video.
    ///
    /// # Errors
    /// [`Av1anError`] when the answer can't be read or is about another number of frames.
    pub fn cuts(&self, json: &[u8]) -> Result<Vec<u64>, Av1anError> {
        let frames = self.end.saturating_sub(self.from);
        let found = SceneList::parse(json, frames)?;
        let cuts = found.scenes.iter().filter_map(|scene| self.from.checked_add(scene.start_frame));
        Ok(cuts.filter(|cut| (self.start.max(1)..self.end).contains(cut)).collect())
    }
}

/// The scenes between `cuts`: none shorter than [`MIN_SCENE`] but the last, and longer ones than `longest` in equal pieces.
#[must_use]
pub fn scenes(mut cuts: Vec<u64>, frames: u64, longest: u32) -> Vec<(u64, u64)> {
    cuts.sort_unstable();
    let (mut scenes, mut start) = (Vec::new(), 0);
    let mut scene = |start: u64, end: u64| {
        let pieces = (end - start).div_ceil(u64::from(longest.max(1))).max(1);
        let at = |piece: u64| start + (end - start) * piece / pieces;
        scenes.extend((0..pieces).map(|piece| (at(piece), at(piece + 1))));
    };
    for cut in cuts {
        if cut < frames && cut >= start + MIN_SCENE {
            scene(start, cut);
            start = cut;
        }
    }
    if frames > start {
        scene(start, frames);
    }
    scenes
}

/// `scenes.json` as Av1an takes it.
///
/// # Errors
/// Never with these fields; the type says so to keep the caller honest.
pub fn to_json(scenes: &[(u64, u64)], frames: u64) -> Result<Vec<u8>, serde_json::Error> {
    let scenes: Vec<serde_json::Value> = scenes
        .iter()
        .map(|(start, end)| serde_json::json!({ "start_frame": start, "end_frame": end, "zone_overrides": null }))
        .collect();
    serde_json::to_vec(&serde_json::json!({ "frames": frames, "scenes": scenes, "split_scenes": scenes }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parts_cover_the_video_and_are_as_long_as_it_is_worth() {
        let sizes = |frames| parts(frames).iter().map(|part| part.end - part.start).collect::<Vec<_>>();
        assert_eq!((sizes(1), sizes(300), sizes(9_600).len()), (vec![1], vec![192, 108], 32));
        assert_eq!((sizes(172_800).len(), parts(0).len()), (87, 0));
        assert_eq!(parts(300)[1], Part { from: 144, start: 192, end: 300 });
    }

    #[test]
    fn cuts_before_a_part_are_those_of_the_part_before() {
        let part = Part { from: 144, start: 192, end: 300 };
        let json = br#"{"frames":156,"scenes":[{"start_frame":0,"end_frame":30},{"start_frame":30,"end_frame":48},{"start_frame":48,"end_frame":100},{"start_frame":100,"end_frame":156}],"split_scenes":null}"#;
        assert_eq!(part.cuts(json).unwrap(), [192, 244]);
        assert!(Part { end: 301, ..part }.cuts(json).is_err() && part.cuts(b"{}").is_err());
        let first = Part { from: 0, start: 0, end: 156 };
        assert_eq!(first.cuts(json).unwrap(), [30, 48, 100]);
    }

    #[test]
    fn a_scene_is_no_shorter_than_the_shortest_and_no_longer_than_the_longest() {
        assert_eq!(scenes(vec![100, 110, 124], 130, 240), [(0, 100), (100, 124), (124, 130)]);
        assert_eq!(scenes(vec![10], 500, 240), [(0, 166), (166, 333), (333, 500)]);
        assert_eq!(scenes(vec![], 0, 240), []);
    }

    proptest! {
        #[test]
        fn any_cuts_make_scenes_that_av1an_takes(cuts in proptest::collection::vec(0_u64..5_000, 0..40), frames in 1_u64..5_000, longest in 24_u32..300) {
            let made = scenes(cuts, frames, longest);
            prop_assert!(made.iter().all(|(start, end)| end - start <= u64::from(longest)));
            prop_assert_eq!(crate::av1an::scenes(&to_json(&made, frames).unwrap(), frames).unwrap(), made.len());
        }

        #[test]
        fn any_answer_is_read_without_a_panic(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let part = Part { from: u64::MAX - 3, start: u64::MAX - 2, end: u64::MAX };
            let _ = (part.cuts(text.as_bytes()), part.cuts(&bytes));
            let _ = part.cuts(br#"{"frames":3,"scenes":[{"start_frame":9,"end_frame":1}]}"#);
        }
    }
}
