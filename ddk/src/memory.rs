//! What C code points at.
#![allow(unsafe_code)] // C code hands in pointers to its own memory; here they are read and written, once, and nowhere else.

use crate::abi::dma::{Adapter, DeviceDescription, Element, List, Mdl, TRANSFER_CONTEXT_SIZE};
use crate::abi::ndis::ObjectHeader;
use crate::abi::netdma::ProviderCharacteristics;
use crate::abi::types::UnicodeString;
use crate::pool::Block;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, MemoryError};
use longshore_wdm::ElementList;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::atomic::AtomicU32;

/// How many bytes are carried between C's memory and the machine's at once. A descriptor is always one piece.
const PIECE: usize = 512;

/// Reads what stands at `at`, which need not be aligned. `None` if it is NULL.
///
/// # Safety
///
/// `at` is NULL, or a `T` can be read there and every pattern of bits is one.
pub(crate) unsafe fn read<T: Copy>(at: *const T) -> Option<T> {
    // SAFETY: it is not NULL, so the caller promises that a `T` can be read.
    (!at.is_null()).then(|| unsafe { at.read_unaligned() })
}

/// Writes to `at`, which need not be aligned. False if it is NULL.
///
/// # Safety
///
/// `at` is NULL, or a `T` can be written there.
pub(crate) unsafe fn write<T>(at: *mut T, value: T) -> bool {
    if at.is_null() {
        return false;
    }
    // SAFETY: it is not NULL, so the caller promises that a `T` can be written.
    unsafe { at.write_unaligned(value) };
    true
}

/// Reads characteristics of whatever size they say they have; what they do not have is zero. `None` if they are NULL
/// or shorter than their own header.
///
/// # Safety
///
/// `at` is NULL, or as many bytes as the structure says it has can be read there, and four at least.
pub(crate) unsafe fn characteristics(at: *const ProviderCharacteristics) -> Option<ProviderCharacteristics> {
    // SAFETY: the first four bytes can be read.
    let [_, _, low, high] = unsafe { read(at.cast::<[u8; 4]>()) }?;
    let size = usize::from(u16::from_le_bytes([low, high]));
    if size < 4 {
        return None;
    }
    let mut whole = MaybeUninit::<ProviderCharacteristics>::zeroed();
    let len = size.min(size_of::<ProviderCharacteristics>());
    // SAFETY: no more is read than the structure says it has, and no more written than there is room. All zero is a
    // value of the type, and so is every pattern of bits in its numbers, raw pointers and optional routines.
    unsafe {
        ptr::copy_nonoverlapping(at.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), len);
        Some(whole.assume_init())
    }
}

/// Reads the first `len` bytes of a structure that begins with NDIS's header; what it has behind them is zero. `None` if
/// it is NULL, of another kind, of no revision, or shorter by its own word.
///
/// # Safety
///
/// `at` is NULL, or as many bytes as its header says can be read there, and four at least; every pattern of bits is a `T`.
pub(crate) unsafe fn object<T: Copy>(at: *const T, kind: u8, len: u16) -> Option<T> {
    // SAFETY: the header can be read.
    let header = unsafe { read(at.cast::<ObjectHeader>()) }?;
    if header.kind != kind || header.revision == 0 || header.size < len {
        return None;
    }
    let mut whole = MaybeUninit::<T>::zeroed();
    let len = usize::from(len).min(size_of::<T>());
    // SAFETY: no more is read than the header says, and no more written than there is room; the rest is zero.
    unsafe {
        ptr::copy_nonoverlapping(at.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), len);
        Some(whole.assume_init())
    }
}

/// Reads a text. `None` if there is none, or if it is longer than its own room.
///
/// # Safety
///
/// The buffer is NULL, or as many bytes as the text says it has can be read there.
pub(crate) unsafe fn text(at: &UnicodeString) -> Option<String> {
    if at.buffer.is_null() || at.length > at.maximum_length || !at.length.is_multiple_of(2) {
        return None;
    }
    let units = (0..usize::from(at.length / 2)).map(|unit| {
        // SAFETY: it lies within the text, which can be read.
        unsafe { at.buffer.add(unit).read_unaligned() }
    });
    Some(
        char::decode_utf16(units)
            .map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect(),
    )
}

/// Carries bytes from the machine's memory to C's.
///
/// # Safety
///
/// `to` can be written for `len` bytes.
pub(crate) unsafe fn carry_out(
    memory: &dyn DmaMemory,
    from: BusAddress,
    to: *mut u8,
    len: usize,
) -> Result<(), MemoryError> {
    let mut piece = [0; PIECE];
    for at in (0..len).step_by(PIECE) {
        let part = &mut piece[..PIECE.min(len - at)];
        memory.read(from.checked_add(at as u64).ok_or(MemoryError::OutOfRange)?, part)?;
        // SAFETY: `at` and the part lie within `len` bytes that can be written; the piece is our own.
        unsafe { ptr::copy_nonoverlapping(part.as_ptr(), to.add(at), part.len()) };
    }
    Ok(())
}

