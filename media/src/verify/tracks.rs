//! Checks of the tracks that were copied. Each of the source's is first paired with its own in the output, by content, so that
//! one thing gone wrong is told as that one thing. Pure.

use av1_crds::wire::Check;

use super::rules::ROUNDING;
use super::{
    Output, STREAM_DURATIONS, Source, TRACK_CONFIGURATION, TRACK_COUNT, TRACK_DATA, TRACK_DISPOSITIONS,
    TRACK_LANGUAGES, TRACK_ORDER, TRACK_TAGS,
};
use super::{TRACK_STARTS, TRACK_TIMES, TRACK_TITLES, compared, copied_streams, row, within};
use crate::language;
use crate::mux::is_stale;
use crate::packets::StreamPackets;
use crate::probe::{Probe, Stream};
use crate::rational::FrameTimes;
use crate::streams::{Carry, Container, describe};

/// An audio or subtitle track with its packets.
#[derive(Clone, Copy)]
struct Track<'a> {
    stream: &'a Stream,
    packets: &'a StreamPackets,
    /// How it gets from the source to the output; of an output's track, a copy.
    carry: Carry,
}

impl Track<'_> {
    fn is_same_as(&self, other: &Track<'_>) -> bool {
        self.stream.codec_type == other.stream.codec_type && self.packets.digest == other.packets.digest && {
            let (expected, measured) = self.configurations(other);
            expected == measured
        }
    }

    /// What is to configure the decoder of the track that became `output`, and what does.
    fn configurations(&self, output: &Track<'_>) -> (String, String) {
        let bytes = |configuration: Option<&String>| configuration.map_or("none", String::as_str).to_owned();
        let words = |codec: &str, configuration| format!("{codec}, sha256 {}", bytes(configuration));
        let sound = |codec: &str, stream: &Stream| {
            let said = |number: Option<u32>| number.map_or("?".to_owned(), |number| number.to_string());
            format!("{codec}, {} channels, {} Hz", said(stream.channels), said(stream.sample_rate))
        };
        let found = output.packets.configuration.as_ref();
        let measured = words(&output.stream.codec_name, found);
        match self.carry {
            Carry::Samples(encoder) => (sound(encoder, self.stream), sound(&output.stream.codec_name, output.stream)),
            Carry::Cues(encoder) => (encoder.to_owned(), output.stream.codec_name.clone()),
            // The filter may have taken the configuration out of the packets.
            Carry::Filter(_) if found.is_some_and(|found| self.packets.first_side_data.contains(found)) => {
                (words(&self.stream.codec_name, found), measured)
            }
            Carry::Filter(_) | Carry::Copy => {
                (words(&self.stream.codec_name, self.packets.configuration.as_ref()), measured)
            }
        }
    }

    fn span(&self) -> Option<f64> {
        self.packets.end_seconds().zip(self.packets.start_seconds()).map(|(end, start)| end - start)
    }
}

/// The tracks of both files, and which belongs to which.
pub(super) struct Tracks<'a> {
    videos: Option<(&'a Stream, &'a Stream)>,
    frames: (&'a FrameTimes, &'a FrameTimes),
    source: Vec<Track<'a>>,
    output: Vec<Track<'a>>,
    /// Positions in `source` and `output`, in the source's order.
    pairs: Vec<(usize, usize)>,
}

