//! An engine that a test moves by hand, one descriptor at a time.

use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{AtMostDispatch, Device, Dispatch};
use longshore_hardware::netdma::{CompletionWord, ControlFlags, DESCRIPTOR_SIZE, Descriptor, TransferStatus};
use longshore_hardware::{BusAddress, DmaMemory};
use longshore_host::Machine;
use longshore_netdma::provider::{AppendError, StartError, Unsuccessful};
use longshore_netdma::ring::{Limits, Ring, RingOptions};
use longshore_netdma::{ChannelInterface, Handlers, Port, Version};
use std::sync::{Arc, Mutex, MutexGuard};

/// What the engine was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Start(BusAddress, u32),
    Append(BusAddress, u32),
    Suspend,
    Resume,
    Abort,
    Reset,
    Free,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Stopped,
    Running,
    Held,
}

pub(crate) struct Engine {
    machine: Machine,
    counted: bool,
    pub(crate) word: BusAddress,
    state: State,
    /// The first descriptor of a chain that was not begun, or what the last one says comes next.
    next: BusAddress,
    begun: bool,
    count: u32,
    last: BusAddress,
    pub(crate) asked: Vec<Asked>,
    pub(crate) done: Vec<Descriptor>,
    /// It works off everything while it is being called.
    pub(crate) eager: bool,
    /// It answers nothing but start and append, and those with an error.
    pub(crate) dead: bool,
}

impl Engine {
    fn read(&self, at: BusAddress) -> Descriptor {
        let mut bytes = [0; DESCRIPTOR_SIZE as usize];
        let read = self.machine.memory().read(at, &mut bytes);
        assert_eq!(read, Ok(()), "a descriptor at {at}");
        Descriptor::parse(&bytes)
    }

    fn upcoming(&self) -> Option<BusAddress> {
        let next = match (self.counted, self.begun) {
            (true, _) if self.count == 0 => return None,
            (false, true) => self.read(self.last).next,
            _ => self.next,
        };
        (!next.is_null()).then_some(next)
    }

    fn tell(&self, status: TransferStatus) {
        let word = CompletionWord::new(self.last, status);
        let told = self.machine.memory().store_u64(self.word, word.raw());
        assert_eq!(told, Ok(()));
    }

    /// Does one descriptor. False if there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Some(at) = (self.state == State::Running).then(|| self.upcoming()).flatten() else {
            return false;
        };
        let descriptor = self.read(at);
        self.carry_out(&descriptor);
        self.done.push(descriptor);
        (self.last, self.next, self.begun) = (at, descriptor.next, true);
        self.count = self.count.saturating_sub(1);
        if descriptor
            .control
            .contains(ControlFlags::STATUS_UPDATE_ON_COMPLETION)
        {
            let idle = self.upcoming().is_none();
            self.tell(if idle {
                TransferStatus::IDLE
            } else {
                TransferStatus::ACTIVE
            });
        }
        true
    }

    fn carry_out(&self, descriptor: &Descriptor) {
        if descriptor.control.contains(ControlFlags::NULL_TRANSFER) {
            return;
        }
        let side = |flag, first: BusAddress, second: BusAddress, at: u64| {
            let before = 4096 - first.raw() % 4096;
            if descriptor.control.contains(flag) && at >= before {
                BusAddress::new(second.raw() + at - before)
            } else {
                BusAddress::new(first.raw() + at)
            }
        };
        for at in 0..u64::from(descriptor.transfer_size) {
            let (from, to) = (
                side(
                    ControlFlags::SOURCE_PAGE_BREAK,
                    descriptor.source,
                    descriptor.next_source,
                    at,
                ),
                side(
                    ControlFlags::DESTINATION_PAGE_BREAK,
                    descriptor.destination,
                    descriptor.next_destination,
                    at,
                ),
            );
            assert_eq!(self.machine.memory().copy(to, from, 1), Ok(()));
        }
    }

    /// Stops with an error at the current descriptor.
    pub(crate) fn fail(&mut self) {
        self.state = State::Stopped;
        self.tell(TransferStatus::HALTED);
    }

    /// Loses its power, and with it its place.
    pub(crate) fn lose_power(&mut self) {
        self.state = State::Stopped;
    }

    fn stop(&mut self, asked: Asked) -> Result<(), Unsuccessful> {
        self.asked.push(asked);
        if self.dead {
            return Err(Unsuccessful);
        }
        if self.state != State::Stopped {
            self.tell(TransferStatus::HALTED);
        }
        self.state = State::Stopped;
        Ok(())
    }

    fn work_off(&mut self) {
        while self.eager && self.step() {}
    }
}

