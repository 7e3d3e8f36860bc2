//! The report as text for a terminal. Pure.

use av1_crds::figures;

use super::{FileOutcome, Report};
use crate::view::table::{Align, Cell, Table};
use crate::view::text::{count, keep_end, percent, printable, signed};
use crate::view::{Palette, Tone};

/// Columns that a path takes.
const PATH_WIDTH: usize = 52;

/// The report as text.
pub(crate) fn render(report: &Report, palette: Palette) -> String {
    let mut out = format!("{}/{}: {}\n", report.namespace, report.library, headline(report, palette));
    if report.files.is_empty() {
        out.push_str("Nothing has come to an end yet.\n");
    } else {
        out.push('\n');
        out.push_str(&outcomes(report, palette));
    }
    let mut list = |title: &str, files: Vec<&FileOutcome>, columns: &[Column]| {
        if !files.is_empty() {
            out.push_str(&format!("\n{title}\n{}", table(&files, columns, palette)));
        }
    };
    list("Saved most", report.saved_most(), &[SAVED, BEFORE, AFTER]);
    list("Slowest", report.slowest(), &[TIME, RATE, BEFORE]);
    if let Some(metric) = report.metric() {
        list(&format!("Worst two seconds, {}", printable(metric)), report.worst(), &[WINDOW, AT, MEAN]);
        list(&format!("Best scores, {}", printable(metric)), report.best(), &[MEAN, WINDOW]);
    }
    if report.scored_otherwise() > 0 {
        let other = signed(report.scored_otherwise());
        out.push_str(&format!("\nNote: {} measured otherwise: left out of these scores.\n", were(other)));
    }
    for note in &report.notes {
        out.push_str(&format!("\nNote: {}\n", printable(note)));
    }
    out
}

fn headline(report: &Report, palette: Palette) -> String {
    let totals = &report.totals;
    if totals.files_replaced == 0 {
        return "nothing saved yet".to_owned();
    }
    let saved =
        format!("{} saved ({})", figures::size(totals.bytes_saved), percent(totals.bytes_saved, totals.bytes_before));
    format!(
        "{}: {} of {} became {}",
        palette.paint(&saved, Tone::Good),
        count(totals.files_replaced, "file"),
        figures::size(totals.bytes_before),
        figures::size(totals.bytes_after)
    )
}

fn outcomes(report: &Report, palette: Palette) -> String {
    let columns = vec![("OUTCOME", Align::Left), ("REASON", Align::Left), ("FILES", Align::Right)];
    let rows: Vec<Vec<Cell>> = report
        .outcomes
        .iter()
        .map(|count| {
            let outcome = Cell { text: count.outcome.to_owned(), tone: tone(count.outcome) };
            vec![outcome, printable(&count.reason).into(), count.files.to_string().into()]
        })
        .collect();
    Table::new(columns, palette).page(&rows)
}

fn tone(outcome: &str) -> Tone {
    match outcome {
        "Succeeded" => Tone::Good,
        "Failed" => Tone::Bad,
        _ => Tone::Neutral,
    }
}

/// A column: its name, and what it shows of a file.
pub(super) type Column = (&'static str, fn(&FileOutcome) -> String);

pub(super) const SAVED: Column = ("SAVED", |file| {
    format!("{} ({})", figures::size(file.saved()), percent(file.saved(), file.bytes_before.unwrap_or_default()))
});
pub(super) const BEFORE: Column = ("BEFORE", |file| file.bytes_before.map_or_else(String::new, figures::size));
pub(super) const AFTER: Column = ("AFTER", |file| file.bytes_after.map_or_else(String::new, figures::size));
pub(super) const TIME: Column = ("TIME", |file| file.seconds.map_or_else(String::new, duration));
pub(super) const RATE: Column =
    ("FPS", |file| file.frames_per_second.map_or_else(|| "-".to_owned(), |rate| format!("{rate:.1}")));
pub(super) const MEAN: Column =
    ("MEAN", |file| file.quality.as_ref().map(|quality| printable(&quality.mean)).unwrap_or_default());
pub(super) const WINDOW: Column =
    ("WORST 2 s", |file| file.quality.as_ref().map(|quality| printable(&quality.worst_window)).unwrap_or_default());
pub(super) const AT: Column =
    ("AT", |file| file.quality.as_ref().map(|quality| clock(&quality.worst_window_at)).unwrap_or_default());

fn table(files: &[&FileOutcome], columns: &[Column], palette: Palette) -> String {
    let head = columns.iter().map(|(name, _)| (*name, Align::Right)).chain([("FILE", Align::Left)]).collect();
    let row = |file: &&FileOutcome| -> Vec<Cell> {
        let cells = columns.iter().map(|(_, show)| show(file).into());
        cells.chain([keep_end(&printable(&file.path), PATH_WIDTH).into()]).collect()
    };
    Table::new(head, palette).page(&files.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn were(files: i64) -> String {
    format!("{} {}", count(files, "file"), if files == 1 { "was" } else { "were" })
}

/// Seconds as people read them.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
pub(super) fn duration(seconds: f64) -> String {
    figures::duration(seconds.max(0.0).round() as u64)
}

/// A place in a film, such as `1:02:03`, from seconds as a decimal string.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
pub(super) fn clock(seconds: &str) -> String {
    let Ok(seconds) = seconds.parse::<f64>() else {
        return printable(seconds);
    };
    let whole = seconds.max(0.0) as u64;
    match whole / 3600 {
        0 => format!("{}:{:02}", whole / 60, whole % 60),
        hours => format!("{hours}:{:02}:{:02}", whole / 60 % 60, whole % 60),
    }
}
