extern crate std;
use super::*;
use State::{
    Blank, Done, DoneX, Kept, KeptDone, Loop, LoopX, Loose, LooseDone, Own, OwnX, Pre, PreX, Ready, ReadyX,
    Run, RunX, Wait, WaitX,
};
use longshore_core::{NtStatus, Rule};

fn refused(state: State, input: Input) -> Option<Refusal> {
    match next(state, input) {
        (after, Answer::Refuse(refusal)) => {
            assert_eq!(
                after, state,
                "{input:?} in {state:?} was refused and changed something"
            );
            Some(refusal)
        }
        _ => None,
    }
}

fn goes(state: State, input: Input, after: State, answer: Answer) {
    assert_eq!(next(state, input), (after, answer), "{input:?} in {state:?}");
}

#[test]
fn every_pair_is_answered_and_a_refusal_changes_nothing() {
    for &state in State::ALL {
        assert_eq!(State::from_number(state as u8), state);
        for &input in Input::ALL {
            let _ = refused(state, input);
        }
    }
    assert_eq!(State::ALL.len() * Input::ALL.len(), 19 * 24);
}

/// Proves: WDM-158, A-15.
#[test]
fn a_map_needs_a_flush_after_the_last_one() {
    goes(Own, Input::Map, Run, Answer::Accept);
    for state in [Run, RunX, Loop, LoopX, Done, DoneX] {
        let refusal = refused(state, Input::Map).unwrap();
        assert_eq!(refusal, Refusal::NotFlushed);
        assert_eq!(refusal.status(), NtStatus::INVALID_PARAMETER);
        assert_eq!(refusal.broken_rule(), Some(Rule("WDM-158")));
    }
    for state in [Blank, Ready, ReadyX, Pre, PreX, Wait, WaitX] {
        assert_eq!(refused(state, Input::Map), Some(Refusal::NotAllocated));
    }
}

/// Proves: WDM-182, A-10.
#[test]
fn a_cancelled_context_is_not_mapped() {
    for (state, marked) in [(Ready, ReadyX), (Wait, WaitX), (Own, OwnX)] {
        goes(state, Input::CancelMapped, marked, Answer::Accept);
    }
    assert_eq!(refused(OwnX, Input::Map), Some(Refusal::Cancelled));
    assert_eq!(Refusal::Cancelled.status(), NtStatus::CANCELLED);
    goes(ReadyX, Input::AllocateNow, OwnX, Answer::Accept);
    goes(WaitX, Input::Grant, OwnX, Answer::Accept);
}

/// Proves: A-07, R4.
#[test]
fn the_mark_outlives_the_flush_but_not_the_release() {
    goes(Done, Input::CancelMapped, DoneX, Answer::Accept);
    goes(DoneX, Input::Flush, OwnX, Answer::Accept);
    goes(RunX, Input::Flush, OwnX, Answer::Settle);
    goes(OwnX, Input::Free, Ready, Answer::Accept);
    goes(ReadyX, Input::Initialize, Ready, Answer::Accept);
}

/// Proves, RL-05, WDM-187.
#[test]
fn a_second_cancel_fails() {
    goes(Run, Input::CancelMapped, RunX, Answer::Stop);
    goes(Done, Input::CancelMapped, DoneX, Answer::Accept);
    for state in [ReadyX, PreX, WaitX, OwnX, RunX, DoneX] {
        let refusal = refused(state, Input::CancelMapped).unwrap();
        assert!(!refusal.status().is_success());
        assert_eq!(refusal.broken_rule(), None, "two may cancel at once");
    }
}

/// Proves: A-05, WDM-134, WDM-143.
#[test]
fn an_allocation_cancelled_beforehand_fails_until_the_context_is_initialised() {
    goes(Ready, Input::CancelAllocation, Pre, Answer::Accept);
    for input in [Input::Allocate, Input::AllocateNow, Input::AllocateBusy] {
        assert_eq!(refused(Pre, input), Some(Refusal::Cancelled));
        assert_eq!(refused(PreX, input), Some(Refusal::Cancelled));
    }
    goes(Pre, Input::Initialize, Ready, Answer::Accept);
}

