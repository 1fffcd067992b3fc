//! Levels, and tokens that prove them.
//!
//! A token says "this code runs at that level, here and now". Tokens cannot be sent to another thread, so a
//! callback, which must be `Send`, cannot capture one:
//!
//! ```compile_fail
//! use longshore_core::{Machine, Passive};
//! fn sneak<M: Machine>(machine: &M, passive: Passive) {
//!     machine.deferred(&Passive::now(machine).unwrap(), "late", machine.cpu(), move |_| {
//!         let _ = &passive; // a PASSIVE token inside a callback at DISPATCH
//!     });
//! }
//! ```
//!
//! The same code without the captured token compiles:
//!
//! ```
//! use longshore_core::{Machine, Passive};
//! fn honest<M: Machine>(machine: &M) {
//!     machine.deferred(&Passive::now(machine).unwrap(), "late", machine.cpu(), move |_| {});
//! }
//! ```
//!
//! What takes [`AtMostDispatch`] can be called at PASSIVE and at DISPATCH, but not from an interrupt handler:
//!
//! ```compile_fail
//! use longshore_core::{AtMostDispatch, Device};
//! fn abort(_: AtMostDispatch<'_>) {}
//! fn isr(device: &Device) { abort(device.into()); }
//! ```
//!
//! ```
//! use longshore_core::{AtMostDispatch, Dispatch, Passive};
//! fn abort(_: AtMostDispatch<'_>) {}
//! fn deferred(dispatch: &Dispatch) { abort(dispatch.into()); }
//! fn thread(passive: &Passive) { abort(passive.into()); }
//! ```

use crate::event::{Event, Rule};
use crate::machine::Machine;
use crate::status::NtStatus;
use core::fmt;
use core::marker::PhantomData;

/// An interrupt request level.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Irql(pub u8);

impl Irql {
    /// Ordinary threads.
    pub const PASSIVE: Self = Self(0);
    /// Deferred calls, and whatever must not be interrupted by them.
    pub const DISPATCH: Self = Self(2);
    /// The lowest level of a device's interrupt handler.
    pub const DEVICE: Self = Self(3);
    /// Nothing interrupts this.
    pub const HIGH: Self = Self(15);
}

impl fmt::Debug for Irql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::PASSIVE => f.write_str("PASSIVE_LEVEL"),
            Self::DISPATCH => f.write_str("DISPATCH_LEVEL"),
            Self::HIGH => f.write_str("HIGH_LEVEL"),
            Self(other) => write!(f, "device level {other}"),
        }
    }
}

macro_rules! token {
    ($(#[$doc:meta])* $name:ident, $look:ident, $is:expr) => {
        $(#[$doc])*
        pub struct $name(PhantomData<*const ()>);

        impl $name {
            /// The token, if `machine` runs the caller at this level now.
            pub fn $look<M: Machine>(machine: &M) -> Option<Self> {
                let is: fn(Irql) -> bool = $is;
                is(machine.level()).then_some(Self(PhantomData))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

token! {
    /// The caller runs at PASSIVE_LEVEL: it may wait and allocate.
    Passive, probe, |level| level == Irql::PASSIVE
}
token! {
    /// The caller runs at exactly DISPATCH_LEVEL: it may neither wait nor be interrupted by deferred calls.
    Dispatch, now, |level| level == Irql::DISPATCH
}
token! {
    /// The caller is an interrupt handler.
    Device, now, |level| level >= Irql::DEVICE
}

/// The name under which [`Passive::now`] tells that it was asked where it had to refuse.
pub const ASKED_FOR_PASSIVE: &str = "Passive::now";

impl Passive {
    /// The token, for a caller that must run at PASSIVE. Refused anywhere else, and told as misuse: whoever asks from
    /// a completion routine has a bug. Who only wants to know where he runs calls [`Self::probe`].
    pub fn now<M: Machine>(machine: &M) -> Option<Self> {
        let token = Self::probe(machine);
        if token.is_none() {
            machine.emit(Event::Misuse(
                ASKED_FOR_PASSIVE,
                Rule("WDM-090"),
                NtStatus::INVALID_DEVICE_STATE,
            ));
        }
        token
    }
}

/// The caller runs at or below DISPATCH_LEVEL.
#[derive(Clone, Copy, Debug)]
pub struct AtMostDispatch<'a>(PhantomData<(&'a (), *const ())>);

impl<'a> AtMostDispatch<'a> {
    /// The token, if `machine` runs the caller at such a level now.
    pub fn now<M: Machine>(machine: &'a M) -> Option<Self> {
        (machine.level() <= Irql::DISPATCH).then_some(Self(PhantomData))
    }
}

impl<'a> From<&'a Passive> for AtMostDispatch<'a> {
    fn from(_: &'a Passive) -> Self {
        Self(PhantomData)
    }
}

impl<'a> From<&'a Dispatch> for AtMostDispatch<'a> {
    fn from(_: &'a Dispatch) -> Self {
        Self(PhantomData)
    }
}
