//! Is this a time to encode, and until when? Pure: the time is handed in.

use av1_crds::MediaLibrary;
use av1_crds::schedule::{Day, Outside, ScheduleSpec, Window};
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// Why a schedule can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ScheduleError {
    /// No time zone has that name.
    #[error("spec.schedule.timeZone \"{0}\" is not known: write an IANA name such as Europe/Athens")]
    TimeZone(String),
    /// A time of day that isn't one.
    #[error("spec.schedule.windows has the time \"{0}\": write a time of day such as 22:00")]
    Time(String),
    /// No window ever opens.
    #[error("spec.schedule.windows opens at no time of the week: add a window, or remove spec.schedule")]
    Never,
}

/// What a schedule says of a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum View {
    /// Encodes may run.
    Open,
    /// No encode starts before this time.
    Closed { until: Timestamp, told: String },
}

/// Days whose windows are looked at: a window that is skipped as the clocks change comes again a week later.
const AHEAD: i64 = 15;

/// What `schedule` says of the time `now`.
///
/// # Errors
/// [`ScheduleError`] when it can't be followed.
pub(crate) fn look(schedule: &ScheduleSpec, now: Timestamp) -> Result<View, ScheduleError> {
    let zone = zone_of(schedule)?;
    let today = now.to_zoned(zone.clone()).date();
    let mut next: Option<Timestamp> = None;
    // A window that began yesterday may still be open.
    for ahead in -1..=AHEAD {
        let Ok(date) = today.checked_add(ahead.days()) else { continue };
        for window in &schedule.windows {
            let Some((start, end)) = span(window, date, &zone)? else { continue };
            if (start..end).contains(&now) {
                return Ok(View::Open);
            }
            if start > now && next.is_none_or(|next| start < next) {
                next = Some(start);
            }
        }
    }
    let until = next.ok_or(ScheduleError::Never)?;
    let told = until.to_zoned(zone.clone()).strftime("%a %Y-%m-%d %H:%M").to_string();
    Ok(View::Closed { until, told: format!("{told} {}", schedule.time_zone.as_deref().unwrap_or("UTC")) })
}

/// The time until which the schedule of `library` stops what runs; none when it does not.
pub(crate) fn stops(library: &MediaLibrary, now: Timestamp) -> Option<(Timestamp, String)> {
    let schedule = library.spec.schedule.as_ref().filter(|s| s.outside.unwrap_or_default() == Outside::Pause)?;
    match look(schedule, now) {
        Ok(View::Closed { until, told }) => Some((until, told)),
        Ok(View::Open) | Err(_) => None,
    }
}

fn zone_of(schedule: &ScheduleSpec) -> Result<TimeZone, ScheduleError> {
    let name = schedule.time_zone.as_deref().unwrap_or("UTC");
    TimeZone::get(name).map_err(|_| ScheduleError::TimeZone(name.to_owned()))
}

/// The instants between which the window of `date` is open; none when it does not begin on that day, or the clocks' change takes
/// it away. A time that the change skips is as long after it as it was before; of a time that comes twice it is the first.
fn span(window: &Window, date: Date, zone: &TimeZone) -> Result<Option<(Timestamp, Timestamp)>, ScheduleError> {
    let (start, end) = (time(&window.start)?, time(&window.end)?);
    if window.days.as_ref().is_some_and(|days| days.iter().all(|day| weekday(*day) != date.weekday())) {
        return Ok(None);
    }
    let last = if end > start { Ok(date) } else { date.tomorrow() };
    let instant = |date: Date, time: Time| date.to_datetime(time).to_zoned(zone.clone()).map(|at| at.timestamp());
    let Ok((start, end)) = last.and_then(|last| Ok((instant(date, start)?, instant(last, end)?))) else {
        return Ok(None);
    };
    Ok((start < end).then_some((start, end)))
}

fn time(text: &str) -> Result<Time, ScheduleError> {
    let wrong = || ScheduleError::Time(text.to_owned());
    let (hour, minute) = text.split_once(':').ok_or_else(wrong)?;
    let (hour, minute): (i8, i8) = (hour.parse().map_err(|_| wrong())?, minute.parse().map_err(|_| wrong())?);
    // The end of a day is the start of the next.
    let hour = if (hour, minute) == (24, 0) { 0 } else { hour };
    Time::new(hour, minute, 0, 0).map_err(|_| wrong())
}

fn weekday(day: Day) -> Weekday {
    match day {
        Day::Mon => Weekday::Monday,
        Day::Tue => Weekday::Tuesday,
        Day::Wed => Weekday::Wednesday,
        Day::Thu => Weekday::Thursday,
        Day::Fri => Weekday::Friday,
        Day::Sat => Weekday::Saturday,
        Day::Sun => Weekday::Sunday,
    }
}

