//! A library in a temporary folder, prepared by the real prepare role, with one file whose encode has just ended; runs the
//! real settle role on it and looks at what is left.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const METHODS: [&str; 3] = ["Exchange", "Link", "TwoRenames"];
const LIBRARY: &str = r#"{"namespace":"media","name":"films","uid":"lib-1","cluster":"cluster-1"}"#;
const JOB: &str = "0000-job";
const RUN: i64 = 3;

/// One run of a role.
#[derive(Debug, Clone)]
pub struct Run {
    pub code: Option<i32>,
    pub killed: bool,
    /// The termination message.
    pub result: String,
    /// For the message of a test that fails.
    #[allow(dead_code)]
    pub stderr: String,
}

impl Run {
    pub fn retryable(&self) -> Option<bool> {
        let value: Value = serde_json::from_str(&self.result).ok()?;
        value["failed"]["retryable"].as_bool()
    }
    fn field(&self, of: &str, name: &str) -> Option<String> {
        let value: Value = serde_json::from_str(&self.result).ok()?;
        value[of][name].as_str().map(str::to_owned)
    }
    pub fn not_kept(&self) -> String {
        let value: Value = serde_json::from_str(&self.result).unwrap_or_default();
        value["done"]["notKept"].to_string()
    }
    pub fn verdict(&self) -> Option<String> {
        self.field("done", "verdict")
    }
    pub fn reason(&self) -> Option<String> {
        self.field("failed", "reason")
    }
    pub fn message(&self) -> Option<String> {
        self.field("failed", "message")
    }
}

/// What is left when all is done: every path with its content's hash; receipts without their times.
pub type End = BTreeMap<String, String>;

#[derive(Default)]
pub struct Tally {
    passed: usize,
    failed: Vec<String>,
}

impl Tally {
    pub fn count(&mut self, name: &str, result: Result<(), String>) {
        match result {
            Ok(()) => self.passed += 1,
            Err(why) => {
                println!("FAIL {name}: {why}");
                self.failed.push(name.to_owned());
            }
        }
    }
    pub fn finish(self) {
        let all = self.passed + self.failed.len();
        println!("{} of {all} survived; {} passed, {} failed", self.passed, self.passed, self.failed.len());
        assert!(self.failed.is_empty() && all > 0, "{:?}", self.failed);
    }
}

pub struct Bench {
    dir: tempfile::TempDir,
    task: Value,
    original: Vec<u8>,
    output: Vec<u8>,
    user: Option<u32>,
}

impl Bench {
    pub fn new(method: &str, verdict: &str) -> Self {
        Self::with_sizes(method, verdict, None, 300_000, 100_000)
    }

    /// With the library on `root`, such as a small disk.
    pub fn with_sizes(method: &str, verdict: &str, root: Option<&Path>, before: usize, after: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let library = root.map_or_else(|| dir.path().join("library"), Path::to_owned);
        if let Some(root) = root {
            clear(root);
            std::os::unix::fs::symlink(&library, dir.path().join("library")).unwrap();
        }
        let film = library.join("Heat (1995)/film.mkv");
        std::fs::create_dir_all(film.parent().unwrap()).unwrap();
        let (original, output) = (noise(before, 1), noise(after, 2));
        std::fs::write(&film, &original).unwrap();
        let task = json!({"library": serde_json::from_str::<Value>(LIBRARY).unwrap(), "subPath": "", "step": "make"});
        let bench = Self { dir, task, original, output, user: None };
        let prepared = bench.agent("prepare", &bench.task, "pod-0", None).wait_for();
        assert_eq!(prepared.code, Some(0), "{prepared:?}");
        let volume: Value = serde_json::from_str(&prepared.result).unwrap();
        let report = br#"{"a":"report"}"#;
        let work = library.join(format!(".av1/work/{JOB}/{RUN}"));
        std::fs::create_dir_all(work.join("chunks/deep")).unwrap();
        std::fs::write(work.join("out.mkv"), &bench.output).unwrap();
        std::fs::write(work.join("report.json"), report).unwrap();
        std::fs::write(work.join("chunks/deep/1.ivf"), "chunk").unwrap();
        let mut task = json!({
            "library": bench.task["library"], "job": {"name": "films-heat", "uid": JOB, "run": RUN}, "volumeId": volume["done"]["volumeId"],
            "path": "Heat (1995)/film.mkv", "source": identity(&film), "verdict": verdict,
            "reason": if verdict == "Encoded" { "Encoded" } else { "NotSmaller" }, "message": "100000 of 300000 bytes",
            "reportSha256": hash(report), "swap": method,
            "settings": {"profile": "QualityFirst", "tier": "High", "dropLanguages": [], "durationToleranceMillis": 1000, "maxPercent": 90,
                         "trashRetentionSeconds": 3600, "modifiedTime": "Now", "whySidecars": "Jobs"},
        });
        if verdict == "Encoded" {
            task["output"] = json!({"name": "out.mkv", "size": bench.output.len(), "sha256": hash(&bench.output)});
        }
        Self { task, ..bench }
    }

