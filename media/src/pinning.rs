//! CPUs and memory of a pod, read from what the kernel writes.

use std::collections::BTreeSet;
use std::time::Duration;

/// The CPUs of a list such as `0-3,8`; nonsense is left out.
#[must_use]
pub fn cpu_list(text: &str) -> BTreeSet<u32> {
    /// More than any machine has; bounds what a strange list can ask for.
    const MOST: u32 = 65_536;
    let range = |part: &str| {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        Some(from.trim().parse::<u32>().ok()?..=to.trim().parse::<u32>().ok()?.min(MOST))
    };
    text.trim().split(',').filter_map(range).flatten().collect()
}

/// The value of `key` in a file such as `/proc/self/status` or `/proc/cpuinfo`.
#[must_use]
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == key).then(|| value.trim())
    })
}

/// A limit of CPU time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Quota {
    /// None.
    Unlimited,
    /// So many CPUs' worth of time.
    Cpus(f64),
}

/// The quota in cgroup v2's `cpu.max`, such as `max 100000` or `150000 100000`.
#[must_use]
pub fn quota_v2(text: &str) -> Option<Quota> {
    let (quota, period) = text.trim().split_once(' ')?;
    if quota == "max" { Some(Quota::Unlimited) } else { quota_of(quota.parse().ok()?, period.trim().parse().ok()?) }
}

/// The quota in cgroup v1's `cpu.cfs_quota_us` and `cpu.cfs_period_us`.
#[must_use]
pub fn quota_v1(quota: &str, period: &str) -> Option<Quota> {
    let quota: f64 = quota.trim().parse().ok()?;
    if quota < 0.0 { Some(Quota::Unlimited) } else { quota_of(quota, period.trim().parse().ok()?) }
}

fn quota_of(quota: f64, period: f64) -> Option<Quota> {
    (quota > 0.0 && period > 0.0).then(|| Quota::Cpus(quota / period))
}

/// A memory limit in bytes from cgroup v2's `memory.max` or v1's `memory.limit_in_bytes`; none when there is no limit.
#[must_use]
pub fn memory_limit(text: &str) -> Option<u64> {
    /// v1 writes a number near 2^63 for no limit.
    const NO_LIMIT: u64 = 1 << 60;
    text.trim().parse().ok().filter(|bytes| *bytes < NO_LIMIT)
}

/// CPU time used, by cgroup v2's `cpu.stat`.
#[must_use]
pub fn usage_v2(text: &str) -> Option<Duration> {
    let used = text.lines().find_map(|line| line.strip_prefix("usage_usec "))?;
    used.trim().parse().ok().map(Duration::from_micros)
}

/// CPU time used, by cgroup v1's `cpuacct.usage`.
#[must_use]
pub fn usage_v1(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_nanos)
}

/// Folders of the own cgroup below `/sys/fs/cgroup`, by `/proc/self/cgroup`: for v2 (controller `""`) or a v1 controller. In a
/// pod the cgroup is the root of what is mounted, so both the named folder and the root are to be tried, in this order.
#[must_use]
pub fn cgroup_folders(proc_self_cgroup: &str, controller: &str) -> Vec<String> {
    let path = proc_self_cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (names, path) = (fields.next()?, fields.next()?);
        names.split(',').any(|name| name == controller).then_some(path)
    });
    let root = if controller.is_empty() { String::new() } else { format!("/{controller}") };
    let named = path.filter(|path| *path != "/" && !path.contains("..")).map(|path| format!("{root}{path}"));
    named.into_iter().chain([root]).collect()
}

/// What is known of a pod's CPUs.
#[derive(Debug, Clone, PartialEq)]
pub struct Cpus {
    /// The CPUs that it may run on.
    pub allowed: BTreeSet<u32>,
    /// The node's CPUs that are online.
    pub online: BTreeSet<u32>,
    /// The quota; none when it can't be read.
    pub quota: Option<Quota>,
    /// Whole CPUs that the pod was given, when it was told.
    pub promised: Option<u32>,
}

