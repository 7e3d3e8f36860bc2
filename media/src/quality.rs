//! Quality of an encode against its source, frame by frame: the calls that measure it, their answers, and what they come to.
//!
//! Frames are paired by number. Grain that decoders are to add is left off: a score of it would say nothing.

use std::path::Path;

use av1_crds::encoding::{Metric, QualityRule};
use av1_crds::wire::{Check, QualityScore};

use crate::command::Command;
use crate::picture::Picture;
use crate::plan::PIX_FMT;

/// Name of the row.
pub const QUALITY: &str = "Quality";
/// Length of the window that the worst is looked for in, in seconds.
pub const WINDOW_SECONDS: f64 = 2.0;
/// Highest score in dB; frames that equal their source have no finite one.
const MOST_DB: f64 = 100.0;

/// What is measured against what.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// The source, absolute.
    pub source: &'a Path,
    /// The main video in it.
    pub index: u32,
    /// What was done to the source's picture before it was encoded.
    pub picture: &'a Picture,
    /// The encode, absolute; its first video is measured.
    pub encode: &'a Path,
    /// Folder for indices.
    pub work: &'a Path,
    /// The frames that are measured, each range without its end; empty for all.
    pub ranges: &'a [(u64, u64)],
}

/// The call that prints the scores of all frames; none when the image can't measure `metric`.
#[must_use]
pub fn call(metric: Metric, measured: &Measured<'_>) -> Option<Command> {
    match metric {
        Metric::Xpsnr => Some(filter("xpsnr", measured)),
        Metric::Psnr => Some(filter("psnr", measured)),
        Metric::Ssim => Some(filter("ssim", measured)),
        Metric::Ssimulacra2 => Some(Command::new("python3").args(["-I", "-c", &ssimulacra2(measured)?])),
        Metric::Vmaf => Some(Command::new("python3").args(["-I", "-c", &vmaf(measured)])),
    }
}

impl Measured<'_> {
    /// FFmpeg's filters up to the picture that is encoded, with a comma behind each.
    fn source_filters(&self) -> String {
        let mut filters = self.picture.ffmpeg_filters();
        if !filters.is_empty() {
            filters.push(',');
        }
        filters
    }

    /// FFmpeg's filter that lets the frames of the ranges alone through, with a comma behind it.
    fn select(&self) -> String {
        let between: Vec<String> =
            self.ranges.iter().map(|(from, to)| format!("between(n\\,{from}\\,{})", to.saturating_sub(1))).collect();
        if between.is_empty() { String::new() } else { format!("select={},", between.join("+")) }
    }
}

/// Rows and columns are those that are coded, however the container turns and cuts them.
const INPUT: [&str; 5] = ["-noautorotate", "-apply_cropping", "codec", "-protocol_whitelist", "file,pipe"];

/// FFmpeg's filter of that name. The source comes first: XPSNR takes its weights from the first input.
fn filter(name: &str, measured: &Measured<'_>) -> Command {
    let (filters, select) = (measured.source_filters(), measured.select());
    // XPSNR reads both inputs with the line lengths of the first: copies of one kind have the same.
    let pair = format!("{select}settb=1/1000,setpts=N,format={PIX_FMT},copy");
    let graph = format!(
        "[0:{}]{filters}{pair}[source];[1:v:0]{pair}[encode];[source][encode]{name}=stats_file=-:eof_action=endall",
        measured.index
    );
    Command::new("ffmpeg")
        .args(["-nostdin", "-hide_banner", "-v", "error", "-xerror"])
        .args(INPUT)
        .arg("-i")
        .file(measured.source)
        .args(INPUT)
        .args(["-export_side_data", "film_grain", "-i"])
        .file(measured.encode)
        .args(["-filter_complex", &graph, "-fps_mode", "passthrough", "-enc_time_base", "filter", "-f", "null", "-"])
}

