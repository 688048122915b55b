//! Times and durations in request parameters, as Prometheus and Thanos read them (`parseTime` and `parseDuration` in
//! web/api/v1/api.go, 3.16, and in pkg/api/query/v1.go, 0.42.5).
//!
//! ```text
//! time     = float | date "T" clock ( "Z" | ( "+" | "-" ) hour ":" minute )     seconds since 1970, or RFC 3339
//!          | the earliest and the latest time of Prometheus                     as its own tools write them
//! duration = float | { number unit }                                            seconds, or 1h30m
//! float    = what Go's strconv.ParseFloat takes
//! ```
//!
//! Both read alike, but for the two extreme times, which Thanos refuses. Differences by intention, all of them for values
//! that no client means: infinities and NaN, and seconds whose milliseconds don't fit into 64 bits, are refused. Go
//! converts them to integers that depend on the processor.
//!
//! A time is a whole number of milliseconds from here on, since that is what the engine computes with: of floats the
//! nearest is taken, of RFC 3339 what is finer is dropped, both as upstream.

use crate::promql::literal;

/// A time in milliseconds since 1970; `None` where it can't be read.
pub fn instant(text: &[u8]) -> Option<i64> {
    match literal::float(text) {
        Some(seconds) => float_instant(seconds),
        None => rfc3339(text).or_else(|| extreme(text)),
    }
}

/// A duration in nanoseconds, negative ones included; `None` where it can't be read.
pub fn duration(text: &[u8]) -> Option<i64> {
    match literal::float(text) {
        Some(seconds) => {
            let nanoseconds = seconds * 1e9;
            // 2^63 is the first that doesn't fit.
            (nanoseconds.abs() < i64::MAX as f64).then_some(nanoseconds as i64)
        }
        None => literal::duration(text).ok().and_then(|milliseconds| milliseconds.checked_mul(1_000_000)),
    }
}

/// Appends a time as seconds with three decimals, the form that every version reads. [`instant`] and Go read the very
/// same milliseconds from it for the years 0 to 9999.
pub fn write(milliseconds: i64, out: &mut Vec<u8>) {
    if milliseconds < 0 {
        out.push(b'-');
    }
    let mut digits = [b'0'; 24];
    let mut left = milliseconds.unsigned_abs();
    let mut length = 0;
    for (place, digit) in digits.iter_mut().rev().enumerate() {
        if place == 3 {
            *digit = b'.';
        } else {
            *digit = b'0' + (left % 10) as u8;
            left /= 10;
        }
        length = place + 1;
        if left == 0 && place > 3 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - length..).unwrap_or_default());
}

/// Whole seconds, and the nearest millisecond of the rest, half away from zero.
fn float_instant(seconds: f64) -> Option<i64> {
    let whole = seconds.trunc();
    if whole.abs() >= i64::MAX as f64 / 1000.0 {
        return None;
    }
    let milliseconds = ((seconds - whole) * 1000.0).round() as i64;
    (whole as i64).checked_mul(1000)?.checked_add(milliseconds)
}

/// What `model.Time`'s ends look like: Go's own reader knows years of four digits only.
fn extreme(text: &[u8]) -> Option<i64> {
    const BEYOND: i64 = 62_135_596_801;
    match text {
        b"-292273086-05-16T16:47:06Z" => Some((i64::MIN / 1000 + BEYOND) * 1000),
        b"292277025-08-18T07:12:54.999999999Z" => Some((i64::MAX / 1000 - BEYOND) * 1000 + 999),
        _ => None,
    }
}

/// A field of RFC 3339: digits at least and at most, the least and the largest number, and what follows it.
type Field = (usize, usize, i64, i64, u8);

/// Date and clock as Go's `time.Parse` reads them: an hour may be one digit (time/format.go, Go 1.26).
const DATE_AND_CLOCK: [Field; 6] =
    [(4, 4, 0, 9999, b'-'), (2, 2, 1, 12, b'-'), (2, 2, 1, 31, b'T'), (1, 2, 0, 23, b':'), (2, 2, 0, 59, b':'), SECOND];
const SECOND: Field = (2, 2, 0, 59, 0);
/// An offset may be of 24 hours or 60 minutes.
const OFFSET: [Field; 2] = [(2, 2, 0, 24, b':'), (2, 2, 0, 60, 0)];

/// RFC 3339 as Go reads it: the fraction may be of any length, and follow a comma.
fn rfc3339(text: &[u8]) -> Option<i64> {
    let mut rest = text;
    let [year, month, day, hour, minute, second] = fields(&mut rest, &DATE_AND_CLOCK)?;
    let mut milliseconds = 0;
    if let [b'.' | b',', b'0'..=b'9', ..] = rest {
        rest = rest.get(1..)?;
        let mut weight = 100;
        while let [digit @ b'0'..=b'9', tail @ ..] = rest {
            milliseconds += i64::from(digit - b'0') * weight;
            weight /= 10;
            rest = tail;
        }
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), tail @ ..] => {
            rest = tail;
            let [hours, minutes, ..] = fields(&mut rest, &OFFSET)?;
            if !rest.is_empty() {
                return None;
            }
            (hours * 60 + minutes) * if *sign == b'-' { -1 } else { 1 }
        }
        _ => return None,
    };
    let minutes = (days(year, month, day)? * 24 + hour) * 60 + minute - offset;
    Some((minutes * 60 + second) * 1000 + milliseconds)
}

