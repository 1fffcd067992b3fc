//! Set-up, completion and the counter.
//!
//! A transfer is known by its MDL, offset, length and direction (NDIS-043), and is within one MDL: what is linked behind it
//! is not looked at (NDIS-033). As in WDM's transfers, its bytes are carried into the MDL's shadow at the set-up, in either
//! direction, and out of it once it is completed.

use super::channels::Record;
use super::machine::Tuple;
use crate::dma::common::Quiet;
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use crate::mdl::Buffer;
use longshore_ndis::{NdisStatus, NotCompleted};
use std::sync::Arc;

/// The arguments of a set-up, and of the completion that repeats them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) mdl: usize,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) write_to_device: bool,
}

/// What is set up, from before its set-up until after its completion.
pub(crate) struct Up {
    transfer: Transfer,
    buffer: Buffer,
    /// Held for its drop: the device has the common buffers among the bytes for itself.
    _quiet: Vec<Quiet>,
}

impl Up {
    /// Whether it is a transfer of this buffer, and not of one that was made since.
    pub(super) fn is_of(&self, buffer: &Buffer) -> bool {
        self.buffer.is_same(buffer)
    }

    /// The same for the machine.
    pub(super) fn tuple(&self) -> Tuple<'_> {
        Tuple {
            buffer: self.buffer.segments(),
            offset: self.transfer.offset,
            length: self.transfer.length,
            write_to_device: self.transfer.write_to_device,
        }
    }
}

impl Record {
    /// Takes the place of the one transfer. `None` if there is one already.
    fn claim(&self, up: Up) -> Option<Arc<Up>> {
        let mut place = hold(&self.up);
        if place.is_some() {
            return None;
        }
        let up = Arc::new(up);
        *place = Some(up.clone());
        Some(up)
    }

    /// Gives the place free. Whoever completes has completed what has it, though that may have been set up since he looked:
    /// nobody takes it before it is free.
    fn release(&self) {
        let gone = hold(&self.up).take();
        drop(gone); // gives shadows back, outside of the lock
    }
}

impl Edge {
    /// `NdisSetupDmaTransfer`. Nothing of the transfer is touched once its hardware runs.
    pub(crate) fn set_up_transfer(&self, channel: Handle, transfer: Transfer) -> NdisStatus {
        const CALL: &str = "NdisMSetupDmaTransfer";
        const REFUSED: NdisStatus = NdisStatus::RESOURCES;
        if !self.at_most_dispatch(CALL) {
            return REFUSED;
        }
        let record = match self.channel(CALL, channel) {
            Ok(record) => record,
            Err(status) => return status,
        };
        let Ok(buffer) = self.one_mdl(transfer.mdl) else {
            return self.ndis_misuse(CALL, "NDIS-035", REFUSED);
        };
        let quiet = if record.loops { Vec::new() } else { buffer.quiet() };
        let up = Up {
            transfer,
            buffer,
            _quiet: quiet,
        };
        // Only who has the channel carries: what is set up already belongs to a device.
        let Some(up) = record.claim(up) else {
            return REFUSED;
        };
        let (offset, length) = (u64::from(transfer.offset), u64::from(transfer.length));
        let carried = up.buffer.carry_in(self.world.own_memory(), offset, length);
        let status = match carried {
            Ok(()) => record.channel.set_up(up.tuple()),
            Err(_) => REFUSED,
        };
        if status != NdisStatus::SUCCESS {
            record.release();
        }
        status
    }

    /// `NdisCompleteDmaTransfer`. Hardware that does not stop keeps the transfer set up, and the shadow with it.
    pub(crate) fn complete_transfer(&self, channel: Handle, transfer: Transfer) -> NdisStatus {
        const CALL: &str = "NdisMCompleteDmaTransfer";
        const REFUSED: NdisStatus = NdisStatus::RESOURCES;
        if !self.at_most_dispatch(CALL) {
            return REFUSED;
        }
        let record = match self.channel(CALL, channel) {
            Ok(record) => record,
            Err(status) => return status,
        };
        let up = hold(&record.up).clone();
        let Some(up) = up else {
            return self.ndis_misuse(CALL, "NDIS-045", REFUSED);
        };
        // An MDL at the same place that was made since is another one.
        let same = |now: Buffer| transfer == up.transfer && up.is_of(&now);
        if !self.one_mdl(transfer.mdl).is_ok_and(same) {
            return self.ndis_misuse(CALL, "NDIS-043", REFUSED);
        }
        match record.channel.complete(up.tuple()) {
            Ok(completed) => {
                let carried = self.carry_back(&up);
                record.release();
                if carried { completed.status } else { REFUSED }
            }
            Err(NotCompleted::Misuse(rule)) => self.ndis_told(CALL, rule, REFUSED),
            Err(NotCompleted::NotQuiet) => REFUSED,
        }
    }

    /// Carries what was received to where C code reads it. What the device did not move is what it was.
    fn carry_back(&self, up: &Up) -> bool {
        let Transfer {
            offset,
            length,
            write_to_device,
            ..
        } = up.transfer;
        let memory = self.world.own_memory();
        write_to_device
            || up
                .buffer
                .carry_out(memory, u64::from(offset), u64::from(length))
                .is_ok()
    }

    /// `NdisMReadDmaCounter`. Of what is no channel nothing is left.
    pub(crate) fn read_channel_counter(&self, channel: Handle) -> u32 {
        const CALL: &str = "NdisMReadDmaCounter";
        if !self.at_most_dispatch(CALL) {
            return 0;
        }
        let Ok(record) = self.channel(CALL, channel) else {
            return 0;
        };
        record.channel.read_counter().unwrap_or(0)
    }
}
