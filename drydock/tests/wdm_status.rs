//! What the calls return: the documented statuses, and no others.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::{allocate, ready};
use bench::{Bench, DEVICE, explore};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{Event, NtStatus, Passive};
use longshore_drydock::Run;
use longshore_drydock::machine::{Machine, What};
use longshore_drydock::reference::CancelStyle;
use longshore_hardware::{BusAddress, BusRange};
use longshore_wdm::state::{Answer, Input, Refusal, next};
use longshore_wdm::{
    Adapter, AdapterError, AllocateError, Allocation, AllocationFlags, FlushError, FlushRequest,
    IoAllocationAction, ListError, MapError, MapRequest, RegisterError, ScatterGather, State,
    TransferContext,
};

const ALLOCATE: &str = "AllocateAdapterChannelEx";
const MAP: &str = "MapTransferEx";
const FLUSH: &str = "FlushAdapterBuffersEx";
const CANCEL: &str = "CancelMappedTransfer";

/// What the pages say that a call returns.
fn documented(call: &str) -> &'static [NtStatus] {
    match call {
        ALLOCATE => &[
            NtStatus::SUCCESS,
            NtStatus::INVALID_PARAMETER,
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::CANCELLED,
        ],
        MAP => &[
            NtStatus::SUCCESS,
            NtStatus::INVALID_PARAMETER,
            NtStatus::BUFFER_TOO_SMALL,
            NtStatus::INSUFFICIENT_RESOURCES,
            NtStatus::CANCELLED,
        ],
        FLUSH => &[NtStatus::SUCCESS, NtStatus::INVALID_PARAMETER],
        _ => panic!("{call}"),
    }
}

/// What the table refuses these calls with, in any state.
fn refusals(inputs: &[Input]) -> Vec<Refusal> {
    let pairs = inputs
        .iter()
        .flat_map(|input| State::ALL.iter().map(|state| next(*state, *input).1));
    let refused = |answer| match answer {
        Answer::Refuse(refusal) => Some(refusal),
        _ => None,
    };
    pairs.filter_map(refused).collect()
}

/// Every way to refuse an allocation. One that is added does not compile until it is listed here.
fn of_allocation() -> Vec<AllocateError> {
    use AllocateError::{NoRoutine, Refused, TooManyRegisters, UnknownFlags};
    match UnknownFlags {
        UnknownFlags | NoRoutine | TooManyRegisters | Refused(_) => {}
    }
    let inputs = [Input::Allocate, Input::AllocateNow, Input::AllocateBusy];
    let refused = refusals(&inputs).into_iter().map(Refused);
    [UnknownFlags, NoRoutine, TooManyRegisters]
        .into_iter()
        .chain(refused)
        .collect()
}

/// Every way to refuse a map.
fn of_map() -> Vec<MapError> {
    use MapError::*;
    match NoBytes {
        NoBytes | BehindBuffer | OutsideBuffer | OutsideMdl | BadDeviceOffset | BelowUnit | Unreachable
        | NoRoom | NoList | NeverCompletes | NotWhole | NotStarted | Refused(_) => {}
    }
    // Beside the table, a context of the other kind is refused.
    let mut refused = refusals(&[Input::Map, Input::MapLoop, Input::MapMaster]);
    refused.push(Refusal::OtherKind);
    let own = [
        NoBytes,
        BehindBuffer,
        OutsideBuffer,
        OutsideMdl,
        BadDeviceOffset,
        BelowUnit,
        Unreachable,
        NoRoom,
        NoList,
        NeverCompletes,
        NotWhole,
        NotStarted,
    ];
    own.into_iter().chain(refused.into_iter().map(Refused)).collect()
}

/// Every way to refuse a flush.
fn of_flush() -> Vec<FlushError> {
    use FlushError::{Lost, Mismatch, NotQuiet, Refused};
    match Mismatch {
        Mismatch | Lost | NotQuiet | Refused(_) => {}
    }
    let refused = refusals(&[Input::Flush, Input::FlushForgets]);
    [Mismatch, Lost, NotQuiet]
        .into_iter()
        .chain(refused.into_iter().map(Refused))
        .collect()
}

