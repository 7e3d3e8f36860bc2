//! The decisions about one job, from made-up observations: no cluster, no clock.

use self::settling::settling;
use super::super::observe::ReportView;
use super::*;
use crate::build::NodeFacts;
use crate::pods::{Ended, PodFacts, PodState};
use av1_crds::wire::{EncodePlan, EncodeProgress};
use av1_crds::{EncodeJob, MediaLibrary};
use jiff::SignedDuration;
use serde_json::{Value, json};

mod abandoned;
mod failing;
mod memory;
mod notifying;
mod pausing;
mod placing;
mod random;
mod settling;
mod stuck;
mod wishes;

pub(super) fn options() -> Options {
    Options::sample()
}

fn library() -> MediaLibrary {
    serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": "films", "namespace": "media", "uid": "lib"},
        "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}},
        "status": {"storage": {"volumeId": "v1", "runAsUser": 1000, "runAsGroup": 1001, "swap": "Exchange", "preparedFor": "x"}}}))
    .unwrap()
}

fn settings() -> Value {
    json!(av1_crds::settings::Settings::resolve(&[]).unwrap())
}

pub(in crate::job) fn observed(status: Value) -> Observed {
    let mut status = status;
    status["settings"] = settings();
    let job: EncodeJob = serde_json::from_value(json!({"apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
        "metadata": {"name": "films-1", "namespace": "media", "uid": "job", "finalizers": ["av1.media/finish"]},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": "a $(b).mkv"}}, "status": status}))
    .unwrap();
    let node = serde_json::from_value(json!({"metadata": {"name": "n"}, "status": {"allocatable": {"cpu": "4", "memory": "16Gi"}, "conditions": [{"type": "Ready", "status": "True"}]}})).unwrap();
    Observed {
        job,
        library: Some(library()),
        namespace_terminating: false,
        batch_jobs: Vec::new(),
        pods: Vec::new(),
        report: ReportView::NotAnnounced,
        progress: None,
        delivered: None,
        nodes: std::sync::Arc::new([NodeFacts::of(&node)]),
        now: "2026-01-01T00:00:00Z".parse().unwrap(),
    }
}

fn encoding(run: i64) -> Observed {
    observed(json!({"phase": "Encoding", "run": run}))
}

fn batch(role: &str, run: i64) -> BatchFacts {
    BatchFacts { name: format!("job-{role}-{run}"), role: role.into(), ..BatchFacts::default() }
}

fn pod(role: &str, run: i64, state: PodState) -> PodFacts {
    PodFacts {
        uid: format!("{role}-{run}"),
        name: format!("job-{role}-{run}-x"),
        role: role.into(),
        run,
        node: Some("n".into()),
        memory: Some(4 << 30),
        setup: None,
        state,
    }
}

fn runs() -> PodState {
    PodState::Live { ip: Some("10.0.0.1".into()), unschedulable: None, waiting: None, started: true }
}

fn ended(code: i32, message: Value) -> PodState {
    PodState::Ended(Ended {
        code: Some(code),
        reason: String::new(),
        note: String::new(),
        message: message.to_string(),
        disrupted: false,
        initialised: true,
        at: None,
    })
}

fn identity() -> Value {
    json!({"size": "100", "modifiedTimeNs": "1", "changedTimeNs": "1", "inode": "1", "fingerprint": "f"})
}

fn encode_result(verdict: &str, reason: &str) -> Value {
    json!({"done": {"verdict": verdict, "reason": reason, "message": "m", "source": identity(), "output": {"name": "out.mkv", "size": 50, "sha256": "aa"}, "reportSha256": "bb",
        "sizeGate": {"inputBytes": 100, "outputBytes": 50, "percent": 50, "maxPercent": 90, "passed": true}, "pinning": {"cpus": "1", "exclusive": true, "cpuModel": "c"},
        "frames": 10, "encodeSeconds": 1.0, "chunksResumed": 0}})
}

fn report() -> ReportView {
    let result: EncodeResult = serde_json::from_value(encode_result("Encoded", "Encoded")["done"].clone()).unwrap();
    let check = |name: &str, passed| av1_crds::wire::Check {
        name: name.into(),
        passed,
        expected: "1".into(),
        measured: "1".into(),
    };
    ReportView::Got(Box::new(av1_crds::wire::EncodeReport {
        result,
        media: None,
        classification: None,
        plan: Some(EncodePlan { crf: 23, ..EncodePlan::default() }),
        checks: vec![check("FrameCount", true), check("StreamHash", true), check("StreamHash", true)],
        quality: None,
        settings: serde_json::from_value(settings()).unwrap(),
        versions: Default::default(),
        commands: Default::default(),
        notes: Vec::new(),
    }))
}

fn names(decision: &Decision) -> Vec<String> {
    decision
        .actions
        .iter()
        .map(|action| match action {
            Action::Create(job) => format!("create {}", job.name_any()),
            Action::Delete(name) => format!("delete {name}"),
            Action::Notify(note) => format!("notify {}", note.action),
            Action::Release => "release".to_owned(),
        })
        .collect()
}

fn reason(decision: &Decision, type_: &str) -> String {
    crate::conditions::find(&decision.status.conditions, type_)
        .map(|c| format!("{} {}", c.status, c.reason))
        .unwrap_or_default()
}

/// What the encode pod that is made is told.
fn task_of(decision: &Decision) -> av1_crds::wire::EncodeTask {
    let Some(Action::Create(job)) = decision.actions.first() else { panic!("{:?}", decision.actions) };
    let args = job.spec.as_ref().unwrap().template.spec.as_ref().unwrap().containers[0].args.clone().unwrap();
    assert!(!args[3].contains('$'), "{}", args[3]);
    serde_json::from_str(&args[3]).unwrap()
}

#[test]
fn a_job_that_has_ended_is_let_go_only_when_nothing_of_it_is_left() {
    let mut o = observed(json!({"phase": "Succeeded", "run": 1}));
    o.pods = vec![pod("settle", 1, runs())];
    o.batch_jobs = vec![batch("settle", 1)];
    assert_eq!(names(&decide(&o, &options())), ["delete job-settle-1"]);
    o.batch_jobs[0].deleting = true;
    o.pods.clear();
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0], "the batch Job is still there");
    o.batch_jobs.clear();
    o.pods = vec![pod("settle", 1, runs())];
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0], "its pod is still there");
    o.pods.clear();
    assert_eq!(names(&decide(&o, &options())), ["release"]);
}

