//! The index on disk: what the catalog knew when it was last saved, so that a new pod need not probe every file again.
//! JSON lines: a header, then one entry a line. Written to a temporary name, made durable, then renamed.
//!
//! May: write in the catalog's own folder. Must never: trust what it reads there; a file that is not whole or was made for other
//! rules is dropped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write as _};
use std::path::Path;

use av1_crds::wire::CatalogTask;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::state::{Entry, Key};

const FILE: &str = "index.jsonl";
const TEMPORARY: &str = "index.jsonl.new";
const HEARTBEAT: &str = "heartbeat";
const HEARTBEAT_TEMPORARY: &str = "heartbeat.new";
/// Longest line that is read: a path of 4,096 bytes, six characters each when escaped, and a message.
const MAX_LINE: u64 = 256 << 10;
/// Version of the format.
const FORMAT: u32 = 2;

/// What the entries were made for; an index for anything else is foreign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Header {
    format: u32,
    agent: String,
    volume_id: String,
    library_uid: String,
    /// SHA-256 of scan rules and settings.
    rules: String,
    /// User that the gates judged ownership for.
    uid: u32,
    entries: usize,
}

/// The index cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum IndexError {
    #[error("reading or writing {FILE}: {0}")]
    Io(#[from] io::Error),
    #[error("{FILE} is damaged at line {line}: {why}")]
    Damaged { line: usize, why: String },
    #[error("{FILE} was made for another volume, library, version or other rules")]
    Foreign,
}

impl Header {
    pub(super) fn new(task: &CatalogTask) -> Self {
        // Serialising plain values into memory cannot fail.
        let rules = serde_json::to_vec(&(&task.scan, &task.settings)).unwrap_or_default();
        Self {
            format: FORMAT,
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            volume_id: task.volume_id.clone(),
            library_uid: task.library.uid.clone(),
            rules: hex::encode(Sha256::digest(rules)),
            uid: rustix::process::geteuid().as_raw(),
            entries: 0,
        }
    }
}

/// Writes the index.
pub(super) fn save(folder: &Path, header: &Header, entries: &BTreeMap<Key, Entry>) -> Result<(), IndexError> {
    let mut file = BufWriter::new(File::create(folder.join(TEMPORARY))?);
    line(&mut file, &Header { entries: entries.len(), ..header.clone() })?;
    for entry in entries {
        line(&mut file, &entry)?;
    }
    finish(folder, file, TEMPORARY, FILE)?;
    Ok(())
}

/// Reads the index; none when there is none.
pub(super) fn load(folder: &Path, header: &Header) -> Result<Option<BTreeMap<Key, Entry>>, IndexError> {
    let file = match File::open(folder.join(FILE)) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let mut reader = BufReader::new(file);
    let first: Header = parse(&next(&mut reader, 1)?, 1)?;
    if (Header { entries: 0, ..first.clone() }) != *header {
        return Err(IndexError::Foreign);
    }
    let lines = (2..).take(first.entries).map(|number| parse(&next(&mut reader, number)?, number));
    // At once: a tree that grows one by one needs twice the room.
    let entries = lines.collect::<Result<BTreeMap<Key, Entry>, IndexError>>()?;
    if reader.fill_buf()?.is_empty() && entries.len() == first.entries {
        Ok(Some(entries))
    } else {
        Err(IndexError::Damaged {
            line: first.entries.saturating_add(2),
            why: format!("it does not hold {} different entries", first.entries),
        })
    }
}

/// Writes the heartbeat, which tells other clusters that the library is being looked after.
pub(super) fn heartbeat(folder: &Path, task: &CatalogTask, at: &str) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join(HEARTBEAT_TEMPORARY))?);
    line(&mut file, &serde_json::json!({ "owner": task.library, "volumeId": task.volume_id, "at": at }))?;
    finish(folder, file, HEARTBEAT_TEMPORARY, HEARTBEAT)
}

fn line<T: Serialize>(file: &mut BufWriter<File>, value: &T) -> io::Result<()> {
    serde_json::to_writer(&mut *file, value)?;
    file.write_all(b"\n")
}

fn finish(folder: &Path, file: BufWriter<File>, from: &str, to: &str) -> io::Result<()> {
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    fs::rename(folder.join(from), folder.join(to))?;
    File::open(folder)?.sync_all()
}

