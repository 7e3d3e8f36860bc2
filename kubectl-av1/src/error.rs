//! What can go wrong, each in one sentence that says what to do. Must never: print or exit.

use kube::config::KubeconfigError;

/// Why a command ended without its result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("no cluster to ask: {}; name one with --kubeconfig, KUBECONFIG or --context", without_layers(.0))]
    Config(#[source] KubeconfigError),
    #[error("cannot make a client for {server}: {cause}")]
    Client { server: String, cause: String },
    #[error("cannot reach the cluster at {server}: {cause}; is it running, and is this the right context?")]
    Unreachable { server: String, cause: String },
    #[error("the cluster at {server} does not accept these credentials: log in again, or choose another --context")]
    Unauthorized { server: String },
    #[error("not allowed to {action}: {message}; ask whoever runs the cluster for that right")]
    Forbidden { action: String, message: String },
    #[error(
        "the cluster at {server} does not know the kinds of av1-operator: install its chart first (helm install av1-operator helm/av1-operator)"
    )]
    NotInstalled { server: String },
    #[error("no MediaLibrary {name} in namespace {namespace}: `kubectl get medialibraries -A` lists them all")]
    NoLibrary { namespace: String, name: String },
    #[error("this is about one library or job, so it needs its namespace: use -n instead of -A")]
    NamespaceNeeded,
    #[error("no EncodeJob {name} in namespace {namespace}: `kubectl get encodejobs -n {namespace}` lists them all")]
    NoJob { namespace: String, name: String },
    #[error("no EncodeJob of {path} in library {library}: `kubectl av1 encode {library} PATH` makes one")]
    NoJobOfFile { library: String, path: String },
    #[error("{job} has ended already ({phase}): nothing to {action}")]
    Ended { job: String, phase: &'static str, action: &'static str },
    #[error("{job} works on the file already ({phase}): wait for it, or cancel it first")]
    Alive { job: String, phase: &'static str },
    #[error("{job} ended otherwise than asked: `kubectl describe encodejob {job}` tells all")]
    EndedOtherwise { job: String },
    #[error(
        "the catalog of {library} does not answer ({message}): `kubectl av1 status {library} -n {namespace}` says why"
    )]
    Catalog { namespace: String, library: String, message: String },
    #[error("cannot {action}: {message}")]
    Api { action: String, message: String },
    #[error("cannot read the answer to \"{action}\": {cause}; do operator and plugin have the same version?")]
    Answer { action: String, cause: String },
    #[error(
        "stdout is no terminal: `kubectl av1 top --once` prints one frame as text, `kubectl av1 top -o json` a document"
    )]
    NoTerminal,
    #[error("ended by {name}")]
    Signal { name: &'static str, number: u8 },
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl Error {
    /// Exit code of the program. A wrong command line is 2, by clap.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::EndedOtherwise { .. } => ENDED_OTHERWISE,
            // As shells have it of a program that a signal ended.
            Self::Signal { number, .. } => 128 + number,
            _ => FAILED,
        }
    }
}

/// Exit code of a command that could not do what it is for.
const FAILED: u8 = 1;
/// Exit code of a command that waited for a job which ended otherwise than asked.
const ENDED_OTHERWISE: u8 = 3;

/// The two mistakes that users make, in plain words; the others as they come.
fn without_layers(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(cause, path) => {
            format!("cannot read {}: {cause}", path.display())
        }
        KubeconfigError::LoadContext(name) => format!("the kubeconfig has no context {name}"),
        other => other.to_string(),
    }
}
