//! What Windows' own verifier stops for, of devices: the dry dock knows who owns each byte.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::misuse::stops;
use bench::{expect_finding, go};
use longshore_core::machine::Machine as _;
use longshore_core::{Event, Owner, Passive, Rule};
use longshore_drydock::machine::{Machine, Memory};
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusRange, DmaMemory, Lease};
use longshore_wdm::verifier::{Code, Stop};

/// A device that goes astray, and the one finding that tells of it.
fn astray(code: Code, rule: &str, scenario: impl Fn(&Machine, &Passive) + Send + 'static) -> Run {
    let run = go(Plan::straight(), move |machine, passive| {
        scenario(machine, passive)
    });
    let rules = stops(&run)
        .into_iter()
        .map(|Stop { code, call, rule }| (code, call, rule.0));
    assert!(rules.eq([(code, "the device", rule)]));
    assert_eq!(run.findings.len(), 1);
    assert!(
        run.findings[0].what.ends_with(&format!("({code})")),
        "{:?}",
        run.findings
    );
    expect_finding(&run, rule);
    run
}

/// Bytes that were given to the device.
fn given(machine: &Machine, len: u64) -> Lease<Memory> {
    let lease = Lease::new(machine.memory(), len, 8).unwrap();
    hand_over(machine, lease.range(), Owner::Device);
    lease
}

fn hand_over(machine: &Machine, range: BusRange, owner: Owner) {
    machine.emit(Event::Handover(range, owner, Rule("WDM-024")));
}

/// Proves: WDM-330, PAIN-15.
#[test]
fn code_0x0f_the_device_wrote_outside_of_the_buffer() {
    let run = astray(Code::OVERRUN, "PAIN-15", |machine, _| {
        let buffer = given(machine, 24);
        machine.device_memory().write(buffer.address(), &[1; 25]).unwrap();
        hand_over(machine, buffer.range(), Owner::Cpu);
    });
    let told = run.trace.iter().map(|step| step.what.to_string());
    let stop =
        "Windows would stop: 0xE6/0x0F at the device: the device wrote outside of the buffer (PAIN-15)";
    assert_eq!({ told }.filter(|said| said == stop).count(), 1);
}

/// Proves: WDM-330, PAIN-08.
#[test]
fn code_0x26_the_device_reached_memory_that_was_not_given_to_it() {
    astray(Code::OUTSIDE_DOMAIN, "PAIN-08", |machine, _| {
        let buffer = given(machine, 24);
        hand_over(machine, buffer.range(), Owner::Cpu);
        machine.device_memory().write(buffer.address(), &[1; 24]).unwrap();
    });
    astray(Code::OUTSIDE_DOMAIN, "PAIN-15", |machine, _| {
        let lease = Lease::new(machine.memory(), 24, 8).unwrap();
        let mut bytes = [0; 24];
        machine.device_memory().read(lease.address(), &mut bytes).unwrap();
    });
}
