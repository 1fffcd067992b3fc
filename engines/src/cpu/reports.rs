//! What a channel owes to NetDMA's interrupt routines.

use alloc::sync::Arc;
use longshore_core::machine::Cpu;
use longshore_hardware::BusAddress;
use longshore_netdma::ChannelInterface;

/// What one deferred call has to say.
pub(super) struct Due {
    pub(super) interface: Arc<dyn ChannelInterface>,
    /// The last completed descriptor, if some descriptor asked for an interrupt.
    pub(super) completed: Option<BusAddress>,
    /// Whether an error is to be reported.
    pub(super) error: bool,
}

/// What was raised and not yet told. Read by the interrupt handler, so its lock is above every device's level.
pub(super) struct Reports {
    interface: Option<Arc<dyn ChannelInterface>>,
    last: BusAddress,
    completed: bool,
    error: bool,
    raised: bool,
    inside: u32,
    deferred_on: Option<Cpu>,
}

impl Reports {
    pub(super) const fn new() -> Self {
        Self {
            interface: None,
            last: BusAddress::NULL,
            completed: false,
            error: false,
            raised: false,
            inside: 0,
            deferred_on: None,
        }
    }

    /// From now on reports go to `interface`.
    pub(super) fn open(&mut self, interface: Arc<dyn ChannelInterface>) {
        *self = Self {
            inside: self.inside,
            interface: Some(interface),
            ..Self::new()
        };
    }

    /// Nothing is reported any more. The interface is handed out so that it is dropped outside the lock.
    pub(super) fn close(&mut self) -> Option<Arc<dyn ChannelInterface>> {
        self.raised = false;
        self.completed = false;
        self.error = false;
        self.interface.take()
    }

    /// The worker is about to raise the line.
    pub(super) fn raise(&mut self, last: BusAddress, error: bool) {
        if !last.is_null() {
            self.last = last; // an error before the first descriptor is done leaves the old chain's last one
        }
        self.raised = true;
        self.error |= error;
        self.completed |= !error;
    }

    /// A new chain starts: an error that nobody was told of yet is not this chain's. What is left of it is a
    /// stale interrupt (RACE-3).
    pub(super) fn forget_error(&mut self) {
        // NULL would say "error" (NETDMA-102).
        self.completed |= self.error && !self.last.is_null();
        self.error = false;
    }

    /// The interrupt handler comes in. `None` if there is nothing to tell.
    pub(super) fn enter_handler(&mut self) -> Option<(Arc<dyn ChannelInterface>, BusAddress)> {
        if !core::mem::take(&mut self.raised) {
            return None;
        }
        let interface = self.interface.clone()?;
        self.inside += 1;
        Some((interface, self.last))
    }

    /// The deferred call comes in.
    pub(super) fn enter_deferred(&mut self, cpu: Cpu) -> Option<Due> {
        let completed = core::mem::take(&mut self.completed);
        let error = core::mem::take(&mut self.error);
        if !completed && !error {
            return None;
        }
        let interface = self.interface.clone()?;
        self.inside += 1;
        self.deferred_on = Some(cpu);
        Some(Due {
            interface,
            completed: completed.then_some(self.last),
            error,
        })
    }

    /// The interrupt handler, or the deferred call that ran on `deferred`, is done with the interface.
    pub(super) fn leave(&mut self, deferred: Option<Cpu>) {
        self.inside -= 1;
        if deferred.is_some() && self.deferred_on == deferred {
            self.deferred_on = None;
        }
    }

    /// Whether nobody uses the interface, apart from the deferred call that the caller itself runs in.
    pub(super) fn quiet(&self, caller: Option<Cpu>) -> bool {
        let own = caller.is_some() && caller == self.deferred_on;
        self.inside == u32::from(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::{Device, Dispatch};

    struct Deaf;

    impl ChannelInterface for Deaf {
        fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
            Cpu(0)
        }
        fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {}
    }

    /// Proves: RACE-8.
    #[test]
    fn an_interface_is_quiet_once_all_have_left() {
        let mut reports = Reports::new();
        reports.open(Arc::new(Deaf));
        reports.raise(BusAddress::new(0x40), false);
        assert!(reports.enter_handler().is_some());
        assert!(!reports.quiet(None));
        reports.leave(None);
        assert!(reports.enter_handler().is_none());
        let due = reports.enter_deferred(Cpu(1)).unwrap();
        assert_eq!((due.completed, due.error), (Some(BusAddress::new(0x40)), false));
        assert!(!reports.quiet(Some(Cpu(0))));
        assert!(reports.quiet(Some(Cpu(1))));
        reports.leave(Some(Cpu(1)));
        assert!(reports.quiet(None));
        assert!(reports.close().is_some());
        reports.raise(BusAddress::new(0x80), false);
        assert!(reports.enter_handler().is_none());
    }

    #[test]
    fn a_start_turns_an_untold_error_into_a_stale_interrupt() {
        let mut reports = Reports::new();
        reports.open(Arc::new(Deaf));
        reports.raise(BusAddress::NULL, true);
        reports.forget_error();
        assert!(reports.enter_deferred(Cpu(0)).is_none());
        reports.raise(BusAddress::new(0x40), true);
        reports.forget_error();
        let due = reports.enter_deferred(Cpu(0)).unwrap();
        assert_eq!((due.completed, due.error), (Some(BusAddress::new(0x40)), false));
    }
}
