//! Whether an operator is there, leads, is of this program's version, and shows its metrics. Pure.

use av1_crds::metrics;

use super::{Facts, Finding, OperatorFacts, Seen};

/// Seconds by which the clocks of this machine and the cluster may differ.
const CLOCKS: i64 = 30;

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let operators = match &facts.operators {
        Seen::Got(operators) => operators,
        Seen::Denied(why) => return vec![Finding::denied("operator", why)],
        Seen::Absent => return vec![absent()],
        Seen::Away(why) => return vec![Finding::unknown("operator", why.clone())],
    };
    if operators.is_empty() {
        return vec![absent()];
    }
    operators
        .iter()
        .flat_map(|operator| {
            let metrics = shown(operator);
            let version = version(&facts.plugin, operator);
            [Some(there(operator)), Some(leads(facts, operator)), version, Some(metrics)].into_iter().flatten()
        })
        .collect()
}

fn absent() -> Finding {
    let todo = "install the chart (helm install av1-operator helm/av1-operator)";
    Finding::problem("operator", "no Service of an operator in this cluster", todo)
}

fn there(operator: &OperatorFacts) -> Finding {
    const CHECK: &str = "operator";
    let name = format!("Deployment {}/{}", operator.namespace, operator.name);
    let deployment = match &operator.deployment {
        Seen::Got(deployment) => deployment,
        Seen::Denied(why) => return Finding::denied(CHECK, why),
        Seen::Away(why) => return Finding::unknown(CHECK, format!("{name}: {why}")),
        Seen::Absent => {
            return Finding::problem(CHECK, format!("there is no {name}, but its Service"), "`helm upgrade` the chart");
        }
    };
    let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
    let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas).unwrap_or(0);
    let (space, operator) = (&operator.namespace, &operator.name);
    if wanted == 0 {
        let todo = format!("`kubectl -n {space} scale deployment/{operator} --replicas=1`");
        return Finding::problem(CHECK, format!("{name} is scaled to 0: nothing new is encoded"), todo);
    }
    if ready == 0 {
        let todo = format!("`kubectl -n {space} describe pods -l app.kubernetes.io/component=operator` says why");
        return Finding::problem(CHECK, format!("{name} has none of {wanted} pods ready"), todo);
    }
    Finding::ok(CHECK, format!("{name} has {ready} of {wanted} pods ready"))
}

fn leads(facts: &Facts, operator: &OperatorFacts) -> Finding {
    const CHECK: &str = "leader";
    let name = format!("Lease {}/{}", operator.namespace, operator.name);
    let todo = format!(
        "`kubectl -n {} logs deployment/{}` says what keeps it from leading",
        operator.namespace, operator.name
    );
    let lease = match &operator.lease {
        Seen::Got(lease) => lease.spec.clone().unwrap_or_default(),
        Seen::Denied(why) => return Finding::denied(CHECK, why),
        Seen::Away(why) => return Finding::unknown(CHECK, format!("{name}: {why}")),
        Seen::Absent => return Finding::problem(CHECK, format!("there is no {name}: no operator ever led"), todo),
    };
    let Some(holder) = lease.holder_identity.filter(|holder| !holder.is_empty()) else {
        return Finding::problem(CHECK, format!("nobody holds {name}: no operator leads"), todo);
    };
    let lasts = i64::from(lease.lease_duration_seconds.unwrap_or(0));
    let ago = lease.renew_time.map_or(i64::MAX, |at| facts.now.as_second().saturating_sub(at.0.as_second()));
    if ago > lasts + CLOCKS {
        let found =
            format!("{holder} holds {name}, but has not renewed it for {ago} s ({lasts} s is how long it lasts)");
        return Finding::problem(CHECK, found, todo);
    }
    Finding::ok(CHECK, format!("{holder} leads"))
}

/// None when the operator does not tell its version: another finding says why.
fn version(plugin: &str, operator: &OperatorFacts) -> Option<Finding> {
    const CHECK: &str = "versions";
    let text = operator.metrics.got()?;
    let start = format!("{}{{version=\"", metrics::BUILD_INFO.name);
    let version = text.lines().find_map(|line| line.strip_prefix(&start)?.split('"').next());
    let Some(version) = version else {
        return Some(Finding::unknown(CHECK, "the operator's metrics do not tell its version"));
    };
    Some(if version == plugin {
        Finding::ok(CHECK, format!("operator and plugin are {version}"))
    } else {
        Finding::problem(
            CHECK,
            format!("the operator is {version}, this plugin {plugin}"),
            "take the plugin of the operator's version, or `helm upgrade` the chart",
        )
    })
}

fn shown(operator: &OperatorFacts) -> Finding {
    const CHECK: &str = "metrics";
    let service = format!("Service {}/{}", operator.namespace, operator.name);
    match &operator.metrics {
        Seen::Got(text) => {
            let series = text.lines().filter(|line| line.starts_with("av1_")).count();
            Finding::ok(CHECK, format!("{service} shows {series} series"))
        }
        Seen::Denied(why) => Finding::denied(CHECK, why),
        Seen::Absent => Finding::problem(CHECK, format!("{service} is gone"), "`helm upgrade` the chart"),
        Seen::Away(why) => {
            let todo = "see the line about the operator; if that is ok, the API server cannot reach pods: look for a NetworkPolicy";
            Finding::problem(CHECK, format!("{service} does not answer through the API server ({why})"), todo)
        }
    }
}
