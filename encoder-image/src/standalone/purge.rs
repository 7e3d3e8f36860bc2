//! Originals leave the trash when their time is past: the catalog lists them, the purge role looks again and removes them.
//!
//! May: start that role. Must never: remove a file itself.

use std::path::Path;
use std::time::{Duration, Instant};

use av1_crds::figures;
use av1_crds::wire::{CatalogSummary, Leftovers, PurgeResult, PurgeTask};

use super::child::{Child, End};
use super::job::Common;

/// How often it is looked for what is due.
const EVERY: Duration = Duration::from_secs(300);
/// How long a round takes at least: until an original that stays is tried again.
const ROUND: Duration = Duration::from_secs(24 * 3_600);
/// Files that one purge is given.
const MOST: usize = 50;
/// Who it is in claims: only one process holds the library, so that an earlier purge has ended.
const POD: &str = "purge";

/// The purge role, when it runs.
#[derive(Default)]
pub(crate) struct Purge {
    child: Option<Child>,
    last: Option<Instant>,
    /// Originals that stay which this round through the trash, which begins with the oldest, has come by.
    passed: u64,
    /// When it began.
    round: Option<Instant>,
    /// Scans after which the catalog's list is younger than the last purge.
    scans: u64,
}

impl Purge {
    /// Starts a purge when something is due, and takes note of one that ended.
    pub(crate) fn tick(&mut self, common: &Common, catalog: &Child, summary: &CatalogSummary) {
        if let Some(child) = &mut self.child {
            let said = match child.ended::<PurgeResult>() {
                None => return,
                Some(End::Done(result)) => {
                    self.passed += u64::from(result.kept_count);
                    let (freed, stay) = (figures::size(result.bytes), self.passed);
                    format!("{} originals past their time left the trash, {freed} freed; {stay} stay", result.purged)
                }
                Some(End::Failed(failure)) => format!("the trash could not be emptied: {}", failure.message),
                Some(End::Lost(why)) => format!("the trash could not be emptied: {why}"),
            };
            tracing::info!("{said}");
            common.board.event(said);
            self.child = None;
            // The scan that runs may have looked at the trash before.
            self.scans = summary.scans + 2;
        }
        let rests = self.last.is_some_and(|last| last.elapsed() < EVERY);
        if summary.due_in_trash == 0 || rests || summary.scans < self.scans {
            return;
        }
        self.last = Some(Instant::now());
        if let Err(why) = self.start(common, catalog) {
            tracing::warn!("the trash could not be emptied: {why}");
        }
    }

    /// Whether nothing runs, and what is due was looked at.
    pub(crate) fn is_idle(&self, due: u64) -> bool {
        self.child.is_none() && (due == 0 || self.last.is_some())
    }

    fn start(&mut self, common: &Common, catalog: &Child) -> Result<(), String> {
        if self.round.is_none_or(|round| round.elapsed() > ROUND) {
            (self.passed, self.round) = (0, Some(Instant::now()));
        }
        let window = format!("/v1/leftovers?offset={}&limit={MOST}", self.passed);
        let left: Leftovers = catalog.get(&window).map_err(|e| format!("asking the catalog: {e}"))?;
        if left.due.is_empty() {
            return Ok(());
        }
        let library = &common.library;
        let task = PurgeTask {
            library: library.id.clone(),
            volume_id: library.volume_id.clone(),
            trash: left.due.into_iter().map(|item| item.trash).collect(),
            work: Vec::new(),
            unfinished: Vec::new(),
            takeover_from: Vec::new(),
        };
        self.child = Some(Child::start(library, "purge", &task, &[("--pod-uid", Path::new(POD))], &[])?);
        Ok(())
    }
}
