//! How the user of a channel hears that the engine has news.
//!
//! The engine's deferred call rings; it touches nothing of the channel. The bell only says "look": the completion word
//! alone says what is done. Whoever wants to sleep first says so here and then looks once more. Every step here is under
//! one lock, and the engine rings after it has written its word. So whoever says it too late to be rung for sees the word
//! in that last look: no order of these steps loses a wake-up.

use crate::core::machine::{Cpu, Machine as _, Signal as _, Waited};
use crate::core::{Device, Dispatch, Passive};
use crate::hardware::netdma::{CompletionWord, TransferStatus};
use crate::hardware::{BusAddress, DmaMemory as _};
use crate::host::{Machine, Memory, Signal};
use crate::netdma::ChannelInterface;
use rustix::event::{EventfdFlags, eventfd};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

/// Everyone who sleeps until the engine has news.
pub(crate) struct Bell {
    signal: Signal,
    /// Where the engine's deferred call runs.
    cpu: AtomicU32,
    fd: OnceLock<OwnedFd>,
    /// Where the completion word stands.
    word: OnceLock<BusAddress>,
    memory: Memory,
    sleepers: Mutex<Sleepers>,
}

struct Sleepers {
    /// A thread waits for the signal.
    thread: bool,
    /// Tasks that wait.
    wakers: VecDeque<Waker>,
    /// The event is readable.
    raised: bool,
    /// The engine has something to tell of that nobody has seen, or the time has.
    expecting: bool,
    /// The last descriptor that the user knows to be done.
    seen: BusAddress,
}

impl Bell {
    pub(crate) fn new(passive: &Passive, machine: &Machine) -> Self {
        Self {
            signal: machine.signal(passive, "channel bell"),
            cpu: AtomicU32::new(0),
            fd: OnceLock::new(),
            word: OnceLock::new(),
            memory: machine.memory(),
            sleepers: Mutex::new(Sleepers {
                thread: false,
                wakers: VecDeque::new(),
                raised: false,
                expecting: false,
                seen: BusAddress::NULL,
            }),
        }
    }

    /// The engine will write its word here.
    pub(crate) fn set_word(&self, word: BusAddress) {
        let _ = self.word.set(word);
    }

    fn load_word(&self) -> CompletionWord {
        let word = self.word.get().map(|&word| self.memory.load_u64(word));
        CompletionWord::from_raw(word.and_then(Result::ok).unwrap_or(0))
    }

    pub(crate) fn set_cpu(&self, cpu: Cpu) {
        self.cpu.store(cpu.0, Ordering::Relaxed);
    }

    fn sleepers(&self) -> MutexGuard<'_, Sleepers> {
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everyone.
    pub(crate) fn ring(&self) {
        self.ring_if(|_| true);
    }

    /// Wakes everyone; makes the event readable only if there is `news`. One that is late tells of what was seen.
    fn ring_if(&self, news: impl FnOnce(&Sleepers) -> bool) {
        let (thread, tasks) = {
            let mut sleepers = self.sleepers();
            if sleepers.expecting && self.has_fd() && news(&sleepers) {
                self.raise(&mut sleepers);
            }
            (sleepers.thread, sleepers.wakers.len())
        };
        if thread {
            self.signal.set();
        }
        self.wake(tasks);
    }

    /// Wakes every task.
    pub(crate) fn wake_tasks(&self) {
        let tasks = self.sleepers().wakers.len();
        self.wake(tasks);
    }

    /// Wakes the first tasks. They are woken outside the lock: one may come back at once.
    fn wake(&self, tasks: usize) {
        for _ in 0..tasks {
            let Some(waker) = self.sleepers().wakers.pop_front() else {
                return;
            };
            waker.wake();
        }
    }

    // ---- for a task ----

    /// This task is to be woken. It must look once more before it lies down.
    pub(crate) fn listen(&self, waker: &Waker) {
        let listens = |sleepers: &Sleepers| sleepers.wakers.iter().any(|other| other.will_wake(waker));
        if listens(&self.sleepers()) {
            return;
        }
        // A waker is made by code of others, so not under the lock. One that listens twice is only woken twice.
        let waker = waker.clone();
        self.sleepers().wakers.push_back(waker);
    }

    // ---- for a thread ----

    /// This thread is going to sleep. It must look once more before it does.
    pub(crate) fn lie_down(&self) {
        self.signal.clear();
        self.sleepers().thread = true;
    }

    /// Sleeps until the bell rings, or for that long.
    pub(crate) fn sleep(&self, passive: &Passive, limit: Option<Duration>) -> Waited {
        match limit {
            Some(limit) => self.signal.wait_for(passive, limit),
            None => self.signal.wait(passive),
        }
    }

    /// This thread sleeps no more.
    pub(crate) fn get_up(&self) {
        self.sleepers().thread = false;
    }

    // ---- for poll(2) ----

    /// The event, made when it is first asked for.
    pub(crate) fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        if self.fd.get().is_none() {
            let made = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            // Somebody else may have made it meanwhile, which is as good.
            let _ = self.fd.set(made);
        }
        self.fd
            .get()
            .map(AsFd::as_fd)
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// Whether there is an event to be kept right.
    #[inline]
    pub(crate) fn has_fd(&self) -> bool {
        self.fd.get().is_some()
    }

    /// Before a look: what was told is about to be seen.
    pub(crate) fn lower(&self) {
        let mut sleepers = self.sleepers();
        self.read(&mut sleepers);
    }

    /// Before a call: it may give the engine something to tell of.
    pub(crate) fn expect(&self) {
        self.sleepers().expecting = true;
    }

    /// After a call: whether there is more to see at once, whether there is more to come, and the last descriptor that is
    /// known to be done.
    pub(crate) fn looked(&self, more: bool, expecting: bool, seen: BusAddress) {
        let mut sleepers = self.sleepers();
        sleepers.expecting = expecting;
        sleepers.seen = seen;
        if more {
            self.raise(&mut sleepers);
        } else if !expecting {
            // It rang for what this look has seen.
            self.read(&mut sleepers);
        }
    }

    fn read(&self, sleepers: &mut Sleepers) {
        if std::mem::take(&mut sleepers.raised)
            && let Some(fd) = self.fd.get()
        {
            // An event that was raised can be read without waiting.
            let _ = rustix::io::read(fd, &mut [0; 8]);
        }
    }

    fn raise(&self, sleepers: &mut Sleepers) {
        if let Some(fd) = self.fd.get()
            && !std::mem::replace(&mut sleepers.raised, true)
        {
            // There is room in the counter: it is read before it is raised again.
            let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
        }
    }
}

impl ChannelInterface for Bell {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(self.cpu.load(Ordering::Relaxed))
    }

    // The ring has one descriptor more than can be in flight. So a word that names the last one known to be done says
    // nothing new, and not that a whole lap was done.
    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        self.ring_if(|sleepers| {
            let word = self.load_word();
            let stopped = last.is_null() || word.status() == TransferStatus::HALTED;
            stopped || word.descriptor() != sleepers.seen
        });
    }
}

#[cfg(test)]
mod tests;
