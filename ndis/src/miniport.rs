//! A miniport's life, as far as its DMA goes: it initialises, runs, and halts.

use crate::description::{Assigned, Attributes};
use crate::life::{self, Input, Phase};
use crate::state::Answer;
use crate::status::NdisStatus;
use alloc::sync::Arc;
use core::fmt;
use longshore_core::event::{Event, Rule};
use longshore_core::machine::{Lock, Machine};
use longshore_core::{Irql, Passive};
use longshore_wdm::Platform;

/// What the lock of a miniport guards.
struct Life {
    phase: Phase,
    attributes: Option<Attributes>,
    /// How many channels it has.
    channels: u32,
    /// A registration was refused since it began to initialise.
    refused: bool,
    /// The alignment of its buffers, known from the first registration on.
    alignment: Option<u32>,
}

struct Record<M: Machine> {
    platform: Platform<M>,
    assigned: Option<Assigned>,
    life: M::Lock<Life>,
}

/// A miniport, as NDIS knows it. Handles are interchangeable.
///
/// ```
/// use longshore_core::{Machine, Passive};
/// use longshore_ndis::{Attributes, DmaChannel, Miniport, RegisterError, Registration};
///
/// fn initialize<M: Machine>(passive: &Passive, miniport: &Miniport<M>) -> Result<DmaChannel<M>, RegisterError> {
///     miniport
///         .initialize(passive, || {
///             miniport.set_attributes(passive, Attributes::SUBORDINATE);
///             miniport.register_dma_channel(passive, Registration::new(1536))
///         })
///         .map_err(|failed| failed.why.unwrap_or(RegisterError::NotNow))
/// }
/// ```
#[doc(alias = "MiniportAdapterHandle")]
pub struct Miniport<M: Machine>(Arc<Record<M>>);

impl<M: Machine> Clone for Miniport<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> fmt::Debug for Miniport<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Miniport({:?}, {:?})", self.phase(), self.0.assigned)
    }
}

/// A miniport that did not initialise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotInitialized<E> {
    /// What its own routine said; nothing, if it was not called because the miniport is not stopped.
    pub why: Option<E>,
}

impl<E: fmt::Display> fmt::Display for NotInitialized<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.why {
            Some(why) => why.fmt(f),
            None => f.write_str("the miniport is not stopped"),
        }
    }
}

impl<E: fmt::Debug + fmt::Display> core::error::Error for NotInitialized<E> {}

impl<M: Machine> Miniport<M> {
    /// A miniport on this platform, with what was assigned to its NIC. It is stopped.
    pub fn new(platform: &Platform<M>, assigned: Option<Assigned>) -> Self {
        let life = Life {
            phase: Phase::Stopped,
            attributes: None,
            channels: 0,
            refused: false,
            alignment: None,
        };
        Self(Arc::new(Record {
            platform: platform.clone(),
            assigned,
            life: platform.machine().lock("miniport", Irql::DISPATCH, life),
        }))
    }

    pub(crate) fn platform(&self) -> &Platform<M> {
        &self.0.platform
    }

    pub(crate) fn machine(&self) -> &M {
        self.0.platform.machine()
    }

    pub(crate) fn assigned(&self) -> Option<Assigned> {
        self.0.assigned
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        self.0.life.with(|life| life.phase)
    }

