//! A plan in the words of its encoder: its parameters by the encoder's own names, then as arguments for Av1an or FFmpeg.

use av1_crds::profiles::Table;
use av1_crds::settings::Settings;

use super::Encoder;
use super::check::split;
use super::params::ranges;

/// Parameters of an encoder by its own names, without dashes; a flag has an empty value. No name stands twice.
pub type Params = Vec<(String, String)>;

/// Columns and rows of tiles by height class, for encoders that need them to use several threads.
const TILES: [(u32, u32, u32); 3] = [(2161, 3, 2), (1081, 2, 2), (0, 2, 1)];

/// Columns and rows of tiles for a height class.
#[must_use]
pub fn tiles(class: u32) -> (u32, u32) {
    TILES.iter().find(|(height, ..)| class >= *height).map_or((2, 1), |(_, columns, rows)| (*columns, *rows))
}

/// What a plan asks of its encoder.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Which.
    pub encoder: Encoder,
    /// Constant rate factor.
    pub crf: u32,
    /// Preset.
    pub preset: u32,
    /// Height class of the picture.
    pub class: u32,
    /// The profile.
    pub table: &'a Table,
    /// Effective settings.
    pub settings: &'a Settings,
    /// The source's colour and light, by SVT-AV1's names: `color-primaries`, `9` and so on.
    pub signal: &'a [(String, String)],
}

/// The parameters that decide what the bytes are: those of the profile and the settings, key frames at the start of a scene
/// alone, the colour, and last what the user adds.
#[must_use]
pub fn params(asked: &Asked<'_>) -> Params {
    let names = ranges(asked.encoder);
    let mut params: Params = Vec::new();
    let mut set = |key: &str, value: String| match params.iter_mut().find(|(known, _)| known == key) {
        Some((_, old)) => *old = value,
        None => params.push((key.to_owned(), value)),
    };
    set(names.preset.key, asked.preset.to_string());
    set(names.crf.key, asked.crf.to_string());
    for (key, value) in fixed(asked.encoder) {
        set(key, (*value).to_owned());
    }
    let (columns, rows) = tiles(asked.class);
    if asked.encoder == Encoder::Aom {
        // aomenc takes powers of two alone.
        set("tile-columns", columns.next_power_of_two().ilog2().to_string());
        set("tile-rows", rows.next_power_of_two().ilog2().to_string());
    }
    let grain = asked.settings.film_grain.unwrap_or(asked.table.film_grain);
    if grain > 0 {
        set(names.film_grain.key, grain.to_string());
    }
    if let Some((min, max)) = asked.table.matrices.filter(|_| asked.encoder != Encoder::Rav1e) {
        set("enable-qm", "1".to_owned());
        set("qm-min", min.to_string());
        set("qm-max", max.to_string());
    }
    if let Some(tune) = asked.table.tune.filter(|_| asked.encoder == Encoder::SvtAv1) {
        set("tune", tune.to_string());
    }
    if let Some(frames) = asked.settings.lookahead.or(asked.table.lookahead) {
        set(names.lookahead.key, frames.to_string());
    }
    for (key, value) in asked.signal {
        set(key, value.clone());
    }
    for (key, value) in asked.settings.extra_params.iter().filter_map(|entry| split(entry)) {
        set(key, value.to_owned());
    }
    params
}

/// What holds for every plan: constant quality, and no key frame but the first, since scenes are encoded apart.
fn fixed(encoder: Encoder) -> &'static [(&'static str, &'static str)] {
    match encoder {
        Encoder::SvtAv1 => &[("keyint", "0"), ("scd", "0"), ("rc", "0")],
        Encoder::Aom => {
            &[("end-usage", "q"), ("disable-kf", ""), ("kf-max-dist", "9999"), ("row-mt", "1"), ("ivf", "")]
        }
        Encoder::Rav1e => &[("keyint", "0"), ("no-scene-detection", "")],
    }
}

/// The parameters and the number of threads as Av1an hands them to the encoder's program.
#[must_use]
pub fn command_line(encoder: Encoder, params: &Params, threads: u32) -> Vec<String> {
    let threads = (if encoder == Encoder::SvtAv1 { "lp" } else { "threads" }.to_owned(), threads.to_string());
    let mut words = Vec::new();
    for (key, value) in params.iter().chain(std::iter::once(&threads)) {
        let Some((key, value)) = spoken(encoder, key, value) else { continue };
        match (encoder, value.as_str()) {
            (_, "") => words.push(format!("--{key}")),
            (Encoder::Aom, value) => words.push(format!("--{key}={value}")),
            (_, value) => words.extend([format!("--{key}"), value.to_owned()]),
        }
    }
    words
}

