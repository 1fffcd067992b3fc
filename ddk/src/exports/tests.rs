//! What a caller in C may do wrong. The routines are called as C code calls them, with what C code could hand in.

use super::kernel::*;
use super::longshore::*;
use super::netdma::*;
use crate::abi::netdma::{
    ChannelParameters as CParameters, PnpNotification, ProviderAttributes, ProviderCharacteristics,
};
use crate::abi::types::{Kdpc, PhysicalAddress, Pointer, Status, UnicodeString};
use crate::calls;
use crate::channel::Channel;
use crate::edge::Edge;
use crate::handles::{Handle, hold};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Device, Dispatch, Event, NtStatus, Passive};
use longshore_hardware::{BusAddress, DmaMemory};
use longshore_host::{Config, Host};
use longshore_netdma::registry::ProviderInfo;
use longshore_netdma::registry::phase::Phase;
use longshore_netdma::{ChannelInterface, NetDma, registry};
use longshore_wdm::verifier::{self, Code, Stop};
use longshore_wdm::{Platform, Policy};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{null, null_mut, with_exposed_provenance_mut};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

mod dma;
mod ndis;

const REFUSED: Status = Status(NtStatus::UNSUCCESSFUL.0.cast_signed());
const DONE: Status = Status(0);

/// A machine of threads with an edge, on which this thread plays C code.
struct Bench {
    host: Host,
    edge: Arc<Edge>,
    device: Pointer,
    told: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
    stops: Arc<Mutex<Vec<Stop>>>,
    notes: Arc<Mutex<Vec<&'static str>>>,
}

impl Bench {
    fn new() -> Self {
        let told: Arc<Mutex<Vec<_>>> = Arc::default();
        let stops: Arc<Mutex<Vec<_>>> = Arc::default();
        let notes: Arc<Mutex<Vec<_>>> = Arc::default();
        let (heard, stopped, noted) = (told.clone(), stops.clone(), notes.clone());
        let host = Host::new(Config {
            observer: Some(Arc::new(move |event: &Event| {
                if let Event::Misuse(call, rule, _) = *event {
                    hold(&heard).push((call, rule.0));
                }
                hold(&stopped).extend(verifier::stop(event));
                if let Event::Note(note) = *event {
                    hold(&noted).push(note);
                }
            })),
            ..Config::default()
        })
        .unwrap();
        let passive = Passive::now(host.machine()).unwrap();
        let net = NetDma::new(&passive, host.machine(), registry::Config::default());
        let platform = Platform::new(host.machine(), None, Policy::default());
        let edge = Edge::open_with_dma(&net, &platform, &passive, Cpu(1));
        let device = Handle::new();
        edge.devices.insert(device, ());
        edge.enter();
        Self {
            host,
            edge,
            device: with_exposed_provenance_mut(device.raw()),
            told,
            stops,
            notes,
        }
    }

    /// What was said to be misuse since the last time.
    fn misuse(&self) -> Vec<(&'static str, &'static str)> {
        std::mem::take(&mut *hold(&self.told))
    }