impl<'a> Tracks<'a> {
    /// Pairs by content first, the same place preferred; what is left in the order of its kind.
    pub(super) fn pair(source: &Source<'a>, output: &Output<'a>) -> Self {
        let kept: Vec<(u32, Carry)> = source.streams.kept.iter().map(|kept| (kept.index, kept.carry)).collect();
        let copied: Vec<(u32, Carry)> =
            copied_streams(output.probe, source.streams).into_iter().map(|(index, _)| (index, Carry::Copy)).collect();
        let from = tracks(source.probe, &kept, source.packets);
        let to = tracks(output.probe, &copied, output.packets);
        let mut partner: Vec<Option<usize>> = vec![None; from.len()];
        let mut taken = vec![false; to.len()];
        let mut pass = |matches: &dyn Fn(usize, usize) -> bool| {
            for (i, slot) in partner.iter_mut().enumerate().filter(|(_, slot)| slot.is_none()) {
                if let Some(j) = (0..to.len()).find(|j| !taken[*j] && matches(i, *j)) {
                    taken[j] = true;
                    *slot = Some(j);
                }
            }
        };
        pass(&|i, j| i == j && from[i].is_same_as(&to[j]));
        pass(&|i, j| from[i].is_same_as(&to[j]));
        pass(&|i, j| from[i].stream.codec_type == to[j].stream.codec_type);
        let pairs = partner.iter().enumerate().filter_map(|(i, j)| j.map(|j| (i, j))).collect();
        let main = source.probe.streams.iter().find(|s| s.index == source.streams.video);
        let videos = main.zip(output.probe.of("video").next());
        Self { videos, frames: (source.frames, output.frames), source: from, output: to, pairs }
    }

    fn paired(&self) -> impl Iterator<Item = (Track<'a>, Track<'a>)> {
        self.pairs.iter().map(|(i, j)| (self.source[*i], self.output[*j]))
    }

    /// Video and tracks, where the words of `tell` differ.
    fn told(&self, name: &str, tell: impl Fn(&Stream) -> String) -> Check {
        let streams: Vec<_> = self.videos.into_iter().chain(self.paired().map(|(a, b)| (a.stream, b.stream))).collect();
        let differences: Vec<_> = streams
            .iter()
            .filter(|(a, b)| tell(a) != tell(b))
            .map(|(a, b)| {
                (format!("{}: {}", describe(a), tell(a)), format!("{} {}: {}", b.codec_type, b.index, tell(b)))
            })
            .collect();
        compared(name, &differences, &format!("{} streams", streams.len()))
    }

    pub(super) fn count(&self) -> Check {
        let list = |tracks: &[Track<'_>]| {
            let of = |kind: &str| tracks.iter().filter(|t| t.stream.codec_type == kind).count();
            format!("{} audio, {} subtitles", of("audio"), of("subtitle"))
        };
        let lost: Vec<String> = (0..self.source.len())
            .filter(|i| self.pairs.iter().all(|(s, _)| s != i))
            .map(|i| describe(self.source[i].stream))
            .collect();
        let whole = lost.is_empty() && self.source.len() == self.output.len();
        let lost = if lost.is_empty() { String::new() } else { format!("; missing: {}", lost.join(", ")) };
        row(TRACK_COUNT, whole, list(&self.source), list(&self.output) + &lost)
    }

    pub(super) fn order(&self) -> Check {
        let rising = self.pairs.windows(2).all(|pair| pair[0].1 < pair[1].1);
        let mut places: Vec<(usize, usize)> = self.pairs.clone();
        places.sort_by_key(|(_, place)| *place);
        let names = |order: &[(usize, usize)]| {
            order.iter().map(|(i, _)| describe(self.source[*i].stream)).collect::<Vec<_>>().join(", ")
        };
        row(TRACK_ORDER, rising, names(&self.pairs), names(&places))
    }

    pub(super) fn languages(&self) -> Check {
        self.told(TRACK_LANGUAGES, |stream| {
            let primary = stream.language().map_or("none".to_owned(), language::primary);
            stream.language_tag.as_ref().map_or(primary.clone(), |tag| format!("{primary} ({tag})"))
        })
    }

    pub(super) fn titles(&self) -> Check {
        self.told(TRACK_TITLES, |stream| stream.title().map_or("none".to_owned(), |title| format!("\"{title}\"")))
    }

    pub(super) fn dispositions(&self) -> Check {
        self.told(TRACK_DISPOSITIONS, |stream| {
            let off = stream.disabled.then_some("switched off");
            let set: Vec<&str> = stream.disposition.iter().map(String::as_str).chain(off).collect();
            if set.is_empty() { "none".to_owned() } else { set.join(", ") }
        })
    }

