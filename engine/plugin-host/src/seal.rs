//! Sealed placeholders: what a guest sees in place of a secret. A [`Sealer`] belongs to one instance; its placeholders
//! are random and mean nothing to another one. Values leave it only towards a sink, quoted for that sink.

use fornax_core::secret::MASK;
use fornax_core::value::{Part, Text};
use fornax_core::{Redactor, Secret};

use crate::shell::{self, Found, Refused, cmd, powershell};

const PREFIX: &str = "sealed_";
const LENGTH: usize = PREFIX.len() + 32;

/// What reads a text in which placeholders stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Posix,
    /// A command line for `cmd.exe`.
    Cmd,
    /// A batch file.
    Batch,
    PowerShell,
    /// Nobody knows: only values of letters, digits and a few marks are put in.
    Unknown,
}

/// Where a secret came to the instance from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The step's own configuration; only these can be looked up and revealed.
    Config,
    /// Variables or rendered templates.
    Elsewhere,
}

struct Sealed {
    placeholder: String,
    secret: Secret,
    origin: Origin,
}

/// The secrets of one instance.
#[derive(Default)]
pub struct Sealer {
    sealed: Vec<Sealed>,
}

impl Sealer {
    /// The text with a placeholder for each secret part. The same value has the same placeholder.
    pub fn seal(&mut self, text: &Text, origin: Origin) -> String {
        text.parts()
            .iter()
            .map(|part| match part {
                Part::Plain(plain) => plain.clone(),
                Part::Secret(secret) => self.seal_secret(secret, origin),
            })
            .collect()
    }

    /// The placeholder of a secret. An empty secret is an empty text, because a guest must see that it is empty.
    pub fn seal_secret(&mut self, secret: &Secret, origin: Origin) -> String {
        if secret.expose().is_empty() {
            return String::new();
        }
        if let Some(known) = self.sealed.iter_mut().find(|s| s.secret.expose() == secret.expose()) {
            if origin == Origin::Config {
                known.origin = Origin::Config;
            }
            return known.placeholder.clone();
        }
        let placeholder = format!("{PREFIX}{}", crate::random_hex::<16>());
        self.sealed.push(Sealed { placeholder: placeholder.clone(), secret: secret.clone(), origin });
        placeholder
    }

    fn at_start(&self, text: &str) -> Option<&Sealed> {
        let head = text.as_bytes().get(..LENGTH)?;
        if !head.starts_with(PREFIX.as_bytes()) {
            return None;
        }
        self.sealed.iter().find(|s| s.placeholder.as_bytes() == head)
    }

