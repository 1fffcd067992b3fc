//! The whole life of a provider in C at the NetDMA interface, with a client in Rust.
#![allow(unsafe_code, clippy::unwrap_used)] // One routine of the module is called, and what a test sets up works.

mod support;

use libloading::os::unix::Library;
use longshore_core::completion::Outcome;
use longshore_core::{Event, Passive};
use longshore_ddk::{Attached, Edge, Module};
use longshore_drydock::machine::{Machine, Memory, What};
use longshore_drydock::{Config as Dock, Plan, Run, run};
use longshore_hardware::{DmaMemory, Lease};
use longshore_netdma::registry::{AllocationError, Config, Notification, ProviderId};
use longshore_netdma::{
    Client, ClientChannel, ClientEvents, Completion, NetDma, OperationHandle, Refused, RingOptions, Version,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use support::module;

const LENGTH: u64 = 100;
const LONG: Duration = Duration::from_secs(1);

const START: u32 = 0;
const STOP: u32 = 1;
const NOTIFY: u32 = 2;
const DEREGISTER: u32 = 3;
/// As before, and the C code believes that it was refused.
const DEREGISTER_ONLY: u32 = 4;

const POWER_DOWN: u32 = 5;
const POWER_UP: u32 = 6;

/// What a client heard, and what it does when it hears of anything next.
#[derive(Default)]
struct Ear(Mutex<Vec<u32>>, Mutex<Option<Act>>);

type Act = Box<dyn FnOnce() + Send>;

impl ClientEvents for Ear {
    fn notify(&self, _: &Passive, notification: Notification) {
        self.0.lock().unwrap().push(notification.code as u32);
        let act = self.1.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
    }
}

/// A provider in C, started, with a client that has one channel of it.
struct Bench {
    machine: Machine,
    attached: Arc<Attached>,
    call: unsafe extern "C" fn(u32, u32),
    client: Client<Machine>,
    ear: Arc<Ear>,
    provider: ProviderId,
    misuse: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
}

impl Bench {
    fn new(machine: &Machine, passive: &Passive, path: &Path) -> Self {
        let config = Config {
            message_interrupts: true,
            patience: Duration::from_millis(5),
            ..Config::default()
        };
        let net = NetDma::new(passive, machine, config);
        let ear = Arc::new(Ear::default());
        let client = net.register_client(passive, ear.clone());
        let edge = Edge::open(&net, passive, machine.engine_cpu());
        let misuse: Arc<Mutex<Vec<_>>> = Arc::default();
        let heard = misuse.clone();
        edge.on_misuse(move |call, rule, _| heard.lock().unwrap().push((call, rule.0)));
        let attached = edge.attach(passive, &Module::load(path).unwrap()).unwrap();
        // SAFETY: the module is loaded already, and has this routine.
        let call = unsafe { *Library::new(path).unwrap().get(b"LifeCall").unwrap() };
        let provider = client.providers(passive)[0].id;
        Self {
            machine: machine.clone(),
            attached,
            call,
            client,
            ear,
            provider,
            misuse,
        }
    }

    /// Has the C code make a call for its provider.
    fn c(&self, what: u32, argument: u32) {
        // SAFETY: the module stays loaded, and the adapter lives as long as it is attached.
        unsafe { (self.call)(what, argument) };
    }

    fn allocate(&self, passive: &Passive) -> Result<ClientChannel<Machine>, AllocationError> {
        let options = RingOptions {
            entries: 8,
            ..RingOptions::default()
        };
        self.client.allocate(passive, self.provider, options)
    }

    /// What was said to be misuse since the last time.
    fn misuse(&self) -> Vec<(&'static str, &'static str)> {
        std::mem::take(&mut *self.misuse.lock().unwrap())
    }
}

/// Two buffers.
struct Cargo {
    memory: Memory,
    source: Lease<Memory>,
    destination: Lease<Memory>,
}

impl Cargo {
    fn new(machine: &Machine) -> Self {
        use longshore_core::Machine as _;
        let lease = || Lease::new(machine.memory(), LENGTH, 64).unwrap();
        Self {
            memory: machine.memory(),
            source: lease(),
            destination: lease(),
        }
    }

    /// Copies bytes of this kind.
    fn copy(
        &self,
        passive: &Passive,
        channel: &ClientChannel<Machine>,
        byte: u8,
    ) -> Result<OperationHandle, Refused> {
        self.memory
            .write(self.source.address(), &[byte; LENGTH as usize])
            .unwrap();
        let (to, from) = (self.destination.address(), self.source.address());
        channel.copy(passive.into(), to, from, LENGTH, Completion::all())
    }

    fn has(&self, byte: u8) -> bool {
        let mut bytes = [0; LENGTH as usize];
        self.memory.read(self.destination.address(), &mut bytes).unwrap();
        bytes == [byte; LENGTH as usize]
    }

    fn copies(&self, passive: &Passive, channel: &ClientChannel<Machine>, byte: u8) {
        let handle = self.copy(passive, channel, byte).unwrap();
        assert_eq!(channel.wait(passive, handle, LONG), Ok(Outcome::COMPLETED));
        assert!(self.has(byte));
    }
}

/// The provider in C of this version, with its life in the test's hands. `None` without a compiler.
fn provider(output: &str, version: &str) -> Option<PathBuf> {
    let sources = ["tests/c/life.c", "tests/c/engine.c"];
    module("gcc", output, &sources, &["-DENGINE_PIECE=16", version])
}

/// Runs a scenario straight on and on random walks. Nothing may be found.
fn everywhere(body: impl Fn(&Machine, &mut Passive) + Send + Clone + 'static, look: impl Fn(&Run)) {
    for plan in std::iter::once(Plan::straight()).chain((0..100).map(Plan::seed)) {
        let body = body.clone();
        let run = run(
            &Dock::default(),
            &plan,
            Default::default(),
            move |machine, passive| {
                body(machine, passive);
            },
        );
        assert!(run.findings.is_empty(), "{plan}: {:?}", run.findings);
        look(&run);
    }
}

/// How often the engine was started between the two notes.
fn starts_after_power(run: &Run) -> usize {
    let is = |what| move |step: &&longshore_drydock::machine::Step| step.what == What::Event(what);
    run.trace
        .iter()
        .skip_while(|step| !is(Event::Note("power up"))(step))
        .take_while(|step| !is(Event::Note("power is up"))(step))
        .filter(is(Event::Call("ProviderStartDma")))
        .count()
}

/// Proves: NETDMA-012, NETDMA-013, NETDMA-014, NETDMA-015, NETDMA-113, AMB-14.
#[test]
fn a_provider_in_c_lives_its_whole_life_with_a_client_in_rust() {
    for (output, define, version, name) in [
        ("life-1.so", "-DPROVIDER_VERSION=0x0101", Version::V1_1, None),
        (
            "life-2.so",
            "-DPROVIDER_VERSION=0x0201",
            Version::V2_1,
            Some("software engine"),
        ),
    ] {
        let Some(path) = provider(output, define) else {
            return;
        };
        let body = move |machine: &Machine, passive: &mut Passive| {
            let bench = Bench::new(machine, passive, &path);
            let info = bench.client.providers(passive).remove(0);
            assert_eq!(
                (info.version, info.name.as_deref(), info.free_channels),
                (version, name, 2)
            );
            works(&bench, passive);
            goes_to_sleep_and_wakes(&bench, passive);
            stops_with_work_pending(&bench, passive);
            starts_with_other_attributes(&bench, passive);
            bench.c(STOP, 0);
            bench.c(DEREGISTER, 0);
            assert!(bench.client.providers(passive).is_empty());
            assert_eq!(
                *bench.ear.0.lock().unwrap(),
                [1, 2, POWER_DOWN, POWER_UP, 4, 3, 2, 4, 3]
            );
            assert_eq!(bench.misuse(), []);
        };
        everywhere(body, |run| assert_eq!(starts_after_power(run), 2, "each channel"));
    }
}

fn works(bench: &Bench, passive: &Passive) {
    let cargo = Cargo::new(&bench.machine);
    let channel = bench.allocate(passive).unwrap();
    cargo.copies(passive, &channel, 1);
}

fn goes_to_sleep_and_wakes(bench: &Bench, passive: &Passive) {
    let cargo = Cargo::new(&bench.machine);
    let channels = [bench.allocate(passive).unwrap(), bench.allocate(passive).unwrap()];
    cargo.copies(passive, &channels[0], 2);
    bench.c(NOTIFY, POWER_DOWN);
    assert!(cargo.copy(passive, &channels[0], 3).is_err(), "it has no power");
    assert_eq!(bench.allocate(passive).unwrap_err(), AllocationError::NotStarted);
    note(bench, "power up");
    bench.c(NOTIFY, POWER_UP);
    note(bench, "power is up");
    for (channel, byte) in channels.iter().zip(4..) {
        cargo.copies(passive, channel, byte);
    }
}

fn note(bench: &Bench, what: &'static str) {
    use longshore_core::Machine as _;
    bench.machine.emit(Event::Note(what));
}

fn stops_with_work_pending(bench: &Bench, passive: &Passive) {
    let channel = bench.allocate(passive).unwrap();
    let cargoes = [(); 3].map(|()| Cargo::new(&bench.machine));
    let pending = cargoes
        .each_ref()
        .map(|cargo| cargo.copy(passive, &channel, 6).unwrap());
    bench.c(STOP, 0);
    for (cargo, handle) in cargoes.iter().zip(pending) {
        assert_eq!(channel.take(handle), Some(Outcome::COMPLETED), "a stop waits");
        assert!(cargo.has(6));
    }
    assert!(cargoes[0].copy(passive, &channel, 7).is_err(), "it was freed");
    assert_eq!(bench.allocate(passive).unwrap_err(), AllocationError::NotStarted);
}

fn starts_with_other_attributes(bench: &Bench, passive: &Passive) {
    let cargo = Cargo::new(&bench.machine);
    bench.c(START, 1);
    let attributes = bench.client.providers(passive)[0].attributes.unwrap();
    assert_eq!((attributes.channels, attributes.vendor), (1, 0x1234));
    let channel = bench.allocate(passive).unwrap();
    assert_eq!(bench.allocate(passive).unwrap_err(), AllocationError::NoChannel);
    cargo.copies(passive, &channel, 8);
}

/// Proves: NETDMA-014, NETDMA-015, NETDMA-023, NETDMA-110, NETDMA-113.
#[test]
fn calls_of_c_code_out_of_turn_are_refused_and_leave_everything_as_it_was() {
    let Some(path) = provider("life-1.so", "-DPROVIDER_VERSION=0x0101") else {
        return;
    };
    let body = move |machine: &Machine, passive: &mut Passive| {
        let bench = Bench::new(machine, passive, &path);
        let cargo = Cargo::new(machine);
        let channel = bench.allocate(passive).unwrap();
        bench.c(START, 1);
        bench.c(NOTIFY, POWER_UP);
        bench.c(NOTIFY, 2);
        assert_eq!(
            bench.misuse(),
            [
                ("NetDmaProviderStart", "NETDMA-014"),
                ("NetDmaPnPEventNotify", "NETDMA-113"),
                ("NetDmaPnPEventNotify", "NETDMA-112"),
            ]
        );
        cargo.copies(passive, &channel, 1);
        bench.c(STOP, 0);
        bench.c(STOP, 0);
        assert_eq!(bench.misuse(), [("NetDmaProviderStop", "NETDMA-014")]);
        bench.c(START, 3);
        assert_eq!(bench.misuse(), [("NetDmaProviderStart", "NETDMA-023")]);
        assert_eq!(bench.allocate(passive).unwrap_err(), AllocationError::NotStarted);
        bench.c(START, 2);
        let channel = bench.allocate(passive).unwrap();
        bench.c(DEREGISTER, 0);
        assert_eq!(bench.misuse(), [("NetDmaDeregisterProvider", "NETDMA-014")]);
        assert!(cargo.copy(passive, &channel, 2).is_err(), "it was stopped first");
        bench.c(STOP, 0);
        assert_eq!(
            bench.misuse(),
            [("NetDmaProviderStop", "NETDMA-014")],
            "it is gone"
        );
    };
    everywhere(body, |_| {});
}

/// The calls for one provider come one at a time: one inside another is refused, and the other goes on.
#[test]
fn a_call_of_c_code_inside_another_is_refused() {
    let Some(path) = provider("life-1.so", "-DPROVIDER_VERSION=0x0101") else {
        return;
    };
    let body = move |machine: &Machine, passive: &mut Passive| {
        let bench = Bench::new(machine, passive, &path);
        let cargo = Cargo::new(machine);
        bench.c(STOP, 0);
        let call = bench.call;
        let act = move || {
            for what in [STOP, DEREGISTER_ONLY] {
                // SAFETY: as in `Bench::c`.
                unsafe { call(what, 0) };
            }
        };
        *bench.ear.1.lock().unwrap() = Some(Box::new(act));
        bench.c(START, 2);
        let refused = [
            ("NetDmaProviderStop", "NETDMA-014"),
            ("NetDmaDeregisterProvider", "NETDMA-014"),
        ];
        assert_eq!(bench.misuse(), refused);
        cargo.copies(passive, &bench.allocate(passive).unwrap(), 1);
    };
    everywhere(body, |_| {});
}

/// Proves: NETDMA-110.
#[test]
fn version_1_0_cannot_tell_of_its_power() {
    let Some(path) = provider("life-0.so", "-DPROVIDER_VERSION=0x0100") else {
        return;
    };
    let body = move |machine: &Machine, passive: &mut Passive| {
        let bench = Bench::new(machine, passive, &path);
        let (cargo, channel) = (Cargo::new(machine), bench.allocate(passive).unwrap());
        bench.c(NOTIFY, POWER_DOWN);
        assert_eq!(bench.misuse(), [("NetDmaPnPEventNotify", "NETDMA-110")]);
        cargo.copies(passive, &channel, 1);
    };
    everywhere(body, |_| {});
}

/// Whoever detaches a device with a started provider and a client's channel has stopped it in its own way.
#[test]
fn a_device_that_is_detached_takes_its_channels_with_it() {
    let Some(path) = provider("life-1.so", "-DPROVIDER_VERSION=0x0101") else {
        return;
    };
    let body = move |machine: &Machine, passive: &mut Passive| {
        let bench = Bench::new(machine, passive, &path);
        let (cargo, channel) = (Cargo::new(machine), bench.allocate(passive).unwrap());
        let handle = cargo.copy(passive, &channel, 1).unwrap();
        drop(bench.attached);
        assert_eq!(channel.take(handle), Some(Outcome::COMPLETED));
        assert!(cargo.copy(passive, &channel, 2).is_err());
        assert!(bench.client.providers(passive).is_empty());
        assert_eq!(*bench.misuse.lock().unwrap(), []);
    };
    everywhere(body, |_| {});
}
