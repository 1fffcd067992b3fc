//! The calls of versions 1 and 2, without a context.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{allocate, flush, free, misuses, ready};
use bench::master::{Masters, apart};
use bench::{Bench, DEVICE, explore};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Dispatch, NtStatus, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::{BusRange, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, AdapterControl, AllocateError, DescriptionVersion, DeviceDescription, DeviceObject,
    FlushRequest, Granted, IoAllocationAction, MapError, MapRequest, Mdl, MdlPiece, RegisterBase,
};
use std::sync::{Arc, Mutex};

/// Where the driver thinks its buffer is. It is nobody's address.
const VA: u64 = 0xffff_8000_0000_0000;

/// The bases that a driver's routine was granted, in order.
#[derive(Clone, Default)]
struct Grants(Arc<Mutex<Vec<Granted>>>);

impl Grants {
    /// A routine that saves its base and answers so.
    fn saver(&self, action: IoAllocationAction) -> AdapterControl<Machine> {
        let grants = self.clone();
        Box::new(move |_: &Dispatch, _: &Adapter<Machine>, granted: Granted| {
            grants.0.lock().unwrap().push(granted);
            action
        })
    }

    fn list(&self) -> Vec<DeviceObject> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|granted| granted.device_object)
            .collect()
    }

    fn base(&self) -> Option<RegisterBase> {
        self.0.lock().unwrap()[0].registers
    }
}

/// An adapter of a version 1 driver, for the channel whose line is that of the bench's device.
fn older(bench: &Bench, passive: &Passive, looped: bool) -> Adapter<Machine> {
    let description = DeviceDescription {
        version: DescriptionVersion::V1,
        channel: Bench::description(looped).request_line,
        ..Bench::description(looped)
    };
    bench.system.adapter(passive, description).unwrap()
}

fn ask(
    bench: &Bench,
    passive: &mut Passive,
    adapter: &Adapter<Machine>,
    device: DeviceObject,
    registers: u32,
    grants: &Grants,
) -> Result<(), AllocateError> {
    bench.machine.raise(passive, |dispatch| {
        let routine = grants.saver(IoAllocationAction::KEEP_OBJECT);
        let asked = adapter.allocate_adapter_channel(dispatch, device, registers, routine);
        asked.map_err(|refused| refused.why)
    })
}

fn free_channel(bench: &Bench, passive: &mut Passive, adapter: &Adapter<Machine>) {
    bench.machine.raise(passive, |dispatch| {
        adapter.free_adapter_channel(dispatch).unwrap()
    });
}

fn piece(ranges: &[BusRange], offset: u64, length: u32, write_to_device: bool) -> MdlPiece<'_> {
    MdlPiece {
        mdl: Mdl::new(VA, Segments::new(ranges)),
        current: VA + offset,
        length,
        write_to_device,
    }
}

fn no_misuse(runs: Vec<Run>) {
    for run in runs {
        assert_eq!(misuses(&run), [""; 0]);
    }
}

/// Proves: WDM-230, WDM-233, WDM-234, WDM-265, WDM-266.
#[test]
fn a_request_has_one_channel_and_many_pieces() {
    no_misuse(explore(100, CancelStyle::Honest, true, |bench, passive| {
        let adapter = older(bench, passive, false);
        let (_buffers, ranges) = apart(bench, &[8, 8]);
        let grants = Grants::default();
        bench.port.supply(&(0..16).collect::<Vec<u8>>());
        ask(bench, passive, &adapter, DEVICE, 2, &grants).unwrap();
        // Another device's request waits, and that is a success too.
        let other = DeviceObject(77);
        ask(bench, passive, &adapter, other, 1, &grants).unwrap();
        assert_eq!(grants.list(), [DEVICE]);
        for (offset, length, moved) in [(0, 5, 5), (5, 7, 12), (12, 4, 16)] {
            let piece = piece(&ranges, offset, length, false);
            let run = adapter.map_mdl(&*passive, None, piece).unwrap();
            assert_eq!(run.len(), u64::from(length), "it is never shortened here");
            while bench.port.moved() < moved {
                bench.machine.relax();
            }
            assert!(adapter.flush_mdl(&*passive, None, piece));
            assert_eq!(adapter.read_counter(&*passive), 0);
        }
        assert_eq!(
            grants.list(),
            [DEVICE],
            "the channel was one request's all the time"
        );
        free_channel(bench, passive, &adapter);
        assert_eq!(grants.list(), [DEVICE, other], "once for each request");
        free_channel(bench, passive, &adapter);
        let mut bytes = [0; 16];
        for (range, half) in ranges.iter().zip(bytes.chunks_mut(8)) {
            bench.machine.memory().read(range.start(), half).unwrap();
        }
        assert!(bytes.iter().copied().eq(0..16));
        adapter.put(&*passive).unwrap();
    }));
}

