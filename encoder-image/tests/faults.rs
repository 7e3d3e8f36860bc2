//! Faults of settle: the real binary is killed, or made to fail, before and after every durable step, for every way to swap; the
//! file must be whole at each look, and the next run must come to the same end as an undisturbed one.
//!
//! The points are not listed here: an undisturbed run traces those that it passes. Needs the feature `failpoints`.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "faults/bench.rs"]
mod bench;

use std::collections::BTreeSet;
use std::time::Duration;

use bench::{Bench, End, METHODS, Tally};

/// What is done at a point.
const ACTIONS: [&str; 3] = ["kill", "ENOSPC", "EIO"];

#[test]
fn a_file_survives_a_fault_at_every_step_and_the_next_run_finishes_the_work() {
    let mut tally = Tally::default();
    for verdict in ["Encoded", "Rejected"] {
        for method in METHODS {
            let points = Bench::new(method, verdict).trace();
            assert!(points.len() >= 20, "{method} {verdict}: only {} points", points.len());
            let wanted = Bench::undisturbed(method, verdict);
            for point in &points {
                for action in ACTIONS {
                    let name = format!("{verdict} {method} {point} {action}");
                    tally.count(&name, fault(method, verdict, point, action, &wanted));
                }
            }
        }
    }
    tally.finish();
}

/// One fault, a look, and the run after it.
fn fault(method: &str, verdict: &str, point: &str, action: &str, wanted: &End) -> Result<(), String> {
    let bench = Bench::new(method, verdict);
    let first = bench.settle("pod-1", &[], Some(&format!("{point}=return({action})")));
    if action == "kill" && !first.killed {
        return Err(format!("was not killed: {first:?}"));
    }
    bench.whole(method)?;
    if action != "kill" && first.code != Some(0) {
        bench.no_copy_is_left_when_untouched()?;
    }
    let second = bench.settle("pod-2", &["pod-1"], None);
    if second.code != Some(0) {
        return Err(format!("the next run failed: {second:?}"));
    }
    bench.whole("after")?;
    let end = bench.end();
    if end != *wanted {
        return Err(format!("another end: {end:?}, wanted {wanted:?}"));
    }
    let third = bench.settle("pod-3", &["pod-1", "pod-2"], None);
    if (third.code, &third.result) != (Some(0), &second.result) {
        return Err(format!("a third run says something else: {third:?}, before {second:?}"));
    }
    Ok(())
}

#[test]
fn two_faults_in_a_row_are_survived_too() {
    let mut tally = Tally::default();
    for method in METHODS {
        let wanted = Bench::undisturbed(method, "Encoded");
        let points = Bench::new(method, "Encoded").trace();
        for (index, first) in points.iter().enumerate() {
            let bench = Bench::new(method, "Encoded");
            bench.settle("pod-1", &[], Some(&format!("{first}=return(kill)")));
            let second = &points[(index * 7 + 3) % points.len()];
            bench.settle("pod-2", &["pod-1"], Some(&format!("{second}=return(kill)")));
            let whole = bench.whole(method);
            let last = bench.settle("pod-3", &["pod-1", "pod-2"], None);
            let same = if last.code == Some(0) && bench.end() == wanted {
                Ok(())
            } else {
                Err(format!("{last:?} {:?}", bench.end()))
            };
            tally.count(&format!("{method} {first} then {second}"), whole.and(same));
        }
    }
    tally.finish();
}

#[test]
fn a_reader_sees_a_whole_file_at_every_instant() {
    for method in ["Exchange", "Link"] {
        let bench = Bench::new(method, "Encoded");
        let (looks, holes) = bench.watched(|| assert_eq!(bench.settle("pod-1", &[], None).code, Some(0)));
        assert_eq!(holes, 0, "{method}: {looks} looks");
        assert!(looks > 10, "{method}: only {looks} looks");
        println!("ok   {method}: {looks} looks while it was swapped, the file was whole in each");
    }
}

#[test]
#[ignore = "needs a small disk at AV1_SMALL_DISK: tests/faults/run mounts one"]
fn a_disk_that_is_full_at_any_write_costs_nothing_but_time() {
    let disk = std::path::PathBuf::from(std::env::var_os("AV1_SMALL_DISK").expect("AV1_SMALL_DISK"));
    let (mut tally, mut full) = (Tally::default(), 0);
    for method in METHODS {
        for verdict in ["Encoded", "Rejected"] {
            for blocks in (0..12).chain((12..120).step_by(9)) {
                let bench = Bench::with_sizes(method, verdict, Some(&disk), 600_000, 300_000);
                let filler = bench.fill_disk(blocks * 4096);
                let first = bench.settle("pod-1", &[], None);
                let orderly = match (first.code, first.reason().as_deref()) {
                    (Some(0), _) => Ok(()),
                    (Some(1), Some("NoSpace")) => bench.no_copy_is_left_when_untouched(),
                    _ => Err(format!("{first:?}")),
                };
                full += u32::from(first.code != Some(0));
                let whole = bench.whole(method);
                std::fs::remove_file(filler).unwrap();
                let second = bench.settle("pod-2", &["pod-1"], None);
                let finished = if second.code == Some(0) && second.reason().is_none() {
                    Ok(())
                } else {
                    Err(format!("{second:?}"))
                };
                tally.count(
                    &format!("{method} {verdict} {blocks} blocks free"),
                    orderly.and(whole).and(finished).and_then(|()| bench.whole("after")),
                );
            }
        }
    }
    assert!(full > 20, "the disk was full in {full} runs only");
    println!("the disk was full in {full} runs");
    tally.finish();
}