    /// The source's other tags are in the output with the same values; the output may have more.
    pub(super) fn tags(&self, container: Container) -> Check {
        let videos = self.videos.into_iter().map(|(a, b)| (a, b, true));
        let streams: Vec<_> = videos.chain(self.paired().map(|(a, b)| (a.stream, b.stream, false))).collect();
        let mut differences = Vec::new();
        for (from, to, is_video) in &streams {
            let may_differ = |key: &str| is_own_tag(key, container) || *is_video && is_stale(key);
            for (key, value) in from.tags.iter().filter(|(key, _)| !may_differ(key)) {
                if to.tags.get(key) != Some(value) {
                    let measured = to.tags.get(key).map_or("none".to_owned(), |other| format!("{key}={other}"));
                    differences.push((format!("{}: {key}={value}", describe(from)), measured));
                }
            }
        }
        compared(TRACK_TAGS, &differences, &format!("{} streams", streams.len()))
    }

    pub(super) fn data(&self) -> Check {
        let tell = |track: &Track<'_>| format!("{} packets, sha256 {}", track.packets.pts.len(), track.packets.digest);
        self.alike(TRACK_DATA, |a, b| (tell(a), tell(b)))
    }

    pub(super) fn configuration(&self) -> Check {
        self.alike(TRACK_CONFIGURATION, |a, b| a.configurations(b))
    }

    fn alike(&self, name: &str, tell: impl Fn(&Track<'_>, &Track<'_>) -> (String, String)) -> Check {
        let differences: Vec<_> = self
            .paired()
            .map(|(a, b)| (describe(a.stream), tell(&a, &b)))
            .filter(|(_, (expected, measured))| expected != measured)
            .map(|(stream, (expected, measured))| (format!("{stream}: {expected}"), measured))
            .collect();
        compared(name, &differences, &format!("{} tracks", self.pairs.len()))
    }

    /// Times of packets, each counted from the track's first.
    pub(super) fn times(&self) -> Check {
        let differences: Vec<_> = self
            .paired()
            .filter_map(|(a, b)| {
                let moved = first_moved(a.packets, b.packets).map(|at| moved_words(&a, &b, at));
                moved.or_else(|| first_shown_otherwise(a.packets, b.packets).map(|at| shown_words(&a, &b, at)))
            })
            .collect();
        compared(TRACK_TIMES, &differences, &format!("{} tracks within {:.0} ms", self.pairs.len(), ROUNDING * 1_000.0))
    }

    /// Starts of tracks against the first frame of the video.
    pub(super) fn starts(&self) -> Check {
        let (from, to) = (self.frames.0.seconds(0), self.frames.1.seconds(0));
        let lead = |track: &Track<'_>, video: Option<f64>| {
            track.packets.start_seconds().zip(video).map(|(start, video)| start - video)
        };
        let words = |track: &Track<'_>, lead: Option<f64>| {
            lead.map_or(format!("{}: unknown", describe(track.stream)), |lead| {
                format!("{}: {:+.1} ms", describe(track.stream), lead * 1_000.0)
            })
        };
        let differences: Vec<_> = self
            .paired()
            .filter(|(a, b)| !(a.packets.pts.is_empty() && b.packets.pts.is_empty()))
            .filter(|(a, b)| !lead(a, from).zip(lead(b, to)).is_some_and(|(x, y)| within(x, y, ROUNDING)))
            .map(|(a, b)| (words(&a, lead(&a, from)), words(&b, lead(&b, to))))
            .collect();
        compared(
            TRACK_STARTS,
            &differences,
            &format!("{} tracks within {:.0} ms", self.pairs.len(), ROUNDING * 1_000.0),
        )
    }

    /// From first to last frame of the video, from first start to last end of each track.
    pub(super) fn durations(&self, tolerance: f64) -> Check {
        let video = |frames: &FrameTimes| {
            frames
                .seconds(0)
                .zip(frames.pts.len().checked_sub(1).and_then(|last| frames.seconds(last)))
                .map(|(a, b)| b - a)
        };
        let mut spans = vec![("video".to_owned(), video(self.frames.0), video(self.frames.1))];
        spans.extend(
            self.paired()
                .filter(|(a, b)| !(a.packets.pts.is_empty() && b.packets.pts.is_empty()))
                .map(|(a, b)| (describe(a.stream), a.span(), b.span())),
        );
        let words = |span: Option<f64>| span.map_or("unknown".to_owned(), |span| format!("{span:.3} s"));
        let differences: Vec<_> = spans
            .iter()
            .filter(|(_, a, b)| !a.zip(*b).is_some_and(|(a, b)| within(a, b, tolerance)))
            .map(|(name, a, b)| (format!("{name}: {}", words(*a)), format!("{name}: {}", words(*b))))
            .collect();
        compared(STREAM_DURATIONS, &differences, &format!("{} streams within {tolerance:.3} s", spans.len()))
    }
}

