//! A bus master that takes the bus through a channel of a controller's.

use crate::adapter::description::AdapterError;
use crate::adapter::place::{Place, Share};
use crate::system::SystemDma;
use crate::transfer::mapping::called;
use core::fmt;
use longshore_core::Passive;
use longshore_core::machine::Machine;

/// A channel that a bus master has for its requests, and for nothing else. Dropped, the bus master is heard no more,
/// and the channel is anybody's.
pub struct Cascade<M: Machine>(Place<M>);

impl<M: Machine> fmt::Debug for Cascade<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cascade({})", self.0.channel())
    }
}

impl<M: Machine> SystemDma<M> {
    /// Gives a channel to a bus master that asks on this request line. Nobody else may have the channel.
    pub fn cascade(&self, _: &Passive, channel: u32, request_line: u32) -> Result<Cascade<M>, AdapterError> {
        called(self.machine(), "IoGetDmaAdapter", || {
            let place = Place::take(self, channel, request_line, Share::Nobody)?;
            let controller = &self.hardware().core.controller;
            self.with(|_| controller.cascade(channel, true))
                .map_err(|_| AdapterError::NoCascade)?;
            Ok(Cascade(place))
        })
    }
}

impl<M: Machine> Drop for Cascade<M> {
    fn drop(&mut self) {
        let system = self.0.system();
        // A controller that is gone hears nobody.
        let _ = system.with(|_| system.hardware().core.controller.cascade(self.0.channel(), false));
    }
}
