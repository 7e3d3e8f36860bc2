//! `av1-agent explain FILE` and `plan FILE`: the gates one by one with their figures, and how the file would be encoded.
//!
//! May: read the file, markers and receipts; run ffprobe. Must never: write anything.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use av1_crds::paths;
use av1_crds::wire::{FileState, ForeseenPlan};
use av1_media::foresee::foresee;
use av1_media::gates::{Facts, Outcome, Step, Verdict, explain, judge};
use av1_media::probe::Probe;
use clap::Args;
use serde::Serialize;

use super::config::{self, Config};
use crate::beneath::Root;
use crate::catalog::decisions::Decisions;
use crate::confined;
use crate::encode::resources;
use crate::facts::{self, Known};
use crate::volume;

/// One file, and what it is judged by.
#[derive(Debug, Clone, Args)]
pub(crate) struct FileArgs {
    /// The file; with --library also its path below the library's root.
    pub(crate) file: PathBuf,
    /// The library's root, where markers and receipts are looked for. Default: the nearest folder above the file that has a
    /// .av1 folder, else the file's own folder.
    #[arg(long)]
    pub(crate) library: Option<PathBuf>,
    /// A TOML file with the settings of a MediaLibrary; see docs/standalone.md. Default: every setting's default.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    library: String,
    path: String,
    state: FileState,
    reason: String,
    message: String,
    gates: Vec<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<Planned>,
    #[serde(skip_serializing_if = "Option::is_none")]
    no_plan: Option<String>,
}

/// How a file would be encoded on this machine.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Planned {
    #[serde(flatten)]
    foreseen: ForeseenPlan,
    cpus: u32,
    workers: u32,
    threads_per_worker: u32,
    encoder_args: Vec<String>,
}

/// Where a file is.
pub(crate) struct Place {
    /// The library's root.
    pub(crate) root: PathBuf,
    /// Path below it.
    pub(crate) path: PathBuf,
}

/// Finds the library of a file.
///
/// # Errors
/// When there is no such folder, or the file is not below the library.
pub(crate) fn locate(args: &FileArgs) -> Result<Place, String> {
    let resolved = |path: &Path| {
        let name = path.file_name().ok_or_else(|| format!("{} names no file", path.display()))?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        // The last part is not resolved: a symbolic link is to be seen as one.
        let folder = folder.canonicalize().map_err(|e| format!("the folder {}: {e}", folder.display()))?;
        Ok::<PathBuf, String>(folder.join(name))
    };
    let Some(library) = &args.library else {
        let file = resolved(&args.file)?;
        let folder = file.parent().unwrap_or(Path::new("/"));
        let has_av1 = |folder: &&Path| folder.join(paths::AV1_DIR).join(paths::VOLUME_FILE).is_file();
        let root = folder.ancestors().find(has_av1).unwrap_or(folder).to_owned();
        let path = file.strip_prefix(&root).map_err(|e| e.to_string())?.to_owned();
        return Ok(Place { root, path });
    };
    let root = library.canonicalize().map_err(|e| format!("the library {}: {e}", library.display()))?;
    let below = |file: &Path| resolved(file).ok().and_then(|file| Some(file.strip_prefix(&root).ok()?.to_owned()));
    let path = if args.file.symlink_metadata().is_ok() { below(&args.file) } else { None };
    match path.or_else(|| below(&root.join(&args.file))) {
        Some(path) => Ok(Place { root, path }),
        None => Err(format!("{} is not below the library {}", args.file.display(), root.display())),
    }
}

/// Prints the answer; exit code 1 when the file cannot be looked at.
pub(crate) fn print(args: &FileArgs, with_plan: bool, json: bool) -> ExitCode {
    confined::look_only();
    match answer(args, with_plan) {
        Ok(answer) if json => match serde_json::to_string_pretty(&answer) {
            Ok(text) => {
                println!("{text}");
                ExitCode::SUCCESS
            }
            Err(e) => failed(&e.to_string()),
        },
        Ok(answer) => {
            print!("{}", text(&answer, with_plan));
            ExitCode::SUCCESS
        }
        Err(why) => failed(&why),
    }
}

fn failed(why: &str) -> ExitCode {
    eprintln!("error: {why}");
    ExitCode::FAILURE
}

fn answer(args: &FileArgs, with_plan: bool) -> Result<Answer, String> {
    let config = config::load(args.config.as_deref()).map_err(|e| e.to_string())?;
    let place = locate(args)?;
    let (facts, verdict, gates) = look(&place, &config).map_err(|e| format!("{}: {e}", place.path.display()))?;
    let (plan, no_plan) = match facts.probe() {
        _ if !with_plan => (None, None),
        Some(probe) => {
            planned(&config, &facts.path, probe).map_or_else(|why| (None, Some(why)), |plan| (Some(plan), None))
        }
        None => (None, Some("the file was not probed, or could not be".to_owned())),
    };
    Ok(Answer {
        library: place.root.to_string_lossy().into_owned(),
        path: place.path.to_string_lossy().into_owned(),
        state: verdict.state,
        reason: verdict.reason,
        message: verdict.message,
        gates,
        plan,
        no_plan,
    })
}

