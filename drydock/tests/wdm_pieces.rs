//! What a map takes at a time: registers, fragments, pieces; and that bytes are where they belong on both sides.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::{flush_all, ready};
use bench::narrow::{Habits, Narrow, REACH, REGISTERS, narrow, request};
use longshore_core::Passive;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_drydock::Plan;
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::BusRange;
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, ChannelAttributes, DescriptionVersion, DeviceDescription, InfoVersion, IoAllocationAction,
    MapError, MapRequest, Mdl, MdlPiece, ScatterGather, TransferContext,
};
use std::sync::Arc;

const PAGE: u64 = 4096;

fn pattern(len: u64) -> Vec<u8> {
    (0..len).map(|n| (n ^ (n >> 8)) as u8 | 1).collect()
}

/// An adapter for transfers of so many bytes.
fn adapter_for(bench: &Narrow, passive: &Passive, maximum_length: u32) -> Adapter<Machine> {
    let description = DeviceDescription {
        maximum_length,
        ..DeviceDescription::system(0, 0)
    };
    bench.platform.adapter(passive, description).unwrap()
}

/// Maps, says how many bytes that was and what the controller was told, and takes it back.
fn map_once(
    bench: &Narrow,
    passive: &Passive,
    adapter: &Adapter<Machine>,
    context: &TransferContext,
    request: MapRequest<'_, Machine>,
) -> Result<(u32, Vec<BusRange>), MapError> {
    let (segments, offset) = (request.buffer, request.offset);
    let write_to_device = request.write_to_device;
    let mapped = adapter.map_transfer(passive, context, request)?;
    let fragments = bench.programs().pop().unwrap();
    let moved: u64 = fragments.iter().map(|fragment| fragment.len()).sum();
    assert_eq!(moved, u64::from(mapped));
    adapter.cancel_mapped(passive, context).unwrap();
    let flush = longshore_wdm::FlushRequest {
        buffer: segments,
        offset,
        length: mapped,
        write_to_device,
    };
    adapter.flush(passive, context, flush).unwrap();
    Ok((mapped, fragments))
}

/// The pages that fragments lie in, each once.
fn pages(fragments: &[BusRange]) -> usize {
    let numbers = fragments.iter().flat_map(|fragment| {
        let last = fragment.end().raw() - 1;
        fragment.start().raw() / PAGE..=last / PAGE
    });
    numbers.collect::<std::collections::BTreeSet<_>>().len()
}

/// A request that has all registers of its adapter maps through these, and no more.
///
/// Proves: WDM-160.
#[test]
fn a_map_sets_up_no_more_registers_than_were_reported() {
    narrow(3, Habits::default(), |bench, passive| {
        for (maximum, reported) in [(4096, 2), (8192, 3), (u32::MAX, REGISTERS)] {
            let adapter = adapter_for(bench, passive, maximum);
            assert_eq!(adapter.map_registers(), reported);
            let buffer = bench.buffer(6 * PAGE, true, 7);
            let segments = [buffer.range()];
            for offset in [0, 1, 100, PAGE - 1] {
                let context = ready(passive, &adapter);
                bench.allocate(passive, &adapter, &context, reported).unwrap();
                assert_eq!(bench.pool.in_use(), reported);
                let wanted = MapRequest {
                    offset,
                    ..request(&segments, (6 * PAGE - offset) as u32, false)
                };
                let (mapped, fragments) = map_once(bench, passive, &adapter, &context, wanted).unwrap();
                assert!(pages(&fragments) <= reported as usize && mapped <= maximum);
                assert!(fragments.iter().all(|fragment| fragment.end().raw() <= REACH));
                bench.free(passive, &adapter, &context);
            }
        }
    });
}

