//! Checks of the video, the file and what hangs on the file. Pure.

use std::collections::BTreeMap;

use av1_crds::wire::Check;

use super::{
    ATTACHMENTS, CHAPTERS, COLOUR, DECODES, FILE_DURATION, FRAME_COUNT, FRAME_TIMES, GLOBAL_TAGS, HDR_METADATA,
    PICTURE_SIZE, PIXEL_ASPECT, PIXEL_FORMAT, ROTATION,
};
use super::{ExpectedVideo, Output, Source, VIDEO_STREAM, compared, copied_streams, row, within};
use crate::light::Light;
use crate::packets::StreamPackets;
use crate::probe::{Chapter, Probe, Stream};
use crate::rational::{FrameTimes, Rational};
use crate::rotation::Rotation;
use crate::streams::Origin;

/// Seconds that containers' own rounding may move a time.
pub(super) const ROUNDING: f64 = 0.002;

/// Global tags that name the program or the kind of file, of which the output is another.
const OWN_TAGS: &[&str] = &["encoder"];
/// The same, of MP4 alone.
const OWN_MP4_TAGS: &[&str] = &["compatible_brands", "major_brand", "minor_version"];

pub(super) fn video_stream(probe: &Probe) -> Check {
    let codecs: Vec<&str> =
        probe.of("video").filter(|s| !s.is("attached_pic")).map(|stream| stream.codec_name.as_str()).collect();
    row(VIDEO_STREAM, codecs == ["av1"], "av1", if codecs.is_empty() { "none".to_owned() } else { codecs.join(", ") })
}

pub(super) fn pixel_format(stream: Option<&Stream>, video: &ExpectedVideo) -> Check {
    let measured = stream.and_then(|s| s.pix_fmt.as_deref()).unwrap_or("none");
    row(PIXEL_FORMAT, measured == video.pix_fmt, &video.pix_fmt, measured)
}

pub(super) fn picture_size(stream: Option<&Stream>, video: &ExpectedVideo) -> Check {
    let words = |size: Option<(u32, u32)>, [left, top, right, bottom]: [u32; 4]| match size {
        None => "none".to_owned(),
        Some((width, height)) if [left, top, right, bottom] == [0; 4] => format!("{width}x{height}"),
        Some((width, height)) => {
            format!("{width}x{height}, of which {left}, {top}, {right}, {bottom} are hidden (left, top, right, bottom)")
        }
    };
    let expected = words(
        Some((video.header.width, video.header.height)),
        [0, 0, video.header.hidden_right, video.header.hidden_bottom],
    );
    let measured = words(stream.and_then(|s| s.width.zip(s.height)), stream.map_or([0; 4], hidden));
    row(PICTURE_SIZE, measured == expected, &expected, &measured)
}

/// Columns and rows that the container hides at the left, the top, the right and the bottom.
fn hidden(stream: &Stream) -> [u32; 4] {
    let cropping = stream.side_data.iter().find(|data| data.kind == "Frame Cropping");
    ["crop_left", "crop_top", "crop_right", "crop_bottom"]
        .map(|edge| cropping.and_then(|data| data.values.get(edge)?.parse().ok()).unwrap_or_default())
}

pub(super) fn pixel_aspect(stream: Option<&Stream>, video: &ExpectedVideo) -> Check {
    const SQUARE: Rational = Rational { num: 1, den: 1 };
    let expected = video.header.sample_aspect_ratio.unwrap_or(SQUARE);
    let measured = stream.map(|s| s.sample_aspect_ratio.unwrap_or(SQUARE));
    let equal = measured
        .is_some_and(|m| i128::from(m.num) * i128::from(expected.den) == i128::from(expected.num) * i128::from(m.den));
    row(PIXEL_ASPECT, equal, expected.to_string(), measured.map_or("none".to_owned(), |m| m.to_string()))
}

