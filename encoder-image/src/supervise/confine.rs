//! What every program loses before it starts: all sockets but those of AF_UNIX, io_uring (which would open sockets past the
//! filter), the ways to gain rights, and, where its call says so, memory, CPU time and files of any size.
//!
//! It holds without any right, in containers and out of them; a kernel that refuses the filter refuses the program.
//! May: prepare a program that is to be started. Must never: confine the agent itself. The one `unsafe` of the workspace is here.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::LazyLock;

use av1_media::command::Bounds;
use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

/// Seconds of CPU time between the signal that a program can catch and the one that it cannot.
const CPU_GRACE: u64 = 1;

/// System calls that make sockets: allowed when their first argument is AF_UNIX.
const SOCKETS: [i64; 2] = [libc::SYS_socket, libc::SYS_socketpair];
/// System calls that are never allowed.
const NEVER: [i64; 3] = [libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];
/// The same calls have a second number in the x32 way of calling, which a filter sees as the same architecture.
const WAYS: &[i64] = if cfg!(target_arch = "x86_64") { &[0, 0x4000_0000] } else { &[0] };

static FILTER: LazyLock<Result<BpfProgram, String>> = LazyLock::new(|| filter().map_err(|e| e.to_string()));

fn filter() -> Result<BpfProgram, BackendError> {
    let family = libc::AF_UNIX.unsigned_abs().into();
    let other = || SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, family);
    let mut rules = BTreeMap::new();
    for way in WAYS {
        for call in SOCKETS {
            rules.insert(call + way, vec![SeccompRule::new(vec![other()?])?]);
        }
        rules.extend(NEVER.map(|call| (call + way, Vec::new())));
    }
    let refused = SeccompAction::Errno(libc::EACCES.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refused, std::env::consts::ARCH.try_into()?)?;
    filter.try_into()
}

/// Has `process` confined when it is started, and killed when the agent is, if it `dies_with_agent`.
///
/// # Errors
/// When there is no filter for this kind of CPU.
#[expect(
    unsafe_code,
    reason = "limits that hold from the program's first instruction can only be set between fork and exec"
)]
pub(super) fn confine(process: &mut Command, bounds: Bounds, dies_with_agent: bool) -> io::Result<()> {
    let filter = FILTER.as_ref().map_err(|e| io::Error::other(format!("no seccomp filter: {e}")))?;
    let limits = limits(bounds);
    // SAFETY: the closure makes system calls alone: it takes no lock, and nothing in it allocates, not even its errors.
    unsafe {
        process.pre_exec(move || {
            for (resource, limit) in limits.iter().flatten() {
                setrlimit(*resource, *limit)?;
            }
            if dies_with_agent {
                // With the thread, to be exact, that starts it and waits for it.
                set_parent_process_death_signal(Some(Signal::KILL))?;
            }
            apply_filter(filter).map_err(|error| match error {
                seccompiler::Error::Prctl(source) | seccompiler::Error::Seccomp(source) => source,
                _ => io::Error::from_raw_os_error(libc::EINVAL),
            })
        });
    }
    Ok(())
}

/// The bounds as the kernel knows them. Memory is what a program can write to, so that libraries and reserved addresses do
/// not count.
fn limits(bounds: Bounds) -> [Option<(Resource, Rlimit)>; 3] {
    let hard = |most: u64, hard: u64| Rlimit { current: Some(most), maximum: Some(hard) };
    [
        bounds.memory.map(|most| (Resource::Data, hard(most, most))),
        bounds.cpu_seconds.map(|most| (Resource::Cpu, hard(most, most.saturating_add(CPU_GRACE)))),
        bounds.file_size.map(|most| (Resource::Fsize, hard(most, most))),
    ]
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use av1_media::command::Command;

    use super::*;
    use crate::supervise::{Limits, SuperviseError, capture};

    /// Tries every socket family and system call of its arguments, and prints what came of each.
    const TRIES: &str = r"
import ctypes, os, socket, sys
def attempt(name, make):
    try: make(); print(name, 'made')
    except OSError as e: print(name, os.strerror(e.errno))
for family in ('AF_UNIX', 'AF_INET', 'AF_INET6', 'AF_NETLINK', 'AF_PACKET', 'AF_VSOCK'):
    attempt(family, lambda: socket.socket(getattr(socket, family), socket.SOCK_DGRAM))
attempt('pair', lambda: socket.socketpair())
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *args):
    if libc.syscall(ctypes.c_long(number), *args) < 0: raise OSError(ctypes.get_errno(), '')
