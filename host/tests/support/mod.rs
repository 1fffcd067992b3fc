//! What several tests need.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use longshore_core::Passive;
use longshore_core::machine::{Machine as _, Signal as _, Waited};
use longshore_host::{Config, Host, Machine, Signal};
use std::sync::Arc;
use std::time::Duration;

/// Far longer than anything here takes. Only a test that fails waits so long.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn host() -> Host {
    Host::new(Config::default()).expect("a small machine")
}

pub(crate) fn passive(machine: &Machine) -> Passive {
    Passive::now(machine).expect("called at PASSIVE")
}

pub(crate) fn signal(machine: &Machine) -> Arc<Signal> {
    Arc::new(machine.signal(&passive(machine), "test"))
}

/// Waits in a test's own thread.
pub(crate) fn expect(machine: &Machine, signal: &Signal) {
    assert_eq!(signal.wait_for(&passive(machine), LIMIT), Waited::Signalled);
}

/// Polls in a test's own thread.
pub(crate) fn until(machine: &Machine, is_so: impl Fn() -> bool) {
    let begin = machine.now();
    while !is_so() {
        assert!(
            u128::from(machine.now().0 - begin.0) < LIMIT.as_nanos(),
            "it never was"
        );
        machine.relax();
    }
}

/// Waits inside a callback, where waiting is not allowed: another thread is at PASSIVE and has the token it takes.
pub(crate) fn wait_in_callback(machine: &Machine, signal: &Signal, limit: Duration) -> Waited {
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| signal.wait_for(&passive(machine), limit));
        waiter.join().expect("waiting does not panic")
    })
}

/// Keeps a callback busy until the test lets it go.
pub(crate) fn hold_on(machine: &Machine, signal: &Signal) {
    assert_eq!(wait_in_callback(machine, signal, LIMIT), Waited::Signalled);
}

/// Keeps a callback busy long enough for a test that does not wait for it to signal that. True if it did wait.
pub(crate) fn is_waited_for(machine: &Machine, went_on: &Signal) -> bool {
    wait_in_callback(machine, went_on, Duration::from_millis(50)) == Waited::TimedOut
}
