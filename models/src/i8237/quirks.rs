//! Where QEMU's controller is not like the real one.

use bitflags::bitflags;

bitflags! {
    /// Ways in which QEMU's `i8257` (seen in 7.2) differs from the data sheet, one bit each.
    ///
    /// With none of them the model keeps to the data sheet. With all of them it does what a driver meets in QEMU, except
    /// for pace: QEMU may move a whole block at once.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Quirks: u32 {
        /// The mask register has eight bits, all set at power-on and by master clear, and stores what is written.
        const EIGHT_MASK_BITS = 1 << 0;
        /// Register 9 reads as the masks. The other ones that are illegal to read, and the temporary one, read as zero.
        const READABLE_MASKS = 1 << 1;
        /// Controller 2 answers at odd ports too, as at the even port below.
        const ODD_PORTS = 1 << 2;
        /// Page registers without a channel read as all ones and hold nothing.
        const NO_SPARE_PAGES = 1 << 3;
        /// The low byte of an address or count goes to the base only; the high byte loads current address *and* count.
        const LOAD_ON_HIGH_BYTE = 1 << 4;
        /// A command with any bit but "disable" is dropped, and "disable" does not disable.
        const DEAF_COMMAND = 1 << 5;
        /// Single, demand, block and cascade are the same, and the device decides which way data moves.
        const LOOSE_MODE = 1 << 6;
        /// Software and device share one request bit. The device's edges set and clear it; it can be masked, the end of
        /// a block does not clear it but writing it clears the channel's TC bit, and master clear loses a waiting device.
        const ONE_REQUEST_BIT = 1 << 7;
        /// The end of a block does not mask the channel; a further request does the same block again.
        const UNMASKED_AFTER_TC = 1 << 8;
        /// Auto-initialize loads nothing at the end of a block.
        const NO_AUTOINITIALIZE = 1 << 9;
        /// An address carries into the next page instead of wrapping inside its own.
        const CARRY = 1 << 10;
        /// The lowest page bit of channels 5 to 7 is not ignored but ORed into the address.
        const LOW_PAGE_BIT = 1 << 11;
        /// Going down, a block of up to 512 units lies wholly below its start. It is written going up, and of what is
        /// read only the first half is turned round.
        const DOWNWARD_BLOCKS = 1 << 12;
        /// Controller 1 works without channel 4, and the controllers know nothing of each other.
        const NO_CASCADE = 1 << 13;
        /// The highest bit of a high page register is not part of the address.
        const SHORT_HIGH_PAGE = 1 << 14;
    }
}

/// Units a device of QEMU moves at once at the most: a sector of a floppy disk.
pub(crate) const DOWNWARD_BLOCK: u32 = 512;
