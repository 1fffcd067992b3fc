//! A device's way to one channel of a system DMA controller.

use crate::board::Record;
use crate::mapping::{Refused, called};
use crate::state::{Answer, Input, Refusal, State};
use crate::system::SystemDma;
use crate::transfer::TransferContext;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::{AtMostDispatch, Event, NtStatus, Passive};
use longshore_hardware::BusAddress;

/// How wide a device's data port is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[doc(alias = "DMA_WIDTH")]
pub struct DmaWidth(pub u32);

impl DmaWidth {
    /// 8 bits.
    #[doc(alias = "Width8Bits")]
    pub const BITS_8: Self = Self(0);
    /// 16 bits.
    #[doc(alias = "Width16Bits")]
    pub const BITS_16: Self = Self(1);
    /// 32 bits.
    #[doc(alias = "Width32Bits")]
    pub const BITS_32: Self = Self(2);
    /// 64 bits.
    #[doc(alias = "Width64Bits")]
    pub const BITS_64: Self = Self(3);
}

/// What a device says about its transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "DEVICE_DESCRIPTION")]
pub struct DeviceDescription {
    /// The controller's channel.
    pub channel: u32,
    /// The line on which the device asks for data.
    pub request_line: u32,
    /// Where the device's data port is.
    pub device_address: BusAddress,
    /// The most bytes of one transfer.
    pub maximum_length: u32,
    /// Transfers start over at their end, until cancelled.
    pub auto_initialize: bool,
    /// The device transfers on demand. A hint for the controller.
    pub demand_mode: bool,
    /// How wide the data port is. A hint for the controller.
    pub width: DmaWidth,
}

/// Why there is no adapter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdapterError {
    /// The controller has no such channel.
    NoChannel,
    /// The channel cannot serve the request line.
    BadBinding,
    /// No transfer could ever have a byte.
    NoLength,
    /// Somebody else claimed the channel.
    Conflict,
}

impl AdapterError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Conflict => NtStatus::INSUFFICIENT_RESOURCES,
            _ => NtStatus::INVALID_PARAMETER,
        }
    }
}

impl Refused for AdapterError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        None
    }
}

impl fmt::Display for AdapterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoChannel => "the controller has no such channel",
            Self::BadBinding => "the channel cannot serve the request line",
            Self::NoLength => "the maximum length is zero",
            Self::Conflict => "somebody else claimed the channel",
        })
    }
}

impl core::error::Error for AdapterError {}

/// What all handles of one adapter share.
pub(crate) struct AdapterRecord<M: Machine> {
    pub(crate) system: SystemDma<M>,
    pub(crate) number: u32,
    pub(crate) description: DeviceDescription,
    /// What the last transfer left undone, taken before its flush.
    pub(crate) last_residue: AtomicU32,
    /// Callbacks whose transfers have ended and which have not returned.
    pub(crate) owed: AtomicU32,
    /// Common buffers that are not freed.
    pub(crate) common_buffers: AtomicU32,
}

impl<M: Machine> Drop for AdapterRecord<M> {
    fn drop(&mut self) {
        let number = self.description.channel;
        self.system.with(|board| {
            if let Some(channel) = board.channel(number) {
                channel.adapters -= 1;
                channel.claimed &= channel.adapters > 0;
            }
        });
    }
}

/// A handle to an adapter. Handles of one adapter are interchangeable; the adapter lives as long as one of them, or
/// a callback it owes.
#[doc(alias = "DMA_ADAPTER")]
pub struct Adapter<M: Machine>(Arc<AdapterRecord<M>>);

impl<M: Machine> Clone for Adapter<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> fmt::Debug for Adapter<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Adapter({} for channel {})",
            self.0.number, self.0.description.channel
        )
    }
}

/// An adapter that was not put back, and why.
#[derive(Debug)]
pub struct PutRefused<M: Machine> {
    /// Why.
    pub why: Refusal,
    /// The adapter.
    pub adapter: Adapter<M>,
}

impl<M: Machine> Refused for PutRefused<M> {
    fn status(&self) -> NtStatus {
        self.why.status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        self.why.broken_rule()
    }
}

impl<M: Machine> Adapter<M> {
    pub(crate) fn get(
        _: &Passive,
        system: &SystemDma<M>,
        description: DeviceDescription,
        claim: bool,
    ) -> Result<Self, AdapterError> {
        called(system.machine(), "IoGetDmaAdapter", || {
            take_place(system, description, claim)?;
            Ok(Self(Arc::new(AdapterRecord {
                system: system.clone(),
                number: system.machine().number(),
                description,
                last_residue: AtomicU32::new(0),
                owed: AtomicU32::new(0),
                common_buffers: AtomicU32::new(0),
            })))
        })
    }

    pub(crate) fn record(&self) -> &AdapterRecord<M> {
        &self.0
    }

    pub(crate) fn machine(&self) -> &M {
        self.0.system.machine()
    }

    pub(crate) fn channel_number(&self) -> u32 {
        self.0.description.channel
    }

    /// What the device said about its transfers.
    pub fn description(&self) -> DeviceDescription {
        self.0.description
    }

    /// The controller behind the adapter.
    pub fn system(&self) -> &SystemDma<M> {
        &self.0.system
    }

    /// The state of a context as this adapter knows it. One that was initialised for another adapter is blank here.
    pub(crate) fn stored_state(&self, context: &Record) -> State {
        if context.adapter() == self.0.number {
            context.state()
        } else {
            State::Blank
        }
    }

