//! A transfer that is set up, as a value or by its arguments.

use crate::channel::{Arguments, Direction, DmaChannel, Inner, NotCompleted, Transfer, WhyNotSetUp};
use crate::status::NdisStatus;
use alloc::sync::Arc;
use core::fmt;
use longshore_core::completion::{Outcome, Ticket, Verdict};
use longshore_core::event::{Event, Rule};
use longshore_core::machine::Machine;
use longshore_core::scatter::Segments;
use longshore_core::{AtMostDispatch, Dispatch, Irql, NtStatus, Passive};
use longshore_hardware::{BusRange, DmaMemory, Lease};

const SET_UP: &str = "NdisMSetupDmaTransfer";
const COMPLETE: &str = "NdisMCompleteDmaTransfer";

/// Of a transfer that is a value.
const OWNED: bool = true;

/// Memory that a set-up can own: as long as the value lives, its bytes are nobody else's, and they stay where they are.
///
/// A reference or a list of ranges is none: a set-up that is forgotten, or thrown away while the hardware runs, would
/// leave the hardware in memory that has gone to somebody else. Whoever implements it for memory of his own promises that.
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_hardware::Lease;
/// use longshore_ndis::{Direction, DmaChannel};
/// fn lend<M: Machine>(channel: &DmaChannel<M>, buffer: Lease<M::Memory>, dispatch: &Dispatch) {
///     let _ = channel.set_up(dispatch, &buffer, 0, 64, Direction::ReadFromDevice);
/// }
/// ```
///
/// ```
/// use longshore_core::{Dispatch, Machine};
/// use longshore_hardware::Lease;
/// use longshore_ndis::{Direction, DmaChannel};
/// fn give<M: Machine>(channel: &DmaChannel<M>, buffer: Lease<M::Memory>, dispatch: &Dispatch) {
///     let _ = channel.set_up(dispatch, buffer, 0, 64, Direction::ReadFromDevice);
/// }
/// ```
pub trait Owned: AsRef<[BusRange]> + 'static {}

impl<M: DmaMemory + 'static> Owned for Lease<M> {}

/// A refused set-up, with the buffer.
pub struct SetUpRefused<B> {
    /// The one status the contract has for it.
    pub status: NdisStatus,
    /// Why.
    pub reason: WhyNotSetUp,
    /// The buffer.
    pub buffer: B,
}

impl<B> fmt::Debug for SetUpRefused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetUpRefused({:?})", self.reason)
    }
}

impl<B> fmt::Display for SetUpRefused<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl<B> core::error::Error for SetUpRefused<B> {}

/// How a completed transfer ended. The channel is free either way (NDIS-041).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Completed<B> {
    /// Success: the data has moved and is flushed. Resources: it cannot be relied upon.
    pub status: NdisStatus,
    /// How many bytes were not moved; in a loop, of its last iteration.
    pub residual: u32,
    /// The buffer.
    pub buffer: B,
}

impl Completed<()> {
    /// A loop has no end of its own, so being stopped is how it succeeds.
    pub(crate) fn of(outcome: Outcome, looped: bool) -> Self {
        let status = match outcome.verdict {
            Verdict::Completed => NdisStatus::SUCCESS,
            Verdict::Cancelled if looped => NdisStatus::SUCCESS,
            _ => NdisStatus::RESOURCES,
        };
        Self {
            status,
            residual: u32::try_from(outcome.residue).unwrap_or(u32::MAX),
            buffer: (),
        }
    }

    fn with<B>(self, buffer: B) -> Completed<B> {
        Completed {
            status: self.status,
            residual: self.residual,
            buffer,
        }
    }
}

/// The hardware does not stop, so nothing comes back: the transfer is still set up, and can be completed later.
pub struct StillRuns<M: Machine, B>(pub SetUp<M, B>);

impl<M: Machine, B> fmt::Debug for StillRuns<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StillRuns")
    }
}

impl<M: Machine, B> fmt::Display for StillRuns<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the hardware does not stop")
    }
}

impl<M: Machine, B> core::error::Error for StillRuns<M, B> {}

