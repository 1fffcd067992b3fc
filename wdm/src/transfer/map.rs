//! Mapping: from a piece of a buffer to a transfer that runs.

use crate::adapter::Adapter;
use crate::controller::Program;
use crate::registers::Run;
use crate::state::{Answer, Input, Refusal};
use crate::system::board::Board;
use crate::transfer::bounce;
use crate::transfer::mapping::{DeviceObject, Job, Mapping, called, digest};
use crate::transfer::plan::{self, Limits, Plan};
use crate::transfer::{ElementList, MapError, MapRequest, TransferContext};
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use core::sync::atomic::Ordering;
use longshore_core::AtMostDispatch;
use longshore_core::completion::Cell;
use longshore_core::event::Owner;
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_hardware::{BusAddress, BusRange};

/// What a bus master's map may not have, and must (WDM-156, WDM-159).
fn check_master<M: Machine>(request: &MapRequest<'_, M>) -> Result<(), MapError> {
    if request.completion.is_some() {
        return Err(MapError::NeverCompletes);
    }
    if request.list.is_none() {
        return Err(MapError::NoList);
    }
    Ok(())
}

/// What the first look at the hardware tells a map.
#[derive(Clone, Copy)]
struct Grant {
    device_object: DeviceObject,
    fragments: usize,
    /// The map registers' pages; empty if there are none.
    run: BusRange,
}

