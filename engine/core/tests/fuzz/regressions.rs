//! Inputs that failed once.

use crate::target;

/// Target and input.
const INPUTS: &[(&str, &str)] = &[
    // Places of one byte in a character of two.
    ("json", "{\"a\": é\"b\": 1}"),
    ("fix", "{é{}}"),
    ("hcl_json", "[é\"b\"]"),
    // A number that lost its last digit each time it was printed.
    ("fix", "{\"builders\": [{\"type\": \"null\", \"bits\": 13333333333333333e37}]}"),
    // A fact of the build whose name is none in HCL2.
    (
        "upgrade",
        "{\"builders\": [{\"type\": \"null\"}], \"provisioners\": [{\"type\": \"shell\", \"inline\": [\"{{ build `A+B` }}\"]}]}",
    ),
    // A type that can't be a label, and a name that is as wide as fmt says.
    ("upgrade", "{\"builders\": [{\"type\": \"fi$${le\"}]}"),
    (
        "upgrade",
        "{\"builders\": [{\"type\": \"null\", \"m\": {\"a\": \"1\", \"e\u{301}\": \"2\", \"ccc\": \"3\"}}]}",
    ),
    ("upgrade", "{\"builders\": [{\"type\": \"null\", \"a\": \"{{user\u{7f}é\"}]}"),
    ("upgrade", "{\"builders\": [{\"type\": \"null\", \"a\": \"{{é\"}]}"),
    ("upgrade", "{\"builders\": [{\"type\": \"null\"}], \"variables\": {\"a\": [\"é\", \"{{user `é\"]}}"),
    // A mistake a million times.
    ("hcl", "locals {\n  t = range(1000)\n  m = [for x in local.t : [for y in local.t : [xy]]]\n}\n"),
];

#[test]
fn inputs_that_failed_once_hold() {
    for (name, input) in INPUTS {
        target(name)(input.as_bytes());
    }
}
