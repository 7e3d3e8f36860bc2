//! What happened, as the Events of both kinds tell it: the newest few. Pure.

use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;

use super::Key;
use crate::view::text::printable;

/// Events that are kept.
const KEPT: usize = 200;

/// Something that happened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Happening {
    pub(crate) key: Key,
    /// Seconds since 1970.
    pub(crate) at: i64,
    pub(crate) warning: bool,
    /// Name of the object that it is about.
    pub(crate) about: String,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Happening {
    /// What of the resource is shown.
    pub(crate) fn new(event: &Event) -> Self {
        let seen =
            event.series.as_ref().and_then(|series| series.last_observed_time.as_ref()).or(event.event_time.as_ref());
        let at = seen
            .map(|time| time.0)
            .or_else(|| event.last_timestamp.as_ref().or(event.first_timestamp.as_ref()).map(|time| time.0))
            .or_else(|| event.creation_timestamp().map(|time| time.0));
        Self {
            key: Key { namespace: event.namespace().unwrap_or_default(), name: event.name_any() },
            at: at.map_or(0, |at| at.as_second()),
            warning: event.type_.as_deref() == Some("Warning"),
            about: printable(event.involved_object.name.as_deref().unwrap_or_default()),
            reason: printable(event.reason.as_deref().unwrap_or_default()),
            message: printable(event.message.as_deref().unwrap_or_default().trim()),
        }
    }
}

/// The newest events.
#[derive(Debug, Default)]
pub(crate) struct Events(Vec<Happening>);

impl Events {
    /// Keeps `event`, in the place of what it was before, if it is among the newest.
    pub(crate) fn put(&mut self, event: Happening) {
        self.0.retain(|kept| kept.key != event.key);
        let at = self.0.partition_point(|kept| (kept.at, &kept.key) > (event.at, &event.key));
        if at < KEPT {
            self.0.insert(at, event);
            self.0.truncate(KEPT);
        }
    }

    /// The newest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Happening> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_come_first_and_one_that_repeats_moves_up() {
        let event = |name: &str, at| Happening {
            key: Key { namespace: String::new(), name: name.to_owned() },
            at,
            ..Happening::default()
        };
        let mut events = Events::default();
        for (name, at) in [("a", 1), ("b", 3), ("c", 2), ("a", 4)] {
            events.put(event(name, at));
        }
        assert_eq!(events.iter().map(|event| event.key.name.as_str()).collect::<String>(), "abc");
        (0..1000).for_each(|at| events.put(event(&at.to_string(), at)));
        assert_eq!((events.0.len(), events.0[0].at), (KEPT, 999));
    }

    #[test]
    fn the_time_is_that_of_the_last_repetition() {
        let event = |extra: serde_json::Value| {
            let mut all = json!({"metadata": {"name": "e"}, "involvedObject": {"name": "films-a"}, "type": "Warning",
                "reason": "Bad", "message": " it broke\n", "eventTime": "1970-01-01T00:00:10.000000Z"});
            all.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            Happening::new(&serde_json::from_value(all).unwrap())
        };
        let once = event(json!({}));
        assert_eq!(
            (once.at, once.warning, once.about.as_str(), once.message.as_str()),
            (10, true, "films-a", "it broke")
        );
        assert_eq!(event(json!({"series": {"count": 2, "lastObservedTime": "1970-01-01T00:00:20.000000Z"}})).at, 20);
    }
}
