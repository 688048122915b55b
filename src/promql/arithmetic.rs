//! Arithmetic on durations in seconds, in `f64`, as Prometheus's engine does it (promql/durations.go, 3.16). The result is NaN
//! for what is not computed here. NaN stays NaN in further operations, and the caller refuses it.

use super::token::TokenKind;

/// Converts nanoseconds to seconds. Whole seconds and the remainder are converted separately, so that the result is rounded as
/// Go's `time.Duration.Seconds` rounds it.
pub(super) fn seconds(nanoseconds: i64) -> f64 {
    const SECOND: i64 = 1_000_000_000;
    (nanoseconds / SECOND) as f64 + (nanoseconds % SECOND) as f64 / 1e9
}

/// Computes `left operator right`. `min_of` and `max_of` count as operators here.
pub(super) fn apply(operator: TokenKind, left: f64, right: f64) -> f64 {
    // `f64::min` and `f64::max` would return the other operand instead of NaN.
    if operator != TokenKind::Pow && (left.is_nan() || right.is_nan()) {
        return f64::NAN;
    }
    match operator {
        TokenKind::Add => left + right,
        TokenKind::Sub => left - right,
        TokenKind::Mul => left * right,
        TokenKind::Div => left / right,
        TokenKind::Mod => left % right,
        TokenKind::Pow => power(left, right),
        TokenKind::MinOf => left.min(right),
        TokenKind::MaxOf => left.max(right),
        _ => f64::NAN,
    }
}

/// Go's `math.Pow` for whole exponents and for ±0.5, with the same rounding. For other exponents Go uses `math.Exp`, whose last
/// bit depends on the processor that Go runs on. Those are not computed: the result is NaN.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 0.0 || base == 1.0 {
        return 1.0;
    }
    if exponent.abs() == 0.5 {
        return if exponent > 0.0 { base.sqrt() } else { 1.0 / base.sqrt() };
    }
    // A whole number that does not fit into an i64 is not computed either.
    let mut left = exponent.abs() as i64;
    if left as f64 != exponent.abs() || left == i64::MAX {
        return f64::NAN;
    }
    let (mut result, mut square) = (1.0, base);
    while left != 0 {
        if left & 1 == 1 {
            result *= square;
        }
        square *= square;
        left >>= 1;
    }
    if exponent < 0.0 { 1.0 / result } else { result }
}
