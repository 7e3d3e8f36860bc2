//! Which streams are kept and how they are carried, told from probe documents as ffprobe writes them.

use av1_crds::settings::{ContainerChange, SettingsSections};
use serde_json::{Value, json};

use super::*;

fn settings(drop: &[&str]) -> Settings {
    let job: SettingsSections = serde_json::from_value(json!({"streams": {"dropLanguages": drop}})).unwrap();
    Settings::resolve(&[&job]).unwrap()
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

/// Planned under the usual name of its container.
fn planned(probe: &Probe, settings: &Settings) -> Result<StreamPlan, Refusal> {
    plan_streams(if probe.is_matroska() { "a.mkv" } else { "a.mp4" }, probe, settings)
}

fn reason(probe: &Probe, drop: &[&str]) -> &'static str {
    planned(probe, &settings(drop)).unwrap_err().reason
}

#[test]
fn all_streams_of_an_ordinary_film_are_kept_with_attachments_last() {
    let font =
        json!({"codec_type": "attachment", "codec_name": "ttf", "tags": {"filename": "a.ttf", "mimetype": "font/ttf"}});
    let probe =
        mkv(vec![stream("audio", "dts", "eng", json!({})), font, video(), stream("subtitle", "ass", "ger", json!({}))]);
    let plan = planned(&probe, &settings(&[])).unwrap();
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
    let plan = planned(&probe, &settings(&["ru"])).unwrap();
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
    assert_eq!(planned(&probe, &settings(&["rus"])).unwrap().kept.len(), 1);
}

#[test]
fn a_file_whose_default_and_original_audio_would_all_go_is_refused() {
    let default = mkv(vec![
        video(),
        stream("audio", "aac", "rus", json!({"default": 1})),
        stream("audio", "aac", "eng", json!({})),
    ]);
    assert_eq!(reason(&default, &["ru"]), reasons::WOULD_DROP_ORIGINAL_LANGUAGE);
    let mut forced = settings(&["ru"]);
    forced.force(&[reasons::WOULD_DROP_ORIGINAL_LANGUAGE.to_owned()]);
    assert_eq!(planned(&default, &forced).unwrap().kept.len(), 1);
    let unmarked = mkv(vec![video(), stream("audio", "aac", "rus", json!({}))]);
    assert_eq!(reason(&unmarked, &["ru"]), reasons::WOULD_DROP_ORIGINAL_LANGUAGE);
    let both = mkv(vec![
        video(),
        stream("audio", "aac", "rus", json!({"default": 1})),
        stream("audio", "aac", "eng", json!({"default": 1})),
    ]);
    assert!(planned(&both, &settings(&["ru"])).is_ok());
    assert!(planned(&mkv(vec![video()]), &settings(&["ru"])).is_ok());
}

#[test]
fn a_track_without_a_language_is_never_dropped() {
    let probe = mkv(vec![video(), stream("audio", "aac", "und", json!({}))]);
    assert_eq!(planned(&probe, &settings(&["und"])).unwrap().kept.len(), 1);
}

#[test]
fn attached_pictures_are_dropped_in_words_and_second_videos_refused() {
    let mut cover = stream("video", "mjpeg", "und", json!({"attached_pic": 1}));
    cover["tags"] = json!({"filename": "cover.jpg"});
    let plan = planned(&mkv(vec![video(), cover]), &settings(&[])).unwrap();
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
        ("audio", "cook", false, false),
        ("audio", "", false, false),
        ("subtitle", "subrip", true, false),
        ("subtitle", "hdmv_pgs_subtitle", true, false),
        ("subtitle", "mov_text", false, true),
        ("subtitle", "eia_608", false, false),
    ] {
        assert_eq!(planned(&mkv(with(kind, codec)), &settings(&[])).is_ok(), in_mkv, "{codec} in Matroska");
        assert_eq!(planned(&mp4(with(kind, codec)), &settings(&[])).is_ok(), in_mp4, "{codec} in MP4");
    }
}

