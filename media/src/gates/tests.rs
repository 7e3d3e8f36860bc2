//! The composed chain: each gate by facts that pass all gates but one, and the order where two would stop a file.

use av1_crds::library::HardLinks;
use av1_crds::settings::{Deinterlace, ReplacementMode};
use av1_crds::wire::EncodeVerdict;
use serde_json::{Value, json};

use super::*;
use crate::marker::OwnMarker;
use crate::receipt::settings_digest;

const NOW: i64 = 2_000_000_000_000_000_000;
const SECOND: i64 = 1_000_000_000;
const SIZE: u64 = 3 << 30;

fn rules() -> Rules {
    Rules::new(ScanRules::resolve(None).unwrap(), Settings::resolve(&[]).unwrap())
}

fn identity() -> FileIdentity {
    FileIdentity {
        size: SIZE,
        modified_time_ns: NOW - 7_200 * SECOND,
        changed_time_ns: 1,
        inode: 7,
        fingerprint: "f".repeat(64),
    }
}

fn attributes() -> Attributes {
    Attributes {
        kind: FileKind::Regular,
        size: SIZE,
        modified_time_ns: NOW - 7_200 * SECOND,
        links: 1,
        uid: 1_000,
        gid: 1_000,
    }
}

fn video() -> Value {
    json!({
        "index": 0, "codec_type": "video", "codec_name": "h264", "profile": "High", "width": 1920, "height": 1080, "pix_fmt": "yuv420p",
        "field_order": "progressive", "r_frame_rate": "24000/1001", "avg_frame_rate": "24000/1001", "sample_aspect_ratio": "1:1",
        "codec_tag_string": "[0][0][0][0]", "disposition": {"default": 1}
    })
}

fn audio(codec: &str) -> Value {
    json!({"index": 1, "codec_type": "audio", "codec_name": codec, "disposition": {"default": 1}, "tags": {"language": "eng"}})
}

fn read(format: &str, streams: &[Value]) -> Option<Content> {
    let json = json!({"format": {"format_name": format, "tags": {"major_brand": "isom"}}, "streams": streams});
    Some(Content::Read(Box::new(Probe::parse(json.to_string().as_bytes()).unwrap())))
}

/// A film that passes every gate.
fn film() -> Facts {
    Facts {
        path: "Films/Heat (1995)/Heat.mkv".to_owned(),
        utf8: true,
        now_ns: NOW,
        attributes: Some(attributes()),
        identity: Some(identity()),
        decisions: Some(Vec::new()),
        earlier_look: EarlierLook::None,
        process_uid: Some(1_000),
        folder_is_closed: Some(false),
        content: read("matroska,webm", &[video(), audio("aac")]),
        ..Facts::default()
    }
}

/// The film with some fields of its video changed.
fn with_video(changes: Value) -> Facts {
    let mut video = video();
    for (key, value) in changes.as_object().unwrap() {
        video[key] = value.clone();
    }
    Facts { content: read("matroska,webm", &[video, audio("aac")]), ..film() }
}

fn verdict(facts: &Facts) -> Verdict {
    judge(facts, &rules())
}

fn reason(facts: &Facts) -> String {
    verdict(facts).reason
}

fn decision(verdict: EncodeVerdict, reason: &str) -> Decision {
    Decision {
        path: film().path,
        at: "2026-01-02T03:04:05Z".to_owned(),
        verdict,
        reason: reason.to_owned(),
        message: "95 % of the source".to_owned(),
        source: identity(),
        result: None,
        settings_digest: settings_digest(&rules().settings),
        mode: ReplacementMode::Replace,
    }
}

fn decided(decision: Decision) -> Facts {
    Facts { decisions: Some(vec![decision]), ..film() }
}

#[test]
fn a_film_that_passes_every_gate_is_eligible_and_its_video_described() {
    let verdict = verdict(&film());
    assert_eq!((verdict.state, verdict.reason.as_str()), (FileState::Pending, reasons::ELIGIBLE));
    assert_eq!(verdict.message, "h264 High, 1920x1080, yuv420p, 24000/1001 frames/s");
    assert!(verdict.is_eligible() && verdict.standing() == Standing::Temporary);
    let rate = crate::rational::Rational { num: 24_000, den: 1_001 };
    assert_eq!(described(&verdict.message), Some(Described { codec: "h264".into(), frame_rate: Some(rate) }));
    assert_eq!(described("mpeg2video, 720x576").and_then(|video| video.frame_rate), None);
    assert_eq!(described("no gate stopped it"), None);
}

