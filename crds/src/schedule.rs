//! When encodes run: windows of the week in a time zone.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When encodes run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduleSpec {
    /// Time zone of the windows by its IANA name, such as Europe/Athens; its summer time is followed. Default: UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub time_zone: Option<String>,
    /// Encodes start within any of these, and at no other time. What the user orders of one file, such as an undo, is done at once.
    #[schemars(length(min = 1, max = 64))]
    pub windows: Vec<Window>,
    /// What becomes of encodes that run when a window ends. Default: Pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<Outside>,
}

/// A span of time that comes again every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Window {
    /// Days on which it begins. Default: every day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 7))]
    pub days: Option<Vec<Day>>,
    /// Time of day of its start, such as 22:00.
    #[schemars(length(max = 5))]
    #[x_kube(validation = ("self.matches('^([01][0-9]|2[0-3]):[0-5][0-9]$')", "schedule.windows.start is a time of day from 00:00 to 23:59: write 22:00"))]
    pub start: String,
    /// Time of day of its end, such as 07:00; not later than the start, it is that of the next day.
    #[schemars(length(max = 5))]
    #[x_kube(validation = ("self.matches('^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$')", "schedule.windows.end is a time of day from 00:00 to 24:00: write 07:00"))]
    pub end: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// What becomes of encodes that run when a window ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Outside {
    /// They stop, keep what they finished, and go on in the next window.
    #[default]
    Pause,
    /// They run to their end.
    Finish,
}
