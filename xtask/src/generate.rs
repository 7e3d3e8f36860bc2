//! The generated files: which there are, and how they are written or compared.
//!
//! May: read and write the files listed in [`files`]. Must never: write another file, or more of the chart's schema of values than the
//! part that is generated.

mod chart;
mod chart_values;
mod crd;
mod dashboards;
mod promql;
mod reference;
mod rules;
mod values;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use similar::TextDiff;

struct GeneratedFile {
    path: PathBuf,
    text: String,
}

/// Every generated file, with its text.
fn files(root: &Path) -> anyhow::Result<Vec<GeneratedFile>> {
    let crds = crd::all()?;
    let mut files = Vec::new();
    for crd in &crds {
        let name = crd.file_name();
        files.push(GeneratedFile { path: Path::new("crds").join(&name), text: crd.yaml()? });
        files.push(GeneratedFile {
            path: Path::new("helm/av1-operator/templates/crds").join(&name),
            text: chart::template(crd)?,
        });
    }
    let path = PathBuf::from("helm/av1-operator/values.schema.json");
    let present = fs::read_to_string(root.join(&path)).with_context(|| format!("read {}", path.display()))?;
    let text = chart_values::with_library_defaults(&present, &crds)?;
    files.push(GeneratedFile { path, text });
    files.push(GeneratedFile { path: "docs/reference.md".into(), text: reference::markdown(&crds)? });
    // A chart can read only what is below its own folder.
    for (name, text) in dashboards::all()? {
        files.push(GeneratedFile {
            path: format!("helm/av1-operator/files/dashboards/{name}.json").into(),
            text: text.clone(),
        });
        files.push(GeneratedFile { path: format!("dashboards/{name}.json").into(), text });
    }
    files.push(GeneratedFile { path: "helm/av1-operator/files/rules.yaml".into(), text: rules::yaml()? });
    files.push(GeneratedFile { path: "dashboards/rules.yaml".into(), text: rules::yaml()? });
    Ok(files)
}

/// Writes every generated file that differs.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    for file in files(root)? {
        let path = root.join(&file.path);
        if fs::read_to_string(&path).is_ok_and(|text| text == file.text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        fs::write(&path, &file.text).with_context(|| format!("write {}", path.display()))?;
        println!("wrote {}", file.path.display());
    }
    Ok(())
}

/// Prints what differs, and fails if anything does.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let files = files(root)?;
    let mut drifted = 0;
    for file in &files {
        let present = fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        if present == file.text {
            continue;
        }
        drifted += 1;
        let name = file.path.display().to_string();
        print!(
            "{}",
            TextDiff::from_lines(&present, &file.text).unified_diff().context_radius(2).header(&name, "generated")
        );
    }
    if drifted > 0 {
        bail!("{drifted} of {} generated files differ from their sources: run `make generate`", files.len());
    }
    println!("{} generated files are up to date", files.len());
    Ok(())
}
