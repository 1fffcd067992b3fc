//! A machine of a few words, all of whose accesses are explored.
//!
//! Its data moves by relaxed accesses, so only the order that the engine itself makes can show it to anybody. Deferred
//! calls run when the test says so. What is made at PASSIVE is made before the exploration begins to matter.

use longshore_core::machine::{self, Cpu, Instant, Waited};
use longshore_core::{Device, Dispatch, Event, Irql, Passive};
use longshore_hardware::{BusAddress, BusRange, DmaMemory, Interrupt, MemoryError};
use loom::sync::Mutex;
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Duration;

/// How many words of eight bytes there are.
const WORDS: usize = 64;

type Routine = Box<dyn Fn(&Dispatch) + Send + Sync>;

/// A few words of memory. Bytes are moved by whole words.
#[derive(Clone)]
pub(crate) struct Memory(Arc<Vec<AtomicU64>>);

impl Memory {
    fn words(&self, at: BusAddress, len: u64) -> Result<&[AtomicU64], MemoryError> {
        let first = (at.raw() / 8) as usize;
        let words = first..first + (len / 8) as usize;
        self.0.get(words).ok_or(MemoryError::OutOfRange)
    }
}

impl DmaMemory for Memory {
    fn read(&self, from: BusAddress, into: &mut [u8]) -> Result<(), MemoryError> {
        let words = self.words(from, into.len() as u64)?;
        for (bytes, word) in into.chunks_mut(8).zip(words) {
            bytes.copy_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        Ok(())
    }
    fn write(&self, to: BusAddress, bytes: &[u8]) -> Result<(), MemoryError> {
        let words = self.words(to, bytes.len() as u64)?;
        for (bytes, word) in bytes.chunks(8).zip(words) {
            let bytes = bytes.try_into().expect("whole words");
            word.store(u64::from_le_bytes(bytes), Ordering::Relaxed);
        }
        Ok(())
    }
    fn copy(&self, to: BusAddress, from: BusAddress, len: u64) -> Result<(), MemoryError> {
        for (to, from) in self.words(to, len)?.iter().zip(self.words(from, len)?) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        Ok(())
    }
    fn load_u64(&self, at: BusAddress) -> Result<u64, MemoryError> {
        Ok(self.words(at, 8)?[0].load(Ordering::Acquire))
    }
    fn store_u64(&self, at: BusAddress, value: u64) -> Result<(), MemoryError> {
        self.words(at, 8)?[0].store(value, Ordering::Release);
        Ok(())
    }
    fn allocate(&self, _: u64, _: u64, _: BusAddress) -> Result<BusAddress, MemoryError> {
        Err(MemoryError::Exhausted)
    }
    fn free(&self, _: BusRange) {}
}

/// A deferred call, or nothing at all.
pub(crate) struct Call {
    queued: AtomicBool,
    routine: Routine,
}

#[derive(Clone)]
pub(crate) struct Deferred(Arc<Call>);

impl machine::Deferred for Deferred {
    fn queue(&self) -> bool {
        // Whoever queues a call is heard by it, as by a lock.
        !self.0.queued.swap(true, Ordering::AcqRel)
    }
    fn queue_on(&self, _: Cpu) -> bool {
        self.queue()
    }
}

pub(crate) struct Lock<T>(Mutex<T>);

impl<T: Send> machine::Lock<T> for Lock<T> {
    fn with<R>(&self, section: impl FnOnce(&mut T) -> R) -> R {
        section(&mut self.0.lock().expect("nobody panicked"))
    }
    fn try_with<R>(&self, section: impl FnOnce(&mut T) -> R) -> Option<R> {
        Some(section(&mut *self.0.try_lock().ok()?))
    }
}

/// What these tests never use.
#[derive(Clone)]
pub(crate) struct Nothing;

impl machine::Timer for Nothing {
    fn set(&self, _: Duration) {}
    fn cancel(&self) -> bool {
        false
    }
}

impl machine::Signal for Nothing {
    fn set(&self) {}
    fn clear(&self) {}
    fn wait(&self, _: &Passive) -> Waited {
        Waited::Abandoned
    }
    fn wait_for(&self, _: &Passive, _: Duration) -> Waited {
        Waited::Abandoned
    }
}

impl Interrupt for Nothing {
    fn raise(&self) {}
    fn lower(&self) {}
}

/// The machine.
#[derive(Clone)]
pub(crate) struct Explored {
    memory: Memory,
    /// The calls, in the order in which they were made.
    calls: Arc<std::sync::Mutex<Vec<Deferred>>>,
    opened: Arc<std::sync::atomic::AtomicBool>,
}

impl Explored {
    pub(crate) fn new() -> Self {
        let words = (0..WORDS).map(|_| AtomicU64::new(0)).collect();
        Self {
            memory: Memory(Arc::new(words)),
            calls: Arc::default(),
            opened: Arc::default(),
        }
    }

