//! All jobs, and the order in which those that match are shown. Sorting and filtering happen when something changed that matters
//! to them, not for each frame. Pure.

use std::collections::{BTreeMap, HashMap, HashSet};

use av1_crds::Phase;

use super::{Job, Key};

/// Which jobs are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Filter {
    #[default]
    All,
    Pending,
    Running,
    Success,
    Failed,
    Skipped,
}

impl Filter {
    /// Every filter, in the order of the key.
    pub(crate) const ALL: [Self; 6] =
        [Self::All, Self::Pending, Self::Running, Self::Success, Self::Failed, Self::Skipped];

    /// The filter after this one.
    pub(crate) fn next(self) -> Self {
        after(&Self::ALL, self)
    }

    /// Whether jobs in `phase` are shown.
    pub(crate) fn takes(self, phase: Phase) -> bool {
        let group = match phase {
            Phase::Queued | Phase::Paused => Self::Pending,
            Phase::Encoding | Phase::Settling | Phase::Restoring => Self::Running,
            Phase::Succeeded | Phase::Restored => Self::Success,
            Phase::Failed => Self::Failed,
            Phase::Skipped | Phase::Rejected | Phase::Cancelled => Self::Skipped,
        };
        self == Self::All || self == group
    }
}

/// In which order they are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    /// What happened last comes first.
    Date,
    /// The largest source first.
    Size,
    /// What runs first, then what waits, what failed, and what ended.
    #[default]
    Status,
    /// What saved most first.
    Savings,
}

impl Sort {
    /// Every order, in that of the key.
    pub(crate) const ALL: [Self; 4] = [Self::Date, Self::Size, Self::Status, Self::Savings];

    /// The order after this one.
    pub(crate) fn next(self) -> Self {
        after(&Self::ALL, self)
    }

    /// Where `job` stands: the smallest comes first.
    fn rank(self, job: &Job) -> (i64, i64) {
        match self {
            Self::Date => (-job.date(), 0),
            Self::Size => (-job.size.unwrap_or(-1), 0),
            Self::Savings => (-job.saved, 0),
            Self::Status => {
                let group = match job.phase {
                    Phase::Encoding => 0,
                    Phase::Settling | Phase::Restoring => 1,
                    Phase::Queued => 2,
                    Phase::Paused => 3,
                    Phase::Failed => 4,
                    _ => 5,
                };
                (group, if job.phase.is_terminal() { -job.date() } else { job.date() })
            }
        }
    }
}

fn after<T: Copy + PartialEq, const N: usize>(all: &[T; N], one: T) -> T {
    let at = all.iter().position(|other| *other == one).unwrap_or_default();
    all[(at + 1) % N]
}

/// All jobs.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    all: Vec<Job>,
    at: HashMap<Key, usize>,
    phases: BTreeMap<Phase, usize>,
    pub(crate) filter: Filter,
    pub(crate) sort: Sort,
    /// Part of the path or of the name, in small letters; empty for all.
    search: String,
    /// Places in `all` of those that are shown, in order.
    order: Vec<usize>,
    stale: bool,
    /// Jobs that were seen since a list began.
    listing: Option<HashSet<Key>>,
    /// When each job that saved something ended, and bytes saved up to then; by time.
    savings: Vec<(i64, i64)>,
    savings_stale: bool,
}

impl Jobs {
    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Number of jobs in `phase`.
    pub(crate) fn count(&self, phase: Phase) -> usize {
        self.phases.get(&phase).copied().unwrap_or_default()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.all.iter()
    }

    /// How many are shown.
    pub(crate) fn shown(&self) -> usize {
        self.order.len()
    }

    /// The one shown at `position`.
    pub(crate) fn get(&self, position: usize) -> Option<&Job> {
        self.order.get(position).and_then(|at| self.all.get(*at))
    }

    /// Where the job is shown.
    pub(crate) fn position(&self, key: &Key) -> Option<usize> {
        let at = self.at.get(key)?;
        self.order.iter().position(|shown| shown == at)
    }

