//! What `pause` and `resume` say: what was changed, what still holds a job, and whether it has come to what was asked. Pure.

use av1_crds::conditions::{self, reason};
use av1_crds::job::Desired;
use av1_crds::{EncodeJob, MediaLibrary, Phase};
use kube::ResourceExt;

use super::text::{count, printable, signed};

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// `pause`.
    Paused,
    /// `resume`.
    GoesOn,
}

impl Held {
    /// The value of `spec.suspend`.
    pub(crate) fn suspend(self) -> bool {
        self == Self::Paused
    }

    /// The command.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::Paused => "pause",
            Self::GoesOn => "resume",
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stand {
    /// It is as asked.
    Reached(String),
    /// It is not yet.
    Waits(String),
    /// It came to something else, and nothing more happens by itself.
    Otherwise(String),
}

/// Why `held` makes no sense for this job, if it does not.
pub(crate) fn refusal(job: &EncodeJob, held: Held) -> Option<Refusal> {
    let phase = job.phase();
    match held {
        // What is suspended may always be let go.
        Held::GoesOn if job.spec.suspend => None,
        _ if phase.is_terminal() => Some(Refusal::Ended(phase)),
        Held::Paused if job.spec.desired != Desired::Encoded => Some(Refusal::NoEncode(job.spec.desired)),
        _ => None,
    }
}

/// Why a job can't be paused or resumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Ended(Phase),
    NoEncode(Desired),
}

/// What was changed of a job.
pub(crate) fn changed_job(before: &EncodeJob, held: Held) -> String {
    let path = printable(&before.spec.source.path);
    let what =
        change(before.spec.suspend, held, if held == Held::Paused { "it starts no encode" } else { "it goes on" });
    format!("{}: {what} ({path})\n", before.name_any())
}

/// What was changed of a library with these jobs.
pub(crate) fn changed_library(before: &MediaLibrary, jobs: &[EncodeJob], held: Held) -> String {
    let name = before.name_any();
    let effect = match (held, of_library(&name, jobs, Phase::Encoding)) {
        (Held::GoesOn, _) => "its jobs go on".to_owned(),
        (Held::Paused, 0) => "no job starts".to_owned(),
        (Held::Paused, running) => {
            format!("no job starts, what runs stops and keeps what is encoded ({})", count(running, "job"))
        }
    };
    format!("library {name}: {}\n", change(before.spec.suspend, held, &effect))
}

fn change(before: bool, held: Held, effect: &str) -> String {
    let after = held.suspend();
    match (before == after, held) {
        (true, Held::Paused) => "nothing to change, suspend is true already".to_owned(),
        (true, Held::GoesOn) => "nothing to change, suspend is false already".to_owned(),
        (false, _) => format!("suspend {before} -> {after}: {effect}"),
    }
}

/// What still holds a job that is let go, if something does.
pub(crate) fn still_held(library: Option<&MediaLibrary>) -> Option<String> {
    let library = library.filter(|library| library.spec.suspend)?.name_any();
    Some(format!("Its library is paused too: `kubectl av1 resume {library}` lets that go on."))
}

/// How far a job is that was paused or resumed.
pub(crate) fn job_stand(job: &EncodeJob, held: Held) -> Stand {
    let (name, phase) = (job.name_any(), job.phase());
    if !is_seen(job.metadata.generation, job.status.as_ref().and_then(|status| status.observed_generation)) {
        return Stand::Waits(unseen(&name));
    }
    let conditions = job.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let placed = conditions.iter().find(|c| c.type_ == conditions::PLACED && c.status == "False");
    let why = placed.map_or_else(String::new, |placed| format!(": {}", printable(&placed.message)));
    match (held, phase) {
        (Held::Paused, Phase::Paused) => Stand::Reached(format!("{name}: Paused, what is encoded is kept")),
        (Held::Paused, phase) if phase.is_terminal() => {
            Stand::Otherwise(format!("{name} ended before it could be paused: {}", phase.as_str()))
        }
        (Held::Paused, Phase::Settling | Phase::Restoring) => {
            Stand::Waits(format!("{name}: {}, which is not interrupted", phase.as_str()))
        }
        (Held::Paused, phase) => Stand::Waits(format!("{name}: {}", phase.as_str())),
        (Held::GoesOn, Phase::Paused) => Stand::Otherwise(format!("{name} is still paused{why}")),
        (Held::GoesOn, phase) => Stand::Reached(format!("{name}: {}{why}", phase.as_str())),
    }
}

