//! What Av1an leaves in its folder, whatever it is, against all that reads it: the figures of a running encode and the repair
//! before the next.

use std::fs;

use av1_fuzz::Fuzz;
use av1_fuzz::samples::{CHUNKS, DONE, IVF, LOG, SCENES};
use av1_media::encoders::Encoder;
use av1_media::profile::Quality;
use av1_media::scenes::Part;

use super::*;

#[test]
fn fuzz_any_files_of_av1an_are_followed_and_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::new(dir.path(), None);
    let plan = Plan {
        encoder: Encoder::SvtAv1,
        engine: Engine::Av1an,
        quality: Quality { crf: 24, preset: 5 },
        workers: 1,
        threads: 1,
        max_scene: 240,
        params: Vec::new(),
    };
    let command = Command::new("av1an");
    let job =
        Job { files: &files, plan: &plan, command: &command, frames: 48, rate: 25.0, copied: u64::MAX, gate: None };
    let fuzz = [CHUNKS, DONE, LOG, SCENES].iter().fold(Fuzz::new("av1an-folder"), |fuzz, text| fuzz.sample(text));
    let part = Part { from: 0, start: 0, end: 48 };
    fuzz.sample(IVF).large(r#"{"frames":48,"done":{"00000":{"frames":18446744073709551615,"size_bytes":1},"00001":{"frames":1,"size_bytes":18446744073709551615}},"audio_done":false}"#).run(|bytes| {
        let _ = (av1an::scenes(bytes, 48), part.cuts(bytes));
        for odd in ["chunks.json", "done.json", "av1an.log", "encode/00000.ivf"] {
            fs::create_dir_all(files.av1an.join("encode")).unwrap();
            for (name, whole) in [("chunks.json", CHUNKS.as_bytes()), ("done.json", DONE.as_bytes()), ("encode/00000.ivf", IVF)] {
                fs::write(files.av1an.join(name), if name == odd { bytes } else { whole }).unwrap();
            }
            fs::write(&files.log, if odd == "av1an.log" { bytes } else { LOG.as_bytes() }).unwrap();
            let board = Board::default();
            let mut follower = Follower::new(&job, &State::default(), 0);
            follower.look(&board);
            assert!(board.read().frames <= job.frames);
            let left = chunks::repair(&files, job.frames).unwrap();
            assert!(left.frames() <= job.frames);
        }
    });
}
