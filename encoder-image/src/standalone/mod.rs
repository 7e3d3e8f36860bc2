//! What people run without a cluster: `run`, `encode`, `undo`, `explain`, `plan`.
//!
//! May: read the library, start roles as processes of their own. Must never: parse media or change a library's files itself;
//! the roles do, each with the rights that it needs.

mod board;
mod child;
mod config;
pub(crate) mod explain;
mod job;
mod library;
mod purge;
pub(crate) mod run;
mod screen;
mod sidecars;
mod stop;
pub(crate) mod undo;
