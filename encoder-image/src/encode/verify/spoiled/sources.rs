//! Small real sources, made by the tools that also read them.

use std::path::Path;

use super::{LIMITS, ffmpeg};
use crate::supervise::capture;
use av1_media::command::Command;

const COLOUR: &str = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709:chroma_location=left";

const LIGHT: &str =
    "mastering-display=G(0.265,0.69)B(0.15,0.06)R(0.68,0.32)WP(0.3127,0.329)L(1000,0.005):content-light=1000,400";

/// Encodes the video of `source` through `filter` as AV1 with the source's own time stamps; `arguments` may override.
pub(super) fn encode(folder: &Path, source: &str, video: &str, filter: &str, arguments: &str) {
    ffmpeg(
        folder,
        &format!(
            "-copyts -i @/{source} -map 0:V:0 -fps_mode passthrough -enc_time_base demux -vf format=yuv420p10le,{COLOUR},{filter} \
             -c:v libsvtav1 -preset 12 -crf 50 -g 48 -svtav1-params {LIGHT}:lp=1 {arguments} -f ivf @/{video}"
        ),
    );
}

/// H.264 with B-frames at 23.976 frames a second, four sounds, subtitles and chapters to build from.
/// A file `soft` in the folder asks for pictures without hard lines, which look like interlaced ones.
fn parts(folder: &Path) {
    let soft = if folder.join("soft").exists() { ",gblur=sigma=1.5" } else { "" };
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    write("lines.srt", "1\n00:00:00,500 --> 00:00:01,700\nHello\n\n2\n00:00:02,000 --> 00:00:03,500\nWorld\n");
    let one = ";FFMETADATA1\ntitle=Film\ncomment=Kept\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1500\ntitle=One\n";
    write("one-chapter.txt", one);
    write("chapters.txt", &format!("{one}[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=4000\ntitle=Two\n"));
    write("font.ttf", &"not really a font ".repeat(500));
    ffmpeg(folder, "-f lavfi -i testsrc2=s=200x300 -frames:v 1 -update 1 @/cover.jpg");
    ffmpeg(
        folder,
        &format!(
            "-f lavfi -i testsrc2=s=320x180:r=24000/1001:d=4,noise=alls=20:allf=t{soft},format=yuv420p,{COLOUR} -c:v libx264 -preset veryfast -bf 3 \
             -metadata:s:v:0 title=Main~picture -metadata:s:v:0 language=eng @/video.mp4"
        ),
    );
    for (name, frequency, codec) in
        [("1.m4a", 440, "aac"), ("2.mka", 880, "libopus"), ("3.mka", 330, "pcm_s16le"), ("4.m4a", 220, "ac3")]
    {
        ffmpeg(folder, &format!("-f lavfi -i sine={frequency}:d=4 -c:a {codec} @/{name}"));
    }
}

/// Audio that starts 80 ms late, three kept and one Russian track, two kinds of subtitles, fonts, chapters, stale statistics.
pub(super) fn matroska(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -itsoffset 0.08 -i @/1.m4a -i @/2.mka -i @/3.mka -i @/4.m4a -i @/lines.srt -i @/chapters.txt -map 0:v -map 1:a -map 2:a -map 4:a -map 3:a \
             -map 5:s -map 5:s -c copy -c:s:0 srt -c:s:1 ass -map_metadata 6 -map_chapters 6 -metadata:s:v:0 title=Main~picture -metadata:s:v:0 language=eng \
             -metadata:s:v:0 BPS=123 -metadata:s:v:0 NUMBER_OF_FRAMES=999 -metadata:s:v:0 _STATISTICS_TAGS=BPS -metadata:s:v:0 encoder=x264 \
             -metadata:s:a:0 language=eng -metadata:s:a:0 title=Main -metadata:s:a:1 language=jpn -metadata:s:a:1 COMMENTATOR=Ann -metadata:s:a:2 language=rus -metadata:s:a:3 language=ger \
             -metadata:s:s:0 language=eng -metadata:s:s:1 language=fre -disposition:a:0 default -disposition:a:1 original -disposition:a:2 0 -disposition:a:3 comment \
             -disposition:s:0 forced -disposition:s:1 0 -attach @/font.ttf -metadata:s:t:0 mimetype=font/ttf -attach @/chapters.txt -metadata:s:t:1 mimetype=text/plain \
             -default_mode passthrough @/{name}"
        ),
    );
}

/// Video that starts half a second behind the audio.
pub(super) fn video_starts_late(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(folder, &format!("-itsoffset 0.5 -i @/video.mp4 -i @/1.m4a -map 0:v -map 1:a -c copy -copyts @/{name}"));
}

