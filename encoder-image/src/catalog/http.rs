//! The catalog's pages; what they are is documented in `av1_crds::wire`.
//!
//! May: read the catalog's memory, and reports, receipts and stills in `.av1`, and have one file looked at. Must never: wait for a scan, or
//! serve any other file.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use av1_crds::paths::{AV1_DIR, RECEIPTS_DIR, REPORT_FILE, STILLS_DIR, WORK_DIR, is_uid, stills_name};
use av1_crds::wire::{CatalogSummary, MAX_STILLS, PlanPage};
use av1_media::receipt::{MAX_RECEIPTS_JSON, file_name};
use axum::extract::{Path as UrlPath, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;

use super::{Shared, metrics, outcomes};
use crate::beneath::Root;
use crate::exposition;

/// Items of a page when the query does not say.
const DEFAULT_PAGE: usize = 100;
/// Largest report that is served.
const MAX_REPORT: usize = 16 << 20;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/v1/summary", get(summary))
        .route("/v1/candidates", get(candidates))
        .route("/v1/files", get(files))
        .route("/v1/file", get(file))
        .route("/v1/plan", get(plan))
        .route("/v1/explain", get(explain))
        .route("/v1/reports/{uid}/{run}", get(report))
        .route("/v1/receipts", get(receipts))
        .route("/v1/outcomes", get(past))
        .route("/v1/stills/{uid}/{run}", get(stills))
        .route("/v1/leftovers", get(leftovers))
        .route("/v1/sidecars", get(sidecars))
        .route("/metrics", get(metrics))
        .with_state(shared)
}

#[derive(Deserialize)]
struct Window {
    #[serde(default)]
    offset: usize,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct Room {
    largest: Option<u64>,
}

#[derive(Deserialize)]
struct After {
    #[serde(default)]
    after: String,
    limit: Option<usize>,
}

#[derive(Deserialize)]
struct OnePath {
    path: String,
}

async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let catalog = shared.catalog();
    if catalog.right_volume {
        return "ready\n".into_response();
    }
    let why = catalog.problem.clone().unwrap_or_else(|| "the volume has not been checked yet".to_owned());
    (StatusCode::SERVICE_UNAVAILABLE, why + "\n").into_response()
}

async fn summary(State(shared): State<Arc<Shared>>) -> Response {
    let summary = shared.catalog().summary(&shared.task.volume_id);
    Json(CatalogSummary { prepare_run: shared.task.prepare_run, ..summary }).into_response()
}

async fn candidates(
    State(shared): State<Arc<Shared>>,
    Query(window): Query<Window>,
    Query(room): Query<Room>,
) -> Response {
    let (limit, largest) = (window.limit.unwrap_or(DEFAULT_PAGE), room.largest.unwrap_or(u64::MAX));
    Json(shared.catalog().candidates(shared.task.scan.order, window.offset, limit, largest)).into_response()
}

async fn files(State(shared): State<Arc<Shared>>, Query(after): Query<After>) -> Response {
    Json(shared.catalog().files(&after.after, after.limit.unwrap_or(DEFAULT_PAGE))).into_response()
}

async fn file(State(shared): State<Arc<Shared>>, Query(OnePath { path }): Query<OnePath>) -> Response {
    match shared.catalog().file(&path) {
        Some(file) => Json(file).into_response(),
        None => (StatusCode::NOT_FOUND, "the catalog knows no file at this path\n").into_response(),
    }
}

async fn plan(State(shared): State<Arc<Shared>>, Query(window): Query<Window>) -> Response {
    let limit = window.limit.unwrap_or(DEFAULT_PAGE);
    let page = shared.catalog().plan(shared.task.scan.order, window.offset, limit);
    Json(PlanPage { settings: Some(shared.task.settings.clone()), ..page }).into_response()
}

