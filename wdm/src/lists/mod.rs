//! Lists: a part of a buffer mapped as a whole, from the request to the put.
//!
//! Asking for a list allocates, maps and calls the driver with the elements; putting it flushes and frees. Until then
//! its map registers are its own, whether a routine was called or not.

mod put;
mod request;

use crate::adapter::Adapter;
use crate::adapter::info::list_room;
use crate::channel::allocation::AllocateError;
use crate::operations::NotOffered;
use crate::registers::RegisterBase;
use crate::status::AllocationFlags;
use crate::transfer::mapping::{CompletionContext, CompletionRoutine, DeviceObject, Refused};
use crate::transfer::{ElementList, MapError, TransferContext};
use crate::verifier::{self, Code};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, NtStatus, Passive};
use longshore_hardware::BusRange;
pub use put::{BuildMdlError, PutListRefused};
pub use request::ListSize;

/// What runs, at DISPATCH, when a list is there; it owns the list until it is put. It waits for this call, so it is
/// also told if nothing could be mapped after all.
#[doc(alias = "DRIVER_LIST_CONTROL")]
pub type AdapterListControl<M> =
    Box<dyn FnOnce(&Dispatch, &Adapter<M>, DeviceObject, Result<ScatterGatherList<M>, MapError>) + Send>;

/// A driver's memory for a list, made before it is needed so that it cannot run short then.
#[derive(Debug)]
pub struct ListBuffer {
    elements: Vec<BusRange>,
    /// How many elements the driver has memory for.
    room: usize,
}

impl ListBuffer {
    /// Memory of so many bytes, as GetDmaTransferInfo and CalculateScatterGatherList count them.
    pub fn with_size(_: &Passive, bytes: u32) -> Self {
        Self::with_room(list_room(bytes))
    }

    /// So many bytes of a driver's that are elsewhere, such as C's, into which whoever brings them copies the elements.
    /// That memory exists already, so this makes none and takes no token; the elements themselves stand in the system's
    /// own, as they do for a driver that brings nothing.
    pub const fn elsewhere(bytes: u32) -> Self {
        Self {
            elements: Vec::new(),
            room: list_room(bytes) as usize,
        }
    }

    fn with_room(elements: u32) -> Self {
        let room = elements as usize;
        Self {
            elements: Vec::with_capacity(room),
            room,
        }
    }

    /// Where it is. Lists are built there, and nowhere else.
    pub fn place(&self) -> *const BusRange {
        self.elements.as_ptr()
    }
}

impl ElementList for ListBuffer {
    fn room(&self) -> usize {
        self.room
    }

    fn write(&mut self, elements: &[BusRange]) {
        self.elements.clear();
        // Not more than fit, so where the room was made before nothing is allocated.
        self.elements.extend_from_slice(elements);
    }
}

/// What a list is to be of, and who gets it.
pub struct ListRequest<'a, M: Machine> {
    /// The device it is for.
    pub device_object: DeviceObject,
    /// The whole buffer.
    pub buffer: Segments<'a>,
    /// Where in the buffer the list begins.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
    /// From memory to the device.
    pub write_to_device: bool,
    /// Whether the request may wait.
    pub flags: AllocationFlags,
    /// Who gets the list. A request that may wait must have one; another one is answered with the list.
    pub routine: Option<AdapterListControl<M>>,
    /// The driver's memory for the list; the system's own if there is none.
    pub memory: Option<ListBuffer>,
    /// Never called, and so not to be given (WDM-015).
    pub completion: Option<CompletionRoutine<M>>,
    /// Zero, as there is no routine that could get it.
    pub completion_context: CompletionContext,
}

impl<'a, M: Machine> ListRequest<'a, M> {
    /// The first `length` bytes of a buffer, now or never, as the answer of the call.
    pub fn new(buffer: Segments<'a>, length: u32, write_to_device: bool) -> Self {
        Self {
            device_object: DeviceObject::default(),
            buffer,
            offset: 0,
            length,
            write_to_device,
            flags: AllocationFlags::SYNCHRONOUS,
            routine: None,
            memory: None,
            completion: None,
            completion_context: CompletionContext(0),
        }
    }

    /// The same, with this routine, when its turn comes.
    pub fn in_turn(self, device_object: DeviceObject, routine: AdapterListControl<M>) -> Self {
        Self {
            device_object,
            flags: AllocationFlags::ASYNCHRONOUS,
            routine: Some(routine),
            ..self
        }
    }

