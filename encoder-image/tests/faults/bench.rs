//! A library with one film, prepared by the real prepare role and brought to where a scene begins; runs the real role on it and
//! looks at what is left.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::scenes::Scene;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const METHODS: [&str; 3] = ["Exchange", "Link", "TwoRenames"];
const LIBRARY: &str = r#"{"namespace":"media","name":"films","uid":"lib-1","cluster":"cluster-1"}"#;
pub const JOB: &str = "0000-job";
pub const RUN: i64 = 3;
/// Where pictures of encodes are kept.
const STILLS_FOLDER: &str = ".av1/state/stills/";
/// What stands for them: nothing that settles looks into them.
const STILLS: &[u8] = b"pictures, before and after";

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
    /// Whether it says that it let go of its claim: the operator tells the next one of no pod that did.
    pub fn released(&self) -> bool {
        let value: Value = serde_json::from_str(&self.result).unwrap_or_default();
        value["failed"]["released"] == true
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
    pub fn finish(self, what: &str) {
        let all = self.passed + self.failed.len();
        println!("{what}: {} of {all} survived; {} passed, {} failed", self.passed, self.passed, self.failed.len());
        assert!(self.failed.is_empty() && all > 0, "{:?}", self.failed);
    }
}

pub struct Bench {
    /// For everything but the library.
    dir: tempfile::TempDir,
    /// The library's root; it goes with the bench when it is on a file system of its own.
    library: PathBuf,
    _on: Option<tempfile::TempDir>,
    pub scene: Scene,
    pub method: String,
    task: Value,
    pub original: Vec<u8>,
    pub output: Vec<u8>,
    user: Option<u32>,
}

/// The ways to swap that are tested: all three, or on a file system of its own the one that prepare finds.
pub fn methods() -> Vec<&'static str> {
    if own_file_system().is_some() { vec!["auto"] } else { METHODS.to_vec() }
}

/// A mounted file system on which libraries are made; none: the temporary folder's.
pub fn own_file_system() -> Option<PathBuf> {
    std::env::var_os("AV1_FAULTS_ON").map(PathBuf::from)
}

impl Bench {
    pub fn new(scene: Scene, method: &str) -> Self {
        Self::with_sizes(scene, method, None, 300_000, 100_000)
    }

