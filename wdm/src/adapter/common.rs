//! Common buffers: memory that the CPU and a device use at the same time, for as long as the driver likes.

use crate::adapter::Adapter;
use crate::operations::{NotOffered, Operation};
use crate::registers::PAGE_SIZE;
use crate::transfer::mapping::{Refused, called};
use crate::verifier::Code;
use core::fmt;
use core::sync::atomic::Ordering;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::Machine;
use longshore_core::{NtStatus, Passive};
use longshore_hardware::{BusAddress, BusRange, Lease};

/// How memory is cached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[doc(alias = "MEMORY_CACHING_TYPE")]
pub struct CachingType(pub i32);

impl CachingType {
    /// Not cached.
    #[doc(alias = "MmNonCached")]
    pub const NON_CACHED: Self = Self(0);
    /// Cached.
    #[doc(alias = "MmCached")]
    pub const CACHED: Self = Self(1);
}

/// What a common buffer is to be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommonBufferRequest {
    /// How many bytes.
    pub length: u32,
    /// Whether it may be cached.
    pub cache_enabled: bool,
    /// The whole of it ends at or below this address.
    pub maximum_address: Option<BusAddress>,
    /// Near which node it should lie. A hint: memory here is equally near to all.
    pub preferred_node: u32,
}

impl CommonBufferRequest {
    /// So many bytes, cached, wherever the device reaches.
    pub const fn new(length: u32) -> Self {
        Self {
            length,
            cache_enabled: true,
            maximum_address: None,
            preferred_node: 0,
        }
    }
}

/// Why there is no common buffer. In C each of them is NULL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommonBufferError {
    /// No bytes were asked for.
    NoLength,
    /// It has more pages than the bus master has map registers (WDM-271).
    TooFewRegisters,
    /// There is no such memory left in reach.
    NoMemory,
    /// The adapter has no such operation.
    NotOffered(NotOffered),
}

impl CommonBufferError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::NoLength => NtStatus::INVALID_PARAMETER,
            Self::TooFewRegisters | Self::NoMemory => NtStatus::INSUFFICIENT_RESOURCES,
            Self::NotOffered(why) => why.status(),
        }
    }
}

impl Refused for CommonBufferError {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::NotOffered(why) => why.broken_rule(),
            _ => None,
        }
    }
}

impl fmt::Display for CommonBufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoLength => "no bytes were asked for",
            Self::TooFewRegisters => "it has more pages than the bus master has map registers",
            Self::NoMemory => "there is no such memory left in reach",
            Self::NotOffered(why) => return why.fmt(f),
        })
    }
}

impl core::error::Error for CommonBufferError {}

/// Memory that the CPU and a device share. Freed when dropped; its adapter cannot be put back before.
pub struct CommonBuffer<M: Machine> {
    adapter: Adapter<M>,
    lease: Lease<M::Memory>,
    request: CommonBufferRequest,
    cached: bool,
}

impl<M: Machine> CommonBuffer<M> {
    /// The bytes that may be used. At least a page is reserved, but what is behind these belongs to nobody.
    pub fn range(&self) -> BusRange {
        usable(self.lease.range(), self.request.length)
    }

    /// Where it begins, for device and CPU alike.
    pub fn address(&self) -> BusAddress {
        self.lease.address()
    }

    /// How many bytes may be used.
    pub fn length(&self) -> u32 {
        self.request.length
    }

    /// How it is cached. AllocateCommonBuffer always caches; only AllocateCommonBufferEx listens.
    pub fn caching(&self) -> CachingType {
        if self.cached {
            CachingType::CACHED
        } else {
            CachingType::NON_CACHED
        }
    }
}

impl<M: Machine> fmt::Debug for CommonBuffer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommonBuffer({:?})", self.range())
    }
}

impl<M: Machine> Drop for CommonBuffer<M> {
    fn drop(&mut self) {
        let whole = self.lease.range();
        self.adapter
            .machine()
            .emit(Event::Handover(whole, Owner::Cpu, Rule("WDM-221")));
        // Release: whoever sees that none is out, and puts the adapter back, comes after its last use.
        self.adapter
            .record()
            .common_buffers
            .fetch_sub(1, Ordering::Release);
    }
}

/// A common buffer that was not freed, since the arguments are not those of its allocation.
#[derive(Debug)]
pub struct FreeRefused<M: Machine> {
    /// The buffer.
    pub buffer: CommonBuffer<M>,
}