/// The test's hold on the engine, and the ring's.
#[derive(Clone)]
pub(crate) struct Manual(Arc<Mutex<Engine>>);

impl Manual {
    pub(crate) fn engine(&self) -> MutexGuard<'_, Engine> {
        self.0.lock().expect("nobody panicked")
    }

    /// Does so many descriptors.
    pub(crate) fn steps(&self, count: usize) {
        for _ in 0..count {
            assert!(self.engine().step());
        }
    }

    /// Does descriptors up to one that moves data. False if there is none.
    pub(crate) fn step_to_data(&self) -> bool {
        let mut engine = self.engine();
        while engine.step() {
            let moves = engine
                .done
                .last()
                .is_some_and(|done| !done.control.contains(ControlFlags::NULL_TRANSFER));
            if moves {
                return true;
            }
        }
        false
    }

    /// What it was asked since the last look.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.engine().asked)
    }
}

impl Port for Manual {
    fn start(&mut self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        let mut engine = self.engine();
        engine.asked.push(Asked::Start(first, count));
        if engine.dead {
            return Err(StartError::Unsuccessful);
        }
        engine.state = State::Running;
        (engine.next, engine.begun, engine.count) = (first, false, count);
        engine.last = BusAddress::NULL;
        engine.work_off();
        Ok(())
    }

    fn append(&mut self, _: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        let mut engine = self.engine();
        engine.asked.push(Asked::Append(first, count));
        if engine.dead || engine.state == State::Stopped {
            return Err(AppendError::Unsuccessful);
        }
        if engine.counted && engine.count == 0 {
            assert_eq!(engine.next, first, "the chain goes on where its tail says");
        }
        engine.count += count;
        engine.work_off();
        Ok(())
    }

    fn suspend(&mut self, _: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        let mut engine = self.engine();
        engine.asked.push(Asked::Suspend);
        if engine.dead || engine.state == State::Stopped {
            return Err(Unsuccessful);
        }
        engine.state = State::Held;
        engine.tell(TransferStatus::SUSPEND);
        Ok(engine.last)
    }

    fn resume(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        let mut engine = self.engine();
        engine.asked.push(Asked::Resume);
        if engine.dead || engine.state != State::Held {
            return Err(Unsuccessful);
        }
        engine.state = State::Running;
        Ok(())
    }

    fn abort(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.engine().stop(Asked::Abort)
    }

    fn reset(&mut self, _: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.engine().stop(Asked::Reset)
    }

    fn free(&mut self, _: AtMostDispatch<'_>) {
        self.engine().asked.push(Asked::Free);
    }
}

/// Nobody sleeps.
pub(crate) struct Silent;

impl ChannelInterface for Silent {
    fn isr(&self, _: &Device, _: BusAddress) -> Cpu {
        Cpu(0)
    }

    fn interrupt_dpc(&self, _: &Dispatch, _: BusAddress) {}
}

/// A ring over an engine that moves by hand.
pub(crate) fn manual_ring<H>(
    machine: &Machine,
    version: Version,
    handlers: Handlers,
    entries: u32,
) -> (Ring<Machine, Manual, H>, Manual) {
    let limits = Limits {
        version,
        handlers,
        maximum_transfer_size: 8192,
        maximum_address: BusAddress::new(u64::MAX),
    };
    let options = RingOptions {
        entries,
        ..RingOptions::default()
    };
    let passive = super::passive(machine);
    let ring = Ring::open(
        &passive,
        machine,
        limits,
        options,
        Arc::new(Silent),
        |_, parameters, _| {
            let manual = Manual(Arc::new(Mutex::new(Engine {
                machine: machine.clone(),
                counted: version.counted(),
                word: parameters.completion,
                state: State::Stopped,
                next: BusAddress::NULL,
                begun: false,
                count: 0,
                last: BusAddress::NULL,
                asked: Vec::new(),
                done: Vec::new(),
                eager: false,
                dead: false,
            })));
            Ok((manual, Cpu(0)))
        },
    )
    .expect("there is memory for a ring");
    let manual = ring.port().clone();
    (ring, manual)
}
