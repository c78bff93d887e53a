//! Numbers in `format`: whole ones to several bases, others with and without exponent, padded as Go does.

use bigdecimal::BigDecimal;

use super::super::Fault;
use super::Verb;
use crate::hcl::Number;

/// A whole number to the base of the verb.
pub(super) fn integer(out: &mut String, verb: &Verb<'_>, number: &Number) -> Result<(), Fault> {
    let whole = number.to_bigint().ok_or_else(|| verb.unsupported("an integer is required"))?;
    let (base, prefix) = match verb.letter {
        'b' => (2, "0b"),
        'o' => (8, "0"),
        'x' => (16, "0x"),
        'X' => (16, "0X"),
        _ => (10, ""),
    };
    let mut digits = whole.magnitude().to_str_radix(base);
    if verb.letter == 'X' {
        digits = digits.to_uppercase();
    }
    let sign = sign(verb, number.is_negative());
    let prefix = if verb.sharp { prefix } else { "" };
    let mut zeros = verb.precision.unwrap_or(0).saturating_sub(digits.len());
    if verb.precision == Some(0) && digits == "0" {
        // As Go has it: no digits of nothing.
        return Ok(());
    }
    let length = sign.len() + prefix.len() + zeros + digits.len();
    let missing = verb.width.unwrap_or(0).saturating_sub(length);
    let (mut left, mut right) = (0, 0);
    if verb.minus {
        right = missing;
    } else if verb.zero && verb.precision.is_none() {
        zeros = missing;
    } else {
        left = missing;
    }
    out.push_str(&" ".repeat(left));
    out.push_str(sign);
    out.push_str(prefix);
    out.push_str(&"0".repeat(zeros));
    out.push_str(&digits);
    out.push_str(&" ".repeat(right));
    Ok(())
}

/// A number with a fraction, or an exponent, or whichever of both suits it.
pub(super) fn float(out: &mut String, verb: &Verb<'_>, number: &Number) {
    let (negative, body) = (number.is_negative(), magnitude(verb.letter, verb.precision, number));
    let infinite = !matches!(number, Number::Finite(_));
    let sign = match sign(verb, negative) {
        "" if infinite => "+",
        sign => sign,
    };
    let missing = verb.width.unwrap_or(0).saturating_sub(sign.len() + body.len());
    let (left, zeros, right) = if verb.minus {
        (0, 0, missing)
    } else if verb.zero && !infinite {
        (0, missing, 0)
    } else {
        (missing, 0, 0)
    };
    out.push_str(&" ".repeat(left));
    out.push_str(sign);
    out.push_str(&"0".repeat(zeros));
    out.push_str(&body);
    out.push_str(&" ".repeat(right));
}

/// As `%v` writes it: all digits, with an exponent from a million up and below a ten-thousandth.
pub(super) fn shortest(number: &Number) -> String {
    let sign = match number {
        Number::Infinite => "+",
        other if other.is_negative() => "-",
        _ => "",
    };
    format!("{sign}{}", magnitude('g', None, number))
}

fn sign(verb: &Verb<'_>, negative: bool) -> &'static str {
    match negative {
        true => "-",
        false if verb.plus => "+",
        false if verb.space => " ",
        false => "",
    }
}

fn magnitude(letter: char, precision: Option<usize>, number: &Number) -> String {
    let Number::Finite(value) = number else { return "Inf".to_owned() };
    let decimal = Decimal::of(value);
    match letter {
        'f' => {
            let places = precision.unwrap_or(6);
            decimal.rounded(decimal.point.saturating_add(places as i64)).plain(places)
        }
        'e' | 'E' => {
            let places = precision.unwrap_or(6);
            decimal.rounded(places as i64 + 1).scientific(letter, places)
        }
        _ => {
            let decimal = match precision {
                Some(digits) => decimal.rounded(digits.max(1) as i64),
                None => decimal,
            };
            let count = decimal.digits.len() as i64;
            // Without a precision, six digits decide whether an exponent is shorter.
            let limit = match precision.map(|p| p.max(1) as i64) {
                Some(p) if p > count && count >= decimal.point => count,
                Some(p) => p,
                None => 6,
            };
            let exponent = decimal.point - 1;
            if !decimal.digits.is_empty() && (exponent < -4 || exponent >= limit) {
                let letter = if letter == 'G' { 'E' } else { 'e' };
                decimal.scientific(letter, (count - 1) as usize)
            } else {
                decimal.plain((count - decimal.point).max(0) as usize)
            }
        }
    }
}

/// Decimal digits without leading and trailing zeros, and where the point is: behind so many digits. Zero has none.
struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    fn of(value: &BigDecimal) -> Self {
        let (whole, scale) = value.normalized().into_bigint_and_exponent();
        let text = whole.magnitude().to_string();
        if text == "0" {
            return Self { digits: Vec::new(), point: 0 };
        }
        let point = text.len() as i64 - scale;
        Self { digits: text.into_bytes(), point }.trimmed()
    }

    fn trimmed(mut self) -> Self {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
        self
    }

    /// To so many digits, halves to even.
    fn rounded(&self, count: i64) -> Self {
        let whole = || Self { digits: self.digits.clone(), point: self.point };
        if count < 0 {
            return Self { digits: Vec::new(), point: 0 };
        }
        let count = count as usize;
        let Some(next) = self.digits.get(count) else { return whole() };
        let half = *next == b'5' && count + 1 == self.digits.len();
        let odd = count > 0 && (self.digits[count - 1] - b'0') % 2 == 1;
        let up = if half { odd } else { *next >= b'5' };
        let mut digits = self.digits[..count].to_vec();
        let mut point = self.point;
        if up {
            while digits.last() == Some(&b'9') {
                digits.pop();
            }
            match digits.last_mut() {
                Some(last) => *last += 1,
                None => {
                    digits.push(b'1');
                    point += 1;
                }
            }
        }
        Self { digits, point }.trimmed()
    }

    fn digit(&self, index: i64) -> char {
        usize::try_from(index).ok().and_then(|i| self.digits.get(i)).map_or('0', |d| char::from(*d))
    }

    fn plain(&self, places: usize) -> String {
        let mut out: String = (0..self.point).map(|i| self.digit(i)).collect();
        if out.is_empty() {
            out.push('0');
        }
        if places > 0 {
            out.push('.');
            out.extend((0..places as i64).map(|i| self.digit(self.point + i)));
        }
        out
    }

    fn scientific(&self, letter: char, places: usize) -> String {
        let mut out = String::from(self.digit(0));
        if places > 0 {
            out.push('.');
            out.extend((1..=places as i64).map(|i| self.digit(i)));
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(&format!("{letter}{sign}{:02}", exponent.unsigned_abs()));
        out
    }
}
