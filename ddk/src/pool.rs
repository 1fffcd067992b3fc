//! Pool memory of C code.

use crate::handles::hold;
use std::cell::UnsafeCell;
use std::collections::HashMap;
use std::mem::size_of;
use std::ops::Range;
use std::sync::Mutex;

/// How much a machine has, in bytes.
const LIMIT: usize = 64 << 20;

/// What pool memory is made of, and so what it is aligned to. C code writes through the pointer it was given.
type Grain = UnsafeCell<u128>;

#[derive(Default)]
struct Table {
    blocks: HashMap<usize, (u32, Vec<Grain>)>,
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
        let block: Vec<Grain> = (0..grains).map(|_| Grain::new(0)).collect();
        let address = block.as_ptr().addr();
        // Exposed: C code makes pointers of the number.
        let _ = block.as_ptr().expose_provenance();
        table.blocks.insert(address, (tag, block));
        Some(address)
    }

    /// `ExFreePoolWithTag`, without giving the memory up yet: it goes when what is returned is dropped. `None` if no
    /// block begins there or its tag is another.
    pub(crate) fn free(&self, address: usize, tag: u32) -> Option<Block> {
        let mut table = hold(&self.0);
        if table.blocks.get(&address)?.0 != tag {
            return None;
        }
        let (_, grains) = table.blocks.remove(&address)?;
        table.used -= grains.len() * size_of::<Grain>();
        Some(Block(grains))
    }

    /// How many blocks are not freed.
    pub(crate) fn blocks(&self) -> usize {
        hold(&self.0).blocks.len()
    }
}

/// Memory that was freed and is still there.
pub(crate) struct Block(Vec<Grain>);

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
    fn the_pool_has_an_end() {
        let pool = Pool::default();
        assert!(pool.allocate(usize::MAX, 0).is_none());
        let all = pool.allocate(LIMIT, 0).unwrap();
        assert!(pool.allocate(1, 0).is_none());
        drop(pool.free(all, 0));
        assert!(pool.allocate(1, 0).is_some());
    }
}
