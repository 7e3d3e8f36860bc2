//! The catalog's metrics as Prometheus text, made from its counts when they are asked for.

use av1_crds::metrics as table;
use av1_crds::wire::CatalogSummary;

use crate::exposition::Exposition;

/// The page.
#[allow(clippy::cast_precision_loss)] // counts far below 2^52
pub(super) fn page(summary: &CatalogSummary, probes: u64, unreadable: u64) -> prometheus::Result<String> {
    let page = Exposition::new()?;
    let counts = &summary.files;
    let files = [
        ("pending", counts.pending),
        ("done", counts.done),
        ("alreadyAv1", counts.already_av1),
        ("skipped", counts.skipped),
        ("rejected", counts.rejected),
        ("failed", counts.failed),
        ("unreadable", counts.unreadable),
    ];
    page.put_series(&table::CATALOG_FILES, &files.map(|(state, count)| ([state], count as f64)))?;
    page.put(&table::CATALOG_SCAN_DURATION, summary.scan_millis as f64 / 1_000.0)?;
    page.put(&table::CATALOG_UNREADABLE_FOLDERS, unreadable as f64)?;
    page.put(&table::CATALOG_SCANS, summary.scans as f64)?;
    page.put(&table::CATALOG_PROBES, probes as f64)?;
    page.text(table::CATALOG_POD)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_table_and_the_process_are_on_the_page() {
        let page = page(&CatalogSummary::default(), 3, 0).unwrap();
        for metric in table::CATALOG_POD {
            assert!(page.contains(&format!("\n{}", metric.name)), "{}", metric.name);
        }
        assert!(page.contains("av1_catalog_probes_total 3\n") && page.contains("process_cpu_seconds_total"), "{page}");
    }
}
