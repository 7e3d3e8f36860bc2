//! What the user orders of a job when nothing could be encoded.

use super::pausing::ready_library;
use super::*;
use av1_crds::job::Desired;

/// The status that a job of a ready library gets with its turn.
fn admitted(library: serde_json::Value, settings: serde_json::Value, desired: Desired) -> EncodeJobStatus {
    let mut o = ready_library(library);
    let job = json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "j", "uid": "j", "annotations": {"av1.media/size": "1"}},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a"}, "settings": settings, "desired": desired, "retry": 2}});
    o.jobs = vec![Arc::new(serde_json::from_value(job).unwrap())];
    let mut changes = decide(&o, &options()).desired.changes;
    changes.remove(0).status
}

#[test]
fn an_order_is_carried_out_whatever_the_encoder_is_asked_for() {
    let nvenc = json!({"encode": {"overrides": {"extraParams": ["-c:v av1_nvenc"]}}});
    let table = [(Desired::Original, Phase::Restoring), (Desired::Skipped, Phase::Settling)];
    for (desired, phase) in table {
        for (library, job) in [(nvenc.clone(), json!({})), (json!({}), nvenc.clone())] {
            let status = admitted(library, job, desired);
            assert_eq!((status.phase, status.desired, status.retry), (phase, desired, 2), "{desired:?}");
            assert!(status.settings.is_some());
        }
    }
    let status = admitted(json!({}), nvenc, Desired::Encoded);
    assert_eq!((status.phase, status.outcome.unwrap().reason.as_str()), (Phase::Failed, "InvalidEncoderParams"));
}

#[test]
fn a_job_that_cannot_begin_has_what_was_asked_on_record_and_does_not_begin_again_by_itself() {
    let never = json!({"replacement": {"trashRetention": "soon"}});
    for desired in [Desired::Original, Desired::Encoded] {
        let status = admitted(json!({}), never.clone(), desired);
        assert_eq!((status.phase, status.desired, status.retry), (Phase::Failed, desired, 2), "{desired:?}");
    }
}
