//! The report from jobs and receipts, as text and as a page.

use av1_crds::wire::{StillPair, StillPlace, Stills};
use roxmltree::{Document, Node, ParsingOptions};
use serde_json::{Value, json};

use super::*;
use crate::view::Palette;
use crate::view::report::scenes::Pictures;

const GIB: i64 = 1 << 30;
/// Base64 of what begins as a JPEG does.
const PICTURE: &str = "/9j/4AAQSkZJRgABAQ==";
const HOSTILE: &str = "</td><script>alert(1)</script>\"'&\u{202e}\u{1}.mkv";

fn library(status: Value) -> MediaLibrary {
    serde_json::from_value(json!({
        "apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": "films", "namespace": "media"},
        "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}}, "status": status
    }))
    .unwrap()
}

fn past(number: i64, verdict: &str, reason: &str, more: Value) -> PastOutcome {
    let mut value = json!({
        "path": format!("Film {number:02}.mkv"), "at": format!("2026-11-{:02}T10:00:00Z", number + 1), "verdict": verdict, "reason": reason,
        "job": format!("uid-{number}"), "run": 1, "bytesBefore": 9 * GIB
    });
    for (key, new) in more.as_object().unwrap() {
        value[key] = new.clone();
    }
    serde_json::from_value(value).unwrap()
}

fn quality(mean: f64, window: f64) -> Value {
    json!({"metric": "Xpsnr", "mean": format!("{mean:.2}"), "worstWindow": format!("{window:.2}"), "worstWindowAt": "3723.5"})
}

fn volume() -> Vec<PastOutcome> {
    let done = |number: i64| {
        let score = 38.0 + number as f64 / 3.0;
        past(
            number,
            "Encoded",
            "Encoded",
            json!({
                "bytesAfter": (2 * GIB + number * 400_000_000), "replaced": true, "frames": 172_800, "encodeSeconds": 3_600.0 * number as f64,
                "durationSeconds": "7200.0", "quality": quality(score, score - 6.0), "stills": true
            }),
        )
    };
    let mut all: Vec<PastOutcome> = (1..=12).map(done).collect();
    all.push(past(13, "Rejected", "NotSmaller", json!({"bytesAfter": 10 * GIB})));
    all.push(past(14, "Encoded", "RestoredByUser", json!({"restored": true, "bytesAfter": GIB})));
    all.push(past(
        15,
        "Encoded",
        "Encoded",
        json!({
            "path": HOSTILE, "bytesAfter": GIB, "replaced": true, "stills": true, "job": "uid-hostile"
        }),
    ));
    all
}

fn job(path: &str, status: Value) -> EncodeJob {
    serde_json::from_value(json!({
        "apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob", "metadata": {"name": "films-1", "namespace": "media"},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": path}}, "status": status
    }))
    .unwrap()
}

fn jobs() -> Vec<EncodeJob> {
    vec![
        job(
            "Broken.mkv",
            json!({"phase": "Failed", "outcome": {"reason": "VerificationFailed"}, "completionTime": "2026-11-21T10:00:00Z"}),
        ),
        job(
            "Film 01.mkv",
            json!({"phase": "Failed", "outcome": {"reason": "IoError"}, "completionTime": "2026-10-01T10:00:00Z"}),
        ),
        job(
            "Film 13.mkv",
            json!({"phase": "Rejected", "outcome": {"reason": "NotSmaller"}, "startTime": "2026-11-14T09:00:00Z",
            "completionTime": "2026-11-14T10:00:01Z"}),
        ),
        job("Running.mkv", json!({"phase": "Encoding"})),
    ]
}

fn report(past: &[PastOutcome], notes: &[&str]) -> Report {
    let notes = notes.iter().map(|&note| note.to_owned()).collect();
    Report::new(&library(json!({})), &jobs(), past, "2026-11-22T12:00:00Z".parse().unwrap(), notes)
}

fn pictures(report: &Report, picture: &str) -> Pictures {
    let pair = |place| StillPair {
        place,
        frame: 89_364,
        at_seconds: "3723.5".to_owned(),
        score: (place != StillPlace::Middle).then(|| "31.25".to_owned()),
        width: 960,
        height: 400,
        before: picture.to_owned(),
        after: picture.to_owned(),
    };
    let stills = Stills { pairs: [StillPlace::Worst, StillPlace::Best, StillPlace::Middle].map(pair).to_vec() };
    report.runs_with_scenes().into_iter().map(|run| (run, stills.clone())).collect()
}

fn parsed(page: &str) -> Document<'_> {
    Document::parse_with_options(page, ParsingOptions { allow_dtd: true, ..Default::default() }).unwrap()
}

fn count(document: &Document<'_>, name: &str) -> usize {
    document.descendants().filter(|node| node.has_tag_name(name)).count()
}

