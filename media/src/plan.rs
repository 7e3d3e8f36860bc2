//! The plan of one encode: quality from the profile, workers from CPUs and memory, the encoder's parameters.

use av1_crds::profiles::table;
use av1_crds::settings::Settings;

use crate::encoders::check::{InvalidParam, check_for};
use crate::encoders::words::{Asked, Params, command_line, params};
use crate::encoders::{Encoder, Engine};
use crate::light::Light;
use crate::picture::chroma_location;
use crate::probe::{Probe, Stream};
use crate::profile::{Quality, bits_per_pixel, height_class, max_scene_frames, quality};
use crate::rational::Rational;

/// Memory that a worker needs for each megapixel of the picture, in bytes.
pub const BYTES_PER_MEGAPIXEL: u64 = 1_000_000_000;
/// Pixel format of every output.
pub const PIX_FMT: &str = "yuv420p10le";

/// What a pod may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resources {
    /// Whole CPUs, by affinity and quota.
    pub cpus: u32,
    /// Bytes of memory, when limited.
    pub memory: Option<u64>,
    /// Workers that were asked for; 0 leaves it to the plan.
    pub workers: u32,
    /// Percentage of the CPUs that workers and their threads may take: 100 where the CPUs are the pod's own.
    pub percent: u32,
}

impl Resources {
    /// CPUs that the encode may keep busy, at least one.
    #[must_use]
    pub fn busy(&self) -> u32 {
        let busy = u64::from(self.cpus) * u64::from(self.percent.min(100)) / 100;
        u32::try_from(busy).unwrap_or(u32::MAX).max(1)
    }
}

/// How a file is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What encodes.
    pub encoder: Encoder,
    /// What drives it.
    pub engine: Engine,
    /// Constant rate factor and preset.
    pub quality: Quality,
    /// Encoder processes at once.
    pub workers: u32,
    /// Threads of each; of SVT-AV1 its level of parallelism (`--lp`).
    pub threads: u32,
    /// Longest scene in frames.
    pub max_scene: u32,
    /// The parameters that decide what the bytes are; workers and threads do not.
    pub params: Params,
}

impl Plan {
    /// The encoder's arguments as Av1an hands them to its program.
    #[must_use]
    pub fn command_line(&self) -> Vec<String> {
        command_line(self.encoder, &self.params, self.threads)
    }

    /// The parameters in one line, for tags and reports.
    #[must_use]
    pub fn in_words(&self) -> String {
        let words = self.params.iter().map(|(key, value)| format!("{key}={value}").trim_end_matches('=').to_owned());
        words.collect::<Vec<_>>().join(":")
    }

    /// Strength of the grain that decoders are to add; 0 is none.
    #[must_use]
    pub fn grain(&self) -> u32 {
        let key = crate::encoders::params::ranges(self.encoder).film_grain.key;
        self.params.iter().find(|(known, _)| known == key).and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
    }
}

/// Plans the encode of `video`.
///
/// # Errors
/// [`InvalidParam`] when the encoder can't be asked for what the settings say.
pub fn plan(
    settings: &Settings,
    probe: &Probe,
    video: &Stream,
    rate: Rational,
    resources: Resources,
    (encoder, engine): (Encoder, Engine),
) -> Result<Plan, InvalidParam> {
    check_for(settings, encoder, engine)?;
    let (width, height) = (video.width.unwrap_or(0), video.height.unwrap_or(0));
    let quality = quality(settings, encoder, width, height, bits_per_pixel(probe, video, rate))?;
    let (workers, threads) = match engine {
        Engine::Av1an => workers(resources, u64::from(width) * u64::from(height)),
        Engine::Ffmpeg => (1, resources.busy()),
    };
    let asked = Asked {
        encoder,
        crf: quality.crf,
        preset: quality.preset,
        class: height_class(width, height),
        table: table(settings.profile),
        settings,
        signal: &colour_params(video),
    };
    Ok(Plan {
        encoder,
        engine,
        quality,
        workers,
        threads: if encoder == Encoder::SvtAv1 { level_of_parallelism(threads) } else { threads },
        max_scene: max_scene_frames(settings, rate),
        params: params(&asked),
    })
}