/// Carries bytes from C's memory to the machine's.
///
/// # Safety
///
/// `from` can be read for `len` bytes.
pub(crate) unsafe fn carry_in(
    memory: &dyn DmaMemory,
    to: BusAddress,
    from: *const u8,
    len: usize,
) -> Result<(), MemoryError> {
    let mut piece = [0; PIECE];
    for at in (0..len).step_by(PIECE) {
        let part = &mut piece[..PIECE.min(len - at)];
        // SAFETY: `at` and the part lie within `len` bytes that can be read; the piece is our own.
        unsafe { ptr::copy_nonoverlapping(from.add(at), part.as_mut_ptr(), part.len()) };
        memory.write(to.checked_add(at as u64).ok_or(MemoryError::OutOfRange)?, part)?;
    }
    Ok(())
}

/// Whether these bytes are a part of the block.
fn has(block: &Block, bytes: &Range<usize>) -> bool {
    let whole = block.range();
    whole.start <= bytes.start && bytes.start <= bytes.end && bytes.end <= whole.end
}

/// Carries these bytes, which are a part of `block`, to the machine's memory. What is none is out of range.
pub(crate) fn block_in(
    memory: &dyn DmaMemory,
    to: BusAddress,
    block: &Block,
    bytes: Range<usize>,
) -> Result<(), MemoryError> {
    if !has(block, &bytes) {
        return Err(MemoryError::OutOfRange);
    }
    // SAFETY: the bytes are a part of the block, which is there as long as `block` is. It is exposed.
    unsafe { carry_in(memory, to, ptr::with_exposed_provenance(bytes.start), bytes.len()) }
}

/// Carries bytes of the machine's memory to these, which are a part of `block`. What is none is out of range.
pub(crate) fn block_out(
    memory: &dyn DmaMemory,
    from: BusAddress,
    block: &Block,
    bytes: Range<usize>,
) -> Result<(), MemoryError> {
    if !has(block, &bytes) {
        return Err(MemoryError::OutOfRange);
    }
    let to = ptr::with_exposed_provenance_mut(bytes.start);
    // SAFETY: as in `block_in`; what is in a block is behind atomics, so it may be written.
    unsafe { carry_out(memory, from, to, bytes.len()) }
}

/// A copy of these bytes, which are a part of `block`; zeroes for what is none.
pub(crate) fn block_bytes(block: &Block, bytes: Range<usize>) -> Vec<u8> {
    let mut copy = vec![0; bytes.len()];
    if has(block, &bytes) {
        // SAFETY: as in `block_in`, and the copy is as long.
        unsafe {
            ptr::copy_nonoverlapping(
                ptr::with_exposed_provenance(bytes.start),
                copy.as_mut_ptr(),
                copy.len(),
            )
        };
    }
    copy
}

/// Writes one byte of a block. What is none of its bytes is left alone.
pub(crate) fn set_block_byte(block: &Block, at: usize, byte: u8) {
    if block.range().contains(&at) {
        // SAFETY: as in `block_out`.
        unsafe { write(ptr::with_exposed_provenance_mut(at), byte) };
    }
}

/// Reads an MDL that begins a block. `None` if the block is too short for one.
pub(crate) fn mdl(block: &Block) -> Option<Mdl> {
    let bytes = block.range();
    if bytes.len() < size_of::<Mdl>() {
        return None;
    }
    // SAFETY: there are enough bytes, as in `block_in`, and every pattern of bits is an MDL.
    unsafe { read(ptr::with_exposed_provenance(bytes.start)) }
}

/// Writes an MDL at the begin of a block. False if the block is too short for one.
pub(crate) fn set_mdl(block: &Block, mdl: Mdl) -> bool {
    let bytes = block.range();
    // SAFETY: there are enough bytes, as in `block_out`.
    bytes.len() >= size_of::<Mdl>() && unsafe { write(ptr::with_exposed_provenance_mut(bytes.start), mdl) }
}

/// Writes an adapter at the begin of a block. False if the block is too short for one.
pub(crate) fn set_adapter(block: &Block, adapter: Adapter) -> bool {
    let bytes = block.range();
    // SAFETY: there are enough bytes, as in `block_out`.
    bytes.len() >= size_of::<Adapter>()
        && unsafe { write(ptr::with_exposed_provenance_mut(bytes.start), adapter) }
}

/// Writes a list at the begin of a block, as much of it as there is room for.
pub(crate) fn set_list(block: &Block, elements: &[BusRange]) {
    let bytes = block.range();
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    // SAFETY: there are so many bytes, as in `block_out`, and the block outlives this call.
    if let Some(mut room) = unsafe { ListRoom::new(ptr::with_exposed_provenance_mut(bytes.start), len) } {
        room.write(elements);
    }
}

