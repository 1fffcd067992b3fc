//! A buffer as drivers of versions 1 and 2 name it.

use longshore_core::scatter::Segments;

/// A buffer and its virtual address. The address is an index into the buffer, and never a way to its bytes.
#[derive(Clone, Copy, Debug)]
#[doc(alias = "MDL")]
pub struct Mdl<'a> {
    /// The virtual address of the first byte.
    pub virtual_address: u64,
    /// Where in memory the bytes are. A chain is one buffer whose parts follow each other.
    pub buffer: Segments<'a>,
}

impl<'a> Mdl<'a> {
    /// A buffer with this virtual address.
    pub const fn new(virtual_address: u64, buffer: Segments<'a>) -> Self {
        Self {
            virtual_address,
            buffer,
        }
    }

    /// Which byte of the buffer a virtual address means.
    #[doc(alias = "CurrentVa")]
    pub fn offset_of(&self, current: u64) -> Option<u64> {
        let offset = current.checked_sub(self.virtual_address)?;
        (offset < self.buffer.len()?).then_some(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_hardware::{BusAddress, BusRange};

    #[test]
    fn a_current_address_is_an_index() {
        let pages = [0x1000, 0x8000].map(|at| BusRange::new(BusAddress::new(at), 0x100).unwrap());
        let mdl = Mdl::new(0xffff_0000_0000_0f80, Segments::new(&pages));
        assert_eq!(mdl.offset_of(mdl.virtual_address), Some(0));
        assert_eq!(mdl.offset_of(mdl.virtual_address + 0x1ff), Some(0x1ff));
        assert_eq!(mdl.offset_of(mdl.virtual_address + 0x200), None);
        assert_eq!(mdl.offset_of(mdl.virtual_address - 1), None);
    }
}
