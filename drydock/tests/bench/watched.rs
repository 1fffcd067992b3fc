//! A controller that watches how it is called.

use super::{Bench, explore_runs, go, strike_runs};
use longshore_core::machine::Machine as _;
use longshore_core::{Irql, NtStatus, Passive};
use longshore_drydock::machine::{Device, Machine};
use longshore_drydock::reference::{CancelStyle, ReferenceController};
use longshore_drydock::{Plan, Run};
use longshore_hardware::BusRange;
use longshore_wdm::{
    ChannelAttributes, Controller, ControllerAttributes, Front, InterruptType, Program, ProgramError,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// One call of the controller's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Called {
    pub(crate) name: &'static str,
    pub(crate) channel: Option<u32>,
    pub(crate) level: Irql,
}

#[derive(Default)]
struct Seen {
    /// The call that has begun and not returned, of those that reach a channel.
    inside: Option<&'static str>,
    /// The channels that work on a program.
    running: HashSet<u32>,
    calls: Vec<Called>,
    faults: Vec<String>,
}

/// What a watched controller saw. Its clones are the same one's.
#[derive(Clone, Default)]
pub(crate) struct Watch(Arc<Mutex<Seen>>);

impl Watch {
    pub(crate) fn calls(&self) -> Vec<Called> {
        self.0.lock().unwrap().calls.clone()
    }

    /// The channels for which this was called, in order.
    pub(crate) fn channels(&self, name: &str) -> Vec<Option<u32>> {
        let calls = self.calls();
        let these = calls.iter().filter(|called| called.name == name);
        these.map(|called| called.channel).collect()
    }

    /// No call overlapped with another, and no channel was flushed while it ran.
    pub(crate) fn expect_no_faults(&self) {
        let faults = &self.0.lock().unwrap().faults;
        assert!(faults.is_empty(), "{faults:?}");
    }
}

/// The reference controller, watched.
pub(crate) struct Watched {
    inner: ReferenceController<Device>,
    machine: Machine,
    watch: Watch,
    /// The pair of request line and channel that it does not serve.
    refuses: Option<(u32, u32)>,
    looped: Mutex<bool>,
}

impl Watched {
    pub(crate) fn new(inner: ReferenceController<Device>, machine: &Machine, watch: &Watch) -> Self {
        Self {
            inner,
            machine: machine.clone(),
            watch: watch.clone(),
            refuses: None,
            looped: Mutex::default(),
        }
    }

    pub(crate) fn refusing(self, request_line: u32, channel: u32) -> Self {
        Self {
            refuses: Some((request_line, channel)),
            ..self
        }
    }

    fn note(&self, name: &'static str, channel: Option<u32>) {
        let level = self.machine.level();
        let called = Called { name, channel, level };
        self.watch.0.lock().unwrap().calls.push(called);
    }

    /// A call that must be alone. The machine may go on elsewhere in the middle of it.
    fn alone<R>(&self, name: &'static str, channel: Option<u32>, call: impl FnOnce() -> R) -> R {
        self.note(name, channel);
        {
            let mut seen = self.watch.0.lock().unwrap();
            if let Some(other) = seen.inside.replace(name) {
                seen.faults.push(format!("{name} began inside of {other}"));
            }
        }
        self.machine.point();
        let result = call();
        self.machine.point();
        self.watch.0.lock().unwrap().inside = None;
        result
    }

    fn runs(&self, channel: u32, runs: bool) {
        let mut seen = self.watch.0.lock().unwrap();
        if runs {
            seen.running.insert(channel);
        } else {
            seen.running.remove(&channel);
        }
    }

    fn ended(&self, channel: u32, kind: InterruptType) {
        if kind != InterruptType::Completion || !*self.looped.lock().unwrap() {
            self.runs(channel, false);
        }
    }
}

impl Front for Watched {
    fn behind(&self) -> &dyn Controller {
        &self.inner
    }

    fn attributes(&self) -> ControllerAttributes {
        self.note("attributes", None);
        self.inner.attributes()
    }

