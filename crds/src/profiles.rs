//! The profiles as data: what each asks of each encoder, by the height of the picture. The plan, the descriptions in the
//! definitions and the reference are made from these tables. Pure data and its words.

use std::fmt::Write;

use crate::encoding::{Metric, Profile};

/// What a profile asks for from a height class up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// From this height class up, in lines; the height of a picture counts, or 9/16 of its width when that is more.
    pub height: u32,
    /// Constant rate factor of SVT-AV1 and libaom.
    pub crf: u32,
    /// Preset of SVT-AV1.
    pub preset: u32,
    /// `cpu-used` of libaom.
    pub cpu_used: u32,
    /// Quantizer of rav1e.
    pub quantizer: u32,
    /// Speed of rav1e.
    pub speed: u32,
}

/// One profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Which.
    pub profile: Profile,
    /// By height class, the highest first; the last is for every height.
    pub rows: &'static [Row],
    /// What is added to the rate factor when the source's bitrate is very low for its size.
    pub very_low_adds: u32,
    /// Strength of grain synthesis; 0 is none.
    pub film_grain: u32,
    /// Least and most flatness of quantisation matrices, when they are used.
    pub matrices: Option<(u32, u32)>,
    /// SVT-AV1's `tune`, when it is not left to the encoder.
    pub tune: Option<u32>,
    /// Frames that the encoder looks ahead, when it is not left to the encoder.
    pub lookahead: Option<u32>,
    /// Most frames from one key frame to the next.
    pub keyframe_interval: u32,
    /// Whether black borders are cut off unless the settings say otherwise.
    pub crop: bool,
}

/// Rows of `QualityFirst`, which `TargetQuality` starts from too.
const QUALITY_FIRST: &[Row] = &[
    Row { height: 2160, crf: 21, preset: 3, cpu_used: 3, quantizer: 75, speed: 3 },
    Row { height: 1440, crf: 22, preset: 4, cpu_used: 3, quantizer: 75, speed: 3 },
    Row { height: 1080, crf: 23, preset: 4, cpu_used: 4, quantizer: 75, speed: 3 },
    Row { height: 0, crf: 24, preset: 5, cpu_used: 5, quantizer: 75, speed: 3 },
];

/// What `QualityFirst` asks for; the others differ from it.
const PLAIN: Table = Table {
    profile: Profile::QualityFirst,
    rows: QUALITY_FIRST,
    very_low_adds: 1,
    film_grain: 0,
    matrices: None,
    tune: None,
    lookahead: None,
    keyframe_interval: 240,
    crop: false,
};

/// Every profile.
pub const TABLES: [Table; 4] = [
    PLAIN,
    Table {
        profile: Profile::FilmGrain,
        rows: &[
            Row { height: 1440, crf: 8, preset: 3, cpu_used: 3, quantizer: 32, speed: 3 },
            Row { height: 1080, crf: 8, preset: 3, cpu_used: 4, quantizer: 32, speed: 3 },
            Row { height: 0, crf: 8, preset: 3, cpu_used: 5, quantizer: 32, speed: 3 },
        ],
        very_low_adds: 0,
        film_grain: 20,
        matrices: Some((1, 15)),
        tune: Some(0),
        lookahead: Some(40),
        ..PLAIN
    },
    Table {
        profile: Profile::Balanced,
        rows: &[
            Row { height: 1081, crf: 29, preset: 6, cpu_used: 6, quantizer: 116, speed: 6 },
            Row { height: 0, crf: 25, preset: 6, cpu_used: 6, quantizer: 100, speed: 6 },
        ],
        very_low_adds: 0,
        tune: Some(0),
        crop: true,
        ..PLAIN
    },
    Table { profile: Profile::TargetQuality, very_low_adds: 0, ..PLAIN },
];

/// The table of `profile`.
#[must_use]
pub fn table(profile: Profile) -> &'static Table {
    TABLES.iter().find(|table| table.profile == profile).unwrap_or(&TABLES[0])
}

impl Table {
    /// The row for a height class.
    #[must_use]
    pub fn row(&self, class: u32) -> Row {
        self.rows.iter().find(|row| class >= row.height).or(self.rows.last()).copied().unwrap_or(QUALITY_FIRST[0])
    }

