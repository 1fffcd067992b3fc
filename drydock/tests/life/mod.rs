//! A NetDMA interface in the dry dock, with a provider that watches how it is used and a client that remembers what it
//! heard.
#![allow(dead_code)] // Each test program uses its own part of this.

pub(crate) mod spy;

use longshore_core::irql::{Irql, Passive};
use longshore_core::machine::{Machine as _, Signal as _};
use longshore_core::{Event, NtStatus};
use longshore_drydock::machine::{Machine, Memory, Signal, Step, What};
use longshore_drydock::{Config as Dock, Effort, Plan, Run, Scenario, Target, run};
use longshore_hardware::{DmaMemory, Lease};
use longshore_netdma::registry::{
    Client, ClientChannel, ClientEvents, Config, NetDma, Notification, NotificationCode, ProviderId,
    Registration,
};
use longshore_netdma::{Completion, OperationHandle, Refused, Request, RingOptions};
use spy::Spy;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Longer than anything healthy takes, and long enough that a wait runs out only when nothing else can happen.
pub(crate) const PATIENCE: Duration = Duration::from_millis(5);

/// Bytes of a copy.
pub(crate) const LENGTH: u64 = 48;

pub(crate) const CONFIG: Config = Config {
    version: longshore_netdma::Version::V2_1,
    message_interrupts: false,
    patience: PATIENCE,
};

/// A ring of this many descriptors.
pub(crate) const fn ring(entries: u32) -> RingOptions {
    RingOptions {
        entries,
        priority: 0,
        cpus: u32::MAX,
        pending_limit: u32::MAX,
        interrupts: false,
    }
}

/// What a client heard.
pub(crate) struct Ear {
    machine: Machine,
    heard: Mutex<Vec<Notification>>,
    /// It is being told something.
    listening: AtomicBool,
    /// Done within the call, with the provider it is about.
    act: Mutex<Option<Act>>,
}

type Act = Box<dyn Fn(&Passive, Notification) + Send>;

impl Ear {
    pub(crate) fn new(machine: &Machine) -> Arc<Self> {
        Arc::new(Self {
            machine: machine.clone(),
            heard: Mutex::default(),
            listening: AtomicBool::new(false),
            act: Mutex::default(),
        })
    }

    pub(crate) fn on_each(&self, act: impl Fn(&Passive, Notification) + Send + 'static) {
        *self.act.lock().unwrap() = Some(Box::new(act));
    }

    pub(crate) fn deaf(&self) {
        *self.act.lock().unwrap() = None;
    }

    pub(crate) fn is_listening(&self) -> bool {
        self.listening.load(Ordering::SeqCst)
    }

    /// The codes heard of one provider.
    pub(crate) fn codes(&self, provider: ProviderId) -> Vec<u32> {
        let heard = self.heard.lock().unwrap();
        let about = heard.iter().filter(|heard| heard.provider == provider);
        about.map(|heard| heard.code as u32).collect()
    }

    pub(crate) fn all(&self) -> Vec<Notification> {
        self.heard.lock().unwrap().clone()
    }
}

impl ClientEvents for Ear {
    fn notify(&self, passive: &Passive, notification: Notification) {
        assert_eq!(self.machine.level(), Irql::PASSIVE, "no lock of ours is held");
        let twice = self.listening.swap(true, Ordering::SeqCst);
        assert!(!twice, "one thing at a time");
        self.heard.lock().unwrap().push(notification);
        let act = self.act.lock().unwrap().take();
        if let Some(act) = act {
            act(passive, notification);
            *self.act.lock().unwrap() = Some(act);
        }
        self.listening.store(false, Ordering::SeqCst);
    }
}

/// An interface with a spying provider of two channels, registered and started, and one client.
pub(crate) struct Life {
    pub(crate) machine: Machine,
    pub(crate) net: NetDma<Machine>,
    pub(crate) spy: Arc<Spy>,
    pub(crate) registration: Registration<Machine>,
    pub(crate) client: Client<Machine>,
    pub(crate) ear: Arc<Ear>,
}

impl Life {
    pub(crate) fn new(machine: &Machine, passive: &Passive, spy: Arc<Spy>) -> Self {
        let net = NetDma::new(passive, machine, CONFIG);
        let registration = net.register(passive, spy.clone()).unwrap();
        let ear = Ear::new(machine);
        let client = net.register_client(passive, ear.clone());
        let life = Self {
            machine: machine.clone(),
            net,
            spy,
            registration,
            client,
            ear,
        };
        life.start(passive);
        life
    }

    pub(crate) fn start(&self, passive: &Passive) {
        self.spy.serve(true);
        self.registration.start(passive, self.spy.attributes_now());
    }

