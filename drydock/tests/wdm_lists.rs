//! Lists: asking for them, and giving them back.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{allocate, free, misuses, ready};
use bench::master::{Lists, Masters, apart};
use bench::narrow::{Habits, REACH, narrow};
use bench::{Bench, DEVICE, explore};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::{BusRange, DmaMemory};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    AllocateError, AllocationFlags, BuildMdlError, CompletionContext, DescriptionVersion, DeviceDescription,
    InfoVersion, IoAllocationAction, ListBuffer, ListError, ListRequest, Mdl, ScatterGatherList, State,
    TransferQuestion,
};
use std::sync::Arc;

/// Where drivers of versions 1 and 2 think their buffers are.
const VA: u64 = 0xffff_8000_0000_0000;

fn exploring(scenario: impl Fn(&Bench, &mut Passive, &Masters) + Send + Clone + 'static) -> Vec<Run> {
    explore(60, CancelStyle::Honest, true, move |bench, passive| {
        let masters = Masters::new(bench, passive);
        scenario(bench, passive, &masters);
        assert_eq!(masters.pool.in_use(), 0, "every register came back");
    })
}

fn no_misuse(runs: Vec<Run>) {
    for run in runs {
        assert_eq!(misuses(&run), [""; 0]);
    }
}

fn request<'a>(
    bench: &Bench,
    lists: &Lists,
    ranges: &'a [BusRange],
    length: u32,
    write: bool,
) -> ListRequest<'a, Machine> {
    let routine = lists.keeper(&bench.machine);
    ListRequest::new(Segments::new(ranges), length, write).in_turn(DEVICE, routine)
}

fn put(
    bench: &Bench,
    passive: &mut Passive,
    list: ScatterGatherList<Machine>,
    adapter: &longshore_wdm::Adapter<Machine>,
    write: bool,
) {
    bench.machine.raise(passive, |dispatch| {
        adapter.put_scatter_gather_list(dispatch, list, write).unwrap();
    });
}

/// Proves: WDM-178, WDM-195, WDM-196, WDM-200, WDM-205, WDM-207, A-27.
#[test]
fn a_list_keeps_its_registers_until_it_is_put() {
    no_misuse(exploring(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let (buffers, ranges) = apart(bench, &[100, 4096, 50]);
        let context = ready(passive, &adapter);
        let lists = Lists::default();
        bench.machine.raise(passive, |dispatch| {
            let request = ListRequest {
                offset: 40,
                ..request(bench, &lists, &ranges, 4180, false)
            };
            let now = adapter
                .get_scatter_gather_list_ex(dispatch, &context, request)
                .unwrap();
            assert!(now.is_none(), "it went to the routine");
        });
        let list = lists.take();
        let expected: Vec<_> = Segments::new(&ranges).part(40, 4180).collect();
        assert_eq!(list.elements(), expected);
        assert_eq!(masters.pool.in_use(), 3, "though the routine has returned");
        // The channel is free again, for the next list.
        let (other, all) = (ready(passive, &adapter), Lists::default());
        bench.machine.raise(passive, |dispatch| {
            let request = request(bench, &all, &ranges[2..], 50, false);
            adapter
                .get_scatter_gather_list_ex(dispatch, &other, request)
                .unwrap();
        });
        assert_eq!((all.count(), masters.pool.in_use()), (1, 4));
        let device = bench.machine.device_memory();
        device.write(ranges[1].start(), &[9; 16]).unwrap();
        put(bench, passive, list, &adapter, false);
        assert_eq!(masters.pool.in_use(), 1);
        let mut bytes = [0; 16];
        bench
            .machine
            .memory()
            .read(ranges[1].start(), &mut bytes)
            .unwrap();
        assert_eq!(bytes, [9; 16]);
        put(bench, passive, all.take(), &adapter, false);
        adapter.put(&*passive).unwrap();
        drop(buffers);
    }));
}