/// How far a library is that was paused or resumed.
pub(crate) fn library_stand(library: &MediaLibrary, jobs: &[EncodeJob], held: Held) -> Stand {
    let name = library.name_any();
    let status = library.status.clone().unwrap_or_default();
    if !is_seen(library.metadata.generation, status.observed_generation) {
        return Stand::Waits(unseen(&name));
    }
    let [encoding, settling, restoring, paused] =
        [Phase::Encoding, Phase::Settling, Phase::Restoring, Phase::Paused].map(|phase| of_library(&name, jobs, phase));
    if held == Held::Paused {
        let rest = match settling + restoring {
            0 => String::new(),
            rest => format!("; still settling, which is not interrupted: {}", count(rest, "job")),
        };
        return match encoding {
            0 => Stand::Reached(format!("{name}: paused, no job encodes{rest}")),
            _ => Stand::Waits(format!("{name}: {} still to stop", count(encoding, "encode"))),
        };
    }
    let ready = status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
    let for_it = |job: &&EncodeJob| {
        let conditions = job.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
        let placed = conditions.iter().find(|c| c.type_ == conditions::PLACED);
        is_of(&name, job)
            && job.phase() == Phase::Paused
            && !job.spec.suspend
            && placed.is_none_or(|placed| placed.reason == reason::SUSPENDED)
    };
    match (jobs.iter().filter(for_it).count(), ready) {
        (0, ready) if ready.is_none_or(|ready| ready.reason != reason::SUSPENDED) => {
            let said = ready.map_or_else(String::new, |ready| format!(": {}", printable(&ready.message)));
            let own = jobs.iter().filter(|job| is_of(&name, job) && job.spec.suspend && !job.phase().is_terminal());
            let own = match signed(own.count()) {
                0 => String::new(),
                own => format!("; {} paused of its own", count(own, "job")),
            };
            Stand::Reached(format!("{name}: goes on{said}{own}"))
        }
        _ => Stand::Waits(format!("{name}: {} still paused", count(paused, "job"))),
    }
}

fn is_seen(generation: Option<i64>, observed: Option<i64>) -> bool {
    generation.is_none_or(|generation| observed.is_some_and(|observed| observed >= generation))
}

fn unseen(name: &str) -> String {
    format!("{name}: waits for the operator; `kubectl av1 doctor` says whether it is there")
}

fn is_of(library: &str, job: &EncodeJob) -> bool {
    job.spec.library_ref.name == library
}