#[test]
fn a_recorded_run_without_a_job_gets_one_and_one_with_a_job_does_not() {
    let mut o = encoding(3);
    assert_eq!(names(&decide(&o, &options())), ["create job-encode-3"]);
    o.batch_jobs = vec![batch("encode", 3)];
    assert_eq!(names(&decide(&o, &options())), [] as [String; 0]);
}

#[test]
fn the_next_run_takes_over_the_folder_of_the_last_that_had_one() {
    let task = |status| task_of(&decide(&observed(status), &options()));
    let first = task(json!({"phase": "Encoding", "run": 3, "workRun": 1}));
    assert_eq!((first.take_over_run, first.path.as_str()), (Some(1), "a $(b).mkv"));
    assert_eq!(task(json!({"phase": "Encoding", "run": 1})).take_over_run, None);
}

#[test]
fn no_run_starts_while_the_pod_of_an_earlier_one_lives() {
    let mut o = encoding(2);
    o.pods = vec![pod("encode", 1, runs())];
    o.batch_jobs = vec![batch("encode", 1)];
    assert_eq!(names(&decide(&o, &options())), ["delete job-encode-1"]);
}

#[test]
fn a_running_pod_is_recorded_with_what_it_saw() {
    let mut o = encoding(1);
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, runs())];
    let pinning = av1_crds::wire::Pinning { cpus: "1".into(), exclusive: true, ..Default::default() };
    o.progress = Some(EncodeProgress { frames: 5, total_frames: 10, pinning, ..EncodeProgress::default() });
    let decision = decide(&o, &options());
    assert_eq!(
        (reason(&decision, "Placed").as_str(), reason(&decision, "Pinned").as_str()),
        ("True AsExpected", "True ExclusiveCpus")
    );
    assert_eq!((decision.status.pod_uid.as_deref(), decision.status.work_run), (Some("encode-1"), Some(1)));
    assert_eq!(decision.status.progress.unwrap().percent, "50%");
    o.batch_jobs = vec![placing::made(&encoding(1))];
    o.pods[0].state = placing::unschedulable();
    let decision = decide(&o, &options());
    assert_eq!(reason(&decision, "Placed"), "False Unschedulable");
    let message = &crate::conditions::find(&decision.status.conditions, "Placed").unwrap().message;
    assert!(message.contains("Insufficient cpu") && message.contains("spec.pods.cpus"), "{message}");
}

