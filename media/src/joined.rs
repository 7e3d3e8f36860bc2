//! As much of Matroska as the joined video needs: a header that says what an AV1 stream cannot (shape of the pixels, rotation,
//! light, what is cut off when shown), and one cluster a frame, whose time is told in nanoseconds.
//!
//! Pure. Element ids are those of RFC 9559. The file is read by FFmpeg alone, and only until the output is written.

use crate::light::Light;
use crate::rational::{FrameTimes, Rational};
use crate::rotation::Rotation;

/// Ticks of the joined video a second.
const NANOSECONDS: i64 = 1_000_000_000;

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// Width of the coded picture in pixels.
    pub width: u32,
    /// Height of the coded picture in pixels.
    pub height: u32,
    /// Columns at the right that are not shown.
    pub hidden_right: u32,
    /// Rows at the bottom that are not shown.
    pub hidden_bottom: u32,
    /// Shape of a pixel; none stands for square.
    pub sample_aspect_ratio: Option<Rational>,
    /// How the picture is turned when it is shown.
    pub rotation: Rotation,
    /// Mastering display and light levels.
    pub light: Light,
}

impl Header {
    /// Of a picture of this size, upright and of square pixels, all of which is shown.
    #[must_use]
    pub fn plain(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            hidden_right: 0,
            hidden_bottom: 0,
            sample_aspect_ratio: None,
            rotation: Rotation::default(),
            light: Light::default(),
        }
    }
}

/// The bytes before the first frame.
#[must_use]
pub fn header(header: &Header) -> Vec<u8> {
    let mut file = master(
        &[0x1A, 0x45, 0xDF, 0xA3],
        &[
            uint(&[0x42, 0x86], 1),
            uint(&[0x42, 0xF7], 1),
            uint(&[0x42, 0xF2], 4),
            uint(&[0x42, 0xF3], 8),
            element(&[0x42, 0x82], b"matroska"),
            uint(&[0x42, 0x87], 4),
            uint(&[0x42, 0x85], 2),
        ],
    );
    // A segment of unknown size.
    file.extend([0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
    file.extend(master(
        &[0x15, 0x49, 0xA9, 0x66],
        &[uint(&[0x2A, 0xD7, 0xB1], 1), element(&[0x4D, 0x80], b"av1-agent"), element(&[0x57, 0x41], b"av1-agent")],
    ));
    let track = master(
        &[0xAE],
        &[
            uint(&[0xD7], 1),
            uint(&[0x73, 0xC5], 1),
            uint(&[0x83], 1),
            uint(&[0x9C], 0),
            element(&[0x22, 0xB5, 0x9C], b"und"),
            element(&[0x86], b"V_AV1"),
            video(header),
        ],
    );
    file.extend(master(&[0x16, 0x54, 0xAE, 0x6B], &[track]));
    file
}

fn video(header: &Header) -> Vec<u8> {
    let mut parts = vec![uint(&[0xB0], header.width.into()), uint(&[0xBA], header.height.into())];
    if header.hidden_bottom > 0 {
        parts.push(uint(&[0x54, 0xAA], header.hidden_bottom.into()));
    }
    if header.hidden_right > 0 {
        parts.push(uint(&[0x54, 0xDD], header.hidden_right.into()));
    }
    if let Some((width, height)) = display(header) {
        parts.extend([uint(&[0x54, 0xB0], width), uint(&[0x54, 0xBA], height), uint(&[0x54, 0xB2], 3)]);
    }
    parts.extend(colour(&header.light));
    if !header.rotation.is_none() {
        let (yaw, roll) = header.rotation.pose();
        parts.push(master(
            &[0x76, 0x70],
            &[uint(&[0x76, 0x71], 0), float(&[0x76, 0x73], yaw), float(&[0x76, 0x74], 0.0), float(&[0x76, 0x75], roll)],
        ));
    }
    master(&[0xE0], &parts)
}

/// The aspect ratio at which what is shown of the picture is displayed; none where its pixels are square.
fn display(header: &Header) -> Option<(u64, u64)> {
    let aspect = header.sample_aspect_ratio.filter(|aspect| aspect.num != aspect.den)?;
    let shown = |pixels: u32, hidden: u32| u64::from(pixels.saturating_sub(hidden).max(1));
    let width = shown(header.width, header.hidden_right).checked_mul(u64::try_from(aspect.num).ok()?)?;
    let height = shown(header.height, header.hidden_bottom).checked_mul(u64::try_from(aspect.den).ok()?)?;
    let divisor = greatest_common_divisor(width, height).max(1);
    Some((width / divisor, height / divisor))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

fn colour(light: &Light) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    if let Some(content) = &light.content {
        parts.extend([uint(&[0x55, 0xBC], content.most.into()), uint(&[0x55, 0xBD], content.average.into())]);
    }
    if let Some(m) = &light.mastering {
        let values = m.points().chain([m.brightest, m.darkest]);
        let floats: Vec<Vec<u8>> = (0xD1..).zip(values).map(|(id, value)| float(&[0x55, id], value)).collect();
        parts.push(master(&[0x55, 0xD0], &floats));
    }
    (!parts.is_empty()).then(|| master(&[0x55, 0xB0], &parts))
}

/// One frame: when it is shown and for how long, both in nanoseconds, its size in bytes, and whether it can be started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHead {
    /// When.
    pub time: u64,
    /// How long.
    pub duration: u64,
    /// Bytes.
    pub size: u32,
    /// Whether it is a key frame.
    pub is_key: bool,
}

impl FrameHead {
    /// The bytes before the frame's own.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let size = u64::from(self.size);
        let time = uint(&[0xE7], self.time);
        let duration = uint(&[0x9B], self.duration);
        // A reference to another frame, whichever, says that it is no key frame.
        let reference = if self.is_key { Vec::new() } else { element(&[0xFB], &[0xFF]) };
        // Track 1, no distance from the cluster's time, no flags.
        let block_head = [0x81, 0, 0, 0];
        let block = [&[0xA1][..], &size_bytes(size + block_head.len() as u64), &block_head].concat();
        let group = (duration.len() + reference.len() + block.len()) as u64 + size;
        let group_head = [&[0xA0][..], &size_bytes(group)].concat();
        let cluster = (time.len() + group_head.len()) as u64 + group;
        [&[0x1F, 0x43, 0xB6, 0x75][..], &size_bytes(cluster), &time, &group_head, &duration, &reference, &block]
            .concat()
    }
}