/// Proves: WDM-277.
#[test]
fn what_fits_at_any_alignment_is_one_page_less_than_the_registers() {
    narrow(1, Habits::default(), |bench, passive| {
        for (maximum, longest) in [(5000, 5000), (8192, 8192), (u32::MAX, (REGISTERS - 1) * 4096)] {
            let adapter = adapter_for(bench, passive, maximum);
            let registers = adapter.map_registers();
            assert_eq!(longest, maximum.min((registers - 1) * 4096));
            let buffer = bench.buffer(6 * PAGE, true, 7);
            let segments = [buffer.range()];
            let mut context = ready(passive, &adapter);
            let mut most = |offset, length| {
                adapter
                    .initialize_transfer_context(&*passive, &mut context)
                    .unwrap();
                bench.allocate(passive, &adapter, &context, registers).unwrap();
                let wanted = MapRequest {
                    offset,
                    ..request(&segments, length, false)
                };
                let mapped = map_once(bench, passive, &adapter, &context, wanted).unwrap();
                bench.free(passive, &adapter, &context);
                mapped.0
            };
            for offset in [0, 1, 100, 2048, PAGE - 1] {
                assert_eq!(most(offset, longest), longest, "wherever it lies");
                // More than that may come, but never more than the device takes.
                assert!((longest..=maximum).contains(&most(offset, 5 * 4096)));
            }
        }
    });
    // Elements: not more than the limit, and each of them of whole units.
    let channel = ChannelAttributes {
        minimum_unit: 4,
        ..ChannelAttributes::default()
    };
    narrow(
        1,
        Habits {
            channel,
            ..Habits::default()
        },
        |bench, passive| {
            let adapter = adapter_for(bench, passive, 4096);
            let info = adapter.info(&*passive, InfoVersion::VERSION1).unwrap();
            assert_eq!(info.minimum_transfer_unit, 4);
            let limit = info.scatter_gather_limit as usize;
            let buffer = bench.buffer(2048, false, 7);
            let segments: Vec<BusRange> = (0..limit as u64 + 5)
                .map(|n| buffer.range().slice(n * 16, 8).unwrap())
                .collect();
            let mut map = |length| {
                let context = ready(passive, &adapter);
                bench.allocate(passive, &adapter, &context, 0).unwrap();
                let wanted = request(&segments, length, false);
                let mapped = map_once(bench, passive, &adapter, &context, wanted).unwrap();
                bench.free(passive, &adapter, &context);
                mapped
            };
            let (mapped, fragments) = map(segments.len() as u32 * 8);
            assert_eq!((fragments.len(), mapped as usize), (limit, limit * 8));
            let (mapped, fragments) = map(30);
            assert_eq!(mapped, 28);
            assert!(fragments.iter().all(|fragment| fragment.len() % 4 == 0));
        },
    );
}

/// Proves: WDM-150, WDM-273.
#[test]
fn a_map_readies_memory_and_starts_the_controller_and_a_flush_gives_it_back() {
    narrow(20, Habits::default(), |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let (near, far) = (bench.buffer(8, false, 0), bench.buffer(8, true, 0));
        let segments = [near.range(), far.range()];
        let both = || {
            [near.range(), far.range()]
                .map(|range| bench.read(range))
                .concat()
        };
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        // What the CPU writes up to the map is what the device gets.
        bench.write(near.range(), &[1; 8]);
        bench.write(far.range(), &[2; 8]);
        let mut slots = [BusRange::EMPTY; 4];
        let mut list = ScatterGather::new(&mut slots);
        let wanted = MapRequest {
            list: Some(&mut list),
            ..request(&segments, 16, true)
        };
        assert!(bench.controller.programs.lock().unwrap().is_empty());
        assert_eq!(adapter.map_transfer(&*passive, &context, wanted), Ok(16));
        let programs = bench.programs();
        assert_eq!(
            programs,
            [list.elements().to_vec()],
            "it has started, with this list"
        );
        assert_eq!(list.elements()[0], near.range());
        assert!(list.elements()[1].end().raw() <= REACH, "a map register");
        while adapter.poll(&*passive, &context).outcome.is_none() {
            bench.machine.relax();
        }
        assert_eq!(bench.port.taken(), [[1; 8], [2; 8]].concat());
        flush_all(&adapter, &*passive, &context, &segments, 16, true);
        // What the device writes is what the CPU reads from the flush on.
        bench.port.supply(&pattern(16));
        bench.map_and_wait(passive, &adapter, &context, request(&segments, 16, false));
        assert_eq!(bench.read(far.range()), [2; 8]);
        flush_all(&adapter, &*passive, &context, &segments, 16, false);
        assert_eq!(both(), pattern(16));
        bench.free(passive, &adapter, &context);
    });
}

/// Whatever lies where, the only thing that keeps a well made map from its success is a cancel.
///
/// Proves: WDM-163.
#[test]
fn a_well_made_map_succeeds_or_was_cancelled() {
    bench::strike_everywhere(CancelStyle::Honest, true, |bench, passive| {
        let bench = Narrow::new(&bench.machine, passive, Habits::default());
        let adapter = bench.adapter(passive, 0);
        let (near, far) = (bench.buffer(64, false, 1), bench.buffer(PAGE + 64, true, 2));
        let shapes: [Vec<BusRange>; 4] = [
            vec![near.range()],
            vec![far.range()],
            vec![near.range(), far.range()],
            vec![
                far.range().slice(1, 30).unwrap(),
                near.range().slice(3, 5).unwrap(),
            ],
        ];
        let context = Arc::new(ready(passive, &adapter));
        bench.allocate(passive, &adapter, &context, 3).unwrap();
        let (striker, struck) = (adapter.clone(), Arc::clone(&context));
        bench.machine.arm(move |dispatch| {
            let _ = striker.cancel_mapped(dispatch, &struck);
        });
        let mut cancelled = false;
        for segments in &shapes {
            let length: u64 = segments.iter().map(|range| range.len()).sum();
            for (offset, length) in [(0, length), (length / 2, 1), (length - 1, 1)] {
                let wanted = MapRequest {
                    offset,
                    ..request(segments, length as u32, true)
                };
                match adapter.map_transfer(&*passive, &context, wanted) {
                    Ok(mapped) => {
                        assert!(mapped > 0 && !cancelled);
                        let flush = longshore_wdm::FlushRequest {
                            buffer: Segments::new(segments),
                            offset,
                            length: 0,
                            write_to_device: true,
                        };
                        adapter.flush(&*passive, &context, flush).unwrap();
                    }
                    Err(why) => {
                        assert_eq!(why, MapError::Refused(Refusal::Cancelled));
                        cancelled = true;
                    }
                }
            }
        }
        bench.machine.disarm();
        bench.free(passive, &adapter, &context);
        bench.expect_nothing_held();
    });
}