/// A script that prints SSIMULACRA2's scores; paths stand in it as hexadecimal. None where a path is not UTF-8, or the
/// source has frames of several sizes or interlaced ones.
fn ssimulacra2(measured: &Measured<'_>) -> Option<String> {
    let text = |path: &Path| path.to_str().map(hex::encode);
    if measured.picture.changes_size || measured.picture.interlaced.is_some() {
        return None;
    }
    let format = measured.picture.plugin_format().map(|format| format!(", format='{format}'")).unwrap_or_default();
    let filters = measured.picture.script();
    let (source, encode, work) = (text(measured.source)?, text(measured.encode)?, text(measured.work)?);
    let index = measured.index;
    let ranges: Vec<String> = measured.ranges.iter().map(|(from, to)| format!("({from}, {to})")).collect();
    let ranges = if ranges.is_empty() { "(0, a.num_frames)".to_owned() } else { ranges.join(", ") };
    Some(format!(
        "import vapoursynth as vs\n\
         core = vs.core\n\
         core.num_threads = 1\n\
         core.max_cache_size = 1024\n\
         path = lambda text: bytes.fromhex(text).decode()\n\
         work = path('{work}')\n\
         read = core.lsmas.LWLibavSource\n\
         clip = read(path('{source}'), stream_index={index}, cachefile=work + '/source.lwi', repeat=0{format})\n\
         matrix = clip.get_frame(0).props.get('_Matrix', 2)\n\
         matrix = (1 if clip.height > 576 else 6) if matrix in (2, 3) else matrix\n\
         {filters}\
         a = clip\n\
         b = read(path('{encode}'), cachefile=work + '/encode.lwi', repeat=0, ff_options='export_side_data=film_grain')\n\
         if a.num_frames != b.num_frames:\n    raise SystemExit(f'{{a.num_frames}} frames against {{b.num_frames}}')\n\
         a, b = [core.resize.Bicubic(c, format=vs.RGBS, matrix_in=matrix) for c in (a, b)]\n\
         scores = core.vszip.SSIMULACRA2(a, b)\n\
         for start, end in [{ranges}]:\n    for frame in scores[start:end].frames(close=True):\n        print('n: SSIMULACRA2:', frame.props['SSIMULACRA2'])\n"
    ))
}

/// Above this width and height VMAF's model for 4K is taken (as ab-av1 does).
const VMAF_4K: (u32, u32) = (2_560, 1_440);

/// A script that prints VMAF's scores: two FFmpeg give the frames, `vmaf` compares them. Paths stand in it as hexadecimal.
fn vmaf(measured: &Measured<'_>) -> String {
    let hex = |path: &Path| hex::encode(path.as_os_str().as_encoded_bytes());
    let (source, encode, index) = (hex(measured.source), hex(measured.encode), measured.index);
    let (filters, select) = (measured.source_filters(), measured.select());
    let (width, height) = measured.picture.coded;
    let model = if width > VMAF_4K.0 && height > VMAF_4K.1 { "vmaf_4k_v0.6.1" } else { "vmaf_v0.6.1" };
    let input = INPUT.map(|word| format!("'{word}'")).join(", ");
    format!(
        "import csv, os, subprocess\n\
         def frames(path, stream, filters, *words):\n    \
             call = ['ffmpeg', '-nostdin', '-hide_banner', '-v', 'error', '-xerror', {input}, *words, '-i', b'file:' + bytes.fromhex(path)]\n    \
             call += ['-map', stream, '-vf', filters, '-fps_mode', 'passthrough', '-enc_time_base', 'filter', '-strict', '-1', '-f', 'yuv4mpegpipe', '-']\n    \
             return subprocess.Popen(call, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)\n\
         pair = r'{select}settb=1/1000,setpts=N,format={PIX_FMT}'\n\
         a = frames('{source}', '0:{index}', '{filters}' + pair)\n\
         b = frames('{encode}', '0:v:0', pair, '-export_side_data', 'film_grain')\n\
         ends = [a.stdout.fileno(), b.stdout.fileno()]\n\
         threads = str(len(os.sched_getaffinity(0)))\n\
         call = ['vmaf', '--quiet', '--threads', threads, '--model', 'version={model}', '--csv', '--output', '/dev/stdout']\n\
         call += ['--reference', f'/dev/fd/{{ends[0]}}', '--distorted', f'/dev/fd/{{ends[1]}}']\n\
         vmaf = subprocess.Popen(call, pass_fds=ends, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)\n\
         a.stdout.close()\n\
         b.stdout.close()\n\
         for row in csv.DictReader(vmaf.stdout):\n    print('n: VMAF:', row['vmaf'])\n\
         codes = [program.wait() for program in (a, b, vmaf)]\n\
         if any(codes):\n    raise SystemExit(f'ffmpeg, ffmpeg and vmaf ended with {{codes}}')\n"
    )
}

