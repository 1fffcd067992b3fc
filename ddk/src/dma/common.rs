//! Common buffers of C code: memory that it shares with a device, without a flush in between.
//!
//! C's memory is not the machine's, so C has a copy, which is brought up to date whenever the edge is crossed. On each
//! way out of C code what C changed since the last crossing goes into the machine's memory; on each way back into it
//! what the device changed comes out. Code that polls crosses the edge at each turn, for it has to let time go by.

use crate::edge::Edge;
use crate::handles::hold;
use crate::memory;
use crate::pool::Block;
use longshore_core::{NtStatus, Rule};
use longshore_hardware::{BusAddress, BusRange, DmaMemory};
use longshore_wdm::verifier::Code;
use longshore_wdm::{CommonBufferRequest, Operation};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::adapters::Record;
use super::shared::Shared;

/// The tag of the pool memory that the copies are in.
const TAG: u32 = u32::from_le_bytes(*b"CmnL");

/// What copies are aligned to.
const PAGE: usize = 4096;

/// How often somebody who is overtaken looks again. The next crossing is never far.
const TRIES: u32 = 4;

/// What both sides had at the last crossing.
struct Seen {
    bytes: Vec<u8>,
    /// How often C's side changed them.
    changes: u64,
    /// Who carries such changes into the machine's memory just now.
    writers: u32,
}

/// One common buffer.
pub(crate) struct Common {
    adapter: usize,
    /// Where the pool memory begins.
    at: usize,
    block: Block,
    /// C's copy in it.
    bytes: Range<usize>,
    range: BusRange,
    seen: Mutex<Seen>,
    shared: Mutex<Option<Box<dyn Shared>>>,
    /// How many mappings have it for themselves.
    lent: AtomicU32,
}

/// A mapping gives a common buffer to its device alone. While this lives, neither side is brought up to date.
pub(crate) struct Quiet(Arc<Common>);

impl Quiet {
    pub(crate) fn new(common: Arc<Common>) -> Self {
        common.lent.fetch_add(1, Ordering::AcqRel);
        Self(common)
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        self.0.lent.fetch_sub(1, Ordering::AcqRel);
    }
}

/// All common buffers of a machine, by their copies' addresses.
#[derive(Default)]
pub(crate) struct Commons {
    all: Mutex<HashMap<usize, Arc<Common>>>,
    count: AtomicUsize,
}

impl Commons {
    fn all(&self) -> Vec<Arc<Common>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Vec::new();
        }
        hold(&self.all).values().cloned().collect()
    }

    /// The common buffer that these bytes are a part of, and where they are for a device.
    pub(crate) fn find(&self, bytes: &Range<usize>) -> Option<(Arc<Common>, BusRange)> {
        let mut all = self.all().into_iter();
        all.find_map(|common| {
            let into = bytes.start.checked_sub(common.bytes.start)?;
            if bytes.end > common.bytes.end {
                return None;
            }
            let range = common.range.slice(into as u64, bytes.len() as u64)?;
            Some((common, range))
        })
    }

    fn change(&self, change: impl FnOnce(&mut HashMap<usize, Arc<Common>>) -> Option<Arc<Common>>) {
        let mut all = hold(&self.all);
        let gone = change(&mut all);
        self.count.store(all.len(), Ordering::Release);
        drop(all);
        drop(gone); // gives memory back, outside of the lock
    }
}

impl Edge {
    /// `AllocateCommonBuffer` and `AllocateCommonBufferEx`: where C's copy stands, and its address for the device.
    pub(crate) fn allocate_common_buffer(
        &self,
        record: &Record,
        operation: Operation,
        request: CommonBufferRequest,
    ) -> Option<(usize, BusAddress)> {
        let made = record.port.common_buffer(operation, request);
        let shared = made
            .map_err(|refusal| self.refused(operation.name(), refusal))
            .ok()?;
        let range = shared.range();
        let length = request.length as usize;
        let at = self.pool.allocate(length.checked_add(PAGE)?, TAG)?;
        let start = at.next_multiple_of(PAGE);
        let common = Common {
            adapter: record.address(),
            at,
            block: self.pool.find(&(at..at + 1))?,
            bytes: start..start + length,
            range,
            seen: Mutex::new(Seen {
                bytes: vec![0; length],
                changes: 0,
                writers: 0,
            }),
            shared: Mutex::new(Some(shared)),
            lent: AtomicU32::new(0),
        };
        // The device sees zeroes too, as C does.
        self.world
            .own_memory()
            .write(range.start(), &vec![0; length])
            .ok()?;
        self.commons.change(|all| all.insert(start, Arc::new(common)));
        Some((start, range.start()))
    }

