//! The source: its identity, the gates again, its streams, and whether it is still the same at the end.
//!
//! May: read the library. Must never: write.

use std::path::{Path, PathBuf};

use av1_crds::reasons;
use av1_crds::wire::{EncodeTask, FileIdentity, MediaSummary};
use av1_media::gates::{Content, Rules, judge};
use av1_media::identity::{Comparison, compare};
use av1_media::probe::{Probe, Stream};
use av1_media::rational::Rational;
use av1_media::streams::{StreamPlan, plan_streams};

use super::outcome::Ended;
use crate::beneath::Root;
use crate::facts::{self, Known};
use crate::role::PodArgs;

/// A source that passed the gates.
pub(crate) struct Source {
    root: Root,
    rel: String,
    /// Its absolute path.
    pub(crate) path: PathBuf,
    /// Its identity before anything was read.
    pub(crate) identity: FileIdentity,
    /// What ffprobe says.
    pub(crate) probe: Probe,
    /// The main video.
    pub(crate) video: Stream,
    /// Which streams are kept.
    pub(crate) streams: StreamPlan,
}

impl Source {
    /// Opens the source of `task` and judges it. The identity is handed to `seen` as soon as it is known, because a verdict
    /// needs it too.
    ///
    /// # Errors
    /// [`Ended`] with the verdict of the first gate that stops it.
    pub(crate) fn open(task: &EncodeTask, args: &PodArgs, seen: &mut dyn FnMut(&FileIdentity)) -> Result<Self, Ended> {
        let root = Root::open(&args.library).map_err(|e| {
            Ended::retry(reasons::IO_ERROR, format!("the library at {} cannot be opened: {e}", args.library.display()))
        })?;
        let rel = Path::new(&task.path);
        if let Ok(identity) = facts::identity(&root, &task.path) {
            seen(&identity);
        }
        let rules = Rules { scan: task.scan.clone(), settings: task.settings.clone() };
        let facts = facts::gather(&root, rel, &rules, Known::default()).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Ended::skipped(reasons::NOT_FOUND, "the file is not there any more"),
            _ => Ended::retry(reasons::IO_ERROR, format!("the file cannot be looked at: {e}")),
        })?;
        let verdict = judge(&facts, &rules);
        if let Some(Content::NotProbed(why)) = &facts.content {
            return Err(Ended::retry(reasons::ENCODE_FAILED, format!("the file could not be probed: {why}")));
        }
        if !verdict.is_eligible() {
            return Err(Ended::skipped(&verdict.reason, verdict.message));
        }
        let identity = facts::identity(&root, &task.path)
            .map_err(|e| Ended::retry(reasons::IO_ERROR, format!("reading samples of the file: {e}")))?;
        seen(&identity);
        let Some(Content::Read(probe)) = facts.content else {
            return Err(Ended::retry(reasons::ENCODE_FAILED, "the file was not probed"));
        };
        let video = probe
            .main_video()
            .cloned()
            .ok_or_else(|| Ended::skipped(reasons::NO_VIDEO, "no video stream but pictures"))?;
        let streams = plan_streams(&probe, &task.settings)?;
        Ok(Self { path: root.path().join(rel), root, rel: task.path.clone(), identity, probe: *probe, video, streams })
    }

    /// Checks that the file is still the one that was opened.
    ///
    /// # Errors
    /// [`Ended`] with `SourceChanged` when it is not.
    pub(crate) fn check_unchanged(&self) -> Result<(), Ended> {
        let changed = |message: String| Err(Ended::skipped(reasons::SOURCE_CHANGED, message));
        match facts::identity(&self.root, &self.rel) {
            Ok(now) if compare(&self.identity, &now) != Comparison::Different => Ok(()),
            Ok(now) => changed(format!(
                "the file changed while it was encoded (from {} to {} bytes); it is looked at again",
                self.identity.size, now.size
            )),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                changed("the file went away while it was encoded".to_owned())
            }
            Err(e) => Err(Ended::retry(reasons::IO_ERROR, format!("looking at the file again: {e}"))),
        }
    }

    /// The source in a few fields.
    pub(crate) fn summary(&self, rate: Option<Rational>, frames: u64) -> MediaSummary {
        MediaSummary {
            container: self.probe.format.format_name.clone(),
            codec: self.video.codec_name.clone(),
            pixel_format: self.video.pix_fmt.clone().unwrap_or_default(),
            width: self.video.width.unwrap_or_default(),
            height: self.video.height.unwrap_or_default(),
            frame_rate: rate.or(self.video.r_frame_rate).map(|rate| rate.to_string()).unwrap_or_default(),
            duration_seconds: self.probe.format.duration.map(|seconds| format!("{seconds:.3}")).unwrap_or_default(),
            frames,
            bit_rate: self.probe.format.bit_rate.unwrap_or_default(),
            audio: count(&self.probe, "audio"),
            subtitles: count(&self.probe, "subtitle"),
        }
    }
}

fn count(probe: &Probe, kind: &str) -> u32 {
    u32::try_from(probe.of(kind).count()).unwrap_or(u32::MAX)
}