/// How long a frame is shown that has no other beside it.
const ALONE: u64 = 40_000_000;

/// How long each frame is shown, in nanoseconds: until the next; the last as long as frames last on average.
#[must_use]
pub fn durations(times: &[u64]) -> Vec<u64> {
    let span = times.last().zip(times.first()).map_or(0, |(last, first)| last.saturating_sub(*first));
    let average = span.checked_div(times.len().saturating_sub(1) as u64).unwrap_or(ALONE);
    times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).chain((!times.is_empty()).then_some(average)).collect()
}

/// Times of frames in nanoseconds; none when one lies before zero.
#[must_use]
pub fn nanoseconds(times: &FrameTimes) -> Option<Vec<u64>> {
    let Rational { num, den } = times.time_base;
    let (num, den) = (i128::from(num) * i128::from(NANOSECONDS), i128::from(den));
    let rounded = |ticks: &i64| u64::try_from((i128::from(*ticks) * num + den / 2).div_euclid(den)).ok();
    times.pts.iter().map(rounded).collect()
}

fn master(id: &[u8], parts: &[Vec<u8>]) -> Vec<u8> {
    element(id, &parts.concat())
}

fn uint(id: &[u8], value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn float(id: &[u8], value: f64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

fn element(id: &[u8], content: &[u8]) -> Vec<u8> {
    [id, &size_bytes(content.len() as u64), content].concat()
}

/// A size in its eight-byte form.
fn size_bytes(size: u64) -> [u8; 8] {
    (size | 1 << 56).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::light::Content;

    fn plain() -> Header {
        Header::plain(720, 576)
    }

    /// Ids and contents of the elements in `bytes`; sizes are all in the eight-byte form.
    fn elements(mut bytes: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut found = Vec::new();
        while let Some(first) = bytes.first() {
            let id = first.leading_zeros() as usize + 1;
            let size = u64::from_be_bytes(bytes[id..id + 8].try_into().unwrap()) & !(1 << 56);
            let end = if size == (1 << 56) - 1 { bytes.len() } else { id + 8 + usize::try_from(size).unwrap() };
            found.push((bytes[..id].to_vec(), bytes[id + 8..end].to_vec()));
            bytes = &bytes[end..];
        }
        found
    }

    fn within(bytes: &[u8], ids: &[&[u8]]) -> Option<Vec<u8>> {
        ids.iter().try_fold(bytes.to_vec(), |bytes, id| {
            elements(&bytes).into_iter().find(|(found, _)| found == id).map(|(_, content)| content)
        })
    }

    const VIDEO: [&[u8]; 4] = [&[0x18, 0x53, 0x80, 0x67], &[0x16, 0x54, 0xAE, 0x6B], &[0xAE], &[0xE0]];

    fn value(header: &Header, id: &[u8]) -> Option<u64> {
        let path: Vec<&[u8]> = VIDEO.into_iter().chain([id]).collect();
        within(&self::header(header), &path).map(|bytes| u64::from_be_bytes(bytes.try_into().unwrap()))
    }

    #[test]
    fn a_plain_picture_says_its_size_alone() {
        let plain = plain();
        assert_eq!((value(&plain, &[0xB0]), value(&plain, &[0xBA])), (Some(720), Some(576)));
        for absent in [&[0x54, 0xB0][..], &[0x54, 0xDD], &[0x55, 0xB0], &[0x76, 0x70]] {
            assert_eq!(value(&plain, absent), None, "{absent:x?}");
        }
    }

    #[test]
    fn the_shape_of_pixels_is_told_by_the_aspect_of_what_is_shown() {
        let shaped = Header { sample_aspect_ratio: Some(Rational { num: 64, den: 45 }), ..plain() };
        assert_eq!((value(&shaped, &[0x54, 0xB0]), value(&shaped, &[0x54, 0xBA])), (Some(16), Some(9)));
        let odd = Header { width: 722, hidden_right: 1, hidden_bottom: 1, ..shaped };
        assert_eq!((value(&odd, &[0x54, 0xB0]), value(&odd, &[0x54, 0xBA])), (Some(721 * 64), Some(575 * 45)));
        assert_eq!((value(&odd, &[0x54, 0xDD]), value(&odd, &[0x54, 0xAA])), (Some(1), Some(1)));
    }

    #[test]
    fn light_and_rotation_are_told_when_there_are_such() {
        let light = Light { content: Some(Content { most: 1_000, average: 400 }), ..Light::default() };
        let told = Header { light, rotation: Rotation { quarters: 1, flipped: false }, ..plain() };
        let path: Vec<&[u8]> = VIDEO.into_iter().chain([&[0x55, 0xB0][..], &[0x55, 0xBC]]).collect();
        assert_eq!(within(&header(&told), &path).unwrap(), 1_000_u64.to_be_bytes());
        let path: Vec<&[u8]> = VIDEO.into_iter().chain([&[0x76, 0x70][..], &[0x76, 0x75]]).collect();
        assert_eq!(within(&header(&told), &path).unwrap(), 90_f64.to_be_bytes());
    }

    #[test]
    fn a_frame_is_a_cluster_of_its_own() {
        let head = FrameHead { time: 41_708_333, duration: 41_708_334, size: 5, is_key: true };
        let group = |head: FrameHead| {
            let mut file = head.bytes();
            file.extend(b"frame");
            let cluster = elements(&within(&file, &[&[0x1F, 0x43, 0xB6, 0x75]]).unwrap());
            assert_eq!(cluster[0], (vec![0xE7], 41_708_333_u64.to_be_bytes().to_vec()));
            elements(&cluster[1].1)
        };
        let duration = (vec![0x9B], 41_708_334_u64.to_be_bytes().to_vec());
        let block = (vec![0xA1], b"\x81\0\0\0frame".to_vec());
        assert_eq!(group(head), [duration.clone(), block.clone()]);
        assert_eq!(group(FrameHead { is_key: false, ..head }), [duration, (vec![0xFB], vec![0xFF]), block]);
    }

    #[test]
    fn a_frame_lasts_until_the_next_and_the_last_one_as_long_as_others() {
        assert_eq!(durations(&[0, 40, 100]), [40, 60, 50]);
        assert_eq!(durations(&[7]), [ALONE]);
        assert_eq!(durations(&[]), [0_u64; 0]);
    }

    #[test]
    fn times_are_rounded_to_nanoseconds_and_do_not_lie_before_zero() {
        let times =
            |pts: &[i64], num, den| nanoseconds(&FrameTimes { time_base: Rational { num, den }, pts: pts.to_vec() });
        assert_eq!(times(&[0, 1001, 2002], 1, 24_000), Some(vec![0, 41_708_333, 83_416_667]));
        assert_eq!(times(&[5], 1, 1_000), Some(vec![5_000_000]));
        assert_eq!(times(&[-1, 5], 1, 1_000), None);
    }
}