/// Workers, and threads of each, so that both fill the CPUs: 8 workers at 32 to 39 CPUs, a quarter of them above, else up to 4;
/// fewer when memory allows no more. Where not all CPUs may be busy, both together take no more than may be.
#[must_use]
pub fn workers(resources: Resources, pixels: u64) -> (u32, u32) {
    let cpus = resources.busy();
    let wanted = match (resources.workers, cpus) {
        (0, 32..40) => 8,
        (0, 40..) => cpus / 4,
        (0, _) => cpus.min(4),
        (asked, _) => asked,
    };
    let each = u128::from(pixels) * u128::from(BYTES_PER_MEGAPIXEL) / 1_000_000;
    let fitting =
        resources.memory.map_or(u32::MAX, |memory| u32::try_from(u128::from(memory) / each.max(1)).unwrap_or(u32::MAX));
    let most = wanted.min(fitting).max(1);
    if resources.percent >= 100 {
        return (most, cpus.div_ceil(most));
    }
    if resources.workers > 0 {
        return (most, (cpus / most).max(1));
    }
    // Most workers whose threads leave at most a quarter of it idle: an odd number is not shared out evenly.
    let idles = |workers: u32| workers * (cpus / workers) * 4 < cpus * 3;
    let workers = (1..=most).rev().find(|workers| !idles(*workers)).unwrap_or(1);
    (workers, (cpus / workers).max(1))
}

/// SVT-AV1's level for a number of threads; its own choice for a machine of so many cores.
fn level_of_parallelism(threads: u32) -> u32 {
    match threads {
        0..=1 => 1,
        2 => 2,
        3..=5 => 3,
        6..=11 => 4,
        12..=23 => 5,
        _ => 6,
    }
}

/// Parameters that carry the source's colour description; what the source does not say is not said.
fn colour_params(video: &Stream) -> Params {
    let number = |table: &[(&str, u32)], name: &Option<String>| {
        let name = name.as_deref()?;
        table.iter().find(|(known, _)| *known == name).map(|(_, number)| number.to_string())
    };
    let chroma = chroma_location(video).map(str::to_owned);
    let range = match video.color_range.as_deref() {
        Some("pc") => Some("1".to_owned()),
        Some("tv") => Some("0".to_owned()),
        _ => None,
    };
    let params = [
        ("color-primaries", number(PRIMARIES, &video.color_primaries)),
        ("transfer-characteristics", number(TRANSFERS, &video.color_transfer)),
        ("matrix-coefficients", number(MATRICES, &video.color_space)),
        ("color-range", range),
        ("chroma-sample-position", chroma),
    ];
    let told = params.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    // What is told in part stops a file long before.
    told.chain(Light::of(video).unwrap_or_default().params()).collect()
}

/// A part of the colour description that AV1 has no number for; such a file is left alone.
#[must_use]
pub fn unknown_colour(video: &Stream) -> Option<&str> {
    let told =
        [(&video.color_primaries, PRIMARIES), (&video.color_transfer, TRANSFERS), (&video.color_space, MATRICES)];
    told.into_iter().find_map(|(name, table)| {
        let name = name.as_deref().filter(|name| !UNTOLD.contains(name))?;
        table.iter().all(|(known, _)| *known != name).then_some(name)
    })
}

/// What ffprobe writes where a stream says nothing.
const UNTOLD: &[&str] = &["", "unknown", "unspecified", "reserved"];

/// FFmpeg's names of colour primaries and their numbers in AV1 (ISO/IEC 23091-2).
const PRIMARIES: &[(&str, u32)] = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("film", 8),
    ("bt2020", 9),
    ("smpte428", 10),
    ("smpte431", 11),
    ("smpte432", 12),
    ("ebu3213", 22),
];