    /// What was remarked since the last time.
    fn notes(&self) -> Vec<&'static str> {
        std::mem::take(&mut *hold(&self.notes))
    }

    /// What Windows' verifier would have stopped for since the last time.
    fn stops(&self) -> Vec<(&'static str, Code)> {
        let stops = std::mem::take(&mut *hold(&self.stops));
        stops.into_iter().map(|stop| (stop.call, stop.code)).collect()
    }

    /// Runs a section at DISPATCH.
    fn raised<R>(&self, section: impl FnOnce() -> R) -> R {
        let mut passive = Passive::now(self.host.machine()).unwrap();
        self.host.machine().raise(&mut passive, |_| section())
    }

    fn characteristics(&self, version: (u8, u8)) -> ProviderCharacteristics {
        ProviderCharacteristics {
            major_version: version.0,
            minor_version: version.1,
            size: ProviderCharacteristics::SIZE_2,
            flags: 0,
            physical_device_object: self.device,
            max_dma_channel_count: 2,
            set_dma_channel_cpu_affinity: None,
            allocate_dma_channel: Some(allocate),
            free_dma_channel: Some(free),
            start_dma: Some(chain),
            suspend_dma: Some(suspend),
            resume_dma: Some(command),
            abort_dma: Some(command),
            append_dma: Some(chain),
            reset_channel: Some(command),
            friendly_name: UnicodeString {
                length: 6,
                maximum_length: 6,
                buffer: NAME.as_ptr().cast_mut(),
            },
        }
    }

    /// A provider, as a client sees it.
    fn info(&self, provider: Pointer) -> ProviderInfo {
        self.edge.info(Handle::from_raw(provider.addr())).unwrap()
    }

    /// Makes this the handle of a channel of a provider, whose interface panics.
    fn insert_channel(&self, handle: Handle, provider: Pointer) -> Arc<Channel> {
        let record = self.edge.providers.get(Handle::from_raw(provider.addr()));
        let driver = record.unwrap().driver.clone();
        let channel = Arc::new(Channel::new(driver, Arc::new(Panicking), true));
        self.edge.channels.insert(handle, channel.clone());
        channel
    }

    fn register(&self, characteristics: &ProviderCharacteristics) -> (Status, Pointer) {
        let mut handle = null_mut();
        let context = (&raw const FREED).cast_mut().cast();
        // SAFETY: the pointers are good.
        let status = unsafe { NetDmaRegisterProvider(context, &mut handle, characteristics) };
        (status, handle)
    }
}

/// A name in UTF-16, with half of a pair in its middle.
static NAME: [u16; 3] = [b'D' as u16, 0xd800, b'A' as u16];

static FREED: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" fn allocate(_: Pointer, _: *mut CParameters, _: Pointer, _: *mut Pointer) -> Status {
    DONE
}
unsafe extern "C" fn free(_: Pointer) {
    FREED.fetch_add(1, Ordering::Relaxed);
}
unsafe extern "C" fn chain(_: Pointer, _: Pointer, _: PhysicalAddress, _: u32) -> Status {
    DONE
}
unsafe extern "C" fn suspend(_: Pointer, _: *mut Pointer) -> Status {
    DONE
}
unsafe extern "C" fn command(_: Pointer) -> Status {
    DONE
}

fn attributes() -> ProviderAttributes {
    ProviderAttributes {
        size: ProviderAttributes::SIZE,
        dma_channel_count: 2,
        maximum_transfer_size: 4096,
        ..ProviderAttributes::default()
    }
}

fn start(provider: Pointer, attributes: &ProviderAttributes) {
    // SAFETY: the attributes are good.
    unsafe { NetDmaProviderStart(provider, attributes) }
}

#[test]
fn without_a_machine_every_routine_refuses_and_nothing_happens() {
    std::thread::spawn(|| {
        let at = PhysicalAddress(0);
        let mut word = 7u64;
        let mut cpu = 7;
        // SAFETY: the pointers are NULL or good.
        unsafe {
            assert_eq!(NetDmaRegisterProvider(null_mut(), null_mut(), null()), REFUSED);
            NetDmaProviderStart(null_mut(), null());
            NetDmaPnPEventNotify(null_mut(), null());
            NetDmaIsr(null_mut(), at, &mut cpu);
            let off = NtStatus::INVALID_DEVICE_STATE.into();
            assert_eq!(LsLoadPhysical64(at, &mut word), off);
            assert_eq!(LsReadPhysical(at, (&raw mut word).cast(), 8), off);
            assert_eq!(LsCopyPhysical(at, at, 8), off);
        }
        assert_eq!((word, cpu), (7, 0));
        NetDmaInterruptDpc(null_mut(), at);
        KeStallExecutionProcessor(u32::MAX);
        assert_eq!(KeInsertQueueDpc(null_mut(), null_mut(), null_mut()), 0);
        assert!(ExAllocatePoolWithTag(0, 8, 0).is_null());
        assert_eq!(NetDmaGetVersion(), 0);
    })
    .join()
    .unwrap();
}

