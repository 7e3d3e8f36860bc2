//! `av1-agent run --library DIR`: finds, encodes, verifies and settles on this machine, and `av1-agent encode FILE` for one file.
//!
//! The catalog, each encode and each settle are processes of their own, as they are pods elsewhere; this one only decides whose
//! turn it is. It may be killed at any time: the next start goes on from `.av1/run/jobs`.
//!
//! May: start roles. Must never: parse media, or write outside of `.av1/run`.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use av1_crds::figures;
use av1_crds::paths::{AV1_DIR, CATALOG_DIR};
use av1_crds::reasons;
use av1_crds::wire::{CandidatePage, CatalogSummary, CatalogTask, EncodeVerdict};
use av1_media::encoders::check::check;
use av1_media::local::{Overrides, TARGET_UTILIZATION, shares};
use av1_media::pinning::{cpu_list, value};
use clap::Args;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::board::Board;
use super::child::{Child, End};
use super::config::{self, Config};
use super::explain::{FileArgs, locate};
use super::job::{Common, FileKey, Job, Left, Phase};
use super::library::Library;
use super::purge::Purge;
use super::screen::Screen;
use super::sidecars::Sidecars;
use super::stop::Stop;
use crate::facts;
use crate::{beneath::Root, versions};

/// How often this process looks round.
const TICK: Duration = Duration::from_millis(200);
/// How often the catalog is asked.
const ASK: Duration = Duration::from_secs(1);
/// Candidates that are asked for at once.
const PAGE: usize = 500;
/// Most jobs that wait.
const QUEUE: usize = 100;
/// How long a file is left alone that this process had a job for, whatever the catalog says.
const LEFT_ALONE: Duration = Duration::from_secs(24 * 3_600);
/// Attempts unless `failurePolicy.maxAttempts` says otherwise.
const MAX_ATTEMPTS: u32 = 3;
/// Percent of the volume that stay free unless `storage.minFreePercent` says otherwise.
const MIN_FREE_PERCENT: u32 = 5;
/// Seconds that a file which is not stable yet is waited for beyond those that it must not have changed, with --once.
const SLACK: u64 = 5;

/// Arguments of `run`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    /// The library's root.
    #[arg(long)]
    library: PathBuf,
    /// A TOML file with the settings of a MediaLibrary; see docs/standalone.md. Default: every setting's default.
    #[arg(long)]
    config: Option<PathBuf>,
    /// End when nothing is left to do, instead of scanning again and again.
    #[arg(long)]
    once: bool,
    /// Port on loopback of /metrics.json; 0 for none.
    #[arg(long, default_value_t = 7_878)]
    metrics_port: u16,
}

/// Works on the library until it is asked to end.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    said(session(args))
}

/// Encodes and settles one file.
pub(crate) fn encode(args: &FileArgs, force: &[String]) -> ExitCode {
    said(one_file(args, force))
}

fn said(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}

fn session(args: &RunArgs) -> Result<(), String> {
    let config = config::load(args.config.as_deref()).map_err(|e| e.to_string())?;
    let (common, slots) = begin(Library::open(&args.library)?, &config, None)?;
    if args.metrics_port > 0 {
        let address = common.board.serve(args.metrics_port).map_err(|e| {
            format!(
                "the metrics page cannot listen on port {}: {e}; name another with --metrics-port",
                args.metrics_port
            )
        })?;
        tracing::info!("figures are on http://{address}/metrics.json");
    }
    let queue: VecDeque<Job> =
        Job::left_behind(&common.library).map_err(|e| format!("reading .av1/run/jobs: {e}"))?.into();
    let known = queue.iter().map(|job| (job.file_key(), None)).collect();
    let scan = config.scan.clone();
    let min_free = config.spec.storage.as_ref().and_then(|s| s.min_free_percent).unwrap_or(MIN_FREE_PERCENT);
    let screen = Screen::new(common.board.clone());
    let workers = Workers::new(Arc::clone(&common), slots);
    let catalog = Catalog::new(scan, args.once);
    let mut session = Session {
        common,
        workers,
        catalog,
        queue,
        known,
        screen,
        purge: Purge::default(),
        sidecars: Sidecars::default(),
        once: args.once,
        min_free,
        told: None,
    };
    session.work()
}

