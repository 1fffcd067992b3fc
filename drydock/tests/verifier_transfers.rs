//! What Windows' own verifier stops for: maps, flushes and the buffers of both.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::{flush, misuses, ready};
use bench::misuse::{expect_stop, expect_stop_without_misuse, returns, snapshot};
use bench::narrow::{Narrow, request};
use longshore_core::completion::Verdict;
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::{Machine, Memory};
use longshore_hardware::{BusRange, Lease};
use longshore_wdm::state::Refusal;
use longshore_wdm::verifier::Code;
use longshore_wdm::{
    Adapter, DescriptionVersion, DeviceDescription, FlushError, FlushRequest, IoAllocationAction, MapError,
    MapRequest, Mdl, MdlPiece, TransferContext,
};

const MAP: &str = "MapTransferEx";
const FLUSH: &str = "FlushAdapterBuffersEx";
const REFUSED_ONCE: [NtStatus; 2] = [NtStatus::INVALID_PARAMETER, NtStatus::SUCCESS];
const REFUSED_LATER: [NtStatus; 2] = [NtStatus::SUCCESS, NtStatus::INVALID_PARAMETER];

/// A channel that is held with two map registers, and a buffer out of the controller's reach.
struct Held {
    adapter: Adapter<Machine>,
    context: TransferContext,
    buffer: Lease<Memory>,
}

const LENGTH: u32 = 24;

impl Held {
    fn new(bench: &Narrow, passive: &mut Passive) -> Self {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        bench.allocate(passive, &adapter, &context, 2).unwrap();
        Self {
            adapter,
            context,
            buffer: bench.buffer(u64::from(LENGTH), true, 0x5a),
        }
    }

    /// A map that is refused and changes nothing.
    fn refuse_map(&self, bench: &Narrow, passive: &Passive, (offset, length): (u64, u32), why: MapError) {
        let before = snapshot(bench, passive, &self.adapter, &self.context);
        let segments = [self.buffer.range()];
        let request = MapRequest {
            offset,
            ..request(&segments, length, true)
        };
        let mapped = self.adapter.map_transfer(passive, &self.context, request);
        assert_eq!((mapped, why.status()), (Err(why), NtStatus::INVALID_PARAMETER));
        assert_eq!(snapshot(bench, passive, &self.adapter, &self.context), before);
    }

    /// Maps and moves the whole buffer.
    fn transfer(&self, bench: &Narrow, passive: &Passive) {
        let segments = [self.buffer.range()];
        let request = request(&segments, LENGTH, true);
        let mapped = bench.map_and_wait(passive, &self.adapter, &self.context, request);
        assert_eq!(mapped, LENGTH);
    }

    fn flush(&self, passive: &Passive, length: u32) -> Option<Verdict> {
        let range = self.buffer.range();
        flush(&self.adapter, passive, &self.context, range, length, true)
    }

    fn end(self, bench: &Narrow, passive: &mut Passive) {
        bench.free(passive, &self.adapter, &self.context);
        self.adapter.put(&*passive).unwrap();
    }

    /// What was refused has spoilt nothing: a whole transfer goes, and everything comes back.
    fn go_on(self, bench: &Narrow, passive: &mut Passive) {
        self.transfer(bench, passive);
        assert_eq!(self.flush(passive, LENGTH), Some(Verdict::Completed));
        assert_eq!(bench.port.taken(), [0x5a; LENGTH as usize]);
        self.end(bench, passive);
    }
}

/// Proves: WDM-330.
#[test]
fn code_0x00_a_flush_reached_beyond_what_was_mapped() {
    // Any number is right to longshore, so the call goes through.
    expect_stop_without_misuse(Code::BEYOND_REGISTERS, FLUSH, "WDM-170", |bench, passive| {
        let held = Held::new(bench, passive);
        held.transfer(bench, passive);
        assert_eq!(held.flush(passive, LENGTH + 1), Some(Verdict::Completed));
        held.end(bench, passive);
    });
}

