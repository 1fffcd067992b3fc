//! Where a buffer is.

use super::bench::{LENGTH, OFFSET, REGISTER_REACH, WHOLE};
use crate::machine::{Config, HIGH, Machine, Memory};
use longshore_core::machine::Machine as _;
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Lease};
use std::sync::Arc;

/// Where a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// In reach, in one piece.
    Near,
    /// Beyond the NIC's 24 address lines, so that it goes through map registers.
    Beyond,
    /// In two pieces, and the second one is beyond.
    Mixed,
    /// In reach, and across the boundary that the channel must not cross.
    Across,
}

impl Place {
    /// Each of them, with what it adds to a scenario's name.
    pub(super) const ALL: [(&str, Self); 4] = [
        ("", Self::Near),
        ("-beyond", Self::Beyond),
        ("-mixed", Self::Mixed),
        ("-across", Self::Across),
    ];
}

/// Bytes of a buffer to the middle of its transfer.
const HALF: u32 = OFFSET + LENGTH / 2;

/// Where a buffer crosses this boundary: behind the map registers, and in memory. Nothing if there is no boundary, or
/// none in memory.
pub(super) fn crossing(boundary: u64) -> Option<u64> {
    let at = REGISTER_REACH.checked_next_multiple_of(boundary)?;
    let end = at.checked_add(u64::from(WHOLE - HALF))?;
    (end <= Config::default().memory).then_some(at)
}

/// A buffer in one or two pieces.
pub(super) struct Buffer(Vec<Lease<Memory>>);

impl Buffer {
    /// A buffer of a channel with this boundary.
    pub(super) fn new(machine: &Machine, place: Place, boundary: u64) -> Option<Self> {
        let piece = |above, len: u32| Lease::new(machine.memory().above(above), u64::from(len), 4).ok();
        let pieces = match place {
            Place::Near => [piece(BusAddress::NULL, WHOLE), None],
            Place::Beyond => [piece(HIGH, WHOLE), None],
            Place::Mixed => [piece(BusAddress::NULL, HALF), piece(HIGH, WHOLE - HALF)],
            // The middle of the transfer is at the boundary.
            Place::Across => [
                piece(BusAddress::new(crossing(boundary)? - u64::from(HALF)), WHOLE),
                None,
            ],
        };
        let buffer = Self(pieces.into_iter().flatten().collect());
        let len: u64 = buffer.0.iter().map(Lease::len).sum();
        let middle = |range: BusRange| Some(range.start().raw() + u64::from(HALF));
        let crosses = place != Place::Across
            || buffer
                .0
                .iter()
                .all(|lease| middle(lease.range()) == crossing(boundary));
        (len == u64::from(WHOLE) && crosses).then_some(buffer)
    }

    pub(super) fn ranges(&self) -> Arc<[BusRange]> {
        self.0.iter().map(Lease::range).collect()
    }

    pub(super) fn write(&self, memory: &Memory, mut bytes: &[u8]) {
        for lease in &self.0 {
            let (here, rest) = bytes.split_at(lease.len() as usize);
            let _ = memory.write(lease.address(), here);
            bytes = rest;
        }
    }

    pub(super) fn read(&self, memory: &Memory) -> Vec<u8> {
        let mut all = Vec::with_capacity(WHOLE as usize);
        for lease in &self.0 {
            let mut bytes = vec![0; lease.len() as usize];
            let _ = memory.read(lease.address(), &mut bytes);
            all.extend(bytes);
        }
        all
    }
}