#[test]
#[ignore = "needs a library whose trash is another mount at AV1_XDEV_LIBRARY: tests/faults/run makes one"]
fn a_trash_on_another_file_system_gets_a_proven_copy() {
    let library = std::path::PathBuf::from(std::env::var_os("AV1_XDEV_LIBRARY").expect("AV1_XDEV_LIBRARY"));
    let mut tally = Tally::default();
    let bench = |method| Bench::with_sizes(method, "Encoded", Some(&library), 300_000, 100_000);
    for method in METHODS {
        let points = bench(method).trace();
        assert!(points.iter().any(|point| point.starts_with("settle::stow_copy")), "{points:?}");
        let wanted = bench(method).undisturbed_end("Encoded");
        for point in &points {
            let bench = bench(method);
            let killed = bench.settle("pod-1", &[], Some(&format!("{point}=return(kill)"))).killed;
            let whole = bench.whole(method);
            let second = bench.settle("pod-2", &["pod-1"], None);
            let same = if killed && second.code == Some(0) && bench.end() == wanted {
                Ok(())
            } else {
                Err(format!("{second:?} {:?}", bench.end()))
            };
            tally.count(&format!("{method} {point}"), whole.and(same));
        }
    }
    tally.finish();
}

#[test]
fn a_second_claimant_loses_and_a_claim_passes_only_from_a_pod_that_ended() {
    let points = "settle::exchange::before=return(kill);settle::link::before=return(kill);settle::rename_away::before=return(kill)";
    for method in METHODS {
        let bench = Bench::new(method, "Encoded");
        assert!(bench.settle("pod-1", &[], Some(points)).killed);
        for takeover in [&[][..], &["pod-9"]] {
            let second = bench.settle("pod-2", takeover, None);
            assert_eq!(
                (second.code, second.reason()),
                (Some(75), Some("ClaimHeld".to_owned())),
                "{method}: {second:?}"
            );
        }
        bench.whole(method).unwrap();
        assert_eq!(bench.settle("pod-2", &["pod-1"], None).code, Some(0));
    }
}

#[test]
fn of_many_pods_at_once_one_settles_and_the_others_lose() {
    for method in METHODS {
        let bench = Bench::new(method, "Encoded");
        assert!(bench.settle("pod-0", &[], Some("settle::copy::sync::after=return(kill)")).killed);
        let ends: Vec<_> = std::thread::scope(|scope| {
            let bench = &bench;
            let pods: Vec<_> =
                (1..7).map(|n| scope.spawn(move || bench.settle(&format!("pod-{n}"), &["pod-0"], None))).collect();
            pods.into_iter().map(|pod| pod.join().unwrap()).collect()
        });
        let codes: Vec<_> = ends.iter().map(|end| end.code).collect();
        assert!(
            codes.contains(&Some(0)) && codes.iter().all(|code| matches!(code, Some(0 | 75))),
            "{method}: {ends:?}"
        );
        let results: BTreeSet<_> =
            ends.iter().filter(|end| end.code == Some(0)).map(|end| end.result.clone()).collect();
        assert_eq!(results.len(), 1, "{method}: {ends:?}");
        assert_eq!(bench.end(), Bench::undisturbed(method, "Encoded"));
    }
}

#[test]
fn a_source_that_changed_is_not_touched() {
    for method in METHODS {
        for verdict in ["Encoded", "Rejected"] {
            let bench = Bench::new(method, verdict);
            bench.write_film(b"another film altogether");
            let run = bench.settle("pod-1", &[], None);
            assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{run:?}");
            assert_eq!(bench.read_film().as_deref(), Some(&b"another film altogether"[..]));
            assert_eq!(bench.beside(), ["film.mkv"]);
        }
    }
}

#[test]
fn a_file_that_another_program_puts_at_the_name_just_before_the_swap_stays() {
    for (method, point) in [
        ("Exchange", "settle::exchange::before"),
        ("Link", "settle::link::before"),
        ("TwoRenames", "settle::rename_away::before"),
    ] {
        let bench = Bench::new(method, "Encoded");
        let run = bench.settle_with("pod-1", point, Duration::from_secs(2), || bench.replace_film(b"a better copy"));
        assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{method}: {run:?}");
        assert_eq!(bench.read_film().as_deref(), Some(&b"a better copy"[..]), "{method}");
        assert_eq!(bench.beside(), ["film.mkv"], "{method}");
    }
}

