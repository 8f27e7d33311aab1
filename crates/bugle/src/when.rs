//! Times for people: how long ago, or when by the clock on the wall.

use bugle_core::Time;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// Tells times as seen now from here.
#[derive(Debug, Clone)]
pub(crate) struct Wall {
    now: Zoned,
}

impl Wall {
    /// As seen now, in the time zone of this machine.
    pub(crate) fn here() -> Self {
        Self { now: Zoned::now() }
    }

    /// `5 s ago`, `in 3 min`, `14:05`, or `2026-11-24 14:05` on another day.
    pub(crate) fn tell(&self, time: Time) -> String {
        let Some(then) = zoned(time, self.now.time_zone()) else { return "-".to_owned() };
        let seconds = then.timestamp().as_second() - self.now.timestamp().as_second();
        let distance = match seconds.unsigned_abs() {
            seconds @ 0..MINUTE => Some(format!("{seconds} s")),
            seconds @ MINUTE..HOUR => Some(format!("{} min", seconds / MINUTE)),
            _ => None,
        };
        match distance {
            Some(distance) if seconds > 0 => format!("in {distance}"),
            Some(distance) => format!("{distance} ago"),
            None if then.date() == self.now.date() => then.strftime("%H:%M").to_string(),
            None => then.strftime("%Y-%m-%d %H:%M").to_string(),
        }
    }

    /// `14:05:09`, for lines that come one after the other.
    pub(crate) fn clock(&self, time: Time) -> String {
        zoned(time, self.now.time_zone()).map_or_else(|| "-".to_owned(), |then| then.strftime("%H:%M:%S").to_string())
    }
}

fn zoned(time: Time, zone: &TimeZone) -> Option<Zoned> {
    let timestamp = Timestamp::from_millisecond(i64::try_from(time.as_millis()).ok()?).ok()?;
    Some(timestamp.to_zoned(zone.clone()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOON: Time = Time::from_millis(1_795_521_600_000);

    fn wall() -> Wall {
        Wall { now: zoned(NOON, &TimeZone::UTC).expect("a time of our age") }
    }

    #[test]
    fn what_is_near_is_told_by_its_distance() {
        assert_eq!(wall().tell(NOON), "0 s ago");
        assert_eq!(wall().tell(NOON + Duration::from_secs(59)), "in 59 s");
        assert_eq!(wall().tell(Time::from_millis(NOON.as_millis() - 150_000)), "2 min ago");
    }

    #[test]
    fn what_is_far_is_told_by_the_clock_or_the_day() {
        assert_eq!(wall().tell(NOON + Duration::from_secs(2 * HOUR)), "14:00");
        assert_eq!(wall().tell(NOON + Duration::from_secs(48 * HOUR)), "2026-11-26 12:00");
    }

    #[test]
    fn a_time_beyond_every_calendar_is_a_dash() {
        assert_eq!(wall().tell(Time::MAX), "-");
    }
}
