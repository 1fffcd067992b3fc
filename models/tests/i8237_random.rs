//! The 8237A under random software, devices and saved state.
#![cfg(feature = "vectors")]

mod bench;

use bench::Ram;
use longshore_hardware::i8237::{self as facts, Controller};
use longshore_models::i8237::{Cycle, I8237, Quirks, Requester};
use longshore_models::{Snapshot, Step};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// Devices that do what a random number says.
#[derive(Clone, Debug, Default, PartialEq)]
struct Noise {
    dreq: u8,
    eop: u8,
    next: u16,
    taken: Vec<u16>,
}

impl Requester for Noise {
    fn dreq(&mut self, channel: u8) -> bool {
        self.dreq & 1 << channel != 0
    }

    fn give(&mut self, _: Cycle) -> u16 {
        self.next = self.next.wrapping_mul(25_173).wrapping_add(13_849);
        self.next
    }

    fn take(&mut self, _: Cycle, data: u16) {
        self.taken.push(data);
    }

    fn pulls_eop(&mut self, channel: u8) -> bool {
        self.eop & 1 << channel != 0
    }
}

#[derive(Clone, Debug)]
enum Op {
    Read(u16),
    Write(u16, u8),
    Devices(u8, u8),
    Step(u8),
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![6 => 0x00..0x10u16, 6 => 0xc0..0xe0u16, 2 => 0x80..0x90u16, 1 => 0x480..0x490u16, 1 => any::<u16>()]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        2 => port().prop_map(Op::Read),
        8 => (port(), any::<u8>()).prop_map(|(port, value)| Op::Write(port, value)),
        2 => any::<(u8, u8)>().prop_map(|(dreq, eop)| Op::Devices(dreq, eop & 0x11)),
        4 => (1..20u8).prop_map(Op::Step),
    ]
}

/// Channel 4 passes controller 1 on, as after the firmware; then whatever software likes.
fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..120).prop_map(|mut ops| {
        ops.splice(
            0..0,
            [
                Op::Write(0xd6, 0xc0),
                Op::Write(0xd4, 0x00),
                Op::Write(0x0e, 0),
                Op::Write(0xde, 0),
            ],
        );
        ops
    })
}

#[derive(Clone, Debug, PartialEq)]
struct World {
    dma: I8237,
    ram: Ram,
    noise: Noise,
}

impl World {
    fn new(dma: I8237) -> Self {
        Self {
            dma,
            ram: Ram::default(),
            noise: Noise::default(),
        }
    }

    /// Does it, and says what software saw.
    fn apply(&mut self, op: &Op, mut after_step: impl FnMut(&mut Self)) -> Option<u8> {
        match *op {
            Op::Read(port) => return self.dma.read(port).ok(),
            Op::Write(port, value) => drop(self.dma.write(port, value)),
            Op::Devices(dreq, eop) => (self.noise.dreq, self.noise.eop) = (dreq, eop),
            Op::Step(times) => {
                for _ in 0..times {
                    self.ram.accesses.clear();
                    if self.dma.step(&mut self.ram, &mut self.noise) == Step::Idle {
                        assert_eq!(self.ram.accesses, []);
                    }
                    after_step(self);
                }
            }
        }
        None
    }
}

/// Whether the access lies in the page of some channel, and is as wide as the channel.
fn is_in_a_page(dma: &mut I8237, (address, len): (u64, usize)) -> bool {
    (0..8)
        .filter(|&channel| channel != facts::CASCADE_CHANNEL)
        .any(|channel| {
            let controller = Controller::of(channel);
            let page = dma.read(facts::page_port(channel)).expect("a page register") & controller.page_mask();
            let high = dma.read(facts::high_page_port(channel)).unwrap_or(0);
            let base = u64::from(high) << 24 | u64::from(page) << 16;
            let inside = (base..base + controller.page_size()).contains(&address);
            inside && len as u64 == controller.unit() && address % controller.unit() == 0
        })
}

fn saved(dma: &I8237) -> Vec<u8> {
    let mut bytes = Vec::new();
    dma.save(&mut bytes);
    bytes
}

