//! Av1an: its calls, the script it is fed with, and the files it writes (scenes, chunks, what is done, the log).
//!
//! Av1an is given a VapourSynth script and never the media file: so it encodes the video alone, indexes once, and writes
//! nothing beside the source. Its own word that a chunk is done is never taken; the chunk's frames are counted.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::command::Command;
use crate::picture::Picture;
use crate::plan::{PIX_FMT, Plan};
use crate::rational::Rational;
use crate::scenes::MIN_SCENE;

/// Memory that VapourSynth's frame cache may take in each process, in MiB.
const CACHE_MIB: u32 = 1024;
/// Below so many chunks the last of them would keep other workers waiting for a noticeable part of the encode.
const FEW_CHUNKS: usize = 100;
/// Largest file of Av1an that is read, in bytes; a film of ten thousand chunks needs 20 MB.
pub const MAX_FILE: u64 = 256 << 20;

/// The script that gives the frames of stream `index` of `source` as `picture` plans them, in 10 bit and nominally at `rate`
/// frames a second, by way of an index that is kept in `cache`. Paths stand in it as hexadecimal, so that no name can be read
/// as Python.
#[must_use]
pub fn script(source: &str, index: u32, cache: &str, rate: Rational, picture: &Picture) -> String {
    let (source, cache, Rational { num, den }) = (hex::encode(source), hex::encode(cache), rate);
    let format = picture.plugin_format().map(|format| format!(", format=\"{format}\"")).unwrap_or_default();
    let filters = picture.script();
    format!(
        "import vapoursynth as vs\n\
         core = vs.core\n\
         core.num_threads = 1\n\
         core.max_cache_size = {CACHE_MIB}\n\
         source = bytes.fromhex(\"{source}\").decode()\n\
         cache = bytes.fromhex(\"{cache}\").decode()\n\
         clip = core.lsmas.LWLibavSource(source=source, stream_index={index}, cachefile=cache, repeat=0, threads=1{format})\n\
         clip = core.std.AssumeFPS(clip, fpsnum={num}, fpsden={den})\n\
         {filters}\
         clip.set_output()\n"
    )
}

/// The call that prints how many frames a script gives; it builds the index.
#[must_use]
pub fn frame_count(script: &Path) -> Command {
    Command::new("vspipe").arg("--info").arg(script)
}

/// The number of frames in what [`frame_count`] printed.
#[must_use]
pub fn parse_frame_count(printed: &str) -> Option<u64> {
    printed.lines().find_map(|line| line.trim().strip_prefix("Frames:")?.trim().parse().ok())
}

/// The script that gives the frames from `from` to before `end` of those of `script`.
#[must_use]
pub fn part_of(script: &str, from: u64, end: u64) -> String {
    format!("{script}clip[{from}:{end}].set_output()\n")
}

/// The call that looks for cuts in all that `script` gives and writes them to `scenes`. `temp` and `log` are its own.
#[must_use]
pub fn find_cuts(files: &Files<'_>) -> Command {
    Command::new("av1an")
        .arg("-i")
        .arg(files.script)
        .args(["--sc-only", "-y", "--quiet", "--scenes"])
        .arg(files.scenes)
        .arg("--temp")
        .arg(files.temp)
        .arg("--log-file")
        .arg(files.log)
        .args(["--extra-split", "0", "--min-scene-len", &MIN_SCENE.to_string()])
        // Cuts are looked for in 8 bit: in 10 bit Av1an 0.5.2 finds others, and others in each run.
        .args(["--sc-pix-format", "yuv420p"])
}

/// In what order chunks are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Finished chunks are a fair sample of the video.
    Random,
    /// All workers end at nearly the same time.
    LongestFirst,
}

impl Order {
    /// The order for so many chunks: few make it worth more that no worker waits for the last one.
    #[must_use]
    pub fn of(chunks: usize) -> Self {
        if chunks < FEW_CHUNKS { Self::LongestFirst } else { Self::Random }
    }
}

