//! The right half: nodes, throughput, events. Pure.

use av1_crds::figures;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Sparkline, Widget};

use super::style::Theme;
use super::{keep_start, put, row, section};
use crate::exposition::NodeGauges;
use crate::screen::model::{Model, Operator};
use crate::view::Tone;
use crate::view::text::bar;

/// Steps between zero and the highest value of a chart.
const STEPS: f64 = 10_000.0;

/// CPU and memory gauges and load of each node that encodes.
pub(super) fn nodes(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let count = model.page.nodes.len();
    let fit = usize::from(area.height.saturating_sub(1) / 2);
    let more = if count > fit { format!(", {} more", count - fit) } else { String::new() };
    let inner = section(buffer, area, &format!("Nodes{more}"), theme);
    if count == 0 {
        let text = match model.operator {
            Operator::Away { .. } => "Not known without the operator.",
            Operator::Unknown => "Reading the metrics…",
            Operator::Here => "No node encodes.",
        };
        put(buffer, row(inner, 0), 0, &keep_start(text, inner.width.into()), theme.faint());
    }
    for (number, (name, gauges)) in model.page.nodes.iter().take(fit).enumerate() {
        one(name, gauges, theme, row(inner, number as u16 * 2), row(inner, number as u16 * 2 + 1), buffer);
    }
}

fn one(name: &str, gauges: &NodeGauges, theme: Theme, first: Rect, second: Rect, buffer: &mut Buffer) {
    let whole = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.0}"));
    let loads: Vec<String> =
        gauges.loads.iter().map(|load| load.map_or_else(|| "-".to_owned(), |load| format!("{load:.1}"))).collect();
    let mut right = format!("load {}", loads.join(" "));
    if gauges.assigned_cpus.is_some() && first.width >= 50 {
        right = format!("{} of {} encode CPUs busy  {right}", whole(gauges.busy_cpus), whole(gauges.assigned_cpus));
    }
    let at = first.width.saturating_sub(right.len() as u16);
    put(buffer, first, 0, &keep_start(name, usize::from(at.saturating_sub(1))), theme.title());
    put(buffer, first, at, &right, theme.tone(Tone::Neutral));
    let half = second.width / 2;
    for (x, label, ratio) in [(0, "cpu ", gauges.cpu), (half, "mem ", gauges.memory)] {
        let start = put(buffer, second, x, label, theme.faint());
        // The bar's own percentage takes five columns, and one stays free.
        let room = usize::from(half).saturating_sub(label.len() + 6);
        let text = ratio.map_or_else(|| "-".to_owned(), |ratio| bar(ratio, room));
        put(buffer, second, start, &text, theme.bar(ratio.unwrap_or_default()));
    }
}

/// Frames a second, and bytes saved in the hour before, over time.
pub(super) fn chart(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    if area.height < 3 {
        return;
    }
    let lines = model.chart.lines(&model.jobs, model.now, area.width.into());
    let span =
        if lines.span % 3_600 == 0 { format!("{}h", lines.span / 3_600) } else { format!("{}m", lines.span / 60) };
    let inner = section(buffer, area, &format!("Throughput, last {span}"), theme);
    let upper = inner.height.div_ceil(2);
    let top = Rect { height: upper, ..inner };
    let bottom = Rect { y: inner.y + upper, height: inner.height - upper, ..inner };
    let rate = model.loaded.then(|| model.frames_per_second());
    plot("frames/s", &lines.frames_per_second, rate, |value| format!("{value:.1}"), theme, top, buffer);
    let saved = lines.saved.last().copied().flatten();
    plot("saved/h", &lines.saved, saved, |value| figures::size(value as i128), theme, bottom, buffer);
}

/// One of the two: its value now and the highest, and the bars.
fn plot(
    name: &str,
    values: &[Option<f64>],
    now: Option<f64>,
    show: impl Fn(f64) -> String,
    theme: Theme,
    area: Rect,
    buffer: &mut Buffer,
) {
    let most = values.iter().flatten().fold(now.unwrap_or_default(), |most, value| most.max(*value));
    let x = put(buffer, row(area, 0), 0, &format!("{name} "), theme.faint());
    let x = put(buffer, row(area, 0), x, &now.map_or_else(|| "-".to_owned(), &show), theme.title());
    put(buffer, row(area, 0), x, &format!(", most {}", show(most)), theme.faint());
    let bars = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }.intersection(buffer.area);
    if most > 0.0 && !bars.is_empty() {
        // A value above zero is seen, however low it is.
        let steps = values.iter().map(|value| Some((value.filter(|v| *v > 0.0)? / most * STEPS).max(1.0) as u64));
        Sparkline::default()
            .data(steps.collect::<Vec<_>>())
            .max(STEPS as u64)
            .style(theme.bar(0.0))
            .render(bars, buffer);
    }
}

/// What happened, the newest first.
pub(super) fn events(model: &Model, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let inner = section(buffer, area, "Events", theme);
    for (number, event) in model.events.iter().take(inner.height.into()).enumerate() {
        let line = row(inner, number as u16);
        let ago = figures::duration((model.now - event.at).max(0) as u64);
        let x = put(buffer, line, 0, &format!("{:<8}", ago), theme.faint());
        let tone = if event.warning { Tone::Bad } else { Tone::Busy };
        let x = put(buffer, line, x, &format!("{} ", event.reason), theme.tone(tone));
        let text = format!("{}: {}", event.about, event.message);
        put(buffer, line, x, &keep_start(&text, usize::from(line.width.saturating_sub(x))), theme.tone(Tone::Neutral));
    }
    if let Some(why) =
        model.lost.get(&crate::screen::model::Kind::Events).filter(|_| model.events.iter().next().is_none())
    {
        put(buffer, row(inner, 0), 0, &keep_start(why, inner.width.into()), theme.tone(Tone::Bad));
    }
}
