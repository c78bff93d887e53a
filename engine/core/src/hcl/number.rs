//! Numbers of HCL: decimal, exact as far as people write them, rounded to 154 significant digits (cty computes with
//! 512 bits, which are as many), and the two infinities that a division by zero gives.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use bigdecimal::num_bigint::BigInt;
use bigdecimal::{BigDecimal, RoundingMode, ToPrimitive, Zero};

/// Significant digits that results are rounded to.
const DIGITS: u64 = 154;
/// Powers of ten beyond this are infinite, or zero: nobody means them, and their digits would fill the memory.
const MAX_EXPONENT: i64 = 10_000;
/// Characters that are read as a number at most.
const MAX_LENGTH: usize = 20_000;

#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    Finite(BigDecimal),
    Infinite,
    NegativeInfinite,
}

impl Number {
    pub fn zero() -> Self {
        Number::Finite(BigDecimal::zero())
    }

    fn of(value: BigDecimal) -> Self {
        if value.is_zero() {
            return Self::zero();
        }
        let value = value.with_precision_round(
            DIGITS.try_into().unwrap_or(std::num::NonZeroU64::MIN),
            RoundingMode::HalfEven,
        );
        let value = value.normalized();
        let (digits, scale) = (value.digits() as i64, value.fractional_digit_count());
        if digits - scale > MAX_EXPONENT {
            return if value.sign() == bigdecimal::num_bigint::Sign::Minus {
                Number::NegativeInfinite
            } else {
                Number::Infinite
            };
        }
        if scale > MAX_EXPONENT {
            return Self::zero();
        }
        Number::Finite(value)
    }

    /// Reads decimal digits with an optional fraction and exponent.
    pub fn parse(text: &str) -> Option<Self> {
        // Reading digits takes the square of their number.
        if text.len() > MAX_LENGTH {
            return None;
        }
        // The exponent is looked at before the digits are made: 1e999999999 must not cost a gigabyte.
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((m, e)) => (m, e.parse::<i64>().ok()?),
            None => (text, 0),
        };
        let digits = mantissa.strip_prefix(['-', '+']).unwrap_or(mantissa);
        if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return None;
        }
        let value = BigDecimal::from_str(mantissa).ok()?;
        if exponent.abs() > MAX_EXPONENT {
            return None;
        }
        let (int, scale) = value.into_bigint_and_exponent();
        Some(Self::of(BigDecimal::new(int, scale - exponent)))
    }

    /// None for numbers that are none.
    pub fn from_f64(value: f64) -> Option<Self> {
        if value == f64::INFINITY {
            return Some(Number::Infinite);
        }
        if value == f64::NEG_INFINITY {
            return Some(Number::NegativeInfinite);
        }
        // The shortest text that means this float, not its binary expansion.
        value.is_finite().then(|| BigDecimal::from_str(&format!("{value:e}")).ok()).flatten().map(Self::of)
    }

    pub fn from_bigint(value: BigInt) -> Self {
        Self::of(BigDecimal::from(value))
    }

    pub fn to_f64(&self) -> f64 {
        match self {
            Number::Finite(value) => value.to_f64().unwrap_or(f64::NAN),
            Number::Infinite => f64::INFINITY,
            Number::NegativeInfinite => f64::NEG_INFINITY,
        }
    }

    pub fn is_whole(&self) -> bool {
        matches!(self, Number::Finite(value) if value.is_integer())
    }

    /// None when it has a fraction or does not fit.
    pub fn to_i64(&self) -> Option<i64> {
        match self {
            Number::Finite(value) if value.is_integer() => value.to_i64(),
            _ => None,
        }
    }

    pub fn to_bigint(&self) -> Option<BigInt> {
        match self {
            Number::Finite(value) if value.is_integer() => {
                Some(value.with_scale(0).into_bigint_and_exponent().0)
            }
            _ => None,
        }
    }

    pub fn is_zero(&self) -> bool {
        matches!(self, Number::Finite(value) if value.is_zero())
    }

    pub fn is_negative(&self) -> bool {
        match self {
            Number::Finite(value) => value.sign() == bigdecimal::num_bigint::Sign::Minus,
            Number::Infinite => false,
            Number::NegativeInfinite => true,
        }
    }

    pub fn negate(&self) -> Self {
        match self {
            Number::Finite(value) => Number::Finite(-value),
            Number::Infinite => Number::NegativeInfinite,
            Number::NegativeInfinite => Number::Infinite,
        }
    }

    pub fn abs(&self) -> Self {
        if self.is_negative() { self.negate() } else { self.clone() }
    }

    /// Toward the smaller whole number.
    pub fn floor(&self) -> Self {
        self.rounded(RoundingMode::Floor)
    }

    pub fn ceil(&self) -> Self {
        self.rounded(RoundingMode::Ceiling)
    }

    pub fn truncate(&self) -> Self {
        self.rounded(RoundingMode::Down)
    }

    fn rounded(&self, mode: RoundingMode) -> Self {
        match self {
            Number::Finite(value) => Number::Finite(value.with_scale_round(0, mode).normalized()),
            other => other.clone(),
        }
    }

    /// None where infinities cancel out.
    pub fn add(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Number::Finite(a), Number::Finite(b)) => Some(Self::of(a + b)),
            (Number::Infinite, Number::NegativeInfinite) | (Number::NegativeInfinite, Number::Infinite) => {
                None
            }
            (Number::Finite(_), infinite) | (infinite, _) => Some(infinite.clone()),
        }
    }

    pub fn subtract(&self, other: &Self) -> Option<Self> {
        self.add(&other.negate())
    }

    /// None for zero times infinity.
    pub fn multiply(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Number::Finite(a), Number::Finite(b)) => Some(Self::of(a * b)),
            (a, b) if a.is_zero() || b.is_zero() => None,
            (a, b) => Some(infinite(a.is_negative() != b.is_negative())),
        }
    }

    /// Division by zero is infinite; none for zero by zero and infinity by infinity.
    pub fn divide(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (a, b) if b.is_zero() => (!a.is_zero()).then(|| infinite(a.is_negative())),
            (Number::Finite(a), Number::Finite(b)) => {
                // The library divides to 100 digits: the quotient is computed on whole numbers instead.
                let (a_int, a_scale) = a.clone().into_bigint_and_exponent();
                let (b_int, b_scale) = b.clone().into_bigint_and_exponent();
                let shift = DIGITS as i64 + 2 + b.digits() as i64;
                let quotient = a_int * BigInt::from(10).pow(shift as u32) / b_int;
                Some(Self::of(BigDecimal::new(quotient, a_scale - b_scale + shift)))
            }
            (Number::Finite(_), _) => Some(Self::zero()),
            (a, Number::Finite(b)) => {
                Some(infinite(a.is_negative() != (b.sign() == bigdecimal::num_bigint::Sign::Minus)))
            }
            _ => None,
        }
    }

    /// The remainder has the sign of the dividend. None where there is none.
    pub fn remainder(&self, other: &Self) -> Option<Self> {
        if other.is_zero() {
            return None;
        }
        match (self, other) {
            (Number::Finite(_), Number::Finite(_)) => {
                let whole = self.divide(other)?.truncate();
                self.subtract(&whole.multiply(other)?)
            }
            (a @ Number::Finite(_), _) => Some(a.clone()),
            _ => None,
        }
    }
}

