//! A CPU engine's provider that watches how it is used.

use longshore_core::machine::Cpu;
use longshore_core::{AtMostDispatch, Passive, Rule};
use longshore_drydock::machine::Machine;
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_hardware::BusAddress;
use longshore_netdma::provider::{AllocateError, AppendError, ChannelAffinity, StartError, Unsuccessful};
use longshore_netdma::{
    Allocated, Attributes, ChannelInterface, ChannelParameters, Characteristics, Handlers, Provider,
    ProviderChannel, Version,
};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// What is shared by a provider and its channels.
struct Watch {
    machine: Machine,
    /// Whether its services may be used (NETDMA-013).
    serving: AtomicBool,
    /// Its engine takes chains and never touches them, and only a reset reaches it, if at all.
    dead: AtomicBool,
    /// Not even a reset reaches it.
    beyond_reset: AtomicBool,
    /// Channels that are given out.
    out: AtomicU32,
    log: Mutex<Vec<&'static str>>,
}

impl Watch {
    /// A service is used.
    fn used(&self, name: &'static str) {
        self.log.lock().unwrap().push(name);
        if !self.serving.load(Ordering::SeqCst) && !self.machine.is_over() {
            let what = format!("{name} was called while the provider is stopped");
            self.machine.find(Rule("NETDMA-013"), what);
        }
    }
}

/// A provider that watches how it is used.
pub(crate) struct Spy {
    watch: Arc<Watch>,
    engine: Arc<CpuEngine<Machine>>,
    characteristics: Characteristics,
    attributes: Mutex<Attributes>,
    /// Done within each allocation.
    inside: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    /// What each channel was asked to be.
    pub(crate) asked: Mutex<Vec<ChannelParameters>>,
    /// The CPU that each channel got.
    pub(crate) given: Mutex<Vec<Cpu>>,
    /// Where each channel is to interrupt.
    pub(crate) affinity: Mutex<Vec<ChannelAffinity>>,
}

impl Spy {
    pub(crate) fn new(machine: &Machine, passive: &Passive, version: Version) -> Arc<Self> {
        Self::told(machine, passive, version, |_| {})
    }

    /// A spy that says something else about itself.
    pub(crate) fn told(
        machine: &Machine,
        passive: &Passive,
        version: Version,
        change: impl FnOnce(&mut Characteristics),
    ) -> Arc<Self> {
        let config = Config {
            channels: 2,
            version,
            cpu: machine.engine_cpu(),
            piece: 16,
            patience: 1_000,
            ..Config::default()
        };
        let engine = Arc::new(CpuEngine::open(passive, machine, config));
        let mut characteristics = Characteristics {
            handlers: Handlers::all(),
            ..engine.characteristics()
        };
        change(&mut characteristics);
        Arc::new(Self {
            watch: Arc::new(Watch {
                machine: machine.clone(),
                serving: AtomicBool::new(false),
                dead: AtomicBool::new(false),
                beyond_reset: AtomicBool::new(false),
                out: AtomicU32::new(0),
                log: Mutex::default(),
            }),
            attributes: Mutex::new(engine.attributes()),
            engine,
            characteristics,
            inside: Mutex::default(),
            asked: Mutex::default(),
            given: Mutex::default(),
            affinity: Mutex::default(),
        })
    }

    /// From now on its services may be used, or may not.
    pub(crate) fn serve(&self, serves: bool) {
        self.watch.serving.store(serves, Ordering::SeqCst);
    }

    /// Within its next allocation it does this.
    pub(crate) fn inside_allocation(&self, act: impl FnOnce() + Send + 'static) {
        *self.inside.lock().unwrap() = Some(Box::new(act));
    }

    /// The power of its engine goes and comes back.
    pub(crate) fn lose_power(&self, passive: &Passive) {
        self.engine.lose_power(passive.into()).unwrap();
    }

    /// From now on its engine answers nothing.
    pub(crate) fn die_for_good(&self) {
        self.die();
        self.watch.beyond_reset.store(true, Ordering::SeqCst);
    }

