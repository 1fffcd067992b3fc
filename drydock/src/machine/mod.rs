//! The deterministic machine.
//!
//! Virtual CPUs, each with its level and its queue of deferred calls; interrupt lines; timers; virtual time; memory
//! with an owner for every byte. Everything runs on one thread. Every call into the machine is a *point*: there
//! the [`Plan`] decides whether the caller goes on, or another CPU, an interrupt, a deferred call, a timer, a
//! device or a fault comes first. So a run is decided by its plan alone, and a plan fits into a short code.
//!
//! A run is started by [`run`]. Its scenario makes threads, which are straight-line code that may wait, and the
//! contract code under test makes the rest.

mod arena;
mod choice;
mod context;
mod device;
mod dispatch;
mod lock;
mod memory;
mod objects;
mod plan;
mod runner;
mod state;
mod trace;

pub use arena::{FAR, HIGH, View};
pub use device::Device;
pub use lock::Lock;
pub use memory::{Bytes, Memory};
pub use objects::{Connection, Deferred, Line, Signal, Timer};
pub(crate) use plan::Random;
pub use plan::{Fault, Plan, Schedule};
pub use runner::run;
pub use trace::{Step, What};

use longshore_core::event::{Event, Rule};
use longshore_core::irql::{Device as DeviceLevel, Dispatch, Irql, Passive};
use longshore_core::machine::{Cpu, Instant, Machine as MachineTrait};
use longshore_hardware::BusRange;
use state::{Phase, State};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The shape of a machine.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// How many CPUs code can see. The last one is the engine's.
    pub cpus: u32,
    /// Bytes of memory, from address zero on.
    pub memory: u64,
    /// Bytes of memory at each of [`HIGH`] and [`FAR`], for what is out of a device's reach.
    pub high_memory: u64,
    /// A run with more points than this does not end; that is a finding.
    pub point_limit: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            cpus: 3,
            memory: 256 * 1024,
            high_memory: 32 * 1024,
            point_limit: 200_000,
        }
    }
}

/// Something that is wrong, as an oracle sees it.
#[derive(Clone, Debug)]
pub struct Breach {
    /// The broken rule.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
}

/// Something that is wrong, and where in the run.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The broken rule.
    pub rule: Rule,
    /// What was seen.
    pub what: String,
    /// The index of the step behind the one that showed it.
    pub step: usize,
}

/// An observer that knows what a suite expects.
///
/// It sees each write of memory, each read by a device, each change of an interrupt line and each bus error, with the
/// memory as it is then, and says what is wrong. It must not call the machine.
pub trait Oracle: Send {
    /// Such a step happened.
    fn observe(&mut self, step: &Step, memory: &dyn Bytes) -> Option<Breach>;
}

/// The distinct pairs of state and event that a table was asked for.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    seen: HashSet<(&'static str, &'static str, &'static str)>,
    /// Pairs that were noted not long ago, by the addresses of their names: nearly every one was.
    recent: Vec<[usize; 3]>,
}

/// How many recent pairs are remembered; a power of two.
const RECENT: usize = 256;

