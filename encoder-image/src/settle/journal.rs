//! The journal's file, `.av1/state/journal/<job uid>.jsonl`: records are appended and made durable one by one.

use std::ffi::OsString;
use std::fs::File;
use std::io::Write;

use av1_crds::wire::SettleTask;
use av1_media::journal::{Journal, MAX_JOURNAL, Record, VERSION};

use super::error::{Doing, SettleError};
use super::place::{FILE_MODE, State, read_capped};
use crate::failpoint::durable;

/// A journal that is open for appending.
pub(super) struct JournalFile {
    file: File,
}

fn name(job_uid: &str) -> OsString {
    OsString::from(format!("{job_uid}.jsonl"))
}

/// What an earlier run wrote, if any.
pub(super) fn read(state: &State, job_uid: &str) -> Result<Option<Journal>, SettleError> {
    let bytes =
        read_capped(&state.journals, &name(job_uid), MAX_JOURNAL).doing(|| "reading the job's journal".to_owned())?;
    Journal::parse(&bytes.unwrap_or_default())
        .map_err(|e| SettleError::Parked(format!("the journal of an earlier run cannot be used: {e}")))
}

impl JournalFile {
    /// Begins a new journal in the place of one in which no name was changed.
    pub(super) fn begin(state: &State, task: &SettleTask) -> Result<Self, SettleError> {
        remove(state, &task.job.uid)?;
        let open = durable("settle::journal::create", || {
            let file = state.journals.create_new(&name(&task.job.uid), FILE_MODE)?;
            state.journals.sync()?;
            Ok(file)
        });
        let mut journal = Self { file: open.doing(|| "making the job's journal".to_owned())? };
        journal.append("begin", &Record::Begin { v: VERSION, task: Box::new(task.clone()) })?;
        Ok(journal)
    }

    /// Goes on with a journal that was read, behind its last whole line.
    pub(super) fn resume(state: &State, job_uid: &str, journal: &Journal) -> Result<Self, SettleError> {
        let open = || {
            let file = state.journals.open_append(&name(job_uid), FILE_MODE)?;
            file.set_len(journal.whole_bytes as u64)?;
            file.sync_all()?;
            Ok(file)
        };
        Ok(Self { file: open().doing(|| "opening the job's journal".to_owned())? })
    }

    /// Appends a record and makes it durable.
    pub(super) fn append(&mut self, point: &str, record: &Record) -> Result<(), SettleError> {
        let mut write = || {
            let line = record.to_line()?;
            durable(&format!("settle::journal::{point}"), || {
                self.file.write_all(&line)?;
                self.file.sync_all()
            })
        };
        write().doing(|| "writing the job's journal".to_owned())
    }
}

/// Removes the job's journal.
pub(super) fn remove(state: &State, job_uid: &str) -> Result<(), SettleError> {
    let remove = || {
        durable("settle::journal::remove", || state.journals.unlink(&name(job_uid)))?;
        state.journals.sync()
    };
    remove().doing(|| "removing the job's journal".to_owned())
}
