//! Which scenes are shown before and after, and whether what claims to be a picture of one may be shown. Pure.
//!
//! Must never let anything into a page that is not plain base64 of what begins as a JPEG does: whoever wrote it read media.

use std::collections::BTreeMap;

use av1_crds::wire::{MAX_STILL, MAX_STILL_SIDE, StillPair, StillPlace, Stills};

use super::{FileOutcome, Report};

/// Scenes in one gallery.
const MOST_SCENES: usize = 6;
/// How base64 of a JPEG begins.
const JPEG: &str = "/9j/";

/// A run whose stills there may be: UID of the job, number of the run.
pub(crate) type Run = (String, i64);

/// Stills by run.
pub(crate) type Pictures = BTreeMap<Run, Stills>;

/// Scenes of one kind.
pub(super) struct Gallery<'a> {
    pub(super) title: &'static str,
    pub(super) about: &'static str,
    pub(super) scenes: Vec<(&'a FileOutcome, &'a StillPair)>,
}

impl Report {
    /// The runs whose stills are worth fetching.
    pub(crate) fn runs_with_scenes(&self) -> Vec<Run> {
        let mut runs: Vec<Run> =
            self.chosen().into_iter().flat_map(|(_, files)| files).filter_map(|file| file.stills.clone()).collect();
        runs.sort();
        runs.dedup();
        runs
    }

    /// The galleries that have a scene.
    pub(super) fn galleries<'a>(&'a self, pictures: &'a Pictures) -> Vec<Gallery<'a>> {
        let pair = |file: &FileOutcome, place: StillPlace| {
            let stills = pictures.get(file.stills.as_ref()?)?;
            stills.pairs.iter().find(|pair| pair.place == place && may_be_shown(pair))
        };
        let galleries = self.chosen().into_iter().map(|(place, files)| {
            let (title, about) = words(place);
            let scenes = files.into_iter().filter_map(|file| Some((file, pair(file, place)?))).collect();
            Gallery { title, about, scenes }
        });
        galleries.filter(|gallery| !gallery.scenes.is_empty()).collect()
    }

    fn chosen(&self) -> [(StillPlace, Vec<&FileOutcome>); 3] {
        let mut unscored: Vec<&FileOutcome> = self.files.iter().filter(|file| file.quality.is_none()).collect();
        unscored.sort_by_key(|file| std::cmp::Reverse(file.ended()));
        [
            (StillPlace::Worst, with_stills(self.worst())),
            (StillPlace::Best, with_stills(self.best())),
            (StillPlace::Middle, with_stills(unscored)),
        ]
    }
}

fn with_stills(files: Vec<&FileOutcome>) -> Vec<&FileOutcome> {
    files.into_iter().filter(|file| file.stills.is_some()).take(MOST_SCENES).collect()
}

fn words(place: StillPlace) -> (&'static str, &'static str) {
    match place {
        StillPlace::Worst => (
            "Worst scenes",
            "The frame with the lowest score of the two seconds with the least mean, of the files with the lowest ones.",
        ),
        StillPlace::Best => {
            ("Best scenes", "A frame of the two seconds with the highest mean, of the files with the best scores.")
        }
        StillPlace::Middle => (
            "Scenes",
            "The middle of the latest films. Their quality was not measured: with verify.quality set, the worst and the best scenes are shown.",
        ),
    }
}

fn may_be_shown(pair: &StillPair) -> bool {
    let side = 1..=MAX_STILL_SIDE;
    side.contains(&pair.width) && side.contains(&pair.height) && is_picture(&pair.before) && is_picture(&pair.after)
}

fn is_picture(base64: &str) -> bool {
    let (text, padding) = (base64.trim_end_matches('='), base64.len() - base64.trim_end_matches('=').len());
    text.starts_with(JPEG)
        && padding <= 2
        && base64.len() <= MAX_STILL.div_ceil(3) * 4
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base64_of_a_jpeg_of_the_right_size_is_a_picture() {
        assert!(is_picture("/9j/4AAQSkZJRg==") && is_picture("/9j/"));
        for other in [
            "",
            "iVBORw0KGgo=",
            "/9j/\" onload=\"x",
            "/9j/====",
            "/9j/4AA Q",
            "/9j/<svg>",
            &format!("/9j/{}", "A".repeat(MAX_STILL * 2)),
        ] {
            assert!(!is_picture(other), "{}", &other[..other.len().min(20)]);
        }
    }
}
