//! What a thread knows about itself as a CPU: its level and its number.

use longshore_core::Irql;
use longshore_core::machine::Cpu;
use std::cell::Cell;
use std::marker::PhantomData;
use std::thread;

/// So many steps of a poll spin before one gives the rest of the time slice away. A short wait then costs no
/// system call, and a long one does not starve whoever is waited for on a machine with few cores.
const STEPS_PER_YIELD: u32 = 64;

thread_local! {
    static LEVEL: Cell<Irql> = const { Cell::new(Irql::PASSIVE) };
    static CPU: Cell<Cpu> = const { Cell::new(Cpu(0)) };
    static STEPS: Cell<u32> = const { Cell::new(0) };
}

/// The level of this thread.
pub(crate) fn level() -> Irql {
    LEVEL.get()
}

/// The number of the CPU that this thread is, or 0 for a thread that is none of the machine's own.
pub(crate) fn cpu() -> Cpu {
    CPU.get()
}

/// Makes this thread a part of `cpu` that always runs at `level`.
pub(crate) fn become_cpu(cpu: Cpu, level: Irql) {
    CPU.set(cpu);
    LEVEL.set(level);
}

/// Sets the level of this thread, and returns the one before.
pub(crate) fn set_level(level: Irql) -> Irql {
    LEVEL.replace(level)
}

/// One step of a poll.
pub(crate) fn relax() {
    let steps = STEPS.get().wrapping_add(1);
    STEPS.set(steps);
    if steps.is_multiple_of(STEPS_PER_YIELD) {
        thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}

/// While this lives the thread runs at a raised level. Also a panic puts the old level back.
#[must_use]
pub(crate) struct Raised {
    before: Irql,
    // The level belongs to the thread that raised it.
    here: PhantomData<*const ()>,
}

/// Raises the level to `level`; never lowers it.
pub(crate) fn raise_to(level: Irql) -> Raised {
    let before = LEVEL.get();
    LEVEL.set(before.max(level));
    Raised {
        before,
        here: PhantomData,
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        LEVEL.set(self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raising_never_lowers_and_is_undone_in_order() {
        let outer = raise_to(Irql::DEVICE);
        let inner = raise_to(Irql::DISPATCH);
        assert_eq!(level(), Irql::DEVICE);
        drop(inner);
        assert_eq!(level(), Irql::DEVICE);
        drop(outer);
        assert_eq!(level(), Irql::PASSIVE);
    }

    #[test]
    fn a_panic_puts_the_level_back() {
        let result = std::panic::catch_unwind(|| {
            let _raised = raise_to(Irql::DISPATCH);
            panic!("on purpose");
        });
        assert!(result.is_err());
        assert_eq!(level(), Irql::PASSIVE);
    }
}
