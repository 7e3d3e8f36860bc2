//! What ffprobe says of a file: the call, and its JSON read into plain values.
//!
//! Every field may be missing or lie; nothing here decides what that means.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};

use crate::command::{Bounds, Command};
use crate::rational::Rational;

/// Most bytes of ffprobe's JSON that are read; a file with ten thousand streams stays below.
pub const MAX_JSON: usize = 64 << 20;
/// Most streams of a file; FFmpeg itself gives up at 1,000 unless told otherwise.
pub const MAX_STREAMS: usize = 65_536;

/// Packets at the start of a file that are decoded to see what rides in the pictures alone: captions, HDR metadata, fields.
/// Where such a thing rides, it rides in every picture, or in every key frame.
const ANALYSED_PACKETS: &str = "%+#200";
/// What is told of each of those pictures.
const FRAME_ENTRIES: &str = "frame=stream_index,interlaced_frame:frame_side_data=side_data_type,red_x,red_y,green_x,green_y,\
    blue_x,blue_y,white_point_x,white_point_y,min_luminance,max_luminance,max_content,max_average,type";

/// What one call of ffprobe may use. It decodes on one thread and holds at most some twenty pictures, of which one of
/// 8192x4320 in 10 bit has 106 MB; its answer goes through a pipe, so that it never has to write a file.
pub const PROBE_BOUNDS: Bounds = Bounds { memory: Some(4 << 30), cpu_seconds: Some(90), file_size: Some(0) };

/// Kinds of container that are looked into, by FFmpeg's names. Playlists are none: they would have it read other files.
const CONTAINERS: &str = "asf,avi,dv,flv,gxf,ivf,matroska,mov,mpeg,mpegts,mpegvideo,mxf,nut,ogg,rm,wtv";
/// What FFmpeg says of any other.
pub const NO_CONTAINER: &str = "Format not on whitelist";

/// The call that probes `path` (absolute).
#[must_use]
pub fn ffprobe(path: &Path) -> Command {
    Command::new("ffprobe")
        .bounded(PROBE_BOUNDS)
        .args(["-v", "error", "-hide_banner", "-protocol_whitelist", "file,pipe"])
        .args(["-format_whitelist", CONTAINERS])
        .args(["-analyze_frames", "-read_intervals", ANALYSED_PACKETS])
        .args(["-show_format", "-show_streams", "-show_chapters", "-show_entries", FRAME_ENTRIES, "-of", "json", "-i"])
        .file(path)
}

/// The JSON is not what ffprobe writes.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Not JSON, or JSON of another shape.
    #[error("ffprobe's answer could not be read: {0}")]
    Json(#[from] serde_json::Error),
    /// No container was recognised.
    #[error("ffprobe recognised no container")]
    NoFormat,
}

/// A probed file.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    /// The container.
    pub format: Format,
    /// Streams in the container's order.
    pub streams: Vec<Stream>,
    /// Chapters in order.
    pub chapters: Vec<Chapter>,
}

/// The container.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Format {
    /// Names of the demuxer, such as `matroska,webm` or `mov,mp4,m4a,3gp,3g2,mj2`.
    pub format_name: String,
    /// Seconds at which the first packet starts.
    #[serde(deserialize_with = "number")]
    pub start_time: Option<f64>,
    /// Duration in seconds.
    #[serde(deserialize_with = "number")]
    pub duration: Option<f64>,
    /// Size in bytes.
    #[serde(deserialize_with = "number")]
    pub size: Option<u64>,
    /// Bits a second.
    #[serde(deserialize_with = "number")]
    pub bit_rate: Option<u64>,
    /// Global tags, keys in lower case.
    #[serde(deserialize_with = "tags")]
    pub tags: BTreeMap<String, String>,
    /// All chapters of a Matroska file as MKVToolNix writes them ([`crate::matroska`]).
    #[serde(skip)]
    pub chapter_document: Option<String>,
}

