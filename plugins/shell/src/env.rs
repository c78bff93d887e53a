//! Environment variables of a script: collecting, sorting, and writing them in the form that the template asks for.
//! Values may hold sealed placeholders; only our own quotes are escaped here, the host quotes what it puts in place of
//! a placeholder.

use std::collections::BTreeMap;

use crate::config::Config;

/// Splits `NAME=value`.
pub fn split(pair: &str) -> Option<(&str, &str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty())
}

/// Whether a shell takes the name for a variable's.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// All variables by name: `environment_vars`, above them `env`, above them what every script gets.
pub fn collect(config: &Config, build_name: &str, builder_type: &str) -> BTreeMap<String, String> {
    let pairs = config.environment_vars.iter().flatten().filter_map(|pair| split(pair));
    let mut all: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(config.env.clone().unwrap_or_default());
    all.insert("PACKER_BUILD_NAME".into(), build_name.into());
    all.insert("PACKER_BUILDER_TYPE".into(), builder_type.into());
    all
}

/// Writes all variables.
pub fn write(variables: &BTreeMap<String, String>, format: &Format) -> String {
    variables.iter().map(|(name, value)| format.apply(name, &value.replace('\'', r#"'"'"'"#))).collect()
}

/// A checked `env_var_format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name,
    Value,
}

impl Format {
    /// Reads a `printf` format with the verbs `%s`, `%v`, `%[1]s`, `%[2]s` and `%%`. The error is a sentence.
    pub fn parse(format: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut next = 1;
        let mut rest = format;
        while let Some((before, after)) = rest.split_once('%') {
            text.push_str(before);
            if let Some(after) = after.strip_prefix('%') {
                text.push('%');
                rest = after;
                continue;
            }
            let (index, after) = match after.strip_prefix('[').and_then(|after| after.split_once(']')) {
                Some((index, after)) => (index.parse().unwrap_or(0), after),
                None => (next, after),
            };
            rest = after.strip_prefix(['s', 'v']).ok_or_else(|| {
                format!("env_var_format knows %s for the name and the value, and %% for a percent sign, not %{after}")
            })?;
            let piece = match index {
                1 => Piece::Name,
                2 => Piece::Value,
                _ => return Err("env_var_format has two arguments, the name and the value".into()),
            };
            next = index + 1;
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(piece);
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        if !pieces.contains(&Piece::Name) || !pieces.contains(&Piece::Value) {
            return Err("env_var_format must hold %s twice: for the name and for the value".into());
        }
        Ok(Format(pieces))
    }

    fn apply(&self, name: &str, value: &str) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Name => name,
                Piece::Value => value,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (format, expected) in [
            ("%s='%s' ", Ok("K='v' ")),
            ("-e %[1]s=%[2]s -- 100%% ", Ok("-e K=v -- 100% ")),
            ("%[2]s for %[1]s", Ok("v for K")),
            ("%s", Err(())),
            ("%s=%s %s", Err(())),
            ("%d=%s", Err(())),
            ("%s=%", Err(())),
        ] {
            let got = Format::parse(format).map(|format| format.apply("K", "v"));
            assert_eq!(got.map_err(|_| ()), expected.map(str::to_owned), "{format}");
        }
    }

    #[test]
    fn env_wins_and_ours_win() {
        let config = Config {
            environment_vars: Some(vec!["A=list".into(), "PACKER_BUILD_NAME=x".into()]),
            env: Some(BTreeMap::from([("A".into(), "map".into())])),
            ..Config::default()
        };
        let all = collect(&config, "name", "type");
        assert_eq!(all["A"], "map");
        assert_eq!(all["PACKER_BUILD_NAME"], "name");
    }

    #[test]
    fn placeholders_are_left_alone() {
        let sealed = format!("it's sealed_{}", "0".repeat(32));
        let all = BTreeMap::from([("A".to_owned(), sealed.clone())]);
        let written = write(&all, &Format::parse("%s='%s' ").unwrap());
        assert_eq!(written, format!("A='it'\"'\"'s {}' ", &sealed[5..]));
    }

    #[test]
    fn names() {
        assert!(is_name("A_1") && is_name("_a"));
        assert!(!is_name("1A") && !is_name("A-B") && !is_name(""));
    }
}
