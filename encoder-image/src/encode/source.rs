//! The source: its identity, the gates again, its streams, and whether it is still the same at the end.
//!
//! May: read the library. Must never: write.

use std::path::{Path, PathBuf};

use av1_crds::reasons;
use av1_crds::wire::{EncodeTask, FileIdentity, MediaSummary};
use av1_media::frames::Decoded;
use av1_media::gates::{Content, Rules, judge, stopped};
use av1_media::identity::{Comparison, compare};
use av1_media::picture;
use av1_media::probe::{Probe, Stream};
use av1_media::streams::{StreamPlan, plan_streams};
use rustix::io::Errno;

use super::outcome::Ended;
use super::verify::details;
use crate::beneath::Root;
use crate::facts::{self, Known};
use crate::reread;
use crate::role::PodArgs;
use crate::volume;

/// A source that passed the gates.
pub(crate) struct Source {
    root: Root,
    rel: String,
    rules: Rules,
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
        let first = facts::identity(&root, &task.path);
        if let Ok(identity) = &first {
            seen(identity);
        }
        let rules = Rules {
            forced: task.force.clone(),
            again: task.again,
            ..volume::rules(&root, task.scan.clone(), task.settings.clone())
        };
        let facts = facts::gather(&root, rel, &rules, Known::default()).map_err(|e| match e.kind() {
            std::io::ErrorKind::NotFound => Ended::skipped(reasons::NOT_FOUND, "the file is not there any more"),
            _ if Errno::from_io_error(&e) == Some(Errno::LOOP) => Ended::skipped(
                reasons::NOT_REGULAR,
                "a folder on its path is a symbolic link: name the file by its own path",
            ),
            _ => Ended::retry(reasons::IO_ERROR, format!("the file cannot be looked at: {e}")),
        })?;
        let verdict = judge(&facts, &rules);
        if let Some(Content::NotProbed(why)) = &facts.content {
            return Err(Ended::retry(reasons::IO_ERROR, format!("the file could not be probed: {why}")));
        }
        if !verdict.is_eligible() {
            return Err(Ended::skipped(&verdict.reason, verdict.message));
        }
        let samples = |e| Ended::retry(reasons::IO_ERROR, format!("reading samples of the file: {e}"));
        let (first, identity) = (first.map_err(samples)?, facts::identity(&root, &task.path).map_err(samples)?);
        seen(&identity);
        if compare(&first, &identity) == Comparison::Different {
            // The probe may be of either.
            let message = format!(
                "the file changed while it was probed (from {} to {} bytes); it is looked at again",
                first.size, identity.size
            );
            return Err(Ended::skipped(reasons::SOURCE_CHANGED, message));
        }
        let Some(Content::Read(probe)) = facts.content else {
            return Err(Ended::retry(reasons::ENCODE_FAILED, "the file was not probed"));
        };
        let video = probe
            .main_video()
            .cloned()
            .ok_or_else(|| Ended::skipped(reasons::NO_VIDEO, "no video stream but pictures"))?;
        let streams = plan_streams(&task.path, &probe, &task.settings)?;
        if let Some(target) = streams.target(&task.path)
            && root.stat(Path::new(&target)).is_ok()
        {
            let message =
                format!("{target:?} is there already, so the output could not get that name: move that file away");
            return Err(Ended::skipped(reasons::TARGET_EXISTS, message));
        }
        let path = root.path().join(rel);
        let mut probe = *probe;
        match details(&path, &mut probe) {
            Ok(Ok(unknown)) => {
                if let Some(index) =
                    unknown.into_iter().find(|i| *i == video.index || streams.kept.iter().any(|k| k.index == *i))
                {
                    return Err(Ended::skipped(
                        reasons::UNSUPPORTED_STREAM,
                        unread(&format!("mkvmerge does not know what stream {index} is")),
                    ));
                }
            }
            Ok(Err(why)) => {
                reread::edges(&path).map_err(|error| Ended::unread("the file", &why, &error))?;
                return Err(Ended::skipped(reasons::UNSUPPORTED_STREAM, unread(&why)));
            }
            Err(error) => return Err(Ended::tool("reading the tracks", &args.work, &error)),
        }
        Ok(Self { path, root, rel: task.path.clone(), rules, identity, probe, video, streams })
    }

    /// Checks that the file is still the one that was opened, and that no gate stops it meanwhile that needs no look into it,
    /// such as a marker that the user made during the encode.
    ///
    /// # Errors
    /// [`Ended`] with `SourceChanged` when it is not, or with the verdict of that gate.
    pub(crate) fn check_unchanged(&self) -> Result<(), Ended> {
        let changed = |message: String| Err(Ended::skipped(reasons::SOURCE_CHANGED, message));
        match facts::identity(&self.root, &self.rel) {
            Ok(now) if compare(&self.identity, &now) != Comparison::Different => {
                let (facts, _) = facts::outside(&self.root, Path::new(&self.rel), Known::default())
                    .map_err(|e| Ended::retry(reasons::IO_ERROR, format!("looking at the file again: {e}")))?;
                stopped(&facts, &self.rules).map_or(Ok(()), |v| Err(Ended::skipped(&v.reason, v.message)))
            }
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

    /// A verdict about what is in the file stands only when all of the file can be read, and it is still the one that was opened:
    /// what a program makes of a read that failed says nothing of the file.
    pub(crate) fn confirm(&self, ended: Ended) -> Ended {
        let Ended::Verdict { reason, message, .. } = &ended else { return ended };
        let read = match reason.as_str() {
            reasons::CANNOT_DECODE
            | reasons::FRAME_COUNT_MISMATCH
            | reasons::UNSUPPORTED_TIMESTAMPS
            | reasons::VERIFICATION_FAILED => reread::whole,
            // Found in the headers and the first seconds.
            reasons::UNSUPPORTED_STREAM => reread::edges,
            _ => return ended,
        };
        if let Err(error) = read(&self.path) {
            return Ended::unread("the file", message, &error);
        }
        self.check_unchanged().err().unwrap_or(ended)
    }

    /// Pixels of a picture.
    pub(crate) fn pixels(&self) -> u64 {
        u64::from(self.video.width.unwrap_or_default()) * u64::from(self.video.height.unwrap_or_default())
    }

    /// The source in a few fields.
    pub(crate) fn summary(&self, decoded: Option<&Decoded>) -> MediaSummary {
        let rate = decoded.map(|decoded| decoded.rate).or(self.video.r_frame_rate);
        MediaSummary {
            container: self.probe.format.format_name.clone(),
            codec: self.video.codec_name.clone(),
            pixel_format: self.video.pix_fmt.clone().unwrap_or_default(),
            width: self.video.width.unwrap_or_default(),
            height: self.video.height.unwrap_or_default(),
            frame_rate: rate.map(|rate| rate.to_string()).unwrap_or_default(),
            variable_frame_rate: decoded.is_some_and(|decoded| decoded.is_variable),
            hdr: picture::hdr(&self.video).to_owned(),
            duration_seconds: self.probe.format.duration.map(|seconds| format!("{seconds:.3}")).unwrap_or_default(),
            frames: decoded.map_or(0, |decoded| decoded.times.pts.len() as u64),
            bit_rate: self.probe.format.bit_rate.unwrap_or_default(),
            audio: count(&self.probe, "audio"),
            subtitles: count(&self.probe, "subtitle"),
        }
    }
}

fn unread(why: &str) -> String {
    format!("languages and chapters of the file cannot be read in full, so that they could be lost: {why}")
}

fn count(probe: &Probe, kind: &str) -> u32 {
    u32::try_from(probe.of(kind).count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use av1_crds::library::ScanRules;
    use av1_crds::settings::Settings;
    use av1_media::probe::Format;
    use av1_media::streams::{Container, Origin};

    use super::*;

    fn source(dir: &Path) -> Source {
        std::fs::create_dir_all(dir.join("a")).unwrap();
        let path = dir.join("a/x.mkv");
        let file = std::fs::File::create(&path).unwrap();
        std::io::Write::write_all(&mut &file, b"a film").unwrap();
        file.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(7_200)).unwrap();
        let root = Root::open(dir).unwrap();
        let mut scan = ScanRules::resolve(None).unwrap();
        scan.min_size = 1;
        Source {
            identity: facts::identity(&root, "a/x.mkv").unwrap(),
            root,
            rel: "a/x.mkv".to_owned(),
            rules: Rules::new(scan, Settings::resolve(&[]).unwrap()),
            path,
            probe: Probe { format: Format::default(), streams: Vec::new(), chapters: Vec::new() },
            video: Stream::default(),
            streams: StreamPlan {
                origin: Origin::Matroska,
                container: Container::Matroska,
                video: 0,
                kept: Vec::new(),
                dropped: Vec::new(),
                shift: 0.0,
            },
        }
    }

    #[test]
    fn a_verdict_on_the_content_stands_only_when_the_file_is_there_and_can_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut source = source(dir.path());
        let reason_of = |ended| match ended {
            Ended::Verdict { reason, .. } => reason,
            Ended::Failed(failed) => {
                assert!(failed.failure.retryable, "{failed:?}");
                failed.failure.reason
            }
        };
        let confirmed = |source: &Source, reason| reason_of(source.confirm(Ended::skipped(reason, "m")));
        for reason in [reasons::CANNOT_DECODE, reasons::VERIFICATION_FAILED, reasons::UNSUPPORTED_STREAM] {
            assert_eq!(confirmed(&source, reason), reason);
        }
        // Nothing is mapped at its beginning: a plain read says EIO.
        let path = std::mem::replace(&mut source.path, "/proc/self/mem".into());
        for reason in [reasons::CANNOT_DECODE, reasons::VERIFICATION_FAILED, reasons::UNSUPPORTED_STREAM] {
            assert_eq!(confirmed(&source, reason), reasons::IO_ERROR);
        }
        assert_eq!(confirmed(&source, reasons::INTERLACED), reasons::INTERLACED);
        source.path = path;
        std::fs::write(&source.path, "another film").unwrap();
        assert_eq!(confirmed(&source, reasons::CANNOT_DECODE), reasons::SOURCE_CHANGED);
    }

    #[test]
    fn what_the_user_does_during_an_encode_stops_it_at_its_end() {
        type Change = fn(&Path);
        let cases: [(&str, Change); 6] = [
            (reasons::SKIP_MARKER, |dir| std::fs::write(dir.join("a/x.mkv.av1skip"), "").unwrap()),
            (reasons::SKIP_MARKER, |dir| std::fs::write(dir.join(".av1skip"), "").unwrap()),
            (reasons::HARD_LINKED, |dir| std::fs::hard_link(dir.join("a/x.mkv"), dir.join("seed")).unwrap()),
            (reasons::NOT_STABLE, |dir| std::fs::write(dir.join("a/x.mkv.part"), "").unwrap()),
            (reasons::SOURCE_CHANGED, |dir| std::fs::write(dir.join("a/x.mkv"), "another film").unwrap()),
            (reasons::SOURCE_CHANGED, |dir| std::fs::remove_file(dir.join("a/x.mkv")).unwrap()),
        ];
        for (reason, change) in cases {
            let dir = tempfile::tempdir().unwrap();
            let source = source(dir.path());
            std::fs::write(dir.path().join("a/y.mkv.av1skip"), "").unwrap();
            source.check_unchanged().unwrap();
            change(dir.path());
            match source.check_unchanged() {
                Err(Ended::Verdict { reason: found, .. }) => assert_eq!(found, reason),
                other => panic!("{reason}: {other:?}"),
            }
        }
    }
}
