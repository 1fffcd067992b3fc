//! One registered controller.

pub(crate) mod board;
pub mod cascade;
pub(crate) mod hardware;
pub(crate) mod master;
pub mod platform;

use crate::adapter::Adapter;
use crate::adapter::description::{AdapterError, DeviceDescription};
use crate::adapter::place::Share;
use crate::controller::{ChannelAttributes, Controller, ControllerAttributes};
use crate::registers::{MapRegisters, PAGE_SIZE};
use crate::system::board::Board;
use crate::system::hardware::{Core, Hardware};
use crate::transfer::mapping::called;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::{Lock, Machine};
use longshore_core::{Irql, NtStatus, Passive};
use longshore_hardware::{BusAddress, Lease};

/// Channels beyond this many are a mistake.
const MOST_CHANNELS: u32 = 1024;

/// Why a controller was not registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterError {
    /// It has no channels, or far too many.
    Channels,
    /// It drives no address bits, or more than 64.
    AddressWidth,
    /// It, or one of its channels, interrupts, and no line was given.
    NoLine,
    /// A channel's boundary is not a power of two.
    Boundary,
    /// The unit of its transfers, or of a channel's, is no power of two, or more than a page.
    Unit,
    /// One of its request lines is another controller's.
    RequestLines,
    /// There is no memory in its reach for a channel's common buffer.
    CommonBuffer,
}

impl RegisterError {
    /// The status the contract has for it.
    pub const fn status(self) -> NtStatus {
        match self {
            Self::CommonBuffer => NtStatus::INSUFFICIENT_RESOURCES,
            _ => NtStatus::INVALID_PARAMETER,
        }
    }
}

impl fmt::Display for RegisterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Channels => "the controller has no channels, or far too many",
            Self::AddressWidth => "the controller's address width makes no sense",
            Self::Boundary => "a channel's boundary is not a power of two",
            Self::Unit => "the unit of the controller's transfers makes no sense",
            Self::RequestLines => "one of the controller's request lines is another's",
            Self::CommonBuffer => "there is no memory in the controller's reach for a common buffer",
            Self::NoLine => "the controller interrupts, but no line was given",
        })
    }
}

impl core::error::Error for RegisterError {}

/// Where Windows' documented behaviour and ours differ: each switch makes it Windows'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Policy {
    /// A flush takes the mark of a cancel away, so that a cancel which came between completion and flush is lost
    /// (A-07, WDM-176). Ours: the mark stays until the context is initialised anew or its channel is freed.
    pub forget_cancel_at_flush: bool,
    /// No adapters for bus masters that drive fewer than 24 address bits. Ours: any width from 1 on.
    pub refuse_narrow_masters: bool,
}

/// What a controller is registered with.
pub struct Setup<M: Machine> {
    /// The controller.
    pub controller: Arc<dyn Controller>,
    /// Its interrupt lines: one for all, or one for each channel; whichever is asserted, the controller is asked. None
    /// if nothing of it interrupts.
    pub lines: Vec<M::Line>,
    /// Through what goes the memory that it does not reach. Without any it moves only what is in reach.
    pub registers: Option<MapRegisters<M>>,
    /// Where it is to do as Windows does.
    pub policy: Policy,
}

impl<M: Machine> Setup<M> {
    /// A controller that does not interrupt.
    pub fn new(controller: Arc<dyn Controller>) -> Self {
        Self {
            controller,
            lines: Vec::new(),
            registers: None,
            policy: Policy::default(),
        }
    }

    /// The same, with these map registers.
    pub fn registers(mut self, registers: MapRegisters<M>) -> Self {
        self.registers = Some(registers);
        self
    }

    /// The same, with this policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// The same, with one more interrupt line.
    pub fn line(mut self, line: M::Line) -> Self {
        self.lines.push(line);
        self
    }

    /// The same, with all of these interrupt lines.
    pub fn lines(mut self, lines: impl IntoIterator<Item = M::Line>) -> Self {
        self.lines.extend(lines);
        self
    }
}

impl<M: Machine> fmt::Debug for Setup<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Setup({:?}, {} lines)",
            self.controller.attributes(),
            self.lines.len()
        )
    }
}

struct Inner<M: Machine> {
    /// Dropped first: no handler runs any more, and only then do the deferred calls go.
    _connections: Vec<M::Connection>,
    hardware: Hardware<M>,
    /// What the channels asked for, each with its number.
    _common_buffers: CommonBuffers<M>,
}

