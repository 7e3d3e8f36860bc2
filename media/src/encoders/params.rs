//! What each encoder takes, as tables: the ranges of what the settings name, and the further parameters that users may give.
//!
//! Source: the encoders' own help, of SVT-AV1 4.2.0 (`SvtAv1EncApp --help`), libaom 3.14.1 (`aomenc --help`) and rav1e 0.8.1
//! (`rav1e --help`). Left out on purpose: paths, rate control other than constant quality (scenes would not be comparable),
//! passes, threads, input and output, and what the plan sets.

use super::Encoder;

/// Values that a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Values {
    /// A whole number.
    Whole(i64, i64),
    /// A decimal number.
    Decimal(f64, f64),
    /// One of these.
    OneOf(&'static [&'static str]),
}

/// A parameter that users may give.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Param {
    /// Its name, as in the encoder's help, without dashes.
    pub key: &'static str,
    /// What it takes.
    pub values: Values,
}

/// What a setting of ours is called in an encoder, and what it takes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The encoder's name of it, without dashes.
    pub key: &'static str,
    /// Least value.
    pub from: u32,
    /// Highest value.
    pub to: u32,
}

/// The settings that every encoder has in some form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ranges {
    /// Constant rate factor.
    pub crf: Range,
    /// Preset.
    pub preset: Range,
    /// Strength of grain synthesis.
    pub film_grain: Range,
    /// Frames that are looked ahead.
    pub lookahead: Range,
}

const fn range(key: &'static str, from: u32, to: u32) -> Range {
    Range { key, from, to }
}

const fn whole(key: &'static str, from: i64, to: i64) -> Param {
    Param { key, values: Values::Whole(from, to) }
}

const fn one_of(key: &'static str, words: &'static [&'static str]) -> Param {
    Param { key, values: Values::OneOf(words) }
}

/// SVT-AV1's CRF goes up to 70 and down in quarters, and its preset to -1 for debugging: neither is used. The lookahead of
/// libaom is bound by its frame buffers, that of rav1e by reason: neither help names a limit.
#[must_use]
pub fn ranges(encoder: Encoder) -> Ranges {
    match encoder {
        Encoder::SvtAv1 => Ranges {
            crf: range("crf", 1, 63),
            preset: range("preset", 0, 13),
            film_grain: range("film-grain", 0, 50),
            lookahead: range("lookahead", 0, 120),
        },
        Encoder::Aom => Ranges {
            crf: range("cq-level", 0, 63),
            preset: range("cpu-used", 0, 6),
            film_grain: range("denoise-noise-level", 0, 50),
            lookahead: range("lag-in-frames", 0, 48),
        },
        Encoder::Rav1e => Ranges {
            crf: range("quantizer", 0, 255),
            preset: range("speed", 0, 10),
            film_grain: range("photon-noise", 0, 64),
            lookahead: range("rdo-lookahead-frames", 1, 120),
        },
    }
}

/// The further parameters that users may give, by name.
#[must_use]
pub fn further(encoder: Encoder) -> &'static [Param] {
    match encoder {
        Encoder::SvtAv1 => SVT_AV1,
        Encoder::Aom => AOM,
        Encoder::Rav1e => RAV1E,
    }
}

const SVT_AV1: &[Param] = &[
    Param { key: "ac-bias", values: Values::Decimal(0.0, 8.0) },
    whole("adaptive-film-grain", 0, 1),
    whole("aq-mode", 0, 2),
    whole("chroma-qm-max", 0, 15),
    whole("chroma-qm-min", 0, 15),
    whole("enable-cdef", 0, 1),
    whole("enable-dg", 0, 1),
    whole("enable-dlf", 0, 2),
    whole("enable-intrabc", 0, 1),
    whole("enable-kf-tf", 0, 1),
    whole("enable-mfmv", -1, 1),
    whole("enable-overlays", 0, 1),
    whole("enable-qm", 0, 1),
    whole("enable-restoration", 0, 1),
    whole("enable-tf", 0, 2),
    whole("enable-variance-boost", 0, 1),
    whole("fast-decode", 0, 2),
    whole("film-grain-denoise", 0, 1),
    whole("hbd-mds", -1, 2),
    whole("hierarchical-levels", 2, 5),
    whole("key-frame-chroma-qindex-offset", -256, 255),
    whole("key-frame-qindex-offset", -256, 255),
    whole("luminance-qp-bias", 0, 100),
    one_of("max-tx-size", &["32", "64"]),
    whole("qm-max", 0, 15),
    whole("qm-min", 0, 15),
    whole("qp-scale-compress-strength", 0, 3),
    whole("recode-loop", 0, 4),
    whole("scm", 0, 3),
    whole("sharpness", -7, 7),
    one_of("startup-mg-size", &["0", "2", "3", "4"]),
    whole("startup-qp-offset", -63, 63),
    whole("tf-strength", 0, 4),
    whole("tile-columns", 0, 4),
    whole("tile-rows", 0, 6),
    whole("tune", 0, 5),
    whole("use-fixed-qindex-offsets", 0, 2),
    whole("variance-boost-curve", 0, 2),
    whole("variance-boost-strength", 1, 4),
    whole("variance-octile", 1, 8),
];

