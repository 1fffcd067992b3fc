//! How a provider registers and starts at the NetDMA interface.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

mod life;

use life::spy::Spy;
use life::{ARRIVAL, CONFIG, Cargo, Ear, Life, REGISTERED, REMOVAL, explore, misuses, once};
use longshore_core::NtStatus;
use longshore_core::machine::Machine as _;
use longshore_netdma::provider::ChannelAffinity;
use longshore_netdma::registry::phase::Phase;
use longshore_netdma::registry::{AllocationError, Config, NetDma, RegisterError};
use longshore_netdma::{Attributes, Handlers, ProviderFlags, Refused, RingOptions, Version};

const OPTIONS: RingOptions = life::ring(8);

/// Proves: NETDMA-010, NETDMA-011, NETDMA-012, NETDMA-013, NETDMA-030, NETDMA-031, AMB-18.
#[test]
fn registering_uses_no_service_but_the_affinity_call_and_that_only_where_there_are_messages() {
    explore("register", 20, |machine, passive| {
        for message_interrupts in [true, false] {
            let config = Config {
                message_interrupts,
                ..CONFIG
            };
            let net = NetDma::new(passive, machine, config);
            let ear = Ear::new(machine);
            let client = net.register_client(passive, ear.clone());
            let spy = Spy::told(machine, passive, Version::V2_1, |told| told.max_channels = 5);
            let registration = net.register(passive, spy.clone()).unwrap();
            let steered: Vec<_> = spy.affinity.lock().unwrap().clone();
            if message_interrupts {
                assert_eq!(spy.log(), ["affinity"]);
                let channels = steered.iter().map(|one: &ChannelAffinity| one.channel);
                assert!(channels.eq(0..5), "one entry for each channel: {steered:?}");
                assert!(steered.iter().all(|one| one.cpu.0 < machine.cpus()));
            } else {
                assert!(spy.log().is_empty() && steered.is_empty());
            }
            // The spy finds fault with whatever comes before the start.
            let refused = client.allocate(passive, registration.id(), OPTIONS);
            assert_eq!(refused.unwrap_err(), AllocationError::NotStarted);
            spy.serve(true);
            registration.start(passive, spy.attributes_now());
            drop(client.allocate(passive, registration.id(), OPTIONS).unwrap());
            registration.stop(passive);
            spy.serve(false);
            let refused = client.allocate(passive, registration.id(), OPTIONS);
            assert_eq!(refused.unwrap_err(), AllocationError::NotStarted);
            let id = registration.id();
            registration.deregister(passive);
            let refused = client.allocate(passive, id, OPTIONS);
            assert_eq!(refused.unwrap_err(), AllocationError::Unknown);
            assert!(client.providers(passive).is_empty());
            assert_eq!(ear.codes(id), [REGISTERED, ARRIVAL, REMOVAL]);
        }
    });
}

/// Proves: NETDMA-012, NETDMA-021, NETDMA-130, AMB-19.
#[test]
fn a_bad_provider_is_refused_with_its_status_and_nobody_hears_of_it() {
    let run = once(|machine, passive| {
        let config = Config {
            version: Version::V2_0,
            message_interrupts: true,
            ..CONFIG
        };
        let net = NetDma::new(passive, machine, config);
        let ear = Ear::new(machine);
        let client = net.register_client(passive, ear.clone());
        let above = Spy::new(machine, passive, Version::V2_1);
        let half = Spy::told(machine, passive, Version::V2_0, |told| {
            told.handlers -= Handlers::RESUME;
        });
        let dca = Spy::told(machine, passive, Version::V1_1, |told| {
            told.flags = ProviderFlags::DCA
        });
        let channelless = Spy::told(machine, passive, Version::V1_1, |told| told.max_channels = 0);
        for (spy, error) in [
            (above, RegisterError::Version),
            (half, RegisterError::Handlers),
            (dca, RegisterError::Flags),
            (
                channelless,
                RegisterError::Affinity(longshore_netdma::provider::AllocateError::Resources),
            ),
        ] {
            assert_eq!(net.register(passive, spy).unwrap_err(), error);
        }
        assert!(client.providers(passive).is_empty() && ear.all().is_empty());
    });
    let (bad, resources) = (NtStatus::UNSUCCESSFUL, NtStatus::INSUFFICIENT_RESOURCES);
    let name = "NetDmaRegisterProvider";
    assert_eq!(
        misuses(&run),
        [
            (name, "NETDMA-016", bad),
            (name, "NETDMA-021", bad),
            (name, "NETDMA-020", bad),
            (name, "NETDMA-030", resources),
        ]
    );
}

/// Proves: NETDMA-016.
#[test]
fn the_interface_tells_its_version_packed() {
    once(|machine, passive| {
        let version = |version| NetDma::new(passive, machine, Config { version, ..CONFIG }).version(passive);
        assert_eq!(version(Version::V1_1), 0x0001_0001);
        assert_eq!(version(Version::V2_1), 0x0002_0001);
    });
}

/// Proves: NETDMA-014, NETDMA-023.
#[test]
fn each_start_brings_new_attributes_and_bad_ones_leave_the_provider_unavailable() {
    let run = once(|machine, passive| {
        let life = Life::new(machine, passive, Spy::new(machine, passive, Version::V2_1));
        let id = life.registration.id();
        let (first, second) = (life.channel(passive), life.channel(passive));
        let none_left = life.client.allocate(passive, id, OPTIONS);
        assert_eq!(none_left.unwrap_err(), AllocationError::NoChannel);
        life.stop(passive);
        for channel in [&first, &second] {
            let cargo = Cargo::new(machine);
            assert_eq!(cargo.copy(passive, channel), Err(Refused::Closed));
        }
        let good = life.spy.attributes_now();
        let starts = |attributes| life.registration.start(passive, attributes);
        let unavailable = || life.client.allocate(passive, id, OPTIONS).unwrap_err();
        starts(Attributes { channels: 3, ..good });
        assert_eq!(unavailable(), AllocationError::NotStarted);
        starts(Attributes {
            maximum_transfer_size: 4095,
            ..good
        });
        assert_eq!(unavailable(), AllocationError::NotStarted);
        for channels in [1, 2, 1] {
            life.spy.serve(true);
            starts(Attributes { channels, ..good });
            let info = &life.client.providers(passive)[0];
            assert_eq!((info.phase, info.free_channels), (Phase::Started, channels));
            assert_eq!(
                info.attributes.map(|attributes| attributes.channels),
                Some(channels)
            );
            let all: Vec<_> = (0..channels).map(|_| life.channel(passive)).collect();
            assert_eq!(unavailable(), AllocationError::NoChannel);
            life.stop(passive);
            drop(all);
        }
        life.registration.deregister(passive);
    });
    let bad = ("NetDmaProviderStart", "NETDMA-023", NtStatus::INVALID_PARAMETER);
    assert_eq!(misuses(&run), [bad, bad]);
}
