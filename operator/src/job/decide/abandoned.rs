//! Which pods of a job still count: an encode pod whose node has not been heard of for ten minutes counts no more, and the encode goes
//! on elsewhere. A pod that may write to the library always counts until it is gone: Kubernetes removes it when its node is removed or
//! has the taint out-of-service. Pure.

use jiff::SignedDuration;

use super::Draft;
use crate::build::role;
use crate::pods::PodFacts;
use av1_crds::figures;

/// Seconds without a sign of life of a node.
const PATIENCE: i64 = 600;

impl<'a> Draft<'a> {
    /// The pods that may still do something.
    pub(super) fn live(&self) -> Vec<&'a PodFacts> {
        self.observed.pods.iter().filter(|pod| pod.is_live() && self.abandoned(pod).is_none()).collect()
    }

    /// Why the encode pod `pod` is waited for no more.
    pub(super) fn abandoned(&self, pod: &PodFacts) -> Option<String> {
        let node = self.observed.nodes.iter().find(|node| Some(node.name()) == pod.node.as_deref())?;
        let silent = self.observed.now.duration_since(node.silent_since()?);
        let given_up = pod.role == role::ENCODE && silent >= SignedDuration::from_secs(PATIENCE);
        given_up.then(|| {
            let silent = figures::duration(silent.as_secs().unsigned_abs());
            format!("node {} has not been heard of for {silent}", node.name())
        })
    }

    /// Leaves a run to its pod, and the work folder too: the pod may still write there. What it has finished is shared with the next run.
    pub(super) fn abandon(&mut self, why: &str) {
        let status = &mut self.out.status;
        // Of a pod that never began nobody can tell which folder it works in.
        status.left_run = status.work_run.take().filter(|has_folder| *has_folder == status.run);
        self.pod_lost(why);
    }

    /// The current run's pod has its work folder, and what earlier ones left is in there.
    pub(super) fn has_folder(&mut self) {
        let status = &mut self.out.status;
        (status.work_run, status.left_run) = (Some(status.run), None);
    }
}
