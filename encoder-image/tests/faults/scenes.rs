//! The situations in which faults happen: each is a library with one film, made by the real roles, and the task that comes next.

use std::fs;

use serde_json::{Value, json};

use super::bench::{Bench, End, JOB, RUN, hash, identity};

/// What the next task does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scene {
    /// Settle: the output takes the place of the original.
    Replace,
    /// Settle: the file stays, with marker and sidecar.
    Reject,
    /// Settle: the output is put beside the original.
    Beside,
    /// Settle: the original stays beside the output.
    KeepBeside,
    /// Settle: the output has another container, and so another name.
    Container,
    /// Settle: the figures are written down.
    Report,
    /// Restore: the original takes the place of the output again.
    Undo,
    /// Restore: the other way round, after that.
    UndoUndo,
    /// Restore: the original has another container.
    UndoContainer,
    /// Restore: the output was moved to another folder and name.
    UndoRenamed,
    /// Restore: somebody deleted the output.
    UndoDeleted,
    /// Restore: the original was kept beside the output.
    UndoBeside,
    /// Purge: the original's time is past, and a job's work folder is left.
    Purge,
    /// Purge: a deleted job's pod was killed in the middle of a swap.
    Deleted,
    /// Mark: the user wants the file to stay.
    Mark,
    /// Sidecars: one is to be written, one to be removed.
    Sidecars,
}

use Scene::{
    Beside, Container, Deleted, KeepBeside, Mark, Purge, Reject, Replace, Report, Sidecars, Undo, UndoBeside,
    UndoContainer, UndoDeleted, UndoRenamed, UndoUndo,
};

pub const ALL: [Scene; 16] = [
    Replace,
    Reject,
    Beside,
    KeepBeside,
    Container,
    Report,
    Undo,
    UndoUndo,
    UndoContainer,
    UndoRenamed,
    UndoDeleted,
    UndoBeside,
    Purge,
    Deleted,
    Mark,
    Sidecars,
];

const FILM: &str = "Heat (1995)/film.mkv";
const AVI: &str = "Heat (1995)/film.avi";
const MOVED: &str = "Elsewhere/Heat.mkv";
const BESIDE: &str = "Heat (1995)/film.av1.mkv";
const GONE: &str = "Heat (1995)/gone.mkv";
const KEPT: &str = "Heat (1995)/film.mkv.orig";

