//! Files made to use up what looks at them, probed with the real ffprobe: each gets a verdict within its bound. Needs the
//! encoder image's tools; `tests/media/spoil/run` runs it there.

use av1_media::command::Bounds;
use av1_media::probe::PROBE_BOUNDS;

use super::*;

/// A Matroska file of a few kB whose pictures take 200 MB each.
fn bomb(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("bomb.mkv");
    let command = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "color=size=8192x8192:rate=1,format=rgb24"])
        .args(["-frames:v", "20", "-c:v", "png", "-compression_level", "1"])
        .file(&path);
    capture(&command, &Limits { wall: Duration::from_secs(300), stdout: 1_000 }).unwrap();
    path
}

#[test]
fn media_a_file_gets_no_more_memory_and_time_than_ffprobe_may_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = bomb(folder.path());
    assert!(std::fs::metadata(&path).unwrap().len() < 30 << 20);
    let complaints = |bounds| {
        let limits = Limits { wall: Duration::from_secs(PROBE_SECONDS), stdout: MAX_JSON };
        capture(&ffprobe(&path).bounded(bounds), &limits).map_or_else(|e| e.to_string(), |c| c.stderr_tail)
    };
    assert_eq!(complaints(PROBE_BOUNDS), "", "it is a video, within the usual bounds");
    // What the header tells can be told without a picture.
    let small = complaints(Bounds { memory: Some(150 << 20), ..PROBE_BOUNDS });
    assert!(small.contains("get_buffer() failed") || small.contains("150 MiB of memory"), "{small}");
    match ask(&ffprobe(&path).bounded(Bounds { cpu_seconds: Some(1), ..PROBE_BOUNDS }), &path) {
        Content::Unreadable(why) => assert_eq!(why, "ffprobe needed more than 1 s of CPU time"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn media_ffprobe_cannot_write_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.log");
    let mut command = ffprobe(Path::new("/dev/null"));
    command.env.push(("FFREPORT".into(), format!("file={}:level=56", report.display()).into()));
    let _ = ask(&command, Path::new("/dev/null"));
    assert_eq!(std::fs::metadata(&report).map_or(0, |meta| meta.len()), 0);
    command.bounds.file_size = None;
    let _ = ask(&command, Path::new("/dev/null"));
    assert!(std::fs::metadata(&report).unwrap().len() > 0);
}
