//! The claim on a path: the fence between two pods that settle the same file.
//!
//! A claim is a file that only one can make (O_EXCL, or a link from a file that is whole already). A claim whose pod was seen to
//! end is not removed but followed: `<hash>.after.<pod uid>` is made just as exclusively, so that of two successors one wins.
//! Who made the last file of that chain holds the claim. Letting go removes the head first.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write};

use av1_media::receipt::path_hash;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::error::{Doing, SettleError};
use super::place::{FILE_MODE, State, read_capped};
use crate::beneath::Folder;
use crate::failpoint::durable;
use crate::role::{RoleFailure, now};

const MAX_CLAIM: usize = 64 << 10;
/// Longest chain of pods that ended without letting go.
const MAX_CHAIN: usize = 1_000;

/// Who claims what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Who<'a> {
    /// Path below the library's root.
    pub(super) path: &'a str,
    /// UID of the job, or what the work is when it is no job's.
    pub(super) job: &'a str,
    pub(super) run: i64,
    /// UIDs of pods that were seen to end.
    pub(super) takeover_from: &'a [String],
}

/// What a claim file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimFile {
    v: u32,
    path: String,
    job: String,
    run: i64,
    pod: String,
    at: String,
}

/// A claim that is held.
pub(super) struct Claim {
    /// Files of the chain, the head first.
    chain: Vec<OsString>,
}

/// Takes the claim on a path for the pod.
pub(super) fn take(state: &State, who: Who<'_>, pod: &str) -> Result<Claim, SettleError> {
    let hash = path_hash(who.path);
    let own = ClaimFile {
        v: 1,
        path: who.path.to_owned(),
        job: who.job.to_owned(),
        run: who.run,
        pod: pod.to_owned(),
        at: now().to_string(),
    };
    for ended in who.takeover_from {
        state.claims.unlink(&temporary_of(ended)).doing(|| "removing what an ended pod left".to_owned())?;
    }
    let mut chain = vec![OsString::from(&hash)];
    while chain.len() <= MAX_CHAIN {
        let name = chain.last().map_or_else(OsString::new, Clone::clone);
        match make(&state.claims, &name, &own).doing(|| "writing the claim on the path".to_owned())? {
            None => {
                confirm(&state.claims, &chain, &own)?;
                sweep(state, who, &hash, &chain)?;
                return Ok(Claim { chain });
            }
            Some(holder) if holder.pod == pod => return Ok(Claim { chain }),
            Some(holder)
                if who.takeover_from.contains(&holder.pod)
                    || holder.pod.is_empty() && !who.takeover_from.is_empty() =>
            {
                chain.push(OsString::from(format!("{hash}.after.{}", holder.pod)))
            }
            Some(holder) => {
                return Err(SettleError::ClaimHeld { holder: holder.pod, job: holder.job });
            }
        }
    }
    Err(SettleError::Parked(format!("more than {MAX_CHAIN} pods claimed this path and ended without letting go")))
}

/// Takes the claim as [`take`] does; what the operator is told when that cannot be done. `swapping`: as of [`SettleError::failure`].
pub(super) fn take_or_tell(state: &State, who: Who<'_>, pod: &str, swapping: bool) -> Result<Claim, RoleFailure> {
    take(state, who, pod).map_err(|error| error.failure(swapping).released(has_none(state, pod)))
}

/// Whether it is certain that the pod has no claim.
fn has_none(state: &State, pod: &str) -> bool {
    let others =
        |name: &OsString| read(&state.claims, name).is_ok_and(|claim| !claim.pod.is_empty() && claim.pod != pod);
    state.claims.names().is_ok_and(|names| names.iter().all(others))
}

/// Makes one claim file; gives its holder when it exists already.
fn make(claims: &Folder, name: &OsStr, own: &ClaimFile) -> io::Result<Option<ClaimFile>> {
    let json = serde_json::to_vec(own)?;
    let temporary = temporary_of(&own.pod);
    claims.unlink(&temporary)?;
    durable("settle::claim::write", || {
        let mut file = claims.create_new(&temporary, FILE_MODE)?;
        file.write_all(&json)?;
        file.sync_all()
    })?;
    let made = durable("settle::claim::make", || publish(claims, &temporary, name, &json));
    claims.unlink(&temporary)?;
    match made {
        Ok(()) => durable("settle::claim::sync", || claims.sync()).map(|()| None),
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => read(claims, name).map(Some),
        // A network file system may report failure for what it did: whose claim it is decides.
        Err(e) => match read(claims, name) {
            Ok(holder) => Ok(Some(holder)),
            Err(_) => Err(e),
        },
    }
}

