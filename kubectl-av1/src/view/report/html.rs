//! The report as one HTML file that opens anywhere: style, charts and pictures are within it, and no script. Pure.

use av1_crds::figures;

use super::charts;
use super::markup::Markup;
use super::scenes::{Gallery, Pictures};
use super::text::{AFTER, AT, BEFORE, Column, MEAN, RATE, SAVED, TIME, WINDOW, clock, duration, were};
use super::{FileOutcome, Report};
use crate::view::text::{count, percent, signed};

/// Rows of the table of all files.
const MOST_FILES: usize = 2_000;
/// What a browser may do with the page: show it.
const POLICY: &str = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";

const OUTCOME: Column = ("OUTCOME", |file| file.outcome.to_owned());
const REASON: Column = ("REASON", |file| file.reason.clone());
const ENDED: Column =
    ("ENDED", |file| file.ended().map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()).unwrap_or_default());

/// The page with these pictures.
pub(crate) fn page(report: &Report, pictures: &Pictures) -> String {
    let mut page = Markup::default();
    let title = format!("AV1 report: {}/{}", report.namespace, report.library);
    page.tag("html", &[("lang", &"en")], |html| {
        html.tag("head", &[], |head| {
            head.void("meta", &[("charset", &"utf-8")]);
            head.void("meta", &[("http-equiv", &"Content-Security-Policy"), ("content", &POLICY)]);
            head.void("meta", &[("name", &"viewport"), ("content", &"width=device-width, initial-scale=1")]);
            head.leaf("title", &[], &title);
            head.style(include_str!("style.css"));
        });
        html.tag("body", &[], |body| body.tag("main", &[], |main| sections(main, report, pictures)));
    });
    page.into_document()
}

fn sections(main: &mut Markup, report: &Report, pictures: &Pictures) {
    head(main, report);
    for note in &report.notes {
        main.leaf("p", &[("class", &"note")], note);
    }
    if report.files.is_empty() {
        return;
    }
    tiles(main, report);
    main.tag("section", &[("class", &"charts")], |grid| {
        if let Some(draw) = charts::saved(report) {
            chart(grid, "Saved over time", draw);
        }
        if let Some(draw) = charts::ratios(report) {
            chart(grid, "Files by size of the output, in percent of the source", draw);
        }
        if let Some(draw) = charts::scores(report) {
            chart(grid, "Mean score against size of the output", draw);
        }
        if let Some(draw) = charts::outcomes(report) {
            chart(grid, "How files ended", draw);
        }
    });
    for each in report.galleries(pictures) {
        gallery(main, &each);
    }
    lists(main, report);
    all_files(main, report);
    main.tag("footer", &[], |footer| {
        footer.text("Saved is what is free once the trash is empty. Sizes are in binary units, times in UTC. Made by ");
        footer.leaf("code", &[], format!("kubectl av1 report {} -n {} --html", report.library, report.namespace));
    });
}

fn head(main: &mut Markup, report: &Report) {
    let totals = &report.totals;
    main.tag("header", &[], |header| {
        let (date, _) = report.at.split_once('T').unwrap_or((&report.at, ""));
        let eyebrow = format!("AV1 report · {}/{} · {date}", report.namespace, report.library);
        header.leaf("p", &[("class", &"eyebrow")], eyebrow);
        if totals.files_replaced == 0 {
            header.leaf("h1", &[], "Nothing saved yet");
            return;
        }
        header.tag("h1", &[], |h1| {
            h1.leaf("b", &[], figures::size(totals.bytes_saved));
            h1.text(" saved");
        });
        let (before, after) = (figures::size(totals.bytes_before), figures::size(totals.bytes_after));
        let lead = format!(
            "{} of {before} became {after}: {} less.",
            count(totals.files_replaced, "file"),
            percent(totals.bytes_saved, totals.bytes_before)
        );
        header.leaf("p", &[("class", &"lead")], lead);
        charts::before_and_after(report)(header);
        header.tag("div", &[("class", &"legend")], |legend| {
            legend.leaf("span", &[], format!("{after} now"));
            legend.leaf("span", &[], format!("{before} before"));
        });
    });
}

fn tiles(main: &mut Markup, report: &Report) {
    let totals = &report.totals;
    let mut tiles = vec![("Files replaced", totals.files_replaced.to_string())];
    if totals.film_seconds > 0.0 {
        tiles.push(("Video in them", duration(totals.film_seconds)));
    }
    if totals.encode_seconds > 0.0 {
        tiles.push(("Time encoding", duration(totals.encode_seconds)));
    }
    let scores: Vec<f64> = report.scored().filter(|file| file.replaced).filter_map(FileOutcome::mean).collect();
    if let Some(metric) = report.metric().filter(|_| !scores.is_empty()) {
        let mean = scores.iter().sum::<f64>() / scores.len() as f64;
        let digits = if metric == "Ssim" { 4 } else { 1 };
        tiles.push(("Mean score", format!("{mean:.digits$} {metric}")));
    }
    let other = report.files.iter().filter(|file| !file.replaced).count();
    tiles.push(("Files left as they are", other.to_string()));
    main.tag("dl", &[("class", &"tiles")], |list| {
        for (name, value) in tiles {
            list.tag("div", &[("class", &"tile")], |tile| {
                tile.leaf("dt", &[], name);
                tile.leaf("dd", &[], value);
            });
        }
    });
}

