//! The 8237A's driver on the 8237A's model, under the whole stack.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod bench;
mod mortal;
mod peripheral;

use bench::driver::{CONTEXT, Told, allocate, flush, free, ready};
use bench::{Bench, expect_clean, explore_runs, strike_runs};
use longshore_core::completion::Verdict;
use longshore_core::event::{Event, Owner, Rule};
use longshore_core::machine::Machine as _;
use longshore_core::scatter::Segments;
use longshore_core::{NtStatus, Passive};
use longshore_drydock::machine::{Device, Machine, Memory};
use longshore_drydock::reference::Port;
use longshore_drydock::{Config, Plan, Run, run};
use longshore_engines::i8237::I8237Controller;
use longshore_engines::i8237::configure::{SET_CASCADE, SET_SERVICE, ServiceMode};
use longshore_hardware::i8237::{Controller as Which, Mode, Service, Transfer};
use longshore_hardware::{AccessError, BusAddress, BusRange, DmaMemory, Lease, Registers, Width};
use longshore_models::i8237::{I8237, Quirks, Slots, Wired};
use longshore_wdm::state::Refusal;
use longshore_wdm::{
    Adapter, AdapterError, Controller, DeviceDescription, DmaWidth, InterruptType, MapError, MapRequest,
    Program, ProgramError, Setup, SystemDma, TransferContext,
};
use mortal::{Broken, Mortal};
use peripheral::Peripheral;
use std::sync::{Arc, Mutex};

const LENGTH: u32 = 24;

/// The channels that devices sit on.
const SEATS: [u32; 4] = [1, 2, 5, 7];

fn pattern(len: u32) -> Vec<u8> {
    (0..len).map(|n| n as u8 ^ (n >> 8) as u8 | 1).collect()
}

fn go(plan: Plan, scenario: impl Fn(&Machine, &mut Passive) + Send + 'static) -> Run {
    run(&Config::default(), &plan, Default::default(), scenario)
}

/// The hardware of a machine: the pair, and a device on each of some channels.
struct Hardware {
    registers: Device,
    devices: Vec<(u32, Peripheral)>,
}

impl Hardware {
    fn new(machine: &Machine, quirks: Quirks) -> Self {
        let mut slots = Slots::new();
        let sit = |channel: u32| {
            let device = Peripheral::new(channel as u8);
            slots.plug(channel as u8, Box::new(device.clone()));
            (channel, device)
        };
        let devices = SEATS.into_iter().map(sit).collect();
        let model = Wired::new(I8237::new().with_quirks(quirks), slots);
        Self {
            registers: machine.attach("8237", Box::new(model), &[]),
            devices,
        }
    }

    fn device(&self, channel: u32) -> &Peripheral {
        let found = self.devices.iter().find(|(seat, _)| *seat == channel);
        &found.unwrap().1
    }

    fn controller(&self) -> I8237Controller<Device> {
        let controller = I8237Controller::new(self.registers.clone());
        controller.initialize();
        controller
    }

    fn bench(&self, machine: &Machine, passive: &Passive) -> Bench {
        bench_of(machine, passive, self.registers.clone())
    }
}

fn bench_of(machine: &Machine, passive: &Passive, ports: impl Registers + 'static) -> Bench {
    let setup = Setup::new(Arc::new(I8237Controller::new(ports)));
    Bench {
        machine: machine.clone(),
        system: SystemDma::register(passive, machine, setup).unwrap(),
        port: Port::default(),
    }
}

const fn width(channel: u32) -> DmaWidth {
    if channel < 4 {
        DmaWidth::BITS_8
    } else {
        DmaWidth::BITS_16
    }
}

fn description(channel: u32) -> DeviceDescription {
    DeviceDescription {
        channel,
        request_line: channel,
        device_address: BusAddress::NULL,
        maximum_length: 0x1_0000,
        auto_initialize: false,
        demand_mode: false,
        width: width(channel),
    }
}

/// One channel with all that a transfer on it needs.
struct Job {
    machine: Machine,
    adapter: Adapter<Machine>,
    context: Arc<TransferContext>,
    buffer: Lease<Memory>,
    device: Peripheral,
    told: Told,
    write: bool,
}

