//! What the CPU does in a ring's order, because no descriptor can say it.

use longshore_core::completion::{Cause, Outcome, Verdict};
use longshore_hardware::{BusRange, DmaMemory, MemoryError};

/// How many bytes one poll works on at most.
const SHARE: u64 = 4096;

/// How many bytes are looked at in one go.
const STEP: usize = 256;

#[derive(Clone, Copy)]
enum Kind {
    Fill { destination: BusRange, pattern: u64 },
    Compare { left: BusRange, right: BusRange },
}

/// A fill or a compare, and how far it has come.
#[derive(Clone, Copy)]
pub(super) struct Work {
    kind: Kind,
    len: u64,
    at: u64,
}

impl Work {
    pub(super) fn fill(destination: BusRange, pattern: u64) -> Self {
        Self {
            kind: Kind::Fill { destination, pattern },
            len: destination.len(),
            at: 0,
        }
    }

    pub(super) fn compare(left: BusRange, right: BusRange) -> Self {
        Self {
            kind: Kind::Compare { left, right },
            len: left.len(),
            at: 0,
        }
    }

    /// How many bytes were not worked on.
    pub(super) fn left(&self) -> u64 {
        self.len - self.at
    }

    /// Works on, for a bounded time. Returns the outcome when there is one.
    pub(super) fn share(&mut self, memory: &impl DmaMemory) -> Option<Outcome> {
        let end = self.len.min(self.at + SHARE);
        while self.at < end {
            let len = (end - self.at).min(STEP as u64);
            match self.step(memory, len as usize) {
                Ok(same) if same == len => self.at += len,
                Ok(same) => {
                    self.at += same;
                    return Some(self.outcome(Verdict::Completed));
                }
                Err(_) => return Some(self.outcome(Verdict::Failed(Cause::BUS))),
            }
        }
        (self.at == self.len).then(|| self.outcome(Verdict::Completed))
    }

    fn outcome(&self, verdict: Verdict) -> Outcome {
        Outcome {
            verdict,
            residue: self.left(),
        }
    }

    /// One step. Returns how many bytes are as they should be.
    fn step(&self, memory: &impl DmaMemory, len: usize) -> Result<u64, MemoryError> {
        let part = |range: BusRange| {
            range
                .slice(self.at, len as u64)
                .map(BusRange::start)
                .ok_or(MemoryError::OutOfRange)
        };
        match self.kind {
            Kind::Fill { destination, pattern } => {
                let mut bytes = [0; STEP];
                // A step begins at a multiple of the pattern's length.
                for chunk in bytes.chunks_exact_mut(8) {
                    chunk.copy_from_slice(&pattern.to_le_bytes());
                }
                memory.write(part(destination)?, &bytes[..len])?;
                Ok(len as u64)
            }
            Kind::Compare { left, right } => {
                let (mut a, mut b) = ([0; STEP], [0; STEP]);
                memory.read(part(left)?, &mut a[..len])?;
                memory.read(part(right)?, &mut b[..len])?;
                let same = a[..len].iter().zip(&b[..len]).take_while(|(a, b)| a == b);
                Ok(same.count() as u64)
            }
        }
    }
}
