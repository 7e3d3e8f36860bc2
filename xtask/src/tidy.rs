//! Rules of the house that no lint covers: the size of files, their heads, where unsafe code may be, the purity of the pure code by its text, and no
//! path of the machine that a file was written on.
//!
//! May: list this checkout with git and read its files. Must never: write a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

/// Longest Rust file or script, in lines.
const MAX_LINES: usize = 600;

/// Words that mean effects, a clock or the environment.
const EFFECTS: &[&str] = &[
    "std::fs",
    "std::env",
    "std::process",
    "std::net",
    "std::thread",
    "File::open",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio",
    "async",
    "println",
    "eprintln",
];

/// Words that mean a client of the API server.
const CLIENTS: &[&str] = &["Api", "Client", "kube::client"];

/// The files that may hold `unsafe` code: what a program is confined by before it starts, and the tests' counter of memory.
const UNSAFE: [&str; 2] = ["encoder-image/src/supervise/confine.rs", "tests/fuzz/src/memory.rs"];

/// Code that only turns values into values: where it is, and whether that includes holding no client.
const PURE: &[(&str, bool)] = &[
    ("crds/src/", false),
    ("media/src/", false),
    ("operator/src/build/", true),
    ("operator/src/library/decide.rs", true),
    ("operator/src/job/decide.rs", true),
    ("kubectl-av1/src/view/", true),
    ("kubectl-av1/src/screen/draw/", true),
    ("kubectl-av1/src/screen/model/", true),
    ("kubectl-av1/src/screen/keys.rs", true),
    ("kubectl-av1/src/screen/update.rs", true),
    ("kubectl-av1/src/checks", true),
    ("kubectl-av1/src/outlook.rs", true),
    ("kubectl-av1/src/backlog.rs", true),
];

/// Checks every file that git knows or would add; prints each finding.
pub(crate) fn check(root: &Path) -> anyhow::Result<()> {
    let machine = machine_paths(root)?;
    let files = list_files(root)?;
    let mut findings = Vec::new();
    for name in &files {
        let Ok(bytes) = fs::read(root.join(name)) else {
            continue;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        findings.extend(judge(name, &text, &machine).into_iter().map(|finding| format!("{name}: {finding}")));
    }
    for finding in &findings {
        println!("{finding}");
    }
    if !findings.is_empty() {
        bail!("{} findings in {} files", findings.len(), files.len());
    }
    println!("{} files are tidy", files.len());
    Ok(())
}

/// Tracked files and those that git would add, but for deleted ones.
fn list_files(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(root)
        .output()
        .context("run git ls-files")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let text = String::from_utf8(output.stdout).context("a file name that is not UTF-8")?;
    Ok(text.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

/// Paths that mean nothing on another machine: the home folder and the checkout, unless they are as short as `/root` or
/// `/work`, which others have too.
fn machine_paths(root: &Path) -> anyhow::Result<Vec<String>> {
    let root = root.canonicalize().context("resolve the checkout's path")?;
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let paths = home.into_iter().chain([root]).filter(|path| path.components().count() > 2);
    Ok(paths.filter_map(|path| path.to_str().map(str::to_owned)).collect())
}

fn judge(name: &str, text: &str, machine: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    let is_rust = name.ends_with(".rs");
    let is_script = name.ends_with(".sh") || text.starts_with("#!");
    let lines = text.lines().count();
    if (is_rust || is_script) && lines > MAX_LINES {
        findings.push(format!("{lines} lines; {MAX_LINES} is the most"));
    }
    if is_rust && !text.starts_with("//!") {
        findings.push("does not open with //! saying what it does, may touch and must never do".to_owned());
    }
    if is_script && !text.lines().find(|line| !line.starts_with("#!")).is_some_and(opens_with_comment) {
        findings.push("does not open with a comment saying what it does".to_owned());
    }
    if let Some((_, no_client)) = PURE.iter().find(|(prefix, _)| is_rust && name.starts_with(prefix)) {
        findings.extend(find_effects(text, *no_client));
    }
    let holds_unsafe =
        |line: &str| !line.trim_start().starts_with("//") && holds_word(line, concat!("unsafe", "_code"));
    if is_rust && !UNSAFE.contains(&name) && text.lines().any(holds_unsafe) {
        findings.push(format!("allows unsafe code; only {} may", UNSAFE.join(" and ")));
    }
    for (number, line) in text.lines().enumerate() {
        if let Some(path) = machine.iter().find(|path| holds_path(line, path)) {
            findings.push(format!("line {}: {path} is a path of this machine", number + 1));
        }
    }
    findings
}

/// A comment of a shell script, or the docstring of a Python one.
fn opens_with_comment(line: &str) -> bool {
    line.starts_with("# ") || line.starts_with("\"\"\"")
}

fn find_effects(text: &str, no_client: bool) -> Vec<String> {
    let words: Vec<&str> = EFFECTS.iter().chain(CLIENTS.iter().filter(|_| no_client)).copied().collect();
    let mut findings = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
        for word in words.iter().filter(|word| holds_word(line, word)) {
            findings.push(format!("line {}: `{word}` in code that must stay pure", number + 1));
        }
    }
    findings
}

fn holds_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word)
        .any(|(start, _)| !line[..start].ends_with(is_part) && !line[start + word.len()..].starts_with(is_part))
}

