//! Expressions and what they give.

use super::*;
use crate::hcl::parse::parse_expression;
use crate::hcl::print::print;
use crate::hcl::testing::Desk;
use crate::source::SourceFile;

fn names() -> BTreeMap<String, Val> {
    let var = Val::object([
        ("s", Val::string("str")),
        ("n", Val::number(42_i64)),
        ("l", Val::list(Type::String, ["a", "b"].map(Val::string).to_vec())),
        ("secret", Val::string("hidden").mark()),
        ("later", Val::Unknown(Type::String)),
        ("nul", Val::Null(Type::String)),
    ]);
    BTreeMap::from([("var".to_owned(), var)])
}

fn run(source: &str) -> Result<String, Vec<String>> {
    let file = SourceFile::new("t", source);
    let (expr, found) = parse_expression(&file);
    let codes = |found: Diagnostics| found.into_iter().map(|d| d.code).collect::<Vec<_>>();
    if found.has_errors() {
        return Err(codes(found));
    }
    let names = names();
    let (value, found) = evaluate(&expr, &Scope::new(&names), Allow::ALL, &Desk::default());
    if found.has_errors() { Err(codes(found)) } else { Ok(print(&value)) }
}

#[test]
fn values() {
    for (source, printed) in [
        ("1 + 2 * 3", "7"),
        ("(1 + 2) * 3", "9"),
        ("10 - 2 - 3", "5"),
        ("-7 % 3", "-1"),
        ("1 < 2 && 2 <= 2 || false", "true"),
        ("!true == false", "true"),
        ("\"a${1 + 1}b\"", "a2b"),
        ("\"${[1][0]}\"", "1"),
        ("\"%{ for i, x in var.l ~}${i}=${x};%{ endfor ~}\"", "0=a;1=b;"),
        ("\"%{ if var.n > 1 }yes%{ else }no%{ endif }\"", "yes"),
        ("[for x in var.l : \"${x}!\" if x != \"a\"]", "[\n  \"b!\",\n]"),
        ("{for i, x in var.l : x => i}", "{\n  \"a\" = 0\n  \"b\" = 1\n}"),
        ("{for x in [\"a\", \"a\"] : x => 1...}", "{\n  \"a\" = [\n    1,\n    1,\n  ]\n}"),
        ("[{a = 1}, {a = 2}][*].a", "[\n  1,\n  2,\n]"),
        ("[{a = [1]}, {a = [2]}].*.a.0", "[\n  1,\n  2,\n]"),
        ("var.nul[*].x", "[]"),
        ("var.l.0", "a"),
        ("var.l[\"1\"]", "b"),
        ("true ? 1 : \"x\"", "1"),
        ("true ? var.s : var.nosuch", "str"),
        ("false && var.nosuch", "false"),
        ("var.nul == null", "true"),
        ("1 == \"1\"", "false"),
        ("try(var.nosuch, 1)", "1"),
        ("can(var.nosuch)", "false"),
        ("convert([\"1\"], list(number))", "[\n  1,\n]"),
        ("var.later", "<unknown>"),
        ("\"x${var.later}\"", "<unknown>"),
        ("can(var.later)", "<unknown>"),
        ("var.later == \"a\" && false", "false"),
        ("{a = var.later}.a", "<unknown>"),
        ("var.secret", "<sensitive>"),
        ("\"a-${var.secret}-b\"", "a-<sensitive>-b"),
        ("parseint(var.secret, 36)", "<sensitive>"),
        ("[var.secret]", "[\n  \"<sensitive>\",\n]"),
        ("var.secret == \"x\"", "<sensitive>"),
        ("var.secret == \"x\" ? 1 : 2", "<sensitive>"),
        ("5 / 0", "+Inf"),
    ] {
        assert_eq!(run(source), Ok(printed.to_owned()), "{source}");
    }
}

#[test]
fn mistakes() {
    for (source, code) in [
        ("foo", "hcl/unknown-variable"),
        ("var.nosuch", "hcl/unknown-attribute"),
        ("var.s.x", "hcl/no-attributes"),
        ("var.l[5]", "hcl/index"),
        ("var.l[1.5]", "hcl/index"),
        ("var.nul.x", "hcl/attribute-of-null"),
        ("1 + \"x\"", "hcl/operand"),
        ("1 + null", "hcl/null-operand"),
        ("\"a${var.nul}\"", "hcl/null-in-text"),
        ("\"a${var.l}\"", "hcl/not-a-text"),
        ("[for x in 5 : x]", "hcl/not-iterable"),
        ("{for x in [1, 1] : x => x}", "hcl/duplicate-key"),
        ("{(upper(var.secret)) = 1}", "template/secret-key"),
        ("{for x in [var.secret] : x => 1}", "template/secret-key"),
        ("true ? [1] : 2", "hcl/conditional-types"),
        ("nosuch(1)", "hcl/unknown-function"),
        ("abs()", "hcl/argument-count"),
        ("abs([1])", "hcl/argument"),
        ("env(\"X\")", "hcl/env-not-allowed"),
        ("try(var.nosuch, foo)", "hcl/try"),
        ("convert(1, nosuch)", "hcl/type"),
        ("0 / 0", "hcl/arithmetic"),
        ("abs(var.l...)", "hcl/argument-count"),
    ] {
        let found = run(source).expect_err(source);
        assert!(found.iter().any(|c| c == code), "{source}: {found:?}");
    }
}

#[test]
fn one_mistake_gives_one_finding() {
    assert_eq!(run("\"${abs(var.nosuch)}-${var.nosuch2 + 1}\"").expect_err("two").len(), 2);
}

#[test]
fn loops_can_not_fill_the_memory() {
    let mut source = "1".to_owned();
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        source = format!("[for {name} in [1,2,3,4,5,6,7,8,9,10] : {source}]");
    }
    assert_eq!(run(&source).expect_err("too large"), ["hcl/too-large"]);
}

#[test]
fn loops_end_where_everything_is_wrong() {
    let loops = ["[for x in range(1000) : [for y in range(1000) : [nosuch]]]", "range(1000)[*].nosuch"];
    let directive = r#""%{ for x in range(1000) ~}${nosuch}%{ endfor ~}""#;
    for source in loops.into_iter().chain([directive]) {
        assert_eq!(run(source).expect_err("wrong").len(), super::MAX_FINDINGS, "{source}");
    }
}
