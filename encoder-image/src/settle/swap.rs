//! The swap: looks at what every name holds, asks [`av1_media::swap`] for the next step, does it, and looks again, until the
//! table says that it is over. A first run and a run after a crash are the same loop.
//!
//! A step that reports an error is judged by what the names hold afterwards, as a network file system may report failure for
//! what it did.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Seek};

use av1_crds::settings::ModifiedTime;
use av1_crds::wire::FileIdentity;
use av1_media::identity::{Comparison, compare, same_content};
use av1_media::journal::{Record, Swap};
use av1_media::swap::apart::{self, Old};
use av1_media::swap::{From, Holds, Manner, Names, Step, next};
use av1_media::trash::{SUFFIX, TrashEntry};
use rustix::io::Errno;

use super::copy::sha256;
use super::error::{Doing, SettleError};
use super::journal::JournalFile;
use super::place::{Place, identity_at, write_whole};
use crate::beneath::{Folder, cannot_refuse};
use crate::failpoint::durable;

/// More steps than any swap has.
const MOST_STEPS: u32 = 32;

/// How a swap ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// The new file is in place, the old one kept.
    Done,
    /// Another program changed the file; whether the old one is kept.
    Changed { old_is_kept: bool },
    /// The name that the new file was to have is another program's.
    Taken,
    /// Nothing is left of the swap: begin again.
    StartOver,
}

/// Where the new file comes from when it is no copy that can be made again.
pub(super) struct Home {
    pub(super) folder: Folder,
    pub(super) name: OsString,
}

/// Everything a swap works on.
pub(super) struct Swapping<'a> {
    pub(super) place: &'a Place,
    /// Folder where the old file is kept.
    pub(super) keep: &'a Folder,
    pub(super) swap: &'a Swap,
    /// What becomes of the old file when the new one has a name of its own.
    pub(super) apart: Option<Old>,
    pub(super) home: Option<&'a Home>,
    /// Description of the old file, when it goes to the trash.
    pub(super) entry: Option<&'a TrashEntry>,
}