impl Pairs {
    fn note(&mut self, table: &'static str, state: &'static str, event: &'static str) {
        let key = [
            table.as_ptr().addr(),
            state.as_ptr().addr(),
            event.as_ptr().addr(),
        ];
        self.recent.resize(RECENT, [0; 3]);
        let place = &mut self.recent[(key[1] ^ key[2] >> 1 ^ key[1] >> 7) % RECENT];
        if *place != key {
            *place = key;
            self.seen.insert((table, state, event));
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.seen.len()
    }

    /// Adds another set.
    pub fn join(&mut self, other: &Self) {
        self.seen.extend(&other.seen);
    }

    /// Table, state and event, in order.
    pub fn sorted(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let mut all: Vec<_> = self.seen.iter().copied().collect();
        all.sort_unstable();
        all
    }
}

/// What a run showed.
#[derive(Debug)]
pub struct Run {
    /// What was wrong.
    pub findings: Vec<Finding>,
    /// What happened.
    pub trace: Vec<Step>,
    /// How many points there were.
    pub points: u32,
    /// How many of them came after the scenario said that strikes and faults may come.
    pub armed_points: u32,
    /// How many bytes devices moved after that.
    pub device_bytes: u64,
    /// Whether the intruder acted.
    pub struck: bool,
    /// Which choice was taken at each point that had several.
    pub chosen: Vec<u8>,
    /// Pairs of state and event seen by this run and those before it.
    pub pairs: Pairs,
}

/// A deterministic computer.
#[derive(Clone)]
pub struct Machine(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    cpus: u32,
}

impl Machine {
    fn new(config: &Config, plan: Plan, pairs: Pairs) -> Self {
        let config = &Config {
            cpus: config.cpus.max(1),
            ..*config
        };
        Self(Arc::new(Inner {
            state: Mutex::new(State::new(config, plan, pairs)),
            cpus: config.cpus,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The CPU that engines run on. A stall stops it, together with all devices.
    pub fn engine_cpu(&self) -> Cpu {
        Cpu(self.0.cpus - 1)
    }

    /// Starts a thread: straight-line code that may wait.
    pub fn spawn(&self, cpu: Cpu, name: &'static str, body: impl FnOnce(&mut Passive) + Send + 'static) {
        let cpu = cpu.0.min(self.0.cpus - 1) as usize;
        self.state().spawn(cpu, name, Box::new(body));
    }

    /// From now on strikes and faults may come. A strike runs this code at DISPATCH, on a CPU of its own, at the
    /// point that the plan names.
    pub fn arm(&self, intruder: impl FnOnce(&Dispatch) + Send + 'static) {
        let mut state = self.state();
        state.strike = Some(Box::new(intruder));
        state.armed = true;
    }

    /// From now on no strike and no fault comes any more.
    pub fn disarm(&self) {
        let intruder = {
            let mut state = self.state();
            state.armed = false;
            state.strike.take()
        };
        // It may hold what locks the state when it goes.
        drop(intruder);
    }

    /// Whether the intruder has acted.
    pub fn struck(&self) -> bool {
        self.state().struck
    }

    /// The plan that decides this run.
    pub fn plan(&self) -> Plan {
        self.state().plan.clone()
    }

    /// The fault that the plan holds.
    pub fn fault(&self) -> Option<Fault> {
        self.state().plan.fault
    }

    /// Sets the observer of this run.
    pub fn observe(&self, oracle: impl Oracle + 'static) {
        self.state().oracle = Some(Box::new(oracle));
    }

    /// From now on whatever Windows' own DMA verifier stops a machine for is a finding. Without this it is in the
    /// trace only.
    pub fn verify(&self) {
        self.state().verifies = true;
    }

    /// Says that something is wrong.
    pub fn find(&self, rule: Rule, what: impl Into<String>) {
        self.state().find(rule, what.into());
    }

    /// Whether the run is over and what is called returns at once.
    pub fn is_over(&self) -> bool {
        self.state().phase == Phase::Ending
    }

    /// Looks at everything that has happened so far. It must not call the machine.
    pub fn look_back<R>(&self, look: impl FnOnce(&[Step]) -> R) -> R {
        look(&self.state().trace)
    }

    /// Keeps `what` until the machine is switched off: the hardware never became quiet, so the memory that it may
    /// still write, and whoever serves it, must stay. Memory that is still allocated then is no finding.
    pub fn keep(&self, what: impl Send + 'static) {
        self.state().kept.push(Box::new(what));
    }

    /// The bytes of a range, whoever owns them, as an oracle would see them now. Nothing if it is not all there.
    pub fn look(&self, range: BusRange) -> Vec<u8> {
        self.state().arena.at(range).unwrap_or_default().to_vec()
    }

    /// Ranges that are allocated now.
    pub fn allocated(&self) -> Vec<BusRange> {
        self.state().arena.outstanding().to_vec()
    }

    /// The callback at device level runs here too, for suites that stand in for an interrupt.
    fn at_level<R>(&self, level: Irql, section: impl FnOnce() -> R) -> R {
        let before = self.swap_level(level);
        let result = section();
        if let Some(before) = before {
            self.swap_level(before);
        }
        result
    }

    /// Sets the level of the running context; tells the one before.
    fn swap_level(&self, level: Irql) -> Option<Irql> {
        let mut state = self.state();
        let context = state.current?;
        Some(std::mem::replace(&mut state.contexts[context].level, level))
    }

    /// A point: counts it, lets the plan decide who goes on, and returns the state to whoever called.
    fn enter(&self) -> MutexGuard<'_, State> {
        self.pass_point(false)
    }

    /// A point that is nothing else.
    fn yield_point(&self, relaxed: bool) {
        drop(self.pass_point(relaxed));
    }

    fn pass_point(&self, relaxed: bool) -> MutexGuard<'_, State> {
        let mut state = self.state();
        if !context::on_one() {
            return state;
        }
        if state.phase == Phase::Ending {
            drop(state);
            self.ending_call();
            return self.state();
        }
        state.count_point();
        if relaxed && let Some(context) = state.current {
            state.contexts[context].doing = state::Doing::Relaxed;
        }
        if state.goes_on() {
            return state;
        }
        drop(state);
        context::suspend();
        self.state()
    }

    /// A call on a machine that is being switched off returns at once, so that code comes to its end. Code that
    /// does not is stopped.
    fn ending_call(&self) {
        let calls = {
            let mut state = self.state();
            state.ending_calls += 1;
            state.ending_calls
        };
        if calls > 10_000 && !std::thread::panicking() {
            context::stop();
        }
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("drydock::Machine")
    }
}

impl MachineTrait for Machine {
    type Memory = Memory;
    type Line = Line;
    type Deferred = Deferred;
    type Timer = Timer;
    type Signal = Signal;
    type Lock<T: Send + 'static> = Lock<T>;
    type Connection = Connection;

    fn level(&self) -> Irql {
        self.state().level()
    }

    fn cpu(&self) -> Cpu {
        Cpu(u32::try_from(self.state().cpu()).unwrap_or(0))
    }

    fn cpus(&self) -> u32 {
        self.0.cpus
    }

    fn now(&self) -> Instant {
        Instant(self.state().now)
    }

    fn raise<R>(&self, _: &mut Passive, section: impl FnOnce(&Dispatch) -> R) -> R {
        self.at_level(Irql::DISPATCH, || {
            match Dispatch::now(self) {
                Some(dispatch) => section(&dispatch),
                // Only code outside of every context has no level to raise; there is no run to go on with.
                None => context::stop(),
            }
        })
    }

    fn set_level(&self, level: Irql) -> Irql {
        self.swap_level(level).unwrap_or(Irql::PASSIVE)
    }

    fn point(&self) {
        self.yield_point(false);
    }

    fn relax(&self) {
        self.yield_point(true);
    }

    fn memory(&self) -> Memory {
        Memory::new(self.clone(), View::Cpu)
    }

    fn device_memory(&self) -> Memory {
        Memory::new(self.clone(), View::Device)
    }

    fn deferred(
        &self,
        _: &Passive,
        name: &'static str,
        cpu: Cpu,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Deferred {
        Deferred::new(self.clone(), name, cpu, Arc::new(routine))
    }

    fn timer(
        &self,
        _: &Passive,
        name: &'static str,
        routine: impl Fn(&Dispatch) + Send + Sync + 'static,
    ) -> Timer {
        Timer::new(self.clone(), name, Arc::new(routine))
    }

    fn line_at(&self, _: &Passive, name: &'static str, cpu: Cpu, level: Irql) -> Line {
        Line::new(self.clone(), name, cpu, level)
    }

    fn connect(
        &self,
        _: &Passive,
        line: &Line,
        handler: impl Fn(&DeviceLevel) -> bool + Send + Sync + 'static,
    ) -> Connection {
        Connection::new(line.clone(), Arc::new(handler))
    }

    fn signal(&self, _: &Passive, name: &'static str) -> Signal {
        Signal::new(self.clone(), name)
    }

    fn lock<T: Send + 'static>(&self, name: &'static str, level: Irql, value: T) -> Lock<T> {
        Lock::new(self.clone(), name, level, value)
    }

    fn number(&self) -> u32 {
        let mut state = self.state();
        state.numbers += 1;
        state.numbers
    }

    fn emit(&self, event: Event) {
        self.state().event(event);
    }
}
