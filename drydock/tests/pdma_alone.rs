//! The PDMA's driver by itself.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;
mod mortal;
mod platform;

use bench::{go, shared};
use longshore_core::machine::Machine as _;
use longshore_drydock::{Config, Plan};
use longshore_engines::pdma::PdmaController;
use longshore_hardware::BusAddress;
use longshore_hardware::pdma::{Control, Register};
use longshore_models::pdma::Behaviour;
use longshore_wdm::{Controller, InterruptType, Program, ProgramError};
use mortal::{Broken, Mortal};
use platform::{control, hardware, poke, program};

/// An interrupt that was latched for a transfer which is no more.
///
/// Proves: WDM-316.
#[test]
fn what_is_left_latched_is_acknowledged_and_skipped() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Qemu);
        let controller = PdmaController::new(registers.clone());
        controller.initialize();
        for latched in [Control::DONE, Control::ERROR, Control::LATCHED] {
            let value = (Control::CLAIM | Control::INTERRUPTS | latched).bits();
            poke(&registers, 1, Register::Control, u64::from(value));
            assert_eq!(controller.interrupt(), None);
            assert_eq!(control(&registers, 1) & Control::LATCHED, Control::empty());
        }
    });
    bench::expect_clean(&run);
}

#[test]
fn what_the_engine_cannot_do_is_refused_and_nothing_starts() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Manual);
        let controller = PdmaController::new(registers.clone());
        controller.initialize();
        let memory = shared(machine, 64, 64);
        let (whole, part) = (memory.range(), memory.range().slice(0, 8).unwrap());
        let device = memory.address();
        let attempt = |program: &Program<'_>| controller.program(0, program);
        let segments = [whole];
        let looped = Program {
            looped: true,
            ..program(&segments, device)
        };
        assert_eq!(attempt(&looped), Err(ProgramError::Unsupported));
        assert_eq!(
            attempt(&program(&[part, part], device)),
            Err(ProgramError::TooManyFragments)
        );
        assert_eq!(
            attempt(&program(&[], device)),
            Err(ProgramError::TooManyFragments)
        );
        let wrapping = BusAddress::new(u64::MAX - 8);
        assert_eq!(
            attempt(&program(&[whole], wrapping)),
            Err(ProgramError::Unreachable)
        );
        assert_eq!(
            controller.program(4, &program(&[whole], device)),
            Err(ProgramError::NoChannel)
        );
        assert_eq!(control(&registers, 0), Control::empty());
        assert_eq!(attempt(&program(&[part], device)), Ok(()));
        assert_eq!(
            attempt(&program(&[part], device)),
            Err(ProgramError::NoChannel),
            "busy"
        );
        assert!(!controller.validate_request_line_binding(0, 4));
        assert!(!controller.validate_request_line_binding(4, 0));
        assert!(controller.validate_request_line_binding(3, 0));
        assert!(controller.cancel(0));
        assert!(!controller.cancel(0), "it is idle now");
        assert!(!controller.cancel(4));
    });
    bench::expect_clean(&run);
}

#[test]
fn a_channel_that_does_not_stop_is_not_waited_for_and_not_said_to_be_stopped() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Manual);
        let memory = shared(machine, 64, 64);
        let segments = [memory.range()];
        let never = PdmaController::new(Mortal::new(registers.clone(), 0, Broken::Runs));
        never.initialize();
        let program = program(&segments, memory.address());
        assert_eq!(never.program(0, &program), Err(ProgramError::NoChannel));
        // A start takes fewer accesses than these; afterwards it does not stop any more.
        let late = Mortal::new(registers, 12, Broken::Runs);
        let controller = PdmaController::new(late.clone());
        controller.program(2, &program).unwrap();
        late.break_now();
        assert!(!controller.cancel(2));
        assert!(!controller.is_quiet(2), "its memory must not come back");
        assert!(late.accesses() < 2_000);
    });
    bench::expect_clean(&run);
}

#[test]
fn an_error_is_reported_as_such_and_once() {
    let run = go(Plan::straight(), |machine, passive| {
        let (registers, _lines) = hardware(machine, passive, Behaviour::Manual);
        let controller = PdmaController::new(registers);
        controller.initialize();
        let memory = shared(machine, 16, 64);
        let beyond = BusAddress::new(Config::default().memory);
        controller
            .program(3, &program(&[memory.range()], beyond))
            .unwrap();
        for _ in 0..50 {
            machine.relax();
        }
        assert!(!controller.cancel(3), "its interrupt is asserted");
        assert_eq!(controller.interrupt(), Some((3, InterruptType::Error)));
        assert_eq!((controller.interrupt(), controller.remaining(3)), (None, 16));
        controller.flush(3);
        assert_eq!(controller.remaining(3), 0);
    });
    bench::expect_clean(&run);
}
