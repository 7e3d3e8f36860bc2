//! Which CPUs and how much memory this pod has, from `/proc`, `/sys` and the environment.
//!
//! May: read those. Must never: change an affinity; the kubelet pins.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use av1_crds::wire::Pinning;
use av1_media::pinning::{
    Cpus, Quota, cgroup_folders, cpu_list, memory_limit, quota_v1, quota_v2, usage_v1, usage_v2, value,
};
use av1_media::plan::Resources;

/// Number of whole CPUs that the operator gave this pod.
pub(crate) const CPUS_VARIABLE: &str = "AV1_CPUS";

const CGROUP_ROOT: &str = "/sys/fs/cgroup";

/// What this pod has. Of CPUs that are not its own the encode keeps `percent` busy.
pub(crate) fn look(workers: u32, percent: u32) -> (Pinning, Resources) {
    let status = read("/proc/self/status");
    let list = value(&status, "Cpus_allowed_list").unwrap_or_default().to_owned();
    let cgroup = read("/proc/self/cgroup");
    let cpus = Cpus {
        allowed: cpu_list(&list),
        online: cpu_list(&read("/sys/devices/system/cpu/online")),
        quota: quota(&cgroup),
        promised: promised(),
    };
    let pinning = Pinning {
        exclusive: cpus.exclusive(),
        cpu_model: value(&read("/proc/cpuinfo"), "model name").unwrap_or_default().to_owned(),
        cache_domains: cache_domains(&cpus.allowed),
        cpus: list,
    };
    let percent = if pinning.exclusive { 100 } else { percent };
    (pinning, Resources { cpus: cpus.count(), memory: memory(&cgroup), workers, percent })
}

/// Number of whole CPUs that this pod was given, when it was told.
fn promised() -> Option<u32> {
    std::env::var(CPUS_VARIABLE).ok().and_then(|text| text.parse().ok())
}

/// Number of CPUs that this pod may use: by affinity and quota, and no more than it was given.
pub(crate) fn assigned() -> u32 {
    u32::try_from(num_cpus::get()).unwrap_or(u32::MAX).min(promised().unwrap_or(u32::MAX)).max(1)
}

/// CPU time that this pod has used so far; none where its cgroup does not tell.
pub(crate) fn cpu_time() -> Option<Duration> {
    let cgroup = read("/proc/self/cgroup");
    let v2 = own(&cgroup, "", "cpu.stat").and_then(|text| usage_v2(&text));
    v2.or_else(|| usage_v1(&own(&cgroup, "cpuacct", "cpuacct.usage")?))
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// The content of `file` in the first of the own cgroup's folders that has it.
fn own(cgroup: &str, controller: &str, file: &str) -> Option<String> {
    cgroup_folders(cgroup, controller)
        .iter()
        .find_map(|folder| fs::read_to_string(format!("{CGROUP_ROOT}{folder}/{file}")).ok())
}

/// The CPU quota. The root of a cgroup v2 tree has no `cpu.max`: there is no limit then.
fn quota(cgroup: &str) -> Option<Quota> {
    if let Some(text) = own(cgroup, "", "cpu.max") {
        return quota_v2(&text);
    }
    if let (Some(quota), Some(period)) =
        (own(cgroup, "cpu", "cpu.cfs_quota_us"), own(cgroup, "cpu", "cpu.cfs_period_us"))
    {
        return quota_v1(&quota, &period);
    }
    own(cgroup, "", "cgroup.controllers").map(|_| Quota::Unlimited)
}

fn memory(cgroup: &str) -> Option<u64> {
    let text = own(cgroup, "", "memory.max").or_else(|| own(cgroup, "memory", "memory.limit_in_bytes"))?;
    memory_limit(&text)
}

/// How many L3 caches the CPUs share out among them; none where the kernel does not say.
fn cache_domains(allowed: &BTreeSet<u32>) -> Option<u32> {
    let shared =
        |cpu: &u32| fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/cache/index3/shared_cpu_list")).ok();
    let domains: BTreeSet<String> = allowed.iter().filter_map(shared).collect();
    u32::try_from(domains.len()).ok().filter(|count| *count > 0)
}