#[test]
fn data_streams_are_refused_but_for_the_chapter_track_of_an_mp4() {
    let data = |codec: &str, tag: &str| json!({"codec_type": "data", "codec_name": codec, "codec_tag_string": tag});
    assert_eq!(reason(&mp4(vec![video(), data("", "tmcd")]), &[]), reasons::DATA_STREAMS);
    let mut chaptered = mp4(vec![video(), data("bin_data", "text")]);
    assert_eq!(reason(&chaptered, &[]), reasons::DATA_STREAMS);
    chaptered.chapters.push(crate::probe::Chapter::default());
    assert_eq!(planned(&chaptered, &settings(&[])).unwrap().kept, []);
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

/// The settings with one section's field set.
fn with(section: &str, field: &str, value: Value) -> Settings {
    let job: SettingsSections = serde_json::from_value(json!({section: {field: value}})).unwrap();
    Settings::resolve(&[&job]).unwrap()
}

fn allowed() -> Settings {
    Settings { container_change: ContainerChange::Allow, ..settings(&[]) }
}

fn quicktime(mut probe: Probe) -> Probe {
    probe.format.tags.insert("major_brand".to_owned(), "qt  ".to_owned());
    probe
}

#[test]
fn containers_that_hold_no_av1_are_refused_until_the_user_lets_them_become_matroska() {
    let named = |path: &str, probe: &Probe, settings: &Settings| {
        plan_streams(path, probe, settings).map(|plan| plan.target(path)).map_err(|refusal| refusal.reason)
    };
    let skip = settings(&[]);
    for (path, content) in [
        ("a/b.avi", probe("avi", vec![video()])),
        ("a/b.M2TS", probe("mpegts", vec![video()])),
        ("a/b.mpg", probe("mpeg", vec![video()])),
        ("a/b.wmv", probe("asf", vec![video()])),
        ("a/b.mov", quicktime(mp4(vec![video()]))),
        ("a/b.mp4", quicktime(mp4(vec![video()]))),
        ("a/b.mov", mp4(vec![video()])),
    ] {
        assert_eq!(named(path, &content, &skip), Err(reasons::CONTAINER_CHANGE), "{path}");
        assert_eq!(named(path, &content, &allowed()), Ok(Some("a/b.mkv".to_owned())), "{path}");
    }
    for (path, content) in
        [("a.webm", mkv(vec![video()])), ("a.m4v", mp4(vec![video()])), ("a.MKV", mkv(vec![video()]))]
    {
        assert_eq!(named(path, &content, &allowed()), Ok(None), "{path}");
    }
}

#[test]
fn unknown_containers_and_false_names_are_refused_with_and_without_leave() {
    let mut brand = mp4(vec![video()]);
    brand.format.tags.insert("major_brand".to_owned(), "3gp4".to_owned());
    for (path, content) in [
        ("a.mp4", brand),
        ("a.mkv", probe("avi", vec![video()])),
        ("a.avi", mkv(vec![video()])),
        ("a.mkv", mp4(vec![video()])),
        ("a.avi", probe("mpegts", vec![video()])),
        ("a.ts", probe("hls", vec![video()])),
        ("a.ogv", probe("ogg", vec![video()])),
    ] {
        for settings in [settings(&[]), allowed()] {
            assert_eq!(
                plan_streams(path, &content, &settings).unwrap_err().reason,
                reasons::CONTAINER_CHANGE,
                "{path}"
            );
        }
    }
}

#[test]
fn a_change_of_container_carries_each_codec_in_its_own_way() {
    let how = |path: &str, format: &str, kind: &str, codec: &str, more: Value| {
        let mut track = stream(kind, codec, "eng", json!({}));
        for (key, value) in more.as_object().unwrap() {
            track[key] = value.clone();
        }
        let mut content = probe(format, vec![video(), track]);
        if path.ends_with("mov") {
            content = quicktime(content);
        }
        plan_streams(path, &content, &allowed()).map(|plan| plan.kept[0].carry).map_err(|refusal| refusal.reason)
    };
    let none = json!({});
    let deep = json!({"sample_fmt": "s32", "bits_per_raw_sample": "24", "channels": 2, "channel_layout": "stereo"});
    let quad = json!({"sample_fmt": "s32", "bits_per_raw_sample": "24", "channels": 4, "channel_layout": "quad"});
    let mov = "mov,mp4,m4a,3gp,3g2,mj2";
    for (path, format, kind, codec, more, expected) in [
        ("a.avi", "avi", "audio", "mp3", &none, Ok(Carry::Copy)),
        ("a.ts", "mpegts", "audio", "aac", &none, Ok(Carry::Filter("aac_adtstoasc"))),
        ("a.ts", "mpegts", "subtitle", "hdmv_pgs_subtitle", &none, Ok(Carry::Filter("pgs_frame_merge"))),
        ("a.ts", "mpegts", "subtitle", "dvb_teletext", &none, Err(reasons::DATA_STREAMS)),
        ("a.m2ts", "mpegts", "audio", "pcm_bluray", &deep, Ok(Carry::Samples("pcm_s24le"))),
        ("a.m2ts", "mpegts", "audio", "pcm_bluray", &json!({"sample_fmt": "s16"}), Ok(Carry::Samples("pcm_s16le"))),
        ("a.m2ts", "mpegts", "audio", "pcm_bluray", &quad, Err(reasons::UNSUPPORTED_STREAM)),
        ("a.m2ts", "mpegts", "audio", "pcm_bluray", &none, Err(reasons::UNSUPPORTED_STREAM)),
        ("a.mov", mov, "subtitle", "mov_text", &none, Ok(Carry::Cues("subrip"))),
        ("a.mov", mov, "subtitle", "eia_608", &none, Err(reasons::CLOSED_CAPTIONS)),
        ("a.mov", mov, "audio", "pcm_s16be", &none, Ok(Carry::Copy)),
        ("a.mov", mov, "audio", "pcm_f32be", &none, Ok(Carry::Samples("pcm_f32le"))),
        ("a.wmv", "asf", "audio", "wmav2", &none, Ok(Carry::Copy)),
        ("a.wmv", "asf", "audio", "aac", &none, Err(reasons::UNSUPPORTED_STREAM)),
        ("a.webm", "matroska,webm", "audio", "opus", &none, Ok(Carry::Copy)),
        ("a.webm", "matroska,webm", "audio", "aac", &none, Err(reasons::UNSUPPORTED_STREAM)),
    ] {
        assert_eq!(how(path, format, kind, codec, more.clone()), expected, "{codec} in {path}");
    }
}

#[test]
fn data_that_rides_as_subtitles_is_left_out_with_leave_and_said_to_be() {
    for (codec, leave, other) in
        [("dvb_teletext", "DataStreams", "ClosedCaptions"), ("eia_608", "ClosedCaptions", "DataStreams")]
    {
        let probe = mkv(vec![video(), stream("subtitle", codec, "eng", json!({}))]);
        let with = |reason: &str| {
            let mut settings = settings(&[]);
            settings.force(&[reason.to_owned()]);
            planned(&probe, &settings)
        };
        assert_eq!(with(other).unwrap_err().reason, leave);
        let plan = with(leave).unwrap();
        assert_eq!(
            (plan.kept.len(), plan.dropped),
            (0, vec![format!("subtitle 1 (eng, {codec}): {leave} is allowed")])
        );
    }
}

#[test]
fn both_sides_of_a_conversion_are_read_in_the_same_way_and_all_else_as_it_is() {
    let kept = |carry| Kept { index: 1, kind: Kind::Audio, carry };
    let plan = |carries: &[Carry]| StreamPlan {
        origin: Origin::QuickTime,
        container: Container::Matroska,
        video: 0,
        kept: carries.iter().map(|carry| kept(*carry)).collect(),
        dropped: Vec::new(),
        shift: 0.0,
    };
    let copies = plan(&[Carry::Copy]);
    for codec in ["pcm_s16le", "subrip", "aac", "hdmv_pgs_subtitle"] {
        assert_eq!(copies.reading(codec), Reading::Copy);
    }
    let mixed = plan(&[Carry::Samples("pcm_s24le"), Carry::Cues("subrip"), Carry::Filter("aac_adtstoasc")]);
    for (codec, reading) in [
        ("pcm_bluray", Reading::Encoder("pcm_s32le")),
        ("pcm_s24le", Reading::Encoder("pcm_s32le")),
        ("pcm_f32be", Reading::Encoder("pcm_f64le")),
        ("mov_text", Reading::Encoder("subrip")),
        ("subrip", Reading::Encoder("subrip")),
        ("aac", Reading::Filter("aac_adtstoasc")),
        ("ac3", Reading::Copy),
        ("hdmv_pgs_subtitle", Reading::Copy),
    ] {
        assert_eq!(mixed.reading(codec), reading, "{codec}");
    }
}

#[test]
fn covers_are_kept_on_request_behind_the_tracks_and_other_pictures_refused_then() {
    let keep = with("streams", "keepAttachedPictures", json!(true));
    let cover = |disposition: Value| stream("video", "mjpeg", "und", disposition);
    let film = mkv(vec![video(), cover(json!({"attached_pic": 1})), stream("audio", "aac", "eng", json!({}))]);
    let plan = planned(&film, &keep).unwrap();
    assert_eq!(plan.kept.iter().map(|k| (k.index, k.kind)).collect::<Vec<_>>(), [(2, Kind::Audio), (1, Kind::Picture)]);
    assert!(plan.dropped.is_empty());
    for disposition in [json!({"still_image": 1}), json!({"attached_pic": 1, "timed_thumbnails": 1})] {
        let film = mp4(vec![video(), cover(disposition)]);
        assert_eq!(planned(&film, &keep).unwrap_err().reason, reasons::UNSUPPORTED_STREAM);
        assert_eq!(planned(&film, &settings(&[])).unwrap().dropped.len(), 1);
    }
}

#[test]
fn the_clock_of_an_mpeg_stream_is_set_to_zero_and_no_other() {
    let shift = |path: &str, format: &str| {
        let mut content = probe(format, vec![video()]);
        content.format.start_time = Some(1.4);
        plan_streams(path, &content, &allowed()).unwrap().shift
    };
    assert_eq!((shift("a.ts", "mpegts"), shift("a.mkv", "matroska,webm"), shift("a.avi", "avi")), (1.4, 0.0, 0.0));
}

#[test]
fn ten_thousand_streams_are_too_many() {
    let many =
        mkv(std::iter::once(video()).chain((0..10_000).map(|_| stream("audio", "aac", "eng", json!({})))).collect());
    let refusal = planned(&many, &settings(&[])).unwrap_err();
    assert_eq!(refusal.reason, reasons::UNSUPPORTED_STREAM);
    assert!(refusal.message.contains("10001 streams"), "{}", refusal.message);
}
