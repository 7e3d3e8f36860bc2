//! Identity of a file: the fingerprint of its size and three samples, and what two identities say about each other.
//!
//! Pure: bytes and numbers in, answers out. Where the samples come from is the agent's business.

use av1_crds::wire::FileIdentity;
use sha2::{Digest, Sha256};

/// Bytes of one sample.
pub const SAMPLE_BYTES: u64 = 1 << 20;

/// Offset and length of the samples of a file of `size` bytes: start, middle, end. They overlap in files below 3 MiB.
#[must_use]
pub fn samples(size: u64) -> [(u64, usize); 3] {
    let length = size.min(SAMPLE_BYTES);
    let last = size - length;
    #[allow(clippy::cast_possible_truncation)] // at most 1 MiB
    let at = |offset| (offset, length as usize);
    [at(0), at(last / 2), at(last)]
}

/// SHA-256, in hexadecimal, of `size` (eight bytes, little-endian) and the bytes of [`samples`] in their order.
#[must_use]
pub fn fingerprint(size: u64, samples: [&[u8]; 3]) -> String {
    let mut hash = Sha256::new();
    hash.update(size.to_le_bytes());
    for sample in samples {
        hash.update(sample);
    }
    hex::encode(hash.finalize())
}

/// Whether both have the same content, whatever their name and times: size and fingerprint are equal.
///
/// Without a fingerprint on either side the answer is no.
#[must_use]
pub fn same_content(a: &FileIdentity, b: &FileIdentity) -> bool {
    !a.fingerprint.is_empty() && a.size == b.size && a.fingerprint == b.fingerprint
}

/// What became of a file between two looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Nothing differs.
    Same,
    /// Only change time or inode differ (a link more or less, a change of mode, a network volume that renumbers); size,
    /// modification time and samples are the same.
    Touched,
    /// Another file, or changed content.
    Different,
}

/// Compares a file as it was planned with the file as it is now. Both need a fingerprint.
#[must_use]
pub fn compare(planned: &FileIdentity, now: &FileIdentity) -> Comparison {
    if !same_content(planned, now) || planned.modified_time_ns != now.modified_time_ns {
        Comparison::Different
    } else if planned.changed_time_ns == now.changed_time_ns && planned.inode == now.inode {
        Comparison::Same
    } else {
        Comparison::Touched
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> FileIdentity {
        FileIdentity { size: 5, modified_time_ns: 1, changed_time_ns: 2, inode: 3, fingerprint: "ab".to_owned() }
    }

    #[test]
    fn samples_are_start_middle_and_end_and_never_reach_past_the_end() {
        assert_eq!(samples(0), [(0, 0); 3]);
        assert_eq!(samples(10), [(0, 10); 3]);
        assert_eq!(samples(3 << 20), [(0, 1 << 20), (1 << 20, 1 << 20), (2 << 20, 1 << 20)]);
        let size = (5 << 30) + 7;
        assert!(samples(size).iter().all(|(offset, length)| offset + *length as u64 <= size));
        assert_eq!(samples(size)[2].0 + SAMPLE_BYTES, size);
    }

    #[test]
    fn a_fingerprint_depends_on_the_size_and_on_each_sample() {
        let base = fingerprint(3, [b"a", b"b", b"c"]);
        assert_eq!(base.len(), 64);
        assert_eq!(base, fingerprint(3, [b"a", b"b", b"c"]));
        for other in
            [fingerprint(4, [b"a", b"b", b"c"]), fingerprint(3, [b"x", b"b", b"c"]), fingerprint(3, [b"a", b"b", b"x"])]
        {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_file_whose_change_time_alone_moved_is_touched_and_one_with_other_samples_is_different() {
        let planned = identity();
        assert_eq!(compare(&planned, &planned), Comparison::Same);
        assert_eq!(compare(&planned, &FileIdentity { changed_time_ns: 9, ..identity() }), Comparison::Touched);
        assert_eq!(compare(&planned, &FileIdentity { inode: 9, ..identity() }), Comparison::Touched);
        assert_eq!(compare(&planned, &FileIdentity { modified_time_ns: 9, ..identity() }), Comparison::Different);
        assert_eq!(compare(&planned, &FileIdentity { fingerprint: "cd".into(), ..identity() }), Comparison::Different);
    }

    #[test]
    fn identities_without_a_fingerprint_are_never_the_same() {
        let blank = FileIdentity { fingerprint: String::new(), ..identity() };
        assert!(!same_content(&blank, &blank));
    }
}
