//! The one module that starts programs. Each runs in its own process group that is killed as a whole, with no stdin, without
//! a way to the network ([`confine`]), with its stderr cut to the last kilobytes, and within a time limit.
//!
//! May: run programs, send them signals, read `/proc` of their group. Must never: know what the programs are for.

mod confine;
mod disturbance;

use std::ffi::OsString;
use std::io::{self, Read};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use av1_crds::figures;
use av1_media::command::{Bounds, Command};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, kill_process_group, waitpgid};

pub(crate) use disturbance::lost_touch;

/// Bytes of stderr that are kept: its end.
const STDERR_KEPT: usize = 8 << 10;
/// This program itself, also when its file was replaced or removed meanwhile.
const OWN: &str = "/proc/self/exe";
/// How often a waiting call looks whether it has to stop.
const TICK: Duration = Duration::from_millis(100);
/// How long a killed group may take to vanish.
const KILL_LIMIT: Duration = Duration::from_secs(20);

static STOP: AtomicBool = AtomicBool::new(false);

/// Asks every running [`capture`] and [`stream`] to end; they kill their program and return [`SuperviseError::Stopped`].
pub(crate) fn request_stop() {
    STOP.store(true, Ordering::SeqCst);
}

/// Whether [`request_stop`] was called.
pub(crate) fn stop_requested() -> bool {
    STOP.load(Ordering::SeqCst)
}

/// Bounds of one call.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Longest run; the program is killed then.
    pub(crate) wall: Duration,
    /// Most bytes of stdout that are kept ([`capture`]) or that a line may have ([`stream`]); more is an error.
    pub(crate) stdout: usize,
}

