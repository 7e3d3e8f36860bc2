//! Charts as SVG: what was saved over time, how small files became, how they ended, quality against size. Colours come from the
//! page's style sheet. Pure.

use av1_crds::figures;
use jiff::Timestamp;

use super::markup::Markup;
use super::{FileOutcome, Report};
use crate::view::text::{count, percent, signed};

/// The drawing, in pixels at its natural size.
const WIDTH: f64 = 460.0;
const HEIGHT: f64 = 250.0;
/// What is left of it for axes.
const LEFT: f64 = 58.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 34.0;
/// Most points of a line.
const MOST_POINTS: usize = 240;
/// Most dots.
const MOST_DOTS: usize = 1_500;
/// Bars of a tenth each; the last is of all that did not become smaller.
const TENTHS: usize = 11;
/// Rows of the chart of outcomes.
const MOST_REASONS: usize = 8;
const ROW: f64 = 44.0;

/// A number as it stands in an attribute.
fn n(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn drawing(page: &mut Markup, height: f64, title: &str, draw: impl FnOnce(&mut Markup)) {
    let view = format!("0 0 {} {}", n(WIDTH), n(height));
    page.tag("svg", &[("viewBox", &view), ("role", &"img"), ("class", &"chart")], |svg| {
        svg.leaf("title", &[], title);
        draw(svg);
    });
}

fn label(svg: &mut Markup, (x, y): (f64, f64), anchor: &'static str, text: &str) {
    svg.leaf("text", &[("x", &n(x)), ("y", &n(y)), ("text-anchor", &anchor)], text);
}

fn line(svg: &mut Markup, class: &'static str, from: (f64, f64), to: (f64, f64)) {
    svg.void("line", &[("class", &class), ("x1", &n(from.0)), ("y1", &n(from.1)), ("x2", &n(to.0)), ("y2", &n(to.1))]);
}

/// The area between the axes.
fn x_at(part: f64) -> f64 {
    LEFT + part * (WIDTH - LEFT - RIGHT)
}

fn y_at(part: f64) -> f64 {
    HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)
}

/// A round step of which about five fit into `most`; of bytes one of their units.
fn step(most: f64, unit: f64) -> f64 {
    let wanted = (most / 5.0 / unit).max(f64::MIN_POSITIVE);
    let ten = 10_f64.powf(wanted.log10().floor());
    let round = [1.0, 2.0, 2.5, 5.0].into_iter().find(|round| round * ten >= wanted).unwrap_or(10.0);
    round * ten * unit
}

/// The binary unit that `bytes` are told in.
fn unit(bytes: f64) -> f64 {
    let mut unit = 1.0;
    while bytes / unit >= 1_024.0 {
        unit *= 1_024.0;
    }
    unit
}

/// Horizontal lines with their values.
fn rulers(svg: &mut Markup, (least, most): (f64, f64), step: f64, show: impl Fn(f64) -> String) {
    let mut value = (least / step).ceil() * step;
    while step > 0.0 && value <= most {
        let y = y_at((value - least) / (most - least));
        line(svg, "ruler", (LEFT, y), (WIDTH - RIGHT, y));
        label(svg, (LEFT - 8.0, y + 4.0), "end", &show(value));
        value += step;
    }
}

/// What was saved over time: none with less than two files at different times.
pub(super) fn saved(report: &Report) -> Option<impl FnOnce(&mut Markup)> {
    let mut ended: Vec<(Timestamp, i64)> = report
        .files
        .iter()
        .filter(|file| file.replaced)
        .filter_map(|file| Some((file.ended()?, file.saved())))
        .collect();
    ended.sort_by_key(|(at, _)| *at);
    let (from, to) = (ended.first()?.0, ended.last()?.0);
    let span = to.duration_since(from).as_secs_f64();
    if span <= 0.0 {
        return None;
    }
    let mut sum = 0_i64;
    let all: Vec<(f64, f64)> = ended
        .iter()
        .map(|(at, saved)| {
            sum = sum.saturating_add(*saved);
            (at.duration_since(from).as_secs_f64() / span, sum as f64)
        })
        .collect();
    let every = all.len().div_ceil(MOST_POINTS).max(1);
    let last = all.len() - 1;
    let points: Vec<(f64, f64)> =
        all.into_iter().enumerate().filter(|(at, _)| at % every == 0 || *at == last).map(|(_, point)| point).collect();
    let most = points.iter().map(|(_, saved)| *saved).fold(1.0, f64::max) * 1.06;
    let files = signed(ended.len());
    Some(move |page: &mut Markup| {
        let title = format!("{} saved by {}", figures::size(sum), count(files, "file"));
        drawing(page, HEIGHT, &title, |svg| {
            #[allow(clippy::cast_possible_truncation)] // of bytes
            rulers(svg, (0.0, most), step(most, unit(most)), |value| figures::size(value as i128));
            let mut path = format!("M{} {}", n(x_at(0.0)), n(y_at(0.0)));
            for (x, saved) in &points {
                path.push_str(&format!("H{}V{}", n(x_at(*x)), n(y_at(saved / most))));
            }
            svg.void("path", &[("class", &"area"), ("d", &format!("{path}V{}Z", n(y_at(0.0))))]);
            svg.void("path", &[("class", &"curve"), ("d", &path)]);
            line(svg, "axis", (LEFT, y_at(0.0)), (WIDTH - RIGHT, y_at(0.0)));
            let format = if span < 2.0 * 86_400.0 { "%b %-d, %H:%M" } else { "%b %-d, %Y" };
            label(svg, (LEFT, HEIGHT - 10.0), "start", &from.strftime(format).to_string());
            label(svg, (WIDTH - RIGHT, HEIGHT - 10.0), "end", &to.strftime(format).to_string());
        });
    })
}

