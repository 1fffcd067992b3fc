//! What C handlers are handed, and what they may answer. The handlers here are Rust code that plays C code.
#![allow(unsafe_code)] // The handlers read and write what they are handed, as C code does.

use super::*;
use crate::abi::netdma::{
    ChannelCpuAffinity, ChannelParameters as CParameters, ProviderAttributes, ProviderCharacteristics,
};
use crate::abi::types::{PhysicalAddress, Pointer, Status, UnicodeString};
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use longshore_core::machine::Cpu;
use longshore_core::{Device, Dispatch, NtStatus, Passive};
use longshore_hardware::BusAddress;
use longshore_host::{Config, Host};
use longshore_netdma::provider::{StartError, Unsuccessful};
use longshore_netdma::registry::Notification;
use longshore_netdma::{ClientEvents, Handlers, NetDma, RingOptions, Version, registry};
use std::sync::Mutex;

/// What the handlers of one provider were handed, and what they answer.
#[derive(Default)]
struct Script {
    cpu: u32,
    status: i32,
    suspended_at: usize,
    parameters: Mutex<Option<CParameters>>,
    affinity: Mutex<Vec<(u32, u32)>>,
    calls: Mutex<Vec<&'static str>>,
}

/// The script behind a context.
///
/// # Safety
///
/// The context is that of `open`, which outlives every call.
unsafe fn script<'a>(context: Pointer) -> &'a Script {
    // SAFETY: the caller's promise.
    unsafe { &*context.cast::<Script>() }
}

unsafe extern "C" fn set_affinity(context: Pointer, entries: *mut ChannelCpuAffinity, bytes: u32) -> Status {
    let count = bytes as usize / size_of::<ChannelCpuAffinity>();
    // SAFETY: as many entries as the bytes say.
    let (script, entries) = unsafe { (script(context), std::slice::from_raw_parts(entries, count)) };
    *hold(&script.affinity) = entries
        .iter()
        .map(|entry| (entry.dma_channel, entry.cpu_number))
        .collect();
    Status(0)
}

unsafe extern "C" fn allocate(
    context: Pointer,
    parameters: *mut CParameters,
    _: Pointer,
    channel: *mut Pointer,
) -> Status {
    // SAFETY: all of it is good for as long as the call.
    let script = unsafe {
        let script = script(context);
        *hold(&script.parameters) = Some(*parameters);
        (*parameters).cpu_number = script.cpu;
        *channel = context;
        script
    };
    Status(script.status)
}

unsafe extern "C" fn free(context: Pointer) {
    // SAFETY: the context is the script's.
    hold(&unsafe { script(context) }.calls).push("free");
}

unsafe extern "C" fn chain(context: Pointer, first: Pointer, _: PhysicalAddress, _: u32) -> Status {
    assert!(first.is_null());
    // SAFETY: the context is the script's.
    let script = unsafe { script(context) };
    hold(&script.calls).push("chain");
    Status(script.status)
}

unsafe extern "C" fn suspend(context: Pointer, last: *mut Pointer) -> Status {
    // SAFETY: both are good.
    unsafe { *last = std::ptr::without_provenance_mut(script(context).suspended_at) };
    Status(0)
}

unsafe extern "C" fn command(context: Pointer) -> Status {
    // SAFETY: the context is the script's.
    Status(unsafe { script(context) }.status)
}

unsafe extern "C" fn no_attach(_: Pointer, _: *mut Pointer) -> Status {
    Status(0)
}

unsafe extern "C" fn no_detach(_: Pointer) {}

struct Deaf;

impl ChannelInterface for Deaf {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(0)
    }
    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {}
}

/// A provider of this version that was registered and started, and its machine.
fn open(script: &'static Script, version: Version) -> (Host, CProvider) {
    let (host, _, provider) = open_at(script, version);
    (host, provider)
}

/// The same, with the interface.
fn open_at(script: &'static Script, version: Version) -> (Host, NetDma<longshore_host::Machine>, CProvider) {
    let host = Host::new(Config::default()).unwrap();
    let passive = Passive::now(host.machine()).unwrap();
    let messages = registry::Config {
        message_interrupts: true,
        ..registry::Config::default()
    };
    let net = NetDma::new(&passive, host.machine(), messages);
    let edge = Edge::open(&net, &passive, Cpu(1));
    let device = Handle::new();
    edge.devices.insert(device, ());
    let given = ProviderCharacteristics {
        major_version: version.major,
        minor_version: version.minor,
        size: ProviderCharacteristics::SIZE_2,
        flags: 0,
        physical_device_object: std::ptr::with_exposed_provenance_mut(device.raw()),
        max_dma_channel_count: 3,
        set_dma_channel_cpu_affinity: Some(set_affinity),
        allocate_dma_channel: Some(allocate),
        free_dma_channel: Some(free),
        start_dma: Some(chain),
        suspend_dma: Some(suspend),
        resume_dma: Some(command),
        abort_dma: None,
        append_dma: Some(chain),
        reset_channel: Some(command),
        friendly_name: UnicodeString {
            length: 6,
            maximum_length: 8,
            buffer: std::ptr::null_mut(), // read before
        },
    };
    let handle = edge
        .register(
            (&raw const *script).expose_provenance(),
            &given,
            Some("DMA".to_owned()),
        )
        .unwrap();
    let attributes = ProviderAttributes {
        size: ProviderAttributes::SIZE,
        dma_channel_count: 2,
        maximum_transfer_size: 8192,
        maximum_address_space: PhysicalAddress(-1),
        ..ProviderAttributes::default()
    };
    edge.start_provider(handle, Some(attributes));
    let driver = edge.providers.get(handle).unwrap().driver.clone();
    let attached = Attached::of(edge, no_attach, no_detach, device);
    (host, net, CProvider::new(attached, driver))
}

