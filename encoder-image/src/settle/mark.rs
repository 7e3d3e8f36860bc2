//! The mark role: writes or removes a marker of ours beside a file, as the user asked. A marker that the user made is never touched.
//!
//! May: write and remove `NAME.EXT.av1skip` and `NAME.EXT.why.txt`. Must never: touch the file itself, start a program.

use av1_crds::paths::SKIP_SUFFIX;
use av1_crds::reasons;
use av1_crds::wire::{MarkAction, MarkResult, MarkTask, MarkVerdict};
use av1_media::marker::Marker;

use super::claim::{self, Who};
use super::error::{Doing, SettleError};
use super::place::{Place, identity_at};
use super::unfinished::{self, Of};
use super::{record, restore, result};
use crate::beneath::Root;
use crate::role::{PodArgs, RoleFailure, now};

/// Marks one file, or takes its mark away.
pub(crate) fn run(task: &MarkTask, args: &PodArgs) -> Result<MarkResult, RoleFailure> {
    #[cfg(feature = "failpoints")]
    let _points = crate::failpoint::setup();
    super::validate_uids(&[&task.job.uid], &args.pod_uid, &task.takeover_from)?;
    super::validate_path(&task.path)?;
    let (root, state) = super::open(args, &task.volume_id, &task.library)?;
    let (job, pod, takeover_from) = (&task.job.uid, &args.pod_uid, task.takeover_from.as_slice());
    let of = Of { root: &root, state: &state, job, pod, takeover_from };
    let finished = unfinished::settling(of)?;
    restore::unfinished(of)?;
    claim::forget_others(&state, Some(&task.path), takeover_from)?;
    let who = Who { path: &task.path, job, run: task.job.run, takeover_from };
    let claim = claim::take_or_tell(&state, who, pod, false)?;
    let marked = mark(&root, task);
    let released = claim.let_go(&state);
    let marked = marked.map_err(|error| error.failure(false).released(released))?;
    Ok(MarkResult { message: result::behind(finished, marked.message), ..marked })
}

fn mark(root: &Root, task: &MarkTask) -> Result<MarkResult, SettleError> {
    let marker = format!("{}{SKIP_SUFFIX}", task.path);
    let result = |verdict, message: String| Ok(MarkResult { verdict, message, marker: result::short_path(&marker) });
    let place = Place::open(root, &task.path, &task.job.uid)?;
    let there = match &place {
        Some(place) => identity_at(&place.folder, &place.name).doing(|| "looking at the file".to_owned())?,
        None => None,
    };
    let Some(place) = place else {
        return match task.action {
            MarkAction::Skip => {
                result(MarkVerdict::NotFound, "The folder of the file is not there: nothing was written".to_owned())
            }
            MarkAction::Unskip => {
                result(MarkVerdict::Unmarked, "The folder of the file is not there, and no marker".to_owned())
            }
        };
    };
    if task.action == MarkAction::Unskip {
        record::unmark(&place)?;
        return match record::marker(&place)? {
            Some(_) => result(
                MarkVerdict::UsersMarker,
                format!("{marker:?} is not ours and stays: remove it to have the file encoded"),
            ),
            None => result(MarkVerdict::Unmarked, "No marker is beside the file any more".to_owned()),
        };
    }
    if record::marker(&place)? == Some(Marker::Users) {
        return result(MarkVerdict::UsersMarker, format!("{marker:?} is there already, made by somebody else"));
    }
    let Some(identity) = there else {
        return result(MarkVerdict::NotFound, "There is no such regular file: nothing was written".to_owned());
    };
    let mut not_written = Vec::new();
    let wish = "the user asked that it is not encoded";
    if record::write_marker(&place, &identity, (reasons::SKIP_MARKER, wish), &now().to_string(), &mut not_written)? {
        return result(
            MarkVerdict::Marked,
            format!("{marker:?} keeps the file as it is until it is another one, or the marker is removed"),
        );
    }
    Err(SettleError::Invalid(not_written.join("; ")))
}
