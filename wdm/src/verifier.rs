//! What Windows' own DMA verifier stops a driver for: the codes of its bug check 0xE6.
//!
//! The stack refuses misuse whether anybody watches or not. Where Windows has a code for it, the machine also hears an
//! [`Event::VerifierStop`]; [`stop`] reads it. So the verifier is an observer of events: it is on where somebody
//! listens, off where nobody does, and never stops anything by itself.
//!
//! ```
//! use longshore_core::{Event, Rule};
//! use longshore_wdm::verifier::{self, Code};
//! let heard = Event::VerifierStop { call: "FreeAdapterChannel", code: 0x0d, rule: Rule("WDM-190") };
//! let stop = verifier::stop(&heard).unwrap();
//! assert_eq!(stop.code, Code::NOT_FLUSHED);
//! assert_eq!(stop.to_string(), "0xE6/0x0D at FreeAdapterChannel: adapter buffers were not flushed (WDM-190)");
//! ```

use crate::adapter::description::AdapterError;
use crate::channel::allocation::AllocateError;
use crate::lists::ListError;
use crate::operations::NotOffered;
use crate::state::Refusal;
use crate::transfer::{FlushError, MapError};
use core::fmt;
use longshore_core::event::{Event, Rule};

/// The first parameter of the bug check.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(pub u8);

/// Where a code can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// In this crate, by an event.
    Here,
    /// At the edge to C only: in Rust it does not compile, or there is nothing to get wrong.
    InC,
    /// In the dry dock only, which knows who owns each byte.
    InTheDryDock,
    /// Nowhere, for this reason.
    Nowhere(&'static str),
}

/// A code, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// What the driver did.
    pub what: &'static str,
    /// Where it is seen.
    pub seen: Seen,
}

macro_rules! codes {
    ($($number:literal $name:ident $seen:expr, $what:literal;)*) => {
        impl Code {
            $(#[doc = concat!($what, ".")]
            pub const $name: Self = Self($number);)*
        }

        /// Every code that Windows documents (WDM-330).
        pub const CODES: &[Entry] = &[$(Entry { code: Code($number), what: $what, seen: $seen }),*];
    };
}

codes! {
    0x00 BEYOND_REGISTERS Seen::Here, "a flush reached beyond what was mapped";
    0x01 COUNTER_DECREASED Seen::Nowhere("there is one clock, and the machine is trusted with it"), "the performance counter went back";
    0x02 COUNTER_TOO_FAST Seen::Nowhere("there is one clock, and the machine is trusted with it"), "the performance counter grew too fast";
    0x03 COMMON_BUFFER_FREED_TWICE Seen::Here, "a common buffer was freed that is not one, or not with its arguments";
    0x04 CHANNEL_FREED_TWICE Seen::Here, "a channel was freed that was not held";
    0x05 REGISTERS_FREED_TWICE Seen::Here, "map registers were freed that were not held";
    0x06 LIST_FREED_TWICE Seen::InC, "a scatter/gather list was put that was not out";
    0x07 COMMON_BUFFERS_OUT Seen::Here, "an adapter was put with common buffers outstanding";
    0x08 CHANNELS_OUT Seen::Here, "an adapter was put with its channel or a request for it outstanding";
    0x09 REGISTERS_OUT Seen::Here, "an adapter was put with map registers outstanding";
    0x0a LISTS_OUT Seen::Here, "an adapter was put with scatter/gather lists outstanding";
    0x0b SECOND_CHANNEL Seen::Here, "a second channel was asked for with a request that was not over";
    0x0c REGISTERS_AT_ONCE Seen::Nowhere("a request that finds too few waits for its turn"), "too many map registers were held at once";
    0x0d NOT_FLUSHED Seen::Here, "adapter buffers were not flushed";
    0x0e NOT_LOCKED Seen::InC, "the buffer is pageable, or not locked";
    0x0f OVERRUN Seen::InTheDryDock, "the device wrote outside of the buffer";
    0x10 FREED_WHILE_MAPPED Seen::Here, "map registers were freed that were still mapped";
    0x11 TOO_MANY_REFERENCES Seen::Nowhere("handles are counted, and counting does not end"), "there are too many references to the adapter";
    0x13 WRONG_LEVEL Seen::Here, "the caller ran at the wrong level";
    0x14 WRONG_LEVEL_GENERIC Seen::Nowhere("0x13 says it of every call"), "the caller ran at the wrong level, in general";
    0x15 TOO_MANY_REGISTERS Seen::Here, "more map registers were asked for than the adapter has";
    0x16 NOT_THE_MAPPED_BUFFER Seen::Here, "a buffer was flushed that is not the one that is mapped";
    0x18 RELEASED_ADAPTER Seen::InC, "an adapter was used that had been put";
    0x19 NULL_ADAPTER Seen::InC, "there was no adapter";
    0x1b OUTSIDE_MDL Seen::Here, "the address is not inside of the MDL";
    0x1d MAPPED_TWICE Seen::Here, "what was mapped was mapped again";
    0x1e HAL_GET_ADAPTER Seen::Nowhere("there is no such call"), "HalGetAdapter was called";
    0x1f BAD_BUFFER Seen::Here, "the buffer begins behind the end of its MDLs";
    0x20 NEVER_MAPPED Seen::Here, "there was a flush and nothing had been mapped";
    0x21 ZERO_LENGTH Seen::Here, "a map had no length";
    0x22 NO_SYSTEM_ADDRESS Seen::Nowhere("what is mapped here needs no virtual address"), "the buffer has no system address";
    0x23 FLUSHED_WHILE_RUNNING Seen::Here, "a channel was flushed that was neither complete nor cancelled";
    0x24 BUFFER_TOO_SHORT Seen::Here, "the buffer is shorter than the length asked for";
    0x25 UNKNOWN_VERSION Seen::Here, "there is no such version of the device description";
    0x26 OUTSIDE_DOMAIN Seen::InTheDryDock, "the device reached memory that was not given to it";
}