/// How many files became how small.
pub(super) fn ratios(report: &Report) -> Option<impl FnOnce(&mut Markup)> {
    let mut bars = [(0_u32, 0_u32); TENTHS];
    let mut replaced = Vec::new();
    for file in &report.files {
        let Some(ratio) = file.ratio() else { continue };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
        let bar = &mut bars[((ratio * 10.0) as usize).min(TENTHS - 1)];
        if file.replaced {
            bar.0 += 1;
            replaced.push(ratio);
        } else {
            bar.1 += 1;
        }
    }
    let most = bars.iter().map(|(yes, no)| yes + no).max().filter(|most| *most > 0)?;
    replaced.sort_by(f64::total_cmp);
    let median = replaced.get(replaced.len() / 2).copied();
    Some(move |page: &mut Markup| {
        drawing(page, HEIGHT, "Files by size of the output in percent of the source", |svg| {
            let most = f64::from(most) * 1.08;
            rulers(svg, (0.0, most), step(most, 1.0).ceil(), |value| format!("{value:.0}"));
            let width = (x_at(1.0) - x_at(0.0)) / TENTHS as f64;
            for (at, (yes, no)) in bars.iter().enumerate() {
                let x = x_at(0.0) + at as f64 * width + 2.0;
                let (low, high) = (y_at(f64::from(*yes) / most), y_at(f64::from(yes + no) / most));
                for (class, top, bottom) in [("bar", low, y_at(0.0)), ("bar other", high, low)] {
                    if bottom - top > 0.0 {
                        let (x, width) = (n(x), n(width - 4.0));
                        svg.void(
                            "rect",
                            &[
                                ("class", &class),
                                ("x", &x),
                                ("y", &n(top)),
                                ("width", &width),
                                ("height", &n(bottom - top)),
                                ("rx", &"2"),
                            ],
                        );
                    }
                }
                let name = if at + 1 == TENTHS { "100+".to_owned() } else { format!("{}", at * 10) };
                if at % 2 == 0 {
                    label(
                        svg,
                        (
                            x_at(0.0) + at as f64 * width + if at + 1 == TENTHS { width / 2.0 } else { 2.0 },
                            HEIGHT - 14.0,
                        ),
                        "middle",
                        &name,
                    );
                }
            }
            line(svg, "axis", (LEFT, y_at(0.0)), (WIDTH - RIGHT, y_at(0.0)));
            if let Some(median) = median.filter(|median| *median < 1.0) {
                let x = x_at(median * 10.0 / TENTHS as f64);
                line(svg, "mark", (x, TOP), (x, y_at(0.0)));
                let (anchor, gap) = if median > 0.6 { ("end", -6.0) } else { ("start", 6.0) };
                label(svg, (x + gap, TOP + 10.0), anchor, &format!("median {:.0}%", median * 100.0));
            }
        });
    })
}

