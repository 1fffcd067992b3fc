//! What Windows' own verifier stops for: adapters, channels, map registers and what stays out with them.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::DEVICE;
use bench::driver::{flush, ready};
use bench::master::Lists;
use bench::misuse::{expect_stop, keep, map_master, master, returns, snapshot};
use bench::narrow::{Narrow, request};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::Machine;
use longshore_wdm::state::Refusal;
use longshore_wdm::verifier::Code;
use longshore_wdm::{
    Adapter, AdapterError, Allocation, AllocationFlags, DescriptionVersion, DeviceDescription,
    IoAllocationAction, ListRequest, NotOffered, Operation, TransferContext,
};

/// A put that is refused, with the adapter as it was.
fn put_early(
    bench: &Narrow,
    passive: &Passive,
    adapter: Adapter<Machine>,
    context: &TransferContext,
    why: Refusal,
) -> Adapter<Machine> {
    let before = snapshot(bench, passive, &adapter, context);
    let refused = adapter.put(passive).unwrap_err();
    assert_eq!((refused.why, why.status()), (why, NtStatus::INVALID_PARAMETER));
    let adapter = refused.adapter;
    assert_eq!(snapshot(bench, passive, &adapter, context), before);
    adapter
}

/// Proves: WDM-330, WDM-221.
#[test]
fn code_0x03_a_common_buffer_was_freed_that_is_none() {
    let run = expect_stop(
        Code::COMMON_BUFFER_FREED_TWICE,
        "FreeCommonBuffer",
        "WDM-221",
        |bench, passive| {
            let adapter = bench.adapter(passive, 0);
            let buffer = adapter.allocate_common_buffer(passive, 100, true).unwrap();
            let (at, before) = (buffer.address(), bench.machine.allocated());
            let refused = adapter.free_common_buffer(passive, buffer, 101, at, true);
            let buffer = refused.unwrap_err().buffer;
            assert_eq!(bench.machine.allocated(), before);
            adapter
                .free_common_buffer(passive, buffer, 100, at, true)
                .unwrap();
            adapter.put(&*passive).unwrap();
        },
    );
    let statuses = [NtStatus::INVALID_PARAMETER, NtStatus::SUCCESS];
    assert_eq!(returns(&run, "FreeCommonBuffer"), statuses);
}

/// Proves: WDM-330.
#[test]
fn code_0x04_a_channel_was_freed_that_was_not_held() {
    let run = expect_stop(
        Code::CHANNEL_FREED_TWICE,
        "FreeAdapterChannel",
        "WDM-162",
        |bench, passive| {
            let adapter = bench.adapter(passive, 0);
            let context = ready(passive, &adapter);
            bench.allocate(passive, &adapter, &context, 1).unwrap();
            bench.free(passive, &adapter, &context);
            let before = snapshot(bench, passive, &adapter, &context);
            let again = bench
                .machine
                .raise(passive, |dispatch| adapter.free_channel(dispatch, &context));
            assert_eq!(again, Err(Refusal::NotAllocated));
            assert_eq!(snapshot(bench, passive, &adapter, &context), before);
            adapter.put(&*passive).unwrap();
        },
    );
    let statuses = [NtStatus::SUCCESS, NtStatus::INVALID_PARAMETER];
    assert_eq!(returns(&run, "FreeAdapterChannel"), statuses);
}

/// Proves: WDM-330.
#[test]
fn code_0x05_map_registers_were_freed_that_were_not_held() {
    let run = expect_stop(
        Code::REGISTERS_FREED_TWICE,
        "FreeMapRegisters",
        "WDM-194",
        |bench, passive| {
            let adapter = master(bench, passive);
            let context = ready(passive, &adapter);
            let base = keep(bench, passive, &adapter, &context, 2);
            let free = |passive: &mut Passive| {
                bench
                    .machine
                    .raise(passive, |dispatch| adapter.free_map_registers(dispatch, base, 2))
            };
            assert_eq!(free(passive), Ok(()));
            let before = snapshot(bench, passive, &adapter, &context);
            assert_eq!(free(passive), Err(Refusal::NotKept));
            assert_eq!(snapshot(bench, passive, &adapter, &context), before);
            adapter.put(&*passive).unwrap();
        },
    );
    let statuses = [NtStatus::SUCCESS, NtStatus::INVALID_PARAMETER];
    assert_eq!(returns(&run, "FreeMapRegisters"), statuses);
}

