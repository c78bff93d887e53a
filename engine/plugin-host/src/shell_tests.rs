//! The quoting is tried against the real `/bin/sh` (and `bash` where it exists): what arrives must be the value.

use std::process::Command as Process;

use super::*;

const MARK: &str = "sealed_00112233445566778899aabbccddeeff";

fn put(line: &str, value: &str) -> Result<String, Refused> {
    let line = line.replace('@', MARK);
    let find = |rest: &str| rest.starts_with(MARK).then_some(Found { length: MARK.len(), value });
    fill(&line, &find)
}

fn shells() -> Vec<&'static str> {
    ["/bin/sh", "/bin/bash"].into_iter().filter(|s| std::path::Path::new(s).exists()).collect()
}

fn values() -> Vec<String> {
    let mut values: Vec<String> = [
        "plain",
        "with space",
        "a'b",
        "''",
        "'",
        "\"",
        "\\",
        "\\\\'",
        "$HOME",
        "${HOME}",
        "$(id)",
        "`id`",
        "a\nb",
        "\n",
        "tab\tx",
        "-n",
        "--",
        "*",
        "?",
        "[a]",
        "~",
        "~/x",
        "!x",
        "#c",
        "a;b",
        "a&b",
        "a|b",
        "<x>",
        "{a,b}",
        "äöü€😀",
        "%s%n",
        "=x",
        "a=b",
        "\\n",
        "end\\",
        "(x)",
        "x)",
        "\u{7f}\u{1b}[0m",
        "sealed_",
        "'\"'\"'",
        "$'a'",
        "\r",
    ]
    .into_iter()
    .map(String::from)
    .collect();
    values.push("ab'\"$`\\ \n€".repeat(364));
    // Deterministic pseudo-random mixtures of the characters that matter.
    let alphabet: Vec<char> = "ab'\"\\$`(){}[]<>|&;#~*?!=- \n\té€-%".chars().collect();
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    for length in 1..60 {
        let value = (0..length)
            .map(|_| {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                alphabet[(seed % alphabet.len() as u64) as usize]
            })
            .collect();
        values.push(value);
    }
    values
}

/// Templates print what arrived, between markers, so that line ends at the end are kept.
const EXACT: &[(&str, &str, &str)] = &[
    ("printf '<%s>' @", "<", ">"),
    ("printf '<%s>' '@'", "<", ">"),
    ("printf '<%s>' \"@\"", "<", ">"),
    ("printf '<%s>' \"a @ b\"", "<a ", " b>"),
    ("printf '<%s>' 'a @ b'", "<a ", " b>"),
    ("printf '<%s>' pre@post", "<pre", "post>"),
    ("printf '<%s>' pre\"@\"'post'", "<pre", "post>"),
    ("FOO=@ sh -c 'printf \"<%s>\" \"$FOO\"'", "<", ">"),
    ("FOO='@' X=\"a @ b\" sh -c 'printf \"<%s>\" \"$FOO\"'", "<", ">"),
    ("FOO='@' X=\"a @ b\" sh -c 'printf \"<%s>\" \"$X\"'", "<a ", " b>"),
    ("export A='1' FOO=@; B=$A PATH=$PATH:/x env C=d sh -c 'printf \"<%s>\" \"$FOO\"'", "<", ">"),
    ("sh -c 'printf \"<%s>\" \"$1\"' _ '@'", "<", ">"),
    ("true && { printf '<%s>' '@'; } # done", "<", ">"),
    ("(printf '<%s>' \"@\") 2>&1", "<", ">"),
    ("printf '%s' '@' | { printf '<'; cat; printf '>'; }", "<", ">"),
    ("x=$(echo \"a b\") ; printf '<%s>' \"@\"", "<", ">"),
    ("printf '<%s>' \"$1@\"", "<", ">"),
    ("printf '<%s>' \"\\$@\"", "<$", ">"),
    ("case '@' in *) printf '<%s>' '@';; esac", "<", ">"),
    ("env FOO='@' sh -c 'printf \"<%s>\" \"$FOO\"'", "<", ">"),
];

#[test]
fn values_arrive_exactly() {
    for shell in shells() {
        for (template, before, after) in EXACT {
            for value in values() {
                let line = put(template, &value).unwrap_or_else(|e| panic!("{template}: {value:?}: {e}"));
                let output = Process::new(shell).arg("-c").arg(&line).output().expect("the shell runs");
                let got = String::from_utf8_lossy(&output.stdout);
                assert_eq!(
                    got,
                    format!("{before}{value}{after}"),
                    "{shell}: {template} with {value:?}: {line}"
                );
            }
        }
    }
}