/// One stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Stream {
    /// Position in the file, from 0.
    pub index: u32,
    /// `video`, `audio`, `subtitle`, `attachment`, `data`, or empty when ffprobe does not know.
    pub codec_type: String,
    /// Codec, such as `h264`; empty when the image has no decoder description for it.
    pub codec_name: String,
    /// FourCC, such as `[0][0][0][0]` or `encv`.
    pub codec_tag_string: String,
    /// Profile.
    #[serde(deserialize_with = "text")]
    pub profile: Option<String>,
    /// Width in pixels.
    pub width: Option<u32>,
    /// Height in pixels.
    pub height: Option<u32>,
    /// Pixel format, such as `yuv420p10le`.
    pub pix_fmt: Option<String>,
    /// `progressive`, `tt`, `bb`, `tb`, `bt` or `unknown`.
    pub field_order: Option<String>,
    /// Colour range.
    pub color_range: Option<String>,
    /// Matrix coefficients.
    pub color_space: Option<String>,
    /// Transfer characteristics.
    pub color_transfer: Option<String>,
    /// Colour primaries.
    pub color_primaries: Option<String>,
    /// Chroma sample location.
    pub chroma_location: Option<String>,
    /// Shape of a pixel.
    #[serde(deserialize_with = "rational")]
    pub sample_aspect_ratio: Option<Rational>,
    /// Guessed constant frame rate.
    #[serde(deserialize_with = "rational")]
    pub r_frame_rate: Option<Rational>,
    /// Average frame rate.
    #[serde(deserialize_with = "rational")]
    pub avg_frame_rate: Option<Rational>,
    /// Unit of time stamps in seconds.
    #[serde(deserialize_with = "rational")]
    pub time_base: Option<Rational>,
    /// First time stamp in units of `time_base`.
    pub start_pts: Option<i64>,
    /// The same in seconds.
    #[serde(deserialize_with = "number")]
    pub start_time: Option<f64>,
    /// Duration in seconds, when the container tells it for the stream.
    #[serde(deserialize_with = "number")]
    pub duration: Option<f64>,
    /// Bits a second, when the container tells them.
    #[serde(deserialize_with = "number")]
    pub bit_rate: Option<u64>,
    /// Number of frames, when the container tells it.
    #[serde(deserialize_with = "number")]
    pub nb_frames: Option<u64>,
    /// 1 when EIA-608/708 captions ride in the video.
    pub closed_captions: u32,
    /// 1 when film grain parameters ride in the video.
    pub film_grain: u32,
    /// Samples a second.
    #[serde(deserialize_with = "number")]
    pub sample_rate: Option<u32>,
    /// Format of decoded samples, such as `s32`.
    pub sample_fmt: Option<String>,
    /// Bits of a sample that count.
    #[serde(deserialize_with = "number")]
    pub bits_per_raw_sample: Option<u32>,
    /// Number of channels.
    pub channels: Option<u32>,
    /// Layout of channels, such as `5.1(side)`.
    pub channel_layout: Option<String>,
    /// Dispositions that are set, such as `default`, `attached_pic`, `original`.
    #[serde(deserialize_with = "dispositions")]
    pub disposition: Vec<String>,
    /// Tags, keys in lower case.
    #[serde(deserialize_with = "tags")]
    pub tags: BTreeMap<String, String>,
    /// The language as BCP-47 tag, of a track in a Matroska file ([`crate::matroska`]).
    #[serde(skip)]
    pub language_tag: Option<String>,
    /// Whether a track of a Matroska file is switched off ([`crate::matroska`]).
    #[serde(skip)]
    pub disabled: bool,
    /// Side data that the container tells of the stream.
    #[serde(rename = "side_data_list", deserialize_with = "side_data")]
    pub side_data: Vec<SideData>,
    /// What the first pictures tell.
    #[serde(skip)]
    pub pictures: Pictures,
}

/// One piece of side data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SideData {
    /// Its kind, such as `DOVI configuration record` or `Display Matrix`.
    pub kind: String,
    /// Its other fields as text.
    pub values: BTreeMap<String, String>,
}

/// The first pictures of a video stream, taken together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pictures {
    /// How many were looked at.
    pub number: u32,
    /// How many of them were coded as interlaced.
    pub interlaced: u32,
    /// The first piece of each kind of side data.
    pub side_data: Vec<SideData>,
}

impl Stream {
    /// Whether the disposition is set.
    #[must_use]
    pub fn is(&self, disposition: &str) -> bool {
        self.disposition.iter().any(|d| d == disposition)
    }

    /// The name of the track. MP4 has it under another key.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.tags.get("title").or_else(|| self.tags.get("name")).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The piece of side data whose kind starts with `start`: the container's, else the pictures'.
    #[must_use]
    pub fn side_data(&self, start: &str) -> Option<&SideData> {
        self.side_data.iter().chain(&self.pictures.side_data).find(|data| data.kind.starts_with(start))
    }

