//! What a command line would do with its standard input.
//!
//! Nothing is executed, but an answer must not come before the command would have read its input: a client that sends
//! a script and then waits for the exit code would otherwise see a code for half a script. The shapes recognised are
//! those that SSH communicators use; an unknown command is answered once its input pauses.

use std::sync::LazyLock;

use regex::Regex;

/// How much input comes before the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// The command reads to the end of the input.
    ToEnd,
    /// It reads so many bytes, the rest is for what it starts.
    Exactly(u64),
    /// Not known: until the input ends or pauses.
    Unknown,
    /// It reads none.
    Ignored,
}

/// Where the input goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    None,
    File(String),
    /// A tar stream that is unpacked in a directory.
    Tar(Option<String>),
    /// The receiving side of `scp`.
    ScpTo {
        path: String,
        into_directory: bool,
    },
    /// The sending side of `scp`.
    ScpFrom {
        path: String,
        recursive: bool,
    },
    /// A tar stream of a directory is sent.
    TarFrom(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub input: Input,
    pub sink: Sink,
}

/// A path that needs no shell to be understood: plain, in quotes, or in quotes inside quotes.
const PATH: &str = r#"(?:'\\''([^']+)'\\''|'([^']+)'|"([^"$`\\]+)"|([^\s"'$`;&|<>()\\]+))"#;

fn pattern(text: &str) -> Regex {
    Regex::new(&text.replace("PATH", PATH)).expect("the patterns of this file are constant and tested")
}

static TO_FILE: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?:\bcat\s*(?:-\s*)?>{1,2}\s*|\btee\s+(?:-a\s+)?|\bdd\b[^;&|]*\bof=)PATH"));
static READS_ALL: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?x)
        \bcat\s*(?:-\s*)?(?:>|\||;|$) | \btee\b | \bdd\b[^;&|]*\bof= | \b(?:ba|da)?sh\s+(?:-\S+\s+)*-s\b |
        \bsudo\b[^;&|]*\s-S\b | \bbase64\s+(?:-d|--decode)\s*(?:>|\||$) | ^\s*(?:sudo\s+(?:-\S+\s+)*)?(?:sha256sum|wc\s+-c|(?:ba|da)?sh)\s*$
        ",
    )
});
static COUNTED: LazyLock<Regex> = LazyLock::new(|| {
    pattern(r"\bdd\b[^;&|]*\bibs=1\b[^;&|]*\bcount=(\d+)|\bdd\s+bs=(\d+)\s+count=1\b|\bhead\s+-c\s*(\d+)")
});
static TAR: LazyLock<Regex> = LazyLock::new(|| pattern(r"\btar\s+([^;&|]*)"));
static TAR_DIRECTORY: LazyLock<Regex> = LazyLock::new(|| pattern(r"(?:-C\s*|--directory[= ])PATH"));
static SCP: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\bscp\s+((?:-\w+\s+)*?)-(\w*[tf])\s+(?:--\s+)?PATH"));

/// The text of the one PATH group that took part, counted from group `from`.
fn path(found: &regex::Captures<'_>, from: usize) -> Option<String> {
    (from..from + 4).find_map(|group| found.get(group)).map(|text| text.as_str().to_owned())
}

impl Plan {
    pub fn of(command: &str) -> Self {
        if let Some(found) = SCP.captures(command) {
            let flags = format!("{}{}", &found[1], &found[2]);
            let path = path(&found, 3).unwrap_or_default();
            let sink = if found[2].ends_with('t') {
                Sink::ScpTo { path, into_directory: flags.contains('d') }
            } else {
                Sink::ScpFrom { path, recursive: flags.contains('r') }
            };
            return Self { input: Input::ToEnd, sink };
        }
        if let Some(plan) = Self::tar(command) {
            return plan;
        }
        let counted = COUNTED
            .captures(command)
            .and_then(|found| (1..=3).find_map(|group| found.get(group)))
            .and_then(|count| count.as_str().parse().ok());
        let input = match counted {
            Some(count) => Input::Exactly(count),
            None if READS_ALL.is_match(command) => Input::ToEnd,
            None => Input::Unknown,
        };
        let sink = match TO_FILE.captures(command).and_then(|found| path(&found, 1)) {
            Some(path) if input == Input::ToEnd && path != "/dev/null" => Sink::File(path),
            _ => Sink::None,
        };
        Self { input, sink }
    }

