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
use longshore_core::{AtMostDispatch, Device, Dispatch, NtStatus};
use longshore_hardware::BusAddress;

bitflags! {
    /// Which of the optional handlers a provider has (NETDMA-021).
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct Handlers: u32 {
        /// `suspend` and `resume`, which come as a pair.
        const SUSPEND_RESUME = 0x1;
        /// `abort`.
        const ABORT = 0x2;
        /// `reset`.
        const RESET = 0x4;
    }
}

/// What a provider says about itself.
#[doc(alias = "NET_DMA_PROVIDER_CHARACTERISTICS")]
#[doc(alias = "NET_DMA_PROVIDER_ATTRIBUTES")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Characteristics {
    /// The version of the contract it implements.
    pub version: Version,
    /// The optional handlers it has. A handler that is absent answers `Unsuccessful`.
    pub handlers: Handlers,
    /// How many channels it can have open at once.
    pub max_channels: u32,
    /// The most bytes that one descriptor may move (NETDMA-055).
    pub maximum_transfer_size: u32,
}

/// What NetDMA asks of a channel when it allocates one.
#[doc(alias = "NET_DMA_CHANNEL_PARAMETERS")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelParameters {
    /// Where the engine writes the completion word; NULL for nowhere. A multiple of eight (NETDMA-044).
    pub completion: BusAddress,
    /// The channel's urgency against others of the engine. Higher is more urgent.
    pub priority: u32,
    /// The CPUs that the channel's deferred call may run on, one bit each.
    pub cpus: u32,
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

/// Why a channel was not allocated.
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
