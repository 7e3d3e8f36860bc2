//! Every check, passed by a whole measurement and failed by one that differs in just its way.

use serde_json::json;

use super::*;
use crate::streams::{Container, Kept, Kind};

const MILLISECONDS: Rational = Rational { num: 1, den: 1_000 };

fn probe(codec: &str) -> Probe {
    let json = json!({"format": {"format_name": "matroska,webm", "duration": "10.0", "tags": {"title": "Film", "ENCODER": codec}},
        "chapters": [{"start_time": "0.0", "end_time": "5.0", "tags": {"title": "One"}}],
        "streams": [
            {"index": 0, "codec_type": "video", "codec_name": codec, "pix_fmt": "yuv420p10le", "width": 320, "height": 180, "color_range": "tv"},
            {"index": 1, "codec_type": "audio", "codec_name": "aac", "disposition": {"default": 1}, "tags": {"language": "eng", "title": "Main"}},
            {"index": 2, "codec_type": "audio", "codec_name": "aac", "tags": {"language": "jpn"}},
            {"index": 3, "codec_type": "subtitle", "codec_name": "subrip", "tags": {"language": "ger"}},
            {"index": 4, "codec_type": "attachment", "tags": {"filename": "a.ttf", "mimetype": "font/ttf"}}]});
    Probe::parse(json.to_string().as_bytes()).unwrap()
}

fn packets(digest: &str) -> StreamPackets {
    let pts = (0..100).map(|n| Some(80 + n * 100)).collect();
    StreamPackets {
        time_base: MILLISECONDS,
        configuration: Some(format!("c{digest}")),
        digest: digest.to_owned(),
        pts,
        end: Some(10_080),
    }
}

/// Both files as measured; a test changes one value.
struct Measured {
    source: Probe,
    streams: StreamPlan,
    source_frames: FrameTimes,
    source_packets: Vec<StreamPackets>,
    output: Probe,
    output_frames: FrameTimes,
    output_packets: Vec<StreamPackets>,
    errors: String,
}

impl Measured {
    fn new() -> Self {
        let frames = FrameTimes { time_base: MILLISECONDS, pts: (0..240).map(|n| n * 1_000 / 24).collect() };
        let all = vec![packets("a"), packets("b"), packets("c"), packets("")];
        let kept = |(index, kind)| Kept { index, kind };
        let kinds = [(1, Kind::Audio), (2, Kind::Audio), (3, Kind::Subtitle), (4, Kind::Attachment)];
        Self {
            source: probe("h264"),
            streams: StreamPlan {
                container: Container::Matroska,
                video: 0,
                kept: kinds.map(kept).to_vec(),
                dropped: Vec::new(),
            },
            source_frames: frames.clone(),
            source_packets: all.clone(),
            output: probe("av1"),
            output_frames: frames,
            output_packets: all,
            errors: String::new(),
        }
    }

