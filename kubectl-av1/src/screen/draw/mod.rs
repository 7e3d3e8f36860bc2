//! The picture of a [`Model`] in a buffer of cells. Pure; only what is visible is built.

pub(crate) mod areas;
pub(crate) mod details;
mod header;
mod over;
mod queue;
mod side;
mod style;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use unicode_width::UnicodeWidthChar;

use super::model::{Model, Over};
use style::Theme;

/// What a frame cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Drawn {
    /// Rows of jobs that were built.
    pub(crate) rows: usize,
}

/// Draws everything.
pub(crate) fn screen(model: &Model, buffer: &mut Buffer) -> Drawn {
    let theme = Theme(model.palette);
    let areas = model.areas();
    header::draw(model, theme, areas.header, buffer);
    let rows = match (model.details, model.job()) {
        (Some(first), Some(job)) => {
            details::whole(model, job, first, theme, areas.body, buffer);
            0
        }
        _ => {
            for y in areas.fence.rows() {
                put(buffer, y, 0, "│", theme.faint());
            }
            details::pane(model, theme, areas.details, buffer);
            side::nodes(model, theme, areas.nodes, buffer);
            side::chart(model, theme, areas.chart, buffer);
            side::events(model, theme, areas.events, buffer);
            queue::draw(model, theme, areas.queue, buffer)
        }
    };
    header::footer(model, theme, areas.footer, buffer);
    match &model.over {
        Over::Help => over::help(theme, areas.body, buffer),
        Over::Confirm(ask) => over::confirm(ask, theme, areas.body, buffer),
        Over::Nothing | Over::Search | Over::Namespace(_) => {}
    }
    Drawn { rows }
}

/// Writes `text` into the first row of `area` from its column `x` on, cut at the area's edge; gives the column after it.
fn put(buffer: &mut Buffer, area: Rect, x: u16, text: &str, style: Style) -> u16 {
    let area = area.intersection(buffer.area);
    if area.is_empty() || x >= area.width {
        return x;
    }
    let (end, _) = buffer.set_stringn(area.x + x, area.y, text, usize::from(area.width - x), style);
    end - area.x
}

/// The row of `area` with this number; of no size below its edge.
fn row(area: Rect, number: u16) -> Rect {
    if number < area.height { Rect::new(area.x, area.y + number, area.width, 1) } else { Rect::default() }
}

/// A line with a title in it, and what is below.
fn section(buffer: &mut Buffer, area: Rect, title: &str, theme: Theme) -> Rect {
    let line = row(area, 0);
    let x = put(buffer, line, 0, "─ ", theme.faint());
    let x = put(buffer, line, x, &keep_start(title, usize::from(area.width.saturating_sub(4))), theme.title());
    let x = put(buffer, line, x, " ", theme.faint());
    put(buffer, line, x, &"─".repeat(usize::from(area.width.saturating_sub(x))), theme.faint());
    Rect::new(area.x, area.y + area.height.min(1), area.width, area.height.saturating_sub(1))
}

/// The start of `text` in at most `width` columns.
fn keep_start(text: &str, width: usize) -> String {
    let (kept, rest) = cut(text, width);
    if rest.is_empty() {
        return kept.to_owned();
    }
    let (kept, _) = cut(text, width.saturating_sub(1));
    if width == 0 { String::new() } else { format!("{}…", kept.trim_end()) }
}

/// As much of `text` as fits into `width` columns, and what is left.
fn cut(text: &str, width: usize) -> (&str, &str) {
    let mut columns = 0;
    for (at, c) in text.char_indices() {
        columns += c.width().unwrap_or(0);
        if columns > width {
            return text.split_at(at);
        }
    }
    (text, "")
}

/// `text` in lines of at most `width` columns, broken between words where that is possible.
fn wrap(text: &str, width: usize) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while !rest.is_empty() && width > 1 {
        let (mut line, mut after) = cut(rest, width);
        let breaks = !after.is_empty() && !after.starts_with(' ');
        if let Some(space) = line.rfind(' ').filter(|at| breaks && *at > 0) {
            (line, after) = rest.split_at(space);
        }
        lines.push(line.trim_end());
        rest = after.trim_start();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns_and_broken_between_words() {
        assert_eq!(keep_start("映画 Heat", 5), "映画…");
        assert_eq!((keep_start("short", 5).as_str(), keep_start("any", 0).as_str()), ("short", ""));
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("unbreakable", 4), ["unbr", "eaka", "ble"]);
        assert!(wrap("", 4).is_empty() && wrap("x", 0).is_empty());
    }
}