/// The calls of a transfer, well and badly made, whatever became of the one before.
fn everything(bench: &Bench, passive: &mut Passive, adapter: &Adapter<Machine>, context: &TransferContext) {
    let buffer = bench.buffer(8);
    let segments = [buffer.range()];
    for (flags, registers) in [(0, 0), (1, 0), (4, 0), (1, 99)] {
        let request = Allocation {
            device_object: DEVICE,
            registers,
            flags: AllocationFlags(flags),
            routine: None,
        };
        bench.machine.raise(passive, |dispatch| {
            let _ = adapter.allocate_channel(dispatch, context, request);
        });
    }
    let far = [BusRange::new(BusAddress::new(1 << 40), 8).unwrap()];
    for (segments, offset, length) in [(segments, 8, 1), (segments, 0, 9), (segments, 0, 0), (far, 0, 8)] {
        let request = MapRequest {
            offset,
            ..MapRequest::new(Segments::new(&segments), length, true)
        };
        let _ = adapter.map_transfer(&*passive, context, request);
    }
    let mut nothing = ScatterGather::new(&mut []);
    let request = MapRequest {
        list: Some(&mut nothing),
        ..MapRequest::new(Segments::new(&segments), 8, true)
    };
    let _ = adapter.map_transfer(&*passive, context, request);
    let request = MapRequest {
        device_offset: u64::MAX,
        ..MapRequest::new(Segments::new(&segments), 8, true)
    };
    let _ = adapter.map_transfer(&*passive, context, request);
    let whole = || MapRequest::new(Segments::new(&segments), 8, true);
    let _ = adapter.map_transfer(&*passive, context, whole());
    let _ = adapter.map_transfer(&*passive, context, whole());
    for write_to_device in [false, true, true] {
        let request = FlushRequest {
            buffer: Segments::new(&segments),
            offset: 0,
            length: 8,
            write_to_device,
        };
        let _ = adapter.flush(&*passive, context, request);
    }
}

/// A context in each state in turn, and everything that can be called in it.
fn in_every_state(bench: &Bench, passive: &mut Passive) {
    let adapter = bench.adapter(passive, false);
    let blank = TransferContext::new();
    everything(bench, passive, &adapter, &blank);
    let cancelled = ready(passive, &adapter);
    assert!(adapter.cancel_adapter_channel(&*passive, &cancelled, DEVICE));
    everything(bench, passive, &adapter, &cancelled);
    let marked = ready(passive, &adapter);
    adapter.cancel_mapped(&*passive, &marked).unwrap();
    everything(bench, passive, &adapter, &marked);
    let busy = ready(passive, &adapter);
    everything(bench, passive, &adapter, &busy);
    bench.machine.raise(passive, |dispatch| {
        let _ = adapter.free_channel(dispatch, &marked);
    });
    let context = ready(passive, &adapter);
    allocate(bench, passive, &adapter, &context).unwrap();
    everything(bench, passive, &adapter, &context);
    bench.machine.raise(passive, |dispatch| {
        let _ = adapter.free_object(dispatch, &context, IoAllocationAction::DEALLOCATE_OBJECT);
    });
}

/// What a call returned in these runs, each status once, in its order.
fn returned(runs: &[Run], call: &str) -> Vec<NtStatus> {
    let mut statuses: Vec<NtStatus> = Vec::new();
    for step in runs.iter().flat_map(|run| &run.trace) {
        match step.what {
            What::Event(Event::Return(name, status)) if name == call && !statuses.contains(&status) => {
                statuses.push(status);
            }
            _ => {}
        }
    }
    statuses
}

fn expect_documented(call: &str, at_least: usize) {
    let runs = explore(20, CancelStyle::Honest, true, in_every_state);
    let statuses = returned(&runs, call);
    assert!(statuses.len() >= at_least, "{call} returned only {statuses:?}");
    for status in statuses {
        assert!(documented(call).contains(&status), "{call} returned {status}");
    }
}

/// Proves: WDM-121.
#[test]
fn an_allocation_returns_one_of_the_documented_statuses() {
    for error in of_allocation() {
        assert!(documented(ALLOCATE).contains(&error.status()), "{error:?}");
    }
    let cancelled = AllocateError::Refused(Refusal::Cancelled);
    assert!(of_allocation().contains(&cancelled) && cancelled.status() == NtStatus::CANCELLED);
    expect_documented(ALLOCATE, 4);
}

