//! Looks for the scenes of the video in parts of it side by side. A part that is done is kept until all are, so that a later run
//! goes on from there.
//!
//! May: run Av1an's detector, write in the work folder. Must never: let scenes depend on how many parts were looked at at once.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use av1_crds::reasons;
use av1_media::av1an::{self, MAX_FILE, find_cuts, part_of};
use av1_media::plan::Resources;
use av1_media::scenes::{Part, parts, scenes, to_json};
use serde::{Deserialize, Serialize};

use super::files::{Files, read, read_json, remove, replace, replace_json};
use super::outcome::Ended;
use crate::supervise::{Limits, capture_unless};

/// Bounds a part that hangs: an hour, and a second for each frame.
const WALL_BASE: u64 = 3_600;
/// Most bytes that it may print.
const MOST_WORDS: usize = 64 << 10;
/// Memory of one detector in bytes: of itself, and for each pixel of the picture (268 MB were measured at 1920x1080).
const BASE: u64 = 100_000_000;
const BYTES_PER_PIXEL: u64 = 200;

/// What cuts are looked for in, and by how many detectors at once.
#[derive(Debug)]
pub(super) struct Search<'a> {
    pub(super) files: &'a Files,
    /// Cuts of others are thrown away.
    pub(super) key: ScenesKey,
    pub(super) at_once: usize,
}

/// What the cuts on record were found in and with.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct ScenesKey {
    pub(super) source_size: u64,
    pub(super) source_fingerprint: String,
    /// Gives the source's frames.
    pub(super) script: String,
    pub(super) av1an: Option<String>,
}

impl Search<'_> {
    /// Makes sure that there are scenes of a video of so many frames, none longer than `longest`; returns how many there are.
    ///
    /// # Errors
    /// As of [`Search::cuts`].
    pub(super) fn scenes(&self, frames: u64, longest: u32) -> Result<usize, Ended> {
        let io = |e| Ended::io("keeping the scenes", &self.files.work, &e);
        if let Some(json) = read(&self.files.scenes, MAX_FILE).map_err(io)? {
            match av1an::scenes(&json, frames) {
                Ok(count) => return Ok(count),
                Err(error) => tracing::warn!("scenes are looked for again: {error}"),
            }
        }
        let found = scenes(self.cuts(frames, &AtomicBool::new(false))?, frames, longest);
        let json = to_json(&found, frames).map_err(|e| io(e.into()))?;
        replace(&self.files.scenes, &json).map_err(io)?;
        Ok(found.len())
    }

    /// The cuts of all parts of so many frames, as far as they are not on record from before; ends early once `stop` becomes true.
    ///
    /// # Errors
    /// [`Ended`] when the detector fails or is stopped, or a file can't be read or written; parts that are done are kept.
    pub(super) fn cuts(&self, frames: u64, stop: &AtomicBool) -> Result<Vec<u64>, Ended> {
        self.begin().map_err(|e| Ended::io("keeping the scenes", &self.files.work, &e))?;
        let parts = parts(frames);
        let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
        let look = || {
            let mut found = Vec::new();
            while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
                if failed.load(Ordering::Relaxed) {
                    break;
                }
                found.extend(self.cuts_of(part, stop).inspect_err(|_| failed.store(true, Ordering::Relaxed))?);
            }
            Ok(found)
        };
        std::thread::scope(|scope| {
            let detectors: Vec<_> = (0..self.at_once.clamp(1, parts.len().max(1))).map(|_| scope.spawn(look)).collect();
            let mut cuts = Vec::new();
            for detector in detectors {
                cuts.extend(detector.join().unwrap_or_else(|_| Err(wrong("a detector of scenes broke off")))?);
            }
            Ok(cuts)
        })
    }

    /// Forgets the cuts on record when they are of another source or detector.
    fn begin(&self) -> io::Result<()> {
        let key = self.files.parts.join("key.json");
        if read_json::<ScenesKey>(&key).as_ref() == Some(&self.key) {
            return Ok(());
        }
        remove(&[&self.files.parts])?;
        fs::create_dir_all(&self.files.parts)?;
        replace_json(&key, &self.key)
    }

    /// The cuts of one part, from an earlier run where there are such.
    fn cuts_of(&self, part: &Part, stop: &AtomicBool) -> Result<Vec<u64>, Ended> {
        let io = |e| Ended::io("looking for scenes", &self.files.work, &e);
        let parts = &self.files.parts;
        let kept = parts.join(format!("{:09}.json", part.start));
        let answered = |path: &Path| read(path, MAX_FILE).map(|json| json.map(|json| part.cuts(&json)));
        if let Some(Ok(cuts)) = answered(&kept).map_err(io)? {
            return Ok(cuts);
        }
        // A detector that an agent left behind outside of a container may still write its own.
        let own = |suffix: &str| parts.join(format!("{:09}.{}.{suffix}", part.start, std::process::id()));
        let (answer, script, temp, log) = (own("json"), own("vpy"), own("av1an"), own("log"));
        // Scenes that are there would be taken as they are.
        remove(&[&answer, &temp]).map_err(io)?;
        replace(&script, part_of(&self.key.script, part.from, part.end).as_bytes()).map_err(io)?;
        let paths = av1an::Files { script: &script, temp: &temp, scenes: &answer, log: &log };
        let wall = Duration::from_secs(WALL_BASE + part.end.saturating_sub(part.from));
        capture_unless(stop, &find_cuts(&paths), &Limits { wall, stdout: MOST_WORDS })
            .map_err(|error| Ended::tool("looking for scenes", &self.files.work, &error))?;
        let cuts = answered(&answer)
            .map_err(io)?
            .ok_or_else(|| wrong("Av1an looked for scenes and wrote none"))?
            .map_err(|error| wrong(&error.to_string()))?;
        fs::rename(&answer, &kept).map_err(io)?;
        remove(&[&script, &temp, &log]).map_err(io)?;
        tracing::debug!(from = part.start, to = part.end, cuts = cuts.len(), "looked for cuts");
        Ok(cuts)
    }
}

