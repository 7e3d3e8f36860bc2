//! What the tools write and what is kept on the volume, against the parsers of `av1-media`.

use std::io::Cursor;
use std::path::Path;

use av1_crds::library::ScanRules;
use av1_crds::settings::Settings;
use av1_crds::wire::{FileIdentity, SettleTask};
use av1_fuzz::Fuzz;
use av1_fuzz::samples::{
    AV1AN, CHUNKS, DONE, FFMPEG, FRAMES, IVF, JOURNAL, LOG, MARKER, MKVMERGE, MOOV, PACKETS, PROBES, RECEIPTS, SCENES,
    TRASH,
};
use av1_media::av1an;
use av1_media::frames::{DecodePass, Told};
use av1_media::gates::{Attributes, Content, Facts, FileKind, Rules, Selection, judge};
use av1_media::ivf::{FILE_HEADER, FRAME_HEADER, walk};
use av1_media::journal::{Journal, MAX_JOURNAL};
use av1_media::light::{Content as ContentLight, Light, in_av1, put_light};
use av1_media::marker::Marker;
use av1_media::mp4::{box_head, enabled_flags};
use av1_media::obu::{Survey, put_colour};
use av1_media::packets::Reader;
use av1_media::probe::Probe;
use av1_media::progress::copied_bytes;
use av1_media::quality::Scores;
use av1_media::rational::Rational;
use av1_media::receipt::{Receipts, settings_digest};
use av1_media::streams::plan_streams;
use av1_media::trash::TrashEntry;
use av1_media::versions::{Versions, calls, numbers};

/// Frames of the film that the samples are of.
const FILM_FRAMES: u64 = 48;

fn settings() -> Settings {
    Settings::resolve(&[]).unwrap()
}

fn rules() -> Rules {
    Rules::new(ScanRules::resolve(None).unwrap(), settings())
}

fn identity() -> FileIdentity {
    FileIdentity { size: 3 << 30, fingerprint: "f".to_owned(), ..FileIdentity::default() }
}