impl Scene {
    pub fn role(self) -> &'static str {
        match self {
            Replace | Reject | Beside | KeepBeside | Container | Report => "settle",
            Undo | UndoUndo | UndoContainer | UndoRenamed | UndoDeleted | UndoBeside => "restore",
            Purge | Deleted => "purge",
            Mark => "mark",
            Sidecars => "sidecars",
        }
    }

    /// Whether an encode has been settled when all is done.
    pub fn is_settled(self) -> bool {
        !matches!(self, Mark | Sidecars)
    }

    /// Where the film is when it is made.
    pub fn source(self) -> &'static str {
        if matches!(self, Container | UndoContainer) { AVI } else { FILM }
    }

    /// Where the film is when the next task begins, or was.
    pub fn film(self) -> &'static str {
        match self {
            Container => AVI,
            UndoRenamed => MOVED,
            _ => FILM,
        }
    }

    /// Paths of which at least one holds a whole film at every instant.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Container | UndoContainer => &[AVI, FILM],
            UndoRenamed => &[MOVED],
            _ => &[FILM],
        }
    }

    /// Whether the names may hold nothing: there was nothing to begin with.
    pub fn may_be_empty(self) -> bool {
        self == UndoDeleted
    }

    /// Whether original and output must be somewhere, whatever happens.
    pub fn survivors(self) -> (bool, bool) {
        match self {
            Undo | UndoUndo | UndoContainer | UndoRenamed | UndoBeside => (true, true),
            Purge => (false, true),
            _ => (true, false),
        }
    }

    pub fn verdict(self) -> &'static str {
        if self == Reject { "Rejected" } else { "Encoded" }
    }

    /// The settings that are not the defaults.
    fn settings(self) -> Value {
        match self {
            Beside => json!({"replacementMode": "Beside"}),
            Report => json!({"replacementMode": "ReportOnly"}),
            KeepBeside | UndoBeside => json!({"originals": "KeepBeside"}),
            Purge => json!({"trashRetentionSeconds": 0}),
            _ => json!({}),
        }
    }

    /// The settle task: the one that comes next, or the one that comes before it.
    pub fn settle_task(self, bench: &Bench, volume: &Value, method: &str) -> Value {
        let mut settings = json!({"profile": "QualityFirst", "tier": "High", "dropLanguages": [], "durationToleranceMillis": 1000,
            "maxPercent": 90, "trashRetentionSeconds": 3600, "modifiedTime": "Now", "whySidecars": "Jobs"});
        for (key, value) in self.settings().as_object().unwrap() {
            settings[key] = value.clone();
        }
        let mut task = json!({
            "library": bench.library_id(), "job": {"name": "films-heat", "uid": JOB, "run": RUN}, "volumeId": volume,
            "path": self.source(), "source": identity(&bench.library().join(self.source())), "verdict": self.verdict(),
            "reason": if self == Reject { "NotSmaller" } else { "Encoded" }, "message": "100000 of 300000 bytes",
            "reportSha256": hash(br#"{"a":"report"}"#), "swap": method, "settings": settings,
        });
        if self != Reject {
            task["output"] = json!({"name": "out.mkv", "size": bench.output.len(), "sha256": hash(&bench.output)});
        }
        if matches!(self, Container | UndoContainer) {
            task["output"]["target"] = json!(FILM);
        }
        task
    }

    /// Brings the library to where the scene begins; the task that comes next.
    pub fn begin(self, bench: &Bench, settle: Value) -> Value {
        let (library, id, volume) = (bench.library(), settle["library"].clone(), settle["volumeId"].clone());
        let common = |job: &str, run: i64| json!({"library": id, "volumeId": volume, "path": self.source(), "job": {"name": "films-heat", "uid": job, "run": run}});
        let restore = |job: &str, run: i64, wanted: &str| {
            let mut task = common(job, run);
            task["wanted"] = json!(wanted);
            task["trashRetentionSeconds"] = json!(3600);
            task["swap"] = settle["swap"].clone();
            task
        };
        if self.role() == "settle" {
            return settle;
        }
        if self == Mark {
            let mut task = common(JOB, RUN);
            task["action"] = json!("Skip");
            return task;
        }
        if self == Sidecars {
            let text = "av1-operator: why this file was left as it is\n\nFile:    gone.mkv\nResult:  passed over by the scan (TooSmall)\n";
            fs::write(library.join(format!("{GONE}.why.txt")), text).unwrap();
            let says = json!({"reason": "TooSmall", "message": "300000 bytes"});
            return json!({"library": id, "volumeId": volume, "sidecars": [{"path": FILM, "says": says}, {"path": GONE}]});
        }
        if self == Deleted {
            // Each way to swap passes one of these.
            let points =
                ["exchange", "rename_over", "rename_away"].map(|step| format!("settle::{step}::after=return(kill)"));
            assert!(bench.run("settle", &settle, "pod-0", &[], Some(&points.join(";"))).killed, "{self:?}");
            bench.age();
            return json!({"library": id, "volumeId": volume, "unfinished": [JOB], "work": [JOB]});
        }
        let done = |role: &str, task: &Value| {
            let run = bench.run(role, task, "pod-0", &[], None);
            assert_eq!(run.code, Some(0), "{self:?} {role}: {run:?}");
        };
        done("settle", &settle);
        match self {
            UndoUndo => {
                done("restore", &restore(JOB, RUN + 1, "Original"));
                restore(JOB, RUN + 2, "Encoded")
            }
            UndoRenamed => {
                fs::create_dir_all(library.join("Elsewhere")).unwrap();
                fs::rename(library.join(FILM), library.join(MOVED)).unwrap();
                restore("0001-job", 1, "Original")
            }
            UndoDeleted => {
                fs::remove_file(library.join(FILM)).unwrap();
                restore(JOB, RUN + 1, "Original")
            }
            Purge => {
                fs::create_dir_all(library.join(".av1/work/0002-job/1/chunks")).unwrap();
                fs::write(library.join(".av1/work/0002-job/1/chunks/1.ivf"), "chunk").unwrap();
                bench.age();
                let trash = format!(".av1/trash/{JOB}/film.mkv");
                json!({"library": id, "volumeId": volume, "trash": [trash], "work": ["0002-job"]})
            }
            _ => restore(JOB, RUN + 1, "Original"),
        }
    }

    /// What an undisturbed run must leave: paths with whether the original is there, or the output, or nothing of that name.
    pub fn is_right_end(self, bench: &Bench, end: &End) {
        let (original, output) = (Some(hash(&bench.original)), Some(hash(&bench.output)));
        let trash = |name: &str| format!(".av1/trash/{JOB}/{name}");
        let moved = ".av1/trash/0001-job/Heat.mkv".to_owned();
        let wanted: Vec<(String, &Option<String>)> = match self {
            Replace | Deleted => vec![(FILM.into(), &output), (trash("film.mkv"), &original)],
            Reject | Report | Mark => vec![(FILM.into(), &original)],
            Sidecars => vec![(FILM.into(), &original), (format!("{GONE}.why.txt"), &None)],
            Beside => vec![(FILM.into(), &original), (BESIDE.into(), &output)],
            KeepBeside => vec![(FILM.into(), &output), (KEPT.into(), &original)],
            Container => vec![(AVI.into(), &None), (FILM.into(), &output), (trash("film.avi"), &original)],
            Undo => vec![(FILM.into(), &original), (trash("film.mkv.1"), &output), (trash("film.mkv"), &None)],
            UndoUndo => vec![(FILM.into(), &output), (trash("film.mkv"), &original), (trash("film.mkv.1"), &None)],
            UndoContainer => vec![(AVI.into(), &original), (FILM.into(), &None), (trash("film.mkv"), &output)],
            UndoRenamed => vec![(MOVED.into(), &original), (moved, &output), (trash("film.mkv"), &None)],
            UndoDeleted => vec![(FILM.into(), &original), (trash("film.mkv"), &None)],
            UndoBeside => vec![(FILM.into(), &original), (KEPT.into(), &None), (trash("film.mkv"), &output)],
            Purge => vec![(FILM.into(), &output), (trash("film.mkv"), &None), (trash("film.mkv.json"), &None)],
        };
        for (path, content) in wanted {
            assert_eq!(end.get(&path), content.as_ref(), "{self:?} {path} {end:?}");
        }
        if matches!(self, Reject | Mark) {
            assert!(end.contains_key("Heat (1995)/film.mkv.av1skip"), "{self:?} {end:?}");
        }
        assert!(self != Sidecars || end[&format!("{FILM}.why.txt")].contains("300000 bytes"), "{end:?}");
        let receipts = end.keys().filter(|path| path.starts_with(".av1/state/receipts/")).count();
        assert_eq!(receipts, usize::from(self.is_settled()), "{self:?} {end:?}");
        // The others leave the work folder alone.
        let work = if self.is_settled() { "/work/" } else { "/.av1-" };
        let left = |path: &&String| [work, "/claims/", "/journal/", ".part", "/.av1-"].iter().any(|p| path.contains(p));
        assert_eq!(end.keys().find(left), None, "{self:?}");
    }
}
