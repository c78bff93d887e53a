//! The redactor against encoders that are not its own, and against every way of cutting a stream.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose as b64;
use proptest::prelude::*;

use super::*;
use crate::event::{Ending, Event, EventSink, OutputStream};

fn redactor(secrets: &[&str]) -> Redactor {
    let redactor = Redactor::new();
    for secret in secrets {
        redactor.register(&Secret::new(*secret));
    }
    redactor
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

const CANARIES: [&str; 8] = [
    "pa55",
    "it's \"quoted\", with $HOME and `tick`",
    "naïve-Ünïcode-ключ-🔑",
    "tab\there\\back/slash",
    "-----BEGIN KEY-----\nAAAAB3NzaC1\nq83vEjRWeJA=\n-----END KEY-----\n",
    "<a href=\"x\">&'",
    "100% sure? yes&no=maybe+plus",
    "  padded value  ",
];

#[test]
fn known_encodings_of_known_values_are_masked() {
    // (secret, what a program printed)
    let cases = [
        ("it's me", r"it'\''s me"),
        ("it's me", r#"it'"'"'s me"#),
        ("it's me", r"it\'s\ me"),
        ("it's me", "it''s me"),
        ("it's me", "it&#39;s me"),
        ("it's me", "it%27s%20me"),
        ("it's me", "it%27s+me"),
        ("it's me", "it's%20me"),
        (r#"a"b$c`d\e"#, r#"a\"b\$c\`d\\e"#),
        (r#"a"b$c`d"#, r#"a`"b`$c``d"#),
        ("ab\ncd", r"ab\ncd"),
        ("ab\ncd", "ab`ncd"),
        ("ab\ncd", "ab\r\ncd"),
        ("größe", r"gr\u00f6\u00dfe"),
        ("größe", r"gr\303\266\303\237e"),
        ("größe", "gr%C3%B6%C3%9Fe"),
        ("größe", "gr%c3%b6%c3%9fe"),
        ("größe", "6772c3b6c39f65"),
        ("größe", "6772C3B6C39F65"),
        ("<b>&x", r"\u003cb\u003e\u0026x"),
        ("<b>&x", "&lt;b&gt;&amp;x"),
        ("a/b/c", r"a\/b\/c"),
        // echo -n secret | base64; echo -n user:secret | base64; the same with the URL alphabet.
        ("s3cr3t?>", "czNjcjN0Pz4="),
        ("s3cr3t?>", "czNjcjN0Pz4"),
        ("s3cr3t?>", "czNjcjN0Pz4="),
        ("?>?>?>", "Pz4_Pj8-"),
        // PowerShell's -EncodedCommand is UTF-16.
        ("pass", "cABhAHMAcwA="),
        // Twice into JSON.
        ("a\"bcd", r#"a\\\"bcd"#),
    ];
    for (secret, printed) in cases {
        let masked = redactor(&[secret]).redact(&format!("[{printed}]"));
        assert_eq!(masked, format!("[{MASK}]"), "{secret:?} as {printed:?}");
    }
}

#[test]
fn no_form_of_a_canary_survives() {
    for canary in CANARIES {
        let redactor = redactor(&[canary]);
        let trimmed = canary.trim();
        let json = serde_json::to_string(canary).unwrap();
        let forms = [
            canary.to_owned(),
            json[1..json.len() - 1].to_owned(),
            hex(canary.as_bytes()),
            b64::STANDARD.encode(canary),
            b64::URL_SAFE.encode(canary),
            b64::STANDARD_NO_PAD.encode(trimmed),
            canary.replace('\'', r"'\''"),
            canary.escape_debug().to_string(),
        ];
        for form in forms {
            let masked = redactor.redact(&format!("before {form} after"));
            assert!(!masked.contains(form.trim()), "{canary:?} as {form:?} in {masked:?}");
            assert!(masked.contains(MASK), "{canary:?} as {form:?} in {masked:?}");
        }
        for line in canary.lines().filter(|l| !l.starts_with("-----")) {
            assert!(redactor.redact(line).contains(MASK), "line {line:?}");
        }
    }
}

#[test]
fn long_values_are_masked_whole_however_they_are_wrapped() {
    let secret: String = (0..4000u32).map(|i| char::from(b'!' + (i * i % 90) as u8)).collect();
    let redactor = redactor(&[&secret]);
    assert_eq!(redactor.redact(&format!("<{secret}>")), format!("<{MASK}>"));
    let encoded = b64::STANDARD.encode(&secret);
    for width in [64, 76] {
        for line in encoded.as_bytes().chunks(width) {
            let line = std::str::from_utf8(line).unwrap();
            assert_eq!(redactor.redact(line), MASK, "a line of {width}");
        }
    }
}

#[test]
fn short_values_are_masked_only_where_they_stand_alone() {
    let redactor = Redactor::new();
    assert_eq!(redactor.register(&Secret::new("a")), Masking::Alone);
    assert_eq!(redactor.register(&Secret::new("é1")), Masking::Alone);
    assert_eq!(redactor.register(&Secret::new("abcd")), Masking::Everywhere);
    assert_eq!(redactor.register(&Secret::new("")), Masking::Never);
    assert_eq!(redactor.register(&Secret::new(" \n\t ")), Masking::Never);
    let cases = [
        ("azure-arm", "azure-arm"),
        ("a", MASK),
        ("-a-", "-<sensitive>-"),
        ("a_b ab ba éa aé 1a", "a_b ab ba éa aé 1a"),
        ("key=a\n", "key=<sensitive>\n"),
        ("„a“", "„<sensitive>“"),
        ("é1", MASK),
        ("éé1", "éé1"),
        ("xabcdx", "x<sensitive>x"),
        ("    ", "    "),
    ];
    for (text, expected) in cases {
        assert_eq!(redactor.redact(text), expected, "{text:?}");
        let mut stream = redactor.stream();
        let mut out = Vec::new();
        for byte in text.as_bytes() {
            out.extend(stream.push(&[*byte]));
        }
        out.extend(stream.finish());
        assert_eq!(String::from_utf8(out).unwrap(), expected, "{text:?} byte by byte");
    }
}

#[test]
fn overlapping_secrets_leave_no_rest() {
    let redactor = redactor(&["abcdef", "defghi", "efgh"]);
    assert_eq!(redactor.redact("1abcdefghi2"), "1<sensitive>2");
    assert_eq!(redactor.redact("1abcdefabcdef2"), "1<sensitive><sensitive>2");
}

#[test]
fn a_stream_holds_back_only_what_may_be_a_secret() {
    let redactor = redactor(&["hunter2-secret"]);
    let mut stream = redactor.stream();
    assert_eq!(stream.push(b"hello, world\n"), b"hello, world\n");
    assert_eq!(stream.push(b"password: hunt"), b"password: ");
    assert_eq!(stream.push(b"ing season\n"), b"hunting season\n");
    assert_eq!(stream.push(b"hunter2-"), b"");
    assert_eq!(stream.push(b"secret!"), b"<sensitive>!");
    assert_eq!(stream.push(b"hunter2"), b"");
    // Registered in the middle of a stream.
    redactor.register(&Secret::new("hunter2"));
    assert_eq!(stream.finish(), MASK.as_bytes());
    assert_eq!(stream.finish(), b"");
}

#[test]
fn json_keeps_its_shape() {
    let redactor = redactor(&["s3cret\"x", "12345", "t"]);
    let mut value = serde_json::json!({
        "s3cret\"x": ["a s3cret\"x b", 12345, 7, true, null],
        "port": 123_456,
    });
    redactor.redact_json(&mut value);
    let expected = serde_json::json!({
        "<sensitive>": ["a <sensitive> b", MASK, 7, true, null],
        "port": "<sensitive>6",
    });
    assert_eq!(value, expected);
}

#[test]
fn registering_many_secrets_keeps_the_number_of_searches_small() {
    let redactor = Redactor::new();
    for i in 0..300 {
        redactor.register(&Secret::new(format!("secret-number-{i}-{}", i * 7919)));
        assert!(redactor.redact(&format!("x secret-number-{i}-{} y", i * 7919)).contains(MASK));
    }
    assert!(redactor.segments().len() <= 9, "{}", redactor.segments().len());
    for i in 0..300 {
        assert_eq!(redactor.redact(&format!("secret-number-{i}-{}", i * 7919)), MASK);
    }
}

#[test]
fn every_text_of_an_event_is_masked() {
    const CANARY: &str = "canary-7f3a";
    #[derive(Default)]
    struct Seen(Mutex<Vec<String>>);
    impl EventSink for Seen {
        fn emit(&self, event: Event) {
            self.0.lock().unwrap().push(serde_json::to_string(&event).unwrap());
        }
    }
    let seen = Arc::new(Seen::default());
    let sink = RedactingSink::new(redactor(&[CANARY]), seen.clone());
    let c = || format!("<{CANARY}>");
    let zero = Duration::ZERO;
    let events = [
        Event::RunStarted {
            run_id: "r".into(),
            engine_version: "1".into(),
            template: c(),
            simulated: false,
            builds: vec![c()],
        },
        Event::BuildStarted { build: c(), builder_type: "null".into(), build_id: "b".into() },
        Event::Say { build: Some(c()), message: c() },
        Event::Message { build: None, message: c() },
        Event::Error { build: Some(c()), message: c() },
        Event::Warning { build: Some(c()), message: c() },
        Event::Output { build: c(), stream: OutputStream::Stdout, lines: vec![c(), c()] },
        Event::StepStarted { build: c(), step: c() },
        Event::StepFinished { build: c(), step: c(), ending: Ending::Failed, duration: zero },
        Event::Waiting { build: c(), what: c(), elapsed: zero, limit: None },
        Event::Progress { build: c(), label: c(), done: 1, total: None },
        Event::ResourceCreated { build: c(), kind: "file".into(), id: c() },
        Event::ResourceDeleted { build: c(), kind: "file".into(), id: c() },
        Event::ResourceRemains { build: c(), kind: "file".into(), id: c(), error: c() },
        Event::PluginLog {
            build: c(),
            plugin: "p".into(),
            level: "info".into(),
            message: c(),
            fields: vec![(c(), c())],
        },
        Event::Artifact {
            build: c(),
            index: 0,
            builder_id: "b".into(),
            id: c(),
            text: c(),
            files: vec![c()],
            simulated: false,
        },
        Event::BuildFinished { build: c(), ending: Ending::Failed, duration: zero, error: Some(c()) },
        Event::RunFinished { ending: Ending::Failed, duration: zero },
    ];
    let count = events.len();
    events.into_iter().for_each(|event| sink.emit(event));
    let seen = seen.0.lock().unwrap();
    assert_eq!(seen.len(), count);
    assert!(seen.iter().all(|line| !line.contains(CANARY)), "{seen:#?}");
    assert_eq!(seen.iter().filter(|line| line.contains(MASK)).count(), count - 1);
}

/// Few characters, so that secrets overlap each other and the text.
fn small_text(length: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    proptest::collection::vec(prop::sample::select(vec!["a", "b", "-", "é", "'", "\n", "€"]), length)
        .prop_map(|parts| parts.concat())
}

fn stream_in_chunks(redactor: &Redactor, bytes: &[u8], cuts: &[usize]) -> Vec<u8> {
    let mut stream = redactor.stream();
    let mut out = Vec::new();
    let mut rest = bytes;
    for cut in cuts {
        let (chunk, tail) = rest.split_at((*cut).min(rest.len()));
        out.extend(stream.push(chunk));
        rest = tail;
    }
    out.extend(stream.push(rest));
    out.extend(stream.finish());
    out
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_as_the_whole(
        secrets in proptest::collection::vec(small_text(1..9), 1..5),
        text in small_text(0..60),
        cuts in proptest::collection::vec(0usize..7, 0..30),
        one_by_one in any::<bool>(),
    ) {
        let redactor = Redactor::new();
        for secret in &secrets {
            redactor.register(&Secret::new(secret.clone()));
            if one_by_one {
                // Builds a segment of its own.
                redactor.redact("x");
            }
        }
        let whole = redactor.redact_bytes(text.as_bytes()).into_owned();
        let streamed = stream_in_chunks(&redactor, text.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8_lossy(&streamed), String::from_utf8_lossy(&whole));
        for secret in secrets.iter().map(|s| s.trim()).filter(|s| s.chars().count() >= 4) {
            let shown = String::from_utf8_lossy(&whole).replace(MASK, "\u{0}");
            prop_assert!(!shown.contains(secret), "{:?} in {:?}", secret, shown);
        }
    }

    #[test]
    fn arbitrary_bytes_pass_unharmed_where_nothing_is_secret(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        cuts in proptest::collection::vec(0usize..40, 0..8),
    ) {
        let redactor = redactor(&["correct horse battery staple", "zz9"]);
        prop_assume!(!bytes.windows(3).any(|w| w == b"zz9"));
        prop_assert_eq!(stream_in_chunks(&redactor, &bytes, &cuts), bytes);
    }

    #[test]
    fn base64_of_longer_data_does_not_show_the_secret(
        before in proptest::collection::vec(any::<u8>(), 0..12),
        secret in "[ -~]{8,40}",
        after in proptest::collection::vec(any::<u8>(), 0..12),
    ) {
        prop_assume!(secret.trim() == secret);
        let redactor = redactor(&[&secret]);
        let data = [before.as_slice(), secret.as_bytes(), after.as_slice()].concat();
        for engine in [&b64::STANDARD, &b64::URL_SAFE, &b64::STANDARD_NO_PAD, &b64::URL_SAFE_NO_PAD] {
            let encoded = engine.encode(&data);
            let masked = redactor.redact(&encoded);
            prop_assert!(masked.contains(MASK), "{} of {:?}", encoded, secret);
            // At each end at most one character tells some bits of the secret.
            let (left, right) = masked.split_once(MASK).unwrap();
            prop_assert!(left.len() <= before.len().div_ceil(3) * 4);
            prop_assert!(right.len() <= after.len().div_ceil(3) * 4 + 4);
        }
    }
}
