//! The catalog's metrics as Prometheus text, made from its counts when they are asked for.

use av1_crds::wire::CatalogSummary;
use prometheus::{Encoder as _, Gauge, IntCounter, IntGaugeVec, Opts, Registry, TextEncoder};

/// Media type of the text.
pub(super) const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// The page.
#[allow(clippy::cast_precision_loss)] // milliseconds of a scan
pub(super) fn page(summary: &CatalogSummary, probes: u64, unreadable: u64) -> prometheus::Result<Vec<u8>> {
    let registry = Registry::new();
    let files = IntGaugeVec::new(Opts::new("av1_catalog_files", "Files of the library by state."), &["state"])?;
    let counts = &summary.files;
    for (state, count) in [
        ("pending", counts.pending),
        ("done", counts.done),
        ("alreadyAv1", counts.already_av1),
        ("skipped", counts.skipped),
        ("rejected", counts.rejected),
        ("failed", counts.failed),
        ("unreadable", counts.unreadable),
    ] {
        files.with_label_values(&[state]).set(count);
    }
    registry.register(Box::new(files))?;
    let gauge = |name: &str, help: &str, value: f64| {
        let gauge = Gauge::new(name, help)?;
        gauge.set(value);
        registry.register(Box::new(gauge))
    };
    gauge(
        "av1_catalog_scan_duration_seconds",
        "Seconds that the last scan took.",
        summary.scan_millis as f64 / 1_000.0,
    )?;
    gauge("av1_catalog_unreadable_folders", "Folders and names that the last scan could not read.", unreadable as f64)?;
    let counter = |name: &str, help: &str, value: u64| {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        registry.register(Box::new(counter))
    };
    counter("av1_catalog_scans_total", "Scans finished since the process started.", summary.scans)?;
    counter("av1_catalog_probes_total", "Files that ffprobe was asked about since the process started.", probes)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&registry.gather(), &mut text)?;
    Ok(text)
}
