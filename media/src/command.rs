//! A call of an external program as data: what to run, not how.

use std::ffi::OsString;
use std::path::Path;

/// Program, arguments and extra environment of one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Name of the program, looked up in the image's PATH.
    pub program: &'static str,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Environment variables that are set for it.
    pub env: Vec<(OsString, OsString)>,
}

impl Command {
    /// A call of `program` without arguments.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        Self { program, args: Vec::new(), env: Vec::new() }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Adds `path` as FFmpeg's tools must be given it: an absolute path behind `file:`, so that no name is read as an option,
    /// a protocol or a pattern.
    #[must_use]
    pub fn file(self, path: &Path) -> Self {
        let mut arg = OsString::from("file:");
        arg.push(path);
        self.arg(arg)
    }

    /// Program and arguments as text, for reports; bytes that are not UTF-8 are replaced.
    #[must_use]
    pub fn to_strings(&self) -> Vec<String> {
        std::iter::once(self.program.to_owned())
            .chain(self.args.iter().map(|a| a.to_string_lossy().into_owned()))
            .collect()
    }
}
