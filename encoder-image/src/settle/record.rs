//! What is written about a file: receipts, and for files that stay as they are the marker and the sidecar beside them.

use std::ffi::{OsStr, OsString};
use std::io;

use av1_crds::paths;
use av1_crds::reasons;
use av1_crds::settings::{ReplacementMode, WhySidecars};
use av1_crds::wire::{EncodeVerdict, FileIdentity, PodFailure, SettleTask};
use av1_media::identity::same_content;
use av1_media::marker::{MAX_MARKER, Marker, OwnMarker, Why, why_is_ours, why_text};
use av1_media::receipt::{
    self, MAX_RECEIPTS_JSON, MAX_REPORT_JSON, Receipt, ReceiptError, Receipts, file_name, settings_digest,
};
use av1_media::trash::MAX_NAME;
use sha2::{Digest, Sha256};

use super::Outcome;
use super::copy::run_folder;
use super::error::{Doing, SettleError, is_lasting};
use super::place::{Place, State, read_capped, stat_or_too_long, write_new, write_whole};
use crate::beneath::Root;
use crate::failpoint::durable;
use crate::role::now;

/// Most bytes of a sidecar that are read to see whose it is.
pub(super) const MAX_WHY: usize = 1 << 20;

/// The path's receipts. Broken ones do not stop the work: they are kept under another name when new ones are written.
pub(super) fn receipts(state: &State, path: &str) -> Result<(Receipts, bool), SettleError> {
    let bytes = match read_capped(&state.receipts, OsStr::new(&file_name(path)), MAX_RECEIPTS_JSON) {
        Ok(None) => return Ok((Receipts::none(path), false)),
        Ok(Some(bytes)) => bytes,
        Err(e) if e.kind() == io::ErrorKind::InvalidData => {
            return Ok((Receipts::none(path), true));
        }
        Err(e) => return Err(e).doing(|| "reading the path's receipts".to_owned()),
    };
    match Receipts::parse(&bytes) {
        Ok(receipts) if receipts.path == path => Ok((receipts, false)),
        Err(error @ ReceiptError::Newer(_)) => Err(SettleError::Invalid(format!("{error}: update the encoder image"))),
        Ok(_) | Err(_) => Ok((Receipts::none(path), true)),
    }
}

/// The receipt by which the user wished the file to stay as it is, when that is the newest about it and nobody asked for it again.
pub(super) fn wish<'a>(receipts: &'a Receipts, task: &SettleTask) -> Option<&'a Receipt> {
    if !task.offered || task.verdict != EncodeVerdict::Encoded {
        return None;
    }
    let newest = receipts.entries.iter().find(|receipt| same_content(&receipt.source, &task.source))?;
    let wished = [reasons::RESTORED_BY_USER, reasons::CANCELLED_BY_USER].contains(&newest.reason.as_str());
    (wished && !task.force.contains(&newest.reason)).then_some(newest)
}

/// A receipt of the task as it stands; what only a replaced file has is filled in by the caller.
pub(super) fn receipt(root: &Root, task: &SettleTask, at: &str) -> Result<Receipt, SettleError> {
    let (report, complaint) = report(root, task)?;
    Ok(Receipt {
        v: receipt::VERSION,
        path: task.path.clone(),
        library: task.library.clone(),
        job: task.job.clone(),
        at: at.to_owned(),
        verdict: task.verdict,
        reason: task.reason.clone(),
        message: task.message.clone(),
        source: task.source.clone(),
        source_sha256: None,
        result: None,
        result_sha256: None,
        result_path: None,
        restored: None,
        original: None,
        original_until: None,
        settings: task.settings.clone(),
        settings_digest: settings_digest(&task.settings),
        report,
        not_kept: complaint.into_iter().collect(),
    })
}

/// The run's report, if it is the one whose hash the task names; else why not, in words.
fn report(root: &Root, task: &SettleTask) -> Result<(Option<serde_json::Value>, Option<String>), SettleError> {
    let Some(expected) = &task.report_sha256 else {
        return Ok((None, None));
    };
    let not = |why: &str| Ok((None, Some(format!("the encode's report: {why}"))));
    let Some(folder) = run_folder(root, task)? else {
        return not("the work folder is gone");
    };
    let bytes = match read_capped(&folder, OsStr::new(paths::REPORT_FILE), MAX_REPORT_JSON) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => return not("not in the work folder"),
        Err(e) if matches!(e.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
            return not(&e.to_string());
        }
        Err(e) => return Err(e).doing(|| "reading the encode's report".to_owned()),
    };
    let found = hex::encode(Sha256::digest(&bytes));
    if found != *expected {
        return not(&format!("it has SHA-256 {found}, the encode told {expected}"));
    }
    match serde_json::from_slice(&bytes) {
        Ok(report) => Ok((Some(report), None)),
        Err(e) => not(&e.to_string()),
    }
}