/// Proves: WDM-230, WDM-231.
#[test]
fn a_device_has_one_request_that_waits_and_makes_none_inside_of_its_routine() {
    let runs = explore(30, CancelStyle::Honest, true, |bench, passive| {
        let adapter = older(bench, passive, false);
        let grants = Grants::default();
        let too_many = adapter.map_registers() + 1;
        let refused = ask(bench, passive, &adapter, DEVICE, too_many, &grants).unwrap_err();
        assert_eq!(refused.status(), NtStatus::INSUFFICIENT_RESOURCES);
        let (inside, saved) = (adapter.clone(), grants.clone());
        bench.machine.raise(passive, |dispatch| {
            let nested = move |dispatch: &Dispatch, _: &Adapter<Machine>, granted: Granted| {
                let again = saved.saver(IoAllocationAction::KEEP_OBJECT);
                let refused = inside.allocate_adapter_channel(dispatch, granted.device_object, 1, again);
                let why = refused.unwrap_err().why;
                assert_eq!(why, AllocateError::Refused(Refusal::OneAtATime));
                IoAllocationAction::KEEP_OBJECT
            };
            adapter
                .allocate_adapter_channel(dispatch, DEVICE, 1, Box::new(nested))
                .unwrap();
        });
        // The channel is held, and the device's next request waits; but not two of them.
        ask(bench, passive, &adapter, DEVICE, 1, &grants).unwrap();
        let refused = ask(bench, passive, &adapter, DEVICE, 1, &grants).unwrap_err();
        assert_eq!(refused, AllocateError::Refused(Refusal::OneAtATime));
        assert_eq!(refused.status(), NtStatus::INVALID_PARAMETER);
        free_channel(bench, passive, &adapter);
        assert_eq!(grants.list(), [DEVICE]);
        free_channel(bench, passive, &adapter);
        assert_eq!(grants.list(), [DEVICE], "what was refused never comes");
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-122", "WDM-231", "WDM-231"]);
    }
}

/// Proves: A-34, WDM-246, WDM-247, WDM-248, WDM-175.
#[test]
fn requests_with_and_without_a_context_do_not_mix() {
    let runs = explore(60, CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let buffer = bench.buffer(8);
        let ranges = [buffer.range()];
        let whole = piece(&ranges, 0, 8, true);
        // With a context: not MapTransfer, but FlushAdapterBuffers, after a cancel too, and FreeAdapterChannel.
        let context = ready(passive, &adapter);
        allocate(bench, passive, &adapter, &context).unwrap();
        let mixed = adapter.map_mdl(&*passive, None, whole).unwrap_err();
        assert_eq!(mixed, MapError::Refused(Refusal::OtherKind));
        assert_eq!(mixed.status(), NtStatus::INVALID_PARAMETER);
        let request = || MapRequest::new(Segments::new(&ranges), 8, true);
        for cancels in [false, true] {
            adapter.map_transfer(&*passive, &context, request()).unwrap();
            if cancels {
                adapter.cancel_mapped(&*passive, &context).unwrap();
            } else {
                while adapter.poll(&*passive, &context).outcome.is_none() {
                    bench.machine.relax();
                }
            }
            assert!(adapter.flush_mdl(&*passive, None, whole));
        }
        free_channel(bench, passive, &adapter);
        // Without one: not MapTransferEx and no cancel, but either flush.
        ask(bench, passive, &adapter, DEVICE, 1, &Grants::default()).unwrap();
        let context = adapter.holder(None).unwrap();
        let mixed = adapter.map_transfer(&*passive, &context, request()).unwrap_err();
        assert_eq!(mixed, MapError::Refused(Refusal::OtherKind));
        let moved = bench.port.moved();
        adapter.map_mdl(&*passive, None, whole).unwrap();
        let cancelled = adapter.cancel_mapped(&*passive, &context);
        assert_eq!(cancelled, Err(Refusal::OtherKind));
        assert!(!adapter.cancel_adapter_channel(&*passive, &context, DEVICE));
        while bench.port.moved() < moved + 8 {
            bench.machine.relax();
        }
        flush(&adapter, &*passive, &context, buffer.range(), 8, true);
        free(bench, passive, &adapter, &context);
    });
    for run in runs {
        assert_eq!(misuses(&run), ["A-34"; 4]);
    }
}

