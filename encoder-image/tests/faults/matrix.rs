//! The matrix: every scene, every way to swap, every point of every durable step, every fault.
//!
//! `AV1_FAULTS=core` (the default) takes every fault in the scenes that matter most and kills in all others; `AV1_FAULTS=all` every
//! fault in every scene.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::bench::{Bench, End, Run, Tally, methods};
use super::scenes::{ALL, Scene};

/// What is done at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The process is killed there; before and after a step are two points.
    Kill,
    /// The step fails for want of space.
    NoSpace,
    /// The step fails by an error of the disk; after a step, a network file system reports failure for what it did.
    Disk,
    /// Another pod comes for the same path.
    Claimant,
    /// Another program replaces the file.
    Changed,
}

const FAULTS: [Fault; 5] = [Fault::Kill, Fault::NoSpace, Fault::Disk, Fault::Claimant, Fault::Changed];
const BETTER: &[u8] = b"a better copy";

/// The scenes in which every fault is tried each time.
fn is_core(scene: Scene) -> bool {
    matches!(scene, Scene::Replace | Scene::Undo)
}

fn faults(scene: Scene) -> &'static [Fault] {
    let all = std::env::var("AV1_FAULTS").is_ok_and(|what| what == "all");
    if all || is_core(scene) { &FAULTS } else { &FAULTS[..1] }
}

fn run(scenes: &[Scene]) {
    let (mut points_of_all, known_gaps) = (0, AtomicUsize::new(0));
    for &scene in scenes {
        let mut tally = Tally::default();
        for method in methods() {
            let points = Bench::new(scene, method).trace();
            assert!(points.len() >= 8, "{scene:?} {method}: only {} points", points.len());
            points_of_all += points.len();
            let wanted = Bench::undisturbed(scene, method);
            for point in &points {
                for &fault in faults(scene) {
                    let name = format!("{scene:?} {method} {point} {fault:?}");
                    tally.count(&name, survives(scene, method, point, fault, &wanted, &known_gaps));
                }
            }
        }
        tally.finish(&format!("{scene:?}"));
    }
    let gaps = known_gaps.into_inner();
    println!("ok   {points_of_all} points; {gaps} times a link's known gap was hit");
}

fn survives(
    scene: Scene,
    method: &str,
    point: &str,
    fault: Fault,
    wanted: &End,
    known_gaps: &AtomicUsize,
) -> Result<(), String> {
    let bench = Bench::new(scene, method);
    match fault {
        Fault::Kill => failed(&bench, point, "kill", wanted),
        Fault::NoSpace => failed(&bench, point, "ENOSPC", wanted),
        Fault::Disk => failed(&bench, point, "EIO", wanted),
        Fault::Claimant => claimed(&bench, point, wanted),
        Fault::Changed => changed(&bench, point, known_gaps),
    }
}

/// One fault, a look, the run after it, and one more that must say the same.
fn failed(bench: &Bench, point: &str, action: &str, wanted: &End) -> Result<(), String> {
    let first = bench.next("pod-1", &[], Some(&format!("{point}=return({action})")));
    if action == "kill" && !first.killed {
        return Err(format!("was not killed: {first:?}"));
    }
    bench.whole("after the fault")?;
    if action != "kill" && first.code != Some(0) {
        bench.no_copy_is_left_when_untouched()?;
    }
    finished(bench, wanted, if first.released() { &[] } else { &["pod-1"] })?;
    bench.stills_are_kept(action != "kill")
}

/// The next run finishes the work, and one more finds it done.
fn finished(bench: &Bench, wanted: &End, ended: &[&str]) -> Result<(), String> {
    let second = bench.next("pod-8", ended, None);
    if second.code != Some(0) {
        return Err(format!("the next run failed: {second:?}"));
    }
    bench.whole("after the next run")?;
    let end = bench.end();
    if end != *wanted {
        return Err(format!("another end: {end:?}, wanted {wanted:?}; {second:?}"));
    }
    let third = bench.next("pod-9", &[ended, &["pod-8"]].concat(), None);
    let same = third.result == second.result || matches!(bench.scene, Scene::Purge | Scene::Deleted | Scene::Sidecars);
    if third.code != Some(0) || !same {
        return Err(format!("one more run says something else: {third:?}, before {second:?}"));
    }
    if bench.end() == *wanted { Ok(()) } else { Err(format!("one more run changed something: {:?}", bench.end())) }
}

