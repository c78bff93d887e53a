//! Variables as `set` commands. Inside quotes some characters can't be written for `cmd`, a percent sign or a quote
//! among them, and what stands for a secret may hold any. So a variable with a secret is written without quotes, where
//! a caret takes the meaning from each of them; the host does that for the secret, this module for the rest.

use std::collections::BTreeMap;

use fornax_plugin_scripts::vars::Format;
use fornax_plugin_sdk::sealed;

use crate::config::FORMAT;

/// How a variable with a secret is written.
const SEALED: &str = "set %s=%s&& ";

/// All variables; `own` is the format that the template asks for, if it does.
pub fn write(variables: &BTreeMap<String, String>, own: Option<&str>) -> Result<String, String> {
    let (plain, secret) = (Format::parse(own.unwrap_or(FORMAT))?, Format::parse(SEALED)?);
    let one = |(name, value): (&String, &String)| {
        if own.is_none() && sealed::contains(value) {
            secret.apply(name, &escape(value))
        } else {
            plain.apply(name, value)
        }
    };
    Ok(variables.iter().map(one).collect())
}

/// Escapes all but placeholders for a place without quotes.
fn escape(value: &str) -> String {
    let mut out = String::new();
    let mut from = 0;
    for range in sealed::placeholders(value) {
        carets(&value[from..range.start], &mut out);
        out.push_str(&value[range.clone()]);
        from = range.end;
    }
    carets(&value[from..], &mut out);
    out
}

fn carets(text: &str, out: &mut String) {
    for c in text.chars() {
        if "^&|<>()\"%!".contains(c) {
            out.push('^');
        }
        out.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_stand_without_quotes() {
        let seal = format!("sealed_{}", "0".repeat(32));
        for (value, own, expected) in [
            ("a b".to_owned(), None, "set \"A=a b\" && ".to_owned()),
            (format!("a & b{seal}%"), None, format!("set A=a ^& b{seal}^%&& ")),
            (seal.clone(), Some("set \"%s=%s\" && "), format!("set \"A={seal}\" && ")),
        ] {
            let all = BTreeMap::from([("A".to_owned(), value)]);
            assert_eq!(write(&all, own).unwrap(), expected);
        }
        assert!(write(&BTreeMap::new(), Some("%d")).is_err());
    }
}
