//! What the API server refuses, told where a user looks: as a condition of the object that it is for. Pure but for [`Seldom`], the
//! memory of when something was told last. Must never: write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::conditions::reason;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use crate::conditions::{Writer, cut, find};

/// A refusal whose words change with each try (a quota's figures, an id of a policy's report) is written again after this time:
/// each write brings the next try about.
const AGAIN_AFTER: Duration = Duration::from_secs(60);

/// Lets something be told now and then, by key.
#[derive(Debug, Default)]
pub(crate) struct Seldom(Mutex<HashMap<String, Instant>>);

impl Seldom {
    /// Whether it was not told for a minute; if so, it counts as told now.
    pub(crate) fn is_due(&self, key: &str) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = told.get(key).is_none_or(|at| at.elapsed() >= AGAIN_AFTER);
        if due {
            told.insert(key.to_owned(), Instant::now());
        }
        due
    }

    /// Forgets when it was told.
    pub(crate) fn forget(&self, key: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// A refusal, as far as a condition tells it.
pub(crate) struct Refusal<'a> {
    /// The server's words.
    pub(crate) why: &'a str,
    pub(crate) generation: Option<i64>,
    pub(crate) now: Timestamp,
}

impl Refusal<'_> {
    /// Sets the condition `type_` in `list`, of which `before` is on record. Other words of a refusal that is on record replace it
    /// when `is_due` says so.
    pub(crate) fn tell(
        &self,
        list: &mut Vec<Condition>,
        before: &[Condition],
        (type_, is): (&str, bool),
        is_due: impl FnOnce() -> bool,
    ) {
        let was = find(before, type_).filter(|was| was.reason == reason::REFUSED);
        let words = match was {
            Some(was) if was.message != cut(self.why.to_owned()) && !is_due() => was.message.clone(),
            _ => self.why.to_owned(),
        };
        Writer { list, generation: self.generation, now: self.now }.set(type_, is, reason::REFUSED, words);
        // The list may say otherwise for want of knowing: that was no transition.
        if let (Some(was), Some(now)) = (find(before, type_), list.iter_mut().find(|c| c.type_ == type_))
            && was.status == now.status
        {
            now.last_transition_time = was.last_transition_time.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_a_minute_and_at_once_after_it_was_forgotten() {
        let seldom = Seldom::default();
        assert_eq!([seldom.is_due("a"), seldom.is_due("a"), seldom.is_due("b")], [true, false, true]);
        seldom.forget("a");
        assert!(seldom.is_due("a"));
    }

    #[test]
    fn a_refusal_on_record_is_left_as_it_is_until_other_words_are_due_and_keeps_its_time() {
        let (first, later): (Timestamp, Timestamp) =
            ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-01T00:01:00Z".parse().unwrap());
        let tell = |before: &[Condition], now, why, due| {
            let mut list = before.to_vec();
            // As the next decision has it, which knows nothing of the refusal.
            Writer { list: &mut list, generation: Some(1), now }.set("Degraded", false, "AsExpected", "");
            Refusal { why, generation: Some(1), now }.tell(&mut list, before, ("Degraded", true), || due);
            list
        };
        let on_record = tell(&[], first, "used: 1", true);
        assert_eq!((on_record[0].status.as_str(), on_record[0].reason.as_str()), ("True", "Refused"));
        assert_eq!(tell(&on_record, later, "used: 1", false), on_record);
        assert_eq!(tell(&on_record, later, "used: 2", false), on_record);
        let other = tell(&on_record, later, "used: 2", true);
        assert_eq!(
            (other[0].message.as_str(), &other[0].last_transition_time),
            ("used: 2", &on_record[0].last_transition_time)
        );
    }
}
