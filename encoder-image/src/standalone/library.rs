//! A library on this machine: prepared, held by one process, with the folders that this process needs.
//!
//! May: have the prepare role make `.av1`, write below `.av1/run`. Must never: work on a library that another process works on.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use av1_crds::library::SwapMethod;
use av1_crds::paths::{AV1_DIR, CATALOG_DIR};
use av1_crds::wire::{LibraryId, LookResult, MakeResult, PrepareStep, PrepareTask};
use rustix::fs::FlockOperation;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::beneath::Root;
use crate::role::{PodArgs, RoleFailure};
use crate::{prepare, volume};

/// What stands for the cluster's UID.
const LOCAL: &str = "local";
/// Our folder below `.av1`.
pub(crate) const RUN_DIR: &str = "run";
/// A library whose catalog gave a sign of life within this time is worked on.
const SIGN_OF_LIFE: Duration = Duration::from_secs(300);

/// A library that this process holds.
pub(crate) struct Library {
    /// Its root, absolute.
    pub(crate) root: PathBuf,
    /// Who it is to the roles.
    pub(crate) id: LibraryId,
    /// Id of its volume.
    pub(crate) volume_id: String,
    /// How files are swapped in.
    pub(crate) swap: SwapMethod,
    /// Held by this process and by the roles that it starts, so that nobody else begins before the last of them has ended.
    pub(crate) lock: File,
    /// For sockets and the messages of roles; gone with this process.
    pub(crate) temporary: Temporary,
}

/// Who holds the lock, for people and for other machines.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holder {
    host: String,
    boot_id: String,
    pid: u32,
}

impl Library {
    /// Prepares the library at `path` and takes hold of it.
    ///
    /// # Errors
    /// A sentence on what is wrong and what to do.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        let mut library = Self::look(path)?;
        library.take_hold()?;
        Ok(library)
    }

    /// The same without taking hold of it, for what claims guard by themselves.
    pub(crate) fn look(path: &Path) -> Result<Self, String> {
        let root = path.canonicalize().map_err(|e| format!("the library {}: {e}", path.display()))?;
        let found = owner(&root).map_err(|e| format!("reading {}/.av1/volume.json: {e}", root.display()))?;
        let name = root.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let uid = match found {
            Some(owner) if owner.cluster == LOCAL => owner.uid,
            _ => random_id().map_err(|e| format!("making a random id: {e}"))?,
        };
        let id = LibraryId { namespace: LOCAL.to_owned(), name, uid, cluster: LOCAL.to_owned() };
        let whose: LookResult = prepared(&root, &id, PrepareStep::Look)?;
        let process = rustix::process::geteuid().as_raw();
        if whose.uid != process {
            return Err(format!(
                "the files of {} belong to user {}, this is user {process}: run it as that user (sudo -u '#{}')",
                root.display(),
                whose.uid,
                whose.uid
            ));
        }
        let made: MakeResult = prepared(&root, &id, PrepareStep::Make)?;
        if !made.message.is_empty() {
            tracing::info!("{}", made.message);
        }
        let run = root.join(AV1_DIR).join(RUN_DIR);
        let mut folders = fs::DirBuilder::new();
        folders.recursive(true).mode(0o700).create(run.join("jobs")).map_err(|e| format!("{}: {e}", run.display()))?;
        let lock = File::options().read(true).write(true).create(true).truncate(false).open(run.join("lock"));
        let lock = lock.map_err(|e| format!("{}/lock: {e}", run.display()))?;
        let temporary = Temporary::new().map_err(|e| format!("making a folder for sockets: {e}"))?;
        Ok(Self { root, id, volume_id: made.volume_id, swap: made.swap, lock, temporary })
    }

    fn take_hold(&mut self) -> Result<(), String> {
        let told = |e: io::Error| format!("the lock .av1/{RUN_DIR}/lock: {e}");
        let mut text = String::new();
        (&self.lock).take(64 << 10).read_to_string(&mut text).map_err(told)?;
        let holder: Option<Holder> = serde_json::from_str(&text).ok();
        let words = || holder.as_ref().map_or_else(String::new, |h| format!(" (process {} on {})", h.pid, h.host));
        match rustix::fs::flock(&self.lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(format!("another av1-agent works on {}{}: end it first", self.root.display(), words()));
            }
            Err(e) => return Err(told(e.into())),
        }
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned();
        let elsewhere = holder.as_ref().is_some_and(|holder| holder.boot_id != boot_id);
        // Locks of a network volume may hold within one machine alone.
        if elsewhere && self.beats() {
            return Err(format!(
                "another machine works on {}{}: end it there, or wait five minutes after it ended",
                self.root.display(),
                words()
            ));
        }
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned();
        let own = Holder { host, boot_id, pid: std::process::id() };
        let write = || {
            self.lock.set_len(0)?;
            (&self.lock).rewind()?;
            (&self.lock).write_all(&serde_json::to_vec(&own)?)
        };
        write().map_err(told)
    }

    /// Whether a catalog wrote its heartbeat a short while ago.
    fn beats(&self) -> bool {
        let beat = fs::metadata(self.root.join(AV1_DIR).join(CATALOG_DIR).join("heartbeat")).and_then(|m| m.modified());
        beat.is_ok_and(|beat| beat.elapsed().is_ok_and(|age| age < SIGN_OF_LIFE))
    }

    /// A folder of ours.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.root.join(AV1_DIR).join(RUN_DIR)
    }

    /// Arguments of a role that runs in this process.
    pub(crate) fn args(&self) -> PodArgs {
        PodArgs { state_root: self.root.join(AV1_DIR), ..local_args(&self.root) }
    }
}

fn local_args(root: &Path) -> PodArgs {
    PodArgs {
        task: String::new(),
        library: root.to_owned(),
        volume: root.to_owned(),
        state_root: PathBuf::new(),
        work: PathBuf::new(),
        scratch: None,
        catalog: PathBuf::new(),
        listen: ([127, 0, 0, 1], 0).into(),
        socket: None,
        confined: false,
        pod_uid: LOCAL.to_owned(),
        termination_log: PathBuf::new(),
    }
}

/// What prepare finds or makes.
fn prepared<T: DeserializeOwned>(root: &Path, id: &LibraryId, step: PrepareStep) -> Result<T, String> {
    let task =
        PrepareTask { library: id.clone(), sub_path: String::new(), step, expected_volume_id: None, living: None };
    let result = prepare::run(&task, &local_args(root)).map_err(|RoleFailure { failure, .. }| failure.message)?;
    serde_json::from_value(result).map_err(|e| e.to_string())
}

/// Whose the volume is.
fn owner(root: &Path) -> io::Result<Option<LibraryId>> {
    match Root::open(root)?.open_folder(Path::new(AV1_DIR)) {
        Ok(av1) => Ok(volume::read(&av1)?.map(|file| file.owner)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// 32 hexadecimal digits.
pub(crate) fn random_id() -> io::Result<String> {
    let mut bytes = [0_u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(hex::encode(bytes))
}

/// A folder of this process's own, removed at its end. Its path is short, because a socket's must be.
pub(crate) struct Temporary(PathBuf);

impl Temporary {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("av1-agent-{}", &random_id()?[..12]));
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// A folder in it for one role.
    pub(crate) fn folder(&self) -> io::Result<PathBuf> {
        let path = self.0.join(&random_id()?[..12]);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