/// Proves: WDM-140, WDM-141.
#[test]
fn only_a_waiting_allocation_can_be_cancelled() {
    goes(Wait, Input::CancelAllocation, Ready, Answer::Accept);
    for state in [Own, OwnX, Run, RunX, Loop, LoopX, Done, DoneX, Kept, Loose] {
        assert_eq!(refused(state, Input::CancelAllocation), Some(Refusal::TooLate));
    }
}

/// Proves: WDM-115, WDM-114.
#[test]
fn a_context_serves_one_request_and_only_once_initialised() {
    for input in [Input::Allocate, Input::AllocateNow, Input::AllocateBusy] {
        assert_eq!(refused(Blank, input), Some(Refusal::NotInitialized));
        for state in [Wait, WaitX, Own, OwnX, Run, RunX, Loop, LoopX, Done, DoneX, Kept] {
            assert_eq!(refused(state, input), Some(Refusal::NotUnique));
            assert_eq!(refused(state, Input::Initialize), Some(Refusal::NotUnique));
        }
    }
    assert_eq!(refused(Ready, Input::AllocateBusy), Some(Refusal::Busy));
    assert_eq!(Refusal::Busy.status(), NtStatus::INSUFFICIENT_RESOURCES);
}

#[test]
fn a_flush_of_a_running_transfer_is_misuse_that_works() {
    goes(Run, Input::Flush, Own, Answer::Cut);
    goes(Done, Input::Flush, Own, Answer::Accept);
    goes(Own, Input::Flush, Own, Answer::Nothing);
    goes(OwnX, Input::Flush, OwnX, Answer::Nothing);
    for state in [Blank, Ready, ReadyX, Pre, PreX, Wait, WaitX] {
        assert_eq!(refused(state, Input::Flush), Some(Refusal::NotAllocated));
    }
}

/// Proves: WDM-173, WDM-190.
#[test]
fn a_channel_is_freed_after_the_flush() {
    goes(Own, Input::Free, Ready, Answer::Accept);
    for state in [Run, RunX, Loop, LoopX, Done, DoneX] {
        assert_eq!(refused(state, Input::Free), Some(Refusal::StillMapped));
    }
    for &state in State::ALL {
        goes(state, Input::Keep, state, Answer::Nothing);
    }
}

/// Proves: WDM-106.
#[test]
fn an_adapter_is_put_back_when_nothing_is_under_way() {
    for &state in State::ALL {
        let idle = matches!(state, Blank | Ready | ReadyX | Pre | PreX | Loose);
        assert_eq!(refused(state, Input::Put).is_none(), idle, "{state:?}");
    }
}

#[test]
fn only_the_end_leads_from_running_to_done() {
    goes(Run, Input::Ended, Done, Answer::Accept);
    goes(RunX, Input::Ended, DoneX, Answer::Accept);
    goes(Loop, Input::Ended, Done, Answer::Accept);
    goes(LoopX, Input::Ended, DoneX, Answer::Accept);
    for &state in State::ALL {
        goes(state, Input::Period, state, Answer::Nothing);
        for &input in Input::ALL {
            let (after, _) = next(state, input);
            let ends = matches!(after, Done | DoneX) && !matches!(state, Done | DoneX);
            // A bus master's mapping is done from the beginning, for nobody tells when it is.
            let may_end = matches!(input, Input::Ended | Input::MapMaster);
            assert!(!ends || may_end, "{input:?} in {state:?}");
        }
    }
}

