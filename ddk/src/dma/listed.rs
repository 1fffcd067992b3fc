//! A list behind the vtable.

use super::machine::{Refusal, at_dispatch};
use longshore_core::Dispatch;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_hardware::BusRange;
use longshore_wdm::{
    Adapter, AdapterListControl, AllocationFlags, BuildMdlError, CompletionContext, DeviceObject,
    IoAllocationAction, ListBuffer, ListRequest, Mdl, Operation, PutListRefused, ScatterGatherList,
    TransferContext,
};

/// What runs when a list is there, or when nothing could be mapped after all.
pub(crate) type ListControl = Box<dyn FnOnce(DeviceObject, Option<Box<dyn Listed>>) + Send>;

/// What a call names its bytes and its request by.
pub(crate) enum Named<'a> {
    /// An address, in versions 1 and 2.
    Address(Mdl<'a>, u64),
    /// A context, and an offset.
    Context(&'a TransferContext, u64),
}

/// What a list is to be of, and who gets it.
pub(crate) struct WantedList<'a> {
    pub(crate) operation: Operation,
    pub(crate) named: Named<'a>,
    pub(crate) device: DeviceObject,
    pub(crate) buffer: Segments<'a>,
    pub(crate) length: u32,
    pub(crate) write_to_device: bool,
    pub(crate) flags: u32,
    /// How many bytes the caller brings for it.
    pub(crate) memory: Option<u32>,
    pub(crate) control: Option<ListControl>,
    /// Whether a completion routine was given, or something for it.
    pub(crate) completes: bool,
}

/// A list that is out.
pub(crate) trait Listed: Send {
    fn elements(&self) -> &[BusRange];

    /// Ends it, or gives it back with why not.
    fn put(self: Box<Self>, write_to_device: bool) -> Result<(), (Box<dyn Listed>, Refusal)>;

    /// The same for one that was the answer of a call.
    fn free(self: Box<Self>) -> Result<(), (Box<dyn Listed>, Refusal)>;

    /// Makes it a buffer, if the one that it was made of is given.
    fn build_mdl(&mut self, original: Option<Segments<'_>>) -> Result<(), Refusal>;
}

/// Asks an adapter for a list.
pub(super) fn ask<M: Machine>(
    dispatch: &Dispatch,
    adapter: &Adapter<M>,
    wanted: WantedList<'_>,
) -> Result<Option<Box<dyn Listed>>, Refusal> {
    let routine = wanted.control.map(|control| -> AdapterListControl<M> {
        Box::new(move |_, adapter, device, list| control(device, list.ok().map(|list| behind(adapter, list))))
    });
    let request = ListRequest {
        device_object: wanted.device,
        flags: AllocationFlags(wanted.flags),
        routine,
        memory: wanted.memory.map(ListBuffer::elsewhere),
        completion_context: CompletionContext(usize::from(wanted.completes)),
        ..ListRequest::new(wanted.buffer, wanted.length, wanted.write_to_device)
    };
    let builds = wanted.operation == Operation::BuildScatterGatherList
        || wanted.operation == Operation::BuildScatterGatherListEx;
    let asked = match wanted.named {
        Named::Address(mdl, current) if builds => adapter
            .build_scatter_gather_list(dispatch, mdl, current, request)
            .map(|()| None),
        Named::Address(mdl, current) => adapter
            .get_scatter_gather_list(dispatch, mdl, current, request)
            .map(|()| None),
        Named::Context(context, offset) => {
            let request = ListRequest { offset, ..request };
            if builds {
                adapter.build_scatter_gather_list_ex(dispatch, context, request)
            } else {
                adapter.get_scatter_gather_list_ex(dispatch, context, request)
            }
        }
    };
    asked
        .map(|list| list.map(|list| behind(adapter, list)))
        .map_err(|refused| Refusal::of(&refused))
}

fn behind<M: Machine>(adapter: &Adapter<M>, list: ScatterGatherList<M>) -> Box<dyn Listed> {
    Box::new(Here {
        adapter: adapter.clone(),
        list,
    })
}

/// A list on its machine.
struct Here<M: Machine> {
    adapter: Adapter<M>,
    list: ScatterGatherList<M>,
}

impl<M: Machine> Here<M> {
    /// Runs a call that ends the list, at DISPATCH.
    fn end<T>(
        self,
        call: impl FnOnce(&Dispatch, ScatterGatherList<M>) -> Result<T, PutListRefused<M>>,
    ) -> Result<(), (Box<dyn Listed>, Refusal)> {
        let Self { adapter, list } = self;
        let machine = adapter.system().machine().clone();
        let mut waiting = Some(list);
        let ended = at_dispatch(&machine, |dispatch| {
            let Some(list) = waiting.take() else { return Ok(()) };
            call(dispatch, list).map(drop).map_err(|refused| {
                let refusal = Refusal::of(&refused);
                waiting = Some(refused.list);
                refusal
            })
        });
        match (ended, waiting) {
            (Err(refusal), Some(list)) => Err((behind(&adapter, list), refusal)),
            _ => Ok(()),
        }
    }
}

impl<M: Machine> Listed for Here<M> {
    fn elements(&self) -> &[BusRange] {
        self.list.elements()
    }

    fn put(self: Box<Self>, write_to_device: bool) -> Result<(), (Box<dyn Listed>, Refusal)> {
        let adapter = self.adapter.clone();
        self.end(|dispatch, list| adapter.put_scatter_gather_list(dispatch, list, write_to_device))
    }

    fn free(self: Box<Self>) -> Result<(), (Box<dyn Listed>, Refusal)> {
        let (adapter, action) = (self.adapter.clone(), IoAllocationAction::DEALLOCATE_OBJECT);
        self.end(|dispatch, list| adapter.free_list_object(dispatch, list, action))
    }

    fn build_mdl(&mut self, original: Option<Segments<'_>>) -> Result<(), Refusal> {
        let (adapter, list) = (&self.adapter, &mut self.list);
        at_dispatch(&adapter.system().machine().clone(), |dispatch| {
            let built = adapter.build_mdl_from_scatter_gather_list(dispatch, list, original);
            built
                .map(drop)
                .map_err(|error: BuildMdlError| Refusal::of(&error))
        })
    }
}