    fn failed(&self) -> Vec<String> {
        let video = ExpectedVideo {
            pix_fmt: "yuv420p10le".to_owned(),
            width: 320,
            height: 180,
            sample_aspect_ratio: None,
            color_range: None,
            color_primaries: None,
            color_transfer: None,
            color_space: None,
            chroma_location: None,
            frame_rate: Rational { num: 24, den: 1 },
        };
        let source = Source {
            probe: &self.source,
            streams: &self.streams,
            frames: &self.source_frames,
            packets: &self.source_packets,
        };
        let output = Output {
            probe: &self.output,
            frames: &self.output_frames,
            packets: &self.output_packets,
            decode_errors: &self.errors,
        };
        let rows = judge(&source, &output, &video, 1_000);
        assert_eq!(
            rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
            ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
        rows.into_iter().filter(|row| !row.passed).map(|row| row.name).collect()
    }
}

/// The checks that fail after `change`.
fn failed_after(change: impl FnOnce(&mut Measured)) -> Vec<String> {
    let mut measured = Measured::new();
    change(&mut measured);
    measured.failed()
}

#[test]
fn a_whole_output_passes_every_check() {
    assert_eq!(Measured::new().failed(), [] as [&str; 0]);
}

#[test]
fn frames_may_be_moved_by_a_quarter_frame_and_no_more() {
    let moved = |by: i64| failed_after(|m| m.output_frames.pts[100] += by);
    assert_eq!(moved(10), [] as [&str; 0]);
    assert_eq!(moved(-11), [FRAME_TIMES]);
    let other_time_base = failed_after(|m| {
        m.source_frames.pts.iter_mut().for_each(|ticks| *ticks *= 24);
        m.source_frames.time_base = Rational { num: 1, den: 24_000 };
    });
    assert_eq!(other_time_base, [] as [&str; 0]);
}

#[test]
fn a_lost_frame_is_told_by_its_count_alone() {
    assert_eq!(failed_after(|m| _ = m.output_frames.pts.remove(100)), [FRAME_COUNT]);
}

#[test]
fn files_without_frames_do_not_pass() {
    let failed = failed_after(|m| {
        m.source_frames.pts.clear();
        m.output_frames.pts.clear();
    });
    assert_eq!(failed, [FRAME_COUNT, FRAME_TIMES, STREAM_DURATIONS, TRACK_STARTS]);
}

#[test]
fn swapped_tracks_are_told_by_their_order_alone() {
    let failed = failed_after(|m| {
        m.output_packets.swap(0, 1);
        m.output.streams.swap(1, 2);
        m.output.streams[1].index = 1;
        m.output.streams[2].index = 2;
    });
    assert_eq!(failed, [TRACK_ORDER]);
}

#[test]
fn tracks_whose_content_is_swapped_under_the_same_names_are_caught() {
    assert_eq!(
        failed_after(|m| m.output_packets.swap(0, 1)),
        [TRACK_ORDER, TRACK_LANGUAGES, TRACK_TITLES, TRACK_DISPOSITIONS]
    );
}

#[test]
fn a_lost_or_an_additional_track_is_told_by_the_count_alone() {
    let lost = failed_after(|m| {
        m.output.streams.remove(2);
        m.output_packets.remove(1);
    });
    assert_eq!(lost, [TRACK_COUNT]);
    let twice = failed_after(|m| {
        let mut copy = m.output.streams[1].clone();
        copy.index = 9;
        m.output.streams.push(copy);
        m.output_packets.push(packets("a"));
    });
    assert_eq!(twice, [TRACK_COUNT]);
}

#[test]
fn a_track_lags_by_two_milliseconds_at_most() {
    let lag = |by: i64| failed_after(|m| m.output_packets[0].pts.iter_mut().flatten().for_each(|pts| *pts += by));
    assert_eq!(lag(2), [] as [&str; 0]);
    assert_eq!(lag(3), [TRACK_STARTS]);
    assert_eq!(failed_after(|m| m.output_packets[0].pts[50] = Some(5_083)), [TRACK_TIMES]);
    assert_eq!(failed_after(|m| m.output_packets[0].pts[50] = None), [TRACK_TIMES]);
}

#[test]
fn durations_may_differ_by_the_tolerance_and_no_more() {
    let file = |seconds: f64| failed_after(|m| m.output.format.duration = Some(seconds));
    assert_eq!(file(9.0), [] as [&str; 0]);
    assert_eq!(file(8.999), [FILE_DURATION]);
    assert_eq!(failed_after(|m| m.output.format.duration = None), [FILE_DURATION]);
    assert_eq!(failed_after(|m| m.output_packets[2].end = Some(9_079)), [STREAM_DURATIONS]);
}

#[test]
fn the_files_duration_is_that_of_what_is_kept_when_tracks_were_dropped() {
    let failed = failed_after(|m| {
        m.streams.dropped.push("audio 9".to_owned());
        m.output.format.duration = Some(2.0);
    });
    assert_eq!(failed, [] as [&str; 0]);
    let cut = failed_after(|m| {
        m.streams.dropped.push("audio 9".to_owned());
        m.source_packets[1].end = Some(20_000);
        m.output_packets[1].end = Some(18_999);
    });
    assert_eq!(cut, [FILE_DURATION, STREAM_DURATIONS]);
}

#[test]
fn a_source_that_tells_no_duration_is_compared_by_the_end_of_what_is_kept() {
    let untold = |end| {
        failed_after(|m| {
            m.source.format.duration = None;
            m.output_packets[1].end = Some(end);
        })
    };
    assert_eq!(untold(10_080), [] as [&str; 0]);
    assert_eq!(untold(12_000), [FILE_DURATION, STREAM_DURATIONS]);
}

#[test]
fn tags_of_the_writing_program_may_change_and_others_not() {
    assert_eq!(failed_after(|m| drop(m.output.format.tags.remove("title"))), [GLOBAL_TAGS]);
    assert_eq!(failed_after(|m| drop(m.output.format.tags.insert("more".to_owned(), "x".to_owned()))), [] as [&str; 0]);
}

#[test]
fn every_other_spoiled_value_fails_its_own_check() {
    type Change = fn(&mut Measured);
    let cases: [(&str, Change); 13] = [
        (VIDEO_STREAM, |m| m.output.streams[0].codec_name = "h264".to_owned()),
        (PIXEL_FORMAT, |m| m.output.streams[0].pix_fmt = None),
        (PICTURE_SIZE, |m| m.output.streams[0].height = Some(184)),
        (PIXEL_ASPECT, |m| m.output.streams[0].sample_aspect_ratio = Some(Rational { num: 4, den: 3 })),
        (COLOUR, |m| m.output.streams[0].color_range = Some("pc".to_owned())),
        (DECODES, |m| m.errors = "Invalid data".to_owned()),
        (TRACK_DATA, |m| m.output_packets[0].digest = "x".to_owned()),
        (TRACK_CONFIGURATION, |m| m.output_packets[0].configuration = None),
        (TRACK_LANGUAGES, |m| drop(m.output.streams[2].tags.remove("language"))),
        (TRACK_DISPOSITIONS, |m| m.output.streams[3].disposition.push("forced".to_owned())),
        (CHAPTERS, |m| m.output.chapters[0].end_time = Some(5.003)),
        (ATTACHMENTS, |m| m.output_packets[3].configuration = Some("other".to_owned())),
        (ATTACHMENTS, |m| drop(m.output.streams.remove(4))),
    ];
    for (check, change) in cases {
        assert_eq!(failed_after(change), [check]);
    }
}

#[test]
fn languages_are_equal_in_every_spelling() {
    assert_eq!(
        failed_after(|m| drop(m.output.streams[3].tags.insert("language".to_owned(), "deu".to_owned()))),
        [] as [&str; 0]
    );
}

#[test]
fn a_missing_value_is_not_an_equal_one() {
    let failed = failed_after(|m| m.output.streams.clear());
    for check in [VIDEO_STREAM, PIXEL_FORMAT, PICTURE_SIZE, PIXEL_ASPECT, COLOUR, TRACK_COUNT, ATTACHMENTS] {
        assert!(failed.contains(&check.to_owned()), "{check}");
    }
}

#[test]
fn long_texts_of_a_row_are_cut() {
    let mut measured = Measured::new();
    measured.errors = "é".repeat(10_000);
    assert_eq!(unreadable(&measured.errors).measured.chars().count(), MOST_TEXT);
}
