//! The examples do what they say.
#![allow(clippy::unwrap_used)] // An example that fails is a failed test.

#[path = "../examples/await_copies.rs"]
mod await_copies;
#[path = "../examples/completion_routine.rs"]
mod completion_routine;
#[path = "../examples/copy_and_cancel.rs"]
mod copy_and_cancel;
#[path = "../examples/poll_8237.rs"]
mod poll_8237;
#[path = "../examples/thousand_tags.rs"]
mod thousand_tags;

use std::time::{Duration, Instant};

fn in_a_second(example: fn() -> Result<(), Box<dyn std::error::Error>>) {
    let begin = Instant::now();
    example().unwrap();
    // Each is meant to take less than one; more is for a machine that has other things to do.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

#[test]
fn copying_and_cancelling() {
    in_a_second(copy_and_cancel::main);
}

#[test]
fn awaiting() {
    in_a_second(await_copies::main);
}

#[test]
fn a_thousand_tags() {
    in_a_second(thousand_tags::main);
}

/// Proves: WDM-245.
#[test]
fn a_completion_routine() {
    in_a_second(completion_routine::main);
}

/// Proves: WDM-012.
#[test]
fn polling_the_8237() {
    in_a_second(poll_8237::main);
}
