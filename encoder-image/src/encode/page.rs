//! The HTTP page of an encode pod (`/progress`, `/healthz`, `/metrics`), and the signals that end it. Both live on a thread of
//! their own, so that no step of the encode can hold them up; the node's figures are measured there too.
//!
//! May: listen on the given address. Must never: wait for the encode.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use av1_crds::wire::{EncodeProgress, NodeFigures};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use tokio::signal::unix::{SignalKind, signal};

use super::meter::{Meter, PERIOD};
use super::metrics;
use crate::exposition;
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

    /// Puts the node's figures among them; the others are as old as they are.
    fn measured(&self, node: Option<NodeFigures>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).node = node;
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
        .route("/metrics", get(text))
        .with_state(board.clone());
    std::thread::Builder::new().name("page".to_owned()).spawn(move || {
        runtime.block_on(async move {
            tokio::spawn(async move {
                loop {
                    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
                    tracing::info!("asked to end");
                    request_stop();
                }
            });
            tokio::spawn(watch_node(board));
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

async fn text(State(board): State<Board>) -> Response {
    match metrics::page(&board.read()) {
        Ok(text) => ([(CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response(),
        Err(e) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics could not be written: {e}\n")).into_response()
        }
    }
}

/// Keeps the node's figures on the page up to date.
async fn watch_node(board: Board) {
    let Some(mut meter) = Meter::new() else { return };
    loop {
        tokio::time::sleep(PERIOD).await;
        board.measured(meter.measure());
    }
}

fn unix_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_millis()).ok())
        .unwrap_or_default()
}
