//! The calls of a transfer.
//!
//! C code names its bytes by MDLs. They are carried into their shadows before a map, in either direction, so that a
//! shadow is what its bytes are; and out of them after the flush of a read. What the device did not move is therefore
//! what it was.

use super::adapters::Record;
use super::common::Quiet;
use super::contexts::Entry;
use super::machine::{Completion, Control, Piece, Wanted};
use crate::abi::dma::{CompletionRoutine, DriverControl};
use crate::calls;
use crate::edge::Edge;
use crate::handles::hold;
use crate::mdl::{Buffer, NoChain};
use longshore_core::{NtStatus, Rule};
use longshore_hardware::MemoryError;
use longshore_wdm::verifier::Code;
use longshore_wdm::{
    AllocationFlags, CompletionContext, DeviceObject, ElementList, FlushRequest, IoAllocationAction,
    Operation, RegisterBase, State, TransferContext, TransferInfo, TransferQuestion,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// What a map was given, until its flush.
pub(crate) struct Mapped {
    buffer: Buffer,
    offset: u64,
    length: u32,
    write_to_device: bool,
    /// Held for its drop: the device has the common buffers among the bytes for itself.
    _quiet: Vec<Quiet>,
}

impl Mapped {
    /// The flush that repeats the map.
    pub(crate) fn flush(&self) -> FlushRequest<'_> {
        FlushRequest {
            buffer: self.buffer.segments(),
            offset: self.offset,
            length: self.length,
            write_to_device: self.write_to_device,
        }
    }
}

/// The arguments of a map, and of the flush that repeats them.
#[derive(Clone, Copy)]
pub(crate) struct Part {
    pub(crate) mdl: usize,
    pub(crate) base: u64,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) write_to_device: bool,
}

/// What only a map is given.
pub(crate) struct MapExtras<'a> {
    pub(crate) device_offset: u32,
    pub(crate) mapped: Option<&'a AtomicU32>,
    pub(crate) list: Option<&'a mut dyn ElementList>,
    pub(crate) routine: Option<CompletionRoutine>,
    pub(crate) context: usize,
}

/// What a request for a channel is given.
pub(crate) struct Request {
    pub(crate) device: usize,
    pub(crate) registers: u32,
    pub(crate) flags: u32,
    pub(crate) routine: Option<DriverControl>,
    pub(crate) context: usize,
    /// Whether there is a place for the map register base.
    pub(crate) place: bool,
}

pub(super) fn carried(result: Result<(), MemoryError>) -> Result<(), NtStatus> {
    result.map_err(|_| NtStatus::UNSUCCESSFUL)
}

impl Edge {
    /// The context that C's bytes name, or one that was never initialised.
    pub(crate) fn context(&self, words: [u64; 2]) -> TransferContext {
        self.contexts
            .get(words)
            .map_or_else(TransferContext::new, |entry| entry.context)
    }

    /// `InitializeDmaTransferContext`: what is to be written at the begin of C's bytes.
    pub(crate) fn initialize_context(&self, record: &Record, words: [u64; 2]) -> Result<[u64; 2], NtStatus> {
        const CALL: &str = Operation::InitializeDmaTransferContext.name();
        let mut context = self.context(words);
        let refused = |refusal| self.refused(CALL, refusal);
        record.port.initialize(&mut context).map_err(refused)?;
        let known = self
            .contexts
            .get(words)
            .is_some_and(|entry| entry.adapter == record.address());
        if known {
            return Ok(words);
        }
        let adapter = record.address();
        self.contexts
            .insert(Entry { context, adapter }, |entry| self.is_idle(entry))
            .ok_or(NtStatus::INSUFFICIENT_RESOURCES)
    }

    fn is_idle(&self, entry: &Entry) -> bool {
        let state = self
            .adapters
            .get(entry.adapter)
            .and_then(|record| record.port.progress(&entry.context))
            .map(|progress| progress.state);
        state.is_none_or(|state| matches!(state, State::Blank | State::Ready | State::ReadyX))
    }

    /// The chain that begins at an MDL, or what the call is refused with.
    pub(super) fn buffer(&self, operation: Operation, mdl: usize) -> Result<Buffer, NtStatus> {
        const RULE: Rule = Rule("WDM-151");
        self.chain(mdl).map_err(|why| match why {
            // What was not built by the call for it is not locked, as far as anybody can tell.
            NoChain::NotBuilt => self.verifier_stop(operation.name(), RULE, Code::NOT_LOCKED),
            NoChain::Broken => self.misuse(operation.name(), RULE, NtStatus::INVALID_PARAMETER),
        })
    }

    /// `GetDmaTransferInfo`.
    pub(crate) fn transfer_info(
        &self,
        record: &Record,
        version: u32,
        part: Part,
    ) -> Result<TransferInfo, NtStatus> {
        let operation = Operation::GetDmaTransferInfo;
        let buffer = self.buffer(operation, part.mdl)?;
        let question = TransferQuestion {
            buffer: buffer.segments(),
            offset: part.offset,
            length: part.length,
            write_only: part.write_to_device,
        };
        record
            .port
            .transfer_info(version, question)
            .map_err(|refusal| self.refused(operation.name(), refusal))
    }

