//! How programs tell of trouble that has nothing to do with the content of a file: by the C library's words.
//!
//! Must never: read anything.

/// Words for memory that ran out.
pub(super) const NO_MEMORY: &str = "Cannot allocate memory";
/// Words for a volume that is full, or whose user has no more of it.
const NO_SPACE: [&str; 2] = ["No space left on device", "Disk quota exceeded"];
/// The C library's words for trouble that has nothing to do with the content of a file, and that decoders have for content, too.
const DISTURBANCES: [&str; 3] = ["Input/output error", NO_MEMORY, "Resource temporarily unavailable"];
/// Its words for trouble with network, server or device, which nothing else is called by.
const LOST_TOUCH: [&str; 20] = [
    "Stale file handle",
    "Transport endpoint is not connected",
    "Cannot send after transport endpoint shutdown",
    "Software caused connection abort",
    "Connection timed out",
    "Connection reset by peer",
    "Connection refused",
    "Network is down",
    "Network is unreachable",
    "Network dropped connection on reset",
    "Host is down",
    "No route to host",
    "Remote I/O error",
    "Communication error on send",
    "Protocol error",
    "No such device",
    "Too many open files",
    "Read-only file system",
    "Key has expired",
    "Required key not available",
];

/// Whether a program that failed was in trouble with disk, network or memory.
pub(super) fn is_likely(stderr: &str) -> bool {
    has_any(stderr, &DISTURBANCES) || lost_touch(stderr)
}

/// Whether it ran out of space on a file system.
pub(super) fn no_space(stderr: &str) -> bool {
    has_any(stderr, &NO_SPACE)
}

/// Whether what a program wrote tells of a file system that was lost, or full: true also of one that ended well all the same.
pub(crate) fn lost_touch(stderr: &str) -> bool {
    has_any(stderr, &LOST_TOUCH) || no_space(stderr)
}

fn has_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn trouble_is_known_by_the_words_of_the_c_library() {
        use rustix::io::Errno;
        let words = |errno: Errno| io::Error::from(errno).to_string();
        for errno in [
            Errno::STALE,
            Errno::NOTCONN,
            Errno::SHUTDOWN,
            Errno::CONNABORTED,
            Errno::TIMEDOUT,
            Errno::CONNRESET,
            Errno::CONNREFUSED,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::NETRESET,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::REMOTEIO,
            Errno::COMM,
            Errno::PROTO,
            Errno::NODEV,
            Errno::NXIO,
            Errno::MFILE,
            Errno::NFILE,
            Errno::ROFS,
            Errno::KEYEXPIRED,
            Errno::NOKEY,
            Errno::NOSPC,
            Errno::DQUOT,
        ] {
            assert!(lost_touch(&words(errno)), "{}", words(errno));
        }
        for errno in [Errno::IO, Errno::NOMEM, Errno::AGAIN] {
            assert!(is_likely(&words(errno)), "{}", words(errno));
            assert!(!lost_touch(&words(errno)), "decoders say {} of content", words(errno));
        }
        assert!(!lost_touch("moov atom not found: Invalid data found when processing input"));
    }
}
