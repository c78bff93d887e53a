//! Regular expressions.

use super::*;

#[test]
fn patterns_are_those_of_re2() {
    check(
        &Memory::default(),
        &[
            ("regex(\"[a-z]+\", \"53453453.345345aaabbbccc23454\")", "\"aaabbbccc\""),
            ("regex(\"(a)|(b)\", \"b\")", "[null, \"b\"]"),
            ("regex(\"(?P<x>a)(?<y>b)?\", \"a\")", "{\"x\" = \"a\", \"y\" = null}"),
            ("regex(\"z\", \"a\")", "!did not match any part"),
            ("regex(\"\\\\d\", \"٣\")", "!did not match"),
            ("regex(\"\\\\w+\", \"éab\")", "\"ab\""),
            ("regex(\"[\\\\w]+\", \"éab\")", "\"ab\""),
            ("regex(\"\\\\W\", \"é\")", "\"é\""),
            ("regex(\"[^\\\\W]\", \"éa\")", "\"a\""),
            ("regex(\"\\\\bb\", \"éb\")", "\"b\""),
            ("regex(\"\\\\Ba\", \"aa\")", "\"a\""),
            ("regex(\"(?i)É\", \"é\")", "\"é\""),
            ("regex(\"[[]\", \"[\")", "\"[\""),
            ("regex(\"[a&&b]+\", \"a&b\")", "\"a&b\""),
            ("regex(\"[[:alpha:]]+\", \"1ab\")", "\"ab\""),
            ("regex(\"[]a]+\", \"]a\")", "\"]a\""),
            ("regex(\"\\\\Qa.b\\\\E+\", \"a.bb\")", "\"a.bb\""),
            ("regex(\"a{,2}\", \"a{,2}\")", "\"a{,2}\""),
            ("regex(\"{a}\", \"{a}\")", "\"{a}\""),
            ("regex(\"\\\\x{e9}\\\\pL\", \"éa\")", "\"éa\""),
            ("regex(\"\\\\101\", \"A\")", "\"A\""),
            ("regex(\"\\\\<a\", \"<a\")", "\"<a\""),
            ("regex(\"(?s).\", \"\\n\")", "\"\\n\""),
            ("regex(\"a.c\", \"aéc\")", "\"aéc\""),
            ("regex(\"(?=a)\", \"a\")", "!invalid or unsupported Perl syntax"),
            ("regex(\"(?x) a\", \"a\")", "!invalid or unsupported Perl syntax"),
            ("regex(\"(a)\\\\1\", \"aa\")", "!invalid escape sequence"),
            ("regex(\"a**\", \"a\")", "!invalid nested repetition operator"),
            ("regex(\"a{1001}\", \"a\")", "!invalid repeat count"),
            ("regex(\"(a\", \"a\")", "!invalid regexp pattern"),
            ("regex(\"[a\", \"a\")", "!missing closing ]"),
            ("regex(\"a\\\\\", \"a\")", "!trailing backslash"),
            ("regex(\"\\\\u0041\", \"a\")", "!invalid escape sequence"),
            ("regexall(\"a*\", \"baac\")", "list(\"\", \"aa\", \"\")"),
            (
                "regexall(\"(?P<k>\\\\w)=(?P<v>\\\\w)\", \"a=1 b=2\")",
                "list({\"k\" = \"a\", \"v\" = \"1\"}, {\"k\" = \"b\", \"v\" = \"2\"})",
            ),
            ("regex_replace(\"-ab-axxb-\", \"a(x*)b\", \"$${1}W\")", "\"-${1}W-${1}W-\""),
            ("regex_replace(\"-ab-axxb-\", \"a(x*)b\", \"$1W\")", "\"---\""),
            ("regex_replace(\"-ab-axxb-\", \"a(?P<Y>x*)b\", \"${Y}W\")", "\"-W-xxW-\""),
            ("regex_replace(\"abc\", \"\", \"-\")", "\"-a-b-c-\""),
            ("regex_replace(\"a\", \"(\", \"-\")", "!invalid regexp pattern"),
        ],
    );
}