/// AAC that starts late and AC-3, subtitles, chapters, the index in front.
pub(super) fn mp4_with_chapters(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -itsoffset 0.08 -i @/1.m4a -i @/4.m4a -i @/lines.srt -i @/chapters.txt -map 0:v -map 1:a -map 2:a -map 3:s -map 3:s -c copy -c:s mov_text \
             -map_metadata 4 -map_chapters 4 -metadata:s:v:0 language=eng -metadata:s:a:0 language=eng -metadata:s:a:0 title=Main -metadata:s:a:1 language=jpn \
             -disposition:a:1 0 -metadata:s:s:1 language=ger -movflags +faststart @/{name}"
        ),
    );
}

/// Subtitles whose tracks are not enabled, as most programs but ffmpeg write them.
pub(super) fn mp4_with_disabled_subtitles(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!("-i @/video.mp4 -i @/1.m4a -i @/lines.srt -map 0 -map 1 -map 2 -c copy -c:s mov_text @/{name}"),
    );
    let path = folder.join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    let headers: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, four)| four == b"tkhd").map(|(at, _)| at).collect();
    let last = headers.last().unwrap();
    bytes[last + 7] &= !1;
    std::fs::write(path, bytes).unwrap();
}

/// One track for each codec of the table of `av1_media::streams` that the tools have an encoder for.
pub(super) fn every_codec(folder: &Path, name: &str) {
    parts(folder);
    let (sounds, texts) = if name.ends_with(".mp4") {
        ("aac ac3 alac eac3 flac mp2 libmp3lame libopus", "mov_text")
    } else {
        let sounds = "aac ac3 adpcm_ms alac dca eac3 flac mlp mp2 libmp3lame libopus pcm_alaw pcm_f32le pcm_f64le pcm_mulaw pcm_s16be pcm_s16le pcm_s24be pcm_s24le pcm_s32be \
             pcm_s32le pcm_u8 truehd libvorbis wmav2";
        (sounds, "ass subrip webvtt")
    };
    let maps = |input: u8, codecs: &str| format!("-map {input} ").repeat(codecs.split_whitespace().count());
    let choose = |kind: &str, codecs: &str| {
        codecs.split_whitespace().enumerate().map(|(n, codec)| format!("-c:{kind}:{n} {codec} ")).collect::<String>()
    };
    let pictures = if name.ends_with(".mp4") {
        ""
    } else {
        std::fs::write(folder.join("pictures.sup"), pictures_of_subtitles()).unwrap();
        "-map 3 -map 3 -c:s:3 copy -c:s:4 dvbsub"
    };
    let input = if pictures.is_empty() { "" } else { "-f sup -i @/pictures.sup" };
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i sine=440:r=48000:d=4 -i @/lines.srt {input} -map 0 {}{}{pictures} -c:v copy -ac 2 {}{}-strict -2 @/{name}",
            maps(1, sounds),
            maps(2, texts),
            choose("a", sounds),
            choose("s", texts)
        ),
    );
}

/// Nothing but video.
pub(super) fn silent(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(folder, "-i @/video.mp4 -c copy @/silent.mkv");
    std::fs::rename(folder.join("silent.mkv"), folder.join(name)).unwrap();
}

/// `plain.mkv`, and the same video with EIA-608 captions in every picture as `captions.mkv` and `captions.mp4`.
pub(super) fn captioned(folder: &Path) {
    ffmpeg(folder, "-f lavfi -i testsrc2=s=320x180:r=24:d=1 -c:v libx264 -bf 0 -pix_fmt yuv420p @/plain.h264");
    // One SEI message (ITU-T T.35, "GA94") with two pairs of caption bytes before each picture.
    let message = [0xB5, 0, 0x31, b'G', b'A', b'9', b'4', 3, 0xC2, 0xFF, 0xFC, 0x94, 0x20, 0xFC, 0x94, 0x2C, 0xFF];
    let mut sei = vec![0, 0, 1, 6, 4, 17];
    sei.extend(message);
    sei.push(0x80);
    let video = std::fs::read(folder.join("plain.h264")).unwrap();
    let mut captioned = Vec::new();
    for (at, byte) in video.iter().enumerate() {
        if let Some([0, 0, 1, kind, first, ..]) = video.get(at..)
            && matches!(kind & 31, 1 | 5)
            && first & 0x80 != 0
        {
            captioned.extend(&sei);
        }
        captioned.push(*byte);
    }
    std::fs::write(folder.join("captions.h264"), captioned).unwrap();
    for (stream, name) in [("plain", "plain.mkv"), ("captions", "captions.mkv"), ("captions", "captions.mp4")] {
        ffmpeg(folder, &format!("-r 24 -i @/{stream}.h264 -c copy -bsf:v setts=ts=N/24/TB @/{name}"));
    }
}

