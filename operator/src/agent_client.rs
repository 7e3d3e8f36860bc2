//! The progress page of encode pods. Must never: wait long, a pod that is busy answers late or not at all.

use std::time::Duration;

use av1_crds::AGENT_PORT;
use av1_crds::wire::EncodeProgress;

use crate::catalog_client::{get, host};

/// Most bytes of a progress page.
const MOST: usize = 256 << 10;

/// Client of all encode pods.
#[derive(Clone)]
pub(crate) struct AgentClient(reqwest::Client);

impl AgentClient {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self(http)
    }

    /// The progress of the run of the job, or nothing when the pod at `ip` does not answer or is another job's.
    pub(crate) async fn progress(&self, ip: &str, job_uid: &str, run: i64) -> Option<EncodeProgress> {
        let url = format!("http://{}:{AGENT_PORT}/progress", host(ip));
        let body = match get(&self.0, &url, Duration::from_secs(2), MOST).await {
            Ok(body) => body,
            Err(error) => {
                tracing::debug!(ip, ?error, "no progress page");
                return None;
            }
        };
        let page: EncodeProgress = serde_json::from_slice(&body)
            .inspect_err(|error| tracing::warn!(ip, %error, "unreadable progress page"))
            .ok()?;
        (page.job_uid == job_uid && page.run == run).then_some(page)
    }
}
