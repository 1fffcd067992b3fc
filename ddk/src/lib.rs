//! Drivers in C: the Windows names and layouts as a C ABI, and what judges a driver in C like any other.
//!
//! A driver is compiled against the headers in `include/` into a shared object. [`Module::load`] loads it, and
//! [`Edge::attach`] gives it a device on a machine, where it registers its provider; [`Attached::provider`] is that
//! provider as [`longshore_netdma::Provider`]. Its life is the [interface](longshore_netdma::NetDma)'s that the edge was
//! opened with, and clients in Rust have channels of it there.
//!
//! A driver of a device with system DMA, or of a bus master, gets its adapters from `IoGetDmaAdapter` where the edge was
//! opened with the DMA of its machine ([`Edge::open_with_dma`]).
//!
//! A miniport driver that a module registers is initialised once its device is attached, with the channel that
//! [`Edge::attach_miniport`] was told of, and halted before it is detached.
//!
//! * [`abi`]: the layouts of the headers, as Rust sees them;
//! * [`edge`]: a machine as C code sees it;
//! * [`module`]: shared objects, and devices that are given to them;
//! * [`provider`]: a provider in C.
//!
//! The routines that the headers declare are exported by this crate; the program that loads a module must be linked
//! with `-rdynamic`. Nothing that C hands in is trusted: handles are looked up, objects are known by where they stand,
//! levels and sizes are checked, and whatever breaks the contract is refused, and told as
//! [`Event::Misuse`](longshore_core::Event::Misuse).
//!
//! Unsafe code is in four modules only: `memory` reads and writes what C points at, `calls` calls C, `exports` has the
//! symbols, and `module` loads.

pub mod abi;
mod calls;
mod channel;
mod current;
mod deferred;
mod dma;
mod driver;
pub mod edge;
mod exports;
mod handles;
mod interface;
mod interrupts;
mod mdl;
mod memory;
pub mod module;
mod ndis;
mod pool;
pub mod provider;
mod registry;
mod spin;
mod told;
mod world;

pub use edge::Edge;
pub use module::{Attached, LoadError, Module};
pub use provider::CProvider;