#[test]
fn facts_that_are_unknown_pass_for_now() {
    assert_eq!(stopped(&Facts { utf8: true, ..Facts::default() }, &rules()), None);
}

#[test]
fn an_empty_marker_is_absolute_and_comes_before_everything_else() {
    let facts = Facts {
        marker: Some(Marker::Users),
        attributes: Some(Attributes { size: 1, links: 9, ..attributes() }),
        ..film()
    };
    assert_eq!(reason(&facts), reasons::SKIP_MARKER);
    let folder = Facts { folder_marker: Some("Films/.av1skip".into()), ..film() };
    assert!(verdict(&folder).message.starts_with("Films/.av1skip "));
}

#[test]
fn our_marker_keeps_the_file_it_is_about_and_lapses_for_another() {
    let own =
        OwnMarker::new("Heat.mkv", &identity(), reasons::NOT_SMALLER, "95 % of the source", "2026-01-02T03:04:05Z");
    let marked = Facts { marker: Some(Marker::Ours(own.clone())), ..film() };
    assert_eq!((verdict(&marked).state, reason(&marked).as_str()), (FileState::Rejected, reasons::ALREADY_REJECTED));
    let failed = Facts {
        marker: Some(Marker::Ours(OwnMarker { reason: reasons::VERIFICATION_FAILED.into(), ..own })),
        ..film()
    };
    assert_eq!((verdict(&failed).state, reason(&failed).as_str()), (FileState::Skipped, reasons::SKIP_MARKER));
    let another = Facts { identity: Some(FileIdentity { fingerprint: "e".repeat(64), ..identity() }), ..marked };
    assert_eq!(reason(&another), reasons::ELIGIBLE);
}

#[test]
fn a_file_of_the_smallest_size_is_too_small_and_one_byte_more_is_not() {
    let sized = |size| Facts { attributes: Some(Attributes { size, ..attributes() }), ..film() };
    let verdict = verdict(&sized(2 << 30));
    assert_eq!(
        (verdict.reason.as_str(), verdict.message.as_str()),
        (reasons::TOO_SMALL, "2.0 GiB is not above scan.minSize, 2.0 GiB")
    );
    assert_eq!(reason(&sized((2 << 30) + 1)), reasons::ELIGIBLE);
}

#[test]
fn a_file_modified_within_the_hour_needs_two_looks_apart() {
    let modified = |ago: i64, earlier_look| Facts {
        attributes: Some(Attributes { modified_time_ns: NOW - ago * SECOND, ..attributes() }),
        earlier_look,
        ..film()
    };
    assert_eq!(reason(&modified(9, EarlierLook::At(0))), reasons::NOT_STABLE);
    assert_eq!(reason(&modified(-60, EarlierLook::Unknown)), reasons::NOT_STABLE);
    assert_eq!(reason(&modified(600, EarlierLook::None)), reasons::NOT_STABLE);
    assert_eq!(reason(&modified(600, EarlierLook::At(NOW - 9 * SECOND))), reasons::NOT_STABLE);
    assert_eq!(reason(&modified(600, EarlierLook::At(NOW - 10 * SECOND))), reasons::ELIGIBLE);
    assert_eq!(reason(&modified(600, EarlierLook::Unknown)), reasons::ELIGIBLE);
    assert_eq!(reason(&modified(3_601, EarlierLook::None)), reasons::ELIGIBLE);
}

