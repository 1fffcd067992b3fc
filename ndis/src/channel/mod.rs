//! A miniport's channel.

mod register;
mod transfer;

use crate::miniport::Miniport;
use crate::state::{self, Answer, Input, State};
use crate::status::NdisStatus;
use crate::{life, setup};
use alloc::sync::Arc;
use core::{fmt, mem};
use longshore_core::completion::Cell;
use longshore_core::event::{Event, Rule};
use longshore_core::machine::{Lock, Machine, Promise};
use longshore_core::{AtMostDispatch, Irql, Passive};
use longshore_wdm::Cascade;
use longshore_wdm::{Adapter, MapError};
pub use transfer::NotCompleted;
pub(crate) use transfer::{Arguments, Transfer};

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "WriteToDevice")]
pub enum Direction {
    /// From host memory to the NIC: a send.
    WriteToDevice,
    /// From the NIC to host memory: a receive.
    ReadFromDevice,
}

impl Direction {
    /// The direction that the contract's BOOLEAN means.
    pub const fn from_write_to_device(write_to_device: bool) -> Self {
        if write_to_device {
            Self::WriteToDevice
        } else {
            Self::ReadFromDevice
        }
    }

    /// The contract's BOOLEAN.
    pub const fn is_write_to_device(self) -> bool {
        matches!(self, Self::WriteToDevice)
    }

    /// The rule that keeps software off the bytes until the transfer is completed.
    const fn handover(self) -> Rule {
        match self {
            Self::WriteToDevice => Rule("SEED-002-8"),
            Self::ReadFromDevice => Rule("SEED-002-9"),
        }
    }
}

/// Why a transfer was not set up. Nothing was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyNotSetUp {
    /// A transfer is set up already.
    InProgress,
    /// No bytes, bytes outside of the buffer, more than the channel's maximum (NDIS-033), or half a word of a channel
    /// that moves words.
    BadLength,
    /// The NIC is a bus master: it moves its bytes itself.
    BusMaster,
    /// The map registers it needs are not free just now.
    NoRegisters,
    /// The bytes cannot be mapped.
    NotMapped(MapError),
}

impl fmt::Display for WhyNotSetUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProgress => "a transfer is set up already",
            Self::BadLength => "no bytes, bytes outside of the buffer, more than the channel's maximum, or no multiple of its unit",
            Self::BusMaster => "a bus master moves its bytes itself",
            Self::NoRegisters => "the map registers it needs are not free just now",
            Self::NotMapped(error) => return error.fmt(f),
        })
    }
}

impl core::error::Error for WhyNotSetUp {}

/// A channel that was not deregistered, and why.
pub struct DeregisterRefused<M: Machine> {
    /// The rule that the caller broke.
    pub rule: Rule,
    /// The channel.
    pub channel: DmaChannel<M>,
}

impl<M: Machine> fmt::Debug for DeregisterRefused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeregisterRefused({:?})", self.rule)
    }
}

impl<M: Machine> fmt::Display for DeregisterRefused<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.rule.0 {
            "NDIS-019" => "a transfer is still set up",
            _ => "channels are deregistered while the miniport initialises or halts",
        })
    }
}

impl<M: Machine> core::error::Error for DeregisterRefused<M> {}

/// What the lock of a channel guards.
struct Slot {
    state: State,
    transfer: Option<Transfer>,
    /// Its miniport has one channel more for it. Not once it is deregistered, though a completion may just be returning
    /// on another CPU.
    counts: bool,
}

/// How a NIC's bytes are moved.
enum Way<M: Machine> {
    /// By the controller.
    Controller(Adapter<M>),
    /// By the NIC itself, which asks for the bus through the channel.
    Cascade(Cascade<M>),
    /// Nobody knows any more.
    Lost,
}

/// What the handle of a channel and its transfer share.
pub(crate) struct Inner<M: Machine> {
    miniport: Miniport<M>,
    way: Way<M>,
    /// Transfers are multiples of so many bytes.
    unit: u32,
    number: u32,
    cell: Cell,
    slot: M::Lock<Slot>,
}

/// A system DMA channel of a miniport's. Registering is the only way to one (SEED-002-3), and needs PASSIVE:
///
/// ```compile_fail
/// use longshore_core::{Dispatch, Machine};
/// use longshore_ndis::{Miniport, Registration};
/// fn too_high<M: Machine>(dispatch: &Dispatch, miniport: &Miniport<M>) {
///     let _ = miniport.register_dma_channel(dispatch, Registration::new(4096));
/// }
/// ```
///
/// ```
/// use longshore_core::{Machine, Passive};
/// use longshore_ndis::{Miniport, Registration};
/// fn register<M: Machine>(passive: &Passive, miniport: &Miniport<M>) {
///     let _ = miniport.register_dma_channel(passive, Registration::new(4096));
/// }
/// ```
///
/// Deregistering consumes it, so the handle is dead from then on (NDIS-018):
///
/// ```compile_fail
/// use longshore_core::{Machine, Passive};
/// use longshore_ndis::DmaChannel;
/// fn dead<M: Machine>(passive: &Passive, channel: DmaChannel<M>) -> u32 {
///     let _ = channel.deregister(passive);
///     channel.read_counter(passive)
/// }
/// ```
///
/// ```
/// use longshore_core::{Machine, Passive};
/// use longshore_ndis::DmaChannel;
/// fn alive<M: Machine>(passive: &Passive, channel: DmaChannel<M>) -> u32 {
///     let left = channel.read_counter(passive);
///     let _ = channel.deregister(passive);
///     left
/// }
/// ```
#[doc(alias = "MiniportDmaHandle")]
pub struct DmaChannel<M: Machine> {
    pub(crate) inner: Arc<Inner<M>>,
    deregistered: bool,
}

