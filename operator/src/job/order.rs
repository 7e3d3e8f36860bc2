//! What a pod that may write to the library is told to do, and which jobs that wait are to have one instead of an encode. Pure.

use av1_crds::Phase;
use av1_crds::job::{Desired, EncodeJob, EncodeJobStatus, PendingSettle};
use av1_crds::wire::EncodeVerdict;

use crate::build::role;

/// An order to a pod that may write to the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Carry out the verdict of an encode.
    Settle(EncodeVerdict),
    /// Write the marker that the user asked for.
    MarkSkipped,
    /// Leave a receipt that the user cancelled.
    Cancel,
    /// Bring the original back.
    Original,
    /// Bring the AV1 file of an undone job back.
    Replacement,
}

impl Order {
    const BY_USER: [(Self, &str); 4] = [
        (Self::MarkSkipped, "MarkSkipped"),
        (Self::Cancel, "Cancel"),
        (Self::Original, "Original"),
        (Self::Replacement, "Replacement"),
    ];

    /// The order on record.
    ///
    /// # Errors
    /// A sentence, when the record names none.
    pub(crate) fn of(pending: &PendingSettle) -> Result<Self, String> {
        let name = pending.verdict.as_str();
        if let Some((order, _)) = Self::BY_USER.iter().find(|(_, text)| *text == name) {
            return Ok(*order);
        }
        serde_json::from_value(serde_json::Value::String(name.to_owned()))
            .map(Self::Settle)
            .map_err(|_| format!("status.pendingSettle.verdict is \"{name}\""))
    }

    /// As it stands on record.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Settle(verdict) => format!("{verdict:?}"),
            other => Self::BY_USER.iter().find(|(order, _)| *order == other).map_or("", |(_, text)| text).to_owned(),
        }
    }

    /// Its record, with the pods that may have left a claim: its own ends what they began.
    pub(crate) fn record(self, status: &EncodeJobStatus) -> PendingSettle {
        let ended_pods = status.left_claims.iter().map(|left| left.pod.clone()).collect();
        PendingSettle { verdict: self.name(), ended_pods, ..PendingSettle::default() }
    }

    /// Role of the pod that carries it out.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Settle(_) | Self::Cancel => role::SETTLE,
            Self::MarkSkipped => role::MARK,
            Self::Original | Self::Replacement => role::RESTORE,
        }
    }

    /// Phase of the job meanwhile.
    pub(crate) fn phase(self) -> Phase {
        match self {
            Self::Original | Self::Replacement => Phase::Restoring,
            Self::Settle(_) | Self::MarkSkipped | Self::Cancel => Phase::Settling,
        }
    }
}

/// What a job that waits is to do instead of an encode; none means an encode.
pub(crate) fn order(job: &EncodeJob) -> Option<Order> {
    match job.spec.desired {
        Desired::Original => Some(Order::Original),
        Desired::Skipped => Some(Order::MarkSkipped),
        Desired::Cancelled => Some(Order::Cancel),
        Desired::Encoded => job.status.as_ref().is_some_and(|s| s.bring_back).then_some(Order::Replacement),
    }
}

/// What a job that has ended is to begin again for, in words: its user asks for something else, or for another try.
pub(crate) fn asked_again(job: &EncodeJob) -> Option<String> {
    let (spec, status) = (&job.spec, job.status.clone().unwrap_or_default());
    if spec.desired == Desired::Cancelled {
        // Nothing runs that could be cancelled.
        return None;
    }
    if spec.desired != status.desired {
        return Some(format!("spec.desired is now {:?}", spec.desired));
    }
    let tries = spec.retry > status.retry && status.phase != Phase::Succeeded;
    tries.then(|| format!("spec.retry was raised to {}", spec.retry))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job(spec: Value, status: Value) -> EncodeJob {
        let mut all = json!({"libraryRef": {"name": "films"}, "source": {"path": "a.mkv"}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "j"}, "spec": all, "status": status}))
            .unwrap()
    }

    #[test]
    fn every_order_is_read_back_from_the_record() {
        let verdicts = [EncodeVerdict::Encoded, EncodeVerdict::Rejected, EncodeVerdict::Skipped, EncodeVerdict::Failed];
        let orders = verdicts.map(Order::Settle).into_iter().chain(Order::BY_USER.map(|(order, _)| order));
        for order in orders {
            let pending = PendingSettle { verdict: order.name(), ..PendingSettle::default() };
            assert_eq!(Order::of(&pending), Ok(order));
        }
        assert!(Order::of(&PendingSettle::default()).is_err());
    }

    #[test]
    fn an_ended_job_begins_again_when_its_user_asks_for_something_else_or_another_try() {
        let table = [
            (json!({}), json!({"phase": "Succeeded"}), false),
            (json!({"desired": "Original"}), json!({"phase": "Succeeded"}), true),
            (json!({"desired": "Original"}), json!({"phase": "Restored", "desired": "Original"}), false),
            (json!({"desired": "Encoded"}), json!({"phase": "Restored", "desired": "Original"}), true),
            (json!({"desired": "Cancelled"}), json!({"phase": "Failed"}), false),
            (json!({"desired": "Cancelled"}), json!({"phase": "Cancelled", "desired": "Cancelled"}), false),
            (json!({"desired": "Skipped"}), json!({"phase": "Rejected"}), true),
            (json!({"retry": 1}), json!({"phase": "Rejected"}), true),
            (json!({"retry": 1}), json!({"phase": "Rejected", "retry": 1}), false),
            (json!({"retry": 1}), json!({"phase": "Succeeded"}), false),
            (json!({"desired": "Original", "retry": 1}), json!({"phase": "Failed", "desired": "Original"}), true),
        ];
        for (spec, status, expected) in table {
            assert_eq!(asked_again(&job(spec.clone(), status.clone())).is_some(), expected, "{spec} {status}");
        }
    }

    #[test]
    fn an_undone_job_that_is_wanted_again_first_looks_into_the_trash() {
        assert_eq!(order(&job(json!({}), json!({"phase": "Queued"}))), None);
        assert_eq!(order(&job(json!({}), json!({"phase": "Queued", "bringBack": true}))), Some(Order::Replacement));
        assert_eq!(order(&job(json!({"desired": "Original"}), json!({}))), Some(Order::Original));
    }
}