/// What a program wrote.
#[derive(Debug, Clone)]
pub(crate) struct Captured {
    /// All of stdout.
    pub(crate) stdout: Vec<u8>,
    /// The end of stderr.
    pub(crate) stderr_tail: String,
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SuperviseError {
    #[error("{program} is not installed")]
    NotFound { program: &'static str },
    #[error("{program} could not be started: {source}")]
    Start { program: &'static str, source: io::Error },
    #[error("{program} failed ({status}): {}", last_lines(stderr_tail))]
    Failed { program: &'static str, status: String, stderr_tail: String },
    /// Killed, or in trouble with disk, network or memory: that says nothing about the files it worked on.
    #[error("{program} was disturbed ({status}): {}", last_lines(stderr_tail))]
    Disturbed { program: &'static str, status: String, stderr_tail: String },
    /// It reached one of the bounds that its call sets.
    #[error("{program} needed more than {bound}")]
    OutOfBounds { program: &'static str, bound: String },
    #[error("{program} was stopped after its limit of {seconds} s")]
    TimedOut { program: &'static str, seconds: u64 },
    #[error("{program} wrote more than {limit} bytes")]
    TooMuchOutput { program: &'static str, limit: usize },
    #[error("{program} was stopped, because the pod is to end")]
    Stopped { program: &'static str },
    #[error("reading from {program}: {source}")]
    Read { program: &'static str, source: io::Error },
}

impl SuperviseError {
    /// Whether the program ran out of space on a file system.
    pub(crate) fn is_no_space(&self) -> bool {
        matches!(self, Self::Disturbed { stderr_tail, .. } if disturbance::no_space(stderr_tail))
    }
}

/// Runs `command` to its end and returns what it wrote.
///
/// # Errors
/// [`SuperviseError`] when it can't be started, fails, takes too long or writes too much.
pub(crate) fn capture(command: &Command, limits: &Limits) -> Result<Captured, SuperviseError> {
    capture_unless(&AtomicBool::new(false), command, limits)
}

/// [`capture`], which ends as soon as `stop` becomes true, too.
///
/// # Errors
/// As of [`capture`].
pub(crate) fn capture_unless(
    stop: &AtomicBool,
    command: &Command,
    limits: &Limits,
) -> Result<Captured, SuperviseError> {
    let mut stdout = Vec::new();
    let stderr_tail = run(stop, command, limits, &mut |chunk| {
        stdout.extend_from_slice(chunk);
        stdout.len() <= limits.stdout
    })?;
    Ok(Captured { stdout, stderr_tail })
}

/// Runs `command` to its end and hands over each line of its stdout as it comes, without the newline; bytes that are not
/// UTF-8 are replaced. Returns the end of stderr.
///
/// # Errors
/// [`SuperviseError`] when it can't be started, fails, takes too long or writes a line that is too long.
pub(crate) fn stream(
    command: &Command,
    limits: &Limits,
    on_stdout_line: &mut dyn FnMut(&str),
) -> Result<String, SuperviseError> {
    let mut pending: Vec<u8> = Vec::new();
    let stderr_tail = run(&AtomicBool::new(false), command, limits, &mut |chunk| {
        pending.extend_from_slice(chunk);
        let mut from = 0;
        while let Some(length) = pending[from..].iter().position(|b| *b == b'\n') {
            on_stdout_line(&String::from_utf8_lossy(&pending[from..from + length]));
            from += length + 1;
        }
        pending.drain(..from);
        pending.len() <= limits.stdout
    })?;
    if !pending.is_empty() {
        on_stdout_line(&String::from_utf8_lossy(&pending));
    }
    Ok(stderr_tail)
}

/// Runs `command`; `on_chunk` returns false when it has had enough.
fn run(
    stop: &AtomicBool,
    command: &Command,
    limits: &Limits,
    on_chunk: &mut dyn FnMut(&[u8]) -> bool,
) -> Result<String, SuperviseError> {
    let program = command.program;
    let deadline = Instant::now() + limits.wall;
    let mut running = Running::spawn(command, None, Stdio::null(), Stdio::piped())?;
    let chunks = running.stdout_chunks();
    let end = |error| Err(error);
    loop {
        match chunks.recv_timeout(TICK) {
            Ok(Ok(chunk)) if on_chunk(&chunk) => {}
            Ok(Ok(_)) => {
                return end(SuperviseError::TooMuchOutput { program, limit: limits.stdout });
            }
            Ok(Err(source)) => return end(SuperviseError::Read { program, source }),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        running.check_limits(stop, deadline, limits)?;
    }
    let status = loop {
        if let Some(status) = running.poll().map_err(|source| SuperviseError::Read { program, source })? {
            break status;
        }
        running.check_limits(stop, deadline, limits)?;
        std::thread::sleep(Duration::from_millis(2));
    };
    let stderr_tail = running.end();
    // Not of one that ended well: decoders use the same words for content that they make no sense of.
    if status.success() {
        Ok(stderr_tail)
    } else if let Some(bound) = reached(command.bounds, status, &stderr_tail) {
        Err(SuperviseError::OutOfBounds { program, bound })
    } else if status.code().is_none() || disturbance::is_likely(&stderr_tail) {
        Err(SuperviseError::Disturbed { program, status: describe(status), stderr_tail })
    } else {
        Err(SuperviseError::Failed { program, status: describe(status), stderr_tail })
    }
}

/// The bound that a program failed at, in words.
fn reached(bounds: Bounds, status: ExitStatus, stderr_tail: &str) -> Option<String> {
    use std::os::unix::process::ExitStatusExt;
    if status.signal() == Some(Signal::XCPU.as_raw()) {
        return bounds.cpu_seconds.map(|seconds| format!("{seconds} s of CPU time"));
    }
    let memory = bounds.memory.filter(|_| stderr_tail.contains(disturbance::NO_MEMORY))?;
    Some(format!("{} of memory", figures::size(memory)))
}

/// A program that runs beside the caller. Its whole process group is killed when this is dropped.
pub(crate) struct Running {
    program: &'static str,
    child: Child,
    group: Pid,
    status: Option<ExitStatus>,
    stderr: Arc<Mutex<Vec<u8>>>,
    stderr_reader: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts `command` in `folder`; its stdout is thrown away.
    ///
    /// # Errors
    /// [`SuperviseError::NotFound`] or [`SuperviseError::Start`].
    pub(crate) fn start(command: &Command, folder: &Path) -> Result<Self, SuperviseError> {
        Self::spawn(command, Some(folder), Stdio::null(), Stdio::null())
    }

    /// Starts this program itself with other arguments, in a process of its own; `held` stays open in it as its stdin.
    ///
    /// # Errors
    /// [`SuperviseError::Start`].
    pub(crate) fn start_own(args: &[OsString], env: &[(&str, OsString)], held: Stdio) -> Result<Self, SuperviseError> {
        let mut command = Command::new(OWN).args(args);
        command.env = env.iter().map(|(name, value)| (OsString::from(name), value.clone())).collect();
        Self::spawn(&command, None, held, Stdio::null())
    }

    fn spawn(command: &Command, folder: Option<&Path>, stdin: Stdio, stdout: Stdio) -> Result<Self, SuperviseError> {
        use std::os::unix::process::CommandExt;
        let program = command.program;
        let mut process = std::process::Command::new(program);
        process.args(&command.args).envs(command.env.iter().map(|(k, v)| (k, v)));
        process.stdin(stdin).stdout(stdout).stderr(Stdio::piped()).process_group(0);
        if let Some(folder) = folder {
            process.current_dir(folder);
        }
        confine::confine(&mut process, command.bounds, program == OWN)
            .map_err(|source| SuperviseError::Start { program, source })?;
        let mut child = process.spawn().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SuperviseError::NotFound { program },
            _ => SuperviseError::Start { program, source },
        })?;
        let stderr = Arc::new(Mutex::new(Vec::new()));
        let stderr_reader = child.stderr.take().map(|pipe| {
            let tail = Arc::clone(&stderr);
            std::thread::spawn(move || keep_tail(pipe, &tail))
        });
        let group = Pid::from_child(&child);
        Ok(Self { program, child, group, status: None, stderr, stderr_reader })
    }

    fn stdout_chunks(&mut self) -> Receiver<io::Result<Vec<u8>>> {
        let (sender, receiver) = sync_channel(16);
        if let Some(pipe) = self.child.stdout.take() {
            std::thread::spawn(move || send_chunks(pipe, &sender));
        }
        receiver
    }

    fn check_limits(&mut self, stop: &AtomicBool, deadline: Instant, limits: &Limits) -> Result<(), SuperviseError> {
        if stop_requested() || stop.load(Ordering::Relaxed) {
            return Err(SuperviseError::Stopped { program: self.program });
        }
        if Instant::now() > deadline {
            return Err(SuperviseError::TimedOut { program: self.program, seconds: limits.wall.as_secs() });
        }
        Ok(())
    }

    /// The program's exit status, once it has ended.
    ///
    /// # Errors
    /// When the kernel can't say.
    pub(crate) fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        if self.status.is_none() {
            self.status = self.child.try_wait()?;
        }
        Ok(self.status)
    }

    /// Sends a signal to the program alone; one that has ended is let be.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.status.is_none() {
            let _ = kill_process(self.group, signal);
        }
    }

    /// CPU time used by the program's group, its ended and reaped children included.
    pub(crate) fn cpu_time(&self) -> Duration {
        let ticks: u64 = group_members(self.group).iter().map(|member| member.cpu_ticks).sum();
        let per_second = rustix::param::clock_ticks_per_second().max(1);
        Duration::from_millis(ticks.saturating_mul(1_000) / per_second)
    }

    /// Kills what is left of the group, waits until it is gone, and returns the end of stderr.
    pub(crate) fn end(&mut self) -> String {
        self.kill_group();
        if let Some(reader) = self.stderr_reader.take() {
            let _ = reader.join();
        }
        self.stderr.lock().map(|tail| String::from_utf8_lossy(&tail).trim().to_owned()).unwrap_or_default()
    }

    fn kill_group(&mut self) {
        let deadline = Instant::now() + KILL_LIMIT;
        loop {
            let alive = self.status.is_none() || !group_members(self.group).is_empty();
            if !alive || Instant::now() > deadline {
                return;
            }
            let _ = kill_process_group(self.group, Signal::KILL);
            if self.status.is_none() {
                self.status = self.child.try_wait().ok().flatten();
            } else {
                // As the first process of a container the agent inherits the orphans of the group.
                while let Ok(Some(_)) = waitpgid(self.group, WaitOptions::NOHANG) {}
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// Kills programs of the given names that stand in `folder`: what an earlier agent left behind when it was killed outside of
/// a container. Returns how many there were.
///
/// # Errors
/// When one of them is still there after the limit.
pub(crate) fn kill_left_behind(folder: &Path, names: &[&str]) -> io::Result<usize> {
    let mut killed = std::collections::BTreeSet::new();
    let deadline = Instant::now() + KILL_LIMIT;
    loop {
        let left: Vec<Process> =
            processes().filter(|p| names.contains(&p.name.as_str()) && p.stands_in(folder)).collect();
        if left.is_empty() {
            return Ok(killed.len());
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!(
                "{} programs of an earlier run in {} do not end",
                left.len(),
                folder.display()
            )));
        }
        for pid in left.iter().filter_map(|p| Pid::from_raw(p.pid)) {
            let _ = kill_process(pid, Signal::KILL);
            killed.insert(pid.as_raw_nonzero());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What `/proc/PID/stat` says of a process that is not a zombie.
struct Process {
    pid: i32,
    name: String,
    group: i32,
    cpu_ticks: u64,
}

impl Process {
    fn parse(stat: &str) -> Option<Self> {
        let (head, rest) = stat.rsplit_once(')')?;
        let (pid, name) = head.split_once('(')?;
        let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
        if matches!(*fields.first()?, "Z" | "X") {
            return None;
        }
        let cpu_ticks = fields
            .get(11..15)?
            .iter()
            .filter_map(|f| f.parse::<i64>().ok())
            .filter_map(|t| u64::try_from(t).ok())
            .sum();
        Some(Self {
            pid: pid.trim().parse().ok()?,
            name: name.to_owned(),
            group: fields.get(2)?.parse().ok()?,
            cpu_ticks,
        })
    }

    fn stands_in(&self, folder: &Path) -> bool {
        std::fs::read_link(format!("/proc/{}/cwd", self.pid)).is_ok_and(|cwd| cwd == folder)
    }
}

fn processes() -> impl Iterator<Item = Process> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit()))
        .filter_map(|entry| Process::parse(&std::fs::read_to_string(entry.path().join("stat")).ok()?))
}

fn group_members(group: Pid) -> Vec<Process> {
    processes().filter(|process| process.group == group.as_raw_nonzero().get()).collect()
}

fn keep_tail(mut pipe: impl Read, tail: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = pipe.read(&mut buffer) {
        let Ok(mut tail) = tail.lock() else { return };
        tail.extend_from_slice(&buffer[..count]);
        let surplus = tail.len().saturating_sub(STDERR_KEPT);
        tail.drain(..surplus);
    }
}

fn send_chunks(mut pipe: impl Read, sender: &SyncSender<io::Result<Vec<u8>>>) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let chunk = match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(buffer[..count].to_vec()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => Err(e),
        };
        let last = chunk.is_err();
        if sender.send(chunk).is_err() || last {
            return;
        }
    }
}

/// An exit status in words.
pub(crate) fn describe(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (_, Some(signal)) => format!("killed by signal {signal}"),
        _ => "ended in an unknown way".to_owned(),
    }
}

/// The last lines of an error output, in one line, for messages.
pub(crate) fn last_lines(stderr: &str) -> String {
    let lines: Vec<&str> = stderr.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let text = lines[lines.len().saturating_sub(3)..].join(" | ");
    let surplus = text.chars().count().saturating_sub(400);
    if text.is_empty() { "it said nothing".to_owned() } else { text.chars().skip(surplus).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(wall: Duration) -> Limits {
        Limits { wall, stdout: 1_000 }
    }

    fn shell(script: &str) -> Command {
        Command::new("sh").args(["-c", script])
    }

    #[test]
    fn output_is_captured_and_a_failure_carries_the_end_of_stderr() {
        let long = Duration::from_secs(30);
        let captured = capture(&shell("echo out; echo err >&2"), &limits(long)).unwrap();
        assert_eq!((captured.stdout.as_slice(), captured.stderr_tail.as_str()), (&b"out\n"[..], "err"));
        let error = capture(&shell("echo why >&2; exit 3"), &limits(long)).unwrap_err();
        assert_eq!(error.to_string(), "sh failed (exit code 3): why");
        assert!(matches!(
            capture(&Command::new("av1-no-such-program"), &limits(long)),
            Err(SuperviseError::NotFound { .. })
        ));
    }

    #[test]
    fn a_signal_and_trouble_with_disk_or_memory_are_told_from_a_failure() {
        let long = limits(Duration::from_secs(30));
        for script in [
            "kill -9 $$",
            "kill -11 $$",
            "echo 'film.mkv: Input/output error' >&2; exit 1",
            "echo 'x: Stale file handle' >&2; exit 1",
            "echo 'x: Transport endpoint is not connected' >&2; exit 1",
            "echo 'Cannot allocate memory' >&2; exit 1",
            "echo 'Resource temporarily unavailable' >&2; exit 1",
            "echo 'No space left on device' >&2; exit 1",
            "echo 'No space: Disk quota exceeded' >&2; exit 1",
        ] {
            let error = capture(&shell(script), &long).unwrap_err();
            assert!(matches!(error, SuperviseError::Disturbed { .. }), "{script}: {error}");
            assert_eq!(error.is_no_space(), script.contains("space"), "{script}");
        }
        let error = capture(&shell("echo 'Invalid data found' >&2; exit 1"), &long).unwrap_err();
        assert!(matches!(error, SuperviseError::Failed { .. }), "{error}");
        assert!(capture(&shell("echo 'decoder: Cannot allocate memory' >&2"), &long).is_ok());
    }

    #[test]
    fn lines_come_whole_and_the_last_one_needs_no_newline() {
        let mut lines = Vec::new();
        stream(&shell("printf 'a\\nbb\\n\\nc'"), &limits(Duration::from_secs(30)), &mut |line| {
            lines.push(line.to_owned())
        })
        .unwrap();
        assert_eq!(lines, ["a", "bb", "", "c"]);
    }

    #[test]
    fn a_program_that_takes_too_long_or_says_too_much_is_killed_with_its_children() {
        let begun = Instant::now();
        let error = capture(&shell("sleep 600 & echo $!; sleep 600"), &limits(Duration::from_millis(200))).unwrap_err();
        assert!(matches!(error, SuperviseError::TimedOut { .. }), "{error}");
        assert!(matches!(
            capture(&Command::new("yes"), &limits(Duration::from_secs(60))),
            Err(SuperviseError::TooMuchOutput { .. })
        ));
        assert!(begun.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_handle_reports_cpu_time_and_leaves_no_process_of_its_group() {
        let mut running = Running::start(&shell("while :; do :; done & while :; do :; done"), Path::new("/")).unwrap();
        let deadline = Instant::now() + Duration::from_secs(60);
        while running.cpu_time() < Duration::from_millis(50) {
            assert!(Instant::now() < deadline, "no CPU time was seen");
            std::thread::yield_now();
        }
        assert!(group_members(running.group).len() >= 2);
        running.end();
        assert!(group_members(running.group).is_empty());
    }

    #[test]
    fn a_process_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a) b (c) S 1 77 77 0 -1 4194560 100 0 0 0 5 6 7 8 20 0 1 0 100";
        let process = Process::parse(stat).unwrap();
        assert_eq!((process.pid, process.group, process.cpu_ticks, process.name.as_str()), (42, 77, 26, "a) b (c"));
        assert!(Process::parse("42 (x) Z 1 77 77 0 -1 0 0 0 0 0 5 6 7 8").is_none());
    }
}
