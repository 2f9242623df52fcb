//! Periods that quotas count in. No HTTP in here; times are seconds since 1970.

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

/// A period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Period {
    /// What it is counted under. Later ones have higher numbers.
    pub(super) number: i64,
    /// Its first second.
    pub(super) start: u64,
    /// The first second of the next one.
    pub(super) end: u64,
}

/// A period of the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// An hour, from its full hour.
    Hour,
    /// A day, from midnight.
    Day,
    /// A week, from Monday.
    Week,
    /// A month, from its first day or the one that `starts` says.
    Month,
    /// A year, from its first day.
    Year,
}

/// How time is divided.
#[derive(Clone, Debug)]
pub(super) enum Calendar {
    /// As clocks and calendars in a zone have it; months begin with this day, or with their last
    /// where they have fewer.
    Civil { unit: Unit, zone: TimeZone, day: i8 },
    /// Into so many seconds.
    Even { length: u64 },
}

impl Calendar {
    /// The period that is at `now`.
    pub(super) fn period(&self, now: u64) -> Period {
        match self {
            Self::Even { length } => {
                let number = now.checked_div(*length).unwrap_or_default();
                let start = number.saturating_mul(*length);
                Period { number: number as i64, start, end: start.saturating_add(*length) }
            }
            Self::Civil { unit, zone, day } => {
                let civil = civil(*unit, zone, *day, now);
                // Past what a calendar holds: the thousands of years until then are one period.
                let (start, end) = civil.unwrap_or((0, u64::MAX));
                Period { number: start as i64, start, end }
            }
        }
    }
}

/// Start and end of the `unit` that is at `now`.
fn civil(unit: Unit, zone: &TimeZone, day: i8, now: u64) -> Option<(u64, u64)> {
    let shown = zone.to_datetime(Timestamp::from_second(i64::try_from(now).ok()?).ok()?);
    if unit == Unit::Hour {
        let passed = i64::from(shown.minute()) * 60 + i64::from(shown.second());
        let start = now.saturating_sub(u64::try_from(passed).ok()?);
        return Some((start, start.saturating_add(3600)));
    }
    let today = shown.date();
    // Where clocks leave midnight out, the day begins with what they show next.
    let begins = |date: Date| {
        let midnight = zone.to_ambiguous_timestamp(date.at(0, 0, 0, 0)).compatible().ok()?;
        u64::try_from(midnight.as_second()).ok()
    };
    let (start, end) = match unit {
        Unit::Hour | Unit::Day => (today, today.tomorrow().ok()?),
        Unit::Week => {
            let since = today.weekday().since(Weekday::Monday);
            let start = today.checked_sub(i64::from(since).days()).ok()?;
            (start, start.checked_add(7.days()).ok()?)
        }
        Unit::Month => {
            let first_in = |of: Date| of.with().day(day.min(of.days_in_month())).build().ok();
            let first = today.first_of_month();
            let this = first_in(first)?;
            if this <= today {
                (this, first_in(first.checked_add(1.month()).ok()?)?)
            } else {
                (first_in(first.checked_sub(1.month()).ok()?)?, this)
            }
        }
        Unit::Year => {
            let start = today.first_of_year();
            (start, start.checked_add(1.year()).ok()?)
        }
    };
    Some((begins(start)?, begins(end)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> u64 {
        text.parse::<Timestamp>().unwrap().as_second() as u64
    }

    /// Unit, zone, day it starts with, now, start, end.
    const PERIODS: &str = "
        hour  UTC              1  2026-05-17T10:59:59Z 2026-05-17T10:00:00Z 2026-05-17T11:00:00Z
        hour  Asia/Kolkata     1  2026-05-17T10:15:00Z 2026-05-17T09:30:00Z 2026-05-17T10:30:00Z
        day   Europe/Berlin    1  2026-05-17T22:00:00Z 2026-05-17T22:00:00Z 2026-05-18T22:00:00Z
        day   Europe/Berlin    1  2026-03-29T12:00:00Z 2026-03-28T23:00:00Z 2026-03-29T22:00:00Z
        day   Europe/Berlin    1  2026-10-25T12:00:00Z 2026-10-24T22:00:00Z 2026-10-25T23:00:00Z
        day   Asia/Beirut      1  2026-03-29T12:00:00Z 2026-03-28T22:00:00Z 2026-03-29T21:00:00Z
        week  UTC              1  2026-05-17T23:59:59Z 2026-05-11T00:00:00Z 2026-05-18T00:00:00Z
        week  UTC              1  2026-05-18T00:00:00Z 2026-05-18T00:00:00Z 2026-05-25T00:00:00Z
        month UTC              1  2026-02-28T23:59:59Z 2026-02-01T00:00:00Z 2026-03-01T00:00:00Z
        month UTC              15 2026-01-14T23:59:59Z 2025-12-15T00:00:00Z 2026-01-15T00:00:00Z
        month UTC              15 2026-01-15T00:00:00Z 2026-01-15T00:00:00Z 2026-02-15T00:00:00Z
        month UTC              31 2026-02-28T00:00:00Z 2026-02-28T00:00:00Z 2026-03-31T00:00:00Z
        month UTC              31 2028-02-28T12:00:00Z 2028-01-31T00:00:00Z 2028-02-29T00:00:00Z
        month America/New_York 1  2026-11-30T12:00:00Z 2026-11-01T04:00:00Z 2026-12-01T05:00:00Z
        year  UTC              1  2026-12-31T23:59:59Z 2026-01-01T00:00:00Z 2027-01-01T00:00:00Z
    ";

    fn unit(word: &str) -> Unit {
        let units = [Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Year];
        units.into_iter().find(|unit| format!("{unit:?}").to_lowercase() == word).unwrap()
    }

    /// Also on days on which clocks are set, and where a day had no midnight.
    #[test]
    fn periods_are_those_of_the_calendar_where_the_quota_is_at_home() {
        for line in PERIODS.lines().filter(|line| !line.trim().is_empty()) {
            let words: Vec<_> = line.split_whitespace().collect();
            let [word, zone, day, now, start, end] = words[..] else { panic!("{line}") };
            let zone = TimeZone::get(zone).unwrap();
            let day = day.parse().unwrap();
            let period = Calendar::Civil { unit: unit(word), zone, day }.period(at(now));
            assert_eq!((period.start, period.end), (at(start), at(end)), "{line}");
        }
    }

    #[test]
    fn one_period_follows_the_other_without_a_gap() {
        for unit in [Unit::Hour, Unit::Day, Unit::Week, Unit::Month, Unit::Year] {
            let zone = TimeZone::get("Europe/Berlin").unwrap();
            for day in [1, 29, 31] {
                let calendar = Calendar::Civil { unit, zone: zone.clone(), day };
                let mut period = calendar.period(at("2027-12-20T00:00:00Z"));
                for _ in 0..200 {
                    assert_eq!(calendar.period(period.start), period, "{unit:?} {day}");
                    assert_eq!(calendar.period(period.end - 1), period, "{unit:?} {day}");
                    let next = calendar.period(period.end);
                    assert_eq!(next.start, period.end, "{unit:?} {day}");
                    assert!(next.number > period.number);
                    period = next;
                }
            }
        }
    }

    #[test]
    fn even_periods_have_their_length() {
        let period = Calendar::Even { length: 100 }.period(1_234);
        assert_eq!(period, Period { number: 12, start: 1_200, end: 1_300 });
    }
}
