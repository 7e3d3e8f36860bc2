//! Named points before and after every durable step. In a build with the feature `failpoints` a test can stop the process there
//! as kill -9 does, or make the step fail; in every other build they do nothing.
//!
//! `FAILPOINTS='settle::exchange::before=return(kill)'`; `ENOSPC` and `EIO` instead of `kill` fail the step, `hold` waits until
//! the file that `AV1_HOLD_UNTIL` names is there. An error after a step is that of a network file system which reports failure
//! for what it did. `AV1_TRACE_FAILPOINTS=FILE` appends the name of every point that is passed.

use std::io;

/// Runs a durable step between its two points.
pub(crate) fn durable<T>(name: &str, step: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    pass(name, "before")?;
    let value = step()?;
    pass(name, "after")?;
    Ok(value)
}

/// Reads `FAILPOINTS`; the points act as long as the value lives.
#[cfg(feature = "failpoints")]
pub(crate) fn setup() -> impl Drop {
    fail::FailScenario::setup()
}

/// Passes one point.
#[cfg(feature = "failpoints")]
pub(crate) fn pass(name: &str, moment: &str) -> io::Result<()> {
    let point = format!("{name}::{moment}");
    trace(&point)?;
    fail::fail_point!(&point, |action| inject(&point, action.as_deref().unwrap_or_default()));
    Ok(())
}

#[cfg(not(feature = "failpoints"))]
pub(crate) fn pass(_name: &str, _moment: &str) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
fn trace(point: &str) -> io::Result<()> {
    use std::io::Write;
    let Some(path) = std::env::var_os("AV1_TRACE_FAILPOINTS") else {
        return Ok(());
    };
    let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
    writeln!(file, "{point}")
}

#[cfg(feature = "failpoints")]
fn inject(point: &str, action: &str) -> io::Result<()> {
    use rustix::io::Errno;
    match action {
        "kill" => {
            // No destructor, no buffer and no handler runs: what is on the disk is what a crash leaves.
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort()
        }
        "ENOSPC" => Err(Errno::NOSPC.into()),
        "EIO" => Err(Errno::IO.into()),
        "hold" => {
            let until = std::env::var_os("AV1_HOLD_UNTIL").unwrap_or_default();
            while !std::path::Path::new(&until).exists() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            Ok(())
        }
        other => Err(io::Error::other(format!("failpoint {point}: unknown action {other:?}"))),
    }
}