    /// `FreeCommonBuffer`, whose arguments repeat those of the allocation.
    pub(crate) fn free_common_buffer(
        &self,
        record: &Record,
        at: usize,
        length: u32,
        address: BusAddress,
        cached: bool,
    ) -> Result<(), NtStatus> {
        const CALL: &str = Operation::FreeCommonBuffer.name();
        let common = hold(&self.commons.all).get(&at).cloned();
        let common = common.filter(|common| common.adapter == record.address());
        let taken = common.and_then(|common| {
            let shared = hold(&common.shared).take()?;
            Some((shared, common))
        });
        let Some((shared, common)) = taken else {
            return Err(self.verifier_stop(CALL, Rule("WDM-221"), Code::COMMON_BUFFER_FREED_TWICE));
        };
        match shared.free(length, address, cached) {
            Ok(()) => {
                self.commons.change(|all| all.remove(&at));
                self.pool.free(common.at, TAG);
                self.mdls.unbuild(&common.bytes);
                Ok(())
            }
            Err((shared, refusal)) => {
                *hold(&common.shared) = Some(shared);
                Err(self.refused(CALL, refusal))
            }
        }
    }

    /// Forgets the common buffers of an adapter that is no more.
    pub(crate) fn forget_common_buffers(&self, adapter: usize) {
        for common in self.commons.all() {
            if common.adapter == adapter {
                self.commons.change(|all| all.remove(&common.bytes.start));
                self.pool.free(common.at, TAG);
                self.mdls.unbuild(&common.bytes);
            }
        }
    }

    /// Out of C code: what C changed goes into the machine's memory.
    pub(crate) fn share_from_c(&self) {
        for common in self.commons.all() {
            if !common.is_lent() {
                common.share_from_c(self.world.own_memory());
            }
        }
    }

    /// Into C code: what the device changed comes out.
    pub(crate) fn share_to_c(&self) {
        for common in self.commons.all() {
            if !common.is_lent() {
                common.share_to_c(self.world.own_memory());
            }
        }
    }
}

impl Common {
    fn is_lent(&self) -> bool {
        self.lent.load(Ordering::Acquire) != 0
    }

    fn share_from_c(&self, memory: &dyn DmaMemory) {
        // No lock is held while the machine's memory is touched: that is where others come first.
        let changed = {
            let mut seen = hold(&self.seen);
            let mine = memory::block_bytes(&self.block, self.bytes.clone());
            let changed = differences(&seen.bytes, &mine);
            if changed.is_empty() {
                return;
            }
            seen.bytes = mine;
            seen.changes += 1;
            seen.writers += 1;
            let part = |run: Range<usize>| (run.start, seen.bytes[run].to_vec());
            changed.into_iter().map(part).collect::<Vec<_>>()
        };
        for (at, bytes) in changed {
            if let Some(to) = self.range.start().checked_add(at as u64) {
                let _ = memory.write(to, &bytes); // the range is leased, so it is there
            }
        }
        hold(&self.seen).writers -= 1;
    }

    fn share_to_c(&self, memory: &dyn DmaMemory) {
        for _ in 0..TRIES {
            let before = {
                let seen = hold(&self.seen);
                (seen.writers == 0).then_some(seen.changes)
            };
            let mut theirs = vec![0; self.bytes.len()];
            if before.is_none() || memory.read(self.range.start(), &mut theirs).is_err() {
                continue;
            }
            let mut seen = hold(&self.seen);
            if Some(seen.changes) == before {
                return self.take_over(&mut seen, &theirs);
            }
        }
    }

    /// What C has changed meanwhile is C's, and goes out at its next crossing.
    fn take_over(&self, seen: &mut Seen, theirs: &[u8]) {
        let mine = memory::block_bytes(&self.block, self.bytes.clone());
        for run in differences(&seen.bytes, theirs) {
            for at in run {
                if mine[at] == seen.bytes[at] {
                    memory::set_block_byte(&self.block, self.bytes.start + at, theirs[at]);
                    seen.bytes[at] = theirs[at];
                }
            }
        }
    }
}

/// The runs of bytes that differ, of two slices of the same length.
fn differences(before: &[u8], after: &[u8]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (at, _) in before
        .iter()
        .zip(after)
        .enumerate()
        .filter(|(_, (old, new))| old != new)
    {
        match runs.last_mut() {
            Some(run) if run.end == at => run.end += 1,
            _ => runs.push(at..at + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pool::Pool;

    #[test]
    fn what_differs_comes_in_runs() {
        assert_eq!(differences(b"abcdef", b"abcdef"), []);
        assert_eq!(differences(b"abcdef", b"xbcyzf"), [0..1, 3..5]);
        assert_eq!(differences(b"abc", b"xyc").first(), Some(&(0..2)));
    }

    #[test]
    fn what_c_has_changed_meanwhile_is_not_taken_over() {
        let pool = Pool::default();
        let at = pool.allocate(4, TAG).unwrap();
        let block = pool.find(&(at..at + 4)).unwrap();
        memory::set_block_byte(&block, at, 1);
        let common = Common {
            adapter: 0,
            at,
            bytes: at..at + 4,
            range: BusRange::EMPTY,
            seen: Mutex::new(Seen {
                bytes: vec![0; 4],
                changes: 0,
                writers: 0,
            }),
            shared: Mutex::default(),
            lent: AtomicU32::new(0),
            block,
        };
        common.take_over(&mut hold(&common.seen), &[9, 9, 0, 0]);
        assert_eq!(memory::block_bytes(&common.block, at..at + 4), [1, 9, 0, 0]);
        assert_eq!(
            hold(&common.seen).bytes,
            [0, 9, 0, 0],
            "so that it still goes out"
        );
    }
}
