//! Who gets map registers, who waits for them, and that none are lost.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::ready;
use bench::narrow::{Habits, Narrow, REGISTERS, narrow};
use longshore_core::machine::{Cpu, Machine as _, Signal as _};
use longshore_core::{Dispatch, NtStatus, Passive};
use longshore_drydock::machine::{Machine, Signal};
use longshore_hardware::BusAddress;
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, DeviceDescription, DeviceObject, Granted, IoAllocationAction,
    MapRegisters, RegisterBase, State, TransferContext,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// What was granted, in its order, each with the number of its request.
#[derive(Clone, Default)]
struct Grants(Arc<Mutex<Vec<(u32, Granted)>>>);

impl Grants {
    fn order(&self) -> Vec<u32> {
        self.0.lock().unwrap().iter().map(|(number, _)| *number).collect()
    }

    /// A request that keeps what it is granted.
    fn request(&self, number: u32, registers: u32, signal: Option<&Arc<Signal>>) -> Allocation<Machine> {
        let (grants, signal) = (self.clone(), signal.cloned());
        Allocation {
            device_object: DEVICE,
            registers,
            flags: AllocationFlags::ASYNCHRONOUS,
            routine: Some(Box::new(move |_: &Dispatch, _: &Adapter<Machine>, granted| {
                grants.0.lock().unwrap().push((number, granted));
                if let Some(signal) = signal {
                    signal.set();
                }
                IoAllocationAction::KEEP_OBJECT
            })),
        }
    }
}

fn ask(
    bench: &Narrow,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    request: Allocation<Machine>,
) {
    bench.machine.raise(passive, |dispatch| {
        let asked = adapter.allocate_channel(dispatch, context, request);
        assert_eq!(asked.map_err(|refused| refused.why), Ok(None));
    });
}

fn pair(bench: &Narrow, passive: &Passive) -> [(Adapter<Machine>, TransferContext); 2] {
    [0, 1].map(|channel| {
        let adapter = bench.adapter(passive, channel);
        let context = ready(passive, &adapter);
        (adapter, context)
    })
}

/// Proves: WDM-065, WDM-102, WDM-103, WDM-107.
#[test]
fn an_adapter_says_how_many_registers_a_transfer_may_use() {
    narrow(1, Habits::default(), |bench, passive| {
        let of = |maximum_length| {
            let description = DeviceDescription {
                maximum_length,
                ..DeviceDescription::system(0, 0)
            };
            bench
                .platform
                .adapter(passive, description)
                .unwrap()
                .map_registers()
        };
        assert_eq!([1, 4096, 4097, 8192].map(of), [2, 2, 3, 3]);
        assert_eq!([12289, u32::MAX].map(of), [REGISTERS; 2]);
        let far = BusAddress::new(u64::MAX);
        assert!(MapRegisters::new(passive, &bench.machine, 1, far).is_err());
    });
}

/// Proves: WDM-122, WDM-124.
#[test]
fn too_many_registers_are_refused_and_nothing_is_queued() {
    narrow(5, Habits::default(), |bench, passive| {
        let [(first, one), (second, two)] = pair(bench, passive);
        let too_many = first.map_registers() + 1;
        for flags in [AllocationFlags::SYNCHRONOUS, AllocationFlags::ASYNCHRONOUS] {
            let request = Allocation {
                flags,
                ..Grants::default().request(0, too_many, None)
            };
            bench.machine.raise(passive, |dispatch| {
                let refused = first.allocate_channel(dispatch, &one, request).unwrap_err();
                assert_eq!(refused.why.status(), NtStatus::INSUFFICIENT_RESOURCES);
            });
            assert_eq!(first.poll(&*passive, &one).state, State::Ready);
        }
        // All but one are taken: two are not to be had now, though the second channel is free.
        bench.allocate(passive, &first, &one, 3).unwrap();
        let refused = bench.allocate(passive, &second, &two, 2);
        assert_eq!(refused, Err(NtStatus::INSUFFICIENT_RESOURCES));
        assert_eq!(second.poll(&*passive, &two).state, State::Ready);
        assert!(!second.cancel_adapter_channel(&*passive, &one, DEVICE));
        bench.allocate(passive, &second, &two, 1).unwrap();
        bench.free(passive, &second, &two);
        bench.free(passive, &first, &one);
    });
}

