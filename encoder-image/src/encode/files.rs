//! The files of a run: their names, and how they are written so that a crash leaves either the old or the new one.
//!
//! May: write in the work folder, and in the scratch folder where there is one. Must never: write anywhere else.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

/// Largest file of our own that is read back; the times of a film of ten hours need 20 MB.
const MOST_BYTES: u64 = 1 << 30;

/// Av1an's own folder, and in it that of the chunks.
pub(crate) const AV1AN: &str = "av1an";
pub(crate) const CHUNKS: &str = "encode";
const FRAMES: &str = "frames.json";
const PLAN: &str = "plan.json";
const SCENES: &str = "scenes.json";
const TARGET: &str = "target.json";
const LIST: &str = "chunks.json";
const HASHES: &str = "whole.json";
/// What a run that shares the chunks of another reads besides them, in the work folder and in Av1an's. The index of the source is
/// not among it: a half of one may be taken for a whole.
pub(crate) const OF_THE_PLAN: [&str; 4] = [FRAMES, PLAN, SCENES, TARGET];
pub(crate) const OF_THE_CHUNKS: [&str; 2] = [LIST, HASHES];

/// Paths of a run. All of them are the same in every pod, because Av1an remembers them.
#[derive(Debug, Clone)]
pub(crate) struct Files {
    /// Where output and report are left: the work folder on the library's volume.
    pub(crate) left: PathBuf,
    /// Where all the rest is: the scratch folder, or the work folder too.
    pub(crate) work: PathBuf,
    /// Times of the source's frames ([`super::analyse`]).
    pub(crate) frames: PathBuf,
    /// What the chunks there were encoded from and with.
    pub(crate) plan: PathBuf,
    /// The script that feeds Av1an.
    pub(crate) script: PathBuf,
    /// Index of the source, made by the source plugin.
    pub(crate) index: PathBuf,
    /// Scenes.
    pub(crate) scenes: PathBuf,
    /// Folder of the parts of the video that were looked at for scenes.
    pub(crate) parts: PathBuf,
    /// Av1an's own folder.
    pub(crate) av1an: PathBuf,
    /// Its log.
    pub(crate) log: PathBuf,
    /// Where Av1an and its children stand; tells them from other programs.
    pub(crate) cwd: PathBuf,
    /// The joined video.
    pub(crate) video: PathBuf,
    /// Rate factors that were tried for each chunk, with their scores ([`super::search`]).
    pub(crate) target: PathBuf,
    /// Folder of chunks that were tried.
    pub(crate) tries: PathBuf,
}

impl Files {
    /// Paths below `left`, and where there is one below `scratch`.
    pub(crate) fn new(left: &Path, scratch: Option<&Path>) -> Self {
        let work = scratch.unwrap_or(left);
        let at = |name: &str| work.join(name);
        Self {
            left: left.to_owned(),
            work: work.to_owned(),
            frames: at(FRAMES),
            plan: at(PLAN),
            script: at("source.vpy"),
            index: at("source.lwi"),
            scenes: at(SCENES),
            parts: at("parts"),
            av1an: at(AV1AN),
            log: at("av1an.log"),
            cwd: at("cwd"),
            video: at("video.mkv"),
            target: at(TARGET),
            tries: at("tries"),
        }
    }

    /// Av1an's list of chunks.
    pub(crate) fn chunks(&self) -> PathBuf {
        self.av1an.join(LIST)
    }

    /// Av1an's list of what is done.
    pub(crate) fn done(&self) -> PathBuf {
        self.av1an.join("done.json")
    }

    /// The file of a chunk at a rate factor that was tried.
    pub(crate) fn tried(&self, chunk: u32, crf: u32) -> PathBuf {
        self.tries.join(format!("{chunk:05}.{crf}.ivf"))
    }

    /// Hashes of the chunks that were found whole; they go with Av1an's folder.
    pub(crate) fn hashes(&self) -> PathBuf {
        self.av1an.join(HASHES)
    }

    /// The file of a chunk.
    pub(crate) fn chunk(&self, name: &str) -> PathBuf {
        self.av1an.join(CHUNKS).join(name)
    }
}

/// Writes `bytes` to `path` so that after a crash there is the old content or the new, never a part.
///
/// # Errors
/// Of any step; the old content is there then.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or_else(|| io::Error::other("a file without a folder"))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = folder.join(name);
    let mut file = File::create(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    File::open(folder)?.sync_all()
}

/// JSON with its own hash: a disk that gave back another digit than was written would move a frame, and nobody would see.
#[derive(Serialize, Deserialize)]
struct Sealed {
    sha256: String,
    value: serde_json::Value,
}

fn seal(value: &serde_json::Value) -> io::Result<String> {
    Ok(hex::encode(Sha256::digest(serde_json::to_vec(value)?)))
}

/// [`replace`] with the JSON of `value` and its hash.
///
/// # Errors
/// As of [`replace`].
pub(crate) fn replace_json<T: Serialize>(path: &Path, value: &T) -> io::Result<()> {
    let value = serde_json::to_value(value)?;
    replace(path, &serde_json::to_vec(&Sealed { sha256: seal(&value)?, value })?)
}

/// The content of `path`, none when there is no such file; `most` bytes at most.
///
/// # Errors
/// When reading fails or the file is larger.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("{} has more than {most} bytes", path.display()),
        ));
    }
    Ok(Some(bytes))
}

/// The value in the JSON file `path`; none when there is none, or it is not what [`replace_json`] wrote (it is made anew then).
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let Sealed { sha256, value } = serde_json::from_slice(&read(path, MOST_BYTES).ok()??).ok()?;
    if seal(&value).ok()? == sha256 {
        serde_json::from_value(value).ok()
    } else {
        tracing::warn!("{} is damaged and is made anew", path.display());
        None
    }
}

/// Removes files and folders; what is not there is fine.
///
/// # Errors
/// When one is there and can't be removed.
pub(crate) fn remove(paths: &[&Path]) -> io::Result<()> {
    for path in paths {
        let removed = match fs::symlink_metadata(path) {
            Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
            Ok(_) => fs::remove_file(path),
            Err(e) => Err(e),
        };
        match removed {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn with_a_scratch_folder_only_what_is_left_behind_is_in_the_work_folder() {
        let files = Files::new(Path::new("/work"), Some(Path::new("/scratch")));
        assert_eq!(files.left, Path::new("/work"));
        let scratch = [&files.work, &files.frames, &files.av1an, &files.video, &files.chunk("00000.ivf"), &files.tries];
        assert!(scratch.iter().all(|path| path.starts_with("/scratch")), "{files:?}");
        let files = Files::new(Path::new("/work"), None);
        assert!(files.av1an.starts_with("/work") && files.left == files.work, "{files:?}");
    }

    #[test]
    fn a_file_with_one_digit_changed_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("frames.json");
        assert_eq!(read_json::<Vec<i64>>(&path), None);
        replace_json(&path, &vec![i64::MIN, 40, 80, i64::MAX]).unwrap();
        assert_eq!(read_json(&path), Some(vec![i64::MIN, 40, 80, i64::MAX]));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("40,80", "41,80")).unwrap();
        assert_eq!(read_json::<Vec<i64>>(&path), None);
        fs::write(&path, &text[..text.len() - 1]).unwrap();
        assert_eq!(read_json::<Vec<i64>>(&path), None);
    }
}
