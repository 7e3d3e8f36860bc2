//! The table of `files`: path, verdict, reason, size, message. Pure.

use std::collections::BTreeMap;

use av1_crds::figures;
use av1_crds::wire::{FileState, FileVerdict};

use super::table::{Align, Cell, Table};
use super::text::{count, keep_end, printable};
use super::{Palette, Tone};

/// Columns that a path takes unless nothing is to be cut.
const PATH_WIDTH: usize = 48;

pub(crate) struct FileTable {
    table: Table,
    wide: bool,
    counts: BTreeMap<FileState, i64>,
}

impl FileTable {
    pub(crate) fn new(wide: bool, palette: Palette) -> Self {
        let columns = vec![
            ("PATH", Align::Left),
            ("VERDICT", Align::Left),
            ("REASON", Align::Left),
            ("SIZE", Align::Right),
            ("BEFORE", Align::Right),
            ("MESSAGE", Align::Left),
        ];
        Self { table: Table::new(columns, palette), wide, counts: BTreeMap::new() }
    }

    /// The next files, by path.
    pub(crate) fn page(&mut self, files: &[FileVerdict]) -> String {
        let rows: Vec<Vec<Cell>> = files.iter().map(|file| self.row(file)).collect();
        for file in files {
            *self.counts.entry(file.state).or_default() += 1;
        }
        self.table.page(&rows)
    }

    /// The last line: how many files there are of each verdict.
    pub(crate) fn end(&self) -> String {
        let total: i64 = self.counts.values().sum();
        if total == 0 {
            return "No files.\n".to_owned();
        }
        let parts: Vec<String> =
            self.counts.iter().map(|(state, number)| format!("{number} {}", name(*state))).collect();
        format!("\n{}: {}\n", count(total, "file"), parts.join(", "))
    }

    fn row(&self, file: &FileVerdict) -> Vec<Cell> {
        let path = printable(&file.path);
        let size = |bytes: u64| figures::size(bytes);
        vec![
            (if self.wide { path } else { keep_end(&path, PATH_WIDTH) }).into(),
            Cell { text: name(file.state).to_owned(), tone: tone(file.state) },
            printable(&file.reason).into(),
            size(file.size).into(),
            file.size_before.map_or_else(String::new, size).into(),
            printable(&file.message).into(),
        ]
    }
}

fn name(state: FileState) -> &'static str {
    match state {
        FileState::Pending => "pending",
        FileState::Done => "done",
        FileState::AlreadyAv1 => "already AV1",
        FileState::Skipped => "skipped",
        FileState::Rejected => "rejected",
        FileState::Failed => "failed",
        FileState::Unreadable => "unreadable",
    }
}

fn tone(state: FileState) -> Tone {
    match state {
        FileState::Pending => Tone::Busy,
        FileState::Done => Tone::Good,
        FileState::Failed | FileState::Unreadable => Tone::Bad,
        FileState::AlreadyAv1 | FileState::Skipped | FileState::Rejected => Tone::Neutral,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(
        path: &str,
        state: FileState,
        reason: &str,
        size: u64,
        size_before: Option<u64>,
        message: &str,
    ) -> FileVerdict {
        FileVerdict { path: path.into(), state, reason: reason.into(), message: message.into(), size, size_before }
    }

    #[test]
    fn pages_share_one_header_and_widths_never_shrink() {
        let mut table = FileTable::new(false, Palette::Plain);
        let mut text = table.page(&[
            file(
                "Heat (1995)/Heat.mkv",
                FileState::Done,
                "AlreadyDone",
                4 << 30,
                Some(9 << 30),
                "encoded on 2026-01-02",
            ),
            file(
                "bad\u{1b}[2J\nname.mkv",
                FileState::Unreadable,
                "Unreadable",
                12,
                None,
                "ffprobe: moov atom not found",
            ),
        ]);
        text += &table.page(&[file(
            "A very long folder name that nobody would want to read in full/file.mkv",
            FileState::Skipped,
            "TooSmall",
            100 << 20,
            None,
            "100 MiB is not above scan.minSize, 2.0 GiB",
        )]);
        text += &table.end();
        insta::assert_snapshot!(text);
    }

    #[test]
    fn an_empty_library_is_said_to_be_empty() {
        let mut table = FileTable::new(true, Palette::Plain);
        assert_eq!(table.page(&[]) + &table.end(), "No files.\n");
    }
}