const AOM: &[Param] = &[
    whole("aq-mode", 0, 3),
    whole("arnr-maxframes", 0, 15),
    whole("arnr-strength", 0, 6),
    whole("coeff-cost-upd-freq", 0, 3),
    whole("delta-lf-mode", 0, 1),
    whole("deltaq-mode", 0, 6),
    whole("disable-trellis-quant", 0, 3),
    one_of("dist-metric", &["psnr", "qm-psnr"]),
    whole("enable-adaptive-sharpness", 0, 1),
    whole("enable-cdef", 0, 3),
    whole("enable-chroma-deltaq", 0, 1),
    whole("enable-dnl-denoising", 0, 1),
    whole("enable-dual-filter", 0, 1),
    whole("enable-global-motion", 0, 1),
    whole("enable-intrabc", 0, 1),
    // 2 breaks random access at the joints of scenes.
    whole("enable-keyframe-filtering", 0, 1),
    whole("enable-obmc", 0, 1),
    whole("enable-palette", 0, 1),
    whole("enable-qm", 0, 1),
    whole("enable-restoration", 0, 1),
    whole("enable-tpl-model", 0, 1),
    whole("enable-warped-motion", 0, 1),
    whole("frame-boost", 0, 1),
    whole("gf-max-pyr-height", 0, 5),
    whole("gf-min-pyr-height", 0, 5),
    whole("loopfilter-control", 0, 3),
    one_of("max-partition-size", &["4", "8", "16", "32", "64", "128"]),
    whole("max-reference-frames", 3, 7),
    one_of("min-partition-size", &["4", "8", "16", "32", "64", "128"]),
    whole("mode-cost-upd-freq", 0, 3),
    whole("mv-cost-upd-freq", 0, 3),
    whole("qm-max", 0, 15),
    whole("qm-min", 0, 15),
    whole("reduced-tx-type-set", 0, 1),
    one_of("sb-size", &["dynamic", "64", "128"]),
    whole("sharpness", 0, 7),
    whole("tile-columns", 0, 6),
    whole("tile-rows", 0, 6),
    one_of("tune", &["psnr", "ssim", "iq", "ssimulacra2"]),
    one_of("tune-content", &["default", "screen", "film"]),
];

const RAV1E: &[Param] = &[
    one_of("tile-cols", &["1", "2", "4", "8", "16", "32", "64"]),
    one_of("tile-rows", &["1", "2", "4", "8", "16", "32", "64"]),
    whole("tiles", 1, 64),
    one_of("tune", &["Psnr", "Psychovisual"]),
];

impl Values {
    /// Whether `value` is one of them.
    #[must_use]
    pub fn take(&self, value: &str) -> bool {
        match self {
            Self::Whole(from, to) => value.parse::<i64>().is_ok_and(|number| (from..=to).contains(&&number)),
            Self::Decimal(from, to) => {
                let plain = value.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
                plain && value.parse::<f64>().is_ok_and(|number| (from..=to).contains(&&number))
            }
            Self::OneOf(words) => words.contains(&value),
        }
    }
}

impl std::fmt::Display for Values {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Whole(from, to) => write!(f, "{from} to {to}"),
            Self::Decimal(from, to) => write!(f, "{from:.1} to {to:.1}"),
            Self::OneOf(words) => f.write_str(&words.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_hold_no_key_twice_or_that_a_setting_has() {
        for encoder in Encoder::ALL {
            let table = further(encoder);
            assert!(table.windows(2).all(|pair| pair[0].key < pair[1].key), "{encoder:?}");
            let own = ranges(encoder);
            let own = [own.crf.key, own.preset.key, own.film_grain.key, own.lookahead.key];
            assert!(table.iter().all(|param| !own.contains(&param.key)));
        }
    }

    #[test]
    fn values_are_held_to_their_ranges() {
        let sharpness = Values::Whole(-7, 7);
        assert!(["-7", "0", "7"].iter().all(|value| sharpness.take(value)));
        assert!(["8", "-8", "1.5", "", "x", "0x1"].iter().all(|value| !sharpness.take(value)));
        let bias = Values::Decimal(0.0, 8.0);
        assert!(["0", "1.25", "8"].iter().all(|value| bias.take(value)));
        assert!(["8.1", "-1", "nan", "inf", "1e0"].iter().all(|value| !bias.take(value)));
        assert_eq!(
            (sharpness.to_string(), bias.to_string(), Values::OneOf(&["a", "b"]).to_string()),
            ("-7 to 7".to_owned(), "0.0 to 8.0".to_owned(), "a, b".to_owned())
        );
    }
}