fn next(reader: &mut BufReader<File>, number: usize) -> Result<Vec<u8>, IndexError> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut bytes)?;
    if bytes.pop() == Some(b'\n') {
        Ok(bytes)
    } else {
        Err(IndexError::Damaged { line: number, why: "it ends too early or is too long".to_owned() })
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], line: usize) -> Result<T, IndexError> {
    serde_json::from_slice(bytes).map_err(|e| IndexError::Damaged { line, why: e.to_string() })
}

#[cfg(test)]
mod tests {
    use av1_crds::library::ScanRules;
    use av1_crds::settings::Settings;
    use av1_crds::wire::{FileState, LibraryId};

    use super::super::state::Reason;
    use super::*;

    fn task() -> CatalogTask {
        CatalogTask {
            library: LibraryId { namespace: "n".into(), name: "films".into(), uid: "u".into(), cluster: "c".into() },
            volume_id: "v".into(),
            prepare_run: 1,
            scan: ScanRules::resolve(None).unwrap(),
            settings: Settings::resolve(&[]).unwrap(),
        }
    }

    fn entries() -> BTreeMap<Key, Entry> {
        let entry = |message: &str| Entry {
            state: FileState::Skipped,
            reason: Reason::new("Interlaced"),
            message: message.into(),
            size: u64::MAX,
            modified_time_ns: -1,
            size_before: std::num::NonZeroU64::new(3),
            picture: None,
            stamp: u64::MAX - 1,
            first_seen_ns: 5,
            scan: 0,
            sidecar: std::num::NonZeroU64::new(9),
            sidecar_due: false,
        };
        BTreeMap::from([
            (Key { path: "a\n\"b\".mkv".into(), raw: None }, entry("one")),
            (Key { path: "c\u{fffd}".into(), raw: Some(Box::from(&b"c\xff"[..])) }, entry("two")),
        ])
    }

    #[test]
    fn what_was_saved_is_loaded_again_and_none_when_nothing_was() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new(&task());
        assert!(load(dir.path(), &header).unwrap().is_none());
        save(dir.path(), &header, &entries()).unwrap();
        assert_eq!(load(dir.path(), &header).unwrap().unwrap(), entries());
        assert!(!dir.path().join(TEMPORARY).exists());
    }

    #[test]
    fn an_index_for_other_rules_or_another_volume_is_foreign() {
        let dir = tempfile::tempdir().unwrap();
        save(dir.path(), &Header::new(&task()), &entries()).unwrap();
        let mut scan = task();
        scan.scan.min_size = 1;
        assert!(load(dir.path(), &Header::new(&CatalogTask { prepare_run: 2, ..task() })).is_ok());
        for other in [scan, CatalogTask { volume_id: "w".into(), ..task() }] {
            assert!(matches!(load(dir.path(), &Header::new(&other)), Err(IndexError::Foreign)));
        }
    }

    #[test]
    fn a_damaged_index_is_an_error_wherever_the_damage_is() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new(&task());
        save(dir.path(), &header, &entries()).unwrap();
        let whole = fs::read(dir.path().join(FILE)).unwrap();
        for cut in [0, 1, whole.len() / 2, whole.len() - 1] {
            fs::write(dir.path().join(FILE), &whole[..cut]).unwrap();
            assert!(matches!(load(dir.path(), &header), Err(IndexError::Damaged { .. })), "cut at {cut}");
        }
        fs::write(dir.path().join(FILE), [whole.as_slice(), b"more"].concat()).unwrap();
        assert!(matches!(load(dir.path(), &header), Err(IndexError::Damaged { .. })));
    }

    #[test]
    fn fuzz_any_index_is_read_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let header = Header::new(&task());
        let first = |entries: usize| serde_json::to_vec(&Header { entries, ..header.clone() }).unwrap();
        let fuzz = av1_fuzz::Fuzz::new("catalog-index").sample(av1_fuzz::samples::INDEX);
        fuzz.large(first(usize::MAX)).large(vec![b'['; 1 << 20]).run(|bytes| {
            for entries in [0, 2, usize::MAX] {
                fs::write(dir.path().join(FILE), [&first(entries), &b"\n"[..], bytes].concat()).unwrap();
                if let Ok(Some(found)) = load(dir.path(), &header) {
                    let catalog = super::super::state::Catalog { entries: found, ..Default::default() };
                    let _ = (catalog.summary("v"), catalog.files("", usize::MAX));
                    let _ = catalog.candidates(
                        av1_crds::library::ScanOrder::LargestFirst,
                        usize::MAX,
                        usize::MAX,
                        u64::MAX,
                    );
                }
            }
            fs::write(dir.path().join(FILE), bytes).unwrap();
            let _ = load(dir.path(), &header);
        });
    }
}
