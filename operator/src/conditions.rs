//! Conditions: set in a list so that the time of the last transition moves only with the status. Pure.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// Most characters of a condition's message.
const MOST: usize = 1_000;

/// Value of a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    True,
    False,
    Unknown,
}

impl Is {
    fn as_str(self) -> &'static str {
        match self {
            Self::True => "True",
            Self::False => "False",
            Self::Unknown => "Unknown",
        }
    }
}

impl From<bool> for Is {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// A list of conditions being written for one generation of an object at one time.
pub(crate) struct Writer<'a> {
    pub(crate) list: &'a mut Vec<Condition>,
    pub(crate) generation: Option<i64>,
    pub(crate) now: Timestamp,
}

impl Writer<'_> {
    /// Sets a condition.
    pub(crate) fn set(&mut self, type_: &str, is: impl Into<Is>, reason: &str, message: impl Into<String>) {
        let status = is.into().as_str();
        let message = cut(message.into());
        let found = self.list.iter_mut().find(|c| c.type_ == type_);
        match found {
            Some(c) => {
                if c.status != status {
                    status.clone_into(&mut c.status);
                    c.last_transition_time = Time(self.now);
                }
                reason.clone_into(&mut c.reason);
                c.message = message;
                c.observed_generation = self.generation;
            }
            None => self.list.push(Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.to_owned(),
                message,
                observed_generation: self.generation,
                last_transition_time: Time(self.now),
            }),
        }
    }
}

/// Whether the condition is True.
pub(crate) fn is_true(list: &[Condition], type_: &str) -> bool {
    find(list, type_).is_some_and(|c| c.status == "True")
}

/// The condition of that type.
pub(crate) fn find<'a>(list: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    list.iter().find(|c| c.type_ == type_)
}

/// At most [`MOST`] characters of `text`.
pub(crate) fn cut(text: String) -> String {
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST - 1).chain(['…']).collect() }
}

/// At most `most` bytes of `text`, in whole characters.
pub(crate) fn cut_bytes(mut text: String, most: usize) -> String {
    const END: char = '…';
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub(END.len_utf8())));
        text.push(END);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_bytes_between_two_characters() {
        assert_eq!(cut_bytes("äöü".into(), 6), "äöü");
        assert_eq!(cut_bytes("äöüa".into(), 6), "ä…");
        assert_eq!(cut_bytes("🎬".repeat(300), 1_024).len(), 1_023);
    }

    #[test]
    fn the_transition_time_moves_with_the_status_alone() {
        let first: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let later: Timestamp = "2026-01-01T01:00:00Z".parse().unwrap();
        let mut list = Vec::new();
        Writer { list: &mut list, generation: Some(1), now: first }.set("Ready", false, "A", "a");
        Writer { list: &mut list, generation: Some(2), now: later }.set("Ready", false, "B", "b");
        assert_eq!(
            (list[0].last_transition_time.0, list[0].reason.as_str(), list[0].observed_generation),
            (first, "B", Some(2))
        );
        Writer { list: &mut list, generation: Some(2), now: later }.set("Ready", true, "C", "c");
        assert_eq!(list[0].last_transition_time.0, later);
        assert_eq!(list.len(), 1);
    }
}
