//! Each mistake at its place, and that no text makes the reader panic.

use proptest::prelude::*;

use super::*;

fn read(text: &str) -> (Option<serde_json::Value>, Vec<String>) {
    let file = SourceFile::new("t.json", text);
    let (node, found) = parse(&file);
    let place = |d: &Diagnostic| {
        let start = d.span.as_ref().map(Span::start).map_or((0, 0), |p| (p.line, p.column));
        format!("{}:{} {}", start.0, start.1, d.summary)
    };
    (node.map(|n| n.expose_json()), found.iter().map(place).collect())
}

#[test]
fn each_mistake_is_named_at_its_place() {
    for (text, expected) in [
        ("", "1:1 the text is empty"),
        ("{\"a\": 1,}", "1:8 a comma stands before the end of the object"),
        ("{\"a\": [1, 2,]}", "1:12 a comma stands before the end of the list"),
        ("{\"a\": 1\n \"b\": 2}", "1:7 a comma is missing here"),
        ("[1,,2]", "1:4 here is a comma too many"),
        ("{'a': 1}", "1:2 JSON strings stand in double quotes"),
        ("{a: 1}", "1:2 a key must stand in double quotes"),
        ("{\"a\" 1}", "1:6 a colon is missing after the key \"a\""),
        ("{\"a\"= 1}", "1:5 a colon is missing after the key \"a\""),
        ("{\"a\": }", "1:7 the key \"a\" has no value"),
        ("{ // note\n\"a\": 1}", "1:3 JSON has no comments"),
        ("[1, 2", "1:1 this [ is never closed"),
        ("{\"a\": [1}", "1:9 } can't close ["),
        ("{\"a\": {\"b\": 1]", "1:14 ] can't close {"),
        ("[\"a\\qb\"]", "1:4 this escape is not known in JSON"),
        ("[\"a\\u12\"]", "1:4 \\u needs four hexadecimal digits"),
        ("[\"a\nb\"]", "1:2 this string does not end on its line"),
        ("[\"a\tb\"]", "1:4 a control character stands in a string"),
        ("[\"a", "1:2 this string has no end"),
        ("[True]", "1:2 True is no value of JSON"),
        ("[007]", "1:2 007 is not a number of JSON"),
        ("{} x", "1:4 there is more text after the end of the document"),
        ("{\"a\": 1, \"a\": 2}", "1:10 the key \"a\" stands twice in this object"),
        ("{\"a\": ?}", "1:7 a value is expected here, not '?'"),
    ] {
        assert_eq!(read(text).1, [expected], "{text}");
    }
    let deep = "[".repeat(500);
    assert_eq!(read(&deep).1, ["1:130 values are nested more than 128 levels deep"]);
}

#[test]
fn reading_goes_on_where_the_meaning_is_plain() {
    let (value, found) = read("{'a': 1 /* x */ \"b\": [2,,3,], \"c\": \"\\q\", # end\n d = True,}");
    assert_eq!(value, Some(serde_json::json!({"a": 1, "b": [2, 3], "c": "", "d": null})));
    assert_eq!(found.len(), 11, "{found:#?}");
    let (value, found) = read(&format!("[{}", "1,,".repeat(1000)));
    assert_eq!((value, found.len()), (None, MAX_ERRORS));
}

#[test]
fn good_text_is_read_as_any_other_reader_does() {
    let text = "\u{feff} {\"a\\u00e4\\ud83d\\ude00\\n\": [1, -2.5e3, true, null, \"\\/\"], \"b\": {}}";
    let expected: serde_json::Value =
        serde_json::from_str(text.trim_start_matches('\u{feff}')).expect("JSON");
    assert_eq!(read(text), (Some(expected), Vec::new()));
}

#[test]
fn places_inside_of_strings_respect_escapes() {
    let text = r#"["\u00e4\n{{x}}"]"#;
    let file = SourceFile::new("t.json", text);
    let (node, _) = parse(&file);
    let span = node.expect("it is good").items()[0].span.clone();
    // The text is "ä", a line end, and the action: three bytes stand before it.
    let place = inside(&span, "\u{e4}\n{{x}}", 3..8);
    assert_eq!(&text[place.range()], "{{x}}");
    let all = Span::new(&file, 0..text.len());
    assert_eq!(inside(&all, text, 2..3).range(), 2..3);
    assert_eq!(inside(&all, "\u{e4}\n{{x}},y", 1..3).range(), all.range(), "made of it, not read from it");
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "[\\[\\]{}:,\"'\\\\/*#a-f0-9eE+.u \n\tä-]{0,60}", range in (0usize..80, 0usize..80)) {
        let file = SourceFile::new("t.json", text);
        let (node, found) = parse(&file);
        prop_assert!(node.is_some() || found.has_errors());
        found.iter().for_each(|d| drop(d.render()));
        let all = Span::new(&file, 0..file.text().len());
        for text in [file.text(), "a text of its own \u{e4}\u{e4}\u{e4}\u{e4}\u{e4}"] {
            let place = inside(&all, text, range.0..range.1.max(range.0));
            prop_assert!(file.text().get(place.range()).is_some(), "{:?}", place.range());
        }
    }

    #[test]
    fn what_others_accept_is_accepted(text in "[\\[\\]{}:,\"a1 ]{0,30}") {
        let strict = serde_json::from_str::<serde_json::Value>(&text).is_ok();
        let (_, found) = parse(&SourceFile::new("t.json", text));
        let duplicate = found.iter().any(|d| d.code == "json/duplicate-key");
        prop_assert!(strict != found.has_errors() || duplicate);
    }
}
