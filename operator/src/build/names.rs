//! Deterministic names, so that making a thing twice is making it once. Pure.

use std::collections::HashSet;

use av1_crds::MediaLibrary;
use av1_crds::wire::Candidate;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

/// Name of the prepare Job of a run.
pub(crate) fn prepare_name(library_uid: &str, run: i64) -> String {
    format!("{library_uid}-prepare-{run}")
}

/// Name of the purge Job of a run.
pub(crate) fn purge_name(library_uid: &str, run: i64) -> String {
    format!("{library_uid}-purge-{run}")
}

/// Name of the sidecars Job of a run.
pub(crate) fn sidecars_name(library_uid: &str, run: i64) -> String {
    format!("{library_uid}-sidecars-{run}")
}

/// By what two descriptions of the same kind are told apart: the first 8 bytes of a SHA-256, in hexadecimal.
pub(crate) fn digest(text: impl AsRef<[u8]>) -> String {
    hex::encode(&Sha256::digest(text)[..8])
}

/// Name of a survey Job; another node, boot or attempt makes another name.
pub(crate) fn survey_name(library_uid: &str, node: &str, boot_id: &str, attempt: i64) -> String {
    let mut hash = Sha256::new();
    for part in [node, boot_id] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    format!("{library_uid}-survey-{}-{attempt}", &hex::encode(hash.finalize())[..8])
}

/// Name of the batch Job of a run of an EncodeJob.
pub(crate) fn batch_name(job_uid: &str, role: &str, run: i64) -> String {
    format!("{job_uid}-{role}-{run}")
}

/// Name of a library's catalog Deployment and Service.
pub(crate) fn catalog_name(library: &str) -> String {
    format!("{library}-catalog")
}

/// Names of the EncodeJobs of a file as it is now, the first, the second and so on; another size or time makes other names.
pub(crate) fn job_names(library: &MediaLibrary, file: &Candidate) -> impl Iterator<Item = String> {
    let head: String = library.name_any().chars().take(52).collect();
    let mut hash = Sha256::new();
    let uid = library.uid().unwrap_or_default();
    for part in [&uid, &file.path, &file.size.to_string(), &file.modified_time_ns.to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    (0_u32..).map(move |earlier| {
        let mut hash = hash.clone();
        if earlier > 0 {
            hash.update(earlier.to_string().as_bytes());
        }
        format!("{head}-{}", &hex::encode(hash.finalize())[..10])
    })
}

/// The first of those names that no job has.
pub(crate) fn free_job_name(library: &MediaLibrary, file: &Candidate, taken: &HashSet<String>) -> String {
    job_names(library, file).find(|name| !taken.contains(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(library: &str, uid: &str, path: &str, size: u64, modified_time_ns: i64) -> String {
        let library =
            serde_json::from_value(serde_json::json!({"apiVersion": "av1.media/v1alpha1", "kind": "MediaLibrary",
            "metadata": {"name": library, "uid": uid}, "spec": {"volume": {}}}))
            .unwrap();
        let file = Candidate { path: path.into(), size, modified_time_ns, width: 0, height: 0, duration_millis: 0 };
        let first = free_job_name(&library, &file, &HashSet::new());
        let second = free_job_name(&library, &file, &HashSet::from([first.clone()]));
        assert_ne!(first, second);
        first
    }

    #[test]
    fn a_file_keeps_its_jobs_name_until_path_size_or_time_change_or_the_name_is_taken() {
        let name = first("films", "u", "a/b.mkv", 1, 2);
        assert_eq!(name, first("films", "u", "a/b.mkv", 1, 2));
        for other in [
            first("films", "v", "a/b.mkv", 1, 2),
            first("films", "u", "a/c.mkv", 1, 2),
            first("films", "u", "a/b.mkv", 12, 2),
            first("films", "u", "a/b.mkv", 1, 3),
        ] {
            assert_ne!(name, other);
        }
        assert!(first(&"x".repeat(40), "u", "p", 1, 2).len() <= 63);
    }
}
