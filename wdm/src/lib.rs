//! The Windows contract for system DMA: adapters, transfers, the completion routine, cancel, and the trait that a
//! DMA controller implements.
//!
//! Bottom to top:
//! * [`status`]: the numbers of the contract;
//! * [`description`]: what a device says about its transfers;
//! * [`controller`]: what a DMA controller must offer, the HAL-extension contract;
//! * [`state`]: the total table of one transfer, from state and call to state and answer;
//! * [`registers`]: the pool of pages through which goes what a device cannot reach;
//! * [`system`]: one registered controller: its interrupt, its deferred calls, its channels;
//! * [`platform`]: all controllers of a computer, and its map registers;
//! * [`adapter`]: a device's way to one channel: allocating, freeing, reading the counter;
//! * [`transfer`]: what is mapped and flushed, and why not;
//! * [`operations`]: the table of all operations, by version and level;
//! * [`verifier`]: what Windows' own DMA verifier would have stopped for.
//!
//! One lock per controller, at the level of its interrupt, serialises every call into the controller and guards
//! every state. No callback runs under it.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod adapter;
mod allocation;
mod board;
mod bounce;
pub mod common;
pub mod controller;
pub mod description;
mod ending;
mod grants;
mod hardware;
pub mod info;
pub mod lists;
mod map;
mod mapping;
mod master;
pub mod mdl;
pub mod older;
pub mod operations;
mod plan;
pub mod platform;
pub mod poll;
pub mod registers;
mod release;
pub mod state;
pub mod status;
pub mod system;
pub mod transfer;
pub mod verifier;

pub use adapter::{Adapter, PutRefused};
pub use allocation::{AdapterControl, AllocateError, Allocation, AllocationRefused, Granted};
pub use common::{CachingType, CommonBuffer, CommonBufferError, CommonBufferRequest, FreeRefused};
pub use controller::{
    ChannelAttributes, Controller, ControllerAttributes, InterruptType, PortWidths, Program, ProgramError,
    RequestLines,
};
pub use description::{
    AdapterError, DescriptionVersion, DeviceDescription, DmaSpeed, DmaWidth, InterfaceType,
};
pub use info::{AdapterInfo, InfoError, InfoVersion, TransferInfo, TransferQuestion};
pub use lists::{
    AdapterListControl, BuildMdlError, ListBuffer, ListError, ListRefused, ListRequest, ListSize,
    PutListRefused, ScatterGatherList,
};
pub use mapping::{CompletionContext, CompletionRoutine, DeviceObject, Refused};
pub use mdl::Mdl;
pub use older::MdlPiece;
pub use operations::{LevelRule, NotOffered, Operation, Release};
pub use platform::Platform;
pub use poll::{EndRoutine, TransferWatch};
pub use registers::{MapRegisters, RegisterBase};
pub use state::{Refusal, State};
pub use status::{AllocationFlags, DmaCompletionStatus, IoAllocationAction};
pub use system::{Policy, RegisterError, Setup, SystemDma};
pub use transfer::{
    ElementList, FlushError, FlushRequest, MapError, MapRequest, Progress, ScatterGather, TransferContext,
};
