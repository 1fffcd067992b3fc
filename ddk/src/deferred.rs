//! Deferred procedure calls of C code.
//!
//! A KDPC is known by where it stands; what is written in it means nothing. Each CPU has one queue, first in first
//! out, and the machine runs one call at a time from it. So a KDPC can be initialised at any level.

use crate::calls::{self, DeferredRoutine};
use crate::edge::Edge;
use crate::handles::hold;
use crate::world::{Queue, World};
use longshore_core::machine::Cpu;
use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Mutex, Weak};

/// How often a flush looks before it looks whether time goes on at all.
const STEPS: u32 = 10_000;

/// One KDPC.
#[derive(Clone, Copy)]
struct Dpc {
    routine: DeferredRoutine,
    context: usize,
    target: Option<Cpu>,
    /// The CPU in whose queue it is.
    queued: Option<usize>,
}

/// One queued call.
struct Call {
    dpc: usize,
    arguments: [usize; 2],
}

#[derive(Default)]
struct Table {
    dpcs: HashMap<usize, Dpc>,
    queues: Vec<VecDeque<Call>>,
    running: u32,
}

/// All KDPCs of a machine.
pub(crate) struct Deferreds {
    table: Mutex<Table>,
    cpus: Vec<Option<Queue>>,
}

impl Deferreds {
    pub(crate) fn new(world: &dyn World, edge: &Weak<Edge>) -> Self {
        let cpus = (0..world.cpus()).map(|cpu| {
            let edge = edge.clone();
            let run = move || {
                if let Some(edge) = edge.upgrade() {
                    edge.deferreds.run(&edge, cpu as usize);
                }
            };
            world.deferred(Cpu(cpu), Box::new(run))
        });
        let cpus: Vec<_> = cpus.collect();
        let mut table = Table::default();
        table.queues.resize_with(cpus.len(), VecDeque::new);
        Self {
            table: Mutex::new(table),
            cpus,
        }
    }

    /// `KeInitializeDpc`. One that stands there already is forgotten.
    pub(crate) fn initialize(&self, dpc: usize, routine: DeferredRoutine, context: usize) {
        self.forget(dpc..dpc + 1);
        let fresh = Dpc {
            routine,
            context,
            target: None,
            queued: None,
        };
        hold(&self.table).dpcs.insert(dpc, fresh);
    }

    /// `KeSetTargetProcessorDpc`. False if there is no such KDPC or CPU.
    pub(crate) fn set_target(&self, dpc: usize, cpu: Cpu) -> bool {
        let exists = (cpu.0 as usize) < self.cpus.len();
        match hold(&self.table).dpcs.get_mut(&dpc) {
            Some(entry) if exists => {
                entry.target = Some(cpu);
                true
            }
            _ => false,
        }
    }

    /// `KeInsertQueueDpc`: whether it was queued, or `None` if there is no such KDPC.
    pub(crate) fn insert(&self, dpc: usize, here: Cpu, arguments: [usize; 2]) -> Option<bool> {
        let cpu = {
            let mut table = hold(&self.table);
            let entry = table.dpcs.get_mut(&dpc)?;
            if entry.queued.is_some() {
                return Some(false);
            }
            let cpu = entry.target.unwrap_or(here).0 as usize % self.cpus.len();
            entry.queued = Some(cpu);
            table.queues[cpu].push_back(Call { dpc, arguments });
            cpu
        };
        self.kick(cpu);
        Some(true)
    }

    /// `KeRemoveQueueDpc`: whether it was queued, or `None` if there is no such KDPC.
    pub(crate) fn remove(&self, dpc: usize) -> Option<bool> {
        let mut table = hold(&self.table);
        let cpu = table.dpcs.get_mut(&dpc)?.queued.take();
        if let Some(cpu) = cpu {
            table.queues[cpu].retain(|call| call.dpc != dpc);
        }
        Some(cpu.is_some())
    }

    /// Forgets what stands in this memory. Whether one of them was queued.
    pub(crate) fn forget(&self, memory: Range<usize>) -> bool {
        let mut table = hold(&self.table);
        let queued = |call: &Call| memory.contains(&call.dpc);
        let any = table.queues.iter().flatten().any(queued);
        table
            .queues
            .iter_mut()
            .for_each(|queue| queue.retain(|call| !queued(call)));
        table.dpcs.retain(|dpc, _| !memory.contains(dpc));
        any
    }

    /// `KeFlushQueuedDpcs`: returns when nothing is queued and nothing runs. On a machine that stands still nothing
    /// will run any more; then what is queued is forgotten.
    pub(crate) fn flush(&self, world: &dyn World) {
        loop {
            let begin = world.now();
            for _ in 0..STEPS {
                if self.quiet() {
                    return;
                }
                world.relax();
            }
            if world.now() == begin {
                return self.clear();
            }
        }
    }

    fn quiet(&self) -> bool {
        let table = hold(&self.table);
        table.running == 0 && table.queues.iter().all(VecDeque::is_empty)
    }

    fn clear(&self) {
        let mut table = hold(&self.table);
        table.queues.iter_mut().for_each(VecDeque::clear);
        table.dpcs.values_mut().for_each(|dpc| dpc.queued = None);
    }

    fn kick(&self, cpu: usize) {
        if let Some(Some(queue)) = self.cpus.get(cpu) {
            queue();
        }
    }

    /// Runs the first call of a queue, on its CPU.
    fn run(&self, edge: &Edge, cpu: usize) {
        let (dpc, call, more) = {
            let mut table = hold(&self.table);
            let Some(call) = table.queues[cpu].pop_front() else {
                return;
            };
            let more = !table.queues[cpu].is_empty();
            let Some(dpc) = table.dpcs.get_mut(&call.dpc) else {
                return;
            };
            dpc.queued = None;
            let dpc = *dpc;
            table.running += 1;
            (dpc, call, more)
        };
        if more {
            self.kick(cpu);
        }
        let done = Running(self);
        calls::deferred_routine(edge, dpc.routine, call.dpc, dpc.context, call.arguments);
        drop(done);
    }
}

/// A call that runs; also where it unwinds.
struct Running<'a>(&'a Deferreds);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        hold(&self.0.table).running -= 1;
    }
}
