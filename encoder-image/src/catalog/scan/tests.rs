//! Whole scans over small trees. No file here gets as far as ffprobe.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::{Condvar, Mutex, RwLock};
use std::time::SystemTime;

use av1_crds::library::ScanRules;
use av1_crds::settings::Settings;
use av1_crds::wire::{CatalogTask, EncodeVerdict, JobId, LibraryId, ScanVerdict, Sidecar, VolumeFile};
use av1_media::receipt::{Receipt, Receipts, VERSION, file_name, settings_digest};

use super::*;
use crate::facts::identity;

const ID: &str = "0123456789abcdef0123456789abcdef";

struct Library {
    dir: tempfile::TempDir,
    shared: Shared,
}

impl Library {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut scan = ScanRules::resolve(None).unwrap();
        scan.min_size = 10;
        scan.stable_seconds = 1;
        let library = LibraryId { namespace: "n".into(), name: "films".into(), uid: "u".into(), cluster: "c".into() };
        let settings = Settings::resolve(&[]).unwrap();
        let task = CatalogTask { library, volume_id: ID.into(), prepare_run: 1, scan, settings };
        let root = dir.path().join("library");
        fs::create_dir_all(root.join(".av1/state/receipts")).unwrap();
        fs::create_dir(dir.path().join("catalog")).unwrap();
        let volume = VolumeFile { id: ID.into(), owner: task.library.clone(), layout: 1 };
        fs::write(root.join(".av1/volume.json"), serde_json::to_vec(&volume).unwrap()).unwrap();
        let shared = Shared {
            task,
            library: root,
            folder: dir.path().join("catalog"),
            catalog: RwLock::default(),
            decisions: RwLock::default(),
            explaining: std::sync::Arc::new(tokio::sync::Semaphore::new(1)),
            stop: Mutex::new(false),
            stopping: Condvar::new(),
        };
        Self { dir, shared }
    }

    fn write(&self, path: &str, content: &str) {
        let file = fs::File::create(self.shared.library.join(path)).unwrap();
        std::io::Write::write_all(&mut &file, content.as_bytes()).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(7_200)).unwrap();
    }

    fn reason(&self, path: &str) -> Option<String> {
        self.shared.catalog().file(path).map(|file| file.reason)
    }

    /// A receipt that says that `path` was replaced by what is there now.
    fn replaced(&self, path: &str, before: u64) {
        let result = identity(&Root::open(&self.shared.library).unwrap(), path).unwrap();
        let task = &self.shared.task;
        let receipt = Receipt {
            v: VERSION,
            path: path.into(),
            library: task.library.clone(),
            job: JobId { name: "j".into(), uid: "ju".into(), run: 1 },
            at: "2026-01-02T03:04:05Z".into(),
            verdict: EncodeVerdict::Encoded,
            reason: reasons::ENCODED.into(),
            message: "smaller".into(),
            source: av1_crds::wire::FileIdentity { size: before, fingerprint: "s".into(), ..result.clone() },
            source_sha256: None,
            result: Some(result),
            result_sha256: None,
            original: None,
            original_until: None,
            settings: task.settings.clone(),
            result_path: None,
            restored: None,
            settings_digest: settings_digest(&task.settings),
            report: None,
            not_kept: Vec::new(),
        };
        let receipts = Receipts { entries: vec![receipt], ..Receipts::none(path) };
        let file = self.shared.library.join(".av1/state/receipts").join(file_name(path));
        fs::write(file, receipts.to_json().unwrap()).unwrap();
    }
}

#[test]
fn a_second_scan_judges_only_what_changed_and_forgets_what_is_gone() {
    let library = Library::new();
    for path in ["a.mkv", "b.mkv", "c.mkv"] {
        library.write(path, "tiny");
    }
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    assert_eq!((scanner.judged, library.reason("a.mkv").as_deref()), (3, Some(reasons::TOO_SMALL)));
    scanner.scan().unwrap();
    assert_eq!(scanner.judged, 0);
    fs::remove_file(library.shared.library.join("b.mkv")).unwrap();
    library.write("c.mkv.av1skip", "");
    scanner.scan().unwrap();
    assert_eq!((scanner.judged, library.reason("b.mkv")), (1, None));
    assert_eq!(library.reason("c.mkv").as_deref(), Some(reasons::SKIP_MARKER));
}

