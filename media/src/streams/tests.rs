//! Which streams are kept and how they are carried, told from probe documents as ffprobe writes them.

use av1_crds::settings::SettingsSections;
use serde_json::{Value, json};

use super::*;

fn settings(drop: &[&str]) -> Settings {
    let job: SettingsSections = serde_json::from_value(json!({"streams": {"dropLanguages": drop}})).unwrap();
    Settings::resolve(&SettingsSections::default(), &job).unwrap()
}

fn stream(kind: &str, codec: &str, language: &str, disposition: Value) -> Value {
    json!({"codec_type": kind, "codec_name": codec, "disposition": disposition, "tags": {"language": language}})
}

fn video() -> Value {
    stream("video", "h264", "und", json!({"default": 1}))
}

/// A file of `format` with the streams in this order.
fn probe(format: &str, mut streams: Vec<Value>) -> Probe {
    for (index, stream) in streams.iter_mut().enumerate() {
        stream["index"] = json!(index);
    }
    let json = json!({"format": {"format_name": format, "tags": {"major_brand": "isom"}}, "streams": streams});
    Probe::parse(json.to_string().as_bytes()).unwrap()
}

fn mkv(streams: Vec<Value>) -> Probe {
    probe("matroska,webm", streams)
}

fn mp4(streams: Vec<Value>) -> Probe {
    probe("mov,mp4,m4a,3gp,3g2,mj2", streams)
}

fn reason(probe: &Probe, drop: &[&str]) -> &'static str {
    plan_streams(probe, &settings(drop)).unwrap_err().reason
}

#[test]
fn all_streams_of_an_ordinary_film_are_kept_with_attachments_last() {
    let font =
        json!({"codec_type": "attachment", "codec_name": "ttf", "tags": {"filename": "a.ttf", "mimetype": "font/ttf"}});
    let probe =
        mkv(vec![stream("audio", "dts", "eng", json!({})), font, video(), stream("subtitle", "ass", "ger", json!({}))]);
    let plan = plan_streams(&probe, &settings(&[])).unwrap();
    assert_eq!(plan.video, 2);
    let kept: Vec<_> = plan.kept.iter().map(|k| (k.index, k.kind)).collect();
    assert_eq!(kept, [(0, Kind::Audio), (3, Kind::Subtitle), (1, Kind::Attachment)]);
    assert!(plan.dropped.is_empty());
}

