//! Real files, muxed and verified with the real tools: whole outputs pass every check, and an output that is spoiled in one way
//! fails the checks that are about it, and no other. Needs the encoder image's tools; `tests/media/spoil/run` runs it there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use av1_crds::settings::{ContainerChange, SettingsSections};
use av1_media::ivf::{FILE_HEADER, FRAME_HEADER, FrameHeader};
use av1_media::joined::{self, FrameHead, Header, durations, nanoseconds};
use av1_media::light::{Content, Mastering, in_av1};
use av1_media::rational::Rational;
use av1_media::streams::{Carry, plan_streams};
use av1_media::verify as names;
use serde_json::json;

use super::*;
use crate::encode::mux::{MuxInput, mux};

mod sources;
mod way;

use sources::{
    avi, bluray, broadcast, described, dvd, encode, every_codec, matroska, mp4_with_chapters,
    mp4_with_disabled_subtitles, quicktime, silent, video_starts_late, webm, with_cover, wmv,
};

const LIMITS: Limits = Limits { wall: Duration::from_secs(300), stdout: 64 << 20 };

/// Runs ffmpeg in `folder` with arguments that are split at spaces; `~` stands for a space within one.
fn ffmpeg(folder: &Path, arguments: &str) {
    let place = |argument: &str| argument.replace("@/", &format!("{}/", folder.display())).replace('~', " ");
    let command =
        Command::new("ffmpeg").args(["-nostdin", "-v", "error", "-y"]).args(arguments.split_whitespace().map(place));
    capture(&command, &LIMITS).unwrap();
}

/// The light that every video is encoded with.
fn light() -> Light {
    let mastering = Mastering {
        red: [0.68, 0.32],
        green: [0.265, 0.69],
        blue: [0.15, 0.06],
        white: [0.3127, 0.329],
        brightest: 1_000.0,
        darkest: 0.005,
    };
    Light { mastering: Some(mastering), content: Some(Content { most: 1_000, average: 400 }) }
}

/// The frames of an IVF file as the join writes them.
fn wrap(ivf: &[u8], times: &FrameTimes, header: &Header) -> Vec<u8> {
    let mut file = joined::header(header);
    let mut rest = &ivf[FILE_HEADER..];
    let times = nanoseconds(times).unwrap();
    for (frame, (time, duration)) in times.iter().zip(durations(&times)).enumerate() {
        let Some((head, behind)) = rest.split_first_chunk::<FRAME_HEADER>() else { break };
        let size = FrameHeader::parse(*head).size;
        let (data, behind) = behind.split_at(size as usize);
        file.extend(FrameHead { time: *time, duration, size, is_key: frame == 0 }.bytes());
        file.extend(data);
        rest = behind;
    }
    file
}

/// A source with its encoded video and a whole output.
struct Film {
    folder: PathBuf,
    source: PathBuf,
    good: PathBuf,
    probe: Probe,
    streams: StreamPlan,
    frames: FrameTimes,
    video: ExpectedVideo,
    settings: Settings,
}

impl Film {
    /// Makes `name` in a folder of its own, encodes its video and muxes it.
    fn new(name: &str, make: fn(&Path, &str), drop: &[&str]) -> Self {
        Self::with(name, make, &serde_json::json!({"dropLanguages": drop}))
    }