proptest! {
    /// AT, page registers: whatever software does, a cycle stays in its channel's page, and a step makes at most one.
    #[test]
    fn every_access_lies_in_a_page(ops in ops(), high in any::<bool>()) {
        let dma = if high { I8237::new().with_high_pages() } else { I8237::new() };
        let mut world = World::new(dma);
        for op in &ops {
            world.apply(op, |world| {
                let accesses = world.ram.accesses.clone();
                assert!(accesses.len() <= 1);
                assert!(accesses.iter().all(|&access| is_in_a_page(&mut world.dma, access)));
            });
        }
    }

    /// The quirks make no difference to what may never happen.
    #[test]
    fn nothing_panics_under_any_quirks(ops in ops(), quirks in any::<u32>()) {
        let mut world = World::new(I8237::new().with_high_pages().with_quirks(Quirks::from_bits_truncate(quirks)));
        for op in &ops {
            world.apply(op, |world| assert!(world.ram.accesses.len() <= 1));
        }
    }

    /// 8237A, "Current Word Count": a block is count plus one units, and no other byte is touched.
    #[test]
    fn a_block_touches_its_own_units_only(
        channel in prop::sample::select(&facts::SYSTEM_PRIORITY[..]),
        start in any::<u16>(), count in 0..300u16, page in any::<u8>(), down in any::<bool>(), service in 0..3u8,
    ) {
        let controller = Controller::of(channel);
        let mode = channel & 3 | 0x04 | u8::from(down) << 5 | service << 6;
        let mut world = World::new(I8237::new());
        let mut out = |port, value: u8| world.dma.write(port, value).unwrap();
        out(0xd6, 0xc0);
        out(0xd4, 0x00);
        out(controller.port(facts::register::MODE), mode);
        for (port, value) in [(facts::address_port(channel), start), (facts::count_port(channel), count)] {
            out(port, value as u8);
            out(port, (value >> 8) as u8);
        }
        out(facts::page_port(channel), page);
        out(controller.port(facts::register::SINGLE_MASK), channel & 3);
        world.noise.dreq = 0xff;
        while world.dma.step(&mut world.ram, &mut world.noise) == Step::Worked {}

        let base = u64::from(page & controller.page_mask()) << 16;
        let expected: BTreeSet<u64> = (0..=u64::from(count)).flat_map(|n| {
            let unit = if down { u64::from(start).wrapping_sub(n) } else { u64::from(start) + n } & 0xffff;
            let at = base + unit * controller.unit();
            at..at + controller.unit()
        }).collect();
        prop_assert_eq!(world.ram.bytes.into_keys().collect::<BTreeSet<_>>(), expected);
    }

    /// 8237A: a model that was saved and restored goes on as if nothing had happened, at any moment and in any build.
    #[test]
    fn a_restored_model_goes_on_identically(ops in ops(), more in ops(), quirks in any::<u32>(), real in any::<bool>()) {
        let quirks = if real { Quirks::empty() } else { Quirks::from_bits_truncate(quirks) };
        let fresh = I8237::new().with_high_pages().with_quirks(quirks);
        let mut world = World::new(fresh.clone());
        for op in &ops {
            world.apply(op, |_| {});
        }
        let mut other = world.clone();
        other.dma = fresh;
        let device: &mut dyn Snapshot = &mut other.dma;
        prop_assert_eq!(device.restore(&saved(&world.dma)), Ok(()));
        for op in &more {
            let seen = world.apply(op, |_| {});
            prop_assert_eq!(seen, other.apply(op, |_| {}));
            prop_assert_eq!(&world, &other);
        }
    }

    /// Saved state is from anybody: it is taken on as it stands or refused, and a refusal changes nothing.
    #[test]
    fn spoilt_state_is_refused_or_taken_whole(
        ops in ops(), spots in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        len in prop::option::of(0..200usize), more in ops(),
    ) {
        let mut world = World::new(I8237::new());
        for op in &ops {
            world.apply(op, |_| {});
        }
        let mut bytes = saved(&world.dma);
        for (spot, value) in spots {
            *spot.get_mut(&mut bytes) = value;
        }
        if let Some(len) = len {
            bytes.resize(len, 0);
        }
        let mut restored = I8237::new();
        match restored.restore(&bytes) {
            Ok(()) => prop_assert_eq!(saved(&restored), bytes),
            Err(_) => prop_assert_eq!(&restored, &I8237::new()),
        }
        world.dma = restored;
        for op in &more {
            world.apply(op, |_| {});
        }
    }

    #[test]
    fn random_bytes_are_no_state(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut dma = I8237::new();
        prop_assert!(dma.restore(&bytes).is_err());
        prop_assert_eq!(dma, I8237::new());
    }
}
