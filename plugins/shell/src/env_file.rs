//! The file with the variables where one of them is secret. The content of an uploaded file takes a secret as it is,
//! and a quote in it would end the quotes around it. So the machine's shell writes the file: it gets the secrets as
//! environment variables, quoted by the host, and escapes each for the place where it stands.

use fornax_plugin_sdk::sealed;

/// A command that writes the file, and the environment it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Writer {
    pub command: String,
    pub env: Vec<(String, String)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Bare,
    Single,
    Double,
}

/// The command that writes `text` to `path`, readable for its owner only; none where no secret is in it.
pub fn writer(text: &str, path: &str) -> Option<Writer> {
    let places = sealed::placeholders(text);
    if places.is_empty() {
        return None;
    }
    let mut command = String::new();
    let mut print = String::new();
    let mut env = Vec::new();
    let mut place = Place::Bare;
    let mut from = 0;
    for range in places {
        let before = &text[from..range.start];
        place = scan(before, place);
        let variable = format!("FORNAX_SEALED_{}", env.len());
        // The letter behind the value keeps line ends that `$(...)` would take away.
        let value = match place {
            Place::Single => escape(&variable, r#"s/'/'"'"'/g"#),
            Place::Double => escape(&variable, r#"s/[\\"$`]/\\&/g"#),
            Place::Bare => escape(&variable, r#"s/'/'"'"'/g"#),
        };
        command.push_str(&value);
        print.push_str(&quote(before));
        print.push_str(&match place {
            Place::Bare => format!("\\'\"${{{variable}%x}}\"\\'"),
            Place::Single | Place::Double => format!("\"${{{variable}%x}}\""),
        });
        env.push((variable, text[range.clone()].to_owned()));
        from = range.end;
    }
    print.push_str(&quote(&text[from..]));
    let path = quote(path);
    command.push_str(&format!("umask 077; rm -f {path}; printf %s {print} > {path}"));
    Some(Writer { command, env })
}

fn escape(variable: &str, rule: &str) -> String {
    format!("{variable}=$(printf '%sx' \"${variable}\" | sed {}) || exit 1; ", quote(rule))
}

/// Quotes a text for a POSIX shell.
pub fn quote(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("'{}'", text.replace('\'', r#"'"'"'"#)) }
}

/// Where a shell that read `text` from `place` stands behind it.
fn scan(text: &str, mut place: Place) -> Place {
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        place = match (place, c) {
            (Place::Bare, '\'') => Place::Single,
            (Place::Single, '\'') | (Place::Double, '"') => Place::Bare,
            (Place::Bare, '"') => Place::Double,
            (Place::Bare | Place::Double, '\\') => {
                chars.next();
                place
            }
            _ => place,
        };
    }
    place
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::process::Command;

    /// Runs the command as the machine would and sources the file: every value must arrive exactly.
    #[test]
    fn every_value_arrives() {
        let folder = std::env::temp_dir().join(format!("fornax-env-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("var's file.sh");
        let path = path.to_str().unwrap();
        let one = format!("sealed_{}", "1".repeat(32));
        let two = format!("sealed_{}", "2".repeat(32));
        for secret in ["a", "it's", "\"$HOME`x`\\", "two\nlines\n", "\u{fc}mlaut & more;", "a'b\"c\\'d", " "]
        {
            for (file, expected) in [
                (format!("export A='{one}'\nexport B='x{two}y'\n"), secret.to_owned()),
                (format!("A={one}\nB=x{two}y\n"), secret.to_owned()),
                (format!("A=\"{one}\"\nB=\"x{two}y\"\n"), secret.to_owned()),
                (format!("A='it'\"'\"'s {one}'\nB='x'{two}\\y\n"), format!("it's {secret}")),
            ] {
                let writer = writer(&file, path).unwrap();
                assert_eq!(writer.env.len(), 2);
                let made = Command::new("sh")
                    .args(["-c", &writer.command])
                    .envs(writer.env.iter().map(|(name, _)| (name, secret)))
                    .status()
                    .unwrap();
                assert!(made.success(), "{}", writer.command);
                let read = Command::new("sh")
                    .args(["-c", ". \"$1\"; printf '%s|%s' \"$A\" \"$B\"", "sh", path])
                    .output()
                    .unwrap();
                assert_eq!(
                    String::from_utf8(read.stdout).unwrap(),
                    format!("{expected}|x{secret}y"),
                    "{file}"
                );
            }
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn nothing_sealed_needs_no_command() {
        assert_eq!(writer("export A='b'\n", "/tmp/x"), None);
    }
}