/// Proves: WDM-330.
#[test]
fn code_0x16_a_buffer_was_flushed_that_is_not_the_mapped_one() {
    let run = expect_stop(Code::NOT_THE_MAPPED_BUFFER, FLUSH, "WDM-170", |bench, passive| {
        let held = Held::new(bench, passive);
        held.transfer(bench, passive);
        let before = snapshot(bench, passive, &held.adapter, &held.context);
        let other = [bench.buffer(24, false, 0).range()];
        let wrong = FlushRequest {
            buffer: Segments::new(&other),
            offset: 0,
            length: LENGTH,
            write_to_device: true,
        };
        let refused = held.adapter.flush(&*passive, &held.context, wrong);
        assert_eq!(refused, Err(FlushError::Mismatch));
        assert_eq!(snapshot(bench, passive, &held.adapter, &held.context), before);
        held.flush(passive, LENGTH);
        held.end(bench, passive);
    });
    assert_eq!(returns(&run, FLUSH), REFUSED_ONCE);
}

/// A request of a version 1 driver, and what it does with its buffer while it holds the channel.
fn older(
    bench: &Narrow,
    passive: &mut Passive,
    misuse: impl FnOnce(&Passive, &Adapter<Machine>, MdlPiece<'_>),
) {
    let description = DeviceDescription {
        version: DescriptionVersion::V1,
        ..DeviceDescription::system(0, 0)
    };
    let adapter = bench.adapter_of(passive, description);
    let buffer = bench.buffer(u64::from(LENGTH), true, 0x5a);
    let segments = [buffer.range()];
    let piece = MdlPiece {
        mdl: Mdl::new(VA, Segments::new(&segments)),
        current: VA,
        length: LENGTH,
        write_to_device: true,
    };
    let routine = Box::new(|_: &_, _: &Adapter<Machine>, _| IoAllocationAction::KEEP_OBJECT);
    bench.machine.raise(passive, |dispatch| {
        let asked = adapter.allocate_adapter_channel(dispatch, DEVICE, 2, routine);
        asked.unwrap();
    });
    misuse(passive, &adapter, piece);
    // Nothing is spoilt.
    let mapped = adapter.map_mdl(&*passive, None, piece).unwrap();
    assert_eq!(mapped.len(), u64::from(LENGTH));
    while adapter.read_counter(&*passive) != 0 {
        bench.machine.relax();
    }
    assert!(adapter.flush_mdl(&*passive, None, piece));
    bench.machine.raise(passive, |dispatch| {
        adapter.free_adapter_channel(dispatch).unwrap();
    });
    adapter.put(&*passive).unwrap();
}

/// Where the driver thinks its buffer is. It is nobody's address.
const VA: u64 = 0xffff_8000_0000_0000;

/// Proves: WDM-330, WDM-234.
#[test]
fn code_0x16_a_buffer_was_flushed_in_a_call_of_version_1_that_is_not_the_mapped_one() {
    let call = "FlushAdapterBuffers";
    let run = expect_stop(Code::NOT_THE_MAPPED_BUFFER, call, "WDM-170", |bench, passive| {
        older(bench, passive, |passive, adapter, piece| {
            adapter.map_mdl(passive, None, piece).unwrap();
            while adapter.read_counter(passive) != 0 {
                bench.machine.relax();
            }
            let wrong = MdlPiece {
                current: VA + 1,
                ..piece
            };
            assert!(!adapter.flush_mdl(passive, None, wrong));
            assert!(adapter.flush_mdl(passive, None, piece));
        });
    });
    let [refused, success] = REFUSED_ONCE;
    assert_eq!(returns(&run, call), [refused, success, success]);
}

/// Proves: WDM-330, WDM-233.
#[test]
fn code_0x1b_the_address_is_not_inside_of_the_mdl() {
    let call = "MapTransfer";
    let run = expect_stop(Code::OUTSIDE_MDL, call, "WDM-233", |bench, passive| {
        older(bench, passive, |passive, adapter, piece| {
            let before = (bench.pool.in_use(), bench.machine.allocated());
            let wrong = MdlPiece {
                current: VA - 1,
                ..piece
            };
            let refused = adapter.map_mdl(passive, None, wrong);
            assert_eq!(refused, Err(MapError::OutsideMdl));
            assert_eq!((bench.pool.in_use(), bench.machine.allocated()), before);
        });
    });
    assert_eq!(returns(&run, call), REFUSED_ONCE);
}

/// Proves: WDM-330, A-15.
#[test]
fn code_0x1d_what_was_mapped_was_mapped_again() {
    let run = expect_stop(Code::MAPPED_TWICE, MAP, "WDM-158", |bench, passive| {
        let held = Held::new(bench, passive);
        held.transfer(bench, passive);
        let why = MapError::Refused(Refusal::NotFlushed);
        held.refuse_map(bench, passive, (0, LENGTH), why);
        held.flush(passive, LENGTH);
        held.end(bench, passive);
    });
    assert_eq!(returns(&run, MAP), REFUSED_LATER);
}

/// Proves: WDM-330, WDM-151.
#[test]
fn code_0x1f_the_buffer_begins_behind_its_mdls() {
    let run = expect_stop(Code::BAD_BUFFER, MAP, "WDM-151", |bench, passive| {
        let held = Held::new(bench, passive);
        held.refuse_map(bench, passive, (u64::from(LENGTH), 1), MapError::BehindBuffer);
        held.go_on(bench, passive);
    });
    assert_eq!(returns(&run, MAP), REFUSED_ONCE);
}

/// Proves: WDM-330, A-17.
#[test]
fn code_0x20_there_was_a_flush_and_nothing_had_been_mapped() {
    // To longshore it is right, and does nothing.
    expect_stop_without_misuse(Code::NEVER_MAPPED, FLUSH, "WDM-158", |bench, passive| {
        let held = Held::new(bench, passive);
        let before = snapshot(bench, passive, &held.adapter, &held.context);
        assert_eq!(held.flush(passive, LENGTH), None);
        assert_eq!(snapshot(bench, passive, &held.adapter, &held.context), before);
        held.go_on(bench, passive);
    });
}

/// Proves: WDM-330.
#[test]
fn code_0x20_there_was_a_flush_and_nothing_had_been_allocated() {
    let run = expect_stop(Code::NEVER_MAPPED, FLUSH, "WDM-162", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(24, false, 0);
        let before = snapshot(bench, passive, &adapter, &context);
        let segments = [buffer.range()];
        let request = FlushRequest {
            buffer: Segments::new(&segments),
            offset: 0,
            length: 24,
            write_to_device: true,
        };
        let refused = adapter.flush(&*passive, &context, request);
        assert_eq!(refused, Err(FlushError::Refused(Refusal::NotAllocated)));
        assert_eq!(snapshot(bench, passive, &adapter, &context), before);
        adapter.put(&*passive).unwrap();
    });
    assert_eq!(returns(&run, FLUSH), [NtStatus::INVALID_PARAMETER]);
}

