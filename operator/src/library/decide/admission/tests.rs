//! How many jobs are admitted, in which order, and which finished ones are let go.

use super::*;
use av1_crds::job::{Desired, EncodeJobSpec, LibraryReference, Source};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn job(name: &str, path: &str, age: i64, phase: Phase) -> EncodeJob {
    let spec = EncodeJobSpec {
        library_ref: LibraryReference { name: "films".into() },
        source: Source { path: path.into() },
        settings: None,
        suspend: false,
        desired: Desired::Encoded,
        force: Vec::new(),
        priority: 0,
        retry: 0,
    };
    let mut job = EncodeJob::new(name, spec);
    job.metadata.creation_timestamp = Some(Time(at(age)));
    job.status = Some(EncodeJobStatus { phase, ..EncodeJobStatus::default() });
    job.annotations_mut().insert(labels::SIZE.into(), "1".into());
    job
}

fn limits(max_jobs: usize) -> Limits {
    Limits { max_jobs, free_bytes: Some(100), closed: None, failing: None, now: at(1_000) }
}

fn told(jobs: &[EncodeJob], limits: &Limits) -> Vec<String> {
    let jobs: Vec<Arc<EncodeJob>> = jobs.iter().cloned().map(Arc::new).collect();
    let words = |turn| match turn {
        Turn::Start => "starts".to_owned(),
        Turn::Measure => "is measured".to_owned(),
        Turn::Wait { reason, .. } => reason.to_owned(),
    };
    turns(&jobs, limits).into_iter().map(|(job, turn)| format!("{} {}", job.name_any(), words(turn))).collect()
}

#[test]
fn jobs_start_in_order_until_the_slots_are_taken() {
    let jobs = [
        job("c", "3", 3, Phase::Queued),
        job("a", "1", 1, Phase::Queued),
        job("b", "2", 2, Phase::Queued),
        job("e", "4", 0, Phase::Encoding),
    ];
    assert_eq!(told(&jobs, &limits(2)), ["a starts", "b WaitingForSlot", "c WaitingForSlot"]);
    assert_eq!(told(&jobs, &limits(1)), ["a WaitingForSlot", "b WaitingForSlot", "c WaitingForSlot"]);
    assert_eq!(told(&jobs, &limits(4)), ["a starts", "b starts", "c starts"]);
}

#[test]
fn the_rank_a_job_was_made_with_goes_before_its_name() {
    let mut jobs = [job("a", "1", 1, Phase::Queued), job("b", "2", 1, Phase::Queued)];
    for (job, place) in jobs.iter_mut().zip(["00001", "00000"]) {
        job.annotations_mut().insert(labels::RANK.into(), format!("{:013}-{place}", at(1).as_millisecond()));
    }
    assert_eq!(told(&jobs, &limits(1)), ["b starts", "a WaitingForSlot"]);
}

#[test]
fn at_most_one_output_more_than_slots_waits_unsettled() {
    let settling =
        |n: usize| (0..n).map(|i| job(&format!("s{i}"), &format!("s{i}"), 0, Phase::Settling)).collect::<Vec<_>>();
    for (waiting, expected) in [(1, "q starts"), (2, "q WaitingForSlot")] {
        let mut jobs = settling(waiting);
        jobs.push(job("q", "q", 1, Phase::Queued));
        assert_eq!(told(&jobs, &limits(1)), [expected], "{waiting} settling");
    }
}

#[test]
fn of_two_jobs_on_one_file_the_younger_waits_and_does_not_hold_up_the_others() {
    let jobs = [
        job("old", "same", 1, Phase::Queued),
        job("young", "same", 2, Phase::Queued),
        job("other", "another", 3, Phase::Queued),
    ];
    assert_eq!(told(&jobs, &limits(2)), ["old starts", "young WaitingForOtherJob", "other starts"]);
    for phase in [Phase::Encoding, Phase::Settling, Phase::Paused] {
        let jobs = [job("late", "same", 9, phase), job("early", "same", 1, Phase::Queued)];
        assert_eq!(told(&jobs, &limits(5)), ["early WaitingForOtherJob"], "{phase:?}");
    }
    let jobs = [job("done", "same", 1, Phase::Failed), job("next", "same", 2, Phase::Queued)];
    assert_eq!(told(&jobs, &limits(1)), ["next starts"]);
}

