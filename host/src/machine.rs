//! The machine as contract code sees it.

use crate::clock::Clock;
use crate::config::{Config, Observer};
use crate::controller::Controller;
use crate::deferred::Deferred;
use crate::device::{Device, Plug};
use crate::dispatcher::Dispatchers;
use crate::line::{Connection, Line};
use crate::lock::{Lock, hold};
use crate::memory::Memory;
use crate::panics::{Panic, Panics};
use crate::processor;
use crate::signal::{Bell, Signal};
use crate::timer::Timer;
use longshore_core::machine::{self, Cpu, Instant};
use longshore_core::{self as core, Dispatch, Event, Irql, Passive};
use longshore_models::Model;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::thread::{self, JoinHandle};

/// A handle to a machine of threads. Clones are the same machine. See the crate's documentation for what runs where.
///
/// [`crate::Host`] switches it on and off. On a machine that is off, objects can still be made, used and dropped, but
/// no callback runs any more and every wait is abandoned.
///
/// For a thread that the machine did not start, `cpu` is 0 and `level` is PASSIVE unless it raises it.
#[derive(Clone)]
pub struct Machine {
    parts: Arc<Parts>,
}

struct Parts {
    switched_on: std::time::Instant,
    cpus: u32,
    memory: Memory,
    observer: Option<Observer>,
    numbers: AtomicU32,
    panics: Panics,
    dispatchers: Dispatchers,
    clock: Clock,
    controllers: Vec<Controller>,
    power: Mutex<Power>,
}

/// What has to be dealt with when the machine is switched off.
#[derive(Default)]
struct Power {
    off: bool,
    bells: Vec<Weak<Bell>>,
    plugs: Vec<Arc<Plug>>,
    threads: Vec<JoinHandle<()>>,
}

impl Machine {
    /// A machine without threads. They are started by its [`crate::Host`].
    pub(crate) fn new(config: Config) -> io::Result<Self> {
        let cpus = config.cpus.max(1);
        if cpus > Config::MOST_CPUS {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too many CPUs"));
        }
        Ok(Self {
            parts: Arc::new(Parts {
                switched_on: std::time::Instant::now(),
                cpus,
                memory: Memory::new(config.memory)?,
                observer: config.observer,
                numbers: AtomicU32::new(1),
                panics: Panics::default(),
                dispatchers: Dispatchers::new(cpus),
                clock: Clock::default(),
                controllers: (0..cpus).map(|_| Controller::default()).collect(),
                power: Mutex::default(),
            }),
        })
    }

    /// Plugs a device in: starts a thread that gives the model time and carries its interrupt outputs to `lines`, in
    /// their order. Fails if the machine is off or the thread cannot be started.
    pub fn attach(&self, model: Box<dyn Model>, lines: &[Line]) -> io::Result<Device> {
        let plug = Arc::new(Plug::new(self.clone(), model, lines.into()));
        let work = {
            let plug = plug.clone();
            move |machine: &Self| plug.work(&machine.parts.memory)
        };
        self.spawn("device".to_owned(), Some(plug.clone()), work)?;
        Ok(Device::new(plug))
    }

    /// How many callbacks and models have panicked.
    pub fn panics(&self) -> u64 {
        self.parts.panics.count()
    }

    /// The first panic of a callback or model.
    pub fn first_panic(&self) -> Option<Panic> {
        self.parts.panics.first()
    }

    /// How often a line was held to be stuck, as [`Line::STORM_LIMIT`] describes.
    pub fn storms(&self) -> u64 {
        self.parts.controllers.iter().map(Controller::storms).sum()
    }

    pub(crate) fn panics_record(&self) -> &Panics {
        &self.parts.panics
    }

    pub(crate) fn dispatchers(&self) -> &Dispatchers {
        &self.parts.dispatchers
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.parts.clock
    }

    /// The controller of `cpu`, counted round where there are not so many.
    pub(crate) fn controller(&self, cpu: Cpu) -> &Controller {
        &self.parts.controllers[cpu.0 as usize % self.parts.controllers.len()]
    }

    /// Starts the threads of every CPU, and the clock.
    pub(crate) fn switch_on(&self) -> io::Result<()> {
        for cpu in (0..self.parts.cpus).map(Cpu) {
            self.spawn(format!("dispatch-{}", cpu.0), None, move |machine| {
                machine.parts.dispatchers.work(machine, cpu);
            })?;
            self.spawn(format!("interrupt-{}", cpu.0), None, move |machine| {
                machine.controller(cpu).work(machine, cpu);
            })?;
        }
        self.spawn("clock".to_owned(), None, |machine| {
            machine.parts.clock.work(&machine.parts.dispatchers);
        })
    }

    /// Releases all who wait, stops all threads and returns when they have ended. A thread of the machine that calls
    /// this does not wait for itself. Doing it again changes nothing.
    pub(crate) fn switch_off(&self) {
        let Power {
            bells,
            plugs,
            threads,
            ..
        } = std::mem::replace(
            &mut *hold(&self.parts.power),
            Power {
                off: true,
                ..Power::default()
            },
        );
        bells
            .iter()
            .filter_map(Weak::upgrade)
            .for_each(|bell| bell.abandon());
        self.parts.clock.stop();
        self.parts.controllers.iter().for_each(Controller::stop);
        self.parts.dispatchers.stop();
        plugs.iter().for_each(|plug| plug.unplug());
        let me = thread::current().id();
        for thread in threads.into_iter().filter(|thread| thread.thread().id() != me) {
            // A thread of the machine catches every panic, so there is nothing to learn from how it ended.
            let _ = thread.join();
        }
    }