    pub(crate) fn search(&self) -> &str {
        &self.search
    }

    pub(crate) fn set_search(&mut self, text: &str) {
        self.search = text.to_lowercase();
        self.stale = true;
    }

    pub(crate) fn set_filter(&mut self, filter: Filter) {
        self.filter = filter;
        self.stale = true;
    }

    pub(crate) fn set_sort(&mut self, sort: Sort) {
        self.sort = sort;
        self.stale = true;
    }

    /// Forgets all jobs; filter, order and search stay.
    pub(crate) fn clear(&mut self) {
        let (filter, sort, search) = (self.filter, self.sort, std::mem::take(&mut self.search));
        *self = Self { filter, sort, search, ..Self::default() };
    }

    /// A whole list begins: what is not seen until it ends is gone.
    pub(crate) fn begin_list(&mut self) {
        self.listing = Some(HashSet::new());
    }

    /// The whole list was seen.
    pub(crate) fn end_list(&mut self) {
        let Some(seen) = self.listing.take() else { return };
        let gone: Vec<Key> = self.at.keys().filter(|key| !seen.contains(*key)).cloned().collect();
        gone.iter().for_each(|key| self.remove(key));
    }

    /// A job is there, or changed.
    pub(crate) fn put(&mut self, job: Job) {
        if let Some(listing) = &mut self.listing {
            listing.insert(job.key.clone());
        }
        *self.phases.entry(job.phase).or_default() += 1;
        self.savings_stale |= job.saved != 0;
        match self.at.get(&job.key) {
            Some(at) => {
                let before = &self.all[*at];
                self.stale |= self.takes(before) != self.takes(&job) || self.sort.rank(before) != self.sort.rank(&job);
                self.savings_stale |= before.saved != job.saved;
                forget_phase(&mut self.phases, before.phase);
                self.all[*at] = job;
            }
            None => {
                self.stale = true;
                self.at.insert(job.key.clone(), self.all.len());
                self.all.push(job);
            }
        }
    }

    /// A job is gone.
    pub(crate) fn remove(&mut self, key: &Key) {
        let Some(at) = self.at.remove(key) else { return };
        let gone = self.all.swap_remove(at);
        forget_phase(&mut self.phases, gone.phase);
        if let Some(moved) = self.all.get(at) {
            self.at.insert(moved.key.clone(), at);
        }
        self.stale = true;
        self.savings_stale |= gone.saved != 0;
    }

    fn takes(&self, job: &Job) -> bool {
        self.filter.takes(job.phase) && (self.search.is_empty() || job.folded.contains(&self.search))
    }

    /// Puts those that are shown into order, when something changed that matters to it; says whether it did.
    pub(crate) fn refresh(&mut self) -> bool {
        if std::mem::take(&mut self.savings_stale) {
            self.sum_savings();
        }
        if !std::mem::take(&mut self.stale) {
            return false;
        }
        let mut ranked: Vec<((i64, i64), usize)> = self
            .all
            .iter()
            .enumerate()
            .filter(|(_, job)| self.takes(job))
            .map(|(at, job)| (self.sort.rank(job), at))
            .collect();
        ranked.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| self.all[a.1].key.cmp(&self.all[b.1].key)));
        self.order.clear();
        self.order.extend(ranked.into_iter().map(|(_, at)| at));
        true
    }

    fn sum_savings(&mut self) {
        let mut savings: Vec<(i64, i64)> =
            self.all.iter().filter(|job| job.saved != 0).filter_map(|job| Some((job.ended?, job.saved))).collect();
        savings.sort_unstable();
        let mut sum = 0;
        for (_, saved) in &mut savings {
            sum += *saved;
            *saved = sum;
        }
        self.savings = savings;
    }

    /// Bytes saved after `from` and up to `until`, in seconds since 1970, by the jobs that are still there.
    pub(crate) fn saved_between(&self, from: i64, until: i64) -> i64 {
        let up_to = |time: i64| {
            let before = self.savings.partition_point(|(ended, _)| *ended <= time);
            before.checked_sub(1).and_then(|last| self.savings.get(last)).map_or(0, |(_, sum)| *sum)
        };
        up_to(until) - up_to(from)
    }
}

