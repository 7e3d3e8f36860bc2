//! What the screen is fed with: watches of libraries, jobs and events, the operator's metrics, a Prometheus.
//!
//! May: read them and put messages into one bounded channel. Must never: keep more than what is shown, or give up.

use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use av1_crds::{EncodeJob, MediaLibrary};
use futures::StreamExt;
use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::{self, Event, watcher};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::model::{Change, Happening, Job, Key, Kind, Library, Message};
use super::prometheus;
use crate::cluster::{Cluster, OUR_EVENTS};
use crate::error::Error;
use crate::operator::Operator;
use crate::view::text::printable;

/// Messages that wait to be taken in; then the feeds wait.
const CAPACITY: usize = 1024;
/// Between two looks at the operator's metrics.
const PAGE: Duration = Duration::from_secs(2);
/// Seconds of one watch call: the server ends it before silence counts as an answer that does not come.
const WATCH_SECONDS: u32 = 25;
/// First and longest pause after a watch that ended with an error.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(5));
/// The server has forgotten what the watch had seen last.
const GONE: u16 = 410;

/// The feeds of one namespace, or of all.
pub(super) struct Feeds {
    pub(super) inbox: mpsc::Receiver<Message>,
    /// They end when this is dropped.
    pub(super) tasks: JoinSet<()>,
}

impl Feeds {
    /// Starts all of them.
    pub(super) fn start(cluster: &Cluster, prometheus: Option<&str>, now: i64) -> Self {
        let (sender, inbox) = mpsc::channel(CAPACITY);
        let mut tasks = JoinSet::new();
        let config = || watcher::Config::default().timeout(WATCH_SECONDS);
        let watch =
            |kind, action, config| Watch { cluster: cluster.clone(), sender: sender.clone(), kind, action, config };
        tasks.spawn(
            watch(Kind::Libraries, "watch MediaLibraries", config())
                .run(|library: &MediaLibrary| Library::new(library), Message::Libraries),
        );
        tasks
            .spawn(watch(Kind::Jobs, "watch EncodeJobs", config()).run(|job: &EncodeJob| Job::new(job), Message::Jobs));
        tasks.spawn(
            watch(Kind::Events, "watch Events", config().fields(OUR_EVENTS))
                .run(|event: &k8s_openapi::api::core::v1::Event| Happening::new(event), Message::Events),
        );
        tasks.spawn(pages(cluster.clone(), sender.clone()));
        if let Some(url) = prometheus {
            let (url, namespace) = (url.to_owned(), cluster.namespace.clone());
            tasks.spawn(async move {
                let history = prometheus::history(&url, namespace.as_deref(), now).await;
                // Nobody waits for it any more otherwise.
                let _ = sender.send(Message::History(history)).await;
            });
        }
        Self { inbox, tasks }
    }
}

/// One watch.
struct Watch {
    cluster: Cluster,
    sender: mpsc::Sender<Message>,
    kind: Kind,
    action: &'static str,
    config: watcher::Config,
}

impl Watch {
    /// Watches until nobody wants to know any more. After an error everything is listed anew: that the watch lives shows by that.
    async fn run<K, T>(self, read: fn(&K) -> T, message: fn(Change<T>) -> Message)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + Clone
            + Debug
            + DeserializeOwned
            + Send
            + 'static,
    {
        let mut pause = PAUSES.0;
        loop {
            let mut events = pin!(watcher(self.cluster.api::<K>(), self.config.clone()));
            while let Some(event) = events.next().await {
                let told = match event {
                    Ok(event) => {
                        if matches!(event, Event::InitDone) {
                            pause = PAUSES.0;
                        }
                        message(change(event, read))
                    }
                    Err(error) => match self.explain(error) {
                        Some(error) => Message::Lost(self.kind, error.to_string()),
                        None => continue,
                    },
                };
                let is_lost = matches!(told, Message::Lost(..));
                if self.sender.send(told).await.is_err() {
                    return;
                }
                if is_lost {
                    break;
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    }

    /// Why the watch ended; nothing when it lists anew by itself.
    fn explain(&self, error: watcher::Error) -> Option<Error> {
        use watcher::Error::{InitialListFailed, NoResourceVersion, WatchError, WatchFailed, WatchStartFailed};
        let action = || self.action.to_owned();
        match error {
            InitialListFailed(error) | WatchStartFailed(error) | WatchFailed(error) => match &error {
                kube::Error::Api(status) if status.code == GONE => None,
                _ => Some(self.cluster.explain_kind(error, self.action)),
            },
            WatchError(status) if status.code == GONE => None,
            WatchError(status) => Some(Error::Api { action: action(), message: status.message.clone() }),
            NoResourceVersion => {
                Some(Error::Answer { action: action(), cause: "it has no resourceVersion".to_owned() })
            }
        }
    }
}

/// What an event of a watch changes, with nothing of the object but what is shown.
fn change<K, T>(event: Event<DeserializeGuard<K>>, read: fn(&K) -> T) -> Change<T>
where
    K: Resource<DynamicType = ()>,
{
    match event {
        Event::Init => Change::Begin,
        Event::InitDone => Change::End,
        Event::Delete(object) => Change::Gone(key(&object)),
        Event::InitApply(object) | Event::Apply(object) => match &object.0 {
            Ok(readable) => Change::Put(Box::new(read(readable))),
            Err(error) => Change::Unreadable(key(&object), printable(&error.error)),
        },
    }
}

fn key(object: &impl Resource<DynamicType = ()>) -> Key {
    let meta = object.meta();
    Key { namespace: meta.namespace.clone().unwrap_or_default(), name: meta.name.clone().unwrap_or_default() }
}

/// The operator's metrics, again and again.
async fn pages(cluster: Cluster, sender: mpsc::Sender<Message>) {
    let mut operator = Operator::default();
    let mut every = interval(PAGE);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let page = operator.page(&cluster).await;
        if sender.send(Message::Page(page)).await.is_err() {
            return;
        }
    }
}
