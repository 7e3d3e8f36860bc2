//! Looks for the scenes of the video in parts of it side by side. A part that is done is kept until all are, so that a later run
//! goes on from there.
//!
//! May: run Av1an's detector, write in the work folder. Must never: let scenes depend on how many parts were looked at at once.

use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use av1_crds::reasons;
use av1_media::av1an::{self, MAX_FILE, find_cuts, part_of};
use av1_media::plan::Resources;
use av1_media::scenes::{Part, parts, scenes, to_json};

use super::files::{Files, read, remove, replace};
use super::outcome::Ended;
use crate::supervise::{Limits, capture};

/// Bounds a part that hangs: an hour, and a second for each frame.
const WALL_BASE: u64 = 3_600;
/// Most bytes that it may print.
const MOST_WORDS: usize = 64 << 10;
/// Memory of one detector in bytes: of itself, and for each pixel of the picture (268 MB were measured at 1920x1080).
const BASE: u64 = 100_000_000;
const BYTES_PER_PIXEL: u64 = 200;

/// Makes sure that there are scenes for a video of `frames` frames, none longer than `longest`; returns how many there are.
///
/// # Errors
/// [`Ended`] when the detector fails or a file can't be read or written; parts that are done are kept.
pub(super) fn find(files: &Files, script: &str, frames: u64, longest: u32, at_once: usize) -> Result<usize, Ended> {
    let io = |e| Ended::io("keeping the scenes", &files.work, &e);
    if let Some(json) = read(&files.scenes, MAX_FILE).map_err(io)? {
        match av1an::scenes(&json, frames) {
            Ok(count) => return Ok(count),
            Err(error) => tracing::warn!("scenes are looked for again: {error}"),
        }
    }
    fs::create_dir_all(&files.parts).map_err(io)?;
    let parts = parts(frames);
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let cuts = Mutex::new(Ok(Vec::new()));
    let look = || {
        while let Some(part) = parts.get(next.fetch_add(1, Ordering::Relaxed)) {
            let found = cuts_of(files, script, part);
            let Ok(mut cuts) = cuts.lock() else { return };
            match (found, cuts.as_mut()) {
                (Ok(found), Ok(cuts)) => cuts.extend(found),
                (Err(ended), Ok(_)) => *cuts = Err(ended),
                (_, Err(_)) => {}
            }
            if cuts.is_err() {
                return;
            }
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            tracing::info!(part = done, of = parts.len(), "looked for cuts");
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..at_once.clamp(1, parts.len().max(1)) {
            scope.spawn(look);
        }
    });
    let cuts = cuts.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)?;
    let found = scenes(cuts, frames, longest);
    let json = to_json(&found, frames).map_err(|e| io(e.into()))?;
    replace(&files.scenes, &json).map_err(io)?;
    remove(&[&files.parts]).map_err(io)?;
    Ok(found.len())
}

/// Detectors at once: each takes about one CPU.
pub(super) fn at_once(resources: Resources, pixels: u64) -> usize {
    let each = BASE.saturating_add(pixels.saturating_mul(BYTES_PER_PIXEL));
    let fitting = resources.memory.map_or(u64::MAX, |memory| memory / each);
    usize::try_from(fitting.clamp(1, u64::from(resources.cpus.max(1)))).unwrap_or(1)
}

/// The cuts of one part, from an earlier run where there are such.
fn cuts_of(files: &Files, script: &str, part: &Part) -> Result<Vec<u64>, Ended> {
    let io = |e| Ended::io("looking for scenes", &files.work, &e);
    let kept = files.parts.join(format!("{:09}.json", part.start));
    let answered = |path: &Path| read(path, MAX_FILE).map(|json| json.map(|json| part.cuts(&json)));
    if let Some(Ok(cuts)) = answered(&kept).map_err(io)? {
        return Ok(cuts);
    }
    // A detector that an agent left behind outside of a container may still write its own.
    let own = |suffix: &str| files.parts.join(format!("{:09}.{}.{suffix}", part.start, std::process::id()));
    let (answer, own_script, temp, log) = (own("json"), own("vpy"), own("av1an"), own("log"));
    // Scenes that are there would be taken as they are.
    remove(&[&answer, &temp]).map_err(io)?;
    replace(&own_script, part_of(script, part.from, part.end).as_bytes()).map_err(io)?;
    let paths = av1an::Files { script: &own_script, temp: &temp, scenes: &answer, log: &log };
    let wall = Duration::from_secs(WALL_BASE + part.end.saturating_sub(part.from));
    capture(&find_cuts(&paths), &Limits { wall, stdout: MOST_WORDS })
        .map_err(|error| Ended::tool("looking for scenes", &files.work, &error))?;
    let wrong = |words: String| Ended::retry(reasons::ENCODE_FAILED, words);
    let cuts = answered(&answer)
        .map_err(io)?
        .ok_or_else(|| wrong("Av1an looked for scenes and wrote none".to_owned()))?
        .map_err(|error| wrong(error.to_string()))?;
    fs::rename(&answer, &kept).map_err(io)?;
    Ok(cuts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detectors_fill_the_cpus_as_far_as_memory_goes() {
        let at = |cpus, memory, pixels| at_once(Resources { cpus, memory, workers: 0 }, pixels);
        let hd = 1920 * 1080;
        assert_eq!((at(32, None, hd), at(2, Some(1 << 30), hd), at(32, Some(8 << 30), hd)), (32, 2, 16));
        assert_eq!((at(0, Some(0), u64::MAX), at(32, Some(32 << 30), 4 * hd)), (1, 19));
    }

    #[test]
    fn parts_and_scenes_of_an_earlier_run_are_not_looked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::new(dir.path());
        fs::create_dir_all(&files.parts).unwrap();
        let part = |start: u64, json: &str| fs::write(files.parts.join(format!("{start:09}.json")), json).unwrap();
        part(0, r#"{"frames":192,"scenes":[{"start_frame":0,"end_frame":100},{"start_frame":100,"end_frame":192}]}"#);
        part(192, r#"{"frames":108,"scenes":[{"start_frame":0,"end_frame":108}]}"#);
        assert_eq!(find(&files, "", 252, 240, 2).unwrap(), 2);
        assert!(!files.parts.exists());
        assert_eq!(find(&files, "", 252, 240, 2).unwrap(), 2);
        assert!(String::from_utf8(fs::read(&files.scenes).unwrap()).unwrap().contains(r#""start_frame":100"#));
    }
}