#[test]
fn an_encoded_file_is_settled_only_with_the_report_that_was_announced() {
    let mut o = encoding(1);
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, ended(0, encode_result("Encoded", "Encoded")))];
    assert_eq!(decide(&o, &options()).status.failures, 1, "no report was announced");
    o.report = ReportView::NotYet("away".into());
    assert_eq!(decide(&o, &options()).status.phase, Phase::Encoding);
    o.report = ReportView::Wrong("other hash".into());
    let wrong = decide(&o, &options());
    assert_eq!((wrong.status.phase, wrong.status.failures), (Phase::Queued, 1));
    o.report = report();
    let decision = decide(&o, &options());
    let pending = decision.status.pending_settle.clone().unwrap();
    assert_eq!(
        (decision.status.phase, pending.verdict.as_str(), pending.output_name.as_deref()),
        (Phase::Settling, "Encoded", Some("out.mkv"))
    );
    assert_eq!(decision.status.checks.len(), 2, "one row of a name");
    assert_eq!(
        (reason(&decision, "Validated"), reason(&decision, "SizeGatePassed")),
        ("True AsExpected".into(), "True AsExpected".into())
    );
    assert_eq!(names(&decision), [] as [String; 0], "the Job is deleted once the outcome is on record");
    assert!(decision.verdict.is_some() && !decision.is_nothing_new(&o), "its figures are counted when it is on record");
    o.job.status = Some(decision.status);
    let recorded = decide(&o, &options());
    assert_eq!(names(&recorded), ["delete job-encode-1", "create job-settle-1"]);
    assert!(recorded.verdict.is_none(), "and not once more");
}

#[test]
fn the_new_name_of_an_output_goes_on_to_the_settle_pod_and_into_the_result() {
    let mut o = encoding(1);
    o.batch_jobs = vec![batch("encode", 1)];
    let mut result = encode_result("Encoded", "Encoded");
    result["done"]["output"]["target"] = json!("a/b.mkv");
    result["done"]["reportSha256"] = json!("bb");
    o.pods = vec![pod("encode", 1, ended(0, result))];
    o.report = report();
    let decision = decide(&o, &options());
    assert_eq!(decision.status.pending_settle.unwrap().output_target.as_deref(), Some("a/b.mkv"));
    let mut o = settling(json!({"outputTarget": "a/b.mkv"}));
    let made = decide(&o, &options()).actions;
    assert!(
        matches!(made.as_slice(), [Action::Create(job)] if serde_json::to_string(job).unwrap().contains("a/b.mkv")),
        "{made:?}"
    );
    o.pods = vec![pod(
        "settle",
        1,
        ended(
            0,
            json!({"done": {"verdict": "Replaced", "message": "m", "receipt": "r", "bytesBefore": 100, "bytesAfter": 40}}),
        ),
    )];
    assert_eq!(decide(&o, &options()).status.result.unwrap().path, "a/b.mkv");
}

#[test]
fn a_message_of_another_pod_than_the_recorded_one_is_not_believed() {
    let mut o = observed(json!({"phase": "Encoding", "run": 1, "podUid": "the-real-one"}));
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, ended(0, encode_result("Encoded", "Encoded")))];
    o.report = report();
    let decision = decide(&o, &options());
    assert_eq!((decision.status.phase, decision.status.lost), (Phase::Queued, 1));
}

#[test]
fn suspending_stops_the_pod_and_then_pauses_and_a_verdict_that_came_first_stands() {
    let mut o = encoding(1);
    o.library.as_mut().unwrap().spec.suspend = true;
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, runs())];
    let decision = decide(&o, &options());
    assert_eq!((names(&decision), decision.status.phase), (vec!["delete job-encode-1".to_owned()], Phase::Encoding));
    o.batch_jobs[0].deleting = true;
    o.pods[0].state = ended(143, json!(""));
    let decision = decide(&o, &options());
    assert_eq!((decision.status.phase, decision.status.lost), (Phase::Paused, 0));
    o.pods[0].state = ended(0, encode_result("Encoded", "Encoded"));
    o.report = report();
    assert_eq!(decide(&o, &options()).status.phase, Phase::Settling);
    let mut paused = observed(json!({"phase": "Paused", "run": 1}));
    assert_eq!(decide(&paused, &options()).status.phase, Phase::Queued);
    paused.job.spec.suspend = true;
    assert_eq!(decide(&paused, &options()).status.phase, Phase::Paused);
}