    fn walk<'a>(&'a self, mut text: &'a str, mut piece: impl FnMut(&str, Option<&'a Sealed>)) {
        let mut from = 0;
        while let Some(offset) = text[from..].find(PREFIX) {
            let at = from + offset;
            match self.at_start(&text[at..]) {
                Some(sealed) => {
                    piece(&text[..at], Some(sealed));
                    text = &text[at + LENGTH..];
                    from = 0;
                }
                None => from = at + PREFIX.len(),
            }
        }
        piece(text, None);
    }

    /// The text with the values in it.
    pub fn text(&self, text: &str) -> Text {
        let mut result = Text::default();
        self.walk(text, |plain, sealed| {
            result.push_str(plain);
            if let Some(sealed) = sealed {
                result.push_text(&Text::secret(sealed.secret.clone()));
            }
        });
        result
    }

    /// For sinks without quoting: file content and standard input.
    pub fn unseal_raw(&self, text: &str) -> Secret {
        Secret::new(self.text(text).expose())
    }

    /// A text that is read in this language, each value quoted for where it stands.
    pub fn unseal_text(&self, text: &str, language: Language) -> Result<Secret, Refused> {
        if !text.contains(PREFIX) {
            return Ok(Secret::new(text));
        }
        let find = |rest: &str| {
            self.at_start(rest).map(|sealed| Found { length: LENGTH, value: sealed.secret.expose() })
        };
        match language {
            Language::Posix => shell::fill(text, &find),
            Language::Cmd => cmd::fill(text, cmd::Kind::Line, &find),
            Language::Batch => cmd::fill(text, cmd::Kind::Batch, &find),
            Language::PowerShell => powershell::fill(text, &find),
            Language::Unknown => {
                let mut refused = false;
                let safe = |value: &str| shell::is_safe(value) && cmd::is_safe(value);
                self.walk(text, |_, sealed| refused |= sealed.is_some_and(|s| !safe(s.secret.expose())));
                if refused {
                    return Err(Refused("in a command line for this shell"));
                }
                return Ok(self.unseal_raw(text));
            }
        }
        .map(Secret::new)
    }

    /// A raw command line for a POSIX shell.
    pub fn unseal_line(&self, line: &str) -> Result<Secret, Refused> {
        self.unseal_text(line, Language::Posix)
    }

    /// A raw command line for any shell. On its way to PowerShell a line is taken apart once more, as the arguments of a program.
    pub fn unseal_line_for(&self, line: &str, language: Language) -> Result<Secret, Refused> {
        if language == Language::Posix {
            return self.unseal_line(line);
        }
        let mut refused = false;
        if language == Language::PowerShell {
            self.walk(line, |_, sealed| {
                refused |= sealed.is_some_and(|s| powershell::argument(s.secret.expose()).is_err());
            });
        }
        if refused { Err(Refused(powershell::ARGUMENT)) } else { self.unseal_text(line, language) }
    }

    /// What a guest returned, for people: placeholders and known values are masked.
    pub fn mask(&self, text: &str, redactor: &Redactor) -> String {
        let mut masked = String::with_capacity(text.len());
        self.walk(text, |plain, sealed| {
            masked.push_str(plain);
            if sealed.is_some() {
                masked.push_str(MASK);
            }
        });
        redactor.redact(&masked)
    }

    /// [`Self::mask`] for each text in a JSON value, names included.
    pub fn mask_json(&self, value: serde_json::Value, redactor: &Redactor) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.mask(&text, redactor)),
            Value::Array(items) => items.into_iter().map(|v| self.mask_json(v, redactor)).collect(),
            Value::Object(members) => members
                .into_iter()
                .map(|(key, v)| (self.mask(&key, redactor), self.mask_json(v, redactor)))
                .collect(),
            other => other,
        }
    }

    /// The secret behind a placeholder, if the configuration mentions it.
    pub fn of_config(&self, placeholder: &str) -> Option<&Secret> {
        self.sealed
            .iter()
            .find(|s| s.origin == Origin::Config && s.placeholder == placeholder)
            .map(|s| &s.secret)
    }

    /// Whether the configuration mentions the secret.
    pub fn config_mentions(&self, secret: &Secret) -> bool {
        self.sealed.iter().any(|s| s.origin == Origin::Config && s.secret.expose() == secret.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seals_and_unseals() {
        let mut sealer = Sealer::default();
        let mut text = Text::plain("jdbc:x;password=");
        text.push_text(&Text::secret(Secret::new("pä'ss")));
        text.push_str(";");
        let sealed = sealer.seal(&text, Origin::Config);
        assert!(!sealed.contains("pä'ss"));
        assert_eq!(sealed.len(), "jdbc:x;password=;".len() + LENGTH);
        assert_eq!(sealer.unseal_raw(&sealed).expose(), "jdbc:x;password=pä'ss;");
        assert_eq!(sealer.mask(&sealed, &Redactor::new()), format!("jdbc:x;password={MASK};"));
        assert_eq!(sealer.text(&sealed), text);
        assert_eq!(sealer.seal(&text, Origin::Config), sealed);
        let foreign = Sealer::default();
        assert_eq!(foreign.unseal_raw(&sealed).expose(), sealed);
        assert_eq!(sealer.unseal_raw("sealed_sealed_ äx").expose(), "sealed_sealed_ äx");
    }
}
