//! Gates over the pictures of the main video: what an encode would lose of them, unless the settings allow it, and what cannot be
//! encoded at all. All but the Dolby Vision gate wait for [`super::content::cannot_decode`] when ffprobe could not decode it.

use av1_crds::reasons;
use av1_crds::settings::Deinterlace;

use super::content::is_decodable;
use super::{Facts, Rules, Verdict};
use crate::fields::DEINTERLACE_LEAVE;
use crate::picture::{interlaced_order, losses, refused, single_fields};
use crate::probe::Stream;

/// Codecs whose field order is told by every file, and told right; of others the frames are looked at in the encode pod.
const FIELDS_TOLD: [&str; 3] = ["vc1", "prores", "dvvideo"];

pub(super) fn dolby_vision(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(facts.video()?, rules, reasons::DOLBY_VISION)
}

pub(super) fn hdr10_plus(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(picture(facts)?, rules, reasons::HDR10_PLUS)
}

/// A header may call progressive pictures interlaced, and H.264 and MPEG-2 often do: frames tell it better.
pub(super) fn interlaced(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    let video = picture(facts)?;
    if let Some(refusal) = single_fields(video) {
        return Some(Verdict::skipped(refusal.reason, refusal.message));
    }
    let order = interlaced_order(video).filter(|_| FIELDS_TOLD.contains(&video.codec_name.as_str()))?;
    (rules.settings.deinterlace == Deinterlace::Skip).then(|| {
        let message = format!("the video is interlaced (field order {order}): {DEINTERLACE_LEAVE}");
        Verdict::skipped(reasons::INTERLACED, message)
    })
}

pub(super) fn closed_captions(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(facts.video()?, rules, reasons::CLOSED_CAPTIONS)
}

pub(super) fn chroma_reduced(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(picture(facts)?, rules, reasons::CHROMA_REDUCED)
}

pub(super) fn depth_reduced(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(picture(facts)?, rules, reasons::DEPTH_REDUCED)
}

pub(super) fn alpha_lost(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(picture(facts)?, rules, reasons::ALPHA_LOST)
}

pub(super) fn unsupported_side_data(facts: &Facts, rules: &Rules) -> Option<Verdict> {
    lost(picture(facts)?, rules, reasons::UNSUPPORTED_SIDE_DATA)
}

/// A size, a matrix or metadata that cannot be encoded whatever the settings allow.
pub(super) fn cannot_be_encoded(facts: &Facts, _: &Rules) -> Option<Verdict> {
    let refusal = refused(picture(facts)?).err()?;
    Some(Verdict::skipped(refusal.reason, refusal.message))
}

/// The verdict on the first thing of this reason that would be lost without leave.
fn lost(video: &Stream, rules: &Rules, reason: &str) -> Option<Verdict> {
    losses(video)
        .into_iter()
        .find(|loss| loss.reason == reason && !loss.is_allowed(&rules.settings))
        .map(|loss| Verdict::skipped(loss.reason, loss.message()))
}

/// The main video when ffprobe could decode it.
fn picture(facts: &Facts) -> Option<&Stream> {
    facts.video().filter(|video| is_decodable(video))
}
