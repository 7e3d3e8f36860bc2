//! Deterministic names, so that making a thing twice is making it once. Pure.

use sha2::{Digest, Sha256};

/// Name of the prepare Job of a run.
pub(crate) fn prepare_name(library_uid: &str, run: i64) -> String {
    format!("{library_uid}-prepare-{run}")
}

/// Name of the batch Job of a run of an EncodeJob.
pub(crate) fn batch_name(job_uid: &str, role: &str, run: i64) -> String {
    format!("{job_uid}-{role}-{run}")
}

/// Name of a library's catalog Deployment and Service.
pub(crate) fn catalog_name(library: &str) -> String {
    format!("{library}-catalog")
}

/// Name of the EncodeJob of a file as it is now; another size or time makes another name.
pub(crate) fn encode_job_name(
    library: &str,
    library_uid: &str,
    path: &str,
    size: u64,
    modified_time_ns: i64,
) -> String {
    let mut hash = Sha256::new();
    for part in [library_uid, path, &size.to_string(), &modified_time_ns.to_string()] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let digest = hex::encode(hash.finalize());
    let head: String = library.chars().take(52).collect();
    format!("{head}-{}", &digest[..10])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_its_jobs_name_until_path_size_or_time_change() {
        let name = encode_job_name("films", "u", "a/b.mkv", 1, 2);
        assert_eq!(name, encode_job_name("films", "u", "a/b.mkv", 1, 2));
        for other in [
            encode_job_name("films", "v", "a/b.mkv", 1, 2),
            encode_job_name("films", "u", "a/c.mkv", 1, 2),
            encode_job_name("films", "u", "a/b.mkv", 12, 2),
            encode_job_name("films", "u", "a/b.mkv", 1, 3),
        ] {
            assert_ne!(name, other);
        }
        assert!(encode_job_name(&"x".repeat(40), "u", "p", 1, 2).len() <= 63);
    }
}
