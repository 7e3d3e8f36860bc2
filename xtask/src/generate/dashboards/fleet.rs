//! Fleet: is it well? What was saved, how fast it goes, how long it still takes, what failed, what the nodes do.

use av1_crds::metrics::{
    BYTES_READ, BYTES_SAVED, BYTES_WRITTEN, CHUNKS_RESUMED, ENCODE_DURATION, ENCODE_JOB_OUTCOMES, ENCODE_JOBS,
    ENCODE_SPEED, FRAMES_ENCODED, JOB_FRAMES_PER_SECOND, LIBRARY_BYTES, LIBRARY_CONDITION, LIBRARY_FILES, NODE_CPU,
    NODE_ENCODE_CPUS, NODE_LOAD, NODE_MEMORY, QUEUE_OLDEST, SETTLE_DURATION, VERIFICATION_FAILURES,
};

use super::super::promql::{
    CHOSEN, FAILURES, LIBRARY, LIBRARY_LEGEND, counted, of, quantile, reason_in, risen, sum, sum_by, total,
};
use super::panel::{Look, Panel, Row};
use super::{backlog_seconds, chosen, disk_free};

/// Why nothing is there on the first day.
const NO_VERDICT: &str = "until an encode has ended with a verdict within the time range";
const NO_OPERATOR: &str = "while no operator is scraped";
const NO_ENCODE_POD: &str = "while no encode pod runs";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row { title: "Is it well?", panels: answers() },
        Row { title: "Throughput", panels: throughput() },
        Row { title: "What is left", panels: backlog() },
        Row { title: "What failed", panels: failures() },
        Row { title: "Nodes that encode", panels: nodes() },
    ]
}

