//! The engine: its channels, and the machine objects that drive them.

use super::channel::CpuChannel;
use super::config::{Config, MAXIMUM_TRANSFER_SIZE};
use super::requests::Request;
use super::worker::{Parts, Worker};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use longshore_core::machine::Cpu;
use longshore_core::{AtMostDispatch, Machine, Passive};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::{AllocateError, Unsuccessful};
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    ProviderFlags, Version,
};

/// A NetDMA provider that copies with a CPU. Its machine objects are made when it is opened, since a channel may
/// be allocated at DISPATCH.
///
/// Dropping it stops every channel. It must not be dropped on the stack of one of its own callbacks.
pub struct CpuEngine<M: Machine> {
    machine: M,
    config: Config,
    slots: Vec<Slot<M>>,
}

struct Slot<M: Machine> {
    /// Where its worker runs and its interrupts arrive.
    cpu: Cpu,
    worker: Arc<Worker<M>>,
    /// `None` only while the engine is being dropped.
    parts: Option<Arc<Parts<M>>>,
}

impl<M: Machine> Slot<M> {
    fn open(passive: &Passive, machine: &M, config: Config, cpu: Cpu) -> Self {
        let line = machine.line(passive, "CPU engine", cpu);
        let worker = Arc::new(Worker::new(machine, config, cpu, line.clone()));
        let parts = Arc::new_cyclic(|parts| {
            let run = {
                let (worker, parts) = (worker.clone(), parts.clone());
                machine.deferred(passive, "CPU engine worker", cpu, move |dispatch| {
                    worker.run(dispatch, &parts);
                })
            };
            let report = {
                let worker = worker.clone();
                machine.deferred(passive, "CPU engine report", cpu, move |dispatch| {
                    worker.shared.teller.report(dispatch);
                })
            };
            let connection = {
                let (worker, parts) = (worker.clone(), parts.clone());
                machine.connect(passive, &line, move |device| {
                    worker.handle_interrupt(device, &parts)
                })
            };
            Parts {
                worker: run,
                report,
                _connection: connection,
            }
        });
        Self {
            cpu,
            worker,
            parts: Some(parts),
        }
    }
}

impl<M: Machine> Slot<M> {
    fn allocate(
        &self,
        parameters: &ChannelParameters,
        interface: &Arc<dyn ChannelInterface>,
    ) -> Option<Arc<CpuChannel<M>>> {
        let parts = Arc::downgrade(self.parts.as_ref()?);
        let teller = &self.worker.shared.teller;
        if !teller.quiet(None) {
            return None; // its last user was freed inside a callback that still runs
        }
        let (lease, goal) = self.worker.allocate(parameters)?;
        // Nobody can start the channel before.
        teller.open(interface.clone());
        Some(Arc::new(CpuChannel::new(self.worker.clone(), parts, lease, goal)))
    }

    fn lose_power(&self) -> Result<(), Unsuccessful> {
        let Some((lease, goal)) = self.worker.shared.desk(|desk| desk.holder()) else {
            return Ok(());
        };
        let Some(parts) = self.parts.as_ref().map(Arc::downgrade) else {
            return Ok(());
        };
        CpuChannel::new(self.worker.clone(), parts, lease, goal)
            .request("power", "NETDMA-113", Request::PowerLoss)
            .map(drop)
    }
}

impl<M: Machine> CpuEngine<M> {
    /// An engine with all its channels free.
    pub fn open(passive: &Passive, machine: &M, config: Config) -> Self {
        let cpu = |index: u32| Cpu((config.cpu.0 + index % config.spread.max(1)) % machine.cpus().max(1));
        let slots = (0..config.channels)
            .map(|index| Slot::open(passive, machine, config, cpu(index)))
            .collect();
        Self {
            machine: machine.clone(),
            config,
            slots,
        }
    }

    /// As [`Provider::allocate_channel`], with the channel's own type and so with its queries.
    ///
    /// A channel is preferred whose interrupt arrives on a CPU that is allowed; else any is taken, and its deferred call
    /// goes to the first CPU that is allowed (NETDMA-042).
    pub fn allocate(
        &self,
        _: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<(Arc<CpuChannel<M>>, Cpu), AllocateError> {
        if !parameters.completion.is_aligned(8) {
            return Err(AllocateError::Unsuccessful); // NETDMA-044
        }
        let elsewhere = self.allowed_cpu(parameters.cpus)?;
        let allowed = |slot: &&Slot<M>| parameters.cpus == 0 || is_in(parameters.cpus, slot.cpu);
        let preferred = self.slots.iter().filter(allowed).map(|slot| (slot, slot.cpu));
        let others = self.slots.iter().map(|slot| (slot, elsewhere));
        preferred
            .chain(others)
            .find_map(|(slot, cpu)| Some((slot.allocate(&parameters, &interface)?, cpu)))
            .ok_or(AllocateError::Resources)
    }

    /// The first CPU that is allowed. No bit at all leaves the choice to the provider.
    fn allowed_cpu(&self, mask: u32) -> Result<Cpu, AllocateError> {
        if mask == 0 {
            return Ok(self.config.cpu);
        }
        (0..self.machine.cpus())
            .map(Cpu)
            .find(|&cpu| is_in(mask, cpu))
            .ok_or(AllocateError::Unsuccessful)
    }

    /// The engine loses its power, and with it what it knew of every channel that is allocated: nothing is written and
    /// nothing interrupted, a copy under way is cut, and each channel waits for a start. It is an error if the engine
    /// does not answer in time.
    pub fn lose_power(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        for slot in &self.slots {
            slot.lose_power()?;
        }
        Ok(())
    }
}

/// Whether a CPU is in a mask.
fn is_in(mask: u32, cpu: Cpu) -> bool {
    mask & 1u32.checked_shl(cpu.0).unwrap_or(0) != 0
}

impl<M: Machine> Provider for CpuEngine<M> {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: self.config.version,
            flags: ProviderFlags::empty(),
            handlers: Handlers::all() - Handlers::AFFINITY, // its interrupts come where the configuration says
            max_channels: self.config.channels,
            friendly_name: Some("CPU engine".into()),
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            hardware: Version::new(1, 0),
            vendor: 0,
            channels: self.config.channels,
            maximum_transfer_size: MAXIMUM_TRANSFER_SIZE,
            maximum_address: BusAddress::new(u64::MAX),
        }
    }

    fn allocate_channel(
        &self,
        level: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        let (channel, cpu) = self.allocate(level, parameters, interface)?;
        Ok(Allocated { channel, cpu })
    }
}

impl<M: Machine> Drop for CpuEngine<M> {
    fn drop(&mut self) {
        for slot in &mut self.slots {
            // From here on nothing is copied, written or told; the routines that still run end soon.
            let holder = slot.worker.shared.desk(|desk| desk.holder());
            let interface = holder.and_then(|(lease, _)| {
                let interface = slot.worker.close(lease).ok().flatten();
                slot.worker.shared.desk(|desk| desk.abandon(lease));
                interface
            });
            drop(interface);
            let mut parts = slot.parts.take();
            while let Some(held) = parts {
                // A routine may hold on to the parts for a moment. They must not be dropped there, since that
                // drop waits for the routine itself.
                match Arc::try_unwrap(held) {
                    Ok(_) => break,
                    Err(again) => {
                        parts = Some(again);
                        self.machine.relax();
                    }
                }
            }
        }
    }
}

impl<M: Machine> fmt::Debug for CpuEngine<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CpuEngine").field("config", &self.config).finish()
    }
}
