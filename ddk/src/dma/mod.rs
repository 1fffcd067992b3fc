//! The DMA of C code.
//!
//! * [`machine`]: the DMA of a machine behind a vtable, and [`shared`], its common buffers;
//! * [`adapters`]: where adapters stand, and what each of them offers;
//! * [`common`]: common buffers, and how they are kept the same on both sides;
//! * [`contexts`]: transfer contexts, by number;
//! * [`lists`]: lists, by where they stand, and [`listed`], each behind its vtable;
//! * [`transfers`]: the calls of a transfer, in the words of `longshore_wdm`;
//! * [`older`]: those of versions 1 and 2.

pub(crate) mod adapters;
pub(crate) mod common;
pub(crate) mod contexts;
pub(crate) mod listed;
pub(crate) mod lists;
pub(crate) mod machine;
pub(crate) mod older;
pub(crate) mod shared;
pub(crate) mod transfers;
