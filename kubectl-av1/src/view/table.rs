//! Tables as kubectl prints them. Widths are kept from page to page and only grow. Pure.

use unicode_width::UnicodeWidthStr;

use super::{Palette, Tone};

const GAP: &str = "   ";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// One cell; `tone` colours it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { text, tone: Tone::Neutral }
    }
}

pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    widths: Vec<usize>,
    palette: Palette,
    begun: bool,
}

impl Table {
    pub(crate) fn new(columns: Vec<(&'static str, Align)>, palette: Palette) -> Self {
        let widths = columns.iter().map(|(name, _)| name.width()).collect();
        Self { columns, widths, palette, begun: false }
    }

    /// The rows, below the header when they are the first.
    pub(crate) fn page(&mut self, rows: &[Vec<Cell>]) -> String {
        for row in rows {
            for (width, cell) in self.widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let mut out = String::new();
        if !self.begun && !rows.is_empty() {
            self.begun = true;
            let header: Vec<Cell> = self.columns.iter().map(|(name, _)| (*name).to_owned().into()).collect();
            out.push_str(&self.line(&header));
        }
        rows.iter().for_each(|row| out.push_str(&self.line(row)));
        out
    }

    fn line(&self, row: &[Cell]) -> String {
        let cells: Vec<String> = row
            .iter()
            .zip(&self.columns)
            .zip(&self.widths)
            .map(|((cell, (_, align)), width)| {
                let padding = " ".repeat(width.saturating_sub(cell.text.width()));
                let text = self.palette.paint(&cell.text, cell.tone);
                if *align == Align::Left { text + &padding } else { padding + &text }
            })
            .collect();
        format!("{}\n", cells.join(GAP).trim_end())
    }
}
