//! Language tags of tracks brought to one spelling, so that `ru`, `rus` and `ru-RU` are the same language.
//!
//! Pure; knows only the languages that are likely in a library. Any other tag equals only itself.

/// ISO 639-1, 639-2/T and 639-2/B codes of one language a row; where there is no separate bibliographic code it repeats the other.
const LANGUAGES: &[(&str, &str, &str)] = &[
    ("af", "afr", "afr"),
    ("am", "amh", "amh"),
    ("ar", "ara", "ara"),
    ("az", "aze", "aze"),
    ("be", "bel", "bel"),
    ("bg", "bul", "bul"),
    ("bn", "ben", "ben"),
    ("bo", "bod", "tib"),
    ("bs", "bos", "bos"),
    ("ca", "cat", "cat"),
    ("cs", "ces", "cze"),
    ("cy", "cym", "wel"),
    ("da", "dan", "dan"),
    ("de", "deu", "ger"),
    ("el", "ell", "gre"),
    ("en", "eng", "eng"),
    ("eo", "epo", "epo"),
    ("es", "spa", "spa"),
    ("et", "est", "est"),
    ("eu", "eus", "baq"),
    ("fa", "fas", "per"),
    ("fi", "fin", "fin"),
    ("fr", "fra", "fre"),
    ("ga", "gle", "gle"),
    ("gl", "glg", "glg"),
    ("gu", "guj", "guj"),
    ("he", "heb", "heb"),
    ("hi", "hin", "hin"),
    ("hr", "hrv", "hrv"),
    ("hu", "hun", "hun"),
    ("hy", "hye", "arm"),
    ("id", "ind", "ind"),
    ("is", "isl", "ice"),
    ("it", "ita", "ita"),
    ("ja", "jpn", "jpn"),
    ("ka", "kat", "geo"),
    ("kk", "kaz", "kaz"),
    ("km", "khm", "khm"),
    ("kn", "kan", "kan"),
    ("ko", "kor", "kor"),
    ("la", "lat", "lat"),
    ("lb", "ltz", "ltz"),
    ("lo", "lao", "lao"),
    ("lt", "lit", "lit"),
    ("lv", "lav", "lav"),
    ("mi", "mri", "mao"),
    ("mk", "mkd", "mac"),
    ("ml", "mal", "mal"),
    ("mn", "mon", "mon"),
    ("mr", "mar", "mar"),
    ("ms", "msa", "may"),
    ("mt", "mlt", "mlt"),
    ("my", "mya", "bur"),
    ("nb", "nob", "nob"),
    ("ne", "nep", "nep"),
    ("nl", "nld", "dut"),
    ("nn", "nno", "nno"),
    ("no", "nor", "nor"),
    ("pa", "pan", "pan"),
    ("pl", "pol", "pol"),
    ("pt", "por", "por"),
    ("ro", "ron", "rum"),
    ("ru", "rus", "rus"),
    ("si", "sin", "sin"),
    ("sk", "slk", "slo"),
    ("sl", "slv", "slv"),
    ("sq", "sqi", "alb"),
    ("sr", "srp", "srp"),
    ("sv", "swe", "swe"),
    ("sw", "swa", "swa"),
    ("ta", "tam", "tam"),
    ("te", "tel", "tel"),
    ("tg", "tgk", "tgk"),
    ("th", "tha", "tha"),
    ("tl", "tgl", "tgl"),
    ("tr", "tur", "tur"),
    ("uk", "ukr", "ukr"),
    ("ur", "urd", "urd"),
    ("uz", "uzb", "uzb"),
    ("vi", "vie", "vie"),
    ("xh", "xho", "xho"),
    ("yi", "yid", "yid"),
    ("zh", "zho", "chi"),
    ("zu", "zul", "zul"),
];

/// The primary language of `tag` in its ISO 639-2/T spelling where it is known, else in lower case.
#[must_use]
pub fn primary(tag: &str) -> String {
    let first = tag.split(['-', '_']).next().unwrap_or_default().trim().to_lowercase();
    LANGUAGES
        .iter()
        .find(|(two, terminology, bibliographic)| first == *two || first == *terminology || first == *bibliographic)
        .map_or(first, |(_, terminology, _)| (*terminology).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_language_is_the_same() {
        for tag in ["ru", "RU", "rus", "ru-RU", "rus_RU"] {
            assert_eq!(primary(tag), "rus", "{tag}");
        }
        assert_eq!(primary("ger"), primary("de-AT"));
        assert_eq!(primary("chi"), primary("zh-Hant"));
    }

    #[test]
    fn languages_that_only_look_alike_differ() {
        assert_ne!(primary("ru"), primary("rum"));
        assert_ne!(primary("en"), primary("enm"));
        assert_eq!(primary("tlh"), "tlh");
    }

    #[test]
    fn no_code_stands_for_two_languages() {
        let mut codes: Vec<&str> = Vec::new();
        for (two, terminology, bibliographic) in LANGUAGES {
            codes.push(two);
            codes.push(terminology);
            if bibliographic != terminology {
                codes.push(bibliographic);
            }
        }
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