    /// What the profile asks of SVT-AV1, in words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        for row in self.rows {
            let from = if row.height == 0 && self.rows.len() == 1 {
                String::new()
            } else if row.height == 0 {
                " below".to_owned()
            } else {
                format!(" from {} lines", row.height)
            };
            let _ = write!(text, "{}CRF {} preset {}{from}", separator(&text), row.crf, row.preset);
        }
        if self.profile == Profile::FilmGrain {
            text = format!("CRF {} preset {}", self.rows[0].crf, self.rows[0].preset);
        }
        if self.very_low_adds > 0 {
            let _ = write!(text, ", CRF {} more for sources of very low bitrate", self.very_low_adds);
        }
        if self.film_grain > 0 {
            let _ = write!(text, ", film-grain {}", self.film_grain);
        }
        if let Some((min, max)) = self.matrices {
            let _ = write!(text, ", enable-qm 1, qm-min {min}, qm-max {max}");
        }
        if let Some(tune) = self.tune {
            let _ = write!(text, ", tune {tune}");
        }
        if let Some(lookahead) = self.lookahead {
            let _ = write!(text, ", lookahead {lookahead}");
        }
        let _ = write!(text, ", a key frame every {} frames at least", self.keyframe_interval);
        if self.crop {
            text.push_str(", black bars cut off");
        }
        text
    }
}

fn separator(text: &str) -> &'static str {
    if text.is_empty() { "" } else { ", " }
}

/// The description of `encode.profile`.
#[must_use]
pub fn profile_text() -> String {
    let mut text = "What the encode aims at; the figures are SVT-AV1's.".to_owned();
    for table in &TABLES {
        let aim = match table.profile {
            Profile::QualityFirst => "results that look like the source",
            Profile::FilmGrain => "grainy film",
            Profile::Balanced => "smaller files in less time",
            Profile::TargetQuality => "a range of a quality metric",
        };
        let words = match table.profile {
            Profile::TargetQuality => {
                "the CRF of each scene is searched to land in encode.targetQuality, presets of QualityFirst".to_owned()
            }
            _ => table.in_words(),
        };
        let _ = write!(text, " {}: {aim}; {words}.", table.profile.as_str());
    }
    text + " Default: QualityFirst."
}

/// Metric, least and highest score that `TargetQuality` aims at unless told otherwise. VMAF's are the users' own; the others
/// are where a picture is hard to tell from its source.
const TARGETS: [(Metric, &str, &str); 3] =
    [(Metric::Vmaf, "93", "95"), (Metric::Xpsnr, "40", "42"), (Metric::Ssimulacra2, "78", "82")];

/// The range that `TargetQuality` aims at by `metric` unless told otherwise.
#[must_use]
pub fn target_range(metric: Metric) -> (&'static str, &'static str) {
    TARGETS.iter().find(|(m, ..)| *m == metric).map_or(("0", "100"), |(_, min, max)| (*min, *max))
}

/// A description with the defaults of one end of the range.
#[must_use]
pub fn target_text(what: &str, end: usize) -> String {
    let words: Vec<String> = TARGETS
        .iter()
        .map(|(metric, min, max)| format!("{} with {}", [min, max][end.min(1)], metric.as_str()))
        .collect();
    format!("{what} Default: {}.", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_has_a_table_that_ends_with_a_row_for_every_height() {
        for profile in Profile::ALL {
            let table = table(profile);
            assert_eq!(table.profile, profile);
            assert_eq!(table.rows.last().unwrap().height, 0);
            assert!(table.rows.windows(2).all(|rows| rows[0].height > rows[1].height));
        }
    }

    #[test]
    fn the_tables_in_words_hold_the_users_numbers() {
        let text = profile_text();
        for part in [
            "QualityFirst: results that look like the source; CRF 21 preset 3 from 2160 lines, CRF 22 preset 4 from 1440 lines, CRF 23 preset 4 from 1080 lines, CRF 24 preset 5 below",
            "FilmGrain: grainy film; CRF 8 preset 3, film-grain 20, enable-qm 1, qm-min 1, qm-max 15, tune 0, lookahead 40, a key frame every 240 frames",
            "Balanced: smaller files in less time; CRF 29 preset 6 from 1081 lines, CRF 25 preset 6 below, tune 0",
            "at least, black bars cut off. TargetQuality: a range of a quality metric; the CRF",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(target_text("x", 1), "x Default: 95 with Vmaf, 42 with Xpsnr, 82 with Ssimulacra2.");
    }
}
