//! The values of number, duration and string literals.
//!
//! Literals are forwarded as the client wrote them. Their values are needed to refuse what Prometheus refuses, and to recognise the
//! tenant label however the client spells it.

use std::borrow::Cow;

/// The value of a number. Prometheus tries Go's `strconv.ParseInt` with base 0 first and `strconv.ParseFloat` second
/// (`parser.number` in promql/parser/parse.go, 3.16). The result is `None` if both fail, also because the value is out of range.
pub fn number(text: &[u8]) -> Option<f64> {
    let text = std::str::from_utf8(text).ok()?;
    if text.eq_ignore_ascii_case("inf") {
        return Some(f64::INFINITY);
    }
    if text.eq_ignore_ascii_case("nan") {
        return Some(f64::NAN);
    }
    let hex = hexadecimal_digits(text);
    let plain = without_underscores(text, hex)?;
    if hex.is_some() {
        let digits = plain.get(2..)?;
        return i64::from_str_radix(digits, 16).ok().map(|n| n as f64);
    }
    // An integer with a leading zero is octal, unless it holds an 8 or a 9.
    let octal = plain.len() > 1 && plain.starts_with('0') && plain.bytes().all(|b| b.is_ascii_digit());
    if octal && let Ok(n) = i64::from_str_radix(&plain, 8) {
        return Some(n as f64);
    }
    decimal(&plain)
}

/// A finite number as Go's `strconv.ParseFloat` reads it: with or without a sign, decimal or hexadecimal.
pub fn float(text: &[u8]) -> Option<f64> {
    let (negative, text) = match text {
        [b'-', unsigned @ ..] => (true, unsigned),
        [b'+', unsigned @ ..] => (false, unsigned),
        unsigned => (false, unsigned),
    };
    let text = std::str::from_utf8(text).ok()?;
    let hex = hexadecimal_digits(text);
    let plain = without_underscores(text, hex)?;
    let value = if hex.is_some() { hexadecimal(plain.as_bytes().get(2..)?)? } else { decimal(&plain)? };
    Some(if negative { -value } else { value })
}

/// Rust reads decimals as Go does, and rounds to the nearest too. What is too large is infinite here, and an error there.
fn decimal(plain: &str) -> Option<f64> {
    // A sign is a token of its own and was read before: this would be a second one.
    let signed = matches!(plain.as_bytes(), [b'+' | b'-', ..]);
    plain.parse::<f64>().ok().filter(|n| n.is_finite() && !signed)
}

fn hexadecimal_digits(text: &str) -> Option<&str> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))
}

/// The value of `1.8p-3`, the part of a hexadecimal number after `0x`. The exponent is of base 2, and written in decimal.
fn hexadecimal(plain: &[u8]) -> Option<f64> {
    let place = plain.iter().position(|b| matches!(b, b'p' | b'P'))?;
    let (digits, exponent) = plain.split_at_checked(place)?;
    let (mut mantissa, mut shift, mut point, mut any) = (0u64, 0i32, false, false);
    for &b in digits {
        if b == b'.' && !point {
            point = true;
            continue;
        }
        let digit = u64::from(char::from(b).to_digit(16)?);
        any = true;
        if mantissa >> 58 == 0 {
            mantissa = mantissa << 4 | digit;
            shift -= if point { 4 } else { 0 };
        } else {
            // The mantissa is full. Of the further digits, rounding depends only on whether all of them are 0.
            mantissa |= u64::from(digit != 0);
            shift += if point { 0 } else { 4 };
        }
    }
    let (negative, exponent) = match exponent {
        [_, b'-', digits @ ..] => (true, digits),
        [_, b'+', digits @ ..] | [_, digits @ ..] => (false, digits),
        [] => return None,
    };
    if !any || exponent.is_empty() {
        return None;
    }
    let mut power = 0;
    for b in exponent {
        // The bound is far beyond the exponents of an `f64`, and low enough that sums of it don't overflow.
        power = (power * 10 + char::from(*b).to_digit(10)? as i32).min(1 << 24);
    }
    let power = shift.saturating_add(if negative { -power } else { power });
    // The mantissa is rounded to the nearest `f64`, and then multiplied by the power of 2, one bit of the exponent at a time. A
    // result that is too small to be a normal number may be rounded twice. The error is at most 2^-1074, which has no effect here.
    let mut value = mantissa as f64;
    let mut factor = if power < 0 { 0.5 } else { 2.0 };
    let mut left = if mantissa == 0 { 0 } else { power.unsigned_abs() };
    while left != 0 {
        if left & 1 == 1 {
            value *= factor;
        }
        factor *= factor;
        left >>= 1;
    }
    value.is_finite().then_some(value)
}

