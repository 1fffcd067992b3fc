//! Descriptors that make no sense. Each ends in an error in a bounded time, and nothing outside is touched.

use super::berth::Berth;
use super::expect::Expect;
use super::matrix::{check_failed, leave_error};
use super::{INTERRUPT, STATUS};
use longshore_core::Passive;
use longshore_core::event::Owner;
use longshore_core::machine::Machine as _;
use longshore_hardware::BusAddress;
use longshore_hardware::netdma::ControlFlags;
use std::sync::Arc;

const BOTH: ControlFlags = STATUS.union(INTERRUPT);

/// Descriptors of a chain with a bad one.
pub(super) const LENGTH: usize = 4;

/// An address far outside every memory, aligned as a descriptor is.
const BEYOND: u64 = 0x7fff_ffff_ffff_f000;

/// What is wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    Type,
    Source,
    Destination,
    Huge,
    Misaligned,
    LinkBeyond,
    LinkAtEnd,
    NoLink,
}

impl Wrong {
    /// Every kind, with its name.
    pub(super) const ALL: [(Self, &'static str); 8] = [
        (Self::Type, "type"),
        (Self::Source, "source"),
        (Self::Destination, "destination"),
        (Self::Huge, "huge"),
        (Self::Misaligned, "misaligned"),
        (Self::LinkBeyond, "beyond"),
        (Self::LinkAtEnd, "end"),
        (Self::NoLink, "no-link"),
    ];

    /// A bad link, by what it is. The descriptor that holds it is sound.
    fn link(self, berth: &Berth) -> Option<BusAddress> {
        match self {
            Self::Misaligned => berth.descriptor(1).start().checked_add(8),
            Self::LinkBeyond => Some(BusAddress::new(BEYOND)),
            Self::LinkAtEnd => Some(BusAddress::new(!0x3f)),
            Self::NoLink => Some(BusAddress::NULL),
            _ => None,
        }
    }

    fn spoil(self, expect: &mut Expect) {
        let content = &mut expect.content;
        match self {
            Self::Type => content.control |= ControlFlags::from_bits_retain(0x1200_0000),
            Self::Source => content.source = BusAddress::new(BEYOND),
            Self::Destination => content.destination = BusAddress::new(BEYOND),
            Self::Huge => content.transfer_size = u32::MAX,
            _ => {}
        }
    }
}

/// Runs a chain whose descriptor `at` is bad.
pub(super) fn run(wrong: Wrong, at: usize, berth: &Arc<Berth>, passive: &mut Passive) {
    // In 1.x a link to nothing is the end.
    if wrong == Wrong::NoLink && !berth.counted() {
        return berth.close((&*passive).into());
    }
    let mut chain = berth.plain(0..LENGTH, |_| BOTH);
    match wrong.link(berth) {
        None => {
            wrong.spoil(&mut chain[at]);
            chain[at].spoil();
        }
        Some(link) => {
            chain[at].content.next = link;
            chain.iter_mut().skip(at + 1).for_each(Expect::spoil);
        }
    }
    let first = chain[0].descriptor.start();
    berth.submit(chain);
    let started = berth.start_at((&*passive).into(), first, LENGTH, LENGTH as u32);
    berth.require(started, "NETDMA-076", || "the start was refused".into());
    check_failed(berth, passive);
    berth
        .machine
        .raise(passive, |dispatch| leave_error(berth, dispatch, at % 3));
    berth.check_starts_again(passive, 8..10, "AMB-08");
    berth.close((&*passive).into());
}

/// A copy onto its own descriptor, and one onto the completion word: whatever becomes of them, it does so in a bounded
/// time, and nothing else is touched.
pub(super) fn onto(word: bool, berth: &Arc<Berth>, passive: &mut Passive) {
    let mut chain = berth.plain(0..2, |_| BOTH);
    let target = if word {
        berth.word_range()
    } else {
        chain[0].descriptor
    };
    chain[0].content.destination = target.start();
    chain[0].content.transfer_size = 8;
    let source = chain[0].parts[0].from;
    berth.hand_over(source, Owner::Device);
    chain[0].aimed(target);
    let first = chain[0].descriptor.start();
    berth.submit(chain);
    berth.start_at((&*passive).into(), first, 2, 2);
    berth.leap(passive);
    if berth.can_abort() {
        let aborted = berth.abort((&*passive).into());
        berth.require(aborted, "SEED-004-3", || {
            "a chain that wrote over its own could not be aborted".into()
        });
    }
    berth.check_guards();
    berth.forget();
    berth.hand_over(source, Owner::Cpu);
    berth.check_starts_again(passive, 8..10, "SEED-004-8");
    berth.close((&*passive).into());
}
