//! What a settle pod says when it ends. It is made from the receipt alone, so that a run which finds the work done says the same.

use av1_crds::wire::{EncodeVerdict, SettleResult, SettleTask, SettleVerdict};
use av1_crds::{figures, paths};
use av1_media::receipt::{Receipt, file_name};

/// Most entries of `notKept` in a result, and most characters of one; the receipt has them all.
const MOST_NOT_KEPT: usize = 6;
const MOST_CHARACTERS: usize = 80;

/// The result of a file with a receipt.
pub(super) fn settled(receipt: &Receipt, left: Option<String>) -> SettleResult {
    let before = receipt.source.size;
    let after = receipt.result.as_ref().map_or(before, |result| result.size);
    let replaced = receipt.verdict == EncodeVerdict::Encoded && receipt.original.is_some();
    let message = if replaced {
        let percent = (u128::from(after) * 100).div_ceil(u128::from(before.max(1)));
        let (before, after) = (figures::size(before), figures::size(after));
        let until = receipt.original_until.as_deref().unwrap_or("further notice");
        format!("{before} became {after}, {percent} % of the source; the original is kept in the trash until {until}")
    } else {
        format!("The file stays as it is ({}); receipt written", receipt.reason)
    };
    SettleResult {
        verdict: if replaced { SettleVerdict::Replaced } else { SettleVerdict::Recorded },
        message,
        receipt: receipt_path(&receipt.path),
        original: receipt.original.clone(),
        original_sha256: receipt.source_sha256.clone(),
        bytes_before: before,
        bytes_after: after,
        not_kept: shortened(receipt.not_kept.iter().cloned().chain(left)),
    }
}

/// The result of a file that is not the planned one.
pub(super) fn changed(task: &SettleTask, original: Option<String>, left: Option<String>) -> SettleResult {
    let message = match &original {
        None => "The file is not the one that was encoded: it was changed, moved or deleted meanwhile; it was not touched".to_owned(),
        Some(_) => "Another program changed the file while it was being swapped in; what it made stays, the original that was encoded is in the trash".to_owned(),
    };
    untouched(task, message, original, left)
}

/// The result of a file that the user marked during the encode. To the operator it is one that changed: nothing was done, and
/// the next scan tells its new state.
pub(super) fn marked(task: &SettleTask, marker: &str, left: Option<String>) -> SettleResult {
    let marker: String = marker.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect();
    let message = format!("The marker {marker} was made during the encode: the file stays as it is");
    untouched(task, message, None, left)
}

fn untouched(task: &SettleTask, message: String, original: Option<String>, left: Option<String>) -> SettleResult {
    SettleResult {
        verdict: SettleVerdict::SourceChanged,
        message,
        receipt: receipt_path(&task.path),
        original,
        original_sha256: None,
        bytes_before: task.source.size,
        bytes_after: task.source.size,
        not_kept: shortened(left.into_iter()),
    }
}

fn receipt_path(path: &str) -> String {
    format!("{}/{}/{}", paths::AV1_DIR, paths::RECEIPTS_DIR, file_name(path))
}

fn shortened(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> =
        all.map(|text| text.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect()).collect();
    if all.len() > MOST_NOT_KEPT {
        let more = all.len() - MOST_NOT_KEPT;
        all.truncate(MOST_NOT_KEPT);
        all.push(format!("{more} more in the receipt"));
    }
    all
}