/// Proves: NETDMA-012, NETDMA-016, NETDMA-020, NETDMA-021, NETDMA-130, AMB-19.
#[test]
fn a_registration_that_is_wrong_in_any_way_is_refused() {
    let bench = Bench::new();
    type Change = fn(&mut ProviderCharacteristics);
    let refused: [((u8, u8), &str, Change); 20] = [
        ((2, 2), "NETDMA-016", |_| {}),
        ((3, 0), "NETDMA-016", |_| {}),
        ((0, 9), "NETDMA-016", |_| {}),
        ((1, 0), "NETDMA-020", |c| c.size = 95),
        ((2, 0), "NETDMA-020", |c| c.size = 111),
        ((2, 0), "NETDMA-020", |c| c.size = 3),
        ((1, 1), "NETDMA-020", |c| c.flags = 1),
        ((2, 0), "NETDMA-020", |c| c.flags = 2),
        ((2, 1), "NETDMA-020", |c| c.flags = 4),
        ((2, 0), "NETDMA-020", |c| c.friendly_name.buffer = null_mut()),
        ((1, 0), "NETDMA-020", |c| c.physical_device_object = null_mut()),
        ((2, 0), "NETDMA-020", |c| c.friendly_name.length = 0),
        ((2, 0), "NETDMA-020", |c| c.friendly_name.length = 5),
        ((2, 0), "NETDMA-020", |c| c.friendly_name.maximum_length = 4),
        ((1, 0), "NETDMA-021", |c| c.allocate_dma_channel = None),
        ((1, 0), "NETDMA-021", |c| c.free_dma_channel = None),
        ((1, 0), "NETDMA-021", |c| c.start_dma = None),
        ((1, 0), "NETDMA-021", |c| c.append_dma = None),
        ((1, 0), "NETDMA-021", |c| c.suspend_dma = None),
        ((1, 0), "NETDMA-021", |c| c.resume_dma = None),
    ];
    for (version, rule, change) in refused {
        let mut wrong = bench.characteristics(version);
        change(&mut wrong);
        assert_eq!(
            bench.register(&wrong),
            (REFUSED, null_mut()),
            "{version:?} {rule}"
        );
        assert_eq!(bench.misuse(), [("NetDmaRegisterProvider", rule)]);
    }
    let mut greedy = bench.characteristics((1, 0));
    greedy.max_dma_channel_count = u32::MAX;
    assert_eq!(bench.register(&greedy).0, NtStatus::INSUFFICIENT_RESOURCES.into());
    assert_eq!(bench.misuse(), [("NetDmaRegisterProvider", "NETDMA-030")]);
    let right = bench.characteristics((2, 1));
    assert_eq!(bench.raised(|| bench.register(&right).0), REFUSED);
    assert_eq!(bench.misuse(), [("NetDmaRegisterProvider", "A-26")]);
    let (status, handle) = bench.register(&right);
    assert_eq!(status, DONE);
    assert_eq!(bench.register(&right).0, REFUSED, "once for each engine");
    assert_eq!(bench.misuse(), [("NetDmaRegisterProvider", "NETDMA-012")]);
    NetDmaDeregisterProvider(handle);
    assert_eq!(bench.register(&right).0, DONE, "the device is free again");
    assert_eq!(bench.misuse(), []);
}

/// What is optional may be absent, and 1.x has no name.
///
/// Proves: NETDMA-021.
#[test]
fn what_is_optional_may_be_absent() {
    let bench = Bench::new();
    let mut least = bench.characteristics((1, 0));
    (least.suspend_dma, least.resume_dma) = (None, None);
    (least.abort_dma, least.reset_channel) = (None, None);
    least.size = ProviderCharacteristics::SIZE_1;
    assert_eq!(bench.register(&least).0, DONE);
    assert_eq!(bench.misuse(), []);
}

