//! The operator's HTTP page: `/healthz`, `/readyz`, `/metrics`. Served before the lease is held, so that standbys are ready too.
//! Must never: call the API server.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

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

/// Listens at `address`; at all of IPv4 where that is all of IPv6, which has IPv4 with it, and the machine has no IPv6.
///
/// # Errors
/// When the address is taken or not this machine's.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address).await;
    match listener {
        Err(error) if address.ip() == Ipv6Addr::UNSPECIFIED && error.kind() != ErrorKind::AddrInUse => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        listener => listener,
    }
}

/// Serves the page until the process ends.
///
/// # Errors
/// When the listener breaks.
pub(crate) async fn serve(listener: TcpListener, page: Page) -> std::io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn probes_reach_the_page_over_ipv4_whether_the_machine_has_ipv6_or_not() {
        let page = listen((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let port = page.local_addr().unwrap().port();
        tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap();
        if page.local_addr().unwrap().is_ipv6() {
            tokio::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        }
        let taken = listen((Ipv6Addr::UNSPECIFIED, port).into()).await.unwrap_err();
        assert_eq!(taken.kind(), ErrorKind::AddrInUse);
    }
}