impl Job {
    fn new(
        bench: &Bench,
        passive: &mut Passive,
        hardware: &Hardware,
        channel: u32,
        len: u32,
        write: bool,
    ) -> Self {
        let adapter = bench.system.adapter(passive, description(channel)).unwrap();
        let context = Arc::new(ready(passive, &adapter));
        allocate(bench, passive, &adapter, &context).unwrap();
        let align = u64::from(len).next_power_of_two();
        let memory = bench.machine.memory();
        let buffer = Lease::new(memory.clone(), u64::from(len), align).unwrap();
        let device = hardware.device(channel).clone();
        if write {
            memory.write(buffer.address(), &pattern(len)).unwrap();
        }
        Self {
            machine: bench.machine.clone(),
            adapter,
            context,
            buffer,
            device,
            told: Told::default(),
            write,
        }
    }

    fn len(&self) -> u32 {
        self.buffer.len() as u32
    }

    /// The device gives or takes so many bytes.
    fn offer(&self, bytes: u32) {
        if self.write {
            self.device.make_room(bytes as usize);
        } else {
            self.device.supply(&pattern(self.len())[..bytes as usize]);
        }
    }

    fn map(&self, passive: &Passive) -> Result<u32, MapError> {
        let segments = [self.buffer.range()];
        let told = self.told.clone();
        let request = MapRequest {
            completion: Some(Arc::new(move |_, _, _, _, status| {
                told.0.lock().unwrap().push(status);
            })),
            context: CONTEXT,
            ..MapRequest::new(Segments::new(&segments), self.len(), self.write)
        };
        self.adapter.map_transfer(passive, &self.context, request)
    }

    fn arm_cancel(&self) {
        let (adapter, context) = (self.adapter.clone(), Arc::clone(&self.context));
        self.machine.arm(move |dispatch| {
            let _ = adapter.cancel_mapped(dispatch, &context);
        });
    }

    /// How many bytes are where they belong; all behind them must be untouched.
    fn arrived(&self) -> u32 {
        let bytes = if self.write {
            self.device.taken()
        } else {
            self.machine.look(self.buffer.range())
        };
        let expected = pattern(self.len());
        let arrived = bytes.iter().zip(&expected).take_while(|(a, b)| a == b).count();
        assert!(bytes[arrived..].iter().all(|byte| *byte == 0), "{bytes:?}");
        arrived as u32
    }

    fn wait(&self, passive: &Passive) {
        while self.adapter.poll(passive, &self.context).outcome.is_none() {
            self.machine.relax();
        }
    }

    /// Flushes and frees. Says how it ended, and how many bytes the counter says are left.
    fn end(&self, bench: &Bench, passive: &mut Passive) -> (Verdict, u32) {
        let range = self.buffer.range();
        let verdict = flush(
            &self.adapter,
            &*passive,
            &self.context,
            range,
            self.len(),
            self.write,
        )
        .unwrap();
        let left = self.adapter.read_counter(&*passive);
        free(bench, passive, &self.adapter, &self.context);
        self.adapter.wait_for_callbacks(passive);
        assert_eq!(self.told.count(), 0, "nothing interrupts");
        self.device.clear();
        (verdict, left)
    }
}

/// A whole transfer that nothing disturbs.
fn transfer(bench: &Bench, passive: &mut Passive, hardware: &Hardware, channel: u32, write: bool) {
    let job = Job::new(bench, passive, hardware, channel, LENGTH, write);
    job.offer(LENGTH);
    assert_eq!(job.map(passive), Ok(LENGTH));
    job.wait(passive);
    assert_eq!(job.arrived(), LENGTH);
    assert_eq!(job.end(bench, passive), (Verdict::Completed, 0));
}

/// On the hardware of the data sheet, and on QEMU's.
///
/// Proves: WDM-308.
#[test]
fn a_transfer_each_way_on_each_controller_is_polled_for_and_tells_nobody() {
    for quirks in [Quirks::empty(), Quirks::all()] {
        explore_runs(40, &format!("{quirks:?}"), |plan| {
            go(plan, move |machine, passive| {
                let hardware = Hardware::new(machine, quirks);
                let bench = hardware.bench(machine, passive);
                for channel in SEATS {
                    transfer(&bench, passive, &hardware, channel, true);
                    transfer(&bench, passive, &hardware, channel, false);
                }
            })
        });
    }
}