/// Proves: NETDMA-014, NETDMA-015, NETDMA-023.
#[test]
fn a_provider_starts_and_stops_in_turn_any_number_of_times() {
    let bench = Bench::new();
    let (_, provider) = bench.register(&bench.characteristics((1, 1)));
    let started = || bench.info(provider).attributes.map(|with| with.channels);
    type Change = fn(&mut ProviderAttributes);
    let wrong: [Change; 4] = [
        |a| a.size = 31,
        |a| a.flags = 1,
        |a| a.dma_channel_count = 3,
        |a| a.maximum_transfer_size = 4095,
    ];
    for change in wrong {
        let mut attributes = attributes();
        change(&mut attributes);
        start(provider, &attributes);
        assert_eq!(bench.misuse(), [("NetDmaProviderStart", "NETDMA-023")]);
        assert_eq!(started(), None);
    }
    for channels in [1, 2, 1] {
        let with = ProviderAttributes {
            dma_channel_count: channels,
            ..attributes()
        };
        start(provider, &with);
        assert_eq!((started(), bench.misuse()), (Some(channels), vec![]));
        NetDmaProviderStop(provider);
        assert_eq!((started(), bench.misuse()), (None, vec![]));
    }
    NetDmaProviderStop(provider);
    assert_eq!(bench.misuse(), [("NetDmaProviderStop", "NETDMA-014")]);
    start(provider, &attributes());
    let (channel, freed) = (Handle::new(), FREED.load(Ordering::Relaxed));
    bench.insert_channel(channel, provider).opened(0);
    NetDmaProviderStop(provider);
    assert_eq!(FREED.load(Ordering::Relaxed), freed + 1, "a channel was left");
    assert!(bench.edge.channels.get(channel).is_none());
    start(provider, &attributes());
    start(provider, &attributes());
    assert_eq!(bench.misuse(), [("NetDmaProviderStart", "NETDMA-014")]);
    NetDmaDeregisterProvider(provider);
    assert_eq!(bench.misuse(), [("NetDmaDeregisterProvider", "NETDMA-014")]);
    NetDmaProviderStop(provider);
    NetDmaDeregisterProvider(provider);
    assert_eq!(
        bench.misuse(),
        [
            ("NetDmaProviderStop", "NETDMA-014"),
            ("NetDmaDeregisterProvider", "NETDMA-015")
        ]
    );
}

/// Proves: NETDMA-110, NETDMA-111, NETDMA-112.
#[test]
fn only_power_notifications_of_later_providers_are_heard() {
    let bench = Bench::new();
    let notify = |provider, change: fn(&mut PnpNotification), code| {
        let mut notification = PnpNotification {
            structure_revision: PnpNotification::REVISION,
            structure_size: PnpNotification::SIZE,
            notification_code: code,
            buffer: null_mut(),
            buffer_length: 0,
        };
        change(&mut notification);
        // SAFETY: the notification is good.
        unsafe { NetDmaPnPEventNotify(provider, &notification) };
        bench
            .misuse()
            .into_iter()
            .map(|(_, rule)| rule)
            .collect::<Vec<_>>()
    };
    let (_, old) = bench.register(&bench.characteristics((1, 0)));
    assert_eq!(notify(old, |_| {}, 5), ["NETDMA-110"]);
    NetDmaDeregisterProvider(old);
    assert_eq!(notify(old, |_| {}, 5), ["NETDMA-110"]);
    let (_, provider) = bench.register(&bench.characteristics((1, 1)));
    assert_eq!(notify(provider, |_| {}, 5), ["NETDMA-113"], "it is not started");
    start(provider, &attributes());
    assert_eq!(notify(provider, |_| {}, 6), ["NETDMA-113"], "it has its power");
    assert_eq!(
        (notify(provider, |_| {}, 5), bench.info(provider).phase),
        (vec![], Phase::Asleep)
    );
    assert_eq!(
        (notify(provider, |_| {}, 6), bench.info(provider).phase),
        (vec![], Phase::Started)
    );
    for code in [0, 1, 2, 3, 4, 7, u32::MAX] {
        assert_eq!(notify(provider, |_| {}, code), ["NETDMA-112"], "{code}");
    }
    assert_eq!(notify(provider, |n| n.structure_revision = 2, 5), ["NETDMA-111"]);
    assert_eq!(notify(provider, |n| n.structure_size = 31, 5), ["NETDMA-111"]);
    assert_eq!(notify(provider, |n| n.buffer_length = 1, 5), ["NETDMA-111"]);
    assert_eq!(bench.raised(|| notify(provider, |_| {}, 5)), ["A-26"]);
}

