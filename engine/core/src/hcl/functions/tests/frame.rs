//! What holds for all functions, and the measured cases of Packer.

use super::*;

fn corpus(file: &str) -> Option<Vec<serde_json::Value>> {
    let path = format!("{}/../../../shared/corpus/cases/{file}", env!("CARGO_MANIFEST_DIR"));
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect()),
        Err(e) => {
            eprintln!("SKIPPED: the corpus is missing: {path}: {e}");
            None
        }
    }
}

#[test]
fn there_is_every_function_of_packer() {
    let names = names();
    assert!(names.is_sorted());
    for case in corpus("hcl2_function_names.jsonl").unwrap_or_default() {
        let name = case["function"].as_str().expect("a name");
        // These see expressions or the context, not only values.
        if !["can", "convert", "templatefile", "try"].contains(&name) {
            assert!(names.contains(&name), "{name}");
            assert!(describe(name).is_some_and(|(_, about)| about.ends_with('.')), "{name}");
        }
    }
}

#[test]
fn calls_give_what_packer_prints() {
    let host = Memory::with(&[("/templates/hcl2_scope.pkr.hcl", b"")]);
    let mut count = 0;
    for file in ["hcl2_expr.jsonl", "modern_expr.jsonl"] {
        for case in corpus(file).unwrap_or_default() {
            let source = case["expr"].as_str().expect("an expression");
            if !expression::is_simple(source) {
                continue;
            }
            count += 1;
            if case["expect"]["error"] == "Call to unknown function" {
                let name = source.split('(').next().unwrap_or_default();
                assert!(!names().contains(&name), "{name}");
                continue;
            }
            let result = expression::evaluate(source, &host);
            match case["expect"]["printed"].as_str() {
                Some(printed) => {
                    let value = result.unwrap_or_else(|e| panic!("{source}: {e}"));
                    assert_eq!(expression::console(&value), printed, "{source}");
                }
                None => assert!(result.is_err(), "{source} gave {result:?}"),
            }
        }
    }
    assert!(count == 0 || count > 150, "only {count} cases are calls of functions");
}

#[test]
fn arguments_are_counted_and_converted() {
    check(
        &Memory::default(),
        &[
            ("upper(5)", "\"5\""),
            ("abs(\"-7\")", "7"),
            ("upper()", "!\"upper\" needs 1 argument; there is no value for \"str\""),
            ("upper(\"a\", \"b\")", "!\"upper\" takes 1 argument, not more"),
            ("upper([])", "!invalid value for \"str\" parameter: string required"),
            ("upper(null)", "!argument must not be null"),
            ("uper(\"a\")", "!there is no function named \"uper\""),
            ("join()", "!at least 1"),
        ],
    );
}

#[test]
fn results_are_as_sensitive_as_their_arguments() {
    check(
        &Memory::default(),
        &[
            ("upper(secret(\"a\"))", "secret(\"A\")"),
            ("abs(secret(-1))", "secret(1)"),
            ("max(1, secret(2), 3)", "secret(3)"),
            ("length(secret([\"a\", \"b\"]))", "2"),
            ("length(secret(\"abc\"))", "secret(3)"),
            ("keys({ a = secret(1) })", "[\"a\"]"),
            ("values({ a = secret(1), b = 2 })", "[secret(1), 2]"),
            ("merge({ a = secret(1) }, { b = 2 })", "{\"a\" = secret(1), \"b\" = 2}"),
            ("concat([secret(1)], [2])", "[secret(1), 2]"),
            ("lookup({ a = secret(1), b = 2 }, \"b\", 3)", "2"),
            ("lookup({ a = 1 }, secret(\"a\"), 3)", "secret(1)"),
            ("element([secret(1), 2], 1)", "2"),
            ("element([1, 2], secret(1))", "secret(2)"),
            ("coalesce(null, secret(\"a\"))", "secret(\"a\")"),
            ("join(\"-\", [\"a\", secret(\"b\")])", "secret(\"a-b\")"),
            ("contains([\"a\"], secret(\"a\"))", "secret(true)"),
            ("distinct([secret(\"a\"), \"a\", \"b\"])", "list(secret(\"a\"), \"b\")"),
            ("distinct([\"a\", secret(\"a\")])", "list(secret(\"a\"))"),
            ("setunion([\"a\"], [secret(\"a\")])", "set(secret(\"a\"))"),
            ("setintersection([\"a\", \"b\"], [secret(\"a\")])", "set(secret(\"a\"))"),
            ("jsonencode({ a = secret(\"x\") })", "secret(\"{\\\"a\\\":\\\"x\\\"}\")"),
            ("jsondecode(secret(\"[1, 2]\"))", "[secret(1), secret(2)]"),
            ("zipmap([secret(\"a\")], [1])", "{\"a\" = secret(1)}"),
            ("sort([secret(\"b\"), \"a\"])", "list(\"a\", secret(\"b\"))"),
        ],
    );
}

