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
    #[error("files belongs to one library, so it needs its namespace: use -n instead of -A")]
    NamespaceNeeded,
    #[error(
        "the catalog of {library} does not answer ({message}): `kubectl av1 status {library} -n {namespace}` says why"
    )]
    Catalog { namespace: String, library: String, message: String },
    #[error("cannot {action}: {message}")]
    Api { action: String, message: String },
    #[error("cannot read the answer to \"{action}\": {cause}; do operator and plugin have the same version?")]
    Answer { action: String, cause: String },
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

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
