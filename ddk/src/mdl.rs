//! Memory descriptor lists of C code.
//!
//! An MDL is known by where it stands, like a KDPC: what it describes was noted when it was made, and of what is written
//! in it only the link to the next one is ever read back, and the flags, whose damage shows. C's memory is not the
//! machine's, so an MDL that was built has a *shadow* there, which is what devices see. The bytes are carried into the
//! shadow when they are mapped, and out of it when they are flushed. In between C code must not touch them (WDM-024),
//! so nobody can tell the difference. The shadow of a common buffer is that buffer itself, and nothing is carried.

use crate::abi::dma::Mdl;
use crate::dma::common::{Common, Quiet};
use crate::edge::Edge;
use crate::handles::hold;
use crate::memory;
use crate::pool::Block;
use crate::world::Leased;
use longshore_core::scatter::Segments;
use longshore_hardware::{BusRange, DmaMemory, MemoryError};
use std::collections::HashMap;
use std::ops::Range;
use std::ptr::{null_mut, with_exposed_provenance_mut};
use std::sync::{Arc, Mutex};

/// The tag of the pool memory that MDLs stand in.
const TAG: u32 = u32::from_le_bytes(*b"MdlL");

/// A page of Windows' on this architecture.
const PAGE: usize = 4096;

/// A chain of more than this goes in a circle.
const LONGEST: usize = 1024;

/// One MDL.
#[derive(Clone)]
struct Record {
    place: Block,
    address: usize,
    length: u32,
    built: Option<Arc<Built>>,
}

/// What an MDL describes: memory of C's, and its shadow.
pub(crate) struct Built {
    block: Block,
    bytes: Range<usize>,
    shadow: BusRange,
    keeper: Keeper,
}

/// Who keeps a shadow in its place.
enum Keeper {
    /// It was made for the MDL, and is given back with it.
    Lease { _lease: Arc<dyn Leased> },
    /// It is a part of a common buffer, which is kept the same on both sides anyway.
    Common(Arc<Common>),
}

/// Why a chain is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoChain {
    /// One of its MDLs is none, or there is no end to them.
    Broken,
    /// One of its MDLs was not built.
    NotBuilt,
}

/// All MDLs of a machine.
#[derive(Default)]
pub(crate) struct Mdls(Mutex<HashMap<usize, Record>>);

impl Edge {
    /// `IoAllocateMdl`. `None` if there is no memory left.
    pub(crate) fn allocate_mdl(&self, address: usize, length: u32) -> Option<usize> {
        let at = self.pool.allocate(size_of::<Mdl>(), TAG)?;
        let place = self.pool.find(&(at..at + size_of::<Mdl>()))?;
        let record = Record {
            place,
            address,
            length,
            built: None,
        };
        memory::set_mdl(&record.place, record.header());
        hold(&self.mdls.0).insert(at, record);
        Some(at)
    }

    /// `IoFreeMdl`. False if there is no such MDL. One that is set up on a channel is freed as well, and that is misuse:
    /// what it describes stays as long as its transfer does.
    pub(crate) fn free_mdl(&self, mdl: usize) -> bool {
        let record = hold(&self.mdls.0).remove(&mdl);
        let Some(record) = record else { return false };
        let buffer = record.built.map(|built| Buffer::of(vec![built]));
        if buffer.is_some_and(|buffer| self.is_set_up(&buffer)) {
            self.refuse("IoFreeMdl", "NDIS-037");
        }
        self.pool.free(mdl, TAG).is_some()
    }

