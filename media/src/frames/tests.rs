//! The decode pass over times that are constant, vary, go back or are missing.

use proptest::prelude::*;

use super::*;

const MILLIS: Rational = Rational { num: 1, den: 1_000 };
const FILM: Rational = Rational { num: 24_000, den: 1_001 };

fn told(rates: &[Rational]) -> Told<'_> {
    Told {
        time_base: MILLIS,
        rates,
        duration: None,
        errors: "",
        says_progressive: true,
        may_be_interlaced: false,
        may_make_up: false,
    }
}

fn pass(pts: &[i64], order: &str) -> DecodePass {
    let mut pass = DecodePass::default();
    for (frame, pts) in pts.iter().enumerate() {
        pass.line(&format!("frame:{frame}    pts:{pts}       pts_time:1.5"));
        pass.line(&format!("lavfi.idet.multiple.current_frame={order}"));
    }
    pass
}

fn rounded(frames: i64, rate: Rational) -> Vec<i64> {
    (0..frames).map(|n| 83 + (2_000 * n * rate.den + rate.num) / (2 * rate.num)).collect()
}

fn found(pts: &[i64], rates: &[Rational]) -> Decoded {
    pass(pts, "progressive").finish(&told(rates)).unwrap()
}

#[test]
fn the_calls_are_these() {
    let path = Path::new("/library/-a %03d.mkv");
    let calls = [
        decode_pass(path, 1, Look::Plain),
        decode_pass(path, 1, Look::Bars(24.0 / 255.0)),
        sample_pass(path, 1, 61.5, 4),
        recount_pass(path, 1),
    ];
    insta::assert_snapshot!(calls.map(|call| call.to_strings().join(" ")).join("\n"));
}

#[test]
fn times_rounded_to_milliseconds_confirm_the_rate() {
    let times = rounded(100_000, FILM);
    let told = Told { duration: Some(4_170.8), ..told(&[FILM]) };
    let found = pass(&times, "progressive").finish(&told).unwrap();
    assert_eq!((found.rate, found.times.pts.len(), found.times.pts[1]), (FILM, 100_000, 125));
    assert!(!found.is_variable);
}

#[test]
fn the_second_rate_is_taken_when_the_first_does_not_fit() {
    let field_rate = Rational { num: 48_000, den: 1_001 };
    assert_eq!(found(&rounded(500, FILM), &[field_rate, FILM]).rate, FILM);
}

#[test]
fn a_gap_and_a_drift_are_a_rate_that_varies_and_its_average_is_told() {
    let mut gap = rounded(100, FILM);
    gap[50..].iter_mut().for_each(|t| *t += 42);
    let drift: Vec<i64> = (0..1_000).map(|n| n * 41).collect();
    for (times, average) in [(gap, 23_735), (drift, 24_390)] {
        let found = found(&times, &[FILM]);
        assert_eq!((found.is_variable, found.rate), (true, Rational { num: average, den: 1_000 }));
        assert_eq!(found.times.pts, times);
    }
    let burst: Vec<i64> = (0..100).collect();
    assert_eq!(found(&burst, &[]).rate, Rational { num: 240_000, den: 1_000 }, "what encoders take");
    assert_eq!(found(&[7], &[]).rate, Rational { num: 25, den: 1 });
}

#[test]
fn times_that_go_back_are_refused_or_made_up() {
    let mut back = rounded(100, FILM);
    back.swap(7, 8);
    let refusal = pass(&back, "progressive").finish(&told(&[FILM])).unwrap_err();
    assert_eq!(refusal.reason, reasons::UNSUPPORTED_TIMESTAMPS);
    let safe = Told { may_make_up: true, ..told(&[FILM]) };
    let found = pass(&back, "progressive").finish(&safe).unwrap();
    assert_eq!((found.made_up, found.is_variable), (1, true));
    assert!(found.times.pts.windows(2).all(|pair| pair[0] < pair[1]));
    assert_eq!((found.times.pts[7], found.times.pts[9]), (back[7], back[9]));
}

#[test]
fn missing_times_are_made_up_within_bounds_at_both_ends_and_between() {
    let mut pass = DecodePass::default();
    for at in 0..30_i64 {
        let time = if [0, 10, 29].contains(&at) { "NOPTS".to_owned() } else { (1_000 + at * 40).to_string() };
        pass.line(&format!("frame:{at} pts:{time} pts_time:1"));
    }
    let rates = [Rational { num: 25, den: 1 }];
    let safe = Told { may_make_up: true, ..told(&rates) };
    let found = pass.clone().finish(&safe).unwrap();
    assert_eq!(found.times.pts, (0..30).map(|at| 1_000 + at * 40).collect::<Vec<_>>());
    assert_eq!(pass.clone().finish(&told(&rates)).unwrap_err().reason, reasons::UNSUPPORTED_TIMESTAMPS);
    pass.line("frame:30 pts:NOPTS pts_time:1");
    assert!(pass.finish(&safe).unwrap_err().message.contains("frame 0 has no time; 4 of 31"));
}