/// Proves: A-28, WDM-200.
#[test]
fn an_ex_list_of_a_system_channel_is_refused_and_takes_nothing() {
    let runs = exploring(|bench, passive, masters| {
        let system = bench.adapter(passive, false);
        let context = ready(passive, &system);
        let (_buffers, ranges) = apart(bench, &[64]);
        let lists = Lists::default();
        bench.machine.raise(passive, |dispatch| {
            let refused = system
                .get_scatter_gather_list_ex(dispatch, &context, request(bench, &lists, &ranges, 64, true))
                .unwrap_err();
            assert_eq!(refused.why, ListError::SystemAdapter);
            assert_eq!(refused.why.status(), NtStatus::INVALID_PARAMETER);
            assert!(refused.routine.is_some(), "it comes back");
        });
        assert_eq!(system.poll(&*passive, &context).state, State::Ready);
        assert_eq!((lists.count(), masters.pool.in_use()), (0, 0));
        allocate(bench, passive, &system, &context).unwrap();
        free(bench, passive, &system, &context);
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-200"]);
    }
}

/// Proves: WDM-015, WDM-201, WDM-202, WDM-203.
#[test]
fn an_ex_list_is_asked_for_in_one_of_three_ways() {
    let runs = exploring(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let context = ready(passive, &adapter);
        let (_buffers, ranges) = apart(bench, &[64, 64]);
        let lists = Lists::default();
        let ask = |passive: &mut Passive, request: ListRequest<'_, Machine>| {
            bench.machine.raise(passive, |dispatch| {
                let answer = adapter.get_scatter_gather_list_ex(dispatch, &context, request);
                answer.map_err(|refused| refused.why)
            })
        };
        let now = |offset, length| ListRequest {
            offset,
            ..ListRequest::new(Segments::new(&ranges), length, true)
        };
        let completion = Arc::new(|_: &_, _: &_, _, _, _| panic!("nobody calls this"));
        let never = ListRequest {
            completion: Some(completion),
            ..now(0, 128)
        };
        assert_eq!(ask(passive, never).unwrap_err(), ListError::NeverCompletes);
        let for_nobody = ListRequest {
            completion_context: CompletionContext(1),
            ..now(0, 128)
        };
        assert_eq!(ask(passive, for_nobody).unwrap_err(), ListError::NeverCompletes);
        assert_eq!(ListError::NeverCompletes.status(), NtStatus::INVALID_PARAMETER);
        for (offset, length) in [(0, 0), (128, 1), (0, 129), (127, 2), (u64::MAX, 2)] {
            assert_eq!(
                ask(passive, now(offset, length)).unwrap_err(),
                ListError::OutsideBuffer
            );
        }
        // One that may wait, and nobody to be called.
        let nobody = ListRequest {
            flags: AllocationFlags::ASYNCHRONOUS,
            ..now(0, 128)
        };
        let error = ask(passive, nobody).unwrap_err();
        assert_eq!(error, ListError::NotAllocated(AllocateError::NoRoutine));
        assert_eq!(error.status(), NtStatus::INVALID_PARAMETER);
        // Now, as the answer: the list stays with KeepObject, and goes with DeallocateObject.
        let list = ask(passive, now(64, 64)).unwrap().unwrap();
        assert_eq!(list.elements(), [ranges[1]]);
        bench.machine.raise(passive, |dispatch| {
            let kept = adapter.free_list_object(dispatch, list, IoAllocationAction::KEEP_OBJECT);
            let list = kept.unwrap().unwrap();
            assert_eq!(masters.pool.in_use(), 1);
            // Meanwhile another one would have to wait.
            let other = ready_at_dispatch(dispatch, &adapter);
            let busy = adapter
                .get_scatter_gather_list_ex(dispatch, &other, now(0, 64))
                .unwrap_err();
            assert_eq!(
                busy.why,
                ListError::NotAllocated(AllocateError::Refused(Refusal::Busy))
            );
            assert_eq!(busy.why.status(), NtStatus::INSUFFICIENT_RESOURCES);
            let gone = adapter.free_list_object(dispatch, list, IoAllocationAction::DEALLOCATE_OBJECT);
            assert!(gone.unwrap().is_none());
        });
        assert_eq!(masters.pool.in_use(), 0);
        // Now, with a routine.
        let called = ListRequest {
            flags: AllocationFlags::SYNCHRONOUS,
            ..request(bench, &lists, &ranges, 128, true)
        };
        assert!(ask(passive, called).unwrap().is_none());
        put(bench, passive, lists.take(), &adapter, true);
    });
    for run in runs {
        let expected = [
            "WDM-015", "WDM-015", "WDM-201", "WDM-201", "WDM-201", "WDM-201", "WDM-201", "WDM-202",
        ];
        assert_eq!(misuses(&run), expected);
    }
}