    /// `MmBuildMdlForNonPagedPool`. False if there is no such MDL, it was built before, or what it describes is not
    /// all in one block of pool memory. No shadow where the machine has no memory left.
    pub(crate) fn build_mdl(&self, mdl: usize) -> bool {
        let record = hold(&self.mdls.0).get(&mdl).cloned();
        let Some(record) = record.filter(|record| record.built.is_none()) else {
            return false;
        };
        let bytes = record.bytes().filter(|bytes| !bytes.is_empty());
        let Some((bytes, block)) = bytes.and_then(|bytes| Some((bytes.clone(), self.pool.find(&bytes)?)))
        else {
            return false;
        };
        let Some(built) = self.describe(block, bytes) else {
            return true; // as on Windows, the routine returns nothing; what is asked of the MDL is refused
        };
        let built = Record {
            built: Some(Arc::new(built)),
            ..record
        };
        let next = memory::mdl(&built.place).map_or(null_mut(), |mdl| mdl.next);
        memory::set_mdl(
            &built.place,
            Mdl {
                next,
                ..built.header()
            },
        );
        hold(&self.mdls.0).insert(mdl, built);
        true
    }

    /// What devices see of these bytes: the common buffer that they are a part of, or else a shadow of their own.
    fn describe(&self, block: Block, bytes: Range<usize>) -> Option<Built> {
        let (shadow, keeper) = match self.commons.find(&bytes) {
            Some((common, shadow)) => (shadow, Keeper::Common(common)),
            None => self.shadow(&bytes)?,
        };
        Some(Built {
            block,
            bytes,
            shadow,
            keeper,
        })
    }

    /// Leases a shadow that lies in its page as the bytes lie in theirs.
    fn shadow(&self, bytes: &Range<usize>) -> Option<(BusRange, Keeper)> {
        let into = (bytes.start % PAGE) as u64;
        let len = bytes.len() as u64;
        let lease = self.world.lease(into + len, PAGE as u64)?;
        let shadow = lease.range().slice(into, len)?;
        Some((shadow, Keeper::Lease { _lease: lease }))
    }

    /// What a chain describes.
    pub(crate) fn chain(&self, first: usize) -> Result<Buffer, NoChain> {
        let mdls = hold(&self.mdls.0);
        let (mut parts, mut next) = (Vec::new(), first);
        while next != 0 {
            if parts.len() == LONGEST {
                return Err(NoChain::Broken);
            }
            let (part, behind) = mdls.get(&next).ok_or(NoChain::Broken)?.part()?;
            parts.push(part);
            next = behind;
        }
        if parts.is_empty() {
            return Err(NoChain::Broken);
        }
        Ok(Buffer::of(parts))
    }

    /// What one MDL describes, whatever is chained behind it.
    pub(crate) fn one_mdl(&self, mdl: usize) -> Result<Buffer, NoChain> {
        let mdls = hold(&self.mdls.0);
        let (part, _) = mdls.get(&mdl).ok_or(NoChain::Broken)?.part()?;
        Ok(Buffer::of(vec![part]))
    }

    /// The virtual address that an MDL describes, by which the older calls name its bytes.
    pub(crate) fn mdl_address(&self, mdl: usize) -> Option<usize> {
        hold(&self.mdls.0).get(&mdl).map(|record| record.address)
    }
}

impl Mdls {
    /// Forgets what stands in this memory. Whether there was any.
    pub(crate) fn forget(&self, memory: &Range<usize>) -> bool {
        let all = hold(&self.0).keys().copied().collect::<Vec<_>>();
        let inside: Vec<_> = all.into_iter().filter(|mdl| memory.contains(mdl)).collect();
        // One by one: what is dropped gives shadows back, and that is for outside of the lock.
        for mdl in &inside {
            let record = hold(&self.0).remove(mdl);
            drop(record);
        }
        !inside.is_empty()
    }

    /// The common buffer with these bytes is freed: an MDL of them describes nothing any more.
    pub(crate) fn unbuild(&self, common: &Range<usize>) {
        let mut gone = Vec::new();
        for record in hold(&self.0).values_mut() {
            if common.contains(&record.address) {
                gone.extend(record.built.take());
            }
        }
        drop(gone); // outside of the lock
    }
}

impl Record {
    fn bytes(&self) -> Option<Range<usize>> {
        Some(self.address..self.address.checked_add(self.length as usize)?)
    }

