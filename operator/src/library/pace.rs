//! How often a library's status is written: what matters at once, counts at most every few seconds, so that a burst of short
//! jobs is not a burst of writes. Pure.

use std::time::Duration;

use av1_crds::MediaLibraryStatus;

/// Least time between a write and one that changes counts alone.
const PAUSE: Duration = Duration::from_secs(5);

/// How long `new` is still to wait, when the last write was `ago`; none when it is to be written now, if it differs at all.
pub(super) fn wait(
    old: Option<&MediaLibraryStatus>,
    new: &MediaLibraryStatus,
    ago: Option<Duration>,
) -> Option<Duration> {
    let left = PAUSE.checked_sub(ago?).filter(|left| !left.is_zero())?;
    old.is_some_and(|old| old != new && differs_in_counts_alone(old, new)).then_some(left)
}

fn differs_in_counts_alone(old: &MediaLibraryStatus, new: &MediaLibraryStatus) -> bool {
    let whole = |status: &MediaLibraryStatus| status.files.as_ref().is_some_and(|files| files.complete);
    let mut told = new.clone();
    told.files.clone_from(&old.files);
    told.bytes.clone_from(&old.bytes);
    told.skipped_by_reason.clone_from(&old.skipped_by_reason);
    told.saved.clone_from(&old.saved);
    told.jobs.clone_from(&old.jobs);
    told.last_scan.clone_from(&old.last_scan);
    if let (Some(told), Some(old)) = (told.storage.as_mut(), &old.storage) {
        (told.free_bytes, told.total_bytes) = (old.free_bytes, old.total_bytes);
        told.free.clone_from(&old.free);
    }
    told == *old && whole(old) == whole(new)
}

#[cfg(test)]
mod tests {
    use av1_crds::library::{FileCounts, JobCounts, StorageStatus};

    use super::*;
    use crate::conditions::Writer;

    fn status(queued: i64, free: i64) -> MediaLibraryStatus {
        MediaLibraryStatus {
            jobs: Some(JobCounts { queued, ..JobCounts::default() }),
            files: Some(FileCounts { total: queued, complete: true, ..FileCounts::default() }),
            storage: Some(StorageStatus { free_bytes: Some(free), ..StorageStatus::default() }),
            ..MediaLibraryStatus::default()
        }
    }

    #[test]
    fn counts_wait_for_the_rest_of_the_pause_and_what_is_equal_waits_for_nothing() {
        let (old, new) = (status(1, 10), status(2, 9));
        let ago = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(Some(&old), &new, ago(1)), ago(4));
        assert_eq!(wait(Some(&old), &new, ago(5)), None);
        assert_eq!(wait(Some(&old), &new, ago(3_600)), None);
        assert_eq!(wait(Some(&old), &new, None), None, "nothing was written since the start");
        assert_eq!(wait(None, &new, ago(1)), None, "the first status");
        assert_eq!(wait(Some(&old), &old, ago(1)), None);
    }

    #[test]
    fn conditions_and_all_that_is_no_count_do_not_wait() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let changes: [fn(&mut MediaLibraryStatus, jiff::Timestamp); 5] = [
            |s, now| {
                Writer { list: &mut s.conditions, generation: None, now }.set("Ready", true, "AsExpected", "ready");
            },
            |s, _| s.observed_generation = Some(2),
            |s, _| s.prepare_runs = 1,
            |s, _| s.files.as_mut().unwrap().complete = false,
            |s, _| s.storage.as_mut().unwrap().volume_id = Some("v".into()),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut new = status(2, 9);
            change(&mut new, now);
            assert_eq!(wait(Some(&status(1, 10)), &new, Some(Duration::from_secs(1))), None, "change {number}");
        }
    }
}
