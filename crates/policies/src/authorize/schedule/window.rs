//! Windows of time, as clocks on the wall show it.

use jiff::civil::{Date, DateTime, Weekday};

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// A time of the day, in minutes; 24:00 is its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Minute(u16);

impl Minute {
    pub(super) const FIRST: Self = Self(0);
    pub(super) const END: Self = Self(DAY);

    /// Reads `08:30`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let number = |digits: &str| {
            let good = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse::<u16>().ok().filter(|_| good)
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let minute = hours * 60 + minutes;
        (minutes < 60 && minute <= DAY).then_some(Self(minute))
    }
}

/// Days and times of the day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// The days of the week on which it begins, Monday the lowest bit.
    pub(super) days: u8,
    /// The first day on which it begins.
    pub(super) first: Option<Date>,
    /// The last day on which it begins.
    pub(super) last: Option<Date>,
    /// When it begins.
    pub(super) from: Minute,
    /// When it is over: the next day, if that is before it begins.
    pub(super) to: Minute,
}

impl Window {
    /// Whether `now` is in it.
    pub(super) fn has(&self, now: DateTime) -> bool {
        let minute = Minute(
            u16::from(now.hour().unsigned_abs()) * 60 + u16::from(now.minute().unsigned_abs()),
        );
        let today = now.date();
        if self.from < self.to {
            return self.from <= minute && minute < self.to && self.begins_on(today);
        }
        let yesterday = || today.yesterday().is_ok_and(|day| self.begins_on(day));
        (self.from <= minute && self.begins_on(today)) || (minute < self.to && yesterday())
    }

    fn begins_on(&self, day: Date) -> bool {
        self.days & bit(day.weekday()) != 0
            && self.first.is_none_or(|first| first <= day)
            && self.last.is_none_or(|last| day <= last)
    }
}

/// The bit of a day.
pub(super) fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(days: &[Weekday], from: &str, to: &str) -> Window {
        let days = match days {
            [] => 0x7f,
            days => days.iter().fold(0, |all, day| all | bit(*day)),
        };
        let (from, to) = (Minute::read(from).unwrap(), Minute::read(to).unwrap());
        Window { days, first: None, last: None, from, to }
    }

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    /// 2026-09-21 is a Monday.
    #[test]
    fn a_window_has_its_first_minute_and_not_its_last() {
        let office = window(&[Weekday::Monday, Weekday::Friday], "08:00", "18:00");
        for (now, is_in) in [
            ("2026-09-21T07:59:59", false),
            ("2026-09-21T08:00:00", true),
            ("2026-09-21T17:59:59.9", true),
            ("2026-09-21T18:00:00", false),
            ("2026-09-22T12:00:00", false),
            ("2026-09-25T12:00:00", true),
        ] {
            assert_eq!(office.has(at(now)), is_in, "{now}");
        }
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_it_begins_on() {
        let night = window(&[Weekday::Friday], "22:00", "06:00");
        for (now, is_in) in [
            ("2026-09-25T21:59:00", false),
            ("2026-09-25T22:00:00", true),
            ("2026-09-26T05:59:59", true),
            ("2026-09-26T06:00:00", false),
            ("2026-09-26T22:30:00", false),
            ("2026-09-25T03:00:00", false),
        ] {
            assert_eq!(night.has(at(now)), is_in, "{now}");
        }
    }

    #[test]
    fn days_are_counted_with_the_last_one() {
        let dates = |first: Option<&str>, last: Option<&str>| Window {
            first: first.map(|day| day.parse().unwrap()),
            last: last.map(|day| day.parse().unwrap()),
            ..window(&[], "00:00", "24:00")
        };
        let both = dates(Some("2026-12-24"), Some("2026-12-26"));
        for (now, is_in) in [
            ("2026-12-23T23:59:59", false),
            ("2026-12-24T00:00:00", true),
            ("2026-12-26T23:59:59", true),
            ("2026-12-27T00:00:00", false),
        ] {
            assert_eq!(both.has(at(now)), is_in, "{now}");
        }
        assert!(dates(None, Some("2026-12-26")).has(at("1999-01-01T00:00:00")));
        assert!(dates(Some("2026-12-24"), None).has(at("2099-01-01T00:00:00")));
    }

    #[test]
    fn times_of_the_day_are_read_strictly() {
        for (text, minute) in [("00:00", 0), ("08:30", 510), ("23:59", 1439), ("24:00", 1440)] {
            assert_eq!(Minute::read(text), Some(Minute(minute)), "{text}");
        }
        for text in
            ["", "8:30", "08", "08:60", "24:01", "25:00", "08:30:00", "-1:00", "+8:00", "0830"]
        {
            assert_eq!(Minute::read(text), None, "{text}");
        }
    }
}