fn chart(grid: &mut Markup, title: &str, draw: impl FnOnce(&mut Markup)) {
    grid.tag("div", &[("class", &"card")], |card| {
        card.leaf("h3", &[], title);
        draw(card);
    });
}

fn gallery(main: &mut Markup, gallery: &Gallery<'_>) {
    main.leaf("h2", &[], gallery.title);
    main.leaf("p", &[("class", &"about")], gallery.about);
    for (file, pair) in &gallery.scenes {
        main.tag("article", &[("class", &"card scene")], |scene| {
            scene.tag("div", &[("class", &"path")], |line| {
                line.leaf("strong", &[], &file.path);
                let metric = file.quality.as_ref().map(|quality| quality.metric.as_str());
                let score = pair.score.as_ref().zip(metric).map(|(score, metric)| format!("{score} {metric} "));
                let score = score.unwrap_or_default();
                line.leaf("span", &[], format!("{score}at {}", clock(&pair.at_seconds)));
            });
            scene.tag("div", &[("class", &"pair")], |pictures| {
                for (name, size, picture) in
                    [("before", file.bytes_before, &pair.before), ("after", file.bytes_after, &pair.after)]
                {
                    pictures.tag("figure", &[], |figure| {
                        let source = format!("data:image/jpeg;base64,{picture}");
                        let alt = format!("{} {name}", file.path);
                        figure.void(
                            "img",
                            &[("src", &source), ("width", &pair.width), ("height", &pair.height), ("alt", &alt)],
                        );
                        let size = size.map(|size| format!(" · {}", figures::size(size))).unwrap_or_default();
                        figure.leaf("figcaption", &[], format!("{name}{size}"));
                    });
                }
            });
        });
    }
}

fn lists(main: &mut Markup, report: &Report) {
    let mut list = |title: &str, files: Vec<&FileOutcome>, columns: &[Column]| {
        if !files.is_empty() {
            main.leaf("h2", &[], title);
            main.tag("div", &[("class", &"card scroll")], |card| table(card, &files, columns));
        }
    };
    list("Saved most", report.saved_most(), &[BEFORE, AFTER, SAVED]);
    list("Slowest", report.slowest(), &[BEFORE, TIME, RATE]);
    if let Some(metric) = report.metric() {
        list(&format!("Worst two seconds, {metric}"), report.worst(), &[AT, MEAN, WINDOW]);
        list(&format!("Best scores, {metric}"), report.best(), &[WINDOW, MEAN]);
    }
    if report.scored_otherwise() > 0 {
        let other = signed(report.scored_otherwise());
        main.leaf(
            "p",
            &[("class", &"about")],
            format!("{} measured otherwise: left out of these scores.", were(other)),
        );
    }
}

fn all_files(main: &mut Markup, report: &Report) {
    let files: Vec<&FileOutcome> = report.files.iter().take(MOST_FILES).collect();
    let total = signed(report.files.len());
    main.leaf("h2", &[], "All files");
    main.tag("div", &[("class", &"card")], |card| {
        card.tag("details", &[], |details| {
            let shown = if files.len() < report.files.len() {
                format!("{}, the first {} by path", count(total, "file"), files.len())
            } else {
                count(total, "file")
            };
            details.leaf("summary", &[], shown);
            details.tag("div", &[("class", &"scroll")], |scroll| {
                table(scroll, &files, &[OUTCOME, REASON, BEFORE, AFTER, ENDED]);
            });
        });
    });
}

/// Column names are shouted in a terminal alone.
fn table(parent: &mut Markup, files: &[&FileOutcome], columns: &[Column]) {
    parent.tag("table", &[], |table| {
        table.tag("thead", &[], |head| {
            head.tag("tr", &[], |row| {
                row.leaf("th", &[], "File");
                for (name, _) in columns {
                    row.leaf("th", &[], quietly(name));
                }
            });
        });
        table.tag("tbody", &[], |rows| {
            for file in files {
                rows.tag("tr", &[], |row| {
                    row.leaf("td", &[], &file.path);
                    for (_, show) in columns {
                        row.leaf("td", &[], show(file));
                    }
                });
            }
        });
    });
}

fn quietly(name: &str) -> String {
    match name {
        "FPS" => name.to_owned(),
        _ => name.chars().take(1).chain(name.chars().skip(1).flat_map(char::to_lowercase)).collect(),
    }
}
