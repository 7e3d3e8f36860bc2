//! The restore role: brings the original back to where the AV1 file is now, and the AV1 file to the trash; or the other way
//! round, so that undo can be undone. It knows what to do from its arguments, the receipts and the trash.
//!
//! The same machinery as settling: claim, journal, the table of the swap. Every step can be killed; run again, it finishes what
//! was begun. The file that is wanted is moved, never copied, but for a trash on another file system, and comes back byte for
//! byte: its whole hash is taken before and after. May: write in the file's folder and in `.av1`. Must never: remove the last
//! whole copy of either file, touch a file that is neither, start a program.

mod lookup;

use std::ffi::OsStr;
use std::path::Path;

use av1_crds::reasons;
use av1_crds::wire::{RestoreResult, RestoreTask, RestoreVerdict, Wanted};
use av1_media::identity::{Comparison, compare, same_content};
use av1_media::journal::{Journal, Record, Swap};
use av1_media::receipt::Replaced;
use av1_media::restore::Restoring;
use av1_media::swap::apart::Old;
use av1_media::swap::{Holds, Names};
use av1_media::trash::{SUFFIX, TrashEntry, path_in_trash, split_path};
use rustix::io::Errno;

use super::claim::{self, Who};
use super::copy::{drop_cache, sha256};
use super::error::{Doing, SettleError};
use super::journal::{self, JournalFile};
use super::place::{Place, State, identity_at, identity_of};
use super::replace::MOST_STARTS;
use super::swap::{Ended, Home, Swapping, proven_copy};
use super::unfinished::Of;
use super::{keep, record, result};
use crate::beneath::{Folder, Root};
use crate::failpoint::durable;
use crate::role::{PodArgs, RoleFailure, now};
use lookup::Plan;

type RestoreJournal = Journal<Restoring>;

/// What a restore works with.
struct Work<'a> {
    root: &'a Root,
    state: &'a State,
    task: &'a RestoreTask,
    pod: &'a str,
}

/// The places of one restore, held open.
struct Scene {
    place: Place,
    home: Home,
    keep: Folder,
}

/// Brings one file back.
pub(crate) fn run(task: &RestoreTask, args: &PodArgs) -> Result<RestoreResult, RoleFailure> {
    #[cfg(feature = "failpoints")]
    let _points = crate::failpoint::setup();
    super::validate_uids(&[&task.job.uid], &args.pod_uid, &task.takeover_from)?;
    super::validate_path(&task.path)?;
    let (root, state) = super::open(args, &task.volume_id, &task.library)?;
    let (job, pod) = (&task.job.uid, &args.pod_uid);
    let of = Of { root: &root, state: &state, job, pod, takeover_from: &task.takeover_from };
    let finished = super::unfinished::settling(of)?;
    let mut result = Work { root: &root, state: &state, task, pod }.all()?;
    if result.verdict == RestoreVerdict::Refused {
        result.message = result::behind(finished, result.message);
    }
    Ok(result)
}

/// Ends the restore that a job began; none when it had begun none.
pub(super) fn unfinished(of: Of<'_>) -> Result<Option<RestoreResult>, RoleFailure> {
    let old: Option<RestoreJournal> = journal::read(of.state, &journal::restoring(of.job))?;
    let Some(old) = old.filter(|old| old.swap.is_some()) else { return Ok(None) };
    let task = RestoreTask { takeover_from: of.takeover_from.to_vec(), ..old.task.task.clone() };
    let restoring = old.task.clone();
    Work { root: of.root, state: of.state, task: &task, pod: of.pod }.claimed(&restoring, Some(old)).map(Some)
}

