//! The DMA of a machine, as the edge uses it.
//!
//! The contract is [`longshore_wdm`]'s. Here its machine goes behind a vtable, as in [`world`](crate::world), and its
//! tokens are asked for: the edge has looked at the level before, and said so if it is wrong.

use super::listed::{self, Listed, WantedList};
use super::shared::{self, Shared};
use crate::ndis::{self, machine::Nic};
use longshore_core::event::Rule;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, NtStatus, Passive};
use longshore_hardware::BusRange;
use longshore_ndis::Assigned;
use longshore_wdm::{
    Adapter, AdapterInfo, Allocation, AllocationFlags, CommonBufferRequest, CompletionContext,
    CompletionRoutine, DeviceDescription, DeviceObject, DmaCompletionStatus, ElementList, FlushRequest,
    InfoVersion, IoAllocationAction, ListSize, MapRequest, Mdl, MdlPiece, Operation, Platform, Progress,
    Refused, RegisterBase, Release, TransferContext, TransferInfo, TransferQuestion,
};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

/// Why a call was refused: the status, and the rule that its caller broke. The machine has heard of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refusal {
    pub(crate) status: NtStatus,
    pub(crate) rule: Option<Rule>,
}

impl Refusal {
    pub(super) fn of(error: &impl Refused) -> Self {
        Self {
            status: error.status(),
            rule: error.broken_rule(),
        }
    }

    /// The caller is at a level where nothing can be asked for.
    pub(super) const LEVEL: Self = Self {
        status: NtStatus::UNSUCCESSFUL,
        rule: None,
    };
}

/// What runs when a channel is granted.
pub(crate) type Control = Box<dyn FnOnce(DeviceObject, Option<RegisterBase>) -> IoAllocationAction + Send>;
/// What runs when a transfer has ended.
pub(crate) type Completion = Arc<dyn Fn(DeviceObject, CompletionContext, DmaCompletionStatus) + Send + Sync>;

/// A request for a channel.
pub(crate) struct Wanted {
    pub(crate) device: DeviceObject,
    pub(crate) registers: u32,
    pub(crate) flags: u32,
    pub(crate) control: Option<Control>,
}

/// What is to be mapped.
pub(crate) struct Piece<'a> {
    pub(crate) buffer: Segments<'a>,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) device_offset: u32,
    pub(crate) write_to_device: bool,
    pub(crate) completion: Option<Completion>,
    pub(crate) context: CompletionContext,
    pub(crate) mapped: Option<&'a AtomicU32>,
    pub(crate) list: Option<&'a mut dyn ElementList>,
}

/// What the edge needs of the DMA of a machine.
pub(crate) trait Dma: Send + Sync {
    /// An adapter for whatever serves the device.
    fn adapter(&self, description: DeviceDescription) -> Result<Arc<dyn Port>, Refusal>;
    /// A miniport with what was assigned to it.
    fn nic(&self, assigned: Option<Assigned>) -> Box<dyn Nic>;
}

