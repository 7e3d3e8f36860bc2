//! Colours and weights. Without colours, weight and reversal alone tell things apart. Pure.

use ratatui::style::{Color, Modifier, Style};

use crate::view::{Palette, Tone};

/// How things look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme(pub(super) Palette);

impl Theme {
    fn coloured(self, colour: Color) -> Style {
        if self.0 == Palette::Colours { Style::new().fg(colour) } else { Style::new() }
    }

    /// Text that says something about the state of things.
    pub(super) fn tone(self, tone: Tone) -> Style {
        match tone {
            Tone::Neutral => Style::new(),
            Tone::Good => self.coloured(Color::Green),
            Tone::Busy => self.coloured(Color::Cyan),
            Tone::Bad => self.coloured(Color::Red).add_modifier(Modifier::BOLD),
        }
    }

    /// Titles and names of columns.
    pub(super) fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// Lines and labels.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The chosen row, and the end of a text that is being written.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// The bars of gauges and charts: of what is nearly full in another colour.
    pub(super) fn bar(self, ratio: f64) -> Style {
        self.coloured(if ratio >= 0.95 { Color::Yellow } else { Color::Cyan })
    }
}
