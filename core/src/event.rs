//! What contract code says about itself as it runs.
//!
//! Events are typed, small and `Copy`. On a real machine nobody listens and they cost nothing; in the dry dock
//! they are the evidence: ledgers and oracles are observers of events and never look inside the code they judge.

use crate::completion::Outcome;
use crate::status::NtStatus;
use core::fmt;
use longshore_hardware::BusRange;

/// The number of a rule in the ledger, such as `NETDMA-092`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Rule(pub &'static str);

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Who may touch a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// Nobody: the byte is not reserved.
    Nobody,
    /// Software.
    Cpu,
    /// A device or engine.
    Device,
    /// Both at once, by contract, such as a completion word.
    Both,
}

/// One accepted operation: which promise, and which use of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// The serial number of the cell, as the machine counted it.
    pub promise: u32,
    /// The generation of the cell.
    pub generation: u64,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "operation {}.{}", self.promise, self.generation)
    }
}

/// Something that contract code did.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// An operation was accepted; it is now owed exactly one outcome.
    Accepted(Operation),
    /// The outcome was recorded.
    Ended(Operation, Outcome),
    /// The outcome reached whoever asked.
    Delivered(Operation, Outcome),
    /// The right to deliver an outcome was dropped. A finding.
    Undelivered(Operation, Outcome),
    /// A call of the contract begins. The name is the contract's own.
    Call(&'static str),
    /// A call of the contract returns.
    Return(&'static str, NtStatus),
    /// A callback of the contract is about to run, with this status.
    Callback(&'static str, u64),
    /// The caller broke the contract; the call was refused with this status.
    Misuse(&'static str, Rule, NtStatus),
    /// The caller did what Windows' own DMA verifier stops a machine for.
    VerifierStop {
        /// The call.
        call: &'static str,
        /// The first parameter of its bug check 0xE6.
        code: u8,
        /// The rule that the caller broke.
        rule: Rule,
    },
    /// A state table was consulted.
    Transition {
        /// Which table.
        table: &'static str,
        /// The state before.
        state: &'static str,
        /// What happened.
        event: &'static str,
    },
    /// Bytes pass from one owner to another. Whoever else touches them breaks the rule.
    Handover(BusRange, Owner, Rule),
    /// Bytes that were moved did not reach whom they are for, under this rule. A finding.
    Lost(BusRange, Rule),
    /// A remark for the reader of a trace.
    Note(&'static str),
}
