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
    /// What it may use.
    pub bounds: Bounds,
}

/// What one call may use at the most; none leaves it to the pod's own limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Memory that it writes to, in bytes.
    pub memory: Option<u64>,
    /// CPU time in seconds.
    pub cpu_seconds: Option<u64>,
    /// Size of any file that it writes, in bytes; pipes are not files.
    pub file_size: Option<u64>,
}

impl Command {
    /// A call of `program` without arguments.
    #[must_use]
    pub fn new(program: &'static str) -> Self {
        Self { program, args: Vec::new(), env: Vec::new(), bounds: Bounds::default() }
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

    /// Sets what it may use.
    #[must_use]
    pub fn bounded(mut self, bounds: Bounds) -> Self {
        self.bounds = bounds;
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
