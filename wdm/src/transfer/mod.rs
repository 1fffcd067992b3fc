//! One transfer in the words of its callers: context, requests, refusals, progress.

pub(crate) mod bounce;
mod ending;
pub(crate) mod map;
pub(crate) mod mapping;
pub(crate) mod plan;
pub mod poll;

use crate::state::{Refusal, State};
use crate::system::board::Record;
use crate::transfer::mapping::{CompletionContext, CompletionRoutine, Refused};
use crate::verifier::{self, Code};
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::AtomicU32;
use longshore_core::NtStatus;
use longshore_core::completion::Outcome;
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_hardware::BusRange;

/// What ties the calls for one transfer together. It holds a handle, not the transfer.
///
/// Its clones are handles to the same one.
#[derive(Clone, Debug, Default)]
#[doc(alias = "DMA_TRANSFER_CONTEXT")]
pub struct TransferContext(Arc<Record>);

impl TransferContext {
    /// A context that was never initialised.
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn record(&self) -> &Arc<Record> {
        &self.0
    }

    pub(crate) fn of(record: Arc<Record>) -> Self {
        Self(record)
    }
}

/// Where a map writes the list it has built: memory of the caller's. It is written once, whole, before the hardware
/// starts (R3).
pub trait ElementList {
    /// How many elements fit.
    fn room(&self) -> usize;

    /// Takes the elements: not more than fit, each as the device sees it, in the order of the buffer's bytes (WDM-080).
    fn write(&mut self, elements: &[BusRange]);
}

/// A list in slots of the caller's.
#[derive(Debug)]
#[doc(alias = "SCATTER_GATHER_LIST")]
pub struct ScatterGather<'a> {
    slots: &'a mut [BusRange],
    count: usize,
}

impl<'a> ScatterGather<'a> {
    /// An empty list.
    pub fn new(slots: &'a mut [BusRange]) -> Self {
        Self { slots, count: 0 }
    }

    /// What was written.
    pub fn elements(&self) -> &[BusRange] {
        self.slots.get(..self.count).unwrap_or_default()
    }
}

impl ElementList for ScatterGather<'_> {
    fn room(&self) -> usize {
        self.slots.len()
    }

    fn write(&mut self, elements: &[BusRange]) {
        self.count = elements.len().min(self.slots.len());
        self.slots
            .iter_mut()
            .zip(elements)
            .for_each(|(slot, element)| *slot = *element);
    }
}

/// What is to be mapped and moved.
pub struct MapRequest<'a, M: Machine> {
    /// The whole buffer, the same for each piece of it.
    pub buffer: Segments<'a>,
    /// Where in the buffer this piece begins.
    pub offset: u64,
    /// How many bytes are wanted.
    pub length: u32,
    /// Where the device's data port is, counted from the device's address.
    pub device_offset: u64,
    /// From memory to the device.
    pub write_to_device: bool,
    /// What is called when the transfer has ended, if the controller can interrupt.
    pub completion: Option<CompletionRoutine<M>>,
    /// What the completion routine gets.
    pub context: CompletionContext,
    /// Where the mapped length is written before the hardware starts, for a completion routine to read (WDM-017).
    pub mapped: Option<&'a AtomicU32>,
    /// Where the list is written. A bus master's driver needs it; for a system transfer it is only of interest.
    pub list: Option<&'a mut dyn ElementList>,
    /// Rather refuse than map less than `length`.
    pub whole: bool,
    /// The rule under which the bytes go to the device and come back.
    pub handover: Rule,
}

impl<'a, M: Machine> MapRequest<'a, M> {
    /// The first `length` bytes of a buffer, with nobody to call.
    pub fn new(buffer: Segments<'a>, length: u32, write_to_device: bool) -> Self {
        Self {
            buffer,
            offset: 0,
            length,
            device_offset: 0,
            write_to_device,
            completion: None,
            context: CompletionContext(0),
            mapped: None,
            list: None,
            whole: false,
            handover: Rule("WDM-024"),
        }
    }
}

/// Why nothing was mapped. No callback will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// No bytes were asked for.
    NoBytes,
    /// The piece begins behind the buffer's end.
    BehindBuffer,
    /// The piece reaches beyond the buffer's end.
    OutsideBuffer,
    /// The address of a call of version 1 is none of the buffer's.
    OutsideMdl,
    /// The device's port is past the end of the address space.
    BadDeviceOffset,
    /// Less than the controller's smallest unit.
    BelowUnit,
    /// The controller cannot reach the bytes.
    Unreachable,
    /// The list has no room for one element.
    NoRoom,
    /// A bus master's driver gave no list (WDM-156).
    NoList,
    /// A completion routine was given for a bus master, which nobody would call (WDM-159).
    NeverCompletes,
    /// It could not be mapped as a whole, which was asked for.
    NotWhole,
    /// The controller could not start.
    NotStarted,
    /// The context is not in the state for it, or was cancelled.
    Refused(Refusal),
}

