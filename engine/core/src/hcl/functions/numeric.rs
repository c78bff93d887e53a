//! Functions of numbers.

use super::{Fault, Function, Host, Outcome, Param, any, number, param, string};
use crate::hcl::types::Type;
use crate::hcl::{Number, Val, convert};

const NUM: &[Param] = &[param("num", number)];

pub(super) const TABLE: &[Function] = &[
    Function {
        name: "abs",
        about: "The number without its sign.",
        params: NUM,
        rest: None,
        returns: number,
        run: abs,
    },
    Function {
        name: "ceil",
        about: "The next whole number that is not smaller.",
        params: NUM,
        rest: None,
        returns: number,
        run: ceil,
    },
    Function {
        name: "floor",
        about: "The next whole number that is not larger.",
        params: NUM,
        rest: None,
        returns: number,
        run: floor,
    },
    Function {
        name: "sum",
        about: "The sum of the numbers of a list.",
        params: &[param("list", any)],
        rest: None,
        returns: number,
        run: sum,
    },
    Function {
        name: "parseint",
        about: "Reads a whole number to a base of 2 to 62.",
        params: &[param("number", string), param("base", number)],
        rest: None,
        returns: number,
        run: parseint,
    },
];

fn arg(args: &[Val], index: usize) -> &Number {
    // The parameter's type says so, and neither null nor unknown gets here.
    args[index].as_number().expect("converted to a number")
}

fn abs(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(arg(args, 0).abs()))
}

fn ceil(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(arg(args, 0).ceil()))
}

fn floor(args: &[Val], _: &dyn Host) -> Outcome {
    Ok(Val::number(arg(args, 0).floor()))
}

fn sum(args: &[Val], _: &dyn Host) -> Outcome {
    let items = args[0].items().ok_or_else(|| Fault::At(0, "cannot sum noniterable".to_owned()))?;
    let wrong = || Fault::At(0, "argument must be list, set, or tuple of number values".to_owned());
    if items.is_empty() {
        return Err(Fault::At(0, "cannot sum an empty list".to_owned()));
    }
    let mut total = Number::zero();
    for item in items {
        let item = convert(item.clone(), &Type::Number).map_err(|_| wrong())?;
        total = total.add(item.as_number().ok_or_else(wrong)?).ok_or("opposite infinities have no sum")?;
    }
    Ok(Val::number(total))
}

fn parseint(args: &[Val], _: &dyn Host) -> Outcome {
    let text = args[0].as_str().expect("converted to a string");
    let base = arg(args, 1).to_i64().filter(|b| (2..=62).contains(b));
    let base = base
        .ok_or_else(|| Fault::At(1, "base must be a whole number between 2 and 62 inclusive".to_owned()))?;
    let wrong = || Fault::At(0, format!("cannot parse {text:?} as a base {base} integer"));
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
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
