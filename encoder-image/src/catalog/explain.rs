//! One file, looked at now: every gate with its figures, and how it would be encoded.
//!
//! May: read the file, markers beside it, and what the last scan knew; run ffprobe. Must never: write anything, change what the
//! catalog knows, or look at a file that no scan comes by.

use std::io;
use std::path::{Component, Path};

use av1_crds::library::ScanRules;
use av1_crds::reasons;
use av1_crds::wire::{FileExplanation, FileState};
use av1_media::foresee::{figures, foresee};
use av1_media::gates::{Facts, Rules, Selection, explain, judge};
use av1_media::plan::Resources;

use super::Shared;
use crate::beneath::Root;
use crate::facts::{Known, gather_all};
use crate::volume;

/// What pods have decides workers and threads alone, which the answer leaves out.
const ANY: Resources = Resources { cpus: 1, memory: None, workers: 1, percent: 100 };

/// # Errors
/// `NotFound` when there is no such file, `InvalidInput` when no file of a library can have this path, or whatever kept the file
/// from being looked at.
pub(super) fn answer(shared: &Shared, path: &str) -> io::Result<FileExplanation> {
    let below = Path::new(path);
    let plain = |part: Component| matches!(part, Component::Normal(_));
    if path.is_empty() || !below.components().all(plain) {
        let why = "a path is relative to the library's root, without a leading slash, . or ..";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let root = Root::open(&shared.library)?;
    let scan_finished_at = shared.catalog().scan_finished_at.clone();
    let explanation = FileExplanation { path: path.to_owned(), scan_finished_at, ..FileExplanation::default() };
    if let Some(why) = passed_over(&shared.task.scan, below) {
        let inner = below.components().next() == Some(Component::Normal(av1_crds::paths::AV1_DIR.as_ref()));
        let size = if inner { 0 } else { u64::try_from(root.stat(below)?.st_size).unwrap_or_default() };
        return Ok(FileExplanation { passed_over: Some(why), size, ..explanation });
    }
    let size = u64::try_from(root.stat(below)?.st_size).unwrap_or_default();
    let decisions = Some(shared.decisions().about(size));
    let looks = Some(shared.catalog().first_look(path));
    let facts = gather_all(&root, below, Known { decisions, looks })?;
    let rules = volume::rules(&root, shared.task.scan.clone(), shared.task.settings.clone());
    let told = explained(explanation, &facts, &rules);
    Ok(match shared.catalog().unread.withholds(path, size).filter(|_| told.state == Some(FileState::Pending)) {
        Some(message) => {
            FileExplanation { state: Some(FileState::Skipped), reason: reasons::IO_ERROR.to_owned(), message, ..told }
        }
        None => told,
    })
}

fn explained(explanation: FileExplanation, facts: &Facts, rules: &Rules) -> FileExplanation {
    let verdict = judge(facts, rules);
    let (plan, no_plan) = match facts.probe() {
        Some(probe) => match foresee(&rules.settings, &facts.path, probe, ANY) {
            Ok((plan, _)) => (Some(plan), None),
            Err(why) => (None, Some(why)),
        },
        None => (None, Some("ffprobe did not read the file".to_owned())),
    };
    FileExplanation {
        size: facts.attributes.map_or(0, |attributes| attributes.size),
        state: Some(verdict.state),
        reason: verdict.reason,
        message: verdict.message,
        gates: explain(facts, rules),
        video: facts.probe().and_then(figures),
        plan,
        no_plan,
        ..explanation
    }
}

/// Why no scan comes by the file, if none does.
fn passed_over(rules: &ScanRules, path: &Path) -> Option<String> {
    let selection = match Selection::new(rules) {
        Ok(selection) => selection,
        Err(wrong) => return Some(wrong.to_string()),
    };
    let (folder, name) = (path.parent().unwrap_or(Path::new("")), path.file_name()?);
    let mut entered = Path::new("").to_owned();
    for part in folder.components() {
        if !selection.enters(&entered, part.as_os_str()) {
            let part = part.as_os_str().to_string_lossy();
            return Some(format!("folders named {part} are not entered, or scan.exclude leaves them out"));
        }
        entered.push(part);
    }
    if selection.takes(folder, name) {
        return None;
    }
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    Some(match extension {
        Some(extension) if rules.extensions.contains(&extension) => {
            "scan.include does not take it, or scan.exclude leaves it out".to_owned()
        }
        _ => format!("its extension is none of scan.extensions: {}", rules.extensions.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::Settings;
    use av1_crds::wire::GateOutcome;

    use super::*;

    #[test]
    fn a_file_that_no_scan_comes_by_is_told_why_and_not_looked_at() {
        let mut rules = ScanRules::resolve(None).unwrap();
        rules.exclude = vec!["**/Extras".to_owned(), "b.mkv".to_owned()];
        let why = |path: &str| passed_over(&rules, Path::new(path));
        assert_eq!(why("Films/a.mkv"), None);
        assert!(why(".av1/trash/j/a.mkv").unwrap().contains("folders named .av1 are not entered"));
        assert!(why("Films/Extras/a.mkv").unwrap().contains("Extras"));
        assert!(why("b.mkv").unwrap().contains("scan.exclude"));
        assert!(why("a.txt").unwrap().contains("mkv, mp4"));
    }

    #[test]
    fn the_chain_runs_to_its_end_also_where_the_first_gate_stops_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x.mkv"), "not a video").unwrap();
        let rules = Rules::new(ScanRules::resolve(None).unwrap(), Settings::resolve(&[]).unwrap());
        let root = Root::open(dir.path()).unwrap();
        let facts = gather_all(&root, Path::new("x.mkv"), Known::default()).unwrap();
        let told = explained(FileExplanation::default(), &facts, &rules);
        assert_eq!((told.reason.as_str(), told.size, told.gates.len()), (reasons::TOO_SMALL, 11, 28));
        let stopped = told.gates.iter().find(|gate| gate.outcome == GateOutcome::Stopped).unwrap();
        assert_eq!((stopped.gate.as_str(), told.plan), ("TooSmall", None));
        assert!(told.no_plan.is_some());
    }
}
