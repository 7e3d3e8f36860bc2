//! Pictures of the screen in three sizes, kept as snapshots.

use super::*;
use crate::screen::model::{Kind, Point};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (240, 70)];

/// The picture in each size after `change`.
fn in_each_size(name: &str, begin: fn(u16, u16) -> Model, change: impl Fn(&mut Model)) {
    for (width, height) in SIZES {
        let mut model = begin(width, height);
        change(&mut model);
        model.settle();
        insta::assert_snapshot!(format!("{name}-{width}x{height}"), picture(&model));
    }
}

#[test]
fn the_queue() {
    in_each_size("main", model, |_| {});
}

#[test]
fn the_details_of_a_job() {
    in_each_size("details", model, |model| {
        press(model, "<enter>");
    });
}

#[test]
fn the_details_of_a_job_that_failed() {
    in_each_size("failed", model, |model| {
        press(model, "/fargo<enter><enter>");
    });
}

#[test]
fn the_help() {
    in_each_size("help", model, |model| {
        press(model, "?");
    });
}

#[test]
fn a_filter() {
    in_each_size("filter", model, |model| {
        press(model, "fffj");
    });
}

#[test]
fn a_search() {
    in_each_size("search", model, |model| {
        press(model, "/(197");
    });
}

#[test]
fn a_question() {
    in_each_size("confirm", model, |model| {
        press(model, "x");
    });
}

#[test]
fn a_namespace_is_asked_for() {
    in_each_size("namespace", model, |model| {
        press(model, "nvid");
    });
}

#[test]
fn the_operator_is_away() {
    in_each_size("operator-away", model, |model| {
        update(
            model,
            Message::Page(Err("cannot read metrics of service av1-operator:metrics: no endpoints available".into())),
        );
        update(model, Message::Tick(NOW + 75));
    });
}

#[test]
fn the_cluster_is_away() {
    in_each_size("cluster-away", empty, |model| {
        let why = "cannot reach the cluster at https://10.0.0.1:6443: Connection refused; is it running, and is this the right context?";
        for kind in [Kind::Jobs, Kind::Libraries, Kind::Events] {
            update(model, Message::Lost(kind, why.to_owned()));
        }
        update(model, Message::Page(Err("the same".to_owned())));
    });
}

#[test]
fn no_jobs_and_no_libraries() {
    in_each_size("no-jobs", empty, |model| {
        list(model, Vec::new());
        update(model, Message::Page(Ok(Page::default())));
    });
}

#[test]
fn history_of_a_prometheus_fills_the_chart() {
    let mut model = model(120, 40);
    let points = (0..360).map(|minute| Point {
        at: NOW - minute * 60,
        frames_per_second: Some(10.0 + (minute % 90) as f64 / 10.0),
        saved: Some((minute * 30_000_000) as f64),
    });
    update(&mut model, Message::History(Ok(points.collect())));
    insta::assert_snapshot!("history-120x40", picture(&model));
}

#[test]
fn no_size_and_no_state_makes_it_panic() {
    let mut model = model(80, 24);
    for width in (0..100).step_by(7) {
        for height in (0..40).step_by(3) {
            update(&mut model, Message::Resize(width, height));
            for keys in ["", "<enter>", "<esc>?", "<esc>/x", "<esc>n", "<esc>x", "<esc>f", "jjj", "<esc>"] {
                press(&mut model, keys);
                picture(&model);
            }
        }
    }
}

#[test]
fn ten_thousand_jobs_cost_no_more_rows_than_are_visible() {
    let mut model = empty(120, 40);
    let many =
        (0..10_000).map(|number| job(&format!("films-{number}"), &format!("{number}.mkv"), json!({"phase": "Queued"})));
    list(&mut model, many.collect());
    let visible = model.areas().rows();
    for keys in ["", "<end>", "<pgup>", "s", "f", "/77", "<enter>"] {
        press(&mut model, keys);
        let (_, cost) = drawn(&model);
        assert!(cost.rows <= visible && cost.rows > 0, "{keys}: {} rows of {visible}", cost.rows);
    }
}
