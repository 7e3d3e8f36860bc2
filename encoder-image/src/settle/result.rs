//! What a settle pod says when it ends. It is made from the receipt alone, so that a run which finds the work done says the same.

use av1_crds::settings::ReplacementMode;
use av1_crds::wire::{
    EncodeVerdict, RestoreResult, RestoreTask, RestoreVerdict, SettleResult, SettleTask, SettleVerdict, Wanted,
};
use av1_crds::{figures, paths, reasons};
use av1_media::receipt::{Receipt, file_name};

use super::Outcome;

/// Most entries of `notKept` in a result, and most characters of one; the receipt has them all.
const MOST_NOT_KEPT: usize = 6;
const MOST_CHARACTERS: usize = 80;
/// Most characters of a refusal, which quotes paths.
const MOST_OF_A_MESSAGE: usize = 500;
/// Longest path that a result tells, in bytes.
const MOST_OF_A_PATH: usize = 500;

/// The result of what became of a file; `left` could not be removed or kept.
pub(super) fn of(task: &SettleTask, outcome: Outcome, left: Vec<String>) -> SettleResult {
    match outcome {
        Outcome::Receipt(receipt) => settled(&receipt, left),
        Outcome::SourceChanged { original } => changed(task, original, left),
        Outcome::Marked(marker) => marked(task, &marker, left),
        Outcome::Wished(receipt) => wished(task, &receipt, left),
    }
}

/// What a later order came to, behind what became of the swap that was under way and had to be finished first.
pub(super) fn behind(finished: Option<SettleResult>, message: String) -> String {
    match finished {
        Some(swap) => format!("The swap that was under way was finished first: {}. {message}", swap.message),
        None => message,
    }
}

/// The result of a file with a receipt.
fn settled(receipt: &Receipt, left: Vec<String>) -> SettleResult {
    let before = receipt.source.size;
    let after = receipt.result.as_ref().map_or(before, |result| result.size);
    let encoded = receipt.verdict == EncodeVerdict::Encoded;
    let verdict = match (receipt.settings.replacement_mode, &receipt.original) {
        _ if receipt.reason == reasons::TARGET_EXISTS => SettleVerdict::TargetExists,
        (_, Some(_)) if encoded => SettleVerdict::Replaced,
        (ReplacementMode::Beside, _) if encoded => SettleVerdict::PutBeside,
        (ReplacementMode::ReportOnly, _) if encoded => SettleVerdict::Reported,
        _ => SettleVerdict::Recorded,
    };
    let message = match verdict {
        SettleVerdict::Replaced => {
            let kept = match &receipt.original_until {
                Some(until) => format!("in the trash until {until}"),
                None => "beside it until somebody removes it".to_owned(),
            };
            format!("{}; the original is kept {kept}", became(before, after))
        }
        SettleVerdict::PutBeside => format!("{}; it is beside the original", became(before, after)),
        SettleVerdict::Reported | SettleVerdict::TargetExists => {
            receipt.message.chars().take(MOST_OF_A_MESSAGE).collect()
        }
        SettleVerdict::Recorded | SettleVerdict::SourceChanged => {
            format!("The file stays as it is ({}); receipt written", receipt.reason)
        }
    };
    SettleResult {
        verdict,
        message,
        path: receipt.result_path.as_deref().map(short_path).filter(|path| !path.is_empty()),
        receipt: receipt_path(&receipt.path),
        original: receipt.original.clone(),
        original_sha256: receipt.source_sha256.clone(),
        bytes_before: before,
        bytes_after: after,
        not_kept: shortened(receipt.not_kept.iter().cloned().chain(left)),
    }
}

fn became(before: u64, after: u64) -> String {
    let percent = (u128::from(after) * 100).div_ceil(u128::from(before.max(1)));
    format!("{} became {}, {percent} % of the source", figures::size(before), figures::size(after))
}

