//! The engine: its channels, and the machine objects that drive them.

use super::channel::CpuChannel;
use super::config::{Config, MAXIMUM_TRANSFER_SIZE};
use super::worker::{Parts, Worker};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use longshore_core::machine::Cpu;
use longshore_core::{AtMostDispatch, Machine, Passive};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::AllocateError;
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
    worker: Arc<Worker<M>>,
    /// `None` only while the engine is being dropped.
    parts: Option<Arc<Parts<M>>>,
}

impl<M: Machine> Slot<M> {
    fn open(passive: &Passive, machine: &M, config: Config) -> Self {
        let line = machine.line(passive, "CPU engine", config.cpu);
        let worker = Arc::new(Worker::new(machine, config, line.clone()));
        let parts = Arc::new_cyclic(|parts| {
            let run = {
                let (worker, parts) = (worker.clone(), parts.clone());
                machine.deferred(passive, "CPU engine worker", config.cpu, move |dispatch| {
                    worker.run(dispatch, &parts);
                })
            };
            let report = {
                let worker = worker.clone();
                machine.deferred(passive, "CPU engine report", config.cpu, move |dispatch| {
                    worker.report(dispatch);
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
            worker,
            parts: Some(parts),
        }
    }
}

impl<M: Machine> CpuEngine<M> {
    /// An engine with all its channels free.
    pub fn open(passive: &Passive, machine: &M, config: Config) -> Self {
        let slots = (0..config.channels)
            .map(|_| Slot::open(passive, machine, config))
            .collect();
        Self {
            machine: machine.clone(),
            config,
            slots,
        }
    }

    /// As [`Provider::allocate_channel`], with the channel's own type and so with its queries.
    pub fn allocate(
        &self,
        _: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<(Arc<CpuChannel<M>>, Cpu), AllocateError> {
        if !parameters.completion.is_aligned(8) {
            return Err(AllocateError::Unsuccessful); // NETDMA-044
        }
        let cpu = self
            .choose_cpu(parameters.cpus)
            .ok_or(AllocateError::Unsuccessful)?;
        self.slots
            .iter()
            .find_map(|slot| {
                let parts = Arc::downgrade(slot.parts.as_ref()?);
                if !slot.worker.reports(|reports| reports.quiet(None)) {
                    return None; // its last user was freed inside a callback that still runs
                }
                let lease = slot.worker.book(|book| {
                    let lease = book.allocate(&parameters)?;
                    slot.worker.reports(|reports| reports.open(interface.clone()));
                    Some(lease)
                })?;
                let channel = CpuChannel::new(slot.worker.clone(), parts, lease);
                Some((Arc::new(channel), cpu))
            })
            .ok_or(AllocateError::Resources)
    }

    /// The CPU where the interrupt arrives if it is allowed, else the first that is (NETDMA-042). No bit at all
    /// leaves the choice to the provider.
    fn choose_cpu(&self, mask: u32) -> Option<Cpu> {
        let allowed = |cpu: Cpu| mask & 1u32.checked_shl(cpu.0).unwrap_or(0) != 0;
        if mask == 0 || allowed(self.config.cpu) {
            return Some(self.config.cpu);
        }
        (0..self.machine.cpus()).map(Cpu).find(|&cpu| allowed(cpu))
    }
}

impl<M: Machine> Provider for CpuEngine<M> {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: self.config.version,
            flags: ProviderFlags::empty(),
            handlers: Handlers::all() - Handlers::AFFINITY, // its interrupts come where the configuration says
            max_channels: self.config.channels,
            friendly_name: Some("CPU engine"),
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
            let interface = slot.worker.reports(|reports| reports.close());
            slot.worker.book(|book| book.close(&self.machine));
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