fn ready_at_dispatch(
    dispatch: &longshore_core::Dispatch,
    adapter: &longshore_wdm::Adapter<Machine>,
) -> longshore_wdm::TransferContext {
    let mut context = longshore_wdm::TransferContext::new();
    adapter
        .initialize_transfer_context(dispatch, &mut context)
        .unwrap();
    context
}

/// Proves: WDM-203, WDM-204.
#[test]
fn a_built_list_is_in_the_driver_s_memory_and_comes_back_with_it() {
    no_misuse(exploring(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let (_buffers, ranges) = apart(bench, &[64, 4096, 64]);
        let question = TransferQuestion {
            buffer: Segments::new(&ranges),
            offset: 0,
            length: 4224,
            write_only: true,
        };
        let info = adapter
            .transfer_info(&*passive, InfoVersion::VERSION1, question)
            .unwrap();
        let mdl = Mdl::new(VA, Segments::new(&ranges));
        let size = adapter
            .calculate_scatter_gather_list(Some(mdl), VA, 4224)
            .unwrap();
        assert_eq!(
            (size.bytes, size.map_registers),
            (info.list_size, info.map_registers)
        );
        let context = ready(passive, &adapter);
        let small = ListBuffer::with_size(passive, info.list_size - 1);
        let enough = ListBuffer::with_size(passive, info.list_size);
        let place = enough.place();
        bench.machine.raise(passive, |dispatch| {
            let request = |memory| ListRequest {
                memory,
                ..ListRequest::new(Segments::new(&ranges), 4224, true)
            };
            let build = |memory| adapter.build_scatter_gather_list_ex(dispatch, &context, request(memory));
            let refused = build(Some(small)).unwrap_err();
            assert_eq!(refused.why, ListError::TooSmall);
            assert_eq!(refused.why.status(), NtStatus::BUFFER_TOO_SMALL);
            assert!(refused.memory.is_some(), "it comes back");
            assert_eq!(build(None).unwrap_err().why, ListError::NoMemory);
            let list = build(Some(enough)).unwrap().unwrap();
            assert_eq!((list.place(), list.elements()), (place, &ranges[..]));
            let back = adapter
                .put_scatter_gather_list(dispatch, list, true)
                .unwrap()
                .unwrap();
            assert_eq!(back.place(), place);
        });
    }));
}

/// Proves: WDM-205.
#[test]
fn a_waiting_list_can_be_cancelled() {
    no_misuse(exploring(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let (_buffers, ranges) = apart(bench, &[64]);
        let (holder, waiter) = (ready(passive, &adapter), ready(passive, &adapter));
        let lists = Lists::default();
        allocate(bench, passive, &adapter, &holder).unwrap();
        bench.machine.raise(passive, |dispatch| {
            let request = request(bench, &lists, &ranges, 64, true);
            adapter
                .get_scatter_gather_list_ex(dispatch, &waiter, request)
                .unwrap();
        });
        assert_eq!(adapter.poll(&*passive, &waiter).state, State::Wait);
        assert!(adapter.cancel_adapter_channel(&*passive, &waiter, DEVICE));
        free(bench, passive, &adapter, &holder);
        assert_eq!(lists.count(), 0, "its routine never runs");
        adapter.put(&*passive).unwrap();
    }));
}

