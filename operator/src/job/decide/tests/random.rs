//! Two jobs on one file in a small cluster under random events: pods that end in every way, vanish or are made late; reconciles that act
//! on what they read a while ago, or twice; operators that die between acting and recording; users who change their minds; a clock
//! that jumps. The phase table is never left, two pods never work on one file at once, nothing is settled twice, and once faults
//! stop every job reaches a terminal phase, the one that its user wants where that is a restore.

use av1_crds::job::Desired;
use proptest::prelude::*;

use super::*;
use world::{Dies, End, World};

mod world;

const NAMES: [&str; 2] = ["a", "b"];

/// What happens next in the cluster. The first number chooses a job, or a pod.
#[derive(Debug, Clone, Copy)]
enum Happens {
    /// A whole reconcile.
    Reconcile(usize),
    /// A reconcile reads, and acts later on what it read.
    Reads(usize),
    /// What is to be done is done twice.
    ActsTwice(usize),
    /// Actions are done and the status is lost with the operator.
    DiesAfterApply(usize),
    Library,
    LibraryReads,
    OperatorRestarts,
    PodIsMade(usize),
    PodEnds(usize, End),
    BatchJobIsDeleted(usize),
    JobIsDeleted(usize),
    Suspend(usize, bool),
    SuspendLibrary(bool),
    Want(usize, Desired),
    Retry(usize),
    Catalog(bool),
    NodeIsSilent(bool),
    /// The node is silent for longer than its encodes are waited for.
    Outage,
    Clock(i64),
}

fn happens() -> impl Strategy<Value = Happens> {
    let of = 0..NAMES.len();
    let end = prop_oneof![
        4 => any::<bool>().prop_map(End::Does),
        1 => Just(End::FailsForNow),
        1 => Just(End::FailsForGood),
        2 => Just(End::OutOfMemory),
        1 => Just(End::Evicted),
        1 => Just(End::Preempted),
        1 => Just(End::NodeRestarts),
        1 => Just(End::Vanishes),
    ];
    let wish =
        prop_oneof![Just(Desired::Encoded), Just(Desired::Original), Just(Desired::Cancelled), Just(Desired::Skipped)];
    let clock = prop_oneof![4 => 1..900_i64, 1 => -6 * 3_600..6 * 3_600_i64];
    prop_oneof![
        10 => of.clone().prop_map(Happens::Reconcile),
        3 => of.clone().prop_map(Happens::Reads),
        1 => of.clone().prop_map(Happens::ActsTwice),
        1 => of.clone().prop_map(Happens::DiesAfterApply),
        6 => Just(Happens::Library),
        1 => Just(Happens::LibraryReads),
        1 => Just(Happens::OperatorRestarts),
        7 => (0..4_usize).prop_map(Happens::PodIsMade),
        7 => (0..4_usize, end).prop_map(|(which, end)| Happens::PodEnds(which, end)),
        1 => (0..4_usize).prop_map(Happens::BatchJobIsDeleted),
        1 => of.clone().prop_map(Happens::JobIsDeleted),
        2 => (of.clone(), any::<bool>()).prop_map(|(which, suspend)| Happens::Suspend(which, suspend)),
        1 => any::<bool>().prop_map(Happens::SuspendLibrary),
        2 => (of.clone(), wish).prop_map(|(which, wish)| Happens::Want(which, wish)),
        1 => of.prop_map(Happens::Retry),
        1 => any::<bool>().prop_map(Happens::Catalog),
        2 => any::<bool>().prop_map(Happens::NodeIsSilent),
        1 => Just(Happens::Outage),
        4 => clock.prop_map(Happens::Clock),
    ]
}

fn happen(world: &mut World, what: Happens) {
    match what {
        Happens::Reconcile(which) => world.act(NAMES[which], 1, Dies::No),
        Happens::Reads(which) => world.observe(NAMES[which]),
        Happens::ActsTwice(which) => world.act(NAMES[which], 2, Dies::No),
        Happens::DiesAfterApply(which) => world.act(NAMES[which], 1, Dies::BeforeReport),
        Happens::Library => world.act_library(),
        Happens::LibraryReads => world.observe_library(),
        Happens::OperatorRestarts => world.restart(),
        Happens::PodIsMade(which) => world.make_pod(which),
        Happens::PodEnds(which, end) => world.end_pod(which, end),
        Happens::BatchJobIsDeleted(which) => world.delete_batch_job(which),
        Happens::JobIsDeleted(which) => world.delete_job(NAMES[which]),
        Happens::Suspend(which, suspend) => world.edit(NAMES[which], |job| job.spec.suspend = suspend),
        Happens::SuspendLibrary(suspend) => world.suspend_library(suspend),
        Happens::Want(which, desired) => world.edit(NAMES[which], |job| job.spec.desired = desired),
        Happens::Retry(which) => world.edit(NAMES[which], |job| job.spec.retry += 1),
        Happens::Catalog(up) => world.catalog(up),
        Happens::NodeIsSilent(silent) => world.node(silent),
        Happens::Outage => {
            world.node(true);
            world.clock(700);
        }
        Happens::Clock(seconds) => world.clock(seconds),
    }
}

/// Faults stop, and nobody wants anything else: all go on until nothing is left to do.
fn make_peace(world: &mut World) {
    world.suspend_library(false);
    world.catalog(true);
    world.node(false);
    for name in NAMES {
        world.edit(name, |job| job.spec.suspend = false);
    }
    for _ in 0..400 {
        if world.rests() {
            return;
        }
        for event in [Happens::Library, Happens::PodIsMade(0), Happens::PodEnds(0, End::Does(false))] {
            happen(world, event);
            NAMES.iter().for_each(|name| world.act(name, 1, Dies::No));
        }
        world.clock(3_600);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_order_of_events_breaks_a_rule_and_peace_ends_every_job(events in proptest::collection::vec(happens(), 0..160)) {
        let mut world = World::new();
        for event in events {
            happen(&mut world, event);
        }
        make_peace(&mut world);
        prop_assert!(world.rests(), "after peace: {:?}", world.jobs());
        for (wanted, status) in NAMES.iter().filter_map(|name| world.wants(name)) {
            prop_assert!(status.phase != Phase::Restored || status.desired == Desired::Original);
            let undone = [Phase::Restored, Phase::Failed].contains(&status.phase);
            prop_assert!(wanted != Desired::Original || (undone && status.desired == wanted), "{:?}", status);
        }
    }
}
