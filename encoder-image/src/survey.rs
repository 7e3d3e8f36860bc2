//! The survey role: which CPUs this node has, and whether those of this pod are its own.
//!
//! May: read `/proc` and `/sys`. Must never: open a file of a library; none is mounted.

use std::fs;
use std::path::Path;

use av1_crds::wire::{NodeSurvey, SurveyTask};
use av1_media::pinning::cpu_list;
use av1_media::topology::{Texts, survey};

use crate::encode::resources;
use crate::role::RoleFailure;

const CPUS: &str = "/sys/devices/system/cpu";
const NODES: &str = "/sys/devices/system/node";

/// What is found.
pub(crate) fn run(task: &SurveyTask) -> Result<NodeSurvey, RoleFailure> {
    let (pinning, _) = resources::look(0, 100);
    let found = survey(&texts(), pinning.exclusive);
    tracing::info!(
        node = %task.node,
        model = %found.cpu_model,
        cpus = found.online_cpus,
        caches = found.cache_domains.len(),
        own = %pinning.cpus,
        exclusive = found.exclusive,
        "surveyed"
    );
    Ok(found)
}

fn texts() -> Texts {
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    let online = read(&Path::new(CPUS).join("online"));
    let of_each = |file: &str| {
        let of = |cpu: u32| Some((cpu, fs::read_to_string(format!("{CPUS}/cpu{cpu}/{file}")).ok()?));
        cpu_list(&online).into_iter().filter_map(of).collect()
    };
    let nodes = cpu_list(&read(&Path::new(NODES).join("online")));
    Texts {
        cpuinfo: read(Path::new("/proc/cpuinfo")),
        siblings: of_each("topology/thread_siblings_list"),
        caches: of_each("cache/index3/shared_cpu_list"),
        nodes: nodes.iter().map(|node| read(&Path::new(NODES).join(format!("node{node}/cpulist")))).collect(),
        online,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_of_the_tests_can_be_surveyed() {
        let task = SurveyTask { node: "n".into(), boot_id: "b".into() };
        let found = run(&task).unwrap();
        assert!(found.online_cpus >= 1 && found.threads_per_core >= 1, "{found:?}");
    }
}