/// Proves: WDM-176.
#[test]
fn where_windows_forgets_the_mark_a_flush_takes_it_away() {
    goes(DoneX, Input::FlushForgets, Own, Answer::Accept);
    goes(RunX, Input::FlushForgets, Own, Answer::Settle);
    goes(OwnX, Input::FlushForgets, Own, Answer::Nothing);
    for &state in State::ALL {
        let (ours, windows) = (next(state, Input::Flush), next(state, Input::FlushForgets));
        assert_eq!(ours.1, windows.1, "{state:?}");
        assert_eq!(ours.0.unmarked(), windows.0.unmarked(), "{state:?}");
        assert_eq!(refused(state, Input::Flush), refused(state, Input::FlushForgets));
    }
}

/// Proves: A-09, WDM-181.
#[test]
fn a_bus_master_s_transfer_is_never_cancelled() {
    for &state in State::ALL {
        let refusal = refused(state, Input::CancelMaster).unwrap();
        assert!(!refusal.status().is_success());
        assert_eq!(refusal.broken_rule(), Some(Rule("WDM-181")));
    }
}

/// Proves: WDM-270, WDM-194.
#[test]
fn kept_registers_are_mapped_and_flushed_without_the_channel_and_freed_after_the_flush() {
    goes(Own, Input::MasterKeeping, Kept, Answer::Accept);
    goes(Done, Input::MasterKeeping, KeptDone, Answer::Accept);
    goes(Kept, Input::MapMaster, KeptDone, Answer::Accept);
    assert_eq!(refused(KeptDone, Input::MapMaster), Some(Refusal::NotFlushed));
    assert_eq!(
        refused(KeptDone, Input::FreeRegisters),
        Some(Refusal::StillMapped)
    );
    goes(KeptDone, Input::Flush, Kept, Answer::Accept);
    goes(Kept, Input::FreeRegisters, Ready, Answer::Accept);
    for &state in State::ALL {
        let kept = matches!(state, Kept | KeptDone);
        assert_eq!(
            refused(state, Input::FreeRegisters) == Some(Refusal::NotKept),
            !kept
        );
    }
}

/// Proves: WDM-132.
#[test]
fn a_bus_master_without_registers_holds_nothing_and_maps_all_the_same() {
    goes(Own, Input::MasterLoose, Loose, Answer::Accept);
    goes(Loose, Input::MapMaster, LooseDone, Answer::Accept);
    goes(LooseDone, Input::Flush, Loose, Answer::Accept);
    assert_eq!(refused(Loose, Input::FreeRegisters), Some(Refusal::NotKept));
    goes(Loose, Input::Initialize, Ready, Answer::Accept);
    goes(Loose, Input::Allocate, Wait, Answer::Accept);
    assert_eq!(refused(LooseDone, Input::Put), Some(Refusal::Outstanding));
}

/// Proves: WDM-191.
#[test]
fn a_subordinate_keeps_registers_only_without_a_mapping_and_cannot_map_there() {
    goes(Own, Input::FreeKeeping, Kept, Answer::Accept);
    goes(OwnX, Input::FreeKeeping, Kept, Answer::Accept);
    for state in [Run, RunX, Loop, LoopX, Done, DoneX] {
        assert_eq!(refused(state, Input::FreeKeeping), Some(Refusal::StillMapped));
    }
    assert_eq!(refused(Kept, Input::Map), Some(Refusal::NotAllocated));
}

/// What a driver calls has an answer in each state, for the calls are made to be safe; what the system itself never does
/// would change nothing.
#[test]
fn what_the_system_never_does_changes_nothing() {
    for &state in State::ALL {
        for input in [Input::Grant, Input::Ended, Input::Period] {
            if cannot_happen(state, input).is_some() {
                goes(state, input, state, Answer::Nothing);
            }
        }
    }
    let impossible = |input: &Input| {
        State::ALL
            .iter()
            .filter(|&&state| cannot_happen(state, *input).is_some())
            .count()
    };
    assert_eq!(
        [Input::Grant, Input::Ended, Input::Period].map(|input| impossible(&input)),
        [17, 15, 17]
    );
    assert_eq!(Input::ALL.iter().map(impossible).sum::<usize>(), 148);
}
