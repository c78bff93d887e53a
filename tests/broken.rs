//! The folder `examples/broken`: each transcript is what the commands in it print, and together they show each code
//! that a diagnostic can have.
//!
//! `FORNAX_BLESS=1 cargo test -p fornax-tests --test broken` writes the transcripts anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fornax_tests::{files_below, fornax, workspace};

/// Codes that no transcript can show, each with the reason.
const NOT_SHOWN: &[(&str, &str)] = &[
    ("config/deprecated", "no option of a built-in component is deprecated; those of third parties may be"),
    ("config/duplicate-item", "no schema of a built-in component has uniqueItems"),
    ("config/pattern", "no schema of a built-in component has a pattern"),
    ("config/shape", "the schemas of the built-in components refuse before what their types would"),
    ("config/too-many-options", "no schema of a built-in component has oneOf"),
    ("plugin/check-failed", "a plugin dies while it checks its configuration"),
    ("plugin/configuration", "a plugin of a third party tells something without a code of its own"),
    ("powershell/debug-mode", "the schema says it before, as config/range"),
    ("powershell/duration", "the schema says it before, as config/duration"),
    ("powershell/execution-policy", "the schema says it before, as config/unknown-value"),
    ("shell/duration", "the schema says it before, as config/duration"),
    ("sleep/duration", "the schema says it before, as config/duration"),
    ("windows-restart/duration", "the schema says it before, as config/duration"),
    ("windows-shell/duration", "the schema says it before, as config/duration"),
];

/// A search that finds fewer codes is broken itself.
const AT_LEAST: usize = 250;

fn folder() -> PathBuf {
    workspace().join("examples/broken")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// Templates and transcripts by name: `x.json`, `x.pkr.hcl` or a folder `x` goes with `x.txt`.
fn entries() -> (BTreeMap<String, PathBuf>, BTreeMap<String, PathBuf>) {
    let (mut templates, mut transcripts) = (BTreeMap::new(), BTreeMap::new());
    for entry in std::fs::read_dir(folder()).expect("the examples are there").flatten() {
        let file = entry.file_name().into_string().expect("names are UTF-8");
        let name = file.split('.').next().unwrap_or_default().to_owned();
        let old = match file.rsplit_once('.') {
            _ if file == "README.md" => continue,
            Some((_, "txt")) => transcripts.insert(name, entry.path()),
            _ => templates.insert(name, entry.path()),
        };
        assert_eq!(old, None, "two entries have the name of {file}");
    }
    (templates, transcripts)
}

#[test]
fn every_template_has_a_transcript_and_the_other_way_round() {
    let (templates, transcripts) = entries();
    assert!(templates.len() >= 40, "only {} templates were found", templates.len());
    let names = |map: &BTreeMap<String, PathBuf>| map.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&templates), names(&transcripts), "templates (left) and transcripts (right)");
    for (name, path) in &transcripts {
        let commands = commands(&read(path));
        assert!(!commands.is_empty(), "{name}.txt has no line that begins with `$ `");
        for command in commands {
            assert!(command.contains(name.as_str()), "{name}.txt: {command} does not name its template");
        }
    }
}

fn commands(transcript: &str) -> Vec<String> {
    transcript.lines().filter_map(|line| line.strip_prefix("$ ")).map(str::to_owned).collect()
}

/// The words of a command line, with the two kinds of quotes.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ' ') => words.extend(word.take()),
            (_, c) => word.get_or_insert_default().push(c),
        }
    }
    assert_eq!(quote, None, "{line}: a quote is not closed");
    words.extend(word);
    words
}

