//! Inputs that failed once.

use crate::target;

/// Target and input.
const INPUTS: &[(&str, &str)] = &[
    // Places of one byte in a character of two.
    ("json", "{\"a\": é\"b\": 1}"),
    ("fix", "{é{}}"),
    ("hcl_json", "[é\"b\"]"),
];

#[test]
fn inputs_that_failed_once_hold() {
    for (name, input) in INPUTS {
        target(name)(input.as_bytes());
    }
}
