//! The rehearsal of a mux: a stub of the AV1 video that costs next to nothing, one black picture over and over.
//!
//! Pure.

use std::path::Path;

use crate::command::Command;
use crate::ivf::{FILE_HEADER, FRAME_HEADER, FrameHeader, is_av1};
use crate::probe::Stream;
use crate::rational::{FrameTimes, Rational};

/// Seconds of the source that are muxed.
pub const SECONDS: u32 = 20;
/// Rates beyond this are what a container says of a variable rate.
const MOST_RATE: f64 = 240.0;
const USUAL_RATE: Rational = Rational { num: 25, den: 1 };
const MILLISECONDS: Rational = Rational { num: 1, den: 1_000 };

/// The call that encodes one black picture of this size to the IVF file `output`.
#[must_use]
pub fn stub_call(width: u32, height: u32, output: &Path) -> Command {
    Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-y", "-f", "lavfi", "-i"])
        .arg(format!("color=black:size={width}x{height}:rate=25"))
        .args(["-frames:v", "1", "-pix_fmt", "yuv420p10le", "-c:v", "libsvtav1", "-preset", "12"])
        .args(["-svtav1-params", "lp=1", "-f", "ivf"])
        .file(output)
}

/// The rate of the stub.
#[must_use]
pub fn stub_rate(video: &Stream) -> Rational {
    [video.r_frame_rate, video.avg_frame_rate]
        .into_iter()
        .flatten()
        .find(|rate| rate.as_f64() <= MOST_RATE && rate.as_f64() >= 1.0)
        .unwrap_or(USUAL_RATE)
}

/// Times of the stub's frames: from where the source's video starts, in its time base.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn stub_times(video: &Stream) -> FrameTimes {
    let time_base = video.time_base.unwrap_or(MILLISECONDS);
    let ticks = 1.0 / (stub_rate(video).as_f64() * time_base.as_f64());
    let frames = (f64::from(SECONDS) * stub_rate(video).as_f64()).ceil() as i64;
    let start = video.start_pts.unwrap_or_default();
    let at = |n: i64| start.saturating_add((n as f64 * ticks).round() as i64);
    let mut pts: Vec<i64> = (0..frames).map(at).collect();
    pts.dedup();
    FrameTimes { time_base, pts }
}

/// The stub as an IVF file: the one picture of `ivf` at all of `times`, under its own file header but for the time base.
#[must_use]
pub fn stub(ivf: &[u8], times: &FrameTimes) -> Option<Vec<u8>> {
    let (header, rest) = ivf.split_first_chunk::<FILE_HEADER>().filter(|(header, _)| is_av1(*header))?;
    let (frame, data) = rest.split_first_chunk::<FRAME_HEADER>()?;
    let data = data.get(..usize::try_from(FrameHeader::parse(*frame).size).ok()?)?;
    let side = |at: usize| u16::from_le_bytes([header[at], header[at + 1]]);
    let count = u32::try_from(times.pts.len()).ok()?;
    let mut stub = crate::ivf::file_header(side(12), side(14), times.time_base, count)?.to_vec();
    for pts in &times.pts {
        stub.extend(FrameHeader { size: u32::try_from(data.len()).ok()?, pts: *pts }.to_bytes());
        stub.extend(data);
    }
    Some(stub)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::ivf::{file_header, walk};

    fn video(rate: Rational) -> Stream {
        Stream {
            r_frame_rate: Some(rate),
            time_base: Some(Rational { num: 1, den: 90_000 }),
            start_pts: Some(126_000),
            ..Stream::default()
        }
    }

    #[test]
    fn the_stub_starts_where_the_video_starts_and_fills_the_rehearsal() {
        let times = stub_times(&video(Rational { num: 24_000, den: 1_001 }));
        assert_eq!((times.pts.len(), times.pts[0], times.pts[1]), (480, 126_000, 129_754));
        assert!(times.seconds(479).unwrap() > 21.3);
        let absurd = stub_times(&video(Rational { num: 90_000, den: 1 }));
        assert_eq!(absurd.pts.len(), 500);
        assert_eq!(stub_times(&Stream::default()).pts.len(), 500);
    }

    #[test]
    fn the_stub_repeats_one_picture() {
        let mut one = file_header(320, 180, Rational { num: 1, den: 25 }, 1).unwrap().to_vec();
        one.extend(FrameHeader { size: 3, pts: 0 }.to_bytes());
        one.extend(b"abc");
        let times = FrameTimes { time_base: MILLISECONDS, pts: vec![7, 49, 90] };
        let stub = stub(&one, &times).unwrap();
        let found = walk(&mut Cursor::new(&stub), stub.len() as u64).unwrap();
        assert_eq!((found.frames, found.data_bytes, found.whole), (3, 9, true));
        assert_eq!(stub[12..16], one[12..16]);
        for cut in [0, FILE_HEADER, FILE_HEADER + FRAME_HEADER + 2] {
            assert_eq!(super::stub(&one[..cut], &times), None, "{cut}");
        }
    }

    #[test]
    fn the_call_for_the_picture() {
        insta::assert_snapshot!(stub_call(1920, 1080, Path::new("/work/stub.ivf")).to_strings().join("\n"));
    }
}
