//! Copying between a buffer and the map registers that stand for it. Never under a lock.

use crate::transfer::plan::Bounced;
use longshore_hardware::{BusRange, DmaMemory, MemoryError};

/// So many zeros are written at a time.
const ZEROS: [u8; 256] = [0; 256];

/// Copies the buffer's bytes to where the device finds them.
pub(crate) fn copy_in(memory: &impl DmaMemory, bounced: &[Bounced]) -> Result<(), MemoryError> {
    for piece in bounced {
        memory.copy(piece.page, piece.memory.start(), piece.memory.len())?;
    }
    Ok(())
}

/// Clears where the device is to put its bytes, where nobody will know which of them it put (WDM-359).
pub(crate) fn clear(memory: &impl DmaMemory, bounced: &[Bounced]) -> Result<(), MemoryError> {
    for piece in bounced {
        let mut done = 0;
        while done < piece.memory.len() {
            let rest = usize::try_from(piece.memory.len() - done).unwrap_or(ZEROS.len());
            let zeros = &ZEROS[..rest.min(ZEROS.len())];
            let at = piece.page.checked_add(done).ok_or(MemoryError::OutOfRange)?;
            memory.write(at, zeros)?;
            done += zeros.len() as u64;
        }
    }
    Ok(())
}

/// Copies the first `moved` bytes of a map, those of them that were bounced, to where the driver finds them. What cannot
/// be written is told and left out; says whether nothing was.
pub(crate) fn copy_out(
    memory: &impl DmaMemory,
    bounced: &[Bounced],
    moved: u64,
    mut lost: impl FnMut(BusRange),
) -> bool {
    let mut whole = true;
    for piece in bounced {
        let len = moved.saturating_sub(piece.at).min(piece.memory.len());
        if len > 0 && memory.copy(piece.memory.start(), piece.page, len).is_err() {
            whole = false;
            lost(piece.memory);
        }
    }
    whole
}
