//! What restore, purge, mark and settle leave alone, and what they say of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use serde_json::{Value, json};

use super::bench::{Bench, JOB, Run, hash, identity};
use super::scenes::Scene;

const FILM: &str = "Heat (1995)/film.mkv";
const TRASHED: &str = ".av1/trash/0000-job/film.mkv";

fn done(run: &Run) -> Value {
    let value: Value = serde_json::from_str(&run.result).unwrap();
    assert_eq!(run.code, Some(0), "{run:?}");
    value["done"].clone()
}

/// A restore that is refused for `reason`, and changes nothing.
fn refused(bench: &Bench, reason: &str, word: &str) {
    let before = bench.names();
    let result = done(&bench.next("pod-1", &[], None));
    assert_eq!((result["verdict"].as_str(), result["reason"].as_str()), (Some("Refused"), Some(reason)), "{result}");
    assert!(result["message"].as_str().unwrap().contains(word), "{result}");
    assert_eq!(bench.names(), before, "{result}");
}

#[test]
fn a_restore_says_in_one_sentence_why_it_cannot_be_done_and_changes_nothing() {
    let bench = Bench::new(Scene::Undo, "Exchange");
    bench.write_film(b"tagged by somebody");
    refused(&bench, "ChangedSince", "changed or replaced");

    let bench = Bench::new(Scene::Undo, "Exchange");
    fs::remove_file(bench.library().join(TRASHED)).unwrap();
    refused(&bench, "NotInTrash", "not kept");

    let bench = Bench::new(Scene::Undo, "Exchange");
    for copy in ["a.mkv", "b.mkv"] {
        fs::copy(bench.film(), bench.library().join(copy)).unwrap();
    }
    fs::remove_file(bench.film()).unwrap();
    refused(&bench, "ChangedSince", "more than once");

    let bench = Bench::new(Scene::UndoContainer, "Exchange");
    fs::write(bench.library().join("Heat (1995)/film.avi"), "another").unwrap();
    refused(&bench, "TargetExists", "another file");

    let bench = Bench::new(Scene::UndoDeleted, "Exchange");
    fs::remove_dir_all(bench.library().join("Heat (1995)")).unwrap();
    refused(&bench, "NotFound", "is gone");

    let bench = Bench::new(Scene::Undo, "Exchange");
    let run = bench.changed(r#"{"path": "Heat (1995)/unknown.mkv"}"#);
    assert_eq!(done(&run)["reason"], "NotInTrash", "{run:?}");
}

#[test]
fn an_original_that_rotted_in_the_trash_is_not_brought_back() {
    for method in ["Exchange", "Link", "TwoRenames"] {
        let bench = Bench::with_sizes(Scene::Undo, method, None, 8 << 20, 5 << 20);
        let trashed = bench.library().join(TRASHED);
        let mut bytes = fs::read(&trashed).unwrap();
        // Between the samples of the fingerprint: the whole hash alone tells.
        bytes[2 << 20] ^= 1;
        fs::write(&trashed, bytes).unwrap();
        let run = bench.next("pod-1", &[], None);
        assert_eq!((run.code, run.retryable()), (Some(1), Some(false)), "{run:?}");
        assert!(run.message().unwrap().contains("SHA-256"), "{run:?}");
        assert_eq!(bench.read_film().as_ref(), Some(&bench.output), "{method}");
        assert_eq!(bench.beside(), ["film.mkv"], "{method}");
    }
}

#[test]
fn the_very_same_file_comes_back_with_all_its_attributes_and_a_second_wish_finds_it_there() {
    for method in ["Exchange", "Link", "TwoRenames"] {
        let bench = Bench::new(Scene::Undo, method);
        let trashed = bench.library().join(TRASHED);
        fs::set_permissions(&trashed, PermissionsExt::from_mode(0o640)).unwrap();
        let before = fs::metadata(&trashed).unwrap();
        let result = done(&bench.next("pod-1", &[], None));
        assert_eq!((result["verdict"].as_str(), result["path"].as_str()), (Some("Restored"), Some(FILM)), "{result}");
        assert_eq!(result["sha256"].as_str(), Some(hash(&bench.original).as_str()));
        let after = fs::metadata(bench.film()).unwrap();
        assert_eq!(
            (after.ino(), after.mode(), after.mtime()),
            (before.ino(), before.mode(), before.mtime()),
            "{method}"
        );
        assert_eq!(bench.read_film().as_ref(), Some(&bench.original));
        let again = bench.changed(&json!({"job": {"name": "other", "uid": "0009-job", "run": 1}}).to_string());
        assert_eq!(done(&again)["verdict"], "AlreadyThere", "{again:?}");
    }
}

#[test]
fn without_receipts_the_trash_is_enough() {
    let bench = Bench::new(Scene::Undo, "Exchange");
    for receipt in fs::read_dir(bench.library().join(".av1/state/receipts")).unwrap() {
        fs::remove_file(receipt.unwrap().path()).unwrap();
    }
    assert_eq!(done(&bench.next("pod-1", &[], None))["verdict"], "Restored");
    assert_eq!(bench.read_film().as_ref(), Some(&bench.original));
}

/// A purge after which the file in the trash is there still; the word why.
fn kept(bench: &Bench, word: &str) {
    let trashed = bench.library().join(TRASHED);
    let result = done(&bench.next("pod-1", &[], None));
    assert_eq!((result["purged"].as_u64(), result["keptCount"].as_u64()), (Some(0), Some(1)), "{result}");
    assert!(result["kept"][0]["why"].as_str().unwrap().contains(word), "{result}");
    assert_eq!(hash(&fs::read(trashed).unwrap()), hash(&bench.original), "{result}");
}

fn describe(bench: &Bench, change: impl FnOnce(&mut Value)) {
    let path = bench.library().join(format!("{TRASHED}.json"));
    let mut entry: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut entry);
    fs::write(path, entry.to_string()).unwrap();
}