/// A parameter as the encoder's program takes it: colour has other names and words in libaom and rav1e. None where it is told
/// by the frames themselves, or can't be told.
fn spoken(encoder: Encoder, key: &str, value: &str) -> Option<(String, String)> {
    let word = |key: &str, words: &[(&str, &str)]| {
        words.iter().find(|(number, _)| *number == value).map(|(_, word)| (key.to_owned(), (*word).to_owned()))
    };
    match (encoder, key) {
        (Encoder::Aom, "color-primaries") => word(key, &AOM_PRIMARIES),
        (Encoder::Aom, "transfer-characteristics") => word(key, &AOM_TRANSFERS),
        (Encoder::Aom, "matrix-coefficients") => word(key, &AOM_MATRICES),
        // aomenc takes the place of chroma from the frames' header alone, which has no word for it in 10 bit.
        (Encoder::Aom, "chroma-sample-position" | "color-range" | "mastering-display" | "content-light") => None,
        (Encoder::Rav1e, "color-primaries") => word("primaries", &RAV1E_PRIMARIES),
        (Encoder::Rav1e, "transfer-characteristics") => word("transfer", &RAV1E_TRANSFERS),
        (Encoder::Rav1e, "matrix-coefficients") => word("matrix", &RAV1E_MATRICES),
        (Encoder::Rav1e, "color-range") => word("range", &[("0", "Limited"), ("1", "Full")]),
        (Encoder::Rav1e, "chroma-sample-position") => None,
        _ => Some((key.to_owned(), value.to_owned())),
    }
}

/// The parameters, the number of threads and the distance of key frames as FFmpeg's options.
#[must_use]
pub fn ffmpeg(encoder: Encoder, params: &Params, threads: u32, key_frames: u32) -> Vec<String> {
    let names = ranges(encoder);
    let mut words: Vec<String> = ["-c:v", encoder.ffmpeg(), "-g", &key_frames.to_string()].map(str::to_owned).to_vec();
    let mut rest = Vec::new();
    for (key, value) in params {
        let option = match (encoder, key.as_str()) {
            (Encoder::SvtAv1, key) if key == names.preset.key => Some("-preset"),
            (Encoder::Aom, key) if key == names.preset.key => Some("-cpu-used"),
            (Encoder::Rav1e, key) if key == names.preset.key => Some("-speed"),
            (Encoder::Rav1e, key) if key == names.crf.key => Some("-qp"),
            (_, key) if key == names.crf.key => Some("-crf"),
            (Encoder::Aom, "tile-columns") => Some("-tile-columns"),
            (Encoder::Aom, "tile-rows") => Some("-tile-rows"),
            (Encoder::Aom, "row-mt") => Some("-row-mt"),
            (Encoder::Aom, "lag-in-frames") => Some("-lag-in-frames"),
            (_, "color-primaries") => Some("-color_primaries"),
            (_, "transfer-characteristics") => Some("-color_trc"),
            (_, "matrix-coefficients") => Some("-colorspace"),
            (_, "color-range") => {
                words.extend(["-color_range".to_owned(), if value == "1" { "pc" } else { "tv" }.to_owned()]);
                continue;
            }
            (_, "chroma-sample-position") => Some("-chroma_sample_location"),
            (Encoder::Aom | Encoder::Rav1e, "mastering-display" | "content-light") => continue,
            _ if fixed(encoder).iter().any(|(known, _)| known == key) => continue,
            _ => None,
        };
        match option {
            Some(option) => words.extend([option.to_owned(), value.clone()]),
            None if encoder == Encoder::Rav1e => rest.push(format!("{}={value}", key.replace('-', "_"))),
            None => rest.push(format!("{key}={value}")),
        }
    }
    match encoder {
        Encoder::SvtAv1 => rest.push(format!("lp={threads}")),
        Encoder::Aom => words.extend(["-b:v".to_owned(), "0".to_owned(), "-threads".to_owned(), threads.to_string()]),
        Encoder::Rav1e => words.extend(["-threads".to_owned(), threads.to_string()]),
    }
    if !rest.is_empty() {
        let option = match encoder {
            Encoder::SvtAv1 => "-svtav1-params",
            Encoder::Aom => "-aom-params",
            Encoder::Rav1e => "-rav1e-params",
        };
        words.extend([option.to_owned(), rest.join(":")]);
    }
    words
}

/// libaom's words for colour primaries, by their number in AV1.
const AOM_PRIMARIES: [(&str, &str); 11] = [
    ("1", "bt709"),
    ("4", "bt470m"),
    ("5", "bt470bg"),
    ("6", "bt601"),
    ("7", "smpte240"),
    ("8", "film"),
    ("9", "bt2020"),
    ("10", "xyz"),
    ("11", "smpte431"),
    ("12", "smpte432"),
    ("22", "ebu3213"),
];

