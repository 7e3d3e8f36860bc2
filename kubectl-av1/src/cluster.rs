//! The cluster, as far as this program reads it: objects page by page, and pages of services through the API server's proxy.
//!
//! May: read a kubeconfig, talk to the API server, make and change EncodeJobs, change MediaLibraries. Must never: write anything
//! else to it, or decide how something looks.

pub(crate) mod inspect;

use std::fmt::Debug;
use std::time::Duration;

use av1_crds::{EncodeJob, MediaLibrary};
use k8s_openapi::api::core::v1::{Event, Service};
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::DeserializeGuard;
use kube::{Api, Client, Config, Resource};
use serde::de::DeserializeOwned;

use crate::args::ClusterArguments;
use crate::error::Error;

/// Objects in one answer of the API server.
const PAGE: u32 = 500;
/// A cluster that has not taken the connection by then is away.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// An answer that has not come by then will not come.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Objects of one kind, and how many could not be read.
#[derive(Debug, Default)]
pub(crate) struct Listed<K> {
    pub(crate) items: Vec<K>,
    /// Name and error of each object that this version cannot read.
    pub(crate) unreadable: Vec<String>,
}

/// Events of the kinds of av1-operator.
pub(crate) const OUR_EVENTS: &str = "involvedObject.apiVersion=av1.media/v1alpha1";
/// What a service says when it is asked for a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Page {
    /// The page.
    Got(String),
    /// An error of its own, with its words.
    Refused { code: u16, message: String },
}

/// What kube gives as the reason of an error that is no answer of the API server's own.
const NOT_A_STATUS: &str = "Failed to parse error data";

/// A connection and the namespaces that were asked for.
#[derive(Clone)]
pub(crate) struct Cluster {
    client: Client,
    server: String,
    /// The one namespace to look at; none means all.
    pub(crate) namespace: Option<String>,
}

impl Cluster {
    /// Reads the kubeconfig; does not connect yet.
    pub(crate) async fn open(arguments: &ClusterArguments) -> Result<Self, Error> {
        let options = KubeConfigOptions { context: arguments.context.clone(), ..KubeConfigOptions::default() };
        let mut config = match &arguments.kubeconfig {
            Some(path) => {
                Config::from_custom_kubeconfig(Kubeconfig::read_from(path).map_err(Error::Config)?, &options).await
            }
            None => Config::from_kubeconfig(&options).await,
        }
        .map_err(Error::Config)?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(ANSWER_TIMEOUT);
        config.reset_reader_on_write = true;
        // Somebody waits for the answer: a proxied page that is away is reported, not asked for fifteen times.
        config.default_retry = false;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let namespace = if arguments.all_namespaces {
            None
        } else {
            Some(arguments.namespace.clone().unwrap_or_else(|| config.default_namespace.clone()))
        };
        let client = Client::try_from(config)
            .map_err(|error| Error::Client { server: server.clone(), cause: innermost(&error) })?;
        Ok(Self { client, server, namespace })
    }

    pub(crate) async fn libraries(&self) -> Result<Listed<MediaLibrary>, Error> {
        self.list(self.api(), ListParams::default(), "list MediaLibraries").await
    }

    pub(crate) async fn jobs(&self) -> Result<Listed<EncodeJob>, Error> {
        self.list(self.api(), ListParams::default(), "list EncodeJobs").await
    }

    /// Events of both kinds.
    pub(crate) async fn events(&self) -> Result<Listed<Event>, Error> {
        self.list(self.api(), ListParams::default().fields(OUR_EVENTS), "list Events").await
    }

    /// The same connection, for another namespace.
    pub(crate) fn looking_at(&self, namespace: Option<String>) -> Self {
        Self { namespace, ..self.clone() }
    }