/// Writes down that the name which the output was to have is another file's.
pub(super) fn target_exists(
    root: &Root,
    state: &State,
    task: &SettleTask,
    target: &str,
    at: &str,
) -> Result<Outcome, SettleError> {
    let mut receipt = receipt(root, task, at)?;
    receipt.verdict = EncodeVerdict::Failed;
    receipt.reason = reasons::TARGET_EXISTS.to_owned();
    receipt.message = format!(
        "{target:?} is there already, so the output could not get that name: move that file away, then ask for a retry"
    );
    Ok(Outcome::Receipt(Box::new(write_receipt(state, receipt)?)))
}

/// Writes down that the outcome could not be brought to the volume, and will not be until a person changes something.
pub(super) fn failed(root: &Root, state: &State, task: &SettleTask, failure: &PodFailure) -> Result<(), SettleError> {
    let mut receipt = receipt(root, task, &now().to_string())?;
    receipt.verdict = EncodeVerdict::Failed;
    receipt.reason.clone_from(&failure.reason);
    receipt.message.clone_from(&failure.message);
    write_receipt(state, receipt).map(|_| ())
}

/// Writes the receipt before all others of its path.
pub(super) fn write_receipt(state: &State, mut receipt: Receipt) -> Result<Receipt, SettleError> {
    let name = OsString::from(file_name(&receipt.path));
    let (mut all, broken) = receipts(state, &receipt.path)?;
    if broken {
        let aside = OsString::from(format!("{}.broken-{}", file_name(&receipt.path), receipt.job.uid));
        receipt.not_kept.push(format!("earlier receipts could not be read; they are kept as {}", aside.display()));
        durable("settle::receipt::aside", || state.receipts.rename(&name, &state.receipts, &aside))
            .doing(|| "putting broken receipts aside".to_owned())?;
    }
    all.put(receipt.clone());
    let temporary = OsString::from(format!(".{}.tmp", receipt.job.uid));
    let write = || {
        write_whole("settle::receipt", &state.receipts, &temporary, &name, &all.to_json().map_err(io::Error::other)?)
    };
    write().doing(|| "writing the receipt".to_owned())?;
    Ok(receipt)
}

/// Writes the marker and the sidecar of a file that stays as it is, unless nothing is to be written among the files; returns what could
/// not be written, in words.
pub(super) fn mark(place: &Place, task: &SettleTask, at: &str) -> Result<Vec<String>, SettleError> {
    let mut not_written = Vec::new();
    if task.settings.replacement_mode == ReplacementMode::ReportOnly {
        return Ok(not_written);
    }
    let wants_marker = task.verdict == EncodeVerdict::Rejected && reasons::REJECTIONS.contains(&task.reason.as_str());
    let marked = wants_marker
        && unless_lasting(
            write_marker(place, &task.source, (&task.reason, &task.message), at, &mut not_written),
            &mut not_written,
        )?
        .unwrap_or(false);
    if task.settings.why_sidecars != WhySidecars::Off {
        unless_lasting(write_why(place, task, at, marked, &mut not_written), &mut not_written)?;
    }
    Ok(not_written)
}

/// What can never be written does not keep the file from being settled: the receipt tells it.
fn unless_lasting<T>(written: Result<T, SettleError>, not_written: &mut Vec<String>) -> Result<Option<T>, SettleError> {
    match written {
        Err(SettleError::Io { operation, source }) if is_lasting(&source) => {
            not_written.push(format!("{operation}: {source}"));
            Ok(None)
        }
        other => other.map(Some),
    }
}

/// Writes a marker of ours about the file with this identity, for a reason and what is said about it; false, and a word about it,
/// when one of the user's is there or the name would be too long.
pub(super) fn write_marker(
    place: &Place,
    identity: &FileIdentity,
    (reason, message): (&str, &str),
    at: &str,
    not_written: &mut Vec<String>,
) -> Result<bool, SettleError> {
    let Some(name) = beside(place, paths::SKIP_SUFFIX, not_written) else {
        return Ok(false);
    };
    let file = place.name.to_string_lossy();
    let own = OwnMarker::new(&file, identity, reason, message, at);
    let mut write = || -> io::Result<bool> {
        let json = own.to_json()?;
        if place.folder.stat(&name)?.is_none() {
            write_new("settle::marker", &place.folder, &place.temporary, &name, &json)?;
            return Ok(true);
        }
        let ours =
            matches!(read_small(place, &name, MAX_MARKER)?.map(|bytes| Marker::read(&bytes)), Some(Marker::Ours(_)));
        if ours {
            write_whole("settle::marker", &place.folder, &place.temporary, &name, &json)?;
        } else {
            not_written.push("the marker: one of the user's is there and stays".to_owned());
        }
        Ok(ours)
    };
    write().doing(|| "writing the marker beside the file".to_owned())
}

