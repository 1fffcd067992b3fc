//! What a NetDMA provider is, and what it sees of NetDMA.
//!
//! Every handler may be called at PASSIVE or DISPATCH, so none may block: a handler that has to wait for its
//! engine polls, and for a bounded time. Success of `start`, `append` and `resume` means "accepted", not "done"
//! (NETDMA-078). A call that is refused has no side effect: no descriptor is read, no completion word written and
//! no interrupt raised.

use crate::version::Version;
use alloc::sync::Arc;
use bitflags::bitflags;
use core::fmt;
use longshore_core::machine::Cpu;
use longshore_core::{AtMostDispatch, Device, Dispatch, NtStatus, Passive};
use longshore_hardware::BusAddress;

bitflags! {
    /// Which handlers a provider has (NETDMA-021).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Handlers: u32 {
        /// `allocate_channel`.
        const ALLOCATE = 0x1;
        /// `free`.
        const FREE = 0x2;
        /// `start`.
        const START = 0x4;
        /// `append`.
        const APPEND = 0x8;
        /// `suspend`, which comes with `resume`.
        const SUSPEND = 0x10;
        /// `resume`, which comes with `suspend`.
        const RESUME = 0x20;
        /// `abort`.
        const ABORT = 0x40;
        /// `reset`.
        const RESET = 0x80;
        /// `set_channel_affinity`.
        const AFFINITY = 0x100;

        /// Those that every provider has.
        const MANDATORY =
            Self::ALLOCATE.bits() | Self::FREE.bits() | Self::START.bits() | Self::APPEND.bits();
        /// The pair that is there as a whole or not at all.
        const SUSPEND_RESUME = Self::SUSPEND.bits() | Self::RESUME.bits();
    }
}

impl Handlers {
    /// Whether nothing is missing that must be there (NETDMA-021).
    pub const fn complete(self) -> bool {
        let whole_pair = self.contains(Self::SUSPEND_RESUME) || !self.intersects(Self::SUSPEND_RESUME);
        self.contains(Self::MANDATORY) && whole_pair
    }
}

bitflags! {
    /// What else a provider can do (NETDMA-020).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct ProviderFlags: u32 {
        /// It writes to a CPU's cache directly. From version 2.0 on.
        const DCA = 0x1;
        /// It takes processor groups. From version 2.1 on.
        const PROCESSOR_GROUPS = 0x2;
    }
}

/// What a provider says about itself when it registers.
#[doc(alias = "NET_DMA_PROVIDER_CHARACTERISTICS")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Characteristics {
    /// The version of the contract it implements.
    pub version: Version,
    /// What else it can do.
    pub flags: ProviderFlags,
    /// The handlers it has. One that is absent is never called.
    pub handlers: Handlers,
    /// The most channels that an engine of this type has.
    pub max_channels: u32,
    /// Its name for a reader. From version 2.0 on there must be one.
    pub friendly_name: Option<Arc<str>>,
}

/// What a provider says about its engine, each time it starts.
#[doc(alias = "NET_DMA_PROVIDER_ATTRIBUTES")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// The version of the hardware.
    pub hardware: Version,
    /// The PCI number of who made it.
    pub vendor: u32,
    /// How many channels can be open at once.
    pub channels: u32,
    /// The most bytes that one descriptor may move (NETDMA-055).
    pub maximum_transfer_size: u32,
    /// The highest address that the engine reaches.
    pub maximum_address: BusAddress,
}

impl Attributes {
    /// The least that a provider moves with one descriptor (NETDMA-022).
    pub const LEAST_TRANSFER: u32 = 4096;
}

/// CPUs as the groups of version 2.1 name them.
#[doc(alias = "GROUP_AFFINITY")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupAffinity {
    /// The CPUs of the group, one bit each.
    pub mask: u64,
    /// The group.
    pub group: u16,
}

/// What NetDMA asks of a channel when it allocates one.
#[doc(alias = "NET_DMA_CHANNEL_PARAMETERS")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelParameters {
    /// Nothing yet: 0 in every version.
    pub flags: u32,
    /// Where the engine writes the completion word; NULL for nowhere. A multiple of eight (NETDMA-044).
    pub completion: BusAddress,
    /// The channel's urgency against others of the engine. Higher is more urgent.
    pub priority: u32,
    /// The CPUs that the channel's deferred call may run on, one bit each.
    pub cpus: u32,
    /// The same with a group, for a provider with [`ProviderFlags::PROCESSOR_GROUPS`]. Groups end here: the CPU that
    /// is given back is counted over the whole computer (AMB-20).
    pub group: Option<GroupAffinity>,
}

impl ChannelParameters {
    /// A channel of ordinary urgency.
    pub const fn new(completion: BusAddress, cpus: u32) -> Self {
        Self {
            flags: 0,
            completion,
            priority: 0,
            cpus,
            group: None,
        }
    }
}

/// Where the interrupt of one channel is to arrive.
#[doc(alias = "NET_DMA_CHANNEL_CPU_AFFINITY")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelAffinity {
    /// The number of the channel.
    pub channel: u32,
    /// The CPU.
    pub cpu: Cpu,
}

