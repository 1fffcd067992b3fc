//! Timers.

mod support;

use longshore_core::Irql;
use longshore_core::machine::{Cpu, Deferred as _, Machine as _, Signal as _, Timer as _};
use longshore_host::{Config, Host, Timer};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use support::{LIMIT, expect, hold_on, host, is_waited_for, passive, signal};

const SOON: Duration = Duration::from_millis(5);

#[test]
fn a_timer_runs_at_dispatch_once_the_delay_is_over() {
    let host = host();
    let machine = host.machine();
    let (seen, sees) = mpsc::channel();
    let timer = machine.timer(&passive(machine), "test", {
        let machine = machine.clone();
        move |_| seen.send((machine.level(), machine.now())).unwrap()
    });
    for _ in 0..3 {
        let before = machine.now();
        timer.set(SOON);
        let (level, after) = sees.recv_timeout(LIMIT).unwrap();
        assert_eq!(level, Irql::DISPATCH);
        assert!(after.0 - before.0 >= SOON.as_nanos() as u64);
        assert!(!timer.cancel(), "it has run");
    }
}

#[test]
fn a_cancelled_timer_does_not_run() {
    let host = host();
    let machine = host.machine();
    let runs = Arc::new(AtomicU32::new(0));
    let cancelled = machine.timer(&passive(machine), "cancelled", {
        let runs = runs.clone();
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert!(!cancelled.cancel(), "not armed yet");
    cancelled.set(SOON);
    let was_armed = cancelled.cancel();
    assert!(!cancelled.cancel());
    let later = signal(machine);
    let timer = machine.timer(&passive(machine), "later", {
        let later = later.clone();
        move |_| later.set()
    });
    timer.set(SOON * 4);
    expect(machine, &later);
    assert_eq!(runs.load(Ordering::SeqCst), u32::from(!was_armed));
}

#[test]
fn a_timer_that_is_due_can_be_cancelled_until_its_routine_begins() {
    let host = Host::new(Config {
        cpus: 1,
        ..Config::default()
    })
    .unwrap();
    let machine = host.machine();
    let (begun, go) = (signal(machine), signal(machine));
    let blocker = machine.deferred(&passive(machine), "blocker", Cpu(0), {
        let (machine, begun, go) = (machine.clone(), begun.clone(), go.clone());
        move |_| {
            begun.set();
            hold_on(&machine, &go);
        }
    });
    let ran = Arc::new(AtomicBool::new(false));
    let timer = machine.timer(&passive(machine), "test", {
        let ran = ran.clone();
        move |_| ran.store(true, Ordering::SeqCst)
    });
    blocker.queue();
    expect(machine, &begun);
    timer.set(Duration::ZERO);
    // Whether the clock has queued it by now or not, the only dispatcher is busy: it cannot have begun.
    assert!(timer.cancel());
    go.set();
    let behind = signal(machine);
    let after = machine.deferred(&passive(machine), "after", Cpu(0), {
        let behind = behind.clone();
        move |_| behind.set()
    });
    after.queue();
    expect(machine, &behind);
    assert!(!ran.load(Ordering::SeqCst));
}

#[test]
fn arming_anew_replaces_the_delay() {
    let host = host();
    let machine = host.machine();
    let rung = signal(machine);
    let runs = Arc::new(AtomicU32::new(0));
    let timer = machine.timer(&passive(machine), "test", {
        let (rung, runs) = (rung.clone(), runs.clone());
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            rung.set();
        }
    });
    timer.set(Duration::MAX);
    timer.set(LIMIT * 60);
    timer.set(SOON);
    expect(machine, &rung);
    drop(timer);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[test]
fn dropping_waits_for_the_routine() {
    let host = host();
    let machine = host.machine();
    let (begun, went_on) = (signal(machine), signal(machine));
    let waited_for = Arc::new(AtomicBool::new(false));
    let timer = machine.timer(&passive(machine), "test", {
        let (machine, begun) = (machine.clone(), begun.clone());
        let (went_on, waited_for) = (went_on.clone(), waited_for.clone());
        move |_| {
            begun.set();
            waited_for.store(is_waited_for(&machine, &went_on), Ordering::SeqCst);
        }
    });
    timer.set(Duration::ZERO);
    expect(machine, &begun);
    drop(timer);
    went_on.set();
    assert!(waited_for.load(Ordering::SeqCst), "dropped while it ran");
}

#[test]
fn a_routine_can_arm_and_drop_its_own_timer() {
    let host = host();
    let machine = host.machine();
    let itself: Arc<Mutex<Option<Timer>>> = Arc::default();
    let runs = Arc::new(AtomicU32::new(0));
    let dropped = signal(machine);
    let timer = machine.timer(&passive(machine), "test", {
        let (itself, runs, dropped) = (itself.clone(), runs.clone(), dropped.clone());
        move |_| {
            let mut itself = itself.lock().unwrap();
            if runs.fetch_add(1, Ordering::SeqCst) < 2 {
                itself.as_ref().unwrap().set(Duration::ZERO);
            } else {
                *itself = None;
                dropped.set();
            }
        }
    });
    *itself.lock().unwrap() = Some(timer);
    itself.lock().unwrap().as_ref().unwrap().set(Duration::ZERO);
    expect(machine, &dropped);
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}
