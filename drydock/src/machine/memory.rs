//! Memory as software and devices reach it: every access is a point, is checked and is recorded.

use super::Machine;
use super::arena::{Arena, NotAllocated, View};
use super::state::State;
use super::trace::What;
use longshore_core::Rule;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, MemoryError};

/// Memory as an oracle sees it: bytes, without points and owners.
pub trait Bytes {
    /// The bytes of a range, if it lies in the arena.
    fn at(&self, range: BusRange) -> Option<&[u8]>;
}

impl Bytes for Arena {
    fn at(&self, range: BusRange) -> Option<&[u8]> {
        self.bytes(range.start(), range.len()).ok()
    }
}

/// The machine's memory, from one side.
#[derive(Clone, Debug)]
pub struct Memory {
    machine: Machine,
    view: View,
    /// Where what it allocates begins at the earliest.
    above: BusAddress,
}

impl Memory {
    pub(super) fn new(machine: Machine, view: View) -> Self {
        let above = BusAddress::NULL;
        Self { machine, view, above }
    }

    /// The same memory, but what is allocated here lies at or above `above`: at [`HIGH`](super::HIGH) it is out of
    /// reach for 24 address bits, at [`FAR`](super::FAR) for 32.
    #[must_use]
    pub fn above(self, above: BusAddress) -> Self {
        Self { above, ..self }
    }

    /// Runs one access: a point, the owner check, the access, the record.
    fn access<R>(
        &self,
        ranges: &[(BusAddress, u64, &'static str)],
        act: impl FnOnce(&mut State) -> Result<R, MemoryError>,
    ) -> Result<R, MemoryError> {
        let mut state = self.machine.enter();
        for &(at, len, verb) in ranges {
            state.check_owner(self.view, at, len, verb);
        }
        act(&mut state)
    }

    fn broken(&self, state: &mut State, at: BusAddress, len: u64) -> Option<u64> {
        if self.view == View::Cpu {
            return None;
        }
        let good = state.bytes_before_bus_error(len)?;
        state.record(What::BusError(self.view, at));
        Some(good)
    }
}

fn range(at: BusAddress, len: u64) -> BusRange {
    BusRange::new(at, len).unwrap_or(BusRange::EMPTY)
}

impl DmaMemory for Memory {
    fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        let len = into.len() as u64;
        self.access(&[(from, len, "reads")], |state| {
            if self.broken(state, from, len).is_some() {
                return Err(MemoryError::BusError);
            }
            into.copy_from_slice(state.arena.bytes(from, len)?);
            state.record(What::Read(self.view, range(from, len)));
            Ok(())
        })
    }

    fn write(&self, to: BusAddress, bytes: &[u8]) -> Result<(), MemoryError> {
        let len = bytes.len() as u64;
        self.access(&[(to, len, "writes")], |state| {
            if let Some(good) = self.broken(state, to, len) {
                state.arena.write(to, &bytes[..good as usize])?;
                return Err(MemoryError::BusError);
            }
            state.arena.write(to, bytes)?;
            state.record(What::Wrote(self.view, range(to, len)));
            Ok(())
        })
    }

    fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        self.access(&[(from, len, "reads"), (to, len, "writes")], |state| {
            if let Some(good) = self.broken(state, to, len) {
                state.arena.copy(to, from, good)?;
                return Err(MemoryError::BusError);
            }
            state.arena.copy(to, from, len)?;
            state.record(What::Read(self.view, range(from, len)));
            state.record(What::Wrote(self.view, range(to, len)));
            Ok(())
        })
    }

    fn load_u64(&self, at: BusAddress) -> Result<u64, MemoryError> {
        self.access(&[(at, 8, "reads")], |state| {
            if self.broken(state, at, 8).is_some() {
                return Err(MemoryError::BusError);
            }
            let value = state.arena.load(at)?;
            state.record(What::Loaded(self.view, at, value));
            Ok(value)
        })
    }

    fn store_u64(&self, at: BusAddress, value: u64) -> Result<(), MemoryError> {
        self.access(&[(at, 8, "writes")], |state| {
            if self.broken(state, at, 8).is_some() {
                return Err(MemoryError::BusError);
            }
            state.arena.store(at, value)?;
            state.record(What::Stored(self.view, at, value));
            Ok(())
        })
    }

    fn allocate(&self, len: u64, align: u64, below: BusAddress) -> Result<BusAddress, MemoryError> {
        self.machine.state().arena.allocate(len, align, self.above, below)
    }

    fn free(&self, range: BusRange) {
        let mut state = self.machine.state();
        match state.arena.free(range) {
            Ok(None) => {}
            Ok(Some(still)) => {
                let what = format!(
                    "{range:?} was given back while its byte at {} belonged to a device",
                    still.at
                );
                state.find(Rule("PAIN-08"), what);
            }
            Err(NotAllocated) => {
                state.find(
                    Rule("PAIN-18"),
                    format!("{range:?} was given back, but nobody has it"),
                );
            }
        }
    }
}
