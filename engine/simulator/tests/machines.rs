//! Machines are driven over their SSH stream by a client that shares nothing with them.
//!
//! The jail needs a Debian root file system, which is built once into the user's cache (a minute, with a package
//! mirror); where that or a jail is not possible its tests say that they were skipped, and why.
//!
//! This target has a main function of its own: the jail starts its processes by running the current executable again,
//! so the first thing main does is to see whether it is such a run. Arguments that are no flags select tests by a part
//! of their name.

// Clippy knows tests by their harness, and this target has its own.
#![allow(clippy::unwrap_used)]

#[path = "machines/client.rs"]
mod client;
#[path = "machines/conformance.rs"]
mod conformance;
#[path = "machines/jail.rs"]
mod jail;
#[path = "machines/record.rs"]
mod record;

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use futures::FutureExt;

/// A test that hangs is a failure, not a hang.
const DEADLINE: Duration = Duration::from_secs(600);

pub enum Outcome {
    Passed,
    Skipped(String),
}

type Test = (&'static str, fn() -> Pin<Box<dyn Future<Output = Outcome>>>);

/// Names async functions as tests.
#[macro_export]
macro_rules! tests {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((concat!(stringify!($module), "::", stringify!($name)), || Box::pin(async {
            $crate::IntoOutcome::outcome($module::$name().await)
        }))),*]
    };
}

/// A test returns nothing, or why it could not run.
pub trait IntoOutcome {
    fn outcome(self) -> Outcome;
}

impl IntoOutcome for () {
    fn outcome(self) -> Outcome {
        Outcome::Passed
    }
}

impl IntoOutcome for Result<(), String> {
    fn outcome(self) -> Outcome {
        self.map_or_else(Outcome::Skipped, |()| Outcome::Passed)
    }
}

const TESTS: &[Test] = tests![
    conformance::record_runs_commands,
    conformance::record_takes_files,
    conformance::record_keeps_its_disk,
    conformance::record_refuses_strangers,
    conformance::jail_runs_commands,
    conformance::jail_takes_files,
    conformance::jail_keeps_its_disk,
    conformance::jail_refuses_strangers,
    jail::users_and_packages_are_real,
    jail::the_agent_deprovisions,
    jail::a_reboot_from_inside_comes_back,
    jail::services_are_left_alone,
    jail::an_isolated_machine_has_no_way_out,
    jail::deleting_leaves_nothing,
    jail::nothing_survives_the_death_of_the_process,
    jail::a_tarball_can_be_the_base,
    jail::a_base_that_cannot_boot_says_why,
    record::commands_are_recorded_with_their_input,
    record::rules_decide_how_commands_end,
    record::a_directory_arrives_as_a_tar_stream,
    record::openssh_copies_with_both_protocols,
    record::a_booting_machine_refuses_connections,
    record::nothing_grows_without_bound,
];

fn main() -> ExitCode {
    if let Some(code) = fornax_simulator::machine::jail::child_main_if_requested() {
        return code;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    if std::env::args().any(|word| word == "--list") {
        TESTS.iter().for_each(|(name, _)| println!("{name}: test"));
        return ExitCode::SUCCESS;
    }
    if let Some(code) = jail::victim_if_requested() {
        return code;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let (mut failed, mut skipped, mut passed) = (Vec::new(), 0, 0);
    for (name, test) in TESTS {
        if !wanted.is_empty() && !wanted.iter().any(|part| name.contains(part.as_str())) {
            continue;
        }
        let begun = Instant::now();
        let run = AssertUnwindSafe(async { tokio::time::timeout(DEADLINE, test()).await }).catch_unwind();
        match runtime.block_on(run) {
            Ok(Ok(Outcome::Passed)) => {
                passed += 1;
                println!("test {name} ... ok ({:.2?})", begun.elapsed());
            }
            Ok(Ok(Outcome::Skipped(reason))) => {
                skipped += 1;
                eprintln!("SKIPPED: {name}: {reason}");
            }
            Ok(Err(_)) => {
                println!("test {name} ... FAILED (not done after {DEADLINE:?})");
                failed.push(*name);
            }
            Err(_) => {
                println!("test {name} ... FAILED ({:.2?})", begun.elapsed());
                failed.push(*name);
            }
        }
    }
    println!("test result: {passed} passed; {} failed; {skipped} skipped {failed:?}", failed.len());
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