/// FFmpeg's names of transfer characteristics and their numbers.
const TRANSFERS: &[(&str, u32)] = &[
    ("bt709", 1),
    ("bt470m", 4),
    ("gamma22", 4),
    ("bt470bg", 5),
    ("gamma28", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("linear", 8),
    ("log100", 9),
    ("log316", 10),
    ("iec61966-2-4", 11),
    ("bt1361e", 12),
    ("iec61966-2-1", 13),
    ("bt2020-10", 14),
    ("bt2020-12", 15),
    ("smpte2084", 16),
    ("smpte428", 17),
    ("arib-std-b67", 18),
];

/// FFmpeg's names of matrix coefficients and their numbers; `gbr` (0) is no 4:2:0.
const MATRICES: &[(&str, u32)] = &[
    ("bt709", 1),
    ("fcc", 4),
    ("bt470bg", 5),
    ("smpte170m", 6),
    ("smpte240m", 7),
    ("ycgco", 8),
    ("bt2020nc", 9),
    ("bt2020c", 10),
    ("smpte2085", 11),
    ("chroma-derived-nc", 12),
    ("chroma-derived-c", 13),
    ("ictcp", 14),
];

#[cfg(test)]
mod tests {

    use super::*;

    fn on(cpus: u32, memory_gb: Option<u64>, asked: u32) -> Resources {
        Resources { cpus, memory: memory_gb.map(|gb| gb * 1_000_000_000), workers: asked, percent: 100 }
    }

    #[test]
    fn workers_follow_the_cpus_and_with_their_threads_fill_them() {
        let found: Vec<(u32, u32)> =
            [1, 2, 4, 8, 31, 32, 39, 40, 64, 128].map(|n| workers(on(n, None, 0), 2_073_600)).to_vec();
        assert_eq!(found, [(1, 1), (2, 1), (4, 1), (4, 2), (4, 8), (8, 4), (8, 5), (10, 4), (16, 4), (32, 4)]);
        for (cpus, (workers, threads)) in [1, 2, 4, 8, 31, 32, 39, 40, 64, 128].into_iter().zip(found) {
            assert!(workers * threads >= cpus);
        }
    }

    #[test]
    fn memory_bounds_the_workers_but_one_is_always_there() {
        assert_eq!(workers(on(8, Some(5), 0), 2_073_600), (2, 4));
        assert_eq!(workers(on(8, Some(1), 0), 8_294_400), (1, 8));
        assert_eq!(workers(on(2, Some(100), 6), 921_600), (6, 1));
        assert_eq!(workers(on(0, None, 0), 0), (1, 1));
    }

    #[test]
    fn workers_and_threads_keep_to_the_share_of_cpus_that_are_not_the_pods_own() {
        let at = |percent, cpus, asked| workers(Resources { percent, ..on(cpus, None, asked) }, 2_073_600);
        let found = [1, 2, 3, 4, 6, 8, 9, 16, 32, 48, 128].map(|cpus| at(85, cpus, 0));
        assert_eq!(found, [(1, 1), (1, 1), (2, 1), (3, 1), (4, 1), (3, 2), (3, 2), (4, 3), (4, 6), (10, 4), (27, 4)]);
        assert_eq!((at(50, 8, 0), at(50, 8, 2), at(50, 2, 4)), ((4, 1), (2, 2), (4, 1)));
        assert_eq!((at(100, 8, 0), Resources { percent: 50, ..on(0, None, 0) }.busy()), ((4, 2), 1));
    }

    #[test]
    fn colour_is_carried_by_number_and_what_is_unknown_stays_unsaid() {
        let video = Stream {
            width: Some(1920),
            height: Some(1080),
            color_primaries: Some("bt709".into()),
            color_transfer: Some("iec61966-2-1".into()),
            color_space: Some("unknown".into()),
            color_range: Some("tv".into()),
            chroma_location: Some("left".into()),
            ..Stream::default()
        };
        let settings = Settings::resolve(&[]).unwrap();
        let probe = Probe { format: crate::probe::Format::default(), streams: vec![video.clone()], chapters: vec![] };
        let with = (Encoder::SvtAv1, Engine::Av1an);
        let plan = plan(&settings, &probe, &video, Rational { num: 25, den: 1 }, on(2, None, 0), with).unwrap();
        assert_eq!(
            plan.command_line().join(" "),
            "--preset 4 --crf 23 --keyint 0 --scd 0 --rc 0 --color-primaries 1 --transfer-characteristics 13 --color-range 0 --chroma-sample-position left --lp 1"
        );
        assert!(plan.in_words().starts_with("preset=4:crf=23:keyint=0"));
        assert_eq!((plan.workers, plan.threads, plan.max_scene, plan.grain()), (2, 1, 240, 0));
    }
}
