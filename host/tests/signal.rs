//! Signals, and what switching off does to those who wait.

mod support;

use longshore_core::machine::{Cpu, Deferred as _, Machine as _, Signal as _, Timer as _, Waited};
use longshore_hardware::Interrupt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;
use support::{LIMIT, expect, host, passive, signal};

#[test]
fn a_signal_stays_until_it_is_cleared() {
    let host = host();
    let machine = host.machine();
    let signal = signal(machine);
    let token = passive(machine);
    assert_eq!(signal.wait_for(&token, Duration::ZERO), Waited::TimedOut);
    signal.set();
    assert_eq!(signal.wait_for(&token, Duration::ZERO), Waited::Signalled);
    assert_eq!(signal.wait(&token), Waited::Signalled);
    assert_eq!(signal.wait_for(&token, Duration::MAX), Waited::Signalled);
    signal.clear();
    assert_eq!(signal.wait_for(&token, Duration::ZERO), Waited::TimedOut);
}

#[test]
fn a_wait_takes_as_long_as_its_limit() {
    let host = host();
    let machine = host.machine();
    let limit = Duration::from_millis(20);
    let before = machine.now();
    assert_eq!(
        signal(machine).wait_for(&passive(machine), limit),
        Waited::TimedOut
    );
    assert!(machine.now().0 - before.0 >= limit.as_nanos() as u64);
}

#[test]
fn a_signal_wakes_all_who_wait() {
    let host = host();
    let machine = host.machine();
    let (signal, ready) = (signal(machine), Arc::new(Barrier::new(4)));
    let waiters = [(); 3].map(|()| {
        let (machine, signal, ready) = (machine.clone(), signal.clone(), ready.clone());
        std::thread::spawn(move || {
            ready.wait();
            signal.wait_for(&passive(&machine), LIMIT)
        })
    });
    ready.wait();
    signal.set();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Waited::Signalled);
    }
}

#[test]
fn switching_off_releases_who_waits() {
    let host = host();
    let machine = host.machine().clone();
    let (waited, ready) = (signal(&machine), Arc::new(Barrier::new(3)));
    // Signals that came and went before do not push out the one that is waited for.
    for _ in 0..100 {
        drop(signal(&machine));
    }
    let waiters = [None, Some(LIMIT)].map(|limit| {
        let (machine, waited, ready) = (machine.clone(), waited.clone(), ready.clone());
        std::thread::spawn(move || {
            ready.wait();
            match limit {
                None => waited.wait(&passive(&machine)),
                Some(limit) => waited.wait_for(&passive(&machine), limit),
            }
        })
    });
    ready.wait();
    host.shutdown();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Waited::Abandoned);
    }
    let born_late = signal(&machine);
    assert_eq!(born_late.wait(&passive(&machine)), Waited::Abandoned);
    born_late.set();
    assert_eq!(born_late.wait(&passive(&machine)), Waited::Signalled);
}

#[test]
fn a_machine_that_is_off_runs_nothing_and_its_objects_can_still_be_used() {
    let host = host();
    let machine = host.machine().clone();
    let ran = Arc::new(AtomicBool::new(false));
    let note = || {
        let ran = ran.clone();
        move || ran.store(true, Ordering::SeqCst)
    };
    let token = passive(&machine);
    let deferred = machine.deferred(&token, "test", Cpu(0), {
        let note = note();
        move |_| note()
    });
    let timer = machine.timer(&token, "test", {
        let note = note();
        move |_| note()
    });
    let line = machine.line(&token, "test", Cpu(0));
    let connection = machine.connect(&token, &line, {
        let note = note();
        move |_| {
            note();
            true
        }
    });
    timer.set(LIMIT);
    host.shutdown();
    assert!(!deferred.queue());
    assert!(!deferred.queue(), "nor did the first attempt leave a mark");
    timer.set(Duration::ZERO);
    line.raise();
    line.lower();
    drop((deferred, timer, connection, line));
    assert!(!ran.load(Ordering::SeqCst));
    assert_eq!(Arc::strong_count(&ran), 1);
}

#[test]
fn a_callback_can_switch_its_machine_off() {
    let host = host();
    let machine = host.machine().clone();
    let elsewhere = support::host();
    let over = signal(elsewhere.machine());
    let place = Arc::new(std::sync::Mutex::new(Some(host)));
    let deferred = machine.deferred(&passive(&machine), "test", Cpu(0), {
        let over = over.clone();
        move |_| {
            drop(place.lock().unwrap().take());
            over.set();
        }
    });
    deferred.queue();
    expect(elsewhere.machine(), &over);
    assert_eq!(
        signal(&machine).wait(&passive(&machine)),
        Waited::Abandoned,
        "the machine is off"
    );
}
