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
    #[error("{library} has no file and no job at {path}: `kubectl av1 files {library}` lists every path")]
    NoFile { library: String, path: String },
    #[error("both a MediaLibrary and an EncodeJob are named {name}: write library/{name} or job/{name}")]
    BothKinds { name: String },
    #[error(
        "no MediaLibrary and no EncodeJob {name} in namespace {namespace}: `kubectl get medialibraries,encodejobs -n {namespace}` lists them all"
    )]
    NeitherKind { namespace: String, name: String },
    #[error(
        "no EncodeJob of {path} in library {library}, so there is nothing to {action}: `kubectl av1 {action} {library}` is about the whole library, `kubectl av1 skip` keeps one file as it is"
    )]
    NothingToHold { library: String, path: String, action: &'static str },
    #[error("{job} does not encode (its spec.desired is {desired}): only encodes can be paused")]
    NoEncode { job: String, desired: String },
    #[error("{0}")]
    HeldOtherwise(String),
    #[error("{problems} of {checks} checks found something: each line above that is not ok says what to do")]
    Unwell { problems: usize, checks: usize },
    #[error("the settings of {library} cannot be used: {message}: `kubectl av1 status {library}` says more")]
    Settings { library: String, message: String },
    #[error("cannot write {file}: {cause}")]
    File { file: String, cause: String },
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
    /// Exit code of the program, one of [`EXIT_CODES`].
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::EndedOtherwise { .. } | Self::HeldOtherwise(_) => exit::ENDED_OTHERWISE,
            Self::Unwell { .. } => exit::UNWELL,
            Self::Forbidden { .. } | Self::Unauthorized { .. } => exit::NOT_ALLOWED,
            Self::Config(_) | Self::Client { .. } | Self::Unreachable { .. } => exit::NO_CLUSTER,
            // As shells have it of a program that a signal ended.
            Self::Signal { number, .. } => 128 + number,
            _ => exit::FAILED,
        }
    }
}

/// Exit codes by name.
mod exit {
    pub(super) const FAILED: u8 = 1;
    pub(super) const ENDED_OTHERWISE: u8 = 3;
    pub(super) const UNWELL: u8 = 4;
    pub(super) const NOT_ALLOWED: u8 = 5;
    pub(super) const NO_CLUSTER: u8 = 6;
}

/// Every exit code with its meaning. Clap ends with 2 by itself.
#[cfg(test)]
pub(crate) const EXIT_CODES: [(u8, &str); 7] = [
    (0, "Done. What was asked for is so, or was printed."),
    (exit::FAILED, "Not done: the message on stderr says why, and what to do."),
    (2, "The command line is wrong; the message names what is."),
    (exit::ENDED_OTHERWISE, "`--wait` waited, and it ended otherwise than asked."),
    (exit::UNWELL, "`doctor` found something that somebody has to put right."),
    (exit::NOT_ALLOWED, "The cluster does not allow it to this user, or does not know the user."),
    (exit::NO_CLUSTER, "There is no cluster to ask: no kubeconfig, no such context, or it does not answer."),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_stands_once_in_order_and_what_users_meet_has_one_of_its_own() {
        let codes: Vec<u8> = EXIT_CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6]);
        let forbidden = Error::Forbidden { action: "change EncodeJob a".into(), message: "no".into() };
        let context = Error::Config(KubeconfigError::LoadContext("gone".into()));
        assert!(context.to_string().contains("the kubeconfig has no context gone"), "{context}");
        let table = [
            (Error::NoJob { namespace: "media".into(), name: "a".into() }, 1),
            (Error::EndedOtherwise { job: "a".into() }, 3),
            (Error::Unwell { problems: 1, checks: 9 }, 4),
            (forbidden, 5),
            (context, 6),
        ];
        for (error, code) in table {
            assert_eq!(error.exit_code(), code, "{error}");
        }
    }
}
