//! The examples do what they say.
#![allow(clippy::unwrap_used)] // An example that fails is a failed test.

#[path = "../examples/await_copies.rs"]
mod await_copies;
#[path = "../examples/completion_routine.rs"]
mod completion_routine;
#[path = "../examples/copy_and_cancel.rs"]
mod copy_and_cancel;
#[path = "../examples/miniport.rs"]
mod miniport;
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

#[test]
fn a_miniport() {
    in_a_second(miniport::main);
}

/// Each line of the miniport's, with the figures that follow from the lengths of the frames.
///
/// Proves: NDIS-046, NDIS-051, RL-09.
#[test]
fn a_miniport_tells_what_each_frame_left() {
    assert_eq!(
        miniport::run().unwrap(),
        [
            "frame 1 at 0: 600 bytes, NDIS_STATUS_RESOURCES, residual 936",
            "frame 2 at 600: 1536 bytes, NDIS_STATUS_SUCCESS, residual 0",
            "frame 3 at 2136: 1000 bytes, NDIS_STATUS_RESOURCES, residual 536",
            "frame 4 at 0: 64 bytes, NDIS_STATUS_RESOURCES, residual 1472",
            "3200 bytes received",
            "64 bytes sent, NDIS_STATUS_SUCCESS",
        ]
    );
}