/// The numbers of the fields; those that aren't wanted are 0.
fn fields(rest: &mut &[u8], wanted: &[Field]) -> Option<[i64; 6]> {
    let mut numbers = [0; 6];
    for (number, &(least, most, smallest, largest, follows)) in numbers.iter_mut().zip(wanted) {
        let mut digits = 0;
        while let ([digit @ b'0'..=b'9', tail @ ..], true) = (*rest, digits < most) {
            *number = *number * 10 + i64::from(digit - b'0');
            digits += 1;
            *rest = tail;
        }
        if digits < least || !(smallest..=largest).contains(number) {
            return None;
        }
        match *rest {
            _ if follows == 0 => {}
            [first, tail @ ..] if *first == follows => *rest = tail,
            _ => return None,
        }
    }
    Some(numbers)
}

/// Days from 1970-01-01 to a date; `None` where the month has no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > length {
        return None;
    }
    // Years that begin in March, so that a leap day is the last of its year; 400 more, so that none is negative.
    let (year, month) = if month > 2 { (year + 400, month - 3) } else { (year + 399, month + 9) };
    let leap_days = year / 4 - year / 100 + year / 400;
    Some(year * 365 + leap_days + (month * 153 + 2) / 5 + day - 719_469 - 146_097)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn times_are_read_as_go_reads_them() {
        // Each was printed by Go 1.26: `parseTime(s)`, then `UnixMilli`.
        for (text, milliseconds) in [
            ("0", 0),
            ("1700000000", 1_700_000_000_000),
            ("1700000000.5", 1_700_000_000_500),
            ("1.7e9", 1_700_000_000_000),
            ("+1_700_000_000", 1_700_000_000_000),
            ("0x1p4", 16_000),
            ("0x.8P1", 1_000),
            ("-1.2346", -1_235),
            ("1.9996", 2_000),
            ("0.067", 67),
            (".5", 500),
            ("5.", 5_000),
            ("9999999999999", 9_999_999_999_999_000),
            ("1970-01-01T00:00:00Z", 0),
            ("2024-02-29T12:34:56.789999Z", 1_709_210_096_789),
            ("2024-02-29T12:34:56,7+01:30", 1_709_204_696_700),
            ("2024-02-29T2:34:56-24:60", 1_709_264_096_000),
            ("1969-12-31T23:59:59.999Z", -1),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("-292273086-05-16T16:47:06Z", -9_223_309_901_257_974_000),
            ("292277025-08-18T07:12:54.999999999Z", 9_223_309_901_257_974_999),
        ] {
            assert_eq!(instant(text.as_bytes()), Some(milliseconds), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "now",
            "5m",
            "NaN",
            "inf",
            "-Inf",
            "+infinity",
            "1e400",
            "1e300",
            "9.3e15",
            "0x10",
            "--1",
            "+-1",
            "1__0",
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-1-01T00:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T00:60:00Z",
            "2024-01-01T00:00:60Z",
            "2024-01-01T00:00:00",
            "2024-01-01t00:00:00Z",
            "2024-01-01T00:00:00z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00.Z",
            "2024-01-01T00:00:00Z ",
            "2024-01-01T00:00:00+25:00",
            "2024-01-01T00:00:00+00:61",
            "2024-01-01T00:00:00+0100",
            "10000-01-01T00:00:00Z",
            "2024-01-01T00:00Z",
            " 1",
            "1 ",
            "\u{663}",
        ] {
            assert_eq!(instant(text.as_bytes()), None, "{text}");
        }
        assert_eq!(instant(b"\xff"), None);
    }

    #[test]
    fn durations_are_read_as_go_reads_them() {
        // Each was printed by Go 1.26: `parseDuration(s)`.
        for (text, nanoseconds) in [
            ("15", 15_000_000_000),
            ("0.1", 100_000_000),
            ("1e-9", 1),
            ("1e-10", 0),
            ("-3", -3_000_000_000),
            ("5m", 300_000_000_000),
            ("1h30m", 5_400_000_000_000),
            ("1s5ms", 1_005_000_000),
            ("0", 0),
            ("0s", 0),
            ("0x1p-1", 500_000_000),
        ] {
            assert_eq!(duration(text.as_bytes()), Some(nanoseconds), "{text}");
        }
        for text in ["", "m", "5m1h", "-5m", "1.5h", "NaN", "Inf", "1e10", "293y", "9223372036.9", "5 m"] {
            assert_eq!(duration(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_written_time_is_read_again() {
        let write = |milliseconds| {
            let mut out = b"t=".to_vec();
            write(milliseconds, &mut out);
            String::from_utf8(out.split_off(2)).expect("digits")
        };
        for (milliseconds, text) in [
            (0, "0.000"),
            (1, "0.001"),
            (-1, "-0.001"),
            (1_700_000_000_123, "1700000000.123"),
            (-62_167_219_200_000, "-62167219200.000"),
            (i64::MAX, "9223372036854775.807"),
            (i64::MIN, "-9223372036854775.808"),
        ] {
            assert_eq!(write(milliseconds), text);
        }
        // Every fraction of a second, over the years that people write.
        for second in [0, 1, 59, 1_700_000_000, 1_999_999_999, 253_402_300_799, -1, -62_167_219_200i64] {
            for fraction in 0..1000 {
                let milliseconds = second * 1000 + fraction;
                assert_eq!(instant(write(milliseconds).as_bytes()), Some(milliseconds));
            }
        }
    }
}
