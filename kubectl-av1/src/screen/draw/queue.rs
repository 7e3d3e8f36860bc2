//! The queue: one row for each job that is visible, with as many columns as there is room for. Pure.

use av1_crds::figures;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::style::Theme;
use super::{keep_start, put, row, section};
use crate::screen::model::{Figures, Filter, Job, Model};
use crate::view::Tone;
use crate::view::text::{bar, bit_rate, grouped, keep_end};

/// Least columns of the file's name.
const FILE: u16 = 16;
/// Columns of the bar where there is little room, and where there is enough.
const BARS: (usize, usize) = (4, 12);
/// Columns that come before the file's name is given as much again.
const USUAL: usize = 8;

/// What a column shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    File,
    Stage,
    Progress,
    Rate,
    BitRate,
    Crf,
    Workers,
    Eta,
    Saved,
    Library,
    Node,
}

/// Columns in the order in which they are given up when there is no room, the last first: name, width, whether it stands right.
const COLUMNS: &[(Column, &str, u16, bool)] = &[
    (Column::File, "FILE", FILE, false),
    (Column::Stage, "STAGE", 9, false),
    (Column::Progress, "PROGRESS", 9, false),
    (Column::Eta, "ETA", 7, true),
    (Column::Rate, "FPS", 5, true),
    (Column::Crf, "CRF", 3, true),
    (Column::BitRate, "BITRATE", 9, true),
    (Column::Workers, "WORKERS", 7, true),
    (Column::Saved, "SAVED", 9, true),
    (Column::Library, "LIBRARY", 16, false),
    (Column::Node, "NODE", 16, false),
];
/// The order in which they stand.
const PLACES: &[Column] = &[
    Column::File,
    Column::Stage,
    Column::Progress,
    Column::Rate,
    Column::BitRate,
    Column::Crf,
    Column::Workers,
    Column::Eta,
    Column::Saved,
    Column::Library,
    Column::Node,
];

/// Draws it; gives the rows of jobs that were built.
pub(super) fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) -> usize {
    let inner = section(buffer, area, &title(model), theme);
    let columns = layout(area.width);
    let mut x = 0;
    for (_, name, width, right) in &columns {
        x = cell(buffer, row(inner, 0), x, *width, *right, name, theme.faint());
    }
    if model.jobs.shown() == 0 {
        let text = match (model.loaded, model.jobs.len()) {
            (false, _) if !model.lost.is_empty() => "The jobs could not be read yet.",
            (false, _) => "Reading the jobs…",
            (true, 0) => "No jobs.",
            (true, _) => "No job matches: Esc shows all again.",
        };
        put(buffer, row(inner, 1), 0, &keep_start(text, usize::from(area.width)), theme.tone(Tone::Neutral));
    }
    let visible = model.top..(model.top + model.areas().rows()).min(model.jobs.shown());
    let mut built = 0;
    for (number, at) in visible.enumerate() {
        let Some(job) = model.jobs.get(at) else { break };
        let line = row(inner, 1 + number as u16);
        one(model, job, &columns, theme, line, buffer);
        if at == model.cursor {
            buffer.set_style(line.intersection(buffer.area), theme.chosen());
        }
        built += 1;
    }
    built
}

fn title(model: &Model) -> String {
    let jobs = &model.jobs;
    let of = if jobs.filter == Filter::All && jobs.search().is_empty() {
        grouped(jobs.len() as i64)
    } else {
        format!("{} of {}", grouped(jobs.shown() as i64), grouped(jobs.len() as i64))
    };
    let search = if jobs.search().is_empty() { String::new() } else { format!(", /{}", jobs.search()) };
    format!("Queue: {:?}, by {:?}{search}, {of}", jobs.filter, jobs.sort)
}

/// The columns that fit, with their widths; what is left over goes to the bar first, then to the file.
fn layout(width: u16) -> Vec<(Column, &'static str, u16, bool)> {
    let mut chosen: Vec<(Column, &'static str, u16, bool)> = Vec::new();
    let mut used = 0;
    for column in COLUMNS {
        let needs = column.2 + u16::from(!chosen.is_empty());
        let kept = if chosen.len() >= USUAL { FILE } else { 0 };
        if used + needs + kept > width && !chosen.is_empty() {
            break;
        }
        used += needs;
        chosen.push(*column);
    }
    let mut left = width.saturating_sub(used);
    for column in &mut chosen {
        let (wider, enough) = match column.0 {
            Column::Progress => ((BARS.1 - BARS.0) as u16, 8),
            Column::Stage => (6, 20),
            _ => continue,
        };
        if left >= enough + wider {
            column.2 += wider;
            left -= wider;
        }
    }
    if let Some(file) = chosen.first_mut() {
        file.2 = (file.2 + left).min(width);
    }
    let place = |column: Column| PLACES.iter().position(|at| *at == column);
    chosen.sort_by_key(|(column, ..)| place(*column));
    chosen
}

fn one(model: &Model, job: &Job, columns: &[(Column, &str, u16, bool)], theme: Theme, line: Rect, buffer: &mut Buffer) {
    let figures = model.figures(job);
    let mut x = 0;
    for (column, _, width, right) in columns {
        let text = text(*column, job, &figures, *width);
        let style = match column {
            Column::Stage => theme.tone(job.tone()),
            Column::Progress => theme.bar(0.0),
            _ => theme.tone(Tone::Neutral),
        };
        x = cell(buffer, line, x, *width, *right, &text, style);
    }
}

fn text(column: Column, job: &Job, figures: &Figures, width: u16) -> String {
    let width = usize::from(width);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    match column {
        Column::File => keep_end(&job.path, width),
        Column::Stage => keep_start(&job.stage, width),
        Column::Progress => or_dash(figures.progress.map(|ratio| bar(ratio, width.saturating_sub(5)))),
        Column::Rate => or_dash(figures.frames_per_second.map(|rate| format!("{rate:.1}"))),
        Column::BitRate => or_dash(figures.bit_rate.map(bit_rate)),
        Column::Crf => or_dash(figures.crf.map(|crf| crf.to_string())),
        Column::Workers => or_dash(figures.workers.map(|workers| workers.to_string())),
        Column::Eta => or_dash(figures.eta_seconds.map(figures::duration)),
        Column::Saved => or_dash(Some(job.saved).filter(|saved| *saved != 0).map(figures::size)),
        Column::Library => keep_start(&job.library, width),
        Column::Node => {
            let node = job.facts.iter().find(|(label, _)| *label == "node").map(|(_, text)| text.as_str());
            keep_start(node.and_then(|text| text.split(',').next()).unwrap_or("-"), width)
        }
    }
}

/// One cell with the gap before it; gives the column after it.
fn cell(
    buffer: &mut Buffer,
    line: Rect,
    x: u16,
    width: u16,
    right: bool,
    text: &str,
    style: ratatui::style::Style,
) -> u16 {
    let x = x + u16::from(x > 0);
    let pad = if right { width.saturating_sub(text.width() as u16) } else { 0 };
    put(buffer, Rect { width: (x + width).min(line.width), ..line }, x + pad, text, style);
    x + width
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_never_take_more_than_there_is() {
        for width in 0..400 {
            let columns = layout(width);
            let used: u16 = columns.iter().map(|(_, _, width, _)| width).sum::<u16>() + columns.len() as u16 - 1;
            assert!(used <= width || columns.len() == 1, "{width}: {columns:?}");
            assert_eq!(columns[0].0, Column::File);
        }
        assert_eq!(layout(200).len(), COLUMNS.len());
    }
}
