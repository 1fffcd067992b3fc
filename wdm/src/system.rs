//! One registered controller.

use crate::adapter::{Adapter, AdapterError, DeviceDescription};
use crate::board::Board;
use crate::controller::{Controller, ControllerAttributes};
use crate::hardware::{Core, Hardware};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use longshore_core::machine::{Lock, Machine};
use longshore_core::{Irql, NtStatus, Passive};

/// Channels beyond this many are a mistake.
const MOST_CHANNELS: u32 = 1024;

/// Why a controller was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// It has no channels, or far too many.
    Channels,
    /// It drives no address bits, or more than 64.
    AddressWidth,
    /// It interrupts, and no line was given.
    NoLine,
}

impl RegisterError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        NtStatus::INVALID_PARAMETER
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channels => "the controller has no channels, or far too many",
            Self::AddressWidth => "the controller's address width makes no sense",
            Self::NoLine => "the controller interrupts, but no line was given",
        })
    }
}

impl core::error::Error for RegisterError {}

struct Inner<M: Machine> {
    /// Dropped first: no handler runs any more, and only then do the deferred calls go.
    _connection: Option<M::Connection>,
    hardware: Hardware<M>,
}

/// A system DMA controller that is registered with a machine, and everything that is done with it.
///
/// It lives until the last adapter, and the last callback it owes, are gone.
pub struct SystemDma<M: Machine>(Arc<Inner<M>>);

impl<M: Machine> Clone for SystemDma<M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<M: Machine> fmt::Debug for SystemDma<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SystemDma({:?})", self.attributes())
    }
}

impl<M: Machine> SystemDma<M> {
    /// Registers a controller. It is initialised, whatever it did before, and its interrupt is connected to `line`
    /// if it generates any.
    #[doc(alias = "RegisterResourceDescriptor")]
    pub fn register(
        passive: &Passive,
        machine: &M,
        controller: Arc<dyn Controller>,
        line: Option<&M::Line>,
    ) -> Result<Self, RegisterError> {
        let attributes = controller.attributes();
        let line = check(attributes, line)?;
        controller.initialize();
        let core = Arc::new(Core {
            machine: machine.clone(),
            controller,
            attributes,
            board: machine.lock("system DMA", Irql::DEVICE, Board::new(attributes.channels)),
        });
        let hardware = Hardware::new(Arc::clone(&core), deferred_calls(passive, &core));
        let connection = line.map(|line| {
            let hardware = hardware.clone();
            machine.connect(passive, line, move |_| {
                hardware.core.board.with(|board| hardware.drain(board))
            })
        });
        Ok(Self(Arc::new(Inner {
            _connection: connection,
            hardware,
        })))
    }

    /// What the controller is.
    pub fn attributes(&self) -> ControllerAttributes {
        self.0.hardware.core.attributes
    }

    /// The machine it is registered with.
    pub fn machine(&self) -> &M {
        &self.0.hardware.core.machine
    }

    /// An adapter for one channel. Several may stand for the same one; they take turns.
    #[doc(alias = "IoGetDmaAdapter")]
    pub fn adapter(
        &self,
        passive: &Passive,
        description: DeviceDescription,
    ) -> Result<Adapter<M>, AdapterError> {
        Adapter::get(passive, self, description, false)
    }

    /// An adapter whose channel nobody else may have an adapter for.
    pub fn exclusive_adapter(
        &self,
        passive: &Passive,
        description: DeviceDescription,
    ) -> Result<Adapter<M>, AdapterError> {
        Adapter::get(passive, self, description, true)
    }

    pub(crate) fn hardware(&self) -> &Hardware<M> {
        &self.0.hardware
    }

    /// Runs `section` under the controller's lock.
    pub(crate) fn with<R>(&self, section: impl FnOnce(&mut Board<M>) -> R) -> R {
        self.0.hardware.core.board.with(section)
    }
}

fn check<L>(attributes: ControllerAttributes, line: Option<&L>) -> Result<Option<&L>, RegisterError> {
    if !(1..=MOST_CHANNELS).contains(&attributes.channels) {
        return Err(RegisterError::Channels);
    }
    if !(1..=64).contains(&attributes.address_width) {
        return Err(RegisterError::AddressWidth);
    }
    match line {
        None if attributes.generates_interrupt => Err(RegisterError::NoLine),
        line => Ok(line.filter(|_| attributes.generates_interrupt)),
    }
}

/// One deferred call for each channel, all on one CPU, so that what a channel has to tell is told in order.
fn deferred_calls<M: Machine>(passive: &Passive, core: &Arc<Core<M>>) -> Arc<[M::Deferred]> {
    let cpu = core.machine.cpu();
    let calls: Vec<M::Deferred> = (0..core.attributes.channels)
        .map(|channel| {
            // The core owns no deferred call, so this is no cycle.
            let inside = Arc::clone(core);
            core.machine
                .deferred(passive, "DMA completion", cpu, move |dispatch| {
                    inside.deliver(dispatch, channel);
                })
        })
        .collect();
    calls.into()
}