    /// Everything is made: from here on all runs at DISPATCH.
    pub(crate) fn opened(&self) -> Dispatch {
        self.opened.store(true, std::sync::atomic::Ordering::Relaxed);
        Dispatch::now(self).expect("all runs at DISPATCH now")
    }

    /// Runs the call that was made first, if it is queued.
    pub(crate) fn run_first_call(&self) -> bool {
        let call = self.calls.lock().expect("nobody panicked")[0].clone();
        let queued = call.0.queued.swap(false, Ordering::AcqRel);
        if queued {
            (call.0.routine)(&Dispatch::now(self).expect("all runs at DISPATCH now"));
        }
        queued
    }
}

impl machine::Machine for Explored {
    type Memory = Memory;
    type Line = Nothing;
    type Deferred = Deferred;
    type Timer = Nothing;
    type Signal = Nothing;
    type Lock<T: Send + 'static> = Lock<T>;
    type Connection = ();

    fn level(&self) -> Irql {
        if self.opened.load(std::sync::atomic::Ordering::Relaxed) {
            Irql::DISPATCH
        } else {
            Irql::PASSIVE
        }
    }
    fn cpu(&self) -> Cpu {
        Cpu(0)
    }
    fn cpus(&self) -> u32 {
        1
    }
    fn now(&self) -> Instant {
        Instant(0)
    }
    fn raise<R>(&self, _: &mut Passive, section: impl FnOnce(&Dispatch) -> R) -> R {
        section(&self.opened())
    }
    fn set_level(&self, _: Irql) -> Irql {
        self.level() // no C code runs here
    }
    fn point(&self) {}
    fn relax(&self) {
        loom::thread::yield_now();
    }
    fn memory(&self) -> Memory {
        self.memory.clone()
    }
    fn device_memory(&self) -> Memory {
        self.memory.clone()
    }
    fn deferred(
        &self,
        _: &Passive,
        _: &'static str,
        _: Cpu,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Deferred {
        let call = Deferred(Arc::new(Call {
            queued: AtomicBool::new(false),
            routine: Box::new(routine),
        }));
        self.calls.lock().expect("nobody panicked").push(call.clone());
        call
    }
    fn timer(&self, _: &Passive, _: &'static str, _: impl Fn(&Dispatch) + Send + Sync + 'static) -> Nothing {
        Nothing
    }
    fn line_at(&self, _: &Passive, _: &'static str, _: Cpu, _: Irql) -> Nothing {
        Nothing
    }
    fn connect(
        &self,
        _: &Passive,
        _: &Nothing,
        _: impl Fn(&Device) -> bool + Send + Sync + 'static,
    ) -> Self::Connection {
    }
    fn signal(&self, _: &Passive, _: &'static str) -> Nothing {
        Nothing
    }
    fn lock<T: Send + 'static>(&self, _: &'static str, _: Irql, value: T) -> Lock<T> {
        Lock(Mutex::new(value))
    }
    fn number(&self) -> u32 {
        0
    }
    fn emit(&self, event: Event) {
        // A refusal would make the test prove nothing.
        if let Event::Misuse(name, rule, _) = event {
            panic!("{name} broke {rule:?}");
        }
    }
}
