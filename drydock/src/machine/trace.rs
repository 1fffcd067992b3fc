//! What happened in a run, step by step, and how to say it in plain words.

use super::arena::View;
use longshore_core::NtStatus;
use longshore_core::event::{Event, Owner};
use longshore_core::irql::Irql;
use longshore_hardware::netdma::CompletionWord;
use longshore_hardware::{BusAddress, BusRange};
use longshore_ndis::NdisStatus;
use longshore_wdm::verifier;
use std::fmt;

/// One step of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Virtual time, in nanoseconds.
    pub at: u64,
    /// The CPU, or `None` for a device.
    pub cpu: Option<u32>,
    /// The level the CPU ran at.
    pub level: Irql,
    /// What happened.
    pub what: What,
}

/// What happened in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// Contract code said something.
    Event(Event),
    /// Bytes were read.
    Read(View, BusRange),
    /// Bytes were written.
    Wrote(View, BusRange),
    /// 64 bits were read.
    Loaded(View, BusAddress, u64),
    /// 64 bits were written.
    Stored(View, BusAddress, u64),
    /// An access failed.
    BusError(View, BusAddress),
    /// A device's register was read.
    RegisterRead(&'static str, u64, u64),
    /// A device's register was written.
    RegisterWritten(&'static str, u64, u64),
    /// A line was asserted.
    Raised(&'static str),
    /// A line was released.
    Lowered(&'static str),
    /// A deferred call was queued.
    Queued(&'static str),
    /// A timer was armed, for so many nanoseconds.
    Armed(&'static str, u64),
    /// A piece of code begins: a thread, a handler, a deferred call, a timer's routine.
    Begins(&'static str, &'static str),
    /// It ends.
    Ends(&'static str, &'static str),
    /// A thread waits for an event.
    Waits(&'static str),
    /// A wait ran out of time.
    TimedOut(&'static str),
    /// An event was signalled.
    Signalled(&'static str),
    /// A lock was taken.
    Locked(&'static str),
    /// A lock was given back.
    Unlocked(&'static str),
    /// The scenario's intruder acts now.
    Strike,
    /// A fault happens now.
    Fault(&'static str),
}

impl What {
    /// Whether oracles are shown the step: those in which memory or a line changed, or a device read.
    pub(crate) fn is_for_oracles(&self) -> bool {
        matches!(
            self,
            Self::Wrote(..)
                | Self::Stored(..)
                | Self::Read(View::Device, _)
                | Self::Loaded(View::Device, ..)
                | Self::BusError(..)
                | Self::Raised(_)
                | Self::Lowered(_)
        )
    }
}

fn who(view: View) -> &'static str {
    match view {
        View::Cpu => "software",
        View::Device => "the device",
    }
}

fn owner(owner: Owner) -> &'static str {
    match owner {
        Owner::Nobody => "nobody",
        Owner::Cpu => "software",
        Owner::Device => "the device",
        Owner::Both => "both sides",
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7}.{:03} us  ", self.at / 1000, self.at % 1000)?;
        match self.cpu {
            Some(cpu) => write!(f, "cpu {cpu} {:<9} ", level_name(self.level))?,
            None => write!(f, "device          ")?,
        }
        fmt::Display::fmt(&self.what, f)
    }
}

fn level_name(level: Irql) -> &'static str {
    match level {
        Irql::PASSIVE => "PASSIVE",
        Irql::DISPATCH => "DISPATCH",
        _ => "DEVICE",
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Event(event) => write_event(f, event),
            Self::Read(view, range) => write!(f, "{} reads {range:?}", who(view)),
            Self::Wrote(view, range) => write!(f, "{} writes {range:?}", who(view)),
            Self::Loaded(view, at, value) => {
                write!(
                    f,
                    "{} loads {:?} from {at}",
                    who(view),
                    CompletionWord::from_raw(value)
                )
            }
            Self::Stored(view, at, value) => {
                write!(
                    f,
                    "{} stores {:?} at {at}",
                    who(view),
                    CompletionWord::from_raw(value)
                )
            }
            Self::BusError(view, at) => write!(f, "{} gets a bus error at {at}", who(view)),
            Self::RegisterRead(name, at, value) => write!(f, "{name}: register {at:#x} reads {value:#x}"),
            Self::RegisterWritten(name, at, value) => {
                write!(f, "{name}: register {at:#x} is set to {value:#x}")
            }
            Self::Raised(name) => write!(f, "interrupt line `{name}` is raised"),
            Self::Lowered(name) => write!(f, "interrupt line `{name}` is lowered"),
            Self::Queued(name) => write!(f, "deferred call `{name}` is queued"),
            Self::Armed(name, delay) => write!(f, "timer `{name}` is set to {} us", delay / 1000),
            Self::Begins(kind, name) => write!(f, "{kind} `{name}` begins"),
            Self::Ends(kind, name) => write!(f, "{kind} `{name}` ends"),
            Self::Waits(name) => write!(f, "waits for `{name}`"),
            Self::TimedOut(name) => write!(f, "the wait for `{name}` times out"),
            Self::Signalled(name) => write!(f, "`{name}` is signalled"),
            Self::Locked(name) => write!(f, "takes lock `{name}`"),
            Self::Unlocked(name) => write!(f, "gives back lock `{name}`"),
            Self::Strike => f.write_str("--- the intruder acts ---"),
            Self::Fault(name) => write!(f, "--- fault: {name} ---"),
        }
    }
}

/// A status in the words of the contract whose call it is: the same number has two names.
fn in_its_words(call: &str, status: NtStatus) -> String {
    if call.starts_with("Ndis") || call.starts_with("Miniport") {
        NdisStatus(status.0).to_string()
    } else {
        status.to_string()
    }
}

fn write_event(f: &mut fmt::Formatter<'_>, event: Event) -> fmt::Result {
    match event {
        Event::Accepted(operation) => write!(f, "{operation:?} is accepted"),
        Event::Ended(operation, outcome) => {
            write!(
                f,
                "{operation:?} ends: {:?}, residue {}",
                outcome.verdict, outcome.residue
            )
        }
        Event::Delivered(operation, outcome) => write!(f, "{operation:?} is told: {:?}", outcome.verdict),
        Event::Undelivered(operation, _) => write!(f, "{operation:?} is told to nobody"),
        Event::Call(name) => write!(f, "{name} is called"),
        Event::Return(name, status) => write!(f, "{name} returns {}", in_its_words(name, status)),
        Event::Callback(name, status) => write!(f, "{name} runs with {status:#x}"),
        Event::Misuse(name, rule, status) => {
            let status = in_its_words(name, status);
            write!(f, "{name} breaks {rule} and is refused with {status}")
        }
        Event::VerifierStop { .. } => match verifier::stop(&event) {
            Some(stop) => write!(f, "Windows would stop: {stop}"),
            None => Ok(()),
        },
        Event::Transition { table, state, event } => write!(f, "{table}: {event} in {state}"),
        Event::Handover(range, to, _) => write!(f, "{range:?} now belongs to {}", owner(to)),
        Event::Lost(range, _) => write!(f, "what was moved for {range:?} did not get there"),
        Event::Note(text) => f.write_str(text),
        other => write!(f, "{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::Rule;

    #[test]
    fn a_status_has_the_name_of_the_contract_whose_call_it_is() {
        let status = NtStatus::INSUFFICIENT_RESOURCES;
        let said = |event| What::Event(event).to_string();
        assert_eq!(
            said(Event::Return("NdisMCompleteDmaTransfer", status)),
            "NdisMCompleteDmaTransfer returns NDIS_STATUS_RESOURCES"
        );
        assert_eq!(
            said(Event::Misuse(
                "NdisMCompleteDmaTransfer",
                Rule("NDIS-045"),
                status
            )),
            "NdisMCompleteDmaTransfer breaks NDIS-045 and is refused with NDIS_STATUS_RESOURCES"
        );
        assert_eq!(
            said(Event::Return("MapTransferEx", status)),
            "MapTransferEx returns STATUS_INSUFFICIENT_RESOURCES"
        );
    }
}
