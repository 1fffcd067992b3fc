//! A miniport's channel.

use crate::setup::{self, Arguments, Completed, SetUp, Transfer};
use crate::state::{self, Answer, Input, State};
use crate::status::NdisStatus;
use core::fmt;
use longshore_core::completion::{Cause, Cell, Outcome, Ticket, Verdict};
use longshore_core::event::{Event, Rule};
use longshore_core::machine::{Lock, Machine, Promise};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Irql, Passive};
use longshore_hardware::BusAddress;
use longshore_wdm::{
    Adapter, AdapterError, Allocation, AllocationFlags, DeviceDescription, DeviceObject, DmaWidth,
    FlushRequest, MapError, MapRequest, SystemDma, TransferContext,
};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From host memory to the NIC: a send.
    WriteToDevice,
    /// From the NIC to host memory: a receive.
    ReadFromDevice,
}

impl Direction {
    /// The direction that the contract's BOOLEAN means.
    pub const fn from_write_to_device(write_to_device: bool) -> Self {
        if write_to_device {
            Self::WriteToDevice
        } else {
            Self::ReadFromDevice
        }
    }

    /// The rule that keeps software off the bytes until the transfer is completed.
    const fn handover(self) -> Rule {
        match self {
            Self::WriteToDevice => Rule("SEED-002-8"),
            Self::ReadFromDevice => Rule("SEED-002-9"),
        }
    }
}

/// What the platform assigned to the NIC. NDIS's own description has no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The channel, used where the description names none (NDIS-021).
    pub channel: u32,
    /// The request line.
    pub request_line: u32,
    /// Where the NIC's data port is.
    pub device_address: BusAddress,
}

/// What a miniport says about its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[doc(alias = "NDIS_DMA_DESCRIPTION")]
pub struct DmaDescription {
    /// The NIC transfers on demand.
    pub demand_mode: bool,
    /// Transfers start over at their end.
    pub auto_initialize: bool,
    /// The channel, if the miniport knows it.
    pub channel: Option<u32>,
    /// How wide the NIC's data port is.
    pub width: DmaWidth,
}

/// Why a channel was not registered (NDIS-016).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// Somebody else has the channel.
    ResourceConflict,
    /// Something that is needed has run out.
    Resources,
    /// There is no such channel, or it cannot serve the NIC.
    Failure,
}

impl RegisterError {
    /// The status the contract has for it.
    pub const fn status(self) -> NdisStatus {
        match self {
            Self::ResourceConflict => NdisStatus::RESOURCE_CONFLICT,
            Self::Resources => NdisStatus::RESOURCES,
            Self::Failure => NdisStatus::FAILURE,
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ResourceConflict => "somebody else has the channel",
            Self::Resources => "something that is needed has run out",
            Self::Failure => "there is no such channel, or it cannot serve the NIC",
        })
    }
}

impl core::error::Error for RegisterError {}

/// Why a transfer was not set up. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNotSetUp {
    /// A transfer is set up already.
    InProgress,
    /// No bytes, bytes outside of the buffer, or more than the channel's maximum (NDIS-033).
    BadLength,
    /// The channel is taken by somebody else.
    ChannelTaken,
    /// The bytes cannot be mapped.
    NotMapped(MapError),
}

/// A refused set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetUpRefused {
    /// The one status the contract has for it.
    pub status: NdisStatus,
    /// Why.
    pub reason: WhyNotSetUp,
}

impl From<WhyNotSetUp> for SetUpRefused {
    fn from(reason: WhyNotSetUp) -> Self {
        Self {
            status: NdisStatus::RESOURCES,
            reason,
        }
    }
}

/// A channel that was not deregistered, because a transfer is set up.
#[derive(Debug)]
pub struct DeregisterRefused<M: Machine> {
    /// The channel.
    pub channel: DmaChannel<M>,
}

/// What the lock of a channel guards.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    pub(crate) transfer: Option<Transfer>,
}

