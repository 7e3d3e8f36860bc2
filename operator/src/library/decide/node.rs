//! The one node of a ReadWriteOnce volume: where the catalog's pod went first, until that node is lost. Pure.

use av1_crds::conditions::reason;

use super::super::observe::ClaimFacts;
use super::{Draft, Trouble};

impl Draft<'_> {
    /// A ReadWriteOnce volume is where the catalog's pod is.
    pub(super) fn hold_to_node(&mut self) {
        let observed = self.observed;
        let ClaimFacts::Found { access_modes, .. } = &observed.claim else {
            return;
        };
        let many = access_modes.iter().any(|mode| mode == "ReadWriteMany");
        let there = |name: &String| observed.nodes.iter().any(|node| node.name() == name);
        let node = observed.catalog_pod.as_ref().and_then(|p| p.node.clone()).filter(there);
        if let Some(storage) = self.out.status.storage.as_mut() {
            if many {
                storage.node = None;
            } else if storage.node.is_none() {
                storage.node = node;
            }
        }
    }

    /// When the node that has the volume is lost, the volume may go to another, once no pod of the library can be on the lost one
    /// any more: it is prepared again, wherever that runs. Nothing starts meanwhile, so that no pod asks for the lost node.
    pub(super) fn leave_lost_node(&mut self) -> Result<(), Trouble> {
        let Some(lost) = &self.observed.lost_node else { return Ok(()) };
        let is_prepared = self.out.status.storage.as_ref().is_some_and(|storage| storage.prepared_for.is_some());
        let told = if lost.has_pods {
            // Silent, it may come back with its pods; once its object is gone, they go too.
            if !lost.is_gone {
                return Ok(());
            }
            format!("node {}, which had the volume, is gone: waits until its pods are gone too", lost.name)
        } else {
            format!("node {}, which had the volume, is lost: the volume is prepared on another", lost.name)
        };
        if is_prepared {
            self.unprepare();
        } else if !lost.has_pods {
            self.out.desired.surplus.extend(lost.stuck_jobs.iter().cloned());
            if let Some(storage) = self.out.status.storage.as_mut() {
                storage.node = None;
            }
            self.next_run();
        }
        Err(Trouble::wait(reason::IN_PROGRESS, told))
    }
}
