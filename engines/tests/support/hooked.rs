//! The threaded machine with places where a test can come in between, so that no race is won by luck.

use longshore_core::machine::{self, Cpu, Instant, Waited};
use longshore_core::{Device, Dispatch, Event, Irql, Passive};
use longshore_host::Machine;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A place where a test can come in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Somebody says that something else may come next.
    Point,
    /// A signal is about to be cleared.
    Clear,
    /// A wait for a signal is about to begin.
    Wait,
}

type Hook = Arc<dyn Fn(Place) + Send + Sync>;

/// A machine whose hook is called at each [`Place`].
#[derive(Clone)]
pub(crate) struct Hooked {
    machine: Machine,
    hook: Hook,
}

impl Hooked {
    pub(crate) fn new(machine: &Machine, hook: impl Fn(Place) + Send + Sync + 'static) -> Self {
        Self {
            machine: machine.clone(),
            hook: Arc::new(hook),
        }
    }
}

impl fmt::Debug for Hooked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hooked")
    }
}

pub(crate) struct Signal {
    signal: <Machine as machine::Machine>::Signal,
    hook: Hook,
}

impl machine::Signal for Signal {
    fn set(&self) {
        self.signal.set();
    }
    fn clear(&self) {
        (self.hook)(Place::Clear);
        self.signal.clear();
    }
    fn wait(&self, passive: &Passive) -> Waited {
        (self.hook)(Place::Wait);
        self.signal.wait(passive)
    }
    fn wait_for(&self, passive: &Passive, limit: Duration) -> Waited {
        (self.hook)(Place::Wait);
        self.signal.wait_for(passive, limit)
    }
}

impl machine::Machine for Hooked {
    type Memory = <Machine as machine::Machine>::Memory;
    type Line = <Machine as machine::Machine>::Line;
    type Deferred = <Machine as machine::Machine>::Deferred;
    type Timer = <Machine as machine::Machine>::Timer;
    type Signal = Signal;
    type Lock<T: Send + 'static> = <Machine as machine::Machine>::Lock<T>;
    type Connection = <Machine as machine::Machine>::Connection;

    fn level(&self) -> Irql {
        self.machine.level()
    }
    fn cpu(&self) -> Cpu {
        self.machine.cpu()
    }
    fn cpus(&self) -> u32 {
        self.machine.cpus()
    }
    fn now(&self) -> Instant {
        self.machine.now()
    }
    fn raise<R>(&self, passive: &mut Passive, section: impl FnOnce(&Dispatch) -> R) -> R {
        self.machine.raise(passive, section)
    }
    fn set_level(&self, level: Irql) -> Irql {
        self.machine.set_level(level)
    }
    fn point(&self) {
        (self.hook)(Place::Point);
        self.machine.point();
    }
    fn relax(&self) {
        self.machine.relax();
    }
    fn memory(&self) -> Self::Memory {
        self.machine.memory()
    }
    fn device_memory(&self) -> Self::Memory {
        self.machine.device_memory()
    }
    fn deferred(
        &self,
        passive: &Passive,
        name: &'static str,
        cpu: Cpu,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Self::Deferred {
        self.machine.deferred(passive, name, cpu, routine)
    }
    fn timer(
        &self,
        passive: &Passive,
        name: &'static str,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Self::Timer {
        self.machine.timer(passive, name, routine)
    }
    fn line_at(&self, passive: &Passive, name: &'static str, cpu: Cpu, level: Irql) -> Self::Line {
        self.machine.line_at(passive, name, cpu, level)
    }
    fn connect(
        &self,
        passive: &Passive,
        line: &Self::Line,
        handler: impl Fn(&Device) -> bool + Send + Sync + 'static,
    ) -> Self::Connection {
        self.machine.connect(passive, line, handler)
    }
    fn signal(&self, passive: &Passive, name: &'static str) -> Signal {
        Signal {
            signal: self.machine.signal(passive, name),
            hook: self.hook.clone(),
        }
    }
    fn lock<T: Send + 'static>(&self, name: &'static str, level: Irql, value: T) -> Self::Lock<T> {
        self.machine.lock(name, level, value)
    }
    fn number(&self) -> u32 {
        self.machine.number()
    }
    fn emit(&self, event: Event) {
        self.machine.emit(event);
    }
}