/// A system DMA channel of a miniport's. Registering is the only way to one (SEED-002-3), and needs PASSIVE, where a
/// miniport initialises:
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_ndis::{Assigned, DmaDescription, register_dma_channel};
/// fn too_high<M: Machine>(dispatch: &Dispatch, system: &longshore_wdm::SystemDma<M>, assigned: Assigned) {
///     let _ = register_dma_channel(dispatch, system, assigned, DmaDescription::default(), 4096);
/// }
/// ```
///
/// ```
/// use longshore_core::{Machine, Passive};
/// use longshore_ndis::{Assigned, DmaDescription, register_dma_channel};
/// fn initialize<M: Machine>(passive: &Passive, system: &longshore_wdm::SystemDma<M>, assigned: Assigned) {
///     let _ = register_dma_channel(passive, system, assigned, DmaDescription::default(), 4096);
/// }
/// ```
#[doc(alias = "MiniportDmaHandle")]
pub struct DmaChannel<M: Machine> {
    adapter: Adapter<M>,
    number: u32,
    cell: Cell,
    slot: M::Lock<Slot>,
}

impl<M: Machine> fmt::Debug for DmaChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DmaChannel({:?})", self.adapter)
    }
}

/// Claims a channel for a miniport, and what its transfers will need.
#[doc(alias = "NdisMRegisterDmaChannel")]
pub fn register_dma_channel<M: Machine>(
    passive: &Passive,
    system: &SystemDma<M>,
    assigned: Assigned,
    description: DmaDescription,
    maximum_length: u32,
) -> Result<DmaChannel<M>, RegisterError> {
    const NAME: &str = "NdisMRegisterDmaChannel";
    let machine = system.machine();
    machine.emit(Event::Call(NAME));
    let wanted = DeviceDescription {
        device_address: assigned.device_address,
        maximum_length,
        auto_initialize: description.auto_initialize,
        demand_mode: description.demand_mode,
        width: description.width,
        ..DeviceDescription::system(
            description.channel.unwrap_or(assigned.channel),
            assigned.request_line,
        )
    };
    let adapter = system
        .exclusive_adapter(passive, wanted)
        .map_err(|error| match error {
            AdapterError::Conflict => RegisterError::ResourceConflict,
            _ => RegisterError::Failure,
        });
    let status = adapter
        .as_ref()
        .map_or_else(|error| error.status(), |_| NdisStatus::SUCCESS);
    machine.emit(Event::Return(NAME, status.into()));
    let slot = Slot {
        state: State::Idle,
        transfer: None,
    };
    Ok(DmaChannel {
        adapter: adapter?,
        number: machine.number(),
        cell: Cell::new(),
        slot: machine.lock("NDIS channel", Irql::DISPATCH, slot),
    })
}

/// Runs `section` at DISPATCH, where the caller, who runs at or below it, may not be yet.
fn at_dispatch<M: Machine, R>(machine: &M, section: impl FnOnce(&Dispatch) -> R) -> Option<R> {
    if let Some(dispatch) = Dispatch::now(machine) {
        return Some(section(&dispatch));
    }
    let mut passive = Passive::now(machine)?;
    Some(machine.raise(&mut passive, section))
}

impl<M: Machine> DmaChannel<M> {
    pub(crate) fn machine(&self) -> &M {
        self.adapter.system().machine()
    }