    /// The same with these settings of streams.
    fn with(name: &str, make: fn(&Path, &str), streams: &serde_json::Value) -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        make(&folder, name);
        let source = folder.join(name);
        let probe = probe_output(&source).unwrap().unwrap();
        let job: SettingsSections = serde_json::from_value(serde_json::json!({"streams": streams})).unwrap();
        let mut settings = Settings::resolve(&[&job]).unwrap();
        settings.container_change = ContainerChange::Allow;
        let streams = plan_streams(name, &probe, &settings).unwrap();
        let mut reader = Reader::default();
        lines("the source", &decode_call(&source, &probe, &[], AtError::Stop), &LIMITS, &mut reader).unwrap().unwrap();
        let frames = reader.finish().frames;
        let good = folder.join(format!("good-{}", streams.target(name).as_deref().unwrap_or(name)));
        let video = ExpectedVideo {
            pix_fmt: "yuv420p10le".to_owned(),
            header: Header { light: light(), ..Header::plain(320, 180) },
            color_range: Some("tv".to_owned()),
            color_primaries: Some("bt709".to_owned()),
            color_transfer: Some("bt709".to_owned()),
            color_space: Some("bt709".to_owned()),
            chroma_location: Some("left".to_owned()),
            frame_rate: Rational { num: 24_000, den: 1_001 },
            is_variable: false,
        };
        let film = Self { folder, source, good, probe, streams, frames, video, settings };
        encode(&film.folder, name, "video.ivf", "null", "");
        film.mux("video.ivf", &film.video.header, &film.good);
        film
    }

    /// Muxes the encoded `video` as the join hands it over, with this header.
    fn mux(&self, video: &str, header: &Header, output: &Path) {
        let wrapped = self.folder.join(format!("{video}.mkv"));
        std::fs::write(&wrapped, wrap(&std::fs::read(self.folder.join(video)).unwrap(), &self.frames, header)).unwrap();
        let input = MuxInput {
            source: &self.source,
            probe: &self.probe,
            streams: &self.streams,
            video: &wrapped,
            frame_rate: Some(self.video.frame_rate),
            limit: None,
            encoder_settings: "SVT-AV1 --preset 12 --crf 50",
            output,
        };
        mux(&input).unwrap();
    }

    /// Verifies an output whose video was `video`.
    fn verify(&self, output: &Path, video: &str) -> Vec<Check> {
        self.verify_sampled(output, video, None)
    }

    /// The same, of which only samples of the video are decoded.
    fn verify_sampled(&self, output: &Path, video: &str, sampling: Option<Sampling>) -> Vec<Check> {
        let encoded = std::fs::read(self.folder.join(video)).unwrap();
        let input = VerifyInput {
            source: &self.source,
            source_probe: &self.probe,
            streams: &self.streams,
            frame_times: &self.frames,
            output,
            settings: &self.settings,
            video: &self.video,
            stream_light: Some(in_av1(&encoded[FILE_HEADER + FRAME_HEADER..])),
            sampling,
        };
        verify(&input).unwrap()
    }

    fn assert_whole(&self) {
        let checks = self.verify(&self.good, "video.ivf");
        let failed: Vec<_> = checks.iter().filter(|check| !check.passed).collect();
        assert!(failed.is_empty(), "{failed:#?}");
        let rows: Vec<_> = checks.iter().map(|check| check.name.as_str()).collect();
        assert_eq!(rows, names::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}

/// How an output is spoiled.
enum Spoil {
    /// The whole output is copied with these arguments.
    Copy(&'static str),
    /// The video is encoded through this filter and with these arguments, then muxed as ever.
    Encode(&'static str, &'static str),
    /// The header of the joined video says something else.
    Header(fn(&mut Header)),
    /// The bytes of the whole output are changed.
    Bytes(fn(&Film, &mut [u8])),
}

/// The film that is spoiled, made once.
fn film() -> &'static Film {
    static FILM: OnceLock<Film> = OnceLock::new();
    FILM.get_or_init(|| Film::new("film.mkv", matroska, &["ru"]))
}

/// A film with a cover, made once.
fn covered() -> &'static Film {
    static FILM: OnceLock<Film> = OnceLock::new();
    FILM.get_or_init(|| Film::with("cover.mkv", with_cover, &json!({"keepAttachedPictures": true})))
}

/// A film whose container changes, with sound and words that are converted, made once.
fn converted() -> &'static Film {
    static FILM: OnceLock<Film> = OnceLock::new();
    FILM.get_or_init(|| Film::new("film.mov", quicktime, &[]))
}