/// Proves: A-16.
#[test]
fn whoever_finds_too_few_waits_in_turn_and_keeps_the_channel() {
    narrow(60, Habits::default(), |bench, passive| {
        let [(first, one), (second, two)] = pair(bench, passive);
        let grants = Grants::default();
        let (third, last) = (ready(passive, &second), ready(passive, &second));
        bench.allocate(passive, &first, &one, 3).unwrap();
        let signal = Arc::new(bench.machine.signal(passive, "the last grant"));
        ask(bench, passive, &second, &two, grants.request(2, 2, None));
        // One register would be enough for it, but it is not its turn: neither here nor for the channel.
        ask(
            bench,
            passive,
            &second,
            &third,
            grants.request(3, 1, Some(&signal)),
        );
        assert_eq!(
            bench.allocate(passive, &second, &last, 0),
            Err(NtStatus::INSUFFICIENT_RESOURCES)
        );
        assert!(grants.order().is_empty());
        assert_eq!(second.poll(&*passive, &two).state, State::Wait);
        assert!(second.holder(None).is_none(), "it waits");
        let master = bench.adapter_of(passive, DeviceDescription::bus_master(16));
        let late = ready(passive, &master);
        let jumped = bench.allocate(passive, &master, &late, 1);
        assert_eq!(jumped, Err(NtStatus::INSUFFICIENT_RESOURCES), "others wait");
        let (machine, freer) = (bench.machine.clone(), first.clone());
        bench.machine.spawn(Cpu(1), "freer", move |passive| {
            machine.raise(passive, |dispatch| freer.free_channel(dispatch, &one).unwrap());
        });
        while grants.order().is_empty() {
            bench.machine.relax();
        }
        bench.free(passive, &second, &two);
        let _ = signal.wait(passive);
        assert_eq!(grants.order(), [2, 3]);
        bench.free(passive, &second, &third);
    });
}

/// Proves: WDM-140, WDM-142.
#[test]
fn a_request_that_waits_for_registers_is_cancelled_and_its_channel_goes_to_the_next() {
    narrow(60, Habits::default(), |bench, passive| {
        let [(first, one), (second, two)] = pair(bench, passive);
        let grants = Grants::default();
        let third = ready(passive, &second);
        bench.allocate(passive, &first, &one, 3).unwrap();
        let signal = Arc::new(bench.machine.signal(passive, "granted"));
        ask(bench, passive, &second, &two, grants.request(2, 2, None));
        ask(
            bench,
            passive,
            &second,
            &third,
            grants.request(3, 1, Some(&signal)),
        );
        let wrong = DeviceObject(7);
        assert!(!second.cancel_adapter_channel(&*passive, &two, wrong), "WDM-142");
        assert!(second.cancel_adapter_channel(&*passive, &two, DEVICE));
        assert!(second.poll(&*passive, &two).state == State::Ready);
        let _ = signal.wait(passive);
        assert_eq!(grants.order(), [3]);
        assert_eq!(bench.pool.in_use(), 4);
        bench.free(passive, &second, &third);
        bench.free(passive, &first, &one);
        second.put(&*passive).unwrap();
    });
}

/// The registers come at the very moment when the request is cancelled: one of the two, never both.
///
/// Proves: R5, WDM-141.
#[test]
fn a_cancel_that_meets_the_grant_is_answered_truthfully() {
    narrow(300, Habits::default(), |bench, passive| {
        let [(first, one), (second, two)] = pair(bench, passive);
        let grants = Grants::default();
        bench.allocate(passive, &first, &one, 3).unwrap();
        ask(bench, passive, &second, &two, grants.request(2, 2, None));
        let done = Arc::new(bench.machine.signal(passive, "freed"));
        let (machine, freer, inside) = (bench.machine.clone(), first.clone(), Arc::clone(&done));
        bench.machine.spawn(Cpu(1), "freer", move |passive| {
            machine.raise(passive, |dispatch| freer.free_channel(dispatch, &one).unwrap());
            inside.set();
        });
        let cancelled = second.cancel_adapter_channel(&*passive, &two, DEVICE);
        if cancelled {
            // Registers that were on their way to the one are not the other's.
            let signal = Arc::new(bench.machine.signal(passive, "granted"));
            let next = ready(passive, &second);
            ask(
                bench,
                passive,
                &second,
                &next,
                grants.request(3, 3, Some(&signal)),
            );
            let _ = signal.wait(passive);
            let _ = done.wait(passive);
            assert_eq!(bench.pool.in_use(), 3);
            bench.free(passive, &second, &next);
        } else {
            let _ = done.wait(passive);
            bench.free(passive, &second, &two);
        }
        assert_eq!(grants.order(), [if cancelled { 3 } else { 2 }]);
        // Whatever became of them, the registers are to be had again.
        let again = ready(passive, &second);
        assert!(bench.allocate(passive, &second, &again, 3).is_ok());
        bench.free(passive, &second, &again);
    });
}

/// Proves: A-03, WDM-126, WDM-127.
#[test]
fn a_base_names_one_run_and_never_another() {
    narrow(3, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let mut seen: HashSet<RegisterBase> = HashSet::new();
        let grants = Grants::default();
        for round in 0..10 {
            let context = ready(passive, &adapter);
            let routine = if round % 2 == 0 {
                None
            } else {
                grants.request(round, 0, None).routine
            };
            let request = Allocation {
                device_object: DEVICE,
                registers: 2,
                flags: AllocationFlags::SYNCHRONOUS,
                routine,
            };
            let base = bench.machine.raise(passive, |dispatch| {
                adapter
                    .allocate_channel(dispatch, &context, request)
                    .unwrap()
                    .unwrap()
            });
            if round % 2 == 1 {
                let told = grants.0.lock().unwrap().last().unwrap().1.registers;
                assert_eq!(told, Some(base), "the routine and the caller are told the same");
            }
            assert!(seen.insert(base));
            assert!(adapter.holder(Some(base)).is_some() && adapter.holder(None).is_some());
            bench.free(passive, &adapter, &context);
            assert!(adapter.holder(Some(base)).is_none() && adapter.holder(None).is_none());
        }
    });
}