/// Takes in the lines of [`call`].
#[derive(Debug, Clone, Default)]
pub struct Scores {
    frames: Vec<f64>,
}

impl Scores {
    /// Takes in one line; others than those of frames are passed over.
    pub fn line(&mut self, line: &str) {
        if let Some(score) = score(line) {
            self.frames.push(score.min(MOST_DB));
        }
    }

    /// The scores, by frame.
    #[must_use]
    pub fn frames(&self) -> &[f64] {
        &self.frames
    }

    /// What the scores come to at `rate` frames a second; none without a frame.
    #[must_use]
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub fn sum_up(&self, rate: f64) -> Option<Summary> {
        let window = ((rate * WINDOW_SECONDS).round().max(1.0) as usize).min(self.frames.len()).max(1);
        let mut sum: f64 = self.frames.get(..window)?.iter().sum();
        let mut worst = (sum, 0);
        for at in window..self.frames.len() {
            sum += self.frames[at] - self.frames[at - window];
            if sum < worst.0 {
                worst = (sum, at + 1 - window);
            }
        }
        Some(Summary {
            mean: mean(&self.frames)?,
            worst_window: worst.0 / window as f64,
            worst_window_at: worst.1 as f64 / rate.max(f64::MIN_POSITIVE),
        })
    }
}

/// The mean of scores; none without any.
#[must_use]
#[allow(clippy::cast_precision_loss)]
pub fn mean(scores: &[f64]) -> Option<f64> {
    (!scores.is_empty()).then(|| scores.iter().sum::<f64>() / scores.len() as f64)
}

/// The score in a line of a frame.
fn score(line: &str) -> Option<f64> {
    let line = line.trim();
    let rest = line.strip_prefix("n:")?;
    let after = |marker: &str| {
        let text = rest.split_once(marker)?.1.split_ascii_whitespace().next()?;
        text.parse::<f64>().ok().filter(|value| !value.is_nan())
    };
    let planes = || Some(weighted([after("XPSNR y:")?, after("XPSNR u:")?, after("XPSNR v:")?]));
    planes()
        .or_else(|| after("psnr_avg:"))
        .or_else(|| after("All:"))
        .or_else(|| after("SSIMULACRA2:"))
        .or_else(|| after("VMAF:"))
}

/// XPSNR over the planes: the mean of their errors, luma counting four times, as its pixels do.
fn weighted(planes: [f64; 3]) -> f64 {
    let [y, u, v] = planes.map(|db| 10_f64.powf(-db / 10.0));
    -10.0 * ((4.0 * y + u + v) / 6.0).log10()
}

/// What the scores of a video come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean over all frames.
    pub mean: f64,
    /// Least mean over a window.
    pub worst_window: f64,
    /// Where that window begins, in seconds.
    pub worst_window_at: f64,
}

impl Summary {
    /// As it is reported.
    #[must_use]
    pub fn report(&self, metric: Metric) -> QualityScore {
        QualityScore {
            metric: metric.as_str().to_owned(),
            mean: decimal(metric, self.mean),
            worst_window: decimal(metric, self.worst_window),
            worst_window_at: format!("{:.1}", self.worst_window_at),
        }
    }
}

