//! Operator: the process itself. Who leads, how long reconciles take, what errs, what it asks of the API server, what it needs.

use av1_crds::metrics::{
    API_REQUESTS, BUILD_INFO, ENCODE_JOBS, LEADER, LIBRARY_CONDITION, QUEUE_DEPTH, RECONCILE_DURATION, RECONCILES,
};

use super::super::promql::{
    CHOSEN, LIBRARY_LEGEND, PROCESS_CPU, PROCESS_FILES, PROCESS_MEMORY, PROCESS_START, buckets, of, of_operator,
    quantile, sum, sum_by,
};
use super::chosen;
use super::panel::{Look, Panel, Row};

const RATE: &str = "$__rate_interval";
const NO_OPERATOR: &str = "while no operator is scraped";
const NO_RECONCILE: &str = "until the operator has reconciled something";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row { title: "Who leads", panels: leader() },
        Row { title: "Reconciles", panels: reconciles() },
        Row { title: "The API server", panels: requests() },
        Row { title: "The process", panels: process() },
        Row { title: "What it works on", panels: work() },
    ]
}

fn rate(series: &str) -> String {
    format!("rate({series}[{RATE}])")
}

fn leader() -> Vec<Panel> {
    vec![
        Panel::new(
            Look::Stat,
            "Leaders",
            "short",
            "Processes that hold the lease. Exactly one is right; for some seconds after a crash there is none.",
        )
        .query("leaders", sum(&of(&LEADER, "")))
        .steps("red", &[(1.0, "green"), (2.0, "red")])
        .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Stat, "Processes", "short", "Operators that are scraped.")
            .query("processes", format!("count({})", of(&LEADER, "")))
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Stat, "Runs for", "dtdurations", "Since the process that has run longest was started.")
            .query("time", format!("max(time() - ({}))", of_operator(PROCESS_START)))
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Lines, "Lease", "short", "1 for the process that holds the lease.")
            .query("{{pod}} {{instance}}", of(&LEADER, ""))
            .wide(6)
            .high(4)
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Lines, "Versions", "short", "Processes by version.")
            .query("{{version}}", format!("count by (version) ({})", of(&BUILD_INFO, "")))
            .wide(6)
            .high(4)
            .empty(NO_OPERATOR, "no operator"),
    ]
}

fn reconciles() -> Vec<Panel> {
    vec![
        Panel::new(Look::Lines, "Reconciles", "ops", "Reconciles a second, by kind.")
            .query("{{kind}}", sum_by("kind", &rate(&of(&RECONCILES, ""))))
            .empty(NO_RECONCILE, "none yet"),
        Panel::new(Look::Lines, "Errors", "ops", "Reconciles a second that ended with an error, by kind and reason. A few conflicts are ordinary: the object had changed, and is looked at again.")
            .query("{{kind}} {{result}}", sum_by("kind, result", &rate(&of(&RECONCILES, r#"result!="ok""#))))
            .empty("while no reconcile has erred since the operator started", "no error"),
        Panel::new(Look::Lines, "Time of a reconcile", "s", "By kind: half are faster, 99 of 100 are.")
            .query("{{kind}} half", reconcile_quantile(0.5))
            .query("{{kind}} 99 %", reconcile_quantile(0.99))
            .empty(NO_RECONCILE, "none yet"),
        Panel::new(Look::Heatmap, "Times of reconciles", "s", "Reconciles a second by how long they took.")
            .query("{{le}}", sum_by("le", &rate(&buckets(&RECONCILE_DURATION, ""))))
            .empty(NO_RECONCILE, "none yet"),
        Panel::new(Look::Lines, "Queue", "short", "Objects that wait for a reconcile or are in one, by kind. It falls back to zero between changes; one that only rises means that the operator does not keep up.")
            .query("{{kind}}", sum_by("kind", &of(&QUEUE_DEPTH, "")))
            .empty(NO_RECONCILE, "none yet"),
        Panel::new(Look::Bars, "Slowest kind", "s", "99 of 100 reconciles of a kind are faster, within the time range.")
            .query("{{kind}}", quantile(0.99, "kind", &RECONCILE_DURATION, "", "$__range"))
            .wide(12)
            .empty(NO_RECONCILE, "none yet"),
    ]
}

fn reconcile_quantile(of: f64) -> String {
    format!("histogram_quantile({of}, {})", sum_by("le, kind", &rate(&buckets(&RECONCILE_DURATION, ""))))
}

fn requests() -> Vec<Panel> {
    vec![
        Panel::new(Look::Areas, "Requests by verb", "reqps", "Requests a second to the API server.")
            .query("{{verb}}", sum_by("verb", &rate(&of(&API_REQUESTS, ""))))
            .empty("until the operator has asked the API server something", "none yet"),
        Panel::new(
            Look::Lines,
            "Answers that are errors",
            "reqps",
            "Answers a second that are no success, by verb and code; 0 is no answer at all. 404 and 409 are ordinary.",
        )
        .query("{{verb}} {{code}}", sum_by("verb, code", &rate(&of(&API_REQUESTS, r#"code!~"[123]..""#))))
        .empty("while every answer was a success since the operator started", "no error"),
    ]
}

fn process() -> Vec<Panel> {
    vec![
        Panel::new(Look::Lines, "Memory", "bytes", "Resident memory. The chart's limit is 256 MiB; what is needed grows with the number of jobs that are kept.")
            .query("{{pod}} {{instance}}", of_operator(PROCESS_MEMORY))
            .wide(8)
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Lines, "CPU", "none", "CPUs in use.")
            .query("{{pod}} {{instance}}", of_operator(&rate(PROCESS_CPU)))
            .wide(8)
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Lines, "Open files", "short", "Files and connections that the process holds.")
            .query("{{pod}} {{instance}}", of_operator(PROCESS_FILES))
            .wide(8)
            .empty(NO_OPERATOR, "no operator"),
    ]
}

fn work() -> Vec<Panel> {
    vec![
        Panel::new(
            Look::Areas,
            "Jobs by library",
            "short",
            "EncodeJobs that the operator watches, ended ones too, by library.",
        )
        .query(LIBRARY_LEGEND, sum_by("namespace, library", &of(&ENCODE_JOBS, CHOSEN)))
        .empty("until there is a library", "no library"),
        Panel::new(Look::States, "Ready", "none", "Libraries whose condition Ready is True: work goes on by itself.")
            .query(LIBRARY_LEGEND, of(&LIBRARY_CONDITION, &chosen(r#"condition="Ready""#)))
            .empty("until there is a library", "no library"),
    ]
}
