//! The table: codec × container of the source × container of the output, and how such a stream is carried. What is not in it
//! is refused.
//!
//! Pure.

use super::{Container, Kind, Origin};
use crate::probe::Stream;

/// How a stream gets into the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carry {
    /// Packet by packet.
    Copy,
    /// Packet by packet through this bitstream filter of ffmpeg, which gives the packets the form of the other container.
    Filter(&'static str),
    /// Uncompressed sound in another layout, written by this encoder of ffmpeg; the samples are the same.
    Samples(&'static str),
    /// Text in another form, written by this encoder of ffmpeg; the words and their times are the same.
    Cues(&'static str),
}

/// What a row of the table says of its codecs.
enum How {
    Is(Carry),
    /// Uncompressed sound of a disc, in as many bits as it has.
    ByDepth,
}

/// Codecs of `kind` that go from one of `from` to `to` in the same way.
struct Row {
    from: &'static [Origin],
    to: Container,
    kind: Kind,
    codecs: &'static [&'static str],
    how: How,
}

const COPY: How = How::Is(Carry::Copy);

/// The rows; the first that fits holds.
const TABLE: &[Row] = &[
    Row {
        from: &[Origin::Matroska],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &[
            "aac",
            "ac3",
            "adpcm_ms",
            "alac",
            "dts",
            "eac3",
            "flac",
            "mlp",
            "mp2",
            "mp3",
            "opus",
            "pcm_alaw",
            "pcm_f32le",
            "pcm_f64le",
            "pcm_mulaw",
            "pcm_s16be",
            "pcm_s16le",
            "pcm_s24be",
            "pcm_s24le",
            "pcm_s32be",
            "pcm_s32le",
            "pcm_u8",
            "truehd",
            "vorbis",
            "wmav2",
        ],
        how: COPY,
    },
    Row {
        from: &[Origin::Matroska],
        to: Container::Matroska,
        kind: Kind::Subtitle,
        codecs: &["ass", "dvb_subtitle", "dvd_subtitle", "ssa", "subrip", "webvtt"],
        how: COPY,
    },
    Row {
        from: &[Origin::Matroska, Origin::MpegTs],
        to: Container::Matroska,
        kind: Kind::Subtitle,
        codecs: &["hdmv_pgs_subtitle"],
        // One packet a picture; Matroska files have that already, the filter changes nothing there.
        how: How::Is(Carry::Filter("pgs_frame_merge")),
    },
    Row { from: &[Origin::WebM], to: Container::WebM, kind: Kind::Audio, codecs: &["opus", "vorbis"], how: COPY },
    Row { from: &[Origin::WebM], to: Container::WebM, kind: Kind::Subtitle, codecs: &["webvtt"], how: COPY },
    Row {
        from: &[Origin::Mp4],
        to: Container::Mp4,
        kind: Kind::Audio,
        codecs: &["aac", "ac3", "alac", "eac3", "flac", "mp2", "mp3", "opus"],
        how: COPY,
    },
    Row { from: &[Origin::Mp4], to: Container::Mp4, kind: Kind::Subtitle, codecs: &["mov_text"], how: COPY },
    Row {
        from: &[Origin::QuickTime, Origin::Mp4],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &[
            "aac",
            "ac3",
            "alac",
            "eac3",
            "flac",
            "mp3",
            "opus",
            "pcm_alaw",
            "pcm_f32le",
            "pcm_f64le",
            "pcm_mulaw",
            "pcm_s16be",
            "pcm_s16le",
            "pcm_s24be",
            "pcm_s24le",
            "pcm_s32be",
            "pcm_s32le",
            "pcm_u8",
        ],
        how: COPY,
    },
    Row {
        from: &[Origin::QuickTime],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["pcm_f32be"],
        how: How::Is(Carry::Samples("pcm_f32le")),
    },
    Row {
        from: &[Origin::QuickTime],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["pcm_f64be"],
        how: How::Is(Carry::Samples("pcm_f64le")),
    },
    Row {
        from: &[Origin::QuickTime],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["pcm_s8"],
        how: How::Is(Carry::Samples("pcm_u8")),
    },
    Row {
        from: &[Origin::QuickTime, Origin::Mp4],
        to: Container::Matroska,
        kind: Kind::Subtitle,
        codecs: &["mov_text"],
        how: How::Is(Carry::Cues("subrip")),
    },
    Row {
        from: &[Origin::Avi],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &[
            "ac3",
            "adpcm_ms",
            "dts",
            "mp2",
            "mp3",
            "pcm_alaw",
            "pcm_mulaw",
            "pcm_s16le",
            "pcm_s24le",
            "pcm_u8",
            "wmav2",
        ],
        how: COPY,
    },
    Row {
        from: &[Origin::Avi, Origin::MpegTs],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["aac"],
        how: How::Is(Carry::Filter("aac_adtstoasc")),
    },
    Row {
        from: &[Origin::MpegTs],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["ac3", "dts", "eac3", "mp2", "mp3", "opus", "truehd"],
        how: COPY,
    },
    Row {
        from: &[Origin::MpegTs],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["pcm_bluray"],
        how: How::ByDepth,
    },
    Row {
        from: &[Origin::MpegTs],
        to: Container::Matroska,
        kind: Kind::Subtitle,
        codecs: &["dvb_subtitle"],
        how: COPY,
    },
    Row {
        from: &[Origin::MpegPs],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["ac3", "dts", "mp2", "mp3"],
        how: COPY,
    },
    Row {
        from: &[Origin::MpegPs],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["pcm_dvd"],
        how: How::ByDepth,
    },
    Row {
        from: &[Origin::Asf],
        to: Container::Matroska,
        kind: Kind::Audio,
        codecs: &["mp3", "pcm_s16le", "wmav1", "wmav2", "wmapro", "wmalossless"],
        how: COPY,
    },
];

/// How `stream` is carried; none when it can't be.
pub(super) fn carry(from: Origin, to: Container, kind: Kind, stream: &Stream) -> Option<Carry> {
    let row = TABLE.iter().find(|row| {
        row.to == to && row.kind == kind && row.from.contains(&from) && row.codecs.contains(&stream.codec_name.as_str())
    })?;
    if from != Origin::Matroska && stream.codec_name.starts_with("pcm_") && !is_usual_layout(stream) {
        return None;
    }
    match row.how {
        How::Is(carry) => Some(carry),
        How::ByDepth => by_depth(stream).map(Carry::Samples),
    }
}

/// Whether the channels are those that players take for granted: Matroska does not tell which channels uncompressed sound has.
fn is_usual_layout(stream: &Stream) -> bool {
    matches!(
        (stream.channels, stream.channel_layout.as_deref()),
        (_, None | Some("unknown"))
            | (Some(1), Some("mono"))
            | (Some(2), Some("stereo"))
            | (Some(6), Some("5.1" | "5.1(side)"))
            | (Some(8), Some("7.1"))
    )
}

/// The smallest layout that has all bits of the decoded samples.
fn by_depth(stream: &Stream) -> Option<&'static str> {
    match (stream.sample_fmt.as_deref()?, stream.bits_per_raw_sample) {
        ("s16", _) => Some("pcm_s16le"),
        ("s32", Some(20 | 24)) => Some("pcm_s24le"),
        ("s32", _) => Some("pcm_s32le"),
        _ => None,
    }
}

/// How the packets of a stream are read on both sides of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// As they are.
    Copy,
    /// Through this bitstream filter.
    Filter(&'static str),
    /// Decoded, and written by this encoder.
    Encoder(&'static str),
}

/// How streams of `codec` are read in a file, source or output, some of whose streams are carried as `carried` says.
pub(super) fn reading<'a>(mut carried: impl Iterator<Item = &'a Carry>, codec: &str) -> Reading {
    carried
        .find_map(|carry| match carry {
            Carry::Filter(filter) if filters(filter, codec) => Some(Reading::Filter(filter)),
            Carry::Samples(_) if codec.starts_with("pcm_f") => Some(Reading::Encoder("pcm_f64le")),
            Carry::Samples(_) if codec.starts_with("pcm_") => Some(Reading::Encoder("pcm_s32le")),
            Carry::Cues(_) if ["mov_text", "subrip"].contains(&codec) => Some(Reading::Encoder("subrip")),
            _ => None,
        })
        .unwrap_or(Reading::Copy)
}

fn filters(filter: &str, codec: &str) -> bool {
    matches!((filter, codec), ("aac_adtstoasc", "aac") | ("pgs_frame_merge", "hdmv_pgs_subtitle"))
}
