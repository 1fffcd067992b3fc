//! The reference controller keeps the system DMA contract, in every style of cancelling and without an interrupt.

use longshore_drydock::broken::stack::reference_rig;
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Check, check_controller};

fn reference(interrupts: bool, style: CancelStyle) -> Check {
    check_controller(move |bay| reference_rig(bay, interrupts, style))
        .seeds(200)
        .at_every_point()
}

#[test]
fn with_an_interrupt_the_completion_routine_tells_the_outcome_once() {
    reference(true, CancelStyle::Honest).assert();
}

#[test]
fn a_cancel_that_finds_a_latched_interrupt_leaves_the_outcome_to_it() {
    reference(true, CancelStyle::LatchedReportsCompletion).assert();
    reference(true, CancelStyle::LatchedReportsCancelled).assert();
    reference(true, CancelStyle::AlwaysTrue).assert();
}

#[test]
fn without_an_interrupt_polling_finds_the_end() {
    reference(false, CancelStyle::Honest).assert();
}
