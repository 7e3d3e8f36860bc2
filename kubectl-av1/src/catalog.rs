//! The catalog of one library: its pages, read through the API server with the user's own rights.
//!
//! May: read those pages. Must never: decide what a command does without them.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;

use crate::cluster::{Cluster, Page};
use crate::error::Error;

/// Service and port of the catalog of `library`.
pub(crate) fn service(library: &str) -> String {
    format!("{library}-catalog:http")
}

/// A catalog, by its library.
pub(crate) struct Catalog<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: &'a str,
    pub(crate) library: &'a str,
}

impl Catalog<'_> {
    /// The body of a page.
    pub(crate) async fn page(&self, query: &str) -> Result<String, Error> {
        self.cluster.page(self.namespace, &service(self.library), query).await
    }

    /// The same, where the catalog may answer with an error of its own.
    pub(crate) async fn find_page(&self, query: &str) -> Result<Page, Error> {
        self.cluster.find_page(self.namespace, &service(self.library), query).await
    }

    /// That the catalog does not answer, and why.
    pub(crate) fn away(&self, message: impl Into<String>) -> Error {
        let (namespace, library) = (self.namespace.to_owned(), self.library.to_owned());
        Error::Catalog { namespace, library, message: message.into() }
    }

    /// What is wrong with the page is said of the catalog; what is wrong with cluster or rights stays as it is.
    pub(crate) fn blamed(&self, error: Error) -> Error {
        match error {
            Error::Api { message, .. } => self.away(message),
            other => other,
        }
    }
}

/// `text` as a part of a query.
pub(crate) fn quoted(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// The query of the page behind `after`; without one of the first page.
pub(crate) fn behind(query: &str, after: Option<&str>) -> String {
    after.map_or_else(|| query.to_owned(), |after| format!("{query}&after={}", quoted(after)))
}

/// Where the page after the one behind `after` begins. A cursor that stands still would go on for ever.
pub(crate) fn moved(next: Option<String>, after: Option<&str>) -> Option<String> {
    next.filter(|next| Some(next.as_str()) != after)
}

/// What a page says; `action` names the page.
pub(crate) fn parse<T: DeserializeOwned>(text: &str, action: &str) -> Result<T, Error> {
    serde_json::from_str(text).map_err(|cause| Error::Answer { action: action.to_owned(), cause: cause.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_until_the_cursor_is_gone_or_stands_still() {
        assert_eq!(behind("v1/files?limit=5", None), "v1/files?limit=5");
        assert_eq!(behind("v1/files?limit=5", Some("a b/ü&c")), "v1/files?limit=5&after=a%20b%2F%C3%BC%26c");
        assert_eq!(moved(Some("b".into()), Some("a")), Some("b".into()));
        assert_eq!(moved(Some("a".into()), None), Some("a".into()));
        assert_eq!((moved(Some("a".into()), Some("a")), moved(None, Some("a"))), (None, None));
    }
}