/// Proves: WDM-330, WDM-331, WDM-106.
#[test]
fn code_0x07_an_adapter_was_put_with_a_common_buffer_outstanding() {
    let code = Code::COMMON_BUFFERS_OUT;
    expect_stop(code, "PutDmaAdapter", "WDM-106", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = adapter.allocate_common_buffer(passive, 100, true).unwrap();
        let adapter = put_early(bench, passive, adapter, &context, Refusal::CommonBufferOut);
        drop(buffer);
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: WDM-330, WDM-331, WDM-106.
#[test]
fn code_0x08_an_adapter_was_put_with_its_channel_outstanding() {
    let code = Code::CHANNELS_OUT;
    expect_stop(code, "PutDmaAdapter", "WDM-106", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let adapter = put_early(bench, passive, adapter, &context, Refusal::Outstanding);
        bench.free(passive, &adapter, &context);
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: WDM-330, WDM-331, WDM-106.
#[test]
fn code_0x09_an_adapter_was_put_with_map_registers_outstanding() {
    let code = Code::REGISTERS_OUT;
    expect_stop(code, "PutDmaAdapter", "WDM-106", |bench, passive| {
        let adapter = master(bench, passive);
        let context = ready(passive, &adapter);
        let base = keep(bench, passive, &adapter, &context, 3);
        let adapter = put_early(bench, passive, adapter, &context, Refusal::RegistersOut);
        bench.machine.raise(passive, |dispatch| {
            adapter.free_map_registers(dispatch, base, 3).unwrap();
        });
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: WDM-330, WDM-331, WDM-106.
#[test]
fn code_0x0a_an_adapter_was_put_with_a_list_outstanding() {
    let code = Code::LISTS_OUT;
    expect_stop(code, "PutDmaAdapter", "WDM-106", |bench, passive| {
        let adapter = master(bench, passive);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(24, true, 7);
        let segments = [buffer.range()];
        let lists = Lists::default();
        let wanted = ListRequest::new(Segments::new(&segments), 24, true);
        let wanted = wanted.in_turn(DEVICE, lists.keeper(&bench.machine));
        bench.machine.raise(passive, |dispatch| {
            let asked = adapter.get_scatter_gather_list_ex(dispatch, &context, wanted);
            asked.unwrap();
        });
        let adapter = put_early(bench, passive, adapter, &context, Refusal::ListOut);
        bench.machine.raise(passive, |dispatch| {
            adapter
                .put_scatter_gather_list(dispatch, lists.take(), true)
                .unwrap();
        });
        assert_eq!(lists.count(), 0);
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: WDM-330, WDM-115.
#[test]
fn code_0x0b_a_second_channel_was_asked_for() {
    let call = "AllocateAdapterChannelEx";
    let run = expect_stop(Code::SECOND_CHANNEL, call, "WDM-115", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        bench.allocate(passive, &adapter, &context, 1).unwrap();
        let before = snapshot(bench, passive, &adapter, &context);
        let again = bench.allocate(passive, &adapter, &context, 1);
        assert_eq!(again, Err(NtStatus::INVALID_PARAMETER));
        assert_eq!(snapshot(bench, passive, &adapter, &context), before);
        bench.free(passive, &adapter, &context);
        adapter.put(&*passive).unwrap();
    });
    let statuses = [NtStatus::SUCCESS, NtStatus::INVALID_PARAMETER];
    assert_eq!(returns(&run, call), statuses);
}

/// Proves: WDM-330, WDM-231.
#[test]
fn code_0x0b_a_second_channel_was_asked_for_from_inside_of_the_first_one_s_routine() {
    let call = "AllocateAdapterChannel";
    let run = expect_stop(Code::SECOND_CHANNEL, call, "WDM-231", |bench, passive| {
        let description = DeviceDescription {
            version: DescriptionVersion::V1,
            ..DeviceDescription::system(0, 0)
        };
        let adapter = bench.adapter_of(passive, description);
        let routine = Box::new(|dispatch: &_, adapter: &Adapter<Machine>, _| {
            let inner = Box::new(|_: &_, _: &Adapter<Machine>, _| IoAllocationAction::DEALLOCATE_OBJECT);
            let again = adapter.allocate_adapter_channel(dispatch, DEVICE, 1, inner);
            assert_eq!(again.unwrap_err().why.status(), NtStatus::INVALID_PARAMETER);
            IoAllocationAction::DEALLOCATE_OBJECT
        });
        bench.machine.raise(passive, |dispatch| {
            let asked = adapter.allocate_adapter_channel(dispatch, DEVICE, 1, routine);
            asked.unwrap();
        });
        adapter.put(&*passive).unwrap();
    });
    // The inner one returns first.
    let statuses = [NtStatus::INVALID_PARAMETER, NtStatus::SUCCESS];
    assert_eq!(returns(&run, call), statuses);
}

/// Proves: WDM-330, WDM-190.
#[test]
fn code_0x0d_adapter_buffers_were_not_flushed() {
    let call = "FreeAdapterChannel";
    let run = expect_stop(Code::NOT_FLUSHED, call, "WDM-190", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(24, true, 0x55);
        let segments = [buffer.range()];
        bench.allocate(passive, &adapter, &context, 2).unwrap();
        bench.map_and_wait(passive, &adapter, &context, request(&segments, 24, true));
        let before = snapshot(bench, passive, &adapter, &context);
        let early = bench
            .machine
            .raise(passive, |dispatch| adapter.free_channel(dispatch, &context));
        assert_eq!(early, Err(Refusal::StillMapped));
        assert_eq!(snapshot(bench, passive, &adapter, &context), before);
        flush(&adapter, &*passive, &context, buffer.range(), 24, true);
        bench.free(passive, &adapter, &context);
        adapter.put(&*passive).unwrap();
    });
    let statuses = [NtStatus::INVALID_PARAMETER, NtStatus::SUCCESS];
    assert_eq!(returns(&run, call), statuses);
}

/// Proves: WDM-330, WDM-190.
#[test]
fn code_0x0d_adapter_buffers_were_not_flushed_when_a_routine_answered() {
    expect_stop(
        Code::NOT_FLUSHED,
        "AdapterControl",
        "WDM-190",
        |bench, passive| {
            let adapter = bench.adapter(passive, 0);
            let context = ready(passive, &adapter);
            let buffer = bench.buffer(24, true, 0x55);
            let (inside, range) = (context.clone(), buffer.range());
            let wanted = Allocation {
                device_object: DEVICE,
                registers: 2,
                flags: AllocationFlags::SYNCHRONOUS,
                routine: Some(Box::new(move |dispatch, adapter: &Adapter<Machine>, _| {
                    let mapped = adapter.map_transfer(dispatch, &inside, request(&[range], 24, true));
                    assert_eq!(mapped, Ok(24));
                    IoAllocationAction::DEALLOCATE_OBJECT
                })),
            };
            bench.machine.raise(passive, |dispatch| {
                adapter.allocate_channel(dispatch, &context, wanted).unwrap();
            });
            while adapter.poll(&*passive, &context).outcome.is_none() {
                bench.machine.relax();
            }
            assert_eq!(bench.pool.in_use(), 2, "nothing was freed");
            flush(&adapter, &*passive, &context, buffer.range(), 24, true);
            bench.free(passive, &adapter, &context);
            adapter.put(&*passive).unwrap();
        },
    );
}

/// Proves: WDM-330, WDM-194.
#[test]
fn code_0x10_map_registers_were_freed_that_were_still_mapped() {
    let call = "FreeMapRegisters";
    let run = expect_stop(Code::FREED_WHILE_MAPPED, call, "WDM-190", |bench, passive| {
        let adapter = master(bench, passive);
        let context = ready(passive, &adapter);
        let buffer = bench.buffer(24, true, 7);
        let base = keep(bench, passive, &adapter, &context, 2);
        assert_eq!(map_master(passive, &adapter, &context, buffer.range()), Ok(24));
        let free = |passive: &mut Passive| {
            bench
                .machine
                .raise(passive, |dispatch| adapter.free_map_registers(dispatch, base, 2))
        };
        let before = snapshot(bench, passive, &adapter, &context);
        assert_eq!(free(passive), Err(Refusal::StillMapped));
        assert_eq!(snapshot(bench, passive, &adapter, &context), before);
        flush(&adapter, &*passive, &context, buffer.range(), 24, true);
        assert_eq!(free(passive), Ok(()));
        adapter.put(&*passive).unwrap();
    });
    let statuses = [NtStatus::INVALID_PARAMETER, NtStatus::SUCCESS];
    assert_eq!(returns(&run, call), statuses);
}

/// Proves: WDM-330, WDM-090.
#[test]
fn code_0x13_the_caller_ran_at_the_wrong_level() {
    let operation = Operation::FreeMapRegisters;
    let call = operation.name();
    expect_stop(Code::WRONG_LEVEL, call, "WDM-090", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let operation = Operation::FreeMapRegisters;
        let refused = adapter.admits(operation).unwrap_err();
        assert_eq!(refused, NotOffered::WrongLevel(operation));
        assert_eq!(refused.status(), NtStatus::INVALID_PARAMETER);
        bench.machine.raise(passive, |_| {
            assert_eq!(adapter.admits(operation), Ok(()));
        });
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: WDM-330, WDM-122.
#[test]
fn code_0x15_more_map_registers_were_asked_for_than_there_are() {
    let call = "AllocateAdapterChannelEx";
    expect_stop(Code::TOO_MANY_REGISTERS, call, "WDM-122", |bench, passive| {
        let adapter = bench.adapter(passive, 0);
        let context = ready(passive, &adapter);
        let before = snapshot(bench, passive, &adapter, &context);
        let most = adapter.map_registers();
        let asked = bench.allocate(passive, &adapter, &context, most + 1);
        assert_eq!(asked, Err(NtStatus::INSUFFICIENT_RESOURCES));
        assert_eq!(snapshot(bench, passive, &adapter, &context), before);
        adapter.put(&*passive).unwrap();
    });
}

/// Proves: WDM-330, WDM-100.
#[test]
fn code_0x25_there_is_no_such_version_of_the_description() {
    let call = "IoGetDmaAdapter";
    expect_stop(Code::UNKNOWN_VERSION, call, "WDM-100", |bench, passive| {
        let before = bench.machine.allocated();
        let description = DeviceDescription {
            version: DescriptionVersion(4),
            ..DeviceDescription::system(0, 0)
        };
        let refused = bench.platform.adapter(passive, description).unwrap_err();
        assert_eq!(refused, AdapterError::UnknownVersion);
        assert_eq!(refused.status(), NtStatus::NOT_SUPPORTED);
        assert_eq!(bench.machine.allocated(), before);
        bench.adapter(passive, 0).put(&*passive).unwrap();
    });
}