/// Whether a tag, key in lower case, is another check's affair, or tells how the container was written.
fn is_own_tag(key: &str, container: Container) -> bool {
    const OTHER_CHECKS: &[&str] = &["language", "name", "title"];
    const WRITER: &[&str] = &["encoder", "duration"];
    // FFmpeg shows the time code of a data track as a tag of the video too; whether that track may go is decided by its own gate.
    const WRITER_OF_MP4: &[&str] = &["creation_time", "vendor_id", "timecode"];
    OTHER_CHECKS.contains(&key)
        || WRITER.iter().any(|own| key == *own || key.strip_prefix(own).is_some_and(|rest| rest.starts_with('-')))
        || (container == Container::Mp4 && WRITER_OF_MP4.contains(&key))
}

/// Audio and subtitles among `streams`, whose packets come in the same order.
fn tracks<'a>(probe: &'a Probe, streams: &[(u32, Carry)], packets: &'a [StreamPackets]) -> Vec<Track<'a>> {
    let stream = |index: u32| probe.streams.iter().find(|s| s.index == index);
    streams
        .iter()
        .zip(packets)
        .filter_map(|((index, carry), packets)| stream(*index).map(|stream| Track { stream, packets, carry: *carry }))
        .filter(|track| matches!(track.stream.codec_type.as_str(), "audio" | "subtitle"))
        .collect()
}

/// The first packet that lies elsewhere from the first one than in the source. Packets beyond the shorter track's end are
/// another check's affair.
fn first_moved(a: &StreamPackets, b: &StreamPackets) -> Option<usize> {
    let (start_a, start_b) = (a.start_seconds().unwrap_or_default(), b.start_seconds().unwrap_or_default());
    a.pts.iter().zip(&b.pts).position(|(x, y)| match (x, y) {
        (Some(x), Some(y)) => !within(a.seconds(*x) - start_a, b.seconds(*y) - start_b, ROUNDING),
        (x, y) => x.is_some() || y.is_some(),
    })
}

/// The first subtitle that is shown for another time than in the source.
fn first_shown_otherwise(a: &StreamPackets, b: &StreamPackets) -> Option<usize> {
    let durations = a.durations.iter().zip(&b.durations);
    durations.into_iter().position(|(x, y)| !within(a.seconds(*x), b.seconds(*y), ROUNDING))
}

fn shown_words(a: &Track<'_>, b: &Track<'_>, at: usize) -> (String, String) {
    let words = |track: &Track<'_>| {
        let shown = track.packets.durations.get(at).map_or(0.0, |ticks| track.packets.seconds(*ticks));
        format!("{}: packet {at} for {shown:.3} s", describe(track.stream))
    };
    (words(a), words(b))
}

fn moved_words(a: &Track<'_>, b: &Track<'_>, at: usize) -> (String, String) {
    let words = |track: &Track<'_>| match track.packets.pts.get(at).copied().flatten() {
        Some(pts) => format!("{}: packet {at} at {:.3} s", describe(track.stream), track.packets.seconds(pts)),
        None => format!("{}: packet {at} without a time", describe(track.stream)),
    };
    (words(a), words(b))
}
