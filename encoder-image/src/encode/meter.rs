//! Figures of the node, and of this pod's part in them: `/proc` shows the whole node's, the cgroup and the affinity the pod's.
//!
//! May: read those. Must never: look at processes, or change a limit.

use std::time::{Duration, Instant};

use av1_crds::wire::NodeFigures;
use sysinfo::System;

use super::resources;

/// Time over which use of CPUs is measured.
pub(super) const PERIOD: Duration = Duration::from_secs(3);

/// What was read last; rates are against it.
pub(super) struct Meter {
    system: System,
    used: Option<(Instant, Duration)>,
}

impl Meter {
    /// Takes the first reading; none where the node's figures cannot be read.
    pub(super) fn new() -> Option<Self> {
        let mut system = System::new().inspect_err(|error| tracing::warn!("no figures of the node: {error}")).ok()?;
        system.refresh_cpu_usage();
        Some(Self { system, used: used() })
    }

    /// The figures since the last reading; none where the node's cannot be read.
    pub(super) fn measure(&mut self) -> Option<NodeFigures> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        let load = System::load_average().ok()?;
        let total = self.system.total_memory();
        if self.system.cpus().is_empty() || total == 0 {
            return None;
        }
        let before = std::mem::replace(&mut self.used, used());
        Some(NodeFigures {
            cpu_utilization: part(f64::from(self.system.global_cpu_usage()) / 100.0),
            memory_utilization: part(self.system.used_memory() as f64 / total as f64),
            load: [load.one, load.five, load.fifteen],
            assigned_cpus: resources::assigned(),
            busy_cpus: before.zip(self.used).and_then(|(before, now)| busy(before, now)),
        })
    }
}

fn used() -> Option<(Instant, Duration)> {
    Some((Instant::now(), resources::cpu_time()?))
}

/// CPUs that were busy between two readings of the CPU time used.
fn busy(before: (Instant, Duration), now: (Instant, Duration)) -> Option<f64> {
    let seconds = now.0.checked_duration_since(before.0)?.as_secs_f64();
    (seconds > 0.0).then(|| now.1.saturating_sub(before.1).as_secs_f64() / seconds)
}

/// A ratio that can be written down, whatever was counted.
fn part(ratio: f64) -> f64 {
    if ratio.is_finite() { ratio.clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_cpus_are_cpu_time_by_time_and_none_without_time() {
        let start = Instant::now();
        let at = |seconds: u64, used: u64| (start + Duration::from_secs(seconds), Duration::from_secs(used));
        assert_eq!(busy(at(0, 10), at(4, 18)), Some(2.0));
        assert_eq!(busy(at(0, 10), at(4, 9)), Some(0.0), "another cgroup's count");
        assert_eq!(busy(at(4, 10), at(4, 11)), None);
    }

    #[test]
    fn ratios_stay_between_0_and_1_whatever_was_counted() {
        assert_eq!([part(-0.1), part(0.5), part(1.7), part(f64::NAN), part(f64::INFINITY)], [0.0, 0.5, 1.0, 0.0, 0.0]);
    }

    #[test]
    fn this_machine_has_figures_within_their_bounds() {
        let mut meter = Meter::new().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let figures = meter.measure().unwrap();
        assert!((0.0..=1.0).contains(&figures.cpu_utilization), "{figures:?}");
        assert!(figures.memory_utilization > 0.0 && figures.memory_utilization < 1.0, "{figures:?}");
        assert!(figures.assigned_cpus >= 1 && figures.load.iter().all(|load| *load >= 0.0), "{figures:?}");
        assert!(figures.busy_cpus.is_none_or(|busy| busy >= 0.0), "{figures:?}");
    }
}