/// Removes followers of ended pods to which no chain leads any more: left by a pod that was killed while it let go.
fn sweep(state: &State, who: Who<'_>, hash: &str, chain: &[OsString]) -> Result<(), SettleError> {
    for ended in who.takeover_from {
        let name = OsString::from(format!("{hash}.after.{ended}"));
        if !chain.contains(&name) {
            state.claims.unlink(&name).doing(|| "removing what an ended pod left".to_owned())?;
        }
    }
    Ok(())
}

fn temporary_of(pod: &str) -> OsString {
    OsString::from(format!(".{pod}.tmp"))
}

/// Gives the whole file its name. Without hard links the name is made first and filled then.
fn publish(claims: &Folder, temporary: &OsStr, name: &OsStr, json: &[u8]) -> io::Result<()> {
    match claims.link(temporary, claims, name) {
        Err(e)
            if matches!(
                Errno::from_io_error(&e),
                Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK | Errno::INVAL)
            ) =>
        {
            let mut file = claims.create_new(name, FILE_MODE)?;
            file.write_all(json)?;
            file.sync_all()
        }
        other => other,
    }
}

/// What a claim file says. One that a crash left unfinished (where there are no hard links) names nobody.
fn read(claims: &Folder, name: &OsStr) -> io::Result<ClaimFile> {
    let bytes = read_capped(claims, name, MAX_CLAIM)?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// Reads the chain again from its head: it must still lead to the own claim, else its holder let go in between.
fn confirm(claims: &Folder, chain: &[OsString], own: &ClaimFile) -> Result<(), SettleError> {
    for (index, name) in chain.iter().enumerate() {
        let holder = read(claims, name);
        let leads_on = match (&holder, chain.get(index + 1)) {
            (Ok(holder), Some(next)) => next.to_string_lossy().ends_with(&format!(".after.{}", holder.pod)),
            (Ok(holder), None) => holder == own,
            (Err(_), _) => false,
        };
        if !leads_on {
            if let Some(last) = chain.last() {
                claims.unlink(last).doing(|| "letting go of the claim".to_owned())?;
            }
            let (pod, job) = holder.map_or_else(|_| ("unknown".to_owned(), "unknown".to_owned()), |h| (h.pod, h.job));
            return Err(SettleError::ClaimHeld { holder: pod, job });
        }
    }
    Ok(())
}

impl Claim {
    /// Lets go; a claim that stays is taken over by the next pod. Whether it went.
    pub(super) fn let_go(self, state: &State) -> bool {
        let released = self.release(state);
        if let Err(error) = &released {
            tracing::warn!(
                "the claim on the path could not be removed ({error}); the operator's next pod takes it over"
            );
        }
        released.is_ok()
    }

    /// Removes the chain.
    ///
    /// # Errors
    /// When some of it stays.
    pub(super) fn release(self, state: &State) -> io::Result<()> {
        for name in &self.chain {
            durable("settle::claim::release", || state.claims.unlink(name))?;
        }
        state.claims.sync()
    }
}

/// UID of the job whose claim has this name, or [`av1_crds::wire::NO_JOB`].
pub(super) fn job_of(claims: &Folder, name: &OsStr) -> Option<String> {
    let claim = read(claims, name).ok()?;
    Some(claim.job).filter(|job| !job.is_empty())
}

/// Pods of a job that claimed a path and did not let go.
pub(super) fn pods_of(state: &State, job: &str) -> Result<Vec<String>, SettleError> {
    let names = state.claims.names().doing(|| "looking through the claims".to_owned())?;
    let claims = names.iter().filter_map(|name| read(&state.claims, name).ok());
    Ok(claims.filter(|claim| claim.job == job).map(|claim| claim.pod).collect())
}

/// Removes claims that pods which were seen to end left on any path but `path`: one that was killed before it had changed
/// anything there, and whose work goes on elsewhere because the file was moved, or when all was done but letting go.
pub(super) fn forget_others(state: &State, path: Option<&str>, takeover_from: &[String]) -> Result<(), SettleError> {
    if takeover_from.is_empty() {
        return Ok(());
    }
    let own = path.map(path_hash);
    let is_own = |name: &OsStr| own.as_ref().is_some_and(|own| name.to_string_lossy().starts_with(own.as_str()));
    forget(state, |name, holder| !is_own(name) && takeover_from.contains(&holder.pod))
}

/// Removes every claim of a job.
pub(super) fn forget_job(state: &State, job: &str) -> Result<(), SettleError> {
    forget(state, |_, holder| holder.job == job)
}

fn forget(state: &State, which: impl Fn(&OsStr, &ClaimFile) -> bool) -> Result<(), SettleError> {
    let forget = || {
        for name in state.claims.names()? {
            if read(&state.claims, &name).is_ok_and(|holder| which(&name, &holder)) {
                state.claims.unlink(&name)?;
            }
        }
        Ok(())
    };
    forget().doing(|| "removing what ended pods left".to_owned())
}
