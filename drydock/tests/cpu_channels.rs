//! How the CPU engine gives out its channels.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod rig;

use longshore_core::Passive;
use longshore_core::machine::{Cpu, Machine as _};
use longshore_drydock::machine::Machine;
use longshore_drydock::{Config as Dock, Plan, run};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_hardware::BusAddress;
use longshore_netdma::state::State;
use longshore_netdma::{ChannelInterface, ChannelParameters, ProviderChannel};
use rig::{Told, clean};
use std::sync::Arc;

fn engine(machine: &Machine, passive: &Passive, channels: u32, spread: u32) -> CpuEngine<Machine> {
    let config = Config {
        channels,
        spread,
        cpu: Cpu(0),
        ..Config::default()
    };
    CpuEngine::open(passive, machine, config)
}

/// Proves: NETDMA-042.
///
/// Three channels on three CPUs. Each user is given the one whose interrupt CPU it allows, while there is one.
#[test]
fn a_channel_is_preferred_whose_interrupt_arrives_where_it_may() {
    let run = run(
        &Dock::default(),
        &Plan::straight(),
        Default::default(),
        |machine, passive| {
            let engine = engine(machine, passive, 3, 3);
            let allocate = |cpus, priority| {
                let parameters = ChannelParameters {
                    priority,
                    ..ChannelParameters::new(BusAddress::NULL, cpus)
                };
                let told: Arc<dyn ChannelInterface> = Arc::new(Told::default());
                engine.allocate((&*passive).into(), parameters, told)
            };
            let (second, cpu) = allocate(0b010, 0).unwrap();
            assert_eq!(cpu, Cpu(1));
            let (third, cpu) = allocate(0b110, u32::MAX).unwrap();
            assert_eq!(cpu, Cpu(2), "the channel of CPU 1 is taken");
            let (first, cpu) = allocate(0b110, 1).unwrap();
            assert_eq!(cpu, Cpu(1), "any channel, told on a CPU that is allowed");
            assert!(allocate(0b001, 0).is_err(), "none is left");
            assert!(allocate(1 << 31, 0).is_err(), "there is no such CPU");
            for channel in [first, second, third] {
                channel.free((&*passive).into());
            }
        },
    );
    clean(&run);
}

/// Proves: NETDMA-002, NETDMA-041.
#[test]
fn a_channel_is_usable_at_once_and_a_refusal_keeps_nothing() {
    let run = run(
        &Dock::default(),
        &Plan::straight(),
        Default::default(),
        |machine, passive| {
            let engine = engine(machine, passive, 1, 1);
            let told: Arc<Told> = Arc::default();
            let parameters = |completion| ChannelParameters::new(BusAddress::new(completion), 0);
            let held = machine.raise(passive, |dispatch| {
                let bad = engine.allocate(dispatch.into(), parameters(0x1004), told.clone());
                assert!(bad.is_err(), "NETDMA-044");
                assert_eq!(Arc::strong_count(&told), 1);
                let (channel, _) = engine
                    .allocate(dispatch.into(), parameters(0), told.clone())
                    .unwrap();
                assert_eq!(channel.state(), State::Fresh);
                let none_left = engine.allocate(dispatch.into(), parameters(0), told.clone());
                assert!(none_left.is_err());
                assert_eq!(Arc::strong_count(&told), 2);
                channel.start(dispatch.into(), BusAddress::new(0x40), 1).unwrap();
                channel
            });
            held.abort((&*passive).into()).unwrap();
            held.free((&*passive).into());
            assert_eq!(Arc::strong_count(&told), 1);
            let again = engine.allocate((&*passive).into(), parameters(0), told.clone());
            again.unwrap().0.free((&*passive).into());
        },
    );
    clean(&run);
}
