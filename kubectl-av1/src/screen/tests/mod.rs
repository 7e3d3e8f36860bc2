//! The screen as its user meets it: a queue to look at, pictures of it, what each key does, and the page in the documentation.

mod keys;
pub(super) mod pages;
mod pictures;

use av1_crds::{EncodeJob, MediaLibrary};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use super::draw::{self, Drawn};
use super::model::{Change, Happening, Job, Key, Library, Message, Model};
use super::update::{Effect, key, update};
use crate::exposition::Page;

/// Noon of a day.
pub(super) const NOW: i64 = 1_767_268_800;

/// An RFC 3339 time so many seconds before [`NOW`].
fn ago(seconds: i64) -> String {
    jiff::Timestamp::from_second(NOW - seconds).unwrap().to_string()
}

pub(super) fn job(name: &str, path: &str, status: Value) -> Job {
    let resource: EncodeJob = serde_json::from_value(json!({
        "apiVersion": "av1.media/v1alpha1", "kind": "EncodeJob",
        "metadata": {"name": name, "namespace": "media", "uid": name, "creationTimestamp": ago(9_000)},
        "spec": {"libraryRef": {"name": "films"}, "source": {"path": path}}, "status": status
    }))
    .unwrap();
    Job::new(&resource)
}

fn library(name: &str, ready: &str, message: &str) -> Library {
    let resource: MediaLibrary = serde_json::from_value(json!({
        "apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary", "metadata": {"name": name, "namespace": "media"},
        "spec": {"volume": {"persistentVolumeClaim": {"claimName": "media"}}},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "reason": "X", "message": message, "lastTransitionTime": ago(9_000)}],
            "files": {"total": 1240, "done": 312, "pending": 890, "failed": 2, "unreadable": 1}, "bytes": {"freed": 2_129_000_000_000_i64}
        }
    }))
    .unwrap();
    Library::new(&resource)
}

fn source(gib: i64) -> Value {
    json!({"size": (gib << 30).to_string(), "modifiedTimeNs": "1", "changedTimeNs": "1", "inode": "1", "fingerprint": "f"})
}

fn plan() -> Value {
    json!({"engine": "Av1an", "encoder": "SvtAv1", "encoderVersion": "SVT-AV1 v4.0.0", "preset": 4, "crf": 26, "workers": 3,
        "threadsPerWorker": 4, "chunks": 1284, "parameters": "--preset 4 --crf 26 --keyint 240 --lp 4",
        "filters": ["crop 1920x800"], "dropped": ["audio 3 (ru)"]})
}

