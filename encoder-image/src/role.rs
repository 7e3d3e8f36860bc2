//! What all roles share: their arguments, how a task is read, and how a result becomes a termination message and an exit code.
//!
//! May: write the termination message. Must never: touch the library.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use av1_crds::reasons::{self, exit};
use av1_crds::wire::{MAX_TERMINATION_MESSAGE, PodFailure, PodResult};
use av1_crds::{AGENT_PORT, paths};
use clap::Args;
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use tokio::net::TcpListener;

/// Arguments of every role; the paths are mount points in pods and can be other folders elsewhere.
#[derive(Debug, Clone, Args)]
pub(crate) struct PodArgs {
    /// The task as JSON.
    #[arg(long)]
    pub(crate) task: String,
    /// The library's root.
    #[arg(long, default_value = paths::LIBRARY)]
    pub(crate) library: PathBuf,
    /// The volume's root (prepare).
    #[arg(long, default_value = paths::VOLUME)]
    pub(crate) volume: PathBuf,
    /// The library's `.av1` (workdir).
    #[arg(long, default_value = paths::STATE_ROOT)]
    pub(crate) state_root: PathBuf,
    /// The run's work folder (encode).
    #[arg(long, default_value = paths::WORK)]
    pub(crate) work: PathBuf,
    /// A folder for all that need not outlive the pod, instead of the work folder (encode).
    #[arg(long)]
    pub(crate) scratch: Option<PathBuf>,
    /// The catalog's own folder (catalog).
    #[arg(long, default_value = paths::CATALOG)]
    pub(crate) catalog: PathBuf,
    /// Address of the HTTP page (catalog, encode).
    #[arg(long, default_value_t = SocketAddr::from((Ipv6Addr::UNSPECIFIED, AGENT_PORT)))]
    pub(crate) listen: SocketAddr,
    /// A Unix socket for the HTTP page, instead of an address (catalog, encode).
    #[arg(long)]
    pub(crate) socket: Option<PathBuf>,
    /// Give up the right to write anywhere but in the folders that the role needs (catalog, encode).
    #[arg(long)]
    pub(crate) confined: bool,
    /// UID of this pod; written into claims.
    #[arg(long, env = "POD_UID", default_value = "local")]
    pub(crate) pod_uid: String,
    /// Where the result goes.
    #[arg(long, default_value = "/dev/termination-log")]
    pub(crate) termination_log: PathBuf,
}

/// Where a role's pages are served.
pub(crate) enum Listener {
    /// At an address.
    Tcp(TcpListener),
    /// At a socket in the file system.
    Unix(tokio::net::UnixListener),
}

impl Listener {
    /// Listens on the socket, when there is one, else at the address; at all of IPv4 where that is all of IPv6, which has IPv4 with
    /// it, and the machine has no IPv6.
    ///
    /// # Errors
    /// When it is taken or cannot be made.
    pub(crate) async fn bind(listen: SocketAddr, socket: Option<&Path>) -> io::Result<Self> {
        match socket {
            Some(path) => tokio::net::UnixListener::bind(path).map(Self::Unix),
            None => match TcpListener::bind(listen).await {
                Err(e) if listen.ip() == Ipv6Addr::UNSPECIFIED && e.kind() != io::ErrorKind::AddrInUse => {
                    TcpListener::bind((Ipv4Addr::UNSPECIFIED, listen.port())).await.map(Self::Tcp)
                }
                bound => bound.map(Self::Tcp),
            },
        }
    }
}

/// Why a role could not do its work, and the exit code for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RoleFailure {
    pub(crate) failure: PodFailure,
    pub(crate) exit: u8,
}

impl RoleFailure {
    /// A failure that may heal.
    pub(crate) fn retry(reason: &str, message: impl Into<String>) -> Self {
        Self::new(reason, message, true, exit::FAILURE)
    }

    /// Bad input: trying again does not help.
    pub(crate) fn bad_input(reason: &str, message: impl Into<String>) -> Self {
        Self::new(reason, message, false, exit::BAD_INPUT)
    }

    /// Any other failure.
    pub(crate) fn new(reason: &str, message: impl Into<String>, retryable: bool, exit: u8) -> Self {
        Self {
            failure: PodFailure { reason: reason.to_owned(), message: message.into(), retryable, released: false },
            exit,
        }
    }

    /// Whether the claim that the pod had taken is let go of.
    pub(crate) fn released(mut self, released: bool) -> Self {
        self.failure.released = released;
        self
    }
}

/// The task in `args`.
pub(crate) fn task<T: DeserializeOwned>(args: &PodArgs) -> Result<T, RoleFailure> {
    serde_json::from_str(&args.task).map_err(|e| {
        RoleFailure::bad_input(
            reasons::INVALID_TASK,
            format!("the task could not be read ({e}): operator and agent may be of different versions"),
        )
    })
}

/// Writes the termination message and gives the exit code.
pub(crate) fn finish<T: Serialize>(args: &PodArgs, result: Result<T, RoleFailure>) -> ExitCode {
    let (message, exit) = match result {
        Ok(result) => (serde_json::to_string(&PodResult::Done(result)), exit::VERDICT),
        Err(error) => {
            tracing::error!(reason = %error.failure.reason, "{}", error.failure.message);
            (serde_json::to_string(&PodResult::<()>::Failed(shortened(error.failure))), error.exit)
        }
    };
    let written = match message {
        Ok(message) if message.len() <= MAX_TERMINATION_MESSAGE => {
            std::fs::write(&args.termination_log, message).map_err(|e| e.to_string())
        }
        Ok(message) => Err(format!("the result has {} bytes, more than {MAX_TERMINATION_MESSAGE}", message.len())),
        Err(e) => Err(e.to_string()),
    };
    match written {
        Ok(()) => ExitCode::from(exit),
        Err(e) => {
            tracing::error!("cannot write the result to {}: {e}", args.termination_log.display());
            ExitCode::from(exit::FAILURE)
        }
    }
}

/// Cuts the message so that the whole fits a termination message however it is escaped.
fn shortened(mut failure: PodFailure) -> PodFailure {
    const MOST: usize = 500;
    if failure.message.chars().count() > MOST {
        failure.message = failure.message.chars().take(MOST - 1).chain(['…']).collect();
    }
    failure
}

/// The time to the second, as records and messages have it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_are_reached_over_ipv4_whether_the_machine_has_ipv6_or_not() {
        let listen = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let Listener::Tcp(page) = Listener::bind(listen, None).await.unwrap() else { panic!("no address") };
        let address = page.local_addr().unwrap();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, address.port())).await.unwrap();
        if address.is_ipv6() {
            tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, address.port())).await.unwrap();
        }
    }
}
