//! Layers of settings: what the chart, a library and a job write, laid over each other, and which of them a value came from.
//!
//! Must never: fill in a default, or take a value from a layer when a higher one has written it.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::encoding::{EncodeOverrides, EncoderChoice, EngineChoice, Profile};
use crate::settings::{EncodeSection, LOSSES, ReplacementMode, SettingsSections};

/// Which fields somebody wrote, by path, each in the highest place that has it; sorted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SettingsFrom {
    /// Fields whose value is that of the chart's `libraryDefaults`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub chart: Vec<String>,
    /// Fields whose value is that of the library's `spec`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub library: Vec<String>,
    /// Fields whose value is that of the job's `spec.settings`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub job: Vec<String>,
}

impl SettingsFrom {
    /// Where the values of `Settings::resolve(&[chart, library, job])` came from.
    #[must_use]
    pub fn of(chart: &SettingsSections, library: &SettingsSections, job: &SettingsSections) -> Self {
        let mut higher = BTreeSet::new();
        let mut lists = settled(&[chart, library, job]).into_iter().rev().map(|layer| {
            let own: Vec<String> = written(&layer).difference(&higher).cloned().collect();
            higher.extend(own.iter().cloned());
            own
        });
        let mut next = || lists.next().unwrap_or_default();
        let (job, library, chart) = (next(), next(), next());
        Self { chart, library, job }
    }
}