fn jobs() -> Vec<Job> {
    let done = |at: i64, saved: i64| {
        json!({"phase": "Succeeded", "source": source(9), "startTime": ago(at + 7_000), "completionTime": ago(at), "plan": plan(),
            "sizeGate": {"inputBytes": 9_i64 << 30, "outputBytes": (9_i64 << 30) - saved, "percent": 40, "maxPercent": 90, "passed": true},
            "quality": {"metric": "Xpsnr", "mean": "42.31", "worstWindow": "38.02", "worstWindowAt": "3725.5"},
            "checks": [{"name": "FrameCount", "passed": true, "expected": "1000", "measured": "1000"},
                {"name": "Duration", "passed": true, "expected": "", "measured": "1h 51m"}],
            "outcome": {"reason": "Replaced", "message": "the file is 5.4 GiB smaller", "retryable": false},
            "result": {"path": "x", "sha256": "", "bytesSaved": saved, "original": ".av1/trash/x", "receipt": ".av1/receipts/x"}})
    };
    let media = json!({"container": "matroska", "codec": "h264", "pixelFormat": "yuv420p", "width": 1920, "height": 1080,
        "frameRate": "24000/1001", "hdr": "", "durationSeconds": "10219", "frames": 245_018, "bitRate": 25_000_000, "audio": 2, "subtitles": 6});
    vec![
        job(
            "films-heat-3f9a",
            "Heat (1995)/Heat (1995) Remux 1080p.mkv",
            json!({"phase": "Encoding", "nodeName": "epyc-1", "startTime": ago(8_000), "source": source(32), "plan": plan(), "media": media,
                "pinning": {"cpus": "8-19", "exclusive": true, "cpuModel": "EPYC"},
                "progress": {"stage": "Encoding", "percent": "41%", "frames": 100_457, "totalFrames": 245_018, "framesPerSecond": "11.8",
                    "etaSeconds": 12_000, "bitRate": 6_250_000, "projectedSize": 8_900_000_000_i64, "updatedAt": ago(9)}}),
        ),
        job(
            "films-ronin-77aa",
            "Ronin (1998)/Ronin.mkv",
            json!({"phase": "Encoding", "nodeName": "epyc-2", "startTime": ago(600), "source": source(21),
                "progress": {"stage": "SplittingScenes", "percent": "0%", "frames": 0, "totalFrames": 174_000, "framesPerSecond": "", "updatedAt": ago(9)}}),
        ),
        job(
            "films-alien-11bc",
            "Alien (1979)/Alien.mkv",
            json!({"phase": "Settling", "startTime": ago(20_000), "source": source(28), "plan": plan(), "progress": {"percent": "100%"}}),
        ),
        job(
            "films-brazil-9001",
            "Brazil (1985)/Brazil.mkv",
            json!({"phase": "Queued", "conditions": [{"type": "Placed", "status": "False", "reason": "WaitingForSlot",
                "message": "waits: 2 of 2 encodes run", "lastTransitionTime": ago(60)}]}),
        ),
        job("films-clue-9002", "Clue (1985)/Clue.mkv", json!({"phase": "Queued"})),
        job(
            "films-dune-9003",
            "Dune (1984)/Dune.mkv",
            json!({"phase": "Paused", "source": source(30), "progress": {"percent": "12%"}}),
        ),
        job(
            "films-fargo-4b1d",
            "Fargo (1996)/Fargo.mkv",
            json!({"phase": "Failed", "source": source(17), "completionTime": ago(5_000), "failures": 3,
                "outcome": {"reason": "VerificationFailed", "message": "1 of 12 checks failed: 143,002 frames instead of 143,004", "retryable": false},
                "checks": [{"name": "FrameCount", "passed": false, "expected": "143004", "measured": "143002"},
                    {"name": "Decode", "passed": true, "expected": "", "measured": ""}]}),
        ),
        job("films-gattaca-5c2e", "Gattaca (1997)/Gattaca.mkv", done(300, 5_800_000_000)),
        job("films-hackers-6d3f", "Hackers (1995)/Hackers.mkv", done(2_400, 4_100_000_000)),
        job(
            "films-jaws-7e40",
            "Jaws (1975)/Jaws.mkv",
            json!({"phase": "Rejected", "source": source(4), "completionTime": ago(7_000),
                "outcome": {"reason": "NotSmaller", "message": "the output is 96% of the source, 90% is the most", "retryable": false}}),
        ),
        job(
            "films-klute-8f51",
            "映画/Klute (1971)/Klute.mkv",
            json!({"phase": "Skipped", "completionTime": ago(7_100), "outcome": {"reason": "Interlaced", "message": "the video is interlaced"}}),
        ),
    ]
}

pub(super) fn page() -> Page {
    Page::read(
        "av1_encode_job_progress_ratio{namespace=\"media\",library=\"films\",job=\"films-heat-3f9a\"} 0.424\n\
         av1_encode_job_frames_per_second{namespace=\"media\",library=\"films\",job=\"films-heat-3f9a\"} 12.2\n\
         av1_encode_job_eta_seconds{namespace=\"media\",library=\"films\",job=\"films-heat-3f9a\"} 11568\n\
         av1_encode_job_projected_bytes{namespace=\"media\",library=\"films\",job=\"films-heat-3f9a\"} 8800000000\n\
         av1_encode_job_workers{namespace=\"media\",library=\"films\",job=\"films-heat-3f9a\"} 3\n\
         av1_node_cpu_utilization_ratio{node=\"epyc-1\"} 0.97\nav1_node_memory_utilization_ratio{node=\"epyc-1\"} 0.44\n\
         av1_node_load{node=\"epyc-1\",window=\"1m\"} 11.84\nav1_node_load{node=\"epyc-1\",window=\"5m\"} 11.2\n\
         av1_node_load{node=\"epyc-1\",window=\"15m\"} 9.75\n\
         av1_node_encode_cpus{node=\"epyc-1\",state=\"assigned\"} 12\nav1_node_encode_cpus{node=\"epyc-1\",state=\"busy\"} 11.6\n\
         av1_node_cpu_utilization_ratio{node=\"epyc-2\"} 0.31\nav1_node_memory_utilization_ratio{node=\"epyc-2\"} 0.2\n\
         av1_node_load{node=\"epyc-2\",window=\"1m\"} 3\nav1_node_load{node=\"epyc-2\",window=\"5m\"} 2.5\nav1_node_load{node=\"epyc-2\",window=\"15m\"} 1\n",
    )
}