    /// The end of a run that nothing disturbs.
    pub fn undisturbed(method: &str, verdict: &str) -> End {
        Self::new(method, verdict).undisturbed_end(verdict)
    }

    pub fn undisturbed_end(&self, verdict: &str) -> End {
        let bench = self;
        let run = bench.settle("pod-1", &[], None);
        assert_eq!(run.code, Some(0), "{run:?}");
        let end = bench.end();
        if verdict == "Encoded" {
            assert_eq!(end["Heat (1995)/film.mkv"], hash(&bench.output));
            assert_eq!(end[&format!(".av1/trash/{JOB}/film.mkv")], hash(&bench.original));
        } else {
            assert_eq!(end["Heat (1995)/film.mkv"], hash(&bench.original));
            assert!(
                end.contains_key("Heat (1995)/film.mkv.av1skip") && end.contains_key("Heat (1995)/film.mkv.why.txt"),
                "{end:?}"
            );
        }
        assert!(end.keys().any(|path| path.starts_with(".av1/state/receipts/")), "{end:?}");
        assert!(
            !end.keys().any(|path| path.contains("/work/")
                || path.contains("/claims/")
                || path.contains("/journal/")
                || path.contains(".part")),
            "{end:?}"
        );
        end
    }

    /// Every point that an undisturbed run passes.
    pub fn trace(&self) -> Vec<String> {
        let trace = self.dir.path().join("trace");
        let mut command = self.command("settle", &self.task, "pod-1");
        let run = Started(command.env("AV1_TRACE_FAILPOINTS", &trace).spawn().unwrap(), self.log("pod-1")).wait_for();
        assert_eq!(run.code, Some(0), "{run:?}");
        let mut points: Vec<String> = Vec::new();
        for point in std::fs::read_to_string(trace).unwrap().lines() {
            if !points.iter().any(|seen| seen == point) {
                points.push(point.to_owned());
            }
        }
        points
    }

    pub fn settle(&self, pod: &str, takeover: &[&str], points: Option<&str>) -> Run {
        let mut task = self.task.clone();
        task["takeoverFrom"] = json!(takeover);
        self.agent("settle", &task, pod, points).wait_for()
    }

    /// With fields of the task changed.
    pub fn settle_changed(&self, change: &str) -> Run {
        let mut task = self.task.clone();
        let change: serde_json::Map<String, Value> = serde_json::from_str(change).unwrap();
        change.into_iter().for_each(|(key, value)| task[key] = value);
        self.agent("settle", &task, "pod-1", None).wait_for()
    }

    /// Runs until `point`, does `meanwhile` there, and lets it go on.
    pub fn settle_with(&self, pod: &str, point: &str, hold: Duration, meanwhile: impl FnOnce()) -> Run {
        let trace = self.dir.path().join("trace");
        let mut command = self.command("settle", &self.task, pod);
        command.env("AV1_TRACE_FAILPOINTS", &trace).env("FAILPOINTS", format!("{point}=sleep({})", hold.as_millis()));
        let started = Started(command.spawn().unwrap(), self.log(pod));
        let limit = Instant::now() + Duration::from_secs(30);
        while !std::fs::read_to_string(&trace).unwrap_or_default().lines().any(|line| line == point) {
            assert!(Instant::now() < limit, "{point} was not reached");
            std::thread::yield_now();
        }
        meanwhile();
        started.wait_for()
    }