    /// What it describes, and the MDL that C code linked behind it.
    fn part(&self) -> Result<(Arc<Built>, usize), NoChain> {
        let built = self.built.clone().ok_or(NoChain::NotBuilt)?;
        let written = memory::mdl(&self.place).ok_or(NoChain::Broken)?;
        if written.flags != Mdl::BUILT {
            return Err(NoChain::NotBuilt); // damaged
        }
        Ok((built, written.next.addr()))
    }

    /// What C code reads in it.
    fn header(&self) -> Mdl {
        let pointer = with_exposed_provenance_mut;
        let (flags, mapped) = match &self.built {
            Some(_) => (Mdl::BUILT, pointer(self.address)),
            None => (0, null_mut()),
        };
        let into = self.address % PAGE;
        Mdl {
            next: null_mut(),
            size: size_of::<Mdl>() as i16,
            flags,
            process: null_mut(),
            mapped_system_va: mapped,
            start_va: pointer(self.address - into),
            byte_count: self.length,
            byte_offset: into as u32,
        }
    }
}

/// A chain of MDLs as it was when somebody looked. What it describes stays there as long as this does.
#[derive(Clone)]
pub(crate) struct Buffer {
    parts: Vec<Arc<Built>>,
    shadows: Vec<BusRange>,
}

impl Buffer {
    fn of(parts: Vec<Arc<Built>>) -> Self {
        let shadows = parts.iter().map(|part| part.shadow).collect();
        Self { parts, shadows }
    }

    /// Whether it is what was described then: the same MDLs, built at the same time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same = |(here, there): (&Arc<Built>, &Arc<Built>)| Arc::ptr_eq(here, there);
        self.parts.len() == other.parts.len() && self.parts.iter().zip(&other.parts).all(same)
    }

    /// The shadows, which are what devices see.
    pub(crate) fn segments(&self) -> Segments<'_> {
        Segments::new(&self.shadows)
    }

    /// Carries these bytes of the chain into the shadows.
    pub(crate) fn carry_in(&self, memory: &dyn DmaMemory, offset: u64, len: u64) -> Result<(), MemoryError> {
        self.each(offset, len, |part, shadow, bytes| {
            memory::block_in(memory, shadow.start(), &part.block, bytes)
        })
    }

    /// Carries these bytes of the chain out of the shadows.
    pub(crate) fn carry_out(&self, memory: &dyn DmaMemory, offset: u64, len: u64) -> Result<(), MemoryError> {
        self.each(offset, len, |part, shadow, bytes| {
            memory::block_out(memory, shadow.start(), &part.block, bytes)
        })
    }

    /// Keeps the common buffers among it from being brought up to date, while a device has them for itself.
    pub(crate) fn quiet(&self) -> Vec<Quiet> {
        let common = |part: &Arc<Built>| match &part.keeper {
            Keeper::Common(common) => Some(Quiet::new(common.clone())),
            Keeper::Lease { .. } => None,
        };
        self.parts.iter().filter_map(common).collect()
    }

    /// Whether devices see all of this in the shadows themselves: nothing was copied elsewhere.
    pub(crate) fn holds(&self, elements: &[BusRange]) -> bool {
        let is_here = |element: &BusRange| self.shadows.iter().any(|shadow| shadow.contains(element.start()));
        elements.iter().all(is_here)
    }

    /// Does something with each part of these bytes that has a shadow of its own. What is past the end of the chain is
    /// left out.
    fn each(
        &self,
        offset: u64,
        len: u64,
        mut carry: impl FnMut(&Built, BusRange, Range<usize>) -> Result<(), MemoryError>,
    ) -> Result<(), MemoryError> {
        let (mut offset, mut left) = (offset, len);
        for part in &self.parts {
            let whole = part.shadow.len();
            let here = left.min(whole.saturating_sub(offset));
            if here > 0
                && let Keeper::Lease { .. } = part.keeper
            {
                let shadow = part.shadow.slice(offset, here).ok_or(MemoryError::OutOfRange)?;
                let from = part.bytes.start + offset as usize;
                carry(part, shadow, from..from + here as usize)?;
            }
            left -= here;
            offset = offset.saturating_sub(whole);
        }
        Ok(())
    }
}
