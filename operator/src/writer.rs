//! The one writer of status. A write carries the resourceVersion that was observed, holds only what differs, and is left out
//! when nothing does. Must never: decide what a status says.

use std::fmt::Debug;

use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::api::{ApiError, timed};

/// Field manager of everything that the operator writes.
pub(crate) const MANAGER: &str = "av1-operator";

/// Writes `new` over `old` as the status of `object`, as it was observed; gives the object as it is then, or none when nothing
/// was to be written.
///
/// # Errors
/// [`ApiError`], a conflict when the object is another by now.
pub(crate) async fn write_status<K, S>(
    api: &Api<K>,
    object: &K,
    old: Option<&S>,
    new: &S,
) -> Result<Option<K>, ApiError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
    S: Serialize,
{
    let old = old.and_then(|s| serde_json::to_value(s).ok()).unwrap_or_else(|| json!({}));
    let Ok(new) = serde_json::to_value(new) else {
        return Ok(None);
    };
    let Some(changes) = difference(&old, &new) else {
        return Ok(None);
    };
    let name = object.name_any();
    let patch = Patch::Merge(json!({"metadata": {"resourceVersion": object.resource_version()}, "status": changes}));
    let params = PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
    let call = api.patch_status(&name, &params, &patch);
    timed(format!("patch status of {} {name}", K::kind(&())), call).await.map(Some)
}

/// The JSON merge patch that makes `new` of `old`; none when they are equal.
fn difference(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                match old.get(key) {
                    Some(before) => {
                        if let Some(change) = difference(before, value) {
                            patch.insert(key.clone(), change);
                        }
                    }
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                }
            }
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        (old, new) if old == new => None,
        (_, new) => Some(new.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_holds_what_differs_and_removes_what_is_gone() {
        let old =
            json!({"phase": "Encoding", "run": 1, "progress": {"frames": 3, "eta": "1s"}, "podName": "p", "list": [1]});
        let new = json!({"phase": "Encoding", "run": 2, "progress": {"frames": 4}, "list": [1]});
        assert_eq!(
            difference(&old, &new),
            Some(json!({"run": 2, "progress": {"frames": 4, "eta": null}, "podName": null}))
        );
        assert_eq!(difference(&old, &old), None);
    }
}