    fn refused(self, why: ListError) -> ListRefused<M> {
        ListRefused {
            why,
            routine: self.routine,
            memory: self.memory,
        }
    }
}

/// Why there is no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListError {
    /// The adapter has no such operation.
    NotOffered(NotOffered),
    /// The adapter is one of system DMA.
    SystemAdapter,
    /// A completion routine was given, or something for it.
    NeverCompletes,
    /// The part is empty, or is not inside of the buffer.
    OutsideBuffer,
    /// A driver of version 1 or 2 wants more than the buffer has.
    BeyondMdl,
    /// The driver gave no memory to build the list in.
    NoMemory,
    /// The driver's memory is too small for the list.
    TooSmall,
    /// The adapter was not allocated.
    NotAllocated(AllocateError),
    /// Nothing was mapped.
    NotMapped(MapError),
}

impl ListError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::NotOffered(why) => why.status(),
            Self::SystemAdapter | Self::NeverCompletes | Self::OutsideBuffer | Self::NoMemory => {
                NtStatus::INVALID_PARAMETER
            }
            Self::BeyondMdl | Self::TooSmall => NtStatus::BUFFER_TOO_SMALL,
            Self::NotAllocated(why) => why.status(),
            Self::NotMapped(why) => why.status(),
        }
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotOffered(why) => return why.fmt(f),
            Self::SystemAdapter => "the adapter is one of system DMA",
            Self::NeverCompletes => "nobody would call the completion routine of a list",
            Self::OutsideBuffer => "the part is empty, or is not inside of the buffer",
            Self::BeyondMdl => "the buffer has fewer bytes",
            Self::NoMemory => "there is no memory to build the list in",
            Self::TooSmall => "the memory is too small for the list",
            Self::NotAllocated(why) => return why.fmt(f),
            Self::NotMapped(why) => return why.fmt(f),
        })
    }
}

impl core::error::Error for ListError {}

/// A request for a list that was refused: why, and what it brought. Nothing of it will be called.
pub struct ListRefused<M: Machine> {
    /// Why.
    pub why: ListError,
    /// The routine.
    pub routine: Option<AdapterListControl<M>>,
    /// The driver's memory.
    pub memory: Option<ListBuffer>,
}

impl<M: Machine> fmt::Debug for ListRefused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ListRefused({:?})", self.why)
    }
}

impl Refused for ListError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::NotOffered(why) => why.broken_rule(),
            Self::SystemAdapter => Some(Rule("WDM-200")),
            Self::NeverCompletes => Some(Rule("WDM-015")),
            Self::OutsideBuffer => Some(Rule("WDM-201")),
            Self::NotAllocated(AllocateError::NoRoutine) => Some(Rule("WDM-202")),
            Self::NotAllocated(AllocateError::Refused(why)) => why.broken_rule(),
            Self::NotMapped(why) => why.broken_rule(),
            _ => None,
        }
    }
}

impl<M: Machine> Refused for ListRefused<M> {
    fn status(&self) -> NtStatus {
        self.why.status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        self.why.broken_rule()
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        verifier::of_list(self.why, call)
    }
}

/// A list, and everything that it holds until it is put.
///
/// There is no way to make one, or to change one: what the system keeps in it, it finds again (WDM-081).
pub struct ScatterGatherList<M: Machine> {
    adapter: Adapter<M>,
    context: TransferContext,
    /// The map registers, and how many were asked for.
    registers: (Option<RegisterBase>, u32),
    pieces: Vec<BusRange>,
    offset: u64,
    length: u32,
    write_to_device: bool,
    memory: ListBuffer,
    /// Whether the driver brought the memory.
    built: bool,
    mdl_was_built: bool,
    put: bool,
}

impl<M: Machine> ScatterGatherList<M> {
    /// The elements, as the device sees them, in the order of the buffer's bytes.
    pub fn elements(&self) -> &[BusRange] {
        &self.memory.elements
    }

    /// Where the elements are.
    pub fn place(&self) -> *const BusRange {
        self.memory.place()
    }

    /// Its map registers; none where the device reaches everything.
    pub fn registers(&self) -> Option<RegisterBase> {
        self.registers.0
    }
}

impl<M: Machine> fmt::Debug for ScatterGatherList<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScatterGatherList({:?})", self.elements())
    }
}
