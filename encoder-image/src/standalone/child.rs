//! A role as a process of its own: started with a task, watched over its socket, and its message read when it ends.
//!
//! May: start this program in another role, read its pages. Must never: believe a message of a role that it did not start.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use av1_crds::wire::{MAX_TERMINATION_MESSAGE, PodFailure, PodResult};
use rustix::process::Signal;
use serde::{Serialize, de::DeserializeOwned};

use super::library::Library;
use crate::supervise::{Running, describe, last_lines};

/// Longest wait for an answer of a page.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes of an answer.
const MOST_ANSWER: u64 = 64 << 20;

/// A role that runs.
pub(crate) struct Child {
    running: Running,
    folder: PathBuf,
}

/// How a role ended.
#[derive(Debug)]
pub(crate) enum End<T> {
    /// It did its work.
    Done(T),
    /// It could not.
    Failed(PodFailure),
    /// It left no message: it was killed, or never came so far.
    Lost(String),
}

impl Child {
    /// Starts `role` with `task`; `options` are more of its arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    pub(crate) fn start<T: Serialize>(
        library: &Library,
        role: &str,
        task: &T,
        options: &[(&str, &Path)],
        env: &[(&str, OsString)],
    ) -> Result<Self, String> {
        let failed = |e: &dyn std::fmt::Display| format!("starting the role {role}: {e}");
        let folder = library.temporary.folder().map_err(|e| failed(&e))?;
        let mut args: Vec<OsString> = vec!["pod".into(), role.into(), "--task".into()];
        args.push(serde_json::to_string(task).map_err(|e| failed(&e))?.into());
        let own = [("--library", library.root.as_path()), ("--termination-log", &folder.join("message"))];
        for (name, value) in own.into_iter().chain(options.iter().copied()) {
            args.extend([name.into(), value.into()]);
        }
        if matches!(role, "encode" | "catalog") {
            args.extend(["--confined".into(), "--socket".into(), folder.join("page").into()]);
        }
        let held = library.lock.try_clone().map_err(|e| failed(&e))?;
        let running = Running::start_own(&args, env, Stdio::from(held)).map_err(|e| failed(&e))?;
        Ok(Self { running, folder })
    }

    /// How it ended, once it has.
    pub(crate) fn ended<T: DeserializeOwned>(&mut self) -> Option<End<T>> {
        let status = match self.running.poll() {
            Ok(None) => return None,
            Ok(Some(status)) => describe(status),
            Err(e) => e.to_string(),
        };
        let said = self.running.end();
        let message = fs::read(self.folder.join("message")).unwrap_or_default();
        Some(match serde_json::from_slice(&message) {
            Ok(PodResult::Done(result)) if message.len() <= MAX_TERMINATION_MESSAGE => End::Done(result),
            Ok(PodResult::Failed(failure)) => End::Failed(failure),
            _ => End::Lost(format!("{status}: {}", last_lines(&said))),
        })
    }

    /// Asks it to end.
    pub(crate) fn ask_to_end(&self) {
        self.running.signal(Signal::TERM);
    }

    /// What its page at `path` says.
    ///
    /// # Errors
    /// When it does not answer, or not with such JSON.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> io::Result<T> {
        let mut stream = UnixStream::connect(self.folder.join("page"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.take(MOST_ANSWER).read_to_end(&mut answer)?;
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not the answer of a page");
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or_else(wrong)?;
        let status = answer.split(|byte| *byte == b' ').nth(1).ok_or_else(wrong)?;
        if status != b"200" {
            return Err(io::Error::other(format!("the page answers {}", String::from_utf8_lossy(status))));
        }
        Ok(serde_json::from_slice(&answer[end + 4..])?)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
