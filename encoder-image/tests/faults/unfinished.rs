//! What a pod began and did not end, when what comes next is not its own order: the user wants something else, or the job is gone.

use serde_json::{Value, json};

use super::bench::{Bench, End, JOB, METHODS, RUN, Run, Tally, hash};
use super::scenes::Scene;

const FILM: &str = "Heat (1995)/film.mkv";

/// Kills the role of a scene at each of its points, or lets it fail there, then runs `next`. It is told whether the names were about
/// to change.
fn each(scene: Scene, what: &str, next: impl Fn(&Bench, bool, &End) -> Result<(), String>) {
    let mut tally = Tally::default();
    for method in METHODS {
        let wanted = Bench::undisturbed(scene, method);
        let points = Bench::new(scene, method).trace();
        let swapping = points.iter().position(|point| point.ends_with("::journal::swapping::after")).unwrap();
        for (index, point) in points.iter().enumerate() {
            let bench = Bench::new(scene, method);
            assert!(bench.next("pod-1", &[], Some(&format!("{point}=return(kill)"))).killed, "{point}");
            let result = next(&bench, index >= swapping, &wanted).and_then(|()| nothing_is_left(&bench));
            tally.count(&format!("{method} {point}"), bench.whole("at the end").and(result));
        }
    }
    tally.finish(what);
}

/// No claim, no journal and no copy beside the file.
fn nothing_is_left(bench: &Bench) -> Result<(), String> {
    let names = bench.names();
    let left = names.keys().find(|path| ["/claims/", "/journal/", "/.av1-"].iter().any(|ours| path.contains(ours)));
    left.map_or(Ok(()), |left| Err(format!("{left} is left")))
}

fn holds(bench: &Bench, content: &[u8], when: &str) -> Result<(), String> {
    let right = bench.read_film().as_deref() == Some(content);
    if right { Ok(()) } else { Err(format!("{when}: the name holds another file")) }
}

fn ended_well(run: &Run) -> Result<(), String> {
    if run.code == Some(0) { Ok(()) } else { Err(format!("{run:?}")) }
}

/// The purge that ends what the deleted job left, as the next pod of a library does it, two days later.
fn purge(bench: &Bench) -> Run {
    bench.age();
    let task = bench.task_with(json!({"unfinished": [JOB], "work": [JOB]}), &["library", "volumeId"]);
    bench.run("purge", &task, "pod-purge", &[], None)
}

/// A purge ends what a deleted job began; the name holds `untouched` when that was nothing.
fn ended_by_a_purge(scene: Scene, what: &str, untouched: fn(&Bench) -> &[u8]) {
    each(scene, what, |bench, swapping, wanted| {
        let run = purge(bench);
        ended_well(&run)?;
        if !swapping {
            return holds(bench, untouched(bench), "nothing was begun");
        }
        if bench.end() == *wanted { Ok(()) } else { Err(format!("{run:?}: {:?}", bench.end())) }
    });
}

#[test]
fn what_a_deleted_jobs_settling_began_is_ended_by_a_purge() {
    ended_by_a_purge(Scene::Replace, "settling of a deleted job", |bench| &bench.original);
}

#[test]
fn what_a_deleted_jobs_restore_began_is_ended_by_a_purge() {
    ended_by_a_purge(Scene::Undo, "restore of a deleted job", |bench| &bench.output);
}

#[test]
fn an_undo_ends_what_settling_began_and_then_brings_the_original_back() {
    each(Scene::Replace, "undo after settling", |bench, swapping, _| {
        let mut task = bench.task_with(
            json!({"wanted": "Original", "trashRetentionSeconds": 3600}),
            &["library", "volumeId", "path", "job", "swap"],
        );
        task["job"]["run"] = json!(RUN + 1);
        let run = bench.run("restore", &task, "pod-2", &["pod-1"], None);
        ended_well(&run)?;
        holds(bench, &bench.original, "after the undo")?;
        let verdict = run.verdict().unwrap_or_default();
        let output = bench.names().values().any(|found| *found == hash(&bench.output));
        match (swapping, verdict.as_str()) {
            (true, "Restored") if output => Ok(()),
            (false, "Refused" | "Restored") => discarded(bench),
            _ => Err(format!("{run:?}")),
        }
    });
}