/// Where an encode's files lie.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The script.
    pub script: &'a Path,
    /// Av1an's own folder.
    pub temp: &'a Path,
    /// The list of scenes; an encode uses the one that is there as it is.
    pub scenes: &'a Path,
    /// The log.
    pub log: &'a Path,
}

/// The call that encodes what is not done yet, and ends. What it joins is thrown away: the chunks are what counts.
#[must_use]
pub fn encode(files: &Files<'_>, plan: &Plan, order: Order) -> Command {
    let order = match order {
        Order::Random => "random",
        Order::LongestFirst => "long-to-short",
    };
    Command::new("av1an")
        .arg("-i")
        .arg(files.script)
        .args(["-o", "/dev/null", "--concat", "ivf", "-y", "--temp"])
        .arg(files.temp)
        .args(["--resume", "--keep", "--quiet", "--scenes"])
        .arg(files.scenes)
        .arg("--log-file")
        .arg(files.log)
        .args(["--log-level", "debug", "--encoder", plan.encoder.av1an(), "--passes", "1"])
        .args(["--pix-format", PIX_FMT, "--no-defaults"])
        .args(["--video-params", &plan.command_line().join(" "), "--workers", &plan.workers.to_string()])
        .args(["--chunk-order", order, "--max-tries", "3"])
}

/// A file of Av1an is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum Av1anError {
    /// Not JSON, or JSON of another shape.
    #[error("{file} could not be read: {source}")]
    Json {
        /// Name of the file.
        file: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The chunks do not cover the video.
    #[error("{file} does not cover the video: {message}")]
    Gap {
        /// Name of the file.
        file: &'static str,
        /// Where.
        message: String,
    },
}

/// One chunk: a scene that is encoded apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    /// Its number, which names its file.
    pub index: u32,
    /// First frame.
    pub start_frame: u64,
    /// Frame behind the last.
    pub end_frame: u64,
}

impl Chunk {
    /// Number of its frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.end_frame.saturating_sub(self.start_frame)
    }

    /// Its name in `done.json`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{:05}", self.index)
    }

    /// Name of its file in the folder `encode`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{:05}.ivf", self.index)
    }
}

/// Chunks of `chunks.json` in the order of the video.
///
/// # Errors
/// [`Av1anError`] when it can't be read, or the chunks do not cover frames 0 to `frames` without gap or overlap.
pub fn chunks(json: &[u8], frames: u64) -> Result<Vec<Chunk>, Av1anError> {
    const FILE: &str = "chunks.json";
    let mut chunks: Vec<Chunk> =
        serde_json::from_slice(json).map_err(|source| Av1anError::Json { file: FILE, source })?;
    chunks.sort_by_key(|chunk| chunk.start_frame);
    covers(FILE, chunks.iter().map(|chunk| (chunk.start_frame, chunk.end_frame)), frames)?;
    if let Some((at, chunk)) = chunks.iter().enumerate().find(|(at, chunk)| chunk.index as usize != *at) {
        return Err(Av1anError::Gap { file: FILE, message: format!("chunk {at} has the number {}", chunk.index) });
    }
    Ok(chunks)
}

/// The value of the encoder's parameter `key` of each chunk in `chunks.json`, by number; none of a chunk without it.
///
/// # Errors
/// [`Av1anError`] when it can't be read.
pub fn params(json: &[u8], key: &str) -> Result<BTreeMap<u32, u32>, Av1anError> {
    let chunks: Vec<ChunkParams> =
        serde_json::from_slice(json).map_err(|source| Av1anError::Json { file: "chunks.json", source })?;
    let value = |chunk: &ChunkParams| {
        let at = chunk.video_params.iter().position(|word| names(word, key))?;
        let word = &chunk.video_params[at];
        word.split_once('=')
            .map(|(_, value)| value)
            .or_else(|| chunk.video_params.get(at + 1).map(String::as_str))?
            .parse()
            .ok()
    };
    Ok(chunks.iter().filter_map(|chunk| Some((chunk.index, value(chunk)?))).collect())
}

