//! Memory as the controller meets it on the bus.

use longshore_hardware::{BusAddress, DmaMemory};

/// The memory that the controller's addresses reach.
///
/// No address has more than 32 bits, and without high page registers none has more than 24. A word's address is even.
///
/// Nothing here fails, since nothing on an ISA bus can say so: where there is no memory, reads give all ones and
/// writes are lost. An emulator implements this on its RAM; every [`DmaMemory`] has it by reference.
pub trait Bus {
    /// Reads one or two bytes.
    fn read(&mut self, address: u32, bytes: &mut [u8]);

    /// Writes one or two bytes.
    fn write(&mut self, address: u32, bytes: &[u8]);
}

impl<M: DmaMemory + ?Sized> Bus for &M {
    fn read(&mut self, address: u32, bytes: &mut [u8]) {
        if DmaMemory::read(*self, BusAddress::new(u64::from(address)), bytes).is_err() {
            bytes.fill(0xff);
        }
    }

    fn write(&mut self, address: u32, bytes: &[u8]) {
        // Nobody listens at an address without memory, and the controller cannot tell.
        let _ = DmaMemory::write(*self, BusAddress::new(u64::from(address)), bytes);
    }
}