/// Elements with their classes and texts, without what charts draw.
fn outline(node: Node<'_, '_>, depth: usize, out: &mut String) {
    if matches!(node.tag_name().name(), "style" | "svg") {
        out.push_str(&format!("{}{}\n", "  ".repeat(depth), node.tag_name().name()));
        return;
    }
    if node.is_element() {
        let class = node.attribute("class").map(|class| format!(".{}", class.replace(' ', "."))).unwrap_or_default();
        out.push_str(&format!("{}{}{class}\n", "  ".repeat(depth), node.tag_name().name()));
    } else if let Some(text) = node.text().map(str::trim).filter(|text| !text.is_empty()) {
        out.push_str(&format!("{}{text}\n", "  ".repeat(depth)));
    }
    node.children().for_each(|child| outline(child, depth + 1, out));
}

#[test]
fn the_text_has_totals_outcomes_and_lists() {
    insta::assert_snapshot!(render(&report(&volume(), &["The catalog is away."]), Palette::Plain));
}

#[test]
fn without_a_catalog_the_jobs_alone_tell() {
    let done = job(
        "Film 01.mkv",
        json!({"phase": "Succeeded", "outcome": {"reason": "Encoded"}, "startTime": "2026-11-20T10:00:00Z", "completionTime": "2026-11-20T12:14:00Z",
            "sizeGate": {"inputBytes": 9 * GIB, "outputBytes": 3 * GIB, "percent": 34, "maxPercent": 90, "passed": true}}),
    );
    let report = Report::new(&library(json!({})), &[done], &[], "2026-11-22T12:00:00Z".parse().unwrap(), Vec::new());
    let text = render(&report, Palette::Plain);
    assert!(text.starts_with("media/films: 6.0 GiB saved (66%): 1 file of 9.0 GiB became 3.0 GiB\n"), "{text}");
    assert!(text.contains("2h 14m"), "{text}");
}

#[test]
fn totals_are_those_of_the_files_that_stand_and_the_later_end_counts() {
    let report = report(&volume(), &[]);
    let replaced: Vec<PastOutcome> = volume().into_iter().filter(|past| past.replaced).collect();
    let after: u64 = replaced.iter().filter_map(|past| past.bytes_after).sum();
    assert_eq!(report.totals.files_replaced, 13);
    assert_eq!(report.totals.bytes_before, 13 * 9 * GIB);
    assert_eq!(report.totals.bytes_saved, 13 * 9 * GIB - i64::try_from(after).unwrap());
    let of = |path: &str| report.files.iter().find(|file| file.path == path).unwrap();
    assert_eq!(of("Film 01.mkv").outcome, "Succeeded", "an older job says nothing of a newer receipt");
    assert_eq!((of("Film 13.mkv").outcome, of("Film 13.mkv").seconds), ("Rejected", Some(3_601.0)));
    assert_eq!((of("Film 14.mkv").outcome, of("Film 14.mkv").saved()), ("Restored", 0));
    assert_eq!(of("Broken.mkv").reason, "VerificationFailed");
    assert!(report.files.iter().all(|file| file.path != "Running.mkv"));
}

#[test]
fn the_page_is_well_formed_and_looks_like_this() {
    let report = report(&volume(), &[]);
    let page = html::page(&report, &pictures(&report, PICTURE));
    let document = parsed(&page);
    assert_eq!((count(&document, "svg"), count(&document, "img"), count(&document, "article")), (5, 26, 13));
    let mut text = String::new();
    outline(document.root(), 0, &mut text);
    insta::assert_snapshot!(text);
}

#[test]
fn the_page_of_an_empty_library_says_so() {
    let report = Report::new(&library(json!({})), &[], &[], "2026-11-22T12:00:00Z".parse().unwrap(), Vec::new());
    let page = html::page(&report, &Pictures::new());
    assert!(page.contains("<h1>Nothing saved yet</h1>"), "{page}");
    parsed(&page);
}

#[test]
fn nothing_hostile_gets_out_of_its_place() {
    let report = report(&volume(), &[HOSTILE]);
    for picture in [PICTURE, "/9j/\" onerror=\"alert(1)", "PHNjcmlwdD4="] {
        let page = html::page(&report, &pictures(&report, picture));
        let document = parsed(&page);
        assert_eq!((count(&document, "script"), page.contains('\u{202e}')), (0, false));
        let allowed = |node: Node<'_, '_>| {
            node.attributes().all(|attribute| !attribute.name().starts_with("on"))
                && node.attribute("src").is_none_or(|src| src.starts_with("data:image/jpeg;base64,/9j/"))
        };
        assert!(document.descendants().all(allowed));
        assert_eq!(count(&document, "img") > 0, picture == PICTURE);
    }
}
