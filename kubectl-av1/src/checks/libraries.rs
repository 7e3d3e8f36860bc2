//! Libraries: whether each is ready, has storage with space, has nodes to encode on, and a catalog that answers. Healthy ones share a
//! line. Pure.

use av1_crds::library::MediaLibraryStatus;
use av1_crds::{MediaLibrary, conditions, figures};
use kube::ResourceExt;

use super::{Facts, Finding, Seen, listed};

/// Default of `spec.storage.minFreePercent`.
const MIN_FREE_PERCENT: u32 = 5;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    const CHECK: &str = "libraries";
    let place = facts.scope.as_ref().map_or("in any namespace".to_owned(), |scope| format!("in namespace {scope}"));
    let (libraries, unreadable) = match &facts.libraries {
        Seen::Got(found) => found,
        Seen::Denied(why) => return vec![Finding::denied(CHECK, why)],
        Seen::Absent => return vec![Finding::unknown(CHECK, "the kind MediaLibrary is not installed")],
        Seen::Away(why) => return vec![Finding::unknown(CHECK, why.clone())],
    };
    if libraries.is_empty() && unreadable.is_empty() {
        return vec![Finding::unknown(
            CHECK,
            format!("none {place}: apply a MediaLibrary, or look elsewhere with -n or -A"),
        )];
    }
    let mut found = readiness(libraries, unreadable);
    found.extend(storage(libraries));
    found.extend(placement(libraries));
    found.extend(catalogs(facts, libraries));
    found
}

fn name(library: &MediaLibrary) -> String {
    format!("{}/{}", library.namespace().unwrap_or_default(), library.name_any())
}

fn status(library: &MediaLibrary) -> MediaLibraryStatus {
    library.status.clone().unwrap_or_default()
}

/// Why a condition that ought to be true is not; none while it is, or is not known.
fn not(status: &MediaLibraryStatus, type_: &str) -> Option<String> {
    let condition = status.conditions.iter().find(|condition| condition.type_ == type_)?;
    (condition.status == "False").then(|| condition.message.clone())
}

fn readiness(libraries: &[MediaLibrary], unreadable: &[String]) -> Vec<Finding> {
    const CHECK: &str = "libraries";
    let mut found: Vec<Finding> = unreadable
        .iter()
        .map(|what| {
            Finding::problem(
                CHECK,
                format!("this version cannot read {what}"),
                "take the plugin of the operator's version",
            )
        })
        .collect();
    let (mut ready, mut suspended) = (0, Vec::new());
    for library in libraries {
        let status = status(library);
        let condition = status.conditions.iter().find(|condition| condition.type_ == conditions::READY);
        match condition {
            Some(condition) if condition.status == "True" => ready += 1,
            // Its line is among those about storage.
            Some(_) if not(&status, conditions::STORAGE_READY).is_some() => {}
            Some(condition) => {
                let todo = format!(
                    "`kubectl av1 status {} -n {}` says more",
                    library.name_any(),
                    library.namespace().unwrap_or_default()
                );
                found.push(Finding::problem(
                    CHECK,
                    format!("{} is not ready: {}", name(library), condition.message),
                    todo,
                ));
            }
            None => found.push(Finding::problem(
                CHECK,
                format!("no operator has looked at {} yet", name(library)),
                "see the lines about the operator, and whether it watches this namespace (watchNamespace of the chart)",
            )),
        }
        if library.spec.suspend {
            suspended.push(name(library));
        }
    }
    let paused = if suspended.is_empty() { String::new() } else { format!("; paused: {}", listed(&suspended)) };
    if ready > 0 {
        found.push(Finding::ok(CHECK, format!("{ready} of {} ready{paused}", libraries.len())));
    }
    found
}

fn storage(libraries: &[MediaLibrary]) -> Vec<Finding> {
    const CHECK: &str = "storage";
    let mut found = Vec::new();
    let mut least: Option<(i64, String)> = None;
    for library in libraries {
        let status = status(library);
        if let Some(why) = not(&status, conditions::STORAGE_READY) {
            let todo = "put right what it says; docs/troubleshooting.md knows each case";
            found.push(Finding::problem(CHECK, format!("{}: {why}", name(library)), todo));
            continue;
        }
        let Some((free, total)) = status.storage.and_then(|s| Some((s.free_bytes?, s.total_bytes.filter(|t| *t > 0)?)))
        else {
            continue;
        };
        let percent = i64::try_from(i128::from(free) * 100 / i128::from(total)).unwrap_or(i64::MAX);
        let wanted = library.spec.storage.as_ref().and_then(|s| s.min_free_percent).unwrap_or(MIN_FREE_PERCENT);
        let told =
            format!("{} has {} of {} free ({percent}%)", name(library), figures::size(free), figures::size(total));
        if percent < i64::from(wanted) {
            let todo = "free space, or lower spec.storage.minFreePercent";
            found.push(Finding::problem(CHECK, format!("{told}, and starts no job below {wanted}%"), todo));
        } else if least.as_ref().is_none_or(|(known, _)| percent < *known) {
            least = Some((percent, told));
        }
    }
    found.extend(least.map(|(_, told)| {
        Finding::ok(CHECK, if libraries.len() > 1 { format!("{told}, the least of all") } else { told })
    }));
    found
}

fn placement(libraries: &[MediaLibrary]) -> Vec<Finding> {
    const CHECK: &str = "placement";
    let mut found = Vec::new();
    let mut good = Vec::new();
    for library in libraries {
        let Some(placement) = status(library).placement else { continue };
        if placement.eligible_nodes == 0 {
            let why = placement.message.unwrap_or_else(|| "no node takes its encode pods".to_owned());
            let todo = "lower pods.cpus or pods.memory, or widen where its pods may go (docs/placement.md)";
            found.push(Finding::problem(CHECK, format!("{}: {why}", name(library)), todo));
        } else {
            let cpus = placement.cpus_per_job.map_or_else(String::new, |cpus| format!(" x {cpus} CPUs"));
            good.push(format!("{} {}{cpus}", name(library), placement.eligible_nodes));
        }
    }
    if !good.is_empty() {
        found.push(Finding::ok(CHECK, format!("nodes that take encode pods: {}", listed(&good))));
    }
    found
}

fn catalogs(facts: &Facts, libraries: &[MediaLibrary]) -> Vec<Finding> {
    const CHECK: &str = "catalogs";
    let mut found = Vec::new();
    let (mut answer, mut denied) = (0, None);
    for library in libraries.iter().filter(|library| not(&status(library), conditions::STORAGE_READY).is_none()) {
        let key = (library.namespace().unwrap_or_default(), library.name_any());
        match facts.catalogs.get(&key) {
            Some(Seen::Got(_)) => answer += 1,
            Some(Seen::Denied(why)) => denied = Some(why),
            Some(Seen::Away(why)) => {
                let todo = format!("`kubectl -n {} describe pods -l av1.media/role=catalog` says why", key.0);
                found.push(Finding::problem(CHECK, format!("that of {} does not answer ({why})", name(library)), todo));
            }
            Some(Seen::Absent) | None => {}
        }
    }
    if answer > 0 {
        found.push(Finding::ok(CHECK, format!("{answer} of {} answer through the API server", libraries.len())));
    }
    found.extend(denied.map(|why| Finding::denied(CHECK, why)));
    found
}
