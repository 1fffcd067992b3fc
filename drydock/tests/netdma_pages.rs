//! The two NetDMA pages, statement by statement, on the CPU engine: completing a transfer, and ProviderAbortDma.

#![allow(clippy::unwrap_used)] // What a test sets up works, or the test has failed.

use longshore_core::event::{Event, Owner};
use longshore_core::machine::{Cpu, Machine as _};
use longshore_core::{Device, Dispatch, Irql, NtStatus, Passive, Rule};
use longshore_drydock::machine::{Machine, Memory, What};
use longshore_drydock::{Config as Dock, Fault, Plan, Run, run};
use longshore_engines::cpu::{Config, CpuEngine};
use longshore_hardware::netdma::{
    CompletionWord, ControlFlags, DESCRIPTOR_SIZE, Descriptor, TransferStatus, offset,
};
use longshore_hardware::{BusAddress, DmaMemory, Lease};
use longshore_netdma::provider::AllocateError;
use longshore_netdma::{
    Allocated, Attributes, Channel, ChannelInterface, ChannelParameters, Characteristics, Completion,
    Handlers, Provider, ProviderChannel,
};
use std::sync::{Arc, Mutex};

const STATUS: ControlFlags = ControlFlags::STATUS_UPDATE_ON_COMPLETION;
const INTERRUPT: ControlFlags = ControlFlags::INTERRUPT_ON_COMPLETION;
const SIZE: u64 = 64;

/// What the provider told NetDMA: the level, and the descriptor.
#[derive(Default)]
struct Told {
    isr: Mutex<Vec<(Irql, BusAddress)>>,
    dpc: Mutex<Vec<(Irql, BusAddress)>>,
}

struct Interface(Machine, Arc<Told>);

impl ChannelInterface for Interface {
    fn isr(&self, _: &Device, last: BusAddress) -> Cpu {
        self.1.isr.lock().unwrap().push((self.0.level(), last));
        Cpu(1)
    }

    fn interrupt_dpc(&self, _: &Dispatch, last: BusAddress) {
        assert_eq!(
            self.0.cpu(),
            Cpu(1),
            "the deferred call runs where NetDmaIsr said"
        );
        self.1.dpc.lock().unwrap().push((self.0.level(), last));
    }
}

/// A channel and its memory.
struct Rig {
    machine: Machine,
    channel: Arc<dyn ProviderChannel>,
    told: Arc<Told>,
    descriptors: Lease<Memory>,
    word: Lease<Memory>,
    data: Lease<Memory>,
}

fn engine(machine: &Machine, passive: &Passive) -> Arc<CpuEngine<Machine>> {
    let cpu = machine.engine_cpu();
    let config = Config {
        channels: 2,
        piece: 16,
        cpu,
        patience: 1_000,
        ..Config::default()
    };
    Arc::new(CpuEngine::open(passive, machine, config))
}

impl Rig {
    fn new(machine: &Machine, passive: &Passive, provider: &dyn Provider) -> Self {
        let lease = |len| Lease::new(machine.memory(), len, 64).unwrap();
        let (descriptors, word, data) = (lease(8 * DESCRIPTOR_SIZE), lease(64), lease(16 * SIZE));
        for lease in [&descriptors, &word, &data] {
            machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("NETDMA-079")));
        }
        // Memory comes as it was left.
        machine.memory().write(word.address(), &[0; 64]).unwrap();
        machine
            .memory()
            .write(data.address(), &[0; 16 * SIZE as usize])
            .unwrap();
        let bytes: Vec<u8> = (0..8 * SIZE).map(|at| at as u8 | 1).collect();
        machine.memory().write(data.address(), &bytes).unwrap();
        let told = Arc::new(Told::default());
        let parameters = ChannelParameters::new(word.address(), 3);
        let interface = Arc::new(Interface(machine.clone(), Arc::clone(&told)));
        let channel = provider
            .allocate_channel(passive.into(), parameters, interface)
            .unwrap()
            .channel;
        Self {
            machine: machine.clone(),
            channel,
            told,
            descriptors,
            word,
            data,
        }
    }

    fn descriptor(&self, slot: u64) -> BusAddress {
        self.descriptors
            .address()
            .checked_add(slot * DESCRIPTOR_SIZE)
            .unwrap()
    }

    fn data(&self, slot: u64) -> BusAddress {
        self.data.address().checked_add(slot * SIZE).unwrap()
    }

    /// Writes the descriptors of `slots`, linked, with these flags.
    fn prepare(&self, slots: std::ops::Range<u64>, control: impl Fn(u64) -> ControlFlags) {
        for slot in slots.clone() {
            let mut content = Descriptor::copy(self.data(8 + slot), self.data(slot), SIZE as u32);
            content.control = control(slot);
            if slot + 1 < slots.end {
                content.next = self.descriptor(slot + 1);
            }
            self.machine
                .memory()
                .write(self.descriptor(slot), &content.emit())
                .unwrap();
        }
    }

    fn start(&self, passive: &Passive, slots: std::ops::Range<u64>) -> Result<(), NtStatus> {
        let count = u32::try_from(slots.end - slots.start).unwrap();
        self.channel
            .start(passive.into(), self.descriptor(slots.start), count)
            .map_err(|error| error.status())
    }

    fn word(&self) -> CompletionWord {
        CompletionWord::from_raw(self.machine.memory().load_u64(self.word.address()).unwrap())
    }

    fn bytes(&self, slot: u64) -> Vec<u8> {
        let mut bytes = vec![0; SIZE as usize];
        self.machine.memory().read(self.data(slot), &mut bytes).unwrap();
        bytes
    }

    fn is_copied(&self, slot: u64) -> bool {
        self.bytes(slot) == self.bytes(8 + slot)
    }

    fn is_untouched(&self, slot: u64) -> bool {
        self.bytes(8 + slot).iter().all(|&byte| byte == 0)
    }

    /// Lets the engine run until it has nothing left to do.
    fn settle(&self) {
        (0..500).for_each(|_| self.machine.relax());
    }

    fn close(self, passive: &Passive) {
        self.channel.free(passive.into());
    }
}