#[test]
fn tracks_in_unwanted_languages_are_dropped_in_words_however_they_are_spelled() {
    let probe = mkv(vec![
        video(),
        stream("audio", "aac", "eng", json!({"default": 1})),
        stream("audio", "ac3", "rus", json!({})),
        stream("subtitle", "subrip", "ru-RU", json!({})),
        stream("subtitle", "subrip", "rum", json!({})),
    ]);
    let plan = plan_streams(&probe, &settings(&["ru"])).unwrap();
    assert_eq!(plan.kept.iter().map(|k| k.index).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(
        plan.dropped,
        [
            "audio 2 (rus, ac3): its language is in dropLanguages",
            "subtitle 3 (ru-RU, subrip): its language is in dropLanguages"
        ]
    );
}

#[test]
fn a_stream_that_is_to_be_dropped_needs_no_known_codec() {
    let probe = mkv(vec![
        video(),
        stream("audio", "aac", "eng", json!({"default": 1})),
        stream("audio", "cook", "rus", json!({})),
    ]);
    assert_eq!(plan_streams(&probe, &settings(&["rus"])).unwrap().kept.len(), 1);
}

#[test]
fn a_file_whose_default_and_original_audio_would_all_go_is_refused() {
    let default = mkv(vec![
        video(),
        stream("audio", "aac", "rus", json!({"default": 1})),
        stream("audio", "aac", "eng", json!({})),
    ]);
    assert_eq!(reason(&default, &["ru"]), reasons::WOULD_DROP_ORIGINAL_LANGUAGE);
    let unmarked = mkv(vec![video(), stream("audio", "aac", "rus", json!({}))]);
    assert_eq!(reason(&unmarked, &["ru"]), reasons::WOULD_DROP_ORIGINAL_LANGUAGE);
    let both = mkv(vec![
        video(),
        stream("audio", "aac", "rus", json!({"default": 1})),
        stream("audio", "aac", "eng", json!({"default": 1})),
    ]);
    assert!(plan_streams(&both, &settings(&["ru"])).is_ok());
    assert!(plan_streams(&mkv(vec![video()]), &settings(&["ru"])).is_ok());
}

#[test]
fn a_track_without_a_language_is_never_dropped() {
    let probe = mkv(vec![video(), stream("audio", "aac", "und", json!({}))]);
    assert_eq!(plan_streams(&probe, &settings(&["und"])).unwrap().kept.len(), 1);
}

#[test]
fn attached_pictures_are_dropped_in_words_and_second_videos_refused() {
    let mut cover = stream("video", "mjpeg", "und", json!({"attached_pic": 1}));
    cover["tags"] = json!({"filename": "cover.jpg"});
    let plan = plan_streams(&mkv(vec![video(), cover]), &settings(&[])).unwrap();
    assert_eq!(plan.dropped, ["video 1 (mjpeg, \"cover.jpg\"): attached pictures are not kept"]);
    assert_eq!(reason(&mkv(vec![video(), video()]), &[]), reasons::SEVERAL_VIDEO_STREAMS);
    assert_eq!(reason(&mkv(vec![stream("audio", "aac", "eng", json!({}))]), &[]), reasons::NO_VIDEO);
}

#[test]
fn each_container_carries_its_own_codecs_and_refuses_the_rest() {
    let with = |codec_type: &str, codec: &str| vec![video(), stream(codec_type, codec, "eng", json!({}))];
    for (kind, codec, in_mkv, in_mp4) in [
        ("audio", "aac", true, true),
        ("audio", "truehd", true, false),
        ("audio", "pcm_s24le", true, false),
        ("audio", "vorbis", true, false),
        ("audio", "wmav2", false, false),
        ("audio", "", false, false),
        ("subtitle", "subrip", true, false),
        ("subtitle", "hdmv_pgs_subtitle", true, false),
        ("subtitle", "mov_text", false, true),
        ("subtitle", "eia_608", false, false),
    ] {
        assert_eq!(plan_streams(&mkv(with(kind, codec)), &settings(&[])).is_ok(), in_mkv, "{codec} in Matroska");
        assert_eq!(plan_streams(&mp4(with(kind, codec)), &settings(&[])).is_ok(), in_mp4, "{codec} in MP4");
    }
}

#[test]
fn data_streams_are_refused_but_for_the_chapter_track_of_an_mp4() {
    let data = |codec: &str, tag: &str| json!({"codec_type": "data", "codec_name": codec, "codec_tag_string": tag});
    assert_eq!(reason(&mp4(vec![video(), data("", "tmcd")]), &[]), reasons::DATA_STREAMS);
    let mut chaptered = mp4(vec![video(), data("bin_data", "text")]);
    assert_eq!(reason(&chaptered, &[]), reasons::DATA_STREAMS);
    chaptered.chapters.push(crate::probe::Chapter::default());
    assert_eq!(plan_streams(&chaptered, &settings(&[])).unwrap().kept, []);
    assert_eq!(reason(&mkv(vec![video(), json!({"codec_type": ""})]), &[]), reasons::UNSUPPORTED_STREAM);
}

#[test]
fn attachments_without_name_or_type_and_encrypted_tracks_are_refused() {
    let nameless = json!({"codec_type": "attachment", "codec_name": "ttf", "tags": {"mimetype": "font/ttf"}});
    assert_eq!(reason(&mkv(vec![video(), nameless]), &[]), reasons::UNSUPPORTED_STREAM);
    let mut encrypted = stream("audio", "aac", "eng", json!({}));
    encrypted["codec_tag_string"] = json!("enca");
    assert_eq!(reason(&mp4(vec![video(), encrypted]), &[]), reasons::CANNOT_DECODE);
}

#[test]
fn other_containers_are_refused_also_those_that_ffprobe_calls_mp4() {
    assert_eq!(reason(&probe("avi", vec![video()]), &[]), reasons::CONTAINER_CHANGE);
    for brand in ["qt  ", "3gp4", ""] {
        let mut quicktime = mp4(vec![video()]);
        quicktime.format.tags.insert("major_brand".to_owned(), brand.to_owned());
        assert_eq!(reason(&quicktime, &[]), reasons::CONTAINER_CHANGE, "{brand:?}");
    }
}
