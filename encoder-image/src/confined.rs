//! Rights that a process gives up when no pod takes them from it: with `--confined` a role can write nowhere but in the folders
//! that it needs, `explain` and `plan` nowhere at all, and neither can what they start. Landlock does it in the kernel, without any right being needed.
//!
//! Must be called before the first thread is started. Must never: claim more than the kernel does.

use std::path::Path;

use av1_crds::reasons;
use landlock::{
    ABI, AccessFs, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, path_beneath_rules,
};

use crate::role::{PodArgs, RoleFailure};

/// Accesses that are known and so taken away; older kernels take away what they know.
const KNOWN: ABI = ABI::V3;
/// What every program may write to.
const ALWAYS: [&str; 1] = ["/dev/null"];

/// Confines this process to writing below `folders`, when its arguments say so. The folder of the termination message is one
/// more.
///
/// # Errors
/// [`RoleFailure`] when the kernel has Landlock and refuses. One without it is told in the log.
pub(crate) fn apply(args: &PodArgs, folders: &[&Path]) -> Result<(), RoleFailure> {
    if !args.confined {
        return Ok(());
    }
    let own = args.termination_log.parent().into_iter().chain(ALWAYS.map(Path::new));
    match restrict(folders.iter().copied().chain(own)) {
        Ok(RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced) => Ok(()),
        Ok(RulesetStatus::NotEnforced) => {
            tracing::warn!("this kernel has no Landlock: what reads media could write wherever its user can");
            Ok(())
        }
        Err(e) => Err(RoleFailure::retry(reasons::IO_ERROR, format!("the rights to write could not be given up: {e}"))),
    }
}

/// Takes the right to write anywhere from this process, for commands that only look; where the kernel cannot, they look all the
/// same, with the user's own rights.
pub(crate) fn look_only() {
    if let Err(e) = restrict(ALWAYS.map(Path::new).into_iter()) {
        tracing::debug!("the right to write could not be given up: {e}");
    }
}

fn restrict<'a>(folders: impl Iterator<Item = &'a Path>) -> Result<RulesetStatus, RulesetError> {
    let write = AccessFs::from_write(KNOWN);
    let rules = path_beneath_rules(folders, write);
    Ok(Ruleset::default().handle_access(write)?.create()?.add_rules(rules)?.restrict_self()?.ruleset)
}
