//! What NetDMA is to be told.

use longshore_hardware::BusAddress;
use longshore_netdma::ChannelInterface;
use std::sync::Arc;

#[derive(Default)]
pub(super) struct Reports {
    pub(super) interface: Option<Arc<dyn ChannelInterface>>,
    pub(super) last: BusAddress,
    /// The line was raised, and its handler has not come yet.
    pub(super) raised: bool,
    completed: bool,
    error: bool,
}

impl Reports {
    /// The line is about to be raised: for `last`, or for an error.
    pub(super) fn add(&mut self, last: BusAddress, error: bool) {
        self.last = last;
        self.raised = true;
        self.error |= error;
        self.completed |= !error;
    }

    /// What the deferred call has to tell: a descriptor, an error, or both.
    pub(super) fn take(&mut self) -> impl Iterator<Item = BusAddress> + use<> {
        let completed = std::mem::take(&mut self.completed).then_some(self.last);
        let error = std::mem::take(&mut self.error).then_some(BusAddress::NULL);
        completed.into_iter().chain(error)
    }
}