/// Reading the status of one channel says of three others, once, that they have ended.
#[test]
fn ends_that_are_seen_by_the_way_are_not_lost() {
    explore_runs(60, "", |plan| {
        go(plan, |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let bench = hardware.bench(machine, passive);
            let jobs: Vec<Job> = SEATS
                .iter()
                .map(|&channel| Job::new(&bench, passive, &hardware, channel, LENGTH, channel % 2 == 0))
                .collect();
            for job in &jobs {
                job.offer(LENGTH);
                assert_eq!(job.map(passive), Ok(LENGTH));
            }
            for job in &jobs {
                job.wait(passive);
                assert_eq!(job.arrived(), LENGTH);
                assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
            }
        })
    });
}

/// A transfer that is cancelled at some point, and the one after it.
fn cancelled(machine: &Machine, passive: &mut Passive, channel: u32, write: bool, offered: u32) {
    let hardware = Hardware::new(machine, Quirks::empty());
    let bench = hardware.bench(machine, passive);
    let job = Job::new(&bench, passive, &hardware, channel, LENGTH, write);
    job.offer(offered);
    job.arm_cancel();
    let mapped = job.map(passive);
    if mapped == Err(MapError::Refused(Refusal::Cancelled)) {
        free(&bench, passive, &job.adapter, &job.context);
        assert_eq!(job.arrived(), 0);
        return;
    }
    mapped.unwrap();
    if offered < LENGTH {
        let _ = job.adapter.cancel_mapped(&*passive, &job.context);
    }
    job.wait(passive);
    machine.disarm();
    let arrived = job.arrived();
    let (verdict, left) = job.end(&bench, passive);
    assert_eq!(arrived, LENGTH - left, "exact residual");
    match verdict {
        Verdict::Completed => assert_eq!(left, 0),
        // The status knows to the byte whether it was done: a cancel that says so came in time.
        Verdict::Cancelled => assert!(left > 0, "all was moved, and yet it was cancelled"),
        Verdict::Failed(_) => panic!("nothing failed"),
    }
    transfer(&bench, passive, &hardware, channel, !write);
}

/// Proves: R1.
#[test]
fn cancel_at_every_point_is_decided_truthfully() {
    for (channel, write) in [(1, false), (2, true), (5, true), (7, false)] {
        strike_runs(&format!("{channel}"), |plan| {
            go(plan, move |machine, passive| {
                cancelled(machine, passive, channel, write, LENGTH)
            })
        });
    }
}

/// Proves: PAIN-14.
#[test]
fn a_device_that_starves_is_cancelled_to_the_byte() {
    strike_runs("", |plan| {
        go(plan, |machine, passive| cancelled(machine, passive, 5, false, 10))
    });
}

/// A transfer that the device ends by EOP is not complete.
#[test]
fn a_transfer_that_was_cut_short_is_no_completion() {
    explore_runs(30, "", |plan| {
        go(plan, |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let bench = hardware.bench(machine, passive);
            let job = Job::new(&bench, passive, &hardware, 2, LENGTH, false);
            job.offer(LENGTH);
            job.device.end_after(10);
            job.map(passive).unwrap();
            job.wait(passive);
            assert_eq!(job.arrived(), 10);
            let (verdict, left) = job.end(&bench, passive);
            assert!(matches!(verdict, Verdict::Failed(_)));
            assert_eq!(left, LENGTH - 10);
            transfer(&bench, passive, &hardware, 2, true);
        })
    });
}

/// More than 256 units, so that the count's low byte borrows from its high byte while it is read.
#[test]
fn the_counter_never_tears() {
    for (channel, write) in [(1, true), (7, false)] {
        explore_runs(30, "", |plan| {
            go(plan, move |machine, passive| {
                let hardware = Hardware::new(machine, Quirks::empty());
                let bench = hardware.bench(machine, passive);
                let job = Job::new(&bench, passive, &hardware, channel, 1100, write);
                job.offer(job.len());
                job.map(passive).unwrap();
                let mut before = job.len();
                while job.adapter.poll(&*passive, &job.context).outcome.is_none() {
                    let not_yet = job.len() - job.arrived();
                    let left = job.adapter.read_counter(&*passive);
                    assert!(left <= before && left <= not_yet, "{left} of {not_yet}");
                    assert!(left >= job.len() - job.arrived());
                    before = left;
                    machine.relax();
                }
                assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
            })
        });
    }
}

