//! Checks of what the AV1 bitstream says of itself against the plan. Pure.
//!
//! The settings themselves are not in a bitstream; what is there is checked, the rest is recorded.

use av1_crds::wire::Check;

use super::row;
use crate::obu::{Sequence, Survey};
use crate::plan::Plan;

/// Depth, size, colour and the grain flag in the sequence header, the same from the first frame to the last.
pub const SEQUENCE_HEADER: &str = "SequenceHeader";
/// Key frames: the first frame is one, and they are no further apart than planned.
pub const KEY_FRAMES: &str = "KeyFrames";
/// Quantisation matrices are used when they were asked for.
pub const QUANTISATION_MATRICES: &str = "QuantisationMatrices";

/// Judges `survey`; one row for each of the names above.
#[must_use]
pub fn judge(survey: &Survey, plan: &Plan, width: u32, height: u32) -> Vec<Check> {
    vec![sequence(survey, plan, width, height), key_frames(survey, plan), matrices(survey, plan)]
}

/// A parameter of the plan that is a number.
fn number(plan: &Plan, key: &str) -> Option<u32> {
    plan.params.iter().find(|(known, _)| known == key)?.1.parse().ok()
}

/// Range and place of chroma that are planned, as AV1 numbers them; what the source does not say is studio range and unknown.
#[must_use]
pub fn colour(plan: &Plan) -> (bool, u32) {
    let chroma = plan.params.iter().find(|(key, _)| key == "chroma-sample-position").map(|(_, place)| place.as_str());
    let chroma = match chroma {
        Some("left") => 1,
        Some("topleft") => 2,
        _ => 0,
    };
    (number(plan, "color-range") == Some(1), chroma)
}

fn sequence(survey: &Survey, plan: &Plan, width: u32, height: u32) -> Check {
    let words = |depth: u32, size: (u32, u32), colour: [u32; 3], range: (bool, u32), grain: bool| {
        let (width, height) = size;
        let [primaries, transfer, matrix] = colour;
        format!(
            "{depth} bit 4:2:0, {width}x{height}, primaries {primaries}, transfer {transfer}, matrix {matrix}, {} range, chroma {}, {} grain",
            if range.0 { "full" } else { "studio" },
            range.1,
            if grain { "with" } else { "no" },
        )
    };
    let planned = ["color-primaries", "transfer-characteristics", "matrix-coefficients"]
        .map(|key| number(plan, key).unwrap_or(2));
    let expected = words(10, (width, height), planned, colour(plan), plan.grain() > 0);
    let said = |s: &Sequence| {
        let text = words(
            s.bit_depth,
            (s.width, s.height),
            [s.primaries, s.transfer, s.matrix],
            (s.full_range, s.chroma),
            s.film_grain,
        );
        if s.profile == 0 && !s.monochrome {
            text
        } else {
            format!("{text}, profile {}, luma alone: {}", s.profile, s.monochrome)
        }
    };
    let mut measured = survey.sequence.as_ref().map_or_else(|| "no sequence header".to_owned(), said);
    if survey.changes {
        measured += ", and another one further on";
    }
    if survey.unreadable > 0 {
        measured += &format!(", {} frames without a header that can be read", survey.unreadable);
    }
    row(SEQUENCE_HEADER, measured == expected, &expected, &measured)
}

fn key_frames(survey: &Survey, plan: &Plan) -> Check {
    let most = u64::from(plan.max_scene);
    let start = if survey.starts_with_key { "" } else { ", and the first frame is none" };
    row(
        KEY_FRAMES,
        survey.starts_with_key && survey.longest <= most,
        format!("at most {most} frames apart"),
        format!("{} key frames, at most {} frames apart{start}", survey.key_frames, survey.longest),
    )
}

fn matrices(survey: &Survey, plan: &Plan) -> Check {
    let asked = number(plan, "enable-qm") == Some(1);
    let measured = format!("used by {} of {} key frames", survey.with_matrices, survey.key_frames);
    if asked {
        row(QUANTISATION_MATRICES, survey.with_matrices > 0, "used", measured)
    } else {
        row(QUANTISATION_MATRICES, true, "left to the encoder", measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoders::{Encoder, Engine};
    use crate::profile::Quality;

    /// First temporal unit of a 64x64 video by SVT-AV1, with matrices and grain.
    const UNIT: &str = "12000a0e02000005557ffc6af9d0902022c032281400a7829294737d401006d00d9361cdffcdc4002ffe2aa006a366a6cb10e41fe41efef6ef26f4fc";

    fn rows(params: &[(&str, &str)], units: usize) -> Vec<(bool, String)> {
        let plan = Plan {
            encoder: Encoder::SvtAv1,
            engine: Engine::Av1an,
            quality: Quality { crf: 30, preset: 8 },
            workers: 1,
            threads: 1,
            max_scene: 24,
            params: params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        };
        let mut survey = Survey::default();
        survey.unit(&hex::decode(UNIT).unwrap());
        for _ in 1..units {
            survey.unit(&[0x12, 0, 0x32, 1, 0xff]);
        }
        judge(&survey, &plan, 64, 64).into_iter().map(|check| (check.passed, check.measured)).collect()
    }

    #[test]
    fn a_stream_as_planned_passes() {
        let planned =
            [("film-grain", "20"), ("enable-qm", "1"), ("color-primaries", "9"), ("chroma-sample-position", "left")];
        let rows = rows(&planned, 24);
        assert!(rows.iter().all(|(passed, _)| *passed), "{rows:?}");
        assert_eq!(rows[1].1, "1 key frames, at most 24 frames apart");
    }

    #[test]
    fn colour_grain_and_distance_that_differ_are_seen() {
        let failed =
            |params: &[(&str, &str)], units| rows(params, units).iter().map(|(passed, _)| *passed).collect::<Vec<_>>();
        assert_eq!(
            failed(&[("film-grain", "20"), ("color-primaries", "1"), ("chroma-sample-position", "left")], 25),
            [false, false, true]
        );
        assert_eq!(failed(&[("color-primaries", "9"), ("chroma-sample-position", "left")], 2), [false, true, true]);
    }

    #[test]
    fn an_empty_stream_fails() {
        let plan = Plan {
            encoder: Encoder::Aom,
            engine: Engine::Ffmpeg,
            quality: Quality { crf: 30, preset: 6 },
            workers: 1,
            threads: 1,
            max_scene: 240,
            params: vec![("enable-qm".to_owned(), "1".to_owned())],
        };
        let rows = judge(&Survey::default(), &plan, 64, 64);
        assert!(rows.iter().all(|check| !check.passed), "{rows:?}");
    }
}