#[test]
fn the_index_of_an_earlier_process_spares_every_judgement() {
    let library = Library::new();
    for path in ["a.mkv", "b.mkv"] {
        library.write(path, "tiny");
    }
    Scanner::new(&library.shared).scan().unwrap();
    *library.shared.catalog_mut() = super::super::Catalog::default();
    let mut second = Scanner::new(&library.shared);
    second.scan().unwrap();
    assert_eq!((second.judged, library.shared.catalog().summary(ID).files.total), (0, 2));
    fs::write(library.dir.path().join("catalog/index.jsonl"), "damaged").unwrap();
    *library.shared.catalog_mut() = super::super::Catalog::default();
    let mut third = Scanner::new(&library.shared);
    third.scan().unwrap();
    assert_eq!(third.judged, 2);
}

#[test]
fn a_new_receipt_makes_a_replaced_file_done_at_the_next_scan_wherever_it_was_moved() {
    let library = Library::new();
    library.write("a.mkv", "result");
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    assert_eq!(library.reason("a.mkv").as_deref(), Some(reasons::TOO_SMALL));
    library.replaced("a.mkv", 5_000);
    scanner.scan().unwrap();
    assert_eq!(library.reason("a.mkv").as_deref(), Some(reasons::ALREADY_DONE));
    let summary = library.shared.catalog().summary(ID);
    assert_eq!(
        (summary.files.done, summary.bytes.replaced_before, summary.bytes.replaced_after, summary.bytes.freed),
        (1, 5_000, 6, 4_994)
    );
    fs::rename(library.shared.library.join("a.mkv"), library.shared.library.join("moved.mkv")).unwrap();
    scanner.scan().unwrap();
    assert_eq!(library.reason("moved.mkv").as_deref(), Some(reasons::ALREADY_DONE));
}

#[test]
fn another_tree_under_the_path_is_a_problem_and_nothing_is_forgotten_or_written() {
    let library = Library::new();
    library.write("a.mkv", "tiny");
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    let index = fs::metadata(library.shared.folder.join("index.jsonl")).unwrap();
    let away = library.dir.path().join("away");
    fs::rename(&library.shared.library, &away).unwrap();
    fs::create_dir(&library.shared.library).unwrap();
    assert!(scanner.scan().unwrap_err().contains(ID));
    let wrong = library.shared.catalog().summary(ID).wrong_volume.unwrap();
    assert_eq!((wrong.reason.as_str(), wrong.message.contains(ID)), (reasons::WRONG_VOLUME, true));
    scanner.save();
    assert_eq!(library.reason("a.mkv"), None);
    assert_eq!(fs::metadata(library.shared.folder.join("index.jsonl")).unwrap().ino(), index.ino());
    fs::remove_dir(&library.shared.library).unwrap();
    fs::rename(&away, &library.shared.library).unwrap();
    scanner.scan().unwrap();
    assert_eq!((scanner.judged, library.reason("a.mkv").as_deref()), (0, Some(reasons::TOO_SMALL)));
}

#[test]
fn a_volume_that_becomes_another_between_two_scans_is_told_of_before_the_next_and_so_is_its_return() {
    let library = Library::new();
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    let file = library.shared.library.join(".av1/volume.json");
    let right = fs::read(&file).unwrap();
    let other = VolumeFile { id: "other".into(), owner: library.shared.task.library.clone(), layout: 1 };
    fs::write(&file, serde_json::to_vec(&other).unwrap()).unwrap();
    assert!(scanner.look_meanwhile().unwrap_err().contains("it is volume other"));
    let wrong = library.shared.catalog().summary(ID).wrong_volume.unwrap();
    assert_eq!((wrong.reason.as_str(), library.shared.catalog().right_volume), (reasons::WRONG_VOLUME, false));
    let stranger = LibraryId { cluster: "d".into(), ..library.shared.task.library.clone() };
    let taken = VolumeFile { id: ID.into(), owner: stranger, layout: 1 };
    fs::write(&file, serde_json::to_vec(&taken).unwrap()).unwrap();
    scanner.look_meanwhile().unwrap_err();
    assert_eq!(library.shared.catalog().summary(ID).wrong_volume.unwrap().reason, reasons::OWNED_BY_ANOTHER);
    fs::write(&file, right).unwrap();
    library.shared.catalog_mut().problem = Some("not the right one".into());
    scanner.look_meanwhile().unwrap();
    let summary = library.shared.catalog().summary(ID);
    assert_eq!((summary.wrong_volume, summary.problem, library.shared.catalog().right_volume), (None, None, true));
}

