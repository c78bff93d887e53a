//! Inputs that failed once.

use crate::target;

/// Target and input.
const INPUTS: &[(&str, &str)] = &[];

#[test]
fn inputs_that_failed_once_hold() {
    for (name, input) in INPUTS {
        target(name)(input.as_bytes());
    }
}