fn clean(run: &Run) {
    let steps: Vec<String> = run.trace.iter().map(|step| format!("{step}\n")).collect();
    assert!(run.findings.is_empty(), "{:?}\n{}", run.findings, steps.concat());
}

/// Runs a scenario straight on and under random walks; none may find anything.
fn everywhere(scenario: fn(&Machine, &mut Passive)) {
    for plan in std::iter::once(Plan::straight()).chain((0..100).map(Plan::seed)) {
        clean(&run(&Dock::default(), &plan, Default::default(), scenario));
    }
}

/// Proves: SEED-003-1, SEED-003-3, SEED-003-4, SEED-003-5, SEED-003-9, SEED-003-12, SEED-003-13, NETDMA-063, NETDMA-080.
#[test]
fn each_descriptor_chooses_between_word_interrupt_both_and_neither() {
    everywhere(|machine, passive| {
        let engine = engine(machine, passive);
        for (control, word, interrupts) in [
            (ControlFlags::empty(), false, 0),
            (STATUS, true, 0),
            (INTERRUPT, false, 1),
            (STATUS | INTERRUPT, true, 1),
        ] {
            let rig = Rig::new(machine, passive, engine.as_ref());
            rig.prepare(0..1, |_| control);
            assert_eq!(rig.start(passive, 0..1), Ok(()));
            rig.settle();
            assert!(rig.is_copied(0), "{control:?}");
            let wanted = if word {
                CompletionWord::new(rig.descriptor(0), TransferStatus::IDLE).raw()
            } else {
                0
            };
            assert_eq!(rig.word().raw(), wanted, "{control:?}");
            assert_eq!(rig.told.isr.lock().unwrap().len(), interrupts, "{control:?}");
            assert_eq!(rig.told.dpc.lock().unwrap().len(), interrupts, "{control:?}");
            rig.close(passive);
        }
    });
}

/// Proves: SEED-003-2, SEED-003-6, SEED-003-8, NETDMA-084, NETDMA-086.
#[test]
fn the_word_names_each_descriptor_that_asks_for_it_when_its_data_is_there() {
    everywhere(|machine, passive| {
        let engine = engine(machine, passive);
        let rig = Rig::new(machine, passive, engine.as_ref());
        rig.prepare(
            0..4,
            |slot| if slot == 1 { ControlFlags::empty() } else { STATUS },
        );
        assert_eq!(rig.start(passive, 0..4), Ok(()));
        let mut seen = vec![0];
        for _ in 0..800 {
            let word = rig.word();
            if seen.last() != Some(&word.raw()) {
                seen.push(word.raw());
                let last = (word.descriptor().raw() - rig.descriptor(0).raw()) / DESCRIPTOR_SIZE;
                assert!(
                    (0..=last).all(|slot| rig.is_copied(slot)),
                    "{word:?} came before its data"
                );
            }
            machine.relax();
        }
        let word = |slot, status| CompletionWord::new(rig.descriptor(slot), status).raw();
        // A slow reader may miss words, but never sees another one, nor one out of order.
        let all = [
            0,
            word(0, TransferStatus::ACTIVE),
            word(2, TransferStatus::ACTIVE),
            word(3, TransferStatus::IDLE),
        ];
        let mut rest = all.iter();
        assert!(
            seen.iter().all(|value| rest.any(|known| known == value)),
            "{seen:x?} is not part of {all:x?}"
        );
        assert_eq!(seen.last(), all.last());
        rig.close(passive);
    });
}