/// The same count means all and nothing.
#[test]
fn a_whole_page_has_all_left_or_nothing() {
    for (channel, page) in [(1, 0x1_0000), (5, 0x2_0000)] {
        let config = Config {
            memory: 1 << 19,
            point_limit: 1_000_000,
            ..Config::default()
        };
        let run = run(
            &config,
            &Plan::straight(),
            Default::default(),
            move |machine, _| {
                let hardware = Hardware::new(machine, Quirks::empty());
                let controller = hardware.controller();
                let buffer = shared(machine, page, page);
                let segments = [buffer.range()];
                controller.program(channel, &program(channel, &segments)).unwrap();
                assert_eq!(controller.remaining(channel), page as u32);
                assert_eq!(controller.poll(channel), None);
                hardware.device(channel).make_room(page as usize);
                // A device that asks later needs the machine to look.
                let _ = hardware.registers.write(0x0c, Width::Byte, 0);
                while hardware.device(channel).taken().len() < page as usize {
                    machine.relax();
                }
                assert_eq!(controller.remaining(channel), 0);
                assert_eq!(controller.poll(channel), Some(InterruptType::Completion));
                assert_eq!(
                    (controller.poll(channel), controller.remaining(channel)),
                    (None, 0)
                );
            },
        );
        expect_clean(&run);
    }
}

/// Memory that device and test both touch.
fn shared(machine: &Machine, len: u64, align: u64) -> Lease<Memory> {
    let lease = Lease::new(machine.memory(), len, align).unwrap();
    machine.emit(Event::Handover(lease.range(), Owner::Both, Rule("WDM-024")));
    lease
}

fn program(channel: u32, segments: &[BusRange]) -> Program<'_> {
    Program {
        request_line: channel,
        segments: Segments::new(segments),
        device_address: BusAddress::NULL,
        write_to_device: true,
        looped: false,
        demand_mode: false,
        width: width(channel),
    }
}

/// An end that nobody asked about is latched, and so may be half of a number that somebody else began to read.
#[test]
fn nothing_of_what_was_before_is_taken_for_news() {
    let run = go(Plan::straight(), |machine, _| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let controller = hardware.controller();
        // The count of so many, with its bytes the wrong way round, is small enough to be believed.
        let buffer = shared(machine, 0x201, 0x400);
        let segments = [buffer.range()];
        hardware.device(1).make_room(0x201);
        controller.program(1, &program(1, &segments)).unwrap();
        while hardware.device(1).taken().len() < 0x201 {
            machine.relax();
        }
        controller.flush(1);
        assert_eq!((controller.poll(1), controller.remaining(1)), (None, 0));
        controller.program(1, &program(1, &segments)).unwrap();
        hardware.registers.read(0x02, Width::Byte).unwrap();
        assert_eq!((controller.poll(1), controller.remaining(1)), (None, 0x201));
        assert!(controller.cancel(1));
    });
    expect_clean(&run);
}

/// Proves: RL-10.
#[test]
fn a_loop_starts_over_and_its_counter_follows_it() {
    const LAP: u32 = 20;
    explore_runs(40, "", |plan| {
        go(plan, |machine, _| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let controller = hardware.controller();
            let buffer = shared(machine, u64::from(LAP), 64);
            let segments = [buffer.range()];
            let looped = Program {
                looped: true,
                ..program(1, &segments)
            };
            let device = hardware.device(1);
            device.make_room(50);
            controller.program(1, &looped).unwrap();
            let mut periods = 0;
            while device.taken().len() < 50 {
                let before = device.taken().len() as u32;
                let left = controller.remaining(1);
                let after = device.taken().len() as u32;
                assert!((1..=LAP).contains(&left));
                let fits = (before..=after).any(|moved| LAP - moved % LAP == left);
                assert!(fits, "{left} between {before} and {after}");
                machine.relax();
                if controller.poll(1) == Some(InterruptType::Completion) {
                    periods += 1;
                }
            }
            periods += u32::from(controller.poll(1).is_some());
            // Periods that nobody asked about in between are one.
            assert!((1..=2).contains(&periods));
            assert_eq!(controller.poll(1), None);
            assert_eq!(controller.remaining(1), 10);
            assert!(controller.cancel(1));
            assert!(!controller.cancel(1));
            assert_eq!(controller.remaining(1), 10);
        })
    });
}

