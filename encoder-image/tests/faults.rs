//! Faults of the roles that write into a library: the real binary is killed, made to fail, held while another pod comes or while
//! another program changes the file, before and after every durable step, for every way to swap. The file must be whole at each
//! look, and the next run must come to the same end as an undisturbed one.
//!
//! The points are not listed here: an undisturbed run traces those that it passes. Needs the feature `failpoints`.
#![cfg(feature = "failpoints")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "faults/bench.rs"]
mod bench;
#[path = "faults/matrix.rs"]
mod matrix;
#[path = "faults/refusals.rs"]
mod refusals;
#[path = "faults/scenes.rs"]
mod scenes;
#[path = "faults/unfinished.rs"]
mod unfinished;

use std::collections::BTreeSet;

use bench::{Bench, METHODS, Tally};
use scenes::Scene;

#[test]
fn a_reader_sees_a_whole_file_at_every_instant() {
    for (scene, method) in [Scene::Replace, Scene::Undo, Scene::UndoUndo]
        .into_iter()
        .flat_map(|scene| ["Exchange", "Link"].map(|method| (scene, method)))
    {
        let bench = Bench::new(scene, method);
        let (looks, holes) = bench.watched(|| assert_eq!(bench.next("pod-1", &[], None).code, Some(0)));
        assert_eq!(holes, 0, "{scene:?} {method}: {looks} looks");
        assert!(looks > 10, "{scene:?} {method}: only {looks} looks");
        println!("ok   {scene:?} {method}: {looks} looks while it was swapped, the file was whole in each");
    }
}

#[test]
#[ignore = "needs a small disk at AV1_SMALL_DISK: tests/faults/run mounts one"]
fn a_disk_that_is_full_at_any_write_costs_nothing_but_time() {
    let disk = std::path::PathBuf::from(std::env::var_os("AV1_SMALL_DISK").expect("AV1_SMALL_DISK"));
    let (mut tally, mut full) = (Tally::default(), 0);
    for method in METHODS {
        for scene in [Scene::Replace, Scene::Reject, Scene::Container, Scene::Undo] {
            for blocks in (0..12).chain((12..120).step_by(9)) {
                let bench = Bench::with_sizes(scene, method, Some(&disk), 600_000, 300_000);
                let filler = bench.fill_disk(blocks * 4096);
                let first = bench.next("pod-1", &[], None);
                let orderly = match (first.code, first.reason().as_deref()) {
                    (Some(0), _) => Ok(()),
                    (Some(1), Some("NoSpace")) => bench.no_copy_is_left_when_untouched(),
                    _ => Err(format!("{first:?}")),
                };
                full += u32::from(first.code != Some(0));
                let whole = bench.whole(method);
                std::fs::remove_file(filler).unwrap();
                let second = bench.next("pod-2", if first.released() { &[] } else { &["pod-1"] }, None);
                let finished = if second.code == Some(0) && second.reason().is_none() {
                    Ok(())
                } else {
                    Err(format!("{second:?}"))
                };
                tally.count(
                    &format!("{scene:?} {method} {blocks} blocks free"),
                    orderly.and(whole).and(finished).and_then(|()| bench.whole("after")),
                );
            }
        }
    }
    assert!(full > 20, "the disk was full in {full} runs only");
    println!("the disk was full in {full} runs");
    tally.finish("full disk");
}

