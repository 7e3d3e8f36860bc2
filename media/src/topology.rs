//! CPUs of a node, put together from what the kernel writes about them.

use std::collections::{BTreeMap, BTreeSet};

use av1_crds::wire::NodeSurvey;

use crate::pinning::{cpu_list, value};

/// What the kernel's files said, each as it was read; empty where a file is not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    /// `/proc/cpuinfo`.
    pub cpuinfo: String,
    /// `/sys/devices/system/cpu/online`.
    pub online: String,
    /// Of each CPU, `topology/thread_siblings_list`.
    pub siblings: BTreeMap<u32, String>,
    /// Of each CPU, `cache/index3/shared_cpu_list`.
    pub caches: BTreeMap<u32, String>,
    /// Of each NUMA node, `cpulist`.
    pub nodes: Vec<String>,
}

/// The node's CPUs; `exclusive` says whether the pod's were its own.
#[must_use]
pub fn survey(texts: &Texts, exclusive: bool) -> NodeSurvey {
    let told = cpu_list(&texts.online);
    // Where nobody says who is online, those that are described are.
    let online: BTreeSet<u32> =
        if told.is_empty() { texts.siblings.keys().chain(texts.caches.keys()).copied().collect() } else { told };
    let of = |lists: &BTreeMap<u32, String>| domains(online.iter().filter_map(|cpu| lists.get(cpu)), &online);
    let cores = of(&texts.siblings).len();
    let text = |key: &str| value(&texts.cpuinfo, key).unwrap_or_default();
    NodeSurvey {
        cpu_model: text("model name").to_owned(),
        vendor: text("vendor_id").to_owned(),
        family: text("cpu family").parse().ok(),
        online_cpus: count(online.len()),
        // As the kubelet counts them: CPUs by cores.
        threads_per_core: online.len().checked_div(cores).map_or(1, count).max(1),
        cache_domains: of(&texts.caches),
        numa_domains: domains(texts.nodes.iter(), &online),
        exclusive,
    }
}

/// CPUs online in each of the distinct lists, in the order of their first CPU.
fn domains<'a>(lists: impl Iterator<Item = &'a String>, online: &BTreeSet<u32>) -> Vec<u32> {
    let sets: BTreeSet<Vec<u32>> =
        lists.map(|list| cpu_list(list).intersection(online).copied().collect::<Vec<u32>>()).collect();
    sets.iter().filter(|set| !set.is_empty()).map(|set| count(set.len())).collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A node of `cores` cores with two threads each, the second threads numbered after all first ones, as the kernel does.
    fn epyc(model: &str, family: u32, cores: u32, cores_per_cache: u32, nodes: u32) -> Texts {
        let cpus = 0..2 * cores;
        let threads = |first: u32, last: u32| format!("{first}-{last},{}-{}\n", first + cores, last + cores);
        let per_node = cores / nodes;
        Texts {
            cpuinfo: format!(
                "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: {family}\nmodel\t\t: 49\nmodel name\t: {model}\n"
            ),
            online: format!("0-{}\n", 2 * cores - 1),
            siblings: cpus.clone().map(|cpu| (cpu, format!("{},{}\n", cpu % cores, cpu % cores + cores))).collect(),
            caches: cpus
                .map(|cpu| {
                    let first = cpu % cores / cores_per_cache * cores_per_cache;
                    (cpu, threads(first, first + cores_per_cache - 1))
                })
                .collect(),
            nodes: (0..nodes).map(|node| threads(node * per_node, (node + 1) * per_node - 1)).collect(),
        }
    }

    #[test]
    fn an_epyc_7742_has_sixteen_domains_of_eight_threads() {
        let found = survey(&epyc("AMD EPYC 7742 64-Core Processor", 23, 64, 4, 1), true);
        let expected = NodeSurvey {
            cpu_model: "AMD EPYC 7742 64-Core Processor".into(),
            vendor: "AuthenticAMD".into(),
            family: Some(23),
            online_cpus: 128,
            threads_per_core: 2,
            cache_domains: vec![8; 16],
            numa_domains: vec![128],
            exclusive: true,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn an_epyc_9654_has_twelve_domains_of_sixteen_threads_in_four_numa_domains() {
        let found = survey(&epyc("AMD EPYC 9654 96-Core Processor", 25, 96, 8, 4), false);
        assert_eq!((found.cache_domains, found.numa_domains), (vec![16; 12], vec![48; 4]));
        assert_eq!((found.online_cpus, found.threads_per_core, found.exclusive), (192, 2, false));
    }

    #[test]
    fn a_virtual_machine_says_less_and_is_described_by_what_it_says() {
        let texts = Texts {
            cpuinfo: "vendor_id\t: AuthenticAMD\ncpu family\t: 25\nmodel name\t: AMD EPYC Processor\n".into(),
            online: "0-3\n".into(),
            siblings: (0..4).map(|cpu| (cpu, format!("{cpu}\n"))).collect(),
            ..Texts::default()
        };
        let found = survey(&texts, true);
        assert_eq!((found.online_cpus, found.threads_per_core), (4, 1));
        assert!(found.cache_domains.is_empty() && found.numa_domains.is_empty());
        assert_eq!(survey(&Texts::default(), false), NodeSurvey { threads_per_core: 1, ..NodeSurvey::default() });
    }

    #[test]
    fn cpus_that_are_offline_do_not_count() {
        let mut texts = epyc("AMD EPYC 7742 64-Core Processor", 23, 64, 4, 1);
        texts.online = "0-63\n".into();
        let found = survey(&texts, true);
        assert_eq!((found.online_cpus, found.threads_per_core, found.cache_domains), (64, 1, vec![4; 16]));
        assert_eq!(found.numa_domains, [64]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*", list in "[0-9,-]{0,12}", other in "[0-9,-]{0,12}") {
            let texts = Texts {
                cpuinfo: text,
                online: list.clone(),
                siblings: [(0, other.clone())].into(),
                caches: [(1, list)].into(),
                nodes: vec![other],
            };
            let found = survey(&texts, false);
            prop_assert!(found.threads_per_core >= 1);
        }
    }
}