/// `chunks.json` with other values of the parameter `key` for the chunks of these numbers; everything else stays.
///
/// # Errors
/// [`Av1anError`] when it can't be read or written.
pub fn with_params(json: &[u8], key: &str, values: &BTreeMap<u32, u32>) -> Result<Vec<u8>, Av1anError> {
    let wrong = |source| Av1anError::Json { file: "chunks.json", source };
    let mut chunks: Vec<serde_json::Value> = serde_json::from_slice(json).map_err(wrong)?;
    for chunk in &mut chunks {
        let index = chunk.get("index").and_then(serde_json::Value::as_u64).and_then(|index| u32::try_from(index).ok());
        let Some(value) = index.and_then(|index| values.get(&index)) else { continue };
        let Some(words) = chunk.get_mut("video_params").and_then(serde_json::Value::as_array_mut) else { continue };
        let Some(at) = words.iter().position(|word| word.as_str().is_some_and(|word| names(word, key))) else {
            continue;
        };
        if words[at].as_str().is_some_and(|word| word.contains('=')) {
            words[at] = format!("--{key}={value}").into();
        } else if let Some(word) = words.get_mut(at + 1) {
            *word = value.to_string().into();
        }
    }
    serde_json::to_vec(&chunks).map_err(wrong)
}

#[derive(Deserialize)]
struct ChunkParams {
    index: u32,
    video_params: Vec<String>,
}

/// Whether an argument names the parameter `key`.
fn names(word: &str, key: &str) -> bool {
    word.strip_prefix("--").is_some_and(|rest| rest.split('=').next() == Some(key))
}

/// `scenes.json`.
#[derive(Deserialize)]
pub(crate) struct SceneList {
    frames: u64,
    pub(crate) scenes: Vec<Scene>,
    split_scenes: Option<Vec<Scene>>,
}

/// A scene in it.
#[derive(Deserialize)]
pub(crate) struct Scene {
    pub(crate) start_frame: u64,
    end_frame: u64,
}

impl SceneList {
    const FILE: &str = "scenes.json";

    /// Reads a list that is about `frames` frames.
    pub(crate) fn parse(json: &[u8], frames: u64) -> Result<Self, Av1anError> {
        let list: Self =
            serde_json::from_slice(json).map_err(|source| Av1anError::Json { file: Self::FILE, source })?;
        if list.frames == frames {
            return Ok(list);
        }
        let message = format!("it is about {} frames, not {frames}", list.frames);
        Err(Av1anError::Gap { file: Self::FILE, message })
    }
}

/// Checks that the scenes of `scenes.json` cover frames 0 to `frames`, and returns how many there are.
///
/// # Errors
/// [`Av1anError`] when it can't be read, or the scenes do not cover the video.
pub fn scenes(json: &[u8], frames: u64) -> Result<usize, Av1anError> {
    let list = SceneList::parse(json, frames)?;
    let scenes = list.split_scenes.unwrap_or(list.scenes);
    covers(SceneList::FILE, scenes.iter().map(|scene| (scene.start_frame, scene.end_frame)), frames)?;
    Ok(scenes.len())
}

fn covers(file: &'static str, ranges: impl Iterator<Item = (u64, u64)>, frames: u64) -> Result<(), Av1anError> {
    let mut next = 0;
    for (start, end) in ranges {
        if start != next || end <= start {
            return Err(Av1anError::Gap { file, message: format!("frames {start} to {end} follow frame {next}") });
        }
        next = end;
    }
    if next == frames {
        Ok(())
    } else {
        Err(Av1anError::Gap { file, message: format!("it ends at frame {next} of {frames}") })
    }
}

/// What is done, as Av1an keeps it in `done.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Frames of the video.
    pub frames: u64,
    /// Finished chunks by name.
    pub done: BTreeMap<String, DoneChunk>,
    /// Whether audio is done; there is none.
    pub audio_done: bool,
}

