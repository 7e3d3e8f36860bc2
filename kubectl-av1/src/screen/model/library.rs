//! What the screen keeps of a MediaLibrary. Pure.

use av1_crds::{MediaLibrary, conditions};
use kube::ResourceExt;

use super::Key;
use crate::view::text::printable;

/// One library.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Library {
    pub(crate) key: Key,
    /// None until an operator has looked at it.
    pub(crate) ready: Option<bool>,
    pub(crate) suspended: bool,
    /// Why it is not ready.
    pub(crate) message: String,
    pub(crate) total: i64,
    pub(crate) done: i64,
    pub(crate) pending: i64,
    pub(crate) failed: i64,
    /// Bytes.
    pub(crate) saved: i64,
}

impl Library {
    /// What of the resource is shown.
    pub(crate) fn new(library: &MediaLibrary) -> Self {
        let status = library.status.as_ref();
        let ready = status.and_then(|status| status.conditions.iter().find(|c| c.type_ == conditions::READY));
        let files = status.and_then(|status| status.files.clone()).unwrap_or_default();
        Self {
            key: Key { namespace: library.namespace().unwrap_or_default(), name: library.name_any() },
            ready: ready.map(|condition| condition.status == "True"),
            suspended: library.spec.suspend,
            message: ready.map_or_else(String::new, |condition| printable(&condition.message)),
            total: files.total,
            done: files.done,
            pending: files.pending,
            failed: files.failed + files.unreadable,
            saved: status.and_then(|status| status.bytes.as_ref()).map_or(0, |bytes| bytes.freed),
        }
    }
}
