//! The command line. May: describe it. Must never: act on it.

mod reading;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use reading::{
    CompleteArguments, CompletionsArguments, DoctorArguments, ExplainArguments, HoldArguments, JobOrder, JobsArguments,
    PlanArguments, Script,
};

/// What av1-operator is doing, and why.
#[derive(Debug, Parser)]
#[command(
    name = "kubectl av1",
    bin_name = "kubectl av1",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) cluster: ClusterArguments,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Which cluster and which namespace.
#[derive(Debug, Args)]
pub(crate) struct ClusterArguments {
    /// Namespace to look at [default: the context's]
    #[arg(short, long, global = true, value_name = "NAME", conflicts_with = "all_namespaces")]
    pub(crate) namespace: Option<String>,
    /// Look at all namespaces
    #[arg(short = 'A', long, global = true)]
    pub(crate) all_namespaces: bool,
    /// Context of the kubeconfig to use
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// Kubeconfig to use [default: KUBECONFIG, else ~/.kube/config]
    #[arg(long, global = true, value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub(crate) kubeconfig: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Watch the queue live: jobs with progress, rate and time to go, nodes, throughput, events; `?` lists the keys
    Top(TopArguments),
    /// List every file of a library with its verdict, and why
    Files {
        /// Name of the MediaLibrary
        library: String,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = Format::Table)]
        output: Format,
    },
    /// Say whether libraries are ready or why not, how far they are, how long the rest takes, what they saved, and what needs attention
    Status {
        /// Name of a MediaLibrary [default: all of the namespace]
        library: Option<String>,
        /// How to print it
        #[arg(short, long, value_enum, default_value_t = DocumentFormat::Text)]
        output: DocumentFormat,
    },
    /// Tell what its encodes came to: bytes saved, outcomes by reason, the slowest, the best and the worst
    Report(ReportArguments),
    /// Encode one file now: makes an EncodeJob, or brings an undone one's AV1 file back
    Encode(EncodeArguments),
    /// Bring the original of a file back from the trash; the AV1 file goes there
    Undo(ChangeArguments),
    /// Keep a file as it is: a marker is written beside it
    Skip(ChangeArguments),
    /// Try a job again that has ended
    Retry(RetryArguments),
    /// Stop a job and keep the file as it is; no scan takes it up again
    Cancel(ChangeArguments),
    /// List the jobs with how far they are and what they came to
    #[command(
        after_help = "Examples:\n  kubectl av1 jobs --phase Encoding,Queued\n  kubectl av1 jobs --library films --reason NotSmaller --sort size -o wide\n  kubectl av1 jobs -A --sort savings -o json"
    )]
    Jobs(JobsArguments),
    /// Explain one file: every gate with its figures, the plan, and what its job did
    #[command(
        after_help = "Example:\n  kubectl av1 explain films \"Heat (1995)/Heat.mkv\"\n\nThe gates are run on the file as it is now, by the library's catalog. With the catalog away what the job did is shown all the same."
    )]
    Explain(ExplainArguments),
    /// Say what would be encoded, with which plan, predicted size and time; writes nothing
    #[command(
        after_help = "Examples:\n  kubectl av1 plan films\n  kubectl av1 plan films --limit 0 -o wide\n\nSizes and times are predicted from what this library's encodes came to, and by a rule of thumb before the first of them."
    )]
    Plan(PlanArguments),
    /// Hold a job, a file or a whole library; what is encoded so far is kept
    #[command(
        after_help = "Examples:\n  kubectl av1 pause films --wait\n  kubectl av1 pause films \"Heat (1995)/Heat.mkv\"\n  kubectl av1 pause films-2f6c9d\n\nIt sets spec.suspend. What settles or is brought back is not interrupted."
    )]
    Pause(HoldArguments),
    /// Let go on what was paused
    #[command(after_help = "Examples:\n  kubectl av1 resume films\n  kubectl av1 resume films-2f6c9d --wait")]
    Resume(HoldArguments),
    /// Check the cluster: each line is ok, or says what to do
    #[command(
        after_help = "Examples:\n  kubectl av1 doctor -n media\n  kubectl av1 doctor -A -o json\n\nok is well, FIX says what to do and makes the exit code 4, ? cannot be told, mostly for want of a right."
    )]
    Doctor(DoctorArguments),
    /// Print a shell's completions: source them, or save them where the shell looks
    #[command(
        after_help = "Examples:\n  source <(kubectl av1 completions bash)\n  kubectl av1 completions kubectl > ~/bin/kubectl_complete-av1 && chmod +x ~/bin/kubectl_complete-av1\n\nShells complete `kubectl-av1`. For `kubectl av1` the last example makes the program by which kubectl completes its plugins: it must be on the PATH; names of libraries and jobs are completed there too."
    )]
    Completions(CompletionsArguments),
    /// Complete a command line, for kubectl
    #[command(name = "__complete", hide = true)]
    Complete(CompleteArguments),
}

