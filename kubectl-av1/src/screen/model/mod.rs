//! What the screen knows and where its user is: a value that [`super::update`] changes and [`super::draw`] shows. Pure.

mod chart;
mod event;
mod job;
mod jobs;
mod library;

use std::collections::{BTreeMap, BTreeSet};

use av1_crds::{Phase, figures};
use jiff::Timestamp;

pub(crate) use chart::{Chart, HISTORY_SPAN, Point};
pub(crate) use event::{Events, Happening};
pub(crate) use job::{Figures, Job};
#[cfg(test)]
pub(crate) use jobs::Sort;
pub(crate) use jobs::{Filter, Jobs};
pub(crate) use library::Library;

use super::draw::areas::{Areas, areas};
use crate::exposition::Page;
use crate::view::text::count;
use crate::view::{Palette, Tone};

/// Most lines of the header that tell what is wrong.
const MOST_PROBLEMS: usize = 3;

/// Namespace and name of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// Something of a watch.
#[derive(Debug)]
pub(crate) enum Change<T> {
    /// A whole list begins; what is not put until it ends is gone.
    Begin,
    Put(Box<T>),
    Gone(Key),
    /// This version cannot read the object, and why.
    Unreadable(Key, String),
    End,
}

/// What a watch looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Libraries,
    Jobs,
    Events,
}

/// What comes from outside.
#[derive(Debug)]
pub(crate) enum Message {
    Jobs(Change<Job>),
    Libraries(Change<Library>),
    Events(Change<Happening>),
    /// A watch has ended with an error, and is tried again.
    Lost(Kind, String),
    /// The operator's metrics, or why they are away.
    Page(Result<Page, String>),
    /// What a Prometheus knows, or why it does not tell.
    History(Result<Vec<Point>, String>),
    /// What became of a wish.
    Answer(Result<String, String>),
    /// The time, in seconds since 1970.
    Tick(i64),
    /// Columns and rows of the terminal.
    Resize(u16, u16),
}

/// What a user may ask to be done to a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wish {
    Pause,
    Resume,
    Undo,
    Cancel,
}

/// A wish that has still to be confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) wish: Wish,
    pub(crate) key: Key,
    pub(crate) path: String,
}

/// What lies over the screen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Over {
    #[default]
    Nothing,
    Help,
    Confirm(Ask),
    /// The search is being written.
    Search,
    /// The name of a namespace is being written.
    Namespace(String),
}

/// A sentence in the footer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// Where the operator's metrics stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Operator {
    #[default]
    Unknown,
    Here,
    Away {
        since: i64,
        why: String,
    },
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) jobs: Jobs,
    pub(crate) libraries: BTreeMap<Key, Library>,
    /// Libraries that were seen since a list of them began.
    pub(crate) listing: Option<BTreeSet<Key>>,
    pub(crate) events: Events,
    pub(crate) chart: Chart,
    pub(crate) page: Page,
    pub(crate) operator: Operator,
    /// Whether all jobs were seen once.
    pub(crate) loaded: bool,
    /// Watches that ended with an error, and have not come back.
    pub(crate) lost: BTreeMap<Kind, String>,
    pub(crate) unreadable: BTreeMap<(Kind, Key), String>,
    pub(crate) no_history: Option<String>,
    /// The namespace that is looked at; none means all.
    pub(crate) namespace: Option<String>,
    /// Place of the chosen job among those that are shown.
    pub(crate) cursor: usize,
    /// The chosen job, once the user has chosen; the first until then.
    pub(crate) chosen: Option<Key>,
    /// Place of the first row on the screen.
    pub(crate) top: usize,
    /// First line of the details, while they fill the screen.
    pub(crate) details: Option<usize>,
    pub(crate) over: Over,
    pub(crate) notice: Option<Notice>,
    /// Seconds since 1970.
    pub(crate) now: i64,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    pub(crate) palette: Palette,
}

impl Model {
    /// The chosen job.
    pub(crate) fn job(&self) -> Option<&Job> {
        self.jobs.get(self.cursor)
    }

    /// The figures of a job, the operator's where it has them.
    pub(crate) fn figures(&self, job: &Job) -> Figures {
        let gauges = match self.operator {
            Operator::Here => {
                // Only what encodes has gauges: the copy of the key is not made for ten thousand others.
                let encodes = job.phase == Phase::Encoding;
                encodes.then(|| self.page.jobs.get(&(job.key.namespace.clone(), job.key.name.clone()))).flatten()
            }
            _ => None,
        };
        job.with(gauges)
    }

    /// Frames a second of all jobs.
    pub(crate) fn frames_per_second(&self) -> f64 {
        if self.jobs.count(Phase::Encoding) == 0 {
            return 0.0;
        }
        let encoding = self.jobs.iter().filter(|job| job.phase == Phase::Encoding);
        encoding.filter_map(|job| self.figures(job).frames_per_second).sum()
    }

    pub(crate) fn areas(&self) -> Areas {
        areas(self.size, self.problems().len(), self.page.nodes.len())
    }

    /// What is wrong with what is shown, the worst first.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let (jobs, libraries) = (self.lost.get(&Kind::Jobs), self.lost.get(&Kind::Libraries));
        problems.extend(jobs.cloned());
        problems.extend(libraries.filter(|why| Some(*why) != jobs).cloned());
        match &self.operator {
            // Without the cluster nothing is known of the operator.
            Operator::Away { since, why } if problems.is_empty() => {
                let away = figures::duration((self.now - since).max(0) as u64);
                problems.push(format!("The operator is away for {away}, figures are from the API: {why}"));
            }
            _ => {}
        }
        if let Some(((_, key), why)) = self.unreadable.first_key_value() {
            let count = count(self.unreadable.len() as i64, "object");
            problems.push(format!("This version cannot read {count}, {} is the first: {why}", key.name));
        }
        problems.extend(self.no_history.iter().map(|why| format!("No history from Prometheus: {why}")));
        let most = if self.size.1 < 30 { 1 } else { MOST_PROBLEMS };
        problems.truncate(most);
        problems
    }

    /// Forgets what belongs to a namespace that is no longer looked at.
    pub(crate) fn clear(&mut self) {
        self.jobs.clear();
        self.libraries.clear();
        self.listing = None;
        self.events = Events::default();
        self.chart.clear();
        self.lost.clear();
        self.unreadable.clear();
        self.loaded = false;
        (self.cursor, self.top, self.chosen, self.details) = (0, 0, None, None);
    }

    /// Brings order, cursor and first row up to date; due before a key is obeyed and before a frame is drawn.
    pub(crate) fn settle(&mut self) {
        if self.jobs.refresh() {
            if let Some(at) = self.chosen.as_ref().and_then(|key| self.jobs.position(key)) {
                self.cursor = at;
            } else if self.chosen.is_none() {
                self.cursor = 0;
            }
        }
        let last = self.jobs.shown().saturating_sub(1);
        self.cursor = self.cursor.min(last);
        let rows = self.areas().rows().max(1);
        let lowest = self.jobs.shown().saturating_sub(rows);
        self.top = self.top.clamp(self.cursor.saturating_sub(rows - 1), self.cursor).min(lowest);
    }
}

/// Seconds since 1970 of an RFC 3339 time.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_second)
}