/// Ports that note what is written and give back what a masked channel holds.
#[derive(Clone, Default)]
struct Recorder {
    writes: Arc<Mutex<Vec<(u64, u64)>>>,
    model: Arc<Mutex<I8237>>,
}

impl Registers for Recorder {
    fn read(&self, offset: u64, _: Width) -> Result<u64, AccessError> {
        self.model.lock().unwrap().read(offset as u16).map(u64::from)
    }

    fn write(&self, offset: u64, width: Width, value: u64) -> Result<(), AccessError> {
        assert_eq!(width, Width::Byte);
        self.writes.lock().unwrap().push((offset, value));
        self.model.lock().unwrap().write(offset as u16, value as u8)
    }
}

/// The bytes that drivers of the AT have always written: a sector to the floppy disk's channel, and words to channel 5.
///
/// Proves: PAIN-19.
#[test]
fn registers_are_written_in_the_order_that_works_everywhere() {
    let ports = Recorder::default();
    let controller = I8237Controller::new(ports.clone());
    controller.initialize();
    let written = || std::mem::take(&mut *ports.writes.lock().unwrap());
    assert_eq!(
        written(),
        [
            (0x0f, 0x0f),
            (0x0d, 0),
            (0xde, 0x0f),
            (0xda, 0),
            (0xd6, 0xc0),
            (0xd4, 0x00)
        ]
    );
    let sector = [BusRange::new(BusAddress::new(0x2_fe00), 512).unwrap()];
    let read = Program {
        write_to_device: false,
        ..program(2, &sector)
    };
    controller.program(2, &read).unwrap();
    let begin = [(0x0a, 0x06), (0x0c, 0), (0x0b, 0x46), (0x04, 0x00), (0x04, 0xfe)];
    let end = [(0x81, 0x02), (0x05, 0xff), (0x05, 0x01), (0x0a, 0x02)];
    assert_eq!(written(), [&begin[..], &end].concat());
    let words = [BusRange::new(BusAddress::new(0x3_0002), 0x204).unwrap()];
    let sound = Program {
        looped: true,
        demand_mode: true,
        ..program(5, &words)
    };
    controller.program(5, &sound).unwrap();
    let begin = [(0xd4, 0x05), (0xd8, 0), (0xd6, 0x19), (0xc4, 0x01), (0xc4, 0x80)];
    let end = [(0x8b, 0x02), (0xc6, 0x01), (0xc6, 0x01), (0xd4, 0x01)];
    assert_eq!(written(), [&begin[..], &end].concat());
}

/// Proves: PAIN-19.
#[test]
fn high_pages_are_written_where_there_are_some() {
    let ports = Recorder::default();
    *ports.model.lock().unwrap() = I8237::new().with_high_pages();
    let controller = I8237Controller::with_high_pages(ports.clone());
    assert_eq!(controller.attributes().address_width, 32);
    controller.initialize();
    let high = [BusRange::new(BusAddress::new(0x1234_5678), 8).unwrap()];
    controller.program(1, &program(1, &high)).unwrap();
    let writes = ports.writes.lock().unwrap();
    assert!(writes.contains(&(0x83, 0x34)) && writes.contains(&(0x483, 0x12)));
}