#[test]
fn on_nfs_a_file_must_not_have_changed_for_longer_than_attributes_are_cached() {
    let modified = |ago: i64| Facts {
        attributes: Some(Attributes { modified_time_ns: NOW - ago * SECOND, ..attributes() }),
        earlier_look: EarlierLook::Unknown,
        ..film()
    };
    let nfs = Rules { on_nfs: true, ..rules() };
    let young = judge(&modified(64), &nfs);
    assert_eq!(
        (young.reason.as_str(), young.message.as_str()),
        (reasons::NOT_STABLE, "modified 64 s ago, scan.stableSeconds is 10, on NFS 65: looked at again")
    );
    assert_eq!(judge(&modified(65), &nfs).reason, reasons::ELIGIBLE);
    let step = explain(&modified(65), &nfs).into_iter().find(|step| step.gate == "NotStable").unwrap();
    assert_eq!(step.found, "modified 1m 5s ago, scan.stableSeconds is 10, on NFS 65; no unfinished download beside it");
    let mut patient = nfs;
    patient.scan.stable_seconds = 120;
    assert_eq!((patient.stable_seconds(), patient.raised_stable_seconds()), (120, None));
    assert_eq!(judge(&modified(119), &patient).reason, reasons::NOT_STABLE);
}

#[test]
fn a_download_beside_the_file_makes_it_unstable_however_old_it_is() {
    let verdict = verdict(&Facts { unfinished_sibling: Some("Heat.mkv.aria2".into()), ..film() });
    assert_eq!((verdict.reason.as_str(), verdict.standing()), (reasons::NOT_STABLE, Standing::Temporary));
}

#[test]
fn links_and_special_files_are_not_regular_whatever_their_size() {
    for kind in [FileKind::SymbolicLink, FileKind::Special] {
        assert_eq!(
            reason(&Facts { attributes: Some(Attributes { kind, size: 3, ..attributes() }), ..film() }),
            reasons::NOT_REGULAR
        );
    }
}

#[test]
fn a_second_name_stops_a_file_unless_hard_links_are_encoded() {
    let facts = Facts { attributes: Some(Attributes { links: 2, ..attributes() }), ..film() };
    assert_eq!(reason(&facts), reasons::HARD_LINKED);
    assert_eq!(reason(&Facts { claimed: true, ..facts.clone() }), reasons::ELIGIBLE, "the second name is our own");
    let mut rules = rules();
    rules.scan.hard_links = HardLinks::Encode;
    assert_eq!(judge(&facts, &rules).reason, reasons::ELIGIBLE);
}

#[test]
fn a_path_that_is_not_utf8_cannot_be_named() {
    assert_eq!(reason(&Facts { utf8: false, ..film() }), reasons::UNREPRESENTABLE_NAME);
}

#[test]
fn our_result_is_done_though_it_is_small_fresh_and_renamed() {
    let result = FileIdentity { size: 1 << 20, modified_time_ns: NOW, fingerprint: "a".repeat(64), ..identity() };
    let facts = Facts {
        path: "elsewhere.mkv".into(),
        attributes: Some(Attributes { size: 1 << 20, modified_time_ns: NOW, ..attributes() }),
        identity: Some(result.clone()),
        ..decided(Decision { result: Some(result), ..decision(EncodeVerdict::Encoded, reasons::ENCODED) })
    };
    let verdict = verdict(&facts);
    assert_eq!(
        (verdict.state, verdict.reason.as_str(), verdict.size_before),
        (FileState::Done, reasons::ALREADY_DONE, Some(SIZE))
    );
}

#[test]
fn a_file_done_beside_or_reported_is_done_under_the_same_settings_and_mode_alone() {
    for mode in [ReplacementMode::Beside, ReplacementMode::ReportOnly] {
        let done = Decision { mode, ..decision(EncodeVerdict::Encoded, reasons::ENCODED) };
        let under = |decision: &Decision, mode| {
            let mut rules = rules();
            rules.settings.replacement_mode = mode;
            judge(&Facts { path: "renamed.mkv".into(), ..decided(decision.clone()) }, &rules).reason
        };
        assert_eq!(under(&done, mode), reasons::ALREADY_DONE);
        assert_eq!(under(&done, ReplacementMode::Replace), reasons::ELIGIBLE);
        assert_eq!(under(&Decision { settings_digest: "other".into(), ..done }, mode), reasons::ELIGIBLE);
    }
}

