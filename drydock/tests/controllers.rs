//! The controllers of this project keep the system DMA contract, with every habit that was seen in the field.

use longshore_drydock::coverage::{Coverage, Table};
use longshore_drydock::reference::{CancelStyle, Counter, Interrupts, Options};
use longshore_drydock::suites::controller::{i8237_rig, pdma_rig, reference_rig};
use longshore_drydock::{Check, Effort, check_bus_master, check_controller};
use longshore_models::i8237::Quirks;
use longshore_models::pdma::Behaviour;

fn reference(options: Options) -> Check {
    check_controller(move |bay| reference_rig(bay, options))
        .seeds(200)
        .at_every_point()
}

/// Proves: WDM-133, WDM-210, WDM-211, WDM-213, R5, R6, RL-10, RL-11, RL-12, PAIN-11, A-19, A-31, A-32.
///
/// Each call in each state says what part 9 says; a loop tells of its periods and then once of its end, its count never
/// goes back within a lap, and what follows a cancelled transfer hears nothing of it.
#[test]
fn with_an_interrupt_the_completion_routine_tells_the_outcome_once() {
    reference(Options::new()).assert();
}

/// Proves: WDM-316, WDM-317, RL-20, RL-22.
#[test]
fn a_cancel_that_finds_a_latched_interrupt_leaves_the_outcome_to_it() {
    reference(Options::new().style(CancelStyle::LatchedReportsCompletion)).assert();
    reference(Options::new().style(CancelStyle::LatchedReportsCancelled)).assert();
    reference(Options::new().style(CancelStyle::Slow)).assert();
    reference(Options::new().style(CancelStyle::AlwaysTrue)).assert();
}

#[test]
fn without_an_interrupt_polling_finds_the_end() {
    reference(Options::new().interrupts(Interrupts::None)).assert();
}

/// Proves: RL-21.
///
/// Where the count is gone after a cancel, or there is none, all else holds.
#[test]
fn a_count_that_is_wiped_or_not_there_spoils_nothing() {
    for counter in [Counter::Wiped, Counter::Absent] {
        reference(Options {
            counter,
            ..Options::new()
        })
        .assert();
    }
}

/// Proves: RL-24, RL-27.
///
/// A line for each channel, request lines that are not the system's first, one register read for several interrupts,
/// and loops that are sent on in software.
#[test]
fn lines_of_its_own_and_loops_in_software() {
    reference(Options {
        interrupts: Interrupts::Channels,
        first_line: 40,
        one_read: true,
        software_loop: true,
        ..Options::new()
    })
    .assert();
}

/// Proves: RL-26.
#[test]
fn a_flush_that_does_nothing_leaves_nothing_behind() {
    use CancelStyle::{Honest, LatchedReportsCancelled, LatchedReportsCompletion};
    for style in [Honest, LatchedReportsCompletion, LatchedReportsCancelled] {
        reference(Options {
            empty_flush: true,
            style,
            ..Options::new()
        })
        .assert();
    }
}

#[test]
fn few_fragments_large_units_and_a_short_reach() {
    reference(Options {
        fragments: 2,
        minimum_unit: 4,
        address_width: 24,
        boundary: 0x1_0000,
        ..Options::new()
    })
    .assert();
    reference(Options {
        fragments: 1,
        ..Options::new()
    })
    .assert();
}

#[test]
fn fragments_that_stand_in_a_common_buffer() {
    reference(Options {
        common_buffer: true,
        ..Options::new()
    })
    .assert();
}

/// Proves: WDM-106, WDM-124, WDM-172, WDM-191, WDM-194, WDM-270, A-09, WDM-210.
///
/// Each call in each state of a bus master, with map registers and without: what it says, where it leads, how many
/// registers are out.
#[test]
fn bus_masters_are_told_what_part_9_says() {
    // What A-09 says is our own choice, and would be a warning alone.
    check_bus_master().strict().at_every_point().assert();
}

/// No call in no state is left out, nothing is counted that nobody showed, and nothing is seen that the table says cannot
/// be. A cancel that has been answered and has not ended anything yet is seen where the controller is slow to stop.
#[test]
fn every_pair_of_the_transfer_s_table_is_seen() {
    let mut pairs = check_bus_master().run().pairs;
    use CancelStyle::{Honest, LatchedReportsCompletion, Slow};
    for style in [Honest, LatchedReportsCompletion, Slow] {
        pairs.join(&reference(Options::new().style(style)).run().pairs);
    }
    let coverage = Coverage::of_pairs(Table::Transfer, &pairs);
    assert_eq!(coverage.missing, Vec::<String>::new());
    assert_eq!(coverage.unexpected, Vec::<String>::new());
    assert_eq!((coverage.seen, coverage.impossible), (308, 148));
}

/// The real ones: no interrupt and no errors, or no loops, no fragments and a window of memory for a device.
#[test]
fn the_i8237_and_the_pdma_keep_the_same_contract() {
    for channels in [[1, 2], [5, 7]] {
        let check = check_controller(move |bay| i8237_rig(bay, channels, Quirks::empty()));
        check.seeds(100).at_every_point().assert();
    }
    for behaviour in [Behaviour::Manual, Behaviour::Qemu] {
        let check = check_controller(move |bay| pdma_rig(bay, behaviour));
        check.seeds(100).at_every_point().assert();
    }
}

/// Proves: WDM-320, RL-23, RL-25, RL-26, PAIN-12.
///
/// Each habit that no stack can make up for is found, and named by its rule.
#[test]
fn what_no_stack_can_make_up_for_is_found() {
    let effort = Effort {
        seeds: 20,
        at_every_point: true,
    };
    let caught: Vec<_> = longshore_drydock::broken::gallery()
        .into_iter()
        .filter(|exhibit| exhibit.target.suite == "controller")
        .map(|exhibit| {
            let report = exhibit.target.check(effort, &mut |_| {});
            let mut found = report.violations.iter().chain(&report.warnings);
            (
                exhibit.target.name.clone(),
                found.any(|found| found.rule == exhibit.rule),
            )
        })
        .collect();
    assert_eq!(caught.len(), 14);
    assert!(caught.iter().all(|(_, caught)| *caught), "{caught:?}");
}
