//! The engine of one channel: what the holder of the claim does with it.

use super::book::{Book, Finished, Report, Task};
use super::config::Config;
use super::reports::Reports;
use super::transfer::Transfer;
use alloc::sync::Weak;
use core::sync::atomic::{AtomicU32, Ordering};
use longshore_core::completion::Cause;
use longshore_core::machine::{Cpu, Deferred, Lock};
use longshore_core::{Device, Dispatch, Event, Irql, Machine};
use longshore_hardware::netdma::{CompletionWord, DESCRIPTOR_ALIGNMENT, DESCRIPTOR_SIZE, Descriptor, offset};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Interrupt, MemoryError};

/// What the machine runs for a channel. Kept apart from [`Worker`], which the routines themselves hold: so no
/// routine keeps alive what must be dropped to stop it.
pub(super) struct Parts<M: Machine> {
    pub(super) worker: M::Deferred,
    pub(super) report: M::Deferred,
    /// Held for its drop, which disconnects the handler.
    pub(super) _connection: M::Connection,
}

impl<M: Machine> Parts<M> {
    /// Queues the worker, if the engine is still there.
    pub(super) fn kick(parts: &Weak<Self>) {
        if let Some(parts) = parts.upgrade() {
            parts.worker.queue();
        }
    }
}

const GO_ON: u32 = 0;
const CUT: u32 = 1;

/// One channel's engine.
pub(super) struct Worker<M: Machine> {
    pub(super) machine: M,
    pub(super) config: Config,
    memory: M::Memory,
    line: M::Line,
    command: AtomicU32,
    book: M::Lock<Book>,
    reports: M::Lock<Reports>,
}

impl<M: Machine> Worker<M> {
    pub(super) fn new(machine: &M, config: Config, line: M::Line) -> Self {
        let book = Book::new(config.version.counted());
        Self {
            machine: machine.clone(),
            config,
            memory: machine.device_memory(),
            line,
            command: AtomicU32::new(CUT),
            book: machine.lock("CPU engine channel", Irql::DISPATCH, book),
            // The interrupt handler takes it, at whatever level the machine gives it.
            reports: machine.lock("CPU engine reports", Irql::HIGH, Reports::new()),
        }
    }

    /// Looks at or changes the book, and keeps the command word in step with it.
    pub(super) fn book<R>(&self, section: impl FnOnce(&mut Book) -> R) -> R {
        self.book.with(|book| {
            let result = section(book);
            let command = if book.wants_cut() { CUT } else { GO_ON };
            // Relaxed: the word carries no data. Whoever acts on it takes the lock first.
            if self.command.load(Ordering::Relaxed) != command {
                self.command.store(command, Ordering::Relaxed);
            }
            result
        })
    }

    pub(super) fn reports<R>(&self, section: impl FnOnce(&mut Reports) -> R) -> R {
        self.reports.with(section)
    }

    /// The worker's deferred call. It ends after `budget` steps, so that no chain, however long or looped, keeps
    /// the CPU (AMB-16).
    pub(super) fn run(&self, _: &Dispatch, parts: &Weak<Parts<M>>) {
        for _ in 0..self.config.budget.max(1) {
            let Some(task) = self.book(|book| book.claim(&self.machine)) else {
                return;
            };
            self.perform(task);
            if !self.book(Book::release) {
                return;
            }
            self.machine.point();
        }
        Parts::kick(parts);
    }

    /// One step towards a stop, on the stack of a caller that runs at DISPATCH.
    pub(super) fn serve_stop(&self, parts: &Weak<Parts<M>>) {
        let Some(task) = self.book(|book| book.claim_stop(&self.machine)) else {
            return;
        };
        self.perform(task);
        // The worker may have come by in the meantime and found the claim taken.
        if self.book(Book::release) {
            Parts::kick(parts);
        }
    }

    fn perform(&self, task: Task) {
        match task {
            Task::Fetch { address, run } => match self.fetch(address, run) {
                Ok(transfer) => self.copy(transfer),
                Err(cause) => self.fail_to_read(run, address, cause),
            },
            Task::Relink { tail, run } => match self.link(tail) {
                Ok(link) => self.book(|book| book.relinked(&self.machine, run, link)),
                Err(cause) => self.fail_to_read(run, tail, cause),
            },
            Task::Copy(transfer) => self.copy(transfer),
            Task::Stopped(word) => {
                // An engine that cannot write its word has stopped all the same.
                let _ = self.write_word(word);
            }
        }
    }

    /// Reads a descriptor once, whole, before any of it is used.
    fn fetch(&self, address: BusAddress, run: u32) -> Result<Transfer, Cause> {
        let sound = !address.is_null() && address.is_aligned(DESCRIPTOR_ALIGNMENT);
        if !sound || BusRange::new(address, DESCRIPTOR_SIZE).is_none() {
            return Err(Cause::PROGRAM);
        }
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        self.memory.read(address, &mut bytes).map_err(|_| Cause::BUS)?;
        Transfer::new(address, run, &Descriptor::parse(&bytes), self.config.version)
    }

