//! Every check, passed by a whole measurement and failed by one that differs in just its way.

use serde_json::json;

use super::*;
use crate::light::Content;
use crate::probe::SideData;
use crate::streams::{Carry, Container, Kept, Kind, Origin};

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
        durations: Vec::new(),
        first_side_data: Vec::new(),
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
    light: Light,
    stream_light: Light,
    is_variable: bool,
    sampled: Option<Sampling>,
}

impl Measured {
    fn new() -> Self {
        let frames = FrameTimes { time_base: MILLISECONDS, pts: (0..240).map(|n| n * 1_000 / 24).collect() };
        let all = vec![packets("a"), packets("b"), packets("c"), packets("")];
        let kept = |(index, kind)| Kept { index, kind, carry: Carry::Copy };
        let kinds = [(1, Kind::Audio), (2, Kind::Audio), (3, Kind::Subtitle), (4, Kind::Attachment)];
        Self {
            source: probe("h264"),
            streams: StreamPlan {
                origin: Origin::Matroska,
                container: Container::Matroska,
                video: 0,
                kept: kinds.map(kept).to_vec(),
                dropped: Vec::new(),
                shift: 0.0,
            },
            source_frames: frames.clone(),
            source_packets: all.clone(),
            output: probe("av1"),
            output_frames: frames,
            output_packets: all,
            errors: String::new(),
            light: Light::default(),
            stream_light: Light::default(),
            is_variable: false,
            sampled: None,
        }
    }

    fn failed(&self) -> Vec<String> {
        self.rows().into_iter().filter(|row| !row.passed).map(|row| row.name).collect()
    }

    fn rows(&self) -> Vec<Check> {
        let video = ExpectedVideo {
            pix_fmt: "yuv420p10le".to_owned(),
            header: Header { light: self.light, ..Header::plain(320, 180) },
            color_range: None,
            color_primaries: None,
            color_transfer: None,
            color_space: None,
            chroma_location: None,
            frame_rate: Rational { num: 24, den: 1 },
            is_variable: self.is_variable,
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
            stream_light: Some(self.stream_light),
            packets: &self.output_packets,
            decode_errors: &self.errors,
            sampled: self.sampled,
        };
        let rows = judge(&source, &output, &video, 1_000);
        assert_eq!(
            rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(),
            ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>()
        );
        rows
    }
}

/// The checks that fail after `change`.
fn failed_after(change: impl FnOnce(&mut Measured)) -> Vec<String> {
    let mut measured = Measured::new();
    change(&mut measured);
    measured.failed()
}

#[test]
fn rows_on_a_sampled_video_say_what_was_not_decoded_and_fail_as_ever() {
    let mut measured = Measured::new();
    measured.sampled = Some(Sampling::SAMPLED);
    assert_eq!(measured.failed(), [] as [&str; 0]);
    let row = |name: &str| measured.rows().into_iter().find(|row| row.name == name).unwrap().measured;
    assert_eq!(row(DECODES), "no error; the video sampled 22 x 4 s, the rest of it not decoded");
    assert_eq!(row(FRAME_COUNT), "240, by packets");
    assert!(row(FRAME_TIMES).ends_with(", by packets"));
    measured.output_frames.pts.pop();
    measured.errors = "at 12.0 s: bad".to_owned();
    assert_eq!(measured.failed(), [DECODES, FRAME_COUNT]);
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
    let varying = |by: i64| {
        failed_after(|m| {
            m.is_variable = true;
            m.output_frames.pts[100] += by;
        })
    };
    assert_eq!(varying(2), [] as [&str; 0]);
    assert_eq!(varying(3), [FRAME_TIMES]);
}

fn side_data(kind: &str, values: &[(&str, &str)]) -> SideData {
    SideData { kind: kind.to_owned(), values: values.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect() }
}

#[test]
fn light_must_be_told_by_the_container_and_by_the_stream() {
    let light = Light { content: Some(Content { most: 1_000, average: 400 }), ..Light::default() };
    let told = || side_data("Content light level metadata", &[("max_content", "1000"), ("max_average", "400")]);
    let failed = |container: bool, stream: bool, expected: Light| {
        failed_after(|m| {
            m.light = expected;
            m.stream_light = if stream { light } else { Light::default() };
            m.output.streams[0].side_data = if container { vec![told()] } else { vec![] };
        })
    };
    assert_eq!(failed(true, true, light), [] as [&str; 0]);
    for (container, stream) in [(false, true), (true, false), (false, false)] {
        assert_eq!(failed(container, stream, light), [HDR_METADATA]);
    }
    assert_eq!(failed(true, true, Light::default()), [HDR_METADATA], "light that the source did not tell of");
}