    fn spawn(
        &self,
        name: String,
        plug: Option<Arc<Plug>>,
        work: impl FnOnce(&Self) + Send + 'static,
    ) -> io::Result<()> {
        let mut power = hold(&self.parts.power);
        if power.off {
            return Err(io::Error::other("the machine is switched off"));
        }
        let machine = self.clone();
        let thread = thread::Builder::new().name(name).spawn(move || work(&machine))?;
        power.threads.push(thread);
        power.plugs.extend(plug);
        Ok(())
    }

    fn bell(&self) -> Arc<Bell> {
        let bell = Arc::new(Bell::default());
        let mut power = hold(&self.parts.power);
        if power.off {
            bell.abandon();
        } else {
            // Signals come and go; the list is tidied whenever it would have to grow.
            if power.bells.len() == power.bells.capacity() {
                power.bells.retain(|bell| bell.strong_count() > 0);
            }
            power.bells.push(Arc::downgrade(&bell));
        }
        bell
    }
}

impl machine::Machine for Machine {
    type Memory = Memory;
    type Line = Line;
    type Deferred = Deferred;
    type Timer = Timer;
    type Signal = Signal;
    type Lock<T: Send + 'static> = Lock<T>;
    type Connection = Connection;

    fn level(&self) -> Irql {
        processor::level()
    }

    fn cpu(&self) -> Cpu {
        let cpu = processor::cpu();
        // A thread of a larger machine may call in; here it is a stranger.
        if cpu.0 < self.parts.cpus { cpu } else { Cpu(0) }
    }

    fn cpus(&self) -> u32 {
        self.parts.cpus
    }

    fn now(&self) -> Instant {
        // Nanoseconds in 64 bits last for five centuries.
        Instant(self.parts.switched_on.elapsed().as_nanos() as u64)
    }

    fn raise<R>(&self, _passive: &mut Passive, section: impl FnOnce(&Dispatch) -> R) -> R {
        let _raised = processor::raise_to(Irql::DISPATCH);
        let dispatch =
            Dispatch::now(self).expect("raised from PASSIVE, and not under a lock of a higher level");
        section(&dispatch)
    }

    fn set_level(&self, level: Irql) -> Irql {
        processor::set_level(level)
    }

    fn point(&self) {}

    fn relax(&self) {
        processor::relax();
    }

    fn memory(&self) -> Memory {
        self.parts.memory.clone()
    }

    fn device_memory(&self) -> Memory {
        self.parts.memory.clone()
    }

    fn deferred(
        &self,
        _passive: &Passive,
        name: &'static str,
        cpu: Cpu,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Deferred {
        Deferred::new(self.clone(), name, cpu, Arc::new(routine))
    }

    fn timer(
        &self,
        _passive: &Passive,
        name: &'static str,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Timer {
        Timer::new(self.clone(), name, Arc::new(routine))
    }

    fn line_at(&self, _passive: &Passive, name: &'static str, cpu: Cpu, level: Irql) -> Line {
        Line::new(self.clone(), name, cpu, level)
    }

    fn connect(
        &self,
        _passive: &Passive,
        line: &Line,
        handler: impl Fn(&core::Device) -> bool + Send + Sync + 'static,
    ) -> Connection {
        Connection::new(line, Arc::new(handler))
    }

    fn signal(&self, _passive: &Passive, name: &'static str) -> Signal {
        Signal::new(name, self.bell())
    }

    fn lock<T: Send + 'static>(&self, name: &'static str, level: Irql, value: T) -> Lock<T> {
        Lock::new(name, level, value)
    }

    fn number(&self) -> u32 {
        self.parts.numbers.fetch_add(1, Ordering::Relaxed)
    }

    #[inline]
    fn emit(&self, event: Event) {
        if let Some(observer) = &self.parts.observer {
            observer(&event);
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("cpus", &self.parts.cpus)
            .field("memory", &self.parts.memory)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Host;
    use longshore_hardware::{AccessError, DmaMemory, Width};
    use longshore_models::Step;

    struct Idle(#[expect(dead_code, reason = "held to see when it is dropped")] Arc<()>);

    impl Model for Idle {
        fn read(&mut self, _: u64, _: Width) -> Result<u64, AccessError> {
            Ok(0)
        }

        fn write(&mut self, _: u64, _: Width, _: u64) -> Result<(), AccessError> {
            Ok(())
        }

        fn step(&mut self, _: &dyn DmaMemory) -> Step {
            Step::Idle
        }

        fn lines(&self) -> u32 {
            0
        }
    }

    #[test]
    fn switching_off_ends_every_thread_and_unplugs_every_device() {
        let host = Host::new(Config::default()).unwrap();
        let machine = host.machine().clone();
        let witness = Arc::new(());
        let device = machine.attach(Box::new(Idle(witness.clone())), &[]).unwrap();
        drop(device);
        // The host, this handle and the plug hold the machine, and so does each thread.
        assert_eq!(Arc::strong_count(&machine.parts), 3 + 2 + 2 + 1 + 1);
        host.shutdown();
        assert_eq!(Arc::strong_count(&machine.parts), 1);
        assert_eq!(Arc::strong_count(&witness), 1);
        assert!(machine.attach(Box::new(Idle(witness)), &[]).is_err());
    }
}
