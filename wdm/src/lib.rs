//! The Windows contract for system DMA: adapters, transfers, the completion routine, cancel, and the trait that a
//! DMA controller implements.
//!
//! Bottom to top:
//! * [`status`]: the numbers of the contract; [`operations`]: its calls, by version and level;
//! * [`controller`]: what a DMA controller must offer, the HAL-extension contract; [`Front`]: one in front of another;
//! * [`state`]: the total table of one transfer, from state and call to state and answer;
//! * [`registers`]: the pool of pages through which goes what a device cannot reach;
//! * [`system`]: one registered controller, with its interrupt, its deferred calls and the board that its lock guards;
//!   and the [`platform`](system::platform), which knows all controllers;
//! * [`adapter`]: a device's way to one channel: what the device [says](adapter::description) about its transfers, what
//!   the adapter says about itself, [common buffers](adapter::common);
//! * `channel`: asking for the channel, being granted it, giving it back;
//! * [`transfer`]: from a map to its flush: the plan, what is bounced, the mapping, the ending, [polling](transfer::poll);
//! * [`lists`]: whole lists at once, for bus masters; [`older`]: the calls of versions 1 and 2;
//! * [`verifier`]: what Windows' own DMA verifier would have stopped for.
//!
//! One lock per controller, at the level of its interrupt, serialises every call into the controller and guards
//! every state. No callback runs under it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod adapter;
mod caches;
mod channel;
pub mod controller;
mod front;
pub mod lists;
pub mod older;
pub mod operations;
pub mod registers;
pub mod state;
pub mod status;
pub mod system;
pub mod transfer;
pub mod verifier;

pub use adapter::common::{CachingType, CommonBuffer, CommonBufferError, CommonBufferRequest, FreeRefused};
pub use adapter::description::{
    AdapterError, DescriptionVersion, DeviceDescription, DmaSpeed, DmaWidth, InterfaceType,
};
pub use adapter::info::{AdapterInfo, InfoError, InfoVersion, TransferInfo, TransferQuestion};
pub use adapter::{Adapter, PutRefused};
pub use caches::flush_io_buffers;
pub use channel::allocation::{AdapterControl, AllocateError, Allocation, AllocationRefused, Granted};
pub use controller::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, PortWidths, Program, ProgramError,
    RequestLines,
};
pub use front::Front;
pub use lists::{
    AdapterListControl, BuildMdlError, ListBuffer, ListError, ListRefused, ListRequest, ListSize,
    PutListRefused, ScatterGatherList,
};
pub use older::MdlPiece;
pub use older::mdl::Mdl;
pub use operations::{LevelRule, NotOffered, Operation, Release};
pub use registers::{MapRegisters, RegisterBase};
pub use state::{Refusal, State};
pub use status::{AllocationFlags, DmaCompletionStatus, IoAllocationAction};
pub use system::cascade::Cascade;
pub use system::platform::Platform;
pub use system::{Policy, RegisterError, Setup, SystemDma};
pub use transfer::mapping::{CompletionContext, CompletionRoutine, DeviceObject, Refused};
pub use transfer::poll::{EndRoutine, TransferWatch};
pub use transfer::{
    ElementList, FlushError, FlushRequest, MapError, MapRequest, Progress, ScatterGather, TransferContext,
};