impl Work<'_> {
    fn stem(&self) -> String {
        journal::restoring(&self.task.job.uid)
    }

    fn journal(&self) -> Result<Option<RestoreJournal>, SettleError> {
        journal::read(self.state, &self.stem())
    }

    /// Goes on where an earlier pod ended, or begins.
    fn all(&self) -> Result<RestoreResult, RoleFailure> {
        let mut earlier = self.journal()?.filter(|journal| journal.swap.is_some());
        let (run, wanted) = (self.task.job.run, self.task.wanted);
        if let Some(old) = earlier.take_if(|old| (old.task.task.job.run, old.task.task.wanted) != (run, wanted)) {
            // An earlier wish was interrupted in the middle: its names come first.
            let restoring = old.task.clone();
            self.claimed(&restoring, Some(old))?;
        }
        if let Some(journal) = earlier {
            let restoring = journal.task.clone();
            return self.claimed(&restoring, Some(journal));
        }
        match self.plan()? {
            Plan::Ready(restoring) => self.claimed(&restoring, None),
            Plan::Ended(result) => {
                // A pod that ended may have been killed when all was done but letting go.
                claim::forget_others(self.state, None, &self.task.takeover_from)?;
                Ok(*result)
            }
        }
    }

    /// Takes the claim on the path whose file changes, and does the work.
    fn claimed(&self, restoring: &Restoring, earlier: Option<RestoreJournal>) -> Result<RestoreResult, RoleFailure> {
        let swapping = || self.journal().map_or(true, |journal| journal.is_some_and(|j| j.swap.is_some()));
        let (path, takeover_from) = (restoring.claimed(), self.task.takeover_from.as_slice());
        claim::forget_others(self.state, Some(path), takeover_from)?;
        let who = Who { path, job: &self.task.job.uid, run: self.task.job.run, takeover_from };
        let claim = claim::take_or_tell(self.state, who, self.pod, swapping())?;
        let done = self.carry_out(restoring, earlier);
        // A job whose names may be half changed keeps its claim: only its own next pod may go on.
        let keep = done.is_err() && swapping();
        let released = !keep && claim.let_go(self.state);
        done.map_err(|error| error.failure(keep).released(released))
    }

    /// Under the claim.
    fn carry_out(
        &self,
        restoring: &Restoring,
        mut earlier: Option<RestoreJournal>,
    ) -> Result<RestoreResult, SettleError> {
        let Some(scene) = self.scene(restoring)? else {
            let gone = format!("the folder of {:?} or of {:?} is gone", restoring.claimed(), restoring.pair.home);
            return if earlier.is_some() {
                Err(SettleError::Parked(format!("{gone} in the middle of a restore")))
            } else {
                Ok(result::refused(self.task, reasons::NOT_FOUND, gone))
            };
        };
        for _ in 0..MOST_STARTS {
            let (mut journal, swap) = match earlier.take() {
                Some(journal) => match &journal.swap {
                    Some(swap) => self.resume(&journal, swap, &scene)?,
                    None => continue,
                },
                None => match self.prepare(restoring, &scene)? {
                    Ok(prepared) => prepared,
                    Err(refused) => return self.ended(*refused),
                },
            };
            let entry = entry(restoring, &swap);
            let swapping = Swapping {
                place: &scene.place,
                keep: &scene.keep,
                swap: &swap,
                apart: apart(restoring),
                home: Some(&scene.home),
                entry: Some(&entry),
            };
            let refused = |reason: &str, why: String| self.ended(result::refused(self.task, reason, why));
            match stage(&swapping, &scene).and_then(|()| swapping.run(&mut journal)) {
                Ok(Ended::Done) => return self.finish(restoring, &scene, &swap, &mut journal),
                Ok(Ended::StartOver) => {}
                Ok(Ended::Changed { .. }) => {
                    let why = format!(
                        "another program changed {:?} meanwhile: what it made stays, and the file that was to come back is kept as before",
                        restoring.claimed()
                    );
                    return refused(reasons::CHANGED_SINCE, why);
                }
                Ok(Ended::Taken) => return refused(reasons::TARGET_EXISTS, lookup::taken(&restoring.target)),
                Err(error) => {
                    // The first error is the one to tell; what could not be taken back is finished by the next run.
                    if swapping.roll_back().unwrap_or(false) {
                        let _ = journal::remove(self.state, &self.stem());
                    }
                    return Err(error);
                }
            }
        }
        Err(SettleError::Parked(format!("the file was taken away {MOST_STARTS} times while it was brought back")))
    }

    fn resume(&self, journal: &RestoreJournal, swap: &Swap, scene: &Scene) -> Result<(JournalFile, Swap), SettleError> {
        let mut file = JournalFile::resume(self.state, &self.stem(), journal)?;
        if swap.kept_name.is_empty() {
            return Ok((file, swap.clone()));
        }
        let until = keep::until(now(), self.task.trash_retention_seconds);
        let swap = keep::renewed(&scene.keep, swap, Some(until), &mut file)?;
        Ok((file, swap))
    }

    /// Nothing is left to be done.
    fn ended(&self, result: RestoreResult) -> Result<RestoreResult, SettleError> {
        super::remove_empty_trash(self.state, &self.task.job.uid);
        journal::remove(self.state, &self.stem())?;
        Ok(result)
    }

    fn scene(&self, restoring: &Restoring) -> Result<Option<Scene>, SettleError> {
        let Some(place) = Place::open(self.root, restoring.claimed(), &self.task.job.uid)? else {
            return Ok(None);
        };
        let home = match self.root.parent_of(Path::new(&restoring.pair.home)) {
            Ok((folder, name)) => Home { folder, name },
            Err(e) if matches!(Errno::from_io_error(&e), Some(Errno::NOENT | Errno::LOOP | Errno::NOTDIR)) => {
                return Ok(None);
            }
            Err(e) => return Err(e).doing(|| format!("opening the folder of {:?}", restoring.pair.home)),
        };
        Ok(Some(Scene { place, home, keep: self.state.trash_of(&self.task.job.uid)? }))
    }

    /// Everything before the first name changes: both files are whole what they were, by their hashes.
    fn prepare(
        &self,
        restoring: &Restoring,
        scene: &Scene,
    ) -> Result<Result<(JournalFile, Swap), Box<RestoreResult>>, SettleError> {
        let mut journal = JournalFile::begin(self.state, &self.stem(), restoring)?;
        let refused = |reason: &str, why: String| Ok(Err(Box::new(result::refused(self.task, reason, why))));
        let (pair, place) = (&restoring.pair, &scene.place);
        let doing = || "looking at the two files".to_owned();
        let old = match &restoring.found {
            None => None,
            Some(found) => {
                let file = match identity_at(&place.folder, &place.name).doing(doing)? {
                    Some(now) if same_content(&now, &pair.present) => place.folder.open_regular(&place.name),
                    _ => return refused(reasons::CHANGED_SINCE, lookup::changed(pair, found)),
                };
                let file = file.doing(doing)?;
                let before = identity_of(&file).doing(doing)?;
                let hash = sha256(file).doing(|| format!("hashing {found:?}"))?;
                let after = identity_at(&place.folder, &place.name).doing(doing)?;
                let same = after.is_some_and(|after| compare(&before, &after) != Comparison::Different);
                if hash != pair.present_sha256 || !same {
                    return refused(reasons::CHANGED_SINCE, lookup::changed(pair, found));
                }
                Some(before)
            }
        };
        let Home { folder, name } = &scene.home;
        let new = identity_at(folder, name).doing(doing)?.filter(|now| same_content(now, &pair.wanted));
        let Some(new) = new else {
            return refused(reasons::NOT_IN_TRASH, lookup::gone(pair));
        };
        let file = folder.open_regular(name).doing(doing)?;
        drop_cache(&file);
        let hash = sha256(file).doing(|| format!("hashing {:?}", pair.home))?;
        if hash != pair.wanted_sha256 {
            return Err(SettleError::Parked(format!(
                "the file that is kept as {:?} has SHA-256 {hash}, it had {} when it was put there: it was not brought back. Check the disk",
                pair.home, pair.wanted_sha256
            )));
        }
        let at = journal.time();
        let apart = restoring.found.as_deref() != Some(restoring.target.as_str());
        let kept_name = match &restoring.found {
            Some(found) => keep::free_name(&scene.keep, found, &place.name)?,
            None => String::new(),
        };
        let swap = Swap {
            method: self.task.swap,
            old_sha256: if old.is_some() { pair.present_sha256.clone() } else { String::new() },
            old: old.unwrap_or_default(),
            new,
            new_sha256: hash,
            kept_name,
            new_name: apart.then(|| file_name(&restoring.target)),
            at: at.to_string(),
            until: Some(keep::until(at, self.task.trash_retention_seconds)),
            not_kept: Vec::new(),
        };
        journal.append("swapping", &Record::<()>::Swapping(Box::new(swap.clone())))?;
        Ok(Ok((journal, swap)))
    }

    /// All names are where they belong: the file is read back, then come the receipt and the tidying up.
    fn finish(
        &self,
        restoring: &Restoring,
        scene: &Scene,
        swap: &Swap,
        journal: &mut JournalFile,
    ) -> Result<RestoreResult, SettleError> {
        let (place, target) = (&scene.place, file_name(&restoring.target));
        let read = || {
            let file = place.folder.open_regular(OsStr::new(&target))?;
            drop_cache(&file);
            Ok((identity_of(&file)?, durable("restore::read_back", || sha256(file))?))
        };
        let (identity, hash) = read().doing(|| format!("reading {:?} back", restoring.target))?;
        if hash != swap.new_sha256 {
            return Err(SettleError::Parked(format!(
                "{:?} has SHA-256 {hash} after it was brought back, it had {} before. Check the disk",
                restoring.target, swap.new_sha256
            )));
        }
        journal.append("recording", &Record::<()>::Recording)?;
        let replaced = restoring.found.as_ref().map(|found| Replaced {
            trash: path_in_trash(&self.task.job.uid, &swap.kept_name),
            path: found.clone(),
            identity: swap.old.clone(),
            sha256: swap.old_sha256.clone(),
            until: swap.until.clone().unwrap_or_default(),
        });
        let (receipts, _) = record::receipts(self.state, &restoring.pair.receipts)?;
        let receipt = av1_media::restore::receipt(&receipts, restoring, identity, replaced, &swap.at)
            .map_err(|e| SettleError::Invalid(e.to_string()))?;
        let receipt = record::write_receipt(self.state, receipt)?;
        journal.append("cleaning", &Record::<()>::Cleaning)?;
        self.tidy(restoring, scene, swap)?;
        self.ended(result::restored(&receipt))
    }

    /// Removes what told of the wanted file in the trash, and the file there where it had to be copied.
    fn tidy(&self, restoring: &Restoring, scene: &Scene, swap: &Swap) -> Result<(), SettleError> {
        let Home { folder, name } = &scene.home;
        let Some((job, _)) = split_path(&restoring.pair.home) else {
            return Ok(());
        };
        let mut entry = name.clone();
        entry.push(SUFFIX);
        let tidy = || {
            if identity_at(folder, name)?.is_some_and(|left| same_content(&left, &swap.new)) {
                durable("restore::drop_home", || folder.unlink(name))?;
            }
            durable("restore::drop_entry", || folder.unlink(&entry))?;
            folder.sync()
        };
        tidy().doing(|| "tidying up the trash".to_owned())?;
        super::remove_empty_trash(self.state, job);
        Ok(())
    }
}