/// Proves: WDM-236, WDM-237, WDM-239.
#[test]
fn older_lists_serve_bus_masters_one_after_the_other() {
    no_misuse(exploring(|bench, passive, masters| {
        let adapter = masters.older(passive, DescriptionVersion::V2);
        let (_buffers, ranges) = apart(bench, &[64, 4096, 64]);
        let mdl = Mdl::new(VA, Segments::new(&ranges));
        let lists = Lists::default();
        let memory = ListBuffer::with_size(passive, 200);
        let place = memory.place();
        bench.machine.raise(passive, |dispatch| {
            // Eight registers: the fourth list waits for some.
            for (current, length) in [(VA, 4224), (VA, 4224), (VA + 64, 4160)] {
                let request = request(bench, &lists, &[], length, true);
                adapter
                    .get_scatter_gather_list(dispatch, mdl, current, request)
                    .unwrap();
            }
            let request = ListRequest {
                memory: Some(memory),
                ..request(bench, &lists, &[], 2, true)
            };
            adapter
                .build_scatter_gather_list(dispatch, mdl, VA + 63, request)
                .unwrap();
            assert_eq!((lists.count(), masters.pool.in_use()), (3, 8));
            let first = lists.take();
            assert_eq!(first.elements(), ranges);
            let nothing = adapter.put_scatter_gather_list(dispatch, first, true).unwrap();
            assert!(nothing.is_none());
            assert_eq!((lists.count(), masters.pool.in_use()), (3, 7));
            let _second = adapter
                .put_scatter_gather_list(dispatch, lists.take(), true)
                .unwrap();
            let third = lists.take();
            assert_eq!(third.elements(), &ranges[1..]);
            adapter.put_scatter_gather_list(dispatch, third, true).unwrap();
            let built = lists.take();
            let halves = [ranges[0].slice(63, 1).unwrap(), ranges[1].slice(0, 1).unwrap()];
            assert_eq!((built.place(), built.elements()), (place, &halves[..]));
            let back = adapter.put_scatter_gather_list(dispatch, built, true).unwrap();
            assert_eq!(back.unwrap().place(), place);
        });
    }));
}

/// Proves: WDM-236, WDM-237.
#[test]
fn an_older_list_of_a_system_channel_is_its_transfer() {
    no_misuse(exploring(|bench, passive, _| {
        let adapter = bench.adapter(passive, false);
        let (_buffers, ranges) = apart(bench, &[8, 8]);
        let mdl = Mdl::new(VA, Segments::new(&ranges));
        let lists = Lists::default();
        bench.port.supply(&[5; 12]);
        bench.machine.raise(passive, |dispatch| {
            for (current, length) in [(VA + 4, 8), (VA, 4)] {
                let request = request(bench, &lists, &[], length, false);
                adapter
                    .get_scatter_gather_list(dispatch, mdl, current, request)
                    .unwrap();
            }
        });
        // The controller works for the first, and the second waits for the channel.
        assert_eq!(lists.count(), 1);
        for moved in [8, 12] {
            while bench.port.moved() < moved {
                bench.machine.relax();
            }
            put(bench, passive, lists.take(), &adapter, false);
        }
        assert_eq!(lists.count(), 0);
        for (range, expected) in [(ranges[0], [5; 8]), (ranges[1], [5, 5, 5, 5, 0, 0, 0, 0])] {
            let mut bytes = [0; 8];
            bench.machine.memory().read(range.start(), &mut bytes).unwrap();
            assert_eq!(bytes, expected);
        }
        adapter.put(&*passive).unwrap();
    }));
}

