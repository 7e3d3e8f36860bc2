//! What a library's encodes came to: bytes saved, outcomes by reason, the slowest, the best and the worst. Pure.

pub(crate) mod charts;
pub(crate) mod html;
mod markup;
mod outcome;
pub(crate) mod scenes;
mod text;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use av1_crds::wire::PastOutcome;
use av1_crds::{EncodeJob, MediaLibrary};
use jiff::Timestamp;
use serde::Serialize;

pub(crate) use self::outcome::FileOutcome;
pub(crate) use self::text::render;

/// Files in each list of the slowest, the best and the worst.
const MOST_LISTED: usize = 10;

/// What a library's encodes came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    namespace: String,
    library: String,
    /// When it was made, RFC 3339.
    at: String,
    totals: Totals,
    outcomes: Vec<ReasonCount>,
    /// What is missing in it, and why.
    notes: Vec<String>,
    /// Every file that an encode came to an end for, by path.
    files: Vec<FileOutcome>,
}

/// Sums over all files.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Totals {
    /// Files whose AV1 version stands in their place.
    files_replaced: i64,
    /// Bytes of those files before.
    bytes_before: i64,
    /// Bytes of those files now.
    bytes_after: i64,
    /// What is saved once the trash is empty.
    bytes_saved: i64,
    /// Seconds of video in those files, as far as they are known.
    film_seconds: f64,
    /// Seconds spent encoding them, as far as they are known.
    encode_seconds: f64,
}

/// How many files ended for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ReasonCount {
    outcome: &'static str,
    reason: String,
    files: i64,
}

impl Report {
    /// From the library, the jobs of its namespace or of all, and what the volume remembers.
    pub(crate) fn new(
        library: &MediaLibrary,
        jobs: &[EncodeJob],
        past: &[PastOutcome],
        at: Timestamp,
        notes: Vec<String>,
    ) -> Self {
        let namespace = library.metadata.namespace.clone().unwrap_or_default();
        let name = library.metadata.name.clone().unwrap_or_default();
        let own = |job: &&EncodeJob| {
            job.metadata.namespace.as_deref() == Some(&namespace) && job.spec.library_ref.name == name
        };
        let files = merged(past, jobs.iter().filter(own));
        let mut counts: BTreeMap<(&'static str, &str), i64> = BTreeMap::new();
        for file in &files {
            *counts.entry((file.outcome, &file.reason)).or_default() += 1;
        }
        let mut outcomes: Vec<ReasonCount> = counts
            .into_iter()
            .map(|((outcome, reason), files)| ReasonCount { outcome, reason: reason.to_owned(), files })
            .collect();
        outcomes.sort_by_key(|count| std::cmp::Reverse(count.files));
        let totals = Totals::of(files.iter().filter(|file| file.replaced));
        Self {
            namespace,
            library: name,
            at: at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            totals,
            outcomes,
            notes,
            files,
        }
    }

    /// Files that took longest, the slowest first.
    fn slowest(&self) -> Vec<&FileOutcome> {
        let seconds = |file: &FileOutcome| file.seconds.unwrap_or_default();
        top(self.files.iter().filter(|file| seconds(file) > 0.0), |a, b| seconds(b).total_cmp(&seconds(a)))
    }

    /// Files that saved most, the most first.
    fn saved_most(&self) -> Vec<&FileOutcome> {
        top(self.files.iter().filter(|file| file.saved() > 0), |a, b| b.saved().cmp(&a.saved()))
    }

    /// The metric that most files were measured with: scores of several cannot be told apart by size.
    fn metric(&self) -> Option<&str> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for quality in self.files.iter().filter_map(|file| file.quality.as_ref()) {
            *counts.entry(&quality.metric).or_default() += 1;
        }
        counts.into_iter().max_by_key(|(_, files)| *files).map(|(metric, _)| metric)
    }

    /// Files measured with that metric.
    fn scored(&self) -> impl Iterator<Item = &FileOutcome> {
        let metric = self.metric();
        self.files
            .iter()
            .filter(move |file| file.quality.as_ref().map(|quality| quality.metric.as_str()) == metric)
            .filter(|file| file.worst_window().is_some() && file.mean().is_some())
    }

    /// Files with the lowest two seconds, the worst first.
    fn worst(&self) -> Vec<&FileOutcome> {
        let worst = |file: &FileOutcome| file.worst_window().unwrap_or(f64::MAX);
        top(self.scored(), |a, b| worst(a).total_cmp(&worst(b)))
    }

    /// Files with the highest mean, the best first.
    fn best(&self) -> Vec<&FileOutcome> {
        let mean = |file: &FileOutcome| file.mean().unwrap_or(f64::MIN);
        top(self.scored(), |a, b| mean(b).total_cmp(&mean(a)))
    }

    /// Files that were measured with another metric than that of the lists.
    fn scored_otherwise(&self) -> usize {
        self.files.iter().filter(|file| file.quality.is_some()).count() - self.scored().count()
    }
}

impl Totals {
    fn of<'a>(files: impl Iterator<Item = &'a FileOutcome>) -> Self {
        files.fold(Self::default(), |sum, file| Self {
            files_replaced: sum.files_replaced + 1,
            bytes_before: sum.bytes_before.saturating_add(file.bytes_before.unwrap_or_default()),
            bytes_after: sum.bytes_after.saturating_add(file.bytes_after.unwrap_or_default()),
            bytes_saved: sum.bytes_saved.saturating_add(file.saved()),
            film_seconds: sum.film_seconds + file.film_seconds.unwrap_or_default(),
            encode_seconds: sum.encode_seconds + file.seconds.unwrap_or_default(),
        })
    }
}

/// The first files in this order; of equal ones by path.
fn top<'a>(
    files: impl Iterator<Item = &'a FileOutcome>,
    order: impl Fn(&FileOutcome, &FileOutcome) -> std::cmp::Ordering,
) -> Vec<&'a FileOutcome> {
    let mut files: Vec<&FileOutcome> = files.collect();
    files.sort_by(|a, b| order(a, b).then_with(|| a.path.cmp(&b.path)));
    files.truncate(MOST_LISTED);
    files
}

/// One outcome a path: what the volume remembers, and what jobs tell besides.
fn merged<'a>(past: &[PastOutcome], jobs: impl Iterator<Item = &'a EncodeJob>) -> Vec<FileOutcome> {
    let mut files: BTreeMap<String, FileOutcome> =
        past.iter().map(|past| (past.path.clone(), FileOutcome::of_past(past))).collect();
    let mut told: Vec<FileOutcome> = jobs.filter_map(FileOutcome::of_job).collect();
    told.sort_by_key(FileOutcome::ended);
    for job in told {
        match files.entry(job.path.clone()) {
            Entry::Vacant(place) => drop(place.insert(job)),
            Entry::Occupied(mut place) => place.get_mut().take_over(job),
        }
    }
    files.into_values().collect()
}

#[cfg(test)]
mod tests;