    /// `AllocateAdapterChannelEx`.
    pub(crate) fn allocate_channel(
        &self,
        record: &Record,
        words: [u64; 2],
        request: Request,
    ) -> Result<u64, NtStatus> {
        const CALL: &str = Operation::AllocateAdapterChannelEx.name();
        let synchronous = AllocationFlags(request.flags).is_synchronous();
        let broken = match (synchronous, request.routine.is_some(), request.place) {
            (false, _, true) => Some("WDM-123"),
            (true, false, false) => Some("WDM-126"),
            _ => None,
        };
        if let Some(rule) = broken {
            return Err(self.misuse(CALL, Rule(rule), NtStatus::INVALID_PARAMETER));
        }
        let wanted = Wanted {
            device: DeviceObject(request.device),
            registers: request.registers,
            flags: request.flags,
            control: request
                .routine
                .map(|routine| self.control(record, routine, request.context)),
        };
        let granted = record.port.allocate(&self.context(words), wanted);
        let base = granted.map_err(|refusal| self.refused(CALL, refusal))?;
        Ok(base.map_or(0, RegisterBase::raw))
    }

    pub(super) fn control(&self, record: &Record, routine: DriverControl, context: usize) -> Control {
        let (me, gone) = (self.me.clone(), record.gone.clone());
        Box::new(move |device, base| match me.upgrade() {
            Some(edge) if !gone.load(Ordering::Acquire) => {
                let base = base.map_or(0, RegisterBase::raw);
                calls::driver_control(&edge, routine, device.0, base, context)
            }
            _ => IoAllocationAction::DEALLOCATE_OBJECT,
        })
    }

    fn completion(&self, record: &Record, routine: CompletionRoutine) -> Completion {
        // The adapter stands as long as a callback is owed.
        let (me, gone, place) = (self.me.clone(), record.gone.clone(), record.place.clone());
        Arc::new(move |device, context: CompletionContext, status| {
            if let Some(edge) = me.upgrade().filter(|_| !gone.load(Ordering::Acquire)) {
                calls::dma_completion(&edge, routine, place.range().start, device.0, context.0, status);
            }
        })
    }

    /// `MapTransferEx`. Nothing of the transfer is touched once its hardware runs (R3).
    pub(crate) fn map_transfer(
        &self,
        record: &Record,
        part: Part,
        extras: MapExtras<'_>,
    ) -> Result<u32, NtStatus> {
        let operation = Operation::MapTransferEx;
        let buffer = self.buffer(operation, part.mdl)?;
        let held = record.port.holder(RegisterBase::from_raw(part.base));
        let context = held.unwrap_or_default();
        // Only what may be mapped is carried: what is mapped already belongs to a device.
        let remembered = (!self.is_mapped(record, &context))
            .then(|| self.hand_over(record, part, &buffer))
            .transpose()?;
        let piece = Piece {
            buffer: buffer.segments(),
            offset: part.offset,
            length: part.length,
            device_offset: extras.device_offset,
            write_to_device: part.write_to_device,
            completion: extras.routine.map(|routine| self.completion(record, routine)),
            context: CompletionContext(extras.context),
            mapped: extras.mapped,
            list: extras.list.map(|list| -> &mut dyn ElementList { list }),
        };
        record.port.map(&context, piece).map_err(|refusal| {
            if let Some(remembered) = remembered {
                forget(record, part.base, &remembered);
            }
            self.refused(operation.name(), refusal)
        })
    }

    /// Whether what a context names is mapped already, so that it belongs to a device.
    pub(super) fn is_mapped(&self, record: &Record, context: &TransferContext) -> bool {
        let progress = record.port.progress(context);
        progress.is_none_or(|progress| progress.state.is_mapped())
    }

    /// Carries the bytes of a map into their shadows, and remembers them until the flush.
    pub(super) fn hand_over(
        &self,
        record: &Record,
        part: Part,
        buffer: &Buffer,
    ) -> Result<Arc<Mapped>, NtStatus> {
        carried(buffer.carry_in(self.world.own_memory(), part.offset, u64::from(part.length)))?;
        let mapped = Arc::new(Mapped {
            buffer: buffer.clone(),
            offset: part.offset,
            length: part.length,
            write_to_device: part.write_to_device,
            _quiet: if record.loops { Vec::new() } else { buffer.quiet() },
        });
        let before = hold(&record.mapped).insert(part.base, mapped.clone());
        drop(before); // outside of the lock
        Ok(mapped)
    }

    /// `FlushAdapterBuffersEx`.
    pub(crate) fn flush_buffers(&self, record: &Record, part: Part) -> Result<(), NtStatus> {
        let operation = Operation::FlushAdapterBuffersEx;
        let buffer = self.buffer(operation, part.mdl)?;
        let held = record.port.holder(RegisterBase::from_raw(part.base));
        let context = held.unwrap_or_default();
        let progress = record.port.progress(&context);
        let moved = progress.map_or(0, |progress| progress.mapped.min(part.length));
        let remembered = hold(&record.mapped).get(&part.base).cloned();
        let request = FlushRequest {
            buffer: buffer.segments(),
            offset: part.offset,
            length: part.length,
            write_to_device: part.write_to_device,
        };
        let flushed = record.port.flush(&context, request);
        flushed.map_err(|refusal| self.refused(operation.name(), refusal))?;
        if let Some(remembered) = remembered {
            forget(record, part.base, &remembered);
        }
        if part.write_to_device {
            return Ok(());
        }
        carried(buffer.carry_out(self.world.own_memory(), part.offset, u64::from(moved)))
    }
}

/// Forgets what was mapped, unless something else is by now.
pub(super) fn forget(record: &Record, base: u64, mapped: &Arc<Mapped>) {
    let mut all = hold(&record.mapped);
    let same = all.get(&base).is_some_and(|other| Arc::ptr_eq(other, mapped));
    let gone = if same { all.remove(&base) } else { None };
    drop(all);
    drop(gone); // gives shadows back, outside of the lock
}