async fn explain(State(shared): State<Arc<Shared>>, Query(OnePath { path }): Query<OnePath>) -> Response {
    if !shared.catalog().right_volume {
        return (StatusCode::SERVICE_UNAVAILABLE, "the volume is not the one that it should be\n").into_response();
    }
    // One after the other: each asks ffprobe.
    let Ok(turn) = Arc::clone(&shared.explaining).acquire_owned().await else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the pod is to end\n").into_response();
    };
    let asked = tokio::task::spawn_blocking(move || {
        let answer = super::explain::answer(&shared, &path);
        drop(turn);
        answer
    });
    match asked.await {
        Ok(Ok(explanation)) => Json(explanation).into_response(),
        Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => {
            (StatusCode::NOT_FOUND, "there is no file at this path\n").into_response()
        }
        Ok(Err(e)) if e.kind() == io::ErrorKind::InvalidInput => {
            (StatusCode::BAD_REQUEST, format!("{e}\n")).into_response()
        }
        Ok(Err(e)) => (StatusCode::INTERNAL_SERVER_ERROR, format!("it could not be looked at: {e}\n")).into_response(),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

async fn report(State(shared): State<Arc<Shared>>, UrlPath((uid, run)): UrlPath<(String, String)>) -> Response {
    match run_of(&uid, &run) {
        Some(run) => {
            serve(shared, Path::new(WORK_DIR).join(uid).join(run.to_string()).join(REPORT_FILE), MAX_REPORT).await
        }
        None => unnamed(),
    }
}

async fn stills(State(shared): State<Arc<Shared>>, UrlPath((uid, run)): UrlPath<(String, String)>) -> Response {
    match run_of(&uid, &run) {
        Some(run) => serve(shared, Path::new(STILLS_DIR).join(stills_name(&uid, i64::from(run))), MAX_STILLS).await,
        None => unnamed(),
    }
}

/// The number of a run, when both words name one and can be part of a file's name.
fn run_of(uid: &str, run: &str) -> Option<u32> {
    run.parse().ok().filter(|_| is_uid(uid))
}

fn unnamed() -> Response {
    (StatusCode::BAD_REQUEST, "name it by the UID of a job and the number of a run\n").into_response()
}

async fn receipts(State(shared): State<Arc<Shared>>, Query(OnePath { path }): Query<OnePath>) -> Response {
    serve(shared, Path::new(RECEIPTS_DIR).join(file_name(&path)), MAX_RECEIPTS_JSON).await
}

async fn past(State(shared): State<Arc<Shared>>, Query(after): Query<After>) -> Response {
    if !shared.catalog().right_volume {
        return wrong_volume();
    }
    let limit = after.limit.unwrap_or(DEFAULT_PAGE);
    let read = move || Root::open(&shared.library).and_then(|root| outcomes::page(&root, &after.after, limit));
    match tokio::task::spawn_blocking(read).await.unwrap_or_else(|e| Err(io::Error::other(e))) {
        Ok(page) => Json(page).into_response(),
        Err(e) => unreadable(&e),
    }
}

async fn leftovers(State(shared): State<Arc<Shared>>, Query(window): Query<Window>) -> Response {
    Json(shared.catalog().leftovers(window.offset, window.limit.unwrap_or(DEFAULT_PAGE))).into_response()
}

async fn sidecars(State(shared): State<Arc<Shared>>, Query(after): Query<After>) -> Response {
    let when = shared.task.settings.why_sidecars;
    Json(shared.catalog().sidecars(when, &after.after, after.limit.unwrap_or(DEFAULT_PAGE))).into_response()
}

async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let (summary, probes, unreadable) = {
        let catalog = shared.catalog();
        (catalog.summary(&shared.task.volume_id), catalog.probes, catalog.unreadable_folders)
    };
    match metrics::page(&summary, probes, unreadable) {
        Ok(text) => ([(header::CONTENT_TYPE, exposition::CONTENT_TYPE)], text).into_response(),
        Err(e) => {
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the metrics could not be written: {e}\n")).into_response()
        }
    }
}

/// Serves a JSON file below the library's `.av1`, of at most `most` bytes.
async fn serve(shared: Arc<Shared>, below: PathBuf, most: usize) -> Response {
    if !shared.catalog().right_volume {
        return wrong_volume();
    }
    let read = tokio::task::spawn_blocking(move || read(&shared.library, &below, most)).await;
    match read {
        Ok(Ok(bytes)) => ([(header::CONTENT_TYPE, "application/json")], bytes).into_response(),
        Ok(Err(e)) if e.kind() == io::ErrorKind::NotFound => (StatusCode::NOT_FOUND, "there is none\n").into_response(),
        Ok(Err(e)) => unreadable(&e),
        Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{e}\n")).into_response(),
    }
}

fn wrong_volume() -> Response {
    (StatusCode::SERVICE_UNAVAILABLE, "the volume is not the one that it should be\n").into_response()
}

fn unreadable(error: &io::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, format!("it could not be read: {error}\n")).into_response()
}

fn read(library: &Path, below: &Path, most: usize) -> io::Result<Vec<u8>> {
    let (folder, name) = Root::open(library)?.parent_of(&Path::new(AV1_DIR).join(below))?;
    let mut bytes = Vec::new();
    folder.open_regular(&name)?.take(most as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > most {
        Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it has more than {most} bytes")))
    } else {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_the_uid_of_a_job_or_the_number_of_a_run_names_nothing() {
        assert_eq!(run_of("1f0f2c9e-1111", "3"), Some(3));
        for (uid, run) in [("..", "1"), ("", "1"), ("a/b", "1"), ("a.b", "1"), ("a", "-1"), ("a", "1/../2")] {
            assert_eq!(run_of(uid, run), None, "{uid} {run}");
        }
    }

    #[test]
    fn a_report_is_served_from_its_folder_alone_and_never_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join(".av1/work/uid/1");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join(REPORT_FILE), "{}").unwrap();
        let report = |uid: &str| read(dir.path(), &Path::new(WORK_DIR).join(uid).join("1").join(REPORT_FILE), 10);
        assert_eq!(report("uid").unwrap(), b"{}");
        assert_eq!(report("other").unwrap_err().kind(), io::ErrorKind::NotFound);
        std::fs::write(run.join(REPORT_FILE), "more than ten").unwrap();
        assert_eq!(report("uid").unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        std::fs::remove_file(run.join(REPORT_FILE)).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", run.join(REPORT_FILE)).unwrap();
        assert!(report("uid").is_err());
        std::os::unix::fs::symlink("uid", dir.path().join(".av1/work/link")).unwrap();
        assert!(report("link").is_err());
    }
}