/// Proves: PAIN-19.
#[test]
fn what_the_pair_cannot_do_is_refused_and_nothing_starts() {
    let ports = Recorder::default();
    let controller = I8237Controller::new(ports.clone());
    controller.initialize();
    ports.writes.lock().unwrap().clear();
    let try_on = |channel: u32, start: u64, len: u64| {
        let range = [BusRange::new(BusAddress::new(start), len).unwrap()];
        controller.program(channel, &program(channel, &range))
    };
    for (channel, start, len) in [
        (1, 0xffff, 2),
        (1, 0x1_0000, 0x1_0001),
        (5, 0x1_fffe, 4),
        (1, 1 << 24, 1),
        (1, (1 << 24) - 1, 2),
    ] {
        assert_eq!(try_on(channel, start, len), Err(ProgramError::Unreachable));
    }
    for (start, len) in [(0x101, 2), (0x100, 3), (0x100, 0)] {
        assert_eq!(try_on(6, start, len), Err(ProgramError::Unsupported));
    }
    for channel in [4, 8, u32::MAX] {
        assert_eq!(try_on(channel, 0x100, 2), Err(ProgramError::NoChannel));
    }
    let two = [BusRange::new(BusAddress::new(0x100), 2).unwrap(); 2];
    assert_eq!(
        controller.program(1, &program(1, &two)),
        Err(ProgramError::TooManyFragments)
    );
    let wide = Program {
        width: DmaWidth::BITS_16,
        ..program(1, &two[..1])
    };
    assert_eq!(controller.program(1, &wide), Err(ProgramError::Unsupported));
    assert_eq!(*ports.writes.lock().unwrap(), []);
    for (line, channel, good) in [
        (1, 1, true),
        (7, 7, true),
        (4, 4, false),
        (1, 2, false),
        (8, 8, false),
    ] {
        assert_eq!(controller.validate_request_line_binding(line, channel), good);
    }
    let five = controller.channel(5);
    assert_eq!((five.minimum_unit, five.boundary), (2, Which::Second.page_size()));
    assert_eq!(controller.channel(0).boundary, Which::First.page_size());
}

#[test]
fn channel_4_has_no_adapter() {
    let run = go(Plan::straight(), |machine, passive| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let bench = hardware.bench(machine, passive);
        let refused = bench.system.adapter(passive, description(4)).map(|_| ());
        assert_eq!(refused, Err(AdapterError::BadBinding));
    });
    expect_clean(&run);
}

/// Proves: WDM-210, WDM-211, RL-11.
#[test]
fn a_driver_configures_its_channel_before_the_map() {
    let run = go(Plan::straight(), |machine, passive| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let bench = hardware.bench(machine, passive);
        let job = Job::new(&bench, passive, &hardware, 1, LENGTH, true);
        let configure = |function, argument| {
            let level = Passive::now(machine).unwrap();
            job.adapter
                .configure(&level, &job.context, function, argument)
                .unwrap()
        };
        assert_eq!(configure(0x8000, 0), NtStatus::NOT_IMPLEMENTED);
        assert_eq!(configure(SET_SERVICE, 4), NtStatus::INVALID_PARAMETER);
        assert_eq!(configure(SET_CASCADE, 2), NtStatus::INVALID_PARAMETER);
        assert_eq!(
            configure(SET_SERVICE, ServiceMode::Block as usize),
            NtStatus::SUCCESS
        );
        // One request moves everything.
        job.offer(1);
        job.map(passive).unwrap();
        for argument in [0, 9] {
            assert_eq!(configure(SET_SERVICE, argument), NtStatus::INVALID_DEVICE_STATE);
        }
        assert_eq!(configure(SET_CASCADE, 1), NtStatus::INVALID_DEVICE_STATE);
        job.wait(passive);
        assert_eq!(job.arrived(), LENGTH);
        assert_eq!(job.end(&bench, passive), (Verdict::Completed, 0));
    });
    expect_clean(&run);
}

#[test]
fn each_service_is_told_to_the_mode_register() {
    let memory = [BusRange::new(BusAddress::new(0x100), 2).unwrap()];
    for (number, plain, demand) in [
        (0, Service::Single, Service::Demand),
        (1, Service::Demand, Service::Demand),
        (2, Service::Single, Service::Single),
        (3, Service::Block, Service::Block),
    ] {
        for (demand_mode, service) in [(false, plain), (true, demand)] {
            let ports = Recorder::default();
            let controller = I8237Controller::new(ports.clone());
            controller.initialize();
            assert_eq!(controller.configure(3, SET_SERVICE, number), NtStatus::SUCCESS);
            let program = Program {
                demand_mode,
                ..program(3, &memory)
            };
            controller.program(3, &program).unwrap();
            let mode = u64::from(Mode::new(3, Transfer::Read, service).raw());
            assert!(ports.writes.lock().unwrap().contains(&(0x0b, mode)));
        }
    }
}