#[test]
fn no_message_shows_what_is_sensitive() {
    let host = Memory::default();
    for source in [
        "parseint(secret(\"topsecret\"), 16)",
        "parseint(\"topsecret\", secret(10))",
        "base64decode(secret(\"topsecret!\"))",
        "file(secret(\"topsecret\"))",
        "filebase64(secret(\"topsecret\"))",
        "format(secret(\"topsecret %k\"), 1)",
        "format(\"%d\", secret(\"topsecret\"))",
        "jsondecode(secret(\"{topsecret\"))",
        "yamldecode(secret(\"*topsecret\"))",
        "csvdecode(secret(\"topsecret,topsecret\"))",
        "regex(secret(\"topsecret(\"), \"a\")",
        "uuidv5(secret(\"topsecret\"), \"a\")",
        "cidrhost(secret(\"topsecret\"), 1)",
        "timeadd(\"2020-01-01T00:00:00Z\", secret(\"topsecret\"))",
        "textencodebase64(\"a\", secret(\"topsecret\"))",
        "rfc3339_parse(secret(\"topsecret\"))",
        "sum([secret(\"topsecret\")])",
        "abs(secret(\"topsecret\"))",
        "alltrue([secret(\"TRUE\"), secret(\"topsecret\")])",
        "rsadecrypt(secret(\"topsecret\"), \"topsecret\")",
        "merge(secret(\"topsecret\"))",
    ] {
        let error = expression::evaluate(source, &host).expect_err(source).to_string();
        assert!(!error.contains("topsecret") && !error.contains("TRUE"), "{source}: {error}");
    }
    // What holds no value is told all the same.
    check(
        &host,
        &[
            ("element(secret([]), 0)", "!cannot use element function with an empty list"),
            ("parseint(secret(\"7\"), 63)", "!between 2 and 62"),
            ("parseint(secret(\"x\"), 10)", "!the reason is not shown"),
        ],
    );
}

#[test]
fn what_is_not_known_makes_the_result_not_known() {
    check(
        &Memory::default(),
        &[
            ("upper(unknown())", "unknown string"),
            ("abs(unknown(\"string\"))", "unknown number"),
            ("upper(unknown(\"list of string\"))", "!string required"),
            ("length(unknown())", "unknown number"),
            ("length([unknown(), 1])", "2"),
            ("length(unknown_like([1, 2]))", "2"),
            ("length(unknown(\"number\"))", "!argument must be a string"),
            ("length(set(unknown(\"string\"), \"a\"))", "unknown number"),
            ("keys({ a = unknown() })", "[\"a\"]"),
            ("keys(unknown_like({ a = 1 }))", "[\"a\"]"),
            ("keys(unknown(\"map of string\"))", "unknown list of string"),
            ("lookup({ a = 1, b = unknown() }, \"a\", 2)", "1"),
            ("lookup(unknown(\"map of string\"), \"a\", \"b\")", "unknown string"),
            ("element([1, unknown(\"string\")], 0)", "1"),
            ("merge({ a = unknown(\"string\") }, { b = 1 })", "{\"a\" = unknown string, \"b\" = 1}"),
            ("merge(unknown(), { b = 1 })", "unknown dynamic"),
            ("concat([unknown(\"string\")], [1])", "[unknown string, 1]"),
            ("concat(unknown(\"list of string\"), [1])", "unknown dynamic"),
            ("coalesce(null, unknown(\"string\"), \"a\")", "unknown string"),
            ("coalesce(\"a\", unknown(\"string\"))", "\"a\""),
            ("coalescelist(unknown(\"list of string\"), [1])", "unknown dynamic"),
            ("flatten([[unknown(\"string\")], [1]])", "[unknown string, 1]"),
            ("flatten([unknown(\"list of string\")])", "unknown dynamic"),
            ("reverse([unknown(\"string\"), 1])", "[1, unknown string]"),
            ("reverse(unknown(\"list of string\"))", "unknown list of string"),
            ("contains([unknown(\"string\"), \"a\"], \"a\")", "true"),
            ("contains([unknown(\"string\")], \"a\")", "unknown bool"),
            ("index([\"a\", unknown(\"string\")], \"b\")", "unknown number"),
            ("alltrue([false, unknown()])", "false"),
            ("alltrue([true, unknown()])", "unknown bool"),
            ("anytrue([unknown(), true])", "true"),
            ("distinct([unknown(\"string\")])", "unknown list of string"),
            ("sort([unknown(\"string\")])", "unknown list of string"),
            ("join(\",\", [unknown(\"string\")])", "unknown string"),
            ("setproduct([unknown(\"string\")], [1])", "list([unknown string, 1])"),
            ("setunion([\"a\"], [unknown(\"string\")])", "set(\"a\", unknown string)"),
            ("setintersection([\"a\"], [unknown(\"string\")])", "unknown set of string"),
            ("zipmap([\"a\"], [unknown(\"string\")])", "{\"a\" = unknown string}"),
            ("jsonencode([unknown()])", "unknown string"),
            ("yamlencode([unknown()])", "unknown string"),
            ("jsondecode(unknown(\"string\"))", "unknown dynamic"),
            ("format(\"%s\", unknown())", "unknown string"),
            ("formatlist(\"%s\", [unknown(\"string\"), 1])", "list(unknown string, \"1\")"),
            ("regexall(\"a\", unknown(\"string\"))", "unknown list of any single type"),
            ("chunklist([unknown(\"string\")], 1)", "list(list(unknown string))"),
            ("sum([unknown(\"number\")])", "unknown number"),
        ],
    );
}