/// Reads a description, and no more of it than its version has.
///
/// # Safety
///
/// `at` is NULL, or 40 bytes can be read there, and 64 if the first four say version 3 or later.
pub(crate) unsafe fn description(at: *const DeviceDescription) -> Option<DeviceDescription> {
    // SAFETY: the first four bytes can be read.
    let version = unsafe { read(at.cast::<u32>()) }?;
    if version >= 3 {
        // SAFETY: so can the whole.
        return unsafe { read(at) };
    }
    let mut whole = DeviceDescription::default();
    // SAFETY: 40 bytes can be read, and there is room for more. Every pattern of bits is a description.
    unsafe {
        let to = ptr::from_mut(&mut whole).cast::<u8>();
        ptr::copy_nonoverlapping(at.cast::<u8>(), to, DeviceDescription::SIZE_BEFORE_3);
    }
    Some(whole)
}

/// Writes the begin of a transfer context, and zeroes behind it. False if it is NULL.
///
/// # Safety
///
/// `at` is NULL, or 128 bytes can be written there.
pub(crate) unsafe fn set_context(at: *mut u8, words: [u64; 2]) -> bool {
    let mut all = [0u64; TRANSFER_CONTEXT_SIZE / size_of::<u64>()];
    all[..2].copy_from_slice(&words);
    // SAFETY: the caller's promise.
    unsafe { write(at.cast(), all) }
}

/// A number of C's that others may write too. `None` if it is NULL or not aligned.
///
/// # Safety
///
/// `at` is NULL, or stays there for reading and writing as long as what is returned is used.
pub(crate) unsafe fn shared<'a>(at: *mut u32) -> Option<&'a AtomicU32> {
    // SAFETY: it is aligned and not NULL, so the caller promises the rest. C code that writes it meanwhile, without
    // being atomic, races with itself.
    (!at.is_null() && at.is_aligned()).then(|| unsafe { AtomicU32::from_ptr(at) })
}

/// C's room for a list of elements.
pub(crate) struct ListRoom {
    /// Where it is. Exposed, so that it can be kept on any thread until there is a list.
    at: usize,
    elements: usize,
}

impl ListRoom {
    /// So many bytes of room. `None` if they are NULL.
    ///
    /// # Safety
    ///
    /// `at` is NULL, or so many bytes can be written there as long as this lives.
    pub(crate) unsafe fn new(at: *mut List, bytes: u32) -> Option<Self> {
        let elements = (bytes as usize).saturating_sub(size_of::<List>()) / size_of::<Element>();
        let at = at.expose_provenance();
        (at != 0).then_some(Self { at, elements })
    }

    /// Where it is.
    pub(crate) fn address(&self) -> usize {
        self.at
    }
}

impl ElementList for ListRoom {
    fn room(&self) -> usize {
        self.elements
    }

    fn write(&mut self, elements: &[BusRange]) {
        let fitting = elements.len().min(self.elements);
        if self.elements == 0 {
            return; // there may not even be room for the begin
        }
        let begin = List {
            number_of_elements: fitting as u32,
            reserved: 0,
        };
        // SAFETY: there is room for the begin and so many elements behind it, as `new` was promised.
        unsafe {
            let at = ptr::with_exposed_provenance_mut::<List>(self.at);
            write(at, begin);
            let first = at.add(1).cast::<Element>();
            for (index, range) in elements.iter().take(fitting).enumerate() {
                let element = Element {
                    address: range.start().into(),
                    length: range.len() as u32,
                    reserved: 0,
                };
                write(first.add(index), element);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_or_written_at_null() {
        // SAFETY: NULL is allowed.
        unsafe {
            assert_eq!(read::<u64>(ptr::null()), None);
            assert!(!write(ptr::null_mut(), 1u64));
            assert!(characteristics(ptr::null()).is_none());
        }
    }

    #[test]
    fn characteristics_are_read_no_further_than_they_say() {
        let mut bytes = [0xffu8; 112];
        bytes[2..4].copy_from_slice(&96u16.to_le_bytes());
        // SAFETY: 112 bytes can be read.
        let read = unsafe { characteristics(bytes.as_ptr().cast()) }.unwrap();
        assert!(read.reset_channel.is_some());
        assert!(read.friendly_name.buffer.is_null() && read.friendly_name.length == 0);
        bytes[2..4].copy_from_slice(&3u16.to_le_bytes());
        // SAFETY: as above.
        assert!(unsafe { characteristics(bytes.as_ptr().cast()) }.is_none());
        bytes[2..4].copy_from_slice(&u16::MAX.to_le_bytes());
        // SAFETY: as above; the type has no more than 112 bytes.
        assert!(unsafe { characteristics(bytes.as_ptr().cast()) }.is_some());
    }

    #[test]
    fn an_address_that_is_odd_is_read_all_the_same() {
        let mut bytes = [0u8; 17];
        // SAFETY: eight bytes from the second on lie in the array.
        unsafe {
            assert!(write(bytes.as_mut_ptr().add(1).cast(), 0x0102_0304_0506_0708u64));
            assert_eq!(read(bytes.as_ptr().add(1).cast()), Some(0x0102_0304_0506_0708u64));
        }
    }
}