/// libaom's words for transfer characteristics.
const AOM_TRANSFERS: [(&str, &str); 16] = [
    ("1", "bt709"),
    ("4", "bt470m"),
    ("5", "bt470bg"),
    ("6", "bt601"),
    ("7", "smpte240"),
    ("8", "lin"),
    ("9", "log100"),
    ("10", "log100sq10"),
    ("11", "iec61966"),
    ("12", "bt1361"),
    ("13", "srgb"),
    ("14", "bt2020-10bit"),
    ("15", "bt2020-12bit"),
    ("16", "smpte2084"),
    ("17", "smpte428"),
    ("18", "hlg"),
];

/// libaom's words for matrix coefficients.
const AOM_MATRICES: [(&str, &str); 8] = [
    ("1", "bt709"),
    ("4", "fcc73"),
    ("5", "bt470bg"),
    ("6", "bt601"),
    ("7", "smpte240"),
    ("8", "ycgco"),
    ("9", "bt2020ncl"),
    ("10", "bt2020cl"),
];

/// rav1e's words for colour primaries.
const RAV1E_PRIMARIES: [(&str, &str); 11] = [
    ("1", "BT709"),
    ("4", "BT470M"),
    ("5", "BT470BG"),
    ("6", "BT601"),
    ("7", "SMPTE240"),
    ("8", "GenericFilm"),
    ("9", "BT2020"),
    ("10", "XYZ"),
    ("11", "SMPTE431"),
    ("12", "SMPTE432"),
    ("22", "EBU3213"),
];

/// rav1e's words for transfer characteristics.
const RAV1E_TRANSFERS: [(&str, &str); 16] = [
    ("1", "BT709"),
    ("4", "BT470M"),
    ("5", "BT470BG"),
    ("6", "BT601"),
    ("7", "SMPTE240"),
    ("8", "Linear"),
    ("9", "Log100"),
    ("10", "Log100Sqrt10"),
    ("11", "IEC61966"),
    ("12", "BT1361"),
    ("13", "SRGB"),
    ("14", "BT2020_10Bit"),
    ("15", "BT2020_12Bit"),
    ("16", "SMPTE2084"),
    ("17", "SMPTE428"),
    ("18", "HLG"),
];

/// rav1e's words for matrix coefficients.
const RAV1E_MATRICES: [(&str, &str); 8] = [
    ("1", "BT709"),
    ("4", "FCC"),
    ("5", "BT470BG"),
    ("6", "BT601"),
    ("7", "SMPTE240"),
    ("8", "YCgCo"),
    ("9", "BT2020NCL"),
    ("10", "BT2020CL"),
];

#[cfg(test)]
mod tests {
    use av1_crds::profiles::table;
    use av1_crds::settings::SettingsSections;

    use super::*;

    fn words_of(encoder: Encoder, json: &str) -> (String, String) {
        let sections: SettingsSections = serde_json::from_str(json).unwrap();
        let settings = Settings::resolve(&[&sections]).unwrap();
        let signal = [
            ("color-primaries", "9"),
            ("transfer-characteristics", "16"),
            ("matrix-coefficients", "9"),
            ("color-range", "0"),
            ("chroma-sample-position", "left"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let quality = crate::profile::quality(&settings, encoder, 1920, 1080, None).unwrap();
        let asked = Asked {
            encoder,
            crf: quality.crf,
            preset: quality.preset,
            class: 1080,
            table: table(settings.profile),
            settings: &settings,
            signal: &signal,
        };
        let params = params(&asked);
        (command_line(encoder, &params, 2).join(" "), ffmpeg(encoder, &params, 2, 240).join(" "))
    }

    #[test]
    fn every_profile_in_the_words_of_every_encoder() {
        let mut text = String::new();
        for profile in ["QualityFirst", "FilmGrain", "Balanced"] {
            for encoder in Encoder::ALL {
                let (line, options) = words_of(encoder, &format!(r#"{{"encode":{{"profile":"{profile}"}}}}"#));
                text += &format!("{profile} {}\n  {line}\n  {options}\n", encoder.as_str());
            }
        }
        insta::assert_snapshot!(text);
    }

    #[test]
    fn what_the_user_adds_wins_and_no_parameter_stands_twice() {
        let json = r#"{"encode":{"profile":"FilmGrain","overrides":{"filmGrain":0,"lookahead":10,"extraParams":["tune=1","qm-min=3","ac-bias=1"]}}}"#;
        let (line, options) = words_of(Encoder::SvtAv1, json);
        for part in ["--tune 1", "--qm-min 3", "--ac-bias 1", "--lookahead 10"] {
            assert_eq!(line.matches(part.split(' ').next().unwrap()).count(), 1, "{line}");
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains("film-grain") && options.contains("tune=1:") && options.contains("ac-bias=1"));
    }

    #[test]
    fn tiles_go_by_the_height_class() {
        assert_eq!([480, 1080, 1440, 2160, 4320].map(tiles), [(2, 1), (2, 1), (2, 2), (2, 2), (3, 2)]);
    }
}