impl<M: Machine> fmt::Debug for DmaChannel<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner.way {
            Way::Controller(adapter) => write!(f, "DmaChannel({adapter:?})"),
            Way::Cascade(cascade) => write!(f, "DmaChannel({cascade:?})"),
            Way::Lost => f.write_str("DmaChannel"),
        }
    }
}

impl<M: Machine> DmaChannel<M> {
    fn new(miniport: &Miniport<M>, way: Way<M>, unit: u32) -> Self {
        let machine = miniport.machine();
        let slot = Slot {
            state: State::Idle,
            transfer: None,
            counts: true,
        };
        Self {
            inner: Arc::new(Inner {
                miniport: miniport.clone(),
                way,
                unit,
                number: machine.number(),
                cell: Cell::new(),
                slot: machine.lock("NDIS channel", Irql::DISPATCH, slot),
            }),
            deregistered: false,
        }
    }

    /// The bytes that the current transfer has left; with none set up, what the last one left (NDIS-051).
    #[doc(alias = "NdisMReadDmaCounter")]
    pub fn read_counter<'l>(&self, level: impl Into<AtMostDispatch<'l>>) -> u32 {
        self.inner.read_counter(level.into())
    }

    /// Gives the channel back, while the miniport initialises or halts. Refused while a transfer is set up.
    #[doc(alias = "NdisMDeregisterDmaChannel")]
    pub fn deregister(mut self, passive: &Passive) -> Result<(), DeregisterRefused<M>> {
        const NAME: &str = "NdisMDeregisterDmaChannel";
        let machine = self.inner.machine().clone();
        machine.emit(Event::Call(NAME));
        let result = self.inner.give_back(passive, NAME);
        let status = match result {
            Ok(()) => NdisStatus::SUCCESS,
            Err(_) => NdisStatus::FAILURE,
        };
        machine.emit(Event::Return(NAME, status.into()));
        self.deregistered = result.is_ok();
        result.map_err(|rule| DeregisterRefused { rule, channel: self })
    }
}

impl<M: Machine> Drop for DmaChannel<M> {
    /// A channel that is dropped is given back, at the latest when its transfer is completed. That it was not
    /// deregistered in its time is told.
    fn drop(&mut self) {
        if self.deregistered {
            return;
        }
        let inner = &self.inner;
        if inner.machine().level() > Irql::DISPATCH {
            // No lock of it may be taken here.
            return inner
                .miniport
                .misuse("NdisMDeregisterDmaChannel", Rule("NDIS-018"));
        }
        let up = inner.slot.with(|slot| slot.state != State::Idle);
        let late = life::next(inner.miniport.phase(), life::Input::Deregister).1 != Answer::Accept;
        for (broken, rule) in [(up, "NDIS-019"), (late, "NDIS-018")] {
            if broken {
                inner.miniport.misuse("NdisMDeregisterDmaChannel", Rule(rule));
            }
        }
    }
}

impl<M: Machine> Inner<M> {
    pub(crate) fn machine(&self) -> &M {
        self.miniport.machine()
    }

    fn promise(&self) -> Promise<'_, M> {
        Promise {
            machine: self.machine(),
            number: self.number,
        }
    }

    /// Takes the channel through the table.
    fn consult(&self, slot: &mut Slot, input: Input) -> Answer {
        self.machine().emit(Event::Transition {
            table: state::TABLE,
            state: slot.state.name(),
            event: input.name(),
        });
        let (state, answer) = state::next(slot.state, input);
        slot.state = state;
        answer
    }

    pub(crate) fn read_counter(&self, level: AtMostDispatch<'_>) -> u32 {
        const NAME: &str = "NdisMReadDmaCounter";
        self.machine().emit(Event::Call(NAME));
        self.slot.with(|slot| self.consult(slot, Input::ReadCounter));
        let left = match &self.way {
            Way::Controller(adapter) => adapter.read_counter(level),
            Way::Cascade(_) | Way::Lost => 0,
        };
        self.machine()
            .emit(Event::Return(NAME, NdisStatus::SUCCESS.into()));
        left
    }

    /// The miniport has it no more. Told once.
    fn forget(&self) {
        if self.slot.with(|slot| mem::take(&mut slot.counts)) {
            self.miniport.forget_channel();
        }
    }

    /// Whether the channel may be given back now, and if so, that of it which WDM is told of.
    fn give_back(&self, passive: &Passive, call: &'static str) -> Result<(), Rule> {
        let answer = self.slot.with(|slot| self.consult(slot, Input::Deregister));
        if let Answer::Misuse(rule) = answer {
            self.miniport.misuse(call, rule);
            return Err(rule);
        }
        self.miniport.step(call, life::Input::Deregister)?;
        if let Way::Controller(adapter) = &self.way {
            // Nothing of it is out: the channel is idle.
            let _ = adapter.clone().put(passive);
        }
        self.forget();
        Ok(())
    }
}

impl<M: Machine> Drop for Inner<M> {
    /// The last that knows of the channel is gone: a transfer that is still set up is completed.
    ///
    /// Above DISPATCH no lock of it may be taken, and nothing can be completed: then the channel is lost for good, and
    /// is given to nobody.
    fn drop(&mut self) {
        if self.machine().level() > Irql::DISPATCH {
            return mem::forget(mem::replace(&mut self.way, Way::Lost));
        }
        if self.slot.with(|slot| slot.transfer.is_some()) {
            setup::complete_at_any_level(self, |_| true);
        }
        self.forget();
    }
}
