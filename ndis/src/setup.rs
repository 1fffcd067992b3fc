//! A transfer that is set up.

use crate::channel::{Direction, DmaChannel};
use crate::status::NdisStatus;
use alloc::vec::Vec;
use longshore_core::completion::{Outcome, Ticket, Verdict};
use longshore_core::event::{Event, Rule};
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, NtStatus, Passive};
use longshore_hardware::BusRange;
use longshore_wdm::TransferContext;

const COMPLETE: &str = "NdisMCompleteDmaTransfer";

/// What a transfer was set up with, and must be completed with (NDIS-043).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    buffer: Vec<BusRange>,
    pub(crate) offset: u32,
    pub(crate) length: u32,
    pub(crate) direction: Direction,
}

impl Arguments {
    pub(crate) fn new(buffer: Segments<'_>, offset: u32, length: u32, direction: Direction) -> Self {
        Self {
            buffer: buffer.iter().collect(),
            offset,
            length,
            direction,
        }
    }

    pub(crate) fn buffer(&self) -> Segments<'_> {
        Segments::new(&self.buffer)
    }
}

/// What is set up on a channel.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) arguments: Arguments,
    pub(crate) context: TransferContext,
    pub(crate) ticket: Ticket,
}

/// How a completed transfer ended. The channel is free either way (NDIS-041).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Completed {
    /// Success: the data has moved and is flushed. Resources: it cannot be relied upon.
    pub status: NdisStatus,
    /// How many bytes were not moved; in a loop, of its last iteration.
    pub residual: u32,
}

impl Completed {
    /// A loop has no end of its own, so being stopped is how it succeeds.
    pub(crate) fn from_outcome(outcome: Outcome, looped: bool) -> Self {
        let status = match outcome.verdict {
            Verdict::Completed => NdisStatus::SUCCESS,
            Verdict::Cancelled if looped => NdisStatus::SUCCESS,
            _ => NdisStatus::RESOURCES,
        };
        Self {
            status,
            residual: u32::try_from(outcome.residue).unwrap_or(u32::MAX),
        }
    }
}

/// A transfer that is set up and must be completed, which consumes it.
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_ndis::SetUp;
/// fn twice<M: Machine>(set_up: SetUp<'_, M>, dispatch: &Dispatch) {
///     let _ = set_up.complete(dispatch);
///     let _ = set_up.complete(dispatch);
/// }
/// ```
///
/// ```
/// use longshore_core::{Dispatch, Machine};
/// use longshore_ndis::SetUp;
/// fn once<M: Machine>(set_up: SetUp<'_, M>, dispatch: &Dispatch) {
///     let _ = set_up.complete(dispatch);
/// }
/// ```
#[derive(Debug)]
#[must_use = "a transfer that is set up must be completed"]
pub struct SetUp<'a, M: Machine> {
    channel: &'a DmaChannel<M>,
    ticket: Ticket,
}

impl<'a, M: Machine> SetUp<'a, M> {
    pub(crate) fn new(channel: &'a DmaChannel<M>, ticket: Ticket) -> Self {
        Self { channel, ticket }
    }

    /// How many bytes are left.
    pub fn remaining<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> u32 {
        self.channel.read_counter(level)
    }

    /// Completes the transfer: resets the controller, frees the channel, and gives the bytes back. One that still
    /// runs is cut (NDIS-044).
    #[doc(alias = "NdisMCompleteDmaTransfer")]
    pub fn complete<'l>(self, level: impl Into<AtMostDispatch<'l>>) -> Completed {
        let ticket = self.ticket;
        complete(self.channel, level.into(), |transfer| transfer.ticket == ticket)
    }
}

impl<M: Machine> Drop for SetUp<'_, M> {
    /// What was set up and is thrown away is completed all the same, and reported.
    fn drop(&mut self) {
        if !self.channel.is_set_up(self.ticket) {
            return;
        }
        let status = NtStatus::from(NdisStatus::RESOURCES);
        let machine = self.channel.machine();
        machine.emit(Event::Misuse("NdisMSetupDmaTransfer", Rule("NDIS-040"), status));
        let ticket = self.ticket;
        complete_at_any_level(self.channel, |transfer| transfer.ticket == ticket);
    }
}

/// Completes what is set up, where only the machine knows the level. Above DISPATCH nothing can be done.
pub(crate) fn complete_at_any_level<M: Machine>(channel: &DmaChannel<M>, wanted: impl Fn(&Transfer) -> bool) {
    let machine = channel.machine();
    if let Some(dispatch) = Dispatch::now(machine) {
        let _ = complete(channel, (&dispatch).into(), wanted);
    } else if let Some(passive) = Passive::probe(machine) {
        let _ = complete(channel, (&passive).into(), wanted);
    }
}

fn complete<M: Machine>(
    channel: &DmaChannel<M>,
    level: AtMostDispatch<'_>,
    wanted: impl Fn(&Transfer) -> bool,
) -> Completed {
    let machine = channel.machine();
    machine.emit(Event::Call(COMPLETE));
    let completed = channel.complete(level, wanted).unwrap_or_else(|rule| {
        let status = NdisStatus::RESOURCES;
        machine.emit(Event::Misuse(COMPLETE, rule, status.into()));
        Completed { status, residual: 0 }
    });
    machine.emit(Event::Return(COMPLETE, completed.status.into()));
    completed
}

/// The calls as C knows them: what is set up is known by its arguments.
impl<M: Machine> DmaChannel<M> {
    /// Sets a transfer up, to be completed by [`Self::complete_dma_transfer`].
    #[doc(alias = "NdisMSetupDmaTransfer")]
    pub fn setup_dma_transfer<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        buffer: Segments<'_>,
        offset: u32,
        length: u32,
        write_to_device: bool,
    ) -> NdisStatus {
        let direction = Direction::from_write_to_device(write_to_device);
        match self.set_up(level, buffer, offset, length, direction) {
            Ok(set_up) => {
                // The arguments stand for it from here on.
                core::mem::forget(set_up);
                NdisStatus::SUCCESS
            }
            Err(refused) => refused.status,
        }
    }

    /// Completes the transfer that was set up with these arguments. Others, or nothing set up, are misuse that
    /// reaches no hardware (NDIS-043, NDIS-045).
    #[doc(alias = "NdisMCompleteDmaTransfer")]
    pub fn complete_dma_transfer<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        buffer: Segments<'_>,
        offset: u32,
        length: u32,
        write_to_device: bool,
    ) -> NdisStatus {
        let direction = Direction::from_write_to_device(write_to_device);
        let arguments = Arguments::new(buffer, offset, length, direction);
        complete(self, level.into(), |transfer| transfer.arguments == arguments).status
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::completion::Cause;

    fn told(verdict: Verdict, looped: bool) -> NdisStatus {
        Completed::from_outcome(Outcome { verdict, residue: 3 }, looped).status
    }

    /// Proves: SEED-002-6, SEED-002-7.
    #[test]
    fn only_data_that_can_be_relied_upon_is_a_success() {
        assert_eq!(told(Verdict::Completed, false), NdisStatus::SUCCESS);
        assert_eq!(told(Verdict::Cancelled, false), NdisStatus::RESOURCES);
        assert_eq!(told(Verdict::Cancelled, true), NdisStatus::SUCCESS);
        for looped in [false, true] {
            let failed = Verdict::Failed(Cause::DEVICE);
            assert_eq!(told(failed, looped), NdisStatus::RESOURCES);
        }
    }
}