#[test]
fn a_bad_copy_is_not_swapped_in() {
    let bench = Bench::new("Exchange", "Encoded");
    bench.spoil_output();
    let run = bench.settle("pod-1", &[], None);
    assert_eq!((run.code, run.reason()), (Some(1), Some("IoError".to_owned())), "{run:?}");
    assert!(run.message().unwrap().contains("SHA-256"), "{run:?}");
    bench.whole("Exchange").unwrap();
    assert_eq!(bench.beside(), ["film.mkv"]);
}

#[test]
fn the_wrong_volume_and_paths_out_of_the_library_are_refused_and_nothing_is_written() {
    for change in [
        r#"{"volumeId":"another"}"#,
        r#"{"path":"../film.mkv"}"#,
        r#"{"path":".av1/volume.json"}"#,
        r#"{"path":"/film.mkv"}"#,
    ] {
        let bench = Bench::new("Exchange", "Encoded");
        let before = bench.names();
        let run = bench.settle_changed(change);
        assert!(matches!(run.code, Some(1 | 64)), "{run:?}");
        assert_eq!(bench.names(), before, "{change}");
    }
}

#[test]
fn a_marker_of_the_user_that_appears_late_keeps_the_file_as_it_is() {
    for (method, marker) in METHODS.iter().zip(["Heat (1995)/film.mkv.av1skip", "Heat (1995)/.av1skip", ".av1skip"]) {
        let bench = Bench::new(method, "Encoded");
        let before = bench.read_film();
        let path = bench.library().join(marker);
        let run = bench.settle_with("pod-1", "settle::copy::sync::before", Duration::from_secs(1), || {
            std::fs::write(&path, "").unwrap();
        });
        assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{marker}: {run:?}");
        assert!(run.result.contains(marker), "{marker}: {run:?}");
        assert_eq!(bench.read_film(), before, "{marker}");
        let left = bench.names();
        let ours =
            |path: &&String| [".av1-", "/trash/", "/work/", "/claims/", "/journal/"].iter().any(|p| path.contains(p));
        assert_eq!(left.keys().find(ours), None, "{marker}");
    }
}

#[test]
fn a_folder_that_became_a_link_or_a_file_is_gone() {
    for verdict in ["Encoded", "Rejected"] {
        for link in [true, false] {
            let bench = Bench::new("Exchange", verdict);
            let folder = bench.library().join("Heat (1995)");
            std::fs::rename(&folder, bench.library().join("elsewhere")).unwrap();
            if link {
                std::os::unix::fs::symlink("elsewhere", &folder).unwrap();
            } else {
                std::fs::write(&folder, "").unwrap();
            }
            let run = bench.settle("pod-1", &[], None);
            assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{run:?}");
        }
    }
}

#[test]
#[ignore = "needs root, to make files of two users: tests/faults/run has it"]
fn a_missing_right_is_final_and_holds_nothing_up() {
    let mode = |bench: &Bench, mode| {
        let folder = bench.film().parent().unwrap().to_owned();
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    };
    for method in METHODS {
        let bench = Bench::new(method, "Encoded").given_to_an_ordinary_user();
        mode(&bench, 0o555);
        let run = bench.settle("pod-1", &[], None);
        assert_eq!((run.code, run.retryable()), (Some(1), Some(false)), "{run:?}");
        bench.whole(method).unwrap();
        assert_eq!(bench.beside(), ["film.mkv"]);
        // The claim is let go of, and the work is still there.
        mode(&bench, 0o755);
        assert_eq!(bench.settle("pod-2", &[], None).verdict().as_deref(), Some("Replaced"));
    }
    let bench = Bench::new("Exchange", "Rejected").given_to_an_ordinary_user();
    mode(&bench, 0o555);
    let run = bench.settle("pod-1", &[], None);
    assert_eq!((run.code, run.verdict().as_deref()), (Some(0), Some("Recorded")), "{run:?}");
    assert!(run.not_kept().contains("marker") && run.not_kept().contains("sidecar"), "{run:?}");
    assert_eq!(bench.beside(), ["film.mkv"]);
}

#[test]
#[ignore = "needs root, to make files of two users: tests/faults/run has it"]
fn another_users_file_that_cannot_be_read_is_another_file_and_stays() {
    let replace = |bench: &Bench| {
        bench.replace_film(b"a better copy");
        std::fs::set_permissions(bench.film(), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    };
    for (method, point) in [
        ("Exchange", "settle::exchange::before"),
        ("Link", "settle::link::before"),
        ("TwoRenames", "settle::rename_away::before"),
    ] {
        for during in [false, true] {
            let bench = Bench::new(method, "Encoded").given_to_an_ordinary_user();
            let run = if during {
                bench.settle_with("pod-1", point, Duration::from_secs(2), || replace(&bench))
            } else {
                replace(&bench);
                bench.settle("pod-1", &[], None)
            };
            assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{method}: {run:?}");
            assert_eq!(bench.read_film().as_deref(), Some(&b"a better copy"[..]), "{method}");
            assert_eq!(bench.beside(), ["film.mkv"], "{method}");
        }
    }
}
