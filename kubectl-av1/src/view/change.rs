//! What a change says of itself: what was changed, how far it is, what it came to. Pure.

use av1_crds::EncodeJob;
use av1_crds::job::{Desired, Phase};
use kube::ResourceExt;

use super::text::printable;

/// What differs between a job before and after it was changed.
pub(crate) fn patched(before: &EncodeJob, after: &EncodeJob) -> String {
    let (old, new) = (&before.spec, &after.spec);
    let mut changes = Vec::new();
    if old.desired != new.desired {
        changes.push(format!("desired {:?} -> {:?}", old.desired, new.desired));
    }
    if old.retry != new.retry {
        changes.push(format!("retry {} -> {}", old.retry, new.retry));
    }
    if old.suspend != new.suspend {
        changes.push(format!("suspend {} -> {}", old.suspend, new.suspend));
    }
    if old.force != new.force {
        changes.push(format!("force [{}] -> [{}]", old.force.join(", "), new.force.join(", ")));
    }
    if old.priority != new.priority {
        changes.push(format!("priority {} -> {}", old.priority, new.priority));
    }
    let what = if changes.is_empty() { "nothing to change".to_owned() } else { changes.join(", ") };
    format!("{}: {what} ({})\n", after.name_any(), printable(&new.source.path))
}

/// A job that was made.
pub(crate) fn created(job: &EncodeJob) -> String {
    format!("{}: made, desired {:?} ({})\n", job.name_any(), job.spec.desired, printable(&job.spec.source.path))
}

/// How far a job is that has not ended.
pub(crate) fn progress(job: &EncodeJob) -> String {
    let status = job.status.clone().unwrap_or_default();
    let mut line = format!("{}: {}", job.name_any(), status.phase.as_str());
    let waits = status.conditions.iter().find(|c| c.type_ == "Placed" && c.status == "False");
    match (&status.progress, waits) {
        (Some(now), _) if status.phase == Phase::Encoding => {
            line += &format!(", {} {}, {} frames/s", now.stage, now.percent, now.frames_per_second);
            if let Some(eta) = &now.eta {
                line += &format!(", {eta} to go");
            }
        }
        (_, Some(waits)) if status.phase == Phase::Queued => line += &format!(", {}", printable(&waits.message)),
        _ => {}
    }
    line
}

/// What a job came to that has ended, once it has acted on all that its spec asks for.
pub(crate) fn ended(job: &EncodeJob) -> Option<String> {
    let (spec, status) = (&job.spec, job.status.as_ref()?);
    let desired = status.desired == spec.desired || spec.desired == Desired::Cancelled;
    let retried = status.retry >= spec.retry || status.phase == Phase::Succeeded;
    if !status.phase.is_terminal() || !desired || !retried {
        return None;
    }
    let outcome = status.outcome.clone().unwrap_or_default();
    let told = format!("{}: {}", outcome.reason, printable(&outcome.message));
    Some(format!("{}: {}, {told}\n", job.name_any(), status.phase.as_str()))
}

/// Whether a job that has ended came to what its spec asks for.
pub(crate) fn is_wanted(job: &EncodeJob) -> bool {
    job.status.as_ref().is_some_and(|status| status.phase == wanted_phase(job.spec.desired))
}

/// The phase in which a job is what its user wants.
pub(crate) fn wanted_phase(desired: Desired) -> Phase {
    match desired {
        Desired::Encoded => Phase::Succeeded,
        Desired::Original => Phase::Restored,
        Desired::Cancelled => Phase::Cancelled,
        Desired::Skipped => Phase::Skipped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn job(spec: Value, status: Value) -> EncodeJob {
        let mut all = json!({"libraryRef": {"name": "films"}, "source": {"path": "a\u{1b}.mkv"}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
            "metadata": {"name": "films-1"}, "spec": all, "status": status}))
        .unwrap()
    }

    #[test]
    fn a_change_says_what_it_changed() {
        let before = job(json!({}), json!({}));
        let after = job(json!({"retry": 1, "force": ["TooSmall"], "desired": "Original"}), json!({}));
        assert_eq!(
            patched(&before, &after),
            "films-1: desired Encoded -> Original, retry 0 -> 1, force [] -> [TooSmall] (a\\u{1b}.mkv)\n"
        );
        assert_eq!(patched(&after, &after), "films-1: nothing to change (a\\u{1b}.mkv)\n");
    }

    #[test]
    fn a_job_has_ended_only_when_it_acted_on_its_spec() {
        let table = [
            (json!({}), json!({"phase": "Encoding"}), None),
            (json!({"desired": "Original"}), json!({"phase": "Succeeded"}), None),
            (json!({"desired": "Original"}), json!({"phase": "Restored", "desired": "Original"}), Some(true)),
            (json!({"desired": "Original"}), json!({"phase": "Failed", "desired": "Original"}), Some(false)),
            (json!({"retry": 1}), json!({"phase": "Rejected"}), None),
            (json!({"retry": 1}), json!({"phase": "Rejected", "retry": 1}), Some(false)),
            (json!({"desired": "Cancelled"}), json!({"phase": "Cancelled", "desired": "Cancelled"}), Some(true)),
            (json!({"desired": "Cancelled"}), json!({"phase": "Succeeded"}), Some(false)),
        ];
        for (spec, status, expected) in table {
            let job = job(spec.clone(), status.clone());
            assert_eq!(ended(&job).map(|_| is_wanted(&job)), expected, "{spec} {status}");
        }
    }

    #[test]
    fn progress_is_told_in_one_line() {
        let status = json!({"phase": "Encoding", "progress": {"stage": "Encoding", "percent": "42%", "frames": 1,
            "totalFrames": 2, "framesPerSecond": "7.5", "eta": "2m 3s", "updatedAt": ""}});
        assert_eq!(progress(&job(json!({}), status)), "films-1: Encoding, Encoding 42%, 7.5 frames/s, 2m 3s to go");
        let waits = json!({"phase": "Queued", "conditions": [{"type": "Placed", "status": "False", "reason": "WaitingForSlot",
            "message": "waits for a slot", "lastTransitionTime": "2026-01-01T00:00:00Z"}]});
        assert_eq!(progress(&job(json!({}), waits)), "films-1: Queued, waits for a slot");
    }
}
