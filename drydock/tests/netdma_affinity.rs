//! A provider with message interrupts, which aims each channel's interrupt where it is told.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::{CONFIG, Cargo, ring};
use longshore_core::irql::{Irql, Passive};
use longshore_core::machine::Machine as _;
use longshore_core::{AtMostDispatch, Event};
use longshore_drydock::machine::{Machine, Step, What};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_netdma::provider::{AllocateError, ChannelAffinity};
use longshore_netdma::registry::NetDma;
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    RingOptions,
};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A provider that makes each channel, line and all, for the CPU that the affinity array names.
struct Aimed {
    machine: Machine,
    shape: CpuEngine<Machine>,
    /// One engine of one channel for each entry of the array.
    channels: Mutex<Vec<CpuEngine<Machine>>>,
}

const CHANNELS: u32 = 3;

impl Aimed {
    fn new(machine: &Machine, passive: &Passive) -> Arc<Self> {
        Arc::new(Self {
            machine: machine.clone(),
            shape: CpuEngine::open(passive, machine, Config::default()),
            channels: Mutex::default(),
        })
    }
}

impl Provider for Aimed {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            handlers: Handlers::all(),
            max_channels: CHANNELS,
            ..self.shape.characteristics()
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            channels: CHANNELS,
            ..self.shape.attributes()
        }
    }

    fn set_channel_affinity(
        &self,
        passive: &Passive,
        channels: &[ChannelAffinity],
    ) -> Result<(), AllocateError> {
        let config = |cpu| Config {
            cpu,
            ..Config::default()
        };
        let aimed = channels
            .iter()
            .map(|one| CpuEngine::open(passive, &self.machine, config(one.cpu)));
        self.channels.lock().unwrap().extend(aimed);
        Ok(())
    }

    fn allocate_channel(
        &self,
        level: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        let channels = self.channels.lock().unwrap();
        let free = |one: &CpuEngine<_>| one.allocate_channel(level, parameters, interface.clone()).ok();
        channels.iter().find_map(free).ok_or(AllocateError::Resources)
    }
}

/// Proves: NETDMA-030, NETDMA-031.
///
/// One copy on each channel. Each is told by an interrupt on the CPU that the array names for its channel, and together
/// they reach every CPU.
#[test]
fn each_message_arrives_where_the_affinity_array_says() {
    let run = life::once(|machine, passive| {
        let config = longshore_netdma::registry::Config {
            message_interrupts: true,
            ..CONFIG
        };
        let net = NetDma::new(passive, machine, config);
        let provider = Aimed::new(machine, passive);
        let registration = net.register(passive, provider.clone()).unwrap();
        registration.start(passive, provider.attributes());
        let client = net.register_client(passive, life::Ear::new(machine));
        let options = RingOptions {
            interrupts: true,
            ..ring(8)
        };
        let cargo = Cargo::new(machine);
        let channels: Vec<_> = (0..CHANNELS)
            .map(|_| client.allocate(passive, registration.id(), options).unwrap())
            .collect();
        for channel in &channels {
            let copy = cargo.copy(passive, channel).unwrap();
            assert!(channel.wait(passive, copy, Duration::from_millis(5)).is_ok());
            (0..50).for_each(|_| machine.relax());
        }
        drop(channels);
        registration.stop(passive);
        registration.deregister(passive);
    });
    let arrived = |step: &Step| match step.what {
        What::Event(Event::Callback("NetDmaIsr", _)) if step.level > Irql::DISPATCH => step.cpu,
        _ => None,
    };
    let cpus: Vec<u32> = run.trace.iter().filter_map(arrived).collect();
    // The channels in turn, and the interface's array spreads them over the CPUs in turn.
    assert_eq!(cpus, [0, 1, 2]);
}
