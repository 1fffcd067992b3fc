//! Which operations an adapter has, by the version its driver asked for.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;

use bench::driver::misuses;
use bench::master::Masters;
use bench::{Bench, expect_clean, one};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::Machine;
use longshore_drydock::reference::CancelStyle;
use longshore_drydock::{Plan, Run};
use longshore_hardware::{BusAddress, BusRange};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, BuildMdlError, CommonBufferError, CommonBufferRequest, DescriptionVersion, InfoError,
    InfoVersion, ListError, ListRequest, Mdl, NotOffered, Operation, TransferContext, TransferQuestion,
};

const VERSIONS: [DescriptionVersion; 4] = [
    DescriptionVersion::V0,
    DescriptionVersion::V1,
    DescriptionVersion::V2,
    DescriptionVersion::V3,
];

fn straight(scenario: impl Fn(&Bench, &mut Passive, &Masters) + Send + Clone + 'static) -> Run {
    let run = one(
        Plan::straight(),
        CancelStyle::Honest,
        true,
        move |bench, passive| {
            let masters = Masters::new(bench, passive);
            scenario(bench, passive, &masters);
        },
    );
    expect_clean(&run);
    run
}

/// Proves: A-01, WDM-032, WDM-036, WDM-249.
#[test]
fn an_adapter_has_the_operations_of_the_version_that_was_asked_for() {
    straight(|_, passive, masters| {
        for (version, entries) in VERSIONS.into_iter().zip([12, 12, 15, 28]) {
            let adapter = masters.older(passive, version);
            let offered = |operation: &&Operation| adapter.offers(**operation).is_ok();
            let numbers = Operation::ALL
                .iter()
                .filter(offered)
                .map(|operation| operation.number());
            assert!(numbers.eq(1..=entries), "{version:?}");
            assert_eq!(adapter.table().entries(), entries as usize);
            // The first word tells nothing; the version is told elsewhere.
            assert_eq!(Adapter::<Machine>::TABLE_VERSION, 1);
            assert_eq!(adapter.description().version, version);
        }
        let unknown = longshore_wdm::DeviceDescription {
            version: DescriptionVersion(4),
            ..Masters::description()
        };
        assert!(masters.platform.adapter(passive, unknown).is_err());
    });
}

/// Proves: WDM-047, WDM-048, WDM-223, WDM-224, WDM-225, WDM-226, WDM-227.
#[test]
fn what_came_later_is_refused_with_a_reason() {
    let run = straight(|_, passive, masters| {
        let adapter = masters.adapter(passive);
        let later = Operation::ALL.iter().filter(|operation| operation.number() > 28);
        let mut count = 0;
        for &operation in later {
            let refused = adapter.admits(operation).unwrap_err();
            assert_eq!(refused, NotOffered::Missing(operation));
            assert_eq!(refused.status(), NtStatus::NOT_SUPPORTED);
            assert!(
                operation.missing().is_some_and(|why| why.len() > 20),
                "{operation:?}"
            );
            assert!(refused.to_string().starts_with(operation.name()));
            count += 1;
        }
        assert_eq!(count, 11);
    });
    // To try is no misuse: Windows has them.
    assert_eq!(misuses(&run), [""; 0]);
}

/// Proves: WDM-249.
#[test]
fn an_older_adapter_refuses_what_is_newer() {
    let run = straight(|bench, passive, masters| {
        let adapter = masters.older(passive, DescriptionVersion::V1);
        let pages = [BusRange::new(BusAddress::new(0x3000), 16).unwrap()];
        let buffer = Segments::new(&pages);
        let question = TransferQuestion {
            buffer,
            offset: 0,
            length: 16,
            write_only: true,
        };
        let version = InfoVersion::VERSION1;
        let info = adapter.info(&*passive, version).unwrap_err();
        assert_eq!(
            info,
            InfoError::NotOffered(NotOffered::LaterVersion(Operation::GetDmaAdapterInfo))
        );
        assert_eq!(info.status(), NtStatus::NOT_SUPPORTED);
        assert!(adapter.transfer_info(&*passive, version, question).is_err());
        let request = CommonBufferRequest::new(64);
        let common = adapter.allocate_common_buffer_ex(passive, request).unwrap_err();
        assert!(matches!(common, CommonBufferError::NotOffered(_)));
        let mut context = TransferContext::new();
        let refused = adapter.initialize_transfer_context(&*passive, &mut context);
        assert_eq!(refused, Err(Refusal::NotOffered));
        assert_eq!(Refusal::NotOffered.status(), NtStatus::NOT_SUPPORTED);
        bench.machine.raise(passive, |dispatch| {
            let request = || ListRequest::new(buffer, 16, true);
            let refused = adapter.get_scatter_gather_list_ex(dispatch, &context, request());
            assert!(matches!(refused.unwrap_err().why, ListError::NotOffered(_)));
            let mdl = Mdl::new(0, buffer);
            let refused = adapter.build_scatter_gather_list(dispatch, mdl, 0, request());
            assert!(matches!(refused.unwrap_err().why, ListError::NotOffered(_)));
            let size = adapter.calculate_scatter_gather_list(Some(mdl), 0, 16);
            assert!(matches!(size, Err(ListError::NotOffered(_))));
        });
        // What the first version has, it has.
        let common = adapter.allocate_common_buffer(passive, 64, true).unwrap();
        drop(common);
        let missing =
            BuildMdlError::NotOffered(NotOffered::LaterVersion(Operation::BuildMdlFromScatterGatherList));
        assert_eq!(missing.status(), NtStatus::NOT_SUPPORTED);
    });
    assert_eq!(misuses(&run), ["WDM-249"; 7]);
}

/// Proves: A-26.
#[test]
fn a_call_at_the_wrong_level_is_refused_and_reported() {
    let run = straight(|bench, passive, masters| {
        let adapter = masters.adapter(passive);
        let exactly = Operation::AllocateAdapterChannelEx;
        let at_most = Operation::MapTransferEx;
        let passively = Operation::AllocateCommonBuffer;
        let any = Operation::CalculateScatterGatherList;
        for operation in [at_most, passively, any] {
            assert_eq!(adapter.admits(operation), Ok(()));
        }
        let refused = adapter.admits(exactly).unwrap_err();
        assert_eq!(refused, NotOffered::WrongLevel(exactly));
        assert_eq!(refused.status(), NtStatus::INVALID_PARAMETER);
        bench.machine.raise(passive, |_| {
            for operation in [exactly, at_most, any] {
                assert_eq!(adapter.admits(operation), Ok(()));
            }
            assert_eq!(adapter.admits(passively), Err(NotOffered::WrongLevel(passively)));
        });
        let line = bench
            .machine
            .line(passive, "level", longshore_core::machine::Cpu(0));
        let (inside, seen) = (adapter.clone(), std::sync::Arc::new(std::sync::Mutex::new(None)));
        let told = std::sync::Arc::clone(&seen);
        let source = line.clone();
        let connection = bench.machine.connect(passive, &line, move |_| {
            longshore_hardware::Interrupt::lower(&source);
            *told.lock().unwrap() = Some((inside.admits(at_most).is_err(), inside.admits(any).is_ok()));
            true
        });
        longshore_hardware::Interrupt::raise(&line);
        while seen.lock().unwrap().is_none() {
            bench.machine.relax();
        }
        assert_eq!(*seen.lock().unwrap(), Some((true, true)));
        drop(connection);
    });
    assert_eq!(misuses(&run), ["WDM-090"; 3]);
}
