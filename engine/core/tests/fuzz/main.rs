//! A short run of every fuzz target with the same inputs each time: seeds, and seeds that were changed. `make fuzz`
//! makes long runs that are guided by coverage.
//!
//! By hand, with more inputs and others: `FUZZ_SEED=7 FUZZ_ROUNDS=100000 cargo test -p fornax-core --test fuzz json`.
//! An input that fails is kept in the folder that the message names; `FUZZ_INPUT=FILE` runs that one alone.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

mod hard;
mod mutate;
mod regressions;
mod seeds;
mod targets;

use mutate::{Dice, mutate};

/// Changed inputs for each target.
const ROUNDS: usize = 250;
/// No input may take longer, in a build without optimisation on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// A run ends here, so that the slowest target does not decide how long the tests take.
const TOTAL: Duration = Duration::from_secs(8);

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn target(name: &str) -> fn(&[u8]) {
    targets::TARGETS.iter().find(|(n, _)| *n == name).unwrap_or_else(|| panic!("no target {name}")).1
}

/// Where the input lies while it runs: a stack that overflows ends the process, and nothing else would say on what.
fn kept(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}.input"))
}

#[track_caller]
fn run(name: &'static str) {
    let f = target(name);
    if let Ok(path) = std::env::var("FUZZ_INPUT") {
        return f(&std::fs::read(path).unwrap());
    }
    if !seeds::has_corpus() {
        eprintln!(
            "SKIPPED: fuzz {name}: ../shared/corpus is not beside this checkout, so no real templates are changed"
        );
    }
    let seeds = seeds::of(name);
    let rounds = number("FUZZ_ROUNDS", ROUNDS);
    let total = if rounds > ROUNDS { Duration::MAX } else { TOTAL };
    let mut dice = Dice::new(number("FUZZ_SEED", 1) as u64);
    let (send, inputs) = mpsc::channel::<Vec<u8>>();
    let (done, results) = mpsc::channel();
    // One thread works, this one watches the clock.
    std::thread::spawn(move || {
        for input in inputs {
            let _ = std::fs::write(kept(name), &input);
            let result = catch_unwind(AssertUnwindSafe(|| f(&input))).is_ok();
            if done.send(result).is_err() {
                return;
            }
        }
    });
    let start = Instant::now();
    for round in 0..seeds.len() + rounds {
        let input = match seeds.get(round) {
            Some(seed) => seed.clone(),
            None if start.elapsed() > total => break,
            None => mutate(&seeds[dice.below(seeds.len())], &seeds, &mut dice),
        };
        send.send(input).expect("the worker waits for inputs");
        match results.recv_timeout(LIMIT) {
            Ok(true) => {}
            Ok(false) => panic!("the input in {} fails", kept(name).display()),
            Err(_) => panic!("the input in {} takes longer than {LIMIT:?}", kept(name).display()),
        }
    }
    let _ = std::fs::remove_file(kept(name));
}

macro_rules! tests {
    ($($name:ident),*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*

        #[test]
        fn every_target_has_a_test() {
            let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

tests!(json, json_variables, fix, upgrade, hcl, hcl_json, hcl_variables, expression, format, interpolation);
