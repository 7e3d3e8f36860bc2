//! What `doctor` reads of the cluster besides libraries and jobs. Each look says what it came to; one that is not allowed or not
//! answered keeps no other from being taken.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, Page};
use crate::checks::Seen;
use crate::error::Error;

impl Cluster {
    /// Where the API server is.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// The API server's version, such as `v1.36.0`.
    pub(crate) async fn version(&self) -> Result<String, Error> {
        let version = self.client.apiserver_version().await;
        version.map(|info| info.git_version).map_err(|error| self.explain(error, "read the API server's version"))
    }

    pub(crate) async fn definition(&self, name: &str) -> Seen<Value> {
        self.look(&format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")).await
    }

    pub(crate) async fn nodes(&self) -> Seen<Vec<Node>> {
        self.look::<kube::api::ObjectList<Node>>("/api/v1/nodes").await.map(|list| list.items)
    }

    pub(crate) async fn deployment(&self, namespace: &str, name: &str) -> Seen<Deployment> {
        self.look(&format!("/apis/apps/v1/namespaces/{namespace}/deployments/{name}")).await
    }

    pub(crate) async fn lease(&self, namespace: &str, name: &str) -> Seen<Lease> {
        self.look(&format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}")).await
    }

    /// A page of a service.
    pub(crate) async fn look_at_page(&self, namespace: &str, service: &str, path: &str) -> Seen<String> {
        match self.find_page(namespace, service, path).await {
            Ok(Page::Got(text)) => Seen::Got(text),
            Ok(Page::Refused { code, message }) => Seen::Away(format!("{message} ({code})")),
            Err(error) => not_seen(error),
        }
    }

    async fn look<T: DeserializeOwned>(&self, uri: &str) -> Seen<T> {
        let action = format!("read {uri}");
        let request = match http::Request::get(uri).body(Vec::new()) {
            Ok(request) => request,
            Err(error) => return Seen::Away(error.to_string()),
        };
        match self.client.request(request).await {
            Ok(found) => Seen::Got(found),
            Err(kube::Error::Api(status)) if status.code == 404 => Seen::Absent,
            Err(error) => not_seen(self.explain(error, &action)),
        }
    }
}

/// Why there is nothing to see.
pub(crate) fn not_seen<T>(error: Error) -> Seen<T> {
    match error {
        Error::Forbidden { message, .. } => Seen::Denied(message),
        Error::Api { message, .. } => Seen::Away(message),
        other => Seen::Away(other.to_string()),
    }
}