fn without_underscores<'t>(text: &'t str, hex: Option<&str>) -> Option<Cow<'t, str>> {
    if !underscores_separate_digits(hex.unwrap_or(text), hex.is_some()) {
        return None;
    }
    Some(if text.contains('_') { text.replace('_', "").into() } else { text.into() })
}

/// Checks Go's rule: an underscore stands between two digits, or between a base prefix and a digit.
fn underscores_separate_digits(digits: &str, hex: bool) -> bool {
    let is_digit = |b: u8| b.is_ascii_digit() || hex && b.is_ascii_hexdigit();
    let mut previous = if hex { b'0' } else { b'!' };
    for b in digits.bytes() {
        let separated = if b == b'_' { is_digit(previous) } else { previous != b'_' || is_digit(b) };
        if !separated {
            return false;
        }
        previous = b;
    }
    previous != b'_'
}

/// The value of a duration such as `1y2w3d4h5m6s7ms`, in milliseconds. Each unit may occur once, in this order, and the value must
/// fit into Go's `time.Duration` (`ParseDuration` in prometheus/common/model/time.go, 0.72).
pub fn duration(text: &[u8]) -> Result<i64, DurationFault> {
    const UNITS: [(&[u8], u64); 7] = [
        (b"y", 365 * 24 * 3_600_000),
        (b"w", 7 * 24 * 3_600_000),
        (b"d", 24 * 3_600_000),
        (b"h", 3_600_000),
        (b"m", 60_000),
        (b"s", 1_000),
        (b"ms", 1),
    ];
    // The longest duration that fits into Go's int64 of nanoseconds.
    const MOST: u64 = i64::MAX as u64 / 1_000_000;
    let mut units = UNITS.iter();
    let mut rest = text;
    let mut total: u64 = 0;
    if text.is_empty() {
        return Err(DurationFault::Malformed);
    }
    while !rest.is_empty() {
        let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
        let (count, tail) = rest.split_at_checked(digits).ok_or(DurationFault::Malformed)?;
        let letters = tail.iter().take_while(|b| b.is_ascii_alphabetic()).count();
        let (unit, tail) = tail.split_at_checked(letters).ok_or(DurationFault::Malformed)?;
        if count.is_empty() {
            return Err(DurationFault::Malformed);
        }
        let (_, millis) = units.find(|(name, _)| *name == unit).ok_or(DurationFault::Malformed)?;
        let count = std::str::from_utf8(count).ok().and_then(|n| n.parse::<u64>().ok());
        total = count
            .and_then(|n| n.checked_mul(*millis))
            .and_then(|n| total.checked_add(n))
            .filter(|&n| n <= MOST)
            .ok_or(DurationFault::OutOfRange)?;
        rest = tail;
    }
    Ok(total as i64)
}

/// Why a duration literal is invalid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationFault {
    /// A unit doesn't exist, occurs twice, or is out of order.
    Malformed,
    /// The value is more than Go's `time.Duration` holds, about 292 years.
    OutOfRange,
}

/// Whether a duration exceeds what Go's `time.Duration` holds (`durationLiteralOutOfRange` in parse.go).
pub fn out_of_range(seconds: f64) -> bool {
    const MOST: f64 = i64::MAX as f64 / 1e9;
    seconds.abs() > MOST
}

