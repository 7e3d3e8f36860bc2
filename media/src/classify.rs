//! Where a source seems to come from: words of its path, its bitrate, its frame rate and its size, each with points.
//!
//! Pure. A margin under two points is nothing that anything is decided by.

use av1_crds::wire::{Classification, SourceKind};

/// Points of words of the path, whichever and however many.
const WORDS: i32 = 2;
/// Points of the bitrate.
const BITRATE: i32 = 1;
/// Points of a variable frame rate or an odd size.
const SHAPE: i32 = 1;
/// The least margin that decides.
const MARGIN: i32 = 2;
/// Bits per pixel and frame, H.264 measure, below which a source is like one from the web.
const WEB_BITS: f64 = 0.06;
/// And above which it is like one from a disc.
const DISC_BITS: f64 = 0.15;

/// Words of names of web releases; a word of several parts is that many tokens in a row.
const WEB: &[&str] = &["WEB", "WEBRip", "WEB-DL", "WEBDL", "NF", "AMZN", "DSNP", "HULU", "ATVP", "MAX", "PCOK"];
/// Words of names of what comes from discs.
const DISC: &[&str] = &["BluRay", "Blu-ray", "BDRip", "Remux", "BDMV", "UHD", "DVD"];

/// What a source is judged by.
#[derive(Debug, Clone, Copy)]
pub struct Traits<'a> {
    /// Path below the library's root.
    pub path: &'a str,
    /// Bits per pixel and frame, H.264 measure, when known.
    pub bits: Option<f64>,
    /// Whether the distances of its frames vary.
    pub variable: bool,
    /// Width and height in pixels.
    pub size: (u32, u32),
}

/// Classifies a source.
#[must_use]
pub fn classify(traits: &Traits<'_>) -> Classification {
    let tokens: Vec<String> =
        traits.path.split(|c: char| !c.is_alphanumeric()).filter(|t| !t.is_empty()).map(str::to_lowercase).collect();
    let mut score = 0;
    let mut reasons = Vec::new();
    let mut point = |points: i32, why: String| {
        score += points;
        reasons.push(format!("{points:+} {why}"));
    };
    if let Some(word) = found(&tokens, WEB) {
        point(WORDS, format!("the path has the word {word}"));
    }
    if let Some(word) = found(&tokens, DISC) {
        point(-WORDS, format!("the path has the word {word}"));
    }
    match traits.bits {
        Some(bits) if bits < WEB_BITS => {
            point(BITRATE, format!("{bits:.3} bits per pixel and frame, below {WEB_BITS}"))
        }
        Some(bits) if bits > DISC_BITS => {
            point(-BITRATE, format!("{bits:.3} bits per pixel and frame, above {DISC_BITS}"));
        }
        _ => {}
    }
    let (width, height) = traits.size;
    if traits.variable {
        point(SHAPE, "the frame rate varies".to_owned());
    } else if !width.is_multiple_of(2) || !height.is_multiple_of(2) {
        point(SHAPE, format!("{width}x{height} is odd"));
    }
    let kind = match score {
        MARGIN.. => SourceKind::WebLike,
        score if score <= -MARGIN => SourceKind::DiscLike,
        _ => SourceKind::Unknown,
    };
    Classification { kind, score, reasons }
}

/// The first of `words` that stands among the tokens.
fn found(tokens: &[String], words: &'static [&'static str]) -> Option<&'static str> {
    words.iter().copied().find(|word| {
        let parts: Vec<String> = word.split('-').map(str::to_lowercase).collect();
        tokens.windows(parts.len()).any(|window| window == parts)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(path: &str, bits: f64, variable: bool, size: (u32, u32)) -> (SourceKind, i32) {
        let found = classify(&Traits { path, bits: Some(bits), variable, size });
        (found.kind, found.score)
    }

    const PLAIN: (u32, u32) = (1920, 1080);

    #[test]
    fn words_of_the_path_decide_alone_and_take_each_other_away() {
        for path in
            ["Show.S01E01.1080p.WEB-DL.mkv", "a/show nf web/1.mkv", "x.webrip.mkv", "Show [AMZN]/1.mkv", "X_WEBDL.mkv"]
        {
            assert_eq!(kind(path, 0.1, false, PLAIN), (SourceKind::WebLike, 2), "{path}");
        }
        for path in ["Heat.1995.BluRay.x264.mkv", "Heat (Blu-ray)/Heat.mkv", "UHD/x.mkv", "x dvd.mkv", "Heat REMUX.mkv"]
        {
            assert_eq!(kind(path, 0.1, false, PLAIN), (SourceKind::DiscLike, -2), "{path}");
        }
        assert_eq!(kind("Mad Max (1979) BluRay.mkv", 0.1, false, PLAIN), (SourceKind::Unknown, 0));
    }

    #[test]
    fn parts_of_words_are_no_words() {
        for path in ["Spiderweb.mkv", "Maximum.mkv", "Netflix.mkv", "DVDs.mkv", "Blu Sky-ray.mkv", "Info.mkv"] {
            assert_eq!(kind(path, 0.1, false, PLAIN), (SourceKind::Unknown, 0), "{path}");
        }
    }

    #[test]
    fn bitrate_and_shape_count_one_each_and_decide_only_together() {
        assert_eq!(kind("a.mkv", 0.059, false, PLAIN), (SourceKind::Unknown, 1));
        assert_eq!(kind("a.mkv", 0.059, true, PLAIN), (SourceKind::WebLike, 2));
        assert_eq!(kind("a.mkv", 0.059, true, (853, 480)), (SourceKind::WebLike, 2));
        assert_eq!(kind("a.mkv", 0.06, false, (853, 480)), (SourceKind::Unknown, 1));
        assert_eq!(kind("a.mkv", 0.16, false, PLAIN), (SourceKind::Unknown, -1));
        assert_eq!(kind("a.mkv", 0.15, false, PLAIN), (SourceKind::Unknown, 0));
        assert_eq!(kind("Remux/a.mkv", 0.3, true, PLAIN), (SourceKind::DiscLike, -2));
        assert_eq!(kind("WEB/a.mkv", 0.3, false, PLAIN), (SourceKind::Unknown, 1));
    }

    #[test]
    fn every_point_is_told() {
        let found = classify(&Traits { path: "a WEB-DL.mkv", bits: Some(0.03), variable: true, size: PLAIN });
        assert_eq!(
            found.reasons,
            [
                "+2 the path has the word WEB",
                "+1 0.030 bits per pixel and frame, below 0.06",
                "+1 the frame rate varies"
            ]
        );
        assert_eq!(classify(&Traits { path: "a.mkv", bits: None, variable: false, size: PLAIN }).reasons, [""; 0]);
    }
}
