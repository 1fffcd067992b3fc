//! Bus masters: their maps have no outcome, and they give their channel back while their device works.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::{flush, flush_all, misuses, ready};
use bench::narrow::{Habits, Narrow, REACH, narrow, narrow_run, request};
use longshore_core::machine::Machine as _;
use longshore_core::{Dispatch, NtStatus, Passive};
use longshore_drydock::Plan;
use longshore_drydock::machine::Machine;
use longshore_hardware::{BusRange, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, Allocation, AllocationFlags, DeviceDescription, IoAllocationAction, MapError, MapRequest,
    RegisterBase, ScatterGather, State, TransferContext,
};
use std::sync::{Arc, Mutex};

fn master(bench: &Narrow, passive: &Passive, width: u32) -> Adapter<Machine> {
    bench.adapter_of(passive, DeviceDescription::bus_master(width))
}

/// Allocates as a packet driver does: its routine keeps the registers, and gives the channel back.
fn keep(
    bench: &Narrow,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    registers: u32,
) -> Option<RegisterBase> {
    let base = Arc::new(Mutex::new(None));
    let inside = Arc::clone(&base);
    let request = Allocation {
        device_object: DEVICE,
        registers,
        flags: AllocationFlags::ASYNCHRONOUS,
        routine: Some(Box::new(move |_: &Dispatch, _: &Adapter<Machine>, granted| {
            *inside.lock().unwrap() = granted.registers;
            IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS
        })),
    };
    bench.machine.raise(passive, |dispatch| {
        let asked = adapter.allocate_channel(dispatch, context, request);
        assert!(asked.is_ok());
    });
    *base.lock().unwrap()
}

/// Maps, and returns the list that the device is to be given.
fn list(
    passive: &Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    request: MapRequest<'_, Machine>,
) -> Result<Vec<BusRange>, MapError> {
    let mut slots = [BusRange::EMPTY; 4];
    let mut list = ScatterGather::new(&mut slots);
    let request = MapRequest {
        list: Some(&mut list),
        ..request
    };
    let mapped = adapter.map_transfer(passive, context, request)?;
    let elements = list.elements().to_vec();
    assert_eq!(
        elements.iter().map(|element| element.len()).sum::<u64>(),
        u64::from(mapped)
    );
    Ok(elements)
}

fn free_registers(
    bench: &Narrow,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    base: RegisterBase,
    count: u32,
) -> Result<(), Refusal> {
    bench.machine.raise(passive, |dispatch| {
        adapter.free_map_registers(dispatch, base, count)
    })
}