/// The value of a string literal that the lexer accepted. `text` includes the quotes. The value need not be UTF-8: that of `"\xff"` is
/// one byte.
pub fn string(text: &[u8]) -> Cow<'_, [u8]> {
    let raw = text.first() == Some(&b'`');
    let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
    if raw || !inner.contains(&b'\\') {
        return Cow::Borrowed(inner);
    }
    let mut value = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((&first, tail)) = rest.split_first() {
        if first != b'\\' {
            value.push(first);
            rest = tail;
            continue;
        }
        let Some((&escape, tail)) = tail.split_first() else { break };
        let (digits, radix) = match escape {
            b'x' => (2, 16),
            b'u' => (4, 16),
            b'U' => (8, 16),
            b'0'..=b'7' => (3, 8),
            _ => (0, 0),
        };
        if digits == 0 {
            value.push(match escape {
                b'a' => 7,
                b'b' => 8,
                b'f' => 12,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'v' => 11,
                other => other,
            });
            rest = tail;
            continue;
        }
        // The first octal digit is the escape character itself.
        let digits_at = if radix == 8 { rest.get(1..) } else { Some(tail) }.unwrap_or_default();
        let (code, tail) = digits_at.split_at_checked(digits).unwrap_or_default();
        let code = std::str::from_utf8(code).ok().and_then(|c| u32::from_str_radix(c, radix).ok()).unwrap_or_default();
        if matches!(escape, b'u' | b'U') {
            let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            value.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        } else {
            value.push(code as u8);
        }
        rest = tail;
    }
    Cow::Owned(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_family = "wasm")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn numbers_are_read_as_go_reads_them() {
        // Each value was printed by Go 1.26, with ParseInt(s, 0, 64) or else ParseFloat(s, 64).
        for (text, value) in [
            ("1_000", 1000.0),
            ("1_000.5", 1000.5),
            ("1_0e1_0", 1e11),
            ("0x1_0", 16.0),
            ("0x_1", 1.0),
            ("0X_a", 10.0),
            ("08", 8.0),
            ("010", 8.0),
            ("0_10", 8.0),
            ("0_9_1", 91.0),
            ("1.", 1.0),
            (".5", 0.5),
            ("1.e5", 1e5),
            ("0x7fffffffffffffff", i64::MAX as f64),
            ("9223372036854775808", i64::MAX as f64),
            ("iNf", f64::INFINITY),
        ] {
            assert_eq!(number(text.as_bytes()), Some(value), "{text}");
        }
        for text in ["1_", "0__7", "1_e5", "0x", "1e400", "0xffffffffffffffff", "1e", "_1", "0x1_", ""] {
            assert_eq!(number(text.as_bytes()), None, "{text}");
        }
        assert!(number(b"NaN").is_some_and(f64::is_nan));
    }

    #[test]
    fn duration_units_come_once_and_in_order() {
        for (text, milliseconds) in
            [("5m", 300_000), ("1h30m", 5_400_000), ("1y", 31_536_000_000), ("1s5ms", 1005), ("0s", 0)]
        {
            assert_eq!(duration(text.as_bytes()), Ok(milliseconds), "{text}");
        }
        for text in ["", "30m1h", "5m5m", "5hs", "1.5h", "m", "5", "0x5m", "1_0m"] {
            assert_eq!(duration(text.as_bytes()), Err(DurationFault::Malformed), "{text}");
        }
        assert_eq!(duration(b"293y"), Err(DurationFault::OutOfRange));
        assert_eq!(duration(b"99999999999999999999d"), Err(DurationFault::OutOfRange));
    }

    #[test]
    fn string_escapes_give_their_bytes() {
        for (text, value) in [
            (r#""tenant\x5fid""#, &b"tenant_id"[..]),
            (r#"'tenant\137id'"#, b"tenant_id"),
            (r#""tenant\u005fid""#, b"tenant_id"),
            (r#""\U0000005f\"\\\n""#, b"_\"\\\n"),
            (r#"`a\n`"#, br"a\n"),
            (r#""\xff""#, b"\xff"),
            (r#""é""#, "é".as_bytes()),
            (r#""""#, b""),
        ] {
            assert_eq!(string(text.as_bytes()).as_ref(), value, "{text}");
        }
    }
}
