//! Where things lie: mount points in the agent's pods and the layout of `.av1/` on the volume.

/// Mount point of the library's root in catalog, encode and settle pods.
pub const LIBRARY: &str = "/library";
/// Mount point of the whole volume in prepare pods; the library is below it at `spec.volume.subPath`.
pub const VOLUME: &str = "/volume";
/// Mount point of one run's own work folder in encode pods.
pub const WORK: &str = "/work";
/// Mount point of the pod's own disk in encode pods whose library has `spec.pods.scratch: EmptyDir`.
pub const SCRATCH: &str = "/scratch";
/// Mount point of `.av1/catalog` in catalog pods.
pub const CATALOG: &str = "/catalog";
/// Mount point of `.av1` in the encode pod's init container.
pub const STATE_ROOT: &str = "/av1";

/// Folder at a library's root that holds everything that is ours.
pub const AV1_DIR: &str = ".av1";
/// Identity of the volume, below [`AV1_DIR`].
pub const VOLUME_FILE: &str = "volume.json";
/// The catalog's index and heartbeat, below [`AV1_DIR`].
pub const CATALOG_DIR: &str = "catalog";
/// Work folders `<job uid>/<run>`, below [`AV1_DIR`].
pub const WORK_DIR: &str = "work";
/// Claims on paths, below [`AV1_DIR`].
pub const CLAIMS_DIR: &str = "state/claims";
/// Journals of settling jobs, below [`AV1_DIR`].
pub const JOURNAL_DIR: &str = "state/journal";
/// Receipts by path, below [`AV1_DIR`].
pub const RECEIPTS_DIR: &str = "state/receipts";
/// Stills of encodes, `<job uid>.<run>.json`, below [`AV1_DIR`].
pub const STILLS_DIR: &str = "state/stills";
/// Originals `<job uid>/`, below [`AV1_DIR`].
pub const TRASH_DIR: &str = "trash";
/// Empty files in [`AV1_DIR`] that keep media servers out.
pub const KEEP_OUT_FILES: [&str; 3] = [".ignore", ".plexignore", ".nomedia"];

/// The encoded file in a run's work folder; its extension is the target's.
pub const OUTPUT_STEM: &str = "out";
/// The full report in a run's work folder.
pub const REPORT_FILE: &str = "report.json";
/// Pictures of source and output in a run's work folder.
pub const STILLS_FILE: &str = "stills.json";

/// Whether a text is a UID of a job or a pod as it stands in names below [`AV1_DIR`]: what could lead elsewhere is none.
#[must_use]
pub fn is_uid(text: &str) -> bool {
    !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Whether a path below a library's root is in its trash.
#[must_use]
pub fn is_in_trash(path: &str) -> bool {
    let below = path.strip_prefix(AV1_DIR).and_then(|rest| rest.strip_prefix('/'));
    below.and_then(|below| below.strip_prefix(TRASH_DIR)).is_some_and(|rest| rest.starts_with('/'))
}

/// File name of a run's stills in [`STILLS_DIR`].
#[must_use]
pub fn stills_name(job_uid: &str, run: i64) -> String {
    format!("{job_uid}.{run}.json")
}

/// Suffix of the marker that keeps a file from being encoded: `NAME.EXT.av1skip`, or `.av1skip` for a folder.
pub const SKIP_SUFFIX: &str = ".av1skip";
/// Suffix of the sidecar that says why a file was not encoded: `NAME.EXT.why.txt`.
pub const WHY_SUFFIX: &str = ".why.txt";

/// The path of the replacement of `path` when its container changes: beside it, under its name with another extension. None
/// where the name has no extension.
#[must_use]
pub fn in_other_container(path: &str, extension: &str) -> Option<String> {
    let (folder, name) = path.rsplit_once('/').map_or(("", path), |(folder, name)| (folder, name));
    let (stem, old) = name.rsplit_once('.')?;
    if stem.is_empty() || old.is_empty() {
        return None;
    }
    Some(if folder.is_empty() { format!("{stem}.{extension}") } else { format!("{folder}/{stem}.{extension}") })
}

/// Suffix of an original that stays beside its replacement.
pub const ORIGINAL_SUFFIX: &str = ".orig";

/// The path of an output that is put beside the original at `path`: `NAME.av1.EXT`, with the extension of `output`.
#[must_use]
pub fn beside_original(path: &str, output: &str) -> Option<String> {
    let (_, extension) = output.rsplit_once('.')?;
    in_other_container(path, &format!("av1.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replacement_in_another_container_lies_beside_its_source() {
        let at = |path| in_other_container(path, "mkv");
        assert_eq!(at("Films/Heat (1995)/Heat.1995.avi").as_deref(), Some("Films/Heat (1995)/Heat.1995.mkv"));
        assert_eq!(at("a.ts").as_deref(), Some("a.mkv"));
        assert_eq!(beside_original("a/b.mkv", "out.mkv").as_deref(), Some("a/b.av1.mkv"));
        assert_eq!(beside_original("a/b.avi", "out.mkv").as_deref(), Some("a/b.av1.mkv"));
        for nameless in ["Films.x/heat", "a/.avi", "a/b."] {
            assert_eq!(at(nameless), None, "{nameless}");
        }
    }
}