struct Panicking;

impl ChannelInterface for Panicking {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(1)
    }
    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {
        panic!("on purpose");
    }
}

/// Proves: NETDMA-100, NETDMA-102.
#[test]
fn interrupt_routines_need_their_level_and_a_channel_that_is_allocated() {
    let bench = Bench::new();
    let (_, provider) = bench.register(&bench.characteristics((1, 1)));
    let handle = Handle::new();
    let name = with_exposed_provenance_mut(handle.raw());
    let mut cpu = 9;
    for (known, level) in [(false, "NETDMA-100"), (true, "NETDMA-100")] {
        if known {
            bench.insert_channel(handle, provider);
        }
        // SAFETY: the place for the CPU is good.
        unsafe { NetDmaIsr(name, PhysicalAddress(0x40), &mut cpu) };
        assert_eq!((cpu, bench.misuse()), (0, vec![("NetDmaIsr", level)]));
        NetDmaInterruptDpc(name, PhysicalAddress(0x40));
        assert_eq!(bench.misuse(), [("NetDmaInterruptDpc", "NETDMA-102")]);
    }
}

unsafe extern "C" fn tells(_: Pointer, channel: Pointer, after: Pointer, _: Pointer) {
    NetDmaInterruptDpc(channel, PhysicalAddress(0x40));
    // SAFETY: the test hands in its own counter.
    unsafe { (*after.cast::<AtomicU32>()).fetch_add(1, Ordering::Relaxed) };
}

/// Proves: PAIN-10.
#[test]
fn nobody_calls_out_with_a_spin_lock_held() {
    let bench = Bench::new();
    let heard = Arc::new(AtomicU32::new(0));
    let hears = heard.clone();
    bench.edge.on_misuse(move |_, _, _| {
        hears.fetch_add(1, Ordering::Relaxed);
    });
    let mut word = 0usize;
    KeInitializeSpinLock(&raw mut word);
    KeAcquireSpinLockRaiseToDpc(&raw mut word);
    NetDmaInterruptDpc(null_mut(), PhysicalAddress(0));
    KeReleaseSpinLock(&raw mut word, 0);
    let expected = [
        ("NetDmaInterruptDpc", "PAIN-10"),
        ("NetDmaInterruptDpc", "NETDMA-102"),
    ];
    assert_eq!(bench.misuse(), expected);
    assert_eq!(heard.load(Ordering::Relaxed), 2);
}

#[test]
fn a_panic_waits_until_the_c_code_has_returned() {
    let bench = Bench::new();
    let handle = Handle::new();
    let (_, provider) = bench.register(&bench.characteristics((1, 1)));
    bench.insert_channel(handle, provider);
    let after = AtomicU32::new(0);
    let call = || {
        let arguments = [(&raw const after).expose_provenance(), 0];
        calls::deferred_routine(&bench.edge, tells, 0, handle.raw(), arguments);
    };
    let result = bench.raised(|| catch_unwind(AssertUnwindSafe(call)));
    assert_eq!(*result.unwrap_err().downcast::<&str>().unwrap(), "on purpose");
    assert_eq!(after.load(Ordering::Relaxed), 1, "the C code ran to its end");
}