fn infinite(negative: bool) -> Number {
    if negative { Number::NegativeInfinite } else { Number::Infinite }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Number::Finite(BigDecimal::from(value))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Number::Finite(BigDecimal::from(value as u64))
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        let rank = |n: &Number| match n {
            Number::NegativeInfinite => -1,
            Number::Finite(_) => 0,
            Number::Infinite => 1,
        };
        match (self, other) {
            (Number::Finite(a), Number::Finite(b)) => a.partial_cmp(b),
            (a, b) => rank(a).partial_cmp(&rank(b)),
        }
    }
}

/// Plain digits, never an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Finite(value) => f.write_str(&value.normalized().to_plain_string()),
            Number::Infinite => f.write_str("+Inf"),
            Number::NegativeInfinite => f.write_str("-Inf"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect(text)
    }

    #[test]
    fn numbers_are_decimal_and_print_plainly() {
        for (text, printed) in [("1e3", "1000"), ("1.50", "1.5"), ("-0", "0"), ("1e-2", "0.01"), ("007", "7")]
        {
            assert_eq!(number(text).to_string(), printed, "{text}");
        }
        assert_eq!(number("0.1").add(&number("0.2")).expect("finite").to_string(), "0.3");
        assert_eq!(number("5").divide(&number("0")).expect("infinite").to_string(), "+Inf");
        assert_eq!(number("-7").remainder(&number("3")).expect("finite").to_string(), "-1");
        let third = number("1").divide(&number("3")).expect("finite").to_string();
        assert_eq!(third, format!("0.{}", "3".repeat(154)));
    }

    #[test]
    fn huge_numbers_cost_nothing() {
        assert_eq!(Number::parse("1e999999999"), None);
        let mut n = number("1e9000");
        for _ in 0..10 {
            n = n.multiply(&n).expect("not zero");
        }
        assert_eq!(n, Number::Infinite);
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", ".", "1e", "e1", "1.2.3", "0x10", "NaN", "inf", " 1", "1_000"] {
            assert_eq!(Number::parse(text), None, "{text:?}");
        }
    }
}
