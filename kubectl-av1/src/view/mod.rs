//! How things look: values in, text out. Must never: ask a cluster, a clock, the environment or a terminal for anything.

pub(crate) mod change;
pub(crate) mod complete;
pub(crate) mod doctor;
pub(crate) mod document;
pub(crate) mod explain;
pub(crate) mod files;
pub(crate) mod hold;
pub(crate) mod jobs;
pub(crate) mod plan;
pub(crate) mod report;
pub(crate) mod status;
mod table;
pub(crate) mod text;
pub(crate) mod top;

/// Whether text is coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Palette {
    #[default]
    Plain,
    Colours,
}

/// What a piece of text says about the state of things.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tone {
    #[default]
    Neutral,
    Good,
    Busy,
    Bad,
}

impl Palette {
    /// `text` in the colour of `tone`.
    pub(crate) fn paint(self, text: &str, tone: Tone) -> String {
        let code = match (self, tone) {
            (Self::Plain, _) | (_, Tone::Neutral) => return text.to_owned(),
            (_, Tone::Good) => 32,
            (_, Tone::Busy) => 36,
            (_, Tone::Bad) => 31,
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}