#[test]
fn a_restored_original_is_left_alone_wherever_it_is_and_whatever_the_settings() {
    let restored =
        Decision { settings_digest: "other".into(), ..decision(EncodeVerdict::Skipped, reasons::RESTORED_BY_USER) };
    assert_eq!(reason(&Facts { path: "renamed.mkv".into(), ..decided(restored) }), reasons::RESTORED_BY_USER);
}

#[test]
fn a_rejected_file_stays_rejected_until_file_or_settings_change() {
    let rejected = decision(EncodeVerdict::Rejected, reasons::NOT_SMALLER);
    let same = verdict(&decided(rejected.clone()));
    assert_eq!((same.state, same.reason.as_str()), (FileState::Rejected, reasons::ALREADY_REJECTED));
    assert_eq!(reason(&decided(Decision { settings_digest: "other".into(), ..rejected.clone() })), reasons::ELIGIBLE);
    assert_eq!(
        reason(&Facts { identity: Some(FileIdentity { size: SIZE + 1, ..identity() }), ..decided(rejected) }),
        reasons::ELIGIBLE
    );
}

#[test]
fn a_file_that_failed_for_good_is_not_tried_again() {
    let verdict = verdict(&decided(decision(EncodeVerdict::Failed, reasons::VERIFICATION_FAILED)));
    assert_eq!((verdict.state, verdict.reason.as_str()), (FileState::Failed, reasons::FAILED_BEFORE));
    assert!(verdict.message.contains(reasons::VERIFICATION_FAILED));
}

#[test]
fn an_encode_that_was_given_up_for_its_surroundings_is_tried_again_a_day_later() {
    let after = |reason, nanos: i64| {
        let at = jiff::Timestamp::from_nanosecond(i128::from(NOW - nanos)).unwrap().to_string();
        verdict(&decided(Decision { at, ..decision(EncodeVerdict::Failed, reason) }))
    };
    let day = 86_400 * SECOND;
    for reason in [reasons::POD_LOST, reasons::NO_SPACE, reasons::IO_ERROR, reasons::TOOLS_UNUSABLE] {
        let within = after(reason, day - 1);
        assert_eq!((within.state, within.reason.as_str()), (FileState::Failed, reasons::FAILED_BEFORE), "{reason}");
        assert!(within.message.ends_with("tried again a day later"), "{}", within.message);
        assert_eq!(after(reason, day).reason, reasons::ELIGIBLE, "{reason}");
    }
    for reason in [reasons::TOO_MANY_FAILURES, reasons::VERIFICATION_FAILED, reasons::INVALID_TASK] {
        assert_eq!(after(reason, 365 * day).reason, reasons::FAILED_BEFORE, "{reason}");
    }
}

#[test]
fn what_an_encode_pod_found_in_the_frames_is_remembered_with_its_own_reason() {
    let skipped = |reason| decided(decision(EncodeVerdict::Skipped, reason));
    assert_eq!(reason(&skipped(reasons::FRAME_COUNT_MISMATCH)), reasons::FRAME_COUNT_MISMATCH);
    assert_eq!(verdict(&skipped(reasons::UNREADABLE)).state, FileState::Unreadable);
    for temporary in [reasons::SOURCE_CHANGED, reasons::NOT_STABLE, reasons::TOO_SMALL, reasons::SKIP_MARKER] {
        assert_eq!(reason(&skipped(temporary)), reasons::ELIGIBLE, "{temporary}");
    }
}

#[test]
fn an_original_that_was_put_back_is_left_alone_but_a_copy_elsewhere_is_a_file_of_its_own() {
    let back = decided(decision(EncodeVerdict::Encoded, reasons::ENCODED));
    assert_eq!(reason(&back), reasons::SKIPPED_BEFORE);
    assert_eq!(reason(&Facts { path: "copy.mkv".into(), ..back }), reasons::ELIGIBLE);
}

#[test]
fn another_owner_is_named_with_the_user_to_set() {
    let verdict = verdict(&Facts { process_uid: Some(1_001), ..film() });
    assert_eq!(verdict.reason, reasons::OTHER_OWNER);
    assert!(verdict.message.contains("set spec.pods.runAsUser to 1000"), "{}", verdict.message);
}

