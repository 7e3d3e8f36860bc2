//! Library: one library. Where its files stand, how small they became, how good they are, what is slow.

use av1_crds::metrics::{
    ENCODE_JOB_OUTCOMES, ENCODE_JOBS, JOB_ETA, JOB_FRAMES_PER_SECOND, JOB_PROGRESS, JOB_PROJECTED_BYTES, JOB_WORKERS,
    LIBRARY_BYTES, LIBRARY_CONDITION, LIBRARY_FILES, LIBRARY_STORAGE, NOTIFICATIONS, QUALITY_SCORE, QUEUE_OLDEST,
    SIZE_RATIO, TRASH_KEPT_FILES, TRASH_PURGED_BYTES,
};

use super::super::promql::{CHOSEN, buckets, of, quantile, risen, sum, sum_by};
use super::panel::{Look, Panel, Row};
use super::{backlog_seconds, chosen, disk_free};

const NO_SCAN: &str = "until the library was scanned";
const NO_VERDICT: &str = "until an encode has ended with a verdict within the time range";
const NO_SCORE: &str = "until an output was scored within the time range, which happens where spec.verify.quality or a quality target asks for it";
const NO_JOB: &str = "while nothing encodes";

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row { title: "Where it stands", panels: standing() },
        Row { title: "Files", panels: files() },
        Row { title: "How small, how good", panels: results() },
        Row { title: "What is slow", panels: running() },
        Row { title: "Volume and trash", panels: volume() },
    ]
}