#[test]
fn a_spin_lock_is_taken_and_given_back_by_the_same_caller_only() {
    let bench = Bench::new();
    let mut word = 0usize;
    let lock = &raw mut word;
    assert_eq!(KeAcquireSpinLockRaiseToDpc(lock), 0);
    assert_eq!(
        bench.misuse(),
        [("KeAcquireSpinLock", "A-26")],
        "never initialised"
    );
    assert_eq!(KeGetCurrentIrql(), 0);
    KeInitializeSpinLock(lock);
    assert_eq!(KeAcquireSpinLockRaiseToDpc(lock), 0);
    assert_eq!(KeGetCurrentIrql(), 2);
    KeAcquireSpinLockAtDpcLevel(lock);
    assert_eq!(
        bench.misuse(),
        [("KeAcquireSpinLockAtDpcLevel", "A-26")],
        "its own holder"
    );
    let (edge, address) = (bench.edge.clone(), lock.expose_provenance());
    let other = move || {
        edge.enter();
        KeReleaseSpinLock(with_exposed_provenance_mut(address), 0);
    };
    std::thread::spawn(other).join().unwrap();
    assert_eq!(bench.misuse(), [("KeReleaseSpinLock", "A-26")], "another caller");
    KeReleaseSpinLock(lock, 15);
    assert_eq!(
        bench.misuse(),
        [("KeReleaseSpinLock", "A-26")],
        "a level it did not come from"
    );
    assert_eq!(KeGetCurrentIrql(), 0, "it is where it came from all the same");
    KeReleaseSpinLock(lock, 0);
    assert_eq!(bench.misuse(), [("KeReleaseSpinLock", "A-26")], "released before");
    KeAcquireSpinLockAtDpcLevel(lock);
    assert_eq!(
        bench.misuse(),
        [("KeAcquireSpinLockAtDpcLevel", "A-26")],
        "at PASSIVE"
    );
}

#[test]
fn a_contended_spin_lock_lets_one_in_at_a_time() {
    const ROUNDS: u32 = 5_000;
    let bench = Bench::new();
    let mut word = 0usize;
    KeInitializeSpinLock(&raw mut word);
    let (edge, address) = (&bench.edge, (&raw mut word).expose_provenance());
    let count = AtomicU32::new(0);
    let work = || {
        edge.enter();
        for _ in 0..ROUNDS {
            let lock = with_exposed_provenance_mut(address);
            let level = KeAcquireSpinLockRaiseToDpc(lock);
            // Two steps, which only the lock makes one.
            count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            KeReleaseSpinLock(lock, level);
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        scope.spawn(work);
    });
    assert_eq!((count.into_inner(), bench.misuse()), (2 * ROUNDS, vec![]));
}

unsafe extern "C" fn counts(_: Pointer, count: Pointer, _: Pointer, _: Pointer) {
    // SAFETY: the test hands in its own counter.
    unsafe { (*count.cast::<AtomicU32>()).fetch_add(1, Ordering::Relaxed) };
}

#[test]
fn a_dpc_must_be_initialised_where_it_stands_and_live_as_long_as_it_is_queued() {
    let bench = Bench::new();
    let count = AtomicU32::new(0);
    let counter = (&raw const count).cast_mut().cast();
    let block = ExAllocatePoolWithTag(0, 64, 1);
    let dpc = block.cast::<Kdpc>();
    assert_eq!(KeInsertQueueDpc(dpc, null_mut(), null_mut()), 0);
    assert_eq!(bench.misuse(), [("KeInsertQueueDpc", "A-26")]);
    KeInitializeDpc(dpc, None, null_mut());
    assert_eq!(bench.misuse(), [("KeInitializeDpc", "A-26")]);
    KeInitializeDpc(dpc, Some(counts), counter);
    KeSetTargetProcessorDpc(dpc, 5);
    KeSetTargetProcessorDpc(dpc, -1);
    assert_eq!(bench.misuse(), [("KeSetTargetProcessorDpc", "A-26"); 2]);
    KeSetTargetProcessorDpc(dpc, 1);
    assert_eq!(KeInsertQueueDpc(dpc, null_mut(), null_mut()), 1);
    KeFlushQueuedDpcs();
    assert_eq!(count.load(Ordering::Relaxed), 1);
    assert_eq!(KeRemoveQueueDpc(dpc), 0);
    bench.raised(|| KeFlushQueuedDpcs());
    assert_eq!(bench.misuse(), [("KeFlushQueuedDpcs", "A-26")]);
    ExFreePoolWithTag(block, 2);
    assert_eq!(bench.misuse(), [("ExFreePoolWithTag", "A-26")], "another tag");
    ExFreePoolWithTag(block, 1);
    assert_eq!(bench.misuse(), []);
    assert_eq!(KeInsertQueueDpc(dpc, null_mut(), null_mut()), 0);
    assert_eq!(
        bench.misuse(),
        [("KeInsertQueueDpc", "A-26")],
        "its memory is freed"
    );
}

