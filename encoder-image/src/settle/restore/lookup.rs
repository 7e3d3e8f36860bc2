//! Before a restore begins: what is wanted, where it is kept, where the file in its place is now; or why nothing can be done.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use av1_crds::reasons;
use av1_crds::wire::{FileIdentity, RestoreResult, RestoreVerdict, Wanted};
use av1_media::identity::same_content;
use av1_media::restore::{Lookup, Pair, Restoring, from_receipts, from_trash, newest_placement, target};
use av1_media::trash::{MAX_DESCRIPTION, MAX_NAME, SUFFIX, TrashEntry};

use super::super::error::{Doing, SettleError};
use super::super::find::find;
use super::super::place::{State, identity_below, read_capped};
use super::super::{record, result};
use super::{Work, file_name};
use crate::beneath::Root;

/// What is to be done.
pub(super) enum Plan {
    /// This.
    Ready(Box<Restoring>),
    /// Nothing: done already, or refused.
    Ended(Box<RestoreResult>),
}

impl Work<'_> {
    pub(super) fn plan(&self) -> Result<Plan, SettleError> {
        let task = self.task;
        let (receipts, _) = record::receipts(self.state, &task.path)?;
        let own = newest_placement(&receipts).filter(|newest| {
            (&newest.job.uid, newest.job.run) == (&task.job.uid, task.job.run)
                && newest.restored.as_ref().is_some_and(|restored| restored.wanted == task.wanted)
        });
        if let Some(done) = own {
            return Ok(Plan::Ended(Box::new(result::restored(done))));
        }
        let mut lookup = from_receipts(&receipts, task.wanted);
        if lookup == Lookup::Unknown {
            let identity = identity_below(self.root, &task.path)?;
            lookup = from_trash(&entries(self.state)?, &task.path, identity.as_ref(), task.wanted);
        }
        match lookup {
            Lookup::Kept(pair) => self.locate(*pair),
            Lookup::There { path, identity, at } => self.there(&path, &identity, &at),
            Lookup::Unknown => {
                let (path, why) = (&task.path, "it has no receipt, and nothing in the trash is about it");
                Ok(self.refused(
                    reasons::NOT_IN_TRASH,
                    match task.wanted {
                        Wanted::Original => format!("nothing is known of a replacement of {path:?}: {why}"),
                        Wanted::Encoded => format!("no AV1 file of {path:?} is kept: only a new encode makes one"),
                    },
                ))
            }
        }
    }

    fn refused(&self, reason: &str, why: String) -> Plan {
        Plan::Ended(Box::new(result::refused(self.task, reason, why)))
    }

    /// The wanted file was at its name when that was written down.
    fn there(&self, path: &str, identity: &FileIdentity, at: &str) -> Result<Plan, SettleError> {
        let found = if identity_below(self.root, path)?.is_some_and(|now| same_content(&now, identity)) {
            Some(path.to_owned())
        } else {
            find(self.root, &[identity])?.into_iter().flatten().next()
        };
        let Some(found) = found else {
            let why = format!(
                "{path:?} was the wanted file on {at}, but is not any more, and nothing that is kept can take its place"
            );
            return Ok(self.refused(reasons::NOT_IN_TRASH, why));
        };
        let why = format!("{found:?} is the wanted file already");
        let there = result::refused(self.task, reasons::RESTORED, why);
        Ok(Plan::Ended(Box::new(RestoreResult {
            verdict: RestoreVerdict::AlreadyThere,
            path: result::short_path(&found),
            ..there
        })))
    }

    /// Finds the file that is to make room, and with it the path that the wanted one gets.
    fn locate(&self, pair: Pair) -> Result<Plan, SettleError> {
        let is = |path: &str, identity: &FileIdentity| {
            Ok::<_, SettleError>(identity_below(self.root, path)?.is_some_and(|now| same_content(&now, identity)))
        };
        if !is(&pair.home, &pair.wanted)? {
            return Ok(self.refused(reasons::NOT_IN_TRASH, gone(&pair)));
        }
        let found = if is(&pair.place, &pair.present)? {
            Some(pair.place.clone())
        } else if is(&self.task.path, &pair.present)? {
            Some(self.task.path.clone())
        } else {
            let mut all: Vec<String> = find(self.root, &[&pair.present])?.into_iter().flatten().collect();
            if let [first, second, ..] = all.as_slice() {
                let why = format!(
                    "the file that is to make room is there more than once, as {first:?} and {second:?}: ask for the one that is meant"
                );
                return Ok(self.refused(reasons::CHANGED_SINCE, why));
            }
            all.pop()
        };
        let target = target(&pair, found.as_deref());
        if file_name(&target).len() > MAX_NAME {
            let why = format!("the name {target:?} would have more than {MAX_NAME} bytes");
            return Ok(self.refused(reasons::TARGET_EXISTS, why));
        }
        if found.as_deref() != Some(target.as_str()) && exists(self.root, &target)? {
            // What is at the name of the file that is gone was changed, or put there by somebody.
            return Ok(if found.is_none() && target == pair.place {
                self.refused(reasons::CHANGED_SINCE, changed(&pair, &target))
            } else {
                self.refused(reasons::TARGET_EXISTS, taken(&target))
            });
        }
        Ok(Plan::Ready(Box::new(Restoring { task: self.task.clone(), pair, found, target })))
    }
}

pub(super) fn taken(target: &str) -> String {
    format!("{target:?} is another file: move it away, then ask again")
}

pub(super) fn gone(pair: &Pair) -> String {
    format!(
        "the file that made room on {} is not kept as {:?} any more: its time was over, or somebody removed or changed it",
        pair.at, pair.home
    )
}

pub(super) fn changed(pair: &Pair, path: &str) -> String {
    format!(
        "{path:?} is not the file that was put there on {}: it was changed or replaced since, and is left alone. The wanted file is kept as {:?}; move the other one away, then ask again",
        pair.at, pair.home
    )
}

fn exists(root: &Root, path: &str) -> Result<bool, SettleError> {
    match root.stat(Path::new(path)) {
        Ok(_) => Ok(true),
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(false),
        Err(e) => Err(e).doing(|| format!("looking at {path:?}")),
    }
}

/// Every description in the trash that can be read, with the UID of the job in whose folder it is.
fn entries(state: &State) -> Result<Vec<(String, TrashEntry)>, SettleError> {
    let list = || {
        let mut entries = Vec::new();
        for job in state.trash.names()? {
            let (Ok(folder), Some(uid)) = (state.trash.open_folder(Path::new(&job)), job.to_str()) else {
                continue;
            };
            for name in folder.names()?.iter().filter(|name| name.as_encoded_bytes().ends_with(SUFFIX.as_bytes())) {
                let json = read_capped(&folder, name, MAX_DESCRIPTION).ok().flatten();
                let entry = json.and_then(|json| TrashEntry::parse(&json).ok());
                let is_its = |entry: &TrashEntry| name == OsStr::new(&format!("{}{SUFFIX}", entry.file));
                entries.extend(entry.filter(is_its).map(|entry| (uid.to_owned(), entry)));
            }
        }
        Ok(entries)
    };
    let entries: io::Result<_> = list();
    entries.doing(|| "looking through the trash".to_owned())
}