fn standing() -> Vec<Panel> {
    vec![
        Panel::new(Look::Stat, "Saved", "bytes", "Bytes by which replaced files became smaller, in all.")
            .query("saved", sum(&of(&LIBRARY_BYTES, &chosen(r#"state="freed""#))))
            .empty(NO_SCAN, "0 B"),
        Panel::new(
            Look::Stat,
            "Size of what was replaced",
            "percentunit",
            "Bytes of the AV1 files per byte of their originals.",
        )
        .query(
            "size",
            format!(
                "{} / ({} > 0)",
                sum(&of(&LIBRARY_BYTES, &chosen(r#"state="replacedAfter""#))),
                sum(&of(&LIBRARY_BYTES, &chosen(r#"state="replacedBefore""#)))
            ),
        )
        .empty("until a file was replaced", "nothing replaced"),
        Panel::new(Look::Stat, "Files", "short", "Files of the library, whatever became of them.")
            .query("files", sum(&of(&LIBRARY_FILES, &chosen(r#"state="total""#))))
            .empty(NO_SCAN, "0"),
        Panel::new(Look::Stat, "Left to do", "short", "Files worth encoding that wait for it.")
            .query("files", sum(&of(&LIBRARY_FILES, &chosen(r#"state="pending""#))))
            .empty(NO_SCAN, "0"),
        Panel::new(
            Look::Stat,
            "Time left",
            "dtdurations",
            "The files that wait, at the rate of the last day, or since the operator was started.",
        )
        .query("time left", format!("max({})", backlog_seconds(CHOSEN)))
        .empty("until a job has ended within the last day", "not known yet"),
        Panel::new(
            Look::Stat,
            "Oldest job that waits",
            "dtdurations",
            "Age of the oldest job in phase Queued; 0 with none.",
        )
        .query("age", format!("max({})", of(&QUEUE_OLDEST, CHOSEN)))
        .empty("until there is a library", "0"),
    ]
}

fn files() -> Vec<Panel> {
    let states = chosen(r#"state=~"done|alreadyAv1|skipped|rejected|failed|pending|unreadable""#);
    vec![
        Panel::new(
            Look::Bars,
            "Files by state",
            "short",
            "As the catalog counts them; kubectl av1 files LIBRARY lists each with its reason.",
        )
        .query("{{state}}", format!("sort_desc({})", sum_by("state", &of(&LIBRARY_FILES, &states))))
        .empty(NO_SCAN, "not scanned yet"),
        Panel::new(Look::Areas, "Files by state, over time", "short", "As the catalog counts them.")
            .query("{{state}}", sum_by("state", &of(&LIBRARY_FILES, &states)))
            .wide(16)
            .empty(NO_SCAN, "not scanned yet"),
        Panel::new(
            Look::States,
            "Conditions",
            "none",
            "Conditions of the library that are True. Degraded: something needs a person, and its message says what.",
        )
        .query("{{condition}}", format!("max by (condition) ({})", of(&LIBRARY_CONDITION, CHOSEN)))
        .empty("until there is a library", "no library"),
        Panel::new(Look::Areas, "Jobs", "short", "Jobs that have not ended, by phase.")
            .query(
                "{{phase}}",
                sum_by("phase", &of(&ENCODE_JOBS, &chosen(r#"phase=~"Queued|Encoding|Paused|Settling|Restoring""#))),
            )
            .empty("until there is a library", "no library"),
    ]
}

fn results() -> Vec<Panel> {
    vec![
        Panel::new(Look::Buckets, "Size ratio", "short", "How many outputs had at most so many bytes per byte of their source (and more than the bar before); within the time range.")
            .query("{{le}}", sum_by("le", &risen(&buckets(&SIZE_RATIO, CHOSEN), "$__range")))
            .empty(NO_VERDICT, "no encode yet"),
        Panel::new(Look::Heatmap, "Size ratio over time", "percentunit", "Outputs by bytes per byte of their source, of each hour.")
            .query("{{le}}", sum_by("le", &risen(&buckets(&SIZE_RATIO, CHOSEN), "1h")))
            .wide(16)
            .empty("until an encode has ended with a verdict", "no encode yet"),
        Panel::new(Look::Bars, "Quality", "none", "Mean scores by metric, within the time range: a tenth of the outputs is worse, half are. XPSNR and PSNR in dB, the others in points.")
            .query("{{metric}} worst tenth", quantile(0.1, "metric", &QUALITY_SCORE, CHOSEN, "$__range"))
            .query("{{metric}} middle", quantile(0.5, "metric", &QUALITY_SCORE, CHOSEN, "$__range"))
            .empty(NO_SCORE, "no score yet"),
        Panel::new(Look::Buckets, "Scores", "short", "How many outputs scored at most so much (and more than the bar before), all metrics together; within the time range.")
            .query("{{le}}", sum_by("le", &risen(&buckets(&QUALITY_SCORE, CHOSEN), "$__range")))
            .empty(NO_SCORE, "no score yet"),
        Panel::new(Look::Bars, "Outcomes by reason", "short", "Jobs that ended within the time range, by the reason of their outcome.")
            .query("{{reason}}", format!("sort_desc({})", sum_by("reason", &risen(&of(&ENCODE_JOB_OUTCOMES, CHOSEN), "$__range"))))
            .empty("until a job has ended within the time range", "no job has ended"),
    ]
}

fn running() -> Vec<Panel> {
    let job = |metric| format!("max by (job) ({})", of(metric, CHOSEN));
    vec![
        Panel::new(
            Look::Table,
            "Running encodes, slowest first",
            "none",
            "Every running encode. kubectl av1 top --once shows the same.",
        )
        .column("Frames a second", "none", job(&JOB_FRAMES_PER_SECOND))
        .column("Done", "percentunit", job(&JOB_PROGRESS))
        .column("Time left", "dtdurations", job(&JOB_ETA))
        .column("Projected size", "bytes", job(&JOB_PROJECTED_BYTES))
        .column("Workers", "short", job(&JOB_WORKERS))
        .empty(NO_JOB, "nothing encodes"),
        Panel::new(
            Look::Lines,
            "Frames a second",
            "suffix: fps",
            "Of the ten slowest running encodes, over their last minute.",
        )
        .query("{{job}}", format!("bottomk(10, {})", of(&JOB_FRAMES_PER_SECOND, CHOSEN)))
        .empty(NO_JOB, "nothing encodes"),
        Panel::new(
            Look::Lines,
            "Time left",
            "dtdurations",
            "Until its last frame is encoded, of the ten running encodes that take longest.",
        )
        .query("{{job}}", format!("topk(10, {})", of(&JOB_ETA, CHOSEN)))
        .empty("while nothing encodes, and until an encode knows its rate", "nothing encodes"),
    ]
}

fn volume() -> Vec<Panel> {
    vec![
        Panel::new(Look::Lines, "Volume", "bytes", "Bytes of the library's volume, as last seen by the catalog.")
            .query("{{state}}", format!("max by (state) ({})", of(&LIBRARY_STORAGE, CHOSEN)))
            .empty(NO_SCAN, "not known yet"),
        Panel::new(
            Look::Bars,
            "Free",
            "percentunit",
            "Part of the volume that is free. Below spec.storage.minFreePercent no encode starts.",
        )
        .query("free", format!("min({})", disk_free(CHOSEN)))
        .wide(6)
        .steps("red", &[(0.05, "orange"), (0.1, "green")])
        .empty(NO_SCAN, "not known yet"),
        Panel::new(
            Look::Bars,
            "Notifications",
            "short",
            "Of replaced and restored files, by result, within the time range.",
        )
        .query("{{result}}", sum_by("result", &risen(&of(&NOTIFICATIONS, CHOSEN), "$__range")))
        .wide(6)
        .empty("until a file was told of, which happens where spec.replacement.notify has a URL", "nothing told"),
        Panel::new(Look::Lines, "Trash", "bytes", "Bytes of originals that can still be brought back.")
            .query("in the trash", sum(&of(&LIBRARY_BYTES, &chosen(r#"state="inTrash""#))))
            .empty(NO_SCAN, "0 B"),
        Panel::new(Look::Stat, "Purged", "bytes", "Bytes that left the trash after their time, within the time range.")
            .query("purged", sum(&risen(&of(&TRASH_PURGED_BYTES, CHOSEN), "$__range")))
            .wide(6)
            .empty("until an original's time in the trash is over", "nothing yet"),
        Panel::new(
            Look::Stat,
            "Kept",
            "short",
            "Originals that stay past their time, because what replaced them is not as it was written.",
        )
        .query("files", sum(&of(&TRASH_KEPT_FILES, CHOSEN)))
        .wide(6)
        .steps("green", &[(1.0, "orange")])
        .empty("until there is a library", "0"),
    ]
}
