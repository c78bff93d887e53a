//! Results were observed from Packer's formatter, but for a byte order mark alone, of which it makes three blanks.

use super::*;

#[track_caller]
fn check(table: &[(&str, &str)]) {
    for (source, expected) in table {
        assert_eq!(format(source), *expected, "of {source:?}");
        assert_eq!(format(expected), *expected, "formatted again");
    }
}

#[test]
fn blanks_stand_where_the_tokens_want_them() {
    check(&[
        ("a=1+2*-3", "a = 1 + 2 * -3"),
        ("a = b -c", "a = b - c"),
        ("a = - -1", "a = --1"),
        ("a = ! b&&! ( c )", "a = !b && !(c)"),
        ("a = x [ 0 ] . b [*] . c", "a = x[0].b[*].c"),
        ("a = f ( 1,2 , x ... )", "a = f(1, 2, x...)"),
        ("a = core :: f ( 1 )", "a = core::f(1)"),
        ("a=[ 1,2, ]", "a = [1, 2, ]"),
        ("a={b=1,\"c\":2}", "a = { b = 1, \"c\" : 2 }"),
        ("a={ }", "a = {}"),
        ("a=[for x in[1]:x if x>0]", "a = [for x in [1] : x if x > 0]"),
        ("a={for k,v in m:k=>v...}", "a = { for k, v in m : k => v... }"),
        ("a=b?c:- 1", "a = b ? c : -1"),
        // Where the rules know too little of the grammar.
        ("a = [for x in y : x if -x]", "a = [for x in y : x if - x]"),
        ("a = \"${-1}\"", "a = \"${- 1}\""),
    ]);
}

#[test]
fn text_stays_and_expressions_in_it_are_formatted() {
    check(&[
        ("a = \" x  = 1 \"", "a = \" x  = 1 \""),
        ("a=\"x${ b+1 }y${~ c ~}\"", "a = \"x${b + 1}y${~c~}\""),
        ("a=\"${ {b=1} }\"", "a = \"${ { b = 1 } }\""),
        ("a = \"%{ if b }c%{ else }d%{ endif }\"", "a = \"%{if b}c%{else}d%{endif}\""),
        ("a=\"$${ b }\"", "a = \"$${ b }\""),
        (
            "a=<<-E\n   x  =1\n ${ b }\n  %{ if c ~}\n   E\nbc=2\n",
            "a  = <<-E\n   x  =1\n ${b}\n  %{if c~}\n   E\nbc = 2\n",
        ),
        ("b {\na=<<E\n[ (\nE\n}\n", "b {\n  a = <<E\n[ (\nE\n}\n"),
        ("a = <<E\n ${f([\n 1 ])}\nE\nbcd=1\n", "a = <<E\n ${f([\n1])}\nE\nbcd = 1\n"),
    ]);
}

#[test]
fn lines_are_indented_by_the_brackets_before_them() {
    check(&[
        ("a {\nb {\n\tc = 1\n    }\n}\n", "a {\n  b {\n    c = 1\n  }\n}\n"),
        ("a = f([\n1,\n])\n", "a = f([\n  1,\n])\n"),
        ("a = f([{\nb = 1\n}, {\nc = 2\n}])\n", "a = f([{\n  b = 1\n  }, {\n  c = 2\n}])\n"),
        ("a = [{\nb = 1 }\n]\nc=1\n", "a = [{\n  b = 1 }\n]\nc = 1\n"),
        ("a {\n\n   \nb = 1\n\n}\n\n\n", "a {\n\n\n  b = 1\n\n}\n\n\n"),
        ("a {\n# b\n/* c\n d */\n}\n", "a {\n  # b\n  /* c\n d */\n}\n"),
        ("}\n}\na {\nb=1\n", "}\n}\na {\n  b = 1\n"),
    ]);
}

#[test]
fn values_and_comments_of_neighbours_stand_below_each_other() {
    check(&[
        ("a=1\nbcd=2\n\nefgh=3\n", "a   = 1\nbcd = 2\n\nefgh = 3\n"),
        ("a=1\n# x\nbcd=2\n", "a = 1\n# x\nbcd = 2\n"),
        ("a=1\nbcd={\nx=1\n}\ne=[1,\n2]\n", "a = 1\nbcd = {\n  x = 1\n}\ne = [1,\n2]\n"),
        ("a=1# x\nbcd=22 // y\nef=3 /* z */\n", "a   = 1  # x\nbcd = 22 // y\nef  = 3 /* z */\n"),
        ("a { # x\nb = 1 # y\n} # z\n", "a {     # x\n  b = 1 # y\n}       # z\n"),
        ("é=1\ne\u{301}=2\n日=3\nabc=4\n", "é   = 1\ne\u{301}   = 2\n日   = 3\nabc = 4\n"),
        ("a == 1\nb=c==d\n", "a == 1\nb = c == d\n"),
    ]);
}

#[test]
fn line_ends_and_the_end_of_the_file_stay() {
    check(&[
        ("", ""),
        ("a=1", "a = 1"),
        ("a=1 # x", "a = 1 # x"),
        ("a=1\r\nbc=2 # x\r\n", "a  = 1\r\nbc = 2 # x\r\n"),
        ("a=1  \n", "a = 1\n"),
        ("a=1\n \t", "a = 1\n  "),
        ("\u{feff}a=1\n", "a = 1\n"),
        ("\u{feff}", ""),
    ]);
}

#[test]
fn hostile_files_get_no_terabytes_of_blanks() {
    let nested = "[\n".repeat(100_000);
    assert!(format(&nested).len() <= nested.len() + MAX_BLANKS);
    let wide = format!("{}=1\n{}", "a".repeat(1 << 20), "a=1\n".repeat(1000));
    assert_eq!(format(&wide).len(), wide.len() + 2 * 1001, "not aligned, but spaced");
}
