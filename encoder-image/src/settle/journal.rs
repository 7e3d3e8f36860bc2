//! A journal's file below `.av1/state/journal`: records are appended and made durable one by one. A job that settles has
//! `<job uid>.jsonl`, one that restores `<job uid>.restore.jsonl`.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Write;

use av1_media::journal::{Journal, MAX_JOURNAL, Record, VERSION};

use jiff::Timestamp;
use serde::Serialize;
use serde::de::{DeserializeOwned, IgnoredAny};

use super::error::{Doing, SettleError};
use super::place::{FILE_MODE, State, read_capped};
use crate::failpoint::durable;
use crate::role::now;

/// What the name of a journal has behind the job's UID while it restores.
const RESTORING: &str = ".restore";

/// A journal that is open for appending.
pub(super) struct JournalFile {
    file: File,
}

fn name(stem: &str) -> OsString {
    OsString::from(format!("{stem}.jsonl"))
}

/// Stem of the name of a job's journal while it restores; while it settles it is the job's UID.
pub(super) fn restoring(job_uid: &str) -> String {
    format!("{job_uid}{RESTORING}")
}

/// UID of the job whose journal has this name.
pub(super) fn job_of(name: &OsStr) -> Option<String> {
    let stem = name.to_str()?.strip_suffix(".jsonl")?;
    Some(stem.strip_suffix(RESTORING).unwrap_or(stem).to_owned())
}

/// Whether a job has a journal that tells of a swap, or that cannot be read: it has not ended what it began.
pub(super) fn is_open(state: &State, job_uid: &str) -> Result<bool, SettleError> {
    for stem in [job_uid.to_owned(), restoring(job_uid)] {
        let journal: Option<Journal<IgnoredAny>> = read(state, &stem)?;
        if journal.is_some_and(|journal| journal.swap.is_some()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// What an earlier run wrote, if any.
pub(super) fn read<T: DeserializeOwned>(state: &State, stem: &str) -> Result<Option<Journal<T>>, SettleError> {
    let bytes =
        read_capped(&state.journals, &name(stem), MAX_JOURNAL).doing(|| "reading the job's journal".to_owned())?;
    Journal::parse(&bytes.unwrap_or_default())
        .map_err(|e| SettleError::Parked(format!("the journal of an earlier run cannot be used: {e}")))
}

impl JournalFile {
    /// Begins a new journal in the place of one in which no name was changed.
    pub(super) fn begin<T: Serialize + Clone>(state: &State, stem: &str, task: &T) -> Result<Self, SettleError> {
        remove(state, stem)?;
        let open = durable("settle::journal::create", || {
            let file = state.journals.create_new(&name(stem), FILE_MODE)?;
            state.journals.sync()?;
            Ok(file)
        });
        let mut journal = Self { file: open.doing(|| "making the job's journal".to_owned())? };
        journal.append("begin", &Record::Begin { v: VERSION, task: Box::new(task.clone()) })?;
        Ok(journal)
    }

    /// Goes on with a journal that was read, behind its last whole line.
    pub(super) fn resume<T>(state: &State, stem: &str, journal: &Journal<T>) -> Result<Self, SettleError> {
        let open = || {
            let file = state.journals.open_append(&name(stem), FILE_MODE)?;
            file.set_len(journal.whole_bytes as u64)?;
            file.sync_all()?;
            Ok(file)
        };
        Ok(Self { file: open().doing(|| "opening the job's journal".to_owned())? })
    }

    /// Appends a record and makes it durable.
    pub(super) fn append<T: Serialize>(&mut self, point: &str, record: &Record<T>) -> Result<(), SettleError> {
        let mut write = || {
            let line = record.to_line()?;
            durable(&format!("settle::journal::{point}"), || {
                self.file.write_all(&line)?;
                self.file.sync_all()
            })
        };
        write().doing(|| "writing the job's journal".to_owned())
    }

    /// The time by the file system's own clock, to the second: that of the last record. Purge counts by the same clock.
    pub(super) fn time(&self) -> Timestamp {
        let written = self.file.metadata().and_then(|meta| meta.modified()).ok();
        let at = written.and_then(|time| Timestamp::try_from(time).ok());
        at.and_then(|at| Timestamp::from_second(at.as_second()).ok()).unwrap_or_else(now)
    }
}

/// Removes a journal.
pub(super) fn remove(state: &State, stem: &str) -> Result<(), SettleError> {
    let remove = || {
        durable("settle::journal::remove", || state.journals.unlink(&name(stem)))?;
        state.journals.sync()
    };
    remove().doing(|| "removing the job's journal".to_owned())
}
