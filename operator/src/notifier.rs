//! Posts what became of files to those who are to be told. May: post to the URL that a library names. Must never: delay a reconcile,
//! follow a redirect, or say a URL, which may hold a secret, in a log or an Event.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::Semaphore;

/// Notifications on their way at once; what finds no place is sent at a later reconcile.
const AT_ONCE: usize = 8;
/// Longest wait for an answer.
const LIMIT: Duration = Duration::from_secs(10);
/// Pauses before the second and every later attempt.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(20)];

/// Which notification of which job.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) job: String,
    pub(crate) uid: String,
    pub(crate) run: i64,
}

/// Whether it was delivered, or why not, in words.
pub(crate) type Delivered = Result<(), String>;

/// Sends notifications, and remembers how each went until that is on record.
pub(crate) struct Notifier {
    http: reqwest::Client,
    pauses: &'static [Duration],
    /// Hosts that may be told; any when there are none.
    hosts: Vec<String>,
    slots: Arc<Semaphore>,
    /// None while it is on its way.
    sent: Arc<Mutex<HashMap<Key, Option<Delivered>>>>,
}

impl Notifier {
    /// With the authorities that browsers trust, besides the system's own: the operator's image has none. Only `hosts` are told,
    /// `*.example.com` stands for all below it; any host when there are none.
    ///
    /// # Errors
    /// When TLS cannot be set up.
    pub(crate) fn new(hosts: Vec<String>) -> Result<Self, reqwest::Error> {
        Ok(Self::with(client().build()?, &PAUSES, hosts))
    }

    fn with(http: reqwest::Client, pauses: &'static [Duration], hosts: Vec<String>) -> Self {
        Self { http, pauses, hosts, slots: Arc::new(Semaphore::new(AT_ONCE)), sent: Arc::default() }
    }

    /// Sends `body`, unless that was begun before or too many are on their way.
    pub(crate) fn send(&self, key: Key, url: String, body: Vec<u8>) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        if sent.contains_key(&key) {
            return;
        }
        if let Err(why) = allowed(&self.hosts, &url) {
            sent.insert(key, Some(Err(why)));
            return;
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else { return };
        sent.insert(key.clone(), None);
        drop(sent);
        let (http, pauses, all) = (self.http.clone(), self.pauses, self.sent.clone());
        tokio::spawn(async move {
            let delivered = deliver(&http, pauses, &url, &body).await;
            // Forgotten meanwhile when the job is gone.
            if let Some(state) = all.lock().unwrap_or_else(PoisonError::into_inner).get_mut(&key) {
                *state = Some(delivered);
            }
            drop(slot);
        });
    }

    /// How it went, once that is known.
    pub(crate) fn delivered(&self, key: &Key) -> Option<Delivered> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned().flatten()
    }

    /// Forgets one whose end is on record.
    pub(crate) fn forget(&self, key: &Key) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Forgets all of a job that is gone.
    pub(crate) fn forget_job(&self, namespace: &str, job: &str) {
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        sent.retain(|key, _| key.namespace != namespace || key.job != job);
    }
}

/// Whether one of `hosts` is that of `url`, or why nobody is told.
fn allowed(hosts: &[String], url: &str) -> Delivered {
    let host = reqwest::Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let is_it = |pattern: &String| match pattern.strip_prefix("*.") {
        Some(domain) => host.strip_suffix(domain).is_some_and(|front| front.len() > 1 && front.ends_with('.')),
        None => *pattern == host,
    };
    if hosts.is_empty() || hosts.iter().any(is_it) {
        return Ok(());
    }
    let hosts = hosts.join(", ");
    Err(format!("the operator tells only {hosts}: start it with --allow-notify-host for the host of this URL too"))
}

fn client() -> reqwest::ClientBuilder {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    reqwest::Client::builder()
        .user_agent(concat!("av1-operator/", env!("CARGO_PKG_VERSION")))
        .timeout(LIMIT)
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(roots.iter().filter_map(|root| reqwest::Certificate::from_der(root).ok()))
}

/// Posts `body` until it is taken, or an answer says that it never will be, or the attempts are used up.
async fn deliver(http: &reqwest::Client, pauses: &[Duration], url: &str, body: &[u8]) -> Delivered {
    let mut pauses = pauses.iter();
    loop {
        let (why, again) = match post(http, url, body).await {
            Ok(status) if status.is_success() => return Ok(()),
            Ok(status) if status.is_redirection() => {
                (format!("the answer is {status}, which is not followed: write the URL that it leads to"), false)
            }
            Ok(status) => (format!("the answer is {status}"), may_heal(status)),
            Err(why) => (why, true),
        };
        match pauses.next().filter(|_| again) {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return Err(why),
        }
    }
}

fn may_heal(status: StatusCode) -> bool {
    let later = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_server_error() || later.contains(&status)
}