#[test]
fn a_frame_before_zero_is_refused() {
    let refusal = pass(&[-40, 0, 40], "progressive").finish(&told(&[])).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.message.as_str()),
        (reasons::UNSUPPORTED_TIMESTAMPS, "the first frame is shown 0.040 s before zero")
    );
}

#[test]
fn errors_interlacing_and_missing_frames_are_refused() {
    let times = rounded(100, FILM);
    let reason = |pass: DecodePass, duration, errors| {
        pass.finish(&Told { duration, errors, ..told(&[FILM]) }).unwrap_err().reason
    };
    assert_eq!(reason(pass(&times, "progressive"), None, "File ended prematurely"), reasons::CANNOT_DECODE);
    assert_eq!(reason(pass(&[], ""), None, ""), reasons::CANNOT_DECODE);
    assert_eq!(reason(pass(&times, "tff"), None, ""), reasons::INTERLACED);
    let leave = Told { may_be_interlaced: true, ..told(&[FILM]) };
    assert_eq!(pass(&times, "bff").finish(&leave).unwrap().interlaced, Some(Parity::Bottom));
    assert_eq!(pass(&times, "progressive").finish(&leave).unwrap().interlaced, None);
    assert_eq!(reason(pass(&times, "progressive"), Some(600.0), ""), reasons::FRAME_COUNT_MISMATCH);
    let mut odd = pass(&times, "progressive");
    odd.line("something else");
    assert_eq!(reason(odd, None, ""), reasons::CANNOT_DECODE);
}

#[test]
fn a_picture_that_changes_its_size_is_told_and_has_no_bars() {
    let times = rounded(100, FILM);
    let mut changed = pass(&times[..60], "progressive");
    for edge in ["x1=0", "x2=319", "y1=20", "y2=159"] {
        changed.line(&format!("lavfi.cropdetect.{edge}"));
    }
    for (frame, pts) in times[60..].iter().enumerate() {
        changed.line(&format!("frame:{frame}    pts:{pts}    pts_time:5"));
    }
    let lines: Vec<String> = times.iter().map(|pts| format!("0, {pts}, {pts},    42,  384, 0x92ae2f9f")).collect();
    changed.recount(std::iter::once("#tb 0: 1/1000").chain(lines.iter().map(String::as_str)));
    let changed = changed.finish(&told(&[FILM])).unwrap();
    assert_eq!((changed.changes_size, changed.seen, changed.times.pts), (true, None, times.clone()));
    assert!(!found(&times, &[FILM]).changes_size);
}

#[test]
fn a_duration_may_count_from_zero_or_from_the_first_frame() {
    let late: Vec<i64> = (0..100).map(|n| 5_000 + n * 40).collect();
    for duration in [4.0, 9.0] {
        assert!(pass(&late, "").finish(&Told { duration: Some(duration), ..told(&[]) }).is_ok(), "{duration}");
    }
    assert!(pass(&late, "").finish(&Told { duration: Some(6.5), ..told(&[]) }).is_err());
}

#[test]
fn bars_are_what_no_frame_shows() {
    let mut pass = pass(&rounded(10, FILM), "progressive");
    for line in ["lavfi.idet.repeated.neither=10.0", "lavfi.cropdetect.x1=0", "lavfi.cropdetect.x2=319"] {
        pass.line(line);
    }
    for line in ["lavfi.cropdetect.y1=20", "lavfi.cropdetect.y2=159", "lavfi.cropdetect.limit=0.094"] {
        pass.line(line);
    }
    let found = pass.finish(&told(&[FILM])).unwrap();
    assert_eq!(found.seen, Some(Area { left: 0, top: 20, width: 320, height: 140 }));
}

proptest! {
    #[test]
    fn any_text_is_taken_in_without_a_panic(lines in proptest::collection::vec(".{0,40}", 0..20), pts in any::<[i64; 3]>(), safe in any::<bool>()) {
        let mut pass = DecodePass::default();
        for line in &lines {
            pass.line(line);
            pass.line(&format!("frame:{line}"));
            pass.line(&format!("lavfi.cropdetect.{line}"));
        }
        for pts in pts {
            pass.line(&format!("frame:1 pts:{pts} pts_time:0"));
        }
        let _ = pass.finish(&Told { duration: Some(1.0), may_make_up: safe, ..told(&[FILM]) });
    }

    #[test]
    fn times_that_are_made_up_always_rise(times in proptest::collection::vec(proptest::option::weighted(0.95, 0_i64..100_000), 1..60)) {
        let mut pass = DecodePass::default();
        for (at, time) in times.iter().enumerate() {
            let time = time.map_or("NOPTS".to_owned(), |time| (time + at as i64 * 2_000).to_string());
            pass.line(&format!("frame:{at} pts:{time} pts_time:0"));
        }
        if let Ok(found) = pass.finish(&Told { may_make_up: true, ..told(&[FILM]) }) {
            prop_assert_eq!(found.times.pts.len(), times.len());
            prop_assert!(found.times.pts.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