impl<M: Machine> Adapter<M> {
    /// Maps a piece of a buffer and starts its transfer. Says how many bytes it is, which may be fewer than wanted.
    ///
    /// The completion routine may have run, flushed and freed before this returns: everything is written before the
    /// hardware starts, and nothing of the transfer is touched after (R3).
    #[doc(alias = "MapTransferEx")]
    pub fn map_transfer<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        context: &TransferContext,
        request: MapRequest<'_, M>,
    ) -> Result<u32, MapError> {
        let _ = level.into();
        called(self.machine(), "MapTransferEx", || {
            if context.record().is_older() {
                return Err(MapError::Refused(Refusal::OtherKind));
            }
            self.map(context, request)
        })
    }

    pub(crate) fn map(
        &self,
        context: &TransferContext,
        mut request: MapRequest<'_, M>,
    ) -> Result<u32, MapError> {
        if self.is_master() {
            check_master(&request)?;
        }
        let device_address = self
            .description()
            .device_address
            .checked_add(request.device_offset)
            .ok_or(MapError::BadDeviceOffset)?;
        let mut list = request.list.take();
        let before = request.mapped.map(|out| out.load(Ordering::Relaxed));
        let grant = self.look_before_map(context, &request)?;
        let started = self
            .prepare(&request, grant, list.as_deref())
            .and_then(|mapping| {
                let mapped = mapping.mapped;
                if let Some(out) = request.mapped {
                    out.store(mapped, Ordering::Relaxed);
                }
                if let Some(list) = &mut list {
                    list.write(&mapping.fragments);
                }
                self.start(context, mapping, device_address)?;
                Ok(mapped)
            });
        if started.is_err() {
            // What was said too early is taken back: a refusal changes nothing.
            if let (Some(out), Some(before)) = (request.mapped, before) {
                out.store(before, Ordering::Relaxed);
            }
            if let Some(list) = &mut list {
                list.write(&[]);
            }
            if !grant.run.is_empty() {
                self.system()
                    .with(|board| self.mark_copying(board, context, false));
            }
        }
        started
    }

    /// Checks that the context may be mapped, and asks how many fragments the controller takes.
    fn look_before_map(
        &self,
        context: &TransferContext,
        request: &MapRequest<'_, M>,
    ) -> Result<Grant, MapError> {
        let wanted = u32::try_from(request.buffer.count()).unwrap_or(u32::MAX);
        let core = &self.system().hardware().core;
        let number = self.channel_number();
        self.system().with(|board| {
            let state = self.stored_state(context.record());
            if let (_, Answer::Refuse(refusal)) = core.consult(state, self.map_input()) {
                return Err(MapError::Refused(refusal));
            }
            let holder = board
                .channel(number)
                .and_then(|channel| channel.held_by(context.record()))
                .ok_or(MapError::Refused(Refusal::NotAllocated))?;
            if holder.copying {
                return Err(MapError::Refused(Refusal::NotFlushed));
            }
            let run = holder.run.as_ref().map_or(BusRange::EMPTY, Run::range);
            // Until the hardware has started, nobody else may use the run or free it.
            holder.copying = !run.is_empty();
            Ok(Grant {
                device_object: holder.device_object,
                fragments: core.controller.query_max_fragments(number, wanted) as usize,
                run,
            })
        })
    }

    /// Plans a map: as many bytes as the controller takes at a time, and the registers are good for (WDM-153).
    fn plan(
        &self,
        request: &MapRequest<'_, M>,
        grant: Grant,
        list: Option<&dyn ElementList>,
    ) -> Result<Plan, MapError> {
        if request.length == 0 {
            return Err(MapError::NoBytes);
        }
        let total = request.buffer.len().ok_or(MapError::OutsideBuffer)?;
        if request.offset >= total {
            return Err(MapError::BehindBuffer);
        }
        let end = request.offset.checked_add(u64::from(request.length));
        if end.is_none_or(|end| end > total) {
            return Err(MapError::OutsideBuffer);
        }
        let room = list.map_or(usize::MAX, |list| list.room());
        if room == 0 {
            return Err(MapError::NoRoom);
        }
        let wanted = u64::from(request.length.min(self.description().maximum_length));
        let limits = Limits {
            fragments: grant.fragments.min(room),
            ..self.limits()
        };
        if wanted < limits.unit {
            return Err(MapError::BelowUnit);
        }
        let mut plan = plan::plan(request.buffer, request.offset, wanted, limits, grant.run);
        if request.whole && plan.length < wanted {
            // Scattered wider than the device takes: through its registers it is one run (WDM-261).
            let through = Limits { reach: 0, ..limits };
            plan = plan::plan(request.buffer, request.offset, wanted, through, grant.run);
        }
        if plan.length == 0 {
            return Err(MapError::Unreachable);
        }
        if request.whole && plan.length < u64::from(request.length) {
            return Err(MapError::NotWhole);
        }
        Ok(plan)
    }

    /// What the channel can do with memory, but for the number of fragments.
    pub(crate) fn limits(&self) -> Limits {
        let core = &self.system().hardware().core;
        let number = self.channel_number();
        Limits {
            reach: self.reach(),
            unit: core.unit(number),
            boundary: core.channel(number).boundary,
            fragments: usize::MAX,
        }
    }

    /// Plans the map and copies in. Everything is made here that a transfer needs, before any lock is taken.
    fn prepare(
        &self,
        request: &MapRequest<'_, M>,
        grant: Grant,
        list: Option<&dyn ElementList>,
    ) -> Result<Arc<Mapping<M>>, MapError> {
        let plan = self.plan(request, grant, list)?;
        let mapped = u32::try_from(plan.length).map_err(|_| MapError::OutsideBuffer)?;
        self.fill(request, &plan)?;
        let cell = Cell::new();
        // Nobody else has this cell, so it is not busy. Whoever listens hears of it in `start`.
        let ticket = cell.begin(&()).map_err(|_| MapError::NotStarted)?;
        Ok(Arc::new(Mapping {
            adapter: self.clone(),
            device_object: grant.device_object,
            routine: request.completion.clone(),
            context: request.context,
            fragments: plan.fragments,
            bounced: plan.bounced,
            digest: digest(request.buffer.part(request.offset, plan.length)),
            offset: request.offset,
            mapped,
            write_to_device: request.write_to_device,
            looped: self.description().loops(),
            handover: request.handover,
            number: self.machine().number(),
            cell,
            ticket,
        }))
    }

    /// What the map registers hold before the hardware starts. Where all of it will be copied back, whether the device
    /// wrote it or not, they hold what the buffer does, or nothing.
    fn fill(&self, request: &MapRequest<'_, M>, plan: &Plan) -> Result<(), MapError> {
        let memory = self.machine().memory();
        let filled = if request.write_to_device || self.description().loops() {
            bounce::copy_in(&memory, &plan.bounced)
        } else if !self.counts() {
            bounce::clear(&memory, &plan.bounced)
        } else {
            Ok(())
        };
        filled.map_err(|_| MapError::Unreachable)
    }

    fn start(
        &self,
        context: &TransferContext,
        mapping: Arc<Mapping<M>>,
        device_address: BusAddress,
    ) -> Result<(), MapError> {
        // Made before the lock is taken, and dropped after it is given back if it was not used.
        let mut job = LinkedList::new();
        job.push_back(Job {
            left: mapping.mapped,
            mapping,
            owed: None,
            periods: 0,
        });
        self.system()
            .with(|board| self.start_under_lock(board, context, &mut job, device_address))
    }

    /// Starts the hardware. Under the lock, so a cancel comes before or after, never in between (R2), and nobody
    /// sees the transfer before it is whole.
    fn start_under_lock(
        &self,
        board: &mut Board<M>,
        context: &TransferContext,
        job: &mut LinkedList<Job<M>>,
        device_address: BusAddress,
    ) -> Result<(), MapError> {
        let number = self.channel_number();
        let hardware = self.system().hardware();
        let core = &hardware.core;
        let state = self.stored_state(context.record());
        let (running, answer) = core.consult(state, self.map_input());
        if let Answer::Refuse(refusal) = answer {
            return Err(MapError::Refused(refusal));
        }
        // What a former transfer left asserted must not be taken for this one's end (PAIN-05).
        if core.interrupts(number) {
            hardware.drain(board);
        }
        let holder = board
            .channel(number)
            .and_then(|channel| channel.held_by(context.record()));
        let (Some(holder), Some(mapping)) = (holder, job.front().map(|job| Arc::clone(&job.mapping))) else {
            return Err(MapError::Refused(Refusal::NotAllocated));
        };
        // A loop's driver copies out while the device goes round (WDM-268).
        let owner = if mapping.looped {
            Owner::Both
        } else {
            Owner::Device
        };
        mapping.hand_over(&core.machine, owner);
        let program = self.program(&mapping, device_address);
        if core.controller.program(number, &program).is_err() {
            // seen at once, so it is a refusal, and no outcome is owed.
            mapping.hand_over(&core.machine, Owner::Cpu);
            return Err(MapError::NotStarted);
        }
        // Nobody tells when a bus master is done, so its mapping is owed no outcome.
        let ends = !self.is_master();
        if ends {
            mapping.accept(&core.machine);
        }
        holder.mapping = Some(mapping);
        holder.copying = false;
        context.record().set_state(running);
        if ends && let Some(channel) = board.channel(number) {
            channel.running.append(job);
        }
        Ok(())
    }

    fn map_input(&self) -> Input {
        let description = self.description();
        match (description.master, description.loops()) {
            (true, _) => Input::MapMaster,
            (false, true) => Input::MapLoop,
            (false, false) => Input::Map,
        }
    }

    fn program<'a>(&self, mapping: &'a Mapping<M>, device_address: BusAddress) -> Program<'a> {
        let description = self.description();
        Program {
            request_line: self.record().request_line,
            segments: Segments::new(&mapping.fragments),
            device_address,
            write_to_device: mapping.write_to_device,
            looped: mapping.looped,
            demand_mode: description.on_demand(),
            width: description.width,
        }
    }
}
