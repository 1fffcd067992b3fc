//! The calls of NetDMA.

use super::Flaw;
use super::cursor::{Cursor, Position, Wanted};
use super::engine::Broken;
use super::reports::Reports;
use crate::machine::{Connection, Deferred, Line, Lock, Machine, Memory};
use longshore_core::machine::{Cpu, Deferred as _, Lock as _, Machine as _};
use longshore_core::{AtMostDispatch, Device, Dispatch, Irql, Passive};
use longshore_hardware::netdma::{CompletionWord, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, TransferStatus};
use longshore_hardware::{BusAddress, DmaMemory, Interrupt};
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::state::{Action, Input, State, step};
use longshore_netdma::{ChannelInterface, ProviderChannel};
use std::sync::{Arc, OnceLock};

/// Polls before a call gives up on the engine.
const PATIENCE: u32 = 10_000;

/// What the machine runs for the channel.
struct Parts {
    worker: Deferred,
    report: Deferred,
    /// Held for its drop, which disconnects the handler.
    _connection: Connection,
}

/// The one channel.
pub(super) struct Channel {
    pub(super) flaw: Flaw,
    pub(super) counted: bool,
    pub(super) machine: Machine,
    pub(super) memory: Memory,
    pub(super) cursor: Lock<Cursor>,
    line: Line,
    reports: Lock<Reports>,
    completion: OnceLock<BusAddress>,
    parts: OnceLock<Parts>,
}

impl Channel {
    pub(super) fn build(machine: &Machine, passive: &Passive, counted: bool, flaw: Flaw) -> Arc<Self> {
        let line = machine.line(passive, "sketch", Cpu(0));
        let channel = Arc::new(Self {
            flaw,
            counted,
            machine: machine.clone(),
            memory: machine.device_memory(),
            cursor: machine.lock("cursor", Irql::DISPATCH, Cursor::new()),
            line: line.clone(),
            reports: machine.lock("reports", Irql::HIGH, Reports::default()),
            completion: OnceLock::new(),
            parts: OnceLock::new(),
        });
        // The machine keeps the routines; they must not keep the channel, or it would never go.
        let (worker, report, handler) = (
            Arc::downgrade(&channel),
            Arc::downgrade(&channel),
            Arc::downgrade(&channel),
        );
        let parts = Parts {
            worker: machine.deferred(passive, "engine", machine.engine_cpu(), move |_| {
                if let Some(channel) = worker.upgrade() {
                    channel.work();
                }
            }),
            report: machine.deferred(passive, "report", Cpu(0), move |dispatch| {
                if let Some(channel) = report.upgrade() {
                    channel.report(dispatch);
                }
            }),
            _connection: machine.connect(passive, &line, move |device| {
                handler
                    .upgrade()
                    .is_some_and(|channel| channel.handle_interrupt(device))
            }),
        };
        let _ = channel.parts.set(parts);
        channel
    }

    /// Gives the channel out, once.
    pub(super) fn open(&self, interface: Arc<dyn ChannelInterface>, completion: BusAddress) -> bool {
        let free = self.completion.set(completion).is_ok();
        if free {
            self.reports.with(|reports| reports.interface = Some(interface));
        }
        if self.flaw == Flaw::AllocateWrites {
            let _ = self.store_word(CompletionWord::new(BusAddress::NULL, TransferStatus::HALTED));
        }
        free
    }

    pub(super) fn kick(&self) {
        if let Some(parts) = self.parts.get() {
            parts.worker.queue();
        }
    }

