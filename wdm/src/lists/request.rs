//! Asking for a list.

use super::{AdapterListControl, ListBuffer, ListError, ListRefused, ListRequest, ScatterGatherList};
use crate::adapter::Adapter;
use crate::adapter::info::{Needs, list_size};
use crate::channel::allocation::{AdapterControl, AllocateError, Allocation, Granted};
use crate::older::mdl::Mdl;
use crate::operations::Operation;
use crate::registers::{RegisterBase, pages_spanned};
use crate::status::{AllocationFlags, IoAllocationAction};
use crate::transfer::mapping::called;
use crate::transfer::{MapError, MapRequest, TransferContext};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::Ordering;
use longshore_core::machine::{Lock, Machine};
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, Event, Irql, Rule};
use longshore_hardware::BusRange;

/// How much a list will take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListSize {
    /// How many bytes.
    pub bytes: u32,
    /// How many map registers.
    pub map_registers: u32,
}

/// Everything a list will be made of when its channel is granted.
struct Plan {
    context: TransferContext,
    pieces: Vec<BusRange>,
    offset: u64,
    length: u32,
    write_to_device: bool,
    registers: u32,
    memory: ListBuffer,
    built: bool,
}

/// A plan, and who gets the list. Taken once: by the grant, or back by whoever asked.
type Parcel<M> = (Plan, Option<AdapterListControl<M>>);

impl<M: Machine> Adapter<M> {
    /// Maps a part of a buffer, and calls the driver with the list when the turn of the request comes.
    #[doc(alias = "GetScatterGatherList")]
    pub fn get_scatter_gather_list(
        &self,
        dispatch: &Dispatch,
        mdl: Mdl<'_>,
        current: u64,
        request: ListRequest<'_, M>,
    ) -> Result<(), ListRefused<M>> {
        self.older_list(dispatch, Operation::GetScatterGatherList, mdl, current, request)
    }

    /// The same, in memory of the driver's.
    #[doc(alias = "BuildScatterGatherList")]
    pub fn build_scatter_gather_list(
        &self,
        dispatch: &Dispatch,
        mdl: Mdl<'_>,
        current: u64,
        request: ListRequest<'_, M>,
    ) -> Result<(), ListRefused<M>> {
        self.older_list(dispatch, Operation::BuildScatterGatherList, mdl, current, request)
    }

    /// Maps a part of a buffer for a bus master, and calls the driver with the list or answers with it. It is freed by
    /// [`Self::put_scatter_gather_list`], or, as the answer, by [`Self::free_list_object`] as well.
    #[doc(alias = "GetScatterGatherListEx")]
    pub fn get_scatter_gather_list_ex(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: ListRequest<'_, M>,
    ) -> Result<Option<ScatterGatherList<M>>, ListRefused<M>> {
        self.newer_list(dispatch, Operation::GetScatterGatherListEx, context, request)
    }

    /// The same, in memory of the driver's.
    #[doc(alias = "BuildScatterGatherListEx")]
    pub fn build_scatter_gather_list_ex(
        &self,
        dispatch: &Dispatch,
        context: &TransferContext,
        request: ListRequest<'_, M>,
    ) -> Result<Option<ScatterGatherList<M>>, ListRefused<M>> {
        self.newer_list(dispatch, Operation::BuildScatterGatherListEx, context, request)
    }