/// A document of `count` streams, each as ffprobe writes them.
fn streams(count: usize) -> Vec<u8> {
    let stream = r#"{"index": 1, "codec_name": "subrip", "codec_type": "subtitle", "time_base": "1/1000", "disposition": {"default": 0}, "tags": {"language": "eng"}}"#;
    format!(r#"{{"streams": [{}], "format": {{"format_name": "matroska,webm"}}}}"#, vec![stream; count].join(","))
        .into()
}

#[test]
fn ffprobes_answer_and_what_the_gates_make_of_it() {
    let rules = rules();
    let kept = settings();
    let fuzz = PROBES.iter().fold(Fuzz::new("probe"), |fuzz, probe| fuzz.sample(probe));
    let fuzz = fuzz.large(streams(10_000)).large("[".repeat(1 << 20)).large(r#"{"a":"#.repeat(1 << 18));
    let fuzz = fuzz.large(format!(r#"{{"streams":[{}]}}"#, vec!["{}"; 1 << 20].join(",")));
    let fuzz = fuzz.large(format!(r#"{{"format":{{"tags":{{{}}}}}}}"#, vec![r#""a":"b""#; 100_000].join(",")));
    fuzz.run(|bytes| {
        let Ok(probe) = Probe::parse(bytes) else { return };
        for path in ["a/b.mkv", "a/b.mp4", "b.avi"] {
            let attributes =
                Attributes { kind: FileKind::Regular, size: 3 << 30, modified_time_ns: 0, links: 1, uid: 0, gid: 0 };
            let facts = Facts {
                path: path.to_owned(),
                utf8: true,
                now_ns: i64::MAX,
                attributes: Some(attributes),
                content: Some(Content::Read(Box::new(probe.clone()))),
                ..Facts::default()
            };
            let verdict = judge(&facts, &rules);
            assert!(!verdict.reason.is_empty() && !verdict.message.is_empty());
        }
        for path in ["a/b.mkv", "a/b.mp4", "b.avi"] {
            if let Ok(plan) = plan_streams(path, &probe, &kept) {
                let _ = copied_bytes(&probe, &plan);
            }
        }
    });
}

#[test]
fn av1ans_chunks() {
    Fuzz::new("av1an-chunks").sample(CHUNKS).large("[".repeat(1 << 20)).run(|bytes| {
        if let Ok(chunks) = av1an::chunks(bytes, FILM_FRAMES) {
            assert_eq!(chunks.iter().map(av1an::Chunk::frames).sum::<u64>(), FILM_FRAMES);
        }
    });
}

#[test]
fn av1ans_scenes() {
    Fuzz::new("av1an-scenes").sample(SCENES).large("{\"scenes\":".repeat(1 << 16)).run(|bytes| {
        for frames in [0, FILM_FRAMES, u64::MAX] {
            let _ = av1an::scenes(bytes, frames);
        }
    });
}

#[test]
fn av1ans_list_of_what_is_done() {
    Fuzz::new("av1an-done").sample(DONE).run(|bytes| {
        if let Some(done) = av1an::Done::parse(bytes) {
            assert!(done.to_json().is_ok());
        }
    });
}

#[test]
fn av1ans_log_and_the_count_of_vspipe() {
    Fuzz::new("av1an-log").sample(LOG).large("a chunk: frames ".repeat(1 << 15)).run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        for line in text.lines() {
            let _ = av1an::event(line);
        }
        let _ = av1an::parse_frame_count(&text);
    });
}

#[test]
fn chunks_as_files() {
    let cut = &IVF[..IVF.len() / 2];
    Fuzz::new("ivf").sample(IVF).sample(cut).large(vec![0_u8; 1 << 20]).run(|bytes| {
        for length in [0, bytes.len() as u64 / 2, bytes.len() as u64, u64::MAX] {
            let found = walk(&mut Cursor::new(bytes), length).unwrap();
            assert!(found.frames * 12 <= bytes.len() as u64);
        }
    });
}

#[test]
fn frames_of_an_av1_stream() {
    let light = Light { mastering: None, content: Some(ContentLight { most: 1_000, average: 400 }) };
    let unit = &IVF[FILE_HEADER + FRAME_HEADER..];
    Fuzz::new("obu").sample(unit).large(vec![0x0a_u8; 1 << 20]).run(|bytes| {
        let mut survey = Survey::default();
        let mut unit = bytes.to_vec();
        put_colour(&mut unit, true, 2);
        survey.unit(&unit);
        survey.unit(bytes);
        put_light(&mut unit, &light);
        assert!(unit.len() <= bytes.len() + 16);
        let _ = in_av1(&unit);
    });
}

#[test]
fn scores_of_frames() {
    let line = "n:    2  XPSNR y: inf  XPSNR u: 40.0000  XPSNR v: 40.0000\nn:1 All:0.5 (1)\nn: 1 SSIMULACRA2: 52.7\n";
    Fuzz::new("scores").sample(line).large(line.repeat(1 << 12)).run(|bytes| {
        let mut scores = Scores::default();
        String::from_utf8_lossy(bytes).lines().for_each(|line| scores.line(line));
        let _ = scores.sum_up(25.0);
    });
}

#[test]
fn the_index_of_an_mp4() {
    let nested = (0..1 << 16).flat_map(|_| *b"\0\0\0\x08trak").collect::<Vec<u8>>();
    Fuzz::new("mp4").sample(MOOV).large(nested).run(|bytes| {
        let _ = box_head(bytes);
        assert!(enabled_flags(bytes).iter().all(|at| *at < bytes.len()));
    });
}

#[test]
fn the_list_of_decoded_frames() {
    let rates = [Rational { num: 25, den: 1 }, Rational { num: i64::MAX, den: 1 }, Rational { num: 1, den: i64::MAX }];
    let ends = "frame:0 pts:-9223372036854775808 pts_time:0\nframe:1 pts:9223372036854775807 pts_time:1\n";
    Fuzz::new("frames").sample(FRAMES).large(ends).large("frame:1 pts:1\n".repeat(1 << 16)).run(|bytes| {
        let mut pass = DecodePass::default();
        String::from_utf8_lossy(bytes).lines().for_each(|line| pass.line(line));
        let told = |(num, den), rates, duration, errors| Told {
            time_base: Rational { num, den },
            rates,
            duration,
            errors,
            says_progressive: true,
            may_be_interlaced: true,
            may_make_up: true,
        };
        for (time_base, duration) in
            [((1, 1_000), Some(2.0)), ((1, i64::MAX), Some(f64::NAN)), ((1, 1), Some(f64::MAX)), ((1, 90_000), None)]
        {
            let _ = pass.clone().finish(&told(time_base, &rates, duration, ""));
        }
        let _ = pass.finish(&told((i64::MAX, 1), &[], None, "an error"));
    });
}

#[test]
fn the_list_of_packets() {
    // A stream's number may be as high as the reader allows, which costs a table of that many streams once.
    Fuzz::new("packets").sample(PACKETS).memory_base(64 << 20).large("99999, 0, 0, 1, 2, aa\n").run(|bytes| {
        let mut reader = Reader::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let _ = reader.line(line);
        }
        for stream in reader.finish().streams {
            let _ = (stream.start_seconds(), stream.end_seconds());
        }
    });
}

#[test]
fn versions_of_the_tools() {
    Fuzz::new("versions").sample(FFMPEG).sample(AV1AN).sample(MKVMERGE).large("Found : ".repeat(1 << 16)).run(
        |bytes| {
            let text = String::from_utf8_lossy(bytes);
            let mut versions = Versions::default();
            for (tool, _) in calls() {
                versions.record(tool, &text);
            }
            let _ = (versions.problems(), versions.warnings(), numbers(&text));
        },
    );
}

#[test]
fn receipts_on_the_volume() {
    Fuzz::new("receipts").sample(RECEIPTS).large("{\"entries\":[".repeat(1 << 15)).run(|bytes| {
        let Ok(mut receipts) = Receipts::parse(bytes) else { return };
        if let Some(newest) = receipts.newest().cloned() {
            let _ = settings_digest(&newest.settings);
            receipts.put(newest);
        }
        let _ = receipts.to_json();
    });
}

#[test]
fn markers_beside_files() {
    Fuzz::new("marker").sample(MARKER).sample("").large(vec![b' '; 1 << 20]).run(|bytes| {
        let marker = Marker::read(bytes);
        if marker == Marker::Users {
            assert!(marker.covers(&identity()), "a marker that is not ours is absolute");
        }
    });
}

#[test]
fn journals_on_the_volume() {
    Fuzz::new("journal").sample(JOURNAL).large(vec![b'\n'; 1 << 20]).large(vec![b'a'; MAX_JOURNAL + 1]).run(|bytes| {
        if let Ok(Some(journal)) = Journal::<SettleTask>::parse(bytes) {
            assert!(journal.whole_bytes <= bytes.len());
        }
    });
}

#[test]
fn descriptions_in_the_trash() {
    Fuzz::new("trash").sample(TRASH).run(|bytes| drop(serde_json::from_slice::<TrashEntry>(bytes)));
}

#[test]
fn globs_of_a_library() {
    let paths = ["Films/a/b.mkv", "", "/", "a\nb.mkv", ".mkv", "Extras/%03d.mkv"];
    let alternatives = format!("{{{}}}", vec!["a"; 4_096].join(","));
    let fuzz = Fuzz::new("globs").sample("Films/**").sample("**/{Extras,Featurettes}/*.[mM]kv").sample("a?[!b-d]*.avi");
    // A glob is compiled into an automaton, which has a size limit of its own.
    fuzz.memory_base(64 << 20).large("**/".repeat(1_000)).large(alternatives).large("{".repeat(10_000)).run(|bytes| {
        let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4_096)]).into_owned();
        let rules = |include: Vec<String>, exclude| ScanRules { include, exclude, ..ScanRules::resolve(None).unwrap() };
        for rules in [rules(vec![text.clone()], Vec::new()), rules(Vec::new(), vec![text])] {
            if let Ok(selection) = Selection::new(&rules) {
                for path in paths {
                    let _ = (
                        selection.enters(Path::new("a"), path.as_ref()),
                        selection.takes(Path::new("a"), path.as_ref()),
                    );
                }
            }
        }
    });
}
