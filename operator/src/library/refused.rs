//! A library of which the API server refuses something says so. Pure.

use av1_crds::conditions::{self, reason};

use super::decide::Decision;
use super::observe::Observed;
use crate::conditions::find;
use crate::context::EventDraft;
use crate::refusal::Refusal;

/// Tells in `decision` that something of it is refused: always as Degraded, and as Ready where the library waits for a step that
/// can't end so.
pub(super) fn tell(decision: &mut Decision, observed: &Observed, why: &str, is_due: impl FnOnce() -> bool) {
    let library = &observed.library;
    let before = library.status.as_ref().map_or(&[][..], |status| status.conditions.as_slice());
    let list = &mut decision.status.conditions;
    let refusal = Refusal { why, generation: library.metadata.generation, now: observed.now };
    refusal.tell(list, before, (conditions::DEGRADED, true), is_due);
    let told = find(list, conditions::DEGRADED).map(|c| c.message.clone()).unwrap_or_default();
    if find(list, conditions::READY).is_some_and(|c| c.status == "False" && c.reason == reason::IN_PROGRESS) {
        Refusal { why: &told, ..refusal }.tell(list, before, (conditions::READY, false), || true);
    }
    if find(before, conditions::DEGRADED).is_none_or(|was| was.reason != reason::REFUSED) {
        decision.events.push(EventDraft::warning(reason::REFUSED, conditions::DEGRADED, why));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::decide::tests::pausing::ready_library;
    use super::*;
    use crate::conditions::Writer;

    /// Ready and Degraded of a library that has `on_record`, when so is decided and something refused.
    fn told(why: &str, is_due: bool, ready: (bool, &str), on_record: &Observed) -> (Decision, String) {
        let mut status = on_record.library.status.clone().unwrap_or_default();
        let mut writer = Writer { list: &mut status.conditions, generation: Some(1), now: on_record.now };
        writer.set(conditions::READY, ready.0, ready.1, "");
        writer.set(conditions::DEGRADED, false, reason::AS_EXPECTED, "");
        let requeue = Duration::from_secs(5);
        let mut decision = Decision { status, desired: Default::default(), events: Vec::new(), requeue, purged: None };
        tell(&mut decision, on_record, why, || is_due);
        let said = [conditions::READY, conditions::DEGRADED].map(|type_| {
            let c = find(&decision.status.conditions, type_).unwrap();
            format!("{} {} {}", c.status, c.reason, c.message)
        });
        (decision, said.join(", "))
    }

    #[test]
    fn what_waits_for_a_refused_step_is_not_ready_for_it_and_what_is_ready_is_degraded_alone() {
        let mut o = ready_library(serde_json::json!({}));
        let (decision, said) = told("no such operator", true, (false, reason::IN_PROGRESS), &o);
        assert_eq!(said, "False Refused no such operator, True Refused no such operator");
        assert_eq!(decision.events.len(), 1);
        o.library.status = Some(decision.status.clone());
        o.now = o.now.checked_add(jiff::SignedDuration::from_secs(60)).unwrap();
        let (again, _) = told("no such operator", true, (false, reason::IN_PROGRESS), &o);
        assert_eq!((again.status == decision.status, again.events.len()), (true, 0), "written on change alone");
        let (_, said) = told("another", false, (false, reason::IN_PROGRESS), &o);
        assert_eq!(said, "False Refused no such operator, True Refused no such operator");
        let (_, said) = told("no such operator", true, (true, reason::AS_EXPECTED), &o);
        assert_eq!(said, "True AsExpected , True Refused no such operator");
        let (_, said) = told("no such operator", true, (false, reason::LOW_SPACE), &o);
        assert_eq!(said, "False LowSpace , True Refused no such operator");
    }
}
