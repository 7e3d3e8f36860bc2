//! Pages of a library's catalog, with time limits and limits of size. May: ask a catalog. Must never: believe a report whose
//! hash is not the one that the pod announced (see [`CatalogClient::report`]).

use std::time::Duration;

use av1_crds::AGENT_PORT;
use av1_crds::wire::{CandidatePage, CatalogSummary, EncodeReport, FileExplanation, Leftovers, SidecarPage};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

/// Most bytes of an answer.
const MOST: usize = 64 << 20;

/// Why a catalog's page could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    /// No connection, no answer in time, a broken answer.
    #[error("the catalog does not answer: {0}")]
    Unreachable(String),
    /// An answer other than 200.
    #[error("the catalog answered {status} for {page}")]
    Refused { status: u16, page: String },
    /// The page is not what it should be.
    #[error("the catalog's {page} could not be read: {error}")]
    Unreadable { page: String, error: String },
    /// The report is not the one that was announced.
    #[error("the report of run {run} has SHA-256 {found}, the encode pod announced {announced}")]
    WrongReport { run: i64, found: String, announced: String },
}

/// Client of all catalogs.
#[derive(Clone)]
pub(crate) struct CatalogClient(reqwest::Client);

impl CatalogClient {
    pub(crate) fn new(http: reqwest::Client) -> Self {
        Self(http)
    }

    /// The catalog's summary; `address` is the Service's cluster IP.
    pub(crate) async fn summary(&self, address: &str) -> Result<CatalogSummary, CatalogError> {
        self.json(address, "v1/summary").await
    }

    /// A page of candidates of at most `largest` bytes.
    pub(crate) async fn candidates(
        &self,
        address: &str,
        offset: u64,
        limit: usize,
        largest: u64,
    ) -> Result<CandidatePage, CatalogError> {
        self.json(address, &format!("v1/candidates?offset={offset}&limit={limit}&largest={largest}")).await
    }

    /// What waits to be removed from the volume, without the first `offset` originals.
    pub(crate) async fn leftovers(&self, address: &str, offset: u64, limit: usize) -> Result<Leftovers, CatalogError> {
        self.json(address, &format!("v1/leftovers?offset={offset}&limit={limit}")).await
    }

    /// Sidecars that are to be written or removed, after the path `after`.
    pub(crate) async fn sidecars(&self, address: &str, after: &str, limit: usize) -> Result<SidecarPage, CatalogError> {
        let after = utf8_percent_encode(after, NON_ALPHANUMERIC);
        self.json(address, &format!("v1/sidecars?after={after}&limit={limit}")).await
    }

    /// One file, looked at now.
    pub(crate) async fn explanation(&self, address: &str, path: &str) -> Result<FileExplanation, CatalogError> {
        let path = utf8_percent_encode(path, NON_ALPHANUMERIC);
        self.json(address, &format!("v1/explain?path={path}")).await
    }

    /// The report of a run, if it has the announced SHA-256.
    pub(crate) async fn report(
        &self,
        address: &str,
        job_uid: &str,
        run: i64,
        sha256: &str,
    ) -> Result<EncodeReport, CatalogError> {
        let page = format!("v1/reports/{job_uid}/{run}");
        let bytes = self.bytes(address, &page).await?;
        let found = hex::encode(Sha256::digest(&bytes));
        if !found.eq_ignore_ascii_case(sha256) {
            return Err(CatalogError::WrongReport { run, found, announced: sha256.to_owned() });
        }
        serde_json::from_slice(&bytes).map_err(|e| CatalogError::Unreadable { page, error: e.to_string() })
    }

    async fn json<T: DeserializeOwned>(&self, address: &str, page: &str) -> Result<T, CatalogError> {
        let bytes = self.bytes(address, page).await?;
        serde_json::from_slice(&bytes)
            .map_err(|e| CatalogError::Unreadable { page: page.to_owned(), error: e.to_string() })
    }

    async fn bytes(&self, address: &str, page: &str) -> Result<Vec<u8>, CatalogError> {
        get(&self.0, &format!("http://{}:{AGENT_PORT}/{page}", host(address)), Duration::from_secs(10), MOST)
            .await
            .map_err(|error| match error {
                GetError::Status(status) => CatalogError::Refused { status, page: page.to_owned() },
                GetError::Other(text) => CatalogError::Unreachable(text),
            })
    }
}

/// Why a page could not be had.
#[derive(Debug)]
pub(crate) enum GetError {
    Status(u16),
    Other(String),
}

/// The body of `url`, within `limit` and at most `most` bytes.
pub(crate) async fn get(http: &reqwest::Client, url: &str, limit: Duration, most: usize) -> Result<Vec<u8>, GetError> {
    let told = |e: reqwest::Error| {
        let cause = std::error::Error::source(&e).map(|c| format!(": {c}")).unwrap_or_default();
        GetError::Other(format!("{}{cause}", e.without_url()))
    };
    let mut answer = http.get(url).timeout(limit).send().await.map_err(told)?;
    if !answer.status().is_success() {
        return Err(GetError::Status(answer.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(told)? {
        if body.len() + chunk.len() > most {
            return Err(GetError::Other(format!("the answer has more than {most} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An address as it stands in a URL.
pub(crate) fn host(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}