/// Proves: A-34, WDM-246.
#[test]
fn a_base_of_either_kind_is_freed_by_its_number() {
    no_misuse(explore(30, CancelStyle::Honest, true, |bench, passive| {
        let masters = Masters::new(bench, passive);
        let adapter = masters.adapter(passive);
        let (_buffers, ranges) = apart(bench, &[64]);
        let context = ready(passive, &adapter);
        let keep = IoAllocationAction::DEALLOCATE_OBJECT_KEEP_REGISTERS;
        for older in [false, true] {
            let grants = Grants::default();
            let base = bench.machine.raise(passive, |dispatch| {
                let routine = grants.saver(keep);
                if older {
                    adapter
                        .allocate_adapter_channel(dispatch, DEVICE, 2, routine)
                        .unwrap();
                } else {
                    let request = longshore_wdm::Allocation {
                        device_object: DEVICE,
                        registers: 2,
                        flags: longshore_wdm::AllocationFlags::ASYNCHRONOUS,
                        routine: Some(routine),
                    };
                    adapter.allocate_channel(dispatch, &context, request).unwrap();
                }
                grants.base().unwrap()
            });
            assert!(adapter.holder(None).is_none(), "the channel is free");
            if older {
                let whole = piece(&ranges, 0, 64, true);
                let run = adapter.map_mdl(&*passive, Some(base), whole).unwrap();
                assert_eq!(run, ranges[0]);
                assert!(adapter.flush_mdl(&*passive, Some(base), whole));
            }
            assert_eq!(masters.pool.in_use(), 2);
            bench.machine.raise(passive, |dispatch| {
                adapter.free_map_registers(dispatch, base, 2).unwrap();
            });
            assert_eq!(masters.pool.in_use(), 0);
        }
    }));
}

/// Proves: WDM-233, WDM-261.
#[test]
fn a_bus_master_maps_run_by_run_or_all_as_one() {
    no_misuse(explore(30, CancelStyle::Honest, true, |bench, passive| {
        let masters = Masters::new(bench, passive);
        for lists in [true, false] {
            let description = DeviceDescription {
                version: DescriptionVersion::V1,
                dma_32bit_addresses: true,
                scatter_gather: lists,
                ..Masters::description()
            };
            let adapter = masters.platform.adapter(passive, description).unwrap();
            let (_buffers, ranges) = apart(bench, &[64, 32]);
            let memory = bench.machine.memory();
            memory.write(ranges[0].start(), &[1; 64]).unwrap();
            memory.write(ranges[1].start(), &[2; 32]).unwrap();
            let grants = Grants::default();
            ask(bench, passive, &adapter, DEVICE, 2, &grants).unwrap();
            let base = grants.base();
            let device = bench.machine.device_memory();
            if lists {
                // Each run where it is, and the length says how much it was.
                for (offset, range) in [(0, ranges[0]), (64, ranges[1])] {
                    let wanted = piece(&ranges, offset, 96 - offset as u32, true);
                    let run = adapter.map_mdl(&*passive, base, wanted).unwrap();
                    assert_eq!(run, range);
                    let mapped = piece(&ranges, offset, run.len() as u32, true);
                    assert!(adapter.flush_mdl(&*passive, base, mapped));
                }
            } else {
                // The map registers make one run of it.
                let whole = piece(&ranges, 0, 96, true);
                let run = adapter.map_mdl(&*passive, base, whole).unwrap();
                assert_eq!(run.len(), 96);
                let mut bytes = [0; 96];
                device.read(run.start(), &mut bytes).unwrap();
                assert_eq!((&bytes[..64], &bytes[64..]), (&[1; 64][..], &[2; 32][..]));
                assert!(adapter.flush_mdl(&*passive, base, whole));
            }
            free_channel(bench, passive, &adapter);
            assert_eq!(masters.pool.in_use(), 0);
        }
    }));
}

/// Proves: WDM-234, WDM-272.
#[test]
fn a_flush_repeats_its_map() {
    let runs = explore(30, CancelStyle::Honest, true, |bench, passive| {
        let adapter = older(bench, passive, false);
        let buffer = bench.buffer(8);
        let ranges = [buffer.range()];
        let odd = piece(&ranges, 1, 3, false);
        assert!(!adapter.flush_mdl(&*passive, None, odd), "nothing is allocated");
        ask(bench, passive, &adapter, DEVICE, 1, &Grants::default()).unwrap();
        bench.port.supply(&[9; 3]);
        adapter.map_mdl(&*passive, None, odd).unwrap();
        while bench.port.moved() < 3 {
            bench.machine.relax();
        }
        assert!(!adapter.flush_mdl(&*passive, None, piece(&ranges, 2, 3, false)));
        assert!(!adapter.flush_mdl(&*passive, None, piece(&ranges, 1, 3, true)));
        let behind = MdlPiece {
            current: VA + 8,
            ..odd
        };
        assert!(!adapter.flush_mdl(&*passive, None, behind));
        // Before the flush neither the next piece nor the end of the request.
        let next = adapter.map_mdl(&*passive, None, odd);
        assert_eq!(next, Err(MapError::Refused(Refusal::NotFlushed)));
        bench.machine.raise(passive, |dispatch| {
            assert_eq!(adapter.free_adapter_channel(dispatch), Err(Refusal::StillMapped));
        });
        assert!(adapter.flush_mdl(&*passive, None, odd));
        let mut bytes = [0; 8];
        bench.machine.memory().read(buffer.address(), &mut bytes).unwrap();
        assert_eq!(bytes, [0, 9, 9, 9, 0, 0, 0, 0]);
        free_channel(bench, passive, &adapter);
    });
    for run in runs {
        let expected = ["WDM-162", "WDM-170", "WDM-170", "WDM-170", "WDM-158", "WDM-190"];
        assert_eq!(misuses(&run), expected);
    }
}