    fn tar(command: &str) -> Option<Self> {
        let found = TAR.captures(command)?;
        let arguments = &found[1];
        let has = |short: char, long: &str| {
            arguments.split_whitespace().enumerate().any(|(at, word)| match word.strip_prefix("--") {
                Some(word) => word == long,
                None => (at == 0 || word.starts_with('-')) && !word.contains('/') && word.contains(short),
            })
        };
        let packed = has('z', "gzip") || has('j', "bzip2") || has('J', "xz") || arguments.contains("--zstd");
        let directory = TAR_DIRECTORY.captures(arguments).and_then(|found| path(&found, 1));
        let named = arguments.contains("-f ") && !arguments.contains("-f -");
        if has('x', "extract") && !named {
            let sink = if packed { Sink::None } else { Sink::Tar(directory) };
            return Some(Self { input: Input::ToEnd, sink });
        }
        if has('c', "create") && !packed && !named {
            return directory.map(|directory| Self { input: Input::Ignored, sink: Sink::TarFrom(directory) });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shapes_of_communicators_are_recognised() {
        let file = |path: &str| (Input::ToEnd, Sink::File(path.to_owned()));
        let tar = |path: &str| (Input::ToEnd, Sink::Tar(Some(path.to_owned())));
        let scp = |path: &str, into_directory| {
            (Input::ToEnd, Sink::ScpTo { path: path.to_owned(), into_directory })
        };
        let cases = [
            ("true", (Input::Unknown, Sink::None)),
            ("chmod +x /tmp/script_1.sh; sudo -E sh '/tmp/script_1.sh'", (Input::Unknown, Sink::None)),
            ("cat > /tmp/a.sh", file("/tmp/a.sh")),
            ("cat >'/tmp/a b.sh' && chmod 700 '/tmp/a b.sh'", file("/tmp/a b.sh")),
            (r"sh -c 'cat >'\''/opt/x y'\'''", file("/opt/x y")),
            ("sudo tee \"/etc/motd\" >/dev/null", file("/etc/motd")),
            ("dd of=/tmp/blob bs=1M", file("/tmp/blob")),
            (
                "sh -c 'umask 077; f=$(mktemp /tmp/.p.XXXXXX) || exit 121; cat >\"$f\" && [ 1 ]'",
                (Input::ToEnd, Sink::None),
            ),
            (
                "f=/tmp/x; dd ibs=1 obs=65536 count=300 2>/dev/null >$f; sh $f",
                (Input::Exactly(300), Sink::None),
            ),
            ("head -c 12 >/tmp/x", (Input::Exactly(12), Sink::None)),
            ("cat > /dev/null", (Input::ToEnd, Sink::None)),
            ("tar -x -C /opt/app", tar("/opt/app")),
            ("mkdir -p '/opt/a b' && tar -C '/opt/a b' -xpf -", tar("/opt/a b")),
            ("tar xf -", (Input::ToEnd, Sink::Tar(None))),
            ("tar -xzf - -C /opt", (Input::ToEnd, Sink::None)),
            ("apt-get install -y tar", (Input::Unknown, Sink::None)),
            ("tar -cf - -C /opt/app .", (Input::Ignored, Sink::TarFrom("/opt/app".into()))),
            ("scp -vt /tmp", scp("/tmp", false)),
            ("sudo scp -r -d -t '/tmp/a b'", scp("/tmp/a b", true)),
            ("scp -rf /etc", (Input::ToEnd, Sink::ScpFrom { path: "/etc".into(), recursive: true })),
            ("sh -s", (Input::ToEnd, Sink::None)),
        ];
        for (command, (input, sink)) in cases {
            assert_eq!(Plan::of(command), Plan { input, sink }, "{command}");
        }
    }
}