/// Proves: WDM-330, A-14.
#[test]
fn code_0x21_a_map_had_no_length() {
    let run = expect_stop(Code::ZERO_LENGTH, MAP, "A-14", |bench, passive| {
        let held = Held::new(bench, passive);
        held.refuse_map(bench, passive, (0, 0), MapError::NoBytes);
        held.go_on(bench, passive);
    });
    assert_eq!(returns(&run, MAP), REFUSED_ONCE);
}

/// Proves: WDM-330, WDM-174, A-06.
#[test]
fn code_0x23_a_channel_was_flushed_that_was_neither_complete_nor_cancelled() {
    let run = expect_stop(Code::FLUSHED_WHILE_RUNNING, FLUSH, "WDM-174", |bench, passive| {
        let held = Held::new(bench, passive);
        let segments = [held.buffer.range()];
        // The device has nothing to give.
        let starved = request(&segments, LENGTH, false);
        assert_eq!(
            held.adapter.map_transfer(&*passive, &held.context, starved),
            Ok(LENGTH)
        );
        let range: BusRange = held.buffer.range();
        let verdict = flush(&held.adapter, &*passive, &held.context, range, LENGTH, false);
        assert_eq!(verdict, Some(Verdict::Cancelled));
        assert_eq!(bench.read(range), [0x5a; LENGTH as usize]);
        held.go_on(bench, passive);
    });
    // It is misuse, but it must not be refused: the driver's buffer is its own again.
    assert_eq!(misuses(&run), ["WDM-174"]);
    assert_eq!(returns(&run, FLUSH), [NtStatus::SUCCESS; 2]);
}

/// Proves: WDM-330, WDM-152.
#[test]
fn code_0x24_the_buffer_is_shorter_than_the_length() {
    let run = expect_stop(Code::BUFFER_TOO_SHORT, MAP, "WDM-152", |bench, passive| {
        let held = Held::new(bench, passive);
        held.refuse_map(bench, passive, (0, LENGTH + 1), MapError::OutsideBuffer);
        held.go_on(bench, passive);
    });
    assert_eq!(returns(&run, MAP), REFUSED_ONCE);
}
