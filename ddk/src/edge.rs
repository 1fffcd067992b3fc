//! The edge of a machine, where C code begins.

use crate::channel::Channel;
use crate::deferred::Deferreds;
use crate::dma::adapters::Adapters;
use crate::dma::common::Commons;
use crate::dma::contexts::Contexts;
use crate::dma::lists::Lists;
use crate::dma::machine::Dma;
use crate::handles::{Handle, Handles};
use crate::interface::Interface;
use crate::interrupts::Interrupts;
use crate::mdl::Mdls;
use crate::ndis::miniports::Ndis;
use crate::pool::Pool;
use crate::registry::Record;
use crate::spin::SpinLocks;
use crate::world::{Computer, World};
use crate::{current, deferred};
use longshore_core::machine::{Cpu, Machine};
use longshore_core::{Event, Irql, NtStatus, Passive, Rule};
use longshore_netdma::NetDma;
use longshore_netdma::registry::Misuse;
use longshore_wdm::Platform;
use longshore_wdm::verifier::Code;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

/// Levels are checked at run time here; whoever breaks one breaks this.
pub(crate) const LEVEL: Rule = Rule("A-26");

/// A machine as C code sees it, with everything that C code made on it. One for each machine: several modules can be
/// attached to it.
pub struct Edge {
    pub(crate) world: Box<dyn World>,
    pub(crate) interface: Box<dyn Interface>,
    pub(crate) me: Weak<Self>,
    /// The CPU that plays the engine.
    pub(crate) engine: Cpu,
    pub(crate) devices: Handles<()>,
    pub(crate) providers: Handles<Arc<Record>>,
    pub(crate) channels: Handles<Arc<Channel>>,
    pub(crate) interrupts: Interrupts,
    pub(crate) deferreds: Deferreds,
    pub(crate) spin_locks: SpinLocks,
    pub(crate) pool: Pool,
    pub(crate) mdls: Mdls,
    /// The DMA of the machine, if it was opened with any.
    pub(crate) dma: Option<Box<dyn Dma>>,
    pub(crate) adapters: Adapters,
    pub(crate) contexts: Contexts,
    pub(crate) commons: Commons,
    pub(crate) lists: Lists,
    pub(crate) ndis: Ndis,
    complaint: OnceLock<Complaint>,
}

/// What hears of misuse: the call, the rule it broke, and what it was refused with.
type Complaint = Box<dyn Fn(&'static str, Rule, NtStatus) + Send + Sync>;

impl Edge {
    /// The edge of the machine that `interface` is on; C code registers its providers there. `engine` is the CPU that
    /// plays the engine.
    pub fn open<M: Machine>(interface: &NetDma<M>, passive: &Passive, engine: Cpu) -> Arc<Self> {
        Self::with(interface, None, passive, engine)
    }

    /// The same, where C code has its adapters of `platform`, which is on the same machine. Without one there are none.
    pub fn open_with_dma<M: Machine>(
        interface: &NetDma<M>,
        platform: &Platform<M>,
        passive: &Passive,
        engine: Cpu,
    ) -> Arc<Self> {
        Self::with(interface, Some(Box::new(platform.clone())), passive, engine)
    }

    fn with<M: Machine>(
        interface: &NetDma<M>,
        dma: Option<Box<dyn Dma>>,
        passive: &Passive,
        engine: Cpu,
    ) -> Arc<Self> {
        let _ = passive; // the queues are made here, and that is for PASSIVE
        Arc::new_cyclic(|me| {
            let world: Box<dyn World> = Box::new(Computer::new(interface.machine()));
            let deferreds = deferred::Deferreds::new(world.as_ref(), me);
            Self {
                world,
                interface: Box::new(interface.clone()),
                me: me.clone(),
                engine,
                devices: Handles::default(),
                providers: Handles::default(),
                channels: Handles::default(),
                interrupts: Interrupts::default(),
                deferreds,
                spin_locks: SpinLocks::default(),
                pool: Pool::default(),
                mdls: Mdls::default(),
                dma,
                adapters: Adapters::default(),
                contexts: Contexts::default(),
                commons: Commons::default(),
                lists: Lists::default(),
                ndis: Ndis::default(),
                complaint: OnceLock::new(),
            }
        })
    }

    /// Calls `hear` whenever C code breaks the contract, so that a check can make a finding of it. Only the first one
    /// that is set is called. The machine hears of it as an event in any case.
    pub fn on_misuse(&self, hear: impl Fn(&'static str, Rule, NtStatus) + Send + Sync + 'static) {
        let _ = self.complaint.set(Box::new(hear));
    }

    /// C code that this thread calls from here on runs on this machine.
    pub(crate) fn enter(&self) {
        current::set(&self.me);
    }

    /// Says that C code broke `rule`. Returns what it is refused with.
    pub(crate) fn misuse(&self, call: &'static str, rule: Rule, status: NtStatus) -> NtStatus {
        self.world.emit(Event::Misuse(call, rule, status));
        self.complain(Misuse { call, rule, status });
        status
    }

    /// As [`Self::misuse`], where Windows' own verifier would have stopped.
    pub(crate) fn verifier_stop(&self, call: &'static str, rule: Rule, code: Code) -> NtStatus {
        let status = self.misuse(call, rule, NtStatus::INVALID_PARAMETER);
        self.stopped(call, rule, code);
        status
    }

    /// Says what Windows' own verifier would have stopped for.
    pub(crate) fn stopped(&self, call: &'static str, rule: Rule, code: Code) {
        let code = code.0;
        self.world.emit(Event::VerifierStop { call, code, rule });
    }

    /// Passes on what the machine has heard already.
    pub(crate) fn complain(&self, misuse: Misuse) {
        if let Some(hear) = self.complaint.get() {
            hear(misuse.call, misuse.rule, misuse.status);
        }
    }

    /// As [`Self::misuse`], where the status is the only one that the contract has.
    pub(crate) fn refuse(&self, call: &'static str, rule: &'static str) -> NtStatus {
        self.misuse(call, Rule(rule), NtStatus::UNSUCCESSFUL)
    }

    /// Whether the caller runs at PASSIVE. If not, that is misuse.
    pub(crate) fn at_passive(&self, call: &'static str) -> bool {
        self.at(call, |level| level == Irql::PASSIVE)
    }

    /// Whether the caller runs at or below DISPATCH. If not, that is misuse.
    pub(crate) fn at_most_dispatch(&self, call: &'static str) -> bool {
        self.at(call, |level| level <= Irql::DISPATCH)
    }

    fn at(&self, call: &'static str, right: fn(Irql) -> bool) -> bool {
        let right = right(self.world.level());
        if !right {
            self.misuse(call, LEVEL, NtStatus::UNSUCCESSFUL);
        }
        right
    }

    /// Whether `handle` is a device that was given to a module.
    pub(crate) fn is_device(&self, handle: Handle) -> bool {
        self.devices.get(handle).is_some()
    }
}

impl fmt::Debug for Edge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Edge(engine on {:?})", self.engine)
    }
}
