//! The lines of checksum files: the digest, a tab, the last part of the file's name. What goes into one file is
//! collected, so that it is appended at once.

/// What one checksum file gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appendix {
    /// The path of the file.
    pub output: String,
    /// Whole lines.
    pub text: String,
}

/// Adds a line.
pub fn add(appendices: &mut Vec<Appendix>, output: &str, digest: &str, file: &str) {
    let line = format!("{digest}\t{}\n", base_name(file));
    match appendices.iter_mut().find(|appendix| appendix.output == output) {
        Some(appendix) => appendix.text.push_str(&line),
        None => appendices.push(Appendix { output: output.to_owned(), text: line }),
    }
}

/// The last part of a path. A line break in it would make two lines of one.
fn base_name(path: &str) -> String {
    let path = path.trim_end_matches('/');
    path.rsplit('/').next().unwrap_or(path).replace(['\n', '\r'], "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_one_file_stay_together() {
        let mut all = Vec::new();
        add(&mut all, "sums", "aa", "out/disk.vhd");
        add(&mut all, "other", "bb", "disk.vhd");
        add(&mut all, "sums", "cc", "/abs/my file.txt");
        add(&mut all, "sums", "dd", "odd\nname");
        let text = |output: &str| all.iter().find(|a| a.output == output).map(|a| a.text.as_str());
        assert_eq!(text("sums"), Some("aa\tdisk.vhd\ncc\tmy file.txt\ndd\todd?name\n"));
        assert_eq!(text("other"), Some("bb\tdisk.vhd\n"));
        assert_eq!(all.len(), 2);
    }
}