    /// How much a list will take: of a given buffer, or of any buffer of this length that begins where `current` does
    /// in its page. At any level.
    #[doc(alias = "CalculateScatterGatherList")]
    pub fn calculate_scatter_gather_list(
        &self,
        mdl: Option<Mdl<'_>>,
        current: u64,
        length: u32,
    ) -> Result<ListSize, ListError> {
        let operation = Operation::CalculateScatterGatherList;
        called(self.machine(), operation.name(), || {
            self.offers(operation).map_err(ListError::NotOffered)?;
            let needs = match mdl {
                Some(mdl) => {
                    let offset = mdl.offset_of(current).ok_or(ListError::BeyondMdl)?;
                    self.needs(mdl.buffer, offset, length)
                        .ok_or(ListError::BeyondMdl)?
                }
                // Each page may lie elsewhere.
                None => {
                    let pages = u32::try_from(pages_spanned(current, u64::from(length))).unwrap_or(u32::MAX);
                    Needs {
                        pages,
                        elements: pages,
                    }
                }
            };
            if needs.pages > self.map_registers() {
                return Err(ListError::NotAllocated(AllocateError::TooManyRegisters));
            }
            Ok(ListSize {
                bytes: list_size(needs.elements),
                map_registers: needs.pages,
            })
        })
    }

    /// A list of versions 1 and 2: for system DMA too, with a context of its own, and always in turn.
    fn older_list(
        &self,
        dispatch: &Dispatch,
        operation: Operation,
        mdl: Mdl<'_>,
        current: u64,
        request: ListRequest<'_, M>,
    ) -> Result<(), ListRefused<M>> {
        called(self.machine(), operation.name(), || {
            let Some(offset) = mdl.offset_of(current) else {
                return Err(request.refused(ListError::BeyondMdl));
            };
            let request = ListRequest {
                buffer: mdl.buffer,
                offset,
                flags: AllocationFlags::ASYNCHRONOUS,
                ..request
            };
            if self
                .needs(request.buffer, request.offset, request.length)
                .is_none()
            {
                return Err(request.refused(ListError::BeyondMdl));
            }
            let context = self.context_of_its_own();
            self.list(dispatch, operation, &context, request).map(drop)
        })
    }

    fn newer_list(
        &self,
        dispatch: &Dispatch,
        operation: Operation,
        context: &TransferContext,
        request: ListRequest<'_, M>,
    ) -> Result<Option<ScatterGatherList<M>>, ListRefused<M>> {
        called(self.machine(), operation.name(), || {
            if !self.is_master() {
                return Err(request.refused(ListError::SystemAdapter));
            }
            if request.completion.is_some() || request.completion_context.0 != 0 {
                return Err(request.refused(ListError::NeverCompletes));
            }
            self.list(dispatch, operation, context, request)
        })
    }

    fn list(
        &self,
        dispatch: &Dispatch,
        operation: Operation,
        context: &TransferContext,
        request: ListRequest<'_, M>,
    ) -> Result<Option<ScatterGatherList<M>>, ListRefused<M>> {
        if let Err(why) = self.offers(operation) {
            return Err(request.refused(ListError::NotOffered(why)));
        }
        let needs = match self.list_needs(operation, &request) {
            Ok(needs) => needs,
            Err(why) => return Err(request.refused(why)),
        };
        let ListRequest {
            device_object,
            flags,
            routine,
            ..
        } = request;
        let has_routine = routine.is_some();
        let plan = Plan {
            context: context.clone(),
            pieces: request.buffer.iter().collect(),
            offset: request.offset,
            length: request.length,
            write_to_device: request.write_to_device,
            registers: needs.pages,
            built: request.memory.is_some(),
            memory: request
                .memory
                .unwrap_or_else(|| ListBuffer::with_room(needs.elements)),
        };
        let parcel = self.machine().lock("list", Irql::DISPATCH, Some((plan, routine)));
        let parcel: Arc<M::Lock<Option<Parcel<M>>>> = Arc::new(parcel);
        let allocation = Allocation {
            device_object,
            registers: needs.pages,
            flags,
            routine: has_routine.then(|| self.list_control(Arc::clone(&parcel))),
        };
        match self.allocate(dispatch, context, allocation) {
            Err(refused) => Err(give_back(
                parcel.with(Option::take),
                ListError::NotAllocated(refused.why),
            )),
            Ok(_) if has_routine => Ok(None),
            Ok(base) => self.list_now(dispatch, &parcel, base).map(Some),
        }
    }