fn write_why(
    place: &Place,
    task: &SettleTask,
    at: &str,
    marked: bool,
    not_written: &mut Vec<String>,
) -> Result<(), SettleError> {
    let Some(name) = why_name(place, not_written) else {
        return Ok(());
    };
    let file = place.name.to_string_lossy();
    let why = Why {
        file: &file,
        verdict: task.verdict,
        reason: &task.reason,
        message: &task.message,
        size_gate: task.size_gate.as_ref(),
        at,
        marked,
    };
    let text = why_text(&why);
    let mut write = || -> io::Result<()> {
        if place.folder.stat(&name)?.is_none() {
            return write_new("settle::why", &place.folder, &place.temporary, &name, text.as_bytes());
        }
        if read_small(place, &name, MAX_WHY)?.is_some_and(|bytes| why_is_ours(&bytes)) {
            return write_whole("settle::why", &place.folder, &place.temporary, &name, text.as_bytes());
        }
        not_written.push(format!("the sidecar: a file {} that is not ours is there and stays", name.display()));
        Ok(())
    };
    write().doing(|| "writing the sidecar beside the file".to_owned())
}

/// The marker beside a file, if there is one.
pub(super) fn marker(place: &Place) -> Result<Option<Marker>, SettleError> {
    let Some(name) = beside(place, paths::SKIP_SUFFIX, &mut Vec::new()) else {
        return Ok(None);
    };
    let read = || {
        if place.folder.stat(&name)?.is_none() {
            return Ok(None);
        }
        Ok(Some(read_small(place, &name, MAX_MARKER)?.map_or(Marker::Users, |bytes| Marker::read(&bytes))))
    };
    read().doing(|| "looking for a marker beside the file".to_owned())
}

/// Removes marker and sidecar that an earlier job of ours left beside a file that is now replaced.
pub(super) fn unmark(place: &Place) -> Result<(), SettleError> {
    let remove = || -> io::Result<()> {
        for (suffix, most) in [(paths::SKIP_SUFFIX, MAX_MARKER), (paths::WHY_SUFFIX, MAX_WHY)] {
            let Some(name) = beside(place, suffix, &mut Vec::new()) else {
                continue;
            };
            let Some(bytes) = read_small(place, &name, most)? else {
                continue;
            };
            let ours = if suffix == paths::SKIP_SUFFIX {
                matches!(Marker::read(&bytes), Marker::Ours(_))
            } else {
                why_is_ours(&bytes)
            };
            if ours {
                durable("settle::unmark", || place.folder.unlink(&name))?;
            }
        }
        place.folder.sync()
    };
    remove().doing(|| "removing an earlier marker beside the file".to_owned())
}

/// Name of the sidecar; none, and a word about it, when it would be too long.
pub(super) fn why_name(place: &Place, not_written: &mut Vec<String>) -> Option<OsString> {
    beside(place, paths::WHY_SUFFIX, not_written)
}

/// Name of a file beside the media; none, and a word about it, when it would be too long.
fn beside(place: &Place, suffix: &str, not_written: &mut Vec<String>) -> Option<OsString> {
    let mut name = place.name.clone();
    name.push(suffix);
    // Any other error is told by who goes on with the name.
    let too_long = name.len() > MAX_NAME || matches!(stat_or_too_long(&place.folder, &name), Ok(None));
    if too_long {
        let bytes = name.len();
        not_written.push(format!("{suffix} beside the file: its name would have {bytes} bytes, which is too long"));
    }
    (!too_long).then_some(name)
}

/// Reads a small file beside the media; none when it is no regular file or too large to be ours.
pub(super) fn read_small(place: &Place, name: &OsStr, most: usize) -> io::Result<Option<Vec<u8>>> {
    match read_capped(&place.folder, name, most) {
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput | io::ErrorKind::PermissionDenied
            ) =>
        {
            Ok(None)
        }
        Err(e) if rustix::io::Errno::from_io_error(&e) == Some(rustix::io::Errno::LOOP) => Ok(None),
        other => other,
    }
}
