//! Times as RFC 3339 writes them.

use std::time::Duration;

use crate::digits;

/// Writes `wall`, a time since 1970, in UTC with milliseconds: `2026-11-23T18:59:00.123Z`.
pub(super) fn write(out: &mut Vec<u8>, wall: Duration) {
    let seconds = wall.as_secs();
    let (year, month, day) = date(seconds / 86_400);
    let mut part = |number, width, after| {
        digits::write_padded(out, number, width);
        out.push(after);
    };
    part(year, 4, b'-');
    part(month, 2, b'-');
    part(day, 2, b'T');
    part(seconds / 3600 % 24, 2, b':');
    part(seconds / 60 % 60, 2, b':');
    part(seconds % 60, 2, b'.');
    part(u64::from(wall.subsec_millis()), 3, b'Z');
}

/// Year, month and day of the `days`th day after 1970-01-01. Counts in eras of 400 years that start
/// in March, so that leap days come last (after Howard Hinnant, "chrono-compatible low-level date
/// algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc() {
        for (seconds, millis, text) in [
            (0, 0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, 999, "2000-02-28T23:59:59.999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00.000Z"),
            (1_709_164_800, 7, "2024-02-29T00:00:00.007Z"),
            (1_735_689_599, 0, "2024-12-31T23:59:59.000Z"),
            (1_735_689_600, 0, "2025-01-01T00:00:00.000Z"),
            (4_107_542_400, 0, "2100-03-01T00:00:00.000Z"),
        ] {
            let mut out = Vec::new();
            write(&mut out, Duration::from_secs(seconds) + Duration::from_millis(millis));
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
    }
}
