//! Files and paths.

use super::*;

#[test]
fn files() {
    let host = Memory::with(&[
        ("/templates/a.txt", "é".as_bytes()),
        ("/templates/raw.bin", &[0xff]),
        ("/templates/dir/b.txt", b"b"),
        ("/started/here.txt", b"hi"),
        ("/home/me/mine.txt", b"mine"),
    ]);
    check(
        &host,
        &[
            ("file(\"a.txt\")", "\"é\""),
            ("file(\"./dir/../a.txt\")", "\"é\""),
            ("file(\"~/mine.txt\")", "\"mine\""),
            ("file(\"~other/x\")", "!cannot expand user-specific home dir"),
            ("file(\"nope\")", "!no file exists at nope; paths start in the folder of the template"),
            ("file(\"raw.bin\")", "!are not valid UTF-8; use the filebase64 function"),
            ("file(\"a\\u0000b\")", "!zero character"),
            ("filebase64(\"here.txt\")", "\"aGk=\""),
            ("filebase64(\"/templates/raw.bin\")", "\"/w==\""),
            ("filebase64(\"a.txt\")", "!no such file or directory"),
            ("fileexists(\"a.txt\")", "true"),
            ("fileexists(\"dir\")", "!is not a regular file, but a folder"),
            ("abspath(\"a/../b\")", "\"/started/b\""),
            ("abspath(\"/x/./y/\")", "\"/x/y\""),
            ("basename(\"\")", "\".\""),
            ("basename(\"/\")", "\"/\""),
            ("basename(\"a/b/\")", "\"b\""),
            ("dirname(\"a\")", "\".\""),
            ("dirname(\"/a\")", "\"/\""),
            ("dirname(\"a/b/\")", "\"a/b\""),
            ("pathexpand(\"~\")", "\"/home/me\""),
            ("pathexpand(\"~/a/../b\")", "\"/home/me/b\""),
            ("pathexpand(\"a/../b\")", "\"a/../b\""),
        ],
    );
}

#[test]
fn patterns_find_files() {
    let host = Memory::with(&[
        ("/templates/f/a.txt", b""),
        ("/templates/f/b.md", b""),
        ("/templates/f/.hidden", b""),
        ("/templates/f/x/c.txt", b""),
        ("/templates/f/x/y/d.txt", b""),
        ("/templates/f/x/y/[e].txt", b""),
        ("/templates/g.txt", b""),
    ]);
    check(
        &host,
        &[
            ("fileset(\"f\", \"*\")", "set(\".hidden\", \"a.txt\", \"b.md\")"),
            ("fileset(\"f\", \"*.txt\")", "set(\"a.txt\")"),
            ("fileset(\"f\", \"**/*.txt\")", "set(\"a.txt\", \"x/c.txt\", \"x/y/[e].txt\", \"x/y/d.txt\")"),
            ("fileset(\"f\", \"x/**\")", "set(\"x/c.txt\", \"x/y/[e].txt\", \"x/y/d.txt\")"),
            ("fileset(\"f\", \"?.{txt,md}\")", "set(\"a.txt\", \"b.md\")"),
            ("fileset(\"f\", \"{x/c,{a,z}}.txt\")", "set(\"a.txt\", \"x/c.txt\")"),
            ("fileset(\"f\", \"[a-b].*\")", "set(\"a.txt\", \"b.md\")"),
            ("fileset(\"f\", \"[^a].*\")", "set(\"b.md\")"),
            ("fileset(\"f\", \"x/y/\\\\[e].txt\")", "set(\"x/y/[e].txt\")"),
            ("fileset(\"f\", \"../*.txt\")", "set(\"../g.txt\")"),
            ("fileset(\"f\", \"x\")", "set()"),
            ("fileset(\"nope\", \"*\")", "set()"),
            ("fileset(\"f\", \"[a\")", "!a bracket is not closed"),
            ("fileset(\"f\", \"{a\")", "!a brace is not closed"),
            ("fileset(\"f\", \"{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}{a,b}\")", "!more than 256 patterns"),
        ],
    );
    let many: Vec<String> = (0..30).map(|i| format!("/templates/{}{i}", "d/".repeat(i))).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|f| (f.as_str(), b"".as_slice())).collect();
    let pattern = Val::string("**/d/".repeat(12) + "*");
    let error = call("fileset", vec![Val::string("."), pattern], &Memory::with(&many)).expect_err("too many");
    assert!(error.to_string().contains("write a narrower one"), "{error}");
}
