//! The words that all three contracts speak.
//!
//! Bottom to top:
//! * [`status`]: NTSTATUS as an open number;
//! * [`irql`]: levels, and the tokens that prove at which level code runs;
//! * [`scatter`]: lists of bus ranges, borrowed or of fixed capacity;
//! * [`event`]: what contract code says about itself as it runs;
//! * [`completion`]: the one place where finishing, failing and cancelling race;
//! * [`machine`]: the computer, as a trait.
//!
//! Deliberately absent: anything that allocates, any contract, any engine.
#![cfg_attr(not(loom), no_std)]

pub mod completion;
pub mod event;
pub mod irql;
pub mod machine;
pub mod scatter;
pub mod status;

pub use event::{Event, Owner, Rule};
pub use irql::{AtMostDispatch, Device, Dispatch, Irql, Passive};
pub use machine::Machine;
pub use status::NtStatus;