impl Code {
    /// What is known of it.
    pub fn entry(self) -> Option<&'static Entry> {
        CODES.iter().find(|entry| entry.code == self)
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0xE6/0x{:02X}", self.0)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// One thing that Windows would have stopped for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Why.
    pub code: Code,
    /// In which call.
    pub call: &'static str,
    /// The rule that the driver broke.
    pub rule: Rule,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = self.code.entry().map_or("an unknown code", |entry| entry.what);
        write!(f, "{} at {}: {what} ({})", self.code, self.call, self.rule)
    }
}

/// What an event says that Windows would have stopped for, if it says so.
pub fn stop(event: &Event) -> Option<Stop> {
    match *event {
        Event::VerifierStop { call, code, rule } => Some(Stop {
            code: Code(code),
            call,
            rule,
        }),
        _ => None,
    }
}

/// The code for a refusal of the table. It depends on the call: a context without a channel is one thing to a free
/// and another to a flush.
pub(crate) fn of_refusal(refusal: Refusal, call: &str) -> Option<Code> {
    let frees = matches!(
        call,
        "FreeAdapterChannel" | "FreeAdapterObject" | "AdapterControl"
    );
    let flushes = call.starts_with("FlushAdapterBuffers");
    Some(match refusal {
        Refusal::NotAllocated if frees => Code::CHANNEL_FREED_TWICE,
        Refusal::NotAllocated if flushes => Code::NEVER_MAPPED,
        Refusal::StillMapped if frees => Code::NOT_FLUSHED,
        Refusal::StillMapped => Code::FREED_WHILE_MAPPED,
        Refusal::NotKept | Refusal::WrongCount => Code::REGISTERS_FREED_TWICE,
        Refusal::NotFlushed => Code::MAPPED_TWICE,
        Refusal::NotUnique if call.starts_with("AllocateAdapterChannel") => Code::SECOND_CHANNEL,
        Refusal::OneAtATime => Code::SECOND_CHANNEL,
        Refusal::CommonBufferOut => Code::COMMON_BUFFERS_OUT,
        Refusal::ListOut => Code::LISTS_OUT,
        Refusal::RegistersOut => Code::REGISTERS_OUT,
        Refusal::Outstanding => Code::CHANNELS_OUT,
        _ => return None,
    })
}

pub(crate) fn of_map(error: MapError, call: &str) -> Option<Code> {
    match error {
        MapError::NoBytes => Some(Code::ZERO_LENGTH),
        MapError::BehindBuffer => Some(Code::BAD_BUFFER),
        MapError::OutsideBuffer => Some(Code::BUFFER_TOO_SHORT),
        MapError::OutsideMdl => Some(Code::OUTSIDE_MDL),
        MapError::Refused(refusal) => of_refusal(refusal, call),
        _ => None,
    }
}

pub(crate) fn of_flush(error: FlushError, call: &str) -> Option<Code> {
    match error {
        FlushError::Mismatch => Some(Code::NOT_THE_MAPPED_BUFFER),
        FlushError::Lost | FlushError::NotQuiet => None,
        FlushError::Refused(refusal) => of_refusal(refusal, call),
    }
}

pub(crate) fn of_allocation(error: AllocateError, call: &str) -> Option<Code> {
    match error {
        AllocateError::TooManyRegisters => Some(Code::TOO_MANY_REGISTERS),
        AllocateError::Refused(refusal) => of_refusal(refusal, call),
        _ => None,
    }
}

pub(crate) fn of_list(error: ListError, call: &str) -> Option<Code> {
    match error {
        ListError::OutsideBuffer => Some(Code::BUFFER_TOO_SHORT),
        ListError::NotOffered(why) => of_offer(why),
        ListError::NotAllocated(why) => of_allocation(why, call),
        ListError::NotMapped(why) => of_map(why, call),
        _ => None,
    }
}

pub(crate) fn of_adapter(error: AdapterError) -> Option<Code> {
    (error == AdapterError::UnknownVersion).then_some(Code::UNKNOWN_VERSION)
}

pub(crate) fn of_offer(error: NotOffered) -> Option<Code> {
    matches!(error, NotOffered::WrongLevel(_)).then_some(Code::WRONG_LEVEL)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: WDM-330.
    #[test]
    fn every_documented_code_is_there_once_in_order() {
        assert!(CODES.is_sorted_by(|one, other| one.code < other.code));
        let missing = [0x12, 0x17, 0x1a, 0x1c];
        for number in 0..=0x26 {
            assert_eq!(
                Code(number).entry().is_none(),
                missing.contains(&number),
                "{number:#x}"
            );
        }
    }

    #[test]
    fn only_its_own_event_stops() {
        assert_eq!(stop(&Event::Note("nothing")), None);
    }
}
