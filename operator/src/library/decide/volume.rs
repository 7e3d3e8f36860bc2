//! May the volume be used at all? Checks before any pod is made, in order; the first that finds something wins. Pure.

use std::path::Path;

use av1_crds::conditions::reason;

use super::super::observe::{ClaimFacts, Observed};
use super::Trouble;
use crate::context::Options;

type Check = fn(&Observed, &Options) -> Option<Trouble>;

/// In order.
const CHECKS: [Check; 5] = [claim_exists, claim_has_its_volume, access_modes, host_path, root];

/// The first thing that is wrong with the volume.
pub(super) fn check(observed: &Observed, options: &Options) -> Option<Trouble> {
    CHECKS.iter().find_map(|check| check(observed, options))
}

fn claim_name(observed: &Observed) -> &str {
    observed.library.spec.volume.persistent_volume_claim.as_ref().map_or("", |c| c.claim_name.as_str())
}

fn claim_exists(observed: &Observed, _: &Options) -> Option<Trouble> {
    let name = claim_name(observed);
    match &observed.claim {
        ClaimFacts::Missing => Some(Trouble::person(
            reason::CLAIM_NOT_FOUND,
            format!("there is no PersistentVolumeClaim {name} in this namespace: make it, or correct spec.volume"),
        )),
        ClaimFacts::Found { deleting: true, .. } => {
            Some(Trouble::person(reason::CLAIM_NOT_FOUND, format!("PersistentVolumeClaim {name} is being deleted")))
        }
        _ => None,
    }
}

fn claim_has_its_volume(observed: &Observed, _: &Options) -> Option<Trouble> {
    match &observed.claim {
        // One that is Pending may wait for its first consumer: the scheduler says what is wrong with it, if anything is.
        ClaimFacts::Found { phase, .. } if phase == "Lost" => Some(Trouble::person(
            reason::CLAIM_NOT_FOUND,
            format!("PersistentVolumeClaim {} has lost its volume", claim_name(observed)),
        )),
        _ => None,
    }
}

fn access_modes(observed: &Observed, _: &Options) -> Option<Trouble> {
    let ClaimFacts::Found { access_modes, .. } = &observed.claim else {
        return None;
    };
    if access_modes.iter().any(|mode| mode == "ReadWriteMany" || mode == "ReadWriteOnce") {
        return None;
    }
    Some(Trouble::person(
        reason::ACCESS_MODE,
        format!(
            "PersistentVolumeClaim {} has access mode {}: a library needs ReadWriteMany, or ReadWriteOnce on one node",
            claim_name(observed),
            access_modes.join(", ")
        ),
    ))
}

fn host_path(observed: &Observed, options: &Options) -> Option<Trouble> {
    let wanted = observed.library.spec.volume.host_path.as_ref()?;
    // The schema refuses that, but for a node that is null.
    if wanted.node.is_none() && !wanted.shared {
        return Some(Trouble::person(
            reason::INVALID_SETTINGS,
            "spec.volume.hostPath has neither node nor shared: write node: NAME where one node has the folder, or shared: true where the path leads to the same files on every node",
        ));
    }
    let path = Path::new(&wanted.path);
    let plain = path.is_absolute() && path.components().all(|c| !matches!(c, std::path::Component::ParentDir));
    // By whole components: /media does not allow /media2.
    if plain && options.allow_host_paths.iter().filter(|p| !p.is_empty()).any(|prefix| path.starts_with(prefix)) {
        return None;
    }
    let allowed = if options.allow_host_paths.is_empty() {
        "none is".to_owned()
    } else {
        format!("allowed are {}", options.allow_host_paths.join(", "))
    };
    Some(Trouble::person(
        reason::HOST_PATH_NOT_ALLOWED,
        format!(
            "hostPath {} is not below a prefix that the operator allows ({allowed}): use a PersistentVolumeClaim, or start the operator with --allow-host-path (allowHostPath in the chart)",
            wanted.path
        ),
    ))
}

fn root(observed: &Observed, options: &Options) -> Option<Trouble> {
    let asked = observed.library.spec.pods.as_ref().and_then(|p| p.run_as_user);
    (asked == Some(0) && !options.allow_root).then(|| root_refused("spec.pods.runAsUser is 0"))
}

/// User 0 was asked for, or found.
pub(super) fn root_refused(why: &str) -> Trouble {
    Trouble::person(
        reason::ROOT_NOT_ALLOWED,
        format!(
            "{why}: the operator does not run pods as root. Give the files to an ordinary user, set spec.pods.runAsUser to one that may change them, or start the operator with --allow-root (allowRoot in the chart)"
        ),
    )
}