impl Cpus {
    /// Whether the CPUs are the pod's own: as many as it was promised, no quota, and fewer than the node has. A node whose CPUs
    /// were all promised to one pod can't be told from one without pinning, and counts as not exclusive.
    ///
    /// The static CPU manager is what makes an affinity smaller than the node; nothing inside a pod shows other pods' CPUs.
    #[must_use]
    pub fn exclusive(&self) -> bool {
        let promised = self.promised.is_some_and(|promised| promised as usize == self.allowed.len());
        let subset = self.allowed.len() < self.online.len() && self.allowed.is_subset(&self.online);
        promised && subset && self.quota == Some(Quota::Unlimited)
    }

    /// Whole CPUs by affinity and quota, at least one, and no more than were promised: where CPUs are shared a pod has no quota.
    #[must_use]
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn count(&self) -> u32 {
        let allowed = u32::try_from(self.allowed.len()).unwrap_or(u32::MAX);
        let by_quota = match self.quota {
            Some(Quota::Cpus(cpus)) => cpus.floor() as u32,
            _ => u32::MAX,
        };
        allowed.min(by_quota).min(self.promised.unwrap_or(u32::MAX)).max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cpus(allowed: &str, quota: Quota, promised: Option<u32>) -> Cpus {
        Cpus { allowed: cpu_list(allowed), online: cpu_list("0-15"), quota: Some(quota), promised }
    }

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpu_list("0-2,8,10-11\n").into_iter().collect::<Vec<_>>(), [0, 1, 2, 8, 10, 11]);
        assert!(cpu_list("").is_empty() && cpu_list("a-b,-").is_empty());
    }

    #[test]
    fn cpus_are_exclusive_only_as_promised_without_quota_and_apart_from_others() {
        assert!(cpus("4-7", Quota::Unlimited, Some(4)).exclusive());
        assert!(!cpus("4-7", Quota::Cpus(4.0), Some(4)).exclusive());
        assert!(!cpus("0-15", Quota::Unlimited, Some(16)).exclusive());
        assert!(!cpus("4-7", Quota::Unlimited, Some(2)).exclusive());
        assert!(!cpus("4-7", Quota::Unlimited, None).exclusive());
    }

    #[test]
    fn the_count_is_bounded_by_affinity_by_quota_and_by_what_was_promised() {
        assert_eq!(cpus("4-7", Quota::Unlimited, None).count(), 4);
        assert_eq!(cpus("0-15", Quota::Cpus(2.5), None).count(), 2);
        assert_eq!(cpus("0-15", Quota::Cpus(0.5), None).count(), 1);
        assert_eq!(cpus("0-15", Quota::Unlimited, Some(3)).count(), 3);
        assert_eq!(cpus("4-5", Quota::Unlimited, Some(3)).count(), 2);
    }

    #[test]
    fn quotas_and_limits_of_both_cgroup_versions_are_read() {
        assert_eq!(quota_v2("max 100000\n"), Some(Quota::Unlimited));
        assert_eq!(quota_v2("150000 100000"), Some(Quota::Cpus(1.5)));
        assert_eq!(quota_v1("-1\n", "100000\n"), Some(Quota::Unlimited));
        assert_eq!(quota_v1("200000", "100000"), Some(Quota::Cpus(2.0)));
        assert_eq!(
            (memory_limit("max\n"), memory_limit("9223372036854771712"), memory_limit("1073741824\n")),
            (None, None, Some(1 << 30))
        );
    }

    #[test]
    fn cpu_time_of_both_cgroup_versions_is_read() {
        assert_eq!(usage_v2("usage_usec 1500000\nuser_usec 1\n"), Some(Duration::from_millis(1_500)));
        assert_eq!(usage_v1("2500000\n"), Some(Duration::from_micros(2_500)));
        assert_eq!((usage_v2("nr_periods 0\n"), usage_v1("")), (None, None));
    }

    #[test]
    fn the_own_cgroup_is_found_in_both_versions() {
        let both = "12:cpu,cpuacct:/kubepods/pod1\n3:memory:/\n0::/user.slice\n";
        assert_eq!(cgroup_folders(both, ""), ["/user.slice", ""]);
        assert_eq!(cgroup_folders(both, "cpu"), ["/cpu/kubepods/pod1", "/cpu"]);
        assert_eq!(cgroup_folders(both, "memory"), ["/memory"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*", list in "[0-9,-]{0,30}") {
            let _ = (cpu_list(&list), value(&text, "x"), quota_v2(&text), quota_v1(&text, &list), memory_limit(&text), usage_v2(&text), usage_v1(&text), cgroup_folders(&text, "cpu"));
        }
    }
}