fn leaked(script: Script) -> &'static Script {
    Box::leak(Box::new(script))
}

fn allocate_on(host: &Host, provider: &CProvider) -> Result<Allocated, AllocateError> {
    let passive = Passive::now(host.machine()).unwrap();
    let asked = ChannelParameters {
        priority: 3,
        ..ChannelParameters::new(BusAddress::new(0x1240), 0b10)
    };
    provider.allocate_channel((&passive).into(), asked, Arc::new(Deaf))
}

/// Proves: NETDMA-030, NETDMA-040, NETDMA-042, AMB-20.
#[test]
fn a_provider_is_handed_its_affinities_and_the_parameters_of_its_version() {
    for (version, revision, size) in [
        (Version::V1_0, 1, 36),
        (Version::V2_0, 1, 36),
        (Version::V2_1, 2, 56),
    ] {
        let script = leaked(Script {
            cpu: 1,
            ..Script::default()
        });
        let (host, provider) = open(script, version);
        assert_eq!(*hold(&script.affinity), [(0, 0), (1, 1), (2, 0)]);
        let characteristics = provider.characteristics();
        assert_eq!(
            characteristics.handlers,
            Handlers::MANDATORY | Handlers::SUSPEND_RESUME | Handlers::RESET | Handlers::AFFINITY
        );
        assert_eq!(
            (
                characteristics.max_channels,
                provider.attributes().maximum_transfer_size
            ),
            (3, 8192)
        );
        let allocated = allocate_on(&host, &provider).unwrap();
        assert_eq!(allocated.cpu, Cpu(1));
        let handed = hold(&script.parameters).unwrap();
        assert_eq!((handed.revision, handed.size, handed.flags), (revision, size, 0));
        assert!(handed.completion_virtual_address.is_null());
        assert_eq!(handed.completion_physical_address, PhysicalAddress(0x1240));
        assert_eq!((handed.processor_affinity_mask, handed.channel_priority), (2, 3));
        let group = handed.processor_affinity_mask_ex;
        assert_eq!((group.mask, group.group, group.reserved), (2, 0, [0; 3]));
    }
}

/// Proves: NETDMA-013, NETDMA-041, NETDMA-130.
#[test]
fn a_failed_allocation_leaves_nothing_behind() {
    let failures = [
        (NtStatus::INSUFFICIENT_RESOURCES, 0, AllocateError::Resources),
        (NtStatus::UNSUCCESSFUL, 0, AllocateError::Unsuccessful),
        (NtStatus::PENDING, 0, AllocateError::Unsuccessful),
        (NtStatus::SUCCESS, 99, AllocateError::Unsuccessful),
    ];
    for (status, cpu, error) in failures {
        let script = leaked(Script {
            cpu,
            status: Status::from(status).0,
            ..Script::default()
        });
        let (host, provider) = open(script, Version::V1_1);
        assert_eq!(allocate_on(&host, &provider).unwrap_err(), error);
        assert!(provider.attached.edge().channels.find(|_| true).is_empty());
        let freed = hold(&script.calls).len();
        assert_eq!(
            freed,
            usize::from(status == NtStatus::SUCCESS),
            "a channel on no CPU is given back"
        );
        provider.attached.edge().stop_provider(provider.driver.handle);
        assert_eq!(
            allocate_on(&host, &provider).unwrap_err(),
            AllocateError::Unsuccessful
        );
    }
}

/// Proves: NETDMA-043, AMB-13.
#[test]
fn a_freed_channel_reaches_its_provider_no_more() {
    let script = leaked(Script {
        suspended_at: 0xffff_ffff_ffff_ffc0,
        ..Script::default()
    });
    let (host, provider) = open(script, Version::V1_1);
    let passive = Passive::now(host.machine()).unwrap();
    let level = || (&passive).into();
    let channel = allocate_on(&host, &provider).unwrap().channel;
    assert_eq!(
        channel.suspend(level()),
        Ok(BusAddress::new(0xffff_ffff_ffff_ffc0))
    );
    assert_eq!(channel.abort(level()), Err(Unsuccessful), "there is no abort");
    assert_eq!(channel.start(level(), BusAddress::new(0x40), 1), Ok(()));
    channel.free(level());
    channel.free(level());
    let refused = channel.start(level(), BusAddress::new(0x40), 1);
    assert_eq!(refused, Err(StartError::Unsuccessful));
    assert!(channel.append(level(), BusAddress::new(0x40), 1).is_err());
    assert!(channel.resume(level()).is_err() && channel.reset(level()).is_err());
    assert_eq!(*hold(&script.calls), ["chain", "free"]);
}

struct Silent;

impl ClientEvents for Silent {
    fn notify(&self, _: &Passive, _: Notification) {}
}

/// Its memory may be gone with the device: not even the channels that clients have are freed there.
#[test]
fn a_provider_that_its_device_left_behind_is_called_no_more() {
    let script = leaked(Script::default());
    let (host, net, provider) = open_at(script, Version::V1_1);
    let passive = Passive::now(host.machine()).unwrap();
    let client = net.register_client(&passive, Arc::new(Silent));
    let id = client.providers(&passive)[0].id;
    let channel = client.allocate(&passive, id, RingOptions::default()).unwrap();
    let edge = provider.attached.edge();
    let device = edge.providers.get(provider.driver.handle).unwrap().device;
    edge.clear_device(device);
    assert!(client.providers(&passive).is_empty());
    drop(channel);
    assert!(allocate_on(&host, &provider).is_err());
    assert_eq!(*hold(&script.calls), [""; 0]);
}