    /// The language tag as the container has it.
    #[must_use]
    pub fn language(&self) -> Option<&str> {
        self.tags.get("language").map(String::as_str).filter(|tag| !tag.is_empty() && *tag != "und")
    }
}

/// One chapter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Chapter {
    /// Start in seconds.
    #[serde(deserialize_with = "number")]
    pub start_time: Option<f64>,
    /// End in seconds.
    #[serde(deserialize_with = "number")]
    pub end_time: Option<f64>,
    /// Tags, keys in lower case.
    #[serde(deserialize_with = "tags")]
    pub tags: BTreeMap<String, String>,
}

impl Probe {
    /// Reads ffprobe's JSON.
    ///
    /// # Errors
    /// [`ProbeError`] when it is not such JSON or names no container.
    pub fn parse(json: &[u8]) -> Result<Self, ProbeError> {
        #[derive(Deserialize)]
        struct Document {
            format: Option<Format>,
            #[serde(default, deserialize_with = "streams")]
            streams: Vec<Stream>,
            #[serde(default)]
            chapters: Vec<Chapter>,
            #[serde(default)]
            frames: Vec<Frame>,
        }
        let document: Document = serde_json::from_slice(json)?;
        let format = document.format.filter(|f| !f.format_name.is_empty()).ok_or(ProbeError::NoFormat)?;
        let mut streams = document.streams;
        for frame in document.frames {
            if let Some(stream) = streams.iter_mut().find(|stream| Some(stream.index) == frame.stream_index) {
                stream.pictures.take(frame);
            }
        }
        Ok(Self { format, streams, chapters: document.chapters })
    }

    /// The main video stream: the one with the default disposition, else the first that is not an attached picture.
    #[must_use]
    pub fn main_video(&self) -> Option<&Stream> {
        self.videos().find(|s| s.is("default")).or_else(|| self.videos().next())
    }

    /// Video streams that are not attached pictures or single still images.
    pub fn videos(&self) -> impl Iterator<Item = &Stream> {
        self.of("video").filter(|s| !s.is("attached_pic") && !s.is("still_image"))
    }

    /// Streams of one type, such as `audio`.
    pub fn of<'a>(&'a self, codec_type: &'a str) -> impl Iterator<Item = &'a Stream> {
        self.streams.iter().filter(move |s| s.codec_type == codec_type)
    }

    /// Whether the container is Matroska or WebM.
    #[must_use]
    pub fn is_matroska(&self) -> bool {
        self.format.format_name.split(',').any(|name| name == "matroska")
    }

    /// Whether the container is MP4 or another of its family.
    #[must_use]
    pub fn is_mp4(&self) -> bool {
        self.format.format_name.split(',').any(|name| name == "mp4")
    }
}

/// One decoded picture; also those of sound are listed.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Frame {
    stream_index: Option<u32>,
    interlaced_frame: u32,
    #[serde(rename = "side_data_list", deserialize_with = "side_data")]
    side_data: Vec<SideData>,
}

impl Pictures {
    fn take(&mut self, frame: Frame) {
        self.number += 1;
        self.interlaced += u32::from(frame.interlaced_frame != 0);
        for data in frame.side_data {
            if !self.side_data.iter().any(|known| known.kind == data.kind) {
                self.side_data.push(data);
            }
        }
    }
}

/// Streams up to [`MAX_STREAMS`]: a short text must not grow to gigabytes of empty ones.
fn streams<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Stream>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<Stream>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_STREAMS} streams")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut streams = Vec::new();
            while let Some(stream) = list.next_element()? {
                if streams.len() == MAX_STREAMS {
                    return Err(A::Error::custom(format!("the file has more than {MAX_STREAMS} streams")));
                }
                streams.push(stream);
            }
            Ok(streams)
        }
    }
    deserializer.deserialize_seq(List)
}

/// A number that ffprobe writes as a number or as a string; `N/A` and nonsense are none.
fn number<'de, D: Deserializer<'de>, T: std::str::FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(match value {
        serde_json::Value::String(text) => text.parse().ok(),
        serde_json::Value::Number(number) => number.to_string().parse().ok(),
        _ => None,
    })
}

/// A text that ffprobe may also write as a number.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A fraction; `0/0` and nonsense are none.
fn rational<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Rational>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.parse().ok()).filter(|r: &Rational| r.is_positive()))
}