#[test]
fn a_changed_source_is_skipped_without_a_settle_pod_and_ends_no_sooner_than_its_pod_by_the_nodes_clock() {
    let mut o = encoding(1);
    o.report = report();
    for ahead in [-10, 86_400] {
        let PodState::Ended(mut end) = ended(0, encode_result("Skipped", "SourceChanged")) else { unreachable!() };
        end.at = Some(o.now.as_second() + ahead);
        o.pods = vec![pod("encode", 1, PodState::Ended(end))];
        let status = decide(&o, &options()).status;
        assert_eq!((status.phase, status.pending_settle), (Phase::Skipped, None));
        let at: jiff::Timestamp = status.completion_time.unwrap().parse().unwrap();
        assert_eq!(at.as_second() - o.now.as_second(), ahead.max(0));
    }
}

#[test]
fn a_deleted_job_lets_go_when_no_pod_and_no_job_of_it_is_left_and_never_makes_one() {
    let deleted = |mut o: Observed| {
        o.job.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(o.now));
        o
    };
    let told = |o: &Observed| {
        let decision = decide(o, &options());
        assert_eq!(decision.requeue.is_some(), !decision.released);
        names(&decision)
    };
    let mut o = deleted(encoding(1));
    assert_eq!(told(&o), ["release"]);
    o.batch_jobs = vec![batch("encode", 1)];
    assert_eq!(told(&o), ["delete job-encode-1"], "its pod may come any moment");
    o.batch_jobs[0].deleting = true;
    assert_eq!(told(&o), [] as [String; 0]);
    o.pods = vec![pod("encode", 1, runs())];
    o.batch_jobs.clear();
    assert_eq!(told(&o), [] as [String; 0]);
    let mut o = deleted(settling(json!({"run": 2})));
    o.pods = vec![pod("settle", 2, runs())];
    o.batch_jobs = vec![batch("settle", 1), batch("settle", 2)];
    assert_eq!(told(&o), ["delete job-settle-1"]);
    o.pods[0].state = ended(0, json!(""));
    o.batch_jobs.remove(0);
    assert_eq!(told(&o), ["delete job-settle-2"]);
    o.namespace_terminating = true;
    assert_eq!(told(&o), ["release"]);
    assert_eq!(told(&deleted(settling(json!({})))), ["release"]);
}

#[test]
fn jobs_of_other_runs_go_while_a_run_encodes() {
    let mut o = encoding(2);
    o.batch_jobs = vec![batch("encode", 1), batch("encode", 2), batch("settle", 1)];
    o.pods = vec![pod("encode", 2, runs())];
    assert_eq!(names(&decide(&o, &options())), ["delete job-encode-1", "delete job-settle-1"]);
}

#[test]
fn a_job_whose_pod_cannot_be_made_is_named() {
    let later = |mut o: Observed, role: &str| {
        o.batch_jobs = vec![BatchFacts { made: Some(o.now), role: role.into(), ..placing::made(&o) }];
        o.now = o.now.checked_add(SignedDuration::from_secs(31)).unwrap();
        decide(&o, &options()).status.conditions
    };
    for (conditions, type_, name) in [
        (later(encoding(1), "encode"), "Placed", "encode"),
        (later(settling(json!({})), "settle"), "Settled", "settle"),
    ] {
        let message = &crate::conditions::find(&conditions, type_).unwrap().message;
        assert!(message.contains(&format!("kubectl describe job job-{name}-1")), "{message}");
    }
}

#[test]
fn a_suspended_library_is_looked_at_often_and_a_suspended_job_comes_by_itself() {
    let mut o = observed(json!({"phase": "Paused", "run": 1}));
    o.library.as_mut().unwrap().spec.suspend = true;
    assert_eq!(decide(&o, &options()).requeue, Some(Duration::from_secs(5)));
    o.job.spec.suspend = true;
    assert_eq!(decide(&o, &options()).requeue, Some(Duration::from_secs(300)));
}

#[test]
fn a_second_look_at_the_same_things_changes_nothing() {
    let mut o = encoding(1);
    o.batch_jobs = vec![batch("encode", 1)];
    o.pods = vec![pod("encode", 1, runs())];
    let first = decide(&o, &options());
    o.job.status = Some(first.status.clone());
    o.now = o.now.checked_add(SignedDuration::from_secs(3)).unwrap();
    assert_eq!(decide(&o, &options()).status, first.status);
}
