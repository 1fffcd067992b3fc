//! What a ring is asked to do, and whether its outcome is what memory shows.

use crate::machine::{Machine, Memory};
use longshore_core::Rule;
use longshore_core::completion::{Outcome, Verdict};
use longshore_core::machine::Machine as _;
use longshore_hardware::{BusRange, DmaMemory, Lease};
use longshore_netdma::ring::Request;

/// Bytes of each buffer.
pub(super) const LENGTH: u64 = 64;

/// What a fill writes.
const PATTERN: u64 = 0x8877_6655_4433_2211;

/// The kinds of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Copy,
    /// A copy of several descriptors.
    Chain,
    Null,
    Fill,
    /// The source against the destination.
    Compare,
}

/// An operation and its two buffers.
pub(super) struct Job {
    pub(super) kind: Kind,
    source: Lease<Memory>,
    destination: Lease<Memory>,
    destination_parts: [BusRange; 2],
    source_parts: [BusRange; 2],
    /// The destination as it was before.
    before: Vec<u8>,
    pub(super) outcome: Option<Outcome>,
    /// It was cancelled while it was certainly not begun.
    pub(super) untouched: bool,
}

impl Job {
    pub(super) fn new(machine: &Machine, kind: Kind, index: usize) -> Option<Self> {
        let lease = || Lease::new(machine.memory(), LENGTH, 64).ok();
        let (source, destination) = (lease()?, lease()?);
        let bytes: Vec<u8> = (0..LENGTH as usize)
            .map(|at| (at * 3 + index * 17) as u8 | 1)
            .collect();
        machine.memory().write(source.address(), &bytes).ok()?;
        let mut before = vec![0; LENGTH as usize];
        if kind == Kind::Compare {
            // The first difference wanders.
            before.copy_from_slice(&bytes);
            if let Some(byte) = before.get_mut(index * 7 % 80) {
                *byte ^= 0x80;
            }
        }
        machine.memory().write(destination.address(), &before).ok()?;
        let cut = |range: BusRange, at| Some([range.slice(0, at)?, range.slice(at, LENGTH - at)?]);
        Some(Self {
            kind,
            destination_parts: cut(destination.range(), 24)?,
            source_parts: cut(source.range(), 40)?,
            source,
            destination,
            before,
            outcome: None,
            untouched: false,
        })
    }

    pub(super) fn request(&self) -> Request<'_> {
        let (destination, source) = (self.destination.range(), self.source.range());
        match self.kind {
            Kind::Copy => Request::copy(destination, source),
            Kind::Chain => Request::chain(&self.destination_parts, &self.source_parts),
            Kind::Null => Request::null(),
            Kind::Fill => Request::fill(destination, PATTERN),
            Kind::Compare => Request::compare(source, destination),
        }
    }

    /// The lengths of its pieces: what of it can be undone is a number of whole ones.
    fn pieces(&self) -> &'static [u64] {
        match self.kind {
            Kind::Chain => &[24, 16, 24],
            _ => &[LENGTH],
        }
    }

    /// What a destination holds that everything was written to.
    fn after(&self, machine: &Machine) -> Vec<u8> {
        match self.kind {
            Kind::Copy | Kind::Chain => bytes(machine, &self.source),
            Kind::Fill => PATTERN.to_le_bytes().repeat(LENGTH as usize / 8),
            Kind::Null | Kind::Compare => self.before.clone(),
        }
    }

    /// What a compare must leave.
    fn difference(&self, machine: &Machine) -> u64 {
        let source = bytes(machine, &self.source);
        let same = source.iter().zip(&self.before).take_while(|(a, b)| a == b);
        LENGTH - same.count() as u64
    }

    /// The outcome must be what memory shows.
    pub(super) fn judge(&self, machine: &Machine, index: usize) {
        let Some(outcome) = self.outcome else {
            return find(machine, "PAIN-23", format!("operation {index} has no outcome"));
        };
        let (kind, now) = (self.kind, bytes(machine, &self.destination));
        if !self.is_true(machine, outcome, &now) {
            let what =
                format!("operation {index} ({kind:?}) ended with {outcome:?}, but memory holds {now:?}");
            find(machine, "SEED-003-2", what);
        }
    }

    fn is_true(&self, machine: &Machine, outcome: Outcome, now: &[u8]) -> bool {
        let after = self.after(machine);
        match (self.kind, outcome.verdict) {
            (Kind::Compare, Verdict::Completed) => outcome.residue == self.difference(machine),
            (_, Verdict::Completed) => outcome.residue == 0 && now == after,
            (Kind::Null, _) => outcome.residue == 0,
            (Kind::Compare, _) => now == self.before,
            _ => self.is_cut_at(outcome.residue, now, &after),
        }
    }

    /// What is done is there, behind the first piece that is not nothing is, and that one may hold anything.
    fn is_cut_at(&self, residue: u64, now: &[u8], after: &[u8]) -> bool {
        let mut left = LENGTH;
        for piece in self.pieces() {
            let (done, cut) = ((LENGTH - left) as usize, *piece as usize);
            if left == residue {
                let partly = if self.untouched { done } else { done + cut };
                return now[..done] == after[..done] && now[partly..] == self.before[partly..];
            }
            left -= piece;
        }
        false
    }
}

fn find(machine: &Machine, rule: &'static str, what: String) {
    if !machine.is_over() {
        machine.find(Rule(rule), what);
    }
}

fn bytes(machine: &Machine, lease: &Lease<Memory>) -> Vec<u8> {
    let mut bytes = vec![0; lease.len() as usize];
    let _ = machine.memory().read(lease.address(), &mut bytes);
    bytes
}