type CommonBuffers<M> = Vec<(u32, Lease<<M as Machine>::Memory>)>;

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
    /// Registers a controller. It is initialised, whatever it did before, and its interrupts are connected.
    #[doc(alias = "RegisterResourceDescriptor")]
    pub fn register(passive: &Passive, machine: &M, setup: Setup<M>) -> Result<Self, RegisterError> {
        let Setup {
            controller,
            lines,
            registers,
            policy,
        } = setup;
        let attributes = controller.attributes();
        let channels = check(controller.as_ref(), attributes, lines.len())?;
        let common_buffers = common_buffers(machine, attributes, &channels)?;
        controller.initialize();
        for (number, buffer) in &common_buffers {
            machine.emit(Event::Handover(buffer.range(), Owner::Both, Rule("WDM-313")));
            controller.report_common_buffer(*number, buffer.range());
        }
        let core = Arc::new(Core {
            machine: machine.clone(),
            controller,
            attributes,
            channels,
            registers: registers.filter(|pool| pool.are_below(reach(attributes))),
            policy,
            board: machine.lock("system DMA", Irql::DEVICE, Board::new(attributes.channels)),
        });
        let hardware = Hardware::new(Arc::clone(&core), deferred_calls(passive, &core));
        let connect = |line| {
            let hardware = hardware.clone();
            machine.connect(passive, line, move |_| {
                hardware.core.board.with(|board| hardware.drain(board))
            })
        };
        let connections = lines.iter().map(connect).collect();
        Ok(Self(Arc::new(Inner {
            _connections: connections,
            hardware,
            _common_buffers: common_buffers,
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
        self.adapter_of(passive, description, Share::Anybody, u64::BITS)
    }

    /// An adapter whose channel nobody else may have, and whose transfers stay below so many address bits, where the
    /// controller drives more.
    pub fn exclusive_adapter(
        &self,
        passive: &Passive,
        description: DeviceDescription,
        address_width: u32,
    ) -> Result<Adapter<M>, AdapterError> {
        self.adapter_of(passive, description, Share::Nobody, address_width)
    }

    fn adapter_of(
        &self,
        _: &Passive,
        description: DeviceDescription,
        share: Share,
        address_width: u32,
    ) -> Result<Adapter<M>, AdapterError> {
        called(self.machine(), "IoGetDmaAdapter", || {
            description.check(self.0.hardware.core.policy)?;
            Adapter::of_system(self, description, share, address_width)
        })
    }

    /// Whether both are the same controller.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn hardware(&self) -> &Hardware<M> {
        &self.0.hardware
    }

    /// Runs `section` under the controller's lock.
    pub(crate) fn with<R>(&self, section: impl FnOnce(&mut Board<M>) -> R) -> R {
        self.0.hardware.core.board.with(section)
    }
}

/// The first address that a controller does not drive.
pub(crate) fn reach(attributes: ControllerAttributes) -> u128 {
    1 << attributes.address_width
}

/// Checks what a controller says of itself, and asks what its channels are.
fn check(
    controller: &dyn Controller,
    attributes: ControllerAttributes,
    lines: usize,
) -> Result<Vec<ChannelAttributes>, RegisterError> {
    if !(1..=MOST_CHANNELS).contains(&attributes.channels) {
        return Err(RegisterError::Channels);
    }
    if !(1..=64).contains(&attributes.address_width) {
        return Err(RegisterError::AddressWidth);
    }
    let channels: Vec<ChannelAttributes> = (0..attributes.channels)
        .map(|number| controller.channel(number))
        .collect();
    let units = channels.iter().map(|channel| channel.minimum_unit);
    let makes_sense = |unit: u32| unit == 0 || unit.is_power_of_two() && u64::from(unit) <= PAGE_SIZE;
    if !units.chain([attributes.minimum_unit]).all(makes_sense) {
        return Err(RegisterError::Unit);
    }
    if channels
        .iter()
        .any(|channel| channel.boundary != 0 && !channel.boundary.is_power_of_two())
    {
        return Err(RegisterError::Boundary);
    }
    let interrupts =
        attributes.generates_interrupt || channels.iter().any(|channel| channel.generates_interrupt);
    if interrupts && lines == 0 {
        return Err(RegisterError::NoLine);
    }
    Ok(channels)
}

/// The memory that channels want from registration on, in the controller's reach.
fn common_buffers<M: Machine>(
    machine: &M,
    attributes: ControllerAttributes,
    channels: &[ChannelAttributes],
) -> Result<CommonBuffers<M>, RegisterError> {
    let below = BusAddress::new(u64::try_from(reach(attributes)).unwrap_or(u64::MAX));
    let wanted = (0..)
        .zip(channels)
        .map(|(number, channel)| (number, channel.common_buffer_length));
    wanted
        .filter(|(_, length)| *length > 0)
        .map(|(number, length)| {
            let lease = Lease::below(machine.memory(), u64::from(length), PAGE_SIZE, below);
            Ok((number, lease.map_err(|_| RegisterError::CommonBuffer)?))
        })
        .collect()
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
