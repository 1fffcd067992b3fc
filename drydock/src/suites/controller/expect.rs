//! What each call says in each state, and where it leads: part 9 of the contract with its decided ambiguities, written
//! down from there and not from the table that is checked.

use super::calls::{At, Call};
use longshore_core::NtStatus;
use longshore_wdm::State;

/// What a call says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// Success, or TRUE.
    Yes,
    /// FALSE, or any failure status.
    No,
    /// This status.
    Status(NtStatus),
}

const MISUSE: Said = Said::Status(NtStatus::INVALID_PARAMETER);
const CANCELLED: Said = Said::Status(NtStatus::CANCELLED);
const BUSY: Said = Said::Status(NtStatus::INSUFFICIENT_RESOURCES);

/// What the call must say.
pub(super) fn said(at: At, call: Call) -> Said {
    use At::{Blank, Free, Own, OwnX, Pre, PreX, Ready, ReadyX};
    let unallocated = matches!(at, Ready | ReadyX | Free);
    let cancelled_before = matches!(at, Pre | PreX);
    match call {
        Call::Initialize if at == Blank || unallocated || cancelled_before => Said::Yes,
        Call::Initialize => MISUSE,
        //
        Call::Allocate | Call::AllocateNow | Call::AllocateBusy if cancelled_before => CANCELLED,
        Call::Allocate | Call::AllocateNow if unallocated => Said::Yes,
        Call::AllocateBusy if unallocated => BUSY,
        Call::Allocate | Call::AllocateNow | Call::AllocateBusy => MISUSE,
        Call::OtherQueues => Said::Yes,
        Call::OtherNow if unallocated || cancelled_before || matches!(at, Blank | At::Kept) => Said::Yes,
        Call::OtherNow => BUSY,
        // Before the request it cancels the next one; once the channel is held it is too late.
        Call::CancelAllocation if unallocated || cancelled_before || at.waits() => Said::Yes,
        Call::CancelAllocation => Said::No,
        Call::Configure if at.holds() => Said::Yes,
        Call::Map | Call::MapLoop if at == Own => Said::Yes,
        Call::Map | Call::MapLoop if at == OwnX => CANCELLED,
        // a second one fails with whatever status.
        Call::CancelMapped if matches!(at, Blank | At::Kept) => MISUSE,
        Call::CancelMapped if at.is_marked() => Said::No,
        Call::CancelMapped => Said::Yes,
        // with the channel held a flush succeeds, whatever runs.
        Call::Flush if at.holds() => Said::Yes,
        Call::Free | Call::Deallocate | Call::KeepRegisters if matches!(at, Own | OwnX) => Said::Yes,
        Call::FreeRegisters if at == At::Kept => Said::Yes,
        // Without the channel nothing can be mapped, so there is nothing to flush either.
        Call::Flush if at == At::Kept => Said::Yes,
        Call::Keep | Call::ReadCounter => Said::Yes,
        Call::Put if at != At::Kept && !at.holds() && !at.waits() => Said::Yes,
        _ => MISUSE,
    }
}

/// Where the context is afterwards.
pub(super) fn after(at: At, call: Call) -> State {
    use At::{Free, Pre, PreX, Ready, ReadyX, Wait, WaitX};
    if said(at, call) != Said::Yes {
        return at.state();
    }
    match (call, at) {
        (Call::Initialize, _) => State::Ready,
        (Call::Allocate | Call::AllocateNow, ReadyX) => State::OwnX,
        (Call::Allocate | Call::AllocateNow, _) => State::Own,
        (Call::CancelAllocation, Ready | Free | Pre) => State::Pre,
        (Call::CancelAllocation, ReadyX | PreX) => State::PreX,
        (Call::CancelAllocation, Wait) => State::Ready,
        (Call::CancelAllocation, WaitX) => State::ReadyX,
        (Call::Map, _) => State::Run,
        (Call::MapLoop, _) => State::Loop,
        (Call::CancelMapped, At::Run | At::RunLoop) => State::DoneX,
        (Call::CancelMapped, _) => marked(at.state()),
        // the mark stays.
        (Call::Flush, At::RunX | At::LoopX | At::DoneX | At::OwnX) => State::OwnX,
        (Call::Flush, At::Kept) => State::Kept,
        (Call::Flush, _) => State::Own,
        (Call::KeepRegisters, _) => State::Kept,
        (Call::Free | Call::Deallocate | Call::FreeRegisters, _) => State::Ready,
        _ => at.state(),
    }
}

fn marked(state: State) -> State {
    match state {
        State::Ready => State::ReadyX,
        State::Pre => State::PreX,
        State::Wait => State::WaitX,
        State::Own => State::OwnX,
        State::Done => State::DoneX,
        state => state,
    }
}

/// What the counter reads, of so many mapped bytes of which none was moved where the transfer did not complete.
pub(super) fn counter(at: At, mapped: u32) -> u32 {
    match at {
        At::Run | At::RunLoop | At::RunX | At::LoopX => mapped,
        _ => 0,
    }
}