    /// Makes a context ready for a request of this adapter's.
    #[doc(alias = "InitializeDmaTransferContext")]
    pub fn initialize_transfer_context<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &mut TransferContext,
    ) -> Result<(), Refusal> {
        let _ = level.into();
        called(self.machine(), "InitializeDmaTransferContext", || {
            self.0.system.with(|_| {
                let record = context.record();
                let (state, answer) = self
                    .0
                    .system
                    .hardware()
                    .core
                    .consult(record.state(), Input::Initialize);
                if let Answer::Refuse(refusal) = answer {
                    return Err(refusal);
                }
                record.bind(self.0.number);
                record.set_state(state);
                Ok(())
            })
        })
    }

    /// How many bytes the current transfer has left, in the current iteration of a loop; with none under way, what
    /// the last one left.
    #[doc(alias = "ReadDmaCounter")]
    pub fn read_counter<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> u32 {
        let _ = level.into();
        self.machine().emit(Event::Call("ReadDmaCounter"));
        let left = self.counter();
        self.machine()
            .emit(Event::Return("ReadDmaCounter", NtStatus::SUCCESS));
        left
    }

    fn counter(&self) -> u32 {
        let hardware = self.0.system.hardware();
        if !hardware.core.attributes.counter_available {
            return 0;
        }
        self.0.system.with(|board| {
            let running = board.channel(self.channel_number()).and_then(|channel| {
                let job = channel.running()?;
                (job.mapping.adapter.0.number == self.0.number).then_some(job.mapping.mapped)
            });
            match running {
                Some(mapped) => hardware
                    .core
                    .controller
                    .remaining(self.channel_number())
                    .min(mapped),
                None => self.0.last_residue.load(Ordering::Relaxed),
            }
        })
    }

    /// Calls a function of the controller's own, for the transfers to come.
    #[doc(alias = "ConfigureAdapterChannel")]
    pub fn configure<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
        function: u32,
        argument: usize,
    ) -> Result<NtStatus, Refusal> {
        let _ = level.into();
        called(self.machine(), "ConfigureAdapterChannel", || {
            self.0.system.with(|_| {
                let core = &self.0.system.hardware().core;
                let state = self.stored_state(context.record());
                match core.consult(state, Input::Configure).1 {
                    Answer::Refuse(refusal) => Err(refusal),
                    _ => Ok(core
                        .controller
                        .configure(self.channel_number(), function, argument)),
                }
            })
        })
    }

    /// Waits until no callback is owed for a transfer that has ended. Not for callers that hold what a
    /// callback waits for.
    pub fn wait_for_callbacks(&self, _: &Passive) {
        // Acquire: what the routines did is seen.
        while self.0.owed.load(Ordering::Acquire) != 0 {
            self.machine().relax();
        }
    }

    /// Gives the adapter back. Refused while something of it is under way.
    #[doc(alias = "PutDmaAdapter")]
    pub fn put<'l>(self, level: impl Into<AtMostDispatch<'l>>) -> Result<(), PutRefused<M>> {
        let _ = level.into();
        let machine = self.machine().clone();
        called(&machine, "PutDmaAdapter", || {
            // Acquire: whoever freed the last one is done with it.
            if self.0.common_buffers.load(Ordering::Acquire) != 0 {
                return Err(PutRefused {
                    why: Refusal::CommonBufferOut,
                    adapter: self,
                });
            }
            let core = &self.0.system.hardware().core;
            let state = self.busiest_state();
            match core.consult(state, Input::Put).1 {
                Answer::Refuse(why) => Err(PutRefused { why, adapter: self }),
                _ => Ok(()),
            }
        })
    }

    /// The state of whatever of this adapter is furthest from its end.
    fn busiest_state(&self) -> State {
        self.0.system.with(|board| {
            let Some(channel) = board.channel(self.channel_number()) else {
                return State::Ready;
            };
            match &channel.holder {
                Some(holder) if holder.adapter == self.0.number => holder.context.state(),
                _ => channel
                    .waiters
                    .iter()
                    .find(|waiter| waiter.adapter.0.number == self.0.number)
                    .map_or(State::Ready, |waiter| waiter.context.state()),
            }
        })
    }
}

/// Checks a description and counts the new adapter on its channel.
fn take_place<M: Machine>(
    system: &SystemDma<M>,
    description: DeviceDescription,
    claim: bool,
) -> Result<(), AdapterError> {
    if description.maximum_length == 0 {
        return Err(AdapterError::NoLength);
    }
    let core = &system.hardware().core;
    let DeviceDescription {
        channel: number,
        request_line,
        ..
    } = description;
    if number >= core.attributes.channels {
        return Err(AdapterError::NoChannel);
    }
    // Outside of the lock, for the controller is asked at PASSIVE (WDM-105).
    if !core.attributes.request_lines.contains(request_line)
        || !core
            .controller
            .validate_request_line_binding(request_line, number)
    {
        return Err(AdapterError::BadBinding);
    }
    system.with(|board| {
        let channel = board.channel(number).ok_or(AdapterError::NoChannel)?;
        if channel.claimed || claim && channel.adapters > 0 {
            return Err(AdapterError::Conflict);
        }
        channel.adapters += 1;
        channel.claimed = claim;
        Ok(())
    })
}
