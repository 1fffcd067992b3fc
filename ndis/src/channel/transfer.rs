//! One transfer, from its set-up to its completion.

use super::{Direction, DmaChannel, Inner, Way, WhyNotSetUp};
use crate::setup::Completed;
use crate::state::{Answer, Input};
use alloc::vec::Vec;
use longshore_core::completion::{Cause, Outcome, Ticket, Verdict};
use longshore_core::event::Rule;
use longshore_core::machine::{Lock, Machine};
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Passive};
use longshore_hardware::BusRange;
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, DeviceObject, FlushError, FlushRequest, MapRequest,
    TransferContext, flush_io_buffers,
};

/// What a transfer was set up with, and must be completed with (NDIS-043).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    buffer: Vec<BusRange>,
    offset: u32,
    length: u32,
    direction: Direction,
}

impl Arguments {
    pub(crate) fn new(buffer: Segments<'_>, offset: u32, length: u32, direction: Direction) -> Self {
        Self {
            buffer: buffer.iter().collect(),
            offset,
            length,
            direction,
        }
    }

    fn buffer(&self) -> Segments<'_> {
        Segments::new(&self.buffer)
    }

    fn flush(&self) -> FlushRequest<'_> {
        FlushRequest {
            buffer: self.buffer(),
            offset: u64::from(self.offset),
            length: self.length,
            write_to_device: self.direction.is_write_to_device(),
        }
    }
}

/// What is set up on a channel.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) arguments: Arguments,
    pub(crate) ticket: Ticket,
    /// It is a value's, which owns the buffer: nobody else may complete it and so hand the buffer back.
    pub(crate) owned: bool,
    context: TransferContext,
}

/// Why a transfer was not completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotCompleted {
    /// Nothing is set up, or not with these arguments. No hardware was touched.
    Misuse(Rule),
    /// The hardware does not stop.
    NotQuiet,
}

/// Runs `section` at DISPATCH, where the caller, who runs at or below it, may not be yet.
fn at_dispatch<M: Machine, R>(machine: &M, section: impl FnOnce(&Dispatch) -> R) -> Option<R> {
    if let Some(dispatch) = Dispatch::now(machine) {
        return Some(section(&dispatch));
    }
    let mut passive = Passive::probe(machine)?;
    Some(machine.raise(&mut passive, section))
}

impl<M: Machine> DmaChannel<M> {
    /// Sets a transfer up, or says why not.
    pub(crate) fn prepare(
        &self,
        level: AtMostDispatch<'_>,
        arguments: Arguments,
        owned: bool,
    ) -> Result<Ticket, WhyNotSetUp> {
        let inner = &self.inner;
        let Way::Controller(adapter) = &inner.way else {
            return Err(WhyNotSetUp::BusMaster);
        };
        if inner.slot.with(|slot| inner.consult(slot, Input::SetUp)) != Answer::Accept {
            return Err(WhyNotSetUp::InProgress);
        }
        let started = check(adapter, inner.unit, &arguments).and_then(|()| {
            let context = start(adapter, level, &arguments)?;
            // The last transfer was delivered before the channel was idle again, so the cell is free.
            let ticket = inner.cell.begin(&inner.promise());
            let ticket = ticket.map_err(|_| WhyNotSetUp::InProgress)?;
            Ok(Transfer {
                arguments,
                context,
                ticket,
                owned,
            })
        });
        let ticket = started
            .as_ref()
            .map(|transfer| transfer.ticket)
            .map_err(|why| *why);
        inner.slot.with(|slot| match started {
            Ok(transfer) => {
                inner.consult(slot, Input::Started);
                slot.transfer = Some(transfer);
            }
            Err(_) => {
                inner.consult(slot, Input::NotStarted);
            }
        });
        ticket
    }
}

fn check<M: Machine>(adapter: &Adapter<M>, unit: u32, arguments: &Arguments) -> Result<(), WhyNotSetUp> {
    let end = u64::from(arguments.offset) + u64::from(arguments.length);
    let fits = arguments.buffer().len().is_some_and(|len| end <= len);
    let most = adapter.description().maximum_length;
    let whole = arguments.length.is_multiple_of(unit);
    if arguments.length == 0 || arguments.length > most || !fits || !whole {
        return Err(WhyNotSetUp::BadLength);
    }
    Ok(())
}