    /// Takes the miniport through the table. Misuse is told.
    pub(crate) fn step(&self, call: &'static str, input: Input) -> Result<(), Rule> {
        let answer = self.0.life.with(|life| {
            self.machine().emit(Event::Transition {
                table: life::TABLE,
                state: life.phase.name(),
                event: input.name(),
            });
            let (phase, answer) = life::next(life.phase, input);
            life.phase = phase;
            if input == Input::Initialize && answer == Answer::Accept {
                life.attributes = None;
                life.refused = false;
            }
            answer
        });
        match answer {
            Answer::Misuse(rule) => {
                self.misuse(call, rule);
                Err(rule)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn misuse(&self, call: &'static str, rule: Rule) {
        let status = NdisStatus::FAILURE.into();
        self.machine().emit(Event::Misuse(call, rule, status));
    }

    /// Runs what the miniport does to initialise. Whoever was refused a channel is to give back what it has and to
    /// fail (NDIS-017); that it did not is told.
    #[doc(alias = "MiniportInitializeEx")]
    pub fn initialize<T, E>(
        &self,
        _: &Passive,
        body: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, NotInitialized<E>> {
        const NAME: &str = "MiniportInitializeEx";
        self.step(NAME, Input::Initialize)
            .map_err(|_| NotInitialized { why: None })?;
        let unwound = Unwound(self, Input::Failed);
        let result = body();
        core::mem::forget(unwound);
        let (channels, refused) = self.0.life.with(|life| (life.channels, life.refused));
        if channels > 0 && result.is_err() || refused && result.is_ok() {
            self.misuse(NAME, Rule("NDIS-017"));
        }
        let end = match result {
            Ok(_) => Input::Initialized,
            Err(_) => Input::Failed,
        };
        let _ = self.step(NAME, end);
        result.map_err(|why| NotInitialized { why: Some(why) })
    }

    /// Says what the NIC is. To be called while it initialises, before anything is registered. False: not now.
    #[doc(alias = "NdisMSetMiniportAttributes")]
    pub fn set_attributes(&self, _: &Passive, attributes: Attributes) -> bool {
        const NAME: &str = "NdisMSetMiniportAttributes";
        self.machine().emit(Event::Call(NAME));
        let set = self.step(NAME, Input::SetAttributes).is_ok();
        if set {
            self.0.life.with(|life| life.attributes = Some(attributes));
        }
        let status = if set {
            NdisStatus::SUCCESS
        } else {
            NdisStatus::FAILURE
        };
        self.machine().emit(Event::Return(NAME, status.into()));
        set
    }

    pub(crate) fn attributes(&self) -> Option<Attributes> {
        self.0.life.with(|life| life.attributes)
    }

    /// Runs what the miniport does to halt, if it runs. Channels that it leaves registered are told.
    #[doc(alias = "MiniportHaltEx")]
    pub fn halt<T>(&self, _: &Passive, body: impl FnOnce() -> T) -> Option<T> {
        const NAME: &str = "MiniportHaltEx";
        self.step(NAME, Input::Halt).ok()?;
        let unwound = Unwound(self, Input::Halted);
        let result = body();
        core::mem::forget(unwound);
        if self.0.life.with(|life| life.channels) > 0 {
            self.misuse(NAME, Rule("NDIS-018"));
        }
        let _ = self.step(NAME, Input::Halted);
        Some(result)
    }

    /// To multiples of how many bytes receive buffers are to be rounded up. Nobody knows before a channel is registered
    /// (NDIS-053).
    ///
    /// ```compile_fail
    /// use longshore_core::{Dispatch, Machine};
    /// use longshore_ndis::Miniport;
    /// fn too_high<M: Machine>(dispatch: &Dispatch, miniport: &Miniport<M>) -> Option<u32> {
    ///     miniport.dma_alignment(dispatch)
    /// }
    /// ```
    ///
    /// ```
    /// use longshore_core::{Machine, Passive};
    /// use longshore_ndis::Miniport;
    /// fn at_passive<M: Machine>(passive: &Passive, miniport: &Miniport<M>) -> Option<u32> {
    ///     miniport.dma_alignment(passive)
    /// }
    /// ```
    #[doc(alias = "NdisMGetDmaAlignment")]
    pub fn dma_alignment(&self, _: &Passive) -> Option<u32> {
        const NAME: &str = "NdisMGetDmaAlignment";
        self.machine().emit(Event::Call(NAME));
        let alignment = self.0.life.with(|life| life.alignment);
        let status = match alignment {
            Some(_) => NdisStatus::SUCCESS,
            None => NdisStatus::FAILURE,
        };
        if alignment.is_none() {
            self.misuse(NAME, Rule("NDIS-053"));
        }
        self.machine().emit(Event::Return(NAME, status.into()));
        alignment
    }

    pub(crate) fn note_channel(&self, alignment: u32) {
        self.0.life.with(|life| {
            life.channels += 1;
            life.alignment = Some(life.alignment.unwrap_or(1).max(alignment));
        });
    }

    pub(crate) fn note_refusal(&self) {
        self.0.life.with(|life| life.refused = true);
    }

    pub(crate) fn forget_channel(&self) {
        self.0.life.with(|life| {
            life.channels -= 1;
            if life.channels == 0 {
                life.alignment = None;
            }
        });
    }
}

/// Ends a phase whose routine unwound.
struct Unwound<'a, M: Machine>(&'a Miniport<M>, Input);

impl<M: Machine> Drop for Unwound<'_, M> {
    fn drop(&mut self) {
        let _ = self.0.step("unwound", self.1);
    }
}