    /// Stops the provider, which then must have all its channels back.
    pub(crate) fn stop(&self, passive: &Passive) {
        self.registration.stop(passive);
        self.spy.serve(false);
        self.spy.has_all_back();
    }

    pub(crate) fn channel(&self, passive: &Passive) -> ClientChannel<Machine> {
        let id = self.registration.id();
        self.client.allocate(passive, id, ring(8)).unwrap()
    }

    /// Stops and deregisters.
    pub(crate) fn leave(self, passive: &Passive) {
        self.stop(passive);
        self.registration.deregister(passive);
    }
}

/// Two buffers and the copies between them.
pub(crate) struct Cargo {
    machine: Machine,
    source: Lease<Memory>,
    destination: Lease<Memory>,
}

impl Cargo {
    pub(crate) fn new(machine: &Machine) -> Self {
        let lease = || Lease::new(machine.memory(), LENGTH, 64).unwrap();
        let (source, destination) = (lease(), lease());
        let bytes: Vec<u8> = (0..LENGTH).map(|at| at as u8 | 0x80).collect();
        machine.memory().write(source.address(), &bytes).unwrap();
        Self {
            machine: machine.clone(),
            source,
            destination,
        }
    }

    pub(crate) fn copy(
        &self,
        passive: &Passive,
        channel: &ClientChannel<Machine>,
    ) -> Result<OperationHandle, Refused> {
        let (to, from) = (self.destination.address(), self.source.address());
        channel.copy(passive.into(), to, from, LENGTH, Completion::all())
    }

    pub(crate) fn request(&self) -> Request<'_> {
        Request::copy(self.destination.range(), self.source.range())
    }

    pub(crate) fn arrived(&self) -> bool {
        let bytes = |lease: &Lease<Memory>| {
            let mut bytes = vec![0; LENGTH as usize];
            self.machine.memory().read(lease.address(), &mut bytes).unwrap();
            bytes
        };
        bytes(&self.source) == bytes(&self.destination)
    }
}

/// A thread on another CPU, and the event that it has ended.
pub(crate) fn meanwhile(
    machine: &Machine,
    passive: &Passive,
    body: impl FnOnce(&mut Passive) + Send + 'static,
) -> Arc<Signal> {
    let over = Arc::new(machine.signal(passive, "the other one is done"));
    let told = over.clone();
    machine.spawn(longshore_core::machine::Cpu(1), "other", move |passive| {
        body(passive);
        told.set();
    });
    over
}

/// Runs a scenario straight on, under random walks and, if it arms one, with its intruder at every point; nothing may be
/// found, and no assertion may fail.
pub(crate) fn explore(
    name: &'static str,
    seeds: u64,
    body: impl Fn(&Machine, &mut Passive) + Send + Sync + 'static,
) {
    let target = Target {
        name: "netdma".to_owned(),
        suite: "life",
        scenarios: vec![Scenario::new(name, body)],
    };
    let effort = Effort {
        seeds,
        at_every_point: true,
    };
    let report = target.check(effort, &mut |_| {});
    let found = report.violations.iter().chain(&report.warnings);
    let found: String = found.map(|one| one.explain("") + "\n").collect();
    assert!(found.is_empty(), "{found}");
    assert!(report.scenarios > seeds);
}

/// Runs a scenario once, straight on. Nothing may be found.
pub(crate) fn once(body: impl FnOnce(&Machine, &mut Passive) + Send + 'static) -> Run {
    let run = run(&Dock::default(), &Plan::straight(), Default::default(), body);
    let steps: Vec<String> = run.trace.iter().map(|step| format!("{step}\n")).collect();
    assert!(run.findings.is_empty(), "{:?}\n{}", run.findings, steps.concat());
    run
}

/// The misuses that a run reported: the call, the rule and the status.
pub(crate) fn misuses(run: &Run) -> Vec<(&'static str, &'static str, NtStatus)> {
    let misuse = |step: &Step| match step.what {
        What::Event(Event::Misuse(name, rule, status)) => Some((name, rule.0, status)),
        _ => None,
    };
    run.trace.iter().filter_map(misuse).collect()
}

pub(crate) const REGISTERED: u32 = NotificationCode::ProviderRegistered as u32;
pub(crate) const ARRIVAL: u32 = NotificationCode::ProviderArrival as u32;
pub(crate) const REMOVAL: u32 = NotificationCode::ProviderRemoval as u32;
pub(crate) const CHANNEL: u32 = NotificationCode::ChannelArrival as u32;
pub(crate) const DOWN: u32 = NotificationCode::ProviderPowerDown as u32;
pub(crate) const UP: u32 = NotificationCode::ProviderPowerUp as u32;