/// A channel that was allocated.
pub struct Allocated {
    /// The channel.
    pub channel: Arc<dyn ProviderChannel>,
    /// The CPU that its deferred call will run on (NETDMA-042).
    pub cpu: Cpu,
}

impl fmt::Debug for Allocated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allocated").field("cpu", &self.cpu).finish()
    }
}

/// A driver for an engine that copies memory.
pub trait Provider: Send + Sync {
    /// What the provider says about itself. It never changes.
    fn characteristics(&self) -> Characteristics;

    /// What it would start with now.
    fn attributes(&self) -> Attributes;

    /// Hears where the interrupts of its channels are to arrive: one entry for each channel up to the most it has.
    /// Called within registering, and only on a computer with message interrupts (NETDMA-030, NETDMA-031). A
    /// provider without the handler is not asked.
    #[doc(alias = "ProviderSetDmaChannelCpuAffinity")]
    fn set_channel_affinity(
        &self,
        passive: &Passive,
        channels: &[ChannelAffinity],
    ) -> Result<(), AllocateError> {
        let _ = (passive, channels);
        Err(AllocateError::Unsuccessful)
    }

    /// Allocates a channel, which is usable at once. On failure nothing stays behind (NETDMA-041).
    #[doc(alias = "ProviderAllocateDmaChannel")]
    fn allocate_channel(
        &self,
        level: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError>;
}

/// A channel of a provider.
pub trait ProviderChannel: Send + Sync {
    /// Starts with a new chain. Where an old one still runs, its current descriptor is finished and the others
    /// are dropped (NETDMA-077). `count` means something from version 2.0 on.
    #[doc(alias = "ProviderStartDma")]
    fn start(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError>;

    /// Makes the engine notice that the chain goes on. In version 1.x the tail was linked to `first` before the
    /// call, and the engine may already have gone there by itself (NETDMA-075, RACE-1).
    #[doc(alias = "ProviderAppendDma")]
    fn append(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError>;

    /// Finishes the current descriptor and stops. Returns the last descriptor that was processed, or NULL
    /// (NETDMA-090).
    #[doc(alias = "ProviderSuspendDma")]
    fn suspend(&self, level: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful>;

    /// Goes on behind the last processed descriptor, whose link may have changed (NETDMA-091).
    #[doc(alias = "ProviderResumeDma")]
    fn resume(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful>;

    /// Stops at once, in the middle of the current descriptor. Once it returns success the engine is quiet
    /// (NETDMA-092, RACE-3).
    #[doc(alias = "ProviderAbortDma")]
    fn abort(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful>;

    /// As `abort`, and the channel is as if just allocated (NETDMA-093).
    #[doc(alias = "ProviderResetChannel")]
    fn reset(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful>;

    /// Gives the channel back. The caller guarantees that nothing is outstanding (NETDMA-043). Once it returns,
    /// the interface it was allocated with is called no more (RACE-8).
    #[doc(alias = "ProviderFreeDmaChannel")]
    fn free(&self, level: AtMostDispatch<'_>);
}

/// NetDMA's side of a channel, as a provider sees it.
pub trait ChannelInterface: Send + Sync {
    /// Called from the provider's interrupt handler with the last completed descriptor. Returns the CPU that the
    /// deferred call must be queued on (NETDMA-100).
    #[doc(alias = "NetDmaIsr")]
    fn isr(&self, device: &Device, last: BusAddress) -> Cpu;

    /// Called from the provider's deferred call with the last completed descriptor, or NULL to report an error
    /// (NETDMA-102).
    #[doc(alias = "NetDmaInterruptDpc")]
    fn interrupt_dpc(&self, dispatch: &Dispatch, last: BusAddress);
}

/// Why a channel was not allocated, or not steered to a CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// No channel is left.
    Resources,
    /// A parameter is wrong, or the provider cannot serve now.
    Unsuccessful,
}

impl AllocateError {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Resources => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Unsuccessful => NtStatus::UNSUCCESSFUL,
        }
    }
}

/// Why a chain was not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartError {
    /// Something that is needed has run out.
    Resources,
    /// An argument is wrong, or the engine does not answer.
    Unsuccessful,
}

impl StartError {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Resources => NtStatus::INSUFFICIENT_RESOURCES,
            Self::Unsuccessful => NtStatus::UNSUCCESSFUL,
        }
    }
}

/// Why a chain was not extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AppendError {
    /// The channel is in the wrong state, an argument is wrong, or the engine does not answer.
    Unsuccessful,
}

impl AppendError {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        NtStatus::UNSUCCESSFUL
    }
}

/// The call did not succeed, for no reason that the contract tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsuccessful;

impl Unsuccessful {
    /// The status as the contract returns it.
    pub const fn status(self) -> NtStatus {
        NtStatus::UNSUCCESSFUL
    }
}

macro_rules! displayed_by_status {
    ($($error:ty),*) => {
        $(
            impl fmt::Display for $error {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    fmt::Display::fmt(&self.status(), f)
                }
            }

            impl core::error::Error for $error {}
        )*
    };
}

displayed_by_status!(AllocateError, StartError, AppendError, Unsuccessful);