/// Proves: WDM-220, WDM-268, WDM-269.
#[test]
fn a_loop_over_a_common_buffer_is_mapped_once_and_read_as_it_goes() {
    const LAP: u64 = 16;
    no_misuse(explore(60, CancelStyle::Honest, true, |bench, passive| {
        let adapter = older(bench, passive, true);
        let common = adapter.allocate_common_buffer(passive, LAP as u32, true).unwrap();
        let ranges = [common.range()];
        let supplied: Vec<u8> = (0..5 * LAP as u8).collect();
        bench.port.supply(&supplied);
        ask(bench, passive, &adapter, DEVICE, 1, &Grants::default()).unwrap();
        let whole = piece(&ranges, 0, LAP as u32, false);
        adapter.map_mdl(&*passive, None, whole).unwrap();
        // The driver copies while the device goes round, and may do so: at the end it sees the last lap.
        let mut bytes = [0; LAP as usize];
        while bench.port.moved() < 5 * LAP {
            let left = adapter.read_counter(&*passive);
            assert!((0..=LAP as u32).contains(&left));
            bench.machine.memory().read(common.address(), &mut bytes).unwrap();
            bench.machine.relax();
        }
        bench.machine.memory().read(common.address(), &mut bytes).unwrap();
        assert_eq!(bytes, supplied[4 * LAP as usize..]);
        // Nothing but the flush ends it.
        assert!(adapter.flush_mdl(&*passive, None, whole));
        free_channel(bench, passive, &adapter);
        drop(common);
        adapter.put(&*passive).unwrap();
    }));
}

/// Proves: WDM-278.
#[test]
fn a_cancel_of_both_kinds_is_complete_at_every_point() {
    bench::strike_everywhere(CancelStyle::Honest, true, |bench, passive| {
        let adapter = bench.adapter(passive, false);
        let context = Arc::new(ready(passive, &adapter));
        let buffer = bench.buffer(8);
        let (told, signal) = (
            bench::driver::Told::default(),
            Arc::new(bench.machine.signal(passive, "told")),
        );
        // What the cancel answered: whether the allocation was taken back, else whether the transfer was stopped.
        let answer = Arc::new(Mutex::new(None));
        {
            let (adapter, context, answer) = (adapter.clone(), Arc::clone(&context), Arc::clone(&answer));
            bench.machine.arm(move |dispatch| {
                let taken_back = adapter.cancel_adapter_channel(dispatch, &context, DEVICE);
                let stopped = !taken_back && adapter.cancel_mapped(dispatch, &context).is_ok();
                *answer.lock().unwrap() = Some((taken_back, stopped));
            });
        }
        let allocated = allocate(bench, passive, &adapter, &context);
        if allocated.is_ok() {
            let ranges = [buffer.range()];
            let request = MapRequest {
                completion: Some(bench::driver::routine(&bench.machine, &told, &signal)),
                context: bench::driver::CONTEXT,
                ..MapRequest::new(Segments::new(&ranges), 8, true)
            };
            let mapped = adapter.map_transfer(&*passive, &context, request);
            if mapped.is_ok() {
                // Whatever happened, the callback ends it.
                let _ = longshore_core::machine::Signal::wait(&*signal, passive);
                let request = FlushRequest {
                    buffer: Segments::new(&ranges),
                    offset: 0,
                    length: 8,
                    write_to_device: true,
                };
                adapter.flush(&*passive, &context, request).unwrap();
                assert_eq!(told.count(), 1);
            } else {
                assert_eq!(mapped, Err(MapError::Refused(Refusal::Cancelled)));
                assert_eq!(answer.lock().unwrap().map(|answer| answer.1), Some(true));
                assert_eq!(told.count(), 0);
            }
            free(bench, passive, &adapter, &context);
        } else {
            assert_eq!(answer.lock().unwrap().map(|answer| answer.0), Some(true));
            assert_eq!(told.count(), 0, "no callback follows");
        }
        bench.machine.disarm();
    });
}
