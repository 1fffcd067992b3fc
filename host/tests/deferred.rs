//! Deferred calls.

mod support;

use longshore_core::machine::{Cpu, Deferred as _, Machine as _, Signal as _};
use longshore_core::{Device, Dispatch, Irql, Passive};
use longshore_host::{Config, Deferred, Host};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use support::{LIMIT, expect, hold_on, host, is_waited_for, passive, signal, until};

#[test]
fn a_call_runs_at_dispatch_on_the_cpu_it_names() {
    let host = Host::new(Config {
        cpus: 3,
        ..Config::default()
    })
    .unwrap();
    let machine = host.machine();
    let (seen, sees) = mpsc::channel();
    let deferred = machine.deferred(&passive(machine), "test", Cpu(2), {
        let machine = machine.clone();
        move |_| seen.send((machine.level(), machine.cpu())).unwrap()
    });
    assert!(deferred.queue());
    assert_eq!(sees.recv_timeout(LIMIT), Ok((Irql::DISPATCH, Cpu(2))));
    for (asked, used) in [(1, 1), (0, 0), (3, 0), (4, 1), (u32::MAX, u32::MAX % 3)] {
        assert!(deferred.queue_on(Cpu(asked)));
        assert_eq!(sees.recv_timeout(LIMIT), Ok((Irql::DISPATCH, Cpu(used))));
    }
    assert_eq!(machine.cpus(), 3);
    assert_eq!(machine.level(), Irql::PASSIVE);
}

#[test]
fn only_the_token_of_the_level_can_be_had() {
    let host = host();
    let machine = host.machine();
    let (seen, sees) = mpsc::channel();
    let deferred = machine.deferred(&passive(machine), "test", Cpu(0), {
        let machine = machine.clone();
        move |_| {
            let tokens = (
                Passive::probe(&machine).is_some(),
                Dispatch::now(&machine).is_some(),
                Device::now(&machine).is_some(),
            );
            seen.send(tokens).unwrap();
        }
    });
    deferred.queue();
    assert_eq!(sees.recv_timeout(LIMIT), Ok((false, true, false)));
    let mut token = passive(machine);
    machine.raise(&mut token, |_| assert!(Passive::probe(machine).is_none()));
    assert!(Passive::probe(machine).is_some());
}

#[test]
fn a_queued_call_is_queued_once_and_a_running_one_can_be_queued_again() {
    let host = host();
    let machine = host.machine();
    let (begun, go) = (signal(machine), signal(machine));
    let runs = Arc::new(AtomicU32::new(0));
    let deferred = machine.deferred(&passive(machine), "test", Cpu(1), {
        let (machine, begun, go, runs) = (machine.clone(), begun.clone(), go.clone(), runs.clone());
        move |_| {
            runs.fetch_add(1, Ordering::SeqCst);
            begun.set();
            hold_on(&machine, &go);
        }
    });
    assert!(deferred.queue());
    expect(machine, &begun);
    begun.clear();
    assert!(deferred.queue(), "it runs, so it is no longer queued");
    assert!(!deferred.queue());
    assert!(!deferred.queue_on(Cpu(0)));
    go.set();
    expect(machine, &begun);
    drop(deferred);
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[test]
fn one_call_may_run_on_two_cpus_at_once() {
    let host = host();
    let machine = host.machine();
    let both = Arc::new(std::sync::Barrier::new(2));
    let met = signal(machine);
    let deferred = machine.deferred(&passive(machine), "test", Cpu(0), {
        let (both, met) = (both.clone(), met.clone());
        move |_| {
            both.wait();
            met.set();
        }
    });
    assert!(deferred.queue_on(Cpu(0)));
    until(machine, || deferred.queue_on(Cpu(1)));
    expect(machine, &met);
}

#[test]
fn dropping_waits_for_a_run_and_forgets_what_is_queued() {
    let host = host();
    let machine = host.machine();
    let (begun, went_on) = (signal(machine), signal(machine));
    let waited_for = Arc::new(AtomicBool::new(false));
    let running = machine.deferred(&passive(machine), "running", Cpu(0), {
        let (machine, begun) = (machine.clone(), begun.clone());
        let (went_on, waited_for) = (went_on.clone(), waited_for.clone());
        move |_| {
            begun.set();
            waited_for.store(is_waited_for(&machine, &went_on), Ordering::SeqCst);
        }
    });
    let forgotten = Arc::new(AtomicBool::new(false));
    let queued = machine.deferred(&passive(machine), "queued", Cpu(0), {
        let forgotten = forgotten.clone();
        move |_| forgotten.store(true, Ordering::SeqCst)
    });
    running.queue();
    expect(machine, &begun);
    queued.queue();
    drop(queued);
    assert_eq!(
        Arc::strong_count(&forgotten),
        1,
        "what it captured is dropped with it"
    );
    drop(running);
    went_on.set();
    assert!(waited_for.load(Ordering::SeqCst), "dropped while it ran");
    assert!(!forgotten.load(Ordering::SeqCst));
}

#[test]
fn a_routine_can_drop_its_own_call() {
    let host = host();
    let machine = host.machine();
    let itself: Arc<Mutex<Option<Deferred>>> = Arc::default();
    let witness = Arc::new(());
    let dropped = signal(machine);
    let deferred = machine.deferred(&passive(machine), "test", Cpu(0), {
        let (itself, witness, dropped) = (itself.clone(), witness.clone(), dropped.clone());
        move |_| {
            let deferred = itself.lock().unwrap().take();
            drop(deferred);
            assert_eq!(Arc::strong_count(&witness), 2, "still captured while it runs");
            dropped.set();
        }
    });
    *itself.lock().unwrap() = Some(deferred);
    itself.lock().unwrap().as_ref().unwrap().queue();
    expect(machine, &dropped);
    let machine = machine.clone();
    host.shutdown();
    assert_eq!(Arc::strong_count(&witness), 1);
    assert_eq!(machine.panics(), 0);
}

#[test]
fn a_panic_is_recorded_and_the_dispatcher_goes_on() {
    let host = host();
    let machine = host.machine();
    let broken = machine.deferred(&passive(machine), "broken", Cpu(0), |_| panic!("on purpose"));
    let reached = signal(machine);
    let sound = machine.deferred(&passive(machine), "sound", Cpu(0), {
        let (machine, reached) = (machine.clone(), reached.clone());
        move |_| {
            assert_eq!(machine.level(), Irql::DISPATCH);
            reached.set();
        }
    });
    broken.queue();
    sound.queue();
    expect(machine, &reached);
    assert_eq!(machine.panics(), 1);
    let first = machine.first_panic().unwrap();
    assert_eq!((first.name, first.message.as_str()), ("broken", "on purpose"));
}