    fn log(&self, pod: &str) -> PathBuf {
        self.dir.path().join(format!("result-{pod}"))
    }

    fn command(&self, role: &str, task: &Value, pod: &str) -> Command {
        let library = self.library();
        let mut command = Command::new(if self.user.is_some() { self.dir.path().join("agent") } else { agent() });
        command.args(["pod", role, "--pod-uid", pod, "--task", &task.to_string()]);
        command.args([
            OsStr::new("--library"),
            library.as_ref(),
            "--volume".as_ref(),
            library.as_ref(),
            "--termination-log".as_ref(),
            self.log(pod).as_ref(),
        ]);
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.env_remove("FAILPOINTS").stdin(Stdio::null()).stderr(Stdio::piped());
        command
    }

    fn agent(&self, role: &str, task: &Value, pod: &str, points: Option<&str>) -> Started {
        let mut command = self.command(role, task, pod);
        let _ = std::fs::remove_file(self.log(pod));
        if let Some(points) = points {
            command.env("FAILPOINTS", points);
        }
        Started(command.spawn().unwrap(), self.log(pod))
    }

    /// Gives everything to a user without root's rights, as whom the agent runs from now on. Only root can.
    pub fn given_to_an_ordinary_user(mut self) -> Self {
        const USER: u32 = 1000;
        // The program may lie where only root can go.
        std::fs::copy(agent(), self.dir.path().join("agent")).unwrap();
        give(self.dir.path(), USER);
        self.user = Some(USER);
        self
    }

    pub fn library(&self) -> PathBuf {
        self.dir.path().join("library")
    }

    pub fn film(&self) -> PathBuf {
        self.library().join("Heat (1995)/film.mkv")
    }

    pub fn write_film(&self, bytes: &[u8]) {
        std::fs::write(self.film(), bytes).unwrap();
    }

    /// As another program does it: a new file renamed over.
    pub fn replace_film(&self, bytes: &[u8]) {
        let new = self.dir.path().join("new");
        std::fs::write(&new, bytes).unwrap();
        std::fs::rename(new, self.film()).unwrap();
    }

    pub fn read_film(&self) -> Option<Vec<u8>> {
        std::fs::read(self.film()).ok()
    }

    /// Fills the disk but for `free` bytes; the file that does it is returned.
    pub fn fill_disk(&self, free: u64) -> PathBuf {
        use std::io::Write;
        let path = self.library().join("filler");
        let mut filler = std::fs::File::create(&path).unwrap();
        let block = [0x5A; 4096];
        while filler.write_all(&block).and_then(|()| filler.sync_all()).is_ok() {}
        let full = filler.metadata().unwrap().len();
        filler.set_len(full.saturating_sub(free)).unwrap();
        filler.sync_all().unwrap();
        path
    }

    pub fn spoil_output(&self) {
        let mut bytes = self.output.clone();
        bytes[50_000] ^= 1;
        std::fs::write(self.library().join(format!(".av1/work/{JOB}/{RUN}/out.mkv")), bytes).unwrap();
    }