pub(super) fn colour(stream: Option<&Stream>, video: &ExpectedVideo) -> Check {
    let said = |value: Option<&String>, otherwise: &str| match value.map(String::as_str) {
        None | Some("unknown" | "unspecified" | "") => otherwise.to_owned(),
        Some(value) => value.to_owned(),
    };
    let words = |range: Option<&String>, rest: [Option<&String>; 4]| {
        let [primaries, transfer, matrix, location] = rest.map(|value| said(value, "unspecified"));
        format!(
            "range {}, primaries {primaries}, transfer {transfer}, matrix {matrix}, chroma {location}",
            said(range, "tv")
        )
    };
    let expected = words(
        video.color_range.as_ref(),
        [&video.color_primaries, &video.color_transfer, &video.color_space, &video.chroma_location].map(Option::as_ref),
    );
    let measured = stream.map_or("none".to_owned(), |s| {
        words(
            s.color_range.as_ref(),
            [&s.color_primaries, &s.color_transfer, &s.color_space, &s.chroma_location].map(Option::as_ref),
        )
    });
    row(COLOUR, measured == expected, &expected, &measured)
}

pub(super) fn rotation(stream: Option<&Stream>, video: &ExpectedVideo) -> Check {
    let measured = stream.map(Rotation::of);
    let words = match &measured {
        None => "none".to_owned(),
        Some(Ok(rotation)) => rotation.to_string(),
        Some(Err(other)) => other.to_string(),
    };
    row(ROTATION, measured == Some(Ok(video.header.rotation)), video.header.rotation.to_string(), words)
}

pub(super) fn hdr_metadata(stream: Option<&Stream>, in_stream: Option<&Light>, video: &ExpectedVideo) -> Check {
    let container = stream.map(Light::of_container);
    let words = match &container {
        None => "no video".to_owned(),
        Some(Ok(light)) => light.to_string(),
        Some(Err(part)) => part.to_string(),
    };
    let measured = match in_stream {
        Some(light) => format!("container: {words}; stream: {light}"),
        None => format!("container: {words}; stream: its scenes differ"),
    };
    let passed = matches!(&container, Some(Ok(light)) if light.is_like(&video.header.light))
        && in_stream.is_some_and(|light| light.is_like(&video.header.light));
    row(HDR_METADATA, passed, format!("both: {}", video.header.light), measured)
}

pub(super) fn decodes(output: &Output<'_>) -> Check {
    let errors = output.decode_errors.trim();
    let measured = match output.sampled {
        _ if !errors.is_empty() => errors.to_owned(),
        Some(sampling) => format!("no error; the video {sampling}, the rest of it not decoded"),
        None => "no error".to_owned(),
    };
    row(DECODES, errors.is_empty(), "no error", measured)
}

pub(super) fn frame_count(source: &FrameTimes, output: &Output<'_>) -> Check {
    let (expected, measured) = (source.pts.len(), output.frames.pts.len());
    let passed = expected == measured && expected > 0;
    row(FRAME_COUNT, passed, expected.to_string(), format!("{measured}{}", by_packets(output)))
}