/// What a Blu-ray has: sound in all its kinds, pictures as subtitles, and a clock that starts anywhere.
pub(super) fn bluray(folder: &Path, name: &str) {
    parts(folder);
    std::fs::write(folder.join("pictures.sup"), pictures_of_subtitles()).unwrap();
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i aevalsrc=sin(440*2*PI*t)/3|sin(550*2*PI*t)/5:s=48000:d=4 -f sup -i @/pictures.sup -map 0 -map 1 -map 1 -map 1 -map 1 -map 2 \
             -c:v copy -c:s copy -strict -2 -c:a:0 pcm_bluray -sample_fmt:a:0 s32 -c:a:1 pcm_bluray -c:a:2 dca -c:a:3 eac3 -metadata:s:a:0 language=eng \
             -metadata:s:a:2 language=ger -output_ts_offset 600 -f mpegts -mpegts_m2ts_mode 1 @/{name}"
        ),
    );
}

/// What comes over the air: AAC in its stream form, MPEG sound, pictures as subtitles, and a clock that starts anywhere.
pub(super) fn broadcast(folder: &Path, name: &str) {
    parts(folder);
    std::fs::write(folder.join("pictures.sup"), pictures_of_subtitles()).unwrap();
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i sine=440:r=48000:d=4 -f sup -i @/pictures.sup -map 0 -map 1 -map 1 -map 1 -map 2 -c:v copy -c:a:0 aac -c:a:1 mp2 -c:a:2 libmp3lame \
             -c:s dvbsub -metadata:s:a:0 language=eng -metadata:s:a:1 language=fre -disposition:a:1 hearing_impaired -metadata:s:s:0 language=eng \
             -output_ts_offset 3600 -f mpegts @/{name}"
        ),
    );
}

/// What cameras and editing programs write: uncompressed sound of every layout, words, chapters.
pub(super) fn quicktime(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -i @/1.m4a -f lavfi -i aevalsrc=sin(440*2*PI*t)/3|sin(550*2*PI*t)/5:s=48000:d=4 -i @/lines.srt -i @/chapters.txt \
             -map 0 -map 1 -map 2 -map 2 -map 2 -map 2 -map 2 -map 2 -map 2 -map 3 -c copy -c:a:1 pcm_s16be -c:a:2 pcm_s24be -c:a:3 pcm_f32be -c:a:4 pcm_f64be -c:a:5 pcm_s8 \
             -c:a:6 pcm_s16le -c:a:7 alac -c:s mov_text -map_metadata 4 -map_chapters 4 -metadata:s:a:0 language=eng -metadata:s:a:1 language=jpn -metadata:s:s:0 language=ger \
             -write_tmcd 0 -f mov @/{name}"
        ),
    );
}

/// MPEG-4 video with MP3 and uncompressed sound.
pub(super) fn avi(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i sine=440:r=48000:d=4 -map 0 -map 1 -map 1 -map 1 -map 1 -c:v mpeg4 -q:v 3 -bf 0 -c:a:0 libmp3lame -c:a:1 pcm_s16le -c:a:2 ac3 \
             -c:a:3 mp2 -metadata title=Film @/{name}"
        ),
    );
}

/// MPEG-2 video with the sounds of a DVD.
pub(super) fn dvd(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i aevalsrc=sin(440*2*PI*t)/3|sin(550*2*PI*t)/5:s=48000:d=4 -map 0 -map 1 -map 1 -map 1 -c:v mpeg2video -q:v 1 -qmin 1 -bf 0 -c:a:0 ac3 -c:a:1 mp2 \
             -c:a:2 pcm_dvd -f vob @/{name}"
        ),
    );
}

/// Windows Media sound.
pub(super) fn wmv(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i sine=440:r=44100:d=4 -map 0 -map 1 -map 1 -c:v wmv2 -q:v 3 -bf 0 -c:a:0 wmav2 -c:a:1 wmav1 -b:a 128k -metadata title=Film -f asf @/{name}"
        ),
    );
}