#[test]
fn a_bus_master_gets_its_channel_and_gives_it_back() {
    let run = go(Plan::straight(), |machine, _| {
        let hardware = Hardware::new(machine, Quirks::empty());
        let controller = hardware.controller();
        let device = hardware.device(5);
        let buffer = shared(machine, 2, 2);
        let segments = [buffer.range()];
        device.make_room(2);
        assert_eq!(controller.configure(5, SET_CASCADE, 1), NtStatus::SUCCESS);
        for _ in 0..20 {
            machine.relax();
        }
        assert!(device.acknowledged() > 0 && device.taken().is_empty());
        assert_eq!(
            controller.program(5, &program(5, &segments)),
            Err(ProgramError::NoChannel)
        );
        assert!(!controller.cancel(5));
        assert_eq!(controller.configure(5, SET_CASCADE, 0), NtStatus::SUCCESS);
        let before = device.acknowledged();
        for _ in 0..20 {
            machine.relax();
        }
        assert_eq!(device.acknowledged(), before);
        assert_eq!(controller.program(5, &program(5, &segments)), Ok(()));
        assert!(controller.cancel(5));
        assert_eq!(
            controller.configure(4, SET_CASCADE, 1),
            NtStatus::INVALID_PARAMETER
        );
    });
    expect_clean(&run);
}

/// Channels that run for somebody who is gone, and a flip-flop in the middle.
///
/// Proves: PAIN-01.
#[test]
fn attaching_starts_from_whatever_was_left_behind() {
    for seed in 0..100u64 {
        let run = go(Plan::seed(seed), move |machine, passive| {
            let hardware = Hardware::new(machine, Quirks::empty());
            let memory = shared(machine, 64, 64);
            let former = hardware.controller();
            let (byte, word) = (
                [memory.range().slice(0, 32).unwrap()],
                [memory.range().slice(32, 32).unwrap()],
            );
            hardware.device(1).make_room(32);
            hardware.device(5).supply(&[7; 32]);
            former.program(1, &program(1, &byte)).unwrap();
            let from_device = Program {
                write_to_device: false,
                looped: seed % 3 == 0,
                ..program(5, &word)
            };
            former.program(5, &from_device).unwrap();
            for _ in 0..seed % 20 {
                machine.relax();
            }
            for port in [0x00, 0xc0] {
                let _ = hardware.registers.write(port, Width::Byte, seed & 0xff);
            }
            if seed % 2 == 0 {
                let _ = hardware.registers.write(0xd0, Width::Byte, 0x04);
            }
            let bench = hardware.bench(machine, passive);
            let (quiet, taken) = (machine.look(memory.range()), hardware.device(1).taken());
            for _ in 0..20 {
                machine.relax();
            }
            assert_eq!(machine.look(memory.range()), quiet, "a channel went on");
            assert_eq!(hardware.device(1).taken(), taken);
            for channel in SEATS {
                hardware.device(channel).clear();
                transfer(&bench, passive, &hardware, channel, channel != 2);
            }
        });
        expect_clean(&run);
    }
}

/// A pair that is gone before any access.
///
/// Proves: PAIN-03.
#[test]
fn a_pair_that_is_gone_neither_hangs_nor_lies() {
    for how in [Broken::Gone, Broken::Ones] {
        for after in 0..120 {
            let run = go(Plan::straight(), move |machine, passive| {
                let hardware = Hardware::new(machine, Quirks::empty());
                let ports = Mortal::new(hardware.registers.clone(), after, how);
                let bench = bench_of(machine, passive, ports.clone());
                let job = Job::new(&bench, passive, &hardware, 5, LENGTH, true);
                job.offer(LENGTH);
                let was_dead = ports.accesses() >= after;
                let mapped = job.map(passive);
                assert!(!was_dead || mapped.is_err());
                if let Err(error) = mapped {
                    assert_eq!(error, MapError::NotStarted);
                    free(&bench, passive, &job.adapter, &job.context);
                } else {
                    for _ in 0..50 {
                        machine.relax();
                        let _ = job.adapter.poll(&*passive, &job.context);
                    }
                    let _ = job.adapter.cancel_mapped(&*passive, &job.context);
                    assert!(job.adapter.poll(&*passive, &job.context).outcome.is_some());
                    let arrived = job.arrived();
                    let (verdict, left) = job.end(&bench, passive);
                    assert!(arrived >= LENGTH - left, "{verdict:?}, {left}");
                    assert!(verdict != Verdict::Completed || arrived == LENGTH);
                }
                assert!(ports.accesses() < 1_000);
            });
            expect_clean(&run);
        }
    }
}