/// Runs a command line in the folder; what it prints on both streams, as they come, and its exit code.
fn run(line: &str, home: &Path) -> String {
    let mut words = words(line);
    let mut input = Stdio::null();
    if let Some(at) = words.iter().position(|word| word == "<") {
        let name = words.get(at + 1).unwrap_or_else(|| panic!("{line}: a file is missing after <"));
        let file = std::fs::File::open(folder().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
        input = file.into();
        words.drain(at..at + 2);
    }
    assert_eq!(words.first().map(String::as_str), Some("fornax"), "{line}");
    let (mut output, one) = std::io::pipe().expect("a pipe");
    let other = one.try_clone().expect("a second end of the pipe");
    let mut command = Command::new(fornax());
    command
        .args(&words[1..])
        .current_dir(folder())
        .env_clear()
        .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
        .env("HOME", home)
        // Compiled plugins may be left from the last run.
        .env("FORNAX_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("fornax-cache"))
        .stdin(input)
        .stdout(one)
        .stderr(other);
    let mut child = command.spawn().expect("the binary starts");
    // Its ends of the pipe would keep it open.
    drop(command);
    let mut text = String::new();
    output.read_to_string(&mut text).expect("output is UTF-8");
    let status = child.wait().expect("the child is ours");
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    format!(
        "$ {line}\n{text}exit {}\n",
        status.code().map_or("by a signal".to_owned(), |code| code.to_string())
    )
}

#[test]
fn commands_print_what_the_transcripts_say() {
    let bless = std::env::var_os("FORNAX_BLESS").is_some();
    let home = tempfile::tempdir().expect("a temporary folder");
    let mut wrong = String::new();
    for path in entries().1.values() {
        let expected = read(path);
        let printed: Vec<String> = commands(&expected).iter().map(|line| run(line, home.path())).collect();
        let printed = printed.join("\n");
        if printed == expected {
            continue;
        }
        if bless {
            std::fs::write(path, printed).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            continue;
        }
        let name = path.file_name().unwrap_or_default().display();
        let _ = write!(wrong, "==== {name} says\n{expected}==== but the commands print\n{printed}");
    }
    assert!(
        wrong.is_empty(),
        "{wrong}====\nIf that is better: FORNAX_BLESS=1 cargo test -p fornax-tests --test broken, and read the difference"
    );
}

#[test]
fn nothing_in_a_transcript_is_of_one_machine_only() {
    for (name, path) in entries().1 {
        let text = read(&path);
        let here = workspace().display().to_string();
        assert!(!text.contains(&here), "{name}.txt contains {here}");
    }
}

#[test]
fn no_secret_is_shown() {
    // The values of the sensitive variables in the templates, which stand nowhere else.
    let secrets = ["kR4-9xQ2", "swordfish"];
    let (mut written, mut shown) = (BTreeSet::new(), Vec::new());
    for file in files_below(&folder()) {
        let text = read(&file);
        for secret in secrets.iter().filter(|secret| text.contains(**secret)) {
            match file.extension().is_some_and(|e| e == "txt") {
                true => shown.push((file.clone(), *secret)),
                false => {
                    written.insert(*secret);
                }
            }
        }
    }
    assert_eq!(shown, [], "a secret is shown");
    assert_eq!(written.len(), secrets.len(), "the secrets of the templates are not those of this test");
}

/// The code in brackets behind a finding's first line, or in its JSON form.
fn shown_codes() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for path in entries().1.values() {
        for line in read(path).lines() {
            let is_finding = ["Error: ", "Warning: ", "Note: "].iter().any(|word| line.starts_with(word));
            let code = match line.strip_suffix(']').and_then(|line| line.rsplit_once('[')) {
                Some((_, code)) if is_finding => Some(code.to_owned()),
                _ => serde_json::from_str::<serde_json::Value>(line)
                    .ok()
                    .filter(|finding| finding["type"] == "diagnostic")
                    .and_then(|finding| finding["code"].as_str().map(str::to_owned)),
            };
            codes.extend(code);
        }
    }
    codes
}

#[test]
fn every_code_is_shown_or_excepted() {
    let found = codes_in_sources();
    assert!(found.len() >= AT_LEAST, "only {} codes were found: the search is broken", found.len());
    let shown = shown_codes();
    let excepted: BTreeSet<&str> = NOT_SHOWN.iter().map(|(code, _)| *code).collect();
    assert_eq!(excepted.len(), NOT_SHOWN.len(), "an exception stands twice");
    let mut wrong = String::new();
    for code in found.iter().filter(|code| !shown.contains(*code) && !excepted.contains(code.as_str())) {
        let _ = writeln!(
            wrong,
            "{code} is shown by no transcript: add a template, or an exception with a reason"
        );
    }
    for code in shown.iter().filter(|code| !found.contains(*code)) {
        let _ =
            writeln!(wrong, "{code} is in a transcript, but not found in the sources: the search misses it");
    }
    for code in &excepted {
        if shown.contains(*code) {
            let _ = writeln!(wrong, "{code} is excepted, but a transcript shows it");
        }
        if !found.contains(*code) {
            let _ = writeln!(wrong, "{code} is excepted, but not in the sources");
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The sources of the engine and the built-in plugins without their tests.
fn sources() -> Vec<(PathBuf, String)> {
    let mut all = Vec::new();
    for crates in ["engine", "plugins"] {
        for folder in std::fs::read_dir(workspace().join(crates)).expect("the crates are there").flatten() {
            all.extend(files_below(&folder.path().join("src")));
        }
    }
    let is_test = |path: &Path| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let in_folder = path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "testing");
        in_folder || matches!(&*name, "tests" | "testing") || name.ends_with("_tests")
    };
    all.retain(|path| path.extension().is_some_and(|e| e == "rs") && !is_test(path));
    all.into_iter()
        .map(|path| {
            let text = read(&path);
            // Tests stand at the end of a file.
            let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
            (path, text[..end].to_owned())
        })
        .collect()
}

/// Texts between quotes that have the form of a code, and where they begin. In a computed one, `{…}` stands for a part.
fn literals(text: &str) -> Vec<(usize, &str)> {
    let word = |part: &str| {
        let inner = part.trim_start_matches('{').trim_end_matches('}');
        !inner.is_empty()
            && inner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_{}".contains(&b))
    };
    let is_code = |text: &str| text.split_once('/').is_some_and(|(area, name)| word(area) && word(name));
    // Quotes come in pairs within a line, and no code goes over a line's end.
    let mut found = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let mut at = 0;
        for part in line.split('"') {
            if is_code(part) && at > 0 && line.as_bytes().get(at + part.len()) == Some(&b'"') {
                found.push((start + at, part));
            }
            at += part.len() + 1;
        }
        start += line.len();
    }
    found
}

/// Whether a literal is the code of a diagnostic that is made right there.
fn makes_a_diagnostic(text: &str, at: usize) -> bool {
    let before = text[..at - 1].trim_end();
    let constructors =
        ["Diagnostic::error(", "Diagnostic::warning(", "Diagnostic::note(", "Diagnostic::echo("];
    // Plugins and readers name the place first: `check.error("/path", "area/name", …)`, `reader.wrong(key, …)`.
    let at_a_place = before.strip_suffix(',').is_some_and(|before| {
        let call = before.rfind('(').map_or("", |at| &before[..at]);
        [".error", ".warning", ".wrong"].iter().any(|method| call.ends_with(method))
    });
    at_a_place || constructors.iter().any(|constructor| before.ends_with(constructor))
}

/// All codes. What their areas are is learnt from the places where diagnostics are made; a literal of such an area is a
/// code wherever it stands, so that one that goes through a constant or a helper is found as well.
fn codes_in_sources() -> BTreeSet<String> {
    let sources = sources();
    let literals: Vec<(&Path, &str, usize, &str)> = sources
        .iter()
        .flat_map(|(path, text)| {
            self::literals(text)
                .into_iter()
                .map(move |(at, literal)| (path.as_path(), text.as_str(), at, literal))
        })
        .collect();
    let area = |literal: &str| literal.split('/').next().unwrap_or_default().to_owned();
    let mut areas: BTreeSet<String> = literals
        .iter()
        .filter(|(_, text, at, literal)| !literal.contains('{') && makes_a_diagnostic(text, *at))
        .map(|(_, _, _, literal)| area(literal))
        .collect();
    let mut codes = BTreeSet::new();
    for (path, _, _, literal) in literals.iter().filter(|(_, _, _, literal)| literal.starts_with("{name}/")) {
        // What scripts have in common: the provisioner that calls it gives its own name to the code.
        let by_scripts = path.starts_with(workspace().join("plugins/scripts"));
        assert!(by_scripts && literal.matches('{').count() == 1, "{}: {literal}", path.display());
        let module = path.file_stem().unwrap_or_default().to_string_lossy();
        for user in users_of(&sources, &module) {
            codes.insert(literal.replace("{name}", &user));
            areas.insert(user);
        }
    }
    for (path, _, _, literal) in &literals {
        if !areas.contains(&area(literal)) {
            continue;
        }
        assert!(
            !literal.contains('{'),
            "{}: {literal}: write whole codes, so that they can be found",
            path.display()
        );
        codes.insert((*literal).to_owned());
    }
    codes
}

/// The built-in plugins that call the check of a module of `plugins/scripts`.
fn users_of(sources: &[(PathBuf, String)], module: &str) -> BTreeSet<String> {
    let call = format!("{module}::check(");
    let users: BTreeSet<String> = sources
        .iter()
        .filter(|(path, text)| text.contains(&call) && !path.starts_with(workspace().join("plugins/scripts")))
        .filter_map(|(path, _)| {
            let mut parts = path.strip_prefix(workspace().join("plugins")).ok()?.components();
            parts.next().map(|part| part.as_os_str().to_string_lossy().into_owned())
        })
        .collect();
    assert!(users.len() > 1, "nobody calls {call}");
    users
}

#[test]
fn the_search_knows_a_code_when_it_sees_one() {
    let text = "a(\"hcl/for\", \"no/Code\", \"a/b c\", \"config/{code}\")\nDiagnostic::error(\n  \"json/syntax\", x)\n\
                check.error(\"/path\", \"shell/duration\", y)";
    let found: Vec<&str> = literals(text).into_iter().map(|(_, literal)| literal).collect();
    assert_eq!(found, ["hcl/for", "config/{code}", "json/syntax", "shell/duration"]);
    let made: Vec<&str> =
        literals(text).into_iter().filter(|(at, _)| makes_a_diagnostic(text, *at)).map(|(_, l)| l).collect();
    assert_eq!(made, ["json/syntax", "shell/duration"]);
    assert_eq!(words("fornax x -var 'a=b c' \"d\" ''"), ["fornax", "x", "-var", "a=b c", "d", ""]);
}