/// Proves: SEED-003-14, NETDMA-100, NETDMA-102.
#[test]
fn the_interrupt_handler_hands_on_the_last_completed_descriptor() {
    everywhere(|machine, passive| {
        let engine = engine(machine, passive);
        let rig = Rig::new(machine, passive, engine.as_ref());
        rig.prepare(0..2, |slot| if slot == 1 { STATUS | INTERRUPT } else { STATUS });
        assert_eq!(rig.start(passive, 0..2), Ok(()));
        rig.settle();
        assert_eq!(*rig.told.isr.lock().unwrap(), [(Irql::DEVICE, rig.descriptor(1))]);
        assert_eq!(
            *rig.told.dpc.lock().unwrap(),
            [(Irql::DISPATCH, rig.descriptor(1))]
        );
        rig.close(passive);
    });
}

/// One channel is cut at a point while another one of the same engine runs; says what became of the first.
fn abort_at(point: u32) -> Option<u64> {
    let seen = Arc::new(Mutex::new(None));
    let cut = Arc::clone(&seen);
    let run = run(
        &Dock::default(),
        &Plan::straight().strike_at(point),
        Default::default(),
        move |machine, passive| {
            let engine = engine(machine, passive);
            let (rig, other) = (
                Rig::new(machine, passive, engine.as_ref()),
                Rig::new(machine, passive, engine.as_ref()),
            );
            rig.prepare(0..4, |_| STATUS);
            other.prepare(0..4, |_| STATUS);
            assert_eq!(
                (rig.start(passive, 0..4), other.start(passive, 0..4)),
                (Ok(()), Ok(()))
            );
            let (channel, state) = (Arc::clone(&rig.channel), machine.clone());
            machine.arm(move |dispatch| {
                state.emit(Event::Call("ProviderAbortDma"));
                assert_eq!(channel.abort(dispatch.into()), Ok(()));
                state.emit(Event::Return("ProviderAbortDma", NtStatus::SUCCESS));
            });
            rig.settle();
            machine.disarm();
            if machine.struck() && rig.word().status() == TransferStatus::HALTED {
                let done = judge_aborted(&rig, passive);
                *cut.lock().unwrap() = Some(done);
            }
            assert!(
                (0..4).all(|slot| other.is_copied(slot)),
                "the other channel was disturbed"
            );
            assert_eq!(
                other.word(),
                CompletionWord::new(other.descriptor(3), TransferStatus::IDLE)
            );
            rig.close(passive);
            other.close(passive);
        },
    );
    clean(&run);
    seen.lock().unwrap().take()
}

/// What an abort leaves behind. Returns how many descriptors were done.
fn judge_aborted(rig: &Rig, passive: &Passive) -> u64 {
    let last = rig.word().descriptor();
    let done = if last.is_null() {
        0
    } else {
        (last.raw() - rig.descriptor(0).raw()) / DESCRIPTOR_SIZE + 1
    };
    assert!((0..done).all(|slot| rig.is_copied(slot)));
    assert!(
        (done + 1..4).all(|slot| rig.is_untouched(slot)),
        "a transfer behind the current one went on"
    );
    // Append is refused until the restart, and has no effect.
    rig.prepare(4..5, |_| STATUS);
    let link = rig.descriptor(3).checked_add(offset::NEXT).unwrap();
    rig.machine
        .memory()
        .store_u64(link, rig.descriptor(4).raw())
        .unwrap();
    let appended = rig
        .channel
        .append(passive.into(), rig.descriptor(4), 1)
        .map_err(|error| error.status());
    assert_eq!(appended, Err(NtStatus::UNSUCCESSFUL));
    assert_eq!(rig.word(), CompletionWord::new(last, TransferStatus::HALTED));
    rig.prepare(5..7, |_| STATUS);
    assert_eq!(rig.start(passive, 5..7), Ok(()));
    rig.settle();
    assert!(rig.is_copied(5) && rig.is_copied(6) && rig.is_untouched(4));
    assert_eq!(
        rig.word(),
        CompletionWord::new(rig.descriptor(6), TransferStatus::IDLE)
    );
    done
}

/// Proves: SEED-004-1, SEED-004-2, SEED-004-5, SEED-004-7, SEED-004-8, SEED-004-9, NETDMA-092, AMB-04, RACE-3.
#[test]
fn an_abort_at_every_point_halts_one_channel_which_starts_again() {
    let points = run(
        &Dock::default(),
        &Plan::straight(),
        Default::default(),
        |machine, passive| {
            let engine = engine(machine, passive);
            let rig = Rig::new(machine, passive, engine.as_ref());
            rig.prepare(0..4, |_| STATUS);
            assert_eq!(rig.start(passive, 0..4), Ok(()));
            machine.arm(|_| {});
            rig.settle();
            machine.disarm();
            rig.close(passive);
        },
    )
    .armed_points;
    let done: Vec<u64> = (0..2 * points).filter_map(abort_at).collect();
    for wanted in 0..=4 {
        assert!(
            done.contains(&wanted),
            "no abort came with {wanted} descriptors done: {done:?}"
        );
    }
}