#[test]
fn physical_memory_is_checked_before_it_is_touched() {
    let bench = Bench::new();
    let wrong: Status = NtStatus::INVALID_PARAMETER.into();
    let memory = bench.host.machine().memory();
    let bytes: Vec<u8> = (0..2000u32).map(|byte| byte as u8 | 1).collect();
    let mut back = vec![0; 2000];
    // SAFETY: the pointers are NULL or good for the length.
    unsafe {
        assert_eq!(
            LsWritePhysical(PhysicalAddress(0x1000), bytes.as_ptr(), 2000),
            DONE
        );
        assert_eq!(
            LsReadPhysical(PhysicalAddress(0x1000), back.as_mut_ptr(), 2000),
            DONE
        );
        assert_eq!(LsReadPhysical(PhysicalAddress(0), null_mut(), 8), wrong);
        assert_eq!(LsWritePhysical(PhysicalAddress(0), null(), 8), wrong);
        assert_eq!(LsReadPhysical(PhysicalAddress(-8), back.as_mut_ptr(), 16), wrong);
        assert_eq!(
            LsLoadPhysical64(PhysicalAddress(4), back.as_mut_ptr().cast()),
            wrong
        );
        assert_eq!(LsLoadPhysical64(PhysicalAddress(8), null_mut()), wrong);
    }
    assert_eq!(back[8..], bytes[8..]);
    assert_eq!(
        LsCopyPhysical(PhysicalAddress(0), PhysicalAddress(-1), usize::MAX),
        wrong
    );
    assert_eq!(LsStorePhysical64(PhysicalAddress(0x1000), 42), DONE);
    assert_eq!(memory.load_u64(BusAddress::new(0x1000)), Ok(42));
    assert_eq!(LsStorePhysical64(PhysicalAddress(-8), 42), wrong);
}

unsafe extern "C" fn answers(_: Pointer, _: Pointer) -> u8 {
    1
}

#[test]
fn a_line_belongs_to_a_device_and_goes_with_it() {
    let bench = Bench::new();
    let mut line = null_mut();
    let mut connect = |device, processor, routine: Option<calls::ServiceRoutine>| {
        // SAFETY: the place is good.
        unsafe { LsConnectInterrupt(device, processor, routine, null_mut(), &mut line) }
    };
    let wrong = NtStatus::INVALID_PARAMETER.into();
    assert_eq!(connect(null_mut(), 0, Some(answers)), wrong);
    assert_eq!(connect(bench.device, 99, Some(answers)), wrong);
    assert_eq!(connect(bench.device, 0, None), wrong);
    assert_eq!(bench.misuse().len(), 3);
    assert_eq!(connect(bench.device, 0, Some(answers)), DONE);
    LsDeassertInterrupt(line);
    assert_eq!(bench.misuse(), []);
    bench.edge.clear_device(Handle::from_raw(bench.device.addr()));
    assert_eq!(
        bench.misuse(),
        [("LsDetachDevice", "NETDMA-015")],
        "it was left behind"
    );
    LsAssertInterrupt(line);
    LsDisconnectInterrupt(line);
    assert_eq!(bench.misuse().len(), 2);
}
