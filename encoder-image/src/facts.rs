//! Gathers what the gates need to know of one file beneath the library's root: attributes, markers beside and above it,
//! unfinished downloads, and, only when nothing cheaper decided, the fingerprint and ffprobe's answer.
//!
//! May: read the library, run ffprobe. Must never: write anything, or leave the root.

#[cfg(test)]
mod hostile;

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use av1_crds::paths::{AV1_DIR, CLAIMS_DIR, SKIP_SUFFIX};
use av1_crds::wire::FileIdentity;
use av1_media::command::Command;
use av1_media::gates::{
    Attributes, Content, Decision, EarlierLook, Facts, FileKind, Rules, UNFINISHED_SUFFIXES, stopped,
};
use av1_media::identity::{fingerprint, samples};
use av1_media::marker::{MAX_MARKER, Marker};
use av1_media::probe::{MAX_JSON, NO_CONTAINER, Probe, ffprobe};
use av1_media::receipt::path_hash;
use rustix::fs::{FileType, Stat};

use crate::beneath::Root;
use crate::reread;
use crate::supervise::{Limits, SuperviseError, capture};

/// Longest that ffprobe may take for one file; a sleeping disk needs some of it.
const PROBE_SECONDS: u64 = 120;
/// Most characters of ffprobe's complaint that are kept.
const COMPLAINT: usize = 200;
/// What FFmpeg says of a file that ends too early, and not of one that it cannot read.
const CUT_OFF: [&str; 2] = ["File ended prematurely", "Truncating packet of size"];

/// A look at a file, to tell whether it changed since.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// When, in nanoseconds since 1970.
    pub(crate) at_ns: i64,
    /// Its size then, in bytes.
    pub(crate) size: u64,
    /// Its modification time then, in nanoseconds since 1970.
    pub(crate) modified_time_ns: i64,
}

/// What the caller knows of a file beforehand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Decisions about files of this size, newest first; none where `.av1` cannot be seen.
    pub(crate) decisions: Option<Vec<Decision>>,
    /// The first look at the file as it is; none where looks are not kept, as in an encode pod.
    pub(crate) looks: Option<Option<Look>>,
}

/// Identity of the regular file at `path` beneath `root`.
///
/// # Errors
/// When it cannot be opened or read, is not a regular file, or became shorter meanwhile.
pub(crate) fn identity(root: &Root, path: &str) -> io::Result<FileIdentity> {
    identity_of(&root.open_file(Path::new(path))?)
}

/// Identity of an open regular file.
pub(crate) fn identity_of(file: &File) -> io::Result<FileIdentity> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let size = size_of(&stat);
    let mut read = [const { Vec::new() }; 3];
    for (bytes, (offset, length)) in read.iter_mut().zip(samples(size)) {
        bytes.resize(length, 0);
        file.read_exact_at(bytes, offset)?;
    }
    Ok(FileIdentity {
        size,
        modified_time_ns: nanos(stat.st_mtime, stat.st_mtime_nsec),
        changed_time_ns: nanos(stat.st_ctime, stat.st_ctime_nsec),
        inode: stat.st_ino,
        fingerprint: fingerprint(size, read.each_ref().map(Vec::as_slice)),
    })
}

/// Facts on the file at `path` beneath `root`. The look into the file is left out when a gate stops it before.
///
/// # Errors
/// `NotFound` when there is no such file; any other error when its folder cannot be read.
pub(crate) fn gather(root: &Root, path: &Path, rules: &Rules, known: Known) -> io::Result<Facts> {
    let (mut facts, file) = outside(root, path, known)?;
    let Some(file) = file else { return Ok(facts) };
    if facts.wants_fingerprint() {
        facts.identity = Some(identity_of(&file)?);
    }
    if stopped(&facts, rules).is_none() {
        facts.content = Some(probe(&root.path().join(path)));
    }
    Ok(facts)
}

/// All facts on the file at `path` beneath `root`, whatever the gates say to the first of them.
///
/// # Errors
/// As of [`gather`].
pub(crate) fn gather_all(root: &Root, path: &Path, known: Known) -> io::Result<Facts> {
    let (mut facts, file) = outside(root, path, known)?;
    if let Some(file) = file {
        facts.identity = Some(identity_of(&file)?);
        facts.content = Some(probe(&root.path().join(path)));
    }
    Ok(facts)
}