/// A transfer that is set up and must be completed, which consumes it.
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_ndis::SetUp;
/// fn twice<M: Machine, B>(set_up: SetUp<M, B>, dispatch: &Dispatch) {
///     let _ = set_up.complete(dispatch);
///     let _ = set_up.complete(dispatch);
/// }
/// ```
///
/// ```
/// use longshore_core::{Dispatch, Machine};
/// use longshore_ndis::SetUp;
/// fn once<M: Machine, B>(set_up: SetUp<M, B>, dispatch: &Dispatch) {
///     let _ = set_up.complete(dispatch);
/// }
/// ```
///
/// It has the buffer until then, so that nobody reads what is still the device's (NDIS-042):
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_hardware::Lease;
/// use longshore_ndis::{Direction, DmaChannel};
/// fn peek<M: Machine>(channel: &DmaChannel<M>, buffer: Lease<M::Memory>, dispatch: &Dispatch) {
///     let set_up = channel.set_up(dispatch, buffer, 0, 64, Direction::ReadFromDevice);
///     let address = buffer.address();
/// }
/// ```
///
/// ```
/// use longshore_core::{Dispatch, Machine};
/// use longshore_hardware::Lease;
/// use longshore_ndis::{Direction, DmaChannel};
/// fn wait<M: Machine>(channel: &DmaChannel<M>, buffer: Lease<M::Memory>, dispatch: &Dispatch) {
///     if let Ok(set_up) = channel.set_up(dispatch, buffer, 0, 64, Direction::ReadFromDevice)
///         && let Ok(completed) = set_up.complete(dispatch)
///     {
///         let address = completed.buffer.address();
///     }
/// }
/// ```
#[must_use = "a transfer that is set up must be completed"]
pub struct SetUp<M: Machine, B> {
    channel: Arc<Inner<M>>,
    ticket: Ticket,
    /// There until it is given back.
    buffer: Option<B>,
}

impl<M: Machine, B> fmt::Debug for SetUp<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SetUp({:?})", self.ticket)
    }
}

impl<M: Machine, B> SetUp<M, B> {
    /// How many bytes are left: what [`DmaChannel::read_counter`] says.
    #[doc(alias = "NdisMReadDmaCounter")]
    pub fn remaining<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> u32 {
        self.channel.read_counter(level.into())
    }

    /// Completes the transfer: resets the controller, frees the channel, and gives the buffer back. One that still
    /// runs is cut (NDIS-044).
    ///
    /// Refused only by hardware that does not stop: memory that it may write to is nobody's.
    #[doc(alias = "NdisMCompleteDmaTransfer")]
    pub fn complete<'l>(
        mut self,
        level: impl Into<AtMostDispatch<'l>>,
    ) -> Result<Completed<B>, StillRuns<M, B>> {
        let ticket = self.ticket;
        let completed = complete(&self.channel, level.into(), |transfer| transfer.ticket == ticket);
        match (completed, self.buffer.take()) {
            (Ok(completed), Some(buffer)) => Ok(completed.with(buffer)),
            (_, buffer) => {
                self.buffer = buffer;
                Err(StillRuns(self))
            }
        }
    }
}

impl<M: Machine, B> Drop for SetUp<M, B> {
    /// What was set up and is thrown away is completed all the same, and reported. The buffer goes then, but from
    /// hardware that does not stop it is never taken.
    ///
    /// Above DISPATCH nothing can be completed: the buffer is lost, and the transfer is completed when nobody knows of
    /// the channel any more.
    fn drop(&mut self) {
        let Some(buffer) = self.buffer.take() else { return };
        let machine = self.channel.machine();
        let status = NtStatus::from(NdisStatus::RESOURCES);
        if machine.level() > Irql::DISPATCH {
            machine.emit(Event::Misuse(SET_UP, Rule("NDIS-040"), status));
            return core::mem::forget(buffer);
        }
        if self.channel.is_set_up(self.ticket) {
            machine.emit(Event::Misuse(SET_UP, Rule("NDIS-040"), status));
            let ticket = self.ticket;
            complete_at_any_level(&self.channel, |transfer| transfer.ticket == ticket);
        }
        if self.channel.is_set_up(self.ticket) {
            core::mem::forget(buffer);
        }
    }
}