fn of_library(library: &str, jobs: &[EncodeJob], phase: Phase) -> i64 {
    signed(jobs.iter().filter(|job| is_of(library, job) && job.phase() == phase).count())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn job(spec: Value, mut status: Value) -> EncodeJob {
        let mut all = json!({"libraryRef": {"name": "films"}, "source": {"path": "a\u{1b}.mkv"}});
        all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
        if status.get("observedGeneration").is_none() {
            status["observedGeneration"] = json!(2);
        }
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
            "metadata": {"name": "films-1", "generation": 2}, "spec": all, "status": status}))
        .unwrap()
    }

    fn library(suspend: bool, reason: &str) -> MediaLibrary {
        serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
            "metadata": {"name": "films", "generation": 3},
            "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}, "suspend": suspend},
            "status": {"observedGeneration": 3, "conditions": [{"type": "Ready", "status": "True", "reason": reason,
                "message": "work goes on by itself", "lastTransitionTime": "2026-01-01T00:00:00Z"}]}}))
        .unwrap()
    }

    fn placed(reason: &str, message: &str) -> Value {
        json!([{"type": "Placed", "status": "False", "reason": reason, "message": message, "lastTransitionTime": "2026-01-01T00:00:00Z"}])
    }

    #[test]
    fn a_change_says_what_it_changed_and_what_follows() {
        let (idle, running) = (job(json!({}), json!({})), job(json!({}), json!({"phase": "Encoding"})));
        let held = job(json!({"suspend": true}), json!({"phase": "Paused"}));
        let films = [library(false, "Idle"), library(true, "Suspended")];
        let said = [
            changed_job(&idle, Held::Paused),
            changed_job(&idle, Held::GoesOn),
            changed_job(&held, Held::GoesOn),
            changed_library(&films[0], std::slice::from_ref(&idle), Held::Paused),
            changed_library(&films[0], &[idle, running], Held::Paused),
            changed_library(&films[1], &[], Held::Paused),
            changed_library(&films[1], &[], Held::GoesOn),
            format!("{}\n", still_held(Some(&films[1])).unwrap()),
        ];
        assert_eq!(still_held(Some(&films[0])), None);
        insta::assert_snapshot!(said.concat());
    }

    #[test]
    fn what_has_ended_and_what_is_no_encode_cannot_be_paused_but_what_is_suspended_can_be_let_go() {
        let ended = |suspend: bool| job(json!({"suspend": suspend}), json!({"phase": "Failed"}));
        assert_eq!(refusal(&ended(false), Held::Paused), Some(Refusal::Ended(Phase::Failed)));
        assert_eq!(refusal(&ended(false), Held::GoesOn), Some(Refusal::Ended(Phase::Failed)));
        assert_eq!(refusal(&ended(true), Held::GoesOn), None);
        let undo = job(json!({"desired": "Original"}), json!({"phase": "Queued"}));
        assert_eq!(refusal(&undo, Held::Paused), Some(Refusal::NoEncode(Desired::Original)));
        assert_eq!(refusal(&job(json!({}), json!({"phase": "Encoding"})), Held::Paused), None);
    }

    #[test]
    fn a_job_is_waited_for_until_it_is_paused_or_goes_on() {
        use Stand::{Otherwise, Reached, Waits};
        let unseen = job(json!({}), json!({"phase": "Paused", "observedGeneration": 1}));
        assert!(matches!(job_stand(&unseen, Held::Paused), Waits(said) if said.contains("operator")));
        let stand = |status: Value, held| job_stand(&job(json!({}), status), held);
        assert!(matches!(stand(json!({"phase": "Encoding"}), Held::Paused), Waits(_)));
        assert!(
            matches!(stand(json!({"phase": "Settling"}), Held::Paused), Waits(said) if said.contains("not interrupted"))
        );
        assert!(matches!(stand(json!({"phase": "Paused"}), Held::Paused), Reached(_)));
        assert!(matches!(stand(json!({"phase": "Rejected"}), Held::Paused), Otherwise(_)));
        let waits = json!({"phase": "Queued", "conditions": placed("WaitingForSlot", "1 encode runs already")});
        assert_eq!(stand(waits, Held::GoesOn), Reached("films-1: Queued: 1 encode runs already".into()));
        let held = json!({"phase": "Paused", "conditions": placed("Suspended", "the library's spec.suspend is true")});
        assert_eq!(
            stand(held, Held::GoesOn),
            Otherwise("films-1 is still paused: the library's spec.suspend is true".into())
        );
    }

    #[test]
    fn a_library_is_waited_for_until_none_of_its_encodes_runs_or_none_is_held_for_its_sake() {
        use Stand::{Reached, Waits};
        let [encoding, settling] = ["Encoding", "Settling"].map(|phase| job(json!({}), json!({"phase": phase})));
        let held = job(json!({}), json!({"phase": "Paused", "conditions": placed("Suspended", "the library's")}));
        let own = job(json!({"suspend": true}), json!({"phase": "Paused", "conditions": placed("Suspended", "own")}));
        let night = job(json!({}), json!({"phase": "Paused", "conditions": placed("OutsideSchedule", "until ten")}));
        let suspended = library(true, "Suspended");
        assert!(
            matches!(library_stand(&suspended, &[encoding], Held::Paused), Waits(said) if said.contains("1 encode"))
        );
        assert_eq!(
            library_stand(&suspended, &[settling], Held::Paused),
            Reached("films: paused, no job encodes; still settling, which is not interrupted: 1 job".into())
        );
        let goes_on = library(false, "AsExpected");
        assert!(matches!(library_stand(&goes_on, &[held], Held::GoesOn), Waits(_)));
        assert!(matches!(library_stand(&library(false, "Suspended"), &[], Held::GoesOn), Waits(_)));
        assert_eq!(
            library_stand(&goes_on, &[own, night], Held::GoesOn),
            Reached("films: goes on: work goes on by itself; 1 job paused of its own".into())
        );
    }
}
