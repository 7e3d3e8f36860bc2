//! The signals that end the screen. May: listen for them. Must never: end anything itself.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::Error;

/// Those that end a program, but for the one that cannot be caught.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Listens from now on.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next of them, as the error that the program ends with.
    pub(super) async fn next(&mut self) -> Error {
        tokio::select! {
            _ = self.terminate.recv() => Error::Signal { name: "SIGTERM", number: 15 },
            _ = self.interrupt.recv() => Error::Signal { name: "SIGINT", number: 2 },
            _ = self.hang_up.recv() => Error::Signal { name: "SIGHUP", number: 1 },
        }
    }
}