#[test]
#[ignore = "needs a library whose trash is another mount at AV1_XDEV_LIBRARY: tests/faults/run makes one"]
fn a_trash_on_another_file_system_gets_a_proven_copy() {
    let library = std::path::PathBuf::from(std::env::var_os("AV1_XDEV_LIBRARY").expect("AV1_XDEV_LIBRARY"));
    let mut tally = Tally::default();
    let bench = |scene, method| Bench::with_sizes(scene, method, Some(&library), 300_000, 100_000);
    let scenes = [Scene::Replace, Scene::Container, Scene::Undo, Scene::UndoContainer];
    let all = scenes.into_iter().flat_map(|scene| METHODS.map(|method| (scene, method)));
    for (scene, method) in all {
        let points = bench(scene, method).trace();
        assert!(points.iter().any(|point| point.starts_with("settle::stow_copy")), "{points:?}");
        assert!(scene.role() == "settle" || points.iter().any(|p| p.starts_with("restore::stage_copy")), "{points:?}");
        let wanted = bench(scene, method).undisturbed_end();
        for point in &points {
            let bench = bench(scene, method);
            let killed = bench.next("pod-1", &[], Some(&format!("{point}=return(kill)"))).killed;
            let whole = bench.whole(method);
            let second = bench.next("pod-2", &["pod-1"], None);
            let same = if killed && second.code == Some(0) && bench.end() == wanted {
                Ok(())
            } else {
                Err(format!("{second:?} {:?}", bench.end()))
            };
            tally.count(&format!("{scene:?} {method} {point}"), whole.and(same));
        }
    }
    tally.finish("trash on another file system");
    for scene in [Scene::Container, Scene::UndoContainer] {
        let bench = bench(scene, "Exchange");
        let folder = bench.film().parent().unwrap().to_owned();
        let old = folder.join(if scene == Scene::Container { "film.avi" } else { "film.mkv" });
        let (run, ()) = bench.held("pod-1", "settle::rename_out::before", || {
            std::fs::write(folder.join("new"), b"a better copy").unwrap();
            std::fs::rename(folder.join("new"), &old).unwrap();
        });
        assert_eq!(run.code, Some(0), "{scene:?}: {run:?}");
        assert_eq!(std::fs::read(&old).unwrap(), b"a better copy", "{scene:?}");
        assert_eq!((bench.lost(&bench.names()), bench.beside()), (None, vec!["film.avi".into(), "film.mkv".into()]));
    }
}

#[test]
fn a_second_claimant_loses_and_a_claim_passes_only_from_a_pod_that_ended() {
    let points = "settle::exchange::before=return(kill);settle::link::before=return(kill);settle::rename_away::before=return(kill)";
    for method in METHODS {
        let bench = Bench::new(Scene::Replace, method);
        assert!(bench.next("pod-1", &[], Some(points)).killed);
        for takeover in [&[][..], &["pod-9"]] {
            let second = bench.next("pod-2", takeover, None);
            assert_eq!(
                (second.code, second.reason()),
                (Some(75), Some("ClaimHeld".to_owned())),
                "{method}: {second:?}"
            );
        }
        bench.whole(method).unwrap();
        assert_eq!(bench.next("pod-2", &["pod-1"], None).code, Some(0));
    }
}

