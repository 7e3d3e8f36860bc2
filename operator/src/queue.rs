//! How many objects of a kind wait for a reconcile or are in one, and how long reconciles take. What a controller holds back
//! cannot be asked of it, so what makes it reconcile is noted here too. Must never: make it reconcile.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use av1_crds::metrics as table;

use crate::metrics::Metrics;

/// The queues of both controllers.
pub(crate) struct Queues {
    pub(crate) jobs: Queue,
    pub(crate) libraries: Queue,
}

impl Default for Queues {
    fn default() -> Self {
        Self { jobs: Queue::new("EncodeJob"), libraries: Queue::new("MediaLibrary") }
    }
}

impl Queues {
    /// Takes the depths over into the metrics.
    pub(crate) fn measure(&self, metrics: &Metrics) {
        for queue in [&self.jobs, &self.libraries] {
            metrics.set(&table::QUEUE_DEPTH, &[queue.kind], queue.depth(Instant::now()) as f64);
        }
    }
}

/// What one controller is to reconcile.
pub(crate) struct Queue {
    kind: &'static str,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// When objects are to be reconciled next, by `namespace/name`.
    due: HashMap<String, Instant>,
    running: HashSet<String>,
}

impl Queue {
    fn new(kind: &'static str) -> Self {
        Self { kind, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something about the object changed: it is to be reconciled now.
    pub(crate) fn touch(&self, namespace: &str, name: &str) {
        self.due_at(object(namespace, name), Instant::now());
    }

    /// The object is to be reconciled again after `pause`.
    pub(crate) fn again(&self, namespace: &str, name: &str, pause: Duration) {
        self.due_at(object(namespace, name), Instant::now() + pause);
    }

    fn due_at(&self, object: String, at: Instant) {
        let mut state = self.lock();
        let due = state.due.entry(object).or_insert(at);
        *due = at.min(*due);
    }

    /// The object is gone.
    pub(crate) fn forget(&self, namespace: &str, name: &str) {
        self.lock().due.remove(&object(namespace, name));
    }

    /// Runs a reconcile of the object.
    pub(crate) async fn run<T>(
        &self,
        namespace: &str,
        name: &str,
        metrics: &Metrics,
        reconcile: impl Future<Output = T>,
    ) -> T {
        let object = object(namespace, name);
        {
            let mut state = self.lock();
            state.due.remove(&object);
            state.running.insert(object.clone());
        }
        let begun = Instant::now();
        let result = reconcile.await;
        metrics.observe(&table::RECONCILE_DURATION, &[self.kind], begun.elapsed().as_secs_f64());
        self.lock().running.remove(&object);
        result
    }

    /// Objects that wait for a reconcile at `now`, or are in one.
    fn depth(&self, now: Instant) -> usize {
        let state = self.lock();
        let waiting = state.due.iter().filter(|(object, at)| **at <= now && !state.running.contains(*object));
        waiting.count() + state.running.len()
    }
}

fn object(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn objects_that_wait_or_run_count_once_and_later_ones_when_they_are_due() {
        let (queue, metrics) = (Queue::new("EncodeJob"), Metrics::new().unwrap());
        let depth = |seconds| queue.depth(Instant::now() + Duration::from_secs(seconds));
        queue.touch("media", "a");
        queue.touch("media", "a");
        queue.touch("media", "b");
        queue.again("media", "c", Duration::from_secs(60));
        assert_eq!((depth(0), depth(61)), (2, 3));
        let in_reconcile = queue.run("media", "a", &metrics, async {
            queue.touch("media", "a");
            depth(0)
        });
        assert_eq!(in_reconcile.now_or_never(), Some(2));
        assert_eq!(depth(0), 2, "a changed while it was reconciled, b still waits");
        queue.forget("media", "a");
        queue.forget("media", "b");
        assert_eq!((depth(0), depth(61)), (0, 1));
        queue.touch("media", "c");
        assert_eq!(depth(0), 1, "the earlier time counts");
        let text = metrics.text().unwrap();
        assert!(text.contains("av1_operator_reconcile_duration_seconds_count{kind=\"EncodeJob\"} 1"), "{text}");
    }
}