/// VP9 with both sounds of WebM and its subtitles.
pub(super) fn webm(folder: &Path, name: &str) {
    parts(folder);
    ffmpeg(
        folder,
        &format!(
            "-i @/video.mp4 -f lavfi -i sine=440:r=48000:d=4 -i @/lines.srt -i @/chapters.txt -map 0 -map 1 -map 1 -map 2 -c:v libvpx-vp9 -deadline realtime -cpu-used 8 \
             -c:a:0 libopus -c:a:1 libvorbis -c:s webvtt -map_metadata 3 -map_chapters 3 -metadata:s:a:0 language=eng -metadata:s:s:0 language=ger -f webm @/{name}"
        ),
    );
}

/// What only MKVToolNix writes: languages by their full tags, a track that is switched off, ordered and nested chapters.
pub(super) fn described(folder: &Path, name: &str) {
    const CHAPTERS: &str = "<?xml version=\"1.0\"?>\n<Chapters><EditionEntry><EditionFlagOrdered>1</EditionFlagOrdered>\
        <ChapterAtom><ChapterTimeStart>00:00:00.000</ChapterTimeStart><ChapterTimeEnd>00:00:02.000</ChapterTimeEnd>\
        <ChapterDisplay><ChapterString>One</ChapterString><ChapterLanguage>eng</ChapterLanguage></ChapterDisplay>\
        <ChapterDisplay><ChapterString>Eins</ChapterString><ChapterLanguage>ger</ChapterLanguage></ChapterDisplay>\
        <ChapterAtom><ChapterTimeStart>00:00:01.000</ChapterTimeStart><ChapterTimeEnd>00:00:02.000</ChapterTimeEnd>\
        <ChapterDisplay><ChapterString>Nested</ChapterString><ChapterLanguage>eng</ChapterLanguage></ChapterDisplay></ChapterAtom></ChapterAtom>\
        </EditionEntry></Chapters>";
    parts(folder);
    std::fs::write(folder.join("chapters.xml"), CHAPTERS).unwrap();
    let at = |name: &str| folder.join(name);
    let command = Command::new("mkvmerge")
        .args(["--quiet", "-o"])
        .arg(at(name))
        .arg("--chapters")
        .arg(at("chapters.xml"))
        .arg(at("video.mp4"))
        .args(["--language", "0:pt-BR"])
        .arg(at("1.m4a"))
        .args(["--language", "0:zh-Hant", "--track-enabled-flag", "0:0"])
        .arg(at("lines.srt"))
        .args(["--language", "0:sr-Latn-RS"])
        .arg(at("lines.srt"));
    capture(&command, &LIMITS).unwrap();
}

/// A cover, as each container keeps it.
pub(super) fn with_cover(folder: &Path, name: &str) {
    parts(folder);
    let cover = if name.ends_with(".mp4") {
        "-i @/cover.jpg -map 0 -map 1 -map 2 -c copy -disposition:v:1 attached_pic"
    } else {
        "-map 0 -map 1 -c copy -attach @/cover.jpg -metadata:s:t:0 mimetype=image/jpeg"
    };
    ffmpeg(folder, &format!("-i @/video.mp4 -i @/1.m4a {cover} @/{name}"));
}

/// Presentation graphics of a Blu-ray: two pictures, each shown and taken away again.
fn pictures_of_subtitles() -> Vec<u8> {
    const SHOWN: [(u32, u32); 2] = [(45_000, 150_000), (180_000, 300_000)];
    let mut stream = Vec::new();
    let mut segment = |time: u32, kind: u8, payload: &[u8]| {
        stream.extend(b"PG");
        stream.extend(time.to_be_bytes());
        stream.extend([0; 4]);
        stream.push(kind);
        stream.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        stream.extend(payload);
    };
    // One window of 16x2 pixels at 100, 100 on a picture of 320x180, filled with the one colour of the palette.
    let window = [1, 0, 0, 100, 0, 100, 0, 16, 0, 2];
    let line = [&[1_u8; 16][..], &[0, 0]].concat();
    let picture = [&[0, 16, 0, 2][..], &line, &line].concat();
    let length = u8::try_from(picture.len()).unwrap();
    for (number, (from, to)) in (0_u8..).step_by(2).zip(SHOWN) {
        segment(from, 0x16, &[1, 64, 0, 180, 0x10, 0, number, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 100, 0, 100]);
        segment(from, 0x17, &window);
        segment(from, 0x14, &[0, 0, 1, 235, 128, 128, 255]);
        segment(from, 0x15, &[&[0, 0, 0, 0xC0, 0, 0, length][..], &picture].concat());
        segment(from, 0x80, &[]);
        segment(to, 0x16, &[1, 64, 0, 180, 0x10, 0, number + 1, 0, 0, 0, 0]);
        segment(to, 0x17, &window);
        segment(to, 0x80, &[]);
    }
    stream
}