impl MapError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::NoBytes
            | Self::BehindBuffer
            | Self::OutsideBuffer
            | Self::OutsideMdl
            | Self::BadDeviceOffset
            | Self::BelowUnit
            | Self::NoRoom
            | Self::NoList
            | Self::NeverCompletes => NtStatus::INVALID_PARAMETER,
            Self::Unreachable | Self::NotWhole | Self::NotStarted => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Refused(refusal) => refusal.status(),
        }
    }
}

impl Refused for MapError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::NoBytes => Some(Rule("A-14")),
            Self::BehindBuffer => Some(Rule("WDM-151")),
            Self::OutsideBuffer => Some(Rule("WDM-152")),
            Self::OutsideMdl => Some(Rule("WDM-233")),
            Self::NoRoom => Some(Rule("A-04")),
            Self::NoList => Some(Rule("WDM-156")),
            Self::NeverCompletes => Some(Rule("WDM-159")),
            Self::Refused(refusal) => refusal.broken_rule(),
            _ => None,
        }
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        verifier::of_map(*self, call)
    }
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoBytes => "no bytes were asked for",
            Self::BehindBuffer => "the piece begins behind the end of the buffer",
            Self::OutsideBuffer => "the piece reaches beyond the end of the buffer",
            Self::OutsideMdl => "the address is none of the buffer's",
            Self::BadDeviceOffset => "the device's port is past the end of the address space",
            Self::BelowUnit => "it is less than the controller's smallest unit",
            Self::Unreachable => "the controller cannot reach the bytes",
            Self::NoRoom => "the list has no room for one element",
            Self::NoList => "a bus master's map needs a list",
            Self::NeverCompletes => "nobody would call a bus master's completion routine",
            Self::NotWhole => "it cannot be mapped as a whole",
            Self::NotStarted => "the controller could not start",
            Self::Refused(refusal) => return refusal.fmt(f),
        })
    }
}

impl core::error::Error for MapError {}

/// What is to be flushed: the arguments of the map, with the bytes that were really moved.
#[derive(Clone, Copy, Debug)]
pub struct FlushRequest<'a> {
    /// The whole buffer.
    pub buffer: Segments<'a>,
    /// Where in the buffer the piece begins.
    pub offset: u64,
    /// How many bytes; any number is right.
    pub length: u32,
    /// From memory to the device.
    pub write_to_device: bool,
}

/// Why the buffer does not hold what was moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushError {
    /// Buffer, offset or direction are not those of the map.
    Mismatch,
    /// The buffer is no memory that can be written, so the bytes that came for it are lost.
    ///
    /// The outcome of the transfer was fixed before, and stays what it is: the device did move them. But a success would
    /// say that they are there, and what no memory is, is a wrong parameter; so that is the status (WDM-172). The
    /// mapping is over all the same, for another flush could do no better, and the channel and its map registers can
    /// be freed.
    Lost,
    /// The hardware does not stop. Nothing is fixed and nothing is given back: the mapping stays until the hardware
    /// reports its end, or a later flush finds it quiet.
    NotQuiet,
    /// The context is not in the state for it.
    Refused(Refusal),
}

impl FlushError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Mismatch | Self::Lost | Self::NotQuiet => NtStatus::INVALID_PARAMETER,
            Self::Refused(refusal) => refusal.status(),
        }
    }
}

impl Refused for FlushError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::Mismatch => Some(Rule("WDM-170")),
            // The memory's own doing, perhaps: the machine is told of it as an event of its own.
            Self::Lost | Self::NotQuiet => None,
            Self::Refused(refusal) => refusal.broken_rule(),
        }
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        verifier::of_flush(*self, call)
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mismatch => f.write_str("the flush does not match its map"),
            Self::Lost => f.write_str("the buffer cannot be written, and what came for it is lost"),
            Self::NotQuiet => f.write_str("the hardware does not stop"),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl core::error::Error for FlushError {}

/// How far a transfer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Where its context stands.
    pub state: State,
    /// How many bytes are mapped.
    pub mapped: u32,
    /// How many of them are not moved yet, or were not.
    pub remaining: u32,
    /// The outcome, once it is fixed.
    pub outcome: Option<Outcome>,
}
