//! The chosen job: what is known of it, in the pane at the bottom left or on the whole screen. Pure.

use av1_crds::{Phase, figures};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::style::Theme;
use super::{keep_start, put, row, section, wrap};
use crate::screen::model::{Job, Model};
use crate::view::Tone;
use crate::view::text::{bit_rate, grouped, keep_end, percent};

/// Columns of the labels.
const LABEL: u16 = 9;

/// One line: label, text, what it says about the state of things.
type Line = (&'static str, String, Tone);

/// The pane: each line cut at its edge.
pub(super) fn pane(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let Some(job) = model.job() else {
        section(buffer, area, "Job", theme);
        return;
    };
    let inner = section(buffer, area, &format!("Job {}", job.key.name), theme);
    let width = usize::from(inner.width.saturating_sub(LABEL));
    for (number, (label, text, tone)) in lines(model, job).into_iter().take(inner.height.into()).enumerate() {
        let text = if label == "file" { keep_end(&text, width) } else { keep_start(&text, width) };
        one(buffer, row(inner, number as u16), label, &text, theme, tone);
    }
}

/// The whole screen from line `first` on, with every check.
pub(super) fn whole(model: &Model, job: &Job, first: usize, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let inner = section(buffer, area, &format!("Job {}/{}", job.key.namespace, job.key.name), theme);
    let lines = wrapped(model, job, inner.width);
    for (number, (label, text, tone)) in lines.into_iter().skip(first).take(inner.height.into()).enumerate() {
        one(buffer, row(inner, number as u16), label, &text, theme, tone);
    }
}

fn one(buffer: &mut Buffer, line: Rect, label: &str, text: &str, theme: Theme, tone: Tone) {
    put(buffer, line, 0, label, theme.faint());
    put(buffer, line, LABEL, text, theme.tone(tone));
}

/// Every line about the job, broken at so many columns.
pub(crate) fn wrapped(model: &Model, job: &Job, width: u16) -> Vec<Line> {
    let room = usize::from(width.saturating_sub(LABEL));
    let mut all = Vec::new();
    let checks = job.checks.iter().map(|(passed, text)| {
        let (label, tone) = if *passed { ("passed", Tone::Good) } else { ("failed", Tone::Bad) };
        (label, text.clone(), tone)
    });
    let times = times(model, job).into_iter().map(|(label, text)| (label, text, Tone::Neutral));
    for (label, text, tone) in lines(model, job).into_iter().chain(times).chain(checks) {
        for (number, line) in wrap(&text, room).into_iter().enumerate() {
            all.push((if number == 0 { label } else { "" }, line.to_owned(), tone));
        }
    }
    all
}

/// What is known, the most important first.
fn lines(model: &Model, job: &Job) -> Vec<Line> {
    let figures = model.figures(job);
    let mut lines = vec![("file", job.path.clone(), Tone::Neutral)];
    let mut state = job.stage.clone();
    if job.phase == Phase::Encoding && job.stage != job.phase.as_str() {
        state = format!("{}, {}", job.phase.as_str(), job.stage);
    }
    if job.suspended && !job.phase.is_terminal() && job.phase != Phase::Paused {
        state += ", is to pause";
    }
    if !job.message.is_empty() {
        state += &format!(": {}", job.message);
    }
    lines.push(("state", state, job.tone()));
    lines.push(("frames", frames(job, &figures), Tone::Neutral));
    lines.push(("size", sizes(job, &figures), Tone::Neutral));
    let fact = |label: &str| job.facts.iter().find(|(of, _)| *of == label);
    let plan = fact("plan").map(|(_, text)| text.clone());
    lines.push(("plan", plan.unwrap_or_else(|| "not made yet".to_owned()), Tone::Neutral));
    lines.push(checks(job));
    lines.extend(
        job.facts
            .iter()
            .filter(|(label, _)| *label != "plan")
            .map(|(label, text)| (*label, text.clone(), Tone::Neutral)),
    );
    lines.push(("library", format!("{}/{}", job.key.namespace, job.library), Tone::Neutral));
    lines
}

fn frames(job: &Job, figures: &crate::screen::model::Figures) -> String {
    let mut words = Vec::new();
    if job.total_frames > 0 {
        let done =
            figures.progress.map_or(job.frames, |ratio| ((job.total_frames as f64 * ratio) as i64).max(job.frames));
        let done = done.min(job.total_frames);
        words.push(format!("{} of {} ({})", grouped(done), grouped(job.total_frames), percent(done, job.total_frames)));
    }
    words.extend(figures.frames_per_second.map(|rate| format!("{rate:.1} fps")));
    words.extend(figures.bit_rate.map(bit_rate));
    words.extend(figures.eta_seconds.map(|eta| format!("{} to go", figures::duration(eta))));
    if words.is_empty() { "not counted yet".to_owned() } else { words.join(", ") }
}

fn sizes(job: &Job, figures: &crate::screen::model::Figures) -> String {
    let Some(before) = job.size else { return "not known yet".to_owned() };
    let mut text = figures::size(before);
    if let Some(after) = job.output {
        text += &format!(" -> {} ({})", figures::size(after), percent(after, before));
    } else if let Some(after) = figures.projected {
        text += &format!(" -> {} projected ({})", figures::size(after), percent(after, before));
    }
    if job.saved != 0 {
        text += &format!(", {} saved", figures::size(job.saved));
    }
    text
}

fn checks(job: &Job) -> Line {
    let failed: Vec<&str> = job.checks.iter().filter(|(passed, _)| !passed).map(|(_, text)| text.as_str()).collect();
    let all = job.checks.len();
    match (all, failed.len()) {
        (0, _) => ("checks", "none yet".to_owned(), Tone::Neutral),
        (_, 0) => ("checks", format!("all {all} passed"), Tone::Good),
        (_, count) => ("checks", format!("{count} of {all} failed: {}", failed.join("; ")), Tone::Bad),
    }
}

fn times(model: &Model, job: &Job) -> Vec<(&'static str, String)> {
    let ago = |at: i64| format!("{} ago", figures::duration((model.now - at).max(0) as u64));
    let mut times = vec![("made", ago(job.created))];
    times.extend(job.started.map(|at| ("started", ago(at))));
    times.extend(job.ended.map(|at| ("ended", ago(at))));
    times
}