/// Brings the wanted file beside the one that is in its place: by rename, or as a proven copy from another file system.
fn stage(swapping: &Swapping<'_>, scene: &Scene) -> Result<(), SettleError> {
    let (Place { folder, part, temporary, .. }, home) = (&scene.place, &scene.home);
    let names = swapping.look()?;
    if !is_waiting(swapping, &names) {
        return Ok(());
    }
    let staged = || {
        if identity_at(&home.folder, &home.name)?.is_none_or(|found| !same_content(&found, &swapping.swap.new)) {
            return Ok(());
        }
        let moved = durable("restore::stage", || home.folder.rename_free(&home.name, folder, part));
        match moved {
            Err(e) if Errno::from_io_error(&e) == Some(Errno::XDEV) => durable("restore::stage_copy", || {
                let from = home.folder.open_regular(&home.name)?;
                proven_copy(from, folder, temporary, &swapping.swap.new_sha256)?;
                folder.rename_free(temporary, folder, part)
            }),
            other => other,
        }?;
        folder.sync()?;
        home.folder.sync()
    };
    let staged: std::io::Result<()> = staged();
    match staged {
        // A network file system may report failure for what it did.
        Err(error) if swapping.look()?.part == Holds::Nothing => {
            let _ = folder.unlink(temporary);
            Err(error).doing(|| "moving the file out of the trash".to_owned())
        }
        Err(error) => Err(error).doing(|| "making the file's way out of the trash durable".to_owned()),
        Ok(()) => Ok(()),
    }
}

/// Whether nothing has been moved yet.
fn is_waiting(swapping: &Swapping<'_>, names: &Names) -> bool {
    let old = if swapping.apart == Some(Old::Absent) { Holds::Nothing } else { Holds::Old };
    names.name == old && names.part == Holds::Nothing && names.side == Holds::Nothing && names.kept == Holds::Nothing
}

fn apart(restoring: &Restoring) -> Option<Old> {
    match &restoring.found {
        None => Some(Old::Absent),
        Some(found) => (*found != restoring.target).then_some(Old::Goes),
    }
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

/// Description of the file that makes room.
fn entry(restoring: &Restoring, swap: &Swap) -> TrashEntry {
    let found = restoring.claimed();
    let holds = match restoring.task.wanted {
        Wanted::Original => Wanted::Encoded,
        Wanted::Encoded => Wanted::Original,
    };
    let replacement_path = (found != restoring.target).then(|| restoring.target.clone());
    let (library, job) = (restoring.task.library.clone(), restoring.task.job.clone());
    TrashEntry::of(swap, holds, found.to_owned(), replacement_path, library, job)
}
