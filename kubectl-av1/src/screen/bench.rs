//! What a frame and a key cost with ten thousand jobs; `tests/bench/screen.py` runs it in a release build and reads the line it prints.

use std::io::{Sink, sink};
use std::time::{Duration, Instant};

use ratatui::backend::CrosstermBackend;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use serde_json::json;

use super::draw;
use super::model::{Change, Job, Message, Model};
use super::tests::{NOW, empty, job, list, page, press};
use super::update::update;

const JOBS: usize = 10_000;
const SIZE: (u16, u16) = (240, 70);
/// Jobs that change between two frames.
const CHANGES: usize = 100;
const FRAMES: usize = 300;
/// Every key that moves, sorts, filters, searches or opens something.
const KEYS: [&str; 18] = [
    "j", "k", "<pgdn>", "<pgup>", "G", "g", "s", "f", "s", "f", "/", "7", "7", "<enter>", "<esc>", "<enter>",
    "<enter>", "?",
];

fn one(number: usize, round: usize) -> Job {
    let phase = ["Queued", "Encoding", "Succeeded", "Failed", "Skipped", "Rejected", "Settling", "Paused"]
        [(number * 7 + round) % 8];
    let ended = jiff::Timestamp::from_second(NOW - (number * 37 % 20_000) as i64).unwrap().to_string();
    let status = json!({"phase": phase, "nodeName": format!("node-{}", number % 50), "startTime": ended, "completionTime": ended,
        "source": {"size": (number * 977_777).to_string(), "modifiedTimeNs": "1", "changedTimeNs": "1", "inode": "1", "fingerprint": ""},
        "plan": {"encoder": "SvtAv1", "preset": 4, "crf": 26, "workers": 3},
        "progress": {"stage": "Encoding", "percent": format!("{}%", round % 100), "frames": round, "totalFrames": 245_018,
            "framesPerSecond": "11.8", "etaSeconds": 12_000, "bitRate": 6_250_000},
        "result": {"bytesSaved": number * 1000}});
    job(
        &format!("films-{number:05}"),
        &format!("A folder {number}/A film with a name of some length ({number}).mkv"),
        status,
    )
}

fn shown(model: &mut Model, terminal: &mut Terminal<CrosstermBackend<Sink>>) -> usize {
    let mut rows = 0;
    terminal
        .draw(|frame| {
            model.settle();
            rows = draw::screen(model, frame.buffer_mut()).rows;
        })
        .unwrap();
    rows
}

/// The 99th of a hundred, in milliseconds.
fn nearly_worst(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() * 99 / 100].as_secs_f64() * 1e3
}

#[test]
#[ignore = "a measurement, by tests/bench/screen.py"]
fn figures() {
    let mut model = empty(SIZE.0, SIZE.1);
    list(&mut model, (0..JOBS).map(|number| one(number, 0)).collect());
    let viewport = Viewport::Fixed(Rect::new(0, 0, SIZE.0, SIZE.1));
    let mut terminal = Terminal::with_options(CrosstermBackend::new(sink()), TerminalOptions { viewport }).unwrap();
    let visible = model.areas().rows();
    let (mut frames, mut inputs, mut rows) = (Vec::new(), Vec::new(), 0);
    for round in 1..=FRAMES {
        // Made before the clock runs: in the real screen the feeds do it.
        let changed: Vec<Job> = (0..CHANGES).map(|n| one((round * CHANGES + n * 97) % JOBS, round)).collect();
        let begun = Instant::now();
        for job in changed {
            update(&mut model, Message::Jobs(Change::Put(Box::new(job))));
        }
        update(&mut model, Message::Page(Ok(page())));
        update(&mut model, Message::Tick(NOW + round as i64));
        rows = rows.max(shown(&mut model, &mut terminal));
        frames.push(begun.elapsed());
        for key in KEYS {
            let begun = Instant::now();
            press(&mut model, key);
            rows = rows.max(shown(&mut model, &mut terminal));
            inputs.push(begun.elapsed());
        }
        press(&mut model, "?<esc><esc>");
    }
    let area = Rect::new(0, 0, SIZE.0, SIZE.1);
    let (mut before, mut after) = (Buffer::empty(area), Buffer::empty(area));
    draw::screen(&model, &mut before);
    press(&mut model, "j");
    draw::screen(&model, &mut after);
    let written = before.diff(&after).len() as f64 / f64::from(area.area());
    println!(
        "{}",
        json!({"frameMillis": nearly_worst(frames), "inputMillis": nearly_worst(inputs),
            "rowsBuiltOfVisible": rows as f64 / visible as f64, "cellsWrittenOfAll": written})
    );
}
