//! Whether this process is asked to end: the first Ctrl-C or SIGTERM lets running chunks end, the second ends at once.
//!
//! Must never: leave what a second request kills in a state from which the next start cannot go on; it may be killed anywhere.

use std::io;
use std::process::exit;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use av1_crds::reasons;
use tokio::signal::unix::{SignalKind, signal};

/// A handle that can be copied around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Listens for signals on a thread of its own.
    ///
    /// # Errors
    /// When that thread cannot be started.
    pub(crate) fn listen() -> io::Result<Self> {
        let stop = Self::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut terminate, mut interrupt) = {
            let _inside = runtime.enter();
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
        };
        let asked = stop.clone();
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
            runtime.block_on(async move {
                loop {
                    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                    if asked.is_asked() {
                        // The roles are killed with this process.
                        exit(i32::from(reasons::exit::FAILURE));
                    }
                    asked.ask();
                }
            });
        })?;
        Ok(stop)
    }

    /// Asks this process to end.
    pub(crate) fn ask(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Whether it was asked.
    pub(crate) fn is_asked(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits, but not when it is asked.
    pub(crate) fn wait(&self, time: Duration) {
        let asked = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.0.1.wait_timeout_while(asked, time, |asked| !*asked));
    }
}
