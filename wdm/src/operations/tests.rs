use super::*;

#[test]
fn the_table_has_every_entry_in_its_place() {
    assert_eq!(Operation::ALL.len(), 39);
    for (place, operation) in (1..).zip(Operation::ALL) {
        assert_eq!(operation.number(), place, "{operation:?}");
    }
    let numbered = [
        (Operation::PutDmaAdapter, 1),
        (Operation::MapTransfer, 8),
        (Operation::PutScatterGatherList, 12),
        (Operation::BuildMdlFromScatterGatherList, 15),
        (Operation::MapTransferEx, 23),
        (Operation::CancelMappedTransfer, 28),
        (Operation::GetDmaDomain, 33),
        (Operation::CreateCommonBufferFromMdl, 39),
    ];
    for (operation, number) in numbered {
        assert_eq!(operation.number(), number, "{}", operation.name());
    }
}

/// Proves: WDM-036.
#[test]
fn each_release_appends_its_entries() {
    let entries = [12, 15, 28, 33, 34, 38, 39];
    let wide = [104, 128, 232, 272, 280, 312, 320];
    for (release, (entries, size)) in Release::ALL.into_iter().zip(entries.into_iter().zip(wide)) {
        assert_eq!(release.entries(), entries, "{release:?}");
        assert_eq!(release.table_size(8), size, "{release:?}");
        assert_eq!(release.table_size(4), size / 2, "{release:?}");
    }
    // Appended: no entry is older than the one before it.
    assert!(Operation::ALL.is_sorted_by_key(|operation| operation.since()));
}

/// Proves: WDM-090.
#[test]
fn each_operation_has_its_level() {
    let with = |rule| {
        let numbers = Operation::ALL
            .iter()
            .filter(move |operation| operation.level() == rule);
        numbers.map(|operation| operation.number())
    };
    assert!(with(LevelRule::Passive).eq([2, 3, 9, 19, 29, 31, 32, 33, 34, 35, 36, 37, 38, 39]));
    assert!(with(LevelRule::Dispatch).eq([4, 6, 7, 11, 12, 14, 20, 25]));
    assert!(with(LevelRule::Any).eq([13]));
    let admitted = |rule: LevelRule| {
        [Irql::PASSIVE, Irql(1), Irql::DISPATCH, Irql::DEVICE].map(|level| rule.admits(level))
    };
    assert_eq!(admitted(LevelRule::Passive), [true, false, false, false]);
    assert_eq!(admitted(LevelRule::AtMostDispatch), [true, true, true, false]);
    assert_eq!(admitted(LevelRule::Dispatch), [false, false, true, false]);
    assert_eq!(admitted(LevelRule::Any), [true; 4]);
}