/// How files ended, by reason.
pub(super) fn outcomes(report: &Report) -> Option<impl FnOnce(&mut Markup)> {
    let total: i64 = report.outcomes.iter().map(|count| count.files).sum();
    let most = report.outcomes.first()?.files.max(1);
    let shown = report.outcomes.len().min(MOST_REASONS);
    Some(move |page: &mut Markup| {
        drawing(page, ROW * shown as f64 + 4.0, "Files by how they ended", |svg| {
            for (at, reason) in report.outcomes.iter().take(MOST_REASONS).enumerate() {
                let y = ROW * at as f64;
                let name = if reason.reason.is_empty() { reason.outcome } else { &reason.reason };
                label(svg, (0.0, y + 16.0), "start", name);
                let share = format!("{}, {}", count(reason.files, "file"), percent(reason.files, total));
                label(svg, (WIDTH, y + 16.0), "end", &share);
                let class = match reason.outcome {
                    "Succeeded" => "bar",
                    "Failed" => "bar bad",
                    _ => "bar other",
                };
                let width = (WIDTH * reason.files as f64 / most as f64).max(3.0);
                let (track, y, high) = (n(WIDTH), n(y + 24.0), "8");
                svg.void(
                    "rect",
                    &[("class", &"track"), ("x", &"0"), ("y", &y), ("width", &track), ("height", &high), ("rx", &"4")],
                );
                svg.void(
                    "rect",
                    &[("class", &class), ("x", &"0"), ("y", &y), ("width", &n(width)), ("height", &high), ("rx", &"4")],
                );
            }
        });
    })
}

/// The score of each file against its size: none with less than three.
pub(super) fn scores(report: &Report) -> Option<impl FnOnce(&mut Markup)> {
    let dot = |file: &FileOutcome| Some((file.ratio()?, file.mean()?, file.replaced));
    let dots: Vec<(f64, f64, bool)> = report.scored().filter_map(dot).take(MOST_DOTS).collect();
    if dots.len() < 3 {
        return None;
    }
    let (low, high) =
        dots.iter().fold((f64::MAX, f64::MIN), |(low, high), (_, score, _)| (low.min(*score), high.max(*score)));
    let margin = ((high - low) * 0.12).max(high.abs() * 0.005).max(0.001);
    let (low, high) = (low - margin, high + margin);
    let widest = dots.iter().map(|(ratio, ..)| *ratio).fold(1.0, f64::max);
    let metric = report.metric().unwrap_or_default();
    Some(move |page: &mut Markup| {
        drawing(page, HEIGHT, "Mean score of each file by size of the output in percent of the source", |svg| {
            let step = step(high - low, 1.0);
            let digits = if step < 0.1 { 3 } else { usize::from(step.fract() > 0.0) };
            rulers(svg, (low, high), step, |value| format!("{value:.digits$}"));
            line(svg, "axis", (LEFT, y_at(0.0)), (WIDTH - RIGHT, y_at(0.0)));
            for tick in 0..=4_u32 {
                let part = f64::from(tick) / 4.0;
                let anchor = if tick == 4 { "end" } else { "middle" };
                label(svg, (x_at(part), HEIGHT - 14.0), anchor, &format!("{:.0}%", part * widest * 100.0));
            }
            for (ratio, score, replaced) in &dots {
                let (x, y) = (x_at(ratio / widest), y_at((score - low) / (high - low)));
                let class = if *replaced { "dot" } else { "dot other" };
                svg.void("circle", &[("class", &class), ("cx", &n(x)), ("cy", &n(y)), ("r", &"4.5")]);
            }
            label(svg, (LEFT + 6.0, TOP + 8.0), "start", metric);
        });
    })
}

/// Two bars: all replaced files before and after.
pub(super) fn before_and_after(report: &Report) -> impl FnOnce(&mut Markup) {
    let totals = &report.totals;
    let part = totals.bytes_after as f64 / totals.bytes_before.max(1) as f64;
    let (before, after) = (figures::size(totals.bytes_before), figures::size(totals.bytes_after));
    move |page: &mut Markup| {
        page.tag(
            "svg",
            &[("viewBox", &"0 0 1000 26"), ("role", &"img"), ("class", &"both"), ("preserveAspectRatio", &"none")],
            |svg| {
                svg.leaf("title", &[], format!("{before} before, {after} now"));
                let width = n((1_000.0 * part).clamp(6.0, 1_000.0));
                svg.void("rect", &[("class", &"track"), ("width", &"1000"), ("height", &"26")]);
                svg.void("rect", &[("class", &"bar"), ("width", &width), ("height", &"26")]);
            },
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_about_five_fit() {
        for (most, wanted) in [(10.0, 2.0), (4.0, 1.0), (1_100.0, 250.0), (0.3, 0.1)] {
            assert!((step(most, 1.0) - wanted).abs() < 1e-9, "{most}: {}", step(most, 1.0));
        }
        let gib = f64::from(1 << 30);
        assert!((step(72.0 * gib, unit(72.0 * gib)) - 20.0 * gib).abs() < 1.0);
    }

    #[test]
    fn numbers_in_attributes_are_short() {
        assert_eq!([n(1.0 / 3.0), n(10.0), n(0.0), n(-0.5)], ["0.33", "10", "0", "-0.5"]);
    }
}
