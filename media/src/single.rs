//! The engine of one FFmpeg process: the call that encodes the video alone, all of it, to one IVF file.
//!
//! Its file counts as the only chunk of the video, so that it is counted, joined and gone on from like chunks of Av1an: whole
//! or not at all. Its frames are those of the decode pass; the time stamps are given when it is joined.

use std::path::Path;

use crate::command::Command;
use crate::encoders::words::ffmpeg;
use crate::plan::{PIX_FMT, Plan};
use crate::rational::Rational;

/// The video that is encoded.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The source, absolute.
    pub source: &'a Path,
    /// The stream in it.
    pub index: u32,
    /// What is done to the picture before, as FFmpeg's filters; empty for nothing.
    pub filters: &'a str,
    /// The IVF file to write; one that is there is overwritten.
    pub output: &'a Path,
}

/// The call.
#[must_use]
pub fn encode(input: &Input<'_>, plan: &Plan) -> Command {
    let format = format!("format={PIX_FMT}");
    let filters = if input.filters.is_empty() { format } else { format!("{},{format}", input.filters) };
    Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-xerror", "-y", "-protocol_whitelist", "file,pipe"])
        .args(["-copyts", "-noautorotate", "-i"])
        .file(input.source)
        .args(["-map", &format!("0:{}", input.index), "-vf", &filters])
        .args(["-fps_mode", "passthrough", "-enc_time_base", "demux"])
        .args(ffmpeg(plan.encoder, &plan.params, plan.threads, plan.max_scene))
        .args(["-f", "ivf"])
        .file(input.output)
}

/// The filter that gives each frame the time that follows from its number, for videos whose times can't be encoded as they are.
#[must_use]
pub fn even_times(rate: Rational) -> String {
    format!("setpts=N*{}/({}*TB)", rate.den, rate.num)
}

/// The list of chunks, as Av1an writes it, that names the whole video as one.
#[must_use]
pub fn chunks(frames: u64) -> String {
    format!("[{{\"index\":0,\"start_frame\":0,\"end_frame\":{frames}}}]")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoders::{Encoder, Engine};
    use crate::profile::Quality;

    #[test]
    fn the_call_is_this() {
        let params = [("preset", "4"), ("crf", "23"), ("keyint", "0"), ("color-primaries", "1"), ("tune", "0")];
        let plan = Plan {
            encoder: Encoder::SvtAv1,
            engine: Engine::Ffmpeg,
            quality: Quality { crf: 23, preset: 4 },
            workers: 1,
            threads: 2,
            max_scene: 240,
            params: params.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        };
        let input = Input {
            source: Path::new("/library/a.mkv"),
            index: 1,
            filters: &["scale=640:360", &even_times(Rational { num: 24_000, den: 1_001 })].join(","),
            output: Path::new("/work/av1an/encode/00000.ivf"),
        };
        insta::assert_snapshot!(encode(&input, &plan).to_strings().join(" "));
    }

    #[test]
    fn the_whole_video_is_one_chunk() {
        let found = crate::av1an::chunks(chunks(662).as_bytes(), 662).unwrap();
        assert_eq!((found.len(), found[0].frames(), found[0].file_name().as_str()), (1, 662, "00000.ivf"));
    }
}
