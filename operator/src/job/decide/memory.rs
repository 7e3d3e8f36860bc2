//! A run whose memory ran out: the next one gets half as much memory again, up to what every chosen node has for one pod, and half
//! the workers. Unlike a pod that was evicted, preempted or drained it counts as a failure. Pure.

use av1_crds::job::OutOfMemory;
use av1_crds::{figures, reasons};

use super::Draft;
use super::encoding::placing;
use crate::pods::PodFacts;

impl Draft<'_> {
    /// The main container of `pod` was killed for its memory.
    pub(super) fn out_of_memory(&mut self, pod: &PodFacts) {
        let observed = self.observed;
        let place = observed.library.as_ref().and_then(|library| placing(library, &observed.job, observed).ok());
        let record = self.out.status.out_of_memory.clone().unwrap_or_default();
        // The plan may be an earlier run's: of two figures the smaller is this run's.
        let planned = self.out.status.plan.as_ref().map_or(0, |plan| plan.workers);
        let known = [planned, record.workers].into_iter().filter(|workers| *workers > 0).min();
        let had_workers = known.or(place.as_ref().map(|place| place.workers)).unwrap_or(1).max(1);
        let asked = place.as_ref().map_or(0, |place| place.size.memory_mib << 20);
        let had_memory = pod.memory.unwrap_or(asked);
        let most = place.as_ref().map_or(had_memory, |place| place.most_memory_mib.saturating_mul(1 << 20));
        let wished = had_memory.saturating_add(had_memory / 2);
        let (memory, workers) = (wished.min(most).max(had_memory), (had_workers / 2).max(1));

        let size = |bytes: u64| figures::size(i128::from(bytes));
        let happened = format!("the pod's {} of memory ran out with {}", size(had_memory), told(had_workers));
        let next = if self.out.status.failures + 1 >= self.attempts() {
            "raise spec.pods.memory, or take nodes that have more".to_owned()
        } else {
            let memory = match memory {
                same if same == had_memory => "no more memory, for the chosen nodes have none,".to_owned(),
                all if all < wished => format!("{}, the most that every chosen node has for it,", size(all)),
                more => size(more),
            };
            format!("the next run gets {memory} and {}", told(workers))
        };
        self.out.status.out_of_memory = Some(OutOfMemory {
            kills: record.kills + 1,
            memory_bytes: i64::try_from(memory).unwrap_or(i64::MAX),
            workers,
        });
        self.run_failed(reasons::OUT_OF_MEMORY, &format!("{happened}; {next}"), true);
    }
}

fn told(workers: u32) -> String {
    if workers == 1 { "1 worker".to_owned() } else { format!("{workers} workers") }
}
