//! The operator's HTTP page: `/healthz`, `/readyz`, `/metrics`. Served before the lease is held, so that standbys are ready too.
//! Must never: call the API server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use crate::metrics::Metrics;
use crate::queue::Queues;

/// What the page shows.
#[derive(Clone)]
pub(crate) struct Page {
    pub(crate) metrics: Metrics,
    pub(crate) queues: Arc<Queues>,
    /// Set once the API server has answered.
    pub(crate) ready: Arc<AtomicBool>,
}

/// Serves the page until the process ends.
///
/// # Errors
/// When the listener breaks.
pub(crate) async fn serve(listener: tokio::net::TcpListener, page: Page) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(page);
    axum::serve(listener, router).await
}

async fn readyz(State(page): State<Page>) -> (StatusCode, &'static str) {
    if page.ready.load(Ordering::Relaxed) {
        (StatusCode::OK, "ok\n")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "the API server has not answered yet\n")
    }
}

async fn metrics(State(page): State<Page>) -> impl IntoResponse {
    page.queues.measure(&page.metrics);
    match page.metrics.text() {
        Ok(text) => (StatusCode::OK, [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            format!("{error}\n"),
        ),
    }
}
