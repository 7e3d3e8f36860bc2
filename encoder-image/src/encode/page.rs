//! The HTTP page of an encode pod (`/progress`, `/healthz`, `/metrics`), and the signals that end it. Both live on a thread of
//! their own, so that no step of the encode can hold them up.
//!
//! May: listen on the given address. Must never: wait for the encode.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use av1_crds::wire::EncodeProgress;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::signal::unix::{SignalKind, signal};

use crate::role::Listener;
use crate::supervise::request_stop;

/// The figures that the page shows; a handle that can be copied around.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<EncodeProgress>>);

impl Board {
    /// Changes the figures and stamps them with the time.
    pub(crate) fn update(&self, change: impl FnOnce(&mut EncodeProgress)) {
        let mut progress = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut progress);
        progress.timestamp_unix_ms = unix_ms();
    }

    /// The figures.
    pub(crate) fn read(&self) -> EncodeProgress {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts the page, and turns SIGTERM and SIGINT into a request to stop.
///
/// # Errors
/// When the address is taken or the thread can't be started.
pub(crate) fn serve(listen: SocketAddr, socket: Option<&Path>, board: Board) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(Listener::bind(listen, socket))?;
    let (mut terminate, mut interrupt) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?)
    };
    let app = Router::new()
        .route("/progress", get(async |State(board): State<Board>| Json(board.read())))
        .route("/healthz", get(async || "ok\n"))
        .route("/metrics", get(metrics))
        .with_state(board);
    std::thread::Builder::new().name("page".to_owned()).spawn(move || {
        runtime.block_on(async move {
            tokio::spawn(async move {
                loop {
                    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                    tracing::info!("asked to end");
                    request_stop();
                }
            });
            let served = match listener {
                Listener::Tcp(listener) => axum::serve(listener, app).await,
                Listener::Unix(listener) => axum::serve(listener, app).await,
            };
            if let Err(e) = served {
                tracing::error!("the page ended: {e}");
            }
        });
    })?;
    Ok(())
}

async fn metrics(State(board): State<Board>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text(&board.read()))
}

/// The figures as Prometheus text.
#[allow(clippy::cast_precision_loss)]
fn text(progress: &EncodeProgress) -> String {
    let mut gauges = vec![
        ("av1_agent_encode_frames", "Frames encoded: of finished chunks and in flight.", progress.frames as f64),
        ("av1_agent_encode_total_frames", "Frames in all; 0 until they are counted.", progress.total_frames as f64),
        ("av1_agent_encode_frames_per_second", "Frames a second over the last minute.", progress.frames_per_second),
        ("av1_agent_encode_chunks_done", "Finished chunks.", f64::from(progress.chunks_done)),
        ("av1_agent_encode_chunks", "Chunks in all.", f64::from(progress.chunks)),
    ];
    if let Some(eta) = progress.eta_seconds {
        gauges.push(("av1_agent_encode_eta_seconds", "Seconds until the last frame is encoded.", eta as f64));
    }
    if let Some(size) = progress.projected_size {
        gauges.push(("av1_agent_encode_projected_bytes", "Projected size of the output in bytes.", size as f64));
    }
    gauges
        .into_iter()
        .map(|(name, help, value)| format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}\n"))
        .collect()
}

fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}