#[test]
fn a_file_that_stays_unstable_has_one_place_in_the_queue_and_one_message_however_many_scans_come_by() {
    let library = Library::new();
    library.write("a.mkv", "more than ten bytes");
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    fs::File::open(library.shared.library.join("a.mkv")).unwrap().set_modified(tomorrow).unwrap();
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    let message = || library.shared.catalog().file("a.mkv").unwrap().message;
    let first = message();
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(1_100));
        let due = scanner.due.keys().next().unwrap().0;
        assert!(due <= Instant::now());
        let root = Root::open(&library.shared.library).unwrap();
        scanner.look_at_due(&root);
        scanner.scan().unwrap();
        assert_eq!((scanner.due.len(), scanner.due_at.len(), message()), (1, 1, first.clone()));
    }
    assert!(!scanner.dirty);
    library.shared.stop_flag().clone_from(&true);
    let waiting = scanner.due.clone();
    std::thread::sleep(Duration::from_millis(1_100));
    scanner.look_at_due(&Root::open(&library.shared.library).unwrap());
    assert_eq!(scanner.due, waiting);
}

#[test]
fn a_file_that_was_not_stable_is_looked_at_again_before_the_next_scan() {
    let library = Library::new();
    let path = library.shared.library.join("a.mkv");
    fs::write(&path, "more than ten bytes").unwrap();
    fs::hard_link(&path, library.shared.library.join("a.txt")).unwrap();
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    assert_eq!(library.reason("a.mkv").as_deref(), Some(reasons::NOT_STABLE));
    let until = Instant::now() + Duration::from_secs(30);
    std::thread::scope(|scope| {
        scope.spawn(|| scanner.rest(until));
        while library.reason("a.mkv").as_deref() == Some(reasons::NOT_STABLE) && Instant::now() < until {
            std::thread::yield_now();
        }
        library.shared.stop_flag().clone_from(&true);
        library.shared.stopping.notify_all();
    });
    assert_eq!(library.reason("a.mkv").as_deref(), Some(reasons::HARD_LINKED));
}

#[test]
fn a_file_that_is_passed_over_for_good_is_to_have_a_sidecar_that_says_so_until_it_is_not() {
    let mut library = Library::new();
    library.shared.task.settings.why_sidecars = av1_crds::settings::WhySidecars::All;
    library.write("a.mkv", "tiny");
    library.write("b.mkv", "more than ten bytes, and from tomorrow");
    let tomorrow = SystemTime::now() + Duration::from_secs(86_400);
    fs::File::open(library.shared.library.join("b.mkv")).unwrap().set_modified(tomorrow).unwrap();
    let when = library.shared.task.settings.why_sidecars;
    let due = || library.shared.catalog().sidecars(when, "", 10).items;
    let count = || library.shared.catalog().summary(ID).sidecars_due;
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    let listed = due();
    assert_eq!(
        (listed.len(), listed[0].path.as_str(), count()),
        (1, "a.mkv", 1),
        "a verdict that is not final gets none"
    );
    let says = listed[0].says.clone().unwrap();
    assert_eq!(says.reason, reasons::TOO_SMALL);
    let write = |path: &str, text: String| fs::write(library.shared.library.join(path), text).unwrap();
    let text = |says| av1_media::marker::scan_why_text("a.mkv", says, "2026-01-02T03:04:05Z");
    write("a.mkv.why.txt", text(&says));
    scanner.scan().unwrap();
    assert_eq!((due(), scanner.judged), (vec![], 1), "the file itself is not judged again");
    // What it says is not what it was written for.
    let other = ScanVerdict { message: "other".into(), ..says.clone() };
    write("a.mkv.why.txt", text(&other));
    scanner.scan().unwrap();
    assert_eq!(due(), [Sidecar { path: "a.mkv".into(), says: Some(says.clone()) }]);
    // Another process knows what is right without reading it, and that what is not is not.
    write("a.mkv.why.txt", text(&says));
    scanner.scan().unwrap();
    scanner.save();
    *library.shared.catalog_mut() = super::super::Catalog::default();
    Scanner::new(&library.shared).scan().unwrap();
    let known = library.shared.catalog().entries[&Key::new(Path::new("a.mkv"))].sidecar;
    assert!(known.is_some() && due().is_empty());
    // One that somebody else wrote, or a job, stays.
    write("a.mkv.why.txt", "my notes".into());
    scanner.scan().unwrap();
    assert_eq!(due(), []);
    assert_eq!(library.shared.catalog().sidecars(when, "a.mkv", 10).items, []);
    // The verdict holds no more.
    write("a.mkv.why.txt", text(&says));
    library.write("a.mkv", "now it has more than ten bytes");
    fs::File::open(library.shared.library.join("a.mkv")).unwrap().set_modified(tomorrow).unwrap();
    scanner.scan().unwrap();
    assert_ne!(library.reason("a.mkv").as_deref(), Some(reasons::TOO_SMALL));
    assert_eq!(due(), [Sidecar { path: "a.mkv".into(), says: None }]);
    // The file is gone, and what is left of another job is not ours to remove.
    fs::remove_file(library.shared.library.join("a.mkv")).unwrap();
    write("c.mkv.why.txt", "my notes".into());
    scanner.scan().unwrap();
    assert_eq!((due(), count()), (vec![Sidecar { path: "a.mkv".into(), says: None }], 1));
}