    /// From now on its engine is dead but for a reset.
    pub(crate) fn die(&self) {
        self.watch.dead.store(true, Ordering::SeqCst);
    }

    /// What was called, since the last time this was asked.
    pub(crate) fn log(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.watch.log.lock().unwrap())
    }

    pub(crate) fn note(&self, what: &'static str) {
        self.watch.log.lock().unwrap().push(what);
    }

    pub(crate) fn attributes_now(&self) -> Attributes {
        *self.attributes.lock().unwrap()
    }

    pub(crate) fn out(&self) -> u32 {
        self.watch.out.load(Ordering::SeqCst)
    }

    pub(crate) fn has_all_back(&self) {
        let out = self.out();
        if out != 0 && !self.watch.machine.is_over() {
            let what = format!("{out} channels were not freed when the provider had stopped");
            self.watch.machine.find(Rule("NETDMA-014"), what);
        }
    }
}

impl Provider for Spy {
    fn characteristics(&self) -> Characteristics {
        self.characteristics.clone()
    }

    fn attributes(&self) -> Attributes {
        self.attributes_now()
    }

    fn set_channel_affinity(&self, _: &Passive, channels: &[ChannelAffinity]) -> Result<(), AllocateError> {
        self.note("affinity");
        self.affinity.lock().unwrap().extend(channels);
        match channels.first() {
            Some(ChannelAffinity { cpu: Cpu(0), .. }) => Ok(()),
            _ => Err(AllocateError::Resources),
        }
    }

    fn allocate_channel(
        &self,
        level: AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        self.watch.used("allocate");
        self.asked.lock().unwrap().push(parameters);
        let act = self.inside.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        let allocated = self.engine.allocate_channel(level, parameters, interface)?;
        self.given.lock().unwrap().push(allocated.cpu);
        self.watch.out.fetch_add(1, Ordering::SeqCst);
        let channel = Arc::new(SpyChannel {
            watch: self.watch.clone(),
            channel: allocated.channel,
            freed: AtomicBool::new(false),
        });
        Ok(Allocated {
            channel,
            cpu: allocated.cpu,
        })
    }
}

struct SpyChannel {
    watch: Arc<Watch>,
    channel: Arc<dyn ProviderChannel>,
    freed: AtomicBool,
}

impl SpyChannel {
    fn dead(&self) -> bool {
        self.watch.dead.load(Ordering::SeqCst)
    }

    fn used(&self, name: &'static str) -> &dyn ProviderChannel {
        self.watch.used(name);
        if self.freed.load(Ordering::SeqCst) {
            let what = format!("{name} was called on a channel that was freed");
            self.watch.machine.find(Rule("NETDMA-043"), what);
        }
        &*self.channel
    }
}

impl ProviderChannel for SpyChannel {
    fn start(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), StartError> {
        if self.dead() {
            return Ok(());
        }
        self.used("start").start(level, first, count)
    }

    fn append(&self, level: AtMostDispatch<'_>, first: BusAddress, count: u32) -> Result<(), AppendError> {
        if self.dead() {
            return Ok(());
        }
        self.used("append").append(level, first, count)
    }

    fn suspend(&self, level: AtMostDispatch<'_>) -> Result<BusAddress, Unsuccessful> {
        if self.dead() {
            return Err(Unsuccessful);
        }
        self.used("suspend").suspend(level)
    }

    fn resume(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        self.used("resume").resume(level)
    }

    fn abort(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        if self.dead() {
            return Err(Unsuccessful);
        }
        self.used("abort").abort(level)
    }

    fn reset(&self, level: AtMostDispatch<'_>) -> Result<(), Unsuccessful> {
        if self.watch.beyond_reset.load(Ordering::SeqCst) {
            return Err(Unsuccessful);
        }
        self.used("reset").reset(level)
    }

    fn free(&self, level: AtMostDispatch<'_>) {
        self.used("free").free(level);
        self.freed.store(true, Ordering::SeqCst);
        self.watch.out.fetch_sub(1, Ordering::SeqCst);
    }
}
