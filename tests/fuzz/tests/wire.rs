//! What programs of ours tell each other, and what users write, against the types of `av1-crds`.

use av1_crds::quantity::{parse_bytes, parse_seconds};
use av1_crds::wire::{
    CandidatePage, CatalogSummary, CatalogTask, EncodeProgress, EncodeReport, EncodeResult, EncodeTask,
    FileExplanation, FilePage, LookResult, MakeResult, OutcomePage, PlanPage, PodResult, SettleResult, SettleTask,
    Stills, VolumeFile,
};
use av1_crds::{EncodeJob, MediaLibrary};
use av1_fuzz::Fuzz;
use av1_fuzz::samples::{
    CANDIDATES, FILES, JOB, LIBRARY, OUTCOMES, PROGRESS, REPORT, STILLS, SUMMARY, TASK, TERMINATION,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads `T`; what could be read can be written and read again.
fn read<T: DeserializeOwned + Serialize>(bytes: &[u8]) {
    if let Ok(value) = serde_json::from_slice::<T>(bytes) {
        let json = serde_json::to_vec(&value).unwrap();
        serde_json::from_slice::<T>(&json).unwrap();
    }
}

#[test]
fn termination_messages() {
    Fuzz::new("termination").sample(TERMINATION).large("{\"done\":".repeat(1 << 16)).run(|bytes| {
        read::<PodResult<EncodeResult>>(bytes);
        read::<PodResult<SettleResult>>(bytes);
        read::<PodResult<MakeResult>>(bytes);
        read::<PodResult<LookResult>>(bytes);
    });
}

#[test]
fn reports() {
    Fuzz::new("report").sample(REPORT).run(read::<EncodeReport>);
}

#[test]
fn progress_pages() {
    Fuzz::new("progress").sample(PROGRESS).run(read::<EncodeProgress>);
}

#[test]
fn pages_of_the_catalog() {
    Fuzz::new("catalog-pages").sample(SUMMARY).sample(FILES).sample(CANDIDATES).sample(OUTCOMES).sample(STILLS).run(
        |bytes| {
            read::<CatalogSummary>(bytes);
            read::<FilePage>(bytes);
            read::<CandidatePage>(bytes);
            read::<PlanPage>(bytes);
            read::<FileExplanation>(bytes);
            read::<OutcomePage>(bytes);
            read::<Stills>(bytes);
            read::<VolumeFile>(bytes);
        },
    );
}

#[test]
fn tasks_of_pods() {
    Fuzz::new("tasks").sample(TASK).run(|bytes| {
        read::<EncodeTask>(bytes);
        read::<SettleTask>(bytes);
        read::<CatalogTask>(bytes);
    });
}

#[test]
fn objects_of_the_api() {
    Fuzz::new("objects").sample(LIBRARY).sample(JOB).run(|bytes| {
        read::<MediaLibrary>(bytes);
        read::<EncodeJob>(bytes);
    });
}

#[test]
fn sizes_and_durations() {
    let fuzz =
        ["2Gi", "168h", "1h 30m", "90 minutes", "7"].iter().fold(Fuzz::new("quantity"), |fuzz, text| fuzz.sample(text));
    fuzz.large("9".repeat(1 << 16)).large("1h ".repeat(1 << 14)).run(|bytes| {
        let text = String::from_utf8_lossy(bytes);
        if let Ok(size) = parse_bytes(&text) {
            assert!(i64::try_from(size).is_ok());
        }
        let _ = parse_seconds(&text);
    });
}
