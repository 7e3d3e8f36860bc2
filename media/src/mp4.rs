//! As much of the layout of MP4 files as the mux needs: boxes, and the flag by which a track is enabled.
//!
//! Pure; lengths in the bytes are never trusted to lie within them.

/// Bit of a track header's flags that enables the track.
pub const TRACK_ENABLED: u8 = 1;
/// Most bytes of a box's own header.
pub const MAX_HEADER: usize = 16;

/// The head of a box.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BoxHead {
    /// Four letters.
    pub kind: [u8; 4],
    /// Bytes of the head, 8 or 16.
    pub head: u64,
    /// Bytes of the whole box; none where it goes on to the end of the file.
    pub size: Option<u64>,
}

/// The head of the box that starts `bytes`; none when it is cut or impossible.
#[must_use]
pub fn box_head(bytes: &[u8]) -> Option<BoxHead> {
    let (short, rest) = bytes.split_first_chunk::<4>()?;
    let (kind, rest) = rest.split_first_chunk::<4>()?;
    let (head, size) = match u32::from_be_bytes(*short) {
        0 => (8, None),
        1 => (16, Some(u64::from_be_bytes(*rest.first_chunk::<8>()?))),
        size => (8, Some(u64::from(size))),
    };
    if size.is_some_and(|size| size < head) { None } else { Some(BoxHead { kind: *kind, head, size }) }
}

/// Position in `moov` (the whole box) of the byte that holds [`TRACK_ENABLED`], of each track in order.
#[must_use]
pub fn enabled_flags(moov: &[u8]) -> Vec<usize> {
    const FLAGS: usize = 3;
    let Some((start, end)) = boxes(moov, 0, moov.len()).first().map(|(_, start, end)| (*start, *end)) else {
        return Vec::new();
    };
    boxes(moov, start, end)
        .into_iter()
        .filter(|(kind, ..)| kind == b"trak")
        .filter_map(|(_, start, end)| boxes(moov, start, end).into_iter().find(|(kind, ..)| kind == b"tkhd"))
        .filter_map(|(_, start, end)| Some(start + FLAGS).filter(|flags| *flags < end))
        .collect()
}

/// Kind, start and end of the content of each box between `start` and `end`; ends at the first that does not fit.
fn boxes(bytes: &[u8], start: usize, end: usize) -> Vec<([u8; 4], usize, usize)> {
    let mut found = Vec::new();
    let mut position = start;
    while let Some(head) = bytes.get(position..end).and_then(box_head) {
        let room = end - position;
        let size = head.size.map_or(Some(room), |size| usize::try_from(size).ok());
        let Some((size, head_size)) = size.filter(|size| *size <= room).zip(usize::try_from(head.head).ok()) else {
            break;
        };
        found.push((head.kind, position + head_size, position + size));
        position += size;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn a_box(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes(), kind.as_slice(), content].concat()
    }

    #[test]
    fn the_flag_of_each_track_is_found_in_order() {
        let track = |flag: u8| a_box(b"trak", &[a_box(b"edts", b"x"), a_box(b"tkhd", &[0, 0, 0, flag, 9])].concat());
        let moov = a_box(b"moov", &[a_box(b"mvhd", b"123"), track(0x13), a_box(b"udta", b""), track(0x25)].concat());
        assert_eq!(enabled_flags(&moov).iter().map(|at| moov[*at]).collect::<Vec<_>>(), [0x13, 0x25]);
    }

    #[test]
    fn heads_of_all_three_kinds_are_read_and_impossible_ones_refused() {
        let head = |bytes: &[u8]| box_head(bytes).map(|head| (head.head, head.size));
        assert_eq!(head(b"\0\0\0\x10mdat"), Some((8, Some(16))));
        assert_eq!(head(b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x20"), Some((16, Some(32))));
        assert_eq!(head(b"\0\0\0\0mdat"), Some((8, None)));
        for wrong in [b"\0\0\0\x07mdat".as_slice(), b"\0\0\0\x01mdat\0\0\0\0\0\0\0\x0f", b"\0\0\0\x01mdat", b"\0\0\0"] {
            assert_eq!(head(wrong), None, "{wrong:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_lead_outside(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let nested = a_box(b"moov", &a_box(b"trak", &bytes));
            prop_assert!(enabled_flags(&nested).iter().all(|at| *at < nested.len()));
            prop_assert!(enabled_flags(&bytes).iter().all(|at| *at < bytes.len()));
        }
    }
}