impl Swapping<'_> {
    /// Does what is left of the swap.
    pub(super) fn run(&self, journal: &mut JournalFile) -> Result<Ended, SettleError> {
        for _ in 0..MOST_STEPS {
            let names = self.look()?;
            match self.next(&names) {
                Step::Done => return self.sync().map(|()| Ended::Done),
                Step::Changed { old_is_kept } => {
                    return self.sync().map(|()| Ended::Changed { old_is_kept });
                }
                Step::Taken => return self.sync().map(|()| Ended::Taken),
                Step::StartOver => return Ok(Ended::StartOver),
                Step::Park(why) => return Err(SettleError::Parked(format!("{why} ({names:?})"))),
                step => self.take(step, &names, journal)?,
            }
        }
        Err(SettleError::Parked(format!(
            "the file at the name was changed {MOST_STEPS} times while it was being swapped"
        )))
    }

    fn next(&self, names: &Names) -> Step {
        let spare = self.home.is_none();
        match self.apart {
            None => next(Manner { method: self.swap.method, spare }, names),
            Some(old) => apart::next(old, spare, names),
        }
    }

    /// Takes back a swap that changed nothing yet, so that a failure leaves no copy; true when it did.
    pub(super) fn roll_back(&self) -> Result<bool, SettleError> {
        use Holds::{New, Nothing, Old};
        for _ in 0..MOST_STEPS {
            let names = self.look()?;
            let old = if self.apart == Some(apart::Old::Absent) { Nothing } else { Old };
            if names.name != old || names.kept != Nothing {
                return Ok(false);
            }
            match (names.part, names.side) {
                (Nothing, Nothing) => return self.sync().map(|()| true),
                (_, Old) if self.apart.is_none() && names.side_is_name => self.step(Step::DropSide),
                (New, Nothing) if self.home.is_none() => self.step(Step::DropPart),
                (New, Nothing) => self.step(Step::PutBack),
                _ => return Ok(false),
            }
            .doing(|| "taking the swap back".to_owned())?;
        }
        Ok(false)
    }

    fn take(&self, step: Step, before: &Names, journal: &mut JournalFile) -> Result<(), SettleError> {
        if let Step::Stow(_) = step {
            self.sync()?;
            journal.append("swapped", &Record::<()>::Swapped)?;
            self.describe()?;
        }
        // The original keeps its own name until the copy is proven.
        if matches!(step, Step::DropKept(_)) || (step == Step::RenameOut && self.apart.is_some()) {
            self.check_kept()?;
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
        let (Place { folder, name, part, .. }, side) = (self.place, self.side());
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
            Step::PutBack => self.put_back(),
            Step::Place => durable("settle::place", || place_at(folder, part, side)),
            Step::Withdraw => durable("settle::withdraw", || folder.rename_free(side, folder, part)),
            Step::Unstow => {
                durable("settle::unstow", || self.keep.rename_free(OsStr::new(&self.swap.kept_name), folder, name))
            }
            Step::Done | Step::StartOver | Step::Changed { .. } | Step::Taken | Step::Park(_) => Ok(()),
        }
    }

    /// The name besides the old file's and the new file's: a second one of the old file, or the one that the new file gets.
    fn side(&self) -> &OsStr {
        match &self.swap.new_name {
            Some(name) if self.apart.is_some() => OsStr::new(name),
            _ => &self.place.side,
        }
    }

    /// Moves the new file back to where it came from, unless that holds it already and this is a copy.
    fn put_back(&self) -> io::Result<()> {
        let (folder, part) = (&self.place.folder, &self.place.part);
        let home = self.home.ok_or_else(|| io::Error::other("it is not known where the file came from"))?;
        if identity_at(&home.folder, &home.name)?.is_some_and(|found| same_content(&found, &self.swap.new)) {
            return durable("settle::drop_part", || folder.unlink(part));
        }
        durable("settle::put_back", || folder.rename_free(part, &home.folder, &home.name))?;
        home.folder.sync()
    }

    fn kept(&self, from: From) -> &OsStr {
        match from {
            From::Part => &self.place.part,
            From::Side => &self.place.side,
            From::Name => &self.place.name,
        }
    }

    /// Moves the old file to where it is kept: by rename, or as a proven copy when that is on another file system. The copy
    /// leaves the old file where it is; the table's next step removes it.
    fn stow(&self, kept: &OsStr) -> io::Result<()> {
        let name = OsStr::new(&self.swap.kept_name);
        let moved = durable("settle::stow", || self.place.folder.rename_free(kept, self.keep, name));
        match moved {
            Err(e) if Errno::from_io_error(&e) == Some(Errno::XDEV) => self.stow_copy(kept, name),
            other => other,
        }
    }

    fn stow_copy(&self, kept: &OsStr, name: &OsStr) -> io::Result<()> {
        let temporary = OsString::from(format!("{}.part", self.swap.kept_name));
        let copied = durable("settle::stow_copy", || {
            let original = self.place.folder.open_regular(kept)?;
            proven_copy(original, self.keep, &temporary, &self.swap.old_sha256)?;
            self.keep.rename_free(&temporary, self.keep, name)
        });
        if copied.is_err() {
            self.keep.unlink(&temporary)?;
        }
        copied
    }

    /// The copy that is kept is read once more before the old file itself goes.
    fn check_kept(&self) -> Result<(), SettleError> {
        let name = OsStr::new(&self.swap.kept_name);
        let hash =
            self.keep.open_regular(name).and_then(sha256).doing(|| "reading the copy that is kept".to_owned())?;
        if hash == self.swap.old_sha256 {
            return self.keep.sync().doing(|| "making the copy that is kept durable".to_owned());
        }
        Err(SettleError::Parked(format!(
            "the copy that is kept has SHA-256 {hash}, the file itself has {}",
            self.swap.old_sha256
        )))
    }

    /// Writes the description beside the old file's place in the trash.
    fn describe(&self) -> Result<(), SettleError> {
        let Some(entry) = self.entry else {
            return Ok(());
        };
        let write = || {
            let json = serde_json::to_vec_pretty(entry)?;
            let name = format!("{}{SUFFIX}", self.swap.kept_name);
            write_whole("settle::trash_entry", self.keep, OsStr::new(".entry.tmp"), OsStr::new(&name), &json)
        };
        write().doing(|| "describing the file in the trash".to_owned())
    }

    fn sync(&self) -> Result<(), SettleError> {
        durable("settle::sync_folder", || self.place.folder.sync())
            .doing(|| "making the file's name durable".to_owned())?;
        durable("settle::sync_trash", || self.keep.sync()).doing(|| "making what is kept durable".to_owned())
    }

    /// What every name holds now.
    pub(super) fn look(&self) -> Result<Names, SettleError> {
        let look = || {
            let folder = &self.place.folder;
            let is_copy = self.keep.own_stat()?.st_dev != folder.own_stat()?.st_dev;
            let (name, name_inode) = self.holds(folder, &self.place.name, false)?;
            let (part, part_inode) = self.holds(folder, &self.place.part, false)?;
            let (side, side_inode) = self.holds(folder, self.side(), false)?;
            let kept = match self.apart {
                Some(Old::Stays | Old::Absent) => Holds::Nothing,
                _ => self.holds(self.keep, OsStr::new(&self.swap.kept_name), is_copy)?.0,
            };
            let name = if self.apart == Some(Old::Absent) { Holds::Nothing } else { name };
            let other = if self.apart.is_some() { part_inode } else { name_inode };
            Ok(Names { name, part, side, kept, side_is_name: other.is_some() && other == side_inode })
        };
        look().doing(|| "looking at the file and what is beside it".to_owned())
    }

    fn holds(&self, folder: &Folder, name: &OsStr, is_copy: bool) -> io::Result<(Holds, Option<(u64, u64)>)> {
        let Some(stat) = folder.stat(name)? else {
            return Ok((Holds::Nothing, None));
        };
        let identity = identity_at(folder, name)?;
        let holds = identity.as_ref().map_or(Holds::Other, |found| classify(self.swap, found, is_copy));
        Ok((holds, Some((stat.st_dev, stat.st_ino))))
    }
}

