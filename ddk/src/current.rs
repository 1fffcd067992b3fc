//! Which machine C code runs on.
//!
//! Windows' routines name no machine. Each way into C code notes its own here, for the thread that it runs on. It stays
//! noted when the C code returns: on the deterministic machine others of the same thread may still be inside, and they
//! are on the same machine. Whoever calls out of C code into Rust code puts its own machine back afterwards.

use crate::edge::Edge;
use std::cell::RefCell;
use std::sync::{Arc, Weak};

thread_local! {
    static CURRENT: RefCell<Weak<Edge>> = const { RefCell::new(Weak::new()) };
}

/// C code that this thread calls from here on runs on the machine of `edge`.
pub(crate) fn set(edge: &Weak<Edge>) {
    let before = CURRENT.replace(edge.clone());
    drop(before);
}

/// The machine of the calling C code, unless there is none or it is gone.
pub(crate) fn get() -> Option<Arc<Edge>> {
    CURRENT.with_borrow(Weak::upgrade)
}