/// The facts that need no look into the file, and the file when it is a regular one that can be opened.
///
/// # Errors
/// As of [`gather`].
pub(crate) fn outside(root: &Root, path: &Path, known: Known) -> io::Result<(Facts, Option<File>)> {
    let mut facts = Facts {
        path: path.to_string_lossy().into_owned(),
        utf8: path.to_str().is_some(),
        now_ns: now_ns(),
        process_uid: Some(rustix::process::geteuid().as_raw()),
        decisions: known.decisions,
        marker: marker_beside(root, path)?,
        folder_marker: folder_marker(root, path)?,
        unfinished_sibling: unfinished_sibling(root, path)?,
        folder_is_closed: root.parent_of(path).ok().map(|(folder, _)| folder.refuses_names()),
        ..Facts::default()
    };
    let mut attributes = attributes(&root.stat(path)?);
    let mut file = None;
    if attributes.kind == FileKind::Regular {
        match root.open_file(path) {
            // On a network volume only an open asks the server for the attributes as they are now.
            Ok(open) => {
                attributes = self::attributes(&rustix::fs::fstat(&open)?);
                file = Some(open);
            }
            Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                facts.content = Some(Content::Closed(e.to_string()))
            }
            // It went away, or the disk or the network has trouble: that says nothing about the file.
            Err(e) => return Err(e),
        }
    }
    facts.attributes = Some(attributes);
    if attributes.kind == FileKind::Regular && attributes.links > 1 {
        facts.claimed = is_claimed(root, path);
    }
    facts.earlier_look = match known.looks {
        None => EarlierLook::Unknown,
        Some(Some(look)) if look.size == attributes.size && look.modified_time_ns == attributes.modified_time_ns => {
            EarlierLook::At(look.at_ns)
        }
        Some(_) => EarlierLook::None,
    };
    Ok((facts, file))
}

/// Whether a claim of ours stands on the path; where `.av1` cannot be seen there is none.
fn is_claimed(root: &Root, path: &Path) -> bool {
    let claims = Path::new(AV1_DIR).join(CLAIMS_DIR);
    path.to_str().is_some_and(|path| root.stat(&claims.join(path_hash(path))).is_ok())
}

/// A word on the user's marker that keeps the file at `path` as it is, if there is one beside it or in a folder above.
pub(crate) fn users_marker(root: &Root, path: &Path) -> io::Result<Option<String>> {
    if marker_beside(root, path)? == Some(Marker::Users) {
        return Ok(Some(format!("{}{SKIP_SUFFIX}", path.display())));
    }
    folder_marker(root, path)
}

/// What ffprobe says of the file at the absolute `path`.
pub(crate) fn probe(path: &Path) -> Content {
    ask(&ffprobe(path), path)
}

fn ask(command: &Command, path: &Path) -> Content {
    let limits = Limits { wall: Duration::from_secs(PROBE_SECONDS), stdout: MAX_JSON };
    let said = match capture(command, &limits) {
        Ok(captured) => match Probe::parse(&captured.stdout) {
            Ok(probe) => Content::Read(Box::new(probe)),
            Err(e) => Content::Unreadable(e.to_string()),
        },
        Err(SuperviseError::Failed { stderr_tail, .. }) if stderr_tail.contains(NO_CONTAINER) => {
            Content::Unreadable("its content is no container of video; a playlist is not followed".to_owned())
        }
        Err(SuperviseError::Failed { stderr_tail, status, .. }) => {
            Content::Unreadable(complaint(&stderr_tail, path).unwrap_or(status))
        }
        // FFmpeg has the same words for a Matroska file that is cut off within its header as for a disk in trouble.
        Err(SuperviseError::Disturbed { stderr_tail, .. })
            if stderr_tail.ends_with("Input/output error")
                && CUT_OFF.iter().any(|words| stderr_tail.contains(words)) =>
        {
            Content::Unreadable(complaint(&stderr_tail, path).unwrap_or(stderr_tail))
        }
        Err(e @ (SuperviseError::TooMuchOutput { .. } | SuperviseError::OutOfBounds { .. })) => {
            return Content::Unreadable(e.to_string());
        }
        Err(e) => Content::NotProbed(e.to_string()),
    };
    match said {
        Content::Unreadable(why) => match reread::edges(path) {
            Ok(()) => Content::Unreadable(why),
            Err(e) => Content::NotProbed(format!("{why}; but the file cannot be read: {e}")),
        },
        said => said,
    }
}

