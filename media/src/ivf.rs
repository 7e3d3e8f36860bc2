//! IVF, the container of encoded chunks: walking its frames without reading them, and writing its headers.
//!
//! Layout (little endian): 32 bytes of file header (`DKIF`, version, header length, FourCC, width, height, time base, number of
//! frames), then for each frame its size (4 bytes), its presentation time (8) and its data. The number of frames in the file
//! header is what was expected, not what is there: it is never believed.

use std::io::{self, Read, Seek, SeekFrom};

/// Length of the file header in bytes.
pub const FILE_HEADER: usize = 32;
/// Length of a frame's header in bytes.
pub const FRAME_HEADER: usize = 12;

/// What an IVF file holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walk {
    /// Frames that are there in full.
    pub frames: u64,
    /// Bytes of their data, without headers.
    pub data_bytes: u64,
    /// Whether the file has an AV1 header and ends exactly behind a frame.
    pub whole: bool,
}

/// One frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of data that follow.
    pub size: u32,
    /// Presentation time in units of the file's time base.
    pub pts: i64,
}

impl FrameHeader {
    /// Reads a frame's header.
    #[must_use]
    pub fn parse(bytes: [u8; FRAME_HEADER]) -> Self {
        let [a, b, c, d, pts @ ..] = bytes;
        Self { size: u32::from_le_bytes([a, b, c, d]), pts: i64::from_le_bytes(pts) }
    }

    /// Its bytes.
    #[cfg(test)]
    pub(crate) fn to_bytes(self) -> [u8; FRAME_HEADER] {
        let mut bytes = [0; FRAME_HEADER];
        bytes[..4].copy_from_slice(&self.size.to_le_bytes());
        bytes[4..].copy_from_slice(&self.pts.to_le_bytes());
        bytes
    }
}

/// A file header for AV1. A time base beyond 32 bits can't be written.
#[cfg(test)]
pub(crate) fn file_header(
    width: u16,
    height: u16,
    time_base: crate::rational::Rational,
    frames: u32,
) -> Option<[u8; FILE_HEADER]> {
    let (num, den) = (u32::try_from(time_base.num).ok()?, u32::try_from(time_base.den).ok()?);
    let mut bytes = [0; FILE_HEADER];
    bytes[..4].copy_from_slice(b"DKIF");
    bytes[6..8].copy_from_slice(&32_u16.to_le_bytes());
    bytes[8..12].copy_from_slice(b"AV01");
    bytes[12..14].copy_from_slice(&width.to_le_bytes());
    bytes[14..16].copy_from_slice(&height.to_le_bytes());
    bytes[16..20].copy_from_slice(&den.to_le_bytes());
    bytes[20..24].copy_from_slice(&num.to_le_bytes());
    bytes[24..28].copy_from_slice(&frames.to_le_bytes());
    Some(bytes)
}

/// Whether these are the first bytes of an AV1 IVF file.
#[must_use]
pub fn is_av1(header: &[u8]) -> bool {
    header.len() >= FILE_HEADER && header.starts_with(b"DKIF") && header[6..8] == [32, 0] && &header[8..12] == b"AV01"
}

/// Walks the frames of an IVF file of `length` bytes, reading headers only. A cut, empty or foreign file is not an error: it is
/// not whole.
///
/// # Errors
/// When reading or seeking fails.
pub fn walk(source: &mut (impl Read + Seek), length: u64) -> io::Result<Walk> {
    Walker::default().go_on(source, length)
}

/// Walks a file that grows: each look goes on where the last one ended.
#[derive(Debug, Clone, Copy, Default)]
pub struct Walker {
    position: u64,
    found: Walk,
}

impl Walker {
    /// What the file of `length` bytes holds now. One that became shorter is walked afresh.
    ///
    /// # Errors
    /// When reading or seeking fails.
    pub fn go_on(&mut self, source: &mut (impl Read + Seek), length: u64) -> io::Result<Walk> {
        if length < self.position {
            *self = Self::default();
        }
        self.found.whole = false;
        if self.position == 0 {
            let mut header = [0; FILE_HEADER];
            source.seek(SeekFrom::Start(0))?;
            if length < FILE_HEADER as u64 || read_full(source, &mut header)? < FILE_HEADER || !is_av1(&header) {
                return Ok(self.found);
            }
            self.position = FILE_HEADER as u64;
        }
        loop {
            if self.position == length {
                self.found.whole = true;
                return Ok(self.found);
            }
            let mut frame = [0; FRAME_HEADER];
            source.seek(SeekFrom::Start(self.position))?;
            if read_full(source, &mut frame)? < FRAME_HEADER {
                return Ok(self.found);
            }
            let size = u64::from(FrameHeader::parse(frame).size);
            let end = self.position + FRAME_HEADER as u64 + size;
            if size == 0 || end > length {
                return Ok(self.found);
            }
            self.position = end;
            self.found.frames += 1;
            self.found.data_bytes += size;
        }
    }
}

/// Fills `buffer` as far as the source goes, and says how far.
fn read_full(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;
    use crate::rational::Rational;

    fn file(sizes: &[u8]) -> Vec<u8> {
        let mut bytes = file_header(640, 360, Rational { num: 1, den: 24 }, 9).unwrap().to_vec();
        for (pts, size) in sizes.iter().enumerate() {
            bytes.extend(FrameHeader { size: u32::from(*size), pts: i64::try_from(pts).unwrap() }.to_bytes());
            bytes.extend(vec![7; usize::from(*size)]);
        }
        bytes
    }

    fn walked(bytes: &[u8]) -> Walk {
        walk(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn a_whole_file_is_whole_whatever_its_header_says_of_the_number_of_frames() {
        assert_eq!(walked(&file(&[5, 1, 9])), Walk { frames: 3, data_bytes: 15, whole: true });
    }

    #[test]
    fn a_file_cut_anywhere_but_behind_a_frame_is_not_whole() {
        let bytes = file(&[5, 1, 9]);
        let ends = [32, 32 + 17, 32 + 17 + 13, bytes.len()];
        for length in 0..=bytes.len() {
            let found = walked(&bytes[..length]);
            assert_eq!(found.whole, ends.contains(&length), "{length}");
            assert_eq!(found.frames, ends[1..].iter().filter(|end| **end <= length).count() as u64, "{length}");
        }
    }

    #[test]
    fn a_file_that_grows_is_walked_as_if_it_were_read_anew_each_time() {
        let bytes = file(&[5, 1, 9, 200]);
        let mut walker = Walker::default();
        for length in (0..=bytes.len()).step_by(3) {
            let found = walker.go_on(&mut Cursor::new(&bytes[..length]), length as u64).unwrap();
            assert_eq!(found, walked(&bytes[..length]), "{length}");
        }
        let other = file(&[7]);
        assert_eq!(walker.go_on(&mut Cursor::new(&other), other.len() as u64).unwrap(), walked(&other));
    }

    #[test]
    fn a_zero_filled_tail_as_a_crash_leaves_it_is_not_whole() {
        let mut bytes = file(&[5]);
        bytes.extend([0; 4096]);
        assert_eq!(walked(&bytes), Walk { frames: 1, data_bytes: 5, whole: false });
    }

    proptest! {
        #[test]
        fn any_bytes_are_walked_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
            let mut all = if start { file(&[3]) } else { Vec::new() };
            all.extend(bytes);
            let found = walked(&all);
            prop_assert!(found.data_bytes <= all.len() as u64);
        }
    }
}
