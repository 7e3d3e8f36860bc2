//! Gates that need no look into the file: markers, size, age, kind, links, name, owner, folder.

use av1_crds::figures;
use av1_crds::library::HardLinks;
use av1_crds::paths::SKIP_SUFFIX;
use av1_crds::reasons;
use av1_crds::settings::ReplacementMode;
use av1_crds::wire::FileState;

use super::{Attributes, EarlierLook, Facts, FileKind, Rules, Verdict};
use crate::marker::Marker;

const NANOS: i64 = 1_000_000_000;
/// One look is enough when the last modification is longer ago than this.
const SETTLED_SECONDS: i64 = 3_600;

/// A marker that the user made, beside the file or in a folder above, is absolute.
pub(super) fn users_marker(facts: &Facts, _: &Rules) -> Option<Verdict> {
    if facts.marker == Some(Marker::Users) {
        return Some(Verdict::skipped(
            reasons::SKIP_MARKER,
            format!("{}{SKIP_SUFFIX} is beside it: remove the marker to have the file encoded", file_name(facts)),
        ));
    }
    let marker = facts.folder_marker.as_ref()?;
    Some(Verdict::skipped(
        reasons::SKIP_MARKER,
        format!("{marker} keeps everything in its folder as it is: remove the marker to have the file encoded"),
    ))
}

/// A marker that we wrote about this very file.
pub(super) fn our_marker(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let (Some(marker @ Marker::Ours(own)), Some(identity)) = (&facts.marker, &facts.identity) else {
        return None;
    };
    if rules.again || !marker.covers(identity) {
        return None;
    }
    let advice = format!(
        "{}{SKIP_SUFFIX} was written for it on {}: remove the marker to have it tried again",
        file_name(facts),
        own.at
    );
    Some(if reasons::REJECTIONS.contains(&own.reason.as_str()) {
        Verdict::new(FileState::Rejected, reasons::ALREADY_REJECTED, format!("{}; {advice}", own.message))
    } else {
        Verdict::skipped(reasons::SKIP_MARKER, format!("{}: {}; {advice}", own.reason, own.message))
    })
}

pub(super) fn too_small(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let size = regular(facts)?.size;
    (size <= rules.scan.min_size).then(|| {
        Verdict::skipped(
            reasons::TOO_SMALL,
            format!("{} is not above scan.minSize, {}", figures::size(size), figures::size(rules.scan.min_size)),
        )
    })
}

pub(super) fn not_stable(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let attributes = regular(facts)?;
    let needed = i64::from(rules.stable_seconds());
    let age = facts.now_ns.saturating_sub(attributes.modified_time_ns) / NANOS;
    let verdict = |message: String| Some(Verdict::skipped(reasons::NOT_STABLE, message));
    if let Some(sibling) = &facts.unfinished_sibling {
        return verdict(format!("{sibling} beside it belongs to a download that has not ended"));
    }
    if attributes.modified_time_ns > facts.now_ns {
        // No figure: one that changes with each look would have the index written anew each time.
        return verdict(
            "its modification time is in the future: looked at again; set it with touch if it stays so".to_owned(),
        );
    }
    if age < needed {
        return verdict(format!("modified {age} s ago, {}: looked at again", rules.stability()));
    }
    if age > SETTLED_SECONDS {
        return None;
    }
    match facts.earlier_look {
        EarlierLook::Unknown => None,
        EarlierLook::None => {
            verdict(format!("seen for the first time with this size and time: looked at again after {needed} s"))
        }
        EarlierLook::At(at) => {
            let seen = facts.now_ns.saturating_sub(at) / NANOS;
            if seen < needed {
                verdict(format!("unchanged for {seen} s, {}: looked at again", rules.stability()))
            } else {
                None
            }
        }
    }
}

pub(super) fn not_regular(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let what = match facts.attributes?.kind {
        FileKind::Regular => return None,
        FileKind::SymbolicLink => "a symbolic link: the file that it points to is looked at where it is",
        FileKind::Special => "neither a regular file nor a link to one",
    };
    Some(Verdict::skipped(reasons::NOT_REGULAR, what))
}

pub(super) fn hard_linked(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let links = regular(facts)?.links;
    (links > 1 && !facts.claimed && rules.scan.hard_links == HardLinks::Skip).then(|| {
        Verdict::skipped(reasons::HARD_LINKED, format!("has {links} names (hard links), as of a torrent that is being seeded: set scan.hardLinks to Encode to encode it all the same"))
    })
}

pub(super) fn unrepresentable_name(facts: &Facts, _: &Rules) -> Option<Verdict> {
    (!facts.utf8).then(|| {
        Verdict::skipped(
            reasons::UNREPRESENTABLE_NAME,
            "its path is not UTF-8, so that no resource can name it: rename it",
        )
    })
}

pub(super) fn other_owner(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let (Attributes { uid, gid, .. }, process) = (facts.attributes?, facts.process_uid?);
    (uid != process).then(|| {
        let message = format!("belongs to user {uid} and group {gid}, but the library's pods run as user {process}: set spec.pods.runAsUser to {uid}, or give the file to user {process}");
        Verdict::skipped(reasons::OTHER_OWNER, message)
    })
}

/// Without the right to make names beside the file an encode would be for nothing, unless only its figures are wanted.
pub(super) fn folder_not_writable(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let process = facts.process_uid.filter(|_| facts.folder_is_closed == Some(true))?;
    (rules.settings.replacement_mode != ReplacementMode::ReportOnly).then(|| {
        let message = format!("user {process}, as whom the library's pods run, may not write in its folder, so that nothing could be put in its place: give that user the right to write there; looked at again");
        Verdict::skipped(reasons::FOLDER_NOT_WRITABLE, message)
    })
}

fn regular(facts: &Facts) -> Option<Attributes> {
    facts.attributes.filter(|attributes| attributes.kind == FileKind::Regular)
}

fn file_name(facts: &Facts) -> &str {
    facts.path.rsplit('/').next().unwrap_or_default()
}