    pub(crate) async fn library(&self, namespace: &str, name: &str) -> Result<MediaLibrary, Error> {
        let found = self.find_library(namespace, name).await?;
        found.ok_or_else(|| Error::NoLibrary { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// None when there is no such library.
    pub(crate) async fn find_library(&self, namespace: &str, name: &str) -> Result<Option<MediaLibrary>, Error> {
        let api: Api<MediaLibrary> = Api::namespaced(self.client.clone(), namespace);
        let action = format!("read MediaLibrary {name}");
        match api.get_opt(name).await {
            Ok(Some(library)) => Ok(Some(library)),
            Ok(None) => {
                // Distinguishes a missing object from a missing kind.
                self.list_page(
                    &Api::<DeserializeGuard<MediaLibrary>>::namespaced(self.client.clone(), namespace),
                    &ListParams::default().limit(1),
                    &action,
                )
                .await?;
                Ok(None)
            }
            Err(error) => Err(self.explain(error, &action)),
        }
    }

    pub(crate) async fn job(&self, namespace: &str, name: &str) -> Result<EncodeJob, Error> {
        let found = self.find_job(namespace, name).await?;
        found.ok_or_else(|| Error::NoJob { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// None when there is no such job.
    pub(crate) async fn find_job(&self, namespace: &str, name: &str) -> Result<Option<EncodeJob>, Error> {
        let api: Api<EncodeJob> = Api::namespaced(self.client.clone(), namespace);
        api.get_opt(name).await.map_err(|error| self.explain(error, &format!("read EncodeJob {name}")))
    }

    /// Changes what `patch` names of a job, and gives the job as it is then.
    pub(crate) async fn patch_job(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<EncodeJob, Error> {
        let api: Api<EncodeJob> = Api::namespaced(self.client.clone(), namespace);
        let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map_err(|error| self.explain(error, &format!("change EncodeJob {name}")))
    }

    /// Changes what `patch` names of a library, and gives the library as it is then.
    pub(crate) async fn patch_library(
        &self,
        namespace: &str,
        name: &str,
        patch: &serde_json::Value,
    ) -> Result<MediaLibrary, Error> {
        let api: Api<MediaLibrary> = Api::namespaced(self.client.clone(), namespace);
        let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await;
        patched.map_err(|error| self.explain(error, &format!("change MediaLibrary {name}")))
    }

    pub(crate) async fn create_job(&self, namespace: &str, job: &EncodeJob) -> Result<EncodeJob, Error> {
        let api: Api<EncodeJob> = Api::namespaced(self.client.clone(), namespace);
        let made = api.create(&PostParams::default(), job).await;
        made.map_err(|error| self.explain(error, "make an EncodeJob"))
    }

    /// Services with these labels in every namespace.
    pub(crate) async fn services(&self, labels: &str) -> Result<Vec<Service>, Error> {
        let api: Api<Service> = Api::all(self.client.clone());
        let list = api.list(&ListParams::default().labels(labels)).await;
        list.map(|list| list.items).map_err(|error| self.explain(error, "list Services"))
    }

    /// The body of a service's page, through the API server with the user's own rights.
    pub(crate) async fn page(&self, namespace: &str, service: &str, path_and_query: &str) -> Result<String, Error> {
        match self.find_page(namespace, service, path_and_query).await? {
            Page::Got(text) => Ok(text),
            Page::Refused { message, .. } => {
                Err(Error::Api { action: format!("read {path_and_query} of service {service}"), message })
            }
        }
    }

    /// The same, where it may be that the service answers with an error of its own.
    pub(crate) async fn find_page(&self, namespace: &str, service: &str, path_and_query: &str) -> Result<Page, Error> {
        let uri = format!("/api/v1/namespaces/{namespace}/services/{service}/proxy/{path_and_query}");
        let action = format!("read {path_and_query} of service {service}");
        let request = http::Request::get(uri)
            .body(Vec::new())
            .map_err(|error| Error::Api { action: action.clone(), message: error.to_string() })?;
        match self.client.request_text(request).await {
            Ok(text) => Ok(Page::Got(text)),
            // The API server's own answers are of its kind Status; what is not was said by the service.
            Err(kube::Error::Api(status)) if status.reason == NOT_A_STATUS => {
                Ok(Page::Refused { code: status.code, message: status.message.trim().to_owned() })
            }
            Err(error) => Err(self.explain(error, &action)),
        }
    }

    /// Objects of one kind in the namespaces that were asked for; one that cannot be read does not stop the others.
    pub(crate) fn api<K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>>(
        &self,
    ) -> Api<DeserializeGuard<K>>
    where
        DeserializeGuard<K>: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        }
    }

    async fn list<K>(&self, api: Api<DeserializeGuard<K>>, params: ListParams, action: &str) -> Result<Listed<K>, Error>
    where
        K: Clone + Debug + DeserializeOwned + Resource,
    {
        let mut listed = Listed { items: Vec::new(), unreadable: Vec::new() };
        let mut next = None;
        loop {
            let params = ListParams { limit: Some(PAGE), continue_token: next.take(), ..params.clone() };
            let page = self.list_page(&api, &params, action).await?;
            for item in page.items {
                match item.0 {
                    Ok(item) => listed.items.push(item),
                    Err(error) => {
                        listed.unreadable.push(format!("{}: {}", error.metadata.name.unwrap_or_default(), error.error))
                    }
                }
            }
            next = page.metadata.continue_.filter(|token| !token.is_empty());
            if next.is_none() {
                return Ok(listed);
            }
        }
    }

    async fn list_page<K>(
        &self,
        api: &Api<DeserializeGuard<K>>,
        params: &ListParams,
        action: &str,
    ) -> Result<kube::api::ObjectList<DeserializeGuard<K>>, Error>
    where
        K: Clone + Debug + DeserializeOwned + Resource,
    {
        api.list(params).await.map_err(|error| self.explain_kind(error, action))
    }

    /// Why objects of a kind could not be had.
    pub(crate) fn explain_kind(&self, error: kube::Error, action: &str) -> Error {
        match &error {
            kube::Error::Api(status) if status.code == 404 => Error::NotInstalled { server: self.server.clone() },
            _ => self.explain(error, action),
        }
    }

    fn explain(&self, error: kube::Error, action: &str) -> Error {
        let (server, action) = (self.server.clone(), action.to_owned());
        match error {
            kube::Error::Api(status) => match status.code {
                401 => Error::Unauthorized { server },
                403 => Error::Forbidden { action, message: status.message },
                _ => Error::Api { action, message: status.message.trim().to_owned() },
            },
            kube::Error::SerdeError(cause) => Error::Answer { action, cause: cause.to_string() },
            kube::Error::Auth(cause) => Error::Client { server, cause: innermost(&cause) },
            other => Error::Unreachable { server, cause: innermost(&other) },
        }
    }
}

/// The message at the bottom of a chain of errors: `Connection refused`, not the layers that pass it on.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}
