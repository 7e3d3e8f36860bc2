//! The swap: looks at what every name holds, asks [`av1_media::swap`] for the next step, does it, and looks again, until the
//! table says that it is over. A first run and a run after a crash are the same loop.
//!
//! A step that reports an error is judged by what the names hold afterwards, as a network file system may report failure for
//! what it did.

use std::ffi::{OsStr, OsString};
use std::io;

use av1_crds::wire::{FileIdentity, SettleTask};
use av1_media::identity::{Comparison, compare, same_content};
use av1_media::journal::{Record, Swap};
use av1_media::swap::{From, Holds, Names, Step, next};
use av1_media::trash::{SUFFIX, TrashEntry, VERSION};
use rustix::io::Errno;

use super::copy::sha256;
use super::error::{Doing, SettleError};
use super::journal::JournalFile;
use super::place::{Place, identity_at, write_whole};
use crate::beneath::Folder;
use crate::failpoint::durable;

/// More steps than any swap has.
const MOST_STEPS: u32 = 32;

/// How a swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The output is in place, the original in the trash.
    Done,
    /// Another program changed the file; whether the original is in the trash.
    Changed { original_in_trash: bool },
    /// Nothing is left of the swap: begin again.
    StartOver,
}

/// Everything a swap works on.
pub(super) struct Swapping<'a> {
    pub(super) place: &'a Place,
    pub(super) trash: &'a Folder,
    pub(super) task: &'a SettleTask,
    pub(super) swap: &'a Swap,
}

