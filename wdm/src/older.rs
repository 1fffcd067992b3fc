//! The calls of versions 1 and 2: no context, one buffer, and an address as the index into it.
//!
//! Each is the call of version 3 with a context that the adapter makes for the request. Such a context and one of a
//! driver's do not mix: a mapping of either is made by its own call, though it may be flushed by both.

use crate::adapter::Adapter;
use crate::allocation::{AdapterControl, AllocateError, Allocation, AllocationRefused};
use crate::mapping::{DeviceObject, called};
use crate::mdl::Mdl;
use crate::operations::Operation;
use crate::registers::RegisterBase;
use crate::state::Refusal;
use crate::status::AllocationFlags;
use crate::transfer::{FlushError, FlushRequest, MapError, MapRequest, ScatterGather, TransferContext};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use longshore_core::machine::Machine;
use longshore_core::{AtMostDispatch, Dispatch};
use longshore_hardware::BusRange;

/// A piece of a buffer, as the calls of versions 1 and 2 name it.
#[derive(Clone, Copy, Debug)]
pub struct MdlPiece<'a> {
    /// The buffer.
    pub mdl: Mdl<'a>,
    /// Where the piece begins.
    pub current: u64,
    /// How many bytes.
    pub length: u32,
    /// From memory to the device.
    pub write_to_device: bool,
}

impl<'a> MdlPiece<'a> {
    /// The same for a flush.
    fn flush(&self) -> Option<FlushRequest<'a>> {
        Some(FlushRequest {
            buffer: self.mdl.buffer,
            offset: self.mdl.offset_of(self.current)?,
            length: self.length,
            write_to_device: self.write_to_device,
        })
    }
}

impl<M: Machine> Adapter<M> {
    /// Asks for the channel and map registers, now if they are free and else in turn. A device has one such request at a
    /// time, and does not make the next from inside of its routine (WDM-231).
    #[doc(alias = "AllocateAdapterChannel")]
    pub fn allocate_adapter_channel(
        &self,
        dispatch: &Dispatch,
        device_object: DeviceObject,
        registers: u32,
        routine: AdapterControl<M>,
    ) -> Result<(), AllocationRefused<M>> {
        called(self.machine(), Operation::AllocateAdapterChannel.name(), || {
            let context = self.context_of_its_own();
            let request = |routine| Allocation {
                device_object,
                registers,
                flags: AllocationFlags::ASYNCHRONOUS,
                routine: Some(routine),
            };
            if self.has_older_request(device_object) {
                return Err(AllocationRefused {
                    why: AllocateError::Refused(Refusal::OneAtATime),
                    request: request(routine),
                });
            }
            if registers > self.map_registers() {
                return Err(AllocationRefused {
                    why: AllocateError::TooManyRegisters,
                    request: request(routine),
                });
            }
            let record = Arc::clone(context.record());
            let control: AdapterControl<M> = Box::new(move |dispatch, adapter, granted| {
                record.in_control.store(true, Ordering::Relaxed);
                let action = routine(dispatch, adapter, granted);
                record.in_control.store(false, Ordering::Relaxed);
                action
            });
            self.allocate(dispatch, &context, request(control)).map(drop)
        })
    }

    /// Whether a request of this device's waits, or its routine runs.
    fn has_older_request(&self, device_object: DeviceObject) -> bool {
        self.system().with(|board| {
            let Some(channel) = board.channel(self.channel_number()) else {
                return false;
            };
            let mut waiters = channel.waiters.iter().chain(&channel.without_registers);
            let waits =
                waiters.any(|waiter| waiter.context.is_older() && waiter.device_object == device_object);
            let mut holders = channel.holder.iter();
            waits
                || holders.any(|holder| {
                    holder.device_object == device_object && holder.context.in_control.load(Ordering::Relaxed)
                })
        })
    }

    /// Maps a piece of a buffer as one run, and starts its transfer if a system controller does it. Tells the run as the
    /// device sees it, which means nothing for system DMA; it is shorter than the piece only for a bus master that takes
    /// lists, whose driver then maps the rest (WDM-233).
    ///
    /// The base says which request it is for; without one it is the one that holds the channel.
    #[doc(alias = "MapTransfer")]
    pub fn map_mdl<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        base: Option<RegisterBase>,
        piece: MdlPiece<'_>,
    ) -> Result<BusRange, MapError> {
        let _ = level.into();
        called(self.machine(), Operation::MapTransfer.name(), || {
            let context = self
                .holder(base)
                .ok_or(MapError::Refused(Refusal::NotAllocated))?;
            if !context.record().is_older() {
                return Err(MapError::Refused(Refusal::OtherKind));
            }
            self.map_run(&context, piece)
        })
    }

    fn map_run(&self, context: &TransferContext, piece: MdlPiece<'_>) -> Result<BusRange, MapError> {
        let offset = piece.mdl.offset_of(piece.current).ok_or(MapError::OutsideMdl)?;
        let shortens = self.is_master() && self.description().scatter_gather;
        let mut slots = [BusRange::EMPTY];
        let mut run = ScatterGather::new(&mut slots);
        let request = MapRequest {
            offset,
            whole: !shortens,
            // A controller that takes lists takes the piece as one.
            list: if self.is_master() { Some(&mut run) } else { None },
            ..MapRequest::new(piece.mdl.buffer, piece.length, piece.write_to_device)
        };
        let mapped = self.map(context, request)?;
        let first = run.elements().first().copied();
        let meaningless = BusRange::new(longshore_hardware::BusAddress::new(0), u64::from(mapped));
        first.or(meaningless).ok_or(MapError::OutsideBuffer)
    }

    /// Ends a mapping and gives its bytes back to software. True if what was left of it was flushed. A mapping of a
    /// request with a context may be ended so as well, even after a cancel (WDM-246, WDM-247).
    #[doc(alias = "FlushAdapterBuffers")]
    pub fn flush_mdl<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        base: Option<RegisterBase>,
        piece: MdlPiece<'_>,
    ) -> bool {
        let _ = level.into();
        let name = Operation::FlushAdapterBuffers.name();
        called(self.machine(), name, || {
            let context = self
                .holder(base)
                .ok_or(FlushError::Refused(Refusal::NotAllocated))?;
            let request = piece.flush().ok_or(FlushError::Mismatch)?;
            self.flush_as(name, &context, request)
        })
        .is_ok()
    }

    /// Frees the channel and its map registers, whoever of this adapter's holds them, and serves whoever waits.
    #[doc(alias = "FreeAdapterChannel")]
    pub fn free_adapter_channel(&self, dispatch: &Dispatch) -> Result<(), Refusal> {
        called(self.machine(), Operation::FreeAdapterChannel.name(), || {
            let context = self.holder(None).ok_or(Refusal::NotAllocated)?;
            self.free(dispatch, &context, crate::IoAllocationAction::DEALLOCATE_OBJECT)
        })
    }
}
