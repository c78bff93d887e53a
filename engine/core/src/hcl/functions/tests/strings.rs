//! Numbers, texts and `format`.

use super::*;

#[test]
fn numbers() {
    check(
        &Memory::default(),
        &[
            ("abs(-0.5)", "0.5"),
            ("ceil(-1.5)", "-1"),
            ("floor(-1.5)", "-2"),
            ("log(8, 2)", "3"),
            ("log(1, 0.5)", "0"),
            ("log(-1, 2)", "!the result is not a number"),
            ("log(0, 10)", "-Inf"),
            ("pow(2, 0.5)", "1.4142135623730951"),
            ("pow(10, 400)", "+Inf"),
            ("pow(-1, 0.5)", "!not a number"),
            ("max()", "!must pass at least one number"),
            ("min(3, \"-2\", 5)", "-2"),
            ("max(1, 12, 9)", "12"),
            ("signum(0)", "0"),
            ("signum(0.5)", "!a whole number"),
            ("parseint(\"-FF\", 16)", "-255"),
            ("parseint(\"zZ\", 62)", "2231"),
            ("parseint(10, 10)", "!first argument must be a string"),
            ("parseint(\"1_0\", 10)", "!cannot parse \"1_0\" as a base 10 integer"),
            ("parseint(\"\", 10)", "!cannot parse"),
            ("parseint(\"1\", 2.5)", "!whole number"),
            ("sum([])", "!cannot sum an empty list"),
            ("sum([1, \"2.5\"])", "3.5"),
        ],
    );
}

#[test]
fn texts() {
    check(
        &Memory::default(),
        &[
            ("upper(\"straße ŉ ᾳ\")", "\"STRAßE ŉ ᾼ\""),
            ("lower(\"İI ΑΣ\")", "\"ii ασ\""),
            ("title(\"hello wor-ld_x don't 2b\")", "\"Hello Wor-Ld_x Don'T 2b\""),
            ("chomp(\"a\\r\\n\\n\\r\")", "\"a\""),
            ("trimspace(\"\\u00a0 a\\t\\n\")", "\"a\""),
            ("trim(\"?!héllo!?\", \"!?\")", "\"héllo\""),
            ("trimsuffix(\"hello\", \"lo\")", "\"hel\""),
            ("trimprefix(\"hello\", \"lo\")", "\"hello\""),
            ("strrev(\"ae\\u0301😀\")", "\"😀éa\""),
            ("split(\"\", \"aé\")", "list(\"a\", \"é\")"),
            ("split(\"\", \"\")", "list()"),
            ("split(\", \", \"a, b\")", "list(\"a\", \"b\")"),
            ("replace(\"ab\", \"\", \"-\")", "\"-a-b-\""),
            ("replace(\"a.b\", \"/./\", \"-\")", "\"a.b\""),
            ("indent(2, \"a\\n\\nb\")", "\"a\\n  \\n  b\""),
            ("indent(-1, \"a\")", "!must not be negative"),
            ("join(\",\", [\"a\"], [], [1, true])", "\"a,1,true\""),
            ("join(\",\", [\"a\", null])", "!element 1 of list 1 is null"),
            ("join(\",\")", "!at least one list is required"),
            ("substr(\"hello\", 1, -1)", "\"ello\""),
            ("substr(\"hello\", -2, 0)", "\"lo\""),
            ("substr(\"hello\", 9, 1)", "\"\""),
            ("substr(\"hello\", -9, 2)", "\"he\""),
            ("substr(\"e\\u0302x\", 1, 1)", "\"x\""),
            ("substr(\"a\", 0.5, 1)", "!a whole number"),
            ("length(\"e\\u0301🤷🏽‍♀️\")", "2"),
        ],
    );
}

#[test]
fn formats() {
    check(
        &Memory::default(),
        &[
            ("format(\"%v %v %v %v\", 1, \"a\", true, null)", "\"1 a true null\""),
            ("format(\"%v\", 1000000)", "\"1e+06\""),
            ("format(\"%v %v %v\", 999999, 0.0001, 0.00001)", "\"999999 0.0001 1e-05\""),
            ("format(\"%#v %v\", \"<a>\", { a = [1, \"b\"] })", r#""\"\\u003ca\\u003e\" {\"a\":[1,\"b\"]}""#),
            ("format(\"%s %s\", 1.5, false)", "\"1.5 false\""),
            ("format(\"%.2s|%5s|%-5s|%05s\", \"héllo\", \"é\", \"é\", \"é\")", "\"hé|    é|é    |0000é\""),
            ("format(\"%q\", \"a\\nb\")", r#""\"a\\nb\"""#),
            ("format(\"%t\", \"true\")", "\"true\""),
            ("format(\"%d|%5d|%-5d|%05d|%+d|% d\", 7, 7, 7, -7, 7, 7)", "\"7|    7|7    |-0007|+7| 7\""),
            (
                "format(\"%b %o %x %X %#b %#o %#X\", 5, 8, 255, 255, 5, 8, 255)",
                "\"101 10 ff FF 0b101 010 0XFF\"",
            ),
            ("format(\"%.3d|%06.3d\", 7, 7)", "\"007|   007\""),
            ("format(\"%d\", 1.5)", "!an integer is required"),
            ("format(\"%d\", 123456789012345678901234567890)", "\"123456789012345678901234567890\""),
            ("format(\"%f %.0f %.1f %.3f\", 1.5, 2.5, 0.25, 1234.5678)", "\"1.500000 2 0.2 1234.568\""),
            ("format(\"%e %.2E %e\", 123456.789, 0.00012345, 0)", "\"1.234568e+05 1.23E-04 0.000000e+00\""),
            (
                "format(\"%g %g %.3g %G %g\", 123456, 1234567, 1234.5, 0.00001, 0)",
                "\"123456 1.234567e+06 1.23e+03 1E-05 0\"",
            ),
            (
                "format(\"%8.2f|%-8.2f|%08.2f|%+.1f\", 3.14159, 3.14159, -3.14159, 9.96)",
                "\"    3.14|3.14    |-0003.14|+10.0\"",
            ),
            ("format(\"%[2]s %s %[1]s\", \"a\", \"b\", \"c\")", "\"b c a\""),
            ("format(\"100%%\")", "\"100%\""),
            ("format(\"%\")", "!invalid format string"),
            ("format(\"%!\", 1)", "!unrecognized format character '!'"),
            ("format(\"%z\", 1)", "!unsupported format verb 'z'"),
            ("format(\"%s\")", "!not enough arguments for \"%s\" at 0: need index 1 but have 0 total"),
            ("format(\"a\", 1)", "!no verbs in format string"),
            ("format(\"%s\", null)", "!null value cannot be formatted"),
            ("format(\"%s\", [])", "!string required"),
            ("format(\"%[0]s\", 1)", "!must be a number from 1"),
            ("formatlist(\"%s=%d\", [\"a\", \"b\"], [1, 2])", "list(\"a=1\", \"b=2\")"),
            ("formatlist(\"%s\", \"a\")", "list(\"a\")"),
            ("formatlist(\"a\")", "list(\"a\")"),
            ("formatlist(\"%s%s\", [], \"a\")", "list()"),
            ("formatlist(\"%s%s\", [1, 2], [1])", "!argument 2 has length 1, which is inconsistent"),
            ("formatlist(\"%d\", [1, \"x\"])", "!error on format iteration 1"),
        ],
    );
}
