//! When a schedule is due: cron expressions by the clock of a time zone.
//!
//! A clock that is put forward skips times: what is due at one of them is due when the clock goes on. A
//! clock that is put back shows times twice: what is due at one time of the day is due at the first of
//! them, and what is due every so many minutes goes on being due.

use bugle_core::Time;
use bugle_core::platform::{Recurrence, Timing};
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use thiserror::Error;

/// Why a recurrence cannot be kept. The fault is of whoever wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum CalendarError {
    /// The expression is none.
    #[error("{cron:?} is no cron expression of five fields, as \"30 22 * * 1-5\": {reason}")]
    Cron {
        /// What was written.
        cron: String,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no such time zone.
    #[error("{0:?} is no time zone; name one of the IANA database, as Europe/Vienna, or UTC")]
    TimeZone(String),
    /// No such time ever comes, as on the 30th of February.
    #[error("{0:?} never comes")]
    Never(String),
}

/// When a schedule is due first, if it is put now.
pub(crate) fn first_due(timing: &Timing, now: Time) -> Result<Time, CalendarError> {
    match timing {
        Timing::Once(at) => Ok(*at),
        Timing::Recurring { recurrence, not_before } => match not_before {
            Some(not_before) if *not_before > now => next(recurrence, *not_before, Inclusion::Itself),
            _ => next(recurrence, now, Inclusion::After),
        },
    }
}

/// When a schedule is due next after `now`, having been seen to; never if it was for once, or if its
/// times have ended.
pub(crate) fn next_due(timing: &Timing, now: Time) -> Option<Time> {
    match timing {
        Timing::Once(_) => None,
        Timing::Recurring { recurrence, .. } => next(recurrence, now, Inclusion::After).ok(),
    }
}

/// Whether the time from which on is looked counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inclusion {
    Itself,
    After,
}

fn next(recurrence: &Recurrence, from: Time, inclusion: Inclusion) -> Result<Time, CalendarError> {
    let cron = parse(&recurrence.cron)?;
    let zone = zone(&recurrence.time_zone)?;
    let never = || CalendarError::Never(recurrence.cron.clone());
    let from = zoned(from, zone).ok_or_else(never)?;
    let next = cron.find_next_occurrence(&from, inclusion == Inclusion::Itself).map_err(|_| never())?;
    let millis = u64::try_from(next.timestamp().as_millisecond()).map_err(|_| never())?;
    Ok(Time::from_millis(millis))
}

fn parse(cron: &str) -> Result<Cron, CalendarError> {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(cron).map_err(|error| CalendarError::Cron { cron: cron.to_owned(), reason: error.to_string() })
}

fn zone(name: &str) -> Result<TimeZone, CalendarError> {
    TimeZone::get(name).map_err(|_| CalendarError::TimeZone(name.to_owned()))
}