fn answers() -> Vec<Panel> {
    vec![
        Panel::new(
            Look::Stat,
            "Saved",
            "bytes",
            "Bytes by which replaced files became smaller, in all. Originals still in the trash take their space until their time is over.",
        )
        .query("saved", sum(&of(&LIBRARY_BYTES, &chosen(r#"state="freed""#))))
        .empty("until a library was scanned", "0 B"),
        Panel::new(Look::Stat, "Done", "percentunit", "Part of the files worth encoding that are done.")
            .query(
                "done",
                format!(
                    "{} / ({} > 0)",
                    sum(&of(&LIBRARY_FILES, &chosen(r#"state="done""#))),
                    sum(&of(&LIBRARY_FILES, &chosen(r#"state="eligible""#)))
                ),
            )
            .empty("while no file is worth encoding", "nothing to do"),
        Panel::new(Look::Stat, "Encoding", "short", "Jobs that have an encode pod.")
            .query("encoding", sum(&of(&ENCODE_JOBS, &chosen(r#"phase="Encoding""#))))
            .empty("until there is a library", "0"),
        Panel::new(Look::Stat, "Left to do", "short", "Files worth encoding that wait for it.")
            .query("files", sum(&of(&LIBRARY_FILES, &chosen(r#"state="pending""#))))
            .empty("until a library was scanned", "0"),
        Panel::new(
            Look::Stat,
            "Time left",
            "dtdurations",
            "The files that wait, at the rate of the last day, or since the operator was started. Windows of time and free slots are in that rate, the length of films is not.",
        )
        .query("time left", format!("max({})", backlog_seconds(CHOSEN)))
        .empty("until a job has ended within the last day", "not known yet"),
        Panel::new(
            Look::Stat,
            "Need a person",
            "short",
            "Libraries whose condition Degraded is True. Its message says what to do: kubectl av1 status -A.",
        )
        .query("libraries", sum(&of(&LIBRARY_CONDITION, &chosen(r#"condition="Degraded""#))))
        .steps("green", &[(1.0, "red")])
        .empty("until there is a library", "0"),
    ]
}

fn throughput() -> Vec<Panel> {
    vec![
        Panel::new(Look::Areas, "Frames a second", "suffix: fps", "Of all running encodes, over their last minute.")
            .query(LIBRARY_LEGEND, sum_by(LIBRARY, &of(&JOB_FRAMES_PER_SECOND, CHOSEN)))
            .empty("while nothing encodes", "nothing encodes"),
        Panel::new(Look::Areas, "Saved, in all", "bytes", "Bytes by which replaced files became smaller.")
            .query(LIBRARY_LEGEND, sum_by(LIBRARY, &of(&LIBRARY_BYTES, &chosen(r#"state="freed""#))))
            .empty("until a library was scanned", "nothing yet"),
        Panel::new(Look::Lines, "Saved an hour", "bytes", "Bytes by which files that were replaced within an hour became smaller; of all libraries.")
            .wide(8)
            .query("saved", sum(&risen(&of(&BYTES_SAVED, ""), "1h")))
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Lines, "Read and written an hour", "bytes", "Bytes of sources and of outputs whose encode ended with a verdict within an hour; of all libraries.")
            .wide(8)
            .query("read", sum(&risen(&of(&BYTES_READ, ""), "1h")))
            .query("written", sum(&risen(&of(&BYTES_WRITTEN, ""), "1h")))
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(Look::Lines, "Frames with a verdict", "short", "Frames of encodes that ended with a verdict within an hour; of all libraries.")
            .wide(8)
            .query("frames", sum(&risen(&of(&FRAMES_ENCODED, ""), "1h")))
            .empty(NO_OPERATOR, "no operator"),
        Panel::new(
            Look::Bars,
            "Speed",
            "suffix: x",
            "Seconds of film in a second of encoding, half of the encodes of a height being faster; within the time range.",
        )
        .query("{{height_class}}", quantile(0.5, "height_class", &ENCODE_SPEED, "", "$__range"))
        .empty(NO_VERDICT, "no encode yet"),
        Panel::new(Look::Bars, "Time of an encode", "dtdurations", "Mean by height, within the time range; nine of ten are faster than the second bar of a height.")
            .query(
                "{{height_class}} mean",
                format!(
                    "{} / {}",
                    sum_by("height_class", &risen(&total(&ENCODE_DURATION, ""), "$__range")),
                    sum_by("height_class", &risen(&counted(&ENCODE_DURATION, ""), "$__range"))
                ),
            )
            .query("{{height_class}} p90", quantile(0.9, "height_class", &ENCODE_DURATION, "", "$__range"))
            .empty(NO_VERDICT, "no encode yet"),
        Panel::new(Look::Bars, "Time to settle", "s", "From an encode's verdict to its outcome, within the time range: half are faster, nine of ten are.")
            .query("half", quantile(0.5, "", &SETTLE_DURATION, "", "$__range"))
            .query("nine of ten", quantile(0.9, "", &SETTLE_DURATION, "", "$__range"))
            .empty(NO_VERDICT, "no encode yet"),
    ]
}

fn backlog() -> Vec<Panel> {
    vec![
        Panel::new(Look::Areas, "Files that wait", "short", "Files worth encoding that are not done, by library.")
            .query(LIBRARY_LEGEND, sum_by(LIBRARY, &of(&LIBRARY_FILES, &chosen(r#"state="pending""#))))
            .empty("until a library was scanned", "no library"),
        Panel::new(Look::Areas, "Jobs", "short", "Jobs that have not ended, by phase.")
            .query(
                "{{phase}}",
                sum_by("phase", &of(&ENCODE_JOBS, &chosen(r#"phase=~"Queued|Encoding|Paused|Settling|Restoring""#))),
            )
            .empty("until there is a library", "no library"),
        Panel::new(
            Look::Bars,
            "Time left",
            "dtdurations",
            "By library: the files that wait, at the rate of the last day, or since the operator was started.",
        )
        .query(LIBRARY_LEGEND, backlog_seconds(CHOSEN))
        .empty("until a job has ended within the last day", "not known yet"),
        Panel::new(
            Look::Bars,
            "Oldest job that waits",
            "dtdurations",
            "Age of the oldest job in phase Queued, by library; 0 with none.",
        )
        .query(LIBRARY_LEGEND, of(&QUEUE_OLDEST, CHOSEN))
        .empty("until there is a library", "no library"),
        Panel::new(
            Look::Bars,
            "Free on the volume",
            "percentunit",
            "Part of each library's volume that is free. Below spec.storage.minFreePercent no encode starts.",
        )
        .query(LIBRARY_LEGEND, disk_free(CHOSEN))
        .steps("red", &[(0.05, "orange"), (0.1, "green")])
        .empty("until a library was scanned", "not known yet"),
    ]
}

fn failures() -> Vec<Panel> {
    let failed = chosen(&reason_in(&FAILURES));
    vec![
        Panel::new(Look::Bars, "Outcomes by reason", "short", "Jobs that ended within the time range, by the reason of their outcome. kubectl av1 files LIBRARY tells the files.")
            .query("{{reason}}", format!("sort_desc({})", sum_by("reason", &risen(&of(&ENCODE_JOB_OUTCOMES, CHOSEN), "$__range"))))
            .wide(7)
        .empty("until a job has ended within the time range", "no job has ended"),
        Panel::new(Look::Lines, "Failures an hour", "short", "Jobs that were given up within an hour, by reason; their files are untouched.")
            .query("{{reason}}", sum_by("reason", &risen(&of(&ENCODE_JOB_OUTCOMES, &failed), "1h")))
            .wide(7)
            .empty("while no job has failed since the operator started", "no failure"),
        Panel::new(Look::Bars, "Failed checks", "short", "Checks of outputs that failed within the time range, by name. What failed a check is never swapped in.")
            .query("{{check}}", sum_by("check", &risen(&of(&VERIFICATION_FAILURES, ""), "$__range")))
            .wide(6)
        .steps("red", &[])
            .empty("while every check has passed since the operator started", "no failed check"),
        Panel::new(Look::Stat, "Chunks taken over", "short", "Chunks that a run found finished by an earlier one, within the time range: work that an interruption did not cost.")
            .query("chunks", sum(&risen(&of(&CHUNKS_RESUMED, ""), "$__range")))
            .high(8)
        .empty(NO_OPERATOR, "no operator"),
    ]
}

fn nodes() -> Vec<Panel> {
    vec![
        Panel::new(Look::Lines, "CPU", "percentunit", "Part of the whole node's CPU time in use.")
            .query("{{node}}", of(&NODE_CPU, ""))
            .empty(NO_ENCODE_POD, "no encode pod"),
        Panel::new(Look::Lines, "CPUs of encodes", "none", "CPUs given to encode pods, and those that they keep busy. Far fewer busy than given: the disk or the network is too slow, or too few workers.")
            .query("{{node}} {{state}}", of(&NODE_ENCODE_CPUS, ""))
            .empty(NO_ENCODE_POD, "no encode pod"),
        Panel::new(Look::Lines, "Memory", "percentunit", "Part of the whole node's memory in use.")
            .query("{{node}}", of(&NODE_MEMORY, ""))
            .empty(NO_ENCODE_POD, "no encode pod"),
        Panel::new(Look::Lines, "Load", "none", "Load averages of the node.")
            .query("{{node}} {{window}}", of(&NODE_LOAD, ""))
            .empty(NO_ENCODE_POD, "no encode pod"),
    ]
}
