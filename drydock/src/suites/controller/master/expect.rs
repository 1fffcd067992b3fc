//! What each call says to a bus master in each state, and where it leads: part 9 of the contract, with what it says of bus
//! masters alone (A-09, WDM-191, WDM-194, WDM-270), written down from there and not from the table that is checked.

use super::super::calls::Call;
use super::super::expect::{BUSY, CANCELLED, MISUSE, Said};
use super::Place;
use longshore_wdm::State;

/// What the call must say.
pub(super) fn said(at: Place, call: Call) -> Said {
    use Place::{Blank, Kept, Loose, Own, Pre, Ready, Wait};
    let unallocated = matches!(at, Ready | Loose);
    match call {
        Call::Initialize if at == Blank || at == Pre || unallocated => Said::Yes,
        //
        Call::Allocate | Call::AllocateNow | Call::AllocateBusy if at == Pre => CANCELLED,
        Call::Allocate | Call::AllocateNow if unallocated => Said::Yes,
        Call::AllocateBusy if unallocated => BUSY,
        Call::OtherNow if at.holds() || at == Wait => BUSY,
        Call::OtherNow => Said::Yes,
        Call::CancelAllocation if matches!(at, Ready | Pre | Wait) => Said::Yes,
        Call::CancelAllocation => Said::No,
        // WDM-210: a system controller's alone; A-09: whatever status, and no change.
        Call::Configure | Call::CancelMapped => Said::No,
        // WDM-270: also without the channel, once it has been given back.
        Call::Map if matches!(at, Own | Kept | Loose) => Said::Yes,
        // one of nothing is as good.
        Call::Flush | Call::FlushForgets if at.is_mapped() || matches!(at, Own | Kept | Loose) => Said::Yes,
        // WDM-190: the last flush comes first.
        Call::Free | Call::Deallocate if at == Own => Said::Yes,
        // WDM-270: the device may still work.
        Call::KeepRegisters if at.holds() => Said::Yes,
        // WDM-194: those that were kept, and after the flush.
        Call::FreeRegisters if at == Kept => Said::Yes,
        Call::Keep | Call::ReadCounter => Said::Yes,
        Call::Put if at == Blank || at == Pre || unallocated => Said::Yes,
        _ => MISUSE,
    }
}

/// Where the context is afterwards.
pub(super) fn after(at: Place, call: Call, registers: bool) -> State {
    use Place::{Done, Kept, KeptDone, Loose, LooseDone, Own, Pre, Ready};
    if said(at, call) != Said::Yes {
        return at.state();
    }
    match (call, at) {
        (Call::CancelAllocation, Ready | Pre) => State::Pre,
        (Call::Initialize | Call::CancelAllocation | Call::FreeRegisters, _) => State::Ready,
        (Call::Free | Call::Deallocate, _) => State::Ready,
        (Call::Allocate | Call::AllocateNow, _) => State::Own,
        (Call::Map, Own) => State::Done,
        (Call::Map, Kept) => State::KeptDone,
        (Call::Map, _) => State::LooseDone,
        (Call::Flush | Call::FlushForgets, Own | Done) => State::Own,
        (Call::Flush | Call::FlushForgets, Kept | KeptDone) => State::Kept,
        (Call::Flush | Call::FlushForgets, Loose | LooseDone) => State::Loose,
        (Call::KeepRegisters, Own) if registers => State::Kept,
        (Call::KeepRegisters, Own) => State::Loose,
        (Call::KeepRegisters, _) if registers => State::KeptDone,
        (Call::KeepRegisters, _) => State::LooseDone,
        _ => at.state(),
    }
}
