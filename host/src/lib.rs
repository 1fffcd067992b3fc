//! A real Linux machine: threads as CPUs.
//!
//! [`Host`] switches a machine on and, when it is dropped, off again; [`Machine`] is the handle that contract code
//! works with. In between there are these threads:
//!
//! * one *dispatcher* per CPU, which runs deferred calls and the routines of timers at DISPATCH;
//! * one *interrupt thread* per CPU, which runs connected handlers at DEVICE level while a line is asserted;
//! * one *clock*, which waits for timers to become due;
//! * one thread per attached [`Device`], which steps its model.
//!
//! Every other thread that calls in counts as a CPU of its own at PASSIVE. Raising the level keeps nobody out, as it
//! keeps no other CPU out on real hardware; the dispatcher and the interrupt thread of one CPU run side by side, too.
//! Who needs to be alone takes a [`Lock`].
//!
//! ```
//! use longshore_core::machine::{Cpu, Deferred, Machine as _, Signal, Waited};
//! use longshore_core::Passive;
//! use longshore_host::{Config, Host};
//! use std::sync::Arc;
//!
//! let host = Host::new(Config::default())?;
//! let machine = host.machine();
//! let passive = Passive::now(machine).expect("a thread starts at PASSIVE");
//! let done = Arc::new(machine.signal(&passive, "done"));
//! let deferred = machine.deferred(&passive, "greeting", Cpu(1), {
//!     let done = done.clone();
//!     move |_dispatch| done.set()
//! });
//! assert!(deferred.queue());
//! assert_eq!(done.wait(&passive), Waited::Signalled);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! A callback that panics is stopped, counted and told about once ([`Machine::panics`]); its thread goes on. Nothing
//! that is triggered allocates: room is made when the object is.
//!
//! Deliberately absent: determinism, faults and judgement, which are the dry dock's.

mod arena;
mod clock;
mod config;
mod controller;
mod deferred;
mod device;
mod dispatcher;
mod free_list;
mod host;
mod line;
mod lock;
mod machine;
mod memory;
mod panics;
mod processor;
mod routine;
mod signal;
mod timer;

pub use arena::Lending;
pub use config::{Config, Observer};
pub use deferred::Deferred;
pub use device::Device;
pub use host::Host;
pub use line::{Connection, Line};
pub use lock::Lock;
pub use machine::Machine;
pub use memory::Memory;
pub use panics::Panic;
pub use signal::Signal;
pub use timer::Timer;
