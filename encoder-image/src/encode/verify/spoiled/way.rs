//! The whole encode role over one small file, in this process and with the real tools: what is refused before anything is
//! encoded, what an output is called, and that the rehearsal is among the checks.

use std::path::Path;
use std::process::Command as Process;

use av1_crds::library::ScanRules;
use av1_crds::reasons;
use av1_crds::settings::{ContainerChange, Settings, SettingsSections};
use av1_crds::wire::{EncodeReport, EncodeResult, EncodeTask, EncodeVerdict, JobId, LibraryId};
use av1_media::verify::REHEARSAL;

use super::sources::{bluray, broadcast, described, quicktime, webm, with_cover};
use super::{ffmpeg, json};
use crate::role::PodArgs;

/// Makes `name` in a library of its own and has it encoded; returns the result and the report.
fn encoded(name: &str, make: fn(&Path, &str), change: fn(&mut Settings)) -> (EncodeResult, EncodeReport) {
    let folder = tempfile::tempdir().unwrap().keep();
    std::fs::write(folder.join("soft"), "").unwrap();
    make(&folder, name);
    let (library, work) = (folder.join("library"), folder.join("work"));
    for folder in [&library, &work] {
        std::fs::create_dir_all(folder).unwrap();
    }
    std::fs::rename(folder.join(name), library.join(name)).unwrap();
    let aged = Process::new("touch").args(["-d", "-2 hours"]).arg(library.join(name)).status().unwrap();
    assert!(aged.success());
    let job: SettingsSections =
        serde_json::from_value(json!({"encode": {"overrides": {"preset": 12, "crf": 60}}})).unwrap();
    let mut settings = Settings::resolve(&[&job]).unwrap();
    settings.max_percent = 100;
    settings.container_change = ContainerChange::Allow;
    change(&mut settings);
    let mut scan = ScanRules::resolve(None).unwrap();
    scan.min_size = 1;
    let text = |text: &str| text.to_owned();
    let task = EncodeTask {
        library: LibraryId { namespace: text("n"), name: text("films"), uid: text("l"), cluster: text("c") },
        job: JobId { name: text("j"), uid: text("j"), run: 1 },
        volume_id: text("v"),
        path: text(name),
        settings,
        scan,
        workers: 1,
        target_utilization_percent: 100,
        take_over_run: None,
        link_run: None,
        force: Vec::new(),
        again: false,
    };
    let args = PodArgs {
        task: String::new(),
        library,
        volume: folder.clone(),
        state_root: folder.clone(),
        work: work.clone(),
        scratch: None,
        catalog: folder.clone(),
        listen: ([127, 0, 0, 1], 0).into(),
        socket: None,
        confined: false,
        pod_uid: text("local"),
        termination_log: folder.join("end"),
    };
    let result = crate::encode::run(&task, &args).unwrap_or_else(|failure| panic!("{:?}", failure.failure));
    let report: EncodeReport = serde_json::from_slice(&std::fs::read(work.join("report.json")).unwrap()).unwrap();
    let mut left = std::fs::read_dir(&work).unwrap().filter_map(|e| e.unwrap().file_name().into_string().ok());
    assert_eq!(left.find(|name| name.starts_with("rehearsal")), None, "the rehearsal leaves nothing behind");
    (result, report)
}

/// Encoded, with every check passed and the rehearsal first.
fn is_whole((result, report): &(EncodeResult, EncodeReport)) {
    assert_eq!(
        (result.verdict, result.reason.as_str()),
        (EncodeVerdict::Encoded, reasons::ENCODED),
        "{}",
        result.message
    );
    assert_eq!(report.checks[0].name, REHEARSAL.0);
    assert!(report.checks.iter().all(|check| check.passed) && report.checks.len() > 20);
}