impl Swapping<'_> {
    /// Does what is left of the swap.
    pub(super) fn run(&self, journal: &mut JournalFile) -> Result<Ended, SettleError> {
        for _ in 0..MOST_STEPS {
            let names = self.look()?;
            match next(self.swap.method, &names) {
                Step::Done => return self.sync().map(|()| Ended::Done),
                Step::Changed { original_in_trash } => {
                    return self.sync().map(|()| Ended::Changed { original_in_trash });
                }
                Step::StartOver => return Ok(Ended::StartOver),
                Step::Park(why) => return Err(SettleError::Parked(format!("{why} ({names:?})"))),
                step => self.take(step, &names, journal)?,
            }
        }
        Err(SettleError::Parked(format!(
            "the file at the name was changed {MOST_STEPS} times while it was being swapped"
        )))
    }

    /// Takes back a swap that changed nothing yet, so that a failure leaves no copy; true when it did.
    pub(super) fn roll_back(&self) -> Result<bool, SettleError> {
        for _ in 0..MOST_STEPS {
            let names = self.look()?;
            match (names.name, names.part, names.side, names.trash) {
                (Holds::Original, Holds::Nothing, Holds::Nothing, Holds::Nothing) => {
                    return self.sync().map(|()| true);
                }
                (Holds::Original, _, Holds::Original, Holds::Nothing) if names.side_is_name => {
                    self.step(Step::DropSide)
                }
                (Holds::Original, Holds::Output, Holds::Nothing, Holds::Nothing) => self.step(Step::DropPart),
                _ => return Ok(false),
            }
            .doing(|| "taking the swap back".to_owned())?;
        }
        Ok(false)
    }

    fn take(&self, step: Step, before: &Names, journal: &mut JournalFile) -> Result<(), SettleError> {
        if let Step::Stow(_) = step {
            self.sync()?;
            journal.append("swapped", &Record::Swapped)?;
            self.describe()?;
        }
        if let Step::DropKept(_) = step {
            self.check_trash()?;
        }
        let Err(error) = self.step(step) else {
            return self.sync();
        };
        match self.look() {
            Ok(after) if after != *before => {
                tracing::warn!("{step:?} reported \"{error}\" but was done; going on");
                self.sync()
            }
            Ok(_) => Err(error).doing(|| format!("swapping the file in ({step:?}, not done)")),
            Err(look) => Err(SettleError::Parked(format!(
                "{step:?} reported \"{error}\" and it cannot be told whether it was done ({look})"
            ))),
        }
    }

    fn step(&self, step: Step) -> io::Result<()> {
        let Place { folder, name, part, side, .. } = self.place;
        match step {
            Step::Exchange => durable("settle::exchange", || folder.exchange(part, folder, name)),
            Step::Link => durable("settle::link", || folder.link(name, folder, side)),
            Step::RenameOver => durable("settle::rename_over", || folder.rename(part, folder, name)),
            Step::RenameAway => durable("settle::rename_away", || folder.rename_free(name, folder, side)),
            Step::RenameIn => durable("settle::rename_in", || folder.rename_free(part, folder, name)),
            Step::RenameBack => durable("settle::rename_back", || folder.rename_free(side, folder, name)),
            Step::RenameOut => durable("settle::rename_out", || folder.rename_free(name, folder, part)),
            Step::Stow(from) => self.stow(self.kept(from)),
            Step::DropKept(from) => durable("settle::drop_kept", || folder.unlink(self.kept(from))),
            Step::DropSide => durable("settle::drop_side", || folder.unlink(side)),
            Step::DropPart => durable("settle::drop_part", || folder.unlink(part)),
            Step::Done | Step::StartOver | Step::Changed { .. } | Step::Park(_) => Ok(()),
        }
    }

    fn kept(&self, from: From) -> &OsStr {
        match from {
            From::Part => &self.place.part,
            From::Side => &self.place.side,
        }
    }

    /// Moves the original into the trash: by rename, or as a proven copy when the trash is on another file system. The copy
    /// leaves the original beside the file; the table's next step removes it.
    fn stow(&self, kept: &OsStr) -> io::Result<()> {
        let name = OsStr::new(&self.swap.trash_name);
        let moved = durable("settle::stow", || self.place.folder.rename_free(kept, self.trash, name));
        match moved {
            Err(e) if Errno::from_io_error(&e) == Some(Errno::XDEV) => self.stow_copy(kept, name),
            other => other,
        }
    }

    fn stow_copy(&self, kept: &OsStr, name: &OsStr) -> io::Result<()> {
        let temporary = OsString::from(format!("{}.part", self.swap.trash_name));
        self.trash.unlink(&temporary)?;
        let copied = durable("settle::stow_copy", || {
            let mut original = self.place.folder.open_regular(kept)?;
            let mut copy = self.trash.create_new(&temporary, 0o600)?;
            io::copy(&mut original, &mut copy)?;
            super::attributes::take_over(&original, &copy, av1_crds::settings::ModifiedTime::Original)
                .map_err(io::Error::other)?;
            copy.sync_all()?;
            super::copy::drop_cache(&copy);
            if sha256(self.trash.open_regular(&temporary)?)? != self.swap.original_sha256 {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "the original's copy in the trash differs from the original",
                ));
            }
            self.trash.rename_free(&temporary, self.trash, name)
        });
        if copied.is_err() {
            self.trash.unlink(&temporary)?;
        }
        copied
    }

    /// The original's copy in the trash is read once more before the original itself goes.
    fn check_trash(&self) -> Result<(), SettleError> {
        let name = OsStr::new(&self.swap.trash_name);
        let hash =
            self.trash.open_regular(name).and_then(sha256).doing(|| "reading the original in the trash".to_owned())?;
        if hash == self.swap.original_sha256 {
            return self.trash.sync().doing(|| "making the trash durable".to_owned());
        }
        Err(SettleError::Parked(format!(
            "the original's copy in the trash has SHA-256 {hash}, the original has {}",
            self.swap.original_sha256
        )))
    }

    /// Writes the description beside the original's place in the trash.
    fn describe(&self) -> Result<(), SettleError> {
        let (task, swap) = (self.task, self.swap);
        let entry = TrashEntry {
            v: VERSION,
            file: swap.trash_name.clone(),
            path: task.path.clone(),
            library: task.library.clone(),
            job: task.job.clone(),
            identity: swap.original.clone(),
            sha256: swap.original_sha256.clone(),
            replacement: swap.output.clone(),
            replacement_sha256: swap.output_sha256.clone(),
            at: swap.at.clone(),
            until: swap.until.clone(),
        };
        let write = || {
            let json = serde_json::to_vec_pretty(&entry)?;
            let name = format!("{}{SUFFIX}", swap.trash_name);
            write_whole("settle::trash_entry", self.trash, OsStr::new(".entry.tmp"), OsStr::new(&name), &json)
        };
        write().doing(|| "describing the original in the trash".to_owned())
    }

    fn sync(&self) -> Result<(), SettleError> {
        durable("settle::sync_folder", || self.place.folder.sync())
            .doing(|| "making the file's name durable".to_owned())?;
        durable("settle::sync_trash", || self.trash.sync()).doing(|| "making the trash durable".to_owned())
    }

    fn look(&self) -> Result<Names, SettleError> {
        let look = || {
            let folder = &self.place.folder;
            let (name, name_inode) = self.holds(folder, &self.place.name)?;
            let (part, _) = self.holds(folder, &self.place.part)?;
            let (side, side_inode) = self.holds(folder, &self.place.side)?;
            let (trash, _) = self.holds(self.trash, OsStr::new(&self.swap.trash_name))?;
            Ok(Names { name, part, side, trash, side_is_name: name_inode.is_some() && name_inode == side_inode })
        };
        look().doing(|| "looking at the file and what is beside it".to_owned())
    }

    fn holds(&self, folder: &Folder, name: &OsStr) -> io::Result<(Holds, Option<(u64, u64)>)> {
        let Some(stat) = folder.stat(name)? else {
            return Ok((Holds::Nothing, None));
        };
        let identity = identity_at(folder, name)?;
        let holds = identity.as_ref().map_or(Holds::Other, |found| self.classify(found));
        Ok((holds, Some((stat.st_dev, stat.st_ino))))
    }

    fn classify(&self, found: &FileIdentity) -> Holds {
        if compare(&self.swap.original, found) != Comparison::Different {
            Holds::Original
        } else if same_content(&self.swap.output, found) {
            Holds::Output
        } else {
            Holds::Other
        }
    }
}