/// Proves: SEED-004-6.
#[test]
fn an_abort_does_not_complete_the_data_of_the_current_descriptor() {
    let torn = (0..200).filter(|&point| {
        let run = run(
            &Dock::default(),
            &Plan::straight().strike_at(point),
            Default::default(),
            |machine, passive| {
                let engine = engine(machine, passive);
                let rig = Rig::new(machine, passive, engine.as_ref());
                rig.prepare(0..1, |_| STATUS);
                assert_eq!(rig.start(passive, 0..1), Ok(()));
                let channel = Arc::clone(&rig.channel);
                machine.arm(move |dispatch| assert_eq!(channel.abort(dispatch.into()), Ok(())));
                rig.settle();
                machine.disarm();
                let bytes = rig.bytes(8);
                let moved = bytes.iter().filter(|&&byte| byte != 0).count();
                if rig.word() == CompletionWord::new(BusAddress::NULL, TransferStatus::HALTED) {
                    assert!(
                        moved < SIZE as usize,
                        "all bytes were moved, though the descriptor was cut"
                    );
                    if moved > 0 {
                        machine.emit(Event::Note("torn"));
                    }
                }
                rig.close(passive);
            },
        );
        clean(&run);
        run.trace
            .iter()
            .any(|step| step.what == What::Event(Event::Note("torn")))
    });
    assert!(
        torn.count() > 3,
        "hardly any abort came in the middle of the data"
    );
}

/// Proves: SEED-004-3, AMB-14.
#[test]
fn an_abort_says_unsuccessful_where_the_engine_does_not_answer() {
    let plan = Plan::straight().with_fault(Fault::Stall {
        at: 30,
        micros: u32::MAX,
    });
    let run = run(&Dock::default(), &plan, Default::default(), |machine, passive| {
        let engine = engine(machine, passive);
        let rig = Rig::new(machine, passive, engine.as_ref());
        rig.prepare(0..4, |_| STATUS);
        assert_eq!(rig.start(passive, 0..4), Ok(()));
        machine.arm(|_| {});
        rig.settle();
        let aborted = rig
            .channel
            .abort((&*passive).into())
            .map_err(|error| error.status());
        assert_eq!(aborted, Err(NtStatus::UNSUCCESSFUL));
        assert_ne!(rig.word().status(), TransferStatus::HALTED);
        machine.keep((rig.descriptors, rig.word, rig.data, rig.channel, engine));
    });
    clean(&run);
}

/// A provider whose optional abort is absent.
struct WithoutAbort(Arc<CpuEngine<Machine>>);

impl Provider for WithoutAbort {
    fn characteristics(&self) -> Characteristics {
        let all = self.0.characteristics();
        Characteristics {
            handlers: all.handlers - Handlers::ABORT,
            ..all
        }
    }

    fn attributes(&self) -> Attributes {
        self.0.attributes()
    }

    fn allocate_channel(
        &self,
        level: longshore_core::AtMostDispatch<'_>,
        parameters: ChannelParameters,
        interface: Arc<dyn ChannelInterface>,
    ) -> Result<Allocated, AllocateError> {
        self.0.allocate_channel(level, parameters, interface)
    }
}

/// Proves: SEED-004-4, AMB-12.
#[test]
fn where_there_is_no_abort_the_interface_resets() {
    everywhere(|machine, passive| {
        let provider = WithoutAbort(engine(machine, passive));
        let channel = Channel::open(passive, machine, &provider, 4).unwrap();
        let lease = |len| Lease::new(machine.memory(), len, 64).unwrap();
        let (source, destination) = (lease(SIZE), lease(SIZE));
        let (to, from) = (destination.address(), source.address());
        let handle = channel
            .copy((&*passive).into(), to, from, SIZE, Completion::all())
            .unwrap();
        assert_eq!(channel.abort((&*passive).into()), Ok(()));
        assert!(channel.take(handle).is_some());
        machine.emit(Event::Note("aborted"));
    });
    let run = run(
        &Dock::default(),
        &Plan::straight(),
        Default::default(),
        |machine, passive| {
            let provider = WithoutAbort(engine(machine, passive));
            let channel = Channel::open(passive, machine, &provider, 4).unwrap();
            assert_eq!(channel.abort((&*passive).into()), Ok(()));
        },
    );
    let called = |name| {
        run.trace
            .iter()
            .any(|step| step.what == What::Event(Event::Call(name)))
    };
    assert!(called("ProviderResetChannel") && !called("ProviderAbortDma"));
}