#[test]
fn media_way_of_a_blu_rays_stream_ends_under_a_new_name() {
    let done = encoded("film.m2ts", bluray, |_| {});
    is_whole(&done);
    let output = done.0.output.unwrap();
    assert_eq!((output.name.as_str(), output.target.as_deref()), ("out.mkv", Some("film.mkv")));
    assert_eq!(done.1.plan.unwrap().target.as_deref(), Some("film.mkv"));
}

#[test]
fn media_way_of_a_quicktime_film_ends_under_a_new_name_or_is_not_begun() {
    let done = encoded("film.mov", quicktime, |_| {});
    is_whole(&done);
    assert_eq!(done.0.output.unwrap().target.as_deref(), Some("film.mkv"));
    let skipped = encoded("film.mov", quicktime, |settings| settings.container_change = ContainerChange::Skip).0;
    assert_eq!((skipped.verdict, skipped.reason.as_str()), (EncodeVerdict::Skipped, reasons::CONTAINER_CHANGE));
    assert!(skipped.message.contains("replacement.containerChange"), "{}", skipped.message);
}

#[test]
fn media_way_of_a_webm_and_of_a_described_matroska_keeps_their_names() {
    for (name, make) in [("film.webm", webm as fn(&Path, &str)), ("film.mkv", described)] {
        let done = encoded(name, make, |_| {});
        is_whole(&done);
        assert_eq!(done.0.output.unwrap().target, None, "{name}");
    }
}

#[test]
fn media_way_of_a_cover_is_told_in_the_plan() {
    let dropped = encoded("film.mkv", with_cover, |_| {});
    is_whole(&dropped);
    assert_eq!(dropped.1.plan.unwrap().dropped, ["video 2 (mjpeg, \"cover.jpg\"): attached pictures are not kept"]);
    let kept = encoded("film.mkv", with_cover, |settings| settings.keep_attached_pictures = true);
    is_whole(&kept);
    assert!(kept.1.plan.unwrap().dropped.is_empty());
}

/// A film beside another that has the name it would get.
fn beside_its_target(folder: &Path, name: &str) {
    quicktime(folder, name);
    std::fs::create_dir(folder.join("library")).unwrap();
    std::fs::write(folder.join("library/film.mkv"), "another film").unwrap();
}

#[test]
fn media_way_of_a_film_whose_new_name_is_taken_is_not_begun() {
    let result = encoded("film.mov", beside_its_target, |_| {}).0;
    assert_eq!((result.verdict, result.reason.as_str()), (EncodeVerdict::Skipped, reasons::TARGET_EXISTS));
}

/// A track for those who want no effects in it: Matroska has no word for that.
fn without_a_word(folder: &Path, name: &str) {
    broadcast(folder, "whole.ts");
    ffmpeg(folder, &format!("-copyts -i @/whole.ts -map 0 -c copy -disposition:a:1 clean_effects -f mpegts @/{name}"));
}

#[test]
fn media_way_of_what_cannot_be_carried_ends_at_the_rehearsal() {
    let (result, report) = encoded("film.ts", without_a_word, |_| {});
    assert_eq!((result.verdict, result.reason.as_str()), (EncodeVerdict::Skipped, reasons::UNSUPPORTED_STREAM));
    assert!(result.message.contains("clean_effects"), "{}", result.message);
    assert_eq!(report.checks.iter().map(|c| (c.name.as_str(), c.passed)).collect::<Vec<_>>(), [(REHEARSAL.0, false)]);
    assert!(!report.commands.contains_key("decode"), "nothing was decoded");
}

/// A clock of a camera.
fn with_timecode(folder: &Path, name: &str) {
    quicktime(folder, "plain.mov");
    ffmpeg(folder, &format!("-i @/plain.mov -map 0:v -map 0:a:0 -c copy -timecode 01:00:00:00 @/{name}"));
}

#[test]
fn media_way_of_a_film_with_data_ends_at_the_gates() {
    let result = encoded("film.mov", with_timecode, |_| {}).0;
    assert_eq!((result.verdict, result.reason.as_str()), (EncodeVerdict::Skipped, reasons::DATA_STREAMS));
}
