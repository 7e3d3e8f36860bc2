//! Sidecars beside files that the scan passed over: the catalog lists what is to be written or removed, the sidecars role does it.
//!
//! May: start that role. Must never: write beside a file itself.

use std::time::{Duration, Instant};

use av1_crds::wire::{CatalogSummary, MAX_SIDECARS, Sidecar, SidecarPage, SidecarsResult, SidecarsTask};

use super::child::{Child, End};
use super::job::Common;

/// Pause after a round in which nothing could be written.
const PAUSE: Duration = Duration::from_secs(3_600);

/// The sidecars role, when it runs, and how far it is.
#[derive(Default)]
pub(crate) struct Sidecars {
    child: Option<Child>,
    /// The last path of the list that the role has.
    through: String,
    /// The last path that the round has come to; empty between two rounds.
    after: String,
    /// Sidecars written or removed in the round.
    changed: u32,
    /// Scans that must have ended before the next round begins, so that what was done is known.
    scans: u64,
    /// When the last round ended, if it could not do anything.
    vain_since: Option<Instant>,
}

impl Sidecars {
    /// Starts the role when a sidecar is not as it is to be, and takes note of one that ended.
    pub(crate) fn tick(&mut self, common: &Common, catalog: &Child, summary: &CatalogSummary) {
        if let Some(child) = &mut self.child {
            let Some(end) = child.ended::<SidecarsResult>() else { return };
            let said = match end {
                End::Done(result) => {
                    self.changed += result.written + result.removed;
                    result.message
                }
                End::Failed(failure) => Some(failure.message),
                End::Lost(why) => Some(why),
            };
            if let Some(why) = said {
                tracing::warn!("a sidecar could not be written: {why}");
            }
            self.child = None;
            self.after = std::mem::take(&mut self.through);
        }
        let rests = self.vain_since.is_some_and(|since| since.elapsed() < PAUSE);
        if self.after.is_empty() && (summary.sidecars_due == 0 || summary.scans < self.scans || rests) {
            return;
        }
        match self.next(common, catalog) {
            Ok(Some(child)) => self.child = Some(child),
            Ok(None) => {
                // One scan may have been under way when the last was written.
                (self.scans, self.vain_since) = (summary.scans + 2, (self.changed == 0).then(Instant::now));
                (self.after, self.changed) = (String::new(), 0);
            }
            Err(why) => tracing::warn!("sidecars could not be written: {why}"),
        }
    }

    /// Whether nothing runs, and what could be written was.
    pub(crate) fn is_idle(&self, due: u64) -> bool {
        self.child.is_none() && self.after.is_empty() && (due == 0 || self.vain_since.is_some())
    }

    /// The role at work on the next page; none when there is none.
    fn next(&mut self, common: &Common, catalog: &Child) -> Result<Option<Child>, String> {
        let after: String = self.after.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let page: SidecarPage = catalog
            .get(&format!("/v1/sidecars?after={after}&limit={MAX_SIDECARS}"))
            .map_err(|e| format!("asking the catalog: {e}"))?;
        let sidecars: Vec<Sidecar> = page.fitting(None).cloned().collect();
        let Some(last) = sidecars.last() else { return Ok(None) };
        self.through.clone_from(&last.path);
        let library = &common.library;
        let task = SidecarsTask { library: library.id.clone(), volume_id: library.volume_id.clone(), sidecars };
        Child::start(library, "sidecars", &task, &[], &[]).map(Some)
    }
}
