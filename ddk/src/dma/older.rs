//! The calls of versions 1 and 2, which name no context, and their bytes by a virtual address.

use super::adapters::Record;
use super::transfers::{Part, carried, forget};
use crate::abi::dma::DriverControl;
use crate::edge::Edge;
use crate::handles::hold;
use crate::mdl::Buffer;
use longshore_core::{NtStatus, Rule};
use longshore_hardware::BusAddress;
use longshore_wdm::verifier::Code;
use longshore_wdm::{DeviceObject, Mdl, MdlPiece, Operation, RegisterBase};

/// The arguments of a map, and of the flush that repeats them.
#[derive(Clone, Copy)]
pub(crate) struct OlderPart {
    pub(crate) mdl: usize,
    pub(crate) base: u64,
    pub(crate) current: u64,
    pub(crate) length: u32,
    pub(crate) write_to_device: bool,
}

impl OlderPart {
    fn piece<'a>(&self, address: u64, buffer: &'a Buffer) -> MdlPiece<'a> {
        MdlPiece {
            mdl: Mdl::new(address, buffer.segments()),
            current: self.current,
            length: self.length,
            write_to_device: self.write_to_device,
        }
    }

    /// The same with an offset in the place of the address.
    fn part(&self, address: u64) -> Option<Part> {
        Some(Part {
            mdl: self.mdl,
            base: self.base,
            offset: self.current.checked_sub(address)?,
            length: self.length,
            write_to_device: self.write_to_device,
        })
    }
}

impl Edge {
    /// `AllocateAdapterChannel`.
    pub(crate) fn allocate_older(
        &self,
        record: &Record,
        device: DeviceObject,
        registers: u32,
        routine: DriverControl,
        context: usize,
    ) -> Result<(), NtStatus> {
        let control = self.control(record, routine, context);
        let asked = record.port.allocate_older(device, registers, control);
        asked.map_err(|refusal| self.refused(Operation::AllocateAdapterChannel.name(), refusal))
    }

    /// What an older call names: its bytes, and where they begin for the caller.
    fn named(&self, operation: Operation, part: OlderPart) -> Option<(Buffer, u64, Part)> {
        let buffer = self.buffer(operation, part.mdl).ok()?;
        let address = self.mdl_address(part.mdl)? as u64;
        let Some(whole) = part.part(address) else {
            self.verifier_stop(operation.name(), Rule("WDM-233"), Code::OUTSIDE_MDL);
            return None;
        };
        Some((buffer, address, whole))
    }

    /// `MapTransfer`: where the run begins for the device, and how many bytes it has.
    pub(crate) fn map_older(&self, record: &Record, part: OlderPart) -> Option<(BusAddress, u32)> {
        let operation = Operation::MapTransfer;
        let (buffer, address, whole) = self.named(operation, part)?;
        let base = RegisterBase::from_raw(part.base);
        let held = record.port.holder(base);
        let remembered = if held.is_none_or(|context| self.is_mapped(record, &context)) {
            None
        } else {
            Some(self.hand_over(record, whole, &buffer).ok()?)
        };
        match record.port.map_older(base, part.piece(address, &buffer)) {
            Ok(run) => Some((run.start(), u32::try_from(run.len()).unwrap_or(part.length))),
            Err(refusal) => {
                if let Some(remembered) = remembered {
                    forget(record, part.base, &remembered);
                }
                self.refused(operation.name(), refusal);
                None
            }
        }
    }

    /// `FlushAdapterBuffers`: whether what was left was flushed.
    pub(crate) fn flush_older(&self, record: &Record, part: OlderPart) -> bool {
        let Some((buffer, address, whole)) = self.named(Operation::FlushAdapterBuffers, part) else {
            return false;
        };
        let base = RegisterBase::from_raw(part.base);
        let context = record.port.holder(base);
        let progress = context.and_then(|context| record.port.progress(&context));
        let moved = progress.map_or(0, |progress| progress.mapped.min(part.length));
        let remembered = hold(&record.mapped).get(&part.base).cloned();
        if !record.port.flush_older(base, part.piece(address, &buffer)) {
            return false;
        }
        if let Some(remembered) = remembered {
            forget(record, part.base, &remembered);
        }
        let back = !part.write_to_device;
        !back || carried(buffer.carry_out(self.world.own_memory(), whole.offset, u64::from(moved))).is_ok()
    }
}
