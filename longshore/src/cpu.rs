//! The CPU as the engine of a channel.

use crate::core::{AtMostDispatch, Machine as _, Passive};
use crate::engine::{Engine, Started};
use crate::engines::cpu::{Config, CpuChannel, CpuEngine, InlineChannel, MAXIMUM_TRANSFER_SIZE};
use crate::hardware::BusAddress;
use crate::host::Machine;
use crate::netdma::provider::{AllocateError, AppendError, StartError, Unsuccessful};
use crate::netdma::{Handlers, Limits, Port, Provider};
use std::sync::Arc;

/// The caller's own CPU copies, whenever the caller polls, waits or awaits. The fastest for what is small: nothing is
/// shared with another thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct InlineCpu;

/// A thread of the machine copies, beside the caller. For what is large, or where the caller has other things to do.
#[derive(Clone, Copy, Debug, Default)]
pub struct WorkerCpu;

impl Engine for InlineCpu {
    type Port = InlineChannel<Machine>;
    const RUNS_BY_ITSELF: bool = false;

    fn start(self, _: &Passive, machine: &Machine) -> Started<Self::Port> {
        let (machine, config) = (machine.clone(), Config::default());
        Started {
            limits: Limits {
                version: config.version,
                handlers: Handlers::all(),
                maximum_transfer_size: MAXIMUM_TRANSFER_SIZE,
                maximum_address: BusAddress::new(u64::MAX),
            },
            allocate: Box::new(move |_, parameters, _| {
                let port = InlineChannel::new(&machine, config, parameters);
                port.map(|port| (port, machine.cpu()))
                    .map_err(|_| AllocateError::Unsuccessful)
            }),
        }
    }
}

impl Engine for WorkerCpu {
    type Port = WorkerPort;
    const RUNS_BY_ITSELF: bool = true;

    fn start(self, passive: &Passive, machine: &Machine) -> Started<WorkerPort> {
        let engine = CpuEngine::open(passive, machine, Config::default());
        Started {
            limits: Limits::new(&engine.characteristics(), &engine.attributes()),
            allocate: Box::new(move |level, parameters, interface| {
                let (channel, cpu) = engine.allocate(level, parameters, interface)?;
                let port = WorkerPort {
                    channel,
                    _engine: engine,
                };
                Ok((port, cpu))
            }),
        }
    }
}

/// A channel of an engine that exists for it alone.
#[derive(Debug)]
pub struct WorkerPort {
    channel: Arc<CpuChannel<Machine>>,
    _engine: CpuEngine<Machine>,
}

impl Port for WorkerPort {
    #[inline]
    fn start(&mut self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        self.channel.start(level, first, count)
    }

    #[inline]
    fn append(
        &mut self,
        level: AtMostDispatch<'_>,
        first: BusAddress,
        count: u32,
    ) -> Result<(), AppendError> {
        self.channel.append(level, first, count)
    }

    fn suspend(&mut self, level: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        self.channel.suspend(level)
    }

    fn resume(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.channel.resume(level)
    }

    fn abort(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.channel.abort(level)
    }

    fn reset(&mut self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.channel.reset(level)
    }

    fn free(&mut self, level: AtMostDispatch<'_>) {
        self.channel.free(level);
    }
}
