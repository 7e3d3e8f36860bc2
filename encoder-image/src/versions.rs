//! Asks the tools for their versions: the command `av1-agent versions`, and the check at the start of an encode.
//!
//! May: run the tools. Must never: touch a file.

use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use av1_crds::reasons::exit;
use av1_media::command::Command;
use av1_media::versions::{Versions, calls};

use crate::supervise::{Limits, SuperviseError, capture};

/// No tool takes longer than this to print its version.
const WALL: Duration = Duration::from_secs(60);
/// FFmpeg's list of build options is the longest answer.
const MOST_BYTES: usize = 256 << 10;

/// What the tools of this image are.
///
/// # Errors
/// [`SuperviseError::Stopped`], when this process is to end: a tool that was stopped with it says nothing about the image.
pub(crate) fn look() -> Result<Versions, SuperviseError> {
    let found = Mutex::new(Ok(Versions::default()));
    let calls = calls();
    let ask = |tool: &str, command: &Command| {
        let answer = capture(command, &Limits { wall: WALL, stdout: MOST_BYTES });
        let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(versions) = found.as_mut() else { return };
        match answer {
            Ok(captured) => versions
                .record(tool, &format!("{}\n{}", String::from_utf8_lossy(&captured.stdout), captured.stderr_tail)),
            Err(stopped @ SuperviseError::Stopped { .. }) => *found = Err(stopped),
            Err(error) => versions.lacks(tool, error.to_string()),
        }
    };
    // All at once: most of the time goes into loading their libraries.
    std::thread::scope(|scope| {
        for (tool, command) in &calls {
            scope.spawn(|| ask(tool, command));
        }
    });
    found.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// Prints the versions; the exit code says whether the tools can do the work.
pub(crate) fn print() -> ExitCode {
    let versions = match look() {
        Ok(versions) => versions,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(exit::TOOLS);
        }
    };
    println!("{:<28} {}", "av1-agent", env!("CARGO_PKG_VERSION"));
    for (tool, version) in &versions.tools {
        println!("{tool:<28} {version}");
    }
    for (plugin, found) in &versions.plugins {
        println!("{plugin:<28} {}", if *found { "found" } else { "not found" });
    }
    for warning in versions.warnings() {
        eprintln!("warning: {warning}");
    }
    let problems = versions.problems();
    for problem in &problems {
        eprintln!("error: {problem}");
    }
    if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::TOOLS) }
}