/// While one pod is held at the point, another one comes that was not told of its end: at most one of them works.
fn claimed(bench: &Bench, point: &str, wanted: &End) -> Result<(), String> {
    let (first, second) = bench.held("pod-1", point, || bench.next("pod-2", &[], None));
    bench.whole("after both")?;
    let orderly = |run: &Run| run.code == Some(0) || run.code == Some(75);
    // What the other one did to the trash or to a marker meanwhile is found when a step fails: that run is done again.
    let again = |run: &Run| run.code == Some(1) && run.retryable() == Some(true);
    if !(orderly(&first) || again(&first)) || !orderly(&second) {
        return Err(format!("first {first:?}, second {second:?}"));
    }
    finished(bench, wanted, &["pod-1", "pod-2"])
}

/// While the pod is held at the point, another program puts another file at the name, as programs do, by a rename over.
fn changed(bench: &Bench, point: &str, known_gaps: &AtomicUsize) -> Result<(), String> {
    let (run, before) = bench.held("pod-1", point, || {
        let mut before = bench.names();
        before.remove(bench.scene.film());
        bench.replace_film(BETTER);
        before
    });
    let stays = || {
        // Whatever name it went to: a purge and a restore leave it alone, a settle may have found it too late to matter.
        if bench.names().values().any(|found| *found == super::bench::hash(BETTER)) {
            return Ok(());
        }
        // A link and a rename over have a gap between look and rename: the rename cannot be told what it may overwrite.
        if bench.method == "Link" && point == "settle::rename_over::before" {
            known_gaps.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        Err(format!("the other program's file is gone: {run:?}"))
    };
    stays()?;
    // What was nowhere but at the name the other program overwrote itself.
    // Where a rename can't refuse a taken name, a file gets its name by a link and has two for an instant: the other program's
    // rename hits the one that stays.
    let two_names = bench.scene == Scene::UndoDeleted && bench.method == "Link" && point == "settle::drop_part::before";
    let survived = |when: &str| match bench.lost(&bench.names()) {
        Some(_) if two_names => {
            known_gaps.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }
        Some(lost) if bench.lost(&before).is_none() => Err(format!("{when}: the {lost} is nowhere: {run:?}")),
        _ => Ok(()),
    };
    survived("after")?;
    let next = bench.next("pod-8", &["pod-1"], None);
    if !matches!(next.code, Some(0 | 1)) {
        return Err(format!("the next run ended oddly: {next:?}"));
    }
    stays()?;
    survived("after the next run")
}

#[test]
fn a_settled_file_survives_every_fault_at_every_step() {
    run(&ALL.into_iter().filter(|scene| scene.role() == "settle").collect::<Vec<_>>());
}

#[test]
fn a_restored_file_survives_every_fault_at_every_step() {
    run(&ALL.into_iter().filter(|scene| scene.role() == "restore").collect::<Vec<_>>());
}

#[test]
fn a_purged_a_marked_and_an_explained_file_survive_every_fault_at_every_step() {
    run(&[Scene::Purge, Scene::Deleted, Scene::Mark, Scene::Sidecars]);
}

#[test]
fn two_faults_in_a_row_are_survived_too() {
    for scene in [Scene::Replace, Scene::Undo] {
        let mut tally = Tally::default();
        for method in methods() {
            let wanted = Bench::undisturbed(scene, method);
            let points = Bench::new(scene, method).trace();
            for (index, first) in points.iter().enumerate() {
                let bench = Bench::new(scene, method);
                bench.next("pod-1", &[], Some(&format!("{first}=return(kill)")));
                let second = &points[(index * 7 + 3) % points.len()];
                bench.next("pod-2", &["pod-1"], Some(&format!("{second}=return(kill)")));
                let name = format!("{scene:?} {method} {first} then {second}");
                tally.count(
                    &name,
                    bench.whole("after both").and_then(|()| finished(&bench, &wanted, &["pod-1", "pod-2"])),
                );
            }
        }
        tally.finish(&format!("two faults in a row, {scene:?}"));
    }
}
