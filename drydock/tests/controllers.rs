//! The reference controller keeps the system DMA contract, in every style of cancelling and without an interrupt.

use longshore_drydock::reference::{CancelStyle, Interrupts, Options};
use longshore_drydock::suites::controller::reference_rig;
use longshore_drydock::{Check, check_controller};

fn reference(options: Options) -> Check {
    check_controller(move |bay| reference_rig(bay, options))
        .seeds(200)
        .at_every_point()
}

#[test]
fn with_an_interrupt_the_completion_routine_tells_the_outcome_once() {
    reference(Options::new()).assert();
}

#[test]
fn a_cancel_that_finds_a_latched_interrupt_leaves_the_outcome_to_it() {
    reference(Options::new().style(CancelStyle::LatchedReportsCompletion)).assert();
    reference(Options::new().style(CancelStyle::LatchedReportsCancelled)).assert();
    reference(Options::new().style(CancelStyle::AlwaysTrue)).assert();
}

#[test]
fn without_an_interrupt_polling_finds_the_end() {
    reference(Options::new().interrupts(Interrupts::None)).assert();
}
