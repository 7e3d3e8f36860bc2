//! How a file would be encoded, from what ffprobe alone tells: what `explain` and `plan` show before anything has been decoded.

use av1_crds::settings::Settings;
use av1_crds::wire::{ForeseenPlan, VideoFigures};

use crate::encoders::{Encoder, Engine};
use crate::picture::plan_picture;
use crate::plan::{PIX_FMT, Plan, Resources, plan};
use crate::probe::{Probe, Stream};
use crate::rational::Rational;
use crate::streams::{describe, plan_streams};

/// How the file at `path` would be encoded with these resources, and the plan of the encoder itself. A decode may find another frame
/// rate; which encoders there are, and whether the picture changes its size, only the encode itself finds out.
///
/// # Errors
/// A sentence that says why there is no plan.
pub fn foresee(
    settings: &Settings,
    path: &str,
    probe: &Probe,
    resources: Resources,
) -> Result<(ForeseenPlan, Plan), String> {
    let video = probe.main_video().ok_or("there is no video")?;
    let streams = plan_streams(path, probe, settings).map_err(|refusal| refusal.message)?;
    let picture = plan_picture(video, settings, None).map_err(|refusal| refusal.message)?;
    let rate = frame_rate(video).unwrap_or(Rational { num: 25, den: 1 });
    let encoder = Encoder::asked(settings.encoder).unwrap_or(Encoder::SvtAv1);
    let engine = Engine::asked(settings.engine);
    let plan = plan(settings, probe, video, rate, resources, (encoder, engine)).map_err(|e| e.to_string())?;
    let kept = streams.kept.iter().filter_map(|kept| probe.streams.iter().find(|stream| stream.index == kept.index));
    let foreseen = ForeseenPlan {
        profile: format!("{:?}", settings.profile),
        tier: format!("{:?}", settings.tier),
        encoder: encoder.as_str().to_owned(),
        engine: engine.as_str().to_owned(),
        crf: plan.quality.crf,
        preset: plan.quality.preset,
        pixel_format: PIX_FMT.to_owned(),
        longest_scene_frames: plan.max_scene,
        parameters: plan.in_words(),
        kept: std::iter::once(video).chain(kept).map(describe).collect(),
        target: streams.target(path),
        filters: picture.filters,
        dropped: streams.dropped.into_iter().chain(picture.dropped).collect(),
    };
    Ok((foreseen, plan))
}

/// The main video in a few figures, as far as ffprobe tells them.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a negative or absurd duration saturates
pub fn figures(probe: &Probe) -> Option<VideoFigures> {
    let video = probe.main_video()?;
    let duration = probe.format.duration.or(video.duration).unwrap_or(0.0);
    Some(VideoFigures {
        codec: video.codec_name.clone(),
        width: video.width.unwrap_or(0),
        height: video.height.unwrap_or(0),
        frame_rate: frame_rate(video).map(|rate| rate.to_string()).unwrap_or_default(),
        duration_millis: (duration * 1_000.0).round() as u64,
    })
}

fn frame_rate(video: &Stream) -> Option<Rational> {
    video.r_frame_rate.or(video.avg_frame_rate)
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn a_film_is_foreseen_from_what_ffprobe_says_of_it() {
        let json = r#"{"format":{"format_name":"matroska,webm","duration":"60.5","bit_rate":"8000000"},"streams":[
            {"index":0,"codec_type":"video","codec_name":"h264","width":1920,"height":1080,"pix_fmt":"yuv420p","r_frame_rate":"24/1"},
            {"index":1,"codec_type":"audio","codec_name":"aac","tags":{"language":"rus"}},
            {"index":2,"codec_type":"audio","codec_name":"aac","tags":{"language":"eng"}}]}"#;
        let probe = Probe::parse(json.as_bytes()).unwrap();
        let sections = serde_json::from_str(r#"{"streams":{"dropLanguages":["ru"]}}"#).unwrap();
        let settings = Settings::resolve(&[&sections]).unwrap();
        let resources = Resources { cpus: 2, memory: None, workers: 0, percent: 100 };
        let (foreseen, plan) = foresee(&settings, "a.mkv", &probe, resources).unwrap();
        assert_eq!((foreseen.crf, foreseen.preset, plan.workers), (23, 4, 2));
        assert_eq!((foreseen.kept.len(), foreseen.dropped.len(), foreseen.target), (2, 1, None));
        assert!(foreseen.parameters.starts_with("preset=4:crf=23"), "{}", foreseen.parameters);
        let video = figures(&probe).unwrap();
        assert_eq!((video.frame_rate.as_str(), video.duration_millis), ("24/1", 60_500));
    }
}
