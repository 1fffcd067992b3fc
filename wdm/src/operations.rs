//! The table of operations: what an adapter of each version offers, and at which level.
//!
//! Every operation is reached through an adapter (WDM-038), so here they are methods of it. This table says what a
//! method alone cannot: which entries an adapter has, by the version its driver asked for.
//!
//! Nobody makes an adapter, but whoever asks a platform or a controller for one:
//!
//! ```compile_fail
//! use longshore_core::{Machine, Passive};
//! use longshore_wdm::{Adapter, SystemDma};
//! fn alignment<M: Machine>(passive: &Passive, system: SystemDma<M>) -> u32 {
//!     Adapter::from(system).alignment(passive)
//! }
//! ```
//!
//! ```
//! use longshore_core::{Machine, Passive};
//! use longshore_wdm::{Adapter, DeviceDescription, SystemDma};
//! fn alignment<M: Machine>(passive: &Passive, system: SystemDma<M>, device: DeviceDescription) -> Option<u32> {
//!     let adapter: Adapter<M> = system.adapter(passive, device).ok()?;
//!     Some(adapter.alignment(passive))
//! }
//! ```

use crate::adapter::Adapter;
use crate::description::DescriptionVersion;
use crate::mapping::{Refused, report};
use crate::verifier::{self, Code};
use core::fmt;
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::{Irql, NtStatus};

/// Since when a table has an entry. A table is as long as its release says, and later ones only append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Device descriptions of version 0 and 1.
    Version1,
    /// Device descriptions of version 2.
    Version2,
    /// Device descriptions of version 3, on Windows 8.
    Version3,
    /// The first Windows 10.
    Windows10,
    /// Windows 10, version 1803.
    Windows10April2018,
    /// A later Windows 10.
    LaterWindows10,
    /// Windows Server 2022.
    Server2022,
}

impl Release {
    /// Every release, from the first on.
    pub const ALL: [Self; 7] = [
        Self::Version1,
        Self::Version2,
        Self::Version3,
        Self::Windows10,
        Self::Windows10April2018,
        Self::LaterWindows10,
        Self::Server2022,
    ];

    /// How many entries its table has.
    pub fn entries(self) -> usize {
        Operation::ALL
            .iter()
            .filter(|operation| operation.since() <= self)
            .count()
    }

    /// How many bytes its table has where a pointer has so many: a size, which takes a pointer's place, and an entry
    /// for each operation.
    pub fn table_size(self, pointer: usize) -> usize {
        pointer * (1 + self.entries())
    }
}

/// At which level an operation may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LevelRule {
    /// At PASSIVE_LEVEL only.
    Passive,
    /// At or below DISPATCH_LEVEL.
    AtMostDispatch,
    /// At exactly DISPATCH_LEVEL.
    Dispatch,
    /// At any level.
    Any,
}

impl LevelRule {
    /// Whether a caller at this level may call. In Rust the tokens say so; this is for the edge to a language without
    /// them (A-26).
    pub fn admits(self, level: Irql) -> bool {
        match self {
            Self::Passive => level == Irql::PASSIVE,
            Self::AtMostDispatch => level <= Irql::DISPATCH,
            Self::Dispatch => level == Irql::DISPATCH,
            Self::Any => true,
        }
    }
}

