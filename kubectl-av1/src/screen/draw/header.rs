//! The first lines (libraries, totals, state of things) and the last (keys, questions, answers). Pure.

use av1_crds::{Phase, figures};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};
use unicode_width::UnicodeWidthStr;

use super::style::Theme;
use super::{keep_start, put, row, wrap};
use crate::screen::keys::BINDINGS;
use crate::screen::model::{Library, Model, Notice, Operator, Over};
use crate::view::Tone;
use crate::view::text::grouped;

/// Most lines that a sentence in the footer takes.
const MOST_LINES: u16 = 3;

pub(super) fn draw(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    totals(model, theme, row(area, 0), buffer);
    libraries(model, theme, row(area, 1), buffer);
    for (number, problem) in model.problems().iter().enumerate() {
        let line = row(area, 2 + number as u16);
        put(buffer, line, 0, &keep_start(problem, usize::from(line.width)), theme.tone(Tone::Bad));
    }
}

/// Namespace, totals of files and of jobs; on the right whether the operator answers.
fn totals(model: &Model, theme: Theme, line: Rect, buffer: &mut Buffer) {
    let (state, tone) = match model.operator {
        _ if !model.lost.is_empty() => ("cluster away", Tone::Bad),
        Operator::Unknown => ("operator …", Tone::Neutral),
        Operator::Here => ("operator ok", Tone::Good),
        Operator::Away { .. } => ("operator away", Tone::Bad),
    };
    let right = line.width.saturating_sub(state.width() as u16);
    let left = Rect { width: right.saturating_sub(1), ..line };
    let x = put(buffer, left, 0, "av1 ", theme.title());
    let x = put(buffer, left, x, model.namespace.as_deref().unwrap_or("all namespaces"), theme.tone(Tone::Busy));
    let sum = |of: fn(&Library) -> i64| model.libraries.values().map(of).sum::<i64>();
    let mut text = format!(
        "  {} files: {} done, {} pending, {} failed  {} saved",
        grouped(sum(|library| library.total)),
        grouped(sum(|library| library.done)),
        grouped(sum(|library| library.pending)),
        grouped(sum(|library| library.failed)),
        figures::size(sum(|library| library.saved)),
    );
    let running = [Phase::Encoding, Phase::Settling, Phase::Restoring].map(|phase| model.jobs.count(phase));
    text += &format!("  {} running, {} queued", running.iter().sum::<usize>(), model.jobs.count(Phase::Queued));
    put(buffer, left, x, &keep_start(&text, usize::from(left.width.saturating_sub(x))), theme.tone(Tone::Neutral));
    put(buffer, line, right, state, theme.tone(tone));
}

/// Each library with its state: those that are not ready first, with the reason.
fn libraries(model: &Model, theme: Theme, line: Rect, buffer: &mut Buffer) {
    if model.libraries.is_empty() && model.loaded {
        let text = "No libraries here: `kubectl apply` a MediaLibrary, or press n to look elsewhere.";
        put(buffer, line, 0, &keep_start(text, usize::from(line.width)), theme.tone(Tone::Neutral));
    }
    let mut x = 0;
    let mut all: Vec<&Library> = model.libraries.values().collect();
    all.sort_by_key(|library| library.ready == Some(true));
    for library in all {
        let (state, tone) = match library.ready {
            _ if library.suspended => ("paused", Tone::Neutral),
            Some(true) => ("ready", Tone::Good),
            Some(false) => ("not ready", Tone::Bad),
            None => ("new", Tone::Neutral),
        };
        let name = match &model.namespace {
            Some(_) => library.key.name.clone(),
            None => format!("{}/{}", library.key.namespace, library.key.name),
        };
        if x >= line.width {
            break;
        }
        x = put(buffer, line, x, &format!("{name} "), theme.tone(Tone::Neutral));
        x = put(buffer, line, x, state, theme.tone(tone));
        if library.ready == Some(false) && !library.message.is_empty() {
            let room = usize::from(line.width.saturating_sub(x)).min(80);
            x = put(buffer, line, x, &keep_start(&format!(": {}", library.message), room), theme.tone(Tone::Neutral));
        }
        x += 2;
    }
}

/// The question that is open, else the last answer, else the keys.
pub(super) fn footer(model: &Model, theme: Theme, line: Rect, buffer: &mut Buffer) {
    match (&model.over, &model.notice) {
        (Over::Search, _) => {
            write(&format!("/{}", model.jobs.search()), "  Enter keeps it, Esc clears it", theme, line, buffer)
        }
        (Over::Namespace(text), _) => {
            let seen: std::collections::BTreeSet<&str> =
                model.libraries.keys().map(|key| key.namespace.as_str()).collect();
            let seen: Vec<&str> = seen.into_iter().collect();
            let known = if seen.is_empty() { String::new() } else { format!(", seen: {}", seen.join(", ")) };
            write(
                &format!("namespace: {text}"),
                &format!("  Enter goes there, nothing means all{known}"),
                theme,
                line,
                buffer,
            );
        }
        (_, Some(notice)) => told(notice, theme, line, buffer),
        _ => keys(theme, line, buffer),
    }
}

/// A sentence that is too long for the last line takes some of those above it too.
fn told(notice: &Notice, theme: Theme, last: Rect, buffer: &mut Buffer) {
    let lines = wrap(&notice.text, last.width.into());
    let height = (lines.len() as u16).clamp(1, MOST_LINES).min(last.y + 1);
    let area =
        Rect { y: last.y + last.height - height.min(last.y + last.height), height, ..last }.intersection(buffer.area);
    Clear.render(area, buffer);
    for (number, line) in lines.into_iter().take(height.into()).enumerate() {
        put(buffer, row(area, number as u16), 0, line, theme.tone(notice.tone));
    }
}

fn write(text: &str, help: &str, theme: Theme, line: Rect, buffer: &mut Buffer) {
    let x = put(buffer, line, 0, text, theme.title());
    let x = put(buffer, line, x, " ", theme.chosen());
    put(buffer, line, x, &keep_start(help, usize::from(line.width.saturating_sub(x))), theme.faint());
}

/// As many keys as there is room for: those that lead to all others come first.
fn keys(theme: Theme, line: Rect, buffer: &mut Buffer) {
    let mut x = 0;
    for binding in BINDINGS.iter().filter(|binding| !binding.word.is_empty()) {
        let width = (binding.shown.width() + 1 + binding.word.width()) as u16;
        if x + width > line.width {
            break;
        }
        x = put(buffer, line, x, binding.shown, theme.title());
        x = put(buffer, line, x + 1, binding.word, theme.faint()) + 2;
    }
}
