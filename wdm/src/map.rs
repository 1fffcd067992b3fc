//! Mapping: from a piece of a buffer to a transfer that runs.

use crate::adapter::Adapter;
use crate::board::Board;
use crate::controller::Program;
use crate::mapping::{DeviceObject, Job, Mapping, called};
use crate::state::{Answer, Input, Refusal};
use crate::transfer::{MapError, MapRequest, TransferContext};
use alloc::collections::LinkedList;
use alloc::sync::Arc;
use alloc::vec::Vec;
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
struct Grant {
    device_object: DeviceObject,
    fragments: usize,
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
        let list = request.list.take();
        let room = list.as_ref().map_or(usize::MAX, |list| list.room());
        let request = &request;
        let device_address = self
            .description()
            .device_address
            .checked_add(request.device_offset)
            .ok_or(MapError::BadDeviceOffset)?;
        let grant = self.look_before_map(context, request)?;
        if room == 0 {
            return Err(MapError::NoRoom);
        }
        let ranges = self.fragments(request, grant.fragments.min(room))?;
        let mapping = self.prepare(request, grant.device_object, ranges)?;
        let mapped = mapping.mapped;
        if let Some(out) = request.mapped {
            out.store(mapped, Ordering::Relaxed);
        }
        if let Some(list) = list {
            list.write(&mapping.ranges);
        }
        // Made before the lock is taken, and dropped after it is given back if it was not used.
        let mut job = LinkedList::new();
        job.push_back(Job {
            mapping,
            owed: None,
            periods: 0,
            left: mapped,
        });
        self.system()
            .with(|board| self.start(board, context, &mut job, device_address))?;
        Ok(mapped)
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
            Ok(Grant {
                device_object: holder.device_object,
                fragments: core.controller.query_max_fragments(number, wanted) as usize,
            })
        })
    }

    /// The bytes of this map: as many as the controller reaches and takes at a time (WDM-153).
    fn fragments(&self, request: &MapRequest<'_, M>, most: usize) -> Result<Vec<BusRange>, MapError> {
        if request.length == 0 {
            return Err(MapError::NoBytes);
        }
        let total = request.buffer.len().ok_or(MapError::OutsideBuffer)?;
        let end = request.offset.checked_add(u64::from(request.length));
        if end.is_none_or(|end| end > total) {
            return Err(MapError::OutsideBuffer);
        }
        let attributes = self.system().attributes();
        let wanted = u64::from(request.length.min(self.description().maximum_length));
        let reach = 1u128 << attributes.address_width;
        let mut ranges = reachable(request.buffer, request.offset, wanted, reach, most);
        if ranges.is_empty() {
            return Err(MapError::Unreachable);
        }
        cut_to_unit(&mut ranges, u64::from(attributes.minimum_unit.max(1)));
        if ranges.is_empty() {
            return Err(MapError::BelowUnit);
        }
        Ok(ranges)
    }

    fn prepare(
        &self,
        request: &MapRequest<'_, M>,
        device_object: DeviceObject,
        ranges: Vec<BusRange>,
    ) -> Result<Arc<Mapping<M>>, MapError> {
        let mapped: u64 = ranges.iter().map(|range| range.len()).sum();
        if request.whole && mapped < u64::from(request.length) {
            return Err(MapError::NotWhole);
        }
        let mapped = u32::try_from(mapped).map_err(|_| MapError::OutsideBuffer)?;
        let cell = Cell::new();
        // Nobody else has this cell, so it is not busy. Whoever listens hears of it in `start`.
        let ticket = cell.begin(&()).map_err(|_| MapError::NotStarted)?;
        Ok(Arc::new(Mapping {
            adapter: self.clone(),
            device_object,
            routine: request.completion.clone(),
            context: request.context,
            ranges,
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

    /// Starts the hardware. Under the lock, so a cancel comes before or after, never in between (R2), and nobody
    /// sees the transfer before it is whole.
    fn start(
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
        mapping.hand_over(&core.machine, Owner::Device);
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
            segments: Segments::new(&mapping.ranges),
            device_address,
            write_to_device: mapping.write_to_device,
            looped: mapping.looped,
            demand_mode: description.on_demand(),
            width: description.width,
        }
    }
}

/// The first `wanted` bytes from `offset` on, up to the first that is out of reach, in at most `most` ranges.
fn reachable(buffer: Segments<'_>, offset: u64, wanted: u64, reach: u128, most: usize) -> Vec<BusRange> {
    let mut ranges: Vec<BusRange> = Vec::new();
    for part in buffer.part(offset, wanted) {
        if u128::from(part.end().raw()) > reach {
            break;
        }
        if let Some(last) = ranges.last_mut()
            && last.end() == part.start()
            && let Some(joined) = BusRange::new(last.start(), last.len() + part.len())
        {
            *last = joined;
        } else if ranges.len() < most {
            ranges.push(part);
        } else {
            break;
        }
    }
    ranges
}

/// Shortens the ranges, from their end, to a multiple of `unit` bytes in all.
fn cut_to_unit(ranges: &mut Vec<BusRange>, unit: u64) {
    let total: u64 = ranges.iter().map(|range| range.len()).sum();
    let mut excess = total % unit;
    while excess > 0 {
        let Some(last) = ranges.pop() else { return };
        if let Some(kept) = last
            .len()
            .checked_sub(excess)
            .filter(|kept| *kept > 0)
            .and_then(|kept| last.slice(0, kept))
        {
            ranges.push(kept);
            return;
        }
        excess -= last.len().min(excess);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec;

    fn range(start: u64, len: u64) -> BusRange {
        BusRange::new(BusAddress::new(start), len).unwrap()
    }

    /// Proves: WDM-151, WDM-153.
    #[test]
    fn a_map_takes_what_is_in_reach_and_fits_the_controller() {
        let pages = [range(0x100, 8), range(0x108, 8), range(0x200, 8), range(0x300, 8)];
        let buffer = Segments::new(&pages);
        let all = reachable(buffer, 4, 28, 1 << 32, 8);
        assert_eq!(all, [range(0x104, 12), range(0x200, 8), range(0x300, 8)]);
        assert_eq!(
            reachable(buffer, 4, 28, 1 << 32, 2),
            [range(0x104, 12), range(0x200, 8)]
        );
        assert_eq!(
            reachable(buffer, 4, 28, 0x208, 8),
            [range(0x104, 12), range(0x200, 8)]
        );
        assert!(reachable(buffer, 16, 16, 0x200, 8).is_empty());
        assert!(reachable(buffer, 0, 8, 1 << 32, 0).is_empty());
        let last = [range(u64::MAX - 8, 8)];
        assert_eq!(reachable(Segments::new(&last), 0, 8, 1 << 64, 1), last);
    }

    /// Proves: A-29.
    #[test]
    fn a_map_is_shortened_to_whole_units() {
        let mut ranges = vec![range(0x100, 6), range(0x200, 1), range(0x300, 2)];
        cut_to_unit(&mut ranges, 4);
        assert_eq!(ranges, [range(0x100, 6), range(0x200, 1), range(0x300, 1)]);
        let mut ranges = vec![range(0x100, 9), range(0x200, 2), range(0x300, 1)];
        cut_to_unit(&mut ranges, 8);
        assert_eq!(ranges, [range(0x100, 8)]);
        let mut ranges = vec![range(0x100, 3)];
        cut_to_unit(&mut ranges, 4);
        assert!(ranges.is_empty());
    }
}