/// Proves: WDM-157.
#[test]
fn a_map_returns_one_of_the_documented_statuses() {
    for error in of_map() {
        assert!(documented(MAP).contains(&error.status()), "{error:?}");
    }
    assert_eq!(MapError::NoRoom.status(), NtStatus::INVALID_PARAMETER);
    expect_documented(MAP, 4);
}

/// Proves: WDM-172.
#[test]
fn a_flush_returns_one_of_the_documented_statuses() {
    for error in of_flush() {
        assert_eq!(error.status(), NtStatus::INVALID_PARAMETER, "{error:?}");
    }
    expect_documented(FLUSH, 2);
}

/// Proves: A-02.
#[test]
fn a_wrong_parameter_is_always_the_same_status() {
    let maps = [
        MapError::NoBytes,
        MapError::BehindBuffer,
        MapError::OutsideBuffer,
        MapError::BadDeviceOffset,
        MapError::BelowUnit,
        MapError::NoRoom,
        MapError::NoList,
        MapError::NeverCompletes,
    ];
    let refusals = [
        Refusal::NotInitialized,
        Refusal::NotUnique,
        Refusal::NotAllocated,
        Refusal::NotFlushed,
        Refusal::StillMapped,
        Refusal::OtherKind,
        Refusal::OneAtATime,
        Refusal::NotConfigurable,
        Refusal::NotKept,
        Refusal::WrongCount,
    ];
    let mut statuses = vec![
        AllocateError::UnknownFlags.status(),
        AllocateError::NoRoutine.status(),
        FlushError::Mismatch.status(),
        FlushError::Lost.status(),
        RegisterError::Channels.status(),
        RegisterError::AddressWidth.status(),
        RegisterError::NoLine.status(),
        RegisterError::Boundary.status(),
        RegisterError::Unit.status(),
        RegisterError::RequestLines.status(),
    ];
    let lists = [
        ListError::SystemAdapter,
        ListError::NeverCompletes,
        ListError::OutsideBuffer,
        ListError::NoMemory,
    ];
    let adapters = [
        AdapterError::ReservedSet,
        AdapterError::BadWidth,
        AdapterError::BadSpeed,
        AdapterError::AddressWidth,
    ];
    statuses.extend(maps.map(MapError::status));
    statuses.extend(lists.map(|error| error.status()));
    statuses.extend(adapters.map(|error| error.status()));
    for refusal in refusals {
        statuses.push(refusal.status());
        statuses.push(AllocateError::Refused(refusal).status());
        statuses.push(MapError::Refused(refusal).status());
        statuses.push(FlushError::Refused(refusal).status());
    }
    assert!(
        statuses
            .iter()
            .all(|status| *status == NtStatus::INVALID_PARAMETER)
    );
    assert_eq!(NtStatus::INVALID_PARAMETER.0, 0xc000_000d);
}

/// Proves: WDM-180.
#[test]
fn a_cancel_succeeds_or_says_why_not() {
    for refusal in refusals(&[Input::CancelMapped, Input::CancelMaster]) {
        assert!(!refusal.status().is_success(), "{refusal:?}");
    }
    let runs = explore(5, CancelStyle::Honest, true, |bench, passive| {
        let (adapter, other) = (bench.adapter(passive, false), bench.adapter(passive, false));
        let context = ready(passive, &adapter);
        allocate(bench, passive, &adapter, &context).unwrap();
        // It is the adapter of the allocation that is asked, and no other.
        let stranger = other.cancel_mapped(&*passive, &context);
        assert_eq!(stranger, Err(Refusal::NotInitialized));
        assert_eq!(adapter.poll(&*passive, &context).state, State::Own);
        assert_eq!(adapter.cancel_mapped(&*passive, &context), Ok(()));
        assert_eq!(adapter.poll(&*passive, &context).state, State::OwnX);
        let again = adapter.cancel_mapped(&*passive, &context);
        assert_eq!(again, Err(Refusal::AlreadyCancelled));
        bench::driver::free(bench, passive, &adapter, &context);
    });
    let expected = [
        NtStatus::INVALID_PARAMETER,
        NtStatus::SUCCESS,
        NtStatus::INVALID_DEVICE_STATE,
    ];
    assert_eq!(returned(&runs, CANCEL), expected);
}