/// What is said of frames that were not decoded.
fn by_packets(output: &Output<'_>) -> &'static str {
    if output.sampled.is_some() { ", by packets" } else { "" }
}

/// Each frame of the output against the source's frame of the same number; where the numbers of frames differ, which is
/// another check's affair, against the nearest.
pub(super) fn frame_times(source: &Source<'_>, measured: &Output<'_>, video: &ExpectedVideo) -> Check {
    let output = measured.frames;
    // A quarter of an average frame would be more than the shortest frames of a rate that varies.
    let quarter = if video.is_variable { 0.0 } else { 0.25 / video.frame_rate.as_f64() };
    let limit = quarter.max(ROUNDING);
    let (source, shift) = (source.frames, source.streams.shift);
    let same_count = source.pts.len() == output.pts.len();
    let times: Vec<f64> =
        (0..source.pts.len()).filter_map(|index| source.seconds(index)).map(|time| time - shift).collect();
    let mut worst: Option<(usize, f64)> = None;
    for index in 0..output.pts.len() {
        let Some(time) = output.seconds(index) else {
            continue;
        };
        let reference = if same_count { times.get(index).copied() } else { nearest(&times, time) };
        let distance = reference.map_or(f64::INFINITY, |reference| (time - reference).abs());
        if worst.is_none_or(|(_, most)| distance > most) {
            worst = Some((index, distance));
        }
    }
    let expected = format!("within {:.1} ms", limit * 1_000.0);
    match worst {
        None => row(FRAME_TIMES, false, expected, "no frames"),
        Some((index, distance)) => {
            let words = format!("at most {:.1} ms apart, at frame {index}{}", distance * 1_000.0, by_packets(measured));
            row(FRAME_TIMES, within(distance, 0.0, limit), expected, words)
        }
    }
}

/// The value in `sorted` that is nearest to `time`.
fn nearest(sorted: &[f64], time: f64) -> Option<f64> {
    let after = sorted.partition_point(|value| *value < time);
    let candidates = [after.checked_sub(1).and_then(|before| sorted.get(before)), sorted.get(after)];
    candidates.into_iter().flatten().copied().min_by(|a, b| (a - time).abs().total_cmp(&(b - time).abs()))
}

/// As the containers tell it when everything is kept. When tracks were left out, the longest may be among them, and a source
/// may tell none, or what its own packets belie: then the end of the last packet or frame that is kept.
pub(super) fn file_duration(source: &Source<'_>, output: &Output<'_>, tolerance: f64) -> Check {
    let kept_end = |frames: &FrameTimes, packets: &[StreamPackets], shift: f64| {
        let video = frames.pts.len().checked_sub(1).and_then(|last| frames.seconds(last));
        packets.iter().filter_map(StreamPackets::end_seconds).chain(video).reduce(f64::max).map(|end| end - shift)
    };
    let ends =
        (kept_end(source.frames, source.packets, source.streams.shift), kept_end(output.frames, output.packets, 0.0));
    let told = source.probe.format.duration.filter(|_| source.streams.dropped.is_empty());
    let belied = told.zip(ends.0).is_some_and(|(told, end)| !within(told, end, tolerance.max(1.0)));
    let (expected, measured) = if told.is_some() && !belied { (told, output.probe.format.duration) } else { ends };
    let passed = expected.zip(measured).is_some_and(|(a, b)| within(a, b, tolerance));
    let words = |seconds: Option<f64>| seconds.map_or("unknown".to_owned(), |seconds| format!("{seconds:.3} s"));
    row(FILE_DURATION, passed, format!("{} ± {tolerance:.3} s", words(expected)), words(measured))
}

pub(super) fn chapters(source: &Source<'_>, output: &Probe) -> Check {
    let (source, shift) = (source.probe, source.streams.shift);
    let (expected, measured) = (source.chapters.len(), output.chapters.len());
    if expected != measured {
        return row(CHAPTERS, false, format!("{expected} chapters"), format!("{measured} chapters"));
    }
    let differences: Vec<_> = source
        .chapters
        .iter()
        .zip(&output.chapters)
        .filter(|(a, b)| {
            let moved = |time: Option<f64>| time.map(|time| time - shift);
            let same_times = near(moved(a.start_time), b.start_time) && near(moved(a.end_time), b.end_time);
            !(same_times && title(a) == title(b))
        })
        .map(|(a, b)| (chapter_words(a), chapter_words(b)))
        .collect();
    if let (true, Some(from)) = (differences.is_empty(), source.format.chapter_document.as_deref()) {
        let to = output.format.chapter_document.as_deref().unwrap_or_default();
        if let Some((expected, measured)) = first_difference(from, to) {
            return row(CHAPTERS, false, expected, measured);
        }
    }
    compared(CHAPTERS, &differences, &format!("{expected} chapters"))
}

/// The first lines that differ between descriptions of chapters. Elements that `from` knows nowhere are no difference: whoever
/// writes chapters adds numbers and languages where there are none.
fn first_difference(from: &str, to: &str) -> Option<(String, String)> {
    let element = |line: &str| line.trim().split_inclusive('>').next().unwrap_or_default().to_owned();
    let mut expected = from.lines().map(str::trim);
    let mut measured = to.lines().map(str::trim).filter(|line| from.contains(&element(line)));
    loop {
        match (expected.next(), measured.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => return Some((a.unwrap_or("the end").to_owned(), b.unwrap_or("the end").to_owned())),
        }
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => within(a, b, ROUNDING),
        (a, b) => a.is_none() && b.is_none(),
    }
}

fn title(chapter: &Chapter) -> &str {
    chapter.tags.get("title").map_or("", String::as_str)
}

fn chapter_words(chapter: &Chapter) -> String {
    let seconds = |time: Option<f64>| time.map_or("?".to_owned(), |time| format!("{time:.3}"));
    format!("\"{}\" from {} to {} s", title(chapter), seconds(chapter.start_time), seconds(chapter.end_time))
}

/// Name, type and hash of the content of each attachment and cover, in order.
pub(super) fn attachments(source: &Source<'_>, output: &Output<'_>) -> Check {
    let kept: Vec<u32> = source.streams.kept.iter().map(|kept| kept.index).collect();
    let copied: Vec<u32> = copied_streams(output.probe, source.streams).into_iter().map(|(index, _)| index).collect();
    let expected = listed(source.probe, &kept, source.packets);
    let measured = listed(output.probe, &copied, output.packets);
    let join = |list: &[Listed<'_>]| {
        let words = |(name, kind, content): &Listed<'_>| format!("{name} ({kind}, sha256 {content})");
        if list.is_empty() { "none".to_owned() } else { list.iter().map(words).collect::<Vec<_>>().join("; ") }
    };
    // A cover has no name and no type of its own where the source keeps it as a part of its tags; the output may give it both.
    let same = |(a, b): (&Listed<'_>, &Listed<'_>)| {
        (a.0.is_empty() || a.0 == b.0) && (a.1.is_empty() || a.1 == b.1) && a.2 == b.2
    };
    if expected.len() == measured.len() && expected.iter().zip(&measured).all(same) {
        return compared(ATTACHMENTS, &[], &format!("{} attachments", expected.len()));
    }
    row(ATTACHMENTS, false, join(&expected), join(&measured))
}

/// Name, type and hash.
type Listed<'a> = (&'a str, &'a str, &'a str);