/// Completes what is set up, where only the machine knows the level. Above DISPATCH nothing can be done.
pub(crate) fn complete_at_any_level<M: Machine>(channel: &Inner<M>, wanted: impl Fn(&Transfer) -> bool) {
    let machine = channel.machine();
    if let Some(dispatch) = Dispatch::now(machine) {
        let _ = complete(channel, (&dispatch).into(), wanted);
    } else if let Some(passive) = Passive::probe(machine) {
        let _ = complete(channel, (&passive).into(), wanted);
    }
}

fn complete<M: Machine>(
    channel: &Inner<M>,
    level: AtMostDispatch<'_>,
    wanted: impl Fn(&Transfer) -> bool,
) -> Result<Completed<()>, NotCompleted> {
    let machine = channel.machine();
    machine.emit(Event::Call(COMPLETE));
    let completed = channel.complete(level, wanted);
    let status = status_of(completed);
    if let Err(NotCompleted::Misuse(rule)) = completed {
        machine.emit(Event::Misuse(COMPLETE, rule, status.into()));
    }
    machine.emit(Event::Return(COMPLETE, status.into()));
    completed
}

/// What the contract says, also where nothing was completed.
fn status_of(completed: Result<Completed<()>, NotCompleted>) -> NdisStatus {
    completed.map_or(NdisStatus::RESOURCES, |completed| completed.status)
}

impl<M: Machine> DmaChannel<M> {
    /// Programs the controller for `length` bytes of a buffer. Never waits (NDIS-064). Only then is the NIC told to ask
    /// for data (NDIS-036).
    ///
    /// The transfer is set up until the value is completed, which gives the buffer back.
    #[doc(alias = "NdisMSetupDmaTransfer")]
    pub fn set_up<'l, B: Owned>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        buffer: B,
        offset: u32,
        length: u32,
        direction: Direction,
    ) -> Result<SetUp<M, B>, SetUpRefused<B>> {
        let arguments = Arguments::new(Segments::new(buffer.as_ref()), offset, length, direction);
        match self.begin(level.into(), arguments, OWNED) {
            Ok(ticket) => Ok(SetUp {
                channel: Arc::clone(&self.inner),
                ticket,
                buffer: Some(buffer),
            }),
            Err(reason) => Err(SetUpRefused {
                status: NdisStatus::RESOURCES,
                reason,
                buffer,
            }),
        }
    }

    fn begin(
        &self,
        level: AtMostDispatch<'_>,
        arguments: Arguments,
        owned: bool,
    ) -> Result<Ticket, WhyNotSetUp> {
        let machine = self.inner.machine();
        machine.emit(Event::Call(SET_UP));
        let result = self.prepare(level, arguments, owned);
        let status = match result {
            Ok(_) => NdisStatus::SUCCESS,
            Err(_) => NdisStatus::RESOURCES,
        };
        machine.emit(Event::Return(SET_UP, status.into()));
        result
    }
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
        let arguments = Arguments::new(buffer, offset, length, direction);
        match self.begin(level.into(), arguments, !OWNED) {
            Ok(_) => NdisStatus::SUCCESS,
            Err(_) => NdisStatus::RESOURCES,
        }
    }

    /// Completes the transfer that was set up with these arguments. Others, or nothing set up, are misuse that
    /// reaches no hardware (NDIS-043, NDIS-045). What was set up as a value is completed by the value alone, for it
    /// has the buffer.
    #[doc(alias = "NdisMCompleteDmaTransfer")]
    pub fn complete_dma_transfer<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        buffer: Segments<'_>,
        offset: u32,
        length: u32,
        write_to_device: bool,
    ) -> NdisStatus {
        status_of(self.end_dma_transfer(level, buffer, offset, length, write_to_device))
    }

    /// The same, with why it was not completed where it was not.
    pub fn end_dma_transfer<'l>(
        &self,
        level: impl Into<AtMostDispatch<'l>>,
        buffer: Segments<'_>,
        offset: u32,
        length: u32,
        write_to_device: bool,
    ) -> Result<Completed<()>, NotCompleted> {
        let direction = Direction::from_write_to_device(write_to_device);
        let arguments = Arguments::new(buffer, offset, length, direction);
        let same = |transfer: &Transfer| !transfer.owned && transfer.arguments == arguments;
        complete(&self.inner, level.into(), same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use longshore_core::completion::Cause;

    fn told(verdict: Verdict, looped: bool) -> NdisStatus {
        Completed::of(Outcome { verdict, residue: 3 }, looped).status
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