#[test]
fn a_matrix_or_hidden_pixels_that_were_not_planned_are_seen() {
    let hidden = failed_after(|m| {
        m.output.streams[0].side_data =
            vec![side_data("Frame Cropping", &[("crop_right", "1"), ("crop_left", "0"), ("crop_bottom", "0")])];
    });
    assert_eq!(hidden, [PICTURE_SIZE]);
    let matrix = "\n0: 0 65536 0\n1: -65536 0 0\n2: 0 0 1073741824\n";
    let turned = failed_after(|m| {
        m.output.streams[0].side_data = vec![side_data("Display Matrix", &[("displaymatrix", matrix)])]
    });
    assert_eq!(turned, [ROTATION]);
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
    let cases: [(&str, Change); 14] = [
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
        (TRACK_TAGS, |m| drop(m.source.streams[1].tags.insert("commentator".to_owned(), "Ann".to_owned()))),
        (CHAPTERS, |m| m.output.chapters[0].end_time = Some(5.003)),
        (ATTACHMENTS, |m| m.output_packets[3].configuration = Some("other".to_owned())),
        (ATTACHMENTS, |m| drop(m.output.streams.remove(4))),
    ];
    for (check, change) in cases {
        assert_eq!(failed_after(change), [check]);
    }
}

#[test]
fn what_describes_chapters_is_compared_where_the_source_has_it() {
    const FROM: &str =
        "<Chapters>\n <EditionEntry>\n  <EditionFlagOrdered>1</EditionFlagOrdered>\n </EditionEntry>\n</Chapters>";
    let failed = |from: Option<&str>, to: Option<&str>| {
        failed_after(|m| {
            m.source.format.chapter_document = from.map(str::to_owned);
            m.output.format.chapter_document = to.map(str::to_owned);
        })
    };
    let more = FROM.replace(" <EditionEntry>", " <EditionEntry>\n  <EditionUID>7</EditionUID>");
    for (from, to) in [(Some(FROM), Some(FROM)), (Some(FROM), Some(&*more)), (None, Some(FROM)), (None, None)] {
        assert_eq!(failed(from, to), [] as [&str; 0]);
    }
    assert_eq!(failed(Some(FROM), None), [CHAPTERS]);
    assert_eq!(failed(Some(FROM), Some(&FROM.replace('1', "0"))), [CHAPTERS]);
    assert_eq!(failed(Some(&more), Some(FROM)), [CHAPTERS]);
}

#[test]
fn languages_are_compared_by_their_full_tags_where_there_are_some() {
    let tagged = |tag: Option<&str>| {
        failed_after(|m| {
            m.source.streams[1].language_tag = Some("pt-BR".to_owned());
            m.output.streams[1].language_tag = tag.map(str::to_owned);
        })
    };
    assert_eq!(tagged(Some("pt-BR")), [] as [&str; 0]);
    assert_eq!(
        (tagged(Some("pt-PT")), tagged(None)),
        (vec![TRACK_LANGUAGES.to_owned()], vec![TRACK_LANGUAGES.to_owned()])
    );
    assert_eq!(failed_after(|m| m.source.streams[1].disabled = true), [TRACK_DISPOSITIONS]);
}

#[test]
fn converted_tracks_are_compared_by_what_they_sound_like_and_not_by_their_form() {
    let sound = |change: fn(&mut Measured)| {
        failed_after(|m| {
            m.streams.kept[0].carry = Carry::Samples("pcm_s24le");
            m.source.streams[1].codec_name = "pcm_bluray".to_owned();
            m.output.streams[1].codec_name = "pcm_s24le".to_owned();
            m.output_packets[0].configuration = None;
            for stream in [&mut m.source.streams[1], &mut m.output.streams[1]] {
                (stream.channels, stream.sample_rate) = (Some(6), Some(48_000));
            }
            change(m);
        })
    };
    assert_eq!(sound(|_| {}), [] as [&str; 0]);
    assert_eq!(sound(|m| m.output.streams[1].channels = Some(2)), [TRACK_CONFIGURATION]);
    assert_eq!(sound(|m| m.output.streams[1].codec_name = "pcm_s16le".to_owned()), [TRACK_CONFIGURATION]);
    assert_eq!(sound(|m| m.output_packets[0].digest = "x".to_owned()), [TRACK_DATA]);
    let filtered = |made: &str| {
        failed_after(|m| {
            m.streams.kept[0].carry = Carry::Filter("aac_adtstoasc");
            m.source_packets[0].configuration = None;
            m.source_packets[0].first_side_data = vec!["other".to_owned(), made.to_owned()];
        })
    };
    assert_eq!((filtered("ca"), filtered("cb")), (vec![], vec![TRACK_CONFIGURATION.to_owned()]));
}