#[test]
fn a_purge_keeps_what_is_not_due_and_what_may_be_the_last_whole_copy() {
    let bench = Bench::new(Scene::Purge, "Exchange");
    describe(&bench, |entry| entry["until"] = json!("2999-01-01T00:00:00Z"));
    kept(&bench, "2999-01-01");

    let bench = Bench::new(Scene::Purge, "Exchange");
    fs::remove_file(bench.film()).unwrap();
    kept(&bench, "not in the library any more");

    let bench = Bench::new(Scene::Purge, "Exchange");
    bench.write_film(b"tagged by somebody");
    kept(&bench, "was changed");

    let bench = Bench::with_sizes(Scene::Purge, "Exchange", None, 8 << 20, 5 << 20);
    let mut bytes = fs::read(bench.film()).unwrap();
    // Between the samples of the fingerprint: only reading it all again tells.
    bytes[(5 << 18) + 100] ^= 1;
    bench.write_film(&bytes);
    kept(&bench, "has SHA-256");

    let bench = Bench::new(Scene::Purge, "Exchange");
    fs::remove_file(bench.library().join(format!("{TRASHED}.json"))).unwrap();
    kept(&bench, "no description");
}

#[test]
fn a_purge_finds_a_replacement_that_was_moved_and_removes_nothing_that_is_not_on_its_list() {
    let bench = Bench::new(Scene::Purge, "Exchange");
    fs::rename(bench.film(), bench.library().join("Moved.mkv")).unwrap();
    fs::write(bench.library().join(".av1/trash/0000-job/other.mkv"), "not on the list").unwrap();
    let paths = json!({"trash": [TRASHED, FILM, ".av1/trash/0000-job/../../volume.json", ".av1/volume.json"],
                       "work": ["0002-job"]});
    let result = done(&bench.changed(&paths.to_string()));
    assert_eq!((&result["purged"], &result["keptCount"], &result["workRemoved"]), (&json!(1), &json!(3), &json!(1)));
    assert_eq!(result["bytes"], json!(bench.original.len()));
    for stays in ["Moved.mkv", ".av1/volume.json", ".av1/trash/0000-job/other.mkv"] {
        assert!(bench.library().join(stays).exists(), "{stays}");
    }
    assert!(!bench.library().join(TRASHED).exists());
}

#[test]
fn a_work_folder_in_which_a_run_began_again_stays() {
    let bench = Bench::new(Scene::Purge, "Exchange");
    fs::write(bench.library().join(".av1/work/0002-job/1/chunks/2.ivf"), "a new chunk").unwrap();
    let result = done(&bench.next("pod-1", &[], None));
    assert_eq!((&result["workRemoved"], &result["kept"][0]["what"]), (&json!(0), &json!(".av1/work/0002-job")));
    assert!(result["kept"][0]["why"].as_str().unwrap().contains("begun again"), "{result}");
    assert!(bench.library().join(".av1/work/0002-job/1/chunks/1.ivf").exists());
}

#[test]
fn one_replacement_that_cannot_be_looked_at_keeps_its_own_original_alone() {
    let bench = Bench::new(Scene::Purge, "Exchange");
    // Another original, whose replacement has a path that no file system takes.
    let (trashed, other) = (bench.library().join(TRASHED), ".av1/trash/0003-job/other.mkv");
    fs::create_dir(bench.library().join(".av1/trash/0003-job")).unwrap();
    fs::copy(&trashed, bench.library().join(other)).unwrap();
    let mut entry: Value =
        serde_json::from_slice(&fs::read(bench.library().join(format!("{TRASHED}.json"))).unwrap()).unwrap();
    (entry["file"], entry["path"]) = (json!("other.mkv"), json!(format!("{}/other.mkv", "n".repeat(300))));
    fs::write(bench.library().join(format!("{other}.json")), entry.to_string()).unwrap();
    let result = done(&bench.changed(&json!({"trash": [other, TRASHED]}).to_string()));
    assert_eq!((&result["purged"], &result["keptCount"]), (&json!(1), &json!(1)), "{result}");
    assert!(bench.library().join(other).exists() && !trashed.exists());
}