#[test]
fn of_many_pods_at_once_one_settles_and_the_others_lose() {
    for method in METHODS {
        let bench = Bench::new(Scene::Replace, method);
        assert!(bench.next("pod-0", &[], Some("settle::copy::sync::after=return(kill)")).killed);
        let ends: Vec<_> = std::thread::scope(|scope| {
            let bench = &bench;
            let pods: Vec<_> =
                (1..7).map(|n| scope.spawn(move || bench.next(&format!("pod-{n}"), &["pod-0"], None))).collect();
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
        assert_eq!(bench.end(), Bench::undisturbed(Scene::Replace, method));
    }
}

#[test]
fn a_source_that_changed_is_not_touched() {
    for method in METHODS {
        for scene in [Scene::Replace, Scene::Reject] {
            let bench = Bench::new(scene, method);
            bench.write_film(b"another film altogether");
            let run = bench.next("pod-1", &[], None);
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
        let bench = Bench::new(Scene::Replace, method);
        let (run, ()) = bench.held("pod-1", point, || bench.replace_film(b"a better copy"));
        assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{method}: {run:?}");
        assert_eq!(bench.read_film().as_deref(), Some(&b"a better copy"[..]), "{method}");
        assert_eq!(bench.beside(), ["film.mkv"], "{method}");
    }
}

#[test]
fn a_swap_that_was_begun_is_finished_whatever_is_asked_for_next() {
    let failed = r#"{"verdict": "Failed", "reason": "TooManyFailures", "output": null}"#;
    let mut tally = Tally::default();
    for method in METHODS {
        let wanted = Bench::undisturbed(Scene::Replace, method);
        let points = Bench::new(Scene::Replace, method).trace();
        let swapping = points.iter().position(|point| point == "settle::journal::swapping::after").unwrap();
        for (index, point) in points.iter().enumerate() {
            for fault in ["kill", "ENOSPC"] {
                let bench = Bench::new(Scene::Replace, method);
                let first = bench.next("pod-1", &[], Some(&format!("{point}=return({fault})")));
                let run = bench.changed(failed);
                let begun = index >= swapping && (first.killed || bench.read_film().as_ref() == Some(&bench.output));
                let right = match bench.whole("after the next order") {
                    Ok(()) if run.code != Some(0) => Err(format!("{run:?}")),
                    Ok(()) if begun && bench.end() != wanted => Err(format!("{run:?}: {:?}", bench.end())),
                    other => other,
                };
                tally.count(&format!("{method} {point} {fault}"), right);
            }
        }
    }
    tally.finish("another order after a swap was begun");
}

#[test]
fn a_bad_copy_is_not_swapped_in() {
    let bench = Bench::new(Scene::Replace, "Exchange");
    bench.spoil_output();
    let run = bench.next("pod-1", &[], None);
    assert_eq!((run.code, run.reason()), (Some(1), Some("BadOutput".to_owned())), "{run:?}");
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
        let bench = Bench::new(Scene::Replace, "Exchange");
        let before = bench.names();
        let run = bench.changed(change);
        assert!(matches!(run.code, Some(1 | 64)), "{run:?}");
        assert_eq!(bench.names(), before, "{change}");
    }
}

#[test]
fn a_marker_of_the_user_that_appears_late_keeps_the_file_as_it_is() {
    for (method, marker) in METHODS.iter().zip(["Heat (1995)/film.mkv.av1skip", "Heat (1995)/.av1skip", ".av1skip"]) {
        let bench = Bench::new(Scene::Replace, method);
        let before = bench.read_film();
        let path = bench.library().join(marker);
        let (run, ()) = bench.held("pod-1", "settle::copy::sync::before", || std::fs::write(&path, "").unwrap());
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
    for scene in [Scene::Replace, Scene::Reject] {
        for link in [true, false] {
            let bench = Bench::new(scene, "Exchange");
            let folder = bench.library().join("Heat (1995)");
            std::fs::rename(&folder, bench.library().join("elsewhere")).unwrap();
            if link {
                std::os::unix::fs::symlink("elsewhere", &folder).unwrap();
            } else {
                std::fs::write(&folder, "").unwrap();
            }
            let run = bench.next("pod-1", &[], None);
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
        let bench = Bench::new(Scene::Replace, method).given_to_an_ordinary_user();
        mode(&bench, 0o555);
        let run = bench.next("pod-1", &[], None);
        assert_eq!((run.code, run.retryable()), (Some(1), Some(false)), "{run:?}");
        bench.whole(method).unwrap();
        assert_eq!(bench.beside(), ["film.mkv"]);
        let left = bench.names();
        assert!(left.keys().any(|path| path.contains("/receipts/")), "{left:?}");
        assert!(!left.keys().any(|path| path.contains("/journal/") || path.contains("/claims/")), "{left:?}");
        // The claim is let go of, and the work is still there.
        mode(&bench, 0o755);
        assert_eq!(bench.next("pod-2", &[], None).verdict().as_deref(), Some("Replaced"));
    }
    let bench = Bench::new(Scene::Reject, "Exchange").given_to_an_ordinary_user();
    mode(&bench, 0o555);
    let run = bench.next("pod-1", &[], None);
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
            let bench = Bench::new(Scene::Replace, method).given_to_an_ordinary_user();
            let run = if during {
                bench.held("pod-1", point, || replace(&bench)).0
            } else {
                replace(&bench);
                bench.next("pod-1", &[], None)
            };
            assert_eq!((run.code, run.verdict()), (Some(0), Some("SourceChanged".to_owned())), "{method}: {run:?}");
            assert_eq!(bench.read_film().as_deref(), Some(&b"a better copy"[..]), "{method}");
            assert_eq!(bench.beside(), ["film.mkv"], "{method}");
        }
    }
}
