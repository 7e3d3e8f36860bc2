//! What both controllers share: clients, options, metrics, memory of ended pods, Events.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use av1_crds::settings::SettingsSections;
use av1_crds::wire::CatalogSummary;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder};

use crate::agent_client::AgentClient;
use crate::build::{PodOptions, digest};
use crate::catalog_client::CatalogClient;
use crate::conditions::cut_bytes;
use crate::metrics::Metrics;
use crate::nodes::Nodes;
use crate::notifier::Notifier;
use crate::pods::EndedPods;
use crate::queue::Queues;
use crate::refusal::Seldom;
use crate::seen::Seen;
use crate::working::Working;

/// What both controllers share.
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) ended: EndedPods,
    pub(crate) seen: Arc<Seen>,
    pub(crate) catalogs: CatalogClient,
    pub(crate) agents: AgentClient,
    pub(crate) notifier: Notifier,
    pub(crate) options: Options,
    pub(crate) nodes: Nodes,
    pub(crate) working: Working,
    pub(crate) queues: Arc<Queues>,
    /// When the status of each library was written last, by namespace and name.
    pub(crate) written: Mutex<HashMap<(String, String), Instant>>,
    /// Last summaries by library UID, so that a burst of changes does not become a burst of requests.
    pub(crate) summaries: Mutex<HashMap<String, (Instant, CatalogSummary)>>,
    /// Failed reconciles in a row, by object.
    pub(crate) failures: Mutex<HashMap<String, u32>>,
    /// When a refusal by the API server was told last, by object.
    pub(crate) refusals: Seldom,
}

/// What the operator was started with, as far as decisions need it.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) pods: PodOptions,
    pub(crate) allow_host_paths: Vec<String>,
    pub(crate) allow_root: bool,
    /// What every library has that does not write it itself.
    pub(crate) library_defaults: SettingsSections,
    /// Whether the operator watches every namespace, so that a library it does not see does not exist.
    pub(crate) sees_all: bool,
    /// UID of the cluster.
    pub(crate) cluster: String,
}

#[cfg(test)]
impl Options {
    /// Of an operator that was started with nothing but its image.
    pub(crate) fn sample() -> Self {
        Self {
            pods: PodOptions {
                image: "encoder".into(),
                pull_policy: "Never".into(),
                pull_secret: None,
                grace_seconds: 120,
            },
            allow_host_paths: Vec::new(),
            allow_root: false,
            library_defaults: SettingsSections::default(),
            sees_all: true,
            cluster: "cluster".into(),
        }
    }
}

/// Most bytes of an Event's note that the API server takes.
const MOST_NOTE: usize = 1_024;

/// An Event to be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventDraft {
    pub(crate) warning: bool,
    pub(crate) reason: String,
    /// What the operator did, in at most 128 bytes; Events that differ in it are told apart.
    pub(crate) action: String,
    pub(crate) note: String,
}

impl EventDraft {
    /// Something that is as it should be.
    pub(crate) fn normal(reason: &str, action: &str, note: impl Into<String>) -> Self {
        Self { warning: false, reason: reason.to_owned(), action: action.to_owned(), note: note.into() }
    }

    /// Something that a person may want to look at.
    pub(crate) fn warning(reason: &str, action: &str, note: impl Into<String>) -> Self {
        Self { warning: true, ..Self::normal(reason, action, note) }
    }

    /// One of several that differ in `what` they are about: a path is too long for an action.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.action = format!("{}-{}", self.action, &digest(what)[..8]);
        self
    }
}

impl Context {
    /// Publishes Events; one that cannot be published is logged, nothing more depends on it.
    pub(crate) async fn publish(&self, about: &ObjectReference, events: Vec<EventDraft>) {
        for event in events {
            let draft = Event {
                type_: if event.warning { EventType::Warning } else { EventType::Normal },
                reason: event.reason,
                note: Some(cut_bytes(event.note, MOST_NOTE)),
                action: event.action,
                secondary: None,
            };
            match tokio::time::timeout(crate::api::CALL_LIMIT, self.recorder.publish(&draft, about)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "cannot publish an Event"),
                Err(_) => tracing::warn!("cannot publish an Event: no answer"),
            }
        }
    }

    /// Counts a failed reconcile of `object` and gives the pause before the next.
    pub(crate) fn back_off(&self, object: String) -> std::time::Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(object).or_insert(0);
        *count = count.saturating_add(1);
        std::time::Duration::from_millis(500 * (1 << (*count).min(7)))
    }

    /// Forgets the failures of `object`.
    pub(crate) fn succeeded(&self, object: &str) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(object);
        self.refusals.forget(object);
    }
}

/// Shared by all reconciles.
pub(crate) type Shared = Arc<Context>;