fn spoil(film: &Film, name: &str, spoil: &Spoil, expected: &[&str]) {
    let output = film.folder.join(format!("{name}.mkv"));
    let good = film.good.file_name().unwrap().to_str().unwrap();
    let mut video = "video.ivf".to_owned();
    match spoil {
        Spoil::Copy(arguments) => {
            let arguments = arguments.replace("ALL", "-map 0:v -map 0:a -map 0:s -map 0:t? -disposition:s:0 forced");
            ffmpeg(
                &film.folder,
                &format!("-copyts -i @/{good} -c copy {arguments} -default_mode passthrough -f matroska @/{name}.mkv"),
            );
        }
        Spoil::Encode(filter, arguments) => {
            video = format!("{name}.ivf");
            encode(&film.folder, film.source.file_name().unwrap().to_str().unwrap(), &video, filter, arguments);
            film.mux(&video, &film.video.header, &output);
        }
        Spoil::Header(change) => {
            let mut header = film.video.header.clone();
            change(&mut header);
            film.mux(&video, &header, &output);
        }
        Spoil::Bytes(change) => {
            let mut bytes = std::fs::read(&film.good).unwrap();
            change(film, &mut bytes);
            std::fs::write(&output, bytes).unwrap();
        }
    }
    let checks = film.verify(&output, &video);
    let failed: BTreeSet<&str> = checks.iter().filter(|check| !check.passed).map(|check| check.name.as_str()).collect();
    let expected: BTreeSet<&str> = expected.iter().copied().collect();
    assert_eq!(failed, expected, "{:#?}", checks.iter().filter(|check| !check.passed).collect::<Vec<_>>());
}