macro_rules! operations {
    ($($since:ident { $($(#[$doc:meta])* $name:ident: $level:ident,)* })*) => {
        /// An operation of an adapter, in the order of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        #[doc(alias = "DMA_OPERATIONS")]
        pub enum Operation {
            $($($(#[$doc])* $name,)*)*
        }

        impl Operation {
            /// Every entry of the table.
            pub const ALL: &[Self] = &[$($(Self::$name,)*)*];

            /// Its name in the contract.
            pub const fn name(self) -> &'static str {
                match self {
                    $($(Self::$name => stringify!($name),)*)*
                }
            }

            /// Since when tables have it.
            pub const fn since(self) -> Release {
                match self {
                    $($(Self::$name => Release::$since,)*)*
                }
            }

            /// At which level it may be called.
            pub const fn level(self) -> LevelRule {
                match self {
                    $($(Self::$name => LevelRule::$level,)*)*
                }
            }
        }
    };
}

operations! {
    Version1 {
        /// Gives the adapter back.
        PutDmaAdapter: AtMostDispatch,
        /// Makes memory that CPU and device share.
        AllocateCommonBuffer: Passive,
        /// Frees it.
        FreeCommonBuffer: Passive,
        /// Asks for the channel, without a context.
        AllocateAdapterChannel: Dispatch,
        /// Ends a mapping of MapTransfer.
        FlushAdapterBuffers: AtMostDispatch,
        /// Frees the channel.
        FreeAdapterChannel: Dispatch,
        /// Frees map registers that outlived their channel.
        FreeMapRegisters: Dispatch,
        /// Maps one run of a buffer.
        MapTransfer: AtMostDispatch,
        /// What buffers must be multiples of.
        GetDmaAlignment: Passive,
        /// How many bytes are left.
        ReadDmaCounter: AtMostDispatch,
        /// Maps a whole buffer as a list.
        GetScatterGatherList: Dispatch,
        /// Ends the mapping of a list.
        PutScatterGatherList: Dispatch,
    }
    Version2 {
        /// How long a list will be.
        CalculateScatterGatherList: Any,
        /// Maps a whole buffer as a list in the caller's memory.
        BuildScatterGatherList: Dispatch,
        /// A list as a buffer again.
        BuildMdlFromScatterGatherList: AtMostDispatch,
    }
    Version3 {
        /// What the channel can do.
        GetDmaAdapterInfo: AtMostDispatch,
        /// What a transfer will take.
        GetDmaTransferInfo: AtMostDispatch,
        /// Makes a context ready.
        InitializeDmaTransferContext: AtMostDispatch,
        /// Makes memory that CPU and device share, below an address.
        AllocateCommonBufferEx: Passive,
        /// Asks for the channel.
        AllocateAdapterChannelEx: Dispatch,
        /// Calls a function of the controller's own.
        ConfigureAdapterChannel: AtMostDispatch,
        /// Takes a waiting request back.
        CancelAdapterChannel: AtMostDispatch,
        /// Maps a piece of a buffer.
        MapTransferEx: AtMostDispatch,
        /// Maps a piece of a buffer as a list.
        GetScatterGatherListEx: AtMostDispatch,
        /// The same, in the caller's memory.
        BuildScatterGatherListEx: Dispatch,
        /// Ends a mapping.
        FlushAdapterBuffersEx: AtMostDispatch,
        /// Frees what an action says.
        FreeAdapterObject: AtMostDispatch,
        /// Stops a transfer.
        CancelMappedTransfer: AtMostDispatch,
    }
    Windows10 {
        /// Not here.
        AllocateDomainCommonBuffer: Passive,
        /// Not here.
        FlushDmaBuffer: AtMostDispatch,
        /// Not here.
        JoinDmaDomain: Passive,
        /// Not here.
        LeaveDmaDomain: Passive,
        /// Not here.
        GetDmaDomain: Passive,
    }
    Windows10April2018 {
        /// Not here.
        AllocateCommonBufferWithBounds: Passive,
    }
    LaterWindows10 {
        /// Not here.
        AllocateCommonBufferVector: Passive,
        /// Not here.
        GetCommonBufferFromVectorByIndex: Passive,
        /// Not here.
        FreeCommonBufferFromVector: Passive,
        /// Not here.
        FreeCommonBufferVector: Passive,
    }
    Server2022 {
        /// Not here.
        CreateCommonBufferFromMdl: Passive,
    }
}

impl Operation {
    /// Which entry of the table it is, counted from 1: the table's size stands before the first.
    pub const fn number(self) -> u32 {
        self as u32 + 1
    }

    /// Why there is no such operation here, if there is none.
    pub const fn missing(self) -> Option<&'static str> {
        Some(match self {
            Self::AllocateDomainCommonBuffer
            | Self::JoinDmaDomain
            | Self::LeaveDmaDomain
            | Self::GetDmaDomain => {
                "there are no translation domains here: a bus address is an address of memory"
            }
            Self::FlushDmaBuffer => "map and flush do all the cache work there is",
            Self::AllocateCommonBufferWithBounds => {
                "memory has no lowest address, caching type or large pages to choose; AllocateCommonBufferEx has a highest one"
            }
            Self::AllocateCommonBufferVector
            | Self::GetCommonBufferFromVectorByIndex
            | Self::FreeCommonBufferFromVector
            | Self::FreeCommonBufferVector => "common buffers are made one by one",
            Self::CreateCommonBufferFromMdl => {
                "memory that is not from AllocateCommonBuffer is mapped, not shared"
            }
            _ => return None,
        })
    }

    /// Whether a driver may use it whose adapter's table is of this release.
    pub fn in_table_of(self, release: Release) -> Result<(), NotOffered> {
        if self.missing().is_some() {
            Err(NotOffered::Missing(self))
        } else if self.since() > release {
            Err(NotOffered::LaterVersion(self))
        } else {
            Ok(())
        }
    }
}

/// Why a driver may not call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOffered {
    /// No adapter here does.
    Missing(Operation),
    /// The driver asked for an adapter of an earlier version.
    LaterVersion(Operation),
    /// The caller runs at a level at which it must not be called.
    WrongLevel(Operation),
}

impl NotOffered {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::Missing(_) | Self::LaterVersion(_) => NtStatus::NOT_SUPPORTED,
            Self::WrongLevel(_) => NtStatus::INVALID_PARAMETER,
        }
    }
}

impl Refused for NotOffered {
    fn status(&self) -> NtStatus {
        (*self).status()
    }

    fn broken_rule(&self) -> Option<Rule> {
        match self {
            Self::Missing(_) => None,
            Self::LaterVersion(_) => Some(Rule("WDM-249")),
            Self::WrongLevel(_) => Some(Rule("WDM-090")),
        }
    }

    fn code(&self, call: &'static str) -> Option<Code> {
        let _ = call;
        verifier::of_offer(*self)
    }
}

impl fmt::Display for NotOffered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (operation, why) = match self {
            Self::Missing(operation) => (operation, operation.missing().unwrap_or_default()),
            Self::LaterVersion(operation) => {
                (operation, "the driver asked for an adapter of an earlier version")
            }
            Self::WrongLevel(operation) => (operation, "the caller runs at the wrong level"),
        };
        write!(f, "{} cannot be called: {why}", operation.name())
    }
}

