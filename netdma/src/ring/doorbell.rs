//! Giving operations to the engine.

use super::Ring;
use crate::operation::Refused;
use crate::port::Port;
use crate::provider::Unsuccessful;
use longshore_core::{AtMostDispatch, Event, Machine, NtStatus};
use longshore_hardware::BusAddress;

impl<M: Machine, P: Port, H> Ring<M, P, H> {
    /// Gives all that is queued to the engine, up to what the CPU has to do first. On failure it stays queued.
    #[doc(alias = "NetDmaFlushPendingDescriptors")]
    pub fn doorbell(&mut self, level: AtMostDispatch<'_>) -> Result<(), Refused> {
        if self.closed {
            return Err(Refused::Closed);
        }
        let before = (self.rung, self.rung_end);
        (self.rung, self.rung_end) = (self.slots.newest, self.head);
        if let Err(refused) = self.advance(level) {
            (self.rung, self.rung_end) = before;
            return Err(refused);
        }
        self.port.drive(level);
        Ok(())
    }

    /// Gives the engine whatever it may have by now.
    pub(super) fn advance(&mut self, level: AtMostDispatch<'_>) -> Result<(), Refused> {
        let end = self.open_end();
        if end == self.given {
            return Ok(());
        }
        self.hand_out(end, |ring, count| {
            if ring.running {
                ring.go_on(level, count)
            } else {
                ring.start(level, count)
            }
        })
    }

    /// The place up to which the engine may go: what the CPU does holds back what comes behind it.
    pub(super) fn open_end(&self) -> u64 {
        let slots = &self.slots;
        if slots.work > 0 {
            let held_back = (slots.oldest..self.rung).find(|&number| slots.get(number).work.is_some());
            if let Some(number) = held_back {
                return self.given.max(slots.get(number).first);
            }
        }
        self.given.max(self.rung_end)
    }

    /// Writes the chain up to `end`, hands it over, and lets `tell` tell the provider.
    fn hand_out(
        &mut self,
        end: u64,
        tell: impl FnOnce(&mut Self, u32) -> Result<(), Refused>,
    ) -> Result<(), Refused> {
        let first = self.given;
        self.memory.write_chain(first..end).map_err(Refused::Memory)?;
        self.memory.give(first..end);
        // No more than the ring has.
        match tell(self, (end - first) as u32) {
            Ok(()) => {
                self.given = end;
                self.running = true;
                Ok(())
            }
            Err(refused) => {
                self.memory.take_back(first..end);
                Err(refused)
            }
        }
    }

    /// First of all, and after every stop (NETDMA-076).
    fn start(&mut self, level: AtMostDispatch<'_>, count: u32) -> Result<(), Refused> {
        self.memory.clear_word().map_err(Refused::Memory)?;
        let first = self.next_address();
        self.call("ProviderStartDma", |port| {
            port.start(level, first, count)
                .map_err(|error| (error, error.status()))
        })
        .map_err(Refused::Start)
    }

    fn next_address(&self) -> BusAddress {
        self.memory.layout.descriptor(self.given).start()
    }

    fn go_on(&mut self, level: AtMostDispatch<'_>, count: u32) -> Result<(), Refused> {
        let first = self.next_address();
        if !self.memory.counted {
            // The link first, then the call (NETDMA-075).
            self.memory
                .link(self.given.wrapping_sub(1), first)
                .map_err(Refused::Memory)?;
        }
        let appended = self.call("ProviderAppendDma", |port| {
            port.append(level, first, count)
                .map_err(|error| (Unsuccessful, error.status()))
        });
        match appended {
            Ok(()) => Ok(()),
            Err(refused) => self.recover(level, count, refused),
        }
    }

    /// The engine did not take the chain's continuation.
    fn recover(
        &mut self,
        level: AtMostDispatch<'_>,
        count: u32,
        refused: Unsuccessful,
    ) -> Result<(), Refused> {
        self.look_at_word();
        match (self.running, self.memory.counted) {
            // It had stopped with an error that is settled now. It is quiet, so these can begin a chain.
            (false, _) => self.start(level, count),
            // A link cannot be called back: the engine may be on its way there. The chain stands.
            (true, false) => Ok(()),
            (true, true) => Err(Refused::Append(refused)),
        }
    }

    /// Calls the provider, and says so.
    pub(super) fn call<T, E>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&mut P) -> Result<T, (E, NtStatus)>,
    ) -> Result<T, E> {
        self.machine.emit(Event::Call(name));
        let result = call(&mut self.port);
        let status = match &result {
            Ok(_) => NtStatus::SUCCESS,
            Err((_, status)) => *status,
        };
        self.machine.emit(Event::Return(name, status));
        result.map_err(|(error, _)| error)
    }

    /// The same for the calls that have no more to say than that they failed.
    pub(super) fn ask<T>(
        &mut self,
        name: &'static str,
        call: impl FnOnce(&mut P) -> Result<T, Unsuccessful>,
    ) -> Result<T, Unsuccessful> {
        self.call(name, |port| call(port).map_err(|error| (error, error.status())))
    }
}
