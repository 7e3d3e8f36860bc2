//! The whole chain for one file, gate by gate, each with its figures: what `explain` prints.
//!
//! The words of a gate that stops the file are those of its verdict; what a gate found that let the file pass is said here.

use std::collections::BTreeSet;

use av1_crds::figures;
pub use av1_crds::wire::{GateOutcome as Outcome, GateStep as Step};

use super::content::describe;
use super::{CHAIN, Content, Facts, FileKind, Rules};
use crate::streams::plan_streams;

/// Every gate of the chain in order. The verdict of the first that stops the file is the verdict on it.
#[must_use]
pub fn explain(facts: &Facts, rules: &Rules) -> Vec<Step> {
    let mut stopped = false;
    CHAIN
        .iter()
        .map(|gate| {
            let name = upper_camel(gate.name);
            let step = |outcome, reason, found| Step { gate: name.clone(), outcome, reason, found };
            if let Some(verdict) = (gate.judge)(facts, rules) {
                if rules.passes_over(&verdict.reason) {
                    return step(Outcome::Forced, Some(verdict.reason), verdict.message);
                }
                let outcome = if stopped { Outcome::WouldStop } else { Outcome::Stopped };
                stopped = true;
                return step(outcome, Some(verdict.reason), verdict.message);
            }
            match passed(gate.name, facts, rules) {
                Some(found) => step(Outcome::Passed, None, found),
                None => step(Outcome::Unknown, None, unknown(facts)),
            }
        })
        .collect()
}

fn upper_camel(name: &str) -> String {
    name.split('_')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
        })
        .collect()
}

/// Why a gate has nothing to say.
fn unknown(facts: &Facts) -> String {
    match &facts.content {
        Some(Content::Unreadable(why) | Content::Closed(why) | Content::NotProbed(why)) => {
            format!("what it needs is not known: {why}")
        }
        Some(Content::Read(_)) => "what it needs is not known: the file does not tell it".to_owned(),
        None => "what it needs is not known here".to_owned(),
    }
}

/// What a gate found that let the file pass; none when it knew too little to tell.
fn passed(gate: &str, facts: &Facts, rules: &Rules) -> Option<String> {
    outside(gate, facts, rules).unwrap_or_else(|| inside(gate, facts, rules))
}

/// The gates that need no look into the file.
fn outside(gate: &str, facts: &Facts, rules: &Rules) -> Option<Option<String>> {
    let attributes = facts.attributes;
    Some(match gate {
        "users_marker" => Some("no marker of the user's beside it or in a folder above".to_owned()),
        "our_marker" => Some(match &facts.marker {
            Some(_) => "the marker beside it does not hold for this file".to_owned(),
            None => "no marker beside it says that we left it as it is".to_owned(),
        }),
        "already_done" | "decided_before" => facts.decisions.as_ref().map(|decisions| match decisions.len() {
            0 => "no receipt is about a file of this size".to_owned(),
            count => format!("receipts about files of its size: {count}; none holds for this file"),
        }),
        "too_small" => attributes
            .map(|a| format!("{}, scan.minSize is {}", figures::size(a.size), figures::size(rules.scan.min_size))),
        "not_stable" => attributes.map(|a| {
            let age = facts.now_ns.saturating_sub(a.modified_time_ns) / 1_000_000_000;
            let age = figures::duration(u64::try_from(age).unwrap_or_default());
            format!("modified {age} ago, {}; no unfinished download beside it", rules.stability())
        }),
        "not_regular" => attributes.filter(|a| a.kind == FileKind::Regular).map(|_| "a regular file".to_owned()),
        "hard_linked" => attributes.map(|a| match a.links {
            1 => "has one name".to_owned(),
            links if facts.claimed => format!("has {links} names while one of our jobs replaces it"),
            links => format!("has {links} names, scan.hardLinks is {:?}", rules.scan.hard_links),
        }),
        "unrepresentable_name" => Some(format!("its path is UTF-8, {} bytes", facts.path.len())),
        "other_owner" => attributes
            .zip(facts.process_uid)
            .map(|(a, process)| format!("belongs to user {} and group {}; replaced by user {process}", a.uid, a.gid)),
        "folder_not_writable" => facts.folder_is_closed.map(|closed| match closed {
            true => "its folder cannot be written to, which the figures alone do not need".to_owned(),
            false => "its folder can be written to".to_owned(),
        }),
        _ => return None,
    })
}

/// The gates that need ffprobe's answer.
fn inside(gate: &str, facts: &Facts, rules: &Rules) -> Option<String> {
    let probe = facts.probe()?;
    if gate == "unreadable" {
        return Some(format!("ffprobe reads it: {}", probe.format.format_name));
    }
    let count = |kind: &str| probe.of(kind).count();
    if gate == "no_video" {
        return Some(format!("{} streams, video: {}", probe.streams.len(), count("video")));
    }
    let video = facts.video()?;
    let format = || video.pix_fmt.clone();
    let side_data = || {
        let pieces = video.side_data.iter().chain(&video.pictures.side_data);
        let kinds: BTreeSet<&str> = pieces.map(|data| data.kind.as_str()).collect();
        match kinds.is_empty() {
            true => "no side data".to_owned(),
            false => format!("side data: {}", kinds.into_iter().collect::<Vec<_>>().join(", ")),
        }
    };
    match gate {
        "already_av1" => Some(format!("the video is {}", known(&video.codec_name))),
        "container_change" => Some(format!("{} holds AV1 and these streams", probe.format.format_name)),
        "dolby_vision" | "hdr10_plus" | "unsupported_side_data" => Some(side_data()),
        "interlaced" => Some(format!(
            "field order {}, coded as interlaced: {} of the first {} pictures",
            video.field_order.as_deref().unwrap_or("unknown"),
            video.pictures.interlaced,
            video.pictures.number
        )),
        "closed_captions" => Some("none in the video's first packets".to_owned()),
        "several_video_streams" => Some(format!("video streams besides pictures: {}", probe.videos().count())),
        "data_streams" => Some(format!("data streams: {}", count("data"))),
        "chroma_reduced" | "depth_reduced" | "alpha_lost" => format().map(|format| format!("pixel format {format}")),
        "cannot_be_encoded" => Some(format!("{}x{}", video.width?, video.height?)),
        "streams" => {
            let plan = plan_streams(&facts.path, probe, &rules.settings).ok()?;
            Some(format!("streams carried besides the video: {}, left out: {}", plan.kept.len(), plan.dropped.len()))
        }
        _ => Some(describe(video)),
    }
}

fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}