/// Proves: WDM-195.
#[test]
fn a_list_that_is_dropped_is_put_and_reported() {
    let runs = exploring(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let (_buffers, ranges) = apart(bench, &[64]);
        let context = ready(passive, &adapter);
        let (passively, at_dispatch) = bench.machine.raise(passive, |dispatch| {
            let request = || ListRequest::new(Segments::new(&ranges), 64, false);
            let list = adapter
                .get_scatter_gather_list_ex(dispatch, &context, request())
                .unwrap();
            drop(list);
            assert_eq!(masters.pool.in_use(), 0);
            let list = adapter
                .get_scatter_gather_list_ex(dispatch, &context, request())
                .unwrap();
            (list, masters.pool.in_use())
        });
        assert_eq!(at_dispatch, 1);
        drop(passively);
        assert_eq!(masters.pool.in_use(), 0);
        // The bytes are the driver's again.
        bench.machine.memory().write(ranges[0].start(), &[1; 64]).unwrap();
        adapter.put(&*passive).unwrap();
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-195", "WDM-195"]);
    }
}

/// Proves: WDM-081.
#[test]
fn a_list_goes_back_where_it_came_from() {
    let runs = exploring(|bench, passive, masters| {
        let (adapter, other) = (masters.adapter(passive), masters.adapter(passive));
        let (_buffers, ranges) = apart(bench, &[64]);
        let context = ready(passive, &adapter);
        bench.machine.raise(passive, |dispatch| {
            let request = ListRequest::new(Segments::new(&ranges), 64, false);
            let list = adapter
                .get_scatter_gather_list_ex(dispatch, &context, request)
                .unwrap()
                .unwrap();
            let list = other
                .put_scatter_gather_list(dispatch, list, false)
                .unwrap_err()
                .list;
            let list = adapter
                .put_scatter_gather_list(dispatch, list, true)
                .unwrap_err()
                .list;
            let action = IoAllocationAction::DEALLOCATE_OBJECT;
            let list = other.free_list_object(dispatch, list, action).unwrap_err().list;
            assert_eq!((list.elements(), masters.pool.in_use()), (&ranges[..], 1));
            adapter.put_scatter_gather_list(dispatch, list, false).unwrap();
        });
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-081"; 3]);
    }
}

/// Proves: WDM-240.
#[test]
fn a_list_becomes_a_buffer_once() {
    let runs = exploring(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let (_buffers, ranges) = apart(bench, &[64, 32]);
        let context = ready(passive, &adapter);
        bench.machine.raise(passive, |dispatch| {
            let whole = Segments::new(&ranges);
            let request = ListRequest::new(whole, 96, false);
            let answer = adapter.get_scatter_gather_list_ex(dispatch, &context, request);
            let mut list = answer.unwrap().unwrap();
            let none = adapter.build_mdl_from_scatter_gather_list(dispatch, &mut list, None);
            assert_eq!(none.unwrap_err().status(), NtStatus::INVALID_PARAMETER);
            let buffer = adapter.build_mdl_from_scatter_gather_list(dispatch, &mut list, Some(whole));
            assert_eq!(buffer.unwrap(), ranges, "what the device uses");
            let twice = adapter.build_mdl_from_scatter_gather_list(dispatch, &mut list, Some(whole));
            assert_eq!(twice.unwrap_err(), BuildMdlError::Twice);
            assert_eq!(BuildMdlError::Twice.status(), NtStatus::NONE_MAPPED);
            adapter.put_scatter_gather_list(dispatch, list, false).unwrap();
        });
    });
    for run in runs {
        assert_eq!(misuses(&run), ["WDM-240", "WDM-240"]);
    }
}

