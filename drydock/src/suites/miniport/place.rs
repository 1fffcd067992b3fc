//! Where a buffer is.

use super::bench::{LENGTH, OFFSET, WHOLE};
use crate::machine::{HIGH, Machine, Memory};
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

/// A buffer in one or two pieces.
pub(super) struct Buffer(Vec<Lease<Memory>>);

impl Buffer {
    /// A buffer of a channel with this boundary.
    pub(super) fn new(machine: &Machine, place: Place, boundary: u64) -> Option<Self> {
        let piece = |above, len: u32| Lease::new(machine.memory().above(above), u64::from(len), 4).ok();
        let half = OFFSET + LENGTH / 2;
        let pieces = match place {
            Place::Near => [piece(BusAddress::NULL, WHOLE), None],
            Place::Beyond => [piece(HIGH, WHOLE), None],
            Place::Mixed => [piece(BusAddress::NULL, half), Some(piece(HIGH, WHOLE - half)?)],
            // The middle of the transfer is at the boundary.
            Place::Across => [
                piece(BusAddress::new(boundary.checked_sub(u64::from(half))?), WHOLE),
                None,
            ],
        };
        let buffer = Self(pieces.into_iter().flatten().collect());
        let len: u64 = buffer.0.iter().map(Lease::len).sum();
        let middle = |range: BusRange| range.start().raw() + u64::from(half);
        let crosses =
            place != Place::Across || buffer.0.iter().all(|lease| middle(lease.range()) == boundary);
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
