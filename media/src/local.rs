//! Encoding on one machine without a cluster: how many jobs at once, which CPUs each gets, and what the environment overrides.
//!
//! Pure: CPUs and variables are handed in.

use std::collections::BTreeSet;

/// From so many CPUs on one encode fills the machine by itself.
pub const ONE_JOB_FROM: u32 = 24;
/// Share of the CPUs that is used unless something else is said, in percent.
pub const TARGET_UTILIZATION: u32 = av1_crds::library::PodsSpec::TARGET_UTILIZATION_PERCENT;

/// What environment variables say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `CPU_LOGICAL_CORES`: use no more CPUs than this.
    pub cpus: Option<u32>,
    /// `CPU_TARGET_UTILIZATION`: percent of them.
    pub target: Option<u32>,
    /// `AV1AN_WORKERS_PER_JOB`: encoder processes of one job.
    pub workers: Option<u32>,
    /// `AV1AN_MAX_CONCURRENT_JOBS`: jobs at once.
    pub jobs: Option<u32>,
    /// `ENCODER_DISALLOW_HARDWARE_ENCODING`: hardware is not used, whatever the settings allow.
    pub no_hardware: bool,
}

impl Overrides {
    /// Reads the variables; `get` gives the value of one.
    ///
    /// # Errors
    /// A sentence that names the variable and what it takes.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let number = |name: &str, most: u32| match get(name) {
            None => Ok(None),
            Some(text) if text.is_empty() => Ok(None),
            Some(text) => match text.parse() {
                Ok(value) if (1..=most).contains(&value) => Ok(Some(value)),
                _ => Err(format!("{name} is {text:?}: it takes a whole number from 1 to {most}")),
            },
        };
        let name = "ENCODER_DISALLOW_HARDWARE_ENCODING";
        let no_hardware = match get(name).unwrap_or_default().to_lowercase().as_str() {
            "" | "0" | "false" | "no" => false,
            "1" | "true" | "yes" => true,
            other => return Err(format!("{name} is {other:?}: it takes true or false")),
        };
        Ok(Self {
            cpus: number("CPU_LOGICAL_CORES", 65_536)?,
            target: number("CPU_TARGET_UTILIZATION", 100)?,
            workers: number("AV1AN_WORKERS_PER_JOB", 512)?,
            jobs: number("AV1AN_MAX_CONCURRENT_JOBS", 10_000)?,
            no_hardware,
        })
    }
}

/// The CPUs of each job that runs at once: the machine's, as far as they may be used, dealt out in order without overlap. Where
/// there are fewer CPUs than jobs, some jobs share one.
#[must_use]
pub fn shares(allowed: &BTreeSet<u32>, jobs: Option<u32>, target: u32, limit: Option<u32>) -> Vec<Vec<u32>> {
    let cpus: Vec<u32> = allowed.iter().copied().take(limit.map_or(usize::MAX, |limit| limit as usize)).collect();
    let all = u32::try_from(cpus.len()).unwrap_or(u32::MAX);
    let jobs = jobs.unwrap_or(if all >= ONE_JOB_FROM { 1 } else { 2 }).max(1) as usize;
    let usable = ((cpus.len() * target.min(100) as usize + 50) / 100).clamp(1, cpus.len().max(1));
    let mut rest = cpus.iter().copied().take(usable);
    (0..jobs)
        .map(|job| {
            let count = usable / jobs + usize::from(job < usable % jobs);
            let own: Vec<u32> = rest.by_ref().take(count).collect();
            if own.is_empty() { cpus.iter().copied().skip(job % usable).take(1).collect() } else { own }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(cpus: u32, jobs: Option<u32>, target: u32) -> Vec<usize> {
        shares(&(0..cpus).collect(), jobs, target, None).iter().map(Vec::len).collect()
    }

    #[test]
    fn one_job_fills_a_large_machine_and_two_share_a_smaller_one() {
        assert_eq!(sizes(64, None, 85), [54]);
        assert_eq!(sizes(24, None, 85), [20]);
        assert_eq!(sizes(16, None, 85), [7, 7]);
        assert_eq!(sizes(4, None, 85), [2, 1]);
        assert_eq!(sizes(2, None, 85), [1, 1]);
        assert_eq!(sizes(1, None, 85), [1, 1]);
        assert_eq!(sizes(8, Some(3), 100), [3, 3, 2]);
        assert_eq!(shares(&(8..16).collect(), Some(2), 100, Some(4)), [[8, 9], [10, 11]]);
    }

    #[test]
    fn variables_are_numbers_in_their_range_or_refused_by_name() {
        let read =
            |name: &'static str, value: &'static str| Overrides::read(move |n| (n == name).then(|| value.to_owned()));
        assert_eq!(Overrides::read(|_| None).unwrap(), Overrides::default());
        assert_eq!(read("AV1AN_MAX_CONCURRENT_JOBS", "3").unwrap().jobs, Some(3));
        assert!(read("ENCODER_DISALLOW_HARDWARE_ENCODING", "True").unwrap().no_hardware);
        for (name, value) in [
            ("CPU_TARGET_UTILIZATION", "101"),
            ("CPU_LOGICAL_CORES", "0"),
            ("AV1AN_WORKERS_PER_JOB", "many"),
            ("ENCODER_DISALLOW_HARDWARE_ENCODING", "perhaps"),
        ] {
            assert!(read(name, value).unwrap_err().starts_with(name));
        }
    }

    proptest! {
        #[test]
        fn every_job_has_a_cpu_and_no_cpu_has_two_jobs_where_there_are_enough(cpus in 1u32..300, jobs in 1u32..40, target in 1u32..=100) {
            let allowed: BTreeSet<u32> = (3..3 + cpus).collect();
            let shares = shares(&allowed, Some(jobs), target, None);
            prop_assert_eq!(shares.len(), jobs as usize);
            prop_assert!(shares.iter().flatten().all(|cpu| allowed.contains(cpu)) && shares.iter().all(|own| !own.is_empty()));
            let used: BTreeSet<u32> = shares.iter().flatten().copied().collect();
            if (jobs as usize) * 100 <= cpus as usize * target as usize {
                prop_assert_eq!(used.len(), shares.iter().map(Vec::len).sum::<usize>());
            }
        }
    }
}
