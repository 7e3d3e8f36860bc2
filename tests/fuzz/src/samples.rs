//! Real texts: what the tools wrote about small films, and what programs of ours wrote.

/// ffprobe's answers: a film with every kind of stream, an HDR film, and what a phone recorded.
pub const PROBES: [&str; 3] = [
    include_str!("../samples/probe-film.json"),
    include_str!("../samples/probe-hdr.json"),
    include_str!("../samples/probe-phone.json"),
];
/// Av1an's list of chunks.
pub const CHUNKS: &str = include_str!("../samples/chunks.json");
/// Av1an's list of scenes.
pub const SCENES: &str = include_str!("../samples/scenes.json");
/// Av1an's list of what is done.
pub const DONE: &str = include_str!("../samples/done.json");
/// Av1an's log.
pub const LOG: &str = include_str!("../samples/av1an.log");
/// The decode pass.
pub const FRAMES: &str = include_str!("../samples/frames.txt");
/// Hashes of packets and times of frames.
pub const PACKETS: &str = include_str!("../samples/packets.txt");
/// `ffmpeg -version`.
pub const FFMPEG: &str = include_str!("../samples/ffmpeg-version.txt");
/// `av1an --version`.
pub const AV1AN: &str = include_str!("../samples/av1an-version.txt");
/// `mkvmerge --version`.
pub const MKVMERGE: &str = include_str!("../samples/mkvmerge-version.txt");
/// Receipts of a path.
pub const RECEIPTS: &str = include_str!("../samples/receipts.json");
/// A journal.
pub const JOURNAL: &str = include_str!("../samples/journal.jsonl");
/// A marker.
pub const MARKER: &str = include_str!("../samples/marker.av1skip");
/// The description of an original in the trash.
pub const TRASH: &str = include_str!("../samples/trash.json");
/// A termination message.
pub const TERMINATION: &str = include_str!("../samples/termination.json");
/// A report.
pub const REPORT: &str = include_str!("../samples/report.json");
/// A progress page.
pub const PROGRESS: &str = include_str!("../samples/progress.json");
/// The catalog's summary.
pub const SUMMARY: &str = include_str!("../samples/summary.json");
/// A page of verdicts.
pub const FILES: &str = include_str!("../samples/files.json");
/// A page of what became of paths.
pub const OUTCOMES: &str = include_str!("../samples/outcomes.json");
/// Pictures of source and output.
pub const STILLS: &str = include_str!("../samples/stills.json");
/// A page of candidates.
pub const CANDIDATES: &str = include_str!("../samples/candidates.json");
/// The task of an encode pod.
pub const TASK: &str = include_str!("../samples/encode-task.json");
/// A library.
pub const LIBRARY: &str = include_str!("../samples/library.json");
/// A job.
pub const JOB: &str = include_str!("../samples/job.json");
/// The operator's metrics.
pub const METRICS: &str = include_str!("../samples/metrics.txt");
/// Entries of the catalog's index.
pub const INDEX: &str = include_str!("../samples/index.jsonl");
/// A chunk of five frames.
pub const IVF: &[u8] = include_bytes!("../samples/chunk.ivf");
/// The index of an MP4 with two tracks.
pub const MOOV: &[u8] = include_bytes!("../samples/moov.bin");