/// Paths of the fields that a layer writes. A list is a value of its own.
fn written(layer: &SettingsSections) -> BTreeSet<String> {
    fn walk(value: &Value, path: &str, found: &mut BTreeSet<String>) {
        match value {
            Value::Null => {}
            Value::Object(fields) => {
                for (name, value) in fields {
                    walk(value, &if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, found);
                }
            }
            _ => {
                found.insert(path.to_owned());
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&serde_json::to_value(layer).unwrap_or_default(), "", &mut found);
    found
}

/// The layers, lowest first, each without what a higher one rules out. The API server has seen each of them alone; what they say
/// together is settled here, so that no layer makes those above it unusable.
pub(crate) fn settled(layers: &[&SettingsSections]) -> Vec<SettingsSections> {
    let mut layers: Vec<SettingsSections> = layers.iter().copied().cloned().collect();
    settle_profile(&mut layers);
    settle_overrides(&mut layers);
    settle_originals(&mut layers);
    settle_scores(&mut layers);
    layers
}

/// The profile TargetQuality searches the rate factor, by Av1an and without grain. What is fixed in a layer above it puts it out
/// of force, and it does the same to what is fixed below it. A range to aim at goes with another profile.
fn settle_profile(layers: &mut [SettingsSections]) {
    let mut fixed = false;
    let mut named = None;
    for encode in layers.iter_mut().rev().filter_map(|layer| layer.encode.as_mut()) {
        if fixed && encode.profile == Some(Profile::TargetQuality) {
            encode.profile = None;
        }
        if named == Some(Profile::TargetQuality) {
            release(encode);
        }
        fixed |= is_fixed(encode);
        named = named.or(encode.profile);
    }
    if named != Some(Profile::TargetQuality) {
        layers.iter_mut().filter_map(|layer| layer.encode.as_mut()).for_each(|encode| encode.target_quality = None);
    }
}

fn is_fixed(encode: &EncodeSection) -> bool {
    let overrides = encode.overrides.as_ref();
    let grain = overrides.and_then(|overrides| overrides.film_grain).unwrap_or(0);
    encode.engine == Some(EngineChoice::Ffmpeg)
        || overrides.is_some_and(|overrides| overrides.crf.is_some())
        || grain > 0
}

fn release(encode: &mut EncodeSection) {
    encode.engine = encode.engine.filter(|engine| *engine != EngineChoice::Ffmpeg);
    if let Some(overrides) = &mut encode.overrides {
        overrides.crf = None;
        overrides.film_grain = overrides.film_grain.filter(|grain| *grain == 0);
    }
}

/// Values of `encode.overrides` are in the units and ranges of one encoder: those of layers that have another one are left out,
/// but for the distance of key frames, which is in frames.
fn settle_overrides(layers: &mut [SettingsSections]) {
    let mut encoder = EncoderChoice::SvtAv1;
    let mut own = Vec::with_capacity(layers.len());
    for layer in layers.iter() {
        match layer.encode.as_ref().and_then(|encode| encode.encoder) {
            // What Auto takes first, and what it is checked as.
            Some(EncoderChoice::Auto) => encoder = EncoderChoice::SvtAv1,
            Some(other) => encoder = other,
            None => {}
        }
        own.push(encoder);
    }
    for (layer, own) in layers.iter_mut().zip(own) {
        if own != encoder
            && let Some(overrides) = layer.encode.as_mut().and_then(|encode| encode.overrides.as_mut())
        {
            let keyframe_interval = overrides.keyframe_interval;
            *overrides = EncodeOverrides { keyframe_interval, ..EncodeOverrides::default() };
        }
    }
}

/// What becomes of originals is without a meaning below a mode that replaces none.
fn settle_originals(layers: &mut [SettingsSections]) {
    let mode = |layer: &SettingsSections| layer.replacement.as_ref().and_then(|replacement| replacement.mode);
    let Some(top) = layers.iter().rposition(|layer| mode(layer).is_some()) else { return };
    if layers.get(top).and_then(mode) != Some(ReplacementMode::Replace) {
        layers
            .iter_mut()
            .take(top)
            .filter_map(|layer| layer.replacement.as_mut())
            .for_each(|replacement| replacement.originals = None);
    }
}

/// Scores belong to their metric: `encode.targetQuality` and `verify.quality` are each taken whole, from the highest layer that
/// has one.
fn settle_scores(layers: &mut [SettingsSections]) {
    let (mut target, mut quality) = (false, false);
    for layer in layers.iter_mut().rev() {
        if let Some(encode) = &mut layer.encode {
            encode.target_quality = encode.target_quality.take().filter(|_| !target);
            target |= encode.target_quality.is_some();
        }
        if let Some(verify) = &mut layer.verify {
            verify.quality = verify.quality.take().filter(|_| !quality);
            quality |= verify.quality.is_some();
        }
    }
}

/// What the rules of the schema refuse in `sections` that no API server has seen, in the same words; as far as nothing else finds
/// it. Names, kinds and ranges are [`crate::schema`]'s, scores and parameters those of the check of the encoder.
#[must_use]
pub fn refused(sections: &SettingsSections) -> Option<&'static str> {
    let rules: [(bool, &'static str); 6] = [
        (
            sections
                .encode
                .as_ref()
                .is_some_and(|e| e.target_quality.is_some() && e.profile != Some(Profile::TargetQuality)),
            "encode.targetQuality needs encode.profile: TargetQuality beside it: the other profiles have a fixed CRF",
        ),
        (
            sections.streams.iter().flat_map(|s| s.drop_languages.iter().flatten()).any(|tag| !is_language(tag)),
            "streams.dropLanguages takes primary language tags of two or three letters: write ru or rus, not ru-RU",
        ),
        (
            sections
                .streams
                .iter()
                .flat_map(|s| s.allow.iter().flatten())
                .any(|reason| !LOSSES.contains(&reason.as_str())),
            "streams.allow takes reasons: ClosedCaptions, SeveralVideoStreams, DataStreams, ChromaReduced, DepthReduced, AlphaLost, Hdr10Plus, DolbyVision, UnsupportedSideData",
        ),
        (
            sections
                .replacement
                .as_ref()
                .and_then(|r| r.trash_retention.as_ref())
                .is_some_and(|text| !is_duration(text)),
            "replacement.trashRetention is a duration in hours, minutes and seconds: write 168h",
        ),
        (
            sections.replacement.as_ref().and_then(|r| r.notify.as_ref()).is_some_and(|notify| !is_url(&notify.url)),
            "replacement.notify.url is a URL with http or https, without a user in it: write https://media.example/hooks/av1",
        ),
        (
            sections
                .replacement
                .as_ref()
                .is_some_and(|r| r.originals.is_some() && r.mode.is_some_and(|mode| mode != ReplacementMode::Replace)),
            "replacement.originals is about originals that were replaced, and replacement.mode Beside and ReportOnly replace none: remove originals, or write mode Replace",
        ),
    ];
    rules.into_iter().find_map(|(broken, words)| broken.then_some(words))
}

fn is_language(tag: &str) -> bool {
    (2..=3).contains(&tag.len()) && tag.bytes().all(|byte| byte.is_ascii_alphabetic())
}

/// Numbers, each with h, m or s behind it.
fn is_duration(text: &str) -> bool {
    let mut parts = text.split_inclusive(['h', 'm', 's']).peekable();
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    parts.peek().is_some() && parts.all(|part| part.strip_suffix(['h', 'm', 's']).is_some_and(number))
}

/// Empty, or http or https with a host and neither a user nor a space.
fn is_url(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")) else {
        return text.is_empty();
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    !host.is_empty() && !host.contains('@') && !rest.contains(' ')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::{Originals, Settings};

    fn sections(value: Value) -> SettingsSections {
        serde_json::from_value(value).unwrap()
    }

    fn resolved(layers: &[Value]) -> Settings {
        let layers: Vec<SettingsSections> = layers.iter().cloned().map(sections).collect();
        Settings::resolve(&layers.iter().collect::<Vec<_>>()).unwrap()
    }

    fn from(chart: Value, library: Value, job: Value) -> Value {
        json!(SettingsFrom::of(&sections(chart), &sections(library), &sections(job)))
    }

    #[test]
    fn each_value_is_listed_where_it_came_from_and_nowhere_else() {
        let chart = json!({"streams": {"dropLanguages": ["ru"]}, "sizeGate": {"maxPercent": 80, "stopEarly": false}});
        let library = json!({"sizeGate": {"maxPercent": 70}, "encode": {"overrides": {"crf": 30, "preset": 3}}});
        let job = json!({"encode": {"overrides": {"crf": 20}}, "streams": {}});
        assert_eq!(
            from(chart, library, job),
            json!({"chart": ["sizeGate.stopEarly", "streams.dropLanguages"],
                "library": ["encode.overrides.preset", "sizeGate.maxPercent"], "job": ["encode.overrides.crf"]})
        );
        assert_eq!(from(json!({}), json!({}), json!({})), json!({}));
    }

    /// The sections of `value` as far as their paths are listed.
    fn only(value: &Value, listed: &[String], path: &str) -> Value {
        let Value::Object(fields) = value else { return value.clone() };
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let kept = fields.iter().filter(|(name, value)| value.is_object() || listed.contains(&below(name)));
        kept.map(|(name, value)| (name.clone(), only(value, listed, &below(name)))).collect()
    }

    #[test]
    fn what_is_listed_makes_up_the_settings_whatever_the_layers_are() {
        let layers = [
            json!({}),
            json!({"encode": {"profile": "TargetQuality", "targetQuality": {"metric": "Vmaf", "min": "93", "max": "95"}}}),
            json!({"encode": {"profile": "TargetQuality", "targetQuality": {"min": "41"}}, "sizeGate": {"maxPercent": 70}}),
            json!({"encode": {"profile": "FilmGrain", "engine": "Ffmpeg"}, "streams": {"dropLanguages": []}}),
            json!({"encode": {"encoder": "Aom", "overrides": {"crf": 30, "keyframeInterval": 100}}}),
            json!({"encode": {"encoder": "Auto", "overrides": {"filmGrain": 8, "preset": 4, "extraParams": ["ac-bias=1"]}}}),
            json!({"replacement": {"originals": "Delete", "trashRetention": "1h"}, "verify": {"quality": {"minMean": "38"}}}),
            json!({"replacement": {"mode": "Beside"}, "verify": {"quality": {"metric": "Vmaf", "minWindow": "80"}}}),
        ];
        let most = layers.len();
        for number in 0..most.pow(3) {
            let [chart, library, job] =
                [number / most / most, number / most % most, number % most].map(|at| &layers[at]);
            let all = [chart, library, job].map(|layer| sections(layer.clone()));
            let from = SettingsFrom::of(&all[0], &all[1], &all[2]);
            let kept = [only(chart, &from.chart, ""), only(library, &from.library, ""), only(job, &from.job, "")];
            assert_eq!(resolved(&kept), Settings::resolve(&[&all[0], &all[1], &all[2]]).unwrap(), "{from:?}");
            let mut listed: Vec<&String> = from.chart.iter().chain(&from.library).chain(&from.job).collect();
            listed.sort();
            assert!(listed.windows(2).all(|pair| pair[0] != pair[1]), "{from:?}");
        }
    }

    #[test]
    fn an_empty_list_is_written_and_turns_the_charts_off() {
        let (chart, library) =
            (json!({"streams": {"dropLanguages": ["ru"]}}), json!({"streams": {"dropLanguages": []}}));
        assert_eq!(resolved(&[chart.clone(), json!({}), json!({})]).drop_languages, ["ru"]);
        assert!(resolved(&[chart.clone(), library.clone(), json!({})]).drop_languages.is_empty());
        assert_eq!(
            resolved(&[chart.clone(), library.clone(), json!({"streams": {"dropLanguages": ["de"]}})]).drop_languages,
            ["de"]
        );
        assert_eq!(from(chart, library, json!({})), json!({"library": ["streams.dropLanguages"]}));
    }

    #[test]
    fn a_range_of_the_charts_is_left_out_where_a_library_has_another_profile() {
        let chart = json!({"encode": {"profile": "TargetQuality", "targetQuality": {"metric": "Vmaf", "min": "93", "max": "95"}}});
        let library = json!({"encode": {"profile": "FilmGrain"}});
        let settings = resolved(&[chart.clone(), library.clone()]);
        assert_eq!((settings.profile, settings.target_quality), (Profile::FilmGrain, None));
        assert_eq!(from(chart.clone(), library, json!({})), json!({"library": ["encode.profile"]}));
        assert_eq!(resolved(&[chart, json!({})]).target_quality.unwrap().min, "93");
    }

    #[test]
    fn of_a_search_for_the_rate_factor_and_a_fixed_one_the_higher_layer_wins() {
        let search = json!({"encode": {"profile": "TargetQuality"}});
        for (fixed, path) in [
            (json!({"encode": {"overrides": {"crf": 30}}}), "encode.overrides.crf"),
            (json!({"encode": {"overrides": {"filmGrain": 8}}}), "encode.overrides.filmGrain"),
            (json!({"encode": {"engine": "Ffmpeg"}}), "encode.engine"),
        ] {
            let settings = resolved(&[fixed.clone(), search.clone()]);
            assert_eq!((settings.profile, settings.crf, settings.film_grain), (Profile::TargetQuality, None, None));
            assert_eq!(settings.engine, EngineChoice::Auto);
            assert_eq!(from(fixed.clone(), search.clone(), json!({})), json!({"library": ["encode.profile"]}));
            assert_eq!(resolved(&[search.clone(), fixed.clone()]).profile, Profile::QualityFirst);
            let balanced = json!({"encode": {"profile": "Balanced"}});
            assert_eq!(resolved(&[balanced, search.clone(), fixed.clone()]).profile, Profile::Balanced);
            assert_eq!(from(search.clone(), fixed, json!({})), json!({"library": [path]}));
        }
        // One layer that says both is refused, in words that name it.
        let both = resolved(&[json!({"encode": {"profile": "TargetQuality", "overrides": {"crf": 20}}})]);
        assert_eq!((both.profile, both.crf), (Profile::TargetQuality, Some(20)));
    }

    #[test]
    fn overrides_for_another_encoder_are_left_out() {
        let chart =
            json!({"encode": {"overrides": {"crf": 30, "extraParams": ["ac-bias=1"], "keyframeInterval": 120}}});
        let library = json!({"encode": {"encoder": "Aom"}});
        let settings = resolved(&[chart.clone(), library.clone()]);
        assert_eq!((settings.crf, settings.extra_params.len(), settings.keyframe_interval), (None, 0, Some(120)));
        assert_eq!(
            from(chart.clone(), library, json!({})),
            json!({"chart": ["encode.overrides.keyframeInterval"], "library": ["encode.encoder"]})
        );
        assert_eq!(
            resolved(&[chart.clone(), json!({"encode": {"encoder": "SvtAv1"}})]).crf,
            Some(30),
            "Auto takes it first"
        );
        let back = [
            json!({"encode": {"encoder": "Rav1e", "overrides": {"crf": 100}}}),
            json!({"encode": {"encoder": "Auto"}}),
        ];
        assert_eq!(resolved(&back).crf, None);
        assert_eq!(resolved(&[json!({"encode": {"encoder": "Rav1e"}}), chart]).crf, Some(30));
    }

    #[test]
    fn what_becomes_of_originals_has_no_meaning_where_none_is_replaced() {
        let chart = json!({"replacement": {"originals": "Delete", "trashRetention": "24h"}});
        let library = json!({"replacement": {"mode": "Beside"}});
        let settings = resolved(&[chart.clone(), library.clone()]);
        assert_eq!((settings.replacement_mode, settings.originals), (ReplacementMode::Beside, Originals::Trash));
        assert_eq!(
            from(chart.clone(), library, json!({})),
            json!({"chart": ["replacement.trashRetention"], "library": ["replacement.mode"]})
        );
        assert_eq!(resolved(&[chart, json!({"replacement": {"mode": "Replace"}})]).originals, Originals::Delete);
    }

    #[test]
    fn scores_are_never_mixed_with_those_of_another_layer() {
        let chart = json!({"verify": {"decode": "Sampled", "quality": {"metric": "Vmaf", "minMean": "93"}}});
        let library = json!({"verify": {"quality": {"minWindow": "30"}}});
        let rule = resolved(&[chart.clone(), library.clone()]).quality.unwrap();
        assert_eq!(
            (rule.metric.as_str(), rule.min_mean.as_deref(), rule.min_window.as_deref()),
            ("Xpsnr", None, Some("30"))
        );
        assert_eq!(
            from(chart, library, json!({})),
            json!({"chart": ["verify.decode"], "library": ["verify.quality.minWindow"]})
        );
    }

    #[test]
    fn what_the_schema_refuses_is_refused_in_its_words() {
        use kube::CustomResourceExt;
        let schema = serde_json::to_string(&crate::EncodeJob::crd()).unwrap();
        for value in [
            json!({"encode": {"targetQuality": {"min": "93"}}}),
            json!({"streams": {"dropLanguages": ["ru-RU"]}}),
            json!({"streams": {"allow": ["Everything"]}}),
            json!({"replacement": {"trashRetention": "a week"}}),
            json!({"replacement": {"notify": {"url": "https://user:secret@hook/av1"}}}),
            json!({"replacement": {"mode": "Beside", "originals": "Delete"}}),
        ] {
            let words = refused(&sections(value.clone())).unwrap_or_else(|| panic!("{value} is taken"));
            assert!(schema.contains(words), "{words}");
        }
        for text in ["", "1", "h", "1h2", "1.5h", "1h m", "2 hours"] {
            assert!(!is_duration(text), "{text}");
        }
        for url in ["ftp://hook/av1", "hook:8080", "http://", "http://hook/a b", "https://?a"] {
            assert!(!is_url(url), "{url}");
        }
        let fine = json!({"encode": {"profile": "TargetQuality", "targetQuality": {"min": "93"}},
            "streams": {"dropLanguages": ["ru", "deu"], "allow": LOSSES},
            "replacement": {"mode": "Replace", "originals": "Delete", "trashRetention": "1h30m", "notify": {"url": "http://hook:8080/av1?a=@b"}}});
        assert_eq!(refused(&sections(fine)), None);
    }
}
