//! Encodings, dates, networks, digests and secret stores.

use super::*;

#[test]
fn json() {
    check(
        &Memory::default(),
        &[
            (
                "jsonencode(\"<>&\\u2028\\u0001\\b\\u007f\")",
                r#""\"\\u003c\\u003e\\u0026\\u2028\\u0001\\b\u{7f}\"""#,
            ),
            ("jsonencode(set(2, 1))", "\"[1,2]\""),
            ("jsonencode(1.50)", "\"1.5\""),
            ("jsonencode(pow(10, 400))", "!cannot serialize infinity"),
            ("jsondecode(\"12345678901234567890.125\")", "12345678901234567890.125"),
            (
                "jsondecode(\"{\\\"a\\\": null, \\\"b\\\": [true, 1e2]}\")",
                "{\"a\" = null, \"b\" = [true, 100]}",
            ),
            (r#"jsondecode("\"\\ud83d\\ude00 \\ud800 \\u00e9\"")"#, "\"😀 \u{fffd} é\""),
            ("jsondecode(\" [1 , 2] \")", "[1, 2]"),
            ("jsondecode(\"[1,]\")", "!invalid character ']' at offset 3"),
            ("jsondecode(\"01\")", "!invalid character '0'"),
            ("jsondecode(\"1 2\")", "!extraneous data"),
            ("jsondecode(\"\")", "!ends too early"),
            ("jsondecode(\"{\\\"a\\\" 1}\")", "!invalid character '1'"),
            ("jsondecode(\"nul\")", "!invalid character 'n'"),
            ("jsondecode(\"1e99999\")", "!too large"),
        ],
    );
}

#[test]
fn yaml() {
    let yaml = |source: &str, expected: &str| {
        let result = call("yamldecode", vec![Val::string(source)], &Memory::default());
        match (expected.strip_prefix('!'), result) {
            (None, Ok(value)) => assert_eq!(expression::compact(&value), expected, "{source}"),
            (Some(part), Err(error)) => assert!(error.to_string().contains(part), "{source}: {error}"),
            (_, other) => panic!("{source}: {other:?}"),
        }
    };
    for (source, expected) in [
        ("yes", "true"),
        ("'yes'", "\"yes\""),
        ("- n\n- off\n- ~\n-\n- ''", "[false, false, null, null, \"\"]"),
        ("[0x1F, 0o17, 017, 1e3, .5, 5., +3, -.inf]", "[31, 15, 17, 1000, 0.5, 5, 3, -Inf]"),
        ("[1_000, 1.2.3, 0b1, 1-2]", "[\"1_000\", \"1.2.3\", \"0b1\", \"1-2\"]"),
        ("!!int 1_000", "1000"),
        ("!!str 5", "\"5\""),
        ("!!bool x", "!cannot parse \"x\" as !!bool"),
        ("!x 5", "!unsupported tag"),
        (".nan", "!NaN is not supported"),
        ("2020-1-2", "\"2020-01-02T00:00:00Z\""),
        ("2020-01-02t03:04:05.5+01:00", "\"2020-01-02T03:04:05+01:00\""),
        ("2020-01-02 03:04:05", "\"2020-01-02T03:04:05Z\""),
        ("2020-13-02", "\"2020-13-02\""),
        (
            "a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2",
            r#"{"a" = {"b" = 1}, "c" = {"b" = 1}, "d" = {"b" = 1, "e" = 2}}"#,
        ),
        ("<<: [{a: 1}, {a: 2, b: 3}]", r#"{"a" = 2, "b" = 3}"#),
        ("<<: 5", "!cannot merge number into mapping"),
        ("a: &x [*x]", "!"),
        ("*nothing", "!"),
        ("1: a\ntrue: b", r#"{"1" = "a", "true" = "b"}"#),
        ("~: a", "!mapping key cannot be null"),
        ("[a]: b", "!only strings are allowed as mapping keys"),
        ("a\n---\nb", "!only a single document"),
        ("", "!expecting value"),
        ("a: |\n  x\n  y\nb: >\n  x\n  y\n", r#"{"a" = "x\ny\n", "b" = "x y\n"}"#),
        ("a: [", "!"),
        ("\"a\\u00e9\"", "\"aé\""),
    ] {
        yaml(source, expected);
    }
    for (source, expected) in [
        ("yamlencode(null)", "null\n"),
        ("yamlencode(\"a\")", "\"a\"\n"),
        ("yamlencode([])", "[]\n"),
        ("yamlencode({ a = [], b = {}, c = 1.5 })", "\"a\": []\n\"b\": {}\n\"c\": 1.5\n"),
        ("yamlencode([[1, [2]], { a = 1, b = [3] }])", "- - 1\n  - - 2\n- \"a\": 1\n  \"b\":\n  - 3\n"),
        ("yamlencode({ a = { b = { c = [{ d = 1 }] } } })", "\"a\":\n  \"b\":\n    \"c\":\n    - \"d\": 1\n"),
        (
            "yamlencode({ a = \"x\\ny\\n\", b = \"x\\ny\", c = \" x\\n\\n\" })",
            "\"a\": |\n  x\n  y\n\"b\": |-\n  x\n  y\n\"c\": |2+\n   x\n\n",
        ),
        ("yamlencode([\"x\\ny\"])", "- |-\n  x\n  y\n"),
        ("yamlencode(\"x\\ny\\n\")", "|\n  x\n  y\n"),
        ("yamlencode(\"x \\ny\")", "\"x \\ny\"\n"),
        ("yamlencode(\"\\t\\u0001\\\"\\\\é😀\")", "\"\\t\\x01\\\"\\\\é\\U0001F600\"\n"),
        ("yamlencode({ \"a\\nb\" = 1 })", "? |-\n  a\n  b\n: 1\n"),
    ] {
        let value = expression::evaluate(source, &Memory::default()).expect(source);
        assert_eq!(value.as_str().as_deref(), Some(expected), "{source}");
    }
    // Folded where a space is after column 80.
    let long = Val::object([("k", Val::string(format!("{} b  c", "a".repeat(80))))]);
    let folded = call("yamlencode", vec![long], &Memory::default()).expect("a text").as_str();
    assert_eq!(folded, Some(format!("\"k\": \"{}\n  b  c\"\n", "a".repeat(80))));
}

#[test]
fn encoding_and_decoding_are_inverse() {
    let value = expression::evaluate(
        "{ a = [1, \"x\\ny\", \" \\n\", null, true], \"b: c\" = { d = \"yes\", e = [] }, f = \"tail \" }",
        &Memory::default(),
    )
    .expect("a value");
    for (encode, decode) in [("jsonencode", "jsondecode"), ("yamlencode", "yamldecode")] {
        let text = call(encode, vec![value.clone()], &Memory::default()).expect("a text");
        assert_eq!(call(decode, vec![text], &Memory::default()), Ok(value.clone()));
    }
}

#[test]
fn csv() {
    check(
        &Memory::default(),
        &[
            (
                "csvdecode(\"a,b\\r\\n\\\"x\\\"\\\"y\\\",\\\"1\\r\\n2\\\"\\r\\n\")",
                r#"list({"a" = "x\"y", "b" = "1\n2"})"#,
            ),
            ("csvdecode(\"a\\n\\n1\\n\")", r#"list({"a" = "1"})"#),
            ("csvdecode(\"a,b\")", "list()"),
            ("csvdecode(\"\")", "!missing header line"),
            ("csvdecode(\"a,a\\n\")", "!duplicate column name \"a\""),
            ("csvdecode(\"a,b\\n1\\n\")", "!CSV parse error on line 2: wrong number of fields"),
            ("csvdecode(\"a\\nx\\\"y\\n\")", "!line 2: bare \" in non-quoted field"),
            ("csvdecode(\"a\\n\\\"x\\n\")", "!extraneous or missing"),
            ("csvdecode(\"a\\n\\\"x\\\"y\\n\")", "!extraneous or missing"),
            ("csvdecode(\"a,b\\n1,\\n\")", r#"list({"a" = "1", "b" = ""})"#),
        ],
    );
}

#[test]
fn base64_and_charsets() {
    check(
        &Memory::default(),
        &[
            ("base64encode(\"héllo\")", "\"aMOpbGxv\""),
            ("base64decode(\"aMOp\\nbGxv\")", "\"héllo\""),
            ("base64decode(\"aGk\")", "!failed to decode base64 data 'aGk'"),
            ("base64decode(\"/w==\")", "!not valid UTF-8"),
            ("textencodebase64(\"é\", \"utf-8\")", "\"w6k=\""),
            ("textencodebase64(\"é\", \"latin1\")", "\"6Q==\""),
            ("textencodebase64(\"ş\", \"ISO-8859-9\")", "\"/g==\""),
            ("textdecodebase64(\"/g==\", \"latin5\")", "\"ş\""),
            ("textencodebase64(\"a\", \"UTF-16\")", "\"/v8AYQ==\""),
            ("textdecodebase64(\"//5hAA==\", \"UTF-16\")", "\"a\""),
            ("textdecodebase64(\"YQ==\", \"UTF-16LE\")", "!not defined for UTF-16LE"),
            ("textencodebase64(\"日本\", \"Shift_JIS\")", "\"k/qWew==\""),
            ("textencodebase64(\"é\", \"US-ASCII\")", "!cannot be represented in US-ASCII"),
            ("textdecodebase64(\"/w==\", \"UTF-8\")", "!not defined for UTF-8"),
            ("textdecodebase64(\"aG\\nk!\", \"UTF-8\")", "!invalid base64 symbol at offset 4"),
            ("urlencode(\"é~/?\")", "\"%C3%A9~%2F%3F\""),
        ],
    );
    let zipped = call("base64gzip", vec![Val::string("hello")], &Memory::default()).expect("a text");
    let bytes = super::super::encoding::from_base64(&zipped.as_str().expect("a text")).expect("base64");
    let mut text = String::new();
    io::Read::read_to_string(&mut flate2::read::GzDecoder::new(bytes.as_slice()), &mut text).expect("gzip");
    assert_eq!(text, "hello");
}

#[test]
fn dates() {
    check(
        &Memory::default(),
        &[
            ("timestamp()", "\"2024-03-07T09:05:03Z\""),
            ("legacy_isotime()", "\"2024-03-07T09:05:03Z\""),
            ("legacy_isotime(\"Jan _2 2006 15:04\")", "\"Mar  7 2024 09:05\""),
            ("legacy_strftime(\"%d.%m.%y\")", "\"07.03.24\""),
            ("legacy_isotime(\"a\", \"b\")", "!too many values, 1 needed"),
            ("formatdate(\"YY-M-D EEE h:m:s\", \"2021-02-03T04:05:06Z\")", "\"21-2-3 Wed 4:5:6\""),
            ("formatdate(\"MMMM EEEE HH aa\", \"2021-02-03T00:05:06Z\")", "\"February Wednesday 12 am\""),
            (
                "formatdate(\"Z ZZZ ZZZZ ZZZZZ\", \"2021-02-03T00:05:06-07:30\")",
                "\"-07:30 -0730 -0730 -07:30\"",
            ),
            ("formatdate(\"Z ZZZ ZZZZ ZZZZZ\", \"2021-02-03T00:05:06Z\")", "\"Z UTC +0000 +00:00\""),
            ("formatdate(\"'it''s' YYYY '' é\", \"2021-02-03T00:05:06Z\")", "\"it's 2021 ' é\""),
            ("formatdate(\"'a\", \"2021-02-03T00:05:06Z\")", "!unterminated literal"),
            ("formatdate(\"YYY\", \"2021-02-03T00:05:06Z\")", "!invalid date format verb \"YYY\": year"),
            ("formatdate(\"x\", \"2021-02-03T00:05:06Z\")", "!invalid date format verb \"x\""),
            ("formatdate(\"YYYY\", \"2021-02-30T00:05:06Z\")", "!the month has no such day"),
            ("formatdate(\"YYYY\", \"2021-02-03 00:05:06Z\")", "!time introducer 'T'"),
            ("formatdate(\"YYYY\", \"2021-02-03T24:05:06Z\")", "!between 00 and 23"),
            ("formatdate(\"YYYY\", \"2021-02-03T00:05:06\")", "!must end in Z"),
            ("formatdate(\"YYYY\", \"2021-02-03T00:05:06+25:00\")", "!must end in Z"),
            ("formatdate(\"YYYY\", \"é\")", "!not a valid RFC3339 timestamp"),
            ("timeadd(\"2020-02-28T23:59:59+01:00\", \"24h1.5s\")", "\"2020-03-01T00:00:00+01:00\""),
            ("timeadd(\"2020-01-01T00:00:00Z\", \"-1h30m\")", "\"2019-12-31T22:30:00Z\""),
            ("timeadd(\"2020-01-01T00:00:00Z\", \"0\")", "\"2020-01-01T00:00:00Z\""),
            ("timeadd(\"2020-01-01T00:00:00Z\", \"5\")", "!missing unit"),
            ("timeadd(\"2020-01-01T00:00:00Z\", \"\")", "!invalid duration"),
            ("timeadd(\"9999-12-31T23:59:59Z\", \"1h\")", "!not between the years"),
            ("timeadd(\"2020-01-01T00:00:00Z\", \"99999999999999h\")", "!invalid duration"),
            ("lookup(rfc3339_parse(\"2023-07-25 23:43:16.5Z\"), \"iso_week\", 0)", "30"),
            ("rfc3339_parse(\"2020-13-02T00:00:00Z\")", "!is not a valid RFC3339 timestamp"),
            ("unix_timestamp_parse(1.5)", "!a whole number"),
            ("unix_timestamp_parse(99999999999999)", "!beyond the year 9999"),
        ],
    );
}

#[test]
fn networks() {
    check(
        &Memory::default(),
        &[
            ("cidrhost(\"10.1.2.240/28\", 1)", "\"10.1.2.241\""),
            ("cidrhost(\"10.1.2.0/24\", -1)", "\"10.1.2.255\""),
            ("cidrhost(\"10.1.2.0/24\", 256)", "!prefix of 24 does not accommodate a host numbered 256"),
            ("cidrhost(\"fe80::/64\", -2)", "\"fe80::ffff:ffff:ffff:fffe\""),
            ("cidrhost(\"10.0.0.0/33\", 1)", "!invalid CIDR expression"),
            ("cidrhost(\"10.0.0.01/8\", 1)", "!invalid CIDR expression"),
            ("cidrhost(\"10.0.0.0\", 1)", "!invalid CIDR expression"),
            ("cidrnetmask(\"10.1.2.240/28\")", "\"255.255.255.240\""),
            ("cidrnetmask(\"0.0.0.0/0\")", "\"0.0.0.0\""),
            ("cidrnetmask(\"fe80::/10\")", "\"ffc0::\""),
            ("cidrsubnet(\"192.168.2.0/20\", 4, 6)", "\"192.168.6.0/24\""),
            ("cidrsubnet(\"fe80::/48\", 16, 6)", "\"fe80:0:0:6::/64\""),
            ("cidrsubnet(\"192.168.0.0/30\", 4, 6)", "!too long for an IPv4 address"),
            ("cidrsubnet(\"192.168.0.0/20\", 4, 16)", "!does not accommodate a subnet numbered 16"),
            ("cidrsubnet(\"fe80::/48\", 33, 6)", "!more than 32 bits"),
            ("cidrsubnet(\"0.0.0.0/0\", 0, 0)", "\"0.0.0.0/0\""),
            ("cidrsubnets(\"10.1.0.0/16\")", "list()"),
            (
                "cidrsubnets(\"10.1.0.0/16\", 8, 4, 8)",
                "list(\"10.1.0.0/24\", \"10.1.16.0/20\", \"10.1.32.0/24\")",
            ),
            (
                "cidrsubnets(\"fd00:fd12:3456:7890::/56\", 16, 16)",
                "list(\"fd00:fd12:3456:7800::/72\", \"fd00:fd12:3456:7800:100::/72\")",
            ),
            ("cidrsubnets(\"10.0.0.0/8\", 1, 1, 1)", "!not enough remaining address space"),
            ("cidrsubnets(\"255.0.0.0/8\", 1, 1, 1)", "!not enough remaining address space"),
            ("cidrsubnets(\"ff00::/8\", 1, 1, 1)", "!not enough remaining address space"),
            ("cidrsubnets(\"10.0.0.0/8\", 0)", "!at least one bit"),
        ],
    );
}

#[test]
fn digests() {
    let host = Memory::default();
    check(
        &host,
        &[
            ("md5(\"a\")", "\"0cc175b9c0f1b6a831c399e269772661\""),
            ("sha1(\"a\")", "\"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8\""),
            ("sha256(\"\")", "\"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""),
            ("uuidv5(\"oid\", \"1.3.6.1.4\")", "\"af9d40a5-7a36-5c07-b23a-851cd99fbfa5\""),
            (
                "uuidv5(\"6ba7b810-9dad-11d1-80b4-00c04fd430c8\", \"example.com\")",
                "\"cfbff0d1-9375-5685-968c-48ce8b15ae17\"",
            ),
            ("uuidv5(\"nope\", \"a\")", "!doesn't support namespace"),
            ("bcrypt(\"a\", 4, 4)", "!no more than two arguments"),
            ("bcrypt(\"a\", 17)", "!more than 16 is refused"),
            ("rsadecrypt(\"!\", \"\")", "!must be base64-encoded"),
            ("rsadecrypt(\"aGk=\", \"\")", "!no key found"),
        ],
    );
    let hash = call("bcrypt", vec![Val::string("pass"), Val::number(4_i64)], &host).expect("a hash").as_str();
    let hash = hash.expect("a text");
    assert!(hash.starts_with("$2a$04$") && bcrypt::verify("pass", &hash).expect("a hash"), "{hash}");
    assert!(call("bcrypt", vec![Val::string("x".repeat(73))], &host).is_err());
}

#[test]
fn rsa_decrypts_what_was_encrypted_for_the_key() {
    use rsa::pkcs1::EncodeRsaPrivateKey;
    let key = rsa::RsaPrivateKey::new(&mut rand(), 1024).expect("a key");
    let sealed =
        key.to_public_key().encrypt(&mut rand(), rsa::Pkcs1v15Encrypt, b"message").expect("encrypted");
    let sealed = super::super::encoding::to_base64(&sealed).expect("short");
    let pem = key.to_pkcs1_pem(rsa::pkcs1::LineEnding::LF).expect("PEM");
    let args = vec![Val::string(&sealed), Val::string(pem.as_str())];
    assert_eq!(call("rsadecrypt", args, &Memory::default()), Ok(Val::string("message")));
    let other = rsa::RsaPrivateKey::new(&mut rand(), 1024).expect("a key");
    let pem = other.to_pkcs1_pem(rsa::pkcs1::LineEnding::LF).expect("PEM");
    assert!(
        call("rsadecrypt", vec![Val::string(sealed), Val::string(pem.as_str())], &Memory::default()).is_err()
    );
}

fn rand() -> impl rsa::rand_core::CryptoRng {
    rsa::rand_core::UnwrapErr(getrandom::SysRng)
}

#[test]
fn secret_stores_say_what_to_do_instead() {
    check(
        &Memory::default(),
        &[
            ("vault(\"a\", \"b\")", "!PKR_VAR_"),
            ("consul_key(\"a\")", "!PKR_VAR_"),
            ("aws_secretsmanager(\"a\", \"b\")", "!PKR_VAR_"),
            ("aws_secretsmanager_raw(\"a\")", "!PKR_VAR_"),
        ],
    );
}