fn forget_phase(phases: &mut BTreeMap<Phase, usize>, phase: Phase) {
    if let Some(count) = phases.get_mut(&phase) {
        *count = count.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, phase: Phase, date: i64, size: i64, saved: i64) -> Job {
        let key = Key { namespace: "media".to_owned(), name: name.to_owned() };
        let folded = name.to_owned();
        let ended = phase.is_terminal().then_some(date);
        Job { key, folded, phase, created: date, ended, size: Some(size), saved, ..Job::default() }
    }

    fn jobs() -> Jobs {
        let mut jobs = Jobs::default();
        jobs.put(job("a", Phase::Succeeded, 100, 5, 3));
        jobs.put(job("b", Phase::Encoding, 300, 1, 0));
        jobs.put(job("c", Phase::Failed, 200, 9, 0));
        jobs.put(job("d", Phase::Queued, 50, 7, 0));
        jobs.put(job("e", Phase::Succeeded, 400, 2, 8));
        jobs.refresh();
        jobs
    }

    fn names(jobs: &mut Jobs) -> String {
        jobs.refresh();
        (0..jobs.shown()).filter_map(|at| jobs.get(at)).map(|job| job.key.name.as_str()).collect()
    }

    #[test]
    fn each_order_puts_first_what_it_is_for() {
        let mut jobs = jobs();
        for (sort, expected) in
            [(Sort::Status, "bdcea"), (Sort::Date, "ebcad"), (Sort::Size, "cdaeb"), (Sort::Savings, "eabcd")]
        {
            jobs.set_sort(sort);
            assert_eq!(names(&mut jobs), expected, "{sort:?}");
        }
    }

    #[test]
    fn every_phase_belongs_to_one_filter() {
        for phase in Phase::ALL {
            let takes = Filter::ALL.into_iter().filter(|filter| filter.takes(phase)).count();
            assert_eq!(takes, 2, "{phase:?}: All and its own");
        }
    }

    #[test]
    fn filter_and_search_work_together() {
        let mut jobs = jobs();
        jobs.set_filter(Filter::Success);
        assert_eq!(names(&mut jobs), "ea");
        jobs.set_search("A");
        assert_eq!(names(&mut jobs), "a");
    }

    #[test]
    fn a_change_that_does_not_move_a_job_costs_no_sorting() {
        let mut jobs = jobs();
        jobs.put(Job { frames: 7, ..job("b", Phase::Encoding, 300, 1, 0) });
        assert!(!jobs.refresh());
        jobs.put(job("b", Phase::Settling, 300, 1, 0));
        assert!(jobs.refresh());
        assert_eq!((jobs.count(Phase::Encoding), jobs.count(Phase::Settling)), (0, 1));
    }

    #[test]
    fn what_a_whole_list_does_not_hold_is_gone() {
        let mut jobs = jobs();
        jobs.begin_list();
        jobs.put(job("c", Phase::Failed, 200, 9, 0));
        jobs.put(job("f", Phase::Queued, 1, 1, 0));
        jobs.end_list();
        assert_eq!((names(&mut jobs).as_str(), jobs.len(), jobs.count(Phase::Succeeded)), ("fc", 2, 0));
        jobs.remove(&Key { namespace: "media".to_owned(), name: "f".to_owned() });
        assert_eq!(names(&mut jobs), "c");
    }

    #[test]
    fn savings_are_counted_by_the_time_a_job_ended() {
        let jobs = jobs();
        assert_eq!(
            [(0, 99), (0, 100), (100, 400), (0, 1000)].map(|(from, to)| jobs.saved_between(from, to)),
            [0, 3, 8, 11]
        );
    }
}
