//! Arguments of `jobs`, `explain`, `plan`, `pause`, `resume`, `doctor` and `completions`. May: describe them. Must never: act on
//! them.

use av1_crds::Phase;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, ValueEnum, ValueHint};

use super::{DocumentFormat, Format};

#[derive(Debug, Args)]
pub(crate) struct JobsArguments {
    /// Only jobs in this phase; may be given several times
    #[arg(long, value_name = "PHASE", value_delimiter = ',', value_parser = phases(), ignore_case = true)]
    pub(crate) phase: Vec<Phase>,
    /// Only jobs of this MediaLibrary; may be given several times
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_hint = ValueHint::Other)]
    pub(crate) library: Vec<String>,
    /// Only jobs that ended, or wait, for this reason, such as NotSmaller; may be given several times
    #[arg(long, value_name = "REASON", value_delimiter = ',', value_hint = ValueHint::Other)]
    pub(crate) reason: Vec<String>,
    /// Which come first
    #[arg(long, value_enum, default_value_t = JobOrder::Status)]
    pub(crate) sort: JobOrder,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

/// Which jobs come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum JobOrder {
    /// What runs, then what waits, then what has ended, the youngest first
    Status,
    /// The youngest
    Date,
    /// The largest source
    Size,
    /// The most bytes saved
    Savings,
    /// The furthest
    Progress,
    /// By path
    Path,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// Name of the MediaLibrary
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) library: String,
    /// Path of the file below the library's root
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) path: String,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = DocumentFormat::Text)]
    pub(crate) output: DocumentFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArguments {
    /// Name of the MediaLibrary
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) library: String,
    /// Files that a table lists, the first of the library's order; 0 lists all
    #[arg(long, value_name = "NUMBER", default_value_t = 30)]
    pub(crate) limit: usize,
    /// How to print it; json and yaml list all files
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct HoldArguments {
    /// Name of a MediaLibrary or of an EncodeJob; where both have it, library/NAME or job/NAME
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) name: String,
    /// Path of a file below the root of the MediaLibrary NAME: the job of that file is meant
    #[arg(value_hint = ValueHint::Other)]
    pub(crate) path: Option<String>,
    /// Tell what happens until it is so
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t = DocumentFormat::Text)]
    pub(crate) output: DocumentFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// For which program
    #[arg(value_enum)]
    pub(crate) shell: Script,
}

/// What completes command lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Script {
    Bash,
    Elvish,
    Fish,
    #[value(name = "powershell")]
    PowerShell,
    Zsh,
    /// A program for kubectl, which is saved as kubectl_complete-av1 on the PATH
    Kubectl,
}

#[derive(Debug, Args)]
pub(crate) struct CompleteArguments {
    /// The words behind `kubectl av1`, the last of them unfinished
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) words: Vec<String>,
}

fn phases() -> impl TypedValueParser<Value = Phase> {
    let named = |name: String| Phase::ALL.into_iter().find(|phase| phase.as_str().eq_ignore_ascii_case(&name));
    PossibleValuesParser::new(Phase::ALL.map(Phase::as_str)).map(move |name| named(name).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::{Arguments, Command};
    use super::*;

    fn jobs(line: &[&str]) -> Result<JobsArguments, clap::Error> {
        match Arguments::try_parse_from([&["kubectl-av1", "jobs"], line].concat())?.command {
            Command::Jobs(jobs) => Ok(jobs),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn jobs_are_filtered_by_several_phases_in_any_case() {
        let found = jobs(&["--phase", "encoding,Queued", "--phase", "FAILED", "--reason=TooSmall,NotSmaller"]).unwrap();
        assert_eq!(found.phase, [Phase::Encoding, Phase::Queued, Phase::Failed]);
        assert_eq!((found.reason.len(), found.sort, found.output), (2, JobOrder::Status, Format::Table));
        let error = jobs(&["--phase", "running"]).unwrap_err();
        assert!(error.exit_code() == 2 && error.to_string().contains("Encoding, Paused"), "{error}");
    }

    #[test]
    fn pause_and_resume_take_a_library_a_job_or_a_file_of_a_library() {
        let hold = |line: &[&str]| match Arguments::try_parse_from([&["kubectl-av1"], line].concat()).unwrap().command {
            Command::Pause(hold) | Command::Resume(hold) => (hold.name, hold.path, hold.wait),
            other => panic!("{other:?}"),
        };
        assert_eq!(hold(&["pause", "films", "--wait"]), ("films".into(), None, true));
        assert_eq!(hold(&["resume", "films", "a b.mkv"]), ("films".into(), Some("a b.mkv".into()), false));
    }

    #[test]
    fn a_plan_lists_thirty_files_unless_told_otherwise() {
        let plan = |line: &[&str]| match Arguments::try_parse_from([&["kubectl-av1", "plan"], line].concat()) {
            Ok(Arguments { command: Command::Plan(plan), .. }) => Some((plan.limit, plan.output)),
            _ => None,
        };
        assert_eq!(plan(&["films"]), Some((30, Format::Table)));
        assert_eq!(plan(&["films", "--limit", "0", "-o", "json"]), Some((0, Format::Json)));
        assert_eq!((plan(&[]), plan(&["films", "--limit", "-1"])), (None, None));
    }

    #[test]
    fn completions_know_the_shells_by_name() {
        for shell in ["bash", "elvish", "fish", "powershell", "zsh", "kubectl"] {
            assert!(Arguments::try_parse_from(["kubectl-av1", "completions", shell]).is_ok(), "{shell}");
        }
        let line = ["kubectl-av1", "__complete", "jobs", "--phase", "-n", "x", ""];
        let Command::Complete(complete) = Arguments::try_parse_from(line).unwrap().command else { panic!("{line:?}") };
        assert_eq!(complete.words, ["jobs", "--phase", "-n", "x", ""]);
        assert_eq!(Arguments::try_parse_from(["kubectl-av1", "completions", "cmd"]).unwrap_err().exit_code(), 2);
    }
}
