//! All knowledge of video files, FFmpeg, Av1an and AV1 as data in, data out.
//!
//! May: be called with values, times and versions. Must never: do I/O of any kind, read a clock or the environment.

pub mod av1an;
pub mod bars;
pub mod classify;
pub mod command;
pub mod encoders;
pub mod fields;
pub mod frames;
pub mod gates;
pub mod identity;
pub mod ivf;
pub mod joined;
pub mod journal;
pub mod language;
pub mod light;
pub mod local;
pub mod marker;
pub mod matroska;
pub mod mp4;
pub mod mux;
pub mod obu;
pub mod packets;
pub mod picture;
pub mod pinning;
pub mod plan;
pub mod probe;
pub mod profile;
pub mod progress;
pub mod quality;
pub mod rational;
pub mod receipt;
pub mod rehearse;
pub mod restore;
pub mod rotation;
pub mod scenes;
pub mod single;
pub mod size_gate;
pub mod stop_early;
pub mod streams;
pub mod swap;
pub mod target;
pub mod topology;
pub mod trash;
pub mod verify;
pub mod versions;