    fn channel(&self, channel: u32) -> ChannelAttributes {
        self.note("channel", Some(channel));
        self.inner.channel(channel)
    }

    fn initialize(&self) {
        self.alone("InitializeController", None, || self.inner.initialize());
    }

    fn report_common_buffer(&self, channel: u32, buffer: BusRange) {
        self.alone("ReportCommonBuffer", Some(channel), || {
            self.inner.report_common_buffer(channel, buffer);
        });
    }

    fn validate_request_line_binding(&self, request_line: u32, channel: u32) -> bool {
        self.note("ValidateRequestLineBinding", Some(channel));
        self.refuses != Some((request_line, channel))
            && self.inner.validate_request_line_binding(request_line, channel)
    }

    fn query_max_fragments(&self, channel: u32, requested: u32) -> u32 {
        self.alone("QueryMaxFragments", Some(channel), || {
            self.inner.query_max_fragments(channel, requested)
        })
    }

    fn program(&self, channel: u32, program: &Program<'_>) -> Result<(), ProgramError> {
        *self.looped.lock().unwrap() = program.looped;
        self.alone("ProgramChannel", Some(channel), || {
            let started = self.inner.program(channel, program);
            self.runs(channel, started.is_ok());
            started
        })
    }

    fn configure(&self, channel: u32, function: u32, context: usize) -> NtStatus {
        self.alone("ConfigureChannel", Some(channel), || {
            self.inner.configure(channel, function, context)
        })
    }

    fn flush(&self, channel: u32) {
        self.alone("FlushChannel", Some(channel), || {
            let mut seen = self.watch.0.lock().unwrap();
            if seen.running.contains(&channel) {
                seen.faults
                    .push(format!("channel {channel} was flushed while it ran"));
            }
            drop(seen);
            self.inner.flush(channel);
        });
    }

    fn interrupt(&self) -> Option<(u32, InterruptType)> {
        self.alone("HandleInterrupt", None, || {
            let (channel, kind) = self.inner.interrupt()?;
            self.ended(channel, kind);
            self.note("a report", Some(channel));
            Some((channel, kind))
        })
    }

    fn remaining(&self, channel: u32) -> u32 {
        self.alone("ReadDmaCounter", Some(channel), || self.inner.remaining(channel))
    }

    fn poll(&self, channel: u32) -> Option<InterruptType> {
        self.alone("poll", Some(channel), || {
            let kind = self.inner.poll(channel)?;
            self.ended(channel, kind);
            Some(kind)
        })
    }

    fn cancel(&self, channel: u32) -> bool {
        self.alone("CancelTransfer", Some(channel), || {
            let stopped = self.inner.cancel(channel);
            // Either way it is disabled.
            self.runs(channel, false);
            stopped
        })
    }
}

fn watched(
    machine: &Machine,
    passive: &mut Passive,
    habits: (CancelStyle, bool),
    scenario: impl Fn(&Bench, &mut Passive, &Watch),
) {
    let watch = Watch::default();
    let bench = Bench::wrapped(machine, passive, habits.0, habits.1, |inner| {
        Arc::new(Watched::new(inner, machine, &watch))
    });
    scenario(&bench, passive, &watch);
    watch.expect_no_faults();
}

/// Runs a scenario on a watched controller, straight on and under so many seeds; all must be clean.
pub(crate) fn explore_watched(
    seeds: u64,
    habits: (CancelStyle, bool),
    scenario: impl Fn(&Bench, &mut Passive, &Watch) + Copy + Send + 'static,
) -> Vec<Run> {
    explore_runs(seeds, &format!("{habits:?}"), |plan: Plan| {
        go(plan, move |machine, passive| {
            watched(machine, passive, habits, scenario)
        })
    })
}

/// The same with its intruder acting at each point in turn.
pub(crate) fn strike_watched(
    habits: (CancelStyle, bool),
    scenario: impl Fn(&Bench, &mut Passive, &Watch) + Copy + Send + 'static,
) {
    strike_runs(&format!("{habits:?}"), |plan| {
        go(plan, move |machine, passive| {
            watched(machine, passive, habits, scenario)
        })
    });
}