impl<M: Machine> Refused for FreeRefused<M> {
    fn status(&self) -> NtStatus {
        NtStatus::INVALID_PARAMETER
    }

    fn broken_rule(&self) -> Option<Rule> {
        Some(Rule("WDM-221"))
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        let _ = call;
        Some(Code::COMMON_BUFFER_FREED_TWICE)
    }
}

impl<M: Machine> Adapter<M> {
    /// Makes memory that the device reaches as one run. It is cached, whatever was asked for.
    #[doc(alias = "AllocateCommonBuffer")]
    pub fn allocate_common_buffer(
        &self,
        _: &Passive,
        length: u32,
        cache_enabled: bool,
    ) -> Result<CommonBuffer<M>, CommonBufferError> {
        let request = CommonBufferRequest {
            cache_enabled,
            ..CommonBufferRequest::new(length)
        };
        let name = Operation::AllocateCommonBuffer.name();
        called(self.machine(), name, || self.make_common_buffer(request, true))
    }

    /// Makes memory that the device reaches as one run, below an address and cached as asked for.
    #[doc(alias = "AllocateCommonBufferEx")]
    pub fn allocate_common_buffer_ex(
        &self,
        _: &Passive,
        request: CommonBufferRequest,
    ) -> Result<CommonBuffer<M>, CommonBufferError> {
        let operation = Operation::AllocateCommonBufferEx;
        called(self.machine(), operation.name(), || {
            self.offers(operation).map_err(CommonBufferError::NotOffered)?;
            self.make_common_buffer(request, request.cache_enabled)
        })
    }

    fn make_common_buffer(
        &self,
        request: CommonBufferRequest,
        cached: bool,
    ) -> Result<CommonBuffer<M>, CommonBufferError> {
        if request.length == 0 {
            return Err(CommonBufferError::NoLength);
        }
        let pages = u64::from(request.length).div_ceil(PAGE_SIZE);
        if self.is_master() && pages > u64::from(self.map_registers()) {
            return Err(CommonBufferError::TooFewRegisters);
        }
        let whole = pages * PAGE_SIZE;
        let reach = u64::try_from(self.limits().reach).unwrap_or(u64::MAX);
        let below = request
            .maximum_address
            .map_or(reach, |highest| reach.min(highest.raw()));
        let memory = self.machine().memory();
        let lease = Lease::below(memory, whole, self.run_alignment(whole), BusAddress::new(below))
            .map_err(|_| CommonBufferError::NoMemory)?;
        self.share(&lease, request.length);
        self.record().common_buffers.fetch_add(1, Ordering::Relaxed);
        Ok(CommonBuffer {
            adapter: self.clone(),
            lease,
            request,
            cached,
        })
    }

    /// Says who may touch what: both sides the bytes that were asked for, nobody the rest of the page.
    fn share(&self, lease: &Lease<M::Memory>, length: u32) {
        let handover = |range, owner| {
            self.machine()
                .emit(Event::Handover(range, owner, Rule("WDM-220")));
        };
        handover(lease.range(), Owner::Nobody);
        handover(usable(lease.range(), length), Owner::Both);
    }

    /// To what a run of so many bytes must be aligned to cross none of the channel's boundaries, as far as any
    /// alignment can see to it.
    fn run_alignment(&self, length: u64) -> u64 {
        match self.limits().boundary {
            0 => PAGE_SIZE,
            boundary => length.next_power_of_two().min(boundary).max(PAGE_SIZE),
        }
    }

    /// Frees a common buffer, if the arguments repeat those of its allocation. Dropping it does the same, and cannot
    /// go wrong.
    #[doc(alias = "FreeCommonBuffer")]
    pub fn free_common_buffer(
        &self,
        _: &Passive,
        buffer: CommonBuffer<M>,
        length: u32,
        address: BusAddress,
        cache_enabled: bool,
    ) -> Result<(), FreeRefused<M>> {
        let name = Operation::FreeCommonBuffer.name();
        called(self.machine(), name, || {
            let repeated = self.is(&buffer.adapter)
                && (length, address, cache_enabled)
                    == (buffer.length(), buffer.address(), buffer.request.cache_enabled);
            if repeated {
                Ok(())
            } else {
                Err(FreeRefused { buffer })
            }
        })
    }
}

/// The first `length` bytes of what is reserved.
fn usable(whole: BusRange, length: u32) -> BusRange {
    whole.slice(0, u64::from(length)).unwrap_or(whole)
}
