//! What a driver can ask before it transfers: what its channel can do, and what a transfer will take.

use crate::adapter::Adapter;
use crate::operations::{NotOffered, Operation};
use crate::registers::{PAGE_SIZE, pages_spanned};
use crate::transfer::mapping::{Refused, called};
use crate::transfer::plan::plan;
use core::fmt;
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, NtStatus, Passive};
use longshore_hardware::{BusAddress, BusRange};

/// Which form of an answer the caller knows. He says so before the call (WDM-073).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InfoVersion(pub u32);

impl InfoVersion {
    /// The first form, of both questions.
    #[doc(alias = "DMA_ADAPTER_INFO_VERSION1")]
    #[doc(alias = "DMA_TRANSFER_INFO_VERSION1")]
    pub const VERSION1: Self = Self(1);
    /// The second form of what a transfer will take.
    #[doc(alias = "DMA_TRANSFER_INFO_VERSION2")]
    pub const VERSION2: Self = Self(2);
}

/// What an adapter's channel can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "DMA_ADAPTER_INFO_V1")]
pub struct AdapterInfo {
    /// Whether ReadDmaCounter means anything.
    pub read_counter_available: bool,
    /// How many elements the controller takes at a time.
    pub scatter_gather_limit: u32,
    /// How many address bits its transfers may use: those that the controller drives, or fewer for a device that drives
    /// fewer. The bits above are zero on the bus, so nothing above is ever given to it.
    pub address_width: u32,
    /// Reserved: 0.
    pub flags: u32,
    /// Each element's length is a multiple of this many bytes.
    pub minimum_transfer_unit: u32,
}

/// The part of a buffer that a driver wants to transfer.
#[derive(Clone, Copy, Debug)]
pub struct TransferQuestion<'a> {
    /// The whole buffer.
    pub buffer: Segments<'a>,
    /// Where in it the transfer begins.
    pub offset: u64,
    /// How many bytes.
    pub length: u32,
    /// From memory to the device, and never the other way. The answer may be too low for a read.
    pub write_only: bool,
}

/// What a transfer will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "DMA_TRANSFER_INFO_V1")]
#[doc(alias = "DMA_TRANSFER_INFO_V2")]
pub struct TransferInfo {
    /// How many map registers.
    pub map_registers: u32,
    /// How many elements of a list.
    pub elements: u32,
    /// How many bytes for that list, with what the system keeps there.
    pub list_size: u32,
    /// How many pages of the device's addresses. Not in version 1.
    pub logical_pages: Option<u32>,
}

/// Why a question has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoError {
    /// There is no such form of the answer. That of the crash dump is none here (WDM-076).
    UnknownVersion,
    /// The part is empty, or is not inside of the buffer.
    OutsideBuffer,
    /// The adapter has no such operation.
    NotOffered(NotOffered),
}

impl InfoError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::UnknownVersion => NtStatus::NOT_SUPPORTED,
            Self::OutsideBuffer => NtStatus::INVALID_PARAMETER,
            Self::NotOffered(why) => why.status(),
        }
    }
}

impl Refused for InfoError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::UnknownVersion => None,
            Self::OutsideBuffer => Some(Rule("WDM-111")),
            Self::NotOffered(why) => why.broken_rule(),
        }
    }
}

impl fmt::Display for InfoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownVersion => "there is no such form of the answer",
            Self::OutsideBuffer => "the part is empty, or is not inside of the buffer",
            Self::NotOffered(why) => return why.fmt(f),
        })
    }
}

impl core::error::Error for InfoError {}

/// Bytes of a list before its elements, as a 64-bit driver sees it: a count, and a word of the system's.
const LIST_HEADER: u32 = 16;
/// Bytes of an element: address, length, and a word of the system's.
const LIST_ELEMENT: u32 = 24;
/// What the system keeps behind the elements.
const LIST_PRIVATE: u32 = 32;

/// How many bytes a list of so many elements takes. No list is so long that this would not fit.
pub(crate) fn list_size(elements: u32) -> u32 {
    elements
        .saturating_mul(LIST_ELEMENT)
        .saturating_add(LIST_HEADER + LIST_PRIVATE)
}

/// How many elements a list of so many bytes has room for.
pub(crate) const fn list_room(bytes: u32) -> u32 {
    bytes.saturating_sub(LIST_HEADER + LIST_PRIVATE) / LIST_ELEMENT
}

