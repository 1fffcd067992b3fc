//! A NetDMA provider that can be told to be wrong.
//!
//! Without a flaw it keeps the contract (a test says so), so what the suite catches is the flaw and not the sketch.

use crate::machine::{Connection, Deferred, Line, Lock, Machine, Memory};
use crate::suites::Bay;
use longshore_core::machine::{Cpu, Deferred as _, Lock as _, Machine as _};
use longshore_core::{AtMostDispatch, Irql};
use longshore_hardware::netdma::{
    CompletionWord, ControlFlags, DESCRIPTOR_SIZE, Descriptor, TransferStatus, offset,
};
use longshore_hardware::{BusAddress, DmaMemory, Interrupt, MemoryError};
use longshore_netdma::provider::{AllocateError, AppendError, StartError, Unsuccessful};
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    ProviderChannel, ProviderFlags, Version,
};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// What is wrong with a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// The completion word is written before the data.
    WordBeforeData,
    /// The interrupt is raised before the completion word is written.
    InterruptBeforeWord,
    /// Append jumps to the address it is given, although the engine may have gone there by itself.
    AppendJumps,
    /// Abort waits until the current descriptor is finished.
    AbortFinishes,
    /// Abort does not write Halted.
    NoHaltedWord,
    /// Append is accepted after an abort.
    AppendAfterAbort,
    /// Each copy is a piece too long.
    WritesPastTheEnd,
    /// Abort returns while the engine still runs.
    AbortDoesNotWait,
    /// NetDMA is never told of an interrupt.
    TellsNobody,
    /// The deferred call always names the first descriptor.
    NamesTheFirst,
    /// The deferred call runs where the interrupt came, not where NetDmaIsr said.
    ReportsOnItsOwnCpu,
}

/// Bytes copied at a time.
const PIECE: u64 = 16;

/// Polls before a call gives up on the engine.
const PATIENCE: u32 = 10_000;

/// The provider: one channel, version 1.x.
pub struct Sketch {
    channel: Arc<Channel>,
}

impl Sketch {
    /// Builds the provider with this flaw.
    pub fn build(bay: &Bay<'_>, flaw: Flaw) -> Arc<dyn Provider> {
        let (machine, passive) = (bay.machine(), bay.passive());
        let line = machine.line(passive, "sketch", Cpu(0));
        let channel = Arc::new(Channel {
            flaw,
            machine: machine.clone(),
            memory: machine.device_memory(),
            line: line.clone(),
            cursor: machine.lock("cursor", Irql::DISPATCH, Cursor::default()),
            abort: AtomicBool::new(false),
            client: OnceLock::new(),
            worker: OnceLock::new(),
            report: OnceLock::new(),
            connection: OnceLock::new(),
        });
        // The machine keeps the routines; they must not keep the channel, or it would never go.
        let weak = Arc::downgrade(&channel);
        let worker = machine.deferred(passive, "engine", machine.engine_cpu(), move |_| {
            if let Some(channel) = weak.upgrade() {
                channel.work();
            }
        });
        let weak = Arc::downgrade(&channel);
        let report = machine.deferred(passive, "report", Cpu(0), move |dispatch| {
            if let Some(channel) = weak.upgrade()
                && let Some((interface, _)) = channel.client.get()
            {
                let cursor = channel.cursor.with(|cursor| *cursor);
                interface.interrupt_dpc(dispatch, channel.named(cursor));
            }
        });
        let weak = Arc::downgrade(&channel);
        let connection = machine.connect(passive, &line, move |device| {
            let Some(channel) = weak.upgrade() else {
                return false;
            };
            channel.line.lower();
            if channel.flaw == Flaw::TellsNobody {
                return true;
            }
            if let (Some((interface, _)), Some(report)) = (channel.client.get(), channel.report.get()) {
                let last = channel.reported();
                let cpu = interface.isr(device, last);
                report.queue_on(if channel.flaw == Flaw::ReportsOnItsOwnCpu {
                    Cpu(0)
                } else {
                    cpu
                });
            }
            true
        });
        let _ = (
            channel.worker.set(worker),
            channel.report.set(report),
            channel.connection.set(connection),
        );
        Arc::new(Self { channel })
    }
}