/// What the edge needs of an adapter.
pub(crate) trait Port: Send + Sync {
    fn table(&self) -> Release;
    fn admits(&self, operation: Operation) -> Result<(), Refusal>;
    fn map_registers(&self) -> u32;
    fn holder(&self, base: Option<RegisterBase>) -> Option<TransferContext>;
    fn progress(&self, context: &TransferContext) -> Option<Progress>;
    fn put(&self) -> Result<(), Refusal>;
    fn alignment(&self) -> u32;
    fn read_counter(&self) -> u32;
    fn info(&self, version: u32) -> Result<AdapterInfo, Refusal>;
    fn transfer_info(&self, version: u32, question: TransferQuestion<'_>) -> Result<TransferInfo, Refusal>;
    fn initialize(&self, context: &mut TransferContext) -> Result<(), Refusal>;
    fn allocate(&self, context: &TransferContext, wanted: Wanted) -> Result<Option<RegisterBase>, Refusal>;
    fn common_buffer(
        &self,
        operation: Operation,
        request: CommonBufferRequest,
    ) -> Result<Box<dyn Shared>, Refusal>;
    fn cancel_allocation(&self, context: &TransferContext, device: DeviceObject) -> bool;
    fn configure(
        &self,
        context: &TransferContext,
        function: u32,
        argument: usize,
    ) -> Result<NtStatus, Refusal>;
    fn map(&self, context: &TransferContext, piece: Piece<'_>) -> Result<u32, Refusal>;
    fn flush(&self, context: &TransferContext, request: FlushRequest<'_>) -> Result<(), Refusal>;
    fn cancel_mapped(&self, context: &TransferContext) -> Result<(), Refusal>;
    fn free_channel(&self) -> Result<(), Refusal>;
    /// The calls of versions 1 and 2, which name no context.
    fn allocate_older(&self, device: DeviceObject, registers: u32, control: Control) -> Result<(), Refusal>;
    fn map_older(&self, base: Option<RegisterBase>, piece: MdlPiece<'_>) -> Result<BusRange, Refusal>;
    fn flush_older(&self, base: Option<RegisterBase>, piece: MdlPiece<'_>) -> bool;
    fn free_object(&self, context: &TransferContext, action: IoAllocationAction) -> Result<(), Refusal>;
    fn free_registers(&self, base: RegisterBase, count: u32) -> Result<(), Refusal>;
    /// A list, as the answer where nobody is to be called with it.
    fn list(&self, wanted: WantedList<'_>) -> Result<Option<Box<dyn Listed>>, Refusal>;
    fn list_size(&self, mdl: Option<Mdl<'_>>, current: u64, length: u32) -> Result<ListSize, Refusal>;
}

/// Calls with a token for a level up to DISPATCH.
fn at_most<M: Machine, R>(
    machine: &M,
    call: impl FnOnce(AtMostDispatch<'_>) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    if let Some(dispatch) = Dispatch::now(machine) {
        return call((&dispatch).into());
    }
    let passive = Passive::now(machine).ok_or(Refusal::LEVEL)?;
    call((&passive).into())
}

/// Calls with a token for DISPATCH, to which whoever is below is raised.
pub(super) fn at_dispatch<M: Machine, R>(
    machine: &M,
    call: impl FnOnce(&Dispatch) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    if let Some(dispatch) = Dispatch::now(machine) {
        return call(&dispatch);
    }
    let mut passive = Passive::now(machine).ok_or(Refusal::LEVEL)?;
    machine.raise(&mut passive, call)
}

/// Calls with a token for PASSIVE.
fn at_passive<M: Machine, R>(
    machine: &M,
    call: impl FnOnce(&Passive) -> Result<R, Refusal>,
) -> Result<R, Refusal> {
    call(&Passive::now(machine).ok_or(Refusal::LEVEL)?)
}

fn refused<T, E: Refused>(result: Result<T, E>) -> Result<T, Refusal> {
    result.map_err(|error| Refusal::of(&error))
}

impl<M: Machine> Dma for Platform<M> {
    fn adapter(&self, description: DeviceDescription) -> Result<Arc<dyn Port>, Refusal> {
        at_passive(self.machine(), |passive| {
            let adapter = refused(Self::adapter(self, passive, description))?;
            Ok(Arc::new(Here {
                machine: self.machine().clone(),
                adapter,
            }) as Arc<dyn Port>)
        })
    }

    fn nic(&self, assigned: Option<Assigned>) -> Box<dyn Nic> {
        ndis::machine::nic(self, assigned)
    }
}

/// An adapter on its machine.
struct Here<M: Machine> {
    machine: M,
    adapter: Adapter<M>,
}

impl<M: Machine> Port for Here<M> {
    fn table(&self) -> Release {
        self.adapter.table()
    }

    fn admits(&self, operation: Operation) -> Result<(), Refusal> {
        refused(self.adapter.admits(operation))
    }

    fn map_registers(&self) -> u32 {
        self.adapter.map_registers()
    }

    fn holder(&self, base: Option<RegisterBase>) -> Option<TransferContext> {
        self.adapter.holder(base)
    }

    fn progress(&self, context: &TransferContext) -> Option<Progress> {
        at_most(&self.machine, |level| Ok(self.adapter.poll(level, context))).ok()
    }

    fn put(&self) -> Result<(), Refusal> {
        at_most(&self.machine, |level| refused(self.adapter.clone().put(level)))
    }

    fn alignment(&self) -> u32 {
        at_passive(&self.machine, |passive| Ok(self.adapter.alignment(passive))).unwrap_or(1)
    }

    fn read_counter(&self) -> u32 {
        at_most(&self.machine, |level| Ok(self.adapter.read_counter(level))).unwrap_or(0)
    }

    fn info(&self, version: u32) -> Result<AdapterInfo, Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.info(level, InfoVersion(version)))
        })
    }

    fn transfer_info(&self, version: u32, question: TransferQuestion<'_>) -> Result<TransferInfo, Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.transfer_info(level, InfoVersion(version), question))
        })
    }

    fn initialize(&self, context: &mut TransferContext) -> Result<(), Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.initialize_transfer_context(level, context))
        })
    }

    fn allocate(&self, context: &TransferContext, wanted: Wanted) -> Result<Option<RegisterBase>, Refusal> {
        let Wanted {
            device,
            registers,
            flags,
            control,
        } = wanted;
        let routine = control.map(|control| -> longshore_wdm::AdapterControl<M> {
            Box::new(move |_, _, granted| control(granted.device_object, granted.registers))
        });
        let request = Allocation {
            device_object: device,
            registers,
            flags: AllocationFlags(flags),
            routine,
        };
        at_dispatch(&self.machine, |dispatch| {
            refused(self.adapter.allocate_channel(dispatch, context, request))
        })
    }

    fn common_buffer(
        &self,
        operation: Operation,
        request: CommonBufferRequest,
    ) -> Result<Box<dyn Shared>, Refusal> {
        at_passive(&self.machine, |passive| {
            let made = if operation == Operation::AllocateCommonBuffer {
                self.adapter
                    .allocate_common_buffer(passive, request.length, request.cache_enabled)
            } else {
                self.adapter.allocate_common_buffer_ex(passive, request)
            };
            let buffer = refused(made)?;
            Ok(shared::behind(&self.machine, &self.adapter, buffer))
        })
    }

    fn cancel_allocation(&self, context: &TransferContext, device: DeviceObject) -> bool {
        at_most(&self.machine, |level| {
            Ok(self.adapter.cancel_adapter_channel(level, context, device))
        })
        .unwrap_or(false)
    }

    fn configure(
        &self,
        context: &TransferContext,
        function: u32,
        argument: usize,
    ) -> Result<NtStatus, Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.configure(level, context, function, argument))
        })
    }

    fn map(&self, context: &TransferContext, piece: Piece<'_>) -> Result<u32, Refusal> {
        let completion = piece.completion.map(|completion| -> CompletionRoutine<M> {
            Arc::new(move |_, _, device, context, status| completion(device, context, status))
        });
        let request = MapRequest {
            offset: piece.offset,
            device_offset: u64::from(piece.device_offset),
            completion,
            context: piece.context,
            mapped: piece.mapped,
            list: piece.list,
            ..MapRequest::new(piece.buffer, piece.length, piece.write_to_device)
        };
        at_most(&self.machine, |level| {
            refused(self.adapter.map_transfer(level, context, request))
        })
    }

    fn flush(&self, context: &TransferContext, request: FlushRequest<'_>) -> Result<(), Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.flush(level, context, request)).map(drop)
        })
    }

    fn cancel_mapped(&self, context: &TransferContext) -> Result<(), Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.cancel_mapped(level, context)).map(drop)
        })
    }

    fn free_channel(&self) -> Result<(), Refusal> {
        at_dispatch(&self.machine, |dispatch| {
            refused(self.adapter.free_adapter_channel(dispatch))
        })
    }

    fn allocate_older(&self, device: DeviceObject, registers: u32, control: Control) -> Result<(), Refusal> {
        let routine: longshore_wdm::AdapterControl<M> =
            Box::new(move |_, _, granted| control(granted.device_object, granted.registers));
        at_dispatch(&self.machine, |dispatch| {
            refused(
                self.adapter
                    .allocate_adapter_channel(dispatch, device, registers, routine),
            )
        })
    }

    fn map_older(&self, base: Option<RegisterBase>, piece: MdlPiece<'_>) -> Result<BusRange, Refusal> {
        at_most(&self.machine, |level| {
            refused(self.adapter.map_mdl(level, base, piece))
        })
    }

    fn flush_older(&self, base: Option<RegisterBase>, piece: MdlPiece<'_>) -> bool {
        at_most(&self.machine, |level| {
            Ok(self.adapter.flush_mdl(level, base, piece))
        })
        .unwrap_or(false)
    }

    fn free_object(&self, context: &TransferContext, action: IoAllocationAction) -> Result<(), Refusal> {
        at_dispatch(&self.machine, |dispatch| {
            refused(self.adapter.free_object(dispatch, context, action))
        })
    }

    fn free_registers(&self, base: RegisterBase, count: u32) -> Result<(), Refusal> {
        at_dispatch(&self.machine, |dispatch| {
            refused(self.adapter.free_map_registers(dispatch, base, count))
        })
    }

    fn list(&self, wanted: WantedList<'_>) -> Result<Option<Box<dyn Listed>>, Refusal> {
        at_dispatch(&self.machine, |dispatch| {
            listed::ask(dispatch, &self.adapter, wanted)
        })
    }

    fn list_size(&self, mdl: Option<Mdl<'_>>, current: u64, length: u32) -> Result<ListSize, Refusal> {
        refused(self.adapter.calculate_scatter_gather_list(mdl, current, length))
    }
}