#[test]
fn refuses_where_somebody_else_reads_on() {
    let places = [
        "echo $(echo @)",
        "echo \"$(echo '@')\"",
        "echo `echo @`",
        "sh -c 'echo @'",
        "sh -c \"echo '@'\"",
        "sh -ec 'echo @'",
        "/bin/bash -lc \"@\"",
        "sudo sh -c '@'",
        "sudo -E -S sh -c 'X=@ /tmp/s'",
        "eval 'echo @'",
        "eval x @",
        "ssh host 'echo @'",
        "su -c '@'",
        "su - user -c '@'",
        "env -S '@'",
        "env -S'@'",
        "env --split-string='@'",
        "cat <<E\n@\nE",
        "cat <<'E'\n@\nE\necho @",
        "echo $((@))",
        "echo $@",
        "echo ${@}",
        "echo ${x:-@}",
        "echo \"$x@\"",
        "echo $x@",
        "\"$SHELL\" -c '@'",
        "$SHELL '@'",
        "# @",
        "echo \\@",
        "echo \"\\@\"",
        "sh -c >/dev/null 'echo @'",
        "sh -c 2>/dev/null 'echo @'",
        "sh -o errexit -c 'echo @'",
        "sh -c -o errexit 'echo @'",
        "bash &>/dev/null -c 'echo @'",
        "sh <<< '@'",
        "trap '@' EXIT",
        "sudo -i echo @",
        "sudo -s echo '@'",
        "sudo -u root -i echo @",
        "python3 -c 'print(\"@\")'",
        "perl -e '@'",
        "perl -ne '@'",
        "python3.11 -c '@'",
        "ruby -rx -e '@'",
        "echo $'a@'",
        "echo $'\\'@'",
        "(( x = @ ))",
        "echo \"$(case x in x) echo \"@\";; esac)\"",
        "echo ${x:-\"}\" @}",
        "\"s\"h -'c' '@'",
        "s\\h -c '@'",
        "find . -exec sh -c '@' \\;",
        "cat <(echo x) @",
        "echo `echo \"a` @",
        "[[ @ -eq 1 ]]",
        "sh $FLAGS '@'",
        "sh \"$FLAG\" '@'",
        "pwsh -c '@'",
    ];
    let more = [
        "$SHELL>/dev/null -c '@'",
        "sh -c {fd}>/dev/null '@'",
        "a[@]=1",
        "sh {-c,'@'}",
        "/bin/s? -c '@'",
        "flock /tmp/l perl -e '@'",
        "sudo -u root sh -c '@'",
        "env -u X sh -c '@'",
        "scp x 'host:@'",
        "unset '@'",
        "sh -c 'true' sh -c '@'",
        "ksh93 -c '@'",
        "echo x;sh -c '@'",
        "true&&sh -c '@'",
        "X=1 sh -c '@'",
        "if sh -c '@'; then :; fi",
        "{ sh -c '@'; }",
        "echo \"a\"$(sh -c '@')",
    ];
    for place in places.into_iter().chain(more) {
        // `$@` is written with the placeholder, so the marker stands for it there too.
        assert!(put(place, "a'b\";$(id)").is_err(), "{place} took an unsafe value");
    }
    for place in ["echo $(echo @)", "sh -c 'echo @'", "echo ${x:-@}", "ssh host @", "cat <<E\n@\nE", "# @"] {
        assert_eq!(put(place, "s4fe/@x").as_deref(), Ok(place.replace('@', "s4fe/@x").as_str()), "{place}");
    }
}

#[test]
fn arguments_of_scripts_are_exact() {
    for line in [
        "sh /tmp/x.sh '@'",
        "sh -e /tmp/x '@'",
        "sh -e -u /tmp/x '@'",
        "sudo -u x sh -eu /tmp/x '@'",
        "python3 /tmp/x.py '@'",
        "chmod +x /tmp/s; A='@' sudo -E sh '/tmp/s'",
        "echo '@' | sudo -S -E sh /tmp/s",
        "env A=@ sudo -S sh /tmp/s",
        "su root /tmp/x",
        "mysql -p@ -e 'select 1'",
        "mysql --password=\"@\"",
        "PATH=$PATH:/x A='@' sh '/tmp/s'",
        "chmod +x '/tmp/s'; A='1' B='@' '/tmp/s'",
        "sudo -u '@' true",
        "echo '@' > '/tmp/@'",
    ] {
        assert!(put(line, "a'b").is_ok(), "{line}");
    }
    assert_eq!(
        put("echo @", "a\0b"),
        Err(Refused("in a command line, because it contains a NUL character,"))
    );
}
