//! The 8237A's driver by itself: what it writes to the ports, and what it reads out of them.
#![allow(clippy::unwrap_used)] // Scenarios are tests, though not each function is one.

mod at;
mod bench;

use at::{Hardware, program};
use bench::{expect_clean, explore_runs, go, shared};
use longshore_core::NtStatus;
use longshore_core::machine::Machine as _;
use longshore_drydock::{Config, Plan, run};
use longshore_engines::i8237::I8237Controller;
use longshore_engines::i8237::configure::{SET_CASCADE, SET_SERVICE};
use longshore_hardware::i8237::{Controller as Which, Mode, Service, Transfer};
use longshore_hardware::{AccessError, BusAddress, BusRange, Registers, Width};
use longshore_models::i8237::{I8237, Quirks};
use longshore_wdm::{Controller, DmaWidth, InterruptType, Program, ProgramError};
use std::sync::{Arc, Mutex};

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