    /// What the list takes; and whether there is memory for it.
    fn list_needs(&self, operation: Operation, request: &ListRequest<'_, M>) -> Result<Needs, ListError> {
        let needs = self
            .needs(request.buffer, request.offset, request.length)
            .ok_or(ListError::OutsideBuffer)?;
        let builds = matches!(
            operation,
            Operation::BuildScatterGatherList | Operation::BuildScatterGatherListEx
        );
        if request.length > self.description().maximum_length {
            return Err(ListError::NotAllocated(AllocateError::TooManyRegisters));
        }
        match &request.memory {
            None if builds => Err(ListError::NoMemory),
            Some(memory) if memory.room < needs.elements as usize => Err(ListError::TooSmall),
            _ => Ok(needs),
        }
    }

    /// The AdapterControl of a list: it maps, and passes the list on. A bus master's channel is free again then, and
    /// its registers stay with the list; a system channel stays until the put, for it works.
    fn list_control(&self, parcel: Arc<M::Lock<Option<Parcel<M>>>>) -> AdapterControl<M> {
        Box::new(move |dispatch, adapter: &Self, granted: Granted| {
            if let Some((plan, Some(routine))) = parcel.with(Option::take) {
                let mapped = adapter.map_list(plan, granted.registers);
                let failed = mapped.is_err();
                let mapped = mapped.map_err(|(why, _)| why);
                adapter.machine().emit(Event::Callback("AdapterListControl", 0));
                routine(dispatch, adapter, granted.device_object, mapped);
                if failed {
                    return IoAllocationAction::DEALLOCATE_OBJECT;
                }
            }
            if adapter.is_master() {
                IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS
            } else {
                IoAllocationAction::KEEP_OBJECT
            }
        })
    }

    /// The list as the answer of the call, whose channel is held until the list is freed.
    fn list_now(
        &self,
        dispatch: &Dispatch,
        parcel: &M::Lock<Option<Parcel<M>>>,
        base: Option<RegisterBase>,
    ) -> Result<ScatterGatherList<M>, ListRefused<M>> {
        let Some((plan, _)) = parcel.with(Option::take) else {
            return Err(give_back(None, ListError::NotMapped(MapError::NotStarted)));
        };
        let context = plan.context.clone();
        self.map_list(plan, base).map_err(|(why, plan)| {
            // Nothing is mapped, so this is never refused.
            let _ = self.free(dispatch, &context, IoAllocationAction::DEALLOCATE_OBJECT);
            ListRefused {
                why: ListError::NotMapped(why),
                routine: None,
                memory: plan.built.then_some(plan.memory),
            }
        })
    }

    fn map_list(
        &self,
        mut plan: Plan,
        base: Option<RegisterBase>,
    ) -> Result<ScatterGatherList<M>, (MapError, Plan)> {
        let request = MapRequest {
            offset: plan.offset,
            whole: true,
            handover: Rule("WDM-195"),
            list: Some(&mut plan.memory),
            ..MapRequest::new(Segments::new(&plan.pieces), plan.length, plan.write_to_device)
        };
        if let Err(why) = self.map(&plan.context, request) {
            return Err((why, plan));
        }
        self.record().lists.fetch_add(1, Ordering::Relaxed);
        Ok(ScatterGatherList {
            adapter: self.clone(),
            context: plan.context,
            registers: (base, plan.registers),
            pieces: plan.pieces,
            offset: plan.offset,
            length: plan.length,
            write_to_device: plan.write_to_device,
            memory: plan.memory,
            built: plan.built,
            mdl_was_built: false,
            put: false,
        })
    }
}

/// Takes back what a refused request brought.
fn give_back<M: Machine>(parcel: Option<Parcel<M>>, why: ListError) -> ListRefused<M> {
    let (plan, routine) = parcel.unzip();
    ListRefused {
        why,
        routine: routine.flatten(),
        memory: plan.and_then(|plan: Plan| plan.built.then_some(plan.memory)),
    }
}
