//! Who is told of a file that was replaced or brought back: noted in the status, posted from there, and struck off once it is known
//! how that went. Pure.

use av1_crds::job::Notification;
use av1_crds::reasons;

use super::{Action, Draft};
use crate::context::EventDraft;
use crate::notifier::Delivered;

/// Most notifications of one job that wait; the oldest goes for a new one.
const MOST: usize = 8;
/// Seconds until the next look while one is on its way.
const LOOK: u64 = 3;

/// What a file was and is.
pub(super) struct Became {
    pub(super) action: &'static str,
    pub(super) path: String,
    pub(super) old_path: Option<String>,
    pub(super) bytes_before: Option<i64>,
    pub(super) bytes_after: Option<i64>,
}

/// The file at the name is the AV1 file now.
pub(super) const REPLACED: &str = "Replaced";
/// The file at the name is the original again.
pub(super) const RESTORED: &str = "Restored";

impl Draft<'_> {
    /// Notes what a writing pod did, when the settings name somebody who is to be told.
    pub(super) fn note(&mut self, became: Became) {
        let status = &mut self.out.status;
        let Some(url) = status.settings.as_ref().and_then(|settings| settings.notify_url.clone()) else { return };
        let run = status.pending_settle.as_ref().map_or(status.write_run, |pending| pending.run);
        let Became { action, path, old_path, bytes_before, bytes_after } = became;
        let action = action.to_owned();
        status.notifications.push(Notification { run, url, action, path, old_path, bytes_before, bytes_after });
        if status.notifications.len() > MOST {
            let lost = status.notifications.remove(0);
            self.failed(&lost, "too many others wait");
        }
    }

    /// Has the oldest one on record posted, or strikes it off. What is noted only now is not on record yet.
    pub(super) fn notifying(&mut self) {
        let recorded = self.observed.job.status.as_ref().and_then(|status| status.notifications.first());
        let Some(first) = recorded else { return };
        match &self.observed.delivered {
            None => self.out.actions.push(Action::Notify(Box::new(first.clone()))),
            Some(delivered) => {
                self.out.status.notifications.retain(|other| other.run != first.run);
                if let Err(why) = delivered {
                    self.failed(first, why);
                }
                self.out.delivered = Some((first.run, delivered.clone()));
            }
        }
        let soon = std::time::Duration::from_secs(LOOK);
        self.out.requeue = Some(self.out.requeue.map_or(soon, |other| other.min(soon)));
    }

    fn failed(&mut self, lost: &Notification, why: &str) {
        let did = lost.action.to_lowercase();
        let note = format!("replacement.notify could not be told that {:?} was {did}: {why}", lost.path);
        self.out.events.push(EventDraft::warning(reasons::NOTIFY_FAILED, "Notify", note));
    }
}

/// How a notification of this run went.
pub(crate) type Ended = (i64, Delivered);
