//! Which folders are entered and which files are looked at: extensions, include and exclude globs, and the built-in exceptions.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use av1_crds::library::ScanRules;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Folders that are never entered, besides those whose name starts with a dot.
const NEVER_ENTERED: [&str; 4] = ["@eaDir", "#recycle", "#snapshot", "lost+found"];

/// A glob of the library cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} holds \"{glob}\", which is not a glob ({why}): write one such as \"Films/**\"")]
pub struct SelectionError {
    /// Which field.
    pub field: &'static str,
    /// The glob.
    pub glob: String,
    /// What is wrong with it.
    pub why: String,
}

/// Which folders are entered and which files are looked at.
#[derive(Debug, Clone)]
pub struct Selection {
    extensions: Vec<String>,
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// Reads the rules. In a glob `*` stays within one folder and `**` goes across.
    ///
    /// # Errors
    /// [`SelectionError`] names the glob that cannot be used.
    pub fn new(rules: &ScanRules) -> Result<Self, SelectionError> {
        let include = if rules.include.is_empty() { None } else { Some(globs("scan.include", &rules.include)?) };
        let exclude = globs("scan.exclude", &rules.exclude)?;
        Ok(Self { extensions: rules.extensions.clone(), include, exclude })
    }

    /// Whether the folder `name` in `folder`, a path below the library's root, is entered.
    #[must_use]
    pub fn enters(&self, folder: &Path, name: &OsStr) -> bool {
        !is_never_entered(name) && (self.exclude.is_empty() || !self.exclude.is_match(folder.join(name)))
    }

    /// Whether the file `name` in `folder`, a path below the library's root, is looked at.
    #[must_use]
    pub fn takes(&self, folder: &Path, name: &OsStr) -> bool {
        let extension = Path::new(name).extension().and_then(OsStr::to_str);
        if !extension.is_some_and(|found| self.extensions.iter().any(|known| known.eq_ignore_ascii_case(found))) {
            return false;
        }
        if self.include.is_none() && self.exclude.is_empty() {
            return true;
        }
        let path = folder.join(name);
        self.include.as_ref().is_none_or(|include| include.is_match(&path)) && !self.exclude.is_match(&path)
    }
}

/// Whether a folder of this name is passed over by everything that walks a library: those in which storage devices and other
/// programs keep what was deleted, and our own.
#[must_use]
pub fn is_never_entered(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".") || NEVER_ENTERED.iter().any(|known| OsStr::new(known) == name)
}

fn globs(field: &'static str, texts: &[String]) -> Result<GlobSet, SelectionError> {
    let wrong =
        |glob: &str, e: &globset::Error| SelectionError { field, glob: glob.to_owned(), why: e.kind().to_string() };
    let mut set = GlobSetBuilder::new();
    for text in texts {
        set.add(GlobBuilder::new(text).literal_separator(true).build().map_err(|e| wrong(text, &e))?);
    }
    set.build().map_err(|e| wrong(e.glob().unwrap_or_default(), &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(include: &[&str], exclude: &[&str]) -> Result<Selection, SelectionError> {
        let mut rules = ScanRules::resolve(None).unwrap();
        rules.include = include.iter().map(ToString::to_string).collect();
        rules.exclude = exclude.iter().map(ToString::to_string).collect();
        Selection::new(&rules)
    }

    fn takes(selection: &Selection, path: impl AsRef<Path>) -> bool {
        let path = path.as_ref();
        selection.takes(path.parent().unwrap(), path.file_name().unwrap())
    }

    fn enters(selection: &Selection, path: &str) -> bool {
        selection.enters(Path::new(path).parent().unwrap(), Path::new(path).file_name().unwrap())
    }

    #[test]
    fn files_are_taken_by_extension_in_any_case() {
        let all = selection(&[], &[]).unwrap();
        for path in ["a.mkv", "Films/B.MKV", "x/y.m2ts"] {
            assert!(takes(&all, path), "{path}");
        }
        for path in ["a.txt", "mkv", ".mkv", "a.mkv.av1skip", "a.mkv.part"] {
            assert!(!takes(&all, path), "{path}");
        }
        assert!(takes(&all, OsStr::from_bytes(b"\xff\xfe.mkv")));
    }

    #[test]
    fn dot_folders_and_those_of_storage_devices_are_not_entered() {
        let all = selection(&[], &[]).unwrap();
        for path in [".av1", "a/.snapshot", "@eaDir", "a/#recycle", "#snapshot", "lost+found", ".zfs"] {
            assert!(!enters(&all, path), "{path}");
        }
        assert!(enters(&all, "a/b (1995)"));
    }

    #[test]
    fn globs_include_and_exclude_files_and_folders() {
        let some = selection(&["Films/**"], &["**/Extras", "*.avi"]).unwrap();
        assert!(takes(&some, "Films/a/b.mkv") && !takes(&some, "Shows/b.mkv"));
        assert!(!enters(&some, "Films/a/Extras") && enters(&some, "Films/a"));
        assert!(takes(&some, "Films/b.avi"), "a single star stays within one folder");
    }

    #[test]
    fn a_wrong_glob_is_named_in_the_error() {
        let error = selection(&["a[", "b"], &[]).unwrap_err();
        assert_eq!((error.field, error.glob.as_str()), ("scan.include", "a["));
        assert!(error.to_string().contains("\"a[\""), "{error}");
    }
}
