//! Pool memory of C code.

use crate::handles::hold;
use std::collections::BTreeMap;
use std::mem::size_of;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

/// How much a machine has, in bytes.
const LIMIT: usize = 64 << 20;

/// What pool memory is made of, and so what it is aligned to. C code writes through the pointer it was given.
#[derive(Default)]
#[repr(align(16))]
struct Grain(#[allow(dead_code, reason = "only C code looks at it")] [AtomicU64; 2]);

#[derive(Default)]
struct Table {
    blocks: BTreeMap<usize, (u32, Block)>,
    used: usize,
}

/// All pool memory of a machine.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Table>);

impl Pool {
    /// `ExAllocatePoolWithTag`: zeroed memory, or `None` if there is none left.
    pub(crate) fn allocate(&self, bytes: usize, tag: u32) -> Option<usize> {
        let grains = bytes.div_ceil(size_of::<Grain>()).max(1);
        let mut table = hold(&self.0);
        table.used = table
            .used
            .checked_add(grains.checked_mul(size_of::<Grain>())?)
            .filter(|&used| used <= LIMIT)?;
        let block: Arc<[Grain]> = (0..grains).map(|_| Grain::default()).collect();
        // Exposed: C code makes pointers of the number.
        let address = block.as_ptr().expose_provenance();
        table.blocks.insert(address, (tag, Block(block)));
        Some(address)
    }

    /// The block in which all of these bytes are.
    pub(crate) fn find(&self, bytes: &Range<usize>) -> Option<Block> {
        let table = hold(&self.0);
        let (_, (_, block)) = table.blocks.range(..=bytes.start).next_back()?;
        (bytes.start <= bytes.end && bytes.end <= block.range().end).then(|| block.clone())
    }

    /// `ExFreePoolWithTag`, without giving the memory up yet: it goes when what is returned is dropped. `None` if no
    /// block begins there or its tag is another.
    pub(crate) fn free(&self, address: usize, tag: u32) -> Option<Block> {
        let mut table = hold(&self.0);
        if table.blocks.get(&address)?.0 != tag {
            return None;
        }
        let (_, block) = table.blocks.remove(&address)?;
        table.used -= block.range().len();
        Some(block)
    }

    /// How many blocks are not freed.
    pub(crate) fn blocks(&self) -> usize {
        hold(&self.0).blocks.len()
    }
}

/// Memory that is there as long as this is, also where it was freed.
#[derive(Clone)]
pub(crate) struct Block(Arc<[Grain]>);

impl Block {
    pub(crate) fn range(&self) -> Range<usize> {
        let start = self.0.as_ptr().addr();
        start..start + self.0.len() * size_of::<Grain>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_allocated_can_be_freed_and_only_once() {
        let pool = Pool::default();
        let block = pool.allocate(20, 7).unwrap();
        assert_eq!(block % 16, 0);
        assert!(pool.free(block, 8).is_none());
        assert!(pool.free(block + 16, 7).is_none());
        assert_eq!(pool.free(block, 7).unwrap().range().len(), 32);
        assert!(pool.free(block, 7).is_none());
        assert_eq!(pool.blocks(), 0);
    }

    #[test]
    fn bytes_are_found_in_their_block_and_nowhere_else() {
        let pool = Pool::default();
        let block = pool.allocate(32, 7).unwrap();
        assert_eq!(
            pool.find(&(block + 1..block + 32)).unwrap().range(),
            block..block + 32
        );
        assert!(pool.find(&(block..block + 33)).is_none());
        assert!(pool.find(&(block - 1..block + 1)).is_none());
        assert!(
            pool.find(&Range {
                start: block + 2,
                end: block + 1
            })
            .is_none()
        );
        let kept = pool.find(&(block..block + 1));
        drop(pool.free(block, 7));
        assert!(kept.is_some() && pool.find(&(block..block + 1)).is_none());
    }

    #[test]
    fn the_pool_has_an_end() {
        let pool = Pool::default();
        assert!(pool.allocate(usize::MAX, 0).is_none());
        let all = pool.allocate(LIMIT, 0).unwrap();
        assert!(pool.allocate(1, 0).is_none());
        drop(pool.free(all, 0));
        assert!(pool.allocate(1, 0).is_some());
    }
}