/// What the receipt says of a file that is only reported on.
pub(super) fn would_be(before: u64, after: u64) -> String {
    let percent = (u128::from(after) * 100).div_ceil(u128::from(before.max(1)));
    format!(
        "{} would become {}, {percent} % of the source; the file is untouched, as replacement.mode says",
        figures::size(before),
        figures::size(after)
    )
}

/// The result of a file that is not the planned one.
fn changed(task: &SettleTask, original: Option<String>, left: Vec<String>) -> SettleResult {
    let message = match &original {
        None => "The file is not the one that was encoded: it was changed, moved or deleted meanwhile; it was not touched".to_owned(),
        Some(_) => "Another program changed the file while it was being swapped in; what it made stays, the original that was encoded is in the trash".to_owned(),
    };
    untouched(task, message, original, left)
}

/// The result of a file that the user marked during the encode. To the operator it is one that changed: nothing was done, and
/// the next scan tells its new state.
fn marked(task: &SettleTask, marker: &str, left: Vec<String>) -> SettleResult {
    let marker: String = marker.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect();
    let message = format!("The marker {marker} was made during the encode: the file stays as it is");
    untouched(task, message, None, left)
}

/// The result of a file that the user wished to stay as it is before it was encoded. To the operator, too, it is one that changed.
fn wished(task: &SettleTask, receipt: &Receipt, left: Vec<String>) -> SettleResult {
    let message = format!(
        "The file stays as it is, as the user wished on {} ({}): ask for a retry to have it encoded",
        receipt.at, receipt.reason
    );
    untouched(task, message, None, left)
}

fn untouched(task: &SettleTask, message: String, original: Option<String>, left: Vec<String>) -> SettleResult {
    SettleResult {
        verdict: SettleVerdict::SourceChanged,
        message,
        path: None,
        receipt: receipt_path(&task.path),
        original,
        original_sha256: None,
        bytes_before: task.source.size,
        bytes_after: task.source.size,
        not_kept: shortened(left.into_iter()),
    }
}

/// The result of a restore, from its receipt.
pub(super) fn restored(receipt: &Receipt) -> RestoreResult {
    let restored = receipt.restored.as_ref();
    let wanted = restored.map_or(Wanted::Original, |restored| restored.wanted);
    let path = restored.map_or(&receipt.path, |restored| &restored.path);
    let replaced = restored.and_then(|restored| restored.replaced.as_ref());
    let (back, other, sha256) = match wanted {
        Wanted::Original => ("The original", "the AV1 file", &receipt.source_sha256),
        Wanted::Encoded => ("The AV1 file", "the original", &receipt.result_sha256),
    };
    let message = match replaced {
        Some(replaced) => {
            format!("{back} is back at {path:?}; {other} is kept in the trash until {}", replaced.until)
        }
        None => format!("{back} is back at {path:?}; {other} was not there any more"),
    };
    RestoreResult {
        verdict: RestoreVerdict::Restored,
        reason: reasons::RESTORED.to_owned(),
        message: message.chars().take(MOST_OF_A_MESSAGE).collect(),
        path: short_path(path),
        sha256: sha256.clone(),
        replaced: replaced.map(|replaced| replaced.trash.clone()),
        replaced_until: replaced.map(|replaced| replaced.until.clone()),
        receipt: receipt_path(&receipt.path),
        not_kept: shortened(receipt.not_kept.iter().cloned()),
    }
}

/// The result of a restore that cannot be done.
pub(super) fn refused(task: &RestoreTask, reason: &str, message: String) -> RestoreResult {
    RestoreResult {
        verdict: RestoreVerdict::Refused,
        reason: reason.to_owned(),
        message: message.chars().take(MOST_OF_A_MESSAGE).collect(),
        path: short_path(&task.path),
        sha256: None,
        replaced: None,
        replaced_until: None,
        receipt: receipt_path(&task.path),
        not_kept: Vec::new(),
    }
}

/// A path that fits a termination message with all else, however it is escaped; the receipt has longer ones.
pub(super) fn short_path(path: &str) -> String {
    if path.len() <= MOST_OF_A_PATH && !path.chars().any(char::is_control) { path.to_owned() } else { String::new() }
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
