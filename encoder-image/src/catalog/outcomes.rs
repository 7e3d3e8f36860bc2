//! What became of every path last, page by page, from the receipts on the volume.
//!
//! May: read receipts, and the names of stills. Must never: write, or keep what it read.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::path::Path;

use av1_crds::paths::{AV1_DIR, RECEIPTS_DIR, STILLS_DIR, stills_name};
use av1_crds::wire::{EncodeReport, OutcomePage, PastOutcome, Wanted};
use av1_media::gates::Decision;
use av1_media::receipt::{MAX_RECEIPTS_JSON, Receipt, Receipts};

use super::decisions::standing;
use crate::beneath::{Folder, Root};

/// Most receipts that one page looks at.
const MAX_PAGE: usize = 500;
/// Bytes of receipts after which a page ends.
const MOST_BYTES: usize = 64 << 20;

/// The outcomes whose receipts' names come after `after`; receipts that cannot be read are passed over.
pub(super) fn page(root: &Root, after: &str, limit: usize) -> io::Result<OutcomePage> {
    let folder = match root.open_folder(&Path::new(AV1_DIR).join(RECEIPTS_DIR)) {
        Ok(folder) => folder,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(OutcomePage::default()),
        Err(e) => return Err(e),
    };
    let is_receipts = |name: &String| name.ends_with(".json") && !name.starts_with('.') && name.as_str() > after;
    let mut names: Vec<String> = folder.names()?.into_iter().filter_map(|name| name.into_string().ok()).collect();
    names.retain(is_receipts);
    names.sort_unstable();
    let stills = stills(root);
    let (mut page, mut bytes) = (OutcomePage::default(), 0);
    let limit = limit.clamp(1, MAX_PAGE);
    for (seen, name) in names.iter().enumerate() {
        if seen == limit || bytes > MOST_BYTES {
            page.next = seen.checked_sub(1).and_then(|last| names.get(last)).cloned();
            break;
        }
        match read(&folder, name) {
            Ok(read) => {
                bytes += read.len();
                page.items.extend(Receipts::parse(&read).ok().and_then(|receipts| outcome(&receipts, &stills)));
            }
            Err(e) => tracing::warn!("the receipts in {name} are passed over: {e}"),
        }
    }
    Ok(page)
}

/// Names of all stills; none where they cannot be looked at.
fn stills(root: &Root) -> HashSet<OsString> {
    let folder = root.open_folder(&Path::new(AV1_DIR).join(STILLS_DIR));
    folder.and_then(|folder| folder.names()).unwrap_or_default().into_iter().collect()
}

fn read(folder: &Folder, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    folder.open_regular(OsStr::new(name))?.take(MAX_RECEIPTS_JSON as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// What the receipts of one path come to. The figures of a file that was brought back are those of its encode.
fn outcome(receipts: &Receipts, stills: &HashSet<OsString>) -> Option<PastOutcome> {
    let newest = receipts.newest()?;
    let of_encode = |receipt: &&Receipt| receipt.report.is_some();
    let restored = newest.restored.as_ref();
    let encode = if restored.is_some() { receipts.entries.iter().find(of_encode).unwrap_or(newest) } else { newest };
    let report = encode.report.clone().and_then(|report| serde_json::from_value::<EncodeReport>(report).ok());
    let decisions: Vec<Decision> = receipts.entries.iter().map(Decision::from).collect();
    let standing = standing(&decisions);
    let gate = report.as_ref().and_then(|report| report.result.size_gate.as_ref());
    let after = gate.map(|gate| gate.output_bytes).or(encode.result.as_ref().map(|result| result.size));
    let (bytes_before, bytes_after) =
        standing.map_or((encode.source.size, after), |replaced| (replaced.before, Some(replaced.after)));
    let result = report.as_ref().map(|report| &report.result);
    let whole = |seconds: f64| if seconds.is_finite() { seconds.max(0.0) } else { 0.0 };
    Some(PastOutcome {
        path: receipts.path.clone(),
        at: newest.at.clone(),
        verdict: newest.verdict,
        reason: newest.reason.clone(),
        restored: restored.is_some_and(|restored| restored.wanted == Wanted::Original),
        job: encode.job.uid.clone(),
        run: encode.job.run,
        bytes_before,
        bytes_after,
        replaced: standing.is_some(),
        quality: report.as_ref().and_then(|report| report.quality.clone()),
        frames: result.map_or(0, |result| result.frames),
        encode_seconds: result.filter(|r| r.chunks_resumed == 0).map_or(0.0, |r| whole(r.encode_seconds)),
        duration_seconds: report.and_then(|report| Some(report.media?.duration_seconds)).unwrap_or_default(),
        stills: stills.contains(OsStr::new(&stills_name(&encode.job.uid, encode.job.run))),
    })
}

#[cfg(test)]
mod tests {
    use av1_fuzz::samples::RECEIPTS;

    use super::*;

    #[test]
    fn pages_tell_the_newest_receipt_of_each_path_and_what_is_broken_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(AV1_DIR).join(RECEIPTS_DIR);
        let root = Root::open(dir.path()).unwrap();
        assert_eq!(page(&root, "", 10).unwrap(), OutcomePage::default(), "nothing was decided yet");
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["a.json", "c.json", "d.json"] {
            std::fs::write(folder.join(name), RECEIPTS).unwrap();
        }
        std::fs::write(folder.join("b.json"), "{").unwrap();
        std::fs::write(folder.join(".x.tmp"), RECEIPTS).unwrap();
        let first = page(&root, "", 2).unwrap();
        assert_eq!((first.items.len(), first.next.as_deref()), (1, Some("b.json")));
        let second = page(&root, "b.json", 2).unwrap();
        assert_eq!((second.items.len(), second.next), (2, None));
        let newest = Receipts::parse(RECEIPTS.as_bytes()).unwrap().entries.remove(0);
        let told = &first.items[0];
        assert_eq!((&told.path, &told.at, &told.reason), (&newest.path, &newest.at, &newest.reason));
        assert!(!told.stills);
        let stills = dir.path().join(AV1_DIR).join(STILLS_DIR);
        std::fs::create_dir_all(&stills).unwrap();
        std::fs::write(stills.join(stills_name(&told.job, told.run)), "{}").unwrap();
        assert!(page(&root, "", 1).unwrap().items[0].stills);
    }
}