/// A score as it is told.
#[must_use]
pub fn decimal(metric: Metric, score: f64) -> String {
    if metric == Metric::Ssim { format!("{score:.4}") } else { format!("{score:.2}") }
}

/// Judges a summary; `grain` says whether the encode has grain that decoders are to add.
#[must_use]
pub fn judge(rule: &QualityRule, summary: &Summary, grain: bool) -> Check {
    let limit = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<f64>().ok());
    let (mean, window) = (limit(&rule.min_mean), limit(&rule.min_window));
    let held = !grain || rule.apply_to_grain;
    let enough =
        mean.is_none_or(|least| summary.mean >= least) && window.is_none_or(|least| summary.worst_window >= least);
    let said = |what: &str, text: &Option<String>| text.as_ref().map(|least| format!("{what} at least {least}"));
    let mut expected: Vec<String> =
        [said("mean", &rule.min_mean), said("worst window", &rule.min_window)].into_iter().flatten().collect();
    if expected.is_empty() {
        expected.push("only reported".to_owned());
    } else if !held {
        expected.push("not held against grain synthesis".to_owned());
    }
    let metric = rule.metric;
    Check {
        name: QUALITY.to_owned(),
        passed: enough || !held,
        expected: expected.join(", "),
        measured: format!(
            "{} mean {}, worst two seconds {} at {:.1} s",
            metric.as_str(),
            decimal(metric, summary.mean),
            decimal(metric, summary.worst_window),
            summary.worst_window_at
        ),
    }
}

#[cfg(test)]
mod tests {
    use av1_crds::settings::Settings;
    use proptest::prelude::*;

    use super::*;
    use crate::picture::{Area, plan_picture};
    use crate::probe::Stream;

    fn picture(seen: Option<Area>) -> Picture {
        let video =
            Stream { width: Some(320), height: Some(180), pix_fmt: Some("yuv420p".into()), ..Stream::default() };
        let settings = Settings::resolve(&[]).unwrap();
        plan_picture(&video, &settings, seen).unwrap()
    }

    fn scores(lines: &str) -> Scores {
        let mut scores = Scores::default();
        lines.lines().for_each(|line| scores.line(line));
        scores
    }

    #[test]
    fn lines_of_every_metric_are_read() {
        let found = scores(
            "n:    1  XPSNR y: 40.0000  XPSNR u: 40.0000  XPSNR v: 40.0000\nn:    2  XPSNR y: inf  XPSNR u: inf  XPSNR v: inf\n\
             \nXPSNR average, 24 frames  y: 31.3414\nn:23 mse_avg:256.54 mse_y:238.28 psnr_avg:36.11 psnr_y:36.43 \n\
             n:24 Y:0.903678 U:0.919042 V:0.904578 All:0.906389 (10.286722)\nn: 1 SSIMULACRA2: 52.75027446712841\nn: VMAF: 97.4281\nnonsense\nn:x",
        );
        let rounded: Vec<f64> = found.frames().iter().map(|score| (score * 1_000.0).round() / 1_000.0).collect();
        assert_eq!(rounded, [40.0, 100.0, 36.11, 0.906, 52.75, 97.428]);
        assert!((weighted([40.0, 30.0, 30.0]) - 33.979).abs() < 0.01);
    }

    #[test]
    fn the_worst_window_is_two_seconds_and_told_with_its_place() {
        let mut scores = Scores { frames: vec![40.0; 240] };
        scores.frames[100..120].fill(30.0);
        let found = scores.sum_up(10.0).unwrap();
        assert!((found.worst_window - 30.0).abs() < 1e-9 && (found.worst_window_at - 10.0).abs() < 1e-9, "{found:?}");
        assert!((found.mean - (40.0 * 220.0 + 30.0 * 20.0) / 240.0).abs() < 1e-9);
        let short = Scores { frames: vec![35.0; 3] }.sum_up(24.0).unwrap();
        assert!((short.worst_window - 35.0).abs() < 1e-9);
        assert_eq!(Scores::default().sum_up(24.0), None);
    }