#[derive(Debug, Args)]
pub(crate) struct TopArguments {
    /// Print one frame as text instead
    #[arg(long)]
    pub(crate) once: bool,
    /// How to print that frame; implies --once [default: table]
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<TopFormat>,
    /// Prometheus whose history fills the chart, such as http://localhost:9090
    #[arg(long, value_name = "URL")]
    pub(crate) prometheus: Option<String>,
}

impl TopArguments {
    /// The format of the one frame, unless the live screen is asked for.
    pub(crate) fn frame(&self) -> Option<TopFormat> {
        self.output.or(self.once.then_some(TopFormat::Table))
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReportArguments {
    /// Name of the MediaLibrary
    pub(crate) library: String,
    /// Write it as one HTML file that opens anywhere, with charts and with pictures of the worst and the best scenes
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// How to print it [default: text; nothing is printed with --html]
    #[arg(short, long, value_enum)]
    pub(crate) output: Option<DocumentFormat>,
}

/// A job, or a file of a library.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Name of the EncodeJob; with PATH, of the MediaLibrary
    pub(crate) name: String,
    /// Path of the file below the library's root
    pub(crate) path: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Tell what happens until the job has ended; fails when it ends otherwise than asked
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Pass over the gate that stops files for this reason, such as TooSmall; may be given several times
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub(crate) force: Vec<String>,
    /// Tell what happens until the job has ended; fails when it ends otherwise than asked
    #[arg(long)]
    pub(crate) wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EncodeArguments {
    /// Name of the MediaLibrary
    pub(crate) library: String,
    /// Path of the file below the library's root
    pub(crate) path: String,
    /// Pass over the gate that stops files for this reason, such as TooSmall; may be given several times
    #[arg(long, value_name = "REASON", value_delimiter = ',')]
    pub(crate) force: Vec<String>,
    /// Jobs with a higher number start first [default: 0]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true)]
    pub(crate) priority: Option<i32>,
    /// Tell what happens until the job has ended; fails when it ends otherwise than asked
    #[arg(long)]
    pub(crate) wait: bool,
}

/// Formats of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TopFormat {
    /// For a terminal of 120 columns
    Table,
    /// Nothing cut
    Wide,
    /// A JSON document with jobs, nodes' means, counts and the last events
    Json,
}

/// Formats of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal; long paths are cut
    Table,
    /// Nothing cut
    Wide,
    /// A JSON list
    Json,
    /// A YAML list
    Yaml,
}

/// Formats of a text that has no table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DocumentFormat {
    /// For people
    Text,
    /// A JSON list
    Json,
    /// A YAML list
    Yaml,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed_and_calls_itself_kubectl_av1() {
        Arguments::command().debug_assert();
        let help = Arguments::command().render_help().to_string();
        assert!(help.contains("Usage: kubectl av1 "), "{help}");
    }

    #[test]
    fn top_is_live_unless_a_frame_is_asked_for() {
        let frame = |line: &[&str]| match Arguments::try_parse_from([&["kubectl-av1", "top"], line].concat())
            .unwrap()
            .command
        {
            Command::Top(top) => top.frame(),
            other => panic!("{other:?}"),
        };
        assert_eq!(frame(&["--prometheus", "http://p:9090"]), None);
        assert_eq!(frame(&["--once"]), Some(TopFormat::Table));
        assert_eq!(frame(&["-o", "json"]), Some(TopFormat::Json));
        assert_eq!(frame(&["--once", "-o", "wide"]), Some(TopFormat::Wide));
    }

    #[test]
    fn a_change_takes_a_job_or_a_library_and_a_path() {
        let target = |line: &[&str]| match Arguments::try_parse_from([&["kubectl-av1"], line].concat()).unwrap().command
        {
            Command::Undo(change) => (change.target.name, change.target.path, change.wait),
            other => panic!("{other:?}"),
        };
        assert_eq!(target(&["undo", "films-1", "--wait"]), ("films-1".into(), None, true));
        assert_eq!(target(&["undo", "films", "a b.mkv"]), ("films".into(), Some("a b.mkv".into()), false));
        assert!(Arguments::try_parse_from(["kubectl-av1", "encode", "films"]).is_err());
        assert!(
            Arguments::try_parse_from(["kubectl-av1", "encode", "films", "--priority", "-5", "--", "-x.mkv"]).is_ok()
        );
    }

    #[test]
    fn one_namespace_and_all_of_them_exclude_each_other() {
        assert!(Arguments::try_parse_from(["kubectl-av1", "status", "-A", "-n", "media"]).is_err());
        assert!(Arguments::try_parse_from(["kubectl-av1", "status", "-n", "media", "films"]).is_ok());
    }
}