#[test]
fn results_are_bounded() {
    let host = Memory::default();
    let long = Val::string("x".repeat(1 << 20));
    let lines = Val::string("\n".repeat(1 << 20));
    let n = |n: i64| Val::number(n);
    let many = Val::Tuple(vec![Val::bool(true); 2000]);
    for (name, args) in [
        ("replace", vec![long.clone(), text("x"), long.clone()]),
        ("replace", vec![long.clone(), text(""), long.clone()]),
        ("regex_replace", vec![long.clone(), text("x"), long.clone()]),
        ("regex_replace", vec![long.clone(), text("(x+)"), text("$1".repeat(100))]),
        ("indent", vec![n(1 << 40), lines]),
        ("join", vec![long.clone(), Val::Tuple(vec![text("a"); 100])]),
        ("format", [vec![text("%s".repeat(40))], vec![long.clone(); 40]].concat()),
        ("format", vec![text("%99999999999999999999s"), text("a")]),
        ("format", [vec![text("%999999d".repeat(40))], vec![n(1); 40]].concat()),
        ("formatlist", vec![text("%s%s"), long.clone(), many.clone()]),
        ("setproduct", vec![many.clone(), many.clone()]),
        ("range", vec![Val::number(Number::Infinite)]),
        ("range", vec![n(0), n(1), Val::number(Number::parse("1e-9000").expect("a number"))]),
        ("split", vec![text(""), text("a".repeat(1 << 19))]),
        ("regexall", vec![text(""), text("a".repeat(1 << 19))]),
        ("regex", vec![text("((a{1000}){1000}){1000}"), text("a")]),
        ("regex", vec![text("(".repeat(100_000)), text("a")]),
        ("bcrypt", vec![text("a"), n(31)]),
        ("parseint", vec![text("9".repeat(1 << 20)), n(10)]),
        ("jsondecode", vec![text("[".repeat(1 << 20))]),
        ("jsondecode", vec![text("9".repeat(1 << 20))]),
        ("yamldecode", vec![text("[".repeat(100_000))]),
        ("yamldecode", vec![text(bomb())]),
        ("csvdecode", vec![text(format!("{}\n", ",a".repeat(3)))]),
        ("jsonencode", vec![text("<".repeat(3 << 20))]),
        ("yamlencode", vec![text("\u{1}".repeat(5 << 20))]),
        (
            "rsadecrypt",
            vec![
                text("aGk="),
                text(format!("-----BEGIN RSA-----\n{}\n-----END RSA-----", "A".repeat(1 << 20))),
            ],
        ),
    ] {
        let args: Vec<Val> = args;
        let result = call(name, args, &host);
        assert!(result.is_err(), "{name} gave {} bytes", format!("{result:?}").len());
    }
    // What only grows from call to call ends as well.
    let mut list = Val::Tuple(vec![n(1); 1000]);
    let end = (0..20).find_map(|_| match call("concat", vec![list.clone(), list.clone()], &host) {
        Ok(longer) => {
            list = longer;
            None
        }
        Err(error) => Some(error.to_string()),
    });
    assert_eq!(end.as_deref(), Some("the result has more than 262144 values"));
    // None of these is large, though its parts look so.
    assert!(
        call("setproduct", vec![many.clone(), many.clone(), many, Val::Tuple(Vec::new())], &host).is_ok()
    );
    assert!(call("indent", vec![n(1 << 40), text("one line")], &host).is_ok());
}