/// Seconds until `until`, from 1 to `most`.
pub(crate) fn seconds_until(until: Timestamp, now: Timestamp, most: u64) -> u64 {
    let left: SignedDuration = until.duration_since(now);
    u64::try_from(left.as_secs()).unwrap_or(0).clamp(1, most)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn schedule(zone: &str, windows: Value) -> ScheduleSpec {
        serde_json::from_value(json!({"timeZone": zone, "windows": windows})).unwrap()
    }

    /// When the schedule opens, seen from `now`; none while it is open.
    fn opens(schedule: &ScheduleSpec, now: &str) -> Option<String> {
        match look(schedule, now.parse().unwrap()).unwrap() {
            View::Open => None,
            View::Closed { until, .. } => Some(until.to_string()),
        }
    }

    #[test]
    fn a_night_goes_on_after_midnight_and_belongs_to_the_day_it_begins_on() {
        let weekend = schedule("UTC", json!([{"days": ["Sat", "Sun"], "start": "22:00", "end": "07:00"}]));
        // 2026-11-28 is a Saturday.
        assert_eq!(opens(&weekend, "2026-11-28T21:59:59Z").as_deref(), Some("2026-11-28T22:00:00Z"));
        for open in ["2026-11-28T22:00:00Z", "2026-11-29T06:59:59Z", "2026-11-29T22:00:00Z", "2026-11-30T06:00:00Z"] {
            assert_eq!(opens(&weekend, open), None, "{open}");
        }
        assert_eq!(opens(&weekend, "2026-11-29T07:00:00Z").as_deref(), Some("2026-11-29T22:00:00Z"));
        assert_eq!(opens(&weekend, "2026-11-30T07:00:00Z").as_deref(), Some("2026-12-05T22:00:00Z"));
    }

    #[test]
    fn summer_time_is_followed() {
        let nights = schedule("Europe/Athens", json!([{"start": "22:00", "end": "07:00"}]));
        assert_eq!(opens(&nights, "2026-07-01T12:00:00Z").as_deref(), Some("2026-07-01T19:00:00Z"));
        assert_eq!(opens(&nights, "2026-12-01T12:00:00Z").as_deref(), Some("2026-12-01T20:00:00Z"));
        // The night in which the clocks go forward has eight hours, that in which they go back ten.
        assert_eq!(opens(&nights, "2026-03-29T03:59:59Z"), None);
        assert_eq!(opens(&nights, "2026-03-29T04:00:00Z").as_deref(), Some("2026-03-29T19:00:00Z"));
        assert_eq!(opens(&nights, "2026-10-25T04:59:59Z"), None);
        assert_eq!(opens(&nights, "2026-10-25T05:00:00Z").as_deref(), Some("2026-10-25T20:00:00Z"));
    }

    #[test]
    fn a_window_that_the_clocks_skip_comes_a_week_later() {
        // At 03:00 on 2026-03-29 it is 04:00 in Athens: half past three is half past four, after the window's end.
        let early = schedule("Europe/Athens", json!([{"days": ["Sun"], "start": "03:30", "end": "04:00"}]));
        assert_eq!(opens(&early, "2026-03-28T12:00:00Z").as_deref(), Some("2026-04-05T00:30:00Z"));
    }

    #[test]
    fn whole_days_and_windows_that_meet_leave_no_gap() {
        let always = schedule("UTC", json!([{"start": "00:00", "end": "24:00"}]));
        let halves = schedule("UTC", json!([{"start": "06:00", "end": "18:00"}, {"start": "18:00", "end": "06:00"}]));
        for now in ["2026-11-22T00:00:00Z", "2026-11-22T05:59:59Z", "2026-11-22T18:00:00Z", "2026-11-22T23:59:59Z"] {
            assert_eq!((opens(&always, now), opens(&halves, now)), (None, None), "{now}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let told = |zone, windows| look(&schedule(zone, windows), now).unwrap_err().to_string();
        assert!(
            told("Europe/Athen", json!([{"start": "22:00", "end": "07:00"}])).contains("\"Europe/Athen\" is not known")
        );
        assert!(told("UTC", json!([{"start": "25:00", "end": "07:00"}])).contains("\"25:00\""));
        assert!(told("UTC", json!([])).contains("add a window"));
    }

    #[test]
    fn a_moment_outside_is_told_in_the_zone_of_the_schedule() {
        let nights = schedule("Europe/Athens", json!([{"start": "22:00", "end": "07:00"}]));
        let View::Closed { told, .. } = look(&nights, "2026-12-01T12:00:00Z".parse().unwrap()).unwrap() else {
            panic!("it is open");
        };
        assert_eq!(told, "Tue 2026-12-01 22:00 Europe/Athens");
    }
}
