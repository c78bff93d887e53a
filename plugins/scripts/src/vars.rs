//! Environment variables of a script: collecting and sorting them, and writing them in the form that the template asks
//! for. Values may hold sealed placeholders, which no escaping touches: the host quotes what it puts in their place.

use std::collections::BTreeMap;

use fornax_plugin_sdk::Check;
use serde_json::Value;

/// Splits `NAME=value`.
pub fn split(pair: &str) -> Option<(&str, &str)> {
    pair.split_once('=').filter(|(name, _)| !name.is_empty())
}

/// All variables by name: `environment_vars`, above them `env`, above them what every script gets.
pub fn collect(
    pairs: Option<&[String]>,
    env: Option<&BTreeMap<String, String>>,
    build_name: &str,
    builder_type: &str,
) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter().flatten().filter_map(|pair| split(pair));
    let mut all: BTreeMap<_, _> = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    all.extend(env.into_iter().flatten().map(|(name, value)| (name.clone(), value.clone())));
    all.insert("PACKER_BUILD_NAME".into(), build_name.into());
    all.insert("PACKER_BUILDER_TYPE".into(), builder_type.into());
    all
}

/// Checks `environment_vars`, `env` and the options that hold a format. `name_of` says what is wrong with the name of
/// a variable, if anything is.
pub fn check(check: &mut Check, name: &str, formats: &[&str], name_of: fn(&str) -> Option<&'static str>) {
    const FORM: &str = "Environment variable not in format 'key=value'";
    const NAME: &str = "The name of an environment variable can't be empty or contain `=`";
    let mut names = Vec::new();
    let mut wrong = Vec::new();
    for (index, pair) in
        check.get("/environment_vars").and_then(Value::as_array).into_iter().flatten().enumerate()
    {
        let pointer = format!("/environment_vars/{index}");
        match pair.as_str().map(|pair| (pair, split(pair))) {
            Some((_, Some((name, _)))) => names.push((pointer, name.to_owned())),
            Some((pair, None)) => wrong.push((pointer, FORM, pair.to_owned())),
            None => {}
        }
    }
    for name in check.get("/env").and_then(Value::as_object).into_iter().flat_map(|env| env.keys()) {
        let pointer = format!("/env/{}", name.replace('~', "~0").replace('/', "~1"));
        if name.is_empty() || name.contains('=') {
            wrong.push((pointer, NAME, name.clone()));
        } else {
            names.push((pointer, name.clone()));
        }
    }
    for (pointer, why, text) in wrong {
        check.error(&pointer, &format!("{name}/environment-variable"), format!("{why}: {text}"), "");
    }
    for (pointer, variable) in names {
        if let Some(why) = name_of(&variable) {
            let summary = format!("{variable:?} makes no variable in this shell");
            check.warning(&pointer, &format!("{name}/environment-name"), summary, why);
        }
    }
    for option in formats {
        let pointer = format!("/{option}");
        if let Some(Err(problem)) = check.text(&pointer).filter(|text| !text.is_empty()).map(Format::parse) {
            check.error(&pointer, &format!("{name}/env-var-format"), format!("{option} {problem}"), "");
        }
    }
}

/// A checked format of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Name,
    Value,
}

impl Format {
    /// Reads a `printf` format with the verbs `%s`, `%v`, `%[1]s`, `%[2]s` and `%%`. The error is what follows the name
    /// of the option in a sentence.
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
                format!("knows %s for the name and the value, and %% for a percent sign, not %{after}")
            })?;
            let piece = match index {
                1 => Piece::Name,
                2 => Piece::Value,
                _ => return Err("has two arguments, the name and the value".into()),
            };
            next = index + 1;
            pieces.push(Piece::Text(std::mem::take(&mut text)));
            pieces.push(piece);
        }
        text.push_str(rest);
        pieces.push(Piece::Text(text));
        if !pieces.contains(&Piece::Name) || !pieces.contains(&Piece::Value) {
            return Err("must hold %s twice: for the name and for the value".into());
        }
        Ok(Format(pieces))
    }

    /// Writes one variable.
    pub fn apply(&self, name: &str, value: &str) -> String {
        self.0
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => text.as_str(),
                Piece::Name => name,
                Piece::Value => value,
            })
            .collect()
    }

    /// Writes all variables, each value escaped before.
    pub fn write(&self, variables: &BTreeMap<String, String>, escape: fn(&str) -> String) -> String {
        variables.iter().map(|(name, value)| self.apply(name, &escape(value))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
        let pairs = ["A=list".to_owned(), "PACKER_BUILD_NAME=x".to_owned()];
        let env = BTreeMap::from([("A".to_owned(), "map".to_owned())]);
        let all = collect(Some(&pairs), Some(&env), "name", "type");
        assert_eq!(all["A"], "map");
        assert_eq!(all["PACKER_BUILD_NAME"], "name");
    }

    #[test]
    fn findings() {
        let config = json!({
            "environment_vars": ["A=1", "B", "=c", "odd=x"], "env": {"": "x", "odd": "y"}, "format": "%d", "other": ""
        });
        let mut checked = Check::of(config);
        check(&mut checked, "x", &["format", "other"], |name| (name == "odd").then_some("odd"));
        let found: Vec<_> = checked.findings().iter().map(|f| (f.path.as_str(), f.code.as_str())).collect();
        assert_eq!(
            found,
            [
                ("/environment_vars/1", "x/environment-variable"),
                ("/environment_vars/2", "x/environment-variable"),
                ("/env/", "x/environment-variable"),
                ("/environment_vars/3", "x/environment-name"),
                ("/env/odd", "x/environment-name"),
                ("/format", "x/env-var-format"),
            ]
        );
    }
}