#[test]
fn subtitles_are_shown_as_long_as_in_the_source() {
    let shown = |by: i64| {
        failed_after(|m| {
            m.source_packets[2].durations = vec![1_000; 100];
            m.output_packets[2].durations = vec![1_000; 100];
            m.output_packets[2].durations[40] += by;
        })
    };
    assert_eq!((shown(2), shown(3)), (vec![], vec![TRACK_TIMES.to_owned()]));
}

#[test]
fn a_clock_that_is_set_to_zero_moves_everything_by_the_same() {
    let failed = failed_after(|m| {
        m.streams.shift = 600.0;
        m.source.format.duration = Some(10.0);
        m.source_frames.pts.iter_mut().for_each(|pts| *pts += 600_000);
        for packets in &mut m.source_packets {
            packets.pts.iter_mut().flatten().for_each(|pts| *pts += 600_000);
            packets.end = packets.end.map(|end| end + 600_000);
        }
        m.source.chapters[0].start_time = Some(600.0);
        m.source.chapters[0].end_time = Some(605.0);
    });
    assert_eq!(failed, [] as [&str; 0]);
}

#[test]
fn a_source_that_lies_on_its_duration_is_compared_by_its_packets() {
    assert_eq!(failed_after(|m| m.source.format.duration = Some(36_000.0)), [] as [&str; 0]);
}

#[test]
fn covers_are_compared_by_their_bytes() {
    let cover = |change: fn(&mut Measured)| {
        failed_after(|m| {
            let picture: crate::probe::Stream = serde_json::from_value(
                json!({"index": 5, "codec_type": "video", "codec_name": "mjpeg", "disposition": {"attached_pic": 1}}),
            )
            .unwrap();
            m.streams.kept.push(Kept { index: 5, kind: Kind::Picture, carry: Carry::Copy });
            m.source.streams.push(picture.clone());
            m.output.streams.push(picture);
            m.source_packets.push(packets("picture"));
            m.output_packets.push(packets("picture"));
            change(m);
        })
    };
    assert_eq!(cover(|_| {}), [] as [&str; 0]);
    assert_eq!(cover(|m| m.output_packets[4].digest = "x".to_owned()), [ATTACHMENTS]);
    assert_eq!(cover(|m| drop(m.output.streams.pop())), [ATTACHMENTS]);
}

#[test]
fn a_rehearsal_passes_and_fails_by_its_streams_and_is_one_row() {
    let rehearsed = |change: fn(&mut Measured)| {
        let mut m = Measured::new();
        m.output_frames.pts.truncate(1);
        change(&mut m);
        let source =
            Source { probe: &m.source, streams: &m.streams, frames: &m.source_frames, packets: &m.source_packets };
        let output = Output {
            probe: &m.output,
            frames: &m.output_frames,
            stream_light: Some(Light::default()),
            packets: &m.output_packets,
            decode_errors: "",
            sampled: None,
        };
        judge_rehearsal(&source, &output, 20)
    };
    assert!(rehearsed(|_| {}).passed);
    let failed = rehearsed(|m| m.output.streams[2].codec_type = "data".to_owned());
    assert!(!failed.passed && failed.measured.starts_with("TrackCount"), "{failed:?}");
    assert_eq!(failed.name, REHEARSAL.0);
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
    for check in [VIDEO_STREAM, PIXEL_FORMAT, PICTURE_SIZE, PIXEL_ASPECT, COLOUR, ROTATION, HDR_METADATA, TRACK_COUNT] {
        assert!(failed.contains(&check.to_owned()), "{check}");
    }
}

#[test]
fn long_texts_of_a_row_are_cut() {
    let mut measured = Measured::new();
    measured.errors = "é".repeat(10_000);
    assert_eq!(unreadable(&measured.errors).measured.chars().count(), MOST_TEXT);
}