fn one_file(args: &FileArgs, force: &[String]) -> Result<(), String> {
    let known = |reason: &String| reasons::ALL.iter().any(|(name, ..)| name == reason);
    if let Some(never) = force.iter().find(|reason| !known(reason) || reasons::NEVER_FORCED.contains(&reason.as_str()))
    {
        return Err(format!("--force {never}: there is no such gate, or it is never passed over"));
    }
    let config = config::load(args.config.as_deref()).map_err(|e| e.to_string())?;
    let place = locate(args)?;
    let path = place.path.to_str().ok_or("its path is not UTF-8, so that no receipt can name it: rename it")?;
    let (common, slots) = begin(Library::open(&place.root)?, &config, Some(force))?;
    let root = Root::open(&place.root).map_err(|e| e.to_string())?;
    let identity = facts::identity(&root, path).map_err(|e| format!("{path}: {e}"))?;
    let job = Job::new(path, identity.size, identity.modified_time_ns)?;
    let left = Job::left_behind(&common.library).map_err(|e| e.to_string())?;
    let job = left.into_iter().find(|earlier| earlier.file_key() == job.file_key()).unwrap_or(job);
    let mut screen = Screen::new(common.board.clone());
    let mut workers = Workers::new(Arc::clone(&common), slots);
    workers.start(job)?;
    loop {
        if let Some((_, left)) = workers.next() {
            screen.clear();
            return match left {
                Left::Finished { verdict: EncodeVerdict::Failed, reason, message } => {
                    Err(format!("{reason}: {message}"))
                }
                Left::Finished { verdict, reason, message } => {
                    println!("{verdict:?}, {reason}: {message}");
                    Ok(())
                }
                Left::Waits(why) => Err(format!("{why}; give the same command to go on")),
            };
        }
        screen.draw();
        common.stop.wait(TICK);
        if common.stop.is_asked() {
            std::thread::sleep(TICK);
        }
    }
}

/// What every job needs, and the CPUs of each that runs at once.
fn begin(library: Library, config: &Config, one: Option<&[String]>) -> Result<(Arc<Common>, Vec<Vec<u32>>), String> {
    let versions = versions::look().map_err(|e| e.to_string())?;
    let problems = versions.problems();
    if !problems.is_empty() {
        return Err(format!("the tools cannot do the work: {}", problems.join("; ")));
    }
    for warning in versions.warnings() {
        tracing::warn!("{warning}");
    }
    let overrides = Overrides::read(|name| std::env::var(name).ok())?;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = cpu_list(value(&status, "Cpus_allowed_list").unwrap_or_default());
    let spec = &config.spec;
    let jobs = overrides.jobs.or_else(|| spec.concurrency.as_ref()?.max_jobs);
    let target = overrides.target.or_else(|| spec.pods.as_ref()?.target_utilization_percent);
    let slots = shares(&allowed, jobs, target.unwrap_or(TARGET_UTILIZATION), overrides.cpus);
    let mut settings = config.settings.clone();
    settings.allow_hardware &= !overrides.no_hardware;
    settings.force(one.unwrap_or_default());
    check(&settings).map_err(|e| e.to_string())?;
    let common = Common {
        library,
        settings,
        scan: config.scan.clone(),
        workers: overrides.workers.or_else(|| spec.pods.as_ref()?.workers).unwrap_or_default(),
        max_attempts: spec.failure_policy.as_ref().and_then(|f| f.max_attempts).unwrap_or(MAX_ATTEMPTS),
        force: one.unwrap_or_default().to_vec(),
        // Who names a file asks for it again.
        again: one.is_some(),
        board: Board::default(),
        stop: Stop::listen().map_err(|e| format!("listening for signals: {e}"))?,
    };
    Ok((Arc::new(common), slots))
}

/// Threads that drive jobs, each with CPUs of its own.
struct Workers {
    common: Arc<Common>,
    free: Vec<Vec<u32>>,
    running: usize,
    ended: Receiver<(Job, Left, Vec<u32>)>,
    end: Sender<(Job, Left, Vec<u32>)>,
}

impl Workers {
    fn new(common: Arc<Common>, mut slots: Vec<Vec<u32>>) -> Self {
        // The largest share is given out first.
        slots.reverse();
        let (end, ended) = channel();
        Self { common, free: slots, running: 0, ended, end }
    }

