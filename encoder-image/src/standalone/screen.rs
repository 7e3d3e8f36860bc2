//! The progress display of `run` and `encode`: lines that are drawn anew on a terminal, a log elsewhere.
//!
//! Must never: write a name's control characters to the terminal.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use av1_crds::figures;

use super::board::{Board, JobView, View};
use super::explain::shown;

/// How often a terminal is drawn.
const REDRAW: Duration = Duration::from_millis(500);
/// How often a log gets a line about each job.
const LOG: Duration = Duration::from_secs(60);
/// Columns of the bar.
const BAR: usize = 20;

/// The display.
pub(crate) struct Screen {
    board: Board,
    terminal: bool,
    lines: usize,
    next: Instant,
    logged: BTreeMap<String, (Instant, &'static str)>,
}

impl Screen {
    /// A display of `board` on stdout.
    pub(crate) fn new(board: Board) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { board, terminal, lines: 0, next: Instant::now(), logged: BTreeMap::new() }
    }

    /// Says something that stays.
    pub(crate) fn say(&mut self, text: &str) {
        self.clear();
        println!("{}", shown(text));
    }

    /// Draws when it is time to.
    pub(crate) fn draw(&mut self) {
        if Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + REDRAW;
        if self.terminal {
            let lines = self.board.read(lines);
            self.clear();
            self.lines = lines.len();
            for line in lines {
                println!("{line}");
            }
        } else {
            self.log();
        }
        let _ = io::stdout().flush();
    }

    /// Takes away what was drawn.
    pub(crate) fn clear(&mut self) {
        if self.lines > 0 {
            // Up over the lines, and erase to the end of the screen.
            print!("\x1b[{}A\x1b[J", self.lines);
            self.lines = 0;
        }
    }

    fn log(&mut self) {
        let jobs = self.board.read(|view| view.jobs.clone());
        self.logged.retain(|uid, _| jobs.contains_key(uid));
        for (uid, job) in &jobs {
            let due = self.logged.get(uid).is_none_or(|(at, stage)| at.elapsed() >= LOG || *stage != job.stage());
            if due {
                self.logged.insert(uid.clone(), (Instant::now(), job.stage()));
                println!("{}", line(job));
            }
        }
    }
}

fn lines(view: &View) -> Vec<String> {
    let running = view.jobs.len();
    let mut lines = vec![format!("{} files, {} wait, {running} in progress", view.files, view.queue)];
    lines.extend(view.jobs.values().map(line));
    lines
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
fn line(job: &JobView) -> String {
    let part = job.part().clamp(0.0, 1.0);
    let filled = (part * BAR as f64) as usize;
    let eta = job.progress.eta_seconds.map(|seconds| format!(", {} left", figures::duration(seconds)));
    let size = job.progress.projected_size.map(|size| format!(", about {}", figures::size(size)));
    format!(
        "{:<15} {}{} {:>3.0} %  {:.1} frames/s{}{}  {}",
        job.stage(),
        "#".repeat(filled),
        "-".repeat(BAR - filled),
        part * 100.0,
        job.progress.frames_per_second,
        eta.unwrap_or_default(),
        size.unwrap_or_default(),
        shown(&job.path)
    )
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::{EncodeProgress, Stage};

    use super::*;

    #[test]
    fn a_line_has_the_figures_and_no_control_characters() {
        let progress = EncodeProgress {
            stage: Stage::Encoding,
            frames: 50,
            total_frames: 100,
            frames_per_second: 12.34,
            eta_seconds: Some(185),
            projected_size: Some(150 << 20),
            ..EncodeProgress::default()
        };
        let job = JobView { path: "a\x1b[2J.mkv".to_owned(), progress, ..JobView::default() };
        assert_eq!(
            line(&job),
            "Encoding        ##########----------  50 %  12.3 frames/s, 3m 5s left, about 150 MiB  a\u{fffd}[2J.mkv"
        );
    }
}