/// Nanoseconds since 1970.
pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What the gates need of a stat.
pub(crate) fn attributes(stat: &Stat) -> Attributes {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => FileKind::Regular,
        FileType::Symlink => FileKind::SymbolicLink,
        _ => FileKind::Special,
    };
    let modified_time_ns = nanos(stat.st_mtime, stat.st_mtime_nsec);
    Attributes { kind, size: size_of(stat), modified_time_ns, links: stat.st_nlink, uid: stat.st_uid, gid: stat.st_gid }
}

fn size_of(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or_default()
}

fn nanos<N: TryInto<i64>>(seconds: i64, nanos: N) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos.try_into().unwrap_or_default())
}

/// The last line of what ffprobe wrote to stderr, without the file's path.
fn complaint(stderr: &str, path: &Path) -> Option<String> {
    let line = stderr.lines().rev().find(|line| !line.trim().is_empty())?;
    let line = line.replace(&format!("file:{}: ", path.display()), "");
    Some(line.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(COMPLAINT).collect())
}

/// The marker beside the file; one that cannot be read is the user's.
fn marker_beside(root: &Root, path: &Path) -> io::Result<Option<Marker>> {
    let Some(beside) = with_suffix(path, SKIP_SUFFIX) else {
        return Ok(None);
    };
    if !exists(root, Path::new(&beside))? {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    let read =
        root.open_file(Path::new(&beside)).and_then(|file| file.take(MAX_MARKER as u64 + 1).read_to_end(&mut bytes));
    Ok(Some(read.map_or(Marker::Users, |_| Marker::read(&bytes))))
}

/// Path of the nearest `.av1skip` in the file's folder or above.
fn folder_marker(root: &Root, path: &Path) -> io::Result<Option<String>> {
    for folder in path.ancestors().skip(1) {
        let marker = folder.join(SKIP_SUFFIX);
        if exists(root, &marker)? {
            return Ok(Some(marker.to_string_lossy().into_owned()));
        }
    }
    Ok(None)
}

/// Name of a file beside this one that a downloader has not finished: `NAME.EXT.part` or `NAME.part`.
fn unfinished_sibling(root: &Root, path: &Path) -> io::Result<Option<String>> {
    for base in [path.to_owned(), path.with_extension("")] {
        for suffix in UNFINISHED_SUFFIXES {
            if let Some(sibling) = with_suffix(&base, suffix)
                && exists(root, Path::new(&sibling))?
            {
                return Ok(Path::new(&sibling).file_name().map(|name| name.to_string_lossy().into_owned()));
            }
        }
    }
    Ok(None)
}

/// The path with a suffix on its name; none when no file can have that name.
fn with_suffix(path: &Path, suffix: &str) -> Option<OsString> {
    const NAME_MAX: usize = 255;
    let name = path.file_name().map_or(0, |name: &OsStr| name.as_bytes().len());
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    (name + suffix.len() <= NAME_MAX).then_some(text)
}

fn exists(root: &Root, path: &Path) -> io::Result<bool> {
    match root.stat(path) {
        Ok(_) => Ok(true),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::InvalidFilename
            ) =>
        {
            Ok(false)
        }
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::library::ScanRules;
    use av1_crds::reasons;
    use av1_crds::settings::Settings;
    use av1_media::gates::judge;

    use super::*;

    fn rules() -> Rules {
        let mut scan = ScanRules::resolve(None).unwrap();
        scan.min_size = 4;
        Rules::new(scan, Settings::resolve(&[]).unwrap())
    }

    fn library() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("a/b")).unwrap();
        std::fs::write(dir.path().join("a/b/x.mkv"), "not a video").unwrap();
        let root = Root::open(dir.path()).unwrap();
        (dir, root)
    }

    fn reason(root: &Root, path: &str) -> String {
        let rules = rules();
        judge(&gather(root, Path::new(path), &rules, Known { looks: Some(None), ..Known::default() }).unwrap(), &rules)
            .reason
    }

    #[test]
    fn a_marker_beside_the_file_or_in_any_folder_above_is_found() {
        for marker in ["a/b/x.mkv.av1skip", "a/b/.av1skip", "a/.av1skip", ".av1skip"] {
            let (dir, root) = library();
            assert_eq!(reason(&root, "a/b/x.mkv"), reasons::NOT_STABLE);
            std::fs::write(dir.path().join(marker), "").unwrap();
            assert_eq!(reason(&root, "a/b/x.mkv"), reasons::SKIP_MARKER, "{marker}");
        }
    }

    #[test]
    fn a_second_name_that_one_of_our_jobs_made_does_not_count() {
        let (dir, root) = library();
        std::fs::hard_link(dir.path().join("a/b/x.mkv"), dir.path().join("seed")).unwrap();
        let links = |claimed| {
            let facts = gather(&root, Path::new("a/b/x.mkv"), &rules(), Known::default()).unwrap();
            assert_eq!(facts.claimed, claimed);
            judge(&facts, &rules()).reason
        };
        assert_eq!(links(false), reasons::NOT_STABLE);
        let file = std::fs::File::open(dir.path().join("a/b/x.mkv")).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7_200)).unwrap();
        assert_eq!(links(false), reasons::HARD_LINKED);
        std::fs::create_dir_all(dir.path().join(".av1/state/claims")).unwrap();
        std::fs::write(dir.path().join(".av1/state/claims").join(path_hash("a/b/x.mkv")), "{}").unwrap();
        assert_ne!(links(true), reasons::HARD_LINKED);
    }

    #[test]
    fn a_folder_in_which_no_name_can_be_made_is_told_before_the_file_is_probed() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, root) = library();
        let path = Path::new("a/b/x.mkv");
        let file = std::fs::File::open(dir.path().join(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7_200)).unwrap();
        let closed = || outside(&root, path, Known::default()).unwrap().0.folder_is_closed;
        assert_eq!(closed(), Some(false));
        std::fs::set_permissions(dir.path().join("a/b"), PermissionsExt::from_mode(0o555)).unwrap();
        // Nothing is closed to root.
        let root_runs = rustix::process::geteuid().is_root();
        assert_eq!(closed(), Some(!root_runs));
        assert_eq!(reason(&root, "a/b/x.mkv") == reasons::FOLDER_NOT_WRITABLE, !root_runs);
        std::fs::set_permissions(dir.path().join("a/b"), PermissionsExt::from_mode(0o755)).unwrap();
    }

    #[test]
    fn an_unfinished_download_beside_the_file_is_found_under_both_spellings() {
        for sibling in ["x.mkv.part", "x.crdownload", "x.mkv.!qB", "x.mkv.aria2"] {
            let (dir, root) = library();
            std::fs::write(dir.path().join("a/b").join(sibling), "").unwrap();
            let facts = gather(&root, Path::new("a/b/x.mkv"), &rules(), Known::default()).unwrap();
            assert_eq!(facts.unfinished_sibling.as_deref(), Some(sibling));
        }
    }

    #[test]
    fn a_symbolic_link_is_not_followed_and_a_missing_file_is_not_found() {
        let (dir, root) = library();
        std::os::unix::fs::symlink("/etc/passwd", dir.path().join("link.mkv")).unwrap();
        assert_eq!(reason(&root, "link.mkv"), reasons::NOT_REGULAR);
        let missing = gather(&root, Path::new("none.mkv"), &rules(), Known::default());
        assert_eq!(missing.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_is_called_unreadable_only_when_it_can_be_read_plainly() {
        let (dir, _) = library();
        let failing = Command::new("sh").args(["-c", "echo 'Invalid data found when processing input' >&2; exit 1"]);
        assert!(matches!(ask(&failing, &dir.path().join("a/b/x.mkv")), Content::Unreadable(_)));
        // Nothing is mapped at its beginning: a plain read says EIO.
        match ask(&failing, Path::new("/proc/self/mem")) {
            Content::NotProbed(why) => assert!(why.contains("Input/output error"), "{why}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_longest_name_has_no_marker_and_no_error() {
        let (dir, root) = library();
        let name = format!("{}.mkv", "n".repeat(251));
        std::fs::write(dir.path().join(&name), "not a video").unwrap();
        assert_eq!(reason(&root, &name), reasons::NOT_STABLE);
    }

    #[test]
    fn the_identity_of_a_copy_has_the_same_fingerprint_and_a_changed_byte_another() {
        let (dir, root) = library();
        std::fs::write(dir.path().join("y.mkv"), "not a video").unwrap();
        std::fs::write(dir.path().join("z.mkv"), "not a Video").unwrap();
        let [x, y, z] = ["a/b/x.mkv", "y.mkv", "z.mkv"].map(|path| identity(&root, path).unwrap());
        assert_eq!((x.size, &x.fingerprint), (11, &y.fingerprint));
        assert_ne!(x.fingerprint, z.fingerprint);
        assert!(identity(&root, "a").is_err(), "a folder has no identity");
    }
}