    fn promise(&self) -> Promise<'_, M> {
        Promise {
            machine: self.machine(),
            number: self.number,
        }
    }

    /// Takes the channel through the table.
    fn consult(&self, slot: &mut Slot, input: Input) -> Answer {
        self.machine().emit(Event::Transition {
            table: state::TABLE,
            state: slot.state.name(),
            event: input.name(),
        });
        let (state, answer) = state::next(slot.state, input);
        slot.state = state;
        answer
    }

    /// Programs the controller for `length` bytes of a buffer. Never waits (NDIS-064).
    ///
    /// The transfer is set up until the value is completed; the bytes belong to the device as long.
    #[doc(alias = "NdisMSetupDmaTransfer")]
    pub fn set_up<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        buffer: Segments<'_>,
        offset: u32,
        length: u32,
        direction: Direction,
    ) -> Result<SetUp<'_, M>, SetUpRefused> {
        const NAME: &str = "NdisMSetupDmaTransfer";
        let level = level.into();
        self.machine().emit(Event::Call(NAME));
        let arguments = Arguments::new(buffer, offset, length, direction);
        let result = self.prepare(level, arguments);
        let status = match &result {
            Ok(_) => NdisStatus::SUCCESS,
            Err(_) => NdisStatus::RESOURCES,
        };
        self.machine().emit(Event::Return(NAME, status.into()));
        match result {
            Ok(ticket) => Ok(SetUp::new(self, ticket)),
            Err(reason) => Err(reason.into()),
        }
    }

    fn prepare(&self, level: AtMostDispatch<'_>, arguments: Arguments) -> Result<Ticket, WhyNotSetUp> {
        if self.slot.with(|slot| self.consult(slot, Input::SetUp)) != Answer::Accept {
            return Err(WhyNotSetUp::InProgress);
        }
        let started = self.check(&arguments).and_then(|()| {
            let context = self.start(level, &arguments)?;
            // The last transfer was delivered before the channel was idle again, so the cell is free.
            let ticket = self.cell.begin(&self.promise());
            let ticket = ticket.map_err(|_| WhyNotSetUp::InProgress)?;
            Ok(Transfer {
                arguments,
                context,
                ticket,
            })
        });
        let ticket = started
            .as_ref()
            .map(|transfer| transfer.ticket)
            .map_err(|why| *why);
        self.slot.with(|slot| match started {
            Ok(transfer) => {
                self.consult(slot, Input::Started);
                slot.transfer = Some(transfer);
            }
            Err(_) => {
                self.consult(slot, Input::NotStarted);
            }
        });
        ticket
    }

    fn check(&self, arguments: &Arguments) -> Result<(), WhyNotSetUp> {
        let end = u64::from(arguments.offset) + u64::from(arguments.length);
        let fits = arguments.buffer().len().is_some_and(|len| end <= len);
        let most = self.adapter.description().maximum_length;
        if arguments.length == 0 || arguments.length > most || !fits {
            return Err(WhyNotSetUp::BadLength);
        }
        Ok(())
    }

    /// Takes the channel and maps the transfer as a whole.
    fn start(
        &self,
        level: AtMostDispatch<'_>,
        arguments: &Arguments,
    ) -> Result<TransferContext, WhyNotSetUp> {
        let mut context = TransferContext::new();
        self.adapter
            .initialize_transfer_context(level, &mut context)
            .map_err(|_| WhyNotSetUp::ChannelTaken)?;
        let request = Allocation {
            device_object: DeviceObject::default(),
            registers: self.adapter.registers_for(arguments.length),
            flags: AllocationFlags::SYNCHRONOUS,
            routine: None,
        };
        let granted = at_dispatch(self.machine(), |dispatch| {
            self.adapter.allocate_channel(dispatch, &context, request)
        });
        if !matches!(granted, Some(Ok(_))) {
            return Err(WhyNotSetUp::ChannelTaken);
        }
        let write_to_device = arguments.direction == Direction::WriteToDevice;
        let request = MapRequest {
            offset: u64::from(arguments.offset),
            whole: true,
            handover: arguments.direction.handover(),
            ..MapRequest::new(arguments.buffer(), arguments.length, write_to_device)
        };
        match self.adapter.map_transfer(level, &context, request) {
            Ok(_) => Ok(context),
            Err(error) => {
                self.free(&context);
                Err(WhyNotSetUp::NotMapped(error))
            }
        }
    }

    fn free(&self, context: &TransferContext) {
        at_dispatch(self.machine(), |dispatch| {
            // Refused only if it is not held, and then there is nothing to free.
            let _ = self.adapter.free_channel(dispatch, context);
        });
    }

    /// The bytes that the current transfer has left; with none set up, what the last one left (NDIS-051).
    #[doc(alias = "NdisMReadDmaCounter")]
    pub fn read_counter<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> u32 {
        self.machine().emit(Event::Call("NdisMReadDmaCounter"));
        self.slot.with(|slot| self.consult(slot, Input::ReadCounter));
        let left = self.adapter.read_counter(level);
        self.machine()
            .emit(Event::Return("NdisMReadDmaCounter", NdisStatus::SUCCESS.into()));
        left
    }

    /// Looks at the channel and completes what is set up, if `wanted` says it is the one. Refused otherwise, and then
    /// no hardware is touched.
    pub(crate) fn complete(
        &self,
        level: AtMostDispatch<'_>,
        wanted: impl Fn(&Transfer) -> bool,
    ) -> Result<Completed, Rule> {
        let transfer = self.slot.with(|slot| {
            // NDIS-043: other arguments than the set-up's.
            if slot.transfer.as_ref().is_some_and(|transfer| !wanted(transfer)) {
                return Err(Rule("NDIS-043"));
            }
            match self.consult(slot, Input::Complete) {
                Answer::Misuse(rule) => Err(rule),
                _ => slot.transfer.take().ok_or(Rule("NDIS-045")),
            }
        })?;
        let outcome = self.release(level, &transfer);
        let completed = Completed::from_outcome(outcome, self.adapter.description().auto_initialize);
        let promise = self.promise();
        if let Ok(delivery) = self.cell.end(transfer.ticket, outcome, &promise) {
            delivery.deliver();
        }
        self.slot.with(|slot| self.consult(slot, Input::Released));
        Ok(completed)
    }

    /// Stops the transfer if it still runs, flushes it and frees the channel, whatever comes out (NDIS-041).
    fn release(&self, level: AtMostDispatch<'_>, transfer: &Transfer) -> Outcome {
        let Transfer {
            arguments, context, ..
        } = transfer;
        if self.adapter.poll(level, context).outcome.is_none() {
            // NDIS-044: early. The cancel cuts it; that it ends just now is as good.
            let _ = self.adapter.cancel_mapped(level, context);
        }
        let request = FlushRequest {
            buffer: arguments.buffer(),
            offset: u64::from(arguments.offset),
            length: arguments.length,
            write_to_device: arguments.direction == Direction::WriteToDevice,
        };
        let flushed = self.adapter.flush(level, context, request);
        self.free(context);
        // Without an outcome nothing is known to have moved.
        flushed.ok().flatten().unwrap_or(Outcome {
            verdict: Verdict::Failed(Cause::DEVICE),
            residue: u64::from(arguments.length),
        })
    }

    /// Whether this use of the channel is still set up.
    pub(crate) fn is_set_up(&self, ticket: Ticket) -> bool {
        let mine = |transfer: &Transfer| transfer.ticket == ticket;
        self.slot.with(|slot| slot.transfer.as_ref().is_some_and(mine))
    }

    /// Gives the channel back. Refused while a transfer is set up.
    #[doc(alias = "NdisMDeregisterDmaChannel")]
    pub fn deregister(self, _: &Passive) -> Result<(), DeregisterRefused<M>> {
        const NAME: &str = "NdisMDeregisterDmaChannel";
        self.machine().emit(Event::Call(NAME));
        let answer = self.slot.with(|slot| self.consult(slot, Input::Deregister));
        let status = match answer {
            Answer::Misuse(_) => NdisStatus::FAILURE,
            _ => NdisStatus::SUCCESS,
        };
        if let Answer::Misuse(rule) = answer {
            self.machine().emit(Event::Misuse(NAME, rule, status.into()));
        }
        self.machine().emit(Event::Return(NAME, status.into()));
        match answer {
            Answer::Misuse(_) => Err(DeregisterRefused { channel: self }),
            _ => Ok(()),
        }
    }
}

impl<M: Machine> Drop for DmaChannel<M> {
    /// A channel that goes with a transfer set up completes it: its bytes come back, and its outcome is told.
    fn drop(&mut self) {
        let open = self.slot.with(|slot| slot.transfer.is_some());
        if open {
            self.machine().emit(Event::Misuse(
                "NdisMDeregisterDmaChannel",
                Rule("NDIS-019"),
                NdisStatus::FAILURE.into(),
            ));
            setup::complete_at_any_level(self, |_| true);
        }
    }
}