#[test]
fn a_work_folder_stays_as_long_as_its_jobs_journal_tells_of_a_swap() {
    let bench = Bench::new(Scene::Purge, "Exchange");
    let journal = bench.library().join(".av1/state/journal/0002-job.jsonl");
    let film = identity(&bench.film());
    let begin = json!({"record": "begin", "v": 1, "task": {}});
    let swapping = json!({"record": "swapping", "method": "Exchange", "old": film, "oldSha256": "o", "new": film,
                          "newSha256": "n", "keptName": "film.mkv", "at": "2026-01-01T00:00:00Z", "notKept": []});
    fs::write(&journal, format!("{begin}\n{swapping}\n")).unwrap();
    let result = done(&bench.next("pod-1", &[], None));
    assert_eq!((&result["workRemoved"], &result["kept"][0]["what"]), (&json!(0), &json!(".av1/work/0002-job")));
    assert!(bench.library().join(".av1/work/0002-job/1/chunks/1.ivf").exists());
    fs::write(&journal, format!("{begin}\n")).unwrap();
    let result = done(&bench.changed(r#"{"trash": []}"#));
    assert_eq!((&result["workRemoved"], &result["keptCount"]), (&json!(1), &json!(0)), "{result}");
    assert!(!bench.library().join(".av1/work/0002-job").exists());
}

#[test]
fn a_marker_of_the_user_is_neither_overwritten_nor_removed_and_ours_is() {
    let marker = "Heat (1995)/film.mkv.av1skip";
    let bench = Bench::new(Scene::Mark, "Exchange");
    fs::write(bench.library().join(marker), "").unwrap();
    for action in ["Skip", "Unskip"] {
        let result = done(&bench.changed(&json!({"action": action}).to_string()));
        assert_eq!(result["verdict"], "UsersMarker", "{result}");
        assert_eq!(fs::read(bench.library().join(marker)).unwrap(), b"");
    }
    let bench = Bench::new(Scene::Mark, "Exchange");
    assert_eq!(done(&bench.next("pod-1", &[], None))["verdict"], "Marked");
    assert_eq!(done(&bench.changed(r#"{"action": "Unskip"}"#))["verdict"], "Unmarked");
    assert_eq!(bench.beside(), ["film.mkv"]);
    fs::remove_file(bench.film()).unwrap();
    assert_eq!(done(&bench.next("pod-1", &[], None))["verdict"], "NotFound");
}

#[test]
fn a_name_that_is_taken_is_told_and_written_down() {
    for method in ["Exchange", "TwoRenames"] {
        let bench = Bench::new(Scene::Container, method);
        fs::write(bench.library().join(FILM), "another film").unwrap();
        let result = done(&bench.next("pod-1", &[], None));
        assert_eq!(result["verdict"], "TargetExists", "{result}");
        assert_eq!(bench.read_film().as_ref(), Some(&bench.original));
        assert_eq!(fs::read(bench.library().join(FILM)).unwrap(), b"another film");
        assert_eq!(bench.beside(), ["film.avi", "film.mkv"]);
        let receipts = fs::read_dir(bench.library().join(".av1/state/receipts")).unwrap().next().unwrap().unwrap();
        let receipts: Value = serde_json::from_slice(&fs::read(receipts.path()).unwrap()).unwrap();
        let newest = &receipts["entries"][0];
        assert_eq!((&newest["verdict"], &newest["reason"]), (&json!("Failed"), &json!("TargetExists")));
        assert!(!bench.library().join(format!(".av1/work/{JOB}")).exists());
    }
    let bench = Bench::new(Scene::Container, "Exchange");
    let elsewhere = json!({"output": {"name": "out.mkv", "size": 1, "sha256": hash(b""), "target": "other/film.mkv"}});
    assert_eq!(bench.changed(&elsewhere.to_string()).code, Some(64));
}

#[test]
fn a_report_writes_nothing_among_the_films_for_a_rejected_one_either() {
    let bench = Bench::new(Scene::Report, "Exchange");
    let run = bench.changed(r#"{"verdict": "Rejected", "reason": "NotSmaller", "output": null}"#);
    assert_eq!(done(&run)["verdict"], "Recorded", "{run:?}");
    assert_eq!(bench.beside(), ["film.mkv"]);
    assert_eq!(fs::read_dir(bench.library().join(".av1/state/receipts")).unwrap().count(), 1);
}

#[test]
fn a_copy_that_is_another_users_is_left_where_it_is() {
    let bench = Bench::new(Scene::Replace, "Exchange");
    let part = bench.library().join("Heat (1995)/.av1-0000-job.part");
    fs::write(&part, &bench.original).unwrap();
    let run = bench.next("pod-1", &[], None);
    assert_eq!((run.code, run.retryable()), (Some(1), Some(false)), "{run:?}");
    assert_eq!(fs::read(part).unwrap(), bench.original);
}