/// Tags with lower-case keys; values that are not text are left out.
fn tags<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    let values: BTreeMap<String, serde_json::Value> = BTreeMap::deserialize(deserializer)?;
    Ok(values.into_iter().filter_map(|(key, value)| Some((key.to_lowercase(), value.as_str()?.to_owned()))).collect())
}

/// Names of the dispositions whose value is 1.
fn dispositions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let values: BTreeMap<String, u32> = BTreeMap::deserialize(deserializer)?;
    Ok(values.into_iter().filter(|(_, set)| *set == 1).map(|(name, _)| name).collect())
}

/// Side data; values that are lists or objects are left out.
fn side_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SideData>, D::Error> {
    let pieces: Vec<BTreeMap<String, serde_json::Value>> = Vec::deserialize(deserializer)?;
    let text = |value: serde_json::Value| match value {
        serde_json::Value::String(text) => Some(text),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    pieces
        .into_iter()
        .map(|piece| {
            let mut values: BTreeMap<String, String> =
                piece.into_iter().filter_map(|(key, value)| Some((key, text(value)?))).collect();
            Ok(SideData { kind: values.remove("side_data_type").unwrap_or_else(|| "unknown".to_owned()), values })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = r#"{
        "streams": [
            {"index": 0, "codec_name": "mjpeg", "codec_type": "video", "disposition": {"attached_pic": 1, "default": 0}},
            {"index": 1, "codec_name": "h264", "profile": "High", "codec_type": "video", "width": 1280, "height": 720,
             "sample_aspect_ratio": "1:1", "r_frame_rate": "24/1", "avg_frame_rate": "0/0", "time_base": "1/1000",
             "start_pts": 0, "start_time": "0.000000", "bit_rate": "N/A", "disposition": {"default": 1},
             "tags": {"Language": "eng"}, "side_data_list": [{"side_data_type": "Display Matrix", "rotation": -90}]}
        ],
        "frames": [{"media_type": "video", "stream_index": 1, "interlaced_frame": 1, "side_data_list": [
            {"side_data_type": "Content light level metadata", "max_content": 1000, "max_average": 400}]},
            {"stream_index": 2}, {"stream_index": 1, "interlaced_frame": 0, "side_data_list": [
            {"side_data_type": "Content light level metadata", "max_content": 1, "max_average": 1}, {}]}],
        "chapters": [{"id": 1, "time_base": "1/1000", "start": 0, "start_time": "0.000000", "end": 10, "end_time": "0.010000", "tags": {"title": "One"}}],
        "format": {"filename": "x", "nb_streams": 2, "format_name": "matroska,webm", "start_time": "0.000000", "duration": "5.280000", "size": "1055736", "bit_rate": "1599600"}
    }"#;

    #[test]
    fn ffprobes_json_is_read_and_missing_values_are_none() {
        let probe = Probe::parse(SAMPLE.as_bytes()).unwrap();
        let main = probe.main_video().unwrap();
        assert_eq!((main.index, main.codec_name.as_str(), main.width), (1, "h264", Some(1280)));
        assert_eq!(main.r_frame_rate, Some(Rational { num: 24, den: 1 }));
        assert_eq!((main.avg_frame_rate, main.bit_rate), (None, None));
        assert_eq!(main.language(), Some("eng"));
        assert_eq!(
            (main.side_data[0].kind.as_str(), main.side_data[0].values["rotation"].as_str()),
            ("Display Matrix", "-90")
        );
        assert_eq!((main.pictures.number, main.pictures.interlaced), (2, 1));
        assert_eq!(main.side_data("Content light").unwrap().values["max_content"], "1000");
        assert_eq!(probe.format.size, Some(1_055_736));
        assert_eq!(probe.chapters[0].tags["title"], "One");
        assert!(probe.is_matroska() && !probe.is_mp4());
    }

    #[test]
    fn an_answer_without_a_container_is_an_error() {
        assert!(matches!(Probe::parse(b"{}"), Err(ProbeError::NoFormat)));
        assert!(matches!(Probe::parse(b"not json"), Err(ProbeError::Json(_))));
    }

    #[test]
    fn the_path_of_the_call_cannot_be_read_as_an_option() {
        let call = ffprobe(Path::new("/library/-x %03d.mkv"));
        assert_eq!(call.args.last().unwrap(), "file:/library/-x %03d.mkv");
    }
}