/// A buffer of three pages out of reach, sent with so many map registers, as a driver of version 1 does.
fn in_pieces(bench: &Narrow, passive: &mut Passive, registers: u32) -> usize {
    const VA: u64 = 0xffff_8000_0000_0000;
    let adapter = bench.adapter_of(
        passive,
        DeviceDescription {
            version: DescriptionVersion::V1,
            ..DeviceDescription::system(0, 0)
        },
    );
    let buffer = bench.buffer(3 * PAGE, true, 0);
    bench.write(buffer.range(), &pattern(3 * PAGE));
    let ranges = [buffer.range()];
    bench.machine.raise(passive, |dispatch| {
        let keep = Box::new(|_: &longshore_core::Dispatch, _: &_, _| IoAllocationAction::KEEP_OBJECT);
        let asked = adapter.allocate_adapter_channel(dispatch, DEVICE, registers, keep);
        assert!(asked.is_ok());
    });
    let base = None;
    let piece = |current, length| MdlPiece {
        mdl: Mdl::new(VA, Segments::new(&ranges)),
        current,
        length,
        write_to_device: true,
    };
    let most = registers * PAGE as u32;
    let too_long = adapter.map_mdl(&*passive, base, piece(VA, most + 1));
    assert!(too_long.is_err(), "it is not for the system to split it");
    let (mut current, mut rest) = (VA, 3 * PAGE as u32);
    while rest > 0 {
        let piece = piece(current, rest.min(most));
        adapter.map_mdl(&*passive, base, piece).unwrap();
        let moved = current - VA + u64::from(piece.length);
        while bench.port.moved() < moved {
            bench.machine.relax();
        }
        assert!(adapter.flush_mdl(&*passive, base, piece));
        current += u64::from(piece.length);
        rest -= piece.length;
    }
    assert!(bench.port.taken() == pattern(3 * PAGE));
    bench.machine.raise(passive, |dispatch| {
        adapter.free_adapter_channel(dispatch).unwrap();
    });
    let programs = bench.programs();
    let longest = programs
        .iter()
        .map(|fragments| fragments.iter().map(|f| f.len()).sum());
    assert_eq!(longest.max(), Some(u64::from(most)));
    programs.len()
}

/// Proves: WDM-264, WDM-267.
#[test]
fn an_older_transfer_is_split_by_its_registers_and_programmed_piece_by_piece() {
    for (registers, pieces) in [(1, 3), (2, 2)] {
        let run = bench::narrow::narrow_run(Plan::straight(), Habits::default(), move |bench, passive| {
            assert_eq!(in_pieces(bench, passive, registers), pieces);
        });
        assert!(run.findings.is_empty());
    }
}

/// What came for a buffer that is no memory is lost, and that is said: the outcome stays what it was, the flush is no
/// success, and the channel comes back.
///
/// Proves: WDM-171, WDM-172.
#[test]
fn bytes_that_cannot_be_brought_back_are_a_finding() {
    use longshore_core::NtStatus;
    use longshore_core::completion::Verdict;
    use longshore_wdm::{FlushError, State};
    let run = bench::one(Plan::straight(), CancelStyle::Honest, true, |bench, passive| {
        let bench = Narrow::new(&bench.machine, passive, Habits::default());
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let nowhere = BusRange::new(longshore_hardware::BusAddress::new(1 << 50), 8).unwrap();
        let there = bench.buffer(8, true, 0);
        let segments = [nowhere, there.range()];
        bench.port.supply(&pattern(16));
        bench.allocate(passive, &adapter, &context, 2).unwrap();
        bench.map_and_wait(passive, &adapter, &context, request(&segments, 16, false));
        let outcome = adapter.poll(&*passive, &context).outcome.unwrap();
        assert_eq!(outcome.verdict, Verdict::Completed);
        let again = longshore_wdm::FlushRequest {
            buffer: Segments::new(&segments),
            offset: 0,
            length: 16,
            write_to_device: false,
        };
        let lost = adapter.flush(&*passive, &context, again).unwrap_err();
        assert_eq!(
            (lost, lost.status()),
            (FlushError::Lost, NtStatus::INVALID_PARAMETER)
        );
        assert_eq!(bench.read(there.range()), pattern(16)[8..], "the rest is there");
        assert_eq!(adapter.poll(&*passive, &context).state, State::Own);
        bench.free(passive, &adapter, &context);
        bench.expect_nothing_held();
    });
    let rules: Vec<_> = run.findings.iter().map(|finding| finding.rule.0).collect();
    assert_eq!(rules, ["WDM-171"], "{:#?}", run.findings);
}