/// One finished chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneChunk {
    /// Its frames.
    pub frames: u64,
    /// Size of its file in bytes.
    pub size_bytes: u64,
}

impl Done {
    /// Reads `done.json`; one that is being rewritten is none.
    #[must_use]
    pub fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// Its JSON.
    ///
    /// # Errors
    /// Never with these fields; the type says so to keep the caller honest.
    pub fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// An event in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A chunk was started.
    Started(u32),
    /// A chunk was finished.
    Finished(u32),
}

/// The event in a line of the log, if there is one.
#[must_use]
pub fn event(line: &str) -> Option<Event> {
    let number = |marker: &str| {
        let (_, rest) = line.split_once(marker)?;
        let (number, rest) = rest.split_once(':')?;
        rest.contains(" frames").then(|| number.parse().ok())?
    };
    number(" started chunk ").map(Event::Started).or_else(|| number(" finished chunk ").map(Event::Finished))
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::Settings;
    use proptest::prelude::*;

    use super::*;
    use crate::encoders::{Encoder, Engine};
    use crate::picture::plan_picture;
    use crate::probe::Stream;
    use crate::profile::Quality;

    const NTSC: Rational = Rational { num: 24_000, den: 1_001 };

    #[test]
    fn no_name_can_be_read_as_python() {
        let settings = Settings::resolve(&[]).unwrap();
        let video =
            Stream { width: Some(640), height: Some(360), pix_fmt: Some("yuv420p".into()), ..Stream::default() };
        let picture = plan_picture(&video, &settings, None).unwrap();
        for name in [
            "/library/a\".mkv",
            "/library/a'\\\n\"\"\"os.system('x')",
            "/library/тест 映画 🎬.mkv",
            "/library/-i %03d $(HOSTNAME).mkv",
        ] {
            let text = script(name, 1, "/work/source.lwi", NTSC, &picture);
            assert!(text.contains(&hex::encode(name)) && !text.contains(name));
            assert_eq!(text.lines().count(), 10, "{text}");
        }
    }

    #[test]
    fn the_call_is_this() {
        let plan = Plan {
            encoder: Encoder::SvtAv1,
            engine: Engine::Av1an,
            quality: Quality { crf: 23, preset: 4 },
            workers: 2,
            threads: 1,
            max_scene: 240,
            params: [("preset", "4"), ("crf", "23")].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
        };
        let files = Files {
            script: Path::new("/work/source.vpy"),
            temp: Path::new("/work/av1an"),
            scenes: Path::new("/work/scenes.json"),
            log: Path::new("/work/av1an.log"),
        };
        let words = |command: Command| command.to_strings().join(" ");
        insta::assert_snapshot!(words(encode(&files, &plan, Order::of(99))));
        assert!(words(encode(&files, &plan, Order::of(100))).contains("--chunk-order random"));
        insta::assert_snapshot!("cuts", words(find_cuts(&files)));
    }

    #[test]
    fn chunks_in_any_order_are_sorted_and_must_cover_the_video() {
        let json =
            br#"[{"index":1,"start_frame":72,"end_frame":101,"temp":"t"},{"index":0,"start_frame":0,"end_frame":72}]"#;
        let found = chunks(json, 101).unwrap();
        assert_eq!((found[0].frames(), found[1].file_name().as_str()), (72, "00001.ivf"));
        assert!(matches!(chunks(json, 102), Err(Av1anError::Gap { .. })));
        assert!(matches!(chunks(&json[..40], 101), Err(Av1anError::Json { .. })));
        assert!(
            chunks(br#"[{"index":0,"start_frame":0,"end_frame":5},{"index":1,"start_frame":6,"end_frame":9}]"#, 9)
                .is_err()
        );
        assert!(
            chunks(br#"[{"index":0,"start_frame":0,"end_frame":5},{"index":0,"start_frame":5,"end_frame":9}]"#, 9)
                .is_err()
        );
    }

    #[test]
    fn the_rate_factor_of_single_chunks_is_read_and_changed_in_the_words_of_every_encoder() {
        let json = br#"[{"index":0,"start_frame":0,"video_params":["--preset","4","--crf","24"],"x":{"y":1}},{"index":1,"video_params":["--cq-level=24","--cpu-used=4"]}]"#;
        assert_eq!(params(json, "crf").unwrap(), BTreeMap::from([(0, 24)]));
        assert_eq!(params(json, "cq-level").unwrap(), BTreeMap::from([(1, 24)]));
        let other = with_params(json, "crf", &BTreeMap::from([(0, 30), (1, 31), (7, 1)])).unwrap();
        let text = String::from_utf8(with_params(&other, "cq-level", &BTreeMap::from([(1, 31)])).unwrap()).unwrap();
        assert!(
            text.contains(r#""--crf","30""#) && text.contains(r#""--cq-level=31""#) && text.contains(r#""y":1"#),
            "{text}"
        );
        assert!(params(b"{", "crf").is_err() && with_params(b"x", "crf", &BTreeMap::new()).is_err());
    }

    #[test]
    fn scenes_are_the_split_ones_when_there_are_such() {
        let json = br#"{"frames":9,"scenes":[{"start_frame":0,"end_frame":9}],"split_scenes":[{"start_frame":0,"end_frame":4},{"start_frame":4,"end_frame":9}]}"#;
        assert_eq!(scenes(json, 9).unwrap(), 2);
        assert!(scenes(json, 10).is_err() && scenes(b"{}", 0).is_err());
        assert_eq!(
            scenes(br#"{"frames":9,"scenes":[{"start_frame":0,"end_frame":9}],"split_scenes":null}"#, 9).unwrap(),
            1
        );
    }

    #[test]
    fn done_json_is_read_and_written_as_av1an_does() {
        let text = r#"{"frames":264,"done":{"00001":{"frames":29,"size_bytes":17322}},"audio_done":false}"#;
        let done = Done::parse(text.as_bytes()).unwrap();
        assert_eq!(done.done["00001"].frames, 29);
        assert_eq!(String::from_utf8(done.to_json().unwrap()).unwrap(), text);
        assert_eq!(Done::parse(&text.as_bytes()[..30]), None);
    }

    #[test]
    fn events_are_found_in_the_log_and_not_in_names() {
        let started = r#"2026-11-21T12:10:06Z DEBUG encode_chunk{worker_id=0 total_chunks=5 chunk_index="00001"}: av1an_core::broker:  started chunk 00001: 29 frames"#;
        assert_eq!(event(started), Some(Event::Started(1)));
        let finished = "DEBUG x: av1an_core::broker: finished chunk 00012: 29 frames, 16.86 fps, took 1.72s";
        assert_eq!(event(finished), Some(Event::Finished(12)));
        assert_eq!(event("INFO path: /library/ started chunk x"), None);
    }

    #[test]
    fn the_frame_count_is_read_from_vspipe() {
        assert_eq!(parse_frame_count("Output Index: 0\nWidth: 640\nFrames: 264\nFPS: 24/1 (24.000 fps)\n"), Some(264));
        assert_eq!(parse_frame_count("Frames: Unknown"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC*", bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let line = format!(" started chunk {text}: 1 frames");
            let _ = (event(&text), event(&line), Done::parse(text.as_bytes()), Done::parse(&bytes), parse_frame_count(&text));
            let _ = (chunks(&bytes, 5), scenes(&bytes, 5), chunks(text.as_bytes(), 0), scenes(text.as_bytes(), 0));
        }

        #[test]
        fn any_chunks_are_judged_without_a_panic(list in proptest::collection::vec(any::<(u32, u64, u64)>(), 0..6), frames in any::<u64>()) {
            let chunk = |(index, start_frame, end_frame): &(u32, u64, u64)| Chunk { index: *index, start_frame: *start_frame, end_frame: *end_frame };
            let json = serde_json::to_vec(&list.iter().map(chunk).collect::<Vec<_>>()).unwrap();
            let _ = chunks(&json, frames);
        }
    }
}
