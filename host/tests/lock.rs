//! Locks.

mod support;

use longshore_core::Irql;
use longshore_core::machine::{Lock as _, Machine as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use support::host;

#[test]
fn four_threads_never_meet() {
    const ROUNDS: u64 = 20_000;
    let host = host();
    let machine = host.machine();
    let lock = Arc::new(machine.lock("test", Irql::DISPATCH, (0u64, 0u64)));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..ROUNDS {
                    lock.with(|(first, second)| {
                        assert_eq!(first, second);
                        *first += 1;
                        std::hint::black_box(&mut *first);
                        *second += 1;
                    });
                }
            });
        }
    });
    assert_eq!(lock.with(|value| *value), (4 * ROUNDS, 4 * ROUNDS));
}

#[test]
fn the_section_runs_at_the_level_of_the_lock_and_never_below_its_caller() {
    let host = host();
    let machine = host.machine();
    let low = machine.lock("low", Irql::DISPATCH, ());
    let high = machine.lock("high", Irql::DEVICE, ());
    low.with(|()| assert_eq!(machine.level(), Irql::DISPATCH));
    high.with(|()| {
        assert_eq!(machine.level(), Irql::DEVICE);
        low.with(|()| assert_eq!(machine.level(), Irql::DEVICE));
    });
    assert_eq!(machine.level(), Irql::PASSIVE);
}

#[test]
fn a_section_that_panics_leaves_the_lock_usable() {
    let host = host();
    let machine = host.machine();
    let lock = machine.lock("test", Irql::DISPATCH, 1);
    let result = catch_unwind(AssertUnwindSafe(|| {
        lock.with(|value| {
            *value = 2;
            panic!("on purpose");
        })
    }));
    assert!(result.is_err());
    assert_eq!(machine.level(), Irql::PASSIVE);
    assert_eq!(lock.with(|value| *value), 2);
}