fn zoned(time: Time, zone: TimeZone) -> Option<Zoned> {
    let timestamp = Timestamp::from_millisecond(i64::try_from(time.as_millis()).ok()?).ok()?;
    Some(timestamp.to_zoned(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        let zoned: Zoned = text.parse().expect("a time in a zone");
        Time::from_millis(u64::try_from(zoned.timestamp().as_millisecond()).expect("after the epoch"))
    }

    fn recurring(cron: &str, time_zone: &str, not_before: Option<Time>) -> Timing {
        Timing::Recurring { recurrence: Recurrence { cron: cron.into(), time_zone: time_zone.into() }, not_before }
    }

    /// The next times after one, in the words of the zone.
    fn due(cron: &str, time_zone: &str, after: &str, count: usize) -> Vec<String> {
        let timing = recurring(cron, time_zone, None);
        let mut now = at(after);
        let mut found = Vec::new();
        for _ in 0..count {
            now = next_due(&timing, now).expect("there is another");
            let zone = zone(time_zone).expect("a zone");
            found.push(zoned(now, zone).expect("a time").strftime("%m-%d %H:%M %Z").to_string());
        }
        found
    }

    #[test]
    fn times_are_those_of_the_clock_on_the_wall() {
        let summer = due("30 22 * * 1-5", "Europe/Vienna", "2026-07-03T12:00[Europe/Vienna]", 2);
        assert_eq!(summer, ["07-03 22:30 CEST", "07-06 22:30 CEST"]);
        let both = due("0 12 25 * *", "Europe/Vienna", "2026-10-01T00:00[Europe/Vienna]", 2);
        assert_eq!(both, ["10-25 12:00 CET", "11-25 12:00 CET"]);
        assert_eq!(
            due("*/20 * * * *", "UTC", "2026-01-01T00:00[UTC]", 3),
            ["01-01 00:20 UTC", "01-01 00:40 UTC", "01-01 01:00 UTC"]
        );
        assert_eq!(due("0 0 29 2 *", "UTC", "2026-01-01T00:00[UTC]", 1), ["02-29 00:00 UTC"]);
    }

    #[test]
    fn what_is_due_while_the_clock_is_put_forward_is_due_when_it_goes_on() {
        // On 29 March 2026 the clocks of Vienna go from 02:00 to 03:00.
        let daily = due("30 2 * * *", "Europe/Vienna", "2026-03-28T12:00[Europe/Vienna]", 2);
        assert_eq!(daily, ["03-29 03:00 CEST", "03-30 02:30 CEST"]);
        let often = due("*/30 * * * *", "Europe/Vienna", "2026-03-29T01:00[Europe/Vienna]", 3);
        assert_eq!(often, ["03-29 01:30 CET", "03-29 03:00 CEST", "03-29 03:30 CEST"]);
    }

    #[test]
    fn what_is_due_while_the_clock_is_put_back_is_due_once_a_day_or_as_often_as_ever() {
        // On 25 October 2026 the clocks of Vienna go from 03:00 to 02:00.
        let daily = due("30 2 * * *", "Europe/Vienna", "2026-10-24T12:00[Europe/Vienna]", 2);
        assert_eq!(daily, ["10-25 02:30 CEST", "10-26 02:30 CET"]);
        let often = due("*/30 * * * *", "Europe/Vienna", "2026-10-25T02:00:00+02:00[Europe/Vienna]", 4);
        assert_eq!(often, ["10-25 02:30 CEST", "10-25 02:00 CET", "10-25 02:30 CET", "10-25 03:00 CET"]);
    }

    #[test]
    fn a_schedule_is_not_due_before_the_time_it_says() {
        let now = at("2026-07-01T12:00[UTC]");
        let noon = at("2026-07-09T12:00[UTC]");
        assert_eq!(first_due(&Timing::Once(noon), now), Ok(noon));
        assert_eq!(first_due(&recurring("0 12 * * *", "UTC", Some(noon)), now), Ok(noon));
        assert_eq!(first_due(&recurring("0 12 * * *", "UTC", Some(now)), now), Ok(at("2026-07-02T12:00[UTC]")));
    }

    #[test]
    fn times_that_passed_unseen_do_not_come_back() {
        let hourly = recurring("0 * * * *", "UTC", None);
        assert_eq!(next_due(&hourly, at("2026-07-04T09:30[UTC]")), Some(at("2026-07-04T10:00[UTC]")));
        assert_eq!(next_due(&Timing::Once(at("2026-07-04T09:30[UTC]")), at("2026-07-04T09:31[UTC]")), None);
    }

    #[test]
    fn what_cannot_be_kept_is_refused_with_the_reason() {
        let refused = |cron, zone| first_due(&recurring(cron, zone, None), at("2026-07-01T12:00[UTC]")).err();
        for cron in ["", "* * * *", "61 * * * *", "0 0 * * * *", "every day", "0 0 1 1 * 2030"] {
            assert!(matches!(refused(cron, "UTC"), Some(CalendarError::Cron { .. })), "{cron}");
        }
        assert_eq!(refused("0 0 * * *", "Mars/Base"), Some(CalendarError::TimeZone("Mars/Base".into())));
        assert_eq!(refused("0 0 30 2 *", "UTC"), Some(CalendarError::Never("0 0 30 2 *".into())));
    }
}
