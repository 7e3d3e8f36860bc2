//! The catalog role: keeps the list of a library's files with their verdicts and serves it.
//!
//! May: read the library, run ffprobe, write its index and heartbeat in its own folder. Must never: write anything else, or scan a
//! volume that is not the one in its task.

pub(crate) mod decisions;
mod explain;
mod http;
mod index;
mod leftovers;
mod metrics;
mod outcomes;
mod scan;
mod sidecars;
mod state;
mod tree;
mod unread;

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use av1_crds::reasons;
use av1_crds::wire::CatalogTask;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Semaphore;

use crate::role::now;
use crate::role::{Listener, PodArgs, RoleFailure};
use crate::supervise;
use decisions::Decisions;
use state::Catalog;

/// How often the heartbeat is written.
const HEARTBEAT: Duration = Duration::from_secs(30);
/// Longest wait for requests and the scan thread at the end.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// What the scan thread and the pages share.
struct Shared {
    task: CatalogTask,
    /// The library's root.
    library: PathBuf,
    /// The catalog's own folder.
    folder: PathBuf,
    catalog: RwLock<Catalog>,
    /// What receipts say, as the last scan read them.
    decisions: RwLock<Decisions>,
    /// Taken by whoever has one file looked at: no more than one at a time.
    explaining: Arc<Semaphore>,
    stop: Mutex<bool>,
    stopping: Condvar,
}

impl Shared {
    // A panic while a lock was held leaves at worst one entry unwritten: the rest is still right.
    fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn catalog_mut(&self) -> RwLockWriteGuard<'_, Catalog> {
        self.catalog.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn decisions(&self) -> RwLockReadGuard<'_, Decisions> {
        self.decisions.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn decisions_mut(&self) -> RwLockWriteGuard<'_, Decisions> {
        self.decisions.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_flag(&self) -> MutexGuard<'_, bool> {
        self.stop.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        *self.stop_flag()
    }

    /// Ends the scan thread and whatever program it waits for.
    fn stop(&self) {
        *self.stop_flag() = true;
        self.stopping.notify_all();
        supervise::request_stop();
    }

    /// Waits until `until`, or until the process is asked to stop.
    fn wait_for_stop(&self, until: Instant) {
        let wait = until.saturating_duration_since(Instant::now());
        drop(self.stopping.wait_timeout_while(self.stop_flag(), wait, |stop| !*stop));
    }
}

/// Serves the catalog until the pod is asked to end.
pub(crate) fn run(task: &CatalogTask, args: &PodArgs) -> Result<(), RoleFailure> {
    let shared = Arc::new(Shared {
        task: task.clone(),
        library: args.library.clone(),
        folder: args.catalog.clone(),
        catalog: RwLock::default(),
        decisions: RwLock::default(),
        explaining: Arc::new(Semaphore::new(1)),
        stop: Mutex::new(false),
        stopping: Condvar::new(),
    });
    let failed = |what: &str, e: std::io::Error| RoleFailure::retry(reasons::IO_ERROR, format!("{what}: {e}"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| failed("the HTTP server's threads could not be started", e))?;
    let listener = runtime
        .block_on(Listener::bind(args.listen, args.socket.as_deref()))
        .map_err(|e| failed(&format!("listening on {}", args.listen), e))?;
    let scanning = Arc::clone(&shared);
    let scanner = std::thread::Builder::new()
        .name("scan".to_owned())
        .spawn(move || scan::run(&scanning))
        .map_err(|e| failed("the scan thread could not be started", e))?;
    tracing::info!("serving on {}", args.listen);
    let ended = runtime.block_on(serve(listener, Arc::clone(&shared), || scanner.is_finished()));
    shared.stop();
    let until = Instant::now() + LAST_WAIT;
    while !scanner.is_finished() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    runtime.shutdown_background();
    ended
}

/// Serves until a signal asks to end, or the scan thread is gone.
async fn serve(listener: Listener, shared: Arc<Shared>, scanner_ended: impl Fn() -> bool) -> Result<(), RoleFailure> {
    let failed = |e: std::io::Error| RoleFailure::retry(reasons::IO_ERROR, format!("the HTTP server ended: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut beat = tokio::time::interval(HEARTBEAT);
    let mut watch = tokio::time::interval(Duration::from_secs(1));
    let mut beaten = false;
    let end = Arc::new(tokio::sync::Notify::new());
    let asked = Arc::clone(&end);
    let (router, asked) = (http::router(Arc::clone(&shared)), async move { asked.notified().await });
    let mut server = match listener {
        Listener::Tcp(listener) => {
            tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(asked).into_future())
        }
        Listener::Unix(listener) => {
            tokio::spawn(axum::serve(listener, router).with_graceful_shutdown(asked).into_future())
        }
    };
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            _ = beat.tick() => beaten = heartbeat(&shared),
            _ = watch.tick() => {
                beaten = beaten || heartbeat(&shared);
                if scanner_ended() {
                    return Err(RoleFailure::retry(reasons::IO_ERROR, "the scan thread ended unexpectedly: the pod is started again"));
                }
            }
            ended = &mut server => {
                let why = ended.map_or_else(|e| e.to_string(), |served| served.map_or_else(|e| e.to_string(), |()| "it stopped".to_owned()));
                return Err(RoleFailure::retry(reasons::IO_ERROR, format!("the HTTP server ended: {why}")));
            }
        }
    }
    tracing::info!("asked to end");
    end.notify_one();
    // A client that does not read its answer must not hold up the end.
    let _ = tokio::time::timeout(LAST_WAIT / 3, server).await;
    Ok(())
}

/// Says that the library is being looked after, if it is on the right volume.
fn heartbeat(shared: &Arc<Shared>) -> bool {
    if !shared.catalog().right_volume {
        return false;
    }
    let shared = Arc::clone(shared);
    tokio::task::spawn_blocking(move || {
        if let Err(e) = index::heartbeat(&shared.folder, &shared.task, &now().to_string()) {
            tracing::warn!("the heartbeat could not be written: {e}");
        }
    });
    true
}