/// Proves: WDM-238.
#[test]
fn the_size_of_a_list_is_known_before() {
    no_misuse(exploring(|bench, passive, masters| {
        let adapter = masters.older(passive, DescriptionVersion::V2);
        let buffer = bench.page(4096 * 2);
        let (_buffers, mut ranges) = apart(bench, &[64]);
        ranges.insert(0, buffer.range());
        let mdl = Mdl::new(VA, Segments::new(&ranges));
        let size = |mdl, current, length| {
            let size = adapter.calculate_scatter_gather_list(mdl, current, length);
            size.map(|size| ((size.bytes - 48) / 24, size.map_registers))
        };
        // The buffer's first two pages follow each other: two elements for three pages.
        assert_eq!(size(Some(mdl), VA, 4096 * 2 + 64), Ok((2, 3)));
        assert_eq!(size(Some(mdl), VA + 4096 * 2, 64), Ok((1, 1)));
        // Of no buffer, each page may lie elsewhere.
        assert_eq!(size(None, VA, 4096 * 2), Ok((2, 2)));
        assert_eq!(size(None, VA + 1, 4096 * 2), Ok((3, 3)));
        assert_eq!(
            size(Some(mdl), VA, 4096 * 2 + 65).unwrap_err().status(),
            NtStatus::BUFFER_TOO_SMALL
        );
        assert_eq!(
            size(Some(mdl), VA - 1, 1).unwrap_err().status(),
            NtStatus::BUFFER_TOO_SMALL
        );
        assert_eq!(adapter.map_registers(), 5);
        assert_eq!(size(None, VA, 5 * 4096), Ok((5, 5)));
        let too_many = size(None, VA + 1, 5 * 4096).unwrap_err();
        assert_eq!(too_many.status(), NtStatus::INSUFFICIENT_RESOURCES);
        let lists = Lists::default();
        bench.machine.raise(passive, |dispatch| {
            let request = || request(bench, &lists, &[], 4096 * 2 + 65, true);
            let refused = adapter
                .get_scatter_gather_list(dispatch, mdl, VA, request())
                .unwrap_err();
            assert_eq!(refused.why.status(), NtStatus::BUFFER_TOO_SMALL);
            let seven: Vec<_> = (0..7)
                .map(|page| ranges[0].slice(page * 64, 32).unwrap())
                .collect();
            let mdl = Mdl::new(VA, Segments::new(&seven));
            let request = ListRequest {
                length: 7 * 32,
                ..request()
            };
            let refused = adapter
                .get_scatter_gather_list(dispatch, mdl, VA, request)
                .unwrap_err();
            assert_eq!(refused.why.status(), NtStatus::INSUFFICIENT_RESOURCES);
            assert!(refused.routine.is_some());
        });
        assert_eq!(lists.count(), 0);
    }));
}

/// Where the device does not reach the buffer its list is of map registers, and the put brings the bytes back.
///
/// Proves: WDM-195, WDM-237, WDM-240.
#[test]
fn a_list_out_of_reach_goes_through_its_registers_until_the_put() {
    narrow(20, Habits::default(), |narrow, passive| {
        for scatter_gather in [true, false] {
            let description = DeviceDescription {
                scatter_gather,
                ..DeviceDescription::bus_master(16)
            };
            let adapter = narrow.adapter_of(passive, description);
            let (first, second) = (narrow.buffer(64, false, 1), narrow.buffer(64, true, 2));
            let ranges = [first.range(), second.range()];
            let mdl = Mdl::new(VA, Segments::new(&ranges));
            let lists = Lists::default();
            narrow.machine.raise(passive, |dispatch| {
                let routine = lists.keeper(&narrow.machine);
                let request = ListRequest::new(mdl.buffer, 128, false).in_turn(DEVICE, routine);
                adapter
                    .get_scatter_gather_list(dispatch, mdl, VA, request)
                    .unwrap();
            });
            let mut list = lists.take();
            let elements = list.elements().to_vec();
            assert_eq!(elements.len(), if scatter_gather { 2 } else { 1 });
            assert!(elements.iter().all(|element| element.end().raw() <= REACH));
            assert_eq!(
                elements[0] == ranges[0],
                scatter_gather,
                "what is in reach goes straight"
            );
            let used = adapter.build_mdl_from_scatter_gather_list(&*passive, &mut list, Some(mdl.buffer));
            assert_eq!(used.unwrap(), elements);
            let device = narrow.machine.device_memory();
            for element in &elements {
                let bytes = vec![9; element.len() as usize];
                device.write(element.start(), &bytes).unwrap();
            }
            narrow.machine.raise(passive, |dispatch| {
                adapter.put_scatter_gather_list(dispatch, list, false).unwrap();
            });
            assert_eq!(narrow.read(ranges[0]), [9; 64]);
            assert_eq!(narrow.read(ranges[1]), [9; 64]);
        }
    });
}