impl<M: Machine> Adapter<M> {
    /// What the adapter's channel can do.
    #[doc(alias = "GetDmaAdapterInfo")]
    pub fn info<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        version: InfoVersion,
    ) -> Result<AdapterInfo, InfoError> {
        let _ = level.into();
        let operation = Operation::GetDmaAdapterInfo;
        called(self.machine(), operation.name(), || {
            self.offers(operation).map_err(InfoError::NotOffered)?;
            if version != InfoVersion::VERSION1 {
                return Err(InfoError::UnknownVersion);
            }
            let core = &self.system().hardware().core;
            // Under the lock, as all calls that reach a channel.
            let limit = self.system().with(|_| {
                core.controller
                    .query_max_fragments(self.channel_number(), u32::MAX)
            });
            Ok(AdapterInfo {
                read_counter_available: core.attributes.counter_available,
                scatter_gather_limit: limit,
                address_width: self.record().address_width,
                flags: 0,
                minimum_transfer_unit: self.alignment_now(),
            })
        })
    }

    /// What a transfer of a part of a buffer will take, at most.
    #[doc(alias = "GetDmaTransferInfo")]
    pub fn transfer_info<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        version: InfoVersion,
        question: TransferQuestion<'_>,
    ) -> Result<TransferInfo, InfoError> {
        let _ = level.into();
        let operation = Operation::GetDmaTransferInfo;
        called(self.machine(), operation.name(), || {
            self.offers(operation).map_err(InfoError::NotOffered)?;
            if ![InfoVersion::VERSION1, InfoVersion::VERSION2].contains(&version) {
                return Err(InfoError::UnknownVersion);
            }
            let needs = self
                .needs(question.buffer, question.offset, question.length)
                .ok_or(InfoError::OutsideBuffer)?;
            Ok(TransferInfo {
                map_registers: needs.pages,
                elements: needs.elements,
                list_size: list_size(needs.elements),
                logical_pages: (version == InfoVersion::VERSION2).then_some(needs.pages),
            })
        })
    }

    /// Of what start and length of a buffer should be multiples, so that nothing of it has to be copied.
    #[doc(alias = "GetDmaAlignment")]
    pub fn alignment(&self, _: &Passive) -> u32 {
        self.alignment_now()
    }

    fn alignment_now(&self) -> u32 {
        u32::try_from(self.limits().unit).unwrap_or(u32::MAX)
    }
}

/// What a part of a buffer takes, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) pages: u32,
    pub(crate) elements: u32,
}

/// Calls `each` with the pieces of a part of a buffer, those that follow each other in memory as one.
fn stretches(buffer: Segments<'_>, offset: u64, length: u64, mut each: impl FnMut(BusRange)) {
    let mut last = BusRange::EMPTY;
    for piece in buffer.part(offset, length) {
        match BusRange::new(last.start(), last.len() + piece.len()) {
            Some(joined) if !last.is_empty() && last.end() == piece.start() => last = joined,
            _ => {
                if !last.is_empty() {
                    each(last);
                }
                last = piece;
            }
        }
    }
    if !last.is_empty() {
        each(last);
    }
}

impl<M: Machine> Adapter<M> {
    /// What a part of a buffer takes, or nothing if it is no part of it.
    pub(crate) fn needs(&self, buffer: Segments<'_>, offset: u64, length: u32) -> Option<Needs> {
        let end = offset.checked_add(u64::from(length))?;
        if length == 0 || end > buffer.len()? {
            return None;
        }
        let length = u64::from(length);
        let mut pages = 0u64;
        stretches(buffer, offset, length, |stretch| {
            pages += pages_spanned(stretch.start().raw(), stretch.len());
        });
        Some(Needs {
            pages: u32::try_from(pages).ok()?,
            elements: self.elements(buffer, offset, length, pages)?,
        })
    }

    /// How many elements a list has at most: what a map would plan with enough registers, wherever they are.
    fn elements(&self, buffer: Segments<'_>, offset: u64, length: u64, pages: u64) -> Option<u32> {
        if self.is_master() && !self.description().scatter_gather {
            return Some(1);
        }
        let limits = self.limits();
        // Far from everything, so that it continues no fragment.
        let run = BusRange::new(BusAddress::new(1 << 63), pages.checked_mul(PAGE_SIZE)?)?;
        let plan = plan(buffer, offset, length, limits, run);
        // The real run may lie elsewhere among the boundaries.
        let crossed = usize::from(limits.boundary != 0 && !plan.bounced.is_empty());
        u32::try_from(plan.fragments.len() + crossed).ok()
    }
}
