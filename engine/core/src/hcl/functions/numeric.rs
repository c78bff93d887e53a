//! Functions of numbers.

use std::cmp::Ordering;

use super::{Function, Host, Outcome, Param, any, at, function, gives, int, num, number, param};
use crate::hcl::types::Type;
use crate::hcl::{Number, Val, convert};

const NUM: &[Param] = &[param("num", number)];
/// What `parseint` reads at most; longer numbers would be infinite.
const MAX_DIGITS: usize = 10_000;
const NUMBERS: Param = param("numbers", number);

pub(super) const TABLE: &[Function] = &[
    function("abs", "The number without its sign.", NUM, gives::number, abs),
    function("ceil", "The next whole number that is not smaller.", NUM, gives::number, ceil),
    function("floor", "The next whole number that is not larger.", NUM, gives::number, floor),
    function(
        "log",
        "The logarithm of a number to a base.",
        &[param("num", number), param("base", number)],
        gives::number,
        log,
    ),
    function("max", "The largest of the numbers.", &[], gives::number, max).rest(NUMBERS),
    function("min", "The smallest of the numbers.", &[], gives::number, min).rest(NUMBERS),
    function(
        "parseint",
        "Reads a whole number to a base of 2 to 62.",
        &[param("number", any), param("base", number)],
        gives::number,
        parseint,
    ),
    function(
        "pow",
        "A number raised to a power.",
        &[param("num", number), param("power", number)],
        gives::number,
        pow,
    ),
    function("signum", "The sign of a whole number: -1, 0 or 1.", NUM, gives::number, signum),
    function("sum", "The sum of the numbers of a list.", &[param("list", any)], gives::number, sum),
];

fn abs(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(num(args, 0).abs()))
}

fn ceil(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(num(args, 0).ceil()))
}

fn floor(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(num(args, 0).floor()))
}

/// Logarithms and powers are computed with 53 bits.
fn float(value: f64) -> Outcome {
    Ok(Val::number(Number::from_f64(value).ok_or("the result is not a number")?))
}

fn log(args: &[Val], _: &dyn Host) -> Outcome {
    float(num(args, 0).to_f64().ln() / num(args, 1).to_f64().ln())
}

fn pow(args: &[Val], _: &dyn Host) -> Outcome {
    float(num(args, 0).to_f64().powf(num(args, 1).to_f64()))
}

fn max(args: &[Val], _: &dyn Host) -> Outcome {
    extreme(args, Ordering::Greater)
}

fn min(args: &[Val], _: &dyn Host) -> Outcome {
    extreme(args, Ordering::Less)
}

fn extreme(args: &[Val], wanted: Ordering) -> Outcome {
    let mut best = num_or_none(args).ok_or("must pass at least one number")?;
    for index in 1..args.len() {
        if num(args, index).partial_cmp(best) == Some(wanted) {
            best = num(args, index);
        }
    }
    Ok(Val::number(best.clone()))
}

fn num_or_none(args: &[Val]) -> Option<&Number> {
    args.first().and_then(Val::as_number)
}

fn signum(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(int(args, 0)?.signum()))
}

fn sum(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().ok_or_else(|| at(0, "cannot sum noniterable"))?;
    let wrong = || at(0, "argument must be list, set, or tuple of number values");
    if items.is_empty() {
        return Err(at(0, "cannot sum an empty list"));
    }
    let mut total = Number::zero();
    for item in items {
        let item = convert(item.clone(), &Type::Number).map_err(|_| wrong())?;
        total = total.add(item.as_number().ok_or_else(wrong)?).ok_or("opposite infinities have no sum")?;
    }
    Ok(Val::number(total))
}

fn parseint(args: &[Val], _: &dyn Host) -> Outcome {
    let text = args[0].as_str().ok_or_else(|| at(0, "first argument must be a string"))?;
    let base = num(args, 1).to_i64().filter(|b| (2..=62).contains(b));
    let base = base.ok_or_else(|| at(1, "base must be a whole number between 2 and 62 inclusive"))?;
    let wrong = || at(0, format!("cannot parse {text:?} as a base {base} integer"));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    if digits.len() > MAX_DIGITS {
        return Err(at(0, "a number of more than 10000 digits is refused"));
    }
    if digits.is_empty() {
        return Err(wrong());
    }
    let mut total = Number::zero();
    for c in digits.chars() {
        // Up to base 36 case does not matter; beyond it, capitals are the larger digits.
        let digit = match c {
            '0'..='9' => c as i64 - '0' as i64,
            'a'..='z' => c as i64 - 'a' as i64 + 10,
            'A'..='Z' if base <= 36 => c as i64 - 'A' as i64 + 10,
            'A'..='Z' => c as i64 - 'A' as i64 + 36,
            _ => return Err(wrong()),
        };
        if digit >= base {
            return Err(wrong());
        }
        total = total
            .multiply(&Number::from(base))
            .and_then(|t| t.add(&Number::from(digit)))
            .ok_or_else(wrong)?;
    }
    Ok(Val::number(if negative { total.negate() } else { total }))
}