high = ctypes.c_ulonglong(0x100000000 | socket.AF_INET)
for name, number in zip(('socket', 'setup', 'enter', 'register'), map(int, sys.argv[1:])):
    attempt(name, lambda: call(number, high, 1, 0))
print('privileges', [l.split()[1] for l in open('/proc/self/status') if l.startswith('NoNewPrivs')][0])
";

    fn limits() -> Limits {
        Limits { wall: Duration::from_secs(60), stdout: 1 << 16 }
    }

    #[test]
    fn a_program_has_unix_sockets_and_no_others_and_no_way_round() {
        let mut command = Command::new("python3").args(["-c", TRIES]);
        for number in std::iter::once(libc::SYS_socket).chain(NEVER) {
            command = command.arg(number.to_string());
        }
        let said = String::from_utf8(capture(&command, &limits()).unwrap().stdout).unwrap();
        let refused = "Permission denied";
        let expected = [
            ("AF_UNIX", "made"),
            ("AF_INET", refused),
            ("AF_INET6", refused),
            ("AF_NETLINK", refused),
            ("AF_PACKET", refused),
            ("AF_VSOCK", refused),
            ("pair", "made"),
            ("socket", refused),
            ("setup", refused),
            ("enter", refused),
            ("register", refused),
            ("privileges", "1"),
        ];
        assert_eq!(said.lines().collect::<Vec<_>>(), expected.map(|(what, came)| format!("{what} {came}")));
        assert!(std::net::UdpSocket::bind("127.0.0.1:0").is_ok(), "the agent itself is not confined");
    }

    #[test]
    fn what_a_program_starts_is_confined_too() {
        let script = "python3 -c 'import socket; socket.socket()' 2>&1 | tail -n 1";
        let said = capture(&Command::new("sh").args(["-c", script]), &limits()).unwrap().stdout;
        assert!(String::from_utf8_lossy(&said).contains("Permission denied"));
    }

    #[test]
    fn memory_has_a_bound_that_is_told_from_other_failures() {
        let script = "import mmap; mmap.mmap(-1, 400 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)";
        let eat = || Command::new("python3").args(["-c", script]);
        let bounds = Bounds { memory: Some(200 << 20), ..Bounds::default() };
        let error = capture(&eat().bounded(bounds), &limits()).unwrap_err();
        assert!(matches!(error, SuperviseError::OutOfBounds { .. }), "{error}");
        assert!(error.to_string().contains("200 MiB of memory"), "{error}");
        assert!(capture(&eat(), &limits()).is_ok());
    }

    #[test]
    fn cpu_time_has_a_bound_that_a_program_cannot_sleep_through() {
        let bounds = Bounds { cpu_seconds: Some(1), ..Bounds::default() };
        let run = |script| capture(&Command::new("sh").args(["-c", script]).bounded(bounds), &limits()).unwrap_err();
        let error = run("while :; do :; done");
        assert!(matches!(&error, SuperviseError::OutOfBounds { bound, .. } if bound == "1 s of CPU time"), "{error}");
        let error = run("trap '' XCPU; while :; do :; done");
        assert!(matches!(error, SuperviseError::Disturbed { .. }), "{error}");
    }

    #[test]
    fn a_program_without_leave_to_write_files_can_still_answer() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("made");
        let bounds = Bounds { file_size: Some(0), ..Bounds::default() };
        let script = format!("trap '' XFSZ; echo answer; echo hostile > '{}'", file.display());
        let shell = || Command::new("sh").args(["-c".to_owned(), script.clone()]);
        let error = capture(&shell().bounded(bounds), &limits()).unwrap_err();
        assert!(matches!(error, SuperviseError::Failed { .. }), "{error}");
        assert_eq!(std::fs::metadata(&file).unwrap().len(), 0);
        assert_eq!(capture(&shell(), &limits()).unwrap().stdout, b"answer\n");
    }
}
