//! Size and picture of a file whose job a user made: asked of the catalog when the job's turn comes, and noted on the job, as they
//! are on those that the operator makes. May: ask the catalog, write annotations. Must never: keep a job from starting, because
//! the catalog could not tell; what is not known is noted too.

use std::collections::BTreeMap;

use av1_crds::wire::FileExplanation;
use av1_crds::{EncodeJob, labels};
use kube::api::{Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::api::{ApiError, timed};
use crate::context::Context;

/// What is noted as the size of a file that nobody could tell.
const UNKNOWN: &str = "unknown";

/// Notes size and picture on `job`; `address` is the catalog's.
///
/// # Errors
/// [`ApiError`], a conflict when the job is another by now.
pub(super) async fn measure(
    jobs: &Api<EncodeJob>,
    job: &EncodeJob,
    address: Option<&str>,
    context: &Context,
) -> Result<(), ApiError> {
    let name = job.name_any();
    let found = match address {
        Some(address) => context.catalogs.explanation(address, &job.spec.source.path).await,
        None => Ok(FileExplanation::default()),
    };
    let found = found.inspect_err(|error| tracing::warn!(job = name, "size and picture are not known: {error}")).ok();
    let annotations = notes(&found.unwrap_or_default());
    let patch = json!({"metadata": {"annotations": annotations, "resourceVersion": job.resource_version()}});
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    let noted = timed(format!("patch EncodeJob {name}"), jobs.patch(&name, &params, &patch)).await?;
    context.seen.wrote(Vec::from_iter(job.resource_version()), noted);
    Ok(())
}

fn notes(found: &FileExplanation) -> BTreeMap<&'static str, String> {
    let size = if found.size > 0 { found.size.to_string() } else { UNKNOWN.to_owned() };
    let picture = found.video.as_ref().filter(|video| video.width > 0 && video.height > 0);
    let picture = picture.map(|video| (labels::PICTURE, format!("{}x{}", video.width, video.height)));
    [(labels::SIZE, size)].into_iter().chain(picture).collect()
}

#[cfg(test)]
mod tests {
    use av1_crds::wire::VideoFigures;

    use super::*;

    #[test]
    fn what_the_catalog_tells_is_noted_and_what_it_does_not_is_noted_as_unknown() {
        let video = VideoFigures { width: 3840, height: 1608, ..VideoFigures::default() };
        let found = FileExplanation { size: 7, video: Some(video), ..FileExplanation::default() };
        assert_eq!(notes(&found), BTreeMap::from([(labels::SIZE, "7".into()), (labels::PICTURE, "3840x1608".into())]));
        assert_eq!(notes(&FileExplanation::default()), BTreeMap::from([(labels::SIZE, "unknown".into())]));
    }
}