#[test]
fn sidecars_of_scans_go_when_they_are_not_asked_for_any_more() {
    let library = Library::new();
    library.write("a.mkv", "tiny");
    let says = ScanVerdict { reason: reasons::TOO_SMALL.into(), message: "m".into() };
    let text = av1_media::marker::scan_why_text("a.mkv", &says, "2026-01-02T03:04:05Z");
    fs::write(library.shared.library.join("a.mkv.why.txt"), text).unwrap();
    Scanner::new(&library.shared).scan().unwrap();
    let due = library.shared.catalog().sidecars(library.shared.task.settings.why_sidecars, "", 10).items;
    assert_eq!(due, [Sidecar { path: "a.mkv".into(), says: None }]);
}

/// An entry as a scan that ran ffprobe would have made it.
fn worth_encoding(library: &Library, path: &str, size: u64) {
    let verdict = Verdict {
        state: FileState::Pending,
        reason: reasons::ELIGIBLE.to_owned(),
        message: "hevc".to_owned(),
        size_before: None,
    };
    let entry = Entry { size, ..Entry::new(verdict, &Default::default(), 0, 0, 1) };
    library.shared.catalog_mut().entries.insert(Key::new(Path::new(path)), entry);
}

#[test]
fn receipts_that_cannot_be_read_keep_what_they_said_and_their_files_from_being_offered_until_they_can() {
    let library = Library::new();
    for path in ["a.mkv", "b.mkv"] {
        library.write(path, path);
    }
    library.replaced("a.mkv", 5_000);
    let mut scanner = Scanner::new(&library.shared);
    scanner.scan().unwrap();
    let receipts = library.shared.library.join(".av1/state/receipts").join(file_name("a.mkv"));
    let whole = fs::read(&receipts).unwrap();
    fs::write(&receipts, &whole[..whole.len() / 2]).unwrap();
    scanner.scan().unwrap();
    assert_eq!(library.reason("a.mkv").as_deref(), Some(reasons::ALREADY_DONE), "what was read before still holds");
    for (path, size) in [("a.mkv", 1), ("b.mkv", 2), ("moved.mkv", 5_000)] {
        worth_encoding(&library, path, size);
    }
    let catalog = || library.shared.catalog();
    let offered = || -> Vec<String> {
        let page = catalog().candidates(av1_crds::library::ScanOrder::Path, 0, 10, u64::MAX);
        page.items.into_iter().map(|item| item.path).collect()
    };
    assert_eq!(offered(), ["b.mkv"]);
    let told = catalog().file("a.mkv").unwrap();
    assert_eq!((told.state, told.reason.as_str()), (FileState::Skipped, reasons::IO_ERROR));
    assert!(told.message.contains(&file_name("a.mkv")), "{}", told.message);
    let summary = catalog().summary(ID);
    assert_eq!((summary.files.pending, summary.skipped_by_reason[reasons::IO_ERROR], summary.problem), (1, 2, None));
    // A process that never could read them, while the file is not where it was, cannot tell which it is.
    *library.shared.decisions_mut() = Default::default();
    let root = Root::open(&library.shared.library).unwrap();
    library.shared.catalog_mut().entries.remove(&Key::new(Path::new("a.mkv")));
    scanner.read_decisions(&root).unwrap();
    assert!(offered().is_empty());
    assert!(catalog().summary(ID).problem.unwrap().contains(&file_name("a.mkv")));
    fs::write(&receipts, &whole).unwrap();
    scanner.read_decisions(&root).unwrap();
    assert_eq!(offered(), ["b.mkv", "moved.mkv"]);
    assert_eq!(library.shared.decisions().about(5_000).len(), 1);
}