/// Proves: RL-07, WDM-080, WDM-129, WDM-191, WDM-194, WDM-270.
#[test]
fn many_transfers_of_a_bus_master_are_under_way_at_once() {
    narrow(10, Habits::default(), |bench, passive| {
        let adapter = master(bench, passive, 16);
        let device = bench.machine.device_memory();
        let contexts = [ready(passive, &adapter), ready(passive, &adapter)];
        let (near, far) = (bench.buffer(16, false, 0x11), bench.buffer(16, true, 0x22));
        let buffers = [[near.range(), far.range()], [far.range(), near.range()]];
        let mut bases = Vec::new();
        // One gives, the other takes; what is out of reach goes through registers, each in its own.
        let bytes = |buffers: [BusRange; 2]| buffers.map(|range| bench.read(range)).concat();
        for context in &contexts {
            bases.push(keep(bench, passive, &adapter, context, 2).unwrap());
            assert_eq!(adapter.poll(&*passive, context).state, State::Kept);
        }
        assert!(adapter.holder(None).is_none(), "nobody holds the channel");
        let give = list(passive, &adapter, &contexts[0], request(&buffers[0], 32, true)).unwrap();
        assert!(give.iter().all(|element| element.end().raw() <= REACH));
        assert_eq!(give[0], near.range(), "in the order of the bytes");
        let mut taken = Vec::new();
        for element in &give {
            let mut part = vec![0; element.len() as usize];
            device.read(element.start(), &mut part).unwrap();
            taken.extend(part);
        }
        assert_eq!(taken, [[0x11; 16], [0x22; 16]].concat());
        assert_eq!(adapter.poll(&*passive, &contexts[0]).state, State::KeptDone);
        let early = free_registers(bench, passive, &adapter, bases[0], 2);
        assert_eq!(early, Err(Refusal::StillMapped), "WDM-194: only after the flush");
        assert_eq!(
            flush_all(&adapter, &*passive, &contexts[0], &buffers[0], 32, true),
            None
        );
        let take = list(passive, &adapter, &contexts[1], request(&buffers[1], 32, false)).unwrap();
        for (element, byte) in take.iter().zip([0x33, 0x44]) {
            device
                .write(element.start(), &vec![byte; element.len() as usize])
                .unwrap();
        }
        flush_all(&adapter, &*passive, &contexts[1], &buffers[1], 32, false);
        assert_eq!(bytes(buffers[1]), [[0x33; 16], [0x44; 16]].concat());
        let wrong = free_registers(bench, passive, &adapter, bases[0], 1);
        assert_eq!(wrong, Err(Refusal::WrongCount));
        for base in bases {
            assert_eq!(free_registers(bench, passive, &adapter, base, 2), Ok(()));
            let again = free_registers(bench, passive, &adapter, base, 2);
            assert_eq!(again, Err(Refusal::NotKept), "a base is good once");
        }
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: A-09, WDM-156, WDM-159, WDM-181, WDM-210.
#[test]
fn what_is_a_system_controller_s_is_refused_to_a_bus_master() {
    let run = narrow_run(Plan::straight(), Habits::default(), |bench, passive| {
        let adapter = master(bench, passive, 32);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(16, false, 0);
        let segments = [buffer.range()];
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let routine = MapRequest {
            completion: Some(Arc::new(|_, _, _, _, _| panic!("nobody calls it"))),
            ..request(&segments, 16, false)
        };
        assert_eq!(
            list(passive, &adapter, &context, routine),
            Err(MapError::NeverCompletes)
        );
        let unlisted = adapter.map_transfer(&*passive, &context, request(&segments, 16, false));
        assert_eq!(unlisted, Err(MapError::NoList));
        let configured = adapter.configure(&*passive, &context, 1, 0);
        assert_eq!(configured, Err(Refusal::NotConfigurable));
        list(passive, &adapter, &context, request(&segments, 16, false)).unwrap();
        let refused = adapter.cancel_mapped(&*passive, &context).unwrap_err();
        assert!(!refused.status().is_success());
        let state = adapter.poll(&*passive, &context);
        assert_eq!(
            (state.state, state.outcome),
            (State::Done, None),
            "and changes nothing"
        );
        assert_eq!(adapter.read_counter(&*passive), 0);
        flush(&adapter, &*passive, &context, buffer.range(), 16, false);
        bench.free(passive, &adapter, &context);
    });
    assert_eq!(misuses(&run), ["WDM-159", "WDM-156", "WDM-210", "WDM-181"]);
}

/// A device that reaches all of memory has a NULL base: nothing to free, and it maps without its channel.
///
/// Proves: RL-06, WDM-132.
#[test]
fn a_bus_master_that_reaches_everything_keeps_nothing() {
    narrow(10, Habits::default(), |bench, passive| {
        let adapter = master(bench, passive, 64);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(16, true, 0);
        let segments = [buffer.range()];
        assert_eq!(keep(bench, passive, &adapter, &context, 2), None);
        assert_eq!(bench.pool.in_use(), 0);
        for _ in 0..2 {
            let elements = list(passive, &adapter, &context, request(&segments, 16, false));
            assert_eq!(elements, Ok(vec![buffer.range()]));
            let adapter = adapter.clone().put(&*passive).unwrap_err().adapter;
            flush(&adapter, &*passive, &context, buffer.range(), 16, false);
        }
        // Used again without a word in between, and then for good.
        assert_eq!(keep(bench, passive, &adapter, &context, 2), None);
        assert_eq!(adapter.poll(&*passive, &context).state, State::Loose);
        let elements = list(passive, &adapter, &context, request(&segments, 16, false));
        assert!(elements.is_ok());
        flush(&adapter, &*passive, &context, buffer.range(), 16, false);
        let busy = ready(passive, &adapter);
        assert_eq!(keep(bench, passive, &adapter, &busy, 0), None);
        assert!(list(passive, &adapter, &busy, request(&segments, 16, false)).is_ok());
        let adapter = adapter.put(&*passive).unwrap_err().adapter;
        flush(&adapter, &*passive, &busy, buffer.range(), 16, false);
        adapter.put(&*passive).unwrap();
    });
}

/// A bus master without scatter/gather gets one element at a time.
///
/// Proves: WDM-053.
#[test]
fn a_device_without_lists_gets_one_element() {
    narrow(1, Habits::default(), |bench, passive| {
        let description = DeviceDescription {
            scatter_gather: false,
            ..DeviceDescription::bus_master(32)
        };
        let adapter = bench.adapter_of(passive, description);
        let context = ready(passive, &adapter);
        let (one, two) = (bench.buffer(16, false, 0), bench.buffer(16, false, 0));
        let segments = [one.range(), two.range()];
        bench.allocate(passive, &adapter, &context, 0).unwrap();
        let elements = list(passive, &adapter, &context, request(&segments, 32, false));
        assert_eq!(elements, Ok(vec![one.range()]));
        flush(&adapter, &*passive, &context, one.range(), 16, false);
        bench.free(passive, &adapter, &context);
    });
}

/// Proves: A-33, WDM-135, WDM-192, WDM-193.
#[test]
fn an_unknown_action_keeps_and_known_ones_do_what_they_say() {
    let run = narrow_run(Plan::straight(), Habits::default(), |bench, passive| {
        let adapter = master(bench, passive, 16);
        let answer = |passive: &mut Passive, context: &TransferContext, action| {
            let request = Allocation {
                device_object: DEVICE,
                registers: 1,
                flags: AllocationFlags::SYNCHRONOUS,
                routine: Some(Box::new(move |_: &Dispatch, _: &Adapter<Machine>, _| action)),
            };
            bench.machine.raise(passive, |dispatch| {
                adapter.allocate_channel(dispatch, context, request).unwrap()
            })
        };
        let context = ready(passive, &adapter);
        for unknown in [0, 4, 77] {
            answer(passive, &context, IoAllocationAction(unknown));
            assert_eq!(
                (bench.pool.in_use(), adapter.poll(&*passive, &context).state),
                (1, State::Own)
            );
            let kept = bench.machine.raise(passive, |dispatch| {
                adapter.free_object(dispatch, &context, IoAllocationAction::KEEP_OBJECT)
            });
            assert_eq!((kept, bench.pool.in_use()), (Ok(()), 1));
            let freed = bench.machine.raise(passive, |dispatch| {
                adapter.free_object(dispatch, &context, IoAllocationAction::DEALLOCATE_OBJECT)
            });
            assert_eq!((freed, bench.pool.in_use()), (Ok(()), 0));
        }
        answer(passive, &context, IoAllocationAction::DEALLOCATE_OBJECT);
        assert_eq!(
            (bench.pool.in_use(), adapter.poll(&*passive, &context).state),
            (0, State::Ready)
        );
        let base = answer(passive, &context, IoAllocationAction::KEEP_OBJECT);
        let freed = bench.machine.raise(passive, |dispatch| {
            let keep = IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS;
            adapter.free_object(dispatch, &context, keep)
        });
        assert_eq!((freed, bench.pool.in_use()), (Ok(()), 1));
        assert_eq!(adapter.poll(&*passive, &context).state, State::Kept);
        assert_eq!(free_registers(bench, passive, &adapter, base.unwrap(), 1), Ok(()));
    });
    assert_eq!(misuses(&run), ["A-33"; 3]);
    assert_eq!(Refusal::NotKept.status(), NtStatus::INVALID_PARAMETER);
}