#[test]
fn a_job_in_back_off_a_suspended_one_and_one_that_is_too_large_leave_their_slot_to_others() {
    let mut back_off = job("a", "1", 1, Phase::Queued);
    back_off.status.as_mut().unwrap().not_before = Some(at(1_001).to_string());
    let mut suspended = job("b", "2", 2, Phase::Queued);
    suspended.spec.suspend = true;
    let mut large = job("c", "3", 3, Phase::Queued);
    large.annotations_mut().insert(labels::SIZE.into(), "51".into());
    let mut fits = job("d", "4", 4, Phase::Queued);
    fits.annotations_mut().insert(labels::SIZE.into(), "50".into());
    assert_eq!(
        told(&[back_off.clone(), suspended, large, fits], &limits(1)),
        ["a WaitingForSlot", "c LowSpace", "d starts"]
    );
    let later = Limits { now: at(1_001), ..limits(1) };
    assert_eq!(told(&[back_off], &later), ["a starts"]);
}

#[test]
fn a_job_that_a_user_made_is_measured_once_its_turn_has_come_and_keeps_its_slot_meanwhile() {
    let by_hand = |name, age| {
        let mut job = job(name, name, age, Phase::Queued);
        job.annotations_mut().remove(labels::SIZE);
        job
    };
    let jobs = [by_hand("a", 1), job("b", "b", 2, Phase::Queued), by_hand("c", 3)];
    assert_eq!(told(&jobs, &limits(1)), ["a is measured", "b WaitingForSlot", "c WaitingForSlot"]);
    assert_eq!(told(&jobs, &limits(3)), ["a is measured", "b starts", "c is measured"]);
    for (size, expected) in [("51", "a LowSpace"), ("50", "a starts"), ("unknown", "a starts")] {
        let mut measured = by_hand("a", 1);
        measured.annotations_mut().insert(labels::SIZE.into(), size.into());
        assert_eq!(told(&[measured], &limits(1)), [expected]);
    }
    let mut undo = by_hand("undo", 1);
    undo.spec.desired = Desired::Original;
    assert_eq!(told(&[undo], &limits(1)), ["undo starts"], "no room is needed");
}

#[test]
fn a_half_done_film_goes_on_before_others_and_keeps_its_slot_while_it_wakes() {
    let mut half_done = job("z", "9", 9, Phase::Paused);
    half_done.status.as_mut().unwrap().run = 1;
    let next = job("a", "1", 1, Phase::Queued);
    assert_eq!(told(&[half_done.clone(), next.clone()], &limits(1)), ["a WaitingForSlot"]);
    assert_eq!(told(&[half_done.clone(), next.clone()], &limits(2)), ["a starts"]);
    let mut suspended = half_done.clone();
    suspended.spec.suspend = true;
    assert_eq!(told(&[suspended, next.clone()], &limits(1)), ["a starts"]);
    half_done.status.as_mut().unwrap().phase = Phase::Queued;
    assert_eq!(told(&[half_done, next], &limits(1)), ["z starts", "a WaitingForSlot"]);
}

#[test]
fn a_higher_priority_goes_first_and_equal_ones_by_age() {
    let mut jobs = [job("a", "1", 1, Phase::Queued), job("b", "2", 2, Phase::Queued), job("c", "3", 3, Phase::Queued)];
    jobs[2].spec.priority = 5;
    jobs[0].spec.priority = -1;
    assert_eq!(told(&jobs, &limits(1)), ["c starts", "b WaitingForSlot", "a WaitingForSlot"]);
}

#[test]
fn what_the_user_orders_waits_for_pods_on_its_file_alone() {
    let ordered = |desired| {
        let mut undo = job("undo", "same", 9, Phase::Queued);
        undo.spec.desired = desired;
        undo.spec.suspend = true;
        undo.annotations_mut().insert(labels::SIZE.into(), "1000".into());
        undo
    };
    for desired in [Desired::Original, Desired::Skipped, Desired::Cancelled] {
        let jobs = [job("busy", "other", 1, Phase::Encoding), job("old", "same", 1, Phase::Queued), ordered(desired)];
        assert_eq!(told(&jobs, &limits(1)), ["undo starts", "old WaitingForOtherJob"], "{desired:?}");
        for phase in [Phase::Encoding, Phase::Settling, Phase::Restoring] {
            let jobs = [job("busy", "same", 1, phase), ordered(desired)];
            assert_eq!(told(&jobs, &limits(5)), ["undo WaitingForOtherJob"], "{phase:?}");
        }
    }
    let mut first = ordered(Desired::Skipped);
    first.metadata.name = Some("first".into());
    first.metadata.creation_timestamp = Some(Time(at(8)));
    assert_eq!(told(&[ordered(Desired::Original), first], &limits(1)), ["first starts", "undo WaitingForOtherJob"]);
}