/// Everything that is known of the file, also where a gate stops it early.
fn look(place: &Place, config: &Config) -> io::Result<(Facts, Verdict, Vec<Step>)> {
    let root = Root::open(&place.root)?;
    let mut decisions = Decisions::default();
    let known = match decisions.refresh(&root) {
        Ok(()) => Some(decisions.about(root.stat(&place.path)?.st_size.try_into().unwrap_or_default())),
        // Only their owner can read them.
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => None,
        Err(e) => return Err(e),
    };
    let mut facts = facts::gather_all(&root, &place.path, Known { decisions: known, ..Known::default() })?;
    // Files are replaced by the owner of the library's .av1, whoever asks.
    let asks = facts.process_uid;
    facts.process_uid = root.stat(Path::new(paths::AV1_DIR)).ok().map(|stat| stat.st_uid);
    facts.folder_is_closed = facts.folder_is_closed.filter(|_| facts.process_uid == asks);
    let rules = volume::rules(&root, config.scan.clone(), config.settings.clone());
    let (verdict, steps) = (judge(&facts, &rules), explain(&facts, &rules));
    Ok((facts, verdict, steps))
}

/// How the file would be encoded on this machine, from what ffprobe tells.
fn planned(config: &Config, path: &str, probe: &Probe) -> Result<Planned, String> {
    let workers = config.spec.pods.as_ref().and_then(|pods| pods.workers).unwrap_or_default();
    let (_, resources) = resources::look(workers, 100);
    let (foreseen, plan) = foresee(&config.settings, path, probe, resources)?;
    Ok(Planned {
        foreseen,
        cpus: resources.cpus,
        workers: plan.workers,
        threads_per_worker: plan.threads,
        encoder_args: plan.command_line(),
    })
}

fn text(answer: &Answer, with_plan: bool) -> String {
    let mut lines = vec![format!("{}  (library {})", shown(&answer.path), shown(&answer.library))];
    if !with_plan {
        let width = answer.gates.iter().map(|step| step.gate.len()).max().unwrap_or_default();
        lines.extend(answer.gates.iter().map(|step| {
            let reason = step.reason.as_ref().filter(|_| step.outcome != Outcome::Passed);
            let reason = reason.map(|reason| format!("{reason}: ")).unwrap_or_default();
            format!("  {:<10}  {:<width$}  {reason}{}", step.outcome.as_str(), step.gate, shown(&step.found))
        }));
    }
    lines.push(format!("{:?}, {}: {}", answer.state, answer.reason, shown(&answer.message)));
    lines.extend(answer.plan.iter().flat_map(plan_lines));
    lines.extend(answer.no_plan.iter().map(|why| format!("There is no plan: {}", shown(why))));
    lines.join("\n") + "\n"
}

fn plan_lines(plan: &Planned) -> Vec<String> {
    let list = |items: &[String]| match items {
        [] => "nothing".to_owned(),
        items => items.iter().map(|item| shown(item)).collect::<Vec<_>>().join("; "),
    };
    let foreseen = &plan.foreseen;
    let name = foreseen.target.iter().map(|target| format!("  name      {}", shown(target)));
    vec![
        format!("  profile   {}, tier {}", foreseen.profile, foreseen.tier),
        format!(
            "  encoder   {} through {}, CRF {}, preset {}, {}",
            foreseen.encoder, foreseen.engine, foreseen.crf, foreseen.preset, foreseen.pixel_format
        ),
        format!("  workers   {} on {} CPUs, threads of each {}", plan.workers, plan.cpus, plan.threads_per_worker),
        format!("  scenes    {} frames at most", foreseen.longest_scene_frames),
        format!("  arguments {}", plan.encoder_args.join(" ")),
        format!("  filters   {}", list(&foreseen.filters)),
        format!("  keeps     {}", list(&foreseen.kept)),
        format!("  drops     {}", list(&foreseen.dropped)),
    ]
    .into_iter()
    .chain(name)
    .collect()
}

/// Text from files without what would move the cursor of a terminal.
pub(crate) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use av1_crds::reasons;

    use super::*;

    fn args(file: &Path, library: Option<&Path>) -> FileArgs {
        FileArgs { file: file.to_owned(), library: library.map(Path::to_owned), config: None }
    }

    #[test]
    fn a_file_is_found_with_and_without_a_library() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        let file = root.join("a/b/x.mkv");
        std::fs::write(&file, "x").unwrap();
        let place = |args: &FileArgs| locate(args).map(|place| (place.root, place.path));
        assert_eq!(place(&args(&file, None)).unwrap(), (root.join("a/b"), PathBuf::from("x.mkv")));
        for name in [file.as_path(), Path::new("a/b/x.mkv")] {
            assert_eq!(place(&args(name, Some(&root))).unwrap(), (root.clone(), PathBuf::from("a/b/x.mkv")));
        }
        std::fs::create_dir(root.join(".av1")).unwrap();
        std::fs::write(root.join(".av1/volume.json"), "{}").unwrap();
        assert_eq!(place(&args(&file, None)).unwrap(), (root.clone(), PathBuf::from("a/b/x.mkv")));
        assert!(place(&args(Path::new("/etc/passwd"), Some(&root))).unwrap_err().contains("is not below the library"));
    }

    #[test]
    fn a_file_without_a_library_is_explained_gate_by_gate() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("x.mkv");
        std::fs::write(&file, "not a video").unwrap();
        let answer = answer(&args(&file, None), true).unwrap();
        assert_eq!(answer.reason, reasons::TOO_SMALL);
        let printed = text(&answer, false);
        assert!(printed.contains("STOPPED     TooSmall") && printed.contains("scan.minSize"), "{printed}");
        assert!(printed.contains("not known   OtherOwner"), "there is no .av1 that belongs to anybody: {printed}");
    }
}