    /// Names in the film's folder.
    pub fn beside(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.film().parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The promise: the name holds the whole original or the whole output (or, between two renames, nothing), and the original
    /// is whole somewhere.
    pub fn whole(&self, method: &str) -> Result<(), String> {
        let film = self.read_film();
        let at_name = film.as_ref().is_some_and(|bytes| *bytes == self.original || *bytes == self.output);
        if !(at_name || method == "TwoRenames" && film.is_none()) {
            return Err(format!(
                "the name holds {:?} bytes that are neither original nor output",
                film.map(|bytes| bytes.len())
            ));
        }
        let wanted = hash(&self.original);
        if self.names().values().any(|found| *found == wanted) {
            Ok(())
        } else {
            Err("the original is nowhere".to_owned())
        }
    }

    /// After an orderly failure before the swap no copy stays beside the file.
    pub fn no_copy_is_left_when_untouched(&self) -> Result<(), String> {
        let untouched = self.read_film().is_some_and(|bytes| bytes == self.original);
        let left: Vec<String> = self.beside().into_iter().filter(|name| name.starts_with(".av1-")).collect();
        if untouched && !left.is_empty() { Err(format!("left beside the file: {left:?}")) } else { Ok(()) }
    }

    /// Looks at the name without a pause while `work` runs; gives the number of looks, and of those that saw no whole file.
    pub fn watched(&self, work: impl FnOnce()) -> (u64, u64) {
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let watcher = scope.spawn(|| {
                let (mut looks, mut holes) = (0, 0);
                while !stop.load(Ordering::Relaxed) {
                    looks += 1;
                    holes += u64::from(
                        !self.read_film().is_some_and(|bytes| bytes == self.original || bytes == self.output),
                    );
                }
                (looks, holes)
            });
            work();
            stop.store(true, Ordering::Relaxed);
            watcher.join().unwrap()
        })
    }

    /// All files below the library with the hash of their content.
    pub fn names(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        walk(&self.library(), &self.library(), &mut found);
        found
    }

    /// Like [`Self::names`], without what is different in each run.
    pub fn end(&self) -> End {
        let mut end = self.names();
        let varying = |path: &str| {
            path.starts_with(".av1/state/receipts/")
                || path.ends_with("film.mkv.json")
                || path.ends_with(".av1skip")
                || path.ends_with(".why.txt")
                || path == ".av1/volume.json"
        };
        for (path, content) in &mut end {
            if varying(path) {
                *content = self.essence(path);
            }
        }
        end
    }

    /// The parts of a file with times in it that every run must agree on.
    fn essence(&self, path: &str) -> String {
        let text = std::fs::read_to_string(self.library().join(path)).unwrap();
        let Ok(value) = serde_json::from_str::<Value>(&text) else {
            return text.lines().filter(|line| !line.starts_with("When:")).collect();
        };
        let entries = value["entries"].as_array().map_or_else(|| vec![&value], |entries| entries.iter().collect());
        let fields = [
            "path",
            "file",
            "verdict",
            "reason",
            "sourceSha256",
            "resultSha256",
            "sha256",
            "replacementSha256",
            "original",
            "report",
            "notKept",
        ];
        entries
            .iter()
            .map(|entry| fields.map(|field| entry[field].to_string()).join(" "))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

struct Started(Child, PathBuf);

impl Started {
    fn wait_for(self) -> Run {
        let out = self.0.wait_with_output().unwrap();
        Run {
            code: out.status.code(),
            killed: out.status.signal() == Some(9),
            result: std::fs::read_to_string(&self.1).unwrap_or_default(),
            stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
}

/// The program under test. A copy may be named, so that another build meanwhile does not change it.
fn agent() -> PathBuf {
    std::env::var_os("AV1_AGENT").unwrap_or_else(|| env!("CARGO_BIN_EXE_av1-agent").into()).into()
}

fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

/// Empties a folder; mount points in it stay.
fn clear(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            clear(&path);
            let _ = std::fs::remove_dir(&path);
        } else {
            std::fs::remove_file(&path).unwrap();
        }
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(root, &path, found);
        } else if !path.starts_with(root.join("lost+found")) {
            found.insert(
                path.strip_prefix(root).unwrap().to_str().unwrap().to_owned(),
                hash(&std::fs::read(&path).unwrap()),
            );
        }
    }
}

fn identity(path: &Path) -> Value {
    let meta = std::fs::metadata(path).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let samples = av1_media::identity::samples(meta.len())
        .map(|(offset, length)| &bytes[usize::try_from(offset).unwrap()..][..length]);
    json!({"size": meta.len().to_string(), "modifiedTimeNs": (meta.mtime() * 1_000_000_000 + meta.mtime_nsec()).to_string(),
           "changedTimeNs": (meta.ctime() * 1_000_000_000 + meta.ctime_nsec()).to_string(), "inode": meta.ino().to_string(),
           "fingerprint": av1_media::identity::fingerprint(meta.len(), samples)})
}

fn hash(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Bytes that look random and are the same each time.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    })
    .take(length)
    .collect()
}
