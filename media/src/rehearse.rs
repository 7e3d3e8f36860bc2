//! The rehearsal of a mux: a stub of the AV1 video that costs next to nothing, one black picture over and over.
//!
//! Pure.

use std::path::Path;

use crate::command::Command;
use crate::ivf::{FILE_HEADER, FRAME_HEADER, FrameHeader, is_av1};
use crate::joined::{self, FrameHead, Header};
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

/// Times of the stub's frames: from where the source's video starts, but not before zero, in its time base.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_precision_loss)]
pub fn stub_times(video: &Stream) -> FrameTimes {
    let time_base = video.time_base.unwrap_or(MILLISECONDS);
    let ticks = 1.0 / (stub_rate(video).as_f64() * time_base.as_f64());
    let frames = (f64::from(SECONDS) * stub_rate(video).as_f64()).ceil() as i64;
    let start = video.start_pts.unwrap_or_default().max(0);
    let at = |n: i64| start.saturating_add((n as f64 * ticks).round() as i64);
    let mut pts: Vec<i64> = (0..frames).map(at).collect();
    pts.dedup();
    FrameTimes { time_base, pts }
}

/// The stub as it is joined, a Matroska file: the one picture of `ivf` at all of `times`.
#[must_use]
pub fn stub(ivf: &[u8], times: &FrameTimes) -> Option<Vec<u8>> {
    let (header, rest) = ivf.split_first_chunk::<FILE_HEADER>().filter(|(header, _)| is_av1(*header))?;
    let (frame, data) = rest.split_first_chunk::<FRAME_HEADER>()?;
    let size = FrameHeader::parse(*frame).size;
    let data = data.get(..usize::try_from(size).ok()?)?;
    let side = |at: usize| u32::from(u16::from_le_bytes([header[at], header[at + 1]]));
    let mut stub = joined::header(&Header::plain(side(12), side(14)));
    let times = joined::nanoseconds(times)?;
    let durations = joined::durations(&times);
    for (time, duration) in times.into_iter().zip(durations) {
        stub.extend(FrameHead { time, duration, size, is_key: true }.bytes());
        stub.extend(data);
    }
    Some(stub)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivf::file_header;

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
        let early = Stream { start_pts: Some(-80), ..Stream::default() };
        assert_eq!(stub_times(&early).pts[0], 0);
    }

    #[test]
    fn the_stub_repeats_one_picture() {
        let mut one = file_header(320, 180, Rational { num: 1, den: 25 }, 1).unwrap().to_vec();
        one.extend(FrameHeader { size: 3, pts: 0 }.to_bytes());
        one.extend(b"abc");
        let times = FrameTimes { time_base: MILLISECONDS, pts: vec![7, 49, 90] };
        let stub = stub(&one, &times).unwrap();
        let third = FrameHead { time: 90_000_000, duration: 41_500_000, size: 3, is_key: true }.bytes();
        assert!(stub.ends_with(&[&third[..], b"abc"].concat()));
        assert_eq!(stub.windows(3).filter(|part| part == b"abc").count(), 3);
        for cut in [0, FILE_HEADER, FILE_HEADER + FRAME_HEADER + 2] {
            assert_eq!(super::stub(&one[..cut], &times), None, "{cut}");
        }
    }

    #[test]
    fn the_call_for_the_picture() {
        insta::assert_snapshot!(stub_call(1920, 1080, Path::new("/work/stub.ivf")).to_strings().join("\n"));
    }
}