fn text(text: impl AsRef<str>) -> Val {
    Val::string(text)
}

/// Each line stands for ten of the one before.
fn bomb() -> String {
    let mut out = "a0: &a0 [x]\n".to_owned();
    for i in 1..12 {
        let before = format!("*a{},", i - 1).repeat(10);
        out.push_str(&format!("a{i}: &a{i} [{before}]\n"));
    }
    out
}

/// Values that functions may stumble over.
fn odd_values() -> Vec<Val> {
    let number = |text: &str| Val::number(Number::parse(text).expect("a number"));
    let list = |items: Vec<Val>| Val::list(Type::String, items);
    let mut values = vec![
        Val::NULL,
        Val::Null(Type::String),
        Val::DYNAMIC,
        Val::Unknown(Type::Number),
        Val::Unknown(Type::set(Type::String)),
        Val::Unknown(Type::Tuple(vec![Type::Bool])),
        Val::bool(true),
        Val::number(Number::Infinite),
        Val::number(Number::NegativeInfinite),
        list(Vec::new()),
        list(vec![text("a"), Val::Null(Type::String), Val::Unknown(Type::String)]),
        Val::set(Type::Number, vec![Val::number(1_i64), Val::number(2_i64)]),
        Val::Tuple(Vec::new()),
        Val::Tuple(vec![Val::number(1_i64), text("a"), Val::Tuple(vec![Val::NULL]), Val::DYNAMIC]),
        Val::Map(Type::String, BTreeMap::from([("é".to_owned(), text("x"))])),
        Val::object([("a", Val::NULL), ("", Val::Tuple(Vec::new()))]),
        text("secret").mark(),
    ];
    values.extend(["0", "1", "-1", "0.5", "-2", "64", "9223372036854775807", "1e400", "1e-9000"].map(number));
    values.extend(
        [
            "",
            "a",
            "é\u{301}\u{1f468}\u{200d}\u{1f469}",
            "%",
            "%[1]",
            "%5.3[1]q%#x",
            "a\0b",
            "\n\r\n",
            "(?P<a>.)",
            "[[:x",
            "\\",
            "{a,b}",
            "**",
            "~",
            "/",
            "..",
            "'",
            "''Y",
            "2020-01-02T03:04:05Z",
            "2020-01-02T03:04:05+é",
            "1h",
            "::/0",
            "0.0.0.0/0",
            "-",
            "- &a [*a]",
            "\"",
            "{\"a\":",
            "\"\\ud8",
            "a,\"b",
            "utf-16",
            "/v8",
            "-----BEGIN x-----END",
            "$0${a}$$",
            "+",
            "éééé-éé-éé",
        ]
        .map(text),
    );
    values
}

#[test]
fn no_call_panics() {
    let host = Memory::with(&[("/templates/a", b"a")]);
    let values = odd_values();
    for function in tables().into_iter().flatten().filter(|f| f.name != "bcrypt") {
        let mut args: Vec<Vec<Val>> = vec![Vec::new()];
        args.extend(values.iter().map(|v| vec![v.clone()]));
        args.extend(values.iter().flat_map(|a| values.iter().map(|b| vec![a.clone(), b.clone()])));
        // Of the triples some, the same ones each time.
        let mut state = 1_usize;
        args.extend((0..300).map(|_| {
            let mut any = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                values[(state >> 33) % values.len()].clone()
            };
            vec![any(), any(), any()]
        }));
        for args in args {
            // A value that is known keeps no promise of a type that it breaks.
            if let Ok(value) = call(function.name, args.clone(), &host) {
                assert!(convert(value.clone(), &value.ty()).is_ok(), "{}({args:?})", function.name);
            }
        }
    }
}
