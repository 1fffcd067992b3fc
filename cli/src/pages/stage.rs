//! The two machines on which the pages are acted out, behind one trait, so that the same code runs on both.

use longshore_core::machine::{Cpu, Instant, Machine};
use longshore_core::{Dispatch, Passive};
use longshore_drydock::machine::Pairs;
use longshore_drydock::{Plan, Run};
use longshore_hardware::Registers;
use longshore_host::Host;
use longshore_models::Model;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Why a page could not be acted out, in plain words.
pub(crate) type Trouble = String;

/// An interrupt line of a stage's machine.
pub(super) type Line<S> = <<S as Stage>::Machine as Machine>::Line;

/// Longer than any healthy step of a page takes; every wait here ends by then.
pub(super) const LONG: Duration = Duration::from_secs(5);

/// A machine, and what only its owner can do with it.
pub(super) trait Stage {
    /// The machine.
    type Machine: Machine;
    /// The registers of a model that is plugged in.
    type Registers: Registers + Clone + 'static;

    /// The machine.
    fn machine(&self) -> &Self::Machine;

    /// Plugs a model in, and wires its interrupt outputs to lines.
    fn attach(
        &self,
        name: &'static str,
        model: Box<dyn Model>,
        lines: &[Line<Self>],
    ) -> Result<Self::Registers, Trouble>;

    /// The CPU that engines run on.
    fn engine_cpu(&self) -> Cpu;

    /// Lets somebody else act at DISPATCH while an engine works: in the dry dock at the point that the plan names,
    /// on threads as soon as `ready`, which may be too late.
    fn strike(
        &self,
        passive: &mut Passive,
        ready: impl Fn() -> bool,
        intruder: impl FnOnce(&Dispatch) + Send + 'static,
    );
}

impl Stage for longshore_drydock::Machine {
    type Machine = Self;
    type Registers = longshore_drydock::machine::Device;

    fn machine(&self) -> &Self {
        self
    }

    fn attach(
        &self,
        name: &'static str,
        model: Box<dyn Model>,
        lines: &[Line<Self>],
    ) -> Result<Self::Registers, Trouble> {
        Ok(Self::attach(self, name, model, lines))
    }

    fn engine_cpu(&self) -> Cpu {
        Self::engine_cpu(self)
    }

    fn strike(
        &self,
        _: &mut Passive,
        _: impl Fn() -> bool,
        intruder: impl FnOnce(&Dispatch) + Send + 'static,
    ) {
        self.arm(intruder);
    }
}

impl Stage for longshore_host::Machine {
    type Machine = Self;
    type Registers = longshore_host::Device;

    fn machine(&self) -> &Self {
        self
    }

    fn attach(
        &self,
        _: &'static str,
        model: Box<dyn Model>,
        lines: &[Line<Self>],
    ) -> Result<Self::Registers, Trouble> {
        Self::attach(self, model, lines).map_err(|error| format!("the device has no thread: {error}"))
    }

    fn engine_cpu(&self) -> Cpu {
        Cpu(1)
    }

    fn strike(
        &self,
        passive: &mut Passive,
        ready: impl Fn() -> bool,
        intruder: impl FnOnce(&Dispatch) + Send + 'static,
    ) {
        until(self, ready);
        self.raise(passive, intruder);
    }
}

/// Polls until it is true, for a bounded time. Says whether it became true.
pub(super) fn until<M: Machine>(machine: &M, condition: impl Fn() -> bool) -> bool {
    let Instant(begun) = machine.now();
    while !condition() {
        if u128::from(machine.now().0 - begun) > LONG.as_nanos() {
            return false;
        }
        machine.relax();
    }
    true
}

/// Something that is acted out on a stage: all that is done there, and what was seen.
pub(super) trait Act: Send + 'static {
    /// What was seen.
    type Seen: Send + 'static;

    /// Acts it out.
    fn act<S: Stage>(&self, stage: &S, passive: &mut Passive) -> Result<Self::Seen, Trouble>;
}

/// Acts something out in the dry dock, under a plan. The run holds the trace and what was wrong.
pub(super) fn in_the_dry_dock<A: Act>(act: A, plan: &Plan) -> Result<(A::Seen, Run), Trouble> {
    let seen = Arc::new(Mutex::new(Err("the dry dock stopped it".to_owned())));
    let told = Arc::clone(&seen);
    let run = longshore_drydock::run(
        &longshore_drydock::Config::default(),
        plan,
        Pairs::default(),
        move |machine, passive| {
            let result = act.act(machine, passive);
            *told.lock().unwrap_or_else(PoisonError::into_inner) = result;
        },
    );
    let taken = std::mem::replace(
        &mut *seen.lock().unwrap_or_else(PoisonError::into_inner),
        Err(Trouble::new()),
    );
    match taken {
        Ok(seen) => Ok((seen, run)),
        Err(trouble) => Err(format!(
            "in the dry dock: {}",
            first_finding(&run).unwrap_or(trouble)
        )),
    }
}

/// The same, where nothing may be wrong.
pub(super) fn cleanly_in_the_dry_dock<A: Act>(act: A, plan: &Plan) -> Result<(A::Seen, Run), Trouble> {
    let (seen, run) = in_the_dry_dock(act, plan)?;
    match first_finding(&run) {
        Some(finding) => Err(format!("in the dry dock: {finding}")),
        None => Ok((seen, run)),
    }
}

fn first_finding(run: &Run) -> Option<String> {
    let finding = run.findings.first()?;
    Some(format!("{}: {}", finding.rule, finding.what))
}

/// Acts something out on threads, on a machine of its own.
pub(super) fn on_threads<A: Act>(act: A) -> Result<A::Seen, Trouble> {
    let trouble = |what: String| format!("on threads: {what}");
    let host = Host::new(longshore_host::Config::default())
        .map_err(|error| trouble(format!("the machine could not be switched on: {error}")))?;
    let mut passive =
        Passive::now(host.machine()).ok_or_else(|| trouble("the caller is not at PASSIVE_LEVEL".into()))?;
    let seen = act.act(host.machine(), &mut passive).map_err(trouble)?;
    match host.machine().first_panic() {
        Some(panic) => Err(trouble(format!("a callback panicked: {panic:?}"))),
        None => Ok(seen),
    }
}