impl core::error::Error for NotOffered {}

impl<M: Machine> Adapter<M> {
    /// How long the adapter's table is: by the version its driver asked for. It is not what the first word of an adapter
    /// says, which is [`Self::TABLE_VERSION`] for all of them (A-01).
    pub fn table(&self) -> Release {
        match self.description().version {
            DescriptionVersion::V0 | DescriptionVersion::V1 => Release::Version1,
            DescriptionVersion::V2 => Release::Version2,
            _ => Release::Version3,
        }
    }

    /// What the first word of every adapter says, whatever its version (WDM-032).
    pub const TABLE_VERSION: u16 = 1;

    /// Whether the adapter has an operation, and why not.
    pub fn offers(&self, operation: Operation) -> Result<(), NotOffered> {
        operation.in_table_of(self.table())
    }

    /// Whether the caller may call an operation here and now. What is refused is reported.
    ///
    /// For the edge to a language without tokens and methods, before each call (A-26): in Rust what the adapter has not
    /// cannot be called at all, and the level is a type.
    pub fn admits(&self, operation: Operation) -> Result<(), NotOffered> {
        let admitted = self.offers(operation).and_then(|()| {
            if operation.level().admits(self.machine().level()) {
                Ok(())
            } else {
                Err(NotOffered::WrongLevel(operation))
            }
        });
        if let Err(why) = &admitted {
            report(self.machine(), operation.name(), why);
        }
        admitted
    }
}

#[cfg(test)]
mod tests;
