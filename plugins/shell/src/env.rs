//! What POSIX shells ask of variables: their names, and quotes within quotes.

/// Whether a shell takes the name for a variable's.
pub fn is_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Only our own quotes are escaped; the host quotes what it puts in place of a placeholder.
pub fn escape(value: &str) -> String {
    value.replace('\'', r#"'"'"'"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_left_alone() {
        let sealed = format!("it's sealed_{}", "0".repeat(32));
        assert_eq!(escape(&sealed), format!("it'\"'\"'s {}", &sealed[5..]));
    }

    #[test]
    fn names() {
        assert!(is_name("A_1") && is_name("_a"));
        assert!(!is_name("1A") && !is_name("A-B") && !is_name(""));
    }
}