#[test]
fn a_folder_that_the_librarys_user_may_not_write_in_stops_the_file_unless_only_its_figures_are_wanted() {
    let closed = Facts { folder_is_closed: Some(true), ..film() };
    let found = verdict(&closed);
    assert_eq!((found.reason.as_str(), found.standing()), (reasons::FOLDER_NOT_WRITABLE, Standing::Temporary));
    assert!(found.message.contains("user 1000"), "{}", found.message);
    let mode = |replacement_mode| {
        let rules = rules();
        judge(&closed, &Rules { settings: Settings { replacement_mode, ..rules.settings }, ..rules }).reason
    };
    assert_eq!(mode(ReplacementMode::ReportOnly), reasons::ELIGIBLE);
    assert_eq!(mode(ReplacementMode::Beside), reasons::FOLDER_NOT_WRITABLE);
    assert_eq!(reason(&Facts { folder_is_closed: None, ..film() }), reasons::ELIGIBLE);
    let skipped = decided(decision(EncodeVerdict::Skipped, reasons::FOLDER_NOT_WRITABLE));
    assert_eq!(reason(&skipped), reasons::ELIGIBLE, "it is judged afresh");
}

#[test]
fn a_file_that_cannot_be_read_is_unreadable_and_a_probe_that_did_not_run_says_nothing_of_the_file() {
    let with = |content| Facts { content: Some(content), ..film() };
    let unreadable = verdict(&with(Content::Unreadable("moov atom not found".into())));
    assert_eq!((unreadable.state, unreadable.standing()), (FileState::Unreadable, Standing::Final));
    let not_probed = verdict(&with(Content::NotProbed("ffprobe is not installed".into())));
    assert_eq!((not_probed.state, not_probed.standing()), (FileState::Skipped, Standing::Temporary));
}

