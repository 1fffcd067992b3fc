//! Interrupt lines and handlers.

mod support;

use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::{Device, Dispatch, Irql};
use longshore_hardware::Interrupt as _;
use longshore_host::{Connection, Line};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use support::{LIMIT, expect, host, is_waited_for, passive, signal, until};

#[test]
fn a_handler_runs_at_device_level_on_the_cpu_of_the_line() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "test", Cpu(1));
    let (seen, sees) = mpsc::channel();
    let _connection = machine.connect(&passive(machine), &line, {
        let (machine, line) = (machine.clone(), line.clone());
        move |_| {
            line.lower();
            let tokens = (Device::now(&machine).is_some(), Dispatch::now(&machine).is_some());
            seen.send((machine.level(), machine.cpu(), tokens)).unwrap();
            true
        }
    });
    for _ in 0..3 {
        line.raise();
        assert_eq!(
            sees.recv_timeout(LIMIT),
            Ok((Irql::DEVICE, Cpu(1), (true, false)))
        );
    }
}

#[test]
fn a_handler_runs_again_while_the_line_is_asserted_and_not_after() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "test", Cpu(0));
    let runs = Arc::new(AtomicU32::new(0));
    let quiet = signal(machine);
    // Asserted before anybody listens: a level is not lost.
    line.raise();
    let connection = machine.connect(&passive(machine), &line, {
        let (line, runs, quiet) = (line.clone(), runs.clone(), quiet.clone());
        move |_| {
            if runs.fetch_add(1, Ordering::SeqCst) == 4 {
                line.lower();
                quiet.set();
            }
            true
        }
    });
    expect(machine, &quiet);
    drop(connection);
    assert_eq!(runs.load(Ordering::SeqCst), 5);
}

#[test]
fn handlers_are_asked_in_turn_until_one_claims() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "test", Cpu(0));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let done = signal(machine);
    let connect = |number: u32, claims: bool| {
        let (asked, line, done) = (asked.clone(), line.clone(), done.clone());
        machine.connect(&passive(machine), &line.clone(), move |_| {
            asked.lock().unwrap().push(number);
            if claims {
                line.lower();
                done.set();
            }
            claims
        })
    };
    let connections = [connect(1, false), connect(2, true), connect(3, true)];
    line.raise();
    expect(machine, &done);
    drop(connections);
    assert_eq!(*asked.lock().unwrap(), [1, 2]);
}

#[test]
fn a_stuck_line_is_muted_until_it_is_lowered() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "stuck", Cpu(0));
    let runs = Arc::new(AtomicU32::new(0));
    let _connection = machine.connect(&passive(machine), &line, {
        let runs = runs.clone();
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            false
        }
    });
    // Another line of the same CPU is served all the while.
    let other = machine.line(&passive(machine), "other", Cpu(0));
    let served = signal(machine);
    let _other = machine.connect(&passive(machine), &other, {
        let (other, served) = (other.clone(), served.clone());
        move |_| {
            other.lower();
            served.set();
            true
        }
    });
    for storm in 1..=2 {
        line.raise();
        served.clear();
        other.raise();
        expect(machine, &served);
        until(machine, || {
            runs.load(Ordering::SeqCst) >= storm * Line::STORM_LIMIT
        });
        // Asserting what is asserted changes nothing. The other line's turn comes after any that this one had left.
        line.raise();
        served.clear();
        other.raise();
        expect(machine, &served);
        assert_eq!(runs.load(Ordering::SeqCst), storm * Line::STORM_LIMIT);
        assert_eq!(machine.storms(), u64::from(storm));
        line.lower();
    }
}

#[test]
fn disconnecting_waits_for_the_handler() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "test", Cpu(0));
    let (begun, went_on) = (signal(machine), signal(machine));
    let waited_for = Arc::new(AtomicBool::new(false));
    let connection = machine.connect(&passive(machine), &line, {
        let (machine, line, begun) = (machine.clone(), line.clone(), begun.clone());
        let (went_on, waited_for) = (went_on.clone(), waited_for.clone());
        move |_| {
            line.lower();
            begun.set();
            waited_for.store(is_waited_for(&machine, &went_on), Ordering::SeqCst);
            true
        }
    });
    line.raise();
    expect(machine, &begun);
    drop(connection);
    went_on.set();
    assert!(waited_for.load(Ordering::SeqCst), "disconnected while it ran");
}

#[test]
fn a_handler_can_disconnect_itself_and_a_panic_in_one_stops_nothing() {
    let host = host();
    let machine = host.machine();
    let line = machine.line(&passive(machine), "test", Cpu(0));
    let itself: Arc<Mutex<Option<Connection>>> = Arc::default();
    let gone = signal(machine);
    let mut place = itself.lock().unwrap();
    *place = Some(machine.connect(&passive(machine), &line, {
        let (itself, gone) = (itself.clone(), gone.clone());
        move |_| {
            *itself.lock().unwrap() = None;
            gone.set();
            panic!("on purpose");
        }
    }));
    drop(place);
    line.raise();
    expect(machine, &gone);
    gone.clear();
    let _next = machine.connect(&passive(machine), &line, {
        let (line, gone) = (line.clone(), gone.clone());
        move |_| {
            line.lower();
            gone.set();
            true
        }
    });
    expect(machine, &gone);
    assert_eq!(machine.panics(), 1);
}