    /// Reads only the link of a descriptor, fresh and in one access: NetDMA may be writing it (NETDMA-079).
    fn link(&self, descriptor: BusAddress) -> Result<BusAddress, Cause> {
        let at = descriptor.checked_add(offset::NEXT).ok_or(Cause::PROGRAM)?;
        let link = self.memory.load_u64(at).map_err(|_| Cause::BUS)?;
        Ok(BusAddress::new(link))
    }

    fn copy(&self, mut transfer: Transfer) {
        while let Some(piece) = transfer.next_piece(self.config.piece) {
            if self.command.load(Ordering::Relaxed) == CUT {
                return self.book(|book| book.pause(transfer));
            }
            if self.memory.copy(piece.to, piece.from, piece.len).is_err() {
                return self.fail(transfer.address, Cause::BUS);
            }
            transfer.advance(piece.len);
            self.machine.point();
        }
        self.complete(&transfer);
    }

    fn complete(&self, transfer: &Transfer) {
        let (mut link, mut linked_again) = (transfer.link, false);
        loop {
            let finished = self.book(|book| book.complete(&self.machine, transfer, link, linked_again));
            match finished {
                Finished::Report(report) => return self.tell(report, transfer.address),
                // At most once a descriptor, so that a caller who never stops appending holds nobody up.
                Finished::LinkAgain => linked_again = true,
            }
            match self.link(transfer.address) {
                Ok(fresh) => link = fresh,
                Err(cause) => return self.fail(transfer.address, cause),
            }
        }
    }

    /// Data, then the word, then the interrupt (NETDMA-086).
    fn tell(&self, report: Report, address: BusAddress) {
        if self.write_word(report.word).is_err() {
            return self.fail(address, Cause::BUS);
        }
        self.interrupt(report);
    }

    fn fail(&self, address: BusAddress, cause: Cause) {
        let report = self.book(|book| book.fail(&self.machine, address, cause));
        self.tell_error(report);
    }

    fn fail_to_read(&self, run: u32, address: BusAddress, cause: Cause) {
        let report = self.book(|book| book.fail_to_read(&self.machine, run, address, cause));
        self.tell_error(report);
    }

    fn tell_error(&self, report: Report) {
        // Where even this word cannot be written, the interrupt alone has to do.
        let _ = self.write_word(report.word);
        self.interrupt(report);
    }

    fn write_word(&self, word: Option<CompletionWord>) -> Result<(), MemoryError> {
        let Some(word) = word else {
            return Ok(());
        };
        let completion = self.book(|book| book.completion());
        if completion.is_null() {
            return Ok(()); // freed in the meantime
        }
        self.memory.store_u64(completion, word.raw())
    }

    fn interrupt(&self, report: Report) {
        if report.interrupt {
            self.reports(|reports| reports.raise(report.last, report.error));
            self.line.raise();
        }
    }

    /// The interrupt handler: no more than NetDMA's routine and a deferred call (NETDMA-103).
    pub(super) fn handle_interrupt(&self, device: &Device, parts: &Weak<Parts<M>>) -> bool {
        // Lowered first: what is raised from here on interrupts again.
        self.line.lower();
        let Some((interface, last)) = self.reports(|reports| reports.enter_handler()) else {
            return true; // the line is this channel's alone; what it was raised for is told already
        };
        self.machine.emit(Event::Callback("NetDmaIsr", last.raw()));
        let cpu = interface.isr(device, last);
        drop(interface);
        self.reports(|reports| reports.leave(None));
        if let Some(parts) = parts.upgrade() {
            parts.report.queue_on(self.existing(cpu));
        }
        true
    }

    /// The CPU that NetDMA named, or the engine's own where there is no such CPU.
    fn existing(&self, cpu: Cpu) -> Cpu {
        if cpu.0 < self.machine.cpus() {
            cpu
        } else {
            self.config.cpu
        }
    }

    /// The interrupt's deferred call.
    pub(super) fn report(&self, dispatch: &Dispatch) {
        let cpu = self.machine.cpu();
        let Some(due) = self.reports(|reports| reports.enter_deferred(cpu)) else {
            return;
        };
        // Completions first: an error must not swallow the interrupt of a descriptor before it.
        let error = due.error.then_some(BusAddress::NULL);
        for last in due.completed.into_iter().chain(error) {
            self.machine
                .emit(Event::Callback("NetDmaInterruptDpc", last.raw()));
            due.interface.interrupt_dpc(dispatch, last);
        }
        drop(due);
        self.reports(|reports| reports.leave(Some(cpu)));
    }
}
