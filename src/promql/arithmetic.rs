//! Arithmetic on durations, in seconds, as Prometheus's engine does it (promql/durations.go, 3.16): in `f64`, as Go
//! does. What isn't computed here is NaN, which stays NaN and is refused in the end.

use super::token::Kind;

/// Nanoseconds as seconds, rounded as `time.Duration.Seconds` rounds: whole seconds and the rest apart.
pub(super) fn seconds(nanoseconds: i64) -> f64 {
    const SECOND: i64 = 1_000_000_000;
    (nanoseconds / SECOND) as f64 + (nanoseconds % SECOND) as f64 / 1e9
}

/// `left operator right`; `min_of` and `max_of` are operators too.
pub(super) fn apply(operator: Kind, left: f64, right: f64) -> f64 {
    // `f64::min` would drop a NaN.
    if operator != Kind::Pow && (left.is_nan() || right.is_nan()) {
        return f64::NAN;
    }
    match operator {
        Kind::Add => left + right,
        Kind::Sub => left - right,
        Kind::Mul => left * right,
        Kind::Div => left / right,
        Kind::Mod => left % right,
        Kind::Pow => power(left, right),
        Kind::MinOf => left.min(right),
        Kind::MaxOf => left.max(right),
        _ => f64::NAN,
    }
}

/// `math.Pow` for whole exponents, with the same roundings, and for ±0.5. Other exponents go through `math.Exp`, whose
/// last bit depends on Go's processor, and are not computed.
fn power(base: f64, exponent: f64) -> f64 {
    if exponent == 0.0 || base == 1.0 {
        return 1.0;
    }
    if exponent.abs() == 0.5 {
        return if exponent > 0.0 { base.sqrt() } else { 1.0 / base.sqrt() };
    }
    // A whole number beyond i64 is no exponent of a duration either.
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