async fn post(http: &reqwest::Client, url: &str, body: &[u8]) -> Result<StatusCode, String> {
    let request = http.post(url).header(reqwest::header::CONTENT_TYPE, "application/json").body(body.to_vec());
    match request.send().await {
        Ok(answer) => Ok(answer.status()),
        Err(error) if error.is_timeout() => Err(format!("no answer within {} s", LIMIT.as_secs())),
        Err(error) => {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            Err(format!("{}{cause}", error.without_url()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::State;
    use axum::http::{HeaderMap, StatusCode, Uri};
    use axum::routing::post as on_post;

    use super::*;

    /// What the server was asked, and the answers that it gives, the last one for ever.
    #[derive(Default)]
    struct Heard {
        answers: Vec<u16>,
        count: AtomicUsize,
        bodies: Mutex<Vec<String>>,
    }

    async fn server(answers: &[u16]) -> (Arc<Heard>, String) {
        async fn hear(
            State(heard): State<Arc<Heard>>,
            uri: Uri,
            headers: HeaderMap,
            body: String,
        ) -> (StatusCode, HeaderMap) {
            assert_eq!((uri.path(), headers["content-type"].to_str().unwrap()), ("/hook", "application/json"));
            let count = heard.count.fetch_add(1, Ordering::SeqCst);
            heard.bodies.lock().unwrap().push(body);
            let answer = heard.answers[count.min(heard.answers.len() - 1)];
            let location =
                HeaderMap::from_iter([("location".parse().unwrap(), "http://127.0.0.1:1/else".parse().unwrap())]);
            (StatusCode::from_u16(answer).unwrap(), location)
        }
        let heard = Arc::new(Heard { answers: answers.to_vec(), ..Heard::default() });
        let router = Router::new().route("/hook", on_post(hear)).with_state(heard.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=secret", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (heard, url)
    }

    fn notifier() -> Notifier {
        // Another test may have been first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        const SOON: [Duration; 3] = [Duration::from_millis(1); 3];
        Notifier::with(client().no_proxy().build().unwrap(), &SOON, Vec::new())
    }

    fn key(run: i64) -> Key {
        Key { namespace: "media".into(), job: "films-1".into(), uid: "job".into(), run }
    }

    async fn ended(notifier: &Notifier, key: &Key) -> Delivered {
        for _ in 0..1_000 {
            if let Some(delivered) = notifier.delivered(key) {
                return delivered;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it is still on its way");
    }

    #[tokio::test]
    async fn it_is_posted_again_until_it_is_taken_and_once_only_then() {
        let (heard, url) = server(&[503, 429, 204]).await;
        let notifier = notifier();
        for _ in 0..3 {
            notifier.send(key(1), url.clone(), b"{\"action\":\"Replaced\"}".to_vec());
        }
        assert_eq!(ended(&notifier, &key(1)).await, Ok(()));
        notifier.send(key(1), url, Vec::new());
        assert_eq!(*heard.bodies.lock().unwrap(), ["{\"action\":\"Replaced\"}"; 3]);
        notifier.forget(&key(1));
        assert_eq!(notifier.delivered(&key(1)), None);
    }

    #[tokio::test]
    async fn a_host_that_is_not_allowed_is_not_asked() {
        let (heard, url) = server(&[200]).await;
        let notifier = Notifier { hosts: vec!["media.example".into()], ..notifier() };
        notifier.send(key(1), url, Vec::new());
        let why = ended(&notifier, &key(1)).await.unwrap_err();
        assert!(why.contains("media.example") && !why.contains("secret"), "{why}");
        assert_eq!(heard.count.load(Ordering::SeqCst), 0);
        let hosts = ["hook.media".to_owned(), "*.example.com".to_owned()];
        for (url, is_allowed) in [
            ("http://hook.media:8080/av1?key=secret", true),
            ("http://HOOK.media/", true),
            ("https://a.b.example.com/hooks", true),
            ("https://example.com/", false),
            ("https://evilexample.com/", false),
            ("https://hook.media.evil/", false),
            ("http://evil/?hook.media", false),
            ("http://169.254.169.254/", false),
        ] {
            assert_eq!(allowed(&hosts, url).is_ok(), is_allowed, "{url}");
            assert!(allowed(&[], url).is_ok());
        }
    }

    #[tokio::test]
    async fn what_never_heals_is_not_tried_again_and_no_redirect_is_followed() {
        for (answers, attempts, words) in [(&[500][..], 4, "500"), (&[404], 1, "404"), (&[302], 1, "not followed")] {
            let (heard, url) = server(answers).await;
            let notifier = notifier();
            notifier.send(key(1), url, Vec::new());
            let why = ended(&notifier, &key(1)).await.unwrap_err();
            assert!(why.contains(words) && !why.contains("secret"), "{why}");
            assert_eq!(heard.count.load(Ordering::SeqCst), attempts, "{words}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_without_the_url_and_too_many_at_once_wait() {
        let notifier = notifier();
        notifier.send(key(1), "http://127.0.0.1:1/hook?key=secret".into(), Vec::new());
        let why = ended(&notifier, &key(1)).await.unwrap_err();
        assert!(!why.contains("secret"), "{why}");
        let slots = notifier.slots.clone().acquire_many_owned(AT_ONCE as u32).await.unwrap();
        let (heard, url) = server(&[200]).await;
        notifier.send(key(2), url.clone(), Vec::new());
        assert!(!notifier.sent.lock().unwrap().contains_key(&key(2)));
        drop(slots);
        notifier.send(key(2), url, Vec::new());
        assert_eq!(ended(&notifier, &key(2)).await, Ok(()));
        assert_eq!(heard.count.load(Ordering::SeqCst), 1);
        notifier.forget_job("media", "films-1");
        assert!(notifier.sent.lock().unwrap().is_empty());
    }
}