fn listed<'a>(probe: &'a Probe, indices: &[u32], packets: &'a [StreamPackets]) -> Vec<Listed<'a>> {
    indices
        .iter()
        .enumerate()
        .filter_map(|(position, index)| {
            Some((probe.streams.iter().find(|s| s.index == *index)?, packets.get(position)))
        })
        .filter_map(|(stream, packets)| {
            let tag = |key: &str| stream.tags.get(key).map_or("", String::as_str);
            let content = match stream.codec_type.as_str() {
                "attachment" => packets.and_then(|p| p.configuration.as_deref()),
                "video" => packets.map(|p| p.digest.as_str()),
                _ => return None,
            };
            Some((tag("filename"), tag("mimetype"), content.unwrap_or("unknown")))
        })
        .collect()
}

/// Every global tag of the source is in the output with the same value; the output may have more.
pub(super) fn global_tags(source: &Source<'_>, output: &Probe) -> Check {
    let of_mp4 = matches!(source.streams.origin, Origin::Mp4 | Origin::QuickTime);
    let own = |key: &str| OWN_TAGS.contains(&key) || (of_mp4 && OWN_MP4_TAGS.contains(&key));
    let tags: BTreeMap<&String, &String> = source.probe.format.tags.iter().filter(|(key, _)| !own(key)).collect();
    let differences: Vec<_> = tags
        .iter()
        .filter(|(key, value)| output.format.tags.get(**key) != Some(**value))
        .map(|(key, value)| {
            (
                format!("{key}={value}"),
                output.format.tags.get(*key).map_or(format!("no {key}"), |other| format!("{key}={other}")),
            )
        })
        .collect();
    compared(GLOBAL_TAGS, &differences, &format!("{} tags", tags.len()))
}