impl Provider for Sketch {
    fn characteristics(&self) -> Characteristics {
        Characteristics {
            version: Version::V1_0,
            flags: ProviderFlags::empty(),
            handlers: Handlers::MANDATORY | Handlers::ABORT,
            max_channels: 1,
            friendly_name: None,
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes {
            hardware: Version::new(1, 0),
            vendor: 0,
            channels: 1,
            maximum_transfer_size: Attributes::LEAST_TRANSFER,
            maximum_address: BusAddress::new(u64::MAX),
        }
    }

    fn allocate_channel(
        &self,
        _: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        let free = self
            .channel
            .client
            .set((interface, parameters.completion))
            .is_ok();
        let channel: Arc<dyn ProviderChannel> = self.channel.clone();
        if free {
            Ok(Allocated { channel, cpu: Cpu(0) })
        } else {
            Err(AllocateError::Resources)
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Cursor {
    started: bool,
    working: bool,
    /// What comes next, if the engine knows.
    next: BusAddress,
    /// The last completed descriptor.
    last: BusAddress,
    /// The first one of the chain.
    first: BusAddress,
    failed: bool,
    /// Counts starts, so that an engine in the middle of an old chain notices.
    run: u32,
}

struct Channel {
    flaw: Flaw,
    machine: Machine,
    memory: Memory,
    line: Line,
    cursor: Lock<Cursor>,
    abort: AtomicBool,
    client: OnceLock<(Arc<dyn ChannelInterface>, BusAddress)>,
    worker: OnceLock<Deferred>,
    report: OnceLock<Deferred>,
    connection: OnceLock<Connection>,
}

impl Channel {
    fn kick(&self) {
        if let Some(worker) = self.worker.get() {
            worker.queue();
        }
    }

    /// What the deferred call names.
    fn named(&self, cursor: Cursor) -> BusAddress {
        match self.flaw {
            _ if cursor.failed => BusAddress::NULL,
            Flaw::NamesTheFirst => cursor.first,
            // A descriptor that only interrupts does not show in the word, so the engine's own place is told.
            _ => cursor.last,
        }
    }

    /// The last completed descriptor as an interrupt handler may ask for it: from the completion word.
    fn reported(&self) -> BusAddress {
        let word = self
            .client
            .get()
            .and_then(|(_, word)| self.machine.memory().load_u64(*word).ok());
        word.map_or(BusAddress::NULL, |word| {
            CompletionWord::from_raw(word).descriptor()
        })
    }

    fn work(&self) {
        if self
            .cursor
            .with(|cursor| std::mem::replace(&mut cursor.working, true))
        {
            return;
        }
        match self.walk() {
            Ok(()) => self.cursor.with(|cursor| cursor.working = false),
            Err(_) => self.fail(),
        }
    }

    fn walk(&self) -> Result<(), MemoryError> {
        while let Some((address, run)) = self.fetch()? {
            if !self.execute(address, run)? {
                break;
            }
        }
        Ok(())
    }

    /// What to do next: a new chain, or what the last descriptor's link says now.
    fn fetch(&self) -> Result<Option<(BusAddress, u32)>, MemoryError> {
        if self.abort.load(Ordering::Acquire) {
            return Ok(None);
        }
        let cursor = self.cursor.with(|cursor| {
            let before = *cursor;
            cursor.next = BusAddress::NULL;
            before
        });
        if !cursor.next.is_null() {
            return Ok(Some((cursor.next, cursor.run)));
        }
        let Some(link) = cursor
            .last
            .checked_add(offset::NEXT)
            .filter(|_| !cursor.last.is_null())
        else {
            return Ok(None);
        };
        let next = BusAddress::new(self.memory.load_u64(link)?);
        if next.is_null() {
            return Ok(self.go_idle());
        }
        Ok(Some((next, cursor.run)))
    }

    /// Nothing more to do, unless something came in the meantime.
    fn go_idle(&self) -> Option<(BusAddress, u32)> {
        self.cursor.with(|cursor| {
            let next = std::mem::take(&mut cursor.next);
            (!next.is_null()).then_some((next, cursor.run))
        })
    }

    /// Executes one descriptor; false if it was cut.
    fn execute(&self, address: BusAddress, run: u32) -> Result<bool, MemoryError> {
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        self.memory.read(address, &mut bytes)?;
        let descriptor = Descriptor::parse(&bytes);
        if self.flaw == Flaw::WordBeforeData {
            self.write_word(address, &descriptor)?;
        }
        if !self.copy(&descriptor)? {
            return Ok(false);
        }
        let interrupts = descriptor.control.contains(ControlFlags::INTERRUPT_ON_COMPLETION);
        if self.flaw == Flaw::InterruptBeforeWord && interrupts {
            self.line.raise();
        }
        if self.flaw != Flaw::WordBeforeData {
            self.write_word(address, &descriptor)?;
        }
        self.cursor.with(|cursor| {
            if cursor.run == run {
                cursor.last = address;
            }
        });
        if self.flaw != Flaw::InterruptBeforeWord && interrupts {
            self.line.raise();
        }
        Ok(true)
    }

    fn copy(&self, descriptor: &Descriptor) -> Result<bool, MemoryError> {
        if descriptor.control.contains(ControlFlags::NULL_TRANSFER) {
            return Ok(true);
        }
        let size = u64::from(descriptor.transfer_size);
        let size = if self.flaw == Flaw::WritesPastTheEnd {
            size + PIECE
        } else {
            size
        };
        for at in (0..size).step_by(PIECE as usize) {
            if self.flaw != Flaw::AbortFinishes && self.abort.load(Ordering::Acquire) {
                return Ok(false);
            }
            let from = descriptor.source.checked_add(at).ok_or(MemoryError::OutOfRange)?;
            let to = descriptor
                .destination
                .checked_add(at)
                .ok_or(MemoryError::OutOfRange)?;
            self.memory.copy(to, from, PIECE.min(size - at))?;
        }
        Ok(true)
    }

    fn write_word(&self, address: BusAddress, descriptor: &Descriptor) -> Result<(), MemoryError> {
        if !descriptor
            .control
            .contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION)
        {
            return Ok(());
        }
        let status = if descriptor.next.is_null() {
            TransferStatus::IDLE
        } else {
            TransferStatus::ACTIVE
        };
        self.store_word(CompletionWord::new(address, status))
    }

    fn store_word(&self, word: CompletionWord) -> Result<(), MemoryError> {
        match self.client.get() {
            Some((_, completion)) => self.memory.store_u64(*completion, word.raw()),
            None => Ok(()),
        }
    }

    fn fail(&self) {
        let last = self.cursor.with(|cursor| {
            cursor.failed = true;
            cursor.started = false;
            cursor.working = false;
            cursor.last
        });
        let _ = self.store_word(CompletionWord::new(last, TransferStatus::HALTED));
        self.line.raise();
    }

    /// Whether the engine is out of the chain, after a bounded wait.
    fn quiet(&self) -> bool {
        (0..PATIENCE).any(|_| {
            let quiet = !self.cursor.with(|cursor| cursor.working);
            if !quiet {
                self.machine.relax();
            }
            quiet
        })
    }
}

impl ProviderChannel for Channel {
    fn start(&self, _: AtMostDispatch<'_>, first: BusAddress, _: u32) -> Result<(), StartError> {
        self.abort.store(false, Ordering::Release);
        self.cursor.with(|cursor| {
            *cursor = Cursor {
                started: true,
                working: cursor.working,
                next: first,
                first,
                last: BusAddress::NULL,
                failed: false,
                run: cursor.run + 1,
            };
        });
        self.kick();
        Ok(())
    }

    fn append(&self, _: AtMostDispatch<'_>, first: BusAddress, _: u32) -> Result<(), AppendError> {
        if self.flaw != Flaw::AppendAfterAbort && !self.cursor.with(|cursor| cursor.started) {
            return Err(AppendError::Unsuccessful);
        }
        if self.flaw == Flaw::AppendJumps {
            self.cursor.with(|cursor| cursor.next = first);
        }
        self.kick();
        Ok(())
    }

    fn suspend(&self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        Err(Unsuccessful)
    }

    fn resume(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        Err(Unsuccessful)
    }

    fn abort(&self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.abort.store(true, Ordering::Release);
        self.cursor.with(|cursor| cursor.started = false);
        if self.flaw != Flaw::AbortDoesNotWait && !self.quiet() {
            return Err(Unsuccessful);
        }
        if self.flaw != Flaw::NoHaltedWord {
            let last = self.cursor.with(|cursor| cursor.last);
            self.store_word(CompletionWord::new(last, TransferStatus::HALTED))
                .map_err(|_| Unsuccessful)?;
        }
        Ok(())
    }

    fn reset(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.abort(level)
    }

    fn free(&self, _: AtMostDispatch<'_>) {
        self.abort.store(true, Ordering::Release);
        self.quiet();
    }
}