/// A screen of this size, to which nothing was told.
pub(super) fn empty(width: u16, height: u16) -> Model {
    Model { now: NOW, size: (width, height), namespace: Some("media".to_owned()), ..Model::default() }
}

/// The same with a library at work.
pub(super) fn model(width: u16, height: u16) -> Model {
    let mut model = empty(width, height);
    let put = |library| Message::Libraries(Change::Put(Box::new(library)));
    update(&mut model, put(library("films", "True", "all is well")));
    update(&mut model, put(library("series", "False", "the claim media is not bound: make it")));
    list(&mut model, jobs());
    for (number, (seconds, warning, about, reason, message)) in [
        (20, false, "films-ronin-77aa", "Encoding", "the encode starts on epyc-2"),
        (300, false, "films-gattaca-5c2e", "Replaced", "the file is 5.4 GiB smaller"),
        (
            5_000,
            true,
            "films-fargo-4b1d",
            "VerificationFailed",
            "1 of 12 checks failed: 143,002 frames instead of 143,004",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let key = Key { namespace: "media".to_owned(), name: number.to_string() };
        let (about, reason, message) = (about.to_owned(), reason.to_owned(), message.to_owned());
        let event = Happening { key, at: NOW - seconds, warning, about, reason, message };
        update(&mut model, Message::Events(Change::Put(Box::new(event))));
    }
    for seconds in (0..150).rev().map(|number| number * 10) {
        update(&mut model, Message::Tick(NOW - seconds));
        let mut page = page();
        for gauges in page.jobs.values_mut() {
            gauges.frames_per_second = gauges.frames_per_second.map(|rate| rate - (seconds / 60 % 7) as f64);
        }
        update(&mut model, Message::Page(Ok(page)));
    }
    model.settle();
    model
}

/// A whole list of jobs.
pub(super) fn list(model: &mut Model, jobs: Vec<Job>) {
    update(model, Message::Jobs(Change::Begin));
    for job in jobs {
        update(model, Message::Jobs(Change::Put(Box::new(job))));
    }
    update(model, Message::Jobs(Change::End));
    model.settle();
}

/// The picture as text.
pub(super) fn picture(model: &Model) -> String {
    let (terminal, _) = drawn(model);
    let buffer = terminal.backend().buffer();
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut skip = 0;
        let mut line = String::new();
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            if skip == 0 {
                line += symbol;
                skip = unicode_width::UnicodeWidthStr::width(symbol).saturating_sub(1);
            } else {
                skip -= 1;
            }
        }
        text += line.trim_end();
        text.push('\n');
    }
    text
}

fn drawn(model: &Model) -> (Terminal<TestBackend>, Drawn) {
    let mut terminal = Terminal::new(TestBackend::new(model.size.0, model.size.1)).unwrap();
    let mut cost = Drawn::default();
    terminal.draw(|frame| cost = draw::screen(model, frame.buffer_mut())).unwrap();
    (terminal, cost)
}

/// Presses keys, each a character or a name in angle brackets.
pub(super) fn press(model: &mut Model, keys: &str) -> Effect {
    let mut effect = Effect::Nothing;
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let (code, after) = match rest.strip_prefix('<').and_then(|named| named.split_once('>')) {
            Some((name, after)) => (named_key(name), after),
            None => (KeyCode::Char(first), &rest[first.len_utf8()..]),
        };
        effect = key(model, KeyEvent::new(code, KeyModifiers::NONE));
        rest = after;
    }
    effect
}

fn named_key(name: &str) -> KeyCode {
    match name {
        "enter" => KeyCode::Enter,
        "esc" => KeyCode::Esc,
        "up" => KeyCode::Up,
        "down" => KeyCode::Down,
        "pgup" => KeyCode::PageUp,
        "pgdn" => KeyCode::PageDown,
        "home" => KeyCode::Home,
        "end" => KeyCode::End,
        "back" => KeyCode::Backspace,
        other => panic!("{other}"),
    }
}