#[test]
fn a_marker_is_written_once_what_settling_began_has_ended() {
    each(Scene::Replace, "mark after settling", |bench, swapping, _| {
        let task = bench.task_with(json!({"action": "Skip"}), &["library", "volumeId", "path", "job"]);
        let run = bench.run("mark", &task, "pod-2", &["pod-1"], None);
        ended_well(&run)?;
        if run.verdict().as_deref() != Some("Marked") {
            return Err(format!("{run:?}"));
        }
        if swapping { holds(bench, &bench.output, "after the mark") } else { discarded(bench) }
    });
}

/// What was begun without a name being changed waits for the job's next settling, or for its end.
fn discarded(bench: &Bench) -> Result<(), String> {
    ended_well(&purge(bench))
}

#[test]
fn a_purge_says_which_swap_it_finished() {
    let bench = Bench::new(Scene::Deleted, "Exchange");
    let run = bench.next("pod-1", &[], None);
    let result: Value = serde_json::from_str(&run.result).unwrap();
    let told = result["done"]["finished"][0].as_str().unwrap_or_default();
    assert!(told.starts_with(FILM) && told.contains("the original is kept in the trash"), "{run:?}");
}

#[test]
fn of_a_job_whose_pod_wrote_within_a_day_nothing_is_ended() {
    let bench = Bench::new(Scene::Deleted, "Exchange");
    let journal = bench.library().join(format!(".av1/state/journal/{JOB}.jsonl"));
    std::fs::File::open(&journal).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    let before = bench.names();
    let run = bench.next("pod-1", &[], None);
    assert!(run.result.contains("less than a day ago") && run.result.contains(r#""keptCount":0"#), "{run:?}");
    assert_eq!(bench.names(), before);
}

#[test]
fn an_original_whose_swap_ends_late_is_kept_for_its_full_time() {
    const LONG_AGO: &str = "2026-01-01T00:00:00Z";
    for scene in [Scene::Deleted, Scene::Undo] {
        let bench = Bench::new(scene, "Exchange");
        if scene == Scene::Undo {
            assert!(bench.next("pod-1", &[], Some("settle::exchange::before=return(kill)")).killed);
        }
        let folder = bench.library().join(".av1/state/journal");
        let journal = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
        let lines: Vec<String> = std::fs::read_to_string(&journal).unwrap().lines().map(str::to_owned).collect();
        let aged = lines.into_iter().map(|line| {
            let mut record: Value = serde_json::from_str(&line).unwrap();
            if record["record"] == "swapping" {
                record["until"] = json!(LONG_AGO);
            }
            format!("{record}\n")
        });
        std::fs::write(&journal, aged.collect::<String>()).unwrap();
        bench.age();
        let run = bench.next("pod-2", &["pod-1"], None);
        ended_well(&run).unwrap();
        let trash = bench.library().join(format!(".av1/trash/{JOB}"));
        let entries = std::fs::read_dir(trash).unwrap().map(|entry| entry.unwrap().path());
        let entries: Vec<String> = entries
            .filter(|path| path.extension().is_some_and(|e| e == "json"))
            .map(|path| std::fs::read_to_string(path).unwrap())
            .collect();
        assert!(entries.len() == 1 && !entries[0].contains(LONG_AGO), "{scene:?}: {entries:?} {run:?}");
    }
}

#[test]
fn the_claim_of_a_purge_whose_library_was_deleted_is_nobodys_after_a_day() {
    let bench = Bench::new(Scene::Purge, "Exchange");
    assert!(bench.next("pod-1", &[], Some("settle::claim::sync::after=return(kill)")).killed);
    let claims = |bench: &Bench| bench.names().into_keys().filter(|path| path.contains("/claims/")).count();
    assert_eq!(claims(&bench), 1);
    let task = bench.task_with(json!({"unfinished": ["purge"]}), &["library", "volumeId"]);
    let run = bench.run("purge", &task, "pod-2", &[], None);
    assert!(run.result.contains("less than a day ago") && claims(&bench) == 1, "{run:?}");
    bench.age();
    ended_well(&bench.run("purge", &task, "pod-2", &[], None)).unwrap();
    assert_eq!(claims(&bench), 0);
}