/// What a file is. A copy on another file system may have a coarser time: it was proven by its hash when it got its name, and is
/// once more before the old file goes. What came by a rename has the time that it had, so that a file which another program
/// touched in that instant is told from the old one.
fn classify(swap: &Swap, found: &FileIdentity, is_copy: bool) -> Holds {
    if compare(&swap.old, found) != Comparison::Different || is_copy && same_content(&swap.old, found) {
        Holds::Old
    } else if same_content(&swap.new, found) {
        Holds::New
    } else {
        Holds::Other
    }
}

/// Gives a file a name that is free, at one instant: by a rename that fails when it is taken, else by a link, which leaves the
/// first name for the next step, else by a rename after a look.
fn place_at(folder: &Folder, part: &OsStr, name: &OsStr) -> io::Result<()> {
    let no_links =
        |e: &io::Error| cannot_refuse(e) || matches!(Errno::from_io_error(e), Some(Errno::PERM | Errno::MLINK));
    match folder.rename_or_refuse(part, folder, name) {
        Err(e) if cannot_refuse(&e) => match folder.link(part, folder, name) {
            Err(e) if no_links(&e) => folder.rename_free(part, folder, name),
            other => other,
        },
        other => other,
    }
}

/// Copies a file, with its attributes, to a name of ours; the copy is read back and must have the hash.
pub(super) fn proven_copy(mut from: File, to: &Folder, name: &OsStr, hash: &str) -> io::Result<()> {
    to.unlink(name)?;
    let mut copy = to.create_new(name, 0o600)?;
    from.rewind()?;
    io::copy(&mut from, &mut copy)?;
    super::attributes::take_over(&from, &copy, ModifiedTime::Original).map_err(io::Error::other)?;
    copy.sync_all()?;
    super::copy::drop_cache(&copy);
    if sha256(to.open_regular(name)?)? != hash {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the copy differs from the file"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use av1_crds::library::SwapMethod;

    use super::*;

    #[test]
    fn only_a_copy_on_another_file_system_may_have_another_time_than_the_old_file() {
        let file = |fingerprint: &str, modified_time_ns| FileIdentity {
            size: 5,
            modified_time_ns,
            changed_time_ns: 2,
            inode: 3,
            fingerprint: fingerprint.to_owned(),
        };
        let swap = Swap {
            method: SwapMethod::Exchange,
            old: file("old", 1_234_567_891),
            old_sha256: String::new(),
            new: file("new", 7),
            new_sha256: String::new(),
            kept_name: "film.mkv".to_owned(),
            new_name: None,
            at: String::new(),
            until: None,
            not_kept: Vec::new(),
        };
        assert_eq!(classify(&swap, &file("old", 1_000_000_000), true), Holds::Old);
        assert_eq!(classify(&swap, &file("old", 1_000_000_000), false), Holds::Other);
        assert_eq!(classify(&swap, &file("old", 1_234_567_891), false), Holds::Old);
        for is_copy in [false, true] {
            assert_eq!(classify(&swap, &file("other", 1_234_567_891), is_copy), Holds::Other);
            assert_eq!(classify(&swap, &file("new", 9), is_copy), Holds::New);
        }
    }
}