macro_rules! spoils {
    ($($name:ident: $film:ident, $spoil:expr => [$($check:ident),+];)+) => {
        $(#[test] fn $name() { spoil($film(), stringify!($name), &$spoil, &[$(names::$check),+]); })+
        const COVERED: &[&str] = &[$($(names::$check),+),+];
    };
}

spoils! {
    media_a_dropped_frame_is_caught: film, Spoil::Encode("select=not(eq(n\\,20))", "") => [FRAME_COUNT];
    media_a_frame_at_the_wrong_time_is_caught: film, Spoil::Copy("ALL -bsf:v setts=ts=TS+if(eq(N\\,20)\\,15\\,0)") => [FRAME_TIMES];
    media_audio_that_starts_200_ms_late_is_caught: film, Spoil::Copy("ALL -bsf:a:2 setts=ts=TS+200") => [TRACK_STARTS];
    media_a_packet_of_audio_at_the_wrong_time_is_caught: film, Spoil::Copy("ALL -bsf:a:2 setts=ts=TS+if(eq(N\\,20)\\,9\\,0)") => [TRACK_TIMES];
    media_swapped_audio_tracks_are_caught: film, Spoil::Copy("-map 0:v -map 0:a:1 -map 0:a:0 -map 0:a:2 -map 0:s -map 0:t -disposition:s:0 forced") => [TRACK_ORDER];
    media_a_flipped_byte_of_audio_is_caught: film, Spoil::Bytes(flip_a_sample) => [TRACK_DATA];
    media_another_header_of_styled_subtitles_is_caught: film, Spoil::Bytes(|_, bytes| replace(bytes, b"Style: Default,Arial,16", b"Style: Default,Arial,61")) => [TRACK_CONFIGURATION];
    media_wrong_colour_tags_are_caught: film, Spoil::Encode("setparams=color_primaries=bt2020", "") => [COLOUR];
    media_eight_bits_are_caught: film, Spoil::Encode("format=yuv420p,setparams=chroma_location=left", "") => [PIXEL_FORMAT];
    media_another_size_is_caught: film, Spoil::Encode("crop=312:180", "") => [PICTURE_SIZE];
    media_another_shape_of_pixels_is_caught: film, Spoil::Copy("ALL -aspect 4:3") => [PIXEL_ASPECT];
    media_another_codec_is_caught: film, Spoil::Copy("ALL -c:v libx264 -pix_fmt yuv420p10le -crf 50 -preset ultrafast -fps_mode passthrough -enc_time_base demux") => [VIDEO_STREAM];
    media_a_cut_end_is_caught: film, Spoil::Copy("ALL -t 1.9") => [FRAME_COUNT, FILE_DURATION, STREAM_DURATIONS, TRACK_DATA, CHAPTERS];
    media_a_lost_subtitle_is_caught: film, Spoil::Copy("ALL -map -0:s:1") => [TRACK_COUNT];
    media_a_lost_audio_track_is_caught: film, Spoil::Copy("ALL -map -0:a:1") => [TRACK_COUNT];
    media_a_lost_attachment_is_caught: film, Spoil::Copy("ALL -map -0:t:1") => [ATTACHMENTS];
    media_lost_chapters_are_caught: film, Spoil::Copy("ALL -map_chapters -1") => [CHAPTERS];
    media_another_language_is_caught: film, Spoil::Copy("ALL -metadata:s:a:1 language=kor") => [TRACK_LANGUAGES];
    media_a_lost_title_is_caught: film, Spoil::Copy("ALL -metadata:s:a:0 title=") => [TRACK_TITLES];
    media_a_lost_disposition_is_caught: film, Spoil::Copy("ALL -disposition:s:0 0") => [TRACK_DISPOSITIONS];
    media_a_lost_tag_of_the_file_is_caught: film, Spoil::Copy("ALL -metadata comment=") => [GLOBAL_TAGS];
    media_damaged_video_is_caught: film, Spoil::Bytes(damage_a_frame) => [DECODES, FRAME_COUNT];
    media_a_file_that_is_no_video_is_caught: film, Spoil::Bytes(|_, bytes| bytes.fill(0)) => [READABLE];
    media_a_lost_tag_of_a_track_is_caught: film, Spoil::Copy("ALL -metadata:s:a:1 COMMENTATOR=") => [TRACK_TAGS];
    media_a_lost_cover_is_caught: covered, Spoil::Copy("-map 0:V -map 0:a") => [ATTACHMENTS];
    media_a_flipped_byte_of_a_cover_is_caught: covered, Spoil::Bytes(flip_a_cover) => [ATTACHMENTS];
    media_a_subtitle_that_is_shown_too_long_is_caught: film, Spoil::Copy("ALL -bsf:s:0 setts=ts=TS:duration=DURATION+100") => [TRACK_TIMES];
    media_a_flipped_byte_of_converted_sound_is_caught: converted, Spoil::Bytes(flip_a_converted_sample) => [TRACK_DATA];
    media_a_changed_word_of_converted_subtitles_is_caught: converted, Spoil::Bytes(|_, bytes| replace(bytes, b"World", b"Wurld")) => [TRACK_DATA];
    media_a_converted_subtitle_at_the_wrong_time_is_caught: converted, Spoil::Copy("ALL -disposition:s:0 default -bsf:s:0 setts=ts=TS+if(eq(N\\,1)\\,50\\,0)") => [TRACK_TIMES];
    media_hidden_columns_are_caught: film, Spoil::Header(|header| header.hidden_right = 2) => [PICTURE_SIZE];
    media_a_turned_picture_is_caught: film, Spoil::Header(|header| header.rotation.quarters = 1) => [ROTATION];
    media_a_mastering_display_that_the_container_lost_is_caught: film, Spoil::Header(|header| header.light.mastering = None) => [HDR_METADATA];
    media_light_that_the_stream_lost_is_caught: film, Spoil::Encode("null", "-svtav1-params lp=1") => [HDR_METADATA];
}

#[test]
fn every_check_is_seen_to_fail() {
    let covered: BTreeSet<&str> = COVERED.iter().copied().collect();
    assert_eq!(covered, names::ALL.iter().map(|(name, _)| *name).collect());
}

#[test]
fn media_a_matroska_with_everything_passes() {
    film().assert_whole();
}

/// Samples that the short films are long enough for: at the start, in the middle and at the end.
const SHORT_SAMPLES: Sampling = Sampling { places: 3, seconds: 0.4 };

#[test]
fn media_of_a_sampled_video_damage_within_a_sample_and_lost_packets_anywhere_are_caught() {
    let film = film();
    let failed = |output: &Path, video: &str| {
        let checks = film.verify_sampled(output, video, Some(SHORT_SAMPLES));
        let decodes = checks.iter().find(|check| check.name == names::DECODES).unwrap().measured.clone();
        let failed: Vec<String> = checks.into_iter().filter(|c| !c.passed).map(|c| c.name).collect();
        (failed, decodes)
    };
    assert_eq!(
        failed(&film.good, "video.ivf"),
        (Vec::new(), "no error; the video sampled 3 x 0.4 s, the rest of it not decoded".to_owned())
    );
    let damaged = film.folder.join("sampled-damage.mkv");
    let mut bytes = std::fs::read(&film.good).unwrap();
    damage_a_frame(film, &mut bytes);
    std::fs::write(&damaged, bytes).unwrap();
    let (names, decodes) = failed(&damaged, "video.ivf");
    assert_eq!(names, [names::DECODES]);
    assert!(!decodes.starts_with("no error"), "{decodes}");
    encode(&film.folder, "film.mkv", "sampled.ivf", "select=not(eq(n\\,20))", "");
    let short = film.folder.join("sampled-short.mkv");
    film.mux("sampled.ivf", &film.video.header, &short);
    assert_eq!(failed(&short, "sampled.ivf").0, [names::FRAME_COUNT]);
    let late = Film::new("sampled-late.mp4", video_starts_late, &[]);
    let checks = late.verify_sampled(&late.good, "video.ivf", Some(SHORT_SAMPLES));
    assert!(checks.iter().all(|check| check.passed), "{checks:#?}");
}

#[test]
fn media_the_kept_tags_are_there_and_stale_ones_gone() {
    let film = film();
    let tags = &probe_output(&film.good).unwrap().unwrap().streams[0].tags;
    assert_eq!(tags.get("title").map(String::as_str), Some("Main picture"));
    assert_eq!(tags.get("encoder_settings").map(String::as_str), Some("SVT-AV1 --preset 12 --crf 50"));
    for stale in ["bps", "number_of_frames", "_statistics_tags", "encoder"] {
        assert!(film.probe.streams[0].tags.contains_key(stale), "the source has {stale}");
        assert!(!tags.contains_key(stale), "{stale} is gone");
    }
}

#[test]
fn media_a_video_that_starts_behind_its_audio_passes_in_both_containers() {
    for name in ["late.mkv", "late.mp4"] {
        Film::new(name, video_starts_late, &[]).assert_whole();
    }
}

#[test]
fn media_an_mp4_with_chapters_and_late_audio_passes_and_keeps_its_layout() {
    let film = Film::new("film.mp4", mp4_with_chapters, &[]);
    film.assert_whole();
    let bytes = std::fs::read(&film.good).unwrap();
    let at = |name: &[u8]| bytes.windows(4).position(|four| four == name).unwrap();
    assert!(at(b"moov") < at(b"mdat"));
}

#[test]
fn media_an_mp4_whose_subtitles_are_off_keeps_them_off() {
    Film::new("off.mp4", mp4_with_disabled_subtitles, &[]).assert_whole();
}

#[test]
fn media_every_codec_that_the_tools_can_write_is_carried() {
    for name in ["codecs.mkv", "codecs.mp4"] {
        let film = Film::new(name, every_codec, &[]);
        assert!(film.streams.kept.len() >= 7, "{name}");
        film.assert_whole();
    }
}

#[test]
fn media_a_film_without_sound_passes_under_a_name_that_looks_like_an_option_and_a_pattern() {
    Film::new("-i%03d'$(x)':[0].mkv", silent, &[]).assert_whole();
}

/// Makes `name`, whose container cannot hold AV1, and proves that it becomes a whole Matroska file with as many `tracks`.
fn changes(name: &str, make: fn(&Path, &str), tracks: usize) {
    let film = Film::new(name, make, &[]);
    assert_eq!(film.streams.kept.len(), tracks, "{:?}", film.streams);
    film.assert_whole();
    let start = probe_output(&film.good).unwrap().unwrap().format.start_time.unwrap();
    assert!(start.abs() < 0.2, "it starts at {start} s");
}

#[test]
fn media_a_blu_rays_stream_becomes_matroska_and_loses_nothing() {
    changes("film.m2ts", bluray, 5);
}

#[test]
fn media_a_broadcast_becomes_matroska_and_loses_nothing() {
    changes("film.ts", broadcast, 4);
}

#[test]
fn media_a_quicktime_film_becomes_matroska_and_loses_nothing() {
    changes("film.mov", quicktime, 9);
}

#[test]
fn media_an_avi_becomes_matroska_and_loses_nothing() {
    changes("film.avi", avi, 4);
}

#[test]
fn media_a_dvds_stream_becomes_matroska_and_loses_nothing() {
    changes("film.mpg", dvd, 3);
}

#[test]
fn media_a_windows_media_film_becomes_matroska_and_loses_nothing() {
    changes("film.wmv", wmv, 2);
}

#[test]
fn media_full_languages_and_chapters_beyond_a_list_are_kept() {
    let film = Film::new("described.mkv", described, &[]);
    assert_eq!(film.probe.streams[1].language_tag.as_deref(), Some("pt-BR"));
    assert!(film.probe.streams[2].disabled);
    assert!(film.probe.format.chapter_document.as_deref().unwrap().contains("<ChapterString>Nested</ChapterString>"));
    film.assert_whole();
    let bytes = std::fs::read(&film.good).unwrap();
    let at = |id: &[u8]| bytes.windows(4).position(|four| four == id).unwrap();
    assert!(at(&[0x16, 0x54, 0xAE, 0x6B]) < at(&[0x1F, 0x43, 0xB6, 0x75]), "the tracks stand before the first cluster");
}

#[test]
fn media_a_webm_stays_one() {
    let film = Film::new("film.webm", webm, &[]);
    assert_eq!(film.streams.kept.len(), 3);
    film.assert_whole();
    assert!(std::fs::read(&film.good).unwrap()[..64].windows(4).any(|four| four == b"webm"));
}

#[test]
fn media_covers_are_kept_in_both_containers() {
    for name in ["cover.mkv", "cover.mp4"] {
        let film = Film::with(name, with_cover, &json!({"keepAttachedPictures": true}));
        assert!(film.streams.dropped.is_empty(), "{name}");
        film.assert_whole();
        let probe = probe_output(&film.good).unwrap().unwrap();
        assert_eq!(probe.of("video").filter(|s| s.is("attached_pic")).count(), 1, "{name}");
    }
}

#[test]
fn media_captions_in_the_video_are_seen_and_a_file_that_is_cut_off_in_its_header_is_unreadable() {
    let folder = tempfile::tempdir().unwrap();
    sources::captioned(folder.path());
    for (name, captions) in [("plain.mkv", 0), ("captions.mkv", 1), ("captions.mp4", 1)] {
        let probe = probe_output(&folder.path().join(name)).unwrap().unwrap();
        assert_eq!(probe.main_video().unwrap().closed_captions, captions, "{name}");
    }
    let whole = std::fs::read(folder.path().join("plain.mkv")).unwrap();
    for length in [0, 30, 100, 200, 300] {
        let cut = folder.path().join("cut.mkv");
        std::fs::write(&cut, &whole[..length]).unwrap();
        let content = crate::facts::probe(&cut);
        assert!(matches!(content, av1_media::gates::Content::Unreadable(_)), "{length}: {content:?}");
    }
}

/// Changes one byte in the middle of the uncompressed audio track.
fn flip_a_sample(film: &Film, bytes: &mut [u8]) {
    ffmpeg(&film.folder, "-i @/good-film.mkv -map 0:a:2 -c copy -f s16le @/samples.raw");
    let samples = std::fs::read(film.folder.join("samples.raw")).unwrap();
    let position = find(bytes, &samples[100_000..100_256]);
    bytes[position + 128] ^= 0x01;
}

/// Changes one byte in the middle of the cover.
fn flip_a_cover(film: &Film, bytes: &mut [u8]) {
    let cover = std::fs::read(film.folder.join("cover.jpg")).unwrap();
    let position = find(bytes, &cover);
    bytes[position + cover.len() / 2] ^= 0x01;
}

/// Changes one byte in the middle of sound that was written in another layout.
fn flip_a_converted_sample(film: &Film, bytes: &mut [u8]) {
    let track = film.streams.kept.iter().position(|kept| kept.carry == Carry::Samples("pcm_f32le")).unwrap();
    ffmpeg(&film.folder, &format!("-i @/good-film.mkv -map 0:{} -c copy -f f32le @/samples.raw", track + 1));
    let samples = std::fs::read(film.folder.join("samples.raw")).unwrap();
    let position = find(bytes, &samples[100_000..100_256]);
    bytes[position + 128] ^= 0x01;
}

/// Overwrites the middle of the largest frame of the video.
fn damage_a_frame(film: &Film, bytes: &mut [u8]) {
    let video = std::fs::read(film.folder.join("video.ivf")).unwrap();
    let mut position = 32;
    let mut largest = 0..0;
    while let Some(header) = video.get(position..position + 4) {
        let size = u32::from_le_bytes(header.try_into().unwrap()) as usize;
        if size > largest.len() {
            largest = position + 12..position + 12 + size;
        }
        position += 12 + size;
    }
    let tail = &video[largest.end - 200..largest.end];
    let at = find(bytes, tail);
    bytes[at - 200..at + 100].fill(0xff);
}

fn replace(bytes: &mut [u8], old: &[u8], new: &[u8]) {
    let at = find(bytes, old);
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).unwrap()
}
