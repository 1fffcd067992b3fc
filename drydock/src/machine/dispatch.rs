//! How contexts begin and end on a CPU, and what must hold when all have ended.

use super::context::Ended;
use super::state::{Doing, Job, ObjectKind, Phase, State};
use super::trace::What;
use longshore_core::Rule;
use longshore_core::irql::Irql;

/// Deliveries of a line that nobody lowers, before that is a finding.
const STORM: u32 = 64;
impl State {
    pub(super) fn begin_interrupt(&mut self, index: usize) {
        let line = &mut self.lines[index];
        line.early = false;
        line.running += 1;
        line.unanswered += 1;
        let (name, cpu, level, unanswered) = (line.name, line.cpu, line.level, line.unanswered);
        if unanswered > STORM {
            let what = format!("line `{name}` was delivered {STORM} times and nobody lowers it");
            self.find(Rule("PAIN-04"), what);
            self.phase = Phase::Ending;
        }
        let context = self.add_context("interrupt", name, cpu, level, Some((ObjectKind::Line, index)));
        self.begin(context, cpu, Job::Interrupt(index));
    }

    pub(super) fn begin_deferred(&mut self, cpu: usize) {
        let Some(index) = self.cpus[cpu].queue.pop_front() else {
            return;
        };
        let deferred = &mut self.deferreds[index];
        deferred.queued = false;
        deferred.running += 1;
        let name = deferred.name;
        let context = self.add_context(
            "deferred call",
            name,
            cpu,
            Irql::DISPATCH,
            Some((ObjectKind::Deferred, index)),
        );
        self.begin(context, cpu, Job::Deferred(index));
    }

    pub(super) fn begin_timer(&mut self, index: usize) {
        let timer = &mut self.timers[index];
        self.now = self.now.max(timer.deadline.take().unwrap_or(0));
        timer.running += 1;
        let (name, cpu) = (timer.name, timer.cpu);
        let context = self.add_context(
            "timer",
            name,
            cpu,
            Irql::DISPATCH,
            Some((ObjectKind::Timer, index)),
        );
        self.begin(context, cpu, Job::Timer(index));
    }

    fn begin(&mut self, context: usize, cpu: usize, job: Job) {
        self.cpus[cpu].nested.push(context);
        self.starting.push((context, job));
        self.last = Some(context);
        let (kind, name) = (self.contexts[context].kind, self.contexts[context].name);
        self.current = Some(context);
        self.record(What::Begins(kind, name));
        self.current = None;
    }

    pub(super) fn time_out(&mut self, context: usize) {
        if let Doing::Waiting { signal, deadline, .. } = self.contexts[context].doing {
            self.now = self.now.max(deadline.unwrap_or(0));
            self.contexts[context].doing = Doing::Waiting {
                signal,
                deadline,
                timed_out: true,
            };
        }
    }

    pub(super) fn end_context(&mut self, index: usize, ended: Ended) {
        let (kind, name, cpu) = {
            let context = &mut self.contexts[index];
            context.doing = Doing::Done;
            (context.kind, context.name, context.cpu)
        };
        self.record(What::Ends(kind, name));
        if let Ended::Panicked(message) = ended {
            self.find(Rule("PANIC"), format!("{kind} `{name}` panicked: {message}"));
            self.phase = Phase::Ending;
        }
        self.cpus[cpu].nested.retain(|context| *context != index);
        self.cpus[cpu].threads.retain(|context| *context != index);
        match self.contexts[index].object {
            Some((ObjectKind::Deferred, object)) => self.deferreds[object].running -= 1,
            Some((ObjectKind::Timer, object)) => self.timers[object].running -= 1,
            Some((ObjectKind::Line, object)) => self.lines[object].running -= 1,
            None => {}
        }
    }

    /// What must hold when everything has come to its end.
    pub(super) fn check_ledgers(&mut self) {
        if self.phase == Phase::Ending || !self.kept.is_empty() {
            return;
        }
        let open = self.ledger.open().next();
        if let Some((operation, what)) = open {
            self.find(Rule("PAIN-23"), format!("{operation:?} {what}"));
        }
        if let Some(range) = self.arena.outstanding().first() {
            let what = format!("{range:?} was never given back");
            self.find(Rule("PAIN-18"), what);
        }
    }
}
