//! Gates over container and streams, as ffprobe tells them.

use av1_crds::reasons;
use av1_crds::wire::FileState;

use super::{Content, Facts, Rules, Verdict};
use crate::probe::Stream;
use crate::rational::Rational;
use crate::streams::{Refusal, plan_streams};

pub(super) fn unreadable(facts: &Facts, _: &Rules) -> Option<Verdict> {
    match facts.content.as_ref()? {
        Content::Read(_) => None,
        Content::Unreadable(why) => {
            Some(Verdict::new(FileState::Unreadable, reasons::UNREADABLE, format!("ffprobe cannot read it: {why}")))
        }
        Content::Closed(why) => {
            Some(Verdict::new(FileState::Unreadable, reasons::UNREADABLE, format!("it cannot be opened: {why}")))
        }
        Content::NotProbed(why) => {
            Some(Verdict::skipped(reasons::IO_ERROR, format!("ffprobe could not be asked: {why}; tried again")))
        }
    }
}

pub(super) fn no_video(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let probe = facts.probe()?;
    if probe.main_video().is_some() {
        return None;
    }
    let pictures = probe.of("video").count();
    Some(Verdict::skipped(
        reasons::NO_VIDEO,
        format!("no video among its streams ({} in all, attached pictures: {pictures})", probe.streams.len()),
    ))
}

pub(super) fn already_av1(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = facts.video()?;
    (video.codec_name == "av1").then(|| Verdict::new(FileState::AlreadyAv1, reasons::ALREADY_AV1, describe(video)))
}

/// The container holds no AV1 and may not be changed, is not known, or is not what the name says.
pub(super) fn container_change(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    refused(facts, rules, |reason| reason == reasons::CONTAINER_CHANGE)
}

pub(super) fn several_video_streams(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let number = facts.probe()?.videos().count();
    (number > 1 && !rules.settings.allows(reasons::SEVERAL_VIDEO_STREAMS)).then(|| {
        let reason = reasons::SEVERAL_VIDEO_STREAMS;
        let all = format!(
            "{number} video streams, all but one would be lost: with {reason} in streams.allow they are left out"
        );
        Verdict::skipped(reason, all)
    })
}

pub(super) fn data_streams(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    refused(facts, rules, |reason| reason == reasons::DATA_STREAMS)
}

/// Whatever else keeps a stream from being carried unchanged.
pub(super) fn streams(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    refused(facts, rules, |_| true)
}

/// The main video is encrypted, or the image knows no decoder for it.
pub(super) fn cannot_decode(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let video = facts.video()?;
    let why = if video.codec_tag_string.starts_with("enc")
        || video.side_data.iter().any(|data| data.kind.starts_with("Encryption"))
    {
        "the video is encrypted".to_owned()
    } else if !is_decodable(video) {
        format!(
            "the image cannot decode the video (codec {}, tag {})",
            known(&video.codec_name),
            known(&video.codec_tag_string)
        )
    } else {
        return None;
    };
    Some(Verdict::skipped(reasons::CANNOT_DECODE, why))
}

/// Whether ffprobe could decode enough of the stream to tell its pictures' format.
pub(super) fn is_decodable(video: &Stream) -> bool {
    let format = video.pix_fmt.as_deref().is_some_and(|format| format != "unknown" && format != "none");
    format
        && !video.codec_name.is_empty()
        && video.codec_name != "unknown"
        && video.width.is_some_and(|w| w > 0)
        && video.height.is_some_and(|h| h > 0)
}

/// The video in a few words, such as `h264 High, 1920x1080, yuv420p, 24000/1001 frames/s`.
pub(super) fn describe(video: &Stream) -> String {
    let mut words = vec![match &video.profile {
        Some(profile) => format!("{} {profile}", known(&video.codec_name)),
        None => known(&video.codec_name).to_owned(),
    }];
    if let (Some(width), Some(height)) = (video.width, video.height) {
        words.push(format!("{width}x{height}"));
    }
    words.extend(video.pix_fmt.clone());
    words.extend(video.avg_frame_rate.map(|rate| format!("{rate} frames/s")));
    words.join(", ")
}

/// What [`judge`](super::judge) says of a file worth encoding, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// The codec, as ffprobe names it.
    pub codec: String,
    /// Frames a second, where the file tells them.
    pub frame_rate: Option<Rational>,
}

/// The codec and frame rate in the message of a verdict on a file worth encoding; none when it says something else.
#[must_use]
pub fn described(message: &str) -> Option<Described> {
    let mut words = message.split(", ");
    let codec = words.next()?.split(' ').next().filter(|codec| !codec.is_empty())?.to_owned();
    let picture = words.next().is_some_and(|size| size.split('x').all(|number| number.parse::<u32>().is_ok()));
    let frame_rate = words.last().and_then(|word| word.strip_suffix(" frames/s")?.parse().ok());
    picture.then_some(Described { codec, frame_rate })
}

fn known(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

fn refused(facts: &Facts, rules: &Rules, wanted: fn(&str) -> bool) -> Option<Verdict> {
    let Refusal { reason, message } = plan_streams(&facts.path, facts.probe()?, &rules.settings).err()?;
    wanted(reason).then(|| Verdict::skipped(reason, message))
}