#[test]
fn pictures_alone_are_no_video_and_av1_is_done_already() {
    let cover = json!({"codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}});
    assert_eq!(reason(&Facts { content: read("matroska,webm", &[cover, audio("flac")]), ..film() }), reasons::NO_VIDEO);
    let av1 = verdict(&with_video(json!({"codec_name": "av1"})));
    assert_eq!((av1.state, av1.reason.as_str()), (FileState::AlreadyAv1, reasons::ALREADY_AV1));
}

#[test]
fn only_containers_that_hold_av1_are_handled_by_content_and_by_name() {
    const MP4: &str = "mov,mp4,m4a,3gp,3g2,mj2";
    let named = |path: &str, format: &str| {
        reason(&Facts { path: path.to_owned(), content: read(format, &[video(), audio("aac")]), ..film() })
    };
    for (path, format) in [("a.mkv", "matroska,webm"), ("a.MP4", MP4), ("a.m4v", MP4)] {
        assert_eq!(named(path, format), reasons::ELIGIBLE, "{path}");
    }
    for (path, format) in
        [("a.mkv", MP4), ("a.mp4", "matroska,webm"), ("a.mov", MP4), ("a.ts", "mpegts"), ("a.mkv", "hls")]
    {
        assert_eq!(named(path, format), reasons::CONTAINER_CHANGE, "{path} {format}");
    }
}

#[test]
fn video_that_is_not_plain_is_skipped_with_its_own_reason() {
    let cases = [
        (
            json!({"side_data_list": [{"side_data_type": "DOVI configuration record"}], "color_transfer": "smpte2084"}),
            reasons::DOLBY_VISION,
        ),
        (json!({"codec_tag_string": "dvh1"}), reasons::DOLBY_VISION),
        (
            json!({"side_data_list": [{"side_data_type": "HDR Dynamic Metadata SMPTE2094-40 (HDR10+)"}]}),
            reasons::HDR10_PLUS,
        ),
        (json!({"codec_name": "hevc", "field_order": "tt"}), reasons::INTERLACED),
        (json!({"codec_name": "vc1", "field_order": "bb"}), reasons::INTERLACED),
        (json!({"closed_captions": 1}), reasons::CLOSED_CAPTIONS),
        (json!({"pix_fmt": "yuv422p10le"}), reasons::CHROMA_REDUCED),
        (json!({"pix_fmt": "gbrp"}), reasons::CHROMA_REDUCED),
        (json!({"pix_fmt": "yuv420p12le"}), reasons::DEPTH_REDUCED),
        (json!({"pix_fmt": "p016le"}), reasons::DEPTH_REDUCED),
        (json!({"pix_fmt": "yuva420p"}), reasons::ALPHA_LOST),
        (json!({"tags": {"alpha_mode": "1"}}), reasons::ALPHA_LOST),
        (json!({"side_data_list": [{"side_data_type": "Display Matrix"}]}), reasons::UNSUPPORTED_SIDE_DATA),
        (json!({"side_data_list": [{"side_data_type": "Mastering display metadata"}]}), reasons::UNSUPPORTED_SIDE_DATA),
        (json!({"side_data_list": [{"side_data_type": "Something new"}]}), reasons::UNSUPPORTED_SIDE_DATA),
        (json!({"tags": {"stereo_mode": "left_right"}}), reasons::UNSUPPORTED_SIDE_DATA),
        (json!({"width": 33}), reasons::UNSUPPORTED_SIZE),
        (json!({"height": 100_000}), reasons::UNSUPPORTED_SIZE),
        (json!({"codec_tag_string": "encv"}), reasons::CANNOT_DECODE),
        (json!({"pix_fmt": null, "field_order": "tt", "codec_name": "hevc"}), reasons::CANNOT_DECODE),
        (json!({"codec_name": ""}), reasons::CANNOT_DECODE),
    ];
    for (changes, expected) in cases {
        let verdict = verdict(&with_video(changes.clone()));
        assert_eq!((verdict.state, verdict.reason.as_str()), (FileState::Skipped, expected), "{changes}");
        assert!(!verdict.message.is_empty());
    }
}

#[test]
fn video_that_can_be_kept_is_eligible_however_unusual() {
    for changes in [
        json!({"color_transfer": "smpte2084", "color_primaries": "bt2020", "color_space": "bt2020nc", "pix_fmt": "yuv420p10le"}),
        json!({"color_transfer": "arib-std-b67"}),
        json!({"color_primaries": "bt2020"}),
        json!({"side_data_list": [{"side_data_type": "Content light level metadata", "max_content": 1000, "max_average": 400}]}),
        json!({"field_order": "tt"}),
        json!({"codec_name": "mpeg2video", "field_order": "bb"}),
        json!({"field_order": "unknown"}),
        json!({"field_order": null}),
        json!({"avg_frame_rate": "22/1"}),
        json!({"avg_frame_rate": "0/0", "r_frame_rate": "0/0"}),
        json!({"sample_aspect_ratio": "64:45"}),
        json!({"width": 1919, "height": 1079}),
        json!({"pix_fmt": "yuv420p10le", "codec_name": "hevc", "color_primaries": "bt709", "color_transfer": "bt709"}),
        json!({"pix_fmt": "yuvj420p"}),
        json!({"side_data_list": [{"side_data_type": "CPB properties"}]}),
        json!({"sample_aspect_ratio": "0:1"}),
        json!({"avg_frame_rate": "2397/100"}),
        json!({"codec_name": "vp9", "field_order": null}),
        json!({"tags": {"stereo_mode": "mono", "alpha_mode": "0"}}),
    ] {
        assert_eq!(reason(&with_video(changes.clone())), reasons::ELIGIBLE, "{changes}");
    }
}

#[test]
fn streams_that_would_be_lost_or_cannot_be_carried_stop_the_file() {
    let with = |stream: Value| reason(&Facts { content: read("matroska,webm", &[video(), stream]), ..film() });
    let mut second = video();
    second["index"] = json!(1);
    assert_eq!(with(second), reasons::SEVERAL_VIDEO_STREAMS);
    assert_eq!(with(json!({"index": 1, "codec_type": "data", "codec_name": "bin_data"})), reasons::DATA_STREAMS);
    assert_eq!(with(audio("cook")), reasons::UNSUPPORTED_STREAM);
    let mut rules = rules();
    rules.settings.drop_languages = vec!["en".into()];
    assert_eq!(judge(&film(), &rules).reason, reasons::WOULD_DROP_ORIGINAL_LANGUAGE);
}

#[test]
fn what_the_settings_allow_to_be_lost_stops_no_file() {
    let mut second = video();
    second["index"] = json!(1);
    let with = |stream: Value| Facts { content: read("matroska,webm", &[video(), stream]), ..film() };
    let cases = [
        (with_video(json!({"closed_captions": 1})), reasons::CLOSED_CAPTIONS),
        (with_video(json!({"pix_fmt": "yuv422p"})), reasons::CHROMA_REDUCED),
        (with_video(json!({"pix_fmt": "yuv420p12le"})), reasons::DEPTH_REDUCED),
        (with_video(json!({"tags": {"alpha_mode": "1"}})), reasons::ALPHA_LOST),
        (with_video(json!({"tags": {"stereo_mode": "left_right"}})), reasons::UNSUPPORTED_SIDE_DATA),
        (with(second), reasons::SEVERAL_VIDEO_STREAMS),
        (with(json!({"index": 1, "codec_type": "data", "codec_name": "bin_data"})), reasons::DATA_STREAMS),
    ];
    for (facts, allowed) in cases {
        assert_eq!(reason(&facts), allowed);
        let mut rules = rules();
        rules.settings.allow = vec![allowed.to_owned()];
        assert_eq!(judge(&facts, &rules).reason, reasons::ELIGIBLE, "{allowed}");
    }
    let mut rules = rules();
    rules.settings.allow = vec![reasons::DOLBY_VISION.to_owned()];
    let five = with_video(json!({"codec_tag_string": "dvh1"}));
    assert_eq!(judge(&five, &rules).reason, reasons::DOLBY_VISION, "without an HDR10 picture no leave helps");
}

#[test]
fn interlaced_video_passes_where_its_frames_can_be_made_whole() {
    let mut leave = rules();
    leave.settings.deinterlace = Deinterlace::Bwdif;
    for (codec, expected) in [
        ("prores", reasons::ELIGIBLE),
        ("vc1", reasons::ELIGIBLE),
        ("dvvideo", reasons::ELIGIBLE),
        ("hevc", reasons::INTERLACED),
    ] {
        let facts = with_video(json!({"codec_name": codec, "field_order": "tb"}));
        assert_eq!(reason(&facts), reasons::INTERLACED, "{codec}");
        assert_eq!(judge(&facts, &leave).reason, expected, "{codec} with leave");
        let refused = crate::picture::refused(facts.video().unwrap()).is_err();
        assert_eq!(refused, expected == reasons::INTERLACED, "{codec}, whatever is forced");
    }
}

#[test]
fn the_first_gate_wins_where_two_would_stop_a_file() {
    let interlaced_chroma = with_video(json!({"codec_name": "hevc", "pix_fmt": "yuv422p", "field_order": "tt"}));
    assert_eq!(reason(&interlaced_chroma), reasons::INTERLACED);
    let small_and_linked = Facts { attributes: Some(Attributes { size: 1, links: 2, ..attributes() }), ..film() };
    assert_eq!(reason(&small_and_linked), reasons::TOO_SMALL);
    let foreign_av1 = Facts { process_uid: Some(0), ..with_video(json!({"codec_name": "av1"})) };
    assert_eq!(reason(&foreign_av1), reasons::OTHER_OWNER);
    let rejected_and_odd =
        Facts { content: with_video(json!({"width": 3})).content, ..decided(decision(EncodeVerdict::Rejected, "")) };
    assert_eq!(reason(&rejected_and_odd), reasons::ALREADY_REJECTED);
}

#[test]
fn the_fingerprint_is_wanted_only_when_a_marker_or_a_decision_is_about_a_file_of_this_size() {
    let unknown = Facts { identity: None, ..film() };
    assert!(!unknown.wants_fingerprint());
    let with_decision = Facts { identity: None, ..decided(decision(EncodeVerdict::Rejected, "")) };
    assert!(with_decision.wants_fingerprint());
    let own = |size| Some(Marker::Ours(OwnMarker::new("x", &FileIdentity { size, ..identity() }, "", "", "")));
    assert!(Facts { marker: own(SIZE), ..unknown.clone() }.wants_fingerprint());
    assert!(!Facts { marker: own(1), ..unknown }.wants_fingerprint());
}

#[test]
fn a_forced_gate_is_passed_over_and_one_that_protects_the_file_never() {
    let small = Facts { attributes: Some(Attributes { size: 1, ..attributes() }), ..film() };
    let forced = |reasons: &[&str]| Rules { forced: reasons.iter().map(|&r| r.to_owned()).collect(), ..rules() };
    assert_eq!(judge(&small, &forced(&[reasons::TOO_SMALL])).reason, reasons::ELIGIBLE);
    assert_eq!(judge(&small, &forced(&[reasons::HARD_LINKED])).reason, reasons::TOO_SMALL);
    let linked = Facts { attributes: Some(Attributes { size: 1, links: 2, ..attributes() }), ..film() };
    assert_eq!(
        judge(&linked, &forced(&[reasons::TOO_SMALL])).reason,
        reasons::HARD_LINKED,
        "the next gate still stops it"
    );
    let marked = Facts { marker: Some(Marker::Users), ..film() };
    assert_eq!(judge(&marked, &forced(&[reasons::SKIP_MARKER])).reason, reasons::ELIGIBLE);
    let foreign = Facts { process_uid: Some(0), ..film() };
    assert_eq!(judge(&foreign, &forced(&reasons::NEVER_FORCED)).reason, reasons::OTHER_OWNER);
}

#[test]
fn asking_again_lifts_what_we_decided_and_marked_and_nothing_of_the_users() {
    let again = Rules { again: true, ..rules() };
    let own = OwnMarker::new("x", &identity(), reasons::NOT_SMALLER, "", "");
    let marked = Facts { marker: Some(Marker::Ours(own)), ..decided(decision(EncodeVerdict::Rejected, "")) };
    assert_eq!(reason(&marked), reasons::ALREADY_REJECTED);
    assert_eq!(judge(&marked, &again).reason, reasons::ELIGIBLE);
    assert_eq!(judge(&Facts { marker: Some(Marker::Users), ..film() }, &again).reason, reasons::SKIP_MARKER);
}

#[test]
fn a_cancelled_encode_stands_under_any_settings_until_it_is_asked_for_again() {
    let cancelled = decided(decision(EncodeVerdict::Skipped, reasons::CANCELLED_BY_USER));
    let mut other = rules();
    other.settings.max_percent = 50;
    assert_eq!(judge(&cancelled, &other).reason, reasons::CANCELLED_BY_USER);
    assert_eq!(judge(&cancelled, &Rules { again: true, ..other }).reason, reasons::ELIGIBLE);
}

#[test]
fn every_gate_says_what_it_found_in_a_file_that_passes_them_all() {
    let steps = explain(&film(), &rules());
    assert_eq!(steps.len(), CHAIN.len());
    for step in &steps {
        assert!(step.outcome == Outcome::Passed && step.reason.is_none() && !step.found.is_empty(), "{step:?}");
    }
    let found = |gate: &str| steps.iter().find(|step| step.gate == gate).unwrap().found.as_str();
    assert_eq!(found("TooSmall"), "3.0 GiB, scan.minSize is 2.0 GiB");
    assert_eq!(found("NotStable"), "modified 2h 0m ago, scan.stableSeconds is 10; no unfinished download beside it");
    assert_eq!(found("OtherOwner"), "belongs to user 1000 and group 1000; replaced by user 1000");
}

#[test]
fn the_first_gate_that_stops_a_file_is_told_from_those_that_would_too() {
    let facts = Facts { attributes: Some(Attributes { size: 1, links: 2, ..attributes() }), content: None, ..film() };
    let steps = explain(&facts, &rules());
    let outcomes = |outcome| steps.iter().filter(|s| s.outcome == outcome).map(|s| s.gate.as_str()).collect::<Vec<_>>();
    assert_eq!(outcomes(Outcome::Stopped), ["TooSmall"]);
    assert_eq!(outcomes(Outcome::WouldStop), ["HardLinked"]);
    assert!(outcomes(Outcome::Unknown).contains(&"AlreadyAv1"), "it was not probed");
    let first = steps.iter().find(|step| step.outcome == Outcome::Stopped).unwrap();
    assert_eq!((first.reason.clone(), first.found.clone()), (Some(reason(&facts)), verdict(&facts).message));
}
