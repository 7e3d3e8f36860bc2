//! What lies over the screen: the help, and the question whether to do what was asked for. Pure.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Block, Clear, Widget};

use super::style::Theme;
use super::{keep_start, put, row, wrap};
use crate::screen::keys::BINDINGS;
use crate::screen::model::{Ask, Wish};
use crate::view::Tone;

/// Columns of the keys in the help.
const KEYS: u16 = 8;

/// Every key and what it does.
pub(super) fn help(theme: Theme, area: Rect, buffer: &mut Buffer) {
    let inner = window(buffer, area, "Keys", 72, BINDINGS.len() as u16, theme);
    for (number, binding) in BINDINGS.iter().enumerate() {
        let line = row(inner, number as u16);
        put(buffer, line, 0, binding.shown, theme.title());
        let text = keep_start(binding.help, usize::from(line.width.saturating_sub(KEYS)));
        put(buffer, line, KEYS, &text, theme.tone(Tone::Neutral));
    }
}

/// The question, what will become of the file, and the answers.
pub(super) fn confirm(ask: &Ask, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let (title, effect) = match ask.wish {
        Wish::Pause => ("Pause the job?", "The encode stops; what it finished is kept, and it goes on from there."),
        Wish::Resume => ("Let the job go on?", "It takes its place in the queue and goes on from what it finished."),
        Wish::Undo => {
            ("Bring the original back?", "The original comes out of the trash to its place; the AV1 file goes there.")
        }
        Wish::Cancel => ("Cancel the job?", "The encode stops and the file stays as it is; no scan takes it up again."),
    };
    let width = area.width.saturating_sub(4).min(72);
    let room = usize::from(width.saturating_sub(4));
    let mut lines: Vec<(&str, Tone)> = vec![(ask.key.name.as_str(), Tone::Busy)];
    lines.extend(wrap(&ask.path, room).into_iter().map(|line| (line, Tone::Neutral)));
    lines.extend(wrap(effect, room).into_iter().map(|line| (line, Tone::Neutral)));
    lines.push(("y does it, any other key does not", Tone::Bad));
    let inner = window(buffer, area, title, width, lines.len() as u16, theme);
    // The answers are seen even where the path takes more lines than there are.
    let cut = lines.len().saturating_sub(inner.height.into());
    lines.drain(1..=cut.min(lines.len().saturating_sub(2)));
    for (number, (line, tone)) in lines.into_iter().enumerate() {
        put(buffer, row(inner, number as u16), 0, line, theme.tone(tone));
    }
}

/// A window in the middle of `area` with room for so many columns and rows, and its inside.
fn window(buffer: &mut Buffer, area: Rect, title: &str, width: u16, rows: u16, theme: Theme) -> Rect {
    let (width, height) = (width.min(area.width), (rows + 2).min(area.height));
    let place = Rect::new(area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height)
        .intersection(buffer.area);
    Clear.render(place, buffer);
    let block = Block::bordered().title(format!(" {title} ")).title_style(theme.title());
    let inner = block.inner(place);
    block.render(place, buffer);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }.intersection(buffer.area)
}