    fn start(&mut self, mut job: Job) -> Result<(), String> {
        let Some(cpus) = self.free.pop() else { return Err("no CPUs are free".to_owned()) };
        let (common, end) = (Arc::clone(&self.common), self.end.clone());
        common.board.started(&job);
        let thread = std::thread::Builder::new().name("job".to_owned()).spawn(move || {
            let mut set = CpuSet::new();
            cpus.iter().for_each(|cpu| set.set(*cpu as usize));
            // Of this thread alone, and so of the roles that it starts.
            if let Err(e) = sched_setaffinity(None, &set) {
                tracing::warn!("the job could not be bound to the CPUs {cpus:?}: {e}");
            }
            let left = job.drive(&common);
            let _ = end.send((job, left, cpus));
        });
        self.running += 1;
        thread.map(|_| ()).map_err(|e| format!("starting a thread: {e}"))
    }

    /// A job whose thread let go of it.
    fn next(&mut self) -> Option<(Job, Left)> {
        let (job, left, cpus) = self.ended.try_recv().ok()?;
        self.free.push(cpus);
        self.running -= 1;
        self.common.board.left(&job, &left);
        Some((job, left))
    }
}

/// The catalog role, started again when it ends.
struct Catalog {
    task_scan: av1_crds::library::ScanRules,
    child: Option<Child>,
    started: Option<Instant>,
}

impl Catalog {
    fn new(mut scan: av1_crds::library::ScanRules, once: bool) -> Self {
        if once {
            scan.interval_seconds = 1;
        }
        Self { task_scan: scan, child: None, started: None }
    }

    /// What it found; none while it does not answer.
    fn ask(&mut self, common: &Common) -> Option<CatalogSummary> {
        if let Some(child) = &mut self.child
            && let Some(end) = child.ended::<()>()
        {
            if let End::Failed(failure) = &end {
                common.board.event(format!("the catalog ended: {}", failure.message));
            }
            tracing::error!("the catalog ended: {end:?}; it is started again");
            self.child = None;
        }
        if self.child.is_none() && self.started.is_none_or(|at| at.elapsed() > ASK * 5) {
            let library = &common.library;
            let task = CatalogTask {
                library: library.id.clone(),
                volume_id: library.volume_id.clone(),
                prepare_run: 0,
                scan: self.task_scan.clone(),
                settings: common.settings.clone(),
            };
            let folder = library.root.join(AV1_DIR).join(CATALOG_DIR);
            self.started = Some(Instant::now());
            match Child::start(library, "catalog", &task, &[("--catalog", &folder)], &[]) {
                Ok(child) => self.child = Some(child),
                Err(why) => tracing::error!("{why}"),
            }
        }
        self.child.as_ref()?.get("/v1/summary").ok()
    }

    /// Files worth encoding, behind the first `offset`.
    fn candidates(&self, offset: usize) -> Option<CandidatePage> {
        self.child.as_ref()?.get(&format!("/v1/candidates?offset={offset}&limit={PAGE}")).ok()
    }
}

struct Session {
    common: Arc<Common>,
    workers: Workers,
    catalog: Catalog,
    queue: VecDeque<Job>,
    /// Files that this process has a job for, and those that it had one for, with when that ended.
    known: BTreeMap<FileKey, Option<Instant>>,
    screen: Screen,
    purge: Purge,
    sidecars: Sidecars,
    once: bool,
    min_free: u32,
    told: Option<String>,
}

impl Session {
    fn work(&mut self) -> Result<(), String> {
        let mut next = Instant::now();
        // The scan that must have ended, and when it has to be over with files that are not stable.
        let mut settled = (0, Instant::now());
        loop {
            while let Some((job, left)) = self.workers.next() {
                self.ended(job, left);
                settled = (u64::MAX, Instant::now());
            }
            let stopping = self.common.stop.is_asked();
            if stopping && self.workers.running == 0 {
                self.screen.say("ended; the next start goes on from here");
                return Ok(());
            }
            if !stopping && Instant::now() >= next {
                next = Instant::now() + ASK;
                if let Some(summary) = self.catalog.ask(&self.common) {
                    self.take(&summary)?;
                    self.start(&summary)?;
                    if let Some(catalog) = &self.catalog.child {
                        self.purge.tick(&self.common, catalog, &summary);
                        if !stopping {
                            self.sidecars.tick(&self.common, catalog, &summary);
                        }
                    }
                    if settled.0 == u64::MAX {
                        settled.0 = summary.scans;
                    }
                    if self.once && self.is_idle(&summary, settled) {
                        self.screen.clear();
                        self.print_summary(&summary);
                        return match self.queue.len() {
                            0 => Ok(()),
                            left => Err(format!("{left} outcomes could not be brought to the volume yet")),
                        };
                    }
                }
            }
            self.screen.draw();
            std::thread::sleep(TICK);
        }
    }