    pub(super) fn store_word(&self, word: CompletionWord) -> Result<(), Broken> {
        match self.completion.get() {
            Some(completion) if !completion.is_null() && self.flaw == Flaw::WordInHalves => {
                let (low, high) = (word.raw() as u32, (word.raw() >> 32) as u32);
                self.memory.write(*completion, &low.to_le_bytes())?;
                let second = completion.checked_add(4).unwrap_or(*completion);
                Ok(self.memory.write(second, &high.to_le_bytes())?)
            }
            Some(completion) if !completion.is_null() => {
                Ok(self.memory.store_u64(*completion, word.raw())?)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn interrupt(&self, last: BusAddress, error: bool) {
        self.reports.with(|reports| reports.add(last, error));
        self.line.raise();
    }

    fn handle_interrupt(&self, device: &Device) -> bool {
        self.line.lower();
        let (interface, last) = self.reports.with(|reports| {
            let raised = std::mem::take(&mut reports.raised);
            (reports.interface.clone().filter(|_| raised), reports.last)
        });
        let (Some(interface), Some(parts)) = (interface, self.parts.get()) else {
            return true;
        };
        if self.flaw == Flaw::TellsNobody {
            return true;
        }
        if self.flaw == Flaw::HandlerLooksAround {
            let _ = self.link(last);
        }
        let cpu = interface.isr(device, last);
        let own = self.flaw == Flaw::ReportsOnItsOwnCpu;
        parts.report.queue_on(if own { Cpu(0) } else { cpu });
        true
    }

    fn report(&self, dispatch: &Dispatch) {
        let (interface, due) = self
            .reports
            .with(|reports| (reports.interface.clone(), reports.take()));
        let Some(interface) = interface else { return };
        for last in due {
            let first = self.flaw == Flaw::NamesTheFirst && !last.is_null();
            let first = first.then(|| self.cursor.with(|cursor| cursor.first));
            interface.interrupt_dpc(dispatch, first.unwrap_or(last));
        }
    }

    /// The right to touch memory, after a bounded wait for the engine.
    fn claim(&self, wanted: Wanted) -> Result<(), Unsuccessful> {
        self.cursor.with(|cursor| cursor.wanted = Some(wanted));
        for look in 0..PATIENCE {
            let claimed = self.cursor.with(|cursor| {
                let free = !cursor.busy;
                cursor.busy = true;
                // What is told now must stay true: the engine obeys no request that was given up.
                if free || look + 1 == PATIENCE {
                    cursor.wanted = None;
                }
                free
            });
            if claimed {
                return Ok(());
            }
            self.machine.relax();
        }
        self.kick();
        Err(Unsuccessful)
    }

    /// Whether the word was ever written, as far as it tells.
    fn was_written(&self) -> bool {
        let completion = self.completion.get();
        let word = completion.map(|at| self.machine.memory().load_u64(*at));
        matches!(word, Some(Ok(word)) if word != 0)
    }

    /// Puts a stop to the table once the engine is quiet, and writes the word that it asks for.
    fn stop(&self, input: Input, wanted: Wanted) -> Result<BusAddress, Unsuccessful> {
        if self.cursor.with(|cursor| step(cursor.state, input).1) == Action::Refuse {
            self.cursor.with(|cursor| cursor.apply(&self.machine, input));
            return Err(Unsuccessful);
        }
        if self.flaw == Flaw::AbortDoesNotWait && wanted == Wanted::Cut {
            self.cursor.with(|cursor| cursor.busy = false);
        }
        self.claim(wanted)?;
        let (action, last) = self.cursor.with(|cursor| {
            let action = cursor.apply(&self.machine, input);
            if wanted == Wanted::Cut && input != Input::Suspend {
                cursor.cut();
            }
            (action, cursor.last)
        });
        let status = match action {
            Action::WriteHalted if self.flaw == Flaw::NoHaltedWord => None,
            Action::WriteHalted if self.flaw == Flaw::HaltedNeedsTheFlag && !self.was_written() => None,
            Action::WriteSuspend if self.flaw == Flaw::SuspendIsSilent => None,
            Action::WriteHalted => Some(TransferStatus::HALTED),
            Action::WriteSuspend => Some(TransferStatus::SUSPEND),
            _ => None,
        };
        if let Some(status) = status {
            // A channel that cannot write its word has stopped all the same.
            let _ = self.store_word(CompletionWord::new(last, status));
        }
        if self.flaw == Flaw::AbortInterrupts && status == Some(TransferStatus::HALTED) {
            self.interrupt(last, false);
        }
        self.cursor.with(|cursor| {
            cursor.busy = false;
            if input == Input::Reset {
                cursor.last = BusAddress::NULL;
            }
        });
        Ok(last)
    }
}

fn is_descriptor(address: BusAddress) -> bool {
    !address.is_null() && address.is_aligned(DESCRIPTOR_ALIGNMENT)
}

impl ProviderChannel for Channel {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        if !is_descriptor(first) || (self.counted && count == 0) {
            return Err(StartError::Unsuccessful);
        }
        self.cursor.with(|cursor| {
            cursor.apply(&self.machine, Input::Start);
            cursor.cut();
            cursor.position = Position::At(first);
            cursor.first = first;
            cursor.count = count;
            if self.flaw != Flaw::StartKeepsTheLast {
                cursor.last = BusAddress::NULL;
            }
        });
        if self.flaw == Flaw::StartSaysArmed {
            let _ = self.store_word(CompletionWord::new(BusAddress::NULL, TransferStatus::ARMED));
        }
        self.kick();
        Ok(())
    }

    fn append(&self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        if self.flaw == Flaw::AppendLooksFirst {
            let _ = self.memory.read(first, &mut [0; DESCRIPTOR_SIZE as usize]);
        }
        if self.flaw == Flaw::AppendReadsTheTail {
            let _ = self.link(self.cursor.with(|cursor| cursor.last));
        }
        let idle = self.cursor.with(|cursor| cursor.state == State::Idle);
        let accepted = self.cursor.with(|cursor| {
            let refused = step(cursor.state, Input::Append).1 == Action::Refuse;
            let lenient = self.flaw == Flaw::AppendAfterAbort && cursor.state == State::Aborted;
            if refused {
                cursor.apply(&self.machine, Input::Append);
            }
            // Only an engine that has run out knows where the next chain must begin.
            let elsewhere = self.counted && idle && count > 0 && cursor.position != Position::At(first);
            if refused || elsewhere || !is_descriptor(first) {
                return lenient;
            }
            if self.flaw == Flaw::AppendIsLost && idle {
                return true;
            }
            if self.counted && count == 0 {
                return true;
            }
            cursor.apply(&self.machine, Input::Append);
            cursor.count += count;
            cursor.appended = true;
            if self.flaw == Flaw::AppendJumps {
                cursor.position = Position::At(first);
            }
            true
        });
        self.kick();
        accepted.then_some(()).ok_or(AppendError::Unsuccessful)
    }

    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        let cuts = self.flaw == Flaw::SuspendCuts;
        self.stop(Input::Suspend, if cuts { Wanted::Cut } else { Wanted::Hold })
    }

    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let resumed = self.cursor.with(|cursor| {
            if cursor.apply(&self.machine, Input::Resume) == Action::Refuse {
                return false;
            }
            if self.counted && cursor.count == 0 {
                cursor.apply(&self.machine, Input::RanDry);
            } else if !cursor.last.is_null() && self.flaw != Flaw::ResumeKeepsWhatItRead {
                cursor.position = Position::Behind(cursor.last);
            }
            true
        });
        self.kick();
        resumed.then_some(()).ok_or(Unsuccessful)
    }

    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.stop(Input::Abort, Wanted::Cut).map(drop)
    }

    fn reset(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.stop(Input::Reset, Wanted::Cut).map(drop)
    }

    fn free(&self, _: AtMostDispatch<'_>) {
        if self.claim(Wanted::Cut).is_ok() {
            self.cursor.with(|cursor| {
                cursor.apply(&self.machine, Input::Free);
                cursor.cut();
                cursor.busy = false;
            });
        }
        self.reports.with(|reports| reports.interface.take());
    }
}