fn wrong(words: &str) -> Ended {
    Ended::retry(reasons::ENCODE_FAILED, words.to_owned())
}

/// Detectors at once: each takes about one CPU.
pub(super) fn at_once(resources: Resources, pixels: u64) -> usize {
    let each = BASE.saturating_add(pixels.saturating_mul(BYTES_PER_PIXEL));
    let fitting = resources.memory.map_or(u64::MAX, |memory| memory / each);
    usize::try_from(fitting.clamp(1, u64::from(resources.busy()))).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_fill_the_cpus_as_far_as_memory_goes() {
        let at = |cpus, memory, pixels| at_once(Resources { cpus, memory, workers: 0, percent: 100 }, pixels);
        let hd = 1920 * 1080;
        assert_eq!((at(32, None, hd), at(2, Some(1 << 30), hd), at(32, Some(8 << 30), hd)), (32, 2, 16));
        assert_eq!((at(0, Some(0), u64::MAX), at(32, Some(32 << 30), 4 * hd)), (1, 19));
    }

    #[test]
    fn cuts_of_an_earlier_run_are_not_looked_for_again_unless_the_source_is_another() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path(), None);
        let search = |fingerprint: &str| {
            let source_fingerprint = fingerprint.to_owned();
            let key = ScenesKey { source_size: 1, source_fingerprint, script: String::new(), av1an: None };
            Search { files: &files, key, at_once: 2 }
        };
        let (search, other) = (search("a"), search("b"));
        search.begin().unwrap();
        let part = |start: u64, json: &str| fs::write(files.parts.join(format!("{start:09}.json")), json).unwrap();
        part(0, r#"{"frames":192,"scenes":[{"start_frame":0,"end_frame":100},{"start_frame":100,"end_frame":192}]}"#);
        part(192, r#"{"frames":108,"scenes":[{"start_frame":0,"end_frame":108}]}"#);
        assert_eq!(search.cuts(252, &AtomicBool::new(false)).unwrap(), [100]);
        assert_eq!((search.scenes(252, 240).unwrap(), search.scenes(252, 240).unwrap()), (2, 2));
        assert!(other.cuts(252, &AtomicBool::new(true)).is_err());
        assert!(!files.parts.join("000000000.json").exists());
    }
}