    #[test]
    fn a_mean_or_window_below_the_rule_fails_but_not_with_grain() {
        let rule = |mean: Option<&str>, window: Option<&str>| QualityRule {
            metric: Metric::Xpsnr,
            min_mean: mean.map(str::to_owned),
            min_window: window.map(str::to_owned),
            apply_to_grain: false,
        };
        let summary = Summary { mean: 38.5, worst_window: 29.9, worst_window_at: 61.24 };
        let passed = |mean, window, grain| judge(&rule(mean, window), &summary, grain).passed;
        assert!(passed(Some("38"), None, false) && passed(None, None, false));
        assert!(!passed(Some("39"), None, false) && !passed(Some("38"), Some("30"), false));
        assert!(passed(Some("39"), Some("30"), true));
        let strict = QualityRule { apply_to_grain: true, ..rule(Some("39"), None) };
        assert!(!judge(&strict, &summary, true).passed);
        let check = judge(&rule(Some("38"), Some("30")), &summary, false);
        assert_eq!(
            (check.expected.as_str(), check.measured.as_str()),
            ("mean at least 38, worst window at least 30", "Xpsnr mean 38.50, worst two seconds 29.90 at 61.2 s")
        );
        assert_eq!(summary.report(Metric::Ssim).mean, "38.5000");
    }

    #[test]
    fn the_calls_are_these() {
        let (plain, cropped) = (picture(None), picture(Some(Area { left: 0, top: 20, width: 320, height: 140 })));
        let measured = Measured {
            source: Path::new("/library/a'\".mkv"),
            index: 1,
            picture: &plain,
            encode: Path::new("/work/out.mkv"),
            work: Path::new("/work"),
            ranges: &[],
        };
        insta::assert_snapshot!("xpsnr", call(Metric::Xpsnr, &measured).unwrap().to_strings().join(" "));
        let script = call(Metric::Ssimulacra2, &measured).unwrap().to_strings().join(" ");
        assert!(script.contains(&hex::encode("/library/a'\".mkv")) && !script.contains(".mkv"));
        insta::assert_snapshot!("ssimulacra2", script);
        insta::assert_snapshot!("vmaf", call(Metric::Vmaf, &measured).unwrap().to_strings().join(" "));
        let parts = Measured { ranges: &[(0, 24), (48, 50)], ..measured };
        let graph = call(Metric::Ssim, &parts).unwrap().to_strings().join(" ");
        assert_eq!(graph.matches("select=between(n\\,0\\,23)+between(n\\,48\\,49),settb").count(), 2, "{graph}");
        let cropped = Measured { picture: &cropped, ..measured };
        let words = |metric| call(metric, &cropped).unwrap().to_strings().join(" ");
        assert!(words(Metric::Psnr).contains("[0:1]crop=320:140:0:20:exact=1,settb"), "{}", words(Metric::Psnr));
        assert!(
            words(Metric::Ssimulacra2).contains("clip = core.std.CropAbs(clip, width=320, height=140, left=0, top=20)")
        );
        let mut several = plain.clone();
        several.changes_size = true;
        let changing = Measured { picture: &several, ..measured };
        assert!(call(Metric::Ssimulacra2, &changing).is_none());
        assert!(call(Metric::Psnr, &changing).unwrap().to_strings().join(" ").contains("[0:1]scale=320:180"));
    }

    proptest! {
        #[test]
        fn any_line_is_read_without_a_panic(text in "\\PC*", scores in proptest::collection::vec(any::<f64>(), 0..50), rate in any::<f64>()) {
            let _ = (score(&text), score(&format!("n:1 All:{text}")), Scores { frames: scores }.sum_up(rate));
        }
    }
}