/// Takes the channel and maps the transfer as a whole. What is not to be had at once is not waited for (NDIS-064).
fn start<M: Machine>(
    adapter: &Adapter<M>,
    level: AtMostDispatch<'_>,
    arguments: &Arguments,
) -> Result<TransferContext, WhyNotSetUp> {
    let machine = adapter.system().machine();
    let flush = arguments.flush();
    let write_to_device = flush.write_to_device;
    flush_io_buffers(machine, flush.buffer, !write_to_device, true);
    let mut context = TransferContext::new();
    adapter
        .initialize_transfer_context(level, &mut context)
        .map_err(|_| WhyNotSetUp::NoRegisters)?;
    let request = Allocation {
        device_object: DeviceObject::default(),
        registers: adapter.registers_for_part(flush.buffer, flush.offset, flush.length),
        flags: AllocationFlags::SYNCHRONOUS,
        routine: None,
    };
    let granted = at_dispatch(machine, |dispatch| {
        adapter.allocate_channel(dispatch, &context, request)
    });
    if !matches!(granted, Some(Ok(_))) {
        return Err(WhyNotSetUp::NoRegisters);
    }
    let request = MapRequest {
        offset: flush.offset,
        whole: true,
        handover: arguments.direction.handover(),
        ..MapRequest::new(flush.buffer, flush.length, write_to_device)
    };
    match adapter.map_transfer(level, &context, request) {
        Ok(_) => Ok(context),
        Err(error) => {
            free(adapter, &context);
            Err(WhyNotSetUp::NotMapped(error))
        }
    }
}

fn free<M: Machine>(adapter: &Adapter<M>, context: &TransferContext) {
    at_dispatch(adapter.system().machine(), |dispatch| {
        // Refused only if it is not held, and then there is nothing to free.
        let _ = adapter.free_channel(dispatch, context);
    });
}

/// Stops a transfer if it still runs, flushes it and frees the channel, whatever comes out (NDIS-041). Only from
/// hardware that does not stop nothing is taken.
fn release<M: Machine>(
    adapter: &Adapter<M>,
    level: AtMostDispatch<'_>,
    transfer: &Transfer,
) -> Result<Outcome, NotCompleted> {
    let Transfer {
        arguments, context, ..
    } = transfer;
    if adapter.poll(level, context).outcome.is_none() {
        // NDIS-044: early. The cancel cuts it; that it ends just now is as good.
        let _ = adapter.cancel_mapped(level, context);
    }
    let flushed = adapter.flush(level, context, arguments.flush());
    if flushed == Err(FlushError::NotQuiet) {
        return Err(NotCompleted::NotQuiet);
    }
    free(adapter, context);
    Ok(match flushed {
        Ok(Some(outcome)) => outcome,
        // The device moved its bytes, and they could not be brought to the buffer: the counter stays what it is.
        Err(FlushError::Lost) => Outcome {
            verdict: Verdict::Failed(Cause::BUS),
            residue: u64::from(adapter.read_counter(level)),
        },
        // Without an outcome nothing is known to have moved.
        _ => Outcome {
            verdict: Verdict::Failed(Cause::DEVICE),
            residue: u64::from(arguments.length),
        },
    })
}

impl<M: Machine> Inner<M> {
    /// Looks at the channel and completes what is set up, if `wanted` says it is the one.
    pub(crate) fn complete(
        &self,
        level: AtMostDispatch<'_>,
        wanted: impl Fn(&Transfer) -> bool,
    ) -> Result<Completed<()>, NotCompleted> {
        let Way::Controller(adapter) = &self.way else {
            return Err(NotCompleted::Misuse(Rule("NDIS-045")));
        };
        let transfer = self.slot.with(|slot| {
            // NDIS-043: other arguments than the set-up's, or none of the caller's business.
            if slot.transfer.as_ref().is_some_and(|transfer| !wanted(transfer)) {
                return Err(NotCompleted::Misuse(Rule("NDIS-043")));
            }
            match self.consult(slot, Input::Complete) {
                Answer::Misuse(rule) => Err(NotCompleted::Misuse(rule)),
                _ => slot.transfer.take().ok_or(NotCompleted::Misuse(Rule("NDIS-045"))),
            }
        })?;
        match release(adapter, level, &transfer) {
            Ok(outcome) => {
                let completed = Completed::of(outcome, adapter.description().auto_initialize);
                let promise = self.promise();
                if let Ok(delivery) = self.cell.end(transfer.ticket, outcome, &promise) {
                    delivery.deliver();
                }
                self.slot.with(|slot| self.consult(slot, Input::Released));
                Ok(completed)
            }
            Err(why) => {
                self.slot.with(|slot| {
                    slot.transfer = Some(transfer);
                    self.consult(slot, Input::StillRuns)
                });
                Err(why)
            }
        }
    }

    /// Whether this use of the channel is still set up.
    pub(crate) fn is_set_up(&self, ticket: Ticket) -> bool {
        let mine = |transfer: &Transfer| transfer.ticket == ticket;
        self.slot.with(|slot| slot.transfer.as_ref().is_some_and(mine))
    }
}