/// Whether `line` holds `path` as a whole path or as the start of one.
fn holds_path(line: &str, path: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    line.match_indices(path).any(|(start, _)| {
        let before = line[..start].chars().next_back();
        !before.is_some_and(|c| is_part(c) || matches!(c, '/' | '}' | '$'))
            && !line[start + path.len()..].starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_in_a_pure_crate_is_found_and_one_in_a_comment_is_not() {
        let text = "//! Pure.\n// SystemTime::now is not for here\nlet now = SystemTime::now();\n";
        assert_eq!(judge("media/src/plan.rs", text, &[]), ["line 3: `SystemTime::now` in code that must stay pure"]);
        assert!(judge("operator/src/main.rs", text, &[]).is_empty());
    }

    #[test]
    fn a_client_is_found_in_a_deciding_stage_only() {
        let text = "//! Decides.\nfn f(api: Api<Pod>) {}\n";
        assert_eq!(judge("operator/src/job/decide.rs", text, &[]).len(), 1);
        assert!(judge("operator/src/job/apply.rs", text, &[]).is_empty());
        assert!(judge("operator/src/job/decide.rs", "//! D.\nfn apiary() {}\n", &[]).is_empty());
    }

    #[test]
    fn long_files_and_files_without_a_head_are_found() {
        let long = format!("//! Long.\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(judge("a.rs", &long, &[]), ["601 lines; 600 is the most"]);
        assert_eq!(judge("a.rs", "fn main() {}\n", &[]).len(), 1);
        assert_eq!(judge("run", "#!/bin/sh\nset -e\n", &[]).len(), 1);
        assert!(judge("run", "#!/bin/sh\n# Runs.\nset -e\n", &[]).is_empty());
    }

    #[test]
    fn unsafe_code_is_allowed_in_one_file_alone() {
        let text = concat!("//! Does.\n#[expect(unsafe", "_code)]\nfn f() {}\n");
        assert_eq!(judge("operator/src/main.rs", text, &[]).len(), 1);
        assert!(judge(UNSAFE[0], text, &[]).is_empty());
    }

    #[test]
    fn paths_of_the_machine_are_found_as_whole_paths() {
        let machine = ["/home/me".to_owned()];
        assert_eq!(judge("README.md", "see /home/me/x\n", &machine), ["line 1: /home/me is a path of this machine"]);
        assert!(judge("README.md", "/home/meadow is green, /srv/home/me too\n", &machine).is_empty());
    }
}