    /// New candidates join the queue behind those that wait.
    fn take(&mut self, summary: &CatalogSummary) -> Result<(), String> {
        if let Some(problem) = &summary.problem
            && self.told.as_ref() != Some(problem)
        {
            self.screen.say(problem);
            self.told = Some(problem.clone());
        }
        self.known.retain(|_, ended| ended.is_none_or(|at| at.elapsed() < LEFT_ALONE));
        // What has ended since the last scan is still at the front.
        let mut offset = 0;
        while self.queue.len() < QUEUE {
            let items = self.catalog.candidates(offset).unwrap_or_default().items;
            if items.is_empty() {
                break;
            }
            offset += items.len();
            for file in items {
                let key = (file.path.clone(), file.size, file.modified_time_ns);
                if self.queue.len() < QUEUE && !self.known.contains_key(&key) {
                    self.known.insert(key, None);
                    self.queue.push_back(Job::new(&file.path, file.size, file.modified_time_ns)?);
                }
            }
        }
        let files = u64::try_from(summary.files.total).unwrap_or_default();
        self.common.board.counted(files, self.queue.len() as u64);
        Ok(())
    }

    /// Starts jobs while there are CPUs and space for them.
    fn start(&mut self, summary: &CatalogSummary) -> Result<(), String> {
        while !self.workers.free.is_empty() {
            let least = u128::from(summary.total_bytes) * u128::from(self.min_free) / 100;
            let fits = |job: &Job| {
                job.outcome.is_some()
                    || u128::from(summary.free_bytes) >= least + u128::from(job.size) * 2
                    || summary.total_bytes == 0
            };
            let Some(at) = self.queue.iter().position(|job| job.may_start() && fits(job)) else {
                if let Some(job) = self.queue.iter().find(|job| job.may_start()) {
                    let why = format!(
                        "{} waits for free space: twice its size, {}, and {} % of the volume must be free",
                        job.path,
                        figures::size(i128::from(job.size) * 2),
                        self.min_free
                    );
                    if self.told.as_ref() != Some(&why) {
                        self.screen.say(&why);
                        self.told = Some(why);
                    }
                }
                return Ok(());
            };
            if let Some(job) = self.queue.remove(at) {
                self.workers.start(job)?;
            }
        }
        Ok(())
    }

    fn ended(&mut self, job: Job, left: Left) {
        match left {
            Left::Finished { verdict, reason, message } => {
                self.screen.say(&format!("{}: {verdict:?}, {reason}: {message}", job.path));
                self.known.insert(job.file_key(), Some(Instant::now()));
            }
            Left::Waits(why) => {
                self.screen.say(&format!("{}: goes on later: {why}", job.path));
                self.queue.push_front(job);
            }
        }
    }

    /// Whether nothing is left to do: nothing waits or runs, and a scan has ended since the last job did.
    fn is_idle(&self, summary: &CatalogSummary, settled: (u64, Instant)) -> bool {
        let unstable = summary.skipped_by_reason.get(reasons::NOT_STABLE).is_some_and(|count| *count > 0);
        let needed = summary.stable_seconds.unwrap_or(self.common.scan.stable_seconds);
        let patience = Duration::from_secs(u64::from(needed) + SLACK);
        // What cannot be settled now is left for the next start.
        self.queue.iter().all(|job| job.phase == Phase::Settling && !job.may_start())
            && self.workers.running == 0
            && self.purge.is_idle(summary.due_in_trash)
            && self.sidecars.is_idle(summary.sidecars_due)
            && summary.files.complete
            && summary.scans > settled.0
            && (!unstable || settled.1.elapsed() > patience)
    }

    fn print_summary(&self, summary: &CatalogSummary) {
        let files = &summary.files;
        println!(
            "{} files: {} done, {} AV1 already, {} skipped, {} rejected, {} failed, {} unreadable; {} freed once the originals are gone",
            files.total,
            files.done,
            files.already_av1,
            files.skipped,
            files.rejected,
            files.failed,
            files.unreadable,
            figures::size(summary.bytes.freed)
        );
    }
}