    /// With the library at `root`, such as a small disk, whose content goes.
    pub fn with_sizes(scene: Scene, method: &str, root: Option<&Path>, before: usize, after: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let on = own_file_system().filter(|_| root.is_none()).map(|on| tempfile::tempdir_in(on).unwrap());
        let library = match (root, &on) {
            (Some(root), _) => {
                clear(root);
                root.to_owned()
            }
            (None, Some(on)) => on.path().to_owned(),
            (None, None) => dir.path().join("library"),
        };
        let film = library.join(scene.source());
        std::fs::create_dir_all(film.parent().unwrap()).unwrap();
        let (original, output) = (noise(before, 1), noise(after, 2));
        std::fs::write(&film, &original).unwrap();
        let mut bench = Self {
            dir,
            library: library.clone(),
            _on: on,
            scene,
            method: method.to_owned(),
            task: Value::Null,
            original,
            output,
            user: None,
        };
        let prepare = json!({"library": bench.library_id(), "subPath": "", "step": "make"});
        let prepared = bench.agent("prepare", &prepare, "pod-0", None).wait_for();
        assert_eq!(prepared.code, Some(0), "{prepared:?}");
        let prepared: Value = serde_json::from_str(&prepared.result).unwrap();
        if method == "auto" {
            prepared["done"]["swap"].as_str().unwrap().clone_into(&mut bench.method);
            let wanted = std::env::var("AV1_FAULTS_SWAP").unwrap_or_else(|_| bench.method.clone());
            assert_eq!(bench.method, wanted, "prepare found another way to swap: {prepared}");
        }
        let work = library.join(format!(".av1/work/{JOB}/{RUN}"));
        std::fs::create_dir_all(work.join("chunks/deep")).unwrap();
        std::fs::write(work.join("out.mkv"), &bench.output).unwrap();
        std::fs::write(work.join("report.json"), br#"{"a":"report"}"#).unwrap();
        std::fs::write(work.join("stills.json"), STILLS).unwrap();
        std::fs::write(work.join("chunks/deep/1.ivf"), "chunk").unwrap();
        let settle = scene.settle_task(&bench, &prepared["done"]["volumeId"], &bench.method);
        bench.task = scene.begin(&bench, settle);
        bench
    }

    /// The end of a run that nothing disturbs.
    pub fn undisturbed(scene: Scene, method: &str) -> End {
        Self::new(scene, method).undisturbed_end()
    }

    pub fn undisturbed_end(&self) -> End {
        let run = self.next("pod-1", &[], None);
        assert_eq!(run.code, Some(0), "{run:?}");
        let end = self.end();
        self.scene.is_right_end(self, &end);
        self.stills_are_kept(false).unwrap();
        end
    }

    #[allow(clippy::unused_self)] // it is the same for all
    pub fn library_id(&self) -> Value {
        serde_json::from_str(LIBRARY).unwrap()
    }

    /// Every point that an undisturbed run passes.
    pub fn trace(&self) -> Vec<String> {
        let trace = self.dir.path().join("trace");
        let mut command = self.command(self.scene.role(), &self.task, "pod-1");
        let run = Started(spawn(command.env("AV1_TRACE_FAILPOINTS", &trace)), self.log("pod-1")).wait_for();
        assert_eq!(run.code, Some(0), "{run:?}");
        let mut points: Vec<String> = Vec::new();
        for point in std::fs::read_to_string(trace).unwrap().lines() {
            if !points.iter().any(|seen| seen == point) {
                points.push(point.to_owned());
            }
        }
        points
    }

    /// The scene's task.
    pub fn next(&self, pod: &str, takeover: &[&str], points: Option<&str>) -> Run {
        self.run(self.scene.role(), &self.task, pod, takeover, points)
    }

    pub fn run(&self, role: &str, task: &Value, pod: &str, takeover: &[&str], points: Option<&str>) -> Run {
        let mut task = task.clone();
        task["takeoverFrom"] = json!(takeover);
        self.agent(role, &task, pod, points).wait_for()
    }

    /// A task with `fields`, and these of the scene's.
    pub fn task_with(&self, mut fields: Value, same: &[&str]) -> Value {
        same.iter().for_each(|name| fields[*name] = self.task[*name].clone());
        fields
    }

    /// With fields of the task changed.
    pub fn changed(&self, change: &str) -> Run {
        let mut task = self.task.clone();
        let change: serde_json::Map<String, Value> = serde_json::from_str(change).unwrap();
        change.into_iter().for_each(|(key, value)| task[key] = value);
        self.agent(self.scene.role(), &task, "pod-1", None).wait_for()
    }

    /// Runs until `point`, does `meanwhile` there, and lets it go on.
    pub fn held<T>(&self, pod: &str, point: &str, meanwhile: impl FnOnce() -> T) -> (Run, T) {
        let (trace, go) = (self.dir.path().join(format!("trace-{pod}")), self.dir.path().join(format!("go-{pod}")));
        let mut command = self.command(self.scene.role(), &self.task, pod);
        command.env("AV1_TRACE_FAILPOINTS", &trace).env("AV1_HOLD_UNTIL", &go);
        command.env("FAILPOINTS", format!("{point}=return(hold)"));
        let mut started = Started(spawn(&mut command), self.log(pod));
        // Long enough for any machine: a point that is not passed shows by the end of the process.
        let limit = Instant::now() + Duration::from_secs(900);
        while !std::fs::read_to_string(&trace).unwrap_or_default().lines().any(|line| line == point) {
            let ended = started.0.try_wait().unwrap();
            if ended.is_some() || Instant::now() > limit {
                let _ = started.0.kill();
                panic!("{point} was not passed: {ended:?} {:?}", started.wait_for());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let made = meanwhile();
        std::fs::write(go, "").unwrap();
        (started.wait_for(), made)
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
        Started(spawn(&mut command), self.log(pod))
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
        self.library.clone()
    }

    /// All that jobs left in `.av1` is two days old.
    pub fn age(&self) {
        let own = self.library().join(".av1");
        ["work", "state/claims", "state/journal"].iter().for_each(|below| age(&own.join(below)));
    }

    pub fn film(&self) -> PathBuf {
        self.library().join(self.scene.film())
    }

    pub fn write_film(&self, bytes: &[u8]) {
        std::fs::write(self.film(), bytes).unwrap();
    }

    /// As another program does it: a new file renamed over.
    pub fn replace_film(&self, bytes: &[u8]) {
        let new = self.library().join(".av1/new");
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
        // In large steps first; what is not on the disk yet may still turn out not to fit, so the smallest come after a sync.
        let block = [0x5A; 1 << 18];
        for size in [1 << 18, 4096] {
            while filler.write_all(&block[..size]).is_ok() {}
            let _ = filler.sync_all();
        }
        while filler.write_all(&block[..4096]).and_then(|()| filler.sync_all()).is_ok() {}
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

    /// The promise: the name holds the whole original or the whole output (or, between two renames, nothing), and what must
    /// survive is whole somewhere.
    pub fn whole(&self, when: &str) -> Result<(), String> {
        let films: Vec<Vec<u8>> =
            self.scene.names().iter().filter_map(|name| std::fs::read(self.library().join(name)).ok()).collect();
        if let Some(film) = films.iter().find(|film| **film != self.original && **film != self.output) {
            return Err(format!("{when}: a name holds {} bytes that are neither original nor output", film.len()));
        }
        if films.is_empty() && self.method != "TwoRenames" && !self.scene.may_be_empty() {
            return Err(format!("{when}: the name holds nothing"));
        }
        self.lost(&self.names()).map_or(Ok(()), |lost| Err(format!("{when}: the {lost} is nowhere")))
    }

    /// What must survive and is not among these contents.
    pub fn lost(&self, names: &BTreeMap<String, String>) -> Option<&'static str> {
        let has = |bytes: &[u8]| names.values().any(|found| *found == hash(bytes));
        match self.scene.survivors() {
            (true, _) if !has(&self.original) => Some("original"),
            (_, true) if !has(&self.output) => Some("output"),
            _ => None,
        }
    }

    /// The stills are kept beside the receipts, whole; after a failure to write them they may be missing.
    pub fn stills_are_kept(&self, may_be_missing: bool) -> Result<(), String> {
        let names = self.names();
        let kept: Vec<_> = names.iter().filter(|(path, _)| path.starts_with(STILLS_FOLDER)).collect();
        let name = format!("{STILLS_FOLDER}{JOB}.{RUN}.json");
        match kept[..] {
            [] if may_be_missing || !self.scene.is_settled() => Ok(()),
            [(path, content)] if *path == name && *content == hash(STILLS) => Ok(()),
            _ => Err(format!("the stills are {kept:?}")),
        }
    }

    /// After an orderly failure before any name changed no copy stays beside the file.
    pub fn no_copy_is_left_when_untouched(&self) -> Result<(), String> {
        let start = if self.scene.role() == "restore" { &self.output } else { &self.original };
        let untouched = self.read_film().is_some_and(|bytes| bytes == *start) && self.scene != Scene::UndoUndo;
        let (left, others): (Vec<String>, Vec<String>) =
            self.beside().into_iter().partition(|name| name.starts_with(".av1-"));
        if untouched && others.len() == 1 && !left.is_empty() {
            return Err(format!("left beside the file: {left:?}"));
        }
        Ok(())
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

    /// Like [`Self::names`], without what is different in each run, and without the stills, which a failure may cost.
    pub fn end(&self) -> End {
        let mut end = self.names();
        end.retain(|path, _| !path.starts_with(STILLS_FOLDER));
        let varying = |path: &str| {
            path.starts_with(".av1/state/receipts/")
                || path.starts_with(".av1/trash/") && path.ends_with(".json")
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
            "holds",
            "replacementPath",
            "resultPath",
        ];
        let restored = |entry: &Value| {
            let restored = &entry["restored"];
            format!("{} {} {}", restored["wanted"], restored["path"], restored["replaced"]["trash"])
        };
        entries
            .iter()
            .map(|entry| fields.map(|field| entry[field].to_string()).join(" ") + &restored(entry))
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

/// Starts a program that was written just now: another test's child may hold it open for writing until it has become its own program.
fn spawn(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Err(e) if e.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            started => return started.unwrap(),
        }
    }
}

fn age(path: &Path) {
    if path.is_dir() {
        std::fs::read_dir(path).unwrap().for_each(|entry| age(&entry.unwrap().path()));
    }
    let old = std::time::SystemTime::now() - Duration::from_secs(2 * 24 * 3_600);
    std::fs::File::open(path).unwrap().set_modified(old).unwrap();
}

fn give(path: &Path, user: u32) {
    std::os::unix::fs::lchown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() && !path.is_symlink() {
        std::fs::read_dir(path).unwrap().for_each(|entry| give(&entry.unwrap().path(), user));
    }
}

/// Empties a folder; what is on another file system, a mount or a subvolume, stays as an empty folder.
fn clear(folder: &Path) {
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            clear(&path);
            if device(&path) == device(folder) {
                let _ = std::fs::remove_dir(&path);
            }
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

pub fn identity(path: &Path) -> Value {
    let meta = std::fs::metadata(path).unwrap();
    let bytes = std::fs::read(path).unwrap();
    let samples = av1_media::identity::samples(meta.len())
        .map(|(offset, length)| &bytes[usize::try_from(offset).unwrap()..][..length]);
    json!({"size": meta.len().to_string(), "modifiedTimeNs": (meta.mtime() * 1_000_000_000 + meta.mtime_nsec()).to_string(),
           "changedTimeNs": (meta.ctime() * 1_000_000_000 + meta.ctime_nsec()).to_string(), "inode": meta.ino().to_string(),
           "fingerprint": av1_media::identity::fingerprint(meta.len(), samples)})
}

pub fn hash(bytes: &[u8]) -> String {
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
