//! A place on a controller's channel, which adapters and bus masters have while they live.

use crate::adapter::description::AdapterError;
use crate::system::SystemDma;
use longshore_core::machine::Machine;

/// With whom a place is shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// With all who do not mind either. They take turns.
    Anybody,
    /// With nobody.
    Nobody,
}

/// A place on a channel, given up when dropped.
pub(crate) struct Place<M: Machine> {
    system: SystemDma<M>,
    channel: u32,
}

impl<M: Machine> Place<M> {
    /// A place on a channel that serves this request line.
    pub(crate) fn take(
        system: &SystemDma<M>,
        channel: u32,
        request_line: u32,
        share: Share,
    ) -> Result<Self, AdapterError> {
        let core = &system.hardware().core;
        if channel >= core.attributes.channels {
            return Err(AdapterError::NoChannel);
        }
        // Outside of the lock, for the controller is asked at PASSIVE (WDM-105).
        let binds = core
            .controller
            .validate_request_line_binding(request_line, channel);
        if !core.attributes.request_lines.contains(request_line) || !binds {
            return Err(AdapterError::BadBinding);
        }
        let alone = share == Share::Nobody;
        system.with(|board| {
            let seats = board.channel(channel).ok_or(AdapterError::NoChannel)?;
            if seats.claimed || alone && seats.adapters > 0 {
                return Err(AdapterError::Conflict);
            }
            seats.adapters += 1;
            seats.claimed = alone;
            Ok(())
        })?;
        let system = system.clone();
        Ok(Self { system, channel })
    }

    /// The place of a bus master on the board of its own.
    pub(crate) fn of_master(system: &SystemDma<M>) -> Self {
        system.with(|board| board.channel(0).map(|seats| seats.adapters += 1));
        let system = system.clone();
        Self { system, channel: 0 }
    }

    pub(crate) fn system(&self) -> &SystemDma<M> {
        &self.system
    }

    pub(crate) fn channel(&self) -> u32 {
        self.channel
    }
}

impl<M: Machine> Drop for Place<M> {
    fn drop(&mut self) {
        self.system.with(|board| {
            if let Some(seats) = board.channel(self.channel) {
                seats.adapters -= 1;
                seats.claimed &= seats.adapters > 0;
            }
        });
    }
}
