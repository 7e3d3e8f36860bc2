//! Counts the requests to the API server by verb and code, as a layer of the client. May: look at method, address and answer.
//! Must never: change either.

use std::task::{Context, Poll};

use av1_crds::metrics as table;
use axum::http::{Method, Request, Response, StatusCode, Uri};
use futures::future::BoxFuture;
use tower::{Layer, Service};

use crate::metrics::Metrics;

/// The layer.
#[derive(Clone)]
pub(crate) struct CountRequests(pub(crate) Metrics);

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, metrics: self.0.clone() }
    }
}

/// A service whose requests are counted.
pub(crate) struct Counted<S> {
    inner: S,
    metrics: Metrics,
}

impl<S, In, Out> Service<Request<In>> for Counted<S>
where
    S: Service<Request<In>, Response = Response<Out>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<In>) -> Self::Future {
        let verb = verb(request.method(), request.uri());
        let pending = Pending { metrics: self.metrics.clone(), verb, code: None };
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut pending = pending;
            let answer = answer.await;
            pending.code = answer.as_ref().ok().map(Response::status);
            answer
        })
    }
}

/// A request; counted when it is over, also when nobody waited for its answer.
struct Pending {
    metrics: Metrics,
    verb: &'static str,
    code: Option<StatusCode>,
}

impl Drop for Pending {
    fn drop(&mut self) {
        let code = self.code.as_ref().map_or("0", StatusCode::as_str);
        self.metrics.add(&table::API_REQUESTS, &[self.verb, code], 1.0);
    }
}

/// The verb of a request, as rules of access name it.
fn verb(method: &Method, uri: &Uri) -> &'static str {
    let is_named = names_an_object(uri.path());
    let asks = |word: &str| uri.query().is_some_and(|query| query.split('&').any(|part| part == word));
    match method.as_str() {
        "GET" if asks("watch=true") || asks("watch=1") => "watch",
        "GET" if is_named => "get",
        "GET" => "list",
        "POST" => "create",
        "PUT" => "update",
        "PATCH" => "patch",
        "DELETE" if is_named => "delete",
        "DELETE" => "deletecollection",
        _ => "other",
    }
}

/// Whether a path is of one object, or of none of the API's collections.
fn names_an_object(path: &str) -> bool {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let below = match parts.next() {
        Some("api") => parts.next().map(|_| parts),
        Some("apis") => parts.nth(1).map(|_| parts),
        _ => None,
    };
    let Some(below) = below else { return true };
    let below: Vec<&str> = below.collect();
    match below.as_slice() {
        ["namespaces", _, collection @ ..] if !collection.is_empty() => collection.len() > 1,
        rest => rest.len() != 1,
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::FutureExt;
    use futures::future::{pending, ready};

    use super::*;

    #[test]
    fn verbs_are_those_of_rules() {
        let table = [
            ("GET", "/api/v1/nodes?limit=500", "list"),
            ("GET", "/api/v1/namespaces/kube-system", "get"),
            ("GET", "/api/v1/namespaces", "list"),
            ("GET", "/api/v1/namespaces/media/pods?labelSelector=a%3Db", "list"),
            ("GET", "/api/v1/namespaces/media/pods?&watch=true&timeoutSeconds=290", "watch"),
            ("GET", "/apis/av1.media/v1alpha1/encodejobs?watch=true", "watch"),
            ("GET", "/apis/av1.media/v1alpha1/namespaces/media/encodejobs/films-1", "get"),
            ("GET", "/version", "get"),
            ("POST", "/apis/batch/v1/namespaces/media/jobs", "create"),
            ("PATCH", "/apis/av1.media/v1alpha1/namespaces/media/encodejobs/films-1/status", "patch"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/av1-system/leases/av1-operator", "update"),
            ("DELETE", "/apis/batch/v1/namespaces/media/jobs/a", "delete"),
            ("DELETE", "/apis/batch/v1/namespaces/media/jobs", "deletecollection"),
        ];
        for (method, address, expected) in table {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(verb(&method, &address.parse().unwrap()), expected, "{method} {address}");
        }
    }

    /// A service that answers at once, or never.
    struct Server(bool);

    impl Service<Request<()>> for Server {
        type Response = Response<()>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Response<()>, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<()>) -> Self::Future {
            if self.0 { ready(Ok(Response::new(()))).boxed() } else { pending().boxed() }
        }
    }

    #[test]
    fn a_request_counts_by_its_answer_and_as_0_when_nobody_waited() {
        let metrics = Metrics::new().unwrap();
        for answers in [true, true, false] {
            let mut service = CountRequests(metrics.clone()).layer(Server(answers));
            let request = Request::get("/api/v1/nodes").body(()).unwrap();
            assert_eq!(service.call(request).now_or_never().is_some(), answers);
        }
        let text = metrics.text().unwrap();
        assert!(text.contains("av1_operator_api_requests_total{code=\"200\",verb=\"list\"} 2"), "{text}");
        assert!(text.contains("av1_operator_api_requests_total{code=\"0\",verb=\"list\"} 1"), "{text}");
    }
}
